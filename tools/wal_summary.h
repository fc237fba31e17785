/* SPDX-License-Identifier: MIT */
/* wal_summary.h - what a walk over a log adds up to: for `wal verify` and `wal stat`. */
#ifndef SLUICE_TOOLS_WAL_SUMMARY_H
#define SLUICE_TOOLS_WAL_SUMMARY_H

#include "cli/json.h"
#include "engine/wal/reader.h"

/* A live log may be written over while it is read (-ESTALE): begin again, this often. */
#define SLUICE_TOOL_WAL_TRIES 5

struct sluice_tool_wal_summary {
	uint64_t blocks;
	uint64_t data_blocks;
	uint64_t commands;
	uint64_t bytes;		/* of the blocks, padding and headers included */
	uint64_t payload_bytes; /* of the commands alone */
	uint64_t per_block_max;
	uint64_t first_time_ns; /* of the first and last block, CLOCK_REALTIME */
	uint64_t last_time_ns;
	uint64_t end_bytes;	/* of the log, from its start to the last block's end */
	uint64_t first_cmd_seq; /* of the first block */
	uint32_t epochs;    /* starts of an engine */
	bool closed;	    /* the last block is a clean end */
};

void sluice_tool_wal_summary_add(struct sluice_tool_wal_summary *summary,
				 const struct sluice_wal_super *super,
				 const struct sluice_wal_block_header *header, uint32_t segment_no,
				 uint64_t offset);

/* Bytes from the start of the log to this point, and of all segments. */
uint64_t sluice_tool_wal_live_bytes(const struct sluice_wal_super *super, uint64_t segment_no,
				    uint64_t offset);
uint64_t sluice_tool_wal_capacity_bytes(const struct sluice_wal_super *super);

/* The snapshots that the superblock names, newest first; NULL: none. */
void sluice_tool_wal_snapshots(const struct sluice_wal_super *super,
			       const struct sluice_wal_snapshot *ret_named[SLUICE_WAL_SNAPSHOTS]);

/* Where the log starts, and its snapshots, as fields of the open object. */
void sluice_tool_wal_range_json(struct sluice_json *json, const struct sluice_wal_super *super);

const char *sluice_tool_wal_verdict_name(enum sluice_wal_verdict verdict);

/* The reader's report as fields of the open object. */
void sluice_tool_wal_report_json(struct sluice_json *json, const struct sluice_wal_report *report);

#endif
