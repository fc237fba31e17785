/* SPDX-License-Identifier: MIT */
/*
 * check.c - see check.h. The log as it was written is kept block by block; a block that a newer
 * epoch overwrites was cut, and must never be seen again. The reference core executes a block when
 * it and all before it are on stable media, or when a recovery has built on it.
 */
#include "tests/sim/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/wal/snapshot.h"
#include "tests/sim/check_internal.h"
#include "tests/sim/disk.h"
#include "tests/sim/roles.h"
#include "tests/sim/segment.h"
#include "tests/sim/trace.h"

#define BLOCKS_MAX 8192u
#define COMMANDS_MAX 8192u
#define REPORTS_MAX 32768u
#define CORE_BYTES_MAX (1u << 20)

static struct sim_block blocks[BLOCKS_MAX];
static uint64_t blocks_end; /* written so far, without what was cut */
static uint64_t durable;    /* blocks below are on stable media, all of them */
static struct sluice_command commands[2 * COMMANDS_MAX]; /* as written, cut ones too */
static uint32_t commands_used;
static uint32_t order[COMMANDS_MAX]; /* by cmd_seq: index in `commands`, executed ones only */

static _Alignas(64) unsigned char core_memory[CORE_BYTES_MAX];
static struct sluice_core *core;
static struct sluice_sink sink;
static struct sluice_report reports[REPORTS_MAX];
static uint64_t executed; /* blocks */
static uint64_t executed_commands;
static uint64_t chain_after[BLOCKS_MAX]; /* the core's chain hash after the block */

static uint32_t window;
static uint64_t seen;	    /* reports below were seen by the consumer, as numbers */
static uint64_t gate;	    /* of the command ring */
static uint64_t visible;    /* reports below were published, in any life */
static uint64_t shown;	    /* the report ring's cursor, this life */
static bool halted, damaged, residual;
static bool rings_lost;	    /* and no engine has started since */
static uint64_t shown_at_halt, failed; /* the block with the error */

static void make_room(struct sluice_sink *full)
{
	(void)full;
	sim_fail("sim", "more than %u reports", REPORTS_MAX);
}

void sim_check_reset(const struct sluice_core_options *limits, uint32_t chosen_window)
{
	sluice_assert(sluice_core_bytes(limits) <= sizeof(core_memory));
	core = sluice_core_init(core_memory, limits);
	sink = (struct sluice_sink){
		.reports = reports,
		.report_mask = REPORTS_MAX - 1,
		.report_next = 1,
		.report_limit = REPORTS_MAX,
		.md_next = 1,
		.md_limit = UINT64_MAX,
		.make_room = make_room,
	};
	sim_cut_reset();
	blocks_end = durable = executed = executed_commands = 0;
	commands_used = 0;
	window = chosen_window;
	seen = visible = shown = 1;
	gate = 0;
	halted = damaged = residual = rings_lost = false;
}

void sim_check_damaged(void)
{
	damaged = true;
}

bool sim_check_is_damaged(void)
{
	return damaged;
}

void sim_check_count(uint64_t *ret_blocks, uint64_t *ret_commands, uint64_t *ret_reused)
{
	const uint64_t last = blocks_end ? blocks[blocks_end - 1].header.segment_no : 0;

	*ret_blocks = blocks_end;
	*ret_commands = executed_commands;
	*ret_reused = last < SLUICE_WAL_SEGMENTS ? 0 : last - SLUICE_WAL_SEGMENTS + 1;
}

bool sim_check_page(uint64_t chance, uint32_t *ret_file, uint64_t *ret_offset)
{
	const struct sluice_wal_super *super = sim_disk_super();
	const uint64_t start = super ? super->start.block_seq : 0;
	const struct sim_block *block;

	if (start >= blocks_end)
		return false;
	/* the newest ones more often */
	if (chance & 1 && blocks_end - start > 8)
		block = &blocks[blocks_end - 1 - (chance >> 1) % 8];
	else
		block = &blocks[start + (chance >> 1) % (blocks_end - start)];
	*ret_file = block->header.segment_no % SLUICE_WAL_SEGMENTS;
	*ret_offset = block->offset + (chance >> 20) %
				      (sluice_wal_block_bytes(block->header.n_cmds) /
				       SLUICE_WAL_ALIGN) * SLUICE_WAL_ALIGN;
	return true;
}

bool sim_check_is_residual(void)
{
	return residual;
}

/* ---------------------------------------------------------------------------- the log's order */

