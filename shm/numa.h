/* SPDX-License-Identifier: MIT */
/*
 * numa.h - on which memory node a segment's pages are put, and where they really are. Quiet on
 * machines with one node or without NUMA: everything is node 0 there. Cold paths only; any thread.
 */
#ifndef SLUICE_SHM_NUMA_H
#define SLUICE_SHM_NUMA_H

#include "shm/diag.h"

#define SLUICE_NUMA_MIXED (-1)

/* `wanted`, or for -1 the node of the CPU that runs the caller. -EINVAL: no such node here. */
int sluice_numa_choose(int32_t wanted, int32_t *ret_node, struct sluice_diag *diag);

/* Asks for `node` for pages of the range not yet there. Best effort: sluice_numa_where tells. */
void sluice_numa_prefer(void *base, uint64_t bytes, int32_t node);

/*
 * The node of all pages, sampled every `step_bytes`; SLUICE_NUMA_MIXED if they differ or the kernel
 * does not say. Every sampled page must have been faulted in.
 */
int32_t sluice_numa_where(void *base, uint64_t bytes, uint64_t step_bytes);

#endif
