/* SPDX-License-Identifier: MIT */
/*
 * test_wal_extents.c - space that was never written: found to the byte, written over with the same
 * content, or refused. On /var/tmp, because a TMPDIR in memory has no extents.
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
#include <unistd.h>

#include "engine/wal/reader.h"
#include "engine/wal/wal_extents.h"
#include "tests/lib/wal_fixture.h"

#define MIB (1024u * 1024u)
#define PLACE "/var/tmp"

static bool untold; /* what the filesystem of PLACE does not tell cannot be tested */

static void make_file(struct wal_fixture *fixture, int *ret_fd)
{
	char path[320];

	snprintf(path, sizeof(path), "%s/super", fixture->dir);
	*ret_fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(*ret_fd >= 0);
}

static int group_setup(void **state)
{
	struct sluice_wal_extents_found found;
	struct wal_fixture fixture;
	int fd;

	(void)state;
	setenv("TMPDIR", PLACE, 1);
	wal_fixture_make_dir(&fixture);
	make_file(&fixture, &fd);
	untold = sluice_wal_extents_look(fd, MIB, &found) == -EOPNOTSUPP;
	close(fd);
	wal_fixture_remove(&fixture);
	return 0;
}

static int setup_dir(void **state)
{
	struct wal_fixture *fixture = malloc(sizeof(*fixture));

	wal_fixture_make_dir(fixture);
	*state = fixture;
	return 0;
}

static int setup_log(void **state)
{
	setup_dir(state);
	wal_fixture_remove(*state);
	wal_fixture_make_timed(*state);
	return 0;
}

#define skip_untold()                                                                              \
	do {                                                                                       \
		if (!untold)                                                                       \
			break;                                                                     \
		print_message("skip: %s: the filesystem of " PLACE " has no FIEMAP\n", __func__);  \
		skip();                                                                            \
	} while (0)

static void fill(int fd, uint64_t offset, size_t bytes)
{
	unsigned char *data = malloc(bytes);

	assert_non_null(data);
	for (size_t i = 0; i < bytes; i++)
		data[i] = (unsigned char)(offset + i * 7 + 1);
	assert_int_equal(pwrite(fd, data, bytes, (off_t)offset), bytes);
	free(data);
}

static uint64_t unwritten(int fd, uint64_t bytes)
{
	struct sluice_wal_extents_found found = {0};

	assert_int_equal(sluice_wal_extents_look(fd, bytes, &found), 0);
	return found.unwritten_bytes;
}

/* Written, hole, allocated, written, hole. */
static void mixed(int fd)
{
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(ftruncate(fd, 5 * MIB), 0);
	fill(fd, 0, MIB);
	assert_int_equal(fallocate(fd, 0, 2 * MIB, MIB), 0);
	fill(fd, 3 * MIB, MIB);
}

static void test_wal_extents__are_found_to_the_byte(void **state)
{
	int fd;

	skip_untold();
	make_file(*state, &fd);
	assert_int_equal(unwritten(fd, 0), 0);
	assert_int_equal(ftruncate(fd, 3 * MIB), 0);
	assert_int_equal(unwritten(fd, 3 * MIB), 3 * MIB);
	assert_int_equal(fallocate(fd, 0, 0, 3 * MIB), 0);
	assert_int_equal(unwritten(fd, 3 * MIB), 3 * MIB);
	fill(fd, 0, 3 * MIB);
	assert_int_equal(unwritten(fd, 3 * MIB), 0);
	mixed(fd);
	assert_int_equal(unwritten(fd, 5 * MIB), 3 * MIB);
	assert_int_equal(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 8192), 0);
	assert_int_equal(unwritten(fd, 5 * MIB), 3 * MIB + 8192);
	assert_int_equal(unwritten(fd, 8192), 4096);
	close(fd);
}

