/* SPDX-License-Identifier: MIT */
/*
 * ring.c - the slow halves of ring.h: lossy copies, gating, eviction, state.
 *
 * sync pairs of this file (and ring.h):
 *   publish:cursor -> ring:cursor		event before cursor
 *   publish:stamp -> ring:stamp		event before stamp
 *   release:position -> gate:position	reads of the old event before its slot is given up
 *   claim:word -> copy:claim		the claim word before the first write of a slot
 *   claim:word -> gate:claim		the record that announced a claim (claim.h)
 *   claim:record -> record:load		the stamps that were stored before the record
 *   join:gating -> gate:bits		position before the bit that makes it count
 *   join:membership -> gate:membership	the state before producers are made to look at it
 *   state:set -> ring:state
 *   entry:active -> view:state
 */
#include "shm/ring.h"

#include <errno.h>

#include "shm/claim.h"
#include "shm/participant.h"
#include "shm/wait.h"

static int copy_stamped(const struct sluice_ring *ring, uint64_t sequence, void *ret_event)
{
	_Atomic uint64_t *word = sluice_ring_stamp(ring, sequence);
	/* sync: ring:stamp <- publish:stamp; the event before its stamp */
	const uint64_t before = atomic_load_explicit(word, memory_order_acquire);
	uint64_t after;

	if (!sluice_stamp_published(before, sequence))
		return (before & SLUICE_STAMP_SEQ) > sequence + 1 ? -EOVERFLOW : -EAGAIN;
	if ((before & SLUICE_STAMP_SEQ) != sequence + 1)
		return -EOVERFLOW;
	if (before & SLUICE_STAMP_VOID)
		return -ENODATA;
	memcpy(ret_event, sluice_ring_payload(ring, sequence), ring->payload_bytes);
	/* sync: copy:stamp <- claim:word; the copy before the second look (a seqlock's reader) */
	atomic_thread_fence(memory_order_acquire);
	after = atomic_load_explicit(word, memory_order_relaxed); /* relaxed: after the fence */
	return after == before ? 0 : -EOVERFLOW;
}

int sluice_ring_copy(const struct sluice_ring *ring, uint64_t sequence, void *ret_event)
{
	uint64_t cursor, claim;

	if (ring->stamped)
		return copy_stamped(ring, sequence, ret_event);
	/* sync: ring:cursor <- publish:cursor; the events before the cursor */
	cursor = atomic_load_explicit(&ring->control->cursor, memory_order_acquire);
	if ((int64_t)(cursor - sequence) <= 0)
		return -EAGAIN;
	if (cursor - sequence > ring->slot_count)
		return -EOVERFLOW;
	memcpy(ret_event, sluice_ring_payload(ring, sequence), ring->payload_bytes);
	/* sync: copy:claim <- claim:word; the copy before the second look (a seqlock's reader) */
	atomic_thread_fence(memory_order_acquire);
	/* relaxed: after the fence */
	claim = atomic_load_explicit(&ring->control->claim, memory_order_relaxed);
	return claim - sequence <= ring->slot_count ? 0 : -EOVERFLOW;
}

uint64_t sluice_ring_oldest(const struct sluice_ring *ring)
{
	const uint64_t base = ring->segment->header.base_sequence;
	/* relaxed: a hint; every copy is validated */
	const uint64_t claim = atomic_load_explicit(&ring->control->claim, memory_order_relaxed);

	return claim - base > ring->slot_count ? claim - ring->slot_count : base;
}

/*
 * What one look at the gating consumers found; positions are judged once the claim word is known.
 */
struct gate_look {
	uint32_t count;
	uint8_t index[SLUICE_PARTICIPANTS_MAX];
	uint64_t position[SLUICE_PARTICIPANTS_MAX];
	uint64_t joining; /* bit i of index[]: its position is not chosen yet */
};

