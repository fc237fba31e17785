/* SPDX-License-Identifier: MIT */
/*
 * test_consumer_stall.c - waits that end otherwise than by an event: claims of the dead and of the
 * living, stages that are dead, interruptions.
 */
#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <cmocka.h>

#include "shm/clock.h"
#include "tests/lib/ring_fixture.h"

#define MS 1000000ull
#define LONG_NS (20000 * MS)

static const uint32_t schemes[] = {RING_STAMPED, RING_MULTI};
static const uint32_t waits[] = {SLUICE_WAIT_ADAPTIVE, SLUICE_WAIT_SPIN,    SLUICE_WAIT_YIELD,
				 SLUICE_WAIT_BLOCK,    SLUICE_WAIT_SLEEPING, SLUICE_WAIT_BACKOFF};
#define WAITS (sizeof(waits) / sizeof(waits[0]))

static int claim_some(struct sluice_segment *segment, void *arg)
{
	static struct sluice_producer producer;
	const uint64_t n = *(const uint64_t *)arg;
	uint64_t first;

	if (sluice_producer_open(&producer, segment, NULL, NULL) ||
	    sluice_producer_claim(&producer, n, LONG_NS, &first))
		return 1;
	if (segment->header.producer_mode == SLUICE_PRODUCER_MULTI && n > 1) {
		event_fill(sluice_producer_slot(&producer, first + n - 1),
			   producer.ring.payload_bytes, first + n - 1);
		sluice_producer_publish(&producer, first + n - 1);
	}
	return 0;
}

/* A producer in another process: claims n, publishes the last, says so, and holds the rest. */
static pid_t claim_and_hold(const char *ring, uint64_t n)
{
	return child_ready(ring, claim_some, NULL, &n);
}

static uint64_t stalled(const struct sluice_consumer *consumer)
{
	return atomic_load(&consumer->self->stalled_ns);
}

/* Whoever waits has the holes of the dead filled by himself, by every strategy. */
static void test_consumer_stall__claims_of_the_dead_become_tombstones(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2 * WAITS; i++) {
		const uint64_t hole = schemes[i % 2] == RING_MULTI ? 2 : 3;
		struct sluice_consumer consumer;
		struct sluice_segment segment;
		pid_t pid;
		uint64_t n;

		assert_int_equal(ring_create(&segment, "dead", schemes[i % 2], 8, 0), 0);
		assert_int_equal(ring_consumer(&consumer, &segment, "c", SLUICE_POLICY_CRITICAL,
					       SLUICE_FROM_NEXT), 0);
		consumer.wait = waits[i / 2];
		pid = claim_and_hold("dead", 3);
		assert_true(pid > 0);
		child_kill(pid);
		for (uint64_t k = 0; k < hole; k++) {
			assert_int_equal(sluice_consumer_wait(&consumer, 1, LONG_NS, &n), 0);
			assert_true(sluice_consumer_is_void(&consumer, consumer.next));
			sluice_consumer_advance(&consumer, 1);
			sluice_consumer_release(&consumer, consumer.next);
		}
		assert_int_equal(ring_consume(&consumer, 8), 3 - hole);
		assert_int_equal(stalled(&consumer), 0);
		assert_int_equal(atomic_load(&segment.control->tombstones), hole);
		sluice_consumer_close(&consumer, false);
		ring_destroy(&segment);
	}
}

static void test_consumer_stall__a_poller_has_them_filled_as_well(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct sluice_consumer consumer;
		struct sluice_segment segment;
		uint64_t n, end_ns;
		pid_t pid;
		int rc;

		assert_int_equal(ring_create(&segment, "polled", schemes[i], 8, 0), 0);
		assert_int_equal(ring_consumer(&consumer, &segment, "c", SLUICE_POLICY_CRITICAL,
					       SLUICE_FROM_NEXT), 0);
		pid = claim_and_hold("polled", 1);
		assert_true(pid > 0);
		child_kill(pid);
		end_ns = sluice_clock_ns() + LONG_NS;
		do
			rc = sluice_consumer_poll(&consumer, 8, &n);
		while (rc == -EAGAIN && sluice_clock_ns() < end_ns);
		assert_int_equal(rc, 0);
		assert_true(sluice_consumer_is_void(&consumer, 0));
		assert_int_equal(stalled(&consumer), 0);
		sluice_consumer_close(&consumer, false);
		ring_destroy(&segment);
	}
}

