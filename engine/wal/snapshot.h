/* SPDX-License-Identifier: MIT */
/*
 * snapshot.h - a snapshot file: written in portions, checked, and made a core again.
 *
 * A snapshot is good for nothing until it is whole, synced and named by the superblock; its file
 * may therefore be written at leisure over the one before the last, and a crash in the middle costs
 * only that older one. Whoever writes holds the lock of SLUICE_WAL_IO_SNAPSHOTS: the follower, or
 * the engine at a clean end. One thread per object.
 */
#ifndef SLUICE_ENGINE_WAL_SNAPSHOT_H
#define SLUICE_ENGINE_WAL_SNAPSHOT_H

#include "engine/core/image.h"
#include "engine/wal/wal_io.h"

struct sluice_snapshot_writer { /* fields are private */
	struct sluice_wal_io *io;
	struct sluice_image_walk walk;
	struct sluice_snapshot_header header;
	unsigned char *chunk; /* one, aligned; also the header page */
	uint64_t chunks;      /* written */
	uint64_t cmd_seq;
	uint32_t file;
	bool ended; /* the walk is */
};

/*
 * Begins snapshot number `sequence` of the state in `core`, which is the log's at `place` and must
 * not change until the end. Allocates one chunk. -ENOMEM.
 */
int sluice_snapshot_begin(struct sluice_snapshot_writer *writer, struct sluice_wal_io *io,
			  const struct sluice_wal_super *super, uint64_t sequence,
			  const struct sluice_core *core, const struct sluice_wal_place *place);

/*
 * Writes up to `chunks` chunks. 1: there are more; 0: the snapshot is whole and durable, and
 * *ret_snapshot is what the superblock may say of it; -errno of the disk: it is of no use.
 */
int sluice_snapshot_step(struct sluice_snapshot_writer *writer, uint32_t chunks,
			 struct sluice_wal_snapshot *ret_snapshot);

/* Ends the writer, finished or not. */
void sluice_snapshot_end(struct sluice_snapshot_writer *writer);

/*
 * The header of the file that snapshot number `sequence` is in: intact, of this log, of these rules
 * and limits, and of that number. `page` is 4 KiB, aligned. -EBADMSG with what is wrong where.
 */
int sluice_snapshot_header_load(struct sluice_wal_io *io, const struct sluice_wal_super *super,
				uint64_t sequence, void *page,
				struct sluice_snapshot_header *ret_header,
				struct sluice_diag *diag);

/*
 * Every byte of a snapshot that the superblock names, against its checksums. `window` is
 * SLUICE_WAL_SCAN_BYTES, aligned. -EBADMSG names file, offset, what was expected and found.
 */
int sluice_snapshot_check(struct sluice_wal_io *io, const struct sluice_wal_super *super,
			  const struct sluice_wal_snapshot *snapshot, unsigned char *window,
			  struct sluice_diag *diag);

/*
 * The same, and builds the state in `core`, which is empty; compares both hashes. After an error
 * the core is of no use.
 */
int sluice_snapshot_restore(struct sluice_wal_io *io, const struct sluice_wal_super *super,
			    const struct sluice_wal_snapshot *snapshot, unsigned char *window,
			    struct sluice_core *core, struct sluice_diag *diag);

/* The newest snapshot that the superblock names, and the one before; NULL: there is none. */
const struct sluice_wal_snapshot *sluice_snapshot_newest(const struct sluice_wal_super *super);
const struct sluice_wal_snapshot *sluice_snapshot_older(const struct sluice_wal_super *super);

#endif
