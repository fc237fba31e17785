/* SPDX-License-Identifier: MIT */
/*
 * wal_run.c - runs of the durability benchmark: an engine with a fresh log and its client, the
 * floor, and blocks of floor, engine, engine, floor, so that a drift of the machine shows as a
 * floor that moved. The parent's thread. A run that is interrupted leaves nothing.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/fio.h"
#include "bench/raw_write.h"
#include "bench/wal.h"
#include "cli/signals.h"

#define MEDIAN 500000u
#define P99 990000u
#define MOVED 0.15
#define ATTEMPTS 2u /* blocks per wanted one, at most */
#define STEP_BYTES (16ull * 1024 * 1024)
#define LEAST_BYTES (64ull * 1024 * 1024)
#define PADDING_PER_S (256ull * 1024 * 1024) /* of blocks that are not full */
#define COMMAND_BYTES 136ull		     /* a record with its share of a full block's header */

void bench_wal_instance(const struct bench_wal_state *state, struct bench_instance *ret_instance)
{
	memset(ret_instance, 0, sizeof(*ret_instance));
	ret_instance->cpu = state->plan.cpus[0];
	ret_instance->wait = state->plan.wait;
	snprintf(ret_instance->name, sizeof(ret_instance->name), "bench.%d", (int)getpid());
	memcpy(ret_instance->dir, state->dir, sizeof(ret_instance->dir));
}

/* Room for all that a case can write, so that the log is never full. */
static uint64_t wal_bytes(const struct bench_wal_state *state, const struct bench_wal_case *wanted)
{
	const uint64_t run_ms = state->plan.run_ns / 1000000 + 500;
	uint64_t bytes = wanted->rest * COMMAND_BYTES * 2;

	if (wanted->mode == BENCH_LOAD_ONE)
		bytes += wanted->commands_rate * run_ms / 1000 * BENCH_RAW_BYTES * 2;
	else if (wanted->mode == BENCH_LOAD_OPEN)
		bytes += (wanted->commands_rate * COMMAND_BYTES + PADDING_PER_S) * run_ms / 1000;
	else
		bytes += state->flow.count * COMMAND_BYTES * 5 / 4;
	return LEAST_BYTES + bytes / STEP_BYTES * STEP_BYTES;
}

/* The options of a case, beside those of every instance. */
static void set_arguments(struct bench_instance *instance, const struct bench_wal_case *wanted)
{
	const char **argument = instance->arguments;

	*argument++ = "--follower";
	*argument++ = wanted->every ? "on" : "off";
	if (wanted->every) {
		*argument++ = "--snapshot-every";
		*argument++ = wanted->every;
		*argument++ = "--snapshot-rate";
		*argument++ = wanted->rate;
	}
	if (wanted->backend) {
		*argument++ = "--wal-io";
		*argument++ = wanted->backend;
	}
	if (wanted->sync) {
		*argument++ = "--wal-sync";
		*argument++ = wanted->sync;
	}
	sluice_assert(argument < instance->arguments + BENCH_ARGUMENTS_MAX);
}

int bench_wal_client(struct bench_wal_state *state, const struct bench_instance *instance,
		     struct bench_scenario *scenario, struct sluice_diag *diag)
{
	const struct bench_side side = {"client", state->plan.cpus[1], bench_load_run};

	memcpy(state->load->name, instance->name, sizeof(state->load->name));
	state->load->engine = instance->pid;
	return bench_pair_run(&side, 1, state->load, scenario, diag);
}

static double percentile(const struct sluice_histogram_snapshot *snapshot, uint32_t per_million)
{
	return snapshot->count ? (double)sluice_histogram_percentile(snapshot, per_million) : 0;
}

