/* SPDX-License-Identifier: MIT */
/*
 * matching.c - the matching core alone: no rings between processes, no log. Reports and market data
 * go into memory of the size of the engine's rings, over and over. One thread, pinned; a fresh core
 * each time; every repetition must come to the same hash.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench/bench.h"
#include "bench/commands.h"
#include "bench/ticks.h"
#include "cli/signals.h"
#include "engine/core/core.h"
#include "shm/placement.h"

#define SLOTS 65536u
#define BATCH 256u
#define AIM_NS 120.0
#define REPETITIONS_LEAST 5u
#define SHANGHAI "shanghai_20230711_commands.csv.gz"

struct stage { /* all memory, touched before the clock starts */
	struct sluice_report *reports;
	struct sluice_md_event *md;
	void *memory;
	size_t bytes;
};

static void make_room(struct sluice_sink *sink)
{
	sink->report_limit = sink->report_next + SLOTS;
	sink->md_limit = sink->md_next + SLOTS;
}

/* Nanoseconds per command of one pass over the flow. */
static int pass(const struct bench_commands *flow, struct stage *stage, double *ret_ns,
		uint64_t *ret_hash, double *ret_reports)
{
	const struct sluice_core_options options = {0};
	struct sluice_core *core = sluice_core_init(stage->memory, &options);
	struct sluice_sink sink = {
		.reports = stage->reports,
		.report_mask = SLOTS - 1,
		.report_next = 1,
		.md = stage->md,
		.md_mask = SLOTS - 1,
		.md_next = 1,
		.make_room = make_room,
	};
	uint64_t began;

	if (!core)
		return -EINVAL;
	make_room(&sink);
	began = bench_ticks_now();
	for (uint64_t i = 0; i < flow->count; i += BATCH) {
		const uint64_t left = flow->count - i;

		sluice_core_apply_batch(core, flow->commands + i,
					(uint32_t)(left < BATCH ? left : BATCH), i, &sink);
	}
	*ret_ns = (double)(bench_ticks_now() - began) * bench_clock.ns_per_tick /
		  (double)flow->count;
	*ret_hash = sluice_core_chain_hash(core);
	*ret_reports = (double)(sink.report_next - 1) / (double)flow->count;
	return 0;
}

static int measure(const struct bench_commands *flow, struct stage *stage,
		   const struct bench_plan *plan, struct bench_scenario *scenario,
		   const char *label, double *ret_median)
{
	const uint32_t n = plan->pairs > REPETITIONS_LEAST ? plan->pairs : REPETITIONS_LEAST;
	double ns[BENCH_PAIRS_MAX], best = 0, reports = 0;
	uint64_t hash, first_hash = 0;
	struct bench_row *row;

	for (uint32_t i = 0; i < n; i++) {
		int rc = pass(flow, stage, &ns[i], &hash, &reports);

		if (rc)
			return rc;
		if (i && hash != first_hash)
			return -EBADMSG;
		first_hash = hash;
		best = !i || ns[i] < best ? ns[i] : best;
		if (sluice_signals_stop())
			return -EINTR;
	}
	*ret_median = bench_median(ns, n);
	row = bench_row(scenario, "%s", label);
	bench_set(row, "ns_per_command", *ret_median);
	bench_set(row, "ns_per_command_best", best);
	bench_set(row, "million_per_s", 1e3 / *ret_median);
	bench_set(row, "reports_per_command", reports);
	bench_set(row, "samples", (double)flow->count);
	bench_set(row, "runs", n);
	bench_note(scenario, "%s: %.2f reports per command, hash %016llx in every run", label,
		   reports, (unsigned long long)first_hash);
	return 0;
}

/* On huge pages where the kernel has them, as the engine's books and rings are. Zeroed, touched. */
static void *open_memory(size_t bytes)
{
	const size_t page = 2u << 20;
	const size_t whole = (bytes + page - 1) / page * page;
	void *memory = aligned_alloc(page, whole);

	if (!memory)
		return NULL;
	madvise(memory, whole, MADV_HUGEPAGE);
	memset(memory, 0, whole);
	return memory;
}

