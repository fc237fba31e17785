/* SPDX-License-Identifier: MIT */
/*
 * wait.c - see wait.h for the protocol. Any thread of a participant; a crash while asleep leaves a
 * bit in `sleepers` that costs the next publisher one useless wake.
 *
 * sync pairs of this file:
 *   sleep_begin:bit -> wake:take		the bit is set before the barrier
 *   wake:bump -> sleep_begin:ticket		a bump after the ticket makes FUTEX_WAIT return
 *   fenced:on -> gate:membership		publishers refresh and see `fenced`
 */
#include "shm/wait.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>
#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

#include "shm/clock.h"
#include "shm/futex.h"

/* Bounds every sleep: peers may have died between their publish and their wake. */
#define SLEEP_NS_MAX 10000000u
/* Bounds a sleep on several words where only one of them can be slept on. */
#define SLEEP_ONE_OF_MANY_NS 500000u
#define CLOCK_EVERY 64u /* misses of a spinner between two looks at the clock */

SLUICE_STATIC_ASSERT(SLUICE_SLEEP_PLACES_MAX == FUTEX_WAITV_MAX, "one call takes all places");

static const char *const names[] = {
	"adaptive", "spin", "yield", "block", "sleep", "backoff", "umwait",
};
SLUICE_STATIC_ASSERT(sizeof(names) / sizeof(names[0]) == SLUICE_WAIT_STRATEGIES, "one name each");

const char *sluice_wait_name(uint32_t strategy)
{
	return strategy < SLUICE_WAIT_STRATEGIES ? names[strategy] : "unknown";
}

int sluice_wait_parse(const char *name)
{
	for (uint32_t i = 0; i < SLUICE_WAIT_STRATEGIES; i++)
		if (!strcmp(name, names[i]))
			return (int)i;
	return -EINVAL;
}

/* ------------------------------------------------------------------- what the machine offers */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool registered;
static bool one_cpu;
static bool has_waitv;
static bool has_umwait;

static bool probe_barrier(void)
{
	const int needed = MEMBARRIER_CMD_GLOBAL_EXPEDITED |
			   MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED;
	const int offered = sluice_membarrier(MEMBARRIER_CMD_QUERY);

	return offered >= 0 && (offered & needed) == needed &&
	       !sluice_membarrier(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED);
}

static bool probe_umwait(void)
{
#if defined(__x86_64__)
	unsigned int eax, ebx, ecx, edx;

	return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) && (ecx >> 5 & 1);
#else
	return false;
#endif
}

static void probe_once(void)
{
	registered = probe_barrier();
	/* of the machine: who is pinned to one CPU waits for peers that run on another */
	one_cpu = sysconf(_SC_NPROCESSORS_ONLN) == 1;
	/* no words to wait for is an error of its own, told apart from a call that is not there */
	has_waitv = sluice_futex_waitv(NULL, 0, 0) == -EINVAL;
	has_umwait = probe_umwait();
}

bool sluice_barrier_register(void)
{
	pthread_once(&once, probe_once);
	return registered;
}

bool sluice_wait_umwait_supported(void)
{
	pthread_once(&once, probe_once);
	return has_umwait;
}

uint32_t sluice_wait_effective(uint32_t strategy)
{
	if (strategy >= SLUICE_WAIT_STRATEGIES ||
	    (strategy == SLUICE_WAIT_UMWAIT && !sluice_wait_umwait_supported()))
		return SLUICE_WAIT_ADAPTIVE;
	return strategy;
}

bool sluice_wait_blocks(uint32_t strategy)
{
	strategy = sluice_wait_effective(strategy);
	return strategy == SLUICE_WAIT_ADAPTIVE || strategy == SLUICE_WAIT_BLOCK ||
	       strategy == SLUICE_WAIT_BACKOFF;
}

/* --------------------------------------------------------------------------------- strategies */

void sluice_waiter_init(struct sluice_waiter *waiter, uint32_t strategy, uint64_t timeout_ns)
{
	*waiter = (struct sluice_waiter){
		.deadline_ns = SLUICE_WAIT_FOREVER,
		.strategy = sluice_wait_effective(strategy),
	};
	if (timeout_ns != SLUICE_WAIT_FOREVER)
		waiter->deadline_ns = sluice_clock_ns() + timeout_ns;
}

