/* SPDX-License-Identifier: MIT */
#include "producer/random.h"

#define STEPS 256
#define Q31 (1ull << 31)

static uint64_t splitmix64(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

/* log2 of 1 + i/256 bit by bit: squaring doubles the logarithm. */
static uint32_t log2_step(uint32_t i)
{
	uint64_t x = Q31 + ((uint64_t)i << 23); /* Q31, in [1, 2) */
	uint32_t log = 0;

	for (uint32_t bit = 0; bit < 32; bit++) {
		x = x * x >> 31;
		log <<= 1;
		if (x >= 2 * Q31) {
			log |= 1;
			x >>= 1;
		}
	}
	return log;
}

/* Largest root with root * root <= value. */
static uint64_t integer_root(uint64_t value)
{
	uint64_t root = 0;

	for (uint64_t bit = 1ull << 31; bit; bit >>= 1)
		if ((root + bit) * (root + bit) <= value)
			root += bit;
	return root;
}

/* 2^(i/256): the product of the roots 2^(1/2), 2^(1/4) ... that the bits of i name. */
static uint32_t exp2_step(uint32_t i)
{
	uint64_t root = 2 * Q31; /* Q31 */
	uint64_t product = Q31;

	for (uint32_t bit = STEPS / 2; bit; bit >>= 1) {
		root = integer_root(root << 31);
		if (i & bit)
			product = product * root >> 31;
	}
	return (uint32_t)((product - Q31) << 1);
}

void sluice_random_init(struct sluice_random *random, uint64_t seed)
{
	for (uint32_t i = 0; i < 4; i++)
		random->state[i] = splitmix64(&seed);
	for (uint32_t i = 0; i < STEPS; i++) {
		random->log2_of[i] = log2_step(i);
		random->exp2_of[i] = exp2_step(i);
	}
	random->log2_of[STEPS] = UINT32_MAX;
	random->exp2_of[STEPS] = UINT32_MAX;
}

/* The table at a fraction of 32 bits, with a straight line between its points. */
static uint64_t between(const uint32_t *table, uint32_t fraction)
{
	uint32_t i = fraction >> 24;
	uint64_t low = table[i];
	uint64_t step = table[i + 1] - low;

	return low + (step * (fraction & 0xffffff) >> 24);
}

uint64_t sluice_log2_q32(const struct sluice_random *random, uint64_t value)
{
	uint32_t zeros = (uint32_t)__builtin_clzll(value);
	uint32_t fraction = (uint32_t)(value << zeros << 1 >> 32);

	sluice_assert_hot(value > 0);
	return (uint64_t)(63 - zeros) << 32 | between(random->log2_of, fraction);
}

uint64_t sluice_exp2_q32(const struct sluice_random *random, uint64_t x)
{
	if (x >= 32 * SLUICE_Q32)
		return UINT64_MAX;
	return (SLUICE_Q32 + between(random->exp2_of, (uint32_t)x)) << (x >> 32);
}

uint64_t sluice_exp2_minus_q32(const struct sluice_random *random, uint64_t x)
{
	uint64_t whole = (x + (SLUICE_Q32 - 1)) >> 32; /* 2^-x = 2^(whole - x) / 2^whole */
	uint32_t fraction = (uint32_t)((whole << 32) - x);

	if (whole > 32)
		return 0;
	return (SLUICE_Q32 + between(random->exp2_of, fraction)) >> whole;
}

/* -log2 of a uniform number from (0, 1], Q32. */
static uint64_t uniform_bits(struct sluice_random *random)
{
	uint64_t value = sluice_random_next(random);

	return 64 * SLUICE_Q32 - sluice_log2_q32(random, value ? value : 1);
}

uint64_t sluice_random_exponential(struct sluice_random *random)
{
	uint64_t bits = uniform_bits(random);

	return (bits >> 6) * (SLUICE_LN2_Q32 >> 6) >> 20;
}

uint32_t sluice_random_power(struct sluice_random *random, uint32_t alpha_percent, uint32_t max)
{
	uint64_t exponent = uniform_bits(random) * 100 / alpha_percent;
	uint64_t x = sluice_exp2_q32(random, exponent) >> 32;

	sluice_assert_hot(alpha_percent >= 50);
	return x < max ? (uint32_t)x : max;
}
