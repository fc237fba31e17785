/* SPDX-License-Identifier: MIT */
/*
 * participant_place.c - where a new consumer starts to read. Under the table's lock, while its
 * entry says JOINING.
 *
 * A gating one sets its bit first: while it is JOINING it holds producers back, whatever its
 * position says. Then
 *
 *	producer (try_claim)                    newcomer
 *	store claim, or the record that         set bit, bump membership
 *	announces it
 *	  -- no fence --                        membarrier(GLOBAL_EXPEDITED)
 *	load membership                         load records, claim
 *
 * so either the claim is seen here, and decides what is still in the ring, or the producer sees the
 * newcomer and looks at its position before it writes a slot.
 *
 * Where the barrier is refused, producers fence once they have seen control.fenced, and a nap
 * stands for the claim that is under way: what its thread stored before it looked has long been
 * visible.
 * That is enough to start at the first unpublished sequence, which no claim goes more than a ring
 * beyond; what is older is not promised.
 *
 * A crash leaves an entry in JOINING, with or without its bit: participant.c says who cleans up.
 *
 * sync pairs of this file:
 *   claim:dekker -> place:claim	a claim that did not see the newcomer is seen by it
 *   publish:cursor -> ring:cursor	the events before the cursor
 *   fenced:on -> gate:membership	producers fence from their next look on
 *   release:position -> gate:position	nothing before it will be read
 */
#include "shm/participant_internal.h"

#include <errno.h>
#include <time.h>

#include "shm/claim.h"
#include "shm/failpoint.h"
#include "shm/wait.h"

#define FENCED_NAP_NS 1000000

struct place {
	struct sluice_segment *segment;
	struct sluice_ring ring;
	uint64_t follows;
	bool settled; /* the barrier is behind us: no claim that we do not see */
};

/* First sequence that it may not read yet; what is before it and in the ring can be read. */
static uint64_t place_end(const struct place *place)
{
	const struct sluice_header *header = &place->segment->header;
	const struct sluice_ring *ring = &place->ring;
	uint64_t from, before;

	if (place->follows)
		return sluice_stage_limit(place->segment, place->follows);
	if (!ring->stamped)
		/* sync: ring:cursor <- publish:cursor; the events before the cursor */
		return atomic_load_explicit(&ring->control->cursor, memory_order_acquire);
	from = sluice_ring_oldest(ring);
	before = from - header->base_sequence;
	/* a single producer's claim word may be a claim too high: a ring at most */
	if (header->producer_mode != SLUICE_PRODUCER_MULTI)
		from -= before < ring->slot_count ? before : ring->slot_count;
	/* a claim that has not seen us yet may be published meanwhile: three rings at most */
	return sluice_ring_published(ring, from, 3 * ring->slot_count);
}

static uint64_t place_oldest(const struct place *place)
{
	const struct sluice_header *header = &place->segment->header;
	uint64_t bound;

	if (!place->settled || header->producer_mode != SLUICE_PRODUCER_MULTI)
		return sluice_ring_oldest(&place->ring);
	bound = sluice_claim_bound(&place->ring);
	return bound - header->base_sequence > header->slot_count ? bound - header->slot_count :
								    header->base_sequence;
}

/* What can be asked for. A claim that is about to be taken back may hide what is still there. */
static void place_range(const struct place *place, uint64_t *ret_oldest, uint64_t *ret_end)
{
	const uint64_t end = place_end(place), oldest = place_oldest(place);

	*ret_end = end;
	*ret_oldest = (int64_t)(end - oldest) < 0 ? end : oldest;
}

/* Without the barrier: from now on producers fence, and what they did before has come through. */
static void settle_fenced(struct sluice_segment *segment)
{
	const struct timespec nap = {.tv_nsec = FENCED_NAP_NS};

	/* relaxed: announced by the next line */
	atomic_store_explicit(&segment->control->fenced, 1, memory_order_relaxed);
	/* sync: fenced:on -> gate:membership; producers refresh and see `fenced` */
	atomic_fetch_add_explicit(&segment->control->membership, 1, memory_order_seq_cst);
	nanosleep(&nap, NULL);
}

/* Gates, and no producer claims any more without having seen it. */
static int settle(struct place *place, uint32_t index, uint32_t from, struct sluice_diag *diag)
{
	sluice_gating_change(place->segment, 1ull << index, 0);
	SLUICE_FAILPOINT(J2);
	/* sync: place:claim <- claim:dekker; what was claimed before is seen after it */
	atomic_thread_fence(memory_order_seq_cst);
	if (!sluice_barrier()) {
		if (from != SLUICE_FROM_NEXT)
			return sluice_diag_set(diag, ENOSYS, "%s: joining behind the newest event "
					       "needs membarrier, which is refused here",
					       place->segment->header.name);
		settle_fenced(place->segment);
	}
	place->settled = true;
	/* said before its bit is cleared: while it is there, its events are kept as ours will be */
	if (sluice_stage_gone(place->segment, place->follows))
		return sluice_diag_set(diag, ENOENT, "%s: a stage to be followed left just now",
				       place->segment->header.name);
	return 0;
}

static int choose(const struct place *place, const struct sluice_participant_options *options,
		  uint64_t *ret_wanted, struct sluice_diag *diag)
{
	uint64_t oldest, end;

	place_range(place, &oldest, &end);
	if (options->from == SLUICE_FROM_SEQUENCE && options->sequence - oldest > end - oldest)
		return sluice_diag_set(diag, ERANGE, "%s: sequence %llu is not in the ring (it "
				       "holds %llu up to %llu)", place->segment->header.name,
				       (unsigned long long)options->sequence,
				       (unsigned long long)oldest, (unsigned long long)end);
	if (options->from == SLUICE_FROM_SEQUENCE)
		*ret_wanted = options->sequence;
	else
		*ret_wanted = options->from == SLUICE_FROM_BEGINNING ? oldest : end;
	return 0;
}

int sluice_place_choose(struct sluice_segment *segment, uint32_t index,
			const struct sluice_participant_options *options, uint64_t follows,
			struct sluice_diag *diag)
{
	struct sluice_participant *entry = &segment->participants[index];
	const bool gates = options->policy != SLUICE_POLICY_LOSSY;
	struct place place = {.segment = segment, .follows = follows};
	uint64_t wanted;
	int rc;

	sluice_ring_init(&place.ring, segment);
	/* once before anybody is held back for it: what is hopeless is refused in peace */
	rc = choose(&place, options, &wanted, diag);
	if (rc)
		return rc;
	/* relaxed: published by the bit below */
	atomic_store_explicit(&entry->position, wanted, memory_order_relaxed);
	if (gates) {
		rc = settle(&place, index, options->from, diag);
		if (!rc)
			rc = choose(&place, options, &wanted, diag);
		if (rc) {
			sluice_gating_change(segment, 0, 1ull << index);
			return rc;
		}
	}
	/* sync: release:position -> gate:position; nothing before it will be read */
	atomic_store_explicit(&entry->position, wanted, memory_order_release);
	return 0;
}
