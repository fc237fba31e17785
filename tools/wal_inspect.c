/* SPDX-License-Identifier: MIT */
/*
 * wal_inspect.c - `sluice wal inspect`: what a start of the engine would find in a log directory,
 * without a start. Takes no lock, writes nothing, also while an engine writes.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "cli/exit.h"
#include "cli/report.h"
#include "cli/text.h"
#include "engine/wal/look.h"
#include "tools/tool.h"
#include "tools/wal_summary.h"

struct inspect_options {
	const char *dir;
};

static const struct sluice_cli_command command = {
	.program = "sluice wal inspect",
	.summary = "what a start of the engine would find in a log",
	.description =
		"Shows the copies of the superblock, the snapshots, the part of the log that is in "
		"use, its end and what lies behind that, and says in recovery's own words whether "
		"an engine would start: the same code decides. Exit code 5: it would refuse.\n\n"
		"Nothing is locked or written. Beside a running engine the end is that of a "
		"moment, and the older snapshot may be seen half written over.",
	.positionals = {{.name = "DIR",
			 .help = "the log's directory",
			 .offset = offsetof(struct inspect_options, dir)}},
	.examples = {{"sluice wal inspect /var/lib/sluice/x", "for people"},
		     {"sluice wal inspect --json DIR", "for scripts"}},
};

static const char *word_of(const struct sluice_wal_look *look)
{
	return look->has_end ? sluice_tool_wal_verdict_name(look->report.verdict) : "REFUSED";
}

/* ----------------------------------------------------------------------------------- for people */

static void print_copies(const struct sluice_wal_look *look)
{
	for (uint32_t i = 0; i < SLUICE_WAL_SUPER_COPIES; i++) {
		const struct sluice_wal_look_copy *copy = &look->copies[i];

		if (copy->valid)
			printf("  super %u      sequence %" PRIu64 ", epoch %u%s\n", i,
			       copy->super.sequence, copy->super.epoch,
			       copy->chosen ? ", the one that counts" : "");
		else
			printf("  super %u      not valid: %s: expected 0x%" PRIx64
			       ", found 0x%" PRIx64 "\n",
			       i, copy->fault.what, copy->fault.expected, copy->fault.found);
	}
}

static void print_snapshots(const struct sluice_wal_look *look)
{
	for (uint32_t i = 0; i < SLUICE_WAL_SNAPSHOTS; i++) {
		const struct sluice_wal_look_snapshot *snapshot = &look->snapshots[i];

		if (!snapshot->named.sequence)
			continue;
		printf("  snapshot     number %" PRIu64 " in snap-%u, of the commands below %s "
		       "(block %" PRIu64 "), %s: %s\n",
		       snapshot->named.sequence,
		       (unsigned int)(snapshot->named.sequence % SLUICE_WAL_SNAPSHOTS),
		       sluice_text_exact(snapshot->named.place.cmd_seq).s,
		       snapshot->named.place.block_seq, sluice_text_bytes(snapshot->named.bytes).s,
		       snapshot->whole ? "whole" : snapshot->text);
	}
	if (!look->snapshots[0].named.sequence)
		puts("  snapshot     none");
}

static void print_behind(const struct sluice_wal_behind *behind)
{
	if (!behind->earlier_uses && !behind->older_epochs && !behind->newer) {
		puts("  behind       nothing");
		return;
	}
	if (behind->earlier_uses)
		printf("  behind       %s block(s) of earlier uses of the segments\n",
		       sluice_text_exact(behind->earlier_uses).s);
	if (behind->older_epochs)
		printf("  behind       %s block(s) of tails that were cut before\n",
		       sluice_text_exact(behind->older_epochs).s);
	if (behind->newer)
		printf("  behind       %s block(s) from %" PRIu64 " to %" PRIu64
		       " that do not follow the end\n",
		       sluice_text_exact(behind->newer).s, behind->newer_first_seq,
		       behind->newer_last_seq);
}

static void print_range(const struct sluice_wal_look *look)
{
	const struct sluice_wal_super *super = &look->super;
	const uint64_t capacity = sluice_tool_wal_capacity_bytes(super);

	printf("  begins       block %" PRIu64 ", command %s: segment %" PRIu64
	       " offset %" PRIu64 "\n",
	       super->start.block_seq, sluice_text_exact(super->start.cmd_seq).s,
	       super->start.segment_no, super->start.offset);
	if (!look->has_end)
		return;
	printf("  ends         before block %" PRIu64 ", command %s: %s offset %" PRIu64
	       ", epoch %u%s\n",
	       look->report.block_seq, sluice_text_exact(look->next_cmd_seq).s, look->report.file,
	       look->report.offset, look->epoch, look->closed ? ", cleanly closed" : "");
	printf("  in use       %s of %s, segments %" PRIu64 " to %u of %" PRIu64 " to %" PRIu64
	       "\n",
	       sluice_text_bytes(look->live_bytes).s, sluice_text_bytes(capacity).s,
	       super->start.segment_no, look->report.segment_no, super->start.segment_no,
	       super->start.segment_no + SLUICE_WAL_SEGMENTS - 1);
	print_behind(&look->behind);
}

static void print_start(const struct sluice_wal_look *look)
{
	if (look->refusal) {
		printf("  a start      is refused: %s\n", look->text);
		return;
	}
	printf("  found        %s\n", look->report.text);
	printf("  a start      takes ");
	if (look->base_snapshot)
		printf("snapshot %" PRIu64, look->base_snapshot);
	else
		printf("no snapshot");
	printf(" and replays %s commands in %s blocks",
	       sluice_text_exact(look->report.commands).s,
	       sluice_text_exact(look->report.blocks).s);
	puts(look->report.verdict == SLUICE_WAL_TORN ? ", and cuts the torn tail" : "");
}

