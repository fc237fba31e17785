/* SPDX-License-Identifier: MIT */
/*
 * wal_truncate.c - `sluice wal truncate-tail`: an operator gives up the end of a damaged log. Says
 * first which blocks and commands go. With --yes it writes, under the log's locks, and only after
 * the old bytes are in the backup; a crash in here is ended by the same command or by --undo.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "cli/exit.h"
#include "cli/report.h"
#include "cli/text.h"
#include "engine/wal/truncate.h"
#include "tools/tool.h"
#include "tools/wal_lines.h"
#include "tools/wal_summary.h"

struct truncate_options {
	const char *dir;
	const char *backup;
	const char *undo;
	bool list;
	bool yes;
};

struct run { /* blocks that follow each other */
	uint64_t first_block, blocks;
	uint64_t first_cmd_seq, commands;
	uint64_t segment_no, offset, bytes;
	uint32_t epoch;
};

struct truncation {
	struct truncate_options options;
	struct sluice_tool_wal_lines lines; /* of --list */
	struct sluice_wal_loss loss;
	struct sluice_json json;
	struct run run;
	bool is_json;
};

static const struct sluice_option table[] = {
	{"backup", 'b', SLUICE_OPTION_STRING(struct truncate_options, backup), .value = "FILE",
	 .help = "a new file for the bytes that are overwritten; needed with --yes"},
	{"yes", 'y', SLUICE_OPTION_FLAG(struct truncate_options, yes),
	 .help = "do it; without it nothing is touched"},
	{"list", 'l', SLUICE_OPTION_FLAG(struct truncate_options, list),
	 .help = "print the commands that are given up, as wal dump does, instead of a summary"},
	{"undo", 0, SLUICE_OPTION_STRING(struct truncate_options, undo), .value = "FILE",
	 .help = "put back what is in this backup, and do nothing else"},
};

static const struct sluice_cli_command command = {
	.program = "sluice wal truncate-tail",
	.summary = "give up the end of a damaged log",
	.description =
		"Only for a log that is DAMAGED, when there is no better copy. It will end before "
		"the first block that cannot be read, and an engine starts on it again. All "
		"commands from there on are lost, although they were acknowledged, and the numbers "
		"of their reports are given again to others: whoever has seen those reports must "
		"be told.\n\n"
		"Without --yes it says which blocks and commands these are; the exit code is 7. With "
		"--yes it takes the log's locks, so no engine may run, and writes the old bytes "
		"into the backup before it changes any. --undo puts them back, as long as no "
		"engine has started on the log since.\n\n"
		"Rings that are still there prove more than the shorter log holds, and an engine "
		"refuses to mix them: retire them.",
	.options = table,
	.option_count = sizeof(table) / sizeof(*table),
	.positionals = {{.name = "DIR",
			 .help = "the log's directory",
			 .offset = offsetof(struct truncate_options, dir)}},
	.examples = {{"sluice wal truncate-tail DIR", "what would be lost"},
		     {"sluice wal truncate-tail DIR --list --json", "every command of it"},
		     {"sluice wal truncate-tail DIR --yes --backup x.undo", "give it up"},
		     {"sluice wal truncate-tail DIR --undo x.undo", "have it back"}},
};

/* ----------------------------------------------------------------------------- what is given up */

static void end_run(struct truncation *cut)
{
	const struct run *run = &cut->run;

	if (!run->blocks)
		return;
	if (cut->is_json) {
		sluice_json_object(&cut->json, NULL);
		sluice_json_u64(&cut->json, "first_block", run->first_block);
		sluice_json_u64(&cut->json, "blocks_count", run->blocks);
		sluice_json_u64(&cut->json, "first_cmd_seq", run->first_cmd_seq);
		sluice_json_u64(&cut->json, "commands_count", run->commands);
		sluice_json_u64(&cut->json, "epoch", run->epoch);
		sluice_json_u64(&cut->json, "segment", run->segment_no);
		sluice_json_u64(&cut->json, "offset_bytes", run->offset);
		sluice_json_end(&cut->json);
		return;
	}
	printf("  given up     blocks %" PRIu64 " to %" PRIu64 " of epoch %u, wal-%02u offset %" PRIu64
	       ": ",
	       run->first_block, run->first_block + run->blocks - 1, run->epoch,
	       (unsigned int)(run->segment_no % SLUICE_WAL_SEGMENTS), run->offset);
	if (run->commands)
		printf("commands %" PRIu64 " to %" PRIu64 "\n", run->first_cmd_seq,
		       run->first_cmd_seq + run->commands - 1);
	else
		puts("no commands");
}

