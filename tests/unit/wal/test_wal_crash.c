/* SPDX-License-Identifier: MIT */
/*
 * test_wal_crash.c - an error at every single operation of a log's life, and real SIGKILLs. The
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

#include "tests/lib/wal_fixture.h"

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

static uint64_t kill_one(struct wal_fixture *fixture, uint64_t *seed)
{
	struct timespec moment = {0, (long)(wal_fixture_random(seed) % 12000000)};
	uint64_t told = 0, next;
	int fds[2], status;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(fds[0]);
		child_life(fixture, *seed, fds[1]);
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
		uint64_t told = kill_one(&fixture, &seed);
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
		cmocka_unit_test(test_wal_crash__sigkill_loses_nothing_durable_uring),
		cmocka_unit_test(test_wal_crash__sigkill_loses_nothing_durable_blocking),
	};

	return cmocka_run_group_tests_name("wal_crash", tests, NULL, NULL);
}
