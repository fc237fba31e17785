/* SPDX-License-Identifier: MIT */
/*
 * wal_stat.c - `sluice wal stat`: how full a log is and how it was filled. Reads only.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "cli/exit.h"
#include "cli/report.h"
#include "cli/signals.h"
#include "cli/text.h"
#include "tools/tool.h"
#include "tools/wal_summary.h"

struct stat_options {
	const char *dir;
};

static const struct sluice_cli_command command = {
	.program = "sluice wal stat",
	.summary = "how full a log is and how it was filled",
	.description =
		"Padding is what the 4 KiB blocks hold besides commands: the price of a small "
		"group commit.\n\n"
		"A log goes round: it begins at the older of its two snapshots, and everything "
		"before may have been written over. Fill is the part from there to the end.",
	.positionals = {{.name = "DIR",
			 .help = "the log's directory",
			 .offset = offsetof(struct stat_options, dir)}},
	.examples = {{"sluice wal stat /var/lib/sluice/x", "for people"},
		     {"sluice wal stat --json DIR", "for scripts"}},
};

static void time_text(uint64_t realtime_ns, char *ret_text, size_t bytes)
{
	const time_t seconds = (time_t)(realtime_ns / 1000000000u);
	struct tm utc;

	gmtime_r(&seconds, &utc);
	strftime(ret_text, bytes, "%Y-%m-%dT%H:%M:%SZ", &utc);
}

static unsigned long long per_mille(uint64_t part, uint64_t whole)
{
	return whole ? (unsigned long long)(part * 1000 / whole) : 0;
}

static void print_snapshots(const struct sluice_wal_super *super)
{
	const struct sluice_wal_snapshot *named[SLUICE_WAL_SNAPSHOTS];

	sluice_tool_wal_snapshots(super, named);
	if (!named[0])
		puts("snapshots        none");
	for (uint32_t i = 0; i < SLUICE_WAL_SNAPSHOTS; i++)
		if (named[i])
			printf("snapshot         number %llu, of the commands below %s (block %llu), "
			       "%s\n",
			       (unsigned long long)named[i]->sequence,
			       sluice_text_exact(named[i]->place.cmd_seq).s,
			       (unsigned long long)named[i]->place.block_seq,
			       sluice_text_bytes(named[i]->bytes).s);
}

static void print_text(const struct sluice_wal_super *super,
		       const struct sluice_tool_wal_summary *summary)
{
	const unsigned long long padding = per_mille(summary->bytes - summary->payload_bytes,
						     summary->bytes);
	const uint64_t capacity = sluice_tool_wal_capacity_bytes(super);
	const unsigned long long fill = per_mille(summary->end_bytes, capacity);
	char first[32] = "-";
	char last[32] = "-";

	if (summary->blocks) {
		time_text(summary->first_time_ns, first, sizeof(first));
		time_text(summary->last_time_ns, last, sizeof(last));
	}
	printf("begins           at command %s, block %s\n",
	       sluice_text_exact(super->start.cmd_seq).s,
	       sluice_text_exact(super->start.block_seq).s);
	printf("blocks           %s, %s with commands\n", sluice_text_exact(summary->blocks).s,
	       sluice_text_exact(summary->data_blocks).s);
	printf("commands         %s\n", sluice_text_exact(summary->commands).s);
	printf("per block        %.1f on average, %llu at most\n",
	       summary->data_blocks ? (double)summary->commands / (double)summary->data_blocks :
				      0.0,
	       (unsigned long long)summary->per_block_max);
	printf("bytes            %s, %llu.%llu %% of it headers and padding\n",
	       sluice_text_bytes(summary->bytes).s, padding / 10, padding % 10);
	printf("epochs           %u, %s\n", summary->epochs,
	       summary->closed ? "cleanly closed" : "open or cut short");
	printf("time             %s to %s\n", first, last);
	print_snapshots(super);
	printf("fill             %llu.%llu %% of %s\n", fill / 10, fill % 10,
	       sluice_text_bytes(capacity).s);
}

static void print_json(const struct sluice_wal_super *super,
		       const struct sluice_tool_wal_summary *summary)
{
	struct sluice_json json;

	sluice_json_init_file(&json, stdout);
	sluice_json_object(&json, NULL);
	sluice_json_string(&json, "schema", "sluice.wal.stat/1");
	sluice_json_u64(&json, "blocks_count", summary->blocks);
	sluice_json_u64(&json, "data_blocks_count", summary->data_blocks);
	sluice_json_u64(&json, "commands_count", summary->commands);
	sluice_json_u64(&json, "commands_per_block_max_count", summary->per_block_max);
	sluice_json_u64(&json, "blocks_bytes", summary->bytes);
	sluice_json_u64(&json, "payload_bytes", summary->payload_bytes);
	sluice_json_u64(&json, "epochs_count", summary->epochs);
	sluice_json_bool(&json, "closed", summary->closed);
	sluice_json_u64(&json, "first_time_ns", summary->first_time_ns);
	sluice_json_u64(&json, "last_time_ns", summary->last_time_ns);
	sluice_json_u64(&json, "used_bytes", summary->end_bytes);
	sluice_json_u64(&json, "capacity_bytes", sluice_tool_wal_capacity_bytes(super));
	sluice_tool_wal_range_json(&json, super);
	sluice_json_end(&json);
	sluice_json_finish(&json);
}

static int walk(struct sluice_wal_reader *reader, struct sluice_tool_wal_summary *summary)
{
	const struct sluice_wal_super *super = sluice_wal_reader_super(reader);
	const struct sluice_wal_block_header *header;
	const struct sluice_command *commands;
	uint32_t segment_no;
	uint64_t offset;
	int rc;

	*summary = (struct sluice_tool_wal_summary){0};
	while ((rc = sluice_wal_reader_next(reader, &header, &commands, &segment_no, &offset)) >
	       0) {
		sluice_tool_wal_summary_add(summary, super, header, segment_no, offset);
		if (sluice_signals_stop())
			return -EINTR;
	}
	return rc;
}

static int stat_once(const char *dir, bool is_json, struct sluice_diag *diag)
{
	struct sluice_tool_wal_summary summary;
	struct sluice_wal_reader *reader;
	int rc = sluice_wal_reader_open(&reader, dir, diag);

	if (rc)
		return rc;
	rc = walk(reader, &summary);
	if (rc) {
		sluice_diag_set(diag, -rc, "cannot read the log in %s: %s", dir,
				rc == -ESTALE ? "it is written over faster than it is read" :
						strerror(-rc));
		sluice_diag_hint(diag, "sluice wal verify %s", dir);
	} else if (is_json) {
		print_json(sluice_wal_reader_super(reader), &summary);
	} else {
		print_text(sluice_wal_reader_super(reader), &summary);
	}
	sluice_wal_reader_close(reader);
	return rc;
}

static int stat_run(const char *dir, bool is_json)
{
	struct sluice_diag diag = {.text = ""};
	int rc = -ESTALE;

	for (int tries = 0; rc == -ESTALE && tries < SLUICE_TOOL_WAL_TRIES; tries++)
		rc = stat_once(dir, is_json, &diag);
	return rc ? sluice_cli_fail(command.program, rc, &diag) :
		    sluice_tool_finish(command.program, SLUICE_EXIT_OK);
}

static int run(int argc, char **argv)
{
	struct stat_options values = {0};
	struct sluice_options options;
	int code;

	if (!sluice_options_start(&options, &command, argc, argv, &values, &code))
		return code;
	code = stat_run(values.dir, options.standard.json);
	sluice_options_release(&options);
	return code;
}

const struct sluice_tool sluice_tool_wal_stat = {.name = "stat", .command = &command, .run = run};
