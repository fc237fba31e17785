/* SPDX-License-Identifier: MIT */
/*
 * instance.c - the engine's three segments: NAME.cmd, NAME.rep, NAME.md. Made in the order md, rep,
 * cmd, so that a producer that finds NAME.cmd finds a whole instance; removed in the order cmd,
 * rep, md. A crash in between leaves no NAME.cmd and at most rings that hold nothing.
 */
#include "engine/engine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/report.h"

#define ENGINE_COUNTERS 64u
#define ENGINE_DIRECTORY 1024u
#define READER "reports" /* the name under which sluice-consumer reads */
#define ENGINE_HISTOGRAMS 4u

static void ring_name(const struct engine *engine, const char *suffix, char *ret_name)
{
	snprintf(ret_name, SLUICE_SEGMENT_NAME_BYTES, "%s.%s", engine->options.name, suffix);
}

static int attach_one(struct engine *engine, const char *suffix, uint32_t kind,
		      struct sluice_segment *ret_segment, struct sluice_diag *diag)
{
	char name[SLUICE_SEGMENT_NAME_BYTES];
	int rc;

	ring_name(engine, suffix, name);
	rc = sluice_segment_attach(ret_segment, name, SLUICE_ACCESS_WRITE, diag);
	if (rc)
		return rc;
	if (ret_segment->header.event_kind == kind)
		return 0;
	sluice_segment_close(ret_segment);
	memset(ret_segment, 0, sizeof(*ret_segment));
	return sluice_diag_set(diag, EPROTO, "%s holds other events than an engine's ring does",
			       name);
}

int engine_instance_attach(struct engine *engine, struct sluice_diag *diag)
{
	int rc = attach_one(engine, "cmd", SLUICE_EVENT_COMMAND, &engine->cmd, diag);

	if (!rc)
		rc = attach_one(engine, "rep", SLUICE_EVENT_REPORT, &engine->rep, diag);
	if (!rc)
		rc = attach_one(engine, "md", SLUICE_EVENT_MARKET_DATA, &engine->md, diag);
	if (rc && engine->cmd.base)
		sluice_diag_hint(diag, "sluice gc -n %s --yes   # forgets what the rings hold",
				 engine->options.name);
	return rc;
}

/* A ring without its NAME.cmd: from a creation or removal cut short, if nothing in it is unread. */
static int remove_orphan(struct engine *engine, const char *suffix, struct sluice_diag *diag)
{
	struct sluice_segment segment = {0};
	struct sluice_ring ring;
	char name[SLUICE_SEGMENT_NAME_BYTES];
	uint64_t cursor;
	int rc, error;

	ring_name(engine, suffix, name);
	rc = sluice_segment_attach(&segment, name, SLUICE_ACCESS_WRITE, diag);
	if (rc)
		return rc == -ENOENT ? 0 : rc;
	if (sluice_participant_count(&segment, SLUICE_ROLE_PRODUCER) > 0) {
		sluice_segment_close(&segment);
		return sluice_diag_set(diag, EBUSY, "%s: its engine is running", name);
	}
	sluice_ring_init(&ring, &segment);
	cursor = sluice_ring_published(&ring, sluice_ring_oldest(&ring), UINT64_MAX);
	if (sluice_gate_min(&ring, cursor, &error) != cursor || error) {
		sluice_segment_close(&segment);
		rc = sluice_diag_set(diag, EBADMSG,
				     "%s holds reports that nobody has read, but %s.cmd "
				     "is gone",
				     name, engine->options.name);
		sluice_diag_hint(diag, "sluice gc -n %s --yes   # forgets them",
				 engine->options.name);
		return rc;
	}
	sluice_segment_close(&segment);
	return sluice_segment_unlink(name, diag);
}

/* As the creator left it, and as it would be made now: nothing was ever published in it. */
static bool is_untouched(const struct sluice_segment *segment,
			 const struct sluice_segment_options *options, uint64_t slot_count)
{
	const struct sluice_header *header = &segment->header;
	/*
	 * relaxed: no producer lives, and only we would make one; what it claimed is claimed
	 * again
	 */
	const uint64_t cursor = atomic_load_explicit(&segment->control->cursor,
						     memory_order_relaxed);

	return header->slot_count == slot_count && header->slot_stride == options->slot_stride &&
	       header->publication == options->publication &&
	       header->event_kind == options->event_kind &&
	       header->histogram_count == options->histogram_count &&
	       header->counter_count == ENGINE_COUNTERS &&
	       header->directory_count == ENGINE_DIRECTORY &&
	       header->base_sequence == options->base_sequence &&
	       cursor == options->base_sequence;
}

