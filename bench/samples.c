/* SPDX-License-Identifier: MIT */
/* samples.c - see samples.h. */
#include "bench/samples.h"

#include <stdlib.h>

/* Ten samples beyond a percentile make it a number. */
#define P99_NEEDS 1000u
#define P999_NEEDS 10000u

static int compare(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* The least sample that at least the given share is not above. */
static double percentile(const struct bench_samples *samples, uint32_t per_mille)
{
	const uint64_t rank = (samples->count * per_mille + 999) / 1000;

	return samples->unit[rank ? rank - 1 : 0];
}

void bench_arm_add(struct bench_arm *arm, struct bench_samples *samples, double scale)
{
	double max;

	sluice_assert(arm->runs < BENCH_PAIRS_MAX);
	sluice_assert(samples->count > 0);
	qsort(samples->unit, samples->count, sizeof(*samples->unit), compare);
	arm->p50[arm->runs] = percentile(samples, 500) * scale;
	arm->p99[arm->runs] = percentile(samples, 990) * scale;
	arm->p999[arm->runs] = percentile(samples, 999) * scale;
	max = samples->unit[samples->count - 1] * scale;
	arm->max = max > arm->max ? max : arm->max;
	if (!arm->runs || samples->count < arm->samples_least)
		arm->samples_least = samples->count;
	arm->samples += samples->count;
	arm->runs++;
}

static void set_above(struct bench_row *row, const char *key, double ns, double floor_ns)
{
	if (ns >= floor_ns)
		bench_set(row, key, ns);
}

struct bench_row *bench_arm_row(struct bench_scenario *scenario, const struct bench_arm *arm,
				double floor_ns, const char *label)
{
	struct bench_row *row = bench_row(scenario, "%s", label);

	sluice_assert(arm->runs > 0);
	set_above(row, "p50_ns", bench_median(arm->p50, arm->runs), floor_ns);
	if (arm->samples_least >= P99_NEEDS)
		set_above(row, "p99_ns", bench_median(arm->p99, arm->runs), floor_ns);
	if (arm->samples_least >= P999_NEEDS)
		set_above(row, "p99_9_ns", bench_median(arm->p999, arm->runs), floor_ns);
	set_above(row, "max_ns", arm->max, floor_ns);
	bench_set(row, "samples", (double)arm->samples);
	bench_set(row, "runs", arm->runs);
	return row;
}
