/* SPDX-License-Identifier: MIT */
/*
 * affinity.c - the part of placement.h that needs no topology: CPU lists, pinning, counting.
 *
 * Pinning is sched_setaffinity itself: loading a topology for it would take 10 ms, and one that
 * stands for another machine would accept the call and do nothing.
 */
#include "shm/placement.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A cpu_set_t holds 1024 CPUs, and the kernel refuses one that is too small for its own count. */
struct cpus {
	cpu_set_t words[SLUICE_CPUS_MAX / CPU_SETSIZE];
};

SLUICE_STATIC_ASSERT(SLUICE_CPUS_MAX % CPU_SETSIZE == 0, "whole sets");

static int read_allowed(struct cpus *ret_cpus)
{
	memset(ret_cpus, 0, sizeof(*ret_cpus));
	return sched_getaffinity(0, sizeof(*ret_cpus), ret_cpus->words) ? -errno : 0;
}

/* The set as "0,2-3", cut if it does not fit. */
static void list_text(const struct cpus *cpus, char *ret_text, size_t capacity)
{
	size_t used = 0;

	ret_text[0] = '\0';
	for (uint32_t cpu = 0; cpu < SLUICE_CPUS_MAX && used + 16 < capacity; cpu++) {
		uint32_t last = cpu;

		if (!CPU_ISSET_S(cpu, sizeof(*cpus), cpus->words))
			continue;
		while (last + 1 < SLUICE_CPUS_MAX &&
		       CPU_ISSET_S(last + 1, sizeof(*cpus), cpus->words))
			last++;
		used += (size_t)snprintf(ret_text + used, capacity - used,
					 last > cpu ? "%s%" PRIu32 "-%" PRIu32 : "%s%" PRIu32,
					 used ? "," : "", cpu, last);
		cpu = last;
	}
}

int sluice_placement_bind(uint32_t cpu, struct sluice_diag *diag)
{
	struct cpus only = {0};
	struct cpus allowed;
	char text[128] = "unknown";

	if (cpu < SLUICE_CPUS_MAX) {
		CPU_SET_S(cpu, sizeof(only), only.words);
		if (!sched_setaffinity(0, sizeof(only), only.words))
			return 0;
	} else {
		errno = EINVAL;
	}

	const int error = errno;

	if (!read_allowed(&allowed))
		list_text(&allowed, text, sizeof(text));
	return sluice_diag_set(diag, error, "cannot run on cpu%" PRIu32 ": %s; usable: %s", cpu,
			       strerror(error), text);
}

static int refuse_list(const char *text, struct sluice_diag *diag)
{
	return sluice_diag_set(
		diag, EINVAL,
		"\"%.100s\" is no list of CPUs; accepted: numbers and ranges such as "
		"0,2-3, each CPU once",
		text);
}

/* Reads "2" or "2-3"; returns what follows, NULL if it is neither. */
static const char *read_range(const char *at, unsigned long *ret_first, unsigned long *ret_last)
{
	char *end;

	if (!isdigit((unsigned char)*at))
		return NULL;
	*ret_first = *ret_last = strtoul(at, &end, 10);
	if (*end != '-')
		return end;
	if (!isdigit((unsigned char)end[1]))
		return NULL;
	*ret_last = strtoul(end + 1, &end, 10);
	return *ret_last >= *ret_first ? end : NULL;
}

int sluice_placement_parse(const char *text, uint32_t *ret_cpus, uint32_t capacity,
			   uint32_t *ret_count, struct sluice_diag *diag)
{
	uint32_t list[SLUICE_CPUS_MAX]; /* the result, until the whole text is known to be good */
	struct cpus seen = {0};
	uint32_t count = 0;
	const char *at = text;

	do {
		unsigned long first;
		unsigned long last;

		at = read_range(at, &first, &last);
		if (!at || (*at && *at != ','))
			return refuse_list(text, diag);
		if (last >= SLUICE_CPUS_MAX || last - first >= capacity - count)
			return sluice_diag_set(diag, ERANGE,
					       "\"%.100s\" has too many CPUs: at most %" PRIu32
					       ", numbered below %d",
					       text, capacity, SLUICE_CPUS_MAX);
		for (unsigned long cpu = first; cpu <= last; cpu++) {
			if (CPU_ISSET_S(cpu, sizeof(seen), seen.words))
				return refuse_list(text, diag);
			CPU_SET_S(cpu, sizeof(seen), seen.words);
			list[count++] = (uint32_t)cpu;
		}
	} while (*at++ == ',');
	memcpy(ret_cpus, list, count * sizeof(list[0]));
	*ret_count = count;
	return 0;
}

uint32_t sluice_placement_usable(void)
{
	struct cpus allowed;

	if (read_allowed(&allowed))
		return 1;
	return (uint32_t)CPU_COUNT_S(sizeof(allowed), allowed.words);
}
