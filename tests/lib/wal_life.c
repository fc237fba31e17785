/* SPDX-License-Identifier: MIT */
/* wal_life.c - see wal_life.h. */
#include "tests/lib/wal_life.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEP_NS 100000000u

static const uint8_t ring_uuid[16] = {9, 1};

static void need(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "test set-up failed: %s\n", what);
	abort();
}

void wal_life_make(struct wal_fixture *fixture, uint64_t segment_bytes)
{
	static const struct sluice_core_options limits = {
		.symbols_max = 1,
		.orders_max = 64,
		.levels_max = 64,
		.sessions_max = 1,
		.window_ticks = 64,
	};

	wal_fixture_make_dir(fixture);
	fixture->options.segment_bytes = segment_bytes;
	fixture->options.core = limits;
	need(!sluice_wal_format(fixture->dir, &fixture->options, &fixture->diag),
	     fixture->diag.text);
}

void wal_life_command(uint64_t cmd_seq, struct sluice_command *ret_command)
{
	struct sluice_command made = {
		.head = {.type = SLUICE_CMD_PLACE, .length = sizeof(made)},
		.order_id = cmd_seq,
		.price = 100 + (int64_t)(cmd_seq * 7 % 11),
		.qty = 1 + (int64_t)(cmd_seq % 5),
		.side = cmd_seq % 2 ? SLUICE_SIDE_BUY : SLUICE_SIDE_SELL,
		.order_type = SLUICE_ORDER_LIMIT,
		.tif = SLUICE_TIF_GTC,
	};

	if (!cmd_seq) {
		memset(&made, 0, sizeof(made));
		made.head.type = SLUICE_CMD_ADD_SYMBOL;
		made.head.length = sizeof(made);
		memcpy(made.u.define.name, "TEST", 5);
	}
	*ret_command = made;
}

static void make_room(struct sluice_sink *sink)
{
	sink->report_limit = sink->report_next + WAL_LIFE_REPORTS;
	sink->md_limit = UINT64_MAX;
}

static void make_sink(struct wal_life *life, uint64_t report, uint64_t md)
{
	life->sink = (struct sluice_sink){
		.reports = life->reports,
		.report_mask = WAL_LIFE_REPORTS - 1,
		.report_next = report,
		.md_next = md,
		.make_room = make_room,
	};
	make_room(&life->sink);
}

static int differs(struct wal_life *life, const char *what)
{
	life->wrong = what;
	return -EILSEQ;
}

static int visit(const struct sluice_wal_block_header *header,
		 const struct sluice_command *commands, uint32_t n, void *arg)
{
	struct wal_life *life = arg;

	life->blocks++;
	if (header->first_cmd_seq != life->cmd_seq)
		return differs(life, "first_cmd_seq");
	if (header->flags & (SLUICE_WAL_DATA | SLUICE_WAL_OPEN)) {
		if (header->state_hash != sluice_core_chain_hash(life->core))
			return differs(life, "state_hash");
		if (header->report_first != life->sink.report_next)
			return differs(life, "report_first");
	}
	for (uint32_t i = 0; i < n; i++) {
		struct sluice_command want, got = commands[i];

		wal_life_command(life->cmd_seq, &want);
		if (memcmp(&want, &got, sizeof(want)))
			return differs(life, "command");
		sluice_core_apply(life->core, &got, life->cmd_seq++, &life->sink);
	}
	return 0;
}

int wal_life_recover(struct wal_life *life, struct sluice_wal *wal)
{
	struct sluice_wal_position position;
	size_t bytes;
	int ret;

	*life = (struct wal_life){.wal = wal};
	sluice_wal_position(wal, &position);
	bytes = (sluice_core_bytes(&position.core) + 63) & ~(size_t)63;
	life->memory = aligned_alloc(64, bytes);
	need(life->memory, "memory for a core");
	ret = sluice_wal_restore(wal, life->memory, &life->core, &life->diag);
	if (ret)
		return ret;
	sluice_wal_position(wal, &position);
	life->cmd_seq = position.start_cmd_seq;
	make_sink(life, position.start_report, position.start_md);
	ret = sluice_wal_replay(wal, visit, life, &life->diag);
	if (!ret && life->cmd_seq != sluice_wal_next_cmd_seq(wal))
		return differs(life, "number of commands");
	return ret;
}

int wal_life_start(struct wal_life *life)
{
	return sluice_wal_start(life->wal, ring_uuid, sluice_core_chain_hash(life->core),
				life->sink.report_next, &life->diag);
}