static bool continues(const struct run *run, const struct sluice_wal_block_header *header,
		      uint64_t segment_no)
{
	return run->blocks && header->block_seq == run->first_block + run->blocks &&
	       header->first_cmd_seq == run->first_cmd_seq + run->commands &&
	       header->epoch == run->epoch && segment_no - run->segment_no <= 1;
}

static void add_to_run(const struct sluice_wal_block_header *header,
		       const struct sluice_command *commands, uint64_t segment_no, uint64_t offset,
		       void *arg)
{
	struct truncation *cut = arg;

	(void)commands;
	if (!continues(&cut->run, header, segment_no)) {
		end_run(cut);
		cut->run = (struct run){
			.first_block = header->block_seq,
			.first_cmd_seq = header->first_cmd_seq,
			.segment_no = segment_no,
			.offset = offset,
			.epoch = header->epoch,
		};
	}
	cut->run.blocks++;
	cut->run.commands += header->n_cmds;
}

static void list_commands(const struct sluice_wal_block_header *header,
			  const struct sluice_command *commands, uint64_t segment_no,
			  uint64_t offset, void *arg)
{
	struct truncation *cut = arg;

	(void)segment_no;
	(void)offset;
	for (uint32_t i = 0; i < header->n_cmds; i++) {
		sluice_tool_wal_lines_learn(&cut->lines, &commands[i]);
		sluice_tool_wal_lines_show(&cut->lines, header, &commands[i],
					   header->first_cmd_seq + i);
	}
}

static uint64_t snapshot_lost(const struct sluice_wal_loss *loss)
{
	return loss->snapshot[0] > loss->snapshot[1] ? loss->snapshot[0] : loss->snapshot[1];
}

static void print_head(struct truncation *cut)
{
	const struct sluice_wal_loss *loss = &cut->loss;

	if (cut->is_json) {
		sluice_json_init_file(&cut->json, stdout);
		sluice_json_object(&cut->json, NULL);
		sluice_json_string(&cut->json, "schema", "sluice.wal.truncate/1");
		sluice_json_string(&cut->json, "dir", cut->options.dir);
		sluice_tool_wal_report_json(&cut->json, &loss->report);
		sluice_json_u64(&cut->json, "kept_cmd_seq", loss->kept_cmd_seq);
		sluice_json_array(&cut->json, "given_up");
		return;
	}
	printf("%s: DAMAGED\n", cut->options.dir);
	printf("  found        %s\n", loss->report.text);
	printf("  kept         blocks below %" PRIu64 ", commands below %" PRIu64 "\n",
	       loss->report.block_seq, loss->kept_cmd_seq);
	printf("  given up     block %" PRIu64 " at %s offset %" PRIu64 ", which cannot be read\n",
	       loss->report.block_seq, loss->report.file, loss->report.offset);
}

static void print_tail(struct truncation *cut)
{
	const struct sluice_wal_loss *loss = &cut->loss;
	const uint64_t lost = loss->cmd_seq_end - loss->kept_cmd_seq;

	if (cut->is_json) {
		sluice_json_end(&cut->json);
		sluice_json_u64(&cut->json, "lost_commands_count", lost);
		sluice_json_u64(&cut->json, "readable_commands_count", loss->commands);
		sluice_json_u64(&cut->json, "readable_blocks_count", loss->blocks);
		sluice_json_u64(&cut->json, "close_block", loss->close_block_seq);
		sluice_json_u64(&cut->json, "snapshot", snapshot_lost(loss));
		sluice_json_bool(&cut->json, "done", false);
		sluice_json_end(&cut->json);
		sluice_json_finish(&cut->json);
		return;
	}
	if (loss->close_block_seq)
		printf("  given up     the mark of a clean end after block %" PRIu64 "\n",
		       loss->close_block_seq);
	if (snapshot_lost(loss))
		printf("  given up     snapshot %" PRIu64 ", which is not whole\n",
		       snapshot_lost(loss));
	if (lost)
		printf("  lost         commands %" PRIu64 " to %" PRIu64 " and what came after; %s of "
		       "them can be listed with --list\n",
		       loss->kept_cmd_seq, loss->cmd_seq_end - 1,
		       sluice_text_exact(loss->commands).s);
	else
		puts("  lost         commands of which nothing is left");
	puts("  reports      of these commands may have been seen; their numbers will be given "
	     "again, to others");
}