static bool is_over(const struct sluice_waiter *waiter)
{
	return waiter->deadline_ns != SLUICE_WAIT_FOREVER &&
	       sluice_clock_ns() >= waiter->deadline_ns;
}

static enum sluice_wait_step step_spin(struct sluice_waiter *waiter)
{
	sluice_cpu_relax();
	return waiter->misses % CLOCK_EVERY == 0 && is_over(waiter) ? SLUICE_WAIT_EXPIRED :
								      SLUICE_WAIT_AGAIN;
}

static enum sluice_wait_step step_yield(struct sluice_waiter *waiter)
{
	sched_yield();
	return is_over(waiter) ? SLUICE_WAIT_EXPIRED : SLUICE_WAIT_AGAIN;
}

static enum sluice_wait_step step_block(struct sluice_waiter *waiter)
{
	return is_over(waiter) ? SLUICE_WAIT_EXPIRED : SLUICE_WAIT_SLEEP;
}

static enum sluice_wait_step step_adaptive(struct sluice_waiter *waiter)
{
	uint64_t now_ns;

	if (waiter->misses < SLUICE_WAIT_ADAPTIVE_SPINS && !one_cpu)
		return step_spin(waiter);
	now_ns = sluice_clock_ns();
	if (now_ns >= waiter->deadline_ns)
		return SLUICE_WAIT_EXPIRED;
	if (!waiter->started_ns)
		waiter->started_ns = now_ns;
	if (now_ns - waiter->started_ns >= SLUICE_WAIT_ADAPTIVE_YIELD_NS)
		return SLUICE_WAIT_SLEEP;
	sched_yield();
	return SLUICE_WAIT_AGAIN;
}

/* A thread's timers may be late by its slack, by default 50 us: as much as the nap itself. */
static void nap(uint64_t ns)
{
	static _Thread_local bool is_exact;
	const struct timespec length = sluice_timespec(ns);

	if (!is_exact) {
		prctl(PR_SET_TIMERSLACK, 1ul, 0ul, 0ul, 0ul);
		is_exact = true;
	}
	nanosleep(&length, NULL);
}

static enum sluice_wait_step step_sleeping(struct sluice_waiter *waiter)
{
	uint64_t now_ns, left_ns = SLUICE_WAIT_NAP_NS;

	if (waiter->misses < SLUICE_WAIT_SLEEPING_SPINS && !one_cpu)
		return step_spin(waiter);
	if (waiter->misses < SLUICE_WAIT_SLEEPING_SPINS + SLUICE_WAIT_SLEEPING_YIELDS)
		return step_yield(waiter);
	if (waiter->deadline_ns != SLUICE_WAIT_FOREVER) {
		now_ns = sluice_clock_ns();
		if (now_ns >= waiter->deadline_ns)
			return SLUICE_WAIT_EXPIRED;
		left_ns = waiter->deadline_ns - now_ns;
	}
	nap(left_ns < SLUICE_WAIT_NAP_NS ? left_ns : SLUICE_WAIT_NAP_NS);
	return SLUICE_WAIT_AGAIN;
}

enum backoff_phase { BACKOFF_SPINS = 0, BACKOFF_YIELDS = 1, BACKOFF_SLEEPS = 2 };

static enum sluice_wait_step step_backoff(struct sluice_waiter *waiter)
{
	uint64_t now_ns, waited_ns;

	if (waiter->phase == BACKOFF_SLEEPS)
		return step_block(waiter);
	if (waiter->phase == BACKOFF_SPINS && !one_cpu && waiter->misses % CLOCK_EVERY != 1) {
		sluice_cpu_relax();
		return SLUICE_WAIT_AGAIN;
	}
	now_ns = sluice_clock_ns();
	if (now_ns >= waiter->deadline_ns)
		return SLUICE_WAIT_EXPIRED;
	if (!waiter->started_ns)
		waiter->started_ns = now_ns;
	waited_ns = now_ns - waiter->started_ns;
	if (waited_ns >= SLUICE_WAIT_BACKOFF_SPIN_NS + SLUICE_WAIT_BACKOFF_YIELD_NS) {
		waiter->phase = BACKOFF_SLEEPS;
		return SLUICE_WAIT_SLEEP;
	}
	if (waited_ns >= SLUICE_WAIT_BACKOFF_SPIN_NS || one_cpu)
		waiter->phase = BACKOFF_YIELDS;
	if (waiter->phase == BACKOFF_YIELDS)
		sched_yield();
	return SLUICE_WAIT_AGAIN;
}

