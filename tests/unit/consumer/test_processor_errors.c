/* SPDX-License-Identifier: MIT */
/*
 * test_processor_errors.c - what the error of a hook does to the run, the position and producers.
 */
#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "tests/unit/consumer/handler_fixture.h"

static const struct sluice_error_policy halt = {.action = SLUICE_ERROR_HALT};
static const struct sluice_error_policy skip = {.action = SLUICE_ERROR_SKIP};

/* Fails events 1 and 3, as often as they come. */
static int fail_odd(struct log *log, uint64_t sequence, const void *event)
{
	(void)log;
	(void)event;
	return sequence == 1 ? -EIO : sequence == 3 ? -EDOM : 0;
}

static void test_processor_errors__halt_is_the_default(void **state)
{
	(void)state;
	for (int kind = 0; kind < RIG_KINDS; kind++) {
		const struct sluice_processor_options options = {
			.idle_ns = MS, .errors = kind ? &halt : NULL,
		};
		struct rig rig;

		rig_open(&rig, (enum rig_kind)kind, &options);
		rig.log.say = fail_odd;
		assert_int_equal(ring_publish(&rig.producer, 3), 0);
		assert_int_equal(sluice_processor_run(&rig.processor), -EIO);
		LOG_IS(&rig.log, 0, 1);
		/* the event was not handled: it comes first again */
		assert_int_equal(rig_position(&rig), 1);
		assert_int_equal(rig.log.batch_end[0], 1);
		assert_int_equal(rig.log.stops, 1);
		assert_int_equal(rig_failed(&rig), EIO);
		rig.log.say = NULL;
		assert_int_equal(sluice_processor_run(&rig.processor), IDLE_END);
		LOG_IS(&rig.log, 0, 1, 1, 2);
		assert_int_equal(rig_position(&rig), 3);
		assert_int_equal(rig_failed(&rig), 0);
		rig_close(&rig);
	}
}

static void test_processor_errors__skip_goes_on_at_the_next_event(void **state)
{
	const struct sluice_processor_options options = {.idle_ns = MS, .errors = &skip};
	struct rig rig;

	(void)state;
	rig_open(&rig, RIG_STAMPED, &options);
	rig.log.say = fail_odd;
	assert_int_equal(ring_publish(&rig.producer, 6), 0);
	assert_int_equal(sluice_processor_run(&rig.processor), IDLE_END);
	LOG_IS(&rig.log, 0, 1, 2, 3, 4, 5);
	/* what follows is a batch of its own */
	assert_int_equal(rig.log.batches, 3);
	assert_int_equal(rig.log.batch[1], 4);
	assert_int_equal(rig.log.batch_end[0], 2);
	assert_int_equal(rig.log.ends, 1);
	assert_int_equal(rig_position(&rig), 6);
	assert_int_equal(rig_failed(&rig), 0);
	rig_close(&rig);
}

struct judge {
	struct sluice_error seen[8];
	uint32_t count;
	bool wrong;
};

/* Skips -EIO, halts at everything else. */
static enum sluice_error_action decide(void *arg, const struct sluice_error *error)
{
	struct judge *judge = arg;

	judge->wrong |= (error->hook == SLUICE_HOOK_EVENT) != (error->event != NULL);
	if (error->event)
		judge->wrong |= !event_is(error->event, 56, error->sequence);
	judge->seen[judge->count++ % 8] = *error;
	return error->error == -EIO ? SLUICE_ERROR_SKIP : SLUICE_ERROR_HALT;
}

static void test_processor_errors__callback_decides(void **state)
{
	struct judge judge = {.count = 0};
	/* the callback, not the action beside it */
	const struct sluice_error_policy policy = {
		.action = SLUICE_ERROR_SKIP, .decide = decide, .arg = &judge,
	};
	const struct sluice_processor_options options = {.idle_ns = MS, .errors = &policy};
	struct rig rig;

	(void)state;
	rig_open(&rig, RIG_STAMPED, &options);
	rig.log.say = fail_odd;
	assert_int_equal(ring_publish(&rig.producer, 6), 0);
	assert_int_equal(sluice_processor_run(&rig.processor), -EDOM);
	LOG_IS(&rig.log, 0, 1, 2, 3);
	assert_int_equal(judge.count, 2);
	assert_int_equal(judge.seen[0].error, -EIO);
	assert_int_equal(judge.seen[0].sequence, 1);
	assert_int_equal(judge.seen[1].error, -EDOM);
	assert_int_equal(judge.seen[1].sequence, 3);
	assert_false(judge.wrong);
	assert_int_equal(rig_position(&rig), 3);
	rig_close(&rig);
}

