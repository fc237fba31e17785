/* SPDX-License-Identifier: MIT */
/* wal_world.c - see wal_world.h. The limits are small, so that states come and go quickly. */
#include "tests/lib/wal_world.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/wal/wal_files.h"
#include "engine/wal/wal_internal.h"
#include "engine/wal/wal_super.h"
#include "shm/crc32c.h"

#define SYMBOLS 3u
#define SESSIONS 5u
#define STEP_NS 100000000u
#define LOCK_WAIT_NS 1000000000u

static const uint8_t ring_uuid[16] = {9, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

static void need(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "test set-up failed: %s: %s\n", what, strerror(errno));
	abort();
}

static void make_room(struct sluice_sink *sink)
{
	sink->report_limit = sink->report_next + WAL_WORLD_REPORTS;
	sink->md_limit = UINT64_MAX;
}

static void take_memory(const struct wal_world *world, struct wal_world_state *ret_state)
{
	const size_t bytes = sluice_core_bytes(&world->fixture.options.core);

	need(bytes, "the core's options");
	*ret_state = (struct wal_world_state){
		.memory = aligned_alloc(64, (bytes + 63) & ~(size_t)63),
		.sink = {.report_mask = WAL_WORLD_REPORTS - 1, .make_room = make_room},
	};
	need(ret_state->memory, "memory for a core");
}

static void begin_at(struct wal_world_state *state, uint64_t report, uint64_t md)
{
	state->sink.reports = state->reports;
	state->sink.report_next = report;
	state->sink.md_next = md;
	make_room(&state->sink);
}

void wal_world_make(struct wal_world *world, uint64_t stream)
{
	*world = (struct wal_world){.stream = stream};
	wal_fixture_make_dir(&world->fixture);
	world->fixture.options.core = (struct sluice_core_options){.symbols_max = 4,
								   .orders_max = 6000,
								   .levels_max = 256,
								   .sessions_max = 8,
								   .window_ticks = 64};
	need(!sluice_wal_format(world->fixture.dir, &world->fixture.options, &world->fixture.diag),
	     world->fixture.diag.text);
	take_memory(world, &world->live);
	world->live.core = sluice_core_init(world->live.memory, &world->fixture.options.core);
	need(world->live.core, "an empty core");
	begin_at(&world->live, 1, 1);
}

void wal_world_state_release(struct wal_world_state *state)
{
	free(state->memory);
	state->memory = NULL;
}

void wal_world_remove(struct wal_world *world)
{
	if (world->wal)
		sluice_wal_close(world->wal, false, NULL);
	wal_world_state_release(&world->live);
	wal_fixture_remove(&world->fixture);
}

void wal_world_command(const struct wal_world *world, uint64_t cmd_seq,
		       struct sluice_command *ret_command)
{
	uint64_t seed = (cmd_seq + 1) * 0x9e3779b97f4a7c15ull ^ world->stream;
	uint64_t kind = wal_fixture_random(&seed) % 16;
	bool buy = wal_fixture_random(&seed) % 2;

	*ret_command = (struct sluice_command){
		.head = {.type = SLUICE_CMD_PLACE, .length = SLUICE_WAL_RECORD_BYTES},
		.order_id = cmd_seq,
		/* mostly beside each other, sometimes across, over more than a window */
		.price = 1000 + (int64_t)(wal_fixture_random(&seed) % 90) + (buy ? 0 : 80),
		.qty = 1 + (int64_t)(wal_fixture_random(&seed) % 50),
		.symbol = (uint32_t)(wal_fixture_random(&seed) % SYMBOLS),
		.account = 1 + (uint32_t)(wal_fixture_random(&seed) % 3),
		.side = buy ? SLUICE_SIDE_BUY : SLUICE_SIDE_SELL,
		.order_type = SLUICE_ORDER_LIMIT,
		.tif = SLUICE_TIF_GTC,
		.session = 1 + (uint32_t)(wal_fixture_random(&seed) % SESSIONS),
		.client_seq = cmd_seq + 1,
		.time_ns = cmd_seq * 1000,
	};
	if (cmd_seq < SYMBOLS) {
		ret_command->head.type = SLUICE_CMD_ADD_SYMBOL;
		snprintf(ret_command->u.define.name, sizeof(ret_command->u.define.name), "SYM%u",
			 (unsigned int)cmd_seq);
	} else if (kind < 3) {
		ret_command->head.type = SLUICE_CMD_CANCEL;
		ret_command->order_id = cmd_seq - wal_fixture_random(&seed) % cmd_seq;
	} else if (kind == 3) {
		ret_command->tif = SLUICE_TIF_IOC;
	}
}

