/* SPDX-License-Identifier: MIT */
/* test_consumer_stage_end.c - followers: who is away or gone, ends, and sleep. */
#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "shm/clock.h"
#include "tests/unit/consumer/stage_fixture.h"

#define MS 1000000ull

/* D24 and D34 of stages: away is not gone, and whoever comes back finds its followers. */
static void test_consumer_stage_end__one_that_is_away_holds_the_line(void **state)
{
	struct line line;

	(void)state;
	line_open(&line, NULL, RING_STAMPED, 8);
	assert_int_equal(ring_publish(&line.producer, 8), 0);
	assert_int_equal(ring_consume(&line.a, 4), 4);
	sluice_consumer_close(&line.a, true);
	assert_int_equal(ring_consume(&line.b, 8), 4);
	assert_int_equal(ring_consume(&line.c, 8), 4);
	assert_int_equal(ready(&line.b), -EAGAIN);
	assert_int_equal(ring_publish(&line.producer, 4), 0);
	assert_int_equal(ring_publish(&line.producer, 1), -EAGAIN);
	sluice_consumer_close(&line.c, true);
	assert_int_equal(gating(&line.segment), bit(&line.c));
	assert_int_equal(stage(&line.a, &line.segment, "a", NULL), 0);
	assert_true(line.a.resumed);
	assert_int_equal(gating(&line.segment), bit(&line.c));
	assert_int_equal(ring_consume(&line.a, 100), 8);
	assert_int_equal(ring_consume(&line.b, 100), 8);
	assert_int_equal(ring_publish(&line.producer, 1), -EAGAIN);
	assert_int_equal(stage(&line.c, &line.segment, "c", AFTER("b")), 0);
	assert_int_equal(line.c.next, 4);
	assert_int_equal(ring_consume(&line.c, 100), 8);
	line_close(&line);
}

static void test_consumer_stage_end__one_that_left_leaves_its_followers_stale(void **state)
{
	struct sluice_consumer d;
	struct line line;
	uint64_t n;

	(void)state;
	for (int evict = 0; evict < 2; evict++) {
		line_open(&line, evict ? "stale" : NULL, RING_MULTI, 8);
		assert_int_equal(ring_publish(&line.producer, 8), 0);
		assert_int_equal(ring_consume(&line.a, 8), 8);
		assert_int_equal(ring_consume(&line.b, 4), 4);
		if (evict)
			assert_int_equal(sluice_participant_evict(&line.segment, line.b.index), 0);
		sluice_consumer_close(&line.b, false);
		/* c is still there, and keeps what it has not read; a keeps the rest */
		assert_int_equal(gating(&line.segment), bit(&line.a) | bit(&line.c));
		/* the place is not given to anybody whose position c would believe */
		assert_int_equal(stage(&d, &line.segment, "d", NULL), 0);
		assert_int_not_equal(d.index, line.b.index);
		assert_int_equal(d.next, 8);
		assert_int_equal(ring_consume(&line.c, 100), 4);
		assert_int_equal(ready(&line.c), -ESTALE);
		assert_int_equal(sluice_consumer_wait(&line.c, 8, SLUICE_WAIT_FOREVER, &n),
				 -ESTALE);
		assert_int_equal(ring_publish(&line.producer, 8), -EAGAIN);
		/* under its old name behind a new b */
		sluice_consumer_close(&line.c, true);
		assert_int_equal(stage(&line.c, &line.segment, "c", AFTER("b")), -ENOENT);
		assert_int_equal(stage(&line.b, &line.segment, "b", AFTER("a")), 0);
		assert_int_equal(stage(&line.c, &line.segment, "c", AFTER("b")), 0);
		assert_int_equal(line.c.next, 4);
		assert_int_equal(gating(&line.segment), bit(&line.c) | bit(&d));
		assert_int_equal(ready(&line.c), 4);
		sluice_consumer_close(&d, false);
		line_close(&line);
	}
}

static void test_consumer_stage_end__evicted_follower_gives_its_bit_back(void **state)
{
	const struct sluice_consumer_options evictable = {.policy = SLUICE_POLICY_EVICTABLE};
	struct sluice_consumer e;
	struct line line;
	uint8_t event[64];

	(void)state;
	line_open(&line, NULL, RING_STAMPED, 8);
	sluice_consumer_close(&line.c, false);
	assert_int_equal(stage_as(&e, &line.segment, "e", AFTER("b"), &evictable, NULL), 0);
	assert_int_equal(gating(&line.segment), bit(&e));
	assert_int_equal(ring_publish(&line.producer, 8), 0);
	assert_int_equal(ring_consume(&line.a, 8), 8);
	assert_int_equal(ring_consume(&line.b, 8), 8);
	assert_int_equal(ready(&e), 8);
	assert_int_equal(sluice_consumer_copy(&e, 0, event), 0);
	assert_int_equal(sluice_participant_evict(&line.segment, e.index), 0);
	assert_int_equal(gating(&line.segment), bit(&line.b));
	/* noticed before it acts on anything */
	assert_int_equal(sluice_consumer_copy(&e, 1, event), -ESTALE);
	assert_int_equal(ready(&e), -ESTALE);
	assert_int_equal(ring_publish(&line.producer, 8), 0);
	assert_int_equal(ring_publish(&line.producer, 1), -EAGAIN);
	assert_int_equal(ready(&e), -ESTALE);
	sluice_consumer_close(&e, false);
	assert_int_equal(stage(&line.c, &line.segment, "c", AFTER("b")), 0);
	assert_int_equal(line.c.next, 8);
	line_close(&line);
}

