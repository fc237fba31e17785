/* SPDX-License-Identifier: MIT */
/*
 * bench.h - what a benchmark run is made of: scenarios, each with rows of named values, ratios of
 * arms that ran interleaved, and the proof that the processes stayed where they were pinned.
 *
 * A run is written as JSON (result.c), read back (load.c) and shown as one Markdown table
 * (table.c), so that a figure in a document and the file it comes from cannot differ.
 *
 * Main process, one thread. All memory is in the struct. A run that is killed leaves what
 * `sluice gc` removes; one that is interrupted leaves nothing.
 */
#ifndef SLUICE_BENCH_BENCH_H
#define SLUICE_BENCH_BENCH_H

#include <stdio.h>

#include "shm/diag.h"

#define BENCH_PROGRAM "sluice-bench"
#define BENCH_SCHEMA "sluice-bench-1"

#define BENCH_SCENARIOS_MAX 12
#define BENCH_ROWS_MAX 480
#define BENCH_VALUES_MAX 12
#define BENCH_RATIOS_MAX 120
#define BENCH_PROCESSES_MAX 16
#define BENCH_CPUS_MAX 8
#define BENCH_NOTES_MAX 32
#define BENCH_FACTS_MAX 32
#define BENCH_PAIRS_MAX 64
#define BENCH_TEXT_BYTES 160

/* "p50_ns" 412 */
struct bench_value {
	char key[32];
	double value;
};

struct bench_row { /* one arm, or one part of a breakdown */
	char label[80];
	uint32_t value_count;
	struct bench_value values[BENCH_VALUES_MAX];
};

/* Of two arms that ran one after the other, per pair. */
struct bench_ratio {
	char label[80];
	double median;
	double min;
	double max;
	double aim; /* 0: none; at most this is reached, or at least */
	uint32_t pairs;
	bool at_least;
};

/* What the kernel said of one process of the pairs, summed over the runs. */
struct bench_process {
	char role[16];
	int32_t cpu; /* pinned to */
	uint32_t runs;
	uint32_t elsewhere; /* runs that began or ended on another CPU */
	int64_t migrations; /* during the measured part; -1: the kernel does not say */
	uint64_t voluntary;
	uint64_t involuntary;
	uint64_t minor_faults;
	uint64_t major_faults;
};

struct bench_scenario {
	char name[24];
	char title[BENCH_TEXT_BYTES];
	char reason[BENCH_TEXT_BYTES]; /* why it was not measured; "" if it was */
	char aim_text[80];	       /* of an aim that is no ratio, e.g. "120 ns" */
	double aim_value;	       /* 0: none */
	double aim_got;
	uint32_t row_count, ratio_count, process_count, note_count;
	struct bench_row rows[BENCH_ROWS_MAX];
	struct bench_ratio ratios[BENCH_RATIOS_MAX];
	struct bench_process processes[BENCH_PROCESSES_MAX];
	char notes[BENCH_NOTES_MAX][BENCH_TEXT_BYTES];
};

struct bench_fact { /* of the environment */
	char key[32];
	char value[BENCH_TEXT_BYTES];
};

struct bench_result {
	char command[BENCH_TEXT_BYTES];
	uint64_t started_realtime_ns;
	uint64_t elapsed_ns;
	double clock_cost_ns;
	double clock_floor_ns; /* least difference of two readings: nothing below it is a number */
	uint32_t fact_count;
	struct bench_fact facts[BENCH_FACTS_MAX];
	uint32_t scenario_count;
	struct bench_scenario scenarios[BENCH_SCENARIOS_MAX];
};

/* Which of the many runs of the topologies are made: 0 is every one of the usual selection. */
struct bench_ring_filter {
	uint32_t bytes, slots, batch;
	uint32_t where;	   /* 1 processes, 2 threads */
	uint32_t reader;   /* 1 + enum bench_reader */
	bool all;	   /* not only the usual selection */
	bool alone;	   /* without other libraries and the bare ring */
	const char *spoil; /* the arm that gets a wrong event, so that its check must fail */
};

