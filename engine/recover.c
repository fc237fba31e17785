/* SPDX-License-Identifier: MIT */
/*
 * recover.c - start: take up the newest good snapshot, replay the log's durable rest, check it
 * against what the rings prove, begin a new epoch, publish the reports that a dead predecessor did
 * not get out, and take up the command ring where the log ends.
 *
 * Rings that survived must hold what the log holds. Rings that are gone are made anew: NAME.cmd for
 * the next command, NAME.rep for the first report that is not known to be taken. Those reports are
 * published again, under their numbers; who has them already skips them.
 *
 * Nothing is published before the new epoch is durable. A crash at any point leaves rings and log
 * as they were, but for the epoch; the next start repeats the same steps.
 */
#include "engine/collect.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "cli/report.h"
#include "cli/signals.h"
#include "shm/clock.h"

#define PUBLISH_WAIT_NS 1000000000u
#define STOP_CHECK_NS 100000000u
#define FULL_STEP_NS 10000000u
#define SAY_AFTER_TRIES 10
#define LOCK_STEP_MS 500u
#define LOCK_TRIES 20

static int replay_block(const struct sluice_wal_block_header *header,
			const struct sluice_command *commands, uint32_t n, void *arg)
{
	struct engine_collector *collector = arg;
	struct engine *engine = collector->engine;
	const uint64_t hash = sluice_core_chain_hash(engine->core);

	if (sluice_signals_stop())
		return -EINTR;
	/* SEAL and CLOSE carry no state */
	if (header->flags & (SLUICE_WAL_DATA | SLUICE_WAL_OPEN) &&
	    (header->state_hash != hash || header->report_first != collector->sink.report_next))
		return sluice_diag_set(
			collector->diag, EBADMSG,
			"block %llu of the log says state %016llx and report %llu, "
			"replay has %016llx and %llu: damage, or another build's rules",
			(unsigned long long)header->block_seq,
			(unsigned long long)header->state_hash,
			(unsigned long long)header->report_first, (unsigned long long)hash,
			(unsigned long long)collector->sink.report_next);
	if (n)
		sluice_core_apply_batch(engine->core, commands, n, header->first_cmd_seq,
					&collector->sink);
	engine_collector_drain(collector);
	return collector->mismatch ? engine_collector_mismatch(collector) : 0;
}

static int take_core_memory(struct engine *engine, const struct sluice_core_options *options,
			    struct sluice_diag *diag)
{
	engine->core_bytes = sluice_core_bytes(options);
	if (!engine->core_bytes)
		return sluice_diag_set(diag, EINVAL,
				       "the limits for symbols, orders, levels, sessions "
				       "or window are out of range");
	engine->core_memory = mmap(NULL, engine->core_bytes, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (engine->core_memory == MAP_FAILED) {
		engine->core_memory = NULL;
		return sluice_diag_set(diag, ENOMEM,
				       "no %zu MiB of memory for the books: lower "
				       "--orders-max or --symbols-max",
				       engine->core_bytes >> 20);
	}
	madvise(engine->core_memory, engine->core_bytes, MADV_HUGEPAGE);
	if (madvise(engine->core_memory, engine->core_bytes, MADV_POPULATE_WRITE) &&
	    errno == ENOMEM)
		return sluice_diag_set(diag, ENOMEM,
				       "no %zu MiB of memory for the books: lower "
				       "--orders-max or --symbols-max",
				       engine->core_bytes >> 20);
	return 0;
}

/* The state that replay starts from; the position may have changed for an older snapshot's. */
static int core_create(struct engine *engine, struct sluice_wal_position *position,
		       struct sluice_diag *diag)
{
	int rc = take_core_memory(engine, &position->core, diag);