/* -EAGAIN: too little came to be counted. */
static int add(struct bench_wal_pairs *pairs, struct bench_load *load)
{
	static struct bench_arm arm;
	const double seconds = (double)load->window_ns / 1e9;
	const double commits = (double)load->commit.count;
	const uint32_t i = pairs->runs;

	sluice_assert(i < BENCH_PAIRS_MAX);
	if (!load->samples.count || !load->commit.count || !load->done)
		return -EAGAIN;
	memset(&arm, 0, sizeof(arm));
	bench_arm_add(&arm, &load->samples, 1);
	pairs->p50[i] = arm.p50[0];
	pairs->p99[i] = arm.p99[0];
	pairs->commit_p50[i] = percentile(&load->commit, MEDIAN);
	pairs->commit_p99[i] = percentile(&load->commit, P99);
	pairs->per_s[i] = (double)load->done / seconds;
	pairs->commits_per_s[i] = commits / seconds;
	pairs->per_commit[i] = (double)load->done / commits;
	pairs->bytes_per_command[i] = load->logged ? (double)load->bytes / (double)load->logged : 0;
	pairs->cpu_per_commit[i] = (double)load->engine_ns / commits;
	pairs->busy[i] = (double)load->engine_ns / (double)load->window_ns;
	pairs->user[i] = (double)load->engine_user_ns / (double)load->window_ns;
	pairs->client_busy[i] = (double)load->client_ns / (double)load->window_ns;
	pairs->samples += load->samples.count;
	pairs->snapshots += load->snapshots;
	pairs->moved[i] = false;
	pairs->runs++;
	return 0;
}

static void prepare_load(struct bench_wal_state *state, const struct bench_wal_case *wanted)
{
	struct bench_load *load = state->load;

	load->samples.count = 0;
	load->mode = wanted->mode;
	load->sleeps = wanted->sleeps;
	load->rate = wanted->commands_rate;
	load->run_ns = state->plan.run_ns;
	load->rest = wanted->rest;
	load->commands = state->flow.commands;
	load->count = state->flow.count;
}

int bench_wal_engine(struct bench_wal_state *state, const struct bench_wal_case *wanted,
		     struct bench_wal_pairs *pairs, struct bench_scenario *scenario,
		     struct sluice_diag *diag)
{
	struct bench_instance instance;
	char log[4096 + 8];
	int rc, stopped;

	prepare_load(state, wanted);
	bench_wal_instance(state, &instance);
	instance.wal_bytes = wal_bytes(state, wanted);
	set_arguments(&instance, wanted);
	rc = bench_instance_start(&instance, true, diag);
	if (!rc)
		rc = bench_wal_client(state, &instance, scenario, diag);
	stopped = bench_instance_stop(&instance, rc ? NULL : diag);
	rc = rc ? rc : stopped;
	if (!rc)
		rc = add(pairs, state->load);
	if (rc == -EAGAIN)
		sluice_diag_set(diag, EAGAIN, "no samples: --seconds is too short");
	snprintf(log, sizeof(log), "%s/log", state->dir);
	if (!rc && wanted->mode != BENCH_LOAD_ONE && !pairs->split[0] &&
	    bench_wal_split(log, state->load->first_seq, pairs->split))
		pairs->split[0] = '\0';
	bench_remove_log(state->dir);
	return rc ? rc : sluice_signals_stop() ? -EINTR : 0;
}

/* Where fio is not: the bare write of our own, which takes 4 KiB only. */
static int raw_floor(struct bench_wal_state *state, uint64_t rate, double ret_ns[2],
		     struct bench_scenario *scenario, struct sluice_diag *diag)
{
	const struct bench_side side = {"raw write", state->plan.cpus[0], bench_raw_run};
	struct bench_raw *raw = bench_shared_alloc(sizeof(*raw));
	static struct bench_arm arm;
	int rc;

	if (!raw)
		return sluice_diag_set(diag, ENOMEM, "no memory for the samples");
	memset(&arm, 0, sizeof(arm));
	snprintf(raw->path, sizeof(raw->path), "%.4095s", state->raw_path);
	raw->run_ns = state->plan.run_ns;
	raw->rate = rate;
	rc = bench_pair_run(&side, 1, raw, scenario, diag);
	if (!rc && !raw->service.count)
		rc = sluice_diag_set(diag, EAGAIN, "no samples: --seconds is too short");
	if (!rc) {
		bench_arm_add(&arm, &raw->service, 1);
		ret_ns[0] = arm.p50[0];
		ret_ns[1] = arm.p99[0];
	}
	bench_shared_free(raw, sizeof(*raw));
	return rc;
}

