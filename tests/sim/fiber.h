/* SPDX-License-Identifier: MIT */
/*
 * fiber.h - the simulated processes and their scheduler: one thread, one clock, one order of
 * everything that follows from the seed alone.
 *
 * A process is a fiber with its own stack, its own memory (kernel.c) and its own lock bytes
 * (segment.c). It runs until it sleeps, yields, or its slice of points is over. A point is an entry
 * into a function of the engine, the log or the rings, which are compiled with
 * -finstrument-functions, or one of the protocol's failpoints. At every point another process may
 * run, the disk may go on, or the operator may kill somebody: also the one that runs.
 */
#ifndef SLUICE_TESTS_SIM_FIBER_H
#define SLUICE_TESTS_SIM_FIBER_H

#include "tests/sim/random.h"

enum sim_role {
	SIM_ENGINE = 0,
	SIM_CONSUMER = 1,
	SIM_FOLLOWER = 2,
	SIM_PRODUCER = 3, /* the first of three */
	SIM_ROLES = 6
};
#define SIM_PRODUCERS 3u
#define SIM_NOBODY SIM_ROLES

#define SIM_NEVER UINT64_MAX

struct sim_process_view {
	uint32_t pid; /* of the newest incarnation; 0: never started */
	bool alive;
	bool asleep;
	uint64_t wake_ns;
};

/* ------------------------------------------------------------------ the scheduler's own side */

void sim_fibers_reset(uint64_t seed, uint64_t slice_points);

/* A new incarnation of a role that is not alive. */
void sim_spawn(enum sim_role role, void (*run)(void));

/* SIGKILL. Does not return when it is the running process's. */
void sim_kill(enum sim_role role);

/* SIGINT and the like: sets the flag that cli/signals.h shows that process. */
void sim_signal(enum sim_role role, int number);

/* All of them stop existing, and nobody runs: the caller is the scheduler again. */
void sim_fibers_abandon(void);

/* Runs one slice of somebody, or moves the clock to the next thing that happens. */
void sim_schedule(uint64_t next_event_ns);

/* --------------------------------------------------------------------- the processes' side */

enum sim_role sim_self(void); /* SIM_NOBODY: the scheduler */
uint32_t sim_pid(void);
uint64_t sim_now(void);
void sim_advance(uint64_t ns);
void sim_view(enum sim_role role, struct sim_process_view *ret_view);

/* Somebody else's turn; at once runnable again. */
void sim_yield(void);

/* Until wake_ns, or until sim_wake of the address; true: woken. */
bool sim_sleep(uint64_t wake_ns, const void *address);
void sim_wake(const void *address);

/* A point, as above. */
void sim_point(void);

/* Between the two no point counts: what real processes do once, or under a lock of their own. */
void sim_points_off(void);
void sim_points_on(void);

/* The process ends by itself. */
_Noreturn void sim_exit(void);

/* ------------------------------------------------------------------------- told by others */

/* world.c: the operator's look at every point; true: the process shall go no further now. */
bool sim_operate(void);
/* Frees what a dead process held. */
void sim_process_ended(enum sim_role role, bool killed);

extern uint64_t sim_points; /* so far in this seed */

#endif
