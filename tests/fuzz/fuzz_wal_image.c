/* SPDX-License-Identifier: MIT */
/*
 * fuzz_wal_image.c - libFuzzer target: open, restore and replay of tampered log directories, over a
 * disk in memory. The input chooses a log (fresh, gone round, closed) and changes to it, eight
 * bytes each: fields, payloads, pages, whole files, with the checksums made right again or not,
 * and with the chain behind made to follow or not.
 *
 * A log is refused with a reason, or what it holds can be executed, the log goes on, and opens once
 * more with exactly what it held and what was added. While no checksum was made right, what is
 * accepted must be a prefix of what was written. Blocks are of 8 KiB and segments of 16 KiB
 * (tests/fuzz/rules.mk).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/wal/wal_super.h"
#include "tests/fuzz/wal_image_logs.h"
#include "tests/lib/wal_repair.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define OP_BYTES 8u
#define OPS_MAX 64u
#define CORE_BYTES_MAX (4u << 20)
#define SNAPSHOT_AREA (SLUICE_WAL_ALIGN + SLUICE_SNAPSHOT_CHUNK_BYTES)

/* -------------------------------------------------------------------------------- changes */

static void put(struct log *log, uint32_t file, uint64_t offset, const void *data, uint64_t bytes)
{
	const unsigned char *from = data;

	while (bytes > 0 && offset < log->disk.bytes[file]) {
		uint64_t part = MEM_SECTOR - offset % MEM_SECTOR;

		if (part > bytes)
			part = bytes;
		if (memcmp(log->disk.files[file] + offset, from, part))
			mem_disk_put(&log->disk, file, offset, from, (uint32_t)part);
		offset += part;
		from += part;
		bytes -= part;
	}
}

static uint16_t word_of(const uint8_t *bytes)
{
	return (uint16_t)(bytes[0] | bytes[1] << 8);
}

/* A field of 1, 2, 4 or 8 bytes becomes what mostly breaks things. */
static void set_field(unsigned char *field, const uint8_t how[4])
{
	const uint32_t width = 1u << (how[0] & 3);
	uint64_t value = 0;

	memcpy(&value, field, width);
	switch (how[0] >> 2 & 7) {
	case 0:
		value += (uint64_t)(int64_t)(int8_t)how[1];
		break;
	case 1:
		value = how[1];
		break;
	case 2:
		value = UINT64_MAX - how[1];
		break;
	case 3:
		value = 1ull << (how[1] & 63);
		break;
	case 4:
		value ^= 1ull << (how[1] & 63);
		break;
	case 5:
		value = how[1] | (uint64_t)how[2] << 8 | (uint64_t)how[3] << 16;
		break;
	case 6:
		value += (uint64_t)how[1] << 12;
		break;
	default:
		value = UINT32_MAX - how[1];
	}
	memcpy(field, &value, width);
}

/* Every later block that is where it was says again what follows from the one before. */
static void relink(struct log *log, uint32_t from)
{
	uint64_t link = 0;

	for (uint32_t seq = from; seq < log->n_blocks; seq++) {
		const struct block_place *at = &log->blocks[seq];
		const uint32_t file = (uint32_t)(at->segment_no % SLUICE_WAL_SEGMENTS);
		unsigned char *block = log->disk.files[file] + at->offset;
		struct sluice_wal_block_header header;

		memcpy(&header, block, sizeof(header));
		if (header.magic != SLUICE_WAL_BLOCK_MAGIC)
			return;
		if (seq > from) {
			header.prev_link = link;
			header.header_crc = sluice_wal_header_checksum(&header);
			put(log, file, at->offset, &header, sizeof(header));
		}
		link = sluice_wal_link(&header);
	}
}

static void change_block(struct log *log, const uint8_t op[OP_BYTES])
{
	static unsigned char copy[SLUICE_WAL_SEGMENT_BYTES_MIN];
	const uint32_t seq = op[1] < 128 ? op[1] % log->n_blocks :
					   log->n_blocks - 1 - (op[1] - 128u) % log->n_blocks;
	const struct block_place *at = &log->blocks[seq];
	const uint32_t file = (uint32_t)(at->segment_no % SLUICE_WAL_SEGMENTS);
	const uint64_t room = SLUICE_WAL_SEGMENT_BYTES_MIN - at->offset;
	const bool in_header = op[0] & 0x20;
	const uint64_t where = in_header ? op[2] * 4u % 128 :
					   128 + (uint64_t)(op[2] | op[3] << 8) % (room - 136);

	memcpy(copy, log->disk.files[file] + at->offset, room);
	set_field(copy + where, op + 4);
	if (op[0] & 0x40) {
		repaired = true;
		wal_repair_block(copy, room);
	}
	put(log, file, at->offset, copy, room);
	if (op[0] & 0x80) {
		repaired = true;
		relink(log, seq);
	}
}

