/* SPDX-License-Identifier: MIT */
/*
 * test_multi_threads.c - many producers at once: blocked claims and how they end, threads that end
 * inside a claim, handles that change threads, the order of each one's events.
 */
#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "shm/claim.h"
#include "shm/clock.h"
#include "tests/lib/multi_fixture.h"

#define MS 1000000ull
#define PRODUCERS 4u

/* ---------------------------------------------------------------------------- blocked ones */

struct blocked {
	struct sluice_producer *producer;
	uint64_t timeout_ns;
	int rc;
};

static void *claim_one(void *arg)
{
	struct blocked *blocked = arg;
	uint64_t first;

	blocked->rc = sluice_producer_claim(blocked->producer, 1, blocked->timeout_ns, &first);
	return NULL;
}

static int claim_while(struct multi_fixture *f, uint32_t wait,
		       void (*then)(struct multi_fixture *f))
{
	struct blocked blocked = {&f->p[0], 10000 * MS, 1};
	pthread_t thread;

	f->p[0].wait = wait;
	pthread_create(&thread, NULL, claim_one, &blocked);
	usleep(20000);
	then(f);
	pthread_join(thread, NULL);
	return blocked.rc;
}

static void then_interrupt(struct multi_fixture *f)
{
	sluice_producer_interrupt(&f->p[0]);
}

static void then_fail(struct multi_fixture *f)
{
	atomic_store(&f->consumer.self->failed, EIO);
}

static void then_poison(struct multi_fixture *f)
{
	sluice_ring_set_state(&f->segment, SLUICE_STATE_POISONED);
}

static void test_multi_threads__blocked_claims_can_be_ended(void **state)
{
	static const struct {
		void (*then)(struct multi_fixture *f);
		int error;
	} cases[] = {
		{then_interrupt, -ECANCELED},
		{then_fail, -EREMOTEIO},
		{then_poison, -ENOTRECOVERABLE},
	};

	(void)state;
	for (uint32_t wait = SLUICE_WAIT_ADAPTIVE; wait <= SLUICE_WAIT_BLOCK; wait++)
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			const uint64_t started_ns = sluice_clock_ns();
			struct multi_fixture f = {0};
			uint64_t first;

			multi_open(&f, 2, true);
			assert_int_equal(ring_publish(&f.p[0], 2), 0);
			assert_int_equal(claim_while(&f, wait, cases[i].then), cases[i].error);
			assert_true(sluice_clock_ns() - started_ns < 5000 * MS);
			if (cases[i].then == then_interrupt) {
				/* sticky, and only for claims that would wait */
				assert_int_equal(sluice_producer_claim(&f.p[0], 1, MS, &first),
						 -ECANCELED);
				sluice_producer_resume(&f.p[0]);
				assert_int_equal(sluice_producer_claim(&f.p[0], 1, MS, &first),
						 -ETIMEDOUT);
				sluice_producer_interrupt(&f.p[0]);
				assert_int_equal(ring_consume(&f.consumer, 1), 1);
				assert_int_equal(sluice_producer_claim(&f.p[0], 1, MS, &first), 0);
			}
			multi_close(&f);
		}
}

/* remaining capacity with many blocked on a full ring: never negative, never more than it is */
static void test_multi_threads__remaining_capacity_of_a_contended_ring(void **state)
{
	struct sluice_segment segment;
	struct sluice_consumer consumer;
	struct sluice_producer producers[8], onlooker;
	struct blocked blocked[8];
	pthread_t threads[8];
	uint64_t seen = 0;

	(void)state;
	assert_int_equal(ring_create(&segment, NULL, RING_MULTI, 4, 0), 0);
	assert_int_equal(ring_consumer(&consumer, &segment, "c", SLUICE_POLICY_CRITICAL,
				       SLUICE_FROM_BEGINNING), 0);
	for (int i = 0; i < 8; i++)
		assert_int_equal(sluice_producer_open(&producers[i], &segment, NULL, NULL), 0);
	assert_int_equal(sluice_producer_open(&onlooker, &segment, NULL, NULL), 0);
	assert_int_equal(ring_publish(&producers[0], 4), 0);
	for (int i = 0; i < 8; i++) {
		blocked[i] = (struct blocked){&producers[i], 10000 * MS, 1};
		pthread_create(&threads[i], NULL, claim_one, &blocked[i]);
	}
	for (int i = 0; i < 2000; i++) {
		seen = sluice_producer_remaining(&onlooker);
		assert_true(seen <= 4);
		assert_int_equal(seen, 0);
	}
	sluice_ring_set_state(&segment, SLUICE_STATE_DRAINING);
	for (int i = 0; i < 8; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(blocked[i].rc, -EPIPE);
		sluice_producer_close(&producers[i]);
	}
	sluice_producer_close(&onlooker);
	sluice_consumer_close(&consumer, false);
	ring_destroy(&segment);
}

/* ------------------------------------------------------------------------------- threads */

static void *end_inside_a_claim(void *arg)
{
	struct sluice_producer *producer = arg;
	uint64_t first;

	if (!sluice_producer_try_claim(producer, 3, &first))
		sluice_producer_publish(producer, first);
	pthread_exit(NULL);
}

