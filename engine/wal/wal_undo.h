/* SPDX-License-Identifier: MIT */
/*
 * wal_undo.h - the file that keeps what a cut of a log overwrites: entries of a head and the bytes
 * that were there. docs/wal-format.md describes it. One thread, blocking.
 */
#ifndef SLUICE_ENGINE_WAL_WAL_UNDO_H
#define SLUICE_ENGINE_WAL_WAL_UNDO_H

#include "engine/wal/wal_io.h"

#define SLUICE_WAL_UNDO_MAGIC 0x4f444e55434c5357ull /* "WSLCUNDO" */
#define SLUICE_WAL_UNDO_VERSION 1u

struct sluice_wal_undo_head {
	uint64_t magic;
	uint32_t version;
	uint32_t file; /* as in wal_io.h: a segment's or the superblock's */
	uint8_t log_uuid[16];
	uint64_t offset; /* in the file; in the last entry: number of the superblock written */
	uint64_t index;	      /* of the entry */
	uint32_t bytes;	      /* of the data behind the head; 0: the last entry */
	uint32_t data_crc;    /* of what was there */
	uint32_t written_crc; /* of what was written over it; a superblock's own */
	uint32_t head_crc;    /* of all bytes before it */
};
SLUICE_ASSERT_OFFSET(sluice_wal_undo_head, version, 8);
SLUICE_ASSERT_OFFSET(sluice_wal_undo_head, file, 12);
SLUICE_ASSERT_OFFSET(sluice_wal_undo_head, log_uuid, 16);
SLUICE_ASSERT_OFFSET(sluice_wal_undo_head, offset, 32);
SLUICE_ASSERT_OFFSET(sluice_wal_undo_head, index, 40);
SLUICE_ASSERT_OFFSET(sluice_wal_undo_head, bytes, 48);
SLUICE_ASSERT_OFFSET(sluice_wal_undo_head, data_crc, 52);
SLUICE_ASSERT_OFFSET(sluice_wal_undo_head, written_crc, 56);
SLUICE_ASSERT_OFFSET(sluice_wal_undo_head, head_crc, 60);
SLUICE_ASSERT_SIZE(sluice_wal_undo_head, 64);

struct sluice_wal_undo { /* fields are private */
	int fd;
	uint64_t index; /* of the next entry */
	uint64_t at;	/* its offset */
	uint8_t log_uuid[16];
	char path[1024];
};

/* A new file. -EEXIST: there is one, untouched. */
int sluice_wal_undo_create(struct sluice_wal_undo *undo, const char *path,
			   const uint8_t log_uuid[16], struct sluice_diag *diag);
int sluice_wal_undo_add(struct sluice_wal_undo *undo, uint32_t file, uint64_t offset,
			const void *data, uint32_t bytes, uint32_t written_crc,
			struct sluice_diag *diag);
/* The last entry; then the file and its name are synced. */
int sluice_wal_undo_finish(struct sluice_wal_undo *undo, uint64_t super_sequence,
			   struct sluice_diag *diag);

/* -ESTALE: of another log. */
int sluice_wal_undo_open(struct sluice_wal_undo *undo, const char *path,
			 const uint8_t log_uuid[16], struct sluice_diag *diag);
void sluice_wal_undo_rewind(struct sluice_wal_undo *undo);
/*
 * The next entry, checked; its data into `data`, which has room for a block. 1, 0 at the last one
 * (its head is given), -EBADMSG: the file is damaged or was never finished.
 */
int sluice_wal_undo_next(struct sluice_wal_undo *undo, struct sluice_wal_undo_head *ret_head,
			 void *data, struct sluice_diag *diag);

void sluice_wal_undo_close(struct sluice_wal_undo *undo);

#endif
