/* SPDX-License-Identifier: MIT */
/* test_producer.c - claiming, publishing, back-pressure, load. (Takeover: test_takeover.c.) */
#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "shm/clock.h"
#include "tests/lib/pair_fixture.h"

#define MS 1000000ull

static const uint32_t schemes[] = {RING_CURSOR, RING_STAMPED, RING_MULTI};

static void test_producer__first_claims(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct pair_fixture f;
		uint64_t first = 99;

		pair_open(&f, schemes[i], 8);
		assert_int_equal(sluice_producer_try_claim(&f.producer, 1, &first), 0);
		assert_int_equal(first, 0);
		assert_int_equal(sluice_producer_try_claim(&f.producer, 4, &first), 0);
		assert_int_equal(first, 1);
		assert_int_equal(sluice_producer_remaining(&f.producer), 3);
		/* a claim alone shows nothing */
		assert_int_equal(sluice_ring_published(&f.producer.ring, 0, 8), 0);
		sluice_producer_publish(&f.producer, 0);
		assert_int_equal(sluice_ring_published(&f.producer.ring, 0, 8), 1);
		sluice_producer_publish_range(&f.producer, 1, 2);
		assert_int_equal(sluice_ring_published(&f.producer.ring, 0, 8), 3);
		sluice_producer_publish_range(&f.producer, 3, 4);
		assert_int_equal(sluice_ring_published(&f.producer.ring, 0, 8), 5);
		pair_close(&f);
	}
}

static void test_producer__refuses_counts_out_of_range(void **state)
{
	static const uint64_t wrong[] = {0, UINT64_MAX, 9, UINT64_MAX / 2, 1ull << 63};

	(void)state;
	for (int scheme = 0; scheme < 3; scheme++) {
		struct pair_fixture f;
		uint64_t first = 77;

		pair_open(&f, schemes[scheme], 8);
		for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
			assert_int_equal(sluice_producer_try_claim(&f.producer, wrong[i], &first),
					 -EINVAL);
			assert_int_equal(sluice_producer_claim(&f.producer, wrong[i], 0, &first),
					 -EINVAL);
			assert_int_equal(first, 77);
		}
		assert_false(sluice_producer_has_capacity(&f.producer, 9));
		assert_true(sluice_producer_has_capacity(&f.producer, 8));
		assert_int_equal(sluice_producer_try_claim(&f.producer, 8, &first), 0);
		assert_int_equal(first, 0);
		pair_close(&f);
	}
}

static void test_producer__capacity_hints_change_nothing(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		struct pair_fixture f;

		pair_open(&f, schemes[i], 8);
		for (uint64_t left = 8; left; left--) {
			assert_int_equal(sluice_producer_remaining(&f.producer), left);
			assert_true(sluice_producer_has_capacity(&f.producer, left));
			assert_false(sluice_producer_has_capacity(&f.producer, left + 1));
			assert_int_equal(atomic_load(&f.segment.control->claim), 8 - left);
			assert_int_equal(atomic_load(&f.segment.control->cursor),
					 schemes[i] == RING_CURSOR ? 8 - left : 0);
			assert_int_equal(ring_publish(&f.producer, 1), 0);
		}
		assert_int_equal(sluice_producer_remaining(&f.producer), 0);
		assert_false(sluice_producer_drained(&f.producer));
		assert_int_equal(ring_consume(&f.consumer, 8), 8);
		assert_true(sluice_producer_drained(&f.producer));
		pair_close(&f);
	}
}

static void test_producer__full_ring_releases_exactly_what_was_consumed(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		struct pair_fixture f;
		uint64_t first = 77;

		pair_open(&f, schemes[i], 4);
		assert_int_equal(ring_publish(&f.producer, 5), -EAGAIN);
		for (uint64_t round = 0; round < 10; round++) {
			assert_int_equal(f.producer.next, 4 + round);
			assert_int_equal(sluice_producer_try_claim(&f.producer, 1, &first),
					 -EAGAIN);
			assert_int_equal(atomic_load(&f.segment.control->claim), 4 + round);
			assert_int_equal(ring_consume(&f.consumer, 1), 1);
			assert_int_equal(sluice_producer_try_claim(&f.producer, 2, &first),
					 -EAGAIN);
			assert_int_equal(f.producer.missing, 1);
			assert_int_equal(ring_publish(&f.producer, 2), -EAGAIN);
		}
		assert_int_equal(first, 77);
		pair_close(&f);
	}
}

