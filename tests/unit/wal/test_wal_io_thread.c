/* SPDX-License-Identifier: MIT */
/*
 * test_wal_io_thread.c - the journal thread gives what its inner backend gives: results, errors,
 * texts, bytes; it sleeps when there is nothing to do, and is gone after close.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/clock.h"
#include "tests/lib/forbid.h"
#include "tests/lib/wal_disk.h"

#define KIB 1024u
#define BLOCKS 60u

static int setup(void **state)
{
	struct wal_fixture *fixture = malloc(sizeof(*fixture));

	wal_fixture_make_timed(fixture);
	fixture->options.backend = SLUICE_WAL_BACKEND_THREAD;
	*state = fixture;
	return 0;
}

static uint32_t count_threads(void)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *entry;
	uint32_t n = 0;

	while (dir && (entry = readdir(dir)))
		n += entry->d_name[0] != '.';
	if (dir)
		closedir(dir);
	return n;
}

/* A thread that was joined, or a worker of a ring that is gone, leaves the list a little later. */
static void assert_threads(uint32_t threads)
{
	for (int tries = 0; tries < 5000 && count_threads() != threads; tries++)
		usleep(1000);
	assert_int_equal(count_threads(), threads);
}

static uint64_t cpu_ms(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 +
	       (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000;
}

static void live(struct wal_fixture *fixture, const char *text)
{
	struct sluice_wal *wal = NULL;

	assert_int_equal(wal_fixture_open(fixture, &wal), 0);
	assert_int_equal(strncmp(sluice_wal_backend_text(wal), text, strlen(text)), 0);
	assert_true(sluice_wal_calibrated_ns(wal) > 0);
	assert_int_equal(wal_fixture_start_wal(fixture, wal), 0);
	for (uint32_t i = 0; i < BLOCKS; i++)
		assert_int_equal(wal_fixture_block(wal, 1 + i * 17), 0);
	assert_int_equal(wal_fixture_settle(wal), 0);
	assert_int_equal(sluice_wal_close(wal, true, NULL), 0);
}

static void test_wal_io_thread__lives_and_is_gone_after_close(void **state)
{
	static const char *const texts[] = {
		"thread, io_uring, sync=", "thread, io_uring, sync=dsync",
		"thread, io_uring, sync=link"};
	struct wal_fixture *fixture = *state;
	uint32_t threads;

	/* a sanitizer may have a thread of its own from the first one on */
	assert_int_equal(sluice_wal_close(wal_fixture_start(fixture), true, NULL), 0);
	threads = count_threads();
	for (uint32_t sync = SLUICE_WAL_SYNC_AUTO; sync <= SLUICE_WAL_SYNC_LINK; sync++) {
		fixture->options.sync = sync;
		live(fixture,
		     wal_disk_uring_allowed(fixture) ? texts[sync] : "thread, blocking pwritev2 (");
		assert_threads(threads);
		assert_int_equal(wal_fixture_count(fixture, NULL),
				 (sync + 1) * (BLOCKS + 17 * (BLOCKS - 1) * BLOCKS / 2));
	}
}

static int without_uring(struct wal_fixture *fixture)
{
	struct sluice_wal *wal = NULL;

	if (forbid_syscall(SYS_io_uring_setup))
		return 77;
	if (wal_fixture_open(fixture, &wal) ||
	    !strstr(sluice_wal_backend_text(wal), "thread, blocking pwritev2 (io_uring is not"))
		return 1;
	if (wal_fixture_start_wal(fixture, wal))
		return 2;
	for (uint32_t i = 0; i < BLOCKS; i++)
		if (wal_fixture_block(wal, 10))
			return 3;
	return sluice_wal_close(wal, true, NULL) ? 4 : 0;
}

static void test_wal_io_thread__is_blocking_where_io_uring_is_forbidden(void **state)
{
	int status = wal_disk_in_child(without_uring, *state);

	if (status == 77) {
		print_message("skip: %s: no system call filters here\n", __func__);
		skip();
	}
	assert_int_equal(status, 0);
	assert_int_equal(wal_fixture_count(*state, NULL), BLOCKS * 10);
}

/* Pauses let both sides fall asleep in every combination. */
static void test_wal_io_thread__wakes_for_every_write(void **state)
{
	int64_t results[SLUICE_WAL_IN_FLIGHT_MAX];
	unsigned char page[4096];
	struct wal_disk disk;
	uint64_t seed = wal_fixture_seed("wakes");

	assert_int_equal(wal_disk_open(&disk, *state), 0);
	for (uint32_t i = 0; i < 300; i++) {
		const uint32_t n = 1 +
				   (uint32_t)wal_fixture_random(&seed) % SLUICE_WAL_IN_FLIGHT_MAX;

		if (wal_fixture_random(&seed) % 2)
			usleep((useconds_t)(wal_fixture_random(&seed) % 400));
		for (uint16_t k = 0; k < n; k++)
			assert_int_equal(wal_disk_write(&disk, 2, k * 64 * KIB, 4096, k,
							(unsigned char)(i + k)),
					 0);
		if (wal_fixture_random(&seed) % 2)
			usleep((useconds_t)(wal_fixture_random(&seed) % 400));
		assert_int_equal(wal_disk_await(&disk, n, results), 0);
		for (uint32_t k = 0; k < n; k++)
			assert_int_equal(results[k], 4096);
		wal_fixture_peek(*state, 2, 0, page, sizeof(page));
		assert_int_equal(page[100], (unsigned char)i);
	}
	wal_disk_close(&disk);
}

static void test_wal_io_thread__takes_no_more_than_may_be_in_flight(void **state)
{
	int64_t results[SLUICE_WAL_IN_FLIGHT_MAX];
	struct wal_disk disk;

	assert_int_equal(wal_disk_open(&disk, *state), 0);
	for (uint16_t k = 0; k < SLUICE_WAL_IN_FLIGHT_MAX; k++)
		assert_int_equal(wal_disk_write(&disk, 1, k * 4096, 4096, k, 7), 0);
	usleep(20000); /* done, but not collected */
	assert_int_equal(wal_disk_write(&disk, 1, 0, 4096, 0, 7), -EBUSY);
	assert_int_equal(wal_disk_await(&disk, SLUICE_WAL_IN_FLIGHT_MAX, results), 0);
	assert_int_equal(wal_disk_write(&disk, 1, 0, 4096, 0, 7), 0);
	assert_int_equal(wal_disk_await(&disk, 1, results), 0);
	wal_disk_close(&disk);
}

static void test_wal_io_thread__sleeps_and_lets_the_owner_sleep(void **state)
{
	struct sluice_wal_io_done done;
	struct wal_disk disk;
	uint64_t before_ms, start_ns;

	assert_int_equal(wal_disk_open(&disk, *state), 0);
	before_ms = cpu_ms();
	start_ns = sluice_clock_ns();
	assert_int_equal(disk.io->ops->reap(disk.io, &done, 1, 700000000), 0);
	assert_true(sluice_clock_ns() - start_ns >= 690000000);
	assert_true(cpu_ms() - before_ms < 40);
	wal_disk_close(&disk);
}

static int limited_writes(struct wal_fixture *fixture)
{
	struct rlimit limit = {512 * KIB + 4096, 512 * KIB + 4096};
	int64_t results[SLUICE_WAL_IN_FLIGHT_MAX];
	struct wal_disk disk;

	signal(SIGXFSZ, SIG_IGN);
	if (wal_disk_open(&disk, fixture) || setrlimit(RLIMIT_FSIZE, &limit))
		return 1;
	if (wal_disk_write(&disk, 0, 0, 8192, 0, 1) ||
	    wal_disk_write(&disk, 0, 512 * KIB, 8192, 1, 2) ||
	    wal_disk_write(&disk, 0, 600 * KIB, 8192, 2, 3))
		return 2;
	if (wal_disk_await(&disk, 3, results))
		return 3;
	if (results[0] != 8192 || results[1] != 4096 || results[2] != -EFBIG)
		return 4;
	if (disk.io->ops->write(disk.io, 0, 600 * KIB, disk.buffers, 4096) != -EFBIG)
		return 5;
	wal_disk_close(&disk);
	return 0;
}

static void test_wal_io_thread__results_come_as_they_are(void **state)
{
	assert_int_equal(wal_disk_in_child(limited_writes, *state), 0);
}

static void test_wal_io_thread__errors_of_calls_come_with_their_text(void **state)
{
	const uint32_t threads = count_threads();
	struct wal_fixture *fixture = *state;
	struct sluice_wal *wal = wal_fixture_start(fixture), *other = NULL;
	char path[SLUICE_WAL_BLOCK_BYTES_MAX / 32];
	struct sluice_wal_io *io = NULL;

	fixture->options.lock_wait_ms = 20;
	assert_int_equal(wal_fixture_open(fixture, &other), -EBUSY);
	assert_non_null(strstr(fixture->diag.text, "another engine has the log"));
	assert_int_equal(sluice_wal_close(wal, true, NULL), 0);
	memset(path, 'x', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(sluice_wal_io_thread_create(&io, path, &fixture->diag), -ENAMETOOLONG);
	assert_null(io);
	assert_threads(threads);
	assert_int_equal(sluice_wal_io_create(&io, fixture->dir, SLUICE_WAL_BACKEND_THREAD + 1,
					      &fixture->diag),
			 -EINVAL);
}

static void test_wal_io_thread__mends_what_was_never_written(void **state)
{
	struct wal_fixture *fixture = *state;
	struct sluice_wal *wal = NULL;
	char path[320];
	int fd, ret;

	wal_fixture_path(fixture, 5, path);
	fd = open(path, O_RDWR | O_CLOEXEC);
	ret = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 65536, 65536);
	close(fd);
	fixture->options.extents = SLUICE_WAL_EXTENTS_REFUSE;
	if (ret || wal_fixture_open(fixture, &wal) != -EBADMSG) {
		sluice_wal_close(wal, false, NULL);
		print_message("skip: %s: no holes, or no FIEMAP here\n", __func__);
		skip();
	}
	assert_non_null(strstr(fixture->diag.text, "wal-05: 64 KiB"));
	fixture->options.extents = SLUICE_WAL_EXTENTS_REPAIR;
	assert_int_equal(wal_fixture_open(fixture, &wal), 0);
	assert_non_null(
		strstr(sluice_wal_mended_text(wal), "64 KiB in 1 of the files, first wal-05"));
	assert_int_equal(sluice_wal_close(wal, false, NULL), 0);
}

/* For all threads at once. */
static bool refuse_enter(int error)
{
	struct sock_filter rules[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_enter, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof(rules) / sizeof(rules[0]), rules};

	return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
	       !syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program);
}