/* ----------------------------------------------------------------------------------- ends */

/* D20 of stages. */
static void test_consumer_stage_end__drains_one_after_the_other(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		struct line line;

		line_open(&line, NULL, schemes[i], 8);
		assert_int_equal(ring_publish(&line.producer, 5), 0);
		sluice_ring_set_state(&line.segment, SLUICE_STATE_DRAINING);
		assert_int_equal(ready(&line.b), -EAGAIN);
		assert_int_equal(ready(&line.c), -EAGAIN);
		assert_int_equal(ring_consume(&line.a, 8), 5);
		assert_int_equal(ready(&line.a), -EPIPE);
		assert_int_equal(ring_consume(&line.b, 2), 2);
		/* b stops here; a has seen all of it, and goes */
		sluice_consumer_close(&line.a, false);
		assert_int_equal(ready(&line.b), 3);
		sluice_consumer_close(&line.b, false);
		/* whoever has left a closed ring limits nobody */
		assert_int_equal(ring_consume(&line.c, 8), 5);
		assert_int_equal(ready(&line.c), -EPIPE);
		line_close(&line);
	}
}

static void test_consumer_stage_end__other_states_end_it_as_they_should(void **state)
{
	struct line line;

	(void)state;
	line_open(&line, NULL, RING_STAMPED, 8);
	assert_int_equal(ring_publish(&line.producer, 4), 0);
	assert_int_equal(ring_consume(&line.a, 2), 2);
	sluice_ring_set_state(&line.segment, SLUICE_STATE_RECOVERING);
	assert_int_equal(ready(&line.c), -EAGAIN);
	sluice_ring_set_state(&line.segment, SLUICE_STATE_RETIRED);
	assert_int_equal(ready(&line.b), 2);
	assert_int_equal(ready(&line.c), -EAGAIN);
	assert_int_equal(ring_consume(&line.b, 8), 2);
	assert_int_equal(ring_consume(&line.a, 8), 2);
	assert_int_equal(ready(&line.a), -ESHUTDOWN);
	assert_int_equal(ring_consume(&line.c, 8), 2);
	/* the one before it has left with events unread: they never come */
	sluice_consumer_close(&line.b, false);
	assert_int_equal(ready(&line.c), -ESHUTDOWN);
	sluice_ring_set_state(&line.segment, SLUICE_STATE_POISONED);
	assert_int_equal(ready(&line.c), -ENOTRECOVERABLE);
	atomic_store(&line.segment.control->state, 77);
	assert_int_equal(ready(&line.c), -EBADMSG);
	line_close(&line);
}

static void test_consumer_stage_end__damaged_positions_stop_it(void **state)
{
	struct line line;

	(void)state;
	line_open(&line, NULL, RING_CURSOR, 8);
	assert_int_equal(ring_publish(&line.producer, 4), 0);
	assert_int_equal(ring_consume(&line.a, 4), 4);
	atomic_store(&line.a.self->position, 9);
	assert_int_equal(ready(&line.b), -EBADMSG);
	atomic_store(&line.a.self->position, UINT64_MAX);
	assert_int_equal(ready(&line.b), -EBADMSG);
	atomic_store(&line.a.self->position, 4);
	assert_int_equal(ready(&line.b), 4);
	/* bits of nobody, and its own, are not believed */
	sluice_consumer_close(&line.b, true);
	atomic_store(&line.a.self->follows, UINT64_MAX);
	assert_int_equal(stage(&line.b, &line.segment, "b", AFTER("a")), -EINVAL);
	atomic_store(&line.a.self->follows, 0);
	assert_int_equal(stage(&line.b, &line.segment, "b", AFTER("a")), 0);
	assert_int_equal(ring_consume(&line.b, 8), 4);
	line_close(&line);
}

/* ---------------------------------------------------------------------------------- sleep */