bool wal_world_same(const struct wal_world_state *a, const struct wal_world_state *b)
{
	struct sluice_core_stats stats[2];

	sluice_core_stats(a->core, &stats[0]);
	sluice_core_stats(b->core, &stats[1]);
	return sluice_core_chain_hash(a->core) == sluice_core_chain_hash(b->core) &&
	       sluice_core_state_hash(a->core) == sluice_core_state_hash(b->core) &&
	       a->sink.report_next == b->sink.report_next && a->sink.md_next == b->sink.md_next &&
	       !memcmp(&stats[0], &stats[1], sizeof(stats[0]));
}

/* What the log says of the state at each block must be so. */
static int execute(const struct sluice_wal_block_header *header,
		   const struct sluice_command *commands, uint32_t n, void *arg)
{
	struct wal_world_state *state = arg;

	if ((header->flags & (SLUICE_WAL_DATA | SLUICE_WAL_OPEN)) &&
	    (header->state_hash != sluice_core_chain_hash(state->core) ||
	     header->report_first != state->sink.report_next))
		return -EILSEQ;
	sluice_core_apply_batch(state->core, commands, n, header->first_cmd_seq, &state->sink);
	return 0;
}

static int recover(struct wal_world *world, struct wal_world_state *state,
		   struct sluice_wal **ret_wal)
{
	struct sluice_wal_position position;
	struct sluice_wal *wal;
	int ret = wal_fixture_open(&world->fixture, &wal);

	if (ret)
		return ret;
	ret = sluice_wal_restore(wal, state->memory, &state->core, &world->fixture.diag);
	if (!ret) {
		sluice_wal_position(wal, &position);
		begin_at(state, position.start_report, position.start_md);
		ret = sluice_wal_replay(wal, execute, state, &world->fixture.diag);
	}
	snprintf(world->passed_over, sizeof(world->passed_over), "%s",
		 sluice_wal_snapshot_text(wal));
	if (ret)
		sluice_wal_close(wal, false, NULL);
	else
		*ret_wal = wal;
	return ret;
}

int wal_world_recover(struct wal_world *world, struct wal_world_state *ret_state,
		      struct sluice_wal_position *ret_position)
{
	struct sluice_wal *wal;
	int ret;

	take_memory(world, ret_state);
	ret = recover(world, ret_state, &wal);
	if (ret) {
		wal_world_state_release(ret_state);
		return ret;
	}
	if (ret_position)
		sluice_wal_position(wal, ret_position);
	sluice_wal_close(wal, false, NULL);
	return 0;
}

static void begin_epoch(struct wal_world *world)
{
	struct sluice_wal_position position;

	sluice_wal_position(world->wal, &position);
	world->cmd_seq = position.next_cmd_seq;
	need(!sluice_wal_start(world->wal, ring_uuid, sluice_core_chain_hash(world->live.core),
			       world->live.sink.report_next, &world->fixture.diag),
	     world->fixture.diag.text);
}

void wal_world_start(struct wal_world *world)
{
	struct wal_world_state state;

	take_memory(world, &state);
	need(!recover(world, &state, &world->wal), world->fixture.diag.text);
	wal_world_state_release(&world->live);
	world->live = state;
	world->live.sink.reports = world->live.reports;
	begin_epoch(world);
}

void wal_world_go_on(struct wal_world *world)
{
	need(!wal_fixture_open(&world->fixture, &world->wal), world->fixture.diag.text);
	begin_epoch(world);
}