static int refused_writes(struct wal_fixture *fixture)
{
	struct sluice_wal *wal = wal_fixture_start(fixture);
	int ret = 0;

	if (!refuse_enter(ENXIO))
		return 77;
	for (int i = 0; !ret && i < 3; i++)
		ret = wal_fixture_block(wal, 30);
	while (ret >= 0 && sluice_wal_in_flight(wal) > 0)
		ret = sluice_wal_wait(wal, 100000000);
	if (ret != -ENXIO || sluice_wal_error(wal) != -ENXIO || sluice_wal_durable_cmd_seq(wal))
		return 2;
	if (wal_fixture_block(wal, 30) != -ENXIO)
		return 3;
	return sluice_wal_close(wal, true, NULL) == -ENXIO ? 0 : 4;
}

/* The one submit is refused: its completion says so, and every later one does at once. */
static int refused_disk(struct wal_fixture *fixture)
{
	int64_t results[SLUICE_WAL_IN_FLIGHT_MAX];
	struct wal_disk disk;
	int ret;

	if (wal_disk_open(&disk, fixture) || !refuse_enter(ENXIO))
		return 1;
	ret = wal_disk_write(&disk, 0, 0, 4096, 5, 1);
	if (ret || wal_disk_await(&disk, 1, results) || results[5] != -ENXIO)
		return 2;
	if (wal_disk_write(&disk, 0, 0, 4096, 6, 1) != -ENXIO)
		return 3;
	wal_disk_close(&disk);
	return 0;
}

