/* SPDX-License-Identifier: MIT */
/*
 * test_wal_format_dir.c - a log or none: format, format again, format cut short, no space.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/wal_fixture.h"

#define MIB (1024u * 1024u)

static int setup(void **state)
{
	struct wal_fixture *fixture = malloc(sizeof(*fixture));

	wal_fixture_make_dir(fixture);
	*state = fixture;
	return 0;
}

static int format(struct wal_fixture *fixture)
{
	return sluice_wal_format(fixture->dir, &fixture->options, &fixture->diag);
}

static bool exists(struct wal_fixture *fixture, const char *name, struct stat *ret_stat)
{
	char path[320];

	snprintf(path, sizeof(path), "%s/%s", fixture->dir, name);
	return !stat(path, ret_stat);
}

static void test_wal_format_dir__makes_written_zeros(void **state)
{
	static unsigned char bytes[MIB], zeros[MIB];
	struct wal_fixture *fixture = *state;
	struct stat st;

	assert_int_equal(format(fixture), 0);
	assert_true(exists(fixture, "super", &st));
	assert_int_equal(st.st_size, 16384);
	assert_false(exists(fixture, "super.tmp", &st));
	for (uint32_t file = 0; file < SLUICE_WAL_SEGMENTS; file++) {
		char name[32];

		snprintf(name, sizeof(name), "wal-%02u", file);
		assert_true(exists(fixture, name, &st));
		assert_int_equal(st.st_size, MIB);
		assert_true(st.st_blocks * 512 >= MIB);
		wal_fixture_peek(fixture, file, 0, bytes, MIB);
		assert_memory_equal(bytes, zeros, MIB);
	}
	assert_int_equal(wal_fixture_count(fixture, NULL), 0);
}

static void test_wal_format_dir__creates_the_directory_and_records_the_core(void **state)
{
	struct wal_fixture *fixture = *state;
	struct sluice_wal_position position;

	rmdir(fixture->dir);
	fixture->options.core = (struct sluice_core_options){.symbols_max = 5, .orders_max = 1000};
	fixture->options.segment_bytes = MIB;
	assert_int_equal(format(fixture), 0);
	assert_int_equal(wal_fixture_count(fixture, &position), 0);
	assert_int_equal(position.core.symbols_max, 5);
	assert_int_equal(position.core.orders_max, 1000);
	assert_int_equal(position.core.sessions_max, 1024);
}

static void test_wal_format_dir__never_touches_a_log(void **state)
{
	struct wal_fixture *fixture = *state;
	struct sluice_wal *wal;
	uint32_t digest;

	assert_int_equal(format(fixture), 0);
	wal = wal_fixture_start(fixture);
	assert_int_equal(wal_fixture_block(wal, 9), 0);
	assert_int_equal(sluice_wal_close(wal, false, NULL), 0);
	digest = wal_fixture_digest(fixture);
	assert_int_equal(format(fixture), -EEXIST);
	assert_non_null(strstr(fixture->diag.text, "already"));
	assert_int_equal(wal_fixture_digest(fixture), digest);
	/* A superblock that is no longer valid is still no reason to destroy what may be a log. */
	for (uint32_t i = 0; i < 4; i++)
		wal_fixture_flip(fixture, SLUICE_WAL_FILE_SUPER, i * 4096, 0);
	digest = wal_fixture_digest(fixture);
	assert_int_equal(format(fixture), -EEXIST);
	assert_int_equal(wal_fixture_digest(fixture), digest);
}

static void test_wal_format_dir__cut_short_runs_again_over_what_is_there(void **state)
{
	struct wal_fixture *fixture = *state;
	struct sluice_wal *wal;
	char path[320];
	int fd;

	/* Zeros without a superblock, one segment too long, one missing, a torn super.tmp. */
	assert_int_equal(format(fixture), 0);
	wal_fixture_path(fixture, SLUICE_WAL_FILE_SUPER, path);
	assert_int_equal(unlink(path), 0);
	wal_fixture_path(fixture, 3, path);
	assert_int_equal(truncate(path, 3 * MIB), 0);
	wal_fixture_path(fixture, 9, path);
	assert_int_equal(unlink(path), 0);
	snprintf(path, sizeof(path), "%s/super.tmp", fixture->dir);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	assert_int_equal(write(fd, "half", 4), 4);
	close(fd);
	assert_int_equal(wal_fixture_count(fixture, NULL), -ENOENT);
	assert_int_equal(format(fixture), 0);
	assert_int_equal(wal_fixture_count(fixture, NULL), 0);
	wal = wal_fixture_start(fixture);
	assert_int_equal(wal_fixture_block(wal, 1), 0);
	assert_int_equal(sluice_wal_close(wal, false, NULL), 0);
	assert_int_equal(wal_fixture_count(fixture, NULL), 1);
}

static void refuses_to_begin_again(struct wal_fixture *fixture, const char *file)
{
	char super[320], away[320];
	uint32_t digest = wal_fixture_digest(fixture);

	wal_fixture_path(fixture, SLUICE_WAL_FILE_SUPER, super);
	snprintf(away, sizeof(away), "%s/away", fixture->dir);
	assert_int_equal(rename(super, away), 0);
	assert_int_equal(format(fixture), -EBADMSG);
	assert_non_null(strstr(fixture->diag.text, file));
	assert_non_null(strstr(fixture->diag.hint, "super back"));
	assert_int_equal(wal_fixture_count(fixture, NULL), -ENOENT);
	assert_non_null(strstr(fixture->diag.text, "there are segments"));
	assert_int_equal(rename(away, super), 0);
	assert_int_equal(wal_fixture_digest(fixture), digest);
}

