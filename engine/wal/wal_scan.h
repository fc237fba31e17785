/* SPDX-License-Identifier: MIT */
/*
 * wal_scan.h - walks a log's blocks over any disk, and judges what follows the last valid one.
 * Recovery, replay and the reader are this scan. Reads only. One thread.
 */
#ifndef SLUICE_ENGINE_WAL_WAL_SCAN_H
#define SLUICE_ENGINE_WAL_WAL_SCAN_H

#include "engine/wal/reader.h"
#include "engine/wal/wal_io.h"

#ifndef SLUICE_WAL_SCAN_BYTES /* the simulator's segments are small */
#ifndef SLUICE_WAL_SCAN_BYTES /* smaller where millions of logs are opened */
#define SLUICE_WAL_SCAN_BYTES (1024u * 1024u) /* of the window that the caller provides */
#endif
#endif

struct sluice_wal_scan {
	struct sluice_wal_io *io;
	struct sluice_wal_chain chain; /* of the next block */
	struct sluice_wal_fault fault; /* why the scan ended */
	const struct sluice_wal_super *super;
	unsigned char *window; /* SLUICE_WAL_SCAN_BYTES, aligned */
	uint64_t window_segment_no;
	uint64_t window_offset;
	uint64_t window_bytes; /* 0: holds nothing */
	uint64_t blocks;
	uint64_t cmd_seq_first; /* where the scan began */
};

/* From `place` on. super and window are the caller's and must outlive the scan. */
void sluice_wal_scan_init(struct sluice_wal_scan *scan, struct sluice_wal_io *io,
			  const struct sluice_wal_super *super,
			  const struct sluice_wal_place *place, unsigned char *window);

/*
 * 1 and the next valid block (in the window: valid until the next call), 0 at the first that is not
 * valid, -errno when the disk cannot be read.
 */
int sluice_wal_scan_next(struct sluice_wal_scan *scan,
			 const struct sluice_wal_block_header **ret_header);

/*
 * Is the chain's place that of the snapshots which the superblock names for its block? If not, the
 * valid prefix ends here, and it is not the one that the snapshot was taken of.
 */
bool sluice_wal_scan_agrees(const struct sluice_wal_scan *scan, struct sluice_wal_fault *ret_fault);

/* The superblock was read again: the live range may reach further now. */
void sluice_wal_scan_extend(struct sluice_wal_scan *scan);

/* Forgets what was read, so that the next call asks the disk. */
void sluice_wal_scan_refresh(struct sluice_wal_scan *scan);

/* After next returned 0. Moves nothing; 0, or -errno when the disk cannot be read. */
int sluice_wal_scan_judge(struct sluice_wal_scan *scan, struct sluice_wal_report *ret_report);

/* Reads error's text with the place, for -EIO and the like. */
int sluice_wal_scan_failed(const struct sluice_wal_scan *scan, int error, struct sluice_diag *diag);

/* `bytes` from a place, through the window. NULL and *ret_error on failure. */
const struct sluice_wal_block_header *sluice_wal_scan_load(struct sluice_wal_scan *scan,
							   uint64_t segment_no, uint64_t offset,
							   uint64_t bytes, int *ret_error);

#endif
