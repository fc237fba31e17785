/* SPDX-License-Identifier: MIT */
/*
 * damage_stage.h - damaged logs on a disk in memory, each with one kind of damage and the block
 * before which it must be found to end. For tests of what is made of them. The log is built with
 * blocks of 8 KiB and segments of 16 KiB (tests/unit/rules.mk): a block here is one page, and a
 * segment has four. Asserts; only for test programs.
 */
#ifndef SLUICE_TESTS_UNIT_WAL_DAMAGE_STAGE_H
#define SLUICE_TESTS_UNIT_WAL_DAMAGE_STAGE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/wal/wal_examine.h"
#include "shm/crc32c.h"
#include "tests/lib/mem_io.h"
#include "tests/lib/wal_life.h"

#define DAMAGE_RECORDS 20u
#define DAMAGE_BLOCKS_MAX 128u

enum damage {
	DAMAGE_PAYLOAD,	   /* of a block in a log's first round, which was ended cleanly */
	DAMAGE_GONE_ROUND, /* likewise in a later round, behind two snapshots */
	DAMAGE_OWN_PLACE,  /* another block of the epoch lies where block k was */
	DAMAGE_SNAPSHOT,   /* before the newest snapshot, which rots as well */
	DAMAGE_MENDABLE,   /* the last one that a shorter log mends */
	DAMAGE_LOST_SUPER = DAMAGE_MENDABLE, /* the log goes on under a superblock that is lost */
	DAMAGE_OLD_SEGMENTS,		     /* nothing is left of what the snapshot stands on */
	DAMAGE_KINDS,
	DAMAGE_NONE =
		DAMAGE_KINDS, /* a log that is whole from its newest snapshot on, not before */
};

struct damage_stage {
	struct mem_disk disk;
	uint64_t k;				       /* the log ends before this block */
	uint32_t original;			       /* digest */
	struct sluice_wal_place at[DAMAGE_BLOCKS_MAX]; /* of blocks, segment_no and offset only */
	char backup[64], backup_2[72];
};

static inline uint32_t damage_digest(const struct mem_disk *disk)
{
	uint32_t crc = 0;

	for (uint32_t file = 0; file < SLUICE_WAL_FILES; file++)
		crc = sluice_crc32c(crc, disk->files[file], disk->bytes[file]);
	return crc;
}

static inline unsigned char *damage_block(struct damage_stage *stage, uint64_t block_seq)
{
	const struct sluice_wal_place *at = &stage->at[block_seq];

	return stage->disk.files[at->segment_no % SLUICE_WAL_SEGMENTS] + at->offset;
}

static inline void damage_write(struct damage_stage *stage, struct wal_life *life, uint32_t blocks)
{
	for (uint32_t i = 0; i < blocks; i++) {
		const struct sluice_wal_chain *chain = &life->wal->chain;

		assert_true(chain->block_seq < DAMAGE_BLOCKS_MAX);
		stage->at[chain->block_seq].segment_no = chain->segment_no;
		stage->at[chain->block_seq].offset = chain->offset;
		assert_true(wal_life_block(life, DAMAGE_RECORDS) > 0);
		assert_int_equal(wal_life_settle(life), 0);
	}
	wal_life_take_reports(life);
}

static inline void damage_snapshot(struct damage_stage *stage, struct wal_life *life, uint64_t q)
{
	assert_int_equal(wal_life_save(life, life->wal->io, q), 0);
	damage_write(stage, life, 1);
	assert_int_equal(wal_life_name(life, q), 0);
}

/* Snapshots q and q + 1 eight segments apart, and seven more blocks: twelve segments in all. */
static inline void damage_round(struct damage_stage *stage, struct wal_life *life, uint64_t q)
{
	damage_write(stage, life, 7);
	damage_snapshot(stage, life, q);
	damage_write(stage, life, 31);
	damage_snapshot(stage, life, q + 1);
	damage_write(stage, life, 7);
}

static inline void damage_lose_super(struct damage_stage *stage, struct wal_life *life)
{
	const size_t bytes = stage->disk.bytes[SLUICE_WAL_FILE_SUPER];
	unsigned char *super = stage->disk.files[SLUICE_WAL_FILE_SUPER];
	const uint64_t end = life->wal->chain.segment_end;
	unsigned char *before = malloc(bytes);

	assert_non_null(before);
	memcpy(before, super, bytes);
	damage_snapshot(stage, life, sluice_wal_snapshot_named(life->wal) + 1);
	while (life->wal->chain.segment_no <= end)
		damage_write(stage, life, 1);
	memcpy(super, before, bytes);
	free(before);
	for (stage->k = 0; stage->at[stage->k].segment_no != end; stage->k++)
		;
}

