/* SPDX-License-Identifier: MIT */
/*
 * test_wal_crash.c - an error at every single operation of a log's life, and real SIGKILLs; the
 * same with a core, snapshots and flips, the errors then over a disk in memory. The
 * oath each time: what was reported durable is there, in order, and nothing else is.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/mem_io.h"
#include "tests/lib/wal_fixture.h"
#include "tests/lib/wal_life.h"

/* Nothing that was durable is missing, and the log goes on from there. */
static int64_t still_a_log(struct wal_fixture *fixture, uint64_t durable)
{
	struct sluice_wal *wal = NULL;
	int64_t count;

	assert_int_equal(wal_fixture_open(fixture, &wal), 0);
	count = wal_fixture_replay(wal, NULL);
	assert_true(count >= (int64_t)durable);
	assert_int_equal(sluice_wal_next_cmd_seq(wal), count);
	assert_int_equal(wal_fixture_start_wal(fixture, wal), 0);
	assert_int_equal(wal_fixture_block(wal, 7), 0);
	assert_int_equal(wal_fixture_settle(wal), 0);
	assert_int_equal(sluice_wal_close(wal, true, NULL), 0);
	return count;
}

/* A whole life over a disk with one fault. Returns whether the fault struck. */
static bool life_with_fault(struct wal_fixture *fixture, const struct fault_plan *plan,
			    uint64_t *ret_durable)
{
	struct sluice_wal_io *io;
	struct sluice_wal *wal;
	uint64_t durable = 50, fired;
	int ret = wal_fixture_open_faulty(fixture, &wal, &io, plan);

	*ret_durable = durable;
	if (ret)
		return true; /* nothing else fails here */
	ret = (int)(wal_fixture_replay(wal, NULL) < 0) * -EIO;
	if (!ret)
		ret = wal_fixture_start_wal(fixture, wal);
	for (uint32_t i = 0; !ret && i < 6; i++) {
		ret = wal_fixture_block(wal, 10 + i * 30);
		if (!ret && i % 2)
			ret = wal_fixture_settle(wal);
	}
	if (!ret)
		ret = wal_fixture_settle(wal);
	if (!ret)
		ret = sluice_wal_seal(wal);
	if (!ret)
		ret = wal_fixture_settle(wal);
	durable = sluice_wal_durable_cmd_seq(wal);
	fired = fault_io_fired(io);
	if (sluice_wal_error(wal)) {
		uint64_t writes = fault_io_writes_after(io);

		assert_true(fired > 0);
		assert_int_equal(sluice_wal_submit(wal), sluice_wal_error(wal));
		assert_int_equal(sluice_wal_seal(wal), sluice_wal_error(wal));
		assert_int_equal(sluice_wal_poll(wal), sluice_wal_error(wal));
		assert_int_equal(sluice_wal_durable_cmd_seq(wal), durable);
		assert_int_equal(fault_io_writes_after(io), writes);
	}
	if (sluice_wal_close(wal, true, NULL) == 0)
		assert_true(ret || !fired);
	else
		fired = 1;
	*ret_durable = durable;
	return fired || ret;
}

/* The disk fails each operation of a life in turn, until a life passes untouched. */
static void every_operation_fails_once(enum fault_kind kind, int error)
{
	struct wal_fixture fixture;
	struct sluice_wal *wal;
	bool struck = true;
	uint64_t at;

	wal_fixture_make(&fixture);
	wal = wal_fixture_start(&fixture);
	assert_int_equal(wal_fixture_block(wal, 50), 0);
	assert_int_equal(wal_fixture_settle(wal), 0);
	assert_int_equal(sluice_wal_close(wal, false, NULL), 0);
	wal_fixture_save(&fixture, 1);
	for (at = 1; struck; at++) {
		struct fault_plan plan = {.at = at, .kind = kind, .error = error};
		uint64_t durable = 0;
		int64_t count;

		assert_true(at < 300);
		wal_fixture_restore(&fixture);
		struck = life_with_fault(&fixture, &plan, &durable);
		count = still_a_log(&fixture, durable);
		if (!struck)
			assert_int_equal(count, 50 + 10 + 40 + 70 + 100 + 130 + 160);
	}
	assert_true(at > 60);
	wal_fixture_remove(&fixture);
}

