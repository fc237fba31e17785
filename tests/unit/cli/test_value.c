/* SPDX-License-Identifier: MIT */
/* test_value.c - texts that are values, texts that are not, and words that are near. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "cli/value.h"

struct good {
	const char *text;
	uint64_t value;
};

static void check_good(int (*parse_value)(const char *, uint64_t *), const struct good *good,
		       size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t value = 0xdeadbeef;

		if (parse_value(good[i].text, &value) || value != good[i].value)
			fail_msg("\"%s\" gave %llu", good[i].text, (unsigned long long)value);
	}
}

static void check_bad(int (*parse_value)(const char *, uint64_t *), const char *const *bad,
		      size_t count, int error)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t value = 0xdeadbeef;

		if (parse_value(bad[i], &value) != error || value != 0xdeadbeef)
			fail_msg("\"%s\" was taken, as %llu", bad[i], (unsigned long long)value);
	}
}

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static void test_value__count(void **state)
{
	static const struct good good[] = {
		{"0", 0},
		{"1_000", 1000},
		{"1_000_000", 1000000},
		{"10k", 10000},
		{"10K", 10000},
		{"1.5M", 1500000},
		{"0.001k", 1},
		{"2G", 2000000000},
		{"3T", 3000000000000},
		{"1Ki", 1024},
		{"4Mi", 4194304},
		{"1Gi", 1073741824},
		{"1Ti", 1099511627776},
		{"007", 7},
		{"18446744073709551615", UINT64_MAX},
		{"1.0", 1},
	};
	static const char *const bad[] = {"",
					  "k",
					  "-1",
					  "+1",
					  " 1",
					  "1 ",
					  "1__0",
					  "_1",
					  "1_",
					  "1m",
					  "1kk",
					  "0.5",
					  "1.",
					  ".5",
					  "1.0001k",
					  "0x10",
					  "1k5",
					  "1e3",
					  "1B",
					  "1.0000000000000000001M",
					  "1.00000000000000000000",
					  "1 k",
					  "1._5k"};
	static const char *const large[] = {"18446744073709551616", "18446744073709551615k",
					    "99999999999999999999999999999", "16777216Ti",
					    "18446744073709551.999k"};

	(void)state;
	check_good(sluice_value_count, good, COUNT_OF(good));
	check_bad(sluice_value_count, bad, COUNT_OF(bad), -EINVAL);
	check_bad(sluice_value_count, large, COUNT_OF(large), -ERANGE);
}

static void test_value__size(void **state)
{
	static const struct good good[] = {
		{"4096", 4096},		{"4096B", 4096},      {"64M", 64ull << 20},
		{"64MiB", 64ull << 20}, {"64m", 64ull << 20}, {"1.5K", 1536},
		{"2KiB", 2048},		{"1g", 1ull << 30},   {"1GiB", 1ull << 30},
		{"1T", 1ull << 40},	{"1TiB", 1ull << 40}, {"1k", 1024},
	};
	static const char *const bad[] = {"", "MB", "1MB", "1Kib", "-1M", "0.3K", "64 M"};
	static const char *const large[] = {"16777216T"};

	(void)state;
	check_good(sluice_value_size, good, COUNT_OF(good));
	check_bad(sluice_value_size, bad, COUNT_OF(bad), -EINVAL);
	check_bad(sluice_value_size, large, COUNT_OF(large), -ERANGE);
}

static void test_value__duration(void **state)
{
	static const struct good good[] = {
		{"10us", 10000},	{"5s", 5000000000},
		{"2m", 120000000000},	{"1h", 3600000000000},
		{"1d", 86400000000000}, {"7ns", 7},
		{"250ms", 250000000},	{"1.5s", 1500000000},
		{"0.25us", 250},	{"3", 3000000000}, /* plain numbers are seconds */
		{"0.5", 500000000},	{"0", 0},
	};
	static const char *const bad[] = {"", "s", "5 s", "5sec", "-5s", "0.5ns", "1m30s", "5S"};
	static const char *const large[] = {"18446744074s", "18446744073709551616ns", "300000d"};

	(void)state;
	check_good(sluice_value_duration, good, COUNT_OF(good));
	check_bad(sluice_value_duration, bad, COUNT_OF(bad), -EINVAL);
	check_bad(sluice_value_duration, large, COUNT_OF(large), -ERANGE);
}

