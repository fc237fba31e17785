/* SPDX-License-Identifier: MIT */
/*
 * A segment whose participants are all dead, at every point at which they can die, is put in order.
 * The dead are real processes, killed.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/shm/repair_fixture.h"

static void test_repair__healthy_segment_needs_nothing(void **state)
{
	struct sluice_repair_result result;
	struct sluice_segment segment;

	(void)state;
	make_multi(7);
	assert_int_equal(repair(false, &result), 0);
	assert_false(result.needed);
	assert_int_equal(finding_count, 0);
	segment = attach(SLUICE_ACCESS_READ);
	assert_int_equal(state_word(&segment), SLUICE_STATE_READY);
	sluice_segment_close(&segment);
}

static void attach_and_hang(void *arg)
{
	(void)arg;
	check(!sluice_segment_attach(&victim, NAME, SLUICE_ACCESS_WRITE, NULL));
}

static void test_repair__living_are_left_alone(void **state)
{
	struct sluice_repair_result result;
	struct sluice_segment reader;
	pid_t pid;

	(void)state;
	make_multi(0);
	reader = attach(SLUICE_ACCESS_READ);
	pid = fixture_start(attach_and_hang, NULL);
	assert_int_equal(repair(false, &result), -EBUSY);
	assert_int_equal(repair(true, &result), -EBUSY);
	kill(pid, SIGSTOP);
	assert_int_equal(repair(false, &result), -EBUSY);
	fixture_kill(pid);
	assert_int_equal(state_word(&reader), SLUICE_STATE_READY);
	assert_int_equal(repair(false, &result), 0);
	assert_int_equal(sluice_segment_repair("nobody", false, NULL, &result, NULL), -ENOENT);
	sluice_segment_close(&reader);
}


static void test_repair__claims_of_the_dead_become_tombstones(void **state)
{
	struct sluice_repair_result result;
	struct sluice_segment segment;
	const uint64_t base = 1000001;

	(void)state;
	make_multi(base);
	everybody_dies();
	assert_int_equal(repair(false, &result), 0);
	assert_true(result.needed);
	assert_int_equal(result.tombstones, DEATHS_CLAIMED - DEATHS_PUBLISHED);
	assert_int_equal(result.epoch_after, 1);
	assert_int_equal(result.state_after, SLUICE_STATE_READY);
	segment = attach(SLUICE_ACCESS_READ);
	assert_int_equal(state_word(&segment), 1 << 8 | SLUICE_STATE_READY);
	assert_whole(&segment, base);
	assert_int_equal(segment.control->tombstones, DEATHS_CLAIMED - DEATHS_PUBLISHED);
	for (uint32_t i = 0; i < 16; i++) {
		assert_int_equal(segment.participants[i].state & 0xff, SLUICE_PARTICIPANT_FREE);
		assert_int_equal(segment.participants[i].claim_record, SLUICE_CLAIM_IDLE);
	}
	sluice_segment_close(&segment);
	assert_int_equal(repair(false, &result), 0);
	assert_false(result.needed);
	assert_int_equal(result.epoch_after, 1);
}

static void test_repair__dry_run_says_and_changes_nothing(void **state)
{
	struct reader reader = {.name = "r", .policy = SLUICE_POLICY_CRITICAL};
	struct sluice_repair_result dry, wet;
	struct sluice_segment segment;
	uint32_t dry_findings;
	uint8_t *before;

	(void)state;
	make_multi(0);
	readers_die(&reader, 1);
	everybody_dies();
	segment = attach(SLUICE_ACCESS_READ);
	before = malloc(segment.total_bytes);
	memcpy(before, segment.base, segment.total_bytes);
	assert_int_equal(repair(true, &dry), 0);
	assert_memory_equal(before, segment.base, segment.total_bytes);
	free(before);
	sluice_segment_close(&segment);
	dry_findings = finding_count;
	assert_int_equal(repair(false, &wet), 0);
	assert_int_equal(dry_findings, finding_count);
	assert_true(dry.needed);
	assert_int_equal(dry.tombstones, wet.tombstones);
	assert_int_equal(dry.producers, wet.producers);
	assert_int_equal(dry.kept, 1);
	assert_int_equal(wet.kept, 1);
	assert_int_equal(dry.epoch_after, 0);
}

/* Index of the entry with this name, or -1. */
static int find(const struct sluice_segment *segment, const char *name)
{
	for (uint32_t i = 0; i < segment->header.participant_count; i++)
		if (segment->participants[i].state & 0xff &&
		    !strcmp(segment->participants[i].name, name))
			return (int)i;
	return -1;
}

