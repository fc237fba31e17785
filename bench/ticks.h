/* SPDX-License-Identifier: MIT */
/*
 * ticks.h - the cheapest clock that is good enough: the processor's counter where it is invariant,
 * else CLOCK_MONOTONIC. The rate is measured against CLOCK_MONOTONIC at start. Any thread.
 */
#ifndef SLUICE_BENCH_TICKS_H
#define SLUICE_BENCH_TICKS_H

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

#include "shm/clock.h"

struct bench_ticks {
	double ns_per_tick;
	double cost_ns;	 /* of one reading, in a row of many */
	double floor_ns; /* what it can tell apart: at least its cost */
	bool counter;	 /* the processor's */
};

extern struct bench_ticks bench_clock;

/* Once, before any process is started. Takes some 60 ms. */
void bench_ticks_init(void);

static inline uint64_t bench_ticks_now(void)
{
#if defined(__x86_64__)
	if (sluice_likely(bench_clock.counter))
		return __rdtsc();
#endif
	return sluice_clock_ns();
}

#endif
