/* SPDX-License-Identifier: MIT */
/*
 * test_participant_stage.c - the table when participants die or are stopped at the wrong moment:
 * who gates for whom, whose entry is given away, what a joiner does without its barrier.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cmocka.h>

#include "shm/claim.h"
#include "shm/clock.h"
#include "shm/table.h"
#include "tests/lib/forbid.h"
#include "tests/lib/ring_fixture.h"

#define MS 1000000ull
#define LONG_NS (20000 * MS)
#define AFTER(...) ((const char *const[]){__VA_ARGS__, NULL})

static int stage(struct sluice_consumer *consumer, struct sluice_segment *segment, const char *name,
		 uint32_t policy, const char *const *after)
{
	const struct sluice_consumer_options options = {
		.name = name, .policy = policy, .after = after,
	};

	return sluice_consumer_open(consumer, segment, &options, NULL);
}

static uint64_t gating(const struct sluice_segment *segment)
{
	return atomic_load(&segment->control->gating);
}

static void set_state(struct sluice_segment *segment, uint32_t index, uint32_t state)
{
	_Atomic uint64_t *word = &segment->participants[index].state;

	atomic_store(word, (atomic_load(word) & ~SLUICE_PARTICIPANT_STATE_MASK) | state);
}

/* ------------------------------------------------------------------------- a full table */

static int claim_everywhere(struct sluice_segment *segment, void *arg)
{
	static struct sluice_producer producers[SLUICE_PARTICIPANTS_MAX];
	uint64_t first;

	(void)arg;
	for (uint32_t i = 0; i < segment->header.participant_count - 1; i++)
		if (sluice_producer_open(&producers[i], segment, NULL, NULL) ||
		    sluice_producer_try_claim(&producers[i], 1, &first))
			return 1;
	return 0;
}

/* S57: all but one entry is a dead producer's who died in a claim: they are given back with it. */
static void test_participant_stage__full_table_is_recovered(void **state)
{
	struct sluice_consumer consumer, lossy, other;
	struct sluice_segment segment;
	struct sluice_diag diag;
	const struct sluice_consumer_options options = {.name = "other"};
	pid_t pid;

	(void)state;
	assert_int_equal(ring_create(&segment, "full", RING_MULTI, 256, 0), 0);
	pid = child_ready("full", claim_everywhere, NULL, NULL);
	assert_true(pid > 0);
	assert_int_equal(stage(&consumer, &segment, "c", SLUICE_POLICY_CRITICAL, NULL), 0);
	assert_int_equal(sluice_consumer_open(&other, &segment, &options, &diag), -EAGAIN);
	assert_non_null(strstr(diag.text, "all 64"));
	child_kill(pid);
	assert_int_equal(sluice_consumer_open(&other, &segment, &options, NULL), 0);
	assert_int_equal(atomic_load(&segment.control->tombstones), SLUICE_PARTICIPANTS_MAX - 1);
	assert_int_equal(ring_consume(&consumer, 256), SLUICE_PARTICIPANTS_MAX - 1);
	assert_int_equal(stage(&lossy, &segment, "l", SLUICE_POLICY_LOSSY, NULL), 0);
	sluice_consumer_close(&lossy, false);
	sluice_consumer_close(&other, false);
	sluice_consumer_close(&consumer, false);
	ring_destroy(&segment);
}

static int claim_once(struct sluice_segment *segment, void *arg)
{
	static struct sluice_producer producer;
	uint64_t first;

	(void)arg;
	return sluice_producer_open(&producer, segment, NULL, NULL) ||
	       sluice_producer_try_claim(&producer, 3, &first);
}

/* As long as there are others, its record stays where recovery looks for it. */
static void test_participant_stage__dead_claims_entry_is_left_alone(void **state)
{
	struct sluice_consumer consumer;
	struct sluice_segment segment;
	pid_t pid;

	(void)state;
	assert_int_equal(ring_create(&segment, "left", RING_MULTI, 8, 0), 0);
	pid = child_ready("left", claim_once, NULL, NULL);
	assert_true(pid > 0);
	child_kill(pid);
	assert_int_equal(stage(&consumer, &segment, "c", SLUICE_POLICY_CRITICAL, NULL), 0);
	assert_int_equal(consumer.index, 1);
	assert_int_equal(atomic_load(&segment.control->tombstones), 0);
	sluice_consumer_close(&consumer, false);
	ring_destroy(&segment);
}

