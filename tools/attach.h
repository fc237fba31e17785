/* SPDX-License-Identifier: MIT */
/*
 * attach.h - instances as the tools see them: three read-only mappings. Nothing here takes a lock
 * or writes a byte, so an observer can be killed or stopped at any instruction and nobody notices.
 * One thread.
 */
#ifndef SLUICE_TOOLS_ATTACH_H
#define SLUICE_TOOLS_ATTACH_H

#include "shm/histogram.h"
#include "shm/segment.h"

#define SLUICE_TOOL_INSTANCES_MAX 64

enum sluice_tool_ring {
	SLUICE_TOOL_CMD = 0,
	SLUICE_TOOL_REP = 1,
	SLUICE_TOOL_MD = 2,
	SLUICE_TOOL_RINGS = 3
};

struct sluice_tool_instance {
	char name[SLUICE_SEGMENT_NAME_BYTES];
	struct sluice_segment ring[SLUICE_TOOL_RINGS];
	bool has[SLUICE_TOOL_RINGS];
};

extern const char *const sluice_tool_ring_suffix[SLUICE_TOOL_RINGS]; /* "cmd" ... */

/* Maps whichever of the three rings are there. -ENOENT: none; else the first ring's error. */
int sluice_tool_instance_open(struct sluice_tool_instance *ret_instance, const char *name,
			      struct sluice_diag *diag);
void sluice_tool_instance_close(struct sluice_tool_instance *instance);

/* "" or what happened to a mapped ring since: removed, replaced. */
const char *sluice_tool_instance_gone(const struct sluice_tool_instance *instance);

struct sluice_tool_names {
	uint32_t count;
	char name[SLUICE_TOOL_INSTANCES_MAX][SLUICE_SEGMENT_NAME_BYTES];
};

/* Every instance that has a ring now. */
int sluice_tool_instances(struct sluice_tool_names *ret_names, struct sluice_diag *diag);

/* The name given, or the only instance there is. -ENOENT; -EINVAL: several, the text lists them. */
int sluice_tool_choose(const char *given, char ret_name[SLUICE_SEGMENT_NAME_BYTES],
		       struct sluice_diag *diag);

/* By label, from a segment that may hold anything. Absent: false. */
bool sluice_tool_counter(const struct sluice_segment *segment, const char *label,
			 uint64_t *ret_value);
bool sluice_tool_histogram(const struct sluice_segment *segment, const char *label,
			   struct sluice_histogram_snapshot *ret_snapshot);

/* One word of control.note. */
uint64_t sluice_tool_note(const struct sluice_segment *segment, enum sluice_note note);

/* The durability mode in the engine's own words, "unknown" before it has said so. */
const char *sluice_tool_durability(const struct sluice_segment *segment);

const char *sluice_tool_state_name(uint32_t state); /* enum sluice_segment_state */
const char *sluice_tool_kind_name(uint32_t kind);   /* enum sluice_event_kind */

/* 1 the process that made the segment runs, 0 it does not, -1 it cannot be told from here. */
int sluice_tool_creator_alive(const struct sluice_header *header);

#endif
