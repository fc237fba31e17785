/* SPDX-License-Identifier: MIT */
/* test_consumer.c - reading, releasing, the end of a ring, eviction, laps, joins at full speed. */
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
#include "tests/lib/ring_fixture.h"

#define MS 1000000ull

static const uint32_t schemes[] = {RING_CURSOR, RING_STAMPED};

static void open_pair(struct sluice_segment *segment, struct sluice_producer *producer,
		      struct sluice_consumer *consumer, uint32_t publication, uint64_t slots)
{
	assert_int_equal(ring_create(segment, NULL, publication, slots, 0), 0);
	assert_int_equal(
		ring_consumer(consumer, segment, "c", SLUICE_POLICY_CRITICAL, SLUICE_FROM_NEXT), 0);
	assert_int_equal(sluice_producer_open(producer, segment, NULL, NULL), 0);
}

static void close_pair(struct sluice_segment *segment, struct sluice_producer *producer,
		       struct sluice_consumer *consumer)
{
	sluice_producer_close(producer);
	sluice_consumer_close(consumer, false);
	ring_destroy(segment);
}

static void test_consumer__polls_what_is_published(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct sluice_segment segment;
		struct sluice_producer producer;
		struct sluice_consumer consumer;
		uint64_t n = 77, first;

		open_pair(&segment, &producer, &consumer, schemes[i], 8);
		assert_int_equal(sluice_consumer_poll(&consumer, 8, &n), -EAGAIN);
		assert_int_equal(sluice_producer_try_claim(&producer, 8, &first), 0);
		assert_int_equal(sluice_consumer_poll(&consumer, 8, &n), -EAGAIN);
		assert_int_equal(n, 77);
		for (uint64_t s = 0; s < 8; s++)
			event_fill(sluice_producer_slot(&producer, s), producer.ring.payload_bytes,
				   s);
		sluice_producer_publish_range(&producer, 0, 4);
		assert_int_equal(sluice_consumer_poll(&consumer, 8, &n), 0);
		assert_int_equal(n, 5);
		assert_int_equal(sluice_consumer_poll(&consumer, 2, &n), 0);
		assert_int_equal(n, 2);
		sluice_producer_publish_range(&producer, 5, 7);
		/* a full ring is read in one go */
		assert_int_equal(sluice_consumer_poll(&consumer, UINT64_MAX, &n), 0);
		assert_int_equal(n, 8);
		assert_int_equal(ring_consume(&consumer, 100), 8);
		close_pair(&segment, &producer, &consumer);
	}
}

static void test_consumer__release_may_come_late(void **state)
{
	struct sluice_segment segment;
	struct sluice_producer producer;
	struct sluice_consumer consumer;
	uint64_t n;

	(void)state;
	open_pair(&segment, &producer, &consumer, RING_STAMPED, 4);
	assert_int_equal(ring_publish(&producer, 4), 0);
	assert_int_equal(sluice_consumer_poll(&consumer, 4, &n), 0);
	sluice_consumer_advance(&consumer, n);
	assert_int_equal(sluice_consumer_poll(&consumer, 4, &n), -EAGAIN);
	/* read, and still there */
	assert_int_equal(ring_publish(&producer, 1), -EAGAIN);
	for (uint64_t s = 0; s < 4; s++)
		assert_true(event_is(sluice_consumer_event(&consumer, s),
				     consumer.ring.payload_bytes, s));
	sluice_consumer_release(&consumer, 3);
	assert_int_equal(ring_publish(&producer, 4), -EAGAIN);
	assert_int_equal(producer.next, 7);
	sluice_consumer_release(&consumer, 4);
	assert_int_equal(ring_publish(&producer, 2), -EAGAIN);
	assert_int_equal(producer.next, 8);
	close_pair(&segment, &producer, &consumer);
}

