/* SPDX-License-Identifier: MIT */
/*
 * disk_internal.h - images and transfers, for disk.c, which moves them, and disk_io.c, through
 * which processes reach them.
 */
#ifndef SLUICE_TESTS_SIM_DISK_INTERNAL_H
#define SLUICE_TESTS_SIM_DISK_INTERNAL_H

#include "tests/sim/disk.h"

#define SIM_FILE_BYTES_MAX (512u * 1024u)
#define SIM_PAGES_MAX (SIM_FILE_BYTES_MAX / SLUICE_WAL_ALIGN)
#define SIM_SECTORS_MAX (SIM_FILE_BYTES_MAX / SIM_SECTOR)
#define SIM_WRITES_MAX 64u
#define SIM_WRITE_BYTES_MAX (64u * 1024u)

struct sim_image {
	unsigned char *seen;	/* what reads get */
	unsigned char *media;	/* what a power cut leaves */
	uint64_t bytes;
	bool written[SIM_PAGES_MAX];
	bool dirty[SIM_SECTORS_MAX]; /* seen is newer than media */
};

enum sim_stage {
	SIM_STAGE_FREE = 0,
	SIM_STAGE_UNDER_WAY,
	SIM_STAGE_ARRIVED,
	SIM_STAGE_STABLE,
	SIM_STAGE_DONE
};

struct sim_transfer {
	enum sim_stage stage;
	enum sim_fault fault;
	bool is_block;	 /* submitted, and to be reaped */
	bool lasts;	 /* goes to stable media by itself */
	uint32_t pid;	 /* of who waits for it; 0: dead */
	uint32_t file, to_file;
	uint64_t offset, to_offset;
	uint32_t bytes;
	uint32_t landing; /* bytes that land */
	uint64_t tag;
	int64_t result;
	uint64_t arrive_ns, stable_ns, done_ns;
	const void *source;
	unsigned char *data; /* SIM_WRITE_BYTES_MAX of its own */
};

struct sim_io {
	struct sluice_wal_io io;
	uint32_t pid;
	enum sluice_wal_io_mode mode;
};

extern struct sim_image sim_images[SLUICE_WAL_FILES];
extern struct sim_transfer sim_transfers[SIM_WRITES_MAX];

/* A write that is on its way from here on; spoilt by a fault if one is armed. */
struct sim_transfer *sim_disk_begin(struct sim_io *io, uint32_t file, uint64_t offset,
				    const void *data, uint32_t bytes, bool is_block);

/* Nobody waits for what a process has under way any more. */
void sim_disk_orphan(uint32_t pid);

/* 0, or -EBUSY: somebody has it. */
int sim_disk_try_lock(enum sluice_wal_io_part part, uint32_t pid);
/* A process closes its files. As the kernel's, its locks last until its writes are done. */
void sim_disk_closed(uint32_t pid);
void sim_locks_reset(void);

/* 0, or -EIO: a fault. */
int sim_disk_readable(uint32_t file, uint64_t offset, uint64_t bytes);

/* Everything that was written to the file is on stable media. */
void sim_disk_flush(uint32_t file);

#endif
