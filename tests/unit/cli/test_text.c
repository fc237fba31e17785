/* SPDX-License-Identifier: MIT */
/* test_text.c - numbers for people, at the edges of their units. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "cli/text.h"

#define SECOND 1000000000ull

static void test_text__count(void **state)
{
	(void)state;
	assert_string_equal(sluice_text_count(0).s, "0");
	assert_string_equal(sluice_text_count(7).s, "7");
	assert_string_equal(sluice_text_count(999).s, "999");
	assert_string_equal(sluice_text_count(1000).s, "1.00k");
	assert_string_equal(sluice_text_count(9994).s, "9.99k");
	assert_string_equal(sluice_text_count(9996).s, "10.0k");
	assert_string_equal(sluice_text_count(99960).s, "100k");
	assert_string_equal(sluice_text_count(999400).s, "999k");
	assert_string_equal(sluice_text_count(999950).s, "1.00M");
	assert_string_equal(sluice_text_count(1020000).s, "1.02M");
	assert_string_equal(sluice_text_count(240000000).s, "240M");
	assert_string_equal(sluice_text_count(5000000000).s, "5.00G");
	assert_string_equal(sluice_text_count(UINT64_MAX).s, "18446744T");
}

static void test_text__exact(void **state)
{
	(void)state;
	assert_string_equal(sluice_text_exact(0).s, "0");
	assert_string_equal(sluice_text_exact(999).s, "999");
	assert_string_equal(sluice_text_exact(1000).s, "1,000");
	assert_string_equal(sluice_text_exact(1234567).s, "1,234,567");
	assert_string_equal(sluice_text_exact(UINT64_MAX).s, "18,446,744,073,709,551,615");
}

static void test_text__duration(void **state)
{
	(void)state;
	assert_string_equal(sluice_text_duration(0).s, "0ns");
	assert_string_equal(sluice_text_duration(131).s, "131ns");
	assert_string_equal(sluice_text_duration(131000).s, "131us");
	assert_string_equal(sluice_text_duration(1250).s, "1.25us");
	assert_string_equal(sluice_text_duration(4000000).s, "4.00ms");
	assert_string_equal(sluice_text_duration(12 * SECOND).s, "12.0s");
	assert_string_equal(sluice_text_duration(60 * SECOND - 1).s, "60.0s");
	assert_string_equal(sluice_text_duration(60 * SECOND).s, "1m00s");
	assert_string_equal(sluice_text_duration(125 * SECOND).s, "2m05s");
	assert_string_equal(sluice_text_duration(3600 * SECOND - 1).s, "59m59s");
	assert_string_equal(sluice_text_duration(3780 * SECOND).s, "1h03m");
	assert_string_equal(sluice_text_duration(76 * 3600 * SECOND).s, "3d04h");
	assert_string_equal(sluice_text_duration(UINT64_MAX - 1).s, "213503d23h");
	assert_string_equal(sluice_text_duration(UINT64_MAX).s, "over range");
}

static void test_text__bytes(void **state)
{
	(void)state;
	assert_string_equal(sluice_text_bytes(0).s, "0 B");
	assert_string_equal(sluice_text_bytes(1023).s, "1023 B");
	assert_string_equal(sluice_text_bytes(1024).s, "1.00 KiB");
	assert_string_equal(sluice_text_bytes(1536).s, "1.50 KiB");
	assert_string_equal(sluice_text_bytes(1000 * 1024).s, "1000 KiB");
	assert_string_equal(sluice_text_bytes(1048575).s, "1.00 MiB");
	assert_string_equal(sluice_text_bytes(64ull << 20).s, "64.0 MiB");
	assert_string_equal(sluice_text_bytes(2ull << 30).s, "2.00 GiB");
	assert_string_equal(sluice_text_bytes(3ull << 40).s, "3.00 TiB");
}

static void test_text__rates(void **state)
{
	(void)state;
	assert_string_equal(sluice_text_throughput(92000000, SECOND).s, "92.0 MB/s");
	assert_string_equal(sluice_text_throughput(500, SECOND).s, "500 B/s");
	assert_string_equal(sluice_text_throughput(UINT64_MAX, 1000000 * SECOND).s, "18.4 TB/s");
	assert_string_equal(sluice_text_throughput(5, 0).s, "0 B/s");
	assert_string_equal(sluice_text_rate(510000, SECOND / 2).s, "1.02M/s");
	assert_string_equal(sluice_text_rate(0, SECOND).s, "0/s");
	assert_string_equal(sluice_text_rate(9, 0).s, "0/s");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text__count),    cmocka_unit_test(test_text__exact),
		cmocka_unit_test(test_text__duration), cmocka_unit_test(test_text__bytes),
		cmocka_unit_test(test_text__rates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
