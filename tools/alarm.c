/* SPDX-License-Identifier: MIT */
/* alarm.c - see alarm.h. Works on the sample's private copies only. */
#include "tools/alarm.h"

#include <stdio.h>
#include <string.h>

#include "cli/text.h"
#include "shm/claim.h"
#include "shm/proc.h"

static const char *const kind_names[] = {"STATE",     "TWIN", "STALLED", "FAILED",
					 "HELD_BY_INHERITOR", "AWAY", "EVICTED"};
static const char *const kind_keys[] = {"state",	     "twin", "stalled", "failed",
					"held_by_inheritor", "away", "evicted"};
static const char *const process_names[] = {"unknown", "gone", "runs", "stopped"};

static struct sluice_tool_alarm *add(struct sluice_tool_alarms *alarms, uint32_t ring,
				     uint32_t kind)
{
	struct sluice_tool_alarm *alarm = &alarms->alarm[alarms->count];

	if (alarms->count == SLUICE_TOOL_ALARMS_MAX) {
		alarms->left_out++;
		return NULL;
	}
	alarms->count++;
	*alarm = (struct sluice_tool_alarm){.kind = kind, .ring = ring};
	return alarm;
}

static void add_member(struct sluice_tool_alarms *alarms, uint32_t ring, uint32_t kind,
		       const struct sluice_tool_member *member)
{
	struct sluice_tool_alarm *alarm = add(alarms, ring, kind);

	if (!alarm)
		return;
	memcpy(alarm->name, member->view.name, sizeof(alarm->name));
	/* of one that is away it is who was here last, or who reserved the place */
	if (member->view.state != SLUICE_PARTICIPANT_DETACHED) {
		alarm->pid = member->view.pid;
		alarm->process = member->process;
	}
	alarm->sequence = member->view.position;
	alarm->events = member->lag;
	alarm->error = (uint32_t)member->view.failed;
}

/*
 * The live producer whose claim record covers the sequence; one that has announced it only if
 * nobody has taken it. A ring of one producer keeps no record.
 */
static const struct sluice_tool_member *holder_of(const struct sluice_tool_ring_sample *ring,
						  uint64_t sequence)
{
	const struct sluice_tool_member *announced = NULL;

	for (uint32_t i = 0; i < ring->members; i++) {
		const struct sluice_tool_member *member = &ring->member[i];
		const uint64_t record = member->view.claim_record;

		if (member->view.role != SLUICE_ROLE_PRODUCER)
			continue;
		if (ring->one_producer && member->view.state == SLUICE_PARTICIPANT_ACTIVE)
			return member;
		if (!sluice_claim_covers(record, sequence))
			continue;
		if (sluice_claim_state(record) == SLUICE_CLAIM_CLAIMED)
			return member;
		if (sluice_claim_state(record) == SLUICE_CLAIM_ATTEMPT)
			announced = member;
	}
	return announced;
}

/* One alarm per slot, whoever waits for it, with the longest wait. */
static void find_stall(struct sluice_tool_alarms *alarms, uint32_t index,
		       const struct sluice_tool_ring_sample *ring)
{
	const struct sluice_tool_member *worst = NULL;
	const struct sluice_tool_member *holder;
	struct sluice_tool_alarm *alarm;

	for (uint32_t i = 0; i < ring->members; i++)
		if (ring->member[i].is_stalled &&
		    (!worst || ring->member[i].stuck_ns > worst->stuck_ns))
			worst = &ring->member[i];
	if (!worst || worst->stuck_ns < SLUICE_TOOL_STALL_NS)
		return;
	alarm = add(alarms, index, SLUICE_ALARM_STALLED);
	if (!alarm)
		return;
	alarm->sequence = worst->stuck;
	alarm->age_ns = worst->stuck_ns;
	holder = holder_of(ring, worst->stuck);
	if (!holder)
		return;
	memcpy(alarm->name, holder->view.name, sizeof(alarm->name));
	alarm->pid = holder->view.pid;
	alarm->process = holder->process;
}

static void find_member(struct sluice_tool_alarms *alarms, uint32_t index,
			const struct sluice_tool_member *member)
{
	const struct sluice_participant_view *view = &member->view;
	const bool is_consumer = view->role == SLUICE_ROLE_CONSUMER;
	/* one that left in order and holds nothing yet is none of the operator's business */
	const bool is_away = (view->state == SLUICE_PARTICIPANT_DETACHED && member->lag) ||
			     (view->state == SLUICE_PARTICIPANT_ACTIVE && view->alive == 0);

	if (view->alive == 1 && member->process == SLUICE_PROCESS_GONE &&
	    view->state != SLUICE_PARTICIPANT_DETACHED)
		add_member(alarms, index, SLUICE_ALARM_INHERITED, member);
	if (!is_consumer)
		return;
	if (view->failed && view->state != SLUICE_PARTICIPANT_EVICTED)
		add_member(alarms, index, SLUICE_ALARM_FAILED, member);
	if (is_away && view->policy == SLUICE_POLICY_CRITICAL)
		add_member(alarms, index, SLUICE_ALARM_AWAY, member);
	if (view->state == SLUICE_PARTICIPANT_EVICTED)
		add_member(alarms, index, SLUICE_ALARM_EVICTED, member);
}

