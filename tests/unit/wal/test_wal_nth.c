/* SPDX-License-Identifier: MIT */
/*
 * test_wal_nth.c - the n-th operation of a whole life fails, for every n until a life passes with
 * none failed: open, restore, replay, start, blocks, a follower's snapshots, offers, a last
 * snapshot, a clean end. Every error, once and from then on for good, in the log's disk and in
 * the follower's. Each time, after a loss of power, the log opens, holds what was acknowledged,
 * gives the same state and goes on. Over a disk in memory, with blocks of 8 KiB and segments of
 * 16 KiB (tests/unit/rules.mk).
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/wal/follower.h"
#include "tests/lib/fault_io.h"
#include "tests/lib/mem_io.h"
#include "tests/lib/wal_life.h"

#define FOR_GOOD UINT64_MAX
#define BLOCKS 7u
#define RECORDS 20u
#define STEPS_MAX 400
#define OPERATIONS_MAX 1000u

struct stage {
	struct wal_fixture fixture;
	struct mem_disk disk;
	uint64_t before; /* commands in the log when a life begins */
};

struct outcome {
	uint64_t durable; /* commands acknowledged */
	uint64_t named;	  /* the newest snapshot that the log said was named */
	uint64_t fired;	  /* failures in the log's disk */
	uint64_t f_fired; /* and in the follower's */
	int error;	  /* of the log */
	int f_error;	  /* of the follower */
	bool whole;	  /* the life came to its end */
};

static struct sluice_wal_io *faulty(struct stage *stage, const struct fault_plan *plan,
				    uint64_t *fired)
{
	struct fault_plan counted = *plan;
	struct sluice_wal_io *io;

	assert_int_equal(fault_io_create(&io, mem_disk_io(&stage->disk)), 0);
	counted.fired = fired;
	fault_io_plan(io, &counted);
	return io;
}

static int setup(void **state)
{
	struct stage *stage = calloc(1, sizeof(*stage));
	struct wal_life life = {.wal = NULL};
	struct sluice_wal *wal = NULL;

	assert_non_null(stage);
	wal_life_make(&stage->fixture, SLUICE_WAL_SEGMENT_BYTES_MIN);
	mem_disk_load(&stage->disk, stage->fixture.dir);
	wal_fixture_remove(&stage->fixture);
	assert_int_equal(sluice_wal_open_io(&wal, mem_disk_io(&stage->disk), NULL, NULL), 0);
	assert_int_equal(wal_life_recover(&life, wal), 0);
	assert_int_equal(wal_life_start(&life), 0);
	for (uint64_t i = 1; i <= 2; i++) {
		assert_true(wal_life_block(&life, RECORDS) > 0);
		assert_int_equal(wal_life_settle(&life), 0);
		wal_life_take_reports(&life);
		assert_int_equal(wal_life_save(&life, wal->io, i), 0);
		assert_int_equal(wal_life_name(&life, i), 0);
	}
	assert_true(wal_life_block(&life, RECORDS) > 0);
	assert_int_equal(wal_life_settle(&life), 0);
	stage->before = life.cmd_seq;
	assert_int_equal(wal_life_close(&life, false), 0);
	*state = stage;
	return 0;
}

static int teardown(void **state)
{
	struct stage *stage = *state;

	mem_disk_release(&stage->disk);
	free(stage);
	return 0;
}

/* ---------------------------------------------------------------------------------- a life */

static void follow(struct sluice_follower **follower, struct outcome *outcome)
{
	int ret = 1;

	for (int i = 0; *follower && i < STEPS_MAX && ret == 1; i++)
		ret = sluice_follower_step(*follower, NULL);
	assert_true(ret <= 0 || !*follower);
	if (ret >= 0 || !*follower)
		return;
	outcome->f_error = ret;
	sluice_follower_close(*follower);
	*follower = NULL;
}

static int name_whole(struct wal_life *life, struct sluice_follower *follower)
{
	struct sluice_follower_view view;
	int ret;

	if (!follower)
		return 0;
	sluice_follower_view(follower, &view);
	if (view.snapshot_whole <= sluice_wal_snapshot_named(life->wal))
		return 0;
	ret = sluice_wal_offer(life->wal, view.snapshot_whole, &life->diag);
	/* its file may not have been readable */
	return ret == -EBADMSG || ret == -EAGAIN ? 0 : ret;
}

/* Halted is for good, and not one write more. */
static void check_halted(struct wal_life *life, struct sluice_wal_io *io)
{
	const int error = sluice_wal_error(life->wal);
	const uint64_t writes = fault_io_writes_after(io);
	const uint64_t durable = sluice_wal_durable_cmd_seq(life->wal);
	uint32_t room;

	assert_null(sluice_wal_reserve(life->wal, 0, 0, &room));
	assert_int_equal(sluice_wal_submit(life->wal), error);
	assert_int_equal(sluice_wal_seal(life->wal), error);
	assert_int_equal(sluice_wal_poll(life->wal), error);
	assert_int_equal(sluice_wal_offer(life->wal, 99, NULL), error);
	assert_int_equal(sluice_wal_snapshot(life->wal, life->core, 1, 1, NULL), error);
	assert_int_equal(sluice_wal_durable_cmd_seq(life->wal), durable);
	assert_int_equal(fault_io_writes_after(io), writes);
	assert_true(sluice_wal_error_text(life->wal)[0]);
}