static void test_wal_crash__eio_at_every_operation(void **state)
{
	(void)state;
	every_operation_fails_once(FAULT_RETURN, EIO);
}

static void test_wal_crash__enospc_result_of_every_operation(void **state)
{
	(void)state;
	every_operation_fails_once(FAULT_RESULT, ENOSPC);
}

static void test_wal_crash__torn_and_eio_at_every_operation(void **state)
{
	(void)state;
	every_operation_fails_once(FAULT_TORN, EIO);
}

/* ------------------------------------------------------- the same with snapshots and a core */

/* Everything is executed again, comes out the same, and goes on, also with another snapshot. */
static uint64_t still_the_same(struct wal_fixture *fixture, struct mem_disk *disk, uint64_t durable)
{
	struct sluice_wal_position position;
	struct sluice_wal *wal = NULL;
	struct wal_life life;
	uint64_t cmd_seq, named;

	assert_int_equal(sluice_wal_open_io(&wal, mem_disk_io(disk), &fixture->options, NULL), 0);
	assert_int_equal(wal_life_recover(&life, wal), 0);
	sluice_wal_position(wal, &position);
	cmd_seq = life.cmd_seq;
	assert_true(cmd_seq >= durable);
	assert_int_equal(sluice_core_state_hash(life.core),
			 wal_life_expect(&position.core, cmd_seq));
	assert_int_equal(wal_life_start(&life), 0);
	assert_true(wal_life_block(&life, 3) > 0);
	assert_int_equal(wal_life_settle(&life), 0);
	wal_life_take_reports(&life);
	named = sluice_wal_snapshot_named(wal);
	assert_int_equal(position.snapshot, named);
	assert_int_equal(wal_life_save(&life, wal->io, named + 1), 0);
	assert_int_equal(wal_life_name(&life, named + 1), 0);
	assert_int_equal(wal_life_close(&life, true), 0);
	return cmd_seq;
}

static int write_and_name(struct wal_life *life, uint64_t sequence)
{
	int ret = wal_life_save(life, life->wal->io, sequence);

	if (!ret)
		ret = wal_life_block(life, 20);
	if (ret >= 0)
		ret = wal_life_settle(life);
	wal_life_take_reports(life);
	if (!ret)
		ret = sluice_wal_offer(life->wal, sequence, &life->diag);
	for (int i = 0; ret >= 0 && i < 2; i++)
		ret = wal_life_block(life, 10); /* beside the superblock */
	return ret < 0 ? ret : wal_life_settle(life);
}

/* From a start to a clean end with a last snapshot. Returns whether the fault struck. */
static bool snapshots_with_fault(struct wal_fixture *fixture, struct mem_disk *disk,
				 const struct fault_plan *plan, uint64_t *ret_durable)
{
	struct wal_life life = {.wal = NULL};
	struct sluice_wal_io *io;
	struct sluice_wal *wal;
	uint64_t fired;
	int ret = 0;

	assert_int_equal(fault_io_create(&io, mem_disk_io(disk)), 0);
	assert_int_equal(sluice_wal_open_io(&wal, io, &fixture->options, NULL), 0);
	assert_int_equal(wal_life_recover(&life, wal), 0);
	assert_int_equal(wal_life_start(&life), 0);
	fault_io_plan(io, plan);
	for (uint64_t i = 1; !ret && i <= 2; i++)
		ret = write_and_name(&life, i);
	wal_life_take_reports(&life);
	if (!ret)
		ret = sluice_wal_snapshot(wal, life.core, life.sink.report_next, life.sink.md_next,
					  &life.diag);
	*ret_durable = sluice_wal_durable_cmd_seq(wal);
	fired = fault_io_fired(io);
	if (sluice_wal_error(wal)) {
		const uint64_t writes = fault_io_writes_after(io);

		assert_true(fired > 0);
		assert_int_equal(sluice_wal_offer(wal, 9, NULL), sluice_wal_error(wal));
		assert_int_equal(sluice_wal_snapshot(wal, life.core, 0, 0, NULL),
				 sluice_wal_error(wal));
		assert_int_equal(fault_io_writes_after(io), writes);
	}
	if (wal_life_close(&life, true))
		fired = 1;
	mem_disk_lose(disk);
	return fired || ret;
}

