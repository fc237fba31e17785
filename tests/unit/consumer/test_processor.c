/* SPDX-License-Identifier: MIT */
/* test_processor.c - batches, hooks, halting and draining of the batch event processor. */
#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "consumer/processor.h"
#include "shm/clock.h"
#include "tests/lib/ring_fixture.h"

#define MS 1000000ull
#define LOG_MAX 64

struct log {
	struct sluice_consumer *consumer;
	struct sluice_processor *processor;
	uint32_t batches, events, ends, voids, idles, starts, stops;
	uint64_t batch[LOG_MAX], depth[LOG_MAX], sequence[LOG_MAX], end_at[LOG_MAX];
	uint64_t stop_at, halt_at;
	int stop_with, idle_with;
	bool wrong;
};

static int on_event(void *arg, const void *event, uint64_t sequence, bool end_of_batch)
{
	struct log *log = arg;

	log->wrong |= !event_is(event, log->consumer->ring.payload_bytes, sequence);
	log->sequence[log->events++ % LOG_MAX] = sequence;
	if (end_of_batch)
		log->end_at[log->ends++ % LOG_MAX] = sequence;
	if (sequence == log->halt_at)
		sluice_processor_halt(log->processor);
	return sequence == log->stop_at ? log->stop_with : 0;
}

static void on_batch_start(void *arg, uint64_t batch, uint64_t depth)
{
	struct log *log = arg;

	log->batch[log->batches % LOG_MAX] = batch;
	log->depth[log->batches++ % LOG_MAX] = depth;
}

static void on_void(void *arg, uint64_t sequence)
{
	(void)sequence;
	((struct log *)arg)->voids++;
}

static int on_idle(void *arg, uint64_t next_sequence)
{
	struct log *log = arg;

	log->wrong |= next_sequence != log->consumer->next;
	log->idles++;
	return log->idle_with;
}

static void on_start(void *arg)
{
	((struct log *)arg)->starts++;
}

static void on_stop(void *arg)
{
	((struct log *)arg)->stops++;
}

static const struct sluice_handler handler = {
	.on_event = on_event,
	.on_batch_start = on_batch_start,
	.on_void = on_void,
	.on_idle = on_idle,
	.on_start = on_start,
	.on_stop = on_stop,
};

struct fixture {
	struct sluice_segment segment;
	struct sluice_producer producer;
	struct sluice_consumer consumer;
	struct sluice_processor processor;
	struct log log;
};

static void open_all(struct fixture *f, const struct sluice_processor_options *options)
{
	memset(f, 0, sizeof(*f));
	assert_int_equal(ring_create(&f->segment, NULL, RING_STAMPED, 16, 0), 0);
	assert_int_equal(sluice_producer_open(&f->producer, &f->segment, NULL, NULL), 0);
	assert_int_equal(ring_consumer(&f->consumer, &f->segment, "p", SLUICE_POLICY_CRITICAL,
				       SLUICE_FROM_NEXT),
			 0);
	f->log = (struct log){.consumer = &f->consumer,
			      .processor = &f->processor,
			      .stop_at = UINT64_MAX,
			      .halt_at = UINT64_MAX,
			      .idle_with = -ETIME};
	sluice_processor_init(&f->processor, &f->consumer, &handler, &f->log, options);
}

static void close_all(struct fixture *f)
{
	assert_false(f->log.wrong);
	assert_int_equal(f->log.starts, f->log.stops);
	sluice_producer_close(&f->producer);
	sluice_consumer_close(&f->consumer, false);
	ring_destroy(&f->segment);
}

static uint64_t position(const struct fixture *f)
{
	return atomic_load(&f->consumer.self->position);
}

static void test_processor__cuts_batches(void **state)
{
	const struct sluice_processor_options options = {.batch_max = 3, .idle_ns = MS};
	struct fixture f;

	(void)state;
	open_all(&f, &options);
	assert_int_equal(ring_publish(&f.producer, 5), 0);
	assert_int_equal(sluice_processor_run(&f.processor), -ETIME);
	assert_int_equal(f.log.batches, 2);
	assert_int_equal(f.log.batch[0], 3);
	assert_int_equal(f.log.batch[1], 2);
	assert_int_equal(f.log.depth[0], 5);
	assert_int_equal(f.log.depth[1], 2);
	assert_int_equal(f.log.ends, 2);
	assert_int_equal(f.log.end_at[0], 2);
	assert_int_equal(f.log.end_at[1], 4);
	assert_int_equal(f.log.events, 5);
	assert_int_equal(position(&f), 5);
	assert_int_equal(f.log.idles, 1);
	close_all(&f);
}

static void test_processor__stops_after_the_event_that_said_so(void **state)
{
	/* -EPIPE and -ETIMEDOUT are what the ring says, too: a handler's own must come through */
	static const int results[] = {-5, 17, -EPIPE, -ETIMEDOUT, -EAGAIN};

	(void)state;
	for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++) {
		struct fixture f;

		open_all(&f, NULL);
		assert_int_equal(ring_publish(&f.producer, 6), 0);
		f.log.stop_at = 2;
		f.log.stop_with = results[i];
		assert_int_equal(sluice_processor_run(&f.processor), results[i]);
		assert_int_equal(f.log.events, 3);
		assert_int_equal(position(&f), 3);
		sluice_ring_set_state(&f.segment, SLUICE_STATE_DRAINING);
		assert_int_equal(sluice_processor_run(&f.processor), 0);
		assert_int_equal(f.log.events, 6);
		assert_int_equal(f.log.sequence[3], 3);
		assert_int_equal(f.log.starts, 2);
		close_all(&f);
	}
}

