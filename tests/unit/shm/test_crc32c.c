/* SPDX-License-Identifier: MIT */
/*
 * test_crc32c.c - the published vectors, and both ways of computing against the definition bit by
 * bit. The source is included, because the table is not reached on a CPU with the instruction.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "shm/crc32c.c"

static uint64_t seed;

static uint64_t next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static uint32_t crc_bitwise(uint32_t crc, const unsigned char *data, size_t bytes)
{
	crc = ~crc;
	while (bytes--) {
		crc ^= *data++;
		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? (crc >> 1) ^ 0x82f63b78u : crc >> 1;
	}
	return ~crc;
}

/* RFC 3720, B.4 */
static void test_crc32c__published_vectors(void **state)
{
	unsigned char data[32];

	(void)state;
	assert_int_equal(sluice_crc32c(0, "", 0), 0);
	assert_int_equal(sluice_crc32c(0, "123456789", 9), 0xe3069283u);
	memset(data, 0, sizeof(data));
	assert_int_equal(sluice_crc32c(0, data, sizeof(data)), 0x8a9136aau);
	memset(data, 0xff, sizeof(data));
	assert_int_equal(sluice_crc32c(0, data, sizeof(data)), 0x62a8ab43u);
	for (unsigned char i = 0; i < 32; i++)
		data[i] = i;
	assert_int_equal(sluice_crc32c(0, data, sizeof(data)), 0x46dd794eu);
	for (unsigned char i = 0; i < 32; i++)
		data[i] = (unsigned char)(31 - i);
	assert_int_equal(sluice_crc32c(0, data, sizeof(data)), 0x113fdb5cu);
}

static void check_random(uint32_t (*compute)(uint32_t crc, const void *data, size_t bytes))
{
	unsigned char data[600];

	for (int round = 0; round < 3000; round++) {
		const size_t start = next_random() % 17;
		const size_t bytes = next_random() % 560;
		const size_t cut = bytes ? next_random() % bytes : 0;

		for (size_t i = 0; i < sizeof(data); i++)
			data[i] = (unsigned char)next_random();

		const uint32_t expected = crc_bitwise(0, data + start, bytes);

		assert_int_equal(compute(0, data + start, bytes), expected);
		assert_int_equal(
			compute(compute(0, data + start, cut), data + start + cut, bytes - cut),
			expected);
	}
}

static uint32_t by_table(uint32_t crc, const void *data, size_t bytes)
{
	return ~crc_table(~crc, data, bytes);
}

static void test_crc32c__any_length_and_alignment(void **state)
{
	(void)state;
	check_random(sluice_crc32c);
}

static void test_crc32c__the_table_agrees(void **state)
{
	(void)state;
	check_random(by_table);
}

static void test_crc32c__every_single_bit_matters(void **state)
{
	unsigned char data[100];

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (unsigned char)next_random();

	const uint32_t good = sluice_crc32c(0, data, sizeof(data));

	for (size_t bit = 0; bit < 8 * sizeof(data); bit++) {
		data[bit / 8] ^= (unsigned char)(1u << bit % 8);
		assert_int_not_equal(sluice_crc32c(0, data, sizeof(data)), good);
		data[bit / 8] ^= (unsigned char)(1u << bit % 8);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_crc32c__published_vectors),
		cmocka_unit_test(test_crc32c__any_length_and_alignment),
		cmocka_unit_test(test_crc32c__the_table_agrees),
		cmocka_unit_test(test_crc32c__every_single_bit_matters),
	};
	const char *text = getenv("SEED");

	seed = text ? strtoull(text, NULL, 0) | 1 : 20251122;
	printf("SEED=%llu\n", (unsigned long long)seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