static void gate_look(const struct sluice_ring *ring, struct gate_look *look)
{
	/* sync: gate:bits <- join:gating; a position that counts is set before its bit */
	uint64_t bits = atomic_load_explicit(&ring->control->gating, memory_order_acquire);

	look->count = 0;
	look->joining = 0;
	for (; bits; bits &= bits - 1) {
		const uint32_t index = (uint32_t)__builtin_ctzll(bits);
		const struct sluice_participant *entry = &ring->segment->participants[index];

		if (index >= ring->segment->header.participant_count)
			break;
		/* sync: view:state <- entry:active; the position that was chosen before ACTIVE */
		if ((atomic_load_explicit(&entry->state, memory_order_acquire) &
		     SLUICE_PARTICIPANT_STATE_MASK) == SLUICE_PARTICIPANT_JOINING)
			look->joining |= 1ull << look->count;
		look->index[look->count] = (uint8_t)index;
		/* sync: gate:position <- release:position; its reads are over */
		look->position[look->count++] =
			atomic_load_explicit(&entry->position, memory_order_acquire);
	}
}

/*
 * The farthest that anybody is behind `next`. One that is still choosing its position holds
 * everything back, whatever the position says: it may yet choose an older one, and nobody is told
 * when it has chosen. sluice_gate_evict sees to it if it died over that.
 */
static uint64_t gate_lag(const struct sluice_ring *ring, const struct gate_look *look,
			 uint64_t next, int *ret_error)
{
	uint64_t lag_max = 0;

	*ret_error = 0;
	for (uint32_t i = 0; i < look->count; i++) {
		const uint64_t lag = next - look->position[i];
		uint64_t state;

		if (look->joining >> i & 1) {
			lag_max = ring->slot_count;
		} else if (sluice_likely(lag <= ring->slot_count)) {
			lag_max = lag > lag_max ? lag : lag_max;
		} else {
			/*
			 * Nobody is ahead of the producers or more than a ring behind; one that
			 * left may be.
			 * sync: view:state <- entry:active; only compared
			 */
			state = atomic_load_explicit(
				&ring->segment->participants[look->index[i]].state,
				memory_order_acquire) & SLUICE_PARTICIPANT_STATE_MASK;
			if (state == SLUICE_PARTICIPANT_ACTIVE ||
			    state == SLUICE_PARTICIPANT_DETACHED)
				*ret_error = -EBADMSG;
			lag_max = ring->slot_count;
		}
	}
	return lag_max;
}

uint64_t sluice_gate_min(const struct sluice_ring *ring, uint64_t next, int *ret_error)
{
	struct gate_look look;

	gate_look(ring, &look);
	return next - gate_lag(ring, &look, next, ret_error);
}

uint64_t sluice_gate_claim(const struct sluice_ring *ring, uint64_t floor, uint64_t *ret_claim,
			   int *ret_error)
{
	struct gate_look look;
	uint64_t before, claim, oldest, gate = floor;

	/* an error may only mean that others went round the ring between positions and word */
	do {
		/* relaxed: has it moved while the positions were loaded? */
		before = atomic_load_explicit(&ring->control->claim, memory_order_relaxed);
		gate_look(ring, &look);
		*ret_error = 0;
		if (sluice_unlikely(!look.count)) {
			oldest = sluice_ring_oldest(ring);
			if ((int64_t)(gate - oldest) < 0)
				gate = oldest;
			gate = sluice_ring_published(ring, gate, ring->slot_count);
		}
		/* sync: gate:claim <- claim:word; after the positions, never ahead of it */
		claim = atomic_load_explicit(&ring->control->claim, memory_order_acquire);
		if (sluice_likely(look.count))
			gate = claim - gate_lag(ring, &look, claim, ret_error);
	} while (sluice_unlikely(*ret_error && claim != before));
	*ret_claim = claim;
	return gate;
}

