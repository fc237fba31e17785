/* SPDX-License-Identifier: MIT */
/*
 * test_wait.c - the parts of waiting and waking one by one. The strategies' meaning is in
 * test_wait_strategies.c, lost wake-ups are hunted by integration/test_lost_wakeup.c.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cmocka.h>

#include "shm/clock.h"
#include "shm/futex.h"
#include "shm/wait.h"
#include "tests/lib/forbid.h"
#include "tests/lib/ring_fixture.h"

#define MS 1000000ull
#define SKIPPED 77

static void skip_because(const char *name, const char *reason)
{
	print_message("skip: %s: %s\n", name, reason);
	skip();
}

static void test_wait__names_go_both_ways(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < SLUICE_WAIT_STRATEGIES; i++)
		assert_int_equal(sluice_wait_parse(sluice_wait_name(i)), i);
	assert_int_equal(sluice_wait_parse("busy"), -EINVAL);
	assert_int_equal(sluice_wait_parse("unknown"), -EINVAL);
	assert_string_equal(sluice_wait_name(SLUICE_WAIT_STRATEGIES), "unknown");
	assert_string_equal(sluice_wait_name(SLUICE_WAIT_SLEEPING), "sleep");
	assert_string_equal(sluice_wait_name(SLUICE_WAIT_UMWAIT), "umwait");
}

/* A strategy may come from shared memory: any number has a meaning. */
static void test_wait__what_the_machine_lacks_is_adaptive(void **state)
{
	const uint32_t umwait = sluice_wait_effective(SLUICE_WAIT_UMWAIT);

	(void)state;
	for (uint32_t i = 0; i < SLUICE_WAIT_UMWAIT; i++)
		assert_int_equal(sluice_wait_effective(i), i);
	assert_int_equal(umwait, sluice_wait_umwait_supported() ? SLUICE_WAIT_UMWAIT :
								  SLUICE_WAIT_ADAPTIVE);
	assert_int_equal(sluice_wait_effective(SLUICE_WAIT_STRATEGIES), SLUICE_WAIT_ADAPTIVE);
	assert_int_equal(sluice_wait_effective(UINT32_MAX), SLUICE_WAIT_ADAPTIVE);
	for (uint32_t i = 0; i < SLUICE_WAIT_STRATEGIES; i++)
		assert_int_equal(sluice_wait_blocks(i),
				 i == SLUICE_WAIT_ADAPTIVE || i == SLUICE_WAIT_BLOCK ||
					 i == SLUICE_WAIT_BACKOFF || sluice_wait_effective(i) != i);
}

/* What the sleeper's side leaves behind: no bit, whether it slept or not; bounded sleep. */
static void test_wait__sleep_withdraws_its_bit(void **state)
{
	struct sluice_segment segment;
	_Atomic uint64_t *sleepers;
	uint64_t started_ns;
	uint32_t ticket;

	(void)state;
	assert_int_equal(ring_create(&segment, NULL, RING_CURSOR, 8, 0), 0);
	sluice_barrier_register();
	sleepers = &segment.control->consumer_sleepers;
	for (int sleep = 0; sleep < 2; sleep++) {
		ticket = sluice_sleep_begin(&segment, sleepers, 7);
		assert_int_equal(atomic_load(sleepers), 1u << 7);
		started_ns = sluice_clock_ns();
		sluice_sleep_end(&segment, sleepers, 7, ticket, sleep, SLUICE_WAIT_FOREVER);
		assert_int_equal(atomic_load(sleepers), 0);
		if (sleep)
			assert_true(sluice_clock_ns() - started_ns >= 5 * MS);
		assert_true(sluice_clock_ns() - started_ns < 5000 * MS);
	}
	/* others' bits stay */
	atomic_store(sleepers, 1u << 3);
	ticket = sluice_sleep_begin(&segment, sleepers, 7);
	sluice_sleep_end(&segment, sleepers, 7, ticket, false, SLUICE_WAIT_FOREVER);
	assert_int_equal(atomic_load(sleepers), 1u << 3);
	/* a deadline that has passed is no reason to sleep */
	ticket = sluice_sleep_begin(&segment, sleepers, 7);
	sluice_sleep_end(&segment, sleepers, 7, ticket, true, 1);
	ring_destroy(&segment);
}

/* A wake between the look and the sleep changes the word, so the kernel refuses the sleep. */
static void test_wait__a_ticket_is_good_for_one_wake(void **state)
{
	struct sluice_segment segment;
	_Atomic uint64_t *sleepers;
	uint32_t ticket;

	(void)state;
	assert_int_equal(ring_create(&segment, NULL, RING_CURSOR, 8, 0), 0);
	sleepers = &segment.control->stage_sleepers;
	ticket = sluice_sleep_begin(&segment, sleepers, 7);
	sluice_wake(&segment, sleepers);
	assert_int_equal(sluice_futex_wait(&segment.participants[7].wake, ticket, 20000 * MS),
			 -EAGAIN);
	ticket = sluice_sleep_begin(&segment, sleepers, 7);
	sluice_wake_participant(&segment, 7);
	assert_int_equal(sluice_futex_wait(&segment.participants[7].wake, ticket, 20000 * MS),
			 -EAGAIN);
	ring_destroy(&segment);
}

