/* SPDX-License-Identifier: MIT */
/*
 * poller.h - a consumer without a loop of its own: the caller asks when it suits it, a handler
 * takes what is there.
 *
 * One thread per poller. Nothing blocks. Progress is saved whatever the handler says: a crash
 * repeats at most the events of one poll.
 */
#ifndef SLUICE_CONSUMER_POLLER_H
#define SLUICE_CONSUMER_POLLER_H

#include "consumer/consumer.h"
#include "consumer/handler.h"

enum sluice_poll_result {
	SLUICE_POLL_PROCESSING = 1, /* the handler got at least one event */
	SLUICE_POLL_GATING = 2,	    /* there is more, but a slot that is claimed and not published,
				     * or a stage that this one follows, holds it back */
	SLUICE_POLL_IDLE = 3	    /* nothing was claimed that we have not had */
};

struct sluice_poller {
	struct sluice_consumer *consumer;
	uint64_t max; /* events per poll */
};

/* `consumer` must be critical and outlives the poller. max 0: all that is there. */
SLUICE_API void sluice_poller_init(struct sluice_poller *poller, struct sluice_consumer *consumer,
				   uint64_t max);

/*
 * Gives the handler what is published, in order, up to `max` events: a sluice_poll_result, or an
 * error: -EPIPE closed and all read, -ESTALE and the others of sluice_consumer_poll.
 *
 * The handler returns 0 to go on. Positive: the event is done and the poll ends; the rest comes
 * with the next one. Negative, or a rewind: that error is the poll's result, and its event comes
 * first the next time.
 */
SLUICE_API int sluice_poller_poll(struct sluice_poller *poller,
				  int (*on_event)(void *arg, const void *event, uint64_t sequence,
						  bool end_of_batch),
				  void *arg);

#endif
