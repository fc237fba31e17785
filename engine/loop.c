/* SPDX-License-Identifier: MIT */
/*
 * loop.c - the engine's main loop: read a batch, copy it into the log's block, match the copy, hand
 * the block to the kernel, go on; on completions publish and release.
 *
 * While a write is in flight the loop yields at every miss: on the CPU that takes the disk's
 * interrupt the completion runs in an ordinary kernel thread, which a spinning engine would keep
 * waiting until the next tick.
 */
#include "engine/engine.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <time.h>

#include "cli/report.h"
#include "cli/signals.h"
#include "shm/clock.h"

#define BATCH_MAX 256u
#define SUBMIT_BYTES (16u * 1024u) /* a bigger block costs the disk hardly more */
/* Two small blocks per commit time: more only queue in the device, and eat the log 4 KiB each. */
#define STAGGER 2u
#define SEAL_AFTER_NS 1000000u
#define IDLE_WAIT_NS 10000000u
#define BLOCK_AFTER_NS 2000000u /* idle: from then on no yielding before each sleep */
#define YIELD_NS 40000u		/* then sleep in the kernel for the completion */
#define ROOM_LOW 64u
#define SAY_AFTER_NS 1000000000u

/* The one copy of a command: everything after this looks at the copy only. */
void engine_take(struct engine *engine, uint64_t sequence, struct sluice_command *ret_command)
{
	if (sluice_consumer_is_void(&engine->in, sequence)) {
		memset(ret_command, 0, sizeof(*ret_command));
		ret_command->head.type = SLUICE_CMD_VOID;
		ret_command->head.length = sizeof(*ret_command);
	} else {
		memcpy(ret_command, sluice_consumer_event(&engine->in, sequence),
		       sizeof(*ret_command));
	}
	engine->sends[sequence & engine->sends_mask] = ret_command->send_ns;
}

static void record_take(struct engine *engine, const struct sluice_command *commands, uint32_t n)
{
	const uint64_t now_ns = sluice_clock_ns();

	for (uint32_t i = 0; i < n; i++)
		if (commands[i].send_ns && commands[i].send_ns < now_ns)
			sluice_histogram_record(engine->take_ns, now_ns - commands[i].send_ns);
}

/* Where n <= *n records go: the log's block, or private memory without a log. */
static struct sluice_command *records(struct engine *engine, uint32_t *n)
{
	struct sluice_command *record;
	uint32_t room;

	if (!engine->wal)
		return engine->scratch;
	record = sluice_wal_reserve(engine->wal, sluice_core_chain_hash(engine->core),
				    engine->sink.report_next, &room);
	if (record && room < *n)
		*n = room;
	return record;
}

/* Executes up to a batch; the number of commands, 0 when there is none or no room for it. */
static int step_commands(struct engine *engine)
{
	struct sluice_command *record;
	uint64_t available;
	uint32_t n;
	int rc;

	if (engine->sink.report_limit - engine->sink.report_next < ROOM_LOW ||
	    engine->sink.md_limit - engine->sink.md_next < ROOM_LOW) {
		rc = engine_room(engine, 0);
		if (rc)
			return rc == -EAGAIN ? 0 : rc;
	}
	rc = sluice_consumer_poll(&engine->in, BATCH_MAX, &available);
	if (rc)
		return rc == -EAGAIN || rc == -EPIPE ? 0 : rc;
	n = (uint32_t)available;
	record = records(engine, &n);
	if (!record)
		return 0;
	for (uint32_t i = 0; i < n; i++)
		engine_take(engine, engine->in.next + i, &record[i]);
	record_take(engine, record, n);
	if (engine->wal)
		sluice_wal_append(engine->wal, n);
	sluice_consumer_advance(&engine->in, n);
	sluice_core_apply_batch(engine->core, record, n, engine->executed, &engine->sink);
	engine->executed += n;
	sluice_consumer_count(&engine->in, n, 0);
	engine->sealed = false;
	return (int)n;
}

/*
 * Group commit: at once when the disk is idle, else when the block is worth a flush or old enough
 * for the writes in flight to be staggered evenly.
 */
static bool should_submit(const struct engine *engine, uint64_t now_ns)
{
	const uint32_t pending = sluice_wal_pending_bytes(engine->wal);
	const uint32_t in_flight = sluice_wal_in_flight(engine->wal);

	if (!pending)
		return false;
	return !in_flight || pending >= SUBMIT_BYTES ||
	       now_ns - engine->submitted_ns > engine->commit_ewma_ns / STAGGER;
}