/*
 * A ring without its NAME.cmd, from a creation that was cut short, is taken as it is: a consumer
 * may have come to it already, and would see no other. -ENOENT: there is none, or none any more.
 */
static int adopt_one(struct engine *engine, const char *suffix,
		     const struct sluice_segment_options *options,
		     struct sluice_segment *ret_segment, struct sluice_diag *diag)
{
	struct sluice_segment segment = {0};
	char name[SLUICE_SEGMENT_NAME_BYTES];
	int rc;

	ring_name(engine, suffix, name);
	rc = sluice_segment_attach(&segment, name, SLUICE_ACCESS_WRITE, diag);
	if (rc)
		return rc;
	if (!sluice_participant_count(&segment, SLUICE_ROLE_PRODUCER) &&
	    segment.header.hugepages == engine->options.hugepages &&
	    is_untouched(&segment, options, engine->options.ring_size)) {
		*ret_segment = segment;
		return 0;
	}
	sluice_segment_close(&segment);
	rc = remove_orphan(engine, suffix, diag);
	return rc ? rc : -ENOENT;
}

static int create_one(struct engine *engine, const char *suffix,
		      struct sluice_segment_options *options, struct sluice_segment *ret_segment,
		      struct sluice_diag *diag)
{
	char name[SLUICE_SEGMENT_NAME_BYTES];
	int rc;

	ring_name(engine, suffix, name);
	options->name = name;
	options->slot_count = engine->options.ring_size;
	options->producer_mode = options->event_kind == SLUICE_EVENT_COMMAND ?
					 SLUICE_PRODUCER_MULTI : SLUICE_PRODUCER_SINGLE;
	options->counter_count = ENGINE_COUNTERS;
	options->directory_count = ENGINE_DIRECTORY;
	options->hugepages = engine->options.hugepages;
	options->numa_node = -1;
	rc = sluice_segment_create(ret_segment, options, diag);
	if (!rc && sluice_segment_note(ret_segment)[0])
		sluice_cli_log(ENGINE_PROGRAM, "note=\"%s\"", sluice_segment_note(ret_segment));
	return rc;
}

/* About what a ring of ours takes, in whole huge pages: for hints that count all three. */
static uint64_t ring_bytes(const struct engine *engine, uint64_t stride)
{
	const uint64_t tables = sizeof(struct sluice_control) + SLUICE_HEADER_AREA_BYTES +
				SLUICE_PARTICIPANTS_MAX * sizeof(struct sluice_participant) +
				ENGINE_COUNTERS * sizeof(struct sluice_counter) +
				ENGINE_DIRECTORY * sizeof(struct sluice_directory_entry) +
				ENGINE_HISTOGRAMS * sizeof(struct sluice_histogram);
	const uint64_t page = 2u << 20;

	return (engine->options.ring_size * stride + tables + page - 1) / page * page;
}

/* The consumer that reports are kept for: true if it gates, with its entry. */
static bool find_reader(const struct engine *engine, struct sluice_participant_view *ret_view)
{
	for (uint32_t i = 0; i < engine->rep.header.participant_count; i++)
		if (sluice_participant_view(&engine->rep, i, ret_view) && ret_view->gating &&
		    !strcmp(ret_view->name, READER))
			return true;
	return false;
}

/*
 * What --reports says, for rings that are new or were made with the other mode: keep holds
 * everything from `sequence` on for the consumer to come, drop lets go of one that is away.
 */
static int hold_reports(struct engine *engine, uint64_t sequence, struct sluice_diag *diag)
{
	struct sluice_participant_view view;
	const bool found = find_reader(engine, &view);
	int rc;

	if (engine->options.reports == ENGINE_REPORTS_KEEP) {
		rc = found ? 0 : sluice_participant_reserve(&engine->rep, READER, sequence, diag);
		return rc == -EBUSY ? 0 : rc; /* it has come by itself meanwhile */
	}
	if (!found || view.alive)
		return 0;
	rc = sluice_participant_evict(&engine->rep, view.index);
	if (!rc)
		sluice_cli_log(ENGINE_PROGRAM, "dropped_reports_from=%llu",
			       (unsigned long long)view.position + 1);
	return 0;
}

