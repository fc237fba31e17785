/* SPDX-License-Identifier: MIT */
/* attach.c - see attach.h. What comes out of a mapping is copied and bounded. */
#include "tools/attach.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "shm/events.h"
#include "shm/proc.h"

const char *const sluice_tool_ring_suffix[SLUICE_TOOL_RINGS] = {"cmd", "rep", "md"};

int sluice_tool_instance_open(struct sluice_tool_instance *ret_instance, const char *name,
			      struct sluice_diag *diag)
{
	struct sluice_tool_instance instance = {0};
	uint32_t found = 0;

	if (snprintf(instance.name, sizeof(instance.name), "%s", name) >= 44) {
		sluice_diag_hint(diag, "sluice ls");
		return sluice_diag_set(diag, EINVAL,
				       "the name of an instance has at most 43 characters");
	}
	for (uint32_t i = 0; i < SLUICE_TOOL_RINGS; i++) {
		char ring[SLUICE_SEGMENT_NAME_BYTES + 8];
		int err;

		snprintf(ring, sizeof(ring), "%s.%s", instance.name, sluice_tool_ring_suffix[i]);
		err = sluice_segment_attach(&instance.ring[i], ring, SLUICE_ACCESS_READ, diag);
		if (err && err != -ENOENT) {
			sluice_tool_instance_close(&instance);
			return err;
		}
		instance.has[i] = !err;
		found += !err;
	}
	if (!found) {
		sluice_diag_set(diag, ENOENT, "there is no instance named \"%s\"", instance.name);
		sluice_diag_hint(diag, "sluice ls");
		return -ENOENT;
	}
	*ret_instance = instance;
	return 0;
}

void sluice_tool_instance_close(struct sluice_tool_instance *instance)
{
	for (uint32_t i = 0; i < SLUICE_TOOL_RINGS; i++)
		if (instance->has[i])
			sluice_segment_close(&instance->ring[i]);
	memset(instance->has, 0, sizeof(instance->has));
}

/* Closed by its owner, who removes the name next. */
static bool is_leaving(const struct sluice_segment *segment)
{
	/* sync: ring:state <- state:set; only compared */
	const uint64_t state = atomic_load_explicit(&segment->control->state,
						    memory_order_acquire) & SLUICE_STATE_MASK;

	return state == SLUICE_STATE_DRAINING || state == SLUICE_STATE_RETIRED;
}

const char *sluice_tool_instance_gone(const struct sluice_tool_instance *instance)
{
	const char *gone = "";

	for (uint32_t i = 0; i < SLUICE_TOOL_RINGS; i++) {
		if (!instance->has[i] || sluice_segment_is_named(&instance->ring[i]))
			continue;
		gone = "a ring was removed or replaced";
		if (!is_leaving(&instance->ring[i]) &&
		    sluice_liveness_probe(&instance->ring[i], SLUICE_LOCK_ATTACHED) == 1)
			return "TWIN: a ring was removed or replaced while processes use it; stop "
			       "them all";
	}
	return gone;
}

static int collect(const struct sluice_segment_entry *entry, void *arg)
{
	struct sluice_tool_names *names = arg;
	const char *dot = strrchr(entry->name, '.');
	size_t bytes;

	if (entry->is_temporary || entry->is_lock_only || !dot ||
	    names->count == SLUICE_TOOL_INSTANCES_MAX)
		return 0;
	for (uint32_t i = 0; i < SLUICE_TOOL_RINGS; i++) {
		if (strcmp(dot + 1, sluice_tool_ring_suffix[i]))
			continue;
		bytes = (size_t)(dot - entry->name);
		for (uint32_t k = 0; k < names->count; k++)
			if (!strncmp(names->name[k], entry->name, bytes) && !names->name[k][bytes])
				return 0;
		memcpy(names->name[names->count], entry->name, bytes);
		names->name[names->count++][bytes] = '\0';
	}
	return 0;
}

int sluice_tool_instances(struct sluice_tool_names *ret_names, struct sluice_diag *diag)
{
	struct sluice_tool_names names = {0};
	const int err = sluice_segment_each(collect, &names, diag);

	if (!err)
		*ret_names = names;
	return err;
}

