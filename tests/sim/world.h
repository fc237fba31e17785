/* SPDX-License-Identifier: MIT */
/*
 * world.h - one seed from its beginning to its end.
 */
#ifndef SLUICE_TESTS_SIM_WORLD_H
#define SLUICE_TESTS_SIM_WORLD_H

#include "shm/base.h"

enum sim_count {
	SIM_COUNT_COMMANDS = 0,
	SIM_COUNT_BLOCKS,
	SIM_COUNT_STARTS,
	SIM_COUNT_FAULTS,
	SIM_COUNT_POWER,
	SIM_COUNT_REFUSED,
	SIM_COUNT_RESIDUAL,
	SIM_COUNT_STALLED,
	SIM_COUNT_SNAPSHOTS,
	SIM_COUNT_ROUNDS,
	SIM_COUNT_POINTS,
	SIM_COUNTS
};

struct sim_outcome {
	bool broken;
	char invariant[32];
	char text[1024];
	uint64_t trace;
	uint64_t count[SIM_COUNTS];
};

void sim_run(uint64_t seed, bool verbose, struct sim_outcome *ret_outcome);

#endif
