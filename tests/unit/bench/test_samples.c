/* SPDX-License-Identifier: MIT */
/* test_samples.c - percentiles of runs: exact, in as many nines as justified, above the floor. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "bench/samples.h"

/* 1..n in an order that is not sorted. */
static void fill(struct bench_samples *samples, uint32_t n)
{
	samples->count = 0;
	for (uint32_t i = 0; i < n; i++)
		bench_sample(samples, (uint64_t)i * 7919 % n + 1);
}

static int setup(void **state)
{
	*state = calloc(1, sizeof(struct bench_samples));
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

static void test_samples__percentiles_are_exact(void **state)
{
	struct bench_samples *samples = *state;
	struct bench_arm arm = {0};

	fill(samples, 10000);
	bench_arm_add(&arm, samples, 2);
	assert_int_equal((int)arm.p50[0], 2 * 5000);
	assert_int_equal((int)arm.p99[0], 2 * 9900);
	assert_int_equal((int)arm.p999[0], 2 * 9990);
	assert_int_equal((int)arm.max, 2 * 10000);
	assert_int_equal(arm.samples, 10000);
}

static void test_samples__one_sample_is_every_percentile(void **state)
{
	struct bench_samples *samples = *state;
	struct bench_arm arm = {0};

	fill(samples, 1);
	bench_arm_add(&arm, samples, 1);
	assert_int_equal((int)arm.p50[0], 1);
	assert_int_equal((int)arm.p999[0], 1);
}

static void test_samples__only_justified_nines(void **state)
{
	const struct {
		uint32_t n;
		bool p99, p999;
	} cases[] = {
		{999, false, false}, {1000, true, false}, {9999, true, false}, {10000, true, true}};
	struct bench_samples *samples = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct bench_scenario scenario = {.name = "x"};
		struct bench_arm arm = {0};
		const struct bench_row *row;

		fill(samples, cases[i].n);
		bench_arm_add(&arm, samples, 1);
		/* a second, larger run does not justify more than the smaller one does */
		fill(samples, 20000);
		bench_arm_add(&arm, samples, 1);
		row = bench_arm_row(&scenario, &arm, 0, "row");
		assert_true(bench_get(row, "p50_ns") > 0);
		assert_int_equal(bench_get(row, "p99_ns") >= 0, cases[i].p99);
		assert_int_equal(bench_get(row, "p99_9_ns") >= 0, cases[i].p999);
		assert_int_equal((int)bench_get(row, "samples"), (int)cases[i].n + 20000);
	}
}

static void test_samples__nothing_below_the_floor(void **state)
{
	struct bench_scenario scenario = {.name = "x"};
	struct bench_samples *samples = *state;
	struct bench_arm arm = {0};
	const struct bench_row *row;

	fill(samples, 1000);
	bench_arm_add(&arm, samples, 1);
	row = bench_arm_row(&scenario, &arm, 501, "row");
	assert_true(bench_get(row, "p50_ns") < 0);
	assert_true(bench_get(row, "p99_ns") > 0);
}

static void test_samples__full_is_no_overrun(void **state)
{
	struct bench_samples *samples = *state;

	samples->count = BENCH_SAMPLES_MAX - 1;
	bench_sample(samples, UINT64_MAX);
	bench_sample(samples, 1);
	assert_int_equal(samples->count, BENCH_SAMPLES_MAX);
	assert_int_equal(samples->unit[BENCH_SAMPLES_MAX - 1], UINT32_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_samples__percentiles_are_exact, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_samples__one_sample_is_every_percentile, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_samples__only_justified_nines, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_samples__nothing_below_the_floor, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_samples__full_is_no_overrun, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
