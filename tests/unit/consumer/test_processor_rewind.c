/* SPDX-License-Identifier: MIT */
/* test_processor_rewind.c - batches that are delivered again because an event asked for it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "tests/unit/consumer/handler_fixture.h"

/* Asks `times` times at event `at`, then lets it pass. */
struct plan {
	uint64_t at;
	uint32_t times;
	int code;
	uint64_t at2;
	uint32_t times2;
};

static int ask(struct log *log, uint64_t sequence, const void *event)
{
	struct plan *plan = log->arg;

	(void)event;
	if (sequence == plan->at && plan->times) {
		plan->times--;
		return plan->code ? plan->code : SLUICE_REWIND;
	}
	if (sequence == plan->at2 && plan->times2) {
		plan->times2--;
		return SLUICE_REWIND;
	}
	return 0;
}

static const struct sluice_processor_options simple = {
	.idle_ns = MS,
	.rewind = {.deliveries_max = SLUICE_REWIND_FOREVER},
};

static void open_plan(struct rig *rig, enum rig_kind kind,
		      const struct sluice_processor_options *options, struct plan *plan)
{
	rig_open(rig, kind, options);
	rig->log.say = ask;
	rig->log.arg = plan;
}

static void check_done(struct rig *rig, uint64_t events)
{
	assert_int_equal(rig_position(rig), events);
	assert_int_equal(atomic_load(&rig->consumer.self->events), events);
	rig_close(rig);
}

static void test_processor_rewind__of_a_batch_of_one(void **state)
{
	(void)state;
	for (int kind = 0; kind < RIG_KINDS; kind++) {
		struct plan plan = {.at = 0, .times = 1};
		struct rig rig;

		open_plan(&rig, (enum rig_kind)kind, &simple, &plan);
		assert_int_equal(ring_publish(&rig.producer, 1), 0);
		assert_int_equal(sluice_processor_run(&rig.processor), IDLE_END);
		LOG_IS(&rig.log, 0, 0);
		assert_int_equal(rig.log.ends, 2);
		assert_int_equal(rig.log.batches, 2);
		assert_int_equal(rig.log.batch_ends, 1);
		check_done(&rig, 1);
	}
}

static void test_processor_rewind__on_the_first_event(void **state)
{
	struct plan plan = {.at = 0, .times = 1};
	struct rig rig;

	(void)state;
	open_plan(&rig, RIG_STAMPED, &simple, &plan);
	assert_int_equal(ring_publish(&rig.producer, 3), 0);
	assert_int_equal(sluice_processor_run(&rig.processor), IDLE_END);
	LOG_IS(&rig.log, 0, 0, 1, 2);
	check_done(&rig, 3);
}

static void test_processor_rewind__in_the_middle(void **state)
{
	struct plan plan = {.at = 1, .times = 1};
	struct rig rig;

	(void)state;
	open_plan(&rig, RIG_CURSOR, &simple, &plan);
	assert_int_equal(ring_publish(&rig.producer, 3), 0);
	assert_int_equal(sluice_processor_run(&rig.processor), IDLE_END);
	LOG_IS(&rig.log, 0, 1, 0, 1, 2);
	assert_int_equal(rig.log.batch[1], 3);
	assert_int_equal(rig.log.batch_end[0], 3);
	check_done(&rig, 3);
}

static void test_processor_rewind__on_the_last_event(void **state)
{
	struct plan plan = {.at = 2, .times = 1};
	struct rig rig;

	(void)state;
	open_plan(&rig, RIG_MULTI, &simple, &plan);
	assert_int_equal(ring_publish(&rig.producer, 3), 0);
	assert_int_equal(sluice_processor_run(&rig.processor), IDLE_END);
	LOG_IS(&rig.log, 0, 1, 2, 0, 1, 2);
	assert_int_equal(rig.log.ends, 2);
	check_done(&rig, 3);
}

