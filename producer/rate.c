/* SPDX-License-Identifier: MIT */
#include "producer/rate.h"

#include <errno.h>

#define SECOND_NS 1000000000ull

int sluice_rate_init(struct sluice_rate *rate, uint64_t per_second, bool poisson, uint64_t seed,
		     uint64_t start_ns)
{
	if (per_second == 0 || per_second > SLUICE_RATE_MAX)
		return -ERANGE;
	rate->next_ns = start_ns;
	rate->fraction = 0;
	rate->per_second = per_second;
	rate->poisson = poisson;
	sluice_random_init(&rate->random, seed);
	return 0;
}

static void step_fixed(struct sluice_rate *rate)
{
	rate->next_ns += SECOND_NS / rate->per_second;
	rate->fraction += SECOND_NS % rate->per_second;
	if (rate->fraction >= rate->per_second) {
		rate->fraction -= rate->per_second;
		rate->next_ns++;
	}
}

static void step_poisson(struct sluice_rate *rate)
{
	unsigned __int128 gap = (unsigned __int128)sluice_random_exponential(&rate->random) *
				SECOND_NS / rate->per_second;
	unsigned __int128 sum = gap + rate->fraction;

	rate->next_ns += (uint64_t)(sum >> 32);
	rate->fraction = (uint64_t)sum & (SLUICE_Q32 - 1);
}

uint64_t sluice_rate_next(struct sluice_rate *rate)
{
	uint64_t due = rate->next_ns;

	if (rate->poisson)
		step_poisson(rate);
	else
		step_fixed(rate);
	return due;
}
