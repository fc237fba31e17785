/* SPDX-License-Identifier: MIT */
/*
 * recovery.c - see recovery.h; claim.h has the picture of who stores and loads what.
 *
 * Why an unpublished slot s below T is a dead producer's: its claim is in the word that T was read
 * from, so its owner's record announced it before. A live owner (its byte is held, asked after T)
 * therefore shows ATTEMPT or CLAIMED over s, or has stored something later, and then the stamps
 * that went before it are visible when s is looked at again. A dead owner stores nothing any
 * more: its memory was gone before its byte was. And s cannot be reused meanwhile: no consumer
 * passes it.
 *
 * Killed anywhere, a pass leaves tombstones that are complete, each a single store, and the next
 * one goes on. The recoverer holds the table's lock, so no entry changes hands under it.
 *
 * sync pairs of this file:
 *   claim:word -> recover:claim	the record that announced a claim before the claim
 *   claim:record -> record:load	the stamps before the record (claim.h)
 *   publish:stamp -> ring:stamp	a tombstone like any event
 *   entry:active -> view:state		the last tombstone before its owner's entry is free
 */
#include "shm/recovery.h"

#include <errno.h>
#include <unistd.h>

#include "shm/claim.h"
#include "shm/failpoint.h"
#include "shm/recovery_internal.h"
#include "shm/table.h"
#include "shm/wait.h"

struct pass {
	struct sluice_ring ring;
	uint64_t claim; /* T: the end of what this pass looks at */
	uint64_t live;	/* participants with a record whose byte is held, asked after T */
	uint64_t dead;	/* ... is free */
	uint64_t tombstones;
	bool undecided;
};

static bool is_published(const struct pass *pass, uint64_t sequence)
{
	/* sync: ring:stamp <- publish:stamp; loaded after the records that were loaded before it */
	return sluice_stamp_published(atomic_load_explicit(sluice_ring_stamp(&pass->ring, sequence),
							   memory_order_acquire), sequence);
}

/*
 * Does a live record say CLAIMED over `sequence`? Only as proof against another's attempt: as a
 * question of its own it would miss an owner that announces and claims while the records are read.
 */
static bool is_claimed_by_live(const struct pass *pass, uint64_t sequence)
{
	for (uint64_t bits = pass->live; bits; bits &= bits - 1) {
		const uint64_t record =
			sluice_claim_load(pass->ring.segment, (uint32_t)__builtin_ctzll(bits));

		if (sluice_claim_state(record) == SLUICE_CLAIM_CLAIMED &&
		    sluice_claim_covers(record, sequence))
			return true;
	}
	return false;
}

/*
 * A claim is made whole or not at all: an attempt whose first slot somebody else has published or
 * claimed has failed, and its owner has not noticed yet (it may be stopped). The record is read
 * again last: still the same, so it was not its owner who published.
 */
static bool is_refuted(const struct pass *pass, uint32_t index, uint64_t record, uint64_t sequence)
{
	const uint64_t first = sluice_claim_first(record, sequence);

	return (is_published(pass, first) || is_claimed_by_live(pass, first)) &&
	       sluice_claim_load(pass->ring.segment, index) == record;
}

enum owner { OWNER_DEAD, OWNER_LIVE, OWNER_PERHAPS };

/*
 * Whose is an unpublished slot? Each record is read once and judged by what it said then: read for
 * CLAIMED first and for ATTEMPT after, one that goes from the one to the other between the two
 * looks would pass for neither. *ret_end: where a live owner's claim ends.
 */
static enum owner owner_of(const struct pass *pass, uint64_t sequence, uint64_t *ret_end)
{
	enum owner owner = OWNER_DEAD;

	for (uint64_t bits = pass->live; bits; bits &= bits - 1) {
		const uint32_t index = (uint32_t)__builtin_ctzll(bits);
		const uint64_t record = sluice_claim_load(pass->ring.segment, index);

		if (sluice_claim_state(record) == SLUICE_CLAIM_IDLE ||
		    !sluice_claim_covers(record, sequence))
			continue;
		if (sluice_claim_state(record) == SLUICE_CLAIM_CLAIMED) {
			*ret_end = sluice_claim_first(record, sequence) +
				   sluice_claim_count(record);
			return OWNER_LIVE;
		}
		if (!is_refuted(pass, index, record, sequence))
			owner = OWNER_PERHAPS;
	}
	return owner;
}