static void test_processor_rewind__often_in_one_batch(void **state)
{
	struct plan plan = {.at = 1, .times = 2, .at2 = 2, .times2 = 1};
	struct rig rig;

	(void)state;
	open_plan(&rig, RIG_STAMPED, &simple, &plan);
	assert_int_equal(ring_publish(&rig.producer, 4), 0);
	assert_int_equal(sluice_processor_run(&rig.processor), IDLE_END);
	LOG_IS(&rig.log, 0, 1, 0, 1, 0, 1, 2, 0, 1, 2, 3);
	check_done(&rig, 4);
}

/* The batch is the limited one, and stays what it was although more has come. */
static int publish_more(struct log *log, uint64_t sequence, const void *event)
{
	(void)event;
	if (sequence == 1 && !log->asked++)
		return ring_publish(log->arg, 4) ? -EIO : SLUICE_REWIND;
	return 0;
}

static void test_processor_rewind__only_the_current_batch(void **state)
{
	struct sluice_processor_options options = simple;
	struct plan plan = {.at = 5, .times = 1};
	struct rig rig;

	(void)state;
	options.batch_max = 3;
	open_plan(&rig, RIG_STAMPED, &options, &plan);
	assert_int_equal(ring_publish(&rig.producer, 8), 0);
	assert_int_equal(sluice_processor_run(&rig.processor), IDLE_END);
	LOG_IS(&rig.log, 0, 1, 2, 3, 4, 5, 3, 4, 5, 6, 7);
	assert_int_equal(rig.log.batches, 4);
	check_done(&rig, 8);

	rig_open(&rig, RIG_STAMPED, &simple);
	rig.log.say = publish_more;
	rig.log.arg = &rig.producer;
	assert_int_equal(ring_publish(&rig.producer, 2), 0);
	assert_int_equal(sluice_processor_run(&rig.processor), IDLE_END);
	LOG_IS(&rig.log, 0, 1, 0, 1, 2, 3, 4, 5);
	assert_int_equal(rig.log.batch[1], 2);
	assert_int_equal(rig.log.end_at[1], 1);
	check_done(&rig, 6);
}

static void test_processor_rewind__gives_up_with_the_original_error(void **state)
{
	static const struct {
		int code, error;
	} cases[] = {{SLUICE_REWIND, -EAGAIN},
		     {SLUICE_REWIND + EIO, -EIO},
		     {SLUICE_REWIND + 4095, -4095}};

	(void)state;
	assert_int_equal(sluice_rewind(-EIO), SLUICE_REWIND + EIO);
	assert_int_equal(sluice_rewind(0), SLUICE_REWIND);
	assert_int_equal(sluice_rewind(-4095), SLUICE_REWIND + 4095);
	assert_int_equal(sluice_rewind(-4096), SLUICE_REWIND);
	for (size_t i = 0; i < 3; i++) {
		struct sluice_processor_options options = simple;
		struct plan plan = {.at = 1, .times = 100, .code = cases[i].code};
		struct rig rig;

		options.rewind.deliveries_max = 3;
		open_plan(&rig, RIG_STAMPED, &options, &plan);
		assert_int_equal(ring_publish(&rig.producer, 3), 0);
		assert_int_equal(sluice_processor_run(&rig.processor), cases[i].error);
		LOG_IS(&rig.log, 0, 1, 0, 1, 0, 1);
		assert_int_equal(rig_position(&rig), 1);
		assert_int_equal(rig_failed(&rig), -cases[i].error);
		rig_close(&rig);
	}
}

static void test_processor_rewind__given_up_goes_to_the_policy(void **state)
{
	const struct sluice_error_policy skip = {.action = SLUICE_ERROR_SKIP};
	struct sluice_processor_options options = simple;
	/* three at event 1, then three at event 2: the count starts anew after giving up */
	struct plan plan = {.at = 1, .times = 3, .at2 = 2, .times2 = 2};
	struct rig rig;

	(void)state;
	options.rewind.deliveries_max = 3;
	options.errors = &skip;
	open_plan(&rig, RIG_CURSOR, &options, &plan);
	assert_int_equal(ring_publish(&rig.producer, 4), 0);
	assert_int_equal(sluice_processor_run(&rig.processor), IDLE_END);
	LOG_IS(&rig.log, 0, 1, 0, 1, 0, 1, 2, 2, 2, 3);
	assert_int_equal(rig.log.batch[3], 2);
	check_done(&rig, 4);
}

