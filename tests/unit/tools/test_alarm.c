/* SPDX-License-Identifier: MIT */
/*
 * test_alarm.c - every alarm is raised by what it is meant for, names who has to be looked at, and
 * ends with its cause. Real rings and processes; stalls are in test_alarm_stall.c.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/syscall.h>

#include "consumer/processor.h"
#include "shm/proc.h"
#include "tests/unit/tools/alarm_fixture.h"

static void test_alarm__calm_ring_has_none(void **state)
{
	struct sluice_producer producer;
	struct sluice_consumer consumer;

	(void)state;
	assert_int_equal(sluice_producer_open(&producer, &segment, NULL, NULL), 0);
	assert_int_equal(ring_consumer(&consumer, &segment, "c", SLUICE_POLICY_CRITICAL, 0), 0);
	assert_int_equal(ring_publish(&producer, 5), 0);
	look();
	assert_int_equal(alarms.count, 0);
	assert_string_equal(text_of(), "");
	assert_says(json_of(), "\"alarms\":[]");
	sluice_consumer_close(&consumer, false);
	sluice_producer_close(&producer);
}

static int refuse(void *arg, const void *event, uint64_t sequence, bool is_last)
{
	(void)arg;
	(void)event;
	(void)sequence;
	(void)is_last;
	return -EIO;
}

static void test_alarm__failed_handler_shows_its_errno(void **state)
{
	const struct sluice_handler handler = {.on_event = refuse};
	struct sluice_processor processor;
	struct sluice_producer producer;
	struct sluice_consumer consumer;
	const struct sluice_tool_alarm *alarm;

	(void)state;
	assert_int_equal(sluice_producer_open(&producer, &segment, NULL, NULL), 0);
	assert_int_equal(ring_consumer(&consumer, &segment, "c", SLUICE_POLICY_CRITICAL, 0), 0);
	assert_int_equal(ring_publish(&producer, 3), 0);
	sluice_processor_init(&processor, &consumer, &handler, NULL, NULL);
	assert_int_equal(sluice_processor_run(&processor), -EIO);
	look();
	alarm = find(SLUICE_ALARM_FAILED);
	assert_non_null(alarm);
	assert_int_equal(alarm->error, EIO);
	assert_string_equal(alarm->name, "c");
	assert_int_equal(alarm->events, 3);
	assert_says(text_of(), "FAILED: consumer c, pid ");
	assert_says(text_of(), "stopped on EIO");
	assert_says(json_of(), "\"errno\":5,\"errno_name\":\"EIO\"");
	sluice_consumer_close(&consumer, false);
	sluice_producer_close(&producer);
}

static void join_evictable(struct sluice_segment *own)
{
	static struct sluice_consumer consumer;

	if (own && ring_consumer(&consumer, own, "child", SLUICE_POLICY_EVICTABLE, 0))
		_exit(4);
}

/* A bare clone() runs no fork handler: it keeps the lock byte of a parent that is gone. */
static void join_and_clone(struct sluice_segment *own)
{
	if (!own)
		return;
	join_evictable(own);
	if (!syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL)) {
		prctl(PR_SET_PDEATHSIG, 0);
		sleep(30);
		_exit(0);
	}
}

static pid_t child_of(pid_t pid)
{
	char path[64];
	FILE *file;
	int child = 0;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	file = fopen(path, "re");
	if (file && fscanf(file, "%d", &child) != 1)
		child = 0;
	if (file)
		fclose(file);
	return child;
}

