/* SPDX-License-Identifier: MIT */
/*
 * test_wait_crowd.c - more waiters than CPUs: a producer and three consumers on one CPU and on two,
 * behind a small ring and a larger one. Progress is certain with every strategy; with those that
 * give the CPU away, four do not fall a hundred times behind two.
 */
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "shm/clock.h"
#include "shm/wait.h"
#include "tests/lib/ring_fixture.h"

#define MS 1000000ull
#define RUN_NS (100 * MS)
#define PATIENCE_NS (20000 * MS)
#define CROWD 3u

struct member {
	struct sluice_consumer consumer;
	uint64_t got;
	bool is_right;
};

static void *consume(void *arg)
{
	struct member *member = arg;
	uint64_t n, taken;
	int rc;

	member->is_right = true;
	while (!(rc = sluice_consumer_wait(&member->consumer, 64, PATIENCE_NS, &n))) {
		taken = ring_consume(&member->consumer, n);
		member->is_right &= taken == n;
		member->got += n;
	}
	member->is_right &= rc == -EPIPE;
	return NULL;
}

/* The first `count` CPUs of `all`; false: there are not so many. */
static bool pin(const cpu_set_t *all, int count)
{
	cpu_set_t some;

	CPU_ZERO(&some);
	for (uint32_t cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&some) < count; cpu++)
		if (CPU_ISSET(cpu, all))
			CPU_SET(cpu, &some);
	return CPU_COUNT(&some) == count && !sched_setaffinity(0, sizeof(some), &some);
}

static uint64_t produce(struct sluice_segment *segment, uint32_t strategy)
{
	const struct sluice_producer_options options = {.wait = strategy};
	const uint64_t end_ns = sluice_clock_ns() + RUN_NS;
	struct sluice_producer producer;
	uint64_t first, total = 0;

	assert_int_equal(sluice_producer_open(&producer, segment, &options, NULL), 0);
	while (sluice_clock_ns() < end_ns) {
		assert_int_equal(sluice_producer_claim(&producer, 1, PATIENCE_NS, &first), 0);
		event_fill(sluice_producer_slot(&producer, first), producer.ring.payload_bytes,
			   first);
		sluice_producer_publish(&producer, first);
		total++;
	}
	sluice_ring_set_state(segment, SLUICE_STATE_DRAINING);
	sluice_producer_close(&producer);
	return total;
}

/* Events per run with so many consumers. */
static uint64_t run(uint32_t strategy, uint64_t slots, uint32_t consumers)
{
	static struct member members[CROWD];
	static const char *const names[CROWD] = {"a", "b", "c"};
	struct sluice_segment segment;
	pthread_t threads[CROWD];
	uint64_t total;

	memset(members, 0, sizeof(members));
	assert_int_equal(ring_create(&segment, NULL, RING_STAMPED, slots, 0), 0);
	for (uint32_t i = 0; i < consumers; i++) {
		const struct sluice_consumer_options options = {
			.name = names[i],
			.wait = strategy,
		};

		assert_int_equal(
			sluice_consumer_open(&members[i].consumer, &segment, &options, NULL), 0);
		assert_int_equal(pthread_create(&threads[i], NULL, consume, &members[i]), 0);
	}
	total = produce(&segment, strategy);
	for (uint32_t i = 0; i < consumers; i++) {
		pthread_join(threads[i], NULL);
		assert_true(members[i].is_right);
		assert_int_equal(members[i].got, total);
		sluice_consumer_close(&members[i].consumer, false);
	}
	ring_destroy(&segment);
	return total;
}

static void crowd(int cpus, uint64_t slots)
{
	cpu_set_t all;

	sched_getaffinity(0, sizeof(all), &all);
	if (!pin(&all, cpus)) {
		print_message("skip: crowd on %d CPUs: there are not so many\n", cpus);
		skip();
	}
	for (uint32_t strategy = 0; strategy < SLUICE_WAIT_UMWAIT; strategy++) {
		const uint64_t alone = run(strategy, slots, 1);
		const uint64_t crowded = run(strategy, slots, CROWD);

		print_message("%d CPU, %llu slots, %s: %llu events with one consumer, %llu with "
			      "three\n",
			      cpus, (unsigned long long)slots, sluice_wait_name(strategy),
			      (unsigned long long)alone, (unsigned long long)crowded);
		assert_true(crowded >= slots);
		/* a spinner burns its slice: its share is that of its core, or nothing */
		if (strategy != SLUICE_WAIT_SPIN)
			assert_true(crowded * 100 > alone);
	}
	sched_setaffinity(0, sizeof(all), &all);
}

static void test_wait_crowd__one_cpu_small_ring(void **state)
{
	(void)state;
	crowd(1, 64);
}

static void test_wait_crowd__one_cpu_larger_ring(void **state)
{
	(void)state;
	crowd(1, 1024);
}

static void test_wait_crowd__two_cpus_small_ring(void **state)
{
	(void)state;
	crowd(2, 64);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wait_crowd__one_cpu_small_ring),
		cmocka_unit_test(test_wait_crowd__one_cpu_larger_ring),
		cmocka_unit_test(test_wait_crowd__two_cpus_small_ring),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
