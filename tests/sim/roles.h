/* SPDX-License-Identifier: MIT */
/*
 * roles.h - the processes of the simulated world, and what its parts must know of each other.
 */
#ifndef SLUICE_TESTS_SIM_ROLES_H
#define SLUICE_TESTS_SIM_ROLES_H

#include "engine/core/core.h"
#include "engine/wal/wal_format.h"
#include "tests/sim/fiber.h"

#define SIM_INSTANCE "s"

struct sim_world {
	uint64_t seed;
	struct sluice_core_options limits;
	uint32_t window;
	uint32_t ring_slots;
	uint32_t wait[SIM_ROLES];
	uint64_t commands[SIM_PRODUCERS]; /* that each shall send */
	uint64_t sent[SIM_PRODUCERS];	  /* published at least once: a producer's own memory */
	uint64_t acked[SIM_PRODUCERS];	  /* answered by a report that was seen */
	uint64_t think_ns[SIM_PRODUCERS]; /* between two commands, about */
	uint64_t slow_ns;		  /* of the consumer, for a batch, about */
	uint64_t every_bytes;		  /* of log between two snapshots */
	bool engine_ready;
	bool rotten_snapshot;	/* on purpose; the other one or the log makes it good */
	struct sim_random dice; /* of the processes */
};
extern struct sim_world sim_world;

void sim_engine(void);
void sim_consumer(void);
void sim_follower(void);
void sim_producer(void); /* which one: sim_self() */

/* Number client_seq of a source, the same whenever it is asked for. */
void sim_command(uint32_t source, uint64_t client_seq, struct sluice_command *ret_command);

/* world.c: an end of the engine by itself; may it? */
void sim_engine_ended(int error, bool started, const char *text);

void sim_follower_ended(int error, const char *text);

/* role_follower.c: what a superblock names must be whole on stable media. */
void sim_check_snapshots(const struct sluice_wal_super *super, bool by_living);

/* The log can be started without the snapshot in that file. */
bool sim_can_lose_snapshot(uint32_t file);

/* world.c: something is under way that would be a pity to lose just now. */
void sim_tempt(uint32_t per_mille);

/* The seed is over, and was good. */
_Noreturn void sim_end_early(void);

#endif