static void every_operation_of_a_flip_fails_once(enum fault_kind kind, int error)
{
	struct wal_fixture fixture;
	struct mem_disk disk;
	struct sluice_wal *wal;
	struct wal_life life;
	bool struck = true;
	uint64_t at;

	wal_life_make(&fixture, SLUICE_WAL_SEGMENT_BYTES_MIN);
	mem_disk_load(&disk, fixture.dir);
	assert_int_equal(sluice_wal_open_io(&wal, mem_disk_io(&disk), &fixture.options, NULL), 0);
	assert_int_equal(wal_life_recover(&life, wal), 0);
	assert_int_equal(wal_life_start(&life), 0);
	assert_int_equal(wal_life_block(&life, 50), 50);
	assert_int_equal(wal_life_close(&life, false), 0);
	for (at = 1; struck; at++) {
		struct fault_plan plan = {.at = at, .kind = kind, .error = error};
		uint64_t durable = 0, cmd_seq;

		const size_t mark = mem_disk_mark(&disk);

		assert_true(at < 100);
		struck = snapshots_with_fault(&fixture, &disk, &plan, &durable);
		cmd_seq = still_the_same(&fixture, &disk, durable);
		mem_disk_rollback(&disk, mark);
		if (!struck)
			assert_int_equal(cmd_seq, 50 + 2 * 40);
	}
	assert_true(at > 25);
	mem_disk_release(&disk);
	wal_fixture_remove(&fixture);
}

static void test_wal_crash__eio_at_every_operation_of_a_flip(void **state)
{
	(void)state;
	every_operation_of_a_flip_fails_once(FAULT_RETURN, EIO);
}

static void test_wal_crash__torn_at_every_operation_of_a_flip(void **state)
{
	(void)state;
	every_operation_of_a_flip_fails_once(FAULT_TORN, EIO);
}

/* --------------------------------------------------------------------------------- real kills */

/* The child appends for ever and says over the pipe what is durable; the parent kills it. */
static void child_life(struct wal_fixture *fixture, uint64_t seed, int pipe_fd)
{
	struct sluice_wal *wal = NULL;

	if (wal_fixture_open(fixture, &wal) || wal_fixture_start_wal(fixture, wal))
		_exit(2);
	for (;;) {
		uint64_t durable;

		if (wal_fixture_append(wal, 1 + (uint32_t)(wal_fixture_random(&seed) % 40)) &&
		    sluice_wal_submit(wal))
			_exit(3);
		if (sluice_wal_wait(wal, wal_fixture_random(&seed) % 3 * 100000) < 0)
			_exit(4);
		durable = sluice_wal_durable_cmd_seq(wal);
		if (write(pipe_fd, &durable, sizeof(durable)) != (ssize_t)sizeof(durable))
			_exit(5);
		if (sluice_wal_full(wal))
			pause();
	}
}

/* The same with a core, going round: a snapshot is written and named every few blocks. */
static void child_round(struct wal_fixture *fixture, uint64_t seed, int pipe_fd)
{
	struct sluice_wal *wal = NULL;
	struct wal_life life;
	uint64_t sequence;

	if (wal_fixture_open(fixture, &wal) || wal_life_recover(&life, wal) ||
	    wal_life_start(&life))
		_exit(2);
	sequence = sluice_wal_snapshot_named(wal);
	for (uint64_t i = 0;; i++) {
		uint64_t durable;
		int ret = wal_life_block(&life, 1 + (uint32_t)(wal_fixture_random(&seed) % 2000));

		if (ret < 0)
			_exit(3);
		if (i % 8 == 7 &&
		    (wal_life_settle(&life) || wal_life_save(&life, wal->io, ++sequence)))
			_exit(4);
		wal_life_take_reports(&life);
		if (i % 8 == 1 && sequence > sluice_wal_snapshot_named(wal)) {
			ret = sluice_wal_offer(wal, sequence, &life.diag);
			if (ret)
				_exit(5);
		}
		durable = sluice_wal_durable_cmd_seq(wal);
		if (write(pipe_fd, &durable, sizeof(durable)) != (ssize_t)sizeof(durable))
			_exit(6);
	}
}

