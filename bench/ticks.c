/* SPDX-License-Identifier: MIT */
/* ticks.c - see ticks.h. */
#include "bench/ticks.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#define CALIBRATE_NS 50000000u
#define ROWS 1000u
#define READINGS 100u
#define INVARIANT_LEAF 0x80000007u
#define INVARIANT_BIT (1u << 8)

struct bench_ticks bench_clock = {.ns_per_tick = 1};

static bool counter_is_invariant(void)
{
#if defined(__x86_64__)
	unsigned int a, b, c, d;

	return __get_cpuid(INVARIANT_LEAF, &a, &b, &c, &d) && (d & INVARIANT_BIT);
#else
	return false;
#endif
}

static void calibrate(void)
{
	const uint64_t began_ns = sluice_clock_ns();
	const uint64_t began = bench_ticks_now();
	uint64_t now_ns;

	do {
		now_ns = sluice_clock_ns();
	} while (now_ns - began_ns < CALIBRATE_NS);
	bench_clock.ns_per_tick = (double)(now_ns - began_ns) / (double)(bench_ticks_now() - began);
}

/* The least of many short rows: whoever else wants this CPU lengthens some of them. */
static void measure_cost(void)
{
	uint64_t least = UINT64_MAX, least_row = UINT64_MAX, before, now = 0;

	for (uint32_t row = 0; row < ROWS; row++) {
		const uint64_t began = bench_ticks_now();

		before = began;
		for (uint32_t i = 0; i < READINGS; i++) {
			now = bench_ticks_now();
			if (now != before && now - before < least)
				least = now - before;
			before = now;
		}
		if (now - began < least_row)
			least_row = now - began;
	}
	bench_clock.cost_ns = (double)least_row * bench_clock.ns_per_tick / READINGS;
	bench_clock.floor_ns = (double)least * bench_clock.ns_per_tick;
	/* readings that overtake each other are no measure of what they can tell apart */
	if (bench_clock.floor_ns < bench_clock.cost_ns)
		bench_clock.floor_ns = bench_clock.cost_ns;
}

void bench_ticks_init(void)
{
	bench_clock.counter = counter_is_invariant();
	if (bench_clock.counter)
		calibrate();
	measure_cost();
}
