/* SPDX-License-Identifier: MIT */
/*
 * make_log.c - a helper of scripts: writes a small log, with the real writer and a real core before
 * it, of one of the shapes that tests read and that tests/golden keeps.
 *
 *	make_log DIR SHAPE [SEED]
 *
 *	fresh	made, never started		clean	one epoch, cleanly closed
 *	open	one epoch, cut off		epochs	clean, cut off, clean, cut off
 *	sealed	the same with a SEAL		one	one snapshot, block 0 still there
 *	snap	two snapshots			round	goes round, with snapshots
 *
 *	make_log DIR try	opens DIR as an engine would, and says what it found
 *
 * Commands are those of the generator; `round` has big blocks of clock ticks between them, so that
 * it fills segments and still packs well. The directory must not exist, but for `try`. Exit code 0
 * or 1.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/wal/reader.h"
#include "engine/wal/snapshot.h"
#include "producer/generator.h"

#define SLOTS 64u
#define SMALL_BLOCKS 12u
#define ROUND_BLOCKS 100u /* of 256 KiB: 25 MiB through 16 */

struct maker {
	const char *dir;
	struct sluice_wal_options options;
	struct sluice_generator *generator;
	struct sluice_wal *wal;
	struct sluice_core *core;
	void *memory;
	struct sluice_sink sink;
	struct sluice_report reports[SLOTS];
	uint64_t cmd_seq;
	uint64_t snapshot; /* number of the last one */
	struct sluice_diag diag;
};

__attribute__((noreturn)) static void die(const struct maker *maker, const char *what)
{
	fprintf(stderr, "make_log: %s: %s\n", what, maker->diag.text);
	exit(1);
}

static void make_room(struct sluice_sink *sink)
{
	sink->report_limit = sink->report_next + SLOTS;
	sink->md_limit = UINT64_MAX;
}

static int visit(const struct sluice_wal_block_header *header,
		 const struct sluice_command *commands, uint32_t n, void *arg)
{
	struct maker *maker = arg;

	sluice_core_apply_batch(maker->core, commands, n, header->first_cmd_seq, &maker->sink);
	maker->cmd_seq = header->first_cmd_seq + n;
	return 0;
}

/* Opens, recovers and starts an epoch. */
static void start(struct maker *maker)
{
	struct sluice_wal_position position;
	const uint8_t ring_uuid[16] = {0x51, 0x1c};

	if (sluice_wal_open(&maker->wal, maker->dir, &maker->options, &maker->diag))
		die(maker, "open");
	sluice_wal_position(maker->wal, &position);
	free(maker->memory);
	maker->memory = aligned_alloc(64, (sluice_core_bytes(&position.core) + 63) / 64 * 64);
	if (!maker->memory ||
	    sluice_wal_restore(maker->wal, maker->memory, &maker->core, &maker->diag))
		die(maker, "restore");
	sluice_wal_position(maker->wal, &position);
	maker->cmd_seq = position.start_cmd_seq;
	maker->sink = (struct sluice_sink){
		.reports = maker->reports,
		.report_mask = SLOTS - 1,
		.report_next = position.start_report,
		.md_next = position.start_md,
		.make_room = make_room,
	};
	make_room(&maker->sink);
	if (sluice_wal_replay(maker->wal, visit, maker, &maker->diag))
		die(maker, "replay");
	if (sluice_wal_start(maker->wal, ring_uuid, sluice_core_chain_hash(maker->core),
			     maker->sink.report_next, &maker->diag))
		die(maker, "start");
}

static void end(struct maker *maker, bool clean)
{
	if (sluice_wal_close(maker->wal, clean, &maker->diag))
		die(maker, "close");
	maker->wal = NULL;
}

static void settle(struct maker *maker)
{
	if (sluice_wal_submit(maker->wal))
		die(maker, sluice_wal_error_text(maker->wal));
	while (sluice_wal_in_flight(maker->wal))
		if (sluice_wal_wait(maker->wal, 1000000000) < 0)
			die(maker, sluice_wal_error_text(maker->wal));
	sluice_wal_reports_taken(maker->wal, maker->sink.report_next);
}

static void next_command(struct maker *maker, bool tick, struct sluice_command *command)
{
	if (!tick) {
		sluice_generator_next(maker->generator, command);
		return;
	}
	*command = (struct sluice_command){
		.head = {.type = SLUICE_CMD_TICK, .length = sizeof(*command)},
		.time_ns = 34200000000000,
	};
}

/* One block of n commands, or fewer where the segment ends. */
static void block(struct maker *maker, uint32_t n, bool ticks)
{
	uint32_t room, made = 0;

	while (made < n) {
		struct sluice_command *record = sluice_wal_reserve(
			maker->wal, sluice_core_chain_hash(maker->core),
			maker->sink.report_next, &room);

		if (!record) {
			if (sluice_wal_full(maker->wal))
				die(maker, "the log is full");
			settle(maker);
			continue;
		}
		next_command(maker, ticks, record);
		sluice_core_apply(maker->core, record, maker->cmd_seq++, &maker->sink);
		sluice_wal_append(maker->wal, 1);
		made++;
	}
	settle(maker);
}

static void small_blocks(struct maker *maker)
{
	for (uint32_t i = 0; i < SMALL_BLOCKS; i++)
		block(maker, 1 + i * 7 % 40, false);
}

