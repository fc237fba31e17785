/* SPDX-License-Identifier: MIT */
/* test_processor.c - batches, hooks, stops and release of the batch event processor. */
#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/unit/consumer/handler_fixture.h"

static void test_processor__cuts_batches(void **state)
{
	const struct sluice_processor_options options = {.batch_max = 3, .idle_ns = MS};

	(void)state;
	for (int kind = 0; kind < RIG_KINDS; kind++) {
		struct rig rig;

		rig_open(&rig, (enum rig_kind)kind, &options);
		assert_int_equal(ring_publish(&rig.producer, 5), 0);
		assert_int_equal(sluice_processor_run(&rig.processor), IDLE_END);
		LOG_IS(&rig.log, 0, 1, 2, 3, 4);
		assert_int_equal(rig.log.batches, 2);
		assert_int_equal(rig.log.batch[0], 3);
		assert_int_equal(rig.log.batch[1], 2);
		assert_int_equal(rig.log.depth[0], 5);
		assert_int_equal(rig.log.depth[1], 2);
		assert_int_equal(rig.log.ends, 2);
		assert_int_equal(rig.log.end_at[0], 2);
		assert_int_equal(rig.log.end_at[1], 4);
		assert_int_equal(rig.log.batch_ends, 2);
		assert_int_equal(rig.log.batch_end[0], 3);
		assert_int_equal(rig_position(&rig), 5);
		assert_int_equal(rig.log.idles, 1);
		assert_int_equal(rig.log.starts, 1);
		assert_int_equal(rig.log.stops, 1);
		rig_close(&rig);
	}
}

/* Random bursts and limits: no batch is empty or over the limit, each has exactly one end. */
static void test_processor__batches_are_never_empty(void **state)
{
	uint64_t random = test_seed();

	(void)state;
	for (int round = 0; round < 200; round++) {
		const struct sluice_processor_options options = {
			.batch_max = 1 + test_random(&random) % 17, .idle_ns = 10000,
		};
		uint64_t total = 0;
		struct rig rig;

		rig_open(&rig, (enum rig_kind)(round % RIG_KINDS), &options);
		for (int burst = 0; burst < 5; burst++) {
			const uint64_t n = test_random(&random) % 17;

			assert_int_equal(ring_publish(&rig.producer, n), 0);
			assert_int_equal(sluice_processor_run(&rig.processor), IDLE_END);
			total += n;
		}
		assert_int_equal(rig.log.events, total);
		assert_int_equal(rig.log.ends, rig.log.batches);
		for (uint32_t i = 0, at = 0; i < rig.log.batches; i++) {
			assert_in_range(rig.log.batch[i], 1, options.batch_max);
			at += (uint32_t)rig.log.batch[i];
			assert_int_equal(rig.log.end_at[i], at - 1);
			assert_int_equal(rig.log.batch_end[i], at);
		}
		rig_close(&rig);
	}
}

struct stop_plan {
	uint64_t at;
	int with;
};

static int stop_at(struct log *log, uint64_t sequence, const void *event)
{
	const struct stop_plan *plan = log->arg;

	(void)event;
	return sequence == plan->at ? plan->with : 0;
}

static void test_processor__stops_after_the_event_that_said_so(void **state)
{
	static const int results[] = {SLUICE_STOP, 17, INT32_MAX};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct stop_plan plan = {.at = 2, .with = results[i]};
		struct rig rig;

		rig_open(&rig, (enum rig_kind)i, NULL);
		rig.log.say = stop_at;
		rig.log.arg = &plan;
		assert_int_equal(ring_publish(&rig.producer, 6), 0);
		assert_int_equal(sluice_processor_run(&rig.processor), results[i]);
		LOG_IS(&rig.log, 0, 1, 2);
		assert_int_equal(rig_position(&rig), 3);
		assert_int_equal(rig_failed(&rig), 0);
		assert_int_equal(rig.log.batch_end[0], 3);
		sluice_ring_set_state(&rig.segment, SLUICE_STATE_DRAINING);
		assert_int_equal(sluice_processor_run(&rig.processor), 0);
		LOG_IS(&rig.log, 0, 1, 2, 3, 4, 5);
		assert_int_equal(rig.log.starts, 2);
		rig_close(&rig);
	}
}