static void test_alarm__inherited_byte_is_seen(void **state)
{
	const struct sluice_tool_alarm *alarm;
	int release[2];
	pid_t pid, heir;

	(void)state;
	pid = start(join_and_clone, release);
	assert_true(pid > 0);
	heir = child_of(pid);
	if (heir <= 0) {
		child_kill(pid);
		close(release[1]);
		print_message("skip: %s: /proc/PID/task/TID/children is not to be had\n", __func__);
		skip();
	}
	look();
	assert_null(find(SLUICE_ALARM_INHERITED));
	child_kill(pid);
	look();
	alarm = find(SLUICE_ALARM_INHERITED);
	assert_non_null(alarm);
	assert_string_equal(alarm->name, "child");
	assert_int_equal(alarm->pid, pid);
	assert_says(text_of(), "HELD_BY_INHERITOR");
	assert_says(text_of(), "sluice.al.cmd.lk");
	assert_says(json_of(), "\"kind\":\"held_by_inheritor\"");
	kill(heir, SIGKILL);
	for (int ms = 0; ms < 5000 && sluice_liveness_probe(&segment, 0) == 1; ms++)
		usleep(1000);
	look();
	assert_null(find(SLUICE_ALARM_INHERITED));
	close(release[1]);
}

static void test_alarm__away_and_evicted(void **state)
{
	struct sluice_producer producer;
	struct sluice_consumer consumer;
	const struct sluice_tool_alarm *alarm;

	(void)state;
	assert_int_equal(sluice_producer_open(&producer, &segment, NULL, NULL), 0);
	assert_int_equal(ring_consumer(&consumer, &segment, "c", SLUICE_POLICY_CRITICAL, 0), 0);
	sluice_consumer_close(&consumer, true);
	look(); /* it left in order and holds nothing */
	assert_int_equal(alarms.count, 0);
	assert_int_equal(ring_consumer(&consumer, &segment, "c", SLUICE_POLICY_CRITICAL, 0), 0);
	assert_int_equal(ring_publish(&producer, 7), 0);
	assert_int_equal(ring_consume(&consumer, 2), 2);
	look();
	assert_int_equal(alarms.count, 0);
	sluice_consumer_close(&consumer, true);
	look();
	alarm = find(SLUICE_ALARM_AWAY);
	assert_non_null(alarm);
	assert_int_equal(alarm->pid, 0);
	assert_int_equal(alarm->sequence, 2);
	assert_int_equal(alarm->events, 5);
	assert_says(text_of(), "critical consumer c is not here and holds 5 events from 2 on");
	assert_says(json_of(), "\"held_events\":5");
	assert_int_equal(sluice_participant_evict(&segment, consumer.index), 0);
	look();
	assert_null(find(SLUICE_ALARM_AWAY));
	assert_non_null(find(SLUICE_ALARM_EVICTED));
	sluice_producer_close(&producer);
}

static void join_critical(struct sluice_segment *own)
{
	static struct sluice_consumer consumer;

	if (own && ring_consumer(&consumer, own, "engine", SLUICE_POLICY_CRITICAL, 0))
		_exit(4);
}

static void test_alarm__dead_critical_consumer_is_away(void **state)
{
	int release[2];
	const pid_t pid = start(join_critical, release);

	(void)state;
	assert_true(pid > 0);
	look();
	assert_int_equal(alarms.count, 0);
	child_kill(pid);
	look();
	assert_int_equal(alarms.count, 1);
	assert_non_null(find(SLUICE_ALARM_AWAY));
	assert_int_equal(find(SLUICE_ALARM_AWAY)->process, SLUICE_PROCESS_GONE);
	close(release[1]);
}

/* --------------------------------------------------------------------------------- segment */