#if defined(__x86_64__)
#define REST_LIGHT 1u		 /* C0.1: the quicker way back */
#define REST_WATCHED_TSC 100000u /* tens of microseconds; Linux caps it at about as much */
#define REST_BLIND_TSC 2000u

/*
 * Two steps to one rest: the first arms the monitor, then the caller looks, and only if there was
 * nothing the second rests. A store between the two ends the rest before it begins.
 */
static __attribute__((target("waitpkg"))) void rest(struct sluice_waiter *waiter)
{
	if (!waiter->watch) {
		_tpause(REST_LIGHT, __rdtsc() + REST_BLIND_TSC);
	} else if (waiter->phase) {
		waiter->phase = 0;
		_umwait(REST_LIGHT, __rdtsc() + REST_WATCHED_TSC);
	} else {
		waiter->phase = 1;
		_umonitor((void *)(uintptr_t)waiter->watch);
	}
}
#else
static void rest(struct sluice_waiter *waiter)
{
	(void)waiter;
	sluice_cpu_relax();
}
#endif

static enum sluice_wait_step step_umwait(struct sluice_waiter *waiter)
{
	rest(waiter);
	return is_over(waiter) ? SLUICE_WAIT_EXPIRED : SLUICE_WAIT_AGAIN;
}

enum sluice_wait_step sluice_waiter_step(struct sluice_waiter *waiter)
{
	if (sluice_waiter_interrupted(waiter))
		return SLUICE_WAIT_INTERRUPTED;
	waiter->misses++;
	switch (waiter->strategy) {
	case SLUICE_WAIT_SPIN:
		return step_spin(waiter);
	case SLUICE_WAIT_YIELD:
		return step_yield(waiter);
	case SLUICE_WAIT_BLOCK:
		return step_block(waiter);
	case SLUICE_WAIT_SLEEPING:
		return step_sleeping(waiter);
	case SLUICE_WAIT_BACKOFF:
		return step_backoff(waiter);
	case SLUICE_WAIT_UMWAIT:
		return step_umwait(waiter);
	default:
		return step_adaptive(waiter);
	}
}

/* ----------------------------------------------------------------------------- sleep and wake */

bool sluice_barrier(void)
{
	if (!sluice_membarrier(MEMBARRIER_CMD_GLOBAL_EXPEDITED))
		return true;
	/* sync: sleep_begin:bit <- publish:fence, release:fence; then publishers fence, too */
	atomic_thread_fence(memory_order_seq_cst);
	return false;
}

/* This process cannot issue the barrier, so this segment's publishers have to fence. */
static void ask_for_fences(struct sluice_segment *segment)
{
	/* relaxed: publishers take it up at the next membership change */
	if (atomic_load_explicit(&segment->control->fenced, memory_order_relaxed))
		return;
	atomic_store_explicit(&segment->control->fenced, 1, memory_order_relaxed);
	/* sync: fenced:on -> gate:membership; publishers refresh and see `fenced` */
	atomic_fetch_add_explicit(&segment->control->membership, 1, memory_order_seq_cst);
}

void sluice_barrier_announce(struct sluice_segment *segment)
{
	if (!sluice_barrier_register())
		ask_for_fences(segment);
}

static uint32_t announce(struct sluice_segment *segment, _Atomic uint64_t *sleepers, uint32_t index)
{
	/* sync: sleep_begin:ticket <- wake:bump; a wake after this changes the word */
	const uint32_t ticket = atomic_load_explicit(&segment->participants[index].wake,
						     memory_order_acquire);

	/* sync: sleep_begin:bit -> wake:take; announced before the barrier */
	atomic_fetch_or_explicit(sleepers, 1ull << index, memory_order_seq_cst);
	return ticket;
}