/* How a scenario shall be run. */
struct bench_plan {
	uint64_t run_ns;  /* of one run of one arm */
	uint32_t pairs;	  /* interleaved runs */
	uint64_t rate;	  /* commands per second of the open loop */
	uint32_t cpus[2]; /* of the two processes; [0] takes the disk's interrupts if any does */
	bool two_cpus;
	uint32_t cpu_list[BENCH_CPUS_MAX], cpu_count; /* usable ones, those two first */
	struct bench_ring_filter ring;
	uint32_t wait;	   /* enum sluice_wait_strategy of the open loop's parties */
	const char *dir;   /* for the log: a directory on a real filesystem */
	const char *data;  /* directory of the order flow */
	uint64_t commands; /* of the generator's flow */
	bool all;	   /* wal: the long form */
};

/* scenario.c: filling in. Too many of anything is a broken invariant. */
struct bench_row *bench_row(struct bench_scenario *scenario, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void bench_set(struct bench_row *row, const char *key, double value);
/* KEY, KEY_min and KEY_max: median, least and greatest of n values, n > 0. */
void bench_set_range(struct bench_row *row, const char *key, const double *values, uint32_t n);
/* The value of a key, or -1. */
double bench_get(const struct bench_row *row, const char *key);
void bench_note(struct bench_scenario *scenario, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void bench_not_measured(struct bench_scenario *scenario, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Median, least and greatest of over[i] / under[i]. */
void bench_ratio(struct bench_scenario *scenario, const char *label, const double *over,
		 const double *under, uint32_t pairs, double aim);
/* The same where more is better. */
void bench_ratio_at_least(struct bench_scenario *scenario, const char *label, const double *over,
			  const double *under, uint32_t pairs, double aim);
double bench_median(const double *values, uint32_t n);
void bench_fact(struct bench_result *result, const char *key, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* environment.c: what the machine is, at the start and at the end of a run. */
void bench_environment(struct bench_result *result, const struct bench_plan *plan);
void bench_environment_end(struct bench_result *result, const struct bench_plan *plan);

/* result.c, load.c: -EIO; -EBADMSG: no such file of ours; -ENOTSUP: built without jansson. */
int bench_write_json(const struct bench_result *result, FILE *out);
int bench_load_json(struct bench_result *ret_result, const char *path, struct sluice_diag *diag);

/* table.c: the Markdown table, then where the rest goes, at most 100 columns. */
void bench_write_table(const struct bench_result *result, FILE *out);
/* Latencies, ratios and one line that says where: for a first page. */
void bench_write_brief(const struct bench_result *result, FILE *out);

/*
 * The scenarios: 0 (measured, or the reason why not is set), -EINTR after a signal, or -errno with
 * the text. Each starts its own processes and leaves none.
 */
int bench_round_trip(const struct bench_plan *plan, struct bench_scenario *scenario,
		     struct sluice_diag *diag);
int bench_one_way(const struct bench_plan *plan, struct bench_scenario *scenario,
		  struct sluice_diag *diag);
int bench_report(const struct bench_plan *plan, struct bench_scenario *scenario,
		 struct sluice_diag *diag);
int bench_matching(const struct bench_plan *plan, struct bench_scenario *scenario,
		   struct sluice_diag *diag);
int bench_wake_up(const struct bench_plan *plan, struct bench_scenario *scenario,
		  struct sluice_diag *diag);
/* The core alone: nanoseconds per command of plan.commands of the generated flow. */
int bench_matching_rate(const struct bench_plan *plan, double *ret_ns, struct sluice_diag *diag);
/* The log: part 0 to BENCH_WAL_PARTS - 1. Their state lasts from begin to end. */
#define BENCH_WAL_PARTS 5u
const char *bench_wal_name(uint32_t part);
const char *bench_wal_title(uint32_t part);
int bench_wal_begin(const struct bench_plan *plan, struct sluice_diag *diag);
int bench_wal(uint32_t part, struct bench_scenario *scenario, struct sluice_diag *diag);
void bench_wal_end(void);
/* Throughput of one topology (enum bench_topology), beside peers and a bare ring. */
int bench_ring(const struct bench_plan *plan, uint32_t topology, struct bench_scenario *scenario,
	       struct sluice_diag *diag);

#endif
