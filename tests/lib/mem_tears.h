/* SPDX-License-Identifier: MIT */
/*
 * mem_tears.h - what a loss of power makes of the writes on their way, in a disk in memory:
 * every mixture of their sectors in turn.
 */
#ifndef SLUICE_TESTS_LIB_MEM_TEARS_H
#define SLUICE_TESTS_LIB_MEM_TEARS_H

#include "tests/lib/mem_io.h"

struct mem_tears {
	const struct mem_write *writes;
	uint32_t n_writes;
	bool subsets; /* all of them, if the sectors that differ are few; else prefixes and more */
	uint64_t budget; /* of images; more combinations than that: so many by chance */
	uint64_t *seed;
	bool (*image)(void *arg); /* looks at the disk as it is now; false: enough */
	void *arg;
};

/* The disk is as before when it returns. */
void mem_tears_try(struct mem_disk *disk, const struct mem_tears *tears);

#endif