static void test_repair__critical_consumers_stay_and_gate(void **state)
{
	struct reader readers[] = {
		{.name = "engine", .policy = SLUICE_POLICY_CRITICAL, .consumed = 2},
		{.name = "log", .policy = SLUICE_POLICY_CRITICAL},
		{.name = "slow", .policy = SLUICE_POLICY_EVICTABLE},
		{.name = "tap", .policy = SLUICE_POLICY_LOSSY},
		{.name = "half", .policy = SLUICE_POLICY_CRITICAL,
		 .state = SLUICE_PARTICIPANT_JOINING},
		{.name = "out", .policy = SLUICE_POLICY_CRITICAL,
		 .state = SLUICE_PARTICIPANT_EVICTED},
	};
	const struct death death = {.n = 5, .published = 5};
	struct sluice_repair_result result;
	struct sluice_segment segment;
	int engine, log;

	(void)state;
	make_multi(50);
	die_over(&death);
	readers_die(readers, sizeof(readers) / sizeof(*readers));
	assert_int_equal(repair(false, &result), 0);
	assert_int_equal(result.kept, 2);
	assert_int_equal(result.dropped, 4);
	segment = attach(SLUICE_ACCESS_READ);
	engine = find(&segment, "engine");
	log = find(&segment, "log");
	assert_true(engine >= 0 && log >= 0);
	assert_int_equal(segment.participants[engine].state & 0xff, SLUICE_PARTICIPANT_DETACHED);
	assert_int_equal(segment.participants[engine].position, 52);
	assert_int_equal(segment.participants[log].position, 50);
	assert_int_equal(segment.control->gating, 1u << engine | 1u << log);
	assert_int_equal(segment.control->consumer_sleepers, 0);
	assert_int_equal(find(&segment, "slow"), -1);
	assert_int_equal(find(&segment, "tap"), -1);
	assert_int_equal(find(&segment, "half"), -1);
	assert_int_equal(find(&segment, "out"), -1);
	sluice_segment_close(&segment);
	assert_int_equal(repair(false, &result), 0);
	assert_false(result.needed);
}

/* Of stages only the last gates; when it goes, the one before it does. */
static void test_repair__last_stage_that_stays_gates(void **state)
{
	struct reader readers[] = {
		{.name = "first", .policy = SLUICE_POLICY_CRITICAL, .consumed = 3},
		{.name = "second", .policy = SLUICE_POLICY_CRITICAL, .consumed = 2, .follows = 1},
		{.name = "third", .policy = SLUICE_POLICY_EVICTABLE, .consumed = 1, .follows = 2},
	};
	const struct death death = {.n = 5, .published = 5};
	struct sluice_repair_result result;
	struct sluice_segment segment;

	(void)state;
	make_multi(0);
	die_over(&death);
	/* entry 0 was the producer's and is taken again */
	readers_die(readers, 3);
	segment = attach(SLUICE_ACCESS_WRITE);
	assert_int_equal(find(&segment, "first"), 0);
	assert_int_equal(find(&segment, "second"), 1);
	atomic_store_explicit(&segment.control->gating, 4, memory_order_relaxed);
	sluice_segment_close(&segment);
	assert_int_equal(repair(false, &result), 0);
	segment = attach(SLUICE_ACCESS_READ);
	assert_int_equal(segment.control->gating, 2);
	sluice_segment_close(&segment);
}

static void cursor_dies(void *arg)
{
	(void)arg;
	join(SLUICE_ROLE_PRODUCER, 0, "gone");
	atomic_store_explicit(&victim.control->claim, 9, memory_order_relaxed);
	atomic_store_explicit(&victim.control->cursor, 6, memory_order_relaxed);
}

static void test_repair__cursor_ring_keeps_its_words(void **state)
{
	const struct sluice_segment_options options = cursor_options();
	struct sluice_repair_result result;
	struct sluice_segment segment;
	pid_t pid;

	(void)state;
	make(&options);
	pid = fixture_start(cursor_dies, NULL);
	assert_true(pid > 0);
	fixture_kill(pid);
	assert_int_equal(repair(false, &result), 0);
	assert_int_equal(result.producers, 1);
	assert_int_equal(result.tombstones, 0);
	segment = attach(SLUICE_ACCESS_READ);
	assert_int_equal(segment.control->claim, 9);
	assert_int_equal(segment.control->cursor, 6);
	assert_int_equal(segment.participants[0].state & 0xff, SLUICE_PARTICIPANT_FREE);
	sluice_segment_close(&segment);
}

static void test_repair__closed_ring_stays_closed(void **state)
{
	struct sluice_repair_result result;
	struct sluice_segment segment;

	(void)state;
	make_multi(0);
	everybody_dies();
	segment = attach(SLUICE_ACCESS_WRITE);
	sluice_ring_set_state(&segment, SLUICE_STATE_DRAINING);
	sluice_segment_close(&segment);
	assert_int_equal(repair(false, &result), 0);
	segment = attach(SLUICE_ACCESS_READ);
	assert_int_equal(state_word(&segment), 1 << 8 | SLUICE_STATE_DRAINING);
	assert_whole(&segment, 0);
	sluice_segment_close(&segment);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		repair_test(test_repair__healthy_segment_needs_nothing),
		repair_test(test_repair__living_are_left_alone),
		repair_test(test_repair__claims_of_the_dead_become_tombstones),
		repair_test(test_repair__dry_run_says_and_changes_nothing),
		repair_test(test_repair__critical_consumers_stay_and_gate),
		repair_test(test_repair__last_stage_that_stays_gates),
		repair_test(test_repair__cursor_ring_keeps_its_words),
		repair_test(test_repair__closed_ring_stays_closed),
	};

	return cmocka_run_group_tests_name("repair", tests, fixture_setup, fixture_teardown);
}