static void test_processor_rewind__count_starts_anew_with_a_batch(void **state)
{
	struct sluice_processor_options options = simple;
	struct plan plan = {.at = 1, .times = 2, .at2 = 3, .times2 = 2};
	struct rig rig;

	(void)state;
	options.rewind.deliveries_max = 3;
	options.batch_max = 2;
	open_plan(&rig, RIG_STAMPED, &options, &plan);
	assert_int_equal(ring_publish(&rig.producer, 4), 0);
	assert_int_equal(sluice_processor_run(&rig.processor), IDLE_END);
	LOG_IS(&rig.log, 0, 1, 0, 1, 0, 1, 2, 3, 2, 3, 2, 3);
	check_done(&rig, 4);
}

static void test_processor_rewind__without_a_strategy_is_an_error(void **state)
{
	const struct sluice_processor_options none = {.idle_ns = MS};
	const struct sluice_processor_options once = {.idle_ns = MS, .rewind.deliveries_max = 1};

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct plan plan = {.at = 1, .times = 9, .code = SLUICE_REWIND + ENOSPC};
		struct rig rig;

		open_plan(&rig, RIG_STAMPED, i ? &once : &none, &plan);
		assert_int_equal(ring_publish(&rig.producer, 3), 0);
		assert_int_equal(sluice_processor_run(&rig.processor), -ENOSPC);
		LOG_IS(&rig.log, 0, 1);
		assert_int_equal(rig_position(&rig), 1);
		rig_close(&rig);
	}
}

/* An ordinary error in a batch that was delivered again is an ordinary error. */
static void test_processor_rewind__does_not_cover_other_errors(void **state)
{
	struct plan plan = {.at = 2, .times = 1, .code = -EDOM, .at2 = 1, .times2 = 1};
	struct rig rig;

	(void)state;
	open_plan(&rig, RIG_STAMPED, &simple, &plan);
	assert_int_equal(ring_publish(&rig.producer, 4), 0);
	assert_int_equal(sluice_processor_run(&rig.processor), -EDOM);
	LOG_IS(&rig.log, 0, 1, 0, 1, 2);
	assert_int_equal(rig_position(&rig), 2);
	assert_int_equal(sluice_processor_run(&rig.processor), IDLE_END);
	LOG_IS(&rig.log, 0, 1, 0, 1, 2, 2, 3);
	rig_close(&rig);
}

/* Codes next to the rewind's are the handler's own. */
static void test_processor_rewind__code_has_bounds(void **state)
{
	static const int codes[] = {SLUICE_REWIND - 1, SLUICE_REWIND + SLUICE_REWIND_ERRORS, 1};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct plan plan = {.at = 1, .times = 1, .code = codes[i]};
		struct rig rig;

		open_plan(&rig, RIG_STAMPED, &simple, &plan);
		assert_int_equal(ring_publish(&rig.producer, 3), 0);
		assert_int_equal(sluice_processor_run(&rig.processor), codes[i]);
		LOG_IS(&rig.log, 0, 1);
		assert_int_equal(rig_position(&rig), 2);
		rig_close(&rig);
	}
}

static void test_processor_rewind__pauses(void **state)
{
	struct sluice_processor_options options = simple;
	struct plan plan = {.at = 1, .times = 3};
	uint64_t started_ns;
	struct rig rig;

	(void)state;
	options.rewind.pause_ns = 5 * MS;
	open_plan(&rig, RIG_STAMPED, &options, &plan);
	assert_int_equal(ring_publish(&rig.producer, 2), 0);
	started_ns = sluice_clock_ns();
	assert_int_equal(sluice_processor_run(&rig.processor), IDLE_END);
	assert_true(sluice_clock_ns() - started_ns >= 15 * MS);
	LOG_IS(&rig.log, 0, 1, 0, 1, 0, 1, 0, 1);
	check_done(&rig, 2);
}

