/* SPDX-License-Identifier: MIT */
/*
 * pace.h - waits for the intended time of an open loop: asleep while it is far, then giving the CPU
 * away at every look, so that nobody who needs this CPU waits for us. Both arms wait like this.
 */
#ifndef SLUICE_BENCH_PACE_H
#define SLUICE_BENCH_PACE_H

#include <sched.h>

#include "shm/clock.h"

#define BENCH_PACE_NEAR_NS 150000u /* beyond what a timer may be late */

static inline void bench_pace(uint64_t intended_ns)
{
	const uint64_t wake_ns = intended_ns - BENCH_PACE_NEAR_NS;
	const struct timespec until = {.tv_sec = (time_t)(wake_ns / 1000000000u),
				       .tv_nsec = (long)(wake_ns % 1000000000u)};

	if (sluice_clock_ns() < wake_ns)
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
	while (sluice_clock_ns() < intended_ns)
		sched_yield();
}

#endif
