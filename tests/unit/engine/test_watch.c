/* SPDX-License-Identifier: MIT */
/* Is the disk answering, and as fast as it can? A real log over a disk that can be held. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/engine.h"
#include "shm/interrupt.h"
#include "tests/lib/ring_fixture.h"
#include "tests/lib/wal_fixture.h"

#define SECOND 1000000000ull

static struct wal_fixture fixture;
static struct engine engine;
static struct sluice_wal_io *disk;
static char said[8192];

static int make(void **state)
{
	const struct sluice_segment_options rep = {
		.slot_count = 64,
		.slot_stride = sizeof(struct sluice_report),
		.publication = SLUICE_PUBLICATION_CURSOR,
		.event_kind = SLUICE_EVENT_REPORT,
		.producer_mode = SLUICE_PRODUCER_SINGLE,
		.counter_count = 16,
		.hugepages = SLUICE_HUGEPAGES_OFF,
		.numa_node = -1,
	};

	(void)state;
	memset(&engine, 0, sizeof(engine));
	wal_fixture_make(&fixture);
	fixture.options.backend = SLUICE_WAL_BACKEND_BLOCKING;
	if (sluice_segment_create(&engine.rep, &rep, &fixture.diag) ||
	    wal_fixture_open_faulty(&fixture, &engine.wal, &disk, NULL) ||
	    wal_fixture_start_wal(&fixture, engine.wal)) {
		fprintf(stderr, "%s\n", fixture.diag.text);
		return -1;
	}
	engine.options.wal = fixture.dir;
	return engine_watch_open(&engine) ? 0 : -1;
}

static int drop(void **state)
{
	(void)state;
	fault_io_hold(disk, false);
	sluice_wal_close(engine.wal, false, NULL);
	sluice_segment_close(&engine.rep);
	wal_fixture_remove(&fixture);
	return 0;
}

/* What is said on stderr meanwhile goes into `said`. */
static void watch_at(uint64_t now_ns)
{
	char path[] = "/tmp/sluice-watch.XXXXXX";
	const int file = mkstemp(path), old = dup(STDERR_FILENO);
	ssize_t bytes;

	assert_true(file >= 0);
	assert_true(old >= 0);
	unlink(path);
	dup2(file, STDERR_FILENO);
	engine_watch(&engine, now_ns);
	fflush(stderr);
	dup2(old, STDERR_FILENO);
	bytes = pread(file, said, sizeof(said) - 1, 0);
	said[bytes > 0 ? bytes : 0] = 0;
	close(old);
	close(file);
}

static uint64_t value(const struct sluice_counter *counter)
{
	return atomic_load(&counter->value);
}

static void test_watch__a_disk_that_hangs_is_said_once_and_taken_back(void **state)
{
	const uint64_t t = 1000 * SECOND;
	const uint64_t durable = sluice_wal_durable_cmd_seq(engine.wal);

	(void)state;
	watch_at(t);
	fault_io_hold(disk, true);
	assert_true(wal_fixture_append(engine.wal, 5));
	assert_int_equal(sluice_wal_submit(engine.wal), 0);
	watch_at(t + SECOND);
	watch_at(t + 5 * SECOND);
	assert_int_equal(value(engine.watch.stalled_counter), 0);
	assert_string_equal(said, "");
	watch_at(t + 5 * SECOND + 1);
	assert_int_equal(value(engine.watch.stalled_counter), 1);
	assert_non_null(strstr(said, "stalled=1"));
	watch_at(t + 10 * SECOND);
	assert_int_equal(value(engine.watch.stalled_counter), 1);
	assert_string_equal(said, "");
	/* neither failed nor done */
	assert_int_equal(sluice_wal_poll(engine.wal), 0);
	assert_int_equal(sluice_wal_durable_cmd_seq(engine.wal), durable);
	assert_int_equal(sluice_wal_error(engine.wal), 0);
	fault_io_hold(disk, false);
	assert_int_equal(wal_fixture_settle(engine.wal), 0);
	assert_int_equal(sluice_wal_durable_cmd_seq(engine.wal), durable + 5);
	watch_at(t + 11 * SECOND);
	assert_int_equal(value(engine.watch.stalled_counter), 0);
	assert_non_null(strstr(said, "stalled=0"));
}

static void test_watch__nothing_in_flight_never_stalls(void **state)
{
	(void)state;
	for (uint64_t s = 1; s < 60; s += 7) {
		watch_at(s * SECOND);
		assert_string_equal(said, "");
	}
	assert_int_equal(value(engine.watch.stalled_counter), 0);
}

/* A disk that keeps answering, if slowly, is not stalled, however long the queue is never empty. */
static void test_watch__each_commit_counts_as_an_answer(void **state)
{
	(void)state;
	fault_io_hold(disk, true);
	watch_at(SECOND);
	assert_true(wal_fixture_append(engine.wal, 1));
	assert_int_equal(sluice_wal_submit(engine.wal), 0);
	for (uint64_t s = 4; s < 40; s += 4) {
		engine_watch_commit(&engine, SECOND, s * SECOND);
		/* the round's clock may have been read before the commit came */
		watch_at(s * SECOND - 1);
		assert_int_equal(value(engine.watch.stalled_counter), 0);
		watch_at(s * SECOND + SECOND);
		assert_int_equal(value(engine.watch.stalled_counter), 0);
	}
}

