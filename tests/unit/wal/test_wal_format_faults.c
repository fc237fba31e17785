/* SPDX-License-Identifier: MIT */
/*
 * test_wal_format_faults.c - every system call of format fails once: it either does without or says
 * which file and why. The directory is then empty, or holds a whole log if the last file had its
 * name; nothing stays behind in the process, and the next format succeeds.
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
#define STRIDE 3u
#define FILES_MADE (SLUICE_WAL_FILES - 1u)     /* all but the superblock, in this order: */
#define CLOSE_SUPER (1u + FILES_MADE + 1u)     /* the parent, they, the superblock */
#define FSYNC_SUPER (1u + FILES_MADE + 1u + 1) /* the parent, they, the directory, the superblock */
#define FORMATS_MAX 200u		       /* of one kind: more than there are calls of it */

struct kind {
	long number;
	const char *name;
	int error;
	uint32_t errors_min; /* so many of its calls must be errors */
	bool passes;	     /* none may be one */
};

static const struct kind kinds[] = {
	{SYS_mkdir, "mkdir", EACCES, 1, false},
	{SYS_openat, "open", EACCES, 1, false}, /* its first is the directory's */
	{SYS_openat, "open", EINVAL, 1, false}, /* and without O_DIRECT it is tried again */
	{SYS_flock, "flock", EAGAIN, 1, false},
	{SYS_flock, "flock", ENOLCK, 1, false},
	{SYS_newfstatat, "stat", EIO, 1, false},
	{SYS_ftruncate, "ftruncate", EFBIG, SLUICE_WAL_SEGMENTS + 4, false},
	{SYS_fallocate, "fallocate", ENOSPC, SLUICE_WAL_SEGMENTS + 3, false},
	{SYS_fallocate, "fallocate", EDQUOT, SLUICE_WAL_SEGMENTS + 3, false},
	{SYS_fallocate, "fallocate", EOPNOTSUPP, 0, true},
	{SYS_pwrite64, "pwrite", EIO, SLUICE_WAL_SEGMENTS + 4, false},
	{SYS_pwrite64, "pwrite", SYS_FAULT_NOTHING, SLUICE_WAL_SEGMENTS + 4, false},
	{SYS_pwrite64, "pwrite", SYS_FAULT_HALF, 0, true},
	{SYS_pwrite64, "pwrite", EINTR, 0, true},
	{SYS_fsync, "fsync", EIO, SLUICE_WAL_SEGMENTS + 5, false},
	{SYS_ioctl, "fiemap", EIO, SLUICE_WAL_SEGMENTS + 3, false},
	{SYS_ioctl, "fiemap", ENOTTY, 0, true},
	{SYS_getrandom, "getrandom", EIO, 1, false},
	{SYS_renameat2, "renameat2", EIO, 1, false},
	{SYS_renameat2, "renameat2", EINVAL, 0, true}, /* renameat does as well */
	{SYS_mmap, "mmap", ENOMEM, 1, false},
};

static const long filtered[] = {
	SYS_mkdir,    SYS_openat,     SYS_flock,   SYS_newfstatat, SYS_ftruncate, SYS_fallocate,
	SYS_pwrite64, SYS_fsync,      SYS_ioctl,   SYS_getrandom,  SYS_renameat2, SYS_renameat,
	SYS_mmap,     SYS_getdents64, SYS_fstatfs, SYS_close,	  SYS_pread64,
};

static int format(struct wal_fixture *fixture)
{
	fixture->diag = (struct sluice_diag){"", ""};
	return sluice_wal_format(fixture->dir, &fixture->options, &fixture->diag);
}

static int bad(const struct kind *kind, uint32_t nth, const struct wal_fixture *fixture, int ret,
	       const char *what)
{
	print_error("%s number %u answered by %d: %s; returned %d, \"%s\"\n", kind->name, nth,
		    kind->error, what, ret, fixture->diag.text);
	return 1;
}

/* What an error may leave: no file at all, or a log to which nothing is missing. */
static const char *judge_rest(struct wal_fixture *fixture)
{
	char path[320];

	wal_fixture_path(fixture, SLUICE_WAL_FILE_SUPER, path);
	if (!access(path, F_OK))
		return wal_fixture_count(fixture, NULL) ? "half a log is left" : NULL;
	return rmdir(fixture->dir) && errno != ENOENT ? "files are left" : NULL;
}

static const char *judge(const struct kind *kind, const struct wal_fixture *fixture, int ret)
{
	const char *text = fixture->diag.text;

	if (ret && kind->passes)
		return "this must do no harm";
	if (ret && !strstr(text, fixture->dir))
		return "no file is named";
	if (ret && kind->error > 0 && !strstr(text, strerror(kind->error)) &&
	    !strstr(text, "another format"))
		return "no reason is given";
	if (kind->error == ENOSPC && ret && !strstr(fixture->diag.hint, "MiB are free"))
		return "no hint is given";
	return NULL;
}

