/* SPDX-License-Identifier: MIT */
/*
 * report.c - from the intended publish of a command to its report in the consumer's hands, through
 * a real sluice-engine: without a log, and durable, in turns with the bare write that a durable
 * command cannot do without.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "bench/instance.h"
#include "bench/raw_write.h"
#include "cli/signals.h"
#include "shm/wait.h"

#define TMPFS 0x01021994
#define WAL_BYTES_STEP (16ull * 1024 * 1024)
#define WAL_BYTES_MIN (4 * WAL_BYTES_STEP)
#define AIM 1.3

enum arm { RAW, DURABLE, OFF, ARMS };

struct breakdown { /* medians of one durable run */
	double take[BENCH_PAIRS_MAX], commit[BENCH_PAIRS_MAX], report[BENCH_PAIRS_MAX];
};

struct state {
	struct bench_arm arms[ARMS];	/* from the intended time */
	struct bench_arm service[ARMS]; /* from the call or the publish */
	struct breakdown breakdown;
	double fio_p50[BENCH_PAIRS_MAX], fio_p99[BENCH_PAIRS_MAX];
	uint32_t fio_runs;
	char dir[4096];
	char raw_path[4096 + 16];
	char pages[64];
};

static double median_of(const struct sluice_histogram_snapshot *snapshot)
{
	return snapshot->count ? (double)sluice_histogram_percentile(snapshot, 500000) : 0;
}

static void add_samples(struct state *state, enum arm arm, struct bench_samples *samples,
			struct bench_samples *service)
{
	if (!samples->count)
		return;
	bench_arm_add(&state->arms[arm], samples, 1);
	bench_arm_add(&state->service[arm], service, 1);
}

static int run_raw(struct state *state, const struct bench_plan *plan,
		   struct bench_scenario *scenario, struct sluice_diag *diag)
{
	const struct bench_side side = {"raw write", plan->cpus[0], bench_raw_run};
	struct bench_raw *raw = bench_shared_alloc(sizeof(*raw));
	const uint32_t i = state->fio_runs;
	int rc;

	if (!raw)
		return sluice_diag_set(diag, ENOMEM, "no memory for the samples");
	snprintf(raw->path, sizeof(raw->path), "%.4095s", state->raw_path);
	raw->run_ns = plan->run_ns;
	raw->rate = plan->rate;
	rc = bench_pair_run(&side, 1, raw, scenario, diag);
	if (!rc)
		add_samples(state, RAW, &raw->samples, &raw->service);
	if (!rc && !bench_raw_fio(raw, plan->cpus[0], &state->fio_p50[i], &state->fio_p99[i]))
		state->fio_runs++;
	bench_shared_free(raw, sizeof(*raw));
	return rc;
}

static void add_client(struct state *state, enum arm arm, struct bench_client *client)
{
	const uint32_t run = state->arms[arm].runs;

	if (arm == DURABLE) {
		state->breakdown.take[run] = median_of(&client->take);
		state->breakdown.commit[run] = median_of(&client->commit);
		state->breakdown.report[run] = median_of(&client->report);
	}
	memcpy(state->pages, client->pages, sizeof(state->pages));
	add_samples(state, arm, &client->samples, &client->service);
}

/* Room for twice the commands, one block each; the 16 segments are whole MiB. */
static uint64_t wal_bytes(const struct bench_plan *plan)
{
	const uint64_t need = plan->rate * (plan->run_ns / 1000000) / 1000 * 2 * BENCH_RAW_BYTES;

	return WAL_BYTES_MIN + need / WAL_BYTES_STEP * WAL_BYTES_STEP;
}

static int run_engine(struct state *state, enum arm arm, const struct bench_plan *plan,
		      struct bench_scenario *scenario, struct sluice_diag *diag)
{
	const struct bench_side side = {"client", plan->cpus[1], bench_client_run};
	struct bench_client *client = bench_shared_alloc(sizeof(*client));
	struct bench_instance instance = {.cpu = plan->cpus[0], .wait = plan->wait};
	int rc, stopped;

	if (!client)
		return sluice_diag_set(diag, ENOMEM, "no memory for the samples");
	snprintf(instance.name, sizeof(instance.name), "bench.%d", (int)getpid());
	snprintf(instance.dir, sizeof(instance.dir), "%s", state->dir);
	instance.wal_bytes = wal_bytes(plan);
	memcpy(client->name, instance.name, sizeof(client->name));
	client->run_ns = plan->run_ns;
	client->rate = plan->rate;
	client->wait = plan->wait;
	rc = bench_instance_start(&instance, arm == DURABLE, diag);
	if (!rc)
		rc = bench_pair_run(&side, 1, client, scenario, diag);
	stopped = bench_instance_stop(&instance, rc ? NULL : diag);
	rc = rc ? rc : stopped;
	if (!rc)
		add_client(state, arm, client);
	bench_remove_log(state->dir);
	bench_shared_free(client, sizeof(*client));
	return rc;
}

static int run_pairs(struct state *state, const struct bench_plan *plan,
		     struct bench_scenario *scenario, struct sluice_diag *diag)
{
	int rc = bench_raw_prepare(state->raw_path, diag);

