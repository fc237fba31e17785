/* SPDX-License-Identifier: MIT */
/*
 * one_node.c - what libnuma answers on a kernel without NUMA, for stress programs of an
 * architecture that the library is not installed for here. Linked by arm64.sh alone.
 */
#include <errno.h>
#include <numa.h>
#include <numaif.h>
#include <stddef.h>

struct bitmask *numa_all_nodes_ptr;

int numa_available(void)
{
	return -1;
}

int numa_max_node(void)
{
	return 0;
}

int numa_bitmask_isbitset(const struct bitmask *mask, unsigned int bit)
{
	(void)mask;
	return bit == 0;
}

int numa_move_pages(int pid, unsigned long count, void **pages, const int *nodes, int *status,
		    int flags)
{
	(void)pid, (void)count, (void)pages, (void)nodes, (void)status, (void)flags;
	return -ENOSYS;
}

long mbind(void *start, unsigned long bytes, int mode, const unsigned long *mask,
	   unsigned long bits, unsigned int flags)
{
	(void)start, (void)bytes, (void)mode, (void)mask, (void)bits, (void)flags;
	errno = ENOSYS;
	return -1;
}