/* The next block in order, by the reference core. */
static void execute_next(void)
{
	const struct sim_block *block = &blocks[executed];
	const struct sluice_wal_block_header *header = &block->header;
	const bool has_state = header->flags & (SLUICE_WAL_DATA | SLUICE_WAL_OPEN);

	if (has_state && header->state_hash != sluice_core_chain_hash(core))
		sim_fail("I8", "block %llu says state %016llx, the log gives %016llx",
			 (unsigned long long)header->block_seq,
			 (unsigned long long)header->state_hash,
			 (unsigned long long)sluice_core_chain_hash(core));
	if (header->first_cmd_seq != executed_commands ||
	    (has_state && header->report_first != sink.report_next))
		sim_fail("I8", "block %llu begins with command %llu and report %llu, the log has "
			 "%llu and %llu", (unsigned long long)header->block_seq,
			 (unsigned long long)header->first_cmd_seq,
			 (unsigned long long)header->report_first,
			 (unsigned long long)executed_commands,
			 (unsigned long long)sink.report_next);
	if (executed_commands + header->n_cmds > COMMANDS_MAX)
		sim_fail("sim", "more than %u commands", COMMANDS_MAX);
	for (uint32_t i = 0; i < header->n_cmds; i++)
		order[executed_commands + i] = block->commands + i;
	sluice_core_apply_batch(core, &commands[block->commands], header->n_cmds,
				executed_commands, &sink);
	executed_commands += header->n_cmds;
	chain_after[executed++] = sluice_core_chain_hash(core);
}

static void advance(void)
{
	while (durable < blocks_end && blocks[durable].landed)
		durable++;
	while (executed < durable)
		execute_next();
}

const struct sluice_command *sim_check_command(uint64_t cmd_seq)
{
	return cmd_seq < executed_commands ? &commands[order[cmd_seq]] : NULL;
}

/* ------------------------------------------------------------------------------------- blocks */

/* Some block behind `seq` says that it was durable, so it cannot have gone unnoticed. */
static bool is_witnessed(uint64_t seq)
{
	for (uint64_t i = seq + 1; i < executed; i++)
		if (blocks[i].header.durable_seq > seq)
			return true;
	return false;
}

static bool is_whole(const struct sim_block *block)
{
	return sim_disk_is_whole_on_media(&block->header, block->offset);
}

/* What follows the durable blocks on the media: those written last, or older ones that were cut. */
static void believe_media(void)
{
	for (uint64_t seq = durable;; seq++) {
		const struct sim_block *cut = NULL;

		if (seq < blocks_end && is_whole(&blocks[seq]))
			blocks[seq].landed = true;
		if (seq >= blocks_end || !blocks[seq].landed)
			cut = sim_cut_find(seq, seq ? sluice_wal_link(&blocks[seq - 1].header) : 0);
		if (cut) {
			sim_trace("block %llu of epoch %llu, cut by epoch %llu, is whole again", seq,
				  cut->header.epoch, blocks[seq].header.epoch, 0);
			blocks[seq] = *cut;
			blocks[seq].landed = true;
			blocks_end = seq + 1;
		}
		if (seq >= blocks_end)
			break;
	}
	advance();
}

/* A newer epoch writes over what it cut. */
static void cut(const struct sluice_wal_block_header *header)
{
	const uint64_t seq = header->block_seq;
	bool lost;

	sim_trace("epoch %llu begins with block %llu, %llu were written", header->epoch, seq,
		  blocks_end, 0);
	believe_media();
	if (seq > blocks_end)
		sim_fail("I7", "epoch %u builds on block %llu, but the newest is %llu",
			 header->epoch, (unsigned long long)seq - 1,
			 (unsigned long long)blocks_end - 1);
	while (executed < seq)
		execute_next();
	for (uint64_t i = 0; i < seq; i++)
		if (!damaged && i >= durable && !is_whole(&blocks[i]))
			sim_fail("I2", "epoch %u builds on block %llu, which is not on stable "
				 "media", header->epoch, (unsigned long long)i);
	lost = gate > header->first_cmd_seq || visible > header->report_first;
	/* what nobody was told of may go with the damage; so may, alas, what has no witness */
	if (executed > seq && damaged && (!lost || (rings_lost && !is_witnessed(seq)))) {
		residual = lost;
		sim_end_early();
	}
	rings_lost = false;
	if (lost || executed > seq)
		sim_fail("I6", "epoch %u begins with block %llu, command %llu, report %llu; "
			 "durable were blocks below %llu, reports below %llu were visible, "
			 "commands below %llu released", header->epoch, (unsigned long long)seq,
			 (unsigned long long)header->first_cmd_seq,
			 (unsigned long long)header->report_first, (unsigned long long)executed,
			 (unsigned long long)visible, (unsigned long long)gate);
	while (blocks_end > seq)
		sim_cut_keep(&blocks[--blocks_end]);
	if (durable < seq)
		durable = seq;
}

