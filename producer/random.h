/* SPDX-License-Identifier: MIT */
/*
 * random.h - random numbers that are the same on every machine and compiler: integers only.
 *
 * The generator is xoshiro256** 1.0, seeded through splitmix64, both by Blackman and Vigna
 * (prng.di.unimi.it, public domain), written anew from their definition. Logarithms and powers are
 * tables of 257 points, made at init by integer arithmetic, with straight lines between: the error
 * is below 3e-6 of an octave, and no libm is asked. Values "Q32" have 32 fractional bits.
 *
 * One thread per object. Nothing is allocated, nothing blocks.
 */
#ifndef SLUICE_PRODUCER_RANDOM_H
#define SLUICE_PRODUCER_RANDOM_H

#include "shm/base.h"

#define SLUICE_Q32 (1ull << 32)
#define SLUICE_LN2_Q32 2977044472u /* ln 2 */

struct sluice_random {
	uint64_t state[4];
	uint32_t log2_of[257]; /* log2(1 + i/256), Q32; the last one is 1 and held as UINT32_MAX */
	uint32_t exp2_of[257]; /* 2^(i/256) - 1, Q32; the last one is 1 and held as UINT32_MAX */
};

void sluice_random_init(struct sluice_random *random, uint64_t seed);

static inline uint64_t sluice_rotate_left(uint64_t value, unsigned int bits)
{
	return value << bits | value >> (64 - bits);
}

static inline uint64_t sluice_random_next(struct sluice_random *random)
{
	uint64_t *s = random->state;
	uint64_t result = sluice_rotate_left(s[1] * 5, 7) * 9;
	uint64_t t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = sluice_rotate_left(s[3], 45);
	return result;
}

/* 0 to n - 1; n > 0. The bias of the multiplication is n / 2^32: no test of ours could see it. */
static inline uint32_t sluice_random_below(struct sluice_random *random, uint32_t n)
{
	return (uint32_t)((sluice_random_next(random) >> 32) * n >> 32);
}

/* log2 of value > 0, Q32. */
uint64_t sluice_log2_q32(const struct sluice_random *random, uint64_t value);

/* 2^x for a Q32 x, Q32; UINT64_MAX from x = 32 on. */
uint64_t sluice_exp2_q32(const struct sluice_random *random, uint64_t x);

/* 2^-x for a Q32 x, Q32, at most 1. */
uint64_t sluice_exp2_minus_q32(const struct sluice_random *random, uint64_t x);

/* Exponential with mean 1, Q32: below 45 * 2^32. */
uint64_t sluice_random_exponential(struct sluice_random *random);

/*
 * Power law: an integer x >= 1 with P(x >= k) = k^-alpha, at most `max`. alpha in hundredths, at
 * least 50.
 */
uint32_t sluice_random_power(struct sluice_random *random, uint32_t alpha_percent, uint32_t max);

#endif