static uint32_t newest_copy(const struct log *log)
{
	struct sluice_wal_super super, best = {.sequence = 0};

	for (uint32_t i = 0; i < SLUICE_WAL_SUPER_COPIES; i++) {
		memcpy(&super, log->disk.files[SLUICE_WAL_FILE_SUPER] + i * SLUICE_WAL_ALIGN,
		       sizeof(super));
		if (super.magic == SLUICE_WAL_SUPER_MAGIC && super.sequence > best.sequence)
			best = super;
	}
	return (uint32_t)(best.sequence % SLUICE_WAL_SUPER_COPIES);
}

static void change_super(struct log *log, const uint8_t op[OP_BYTES])
{
	unsigned char copy[SLUICE_WAL_ALIGN];
	const uint32_t i = op[1] & 0x80 ? newest_copy(log) : op[1] % SLUICE_WAL_SUPER_COPIES;
	const uint64_t offset = (uint64_t)i * SLUICE_WAL_ALIGN;

	memcpy(copy, log->disk.files[SLUICE_WAL_FILE_SUPER] + offset, sizeof(copy));
	set_field(copy + op[2] % 128 * 4, op + 4);
	if (op[0] & 0x40) {
		repaired = true;
		wal_repair_super(copy);
	}
	put(log, SLUICE_WAL_FILE_SUPER, offset, copy, sizeof(copy));
}

/* The newest superblock says of the snapshot in this file what its header says. */
static void name_snapshot(struct log *log, uint32_t slot)
{
	unsigned char copy[SLUICE_WAL_ALIGN];
	const uint64_t offset = (uint64_t)newest_copy(log) * SLUICE_WAL_ALIGN;
	struct sluice_snapshot_header header;
	struct sluice_wal_super super;

	memcpy(&header, log->disk.files[SLUICE_WAL_FILE_SNAPSHOT + slot], sizeof(header));
	memcpy(copy, log->disk.files[SLUICE_WAL_FILE_SUPER] + offset, sizeof(copy));
	memcpy(&super, copy, sizeof(super));
	super.snapshot[slot] = (struct sluice_wal_snapshot){
		.place = header.place,
		.sequence = header.sequence,
		.bytes = header.bytes,
		.state_hash = header.state_hash,
		.header_crc = header.header_crc,
	};
	memcpy(copy, &super, sizeof(super));
	wal_repair_super(copy);
	put(log, SLUICE_WAL_FILE_SUPER, offset, copy, sizeof(copy));
	repaired = true;
}

static void change_snapshot(struct log *log, const uint8_t op[OP_BYTES])
{
	static unsigned char copy[SNAPSHOT_AREA + 8] __attribute__((aligned(64)));
	const uint32_t slot = op[1] & 1, file = SLUICE_WAL_FILE_SNAPSHOT + slot;
	const bool in_header = op[0] & 0x20;
	const uint64_t where = in_header ? op[2] % 52 * 4u :
					   SLUICE_WAL_ALIGN + word_of(op + 2) % (16u * 1024);

	memcpy(copy, log->disk.files[file], SNAPSHOT_AREA);
	set_field(copy + where, op + 4);
	if (op[0] & 0x40) {
		repaired = true;
		wal_repair_snapshot(copy, SNAPSHOT_AREA);
	}
	put(log, file, 0, copy, SNAPSHOT_AREA);
	if (op[0] & 0x80)
		name_snapshot(log, slot);
}

/* Bytes, pages and files that move, vanish or rot, by nobody who knows of checksums. */
static void change_bytes(struct log *log, const uint8_t op[OP_BYTES])
{
	static unsigned char copy[SLUICE_WAL_SEGMENT_BYTES_MIN];
	const uint32_t file = op[1] % SLUICE_WAL_FILE_PROBE;
	const uint32_t other = op[4] % SLUICE_WAL_FILE_PROBE;
	const uint64_t pages = SLUICE_WAL_SEGMENT_BYTES_MIN / SLUICE_WAL_ALIGN;
	const uint64_t page = op[2] % pages * SLUICE_WAL_ALIGN;
	const uint64_t other_page = op[5] % (pages - 1) * SLUICE_WAL_ALIGN;

	switch (op[0] >> 4) {
	case 0:
		copy[0] = (unsigned char)(log->disk.files[file][word_of(op + 2) % sizeof(copy)] ^
					  op[4]);
		put(log, file, word_of(op + 2) % sizeof(copy), copy, 1);
		break;
	case 1:
		memset(copy, 0, SLUICE_WAL_ALIGN);
		put(log, file, page + op[3] % 8 * MEM_SECTOR, copy, MEM_SECTOR);
		break;
	case 2:
		memset(copy, op[3], SLUICE_WAL_ALIGN);
		put(log, file, page, copy, SLUICE_WAL_ALIGN);
		break;
	case 3:
		memcpy(copy, log->disk.files[other] + other_page, SLUICE_WAL_ALIGN);
		put(log, file, page, copy, SLUICE_WAL_ALIGN);
		break;
	case 4:
		memcpy(copy, log->disk.files[other] + other_page, 2 * SLUICE_WAL_ALIGN);
		put(log, file, page, copy, 2 * SLUICE_WAL_ALIGN);
		break;
	default:
		memcpy(copy, log->disk.files[other], sizeof(copy));
		put(log, file, 0, copy, sizeof(copy));
	}
}

