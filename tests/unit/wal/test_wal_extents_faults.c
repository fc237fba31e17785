/* SPDX-License-Identifier: MIT */
/*
 * test_wal_extents_faults.c - space that was never written, where calls fail while it is mended;
 * and maps of files as other filesystems give them: shared, for ever unwritten, out of order,
 * empty, of more extents than there is room for. On /var/tmp, because a TMPDIR in memory has none.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/wal/wal_extents.h"
#include "tests/unit/wal/fault_stage.h"

#define PLACE "/var/tmp"
#define KIB 1024u
#define FILE_BYTES (512u * KIB)
#define HOLE_BYTES (128u * KIB) /* at its begin */
#define FOREVER 100u		/* lives, more than there are calls */

static const long filtered[] = {SYS_pread64, SYS_pwrite64, SYS_ioctl,
				SYS_fsync,   SYS_mmap,	   SYS_newfstatat};

static int filter(void)
{
	return fault_begin(filtered, sizeof(filtered) / sizeof(filtered[0]));
}

/* A hole, then bytes that are not zero. */
static int make_file(struct wal_fixture *fixture)
{
	static unsigned char bytes[FILE_BYTES - HOLE_BYTES];
	char path[320];
	int fd;

	wal_fixture_path(fixture, SLUICE_WAL_FILE_SUPER, path);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	memset(bytes, 0x5a, sizeof(bytes));
	if (fd < 0 || pwrite(fd, bytes, sizeof(bytes), HOLE_BYTES) != sizeof(bytes) || fsync(fd))
		return -1;
	return fd;
}

static bool is_whole(int fd)
{
	static unsigned char bytes[FILE_BYTES];

	if (pread(fd, bytes, sizeof(bytes), 0) != sizeof(bytes))
		return false;
	for (uint32_t i = 0; i < FILE_BYTES; i++)
		if (bytes[i] != (i < HOLE_BYTES ? 0 : 0x5a))
			return false;
	return true;
}

/* ------------------------------------------------------------------------- failing calls */

static int bad(long number, uint32_t nth, int error, const char *what)
{
	print_error("call %ld, number %u answered by %d: %s\n", number, nth, error, what);
	return -1;
}

static const char *judge(int error, bool passes, int ret, uint64_t left)
{
	if (!ret != passes)
		return ret ? "this must do no harm" : "this must be an error";
	if (ret ? left != 77 : left != 0)
		return "what is left is wrong";
	if (error > 0 && ret && ret != (error == ENOTTY ? -EOPNOTSUPP : -error))
		return "another error";
	return NULL;
}

/* The n-th call of a kind, for every n, while a hole is mended. */
static int fail_each(struct wal_fixture *fixture, long number, int error, bool passes)
{
	for (uint32_t nth = 1; nth < FOREVER; nth++) {
		const struct sys_fault fault = {number, nth, error, false, NULL};
		const int fd = make_file(fixture);
		struct sys_holdings before;
		uint64_t left = 77;
		const char *wrong;
		bool happened;
		int ret;

		sys_holdings_take(&before);
		sys_fault_set(&fault, 1);
		ret = sluice_wal_extents_mend(fd, FILE_BYTES, &left);
		happened = sys_fault_happened();
		sys_fault_set(NULL, 0);
		if (!happened)
			return close(fd) || ret || left || nth < 2 ?
				       bad(number, nth, error, "there were too few calls") :
				       0;
		wrong = sys_holdings_grown(&before);
		if (!wrong)
			wrong = judge(error, passes, ret, left);
		if (wrong)
			return bad(number, nth, error, wrong);
		if (sluice_wal_extents_mend(fd, FILE_BYTES, &left) || left || !is_whole(fd))
			return bad(number, nth, error, "the next time does not mend it");
		close(fd);
	}
	return -1;
}

static int failing_calls(struct wal_fixture *fixture)
{
	static const struct {
		long number;
		int error;
		bool passes;
	} kinds[] = {
		{SYS_pread64, EIO, false},
		{SYS_pread64, EINTR, true},
		{SYS_pread64, SYS_FAULT_HALF, true},
		{SYS_pread64, SYS_FAULT_NOTHING, false},
		{SYS_pwrite64, ENOSPC, false},
		{SYS_pwrite64, EINTR, true},
		{SYS_pwrite64, SYS_FAULT_HALF, true},
		{SYS_pwrite64, SYS_FAULT_NOTHING, false},
		{SYS_fsync, EIO, false},
		{SYS_ioctl, EIO, false},
		{SYS_ioctl, ENOTTY, false},
		{SYS_mmap, ENOMEM, false},
	};

	if (filter())
		return FAULT_NO_FILTERS;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!sys_fault_is_sanitizers(kinds[i].number) &&
		    fail_each(fixture, kinds[i].number, kinds[i].error, kinds[i].passes))
			return (int)i + 1;
	return 0;
}

/* -------------------------------------------------------------------------- strange maps */

static struct fiemap *ask_kernel(const uint64_t *args)
{
	struct fiemap *map = (struct fiemap *)(uintptr_t)args[2];

	return ioctl((int)args[0], (unsigned long)args[1], map) ? NULL : map;
}

static int64_t with_flag(const uint64_t *args, uint32_t flag)
{
	struct fiemap *map = ask_kernel(args);

	for (uint32_t i = 0; map && i < map->fm_mapped_extents; i++)
		map->fm_extents[i].fe_flags |= flag;
	return map ? 0 : -EIO;
}

