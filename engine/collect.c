/* SPDX-License-Identifier: MIT */
/* collect.c - see collect.h. */
#include "engine/collect.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#ifndef BUFFER_REPORTS /* the simulator's rings are small */
#define BUFFER_REPORTS 4096u
#endif

static void *grow(void *array, size_t *room, size_t count, size_t bytes)
{
	if (count < *room)
		return array;
	*room = *room ? *room * 2 : 1024;
	array = realloc(array, *room * bytes);
	if (!array)
		abort(); /* out of memory while starting: nothing was changed yet */
	return array;
}

static bool same_report(const struct sluice_report *a, const struct sluice_report *b)
{
	struct sluice_report x = *a, y = *b;

	/* the mode may have changed between the two starts */
	x.head.flags &= (uint16_t)~SLUICE_REPORT_DURABILITY_MASK;
	y.head.flags &= (uint16_t)~SLUICE_REPORT_DURABILITY_MASK;
	return !memcmp(&x, &y, sizeof(x));
}

static void collect_report(struct engine_collector *collector, const struct sluice_report *report)
{
	struct engine *engine = collector->engine;
	const struct sluice_ring *ring = &engine->out.ring;
	const uint64_t sequence = report->n - 1;
	struct sluice_report seen;

	if (!ring->segment && report->n < collector->keep_from)
		return;
	if (!ring->segment || (int64_t)(sequence - engine->out.published) >= 0) {
		collector->reports = grow(collector->reports, &collector->report_room,
					  collector->report_count, sizeof(*report));
		collector->reports[collector->report_count++] = *report;
		return;
	}
	/* slots that the predecessor claimed for later reports may be half written */
	if ((int64_t)(sequence - sluice_ring_oldest(ring)) < 0)
		return;
	seen = *(const struct sluice_report *)sluice_ring_payload(ring, sequence);
	if (!collector->mismatch && !same_report(&seen, report))
		collector->mismatch = report->n;
}

void engine_collector_drain(struct engine_collector *collector)
{
	struct sluice_sink *sink = &collector->sink;

	for (; collector->report_drained != sink->report_next; collector->report_drained++)
		collect_report(collector,
			       &sink->reports[(collector->report_drained - 1) & sink->report_mask]);
	for (; collector->md_drained != sink->md_next; collector->md_drained++) {
		const struct sluice_md_event *event =
			&sink->md[(collector->md_drained - 1) & sink->md_mask];

		if (!collector->engine->md_out.ring.segment ||
		    (int64_t)(event->n - 1 - collector->engine->md_out.published) < 0)
			continue;
		collector->md = grow(collector->md, &collector->md_room, collector->md_count,
				     sizeof(*event));
		collector->md[collector->md_count++] = *event;
	}
	sink->report_limit = sink->report_next + BUFFER_REPORTS;
	sink->md_limit = sink->md_next + BUFFER_REPORTS;
}

static void collector_room(struct sluice_sink *sink)
{
	engine_collector_drain(sink->context);
}

int engine_collector_init(struct engine_collector *collector, struct engine *engine,
			  uint64_t report_first, uint64_t md_first, struct sluice_diag *diag)
{
	struct sluice_sink *sink = &collector->sink;

	memset(collector, 0, sizeof(*collector));
	collector->engine = engine;
	collector->diag = diag;
	sink->reports = calloc(BUFFER_REPORTS, sizeof(*sink->reports));
	sink->md = calloc(BUFFER_REPORTS, sizeof(*sink->md));
	if (!sink->reports || !sink->md) {
		free(sink->reports);
		free(sink->md);
		return sluice_diag_set(diag, ENOMEM, "not enough memory to replay the log");
	}
	sink->report_mask = sink->md_mask = BUFFER_REPORTS - 1;
	sink->report_next = collector->report_drained = report_first;
	sink->md_next = collector->md_drained = md_first;
	sink->report_limit = sink->report_next + BUFFER_REPORTS;
	sink->md_limit = sink->md_next + BUFFER_REPORTS;
	sink->report_flags = engine_report_flags(engine);
	sink->make_room = collector_room;
	sink->context = collector;
	return 0;
}

void engine_collector_release(struct engine_collector *collector)
{
	free(collector->sink.reports);
	free(collector->sink.md);
	free(collector->reports);
	free(collector->md);
}

int engine_collector_mismatch(struct engine_collector *collector)
{
	return sluice_diag_set(
		collector->diag, EBADMSG,
		"report %llu in %s.rep is not the one that the log gives: the log and "
		"the ring do not belong together, or one of them is damaged",
		(unsigned long long)collector->mismatch, collector->engine->options.name);
}
