/* SPDX-License-Identifier: MIT */
/*
 * test_wal_failures.c - the table of failures, row by row, for a block and for the superblock of
 * a new snapshot: which results are made again and how often, which halt the log, and that a
 * halted log writes nothing more. Then reads that fail while a log is opened, once and for good.
 * The rows of io_uring_enter are test_wal_io_enter's, that of a hanging device is the engine's.
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

#include "tests/lib/fault_io.h"
#include "tests/lib/mem_io.h"
#include "tests/lib/wal_life.h"
#include "tests/lib/wal_repair.h"

#define RECORDS 20u

enum target { A_BLOCK, A_SUPERBLOCK, TARGETS };

struct stage {
	struct mem_disk disk;
	struct wal_life life;
	struct sluice_wal_io *io; /* of the log, faulty */
	size_t mark;
};

static int setup(void **state)
{
	struct stage *stage = calloc(1, sizeof(*stage));
	struct wal_fixture fixture;
	struct sluice_wal *wal = NULL;

	assert_non_null(stage);
	wal_life_make(&fixture, SLUICE_WAL_SEGMENT_BYTES_MIN);
	mem_disk_load(&stage->disk, fixture.dir);
	wal_fixture_remove(&fixture);
	assert_int_equal(sluice_wal_open_io(&wal, mem_disk_io(&stage->disk), NULL, NULL), 0);
	assert_int_equal(wal_life_recover(&stage->life, wal), 0);
	assert_int_equal(wal_life_start(&stage->life), 0);
	for (uint64_t i = 1; i <= 2; i++) {
		assert_true(wal_life_block(&stage->life, RECORDS) > 0);
		assert_int_equal(wal_life_settle(&stage->life), 0);
		wal_life_take_reports(&stage->life);
		assert_int_equal(wal_life_save(&stage->life, wal->io, i), 0);
		assert_int_equal(wal_life_name(&stage->life, i), 0);
	}
	assert_true(wal_life_block(&stage->life, RECORDS) > 0);
	assert_int_equal(wal_life_settle(&stage->life), 0);
	assert_int_equal(wal_life_close(&stage->life, false), 0);
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

/* A started log, in which a third snapshot waits to be offered. */
static void begin(struct stage *stage)
{
	struct sluice_wal *wal = NULL;

	stage->mark = mem_disk_mark(&stage->disk);
	assert_int_equal(fault_io_create(&stage->io, mem_disk_io(&stage->disk)), 0);
	assert_int_equal(sluice_wal_open_io(&wal, stage->io, NULL, NULL), 0);
	assert_int_equal(wal_life_recover(&stage->life, wal), 0);
	assert_int_equal(wal_life_start(&stage->life), 0);
	wal_life_take_reports(&stage->life);
	assert_int_equal(wal_life_save(&stage->life, stage->io, 3), 0);
}

/* The target's write meets the plan. What the log says in the end. */
static int strike(struct stage *stage, enum target target, struct fault_plan plan)
{
	int ret = 0;

	plan.at = 1;
	plan.submits_only = true;
	fault_io_plan(stage->io, &plan);
	if (target == A_SUPERBLOCK)
		ret = sluice_wal_offer(stage->life.wal, 3, &stage->life.diag);
	if (!ret)
		ret = wal_life_settle(&stage->life);
	if (!ret)
		ret = wal_life_block(&stage->life, 5);
	if (ret >= 0)
		ret = wal_life_settle(&stage->life);
	return ret < 0 ? ret : sluice_wal_error(stage->life.wal);
}

/* Another open finds at least what was durable. Then everything is as it was before. */
static void end(struct stage *stage, uint64_t durable, uint64_t named)
{
	struct wal_life life = {.wal = NULL};
	struct sluice_wal *wal = NULL;

	mem_disk_lose(&stage->disk);
	assert_int_equal(sluice_wal_open_io(&wal, mem_disk_io(&stage->disk), NULL, NULL), 0);
	assert_int_equal(wal_life_recover(&life, wal), 0);
	assert_true(life.cmd_seq >= durable);
	assert_true(sluice_wal_snapshot_named(wal) >= named);
	wal_life_close(&life, false);
	mem_disk_rollback(&stage->disk, stage->mark);
}

static void made_again(struct stage *stage, enum target target, struct fault_plan plan)
{
	struct sluice_wal_stats stats;
	uint64_t cmd_seq;

	begin(stage);
	assert_int_equal(strike(stage, target, plan), 0);
	sluice_wal_stats(stage->life.wal, &stats);
	assert_int_equal(stats.resubmits, plan.times);
	assert_int_equal(fault_io_fired(stage->io), plan.times);
	cmd_seq = stage->life.cmd_seq;
	assert_int_equal(sluice_wal_durable_cmd_seq(stage->life.wal), cmd_seq);
	assert_int_equal(sluice_wal_snapshot_named(stage->life.wal),
			 target == A_SUPERBLOCK ? 3 : 2);
	assert_int_equal(wal_life_close(&stage->life, true), 0);
	end(stage, cmd_seq, target == A_SUPERBLOCK ? 3 : 2);
}

/* Halted: the same error from everything, no write more, and what was durable stays so. */
static void halts(struct stage *stage, enum target target, struct fault_plan plan, int error)
{
	struct sluice_wal *wal;
	uint64_t writes, durable;
	uint32_t room;

	begin(stage);
	wal = stage->life.wal;
	assert_int_equal(strike(stage, target, plan), error);
	assert_int_equal(sluice_wal_error(wal), error);
	assert_non_null(
		strstr(sluice_wal_error_text(wal), target == A_BLOCK ? "block" : "superblock"));
	durable = sluice_wal_durable_cmd_seq(wal);
	writes = fault_io_writes_after(stage->io);
	assert_null(sluice_wal_reserve(wal, 0, 0, &room));
	assert_int_equal(sluice_wal_submit(wal), error);
	assert_int_equal(sluice_wal_seal(wal), error);
	assert_int_equal(sluice_wal_poll(wal), error);
	assert_int_equal(sluice_wal_wait(wal, 1000), error);
	assert_int_equal(sluice_wal_offer(wal, 3, &stage->life.diag), error);
	assert_int_equal(sluice_wal_snapshot(wal, stage->life.core, 1, 1, &stage->life.diag),
			 error);
	assert_int_equal(sluice_wal_durable_cmd_seq(wal), durable);
	assert_int_equal(sluice_wal_snapshot_named(wal), 2);
	assert_int_equal(fault_io_writes_after(stage->io), writes);
	assert_int_equal(wal_life_close(&stage->life, true), error);
	assert_non_null(strstr(stage->life.diag.text, "halted"));
	end(stage, durable, 2);
}

static void test_wal_failures__short_writes_up_to_three_are_made_again(void **state)
{
	for (enum target target = A_BLOCK; target < TARGETS; target++)
		for (uint64_t times = 1; times <= 3; times += 2) {
			made_again(*state, target,
				   (struct fault_plan){
					   .kind = FAULT_SHORT, .error = 512, .times = times});
			made_again(*state, target,
				   (struct fault_plan){
					   .kind = FAULT_SHORT, .error = 3584, .times = times});
		}
}

static void test_wal_failures__a_fourth_short_write_halts(void **state)
{
	const struct fault_plan four = {.kind = FAULT_SHORT, .error = 512, .times = 4};
	const struct fault_plan nothing = {.kind = FAULT_SHORT, .error = 0, .times = 1};

	for (enum target target = A_BLOCK; target < TARGETS; target++) {
		halts(*state, target, four, -EIO);
		halts(*state, target, nothing, -EIO);
	}
}

static void test_wal_failures__a_hundred_interruptions_and_no_more(void **state)
{
	static const int errors[] = {EINTR, EAGAIN, ECANCELED};

	for (enum target target = A_BLOCK; target < TARGETS; target++)
		for (uint32_t i = 0; i < 3; i++) {
			struct fault_plan plan = {
				.kind = FAULT_RESULT, .error = errors[i], .times = 100};

			made_again(*state, target, plan);
			plan.times = 101;
			halts(*state, target, plan, -errors[i]);
		}
}

static void test_wal_failures__any_other_result_halts(void **state)
{
	static const int errors[] = {EIO,   ENOSPC, EDQUOT, EROFS,  EFBIG,    ENODEV,
				     EPERM, EINVAL, ENXIO,  EFAULT, ETIMEDOUT};

	for (enum target target = A_BLOCK; target < TARGETS; target++)
		for (uint32_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
			struct fault_plan plan = {.kind = FAULT_RESULT, .error = errors[i]};

			halts(*state, target, plan, -errors[i]);
			plan.kind = FAULT_TORN;
			halts(*state, target, plan, -errors[i]);
			plan.kind = FAULT_RETURN; /* not even taken */
			halts(*state, target, plan, -errors[i]);
		}
}

/* ------------------------------------------------------------------------- reads of recovery */

/* Open and recover with the n-th operation of the disk failing; 0 or the error, and who said it. */
static int recover_with(struct stage *stage, const struct fault_plan *plan, uint64_t *ret_fired)
{
	struct wal_life life = {.wal = NULL};
	struct sluice_wal *wal = NULL;
	struct sluice_wal_io *io;
	struct fault_plan counted = *plan;
	int ret;

	*ret_fired = 0;
	counted.fired = ret_fired;
	stage->life.diag = (struct sluice_diag){"", ""};
	assert_int_equal(fault_io_create(&io, mem_disk_io(&stage->disk)), 0);
	fault_io_plan(io, &counted);
	ret = sluice_wal_open_io(&wal, io, NULL, &stage->life.diag);
	if (ret)
		return ret;
	ret = wal_life_recover(&life, wal);
	assert_null(life.wrong);
	if (!ret)
		assert_int_equal(life.cmd_seq, 3 * RECORDS);
	if (ret)
		stage->life.diag = life.diag;
	wal_life_close(&life, false);
	return ret;
}

static void test_wal_failures__a_read_that_fails_once_costs_one_try(void **state)
{
	struct stage *stage = *state;
	uint64_t fired = 1, refused = 0;

	for (uint64_t n = 1; fired; n++) {
		const struct fault_plan plan = {.at = n, .kind = FAULT_RETURN, .error = EIO};
		const struct fault_plan none = {.at = 0};
		uint64_t unused;
		int ret = recover_with(stage, &plan, &fired);

		/* either the snapshot before serves as well, or the error is said as it is */
		if (ret) {
			assert_int_equal(ret, -EIO);
			assert_true(fired && stage->life.diag.text[0]);
			refused++;
		}
		assert_int_equal(recover_with(stage, &none, &unused), 0);
	}
	assert_true(refused > 20);
}

/* What cannot be read is no torn tail: nothing is cut, whatever else can be read. */
static void test_wal_failures__a_place_that_cannot_be_read_is_no_end(void **state)
{
	struct stage *stage = *state;
	uint64_t fired = 1;
	bool said_where = false;

	for (uint64_t n = 1; fired; n++) {
		const struct fault_plan plan = {
			.at = n, .kind = FAULT_RETURN, .error = EIO, .times = UINT64_MAX};
		int ret = recover_with(stage, &plan, &fired);

		if (!fired)
			assert_int_equal(ret, 0);
		else
			assert_true(ret == -EIO || ret == -EBADMSG);
		said_where = said_where || (strstr(stage->life.diag.text, "wal-00") &&
					    strstr(stage->life.diag.text, "offset"));
	}
	assert_true(said_where);
}

/* ------------------------------------------------------------------ a last block that cannot be */

/* Its checksums are right, and it speaks of reports that nobody ever had. */
static void test_wal_failures__a_seal_that_promises_reports_is_refused(void **state)
{
	struct stage *stage = *state;
	struct sluice_wal_block_header seal;
	struct wal_life life = {.wal = NULL};
	struct sluice_wal_chain chain;
	struct sluice_wal *wal = NULL;
	unsigned char *block;
	uint32_t file;
	uint32_t epoch;

	begin(stage);
	assert_int_equal(wal_life_block(&stage->life, 5), 5);
	assert_int_equal(wal_life_settle(&stage->life), 0);
	chain = stage->life.wal->chain;
	assert_int_equal(sluice_wal_seal(stage->life.wal), 0);
	assert_int_equal(wal_life_settle(&stage->life), 0);
	wal_life_close(&stage->life, false);
	file = (uint32_t)(chain.segment_no % SLUICE_WAL_SEGMENTS);
	block = stage->disk.files[file] + chain.offset;
	memcpy(&seal, block, sizeof(seal));
	assert_int_equal(seal.flags & SLUICE_WAL_SEAL, SLUICE_WAL_SEAL);
	seal.reports_taken = 1ull << 62;
	seal.header_crc = sluice_wal_header_checksum(&seal);
	mem_disk_put(&stage->disk, file, chain.offset, &seal, sizeof(seal));
	assert_int_equal(sluice_wal_open_io(&wal, mem_disk_io(&stage->disk), NULL, NULL), 0);
	assert_int_equal(wal_life_recover(&life, wal), 0);
	epoch = wal->super.epoch;
	assert_int_equal(wal_life_start(&life), -EBADMSG);
	assert_non_null(strstr(life.diag.text, "reports below"));
	assert_int_equal(wal->super.epoch, epoch); /* and wrote nothing */
	wal_life_close(&life, false);
	mem_disk_rollback(&stage->disk, stage->mark);
}

#define with_stage(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_stage(test_wal_failures__short_writes_up_to_three_are_made_again),
		with_stage(test_wal_failures__a_fourth_short_write_halts),
		with_stage(test_wal_failures__a_hundred_interruptions_and_no_more),
		with_stage(test_wal_failures__any_other_result_halts),
		with_stage(test_wal_failures__a_read_that_fails_once_costs_one_try),
		with_stage(test_wal_failures__a_place_that_cannot_be_read_is_no_end),
		with_stage(test_wal_failures__a_seal_that_promises_reports_is_refused),
	};

	return cmocka_run_group_tests_name("wal_failures", tests, NULL, NULL);
}
