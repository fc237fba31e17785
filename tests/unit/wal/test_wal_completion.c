/* SPDX-License-Identifier: MIT */
/*
 * test_wal_completion.c - every row of the table of results: whole, short, interrupted, failed,
 * late, forged. On a real directory, with a disk that fails on request.
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

#include "engine/wal/wal_scan.h"
#include "tests/lib/wal_fixture.h"

#define WINDOW 4u

static void test_wal_completion__short_and_interrupted_writes_are_made_again(void **state)
{
	static const struct fault_plan plans[] = {
		{.at = 2, .times = 3, .kind = FAULT_SHORT, .error = 512},
		{.at = 2, .times = 1, .kind = FAULT_SHORT, .error = 4096},
		{.at = 2, .times = 3, .kind = FAULT_SHORT, .error = 7680},
		{.at = 2, .times = 100, .kind = FAULT_RESULT, .error = EINTR},
		{.at = 2, .times = 60, .kind = FAULT_TORN, .error = EAGAIN},
	};

	(void)state;
	for (uint32_t i = 0; i < sizeof(plans) / sizeof(plans[0]); i++) {
		struct fault_plan plan = plans[i];
		struct sluice_wal_stats stats;
		struct wal_fixture fixture;
		struct sluice_wal_io *io;
		struct sluice_wal *wal;

		wal_fixture_make(&fixture);
		assert_int_equal(wal_fixture_open_faulty(&fixture, &wal, &io, NULL), 0);
		assert_int_equal(wal_fixture_start_wal(&fixture, wal), 0);
		plan.submits_only = true;
		fault_io_plan(io, &plan);
		assert_int_equal(wal_fixture_block(wal, 60), 0);
		assert_int_equal(wal_fixture_settle(wal), 0);
		assert_int_equal(wal_fixture_block(wal, 60), 0);
		assert_int_equal(wal_fixture_settle(wal), 0);
		assert_int_equal(fault_io_fired(io), plans[i].times);
		sluice_wal_stats(wal, &stats);
		assert_int_equal(stats.resubmits, plans[i].times);
		assert_int_equal(sluice_wal_close(wal, true, NULL), 0);
		assert_int_equal(wal_fixture_count(&fixture, NULL), 120);
		wal_fixture_remove(&fixture);
	}
}

static void test_wal_completion__any_other_result_halts_for_good(void **state)
{
	static const struct {
		struct fault_plan plan;
		int error;
	} rows[] = {
		{{.at = 2, .times = 4, .kind = FAULT_SHORT, .error = 512},	   -EIO   },
		{{.at = 2, .times = 101, .kind = FAULT_RESULT, .error = EINTR}, -EINTR },
		{{.at = 2, .kind = FAULT_SHORT, .error = 0},		     -EIO	 },
		{{.at = 2, .kind = FAULT_SHORT, .error = 1 << 20},		   -EIO   },
		{{.at = 2, .kind = FAULT_RESULT, .error = EIO},			-EIO   },
		{{.at = 2, .kind = FAULT_TORN, .error = ENOSPC},		 -ENOSPC},
		{{.at = 2, .kind = FAULT_RESULT, .error = EROFS},		  -EROFS },
		{{.at = 2, .kind = FAULT_RETURN, .error = ENODEV},		   -ENODEV},
		{{.at = 2, .kind = FAULT_RETURN, .error = EINTR},		  -EINTR },
	};

	(void)state;
	for (uint32_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fault_plan plan = rows[i].plan;
		struct wal_fixture fixture;
		struct sluice_wal_io *io;
		struct sluice_wal *wal;
		uint32_t room;

		plan.submits_only = true;
		wal_fixture_make(&fixture);
		assert_int_equal(wal_fixture_open_faulty(&fixture, &wal, &io, NULL), 0);
		assert_int_equal(wal_fixture_start_wal(&fixture, wal), 0);
		fault_io_plan(io, &plan);
		assert_int_equal(wal_fixture_block(wal, 5), 0);
		assert_int_equal(wal_fixture_settle(wal), 0);
		wal_fixture_block(wal, 60);
		assert_int_equal(wal_fixture_settle(wal), rows[i].error);
		assert_int_equal(sluice_wal_durable_cmd_seq(wal), 5);
		assert_int_equal(sluice_wal_error(wal), rows[i].error);
		assert_non_null(strstr(sluice_wal_error_text(wal), "block 2 "));
		assert_non_null(strstr(sluice_wal_error_text(wal), "wal-00 offset 8192"));

		/* Halted: the same error from everything, and not one write more. */
		assert_null(sluice_wal_reserve(wal, 0, 0, &room));
		assert_int_equal(sluice_wal_submit(wal), rows[i].error);
		assert_int_equal(sluice_wal_seal(wal), rows[i].error);
		assert_int_equal(sluice_wal_poll(wal), rows[i].error);
		assert_int_equal(sluice_wal_wait(wal, 1000), rows[i].error);
		assert_int_equal(sluice_wal_close(wal, true, &fixture.diag), rows[i].error);
		assert_non_null(strstr(fixture.diag.text, "halted"));
		assert_in_range(wal_fixture_count(&fixture, NULL), 5, 65);
		wal_fixture_remove(&fixture);
	}
}

