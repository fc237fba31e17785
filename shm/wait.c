/* SPDX-License-Identifier: MIT */
/*
 * wait.c - see wait.h for the protocol. Any thread of a participant; a crash while asleep leaves a
 * bit in `sleepers` that costs the next publisher one useless wake.
 *
 * sync pairs of this file:
 *   sleep_begin:bit -> wake:take		the bit is set before the barrier
 *   wake:bump -> sleep_begin:ticket		a bump after the ticket makes FUTEX_WAIT return
 */
#include "shm/wait.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shm/clock.h"

/*
 * Spinning is worth a few cache-line round trips. Yielding covers a durable write and the gaps of a
 * few thousand events a second: a wake-up may cost as much as a third of the write. Then sleep.
 */
#define ADAPTIVE_SPINS 64u
#define ADAPTIVE_YIELD_NS 500000u
/* Bounds every sleep: peers may have died between their publish and their wake. */
#define SLEEP_NS_MAX 10000000u
#define CLOCK_EVERY 64u /* misses of a spinner between two looks at the clock */

static const char *const names[] = {"adaptive", "spin", "yield", "block"};

const char *sluice_wait_name(uint32_t strategy)
{
	return strategy < sizeof(names) / sizeof(names[0]) ? names[strategy] : "unknown";
}

int sluice_wait_parse(const char *name)
{
	for (uint32_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(name, names[i]))
			return (int)i;
	return -EINVAL;
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool registered;
static bool one_cpu;

static void register_once(void)
{
	registered = !syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0);
	/* of the machine: who is pinned to one CPU waits for peers that run on another */
	one_cpu = sysconf(_SC_NPROCESSORS_ONLN) == 1;
}

bool sluice_barrier_register(void)
{
	pthread_once(&once, register_once);
	return registered;
}

void sluice_waiter_init(struct sluice_waiter *waiter, uint32_t strategy, uint64_t timeout_ns)
{
	waiter->strategy = strategy;
	waiter->misses = 0;
	waiter->started_ns = 0;
	waiter->deadline_ns = SLUICE_WAIT_FOREVER;
	if (timeout_ns != SLUICE_WAIT_FOREVER)
		waiter->deadline_ns = sluice_clock_ns() + timeout_ns;
}

static enum sluice_wait_step step_spin(struct sluice_waiter *waiter)
{
	sluice_cpu_relax();
	if (waiter->deadline_ns != SLUICE_WAIT_FOREVER && waiter->misses % CLOCK_EVERY == 0 &&
	    sluice_clock_ns() >= waiter->deadline_ns)
		return SLUICE_WAIT_EXPIRED;
	return SLUICE_WAIT_AGAIN;
}

static enum sluice_wait_step step_yield(struct sluice_waiter *waiter)
{
	sched_yield();
	if (waiter->deadline_ns != SLUICE_WAIT_FOREVER && sluice_clock_ns() >= waiter->deadline_ns)
		return SLUICE_WAIT_EXPIRED;
	return SLUICE_WAIT_AGAIN;
}

static enum sluice_wait_step step_adaptive(struct sluice_waiter *waiter)
{
	uint64_t now_ns;

	if (waiter->misses < ADAPTIVE_SPINS && !one_cpu)
		return step_spin(waiter);
	now_ns = sluice_clock_ns();
	if (now_ns >= waiter->deadline_ns)
		return SLUICE_WAIT_EXPIRED;
	if (!waiter->started_ns)
		waiter->started_ns = now_ns;
	if (now_ns - waiter->started_ns >= ADAPTIVE_YIELD_NS)
		return SLUICE_WAIT_SLEEP;
	sched_yield();
	return SLUICE_WAIT_AGAIN;
}

enum sluice_wait_step sluice_waiter_step(struct sluice_waiter *waiter)
{
	waiter->misses++;
	switch (waiter->strategy) {
	case SLUICE_WAIT_SPIN:
		return step_spin(waiter);
	case SLUICE_WAIT_YIELD:
		return step_yield(waiter);
	case SLUICE_WAIT_BLOCK:
		if (waiter->deadline_ns != SLUICE_WAIT_FOREVER &&
		    sluice_clock_ns() >= waiter->deadline_ns)
			return SLUICE_WAIT_EXPIRED;
		return SLUICE_WAIT_SLEEP;
	default:
		return step_adaptive(waiter);
	}
}

uint32_t sluice_sleep_begin(struct sluice_segment *segment, _Atomic uint64_t *sleepers,
			    uint32_t index)
{
	/* sync: sleep_begin:ticket <- wake:bump; a wake after this changes the word */
	const uint32_t ticket = atomic_load_explicit(&segment->participants[index].wake,
						     memory_order_acquire);

	/*
	 * sync: sleep_begin:bit -> wake:take; announced before the barrier
	 * sync: sleep_begin:bit <- publish:fence, release:fence; where publishers fence themselves
	 */
	atomic_fetch_or_explicit(sleepers, 1ull << index, memory_order_seq_cst);
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0) &&
	    /* relaxed: publishers take it up at the next membership change */
	    !atomic_load_explicit(&segment->control->fenced, memory_order_relaxed)) {
		atomic_store_explicit(&segment->control->fenced, 1, memory_order_relaxed);
		/* sync: fenced:on -> gate:membership; publishers refresh and see `fenced` */
		atomic_fetch_add_explicit(&segment->control->membership, 1, memory_order_seq_cst);
	}
	return ticket;
}

static void futex_sleep(_Atomic uint32_t *word, uint32_t ticket, uint64_t deadline_ns)
{
	const uint64_t now_ns = sluice_clock_ns();
	uint64_t sleep_ns = SLEEP_NS_MAX;
	struct timespec timeout;

	if (now_ns >= deadline_ns)
		return;
	if (deadline_ns - now_ns < sleep_ns)
		sleep_ns = deadline_ns - now_ns;
	timeout.tv_sec = (time_t)(sleep_ns / 1000000000u);
	timeout.tv_nsec = (long)(sleep_ns % 1000000000u);
	/* EINTR, EAGAIN and the timeout all mean the same: look again. */
	syscall(SYS_futex, word, FUTEX_WAIT, ticket, &timeout, NULL, 0);
}

void sluice_sleep_end(struct sluice_segment *segment, _Atomic uint64_t *sleepers, uint32_t index,
		      uint32_t ticket, bool sleep, uint64_t deadline_ns)
{
	if (sleep)
		futex_sleep(&segment->participants[index].wake, ticket, deadline_ns);
	/* relaxed: a wake that comes for a withdrawn bit is harmless */
	atomic_fetch_and_explicit(sleepers, ~(1ull << index), memory_order_relaxed);
}

void sluice_wake(struct sluice_segment *segment, _Atomic uint64_t *sleepers)
{
	/* sync: wake:take <- sleep_begin:bit; taken once, so later publishes do not wake again */
	uint64_t bits = atomic_exchange_explicit(sleepers, 0, memory_order_acq_rel);

	while (bits) {
		const uint32_t index = (uint32_t)__builtin_ctzll(bits);

		bits &= bits - 1;
		if (index >= segment->header.participant_count)
			continue;
		/* sync: wake:bump -> sleep_begin:ticket; the word differs from any older ticket */
		atomic_fetch_add_explicit(&segment->participants[index].wake, 1,
					  memory_order_release);
		syscall(SYS_futex, &segment->participants[index].wake, FUTEX_WAKE, INT_MAX, NULL,
			NULL, 0);
	}
}