	if (rc)
		return rc;
	if (!engine->wal) {
		engine->core = sluice_core_init(engine->core_memory, &position->core);
		sluice_assert(engine->core);
		return 0;
	}
	rc = sluice_wal_restore(engine->wal, engine->core_memory, &engine->core, diag);
	if (rc)
		return rc;
	sluice_wal_position(engine->wal, position);
	if (sluice_wal_snapshot_text(engine->wal)[0])
		sluice_cli_log(ENGINE_PROGRAM, "snapshot_passed_over=\"%s\"",
			       sluice_wal_snapshot_text(engine->wal));
	return 0;
}

static struct sluice_core_options core_options(const struct engine_options *options)
{
	return (struct sluice_core_options){
		.symbols_max = (uint32_t)options->symbols_max,
		.orders_max = (uint32_t)options->orders_max,
		.levels_max = (uint32_t)options->levels_max,
		.sessions_max = (uint32_t)options->sessions_max,
		.window_ticks = (uint32_t)options->window_ticks,
	};
}

void engine_log_hint(const struct engine_options *options, int rc, struct sluice_diag *diag)
{
	const char *dir = options->wal;

	if (rc == -ENOENT && options->format)
		sluice_diag_hint(diag, "mkdir -p %s", dir);
	else if (rc == -ENOENT)
		sluice_diag_hint(diag, "sluice-engine --name %s --wal %s --format",
				 options->name ? options->name : "x", dir);
	else if (diag->hint[0])
		return;
	else if (rc == -ENOTDIR)
		sluice_diag_hint(diag, "a log is a directory of its own: choose another --wal");
	else if (rc == -EACCES || rc == -EPERM)
		sluice_diag_hint(diag, "ls -ld %s %s/*   # user %u must be able to write all of it",
				 dir, dir, (unsigned)geteuid());
	else if (rc == -EPROTO)
		sluice_diag_hint(diag, "end it cleanly with the program that wrote it, then begin "
				       "another log: --wal DIR --format");
	else if (rc == -EBADMSG)
		sluice_diag_hint(diag, "sluice wal inspect %s   # what a start finds", dir);
}

static int open_log(struct engine *engine, struct sluice_wal_position *ret_position,
		    struct sluice_diag *diag)
{
	const struct engine_options *options = &engine->options;
	struct sluice_wal_options wal = {
		.lock_wait_ms = LOCK_STEP_MS,
		.segment_bytes = options->wal_size / SLUICE_WAL_SEGMENTS,
		.window = (uint32_t)options->window,
		.backend = options->wal_backend,
		.sync = options->wal_sync,
		.extents = options->wal_extents,
		.thread_cpus = CPU_COUNT(&engine->other_cpus) ? &engine->other_cpus : NULL,
		.core = core_options(options),
		.stopping = sluice_signals_stop,
	};
	int rc = 0;

