/* SPDX-License-Identifier: MIT */
/*
 * wal_verify.c - `sluice wal verify`: is this log whole, and does it say what the engine said? The
 * structure is judged by recovery's own code; then the commands are executed again and the result
 * is compared with every block header. Reads only; also of a log that an engine is writing.
 */
#include <errno.h>
#include <string.h>

#include "cli/exit.h"
#include "cli/report.h"
#include "cli/signals.h"
#include "cli/text.h"
#include "tools/replay.h"
#include "tools/tool.h"
#include "tools/wal_summary.h"

struct verify_options {
	const char *dir;
	bool no_replay;
};

struct verify {
	struct verify_options options;
	struct sluice_wal_reader *reader;
	struct sluice_tool_replay replay;
	struct sluice_tool_wal_summary summary;
	struct sluice_wal_report report;
	bool replays;
	bool is_json;
};

static const struct sluice_option table[] = {
	{"no-replay", 0, SLUICE_OPTION_FLAG(struct verify_options, no_replay),
	 .help = "check the bytes only"},
};

static const struct sluice_cli_command command = {
	.program = "sluice wal verify",
	.summary = "check a log's bytes, then execute it again and compare",
	.description =
		"INTACT: every block is valid up to the end. TORN: the last block is incomplete "
		"and nothing proves that it was ever acknowledged; a restart cuts it. DAMAGED "
		"(exit 5): something later proves that acknowledged bytes are missing; an engine "
		"refuses to start.\n\n"
		"The whole log is read, from its start; an engine starts from its newest snapshot "
		"and may do without the part before: sluice wal inspect.\n\n"
		"A log that an engine is writing may look torn at its end.",
	.options = table,
	.option_count = sizeof(table) / sizeof(*table),
	.positionals = {{.name = "DIR",
			 .help = "the log's directory",
			 .offset = offsetof(struct verify_options, dir)}},
	.examples = {{"sluice wal verify /var/lib/sluice/x", "the whole check"},
		     {"sluice wal verify --no-replay --json DIR", "the bytes only, for scripts"}},
};

static int walk(struct verify *verify)
{
	const struct sluice_wal_super *super = sluice_wal_reader_super(verify->reader);
	const struct sluice_wal_block_header *header;
	const struct sluice_command *commands;
	uint32_t segment_no;
	uint64_t offset;
	int rc;

	while ((rc = sluice_wal_reader_next(verify->reader, &header, &commands, &segment_no,
					    &offset)) > 0) {
		sluice_tool_wal_summary_add(&verify->summary, super, header, segment_no, offset);
		if (verify->replays)
			sluice_tool_replay_block(&verify->replay, header, commands);
		if (sluice_signals_stop())
			return -EINTR;
	}
	return rc ? rc : sluice_wal_reader_verdict(verify->reader, &verify->report);
}

static void print_replay(const struct verify *verify)
{
	const struct sluice_tool_replay *replay = &verify->replay;

	if (!verify->replays) {
		puts("  replay       not asked for");
	} else if (replay->diverged) {
		printf("  replay       DIVERGES at block %llu: %s: the log says %016llx, the "
		       "replay %016llx\n",
		       (unsigned long long)replay->diverged_block, replay->diverged_what,
		       (unsigned long long)replay->expected, (unsigned long long)replay->found);
	} else {
		printf("  replay       agrees with every block");
		if (replay->first_cmd_seq)
			printf(" from command %s on", sluice_text_exact(replay->first_cmd_seq).s);
		puts("");
		printf("  reports      %s\n", sluice_text_exact(replay->sink.report_next - 1).s);
		printf("  state hash   %016llx\n",
		       (unsigned long long)sluice_core_state_hash(replay->core));
	}
}

static void print_text(const struct verify *verify)
{
	const struct sluice_wal_report *report = &verify->report;

	printf("%s: %s\n", verify->options.dir, sluice_tool_wal_verdict_name(report->verdict));
	if (report->verdict != SLUICE_WAL_INTACT)
		printf("  where        %.32s offset %llu, block %llu\n  found        %.512s\n",
		       report->file, (unsigned long long)report->offset,
		       (unsigned long long)report->block_seq, report->text);
	if (report->verdict == SLUICE_WAL_TORN)
		puts("  meaning      the tail was never acknowledged as far as the log knows; a "
		     "restart cuts it");
	printf("  blocks       %s in %u epoch(s)%s\n", sluice_text_exact(verify->summary.blocks).s,
	       verify->summary.epochs, verify->summary.closed ? ", cleanly closed" : "");
	printf("  commands     %s", sluice_text_exact(verify->summary.commands).s);
	if (verify->summary.first_cmd_seq)
		printf(", from %s on: what was before is in a snapshot",
		       sluice_text_exact(verify->summary.first_cmd_seq).s);
	puts("");
	print_replay(verify);
}