/* More extents than one question to the kernel brings back. */
static void test_wal_extents__of_a_riddled_file(void **state)
{
	uint64_t left = 1;
	int fd;

	skip_untold();
	make_file(*state, &fd);
	fill(fd, 0, 4 * MIB);
	assert_int_equal(fsync(fd), 0);
	for (uint64_t at = 4096; at < 4 * MIB; at += 8192)
		assert_int_equal(
			fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)at, 4096),
			0);
	assert_int_equal(unwritten(fd, 4 * MIB), 2 * MIB);
	assert_int_equal(sluice_wal_extents_mend(fd, 4 * MIB, &left), 0);
	assert_int_equal(left, 0);
	assert_int_equal(unwritten(fd, 4 * MIB), 0);
	close(fd);
}

static void test_wal_extents__are_mended_with_what_they_read(void **state)
{
	unsigned char *before = malloc(5 * MIB), *after = malloc(5 * MIB);
	uint64_t left = 1;
	struct stat st;
	int fd;

	skip_untold();
	make_file(*state, &fd);
	mixed(fd);
	assert_int_equal(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 4096), 0);
	assert_int_equal(pread(fd, before, 5 * MIB, 0), 5 * MIB);
	assert_int_equal(sluice_wal_extents_mend(fd, 5 * MIB, &left), 0);
	assert_int_equal(left, 0);
	assert_int_equal(unwritten(fd, 5 * MIB), 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, 5 * MIB);
	assert_int_equal(pread(fd, after, 5 * MIB, 0), 5 * MIB);
	assert_memory_equal(before, after, 5 * MIB);
	close(fd);
	free(before);
	free(after);
}

static uint64_t unwritten_in(struct wal_fixture *fixture, uint32_t first, uint32_t end)
{
	uint64_t sum = 0;

	for (uint32_t file = first; file < end; file++) {
		char path[320];
		struct stat st;
		int fd;

		wal_fixture_path(fixture, file, path);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		assert_true(fd >= 0);
		assert_int_equal(fstat(fd, &st), 0);
		sum += unwritten(fd, (uint64_t)st.st_size);
		close(fd);
	}
	return sum;
}

static void test_wal_extents__of_a_new_log_are_all_written(void **state)
{
	skip_untold();
	assert_int_equal(unwritten_in(*state, 0, SLUICE_WAL_FILES), 0);
}

static void live(struct wal_fixture *fixture)
{
	struct sluice_wal *wal = wal_fixture_start(fixture);

	for (uint32_t i = 0; i < 20; i++)
		assert_int_equal(wal_fixture_block(wal, 50), 0);
	assert_int_equal(sluice_wal_close(wal, true, NULL), 0);
}

static void copy_sparse(struct wal_fixture *fixture)
{
	char command[2048];

	snprintf(command, sizeof(command),
		 "cp -r --sparse=always %s %s.copy && rm -r %s && mv %s.copy %s", fixture->dir,
		 fixture->dir, fixture->dir, fixture->dir, fixture->dir);
	assert_int_equal(system(command), 0);
}

static void test_wal_extents__a_sparse_copy_is_mended_once_and_said(void **state)
{
	struct wal_fixture *fixture = *state;
	struct sluice_wal *wal = NULL;
	uint32_t digest;

	skip_untold();
	live(fixture);
	digest = wal_fixture_digest(fixture);
	copy_sparse(fixture);
	assert_int_equal(wal_fixture_digest(fixture), digest);
	assert_true(unwritten_in(fixture, 0, SLUICE_WAL_SEGMENTS) > 15 * MIB);
	assert_int_equal(wal_fixture_open(fixture, &wal), 0);
	assert_non_null(strstr(sluice_wal_mended_text(wal), "in 17 of the files, first wal-00,"));
	assert_int_equal(sluice_wal_close(wal, false, NULL), 0);
	assert_int_equal(wal_fixture_digest(fixture), digest);
	assert_int_equal(unwritten_in(fixture, 0, SLUICE_WAL_FILE_SNAPSHOT), 0);
	assert_int_equal(unwritten_in(fixture, SLUICE_WAL_FILE_PROBE, SLUICE_WAL_FILES), 0);
	assert_int_equal(wal_fixture_open(fixture, &wal), 0);
	assert_string_equal(sluice_wal_mended_text(wal), "");
	assert_int_equal(sluice_wal_close(wal, false, NULL), 0);
	assert_int_equal(wal_fixture_count(fixture, NULL), 1000);
}

