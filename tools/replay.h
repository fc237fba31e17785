/* SPDX-License-Identifier: MIT */
/*
 * replay.h - a log executed once more: its commands through a core of its own, compared block by
 * block with what the engine wrote into the block headers. This is the second opinion that
 * `wal verify`, `book --wal` and the demo rest on. Reads only; one thread.
 */
#ifndef SLUICE_TOOLS_REPLAY_H
#define SLUICE_TOOLS_REPLAY_H

#include "engine/core/core.h"
#include "engine/wal/reader.h"

#define SLUICE_TOOL_REPLAY_SLOTS 64

struct sluice_tool_replay {
	struct sluice_core *core;
	void *memory;
	size_t memory_bytes;
	struct sluice_sink sink;
	struct sluice_report reports[SLUICE_TOOL_REPLAY_SLOTS]; /* of the sink; nobody reads them */
	uint64_t first_cmd_seq; /* where it began: 0, or behind a snapshot */
	uint64_t next_cmd_seq;
	uint64_t blocks;
	/* the first block whose header says something else than this core */
	bool diverged;
	uint64_t diverged_block;
	const char *diverged_what;
	uint64_t expected;
	uint64_t found;
};

/*
 * A core with the log's own limits, in the state where the reader's first block begins: empty, or
 * that of a snapshot. Before the reader's first next. -EBADMSG: no snapshot that the log needs is
 * good; -ENOMEM, -EPROTO. The struct must not move afterwards; release it in any case.
 */
int sluice_tool_replay_init(struct sluice_tool_replay *replay, struct sluice_wal_reader *reader,
			    struct sluice_diag *diag);
void sluice_tool_replay_release(struct sluice_tool_replay *replay);

/* Executes one block of the reader's, in order. False: it has diverged (now or before). */
bool sluice_tool_replay_block(struct sluice_tool_replay *replay,
			      const struct sluice_wal_block_header *header,
			      const struct sluice_command *commands);

/* A whole log: everything that is valid, up to `cmd_seq_end` (UINT64_MAX: all). 0 or -errno. */
int sluice_tool_replay_log(struct sluice_tool_replay *replay, struct sluice_wal_reader *reader,
			   uint64_t cmd_seq_end);

#endif
