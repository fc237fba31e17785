/* SPDX-License-Identifier: MIT */
/* stat_json.c - a sample as one JSON object; see stat_print.h. Keys end in their unit. */
#include <stdio.h>

#include "shm/wait.h"
#include "tools/alarm.h"
#include "tools/latency.h"
#include "tools/stat_print.h"

static void follows_json(struct sluice_json *json, const struct sluice_tool_ring_sample *ring,
			 uint64_t follows)
{
	sluice_json_array(json, "follows");
	for (uint32_t i = 0; i < ring->members; i++)
		if (follows >> ring->member[i].view.index & 1)
			sluice_json_string_bounded(json, NULL, ring->member[i].view.name,
						   sizeof(ring->member[i].view.name));
	sluice_json_end(json);
}

static void member_json(struct sluice_json *json, const struct sluice_tool_ring_sample *ring,
			const struct sluice_tool_member *member)
{
	static const char *const roles[] = {"none", "producer", "consumer"};
	static const char *const policies[] = {"none", "critical", "evictable", "lossy"};
	const struct sluice_participant_view *view = &member->view;

	sluice_json_object(json, NULL);
	sluice_json_string_bounded(json, "name", view->name, sizeof(view->name));
	sluice_json_string(json, "role", view->role < 3 ? roles[view->role] : "unknown");
	sluice_json_string(json, "policy", view->policy < 4 ? policies[view->policy] : "unknown");
	sluice_json_u64(json, "pid", view->pid);
	if (view->alive < 0)
		sluice_json_null(json, "alive");
	else
		sluice_json_bool(json, "alive", view->alive);
	sluice_json_bool(json, "away", view->state == SLUICE_PARTICIPANT_DETACHED);
	sluice_json_bool(json, "evicted", view->state == SLUICE_PARTICIPANT_EVICTED);
	sluice_json_string(json, "wait", sluice_wait_name(view->wait));
	if (view->role == SLUICE_ROLE_CONSUMER) {
		sluice_json_bool(json, "gating", view->gating);
		sluice_json_u64(json, "position", view->position);
		sluice_json_u64(json, "lag_events", member->lag);
		sluice_json_u64(json, "lag_high_events", view->lag_high);
		sluice_json_u64(json, "gaps_events", view->gaps);
		sluice_json_u64(json, "failed_errno", view->failed);
		follows_json(json, ring, view->follows);
	}
	sluice_json_u64(json, "events_count", view->events);
	sluice_json_u64(json, "batches_count", view->batches);
	sluice_json_u64(json, "polls_count", view->polls);
	sluice_json_u64(json, "useful_polls_count",
			sluice_tool_delta(view->polls, view->empty_polls));
	sluice_json_u64(json, "sleeps_count", view->sleeps);
	sluice_json_u64(json, "full_waits_count", view->full_waits);
	sluice_json_u64(json, "voids_count", view->voids);
	sluice_json_end(json);
}

static void ring_json(struct sluice_json *json, const char *suffix,
		      const struct sluice_tool_ring_sample *ring)
{
	sluice_json_object(json, suffix);
	sluice_json_string(json, "state", sluice_tool_state_name(ring->state));
	sluice_json_u64(json, "epoch", ring->epoch);
	sluice_json_u64(json, "slots_count", ring->slot_count);
	sluice_json_u64(json, "sequence", ring->end);
	sluice_json_u64(json, "used_slots", ring->used);
	sluice_json_u64(json, "used_high_slots", ring->used_high);
	sluice_json_u64(json, "tombstones_count", ring->tombstones);
	sluice_json_array(json, "participants");
	for (uint32_t i = 0; i < ring->members; i++)
		member_json(json, ring, &ring->member[i]);
	sluice_json_end(json);
	sluice_json_end(json);
}

static void counts_json(struct sluice_json *json, const struct sluice_tool_sample *sample,
			const struct sluice_tool_sample *earlier)
{
	char key[64];

	for (uint32_t i = 0; i < SLUICE_TOOL_COUNTS; i++) {
		const char *label = sluice_tool_count_label[i];

		snprintf(key, sizeof(key), "%s%s", label,
			 i == SLUICE_TOOL_WAL_BYTES || i >= SLUICE_TOOL_LOG_LIVE_BYTES ? "" :
											  "_count");
		sluice_json_u64(json, key, sample->count[i]);
		if (!earlier || i >= SLUICE_TOOL_ORDERS_LIVE)
			continue;
		snprintf(key, sizeof(key), "%s_per_s", label);
		sluice_json_u64(json, key,
				sluice_tool_per_second(
					sluice_tool_delta(sample->count[i], earlier->count[i]),
					sample->time_ns - earlier->time_ns));
	}
}

static void latencies_json(struct sluice_json *json, const struct sluice_tool_sample *sample,
			   const struct sluice_tool_sample *earlier)
{
	static struct sluice_histogram_snapshot interval;

	sluice_json_object(json, "latency");
	for (uint32_t i = 0; i < SLUICE_TOOL_LATENCIES; i++) {
		if (!sample->has_latency[i])
			continue;
		sluice_json_object(json, sluice_tool_latency_label[i]);
		sluice_tool_latency_json(json, "since_start", &sample->latency[i]);
		if (earlier) {
			interval = sample->latency[i];
			sluice_histogram_subtract(&interval, &earlier->latency[i]);
			sluice_tool_latency_json(json, "interval", &interval);
		}
		sluice_json_end(json);
	}
	sluice_json_end(json);
}

void sluice_tool_stat_json(struct sluice_json *json, const char *name,
			   const struct sluice_tool_sample *sample,
			   const struct sluice_tool_sample *earlier)
{
	struct sluice_tool_alarms alarms;

	sluice_tool_alarms_find(sample, &alarms);
	sluice_json_object(json, NULL);
	sluice_json_string(json, "schema", "sluice.stat/1");
	sluice_json_string(json, "instance", name);
	sluice_json_u64(json, "monotonic_ns", sample->time_ns);
	if (earlier)
		sluice_json_u64(json, "interval_ns", sample->time_ns - earlier->time_ns);
	sluice_json_string(json, "durability", sample->durability);
	sluice_json_u64(json, "durable_seq", sample->durable_seq);
	sluice_json_u64(json, "halted_errno", sample->halted);
	counts_json(json, sample, earlier);
	sluice_json_object(json, "rings");
	for (uint32_t i = 0; i < SLUICE_TOOL_RINGS; i++)
		if (sample->ring[i].has)
			ring_json(json, sluice_tool_ring_suffix[i], &sample->ring[i]);
	sluice_json_end(json);
	latencies_json(json, sample, earlier);
	sluice_tool_alarms_json(json, &alarms);
	sluice_json_end(json);
	sluice_json_finish(json);
}