static void bury(const struct sluice_ring *ring, uint64_t sequence)
{
	/* sync: publish:stamp -> ring:stamp; a tombstone: nothing of the event is shown */
	atomic_store_explicit(sluice_ring_stamp(ring, sequence), SLUICE_STAMP_VOID | (sequence + 1),
			      memory_order_release);
}

static void count(const struct sluice_ring *ring, uint64_t tombstones)
{
	struct sluice_control *control = ring->control;

	if (!tombstones)
		return;
	/* relaxed, all: statistics */
	atomic_fetch_add_explicit(&control->tombstones, tombstones, memory_order_relaxed);
	atomic_fetch_add_explicit(&control->recoveries, 1, memory_order_relaxed);
	atomic_store_explicit(&control->recoverer, (uint64_t)getpid(), memory_order_relaxed);
}

void sluice_bury_range(const struct sluice_ring *ring, uint64_t from, uint64_t to)
{
	for (uint64_t s = from; s != to; s++)
		bury(ring, s);
	/* relaxed: statistic */
	atomic_fetch_add_explicit(&ring->control->tombstones, to - from, memory_order_relaxed);
}

static void wake_all(const struct sluice_ring *ring)
{
	sluice_wake(ring->segment, &ring->control->consumer_sleepers);
	sluice_wake(ring->segment, &ring->control->producer_sleepers);
	sluice_wake(ring->segment, &ring->control->stage_sleepers);
}

/* Whose records speak for a living producer. Asked after T was read. */
static int sample(struct pass *pass)
{
	const struct sluice_segment *segment = pass->ring.segment;

	for (uint32_t i = 0; i < segment->header.participant_count; i++) {
		int rc;

		if (sluice_claim_state(sluice_claim_load(segment, i)) == SLUICE_CLAIM_IDLE)
			continue;
		rc = sluice_liveness_probe(segment, i);
		if (rc < 0)
			return rc;
		if (rc)
			pass->live |= 1ull << i;
		else
			pass->dead |= 1ull << i;
	}
	return 0;
}

static void fill_holes(struct pass *pass, uint64_t from)
{
	for (uint64_t s = from; s != pass->claim; s++) {
		uint64_t end;

		if (is_published(pass, s))
			continue;
		switch (owner_of(pass, s, &end)) {
		case OWNER_LIVE:
			s = end - s < pass->claim - s ? end - 1 : pass->claim - 1;
			continue;
		case OWNER_PERHAPS:
			pass->undecided = true;
			continue;
		case OWNER_DEAD:
			break;
		}
		/* its owner may have published and gone on since the first look */
		if (is_published(pass, s))
			continue;
		bury(&pass->ring, s);
		pass->tombstones++;
		SLUICE_FAILPOINT(R1);
	}
}

/* Nothing of theirs is left: their entries may be taken. Their bytes are free, the lock is ours. */
static void free_entries(const struct pass *pass)
{
	for (uint64_t bits = pass->dead; bits; bits &= bits - 1) {
		struct sluice_participant *entry =
			&pass->ring.segment->participants[__builtin_ctzll(bits)];
		/* relaxed: its owner is dead, and newcomers need the lock */
		uint64_t state = atomic_load_explicit(&entry->state, memory_order_relaxed);

		/* sync: claim:record -> record:load; the tombstones before the record is gone */
		atomic_store_explicit(&entry->claim_record, SLUICE_CLAIM_IDLE,
				      memory_order_release);
		if (entry->role != SLUICE_ROLE_PRODUCER)
			continue;
		state = (state & ~SLUICE_PARTICIPANT_STATE_MASK) | SLUICE_PARTICIPANT_FREE;
		/* sync: entry:active -> view:state; what it left is dealt with */
		atomic_store_explicit(&entry->state, state, memory_order_release);
	}
}

