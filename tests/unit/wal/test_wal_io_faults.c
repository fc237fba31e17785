/* SPDX-License-Identifier: MIT */
/*
 * test_wal_io_faults.c - single operations of the backends over a kernel that answers oddly:
 * signals for ever, short writes, entries that are never taken, completions lost, old kernels. Each
 * in a child, whose exit code says what was wrong.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "engine/wal/wal_probe.h"
#include "tests/unit/wal/fault_stage.h"

#define PAGE SLUICE_WAL_ALIGN

static const long filtered[] = {
	SYS_openat, SYS_pread64,	   SYS_pwritev2,       SYS_read,	   SYS_write,
	SYS_flock,  SYS_io_uring_register, SYS_io_uring_setup, SYS_io_uring_enter,
};

static int filter(void)
{
	return fault_begin(filtered, sizeof(filtered) / sizeof(filtered[0]));
}

/* ------------------------------------------------------------------------- plain calls */

static int64_t write_half(const uint64_t *args)
{
	const struct iovec *part = (const struct iovec *)(uintptr_t)args[1];
	const ssize_t n = pwrite((int)args[0], part->iov_base, part->iov_len / 2, (off_t)args[3]);

	return n < 0 ? -errno : n;
}

static int plain_calls(struct wal_fixture *fixture)
{
	struct wal_disk disk;
	void *page;

	if (filter())
		return FAULT_NO_FILTERS;
	if (wal_disk_open(&disk, fixture))
		return 1;
	page = disk.buffers;
	fault_always(SYS_pread64, EINTR, NULL);
	if (disk.io->ops->read(disk.io, 0, 0, page, PAGE) != -EINTR)
		return 2;
	fault_always(SYS_pread64, SYS_FAULT_NOTHING, NULL);
	if (disk.io->ops->read(disk.io, 0, 0, page, PAGE) != -ENODATA)
		return 3;
	fault_always(SYS_pwritev2, EINTR, NULL);
	if (disk.io->ops->write(disk.io, 0, 0, page, PAGE) != -EINTR)
		return 4;
	fault_always(SYS_pwritev2, SYS_FAULT_ASK, write_half);
	if (disk.io->ops->write(disk.io, 0, 0, page, PAGE) != -EIO)
		return 5;
	if (fault_write_page(&disk, 0) != PAGE / 2)
		return 6;
	fault_always(SYS_pwritev2, EDQUOT, NULL);
	if (disk.io->ops->write(disk.io, 0, 0, page, PAGE) != -EDQUOT)
		return 7;
	if (fault_write_page(&disk, 0) != -EDQUOT)
		return 8;
	sys_fault_set(NULL, 0);
	if (fault_write_page(&disk, 0) != PAGE || disk.io->ops->read(disk.io, 0, 0, page, PAGE))
		return 9;
	wal_disk_close(&disk);
	return 0;
}

static void test_wal_io_faults__of_plain_calls_come_as_they_are(void **state)
{
	struct wal_fixture *fixture = *state;

	fixture->options.backend = SLUICE_WAL_BACKEND_BLOCKING;
	fault_run(fixture, plain_calls, __func__);
}

static void test_wal_io_faults__blocking_takes_no_more_than_may_be_in_flight(void **state)
{
	struct wal_fixture *fixture = *state;
	int64_t results[SLUICE_WAL_IN_FLIGHT_MAX];
	struct wal_disk disk;

	fixture->options.backend = SLUICE_WAL_BACKEND_BLOCKING;
	assert_int_equal(wal_disk_open(&disk, fixture), 0);
	for (uint16_t i = 0; i < SLUICE_WAL_IN_FLIGHT_MAX; i++)
		assert_int_equal(wal_disk_write(&disk, 0, i * PAGE, PAGE, i, 1), 0);
	assert_int_equal(wal_disk_write(&disk, 0, 0, PAGE, 0, 2), -EBUSY);
	assert_int_equal(wal_disk_await(&disk, SLUICE_WAL_IN_FLIGHT_MAX, results), 0);
	assert_int_equal(wal_disk_write(&disk, 0, 0, PAGE, 0, 3), 0);
	assert_int_equal(wal_disk_await(&disk, 1, results), 0);
	wal_disk_close(&disk);
}

