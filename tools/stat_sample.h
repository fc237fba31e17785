/* SPDX-License-Identifier: MIT */
/*
 * stat_sample.h - one look at an instance: everything that `stat` and the demo print, copied out of
 * the mappings at once. Words are read one by one while others write them, so two figures of one
 * sample may be some microseconds apart; every figure itself is whole. Read-only; one thread.
 */
#ifndef SLUICE_TOOLS_STAT_SAMPLE_H
#define SLUICE_TOOLS_STAT_SAMPLE_H

#include "shm/participant.h"
#include "tools/attach.h"

enum sluice_tool_count {
	SLUICE_TOOL_COMMANDS,
	SLUICE_TOOL_REPORTS,
	SLUICE_TOOL_TRADES,
	SLUICE_TOOL_REJECTED,
	SLUICE_TOOL_DUPLICATES,
	SLUICE_TOOL_WAL_BYTES,
	SLUICE_TOOL_WAL_BLOCKS,
	SLUICE_TOOL_WAL_COMMANDS,
	SLUICE_TOOL_ORDERS_LIVE, /* from here on gauges */
	SLUICE_TOOL_WAL_IN_FLIGHT,
	SLUICE_TOOL_SNAPSHOTS,
	SLUICE_TOOL_LOG_LIVE_BYTES, /* from here on with their unit, or none */
	SLUICE_TOOL_LOG_BYTES,
	SLUICE_TOOL_LOG_FULL,
	SLUICE_TOOL_STALLED, /* the log's disk does not answer */
	SLUICE_TOOL_FOLLOWER_ALARM,
	SLUICE_TOOL_FOLLOWER_CMD_SEQ,
	SLUICE_TOOL_COUNTS
};
extern const char *const sluice_tool_count_label[SLUICE_TOOL_COUNTS];

enum sluice_tool_latency {
	SLUICE_TOOL_TO_TAKE,
	SLUICE_TOOL_TO_REPORT,
	SLUICE_TOOL_COMMIT,
	SLUICE_TOOL_TO_CONSUMER,
	SLUICE_TOOL_LATENCIES
};
extern const char *const sluice_tool_latency_label[SLUICE_TOOL_LATENCIES];

struct sluice_tool_member {
	struct sluice_participant_view view;
	uint64_t lag; /* consumers: events published and not passed yet */
	uint32_t process; /* enum sluice_process, of its pid */
	bool is_stalled;  /* a live consumer that waits for a slot that is claimed: */
	uint64_t stuck;	  /* its sequence */
	uint64_t stuck_ns; /* for how long */
};

struct sluice_tool_ring_sample {
	bool has;
	bool has_name; /* the file that is mapped is the one that new participants find */
	bool is_used;  /* somebody holds it attached for writing, or that cannot be told */
	uint32_t state; /* enum sluice_segment_state */
	bool one_producer;
	uint64_t epoch; /* repairs since it was made */
	uint64_t slot_count;
	uint64_t end;	    /* next sequence to be claimed */
	uint64_t used;	    /* slots that a consumer still holds */
	uint64_t used_high; /* most events a consumer was ever behind */
	uint64_t tombstones;
	uint32_t members;
	struct sluice_tool_member member[SLUICE_PARTICIPANTS_MAX];
};

struct sluice_tool_sample {
	uint64_t time_ns; /* CLOCK_MONOTONIC */
	struct sluice_tool_ring_sample ring[SLUICE_TOOL_RINGS];
	uint64_t count[SLUICE_TOOL_COUNTS];
	bool has_latency[SLUICE_TOOL_LATENCIES];
	struct sluice_histogram_snapshot latency[SLUICE_TOOL_LATENCIES];
	uint64_t durable_seq;
	uint64_t halted; /* errno, 0 while all is well */
	const char *durability;
};

/* Large (about 1 MiB): the caller's static or heap storage. */
void sluice_tool_sample_take(struct sluice_tool_sample *ret_sample,
			     struct sluice_tool_instance *instance);

/* later - earlier on free-running 64-bit counters; 0 when a restarted owner begins again. */
static inline uint64_t sluice_tool_delta(uint64_t later, uint64_t earlier)
{
	return later - earlier <= UINT64_MAX / 2 ? later - earlier : 0;
}

/* Events per second, rounded. */
uint64_t sluice_tool_per_second(uint64_t events, uint64_t elapsed_ns);

#endif