static void test_alarm__states_and_epoch(void **state)
{
	static const struct {
		uint32_t state;
		const char *text;
	} states[] = {
		{SLUICE_STATE_DRAINING, "draining: closed"},
		{SLUICE_STATE_RECOVERING, "recovering: a repair"},
		{SLUICE_STATE_POISONED, "poisoned: damaged"},
		{SLUICE_STATE_RETIRED, "retired: on its way out"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++) {
		sluice_ring_set_state(&segment, states[i].state);
		look();
		assert_int_equal(alarms.count, 1);
		assert_int_equal(alarms.alarm[0].kind, SLUICE_ALARM_STATE);
		assert_says(text_of(), states[i].text);
		assert_says(json_of(), "\"kind\":\"state\"");
	}
	/* relaxed: one thread; a state that no version knows, and three repairs */
	atomic_store_explicit(&segment.control->state, 3 << 8 | 99, memory_order_relaxed);
	assert_int_equal(look()->epoch, 3);
	assert_says(text_of(), "unknown: no state that there is");
}

static void test_alarm__ring_without_its_name_is_a_twin(void **state)
{
	static struct sluice_tool_sample *sample;
	struct sluice_tool_instance instance;
	char path[256];
	char away[300];

	(void)state;
	sample = malloc(sizeof(*sample));
	memcpy(path, segment.path, sizeof(path));
	snprintf(away, sizeof(away), "%s.away", path);
	assert_int_equal(sluice_tool_instance_open(&instance, NAME, NULL), 0);
	assert_int_equal(rename(path, away), 0);
	sluice_tool_sample_take(sample, &instance);
	sluice_tool_alarms_find(sample, &alarms);
	assert_int_equal(rename(away, path), 0);
	assert_non_null(find(SLUICE_ALARM_TWIN));
	assert_says(text_of(), "TWIN: its file was removed or replaced while processes use it");
	/* its name is back */
	sluice_tool_sample_take(sample, &instance);
	sluice_tool_alarms_find(sample, &alarms);
	assert_int_equal(alarms.count, 0);
	assert_string_equal(sluice_tool_instance_gone(&instance), "");
	unlink(path);
	assert_says(sluice_tool_instance_gone(&instance), "TWIN");
	sluice_ring_set_state(&segment, SLUICE_STATE_RETIRED); /* it was meant */
	assert_says(sluice_tool_instance_gone(&instance), "a ring was removed");
	assert_null(strstr(sluice_tool_instance_gone(&instance), "TWIN"));
	sluice_tool_instance_close(&instance);
	free(sample);
}

static void test_alarm__stages_are_a_line(void **state)
{
	static const char *const after_log[] = {"log", NULL};
	static const char *const after_both[] = {"risk", "match", NULL};
	const struct sluice_consumer_options options[] = {
		{.name = "log"},
		{.name = "risk", .after = after_log},
		{.name = "match", .after = after_log},
		{.name = "out", .after = after_both},
	};
	struct sluice_consumer stage[4];
	char text[256];
	char small[12];

	(void)state;
	sluice_tool_stages(look(), text, sizeof(text));
	assert_string_equal(text, "");
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(sluice_consumer_open(&stage[i], &segment, &options[i], NULL), 0);
	sluice_tool_stages(look(), text, sizeof(text));
	assert_string_equal(text, "log -> risk; log -> match; risk,match -> out");
	sluice_tool_stages(look(), small, sizeof(small));
	assert_string_equal(small, "log -> risk");
	for (size_t i = 4; i-- > 0;)
		sluice_consumer_close(&stage[i], false);
}

static void test_alarm__figures_do_not_make_it_another(void **state)
{
	struct sluice_tool_alarms before;

	(void)state;
	sluice_ring_set_state(&segment, SLUICE_STATE_DRAINING);
	look();
	before = alarms;
	assert_true(sluice_tool_alarms_equal(&alarms, &before));
	alarms.alarm[0].age_ns++;
	alarms.alarm[0].events++;
	assert_true(sluice_tool_alarms_equal(&alarms, &before));
	alarms.alarm[0].state = SLUICE_STATE_RETIRED;
	assert_false(sluice_tool_alarms_equal(&alarms, &before));
	alarms.count = 0;
	assert_false(sluice_tool_alarms_equal(&alarms, &before));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		alarm_test(test_alarm__calm_ring_has_none),
		alarm_test(test_alarm__failed_handler_shows_its_errno),
		alarm_test(test_alarm__inherited_byte_is_seen),
		alarm_test(test_alarm__away_and_evicted),
		alarm_test(test_alarm__dead_critical_consumer_is_away),
		alarm_test(test_alarm__states_and_epoch),
		alarm_test(test_alarm__ring_without_its_name_is_a_twin),
		alarm_test(test_alarm__stages_are_a_line),
		alarm_test(test_alarm__figures_do_not_make_it_another),
	};

	return cmocka_run_group_tests_name("alarm", tests, NULL, NULL);
}