static void snapshot(struct maker *maker)
{
	struct sluice_wal_snapshot unused;
	struct sluice_wal_position position;
	struct sluice_snapshot_writer writer;
	struct sluice_wal_reader *reader;
	struct sluice_wal_io *io;
	struct sluice_wal_place place;
	const struct sluice_wal_block_header *header;
	const struct sluice_command *commands;
	uint32_t segment_no;
	uint64_t offset;
	struct sluice_wal_chain chain;
	int ret;

	sluice_wal_position(maker->wal, &position);
	if (sluice_wal_reader_open(&reader, maker->dir, &maker->diag))
		die(maker, "reader");
	sluice_wal_chain_init(&chain, sluice_wal_reader_super(reader),
			      &sluice_wal_reader_super(reader)->start);
	while ((ret = sluice_wal_reader_next(reader, &header, &commands, &segment_no, &offset)) ==
	       1)
		sluice_wal_chain_advance(&chain, header);
	sluice_wal_chain_place(&chain, maker->sink.report_next, maker->sink.md_next, &place);
	if (ret || sluice_wal_io_blocking_create(&io, maker->dir, &maker->diag) ||
	    io->ops->open(io, SLUICE_WAL_IO_FOLLOW, &maker->diag))
		die(maker, "follow");
	if (sluice_snapshot_begin(&writer, io, sluice_wal_reader_super(reader), ++maker->snapshot,
				  maker->core, &place))
		die(maker, "snapshot");
	while ((ret = sluice_snapshot_step(&writer, 4, &unused)) == 1)
		;
	sluice_snapshot_end(&writer);
	io->ops->close(io);
	sluice_wal_reader_close(reader);
	if (ret || sluice_wal_offer(maker->wal, maker->snapshot, &maker->diag))
		die(maker, "offer");
	settle(maker);
	while (sluice_wal_snapshot_named(maker->wal) != maker->snapshot)
		if (sluice_wal_wait(maker->wal, 1000000000) < 0)
			die(maker, sluice_wal_error_text(maker->wal));
}

static void make_epochs(struct maker *maker)
{
	for (uint32_t i = 0; i < 4; i++) {
		start(maker);
		small_blocks(maker);
		end(maker, i % 2 == 0);
	}
}

static void make_one(struct maker *maker)
{
	start(maker);
	small_blocks(maker);
	snapshot(maker);
	small_blocks(maker);
	end(maker, false);
}

static void make_snapshots(struct maker *maker)
{
	start(maker);
	small_blocks(maker);
	snapshot(maker);
	small_blocks(maker);
	end(maker, true);
	start(maker);
	snapshot(maker);
	small_blocks(maker);
	end(maker, false);
}

static void make_round(struct maker *maker)
{
	start(maker);
	for (uint32_t i = 0; i < ROUND_BLOCKS; i++) {
		block(maker, SLUICE_WAL_RECORDS_MAX, true);
		if (i % 6 == 5)
			block(maker, 30, false);
		if (i % 12 == 11)
			snapshot(maker);
		if (i == ROUND_BLOCKS / 2) {
			end(maker, false);
			start(maker);
		}
	}
	small_blocks(maker);
	end(maker, false);
}

static void make(struct maker *maker, const char *shape)
{
	if (!strcmp(shape, "epochs")) {
		make_epochs(maker);
	} else if (!strcmp(shape, "one")) {
		make_one(maker);
	} else if (!strcmp(shape, "snap")) {
		make_snapshots(maker);
	} else if (!strcmp(shape, "round")) {
		make_round(maker);
	} else if (strcmp(shape, "fresh") != 0) {
		start(maker);
		small_blocks(maker);
		if (!strcmp(shape, "sealed") && sluice_wal_seal(maker->wal))
			die(maker, sluice_wal_error_text(maker->wal));
		end(maker, !strcmp(shape, "clean"));
	}
}

/* One line: what an engine would do, in the words of its log. */
static int try_open(struct maker *maker)
{
	struct sluice_wal_position position;
	int ret = sluice_wal_open(&maker->wal, maker->dir, &maker->options, &maker->diag);

	if (ret) {
		printf("refused %s\n", maker->diag.text);
		return 1;
	}
	sluice_wal_position(maker->wal, &position);
	printf("starts block=%llu cmd_seq=%llu snapshot=%llu torn=%u\n",
	       (unsigned long long)position.next_block_seq,
	       (unsigned long long)position.next_cmd_seq, (unsigned long long)position.snapshot,
	       position.torn);
	return sluice_wal_close(maker->wal, false, NULL) ? 1 : 0;
}

int main(int argc, char **argv)
{
	static struct maker maker = {
		.options = {.segment_bytes = 1024 * 1024,
			    .backend = SLUICE_WAL_BACKEND_BLOCKING,
			    .core = {.symbols_max = 8,
				     .orders_max = 4096,
				     .levels_max = 256,
				     .sessions_max = 16,
				     .window_ticks = 1024}},
	};
	struct sluice_generator_params params;

	if (argc < 3) {
		fprintf(stderr, "usage: make_log DIR SHAPE [SEED]\n");
		return 2;
	}
	maker.dir = argv[1];
	if (!strcmp(argv[2], "try"))
		return try_open(&maker);
	sluice_generator_defaults(&params);
	params.seed = argc > 3 ? strtoull(argv[3], NULL, 10) : 1;
	params.depth = 40;
	if (sluice_generator_open(&maker.generator, &params, &maker.diag))
		die(&maker, "generator");
	if (sluice_wal_format(maker.dir, &maker.options, &maker.diag))
		die(&maker, "format");
	make(&maker, argv[2]);
	sluice_generator_close(maker.generator);
	free(maker.memory);
	return 0;
}
