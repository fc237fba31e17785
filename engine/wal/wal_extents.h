/* SPDX-License-Identifier: MIT */
/*
 * wal_extents.h - is every byte of a log's files written space? Asked once, when the files are
 * locked for writing, and when they are made.
 */
#ifndef SLUICE_ENGINE_WAL_WAL_EXTENTS_H
#define SLUICE_ENGINE_WAL_WAL_EXTENTS_H

#include "engine/wal/wal_files.h"

struct sluice_wal_extents_found {
	uint64_t unwritten_bytes; /* holes, and space that is allocated but was never written */
	uint64_t shared_bytes;	  /* with another file: the first write of each goes elsewhere */
};

/*
 * Looks at the first `bytes` of a file. -EOPNOTSUPP: the filesystem does not tell. Blocks until the
 * file's cached bytes are on the disk.
 */
int sluice_wal_extents_look(int fd, uint64_t bytes, struct sluice_wal_extents_found *ret_found);

/*
 * Writes what was never written, with the bytes that it reads (zeros), in pieces of 1 MiB, and
 * syncs. The caller is the file's only writer. *ret_left: what even then the filesystem calls
 * unwritten.
 */
int sluice_wal_extents_mend(int fd, uint64_t bytes, uint64_t *ret_left);

/*
 * Looks at the files of a part (the probe is of the log's) and mends them, or with io.extents =
 * REFUSE says -EBADMSG. What was done is in io.mended; that the filesystem does not tell is in
 * io.text.
 */
int sluice_wal_extents_check(struct sluice_wal_files *files, enum sluice_wal_io_part part,
			     struct sluice_diag *diag);

#endif
