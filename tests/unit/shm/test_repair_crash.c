/* SPDX-License-Identifier: MIT */
/* Repairs that meet each other, and repairs that are killed. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <time.h>

#include "shm/clock.h"
#include "tests/unit/shm/repair_fixture.h"

static void repair_once(void *arg)
{
	struct sluice_repair_result result;
	const int err = sluice_segment_repair(NAME, false, NULL, &result, NULL);

	(void)arg;
	_exit(err == -EBUSY ? 3 : !!err);
}

static void test_repair_crash__several_at_once_do_it_once(void **state)
{
	int done = 0;
	struct sluice_segment segment;

	(void)state;
	make_multi(0);
	everybody_dies();
	fflush(NULL);
	for (int i = 0; i < 4; i++)
		if (!fork())
			repair_once(NULL);
	for (int i = 0; i < 4; i++) {
		int status;

		wait(&status);
		assert_true(WIFEXITED(status) &&
			    (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 3));
		done += WEXITSTATUS(status) == 0;
	}
	assert_true(done > 0);
	segment = attach(SLUICE_ACCESS_READ);
	assert_int_equal(state_word(&segment), 1 << 8 | SLUICE_STATE_READY);
	assert_whole(&segment, 0);
	sluice_segment_close(&segment);
}

/* A repair that died after its first change: the next attachment finishes it. */
static void test_repair_crash__next_attachment_finishes_it(void **state)
{
	struct sluice_segment segment;

	(void)state;
	make_multi(0);
	everybody_dies();
	segment = attach(SLUICE_ACCESS_WRITE);
	sluice_ring_set_state(&segment, SLUICE_STATE_RECOVERING);
	sluice_segment_close(&segment);
	segment = attach(SLUICE_ACCESS_READ); /* monitors neither wait nor repair */
	assert_int_equal(state_word(&segment), SLUICE_STATE_RECOVERING);
	sluice_segment_close(&segment);
	segment = attach(SLUICE_ACCESS_WRITE);
	assert_int_equal(state_word(&segment), 1 << 8 | SLUICE_STATE_READY);
	assert_whole(&segment, 0);
	sluice_segment_close(&segment);
}

#define KILL_SLOTS 131072

/* Killed at random moments, and what attaches afterwards finds everything in order. */
static void test_repair_crash__killed_repair_is_finished(void **state)
{
	struct sluice_segment_options options = fixture_options(NAME);
	const char *given = getenv("SEED");
	unsigned int seed = given ? (unsigned int)strtoul(given, NULL, 0) :
				    (unsigned int)sluice_clock_ns();
	const struct death death = {.n = KILL_SLOTS, .published = 1};
	uint32_t cut_short = 0;

	(void)state;
	print_message("SEED=%u\n", seed);
	options.slot_count = KILL_SLOTS;
	for (int round = 0; round < 40; round++) {
		const struct timespec nap = {.tv_nsec = rand_r(&seed) % 400000};
		struct sluice_segment segment;
		struct sluice_ring ring;
		pid_t pid;

		make(&options);
		die_over(&death);
		segment = attach(SLUICE_ACCESS_READ);
		sluice_ring_init(&ring, &segment);
		fflush(NULL);
		pid = fork();
		if (!pid) {
			fixture_default_signals();
			repair_once(NULL);
		}
		while (state_word(&segment) == SLUICE_STATE_READY &&
		       sluice_ring_published(&ring, 1, 1) == 1 && !waitpid(pid, NULL, WNOHANG))
			;
		nanosleep(&nap, NULL);
		fixture_kill(pid);
		cut_short += (state_word(&segment) & 0xff) == SLUICE_STATE_RECOVERING;
		/* it has begun, and then the state says so, or it has not */
		if (state_word(&segment) == SLUICE_STATE_READY) {
			assert_int_equal(sluice_ring_published(&ring, 1, 1), 1);
			assert_int_equal(sluice_segment_repair(
						 NAME, false, NULL,
						 &(struct sluice_repair_result){0}, NULL), 0);
		}
		sluice_segment_close(&segment);
		segment = attach(SLUICE_ACCESS_WRITE);
		assert_int_equal(state_word(&segment) & 0xff, SLUICE_STATE_READY);
		sluice_ring_init(&ring, &segment);
		assert_int_equal(sluice_ring_published(&ring, 0, KILL_SLOTS), KILL_SLOTS);
		assert_false(sluice_ring_is_void(&ring, 0));
		sluice_segment_close(&segment);
		fixture_files(true);
	}
	print_message("%u of 40 repairs were cut short\n", cut_short);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		repair_test(test_repair_crash__several_at_once_do_it_once),
		repair_test(test_repair_crash__next_attachment_finishes_it),
		repair_test(test_repair_crash__killed_repair_is_finished),
	};

	return cmocka_run_group_tests_name("repair_crash", tests, fixture_setup, fixture_teardown);
}
