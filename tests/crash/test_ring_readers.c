/* SPDX-License-Identifier: MIT */
/*
 * test_ring_readers.c - consumers that are killed and stopped: a critical one holds producers at
 * the ring's size and comes back to every event, an evictable one is got rid of and notices.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "tests/crash/ring_scene.h"

static void await_stop(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(WIFSTOPPED(status));
}

/* Reads until it is killed; never gives a slot back but the first `released`. */
static pid_t start_reader(uint32_t policy, uint64_t lag_max, uint64_t released)
{
	const struct sluice_consumer_options options = {
		.name = "reader", .policy = policy, .from = SLUICE_FROM_BEGINNING,
		.lag_max = lag_max,
	};
	const pid_t pid = fork();
	struct sluice_segment mine;
	struct sluice_consumer reader;
	uint64_t n;

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(segment.lock_fd);
	if (sluice_segment_attach(&mine, RING_NAME, SLUICE_ACCESS_WRITE, NULL) ||
	    sluice_consumer_open(&reader, &mine, &options, NULL))
		_exit(2);
	for (;;) {
		uint64_t event[8];
		const int rc = sluice_consumer_wait(&reader, 1, 100 * MS, &n);

		if (rc == -ESTALE)
			_exit(0);
		if (rc)
			continue;
		if (policy == SLUICE_POLICY_EVICTABLE && reader.next == released)
			raise(SIGSTOP);
		if (sluice_consumer_copy(&reader, reader.next, event) == -ESTALE)
			_exit(0);
		if (reader.next > released + SLOTS)
			_exit(4); /* a side effect that an evicted one must not have */
		sluice_consumer_advance(&reader, n);
		if (reader.next <= released)
			sluice_consumer_release(&reader, reader.next);
	}
}

static void await_gating(uint64_t members)
{
	const uint64_t end_ns = sluice_clock_ns() + 10 * S;

	while ((uint64_t)__builtin_popcountll(atomic_load(&segment.control->gating)) < members &&
	       sluice_clock_ns() < end_ns)
		usleep(1000);
	/* ACTIVE comes after the bit */
	usleep(20000);
}

static void test_ring_readers__critical_consumer_killed(void **state)
{
	struct sluice_producer producer;
	struct sluice_consumer reader;
	uint64_t first, n;
	pid_t pid;

	(void)state;
	ring_open();
	pid = start_reader(SLUICE_POLICY_CRITICAL, 0, 4);
	await_gating(2);
	assert_int_equal(sluice_producer_open(&producer, &segment, NULL, NULL), 0);
	assert_int_equal(ring_publish(&producer, 8), 0);
	assert_reads(0, 8);
	while (sluice_producer_remaining(&producer) < SLOTS - 4)
		usleep(1000);
	child_kill(pid);
	/* it has released 4: so many and a ring can be published, not one more */
	assert_int_equal(ring_publish(&producer, SLOTS - 4), 0);
	assert_int_equal(sluice_producer_try_claim(&producer, 1, &first), -EAGAIN);
	assert_int_equal(sluice_producer_claim(&producer, 1, 100 * MS, &first), -ETIMEDOUT);
	assert_reads(0, SLOTS - 4);
	/* it comes back where it was and misses nothing */
	assert_int_equal(ring_consumer(&reader, &segment, "reader", SLUICE_POLICY_CRITICAL,
				       SLUICE_FROM_NEXT), 0);
	assert_true(reader.resumed);
	assert_int_equal(reader.next, 4);
	assert_int_equal(ring_consume(&reader, SLOTS), SLOTS);
	assert_int_equal(sluice_consumer_poll(&reader, 1, &n), -EAGAIN);
	assert_int_equal(ring_publish(&producer, 1), 0);
	assert_reads(0, 1);
	sluice_consumer_close(&reader, false);
	sluice_producer_close(&producer);
	ring_end();
}

static void test_ring_readers__evictable_consumer_killed(void **state)
{
	struct sluice_producer producer;
	uint64_t first, began_ns;
	pid_t pid;

	(void)state;
	ring_open();
	pid = start_reader(SLUICE_POLICY_EVICTABLE, 0, SLOTS * 2);
	await_gating(2);
	kill(pid, SIGSTOP);
	await_stop(pid);
	assert_int_equal(sluice_producer_open(&producer, &segment, NULL, NULL), 0);
	assert_int_equal(ring_publish(&producer, SLOTS), 0);
	assert_reads(0, SLOTS);
	/* alive, however stopped: it has no limit, so it holds everybody */
	assert_int_equal(sluice_producer_claim(&producer, 1, 100 * MS, &first), -ETIMEDOUT);
	child_kill(pid);
	began_ns = sluice_clock_ns();
	assert_int_equal(sluice_producer_claim(&producer, 1, 10 * S, &first), 0);
	print_message("a dead evictable consumer delayed its producer by %llu us\n",
		      (unsigned long long)((sluice_clock_ns() - began_ns) / 1000));
	fill(&producer, first, 1);
	sluice_producer_publish(&producer, first);
	assert_reads(0, 1);
	sluice_producer_close(&producer);
	ring_end();
}

/* Stopped beyond its limit, in the midst of its work: evicted, and it notices before any effect. */
static void test_ring_readers__evictable_consumer_stopped(void **state)
{
	struct sluice_producer producer;
	pid_t pid;

	(void)state;
	ring_open();
	pid = start_reader(SLUICE_POLICY_EVICTABLE, SLOTS / 2, 3);
	await_gating(2);
	assert_int_equal(sluice_producer_open(&producer, &segment, NULL, NULL), 0);
	assert_int_equal(ring_publish(&producer, 4), 0);
	await_stop(pid);
	for (uint64_t i = 0; i < 4 * SLOTS; i++) {
		uint64_t first;

		assert_int_equal(sluice_producer_claim(&producer, 1, 10 * S, &first), 0);
		fill(&producer, first, 1);
		sluice_producer_publish(&producer, first);
		assert_reads(0, i ? 1 : 5);
	}
	kill(pid, SIGCONT);
	assert_int_equal(child_wait(pid, 10), 0);
	sluice_producer_close(&producer);
	ring_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ring_readers__critical_consumer_killed),
		cmocka_unit_test(test_ring_readers__evictable_consumer_killed),
		cmocka_unit_test(test_ring_readers__evictable_consumer_stopped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
