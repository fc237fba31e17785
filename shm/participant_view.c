/* SPDX-License-Identifier: MIT */
/*
 * participant_view.c - looking at the participant table without being in it: tools, and whoever
 * wants to know who is alive. Reads only; any process, any thread. Every entry may change while it
 * is copied: the state word, with its generation, is compared before and after.
 *
 * sync pairs of this file:
 *   entry:active -> view:state		identity before the state that makes it readable
 */
#include "shm/participant.h"

#include <errno.h>
#include <string.h>

static uint64_t view_state(const struct sluice_participant *entry)
{
	/* sync: view:state <- entry:active; the identity that goes with the state */
	return atomic_load_explicit(&entry->state, memory_order_acquire);
}

bool sluice_participant_view(const struct sluice_segment *segment, uint32_t index,
			     struct sluice_participant_view *ret_view)
{
	const struct sluice_participant *entry;
	struct sluice_participant_view view = {.index = index};
	uint64_t state;

	if (index >= segment->header.participant_count)
		return false;
	entry = &segment->participants[index];
	state = view_state(entry);
	view.state = (uint32_t)(state & SLUICE_PARTICIPANT_STATE_MASK);
	view.generation = state >> SLUICE_PARTICIPANT_GENERATION_SHIFT;
	if (view.state == SLUICE_PARTICIPANT_FREE || view.state > SLUICE_PARTICIPANT_EVICTED)
		return false;
	view.role = entry->role;
	/* relaxed: the state is compared again below */
	view.policy = atomic_load_explicit(&entry->policy, memory_order_relaxed);
	view.pid = entry->pid;
	view.start_ticks = entry->start_ticks;
	view.pidns = entry->pidns;
	view.wait = entry->wait;
	view.cpu = entry->cpu;
	view.joined_realtime_ns = entry->joined_realtime_ns;
	/* relaxed: as the policy */
	view.lag_max = atomic_load_explicit(&entry->lag_max, memory_order_relaxed);
	memcpy(view.name, entry->name, sizeof(view.name) - 1);
	/* relaxed, all below: statistics of another process, printed and never acted on */
	view.position = atomic_load_explicit(&entry->position, memory_order_relaxed);
	view.claim_record = atomic_load_explicit(&entry->claim_record, memory_order_relaxed);
	view.events = atomic_load_explicit(&entry->events, memory_order_relaxed);
	view.batches = atomic_load_explicit(&entry->batches, memory_order_relaxed);
	view.polls = atomic_load_explicit(&entry->polls, memory_order_relaxed);
	view.empty_polls = atomic_load_explicit(&entry->empty_polls, memory_order_relaxed);
	view.sleeps = atomic_load_explicit(&entry->sleeps, memory_order_relaxed);
	view.full_waits = atomic_load_explicit(&entry->full_waits, memory_order_relaxed);
	view.progress_ns = atomic_load_explicit(&entry->progress_ns, memory_order_relaxed);
	view.lag_high = atomic_load_explicit(&entry->lag_high, memory_order_relaxed);
	view.gaps = atomic_load_explicit(&entry->gaps, memory_order_relaxed);
	view.voids = atomic_load_explicit(&entry->voids, memory_order_relaxed);
	view.follows = atomic_load_explicit(&entry->follows, memory_order_relaxed);
	view.stalled_ns = atomic_load_explicit(&entry->stalled_ns, memory_order_relaxed);
	view.failed = atomic_load_explicit(&entry->failed, memory_order_relaxed);
	view.gating = (uint32_t)(atomic_load_explicit(&segment->control->gating,
						      memory_order_relaxed) >> index & 1);
	view.alive = sluice_liveness_probe(segment, index);
	if (view.alive < 0)
		view.alive = -1;
	if (view_state(entry) != state)
		return false;
	*ret_view = view;
	return true;
}

int sluice_participant_count(const struct sluice_segment *segment, uint32_t role)
{
	int count = 0;

	for (uint32_t i = 0; i < segment->header.participant_count; i++) {
		struct sluice_participant_view view;

		if (!sluice_participant_view(segment, i, &view) || view.role != role)
			continue;
		if (view.alive < 0)
			return -EACCES;
		count += view.alive && view.state == SLUICE_PARTICIPANT_ACTIVE;
	}
	return count;
}