static void test_wait__wake_takes_the_bits_of_one_word(void **state)
{
	struct sluice_segment segment;
	_Atomic uint64_t *words[3];

	(void)state;
	assert_int_equal(ring_create(&segment, NULL, RING_CURSOR, 8, 0), 0);
	words[0] = &segment.control->consumer_sleepers;
	words[1] = &segment.control->producer_sleepers;
	words[2] = &segment.control->stage_sleepers;
	for (uint32_t w = 0; w < 3; w++) {
		for (uint32_t i = 0; i < 3; i++)
			atomic_store(words[i], 1u << 2 | 1u << 5);
		sluice_wake(&segment, words[w]);
		for (uint32_t i = 0; i < 3; i++)
			assert_int_equal(atomic_load(words[i]), i == w ? 0 : 1u << 2 | 1u << 5);
		for (uint32_t i = 0; i < segment.header.participant_count; i++)
			assert_int_equal(atomic_load(&segment.participants[i].wake),
					 i == 2 || i == 5 ? w + 1 : 0);
	}
	ring_destroy(&segment);
}

/* Bits are shared memory: one without a participant is taken for nothing. */
static void test_wait__wake_stays_inside_the_table(void **state)
{
	struct sluice_segment segment;
	const uint8_t *after;

	(void)state;
	assert_int_equal(ring_create(&segment, NULL, RING_CURSOR, 8, 0), 0);
	segment.header.participant_count = 4;
	atomic_store(&segment.control->consumer_sleepers, UINT64_MAX);
	sluice_wake(&segment, &segment.control->consumer_sleepers);
	sluice_wake_participant(&segment, 4);
	sluice_wake_participant(&segment, UINT32_MAX);
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(atomic_load(&segment.participants[i].wake), 1);
	after = (const uint8_t *)&segment.participants[4];
	for (size_t i = 0; i < sizeof(struct sluice_participant); i++)
		assert_int_equal(after[i], 0);
	ring_destroy(&segment);
}

/* ----------------------------------------------------------- a publisher that dies in between */

/* Publishes by hand, as publish does, and dies before it looks for sleepers. */
static void publish_and_die(void)
{
	struct sluice_segment segment;
	struct sluice_producer producer;
	uint64_t sequence;

	if (sluice_segment_attach(&segment, "dies", SLUICE_ACCESS_WRITE, NULL) ||
	    sluice_producer_open(&producer, &segment, NULL, NULL) ||
	    sluice_producer_try_claim(&producer, 1, &sequence))
		_exit(1);
	event_fill(sluice_producer_slot(&producer, sequence), producer.ring.payload_bytes,
		   sequence);
	/* all consumers sleep */
	while (!atomic_load(&segment.control->consumer_sleepers))
		usleep(100);
	usleep(2000);
	atomic_store(&segment.control->cursor, sequence + 1);
	raise(SIGKILL);
}

static void test_wait__a_publisher_that_dies_before_its_wake_costs_one_bounded_sleep(void **state)
{
	struct sluice_segment segment;
	struct sluice_consumer consumer;
	uint64_t n;
	pid_t pid;

	(void)state;
	assert_int_equal(ring_create(&segment, "dies", RING_CURSOR, 8, 0), 0);
	assert_int_equal(
		ring_consumer(&consumer, &segment, "c", SLUICE_POLICY_CRITICAL, SLUICE_FROM_NEXT),
		0);
	consumer.wait = SLUICE_WAIT_BLOCK;
	for (int i = 0; i < 5; i++) {
		pid = fork();
		if (!pid)
			publish_and_die();
		assert_int_equal(sluice_consumer_wait(&consumer, 1, 20000 * MS, &n), 0);
		assert_int_equal(ring_consume(&consumer, 1), 1);
		assert_int_equal(child_wait(pid, 20), 1000 + SIGKILL);
	}
	sluice_consumer_close(&consumer, false);
	ring_destroy(&segment);
}

/* --------------------------------------------------------------- the barrier and its stand-in */

static void test_wait__a_forked_child_is_still_registered(void **state)
{
	const int get_registrations = 1 << 9;
	const int mask = MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED;
	int known;
	pid_t pid;

	(void)state;
	if (!sluice_barrier_register())
		skip_because("a_forked_child_is_still_registered", "no membarrier here");
	known = sluice_membarrier(get_registrations);
	if (known < 0)
		skip_because("a_forked_child_is_still_registered",
			     "this kernel does not tell registrations");
	assert_true(known & MEMBARRIER_CMD_GLOBAL_EXPEDITED || known & mask);
	pid = fork();
	if (!pid)
		_exit(sluice_barrier_register() && sluice_barrier() &&
				      sluice_membarrier(get_registrations) == known ?
			      0 :
			      1);
	assert_int_equal(child_wait(pid, 20), 0);
}

