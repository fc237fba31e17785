/* SPDX-License-Identifier: MIT */
/*
 * test_wal_open.c - who may open a log, and what its files must be.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/wal/reader.h"
#include "shm/clock.h"
#include "tests/lib/wal_fixture.h"

#define MIB (1024u * 1024u)

static int setup(void **state)
{
	struct wal_fixture *fixture = malloc(sizeof(*fixture));
	struct sluice_wal *wal;

	wal_fixture_make(fixture);
	wal = wal_fixture_start(fixture);
	assert_int_equal(wal_fixture_block(wal, 5), 0);
	assert_int_equal(sluice_wal_close(wal, true, NULL), 0);
	*state = fixture;
	return 0;
}

static void test_wal_open__a_second_opener_is_turned_away(void **state)
{
	struct wal_fixture *fixture = *state;
	struct wal_fixture second = *fixture;
	struct sluice_wal *wal = wal_fixture_start(fixture);
	struct sluice_wal *other = NULL;
	uint32_t digest = wal_fixture_digest(fixture);

	second.options.lock_wait_ms = 50;
	assert_int_equal(wal_fixture_open(&second, &other), -EBUSY);
	assert_null(other);
	assert_non_null(strstr(second.diag.text, "another engine"));
	assert_int_equal(wal_fixture_digest(fixture), digest);
	assert_int_equal(wal_fixture_block(wal, 5), 0);
	assert_int_equal(sluice_wal_close(wal, true, NULL), 0);
	assert_int_equal(wal_fixture_count(&second, NULL), 10);
}

/* Any one file still locked, as by a dead engine's last write, keeps the next one out; then not. */
static void test_wal_open__waits_for_every_files_lock(void **state)
{
	struct wal_fixture *fixture = *state;

	for (uint32_t file = 0; file < SLUICE_WAL_FILES; file += 4) {
		uint64_t start_ns;
		char path[320];
		int status, fd;
		pid_t pid;

		wal_fixture_path(fixture, file, path);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		assert_int_equal(flock(fd, LOCK_EX), 0);
		fixture->options.lock_wait_ms = 20;
		assert_int_equal(wal_fixture_count(fixture, NULL), -EBUSY);
		fixture->options.lock_wait_ms = 0;
		fflush(NULL);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			usleep(60000);
			_exit(0); /* the lock's last holder */
		}
		close(fd);
		start_ns = sluice_clock_ns();
		assert_int_equal(wal_fixture_count(fixture, NULL), 5);
		assert_true(sluice_clock_ns() - start_ns > 30000000);
		assert_int_equal(waitpid(pid, &status, 0), pid);
	}
}

static void test_wal_open__there_must_be_a_log(void **state)
{
	struct wal_fixture *fixture = *state;
	struct sluice_wal_reader *reader = NULL;
	char path[320];

	wal_fixture_path(fixture, SLUICE_WAL_FILE_SUPER, path);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(wal_fixture_count(fixture, NULL), -ENOENT);
	assert_non_null(strstr(fixture->diag.hint, "--format"));
	assert_int_equal(sluice_wal_reader_open(&reader, fixture->dir, NULL), -ENOENT);
	snprintf(fixture->dir + strlen(fixture->dir), 8, "-none");
	assert_int_equal(wal_fixture_count(fixture, NULL), -ENOENT);
	fixture->dir[strlen(fixture->dir) - 5] = '\0';
}

static void refused(struct wal_fixture *fixture, const char *name)
{
	struct sluice_wal_reader *reader = NULL;

	assert_int_equal(wal_fixture_count(fixture, NULL), -EBADMSG);
	assert_non_null(strstr(fixture->diag.text, name));
	assert_int_equal(sluice_wal_reader_open(&reader, fixture->dir, &fixture->diag), -EBADMSG);
	assert_non_null(strstr(fixture->diag.text, name));
}

static void test_wal_open__every_segment_must_have_its_size(void **state)
{
	static const off_t sizes[] = {0, 512, MIB - 1, MIB + 1, 2 * MIB};
	struct wal_fixture *fixture = *state;
	char path[320];

	wal_fixture_path(fixture, 7, path);
	for (uint32_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		assert_int_equal(truncate(path, sizes[i]), 0);
		refused(fixture, "wal-07");
	}
	assert_int_equal(truncate(path, MIB), 0);
	assert_int_equal(wal_fixture_count(fixture, NULL), 5);
	wal_fixture_path(fixture, SLUICE_WAL_FILE_SUPER, path);
	assert_int_equal(truncate(path, 16383), 0);
	refused(fixture, "super");
}

static void test_wal_open__a_missing_or_irregular_segment_is_damage(void **state)
{
	struct wal_fixture *fixture = *state;
	char path[320], moved[330];

	wal_fixture_path(fixture, 15, path);
	snprintf(moved, sizeof(moved), "%s.moved", path);
	assert_int_equal(rename(path, moved), 0);
	refused(fixture, "wal-15");
	assert_int_equal(symlink(moved, path), 0);
	refused(fixture, "wal-15");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	refused(fixture, "wal-15");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rename(moved, path), 0);
	assert_int_equal(wal_fixture_count(fixture, NULL), 5);
	wal_fixture_path(fixture, SLUICE_WAL_FILE_SUPER, path);
	assert_int_equal(rename(path, moved), 0);
	assert_int_equal(symlink(moved, path), 0);
	refused(fixture, "super");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rename(moved, path), 0);
}