static void test_consumer__closed_ring_is_read_to_the_end(void **state)
{
	static const enum sluice_segment_state closed[] = {SLUICE_STATE_DRAINING,
							   SLUICE_STATE_RETIRED};
	static const int ends[] = {-EPIPE, -ESHUTDOWN};

	(void)state;
	for (int i = 0; i < 4; i++) {
		struct sluice_segment segment;
		struct sluice_producer producer;
		struct sluice_consumer consumer;
		uint64_t n;

		open_pair(&segment, &producer, &consumer, schemes[i % 2], 8);
		assert_int_equal(ring_publish(&producer, 5), 0);
		sluice_ring_set_state(&segment, closed[i / 2]);
		assert_int_equal(ring_consume(&consumer, 100), 5);
		assert_int_equal(sluice_consumer_poll(&consumer, 8, &n), ends[i / 2]);
		assert_int_equal(sluice_consumer_wait(&consumer, 8, SLUICE_WAIT_FOREVER, &n),
				 ends[i / 2]);
		close_pair(&segment, &producer, &consumer);
	}
}

/* What a live producer had claimed before the close still comes; a dead one's never does. */
static void test_consumer__open_claims_hold_the_end_up(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct sluice_segment segment;
		struct sluice_producer producer;
		struct sluice_consumer consumer;
		uint64_t first, n;

		open_pair(&segment, &producer, &consumer, schemes[i], 8);
		assert_int_equal(sluice_producer_try_claim(&producer, 2, &first), 0);
		sluice_ring_set_state(&segment, SLUICE_STATE_DRAINING);
		assert_int_equal(sluice_consumer_poll(&consumer, 8, &n), -EAGAIN);
		event_fill(sluice_producer_slot(&producer, 0), producer.ring.payload_bytes, 0);
		sluice_producer_publish(&producer, 0);
		assert_int_equal(ring_consume(&consumer, 8), 1);
		assert_int_equal(sluice_consumer_poll(&consumer, 8, &n), -EAGAIN);
		sluice_producer_close(&producer);
		/* a stamped ring gets a tombstone for the rest */
		assert_int_equal(ring_consume(&consumer, 8), schemes[i] == RING_STAMPED);
		assert_int_equal(sluice_consumer_poll(&consumer, 8, &n), -EPIPE);
		sluice_consumer_close(&consumer, false);
		ring_destroy(&segment);
	}
}

static void test_consumer__wait_times_out(void **state)
{
	struct sluice_segment segment;
	struct sluice_producer producer;
	struct sluice_consumer consumer;

	(void)state;
	open_pair(&segment, &producer, &consumer, RING_CURSOR, 8);
	for (uint32_t wait = 0; wait < 4; wait++) {
		const uint64_t started_ns = sluice_clock_ns();
		uint64_t n;

		consumer.wait = wait;
		assert_int_equal(sluice_consumer_wait(&consumer, 8, 15 * MS, &n), -ETIMEDOUT);
		assert_true(sluice_clock_ns() - started_ns >= 15 * MS);
		assert_int_equal(sluice_consumer_wait(&consumer, 8, 0, &n), -ETIMEDOUT);
		/* what is there comes before any timeout */
		assert_int_equal(ring_publish(&producer, 1), 0);
		assert_int_equal(sluice_consumer_wait(&consumer, 8, 0, &n), 0);
		assert_int_equal(ring_consume(&consumer, 8), 1);
	}
	close_pair(&segment, &producer, &consumer);
}

struct delayed {
	struct sluice_producer *producer;
	struct sluice_segment *segment;
	uint64_t delay_ns;
};

static void *publish_later(void *arg)
{
	const struct delayed *delayed = arg;
	const struct timespec nap = {.tv_nsec = (long)delayed->delay_ns};

	nanosleep(&nap, NULL);
	if (delayed->producer)
		ring_publish(delayed->producer, 1);
	else
		sluice_ring_set_state(delayed->segment, SLUICE_STATE_DRAINING);
	return NULL;
}

static void test_consumer__wait_wakes_for_an_event_and_for_the_end(void **state)
{
	struct sluice_segment segment;
	struct sluice_producer producer;
	struct sluice_consumer consumer;
	uint64_t n;

	(void)state;
	open_pair(&segment, &producer, &consumer, RING_STAMPED, 64);
	for (int i = 0; i < 13; i++) {
		struct delayed delayed = {i < 12 ? &producer : NULL, &segment,
					  (uint64_t)(i % 3 + 1) * 5 * MS};
		const uint64_t started_ns = sluice_clock_ns();
		pthread_t thread;

		consumer.wait = (uint32_t)(i / 3 % 4);
		pthread_create(&thread, NULL, publish_later, &delayed);
		assert_int_equal(sluice_consumer_wait(&consumer, 8, 20000 * MS, &n),
				 i < 12 ? 0 : -EPIPE);
		assert_true(sluice_clock_ns() - started_ns < 10000 * MS);
		pthread_join(thread, NULL);
		assert_int_equal(ring_consume(&consumer, 8), i < 12);
	}
	close_pair(&segment, &producer, &consumer);
}

