/* SPDX-License-Identifier: MIT */
/*
 * test_wal_undo.c - the file that keeps what a cut overwrites: what was added comes back, byte for
 * byte; a file that is not finished, not sound or not ours is refused with its name and the reason;
 * and a disk that fails under it is never taken for one that has kept it.
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
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/wal/wal_undo.h"
#include "shm/crc32c.h"
#include "tests/lib/sys_fault.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define SUPER_SEQUENCE 77u

static const uint8_t uuid[16] = {1, 2, 3, 4}, other_uuid[16] = {1, 2, 3, 5};
static char dir[64], path[128];
static struct sluice_wal_undo undo;
static struct sluice_diag diag;
static unsigned char data[SLUICE_WAL_BLOCK_BYTES_MAX], got[SLUICE_WAL_BLOCK_BYTES_MAX];

/* What is added by fill(): file, offset, bytes. */
static const uint32_t entries[][3] = {
	{3, 8192, SLUICE_WAL_ALIGN},
	{15, 0, 3 * SLUICE_WAL_ALIGN},
	{SLUICE_WAL_FILE_SUPER, 4096, SLUICE_WAL_ALIGN},
};

static int setup(void **state)
{
	const char *tmp = getenv("TMPDIR");

	(void)state;
	snprintf(dir, sizeof(dir), "%.30s/sluice-undo-XXXXXX", tmp ? tmp : "/tmp");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/backup", dir);
	undo = (struct sluice_wal_undo){.fd = -1};
	diag = (struct sluice_diag){.text = ""};
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (unsigned char)(i * 7 + i / 4096);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	sluice_wal_undo_close(&undo);
	unlink(path);
	rmdir(dir);
	return 0;
}

/* Every entry but the last one: 0 or -errno. */
static int fill(void)
{
	int ret = 0;

	for (uint32_t i = 0; !ret && i < LENGTH(entries); i++)
		ret = sluice_wal_undo_add(&undo, entries[i][0], entries[i][1], data + i,
					  entries[i][2], 100 + i, &diag);
	return ret;
}

static int make(void)
{
	int ret = sluice_wal_undo_create(&undo, path, uuid, &diag);

	if (!ret)
		ret = fill();
	if (!ret)
		ret = sluice_wal_undo_finish(&undo, SUPER_SEQUENCE, &diag);
	sluice_wal_undo_close(&undo);
	return ret;
}

/* All entries: how many, or -errno. */
static int read_through(const uint8_t log_uuid[16])
{
	struct sluice_wal_undo_head head;
	int ret = sluice_wal_undo_open(&undo, path, log_uuid, &diag);
	int n = 0;

	while (!ret && (ret = sluice_wal_undo_next(&undo, &head, got, &diag)) == 1) {
		n++;
		ret = 0;
	}
	sluice_wal_undo_close(&undo);
	return ret ? ret : n;
}

static void assert_refused(int error, const char *why)
{
	diag = (struct sluice_diag){.text = ""};
	assert_int_equal(read_through(uuid), error);
	if (!strstr(diag.text, path) || !strstr(diag.text, why))
		print_message("expected %s in %s\n", why, diag.text);
	assert_non_null(strstr(diag.text, path));
	assert_non_null(strstr(diag.text, why));
}

