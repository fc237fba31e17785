/* SPDX-License-Identifier: MIT */
/*
 * wal.c - the durability benchmark's parts, and the conditions each is run under. Main process,
 * one thread; all memory and the directory are there from begin to end.
 */
#include "bench/wal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "bench/fio.h"
#include "bench/raw_write.h"
#include "shm/wait.h"

#define TMPFS 0x01021994
#define AIM_COMMIT 1.05
#define AIM_REPORT 1.15
#define AIM_RATE 1e6
#define FLOW_PER_S 1500000u /* generated; a faster run ends when they are used up */
#define FLOW_MAX 16000000u
#define REST 50000u
#define REST_ALL 300000u
#define RATE_RUNS_BRIEF 3u
#define EVERY "256K"

enum part { PART_RATE, PART_COMMIT, PART_LOAD, PART_START, PART_MODES };

static const struct {
	const char *name, *title;
} parts[BENCH_WAL_PARTS] = {
	[PART_RATE] = {"wal-rate", "greatest durable rate"},
	[PART_COMMIT] = {"wal-commit", "one command in flight, beside fio"},
	[PART_LOAD] = {"wal-load", "half and nine tenths of the greatest rate, beside fio"},
	[PART_START] = {"wal-start", "start with a long log"},
	[PART_MODES] = {"wal-modes", "ways to write the log, in turns"},
};

/* What else goes on; the short form leaves some out. */
static const struct condition {
	const char *label, *every, *rate;
	bool sleeps, rests;
	bool brief, load; /* in the short form; its half and nine tenths too */
} conditions[BENCH_WAL_CONDITIONS] = {
	{.label = "spin", .brief = true},
	{.label = "sleep", .sleeps = true, .brief = true, .load = true},
	{.label = "follow", .every = "1T", .rate = "32M", .sleeps = true},
	{.label = "snap 32M/s",
	 .every = EVERY,
	 .rate = "32M",
	 .sleeps = true,
	 .rests = true,
	 .brief = true},
	{.label = "snap freely", .every = EVERY, .rate = "0", .sleeps = true, .rests = true},
};

static struct bench_wal_state *state;
static struct bench_wal_pairs *pairs;
static char reason[BENCH_TEXT_BYTES]; /* why nothing can be measured, or "" */

const char *bench_wal_name(uint32_t part)
{
	return parts[part].name;
}

const char *bench_wal_title(uint32_t part)
{
	return parts[part].title;
}

static struct bench_wal_case make_case(const struct condition *condition, enum bench_load_mode mode,
				       uint64_t rate)
{
	return (struct bench_wal_case){
		.label = condition->label,
		.every = condition->every,
		.rate = condition->rate,
		.sleeps = condition->sleeps,
		.mode = mode,
		.commands_rate = rate,
		.rest = !condition->rests ? 0 :
			state->plan.all	  ? REST_ALL :
					    REST,
	};
}

static bool is_wanted(const struct condition *condition, bool load)
{
	return state->plan.all || (condition->brief && (!load || condition->load));
}

/* What makes a case's figures other than they seem. */
static void note_runs(struct bench_scenario *scenario, const char *label,
		      const struct bench_wal_case *wanted)
{
	if (pairs->unsteady)
		bench_note(scenario,
			   "%s: the floor moved by more than 15 %% in every block: all %u "
			   "pairs are shown",
			   label, pairs->runs);
	else if (pairs->discarded)
		bench_note(scenario,
			   "%s: %u pairs discarded, the floor had moved by more than "
			   "15 %%",
			   label, pairs->discarded);
	if (wanted->rest && !pairs->snapshots)
		bench_note(scenario, "%s: no snapshot was finished in the measured time", label);
}

/* The greatest rate of one condition, for a row and for the parts that need to know it. */
static int measure_rate(uint32_t c, struct bench_scenario *scenario, struct sluice_diag *diag)
{
	const struct bench_wal_case wanted = make_case(&conditions[c], BENCH_LOAD_FULL, AIM_RATE);
	uint32_t runs = state->plan.pairs;
	int rc = 0;

	if (!state->plan.all && runs > RATE_RUNS_BRIEF)
		runs = RATE_RUNS_BRIEF;
	memset(pairs, 0, sizeof(*pairs));
	while (pairs->runs < runs && !rc)
		rc = bench_wal_engine(state, &wanted, pairs, scenario, diag);
	if (rc)
		return rc;
	state->full[c] = bench_median(pairs->per_s, pairs->runs);
	note_runs(scenario, conditions[c].label, &wanted);
	return 0;
}

