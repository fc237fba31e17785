/* SPDX-License-Identifier: MIT */
/*
 * main.c - sim: runs seeds. A seed decides everything: sizes, speeds, what fails and when.
 *
 *	sim --seeds N [--first S] [--jobs J]	many, in J processes
 *	sim --seed S [--verbose]		one, with its trace
 *	sim --list FILE				those in a file, first column
 *	... --trace				with a line for each: its number and trace hash
 *
 * Exit: 0 all good, 1 an invariant was broken.
 */
#include <errno.h>
#include <getopt.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/sim/trace.h"
#include "tests/sim/world.h"

struct totals { /* shared by the workers */
	_Atomic uint64_t next; /* seed to take */
	_Atomic uint64_t done, failed, first_failed;
	_Atomic uint64_t count[SIM_COUNTS];
};

static struct totals *totals;
static bool trace;
static const char *const count_names[SIM_COUNTS] = {
	[SIM_COUNT_COMMANDS] = "commands",     [SIM_COUNT_BLOCKS] = "blocks",
	[SIM_COUNT_STARTS] = "engine_starts",  [SIM_COUNT_FAULTS] = "faults",
	[SIM_COUNT_POWER] = "power_cuts",      [SIM_COUNT_REFUSED] = "refused",
	[SIM_COUNT_RESIDUAL] = "residual",     [SIM_COUNT_STALLED] = "stalled",
	[SIM_COUNT_SNAPSHOTS] = "snapshots",
	[SIM_COUNT_ROUNDS] = "segments_reused", [SIM_COUNT_POINTS] = "points",
};

/* relaxed, all: counts; the children's end publishes them */
static void add(_Atomic uint64_t *total, uint64_t n)
{
	atomic_fetch_add_explicit(total, n, memory_order_relaxed);
}

static uint64_t get(_Atomic uint64_t *total)
{
	return atomic_load_explicit(total, memory_order_relaxed);
}

static bool run_one(uint64_t seed, bool verbose)
{
	struct sim_outcome outcome;

	sim_run(seed, verbose, &outcome);
	for (uint32_t i = 0; i < SIM_COUNTS; i++)
		add(&totals->count[i], outcome.count[i]);
	add(&totals->done, 1);
	if (trace)
		printf("seed=%llu trace=%016llx\n", (unsigned long long)seed,
		       (unsigned long long)outcome.trace);
	if (!outcome.broken) {
		if (verbose)
			printf("seed %llu: good, trace %016llx\n", (unsigned long long)seed,
			       (unsigned long long)outcome.trace);
		return true;
	}
	add(&totals->failed, 1);
	if (!verbose)
		sim_trace_print(stdout);
	printf("fail: seed %llu: %s: %s (trace %016llx; sim --seed %llu --verbose)\n",
	       (unsigned long long)seed, outcome.invariant, outcome.text,
	       (unsigned long long)outcome.trace, (unsigned long long)seed);
	fflush(stdout);
	return false;
}

static void work(uint64_t end, uint64_t failures_max)
{
	for (;;) {
		const uint64_t seed = atomic_fetch_add_explicit(&totals->next, 1,
								memory_order_relaxed);

		if (seed >= end || get(&totals->failed) >= failures_max)
			return;
		run_one(seed, false);
	}
}

static int run_many(uint64_t first, uint64_t seeds, uint32_t jobs, uint64_t failures_max)
{
	struct timespec began, ended;
	double seconds;
	int bad = 0, status;

	clock_gettime(CLOCK_MONOTONIC, &began);
	atomic_store_explicit(&totals->next, first, memory_order_relaxed);
	fflush(stdout);
	for (uint32_t i = 0; i < jobs; i++)
		if (fork() == 0) {
			work(first + seeds, failures_max);
			fflush(stdout);
			_exit(0);
		}
	while (wait(&status) > 0)
		bad |= !WIFEXITED(status) || WEXITSTATUS(status);
	clock_gettime(CLOCK_MONOTONIC, &ended);
	seconds = (double)(ended.tv_sec - began.tv_sec) +
		  (double)(ended.tv_nsec - began.tv_nsec) / 1e9;
	printf("seeds=%llu failed=%llu seconds=%.1f seeds_per_s=%.0f",
	       (unsigned long long)get(&totals->done), (unsigned long long)get(&totals->failed),
	       seconds, (double)get(&totals->done) / seconds);
	for (uint32_t i = 0; i < SIM_COUNTS; i++)
		printf(" %s=%llu", count_names[i], (unsigned long long)get(&totals->count[i]));
	printf("\n");
	if (bad)
		printf("fail: a worker died\n");
	return bad || get(&totals->failed);
}

static int run_list(const char *path)
{
	FILE *file = fopen(path, "re");
	char line[256];
	int bad = 0;

	if (!file) {
		fprintf(stderr, "sim: %s: %s\n", path, strerror(errno));
		return 2;
	}
	while (fgets(line, sizeof(line), file)) {
		char *end;
		const uint64_t seed = strtoull(line, &end, 0);

		if (end != line)
			bad |= !run_one(seed, false);
	}
	fclose(file);
	printf("list=%s seeds=%llu failed=%llu\n", path, (unsigned long long)get(&totals->done),
	       (unsigned long long)get(&totals->failed));
	return bad;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"seeds", required_argument, NULL, 'n'}, {"first", required_argument, NULL, 'f'},
		{"jobs", required_argument, NULL, 'j'},	 {"seed", required_argument, NULL, 's'},
		{"list", required_argument, NULL, 'l'},	 {"failures", required_argument, NULL, 'm'},
		{"verbose", no_argument, NULL, 'v'},	 {"trace", no_argument, NULL, 't'},
		{NULL, 0, NULL, 0},
	};
	uint64_t first = 1, seeds = 1000, one = 0, failures_max = 3;
	uint32_t jobs = 1;
	const char *list = NULL;
	bool verbose = false;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0)
		switch (option) {
		case 'n': seeds = strtoull(optarg, NULL, 0); break;
		case 'f': first = strtoull(optarg, NULL, 0); break;
		case 'j': jobs = (uint32_t)strtoul(optarg, NULL, 0); break;
		case 's': one = strtoull(optarg, NULL, 0); break;
		case 'm': failures_max = strtoull(optarg, NULL, 0); break;
		case 'l': list = optarg; break;
		case 'v': verbose = true; break;
		case 't': trace = true; break;
		default: return 2;
		}
	totals = mmap(NULL, sizeof(*totals), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (totals == MAP_FAILED)
		return 3;
	if (list)
		return run_list(list);
	if (one)
		return !run_one(one, verbose);
	return run_many(first, seeds, jobs ? jobs : 1, failures_max);
}
