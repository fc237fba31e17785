/* SPDX-License-Identifier: MIT */
/*
 * test_wal_io_uring.c - both ways to make a block durable, over the real kernel: what a pair of
 * write and sync means, what is chosen and said, what a fork gets.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/wal/wal_link.h"
#include "tests/lib/wal_disk.h"

#define KIB 1024u
#define BLOCKS 40u

static int setup(void **state)
{
	struct wal_fixture *fixture = malloc(sizeof(*fixture));

	wal_fixture_make_timed(fixture);
	fixture->options.backend = SLUICE_WAL_BACKEND_URING;
	*state = fixture;
	return 0;
}

/* ----------------------------------------------------------------------------------- pairs */

static int64_t pair(int64_t write, int64_t sync, bool split, bool sync_first)
{
	struct sluice_wal_link link;

	sluice_wal_link_begin(&link, 8192, true);
	link.split = split;
	assert_false(sluice_wal_link_take(&link, sync_first, sync_first ? sync : write));
	assert_true(sluice_wal_link_take(&link, !sync_first, sync_first ? write : sync));
	return sluice_wal_link_result(&link);
}

static void test_wal_io_uring__what_a_pair_means(void **state)
{
	struct sluice_wal_link alone;

	(void)state;
	for (int first = 0; first < 2; first++) {
		assert_int_equal(pair(8192, 0, false, first), 8192);
		assert_int_equal(pair(4096, -ECANCELED, false, first), 4096);
		assert_int_equal(pair(4096, 0, false, first), 4096);
		assert_int_equal(pair(-EIO, -ECANCELED, false, first), -EIO);
		assert_int_equal(pair(-EIO, 0, false, first), -EIO);
		assert_int_equal(pair(8192, -EIO, false, first), -EIO);
		assert_int_equal(pair(8192, -ECANCELED, false, first), -ECANCELED);
		assert_int_equal(pair(8192, 0, true, first), -ECANCELED);
		assert_int_equal(pair(8192, -EIO, true, first), -EIO);
		assert_int_equal(pair(-ENOSPC, 0, true, first), -ENOSPC);
	}
	sluice_wal_link_begin(&alone, 4096, false);
	assert_true(sluice_wal_link_take(&alone, false, 4096));
	assert_int_equal(sluice_wal_link_result(&alone), 4096);
}

/* One completion per write, whatever it is made of, in the segments and in the superblock. */
static int whole_writes(struct wal_fixture *fixture)
{
	int64_t results[SLUICE_WAL_IN_FLIGHT_MAX];
	struct sluice_wal_io_done none;
	unsigned char page[4096];
	struct wal_disk disk;

	if (wal_disk_open(&disk, fixture))
		return 1;
	for (int round = 0; round < 5; round++) {
		for (uint16_t i = 0; i < SLUICE_WAL_WINDOW_MAX; i++)
			if (wal_disk_write(&disk, i % 3, i * 64 * KIB, 4096u << i % 4, i,
					   (unsigned char)(round + i)))
				return 2;
		if (wal_disk_write(&disk, SLUICE_WAL_FILE_SUPER, 4096, 4096, SLUICE_WAL_WINDOW_MAX,
				   99))
			return 3;
		if (wal_disk_write(&disk, 0, 0, 4096, 0, 1) != -EBUSY)
			return 4;
		memset(disk.buffers, round, 4096); /* undo the fill of the refused one */
		if (wal_disk_await(&disk, SLUICE_WAL_IN_FLIGHT_MAX, results))
			return 5;
		for (uint32_t i = 0; i < SLUICE_WAL_WINDOW_MAX; i++)
			if (results[i] != 4096 << i % 4)
				return 6;
		if (results[SLUICE_WAL_WINDOW_MAX] != 4096)
			return 7;
	}
	if (disk.io->ops->reap(disk.io, &none, 1, 0) != 0)
		return 8;
	wal_disk_close(&disk);
	for (uint16_t i = 1; i < SLUICE_WAL_WINDOW_MAX; i++) {
		wal_fixture_peek(fixture, i % 3, i * 64 * KIB, page, sizeof(page));
		if (page[0] != 4 + i || page[4095] != 4 + i)
			return 9;
	}
	return 0;
}

static void test_wal_io_uring__one_completion_per_write(void **state)
{
	struct wal_fixture *fixture = *state;

	skip_without_uring(fixture);
	for (uint32_t sync = SLUICE_WAL_SYNC_AUTO; sync <= SLUICE_WAL_SYNC_LINK; sync++) {
		fixture->options.sync = sync;
		assert_int_equal(wal_disk_in_child(whole_writes, fixture), 0);
	}
}

