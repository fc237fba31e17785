/* SPDX-License-Identifier: MIT */
/* test_scenario.c - rows, values, medians and ratios of a benchmark's scenario. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "bench/bench.h"

static bool near(double a, double b)
{
	return a - b < 1e-9 && b - a < 1e-9;
}

static void test_scenario__median_of_odd_and_even(void **state)
{
	const double odd[] = {9, 1, 5}, even[] = {4, 1, 3, 2};

	(void)state;
	assert_true(near(bench_median(odd, 3), 5));
	assert_true(near(bench_median(even, 4), 2.5));
	assert_true(near(bench_median(odd, 1), 9));
	assert_true(near(odd[0], 9)); /* the input keeps its order: pairs belong together */
}

static void test_scenario__range_of_values(void **state)
{
	struct bench_scenario scenario = {.name = "x"};
	struct bench_row *row = bench_row(&scenario, "row");
	const double values[] = {3, 9, 1};

	(void)state;
	bench_set_range(row, "million_per_s", values, 3);
	assert_true(near(bench_get(row, "million_per_s"), 3));
	assert_true(near(bench_get(row, "million_per_s_min"), 1));
	assert_true(near(bench_get(row, "million_per_s_max"), 9));
}

static void test_scenario__ratio_is_per_pair(void **state)
{
	struct bench_scenario scenario = {.name = "x"};
	/* the machine was twice as slow from the second pair on; each pair is what counts */
	const double over[] = {12, 22, 30}, under[] = {10, 20, 20};

	(void)state;
	bench_ratio(&scenario, "r", over, under, 3, 1.3);
	assert_int_equal(scenario.ratio_count, 1);
	assert_true(near(scenario.ratios[0].median, 1.2));
	assert_true(near(scenario.ratios[0].min, 1.1));
	assert_true(near(scenario.ratios[0].max, 1.5));
	assert_int_equal(scenario.ratios[0].pairs, 3);
}

static void test_scenario__values_by_key(void **state)
{
	struct bench_scenario scenario = {.name = "x"};
	struct bench_row *row = bench_row(&scenario, "row %d", 7);

	(void)state;
	bench_set(row, "p50_ns", 12.5);
	bench_set(row, "samples", 0);
	assert_string_equal(row->label, "row 7");
	assert_true(near(bench_get(row, "p50_ns"), 12.5));
	assert_true(near(bench_get(row, "samples"), 0));
	assert_true(bench_get(row, "p99_ns") < 0);
}

static void test_scenario__not_measured_leaves_no_numbers(void **state)
{
	struct bench_scenario scenario = {.name = "x"};

	(void)state;
	bench_set(bench_row(&scenario, "half done"), "p50_ns", 1);
	bench_not_measured(&scenario, "needs %d CPUs", 2);
	assert_int_equal(scenario.row_count, 0);
	assert_string_equal(scenario.reason, "needs 2 CPUs");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scenario__median_of_odd_and_even),
		cmocka_unit_test(test_scenario__range_of_values),
		cmocka_unit_test(test_scenario__ratio_is_per_pair),
		cmocka_unit_test(test_scenario__values_by_key),
		cmocka_unit_test(test_scenario__not_measured_leaves_no_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
