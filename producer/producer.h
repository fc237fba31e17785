/* SPDX-License-Identifier: MIT */
/*
 * producer.h - publish events into a ring: claim, write the slots, publish.
 *
 *	uint64_t first;
 *	sluice_producer_claim(&producer, 1, SLUICE_WAIT_FOREVER, &first);
 *	memcpy(sluice_producer_slot(&producer, first), &event, sizeof(event));
 *	sluice_producer_publish(&producer, first);
 *
 * Thread role: one thread at a time uses a handle. Events of a handle are published in claim order.
 *
 * Single-producer ring: one live handle at a time, in any process (its lock byte sees to that). No
 * atomic read-modify-write on the path: a claim checks private words and one read-mostly shared
 * one, a publish is one release store. A producer that dies between the two leaves nothing
 * visible: its successor takes the slots over (tombstones on stamped rings).
 *
 * Multi-producer ring: up to SLUICE_PARTICIPANTS_MAX handles in any processes. A claim is one
 * compare-and-swap of the claim word, announced before in the handle's own record (shm/claim.h), so
 * that slots of a dead producer are told from those of a slow one. One claim is outstanding per
 * handle; its slots may be published in any order. A thread that ends inside a claim gives it up
 * as by abort, and so does a process, by its death. Not lock-free for consumers: a producer that
 * is stopped inside a claim holds up everything behind it until it goes on or is killed.
 */
#ifndef SLUICE_PRODUCER_PRODUCER_H
#define SLUICE_PRODUCER_PRODUCER_H

#include <errno.h>

#include "shm/failpoint.h"
#include "shm/participant.h"
#include "shm/ring.h"
#include "shm/wait.h"

struct sluice_producer_options {
	const char *name; /* NULL: "producer" */
	uint32_t wait;	  /* enum sluice_wait_strategy, for a full ring */
	uint32_t reserved;
};

struct sluice_producer {
	struct sluice_ring ring;
	uint64_t next;	     /* next sequence to claim */
	uint64_t published;  /* next sequence to publish */
	uint64_t gate;	     /* cached least gating position: may be old, never too high */
	uint64_t membership; /* control.membership at the time of `gate` */
	uint64_t claim_floor; /* claim word left by a dead predecessor: never goes back */
	uint64_t pending;     /* multi: claimed slots that are not published yet */
	uint64_t claimer;     /* multi: token of the thread that claims by this handle */
	struct sluice_multi_handle *registered;
	uint64_t missing;     /* after -EAGAIN: slots that were missing for the claim */
	struct sluice_participant *self;
	uint32_t index;
	uint32_t wait;
	bool fenced; /* this process or a sleeper cannot use the barrier */
	bool barrier;
	bool multi;
	_Atomic uint32_t interrupted;
};

/*
 * Joins as a producer. -EBUSY: the ring takes one producer and it lives. -EPIPE: the ring is
 * closed. Cold path.
 */
SLUICE_API int sluice_producer_open(struct sluice_producer *ret_producer,
				    struct sluice_segment *segment,
				    const struct sluice_producer_options *options,
				    struct sluice_diag *diag);

/* Leaves. Claimed and unpublished slots are given up, as by abort. The ring stays open. */
SLUICE_API void sluice_producer_close(struct sluice_producer *producer);

/* The slow halves of a claim, internal to try_claim: look at the gating positions again ... */
SLUICE_API int sluice_producer_refresh(struct sluice_producer *producer, uint64_t n);
/* ... and once more after the claim word, because somebody joined; a failure takes it back. */
SLUICE_API int sluice_producer_recheck(struct sluice_producer *producer, uint64_t n);
/* The multi-producer ring's. */
SLUICE_API int sluice_producer_claim_multi(struct sluice_producer *producer, uint64_t n,
					   uint64_t *ret_first);

/* Marks slots as being written, before the first byte: what a lossy reader copies is then void. */
static inline void sluice_producer_mark(const struct sluice_ring *ring, uint64_t first, uint64_t n)
{
	for (uint64_t s = first; s != first + n; s++)
		/* relaxed: the fence below orders it before the payload */
		atomic_store_explicit(sluice_ring_stamp(ring, s), SLUICE_STAMP_WRITING | s,
				      memory_order_relaxed);
}

/*
 * Claims n consecutive slots without blocking: 0 and the first sequence; -EAGAIN not enough space
 * (own unpublished slots count as taken), producer->missing says how many slots lack; -EINVAL n
 * is 0, or more than the ring holds, or (multi) than SLUICE_CLAIM_MAX; -EBUSY (multi) a claim is
 * outstanding; -EPIPE closed, -ESHUTDOWN retired, -ENOTRECOVERABLE poisoned; -EBADMSG a
 * consumer's position is impossible (shared memory was damaged).
 *
 * Single producer: the claim word comes before the look at `membership`: a consumer that joins
 * behind the newest event sees the one, or is seen by the other (participant.c).
 */