static void print_json(const struct verify *verify)
{
	struct sluice_json json;
	char hash[17];

	sluice_json_init_file(&json, stdout);
	sluice_json_object(&json, NULL);
	sluice_json_string(&json, "schema", "sluice.wal.verify/1");
	sluice_json_string(&json, "dir", verify->options.dir);
	sluice_tool_wal_report_json(&json, &verify->report);
	sluice_json_u64(&json, "blocks_count", verify->summary.blocks);
	sluice_json_u64(&json, "commands_count", verify->summary.commands);
	sluice_json_u64(&json, "epochs_count", verify->summary.epochs);
	sluice_json_bool(&json, "closed", verify->summary.closed);
	sluice_tool_wal_range_json(&json, sluice_wal_reader_super(verify->reader));
	if (verify->replays) {
		sluice_json_bool(&json, "replay_agrees", !verify->replay.diverged);
		sluice_json_u64(&json, "reports_count", verify->replay.sink.report_next - 1);
		snprintf(hash, sizeof(hash), "%016llx",
			 (unsigned long long)sluice_core_state_hash(verify->replay.core));
		sluice_json_string(&json, "state_hash", hash);
		if (verify->replay.diverged) {
			sluice_json_u64(&json, "diverged_block", verify->replay.diverged_block);
			sluice_json_string(&json, "diverged_what", verify->replay.diverged_what);
		}
	}
	sluice_json_end(&json);
	sluice_json_finish(&json);
}

static void verify_release(struct verify *verify)
{
	sluice_tool_replay_release(&verify->replay);
	sluice_wal_reader_close(verify->reader);
	verify->reader = NULL;
}

/* One walk from the log's start to its end. -ESTALE, -EAGAIN: it moved on meanwhile. */
static int verify_once(struct verify *verify, struct sluice_diag *diag)
{
	int rc = sluice_wal_reader_open(&verify->reader, verify->options.dir, diag);

	if (rc)
		return rc;
	verify->summary = (struct sluice_tool_wal_summary){0};
	verify->replays = !verify->options.no_replay;
	if (verify->replays) {
		rc = sluice_tool_replay_init(&verify->replay, verify->reader, diag);
		if (rc) {
			sluice_diag_hint(diag, "sluice wal inspect %s\nsluice wal verify --no-replay %s",
					 verify->options.dir, verify->options.dir);
			return rc;
		}
	}
	rc = walk(verify);
	if (rc && rc != -EINTR) {
		sluice_diag_set(diag, -rc, "cannot read the log in %s: %s", verify->options.dir,
				rc == -ESTALE || rc == -EAGAIN ?
					"it is written over faster than it is read" :
					strerror(-rc));
		sluice_diag_hint(diag, "ls -l %s", verify->options.dir);
	}
	return rc;
}

static int verify_run(struct verify *verify)
{
	struct sluice_diag diag = {.text = ""};
	int rc = verify_once(verify, &diag);

	for (int tries = 1; (rc == -ESTALE || rc == -EAGAIN) && tries < SLUICE_TOOL_WAL_TRIES;
	     tries++) {
		verify_release(verify);
		rc = verify_once(verify, &diag);
	}
	if (rc == -EINTR)
		return sluice_signals_exit(SLUICE_EXIT_FAILED);
	if (rc)
		return sluice_cli_fail(command.program, rc, &diag);
	if (verify->is_json)
		print_json(verify);
	else
		print_text(verify);
	return sluice_tool_finish(command.program, verify->report.verdict == SLUICE_WAL_DAMAGED ||
								   verify->replay.diverged ?
							   SLUICE_EXIT_DAMAGED :
							   SLUICE_EXIT_OK);
}

static int run(int argc, char **argv)
{
	static struct verify verify;
	struct sluice_options options;
	int code;

	if (!sluice_options_start(&options, &command, argc, argv, &verify.options, &code))
		return code;
	verify.is_json = options.standard.json;
	code = verify_run(&verify);
	verify_release(&verify);
	sluice_options_release(&options);
	return code;
}

const struct sluice_tool sluice_tool_wal_verify = {
	.name = "verify", .command = &command, .run = run};
