/* SPDX-License-Identifier: MIT */
/*
 * cmd_gc.c - `sluice gc`: removes what dead processes left, or puts it in order (gc_repair.c),
 * after having shown it. What is live is decided by the kernel's locks (segment.h), never by age.
 * A crash in here leaves what it had not removed yet; run it again.
 */
#include <errno.h>
#include <string.h>

#include "cli/exit.h"
#include "cli/json.h"
#include "cli/report.h"
#include "cli/text.h"
#include "shm/segment.h"
#include "tools/gc_repair.h"
#include "tools/tool.h"

struct gc_options {
	const char *name;
	const char *ring;
	bool yes;
	bool repair;
};

struct gc {
	struct gc_options options;
	struct sluice_json json;
	bool is_json;
};

static const struct sluice_option table[] = {
	{"name", 'n', SLUICE_OPTION_STRING(struct gc_options, name), .value = "PREFIX",
	 .help = "only names that begin with it"},
	{"yes", 'y', SLUICE_OPTION_FLAG(struct gc_options, yes),
	 .help = "remove or repair; without it nothing is touched"},
	{"repair", 'r', SLUICE_OPTION_FLAG(struct gc_options, repair),
	 .help = "put in order instead of removing"},
};

static const struct sluice_cli_command command = {
	.program = "sluice gc",
	.summary = "remove what dead processes left in shared memory",
	.description =
		"Lists what is stale: creations that were cut short, rings of an earlier boot, "
		"rings that no process holds a lock of. Nothing is removed without --yes, and a "
		"live ring never.\n\n"
		"A ring that an engine left for its restart is stale while nobody is attached: "
		"with the log intact nothing that was acknowledged is lost, but commands and "
		"reports still in the ring are.\n\n"
		"With --repair they are kept: claims that dead producers never published become "
		"tombstones, their entries are given back, critical consumers stay at their "
		"positions. No start needs it, it does all at once what starts do as they go, and "
		"it checks every word: a ring that no crash can have left like that is POISONED, "
		"and the exit code is 5.",
	.options = table,
	.option_count = sizeof(table) / sizeof(*table),
	.positionals = {{.name = "RING",
			 .help = "with --repair: this one; without it all that nobody uses",
			 .offset = offsetof(struct gc_options, ring),
			 .optional = true}},
	.examples = {{"sluice gc", "show what would be removed"},
		     {"sluice gc --name x. --yes", "remove the leftovers of x"},
		     {"sluice gc --repair x.cmd", "what would be put in order, and what is damaged"}},
};

static void report(const struct sluice_segment_entry *entry, const char *verdict, void *arg)
{
	struct gc *gc = arg;

	if (!gc->is_json) {
		printf("%-24s %9s  %s\n", entry->name, sluice_text_bytes(entry->file_bytes).s,
		       verdict);
		return;
	}
	sluice_json_object(&gc->json, NULL);
	sluice_json_string(&gc->json, "schema", "sluice.gc/1");
	sluice_json_string(&gc->json, "name", entry->name);
	sluice_json_string(&gc->json, "path", entry->path);
	sluice_json_u64(&gc->json, "file_bytes", entry->file_bytes);
	sluice_json_string(&gc->json, "verdict", verdict);
	sluice_json_end(&gc->json);
	sluice_json_finish(&gc->json);
}

static void summary(struct gc *gc, const struct sluice_gc_result *result)
{
	if (gc->is_json) {
		sluice_json_object(&gc->json, NULL);
		sluice_json_string(&gc->json, "schema", "sluice.gc.summary/1");
		sluice_json_bool(&gc->json, "removed", gc->options.yes);
		sluice_json_u64(&gc->json, "examined_count", result->examined);
		sluice_json_u64(&gc->json, "live_count", result->live);
		sluice_json_u64(&gc->json, "stale_count", result->stale);
		sluice_json_u64(&gc->json, "foreign_count", result->foreign);
		sluice_json_u64(&gc->json, "stale_bytes", result->stale_bytes);
		sluice_json_end(&gc->json);
		sluice_json_finish(&gc->json);
		return;
	}
	printf("%u examined, %u live, %u stale (%s)%s, %u of other users\n", result->examined,
	       result->live, result->stale, sluice_text_bytes(result->stale_bytes).s,
	       gc->options.yes ? " removed" : "", result->foreign);
	if (result->stale && !gc->options.yes)
		fputs("nothing was removed; repeat with --yes to remove them\n", stderr);
}

static int repair(const struct gc *gc)
{
	const struct sluice_gc_repair repair = {
		.program = command.program,
		.prefix = gc->options.name,
		.ring = gc->options.ring,
		.yes = gc->options.yes,
		.is_json = gc->is_json,
	};

	return sluice_tool_gc_repair(&repair);
}

static int collect(struct gc *gc)
{
	struct sluice_gc_result result;
	struct sluice_diag diag;
	int err;

	if (gc->options.ring) {
		sluice_diag_set(&diag, EINVAL, "a RING goes with --repair only");
		sluice_diag_hint(&diag, "sluice gc --name %s", gc->options.ring);
		return sluice_cli_error(command.program, SLUICE_EXIT_USAGE, &diag);
	}
	err = sluice_segment_gc(gc->options.name, !gc->options.yes, report, gc, &result, &diag);
	if (err)
		return sluice_cli_fail(command.program, err, &diag);
	summary(gc, &result);
	return sluice_tool_finish(command.program, SLUICE_EXIT_OK);
}

static int run(int argc, char **argv)
{
	struct gc gc = {.is_json = false};
	struct sluice_options options;
	int code;

	if (!sluice_options_start(&options, &command, argc, argv, &gc.options, &code))
		return code;
	gc.is_json = options.standard.json;
	sluice_json_init_file(&gc.json, stdout);
	code = gc.options.repair ? repair(&gc) : collect(&gc);
	sluice_options_release(&options);
	return code;
}

const struct sluice_tool sluice_tool_gc = {.name = "gc", .command = &command, .run = run};