static void change(struct log *log, const uint8_t op[OP_BYTES])
{
	switch (op[0] & 15) {
	case 0:
	case 1:
	case 2:
	case 3:
		change_block(log, op);
		break;
	case 4:
	case 5:
	case 6:
		change_super(log, op);
		break;
	case 7:
	case 8:
	case 9:
		change_snapshot(log, op);
		break;
	default:
		change_bytes(log, op);
	}
}

/* -------------------------------------------------------------------------------- the oath */

static struct sluice_wal *open_log(struct log *log)
{
	const struct sluice_wal_options options = {.window = 4};
	struct sluice_wal_position position;
	struct sluice_wal *wal = NULL;
	size_t bytes;
	int ret;

	last_diag = (struct sluice_diag){"", ""};
	ret = sluice_wal_open_io(&wal, mem_disk_io(&log->disk), &options, &last_diag);
	must(!ret == !!wal, "a log or an error");
	if (ret)
		must(last_diag.text[0] && (ret == -EBADMSG || ret == -EPROTO || ret == -ENODATA),
		     "a refusal has a reason");
	if (ret)
		return NULL;
	sluice_wal_position(wal, &position);
	bytes = sluice_core_bytes(&position.core);
	if (bytes && bytes <= CORE_BYTES_MAX)
		return wal;
	must(repaired, "limits of a core");
	sluice_wal_close(wal, false, NULL);
	return NULL;
}

static void check_prefix(const struct log *log, const struct sluice_wal *wal)
{
	const uint64_t seq = wal->chain.block_seq;

	must(seq < log->n_blocks, "no more than was written");
	must(wal->chain.prev_link == log->links[seq], "what was written");
}

/* No block that is left behind the end may say that what is missing was durable. */
static void check_witnesses(const struct log *log, uint64_t end)
{
	for (uint64_t seq = end + 1; seq < log->n_blocks; seq++) {
		const struct block_place *at = &log->blocks[seq];
		const unsigned char *bytes = log->disk.files[at->segment_no % SLUICE_WAL_SEGMENTS] +
					     at->offset;
		const struct sluice_wal_block_header *header = (const void *)bytes;
		struct sluice_wal_fault fault;

		if (sluice_wal_header_intact(header, SLUICE_WAL_SEGMENT_BYTES_MIN - at->offset,
					     &fault) &&
		    header->block_seq == seq && sluice_wal_payload_intact(header, &fault))
			must(header->durable_seq <= end, "nothing that was durable is missing");
	}
}

/* An engine goes on: an epoch, a block, a clean end; and all of it is there the next time. */
static void go_on(struct log *log, struct wal_life *life)
{
	struct sluice_wal *wal = life->wal;
	uint64_t cmd_seq, hash;
	int ret = wal_life_start(life);

	if (!ret && !sluice_wal_full(wal)) {
		wal_life_take_reports(life);
		must(wal_life_block(life, 2) > 0, "a block is taken");
		ret = wal_life_settle(life);
	}
	if (ret) {
		must(repaired && sluice_wal_error(wal) == 0, "a log goes on");
		return;
	}
	cmd_seq = life->cmd_seq;
	hash = sluice_core_state_hash(life->core);
	must(!wal_life_close(life, true), "a clean end");
	wal = open_log(log);
	must(wal, "a log that went on opens");
	must(!wal_life_recover(life, wal), "a log that went on is replayed");
	must(life->cmd_seq == cmd_seq, "all commands are there");
	must(sluice_core_state_hash(life->core) == hash, "the state is the same");
}

static void check_log(struct log *log)
{
	struct wal_life life = {.wal = NULL};
	struct sluice_wal *wal = open_log(log);
	int ret;

	if (!wal)
		return;
	if (!repaired)
		check_prefix(log, wal);
	if (!repaired)
		check_witnesses(log, wal->chain.block_seq);
	ret = wal_life_recover(&life, wal);
	if (ret)
		must(repaired && (life.wrong || life.diag.text[0]), "a log that opens is replayed");
	if (!ret)
		must(!sluice_core_check(life.core), "a whole core");
	if (!ret)
		go_on(log, &life);
	wal_life_close(&life, false);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct log *log;
	size_t mark;

	if (size < 1)
		return 0;
	log = &logs[data[0] % LOGS];
	if (!log->ready)
		make_log(log, data[0] % LOGS);
	log->disk.random = 1;
	log->disk.now_ns = 1;
	repaired = false;
	mark = mem_disk_mark(&log->disk);
	for (size_t at = 1, n = 0; at + OP_BYTES <= size && n < OPS_MAX; at += OP_BYTES, n++)
		change(log, data + at);
	check_log(log);
	mem_disk_lose(&log->disk);
	mem_disk_rollback(&log->disk, mark);
	return 0;
}
