/* SPDX-License-Identifier: MIT */
/*
 * consumer_empty.c - what a consumer does that has nothing to read: finds out whether more can
 * come, has dead producers' claims turned into tombstones, and evicts stages before it that are
 * dead and may be evicted. The owning thread. A crash leaves nothing: everything is asked again.
 *
 * A slot that a live producer has claimed and not published is left alone for as long as it takes:
 * recovery finds the owner alive, and is asked less and less often.
 *
 * sync pairs of this file:
 *   release:position -> stage:position	the work on an event before those who follow see it
 *   join:membership -> gate:membership	the state, before producers are made to look at it
 */
#include "consumer/consumer_internal.h"

#include "shm/claim.h"
#include "shm/clock.h"
#include "shm/recovery.h"

/* How seldom it gets while the living hold a slot up: cheap enough for who sleeps otherwise. */
#define LOOK_PAUSE_NS_MAX 16000000u

int sluice_consumer_ahead(const struct sluice_consumer *consumer, uint64_t *ret_ahead)
{
	const struct sluice_participant *participants = consumer->ring.segment->participants;
	const uint64_t slot_count = consumer->ring.slot_count;
	uint64_t least = slot_count;

	for (uint64_t bits = consumer->follows; bits; bits &= bits - 1) {
		const uint32_t index = (uint32_t)__builtin_ctzll(bits);
		/* sync: stage:position <- release:position; its work on the events before ours */
		uint64_t ahead = atomic_load_explicit(&participants[index].position,
						      memory_order_acquire) - consumer->next;

		if (sluice_unlikely(ahead > slot_count)) {
			/* one that gates is never ahead of them, nor a ring behind */
			if (consumer->policy != SLUICE_POLICY_LOSSY)
				return sluice_consumer_is_evicted(consumer) ? -ESTALE : -EBADMSG;
			ahead = (int64_t)ahead < 0 ? 0 : slot_count;
		}
		if (ahead < least)
			least = ahead;
	}
	*ret_ahead = least;
	return 0;
}

/* ---------------------------------------------------------------------------------- stalls */

void sluice_consumer_unstall(struct sluice_consumer *consumer)
{
	if (consumer->stall.shown)
		/* relaxed: own word, for alarms */
		atomic_store_explicit(&consumer->self->stalled_ns, 0, memory_order_relaxed);
	consumer->stall = (struct sluice_stall){0};
	sluice_consumer_watch(consumer);
}

static bool is_claimed(const struct sluice_consumer *consumer)
{
	const struct sluice_ring *ring = &consumer->ring;
	/* relaxed: a hint; recovery reads it again */
	const uint64_t claim = atomic_load_explicit(&ring->control->claim, memory_order_relaxed);

	return claim - consumer->next - 1 < ring->slot_count &&
	       sluice_ring_published(ring, consumer->next, 1) == consumer->next;
}

/* Asks for a recovery, unless it was just asked for. */
static void recover(struct sluice_consumer *consumer, uint64_t now_ns)
{
	struct sluice_stall *stall = &consumer->stall;

	if (now_ns - stall->asked_ns < stall->pause_ns)
		return;
	/* 0: all of it is held by the living, who may take their time */
	if (sluice_recover(consumer->ring.segment) != 0 || !stall->pause_ns)
		stall->pause_ns = SLUICE_RECOVER_EVERY_NS;
	else if (stall->pause_ns < LOOK_PAUSE_NS_MAX)
		stall->pause_ns *= 2;
	stall->asked_ns = now_ns;
}

static void look_at_slot(struct sluice_consumer *consumer)
{
	struct sluice_stall *stall = &consumer->stall;
	uint64_t now_ns;

	if (!is_claimed(consumer)) {
		if (stall->since_ns)
			sluice_consumer_unstall(consumer);
		return;
	}
	now_ns = sluice_clock_ns();
	if (!stall->since_ns || stall->sequence != consumer->next) {
		sluice_consumer_unstall(consumer);
		stall->sequence = consumer->next;
		stall->since_ns = now_ns;
		return;
	}
	if (now_ns - stall->since_ns < SLUICE_RECOVER_AFTER_NS)
		return;
	if (!stall->shown) {
		/* relaxed: own word, for alarms */
		atomic_store_explicit(&consumer->self->stalled_ns, stall->since_ns,
				      memory_order_relaxed);
		stall->shown = true;
		sluice_consumer_watch(consumer);
	}
	recover(consumer, now_ns);
}

/* Producers evict what gates; a stage that does not, and holds us up, is ours to evict. */
static void look_at_stages(struct sluice_consumer *consumer)
{
	struct sluice_stall *stall = &consumer->stall;
	const struct sluice_ring *ring = &consumer->ring;
	/* relaxed: a hint, for the limits of their lags */
	const uint64_t claim = atomic_load_explicit(&ring->control->claim, memory_order_relaxed);
	const uint64_t now_ns = sluice_clock_ns();

	/* nothing to do for anybody, or asked a moment ago */
	if (claim == consumer->next || now_ns - stall->asked_ns < LOOK_PAUSE_NS_MAX)
		return;
	stall->asked_ns = now_ns;
	for (uint64_t bits = consumer->follows; bits; bits &= bits - 1)
		sluice_participant_evict_unfit(ring->segment, (uint32_t)__builtin_ctzll(bits),
					       claim);
}