static int recover_multi(struct sluice_segment *segment)
{
	struct pass pass = {0};
	uint64_t from;
	int rc;

	sluice_ring_init(&pass.ring, segment);
	/* where to begin; a position read now is not beyond anything unpublished */
	from = sluice_gate_claim(&pass.ring, sluice_ring_oldest(&pass.ring), &pass.claim, &rc);
	if (rc)
		return rc;
	/* sync: recover:claim <- claim:word; T, before anybody is asked whether he lives */
	pass.claim = atomic_load_explicit(&pass.ring.control->claim, memory_order_seq_cst);
	rc = sample(&pass);
	if (rc)
		return rc;
	if (pass.claim - from > segment->header.slot_count) {
		/*
		 * the line moved on by a ring meanwhile: nothing is stuck; or the words are
		 * damaged
		 */
		return -EAGAIN;
	}
	fill_holes(&pass, from);
	SLUICE_FAILPOINT(R2);
	if (!pass.undecided)
		free_entries(&pass);
	count(&pass.ring, pass.tombstones);
	wake_all(&pass.ring); /* also for the dead who published and did not wake */
	if (pass.tombstones > INT32_MAX)
		return INT32_MAX;
	return pass.tombstones ? (int)pass.tombstones : pass.undecided ? -EAGAIN : 0;
}

int sluice_recover_single(const struct sluice_ring *ring, struct sluice_takeover *ret_takeover)
{
	/* relaxed: the predecessor is dead, the lock ordered its stores before ours */
	const uint64_t claim = atomic_load_explicit(&ring->control->claim, memory_order_relaxed);
	const uint64_t cursor = atomic_load_explicit(&ring->control->cursor, memory_order_relaxed);
	struct sluice_takeover found = {.next = cursor, .claim_floor = claim};
	uint64_t end, room;
	int rc;

	if (ring->stamped) {
		end = sluice_ring_oldest(ring);
		found.next = sluice_ring_published(ring, end, claim - end);
	}
	if (claim - found.next > ring->slot_count)
		return -EBADMSG;
	if (ring->stamped) {
		room = ring->slot_count - (found.next - sluice_gate_min(ring, found.next, &rc));
		if (rc)
			return rc;
		end = found.next + (claim - found.next < room ? claim - found.next : room);
		found.tombstones = end - found.next;
		for (uint64_t s = found.next; s != end; s++) {
			bury(ring, s);
			SLUICE_FAILPOINT(R1);
		}
		found.next = end;
		found.claim_floor = end;
		/* relaxed: we are the only producer; beyond it nothing was touched */
		atomic_store_explicit(&ring->control->claim, end, memory_order_relaxed);
	}
	SLUICE_FAILPOINT(R2);
	count(ring, found.tombstones);
	wake_all(ring);
	*ret_takeover = found;
	return 0;
}

static int recover_single(struct sluice_segment *segment)
{
	struct sluice_takeover takeover;
	struct sluice_ring ring;
	int rc = sluice_liveness_hold(segment, SLUICE_LOCK_PRODUCER);

	if (rc)
		return rc == -EAGAIN ? 0 : rc; /* the ring's producer lives */
	sluice_ring_init(&ring, segment);
	rc = sluice_recover_single(&ring, &takeover);
	sluice_liveness_release(segment, SLUICE_LOCK_PRODUCER);
	return rc ? rc : (int)takeover.tombstones;
}

int sluice_recover_locked(struct sluice_segment *segment)
{
	if (segment->header.backing == SLUICE_BACKING_PRIVATE)
		return 0; /* its producers are threads of this process, so they live */
	return segment->header.producer_mode == SLUICE_PRODUCER_MULTI ? recover_multi(segment) :
									recover_single(segment);
}

int sluice_recover(struct sluice_segment *segment)
{
	int rc;

	if (!segment->writable)
		return -EACCES;
	rc = sluice_table_try_lock(segment);
	if (rc)
		return rc;
	rc = sluice_recover_locked(segment);
	sluice_table_unlock(segment);
	return rc;
}