static void test_consumer__evicted_one_notices_before_it_acts(void **state)
{
	struct sluice_segment segment;
	struct sluice_producer producer;
	struct sluice_consumer consumer;
	uint8_t event[64];
	uint64_t n;

	(void)state;
	assert_int_equal(ring_create(&segment, NULL, RING_STAMPED, 4, 0), 0);
	assert_int_equal(sluice_producer_open(&producer, &segment, NULL, NULL), 0);
	assert_int_equal(
		ring_consumer(&consumer, &segment, "e", SLUICE_POLICY_EVICTABLE, SLUICE_FROM_NEXT),
		0);
	assert_int_equal(ring_publish(&producer, 2), 0);
	assert_int_equal(sluice_consumer_copy(&consumer, 0, event), 0);
	assert_true(event_is(event, consumer.ring.payload_bytes, 0));
	assert_int_equal(sluice_participant_evict(&segment, consumer.index), 0);
	assert_int_equal(sluice_consumer_copy(&consumer, 1, event), -ESTALE);
	assert_int_equal(sluice_consumer_poll(&consumer, 4, &n), -ESTALE);
	assert_int_equal(sluice_consumer_wait(&consumer, 4, 0, &n), -ESTALE);
	assert_int_equal(ring_publish(&producer, 40), 0);
	sluice_consumer_close(&consumer, false);
	sluice_producer_close(&producer);
	ring_destroy(&segment);
}

static void test_consumer__lossy_counts_what_it_missed(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct sluice_segment segment;
		struct sluice_producer producer;
		struct sluice_consumer consumer;
		uint8_t event[64];
		uint64_t n;

		assert_int_equal(ring_create(&segment, NULL, schemes[i], 4, 0), 0);
		assert_int_equal(sluice_producer_open(&producer, &segment, NULL, NULL), 0);
		assert_int_equal(ring_consumer(&consumer, &segment, "l", SLUICE_POLICY_LOSSY,
					       SLUICE_FROM_BEGINNING),
				 0);
		assert_int_equal(ring_publish(&producer, 11), 0);
		assert_int_equal(sluice_consumer_poll(&consumer, 8, &n), 0);
		assert_int_equal(sluice_consumer_copy(&consumer, consumer.next, event), -EOVERFLOW);
		assert_int_equal(sluice_consumer_skip(&consumer), 7);
		assert_int_equal(consumer.next, 7);
		for (; consumer.next < 11; sluice_consumer_advance(&consumer, 1)) {
			assert_int_equal(sluice_consumer_copy(&consumer, consumer.next, event), 0);
			assert_true(event_is(event, consumer.ring.payload_bytes, consumer.next));
		}
		assert_int_equal(sluice_consumer_poll(&consumer, 8, &n), -EAGAIN);
		assert_int_equal(atomic_load(&consumer.self->gaps), 7);
		sluice_consumer_close(&consumer, false);
		sluice_producer_close(&producer);
		ring_destroy(&segment);
	}
}

static void test_consumer__refuses_a_damaged_saved_position(void **state)
{
	struct sluice_segment segment;
	struct sluice_producer producer;
	struct sluice_consumer consumer;
	struct sluice_diag diag;
	const struct sluice_consumer_options options = {.name = "c"};

	(void)state;
	open_pair(&segment, &producer, &consumer, RING_CURSOR, 4);
	assert_int_equal(ring_publish(&producer, 4), 0);
	sluice_consumer_close(&consumer, true);
	atomic_store(&segment.participants[consumer.index].position, 5000);
	assert_int_equal(sluice_consumer_open(&consumer, &segment, &options, &diag), -EBADMSG);
	assert_non_null(strstr(diag.text, "5000"));
	atomic_store(&segment.participants[0].position, 1);
	assert_int_equal(sluice_consumer_open(&consumer, &segment, &options, NULL), 0);
	assert_int_equal(ring_consume(&consumer, 8), 3);
	close_pair(&segment, &producer, &consumer);
}

