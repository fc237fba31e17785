/* SPDX-License-Identifier: MIT */
/*
 * wal_dump.c - `sluice wal dump`: the commands of a log, a line each, also while an engine writes
 * it. Reads only. A damaged log is dumped up to the damage, which is then named.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "cli/exit.h"
#include "cli/report.h"
#include "cli/signals.h"
#include "engine/wal/reader.h"
#include "shm/clock.h"
#include "shm/event_names.h"
#include "tools/tool.h"
#include "tools/wal_lines.h"
#include "tools/wal_summary.h"

#define FOLLOW_PAUSE_NS 20000000

struct dump_options {
	const char *dir;
	uint64_t from;
	uint64_t to;
	const char *types;
	bool follow;
	bool until_end;
	bool hex;
	uint64_t max;
};

struct dump {
	struct dump_options options;
	struct sluice_tool_wal_lines lines;
	struct sluice_wal_reader *reader;
	uint64_t started_realtime_ns;
	uint64_t next_cmd_seq; /* shown or passed over below */
	uint64_t shown;
	uint32_t types; /* bit per enum sluice_command_type */
};

static const struct sluice_option table[] = {
	{"from", 0, SLUICE_OPTION_COUNT(struct dump_options, from), .value = "SEQ", .initial = "0",
	 .help = "first cmd_seq to show"},
	{"to", 0, SLUICE_OPTION_COUNT(struct dump_options, to), .value = "SEQ",
	 .help = "last cmd_seq to show"},
	{"type", 't', SLUICE_OPTION_STRING(struct dump_options, types), .value = "A,B",
	 .help = "only commands of these types, such as place,cancel"},
	{"follow", 'f', SLUICE_OPTION_FLAG(struct dump_options, follow),
	 .help = "wait for more at the end"},
	{"until-end", 'e', SLUICE_OPTION_FLAG(struct dump_options, until_end),
	 .help = "end at what was written when the dump began"},
	{"hex", 0, SLUICE_OPTION_FLAG(struct dump_options, hex),
	 .help = "the record's bytes as well"},
	{"max", 0, SLUICE_OPTION_COUNT(struct dump_options, max), .value = "N", .initial = "0",
	 .help = "end after N lines; 0: no limit"},
};

static const struct sluice_cli_command command = {
	.program = "sluice wal dump",
	.summary = "print the commands of a log",
	.description = "Each line begins with the command's number, its block and its epoch. The "
		       "JSON of a command can be fed to sluice-producer again.\n\n"
		       "Names are those that add_symbol and add_asset gave, in the order of the "
		       "log.\n\n"
		       "A log that goes round begins at the older of its two snapshots; the "
		       "number of its first command is said on standard error.",
	.options = table,
	.option_count = sizeof(table) / sizeof(*table),
	.positionals = {{.name = "DIR",
			 .help = "the log's directory",
			 .offset = offsetof(struct dump_options, dir)}},
	.examples = {{"sluice wal dump DIR --from 1000 --max 20", "twenty commands"},
		     {"sluice wal dump DIR --follow --json", "everything, as it is written"}},
};

static int parse_types(const char *text, uint32_t *ret_types, struct sluice_diag *diag)
{
	uint32_t types = 0;

	while (text && *text) {
		const size_t bytes = strcspn(text, ",");
		uint32_t type = 1;

		while (type < SLUICE_CMD_TYPES &&
		       (strlen(sluice_command_type_name(type)) != bytes ||
			memcmp(sluice_command_type_name(type), text, bytes)))
			type++;
		if (type == SLUICE_CMD_TYPES) {
			const char *nearest = sluice_words_nearest(&sluice_command_type_words, text,
								   bytes);

			sluice_diag_set(diag, EINVAL,
					"--type: \"%.*s\" is no type of command%s%s%s",
					(int)(bytes < 40 ? bytes : 40), text,
					nearest ? ": did you mean \"" : "", nearest ? nearest : "",
					nearest ? "\"?" : "");
			sluice_diag_hint(diag, "sluice wal dump DIR --type place,cancel");
			return -EINVAL;
		}
		types |= 1u << type;
		text += bytes;
		text += *text == ',';
	}
	*ret_types = types ? types : UINT32_MAX;
	return 0;
}

/* False: the dump is at its end. */
static bool show_block(struct dump *dump, const struct sluice_wal_block_header *header,
		       const struct sluice_command *commands)
{
	const struct dump_options *options = &dump->options;

	if (options->until_end && header->input_time_ns > dump->started_realtime_ns)
		return false;
	for (uint32_t i = 0; i < header->n_cmds; i++) {
		const uint64_t cmd_seq = header->first_cmd_seq + i;
		const uint16_t type = commands[i].head.type;

		sluice_tool_wal_lines_learn(&dump->lines, &commands[i]);
		if (cmd_seq < dump->next_cmd_seq)
			continue; /* shown before the log was opened again */
		dump->next_cmd_seq = cmd_seq + 1;
		if (cmd_seq > options->to || (options->max && dump->shown == options->max))
			return false;
		if (cmd_seq >= options->from &&
		    (dump->types == UINT32_MAX ||
		     (type < SLUICE_CMD_TYPES && dump->types >> type & 1))) {
			sluice_tool_wal_lines_show(&dump->lines, header, &commands[i], cmd_seq);
			dump->shown++;
		}
	}
	return !options->max || dump->shown != options->max;
}