static void test_wal_completion__an_error_freezes_what_is_behind_it(void **state)
{
	struct wal_fixture *fixture = *state;
	struct fault_plan plan = {
		.at = 2, .error = EIO, .kind = FAULT_RESULT, .submits_only = true};
	struct sluice_wal_io *io;
	struct sluice_wal *wal;
	uint64_t writes;

	assert_int_equal(wal_fixture_open_faulty(fixture, &wal, &io, NULL), 0);
	assert_int_equal(wal_fixture_start_wal(fixture, wal), 0);
	fault_io_hold(io, true);
	fault_io_plan(io, &plan);
	for (uint32_t i = 0; i < WINDOW; i++)
		assert_int_equal(wal_fixture_block(wal, 3), 0);
	assert_true(wal_fixture_append(wal, 1) == false);
	/* Block 2 of 1..4 failed; the others succeed, the one before it last. */
	for (uint64_t tag = 4; tag >= 1; tag--)
		fault_io_release(io, tag);
	writes = fault_io_writes_after(io);
	assert_int_equal(sluice_wal_poll(wal), -EIO);
	assert_int_equal(sluice_wal_durable_cmd_seq(wal), 0);
	assert_int_equal(sluice_wal_submit(wal), -EIO);
	assert_int_equal(fault_io_writes_after(io), writes);
	assert_int_equal(sluice_wal_close(wal, true, NULL), -EIO);
	assert_int_equal(wal_fixture_count(fixture, NULL), 3);
}

static void test_wal_completion__a_completion_of_nothing_halts(void **state)
{
	struct wal_fixture *fixture = *state;
	struct sluice_wal_io *io;
	struct sluice_wal *wal;

	assert_int_equal(wal_fixture_open_faulty(fixture, &wal, &io, NULL), 0);
	assert_int_equal(wal_fixture_start_wal(fixture, wal), 0);
	fault_io_hold(io, true);
	assert_int_equal(wal_fixture_block(wal, 3), 0);
	fault_io_forge(io, 2, 4096);
	assert_int_equal(sluice_wal_poll(wal), -EIO);
	assert_int_equal(sluice_wal_durable_cmd_seq(wal), 0);
	fault_io_hold(io, false);
	assert_int_equal(sluice_wal_close(wal, true, NULL), -EIO);
}

#define with_log(test)                                                                             \
	cmocka_unit_test_setup_teardown(test, wal_fixture_setup, wal_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wal_completion__short_and_interrupted_writes_are_made_again),
		cmocka_unit_test(test_wal_completion__any_other_result_halts_for_good),
		with_log(test_wal_completion__an_error_freezes_what_is_behind_it),
		with_log(test_wal_completion__a_completion_of_nothing_halts),
	};

	return cmocka_run_group_tests_name("wal_completion", tests, NULL, NULL);
}