static void test_wal_undo__gives_back_what_was_added(void **state)
{
	struct sluice_wal_undo_head head;
	struct stat st;

	(void)state;
	assert_int_equal(make(), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(st.st_size, 5 * SLUICE_WAL_ALIGN + 4 * sizeof(head));
	assert_int_equal(sluice_wal_undo_open(&undo, path, uuid, &diag), 0);
	for (int round = 0; round < 2; round++) {
		for (uint32_t i = 0; i < LENGTH(entries); i++) {
			assert_int_equal(sluice_wal_undo_next(&undo, &head, got, &diag), 1);
			assert_int_equal(head.file, entries[i][0]);
			assert_int_equal(head.offset, entries[i][1]);
			assert_int_equal(head.bytes, entries[i][2]);
			assert_int_equal(head.written_crc, 100 + i);
			assert_memory_equal(got, data + i, head.bytes);
		}
		assert_int_equal(sluice_wal_undo_next(&undo, &head, got, &diag), 0);
		assert_int_equal(head.offset, SUPER_SEQUENCE);
		sluice_wal_undo_rewind(&undo);
	}
}

static void test_wal_undo__names_that_cannot_be(void **state)
{
	char name[sizeof(undo.path) + 1];

	(void)state;
	memset(name, 'a', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(sluice_wal_undo_create(&undo, name, uuid, &diag), -ENAMETOOLONG);
	assert_int_equal(sluice_wal_undo_open(&undo, name, uuid, &diag), -ENAMETOOLONG);
	assert_true(undo.fd < 0);
	assert_refused(-ENOENT, strerror(ENOENT));
	assert_int_equal(symlink("nowhere", path), 0);
	assert_int_equal(make(), -EEXIST);
	assert_true(diag.hint[0]);
	assert_refused(-ELOOP, strerror(ELOOP));
}

static void test_wal_undo__in_the_working_directory(void **state)
{
	int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), ret;
	char full[sizeof(path)];

	(void)state;
	assert_true(here >= 0);
	assert_int_equal(chdir(dir), 0);
	memcpy(full, path, sizeof(full));
	snprintf(path, sizeof(path), "backup");
	ret = make();
	if (!ret)
		ret = read_through(uuid);
	memcpy(path, full, sizeof(path));
	assert_int_equal(fchdir(here), 0);
	close(here);
	assert_int_equal(ret, LENGTH(entries));
	assert_int_equal(read_through(uuid), LENGTH(entries));
}

static void test_wal_undo__what_is_no_file(void **state)
{
	(void)state;
	assert_int_equal(mkdir(path, 0700), 0);
	assert_refused(-EINVAL, "not a regular file");
	rmdir(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_refused(-EINVAL, "not a regular file"); /* and nobody waits for a writer */
}

/* A crash before the last entry was written leaves a part: nothing of a log is undone by it. */
static void test_wal_undo__no_part_is_a_whole(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(make(), 0);
	assert_int_equal(stat(path, &st), 0);
	for (off_t bytes = st.st_size - 1; bytes >= 0; bytes -= bytes % 4160 < 70 ? 1 : 61) {
		assert_int_equal(truncate(path, bytes), 0);
		assert_refused(-EBADMSG, "it ends here");
	}
}

/* ------------------------------------------------------------------------ what is not sound */

static void change_magic(struct sluice_wal_undo_head *head)
{
	head->magic++;
}
static void change_version(struct sluice_wal_undo_head *head)
{
	head->version++;
}
static void change_index(struct sluice_wal_undo_head *head)
{
	head->index++;
}
static void more_than_a_block(struct sluice_wal_undo_head *head)
{
	head->bytes = SLUICE_WAL_BLOCK_BYTES_MAX + SLUICE_WAL_ALIGN;
}
static void not_whole_pages(struct sluice_wal_undo_head *head)
{
	head->bytes -= 512;
}
static void no_such_file(struct sluice_wal_undo_head *head)
{
	head->file = SLUICE_WAL_FILE_SNAPSHOT;
}
static void in_a_page(struct sluice_wal_undo_head *head)
{
	head->offset += 512;
}
static void other_log(struct sluice_wal_undo_head *head)
{
	head->log_uuid[15]++;
}
static void other_data(struct sluice_wal_undo_head *head)
{
	head->data_crc++;
}

/* Right checksums prove nothing: the file may be anybody's. */
static void test_wal_undo__heads_that_lie(void **state)
{
	static const struct {
		void (*change)(struct sluice_wal_undo_head *head);
		const char *why;
		int error;
	} rows[] = {
		{change_magic, "magic", -EBADMSG},    {change_version, "version", -EBADMSG},
		{change_index, "index", -EBADMSG},    {more_than_a_block, "bytes", -EBADMSG},
		{not_whole_pages, "bytes", -EBADMSG}, {no_such_file, "place", -EBADMSG},
		{in_a_page, "place", -EBADMSG},	      {other_log, "another log", -ESTALE},
		{other_data, "data_crc", -EBADMSG},
	};

	(void)state;
	assert_int_equal(make(), 0);
	for (uint32_t i = 0; i < LENGTH(rows); i++)
		for (off_t at = 0; at < 5000; at += 64 + 4096) { /* the first two */
			struct sluice_wal_undo_head was, head;
			int fd = open(path, O_RDWR | O_CLOEXEC);

			assert_true(fd >= 0);
			assert_int_equal(pread(fd, &was, sizeof(was), at), sizeof(was));
			head = was;
			rows[i].change(&head);
			head.head_crc = sluice_crc32c(
				0, &head, offsetof(struct sluice_wal_undo_head, head_crc));
			assert_int_equal(pwrite(fd, &head, sizeof(head), at), sizeof(head));
			assert_refused(rows[i].error, rows[i].why);
			assert_int_equal(pwrite(fd, &was, sizeof(was), at), sizeof(was));
			close(fd);
		}
	assert_int_equal(read_through(uuid), LENGTH(entries));
	assert_int_equal(read_through(other_uuid), -ESTALE);
}

/* ----------------------------------------------------------------------------- failing disks */

/* Room for `bytes` and no more: the call that meets the end fails, and says which file it was. */
static int in_little_room(rlim_t bytes)
{
	struct rlimit before, little;
	int ret;

	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &before);
	little = (struct rlimit){.rlim_cur = bytes, .rlim_max = before.rlim_max};
	setrlimit(RLIMIT_FSIZE, &little);
	ret = make();
	setrlimit(RLIMIT_FSIZE, &before);
	signal(SIGXFSZ, SIG_DFL);
	return ret;
}

static void test_wal_undo__no_space(void **state)
{
	static const rlim_t room[] = {0, 20, 64, 4159, 4160, 5000, 5 * 4096 + 4 * 64 - 1};

	(void)state;
	for (uint32_t i = 0; i < LENGTH(room); i++) {
		assert_int_equal(in_little_room(room[i]), -EFBIG);
		assert_non_null(strstr(diag.text, path));
		assert_refused(-EBADMSG, "it ends here");
		unlink(path);
	}
	assert_int_equal(in_little_room(5 * 4096 + 4 * 64), 0);
}

static void test_wal_undo__the_name_must_be_kept_too(void **state)
{
	char moved[sizeof(dir) + 8];

	(void)state;
	assert_int_equal(sluice_wal_undo_create(&undo, path, uuid, &diag), 0);
	assert_int_equal(fill(), 0);
	snprintf(moved, sizeof(moved), "%s-moved", dir);
	assert_int_equal(rename(dir, moved), 0);
	assert_int_equal(sluice_wal_undo_finish(&undo, SUPER_SEQUENCE, &diag), -ENOENT);
	assert_non_null(strstr(diag.text, path));
	assert_int_equal(rename(moved, dir), 0);
}

static const long calls[] = {SYS_openat, SYS_newfstatat, SYS_pwrite64, SYS_fsync, SYS_pread64};

/* One call fails: 0, or the line that was not as it should be. */
static int one_fault(long number, uint32_t nth, int error, int *ret_happened)
{
	const struct sys_fault fault = {.number = number, .nth = nth, .error = error};
	const bool harmless = error == EINTR || error == SYS_FAULT_HALF;
	int made, entries_read = 0;
	uint32_t fsyncs;

	unlink(path);
	diag = (struct sluice_diag){.text = ""};
	sys_fault_set(&fault, 1);
	made = make();
	if (!made)
		entries_read = read_through(uuid);
	*ret_happened = sys_fault_happened();
	fsyncs = sys_fault_calls(SYS_fsync);
	sys_fault_set(NULL, 0);
	if (!*ret_happened || (harmless && (number == SYS_pwrite64 || number == SYS_pread64)))
		return !made && entries_read == (int)LENGTH(entries) && fsyncs == 2 ? 0 : __LINE__;
	if (!made && entries_read >= 0)
		return __LINE__; /* it was taken for kept, or for read */
	if (error == EIO && number != SYS_newfstatat && (made ? made : entries_read) != -EIO)
		return __LINE__;
	if (!strstr(diag.text, path))
		return __LINE__;
	if (made && number != SYS_fsync && read_through(uuid) >= 0 && number == SYS_pwrite64)
		return __LINE__; /* a file that was never finished */
	return 0;
}

static int every_fault(void)
{
	static const int errors[] = {EIO, EINTR, SYS_FAULT_HALF, SYS_FAULT_NOTHING};
	int happened, wrong, n = 0;

	if (sys_fault_begin(calls, LENGTH(calls)))
		return 255;
	for (uint32_t i = 0; i < LENGTH(calls); i++)
		for (uint32_t e = 0; e < LENGTH(errors); e++) {
			/* done by half, or not and said so: those that count bytes */
			if (errors[e] < 0 && calls[i] != SYS_pwrite64 && calls[i] != SYS_pread64)
				continue;
			happened = 1;
			for (uint32_t nth = 1; happened; nth++) {
				wrong = one_fault(calls[i], nth, errors[e], &happened);
				if (wrong) {
					fprintf(stderr, "line %d: call %ld, the %u., error %d\n",
						wrong, calls[i], nth, errors[e]);
					return 1;
				}
				n += happened;
			}
		}
	return n < 40 ? 2 : 0;
}

static void test_wal_undo__every_system_call_fails(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		_exit(every_fault());
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 255) {
		print_message("skip: %s: no system call filters here\n", __func__);
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

#define with_dir(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_dir(test_wal_undo__gives_back_what_was_added),
		with_dir(test_wal_undo__names_that_cannot_be),
		with_dir(test_wal_undo__in_the_working_directory),
		with_dir(test_wal_undo__what_is_no_file),
		with_dir(test_wal_undo__no_part_is_a_whole),
		with_dir(test_wal_undo__heads_that_lie),
		with_dir(test_wal_undo__no_space),
		with_dir(test_wal_undo__the_name_must_be_kept_too),
		with_dir(test_wal_undo__every_system_call_fails),
	};

	return cmocka_run_group_tests_name("wal_undo", tests, NULL, NULL);
}