/* ------------------------------------------------------------------ dead in the middle of it */

/* C3: died between its bit and its position. It holds producers back until somebody looks. */
static void test_participant_stage__dead_joiner_is_evicted(void **state)
{
	(void)state;
	for (int next = 0; next < 2; next++) {
		struct sluice_producer producer;
		struct sluice_consumer consumer;
		struct sluice_segment segment;
		uint64_t first;

		assert_int_equal(ring_create(&segment, "joiner", RING_MULTI, 8, 0), 0);
		assert_int_equal(sluice_producer_open(&producer, &segment, NULL, NULL), 0);
		segment.participants[1].role = SLUICE_ROLE_CONSUMER;
		atomic_store(&segment.participants[1].policy, SLUICE_POLICY_CRITICAL);
		set_state(&segment, 1, SLUICE_PARTICIPANT_JOINING);
		atomic_store(&segment.control->gating, 2);
		atomic_fetch_add(&segment.control->membership, 1);
		assert_int_equal(sluice_producer_try_claim(&producer, 1, &first), -EAGAIN);
		if (next) { /* a newcomer takes the entry */
			assert_int_equal(stage(&consumer, &segment, "c", SLUICE_POLICY_LOSSY, NULL),
					 0);
			assert_int_equal(consumer.index, 1);
			assert_int_equal(gating(&segment), 0);
			sluice_consumer_close(&consumer, false);
		}
		assert_int_equal(sluice_producer_claim(&producer, 1, LONG_NS, &first), 0);
		assert_int_equal(gating(&segment), 0);
		sluice_producer_close(&producer);
		ring_destroy(&segment);
	}
}

static int follow_a(struct sluice_segment *segment, void *arg)
{
	static struct sluice_consumer consumer;

	(void)arg;
	return stage(&consumer, segment, "f", SLUICE_POLICY_EVICTABLE, AFTER("a"));
}

/* Whatever way a dead follower's entry goes, its bit goes to whom it followed first. */
static void test_participant_stage__dead_followers_bit_goes_back(void **state)
{
	(void)state;
	for (int way = 0; way < 3; way++) {
		struct sluice_consumer a, other;
		struct sluice_producer producer;
		struct sluice_segment segment;
		uint64_t first;
		pid_t pid;

		assert_int_equal(ring_create(&segment, "back", RING_CURSOR, 8, 0), 0);
		assert_int_equal(stage(&a, &segment, "a", SLUICE_POLICY_CRITICAL, NULL), 0);
		assert_int_equal(sluice_producer_open(&producer, &segment, NULL, NULL), 0);
		pid = child_ready("back", follow_a, NULL, NULL);
		assert_true(pid > 0);
		assert_int_equal(gating(&segment), 4);
		assert_int_equal(ring_publish(&producer, 8), 0);
		assert_int_equal(ring_consume(&a, 5), 5);
		assert_int_equal(ring_publish(&producer, 1), -EAGAIN);
		child_kill(pid);
		/* way 2: its evictor died between the verdict and the bits */
		if (way == 2)
			set_state(&segment, 2, SLUICE_PARTICIPANT_EVICTED);
		if (way == 1) {
			assert_int_equal(stage(&other, &segment, "l", SLUICE_POLICY_LOSSY, NULL),
					 0);
			assert_int_equal(other.index, 2);
			assert_int_equal(gating(&segment), 1);
			sluice_consumer_close(&other, false);
		}
		assert_int_equal(sluice_producer_claim(&producer, 5, LONG_NS, &first), 0);
		assert_int_equal(gating(&segment), 1);
		assert_int_equal(sluice_producer_try_claim(&producer, 1, &first), -EAGAIN);
		sluice_producer_close(&producer);
		sluice_consumer_close(&a, false);
		ring_destroy(&segment);
	}
}

