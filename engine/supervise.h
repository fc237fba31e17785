/* SPDX-License-Identifier: MIT */
/*
 * supervise.h - the engine's follower: started, watched, restarted, stopped; and the snapshots that
 * a follower, this one or one started by hand, has written: named in the log's superblock.
 *
 * The counter snapshot_ready in NAME.rep is a mailbox. A follower stores the number of a whole
 * snapshot into it, when it is 0. The engine stores 0 when it has dealt with that snapshot: named
 * it durably, or refused it. Until then the follower touches no snapshot file, because the engine
 * may be naming what is in it; without a live engine it empties the mailbox itself, and so does an
 * engine that starts. The number proves nothing: sluice_wal_offer looks at the file.
 *
 * The engine's thread. Nothing here waits but engine_supervise_stop. A crash of the engine takes
 * its follower along (PR_SET_PDEATHSIG); a crash of the follower costs a snapshot half written.
 */
#ifndef SLUICE_ENGINE_SUPERVISE_H
#define SLUICE_ENGINE_SUPERVISE_H

#include <sys/types.h>

#include "shm/counter.h"

struct engine;

#define ENGINE_CPUS_BYTES 512

struct engine_supervisor {
	pid_t pid;	     /* of the follower, 0: none runs */
	bool given_up;	     /* it found damage: another one would, too */
	bool spawned;	     /* there was one in this life */
	uint64_t started_ns; /* the newest one */
	uint64_t backoff_ns; /* before the next one */
	uint64_t offered;    /* snapshot whose superblock is being written, 0: none */
	uint64_t named;	     /* newest that was said */
	uint64_t said_ns;    /* when a refusal was said last, 0: never */
	bool full_said;
	char cpus[ENGINE_CPUS_BYTES]; /* where it may run: as we did before we were pinned */

	/* ready and follower_cmd_seq are written by the follower as well */
	struct sluice_counter *ready, *follower_cmd_seq, *snapshots, *live_bytes, *log_bytes,
		*log_full, *follower_alarm;
};

/* Before the engine is pinned: where its follower may run. */
void engine_supervise_cpus(struct engine *engine);

/* The counters, and an empty mailbox. False: the table is full. Before anything is published. */
bool engine_supervise_open(struct engine *engine);

/* One look at follower and mailbox. 0, or the error that halts the log. */
int engine_supervise(struct engine *engine, uint64_t now_ns);

/* The log's figures, for tools. */
void engine_supervise_notes(struct engine *engine);

/* Waits up to some seconds for the follower's end, which is asked for and then enforced. */
void engine_supervise_stop(struct engine *engine);

#endif
