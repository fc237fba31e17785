/* SPDX-License-Identifier: MIT */
/*
 * wait.h - how a participant waits for another process, and how it is woken.
 *
 * Every participant sleeps on its own wake word with a bounded timeout, so nobody can take
 * another's wake-up and a lost peer costs milliseconds. A publisher pays one plain load for
 * sleepers it does not have; the store-load fence that sleeping needs is on the sleeper's side:
 *
 *	publisher                               sleeper
 *	store cursor (or stamp, position)       set own bit in `sleepers`
 *	  -- no fence --                        membarrier(GLOBAL_EXPEDITED)
 *	load sleepers                           load cursor again
 *	if any: bump wake word, FUTEX_WAKE      FUTEX_WAIT(wake word) if still nothing
 *
 * After the membarrier every registered process has passed a full fence: either the publisher's
 * store was before it, and the sleeper sees it, or the publisher's load comes after, and sees the
 * bit. A publisher that could not register fences itself; a sleeper that cannot issue the barrier
 * sets control.fenced, which publishers read when membership changes.
 */
#ifndef SLUICE_SHM_WAIT_H
#define SLUICE_SHM_WAIT_H

#include "shm/segment.h"

enum sluice_wait_strategy {
	SLUICE_WAIT_ADAPTIVE = 0, /* spin, yield, block: the default */
	SLUICE_WAIT_SPIN = 1,	  /* never gives the CPU away; needs a core of its own */
	SLUICE_WAIT_YIELD = 2,	  /* gives the CPU away at every miss */
	SLUICE_WAIT_BLOCK = 3	  /* sleeps at once */
};

SLUICE_API const char *sluice_wait_name(uint32_t strategy);
/* The strategy of a name, or -EINVAL. */
SLUICE_API int sluice_wait_parse(const char *name);

static inline void sluice_cpu_relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__builtin_arm_isb(15);
#endif
}

#define SLUICE_WAIT_FOREVER UINT64_MAX

/* One wait of one participant. Cheap to set up; lives on the stack of the waiting call. */
struct sluice_waiter {
	uint64_t started_ns;  /* 0 until the first clock reading */
	uint64_t deadline_ns; /* SLUICE_WAIT_FOREVER: none */
	uint32_t strategy;
	uint32_t misses;
};

SLUICE_API void sluice_waiter_init(struct sluice_waiter *waiter, uint32_t strategy,
				   uint64_t timeout_ns);

/* What the caller shall do next. */
enum sluice_wait_step {
	SLUICE_WAIT_AGAIN = 0, /* look again; the step spun or yielded */
	SLUICE_WAIT_SLEEP = 1, /* call sluice_sleep_begin, look again, sluice_sleep_end */
	SLUICE_WAIT_EXPIRED = 2
};
SLUICE_API enum sluice_wait_step sluice_waiter_step(struct sluice_waiter *waiter);

/*
 * begin: announces the sleeper and makes every publisher's earlier stores visible; returns the
 * ticket for end. Between the two the caller looks once more: `sleep` is false when there is
 * something, then end only withdraws the announcement.
 */
SLUICE_API uint32_t sluice_sleep_begin(struct sluice_segment *segment, _Atomic uint64_t *sleepers,
				       uint32_t index);
SLUICE_API void sluice_sleep_end(struct sluice_segment *segment, _Atomic uint64_t *sleepers,
				 uint32_t index, uint32_t ticket, bool sleep, uint64_t deadline_ns);

/* Wakes every participant whose bit is set and clears the bits. The slow half of a publish. */
SLUICE_API void sluice_wake(struct sluice_segment *segment, _Atomic uint64_t *sleepers);

/*
 * Registers this process for the sleepers' barrier, once. False: not to be had here, so the caller
 * must fence before it looks for sleepers.
 */
SLUICE_API bool sluice_barrier_register(void);

#endif
