/* SPDX-License-Identifier: MIT */
/*
 * wal_image_logs.h - the logs that fuzz_wal_image changes: one that has just begun, one that went
 * round and lost its power, one that was closed. Made once, on disks in memory. For that one file.
 */
#ifndef SLUICE_TESTS_FUZZ_WAL_IMAGE_LOGS_H
#define SLUICE_TESTS_FUZZ_WAL_IMAGE_LOGS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/mem_io.h"
#include "tests/lib/wal_life.h"

#define BLOCKS_MAX 256u

enum log_kind { LOG_FRESH, LOG_ROUND, LOG_CLOSED, LOGS };

struct block_place { /* in the order of their numbers */
	uint64_t segment_no;
	uint64_t offset;
};

struct log {
	struct wal_fixture fixture;
	struct mem_disk disk;
	struct block_place blocks[BLOCKS_MAX];
	uint64_t links[BLOCKS_MAX]; /* what the block with this number must carry */
	uint32_t n_blocks;	    /* ever submitted */
	bool ready;
};

static struct log logs[LOGS];
static bool repaired; /* checksums were made right: the bytes may say anything */
static struct sluice_diag last_diag;

static void must(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "fuzz_wal_image: %s (%s)\n", what, last_diag.text);
	abort();
}

/* ------------------------------------------------------------------------------- the logs */

static void note_block(struct log *log, const struct sluice_wal_chain *chain)
{
	must(chain->block_seq < BLOCKS_MAX, "room for the blocks' places");
	log->n_blocks = (uint32_t)chain->block_seq + 1;
	log->blocks[chain->block_seq] = (struct block_place){chain->segment_no, chain->offset};
	log->links[chain->block_seq] = chain->prev_link;
}

/* Uuid and time of the format are the only things that chance has a part in. */
static void settle_chance(struct mem_disk *disk)
{
	struct sluice_wal_super super, parent;
	bool any = false;

	for (uint32_t i = 0; i < SLUICE_WAL_SUPER_COPIES; i++) {
		unsigned char *copy = disk->files[SLUICE_WAL_FILE_SUPER] +
				      (size_t)i * SLUICE_WAL_ALIGN;

		memcpy(&super, copy, sizeof(super));
		if (super.magic != SLUICE_WAL_SUPER_MAGIC)
			continue;
		memset(super.log_uuid, 7, sizeof(super.log_uuid));
		super.created_realtime_ns = 1;
		super.parent_crc = any ? parent.super_crc : 0;
		super.super_crc = sluice_wal_super_checksum(&super);
		memcpy(copy, &super, sizeof(super));
		parent = super;
		any = true;
	}
}

static void one_block(struct log *log, struct wal_life *life, uint32_t n)
{
	note_block(log, &life->wal->chain);
	must(wal_life_block(life, n) > 0, "a block");
}

static void begin(struct log *log, struct wal_life *life)
{
	struct sluice_wal *wal = NULL;

	must(!sluice_wal_open_io(&wal, mem_disk_io(&log->disk), &log->fixture.options, NULL) &&
		     !wal_life_recover(life, wal),
	     "an open log");
	note_block(log, &wal->chain);
	must(!wal_life_start(life), "a started log");
}

static void go_round(struct log *log, struct wal_life *life)
{
	for (uint32_t i = 1; i <= 48; i++) {
		one_block(log, life, 1 + i * 13 % 60);
		must(!wal_life_settle(life), "a durable block");
		if (i % 8 == 4) {
			note_block(log, &life->wal->chain);
			must(!sluice_wal_seal(life->wal) && !wal_life_settle(life), "a witness");
		}
		if (i % 8 != 0)
			continue;
		wal_life_take_reports(life);
		must(!wal_life_save(life, life->wal->io, i / 8) && !wal_life_name(life, i / 8),
		     "a snapshot");
	}
}

/* Several blocks in flight, and power is lost: the first and the last of them arrived. */
static void lose_power(struct log *log, struct wal_life *life)
{
	for (uint32_t i = 0; i < 3; i++)
		one_block(log, life, 5 + 30 * i);
	note_block(log, &life->wal->chain);
	for (uint32_t i = 0; i < log->disk.n_writes; i++) {
		const struct mem_write *write = &log->disk.writes[i];

		for (uint32_t at = 0; i != 1 && at < write->bytes; at += MEM_SECTOR)
			mem_disk_put(&log->disk, write->file, write->offset + at, write->data + at,
				     MEM_SECTOR);
	}
	mem_disk_lose(&log->disk);
	life->wal->outstanding = 0;
}

static inline void make_log(struct log *log, enum log_kind kind)
{
	struct wal_life life = {.wal = NULL};

	wal_life_make(&log->fixture, SLUICE_WAL_SEGMENT_BYTES_MIN);
	mem_disk_load(&log->disk, log->fixture.dir);
	wal_fixture_remove(&log->fixture);
	settle_chance(&log->disk);
	begin(log, &life);
	if (kind != LOG_FRESH) {
		go_round(log, &life);
		must(!wal_life_close(&life, false), "a dead owner");
		begin(log, &life);
	}
	for (uint32_t i = 0; i < 4; i++)
		one_block(log, &life, 9 + i);
	must(!wal_life_settle(&life), "durable blocks");
	if (kind == LOG_CLOSED)
		note_block(log, &life.wal->chain); /* of CLOSE */
	else
		lose_power(log, &life);
	if (kind == LOG_CLOSED) {
		struct sluice_wal *wal = NULL;

		must(!wal_life_close(&life, true), "a clean end");
		must(!sluice_wal_open_io(&wal, mem_disk_io(&log->disk), NULL, NULL), "an end");
		note_block(log, &wal->chain);
		sluice_wal_close(wal, false, NULL);
	} else {
		wal_life_close(&life, false);
	}
	log->ready = true;
}

#endif