static void test_participant_stage__lag_of_a_stage_counts(void **state)
{
	const struct sluice_consumer_options limited = {
		.name = "e", .policy = SLUICE_POLICY_EVICTABLE, .lag_max = 3,
	};
	struct sluice_consumer e, f;
	struct sluice_producer producer;
	struct sluice_segment segment;
	uint64_t n;

	(void)state;
	assert_int_equal(ring_create(&segment, "lag", RING_STAMPED, 8, 0), 0);
	assert_int_equal(sluice_producer_open(&producer, &segment, NULL, NULL), 0);
	assert_int_equal(sluice_consumer_open(&e, &segment, &limited, NULL), 0);
	assert_int_equal(stage(&f, &segment, "f", SLUICE_POLICY_CRITICAL, AFTER("e")), 0);
	assert_int_equal(ring_publish(&producer, 3), 0);
	assert_int_equal(sluice_consumer_wait(&f, 8, 50 * MS, &n), -ETIMEDOUT);
	assert_int_equal(ring_publish(&producer, 1), 0);
	assert_int_equal(sluice_consumer_wait(&f, 8, LONG_NS, &n), -ESTALE);
	assert_int_equal(sluice_consumer_poll(&e, 8, &n), -ESTALE);
	sluice_consumer_close(&f, false);
	sluice_consumer_close(&e, false);
	assert_int_equal(gating(&segment), 0);
	sluice_producer_close(&producer);
	ring_destroy(&segment);
}

/* ------------------------------------------------------------------------ coming and going */

/* One that comes back draws its line anew: whom it does not follow any more gates again. */
static void test_participant_stage__coming_back_draws_the_line_anew(void **state)
{
	struct sluice_consumer a, b, f;
	struct sluice_segment segment;

	(void)state;
	assert_int_equal(ring_create(&segment, NULL, RING_CURSOR, 8, 0), 0);
	assert_int_equal(stage(&a, &segment, "a", SLUICE_POLICY_CRITICAL, NULL), 0);
	assert_int_equal(stage(&b, &segment, "b", SLUICE_POLICY_CRITICAL, NULL), 0);
	assert_int_equal(stage(&f, &segment, "f", SLUICE_POLICY_CRITICAL, AFTER("a", "b")), 0);
	assert_int_equal(gating(&segment), 4);
	sluice_consumer_close(&f, true);
	assert_int_equal(gating(&segment), 4);
	assert_int_equal(stage(&f, &segment, "f", SLUICE_POLICY_CRITICAL, AFTER("b")), 0);
	assert_int_equal(gating(&segment), 5);
	sluice_consumer_close(&f, true);
	/* whatever its bit has been through */
	atomic_store(&segment.control->gating, 1);
	assert_int_equal(stage(&f, &segment, "f", SLUICE_POLICY_CRITICAL, NULL), 0);
	assert_int_equal(gating(&segment), 7);
	sluice_consumer_close(&f, false);
	sluice_consumer_close(&b, false);
	sluice_consumer_close(&a, false);
	assert_int_equal(gating(&segment), 0);
	ring_destroy(&segment);
}

/* Who leaves or is evicted wakes all who waited for its position. */
static void test_participant_stage__leaving_wakes_who_waits(void **state)
{
	struct sluice_consumer a, f;
	struct sluice_producer producer;
	struct sluice_segment segment;

	(void)state;
	for (int evict = 0; evict < 2; evict++) {
		uint32_t wakes[2];

		assert_int_equal(ring_create(&segment, NULL, RING_CURSOR, 8, 0), 0);
		assert_int_equal(sluice_producer_open(&producer, &segment, NULL, NULL), 0);
		assert_int_equal(stage(&a, &segment, "a", SLUICE_POLICY_CRITICAL, NULL), 0);
		assert_int_equal(stage(&f, &segment, "f", SLUICE_POLICY_CRITICAL, AFTER("a")), 0);
		atomic_store(&segment.control->producer_sleepers, 1ull << producer.index);
		atomic_store(&segment.control->stage_sleepers, 1ull << f.index);
		wakes[0] = atomic_load(&producer.self->wake);
		wakes[1] = atomic_load(&f.self->wake);
		if (evict)
			assert_int_equal(sluice_participant_evict(&segment, a.index), 0);
		else
			sluice_consumer_close(&a, false);
		assert_int_equal(atomic_load(&producer.self->wake), wakes[0] + 1);
		assert_int_equal(atomic_load(&f.self->wake), wakes[1] + 1);
		if (evict)
			sluice_consumer_close(&a, false);
		sluice_consumer_close(&f, false);
		sluice_producer_close(&producer);
		ring_destroy(&segment);
	}
}

