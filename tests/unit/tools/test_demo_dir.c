/* SPDX-License-Identifier: MIT */
/* test_demo_dir.c - where the demo works, how large its log may be, and that nothing is left. */
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
#include <sys/stat.h>
#include <unistd.h>

#include "tools/demo_dir.h"

#define MIB (1ull << 20)
#define GIB (1ull << 30)

static void test_demo_dir__log_bytes(void **state)
{
	(void)state;
	/* the worst case of a default demo is a block per command, bounded by 1 GiB */
	assert_int_equal(sluice_demo_log_bytes(500000, 10, 100 * GIB), GIB);
	assert_int_equal(sluice_demo_log_bytes(500000, 60, 100 * GIB),
			 (500000 * 4096ull + 32 * MIB) / (16 * MIB) * (16 * MIB));
	assert_int_equal(sluice_demo_log_bytes(1000, 2, 100 * GIB), 32 * MIB);
	/* a third of what is free, in whole segments */
	assert_int_equal(sluice_demo_log_bytes(500000, 10, 2 * GIB), 672 * MIB);
	assert_int_equal(sluice_demo_log_bytes(500000, 10, 48 * MIB), 16 * MIB);
	assert_int_equal(sluice_demo_log_bytes(500000, 10, 47 * MIB), 0);
	/* no overflow */
	assert_int_equal(sluice_demo_log_bytes(UINT64_MAX, 10, UINT64_MAX), GIB);
}

static void test_demo_dir__is_made_in_tmpdir_and_removed(void **state)
{
	char parent[] = "/tmp/sluice-dir-XXXXXX";
	struct sluice_demo_dir dir;
	char path[512];
	struct stat st;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(parent));
	setenv("TMPDIR", parent, 1);
	assert_int_equal(sluice_demo_dir_make(&dir, 1, NULL), 0);
	assert_memory_equal(dir.path, parent, strlen(parent));
	assert_int_equal(stat(dir.path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_true(dir.free_bytes > 0);
	snprintf(path, sizeof(path), "%s/wal", dir.path);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/wal/super", dir.path);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	close(fd);
	/* a link out of the tree is removed, what it points to is not */
	snprintf(path, sizeof(path), "%s/link", dir.path);
	assert_int_equal(symlink("/tmp", path), 0);
	sluice_demo_dir_remove(&dir);
	assert_int_equal(stat(dir.path, &st), -1);
	assert_int_equal(stat("/tmp", &st), 0);
	assert_int_equal(rmdir(parent), 0);
}

static void test_demo_dir__says_when_it_cannot(void **state)
{
	struct sluice_demo_dir dir = {.path = "untouched"};
	struct sluice_diag diag = {.text = ""};

	(void)state;
	setenv("TMPDIR", "/nonexistent", 1);
	assert_int_equal(sluice_demo_dir_make(&dir, 1, &diag), -EACCES);
	assert_non_null(strstr(diag.text, "/nonexistent"));
	assert_non_null(strstr(diag.hint, "TMPDIR="));
	assert_string_equal(dir.path, "untouched");
}

static uint64_t commands_of(const char *content, size_t n, size_t bytes)
{
	char path[] = "/tmp/sluice-orders-XXXXXX";
	const int fd = mkstemp(path);
	uint64_t commands;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, n), n);
	assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	close(fd);
	commands = sluice_demo_file_commands(path);
	unlink(path);
	return commands;
}

static void test_demo_dir__commands_of_a_file(void **state)
{
	int pipes[2];
	char path[32];

	(void)state;
	assert_int_equal(commands_of("cmd,", 4, 8000), 1000 + 1024);
	assert_int_equal(commands_of("cmd,", 4, 1u << 30), 1000000);
	/* who knows what is in a compressed one, in a pipe, in one that cannot be opened */
	assert_int_equal(commands_of("\x1f\x8b", 2, 8000), 1000000);
	assert_int_equal(pipe(pipes), 0);
	snprintf(path, sizeof(path), "/dev/fd/%d", pipes[0]);
	assert_int_equal(sluice_demo_file_commands(path), 1000000);
	close(pipes[0]);
	close(pipes[1]);
	assert_int_equal(sluice_demo_file_commands("/nonexistent/orders"), 1000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_demo_dir__log_bytes),
		cmocka_unit_test(test_demo_dir__commands_of_a_file),
		cmocka_unit_test(test_demo_dir__is_made_in_tmpdir_and_removed),
		cmocka_unit_test(test_demo_dir__says_when_it_cannot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
