/* SPDX-License-Identifier: MIT */
/*
 * replay_log.c - a helper of scripts: executes a log from its start and prints what comes out, to
 * be compared between builds, compilers and versions.
 *
 *	replay_log DIR
 *
 * verdict, place of the end, blocks, commands, reports; the digest of the chain hash at every
 * block; chain and state hash at the end. Exit code 0, 1 (cannot be read, text on stderr), 5
 * damaged or not what the log says. Needs the log's reader and the core, nothing else.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/wal/reader.h"
#include "shm/crc32c.h"

#define SLOTS 64u

struct replay {
	struct sluice_wal_reader *reader;
	struct sluice_core *core;
	void *memory;
	struct sluice_sink sink;
	struct sluice_report reports[SLOTS];
	uint64_t blocks, commands, differing;
	uint32_t chain_crc; /* over the chain hash before every block */
};

static void make_room(struct sluice_sink *sink)
{
	sink->report_limit = sink->report_next + SLOTS;
	sink->md_limit = UINT64_MAX;
}

static int restore(struct replay *replay, struct sluice_diag *diag)
{
	const struct sluice_wal_limits *limits = &sluice_wal_reader_super(replay->reader)->limits;
	const struct sluice_core_options options = sluice_wal_core_options(limits);
	struct sluice_core_stats stats;
	int ret;

	replay->memory = aligned_alloc(64, (sluice_core_bytes(&options) + 63) / 64 * 64);
	if (!replay->memory)
		return -1;
	ret = sluice_wal_reader_restore(replay->reader, replay->memory, &replay->core, diag);
	if (ret)
		return ret;
	sluice_core_stats(replay->core, &stats);
	replay->sink = (struct sluice_sink){
		.reports = replay->reports,
		.report_mask = SLOTS - 1,
		.report_next = stats.reports + 1,
		.md_next = stats.md_events + 1,
		.make_room = make_room,
	};
	make_room(&replay->sink);
	return 0;
}

static void execute(struct replay *replay, const struct sluice_wal_block_header *header,
		    const struct sluice_command *commands)
{
	const uint64_t chain = sluice_core_chain_hash(replay->core);

	replay->chain_crc = sluice_crc32c(replay->chain_crc, &chain, sizeof(chain));
	if (header->flags & (SLUICE_WAL_DATA | SLUICE_WAL_OPEN))
		replay->differing += header->state_hash != chain ||
				     header->report_first != replay->sink.report_next;
	sluice_core_apply_batch(replay->core, commands, header->n_cmds, header->first_cmd_seq,
				&replay->sink);
	replay->blocks++;
	replay->commands += header->n_cmds;
}

static int walk(struct replay *replay, struct sluice_wal_report *ret_report)
{
	const struct sluice_wal_block_header *header;
	const struct sluice_command *commands;
	uint32_t segment_no;
	uint64_t offset;
	int ret;

	while ((ret = sluice_wal_reader_next(replay->reader, &header, &commands, &segment_no,
					     &offset)) == 1)
		execute(replay, header, commands);
	return ret ? ret : sluice_wal_reader_verdict(replay->reader, ret_report);
}

static void print(const struct replay *replay, const struct sluice_wal_report *report)
{
	static const char *const verdicts[] = {"INTACT", "TORN", "DAMAGED"};

	printf("verdict %s\nend %s %llu block %llu\nblocks %llu\ncommands %llu\nreports %llu\n"
	       "market_data %llu\ndiffering_blocks %llu\nchain_at_blocks %08x\nchain %016llx\n"
	       "state %016llx\n",
	       verdicts[report->verdict], report->file, (unsigned long long)report->offset,
	       (unsigned long long)report->block_seq, (unsigned long long)replay->blocks,
	       (unsigned long long)replay->commands,
	       (unsigned long long)replay->sink.report_next - 1,
	       (unsigned long long)replay->sink.md_next - 1,
	       (unsigned long long)replay->differing, replay->chain_crc,
	       (unsigned long long)sluice_core_chain_hash(replay->core),
	       (unsigned long long)sluice_core_state_hash(replay->core));
}

int main(int argc, char **argv)
{
	static struct replay replay;
	struct sluice_wal_report report;
	struct sluice_diag diag = {.text = ""};
	int ret;

	if (argc != 2) {
		fprintf(stderr, "usage: replay_log DIR\n");
		return 2;
	}
	ret = sluice_wal_reader_open(&replay.reader, argv[1], &diag);
	if (!ret)
		ret = restore(&replay, &diag);
	if (!ret)
		ret = walk(&replay, &report);
	if (ret) {
		fprintf(stderr, "replay_log: %s (%s)\n", diag.text, strerror(-ret));
		return 1;
	}
	print(&replay, &report);
	sluice_wal_reader_close(replay.reader);
	free(replay.memory);
	return report.verdict == SLUICE_WAL_DAMAGED || replay.differing ? 5 : 0;
}