/* The limit lies inside the second write and before the third. */
static int short_writes(struct wal_fixture *fixture)
{
	struct rlimit limit = {512 * KIB + 4096, 512 * KIB + 4096};
	int64_t results[SLUICE_WAL_IN_FLIGHT_MAX];
	struct wal_disk disk;

	signal(SIGXFSZ, SIG_IGN);
	if (wal_disk_open(&disk, fixture) || setrlimit(RLIMIT_FSIZE, &limit))
		return 1;
	if (wal_disk_write(&disk, 0, 0, 8192, 0, 1) ||
	    wal_disk_write(&disk, 0, 512 * KIB, 8192, 1, 2) ||
	    wal_disk_write(&disk, 0, 600 * KIB, 8192, 2, 3) ||
	    wal_disk_write(&disk, 1, 8192, 8192, 3, 4))
		return 2;
	if (wal_disk_await(&disk, 4, results))
		return 3;
	if (results[0] != 8192 || results[1] != 4096 || results[2] != -EFBIG || results[3] != 8192)
		return 4;
	wal_disk_close(&disk);
	return 0;
}

static void test_wal_io_uring__short_and_failed_writes_come_as_they_are(void **state)
{
	struct wal_fixture *fixture = *state;

	skip_without_uring(fixture);
	for (uint32_t sync = SLUICE_WAL_SYNC_DSYNC; sync <= SLUICE_WAL_SYNC_LINK; sync++) {
		fixture->options.sync = sync;
		assert_int_equal(wal_disk_in_child(short_writes, fixture), 0);
	}
}

/* Of the open descriptors with this file's name: all, and those with O_DSYNC. */
static void count_open(const char *name, uint32_t *ret_all, uint32_t *ret_dsync)
{
	struct dirent *entry;
	DIR *dir = opendir("/proc/self/fd");

	*ret_all = *ret_dsync = 0;
	while (dir && (entry = readdir(dir))) {
		char target[512] = "";
		char *base;

		if (readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1) < 0)
			continue;
		base = strrchr(target, '/');
		if (!base || strcmp(base + 1, name))
			continue;
		++*ret_all;
		*ret_dsync += (fcntl(atoi(entry->d_name), F_GETFL) & O_DSYNC) == O_DSYNC;
	}
	if (dir)
		closedir(dir);
}

static void test_wal_io_uring__link_writes_files_without_o_dsync(void **state)
{
	struct wal_fixture *fixture = *state;
	struct sluice_wal *wal = NULL, *other = NULL;
	uint32_t all, dsync;

	skip_without_uring(fixture);
	fixture->options.lock_wait_ms = 20;
	for (uint32_t sync = SLUICE_WAL_SYNC_DSYNC; sync <= SLUICE_WAL_SYNC_LINK; sync++) {
		fixture->options.sync = sync;
		assert_int_equal(wal_fixture_open(fixture, &wal), 0);
		assert_non_null(strstr(sluice_wal_backend_text(wal), sync == SLUICE_WAL_SYNC_LINK ?
									     ", sync=link (p99 " :
									     ", sync=dsync (p99 "));
		assert_true(sluice_wal_calibrated_ns(wal) > 0);
		count_open("wal-07", &all, &dsync);
		assert_int_equal(all, 1);
		assert_int_equal(dsync, sync == SLUICE_WAL_SYNC_DSYNC);
		count_open("super", &all, &dsync);
		assert_int_equal(dsync, 1);
		/* and every one is as locked as before */
		assert_int_equal(wal_fixture_open(fixture, &other), -EBUSY);
		for (uint32_t file = 0; file <= SLUICE_WAL_FILE_SUPER; file++) {
			char command[400], path[320];

			wal_fixture_path(fixture, file, path);
			snprintf(command, sizeof(command), "flock -n %s true", path);
			assert_int_not_equal(system(command), 0);
		}
		assert_int_equal(sluice_wal_close(wal, false, NULL), 0);
	}
}

static void test_wal_io_uring__auto_times_both_and_says_so(void **state)
{
	struct wal_fixture *fixture = *state;
	struct sluice_wal *wal = NULL;
	unsigned long chosen, other;
	const char *text;
	char mode[8] = "";

	skip_without_uring(fixture);
	assert_int_equal(wal_fixture_open(fixture, &wal), 0);
	text = sluice_wal_backend_text(wal);
	assert_int_equal(sscanf(text, "io_uring, sync=%5[a-z] (p99 %lu us; %*[a-z] %lu us)", mode,
				&chosen, &other),
			 3);
	assert_true(chosen <= other);
	assert_true(sluice_wal_calibrated_ns(wal) > 0);
	assert_true(sluice_wal_calibrated_ns(wal) <= (chosen + 1) * 1000);
	assert_int_equal(sluice_wal_close(wal, false, NULL), 0);
}