/* A segment's earlier use must be before the log's start, on stable media. */
static void check_reuse(const struct sluice_wal_block_header *header)
{
	const struct sluice_wal_super *super = sim_disk_super();
	const uint64_t earlier = header->segment_no - (uint64_t)SLUICE_WAL_SEGMENTS;

	if (header->segment_no < SLUICE_WAL_SEGMENTS || damaged)
		return;
	if (!super || earlier >= super->start.segment_no)
		sim_fail("I10", "block %llu is written over segment %llu, and the log starts in "
			 "segment %llu", (unsigned long long)header->block_seq,
			 (unsigned long long)earlier,
			 super ? (unsigned long long)super->start.segment_no : 0ull);
}

static void check_new(const struct sluice_wal_block_header *header)
{
	const uint64_t seq = header->block_seq;

	if (seq != blocks_end)
		sim_fail("I4", "block %llu is written after block %llu", (unsigned long long)seq,
			 (unsigned long long)blocks_end - 1);
	if (header->durable_seq > durable)
		sim_fail("I2", "block %llu says that those below %llu are durable, those below "
			 "%llu are", (unsigned long long)seq,
			 (unsigned long long)header->durable_seq, (unsigned long long)durable);
	if (header->flags & SLUICE_WAL_SEAL && header->durable_seq != seq)
		sim_fail("I2", "SEAL %llu witnesses the blocks below %llu only",
			 (unsigned long long)seq, (unsigned long long)header->durable_seq);
	if (seq - durable >= window)
		sim_fail("I5", "block %llu is written while block %llu is not durable",
			 (unsigned long long)seq, (unsigned long long)durable);
	if (seq && header->epoch < blocks[seq - 1].header.epoch)
		sim_fail("I7", "block %llu is of epoch %u, the one before of %u",
			 (unsigned long long)seq, header->epoch, blocks[seq - 1].header.epoch);
}

/* The same block once more, because it was interrupted or short. */
static bool is_again(const struct sluice_wal_block_header *header)
{
	const uint64_t seq = header->block_seq;
	/* one whose epoch only a superblock knew of that has rotted since: it was never durable */
	const bool excused = damaged && seq + 1 == blocks_end && header->flags & SLUICE_WAL_OPEN;

	if (seq >= blocks_end || header->epoch != blocks[seq].header.epoch)
		return false;
	if (memcmp(header, &blocks[seq].header, sizeof(*header))) {
		if (excused)
			return false;
		sim_fail("I4", "block %llu is written again with other content",
			 (unsigned long long)seq);
	}
	/* one that was interrupted may have been reaped together with, but before, the error */
	if (halted && seq == failed)
		sim_fail("I11", "block %llu is written again after an error",
			 (unsigned long long)seq);
	return true;
}

void sim_check_submit(uint32_t file, uint64_t offset, const void *data)
{
	const struct sluice_wal_block_header *header = data;
	const uint64_t seq = header->block_seq;
	struct sim_block *block;

	if (header->segment_no % SLUICE_WAL_SEGMENTS != file)
		sim_fail("I4", "block %llu of segment %u is written to file %u",
			 (unsigned long long)seq, header->segment_no, file);
	if (seq >= BLOCKS_MAX || commands_used + header->n_cmds > 2 * COMMANDS_MAX)
		sim_fail("sim", "more than %u blocks", BLOCKS_MAX);
	advance();
	if (is_again(header))
		return;
	if (halted)
		sim_fail("I11", "block %llu is written after the log was halted",
			 (unsigned long long)seq);
	if (blocks_end && (seq < blocks_end ||
			   header->epoch != blocks[blocks_end - 1].header.epoch))
		cut(header);
	check_new(header);
	check_reuse(header);
	block = &blocks[seq];
	block->header = *header;
	block->offset = offset;
	block->commands = commands_used;
	block->landed = false;
	memcpy(&commands[commands_used], header + 1, header->n_cmds * sizeof(*commands));
	commands_used += header->n_cmds;
	blocks_end = seq + 1;
	if (header->flags & (SLUICE_WAL_OPEN | SLUICE_WAL_SEAL))
		sim_tempt(120);
	else if (seq > durable && blocks[seq - 1].header.flags & SLUICE_WAL_SEAL)
		sim_tempt(500); /* with nothing of its own, that one may be missed by nobody */
	sim_trace("block %llu, %llu commands, flags %llu, durable %llu", seq, header->n_cmds,
		  header->flags, header->durable_seq);
}

void sim_check_landed(const void *data)
{
	const struct sluice_wal_block_header *header = data;
	const uint64_t seq = header->block_seq;

	if (seq >= blocks_end || memcmp(header, &blocks[seq].header, sizeof(*header)))
		return; /* of a process that is dead: it was cut meanwhile */
	blocks[seq].landed = true;
	sim_trace("block %llu is durable", seq, 0, 0, 0);
	advance();
}

void sim_check_media(void)
{
	believe_media();
}

