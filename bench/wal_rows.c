/* SPDX-License-Identifier: MIT */
/* wal_rows.c - what a case of the durability benchmark becomes in a result: see wal.h. */
#include "bench/wal.h"

/* Enough samples of a run for its p99. */
#define P99_NEEDS 1000u

static double median(const double *values, const struct bench_wal_pairs *pairs)
{
	return bench_median(values, pairs->runs);
}

static void set_latency(struct bench_row *row, const struct bench_wal_pairs *pairs,
			const double *p50, const double *p99)
{
	const uint32_t runs = pairs->runs + pairs->discarded;

	bench_set(row, "p50_ns", median(p50, pairs));
	if (pairs->samples / runs >= P99_NEEDS)
		bench_set(row, "p99_ns", median(p99, pairs));
	bench_set(row, "runs", pairs->runs);
}

void bench_wal_latency_rows(struct bench_scenario *scenario, const char *label,
			    const struct bench_wal_pairs *pairs, bool fio)
{
	struct bench_row *row = bench_row(scenario, "%s: publish to report", label);

	set_latency(row, pairs, pairs->p50, pairs->p99);
	bench_set(row, "samples", (double)pairs->samples);
	bench_set(row, "snapshots", (double)pairs->snapshots);
	bench_set(row, "pairs_discarded", pairs->unsteady ? 0 : pairs->discarded);
	bench_set(row, "unsteady", pairs->unsteady);
	row = bench_row(scenario, "%s: the log's commit", label);
	set_latency(row, pairs, pairs->commit_p50, pairs->commit_p99);
	row = bench_row(scenario, "%s: %s", label, fio ? "fio" : "raw write");
	set_latency(row, pairs, pairs->floor_p50, pairs->floor_p99);
}

void bench_wal_rate_row(struct bench_scenario *scenario, const char *label,
			const struct bench_wal_pairs *pairs)
{
	struct bench_row *row = bench_row(scenario, "%s", label);

	bench_set(row, "commands_per_s", median(pairs->per_s, pairs));
	bench_set(row, "commits_per_s", median(pairs->commits_per_s, pairs));
	bench_set(row, "commands_per_commit", median(pairs->per_commit, pairs));
	bench_set(row, "cpu_ns_per_commit", median(pairs->cpu_per_commit, pairs));
	bench_set(row, "log_bytes_per_command", median(pairs->bytes_per_command, pairs));
	bench_set(row, "engine_busy_percent", 100 * median(pairs->busy, pairs));
	bench_set(row, "client_busy_percent", 100 * median(pairs->client_busy, pairs));
	bench_set(row, "report_p50_ns", median(pairs->p50, pairs));
	bench_set(row, "commit_p50_ns", median(pairs->commit_p50, pairs));
	bench_set(row, "snapshots", (double)pairs->snapshots);
	bench_set(row, "runs", pairs->runs);
}

static void share(struct bench_scenario *scenario, const char *label, const char *what, double ns)
{
	bench_set(bench_row(scenario, "share: %s: %s", label, what), "share_ns", ns > 0 ? ns : 0);
}

/* Per command, at the greatest rate. The parts of the engine's time add up to the first line. */
void bench_wal_time_rows(struct bench_scenario *scenario, const char *label,
			 const struct bench_wal_pairs *pairs, double core_ns)
{
	const double all = 1e9 / median(pairs->per_s, pairs);
	const double busy = all * median(pairs->busy, pairs);
	const double user = all * median(pairs->user, pairs);

	share(scenario, label, "one command every", all);
	share(scenario, label, "engine: matching, as the core alone", core_ns);
	share(scenario, label, "engine: rings, copies, checksums", user - core_ns);
	share(scenario, label, "engine: in the kernel", busy - user);
	share(scenario, label, "engine: not on its CPU", all - busy);
	share(scenario, label, "client: its CPU time", all * median(pairs->client_busy, pairs));
}
