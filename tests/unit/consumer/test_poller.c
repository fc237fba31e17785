/* SPDX-License-Identifier: MIT */
/* test_poller.c - what a poll gives, says and saves. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "consumer/poller.h"
#include "tests/unit/consumer/handler_fixture.h"

static int poll_log(struct rig *rig, uint64_t max)
{
	struct sluice_poller poller;

	sluice_poller_init(&poller, &rig->consumer, max);
	return sluice_poller_poll(&poller, log_event, &rig->log);
}

static void publish_at(struct sluice_producer *producer, uint64_t sequence)
{
	event_fill(sluice_producer_slot(producer, sequence), producer->ring.payload_bytes,
		   sequence);
	sluice_producer_publish(producer, sequence);
}

static void test_poller__tells_idle_from_gating(void **state)
{
	(void)state;
	for (int kind = 0; kind < RIG_KINDS; kind++) {
		uint64_t first;
		struct rig rig;

		rig_open(&rig, (enum rig_kind)kind, NULL);
		assert_int_equal(poll_log(&rig, 0), SLUICE_POLL_IDLE);
		assert_int_equal(sluice_producer_try_claim(&rig.producer, 2, &first), 0);
		assert_int_equal(poll_log(&rig, 0), SLUICE_POLL_GATING);
		publish_at(&rig.producer, first);
		assert_int_equal(poll_log(&rig, 0), SLUICE_POLL_PROCESSING);
		assert_int_equal(poll_log(&rig, 0), SLUICE_POLL_GATING);
		publish_at(&rig.producer, first + 1);
		assert_int_equal(poll_log(&rig, 0), SLUICE_POLL_PROCESSING);
		assert_int_equal(poll_log(&rig, 0), SLUICE_POLL_IDLE);
		LOG_IS(&rig.log, 0, 1);
		assert_int_equal(rig_position(&rig), 2);
		rig_close(&rig);
	}
}

static void test_poller__gets_a_full_ring_at_once(void **state)
{
	(void)state;
	for (int kind = 0; kind < RIG_KINDS; kind++) {
		struct sluice_segment segment;
		struct sluice_producer producer;
		struct sluice_consumer consumer;
		struct sluice_poller poller;
		struct log log = {.consumer = &consumer};

		assert_int_equal(ring_create(&segment, NULL, rig_publications[kind], 4, 0), 0);
		assert_int_equal(sluice_producer_open(&producer, &segment, NULL, NULL), 0);
		assert_int_equal(ring_consumer(&consumer, &segment, "p", SLUICE_POLICY_CRITICAL,
					       SLUICE_FROM_NEXT), 0);
		sluice_poller_init(&poller, &consumer, 0);
		for (int lap = 0; lap < 3; lap++) {
			assert_int_equal(ring_publish(&producer, 4), 0);
			assert_int_equal(ring_publish(&producer, 1), -EAGAIN);
			assert_int_equal(sluice_poller_poll(&poller, log_event, &log),
					 SLUICE_POLL_PROCESSING);
			assert_int_equal(log.events, 4 * (lap + 1));
			assert_int_equal(log.ends, lap + 1);
			assert_int_equal(sluice_poller_poll(&poller, log_event, &log),
					 SLUICE_POLL_IDLE);
		}
		assert_false(log.wrong);
		sluice_consumer_close(&consumer, false);
		sluice_producer_close(&producer);
		ring_destroy(&segment);
	}
}

static void test_poller__takes_at_most_its_limit(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, RIG_STAMPED, NULL);
	assert_int_equal(ring_publish(&rig.producer, 5), 0);
	assert_int_equal(poll_log(&rig, 2), SLUICE_POLL_PROCESSING);
	LOG_IS(&rig.log, 0, 1);
	assert_int_equal(rig.log.end_at[0], 1);
	assert_int_equal(poll_log(&rig, 2), SLUICE_POLL_PROCESSING);
	assert_int_equal(poll_log(&rig, 2), SLUICE_POLL_PROCESSING);
	assert_int_equal(poll_log(&rig, 2), SLUICE_POLL_IDLE);
	LOG_IS(&rig.log, 0, 1, 2, 3, 4);
	rig_close(&rig);
}

static int stop_at_one(struct log *log, uint64_t sequence, const void *event)
{
	(void)event;
	return sequence == 1 && !log->asked++ ? SLUICE_STOP : 0;
}

static void test_poller__stop_keeps_the_rest(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, RIG_CURSOR, NULL);
	rig.log.say = stop_at_one;
	assert_int_equal(ring_publish(&rig.producer, 4), 0);
	assert_int_equal(poll_log(&rig, 0), SLUICE_POLL_PROCESSING);
	LOG_IS(&rig.log, 0, 1);
	assert_int_equal(rig_position(&rig), 2);
	assert_int_equal(poll_log(&rig, 0), SLUICE_POLL_PROCESSING);
	LOG_IS(&rig.log, 0, 1, 2, 3);
	rig_close(&rig);
}

static int fail_at_two(struct log *log, uint64_t sequence, const void *event)
{
	(void)event;
	return sequence == 2 && !log->asked++ ? *(int *)log->arg : 0;
}

static void test_poller__error_keeps_progress_up_to_the_last_good_event(void **state)
{
	static const int codes[][2] = {
		{-EIO, -EIO}, {-EAGAIN, -EAGAIN}, {SLUICE_REWIND + EDOM, -EDOM}};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		int code = codes[i][0];
		struct rig rig;

		rig_open(&rig, RIG_STAMPED, NULL);
		rig.log.say = fail_at_two;
		rig.log.arg = &code;
		assert_int_equal(ring_publish(&rig.producer, 4), 0);
		assert_int_equal(poll_log(&rig, 0), codes[i][1]);
		LOG_IS(&rig.log, 0, 1, 2);
		assert_int_equal(rig_position(&rig), 2);
		assert_int_equal(atomic_load(&rig.consumer.self->events), 2);
		assert_int_equal(poll_log(&rig, 0), SLUICE_POLL_PROCESSING);
		LOG_IS(&rig.log, 0, 1, 2, 2, 3);
		assert_int_equal(rig_position(&rig), 4);
		rig_close(&rig);
	}
}

/* A hole of a multi-producer ring is not shown, nor what is behind it. */
static void test_poller__does_not_show_holes(void **state)
{
	struct sluice_producer other;
	uint64_t hole;
	struct rig rig;

	(void)state;
	rig_open(&rig, RIG_MULTI, NULL);
	assert_int_equal(sluice_producer_open(&other, &rig.segment, NULL, NULL), 0);
	assert_int_equal(ring_publish(&rig.producer, 1), 0);
	assert_int_equal(sluice_producer_try_claim(&other, 1, &hole), 0);
	assert_int_equal(ring_publish(&rig.producer, 2), 0);
	assert_int_equal(poll_log(&rig, 0), SLUICE_POLL_PROCESSING);
	LOG_IS(&rig.log, 0);
	assert_int_equal(poll_log(&rig, 0), SLUICE_POLL_GATING);
	/* given up: a tombstone, which is not an event either */
	sluice_producer_close(&other);
	assert_int_equal(poll_log(&rig, 0), SLUICE_POLL_PROCESSING);
	LOG_IS(&rig.log, 0, 2, 3);
	assert_int_equal(atomic_load(&rig.consumer.self->voids), 1);
	rig_close(&rig);
}