/* Nobody gates, and still a producer must not overwrite what it has not published itself. */
static void test_producer__own_unpublished_slots_are_taken(void **state)
{
	struct sluice_segment segment;
	struct sluice_producer producer;
	uint64_t first;

	(void)state;
	assert_int_equal(ring_create(&segment, NULL, RING_CURSOR, 8, 0), 0);
	assert_int_equal(sluice_producer_open(&producer, &segment, NULL, NULL), 0);
	assert_int_equal(sluice_producer_try_claim(&producer, 5, &first), 0);
	assert_int_equal(sluice_producer_remaining(&producer), 3);
	assert_int_equal(sluice_producer_try_claim(&producer, 4, &first), -EAGAIN);
	assert_int_equal(sluice_producer_try_claim(&producer, 3, &first), 0);
	assert_int_equal(sluice_producer_try_claim(&producer, 1, &first), -EAGAIN);
	sluice_producer_publish_range(&producer, 0, 0);
	assert_int_equal(sluice_producer_try_claim(&producer, 1, &first), 0);
	assert_int_equal(first, 8);
	sluice_producer_close(&producer);
	ring_destroy(&segment);
}

static void test_producer__claim_times_out_and_counts(void **state)
{
	static const uint32_t waits[] = {SLUICE_WAIT_ADAPTIVE, SLUICE_WAIT_SPIN, SLUICE_WAIT_YIELD,
					 SLUICE_WAIT_BLOCK};

	(void)state;
	for (int i = 0; i < 4; i++) {
		struct pair_fixture f;
		uint64_t first, started_ns;

		pair_open(&f, RING_CURSOR, 2);
		f.producer.wait = waits[i];
		assert_int_equal(ring_publish(&f.producer, 2), 0);
		started_ns = sluice_clock_ns();
		assert_int_equal(sluice_producer_claim(&f.producer, 1, 20 * MS, &first),
				 -ETIMEDOUT);
		assert_true(sluice_clock_ns() - started_ns >= 20 * MS);
		assert_int_equal(atomic_load(&f.producer.self->full_waits), 1);
		assert_int_equal(sluice_producer_claim(&f.producer, 1, 0, &first), -ETIMEDOUT);
		pair_close(&f);
	}
}

struct later {
	struct pair_fixture *f;
	int what;
};

static void *do_later(void *arg)
{
	const struct timespec nap = {.tv_nsec = 20 * MS};
	struct later *later = arg;

	nanosleep(&nap, NULL);
	if (later->what == 0)
		sluice_ring_set_state(&later->f->segment, SLUICE_STATE_DRAINING);
	else if (later->what == 1)
		sluice_consumer_close(&later->f->consumer, false);
	else
		ring_consume(&later->f->consumer, 1);
	return NULL;
}

/* Closing, the last consumer leaving, and one event consumed: each frees a blocked producer. */
static void test_producer__blocked_claim_is_released(void **state)
{
	static const int expected[] = {-EPIPE, 0, 0};
	static const uint32_t waits[] = {SLUICE_WAIT_ADAPTIVE, SLUICE_WAIT_BLOCK,
					 SLUICE_WAIT_YIELD};

	(void)state;
	for (int i = 0; i < 9; i++) {
		struct pair_fixture f;
		struct later later = {&f, i % 3};
		pthread_t thread;
		uint64_t first, started_ns;

		pair_open(&f, i / 3 ? RING_STAMPED : RING_MULTI, 2);
		f.producer.wait = waits[i / 3];
		assert_int_equal(ring_publish(&f.producer, 2), 0);
		started_ns = sluice_clock_ns();
		pthread_create(&thread, NULL, do_later, &later);
		assert_int_equal(sluice_producer_claim(&f.producer, 1, 10000 * MS, &first),
				 expected[i % 3]);
		assert_true(sluice_clock_ns() - started_ns < 5000 * MS);
		pthread_join(thread, NULL);
		pair_close(&f);
	}
}

