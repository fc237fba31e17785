/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "producer/rate.h"

static void test_rate__fixed_has_no_drift(void **state)
{
	static const uint64_t rates[] = {1, 3, 7, 999, 1000, 44100, 1000003, 999999937, 1000000000};
	static struct sluice_rate rate;

	(void)state;
	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		assert_int_equal(sluice_rate_init(&rate, rates[i], false, 1, 500), 0);
		for (uint64_t n = 0; n < 100000; n++) {
			uint64_t due = 500 +
				       (uint64_t)((unsigned __int128)n * 1000000000 / rates[i]);

			assert_true(sluice_rate_peek(&rate) == due);
			assert_true(sluice_rate_next(&rate) == due);
		}
	}
}

/* The schedule knows no clock: however late its reader, every time is handed out, in order. */
static void test_rate__never_skips(void **state)
{
	static struct sluice_rate rate;
	uint64_t last = 0;

	(void)state;
	assert_int_equal(sluice_rate_init(&rate, 1000000, true, 3, 1), 0);
	for (uint32_t n = 0; n < 100000; n++) {
		uint64_t due = sluice_rate_next(&rate);

		assert_true(due >= last);
		last = due;
	}
}

static void test_rate__poisson_gaps(void **state)
{
	enum { COUNT = 1000000 };
	static struct sluice_rate rate;
	uint32_t longer_than_mean = 0, longer_than_three = 0;
	uint64_t last = 0;

	(void)state;
	assert_int_equal(sluice_rate_init(&rate, 50000, true, 7, 0), 0);
	for (uint32_t n = 0; n < COUNT; n++) {
		uint64_t due = sluice_rate_next(&rate);

		longer_than_mean += due - last > 20000;
		longer_than_three += due - last > 60000;
		last = due;
	}
	/* mean 20 us within 0.5 %; shares exp(-1) = 0.3679 and exp(-3) = 0.0498 */
	assert_in_range(last / COUNT, 19900, 20100);
	assert_in_range(longer_than_mean, 365900, 369900);
	assert_in_range(longer_than_three, 48800, 50800);
}

/* Gaps below a nanosecond add up. */
static void test_rate__poisson_carries_fractions(void **state)
{
	static struct sluice_rate rate;

	(void)state;
	assert_int_equal(sluice_rate_init(&rate, SLUICE_RATE_MAX, true, 7, 0), 0);
	for (uint32_t n = 0; n < 1000000; n++)
		sluice_rate_next(&rate);
	assert_in_range(sluice_rate_peek(&rate), 995000, 1005000);
}

static void test_rate__a_seed_is_a_schedule(void **state)
{
	static struct sluice_rate a, b, c;
	uint32_t same = 0;

	(void)state;
	assert_int_equal(sluice_rate_init(&a, 1000, true, 1, 0), 0);
	assert_int_equal(sluice_rate_init(&b, 1000, true, 1, 0), 0);
	assert_int_equal(sluice_rate_init(&c, 1000, true, 2, 0), 0);
	for (uint32_t n = 0; n < 1000; n++) {
		uint64_t due = sluice_rate_next(&a);

		assert_true(due == sluice_rate_next(&b));
		same += due == sluice_rate_next(&c);
	}
	assert_true(same < 5);
}

static void test_rate__limits(void **state)
{
	static struct sluice_rate rate;

	(void)state;
	assert_int_equal(sluice_rate_init(&rate, 0, false, 1, 0), -ERANGE);
	assert_int_equal(sluice_rate_init(&rate, 1000000001, false, 1, 0), -ERANGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rate__fixed_has_no_drift),
		cmocka_unit_test(test_rate__never_skips),
		cmocka_unit_test(test_rate__poisson_gaps),
		cmocka_unit_test(test_rate__poisson_carries_fractions),
		cmocka_unit_test(test_rate__a_seed_is_a_schedule),
		cmocka_unit_test(test_rate__limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