/* All files are made in the same way; the first calls and the last ones are others. */
static uint32_t next(uint32_t nth)
{
	return nth + (nth < 2 || nth > SLUICE_WAL_SEGMENTS ? 1 : STRIDE);
}

static int fail_each(const struct kind *kind, struct wal_fixture *fixture)
{
	uint32_t errors = 0;

	for (uint32_t nth = 1; nth <= FORMATS_MAX; nth = next(nth)) {
		const struct sys_fault fault = {kind->number, nth, kind->error, false, NULL};
		struct sys_holdings before;
		const char *wrong;
		bool happened;
		int ret;

		wal_fixture_remove(fixture);
		sys_holdings_take(&before);
		sys_fault_set(&fault, 1);
		ret = format(fixture);
		happened = sys_fault_happened();
		sys_fault_set(NULL, 0);
		if (!happened)
			return ret || errors < kind->errors_min / STRIDE ?
				       bad(kind, nth, fixture, ret, "too few calls failed") :
				       0;
		errors += ret != 0;
		wrong = sys_holdings_grown(&before);
		if (!wrong)
			wrong = judge(kind, fixture, ret);
		if (!wrong)
			wrong = judge_rest(fixture);
		if (wrong)
			return bad(kind, nth, fixture, ret, wrong);
	}
	return bad(kind, FORMATS_MAX, fixture, 0, "a format without end");
}

static int begin(struct wal_fixture *fixture)
{
	if (format(fixture) || wal_fixture_count(fixture, NULL))
		return 2;
	return fault_begin(filtered, sizeof(filtered) / sizeof(filtered[0]));
}

static int all_kinds(struct wal_fixture *fixture)
{
	int ret = begin(fixture);

	for (size_t i = 0; !ret && i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!sys_fault_is_sanitizers(kinds[i].number))
			ret = fail_each(&kinds[i], fixture);
	wal_fixture_remove(fixture);
	return ret ? ret : format(fixture) || wal_fixture_count(fixture, NULL);
}

/*
 * The second way to name the log fails as well; no space, and nobody knows how much there is; what
 * could not be synced cannot be closed either.
 */
static int in_pairs(struct wal_fixture *fixture)
{
	static const struct sys_fault pairs[][2] = {
		{{SYS_renameat2, 1, EINVAL, false, NULL}, {SYS_renameat, 1, EIO, false, NULL}},
		{{SYS_fallocate, 3, ENOSPC, false, NULL}, {SYS_fstatfs, 1, EIO, true, NULL}},
		{{SYS_fsync, 2, EIO, false, NULL}, {SYS_close, 2, EINTR, false, NULL}},
		{{SYS_fsync, FSYNC_SUPER, EIO, false, NULL},
		 {SYS_close, CLOSE_SUPER, EINTR, false, NULL}},
	};
	int ret = begin(fixture);

	for (size_t i = 0; !ret && i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		wal_fixture_remove(fixture);
		sys_fault_set(pairs[i], 2);
		ret = format(fixture);
		if (!ret || !sys_fault_happened())
			return 3;
		sys_fault_set(NULL, 0);
		if (fixture->diag.hint[0] || judge_rest(fixture) || !fixture->diag.text[0])
			return 4;
		ret = 0;
	}
	return ret;
}

/* Somebody who knows nothing of the lock has made a log of the same files: they stay. */
static int somebody_elses(struct wal_fixture *fixture)
{
	const struct sys_fault fault = {SYS_renameat2, 1, EEXIST, false, NULL};
	char path[320];
	int ret = begin(fixture);

	if (ret)
		return ret;
	wal_fixture_remove(fixture);
	sys_fault_set(&fault, 1);
	if (format(fixture) != -EEXIST)
		return 3;
	sys_fault_set(NULL, 0);
	wal_fixture_path(fixture, 0, path);
	return access(path, F_OK) ? 4 : 0;
}

static void test_wal_format_faults__of_a_name_that_is_taken(void **state)
{
	fault_run(*state, somebody_elses, __func__);
}

/* Without options it is a log of the default size; impossible limits are told at once. */
static int defaults(struct wal_fixture *fixture)
{
	const struct sys_fault no_space = {SYS_fallocate, 1, ENOSPC, false, NULL};
	struct sluice_wal_options options = {.core = {.orders_max = 1000}};
	const char *asked;
	int ret = begin(fixture);

	if (ret)
		return ret;
	wal_fixture_remove(fixture);
	for (int i = 0; i < 2; i++) {
		sys_fault_set(&no_space, 1);
		if (sluice_wal_format(fixture->dir, i ? &options : NULL, &fixture->diag) != -ENOSPC)
			return 3;
		asked = strstr(fixture->diag.hint, "needs ");
		if (!asked || strtoull(asked + 6, NULL, 10) <
				      SLUICE_WAL_SEGMENT_BYTES_DEFAULT * SLUICE_WAL_SEGMENTS >> 20)
			return 4;
		sys_fault_set(&no_space, 1);
		if (sluice_wal_format(fixture->dir, i ? &options : NULL, NULL) != -ENOSPC)
			return 5;
	}
	sys_fault_set(NULL, 0);
	options.core.symbols_max = UINT32_MAX;
	if (sluice_wal_format(fixture->dir, &options, &fixture->diag) != -EINVAL ||
	    !strstr(fixture->diag.text, "out of range"))
		return 6;
	return judge_rest(fixture) ? 7 : 0;
}

