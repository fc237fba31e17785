/* SPDX-License-Identifier: MIT */
/* test_aggregate.c - several handlers under one position. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "consumer/aggregate.h"
#include "tests/unit/consumer/handler_fixture.h"

struct trio {
	struct rig rig;
	struct log logs[3];
	struct sluice_handler handlers[3];
	struct sluice_aggregate_part parts[3];
	struct sluice_aggregate aggregate;
};

static void trio_open(struct trio *t, const struct sluice_processor_options *options)
{
	rig_open(&t->rig, RIG_STAMPED, NULL);
	for (int i = 0; i < 3; i++) {
		t->logs[i] = t->rig.log;
		t->logs[i].idle_with = 0;
		t->handlers[i] = log_handler;
		t->parts[i] = (struct sluice_aggregate_part){&t->handlers[i], &t->logs[i]};
	}
	t->logs[1].idle_with = IDLE_END;
	sluice_aggregate_init(&t->aggregate, t->parts, 3);
	sluice_processor_init(&t->rig.processor, &t->rig.consumer, &t->aggregate.handler,
			      &t->aggregate, options);
}

static void trio_close(struct trio *t)
{
	for (int i = 0; i < 3; i++)
		assert_false(t->logs[i].wrong);
	rig_close(&t->rig);
}

static const struct sluice_processor_options quick = {.idle_ns = MS, .batch_max = 3};

static void test_aggregate__passes_every_hook_to_all(void **state)
{
	uint64_t first;
	struct trio t;

	(void)state;
	trio_open(&t, &quick);
	assert_int_equal(ring_publish(&t.rig.producer, 4), 0);
	assert_int_equal(sluice_producer_try_claim(&t.rig.producer, 1, &first), 0);
	sluice_producer_close(&t.rig.producer);
	assert_int_equal(sluice_producer_open(&t.rig.producer, &t.rig.segment, NULL, NULL), 0);
	assert_int_equal(ring_publish(&t.rig.producer, 1), 0);
	assert_int_equal(sluice_processor_run(&t.rig.processor), IDLE_END);
	for (int i = 0; i < 3; i++) {
		LOG_IS(&t.logs[i], 0, 1, 2, 3, 5);
		assert_int_equal(t.logs[i].batches, 2);
		assert_int_equal(t.logs[i].batch[0], 3);
		assert_int_equal(t.logs[i].depth[0], 6);
		assert_int_equal(t.logs[i].batch_ends, 2);
		assert_int_equal(t.logs[i].ends, 2);
		assert_int_equal(t.logs[i].voids, 1);
		assert_int_equal(t.logs[i].idles, 1);
		assert_int_equal(t.logs[i].starts, 1);
		assert_int_equal(t.logs[i].stops, 1);
	}
	trio_close(&t);
}

static int fail_at_one(struct log *log, uint64_t sequence, const void *event)
{
	(void)event;
	return sequence == 1 && !log->asked++ ? *(int *)log->arg : 0;
}

/* The error of one stops the rest of that event; the next event goes to all again. */
static void test_aggregate__error_stops_the_rest_of_the_event(void **state)
{
	static const struct sluice_error_policy skip = {.action = SLUICE_ERROR_SKIP};
	int code = -EIO;
	struct trio t;

	(void)state;
	trio_open(&t, &quick);
	t.aggregate.handler.errors = &skip;
	t.logs[1].say = fail_at_one;
	t.logs[1].arg = &code;
	assert_int_equal(ring_publish(&t.rig.producer, 3), 0);
	assert_int_equal(sluice_processor_run(&t.rig.processor), IDLE_END);
	LOG_IS(&t.logs[0], 0, 1, 2);
	LOG_IS(&t.logs[1], 0, 1, 2);
	LOG_IS(&t.logs[2], 0, 2);
	trio_close(&t);
}

