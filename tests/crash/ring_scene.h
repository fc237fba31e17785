/* SPDX-License-Identifier: MIT */
/*
 * ring_scene.h - one multi-producer ring, its critical consumer in the test's own process, and what
 * it must be able to read. For suites of tests/crash; the other processes are the test's children.
 */
#ifndef SLUICE_TESTS_CRASH_RING_SCENE_H
#define SLUICE_TESTS_CRASH_RING_SCENE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>
#include <cmocka.h>

#include "shm/clock.h"
#include "tests/lib/ring_fixture.h"

#define MS 1000000ull
#define S 1000000000ull
#define SLOTS 16u
#define RING_NAME "signals.cmd" /* of the instance `signals`, for tools */

static struct sluice_segment segment;
static struct sluice_consumer consumer;

static inline void ring_open(void)
{
	assert_int_equal(ring_create(&segment, RING_NAME, RING_MULTI, SLOTS, 0), 0);
	assert_int_equal(ring_consumer(&consumer, &segment, "consumer", SLUICE_POLICY_CRITICAL,
				       SLUICE_FROM_BEGINNING), 0);
}

static inline void ring_end(void)
{
	sluice_consumer_close(&consumer, false);
	ring_destroy(&segment);
}

static inline bool fill(struct sluice_producer *producer, uint64_t first, uint64_t n)
{
	for (uint64_t s = first; s != first + n; s++)
		event_fill(sluice_producer_slot(producer, s), producer->ring.payload_bytes, s);
	return true;
}

/* -------------------------------------------------------------------------------- what is read */

static inline void assert_reads(uint64_t voids, uint64_t events)
{
	for (uint64_t i = 0; i < voids + events; i++) {
		uint64_t n;

		assert_int_equal(sluice_consumer_wait(&consumer, 1, 10 * S, &n), 0);
		assert_int_equal(sluice_consumer_is_void(&consumer, consumer.next), i < voids);
		if (i >= voids)
			assert_true(event_is(sluice_consumer_event(&consumer, consumer.next),
					     consumer.ring.payload_bytes, consumer.next));
		sluice_consumer_advance(&consumer, 1);
	}
	sluice_consumer_release(&consumer, consumer.next);
}

static inline uint64_t tombstones(void)
{
	return atomic_load(&segment.control->tombstones);
}

static inline void publish_one(void)
{
	struct sluice_producer producer;

	assert_int_equal(sluice_producer_open(&producer, &segment, NULL, NULL), 0);
	assert_int_equal(ring_publish(&producer, 1), 0);
	sluice_producer_close(&producer);
}

#endif