/* Blocks, each followed, until the log fails or the end. */
static int work(struct wal_life *life, struct sluice_follower **follower, struct outcome *outcome)
{
	int ret = 0;

	for (uint32_t i = 0; ret >= 0 && i < BLOCKS; i++) {
		ret = wal_life_block(life, RECORDS);
		if (ret >= 0)
			ret = wal_life_settle(life);
		outcome->durable = sluice_wal_durable_cmd_seq(life->wal);
		if (ret < 0)
			break;
		wal_life_take_reports(life);
		follow(follower, outcome);
		ret = name_whole(life, *follower);
		if (!ret && i % 2)
			ret = wal_life_settle(life);
		outcome->named = sluice_wal_snapshot_named(life->wal);
	}
	if (ret >= 0)
		ret = wal_life_settle(life);
	if (ret >= 0)
		ret = sluice_wal_seal(life->wal);
	return ret < 0 ? ret : wal_life_settle(life);
}

static void end_life(struct wal_life *life, struct sluice_wal_io *io, struct outcome *outcome,
		     int ret)
{
	outcome->durable = sluice_wal_durable_cmd_seq(life->wal);
	outcome->named = sluice_wal_snapshot_named(life->wal);
	outcome->error = sluice_wal_error(life->wal);
	assert_int_equal(ret, outcome->error); /* nothing but a halt ends the work */
	if (ret)
		check_halted(life, io);
	else
		sluice_wal_snapshot(life->wal, life->core, life->sink.report_next,
				    life->sink.md_next, NULL);
	ret = wal_life_close(life, true);
	outcome->error = outcome->error ? outcome->error : ret;
	outcome->whole = ret == 0;
}

static void live(struct stage *stage, const struct fault_plan *plan,
		 const struct fault_plan *f_plan, struct outcome *outcome)
{
	const struct sluice_follower_options options = {.every_bytes = 2 * SLUICE_WAL_ALIGN};
	struct sluice_wal_io *io, *f_io;
	struct sluice_follower *follower = NULL;
	struct wal_life life = {.wal = NULL};
	struct sluice_wal *wal = NULL;

	*outcome = (struct outcome){.durable = stage->before};
	io = faulty(stage, plan, &outcome->fired);
	outcome->error = sluice_wal_open_io(&wal, io, NULL, NULL);
	if (outcome->error)
		return;
	outcome->error = wal_life_recover(&life, wal);
	assert_null(life.wrong);
	if (!outcome->error)
		outcome->error = wal_life_start(&life);
	if (outcome->error) {
		wal_life_close(&life, true);
		return;
	}
	f_io = faulty(stage, f_plan, &outcome->f_fired);
	outcome->f_error = sluice_follower_open(&follower, f_io, &options, NULL);
	end_life(&life, io, outcome, work(&life, &follower, outcome));
	sluice_follower_close(follower);
}

/* After a loss of power, a disk without faults: nothing acknowledged is missing, and it goes on. */
static void check_after(struct stage *stage, const struct outcome *outcome)
{
	struct sluice_wal_position position;
	struct wal_life life = {.wal = NULL};
	struct sluice_wal *wal = NULL;
	struct sluice_diag diag = {"", ""};

	mem_disk_lose(&stage->disk);
	if (sluice_wal_open_io(&wal, mem_disk_io(&stage->disk), NULL, &diag))
		fail_msg("%s", diag.text);
	sluice_wal_position(wal, &position);
	if (wal_life_recover(&life, wal))
		fail_msg("%s", life.wrong ? life.wrong : life.diag.text);
	assert_true(life.cmd_seq >= outcome->durable);
	assert_true(sluice_wal_snapshot_named(wal) >= outcome->named);
	assert_int_equal(position.snapshot, sluice_wal_snapshot_named(wal));
	assert_int_equal(sluice_core_state_hash(life.core),
			 wal_life_expect(&position.core, life.cmd_seq));
	assert_int_equal(wal_life_start(&life), 0);
	assert_true(wal_life_block(&life, 3) > 0);
	assert_int_equal(wal_life_settle(&life), 0);
	assert_int_equal(wal_life_close(&life, true), 0);
}

/* ------------------------------------------------------------------------------ every n-th */

enum where { IN_LOG, IN_FOLLOWER };

