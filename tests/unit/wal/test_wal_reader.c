/* SPDX-License-Identifier: MIT */
/*
 * test_wal_reader.c - a reader beside a live writer: sees every block once, takes no lock, and
 * never calls a log damaged that is merely being written.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/wal/reader.h"
#include "tests/lib/wal_fixture.h"

/* Reads what there is; checks numbers and bytes. Returns the blocks read. */
static uint32_t follow(struct sluice_wal_reader *reader, uint64_t *next_block, uint64_t *next_cmd)
{
	const struct sluice_wal_block_header *header;
	const struct sluice_command *commands;
	uint32_t n = 0, segment_no;
	uint64_t offset;
	int ret;

	while ((ret = sluice_wal_reader_next(reader, &header, &commands, &segment_no, &offset)) ==
	       1) {
		assert_int_equal(header->block_seq, *next_block);
		assert_int_equal(header->first_cmd_seq, *next_cmd);
		assert_int_equal(header->segment_no, segment_no);
		for (uint32_t i = 0; i < header->n_cmds; i++) {
			struct sluice_command want;

			wal_fixture_command(*next_cmd + i, &want);
			assert_memory_equal(&want, &commands[i], sizeof(want));
		}
		(*next_block)++;
		*next_cmd += header->n_cmds;
		n++;
	}
	assert_int_equal(ret, 0);
	return n;
}

static void test_wal_reader__follows_a_live_log_block_by_block(void **state)
{
	struct wal_fixture *fixture = *state;
	struct sluice_wal_reader *reader = NULL;
	uint64_t next_block = 0, next_cmd = 0;
	struct sluice_wal *wal;

	assert_int_equal(sluice_wal_reader_open(&reader, fixture->dir, NULL), 0);
	assert_int_equal(follow(reader, &next_block, &next_cmd), 0);
	wal = wal_fixture_start(fixture);
	assert_int_equal(follow(reader, &next_block, &next_cmd), 1);
	for (uint32_t i = 0; i < 40; i++) {
		assert_int_equal(wal_fixture_block(wal, 1 + i * 20), 0);
		assert_int_equal(wal_fixture_settle(wal), 0);
		assert_true(follow(reader, &next_block, &next_cmd) >= 1);
		assert_int_equal(next_cmd, sluice_wal_durable_cmd_seq(wal));
	}
	assert_int_equal(sluice_wal_close(wal, true, NULL), 0);
	assert_int_equal(follow(reader, &next_block, &next_cmd), 1);
	sluice_wal_reader_close(reader);
}

static void write_for_ever(struct wal_fixture *fixture)
{
	struct sluice_wal *wal = NULL;
	uint64_t seed = 77;

	fixture->options.window = SLUICE_WAL_WINDOW_MAX;
	fixture->options.backend = SLUICE_WAL_BACKEND_AUTO;
	if (wal_fixture_open(fixture, &wal) || wal_fixture_start_wal(fixture, wal))
		_exit(2);
	while (!wal_fixture_block(wal, 1 + (uint32_t)(wal_fixture_random(&seed) % 30)) &&
	       sluice_wal_wait(wal, 1000000) >= 0)
		;
	_exit(sluice_wal_full(wal) ? 0 : 3);
}

static void test_wal_reader__never_sees_damage_in_a_log_that_is_being_written(void **state)
{
	struct wal_fixture *fixture = *state;
	struct sluice_wal_reader *reader = NULL;
	uint64_t next_block = 0, next_cmd = 0;
	int status = 0;
	pid_t pid;

	assert_int_equal(sluice_wal_reader_open(&reader, fixture->dir, NULL), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		write_for_ever(fixture);
	for (int i = 0; i < 60; i++) {
		struct sluice_wal_report report;

		follow(reader, &next_block, &next_cmd);
		assert_int_equal(sluice_wal_reader_verdict(reader, &report), 0);
		if (report.verdict == SLUICE_WAL_DAMAGED)
			print_message("%s\n", report.text);
		assert_int_not_equal(report.verdict, SLUICE_WAL_DAMAGED);
		assert_int_equal(report.block_seq, next_block);
	}
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_false(WIFEXITED(status) && WEXITSTATUS(status) != 0);
	assert_true(next_block > 10);
	follow(reader, &next_block, &next_cmd);
	sluice_wal_reader_close(reader);
	assert_true(wal_fixture_count(fixture, NULL) >= (int64_t)next_cmd);
}

static void test_wal_reader__does_not_keep_an_engine_out(void **state)
{
	struct wal_fixture *fixture = *state;
	struct sluice_wal_reader *reader = NULL;

	fixture->options.lock_wait_ms = 1;
	assert_int_equal(sluice_wal_reader_open(&reader, fixture->dir, NULL), 0);
	assert_int_equal(wal_fixture_count(fixture, NULL), 0);
	assert_int_equal(sluice_wal_reader_super(reader)->segment_bytes, WAL_FIXTURE_SEGMENT_BYTES);
	sluice_wal_reader_close(reader);
}

static void test_wal_reader__reports_what_it_read(void **state)
{
	struct wal_fixture *fixture = *state;
	struct sluice_wal_reader *reader = NULL;
	uint64_t next_block = 0, next_cmd = 0;
	struct sluice_wal_report report;
	struct sluice_wal *wal = wal_fixture_start(fixture);

	for (int i = 0; i < 5; i++)
		assert_int_equal(wal_fixture_block(wal, SLUICE_WAL_RECORDS_MAX), 0);
	assert_int_equal(sluice_wal_close(wal, true, NULL), 0);
	assert_int_equal(sluice_wal_reader_open(&reader, fixture->dir, NULL), 0);
	assert_int_equal(follow(reader, &next_block, &next_cmd),
			 8); /* one was split by the segment's end */
	assert_int_equal(sluice_wal_reader_verdict(reader, &report), 0);
	assert_int_equal(report.verdict, SLUICE_WAL_INTACT);
	assert_int_equal(report.commands, 5 * SLUICE_WAL_RECORDS_MAX);
	assert_int_equal(report.blocks, 8);
	assert_int_equal(report.segment_no, 1);
	assert_string_equal(report.file, "wal-01");
	sluice_wal_reader_close(reader);
}

#define with_log(test)                                                                             \
	cmocka_unit_test_setup_teardown(test, wal_fixture_setup, wal_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_log(test_wal_reader__follows_a_live_log_block_by_block),
		with_log(test_wal_reader__never_sees_damage_in_a_log_that_is_being_written),
		with_log(test_wal_reader__does_not_keep_an_engine_out),
		with_log(test_wal_reader__reports_what_it_read),
	};

	return cmocka_run_group_tests_name("wal_reader", tests, NULL, NULL);
}
