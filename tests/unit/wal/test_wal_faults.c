/* SPDX-License-Identifier: MIT */
/*
 * test_wal_faults.c - every system call of a log's life fails once, below every backend: open and
 * start either do without it or fail with a text that names the file and the reason; nothing stays
 * behind, neither descriptor nor memory nor thread; and the next life is a good one. Each backend
 * has a child of its own, whose exit code says whether all was well.
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
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/unit/wal/fault_stage.h"

#define SEGMENT_BYTES (4u * SLUICE_WAL_SEGMENT_BYTES_MIN)
#define SUPER_BYTES (SLUICE_WAL_SUPER_COPIES * SLUICE_WAL_ALIGN)
#define ALL_FILES SLUICE_WAL_FILE_PROBE /* they must be there */
#define LIVES_MAX 200u			/* of one kind: more than there are calls of it */

enum expected { FAILS, PASSES, EITHER };

struct kind {
	long number;
	const char *name;
	int error;
	enum expected expected;
	uint32_t errors_min; /* of the calls, at least so many */
	bool names_file;     /* the text does */
};

static const struct kind kinds[] = {
	{SYS_openat, "openat", EACCES, EITHER, ALL_FILES, true},
	{SYS_openat, "openat", EINVAL, EITHER, 1, true}, /* O_DIRECT is not possible */
	{SYS_newfstatat, "fstat", EIO, EITHER, ALL_FILES, true},
	{SYS_fcntl, "fcntl", SYS_FAULT_NOTHING, FAILS, 0, true}, /* no O_DSYNC after all */
	{SYS_fcntl, "fcntl", EBADF, FAILS, 0, true},
	{SYS_flock, "flock", ENOLCK, FAILS, 0, true},
	{SYS_flock, "flock", EINTR, PASSES, 0, true},
	{SYS_ioctl, "fiemap", EIO, FAILS, 0, true},
	{SYS_ioctl, "fiemap", ENOTTY, PASSES, 0, true},
	{SYS_ioctl, "fiemap", EBADR, PASSES, 0, true},
	{SYS_fsync, "fsync", EIO, FAILS, 0, true},
	{SYS_pread64, "pread", EIO, EITHER, 0, true},
	{SYS_pread64, "pread", SYS_FAULT_NOTHING, EITHER, 0, true},
	{SYS_pread64, "pread", EINTR, PASSES, 0, true},
	{SYS_pread64, "pread", SYS_FAULT_HALF, PASSES, 0, true},
	{SYS_pwritev2, "pwritev2", EIO, EITHER, 0, true},
	{SYS_pwritev2, "pwritev2", SYS_FAULT_NOTHING, EITHER, 0, true},
	{SYS_mmap, "mmap", ENOMEM, EITHER, 0, false},
	{SYS_eventfd2, "eventfd", EMFILE, FAILS, 0, false},
	{SYS_clone3, "clone", EAGAIN, FAILS, 0, false},
	{SYS_io_uring_setup, "io_uring_setup", EPERM, EITHER, 0, false},
	{SYS_io_uring_setup, "io_uring_setup", ENOMEM, EITHER, 0, false},
	{SYS_io_uring_setup, "io_uring_setup", EMFILE, EITHER, 0, false},
	{SYS_io_uring_setup, "io_uring_setup", EINVAL, PASSES, 0, false}, /* an older form */
	{SYS_io_uring_register, "io_uring_register", ENOMEM, EITHER, 0, false},
	{SYS_io_uring_register, "io_uring_register", EINVAL, EITHER, 0, false},
};

static const long filtered[] = {
	SYS_openat,
	SYS_newfstatat,
	SYS_fcntl,
	SYS_flock,
	SYS_ioctl,
	SYS_fsync,
	SYS_pread64,
	SYS_pwritev2,
	SYS_mmap,
	SYS_eventfd2,
	SYS_clone3,
	SYS_io_uring_setup,
	SYS_io_uring_register,
};

static unsigned char super[SUPER_BYTES]; /* of the new log */

/* As it was before its first life. */
static void renew(struct wal_fixture *fixture)
{
	static const unsigned char zeros[SEGMENT_BYTES];

	wal_fixture_poke(fixture, 0, 0, zeros, sizeof(zeros));
	wal_fixture_poke(fixture, SLUICE_WAL_FILE_SUPER, 0, super, sizeof(super));
}

/* Everything a log does on a disk. Its error; the diag has the text of it. */
static int live(struct wal_fixture *fixture)
{
	struct sluice_wal *wal;
	int ret, closed;

	fixture->diag = (struct sluice_diag){"", ""};
	ret = wal_fixture_open(fixture, &wal);
	if (ret)
		return ret;
	ret = wal_fixture_start_wal(fixture, wal);
	if (!ret)
		ret = wal_fixture_block(wal, 5);
	if (!ret)
		ret = wal_fixture_settle(wal);
	closed = sluice_wal_close(wal, true, &fixture->diag);
	return ret ? ret : closed;
}

static bool names_a_file(const char *text)
{
	return strstr(text, "super") || strstr(text, "wal-") || strstr(text, "snap-") ||
	       strstr(text, "probe") || strstr(text, "/sluice-") ||
	       strstr(text, "the log's buffers") || !strncmp(text, ".: ", 3);
}

static int bad(const struct kind *kind, uint32_t nth, const struct wal_fixture *fixture, int ret,
	       const char *what)
{
	print_error("backend %u, sync %u: %s number %u answered by %d: %s; returned %d, \"%s\"\n",
		    fixture->options.backend, fixture->options.sync, kind->name, nth, kind->error,
		    what, ret, fixture->diag.text);
	return 1;
}