static void test_wal_io_faults__a_name_too_long_is_an_error_of_every_backend(void **state)
{
	struct wal_fixture *fixture = *state;
	char name[SLUICE_WAL_PATH_BYTES + 1];
	struct sluice_wal_io *io;

	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	for (uint32_t i = 0; i <= SLUICE_WAL_BACKEND_THREAD; i++) {
		fixture->diag.text[0] = '\0';
		assert_int_equal(sluice_wal_io_create(&io, name, i, &fixture->diag), -ENAMETOOLONG);
		assert_non_null(strstr(fixture->diag.text, "too long"));
	}
	name[sizeof(name) - 2] = '\0'; /* this long it may be */
	assert_int_equal(
		sluice_wal_io_create(&io, name, SLUICE_WAL_BACKEND_BLOCKING, &fixture->diag), 0);
	io->ops->close(io);
}

static bool also_buffered; /* is refused */

static int64_t no_direct(const uint64_t *args)
{
	if (args[2] & O_DIRECT)
		return -EINVAL;
	return also_buffered && (args[2] & O_DSYNC) == O_DSYNC ? -EACCES : SYS_FAULT_GO_ON;
}

static int without_direct(struct wal_fixture *fixture)
{
	struct wal_disk disk;
	const char *said;

	if (filter())
		return FAULT_NO_FILTERS;
	fault_always(SYS_openat, SYS_FAULT_ASK, no_direct);
	if (wal_disk_open(&disk, fixture))
		return 1;
	said = strstr(disk.io->text, "; buffered: the filesystem refuses O_DIRECT");
	if (!said || strstr(said + 1, "; buffered"))
		return 2;
	if (fault_write_page(&disk, 0) != PAGE)
		return 3;
	wal_disk_close(&disk);
	also_buffered = true;
	if (wal_disk_open(&disk, fixture) != -EACCES || !strstr(fixture->diag.text, "super"))
		return 4;
	sys_fault_set(NULL, 0);
	return 0;
}

static void test_wal_io_faults__without_o_direct_writes_are_buffered(void **state)
{
	struct wal_fixture *fixture = *state;

	fixture->options.backend = SLUICE_WAL_BACKEND_BLOCKING;
	fault_run(fixture, without_direct, __func__);
}

/* ---------------------------------------------------------------------------- io_uring */

/* The kernel neither refuses nor takes them: an error in the end, and no more entries after it. */
static int never_taken(struct wal_fixture *fixture)
{
	struct wal_disk disk;

	if (filter())
		return FAULT_NO_FILTERS;
	if (wal_disk_open(&disk, fixture))
		return 1;
	fault_always(SYS_io_uring_enter, SYS_FAULT_NOTHING, NULL);
	if (wal_disk_write(&disk, 0, 0, PAGE, 0, 1) != -EIO)
		return 2;
	if (wal_disk_write(&disk, 0, PAGE, PAGE, 1, 1) != -EBUSY)
		return 3;
	sys_fault_set(NULL, 0);
	wal_disk_close(&disk);
	return 0;
}

static void test_wal_io_faults__entries_that_are_never_taken_are_an_error(void **state)
{
	skip_without_uring((struct wal_fixture *)*state);
	fault_run(*state, never_taken, __func__);
}

/* Where the kernel keeps a ring's words: the same for every ring of these sizes. */
static unsigned char *map_of_ring(struct io_sqring_offsets *ret_sq,
				  struct io_cqring_offsets *ret_cq)
{
	struct io_uring_params params = {.flags = IORING_SETUP_CQSIZE, .cq_entries = 128};
	int fd = (int)syscall(SYS_io_uring_setup, 32, &params);
	FILE *file = fopen("/proc/self/maps", "re");
	unsigned char *found = NULL;
	char line[512];

	while (fd >= 0 && file && !found && fgets(line, sizeof(line), file)) {
		unsigned long long from, to, offset;

		if (strstr(line, "[io_uring]") &&
		    sscanf(line, "%llx-%llx %*s %llx", &from, &to, &offset) == 3 &&
		    offset == IORING_OFF_SQ_RING)
			found = (unsigned char *)(uintptr_t)from;
	}
	if (file)
		fclose(file);
	if (fd >= 0)
		close(fd);
	*ret_sq = params.sq_off;
	*ret_cq = params.cq_off;
	return found;
}

static unsigned int *overflows;

static int64_t lose_one(const uint64_t *args)
{
	/* relaxed: the thread that looks waits for this call */
	if (args[1] == 0)
		__atomic_store_n(overflows, 1, __ATOMIC_RELAXED);
	return SYS_FAULT_GO_ON;
}