void sluice_tool_alarms_find(const struct sluice_tool_sample *sample,
			     struct sluice_tool_alarms *ret_alarms)
{
	ret_alarms->count = 0;
	ret_alarms->left_out = 0;
	for (uint32_t i = 0; i < SLUICE_TOOL_RINGS; i++) {
		const struct sluice_tool_ring_sample *ring = &sample->ring[i];
		struct sluice_tool_alarm *alarm;

		if (!ring->has)
			continue;
		alarm = ring->state != SLUICE_STATE_READY ?
				add(ret_alarms, i, SLUICE_ALARM_STATE) :
				NULL;
		if (alarm)
			alarm->state = ring->state;
		if (!ring->has_name && ring->is_used && ring->state != SLUICE_STATE_DRAINING &&
		    ring->state != SLUICE_STATE_RETIRED)
			add(ret_alarms, i, SLUICE_ALARM_TWIN);
		find_stall(ret_alarms, i, ring);
		for (uint32_t k = 0; k < ring->members; k++)
			find_member(ret_alarms, i, &ring->member[k]);
	}
}

bool sluice_tool_alarms_equal(const struct sluice_tool_alarms *left,
			      const struct sluice_tool_alarms *right)
{
	if (left->count != right->count || left->left_out != right->left_out)
		return false;
	for (uint32_t i = 0; i < left->count; i++) {
		const struct sluice_tool_alarm *a = &left->alarm[i];
		const struct sluice_tool_alarm *b = &right->alarm[i];

		if (a->kind != b->kind || a->ring != b->ring || a->state != b->state ||
		    a->process != b->process || a->pid != b->pid ||
		    memcmp(a->name, b->name, sizeof(a->name)))
			return false;
	}
	return true;
}

/* ------------------------------------------------------------------------------------ text */

static void state_text(FILE *out, const struct sluice_tool_alarm *alarm)
{
	static const char *const means[] = {
		[SLUICE_STATE_DRAINING] = "closed: no more claims, consumers take what is there",
		[SLUICE_STATE_RECOVERING] = "a repair is at work, or was cut short: the next "
					    "attachment finishes it",
		[SLUICE_STATE_POISONED] = "damaged: stop everybody, remove it, start again",
		[SLUICE_STATE_RETIRED] = "on its way out: detach",
	};
	const char *what = alarm->state < sizeof(means) / sizeof(*means) ? means[alarm->state] :
									   NULL;

	fprintf(out, "%s: %s\n", sluice_tool_state_name(alarm->state),
		what ? what : "no state that there is");
}

static void stall_text(FILE *out, const struct sluice_tool_alarm *alarm)
{
	fprintf(out, "sequence %llu is claimed and not published for %s",
		(unsigned long long)alarm->sequence, sluice_text_duration(alarm->age_ns).s);
	if (!*alarm->name) {
		fputs("; no living producer says that it is its own\n", out);
		return;
	}
	fprintf(out, ", by producer %.31s, pid %u, %s", alarm->name, alarm->pid,
		process_names[alarm->process & 3]);
	if (alarm->process == SLUICE_PROCESS_STOPPED)
		fprintf(out, ": kill -CONT %u, or kill -9 %u and its claim becomes tombstones\n",
			alarm->pid, alarm->pid);
	else
		fputc('\n', out);
}

static void member_text(FILE *out, const char *name, const struct sluice_tool_alarm *alarm)
{
	switch (alarm->kind) {
	case SLUICE_ALARM_FAILED:
		fprintf(out, "consumer %.31s, pid %u, stopped on %s (%s); it holds %llu events\n",
			alarm->name, alarm->pid,
			alarm->error < 4096 && strerrorname_np((int)alarm->error) ?
				strerrorname_np((int)alarm->error) :
				"an error that has no name",
			strerror((int)(alarm->error & 4095)), (unsigned long long)alarm->events);
		break;
	case SLUICE_ALARM_INHERITED:
		fprintf(out,
			"the process of %.31s, pid %u, is gone, and its lock byte is held, by a child "
			"that it cloned: ls -l /proc/[0-9]*/fd | grep sluice.%s.%s.lk\n",
			alarm->name, alarm->pid, name, sluice_tool_ring_suffix[alarm->ring]);
		break;
	case SLUICE_ALARM_AWAY:
		fprintf(out,
			"critical consumer %.31s is not here and holds %llu events from %llu on: start "
			"it, or sluice evict\n",
			alarm->name, (unsigned long long)alarm->events,
			(unsigned long long)alarm->sequence);
		break;
	default:
		fprintf(out, "consumer %.31s, pid %u, was evicted\n", alarm->name, alarm->pid);
		break;
	}
}