/* -------------------------------------------------------------------- joins at full speed */

struct runner {
	struct sluice_segment *segment;
	uint64_t seed;
	uint64_t end_ns;
	uint64_t joins, events, wrong, damaged;
	uint32_t number;
};

static void *join_and_leave(void *arg)
{
	struct runner *runner = arg;
	char name[16];

	snprintf(name, sizeof(name), "j%u", runner->number);
	while (sluice_clock_ns() < runner->end_ns) {
		const uint64_t random = test_random(&runner->seed);
		struct sluice_consumer consumer;
		uint64_t want = random % 300, got;

		if (ring_consumer(&consumer, runner->segment, name, SLUICE_POLICY_CRITICAL,
				  random >> 32 & 1 ? SLUICE_FROM_BEGINNING : SLUICE_FROM_NEXT))
			continue;
		runner->joins++;
		for (uint64_t tries = 0; want && tries < 2000; tries++) {
			got = ring_consume(&consumer, want);
			if (got == UINT64_MAX) {
				runner->wrong++;
				break;
			}
			want -= got;
			runner->events += got;
		}
		sluice_consumer_close(&consumer, false);
	}
	return NULL;
}

static void *run_producer(void *arg)
{
	struct runner *runner = arg;
	struct sluice_producer producer;
	uint64_t first;

	if (sluice_producer_open(&producer, runner->segment, NULL, NULL))
		return NULL;
	while (sluice_clock_ns() < runner->end_ns) {
		const uint64_t n = test_random(&runner->seed) % 9 + 1;
		const int rc = sluice_producer_claim(&producer, n, 100 * MS, &first);

		if (rc == -ETIMEDOUT)
			continue;
		if (rc) {
			runner->damaged++;
			break;
		}
		for (uint64_t s = first; s < first + n; s++)
			event_fill(sluice_producer_slot(&producer, s), producer.ring.payload_bytes,
				   s);
		sluice_producer_publish_range(&producer, first, first + n - 1);
		runner->events += n;
	}
	sluice_producer_close(&producer);
	return NULL;
}

/*
 * No newcomer sees a slot that is being overwritten, none makes the producer believe that memory is
 * damaged, and none that has left holds it up.
 */
static void test_consumer__joins_and_leaves_at_full_speed(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct sluice_segment segment;
		static struct runner runners[4];
		pthread_t threads[4];

		assert_int_equal(ring_create(&segment, NULL, schemes[i], 16, 0), 0);
		for (uint32_t t = 0; t < 4; t++) {
			runners[t] = (struct runner){
				.segment = &segment,
				.seed = test_seed() + t,
				.number = t,
				.end_ns = sluice_clock_ns() + 1500 * MS,
			};
			pthread_create(&threads[t], NULL, t ? join_and_leave : run_producer,
				       &runners[t]);
		}
		for (int t = 0; t < 4; t++)
			pthread_join(threads[t], NULL);
		print_message(
			"%llu events, %llu + %llu + %llu joins\n",
			(unsigned long long)runners[0].events, (unsigned long long)runners[1].joins,
			(unsigned long long)runners[2].joins, (unsigned long long)runners[3].joins);
		assert_int_equal(runners[0].damaged, 0);
		assert_true(runners[0].events > 1000);
		for (int t = 1; t < 4; t++) {
			assert_int_equal(runners[t].wrong, 0);
			assert_true(runners[t].joins > 10);
		}
		assert_int_equal(atomic_load(&segment.control->gating), 0);
		ring_destroy(&segment);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_consumer__polls_what_is_published),
		cmocka_unit_test(test_consumer__release_may_come_late),
		cmocka_unit_test(test_consumer__closed_ring_is_read_to_the_end),
		cmocka_unit_test(test_consumer__open_claims_hold_the_end_up),
		cmocka_unit_test(test_consumer__wait_times_out),
		cmocka_unit_test(test_consumer__wait_wakes_for_an_event_and_for_the_end),
		cmocka_unit_test(test_consumer__evicted_one_notices_before_it_acts),
		cmocka_unit_test(test_consumer__lossy_counts_what_it_missed),
		cmocka_unit_test(test_consumer__refuses_a_damaged_saved_position),
		cmocka_unit_test(test_consumer__joins_and_leaves_at_full_speed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
