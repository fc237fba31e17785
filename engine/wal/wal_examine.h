/* SPDX-License-Identifier: MIT */
/*
 * wal_examine.h - what looks at a log as a start of the engine would, without being one: the same
 * choice of a superblock, the same recovery. For files of this directory; one thread, blocking.
 */
#ifndef SLUICE_ENGINE_WAL_WAL_EXAMINE_H
#define SLUICE_ENGINE_WAL_WAL_EXAMINE_H

#include "engine/wal/truncate.h"
#include "engine/wal/wal_internal.h"

/*
 * Opens the files behind `io` (owned from here on, also on failure) and chooses the superblock; in
 * SLUICE_WAL_IO_WRITE it takes both locks, waiting shortly, and syncs everything first. Then
 * sluice_wal_recover may be called; nothing else that takes a log.
 */
int sluice_wal_examine(struct sluice_wal **ret_wal, struct sluice_wal_io *io,
		       enum sluice_wal_io_mode mode, struct sluice_diag *diag);

/* Reads the superblock again: the directory may be live. */
int sluice_wal_examine_again(struct sluice_wal *wal, struct sluice_diag *diag);

void sluice_wal_examine_end(struct sluice_wal *wal);

struct sluice_wal_stray { /* a place to look from, then where the block was found */
	uint64_t segment_no;
	uint64_t offset;
	uint64_t bytes; /* of the block found, 0: none yet */
};

/*
 * The next intact block of this log behind `at`, whatever it is. 1 and the block (in the scan's
 * window: valid until the next call), 0 at the end of the live range, -errno.
 */
int sluice_wal_next_stray(struct sluice_wal_scan *scan, struct sluice_wal_stray *at,
			  const struct sluice_wal_block_header **ret_header);

/* Of a segment's use before the log's start: it says nothing. */
bool sluice_wal_is_earlier_use(const struct sluice_wal_super *super,
			       const struct sluice_wal_block_header *header,
			       const struct sluice_wal_stray *at);

/* sluice_wal_truncate and _undo over any disk; io is theirs, also on failure. */
int sluice_wal_truncate_io(struct sluice_wal_io *io, const char *backup,
			   struct sluice_wal_loss *ret_loss, struct sluice_diag *diag);
int sluice_wal_truncate_undo_io(struct sluice_wal_io *io, const char *backup,
				struct sluice_diag *diag);

#endif