/* A follower may be writing them: they are mended by who has their lock. */
static void test_wal_extents__snapshots_are_mended_under_their_own_lock(void **state)
{
	struct wal_fixture *fixture = *state;
	struct sluice_wal_io *io = NULL;
	uint64_t holes;

	skip_untold();
	copy_sparse(fixture);
	holes = unwritten_in(fixture, SLUICE_WAL_FILE_SNAPSHOT, SLUICE_WAL_FILE_PROBE);
	assert_true(holes > 0);
	assert_int_equal(wal_fixture_count(fixture, NULL), 0);
	assert_int_equal(unwritten_in(fixture, SLUICE_WAL_FILE_SNAPSHOT, SLUICE_WAL_FILE_PROBE),
			 holes);
	assert_int_equal(sluice_wal_io_blocking_create(&io, fixture->dir, NULL), 0);
	assert_int_equal(io->ops->open(io, SLUICE_WAL_IO_FOLLOW, NULL), 0);
	assert_int_equal(io->ops->lock(io, SLUICE_WAL_IO_SNAPSHOTS, 0, NULL), 0);
	assert_non_null(strstr(io->mended, "in 2 of the files, first snap-0,"));
	io->ops->close(io);
	assert_int_equal(unwritten_in(fixture, SLUICE_WAL_FILE_SNAPSHOT, SLUICE_WAL_FILE_PROBE), 0);
}

static void test_wal_extents__refused_when_strict(void **state)
{
	struct wal_fixture *fixture = *state;
	struct sluice_wal *wal = NULL;
	uint64_t holes;

	skip_untold();
	live(fixture);
	copy_sparse(fixture);
	holes = unwritten_in(fixture, 0, SLUICE_WAL_FILES);
	fixture->options.extents = SLUICE_WAL_EXTENTS_REFUSE;
	assert_int_equal(wal_fixture_open(fixture, &wal), -EBADMSG);
	assert_non_null(strstr(fixture->diag.text, "wal-00: "));
	assert_non_null(strstr(fixture->diag.text, "never written"));
	assert_non_null(strstr(fixture->diag.hint, "--wal-extents repair"));
	assert_int_equal(unwritten_in(fixture, 0, SLUICE_WAL_FILES), holes);
	fixture->options.extents = SLUICE_WAL_EXTENTS_REPAIR;
	assert_int_equal(wal_fixture_open(fixture, &wal), 0);
	assert_int_equal(sluice_wal_close(wal, false, NULL), 0);
	fixture->options.extents = SLUICE_WAL_EXTENTS_REFUSE;
	assert_int_equal(wal_fixture_open(fixture, &wal), 0);
	assert_int_equal(sluice_wal_close(wal, false, NULL), 0);
}

static void test_wal_extents__readers_and_losers_change_nothing(void **state)
{
	struct wal_fixture *fixture = *state;
	struct sluice_wal_reader *reader = NULL;
	struct sluice_wal *owner = NULL, *wal = NULL;
	char path[320];
	uint64_t holes;
	int fd;

	skip_untold();
	copy_sparse(fixture);
	holes = unwritten_in(fixture, 0, SLUICE_WAL_FILES);
	assert_int_equal(sluice_wal_reader_open(&reader, fixture->dir, NULL), 0);
	sluice_wal_reader_close(reader);
	assert_int_equal(unwritten_in(fixture, 0, SLUICE_WAL_FILES), holes);
	assert_int_equal(wal_fixture_open(fixture, &owner), 0);
	wal_fixture_path(fixture, 7, path);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_int_equal(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 65536), 0);
	close(fd);
	fixture->options.lock_wait_ms = 20;
	assert_int_equal(wal_fixture_open(fixture, &wal), -EBUSY);
	assert_int_equal(unwritten_in(fixture, 7, 8), 65536);
	assert_int_equal(sluice_wal_close(owner, false, NULL), 0);
}