static int completions_lost(struct wal_fixture *fixture)
{
	struct sluice_wal_io_done done;
	struct io_sqring_offsets sq;
	struct io_cqring_offsets cq;
	struct wal_disk disk;
	unsigned char *map;
	unsigned int *flags;
	int ret = 0;

	if (filter())
		return FAULT_NO_FILTERS;
	if (wal_disk_open(&disk, fixture))
		return 1;
	map = map_of_ring(&sq, &cq);
	if (!map)
		return 2;
	overflows = (unsigned int *)(void *)(map + cq.overflow);
	flags = (unsigned int *)(void *)(map + sq.flags);
	if (*overflows || (*flags & IORING_SQ_CQ_OVERFLOW) || fault_write_page(&disk, 0) != PAGE)
		return 3;
	fault_always(SYS_io_uring_enter, SYS_FAULT_ASK, lose_one);
	if (wal_disk_write(&disk, 0, 0, PAGE, 0, 1))
		return 4;
	for (int i = 0; !ret && i < 1000; i++)
		ret = disk.io->ops->reap(disk.io, &done, 1, 1000000);
	/* once something was lost, it stays an error */
	if ((ret != -EOVERFLOW && ret != 1) ||
	    (*overflows && disk.io->ops->reap(disk.io, &done, 1, 0) != -EOVERFLOW))
		return 5;
	sys_fault_set(NULL, 0);
	*overflows = 0;
	*flags |= IORING_SQ_CQ_OVERFLOW;
	if (disk.io->ops->reap(disk.io, &done, 1, 0) != -EOVERFLOW)
		return 6;
	*flags &= ~IORING_SQ_CQ_OVERFLOW;
	if (disk.io->ops->reap(disk.io, &done, 1, 0) < 0)
		return 7;
	*overflows = 1;
	if (disk.io->ops->reap(disk.io, &done, 1, 0) != -EOVERFLOW)
		return 8;
	wal_disk_close(&disk);
	return 0;
}

static void test_wal_io_faults__a_lost_completion_is_an_error(void **state)
{
	skip_without_uring((struct wal_fixture *)*state);
	fault_run(*state, completions_lost, __func__);
}

static unsigned int missing; /* the operation that the kernel does not have */

static int64_t old_operations(const uint64_t *args)
{
	struct io_uring_probe *probe = (struct io_uring_probe *)(uintptr_t)args[2];

	if (args[1] != IORING_REGISTER_PROBE)
		return SYS_FAULT_GO_ON;
	probe->last_op = IORING_OP_LAST - 1;
	probe->ops_len = IORING_OP_LAST;
	for (uint32_t i = 0; i < IORING_OP_LAST; i++) {
		probe->ops[i].op = (uint8_t)i;
		probe->ops[i].flags = (uint16_t)(i != missing ? IO_URING_OP_SUPPORTED : 0);
	}
	return 0;
}

static int old_kernels(struct wal_fixture *fixture)
{
	static const unsigned int needed[] = {IORING_OP_WRITE_FIXED, IORING_OP_WRITE,
					      IORING_OP_FSYNC};
	struct sluice_diag *diag = &fixture->diag;
	struct sluice_wal_io *io;

	if (filter())
		return FAULT_NO_FILTERS;
	for (size_t i = 0; i < 3; i++) {
		missing = needed[i];
		fault_always(SYS_io_uring_register, SYS_FAULT_ASK, old_operations);
		if (sluice_wal_io_uring_create(&io, fixture->dir, diag) != -ENOSYS ||
		    !strstr(diag->text, "too old"))
			return 1;
	}
	missing = IORING_OP_LAST;
	if (sluice_wal_io_uring_create(&io, fixture->dir, diag))
		return 2;
	io->ops->close(io);
	fault_always(SYS_io_uring_setup, EINVAL, NULL);
	if (sluice_wal_io_uring_create(&io, fixture->dir, diag) != -EINVAL ||
	    sys_fault_calls(SYS_io_uring_setup) != 3)
		return 3;
	if (sluice_wal_io_create(&io, fixture->dir, SLUICE_WAL_BACKEND_AUTO, diag) ||
	    !strstr(io->text, "blocking pwritev2 (io_uring is not available: Invalid argument"))
		return 4;
	io->ops->close(io);
	return 0;
}

static void test_wal_io_faults__an_old_kernel_is_told_as_one(void **state)
{
	skip_without_uring((struct wal_fixture *)*state);
	fault_run(*state, old_kernels, __func__);
}

