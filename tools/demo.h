/* SPDX-License-Identifier: MIT */
/*
 * demo.h - `sluice demo`: the real engine, producer and consumer as processes of their own, watched
 * from outside and checked afterwards. One thread. Private to the demo's files.
 *
 * Invariant: whatever happens, the children are waited for and nothing is left of the instance.
 * Only a SIGKILL of the demo itself leaves rings and the directory; the children then end by
 * themselves and `sluice gc` finds the rest.
 */
#ifndef SLUICE_TOOLS_DEMO_H
#define SLUICE_TOOLS_DEMO_H

#include "tools/demo_child.h"
#include "tools/demo_dir.h"
#include "tools/demo_expect.h"
#include "tools/stat_sample.h"

#define SLUICE_DEMO_KILLS 5
#define SLUICE_DEMO_TICK_NS 250000000ull
#define SLUICE_DEMO_HISTORY 4 /* ticks: "the last second" */

enum sluice_demo_scenario { SLUICE_DEMO_CALM = 0, SLUICE_DEMO_CRASH = 1, SLUICE_DEMO_FILE = 2 };

struct sluice_demo_options {
	uint64_t seconds;
	uint64_t rate;
	uint64_t symbols;
	uint32_t scenario;
	const char *from;
	const char *expect;
	const char *expect_auction;
	bool keep;
	uint32_t durability; /* index into "batch|async|off" */
	uint64_t seed;
	uint32_t hugepages; /* index into "prefer|require|off" */
	const char *wait;
};

struct sluice_demo_found { /* what the consumer and the replay say at the end */
	uint64_t orders;
	uint64_t reports;
	uint64_t trades;
	uint64_t lost;
	uint64_t duplicated;
	bool has_replay;
	bool replay_agrees; /* with every block header */
	uint64_t replay_commands;
	uint64_t replay_reports;
	uint64_t replay_trades;
	uint64_t replay_hash;
	bool has_live_hash;
	uint64_t live_hash;
	uint64_t live_hash_seq;
	bool has_fills[2]; /* continuous, auction */
	struct sluice_demo_match fills[2];
};

struct sluice_demo {
	struct sluice_demo_options options;
	bool is_json;
	bool is_quiet;
	bool is_terminal;	 /* stderr */
	uint64_t orders_planned; /* 0: unknown */
	uint64_t log_bytes;
	char name[32];
	char text[8][32]; /* of numbers among the arguments */
	char reports_path[SLUICE_DEMO_PATH_BYTES];
	char log_path[SLUICE_DEMO_PATH_BYTES];
	struct sluice_demo_dir dir;
	struct sluice_demo_child engine, producer, consumer;
	struct sluice_tool_instance instance;
	bool attached;
	uint64_t started_ns;
	uint64_t ended_ns;
	uint64_t kill_ns[SLUICE_DEMO_KILLS]; /* when; ascending */
	uint32_t kills;
	struct sluice_tool_sample now;
	struct sluice_histogram_snapshot history[SLUICE_DEMO_HISTORY];
	uint64_t ticks;
	uint64_t progress;
	uint64_t progress_ns;
	uint64_t wal_bytes_before; /* at the last tick, for the rate */
	uint64_t orders_before;
	uint64_t tick_ns;
	struct sluice_demo_found found;
};

/* demo_run.c: sets the children up, runs them to their end. An exit code; 0: all ended well. */
void sluice_demo_prepare(struct sluice_demo *demo);
int sluice_demo_run(struct sluice_demo *demo);
void sluice_demo_clean(struct sluice_demo *demo);

/* demo_live.c: what is seen meanwhile, on stderr. */
void sluice_demo_notes(const struct sluice_demo *demo);
void sluice_demo_live(struct sluice_demo *demo);
void sluice_demo_live_end(const struct sluice_demo *demo);

/* demo_check.c: reads what the consumer said and replays the log. An exit code. */
int sluice_demo_check(struct sluice_demo *demo);

/* demo_summary.c: to stdout. `code` is the exit code so far; returns the final one. */
int sluice_demo_summary(const struct sluice_demo *demo, int code);

#endif
