/* SPDX-License-Identifier: MIT */
/*
 * wal_lines.h - commands of a log as lines, with the names that the log itself gave: for `wal dump`
 * and `wal truncate-tail`. One thread.
 */
#ifndef SLUICE_TOOLS_WAL_LINES_H
#define SLUICE_TOOLS_WAL_LINES_H

#include "engine/wal/reader.h"
#include "tools/event.h"

struct sluice_tool_wal_lines {
	struct sluice_names names;
	uint64_t first_cmd_seq; /* of what the reader has */
	uint32_t symbols;
	uint32_t symbols_max;
	bool is_json;
	bool hex; /* the bytes as well */
};

/* With the names of a log that no longer begins at its first command. 0 or -errno with text. */
int sluice_tool_wal_lines_init(struct sluice_tool_wal_lines *lines,
			       struct sluice_wal_reader *reader, struct sluice_diag *diag);
void sluice_tool_wal_lines_release(struct sluice_tool_wal_lines *lines);

/* Of every command, in order, whether it is shown or not. */
void sluice_tool_wal_lines_learn(struct sluice_tool_wal_lines *lines,
				 const struct sluice_command *entry);

void sluice_tool_wal_lines_show(struct sluice_tool_wal_lines *lines,
				const struct sluice_wal_block_header *header,
				const struct sluice_command *entry, uint64_t cmd_seq);

#endif
