/* SPDX-License-Identifier: MIT */
/*
 * publish.c - what becomes visible, and when: reports up to the durable mark, then the command
 * ring's position. Also the room that the core's sink writes into.
 */
#include "engine/engine.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cli/report.h"
#include "cli/signals.h"
#include "shm/clock.h"

#define ROOM_CHUNK 1024u    /* reports claimed at a time */
#ifndef MD_ROOM_CHUNK	    /* the simulator's rings are small */
#define MD_ROOM_CHUNK 1024u /* taken from what lossy readers can still see: kept small */
#endif
#define ROOM_WAIT_NS 50000000u
#define SAY_AFTER_NS 1000000000u
#define COMMIT_WAIT_NS 1000000u

static void make_room(struct sluice_sink *sink);

static bool is_after(uint64_t sequence, uint64_t other)
{
	return (int64_t)(sequence - other) > 0;
}

/* What every report of this engine says of its durability, replayed ones as well. */
uint16_t engine_report_flags(const struct engine *engine)
{
	static const uint16_t flags[] = {SLUICE_REPORT_DURABLE, SLUICE_REPORT_ASYNC,
					 SLUICE_REPORT_NO_LOG};

	return flags[engine->options.durability];
}

void engine_sink_init(struct engine *engine)
{
	struct sluice_sink *sink = &engine->sink;

	sink->reports = sluice_ring_payload(&engine->out.ring, 0);
	sink->report_mask = engine->out.ring.mask;
	sink->report_next = engine->out.next + 1;
	sink->report_limit = sink->report_next;
	sink->md = sluice_ring_payload(&engine->md_out.ring, 0);
	sink->md_mask = engine->md_out.ring.mask;
	sink->md_next = engine->md_out.next + 1;
	sink->md_limit = sink->md_next;
	sink->report_flags = engine_report_flags(engine);
	/* not the entry's index: another one after a restart, and reports must be the same */
	sink->participant = 0;
	sink->make_room = make_room;
	sink->context = engine;
}

int engine_halt(struct engine *engine, int error)
{
	if (!engine->error)
		engine->error = error;
	return error;
}

/* Takes claimed slots into the sink's window. Report n lives at sequence n - 1. */
static int claim_more(struct sluice_producer *producer, uint64_t chunk, uint64_t *limit)
{
	const uint64_t remaining = sluice_producer_remaining(producer);
	uint64_t first;
	int rc;

	if (!remaining)
		return -EAGAIN;
	rc = sluice_producer_try_claim(producer, remaining < chunk ? remaining : chunk, &first);
	if (!rc)
		*limit = producer->next + 1;
	return rc;
}

/* Nobody gates market data, so its unpublished part is bounded here. */
static int claim_more_md(struct engine *engine)
{
	const uint64_t unpublished = engine->md_out.next - engine->md_out.published;
	uint64_t first;
	int rc;

	if (engine->md_out.ring.slot_count - unpublished < MD_ROOM_CHUNK)
		return -EAGAIN;
	rc = sluice_producer_try_claim(&engine->md_out, MD_ROOM_CHUNK, &first);
	if (!rc)
		engine->sink.md_limit = engine->md_out.next + 1;
	return rc;
}

void engine_say_waiting(struct engine *engine)
{
	if (engine->waited_said)
		return;
	engine->waited_said = true;
	sluice_cli_log(ENGINE_PROGRAM,
		       "waiting=\"%s.rep is full: its reports are kept until they are "
		       "read\" try=\"sluice-consumer --name %s\"",
		       engine->options.name, engine->options.name);
}

/*
 * Waits up to timeout_ns for at least one free report slot and one of market data. 0, -EAGAIN, or
 * the error that ends the engine. Never called with the core in the middle of a command.
 */
int engine_room(struct engine *engine, uint64_t timeout_ns)
{
	struct sluice_sink *sink = &engine->sink;
	uint64_t first;
	int rc = 0;

	if (sink->md_next == sink->md_limit)
		rc = claim_more_md(engine);
	if (rc || sink->report_next != sink->report_limit)
		return rc;
	rc = claim_more(&engine->out, ROOM_CHUNK, &sink->report_limit);
	if (rc != -EAGAIN || !timeout_ns)
		return rc;
	rc = sluice_producer_claim(&engine->out, 1, timeout_ns, &first);
	if (!rc)
		sink->report_limit = engine->out.next + 1;
	return rc == -ETIMEDOUT ? -EAGAIN : rc;
}

/*
 * The core needs room in the middle of a command, perhaps of a sweep with more reports than the
 * ring has slots. The command is in the log's block already: make it durable, show what there is,
 * and wait for the consumers.
 */
