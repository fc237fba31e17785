/* SPDX-License-Identifier: MIT */
/* scenario.c - filling in a scenario's rows, values, ratios and notes: see bench.h. */
#include "bench/bench.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct bench_row *bench_row(struct bench_scenario *scenario, const char *format, ...)
{
	struct bench_row *row;
	va_list args;

	sluice_assert(scenario->row_count < BENCH_ROWS_MAX);
	row = &scenario->rows[scenario->row_count++];
	memset(row, 0, sizeof(*row));
	va_start(args, format);
	vsnprintf(row->label, sizeof(row->label), format, args);
	va_end(args);
	return row;
}

void bench_set(struct bench_row *row, const char *key, double value)
{
	struct bench_value *slot;

	sluice_assert(row->value_count < BENCH_VALUES_MAX);
	slot = &row->values[row->value_count++];
	snprintf(slot->key, sizeof(slot->key), "%s", key);
	slot->value = value;
}

void bench_set_range(struct bench_row *row, const char *key, const double *values, uint32_t n)
{
	double least = values[0], most = values[0];
	char name[sizeof(row->values->key)];

	for (uint32_t i = 1; i < n; i++) {
		least = values[i] < least ? values[i] : least;
		most = values[i] > most ? values[i] : most;
	}
	bench_set(row, key, bench_median(values, n));
	snprintf(name, sizeof(name), "%.27s_min", key);
	bench_set(row, name, least);
	snprintf(name, sizeof(name), "%.27s_max", key);
	bench_set(row, name, most);
}

double bench_get(const struct bench_row *row, const char *key)
{
	for (uint32_t i = 0; i < row->value_count; i++)
		if (!strcmp(row->values[i].key, key))
			return row->values[i].value;
	return -1;
}

void bench_note(struct bench_scenario *scenario, const char *format, ...)
{
	va_list args;

	sluice_assert(scenario->note_count < BENCH_NOTES_MAX);
	va_start(args, format);
	vsnprintf(scenario->notes[scenario->note_count++], BENCH_TEXT_BYTES, format, args);
	va_end(args);
}

void bench_not_measured(struct bench_scenario *scenario, const char *format, ...)
{
	va_list args;

	scenario->row_count = 0;
	scenario->ratio_count = 0;
	va_start(args, format);
	vsnprintf(scenario->reason, sizeof(scenario->reason), format, args);
	va_end(args);
}

static int compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double bench_median(const double *values, uint32_t n)
{
	double sorted[BENCH_PAIRS_MAX];

	sluice_assert(n > 0 && n <= BENCH_PAIRS_MAX);
	memcpy(sorted, values, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), compare);
	return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

void bench_ratio(struct bench_scenario *scenario, const char *label, const double *over,
		 const double *under, uint32_t pairs, double aim)
{
	struct bench_ratio *ratio;
	double each[BENCH_PAIRS_MAX];

	sluice_assert(scenario->ratio_count < BENCH_RATIOS_MAX);
	sluice_assert(pairs > 0 && pairs <= BENCH_PAIRS_MAX);
	ratio = &scenario->ratios[scenario->ratio_count++];
	snprintf(ratio->label, sizeof(ratio->label), "%s", label);
	for (uint32_t i = 0; i < pairs; i++) {
		each[i] = under[i] > 0 ? over[i] / under[i] : 0;
		ratio->min = !i || each[i] < ratio->min ? each[i] : ratio->min;
		ratio->max = !i || each[i] > ratio->max ? each[i] : ratio->max;
	}
	ratio->median = bench_median(each, pairs);
	ratio->pairs = pairs;
	ratio->aim = aim;
	ratio->at_least = false;
}

void bench_ratio_at_least(struct bench_scenario *scenario, const char *label, const double *over,
			  const double *under, uint32_t pairs, double aim)
{
	bench_ratio(scenario, label, over, under, pairs, aim);
	scenario->ratios[scenario->ratio_count - 1].at_least = true;
}

void bench_fact(struct bench_result *result, const char *key, const char *format, ...)
{
	struct bench_fact *fact;
	va_list args;

	sluice_assert(result->fact_count < BENCH_FACTS_MAX);
	fact = &result->facts[result->fact_count++];
	snprintf(fact->key, sizeof(fact->key), "%s", key);
	va_start(args, format);
	vsnprintf(fact->value, sizeof(fact->value), format, args);
	va_end(args);
}
