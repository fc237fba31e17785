/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "producer/random.h"

static struct sluice_random rng;

/* splitmix64 of seed 1234567 begins with these (from its authors' page); so does the state. */
static void test_random__seeds_as_published(void **state)
{
	(void)state;
	sluice_random_init(&rng, 1234567);
	assert_true(rng.state[0] == 6457827717110365317u);
	assert_true(rng.state[1] == 3203168211198807973u);
	assert_true(rng.state[2] == 9817491932198370423u);
	assert_true(rng.state[3] == 4593380528125082431u);
}

/* xoshiro256** from state 1, 2, 3, 4: its published first outputs. */
static void test_random__is_xoshiro(void **state)
{
	static const uint64_t expected[] = {11520u, 0u, 1509978240u, 1215971899390074240u};

	(void)state;
	for (uint32_t i = 0; i < 4; i++)
		rng.state[i] = i + 1;
	for (uint32_t i = 0; i < 4; i++)
		assert_true(sluice_random_next(&rng) == expected[i]);
}

static void test_random__logarithms_and_powers(void **state)
{
	(void)state;
	sluice_random_init(&rng, 1);
	assert_true(sluice_log2_q32(&rng, 1) == 0);
	assert_true(sluice_log2_q32(&rng, 1ull << 63) == 63 * SLUICE_Q32);
	/* log2(3) = 1.5849625007, log2(10) = 3.3219280949 */
	assert_in_range(sluice_log2_q32(&rng, 3), 6807351000, 6807364000);
	assert_in_range(sluice_log2_q32(&rng, 10), 14267560000, 14267585000);
	/* 2^1.5 = 2.8284271247, 2^-0.5 = 0.7071067812 */
	assert_in_range(sluice_exp2_q32(&rng, 3 * SLUICE_Q32 / 2), 12147990000, 12148015000);
	assert_in_range(sluice_exp2_minus_q32(&rng, SLUICE_Q32 / 2), 3036995000, 3037005000);
	assert_true(sluice_exp2_q32(&rng, 0) == SLUICE_Q32);
	assert_true(sluice_exp2_minus_q32(&rng, 0) == SLUICE_Q32);
	assert_true(sluice_exp2_q32(&rng, 32 * SLUICE_Q32) == UINT64_MAX);
	assert_true(sluice_exp2_minus_q32(&rng, 40 * SLUICE_Q32) == 0);
}

static void test_random__below_is_even(void **state)
{
	uint32_t count[7] = {0};

	(void)state;
	sluice_random_init(&rng, 2);
	for (uint32_t i = 0; i < 700000; i++)
		count[sluice_random_below(&rng, 7)]++;
	for (uint32_t i = 0; i < 7; i++)
		assert_in_range(count[i], 98500, 101500);
}

static void test_random__power_law(void **state)
{
	uint32_t two = 0, ten = 0, capped = 0;

	(void)state;
	sluice_random_init(&rng, 3);
	for (uint32_t i = 0; i < 1000000; i++) {
		uint32_t x = sluice_random_power(&rng, 150, 50);

		assert_in_range(x, 1, 50);
		two += x >= 2;
		ten += x >= 10;
		capped += x == 50;
	}
	/* 2^-1.5 = 0.3536, 10^-1.5 = 0.0316, 50^-1.5 = 0.00283 */
	assert_in_range(two, 351500, 355500);
	assert_in_range(ten, 31000, 32300);
	assert_in_range(capped, 2600, 3050);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random__seeds_as_published),
		cmocka_unit_test(test_random__is_xoshiro),
		cmocka_unit_test(test_random__logarithms_and_powers),
		cmocka_unit_test(test_random__below_is_even),
		cmocka_unit_test(test_random__power_law),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
