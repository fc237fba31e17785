/* SPDX-License-Identifier: MIT */
/* test_takeover.c - what a producer that died or was overtaken leaves, and who cleans it up. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "shm/recovery.h"
#include "tests/lib/pair_fixture.h"

#define MS 1000000ull

static const uint32_t schemes[] = {RING_CURSOR, RING_STAMPED};

/* ------------------------------------------------------------------------------- the dead */

enum step { CLAIMED, HALF_WRITTEN, WRITTEN, PART_PUBLISHED, PUBLISHED, STEPS };

/* Publishes 3 events, then claims 3 and stops for ever at a step. */
static int produce(struct sluice_segment *segment, void *arg)
{
	static struct sluice_producer producer;
	const enum step step = *(const enum step *)arg;
	uint64_t first;

	if (sluice_producer_open(&producer, segment, NULL, NULL) || ring_publish(&producer, 3) ||
	    sluice_producer_try_claim(&producer, 3, &first))
		return 1;
	if (step >= HALF_WRITTEN)
		memset(sluice_producer_slot(&producer, first), 0xaa, 20);
	for (uint64_t i = 0; step >= WRITTEN && i < 3; i++)
		event_fill(sluice_producer_slot(&producer, first + i), producer.ring.payload_bytes,
			   first + i);
	if (step == PART_PUBLISHED)
		sluice_producer_publish(&producer, first);
	if (step == PUBLISHED)
		sluice_producer_publish_range(&producer, first, first + 2);
	return 0;
}

static pid_t start_child(enum step step)
{
	return child_ready("dead", produce, NULL, &step);
}

static void test_takeover__successor_of_a_killed_one(void **state)
{
	(void)state;
	for (int i = 0; i < 2 * STEPS; i++) {
		const enum step step = (enum step)(i % STEPS);
		const bool stamped = schemes[i / STEPS] == RING_STAMPED;
		const uint64_t published = step == PUBLISHED ? 6 : step == PART_PUBLISHED ? 4 : 3;
		const uint64_t voids = stamped ? 6 - published : 0;
		struct sluice_segment segment;
		struct sluice_consumer consumer;
		struct sluice_producer producer;
		pid_t pid;

		assert_int_equal(ring_create(&segment, "dead", schemes[i / STEPS], 8, 0), 0);
		assert_int_equal(ring_consumer(&consumer, &segment, "c", SLUICE_POLICY_CRITICAL,
					       SLUICE_FROM_BEGINNING),
				 0);
		pid = start_child(step);
		assert_true(pid > 0);
		assert_int_equal(sluice_producer_open(&producer, &segment, NULL, NULL), -EBUSY);
		assert_int_equal(sluice_recover(&segment), 0);
		assert_int_equal(sluice_participant_count(&segment, SLUICE_ROLE_PRODUCER), 1);
		child_kill(pid);
		assert_int_equal(sluice_participant_count(&segment, SLUICE_ROLE_PRODUCER), 0);
		assert_int_equal(sluice_producer_open(&producer, &segment, NULL, NULL), 0);
		assert_int_equal(producer.next, published + voids);
		assert_int_equal(atomic_load(&segment.control->tombstones), voids);
		/* never more than the ring holds, although the dead one's claim stands */
		assert_int_equal(ring_publish(&producer, 9), -EAGAIN);
		assert_int_equal(producer.next, 8);
		for (uint64_t s = 0; s < 8; s++)
			assert_int_equal(sluice_ring_is_void(&producer.ring, s),
					 s >= published && s < published + voids);
		assert_int_equal(ring_consume(&consumer, 100), 8);
		assert_int_equal(ring_publish(&producer, 8), 0);
		assert_int_equal(ring_consume(&consumer, 100), 8);
		sluice_producer_close(&producer);
		sluice_consumer_close(&consumer, false);
		ring_destroy(&segment);
	}
}

