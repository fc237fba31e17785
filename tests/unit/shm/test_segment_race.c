/* SPDX-License-Identifier: MIT */
/* Creators killed at random moments, and several that make and remove one name at once. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <time.h>

#include "shm/clock.h"
#include "tests/unit/shm/segment_fixture.h"

static void create_for_ever(void *arg)
{
	const struct sluice_segment_options options = fixture_options("crash");

	(void)arg;
	for (;;) {
		struct sluice_segment segment;

		check(!sluice_segment_create(&segment, &options, NULL));
		usleep(400);
		sluice_segment_close(&segment);
		check(!sluice_segment_unlink("crash", NULL));
	}
}

static pid_t start_creator(void)
{
	const pid_t pid = fork();

	if (!pid) {
		fixture_default_signals();
		create_for_ever(NULL);
	}
	return pid;
}

static void test_segment_race__killed_creator_leaves_all_or_nothing(void **state)
{
	const char *given = getenv("SEED");
	unsigned int seed = given ? (unsigned int)strtoul(given, NULL, 0) :
				    (unsigned int)sluice_clock_ns();
	uint32_t absent = 0;

	(void)state;
	print_message("SEED=%u\n", seed);
	for (int round = 0; round < 80; round++) {
		const pid_t pid = start_creator();
		const struct timespec pause = {.tv_nsec = rand_r(&seed) % 6000000};
		struct sluice_gc_result result;
		struct sluice_segment segment;
		struct sluice_diag diag = {0};
		int err;

		nanosleep(&pause, NULL);
		assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
		fixture_kill(pid);
		err = sluice_segment_attach(&segment, "crash", SLUICE_ACCESS_WRITE, &diag);
		if (err && err != -ENOENT)
			fail_msg("half-made: %d %s", err, diag.text);
		absent += err == -ENOENT;
		if (!err)
			assert_int_equal(segment.control->state, SLUICE_STATE_READY);
		if (!err)
			sluice_segment_close(&segment);
		assert_int_equal(sluice_segment_gc("crash", false, NULL, NULL, &result, NULL), 0);
		assert_int_equal(fixture_files(false), 0);
	}
	print_message("80 kills: %u found no name, %u a whole segment\n", absent, 80 - absent);
	assert_true(absent > 0 && absent < 80);
}

static void create_once(void *arg)
{
	const struct sluice_segment_options options = fixture_options("race");
	struct sluice_segment segment;
	int err;

	(void)arg;
	err = sluice_segment_create(&segment, &options, NULL);
	check(!err || err == -EEXIST);
	usleep(20000);
	_exit(err ? 3 : 4);
}

static void test_segment_race__one_of_many_creators_wins(void **state)
{
	int winners = 0;
	int losers = 0;

	(void)state;
	for (int i = 0; i < 8; i++) {
		if (!fork())
			create_once(NULL);
	}
	for (int i = 0; i < 8; i++) {
		int status;

		wait(&status);
		winners += WEXITSTATUS(status) == 4;
		losers += WEXITSTATUS(status) == 3;
	}
	assert_int_equal(winners, 1);
	assert_int_equal(losers, 7);
	assert_int_equal(fixture_files(false), 2);
}

/* Whoever created it finds it with its own lock file, whatever others remove at the same time. */
static void create_attach_remove(void *arg)
{
	const struct sluice_segment_options options = fixture_options("churn");

	(void)arg;
	for (int i = 0; i < 1500; i++) {
		struct sluice_segment created;
		struct sluice_segment attached;
		struct sluice_diag diag = {0};
		const int err = sluice_segment_create(&created, &options, &diag);

		if (err && err != -EEXIST)
			fprintf(stderr, "%d %s\n", err, diag.text);
		check(!err || err == -EEXIST);
		if (err)
			continue;
		check(!sluice_segment_attach(&attached, "churn", SLUICE_ACCESS_WRITE, &diag));
		check(!memcmp(created.header.uuid, attached.header.uuid, 16));
		sluice_segment_close(&attached);
		sluice_segment_close(&created);
		check(!sluice_segment_unlink("churn", &diag));
	}
}