static void test_processor_errors__handlers_policy_beats_the_default(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		const struct sluice_processor_options options = {
			.idle_ns = MS, .errors = i ? &halt : &skip,
		};
		struct sluice_handler handler = log_handler;
		struct rig rig;

		handler.errors = i ? &skip : &halt;
		rig_open(&rig, RIG_CURSOR, NULL);
		sluice_processor_init(&rig.processor, &rig.consumer, &handler, &rig.log, &options);
		rig.log.say = fail_odd;
		assert_int_equal(ring_publish(&rig.producer, 5), 0);
		assert_int_equal(sluice_processor_run(&rig.processor), i ? IDLE_END : -EIO);
		assert_int_equal(rig.log.events, i ? 5 : 2);
		rig_close(&rig);
	}
}

static void test_processor_errors__of_a_failed_start(void **state)
{
	struct judge judge = {.count = 0};
	const struct sluice_error_policy policy = {.decide = decide, .arg = &judge};

	(void)state;
	for (int i = 0; i < 2; i++) {
		const struct sluice_processor_options options = {
			.idle_ns = MS, .errors = i ? &policy : &skip,
		};
		struct rig rig;

		rig_open(&rig, RIG_STAMPED, &options);
		rig.log.start_with = -EIO;
		assert_int_equal(ring_publish(&rig.producer, 2), 0);
		/* whatever the policy says */
		assert_int_equal(sluice_processor_run(&rig.processor), -EIO);
		assert_int_equal(rig.log.events, 0);
		assert_int_equal(rig.log.batches, 0);
		assert_int_equal(rig.log.stops, 0);
		assert_int_equal(rig_failed(&rig), EIO);
		assert_int_equal(rig_position(&rig), 0);
		rig.log.start_with = 0;
		assert_int_equal(sluice_processor_run(&rig.processor), IDLE_END);
		assert_int_equal(rig.log.events, 2);
		assert_int_equal(rig.log.starts, 2);
		assert_int_equal(rig.log.stops, 1);
		rig_close(&rig);
	}
	assert_int_equal(judge.count, 1);
	assert_int_equal(judge.seen[0].hook, SLUICE_HOOK_START);
}

static void test_processor_errors__of_stop_and_idle(void **state)
{
	struct judge judge = {.count = 0};
	const struct sluice_error_policy policy = {.decide = decide, .arg = &judge};
	const struct sluice_processor_options options = {.idle_ns = MS, .errors = &policy};
	struct rig rig;

	(void)state;
	rig_open(&rig, RIG_STAMPED, &options);
	rig.log.idle_with = -EDOM;
	rig.log.stop_with = -ERANGE;
	assert_int_equal(ring_publish(&rig.producer, 1), 0);
	/* the first error is the run's */
	assert_int_equal(sluice_processor_run(&rig.processor), -EDOM);
	assert_int_equal(judge.count, 2);
	assert_int_equal(judge.seen[0].hook, SLUICE_HOOK_IDLE);
	assert_int_equal(judge.seen[0].sequence, 1);
	assert_int_equal(judge.seen[1].hook, SLUICE_HOOK_STOP);
	assert_int_equal(judge.seen[1].error, -ERANGE);

	rig.log.idle_with = IDLE_END;
	assert_int_equal(sluice_processor_run(&rig.processor), -ERANGE);
	rig.log.stop_with = -EIO;
	assert_int_equal(sluice_processor_run(&rig.processor), IDLE_END);
	assert_int_equal(judge.count, 4);
	assert_false(judge.wrong);
	rig_close(&rig);
}

/* Nothing came and the hook failed: a policy that skips waits on. */
static int idle_thrice(void *arg, uint64_t next_sequence)
{
	struct log *log = arg;

	(void)next_sequence;
	return ++log->idles < 3 ? -EIO : IDLE_END;
}

static void test_processor_errors__of_idle_can_be_skipped(void **state)
{
	const struct sluice_processor_options options = {.idle_ns = MS, .errors = &skip};
	struct sluice_handler handler = log_handler;
	struct rig rig;

	(void)state;
	rig_open(&rig, RIG_STAMPED, NULL);
	handler.on_idle = idle_thrice;
	sluice_processor_init(&rig.processor, &rig.consumer, &handler, &rig.log, &options);
	assert_int_equal(sluice_processor_run(&rig.processor), IDLE_END);
	assert_int_equal(rig.log.idles, 3);
	rig_close(&rig);
}