	if (options->format) {
		rc = sluice_wal_format(options->wal, &wal, diag);
		if (rc == -EEXIST)
			rc = 0;
	}
	if (!rc)
		rc = sluice_wal_open(&engine->wal, options->wal, &wal, diag);
	if (rc == -EBUSY)
		sluice_cli_log(ENGINE_PROGRAM,
			       "waiting=\"somebody has the log in %s, or writes of a killed engine "
			       "are not done yet\"",
			       options->wal);
	/* in steps, so that a signal ends the wait */
	for (int i = 0; rc == -EBUSY && i < LOCK_TRIES; i++)
		rc = sluice_signals_stop() ?
			     -EINTR :
			     sluice_wal_open(&engine->wal, options->wal, &wal, diag);
	if (rc) {
		engine_log_hint(options, rc, diag);
		return rc;
	}
	sluice_wal_position(engine->wal, ret_position);
	if (sluice_wal_mended_text(engine->wal)[0])
		sluice_cli_log(ENGINE_PROGRAM, "mended=\"%s\"",
			       sluice_wal_mended_text(engine->wal));
	if (ret_position->torn)
		sluice_cli_log(ENGINE_PROGRAM, "torn_tail=\"%s\"",
			       sluice_wal_tail_text(engine->wal));
	return 0;
}

/* One slot, waiting as long as the ring is full, but not for ever when asked to stop. */
static int claim_slot(struct engine *engine, struct sluice_producer *producer, uint64_t *ret_first)
{
	int tries = 0, rc;

	do {
		rc = sluice_producer_claim(producer, 1, STOP_CHECK_NS, ret_first);
		if (rc == -ETIMEDOUT && ++tries == SAY_AFTER_TRIES)
			engine_say_waiting(engine);
	} while (rc == -ETIMEDOUT && !sluice_signals_stop());
	return rc == -ETIMEDOUT ? -EINTR : rc;
}

static int publish_collected(struct engine *engine, struct engine_collector *collector)
{
	uint64_t first;

	for (size_t i = 0; i < collector->md_count; i++) {
		int rc = claim_slot(engine, &engine->md_out, &first);

		if (rc)
			return rc;
		sluice_assert(first == collector->md[i].n - 1);
		memcpy(sluice_producer_slot(&engine->md_out, first), &collector->md[i],
		       sizeof(collector->md[i]));
		sluice_producer_publish(&engine->md_out, first);
	}
	for (size_t i = 0; i < collector->report_count; i++) {
		int rc = claim_slot(engine, &engine->out, &first);

		if (rc)
			return rc;
		sluice_assert(first == collector->reports[i].n - 1);
		memcpy(sluice_producer_slot(&engine->out, first), &collector->reports[i],
		       sizeof(collector->reports[i]));
		sluice_producer_publish(&engine->out, first);
	}
	return 0;
}

/* A log that is full before the engine runs: follower and consumers must make room all the same. */
static int await_snapshot(struct engine *engine)
{
	int rc;

	engine_tell_taken(engine);
	rc = engine_supervise(engine, sluice_clock_ns());
	if (rc)
		return rc;
	nanosleep(&(struct timespec){.tv_nsec = FULL_STEP_NS}, NULL);
	return sluice_signals_stop() ? -EINTR : 0;
}

/*
 * With durability async the predecessor may have shown reports of commands that never reached the
 * log. They are still in the command ring: execute them again, and compare instead of publish.
 */
static int catch_up(struct engine *engine, struct engine_collector *collector,
		    struct sluice_diag *diag)
{
	while ((int64_t)(engine->out.published - (collector->sink.report_next - 1)) > 0 ||
	       (int64_t)(engine->md_out.published - (collector->sink.md_next - 1)) > 0) {
		struct sluice_command *record;
		uint32_t room;
		uint64_t n;
		int rc = sluice_consumer_poll(&engine->in, 1, &n);

		if (rc)
			return sluice_diag_set(
				diag, EBADMSG,
				"%s.rep shows report %llu and %s.md event %llu, "
				"but a command of theirs is neither in the log "
				"nor in the ring",
				engine->options.name, (unsigned long long)engine->out.published,
				engine->options.name, (unsigned long long)engine->md_out.published);
		record = sluice_wal_reserve(engine->wal, sluice_core_chain_hash(engine->core),
					    collector->sink.report_next, &room);
		if (!record) {
			rc = sluice_wal_submit(engine->wal);
			if (rc >= 0)
				rc = sluice_wal_wait(engine->wal, PUBLISH_WAIT_NS);
			if (rc >= 0 && sluice_wal_full(engine->wal))
				rc = await_snapshot(engine);
			if (rc < 0)
				return rc;
			continue;
		}
		engine_take(engine, engine->in.next, record);
		sluice_consumer_advance(&engine->in, 1);
		sluice_wal_append(engine->wal, 1);
		sluice_core_apply(engine->core, record, engine->in.next - 1, &collector->sink);
		engine_collector_drain(collector);
		if (collector->mismatch)
			return engine_collector_mismatch(collector);
	}
	return sluice_wal_submit(engine->wal);
}

/* The next event of each ring is the core's next: numbers stay dense (D3). */
static bool same_numbers(const struct engine *engine, const struct engine_collector *collector)
{
	return engine->out.next == collector->sink.report_next - 1 &&
	       engine->md_out.next == collector->sink.md_next - 1;
}

static int begin(struct engine *engine, struct engine_collector *collector,
		 struct sluice_diag *diag)
{
	const uint64_t next = engine->wal ? sluice_wal_next_cmd_seq(engine->wal) :
					    engine->cmd.header.base_sequence;
	int rc = engine_check_continuity(engine, next, diag);

	if (rc)
		return rc;
	engine->in.next = next;
	engine->executed = engine->visible = next;
	if (engine->wal) {
		rc = sluice_wal_start(engine->wal, engine->cmd.header.uuid,
				      sluice_core_chain_hash(engine->core),
				      collector->sink.report_next, diag);
		if (!rc)
			rc = catch_up(engine, collector, diag);
		while (!rc && sluice_wal_in_flight(engine->wal)) {
			rc = sluice_wal_wait(engine->wal, PUBLISH_WAIT_NS);
			rc = rc > 0 ? 0 : rc;
		}
	}
	if (rc)
		return rc;
	engine->executed = engine->visible = engine->in.next;
	engine_directory(engine, engine->executed);
	sluice_consumer_release(&engine->in, engine->in.next);
	rc = publish_collected(engine, collector);
	if (!rc && engine->wal && !same_numbers(engine, collector))
		rc = sluice_diag_set(diag, EBADMSG,
				     "%s.rep and %s.md are at %llu and %llu, the log gives %llu "
				     "reports and %llu of market data",
				     engine->options.name, engine->options.name,
				     (unsigned long long)engine->out.next,
				     (unsigned long long)engine->md_out.next,
				     (unsigned long long)(collector->sink.report_next - 1),
				     (unsigned long long)(collector->sink.md_next - 1));
	return rc;
}

/* The log, the state it starts from, and rings that a predecessor left. */
static int take_up(struct engine *engine, bool existed, struct sluice_wal_position *position,
		   struct sluice_diag *diag)
{
	int rc = 0;