static void make_room(struct sluice_sink *sink)
{
	struct engine *engine = sink->context;
	const uint64_t started_ns = sluice_clock_ns();
	int rc = engine_room(engine, 0);

	while (rc == -EAGAIN) {
		if (engine->wal) {
			rc = sluice_wal_submit(engine->wal);
			if (!rc)
				rc = sluice_wal_wait(engine->wal, COMMIT_WAIT_NS);
			if (rc < 0)
				break;
		}
		engine_publish(engine);
		rc = engine_room(engine, ROOM_WAIT_NS);
		if (rc == -EAGAIN && sluice_clock_ns() - started_ns > SAY_AFTER_NS)
			engine_say_waiting(engine);
		/* half-way through a command the state cannot be closed cleanly, nor need it be */
		if (rc == -EAGAIN && sluice_signals_stop()) {
			sluice_cli_log(ENGINE_PROGRAM,
				       "stopped=\"while waiting for %s.rep\" restart=\"%s\"",
				       engine->options.name,
				       engine->wal ? "goes on where it was" : "not without a log");
			_exit(0);
		}
	}
	if (!rc)
		return;
	/* D5: nothing more is published; the log has what was acknowledged */
	engine_halt(engine, rc);
	engine_notes(engine);
	sluice_cli_log(ENGINE_PROGRAM, "halted=\"%s\" errno=%d",
		       engine->wal ? sluice_wal_error_text(engine->wal) : strerror(-rc), -rc);
	_exit(1);
}

/*
 * What is let go by everybody whom reports are kept for; with drop that is everything that was
 * shown. A gate that makes no sense is the next claim's business.
 */
void engine_tell_taken(struct engine *engine)
{
	uint64_t taken = engine->out.published;
	int error = 0;

	if (!engine->wal)
		return;
	if (engine->options.reports == ENGINE_REPORTS_KEEP)
		taken = sluice_gate_min(&engine->out.ring, taken, &error);
	if (!error && !is_after(taken, engine->out.published))
		sluice_wal_reports_taken(engine->wal, taken + 1);
}

/* The same from what the last claim saw: no block is further behind than the ring is long. */
static void tell_gate(struct engine *engine)
{
	const struct sluice_producer *out = &engine->out;
	const uint64_t taken = engine->options.reports == ENGINE_REPORTS_KEEP ? out->gate :
										out->published;

	/* before the first claim nobody has looked */
	if (out->membership != UINT64_MAX && !is_after(taken, out->published))
		sluice_wal_reports_taken(engine->wal, taken + 1);
}

void engine_mark_push(struct engine *engine)
{
	struct engine_mark *mark = &engine->marks[engine->marks_next % ENGINE_MARKS];

	sluice_assert(engine->marks_next - engine->marks_first < ENGINE_MARKS);
	mark->cmd_seq = sluice_wal_next_cmd_seq(engine->wal);
	mark->report_next = engine->sink.report_next;
	mark->md_next = engine->sink.md_next;
	engine->marks_next++;
	tell_gate(engine);
}

/* Names of symbols whose add_symbol is durable, into all three directories. */
void engine_directory(struct engine *engine, uint64_t below_cmd_seq)
{
	struct sluice_segment *const segments[] = {&engine->cmd, &engine->rep, &engine->md};

	for (int i = 0; i < 3; i++) {
		struct sluice_segment *segment = segments[i];
		/* relaxed: own word */
		uint64_t used = atomic_load_explicit(&segment->control->directory_used,
						     memory_order_relaxed);
		const struct sluice_core_symbol *symbol;

		while (used < segment->header.directory_count &&
		       (symbol = sluice_core_symbol(engine->core, (uint32_t)used)) &&
		       symbol->cmd_seq < below_cmd_seq) {
			struct sluice_directory_entry *entry = &segment->directory[used];

			memset(entry, 0, sizeof(*entry));
			memcpy(entry->name, symbol->name, sizeof(entry->name));
			entry->id = symbol->id;
			entry->kind = SLUICE_DIRECTORY_SYMBOL;
			entry->price_decimals = symbol->price_decimals;
			entry->qty_decimals = symbol->qty_decimals;
			entry->cmd_seq = symbol->cmd_seq;
			used++;
			/* sync: directory:used -> names:used; the entry before its count */
			atomic_store_explicit(&segment->control->directory_used, used,
					      memory_order_release);
		}
	}
}