/* Names first: what an earlier command defined. */
static int learn_names(struct truncation *cut, struct sluice_diag *diag)
{
	const struct sluice_wal_block_header *header;
	const struct sluice_command *commands;
	struct sluice_wal_reader *reader;
	uint32_t segment_no;
	uint64_t offset;
	int rc = sluice_wal_reader_open(&reader, cut->options.dir, diag);

	if (rc)
		return rc;
	cut->lines.is_json = cut->is_json;
	rc = sluice_tool_wal_lines_init(&cut->lines, reader, diag);
	while (!rc &&
	       sluice_wal_reader_next(reader, &header, &commands, &segment_no, &offset) == 1)
		for (uint32_t i = 0; i < header->n_cmds; i++)
			sluice_tool_wal_lines_learn(&cut->lines, &commands[i]);
	sluice_wal_reader_close(reader);
	return rc;
}

static int show_commands(struct truncation *cut, struct sluice_diag *diag)
{
	int rc = learn_names(cut, diag);

	if (!rc)
		rc = sluice_wal_truncate_look(cut->options.dir, list_commands, cut, &cut->loss,
					      diag);
	sluice_tool_wal_lines_release(&cut->lines);
	return rc;
}

static int show_loss(struct truncation *cut, struct sluice_diag *diag)
{
	int rc = sluice_wal_truncate_look(cut->options.dir, NULL, NULL, &cut->loss, diag);

	if (rc)
		return rc;
	print_head(cut);
	rc = sluice_wal_truncate_look(cut->options.dir, add_to_run, cut, &cut->loss, diag);
	end_run(cut);
	print_tail(cut);
	return rc;
}

/* --------------------------------------------------------------------------------- giving it up */

static int needs(const char *what, const struct truncation *cut, int code)
{
	struct sluice_diag diag;

	sluice_diag_set(&diag, EINVAL, "%s", what);
	sluice_diag_hint(&diag, "sluice wal truncate-tail %s --yes --backup %s", cut->options.dir,
			 cut->options.backup ? cut->options.backup : "FILE");
	return sluice_cli_error(command.program, code, &diag);
}

static int undo(const struct truncation *cut)
{
	struct sluice_diag diag = {.text = ""};
	const int rc = sluice_wal_truncate_undo(cut->options.dir, cut->options.undo, &diag);

	if (rc)
		return sluice_cli_fail(command.program, rc, &diag);
	if (!cut->is_json)
		printf("%s: the bytes of %s are back\n", cut->options.dir, cut->options.undo);
	else
		puts("{\"schema\":\"sluice.wal.truncate/1\",\"undone\":true}");
	return sluice_tool_finish(command.program, SLUICE_EXIT_OK);
}

static int give_up(struct truncation *cut)
{
	struct sluice_diag diag = {.text = ""};
	int rc = sluice_wal_truncate(cut->options.dir, cut->options.backup, &cut->loss, &diag);

	if (rc)
		return sluice_cli_fail(command.program, rc, &diag);
	if (cut->is_json) {
		puts("{\"schema\":\"sluice.wal.truncate/1\",\"done\":true}");
	} else {
		printf("  done         the log ends before block %" PRIu64
		       " now, and an engine will start on it\n",
		       cut->loss.report.block_seq);
		printf("  back         with sluice wal truncate-tail %s --undo %s\n",
		       cut->options.dir, cut->options.backup);
		puts("  rings        that are still there hold more: sluice retire NAME --yes");
	}
	return sluice_tool_finish(command.program, SLUICE_EXIT_OK);
}

static int truncate_run(struct truncation *cut)
{
	struct sluice_diag diag = {.text = ""};
	int rc;

	if (cut->options.undo)
		return undo(cut);
	if (cut->options.yes && !cut->options.backup)
		return needs("--yes without --backup: the old bytes must go somewhere", cut,
			     SLUICE_EXIT_USAGE);
	rc = cut->options.list ? show_commands(cut, &diag) : show_loss(cut, &diag);
	if (rc)
		return sluice_cli_fail(command.program, rc, &diag);
	fflush(stdout);
	return cut->options.yes ?
		       give_up(cut) :
		       needs("nothing was changed", cut, SLUICE_EXIT_NEEDS_YES);
}

static int run(int argc, char **argv)
{
	static struct truncation cut;
	struct sluice_options options;
	int code;

	if (!sluice_options_start(&options, &command, argc, argv, &cut.options, &code))
		return code;
	cut.is_json = options.standard.json;
	code = truncate_run(&cut);
	sluice_options_release(&options);
	return code;
}

const struct sluice_tool sluice_tool_wal_truncate = {
	.name = "truncate-tail", .command = &command, .run = run};