/* -EPIPE and the like are what the ring says, too: a handler's own must come through. */
static void test_processor__tells_handlers_errors_from_the_rings(void **state)
{
	static const int results[] = {-5, -EPIPE, -ETIMEDOUT, -EAGAIN, -ECANCELED};

	(void)state;
	for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++) {
		struct stop_plan plan = {.at = 2, .with = results[i]};
		struct rig rig;

		rig_open(&rig, RIG_STAMPED, NULL);
		rig.log.say = stop_at;
		rig.log.arg = &plan;
		assert_int_equal(ring_publish(&rig.producer, 6), 0);
		assert_int_equal(sluice_processor_run(&rig.processor), results[i]);
		assert_int_equal(rig_failed(&rig), -results[i]);
		LOG_IS(&rig.log, 0, 1, 2);
		rig_close(&rig);
	}
}

/* --------------------------------------------------------------------------------- release */

struct release_plan {
	struct rig *rig;
	uint64_t free_before, free_after;
	int beyond, back;
};

static int release_inside(struct log *log, uint64_t sequence, const void *event)
{
	struct release_plan *plan = log->arg;

	(void)event;
	if (sequence != 5)
		return 0;
	plan->free_before = sluice_producer_remaining(&plan->rig->producer);
	plan->beyond = sluice_processor_release(log->processor, 7);
	if (sluice_processor_release(log->processor, 4) ||
	    rig_position(plan->rig) != 4 ||
	    sluice_processor_release(log->processor, 6))
		return -EIO;
	plan->free_after = sluice_producer_remaining(&plan->rig->producer);
	plan->back = sluice_processor_release(log->processor, 3);
	return rig_position(plan->rig) == 6 ? 0 : -EIO;
}

static void test_processor__releases_inside_a_batch(void **state)
{
	(void)state;
	for (int kind = 0; kind < RIG_KINDS; kind++) {
		const struct sluice_processor_options options = {.idle_ns = MS};
		struct release_plan plan = {0};
		struct rig rig;

		rig_open(&rig, (enum rig_kind)kind, &options);
		plan.rig = &rig;
		rig.log.say = release_inside;
		rig.log.arg = &plan;
		assert_int_equal(ring_publish(&rig.producer, 16), 0);
		assert_int_equal(sluice_processor_run(&rig.processor), IDLE_END);
		assert_int_equal(plan.beyond, -EINVAL);
		assert_int_equal(plan.back, 0);
		assert_int_equal(plan.free_before, 0);
		assert_int_equal(plan.free_after, 6);
		assert_int_equal(rig.log.batches, 1);
		assert_int_equal(rig_position(&rig), 16);
		rig_close(&rig);
	}
}

/* Another thread fills what was released while the handler is still in its batch. */
struct downstream {
	struct sluice_producer *producer;
	_Atomic uint32_t stage;
	int result;
};

static void *publish_when_released(void *arg)
{
	struct downstream *downstream = arg;
	uint64_t sequence;

	atomic_store(&downstream->stage, 1);
	downstream->result = sluice_producer_claim(downstream->producer, 3, 20 * SECOND, &sequence);
	atomic_store(&downstream->stage, 2);
	return NULL;
}

static int release_and_wait(struct log *log, uint64_t sequence, const void *event)
{
	struct downstream *downstream = log->arg;
	const uint64_t started_ns = sluice_clock_ns();

	(void)event;
	if (sequence != 2)
		return 0;
	if (sluice_processor_release(log->processor, 3))
		return -EINVAL;
	while (atomic_load(&downstream->stage) != 2 && sluice_clock_ns() - started_ns < 20 * SECOND)
		usleep(500);
	return atomic_load(&downstream->stage) == 2 ? 0 : -ETIME;
}

static void test_processor__early_release_reaches_who_waits_for_it(void **state)
{
	const struct sluice_processor_options options = {.idle_ns = MS};
	struct downstream downstream = {0};
	pthread_t thread;
	struct rig rig;

	(void)state;
	rig_open(&rig, RIG_STAMPED, &options);
	downstream.producer = &rig.producer;
	rig.log.say = release_and_wait;
	rig.log.arg = &downstream;
	assert_int_equal(ring_publish(&rig.producer, 16), 0);
	pthread_create(&thread, NULL, publish_when_released, &downstream);
	while (!atomic_load(&downstream.stage))
		usleep(500);
	assert_int_equal(sluice_processor_run(&rig.processor), IDLE_END);
	pthread_join(thread, NULL);
	assert_int_equal(downstream.result, 0);
	assert_int_equal(rig.log.events, 16);
	rig_close(&rig);
}