static void test_wal_io_thread__a_refused_write_halts_the_log(void **state)
{
	int status;

	if (!wal_disk_uring_allowed(*state)) {
		print_message("skip: %s: io_uring is forbidden here\n", __func__);
		skip();
	}
	status = wal_disk_in_child(refused_writes, *state);
	if (status == 77) {
		print_message("skip: %s: no system call filters here\n", __func__);
		skip();
	}
	assert_int_equal(status, 0);
	assert_int_equal(wal_disk_in_child(refused_disk, *state), 0);
	assert_int_equal(wal_fixture_count(*state, NULL), 0);
}

static pid_t handler_threads[2]; /* the first, and any other */
static atomic_uint handled;

static void note_thread(int signal_number)
{
	pid_t self = (pid_t)syscall(SYS_gettid);

	(void)signal_number;
	handler_threads[self != getpid()] = self;
	atomic_fetch_add(&handled, 1);
}

static int stormy_life(struct wal_fixture *fixture)
{
	struct sigaction action = {.sa_handler = note_thread};
	struct itimerval storm = {{0, 100}, {0, 100}};
	struct sluice_wal *wal;

	if (sigaction(SIGALRM, &action, NULL) || setitimer(ITIMER_REAL, &storm, NULL))
		return 1;
	wal = wal_fixture_start(fixture);
	for (uint32_t i = 0; i < BLOCKS; i++)
		if (wal_fixture_block(wal, 30))
			return 2;
	while (atomic_load(&handled) < 20)
		usleep(1000);
	if (sluice_wal_close(wal, true, NULL))
		return 3;
	return handler_threads[1] ? 4 : 0;
}

static void test_wal_io_thread__signals_are_not_its_business(void **state)
{
	assert_int_equal(wal_disk_in_child(stormy_life, *state), 0);
	assert_int_equal(wal_fixture_count(*state, NULL), BLOCKS * 30);
}

#define with_log(test) cmocka_unit_test_setup_teardown(test, setup, wal_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_log(test_wal_io_thread__lives_and_is_gone_after_close),
		with_log(test_wal_io_thread__is_blocking_where_io_uring_is_forbidden),
		with_log(test_wal_io_thread__wakes_for_every_write),
		with_log(test_wal_io_thread__takes_no_more_than_may_be_in_flight),
		with_log(test_wal_io_thread__sleeps_and_lets_the_owner_sleep),
		with_log(test_wal_io_thread__results_come_as_they_are),
		with_log(test_wal_io_thread__errors_of_calls_come_with_their_text),
		with_log(test_wal_io_thread__mends_what_was_never_written),
		with_log(test_wal_io_thread__a_refused_write_halts_the_log),
		with_log(test_wal_io_thread__signals_are_not_its_business),
	};

	return cmocka_run_group_tests_name("wal_io_thread", tests, NULL, NULL);
}
