/* SPDX-License-Identifier: MIT */
/*
 * aggregate.h - several handlers run as one stage: each event goes to all of them, one after the
 * other, on one thread and under one position.
 *
 * An event that one of them fails, stops at or wants again is not shown to those behind it; its
 * code is the aggregate's. The hooks go to all. on_start: when one fails, those before it are
 * stopped again, last first, and that error is the aggregate's. on_idle and on_stop: all are
 * called, the first code that is not 0 is the aggregate's.
 *
 * A handler's `wants` decides for itself, but end_of_batch is the aggregate's: use on_batch_end in
 * such a one. A handler's `errors` is not looked at: see `handler.errors` below.
 */
#ifndef SLUICE_CONSUMER_AGGREGATE_H
#define SLUICE_CONSUMER_AGGREGATE_H

#include "consumer/handler.h"

struct sluice_aggregate_part {
	const struct sluice_handler *handler;
	void *arg;
};

/* Used as the `arg` of its own `handler`. */
struct sluice_aggregate {
	struct sluice_handler handler; /* the caller may set handler.errors after init */
	const struct sluice_aggregate_part *parts;
	uint32_t count;
};

/* The aggregate must not be moved afterwards; `parts` outlive it. */
SLUICE_API void sluice_aggregate_init(struct sluice_aggregate *aggregate,
				      const struct sluice_aggregate_part *parts, uint32_t count);

#endif
