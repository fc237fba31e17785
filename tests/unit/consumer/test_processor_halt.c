/* SPDX-License-Identifier: MIT */
/* test_processor_halt.c - halting, restarting and draining the batch event processor. */
#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/unit/consumer/handler_fixture.h"

/* --------------------------------------------------------------------------------- halting */

static int halt_at_two(struct log *log, uint64_t sequence, const void *event)
{
	(void)event;
	if (sequence == 2) {
		sluice_processor_halt(log->processor);
		log->wrong |= sluice_processor_resume(log->processor) != -EBUSY;
		log->wrong |= sluice_processor_run(log->processor) != -EBUSY;
	}
	return 0;
}

static void test_processor_halt__halts_before_and_in_the_middle(void **state)
{
	const struct sluice_processor_options options = {.batch_max = 2, .idle_ns = MS};
	struct rig rig;

	(void)state;
	rig_open(&rig, RIG_STAMPED, &options);
	assert_int_equal(ring_publish(&rig.producer, 6), 0);
	sluice_processor_halt(&rig.processor);
	assert_int_equal(sluice_processor_run(&rig.processor), -ECANCELED);
	assert_int_equal(rig.log.events, 0);
	assert_int_equal(rig.log.starts, 1);
	assert_int_equal(rig.log.stops, 1);
	assert_int_equal(sluice_processor_run(&rig.processor), -ECANCELED);
	assert_int_equal(sluice_processor_resume(&rig.processor), 0);
	assert_int_equal(sluice_processor_resume(&rig.processor), 0);
	rig.log.say = halt_at_two;
	assert_int_equal(sluice_processor_run(&rig.processor), -ECANCELED);
	assert_int_equal(rig.log.events, 4); /* the batch that it was in */
	assert_int_equal(rig_position(&rig), 4);
	assert_int_equal(rig_failed(&rig), 0);
	assert_int_equal(sluice_processor_resume(&rig.processor), 0);
	assert_int_equal(sluice_processor_run(&rig.processor), IDLE_END);
	LOG_IS(&rig.log, 0, 1, 2, 3, 4, 5);
	assert_int_equal(rig_position(&rig), 6);
	sluice_processor_halt(&rig.processor);
	assert_int_equal(sluice_processor_run(&rig.processor), -ECANCELED);
	assert_int_equal(rig.log.starts, 5);
	assert_int_equal(rig.log.stops, 5);
	rig_close(&rig);
}

static int halting_start(void *arg)
{
	struct log *log = arg;

	log->starts++;
	sluice_processor_halt(log->processor);
	return 0;
}

static void test_processor_halt__halts_in_its_start(void **state)
{
	struct sluice_handler handler = log_handler;
	struct rig rig;

	(void)state;
	rig_open(&rig, RIG_STAMPED, NULL);
	handler.on_start = halting_start;
	sluice_processor_init(&rig.processor, &rig.consumer, &handler, &rig.log, NULL);
	assert_int_equal(ring_publish(&rig.producer, 2), 0);
	assert_int_equal(sluice_processor_run(&rig.processor), -ECANCELED);
	assert_int_equal(rig.log.events, 0);
	assert_int_equal(rig.log.stops, 1);
	rig_close(&rig);
}

static void *run(void *arg)
{
	return (void *)(intptr_t)sluice_processor_run(arg);
}

/* Far sooner than the idle time, which is an hour. */
static void test_processor_halt__halts_while_it_waits(void **state)
{
	const struct sluice_processor_options options = {.idle_ns = 3600 * SECOND};
	static const uint32_t waits[] = {SLUICE_WAIT_ADAPTIVE, SLUICE_WAIT_BLOCK, SLUICE_WAIT_SPIN,
					 SLUICE_WAIT_YIELD,    SLUICE_WAIT_SLEEPING,
					 SLUICE_WAIT_BACKOFF,  SLUICE_WAIT_UMWAIT};

	(void)state;
	for (int i = 0; i < 28; i++) {
		struct rig rig;
		pthread_t thread;
		void *result;
		const uint64_t started_ns = sluice_clock_ns();

		rig_open(&rig, (enum rig_kind)(i % RIG_KINDS), &options);
		rig.consumer.wait = waits[i % 7];
		pthread_create(&thread, NULL, run, &rig.processor);
		if (i < 14)
			usleep(2000);
		sluice_processor_halt(&rig.processor);
		pthread_join(thread, &result);
		assert_int_equal((intptr_t)result, -ECANCELED);
		assert_true(sluice_clock_ns() - started_ns < 20 * SECOND);
		assert_int_equal(rig.log.starts, 1);
		assert_int_equal(rig.log.stops, 1);
		/* and goes on afterwards */
		assert_int_equal(sluice_processor_resume(&rig.processor), 0);
		assert_int_equal(ring_publish(&rig.producer, 3), 0);
		sluice_ring_set_state(&rig.segment, SLUICE_STATE_DRAINING);
		assert_int_equal(sluice_processor_run(&rig.processor), 0);
		assert_int_equal(rig.log.events, 3);
		rig_close(&rig);
	}
}