/* ------------------------------------------------------------------- a fork, a lost probe */

/* Of this process: mappings of a ring, and what is said of the mapping at `address`. */
static int look_at_maps(const void *address, bool *ret_not_for_children)
{
	FILE *smaps = fopen("/proc/self/smaps", "r");
	uintptr_t from = 0, to = 0;
	char line[512];
	int rings = 0;

	*ret_not_for_children = false;
	while (smaps && fgets(line, sizeof(line), smaps)) {
		unsigned long low, high;

		if (sscanf(line, "%lx-%lx ", &low, &high) == 2) {
			from = low;
			to = high;
			rings += strstr(line, "[io_uring]") != NULL;
		} else if (!strncmp(line, "VmFlags:", 8) && from <= (uintptr_t)address &&
			   (uintptr_t)address < to) {
			*ret_not_for_children = strstr(line, " dc") != NULL;
		}
	}
	if (smaps)
		fclose(smaps);
	return rings;
}

static void test_wal_io_uring__a_child_gets_neither_ring_nor_buffers(void **state)
{
	struct wal_fixture *fixture = *state;
	struct wal_disk disk;
	int status = -1;
	bool kept;
	pid_t pid;

	skip_without_uring(fixture);
	assert_int_equal(wal_disk_open(&disk, fixture), 0);
	assert_true(look_at_maps(disk.buffers, &kept) > 0);
	assert_true(kept);
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		_exit(look_at_maps(disk.buffers, &kept));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	wal_disk_close(&disk);
}

static void test_wal_io_uring__without_a_probe_it_is_dsync(void **state)
{
	struct wal_fixture *fixture = *state;
	struct sluice_wal *wal = NULL;
	char path[320];

	skip_without_uring(fixture);
	wal_fixture_path(fixture, SLUICE_WAL_FILE_PROBE, path);
	assert_int_equal(truncate(path, 128 * KIB), 0);
	assert_int_equal(wal_fixture_open(fixture, &wal), 0);
	assert_string_equal(sluice_wal_backend_text(wal),
			    "io_uring, sync=dsync (not timed: the probe file is too small)");
	assert_int_equal(sluice_wal_close(wal, false, NULL), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(wal_fixture_open(fixture, &wal), 0);
	assert_string_equal(sluice_wal_backend_text(wal),
			    "io_uring, sync=dsync (not timed: there is no probe file)");
	assert_int_equal(sluice_wal_calibrated_ns(wal), 0);
	assert_int_equal(wal_fixture_start_wal(fixture, wal), 0);
	for (uint32_t i = 0; i < BLOCKS; i++)
		assert_int_equal(wal_fixture_block(wal, 30), 0);
	assert_int_equal(sluice_wal_close(wal, true, NULL), 0);
	assert_int_equal(wal_fixture_count(fixture, NULL), BLOCKS * 30);
	assert_int_equal(symlink("wal-00", path), 0);
	assert_int_equal(wal_fixture_open(fixture, &wal), -EBADMSG);
}

/* An error of the probe is none of the log. */
static int failing_probe(struct wal_fixture *fixture)
{
	struct rlimit limit = {32 * KIB, 32 * KIB};
	struct sluice_wal *wal = NULL;

	signal(SIGXFSZ, SIG_IGN);
	if (setrlimit(RLIMIT_FSIZE, &limit) || wal_fixture_open(fixture, &wal))
		return 1;
	return strstr(sluice_wal_backend_text(wal), "sync=dsync (not timed: File too large)") ? 0 :
												2;
}

static void test_wal_io_uring__a_probe_that_fails_is_said(void **state)
{
	skip_without_uring((struct wal_fixture *)*state);
	assert_int_equal(wal_disk_in_child(failing_probe, *state), 0);
}

#define with_log(test) cmocka_unit_test_setup_teardown(test, setup, wal_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wal_io_uring__what_a_pair_means),
		with_log(test_wal_io_uring__one_completion_per_write),
		with_log(test_wal_io_uring__short_and_failed_writes_come_as_they_are),
		with_log(test_wal_io_uring__link_writes_files_without_o_dsync),
		with_log(test_wal_io_uring__auto_times_both_and_says_so),
		with_log(test_wal_io_uring__a_child_gets_neither_ring_nor_buffers),
		with_log(test_wal_io_uring__without_a_probe_it_is_dsync),
		with_log(test_wal_io_uring__a_probe_that_fails_is_said),
	};

	return cmocka_run_group_tests_name("wal_io_uring", tests, NULL, NULL);
}
