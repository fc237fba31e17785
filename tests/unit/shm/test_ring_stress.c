/* SPDX-License-Identifier: MIT */
/* test_ring_stress.c - the stress body among threads of one process: for ThreadSanitizer. */
#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/stress/ring_stress.h"

#define RUN_US 600000u

#define CONSUMERS 3

struct part {
	struct stress *stress;
	struct sluice_segment *segment;
	uint64_t seed;
	int number; /* a consumer's; below: -1 - the place of a producer */
	bool ok;
};

static void *run_part(void *arg)
{
	struct part *part = arg;

	part->ok = part->number < 0 ? stress_produce(part->stress, part->segment,
						     (uint64_t)(-1 - part->number), part->seed) :
				      stress_consume(part->stress, part->segment,
						     (uint32_t)part->number, part->seed);
	return NULL;
}

static void check(const struct stress *stress, const struct part *parts, int count)
{
	assert_true(atomic_load(&stress->published) > 100);
	for (int i = 0; i < count; i++)
		assert_true(parts[i].ok);
	for (int i = 0; i < CONSUMERS; i++) {
		assert_int_equal(atomic_load(&stress->consumers[i].wrong), 0);
		assert_int_equal(atomic_load(&stress->consumers[i].events),
				 atomic_load(&stress->published));
	}
}

static void run(uint32_t publication, int producers, uint64_t slots, uint64_t seed)
{
	static struct stress stress;
	const int count = producers + CONSUMERS;
	struct part parts[STRESS_PLACES + CONSUMERS];
	pthread_t threads[STRESS_PLACES + CONSUMERS];
	struct sluice_segment segment;

	memset(&stress, 0, sizeof(stress));
	assert_int_equal(ring_create(&segment, NULL, publication, slots, 0), 0);
	for (int i = 0; i < CONSUMERS; i++)
		assert_int_equal(sluice_participant_reserve(&segment, stress_names[i], 0, NULL), 0);
	for (int i = 0; i < count; i++) {
		parts[i] = (struct part){
			&stress, &segment, seed + (uint64_t)i, i - producers, false,
		};
		pthread_create(&threads[i], NULL, run_part, &parts[i]);
	}
	usleep(RUN_US);
	atomic_store(&stress.stop, 1);
	for (int i = 0; i < producers; i++)
		pthread_join(threads[i], NULL);
	sluice_ring_set_state(&segment, SLUICE_STATE_DRAINING);
	for (int i = producers; i < count; i++)
		pthread_join(threads[i], NULL);
	print_message("%llu events, wait strategies from %llu\n",
		      (unsigned long long)atomic_load(&stress.published),
		      (unsigned long long)(seed % 4));
	check(&stress, parts, count);
	ring_destroy(&segment);
}

static void test_ring_stress__threads_on_a_cursor_ring(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < 3; i++)
		run(RING_CURSOR, 1, 16ull << (i * 3), test_seed() + i);
}

static void test_ring_stress__threads_on_a_stamped_ring(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < 3; i++)
		run(RING_STAMPED, 1, 16ull << (i * 3), test_seed() + i);
}

static void test_ring_stress__several_producers(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < 3; i++)
		run(RING_MULTI, (int)i + 2, 16ull << (i * 2), test_seed() + i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ring_stress__threads_on_a_cursor_ring),
		cmocka_unit_test(test_ring_stress__threads_on_a_stamped_ring),
		cmocka_unit_test(test_ring_stress__several_producers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
