/* SPDX-License-Identifier: MIT */
/*
 * recover.c - start: replay the log's durable prefix, check it against what the rings prove, begin
 * a new epoch, publish the reports that a dead predecessor did not get out, and take up the command
 * ring where the log ends.
 *
 * Nothing is published before the new epoch is durable. A crash at any point leaves rings and log
 * as they were, but for the epoch; the next start repeats the same steps.
 */
#include "engine/collect.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "cli/report.h"
#include "cli/signals.h"
#include "shm/clock.h"

#define PUBLISH_WAIT_NS 1000000000u
#define STOP_CHECK_NS 100000000u
#define SAY_AFTER_TRIES 10
#define LOCK_WAIT_QUIET_MS 500u

static int replay_block(const struct sluice_wal_block_header *header,
			const struct sluice_command *commands, uint32_t n, void *arg)
{
	struct engine_collector *collector = arg;
	struct engine *engine = collector->engine;
	const uint64_t hash = sluice_core_chain_hash(engine->core);

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

static int core_create(struct engine *engine, const struct sluice_core_options *options,
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
	engine->core = sluice_core_init(engine->core_memory, options);
	sluice_assert(engine->core);
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

static int open_log(struct engine *engine, struct sluice_wal_position *ret_position,
		    struct sluice_diag *diag)
{
	const struct engine_options *options = &engine->options;
	struct sluice_wal_options wal = {
		.lock_wait_ms = LOCK_WAIT_QUIET_MS,
		.segment_bytes = options->wal_size / SLUICE_WAL_SEGMENTS,
		.window = (uint32_t)options->window,
		.backend = options->wal_backend,
		.core = core_options(options),
	};
	int rc = 0;

	if (options->format) {
		rc = sluice_wal_format(options->wal, &wal, diag);
		if (rc == -EEXIST)
			rc = 0;
	}
	if (!rc)
		rc = sluice_wal_open(&engine->wal, options->wal, &wal, diag);
	if (rc == -EBUSY) {
		sluice_cli_log(ENGINE_PROGRAM,
			       "waiting=\"somebody has the log in %s, or writes of a killed engine "
			       "are not done yet\"",
			       options->wal);
		wal.lock_wait_ms = 0;
		rc = sluice_wal_open(&engine->wal, options->wal, &wal, diag);
	}
	if (rc == -ENOENT)
		sluice_diag_hint(diag, "sluice-engine --name %s --wal %s --format", options->name,
				 options->wal);
	if (rc)
		return rc;
	sluice_wal_position(engine->wal, ret_position);
	if (ret_position->torn)
		sluice_cli_log(ENGINE_PROGRAM, "torn_tail=\"%s\"",
			       sluice_wal_tail_text(engine->wal));
	return 0;
}

/* Rings that survived prove what was acknowledged: the log must hold it (D4). */
static int check_witnesses(struct engine *engine, const struct sluice_wal_position *position,
			   struct sluice_diag *diag)
{
	const struct sluice_ring *rep = &engine->out.ring;
	const uint64_t last = engine->out.published - 1;
	const bool any_report = engine->out.published != engine->rep.header.base_sequence;
	const uint64_t base = engine->cmd.header.base_sequence;
	/* made, and killed before the log knew of them: only good for where the log ends */
	const bool untouched = engine->in.released == base && !any_report &&
			       (!engine->wal || base == position->next_cmd_seq);
	struct sluice_report report;
	char who[96];
	int rc;

	if (!engine->wal) {
		if (untouched)
			return 0;
		rc = sluice_diag_set(diag, EBADMSG,
				     "%s was used by an engine that is gone, and "
				     "without a log its state is lost",
				     engine->options.name);
		sluice_diag_hint(diag, "sluice gc -n %s --yes   # start over",
				 engine->options.name);
		return rc;
	}
	if (!untouched && memcmp(position->ring_uuid, engine->cmd.header.uuid, 16)) {
		rc = sluice_diag_set(diag, EBADMSG,
				     "%s.cmd was consumed by an engine with another "
				     "log than %s",
				     engine->options.name, engine->options.wal);
		sluice_diag_hint(diag, "sluice gc -n %s --yes   # forgets what the rings hold",
				 engine->options.name);
		return rc;
	}
	snprintf(who, sizeof(who), "%s.cmd (the engine's position)", engine->options.name);
	rc = sluice_wal_witness(engine->wal, engine->in.released, who, diag);
	if (rc || !any_report)
		return rc;
	report = *(const struct sluice_report *)sluice_ring_payload(rep, last);
	if (report.n != last + 1)
		return sluice_diag_set(diag, EBADMSG, "%s.rep: slot of report %llu holds %llu",
				       engine->options.name, (unsigned long long)(last + 1),
				       (unsigned long long)report.n);
	if ((report.head.flags & SLUICE_REPORT_DURABILITY_MASK) != SLUICE_REPORT_DURABLE)
		return 0;
	snprintf(who, sizeof(who), "%s.rep (report %llu was visible)", engine->options.name,
		 (unsigned long long)report.n);
	return sluice_wal_witness(engine->wal, report.cmd_seq + 1, who, diag);
}

/* The ring must still hold everything that the log does not. */
static int check_continuity(struct engine *engine, uint64_t next, struct sluice_diag *diag)
{
	/* relaxed: the producer, if it lives, only raises it */
	const uint64_t claim = atomic_load_explicit(&engine->cmd.control->claim,
						    memory_order_relaxed);

	if ((int64_t)(next - engine->in.released) < 0 || (int64_t)(claim - next) < 0 ||
	    claim - engine->in.released > engine->in.ring.slot_count)
		return sluice_diag_set(diag, EBADMSG,
				       "%s.cmd holds commands %llu to %llu, the log "
				       "ends before %llu: they do not belong together",
				       engine->options.name,
				       (unsigned long long)engine->in.released,
				       (unsigned long long)claim, (unsigned long long)next);
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
		if (!record && sluice_wal_full(engine->wal))
			return sluice_diag_set(diag, ENOSPC,
					       "%s is full, and %s.rep shows report %llu of a "
					       "command that is not in it",
					       engine->options.wal, engine->options.name,
					       (unsigned long long)engine->out.published);
		if (!record) {
			rc = sluice_wal_submit(engine->wal);
			if (rc >= 0)
				rc = sluice_wal_wait(engine->wal, PUBLISH_WAIT_NS);
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
	int rc = check_continuity(engine, next, diag);

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

int engine_recover(struct engine *engine, struct sluice_diag *diag)
{
	const bool existed = engine_instance_exists(engine);
	const uint64_t started_ns = sluice_clock_ns();
	struct sluice_wal_position position = {.start_report = 1};
	struct engine_collector collector;
	int rc = 0;

	if (existed)
		rc = engine_instance_check_free(engine, diag);
	if (!rc && engine->options.durability != ENGINE_OFF)
		rc = open_log(engine, &position, diag);
	else
		position.core = core_options(&engine->options);
	if (!rc)
		rc = core_create(engine, &position.core, diag);
	if (!rc && existed)
		rc = engine_instance_attach(engine, diag);
	if (!rc && existed)
		rc = engine_instance_join(engine, diag);
	if (!rc && existed)
		rc = check_witnesses(engine, &position, diag);
	if (rc)
		return rc;
	rc = engine_collector_init(&collector, engine, position.start_report, diag);
	if (rc)
		return rc;
	if (engine->wal)
		rc = sluice_wal_replay(engine->wal, replay_block, &collector, diag);
	if (!rc && !existed) {
		rc = engine_instance_open(engine, engine->wal ? position.next_cmd_seq : 0,
					  collector.sink.report_next - 1,
					  collector.sink.md_next - 1, diag);
		if (!rc)
			rc = engine_instance_join(engine, diag);
	}
	if (!rc)
		rc = begin(engine, &collector, diag);
	if (!rc && engine->wal)
		sluice_cli_log(ENGINE_PROGRAM,
			       "recovered_commands=%llu reports=%llu republished=%zu "
			       "took_ms=%llu",
			       (unsigned long long)(position.next_cmd_seq - position.start_cmd_seq),
			       (unsigned long long)(collector.sink.report_next - 1),
			       collector.report_count,
			       (unsigned long long)((sluice_clock_ns() - started_ns) / 1000000u));
	engine_collector_release(&collector);
	return rc;
}
