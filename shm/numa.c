/* SPDX-License-Identifier: MIT */
/*
 * numa.c - placement by mbind, verification by move_pages.
 *
 * MPOL_PREFERRED, not MPOL_BIND: a node without free huge pages then yields pages elsewhere, which
 * the verification reports, in place of a failed creation. On hugetlbfs a policy belongs to the
 * mapping and not to the file, so the creator must fault in every page under it.
 */
#include "shm/numa.h"

#include <errno.h>
#include <numa.h>
#include <numaif.h>
#include <sched.h>

#define SAMPLES_PER_CALL 512
#define MASK_BITS 1024

static bool several_nodes(void)
{
	return numa_available() >= 0 && numa_max_node() > 0;
}

int sluice_numa_choose(int32_t wanted, int32_t *ret_node, struct sluice_diag *diag)
{
	unsigned int cpu;
	unsigned int node;

	if (!several_nodes()) {
		if (wanted > 0)
			return sluice_diag_set(diag, EINVAL,
					       "there is no NUMA node %d: this machine has node 0 only",
					       wanted);
		*ret_node = 0;
		return 0;
	}
	if (wanted < 0) {
		*ret_node = getcpu(&cpu, &node) ? 0 : (int32_t)node;
		return 0;
	}
	if (wanted > numa_max_node() || !numa_bitmask_isbitset(numa_all_nodes_ptr,
							       (unsigned int)wanted))
		return sluice_diag_set(diag, EINVAL,
				       "there is no usable NUMA node %d: the highest is %d", wanted,
				       numa_max_node());
	*ret_node = wanted;
	return 0;
}

void sluice_numa_prefer(void *base, uint64_t bytes, int32_t node)
{
	unsigned long mask[MASK_BITS / (8 * sizeof(unsigned long))] = {0};
	const size_t bits = 8 * sizeof(mask[0]);

	if (!several_nodes() || node < 0 || node >= MASK_BITS - 1)
		return;
	mask[(size_t)node / bits] |= 1ul << ((size_t)node % bits);
	/* a refusal (cpuset, seccomp) is seen by sluice_numa_where and not fatal */
	(void)mbind(base, bytes, MPOL_PREFERRED, mask, MASK_BITS, 0);
}

int32_t sluice_numa_where(void *base, uint64_t bytes, uint64_t step_bytes)
{
	int32_t node = SLUICE_NUMA_MIXED;
	uint64_t offset = 0;

	sluice_assert(step_bytes > 0);
	if (!several_nodes())
		return 0;
	while (offset < bytes) {
		void *pages[SAMPLES_PER_CALL];
		int status[SAMPLES_PER_CALL];
		unsigned long count = 0;

		for (; count < SAMPLES_PER_CALL && offset < bytes; offset += step_bytes)
			pages[count++] = (uint8_t *)base + offset;
		if (numa_move_pages(0, count, pages, NULL, status, 0))
			return SLUICE_NUMA_MIXED;
		for (unsigned long i = 0; i < count; i++) {
			if (status[i] < 0 || (node >= 0 && status[i] != node))
				return SLUICE_NUMA_MIXED;
			node = status[i];
		}
	}
	return node;
}
