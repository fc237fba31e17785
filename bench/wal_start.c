/* SPDX-License-Identifier: MIT */
/*
 * wal_start.c - how long an engine takes from its start to its first command, with a long log:
 * after a crash without a snapshot, after a clean end, and after a crash some while after that.
 * The parent's thread.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bench/wal.h"
#include "cli/signals.h"
#include "shm/clock.h"
#include "shm/counter.h"

#define PIECE 1000000u /* commands in memory at a time */
#define COMMANDS_BRIEF 1000000u
#define RECORD_BYTES 160ull /* of log per command, generously */
#define STEP_BYTES (16ull * 1024 * 1024)
#define LEAST_BYTES (128ull * 1024 * 1024)
#define LOOK_NS 1000000
#define READY_NS 60000000000u
#define GIB 1073741824.0
#define AIM_REPLAY 1.0

struct start {
	struct bench_wal_state *bench;
	struct bench_scenario *scenario;
	struct bench_instance instance;
	struct bench_commands piece;
	struct sluice_source *source;
	uint64_t logged_bytes; /* so far */
	uint64_t live_ns;      /* that the engine took for the commands, while it lived */
	double seconds, recover_seconds, replay_seconds;
	double replayed, restored; /* commands: from the log; in the snapshot before it */
};

static uint64_t counter(const char *name, const char *label)
{
	char path[SLUICE_SEGMENT_NAME_BYTES], found[SLUICE_LABEL_BYTES];
	struct sluice_segment segment;
	uint64_t value = 0;

	snprintf(path, sizeof(path), "%s.rep", name);
	if (sluice_segment_attach(&segment, path, SLUICE_ACCESS_READ, NULL))
		return 0;
	for (uint32_t i = 0; i < segment.header.counter_count; i++)
		if (sluice_counter_label(&segment.counters[i], found) && !strcmp(found, label))
			/* relaxed: a statistic */
			value = atomic_load_explicit(&segment.counters[i].value,
						     memory_order_relaxed);
	sluice_segment_close(&segment);
	return value;
}

/* The number behind "key=" in what the engine has said, or -1. */
static double said(const struct start *start, const char *key)
{
	FILE *file = fopen(start->instance.error_path, "re");
	char line[1024];
	double value = -1;

	while (file && fgets(line, sizeof(line), file)) {
		const char *at = strstr(line, key);

		if (at)
			value = strtod(at + strlen(key), NULL);
	}
	if (file)
		fclose(file);
	return value;
}

/* From the fork to the engine's word that it is ready. */
static int begin(struct start *start, struct sluice_diag *diag)
{
	const struct timespec look = {.tv_nsec = LOOK_NS};
	const uint64_t began_ns = sluice_clock_ns();
	int rc = bench_instance_start(&start->instance, true, diag);
	const uint64_t ready_ns = sluice_clock_ns(); /* its rings are there */

	while (!rc && said(start, "ready name=bench.") < 0) {
		if (sluice_signals_stop())
			return -EINTR;
		if (sluice_clock_ns() - ready_ns > READY_NS)
			return sluice_diag_set(diag, ETIMEDOUT, "the engine is not ready");
		nanosleep(&look, NULL);
	}
	start->seconds = (double)(sluice_clock_ns() - began_ns) / 1e9;
	start->recover_seconds = said(start, "took_ms=") / 1e3;
	start->replay_seconds = said(start, "replay_ms=") / 1e3;
	start->replayed = said(start, "recovered_commands=");
	start->restored = said(start, "snapshot_commands=");
	return rc;
}

/* Has the engine execute the flow's next n commands. */
static int put(struct start *start, uint64_t n, struct sluice_diag *diag)
{
	struct bench_load *load = start->bench->load;
	uint64_t began_ns;
	int rc = 0;

	start->live_ns = 0;
	for (uint64_t sent = 0; sent < n && !rc; sent += PIECE) {
		rc = bench_commands_next(&start->piece, start->source,
					 n - sent < PIECE ? n - sent : PIECE, diag);
		load->mode = BENCH_LOAD_PUT;
		load->sleeps = true;
		load->commands = start->piece.commands;
		load->count = start->piece.count;
		began_ns = sluice_clock_ns();
		if (!rc)
			rc = bench_wal_client(start->bench, &start->instance, start->scenario,
					      diag);
		start->live_ns += sluice_clock_ns() - began_ns;
	}
	return rc;
}