/* A claim that is announced, and may be made without another look, is not joined behind. */
static void test_participant_stage__announced_claims_bound_old_joins(void **state)
{
	const struct sluice_consumer_options options = {
		.name = "old", .from = SLUICE_FROM_BEGINNING,
	};
	struct sluice_consumer consumer;
	struct sluice_producer producer;
	struct sluice_segment segment;

	(void)state;
	assert_int_equal(ring_create(&segment, NULL, RING_MULTI, 8, 0), 0);
	assert_int_equal(sluice_producer_open(&producer, &segment, NULL, NULL), 0);
	assert_int_equal(ring_publish(&producer, 20), 0);
	atomic_store(&producer.self->claim_record, sluice_claim_pack(SLUICE_CLAIM_ATTEMPT, 20, 3));
	assert_int_equal(sluice_consumer_open(&consumer, &segment, &options, NULL), 0);
	assert_int_equal(consumer.next, 15);
	sluice_consumer_close(&consumer, false);
	atomic_store(&producer.self->claim_record, SLUICE_CLAIM_IDLE);
	assert_int_equal(sluice_consumer_open(&consumer, &segment, &options, NULL), 0);
	assert_int_equal(consumer.next, 12);
	sluice_consumer_close(&consumer, false);
	sluice_producer_close(&producer);
	ring_destroy(&segment);
}

/* ----------------------------------------------------------------------- a stopped joiner */

static int hold_the_table(struct sluice_segment *segment, void *arg)
{
	(void)arg;
	return sluice_table_try_lock(segment);
}

/*
 * One that holds the table's lock is stopped: who follows nobody leaves all the same, who follows
 * leaves what it kept to be handed over later. Nothing it or those before it need is let go.
 */
static void test_participant_stage__leaving_does_not_wait_for_ever(void **state)
{
	struct sluice_consumer a, b, c, plain;
	struct sluice_producer producer;
	struct sluice_segment segment;
	uint64_t started_ns, first;
	pid_t pid;

	(void)state;
	assert_int_equal(ring_create(&segment, "stopped", RING_STAMPED, 8, 0), 0);
	assert_int_equal(sluice_producer_open(&producer, &segment, NULL, NULL), 0);
	assert_int_equal(stage(&a, &segment, "a", SLUICE_POLICY_CRITICAL, NULL), 0);
	assert_int_equal(stage(&b, &segment, "b", SLUICE_POLICY_CRITICAL, AFTER("a")), 0);
	assert_int_equal(stage(&c, &segment, "c", SLUICE_POLICY_CRITICAL, AFTER("b")), 0);
	assert_int_equal(stage(&plain, &segment, "plain", SLUICE_POLICY_CRITICAL, NULL), 0);
	assert_int_equal(ring_publish(&producer, 8), 0);
	pid = child_ready("stopped", hold_the_table, NULL, NULL);
	assert_true(pid > 0);
	started_ns = sluice_clock_ns();
	sluice_consumer_close(&plain, false);
	assert_true(sluice_clock_ns() - started_ns < 900 * MS);
	sluice_consumer_close(&b, false);
	sluice_consumer_close(&c, false);
	assert_true(sluice_clock_ns() - started_ns < LONG_NS);
	/* c is gone, and its bit still stands for all of them */
	assert_int_equal(gating(&segment), 1ull << c.index);
	assert_int_equal(sluice_producer_claim(&producer, 1, 50 * MS, &first), -ETIMEDOUT);
	child_kill(pid);
	assert_int_equal(sluice_producer_claim(&producer, 1, 50 * MS, &first), -ETIMEDOUT);
	assert_int_equal(gating(&segment), 1ull << a.index);
	assert_int_equal(ring_consume(&a, 1), 1);
	assert_int_equal(sluice_producer_claim(&producer, 1, LONG_NS, &first), 0);
	sluice_consumer_close(&a, false);
	sluice_producer_close(&producer);
	assert_int_equal(gating(&segment), 0);
	ring_destroy(&segment);
}

