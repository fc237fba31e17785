/* SPDX-License-Identifier: MIT */
/*
 * consumer.h - read events from a ring in order, and say when their slots may be reused.
 *
 *	uint64_t n;
 *	while (!sluice_consumer_wait(&consumer, 256, timeout_ns, &n)) {
 *		for (uint64_t i = 0; i < n; i++)
 *			use(sluice_consumer_event(&consumer, consumer.next + i));
 *		sluice_consumer_advance(&consumer, n);
 *		sluice_consumer_release(&consumer, consumer.next);
 *	}
 *
 * advance and release are separate, so a stage may read on and release late: that is what
 * durability needs. Thread role: one handle per thread. A critical consumer's position outlives
 * its process: whoever joins under the same name goes on there (at least once; the position is
 * what was released).
 *
 * Stages: a consumer may follow others (options.after). It reads what all of them have released,
 * and its position stands for theirs: only the last of a line holds producers back. One that is
 * away or dead still holds up those behind it; one that has left, or was evicted, leaves them
 * -ESTALE, unless the ring is closed: then it just does not count any more. Names are what binds
 * them, so each stage may be a process of its own, and come back under its name.
 *
 * Evictable and lossy consumers read through sluice_consumer_copy, which tells whether the copy is
 * whole; nothing may be done with bytes it has not vouched for.
 */
#ifndef SLUICE_CONSUMER_CONSUMER_H
#define SLUICE_CONSUMER_CONSUMER_H

#include <errno.h>

#include "consumer/pace.h"
#include "shm/participant.h"
#include "shm/ring.h"
#include "shm/wait.h"

struct sluice_consumer_options {
	const char *name; /* NULL: "consumer" */
	uint32_t policy;  /* enum sluice_policy; 0: critical */
	uint32_t wait;	  /* enum sluice_wait_strategy */
	uint32_t from;	  /* enum sluice_from, for a name that is new */
	uint64_t sequence;
	uint64_t lag_max; /* evictable */
	/*
	 * NULL-terminated names of stages on this ring that must have released an event before this
	 * one reads it; NULL or empty: none. They must be there already (-ENOENT), and not be lossy
	 * (-EINVAL). To be given again by one that comes back.
	 */
	const char *const *after;
};

/* How long the slot at `next` has been claimed and not published, and what was done about it. */
struct sluice_stall {
	uint64_t sequence;
	uint64_t since_ns; /* 0: it is not, or was not when last looked at */
	uint64_t asked_ns; /* last recovery */
	uint64_t pause_ns; /* until the next one */
	bool shown;	   /* participant.stalled_ns is set */
};

struct sluice_consumer {
	struct sluice_ring ring;
	struct sluice_participant *self;
	uint64_t next;	   /* next sequence to read */
	uint64_t released; /* shared position */
	uint64_t state;	   /* own entry's state word when joined: changes when evicted */
	uint32_t index;
	uint32_t wait;
	uint32_t policy;
	uint32_t empties; /* polls that found nothing, for the occasional look around */
	bool resumed;	  /* came back at a saved position */
	bool fenced;
	bool watched;	  /* polls take the longer way: not critical, or follows, or stalled */
	uint64_t follows; /* bit i: reads only what participant i has released */
	struct sluice_stall stall;
	struct sluice_pace pace;
	_Atomic uint32_t interrupted; /* any thread of this process, signal handlers */
};

SLUICE_API int sluice_consumer_open(struct sluice_consumer *ret_consumer,
				    struct sluice_segment *segment,
				    const struct sluice_consumer_options *options,
				    struct sluice_diag *diag);

/* Leaves. keep: a critical consumer's position goes on gating until it comes back. */
SLUICE_API void sluice_consumer_close(struct sluice_consumer *consumer, bool keep);

