/* SPDX-License-Identifier: MIT */
/*
 * ring.h - the arithmetic of a ring that producers, consumers and taps share: where a slot is, how
 * far it is published, whose position gates.
 *
 *	producer                                consumer
 *	A  store claim; fence                   C  load cursor (or stamp)
 *	   write slots                             read slots
 *	B  store cursor (or stamp) release      D  store position release
 *	E  load positions acquire                  (lossy: fence; load claim, compare)
 *
 * B pairs with C: the event before the word that publishes it. D pairs with E: reads of the old
 * event before the word that lets it be overwritten. A pairs with the lossy reader's second look:
 * a slot is never written before the claim word says so.
 *
 * One thread per handle. Nothing blocks. A crash leaves the published prefix intact.
 */
#ifndef SLUICE_SHM_RING_H
#define SLUICE_SHM_RING_H

#include <string.h>

#include "shm/segment.h"

/* Private copies of what the hot path needs: nothing is read from the shared header again. */
struct sluice_ring {
	struct sluice_segment *segment;
	struct sluice_control *control;
	uint8_t *slots;
	uint64_t mask;
	uint64_t slot_count;
	uint32_t stride;
	uint32_t payload_offset; /* 8 behind a stamp, else 0 */
	uint32_t payload_bytes;
	uint32_t stamped;
};

static inline void sluice_ring_init(struct sluice_ring *ring, struct sluice_segment *segment)
{
	const struct sluice_header *header = &segment->header;

	ring->segment = segment;
	ring->control = segment->control;
	ring->slots = segment->slots;
	ring->slot_count = header->slot_count;
	ring->mask = header->slot_count - 1;
	ring->stride = header->slot_stride;
	ring->payload_bytes = header->payload_bytes;
	ring->stamped = header->publication == SLUICE_PUBLICATION_STAMPED;
	ring->payload_offset = ring->stamped ? 8 : 0;
}

static inline uint8_t *sluice_ring_slot(const struct sluice_ring *ring, uint64_t sequence)
{
	return ring->slots + (sequence & ring->mask) * ring->stride;
}

static inline void *sluice_ring_payload(const struct sluice_ring *ring, uint64_t sequence)
{
	return sluice_ring_slot(ring, sequence) + ring->payload_offset;
}

static inline _Atomic uint64_t *sluice_ring_stamp(const struct sluice_ring *ring, uint64_t sequence)
{
	return (_Atomic uint64_t *)(void *)sluice_ring_slot(ring, sequence);
}

/*
 * published(s): at or beyond s + 1, because the slot may have been consumed and reused meanwhile;
 * being written for a later sequence counts, being written for s itself (WRITING | s) does not.
 */
static inline bool sluice_stamp_published(uint64_t stamp, uint64_t sequence)
{
	return (stamp & SLUICE_STAMP_SEQ) >= sequence + 1;
}

/* The first sequence from `from` on that is not published yet, looking at most `max` ahead. */
static inline uint64_t sluice_ring_published(const struct sluice_ring *ring, uint64_t from,
					     uint64_t max)
{
	uint64_t sequence = from;

	if (!ring->stamped) {
		/* sync: ring:cursor <- publish:cursor; the events before the cursor */
		const uint64_t cursor = atomic_load_explicit(&ring->control->cursor,
							     memory_order_acquire);
		const uint64_t ahead = cursor - from;

		/* a cursor behind us or more than a ring ahead is not one we can trust */
		if (sluice_unlikely(ahead > ring->slot_count))
			return from;
		return ahead > max ? from + max : cursor;
	}
	while (sequence - from < max) {
		/* sync: ring:stamp <- publish:stamp; the event before its stamp */
		const uint64_t stamp = atomic_load_explicit(sluice_ring_stamp(ring, sequence),
							    memory_order_acquire);

		if (!sluice_stamp_published(stamp, sequence))
			break;
		sequence++;
	}
	return sequence;
}

/* True for a tombstone. Only of a published sequence that this consumer still gates. */
static inline bool sluice_ring_is_void(const struct sluice_ring *ring, uint64_t sequence)
{
	/* relaxed: the acquire that found it published came before */
	return ring->stamped &&
	       (atomic_load_explicit(sluice_ring_stamp(ring, sequence), memory_order_relaxed) &
		SLUICE_STAMP_VOID);
}

/*
 * Copies one event for a reader that does not gate, and tells whether the copy is whole: 0 yes,
 * -EAGAIN not published yet, -EOVERFLOW overwritten (or being overwritten), -ENODATA tombstone.
 */
SLUICE_API int sluice_ring_copy(const struct sluice_ring *ring, uint64_t sequence, void *ret_event);

/* Oldest sequence that a reader may still find whole. */
SLUICE_API uint64_t sluice_ring_oldest(const struct sluice_ring *ring);

/*
 * The least position of all consumers that gate, seen from `next`; `next` itself if nobody gates.
 * -EBADMSG in *ret_error when a position is not one that a consumer can have (it is then ignored
 * in favour of the others and must be reported, never overwritten over).
 */
SLUICE_API uint64_t sluice_gate_min(const struct sluice_ring *ring, uint64_t next, int *ret_error);

/*
 * The same for rings of many producers, where nobody knows the claim word but by loading it: it is
 * loaded after the positions. When nobody gates, the first unpublished sequence gates, from `floor`
 * on looked for (a sequence before which everything is known to be published): no slot may be
 * claimed again before its last user has published it. Never more than *ret_claim.
 */
SLUICE_API uint64_t sluice_gate_claim(const struct sluice_ring *ring, uint64_t floor,
				      uint64_t *ret_claim, int *ret_error);

/*
 * Slow path of a producer that finds no space: evicts evictable consumers that are dead or beyond
 * their limit. Returns how many.
 */
SLUICE_API uint32_t sluice_gate_evict(const struct sluice_ring *ring, uint64_t next);

/*
 * A full fence, as a call: on x86 it is a read-modify-write, and the path that does without one
 * shall be seen to have none (tests/integration/test_single_path.sh).
 */
SLUICE_API void sluice_ring_fence(void);

/* State of the segment: enum sluice_segment_state. */
static inline uint32_t sluice_ring_state(const struct sluice_ring *ring)
{
	/* sync: ring:state <- state:set; what was done before the state changed */
	return (uint32_t)(atomic_load_explicit(&ring->control->state, memory_order_acquire) &
			  SLUICE_STATE_MASK);
}

/* Sets the state, keeps the epoch, wakes everybody. Owner or operator. */
SLUICE_API void sluice_ring_set_state(struct sluice_segment *segment,
				      enum sluice_segment_state state);

#endif
