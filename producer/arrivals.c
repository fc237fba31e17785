/* SPDX-License-Identifier: MIT */
/*
 * arrivals.c - Poisson and Hawkes arrival times in integers. The Hawkes process is drawn exactly,
 * without rejection, by the method of Dassios and Zhao (2013): with an exponential kernel the next
 * gap is the smaller of one exponential for the base rate and one, which may be infinite, for the
 * decaying excitation.
 */
#include "producer/generator_internal.h"

#define UNIT_GAPS 50 /* decay time in mean gaps */
#define UNIT_BITS 10
#define EXCITATION_MAX ((1ull << 41) - 1)

void sluice_arrivals_init(struct sluice_arrivals *arrivals, uint64_t start_ns, uint64_t per_second,
			  uint32_t hawkes_percent)
{
	uint64_t mean_gap = (1000000000ull << UNIT_BITS) / per_second;

	sluice_assert(hawkes_percent < 100);
	arrivals->time_ns = start_ns;
	arrivals->fraction = 0;
	arrivals->unit_ns = hawkes_percent ? mean_gap * UNIT_GAPS : mean_gap;
	arrivals->base = hawkes_percent ? (100 - hawkes_percent) * UNIT_GAPS * SLUICE_Q32 / 100
					: SLUICE_Q32;
	arrivals->excitation = 0;
	arrivals->jump = hawkes_percent * SLUICE_Q32 / 100;
}

/* -log2 of a Q32 number from (0, 1], Q32. */
static uint64_t minus_log2(const struct sluice_random *random, uint64_t x)
{
	return 32 * SLUICE_Q32 - sluice_log2_q32(random, x);
}

/* The gap until the excitation causes an arrival, in units, Q32; UINT64_MAX: it never does. */
static uint64_t excited_gap(const struct sluice_arrivals *arrivals, struct sluice_random *random)
{
	uint64_t drawn = sluice_random_exponential(random);
	uint64_t survives;

	if (drawn >= arrivals->excitation)
		return UINT64_MAX;
	/* drawn < excitation < 2^41, so neither shift loses a high bit */
	survives = SLUICE_Q32 - (drawn << 22) / ((arrivals->excitation >> 10) + 1);
	return (minus_log2(random, survives) >> 6) * (SLUICE_LN2_Q32 >> 6) >> 20;
}

uint64_t sluice_arrivals_next(struct sluice_arrivals *arrivals, struct sluice_random *random)
{
	uint64_t gap = (sluice_random_exponential(random) << 16) / (arrivals->base >> 16);
	unsigned __int128 advance;

	if (arrivals->jump) {
		uint64_t excited = excited_gap(arrivals, random);
		uint64_t halvings;

		if (excited < gap)
			gap = excited;
		halvings = (gap << 20) / (SLUICE_LN2_Q32 >> 12);
		arrivals->excitation = (uint64_t)((unsigned __int128)arrivals->excitation *
							  sluice_exp2_minus_q32(random, halvings) >>
						  32) +
				       arrivals->jump;
		if (arrivals->excitation > EXCITATION_MAX)
			arrivals->excitation = EXCITATION_MAX;
	}
	advance = ((unsigned __int128)gap * arrivals->unit_ns >> UNIT_BITS) + arrivals->fraction;
	arrivals->time_ns += (uint64_t)(advance >> 32);
	arrivals->fraction = (uint64_t)advance & (SLUICE_Q32 - 1);
	return arrivals->time_ns;
}