static void record_latency(struct engine *engine, uint64_t from, uint64_t to)
{
	const uint64_t now_ns = sluice_clock_ns();

	for (uint64_t seq = from; seq != to; seq++) {
		const uint64_t send_ns = engine->sends[seq & engine->sends_mask];

		if (send_ns && send_ns < now_ns)
			sluice_histogram_record(engine->report_ns, now_ns - send_ns);
	}
}

/* Marks may be older than what is visible: with async everything went out when it was submitted. */
static void publish_up_to(struct engine *engine, const struct engine_mark *mark)
{
	const uint64_t md_end = mark->md_next - 1, report_end = mark->report_next - 1;

	if (is_after(md_end, engine->md_out.published))
		sluice_producer_publish_range(&engine->md_out, engine->md_out.published,
					      md_end - 1);
	if (is_after(report_end, engine->out.published))
		sluice_producer_publish_range(&engine->out, engine->out.published, report_end - 1);
	if (is_after(mark->cmd_seq, engine->visible)) {
		record_latency(engine, engine->visible, mark->cmd_seq);
		engine->visible = mark->cmd_seq;
	}
}

/*
 * Publishes what the durability mode allows now and moves the command ring's position to the
 * durable point. Cheap when nothing changed.
 */
void engine_publish(struct engine *engine)
{
	const struct engine_mark all = {engine->executed, engine->sink.report_next,
					engine->sink.md_next};
	uint64_t durable = engine->executed;

	if (engine->wal) {
		const uint64_t next = sluice_wal_next_cmd_seq(engine->wal);
		const bool shows_submitted = engine->options.durability == ENGINE_ASYNC &&
					     !sluice_wal_pending_bytes(engine->wal);

		durable = sluice_wal_durable_cmd_seq(engine->wal);
		/* a name before the first report that needs it */
		engine_directory(engine, shows_submitted ? next : durable);
		while (engine->marks_first != engine->marks_next &&
		       !is_after(engine->marks[engine->marks_first % ENGINE_MARKS].cmd_seq,
				 durable))
			publish_up_to(engine, &engine->marks[engine->marks_first++ % ENGINE_MARKS]);
		/*
		 * Everything executed is durable (or, with async, submitted): also the reports that
		 * a command made after its block had gone out.
		 */
		if (durable == next || shows_submitted)
			publish_up_to(engine, &all);
	} else {
		engine_directory(engine, engine->executed);
		publish_up_to(engine, &all);
	}
	if (is_after(durable, engine->in.released))
		sluice_consumer_release(&engine->in, durable);
}

void engine_notes(struct engine *engine)
{
	struct sluice_control *const controls[] = {engine->cmd.control, engine->rep.control};
	struct sluice_core_stats core;
	struct sluice_wal_stats wal = {0};

	sluice_core_stats(engine->core, &core);
	if (engine->wal)
		sluice_wal_stats(engine->wal, &wal);
	sluice_counter_set(engine->commands, core.commands);
	sluice_counter_set(engine->reports, core.reports);
	sluice_counter_set(engine->trades, core.trades);
	sluice_counter_set(engine->rejected, core.rejected);
	sluice_counter_set(engine->duplicates, core.duplicates);
	sluice_counter_set(engine->orders_live, core.orders_live);
	sluice_counter_set(engine->wal_bytes, wal.bytes);
	sluice_counter_set(engine->wal_blocks, wal.blocks);
	sluice_counter_set(engine->wal_commands, wal.commands);
	sluice_counter_set(engine->wal_in_flight,
			   engine->wal ? sluice_wal_in_flight(engine->wal) : 0);
	engine_supervise_notes(engine);
	for (int i = 0; i < 2; i++) {
		_Atomic uint64_t *note = controls[i]->note;

		/* relaxed, all: the owner's status for tools */
		atomic_store_explicit(&note[SLUICE_NOTE_DURABILITY], engine->sink.report_flags + 1u,
				      memory_order_relaxed);
		atomic_store_explicit(&note[SLUICE_NOTE_DURABLE],
				      engine->wal ? sluice_wal_durable_cmd_seq(engine->wal) : 0,
				      memory_order_relaxed);
		atomic_store_explicit(&note[SLUICE_NOTE_HALTED], (uint64_t)-engine->error,
				      memory_order_relaxed);
		atomic_store_explicit(&note[SLUICE_NOTE_WAL_BYTES], wal.bytes,
				      memory_order_relaxed);
		atomic_store_explicit(&note[SLUICE_NOTE_WAL_BLOCKS], wal.blocks,
				      memory_order_relaxed);
		atomic_store_explicit(&note[SLUICE_NOTE_TRADES], core.trades, memory_order_relaxed);
	}
}
