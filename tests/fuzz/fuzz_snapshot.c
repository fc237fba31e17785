/* SPDX-License-Identifier: MIT */
/*
 * fuzz_snapshot.c - libFuzzer target: the loader of snapshot files. The input chooses how many
 * commands the state in the file is of, and changes to header, chunks and records, with checksums,
 * hashes and the superblock's entry made right again or not. A file is refused with a reason, or it
 * makes a whole core, of which the same image can be taken; and without any repair only the file
 * that was written is accepted. The log has small segments (tests/fuzz/rules.mk).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/mem_io.h"
#include "tests/lib/wal_life.h"
#include "tests/lib/wal_repair.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define OP_BYTES 8u
#define OPS_MAX 32u
#define STATES 3u
#define AREA (SLUICE_WAL_ALIGN + SLUICE_SNAPSHOT_CHUNK_BYTES)
#define SEQUENCE 1u
#define RECORDS(file) ((struct sluice_image_record *)(void *)((file) + SLUICE_WAL_ALIGN + 64))

static struct mem_disk disk;
static struct sluice_wal_super super;
static unsigned char files[STATES][AREA], file[AREA] __attribute__((aligned(4096)));
static unsigned char window[SLUICE_WAL_SCAN_BYTES] __attribute__((aligned(4096)));
static struct sluice_core_options limits;
static void *memory;

static void must(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "fuzz_snapshot: %s\n", what);
	abort();
}

static int file_read(struct sluice_wal_io *io, uint32_t number, uint64_t offset, void *data,
		     size_t bytes)
{
	(void)io;
	must(number == SLUICE_WAL_FILE_SNAPSHOT + SEQUENCE && bytes <= sizeof(window),
	     "a read of the file");
	if (offset > AREA || bytes > AREA - offset)
		return -ENODATA;
	memcpy(data, file + offset, bytes);
	return 0;
}

static const struct sluice_wal_io_ops ops = {.read = file_read};
static struct sluice_wal_io file_io = {.ops = &ops};

/* States of a symbol alone, of a short book, and of a longer life. */
static void make_files(void)
{
	static const uint32_t commands[STATES] = {1, 12, 150};
	struct wal_fixture fixture;

	wal_life_make(&fixture, SLUICE_WAL_SEGMENT_BYTES_MIN);
	for (uint32_t i = 0; i < STATES; i++) {
		struct wal_life life = {.wal = NULL};
		struct sluice_wal *wal = NULL;
		struct sluice_wal_position position;

		mem_disk_load(&disk, fixture.dir);
		must(!sluice_wal_open_io(&wal, mem_disk_io(&disk), NULL, NULL) &&
			     !wal_life_recover(&life, wal) && !wal_life_start(&life),
		     "a log");
		memset(wal->super.log_uuid, 7, sizeof(wal->super.log_uuid));
		while (life.cmd_seq < commands[i]) {
			const uint64_t left = commands[i] - life.cmd_seq;

			must(wal_life_block(&life, left < 50 ? (uint32_t)left : 50) > 0, "a block");
			must(!wal_life_settle(&life), "a durable block");
		}
		must(!wal_life_save(&life, wal->io, SEQUENCE), "a snapshot");
		memcpy(files[i], disk.files[SLUICE_WAL_FILE_SNAPSHOT + SEQUENCE], AREA);
		super = wal->super;
		sluice_wal_position(wal, &position);
		limits = position.core;
		wal_life_close(&life, false);
		mem_disk_release(&disk);
	}
	wal_fixture_remove(&fixture);
	memory = aligned_alloc(64, (sluice_core_bytes(&limits) + 63) & ~(size_t)63);
	must(memory != NULL, "memory");
}

/* The hashes and numbers of the state that the records make, if they make one. */
static void repair_state(void)
{
	struct sluice_snapshot_header header;
	struct sluice_image_builder builder;
	struct sluice_core_stats stats;
	struct sluice_core *core = sluice_core_init(memory, &limits);

	memcpy(&header, file, sizeof(header));
	sluice_image_restore(&builder, core);
	for (uint64_t i = 0; i < header.records && i < SLUICE_SNAPSHOT_RECORDS; i++)
		if (sluice_image_take(&builder, &RECORDS(file)[i]))
			return;
	if (sluice_image_done(&builder))
		return;
	sluice_core_stats(core, &stats);
	header.state_hash = sluice_core_state_hash(core);
	header.chain_hash = sluice_core_chain_hash(core);
	header.place.cmd_seq = stats.commands;
	header.place.report = stats.reports + 1;
	header.place.md = stats.md_events + 1;
	memcpy(file, &header, sizeof(header));
	memcpy(file + SLUICE_WAL_ALIGN + offsetof(struct sluice_snapshot_chunk, cmd_seq),
	       &header.place.cmd_seq, sizeof(header.place.cmd_seq));
}