static int run_rate(struct bench_scenario *scenario, struct sluice_diag *diag)
{
	double aims[BENCH_PAIRS_MAX];
	char label[80];
	int rc = 0;

	for (uint32_t i = 0; i < BENCH_PAIRS_MAX; i++)
		aims[i] = AIM_RATE;
	for (uint32_t c = 0; c < BENCH_WAL_CONDITIONS && !rc; c++) {
		if (!is_wanted(&conditions[c], false))
			continue;
		rc = measure_rate(c, scenario, diag);
		if (rc)
			break;
		bench_wal_rate_row(scenario, conditions[c].label, pairs);
		bench_wal_time_rows(scenario, conditions[c].label, pairs, state->core_ns);
		snprintf(label, sizeof(label), "%s: greatest durable rate, M commands/s",
			 conditions[c].label);
		bench_ratio_at_least(scenario, label, pairs->per_s, aims, pairs->runs,
				     AIM_RATE / 1e6);
	}
	bench_note(scenario, "one producer, which also reads every report; generated flow, seed %u",
		   BENCH_FLOW_SEED);
	bench_note(scenario, "engine's CPU time by its process's clock; kernel threads that finish "
			     "writes are not in it");
	return rc;
}

static void add_ratio(struct bench_scenario *scenario, const char *label, const char *what,
		      const double *over, const double *under, double aim)
{
	char text[80];

	snprintf(text, sizeof(text), "%s: %s to %s", label, what, state->fio ? "fio" : "raw write");
	bench_ratio(scenario, text, over, under, pairs->runs, aim);
}

static int run_commit(struct bench_scenario *scenario, struct sluice_diag *diag)
{
	int rc = 0;

	for (uint32_t c = 0; c < BENCH_WAL_CONDITIONS && !rc; c++) {
		const char *label = conditions[c].label;
		const struct bench_wal_case wanted = make_case(&conditions[c], BENCH_LOAD_ONE,
							       state->plan.rate);

		if (!is_wanted(&conditions[c], false))
			continue;
		rc = bench_wal_paired(state, &wanted, pairs, scenario, diag);
		if (rc)
			break;
		bench_wal_latency_rows(scenario, label, pairs, state->fio);
		add_ratio(scenario, label, "p50, the log's commit", pairs->commit_p50,
			  pairs->floor_p50, AIM_COMMIT);
		add_ratio(scenario, label, "p50, report", pairs->p50, pairs->floor_p50, AIM_REPORT);
		note_runs(scenario, label, &wanted);
	}
	bench_note(scenario,
		   "%llu commands per second, one in flight; fio writes 4 KiB at that rate",
		   (unsigned long long)state->plan.rate);
	bench_note(scenario, "engine and floor on cpu%u, client on cpu%u, engine waits %s",
		   state->plan.cpus[0], state->plan.cpus[1], sluice_wait_name(state->plan.wait));
	/* a client that sleeps has one more than fio, which is woken by the disk */
	return rc ? rc : bench_wake_up(&state->plan, scenario, diag);
}

static int run_share(uint32_t c, uint32_t percent, struct bench_scenario *scenario,
		     struct sluice_diag *diag)
{
	const struct bench_wal_case wanted = make_case(
		&conditions[c], BENCH_LOAD_OPEN, (uint64_t)(state->full[c] * percent / 100) + 1);
	char label[40];
	int rc = bench_wal_paired(state, &wanted, pairs, scenario, diag);

	if (rc)
		return rc;
	snprintf(label, sizeof(label), "%s, %u %%", conditions[c].label, percent);
	bench_wal_latency_rows(scenario, label, pairs, state->fio);
	bench_wal_rate_row(scenario, label, pairs);
	add_ratio(scenario, label, "p50, report", pairs->p50, pairs->floor_p50, 0);
	add_ratio(scenario, label, "p99, report", pairs->p99, pairs->floor_p99, 0);
	if (pairs->split[0])
		bench_note(scenario, "%s: fio's sizes, per cent: %.110s", label, pairs->split);
	note_runs(scenario, label, &wanted);
	return 0;
}

