/* SPDX-License-Identifier: MIT */
/*
 * test_alarm_stall.c - a claimed slot that is not published raises an alarm that names who holds
 * it, for as long as it does. Real producers, stopped and killed.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "shm/clock.h"
#include "shm/proc.h"
#include "tests/unit/tools/alarm_fixture.h"

static void claim_two(struct sluice_segment *own)
{
	static struct sluice_producer producer;
	static uint64_t first;
	const struct sluice_producer_options options = {.name = "gw1"};

	if (own) {
		if (sluice_producer_open(&producer, own, &options, NULL) ||
		    sluice_producer_try_claim(&producer, 2, &first))
			_exit(4);
		return;
	}
	event_fill(sluice_producer_slot(&producer, first), producer.ring.payload_bytes, first);
	event_fill(sluice_producer_slot(&producer, first + 1), producer.ring.payload_bytes,
		   first + 1);
	sluice_producer_publish_range(&producer, first, first + 1);
}

/* Waits for the slot until it has been a stall for long enough. */
static void wait_in_vain(struct sluice_consumer *consumer)
{
	uint64_t n;

	assert_int_equal(sluice_consumer_wait(consumer, 10, 2 * SLUICE_TOOL_STALL_NS, &n),
			 -ETIMEDOUT);
}

static void check_stall(uint32_t publication)
{
	struct sluice_consumer consumer;
	const struct sluice_tool_alarm *alarm;
	uint64_t n = 0;
	int release[2], status;
	char line[64];
	pid_t pid;

	if (publication != RING_MULTI) {
		ring_destroy(&segment);
		assert_int_equal(make(publication), 0);
	}
	assert_int_equal(ring_consumer(&consumer, &segment, "c", SLUICE_POLICY_CRITICAL, 0), 0);
	pid = start(claim_two, release);
	assert_true(pid > 0);
	kill(pid, SIGSTOP);
	waitpid(pid, &status, WUNTRACED);
	wait_in_vain(&consumer);
	look();
	alarm = find(SLUICE_ALARM_STALLED);
	assert_non_null(alarm);
	assert_int_equal(alarms.count, 1);
	assert_string_equal(alarm->name, "gw1");
	assert_int_equal(alarm->pid, pid);
	assert_int_equal(alarm->process, SLUICE_PROCESS_STOPPED);
	assert_int_equal(alarm->sequence, 0);
	assert_true(alarm->age_ns >= SLUICE_TOOL_STALL_NS);
	assert_true(alarm->age_ns < 600000000000ull);
	snprintf(line, sizeof(line), "kill -CONT %d", pid);
	assert_says(text_of(), "ALARM al.cmd STALLED: sequence 0");
	assert_says(text_of(), line);
	assert_says(json_of(), "\"kind\":\"stalled\"");
	assert_says(json_of(), "\"process\":\"stopped\"");
	/* it goes on: its events come, the alarm goes */
	kill(pid, SIGCONT);
	assert_int_equal(write(release[1], "g", 1), 1);
	assert_int_equal(sluice_consumer_wait(&consumer, 10, 10000000000ull, &n), 0);
	assert_int_equal(ring_consume(&consumer, 2), 2);
	look();
	assert_int_equal(alarms.count, 0);
	close(release[1]);
	child_kill(pid);
	sluice_consumer_close(&consumer, false);
}

static void test_alarm_stall__stopped_producer_is_named(void **state)
{
	(void)state;
	check_stall(RING_MULTI);
}

static void test_alarm_stall__the_one_producer_is_named(void **state)
{
	(void)state;
	check_stall(RING_STAMPED);
}

/* Dead ones are recovered by who waits for them: no alarm stays. */
static void test_alarm_stall__dead_producer_raises_none(void **state)
{
	struct sluice_consumer consumer;
	uint64_t n = 0;
	int release[2];
	pid_t pid;

	(void)state;
	assert_int_equal(ring_consumer(&consumer, &segment, "c", SLUICE_POLICY_CRITICAL, 0), 0);
	pid = start(claim_two, release);
	assert_true(pid > 0);
	wait_in_vain(&consumer);
	look();
	assert_non_null(find(SLUICE_ALARM_STALLED));
	assert_true(find(SLUICE_ALARM_STALLED)->process == SLUICE_PROCESS_RUNS);
	child_kill(pid);
	assert_int_equal(sluice_consumer_wait(&consumer, 10, 10000000000ull, &n), 0);
	look();
	assert_null(find(SLUICE_ALARM_STALLED));
	assert_int_equal(alarms.count, 0);
	close(release[1]);
	sluice_consumer_close(&consumer, false);
}

/* What the consumer says is looked into: long ago is not now, and a moment is nothing. */
static void test_alarm_stall__word_of_a_stall_is_checked(void **state)
{
	struct sluice_producer producer;
	struct sluice_consumer consumer;
	uint64_t first;

	(void)state;
	assert_int_equal(sluice_producer_open(&producer, &segment, NULL, NULL), 0);
	assert_int_equal(ring_consumer(&consumer, &segment, "c", SLUICE_POLICY_CRITICAL, 0), 0);
	assert_int_equal(ring_publish(&producer, 3), 0);
	/* relaxed, all: one thread */
	atomic_store_explicit(&consumer.self->stalled_ns, 1, memory_order_relaxed);
	look();
	assert_int_equal(alarms.count, 0);
	assert_int_equal(sluice_producer_try_claim(&producer, 1, &first), 0);
	look();
	assert_int_equal(alarms.count, 1);
	assert_int_equal(find(SLUICE_ALARM_STALLED)->sequence, 3);
	atomic_store_explicit(&consumer.self->stalled_ns, sluice_clock_ns() - 1000,
			      memory_order_relaxed);
	if (look()->member[1].stuck_ns < SLUICE_TOOL_STALL_NS)
		assert_int_equal(alarms.count, 0);
	atomic_store_explicit(&consumer.self->stalled_ns, sluice_clock_ns() + 3600000000000ull,
			      memory_order_relaxed);
	look();
	assert_int_equal(alarms.count, 0);
	event_fill(sluice_producer_slot(&producer, first), producer.ring.payload_bytes, first);
	sluice_producer_publish(&producer, first);
	sluice_consumer_close(&consumer, false);
	sluice_producer_close(&producer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		alarm_test(test_alarm_stall__stopped_producer_is_named),
		alarm_test(test_alarm_stall__the_one_producer_is_named),
		alarm_test(test_alarm_stall__dead_producer_raises_none),
		alarm_test(test_alarm_stall__word_of_a_stall_is_checked),
	};

	return cmocka_run_group_tests_name("alarm_stall", tests, NULL, NULL);
}