bool wal_world_submit(struct wal_world *world, uint32_t n)
{
	struct wal_world_state *live = &world->live;

	for (uint32_t i = 0; i < n; i++) {
		struct sluice_command *record;
		uint32_t room;

		record = sluice_wal_reserve(world->wal, sluice_core_chain_hash(live->core),
					    live->sink.report_next, &room);
		if (!record)
			return false;
		wal_world_command(world, world->cmd_seq, record);
		sluice_core_apply(live->core, record, world->cmd_seq++, &live->sink);
		sluice_wal_append(world->wal, 1);
	}
	need(!sluice_wal_submit(world->wal), "a block");
	return true;
}

void wal_world_block(struct wal_world *world, uint32_t n)
{
	const uint64_t end = world->cmd_seq + n;

	while (!wal_world_submit(world, (uint32_t)(end - world->cmd_seq))) {
		need(!sluice_wal_full(world->wal), "space in the log");
		need(sluice_wal_wait(world->wal, STEP_NS) >= 0, "a block");
	}
	need(!wal_fixture_settle(world->wal), "a block");
}

void wal_world_eighth(struct wal_world *world)
{
	const uint64_t eighth = WAL_FIXTURE_SEGMENT_BYTES / 8;
	const uint64_t room = eighth - world->wal->chain.offset % eighth;

	wal_world_block(world, (uint32_t)((room - sizeof(struct sluice_wal_block_header)) /
					  SLUICE_WAL_RECORD_BYTES));
	need(world->wal->chain.offset % eighth == 0, "a block to the next eighth");
}

void wal_world_fill(struct wal_world *world, uint64_t segment_no, uint64_t every)
{
	const struct sluice_wal_chain *chain = &world->wal->chain;

	while (chain->segment_no < segment_no) {
		if (every && chain->offset == 0 && chain->segment_no % every == 0 &&
		    chain->block_seq > 0)
			wal_world_snapshot(world);
		wal_world_eighth(world);
	}
}

void wal_world_place(const struct wal_world *world, struct sluice_wal_place *ret_place)
{
	sluice_wal_chain_place(&world->wal->chain, world->live.sink.report_next,
			       world->live.sink.md_next, ret_place);
}

void wal_world_close(struct wal_world *world, bool clean)
{
	need(!sluice_wal_close(world->wal, clean, &world->fixture.diag), world->fixture.diag.text);
	world->wal = NULL;
}

void wal_world_write_snapshot(struct wal_world *world, uint64_t sequence,
			      const struct sluice_wal_place *place,
			      struct sluice_wal_snapshot *ret_snapshot)
{
	struct sluice_snapshot_writer writer;
	struct sluice_wal_super super;
	struct sluice_wal_io *io;
	int ret;

	wal_world_super(world, &super);
	need(!sluice_wal_io_blocking_create(&io, world->fixture.dir, NULL), "a disk");
	need(!io->ops->open(io, SLUICE_WAL_IO_FOLLOW, NULL), "a disk to follow");
	need(!io->ops->lock(io, SLUICE_WAL_IO_SNAPSHOTS, LOCK_WAIT_NS, NULL), "the lock");
	need(!sluice_snapshot_begin(&writer, io, &super, sequence, world->live.core, place),
	     "a snapshot");
	while ((ret = sluice_snapshot_step(&writer, 1, ret_snapshot)) == 1)
		;
	need(!ret, "a snapshot's step");
	sluice_snapshot_end(&writer);
	io->ops->close(io);
	world->snapshot = sequence;
}

void wal_world_snapshot(struct wal_world *world)
{
	struct sluice_wal_snapshot snapshot;
	struct sluice_wal_place place;

	wal_world_place(world, &place);
	wal_world_write_snapshot(world, world->snapshot + 1, &place, &snapshot);
	sluice_wal_reports_taken(world->wal, world->live.sink.report_next);
	need(!sluice_wal_offer(world->wal, world->snapshot, &world->fixture.diag),
	     world->fixture.diag.text);
	while (sluice_wal_snapshot_named(world->wal) != world->snapshot)
		need(sluice_wal_wait(world->wal, STEP_NS) >= 0, "a superblock");
}