/* A name and its lock file go together: data of one life never meets locks of another. */
static void attach_and_compare(void *arg)
{
	(void)arg;
	for (int i = 0; i < 3000; i++) {
		struct sluice_segment segment;
		struct stat named;
		struct stat locked;
		int waited_ms = 0;
		const int err =
			sluice_segment_attach(&segment, "churn", SLUICE_ACCESS_WRITE, NULL);

		check(!err || err == -ENOENT);
		if (err)
			continue;
		check(!fstat(segment.lock_fd, &locked));
		while (!sluice_segment_is_named(&segment) && !lstat(segment.lock_path, &named) &&
		       named.st_ino == locked.st_ino) {
			check(waited_ms++ < 2000);
			usleep(1000);
		}
		sluice_segment_close(&segment);
	}
}

static void test_segment_race__lives_of_a_name_do_not_mix(void **state)
{
	pid_t pids[4];

	(void)state;
	fflush(NULL);
	for (int i = 0; i < 4; i++) {
		pids[i] = fork();
		if (pids[i])
			continue;
		fixture_default_signals();
		if (i < 3)
			create_attach_remove(NULL);
		else
			attach_and_compare(NULL);
		_exit(0);
	}
	for (int i = 0; i < 4; i++) {
		int status;

		waitpid(pids[i], &status, 0);
		assert_int_equal(status, 0);
	}
	assert_int_equal(fixture_files(false), 0);
}

#define STARTS 1000

/* Whoever opens a name while it is made finds nothing, or all of it. */
static void open_until_told(int ends[2])
{
	uint32_t found = 0;
	uint32_t absent = 0;
	char byte;

	close(ends[1]);
	check(!fcntl(ends[0], F_SETFL, O_NONBLOCK));
	while (read(ends[0], &byte, 1) < 0) {
		struct sluice_segment segment;
		const int err = sluice_segment_attach(&segment, "start", SLUICE_ACCESS_READ, NULL);

		check(!err || err == -ENOENT);
		absent += err != 0;
		found += !err;
		if (err)
			continue;
		/* relaxed, both: what the creator stored before it named the segment */
		check(atomic_load_explicit(&segment.control->state, memory_order_relaxed) ==
		      SLUICE_STATE_READY);
		check(atomic_load_explicit(&segment.control->claim, memory_order_relaxed) == 77);
		check(segment.header.slot_count == 64 && segment.header.total_bytes > 64 * 64);
		check(!strcmp(segment.header.name, "start"));
		sluice_segment_close(&segment);
	}
	check(found > 0 && absent > 0);
}

static void test_segment_race__opener_sees_nothing_or_all_of_it(void **state)
{
	struct sluice_segment_options options = fixture_options("start");
	int ends[2], status;
	pid_t pid;

	(void)state;
	options.base_sequence = 77;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	fflush(NULL);
	pid = fork();
	if (!pid) {
		fixture_default_signals();
		open_until_told(ends);
		_exit(0);
	}
	close(ends[0]);
	for (int i = 0; i < STARTS; i++) {
		struct sluice_segment segment;

		assert_int_equal(sluice_segment_create(&segment, &options, NULL), 0);
		if (i % 8 == 0)
			sched_yield();
		sluice_segment_close(&segment);
		assert_int_equal(sluice_segment_unlink("start", NULL), 0);
	}
	/* by now it has been found, unless it never got a CPU: then once more, at leisure */
	{
		struct sluice_segment segment;

		assert_int_equal(sluice_segment_create(&segment, &options, NULL), 0);
		usleep(200000);
		sluice_segment_close(&segment);
		assert_int_equal(sluice_segment_unlink("start", NULL), 0);
		usleep(50000);
	}
	close(ends[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

#define race_test(f) cmocka_unit_test_teardown(f, fixture_clean)

int main(void)
{
	const struct CMUnitTest tests[] = {
		race_test(test_segment_race__killed_creator_leaves_all_or_nothing),
		race_test(test_segment_race__one_of_many_creators_wins),
		race_test(test_segment_race__opener_sees_nothing_or_all_of_it),
		race_test(test_segment_race__lives_of_a_name_do_not_mix),
	};

	return cmocka_run_group_tests_name("segment_race", tests, fixture_setup, fixture_teardown);
}