static void change(const uint8_t op[OP_BYTES])
{
	struct sluice_snapshot_header header;
	const uint32_t word = (uint32_t)op[1] | (uint32_t)op[2] << 8;
	uint64_t value = op[4] | (uint64_t)op[5] << 8 | (uint64_t)op[6] << 16;
	unsigned char *field;
	uint64_t old = 0;

	memcpy(&header, file, sizeof(header));
	if ((op[0] & 3) == 0)
		field = file + op[1] % 52 * 4u;
	else if ((op[0] & 3) == 1)
		field = file + SLUICE_WAL_ALIGN + op[1] % 16 * 4u;
	else if ((op[0] & 3) == 2) /* anywhere, also behind the records */
		field = file + (word | (op[3] & 1u) << 16) % (AREA - 8);
	else
		field = (unsigned char *)&RECORDS(
				file)[word % SLUICE_SNAPSHOT_RECORDS %
				      (header.records + 1 ? header.records + 1 : 1)] +
			op[3] % 15 * 4u;
	memcpy(&old, field, 4);
	if (op[0] & 4)
		value = old + (uint64_t)(int64_t)(int8_t)op[4];
	else if (op[0] & 8)
		value = old ^ UINT64_C(1) << (op[4] & 31);
	memcpy(field, &value, op[0] & 16 ? 1 : op[0] & 32 ? 8 : 4);
}

/* As the superblock would, whatever is in the file. */
static void entry_of(struct sluice_wal_snapshot *ret_snapshot)
{
	struct sluice_snapshot_header header;

	memcpy(&header, file, sizeof(header));
	*ret_snapshot = (struct sluice_wal_snapshot){
		.place = header.place,
		.sequence = SEQUENCE,
		.bytes = header.bytes,
		.state_hash = header.state_hash,
		.header_crc = header.header_crc,
	};
}

/* What was taken is an image again, record by record. */
static void same_image(const struct sluice_core *core)
{
	struct sluice_snapshot_header header;
	struct sluice_image_record record;
	struct sluice_image_walk walk;
	uint64_t n = 0;

	memcpy(&header, file, sizeof(header));
	sluice_image_begin(&walk, core);
	for (; sluice_image_next(&walk, &record); n++)
		must(n < header.records && !memcmp(&record, &RECORDS(file)[n], sizeof(record)),
		     "the same records");
	must(n == header.records, "as many records");
}

static void load(const struct sluice_wal_snapshot *snapshot, bool repaired, bool changed)
{
	struct sluice_core *core = sluice_core_init(memory, &limits);
	struct sluice_diag diag = {"", ""}, restore_diag = {"", ""};
	int check = sluice_snapshot_check(&file_io, &super, snapshot, window, &diag);
	int ret = sluice_snapshot_restore(&file_io, &super, snapshot, window, core, &restore_diag);

	must(!check || (check == -EBADMSG && diag.text[0]), "a reason");
	must(!ret || (ret == -EBADMSG && restore_diag.text[0]), "a reason of restore");
	must(!check || ret, "what is refused is not restored");
	must(repaired || changed == !!ret, "what was written, and nothing else");
	if (ret)
		return;
	must(!sluice_core_check(core), "a whole core");
	must(sluice_core_state_hash(core) == snapshot->state_hash, "the state");
	same_image(core);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sluice_wal_snapshot snapshot;
	bool repaired = false, changed;

	if (!memory)
		make_files();
	if (size < 1)
		return 0;
	memcpy(file, files[data[0] % STATES], AREA);
	entry_of(&snapshot);
	for (size_t at = 1, n = 0; at + OP_BYTES <= size && n < OPS_MAX; at += OP_BYTES, n++)
		change(data + at);
	if (data[0] & 0x40)
		repair_state();
	if (data[0] & 0xc0) {
		repaired = true;
		wal_repair_snapshot(file, AREA);
	}
	if (data[0] & 0x20) {
		repaired = true;
		entry_of(&snapshot);
	}
	changed = memcmp(file, files[data[0] % STATES], AREA) != 0;
	load(&snapshot, repaired, changed);
	return 0;
}