/* The file is another one than it was when it was locked. */
static void test_wal_io_faults__a_segment_that_was_replaced_is_not_written(void **state)
{
	struct wal_fixture *fixture = *state;
	struct sluice_wal_io *io;
	char path[320], aside[330];
	void *buffer = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	skip_without_uring(fixture);
	assert_int_equal(sluice_wal_io_uring_create(&io, fixture->dir, &fixture->diag), 0);
	io->sync = SLUICE_WAL_SYNC_LINK;
	assert_int_equal(io->ops->open(io, SLUICE_WAL_IO_WRITE, &fixture->diag), 0);
	assert_int_equal(io->ops->lock(io, SLUICE_WAL_IO_LOG, 0, &fixture->diag), 0);
	wal_fixture_path(fixture, 3, path);
	snprintf(aside, sizeof(aside), "%s.aside", path);
	assert_int_equal(rename(path, aside), 0);
	close(open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600));
	assert_int_equal(io->ops->arm(io, buffer, 1, PAGE), -ESTALE);
	io->ops->close(io);
	assert_int_equal(unlink(aside), 0);
	munmap(buffer, PAGE);
}

/* ------------------------------------------------------------------------------ probe */

static int64_t only_submit(const uint64_t *args)
{
	return args[1] > 0 ? SYS_FAULT_GO_ON : -EIO;
}

/* A ring that takes and never gives back is no ring; one that merely refuses is not timed. */
static int probe_fails(struct wal_fixture *fixture)
{
	struct wal_disk disk;
	int ret;

	if (filter())
		return FAULT_NO_FILTERS;
	fault_always(SYS_io_uring_enter, SYS_FAULT_ASK, only_submit);
	ret = wal_disk_open(&disk, fixture);
	if (ret != -EIO && ret)
		return 1;
	if (!ret)
		wal_disk_close(&disk); /* a kernel that completes without being asked */
	fixture->options.backend = SLUICE_WAL_BACKEND_BLOCKING;
	fault_always(SYS_pwritev2, EIO, NULL);
	if (wal_disk_open(&disk, fixture))
		return 2;
	if (disk.io->calibrated_p50_ns || !sys_fault_happened())
		return 3;
	wal_disk_close(&disk);
	sys_fault_set(NULL, 0);
	if (wal_disk_open(&disk, fixture) || !disk.io->calibrated_p50_ns)
		return 4;
	wal_disk_close(&disk);
	return 0;
}

static void test_wal_io_faults__a_probe_that_fails_is_not_believed(void **state)
{
	skip_without_uring((struct wal_fixture *)*state);
	fault_run(*state, probe_fails, __func__);
}

static void test_wal_io_faults__a_probe_without_a_size_is_no_probe(void **state)
{
	struct sluice_wal_files files = {.fd = {0}};

	(void)state;
	files.fd[SLUICE_WAL_FILE_PROBE] = 1 << 20;
	assert_non_null(sluice_wal_probe_unusable(&files));
}

static int setup(void **state)
{
	struct wal_fixture *fixture = malloc(sizeof(*fixture));

	wal_fixture_make(fixture);
	fixture->options.backend = SLUICE_WAL_BACKEND_URING;
	*state = fixture;
	return 0;
}

static int setup_timed(void **state)
{
	struct wal_fixture *fixture = malloc(sizeof(*fixture));

	wal_fixture_make_timed(fixture);
	fixture->options.backend = SLUICE_WAL_BACKEND_URING;
	*state = fixture;
	return 0;
}

#define with_log(test) cmocka_unit_test_setup_teardown(test, setup, wal_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_log(test_wal_io_faults__of_plain_calls_come_as_they_are),
		with_log(test_wal_io_faults__without_o_direct_writes_are_buffered),
		with_log(test_wal_io_faults__blocking_takes_no_more_than_may_be_in_flight),
		with_log(test_wal_io_faults__a_name_too_long_is_an_error_of_every_backend),
		with_log(test_wal_io_faults__entries_that_are_never_taken_are_an_error),
		with_log(test_wal_io_faults__a_lost_completion_is_an_error),
		with_log(test_wal_io_faults__an_old_kernel_is_told_as_one),
		with_log(test_wal_io_faults__a_segment_that_was_replaced_is_not_written),
		cmocka_unit_test_setup_teardown(
			test_wal_io_faults__a_probe_that_fails_is_not_believed, setup_timed,
			wal_fixture_teardown),
		cmocka_unit_test(test_wal_io_faults__a_probe_without_a_size_is_no_probe),
	};

	return cmocka_run_group_tests_name("wal_io_faults", tests, NULL, NULL);
}