void wal_world_forge(const struct wal_world *world, uint64_t sequence, uint64_t record,
		     uint32_t byte, struct sluice_snapshot_header *ret_header)
{
	const uint32_t file = SLUICE_WAL_FILE_SNAPSHOT + (uint32_t)(sequence % 2);
	const uint64_t at = SLUICE_WAL_ALIGN +
			    record / SLUICE_SNAPSHOT_RECORDS * SLUICE_SNAPSHOT_CHUNK_BYTES +
			    (record % SLUICE_SNAPSHOT_RECORDS + 1) * 64;
	struct sluice_snapshot_chunk *chunk = aligned_alloc(64, SLUICE_SNAPSHOT_CHUNK_BYTES);

	need(chunk, "memory for a chunk");
	wal_fixture_flip(&world->fixture, file, at + byte, 0);
	wal_fixture_peek(&world->fixture, file, 0, ret_header, sizeof(*ret_header));
	ret_header->chunks_crc = 0;
	for (uint64_t offset = SLUICE_WAL_ALIGN; offset < ret_header->bytes;
	     offset += SLUICE_SNAPSHOT_CHUNK_BYTES) {
		wal_fixture_peek(&world->fixture, file, offset, chunk, SLUICE_SNAPSHOT_CHUNK_BYTES);
		chunk->crc = sluice_snapshot_chunk_checksum(chunk);
		wal_fixture_poke(&world->fixture, file, offset, chunk, sizeof(*chunk));
		ret_header->chunks_crc = sluice_crc32c(ret_header->chunks_crc, &chunk->crc,
						       sizeof(chunk->crc));
	}
	ret_header->header_crc = sluice_snapshot_header_checksum(ret_header);
	wal_fixture_poke(&world->fixture, file, 0, ret_header, sizeof(*ret_header));
	free(chunk);
}

void wal_world_verdict(struct wal_world *world, struct sluice_wal_report *ret_report)
{
	const struct sluice_wal_block_header *header;
	const struct sluice_command *commands;
	struct sluice_wal_reader *reader = NULL;
	uint32_t segment_no;
	uint64_t offset;

	need(!sluice_wal_reader_open(&reader, world->fixture.dir, &world->fixture.diag),
	     world->fixture.diag.text);
	while (sluice_wal_reader_next(reader, &header, &commands, &segment_no, &offset) == 1)
		;
	need(!sluice_wal_reader_verdict(reader, ret_report), "a verdict");
	sluice_wal_reader_close(reader);
}

void wal_world_super(const struct wal_world *world, struct sluice_wal_super *ret_super)
{
	struct sluice_wal_super copy;

	*ret_super = (struct sluice_wal_super){.magic = 0};
	for (uint32_t i = 0; i < SLUICE_WAL_SUPER_COPIES; i++) {
		struct sluice_wal_fault unused;

		wal_fixture_peek(&world->fixture, SLUICE_WAL_FILE_SUPER, i * SLUICE_WAL_ALIGN,
				 &copy, sizeof(copy));
		if (sluice_wal_super_valid(&copy, &unused) &&
		    (!ret_super->magic || copy.sequence > ret_super->sequence))
			*ret_super = copy;
	}
	need(ret_super->magic, "a superblock");
}

void wal_world_put_super(const struct wal_world *world, struct sluice_wal_super *super)
{
	static _Alignas(8) unsigned char page[SLUICE_WAL_ALIGN];
	struct sluice_wal_super newest;

	wal_world_super(world, &newest);
	sluice_wal_super_seal(super, &newest);
	sluice_wal_super_page(super, page);
	wal_fixture_poke(&world->fixture, SLUICE_WAL_FILE_SUPER,
			 super->sequence % SLUICE_WAL_SUPER_COPIES * SLUICE_WAL_ALIGN, page,
			 sizeof(page));
}
