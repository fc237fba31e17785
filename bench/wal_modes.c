/* SPDX-License-Identifier: MIT */
/*
 * wal_modes.c - the ways to write a log on the same load, in turns: io_uring with a synchronous
 * write or with a linked fdatasync, blocking calls, a thread. The parent's thread.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bench/wal.h"

#define ROUNDS_BRIEF 2u

static const struct mode {
	const char *label, *backend, *sync;
} modes[] = {
	{"io_uring dsync", "io_uring", "dsync"},
	{"io_uring link", "io_uring", "link"},
	{"blocking", "blocking", NULL},
	{"thread dsync", "thread", "dsync"},
};
#define MODES (sizeof(modes) / sizeof(modes[0]))

struct modes_state {
	struct bench_wal_pairs one[MODES], full[MODES];
	bool refused[MODES];
};

static int run_mode(struct bench_wal_state *state, struct modes_state *all, uint32_t m,
		    struct bench_scenario *scenario, struct sluice_diag *diag)
{
	struct bench_wal_case wanted = {
		.label = modes[m].label,
		.backend = modes[m].backend,
		.sync = modes[m].sync,
		.sleeps = true,
		.mode = BENCH_LOAD_ONE,
		.commands_rate = state->plan.rate,
	};
	int rc = bench_wal_engine(state, &wanted, &all->one[m], scenario, diag);

	/* the engine itself says no: a kernel that forbids io_uring */
	if (rc == -ECHILD && !all->one[m].runs) {
		bench_note(scenario, "%s: not measured: %.110s", modes[m].label, diag->text);
		diag->text[0] = '\0';
		all->refused[m] = true;
		return 0;
	}
	wanted.mode = BENCH_LOAD_FULL;
	return rc ? rc : bench_wal_engine(state, &wanted, &all->full[m], scenario, diag);
}

static void conclude(const struct modes_state *all, struct bench_scenario *scenario)
{
	char label[80];

	for (uint32_t m = 0; m < MODES; m++) {
		const struct bench_wal_pairs *one = &all->one[m];
		struct bench_row *row;

		if (all->refused[m])
			continue;
		row = bench_row(scenario, "%s: publish to report", modes[m].label);
		bench_set(row, "p50_ns", bench_median(one->p50, one->runs));
		if (one->samples / one->runs >= 1000)
			bench_set(row, "p99_ns", bench_median(one->p99, one->runs));
		bench_set(row, "samples", (double)one->samples);
		bench_set(row, "runs", one->runs);
		bench_wal_rate_row(scenario, modes[m].label, &all->full[m]);
	}
	for (uint32_t m = 1; m < MODES; m++) {
		if (all->refused[m] || all->refused[0])
			continue;
		snprintf(label, sizeof(label), "p50, %s to %s", modes[m].label, modes[0].label);
		bench_ratio(scenario, label, all->one[m].p50, all->one[0].p50, all->one[m].runs, 0);
		snprintf(label, sizeof(label), "greatest rate, %s to %s", modes[m].label,
			 modes[0].label);
		bench_ratio_at_least(scenario, label, all->full[m].per_s, all->full[0].per_s,
				     all->full[m].runs, 0);
	}
}

int bench_wal_modes(struct bench_wal_state *state, struct bench_scenario *scenario,
		    struct sluice_diag *diag)
{
	struct modes_state *all = calloc(1, sizeof(*all));
	uint32_t rounds = state->plan.pairs;
	int rc = 0;

	if (!all)
		return -ENOMEM;
	if (!state->plan.all && rounds > ROUNDS_BRIEF)
		rounds = ROUNDS_BRIEF;
	/* one way round, then the other */
	for (uint32_t i = 0; i < rounds; i++)
		for (uint32_t k = 0; k < MODES && !rc; k++) {
			const uint32_t m = i % 2 ? (uint32_t)MODES - 1 - k : k;

			if (!all->refused[m])
				rc = run_mode(state, all, m, scenario, diag);
		}
	if (!rc)
		conclude(all, scenario);
	bench_note(scenario,
		   "%llu commands per second, one in flight; then as many as go; the "
		   "client sleeps",
		   (unsigned long long)state->plan.rate);
	free(all);
	return rc;
}
