/* SPDX-License-Identifier: MIT */
/*
 * The engine's half of the snapshots: a mailbox that others write into, and a child process. The
 * log, the snapshots and the processes are real; the follower is this program, which is started
 * again with --follow and does what FOLLOWER in its environment says.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/report.h"
#include "engine/engine.h"
#include "tests/lib/wal_world.h"

#define SECOND 1000000000ull

static struct wal_world world;
static struct engine engine;

static int make(void **state)
{
	const struct sluice_segment_options rep = {
		.slot_count = 64,
		.slot_stride = sizeof(struct sluice_report),
		.publication = SLUICE_PUBLICATION_CURSOR,
		.producer_mode = SLUICE_PRODUCER_SINGLE,
		.event_kind = SLUICE_EVENT_REPORT,
		.counter_count = 16,
		.hugepages = SLUICE_HUGEPAGES_OFF,
		.numa_node = -1,
	};

	(void)state;
	memset(&engine, 0, sizeof(engine));
	wal_world_make(&world, 1);
	wal_world_start(&world);
	if (sluice_segment_create(&engine.rep, &rep, &world.fixture.diag))
		return -1;
	engine.wal = world.wal;
	engine.options.wal = world.fixture.dir;
	engine.options.name = "x";
	engine.options.follower = ENGINE_FOLLOWER_OFF;
	return engine_supervise_open(&engine) ? 0 : -1;
}

static int drop(void **state)
{
	(void)state;
	engine_supervise_stop(&engine);
	wal_world_close(&world, false);
	sluice_segment_close(&engine.rep);
	wal_world_remove(&world);
	return 0;
}

static uint64_t value(const struct sluice_counter *counter)
{
	return atomic_load(&counter->value);
}

/* A whole snapshot of the log's end, which nobody has offered yet. */
static void write_snapshot(uint64_t sequence, bool taken)
{
	struct sluice_wal_snapshot unused;
	struct sluice_wal_place place;

	wal_world_block(&world, 10);
	if (taken)
		sluice_wal_reports_taken(world.wal, world.live.sink.report_next);
	wal_world_place(&world, &place);
	wal_world_write_snapshot(&world, sequence, &place, &unused);
}

static void settle_superblock(void)
{
	for (int i = 0; i < 1000 && engine.supervisor.offered; i++) {
		assert_true(sluice_wal_wait(engine.wal, 1000000) >= 0);
		assert_int_equal(engine_supervise(&engine, SECOND), 0);
	}
	assert_int_equal(engine.supervisor.offered, 0);
}

static void test_supervise__mailbox_is_emptied_when_it_is_named_and_not_before(void **state)
{
	(void)state;
	for (uint64_t q = 1; q < 5; q++) {
		write_snapshot(q, true);
		sluice_counter_set(engine.supervisor.ready, q);
		assert_int_equal(engine_supervise(&engine, SECOND), 0);
		assert_int_equal(engine.supervisor.offered, q);
		if (sluice_wal_snapshot_named(engine.wal) < q)
			assert_int_equal(value(engine.supervisor.ready), q);
		settle_superblock();
		assert_int_equal(value(engine.supervisor.ready), 0);
		assert_int_equal(sluice_wal_snapshot_named(engine.wal), q);
	}
	engine_supervise_notes(&engine);
	assert_int_equal(value(engine.supervisor.snapshots), 4);
	assert_int_equal(value(engine.supervisor.live_bytes), sluice_wal_live_bytes(engine.wal));
	assert_int_equal(value(engine.supervisor.log_bytes), 16 * WAL_FIXTURE_SEGMENT_BYTES);
}

static void test_supervise__reports_that_are_not_taken_keep_it_in_the_mailbox(void **state)
{
	(void)state;
	write_snapshot(1, false);
	sluice_counter_set(engine.supervisor.ready, 1);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(engine_supervise(&engine, SECOND), 0);
		assert_int_equal(value(engine.supervisor.ready), 1);
		assert_int_equal(engine.supervisor.offered, 0);
	}
	sluice_wal_reports_taken(engine.wal, world.live.sink.report_next);
	assert_int_equal(engine_supervise(&engine, SECOND), 0);
	assert_int_equal(engine.supervisor.offered, 1);
	settle_superblock();
	assert_int_equal(sluice_wal_snapshot_named(engine.wal), 1);
}

static void test_supervise__what_is_no_snapshot_is_refused_and_the_log_goes_on(void **state)
{
	static const uint64_t numbers[] = {1, 2, 3, 1000, UINT64_MAX - 1, UINT64_MAX};

	(void)state;
	wal_world_block(&world, 10);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		sluice_counter_set(engine.supervisor.ready, numbers[i]);
		assert_int_equal(engine_supervise(&engine, SECOND), 0);
		assert_int_equal(value(engine.supervisor.ready), 0);
		assert_int_equal(engine.supervisor.offered, 0);
		assert_int_equal(sluice_wal_snapshot_named(engine.wal), 0);
		wal_world_block(&world, 10);
	}
}

static void test_supervise__a_named_one_is_not_offered_again(void **state)
{
	(void)state;
	write_snapshot(1, true);
	for (int i = 0; i < 3; i++) {
		sluice_counter_set(engine.supervisor.ready, 1);
		assert_int_equal(engine_supervise(&engine, SECOND), 0);
		settle_superblock();
		assert_int_equal(value(engine.supervisor.ready), 0);
		assert_int_equal(sluice_wal_snapshot_named(engine.wal), 1);
	}
}