static int judge(const struct kind *kind, uint32_t nth, const struct wal_fixture *fixture, int ret)
{
	const char *text = fixture->diag.text;

	if (ret && kind->expected == PASSES)
		return bad(kind, nth, fixture, ret, "this must do no harm");
	if (!ret && kind->expected == FAILS)
		return bad(kind, nth, fixture, ret, "this must be an error");
	if (!ret)
		return 0;
	if (!text[0] || (kind->names_file && !names_a_file(text)))
		return bad(kind, nth, fixture, ret, "no file is named");
	if (kind->error > 0 && ret == -kind->error && !strstr(text, strerror(kind->error)))
		return bad(kind, nth, fixture, ret, "no reason is given");
	return 0;
}

/* The n-th call of the kind in one life, for every n, or where a life takes long, for some. */
static int fail_each(const struct kind *kind, struct wal_fixture *fixture, uint32_t stride)
{
	uint32_t errors = 0;

	for (uint32_t nth = 1; nth <= LIVES_MAX; nth += stride) {
		const struct sys_fault fault = {kind->number, nth, kind->error, false, NULL};
		struct sys_holdings before;
		const char *grown;
		bool happened;
		int ret;

		renew(fixture);
		sys_holdings_take(&before);
		sys_fault_set(&fault, 1);
		ret = live(fixture);
		happened = sys_fault_happened();
		sys_fault_set(NULL, 0);
		if (!happened)
			return ret || errors < kind->errors_min / stride ?
				       bad(kind, nth, fixture, ret, "too few calls failed") :
				       0;
		errors += ret != 0;
		grown = sys_holdings_grown(&before);
		if (grown)
			return bad(kind, nth, fixture, ret, grown);
		if (judge(kind, nth, fixture, ret))
			return 1;
		if (ret && live(fixture))
			return bad(kind, nth, fixture, ret, "once more, and it still fails");
	}
	return bad(kind, LIVES_MAX, fixture, 0, "a life without end");
}

static uint32_t stride; /* the child's */

/* Where a life takes long: what only a real disk answers. */
static bool skipped(const struct kind *kind)
{
	if (sys_fault_is_sanitizers(kind->number))
		return true;
	return stride > 8 && kind->number != SYS_ioctl && kind->number != SYS_openat;
}

static int all_kinds(struct wal_fixture *fixture)
{
	if (live(fixture) || live(fixture)) /* also what libc takes once and keeps */
		return 2;
	if (sys_fault_begin(filtered, sizeof(filtered) / sizeof(filtered[0])))
		return FAULT_NO_FILTERS;
	if (live(fixture))
		return 3;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!skipped(&kinds[i]) &&
		    fail_each(&kinds[i], fixture, kinds[i].names_file ? stride : 1))
			return 1;
	return 0;
}

static void survives(struct wal_fixture *fixture, uint32_t backend, uint32_t every,
		     const char *test)
{
	fixture->options.backend = backend;
	stride = every;
	wal_fixture_peek(fixture, SLUICE_WAL_FILE_SUPER, 0, super, sizeof(super));
	fault_run(fixture, all_kinds, test);
	assert_true(wal_fixture_count(fixture, NULL) > 0);
}

static void test_wal_faults__of_the_blocking_backend(void **state)
{
	survives(*state, SLUICE_WAL_BACKEND_BLOCKING, 1, __func__);
}

static void test_wal_faults__of_io_uring(void **state)
{
	struct wal_fixture *fixture = *state;

	skip_without_uring(fixture);
	fixture->options.sync = SLUICE_WAL_SYNC_LINK;
	survives(fixture, SLUICE_WAL_BACKEND_URING, 3, __func__);
}

static void test_wal_faults__of_the_journal_thread(void **state)
{
	survives(*state, SLUICE_WAL_BACKEND_THREAD, 3, __func__);
}

/* A filesystem that has O_DIRECT and tells of its extents. */
static void test_wal_faults__of_a_real_disk(void **state)
{
	survives(*state, SLUICE_WAL_BACKEND_AUTO, 9, __func__);
}

/* With an empty probe: nothing is timed. */
static int setup(void **state)
{
	struct wal_fixture *fixture = malloc(sizeof(*fixture));
	char path[320];

	wal_fixture_make_dir(fixture);
	fixture->options.segment_bytes = SEGMENT_BYTES;
	*state = fixture;
	wal_fixture_path(fixture, SLUICE_WAL_FILE_PROBE, path);
	return sluice_wal_format(fixture->dir, &fixture->options, &fixture->diag) ||
	       truncate(path, 0);
}

/* Thousands of lives: in memory where there is a place. */
static int setup_memory(void **state)
{
	const char *tmp = getenv("TMPDIR");
	char *before = strdup(tmp ? tmp : "/tmp");
	int ret;

	if (!access("/dev/shm", W_OK))
		setenv("TMPDIR", "/dev/shm", 1);
	ret = setup(state);
	setenv("TMPDIR", before, 1);
	free(before);
	return ret;
}

#define in_memory(test) cmocka_unit_test_setup_teardown(test, setup_memory, wal_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_memory(test_wal_faults__of_the_blocking_backend),
		in_memory(test_wal_faults__of_io_uring),
		in_memory(test_wal_faults__of_the_journal_thread),
		cmocka_unit_test_setup_teardown(test_wal_faults__of_a_real_disk, setup,
						wal_fixture_teardown),
	};

	return cmocka_run_group_tests_name("wal_faults", tests, NULL, NULL);
}
