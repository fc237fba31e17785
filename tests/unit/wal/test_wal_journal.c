/* SPDX-License-Identifier: MIT */
/*
 * test_wal_journal.c - the journal thread over a kernel that answers oddly: its bell cannot be
 * registered, rung or read; nothing can be collected. Each in a child, whose exit code says what
 * was wrong.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/unit/wal/fault_stage.h"

#define PAGE SLUICE_WAL_ALIGN
#define ROUNDS 50u

static const long filtered[] = {SYS_read, SYS_write, SYS_io_uring_register, SYS_io_uring_enter};

static int filter(void)
{
	return fault_begin(filtered, sizeof(filtered) / sizeof(filtered[0]));
}

static int64_t only_submit(const uint64_t *args)
{
	return args[1] > 0 ? SYS_FAULT_GO_ON : -EIO;
}

static int64_t no_eventfd(const uint64_t *args)
{
	return args[1] == IORING_REGISTER_EVENTFD ? -EINVAL : SYS_FAULT_GO_ON;
}

static int64_t no_bell(const uint64_t *args)
{
	return args[2] == sizeof(uint64_t) ? -EAGAIN : SYS_FAULT_GO_ON;
}

/* All of them arrive, with pauses in which both sides fall asleep, and without. */
static int write_rounds(struct wal_fixture *fixture)
{
	struct wal_disk disk;

	if (wal_disk_open(&disk, fixture))
		return 1;
	for (uint32_t i = 0; i < ROUNDS; i++) {
		if (fault_write_page(&disk, i * PAGE) != PAGE)
			return 2;
		if (i % 10 == 9)
			usleep(2000);
	}
	wal_disk_close(&disk);
	return 0;
}

static int bells(struct wal_fixture *fixture)
{
	int ret;

	if (filter())
		return FAULT_NO_FILTERS;
	fault_always(SYS_io_uring_register, SYS_FAULT_ASK, no_eventfd);
	ret = write_rounds(fixture);
	fault_always(SYS_write, SYS_FAULT_ASK, no_bell);
	if (!ret)
		ret = write_rounds(fixture);
	fault_always(SYS_read, SYS_FAULT_ASK, no_bell);
	if (!ret)
		ret = write_rounds(fixture);
	sys_fault_set(NULL, 0);
	return ret;
}

static void test_wal_journal__a_bell_that_does_not_ring_costs_only_time(void **state)
{
	fault_run(*state, bells, __func__);
}

/* The thread cannot see what becomes of the writes: the owner is told, and may submit no more. */
static int blind(struct wal_fixture *fixture)
{
	struct sluice_wal_io_done done;
	struct wal_disk disk;
	int64_t result;

	if (filter())
		return FAULT_NO_FILTERS;
	if (wal_disk_open(&disk, fixture))
		return 1;
	fault_always(SYS_io_uring_enter, SYS_FAULT_ASK, only_submit);
	for (uint32_t i = 0; i < ROUNDS; i++) {
		result = fault_write_page(&disk, 0);
		if (result == PAGE) /* a kernel that completes without being asked */
			continue;
		if (result != -EIO || wal_disk_write(&disk, 0, 0, PAGE, 1, 1) != -EIO)
			return 2;
		if (disk.io->ops->reap(disk.io, &done, 1, 1000) != -EIO)
			return 3;
		break;
	}
	usleep(20000);
	wal_disk_close(&disk); /* it answers calls all the same */
	return 0;
}

static void test_wal_journal__that_cannot_collect_says_so(void **state)
{
	struct wal_fixture *fixture = *state;

	skip_without_uring(fixture);
	fault_run(fixture, blind, __func__);
}

static atomic_bool queued;

static int64_t refuse_when_queued(const uint64_t *args)
{
	(void)args;
	for (int i = 0; !atomic_load(&queued) && i < 20000; i++)
		usleep(1000);
	return -ENXIO;
}

/* The kernel refuses a write while the next one is queued already: that one is refused, too. */
static int behind_a_refusal(struct wal_fixture *fixture)
{
	int64_t results[SLUICE_WAL_IN_FLIGHT_MAX];
	struct wal_disk disk;

	if (filter())
		return FAULT_NO_FILTERS;
	if (wal_disk_open(&disk, fixture))
		return 1;
	fault_always(SYS_io_uring_enter, SYS_FAULT_ASK, refuse_when_queued);
	if (wal_disk_write(&disk, 0, 0, PAGE, 1, 7) || wal_disk_write(&disk, 0, PAGE, PAGE, 2, 7))
		return 2;
	atomic_store(&queued, true);
	if (wal_disk_await(&disk, 2, results) || results[1] != -ENXIO || results[2] != -ENXIO)
		return 3;
	if (wal_disk_write(&disk, 0, 0, PAGE, 3, 7) != -ENXIO)
		return 4;
	sys_fault_set(NULL, 0);
	wal_disk_close(&disk);
	return 0;
}

static void test_wal_journal__a_write_behind_one_that_is_refused_is_refused(void **state)
{
	struct wal_fixture *fixture = *state;

	skip_without_uring(fixture);
	fault_run(fixture, behind_a_refusal, __func__);
}

static bool runs_on(uint32_t cpu)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *entry;
	bool found = false;
	cpu_set_t cpus;

	while (dir && !found && (entry = readdir(dir))) {
		char path[64], comm[32] = "";
		int fd;

		snprintf(path, sizeof(path), "/proc/self/task/%.20s/comm", entry->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		found = fd >= 0 && read(fd, comm, sizeof(comm) - 1) > 0 &&
			!strncmp(comm, "sluice-journal", 14) &&
			!sched_getaffinity(atoi(entry->d_name), sizeof(cpus), &cpus);
		if (fd >= 0)
			close(fd);
	}
	if (dir)
		closedir(dir);
	return found && CPU_COUNT(&cpus) == 1 && CPU_ISSET(cpu, &cpus);
}

/* Where its owner says, and the owner itself stays where it is. */
static void test_wal_journal__runs_where_it_is_put(void **state)
{
	struct wal_fixture *fixture = *state;
	struct sluice_wal *wal = NULL;
	cpu_set_t all, one, after;

	assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
	for (uint32_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &all))
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		fixture->options.thread_cpus = &one;
		assert_int_equal(wal_fixture_open(fixture, &wal), 0);
		assert_true(runs_on(cpu));
		assert_int_equal(sluice_wal_close(wal, false, NULL), 0);
	}
	assert_int_equal(sched_getaffinity(0, sizeof(after), &after), 0);
	assert_true(CPU_EQUAL(&all, &after));
	CPU_ZERO(&one); /* nowhere: it runs all the same */
	assert_int_equal(wal_fixture_open(fixture, &wal), 0);
	assert_int_equal(sluice_wal_close(wal, false, NULL), 0);
}

static int setup(void **state)
{
	struct wal_fixture *fixture = malloc(sizeof(*fixture));

	wal_fixture_make(fixture);
	fixture->options.backend = SLUICE_WAL_BACKEND_THREAD;
	*state = fixture;
	return 0;
}

#define with_log(test) cmocka_unit_test_setup_teardown(test, setup, wal_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_log(test_wal_journal__a_bell_that_does_not_ring_costs_only_time),
		with_log(test_wal_journal__runs_where_it_is_put),
		with_log(test_wal_journal__that_cannot_collect_says_so),
		with_log(test_wal_journal__a_write_behind_one_that_is_refused_is_refused),
	};

	return cmocka_run_group_tests_name("wal_journal", tests, NULL, NULL);
}