	if (existed)
		rc = engine_instance_check_free(engine, diag);
	if (!rc && engine->options.durability != ENGINE_OFF)
		rc = open_log(engine, position, diag);
	else
		position->core = core_options(&engine->options);
	if (!rc)
		rc = core_create(engine, position, diag);
	if (!rc && existed)
		rc = engine_instance_attach(engine, diag);
	if (!rc && existed)
		rc = engine_instance_join(engine, diag);
	if (!rc && existed)
		rc = engine_check_rings(engine, position, diag);
	return rc;
}

/* Rings for a log that has none (any more). */
static int make_rings(struct engine *engine, const struct engine_collector *collector,
		      const struct sluice_wal_position *position, struct sluice_diag *diag)
{
	const uint64_t report_end = collector->sink.report_next;
	const uint64_t report_first = report_end < collector->keep_from ? report_end :
									  collector->keep_from;
	int rc = engine_instance_open(engine, engine->wal ? position->next_cmd_seq : 0,
				      report_first - 1, collector->sink.md_next - 1, diag);

	return rc ? rc : engine_instance_join(engine, diag);
}

/* Numbers that a consumer's file may end with are known before the first of them is published. */
static void tell_recovered(struct engine *engine, const struct engine_collector *collector)
{
	const uint64_t end = collector->sink.report_next - 1;

	sluice_counter_set(engine->recovered,
			   1 + (end > engine->out.published ? end : engine->out.published));
}

static void say_recovered(const struct engine *engine, const struct engine_collector *collector,
			  const struct sluice_wal_position *position, uint64_t started_ns,
			  uint64_t replay_ns)
{
	if (engine->wal)
		sluice_cli_log(
			ENGINE_PROGRAM,
			"recovered_commands=%llu reports=%llu republished=%zu snapshot=%llu "
			"snapshot_commands=%llu replay_ms=%llu took_ms=%llu",
			(unsigned long long)(position->next_cmd_seq - position->start_cmd_seq),
			(unsigned long long)(collector->sink.report_next - 1),
			collector->report_count, (unsigned long long)position->snapshot,
			(unsigned long long)(position->snapshot ? position->start_cmd_seq : 0),
			(unsigned long long)(replay_ns / 1000000u),
			(unsigned long long)((sluice_clock_ns() - started_ns) / 1000000u));
}

int engine_recover(struct engine *engine, struct sluice_diag *diag)
{
	const bool existed = engine_instance_exists(engine);
	const uint64_t started_ns = sluice_clock_ns();
	struct sluice_wal_position position = {.start_report = 1, .start_md = 1};
	struct engine_collector collector;
	uint64_t replay_ns;
	int rc = take_up(engine, existed, &position, diag);

	if (rc)
		return rc;
	rc = engine_collector_init(&collector, engine, position.start_report, position.start_md,
				   diag);
	if (rc)
		return rc;
	/* what lies before a snapshot was taken, or there would be no snapshot */
	if (engine->options.reports == ENGINE_REPORTS_DROP)
		collector.keep_from = UINT64_MAX;
	else if (position.reports_taken > position.start_report)
		collector.keep_from = position.reports_taken;
	else
		collector.keep_from = position.start_report;
	replay_ns = sluice_clock_ns();
	if (engine->wal)
		rc = sluice_wal_replay(engine->wal, replay_block, &collector, diag);
	replay_ns = sluice_clock_ns() - replay_ns;
	if (!rc && existed && engine->wal)
		rc = engine_check_numbers(engine, &position, &collector.sink, diag);
	if (!rc && !existed)
		rc = make_rings(engine, &collector, &position, diag);
	if (!rc)
		tell_recovered(engine, &collector);
	if (!rc)
		rc = begin(engine, &collector, diag);
	if (!rc)
		say_recovered(engine, &collector, &position, started_ns, replay_ns);
	engine_collector_release(&collector);
	return rc;
}