/* Without end: a halt ends it, in the batch and in the pause; nothing counts as handled. */
static int halt_soon(struct log *log, uint64_t sequence, const void *event)
{
	(void)event;
	if (sequence == 1 && ++log->asked == 5)
		sluice_processor_halt(log->processor);
	return sequence == 1 && log->asked <= 5 ? SLUICE_REWIND : 0;
}

static void test_processor_rewind__ends_with_a_halt(void **state)
{
	struct sluice_processor_options options = simple;
	const uint64_t started_ns = sluice_clock_ns();
	struct rig rig;

	(void)state;
	rig_open(&rig, RIG_STAMPED, &options);
	rig.log.say = halt_soon;
	assert_int_equal(ring_publish(&rig.producer, 2), 0);
	assert_int_equal(sluice_processor_run(&rig.processor), -ECANCELED);
	assert_int_equal(rig.log.events, 10);
	assert_int_equal(rig_position(&rig), 0);
	assert_int_equal(sluice_processor_resume(&rig.processor), 0);
	assert_int_equal(sluice_processor_run(&rig.processor), IDLE_END);
	assert_int_equal(rig.log.events, 12);
	check_done(&rig, 2);

	options.rewind.pause_ns = 60 * SECOND;
	rig_open(&rig, RIG_STAMPED, &options);
	rig.log.say = halt_soon;
	rig.log.asked = 4;
	assert_int_equal(ring_publish(&rig.producer, 2), 0);
	assert_int_equal(sluice_processor_run(&rig.processor), -ECANCELED);
	assert_true(sluice_clock_ns() - started_ns < 20 * SECOND);
	rig_close(&rig);
}

/* What was released is not read again: its slots may hold other events. */
static int release_and_ask(struct log *log, uint64_t sequence, const void *event)
{
	const uint64_t up_to = *(const uint64_t *)log->arg;

	(void)event;
	if (sequence != 2 || log->asked++)
		return 0;
	return sluice_processor_release(log->processor, up_to) ? -EIO : SLUICE_REWIND;
}

static void test_processor_rewind__not_behind_what_was_released(void **state)
{
	struct rig rig;

	(void)state;
	for (uint64_t up_to = 1; up_to <= 2; up_to++) {
		rig_open(&rig, RIG_STAMPED, &simple);
		rig.log.say = release_and_ask;
		rig.log.arg = &up_to;
		assert_int_equal(ring_publish(&rig.producer, 4), 0);
		assert_int_equal(sluice_processor_run(&rig.processor), IDLE_END);
		if (up_to == 1)
			LOG_IS(&rig.log, 0, 1, 2, 1, 2, 3);
		else
			LOG_IS(&rig.log, 0, 1, 2, 2, 3);
		assert_int_equal(rig_position(&rig), 4);
		rig_close(&rig);
	}
}

/* It cannot come again, wherever it stands in its batch. */
static void test_processor_rewind__of_a_released_event_is_an_error(void **state)
{
	(void)state;
	for (uint64_t batch_max = 3; batch_max <= 5; batch_max++) {
		struct sluice_processor_options options = simple;
		uint64_t up_to = 3;
		struct rig rig;

		options.batch_max = batch_max;
		rig_open(&rig, RIG_STAMPED, &options);
		rig.log.say = release_and_ask;
		rig.log.arg = &up_to;
		assert_int_equal(ring_publish(&rig.producer, 5), 0);
		assert_int_equal(sluice_processor_run(&rig.processor), -EAGAIN);
		assert_int_equal(rig_position(&rig), 3);
		assert_int_equal(sluice_processor_run(&rig.processor), IDLE_END);
		LOG_IS(&rig.log, 0, 1, 2, 3, 4);
		check_done(&rig, 5);
	}
}

