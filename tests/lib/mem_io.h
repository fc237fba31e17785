/* SPDX-License-Identifier: MIT */
/*
 * mem_io.h - a log's disk in memory that knows what a loss of power would leave: what is durable,
 * and which writes are on their way. Tests try every mixture of their sectors.
 *
 * A write is on its way from its submission until it is reaped; a synchronous one during a call of
 * the point only; one into a snapshot's file until the next sync. Any number of objects of struct
 * sluice_wal_io may be opened over one disk, one after the other. One thread.
 */
#ifndef SLUICE_TESTS_LIB_MEM_IO_H
#define SLUICE_TESTS_LIB_MEM_IO_H

#include "engine/wal/wal_io.h"

#define MEM_SECTOR 512u
#define MEM_WRITES_MAX 32u

struct mem_write { /* on its way */
	uint64_t tag;
	uint64_t offset;
	uint32_t file;
	uint32_t bytes;
	bool submitted;	     /* and completes in a reap */
	unsigned char *data; /* a copy */
};

struct mem_undo {
	uint64_t offset;
	uint32_t file;
	unsigned char old[MEM_SECTOR];
};

struct mem_disk {
	unsigned char *files[SLUICE_WAL_FILES];
	uint64_t bytes[SLUICE_WAL_FILES];
	struct mem_write writes[MEM_WRITES_MAX];
	uint32_t n_writes;
	uint64_t random; /* which write completes next */
	uint64_t now_ns;
	/* called whenever what a loss of power could leave has become another */
	void (*point)(struct mem_disk *disk, void *arg);
	void *point_arg;
	struct mem_undo *undo; /* of sectors changed since the first mark */
	size_t n_undo, undo_room;
	uint32_t marks;
};

/* With the content of a log's directory. Aborts the test program on failure. */
void mem_disk_load(struct mem_disk *disk, const char *dir);
void mem_disk_release(struct mem_disk *disk);

/* The io is the log's, as usual. */
struct sluice_wal_io *mem_disk_io(struct mem_disk *disk);

/* Everything that is on its way is gone. */
void mem_disk_lose(struct mem_disk *disk);

/* From `mark` on, every change of the durable bytes can be taken back. Nests. */
size_t mem_disk_mark(struct mem_disk *disk);
void mem_disk_rollback(struct mem_disk *disk, size_t mark);

/* Makes bytes durable: at most one sector, inside one. */
void mem_disk_put(struct mem_disk *disk, uint32_t file, uint64_t offset, const void *data,
		  uint32_t bytes);

#endif
