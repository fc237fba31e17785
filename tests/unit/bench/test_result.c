/* SPDX-License-Identifier: MIT */
/* test_result.c - a result as JSON and back, its table, and files that are no results. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/bench.h"

static void example(struct bench_result *result)
{
	struct bench_scenario *scenario = &result->scenarios[0];
	const double over[] = {120, 140}, under[] = {100, 100}, slow[] = {200, 180};
	struct bench_row *row;

	memset(result, 0, sizeof(*result));
	snprintf(result->command, sizeof(result->command), "sluice-bench quick");
	result->clock_cost_ns = 20.5;
	result->clock_floor_ns = 30;
	bench_fact(result, "cpu_model",
		   "a \"CPU\" | with a bar and far more text than one line of "
		   "the table can possibly hold, if it is not cut somewhere");
	result->scenario_count = 2;
	snprintf(scenario->name, sizeof(scenario->name), "round-trip");
	row = bench_row(scenario,
			"two | rings, and a label that is longer than the column is wide");
	bench_set(row, "p50_ns", 412.25);
	bench_set(row, "p99_ns", 800);
	bench_set(row, "samples", 1234567);
	row = bench_row(scenario, "below the floor");
	bench_set(row, "samples", 10);
	row = bench_row(scenario, "part: a part");
	bench_set(row, "part_p50_ns", 77);
	bench_ratio(scenario, "fast enough", over, under, 2, 1.3);
	bench_ratio(scenario, "too slow", slow, under, 2, 1.3);
	bench_note(scenario, "a note");
	scenario->process_count = 1;
	scenario->processes[0] = (struct bench_process){
		.role = "ping", .cpu = 1, .runs = 2, .migrations = -1, .involuntary = 3};
	snprintf(result->scenarios[1].name, sizeof(result->scenarios[1].name), "one-way");
	bench_not_measured(&result->scenarios[1], "needs 2 CPUs");
}

/* The table, in static memory of two turns. */
static char *table_of(const struct bench_result *result)
{
	static char text[2][65536];
	static unsigned int turn;
	char *mine = text[turn++ % 2];
	FILE *out = fmemopen(mine, sizeof(text[0]), "w");

	assert_non_null(out);
	bench_write_table(result, out);
	fclose(out);
	return mine;
}

static void test_result__table_says_what_was_measured(void **state)
{
	static struct bench_result result;
	char *text;

	(void)state;
	example(&result);
	text = table_of(&result);
	assert_non_null(strstr(text, "412ns"));
	assert_non_null(strstr(text, "< floor"));
	assert_non_null(strstr(text, "one-way: not measured: needs 2 CPUs"));
	assert_non_null(strstr(text, "unknown migrations, 3 involuntary"));
	assert_non_null(strstr(strstr(text, "fast enough"), "reached"));
	assert_non_null(strstr(strstr(text, "too slow"), "missed"));
	assert_non_null(strstr(text, "20.5 ns a reading; nothing below 30.0 ns"));
}

static void test_result__table_fits_and_holds_together(void **state)
{
	static struct bench_result result;
	char *text, *line, *rest;

	(void)state;
	example(&result);
	text = table_of(&result);
	rest = text;
	while ((line = strsep(&rest, "\n"))) {
		assert_true(strlen(line) <= 100);
		if (strstr(line, "two ? rings"))
			assert_int_equal(line[0], '|');
		assert_null(strstr(line, "two | rings"));
	}
}

#ifdef SLUICE_WITH_JANSSON
/* The path of a temporary file with this content. */
static void write_file(char *path, const char *text)
{
	const int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (int)strlen(text));
	close(fd);
}

static void test_result__json_and_back_is_the_same_table(void **state)
{
	static struct bench_result result, again;
	char path[] = "/tmp/sluice-test-result.XXXXXX";
	struct sluice_diag diag;
	char *first, *second, *json = NULL;
	size_t bytes;
	FILE *out;

	(void)state;
	example(&result);
	out = open_memstream(&json, &bytes);
	assert_int_equal(bench_write_json(&result, out), 0);
	fclose(out);
	write_file(path, json);
	assert_int_equal(bench_load_json(&again, path, &diag), 0);
	unlink(path);
	first = table_of(&result);
	second = table_of(&again);
	assert_string_equal(first, second);
	free(json);
}

static void test_result__refuses_what_is_no_result(void **state)
{
	const char *const texts[] = {"", "{", "[]", "{\"schema\":\"sluice-bench-0\"}", "{\"a\":1}"};
	static struct bench_result result;
	struct sluice_diag diag;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		char path[] = "/tmp/sluice-test-result.XXXXXX";

		diag.text[0] = '\0';
		write_file(path, texts[i]);
		assert_int_equal(bench_load_json(&result, path, &diag), -EBADMSG);
		assert_true(diag.text[0]);
		unlink(path);
	}
	assert_int_equal(bench_load_json(&result, "/nonexistent/x.json", &diag), -EBADMSG);
}

/* More of everything than there is room for, and values of wrong types: bounded, no crash. */
static void test_result__survives_absurd_content(void **state)
{
	char path[] = "/tmp/sluice-test-result.XXXXXX";
	static struct bench_result result;
	static char text[1u << 20];
	struct sluice_diag diag;
	size_t used = 0;
	char *table;

	(void)state;
	used += (size_t)snprintf(text + used, sizeof(text) - used,
				 "{\"schema\":\"" BENCH_SCHEMA "\",\"command\":5,\"elapsed_ns\":-1,"
				 "\"clock_cost_ns\":\"x\",\"environment\":{");
	for (int i = 0; i < 100; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used,
					 "%s\"k%d\":\"\\u001b[31m\"", i ? "," : "", i);
	used += (size_t)snprintf(text + used, sizeof(text) - used, "},\"scenarios\":[");
	for (int s = 0; s < 20; s++) {
		used += (size_t)snprintf(text + used, sizeof(text) - used,
					 "%s{\"name\":%d,\"rows\":[", s ? "," : "", s);
		for (uint32_t r = 0; r < BENCH_ROWS_MAX + 20; r++)
			used += (size_t)snprintf(
				text + used, sizeof(text) - used,
				"%s{\"label\":null,\"values\":{\"samples\":1e300}}", r ? "," : "");
		used += (size_t)snprintf(
			text + used, sizeof(text) - used,
			"],\"ratios\":7,\"processes\":[{\"cpu\":1e99}],\"notes\":{}}");
	}
	snprintf(text + used, sizeof(text) - used, "]}");
	write_file(path, text);
	assert_int_equal(bench_load_json(&result, path, &diag), 0);
	unlink(path);
	assert_int_equal(result.fact_count, BENCH_FACTS_MAX);
	assert_int_equal(result.scenario_count, BENCH_SCENARIOS_MAX);
	assert_int_equal(result.scenarios[0].row_count, BENCH_ROWS_MAX);
	table = table_of(&result);
	assert_null(strchr(table, '\033'));
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_result__table_says_what_was_measured),
		cmocka_unit_test(test_result__table_fits_and_holds_together),
#ifdef SLUICE_WITH_JANSSON
		cmocka_unit_test(test_result__json_and_back_is_the_same_table),
		cmocka_unit_test(test_result__refuses_what_is_no_result),
		cmocka_unit_test(test_result__survives_absurd_content),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