static void test_processor_rewind__with_deferred_release(void **state)
{
	struct sluice_processor_options options = simple;
	struct plan plan = {.at = 4, .times = 1};
	struct rig rig;

	(void)state;
	options.deferred = true;
	options.batch_max = 3;
	open_plan(&rig, RIG_STAMPED, &options, &plan);
	assert_int_equal(ring_publish(&rig.producer, 6), 0);
	assert_int_equal(sluice_processor_run(&rig.processor), IDLE_END);
	LOG_IS(&rig.log, 0, 1, 2, 3, 4, 3, 4, 5);
	assert_int_equal(rig_position(&rig), 0);
	rig_close(&rig);
}

static void test_processor_rewind__over_tombstones(void **state)
{
	struct plan plan = {.at = 3, .times = 1};
	uint64_t first;
	struct rig rig;

	(void)state;
	open_plan(&rig, RIG_STAMPED, &simple, &plan);
	assert_int_equal(ring_publish(&rig.producer, 1), 0);
	assert_int_equal(sluice_producer_try_claim(&rig.producer, 2, &first), 0);
	sluice_producer_close(&rig.producer);
	assert_int_equal(sluice_producer_open(&rig.producer, &rig.segment, NULL, NULL), 0);
	assert_int_equal(ring_publish(&rig.producer, 2), 0);
	assert_int_equal(sluice_processor_run(&rig.processor), IDLE_END);
	LOG_IS(&rig.log, 0, 3, 0, 3, 4);
	assert_int_equal(rig.log.batches, 2);
	assert_int_equal(atomic_load(&rig.consumer.self->voids), 2);
	check_done(&rig, 5);
}

/* A batch that is always refused goes nowhere: a drain says so on time. */
static void test_processor_rewind__does_not_outlast_a_drain(void **state)
{
	struct plan plan = {.at = 1, .times = UINT32_MAX};
	struct rig rig;

	(void)state;
	open_plan(&rig, RIG_STAMPED, &simple, &plan);
	assert_int_equal(ring_publish(&rig.producer, 2), 0);
	assert_int_equal(sluice_processor_drain(&rig.processor, 20 * MS), -ETIMEDOUT);
	assert_int_equal(rig_position(&rig), 0);
	plan.times = 0;
	assert_int_equal(sluice_processor_drain(&rig.processor, 20 * SECOND), 0);
	check_done(&rig, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_processor_rewind__of_a_batch_of_one),
		cmocka_unit_test(test_processor_rewind__on_the_first_event),
		cmocka_unit_test(test_processor_rewind__in_the_middle),
		cmocka_unit_test(test_processor_rewind__on_the_last_event),
		cmocka_unit_test(test_processor_rewind__often_in_one_batch),
		cmocka_unit_test(test_processor_rewind__only_the_current_batch),
		cmocka_unit_test(test_processor_rewind__gives_up_with_the_original_error),
		cmocka_unit_test(test_processor_rewind__given_up_goes_to_the_policy),
		cmocka_unit_test(test_processor_rewind__count_starts_anew_with_a_batch),
		cmocka_unit_test(test_processor_rewind__without_a_strategy_is_an_error),
		cmocka_unit_test(test_processor_rewind__does_not_cover_other_errors),
		cmocka_unit_test(test_processor_rewind__code_has_bounds),
		cmocka_unit_test(test_processor_rewind__pauses),
		cmocka_unit_test(test_processor_rewind__ends_with_a_halt),
		cmocka_unit_test(test_processor_rewind__not_behind_what_was_released),
		cmocka_unit_test(test_processor_rewind__of_a_released_event_is_an_error),
		cmocka_unit_test(test_processor_rewind__with_deferred_release),
		cmocka_unit_test(test_processor_rewind__over_tombstones),
		cmocka_unit_test(test_processor_rewind__does_not_outlast_a_drain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
