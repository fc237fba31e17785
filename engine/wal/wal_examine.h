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

struct sluice_wal_stray { /* a place to look from, then where the header was found */
	uint64_t segment_no;
	uint64_t offset;
	uint64_t bytes; /* of the block, of a page if it is not whole; 0: none yet */
	bool whole;	/* an intact block of this log, with all that it says */
};

/*
 * The next header behind `at` that the judge looks at: intact and of this log, or of another one in
 * the first place of a segment. 1 and the header, and the block if it is whole (in the scan's
 * window: valid until the next call), 0 at the end of the live range, -errno.
 */
int sluice_wal_next_stray(struct sluice_wal_scan *scan, struct sluice_wal_stray *at,
			  const struct sluice_wal_block_header **ret_header);

/* Of a segment's use before the log's start: it says nothing. */
bool sluice_wal_is_earlier_use(const struct sluice_wal_super *super,
			       const struct sluice_wal_block_header *header,
			       const struct sluice_wal_stray *at);

/*
 * sluice_wal_look over any disk, which is what `dir` shows: the superblock's copies are read there
 * once more, as they are. io is theirs, also on failure; here and below.
 */
struct sluice_wal_look;
int sluice_wal_look_io(struct sluice_wal_io *io, const char *dir, struct sluice_wal_look *ret_look,
		       struct sluice_diag *diag);

/* sluice_wal_truncate and _undo over any disk. */
int sluice_wal_truncate_io(struct sluice_wal_io *io, const char *backup,
			   struct sluice_wal_loss *ret_loss, struct sluice_diag *diag);
int sluice_wal_truncate_undo_io(struct sluice_wal_io *io, const char *backup,
				struct sluice_diag *diag);

#endif