/*
 * Events readable from consumer->next on, at most `max`: 0 and *ret_n >= 1; -EAGAIN nothing new;
 * -EPIPE the ring is closed and everything was read, -ESHUTDOWN it is retired and was; -ESTALE this
 * consumer was evicted, or what it follows is gone; -ENOTRECOVERABLE the ring is poisoned; -EBADMSG
 * shared memory was damaged. Does not block. Tombstones are counted as events: see
 * sluice_consumer_is_void. A claimed slot that stays unpublished makes it call sluice_recover now
 * and then, and shows in participant.stalled_ns.
 */
SLUICE_API int sluice_consumer_poll(struct sluice_consumer *consumer, uint64_t max,
				    uint64_t *ret_n);

/* The same, waiting by the strategy; -ETIMEDOUT after timeout_ns; -ECANCELED interrupted. */
SLUICE_API int sluice_consumer_wait(struct sluice_consumer *consumer, uint64_t max,
				    uint64_t timeout_ns, uint64_t *ret_n);

/*
 * Makes the wait in progress, and every later one, return -ECANCELED until resumed; events that are
 * there stay there. While the handle is open: from any thread of this process, and from a signal
 * handler.
 */
SLUICE_API void sluice_consumer_interrupt(struct sluice_consumer *consumer);
SLUICE_API void sluice_consumer_resume(struct sluice_consumer *consumer);

/* Critical consumers: the event's bytes, valid until released. */
static inline const void *sluice_consumer_event(const struct sluice_consumer *consumer,
						uint64_t sequence)
{
	return sluice_ring_payload(&consumer->ring, sequence);
}

static inline bool sluice_consumer_is_void(const struct sluice_consumer *consumer,
					   uint64_t sequence)
{
	return sluice_ring_is_void(&consumer->ring, sequence);
}

/* Every policy: see sluice_ring_copy; -ESTALE when evicted before the copy was whole. */
SLUICE_API int sluice_consumer_copy(struct sluice_consumer *consumer, uint64_t sequence,
				    void *ret_event);

/*
 * Lossy, after -EOVERFLOW only: goes on at the oldest event that is still whole; returns how many
 * were lost, which is never 0.
 */
SLUICE_API uint64_t sluice_consumer_skip(struct sluice_consumer *consumer);

static inline void sluice_consumer_advance(struct sluice_consumer *consumer, uint64_t n)
{
	consumer->next += n;
}

/* The slow half of a release: wakes producers and stages that sleep. */
SLUICE_API void sluice_consumer_wake(struct sluice_consumer *consumer);

/*
 * Everything before `sequence` may be overwritten, and read by those who follow. At most
 * consumer->next; never goes back.
 */
static inline void sluice_consumer_release(struct sluice_consumer *consumer, uint64_t sequence)
{
	struct sluice_control *control = consumer->ring.control;

	sluice_assert_hot(consumer->next - sequence <= consumer->ring.slot_count);
	sluice_assert_hot(sequence - consumer->released <= consumer->ring.slot_count);
	consumer->released = sequence;
	/*
	 * sync: release:position -> gate:position; our reads before the slots are reused
	 * sync: release:position -> stage:position; our work before those who follow
	 */
	atomic_store_explicit(&consumer->self->position, sequence, memory_order_release);
	if (sluice_unlikely(consumer->fenced))
		/* sync: release:fence -> sleep_begin:bit; only where there is no barrier */
		sluice_ring_fence();
	/* relaxed, both: the sleeper's barrier orders them after the position (wait.h); one line */
	if (sluice_unlikely(atomic_load_explicit(&control->producer_sleepers,
						 memory_order_relaxed) |
			    atomic_load_explicit(&control->stage_sleepers, memory_order_relaxed)))
		sluice_consumer_wake(consumer);
}

/* Adds to the participant's statistics; the owner, at most once per batch. */
SLUICE_API void sluice_consumer_count(struct sluice_consumer *consumer, uint64_t events,
				      uint64_t voids);

#endif
