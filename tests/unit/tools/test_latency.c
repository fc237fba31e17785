/* SPDX-License-Identifier: MIT */
/* test_latency.c - only percentiles that the samples justify are printed; the maximum always. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/latency.h"
#include "tools/stat_sample.h"

static void json_of(uint64_t samples, char *ret_text, size_t bytes)
{
	static struct sluice_histogram histogram;
	static struct sluice_histogram_snapshot snapshot;
	struct sluice_json json;

	memset(&histogram, 0, sizeof(histogram));
	sluice_histogram_init(&histogram, "test_ns", 0);
	for (uint64_t i = 0; i < samples; i++)
		sluice_histogram_record(&histogram, 1000 + i % 100);
	sluice_histogram_snapshot(&histogram, &snapshot);
	sluice_json_init_buffer(&json, ret_text, bytes);
	sluice_json_object(&json, NULL);
	sluice_tool_latency_json(&json, "test", &snapshot);
	sluice_json_end(&json);
	assert_int_equal(sluice_json_finish(&json), 0);
}

static void test_latency__has_only_justified_percentiles(void **state)
{
	static const struct {
		uint64_t samples;
		const char *last; /* the highest percentile */
		const char *not_yet;
	} cases[] = {
		{1000, "p99_ns", "p99_9_ns"},
		{10000, "p99_9_ns", "p99_99_ns"},
		{100000, "p99_99_ns", "p99_999_ns"},
		{1000000, "p99_999_ns", "nothing"},
	};
	char text[512];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		json_of(cases[i].samples, text, sizeof(text));
		assert_non_null(strstr(text, cases[i].last));
		assert_null(strstr(text, cases[i].not_yet));
		assert_non_null(strstr(text, "\"p50_ns\":10"));
		assert_non_null(strstr(text, "\"max_ns\":1099"));
		/* one sample less does not justify the highest one */
		json_of(cases[i].samples - 1, text, sizeof(text));
		assert_null(strstr(text, cases[i].last));
	}
}

static void test_latency__of_nothing(void **state)
{
	char text[512];
	char *printed = NULL;
	size_t bytes;
	static struct sluice_histogram_snapshot snapshot;
	FILE *out = open_memstream(&printed, &bytes);

	(void)state;
	json_of(0, text, sizeof(text));
	assert_string_equal(text, "{\"test\":{\"count\":0,\"max_ns\":0,\"overflow_count\":0}}");
	sluice_tool_latency_text(out, &snapshot);
	fclose(out);
	assert_string_equal(printed, "no samples");
	free(printed);
}

static void test_latency__rates_survive_a_restart(void **state)
{
	(void)state;
	assert_int_equal(sluice_tool_delta(10, 4), 6);
	assert_int_equal(sluice_tool_delta(4, UINT64_MAX - 5), 10); /* over the edge */
	assert_int_equal(sluice_tool_delta(4, 1000000), 0);	    /* begun anew */
	assert_int_equal(sluice_tool_per_second(5, 500000000), 10);
	assert_int_equal(sluice_tool_per_second(5, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_latency__has_only_justified_percentiles),
		cmocka_unit_test(test_latency__of_nothing),
		cmocka_unit_test(test_latency__rates_survive_a_restart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