static struct sluice_command *reserve(struct wal_life *life, uint32_t *ret_room, int *ret_error)
{
	for (;;) {
		struct sluice_command *records =
			sluice_wal_reserve(life->wal, sluice_core_chain_hash(life->core),
					   life->sink.report_next, ret_room);
		int ret = sluice_wal_error(life->wal);

		if (records)
			return records;
		if (!ret && sluice_wal_full(life->wal))
			ret = -ENOSPC;
		if (!ret)
			ret = sluice_wal_wait(life->wal, STEP_NS);
		if (ret < 0) {
			*ret_error = ret;
			return NULL;
		}
	}
}

int wal_life_block(struct wal_life *life, uint32_t n)
{
	uint32_t room = 0;
	int ret = 0;
	struct sluice_command *records = reserve(life, &room, &ret);

	if (!records)
		return ret;
	if (n > room)
		n = room;
	for (uint32_t i = 0; i < n; i++) {
		wal_life_command(life->cmd_seq, &records[i]);
		sluice_core_apply(life->core, &records[i], life->cmd_seq++, &life->sink);
	}
	sluice_wal_append(life->wal, n);
	ret = sluice_wal_submit(life->wal);
	return ret ? ret : (int)n;
}

int wal_life_settle(struct wal_life *life)
{
	int ret = sluice_wal_error(life->wal);

	while (ret >= 0 && life->wal->outstanding > 0)
		ret = sluice_wal_wait(life->wal, STEP_NS);
	return ret < 0 ? ret : 0;
}

void wal_life_take_reports(struct wal_life *life)
{
	sluice_wal_reports_taken(life->wal, life->sink.report_next);
}

int wal_life_save(struct wal_life *life, struct sluice_wal_io *io, uint64_t sequence)
{
	struct sluice_snapshot_writer writer;
	struct sluice_wal_snapshot unused;
	struct sluice_wal_place place;
	int ret;

	sluice_wal_chain_place(&life->wal->chain, life->sink.report_next, life->sink.md_next,
			       &place);
	ret = sluice_snapshot_begin(&writer, io, &life->wal->super, sequence, life->core, &place);
	need(!ret, "memory for a snapshot");
	do {
		ret = sluice_snapshot_step(&writer, 1, &unused);
	} while (ret == 1);
	sluice_snapshot_end(&writer);
	return ret;
}

int wal_life_name(struct wal_life *life, uint64_t sequence)
{
	int ret = sluice_wal_offer(life->wal, sequence, &life->diag);

	return ret ? ret : wal_life_settle(life);
}

void wal_life_snapshots(struct wal_life *life, struct sluice_wal *wal, const char *dir, uint32_t n)
{
	struct sluice_wal_io *io;

	need(!wal_life_recover(life, wal) && !wal_life_start(life), "a started log");
	need(!sluice_wal_io_blocking_create(&io, dir, NULL) &&
		     !io->ops->open(io, SLUICE_WAL_IO_FOLLOW, NULL),
	     "the snapshots' files");
	for (uint64_t number = 1; number <= SLUICE_WAL_SNAPSHOTS; number++) {
		need(wal_life_block(life, n) == (int)n && !wal_life_settle(life), "a block");
		wal_life_take_reports(life);
		need(!wal_life_save(life, io, number) && !wal_life_name(life, number),
		     "a snapshot");
	}
	need(wal_life_block(life, n) == (int)n && !wal_life_settle(life), "a block");
	io->ops->close(io);
}

int wal_life_close(struct wal_life *life, bool clean)
{
	int ret = sluice_wal_close(life->wal, clean, &life->diag); /* of NULL: nothing */

	free(life->memory);
	*life = (struct wal_life){.diag = life->diag};
	return ret;
}

uint64_t wal_life_expect(const struct sluice_core_options *limits, uint64_t cmd_seq)
{
	static struct sluice_core_options last_limits;
	static uint64_t last_seq, hash;
	struct wal_life life = {.wal = NULL};
	struct sluice_command command;

	if (last_seq && last_seq == cmd_seq && !memcmp(&last_limits, limits, sizeof(*limits)))
		return hash;
	life.memory = aligned_alloc(64, (sluice_core_bytes(limits) + 63) & ~(size_t)63);
	need(life.memory, "memory for a core");
	life.core = sluice_core_init(life.memory, limits);
	make_sink(&life, 1, 1);
	for (uint64_t i = 0; i < cmd_seq; i++) {
		wal_life_command(i, &command);
		sluice_core_apply(life.core, &command, i, &life.sink);
	}
	hash = sluice_core_state_hash(life.core);
	free(life.memory);
	last_seq = cmd_seq;
	last_limits = *limits;
	return hash;
}
