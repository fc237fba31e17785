/* SPDX-License-Identifier: MIT */
/*
 * test_ring_stress.c - the stress body among processes, which are killed at random and started
 * again: no live producer's event is lost, repeated or swapped, no reader sees a torn one, and the
 * line always goes on.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/stress/ring_stress.h"

#define RUN_NS 4000000000ull

#define CONSUMERS 3

/* number 0 to 2: consumers; below: -1 - the place of a producer */
static pid_t start(struct stress *stress, int number, uint64_t seed)
{
	const pid_t pid = fork();
	struct sluice_segment segment;
	bool ok;

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (sluice_segment_attach(&segment, "stress", SLUICE_ACCESS_WRITE, NULL))
		_exit(2);
	ok = number < 0 ? stress_produce(stress, &segment, (uint64_t)(-1 - number), seed) :
			  stress_consume(stress, &segment, (uint32_t)number, seed);
	if (!ok)
		atomic_fetch_add(&stress->errors, 1);
	_exit(ok ? 0 : 1);
}

static uint64_t run_and_kill(struct stress *stress, pid_t *pids, int producers, uint64_t *seed)
{
	const uint64_t end_ns = sluice_clock_ns() + RUN_NS;
	uint64_t kills = 0;

	while (sluice_clock_ns() < end_ns) {
		const uint64_t random = test_random(seed);
		/* producers more often than consumers */
		const int victim = random % 2 ? (int)((random >> 8) % (unsigned)producers) :
						producers + (int)((random >> 8) % CONSUMERS);

		usleep((unsigned)(random >> 16) % 12000);
		child_kill(pids[victim]);
		kills++;
		pids[victim] = start(stress, victim - producers, random >> 3);
	}
	return kills;
}

static void run(uint32_t publication, int producers, uint64_t slots)
{
	struct stress *stress = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
				     -1, 0);
	struct sluice_segment segment;
	uint64_t seed = test_seed(), kills, voids;
	pid_t pids[STRESS_PLACES + CONSUMERS];

	assert_ptr_not_equal(stress, MAP_FAILED);
	assert_int_equal(ring_create(&segment, "stress", publication, slots, 0), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(sluice_participant_reserve(&segment, stress_names[i], 0, NULL), 0);
	for (int i = 0; i < producers + CONSUMERS; i++)
		pids[i] = start(stress, i - producers, seed + (uint64_t)i);
	kills = run_and_kill(stress, pids, producers, &seed);
	atomic_store(&stress->stop, 1);
	for (int i = 0; i < producers; i++)
		assert_int_equal(child_wait(pids[i], 20), 0);
	sluice_ring_set_state(&segment, SLUICE_STATE_DRAINING);
	for (int i = producers; i < producers + CONSUMERS; i++)
		assert_int_equal(child_wait(pids[i], 20), 0);
	voids = atomic_load(&segment.control->tombstones);
	print_message("%llu events, %llu kills, %llu tombstones, %llu read again\n",
		      (unsigned long long)atomic_load(&stress->consumers[0].events),
		      (unsigned long long)kills, (unsigned long long)voids,
		      (unsigned long long)atomic_load(&stress->consumers[0].again));
	assert_int_equal(atomic_load(&stress->errors), 0);
	assert_true(kills > 20);
	for (int i = 0; i < 3; i++) {
		const struct stress_consumer *c = &stress->consumers[i];

		assert_int_equal(atomic_load(&c->wrong), 0);
		/* a producer may die between its publish and its count */
		assert_true(atomic_load(&c->events) >= atomic_load(&stress->published));
		assert_int_equal(atomic_load(&c->sequence),
				 atomic_load(&stress->consumers[0].sequence));
	}
	munmap(stress, 4096);
	ring_destroy(&segment);
}

static void test_ring_stress__killed_processes_on_a_cursor_ring(void **state)
{
	(void)state;
	run(RING_CURSOR, 1, 64);
}

static void test_ring_stress__killed_processes_on_a_stamped_ring(void **state)
{
	(void)state;
	run(RING_STAMPED, 1, 64);
}

static void test_ring_stress__killed_processes_on_a_multi_producer_ring(void **state)
{
	(void)state;
	run(RING_MULTI, 3, 64);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ring_stress__killed_processes_on_a_cursor_ring),
		cmocka_unit_test(test_ring_stress__killed_processes_on_a_stamped_ring),
		cmocka_unit_test(test_ring_stress__killed_processes_on_a_multi_producer_ring),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