static uint64_t cpu_ns(void)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 * MS +
	       (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000;
}

/* D29, S10: stopped inside its claim for longer than any timeout. D32: which costs nobody a CPU. */
static void test_consumer_stall__claims_of_the_living_are_waited_for(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		struct sluice_consumer consumer;
		struct sluice_segment segment;
		uint64_t n, cpu;
		pid_t pid;

		assert_int_equal(ring_create(&segment, "held", schemes[i % 2], 8, 0), 0);
		assert_int_equal(ring_consumer(&consumer, &segment, "c", SLUICE_POLICY_CRITICAL,
					       SLUICE_FROM_NEXT), 0);
		consumer.wait = i < 2 ? SLUICE_WAIT_BLOCK : SLUICE_WAIT_ADAPTIVE;
		pid = claim_and_hold("held", 1);
		assert_true(pid > 0);
		kill(pid, SIGSTOP);
		cpu = cpu_ns();
		assert_int_equal(sluice_consumer_wait(&consumer, 8, 400 * MS, &n), -ETIMEDOUT);
		cpu = cpu_ns() - cpu;
		print_message("%llu us of 400 ms\n", (unsigned long long)cpu / 1000);
		assert_true(cpu < 100 * MS);
		/* alarmed, and nothing else */
		assert_true(stalled(&consumer) > 0);
		assert_int_equal(atomic_load(&segment.control->tombstones), 0);
		child_kill(pid);
		assert_int_equal(sluice_consumer_wait(&consumer, 8, LONG_NS, &n), 0);
		assert_true(sluice_consumer_is_void(&consumer, 0));
		assert_int_equal(stalled(&consumer), 0);
		sluice_consumer_close(&consumer, false);
		ring_destroy(&segment);
	}
}

static void test_consumer_stall__an_event_ends_the_alarm(void **state)
{
	struct sluice_producer producer;
	struct sluice_consumer consumer;
	struct sluice_segment segment;
	uint64_t first, n;

	(void)state;
	assert_int_equal(ring_create(&segment, "alarm", RING_MULTI, 8, 0), 0);
	assert_int_equal(ring_consumer(&consumer, &segment, "c", SLUICE_POLICY_CRITICAL, 0), 0);
	assert_int_equal(sluice_producer_open(&producer, &segment, NULL, NULL), 0);
	assert_int_equal(sluice_consumer_wait(&consumer, 8, 20 * MS, &n), -ETIMEDOUT);
	assert_int_equal(stalled(&consumer), 0);
	assert_int_equal(sluice_producer_try_claim(&producer, 2, &first), 0);
	assert_int_equal(sluice_consumer_wait(&consumer, 8, 50 * MS, &n), -ETIMEDOUT);
	assert_true(stalled(&consumer) > 0);
	event_fill(sluice_producer_slot(&producer, 0), producer.ring.payload_bytes, 0);
	event_fill(sluice_producer_slot(&producer, 1), producer.ring.payload_bytes, 1);
	sluice_producer_publish_range(&producer, 0, 1);
	assert_int_equal(ring_consume(&consumer, 1), 1);
	assert_int_equal(stalled(&consumer), 0);
	assert_false(consumer.watched);
	assert_int_equal(ring_consume(&consumer, 8), 1);
	sluice_producer_close(&producer);
	sluice_consumer_close(&consumer, false);
	ring_destroy(&segment);
}