static void withdraw(_Atomic uint64_t *sleepers, uint32_t index)
{
	/* relaxed: a wake that comes for a withdrawn bit is harmless */
	atomic_fetch_and_explicit(sleepers, ~(1ull << index), memory_order_relaxed);
}

/* How long to sleep at most; 0: the deadline has passed. */
static uint64_t sleep_length(uint64_t now_ns, uint64_t deadline_ns, uint64_t ns_max)
{
	if (now_ns >= deadline_ns)
		return 0;
	return deadline_ns - now_ns < ns_max ? deadline_ns - now_ns : ns_max;
}

uint32_t sluice_sleep_begin(struct sluice_segment *segment, _Atomic uint64_t *sleepers,
			    uint32_t index)
{
	const uint32_t ticket = announce(segment, sleepers, index);

	if (!sluice_barrier())
		ask_for_fences(segment);
	return ticket;
}

void sluice_sleep_end(struct sluice_segment *segment, _Atomic uint64_t *sleepers, uint32_t index,
		      uint32_t ticket, bool sleep, uint64_t deadline_ns)
{
	const uint64_t sleep_ns =
		sleep ? sleep_length(sluice_clock_ns(), deadline_ns, SLEEP_NS_MAX) : 0;

	/* whatever ends it, the caller looks again */
	if (sleep_ns)
		sluice_futex_wait(&segment->participants[index].wake, ticket, sleep_ns);
	withdraw(sleepers, index);
}

void sluice_sleep_many_begin(struct sluice_sleep_place *places, uint32_t count)
{
	sluice_assert(count >= 1 && count <= SLUICE_SLEEP_PLACES_MAX);
	for (uint32_t i = 0; i < count; i++)
		places[i].ticket = announce(places[i].segment, places[i].sleepers, places[i].index);
	if (sluice_barrier())
		return;
	for (uint32_t i = 0; i < count; i++)
		ask_for_fences(places[i].segment);
}

static void sleep_on_all(const struct sluice_sleep_place *places, uint32_t count,
			 uint64_t deadline_ns)
{
	struct futex_waitv words[SLUICE_SLEEP_PLACES_MAX];
	const uint64_t now_ns = sluice_clock_ns();
	_Atomic uint32_t *first = &places[0].segment->participants[places[0].index].wake;
	const uint64_t sleep_ns = sleep_length(
		now_ns, deadline_ns, has_waitv || count == 1 ? SLEEP_NS_MAX : SLEEP_ONE_OF_MANY_NS);

	if (!sleep_ns)
		return;
	if (!has_waitv || count == 1) {
		sluice_futex_wait(first, places[0].ticket, sleep_ns);
		return;
	}
	for (uint32_t i = 0; i < count; i++)
		words[i] = (struct futex_waitv){
			.val = places[i].ticket,
			.uaddr = (uintptr_t)&places[i].segment->participants[places[i].index].wake,
			.flags = FUTEX_32,
		};
	sluice_futex_waitv(words, count, now_ns + sleep_ns);
}

void sluice_sleep_many_end(const struct sluice_sleep_place *places, uint32_t count, bool sleep,
			   uint64_t deadline_ns)
{
	sluice_assert(count >= 1 && count <= SLUICE_SLEEP_PLACES_MAX);
	pthread_once(&once, probe_once);
	if (sleep)
		sleep_on_all(places, count, deadline_ns);
	for (uint32_t i = 0; i < count; i++)
		withdraw(places[i].sleepers, places[i].index);
}

void sluice_wake_participant(struct sluice_segment *segment, uint32_t index)
{
	if (index >= segment->header.participant_count)
		return;
	/* sync: wake:bump -> sleep_begin:ticket; the word differs from any older ticket */
	atomic_fetch_add_explicit(&segment->participants[index].wake, 1, memory_order_release);
	sluice_futex_wake(&segment->participants[index].wake);
}

void sluice_wake(struct sluice_segment *segment, _Atomic uint64_t *sleepers)
{
	/* sync: wake:take <- sleep_begin:bit; taken once, so later publishes do not wake again */
	uint64_t bits = atomic_exchange_explicit(sleepers, 0, memory_order_acq_rel);

	while (bits) {
		const uint32_t index = (uint32_t)__builtin_ctzll(bits);

		bits &= bits - 1;
		sluice_wake_participant(segment, index);
	}
}