/* Released by the handler and then failed: its slot may be gone, so it cannot come again. */
static int release_and_fail(struct log *log, uint64_t sequence, const void *event)
{
	(void)event;
	if (sequence != 1)
		return 0;
	return sluice_processor_release(log->processor, 2) ? -EDOM : -EIO;
}

static void test_processor_errors__do_not_bring_back_what_was_released(void **state)
{
	const struct sluice_processor_options options = {.idle_ns = MS};
	struct rig rig;

	(void)state;
	rig_open(&rig, RIG_STAMPED, &options);
	rig.log.say = release_and_fail;
	assert_int_equal(ring_publish(&rig.producer, 3), 0);
	assert_int_equal(sluice_processor_run(&rig.processor), -EIO);
	assert_int_equal(rig_position(&rig), 2);
	assert_int_equal(sluice_processor_run(&rig.processor), IDLE_END);
	LOG_IS(&rig.log, 0, 1, 2);
	rig_close(&rig);
}

/* ------------------------------------------------------------------- producers are told */

static int fail_all(struct log *log, uint64_t sequence, const void *event)
{
	(void)log;
	(void)sequence;
	(void)event;
	return -EIO;
}

static void *claim_one(void *arg)
{
	uint64_t sequence;

	return (void *)(intptr_t)sluice_producer_claim(arg, 1, 60 * SECOND, &sequence);
}

static void test_processor_errors__reach_a_blocked_producer(void **state)
{
	static const uint32_t waits[] = {SLUICE_WAIT_ADAPTIVE, SLUICE_WAIT_BLOCK,
					 SLUICE_WAIT_YIELD};

	(void)state;
	for (int i = 0; i < 3 * RIG_KINDS; i++) {
		const struct sluice_processor_options options = {.idle_ns = MS};
		const uint64_t started_ns = sluice_clock_ns();
		pthread_t thread;
		void *result;
		struct rig rig;

		rig_open(&rig, (enum rig_kind)(i % RIG_KINDS), &options);
		rig.producer.wait = waits[i / RIG_KINDS];
		rig.log.say = fail_all;
		assert_int_equal(ring_publish(&rig.producer, 16), 0);
		pthread_create(&thread, NULL, claim_one, &rig.producer);
		assert_int_equal(sluice_processor_run(&rig.processor), -EIO);
		pthread_join(thread, &result);
		assert_int_equal((intptr_t)result, -EREMOTEIO);
		assert_true(sluice_clock_ns() - started_ns < 20 * SECOND);

		/* the reason is gone, the ring is still full */
		assert_int_equal(sluice_processor_resume(&rig.processor), 0);
		assert_int_equal(rig_failed(&rig), 0);
		assert_int_equal(ring_publish(&rig.producer, 1), -EAGAIN);
		rig.log.say = NULL;
		assert_int_equal(sluice_processor_run(&rig.processor), IDLE_END);
		assert_int_equal(ring_publish(&rig.producer, 1), 0);
		rig_close(&rig);
	}
}

/* The ring's own error ends a run like a handler's. */
static void test_processor_errors__of_the_ring(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, RIG_STAMPED, NULL);
	assert_int_equal(ring_publish(&rig.producer, 2), 0);
	assert_int_equal(sluice_participant_evict(&rig.segment, rig.consumer.index), 0);
	assert_int_equal(sluice_processor_run(&rig.processor), -ESTALE);
	assert_int_equal(rig.log.starts, 1);
	assert_int_equal(rig.log.stops, 1);
	assert_int_equal(rig_failed(&rig), ESTALE);
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_processor_errors__halt_is_the_default),
		cmocka_unit_test(test_processor_errors__skip_goes_on_at_the_next_event),
		cmocka_unit_test(test_processor_errors__callback_decides),
		cmocka_unit_test(test_processor_errors__handlers_policy_beats_the_default),
		cmocka_unit_test(test_processor_errors__of_a_failed_start),
		cmocka_unit_test(test_processor_errors__of_stop_and_idle),
		cmocka_unit_test(test_processor_errors__of_idle_can_be_skipped),
		cmocka_unit_test(test_processor_errors__do_not_bring_back_what_was_released),
		cmocka_unit_test(test_processor_errors__reach_a_blocked_producer),
		cmocka_unit_test(test_processor_errors__of_the_ring),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