/* D20: the end comes after the last open claim, the dead ones' included. */
static void test_consumer_stall__closed_ring_ends_after_the_last_claim(void **state)
{
	struct sluice_participant *entry;
	struct sluice_consumer consumer;
	struct sluice_segment segment;
	pid_t pid, dead;
	uint64_t n;

	(void)state;
	assert_int_equal(ring_create(&segment, "closing", RING_MULTI, 8, 0), 0);
	assert_int_equal(ring_consumer(&consumer, &segment, "c", SLUICE_POLICY_CRITICAL, 0), 0);
	dead = claim_and_hold("closing", 1);
	pid = claim_and_hold("closing", 1);
	assert_true(pid > 0 && dead > 0);
	child_kill(dead);
	sluice_ring_set_state(&segment, SLUICE_STATE_DRAINING);
	assert_int_equal(sluice_consumer_wait(&consumer, 8, LONG_NS, &n), 0);
	assert_true(sluice_consumer_is_void(&consumer, 0));
	sluice_consumer_advance(&consumer, 1);
	sluice_consumer_release(&consumer, 1);
	assert_int_equal(sluice_consumer_wait(&consumer, 8, 50 * MS, &n), -ETIMEDOUT);
	child_kill(pid);
	assert_int_equal(sluice_consumer_wait(&consumer, 8, LONG_NS, &n), 0);
	sluice_consumer_advance(&consumer, 1);
	sluice_consumer_release(&consumer, 2);
	/* one that died having announced a claim, and not made it */
	entry = &segment.participants[5];
	entry->role = SLUICE_ROLE_PRODUCER;
	atomic_store(&entry->claim_record, SLUICE_CLAIM_ATTEMPT | 2);
	atomic_store(&entry->state, 1 << SLUICE_PARTICIPANT_GENERATION_SHIFT |
					    SLUICE_PARTICIPANT_ACTIVE);
	assert_int_equal(sluice_consumer_wait(&consumer, 8, LONG_NS, &n), -EPIPE);
	sluice_consumer_close(&consumer, false);
	ring_destroy(&segment);
}

/* ------------------------------------------------------------------------- dead stages */

/* An evictable stage gates through its follower; when it dies, that one finds out by itself. */
static void test_consumer_stall__dead_evictable_stage_is_evicted_by_its_follower(void **state)
{
	static const char *const after[] = {"e", NULL};
	const struct sluice_consumer_options options = {.name = "f", .after = after};
	struct sluice_consumer consumer;
	struct sluice_producer producer;
	struct sluice_segment segment;
	uint64_t n;
	pid_t pid;

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(ring_create(&segment, "mortal", RING_CURSOR, 8, 0), 0);
		assert_int_equal(sluice_producer_open(&producer, &segment, NULL, NULL), 0);
		pid = child_consumer("mortal", "e",
				     i ? SLUICE_POLICY_CRITICAL : SLUICE_POLICY_EVICTABLE, 0);
		assert_true(pid > 0);
		assert_int_equal(sluice_consumer_open(&consumer, &segment, &options, NULL), 0);
		assert_int_equal(ring_publish(&producer, 3), 0);
		assert_int_equal(sluice_consumer_wait(&consumer, 8, 50 * MS, &n), -ETIMEDOUT);
		child_kill(pid);
		assert_int_equal(sluice_consumer_wait(&consumer, 8, i ? 100 * MS : LONG_NS, &n),
				 i ? -ETIMEDOUT : -ESTALE);
		sluice_consumer_close(&consumer, false);
		assert_int_equal(atomic_load(&segment.control->gating), i ? 2 : 0);
		sluice_producer_close(&producer);
		ring_destroy(&segment);
	}
}

/* ------------------------------------------------------------------------ interruptions */

static void *interrupt_later(void *arg)
{
	const struct timespec nap = {.tv_nsec = 10 * MS};

	nanosleep(&nap, NULL);
	sluice_consumer_interrupt(arg);
	return NULL;
}

/* D23: the alert ends every phase of every strategy, and comes before what is there. */
static void test_consumer_stall__interrupts_end_waits_until_resumed(void **state)
{
	struct sluice_producer producer;
	struct sluice_consumer consumer;
	struct sluice_segment segment;
	uint64_t n;

	(void)state;
	assert_int_equal(ring_create(&segment, NULL, RING_MULTI, 8, 0), 0);
	assert_int_equal(sluice_producer_open(&producer, &segment, NULL, NULL), 0);
	assert_int_equal(ring_consumer(&consumer, &segment, "c", SLUICE_POLICY_CRITICAL, 0), 0);
	for (size_t i = 0; i < WAITS; i++) {
		pthread_t thread;
		uint32_t wake;

		consumer.wait = waits[i];
		pthread_create(&thread, NULL, interrupt_later, &consumer);
		assert_int_equal(sluice_consumer_wait(&consumer, 8, LONG_NS, &n), -ECANCELED);
		pthread_join(thread, NULL);
		assert_int_equal(sluice_consumer_wait(&consumer, 8, LONG_NS, &n), -ECANCELED);
		assert_int_equal(ring_publish(&producer, 1), 0);
		assert_int_equal(sluice_consumer_wait(&consumer, 8, LONG_NS, &n), -ECANCELED);
		/* a poll waits for nothing */
		assert_int_equal(sluice_consumer_poll(&consumer, 8, &n), 0);
		sluice_consumer_resume(&consumer);
		assert_int_equal(sluice_consumer_wait(&consumer, 8, LONG_NS, &n), 0);
		assert_int_equal(ring_consume(&consumer, 8), 1);
		/* before the wait; a sleeper would not go on for a moment */
		wake = atomic_load(&consumer.self->wake);
		sluice_consumer_interrupt(&consumer);
		assert_int_equal(atomic_load(&consumer.self->wake), wake + 1);
		assert_int_equal(sluice_consumer_wait(&consumer, 8, LONG_NS, &n), -ECANCELED);
		sluice_consumer_resume(&consumer);
	}
	assert_int_equal(atomic_load(&segment.control->consumer_sleepers), 0);
	sluice_producer_close(&producer);
	sluice_consumer_close(&consumer, false);
	ring_destroy(&segment);
}

