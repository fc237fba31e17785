/* SPDX-License-Identifier: MIT */
/*
 * test_ring_cases.c - which throughput runs are made, the strides of their rings, and that the
 * check of their events finds whatever can be wrong with one.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "bench/ring.h"

static uint32_t count(const struct bench_ring_filter *filter, enum bench_topology topology,
		      struct bench_case *ret_cases)
{
	const struct bench_plan plan = {.ring = *filter};

	return bench_ring_cases(&plan, topology, ret_cases);
}

static void test_ring_cases__all_is_every_combination(void **state)
{
	static struct bench_case cases[BENCH_CASES_MAX];
	const struct bench_ring_filter all = {.all = true};

	(void)state;
	for (uint32_t t = 0; t < BENCH_TOPOLOGIES; t++) {
		const uint32_t n = count(&all, t, cases);

		assert_int_equal(n, 5 * 2 * 3 * 3 * 2);
		for (uint32_t i = 0; i < n; i++)
			for (uint32_t j = 0; j < i; j++)
				assert_memory_not_equal(&cases[i], &cases[j], sizeof(cases[i]));
	}
}

static void test_ring_cases__the_usual_ones_fit_a_few_minutes(void **state)
{
	static struct bench_case cases[BENCH_CASES_MAX];
	const struct bench_ring_filter usual = {.all = false};
	uint32_t total = 0;

	(void)state;
	for (uint32_t t = 0; t < BENCH_TOPOLOGIES; t++) {
		const uint32_t n = count(&usual, t, cases);

		assert_true(n > 0);
		total += n;
	}
	assert_in_range(total, 30, 60);
}

static void test_ring_cases__filters(void **state)
{
	static struct bench_case cases[BENCH_CASES_MAX];
	const struct bench_ring_filter one = {
		.bytes = 64, .slots = 8192, .batch = 10, .where = 2, .reader = 3, .all = true};
	const struct bench_ring_filter none = {.bytes = 31, .all = true};

	(void)state;
	assert_int_equal(count(&one, BENCH_DIAMOND, cases), 1);
	assert_int_equal(cases[0].topology, BENCH_DIAMOND);
	assert_int_equal(cases[0].bytes, 64);
	assert_int_equal(cases[0].slots, 8192);
	assert_int_equal(cases[0].batch, 10);
	assert_true(cases[0].threads);
	assert_int_equal(cases[0].reader, BENCH_READ_POLLER);
	assert_int_equal(count(&none, BENCH_UNICAST, cases), 0);
}

static void test_ring_cases__stride_has_room_for_the_stamp(void **state)
{
	static const uint32_t expected[][4] = {/* bytes, packed, stamped, padded */
					       {8, 8, 16, 16},
					       {24, 24, 32, 32},
					       {32, 32, 40, 64},
					       {64, 64, 72, 128},
					       {128, 128, 136, 256}};

	(void)state;
	for (uint32_t i = 0; i < 5; i++) {
		struct bench_case ring = {.topology = BENCH_UNICAST, .bytes = expected[i][0]};

		assert_int_equal(bench_case_stride(&ring), expected[i][1]);
		ring.topology = BENCH_SEQUENCER;
		assert_int_equal(bench_case_stride(&ring), expected[i][2]);
		assert_int_equal(bench_case_padded(&ring), expected[i][3]);
	}
}

static void fill(uint64_t *event, uint64_t number, uint32_t producer)
{
	bench_event_fill(event, 4, number, producer, BENCH_UNSPOILED);
}

static void test_ring_cases__check_accepts_what_was_sent(void **state)
{
	struct bench_expect expect;
	uint64_t event[4];

	(void)state;
	bench_expect_init(&expect);
	for (uint64_t n = 0; n < 1000; n++)
		for (uint32_t p = 0; p < BENCH_PRODUCERS_MAX; p++) {
			fill(event, n, p);
			bench_event_check(&expect, event, 4, true);
		}
	assert_int_equal(expect.wrong, 0);
}

static void test_ring_cases__check_finds_each_fault(void **state)
{
	enum { LOST, REPEATED, TORN, FOREIGN, SPOILED, FAULTS };

	(void)state;
	for (int fault = 0; fault < FAULTS; fault++)
		for (uint32_t many = 0; many < 2; many++) {
			struct bench_expect expect;
			uint64_t event[4];

			bench_expect_init(&expect);
			fill(event, 0, 0);
			bench_event_check(&expect, event, 4, many);
			assert_int_equal(expect.wrong, 0);
			fill(event, fault == LOST ? 2 : fault == REPEATED ? 0 : 1, 0);
			if (fault == TORN)
				event[2] = 0;
			if (fault == FOREIGN)
				memset(event, 0xa5, sizeof(event));
			if (fault == SPOILED)
				bench_event_fill(event, 4, 1, 0, 1);
			bench_event_check(&expect, event, 4, many);
			assert_int_not_equal(expect.wrong, 0);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ring_cases__all_is_every_combination),
		cmocka_unit_test(test_ring_cases__the_usual_ones_fit_a_few_minutes),
		cmocka_unit_test(test_ring_cases__filters),
		cmocka_unit_test(test_ring_cases__stride_has_room_for_the_stamp),
		cmocka_unit_test(test_ring_cases__check_accepts_what_was_sent),
		cmocka_unit_test(test_ring_cases__check_finds_each_fault),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