/* Tombstones alone are no events: the poll looks behind them, and ends with what there is. */
static void test_poller__passes_tombstones(void **state)
{
	uint64_t first;
	struct rig rig;

	(void)state;
	rig_open(&rig, RIG_MULTI, NULL);
	assert_int_equal(sluice_producer_try_claim(&rig.producer, 3, &first), 0);
	sluice_producer_close(&rig.producer);
	assert_int_equal(sluice_producer_open(&rig.producer, &rig.segment, NULL, NULL), 0);
	assert_int_equal(poll_log(&rig, 2), SLUICE_POLL_IDLE);
	assert_int_equal(rig_position(&rig), 3);
	assert_int_equal(rig.log.events, 0);
	/* the last event ends the batch although a tombstone follows */
	assert_int_equal(ring_publish(&rig.producer, 1), 0);
	assert_int_equal(sluice_producer_try_claim(&rig.producer, 1, &first), 0);
	sluice_producer_close(&rig.producer);
	assert_int_equal(sluice_producer_open(&rig.producer, &rig.segment, NULL, NULL), 0);
	assert_int_equal(poll_log(&rig, 0), SLUICE_POLL_PROCESSING);
	assert_int_equal(rig.log.ends, 1);
	assert_int_equal(rig_position(&rig), 5);
	rig_close(&rig);
}