static int open_stage(struct stage *stage)
{
	const struct sluice_core_options options = {0};

	stage->bytes = sluice_core_bytes(&options);
	stage->reports = open_memory(SLOTS * sizeof(*stage->reports));
	stage->md = open_memory(SLOTS * sizeof(*stage->md));
	stage->memory = open_memory(stage->bytes);
	if (!stage->reports || !stage->md || !stage->memory)
		return -ENOMEM;
	return 0;
}

static void close_stage(struct stage *stage)
{
	free(stage->reports);
	free(stage->md);
	free(stage->memory);
}

static int measure_shanghai(struct stage *stage, const struct bench_plan *plan,
			    struct bench_scenario *scenario, struct sluice_diag *diag)
{
	struct sluice_source_options options = {.format = SLUICE_FORMAT_CSV};
	struct bench_commands flow = {0};
	char path[4096];
	double median;
	int rc;

	snprintf(path, sizeof(path), "%s/%s", plan->data, SHANGHAI);
	if (access(path, R_OK)) {
		bench_note(scenario, "Shanghai day: not measured: no data (set SLUICE_DATA)");
		return 0;
	}
	options.path = path;
	rc = bench_commands_load(&flow, &options, diag);
	if (rc == -ENOTSUP)
		bench_note(scenario, "Shanghai day: not measured: built without zlib");
	else if (!rc)
		rc = measure(&flow, stage, plan, scenario, "Shanghai exchange, one day", &median);
	bench_commands_free(&flow);
	if (!rc && median > scenario->aim_got)
		scenario->aim_got = median;
	return rc == -ENOTSUP ? 0 : rc;
}

static int measure_generator(struct stage *stage, const struct bench_plan *plan,
			     struct bench_scenario *scenario, struct sluice_diag *diag)
{
	struct sluice_source_options options;
	struct bench_commands flow = {0};
	char label[80];
	double median;
	int rc;

	bench_commands_options(&options, plan->commands);
	rc = bench_commands_load(&flow, &options, diag);
	snprintf(label, sizeof(label), "generated flow, seed %u", BENCH_FLOW_SEED);
	if (!rc)
		rc = measure(&flow, stage, plan, scenario, label, &median);
	bench_commands_free(&flow);
	if (!rc && median > scenario->aim_got)
		scenario->aim_got = median;
	return rc;
}

int bench_matching(const struct bench_plan *plan, struct bench_scenario *scenario,
		   struct sluice_diag *diag)
{
	struct stage stage = {0};
	int rc = sluice_placement_bind(plan->cpus[1], diag);

	diag->text[0] = '\0';
	if (!rc)
		rc = open_stage(&stage);
	if (!rc)
		rc = measure_generator(&stage, plan, scenario, diag);
	if (!rc)
		rc = measure_shanghai(&stage, plan, scenario, diag);
	close_stage(&stage);
	if (rc && rc != -EINTR && !diag->text[0])
		sluice_diag_set(diag, -rc, "matching: %s", strerror(-rc));
	if (rc)
		return rc;
	snprintf(scenario->aim_text, sizeof(scenario->aim_text), "median, ns per command");
	scenario->aim_value = AIM_NS;
	return 0;
}

int bench_matching_rate(const struct bench_plan *plan, double *ret_ns, struct sluice_diag *diag)
{
	struct sluice_source_options options;
	struct bench_commands flow = {0};
	struct stage stage = {0};
	double ns[REPETITIONS_LEAST], reports;
	uint64_t hash;
	int rc;

	bench_commands_options(&options, plan->commands);
	rc = bench_commands_load(&flow, &options, diag);
	if (!rc)
		rc = open_stage(&stage);
	for (uint32_t i = 0; i < REPETITIONS_LEAST && !rc; i++)
		rc = pass(&flow, &stage, &ns[i], &hash, &reports);
	close_stage(&stage);
	bench_commands_free(&flow);
	if (!rc)
		*ret_ns = bench_median(ns, REPETITIONS_LEAST);
	return rc;
}
