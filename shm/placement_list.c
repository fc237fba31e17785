/* SPDX-License-Identifier: MIT */
/*
 * placement_list.c - pinning to what a user typed after --cpu.
 */
#include <errno.h>
#include <sched.h>
#include <string.h>

#include "shm/placement.h"

#define LIST_MAX 256

int sluice_placement_bind_list(const char *text, struct sluice_diag *diag)
{
	uint32_t cpus[LIST_MAX], count;
	cpu_set_t set;
	int rc = sluice_placement_parse(text, cpus, LIST_MAX, &count, diag);

	if (rc)
		return rc;
	CPU_ZERO(&set);
	for (uint32_t i = 0; i < count; i++)
		if (cpus[i] < CPU_SETSIZE)
			CPU_SET(cpus[i], &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		return sluice_diag_set(diag, errno, "cannot run on CPU %s: %s", text,
				       errno == EINVAL ? "no such CPU, or not allowed here" :
							 strerror(errno));
	return 0;
}
