/* SPDX-License-Identifier: MIT */
/* latency.c - see latency.h. */
#include "tools/latency.h"

#include "cli/text.h"

static const struct quantile {
	uint32_t per_million;
	const char *text;
	const char *key;
} quantiles[] = {
	{500000, "p50", "p50_ns"},	 {900000, "p90", "p90_ns"},
	{990000, "p99", "p99_ns"},	 {999000, "p99.9", "p99_9_ns"},
	{999900, "p99.99", "p99_99_ns"}, {999990, "p99.999", "p99_999_ns"},
};
#define QUANTILES (sizeof(quantiles) / sizeof(*quantiles))

void sluice_tool_latency_text(FILE *out, const struct sluice_histogram_snapshot *snapshot)
{
	if (!snapshot->count) {
		fputs("no samples", out);
		return;
	}
	for (size_t i = 0; i < QUANTILES; i++) {
		const struct quantile *quantile = &quantiles[i];

		if (!sluice_histogram_justifies(snapshot, quantile->per_million))
			continue;
		fprintf(out, "%s %s  ", quantile->text,
			sluice_text_duration(
				sluice_histogram_percentile(snapshot, quantile->per_million))
				.s);
	}
	fprintf(out, "max %s  (%s samples)", sluice_text_duration(snapshot->max).s,
		sluice_text_exact(snapshot->count).s);
}

void sluice_tool_latency_json(struct sluice_json *json, const char *key,
			      const struct sluice_histogram_snapshot *snapshot)
{
	sluice_json_object(json, key);
	sluice_json_u64(json, "count", snapshot->count);
	for (size_t i = 0; i < QUANTILES; i++)
		if (snapshot->count &&
		    sluice_histogram_justifies(snapshot, quantiles[i].per_million))
			sluice_json_u64(
				json, quantiles[i].key,
				sluice_histogram_percentile(snapshot, quantiles[i].per_million));
	sluice_json_u64(json, "max_ns", snapshot->count ? snapshot->max : 0);
	sluice_json_u64(json, "overflow_count", snapshot->overflow);
	sluice_json_end(json);
}