/* 100 races of start, events and halt with three processors: every run ends, nothing is lost. */
static void test_processor_halt__always_halts(void **state)
{
	const struct sluice_processor_options options = {.idle_ns = 3600 * SECOND, .batch_max = 3};
	uint64_t random = test_seed();

	(void)state;
	for (int round = 0; round < 100; round++) {
		static const char *const names[] = {"a", "b", "c"};
		const uint64_t started_ns = sluice_clock_ns();
		struct sluice_consumer consumers[3];
		struct sluice_processor processors[3];
		struct sluice_producer producer;
		struct sluice_segment segment;
		struct log logs[3] = {0};
		pthread_t threads[3];
		const bool early = test_random(&random) & 1;

		assert_int_equal(ring_create(&segment, NULL, rig_publications[round % RIG_KINDS],
					     16, 0), 0);
		assert_int_equal(sluice_producer_open(&producer, &segment, NULL, NULL), 0);
		for (int i = 0; i < 3; i++) {
			assert_int_equal(ring_consumer(&consumers[i], &segment, names[i],
						       SLUICE_POLICY_CRITICAL, SLUICE_FROM_NEXT),
					 0);
			logs[i].consumer = &consumers[i];
			logs[i].processor = &processors[i];
			consumers[i].wait = (uint32_t)test_random(&random) % 4;
			sluice_processor_init(&processors[i], &consumers[i], &log_handler,
					      &logs[i], &options);
			pthread_create(&threads[i], NULL, run, &processors[i]);
			if (early)
				sluice_processor_halt(&processors[i]);
		}
		assert_int_equal(ring_publish(&producer, 16), 0);
		if (test_random(&random) & 1)
			usleep((useconds_t)(test_random(&random) % 500));
		for (int i = 0; i < 3; i++) {
			void *result;

			sluice_processor_halt(&processors[i]);
			pthread_join(threads[i], &result);
			assert_int_equal((intptr_t)result, -ECANCELED);
			assert_int_equal(logs[i].starts, 1);
			assert_int_equal(logs[i].stops, 1);
			assert_int_equal(sluice_processor_resume(&processors[i]), 0);
			assert_int_equal(sluice_processor_drain(&processors[i], 20 * SECOND), 0);
			assert_int_equal(logs[i].events, 16);
			for (uint64_t s = 0; s < 16; s++)
				assert_int_equal(logs[i].sequence[s], s);
			assert_false(logs[i].wrong);
			sluice_consumer_close(&consumers[i], false);
		}
		assert_true(sluice_clock_ns() - started_ns < 20 * SECOND);
		sluice_producer_close(&producer);
		ring_destroy(&segment);
	}
}

/* -------------------------------------------------------------------------------- draining */

static void test_processor_halt__drains_a_closed_ring(void **state)
{
	(void)state;
	for (int kind = 0; kind < RIG_KINDS; kind++) {
		struct rig rig;

		rig_open(&rig, (enum rig_kind)kind, NULL);
		assert_int_equal(ring_publish(&rig.producer, 16), 0);
		sluice_ring_set_state(&rig.segment, SLUICE_STATE_DRAINING);
		assert_int_equal(sluice_processor_run(&rig.processor), 0);
		assert_int_equal(rig.log.events, 16);
		assert_int_equal(rig_position(&rig), 16);
		rig_close(&rig);
	}
}

/* Every event brings another one: a drain does not follow them for ever. */
static int publish_another(struct log *log, uint64_t sequence, const void *event)
{
	(void)sequence;
	(void)event;
	return ring_publish(log->arg, 1);
}

static void test_processor_halt__drains_what_was_there(void **state)
{
	(void)state;
	for (int kind = 0; kind < RIG_KINDS; kind++) {
		struct rig rig;

		rig_open(&rig, (enum rig_kind)kind, NULL);
		rig.log.say = publish_another;
		rig.log.arg = &rig.producer;
		assert_int_equal(sluice_processor_drain(&rig.processor, 0), 0);
		assert_int_equal(ring_publish(&rig.producer, 5), 0);
		assert_int_equal(sluice_processor_drain(&rig.processor, 20 * SECOND), 0);
		LOG_IS(&rig.log, 0, 1, 2, 3, 4);
		assert_int_equal(sluice_processor_drain(&rig.processor, SLUICE_WAIT_FOREVER), 0);
		assert_int_equal(rig.log.events, 10);
		assert_int_equal(rig.log.idles, 0);
		assert_int_equal(rig.log.starts, 3);
		assert_int_equal(rig.log.stops, 3);
		rig_close(&rig);
	}
}

/* What comes between the call and the first batch is not the drain's business either. */
static int publishing_start(void *arg)
{
	struct log *log = arg;

	return ring_publish(log->arg, 3);
}

