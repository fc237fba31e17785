/* SPDX-License-Identifier: MIT */
/*
 * collect.h - what a start's replay produces, compared with what a dead predecessor showed: reports
 * that are visible must be the same, byte for byte (D3); the rest is kept for recover.c to publish.
 *
 * The engine's thread, while it starts. All of it is private memory: a crash leaves nothing.
 */
#ifndef SLUICE_ENGINE_COLLECT_H
#define SLUICE_ENGINE_COLLECT_H

#include "engine/engine.h"

struct engine_collector {
	struct engine *engine;
	struct sluice_sink sink;
	uint64_t report_drained, md_drained; /* numbers below were looked at */
	uint64_t keep_from; /* no rings yet: reports below were taken in an earlier life */
	struct sluice_report *reports;	     /* to be published: dense, up to the newest */
	size_t report_count, report_room;
	struct sluice_md_event *md;
	size_t md_count, md_room;
	uint64_t mismatch; /* number of the first report that differs, 0 none */
	struct sluice_diag *diag;
};

/* report_first and md_first are the numbers of what the replay will cause first. */
int engine_collector_init(struct engine_collector *collector, struct engine *engine,
			  uint64_t report_first, uint64_t md_first, struct sluice_diag *diag);
void engine_collector_release(struct engine_collector *collector);

/* Looks at everything that the sink has got, and gives it room again. */
void engine_collector_drain(struct engine_collector *collector);

/* -EBADMSG with the text for collector->mismatch. */
int engine_collector_mismatch(struct engine_collector *collector);

#endif