static void pause_following(void)
{
	const struct timespec pause = {.tv_nsec = FOLLOW_PAUSE_NS};

	fflush(stdout);
	nanosleep(&pause, NULL);
}

/* 1: ended early, as asked; 0: at the end of what is valid; -errno. */
static int walk(struct dump *dump)
{
	const struct sluice_wal_block_header *header;
	const struct sluice_command *commands;
	uint32_t segment_no;
	uint64_t offset;
	int rc;

	while (!sluice_signals_stop()) {
		rc = sluice_wal_reader_next(dump->reader, &header, &commands, &segment_no, &offset);
		if (rc < 0 || (!rc && !dump->options.follow))
			return rc;
		if (!rc)
			pause_following();
		else if (!show_block(dump, header, commands) || ferror(stdout))
			return 1;
	}
	return 1;
}

/* What stands behind the last valid block. */
static int tell_verdict(struct dump *dump)
{
	struct sluice_wal_report report;
	struct sluice_diag diag = {.text = ""};
	const int rc = sluice_wal_reader_verdict(dump->reader, &report);

	if (rc || report.verdict == SLUICE_WAL_INTACT)
		return SLUICE_EXIT_OK;
	fflush(stdout);
	sluice_diag_set(&diag, EBADMSG, "%s: %.512s", sluice_tool_wal_verdict_name(report.verdict),
			report.text);
	sluice_diag_hint(&diag, "sluice wal verify %s", dump->options.dir);
	if (report.verdict == SLUICE_WAL_DAMAGED)
		return sluice_cli_error(command.program, SLUICE_EXIT_DAMAGED, &diag);
	if (!sluice_cli_is_quiet())
		fprintf(stderr, "%s: %s\n", command.program, diag.text);
	return SLUICE_EXIT_OK;
}

/* A log that goes round no longer has its first commands: say where it begins. */
static void tell_begin(const struct dump *dump)
{
	const uint64_t first = dump->lines.first_cmd_seq;

	if (first <= dump->next_cmd_seq || first <= dump->options.from || sluice_cli_is_quiet())
		return;
	fflush(stdout);
	fprintf(stderr,
		"%s: the log begins at command %llu: what was before is in a snapshot, and written "
		"over\n",
		command.program, (unsigned long long)first);
}

/* Opens the log and walks it; -ESTALE: it has moved on faster than it could be read. */
static int open_and_walk(struct dump *dump, struct sluice_diag *diag)
{
	int rc = sluice_wal_reader_open(&dump->reader, dump->options.dir, diag);

	if (rc)
		return rc;
	rc = sluice_tool_wal_lines_init(&dump->lines, dump->reader, diag);
	if (rc)
		return rc;
	tell_begin(dump);
	rc = walk(dump);
	if (rc < 0) {
		sluice_diag_set(diag, -rc, "cannot read the log in %s: %s", dump->options.dir,
				rc == -ESTALE ? "it is written over faster than it is read" :
						strerror(-rc));
		sluice_diag_hint(diag, "sluice wal verify %s", dump->options.dir);
	}
	return rc;
}

static void close_log(struct dump *dump)
{
	sluice_tool_wal_lines_release(&dump->lines);
	sluice_wal_reader_close(dump->reader);
	dump->reader = NULL;
}

static int dump_run(struct dump *dump)
{
	struct sluice_diag diag = {.text = ""};
	uint64_t before;
	int rc = parse_types(dump->options.types, &dump->types, &diag);

	if (rc)
		return sluice_cli_error(command.program, SLUICE_EXIT_USAGE, &diag);
	dump->started_realtime_ns = sluice_clock_realtime_ns();
	rc = open_and_walk(dump, &diag);
	while (rc == -ESTALE) { /* as long as it comes further */
		before = dump->next_cmd_seq;
		close_log(dump);
		rc = open_and_walk(dump, &diag);
		if (rc == -ESTALE && dump->next_cmd_seq == before)
			break;
	}
	if (rc < 0)
		return sluice_cli_fail(command.program, rc, &diag);
	return sluice_tool_finish(command.program,
				  rc ? sluice_signals_exit(SLUICE_EXIT_OK) : tell_verdict(dump));
}

static int run(int argc, char **argv)
{
	static struct dump dump = {.options.to = UINT64_MAX};
	struct sluice_options options;
	int code;

	if (!sluice_options_start(&options, &command, argc, argv, &dump.options, &code))
		return code;
	dump.lines.is_json = options.standard.json;
	dump.lines.hex = dump.options.hex;
	code = dump_run(&dump);
	close_log(&dump);
	sluice_options_release(&options);
	return code;
}

const struct sluice_tool sluice_tool_wal_dump = {.name = "dump", .command = &command, .run = run};