/* ---------------------------------------------------------------------- without the barrier */

/* Exit code 0: joined for the next event and read `right` ones; older ones are refused. */
static int join_without_barrier(void)
{
	const struct sluice_consumer_options old = {.name = "old", .from = SLUICE_FROM_BEGINNING};
	struct sluice_consumer consumer;
	struct sluice_segment segment;
	struct sluice_diag diag;

	if (forbid_syscall(SYS_membarrier))
		return 77;
	if (sluice_segment_attach(&segment, "fenced", SLUICE_ACCESS_WRITE, NULL))
		return 2;
	if (sluice_consumer_open(&consumer, &segment, &old, &diag) != -ENOSYS ||
	    !strstr(diag.text, "membarrier") || gating(&segment))
		return 3;
	for (int i = 0; i < 30; i++) {
		uint64_t left = 24, n;

		if (ring_consumer(&consumer, &segment, "new", SLUICE_POLICY_CRITICAL,
				  SLUICE_FROM_NEXT))
			return 4;
		while (left) {
			if (sluice_consumer_wait(&consumer, left, LONG_NS, &n))
				return 5;
			if (ring_consume(&consumer, n) != n)
				return 6;
			left -= n;
		}
		sluice_consumer_close(&consumer, false);
	}
	return 0;
}

static void test_participant_stage__joins_for_the_next_event_without_barrier(void **state)
{
	static const uint32_t schemes[] = {RING_CURSOR, RING_MULTI};

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct sluice_producer producer;
		struct sluice_segment segment;
		pid_t pid, stop;
		int code;

		assert_int_equal(ring_create(&segment, "fenced", schemes[i], 16, 0), 0);
		stop = fork();
		if (!stop) { /* runs until it is killed */
			struct sluice_segment own;

			prctl(PR_SET_PDEATHSIG, SIGKILL);
			if (sluice_segment_attach(&own, "fenced", SLUICE_ACCESS_WRITE, NULL) ||
			    sluice_producer_open(&producer, &own, NULL, NULL))
				_exit(1);
			for (;;)
				ring_publish(&producer, 1);
		}
		pid = fork();
		if (!pid) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			_exit(join_without_barrier());
		}
		code = child_wait(pid, 30);
		child_kill(stop);
		if (code == 77) {
			ring_destroy(&segment);
			print_message("skip: joins_for_the_next_event_without_barrier: seccomp is "
				      "not to be had\n");
			skip();
		}
		assert_int_equal(code, 0);
		assert_int_equal(atomic_load(&segment.control->fenced), 1);
		ring_destroy(&segment);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_participant_stage__full_table_is_recovered),
		cmocka_unit_test(test_participant_stage__dead_claims_entry_is_left_alone),
		cmocka_unit_test(test_participant_stage__dead_joiner_is_evicted),
		cmocka_unit_test(test_participant_stage__dead_followers_bit_goes_back),
		cmocka_unit_test(test_participant_stage__lag_of_a_stage_counts),
		cmocka_unit_test(test_participant_stage__coming_back_draws_the_line_anew),
		cmocka_unit_test(test_participant_stage__leaving_wakes_who_waits),
		cmocka_unit_test(test_participant_stage__announced_claims_bound_old_joins),
		cmocka_unit_test(test_participant_stage__leaving_does_not_wait_for_ever),
		cmocka_unit_test(test_participant_stage__joins_for_the_next_event_without_barrier),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
