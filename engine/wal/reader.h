/* SPDX-License-Identifier: MIT */
/*
 * reader.h - read-only access to a log directory for tools: dump, verify, stat. Works while an
 * engine writes; takes no lock, writes no byte. The verdict is recovery's own: same code.
 */
#ifndef SLUICE_ENGINE_WAL_READER_H
#define SLUICE_ENGINE_WAL_READER_H

#include "engine/wal/wal.h"

enum sluice_wal_verdict {
	SLUICE_WAL_INTACT = 0,	/* ends at a block boundary; nothing but old or zero bytes after */
	SLUICE_WAL_TORN = 1,	/* the last block is incomplete, nothing proves it acknowledged */
	SLUICE_WAL_DAMAGED = 2	/* a later block, the superblock or the bytes prove loss */
};

struct sluice_wal_report { /* where the valid prefix ends, and why */
	enum sluice_wal_verdict verdict;
	uint32_t segment_no;
	uint64_t block_seq; /* the first that is not valid */
	uint64_t offset;    /* in its segment file */
	uint64_t blocks;    /* valid */
	uint64_t commands;
	uint64_t witness_block_seq; /* DAMAGED: the block that proves it, else 0 */
	char file[32];		    /* "wal-03" */
	char text[512];		    /* one sentence: what was expected, what was found */
};

struct sluice_wal_reader;

/* -ENOENT no log, -EBADMSG no valid superblock, -EPROTO other version, -EACCES ... */
int sluice_wal_reader_open(struct sluice_wal_reader **ret_reader, const char *dir,
			   struct sluice_diag *diag);
const struct sluice_wal_super *sluice_wal_reader_super(const struct sluice_wal_reader *reader);

/*
 * Builds in `memory` (as for sluice_core_init, with the superblock's limits) the state at the log's
 * start, where next begins: empty, or the older snapshot's. If that is damaged or being written
 * over, the newest one's, and next begins there: sluice_core_stats has the numbers so far. Call it
 * before the first next. -EBADMSG: neither can be used.
 */
int sluice_wal_reader_restore(struct sluice_wal_reader *reader, void *memory,
			      struct sluice_core **ret_core, struct sluice_diag *diag);

/*
 * The next valid block: 1 and its parts (valid until the next call), 0 at the end of the valid
 * prefix (call again later to follow a live log), -errno. -ESTALE: the log's start has moved past
 * this reader; open another one.
 */
int sluice_wal_reader_next(struct sluice_wal_reader *reader,
			   const struct sluice_wal_block_header **ret_header,
			   const struct sluice_command **ret_commands, uint32_t *ret_segment_no,
			   uint64_t *ret_offset);

/*
 * After next returned 0: examines what follows and gives the verdict. -ESTALE as next; -EAGAIN: the
 * log changes faster than it can be read. Neither says anything about the log.
 */
int sluice_wal_reader_verdict(struct sluice_wal_reader *reader,
			      struct sluice_wal_report *ret_report);

void sluice_wal_reader_close(struct sluice_wal_reader *reader);

#endif