void sim_check_super(const struct sluice_wal_super *super, bool by_living)
{
	sim_trace("superblock %llu: epoch %llu, starts at block %llu, closed at %llu",
		  super->sequence, super->epoch, super->start.block_seq, super->close_block_seq);
	sim_check_snapshots(super, by_living);
}

/* ---------------------------------------------------------------------------------- the rings */

void sim_check_halted(uint64_t tag)
{
	sim_trace("the engine is told of an error", 0, 0, 0, 0);
	halted = true;
	failed = tag;
	shown_at_halt = shown;
}

void sim_check_engine_ended(void)
{
	halted = false;
}

void sim_check_rings_gone(void)
{
	rings_lost = true;
	shown = 1;
	gate = 0;
}

/* The engine's own entry in the command ring; NULL: it has none yet. */
static const struct sluice_participant *engine_entry(const struct sluice_segment *cmd)
{
	for (uint32_t i = 0; i < cmd->header.participant_count; i++)
		if (cmd->participants[i].role == SLUICE_ROLE_CONSUMER &&
		    !strcmp(cmd->participants[i].name, "engine"))
			return &cmd->participants[i];
	return NULL;
}

static void check_gate(uint64_t position)
{
	if (position > executed_commands)
		sim_fail("I3", "commands below %llu are released, those below %llu are durable",
			 (unsigned long long)position, (unsigned long long)executed_commands);
	if (position < gate)
		sim_fail("I3", "the gate went back from %llu to %llu", (unsigned long long)gate,
			 (unsigned long long)position);
	gate = position;
}

static void check_shown(uint64_t cursor)
{
	shown = cursor + 1; /* report n is at sequence n - 1 */
	if (shown > sink.report_next)
		sim_fail("I1", "reports below %llu are visible, the durable log gives those below "
			 "%llu", (unsigned long long)shown, (unsigned long long)sink.report_next);
	if (halted && shown != shown_at_halt)
		sim_fail("I11", "report %llu became visible after the log was halted",
			 (unsigned long long)shown - 1);
	if (shown > visible)
		visible = shown;
}

void sim_check_rings(void)
{
	static const struct sluice_segment *cmd, *rep;
	static const struct sluice_participant *entry;
	static uint64_t changes;

	if (changes != sim_segment_changes()) {
		changes = sim_segment_changes();
		cmd = sim_segment_find(SIM_INSTANCE ".cmd");
		rep = sim_segment_find(SIM_INSTANCE ".rep");
		entry = cmd ? engine_entry(cmd) : NULL;
	}
	/* relaxed, both: one thread */
	if (rep)
		check_shown(atomic_load_explicit(&rep->control->cursor, memory_order_relaxed));
	if (entry)
		check_gate(atomic_load_explicit(&entry->position, memory_order_relaxed));
}

bool sim_check_report(const struct sluice_report *report)
{
	const uint64_t n = report->n;

	if (n >= sink.report_next || n == 0)
		sim_fail("I1", "report %llu is visible, the durable log gives those below %llu",
			 (unsigned long long)n, (unsigned long long)sink.report_next);
	if (memcmp(report, &reports[(n - 1) & (REPORTS_MAX - 1)], sizeof(*report)))
		sim_fail("I9", "report %llu is not the one that the log gives",
			 (unsigned long long)n);
	if (n > seen)
		sim_fail("I9", "report %llu comes after report %llu", (unsigned long long)n,
			 (unsigned long long)seen - 1);
	if (n < seen)
		return false;
	seen++;
	return true;
}

void sim_check_follower(uint64_t block_seq, uint64_t chain_hash, uint64_t cmd_seq)
{
	if (damaged)
		return;
	advance();
	if (block_seq > durable)
		sim_fail("I2", "the follower has executed block %llu, those below %llu are durable",
			 (unsigned long long)block_seq - 1, (unsigned long long)durable);
	if (block_seq && (chain_after[block_seq - 1] != chain_hash ||
			  blocks[block_seq - 1].header.first_cmd_seq +
					  blocks[block_seq - 1].header.n_cmds !=
				  cmd_seq))
		sim_fail("I8", "the follower's state after block %llu is not the log's",
			 (unsigned long long)block_seq - 1);
}

void sim_check_place(const struct sluice_wal_place *place)
{
	const uint64_t seq = place->block_seq;

	if (seq > durable ||
	    (seq && (place->cmd_seq != blocks[seq - 1].header.first_cmd_seq +
					       blocks[seq - 1].header.n_cmds ||
		     place->prev_link != sluice_wal_link(&blocks[seq - 1].header))))
		sim_fail("snapshot", "a snapshot at block %llu, command %llu: the durable log has "
			 "blocks below %llu", (unsigned long long)seq,
			 (unsigned long long)place->cmd_seq, (unsigned long long)durable);
}
