/* SPDX-License-Identifier: MIT */
/*
 * recover_check.c - do the rings that a predecessor left and the log belong together? What is
 * refused here was changed by nobody: the operator decides which of the two is right.
 *
 * The engine's thread, while it starts. Nothing is written. What rings hold is another process's
 * word: it is copied, and can only lead to a refusal.
 */
#include "engine/engine.h"

#include <errno.h>
#include <string.h>

static int refuse_other_logs(const struct engine *engine, struct sluice_diag *diag)
{
	int rc = sluice_diag_set(diag, EBADMSG,
				 "%s.cmd was consumed by an engine with another log than %s",
				 engine->options.name, engine->options.wal);

	sluice_diag_hint(diag, "sluice gc -n %s --yes   # forgets what the rings hold",
			 engine->options.name);
	return rc;
}

/* The log has a block of an engine on these rings. */
static bool knows_rings(const struct engine *engine, const struct sluice_wal_position *position)
{
	return !memcmp(position->ring_uuid, engine->cmd.header.uuid, sizeof(position->ring_uuid));
}

/* Rings that survived prove what was acknowledged: the log must hold it (D4). */
static int check_witnesses(struct engine *engine, const struct sluice_wal_position *position,
			   struct sluice_diag *diag)
{
	const struct sluice_ring *rep = &engine->out.ring;
	const uint64_t last = engine->out.published - 1;
	const bool any_report = engine->out.published != engine->rep.header.base_sequence;
	/* its slot may have been claimed again, and nothing come of it */
	const bool is_there = any_report && (int64_t)(last - sluice_ring_oldest(rep)) >= 0;
	const uint64_t base = engine->cmd.header.base_sequence;
	struct sluice_report report = {.n = 0};
	bool untouched;
	char who[96];
	int rc;

	if (is_there)
		report = *(const struct sluice_report *)sluice_ring_payload(rep, last);
	/*
	 * Made, and killed before the log knew of them, or it was too full to be told: only good
	 * for where the log ends. Reports that were published again are of commands before that;
	 * one that is not there is judged by its number, when replay has told what the log gives.
	 */
	untouched = engine->in.released == base &&
		    (engine->wal ? base == position->next_cmd_seq &&
					   (!is_there || report.cmd_seq < base) :
				   !any_report);
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
	if (!untouched && !knows_rings(engine, position))
		return refuse_other_logs(engine, diag);
	snprintf(who, sizeof(who), "%s.cmd (the engine's position)", engine->options.name);
	rc = sluice_wal_witness(engine->wal, engine->in.released, who, diag);
	if (rc || !is_there)
		return rc;
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

/*
 * Nothing may be missing between what the rings show and what replay brings. A snapshot is of
 * commands whose reports were taken: rings that end before it are older than the log.
 */
static int check_reach(const struct engine *engine, const struct sluice_wal_position *position,
		       struct sluice_diag *diag)
{
	const uint64_t reports = engine->out.published + 1, md = engine->md_out.published + 1;
	int rc;

	if ((int64_t)(reports - position->start_report) >= 0 &&
	    (int64_t)(md - position->start_md) >= 0)
		return 0;
	rc = sluice_diag_set(diag, EBADMSG,
			     "%s.rep and %s.md end before report %llu and event %llu, the log in %s "
			     "begins with %llu and %llu: the rings are older than the log",
			     engine->options.name, engine->options.name,
			     (unsigned long long)reports, (unsigned long long)md,
			     engine->options.wal, (unsigned long long)position->start_report,
			     (unsigned long long)position->start_md);
	sluice_diag_hint(diag, "sluice gc -n %s --yes   # forgets what the rings hold",
			 engine->options.name);
	return rc;
}

int engine_check_rings(struct engine *engine, const struct sluice_wal_position *position,
		       struct sluice_diag *diag)
{
	int rc = check_witnesses(engine, position, diag);

	return rc ? rc : check_reach(engine, position, diag);
}

int engine_check_numbers(const struct engine *engine, const struct sluice_wal_position *position,
			 const struct sluice_sink *replayed, struct sluice_diag *diag)
{
	if (knows_rings(engine, position) ||
	    ((int64_t)(replayed->report_next - 1 - engine->out.published) >= 0 &&
	     (int64_t)(replayed->md_next - 1 - engine->md_out.published) >= 0))
		return 0;
	return refuse_other_logs(engine, diag);
}

int engine_check_continuity(const struct engine *engine, uint64_t next, struct sluice_diag *diag)
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
