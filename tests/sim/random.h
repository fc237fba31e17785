/* SPDX-License-Identifier: MIT */
/*
 * random.h - the simulator's dice: splitmix64, one stream per purpose, so that a choice more in one
 * place does not change all choices in the others.
 */
#ifndef SLUICE_TESTS_SIM_RANDOM_H
#define SLUICE_TESTS_SIM_RANDOM_H

#include "shm/base.h"

struct sim_random {
	uint64_t state;
};

static inline uint64_t sim_mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

static inline uint64_t sim_next(struct sim_random *random)
{
	return sim_mix(random->state += 0x9e3779b97f4a7c15ull);
}

/* 0 .. n - 1 */
static inline uint64_t sim_below(struct sim_random *random, uint64_t n)
{
	return (uint64_t)((unsigned __int128)sim_next(random) * n >> 64);
}

static inline uint64_t sim_between(struct sim_random *random, uint64_t low, uint64_t high)
{
	return low + sim_below(random, high - low + 1);
}

static inline bool sim_chance(struct sim_random *random, uint32_t per_mille)
{
	return sim_below(random, 1000) < per_mille;
}

/* Mostly small, now and then a thousand times as much: 2^u for an even u. */
static inline uint64_t sim_spread(struct sim_random *random, uint64_t low, uint64_t high)
{
	uint64_t span = high - low, shift = sim_below(random, 12);

	return low + sim_below(random, (span >> shift) + 1);
}

#endif
