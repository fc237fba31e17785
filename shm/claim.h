/* SPDX-License-Identifier: MIT */
/*
 * claim.h - the claim record of a multi-producer ring: which slots a producer is about to take, or
 * has taken and not published. It is what tells a live producer's unpublished slot from a dead
 * one's.
 *
 *	producer                                recoverer (recovery.c), joiner (participant.c)
 *	A  record = ATTEMPT(t, n)  release      D  load claim word = T           acquire
 *	B  CAS claim word t -> t + n            E  sample liveness (recoverer)
 *	C  record = CLAIMED(t, n)               F  load records                  acquire
 *	   slots, stamps, record = IDLE         G  load the stamp again          acquire
 *
 * A precedes B: whoever reads a claim word that contains a claim also sees the record that
 * announced it, or a later one. Every store of the record is a release, so a later one shows the
 * stamps too.
 * A producer that waits, for space or for the CPU on purpose, has IDLE: a stale ATTEMPT that
 * overlaps an orphan would hold up its recovery for ever.
 *
 * The record has 48 bits of the sequence; they are read relative to the claim word. One writer, any
 * number of readers.
 */
#ifndef SLUICE_SHM_CLAIM_H
#define SLUICE_SHM_CLAIM_H

#include "shm/ring.h"

/* state: SLUICE_CLAIM_ATTEMPT or _CLAIMED; 1 <= n <= SLUICE_CLAIM_MAX */
static inline uint64_t sluice_claim_pack(uint64_t state, uint64_t first, uint64_t n)
{
	return state | (n - 1) << SLUICE_CLAIM_COUNT_SHIFT | (first & SLUICE_CLAIM_FIRST_MASK);
}

static inline uint64_t sluice_claim_state(uint64_t record)
{
	return record & SLUICE_CLAIM_STATE;
}

static inline uint64_t sluice_claim_count(uint64_t record)
{
	return (record >> SLUICE_CLAIM_COUNT_SHIFT & SLUICE_CLAIM_COUNT_MASK) + 1;
}

/* The record's first sequence in full, being the one nearest to `near`. */
static inline uint64_t sluice_claim_first(uint64_t record, uint64_t near)
{
	/* the difference modulo 2^48, sign-extended */
	const uint64_t apart = ((record - near) & SLUICE_CLAIM_FIRST_MASK) << 16;

	return near + (uint64_t)((int64_t)apart >> 16);
}

/* Is `sequence` one of the record's slots? Says nothing about the record's state. */
static inline bool sluice_claim_covers(uint64_t record, uint64_t sequence)
{
	return sequence - sluice_claim_first(record, sequence) < sluice_claim_count(record);
}

static inline uint64_t sluice_claim_load(const struct sluice_segment *segment, uint32_t index)
{
	/* sync: record:load <- claim:record; the stamps that were stored before the record */
	return atomic_load_explicit(&segment->participants[index].claim_record,
				    memory_order_acquire);
}

/*
 * Multi-producer rings, after a barrier that made every producer's later claim look at `membership`
 * again: the end of all claims that were or may yet be made without having looked. Records first,
 * then the claim word: an attempt that is missed here has reached the word. Never less than the
 * word.
 */
SLUICE_API uint64_t sluice_claim_bound(const struct sluice_ring *ring);

#endif