static void test_value__rate(void **state)
{
	static const struct good good[] = {
		{"100k", 100000}, {"1.5M/s", 1500000}, {"7/s", 7}, {"max", 0}, {"0", 0}};
	static const char *const bad[] = {"", "/s", "fast", "10/m", "k/s", "max/s", "10k/"};

	(void)state;
	check_good(sluice_value_rate, good, COUNT_OF(good));
	check_bad(sluice_value_rate, bad, COUNT_OF(bad), -EINVAL);
}

static void test_value__flag(void **state)
{
	static const char *const yes[] = {"yes", "true", "on", "1", "YES", "True"};
	static const char *const no[] = {"no", "false", "off", "0", "Off"};
	bool flag;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(yes); i++) {
		flag = false;
		assert_int_equal(sluice_value_flag(yes[i], &flag), 0);
		assert_true(flag);
	}
	for (size_t i = 0; i < COUNT_OF(no); i++) {
		flag = true;
		assert_int_equal(sluice_value_flag(no[i], &flag), 0);
		assert_false(flag);
	}
	assert_int_equal(sluice_value_flag("", &flag), -EINVAL);
	assert_int_equal(sluice_value_flag("y", &flag), -EINVAL);
	assert_int_equal(sluice_value_flag("2", &flag), -EINVAL);
}

static void test_value__choice(void **state)
{
	uint32_t index = 99;

	(void)state;
	assert_int_equal(sluice_value_choice("batch", "batch|async|off", &index), 0);
	assert_int_equal(index, 0);
	assert_int_equal(sluice_value_choice("off", "batch|async|off", &index), 0);
	assert_int_equal(index, 2);
	assert_int_equal(sluice_value_choice("of", "batch|async|off", &index), -EINVAL);
	assert_int_equal(sluice_value_choice("offs", "batch|async|off", &index), -EINVAL);
	assert_int_equal(sluice_value_choice("", "batch|async|off", &index), -EINVAL);
	assert_int_equal(sluice_value_choice("batch|async", "batch|async|off", &index), -EINVAL);
	assert_int_equal(index, 2);
}

static uint32_t distance(const char *left, const char *right)
{
	const uint32_t there = sluice_value_distance(left, strlen(left), right, strlen(right));

	assert_int_equal(there, sluice_value_distance(right, strlen(right), left, strlen(left)));
	return there;
}

static void test_value__distance(void **state)
{
	static const char long_word[] =
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"; /* 65 */

	(void)state;
	assert_int_equal(distance("", ""), 0);
	assert_int_equal(distance("", "abc"), 3);
	assert_int_equal(distance("name", "name"), 0);
	assert_int_equal(distance("nmae", "name"), 1);
	assert_int_equal(distance("nam", "name"), 1);
	assert_int_equal(distance("kitten", "sitting"), 3);
	assert_int_equal(distance("ca", "abc"), 3);
	assert_true(distance(long_word, "a") == UINT32_MAX);
	assert_int_equal(distance(long_word + 1, "a"), 63);
	assert_true(sluice_value_is_near("nmae", 1));
	assert_true(sluice_value_is_near("durablity", 3));
	assert_false(sluice_value_is_near("durablity", 4));
	assert_false(sluice_value_is_near("abc", 2));
	assert_false(sluice_value_is_near("a", 1));
	assert_false(sluice_value_is_near("", 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_value__count),	cmocka_unit_test(test_value__size),
		cmocka_unit_test(test_value__duration), cmocka_unit_test(test_value__rate),
		cmocka_unit_test(test_value__flag),	cmocka_unit_test(test_value__choice),
		cmocka_unit_test(test_value__distance),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
