/* SPDX-License-Identifier: MIT */
/* test_participant_kill.c - consumers that are killed, and many that want one name. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <cmocka.h>

#include "shm/clock.h"
#include "tests/lib/ring_fixture.h"

#define MS 1000000ull

static const uint32_t schemes[] = {RING_CURSOR, RING_STAMPED};

static void test_participant_kill__killed_critical_resumes_at_its_position(void **state)
{
	struct sluice_segment segment;
	struct sluice_producer producer;
	struct sluice_consumer consumer;
	pid_t pid;

	(void)state;
	assert_int_equal(ring_create(&segment, "killed", RING_STAMPED, 8, 0), 0);
	assert_int_equal(sluice_producer_open(&producer, &segment, NULL, NULL), 0);
	assert_int_equal(ring_publish(&producer, 6), 0);
	pid = child_consumer("killed", "c", SLUICE_POLICY_CRITICAL, 4);
	assert_true(pid > 0);
	assert_int_equal(ring_consumer(&consumer, &segment, "c", SLUICE_POLICY_CRITICAL, 0), -EBUSY);
	child_kill(pid);
	/* dead, and still held for: exactly one ring */
	assert_int_equal(ring_publish(&producer, 7), -EAGAIN);
	assert_int_equal(producer.next, 12);
	assert_int_equal(sluice_gate_evict(&producer.ring, producer.next), 0);
	assert_int_equal(ring_consumer(&consumer, &segment, "c", SLUICE_POLICY_CRITICAL, 0), 0);
	assert_true(consumer.resumed);
	assert_int_equal(consumer.next, 4);
	assert_int_equal(ring_consume(&consumer, 100), 8);
	sluice_consumer_close(&consumer, false);
	sluice_producer_close(&producer);
	ring_destroy(&segment);
}

static void test_participant_kill__killed_evictable_frees_a_blocked_producer(void **state)
{
	struct sluice_segment segment;
	struct sluice_producer producer;
	uint64_t first;
	pid_t pid;

	(void)state;
	assert_int_equal(ring_create(&segment, "gone", RING_CURSOR, 8, 0), 0);
	assert_int_equal(sluice_producer_open(&producer, &segment, NULL, NULL), 0);
	pid = child_consumer("gone", "e", SLUICE_POLICY_EVICTABLE, 0);
	assert_true(pid > 0);
	assert_int_equal(ring_publish(&producer, 9), -EAGAIN);
	/* alive, however slow: no limit was set */
	assert_int_equal(sluice_producer_claim(&producer, 1, 50 * MS, &first), -ETIMEDOUT);
	child_kill(pid);
	assert_int_equal(sluice_producer_claim(&producer, 1, 5000 * MS, &first), 0);
	/* its entry is taken again */
	pid = child_consumer("gone", "f", SLUICE_POLICY_LOSSY, 0);
	assert_true(pid > 0);
	assert_int_equal(sluice_participant_count(&segment, SLUICE_ROLE_CONSUMER), 1);
	child_kill(pid);
	sluice_producer_close(&producer);
	ring_destroy(&segment);
}

/* S20: dead and away, it holds producers for good: full, never lossy, until an operator decides. */
static void test_participant_kill__dead_critical_holds_until_it_is_evicted(void **state)
{
	struct sluice_segment segment;
	struct sluice_producer producer;
	uint64_t first;
	pid_t pid;

	(void)state;
	assert_int_equal(ring_create(&segment, "away", RING_MULTI, 8, 0), 0);
	assert_int_equal(sluice_producer_open(&producer, &segment, NULL, NULL), 0);
	pid = child_consumer("away", "c", SLUICE_POLICY_CRITICAL, 0);
	assert_true(pid > 0);
	child_kill(pid);
	assert_int_equal(ring_publish(&producer, 9), -EAGAIN);
	assert_int_equal(sluice_producer_claim(&producer, 1, 100 * MS, &first), -ETIMEDOUT);
	assert_int_equal(atomic_load(&segment.control->claim), 8);
	assert_int_equal(sluice_participant_evict(&segment, 1), 0);
	assert_int_equal(ring_publish(&producer, 20), 0);
	sluice_producer_close(&producer);
	ring_destroy(&segment);
}

enum { KILL_WAITING, KILL_READING, KILL_BEFORE_RELEASE, KILL_POINTS };

static struct sluice_consumer victim;