int sluice_tool_choose(const char *given, char ret_name[SLUICE_SEGMENT_NAME_BYTES],
		       struct sluice_diag *diag)
{
	struct sluice_tool_names names;
	char list[512] = "";
	int err;

	if (given) {
		snprintf(ret_name, SLUICE_SEGMENT_NAME_BYTES, "%s", given);
		return 0;
	}
	err = sluice_tool_instances(&names, diag);
	if (err)
		return err;
	if (names.count == 1) {
		memcpy(ret_name, names.name[0], SLUICE_SEGMENT_NAME_BYTES);
		return 0;
	}
	if (!names.count) {
		sluice_diag_set(diag, ENOENT, "no instance is running here");
		sluice_diag_hint(diag, "sluice-engine --name x --wal DIR --format\nsluice demo");
		return -ENOENT;
	}
	for (uint32_t i = 0; i < names.count && strlen(list) < sizeof(list) - 80; i++)
		snprintf(list + strlen(list), sizeof(list) - strlen(list), " %s", names.name[i]);
	sluice_diag_set(diag, EINVAL, "there are several instances:%s", list);
	sluice_diag_hint(diag, "repeat with --name %s", names.name[0]);
	return -EINVAL;
}

bool sluice_tool_counter(const struct sluice_segment *segment, const char *label,
			 uint64_t *ret_value)
{
	for (uint32_t i = 0; i < segment->header.counter_count; i++) {
		const struct sluice_counter *counter = &segment->counters[i];

		/* relaxed: a statistic; a label that is half set up matches at the next look */
		if (atomic_load_explicit(&counter->kind, memory_order_relaxed) ==
			    SLUICE_COUNTER_FREE ||
		    strncmp(counter->label, label, sizeof(counter->label)))
			continue;
		/* relaxed: a statistic */
		*ret_value = atomic_load_explicit(&counter->value, memory_order_relaxed);
		return true;
	}
	return false;
}

bool sluice_tool_histogram(const struct sluice_segment *segment, const char *label,
			   struct sluice_histogram_snapshot *ret_snapshot)
{
	for (uint32_t i = 0; i < segment->header.histogram_count; i++) {
		const struct sluice_histogram *histogram = &segment->histograms[i];

		/* relaxed: as with the counters */
		if (!atomic_load_explicit(&histogram->used, memory_order_relaxed) ||
		    strncmp(histogram->label, label, sizeof(histogram->label)))
			continue;
		sluice_histogram_snapshot(histogram, ret_snapshot);
		return true;
	}
	return false;
}

uint64_t sluice_tool_note(const struct sluice_segment *segment, enum sluice_note note)
{
	/* relaxed: a statistic */
	return atomic_load_explicit(&segment->control->note[note], memory_order_relaxed);
}

const char *sluice_tool_durability(const struct sluice_segment *segment)
{
	switch (sluice_tool_note(segment, SLUICE_NOTE_DURABILITY)) {
	case SLUICE_REPORT_DURABLE + 1:
		return "batch";
	case SLUICE_REPORT_ASYNC + 1:
		return "async";
	case SLUICE_REPORT_NO_LOG + 1:
		return "off";
	default:
		return "unknown";
	}
}

const char *sluice_tool_state_name(uint32_t state)
{
	static const char *const names[] = {"unknown",	  "ready",    "draining",
					    "recovering", "poisoned", "retired"};

	return names[state < sizeof(names) / sizeof(*names) ? state : 0];
}

const char *sluice_tool_kind_name(uint32_t kind)
{
	static const char *const names[] = {"raw", "commands", "reports", "market_data"};

	return kind < sizeof(names) / sizeof(*names) ? names[kind] : "unknown";
}

int sluice_tool_creator_alive(const struct sluice_header *header)
{
	uint64_t namespace, ticks;

	if (sluice_proc_pid_namespace(&namespace) || namespace != header->creator_pidns)
		return -1;
	if (sluice_proc_start_ticks((pid_t)header->creator_pid, &ticks))
		return 0;
	return ticks == header->creator_start_ticks;
}