static void test_aggregate__rewinds_and_stops_as_one(void **state)
{
	const struct sluice_processor_options options = {
		.idle_ns = MS, .rewind.deliveries_max = 2,
	};
	int code = SLUICE_REWIND;
	struct trio t;

	(void)state;
	trio_open(&t, &options);
	t.logs[1].say = fail_at_one;
	t.logs[1].arg = &code;
	assert_int_equal(ring_publish(&t.rig.producer, 3), 0);
	assert_int_equal(sluice_processor_run(&t.rig.processor), IDLE_END);
	LOG_IS(&t.logs[0], 0, 1, 0, 1, 2);
	LOG_IS(&t.logs[2], 0, 0, 1, 2);
	trio_close(&t);

	code = 9;
	trio_open(&t, &options);
	t.logs[1].say = fail_at_one;
	t.logs[1].arg = &code;
	assert_int_equal(ring_publish(&t.rig.producer, 3), 0);
	assert_int_equal(sluice_processor_run(&t.rig.processor), 9);
	LOG_IS(&t.logs[0], 0, 1);
	LOG_IS(&t.logs[2], 0);
	trio_close(&t);
}

static void test_aggregate__failed_start_is_undone(void **state)
{
	struct trio t;

	(void)state;
	trio_open(&t, &quick);
	t.logs[1].start_with = -EIO;
	assert_int_equal(ring_publish(&t.rig.producer, 3), 0);
	assert_int_equal(sluice_processor_run(&t.rig.processor), -EIO);
	assert_int_equal(t.logs[0].starts, 1);
	assert_int_equal(t.logs[0].stops, 1);
	assert_int_equal(t.logs[1].starts, 1);
	assert_int_equal(t.logs[1].stops, 0);
	assert_int_equal(t.logs[2].starts, 0);
	assert_int_equal(t.logs[2].events, 0);
	trio_close(&t);
}

static void test_aggregate__says_the_first_idle_and_stop_code(void **state)
{
	struct trio t;

	(void)state;
	trio_open(&t, &quick);
	t.logs[1].idle_with = 5;
	t.logs[2].idle_with = 6;
	assert_int_equal(sluice_processor_run(&t.rig.processor), 5);
	assert_int_equal(t.logs[2].idles, 1);
	/* stopped last first */
	t.logs[0].stop_with = -EIO;
	t.logs[2].stop_with = -EDOM;
	assert_int_equal(sluice_processor_run(&t.rig.processor), -EDOM);
	for (int i = 0; i < 3; i++)
		assert_int_equal(t.logs[i].stops, 2);
	trio_close(&t);
}

static bool wants_one(void *arg, const void *event, uint64_t sequence)
{
	(void)arg;
	(void)event;
	return sequence == 1;
}

static void test_aggregate__each_gets_what_it_wants(void **state)
{
	struct trio t;

	(void)state;
	trio_open(&t, &quick);
	t.handlers[1].wants = wants_one;
	assert_int_equal(ring_publish(&t.rig.producer, 3), 0);
	assert_int_equal(sluice_processor_run(&t.rig.processor), IDLE_END);
	LOG_IS(&t.logs[0], 0, 1, 2);
	LOG_IS(&t.logs[1], 1);
	trio_close(&t);

	trio_open(&t, &quick);
	for (int i = 0; i < 3; i++)
		t.handlers[i].wants = wants_one;
	sluice_aggregate_init(&t.aggregate, t.parts, 3);
	assert_int_equal(ring_publish(&t.rig.producer, 3), 0);
	assert_int_equal(sluice_processor_run(&t.rig.processor), IDLE_END);
	LOG_IS(&t.logs[0], 1);
	assert_int_equal(t.logs[0].ends, 1);
	trio_close(&t);
}

static void test_aggregate__takes_bare_handlers(void **state)
{
	const struct sluice_handler bare = {.on_event = log_event};
	struct trio t;

	(void)state;
	trio_open(&t, &quick);
	t.handlers[0] = bare;
	t.handlers[2] = bare;
	assert_int_equal(ring_publish(&t.rig.producer, 2), 0);
	assert_int_equal(sluice_processor_run(&t.rig.processor), IDLE_END);
	LOG_IS(&t.logs[0], 0, 1);
	LOG_IS(&t.logs[2], 0, 1);
	trio_close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_aggregate__passes_every_hook_to_all),
		cmocka_unit_test(test_aggregate__error_stops_the_rest_of_the_event),
		cmocka_unit_test(test_aggregate__rewinds_and_stops_as_one),
		cmocka_unit_test(test_aggregate__failed_start_is_undone),
		cmocka_unit_test(test_aggregate__says_the_first_idle_and_stop_code),
		cmocka_unit_test(test_aggregate__each_gets_what_it_wants),
		cmocka_unit_test(test_aggregate__takes_bare_handlers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