static int run_load(struct bench_scenario *scenario, struct sluice_diag *diag)
{
	static const uint32_t percents[] = {50, 90};
	int rc = 0;

	bench_note(scenario, "open loop, from the intended time; fio at the log's commits per "
			     "second, one at a time");
	for (uint32_t c = 0; c < BENCH_WAL_CONDITIONS && !rc; c++) {
		if (!is_wanted(&conditions[c], true))
			continue;
		if (state->full[c] <= 0)
			rc = measure_rate(c, scenario, diag);
		for (uint32_t i = 0; i < 2 && !rc; i++)
			rc = run_share(c, percents[i], scenario, diag);
	}
	return rc;
}

int bench_wal(uint32_t part, struct bench_scenario *scenario, struct sluice_diag *diag)
{
	static int (*const runs[BENCH_WAL_PARTS])(struct bench_scenario * scenario,
						  struct sluice_diag * diag) = {
		[PART_RATE] = run_rate,
		[PART_COMMIT] = run_commit,
		[PART_LOAD] = run_load,
	};
	int rc;

	if (reason[0]) {
		bench_not_measured(scenario, "%s", reason);
		return 0;
	}
	if (!state->fio && (part == PART_COMMIT || part == PART_LOAD))
		bench_note(scenario, "fio is not installed, or cannot be used: compared with a "
				     "bare 4 KiB write of our own");
	rc = part == PART_START ? bench_wal_start(state, scenario, diag) :
	     part == PART_MODES ? bench_wal_modes(state, scenario, diag) :
				  runs[part](scenario, diag);
	if (rc && rc != -EINTR && !diag->text[0])
		sluice_diag_set(diag, -rc, "%s: %s", parts[part].name, strerror(-rc));
	return rc;
}

static bool has_fio(void)
{
	struct bench_fio fio = {
		.path = state->raw_path,
		.cpu = state->plan.cpus[0],
		.run_ns = 50000000,
		.rate = state->plan.rate,
	};

	return !bench_fio_run(&fio);
}

static int prepare(const struct bench_plan *plan, struct sluice_diag *diag)
{
	const uint64_t run_ms = plan->run_ns / 1000000 + 200; /* with the warm-up */
	struct sluice_source_options options;
	uint64_t flow = run_ms * FLOW_PER_S / 1000;
	int rc;

	flow = flow > FLOW_MAX ? FLOW_MAX : flow;
	state->plan = *plan;
	state->load = bench_shared_alloc(sizeof(*state->load));
	if (!state->load)
		return sluice_diag_set(diag, ENOMEM, "no memory for the samples");
	snprintf(state->dir, sizeof(state->dir), "%.4000s/sluice-bench.XXXXXX", plan->dir);
	if (!mkdtemp(state->dir)) {
		state->dir[0] = '\0';
		return sluice_diag_set(diag, errno, "--dir %s: %s", plan->dir, strerror(errno));
	}
	snprintf(state->raw_path, sizeof(state->raw_path), "%s/raw", state->dir);
	rc = bench_raw_prepare(state->raw_path, diag);
	bench_commands_options(&options, flow);
	if (!rc)
		rc = bench_commands_load(&state->flow, &options, diag);
	if (!rc)
		rc = bench_matching_rate(plan, &state->core_ns, diag);
	state->fio = !rc && has_fio();
	return rc;
}

int bench_wal_begin(const struct bench_plan *plan, struct sluice_diag *diag)
{
	struct statfs fs;

	state = calloc(1, sizeof(*state));
	pairs = calloc(1, sizeof(*pairs));
	if (!state || !pairs)
		return sluice_diag_set(diag, ENOMEM, "no memory for the results");
	if (statfs(plan->dir, &fs))
		return sluice_diag_set(diag, errno, "--dir %s: %s", plan->dir, strerror(errno));
	if (!plan->two_cpus)
		snprintf(reason, sizeof(reason), "needs 2 CPUs");
	else if (fs.f_type == TMPFS)
		snprintf(reason, sizeof(reason), "needs a disk: %.80s is a tmpfs (--dir)",
			 plan->dir);
	return reason[0] ? 0 : prepare(plan, diag);
}

void bench_wal_end(void)
{
	if (state && state->dir[0]) {
		bench_remove_log(state->dir);
		bench_remove_dir(state->dir);
	}
	if (state) {
		bench_commands_free(&state->flow);
		bench_shared_free(state->load, sizeof(*state->load));
	}
	free(state);
	free(pairs);
	state = NULL;
	pairs = NULL;
}
