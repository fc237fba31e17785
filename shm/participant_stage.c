/* SPDX-License-Identifier: MIT */
/*
 * participant_stage.c - consumers that follow others, and which of them producers have to look at.
 *
 * A follower is never ahead of those it follows, so its position protects their slots as well: only
 * the last of a line gates. Which bit is set changes hands under the table's lock, always the new
 * one first:
 *
 *	F comes, behind U                       F leaves or is evicted
 *	F's bit, barrier, F's position          F's state says so
 *	F is ACTIVE                             U's bit, if U is there
 *	U's bit is cleared                      F's bit is cleared
 *
 * Killed between two steps, one bit too many is set. That holds nobody up (the follower is behind
 * anyway), and whoever evicts the dead follower or takes its entry goes on with the same steps.
 *
 * U, if it follows nobody, may leave at any time without the lock: it says so first, then clears
 * its bit. Whoever has set it meanwhile looks at U again, and takes the bit back.
 *
 * An entry that somebody follows is not given away, even when its owner has left: its followers
 * must find out that it has, and never see the position of a stranger.
 *
 * sync pairs of this file:
 *   join:gating -> gate:bits		position before the bit (ring.c)
 *   join:membership -> gate:membership	the bit before the change is announced (producer.c)
 *   entry:active -> view:state		the owner's farewell before its bit is cleared
 *   release:position -> stage:position	the work on an event before those who follow see it
 */
#include "shm/participant_internal.h"

#include <errno.h>
#include <string.h>

#include "shm/wait.h"

void sluice_gating_change(struct sluice_segment *segment, uint64_t set, uint64_t clear)
{
	struct sluice_control *control = segment->control;

	if (set)
		/* sync: join:gating -> gate:bits; position before the bit */
		atomic_fetch_or_explicit(&control->gating, set, memory_order_seq_cst);
	if (clear)
		/* sync: join:gating -> gate:bits; the same word */
		atomic_fetch_and_explicit(&control->gating, ~clear, memory_order_seq_cst);
	/* sync: join:membership -> gate:membership; the bit before its announcement */
	atomic_fetch_add_explicit(&control->membership, 1, memory_order_seq_cst);
	sluice_wake(segment, &control->producer_sleepers);
	sluice_wake(segment, &control->stage_sleepers);
}

/* A consumer that is there, or expected back, and whose unread events are to be kept. */
static bool is_kept(const struct sluice_participant *entry)
{
	/* relaxed: identity, read under the table's lock */
	return sluice_entry_is_present(entry) && entry->role == SLUICE_ROLE_CONSUMER &&
	       atomic_load_explicit(&entry->policy, memory_order_relaxed) != SLUICE_POLICY_LOSSY;
}

static uint64_t follows_of(const struct sluice_segment *segment, uint32_t index)
{
	/* relaxed: written under the table's lock; a stranger's bits may be anything */
	return atomic_load_explicit(&segment->participants[index].follows, memory_order_relaxed) &
	       sluice_participant_bits(segment);
}

uint64_t sluice_stage_limit(const struct sluice_segment *segment, uint64_t follows)
{
	uint64_t limit = 0;
	bool any = false;

	for (uint64_t bits = follows; bits; bits &= bits - 1) {
		const uint32_t index = (uint32_t)__builtin_ctzll(bits);
		/* sync: stage:position <- release:position; its work on the events before ours */
		const uint64_t position = atomic_load_explicit(
			&segment->participants[index].position, memory_order_acquire);

		if (!any || (int64_t)(position - limit) < 0)
			limit = position;
		any = true;
	}
	return limit;
}

uint64_t sluice_stage_gone(const struct sluice_segment *segment, uint64_t follows)
{
	uint64_t gone = 0;

	for (uint64_t bits = follows; bits; bits &= bits - 1) {
		const uint32_t index = (uint32_t)__builtin_ctzll(bits);

		if (!sluice_entry_is_present(&segment->participants[index]))
			gone |= 1ull << index;
	}
	return gone;
}

uint64_t sluice_stage_pinned(const struct sluice_segment *segment)
{
	uint64_t pinned = 0;

	for (uint32_t i = 0; i < segment->header.participant_count; i++)
		if (sluice_entry_is_present(&segment->participants[i]) &&
		    segment->participants[i].role == SLUICE_ROLE_CONSUMER)
			pinned |= follows_of(segment, i);
	return pinned;
}

/* ----------------------------------------------------------------------------------- names */

static int bad_stage(const struct sluice_segment *segment,
		     const struct sluice_participant_options *options, const char *after, int err,
		     const char *why, struct sluice_diag *diag)
{
	return sluice_diag_set(diag, err, "%s: \"%s\" cannot follow \"%s\": %s",
			       segment->header.name, options->name, after, why);
}

