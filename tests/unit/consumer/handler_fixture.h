/* SPDX-License-Identifier: MIT */
/*
 * handler_fixture.h - a ring of each kind with a processor on it, and a handler that records what
 * it is shown, checks every event's bytes, and says what a test wants it to say.
 */
#ifndef SLUICE_TESTS_UNIT_CONSUMER_HANDLER_FIXTURE_H
#define SLUICE_TESTS_UNIT_CONSUMER_HANDLER_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "consumer/processor.h"
#include "shm/clock.h"
#include "tests/lib/ring_fixture.h"

#define MS 1000000ull
#define SECOND 1000000000ull
#define LOG_MAX 512
#define IDLE_END 77 /* what on_idle says, so that a run ends when there is nothing more */

enum rig_kind { RIG_CURSOR, RIG_STAMPED, RIG_MULTI, RIG_KINDS };
static const uint32_t rig_publications[RIG_KINDS] = {RING_CURSOR, RING_STAMPED, RING_MULTI};

struct log {
	struct sluice_consumer *consumer;
	struct sluice_processor *processor;
	/* after the event was recorded; NULL: 0 */
	int (*say)(struct log *log, uint64_t sequence, const void *event);
	void *arg; /* of say */
	uint32_t batches, batch_ends, events, ends, voids, idles, starts, stops;
	uint64_t batch[LOG_MAX], depth[LOG_MAX], batch_end[LOG_MAX], sequence[LOG_MAX];
	uint64_t end_at[LOG_MAX];
	int idle_with, start_with, stop_with;
	uint32_t asked; /* for say */
	bool wrong;
};

static inline int log_event(void *arg, const void *event, uint64_t sequence, bool end_of_batch)
{
	struct log *log = arg;

	log->wrong |= !event_is(event, log->consumer->ring.payload_bytes, sequence);
	log->sequence[log->events++ % LOG_MAX] = sequence;
	if (end_of_batch)
		log->end_at[log->ends++ % LOG_MAX] = sequence;
	return log->say ? log->say(log, sequence, event) : 0;
}

static inline void log_batch_start(void *arg, uint64_t batch, uint64_t depth)
{
	struct log *log = arg;

	log->wrong |= !batch || depth < batch;
	log->batch[log->batches % LOG_MAX] = batch;
	log->depth[log->batches++ % LOG_MAX] = depth;
}

static inline void log_batch_end(void *arg, uint64_t next_sequence)
{
	struct log *log = arg;

	log->batch_end[log->batch_ends++ % LOG_MAX] = next_sequence;
}

static inline void log_void(void *arg, uint64_t sequence)
{
	(void)sequence;
	((struct log *)arg)->voids++;
}

static inline int log_idle(void *arg, uint64_t next_sequence)
{
	struct log *log = arg;

	log->wrong |= next_sequence != log->consumer->next;
	log->idles++;
	return log->idle_with;
}

static inline int log_start(void *arg)
{
	struct log *log = arg;

	log->starts++;
	return log->start_with;
}

static inline int log_stop(void *arg)
{
	struct log *log = arg;

	log->stops++;
	return log->stop_with;
}

static const struct sluice_handler log_handler = {
	.on_event = log_event,
	.on_batch_start = log_batch_start,
	.on_batch_end = log_batch_end,
	.on_void = log_void,
	.on_idle = log_idle,
	.on_start = log_start,
	.on_stop = log_stop,
};

struct rig {
	struct sluice_segment segment;
	struct sluice_producer producer;
	struct sluice_consumer consumer;
	struct sluice_processor processor;
	struct log log;
};

/* 16 slots; asserts, so in the parent only. */
static inline void rig_open(struct rig *rig, enum rig_kind kind,
			    const struct sluice_processor_options *options)
{
	memset(rig, 0, sizeof(*rig));
	assert_int_equal(ring_create(&rig->segment, NULL, rig_publications[kind], 16, 0), 0);
	assert_int_equal(sluice_producer_open(&rig->producer, &rig->segment, NULL, NULL), 0);
	assert_int_equal(ring_consumer(&rig->consumer, &rig->segment, "p", SLUICE_POLICY_CRITICAL,
				       SLUICE_FROM_NEXT),
			 0);
	rig->log = (struct log){.consumer = &rig->consumer,
				.processor = &rig->processor,
				.idle_with = IDLE_END};
	sluice_processor_init(&rig->processor, &rig->consumer, &log_handler, &rig->log, options);
}

static inline void rig_close(struct rig *rig)
{
	assert_false(rig->log.wrong);
	sluice_producer_close(&rig->producer);
	sluice_consumer_close(&rig->consumer, false);
	ring_destroy(&rig->segment);
}

static inline uint64_t rig_position(const struct rig *rig)
{
	return atomic_load(&rig->consumer.self->position);
}

static inline uint64_t rig_failed(const struct rig *rig)
{
	return atomic_load(&rig->consumer.self->failed);
}

/* The delivered sequences are exactly these. */
static inline void log_is(const struct log *log, uint32_t count, const uint64_t *sequences)
{
	assert_int_equal(log->events, count);
	for (uint32_t i = 0; i < count; i++)
		assert_int_equal(log->sequence[i], sequences[i]);
}
#define LOG_IS(log, ...)                                                                           \
	log_is(log, sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t),                    \
	       (const uint64_t[]){__VA_ARGS__})

#endif