/* What is done to the log that `life` has written; the last block is number `last`. */
static inline void damage_do(struct damage_stage *stage, enum damage damage, uint64_t last)
{
	const struct sluice_wal_snapshot *newest;
	struct sluice_wal_super super = {.magic = 0};

	for (uint32_t i = 0; i < SLUICE_WAL_SUPER_COPIES; i++) {
		const unsigned char *copy = stage->disk.files[SLUICE_WAL_FILE_SUPER] + i * 4096;

		if (((const struct sluice_wal_super *)(const void *)copy)->sequence >=
		    super.sequence)
			memcpy(&super, copy, sizeof(super));
	}
	newest = sluice_snapshot_newest(&super);
	stage->k = last - 4;
	if (damage == DAMAGE_OWN_PLACE) {
		memcpy(damage_block(stage, stage->k), damage_block(stage, stage->k + 1), 4096);
		return;
	}
	if (damage == DAMAGE_OLD_SEGMENTS) {
		stage->k = newest->place.block_seq;
		for (uint64_t seq = stage->k - 2; seq <= last; seq++)
			memset(damage_block(stage, seq), 0, 4096);
		return;
	}
	if (damage == DAMAGE_SNAPSHOT || damage == DAMAGE_NONE)
		stage->k = newest->place.block_seq - 3;
	if (damage == DAMAGE_SNAPSHOT)
		stage->disk.files[SLUICE_WAL_FILE_SNAPSHOT + newest->sequence % 2][5000] ^= 1;
	damage_block(stage, stage->k)[200] ^= 8;
}

static inline void damage_release(struct damage_stage *stage)
{
	unlink(stage->backup);
	unlink(stage->backup_2);
	mem_disk_release(&stage->disk);
	*stage = (struct damage_stage){.k = 0};
}

/* A new log; it is formatted once. */
static inline void damage_format(struct mem_disk *disk)
{
	static struct mem_disk formatted;
	struct wal_fixture fixture;

	if (!formatted.files[0]) {
		wal_life_make(&fixture, SLUICE_WAL_SEGMENT_BYTES_MIN);
		mem_disk_load(&formatted, fixture.dir);
		wal_fixture_remove(&fixture);
	}
	*disk = formatted;
	for (uint32_t file = 0; file < SLUICE_WAL_FILES; file++) {
		disk->files[file] = malloc(disk->bytes[file]);
		assert_non_null(disk->files[file]);
		memcpy(disk->files[file], formatted.files[file], disk->bytes[file]);
	}
}

static inline void damage_make(struct damage_stage *stage, enum damage damage)
{
	struct wal_life life = {.wal = NULL};
	struct sluice_wal *wal = NULL;
	uint64_t last;

	damage_release(stage); /* of the one before */
	damage_format(&stage->disk);
	/* in memory: it is synced hundreds of times */
	snprintf(stage->backup, sizeof(stage->backup), "/dev/shm/sluice-test-undo-%d", getpid());
	snprintf(stage->backup_2, sizeof(stage->backup_2), "%s-2", stage->backup);
	assert_int_equal(sluice_wal_open_io(&wal, mem_disk_io(&stage->disk), NULL, NULL), 0);
	assert_int_equal(wal_life_recover(&life, wal), 0);
	assert_int_equal(wal_life_start(&life), 0);
	if (damage == DAMAGE_PAYLOAD)
		damage_write(stage, &life, 12);
	else
		damage_round(stage, &life, 1);
	if (damage == DAMAGE_GONE_ROUND || damage == DAMAGE_OWN_PLACE) {
		damage_snapshot(stage, &life, 3);
		damage_write(stage, &life, 30);
	}
	if (damage == DAMAGE_LOST_SUPER)
		damage_lose_super(stage, &life);
	last = life.wal->chain.block_seq - 1;
	assert_int_equal(wal_life_close(&life, damage == DAMAGE_PAYLOAD), 0);
	if (damage != DAMAGE_LOST_SUPER)
		damage_do(stage, damage, last);
	stage->original = damage_digest(&stage->disk);
}

/* 0: the log would start, before block k; or -errno. */
static inline int damage_judge(struct damage_stage *stage)
{
	struct sluice_wal *wal = NULL;
	int ret = sluice_wal_examine(&wal, mem_disk_io(&stage->disk), SLUICE_WAL_IO_READ, NULL);

	if (ret)
		return ret;
	ret = sluice_wal_recover(wal, NULL);
	if (!ret && wal->report.block_seq != stage->k)
		ret = -ERANGE;
	sluice_wal_examine_end(wal);
	return ret;
}

#endif