/* Names are unique among critical consumers only, so those come first. */
static int find_one(const struct sluice_segment *segment,
		    const struct sluice_participant_options *options, const char *after,
		    uint32_t *ret_index, struct sluice_diag *diag)
{
	bool found = false, lossy = false;

	for (uint32_t i = 0; i < segment->header.participant_count; i++) {
		const struct sluice_participant *entry = &segment->participants[i];
		uint32_t policy;

		if (!sluice_entry_is_present(entry) || entry->role != SLUICE_ROLE_CONSUMER ||
		    !sluice_entry_is_named(entry, after))
			continue;
		/* relaxed: identity, read under the table's lock */
		policy = atomic_load_explicit(&entry->policy, memory_order_relaxed);
		if (policy == SLUICE_POLICY_CRITICAL) {
			*ret_index = i;
			return 0;
		}
		/* a dead one that nobody has evicted yet is none */
		if (sluice_liveness_probe(segment, i) == 0)
			continue;
		lossy = lossy || policy == SLUICE_POLICY_LOSSY;
		if (policy == SLUICE_POLICY_EVICTABLE && !found) {
			*ret_index = i;
			found = true;
		}
	}
	if (found)
		return 0;
	if (lossy)
		return bad_stage(segment, options, after, EINVAL, "it is lossy, so it holds "
				 "nothing back; let it join as critical or evictable", diag);
	return bad_stage(segment, options, after, ENOENT,
			 "no consumer of this name; start it first", diag);
}

/* Does one of `follows` wait, by any way, for entry `index`? */
static bool waits_for(const struct sluice_segment *segment, uint64_t follows, uint32_t index)
{
	uint64_t seen = 0, left = follows;

	while (left) {
		const uint32_t i = (uint32_t)__builtin_ctzll(left);

		seen |= 1ull << i;
		if (sluice_entry_is_present(&segment->participants[i]))
			left |= follows_of(segment, i);
		left &= ~seen;
	}
	return seen >> index & 1;
}

int sluice_stage_find(const struct sluice_segment *segment, uint32_t index,
		      const struct sluice_participant_options *options, uint64_t *ret_follows,
		      struct sluice_diag *diag)
{
	uint64_t follows = 0;

	for (const char *const *after = options->after; after && *after; after++) {
		uint32_t found = 0;
		int rc;

		if (options->role != SLUICE_ROLE_CONSUMER || !strcmp(*after, options->name))
			return bad_stage(segment, options, *after, EINVAL,
					 "a stage follows other consumers", diag);
		rc = find_one(segment, options, *after, &found, diag);
		if (rc)
			return rc;
		if (index != SLUICE_PARTICIPANT_NONE &&
		    waits_for(segment, 1ull << found, index))
			return bad_stage(segment, options, *after, EINVAL,
					 "that one waits for this one", diag);
		follows |= 1ull << found;
	}
	*ret_follows = follows;
	return 0;
}

/* ------------------------------------------------------------------------------------ bits */

/* Those whose events `index` kept: whom it follows, and behind one that is gone, whom that did. */
static uint64_t heirs_of(const struct sluice_segment *segment, uint32_t index)
{
	uint64_t seen = 1ull << index, heirs = 0, left = follows_of(segment, index) & ~seen;

	while (left) {
		const uint32_t i = (uint32_t)__builtin_ctzll(left);

		seen |= 1ull << i;
		if (is_kept(&segment->participants[i]))
			heirs |= 1ull << i;
		else
			left |= follows_of(segment, i);
		left &= ~seen;
	}
	return heirs;
}

uint64_t sluice_stage_keep(struct sluice_segment *segment, uint32_t index)
{
	const uint64_t heirs = heirs_of(segment, index);
	uint64_t gone;

	if (!heirs)
		return 0;
	sluice_gating_change(segment, heirs, 0);
	/*
	 * One that leaves without the lock says so, then clears its bit.
	 * sync: view:state <- entry:active; our bit, then its state; it, the other way round
	 */
	atomic_thread_fence(memory_order_seq_cst);
	gone = sluice_stage_gone(segment, heirs);
	if (gone)
		sluice_gating_change(segment, 0, gone);
	return heirs;
}

void sluice_stage_hand_over(struct sluice_segment *segment, uint32_t index)
{
	const uint64_t heirs = sluice_stage_keep(segment, index);

	sluice_gating_change(segment, 0, 1ull << index);
	sluice_stage_tidy(segment, heirs);
}

void sluice_stage_tidy(struct sluice_segment *segment, uint64_t mask)
{
	uint64_t followed = 0;

	for (uint32_t i = 0; mask && i < segment->header.participant_count; i++)
		if (is_kept(&segment->participants[i]))
			followed |= follows_of(segment, i);
	/* relaxed: only whether there is anything to do */
	mask &= followed & atomic_load_explicit(&segment->control->gating, memory_order_relaxed);
	if (mask)
		sluice_gating_change(segment, 0, mask);
}