static void test_processor_halt__drains_no_more_than_was_there(void **state)
{
	struct sluice_handler handler = log_handler;
	struct rig rig;

	(void)state;
	rig_open(&rig, RIG_MULTI, NULL);
	handler.on_start = publishing_start;
	rig.log.arg = &rig.producer;
	sluice_processor_init(&rig.processor, &rig.consumer, &handler, &rig.log, NULL);
	assert_int_equal(ring_publish(&rig.producer, 2), 0);
	assert_int_equal(sluice_processor_drain(&rig.processor, 20 * SECOND), 0);
	LOG_IS(&rig.log, 0, 1);
	assert_int_equal(rig.log.end_at[0], 1);
	rig_close(&rig);
}

/* The deadline counts, not the idle time. */
static void test_processor_halt__drain_is_not_held_up_by_a_long_idle_time(void **state)
{
	const struct sluice_processor_options options = {.idle_ns = 3600 * SECOND};
	const uint64_t started_ns = sluice_clock_ns();
	struct sluice_producer other;
	uint64_t hole;
	struct rig rig;

	(void)state;
	rig_open(&rig, RIG_MULTI, &options);
	assert_int_equal(sluice_producer_open(&other, &rig.segment, NULL, NULL), 0);
	assert_int_equal(sluice_producer_try_claim(&other, 1, &hole), 0);
	assert_int_equal(ring_publish(&rig.producer, 1), 0);
	assert_int_equal(sluice_processor_drain(&rig.processor, 10 * MS), -ETIMEDOUT);
	assert_true(sluice_clock_ns() - started_ns < 30 * SECOND);
	assert_int_equal(rig.log.idles, 0);
	sluice_producer_close(&other);
	rig_close(&rig);
}

/* An event behind a claimed one is published: it counts, so the drain waits for the hole. */
static void test_processor_halt__drain_ends_at_its_deadline(void **state)
{
	const struct sluice_processor_options options = {.idle_ns = 5 * MS};
	struct sluice_producer other;
	uint64_t hole, started_ns;
	struct rig rig;

	(void)state;
	rig_open(&rig, RIG_MULTI, &options);
	rig.log.idle_with = 0;
	assert_int_equal(sluice_producer_open(&other, &rig.segment, NULL, NULL), 0);
	assert_int_equal(ring_publish(&rig.producer, 2), 0);
	assert_int_equal(sluice_producer_try_claim(&other, 1, &hole), 0);
	assert_int_equal(ring_publish(&rig.producer, 2), 0);
	started_ns = sluice_clock_ns();
	assert_int_equal(sluice_processor_drain(&rig.processor, 30 * MS), -ETIMEDOUT);
	assert_true(sluice_clock_ns() - started_ns >= 30 * MS);
	/* idle inside the deadline, if the machine lets us */
	for (int i = 0; i < 200 && !rig.log.idles; i++)
		assert_int_equal(sluice_processor_drain(&rig.processor, 50 * MS), -ETIMEDOUT);
	assert_true(rig.log.idles > 0);
	LOG_IS(&rig.log, 0, 1);
	event_fill(sluice_producer_slot(&other, hole), other.ring.payload_bytes, hole);
	sluice_producer_publish(&other, hole);
	assert_int_equal(sluice_processor_drain(&rig.processor, 20 * SECOND), 0);
	LOG_IS(&rig.log, 0, 1, 2, 3, 4);
	sluice_producer_close(&other);
	rig_close(&rig);
}

static int dawdle(struct log *log, uint64_t sequence, const void *event)
{
	(void)log;
	(void)sequence;
	(void)event;
	usleep(5000);
	return 0;
}

static void test_processor_halt__drain_does_not_cut_a_batch_short(void **state)
{
	const struct sluice_processor_options options = {.batch_max = 2};
	struct rig rig;

	(void)state;
	rig_open(&rig, RIG_CURSOR, &options);
	rig.log.say = dawdle;
	assert_int_equal(ring_publish(&rig.producer, 16), 0);
	assert_int_equal(sluice_processor_drain(&rig.processor, 15 * MS), -ETIMEDOUT);
	assert_in_range(rig.log.events, 0, 6);
	assert_int_equal(rig.log.events % 2, 0);
	assert_int_equal(rig_position(&rig), rig.log.events);
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_processor_halt__halts_before_and_in_the_middle),
		cmocka_unit_test(test_processor_halt__halts_in_its_start),
		cmocka_unit_test(test_processor_halt__halts_while_it_waits),
		cmocka_unit_test(test_processor_halt__always_halts),
		cmocka_unit_test(test_processor_halt__drains_a_closed_ring),
		cmocka_unit_test(test_processor_halt__drains_what_was_there),
		cmocka_unit_test(test_processor_halt__drains_no_more_than_was_there),
		cmocka_unit_test(test_processor_halt__drain_is_not_held_up_by_a_long_idle_time),
		cmocka_unit_test(test_processor_halt__drain_ends_at_its_deadline),
		cmocka_unit_test(test_processor_halt__drain_does_not_cut_a_batch_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