/* One line for both words, one look at it: whichever has somebody in it is taken. */
static void test_consumer_stage_end__release_wakes_producers_and_stages(void **state)
{
	struct line line;

	(void)state;
	for (uint32_t who = 1; who < 4; who++) {
		uint32_t wakes[2];

		line_open(&line, NULL, RING_CURSOR, 8);
		assert_int_equal(ring_publish(&line.producer, 1), 0);
		if (who & 1)
			atomic_store(&line.segment.control->producer_sleepers,
				     1ull << line.producer.index);
		if (who & 2)
			atomic_store(&line.segment.control->stage_sleepers, bit(&line.b));
		wakes[0] = atomic_load(&line.producer.self->wake);
		wakes[1] = atomic_load(&line.b.self->wake);
		assert_int_equal(ring_consume(&line.a, 1), 1);
		assert_int_equal(atomic_load(&line.producer.self->wake), wakes[0] + (who & 1));
		assert_int_equal(atomic_load(&line.b.self->wake), wakes[1] + (who >> 1));
		assert_int_equal(atomic_load(&line.segment.control->producer_sleepers), 0);
		assert_int_equal(atomic_load(&line.segment.control->stage_sleepers), 0);
		line_close(&line);
	}
}

static void *wait_once(void *arg)
{
	uint64_t n;

	return sluice_consumer_wait(arg, 1, 20000 * MS, &n) ? arg : NULL;
}

/* A follower sleeps where those before it look, and nowhere else. */
static void test_consumer_stage_end__sleeps_for_a_stage(void **state)
{
	const uint64_t end_ns = sluice_clock_ns() + 20000 * MS;
	struct sluice_control *control;
	pthread_t thread;
	struct line line;
	uint64_t in = 0;
	void *failed;

	(void)state;
	line_open(&line, NULL, RING_MULTI, 8);
	control = line.segment.control;
	assert_int_equal(ring_publish(&line.producer, 1), 0);
	line.b.wait = SLUICE_WAIT_BLOCK;
	pthread_create(&thread, NULL, wait_once, &line.b);
	while (!(in & bit(&line.b)) && sluice_clock_ns() < end_ns) {
		assert_int_equal(atomic_load(&control->consumer_sleepers), 0);
		in = atomic_load(&control->stage_sleepers);
	}
	assert_int_equal(in, bit(&line.b));
	assert_int_equal(ring_consume(&line.a, 1), 1);
	pthread_join(thread, &failed);
	assert_null(failed);
	line_close(&line);
}

#define ROUNDS 400u

static void *stage_thread(void *arg)
{
	struct sluice_consumer *consumer = arg;
	uint64_t left = ROUNDS, n;

	while (left && !sluice_consumer_wait(consumer, 1, 20000 * MS, &n)) {
		sluice_consumer_advance(consumer, n);
		sluice_consumer_release(consumer, consumer->next);
		left -= n;
	}
	return NULL;
}

/* A later stage sleeps, and the release before it wakes it: no round waits for a timeout. */
static void test_consumer_stage_end__sleeps_until_the_one_before_releases(void **state)
{
	const uint64_t started_ns = sluice_clock_ns();
	pthread_t threads[2];
	struct line line;
	uint64_t first;

	(void)state;
	line_open(&line, NULL, RING_STAMPED, 2);
	line.b.wait = SLUICE_WAIT_BLOCK;
	line.c.wait = SLUICE_WAIT_BLOCK;
	line.producer.wait = SLUICE_WAIT_BLOCK;
	pthread_create(&threads[0], NULL, stage_thread, &line.b);
	pthread_create(&threads[1], NULL, stage_thread, &line.c);
	for (uint32_t i = 0; i < ROUNDS; i++) {
		assert_int_equal(sluice_producer_claim(&line.producer, 1, 20000 * MS, &first), 0);
		event_fill(sluice_producer_slot(&line.producer, first),
			   line.producer.ring.payload_bytes, first);
		sluice_producer_publish(&line.producer, first);
		assert_int_equal(ring_consume(&line.a, 1), 1);
	}
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(line.c.next, ROUNDS);
	assert_true(atomic_load(&line.b.self->sleeps) > 0);
	assert_true(atomic_load(&line.c.self->sleeps) > 0);
	/* without wake-ups, a bounded sleep of 10 ms for every second event at the least */
	assert_true(sluice_clock_ns() - started_ns < ROUNDS / 2 * 10 * MS);
	line_close(&line);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_consumer_stage_end__one_that_is_away_holds_the_line),
		cmocka_unit_test(test_consumer_stage_end__one_that_left_leaves_its_followers_stale),
		cmocka_unit_test(test_consumer_stage_end__evicted_follower_gives_its_bit_back),
		cmocka_unit_test(test_consumer_stage_end__drains_one_after_the_other),
		cmocka_unit_test(test_consumer_stage_end__other_states_end_it_as_they_should),
		cmocka_unit_test(test_consumer_stage_end__damaged_positions_stop_it),
		cmocka_unit_test(test_consumer_stage_end__release_wakes_producers_and_stages),
		cmocka_unit_test(test_consumer_stage_end__sleeps_for_a_stage),
		cmocka_unit_test(test_consumer_stage_end__sleeps_until_the_one_before_releases),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
