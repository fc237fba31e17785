/* SPDX-License-Identifier: MIT */
/*
 * test_wal_device.c - a device that never completes, completes twice, or completes what it was not
 * given, and one that fails at the worst moments: a full block in reserve, the last blocks of a
 * clean end. The log halts, says why, does not hang, and opens again with what was acknowledged.
 * Over a disk in memory, with blocks of 8 KiB and segments of 16 KiB (tests/unit/rules.mk).
 */
#include "tests/unit/wal/damage_stage.h"

#include "tests/lib/fault_io.h"

static struct damage_stage stage;
static struct wal_life life;
static struct sluice_wal_io *io; /* the log's, faulty */
static struct sluice_diag diag;

/* A log in its first round, started; the disk is faulty on request from now on. */
static int setup(void **state)
{
	const struct fault_plan none = {.at = 0};
	struct sluice_wal *wal = NULL;

	(void)state;
	damage_make(&stage, DAMAGE_PAYLOAD);
	damage_block(&stage, stage.k)[200] ^= 8; /* mended */
	assert_int_equal(fault_io_create(&io, mem_disk_io(&stage.disk)), 0);
	fault_io_plan(io, &none);
	assert_int_equal(sluice_wal_open_io(&wal, io, NULL, &diag), 0);
	assert_int_equal(wal_life_recover(&life, wal), 0);
	assert_int_equal(wal_life_start(&life), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	wal_life_close(&life, false);
	damage_release(&stage);
	return 0;
}

static struct sluice_command *reserve(uint32_t *ret_room)
{
	return sluice_wal_reserve(life.wal, sluice_core_chain_hash(life.core),
				  life.sink.report_next, ret_room);
}

static void fail_submit(uint64_t nth)
{
	const struct fault_plan plan = {.at = nth, .error = EIO, .submits_only = true};

	fault_io_plan(io, &plan);
}

/* Nothing that was acknowledged is missing. */
static void assert_recovers(uint64_t cmd_seq)
{
	struct sluice_wal *wal = NULL;

	mem_disk_lose(&stage.disk);
	assert_int_equal(sluice_wal_open_io(&wal, mem_disk_io(&stage.disk), NULL, &diag), 0);
	assert_int_equal(wal_life_recover(&life, wal), 0);
	assert_true(life.cmd_seq >= cmd_seq);
	io = NULL;
}

static void test_wal_device__never_completes(void **state)
{
	const uint64_t durable = life.cmd_seq;

	(void)state;
	fault_io_hold(io, true);
	assert_true(wal_life_block(&life, 5) > 0);
	fail_submit(1);
	assert_int_equal(wal_life_block(&life, 5), -EIO);
	assert_int_equal(sluice_wal_in_flight(life.wal), 2);
	assert_int_equal(wal_life_close(&life, true), -EIO); /* and comes back */
	assert_non_null(strstr(life.diag.text, "cannot be submitted"));
	assert_recovers(durable);
}

static void test_wal_device__completes_what_it_was_not_given(void **state)
{
	const uint64_t durable = life.cmd_seq;
	const uint64_t block_seq = life.wal->chain.block_seq;

	(void)state;
	fault_io_hold(io, true);
	assert_true(wal_life_block(&life, 5) > 0);
	fail_submit(1);
	assert_int_equal(wal_life_block(&life, 5), -EIO);
	for (uint64_t i = 0; i < 5; i++) /* one is on its way */
		fault_io_forge(io, block_seq + i, 4096);
	assert_int_equal(wal_life_close(&life, false), -EIO);
	assert_recovers(durable);
}

static void test_wal_device__completes_twice(void **state)
{
	const uint64_t second = life.wal->chain.block_seq + 1;

	(void)state;
	fault_io_hold(io, true);
	assert_true(wal_life_block(&life, 5) > 0 && wal_life_block(&life, 5) > 0);
	fault_io_release(io, second);
	assert_int_equal(sluice_wal_poll(life.wal), 0); /* done, and not durable yet */
	fault_io_forge(io, second, 4096);
	assert_int_equal(sluice_wal_poll(life.wal), -EIO);
	assert_non_null(strstr(sluice_wal_error_text(life.wal), "which is not in flight"));
	assert_non_null(strstr(sluice_wal_error_text(life.wal), "the log is halted"));
}

static void test_wal_device__does_not_take_a_full_block(void **state)
{
	const uint64_t before = life.cmd_seq;
	uint32_t room = 0;

	(void)state;
	assert_non_null(reserve(&room));
	for (uint32_t i = 0; i < room; i++) {
		uint32_t left;

		wal_life_command(before + i, reserve(&left));
		assert_int_equal(left, room - i);
		sluice_wal_append(life.wal, 1);
	}
	assert_int_equal(sluice_wal_pending_bytes(life.wal), room * SLUICE_WAL_RECORD_BYTES);
	fail_submit(1);
	assert_null(reserve(&room));
	assert_int_equal(sluice_wal_error(life.wal), -EIO);
	assert_int_equal(wal_life_close(&life, false), -EIO);
	assert_recovers(before);
	assert_int_equal(life.cmd_seq, before);
}

/* Of a clean end: the pending block, CLOSE. Neither is acknowledged, and there is no mark. */
static void test_wal_device__fails_at_a_clean_end(void **state)
{
	(void)state;
	for (uint64_t nth = 1; nth <= 2; nth++) {
		const uint64_t before = life.cmd_seq;
		struct sluice_wal_position position;
		uint32_t room = 0;

		wal_life_command(before, reserve(&room));
		sluice_wal_append(life.wal, 1);
		fail_submit(nth);
		assert_int_equal(wal_life_close(&life, true), -EIO);
		assert_recovers(before);
		assert_int_equal(life.cmd_seq, before + (nth > 1));
		sluice_wal_position(life.wal, &position);
		assert_false(position.closed);
		wal_life_close(&life, false);
		teardown(NULL);
		setup(NULL);
	}
}

/* Full, and used up by starts: what is kept back is for OPEN and CLOSE, not for witnesses. */
static void test_wal_device__is_full_and_gets_no_more_seals(void **state)
{
	uint64_t end;

	(void)state;
	wal_life_take_reports(&life);
	while (wal_life_block(&life, DAMAGE_RECORDS) > 0)
		assert_int_equal(wal_life_settle(&life), 0);
	assert_true(sluice_wal_full(life.wal));
	while (sluice_wal_left_bytes(life.wal) > SLUICE_WAL_RESERVE_BYTES / 2) {
		struct sluice_wal *wal = NULL;

		assert_int_equal(wal_life_close(&life, false), 0);
		assert_int_equal(sluice_wal_open_io(&wal, mem_disk_io(&stage.disk), NULL, &diag),
				 0);
		assert_int_equal(wal_life_recover(&life, wal), 0);
		assert_int_equal(wal_life_start(&life), 0);
	}
	wal_life_take_reports(&life);
	assert_int_equal(wal_life_save(&life, life.wal->io, 1), 0);
	assert_int_equal(wal_life_name(&life, 1), 0);
	end = life.wal->chain.block_seq;
	assert_int_equal(sluice_wal_seal(life.wal), 0);
	assert_int_equal(life.wal->chain.block_seq, end);
	assert_int_equal(wal_life_close(&life, true), 0); /* CLOSE has its place */
	assert_recovers(0);
	assert_int_equal(life.wal->chain.block_seq, end + 1);
	assert_true(life.wal->position.closed);
}

/* Starts and their ends use up the last page: then there is no CLOSE, and a mark all the same. */
static void test_wal_device__ends_cleanly_without_any_room(void **state)
{
	(void)state;
	wal_life_take_reports(&life);
	while (wal_life_block(&life, DAMAGE_RECORDS) > 0)
		assert_int_equal(wal_life_settle(&life), 0);
	while (!sluice_wal_chain_at_end(&life.wal->chain)) {
		struct sluice_wal *wal = NULL;

		assert_int_equal(wal_life_close(&life, false), 0);
		assert_int_equal(sluice_wal_open_io(&wal, mem_disk_io(&stage.disk), NULL, &diag),
				 0);
		assert_int_equal(wal_life_recover(&life, wal), 0);
		assert_int_equal(wal_life_start(&life), 0);
	}
	assert_int_equal(wal_life_close(&life, true), 0);
	assert_recovers(0);
	assert_true(sluice_wal_chain_at_end(&life.wal->chain));
	assert_false(life.wal->chain.flags & SLUICE_WAL_CLOSE);
	assert_true(life.wal->position.closed);
	assert_string_equal(sluice_wal_tail_text(life.wal), "");
}

#define with_log(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_log(test_wal_device__never_completes),
		with_log(test_wal_device__completes_what_it_was_not_given),
		with_log(test_wal_device__completes_twice),
		with_log(test_wal_device__does_not_take_a_full_block),
		with_log(test_wal_device__fails_at_a_clean_end),
		with_log(test_wal_device__is_full_and_gets_no_more_seals),
		with_log(test_wal_device__ends_cleanly_without_any_room),
	};

	return cmocka_run_group_tests_name("wal_device", tests, NULL, NULL);
}
