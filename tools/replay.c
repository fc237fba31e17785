/* SPDX-License-Identifier: MIT */
/* replay.c - see replay.h. The blocks come checked from the reader; the core takes any bytes. */
#include "tools/replay.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

static void make_room(struct sluice_sink *sink)
{
	sink->report_limit = sink->report_next + SLUICE_TOOL_REPLAY_SLOTS;
	sink->md_limit = UINT64_MAX;
}

/* What a snapshot has counted so far; an empty core has counted nothing. */
static void go_on_from(struct sluice_tool_replay *replay)
{
	struct sluice_core_stats stats;

	sluice_core_stats(replay->core, &stats);
	replay->first_cmd_seq = stats.commands;
	replay->next_cmd_seq = stats.commands;
	replay->sink = (struct sluice_sink){
		.reports = replay->reports,
		.report_mask = SLUICE_TOOL_REPLAY_SLOTS - 1,
		.report_next = stats.reports + 1,
		.md_next = stats.md_events + 1,
		.make_room = make_room,
	};
	make_room(&replay->sink);
}

int sluice_tool_replay_init(struct sluice_tool_replay *replay, struct sluice_wal_reader *reader,
			    struct sluice_diag *diag)
{
	const struct sluice_wal_limits *limits = &sluice_wal_reader_super(reader)->limits;
	const struct sluice_core_options options = sluice_wal_core_options(limits);
	const size_t bytes = sluice_core_bytes(&options);
	int ret;

	memset(replay, 0, sizeof(*replay));
	if (!bytes)
		return sluice_diag_set(diag, EPROTO,
				       "the log has limits that this program cannot replay");
	replay->memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			      0);
	if (replay->memory == MAP_FAILED) {
		replay->memory = NULL;
		return sluice_diag_set(diag, ENOMEM, "no %zu bytes of memory for a replay", bytes);
	}
	replay->memory_bytes = bytes;
	ret = sluice_wal_reader_restore(reader, replay->memory, &replay->core, diag);
	if (ret)
		return ret;
	go_on_from(replay);
	return 0;
}

void sluice_tool_replay_release(struct sluice_tool_replay *replay)
{
	if (replay->memory)
		munmap(replay->memory, replay->memory_bytes);
	replay->memory = NULL;
	replay->core = NULL;
}

static bool differs(struct sluice_tool_replay *replay, const struct sluice_wal_block_header *header,
		    const char *what, uint64_t expected, uint64_t found)
{
	if (expected == found)
		return false;
	replay->diverged = true;
	replay->diverged_block = header->block_seq;
	replay->diverged_what = what;
	replay->expected = expected;
	replay->found = found;
	return true;
}

bool sluice_tool_replay_block(struct sluice_tool_replay *replay,
			      const struct sluice_wal_block_header *header,
			      const struct sluice_command *commands)
{
	if (replay->diverged)
		return false;
	if (differs(replay, header, "first command", header->first_cmd_seq, replay->next_cmd_seq))
		return false;
	/* SEAL and CLOSE witness a block and say nothing of the core */
	if (!(header->flags & (SLUICE_WAL_SEAL | SLUICE_WAL_CLOSE)) &&
	    (differs(replay, header, "state hash", header->state_hash,
		     sluice_core_chain_hash(replay->core)) ||
	     differs(replay, header, "first report", header->report_first,
		     replay->sink.report_next)))
		return false;
	sluice_core_apply_batch(replay->core, commands, header->n_cmds, header->first_cmd_seq,
				&replay->sink);
	replay->next_cmd_seq += header->n_cmds;
	replay->blocks++;
	return true;
}

int sluice_tool_replay_log(struct sluice_tool_replay *replay, struct sluice_wal_reader *reader,
			   uint64_t cmd_seq_end)
{
	const struct sluice_wal_block_header *header;
	const struct sluice_command *commands;
	uint32_t segment_no;
	uint64_t offset;
	int rc;

	while ((rc = sluice_wal_reader_next(reader, &header, &commands, &segment_no, &offset)) >
	       0) {
		if (!sluice_tool_replay_block(replay, header, commands))
			return 0;
		if (replay->next_cmd_seq >= cmd_seq_end)
			return 0;
	}
	return rc;
}
