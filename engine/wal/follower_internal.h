/* SPDX-License-Identifier: MIT */
/*
 * follower_internal.h - struct sluice_follower, for the three files of the follower: follower.c
 * executes, follower_look.c watches the log it waits for, follower_snapshot.c writes.
 */
#ifndef SLUICE_ENGINE_WAL_FOLLOWER_INTERNAL_H
#define SLUICE_ENGINE_WAL_FOLLOWER_INTERNAL_H

#include "engine/wal/follower.h"
#include "engine/wal/snapshot.h"
#include "engine/wal/wal_scan.h"

/*
 * A block witnesses all but the last WINDOW_MAX - 1 before it: with WINDOW_MAX read ones that
 * nobody witnesses, the next that is read is one more, and witnesses the first.
 */
#define FOLLOWER_SLOTS (SLUICE_WAL_WINDOW_MAX + 1u)
#define FOLLOWER_REPORTS 64u

struct sluice_follower {
	struct sluice_wal_io *io;
	struct sluice_follower_options options;
	struct sluice_wal_super super; /* as last read */
	struct sluice_wal_scan scan;   /* behind the last block read */
	struct sluice_wal_chain chain; /* behind the last block executed */
	uint64_t witnessed;	       /* blocks below are known to be durable */
	struct sluice_core *core;
	struct sluice_sink sink;
	struct sluice_report reports[FOLLOWER_REPORTS]; /* of the sink; nobody reads them */

	bool idle;	    /* the scan has ended; a look decides when it goes on */
	bool caught_up;	    /* and a look has found nothing behind its end */
	bool held;	    /* no new snapshot now */
	uint64_t ahead;	    /* the last segment that is known to be begun */
	uint64_t hoped;	    /* the block whose header had come when the scan was last let go on */
	uint64_t doubt_ns;  /* when to ask next whether the log goes on without us */
	uint64_t doubts_ns; /* and how long to wait after that */

	struct sluice_snapshot_writer writer;
	struct sluice_wal_place writing_place;
	struct sluice_wal_place last; /* of the newest snapshot, or the log's start */
	uint64_t whole;		      /* number of the newest whole snapshot */
	uint64_t whole_ns;	      /* when it became that */
	uint64_t once_ns; /* since when the newest is named by one copy only; 0: by two */
	uint64_t writing_sequence;
	uint64_t tokens; /* bytes that may be written now */
	uint64_t tokens_ns;
	uint64_t fill_ns; /* when to look at the fill next, while writing */
	bool writing;

	/* mappings, made by open */
	void *core_memory;
	size_t core_bytes;
	unsigned char *memory;
	unsigned char *slots;  /* FOLLOWER_SLOTS blocks; block k in slot k % FOLLOWER_SLOTS */
	unsigned char *window; /* of scans and of checks */
	unsigned char *page;   /* all superblock copies, or one page */
};

static inline const struct sluice_wal_block_header *
follower_queued(const struct sluice_follower *follower, uint64_t block_seq)
{
	const void *slot = follower->slots +
			   block_seq % FOLLOWER_SLOTS * SLUICE_WAL_BLOCK_BYTES_MAX;

	return slot;
}

/* follower_look.c ------------------------------------------------------------------------------ */

/*
 * Reads the superblock and takes what it says. -ESTALE: the log is another, or starts behind what
 * was executed.
 */
int follower_super(struct sluice_follower *follower, struct sluice_diag *diag);

/* The scan has ended: 1 if it can go on, 0 if not, or -errno as sluice_follower_step. */
int follower_look(struct sluice_follower *follower, struct sluice_diag *diag);

/* Finds out which later segments are begun. 0 or -errno. */
int follower_see_ahead(struct sluice_follower *follower, struct sluice_diag *diag);

/* Bytes from the log's start to where it is known to reach. */
uint64_t follower_live_bytes(const struct sluice_follower *follower);

/* follower_snapshot.c -------------------------------------------------------------------------- */

/* Enough log has gone by since the last snapshot. */
bool follower_due(const struct sluice_follower *follower);

/* 1: a snapshot is being written from now on; 0: none after all; or -errno. */
int follower_begin(struct sluice_follower *follower, struct sluice_diag *diag);

/* A chunk: 1 go on, 0: the rate forbids it for now, or -errno. */
int follower_write(struct sluice_follower *follower, struct sluice_diag *diag);

#endif