static void test_wal_extents__a_truncated_copy_is_damage(void **state)
{
	struct wal_fixture *fixture = *state;
	struct sluice_wal *wal = NULL;
	char path[320];

	wal_fixture_path(fixture, 3, path);
	assert_int_equal(truncate(path, MIB - 1), 0);
	assert_int_equal(wal_fixture_open(fixture, &wal), -EBADMSG);
	assert_non_null(strstr(fixture->diag.text, "wal-03"));
	assert_int_equal(truncate(path, 0), 0);
	assert_int_equal(wal_fixture_open(fixture, &wal), -EBADMSG);
	assert_non_null(strstr(fixture->diag.text, "wal-03"));
	assert_int_equal(truncate(path, MIB), 0);
	assert_int_equal(wal_fixture_open(fixture, &wal), 0);
	assert_int_equal(sluice_wal_close(wal, false, NULL), 0);
}

/* The limit on a file's size stands for a disk without space. */
static int limited_open(struct wal_fixture *fixture)
{
	struct rlimit limit = {MIB / 2, MIB / 2};
	struct sluice_wal *wal = NULL;

	signal(SIGXFSZ, SIG_IGN);
	if (setrlimit(RLIMIT_FSIZE, &limit))
		return 1;
	if (wal_fixture_open(fixture, &wal) != -EFBIG)
		return 2;
	return strstr(fixture->diag.text, "wal-") && strstr(fixture->diag.text, "never written") ?
		       0 :
		       3;
}

static void test_wal_extents__that_cannot_be_mended_are_an_error(void **state)
{
	struct wal_fixture *fixture = *state;
	int status = -1;
	pid_t pid;

	skip_untold();
	copy_sparse(fixture);
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		_exit(limited_open(fixture));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(wal_fixture_count(fixture, NULL), 0);
}

static void test_wal_extents__a_filesystem_that_does_not_tell_is_said_once(void **state)
{
	struct sluice_wal_io *io = NULL;
	struct wal_fixture fixture;
	bool told = false;
	char *at;

	(void)state;
	setenv("TMPDIR", "/dev/shm", 1);
	wal_fixture_make(&fixture);
	assert_int_equal(sluice_wal_io_blocking_create(&io, fixture.dir, NULL), 0);
	assert_int_equal(io->ops->open(io, SLUICE_WAL_IO_WRITE, NULL), 0);
	assert_int_equal(io->ops->lock(io, SLUICE_WAL_IO_LOG, 0, NULL), 0);
	assert_int_equal(io->ops->lock(io, SLUICE_WAL_IO_SNAPSHOTS, 0, NULL), 0);
	at = strstr(io->text, "does not tell");
	told = !at;
	assert_true(told || !strstr(at + 1, "does not tell"));
	assert_string_equal(io->mended, "");
	io->ops->close(io);
	assert_int_equal(wal_fixture_count(&fixture, NULL), 0);
	wal_fixture_remove(&fixture);
	setenv("TMPDIR", PLACE, 1);
	if (told) {
		print_message("skip: %s: the filesystem of /dev/shm has FIEMAP\n", __func__);
		skip();
	}
}

#define with_dir(test) cmocka_unit_test_setup_teardown(test, setup_dir, wal_fixture_teardown)
#define with_log(test) cmocka_unit_test_setup_teardown(test, setup_log, wal_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_dir(test_wal_extents__are_found_to_the_byte),
		with_dir(test_wal_extents__of_a_riddled_file),
		with_dir(test_wal_extents__are_mended_with_what_they_read),
		with_log(test_wal_extents__of_a_new_log_are_all_written),
		with_log(test_wal_extents__a_sparse_copy_is_mended_once_and_said),
		with_log(test_wal_extents__snapshots_are_mended_under_their_own_lock),
		with_log(test_wal_extents__refused_when_strict),
		with_log(test_wal_extents__readers_and_losers_change_nothing),
		with_log(test_wal_extents__a_truncated_copy_is_damage),
		with_log(test_wal_extents__that_cannot_be_mended_are_an_error),
		cmocka_unit_test(test_wal_extents__a_filesystem_that_does_not_tell_is_said_once),
	};

	return cmocka_run_group_tests_name("wal_extents", tests, group_setup, NULL);
}
