/* SPDX-License-Identifier: MIT */
/*
 * clock.h - nanoseconds. CLOCK_MONOTONIC is the same in every process of a machine, so a stamp of
 * one may be subtracted from a stamp of another. Any thread; never blocks.
 */
#ifndef SLUICE_SHM_CLOCK_H
#define SLUICE_SHM_CLOCK_H

#include <time.h>

#include "shm/base.h"

static inline uint64_t sluice_clock_of(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline uint64_t sluice_clock_ns(void)
{
	return sluice_clock_of(CLOCK_MONOTONIC);
}

static inline uint64_t sluice_clock_realtime_ns(void)
{
	return sluice_clock_of(CLOCK_REALTIME);
}

#endif