static void test_processor__halts_before_and_in_the_middle(void **state)
{
	const struct sluice_processor_options options = {.batch_max = 2, .idle_ns = MS};
	struct fixture f;

	(void)state;
	open_all(&f, &options);
	assert_int_equal(ring_publish(&f.producer, 6), 0);
	sluice_processor_halt(&f.processor);
	assert_int_equal(sluice_processor_run(&f.processor), -ECANCELED);
	assert_int_equal(f.log.events, 0);
	assert_int_equal(sluice_processor_run(&f.processor), -ECANCELED);
	sluice_processor_resume(&f.processor);
	f.log.halt_at = 2;
	assert_int_equal(sluice_processor_run(&f.processor), -ECANCELED);
	assert_int_equal(f.log.events, 4); /* the batch that it was in */
	assert_int_equal(position(&f), 4);
	sluice_processor_resume(&f.processor);
	assert_int_equal(sluice_processor_run(&f.processor), -ETIME);
	assert_int_equal(f.log.events, 6);
	for (uint64_t s = 0; s < 6; s++)
		assert_int_equal(f.log.sequence[s], s);
	sluice_processor_halt(&f.processor);
	assert_int_equal(sluice_processor_run(&f.processor), -ECANCELED);
	close_all(&f);
}

static void *run(void *arg)
{
	return (void *)(intptr_t)sluice_processor_run(arg);
}

static void test_processor__halts_while_it_waits(void **state)
{
	static const uint32_t waits[] = {SLUICE_WAIT_ADAPTIVE, SLUICE_WAIT_BLOCK,
					 SLUICE_WAIT_YIELD};

	(void)state;
	for (int i = 0; i < 30; i++) {
		struct fixture f;
		pthread_t thread;
		void *result;
		const uint64_t started_ns = sluice_clock_ns();

		open_all(&f, &(struct sluice_processor_options){.idle_ns = 5 * MS});
		f.consumer.wait = waits[i % 3];
		f.log.idle_with = 0;
		pthread_create(&thread, NULL, run, &f.processor);
		if (i % 2)
			usleep(2000);
		sluice_processor_halt(&f.processor);
		pthread_join(thread, &result);
		assert_int_equal((intptr_t)result, -ECANCELED);
		assert_true(sluice_clock_ns() - started_ns < 5000 * MS);
		assert_int_equal(f.log.starts, 1);
		close_all(&f);
	}
}

static void test_processor__drains_a_closed_ring(void **state)
{
	struct fixture f;

	(void)state;
	open_all(&f, NULL);
	assert_int_equal(ring_publish(&f.producer, 16), 0);
	sluice_ring_set_state(&f.segment, SLUICE_STATE_DRAINING);
	assert_int_equal(sluice_processor_run(&f.processor), 0);
	assert_int_equal(f.log.events, 16);
	assert_int_equal(position(&f), 16);
	close_all(&f);
}

static void test_processor__deferred_release_is_the_handlers(void **state)
{
	const struct sluice_processor_options options = {.deferred = true, .idle_ns = MS};
	struct fixture f;

	(void)state;
	open_all(&f, &options);
	assert_int_equal(ring_publish(&f.producer, 16), 0);
	assert_int_equal(sluice_processor_run(&f.processor), -ETIME);
	assert_int_equal(f.log.events, 16);
	assert_int_equal(position(&f), 0);
	assert_int_equal(ring_publish(&f.producer, 1), -EAGAIN);
	sluice_consumer_release(&f.consumer, 9);
	assert_int_equal(ring_publish(&f.producer, 10), -EAGAIN);
	assert_int_equal(f.producer.next, 25);
	close_all(&f);
}

static void test_processor__tombstones_are_not_events(void **state)
{
	struct fixture f;
	uint64_t first;

	(void)state;
	open_all(&f, NULL);
	assert_int_equal(ring_publish(&f.producer, 1), 0);
	assert_int_equal(sluice_producer_try_claim(&f.producer, 2, &first), 0);
	sluice_producer_close(&f.producer);
	assert_int_equal(sluice_producer_open(&f.producer, &f.segment, NULL, NULL), 0);
	assert_int_equal(ring_publish(&f.producer, 1), 0);
	sluice_ring_set_state(&f.segment, SLUICE_STATE_DRAINING);
	assert_int_equal(sluice_processor_run(&f.processor), 0);
	assert_int_equal(f.log.events, 2);
	assert_int_equal(f.log.voids, 2);
	assert_int_equal(f.log.sequence[1], 3);
	assert_int_equal(atomic_load(&f.consumer.self->voids), 2);
	assert_int_equal(position(&f), 4);
	close_all(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_processor__cuts_batches),
		cmocka_unit_test(test_processor__stops_after_the_event_that_said_so),
		cmocka_unit_test(test_processor__halts_before_and_in_the_middle),
		cmocka_unit_test(test_processor__halts_while_it_waits),
		cmocka_unit_test(test_processor__drains_a_closed_ring),
		cmocka_unit_test(test_processor__deferred_release_is_the_handlers),
		cmocka_unit_test(test_processor__tombstones_are_not_events),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
