/* SPDX-License-Identifier: MIT */
/*
 * wakeup_hunt.h - the two sides of the hunt for lost wake-ups (test_lost_wakeup.c): what the
 * sleeper sleeps for, what the waker does to wake it, and what is counted below both. Included by
 * that one file.
 */
#ifndef SLUICE_TESTS_INTEGRATION_WAKEUP_HUNT_H
#define SLUICE_TESTS_INTEGRATION_WAKEUP_HUNT_H

/* Short phases, so that sleeps collide with publications soon. */
#define SLUICE_WAIT_ADAPTIVE_SPINS 8u
#define SLUICE_WAIT_ADAPTIVE_YIELD_NS 500u
#define SLUICE_WAIT_BACKOFF_SPIN_NS 300u
#define SLUICE_WAIT_BACKOFF_YIELD_NS 500u
#include "tests/lib/wait_hook.h"

#include "tests/lib/ring_fixture.h"

#define PATIENCE_NS 20000000000ull /* of a wait: only a hang takes so long */

enum sleeps_for { FOR_EVENTS, FOR_SPACE, FOR_STAGE, FOR_MANY };

struct mode {
	const char *name;
	enum sleeps_for sleeps_for;
	uint32_t strategy;
	uint32_t publication;
	bool sleeper_is_forbidden; /* membarrier, by a filter */
	bool waker_is_forbidden;
	bool has_onlooker;   /* somebody else sleeps on the same word, by a read-only mapping */
	bool has_no_barrier; /* the positive control */
};

struct hunt {
	_Atomic uint64_t sleeper_at;
	uint8_t pad0[120];
	_Atomic uint64_t waker_at;
	uint8_t pad1[120];
	_Atomic uint64_t finished; /* the waker's last round, wake-up included, and when */
	_Atomic uint64_t finished_ns;
	uint8_t pad2[112];
	_Atomic uint32_t joined, stop;
	_Atomic uint32_t sleeper_index;
	uint64_t rounds, rounds_max, misses_max, late_every, started_ns, random;
	_Atomic uint64_t sleeps, timeouts, lost; /* the sleeper's */
	_Atomic uint64_t onlooks;
	struct mode mode;
};

static struct hunt *hunt;

/* ----------------------------------------------------------------- what the sleeper's calls do */

static inline int judge(int rc, uint64_t end_ns)
{
	if (rc == -EAGAIN)
		return rc;
	atomic_fetch_add(&hunt->sleeps, 1);
	if (rc != -ETIMEDOUT)
		return rc;
	atomic_fetch_add(&hunt->timeouts, 1);
	if (atomic_load(&hunt->finished) >= atomic_load(&hunt->sleeper_at) &&
	    atomic_load(&hunt->finished_ns) < end_ns)
		atomic_fetch_add(&hunt->lost, 1);
	return rc;
}

int hook_futex_wait(_Atomic uint32_t *word, uint32_t value, uint64_t timeout_ns)
{
	const uint64_t end_ns = sluice_clock_ns() + timeout_ns;

	return judge(sluice_futex_wait(word, value, timeout_ns), end_ns);
}

int hook_futex_waitv(struct futex_waitv *words, uint32_t count, uint64_t until_ns)
{
	const int rc = sluice_futex_waitv(words, count, until_ns);

	return words ? judge(rc, until_ns) : rc;
}

/*
 * A refusal is remembered: the way to the filter and back takes longer than a store needs to become
 * visible, and would hide a publisher's missing fence.
 */
int hook_membarrier(int command)
{
	static int refusal;

	if (command != MEMBARRIER_CMD_GLOBAL_EXPEDITED)
		return sluice_membarrier(command);
	if (hunt->mode.has_no_barrier)
		return 0;
	if (!refusal) {
		const int rc = sluice_membarrier(command);

		refusal = rc < 0 ? rc : 0;
		return rc;
	}
	return refusal;
}

/* -------------------------------------------------------------------------- the sleeper's side */

static struct sluice_segment segments[2];
static struct sluice_producer producers[2];
static struct sluice_consumer consumers[2];

static inline bool attach(uint32_t rings, enum sluice_access access)
{
	static const char *const ring_names[] = {"hunt", "hunt2"};

	for (uint32_t i = 0; i < rings; i++)
		if (sluice_segment_attach(&segments[i], ring_names[i], access, NULL))
			return false;
	return true;
}

static inline bool open_producer(uint32_t ring)
{
	const struct sluice_producer_options options = {.wait = hunt->mode.strategy};

	return !sluice_producer_open(&producers[ring], &segments[ring], &options, NULL);
}

static inline bool open_consumer(uint32_t ring, const char *name, const char *const *after)
{
	const struct sluice_consumer_options options = {
		.name = name,
		.wait = hunt->mode.strategy,
		.from = SLUICE_FROM_NEXT,
		.after = after,
	};

	return !sluice_consumer_open(&consumers[ring], &segments[ring], &options, NULL);
}