static void test_watch__slow_commits_are_said_once_a_minute_with_a_cause(void **state)
{
	const uint64_t t = 5000 * SECOND, floor_ns = 50000;
	struct sluice_interrupt interrupt;
	char cpu[64];
	cpu_set_t set;
	pid_t spinner;

	(void)state;
	sluice_interrupt_find(fixture.dir, &interrupt);
	CPU_ZERO(&set);
	if (interrupt.cpu >= 0)
		CPU_SET((size_t)interrupt.cpu, &set);
	spinner = fork();
	if (!spinner) {
		if (interrupt.cpu >= 0)
			sched_setaffinity(0, sizeof(set), &set);
		alarm(20);
		for (;;)
			;
	}
	usleep(50000);
	disk->calibrated_p50_ns = floor_ns;
	watch_at(t);
	for (int i = 0; i < 5; i++)
		engine_watch_commit(&engine, floor_ns * 10 + (uint64_t)i, t + 1);
	watch_at(t + SECOND);
	kill(spinner, SIGKILL);
	waitpid(spinner, NULL, 0);
	assert_int_equal(value(engine.watch.slow_counter), 1);
	snprintf(cpu, sizeof(cpu), "slow_commits=1 least_us=500 calibrated_us=50 interrupt_cpu=%d ",
		 interrupt.cpu);
	assert_non_null(strstr(said, cpu));
	if (interrupt.cpu >= 0)
		assert_non_null(strstr(said, "wants that CPU all the time"));
	/* within the minute it is only counted */
	for (int i = 0; i < 5; i++)
		engine_watch_commit(&engine, floor_ns * 20, t + SECOND + 1);
	watch_at(t + 2 * SECOND);
	assert_int_equal(value(engine.watch.slow_counter), 2);
	assert_string_equal(said, "");
	for (int i = 0; i < 5; i++)
		engine_watch_commit(&engine, floor_ns * 20, t + 60 * SECOND);
	watch_at(t + 61 * SECOND);
	assert_non_null(strstr(said, "slow_commits=1"));
}

static void test_watch__one_fast_commit_in_the_second_is_enough(void **state)
{
	const uint64_t t = 70 * SECOND, floor_ns = 50000;

	(void)state;
	disk->calibrated_p50_ns = floor_ns;
	watch_at(t);
	for (int i = 0; i < 100; i++)
		engine_watch_commit(&engine, i == 50 ? floor_ns * 10 - 1 : floor_ns * 100, t + 1);
	watch_at(t + SECOND);
	/* too few to judge, and a log that was never timed */
	engine_watch_commit(&engine, floor_ns * 100, t + SECOND + 1);
	watch_at(t + 2 * SECOND);
	disk->calibrated_p50_ns = 0;
	for (int i = 0; i < 100; i++)
		engine_watch_commit(&engine, floor_ns * 100, t + 2 * SECOND + 1);
	watch_at(t + 3 * SECOND);
	assert_int_equal(value(engine.watch.slow_counter), 0);
	assert_string_equal(said, "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, drop)

/* Somebody moves the directory away, another one comes in its place, and it is put back. */
static void test_watch__a_log_that_is_moved_is_said_once_and_taken_back(void **state)
{
	const uint64_t t = 1000 * SECOND;
	char away[300], super[300];
	int fd;

	(void)state;
	snprintf(away, sizeof(away), "%s.away", fixture.dir);
	snprintf(super, sizeof(super), "%s/super", fixture.dir);
	watch_at(t);
	assert_string_equal(said, "");
	assert_int_equal(rename(fixture.dir, away), 0);
	watch_at(t + SECOND - 1);
	assert_string_equal(said, "");
	watch_at(t + SECOND);
	assert_non_null(strstr(said, "log_gone=1"));
	assert_non_null(strstr(said, super));
	assert_int_equal(value(engine.watch.gone_counter), 1);
	assert_int_equal(mkdir(fixture.dir, 0700), 0);
	fd = open(super, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	watch_at(t + 2 * SECOND);
	assert_string_equal(said, "");
	assert_int_equal(value(engine.watch.gone_counter), 1);
	assert_int_equal(unlink(super), 0);
	assert_int_equal(rmdir(fixture.dir), 0);
	assert_int_equal(rename(away, fixture.dir), 0);
	watch_at(t + 3 * SECOND);
	assert_non_null(strstr(said, "log_gone=0"));
	assert_int_equal(value(engine.watch.gone_counter), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_watch__a_disk_that_hangs_is_said_once_and_taken_back),
		TEST(test_watch__nothing_in_flight_never_stalls),
		TEST(test_watch__each_commit_counts_as_an_answer),
		TEST(test_watch__slow_commits_are_said_once_a_minute_with_a_cause),
		TEST(test_watch__one_fast_commit_in_the_second_is_enough),
		TEST(test_watch__a_log_that_is_moved_is_said_once_and_taken_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