static void test_poller__says_that_the_ring_has_ended(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, RIG_STAMPED, NULL);
	assert_int_equal(ring_publish(&rig.producer, 2), 0);
	sluice_ring_set_state(&rig.segment, SLUICE_STATE_DRAINING);
	assert_int_equal(poll_log(&rig, 1), SLUICE_POLL_PROCESSING);
	assert_int_equal(poll_log(&rig, 1), SLUICE_POLL_PROCESSING);
	assert_int_equal(poll_log(&rig, 1), -EPIPE);
	rig_close(&rig);
}

static void test_poller__waits_for_the_stage_before_it(void **state)
{
	const char *const after[] = {"first", NULL};
	const struct sluice_consumer_options options = {
		.name = "second", .policy = SLUICE_POLICY_CRITICAL, .after = after,
	};
	struct sluice_consumer first;
	struct sluice_poller poller;
	struct rig rig;

	(void)state;
	rig_open(&rig, RIG_MULTI, NULL);
	assert_int_equal(ring_consumer(&first, &rig.segment, "first", SLUICE_POLICY_CRITICAL,
				       SLUICE_FROM_NEXT), 0);
	sluice_consumer_close(&rig.consumer, false);
	assert_int_equal(sluice_consumer_open(&rig.consumer, &rig.segment, &options, NULL), 0);
	sluice_poller_init(&poller, &rig.consumer, 0);
	assert_int_equal(sluice_poller_poll(&poller, log_event, &rig.log), SLUICE_POLL_IDLE);
	assert_int_equal(ring_publish(&rig.producer, 3), 0);
	assert_int_equal(sluice_poller_poll(&poller, log_event, &rig.log), SLUICE_POLL_GATING);
	assert_int_equal(ring_consume(&first, 2), 2);
	assert_int_equal(sluice_poller_poll(&poller, log_event, &rig.log),
			 SLUICE_POLL_PROCESSING);
	LOG_IS(&rig.log, 0, 1);
	assert_int_equal(sluice_poller_poll(&poller, log_event, &rig.log), SLUICE_POLL_GATING);
	assert_int_equal(ring_consume(&first, 1), 1);
	assert_int_equal(sluice_poller_poll(&poller, log_event, &rig.log),
			 SLUICE_POLL_PROCESSING);
	assert_int_equal(sluice_poller_poll(&poller, log_event, &rig.log), SLUICE_POLL_IDLE);
	LOG_IS(&rig.log, 0, 1, 2);
	sluice_consumer_close(&rig.consumer, false);
	sluice_consumer_close(&first, false);
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_poller__tells_idle_from_gating),
		cmocka_unit_test(test_poller__gets_a_full_ring_at_once),
		cmocka_unit_test(test_poller__takes_at_most_its_limit),
		cmocka_unit_test(test_poller__stop_keeps_the_rest),
		cmocka_unit_test(test_poller__error_keeps_progress_up_to_the_last_good_event),
		cmocka_unit_test(test_poller__does_not_show_holes),
		cmocka_unit_test(test_poller__passes_tombstones),
		cmocka_unit_test(test_poller__says_that_the_ring_has_ended),
		cmocka_unit_test(test_poller__waits_for_the_stage_before_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
