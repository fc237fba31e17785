/* SPDX-License-Identifier: MIT */
/*
 * wal.h - the durability benchmark: what the log costs beside fio, what it carries, how fast it is
 * read again.
 *
 * wal.c has the parts and their conditions, wal_rows.c makes their rows and ratios, wal_run.c runs
 * one engine, one floor, or a block of both (floor, engine, engine, floor), wal_client.c is the
 * process that sends commands and reads reports, wal_start.c the starts with a long log,
 * wal_modes.c the ways to write.
 */
#ifndef SLUICE_BENCH_WAL_H
#define SLUICE_BENCH_WAL_H

#include "bench/commands.h"
#include "bench/instance.h"

#define BENCH_SPLIT_BYTES 512
#define BENCH_BLOCK_SIZES 64u /* multiples of 4 KiB */

enum bench_load_mode {
	BENCH_LOAD_ONE,	 /* one command in flight, at a rate; from the publish */
	BENCH_LOAD_OPEN, /* at a rate, whatever is in flight; from the intended time */
	BENCH_LOAD_FULL, /* as many as the rings take */
	BENCH_LOAD_PUT	 /* all of them once, nothing is measured */
};

/* What the client's process is told, and what it found. In memory shared with the parent. */
struct bench_load {
	struct bench_samples samples; /* ns, as the mode says, to the report in hand */
	struct sluice_histogram_snapshot commit;
	char name[40];
	int engine; /* process */
	enum bench_load_mode mode;
	bool sleeps;
	uint64_t rate, run_ns;
	uint64_t rest; /* orders that are put into the book first, so that a snapshot is long */
	const struct sluice_command *commands; /* the parent's, inherited */
	uint64_t count;

	uint64_t done;	    /* commands whose first report came within the measured time */
	uint64_t window_ns; /* that time */
	uint64_t first_seq; /* first command of it */
	uint64_t engine_ns, engine_user_ns, client_ns; /* CPU time in it, all threads */
	uint64_t logged, blocks, bytes;		       /* the engine's counters */
	uint64_t snapshots;			       /* named meanwhile */
};

/* A side for bench_pair_run; arg is a struct bench_load. */
int bench_load_run(struct bench_pair *pair, uint32_t side, void *arg);

/* How the engine is started, and what the client does. */
struct bench_wal_case {
	const char *label;
	const char *every; /* --snapshot-every; NULL: no follower */
	const char *rate;  /* --snapshot-rate */
	const char *backend, *sync;
	bool sleeps;
	enum bench_load_mode mode;
	uint64_t commands_rate;
	uint64_t rest; /* orders in the book */
};

struct bench_wal_pairs { /* of one case, run by run */
	uint32_t runs;
	uint32_t kept, discarded; /* after bench_wal_paired: the floor had moved */
	bool unsteady;		  /* in every pair: all were kept */
	bool moved[BENCH_PAIRS_MAX];
	double p50[BENCH_PAIRS_MAX], p99[BENCH_PAIRS_MAX];
	double commit_p50[BENCH_PAIRS_MAX], commit_p99[BENCH_PAIRS_MAX];
	double floor_p50[BENCH_PAIRS_MAX], floor_p99[BENCH_PAIRS_MAX];
	double per_s[BENCH_PAIRS_MAX], commits_per_s[BENCH_PAIRS_MAX];
	double per_commit[BENCH_PAIRS_MAX], bytes_per_command[BENCH_PAIRS_MAX];
	double cpu_per_commit[BENCH_PAIRS_MAX];		     /* ns, of the engine's process */
	double busy[BENCH_PAIRS_MAX], user[BENCH_PAIRS_MAX]; /* of the engine's CPU, 0 to 1 */
	double client_busy[BENCH_PAIRS_MAX];
	uint64_t samples, snapshots;
	char split[BENCH_SPLIT_BYTES]; /* of the first run's blocks, for fio; "": 4 KiB */
};

#define BENCH_WAL_CONDITIONS 5u

struct bench_wal_state {
	struct bench_plan plan;
	struct bench_commands flow;
	struct bench_load *load;
	char dir[4096];
	char raw_path[4096 + 16];
	bool fio;
	double full[BENCH_WAL_CONDITIONS]; /* commands per second; 0: not known yet */
	double core_ns;			   /* per command, the core alone */
};

/*
 * wal_run.c. instance: one for the state's directory. client: the state's load against it. engine:
 * a whole run with a fresh log, added to the pairs. paired: runs of it and of the floor as A B B A;
 * what is left in the pairs are those that count.
 */
void bench_wal_instance(const struct bench_wal_state *state, struct bench_instance *ret_instance);
int bench_wal_client(struct bench_wal_state *state, const struct bench_instance *instance,
		     struct bench_scenario *scenario, struct sluice_diag *diag);
int bench_wal_engine(struct bench_wal_state *state, const struct bench_wal_case *wanted,
		     struct bench_wal_pairs *pairs, struct bench_scenario *scenario,
		     struct sluice_diag *diag);
int bench_wal_paired(struct bench_wal_state *state, const struct bench_wal_case *wanted,
		     struct bench_wal_pairs *pairs, struct bench_scenario *scenario,
		     struct sluice_diag *diag);

/* wal_blocks.c: sizes of the blocks with commands from first_seq on, as fio's bssplit. */
int bench_wal_split(const char *dir, uint64_t first_seq, char ret_split[BENCH_SPLIT_BYTES]);

/* wal_rows.c: rows of one case. */
void bench_wal_latency_rows(struct bench_scenario *scenario, const char *label,
			    const struct bench_wal_pairs *pairs, bool fio);
void bench_wal_rate_row(struct bench_scenario *scenario, const char *label,
			const struct bench_wal_pairs *pairs);
void bench_wal_time_rows(struct bench_scenario *scenario, const char *label,
			 const struct bench_wal_pairs *pairs, double core_ns);

/* wal_start.c, wal_modes.c: parts of their own. */
int bench_wal_start(struct bench_wal_state *state, struct bench_scenario *scenario,
		    struct sluice_diag *diag);
int bench_wal_modes(struct bench_wal_state *state, struct bench_scenario *scenario,
		    struct sluice_diag *diag);

#endif
