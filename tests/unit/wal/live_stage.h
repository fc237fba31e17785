/* SPDX-License-Identifier: MIT */
/*
 * live_stage.h - a log on a disk in memory that changes while it is read: a hook is called before
 * every read and may change the disk's bytes. And superblocks that say anything, with the right
 * checksum. For the tests of those who look. Asserts; only for test programs.
 */
#ifndef SLUICE_TESTS_UNIT_WAL_LIVE_STAGE_H
#define SLUICE_TESTS_UNIT_WAL_LIVE_STAGE_H

#include "tests/unit/wal/damage_stage.h"

#include "tests/lib/wal_repair.h"

static struct damage_stage stage;
static struct sluice_diag diag;
static uint64_t supers_read;
static void (*before_read)(uint32_t file, uint64_t offset);

static inline int clean_up(void **state)
{
	(void)state;
	damage_release(&stage);
	return 0;
}

static inline int live_read(struct sluice_wal_io *io, uint32_t file, uint64_t offset, void *data,
			    size_t bytes)
{
	struct sluice_wal_io *still = mem_disk_io(&stage.disk);
	int ret;

	(void)io;
	supers_read += file == SLUICE_WAL_FILE_SUPER;
	if (before_read)
		before_read(file, offset);
	ret = still->ops->read(still, file, offset, data, bytes);
	still->ops->close(still);
	return ret;
}

static inline struct sluice_wal_io *live_io(void (*hook)(uint32_t file, uint64_t offset))
{
	static struct sluice_wal_io_ops ops;
	struct sluice_wal_io *io = mem_disk_io(&stage.disk);

	ops = *io->ops;
	ops.read = live_read;
	io->ops = &ops;
	before_read = hook;
	supers_read = 0;
	diag = (struct sluice_diag){.text = ""};
	return io;
}

static inline struct sluice_wal_super *live_copy(uint64_t sequence)
{
	void *copy = stage.disk.files[SLUICE_WAL_FILE_SUPER] +
		     sequence % SLUICE_WAL_SUPER_COPIES * SLUICE_WAL_ALIGN;

	return copy;
}

/* The newest superblock, from now on the only copy: to be changed, then sealed. */
static inline struct sluice_wal_super *live_only_super(void)
{
	struct sluice_wal_super *newest = live_copy(0);

	for (uint64_t i = 1; i < SLUICE_WAL_SUPER_COPIES; i++)
		if (live_copy(i)->sequence > newest->sequence)
			newest = live_copy(i);
	for (uint64_t i = 0; i < SLUICE_WAL_SUPER_COPIES; i++)
		if (live_copy(i) != newest)
			memset(live_copy(i), 0, SLUICE_WAL_ALIGN);
	return newest;
}

static inline void live_seal(struct sluice_wal_super *super)
{
	wal_repair_super((unsigned char *)super);
}

/* The only superblock gives way to its successor, which is sealed. */
static inline void live_next_super(void)
{
	struct sluice_wal_super *now = live_only_super(), next = *now;

	memset(now, 0, SLUICE_WAL_ALIGN);
	next.sequence++;
	memcpy(live_copy(next.sequence), &next, sizeof(next));
	live_seal(live_copy(next.sequence));
}

#endif