static void test_processor__deferred_release_is_the_handlers(void **state)
{
	const struct sluice_processor_options options = {.deferred = true, .idle_ns = MS};
	struct rig rig;

	(void)state;
	rig_open(&rig, RIG_STAMPED, &options);
	assert_int_equal(ring_publish(&rig.producer, 16), 0);
	assert_int_equal(sluice_processor_run(&rig.processor), IDLE_END);
	assert_int_equal(rig.log.events, 16);
	assert_int_equal(rig_position(&rig), 0);
	assert_int_equal(ring_publish(&rig.producer, 1), -EAGAIN);
	sluice_consumer_release(&rig.consumer, 9);
	assert_int_equal(ring_publish(&rig.producer, 10), -EAGAIN);
	assert_int_equal(rig.producer.next, 25);
	rig_close(&rig);
}

/* ------------------------------------------------------------------------------ tombstones */

static void bury_two(struct rig *rig)
{
	uint64_t first;

	assert_int_equal(sluice_producer_try_claim(&rig->producer, 2, &first), 0);
	sluice_producer_close(&rig->producer);
	assert_int_equal(sluice_producer_open(&rig->producer, &rig->segment, NULL, NULL), 0);
}

static void test_processor__tombstones_are_not_events(void **state)
{
	(void)state;
	for (int kind = RIG_STAMPED; kind < RIG_KINDS; kind++) {
		struct rig rig;

		rig_open(&rig, (enum rig_kind)kind, NULL);
		assert_int_equal(ring_publish(&rig.producer, 1), 0);
		bury_two(&rig);
		assert_int_equal(ring_publish(&rig.producer, 1), 0);
		sluice_ring_set_state(&rig.segment, SLUICE_STATE_DRAINING);
		assert_int_equal(sluice_processor_run(&rig.processor), 0);
		LOG_IS(&rig.log, 0, 3);
		assert_int_equal(rig.log.voids, 2);
		assert_int_equal(atomic_load(&rig.consumer.self->voids), 2);
		assert_int_equal(rig_position(&rig), 4);
		rig_close(&rig);
	}
}

/* The last event ends the batch, also when tombstones follow it. */
static void test_processor__tombstones_do_not_hide_the_end(void **state)
{
	const struct sluice_processor_options options = {.idle_ns = MS};
	struct rig rig;

	(void)state;
	rig_open(&rig, RIG_STAMPED, &options);
	assert_int_equal(ring_publish(&rig.producer, 2), 0);
	bury_two(&rig);
	/* a tombstone is written for the successor's first claim at the latest */
	assert_int_equal(ring_publish(&rig.producer, 1), 0);
	rig.processor.options.batch_max = 4;
	assert_int_equal(sluice_processor_run(&rig.processor), IDLE_END);
	LOG_IS(&rig.log, 0, 1, 4);
	assert_int_equal(rig.log.ends, 2);
	assert_int_equal(rig.log.end_at[0], 1);
	assert_int_equal(rig.log.end_at[1], 4);
	rig_close(&rig);
}

static bool wants_even(void *arg, const void *event, uint64_t sequence)
{
	(void)arg;
	(void)event;
	return sequence % 2 == 0;
}

static void test_processor__passes_over_what_is_not_wanted(void **state)
{
	const struct sluice_processor_options options = {.idle_ns = MS, .batch_max = 4};
	struct sluice_handler handler = log_handler;
	struct rig rig;

	(void)state;
	rig_open(&rig, RIG_CURSOR, NULL);
	handler.wants = wants_even;
	sluice_processor_init(&rig.processor, &rig.consumer, &handler, &rig.log, &options);
	assert_int_equal(ring_publish(&rig.producer, 6), 0);
	assert_int_equal(sluice_processor_run(&rig.processor), IDLE_END);
	LOG_IS(&rig.log, 0, 2, 4);
	assert_int_equal(rig.log.ends, 2);
	assert_int_equal(rig.log.end_at[0], 2);
	assert_int_equal(rig.log.end_at[1], 4);
	assert_int_equal(rig_position(&rig), 6);
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_processor__cuts_batches),
		cmocka_unit_test(test_processor__batches_are_never_empty),
		cmocka_unit_test(test_processor__stops_after_the_event_that_said_so),
		cmocka_unit_test(test_processor__tells_handlers_errors_from_the_rings),
		cmocka_unit_test(test_processor__releases_inside_a_batch),
		cmocka_unit_test(test_processor__early_release_reaches_who_waits_for_it),
		cmocka_unit_test(test_processor__deferred_release_is_the_handlers),
		cmocka_unit_test(test_processor__tombstones_are_not_events),
		cmocka_unit_test(test_processor__tombstones_do_not_hide_the_end),
		cmocka_unit_test(test_processor__passes_over_what_is_not_wanted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