uint64_t sluice_claim_bound(const struct sluice_ring *ring)
{
	const struct sluice_segment *segment = ring->segment;
	uint64_t records[SLUICE_PARTICIPANTS_MAX], claim, bound;

	for (uint32_t i = 0; i < segment->header.participant_count; i++)
		records[i] = sluice_claim_load(segment, i);
	/*
	 * sync: gate:claim <- claim:word; an attempt that was over when its record was read is in
	 * it
	 */
	claim = atomic_load_explicit(&ring->control->claim, memory_order_acquire);
	bound = claim;
	for (uint32_t i = 0; i < segment->header.participant_count; i++) {
		uint64_t end;

		if (sluice_claim_state(records[i]) != SLUICE_CLAIM_ATTEMPT)
			continue;
		end = sluice_claim_first(records[i], claim) + sluice_claim_count(records[i]);
		/* what is farther ahead than a claim can be was not written by us */
		if (end - bound <= SLUICE_CLAIM_MAX)
			bound = end;
	}
	return bound;
}

/* The verdict holds for the state word that it was reached with, and for no later owner. */
static bool gate_is_evictable(const struct sluice_ring *ring, uint32_t index, uint64_t next,
			      uint64_t *ret_state)
{
	const struct sluice_segment *segment = ring->segment;
	const struct sluice_participant *entry = &segment->participants[index];
	uint64_t lag, lag_max;

	/* sync: view:state <- entry:active; the policy that goes with the state */
	*ret_state = atomic_load_explicit(&entry->state, memory_order_acquire);
	switch (*ret_state & SLUICE_PARTICIPANT_STATE_MASK) {
	case SLUICE_PARTICIPANT_EVICTED:
		return true; /* its evictor died before it could clear the bit */
	case SLUICE_PARTICIPANT_JOINING:
		return sluice_liveness_probe(segment, index) == 0;
	case SLUICE_PARTICIPANT_ACTIVE:
		break;
	default:
		return false;
	}
	/* relaxed, all: only compared; the eviction itself is bound to the state read above */
	if (atomic_load_explicit(&entry->policy, memory_order_relaxed) != SLUICE_POLICY_EVICTABLE)
		return false;
	lag = next - atomic_load_explicit(&entry->position, memory_order_relaxed);
	lag_max = atomic_load_explicit(&entry->lag_max, memory_order_relaxed);
	return (lag_max && lag > lag_max) ||
	       sluice_liveness_probe(segment, index) == 0;
}

uint32_t sluice_gate_evict(const struct sluice_ring *ring, uint64_t next)
{
	struct sluice_segment *segment = ring->segment;
	/* relaxed: eviction looks at each entry again */
	uint64_t bits = atomic_load_explicit(&ring->control->gating, memory_order_relaxed);
	uint32_t evicted = 0;

	while (bits) {
		const uint32_t index = (uint32_t)__builtin_ctzll(bits);
		uint64_t state;

		bits &= bits - 1;
		if (index < segment->header.participant_count &&
		    gate_is_evictable(ring, index, next, &state))
			evicted += !sluice_participant_evict_if(segment, index, state);
	}
	return evicted;
}

void sluice_ring_fence(void)
{
	/*
	 * sync: claim:dekker -> place:claim, publish:fence -> sleep_begin:bit; as the callers say
	 */
	atomic_thread_fence(memory_order_seq_cst);
}

void sluice_ring_set_state(struct sluice_segment *segment, enum sluice_segment_state state)
{
	struct sluice_control *control = segment->control;
	/* relaxed: owner's own word */
	uint64_t old = atomic_load_explicit(&control->state, memory_order_relaxed);

	/* sync: state:set -> ring:state; everything published before closing */
	atomic_store_explicit(&control->state,
			      (old & ~SLUICE_STATE_MASK) | (uint64_t)state, memory_order_release);
	/* sync: join:membership -> gate:membership; who has space in hand looks at the state */
	atomic_fetch_add_explicit(&control->membership, 1, memory_order_seq_cst);
	/* the sleepers' bounded sleep covers one that announces itself right now */
	sluice_wake(segment, &control->consumer_sleepers);
	sluice_wake(segment, &control->producer_sleepers);
	sluice_wake(segment, &control->stage_sleepers);
}
