/* SPDX-License-Identifier: MIT */
/*
 * lanes_internal.h - what merging (lanes.c) and waiting (lanes_wait.c) share.
 */
#ifndef SLUICE_CONSUMER_LANES_INTERNAL_H
#define SLUICE_CONSUMER_LANES_INTERNAL_H

#include "consumer/lanes.h"

struct sluice_lane {
	struct sluice_consumer *consumer;
	uint8_t *event; /* private copy of the event at consumer->next, if has_event */
	uint64_t ready; /* sequences from consumer->next on that are known to be published */
	uint64_t voids; /* passed since the last release */
	uint64_t key;
	bool has_event;
};

/*
 * The claim word must cover what is published and be at most a ring ahead: -EBADMSG. `n` sequences
 * from `next` on were found published.
 */
int sluice_lane_check(const struct sluice_consumer *consumer, uint64_t n);

/* The lane has ended for this reason: removes it and tells. */
void sluice_lane_drop(struct sluice_lanes *lanes, uint32_t index, int reason);

#endif
