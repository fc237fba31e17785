/* SPDX-License-Identifier: MIT */
/*
 * lanes.h - one consumer of many rings, which it merges into one stream. Typically one ring per
 * producer.
 *
 * When to use them. Processes that share a ring trust each other: any of them can fill it, stop
 * inside a claim, or scribble over it. Producers that shall not be able to do that to each other
 * get a ring each, and the reader polls all of them. A lane that is slow, stopped, closed, gone or
 * damaged then hurts nobody but itself. The price is a look at every ring, and no order between the
 * events of two lanes but the one that is chosen here. (A process that may write a ring's file may
 * also truncate it, which kills whoever reads it: rings of the truly hostile must be sealed.)
 *
 *	while ((rc = sluice_lanes_poll(&lanes, 0, on_event, arg)) >= 0)
 *		if (rc == SLUICE_POLL_IDLE && (rc = sluice_lanes_wait(&lanes, timeout_ns)) < 0)
 *			break;
 *
 * Order.
 *   round-robin	every lane in turn, at most `turn_max` events of it. Order within a lane is
 *			kept; no lane waits for more than turn_max events of each other one.
 *   by key		always the event with the least key among those that are there: the first
 *			unread one of each lane, as of the last look. Lanes that had nothing are
 *			looked at again after `turn_max` events. Order within a lane is kept,
 *			whatever its keys say. Nothing is waited for: an event that is published
 *			late, with a key that is less than one delivered already, comes late.
 *
 * Handlers get a private copy, made once: a producer cannot change what they have looked at.
 *
 * Thread role: one thread per struct; interrupt from any. The consumers are critical ones, joined
 * and closed by the caller, and belong to the lanes in between. Positions are released lane by
 * lane: a crash repeats at most the events of one poll.
 */
#ifndef SLUICE_CONSUMER_LANES_H
#define SLUICE_CONSUMER_LANES_H

#include "consumer/poller.h"

#define SLUICE_LANES_MAX SLUICE_SLEEP_PLACES_MAX

enum sluice_lanes_order { SLUICE_LANES_ROUND_ROBIN = 0, SLUICE_LANES_BY_KEY = 1 };

struct sluice_lanes_options {
	uint32_t order;	     /* enum sluice_lanes_order */
	uint32_t turn_max;   /* see above; 0: 32, or 1 by key */
	uint32_t key_offset; /* by key: of a little-endian u64 in the event */
	uint32_t wait;	     /* enum sluice_wait_strategy */
	/*
	 * A lane has ended: -EPIPE closed and all read, -ESHUTDOWN retired, -ENOENT its name is
	 * removed and no producer is left, -ENOTRECOVERABLE poisoned, -ESTALE evicted, -EBADMSG
	 * damaged. It is not a lane any more when this is called, which may close the consumer, but
	 * neither add nor remove lanes. NULL: nobody wants to know.
	 */
	void (*on_drop)(void *arg, struct sluice_consumer *consumer, int reason);
	void *arg; /* of on_drop */
};

struct sluice_lane;

struct sluice_lanes {
	struct sluice_lanes_options options;
	struct sluice_lane *lanes; /* the first `count` of SLUICE_LANES_MAX */
	uint32_t count;
	uint32_t at;	   /* round-robin: whose turn it is */
	uint64_t named_ns; /* when it was last asked whether the rings have their names */
	_Atomic uint32_t interrupted;
};

/* `options` NULL: zeroed. -ENOMEM. -EINVAL: no such order. */
SLUICE_API int sluice_lanes_init(struct sluice_lanes *ret_lanes,
				 const struct sluice_lanes_options *options);
SLUICE_API void sluice_lanes_release(struct sluice_lanes *lanes);

/* -EINVAL: not critical, or the key is not inside its events. -EEXIST, -ENOSPC, -ENOMEM. */
SLUICE_API int sluice_lanes_add(struct sluice_lanes *lanes, struct sluice_consumer *consumer);

/* It stands behind the last event that was handled. -ENOENT: not a lane, or not any more. */
SLUICE_API int sluice_lanes_remove(struct sluice_lanes *lanes, struct sluice_consumer *consumer);

/*
 * Gives the handler at most `max` events (0: 256): SLUICE_POLL_PROCESSING, or SLUICE_POLL_IDLE when
 * there was none; -EPIPE: no lane is left. `lane` is the consumer that was added.
 *
 * The handler returns 0 to go on. Positive: the event is done and the poll ends. Negative, or a
 * rewind: that error is the poll's result, and the event is the first of its lane the next time.
 */
SLUICE_API int sluice_lanes_poll(struct sluice_lanes *lanes, uint64_t max,
				 int (*on_event)(void *arg, struct sluice_consumer *lane,
						 const void *event, uint64_t sequence),
				 void *arg);

/*
 * Waits until a poll has something to do: 0. -ETIMEDOUT; -ECANCELED interrupted; -EPIPE no lane is
 * left. Sleeps on all lanes at once.
 */
SLUICE_API int sluice_lanes_wait(struct sluice_lanes *lanes, uint64_t timeout_ns);

/*
 * Every wait ends with -ECANCELED until resumed; one that sleeps, within ten milliseconds. From any
 * thread and from signal handlers.
 */
SLUICE_API void sluice_lanes_interrupt(struct sluice_lanes *lanes);
SLUICE_API void sluice_lanes_resume(struct sluice_lanes *lanes);

#endif