static void print_text(const char *dir, const struct sluice_wal_look *look)
{
	printf("%s: %s\n", dir, word_of(look));
	print_copies(look);
	if (look->has_super) {
		print_snapshots(look);
		print_range(look);
	}
	print_start(look);
}

/* ---------------------------------------------------------------------------------- for scripts */

static void json_copies(struct sluice_json *json, const struct sluice_wal_look *look)
{
	sluice_json_array(json, "super_copies");
	for (uint32_t i = 0; i < SLUICE_WAL_SUPER_COPIES; i++) {
		const struct sluice_wal_look_copy *copy = &look->copies[i];

		sluice_json_object(json, NULL);
		sluice_json_bool(json, "valid", copy->valid);
		if (copy->valid) {
			sluice_json_u64(json, "sequence", copy->super.sequence);
			sluice_json_u64(json, "epoch", copy->super.epoch);
			sluice_json_bool(json, "chosen", copy->chosen);
		} else {
			sluice_json_string(json, "fault", copy->fault.what);
			sluice_json_u64(json, "expected", copy->fault.expected);
			sluice_json_u64(json, "found", copy->fault.found);
		}
		sluice_json_end(json);
	}
	sluice_json_end(json);
}

static void json_snapshots(struct sluice_json *json, const struct sluice_wal_look *look)
{
	sluice_json_array(json, "snapshots");
	for (uint32_t i = 0; i < SLUICE_WAL_SNAPSHOTS; i++) {
		const struct sluice_wal_look_snapshot *snapshot = &look->snapshots[i];

		if (!snapshot->named.sequence)
			continue;
		sluice_json_object(json, NULL);
		sluice_json_u64(json, "number", snapshot->named.sequence);
		sluice_json_u64(json, "block", snapshot->named.place.block_seq);
		sluice_json_u64(json, "cmd_seq", snapshot->named.place.cmd_seq);
		sluice_json_u64(json, "bytes", snapshot->named.bytes);
		sluice_json_bool(json, "whole", snapshot->whole);
		if (!snapshot->whole)
			sluice_json_string(json, "text", snapshot->text);
		sluice_json_end(json);
	}
	sluice_json_end(json);
}

static void json_end(struct sluice_json *json, const struct sluice_wal_look *look)
{
	sluice_json_string(json, "file", look->report.file);
	sluice_json_u64(json, "offset_bytes", look->report.offset);
	sluice_json_u64(json, "block", look->report.block_seq);
	sluice_json_u64(json, "next_cmd_seq", look->next_cmd_seq);
	sluice_json_u64(json, "last_epoch", look->epoch);
	sluice_json_bool(json, "closed", look->closed);
	sluice_json_u64(json, "live_bytes", look->live_bytes);
	sluice_json_u64(json, "base_snapshot", look->base_snapshot);
	sluice_json_u64(json, "replay_commands_count", look->report.commands);
	sluice_json_u64(json, "replay_blocks_count", look->report.blocks);
	if (look->report.witness_block_seq)
		sluice_json_u64(json, "witness_block", look->report.witness_block_seq);
	sluice_json_object(json, "behind");
	sluice_json_u64(json, "earlier_uses_count", look->behind.earlier_uses);
	sluice_json_u64(json, "older_epochs_count", look->behind.older_epochs);
	sluice_json_u64(json, "newer_count", look->behind.newer);
	sluice_json_end(json);
}

static void print_json(const char *dir, const struct sluice_wal_look *look)
{
	struct sluice_json json;

	sluice_json_init_file(&json, stdout);
	sluice_json_object(&json, NULL);
	sluice_json_string(&json, "schema", "sluice.wal.inspect/1");
	sluice_json_string(&json, "dir", dir);
	sluice_json_string(&json, "verdict", word_of(look));
	sluice_json_bool(&json, "starts", !look->refusal);
	sluice_json_string(&json, "text", look->refusal ? look->text : look->report.text);
	json_copies(&json, look);
	if (look->has_super) {
		json_snapshots(&json, look);
		sluice_json_u64(&json, "start_block", look->super.start.block_seq);
		sluice_json_u64(&json, "start_cmd_seq", look->super.start.cmd_seq);
		sluice_json_u64(&json, "close_block", look->super.close_block_seq);
		sluice_json_u64(&json, "capacity_bytes",
				sluice_tool_wal_capacity_bytes(&look->super));
	}
	if (look->has_end)
		json_end(&json, look);
	sluice_json_end(&json);
	sluice_json_finish(&json);
}

static int inspect_run(const char *dir, bool is_json)
{
	static struct sluice_wal_look look;
	struct sluice_diag diag = {.text = ""};
	const int rc = sluice_wal_look(dir, &look, &diag);

	if (rc)
		return sluice_cli_fail(command.program, rc, &diag);
	if (is_json)
		print_json(dir, &look);
	else
		print_text(dir, &look);
	return sluice_tool_finish(command.program, sluice_exit_from_error(look.refusal));
}

static int run(int argc, char **argv)
{
	struct inspect_options values = {0};
	struct sluice_options options;
	int code;

	if (!sluice_options_start(&options, &command, argc, argv, &values, &code))
		return code;
	code = inspect_run(values.dir, options.standard.json);
	sluice_options_release(&options);
	return code;
}

const struct sluice_tool sluice_tool_wal_inspect = {
	.name = "inspect", .command = &command, .run = run};