static inline int sluice_producer_try_claim(struct sluice_producer *producer, uint64_t n,
					    uint64_t *ret_first)
{
	struct sluice_control *control = producer->ring.control;
	const uint64_t first = producer->next;
	int rc;

	if (producer->multi)
		return sluice_producer_claim_multi(producer, n, ret_first);
	if (sluice_unlikely(n - 1 >= producer->ring.slot_count))
		return -EINVAL;
	if (sluice_unlikely(first + n - producer->gate > producer->ring.slot_count)) {
		rc = sluice_producer_refresh(producer, n);
		if (rc)
			return rc;
	}
	/* relaxed: a fence below orders it before the slots, a joiner's barrier before its look */
	atomic_store_explicit(&control->claim,
			      sluice_likely(first + n > producer->claim_floor) ?
				      first + n : producer->claim_floor,
			      memory_order_relaxed);
	/* sync: claim:dekker -> place:claim; the barrier is the joiner's, the compiler is ours */
	atomic_signal_fence(memory_order_seq_cst);
	if (sluice_unlikely(producer->fenced))
		/* sync: claim:dekker -> place:claim; only where the barrier is not to be had */
		sluice_ring_fence();
	/* relaxed: read-mostly; see above */
	if (sluice_unlikely(atomic_load_explicit(&control->membership, memory_order_relaxed) !=
			    producer->membership)) {
		rc = sluice_producer_recheck(producer, n);
		if (rc)
			return rc;
	}
	producer->next = first + n;
	if (producer->ring.stamped)
		sluice_producer_mark(&producer->ring, first, n);
	/* sync: claim:word -> copy:claim, claim:word -> copy:stamp; before any write of the slot */
	atomic_thread_fence(memory_order_release);
	*ret_first = first;
	return 0;
}

/*
 * The same, waiting for space by the handle's strategy. -ETIMEDOUT after timeout_ns; -ECANCELED
 * interrupted; -EPIPE and the like when the ring is closed meanwhile; -EREMOTEIO the ring is full
 * because a consumer's handler failed and stopped it (sluice_processor; participant.failed).
 * While it waits it evicts evictable consumers that are beyond their limits, and fills holes of
 * dead producers.
 */
SLUICE_API int sluice_producer_claim(struct sluice_producer *producer, uint64_t n,
				     uint64_t timeout_ns, uint64_t *ret_first);

/*
 * Makes a claim that waits, or the next one that would wait, return -ECANCELED, until resume. Any
 * thread or signal handler of the process.
 */
SLUICE_API void sluice_producer_interrupt(struct sluice_producer *producer);
SLUICE_API void sluice_producer_resume(struct sluice_producer *producer);

/* The claimed slot's event bytes: payload_bytes long, the caller's until published. */
static inline void *sluice_producer_slot(const struct sluice_producer *producer, uint64_t sequence)
{
	return sluice_ring_payload(&producer->ring, sequence);
}

static inline void sluice_producer_wake(struct sluice_producer *producer)
{
	struct sluice_control *control = producer->ring.control;

	if (sluice_unlikely(producer->fenced))
		/* sync: publish:fence -> sleep_begin:bit; only where there is no barrier */
		sluice_ring_fence();
	/* relaxed: the sleeper's barrier orders it after the publishing store (wait.h) */
	if (sluice_unlikely(atomic_load_explicit(&control->consumer_sleepers,
						 memory_order_relaxed)))
		sluice_wake(producer->ring.segment, &control->consumer_sleepers);
}

/*
 * Some of a multi-producer claim's slots are published; after the last one the record is cleared.
 */
static inline void sluice_producer_settle(struct sluice_producer *producer, uint64_t n)
{
	sluice_assert_hot(n <= producer->pending);
	producer->pending -= n;
	if (producer->pending)
		return;
	producer->published = producer->next;
	SLUICE_FAILPOINT(P7);
	/* sync: claim:record -> record:load; the stamps before the record is gone */
	atomic_store_explicit(&producer->self->claim_record, SLUICE_CLAIM_IDLE,
			      memory_order_release);
	SLUICE_FAILPOINT(P8);
}

/*
 * Publishes lo..hi, both included, each sequence once. Single producer: in claim order. Multi: any
 * part of the claim; consumers see the contiguous prefix.
 */
static inline void sluice_producer_publish_range(struct sluice_producer *producer, uint64_t lo,
						 uint64_t hi)
{
	sluice_assert_hot(hi - lo < producer->next - lo);
	if (producer->ring.stamped) {
		SLUICE_FAILPOINT(P5);
		for (uint64_t s = lo; s != hi + 1; s++) {
			/* sync: publish:stamp -> ring:stamp; event before its stamp */
			atomic_store_explicit(sluice_ring_stamp(&producer->ring, s), s + 1,
					      memory_order_release);
			SLUICE_FAILPOINT(P6);
		}
	}
	if (producer->multi) {
		sluice_producer_settle(producer, hi - lo + 1);
		sluice_producer_wake(producer);
		return;
	}
	sluice_assert_hot(lo == producer->published);
	producer->published = hi + 1;
	if (!producer->ring.stamped) {
		/* sync: publish:cursor -> ring:cursor; events before the cursor */
		atomic_store_explicit(&producer->ring.control->cursor, hi + 1,
				      memory_order_release);
	}
	sluice_producer_wake(producer);
}

static inline void sluice_producer_publish(struct sluice_producer *producer, uint64_t sequence)
{
	sluice_producer_publish_range(producer, sequence, sequence);
}

/*
 * Gives up what is claimed and not published: tombstones on stamped rings; on a cursor ring the
 * slots are claimed again. Consumers see no event of it.
 */
SLUICE_API void sluice_producer_abort(struct sluice_producer *producer);

/* Slots that a claim would get now; looks at the consumers. Never negative, no side effect. */
SLUICE_API uint64_t sluice_producer_remaining(struct sluice_producer *producer);

static inline bool sluice_producer_has_capacity(struct sluice_producer *producer, uint64_t n)
{
	return sluice_producer_remaining(producer) >= n;
}

/*
 * Everything published so far has been consumed by all gating consumers. For drains.
 */
SLUICE_API bool sluice_producer_drained(struct sluice_producer *producer);

/* Sleeps until a consumer releases something or the timeout is over. */
SLUICE_API void sluice_producer_await_drain(struct sluice_producer *producer, uint64_t timeout_ns);

/* Adds to the participant's statistics; the owner, at most once per batch. */
SLUICE_API void sluice_producer_count(struct sluice_producer *producer, uint64_t events);

#endif