/* In a child whose calls are filtered. `early`: before the process ever asked for the barrier. */
static void join_filtered(bool early)
{
	const struct sluice_participant_options options = {
		.name = "filtered",
		.role = SLUICE_ROLE_CONSUMER,
		.policy = SLUICE_POLICY_LOSSY,
	};
	struct sluice_segment segment;
	uint32_t index;

	if (!early && !sluice_barrier_register())
		_exit(2);
	if (forbid_syscall(SYS_membarrier))
		_exit(SKIPPED);
	if (sluice_barrier() || sluice_barrier_register() == early)
		_exit(3);
	if (sluice_segment_attach(&segment, "filtered", SLUICE_ACCESS_WRITE, NULL) ||
	    sluice_participant_join(&segment, &options, &index, NULL, NULL))
		_exit(4);
	/* who lost it later says so with its first sleep */
	if (!early) {
		const uint32_t ticket =
			sluice_sleep_begin(&segment, &segment.control->consumer_sleepers, index);

		sluice_sleep_end(&segment, &segment.control->consumer_sleepers, index, ticket,
				 false, SLUICE_WAIT_FOREVER);
	}
	sluice_participant_leave(&segment, index, false);
	_exit(0);
}

/* A child of its own, which has not asked for the barrier yet: the filtered one is its child. */
static int run_filtered(bool early)
{
	const pid_t pid = fork();

	if (!pid)
		join_filtered(early);
	return child_wait(pid, 20);
}

static void one_filtered_makes_all_fence(const char *name, bool early)
{
	struct sluice_segment segment;
	struct sluice_producer producer;
	struct sluice_consumer consumer;
	uint64_t n;
	int rc;

	assert_int_equal(ring_create(&segment, "filtered", RING_CURSOR, 8, 0), 0);
	/* first, because a child inherits what its parent has registered */
	rc = run_filtered(early);
	if (rc == SKIPPED) {
		ring_destroy(&segment);
		skip_because(name, "filters of system calls are not allowed here");
	}
	assert_int_equal(rc, 0);
	assert_int_equal(atomic_load(&segment.control->fenced), 1);
	atomic_store(&segment.control->fenced, 0);
	if (!early) { /* this process registers now: the test before needed it not to */
		assert_int_equal(ring_consumer(&consumer, &segment, "c", SLUICE_POLICY_CRITICAL,
					       SLUICE_FROM_NEXT),
				 0);
		assert_int_equal(sluice_producer_open(&producer, &segment, NULL, NULL), 0);
		assert_int_equal(ring_publish(&producer, 1), 0);
		assert_int_equal(ring_consume(&consumer, 1), 1);
		assert_false(producer.fenced);
		assert_false(consumer.fenced);
		assert_int_equal(run_filtered(false), 0);
		/* at the next claim; by and by; and at once for a newcomer */
		assert_int_equal(ring_publish(&producer, 1), 0);
		assert_true(producer.fenced);
		for (int i = 0; i < 100 && !consumer.fenced; i++)
			assert_int_equal(sluice_consumer_poll(&consumer, 1, &n), 0);
		assert_true(consumer.fenced);
		sluice_consumer_close(&consumer, false);
		assert_int_equal(ring_consumer(&consumer, &segment, "d", SLUICE_POLICY_CRITICAL,
					       SLUICE_FROM_NEXT),
				 0);
		assert_true(consumer.fenced);
		sluice_producer_close(&producer);
		sluice_consumer_close(&consumer, false);
	}
	ring_destroy(&segment);
}

static void test_wait__who_has_no_barrier_makes_publishers_fence(void **state)
{
	(void)state;
	one_filtered_makes_all_fence("who_has_no_barrier_makes_publishers_fence", true);
}

static void test_wait__who_loses_the_barrier_makes_publishers_fence(void **state)
{
	(void)state;
	one_filtered_makes_all_fence("who_loses_the_barrier_makes_publishers_fence", false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* the only one that needs a process which has not registered for the barrier */
		cmocka_unit_test(test_wait__who_has_no_barrier_makes_publishers_fence),
		cmocka_unit_test(test_wait__names_go_both_ways),
		cmocka_unit_test(test_wait__what_the_machine_lacks_is_adaptive),
		cmocka_unit_test(test_wait__sleep_withdraws_its_bit),
		cmocka_unit_test(test_wait__a_ticket_is_good_for_one_wake),
		cmocka_unit_test(test_wait__wake_takes_the_bits_of_one_word),
		cmocka_unit_test(test_wait__wake_stays_inside_the_table),
		cmocka_unit_test(
			test_wait__a_publisher_that_dies_before_its_wake_costs_one_bounded_sleep),
		cmocka_unit_test(test_wait__a_forked_child_is_still_registered),
		cmocka_unit_test(test_wait__who_loses_the_barrier_makes_publishers_fence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