/* The file is lost, restored without it, or was removed by hand: that is no reason to lose all. */
static void test_wal_format_dir__never_over_a_log_without_its_superblock(void **state)
{
	struct wal_fixture *fixture = *state;
	struct sluice_wal *wal;

	assert_int_equal(format(fixture), 0);
	/* one byte is enough, wherever it is */
	wal_fixture_flip(fixture, SLUICE_WAL_FILE_SNAPSHOT + 1, 100, 0);
	refuses_to_begin_again(fixture, "snap-1 holds data");
	wal_fixture_flip(fixture, SLUICE_WAL_FILE_SNAPSHOT + 1, 100, 0);
	wal_fixture_flip(fixture, 15, MIB - 1, 7);
	refuses_to_begin_again(fixture, "wal-15 holds data");
	wal_fixture_flip(fixture, 15, MIB - 1, 7);
	wal = wal_fixture_start(fixture);
	assert_int_equal(wal_fixture_block(wal, 900), 0);
	assert_int_equal(sluice_wal_close(wal, false, NULL), 0);
	refuses_to_begin_again(fixture, "wal-00 holds data");
	assert_int_equal(wal_fixture_count(fixture, NULL), 900);
}

static void test_wal_format_dir__killed_at_any_moment_leaves_a_log_or_none(void **state)
{
	struct wal_fixture *fixture = *state;
	uint64_t seed = wal_fixture_seed("format_kill");

	for (int round = 0; round < 12; round++) {
		struct timespec moment = {0, (long)(wal_fixture_random(&seed) % 40000000)};
		int status, ret;
		pid_t pid;

		fflush(NULL);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0)
			_exit(format(fixture) ? 1 : 0);
		nanosleep(&moment, NULL);
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		ret = format(fixture);
		assert_true(ret == 0 || ret == -EEXIST);
		assert_int_equal(wal_fixture_count(fixture, NULL), 0);
		wal_fixture_remove(fixture);
		wal_fixture_make_dir(fixture);
	}
}

/* The kernel refuses to let a file grow: a real error in the middle of the zeros. */
static void test_wal_format_dir__an_error_removes_what_was_made(void **state)
{
	struct wal_fixture *fixture = *state;
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct rlimit limit = {MIB / 2, MIB / 2};

		signal(SIGXFSZ, SIG_IGN);
		if (setrlimit(RLIMIT_FSIZE, &limit))
			_exit(1);
		_exit(format(fixture) == -EFBIG && strstr(fixture->diag.text, "wal-00") ? 0 : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(rmdir(fixture->dir), 0); /* nothing is left in it */
	assert_int_equal(format(fixture), 0);
}

static void test_wal_format_dir__no_space_is_found_before_the_writing(void **state)
{
	struct wal_fixture *fixture = *state;

	fixture->options.segment_bytes = SLUICE_WAL_SEGMENT_BYTES_MAX;
	assert_int_not_equal(format(fixture), 0);
	assert_int_equal(rmdir(fixture->dir), 0);
}

static void test_wal_format_dir__refuses_impossible_sizes(void **state)
{
	static const uint64_t sizes[] = {1, 4096, MIB - 4096, MIB + 4096, 1ull << 41, UINT64_MAX};
	struct wal_fixture *fixture = *state;

	for (uint32_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		fixture->options.segment_bytes = sizes[i];
		assert_int_equal(format(fixture), -EINVAL);
	}
	assert_int_equal(rmdir(fixture->dir), 0);
}

static void test_wal_format_dir__every_log_has_its_own_identity(void **state)
{
	struct sluice_wal_position one, two;
	struct wal_fixture other;

	assert_int_equal(format(*state), 0);
	wal_fixture_make(&other);
	assert_int_equal(wal_fixture_count(*state, &one), 0);
	assert_int_equal(wal_fixture_count(&other, &two), 0);
	assert_memory_not_equal(one.log_uuid, two.log_uuid, 16);
	wal_fixture_remove(&other);
}

#define with_dir(test) cmocka_unit_test_setup_teardown(test, setup, wal_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_dir(test_wal_format_dir__makes_written_zeros),
		with_dir(test_wal_format_dir__creates_the_directory_and_records_the_core),
		with_dir(test_wal_format_dir__never_touches_a_log),
		with_dir(test_wal_format_dir__cut_short_runs_again_over_what_is_there),
		with_dir(test_wal_format_dir__never_over_a_log_without_its_superblock),
		with_dir(test_wal_format_dir__killed_at_any_moment_leaves_a_log_or_none),
		with_dir(test_wal_format_dir__an_error_removes_what_was_made),
		with_dir(test_wal_format_dir__no_space_is_found_before_the_writing),
		with_dir(test_wal_format_dir__refuses_impossible_sizes),
		with_dir(test_wal_format_dir__every_log_has_its_own_identity),
	};

	return cmocka_run_group_tests_name("wal_format_dir", tests, NULL, NULL);
}
