/* SPDX-License-Identifier: MIT */
/*
 * multi_fixture.h - a private ring of many producers, with two of them and a consumer that gates or
 * none.
 */
#ifndef SLUICE_TESTS_LIB_MULTI_FIXTURE_H
#define SLUICE_TESTS_LIB_MULTI_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/lib/ring_fixture.h"

struct multi_fixture {
	struct sluice_segment segment;
	struct sluice_consumer consumer;
	struct sluice_producer p[2];
};

static inline void multi_open(struct multi_fixture *f, uint64_t slots, bool gates)
{
	assert_int_equal(ring_create(&f->segment, NULL, RING_MULTI, slots, 0), 0);
	if (gates)
		assert_int_equal(ring_consumer(&f->consumer, &f->segment, "c",
					       SLUICE_POLICY_CRITICAL, SLUICE_FROM_BEGINNING), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(sluice_producer_open(&f->p[i], &f->segment, NULL, NULL), 0);
}

static inline void multi_close(struct multi_fixture *f)
{
	sluice_producer_close(&f->p[0]);
	sluice_producer_close(&f->p[1]);
	if (f->consumer.self)
		sluice_consumer_close(&f->consumer, false);
	ring_destroy(&f->segment);
}

/* The claim record of its entry. */
static inline uint64_t multi_record(const struct sluice_producer *producer)
{
	return atomic_load(&producer->self->claim_record);
}

/* Events first to first + n - 1. */
static inline void multi_fill(struct sluice_producer *producer, uint64_t first, uint64_t n)
{
	for (uint64_t s = first; s != first + n; s++)
		event_fill(sluice_producer_slot(producer, s), producer->ring.payload_bytes, s);
}

#endif