int engine_step_submit(struct engine *engine)
{
	const uint64_t now_ns = sluice_clock_ns();
	int rc;

	if (!should_submit(engine, now_ns))
		return 0;
	rc = sluice_wal_submit(engine->wal);
	if (rc)
		return rc == -EAGAIN ? 0 : rc;
	engine_mark_push(engine);
	engine->submitted_ns = now_ns;
	return 1;
}

static void on_commit(uint64_t latency_ns, uint32_t n_cmds, void *arg)
{
	struct engine *engine = arg;

	(void)n_cmds;
	sluice_histogram_record(engine->commit_hist_ns, latency_ns);
	engine->commit_ewma_ns = (engine->commit_ewma_ns * 7 + latency_ns) / 8;
	engine_watch_commit(engine, latency_ns, sluice_clock_ns());
}

/* Nothing to execute, submit or publish. */
static int step_idle(struct engine *engine)
{
	const uint64_t now_ns = sluice_clock_ns();
	uint64_t n;
	int rc;

	if (!engine->idle_ns)
		engine->idle_ns = now_ns;
	if (engine->wal && sluice_wal_in_flight(engine->wal)) {
		if (now_ns - engine->idle_ns > YIELD_NS)
			return sluice_wal_wait(engine->wal, ENGINE_COMMIT_WAIT_NS);
		sched_yield();
		return 0;
	}
	if (engine->sink.report_limit == engine->sink.report_next) {
		if (now_ns - engine->idle_ns > SAY_AFTER_NS)
			engine_say_waiting(engine);
		rc = engine_room(engine, IDLE_WAIT_NS);
		return rc == -EAGAIN ? 0 : rc;
	}
	if (engine->wal && !engine->sealed && now_ns - engine->idle_ns > SEAL_AFTER_NS) {
		engine->sealed = true;
		return sluice_wal_seal(engine->wal);
	}
	engine_say_tombstones(engine);
	if (engine->wal && sluice_wal_full(engine->wal)) {
		rc = sluice_wal_seal(engine->wal);
		if (rc)
			return rc;
		/* commands that cannot be taken are no reason to stay awake */
		nanosleep(&(struct timespec){.tv_nsec = IDLE_WAIT_NS}, NULL);
		return 0;
	}
	engine->in.wait = engine->options.wait;
	if (sluice_wait_blocks(engine->in.wait) && now_ns - engine->idle_ns > BLOCK_AFTER_NS)
		engine->in.wait = SLUICE_WAIT_BLOCK;
	rc = sluice_consumer_wait(
		&engine->in, 1, engine->sealed || !engine->wal ? IDLE_WAIT_NS : SEAL_AFTER_NS, &n);
	return rc == -ETIMEDOUT || rc == -EPIPE || rc == -EAGAIN ? 0 : rc;
}

int engine_step(struct engine *engine)
{
	int progress = 0, rc;

	if (engine->wal) {
		rc = sluice_wal_poll(engine->wal);
		if (rc < 0)
			return rc;
		progress |= rc;
	}
	engine_publish(engine);
	rc = step_commands(engine);
	if (rc < 0)
		return rc;
	progress |= rc;
	if (engine->wal) {
		rc = engine_step_submit(engine);
		if (rc < 0)
			return rc;
		progress |= rc;
	}
	if (progress) {
		engine->idle_ns = 0;
		return 0;
	}
	engine_publish(engine);
	rc = step_idle(engine);
	return rc < 0 ? rc : 0;
}

int engine_round(struct engine *engine, uint64_t now_ns)
{
	engine_tell_taken(engine);
	engine_watch(engine, now_ns);
	engine_notes(engine);
	return engine_supervise(engine, now_ns);
}

int engine_run(struct engine *engine, struct sluice_diag *diag)
{
	uint64_t round_ns = 0;
	int rc = 0;

	if (engine->wal)
		sluice_wal_on_commit(engine->wal, on_commit, engine);
	while (!rc && !sluice_signals_stop()) {
		const uint64_t now_ns = sluice_clock_ns();

		rc = engine_step(engine);
		if (rc || now_ns - round_ns < ENGINE_ROUND_NS)
			continue;
		round_ns = now_ns;
		rc = engine_round(engine, now_ns);
		if (!rc && engine->options.once && engine_end_once(engine))
			break;
	}
	if (!rc)
		return engine_finish(engine, diag);
	return engine_stop(engine, rc, diag);
}
