/* SPDX-License-Identifier: MIT */
/*
 * published_internal.h - how far drains have to go. Any thread of a participant; writes nothing.
 */
#ifndef SLUICE_CONSUMER_PUBLISHED_INTERNAL_H
#define SLUICE_CONSUMER_PUBLISHED_INTERNAL_H

#include "shm/ring.h"

/*
 * Behind the last event that is published now, seen from a consumer's position; also if claimed
 * ones before it are not. `from` itself when there is none, or the claim word cannot be believed.
 */
static inline uint64_t consumer_published_end(const struct sluice_ring *ring, uint64_t from)
{
	uint64_t end;

	if (!ring->stamped)
		return sluice_ring_published(ring, from, ring->slot_count);
	/* relaxed: only says where to look; the stamps are acquired */
	end = atomic_load_explicit(&ring->control->claim, memory_order_relaxed);
	if (end - from > ring->slot_count)
		return from;
	while (end != from && sluice_ring_published(ring, end - 1, 1) != end)
		end--;
	return end;
}

#endif