static int floor_run(struct bench_wal_state *state, const struct bench_wal_pairs *pairs,
		     uint64_t rate, double ret_ns[2], struct bench_scenario *scenario,
		     struct sluice_diag *diag)
{
	struct bench_fio fio = {
		.path = state->raw_path,
		.split = pairs->split[0] ? pairs->split : NULL,
		.cpu = state->plan.cpus[0],
		.run_ns = state->plan.run_ns,
		.rate = rate,
	};
	int rc;

	if (!state->fio)
		return raw_floor(state, rate, ret_ns, scenario, diag);
	rc = bench_fio_run(&fio);
	if (sluice_signals_stop())
		return -EINTR;
	if (rc)
		return sluice_diag_set(diag, EIO, "fio failed on %.200s", state->raw_path);
	ret_ns[0] = fio.p50_ns;
	ret_ns[1] = fio.p99_ns;
	return 0;
}

/* floor, engine, engine, floor */
static int block(struct bench_wal_state *state, const struct bench_wal_case *wanted, uint64_t rate,
		 struct bench_wal_pairs *pairs, struct bench_scenario *scenario,
		 struct sluice_diag *diag)
{
	const uint32_t first = pairs->runs;
	double before[2], after[2];
	bool moved;
	int rc = floor_run(state, pairs, rate, before, scenario, diag);

	if (!rc)
		rc = bench_wal_engine(state, wanted, pairs, scenario, diag);
	if (!rc)
		rc = bench_wal_engine(state, wanted, pairs, scenario, diag);
	if (!rc)
		rc = floor_run(state, pairs, rate, after, scenario, diag);
	if (rc)
		return rc;
	moved = fabs(after[0] / before[0] - 1) > MOVED;
	for (uint32_t i = 0; i < 2; i++) {
		pairs->floor_p50[first + i] = i ? after[0] : before[0];
		pairs->floor_p99[first + i] = i ? after[1] : before[1];
		pairs->moved[first + i] = moved;
	}
	pairs->discarded += moved ? 2 : 0;
	pairs->kept += moved ? 0 : 2;
	return 0;
}

static void move_run(struct bench_wal_pairs *pairs, uint32_t to, uint32_t from)
{
	double *const columns[] = {
		pairs->p50,
		pairs->p99,
		pairs->commit_p50,
		pairs->commit_p99,
		pairs->floor_p50,
		pairs->floor_p99,
		pairs->per_s,
		pairs->commits_per_s,
		pairs->per_commit,
		pairs->bytes_per_command,
		pairs->cpu_per_commit,
		pairs->busy,
		pairs->user,
		pairs->client_busy,
	};

	for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++)
		columns[i][to] = columns[i][from];
}

/* Leaves those that count: all of them when the floor never stood still. */
static void discard(struct bench_wal_pairs *pairs)
{
	uint32_t n = 0;

	pairs->unsteady = !pairs->kept;
	for (uint32_t i = 0; i < pairs->runs && pairs->kept; i++)
		if (!pairs->moved[i])
			move_run(pairs, n++, i);
	if (pairs->kept)
		pairs->runs = n;
}

int bench_wal_paired(struct bench_wal_state *state, const struct bench_wal_case *wanted,
		     struct bench_wal_pairs *pairs, struct bench_scenario *scenario,
		     struct sluice_diag *diag)
{
	const uint32_t blocks = (state->plan.pairs + 1) / 2;
	uint64_t rate = wanted->commands_rate;
	int rc = 0;

	memset(pairs, 0, sizeof(*pairs));
	if (wanted->mode != BENCH_LOAD_ONE) {
		/* what fio is given is known after a first run, which does not count */
		rc = bench_wal_engine(state, wanted, pairs, scenario, diag);
		rate = rc ? 1 : (uint64_t)pairs->commits_per_s[0] + 1;
		pairs->runs = 0;
		pairs->samples = pairs->snapshots = 0;
	}
	for (uint32_t i = 0; i < blocks * ATTEMPTS && pairs->kept < blocks * 2 && !rc &&
			     pairs->runs + 2 <= BENCH_PAIRS_MAX;
	     i++)
		rc = block(state, wanted, rate, pairs, scenario, diag);
	if (!rc)
		discard(pairs);
	return rc;
}