int engine_instance_open(struct engine *engine, uint64_t cmd_base, uint64_t report_base,
			 uint64_t md_base, struct sluice_diag *diag)
{
	struct sluice_segment_options md = {.slot_stride = sizeof(struct sluice_md_event),
					    .publication = SLUICE_PUBLICATION_CURSOR,
					    .event_kind = SLUICE_EVENT_MARKET_DATA,
					    .base_sequence = md_base,
					    .histogram_count = 1,
					    .more_bytes = 2 * ring_bytes(engine, 128)};
	struct sluice_segment_options rep = {.slot_stride = sizeof(struct sluice_report),
					     .publication = SLUICE_PUBLICATION_CURSOR,
					     .event_kind = SLUICE_EVENT_REPORT,
					     .base_sequence = report_base,
					     .histogram_count = ENGINE_HISTOGRAMS,
					     .more_bytes = ring_bytes(engine, 128)};
	/* there before the ring has its name: no command can be published that it does not hold */
	static const char *const reader[] = {"engine", NULL};
	struct sluice_segment_options cmd = {.slot_stride = 8 + sizeof(struct sluice_command),
					     .publication = SLUICE_PUBLICATION_STAMPED,
					     .event_kind = SLUICE_EVENT_COMMAND,
					     .reserve = reader,
					     .base_sequence = cmd_base,
					     .histogram_count = ENGINE_HISTOGRAMS};
	int rc = adopt_one(engine, "rep", &rep, &engine->rep, diag);
	const bool has_rep = !rc;

	if (!rc || rc == -ENOENT)
		rc = adopt_one(engine, "md", &md, &engine->md, diag);
	if (rc == -ENOENT)
		rc = create_one(engine, "md", &md, &engine->md, diag);
	if (!rc && !has_rep)
		rc = create_one(engine, "rep", &rep, &engine->rep, diag);
	if (!rc)
		rc = hold_reports(engine, report_base, diag);
	if (!rc)
		rc = create_one(engine, "cmd", &cmd, &engine->cmd, diag);
	return rc;
}

bool engine_instance_exists(const struct engine *engine)
{
	struct sluice_segment segment = {0};
	char name[SLUICE_SEGMENT_NAME_BYTES];
	int rc;

	ring_name(engine, "cmd", name);
	rc = sluice_segment_attach(&segment, name, SLUICE_ACCESS_READ, NULL);
	if (!rc)
		sluice_segment_close(&segment);
	return rc != -ENOENT;
}

/* Before anything is opened or waited for: -EBUSY with the process that serves the rings now. */
int engine_instance_check_free(const struct engine *engine, struct sluice_diag *diag)
{
	struct sluice_segment segment = {0};
	struct sluice_participant_view view;
	char name[SLUICE_SEGMENT_NAME_BYTES];
	int rc = 0;

	ring_name(engine, "cmd", name);
	if (sluice_segment_attach(&segment, name, SLUICE_ACCESS_READ, NULL))
		return 0;
	for (uint32_t i = 0; !rc && i < segment.header.participant_count; i++)
		if (sluice_participant_view(&segment, i, &view) &&
		    view.role == SLUICE_ROLE_CONSUMER && view.alive == 1 &&
		    !strcmp(view.name, "engine"))
			rc = sluice_diag_set(diag, EBUSY, "%s has an engine already: process %u",
					     engine->options.name, view.pid);
	sluice_segment_close(&segment);
	return rc;
}

static int allocate_sends(struct engine *engine, struct sluice_diag *diag)
{
	const uint64_t count = engine->cmd.header.slot_count * 2;

	engine->sends_mask = count - 1;
	engine->sends = calloc(count, sizeof(*engine->sends));
	return engine->sends ? 0 : sluice_diag_set(diag, ENOMEM, "not enough memory to start");
}