/* Returns how many lives a fault struck. `harmless`: no log may notice. */
static uint64_t every_nth(struct stage *stage, enum where where, struct fault_plan plan,
			  bool harmless)
{
	const struct fault_plan none = {.at = 0};
	struct outcome outcome = {.fired = 1};
	uint64_t n = 0;

	do {
		const size_t mark = mem_disk_mark(&stage->disk);
		const uint64_t random = stage->disk.random;

		plan.at = ++n;
		assert_true(n < OPERATIONS_MAX);
		live(stage, where == IN_LOG ? &plan : &none, where == IN_FOLLOWER ? &plan : &none,
		     &outcome);
		if (harmless || where == IN_FOLLOWER)
			assert_true(outcome.whole &&
				    outcome.durable == stage->before + BLOCKS * RECORDS);
		if (outcome.error)
			assert_true(outcome.fired > 0);
		if (outcome.f_error)
			assert_true(outcome.f_fired > 0);
		check_after(stage, &outcome);
		mem_disk_rollback(&stage->disk, mark);
		stage->disk.random = random;
	} while (where == IN_LOG ? outcome.fired : outcome.f_fired);
	assert_true(outcome.whole && outcome.named >= 4); /* the follower's came to be named */
	return n - 1;
}

static void test_wal_nth__each_error_once(void **state)
{
	static const int errors[] = {EIO, ENOSPC, EINTR, EAGAIN, ECANCELED};

	for (uint32_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		const struct fault_plan plan = {.kind = FAULT_RESULT, .error = errors[i]};

		assert_true(every_nth(*state, IN_LOG, plan, false) > 50);
	}
}

static void test_wal_nth__each_error_for_good(void **state)
{
	static const int errors[] = {EIO, ENOSPC, EINTR, EAGAIN, ECANCELED};

	for (uint32_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		const struct fault_plan plan = {
			.kind = FAULT_RESULT, .error = errors[i], .times = FOR_GOOD};

		assert_true(every_nth(*state, IN_LOG, plan, false) > 50);
	}
}

/* The kernel may have dropped the data and report success to the next try. */
static void test_wal_nth__a_failed_write_is_never_made_again(void **state)
{
	static const int errors[] = {EIO, ENOSPC, EDQUOT, EROFS};
	struct stage *stage = *state;
	const struct fault_plan none = {.at = 0};

	for (uint32_t i = 0; i < 4; i++)
		for (uint64_t n = 1;; n++) {
			const struct fault_plan plan = {.at = n,
							.kind = FAULT_RESULT,
							.error = errors[i],
							.submits_only = true};
			const size_t mark = mem_disk_mark(&stage->disk);
			struct outcome outcome;

			live(stage, &plan, &none, &outcome);
			mem_disk_lose(&stage->disk);
			mem_disk_rollback(&stage->disk, mark);
			if (!outcome.fired)
				break;
			assert_int_equal(outcome.fired, 1);
			assert_int_equal(outcome.error, -errors[i]);
			assert_false(outcome.whole);
		}
}

static void test_wal_nth__torn_and_refused_writes(void **state)
{
	const struct fault_plan torn = {.kind = FAULT_TORN, .error = EIO};
	const struct fault_plan refused = {.kind = FAULT_RETURN, .error = ENODEV};

	assert_true(every_nth(*state, IN_LOG, torn, false) > 50);
	assert_true(every_nth(*state, IN_LOG, refused, false) > 50);
}

/* An interrupted or short write, up to the number that is allowed: no log and no caller notices. */
static void test_wal_nth__interruptions_harm_nothing(void **state)
{
	static const struct fault_plan plans[] = {
		{.kind = FAULT_RESULT, .error = EINTR, .submits_only = true},
		{.kind = FAULT_RESULT, .error = EAGAIN, .submits_only = true, .times = 100},
		{.kind = FAULT_TORN, .error = ECANCELED, .submits_only = true, .times = 7},
		{.kind = FAULT_SHORT, .error = 512, .submits_only = true},
		{.kind = FAULT_SHORT, .error = 512, .submits_only = true, .times = 3},
	};

	for (uint32_t i = 0; i < sizeof(plans) / sizeof(plans[0]); i++)
		assert_true(every_nth(*state, IN_LOG, plans[i], true) > BLOCKS);
}

static void test_wal_nth__short_writes_for_good(void **state)
{
	const struct fault_plan plan = {
		.kind = FAULT_SHORT, .error = 512, .submits_only = true, .times = FOR_GOOD};

	assert_true(every_nth(*state, IN_LOG, plan, false) > BLOCKS);
}

/* Whatever the follower's disk does, the log does not suffer. */
static void test_wal_nth__a_followers_errors_stay_its_own(void **state)
{
	static const struct fault_plan plans[] = {
		{.kind = FAULT_RETURN, .error = EIO},
		{.kind = FAULT_RETURN, .error = ENOSPC, .times = FOR_GOOD},
		{.kind = FAULT_RETURN, .error = EINTR},
	};

	for (uint32_t i = 0; i < sizeof(plans) / sizeof(plans[0]); i++)
		assert_true(every_nth(*state, IN_FOLLOWER, plans[i], true) > 50);
}

#define with_stage(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_stage(test_wal_nth__each_error_once),
		with_stage(test_wal_nth__each_error_for_good),
		with_stage(test_wal_nth__a_failed_write_is_never_made_again),
		with_stage(test_wal_nth__torn_and_refused_writes),
		with_stage(test_wal_nth__interruptions_harm_nothing),
		with_stage(test_wal_nth__short_writes_for_good),
		with_stage(test_wal_nth__a_followers_errors_stay_its_own),
	};

	return cmocka_run_group_tests_name("wal_nth", tests, NULL, NULL);
}