static int stand_at(struct sluice_segment *segment, void *arg)
{
	const int point = *(const int *)arg;
	uint64_t n = 0;

	if (ring_consumer(&victim, segment, "c", SLUICE_POLICY_CRITICAL, SLUICE_FROM_BEGINNING) ||
	    ring_consume(&victim, point == KILL_WAITING ? 6 : 2) == UINT64_MAX)
		return 1;
	victim.wait = SLUICE_WAIT_BLOCK;
	if (point != KILL_WAITING && sluice_consumer_poll(&victim, 3, &n))
		return 1;
	if (point == KILL_READING)
		sluice_consumer_advance(&victim, 1);
	if (point == KILL_BEFORE_RELEASE)
		sluice_consumer_advance(&victim, n);
	return 0;
}

static void wait_there(void *arg)
{
	uint64_t n;

	if (*(const int *)arg == KILL_WAITING)
		sluice_consumer_wait(&victim, 3, SLUICE_WAIT_FOREVER, &n);
}

static pid_t child_at(int point)
{
	return child_ready("points", stand_at, wait_there, &point);
}

/* D27: no gap, and nothing again but the batch that was not released. */
static void test_participant_kill__killed_at_each_point_resumes_without_gap(void **state)
{
	static const uint64_t expected[KILL_POINTS] = {6, 2, 2};

	(void)state;
	for (int i = 0; i < 2 * KILL_POINTS; i++) {
		struct sluice_segment segment;
		struct sluice_producer producer;
		struct sluice_consumer consumer;
		const uint64_t position = expected[i / 2];
		pid_t pid;

		assert_int_equal(ring_create(&segment, "points", schemes[i % 2], 8, 0), 0);
		assert_int_equal(sluice_producer_open(&producer, &segment, NULL, NULL), 0);
		assert_int_equal(ring_publish(&producer, 6), 0);
		pid = child_at(i / 2);
		assert_true(pid > 0);
		child_kill(pid);
		assert_int_equal(ring_publish(&producer, 100), -EAGAIN);
		assert_int_equal(producer.next, position + 8);
		assert_int_equal(ring_consumer(&consumer, &segment, "c", SLUICE_POLICY_CRITICAL, 0),
				 0);
		assert_int_equal(consumer.next, position);
		assert_int_equal(ring_consume(&consumer, 100), 8);
		sluice_consumer_close(&consumer, false);
		sluice_producer_close(&producer);
		ring_destroy(&segment);
	}
}

#define RIVALS 6

/* S19: all at once under one name: exactly one is the engine. */
static void test_participant_kill__one_of_many_gets_a_name(void **state)
{
	(void)state;
	for (int round = 0; round < 20; round++) {
		struct sluice_segment segment;
		pid_t pids[RIVALS];
		int fds[2], winners = 0;

		assert_int_equal(ring_create(&segment, "rivals", RING_CURSOR, 8, 0), 0);
		assert_int_equal(pipe(fds), 0);
		for (int i = 0; i < RIVALS; i++) {
			pids[i] = fork();
			if (!pids[i]) {
				struct sluice_segment own;
				struct sluice_consumer consumer;
				char byte;
				int rc;

				prctl(PR_SET_PDEATHSIG, SIGKILL);
				close(fds[1]);
				if (sluice_segment_attach(&own, "rivals", SLUICE_ACCESS_WRITE,
							  NULL) ||
				    read(fds[0], &byte, 1) != 0)
					_exit(2);
				rc = ring_consumer(&consumer, &own, "engine",
						   SLUICE_POLICY_CRITICAL, SLUICE_FROM_NEXT);
				if (rc)
					_exit(rc == -EBUSY ? 1 : 3);
				for (;;)
					pause();
			}
		}
		close(fds[0]);
		close(fds[1]);
		for (int i = 0; i < RIVALS; i++) {
			const uint64_t end_ns = sluice_clock_ns() + 20000 * MS;
			int code = 0;

			/* the losers end by themselves; the winner stays */
			while (!winners && sluice_clock_ns() < end_ns &&
			       !sluice_participant_count(&segment, SLUICE_ROLE_CONSUMER))
				usleep(100);
			if (segment.participants[0].pid == (uint32_t)pids[i]) {
				winners++;
				continue;
			}
			code = child_wait(pids[i], 20);
			assert_int_equal(code, 1);
		}
		assert_int_equal(winners, 1);
		assert_int_equal(sluice_participant_count(&segment, SLUICE_ROLE_CONSUMER), 1);
		for (int i = 0; i < RIVALS; i++)
			if (segment.participants[0].pid == (uint32_t)pids[i])
				child_kill(pids[i]);
		ring_destroy(&segment);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_participant_kill__killed_critical_resumes_at_its_position),
		cmocka_unit_test(test_participant_kill__killed_evictable_frees_a_blocked_producer),
		cmocka_unit_test(test_participant_kill__dead_critical_holds_until_it_is_evicted),
		cmocka_unit_test(test_participant_kill__killed_at_each_point_resumes_without_gap),
		cmocka_unit_test(test_participant_kill__one_of_many_gets_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
