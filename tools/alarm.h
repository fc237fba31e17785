/* SPDX-License-Identifier: MIT */
/*
 * alarm.h - what an operator should know about an instance, found in one sample of it. An alarm
 * decides nothing: who lives is decided by the lock bytes, and who goes by the operator. Pure; one
 * thread.
 */
#ifndef SLUICE_TOOLS_ALARM_H
#define SLUICE_TOOLS_ALARM_H

#include "cli/json.h"
#include "tools/stat_sample.h"

#define SLUICE_TOOL_ALARMS_MAX 64
#define SLUICE_TOOL_STALL_NS 100000000u /* a shorter stall is a slow CPU */

enum sluice_tool_alarm_kind {
	SLUICE_ALARM_STATE,	/* the ring is not ready */
	SLUICE_ALARM_TWIN,	/* the ring has lost its name and is in use */
	SLUICE_ALARM_STALLED,	/* a claimed slot is not published, and consumers wait for it */
	SLUICE_ALARM_FAILED,	/* a consumer's handler has stopped on an error */
	SLUICE_ALARM_INHERITED, /* a process is gone, and something else holds its lock byte */
	SLUICE_ALARM_AWAY,	/* a critical consumer is away or dead and holds events back */
	SLUICE_ALARM_EVICTED
};

struct sluice_tool_alarm {
	uint32_t kind;
	uint32_t ring;	   /* enum sluice_tool_ring */
	uint32_t state;	   /* STATE: enum sluice_segment_state */
	uint32_t process;  /* enum sluice_process */
	uint32_t pid;	   /* 0: not known */
	uint32_t error;	   /* FAILED: errno */
	uint64_t sequence; /* STALLED: of the slot; AWAY, FAILED: its position */
	uint64_t events;   /* AWAY, FAILED: how many it holds back */
	uint64_t age_ns;   /* STALLED */
	char name[SLUICE_PARTICIPANT_NAME_BYTES]; /* of the participant; "" not known */
};

struct sluice_tool_alarms {
	uint32_t count;
	uint32_t left_out;
	struct sluice_tool_alarm alarm[SLUICE_TOOL_ALARMS_MAX];
};

void sluice_tool_alarms_find(const struct sluice_tool_sample *sample,
			     struct sluice_tool_alarms *ret_alarms);

/* The same alarms, whatever their figures? */
bool sluice_tool_alarms_equal(const struct sluice_tool_alarms *left,
			      const struct sluice_tool_alarms *right);

/* A line each: `ALARM x.cmd STALLED: ...`, with what to type where that is known. */
void sluice_tool_alarms_text(FILE *out, const char *name, const struct sluice_tool_alarms *alarms);

/* The array "alarms" of an object. */
void sluice_tool_alarms_json(struct sluice_json *json, const struct sluice_tool_alarms *alarms);

/* `a,b -> c; c -> d`: who follows whom on a ring; "" if nobody does. */
void sluice_tool_stages(const struct sluice_tool_ring_sample *ring, char *ret_text,
			size_t capacity);

#endif