/* Whose version is blamed for a missing file: one that a superblock page really has. */
static void test_wal_open__a_missing_segment_of_another_version_is_no_damage(void **state)
{
	static const unsigned char zeros[4 * SLUICE_WAL_ALIGN];
	struct wal_fixture *fixture = *state;
	struct sluice_wal_super super;
	char path[320];

	wal_fixture_path(fixture, 15, path);
	assert_int_equal(unlink(path), 0);
	wal_fixture_peek(fixture, SLUICE_WAL_FILE_SUPER, 0, &super, sizeof(super));
	wal_fixture_poke(fixture, SLUICE_WAL_FILE_SUPER, 0, zeros, sizeof(zeros));
	refused(fixture, "wal-15"); /* no page names any version */
	super.version = SLUICE_WAL_VERSION + 1;
	wal_fixture_poke(fixture, SLUICE_WAL_FILE_SUPER, SLUICE_WAL_ALIGN, &super, sizeof(super));
	assert_int_equal(wal_fixture_count(fixture, NULL), -EPROTO);
	assert_non_null(strstr(fixture->diag.text, "this program knows version"));
	super.version = SLUICE_WAL_VERSION;
	wal_fixture_poke(fixture, SLUICE_WAL_FILE_SUPER, 0, &super, sizeof(super));
	refused(fixture, "wal-15"); /* one page is this program's: so is the log */
	wal_fixture_poke(fixture, SLUICE_WAL_FILE_SUPER, 0, zeros, SLUICE_WAL_ALIGN);
	wal_fixture_path(fixture, SLUICE_WAL_FILE_SUPER, path);
	assert_int_equal(truncate(path, 2 * SLUICE_WAL_ALIGN - 1), 0);
	refused(fixture, "wal-15"); /* the page with the version is torn off */
}

/* A copy that lost its blocks, as by cp --sparse, reads as zeros and must still work. */
static void test_wal_open__holes_are_zeros(void **state)
{
	struct wal_fixture *fixture = *state;
	struct sluice_wal *wal;
	char path[320];

	wal_fixture_path(fixture, 5, path);
	assert_int_equal(truncate(path, 0), 0);
	assert_int_equal(truncate(path, MIB), 0);
	wal = wal_fixture_start(fixture);
	for (int i = 0; i < 25; i++)
		assert_int_equal(wal_fixture_block(wal, SLUICE_WAL_RECORDS_MAX), 0);
	assert_int_equal(sluice_wal_close(wal, true, NULL), 0);
	assert_int_equal(wal_fixture_count(fixture, NULL) > 5, true);
}

static void test_wal_open__refuses_impossible_options(void **state)
{
	struct wal_fixture *fixture = *state;
	struct sluice_wal *wal = NULL;

	fixture->options.window = SLUICE_WAL_WINDOW_MAX + 1;
	assert_int_equal(wal_fixture_open(fixture, &wal), -EINVAL);
	fixture->options.window = 0;
	fixture->options.backend = 99;
	assert_int_equal(wal_fixture_open(fixture, &wal), -EINVAL);
	assert_null(wal);
}

static void test_wal_open__needs_no_options(void **state)
{
	struct wal_fixture *fixture = *state;
	struct sluice_wal *wal = NULL;

	assert_int_equal(sluice_wal_open(&wal, fixture->dir, NULL, &fixture->diag), 0);
	assert_int_equal(wal_fixture_replay(wal, &fixture->diag), 5);
	assert_int_equal(wal_fixture_start_wal(fixture, wal), 0);
	assert_int_equal(wal_fixture_block(wal, 7), 0);
	assert_int_equal(sluice_wal_close(wal, true, NULL), 0);
	assert_int_equal(wal_fixture_count(fixture, NULL), 12);
}

static void test_wal_open__opening_and_closing_writes_nothing(void **state)
{
	struct wal_fixture *fixture = *state;
	uint32_t digest = wal_fixture_digest(fixture);

	assert_int_equal(wal_fixture_count(fixture, NULL), 5);
	assert_int_equal(wal_fixture_digest(fixture), digest);
}

#define with_log(test) cmocka_unit_test_setup_teardown(test, setup, wal_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_log(test_wal_open__a_second_opener_is_turned_away),
		with_log(test_wal_open__waits_for_every_files_lock),
		with_log(test_wal_open__there_must_be_a_log),
		with_log(test_wal_open__every_segment_must_have_its_size),
		with_log(test_wal_open__a_missing_or_irregular_segment_is_damage),
		with_log(test_wal_open__a_missing_segment_of_another_version_is_no_damage),
		with_log(test_wal_open__holes_are_zeros),
		with_log(test_wal_open__refuses_impossible_options),
		with_log(test_wal_open__needs_no_options),
		with_log(test_wal_open__opening_and_closing_writes_nothing),
	};

	return cmocka_run_group_tests_name("wal_open", tests, NULL, NULL);
}
