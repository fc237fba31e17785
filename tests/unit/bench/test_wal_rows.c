/* SPDX-License-Identifier: MIT */
/* test_wal_rows.c - rows of the durability benchmark: medians, p99 only where justified, sums. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "bench/wal.h"

struct rows {
	struct bench_wal_pairs pairs;
	struct bench_scenario scenario;
};

/* Three runs at 1, 2 and 4 million commands per second, half of the time on the CPU. */
static struct rows *example(void)
{
	struct rows *rows = calloc(1, sizeof(*rows));
	struct bench_wal_pairs *pairs;

	assert_non_null(rows);
	pairs = &rows->pairs;
	pairs->runs = 3;
	for (uint32_t i = 0; i < 3; i++) {
		pairs->p50[i] = 100000 + i;
		pairs->p99[i] = 300000 + i;
		pairs->commit_p50[i] = 80000 + i;
		pairs->commit_p99[i] = 90000 + i;
		pairs->floor_p50[i] = 70000 + i;
		pairs->floor_p99[i] = 75000 + i;
		pairs->per_s[i] = 1e6 * (1u << i);
		pairs->busy[i] = 0.5;
		pairs->user[i] = 0.4;
		pairs->client_busy[i] = 0.25;
	}
	return rows;
}

static double value(const struct rows *rows, const char *label, const char *key)
{
	for (uint32_t i = 0; i < rows->scenario.row_count; i++)
		if (!strcmp(rows->scenario.rows[i].label, label))
			return bench_get(&rows->scenario.rows[i], key);
	return -2;
}

static void test_wal_rows__shows_p99_only_with_enough_samples(void **state)
{
	struct rows *rows = example();

	(void)state;
	rows->pairs.samples = 4999; /* of five runs: 999 each */
	rows->pairs.discarded = 2;
	bench_wal_latency_rows(&rows->scenario, "few", &rows->pairs, true);
	rows->pairs.samples = 5000;
	bench_wal_latency_rows(&rows->scenario, "many", &rows->pairs, false);
	assert_true(value(rows, "few: publish to report", "p50_ns") == 100001);
	assert_true(value(rows, "few: publish to report", "p99_ns") == -1);
	assert_true(value(rows, "few: fio", "p50_ns") == 70001);
	assert_true(value(rows, "many: publish to report", "p99_ns") == 300001);
	assert_true(value(rows, "many: the log's commit", "p99_ns") == 90001);
	assert_true(value(rows, "many: raw write", "p99_ns") == 75001);
	assert_true(value(rows, "many: publish to report", "pairs_discarded") == 2);
	free(rows);
}

static void test_wal_rows__parts_of_the_time_add_up(void **state)
{
	static const char *const parts[] = {
		"share: x: engine: matching, as the core alone",
		"share: x: engine: rings, copies, checksums",
		"share: x: engine: in the kernel",
		"share: x: engine: not on its CPU",
	};
	struct rows *rows = example();
	double sum = 0;

	(void)state;
	bench_wal_time_rows(&rows->scenario, "x", &rows->pairs, 120);
	for (uint32_t i = 0; i < 4; i++)
		sum += value(rows, parts[i], "share_ns");
	assert_true(value(rows, "share: x: one command every", "share_ns") == 500);
	assert_true(sum > 499.999 && sum < 500.001);
	assert_true(value(rows, parts[0], "share_ns") == 120);
	assert_true(value(rows, "share: x: client: its CPU time", "share_ns") == 125);
	free(rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wal_rows__shows_p99_only_with_enough_samples),
		cmocka_unit_test(test_wal_rows__parts_of_the_time_add_up),
	};

	return cmocka_run_group_tests_name("wal_rows", tests, NULL, NULL);
}
