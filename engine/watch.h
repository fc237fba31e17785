/* SPDX-License-Identifier: MIT */
/*
 * watch.h - is the log's disk answering, and as fast as it can; is the log still where the next
 * start will look for it? Raises a counter and says so; never decides anything: a write that hangs
 * has neither failed nor succeeded, and files that were removed live as long as this process.
 *
 * The engine's thread, at every commit and every round.
 */
#ifndef SLUICE_ENGINE_WATCH_H
#define SLUICE_ENGINE_WATCH_H

#include "shm/counter.h"

struct engine;

/* The log's superblock, by its name: whoever has the file open sees nothing of a move. */
struct engine_log_name {
	uint64_t device, inode; /* 0: unknown */
};
void engine_log_name_take(struct engine_log_name *name, const char *dir);
/* The name leads to another file than when it was taken, or to none. */
bool engine_log_name_gone(const struct engine_log_name *name, const char *dir);

struct engine_watch {
	uint64_t moved_ns; /* when something last became durable, or nothing was on its way */
	bool stalled;
	uint64_t second_ns;	  /* beginning of the second that is being looked at */
	uint64_t second_least_ns; /* its fastest commit */
	uint64_t second_commits;
	uint64_t warned_ns; /* 0: never */
	uint64_t looked_ns; /* for the log's files */
	struct engine_log_name name;
	bool gone;
	struct sluice_counter *stalled_counter, *slow_counter, *gone_counter;
};

bool engine_watch_open(struct engine *engine);

/* Of every commit. */
void engine_watch_commit(struct engine *engine, uint64_t latency_ns, uint64_t now_ns);

/* Of every round. */
void engine_watch(struct engine *engine, uint64_t now_ns);

#endif
