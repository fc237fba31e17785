/* SPDX-License-Identifier: MIT */
/*
 * rate.h - an open-loop schedule: when each event is meant to be sent, decided before and
 * independent of when earlier ones could be.
 *
 * A sender that falls behind sends the late events at once, each with its intended time, so that
 * what waited is measured as waiting. The schedule never skips and never moves: the n-th time
 * depends on the parameters alone. Fixed: start + n / rate, rounded down, without drift. Poisson:
 * independent exponential gaps of mean 1 / rate; fractions of a nanosecond are carried.
 *
 * One thread. Nothing is allocated, nothing blocks; reading the clock is the caller's business.
 */
#ifndef SLUICE_PRODUCER_RATE_H
#define SLUICE_PRODUCER_RATE_H

#include "producer/random.h"

#define SLUICE_RATE_MAX 1000000000u /* events per second */

struct sluice_rate {
	uint64_t next_ns;  /* of the event that comes next */
	uint64_t fraction; /* fixed: remainder of 1e9 / rate; Poisson: Q32 nanoseconds */
	uint64_t per_second;
	bool poisson;
	struct sluice_random random; /* Poisson only */
};

/* 1 <= per_second <= SLUICE_RATE_MAX, else -ERANGE. The first event is due at start_ns. */
int sluice_rate_init(struct sluice_rate *rate, uint64_t per_second, bool poisson, uint64_t seed,
		     uint64_t start_ns);

/* The intended time of the next event; moves on to the one after it. */
uint64_t sluice_rate_next(struct sluice_rate *rate);

/* The same without moving on. */
static inline uint64_t sluice_rate_peek(const struct sluice_rate *rate)
{
	return rate->next_ns;
}

#endif
