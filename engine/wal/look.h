/* SPDX-License-Identifier: MIT */
/*
 * look.h - a log directory as a start of the engine would find it, without starting: every copy of
 * the superblock, the snapshots, the end, what lies behind it, and recovery's own verdict. Takes no
 * lock and writes no byte, also while an engine writes. Any thread, blocking.
 */
#ifndef SLUICE_ENGINE_WAL_LOOK_H
#define SLUICE_ENGINE_WAL_LOOK_H

#include "engine/wal/reader.h"

struct sluice_wal_look_copy {
	struct sluice_wal_super super; /* the bytes; mean something if valid */
	struct sluice_wal_fault fault; /* why not */
	bool valid;
	bool chosen;
};

struct sluice_wal_look_snapshot {
	struct sluice_wal_snapshot named; /* sequence 0: there is none */
	bool whole;
	char text[512]; /* why not */
};

struct sluice_wal_behind { /* intact blocks of this log behind its end */
	uint64_t earlier_uses;	/* of their segments, before the log's start */
	uint64_t older_epochs;	/* remains of tails that were cut */
	uint64_t newer;		/* of the last block's epoch or a later one */
	uint64_t newer_first_seq; /* the lowest and the highest number of those */
	uint64_t newer_last_seq;
};

struct sluice_wal_look {
	struct sluice_wal_look_copy copies[SLUICE_WAL_SUPER_COPIES];
	int refusal; /* 0: an engine would start; or -errno, with its words in text */
	char text[1024];
	char hint[1024];
	/* the rest means nothing unless */
	bool has_super;
	struct sluice_wal_super super;
	struct sluice_wal_look_snapshot snapshots[SLUICE_WAL_SNAPSHOTS]; /* newest first */
	/* and nothing unless */
	bool has_end;
	struct sluice_wal_place base; /* where replay would begin */
	uint64_t base_snapshot;	      /* number of its snapshot, 0: block 0 */
	struct sluice_wal_report report;
	struct sluice_wal_behind behind;
	uint64_t next_cmd_seq;
	uint64_t live_bytes; /* from the start to the end */
	uint32_t epoch;	     /* of the last block */
	bool closed;
};

/* 0 also for a log that would be refused; -ENOENT no log, -EACCES ... */
int sluice_wal_look(const char *dir, struct sluice_wal_look *ret_look, struct sluice_diag *diag);

#endif
