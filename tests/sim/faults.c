/* SPDX-License-Identifier: MIT */
/* faults.c - see faults.h. */
#include "tests/sim/faults.h"

static const struct sim_fault_rule rules[SIM_FAULTS] = {
	[SIM_FAULT_NONE] = {"none", SIM_SURVIVE, 0},
	[SIM_KILL_ENGINE] = {"kill engine", SIM_SURVIVE, 40},
	[SIM_KILL_PRODUCER] = {"kill producer", SIM_SURVIVE, 8},
	[SIM_KILL_CONSUMER] = {"kill consumer", SIM_SURVIVE, 8},
	[SIM_KILL_FOLLOWER] = {"kill follower", SIM_SURVIVE, 8},
	[SIM_STOP_ENGINE] = {"stop engine", SIM_SURVIVE, 6},
	[SIM_POWER_CUT] = {"power cut", SIM_SURVIVE, 8},
	[SIM_CLOCK_JUMP] = {"clock jump", SIM_SURVIVE, 2},
	[SIM_WRITE_SHORT] = {"short write", SIM_SURVIVE, 6},
	[SIM_WRITE_AGAIN] = {"interrupted write", SIM_SURVIVE, 6},
	/* an error says nothing of the sectors: stop, and believe the media at the next start */
	[SIM_WRITE_EIO] = {"write EIO", SIM_HALT, 6},
	[SIM_WRITE_ENOSPC] = {"write ENOSPC", SIM_HALT, 3},
	[SIM_READ_EIO] = {"read EIO", SIM_HALT, 4},
	/* one copy, no redundancy: it can be told, not mended */
	[SIM_WRITE_LOST] = {"lost write", SIM_REFUSE, 5},
	[SIM_WRITE_ASTRAY] = {"misdirected write", SIM_REFUSE, 5},
	[SIM_READ_EIO_FOREVER] = {"unreadable page", SIM_REFUSE, 4},
	[SIM_ROT_LOG] = {"rot in the log", SIM_REFUSE, 8},
	/* written twice, in two of four copies */
	[SIM_ROT_SUPER] = {"rot in the superblock", SIM_SURVIVE, 8},
	/* there are two, and the log reaches back to the older one; while that is written over and
	 * the log starts at it, the newest is alone: then as unreadable */
	[SIM_ROT_SNAPSHOT] = {"rot in a snapshot", SIM_SURVIVE, 8},
};

const struct sim_fault_rule *sim_fault_rule(enum sim_fault fault)
{
	return &rules[fault];
}

enum sim_fault sim_fault_choose(struct sim_random *dice, enum sim_demand worst)
{
	uint64_t total = 0, at;

	for (uint32_t i = 0; i < SIM_FAULTS; i++)
		total += rules[i].demand <= worst ? rules[i].weight : 0;
	at = sim_below(dice, total);
	for (uint32_t i = 0; i < SIM_FAULTS; i++) {
		if (rules[i].demand > worst)
			continue;
		if (at < rules[i].weight)
			return (enum sim_fault)i;
		at -= rules[i].weight;
	}
	return SIM_FAULT_NONE;
}