/* The process lives on, so no lock byte tells of it. */
static void test_multi_threads__thread_that_ends_inside_a_claim(void **state)
{
	struct multi_fixture f = {0};
	pthread_t thread;

	(void)state;
	multi_open(&f, 8, true);
	pthread_create(&thread, NULL, end_inside_a_claim, &f.p[0]);
	pthread_join(thread, NULL);
	assert_int_equal(multi_record(&f.p[0]), SLUICE_CLAIM_IDLE);
	assert_int_equal(sluice_ring_published(&f.p[1].ring, 0, 8), 3);
	assert_false(sluice_ring_is_void(&f.p[1].ring, 0));
	assert_true(sluice_ring_is_void(&f.p[1].ring, 1));
	assert_true(sluice_ring_is_void(&f.p[1].ring, 2));
	assert_int_equal(ring_publish(&f.p[1], 1), 0);
	multi_close(&f);
}

static void *use_once(void *arg)
{
	return ring_publish(arg, 1) ? arg : NULL;
}

/* A handle that changed hands: the end of its former thread must not touch the claim of the new. */
static void test_multi_threads__handle_that_changes_threads(void **state)
{
	struct multi_fixture f = {0};
	pthread_t thread;
	void *failed;
	uint64_t first;

	(void)state;
	multi_open(&f, 8, true);
	for (int i = 0; i < 3; i++) {
		pthread_create(&thread, NULL, use_once, &f.p[0]);
		pthread_join(thread, &failed);
		assert_null(failed);
		assert_int_equal(sluice_producer_try_claim(&f.p[0], 1, &first), 0);
		pthread_create(&thread, NULL, use_once, &f.p[1]);
		pthread_join(thread, &failed);
		assert_null(failed);
		assert_int_equal(sluice_claim_state(multi_record(&f.p[0])), SLUICE_CLAIM_CLAIMED);
		multi_fill(&f.p[0], first, 1);
		sluice_producer_publish(&f.p[0], first);
		assert_int_equal(ring_consume(&f.consumer, 8), 3);
	}
	multi_close(&f);
}

struct writer {
	struct sluice_segment *segment;
	uint64_t number;
	uint64_t count;
	int error;
};

static void *write_many(void *arg)
{
	struct writer *writer = arg;
	struct sluice_producer producer;
	uint64_t seed = writer->number * 77 + 1, k = 0;

	writer->error = sluice_producer_open(&producer, writer->segment, NULL, NULL);
	while (!writer->error && k < writer->count) {
		uint64_t n = test_random(&seed) % 5 + 1, first;

		n = n < writer->count - k ? n : writer->count - k;
		writer->error = sluice_producer_claim(&producer, n, 20000 * MS, &first);
		for (uint64_t s = first; !writer->error && s < first + n; s++) {
			uint64_t *event = sluice_producer_slot(&producer, s);

			event[0] = writer->number;
			event[1] = k++;
			event[2] = event[0] * 1000003 + event[1];
		}
		if (!writer->error)
			sluice_producer_publish_range(&producer, first, first + n - 1);
	}
	sluice_producer_close(&producer);
	return NULL;
}

/* Four producers, a small ring: each one's events once and in order. */
static void test_multi_threads__events_of_each_producer_in_order(void **state)
{
	struct sluice_segment segment;
	struct sluice_consumer consumer;
	struct writer writers[PRODUCERS];
	pthread_t threads[PRODUCERS];
	uint64_t next[PRODUCERS] = {0}, got = 0, n, wrong = 0;

	(void)state;
	assert_int_equal(ring_create(&segment, NULL, RING_MULTI, 64, 0), 0);
	assert_int_equal(ring_consumer(&consumer, &segment, "c", SLUICE_POLICY_CRITICAL,
				       SLUICE_FROM_BEGINNING), 0);
	for (uint64_t i = 0; i < PRODUCERS; i++) {
		writers[i] = (struct writer){&segment, i, 20000, 1};
		pthread_create(&threads[i], NULL, write_many, &writers[i]);
	}
	while (got < PRODUCERS * 20000 && !sluice_consumer_wait(&consumer, 32, 20000 * MS, &n)) {
		for (uint64_t s = consumer.next; s < consumer.next + n; s++) {
			const uint64_t *event = sluice_consumer_event(&consumer, s);

			wrong += event[0] >= PRODUCERS || event[1] != next[event[0]]++ ||
				 event[2] != event[0] * 1000003 + event[1];
		}
		sluice_consumer_advance(&consumer, n);
		sluice_consumer_release(&consumer, consumer.next);
		got += n;
	}
	for (int i = 0; i < (int)PRODUCERS; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(writers[i].error, 0);
		assert_int_equal(next[i], 20000);
	}
	assert_int_equal(wrong, 0);
	assert_int_equal(atomic_load(&segment.control->tombstones), 0);
	sluice_consumer_close(&consumer, false);
	ring_destroy(&segment);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_multi_threads__blocked_claims_can_be_ended),
		cmocka_unit_test(test_multi_threads__remaining_capacity_of_a_contended_ring),
		cmocka_unit_test(test_multi_threads__thread_that_ends_inside_a_claim),
		cmocka_unit_test(test_multi_threads__handle_that_changes_threads),
		cmocka_unit_test(test_multi_threads__events_of_each_producer_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
