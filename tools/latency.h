/* SPDX-License-Identifier: MIT */
/*
 * latency.h - a histogram as text and as JSON: count and maximum always, and only the percentiles
 * that the number of samples justifies. Private copies only; any thread.
 */
#ifndef SLUICE_TOOLS_LATENCY_H
#define SLUICE_TOOLS_LATENCY_H

#include <stdio.h>

#include "cli/json.h"
#include "shm/histogram.h"

/* "p50 131us  p90 ...  max 4.20ms  (500,000 samples)", or "no samples". */
void sluice_tool_latency_text(FILE *out, const struct sluice_histogram_snapshot *snapshot);

/* An object: count, p50_ns ... max_ns, overflow_count. */
void sluice_tool_latency_json(struct sluice_json *json, const char *key,
			      const struct sluice_histogram_snapshot *snapshot);

#endif
