/* SPDX-License-Identifier: MIT */
/* generator_internal.h - what the generator's files share: the check of parameters, arrivals. */
#ifndef SLUICE_PRODUCER_GENERATOR_INTERNAL_H
#define SLUICE_PRODUCER_GENERATOR_INTERNAL_H

#include "producer/generator.h"
#include "producer/random.h"
#include "producer/shadow_book.h"

/* -EINVAL: a parameter out of its range. */
int sluice_generator_check(const struct sluice_generator_params *params, struct sluice_diag *diag);

/*
 * Arrival times. Hawkes: the rate of arrivals is a constant base plus an excitation that each
 * arrival raises and that decays exponentially; its time constant is 50 mean gaps, the unit of time
 * here.
 */
struct sluice_arrivals {
	uint64_t time_ns;
	uint64_t fraction;   /* Q32 nanoseconds */
	uint64_t unit_ns;    /* Hawkes: decay time; Poisson: mean gap; Q10 nanoseconds */
	uint64_t base;	     /* Q32 arrivals per unit */
	uint64_t excitation; /* Q32 arrivals per unit, now */
	uint64_t jump;	     /* Q32, what an arrival adds; 0: Poisson */
};

void sluice_arrivals_init(struct sluice_arrivals *arrivals, uint64_t start_ns, uint64_t per_second,
			  uint32_t hawkes_percent);

/* Time of the next arrival. */
uint64_t sluice_arrivals_next(struct sluice_arrivals *arrivals, struct sluice_random *random);

#endif
