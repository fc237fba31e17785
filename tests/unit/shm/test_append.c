/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>

#include "shm/append.h"

static void same_as_printf(uint64_t value)
{
	char ours[32], theirs[32];

	*sluice_append_u64(ours, value) = '\0';
	snprintf(theirs, sizeof(theirs), "%" PRIu64, value);
	assert_string_equal(ours, theirs);
	*sluice_append_i64(ours, (int64_t)value) = '\0';
	snprintf(theirs, sizeof(theirs), "%" PRId64, (int64_t)value);
	assert_string_equal(ours, theirs);
}

static void test_append__integers(void **state)
{
	uint64_t value = 1;

	(void)state;
	for (uint64_t i = 0; i < 20000; i++)
		same_as_printf(i);
	for (uint32_t i = 0; i < 64; i++)
		for (uint64_t near = 0; near < 5; near++)
			same_as_printf((1ull << i) + near - 2);
	for (uint32_t i = 0; i < 20; i++, value *= 10)
		for (uint64_t near = 0; near < 5; near++)
			same_as_printf(value + near - 2);
}

static void decimal_is(int64_t value, uint32_t decimals, const char *expected)
{
	char text[32];

	*sluice_append_decimal(text, value, decimals) = '\0';
	assert_string_equal(text, expected);
}

static void test_append__decimals(void **state)
{
	(void)state;
	decimal_is(18950, 2, "189.50");
	decimal_is(0, 2, "0.00");
	decimal_is(7, 2, "0.07");
	decimal_is(-7, 2, "-0.07");
	decimal_is(-18950, 3, "-18.950");
	decimal_is(5, 0, "5");
	decimal_is(-5, 0, "-5");
	decimal_is(1, 18, "0.000000000000000001");
	decimal_is(INT64_MAX, 18, "9.223372036854775807");
	decimal_is(INT64_MIN, 18, "-9.223372036854775808");
	decimal_is(INT64_MIN, 1, "-922337203685477580.8");
	decimal_is(12, 19, "12"); /* out of range: as an integer */
}

static void test_append__longest_number_is_bounded(void **state)
{
	char text[64];

	(void)state;
	for (uint32_t decimals = 0; decimals <= SLUICE_DECIMALS_MAX; decimals++)
		assert_true(sluice_append_decimal(text, INT64_MIN, decimals) - text <=
			    SLUICE_APPEND_NUMBER_BYTES);
	assert_true(sluice_append_u64(text, UINT64_MAX) - text <= SLUICE_APPEND_NUMBER_BYTES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_append__integers),
		cmocka_unit_test(test_append__decimals),
		cmocka_unit_test(test_append__longest_number_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
