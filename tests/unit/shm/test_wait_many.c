/* SPDX-License-Identifier: MIT */
/*
 * test_wait_many.c - one sleep on several rings. The sleeps' bound is taken away: whoever is not
 * woken sleeps for seconds, and the test sees it.
 */
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "tests/lib/wait_hook.h"

#include "tests/lib/ring_fixture.h"

#define MS 1000000ull
#define LONG_NS (20000 * MS)
#define RINGS 5u

static bool has_no_waitv;
static uint32_t waits, waitvs, barriers, timeouts;
static uint64_t wait_ns; /* how long the library would have slept */

int hook_futex_wait(_Atomic uint32_t *word, uint32_t value, uint64_t timeout_ns)
{
	int rc;

	waits++;
	wait_ns = timeout_ns;
	/* the stand-in for several words ends by its own, short bound */
	rc = sluice_futex_wait(word, value, timeout_ns < MS ? timeout_ns : LONG_NS);
	timeouts += rc == -ETIMEDOUT;
	return rc;
}

int hook_futex_waitv(struct futex_waitv *words, uint32_t count, uint64_t until_ns)
{
	int rc;

	if (has_no_waitv)
		return -ENOSYS;
	if (!words)
		return sluice_futex_waitv(words, count, until_ns);
	waitvs++;
	wait_ns = until_ns - sluice_clock_ns();
	rc = sluice_futex_waitv(words, count, sluice_clock_ns() + LONG_NS);
	timeouts += rc == -ETIMEDOUT;
	return rc;
}

int hook_membarrier(int command)
{
	barriers += command == MEMBARRIER_CMD_GLOBAL_EXPEDITED;
	return sluice_membarrier(command);
}

struct fixture {
	struct sluice_segment rings[RINGS];
	struct sluice_sleep_place places[RINGS];
	uint32_t victim; /* which ring the waker chooses */
};

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	*state = fixture;
	for (uint32_t i = 0; i < RINGS; i++) {
		if (ring_create(&fixture->rings[i], NULL, RING_CURSOR, 8, 0))
			return -1;
		fixture->places[i] = (struct sluice_sleep_place){
			.segment = &fixture->rings[i],
			.sleepers = i % 2 ? &fixture->rings[i].control->stage_sleepers :
					    &fixture->rings[i].control->consumer_sleepers,
			.index = i + 1,
		};
	}
	sluice_barrier_register();
	has_waitv = !has_no_waitv && sluice_futex_waitv(NULL, 0, 0) == -EINVAL;
	waits = waitvs = barriers = timeouts = 0;
	return 0;
}

static int setup_without_waitv(void **state)
{
	has_no_waitv = true;
	return setup(state);
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	for (uint32_t i = 0; i < RINGS; i++)
		ring_destroy(&fixture->rings[i]);
	free(fixture);
	has_no_waitv = false;
	return 0;
}

static uint64_t bits(const struct fixture *fixture)
{
	uint64_t all = 0;

	for (uint32_t i = 0; i < RINGS; i++)
		all |= atomic_load(fixture->places[i].sleepers);
	return all;
}

static void test_wait_many__announces_everywhere_with_one_barrier(void **state)
{
	struct fixture *fixture = *state;

	sluice_sleep_many_begin(fixture->places, RINGS);
	assert_int_equal(barriers, 1);
	for (uint32_t i = 0; i < RINGS; i++)
		assert_int_equal(atomic_load(fixture->places[i].sleepers), 1u << (i + 1));
	sluice_sleep_many_end(fixture->places, RINGS, false, SLUICE_WAIT_FOREVER);
	assert_int_equal(bits(fixture), 0);
	assert_int_equal(waits + waitvs, 0);
}

/* Between the announcement and the sleep. */
static void test_wait_many__an_early_wake_of_any_is_not_slept_through(void **state)
{
	struct fixture *fixture = *state;

	for (uint32_t i = 0; i < RINGS; i++) {
		sluice_sleep_many_begin(fixture->places, RINGS);
		sluice_wake(&fixture->rings[i], fixture->places[i].sleepers);
		sluice_sleep_many_end(fixture->places, RINGS, true, SLUICE_WAIT_FOREVER);
		assert_int_equal(timeouts, 0);
		assert_int_equal(bits(fixture), 0);
	}
	assert_int_equal(waitvs, has_waitv ? RINGS : 0);
}

