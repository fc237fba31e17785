/* SPDX-License-Identifier: MIT */
/* stat_sample.c - see stat_sample.h. */
#include "tools/stat_sample.h"

#include <string.h>

#include "shm/clock.h"
#include "shm/proc.h"
#include "shm/ring.h"

const char *const sluice_tool_count_label[SLUICE_TOOL_COUNTS] = {
	"commands",  "reports",	   "trades",	   "rejected",	  "duplicates",
	"wal_bytes", "wal_blocks", "wal_commands", "orders_live", "wal_in_flight",
	"snapshots", "log_live_bytes", "log_bytes", "log_full", "stalled",
	"follower_alarm", "follower_cmd_seq",
};

const char *const sluice_tool_latency_label[SLUICE_TOOL_LATENCIES] = {
	"publish_to_take_ns",
	"publish_to_report_ns",
	"commit_ns",
	"publish_to_consumer_ns",
};

static const enum sluice_tool_ring latency_ring[SLUICE_TOOL_LATENCIES] = {
	SLUICE_TOOL_CMD,
	SLUICE_TOOL_REP,
	SLUICE_TOOL_REP,
	SLUICE_TOOL_REP,
};

/* A position may be newer than the end that was read before it: that is no lag. */
static uint64_t lag_of(uint64_t end, uint64_t position)
{
	return end - position <= UINT64_MAX / 2 ? end - position : 0;
}

/* Is what the consumer says still so? It says nothing any more when it is stopped or dead. */
static void take_stall(struct sluice_tool_member *member, const struct sluice_ring *ring,
		       uint64_t claim, uint64_t now_ns)
{
	const struct sluice_participant_view *view = &member->view;
	const uint64_t lag = claim - view->position;

	if (!view->stalled_ns || view->state != SLUICE_PARTICIPANT_ACTIVE || view->alive == 0 ||
	    lag > ring->slot_count)
		return;
	member->stuck = sluice_ring_published(ring, view->position, lag);
	if (member->stuck == claim)
		return;
	member->is_stalled = true;
	member->stuck_ns = now_ns - view->stalled_ns <= INT64_MAX ? now_ns - view->stalled_ns : 0;
}

static void take_members(struct sluice_tool_ring_sample *sample, const struct sluice_ring *ring,
			 uint64_t published, uint64_t now_ns)
{
	const struct sluice_segment *segment = ring->segment;

	for (uint32_t i = 0; i < segment->header.participant_count; i++) {
		struct sluice_tool_member *member = &sample->member[sample->members];

		if (sample->members == SLUICE_PARTICIPANTS_MAX ||
		    !sluice_participant_view(segment, i, &member->view))
			continue;
		sample->members++;
		member->lag = 0;
		member->process = sluice_proc_look((pid_t)member->view.pid,
						   member->view.start_ticks, member->view.pidns);
		if (member->view.role != SLUICE_ROLE_CONSUMER)
			continue;
		member->lag = lag_of(published, member->view.position);
		take_stall(member, ring, sample->end, now_ns);
		if (member->view.gating && member->lag > sample->used)
			sample->used = member->lag;
		if (member->view.lag_high > sample->used_high)
			sample->used_high = member->view.lag_high;
	}
	if (sample->used > sample->used_high)
		sample->used_high = sample->used;
}

static void take_ring(struct sluice_tool_ring_sample *sample, struct sluice_segment *segment,
		      uint64_t now_ns)
{
	const struct sluice_control *control = segment->control;
	struct sluice_ring ring;
	uint64_t published;

	sluice_ring_init(&ring, segment);
	sample->has = true;
	sample->has_name = sluice_segment_is_named(segment);
	sample->is_used = sluice_liveness_probe(segment, SLUICE_LOCK_ATTACHED) != 0;
	sample->state = sluice_ring_state(&ring);
	/* relaxed: a statistic */
	sample->epoch = atomic_load_explicit(&control->state, memory_order_relaxed) >>
			SLUICE_STATE_EPOCH_SHIFT;
	sample->one_producer = segment->header.producer_mode == SLUICE_PRODUCER_SINGLE;
	sample->slot_count = ring.slot_count;
	/* relaxed, all three: statistics */
	sample->end = atomic_load_explicit(&control->claim, memory_order_relaxed);
	published = ring.stamped ? sample->end :
				   atomic_load_explicit(&control->cursor, memory_order_relaxed);
	sample->tombstones = atomic_load_explicit(&control->tombstones, memory_order_relaxed);
	take_members(sample, &ring, published, now_ns);
	if (!ring.stamped)
		sample->end = published;
}

void sluice_tool_sample_take(struct sluice_tool_sample *ret_sample,
			     struct sluice_tool_instance *instance)
{
	const struct sluice_segment *rep = &instance->ring[SLUICE_TOOL_REP];

	memset(ret_sample, 0, sizeof(*ret_sample));
	ret_sample->time_ns = sluice_clock_ns();
	ret_sample->durability = "unknown";
	for (uint32_t i = 0; i < SLUICE_TOOL_RINGS; i++)
		if (instance->has[i])
			take_ring(&ret_sample->ring[i], &instance->ring[i], ret_sample->time_ns);
	for (uint32_t i = 0; i < SLUICE_TOOL_LATENCIES; i++)
		if (instance->has[latency_ring[i]])
			ret_sample->has_latency[i] = sluice_tool_histogram(
				&instance->ring[latency_ring[i]], sluice_tool_latency_label[i],
				&ret_sample->latency[i]);
	if (!instance->has[SLUICE_TOOL_REP])
		return;
	for (uint32_t i = 0; i < SLUICE_TOOL_COUNTS; i++)
		sluice_tool_counter(rep, sluice_tool_count_label[i], &ret_sample->count[i]);
	ret_sample->durable_seq = sluice_tool_note(rep, SLUICE_NOTE_DURABLE);
	ret_sample->halted = sluice_tool_note(rep, SLUICE_NOTE_HALTED);
	ret_sample->durability = sluice_tool_durability(rep);
}

uint64_t sluice_tool_per_second(uint64_t events, uint64_t elapsed_ns)
{
	if (!elapsed_ns)
		return 0;
	return (uint64_t)((double)events * 1e9 / (double)elapsed_ns + 0.5);
}
