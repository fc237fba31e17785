/* SPDX-License-Identifier: MIT */
/* stat_sample.c - see stat_sample.h. */
#include "tools/stat_sample.h"

#include <string.h>

#include "shm/clock.h"
#include "shm/ring.h"

const char *const sluice_tool_count_label[SLUICE_TOOL_COUNTS] = {
	"commands",  "reports",	   "trades",	   "rejected",	  "duplicates",
	"wal_bytes", "wal_blocks", "wal_commands", "orders_live", "wal_in_flight",
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

static void take_members(struct sluice_tool_ring_sample *sample,
			 const struct sluice_segment *segment, uint64_t published)
{
	for (uint32_t i = 0; i < segment->header.participant_count; i++) {
		struct sluice_tool_member *member = &sample->member[sample->members];

		if (sample->members == SLUICE_PARTICIPANTS_MAX ||
		    !sluice_participant_view(segment, i, &member->view))
			continue;
		sample->members++;
		member->lag = 0;
		if (member->view.role != SLUICE_ROLE_CONSUMER)
			continue;
		member->lag = lag_of(published, member->view.position);
		if (member->view.gating && member->lag > sample->used)
			sample->used = member->lag;
		if (member->view.lag_high > sample->used_high)
			sample->used_high = member->view.lag_high;
	}
	if (sample->used > sample->used_high)
		sample->used_high = sample->used;
}

static void take_ring(struct sluice_tool_ring_sample *sample, struct sluice_segment *segment)
{
	const struct sluice_control *control = segment->control;
	struct sluice_ring ring;
	uint64_t published;

	sluice_ring_init(&ring, segment);
	sample->has = true;
	sample->state = sluice_ring_state(&ring);
	sample->slot_count = ring.slot_count;
	/* relaxed, all three: statistics */
	sample->end = atomic_load_explicit(&control->claim, memory_order_relaxed);
	published = ring.stamped ? sample->end :
				   atomic_load_explicit(&control->cursor, memory_order_relaxed);
	sample->tombstones = atomic_load_explicit(&control->tombstones, memory_order_relaxed);
	take_members(sample, segment, published);
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
			take_ring(&ret_sample->ring[i], &instance->ring[i]);
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