static void test_takeover__recovery_without_a_successor(void **state)
{
	struct sluice_segment segment;
	struct sluice_consumer consumer;
	pid_t pid;

	(void)state;
	assert_int_equal(ring_create(&segment, "dead", RING_STAMPED, 8, 0), 0);
	assert_int_equal(ring_consumer(&consumer, &segment, "c", SLUICE_POLICY_CRITICAL,
				       SLUICE_FROM_BEGINNING),
			 0);
	pid = start_child(HALF_WRITTEN);
	assert_true(pid > 0);
	child_kill(pid);
	assert_int_equal(ring_consume(&consumer, 100), 3);
	assert_int_equal(sluice_recover(&segment), 3);
	assert_int_equal(ring_consume(&consumer, 100), 3);
	assert_int_equal(sluice_recover(&segment), 0);
	assert_int_equal(atomic_load(&segment.control->claim), 6);
	sluice_consumer_close(&consumer, false);
	ring_destroy(&segment);
}

/*
 * A producer that died between its claim word and its look at a newcomer has claimed slots that the
 * newcomer still reads: a successor must not bury those.
 */
static void test_takeover__successor_spares_slots_that_are_still_read(void **state)
{
	struct pair_fixture f;
	uint64_t first;

	(void)state;
	pair_open(&f, RING_STAMPED, 4);
	assert_int_equal(ring_publish(&f.producer, 4), 0);
	sluice_producer_close(&f.producer);
	atomic_store(&f.segment.control->claim, 6);
	assert_int_equal(sluice_producer_open(&f.producer, &f.segment, NULL, NULL), 0);
	assert_int_equal(f.producer.next, 4);
	assert_int_equal(atomic_load(&f.segment.control->claim), 4);
	assert_int_equal(sluice_producer_try_claim(&f.producer, 1, &first), -EAGAIN);
	assert_int_equal(ring_consume(&f.consumer, 4), 4);
	assert_int_equal(ring_publish(&f.producer, 2), 0);
	assert_int_equal(ring_consume(&f.consumer, 4), 2);
	pair_close(&f);
}

/* The same while it lives: the newcomer came after the claim was checked against nobody. */
static void test_takeover__claim_gives_way_to_a_newcomer(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct sluice_segment segment;
		struct sluice_producer producer;
		struct sluice_consumer consumer;
		uint64_t first;

		assert_int_equal(ring_create(&segment, NULL, schemes[i], 4, 0), 0);
		assert_int_equal(sluice_producer_open(&producer, &segment, NULL, NULL), 0);
		assert_int_equal(ring_publish(&producer, 9), 0);
		assert_int_equal(ring_consumer(&consumer, &segment, "c", SLUICE_POLICY_CRITICAL,
					       SLUICE_FROM_BEGINNING),
				 0);
		assert_int_equal(consumer.next, 5);
		assert_true(producer.next + 1 - producer.gate <= 4); /* it believes in space */
		assert_int_equal(sluice_producer_try_claim(&producer, 1, &first), -EAGAIN);
		assert_int_equal(atomic_load(&segment.control->claim), 9);
		assert_int_equal(ring_consume(&consumer, 100), 4);
		sluice_consumer_close(&consumer, false);
		sluice_producer_close(&producer);
		ring_destroy(&segment);
	}
}

static void test_takeover__refuses_damaged_words(void **state)
{
	struct pair_fixture f;
	uint64_t first;

	(void)state;
	pair_open(&f, RING_CURSOR, 4);
	assert_int_equal(ring_publish(&f.producer, 4), 0);
	atomic_store(&f.consumer.self->position, 1000);
	assert_int_equal(sluice_producer_try_claim(&f.producer, 1, &first), -EBADMSG);
	assert_int_equal(sluice_producer_claim(&f.producer, 1, 10 * MS, &first), -EBADMSG);
	assert_int_equal(sluice_producer_remaining(&f.producer), 0);
	assert_false(sluice_producer_drained(&f.producer));
	sluice_producer_close(&f.producer);
	atomic_store(&f.segment.control->cursor, 500);
	assert_int_equal(sluice_producer_open(&f.producer, &f.segment, NULL, NULL), -EBADMSG);
	f.producer.ring.segment = NULL;
	/* the place was given back */
	assert_int_equal(sluice_participant_count(&f.segment, SLUICE_ROLE_PRODUCER), 0);
	pair_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_takeover__successor_of_a_killed_one),
		cmocka_unit_test(test_takeover__recovery_without_a_successor),
		cmocka_unit_test(test_takeover__successor_spares_slots_that_are_still_read),
		cmocka_unit_test(test_takeover__claim_gives_way_to_a_newcomer),
		cmocka_unit_test(test_takeover__refuses_damaged_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
