/* SPDX-License-Identifier: MIT */
/*
 * pair_fixture.h - a private ring of one producer, and a consumer that gates.
 */
#ifndef SLUICE_TESTS_LIB_PAIR_FIXTURE_H
#define SLUICE_TESTS_LIB_PAIR_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/lib/ring_fixture.h"

struct pair_fixture {
	struct sluice_segment segment;
	struct sluice_producer producer;
	struct sluice_consumer consumer;
};

static inline void pair_open(struct pair_fixture *f, uint32_t publication, uint64_t slots)
{
	assert_int_equal(ring_create(&f->segment, NULL, publication, slots, 0), 0);
	assert_int_equal(ring_consumer(&f->consumer, &f->segment, "c", SLUICE_POLICY_CRITICAL,
				       SLUICE_FROM_BEGINNING),
			 0);
	assert_int_equal(sluice_producer_open(&f->producer, &f->segment, NULL, NULL), 0);
}

static inline void pair_close(struct pair_fixture *f)
{
	sluice_producer_close(&f->producer);
	sluice_consumer_close(&f->consumer, false);
	ring_destroy(&f->segment);
}

#endif