static void open_statistics(struct engine *engine)
{
	struct sluice_segment *rep = &engine->rep;
	const uint32_t owner = engine->out.index;

	engine->commands = sluice_counter_open(rep, "commands", SLUICE_COUNTER_TOTAL, owner);
	engine->reports = sluice_counter_open(rep, "reports", SLUICE_COUNTER_TOTAL, owner);
	engine->trades = sluice_counter_open(rep, "trades", SLUICE_COUNTER_TOTAL, owner);
	engine->rejected = sluice_counter_open(rep, "rejected", SLUICE_COUNTER_TOTAL, owner);
	engine->duplicates = sluice_counter_open(rep, "duplicates", SLUICE_COUNTER_TOTAL, owner);
	engine->wal_bytes = sluice_counter_open(rep, "wal_bytes", SLUICE_COUNTER_TOTAL, owner);
	engine->wal_blocks = sluice_counter_open(rep, "wal_blocks", SLUICE_COUNTER_TOTAL, owner);
	engine->wal_commands = sluice_counter_open(rep, "wal_commands", SLUICE_COUNTER_TOTAL,
						   owner);
	engine->orders_live = sluice_counter_open(rep, "orders_live", SLUICE_COUNTER_GAUGE, owner);
	engine->wal_in_flight = sluice_counter_open(rep, "wal_in_flight", SLUICE_COUNTER_GAUGE,
						    owner);
	engine->recovered = sluice_counter_open(rep, ENGINE_REPORTS_RECOVERED, SLUICE_COUNTER_GAUGE,
						owner);
	engine->report_ns = sluice_histogram_open(rep, "publish_to_report_ns", owner);
	engine->commit_hist_ns = sluice_histogram_open(rep, "commit_ns", owner);
	engine->take_ns = sluice_histogram_open(&engine->cmd, "publish_to_take_ns",
						engine->in.index);
}

/* Closed by a predecessor that died before it could retire the instance: open again. */
static int reopen(struct sluice_segment *segment, struct sluice_diag *diag)
{
	struct sluice_ring ring;

	sluice_ring_init(&ring, segment);
	switch (sluice_ring_state(&ring)) {
	case SLUICE_STATE_READY:
		return 0;
	case SLUICE_STATE_POISONED:
		sluice_diag_set(diag, EBADMSG, "%s is poisoned: its words contradict each other",
				segment->header.name);
		sluice_diag_hint(diag, "sluice gc --repair %s   # says what is wrong",
				 segment->header.name);
		return -EBADMSG;
	default:
		sluice_ring_set_state(segment, SLUICE_STATE_READY);
		return 0;
	}
}

int engine_instance_join(struct engine *engine, struct sluice_diag *diag)
{
	const struct sluice_consumer_options in = {
		.name = "engine",
		.policy = SLUICE_POLICY_CRITICAL,
		.wait = engine->options.wait,
		.from = SLUICE_FROM_BEGINNING,
	};
	const struct sluice_producer_options out = {.name = "engine", .wait = engine->options.wait};
	int rc = allocate_sends(engine, diag);

	if (!rc)
		rc = sluice_consumer_open(&engine->in, &engine->cmd, &in, diag);
	if (rc)
		return rc;
	rc = reopen(&engine->cmd, diag);
	if (!rc)
		rc = reopen(&engine->rep, diag);
	if (!rc)
		rc = reopen(&engine->md, diag);
	if (rc)
		return rc;
	rc = sluice_producer_open(&engine->out, &engine->rep, &out, diag);
	if (!rc)
		rc = sluice_producer_open(&engine->md_out, &engine->md, &out, diag);
	if (!rc)
		rc = hold_reports(engine, engine->out.published, diag);
	if (rc)
		return rc;
	open_statistics(engine);
	/* relaxed: statistic; what was buried in an earlier life has been said in it */
	engine->tombstones_said = atomic_load_explicit(&engine->cmd.control->tombstones,
						       memory_order_relaxed);
	return engine->take_ns && engine->report_ns && engine->commit_hist_ns &&
			       engine->recovered && engine_supervise_open(engine) &&
			       engine_watch_open(engine) ?
		       0 :
		       sluice_diag_set(diag, EBADMSG,
				       "%s: the statistics tables are full or damaged",
				       engine->options.name);
}

void engine_instance_close(struct engine *engine)
{
	sluice_producer_close(&engine->md_out);
	sluice_producer_close(&engine->out);
	sluice_consumer_close(&engine->in, true);
	sluice_segment_close(&engine->md);
	sluice_segment_close(&engine->rep);
	sluice_segment_close(&engine->cmd);
}

void engine_instance_retire(struct engine *engine)
{
	static const char *const suffixes[] = {"cmd", "rep", "md"};
	struct sluice_segment *const segments[] = {&engine->cmd, &engine->rep, &engine->md};
	char name[SLUICE_SEGMENT_NAME_BYTES];

	for (int i = 0; i < 3; i++) {
		ring_name(engine, suffixes[i], name);
		sluice_segment_unlink(name, NULL);
		sluice_ring_set_state(segments[i], SLUICE_STATE_RETIRED);
	}
}