	for (uint32_t i = 0; i < plan->pairs && !rc; i++) {
		rc = run_raw(state, plan, scenario, diag);
		if (!rc)
			rc = run_engine(state, DURABLE, plan, scenario, diag);
		if (!rc)
			rc = run_engine(state, OFF, plan, scenario, diag);
		if (!rc && sluice_signals_stop())
			rc = -EINTR;
	}
	for (int arm = 0; arm < ARMS && !rc; arm++)
		if (state->arms[arm].runs != plan->pairs)
			rc = sluice_diag_set(diag, EAGAIN, "no samples: --seconds is too short");
	return rc;
}

static void add_breakdown(struct bench_scenario *scenario, const struct state *state)
{
	const uint32_t n = state->arms[DURABLE].runs;
	const double all = bench_median(state->arms[DURABLE].p50, n);
	const double take = bench_median(state->breakdown.take, n);
	const double commit = bench_median(state->breakdown.commit, n);
	const double report = bench_median(state->breakdown.report, n);

	bench_set(bench_row(scenario, "part: intended publish until the engine has read it"),
		  "part_p50_ns", take);
	bench_set(bench_row(scenario, "part: the log's write, submit to completion"), "part_p50_ns",
		  commit);
	bench_set(bench_row(scenario, "part: matching, composing and submitting, publishing"),
		  "part_p50_ns", report > take + commit ? report - take - commit : 0);
	bench_set(bench_row(scenario, "part: report visible until the consumer has it"),
		  "part_p50_ns", all > report ? all - report : 0);
}

static void conclude(const struct state *state, const struct bench_plan *plan,
		     struct bench_scenario *scenario)
{
	static const char *const labels[ARMS][2] = {
		{"raw 4 KiB write: io_uring, O_DIRECT, DSYNC", "  the same, from the call itself"},
		{"publish to report, durable (batch)", "  the same, from the publish itself"},
		{"publish to report, no log", "  the same, from the publish itself"},
	};
	const struct bench_arm *arms = state->arms;

	for (int arm = 0; arm < ARMS; arm++) {
		bench_arm_row(scenario, &arms[arm], 0, labels[arm][0]);
		bench_arm_row(scenario, &state->service[arm], 0, labels[arm][1]);
	}
	if (state->fio_runs == plan->pairs) {
		struct bench_row *row = bench_row(scenario,
						  "raw 4 KiB write by fio, io_uring, depth 1");

		bench_set(row, "p50_ns", bench_median(state->fio_p50, plan->pairs));
		bench_set(row, "p99_ns", bench_median(state->fio_p99, plan->pairs));
		bench_set(row, "runs", plan->pairs);
	}
	add_breakdown(scenario, state);
	bench_ratio(scenario, "p50, durable report to raw write", arms[DURABLE].p50, arms[RAW].p50,
		    plan->pairs, AIM);
	bench_ratio(scenario, "p50, the same from publish and call", state->service[DURABLE].p50,
		    state->service[RAW].p50, plan->pairs, 0);
	bench_ratio(scenario, "p50, the log's own write to raw write", state->breakdown.commit,
		    state->service[RAW].p50, plan->pairs, 0);
	if (state->fio_runs == plan->pairs)
		bench_ratio(scenario, "p50, durable report to fio's write", arms[DURABLE].p50,
			    state->fio_p50, plan->pairs, 0);
	bench_note(scenario,
		   "open loop, %llu commands per second, one in flight, from the intended "
		   "time",
		   (unsigned long long)plan->rate);
	bench_note(scenario, "engine on cpu%u, client on cpu%u, wait %s, rings: %s", plan->cpus[0],
		   plan->cpus[1], sluice_wait_name(plan->wait), state->pages);
	bench_note(scenario,
		   "raw write: own loop on cpu%u, same pacing, yields until done; fio sleeps until "
		   "done",
		   plan->cpus[0]);
}

int bench_report(const struct bench_plan *plan, struct bench_scenario *scenario,
		 struct sluice_diag *diag)
{
	static struct state state;
	struct statfs fs;
	int rc;

	memset(&state, 0, sizeof(state));
	if (!plan->two_cpus) {
		bench_not_measured(scenario, "needs 2 CPUs");
		return 0;
	}
	if (statfs(plan->dir, &fs))
		return sluice_diag_set(diag, errno, "--dir %s: %s", plan->dir, strerror(errno));
	if (fs.f_type == TMPFS) {
		bench_not_measured(scenario, "needs a disk: %.80s is a tmpfs (--dir)", plan->dir);
		return 0;
	}
	snprintf(state.dir, sizeof(state.dir), "%.4000s/sluice-bench.XXXXXX", plan->dir);
	if (!mkdtemp(state.dir))
		return sluice_diag_set(diag, errno, "--dir %s: %s", plan->dir, strerror(errno));
	snprintf(state.raw_path, sizeof(state.raw_path), "%s/raw", state.dir);
	rc = run_pairs(&state, plan, scenario, diag);
	if (!rc)
		conclude(&state, plan, scenario);
	bench_remove_log(state.dir);
	bench_remove_dir(state.dir);
	return rc;
}