/* The engine writes its counters down every so often. */
static void settle(struct start *start)
{
	const struct timespec pause = {.tv_nsec = 200000000};

	nanosleep(&pause, NULL);
	start->logged_bytes += counter(start->instance.name, "wal_bytes");
}

static void add_row(struct start *start, const char *label, double gib)
{
	struct bench_row *row = bench_row(start->scenario, "%s", label);

	bench_set(row, "start_s", start->seconds);
	bench_set(row, "recover_s", start->recover_seconds);
	bench_set(row, "snapshot_commands", start->restored);
	bench_set(row, "replayed_commands", start->replayed);
	bench_set(row, "replayed_gib", gib);
	if (start->replayed > 0 && start->replay_seconds > 0 && gib > 0) {
		bench_set(row, "replayed_per_s", start->replayed / start->replay_seconds);
		bench_set(row, "s_per_gib", start->replay_seconds / gib);
	}
}

static int run_starts(struct start *start, uint64_t commands, struct sluice_diag *diag)
{
	const double core_per_s = 1e9 / start->bench->core_ns;
	double replayed_per_s, live_per_s, whole;
	int rc = begin(start, diag);

	if (rc)
		return rc;
	rc = put(start, commands, diag);
	if (rc)
		return rc;
	live_per_s = (double)commands * 1e9 / (double)start->live_ns;
	settle(start);
	whole = (double)start->logged_bytes / GIB;
	bench_instance_kill(&start->instance);
	rc = begin(start, diag);
	if (rc)
		return rc;
	add_row(start, "crash, no snapshot", whole);
	replayed_per_s = start->replayed / start->replay_seconds;
	bench_ratio_at_least(start->scenario, "replay to live, commands per second",
			     &replayed_per_s, &live_per_s, 1, AIM_REPLAY);
	bench_ratio_at_least(start->scenario, "replay to the core alone, commands per second",
			     &replayed_per_s, &core_per_s, 1, 0);
	rc = bench_instance_terminate(&start->instance, diag);
	if (!rc)
		rc = begin(start, diag);
	if (rc)
		return rc;
	add_row(start, "clean end", 0);
	start->logged_bytes = 0;
	rc = put(start, commands / 4, diag);
	if (rc)
		return rc;
	settle(start);
	bench_instance_kill(&start->instance);
	rc = begin(start, diag);
	if (!rc)
		add_row(start, "crash, a quarter of it after a snapshot",
			(double)start->logged_bytes / GIB);
	return rc;
}

/* An engine whose log holds nothing: what a start costs besides. */
static int run_empty(struct start *start, struct sluice_diag *diag)
{
	int rc = begin(start, diag); /* formats */

	bench_instance_kill(&start->instance);
	if (!rc)
		rc = begin(start, diag);
	if (!rc)
		add_row(start, "nothing in the log", 0);
	bench_instance_kill(&start->instance);
	bench_remove_log(start->bench->dir);
	return rc;
}

int bench_wal_start(struct bench_wal_state *state, struct bench_scenario *scenario,
		    struct sluice_diag *diag)
{
	static const char *const arguments[] = {"--follower", "off", "--reports", "drop"};
	const uint64_t brief = state->plan.commands < COMMANDS_BRIEF ? state->plan.commands :
								       COMMANDS_BRIEF;
	const uint64_t commands = state->plan.all ? 10 * state->plan.commands : brief;
	struct start start = {.bench = state, .scenario = scenario};
	struct sluice_source_options options;
	int rc;

	bench_wal_instance(state, &start.instance);
	start.instance.stays = true;
	start.instance.wal_bytes = LEAST_BYTES +
				   commands * RECORD_BYTES * 5 / 4 / STEP_BYTES * STEP_BYTES;
	memcpy(start.instance.arguments, arguments, sizeof(arguments));
	bench_commands_options(&options, commands * 2);
	rc = sluice_source_open(&start.source, &options, diag);
	if (rc)
		return rc;
	rc = run_empty(&start, diag);
	if (!rc)
		rc = run_starts(&start, commands, diag);
	bench_instance_kill(&start.instance);
	bench_remove_log(state->dir);
	bench_commands_free(&start.piece);
	sluice_source_close(start.source);
	bench_note(scenario, "%llu generated commands; the core alone: %.1f ns each in this run",
		   (unsigned long long)commands, state->core_ns);
	bench_note(scenario, "start: from the program's start until it says ready; recover: the "
			     "engine's word for its part");
	bench_note(scenario, "per second and per GiB: of the replay alone");
	return rc;
}