static inline bool open_sleeper(void)
{
	static const char *const after[] = {"early", NULL};

	switch (hunt->mode.sleeps_for) {
	case FOR_SPACE:
		return attach(1, SLUICE_ACCESS_WRITE) && open_producer(0) &&
		       !ring_publish(&producers[0], segments[0].header.slot_count);
	case FOR_STAGE:
		return attach(1, SLUICE_ACCESS_WRITE) && open_consumer(0, "late", after);
	case FOR_MANY:
		return attach(2, SLUICE_ACCESS_WRITE) && open_consumer(0, "a", NULL) &&
		       open_consumer(1, "b", NULL);
	default:
		return attach(1, SLUICE_ACCESS_WRITE) && open_consumer(0, "c", NULL);
	}
}

static inline bool take_event(uint32_t ring)
{
	return ring_consume(&consumers[ring], 1) == 1;
}

/* As a consumer of many rings does it. */
static inline bool sleep_on_two_rings(void)
{
	struct sluice_sleep_place places[2];
	uint64_t n;

	for (uint32_t i = 0; i < 2; i++)
		places[i] = (struct sluice_sleep_place){
			.segment = &segments[i],
			.sleepers = &segments[i].control->consumer_sleepers,
			.index = consumers[i].index,
		};
	for (;;) {
		bool is_ready;

		sluice_sleep_many_begin(places, 2);
		is_ready = !sluice_consumer_poll(&consumers[0], 1, &n) ||
			   !sluice_consumer_poll(&consumers[1], 1, &n);
		sluice_sleep_many_end(places, 2, !is_ready, SLUICE_WAIT_FOREVER);
		if (ring_consume(&consumers[0], 1) == 1 || ring_consume(&consumers[1], 1) == 1)
			return true;
	}
}

static inline bool sleep_once(void)
{
	uint64_t n;

	switch (hunt->mode.sleeps_for) {
	case FOR_SPACE:
		if (sluice_producer_claim(&producers[0], 1, PATIENCE_NS, &n))
			return false;
		event_fill(sluice_producer_slot(&producers[0], n), producers[0].ring.payload_bytes,
			   n);
		sluice_producer_publish(&producers[0], n);
		return true;
	case FOR_MANY:
		return sleep_on_two_rings();
	default:
		return !sluice_consumer_wait(&consumers[0], 1, PATIENCE_NS, &n) && take_event(0);
	}
}

/* ---------------------------------------------------------------------------- the waker's side */

/* One that was there before somebody without the barrier came is told within some polls. */
static inline void learn_of_fences(void)
{
	uint64_t n;

	for (uint32_t i = 0; i < 256; i++)
		sluice_consumer_poll(&consumers[0], 1, &n);
}

static inline bool open_waker(void)
{
	switch (hunt->mode.sleeps_for) {
	case FOR_SPACE:
		return attach(1, SLUICE_ACCESS_WRITE) && open_consumer(0, "c", NULL);
	case FOR_STAGE:
		return attach(1, SLUICE_ACCESS_WRITE) && open_producer(0) &&
		       open_consumer(0, "early", NULL);
	case FOR_MANY:
		return attach(2, SLUICE_ACCESS_WRITE) && open_producer(0) && open_producer(1);
	default:
		return attach(1, SLUICE_ACCESS_WRITE) && open_producer(0);
	}
}

/* Everything of a round but the store that the sleeper waits for. */
static inline bool prepare(uint32_t ring, uint64_t *ret_sequence)
{
	const enum sleeps_for sleeps_for = hunt->mode.sleeps_for;
	uint64_t n;

	if (sleeps_for != FOR_SPACE) {
		while (sluice_producer_try_claim(&producers[ring], 1, ret_sequence)) {
			if (atomic_load(&hunt->stop))
				return false;
			sched_yield();
		}
		event_fill(sluice_producer_slot(&producers[ring], *ret_sequence),
			   producers[ring].ring.payload_bytes, *ret_sequence);
	}
	if (sleeps_for == FOR_STAGE)
		sluice_producer_publish(&producers[ring], *ret_sequence);
	if (sleeps_for == FOR_STAGE || sleeps_for == FOR_SPACE) {
		while (sluice_consumer_poll(&consumers[0], 1, &n)) {
			if (atomic_load(&hunt->stop))
				return false;
			sched_yield();
		}
		sluice_consumer_advance(&consumers[0], 1);
	}
	return true;
}

static inline void act(uint32_t ring, uint64_t sequence)
{
	if (hunt->mode.sleeps_for == FOR_STAGE || hunt->mode.sleeps_for == FOR_SPACE)
		sluice_consumer_release(&consumers[0], consumers[0].next);
	else
		sluice_producer_publish(&producers[ring], sequence);
}

#endif