void sluice_tool_alarms_text(FILE *out, const char *name, const struct sluice_tool_alarms *alarms)
{
	for (uint32_t i = 0; i < alarms->count; i++) {
		const struct sluice_tool_alarm *alarm = &alarms->alarm[i];

		fprintf(out, "  ALARM %s.%s %s: ", name, sluice_tool_ring_suffix[alarm->ring],
			kind_names[alarm->kind]);
		if (alarm->kind == SLUICE_ALARM_STATE)
			state_text(out, alarm);
		else if (alarm->kind == SLUICE_ALARM_TWIN)
			fputs("its file was removed or replaced while processes use it: whoever "
			      "comes now meets another ring; stop them all\n",
			      out);
		else if (alarm->kind == SLUICE_ALARM_STALLED)
			stall_text(out, alarm);
		else
			member_text(out, name, alarm);
	}
	if (alarms->left_out)
		fprintf(out, "  ALARM %s: and %u more\n", name, alarms->left_out);
}

/* ------------------------------------------------------------------------------------ JSON */

static void alarm_json(struct sluice_json *json, const struct sluice_tool_alarm *alarm)
{
	sluice_json_object(json, NULL);
	sluice_json_string(json, "kind", kind_keys[alarm->kind]);
	sluice_json_string(json, "ring", sluice_tool_ring_suffix[alarm->ring]);
	if (alarm->kind == SLUICE_ALARM_STATE)
		sluice_json_string(json, "state", sluice_tool_state_name(alarm->state));
	if (alarm->kind == SLUICE_ALARM_STALLED) {
		sluice_json_u64(json, "sequence", alarm->sequence);
		sluice_json_u64(json, "age_ns", alarm->age_ns);
	}
	if (*alarm->name)
		sluice_json_string_bounded(json, "participant", alarm->name, sizeof(alarm->name));
	if (alarm->pid) {
		sluice_json_u64(json, "pid", alarm->pid);
		sluice_json_string(json, "process", process_names[alarm->process & 3]);
	}
	if (alarm->kind == SLUICE_ALARM_AWAY || alarm->kind == SLUICE_ALARM_FAILED) {
		sluice_json_u64(json, "position", alarm->sequence);
		sluice_json_u64(json, "held_events", alarm->events);
	}
	if (alarm->kind == SLUICE_ALARM_FAILED) {
		const char *name = alarm->error < 4096 ? strerrorname_np((int)alarm->error) : NULL;

		sluice_json_u64(json, "errno", alarm->error);
		sluice_json_string(json, "errno_name", name ? name : "unknown");
	}
	sluice_json_end(json);
}

void sluice_tool_alarms_json(struct sluice_json *json, const struct sluice_tool_alarms *alarms)
{
	sluice_json_array(json, "alarms");
	for (uint32_t i = 0; i < alarms->count; i++)
		alarm_json(json, &alarms->alarm[i]);
	sluice_json_end(json);
	if (alarms->left_out)
		sluice_json_u64(json, "alarms_left_out_count", alarms->left_out);
}

/* ---------------------------------------------------------------------------------- stages */

/* Appends to `text`, cut at the end of it. */
static void append(char *text, size_t capacity, const char *before, const char *more)
{
	const size_t used = strlen(text);

	snprintf(text + used, capacity - used, "%s%s", before, more);
}

void sluice_tool_stages(const struct sluice_tool_ring_sample *ring, char *ret_text,
			size_t capacity)
{
	ret_text[0] = '\0';
	for (uint32_t i = 0; i < ring->members; i++) {
		const struct sluice_participant_view *stage = &ring->member[i].view;
		const char *before = *ret_text ? "; " : "";

		if (stage->role != SLUICE_ROLE_CONSUMER || !stage->follows)
			continue;
		for (uint32_t k = 0; k < ring->members; k++) {
			const struct sluice_participant_view *other = &ring->member[k].view;

			if (!(stage->follows >> other->index & 1))
				continue;
			append(ret_text, capacity, before, other->name);
			before = ",";
		}
		/* whom it followed has left */
		append(ret_text, capacity, *before == ',' ? "" : before,
		       *before == ',' ? " -> " : "(gone) -> ");
		append(ret_text, capacity, "", stage->name);
	}
}
