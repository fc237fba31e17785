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
 * fences too, and sets control.fenced, which publishers read when membership changes. Until they
 * have, a wake-up may be missed once, which costs one bounded sleep.
 */
#ifndef SLUICE_SHM_WAIT_H
#define SLUICE_SHM_WAIT_H

#include "shm/segment.h"

/* What a participant does while there is nothing for it. The numbers are part of the ABI. */
enum sluice_wait_strategy {
	SLUICE_WAIT_ADAPTIVE = 0, /* spin, yield, block: the default */
	SLUICE_WAIT_SPIN = 1,	  /* never gives the CPU away; needs a core of its own */
	SLUICE_WAIT_YIELD = 2,	  /* gives the CPU away at every miss */
	SLUICE_WAIT_BLOCK = 3,	  /* sleeps at once; the publisher pays for the wake-up */
	SLUICE_WAIT_SLEEPING = 4, /* "sleep": spin, yield, then naps; nobody pays for a wake-up */
	SLUICE_WAIT_BACKOFF = 5,  /* spin for a time, yield for a time, block: more patient */
	SLUICE_WAIT_UMWAIT = 6	  /* the CPU rests until the word is written; needs a core, too */
};
#define SLUICE_WAIT_STRATEGIES 7u

/*
 * The phases' lengths, for who builds it for a machine of its own. A spin is a few cache-line round
 * trips. Adaptive's yields cover a durable write and the gaps of a few thousand events a second.
 * The nap is what sleep adds to the latency at most, and what it costs: an idle program wakes up
 * once per nap.
 */
#ifndef SLUICE_WAIT_ADAPTIVE_SPINS
#define SLUICE_WAIT_ADAPTIVE_SPINS 64u
#endif
#ifndef SLUICE_WAIT_ADAPTIVE_YIELD_NS
#define SLUICE_WAIT_ADAPTIVE_YIELD_NS 500000u
#endif
#ifndef SLUICE_WAIT_SLEEPING_SPINS
#define SLUICE_WAIT_SLEEPING_SPINS 100u
#endif
#ifndef SLUICE_WAIT_SLEEPING_YIELDS
#define SLUICE_WAIT_SLEEPING_YIELDS 100u
#endif
#ifndef SLUICE_WAIT_NAP_NS
#define SLUICE_WAIT_NAP_NS 100000u
#endif
#ifndef SLUICE_WAIT_BACKOFF_SPIN_NS
#define SLUICE_WAIT_BACKOFF_SPIN_NS 50000u
#endif
#ifndef SLUICE_WAIT_BACKOFF_YIELD_NS
#define SLUICE_WAIT_BACKOFF_YIELD_NS 1000000u
#endif

SLUICE_API const char *sluice_wait_name(uint32_t strategy);
/* The strategy of a name, or -EINVAL. */
SLUICE_API int sluice_wait_parse(const char *name);

/* Has this CPU UMONITOR and UMWAIT? Where it has not, umwait is adaptive. */
SLUICE_API bool sluice_wait_umwait_supported(void);
/* The strategy that is really followed on this machine. */
SLUICE_API uint32_t sluice_wait_effective(uint32_t strategy);
/* Is asleep in the end. Who waits in many short calls may then go on with `block`. */
SLUICE_API bool sluice_wait_blocks(uint32_t strategy);

static inline void sluice_cpu_relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__) && __has_builtin(__builtin_arm_isb)
	__builtin_arm_isb(15); /* clang's; gcc has none, and spins without */
#endif
}

#define SLUICE_WAIT_FOREVER UINT64_MAX

/*
 * One wait of one participant. Cheap to set up; lives on the stack of the waiting call. `watch` and
 * `interrupted` are optional and set by the caller after init: the word that is written when there
 * is something (only umwait looks at it), and a flag that ends the wait as soon as it is not 0.
 */