static int64_t all_shared(const uint64_t *args)
{
	return with_flag(args, FIEMAP_EXTENT_SHARED);
}

static int64_t never_written(const uint64_t *args)
{
	return with_flag(args, FIEMAP_EXTENT_UNWRITTEN);
}

/* n extents of a page each, each of which comes twice, and one from long ago. */
static int64_t pages(const uint64_t *args, uint32_t mapped, uint32_t length)
{
	struct fiemap *map = (struct fiemap *)(uintptr_t)args[2];

	for (uint32_t i = 0; i < map->fm_extent_count; i++)
		map->fm_extents[i] = (struct fiemap_extent){
			.fe_logical = i == 2 ? 0 : map->fm_start + i / 2 * SLUICE_WAL_ALIGN,
			.fe_length = length,
		};
	map->fm_mapped_extents = mapped;
	return 0;
}

static int64_t too_many(const uint64_t *args)
{
	return pages(args, 1u << 20, SLUICE_WAL_ALIGN);
}

static int64_t empty_ones(const uint64_t *args)
{
	return pages(args, 2, 0);
}

static int strange_maps(struct wal_fixture *fixture)
{
	struct sluice_wal_extents_found found = {0};
	const int fd = make_file(fixture);
	uint64_t left = 77;

	if (filter())
		return FAULT_NO_FILTERS;
	if (fd < 0)
		return 1;
	fault_always(SYS_ioctl, SYS_FAULT_ASK, too_many);
	if (sluice_wal_extents_look(fd, FILE_BYTES, &found) || found.unwritten_bytes ||
	    found.shared_bytes)
		return 2;
	fault_always(SYS_ioctl, SYS_FAULT_ASK, empty_ones);
	if (sluice_wal_extents_look(fd, FILE_BYTES, &found) != -EIO)
		return 3;
	fault_always(SYS_ioctl, SYS_FAULT_ASK, all_shared);
	if (sluice_wal_extents_look(fd, FILE_BYTES, &found) ||
	    found.unwritten_bytes != HOLE_BYTES || found.shared_bytes != FILE_BYTES - HOLE_BYTES)
		return 4;
	fault_always(SYS_ioctl, SYS_FAULT_ASK, never_written);
	if (sluice_wal_extents_mend(fd, FILE_BYTES, &left) || left != FILE_BYTES || !is_whole(fd))
		return 5;
	return close(fd) ? 6 : 0;
}

/* What the log says of them, and its format. */
static int told(struct wal_fixture *fixture)
{
	struct sluice_wal *wal;

	if (filter())
		return FAULT_NO_FILTERS;
	fault_always(SYS_ioctl, SYS_FAULT_ASK, never_written);
	if (sluice_wal_format(fixture->dir, &fixture->options, &fixture->diag))
		return 1;
	if (wal_fixture_open(fixture, &wal))
		return 2;
	if (!strstr(sluice_wal_mended_text(wal), "the filesystem still calls") ||
	    !strstr(sluice_wal_mended_text(wal), "first wal-00, were never written and now are"))
		return 3;
	sluice_wal_close(wal, false, NULL);
	fault_always(SYS_ioctl, SYS_FAULT_ASK, all_shared);
	if (wal_fixture_open(fixture, &wal))
		return 4;
	if (strncmp(sluice_wal_mended_text(wal), "1", 1) ||
	    !strstr(sluice_wal_mended_text(wal), " KiB are shared with a copy"))
		return 5;
	sluice_wal_close(wal, false, NULL);
	return 0;
}

static void run(struct wal_fixture *fixture, int (*body)(struct wal_fixture *), const char *test)
{
	struct sluice_wal_extents_found found;
	const int fd = make_file(fixture);
	char path[320];

	if (sluice_wal_extents_look(fd, FILE_BYTES, &found) == -EOPNOTSUPP) {
		close(fd);
		print_message("skip: %s: the filesystem of " PLACE " has no FIEMAP\n", test);
		skip();
	}
	close(fd);
	wal_fixture_path(fixture, SLUICE_WAL_FILE_SUPER, path);
	unlink(path);
	fault_run(fixture, body, test);
}

static void test_wal_extents_faults__mending_goes_on_next_time(void **state)
{
	run(*state, failing_calls, __func__);
}

static void test_wal_extents_faults__maps_are_not_trusted(void **state)
{
	run(*state, strange_maps, __func__);
}

static void test_wal_extents_faults__what_stays_unwritten_or_shared_is_said(void **state)
{
	run(*state, told, __func__);
	assert_int_equal(wal_fixture_count(*state, NULL), 0);
}

static int setup(void **state)
{
	struct wal_fixture *fixture = malloc(sizeof(*fixture));

	setenv("TMPDIR", PLACE, 1);
	wal_fixture_make_dir(fixture);
	*state = fixture;
	return 0;
}

#define with_dir(test) cmocka_unit_test_setup_teardown(test, setup, wal_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_dir(test_wal_extents_faults__mending_goes_on_next_time),
		with_dir(test_wal_extents_faults__maps_are_not_trusted),
		with_dir(test_wal_extents_faults__what_stays_unwritten_or_shared_is_said),
	};

	return cmocka_run_group_tests_name("wal_extents_faults", tests, NULL, NULL);
}