void sluice_consumer_look(struct sluice_consumer *consumer)
{
	if (consumer->follows)
		look_at_stages(consumer);
	else if (consumer->ring.stamped)
		look_at_slot(consumer);
}

uint64_t sluice_consumer_look_ns(const struct sluice_consumer *consumer)
{
	const struct sluice_stall *stall = &consumer->stall;

	if (!stall->since_ns)
		return UINT64_MAX;
	return stall->shown ? stall->asked_ns + stall->pause_ns :
			      stall->since_ns + SLUICE_RECOVER_AFTER_NS;
}

/* ------------------------------------------------------------------------------------ ends */

/*
 * The ring is closed: may a claim that was made before still be published? Bumping `membership`
 * makes every later claim look at the state; the barrier shows us every earlier one.
 */
static bool claims_are_open(struct sluice_consumer *consumer)
{
	const struct sluice_ring *ring = &consumer->ring;
	struct sluice_control *control = ring->control;

	/* sync: join:membership -> gate:membership; as a joiner does (participant_place.c) */
	atomic_fetch_add_explicit(&control->membership, 1, memory_order_seq_cst);
	sluice_barrier();
	if (ring->segment->header.producer_mode == SLUICE_PRODUCER_MULTI) {
		if (sluice_claim_bound(ring) == consumer->next)
			return false;
		/* what the dead have claimed, or announced only, is dealt with */
		recover(consumer, sluice_clock_ns());
		return true;
	}
	/* relaxed: ordered by the barrier */
	return atomic_load_explicit(&control->claim, memory_order_relaxed) != consumer->next &&
	       sluice_participant_count(ring->segment, SLUICE_ROLE_PRODUCER) > 0;
}

/* Closed: stages that have left have seen the end of it, or gave it up; they limit nobody. */
static int closed(struct sluice_consumer *consumer, uint64_t gone, uint64_t *ret_n)
{
	const struct sluice_ring *ring = &consumer->ring;
	bool open, published;
	uint64_t ahead;
	int rc = 0;

	consumer->follows &= ~gone;
	sluice_consumer_watch(consumer);
	open = claims_are_open(consumer);
	/* what was published before the close, or by who has left, is visible now */
	published = sluice_ring_published(ring, consumer->next, 1) != consumer->next;
	if (!published)
		return open ? -EAGAIN : -EPIPE;
	if (consumer->follows) {
		rc = sluice_consumer_ahead(consumer, &ahead);
		if (!rc && !ahead)
			rc = -EAGAIN;
	}
	if (!rc)
		*ret_n = 1;
	return rc;
}

/* Retired: nobody comes back to this ring. Only a stage that lives can still release something. */
static int retired(struct sluice_consumer *consumer, uint64_t gone, uint64_t *ret_n)
{
	const struct sluice_ring *ring = &consumer->ring;
	uint64_t ahead;
	int rc;

	if (sluice_ring_published(ring, consumer->next, 1) == consumer->next)
		return -ESHUTDOWN;
	if (consumer->follows) {
		rc = sluice_consumer_ahead(consumer, &ahead);
		if (rc)
			return rc;
		for (uint64_t bits = ahead ? 0 : consumer->follows; bits; bits &= bits - 1)
			if (gone || sluice_liveness_probe(ring->segment,
							  (uint32_t)__builtin_ctzll(bits)) == 0)
				return -ESHUTDOWN;
		if (!ahead)
			return -EAGAIN;
	}
	*ret_n = 1;
	return 0;
}

int sluice_consumer_why_empty(struct sluice_consumer *consumer, uint64_t *ret_n)
{
	const struct sluice_ring *ring = &consumer->ring;
	/* before the state: who leaves a closed ring has seen that it is closed */
	const uint64_t gone = sluice_stage_gone(ring->segment, consumer->follows);

	if (sluice_consumer_is_evicted(consumer))
		return -ESTALE;
	/* relaxed: a switch that is only ever set; late means one bounded sleep */
	if (atomic_load_explicit(&ring->control->fenced, memory_order_relaxed))
		consumer->fenced = true;
	switch (sluice_ring_state(ring)) {
	case SLUICE_STATE_READY:
	case SLUICE_STATE_RECOVERING:
		return gone ? -ESTALE : -EAGAIN;
	case SLUICE_STATE_DRAINING:
		return closed(consumer, gone, ret_n);
	case SLUICE_STATE_RETIRED:
		return retired(consumer, gone, ret_n);
	case SLUICE_STATE_POISONED:
		return -ENOTRECOVERABLE;
	default:
		return -EBADMSG;
	}
}
