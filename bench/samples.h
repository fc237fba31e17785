/* SPDX-License-Identifier: MIT */
/*
 * samples.h - the single latencies of runs, kept as they were measured, in memory that two
 * processes share. One writer; the parent reads after the writer has ended.
 */
#ifndef SLUICE_BENCH_SAMPLES_H
#define SLUICE_BENCH_SAMPLES_H

#include "bench/bench.h"

#define BENCH_SAMPLES_MAX (1u << 20) /* of one run; the run ends when they are full */

struct bench_samples {
	uint64_t count;
	uint32_t unit[BENCH_SAMPLES_MAX]; /* ticks or ns, as the scenario says; capped */
};

static inline void bench_sample(struct bench_samples *samples, uint64_t value)
{
	if (samples->count < BENCH_SAMPLES_MAX)
		samples->unit[samples->count++] = value < UINT32_MAX ? (uint32_t)value : UINT32_MAX;
}

/* Percentiles of each run of an arm. */
struct bench_arm {
	uint32_t runs;
	uint64_t samples;	/* of all runs */
	uint64_t samples_least; /* of one run */
	double p50[BENCH_PAIRS_MAX], p99[BENCH_PAIRS_MAX], p999[BENCH_PAIRS_MAX];
	double max;
};

/* Sorts the run's samples and adds its percentiles. `scale` turns a unit into ns. */
void bench_arm_add(struct bench_arm *arm, struct bench_samples *samples, double scale);

/*
 * A row with the medians of the runs' percentiles: as many nines as the samples of a run justify,
 * and nothing below the floor of the clock.
 */
struct bench_row *bench_arm_row(struct bench_scenario *scenario, const struct bench_arm *arm,
				double floor_ns, const char *label);

#endif