static struct sluice_consumer *signalled;

static void on_signal(int number)
{
	(void)number;
	sluice_consumer_interrupt(signalled);
}

static void test_consumer_stall__interrupts_come_from_signal_handlers(void **state)
{
	const struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	const struct itimerval soon = {.it_value.tv_usec = 10000};
	struct sluice_consumer consumer;
	struct sluice_segment segment;
	struct sigaction before;
	uint64_t n;

	(void)state;
	assert_int_equal(ring_create(&segment, NULL, RING_CURSOR, 8, 0), 0);
	assert_int_equal(ring_consumer(&consumer, &segment, "c", SLUICE_POLICY_CRITICAL, 0), 0);
	signalled = &consumer;
	assert_int_equal(sigaction(SIGALRM, &action, &before), 0);
	for (size_t i = 0; i < WAITS; i++) {
		consumer.wait = waits[i];
		assert_int_equal(setitimer(ITIMER_REAL, &soon, NULL), 0);
		assert_int_equal(sluice_consumer_wait(&consumer, 8, LONG_NS, &n), -ECANCELED);
		sluice_consumer_resume(&consumer);
	}
	assert_int_equal(sigaction(SIGALRM, &before, NULL), 0);
	sluice_consumer_close(&consumer, false);
	ring_destroy(&segment);
}

/* For who is never empty: poisoned, or evicted by an operator, it notices all the same. */
static void test_consumer_stall__a_stream_does_not_hide_the_end(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct sluice_producer producer;
		struct sluice_consumer consumer;
		struct sluice_segment segment;
		uint64_t n, polls = 0;
		int rc;

		assert_int_equal(ring_create(&segment, NULL, RING_MULTI, 8, 0), 0);
		assert_int_equal(sluice_producer_open(&producer, &segment, NULL, NULL), 0);
		assert_int_equal(ring_consumer(&consumer, &segment, "c", SLUICE_POLICY_CRITICAL, 0),
				 0);
		assert_int_equal(ring_publish(&producer, 8), 0);
		if (i)
			sluice_ring_set_state(&segment, SLUICE_STATE_POISONED);
		else
			assert_int_equal(sluice_participant_evict(&segment, consumer.index), 0);
		do
			rc = sluice_consumer_poll(&consumer, 8, &n);
		while (!rc && ++polls < 1000);
		assert_int_equal(rc, i ? -ENOTRECOVERABLE : -ESTALE);
		sluice_producer_close(&producer);
		sluice_consumer_close(&consumer, false);
		ring_destroy(&segment);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_consumer_stall__claims_of_the_dead_become_tombstones),
		cmocka_unit_test(test_consumer_stall__a_poller_has_them_filled_as_well),
		cmocka_unit_test(test_consumer_stall__claims_of_the_living_are_waited_for),
		cmocka_unit_test(test_consumer_stall__an_event_ends_the_alarm),
		cmocka_unit_test(test_consumer_stall__closed_ring_ends_after_the_last_claim),
		cmocka_unit_test(
			test_consumer_stall__dead_evictable_stage_is_evicted_by_its_follower),
		cmocka_unit_test(test_consumer_stall__interrupts_end_waits_until_resumed),
		cmocka_unit_test(test_consumer_stall__interrupts_come_from_signal_handlers),
		cmocka_unit_test(test_consumer_stall__a_stream_does_not_hide_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