static uint64_t kill_one(struct wal_fixture *fixture, uint64_t *seed,
			 void (*child)(struct wal_fixture *, uint64_t, int), long ns_max)
{
	struct timespec moment = {0, (long)(wal_fixture_random(seed) % (uint64_t)ns_max)};
	uint64_t told = 0, next;
	int fds[2], status;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(fds[0]);
		child(fixture, *seed, fds[1]);
	}
	close(fds[1]);
	if (read(fds[0], &next, sizeof(next)) == (ssize_t)sizeof(next))
		told = next;
	nanosleep(&moment, NULL);
	kill(pid, SIGKILL);
	while (read(fds[0], &next, sizeof(next)) == (ssize_t)sizeof(next))
		told = next;
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	return told;
}

static void kill_loop(uint32_t backend, uint32_t rounds)
{
	uint64_t seed = wal_fixture_seed("kill"), total = 0;
	struct wal_fixture fixture;

	wal_fixture_make(&fixture);
	fixture.options.backend = backend;
	for (uint32_t i = 0; i < rounds; i++) {
		uint64_t told = kill_one(&fixture, &seed, child_life, 12000000);
		int64_t count = wal_fixture_count(&fixture, NULL);

		if (count < (int64_t)told)
			fprintf(stderr, "%lld %s\n", (long long)count, fixture.diag.text);
		assert_true(count >= (int64_t)told);
		assert_true(told >= total); /* nothing that was durable went away */
		total = (uint64_t)count;
	}
	assert_true(total > 0);
	wal_fixture_remove(&fixture);
}

static void round_kill_loop(uint32_t backend, uint32_t rounds)
{
	uint64_t seed = wal_fixture_seed("round_kill"), total = 0, named = 0;
	struct wal_fixture fixture;

	wal_life_make(&fixture, SLUICE_WAL_SEGMENT_BYTES_MIN);
	fixture.options.backend = backend;
	for (uint32_t i = 0; i < rounds; i++) {
		const uint64_t told = kill_one(&fixture, &seed, child_round, 60000000);
		struct sluice_wal_position position;
		struct sluice_wal *wal = NULL;
		struct wal_life life;

		assert_int_equal(wal_fixture_open(&fixture, &wal), 0);
		assert_int_equal(wal_life_recover(&life, wal), 0);
		sluice_wal_position(wal, &position);
		assert_true(life.cmd_seq >= told && told >= total);
		assert_true(sluice_wal_snapshot_named(wal) >= named);
		assert_int_equal(sluice_core_state_hash(life.core),
				 wal_life_expect(&position.core, life.cmd_seq));
		total = life.cmd_seq;
		named = sluice_wal_snapshot_named(wal);
		wal_life_close(&life, false);
	}
	printf("  %llu commands, %llu snapshots named\n", (unsigned long long)total,
	       (unsigned long long)named);
	assert_true(total > 0);
	wal_fixture_remove(&fixture);
}

static void test_wal_crash__sigkill_of_a_log_that_goes_round(void **state)
{
	(void)state;
	round_kill_loop(SLUICE_WAL_BACKEND_URING, 10);
	round_kill_loop(SLUICE_WAL_BACKEND_BLOCKING, 10);
}

static void test_wal_crash__sigkill_loses_nothing_durable_uring(void **state)
{
	(void)state;
	kill_loop(SLUICE_WAL_BACKEND_URING, 30);
}

static void test_wal_crash__sigkill_loses_nothing_durable_blocking(void **state)
{
	(void)state;
	kill_loop(SLUICE_WAL_BACKEND_BLOCKING, 30);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wal_crash__eio_at_every_operation),
		cmocka_unit_test(test_wal_crash__enospc_result_of_every_operation),
		cmocka_unit_test(test_wal_crash__torn_and_eio_at_every_operation),
		cmocka_unit_test(test_wal_crash__eio_at_every_operation_of_a_flip),
		cmocka_unit_test(test_wal_crash__torn_at_every_operation_of_a_flip),
		cmocka_unit_test(test_wal_crash__sigkill_of_a_log_that_goes_round),
		cmocka_unit_test(test_wal_crash__sigkill_loses_nothing_durable_uring),
		cmocka_unit_test(test_wal_crash__sigkill_loses_nothing_durable_blocking),
	};

	return cmocka_run_group_tests_name("wal_crash", tests, NULL, NULL);
}
