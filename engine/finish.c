/* SPDX-License-Identifier: MIT */
/*
 * finish.c - the clean end: everything taken is made durable and published, the follower is
 * stopped, a last snapshot makes the next start short, the log is closed.
 *
 * The engine's thread. A crash anywhere in it is a crash like any other: the next start replays.
 */
#include "engine/engine.h"

#include <errno.h>
#include <string.h>

#include "cli/report.h"
#include "cli/signals.h"
#include "shm/clock.h"

#define IDLE_WAIT_NS 10000000u

/* Every producer that came has left, and nothing is unread anywhere. */
static bool is_drained(struct engine *engine)
{
	struct sluice_control *control = engine->cmd.control;

	/* relaxed: the lock bytes, looked at after it, say who lives */
	if (!atomic_load_explicit(&control->producers_joined, memory_order_relaxed) ||
	    sluice_participant_count(&engine->cmd, SLUICE_ROLE_PRODUCER) != 0)
		return false;
	/* relaxed: nobody is left to raise it */
	if (atomic_load_explicit(&control->claim, memory_order_relaxed) != engine->in.next)
		return false;
	return !engine->wal ||
	       (!sluice_wal_pending_bytes(engine->wal) && !sluice_wal_in_flight(engine->wal));
}

/*
 * True when nothing is left and nothing can come. One that joined just before the ring was closed
 * is told at its next claim; what it had published by then is executed like everything else.
 */
bool engine_end_once(struct engine *engine)
{
	if (!is_drained(engine))
		return false;
	if (engine->closed)
		return true;
	sluice_ring_set_state(&engine->cmd, SLUICE_STATE_DRAINING);
	engine->closed = true;
	return is_drained(engine);
}

/* Slots of claims that were given up, or whose producer died, since it was last said. */
void engine_say_tombstones(struct engine *engine)
{
	/* relaxed: statistic */
	const uint64_t tombstones = atomic_load_explicit(&engine->cmd.control->tombstones,
							 memory_order_relaxed);

	if (tombstones == engine->tombstones_said)
		return;
	sluice_cli_log(ENGINE_PROGRAM, "claims=unfinished tombstones=%llu",
		       (unsigned long long)(tombstones - engine->tombstones_said));
	engine->tombstones_said = tombstones;
}

/* Nothing is pending or in flight afterwards, blocks or superblock. */
static int settle(struct engine *engine)
{
	uint64_t round_ns = sluice_clock_ns();
	int rc = 0;

	engine_say_tombstones(engine);
	while (!rc && engine->wal &&
	       (sluice_wal_pending_bytes(engine->wal) || sluice_wal_in_flight(engine->wal) ||
		engine->supervisor.offered)) {
		const uint64_t now_ns = sluice_clock_ns();

		rc = engine_step_submit(engine);
		if (rc >= 0)
			rc = sluice_wal_wait(engine->wal, ENGINE_COMMIT_WAIT_NS);
		rc = rc > 0 ? 0 : rc;
		if (!rc)
			engine_publish(engine);
		if (!rc && (engine->supervisor.offered || now_ns - round_ns > ENGINE_ROUND_NS)) {
			round_ns = now_ns;
			rc = engine_round(engine, now_ns);
		}
	}
	if (!rc)
		engine_publish(engine);
	return rc;
}

/* --once: the reports wait for their readers. */
static bool await_readers(struct engine *engine)
{
	while (!sluice_producer_drained(&engine->out)) {
		if (sluice_signals_stop())
			return false;
		sluice_producer_await_drain(&engine->out, IDLE_WAIT_NS);
	}
	return true;
}

static void retire(struct engine *engine)
{
	sluice_ring_set_state(&engine->rep, SLUICE_STATE_DRAINING);
	sluice_ring_set_state(&engine->md, SLUICE_STATE_DRAINING);
	engine_instance_retire(engine);
}

static void write_hash(struct engine *engine)
{
	struct sluice_control *const controls[] = {engine->cmd.control, engine->rep.control};
	const uint64_t hash = sluice_core_state_hash(engine->core);

	for (int i = 0; i < 2; i++) {
		/* relaxed: the state change that follows publishes them */
		atomic_store_explicit(&controls[i]->note[SLUICE_NOTE_STATE_HASH], hash,
				      memory_order_relaxed);
		atomic_store_explicit(&controls[i]->note[SLUICE_NOTE_HASH_SEQ], engine->executed,
				      memory_order_relaxed);
	}
	sluice_cli_log(ENGINE_PROGRAM,
		       "done commands=%llu reports=%llu state_hash=%016llx "
		       "chain_hash=%016llx",
		       (unsigned long long)engine->executed,
		       (unsigned long long)(engine->sink.report_next - 1), (unsigned long long)hash,
		       (unsigned long long)sluice_core_chain_hash(engine->core));
}

/* The next start reads this instead of the log. That it cannot be had is no error. */
static void take_snapshot(struct engine *engine)
{
	struct sluice_diag diag = {.text = ""};
	int rc;

	engine_supervise_stop(engine);
	engine_tell_taken(engine);
	rc = sluice_wal_snapshot(engine->wal, engine->core, engine->sink.report_next,
				 engine->sink.md_next, &diag);
	if (!rc)
		sluice_cli_log(ENGINE_PROGRAM, "snapshot=written commands=%llu",
			       (unsigned long long)engine->executed);
	else if (rc == -EAGAIN)
		sluice_cli_log(ENGINE_PROGRAM,
			       "snapshot=skipped reason=\"%s.rep holds reports that are not read "
			       "yet: the next start replays the log\"",
			       engine->options.name);
	else if (rc != -EALREADY)
		sluice_cli_log(ENGINE_PROGRAM, "snapshot=skipped reason=\"%s\"",
			       diag.text[0] ? diag.text : strerror(-rc));
}

/* The log is closed only after the readers: what they have not taken cannot be in a snapshot. */
static int close_all(struct engine *engine, struct sluice_diag *diag)
{
	const bool ends = engine->options.once && !sluice_signals_stop() && await_readers(engine);
	int rc = 0;

	if (engine->wal) {
		take_snapshot(engine);
		rc = sluice_wal_close(engine->wal, true, diag);
		engine->wal = NULL;
	}
	if (!rc && ends)
		retire(engine);
	return rc;
}

/* D5: the end after an error; nothing is published or written any more. */
int engine_stop(struct engine *engine, int error, struct sluice_diag *diag)
{
	engine_halt(engine, error);
	engine_notes(engine);
	return sluice_diag_set(diag, -error, "halted: %s",
			       engine->wal && sluice_wal_error(engine->wal) ?
				       sluice_wal_error_text(engine->wal) :
				       strerror(-error));
}

int engine_finish(struct engine *engine, struct sluice_diag *diag)
{
	int rc = settle(engine);

	if (rc)
		return engine_stop(engine, rc, diag);
	engine_notes(engine);
	write_hash(engine);
	return close_all(engine, diag);
}