static void test_producer__one_at_a_time(void **state)
{
	struct sluice_segment segment;
	struct sluice_producer one, two;

	(void)state;
	for (int named = 0; named < 2; named++) {
		struct sluice_diag diag;

		assert_int_equal(ring_create(&segment, named ? "one" : NULL, RING_CURSOR, 8, 0), 0);
		assert_int_equal(sluice_producer_open(&one, &segment, NULL, NULL), 0);
		assert_int_equal(sluice_producer_open(&two, &segment, NULL, &diag), -EBUSY);
		assert_non_null(strstr(diag.text, "one producer at a time"));
		sluice_producer_close(&one);
		assert_int_equal(sluice_producer_open(&two, &segment, NULL, NULL), 0);
		sluice_producer_close(&two);
		assert_int_equal(atomic_load(&segment.control->producers_joined), 2);
		sluice_ring_set_state(&segment, SLUICE_STATE_DRAINING);
		assert_int_equal(sluice_producer_open(&two, &segment, NULL, &diag), -EPIPE);
		ring_destroy(&segment);
	}
}

static void test_producer__needs_a_writable_ring(void **state)
{
	struct sluice_segment segment, view;
	struct sluice_producer producer;

	(void)state;
	assert_int_equal(ring_create(&segment, "ro", RING_CURSOR, 8, 0), 0);
	assert_int_equal(sluice_segment_attach(&view, "ro", SLUICE_ACCESS_READ, NULL), 0);
	assert_int_equal(sluice_producer_open(&producer, &view, NULL, NULL), -EACCES);
	sluice_segment_close(&view);
	ring_destroy(&segment);
}

/* ------------------------------------------------------------------------------ under load */

static void *stalled_reader(void *arg)
{
	struct sluice_consumer *consumer = arg;
	uint64_t n, got = 0;

	while (sluice_consumer_wait(consumer, 16, 5000 * MS, &n) == 0) {
		if (ring_consume(consumer, n) == UINT64_MAX)
			return (void *)1;
		got += n;
		if (consumer->index == 2 && got % 1024 < 16)
			usleep(500); /* the slowest of three stalls */
	}
	return consumer->next == 60000 ? NULL : (void *)2;
}

static void test_producer__never_laps_the_slowest_of_three(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		struct sluice_segment segment;
		struct sluice_producer producer;
		struct sluice_consumer consumers[3];
		pthread_t threads[3];
		uint64_t sequence, seed = test_seed();
		int wrong = 0;

		assert_int_equal(ring_create(&segment, NULL, schemes[i], 64, 0), 0);
		for (int c = 0; c < 3; c++) {
			assert_int_equal(ring_consumer(&consumers[c], &segment,
						       (const char *[]){"a", "b", "c"}[c],
						       SLUICE_POLICY_CRITICAL, SLUICE_FROM_NEXT),
					 0);
			pthread_create(&threads[c], NULL, stalled_reader, &consumers[c]);
		}
		assert_int_equal(sluice_producer_open(&producer, &segment, NULL, NULL), 0);
		while (producer.next < 60000) {
			uint64_t n = test_random(&seed) % 64 + 1;

			n = n < 60000 - producer.next ? n : 60000 - producer.next;
			wrong |= sluice_producer_claim(&producer, n, 20000 * MS, &sequence);
			for (uint64_t s = sequence; s < sequence + n && !wrong; s++)
				event_fill(sluice_producer_slot(&producer, s),
					   producer.ring.payload_bytes, s);
			sluice_producer_publish_range(&producer, sequence, sequence + n - 1);
		}
		sluice_ring_set_state(&segment, SLUICE_STATE_DRAINING);
		for (int c = 0; c < 3; c++) {
			void *result;

			pthread_join(threads[c], &result);
			wrong |= result != NULL;
			sluice_consumer_close(&consumers[c], false);
		}
		assert_false(wrong);
		sluice_producer_close(&producer);
		ring_destroy(&segment);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_producer__first_claims),
		cmocka_unit_test(test_producer__refuses_counts_out_of_range),
		cmocka_unit_test(test_producer__capacity_hints_change_nothing),
		cmocka_unit_test(test_producer__full_ring_releases_exactly_what_was_consumed),
		cmocka_unit_test(test_producer__own_unpublished_slots_are_taken),
		cmocka_unit_test(test_producer__claim_times_out_and_counts),
		cmocka_unit_test(test_producer__blocked_claim_is_released),
		cmocka_unit_test(test_producer__one_at_a_time),
		cmocka_unit_test(test_producer__needs_a_writable_ring),
		cmocka_unit_test(test_producer__never_laps_the_slowest_of_three),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