static void *wake_victim(void *arg)
{
	struct fixture *fixture = arg;
	const struct sluice_sleep_place *place = &fixture->places[fixture->victim];
	const struct timespec moment = {.tv_nsec = 2 * MS};

	while (!atomic_load(place->sleepers))
		sched_yield();
	nanosleep(&moment, NULL);
	sluice_wake(place->segment, place->sleepers);
	return NULL;
}

static void test_wait_many__a_wake_of_any_ends_the_sleep(void **state)
{
	struct fixture *fixture = *state;
	pthread_t thread;

	if (!has_waitv) {
		print_message(
			"skip: a_wake_of_any_ends_the_sleep: no futex_waitv in this kernel\n");
		skip();
	}
	for (fixture->victim = 0; fixture->victim < RINGS; fixture->victim++) {
		assert_int_equal(pthread_create(&thread, NULL, wake_victim, fixture), 0);
		sluice_sleep_many_begin(fixture->places, RINGS);
		sluice_sleep_many_end(fixture->places, RINGS, true, SLUICE_WAIT_FOREVER);
		pthread_join(thread, NULL);
		assert_int_equal(timeouts, 0);
	}
	assert_int_equal(waitvs, RINGS);
	/* what the library asked for is bounded, with and without a deadline */
	assert_true(wait_ns > 0 && wait_ns <= 10 * MS);
}

static void test_wait_many__a_deadline_is_kept(void **state)
{
	struct fixture *fixture = *state;

	sluice_sleep_many_begin(fixture->places, RINGS);
	sluice_wake(&fixture->rings[0], fixture->places[0].sleepers); /* returns at once */
	sluice_sleep_many_end(fixture->places, RINGS, true, sluice_clock_ns() + 2 * MS);
	assert_true(wait_ns <= 2 * MS || waits + waitvs == 0); /* if we were not delayed by it */
	wait_ns = waits = waitvs = 0;
	sluice_sleep_many_begin(fixture->places, RINGS);
	sluice_sleep_many_end(fixture->places, RINGS, true, 1);
	assert_int_equal(waits + waitvs, 0);
	assert_int_equal(bits(fixture), 0);
}

/* One ring needs no vector. */
static void test_wait_many__one_is_like_sleep(void **state)
{
	struct fixture *fixture = *state;
	pthread_t thread;

	fixture->victim = 0;
	assert_int_equal(pthread_create(&thread, NULL, wake_victim, fixture), 0);
	sluice_sleep_many_begin(fixture->places, 1);
	sluice_sleep_many_end(fixture->places, 1, true, SLUICE_WAIT_FOREVER);
	pthread_join(thread, NULL);
	assert_int_equal(timeouts, 0);
	assert_int_equal(waits, 1);
	assert_int_equal(waitvs, 0);
	assert_int_equal(wait_ns, 10 * MS);
}

/* Only the first word can be slept on: the others are looked at again soon. */
static void test_wait_many__without_waitv_sleeps_are_short(void **state)
{
	struct fixture *fixture = *state;

	sluice_sleep_many_begin(fixture->places, RINGS);
	sluice_sleep_many_end(fixture->places, RINGS, true, SLUICE_WAIT_FOREVER);
	assert_int_equal(waitvs, 0);
	assert_int_equal(waits, 1);
	assert_true(wait_ns > 0 && wait_ns < MS);
	sluice_sleep_many_begin(fixture->places, RINGS);
	sluice_wake(&fixture->rings[0], fixture->places[0].sleepers);
	timeouts = 0;
	sluice_sleep_many_end(fixture->places, RINGS, true, SLUICE_WAIT_FOREVER);
	assert_int_equal(timeouts, 0);
	assert_int_equal(bits(fixture), 0);
}

/* Where this process has no barrier, every one of the rings is told to fence. */
static void test_wait_many__all_rings_are_asked_to_fence(void **state)
{
	struct fixture *fixture = *state;

	for (uint32_t i = 0; i < RINGS; i++)
		ask_for_fences(fixture->places[i].segment);
	for (uint32_t i = 0; i < RINGS; i++) {
		assert_int_equal(atomic_load(&fixture->rings[i].control->fenced), 1);
		assert_int_equal(atomic_load(&fixture->rings[i].control->membership), 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_wait_many__announces_everywhere_with_one_barrier, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_wait_many__an_early_wake_of_any_is_not_slept_through, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wait_many__a_wake_of_any_ends_the_sleep, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_wait_many__a_deadline_is_kept, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_wait_many__one_is_like_sleep, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wait_many__without_waitv_sleeps_are_short,
						setup_without_waitv, teardown),
		cmocka_unit_test_setup_teardown(test_wait_many__all_rings_are_asked_to_fence, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