static void test_wal_format_faults__of_the_default_size(void **state)
{
	fault_run(*state, defaults, __func__);
}

/* Whether files that are there hold data cannot be told: they stay. */
static int leftovers(struct wal_fixture *fixture)
{
	static const struct sys_fault faults[] = {
		{SYS_openat, 2, EACCES, false, NULL}, /* the first is the directory's */
		{SYS_openat, 1 + FILES_MADE - 1, EIO, false, NULL},
		{SYS_pread64, 1, EIO, false, NULL},
		{SYS_pread64, SLUICE_WAL_SEGMENTS, EIO, false, NULL},
		{SYS_pread64, 2, EINTR, false, NULL}, /* is asked again */
	};
	char path[320];
	int ret = begin(fixture);

	wal_fixture_path(fixture, SLUICE_WAL_FILE_SUPER, path);
	for (size_t i = 0; !ret && i < sizeof(faults) / sizeof(faults[0]); i++) {
		struct sys_holdings before;
		int expected = faults[i].error == EINTR ? 0 : -faults[i].error;

		if (unlink(path))
			return 3;
		sys_holdings_take(&before);
		sys_fault_set(&faults[i], 1);
		if (format(fixture) != expected || !sys_fault_happened())
			ret = 4;
		sys_fault_set(NULL, 0);
		if (!ret && (sys_holdings_grown(&before) || format(fixture) !=
							     (expected ? 0 : -EEXIST)))
			ret = 5;
		if (!ret && wal_fixture_count(fixture, NULL))
			ret = 6;
	}
	return ret;
}

static void test_wal_format_faults__of_what_is_there(void **state)
{
	fault_run(*state, leftovers, __func__);
}

/* What is on the disk is right, and still a file that could not be closed is no good one. */
static int close_fails(struct wal_fixture *fixture)
{
	int ret = begin(fixture);

	/* the first is the parent directory's, and has nothing to lose */
	for (uint32_t nth = 2; !ret; nth = next(nth)) {
		const struct sys_fault fault = {SYS_close, nth, EIO, false, NULL};

		wal_fixture_remove(fixture);
		sys_fault_set(&fault, 1);
		ret = format(fixture);
		if (!sys_fault_happened())
			return ret || nth < SLUICE_WAL_FILES;
		sys_fault_set(NULL, 0);
		if (ret && (ret != -EIO || !strstr(fixture->diag.text, fixture->dir)))
			return 3;
		/* nor has the directory's own */
		if (!ret && nth < SLUICE_WAL_FILES)
			return 4;
		if (judge_rest(fixture))
			return 5;
		ret = 0;
	}
	return ret;
}

static void test_wal_format_faults__of_every_call(void **state)
{
	fault_run(*state, all_kinds, __func__);
	assert_int_equal(wal_fixture_count(*state, NULL), 0);
}

static void test_wal_format_faults__of_the_second_way_too(void **state)
{
	fault_run(*state, in_pairs, __func__);
}

static void test_wal_format_faults__of_closing(void **state)
{
	fault_run(*state, close_fails, __func__);
}

/* Hundreds of formats: in memory where there is a place. */
static int setup(void **state)
{
	struct wal_fixture *fixture = malloc(sizeof(*fixture));
	const char *tmp = getenv("TMPDIR");
	char *before = strdup(tmp ? tmp : "/tmp");

	if (!access("/dev/shm", W_OK))
		setenv("TMPDIR", "/dev/shm", 1);
	wal_fixture_make_dir(fixture);
	setenv("TMPDIR", before, 1);
	free(before);
	fixture->options.segment_bytes = SEGMENT_BYTES;
	*state = fixture;
	return 0;
}

#define with_dir(test) cmocka_unit_test_setup_teardown(test, setup, wal_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_dir(test_wal_format_faults__of_every_call),
		with_dir(test_wal_format_faults__of_the_second_way_too),
		with_dir(test_wal_format_faults__of_closing),
		with_dir(test_wal_format_faults__of_a_name_that_is_taken),
		with_dir(test_wal_format_faults__of_what_is_there),
		with_dir(test_wal_format_faults__of_the_default_size),
	};

	return cmocka_run_group_tests_name("wal_format_faults", tests, NULL, NULL);
}