static void test_supervise__a_start_empties_the_mailbox(void **state)
{
	(void)state;
	write_snapshot(1, true);
	sluice_counter_set(engine.supervisor.ready, 1);
	assert_true(engine_supervise_open(&engine));
	assert_int_equal(value(engine.supervisor.ready), 0);
	assert_int_equal(engine_supervise(&engine, SECOND), 0);
	assert_int_equal(engine.supervisor.offered, 0);
}

/* ------------------------------------------------------------------------- the other process */

static void follow(const char *how)
{
	setenv("FOLLOWER", how, 1);
	engine.options.follower = ENGINE_FOLLOWER_ON;
}

/* Looks at `now_ns` until the follower that runs now has ended. */
static void until_gone(uint64_t now_ns)
{
	for (int i = 0; i < 2000 && engine.supervisor.pid; i++) {
		assert_int_equal(engine_supervise(&engine, now_ns), 0);
		usleep(5000);
	}
	assert_int_equal(engine.supervisor.pid, 0);
}

static void test_supervise__one_that_ends_is_started_again_later_and_later(void **state)
{
	static const uint64_t pauses[] = {1, 2, 4, 8, 16, 30, 30};
	uint64_t now_ns = 100 * SECOND;

	(void)state;
	follow("1");
	assert_int_equal(engine_supervise(&engine, now_ns), 0);
	for (size_t i = 0; i < sizeof(pauses) / sizeof(pauses[0]); i++) {
		assert_true(engine.supervisor.pid > 0);
		until_gone(now_ns);
		assert_int_equal(engine_supervise(&engine, now_ns + pauses[i] * SECOND - 1), 0);
		assert_int_equal(engine.supervisor.pid, 0);
		now_ns += pauses[i] * SECOND;
		assert_int_equal(engine_supervise(&engine, now_ns), 0);
	}
	/* one that has lived is worth a quick restart */
	now_ns += 61 * SECOND;
	until_gone(now_ns);
	assert_int_equal(engine_supervise(&engine, now_ns + SECOND), 0);
	assert_true(engine.supervisor.pid > 0);
	until_gone(now_ns + SECOND);
}

static void test_supervise__one_that_is_killed_is_started_again(void **state)
{
	(void)state;
	follow("wait");
	assert_int_equal(engine_supervise(&engine, SECOND), 0);
	assert_true(engine.supervisor.pid > 0);
	kill(engine.supervisor.pid, SIGKILL);
	until_gone(SECOND);
	assert_int_equal(engine_supervise(&engine, 2 * SECOND), 0);
	assert_true(engine.supervisor.pid > 0);
}

static void test_supervise__damage_is_an_alarm_and_no_restart(void **state)
{
	(void)state;
	follow("5");
	assert_int_equal(engine_supervise(&engine, SECOND), 0);
	until_gone(SECOND);
	assert_int_equal(value(engine.supervisor.follower_alarm), 1);
	assert_int_equal(engine_supervise(&engine, 1000 * SECOND), 0);
	assert_int_equal(engine.supervisor.pid, 0);
}

static void test_supervise__a_stop_asks_first(void **state)
{
	pid_t pid;

	(void)state;
	follow("wait");
	assert_int_equal(engine_supervise(&engine, SECOND), 0);
	pid = engine.supervisor.pid;
	engine_supervise_stop(&engine);
	assert_int_equal(engine.supervisor.pid, 0);
	assert_int_equal(kill(pid, 0), -1);
	assert_int_equal(errno, ESRCH);
}

static void test_supervise__a_stop_does_not_wait_for_ever(void **state)
{
	pid_t pid;

	(void)state;
	follow("stubborn");
	assert_int_equal(engine_supervise(&engine, SECOND), 0);
	pid = engine.supervisor.pid;
	usleep(300000);
	engine_supervise_stop(&engine);
	assert_int_equal(kill(pid, 0), -1);
}

/* It must be told everything that its engine knows: SLUICE_ variables are not enough. */
static int be_follower(int argc, char **argv)
{
	static const char *const words[] = {"--follow", "--name", "x", "--wal", NULL,
					    "--snapshot-every", "0", "--snapshot-rate", "0",
					    "--parent", NULL, "--cpu", NULL};
	const char *how = getenv("FOLLOWER");

	if (argc < 14 || atoi(argv[11]) != getppid())
		return 5;
	for (int i = 0; i < 13; i++)
		if (words[i] && strcmp(argv[i + 1], words[i]))
			return 5;
	alarm(60);
	if (!strcmp(how, "stubborn"))
		signal(SIGTERM, SIG_IGN);
	if (!strcmp(how, "wait") || !strcmp(how, "stubborn"))
		for (;;)
			pause();
	return atoi(how);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, drop)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(test_supervise__mailbox_is_emptied_when_it_is_named_and_not_before),
		TEST(test_supervise__reports_that_are_not_taken_keep_it_in_the_mailbox),
		TEST(test_supervise__what_is_no_snapshot_is_refused_and_the_log_goes_on),
		TEST(test_supervise__a_named_one_is_not_offered_again),
		TEST(test_supervise__a_start_empties_the_mailbox),
		TEST(test_supervise__one_that_ends_is_started_again_later_and_later),
		TEST(test_supervise__one_that_is_killed_is_started_again),
		TEST(test_supervise__damage_is_an_alarm_and_no_restart),
		TEST(test_supervise__a_stop_asks_first),
		TEST(test_supervise__a_stop_does_not_wait_for_ever),
	};

	if (argc > 1 && !strcmp(argv[1], "--follow"))
		return be_follower(argc, argv);
	sluice_cli_set_output(false, true, false);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
