/* SPDX-License-Identifier: MIT */
/* stage_fixture.h - a line of three stages behind a producer, in one process. */
#ifndef SLUICE_TESTS_STAGE_FIXTURE_H
#define SLUICE_TESTS_STAGE_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/lib/ring_fixture.h"

static const uint32_t schemes[] = {RING_CURSOR, RING_STAMPED, RING_MULTI};

static inline int stage_as(struct sluice_consumer *consumer, struct sluice_segment *segment,
		    const char *name, const char *const *after,
		    const struct sluice_consumer_options *more, struct sluice_diag *diag)
{
	struct sluice_consumer_options options = {0};

	if (more)
		options = *more;
	options.name = name;
	options.after = after;
	return sluice_consumer_open(consumer, segment, &options, diag);
}

static inline int stage(struct sluice_consumer *consumer, struct sluice_segment *segment,
		 const char *name, const char *const *after)
{
	return stage_as(consumer, segment, name, after, NULL, NULL);
}

#define AFTER(...) ((const char *const[]){__VA_ARGS__, NULL})

static inline uint64_t gating(const struct sluice_segment *segment)
{
	return atomic_load(&segment->control->gating);
}

static inline uint64_t bit(const struct sluice_consumer *consumer)
{
	return 1ull << consumer->index;
}

struct line { /* a producer, and a, b after a, c after b */
	struct sluice_segment segment;
	struct sluice_producer producer;
	struct sluice_consumer a, b, c;
};

static inline void line_open(struct line *line, const char *name, uint32_t scheme, uint64_t slots)
{
	assert_int_equal(ring_create(&line->segment, name, scheme, slots, 0), 0);
	assert_int_equal(sluice_producer_open(&line->producer, &line->segment, NULL, NULL), 0);
	assert_int_equal(stage(&line->a, &line->segment, "a", NULL), 0);
	assert_int_equal(stage(&line->b, &line->segment, "b", AFTER("a")), 0);
	assert_int_equal(stage(&line->c, &line->segment, "c", AFTER("b")), 0);
}

static inline void line_close(struct line *line)
{
	sluice_consumer_close(&line->a, false);
	sluice_consumer_close(&line->b, false);
	sluice_consumer_close(&line->c, false);
	assert_int_equal(gating(&line->segment), 0);
	sluice_producer_close(&line->producer);
	ring_destroy(&line->segment);
}

static inline int ready(struct sluice_consumer *consumer)
{
	uint64_t n = 0;
	const int rc = sluice_consumer_poll(consumer, UINT64_MAX, &n);

	return rc ? rc : (int)n;
}

#endif