struct sluice_waiter {
	uint64_t started_ns;  /* 0 until the first clock reading */
	uint64_t deadline_ns; /* SLUICE_WAIT_FOREVER: none */
	const _Atomic uint64_t *watch;
	const _Atomic uint32_t *interrupted;
	uint32_t strategy;
	uint32_t misses;
	uint32_t phase; /* backoff's; umwait: the monitor is armed */
};

SLUICE_API void sluice_waiter_init(struct sluice_waiter *waiter, uint32_t strategy,
				   uint64_t timeout_ns);

/* What the caller shall do next. */
enum sluice_wait_step {
	SLUICE_WAIT_AGAIN = 0, /* look again; the step spun, yielded or napped */
	SLUICE_WAIT_SLEEP = 1, /* call sluice_sleep_begin, look again, sluice_sleep_end */
	SLUICE_WAIT_EXPIRED = 2,
	SLUICE_WAIT_INTERRUPTED = 3 /* only where `interrupted` is set */
};
SLUICE_API enum sluice_wait_step sluice_waiter_step(struct sluice_waiter *waiter);

/*
 * Steps see it by themselves; a caller looks once more between begin and end. Who interrupts sets
 * the flag first, then calls sluice_wake_participant.
 */
static inline bool sluice_waiter_interrupted(const struct sluice_waiter *waiter)
{
	/* relaxed: a flag alone; a sleeper's look is ordered by its ticket (wake:bump) */
	return waiter->interrupted &&
	       atomic_load_explicit(waiter->interrupted, memory_order_relaxed);
}

/*
 * begin: announces the sleeper and makes every publisher's earlier stores visible; returns the
 * ticket for end. Between the two the caller looks once more: `sleep` is false when there is
 * something, then end only withdraws the announcement. `sleepers` is control.consumer_sleepers,
 * producer_sleepers or stage_sleepers: what the participant waits for.
 */
SLUICE_API uint32_t sluice_sleep_begin(struct sluice_segment *segment, _Atomic uint64_t *sleepers,
				       uint32_t index);
SLUICE_API void sluice_sleep_end(struct sluice_segment *segment, _Atomic uint64_t *sleepers,
				 uint32_t index, uint32_t ticket, bool sleep, uint64_t deadline_ns);

/* One of the places at which a participant of several rings sleeps at once. */
struct sluice_sleep_place {
	struct sluice_segment *segment;
	_Atomic uint64_t *sleepers;
	uint32_t index;
	uint32_t ticket; /* set by begin */
};
#define SLUICE_SLEEP_PLACES_MAX 128 /* the kernel's own limit */

/*
 * The same for several rings: one barrier for all of them, and the first wake-up of any ends it.
 * Without futex_waitv (Linux 5.16) a sleep is cut short after half a millisecond.
 */
SLUICE_API void sluice_sleep_many_begin(struct sluice_sleep_place *places, uint32_t count);
SLUICE_API void sluice_sleep_many_end(const struct sluice_sleep_place *places, uint32_t count,
				      bool sleep, uint64_t deadline_ns);

/*
 * Wakes every participant whose bit is set and clears the bits; any of the three sleepers words.
 * The slow half of a publish and of a release.
 */
SLUICE_API void sluice_wake(struct sluice_segment *segment, _Atomic uint64_t *sleepers);

/* Wakes one, whatever it sleeps for. */
SLUICE_API void sluice_wake_participant(struct sluice_segment *segment, uint32_t index);

/*
 * Registers this process for the sleepers' barrier, once. False: not to be had here, so the caller
 * must fence before it looks for sleepers.
 */
SLUICE_API bool sluice_barrier_register(void);

/*
 * At a join: the same, and where the barrier is refused, asks the segment's publishers to fence.
 * (A process that loses it later asks when it first sleeps.)
 */
SLUICE_API void sluice_barrier_announce(struct sluice_segment *segment);

/*
 * Everything that registered processes stored before is visible to the caller, everything they load
 * afterwards is fresh. False: refused; then it was a fence of the caller alone.
 */
SLUICE_API bool sluice_barrier(void);

#endif
