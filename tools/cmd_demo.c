/* SPDX-License-Identifier: MIT */
/* cmd_demo.c - `sluice demo`: options and the order of things; see demo.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/exit.h"
#include "cli/report.h"
#include "cli/signals.h"
#include "cli/text.h"
#include "shm/clock.h"
#include "tools/demo.h"
#include "tools/tool.h"

#define FREE_WANTED (3ull << 30)

static const struct sluice_option table[] = {
	{"seconds", 's', SLUICE_OPTION_COUNT(struct sluice_demo_options, seconds), .value = "N",
	 .initial = "10", .min = 1, .max = 3600, .help = "how long orders come"},
	{"rate", 'r', SLUICE_OPTION_RATE(struct sluice_demo_options, rate), .initial = "20k",
	 .max = 10000000, .help = "orders per second; a file goes as fast as it can"},
	{"symbols", 0, SLUICE_OPTION_COUNT(struct sluice_demo_options, symbols), .value = "N",
	 .initial = "4", .min = 1, .max = 64, .help = "books to trade in"},
	{"scenario", 0, SLUICE_OPTION_CHOICE(struct sluice_demo_options, scenario),
	 .words = "calm|crash|file", .initial = "calm",
	 .help = "crash: the engine is killed five times; file: orders from --from"},
	{"from", 0, SLUICE_OPTION_STRING(struct sluice_demo_options, from), .value = "FILE",
	 .help = "commands to feed (csv, jsonl, .gz); implies --scenario file"},
	{"expect", 0, SLUICE_OPTION_STRING(struct sluice_demo_options, expect), .value = "FILE",
	 .help = "fills that must come out; default: beside FILE, _trades. for _commands."},
	{"expect-auction", 0, SLUICE_OPTION_STRING(struct sluice_demo_options, expect_auction),
	 .value = "FILE", .help = "fills of the auctions; likewise, _auction_trades."},
	{"keep", 0, SLUICE_OPTION_FLAG(struct sluice_demo_options, keep),
	 .help = "leave the directory with the log and what the programs said"},
	{"durability", 'd', SLUICE_OPTION_CHOICE(struct sluice_demo_options, durability),
	 .words = "batch|async|off", .initial = "batch", .help = "see: sluice help durability"},
	{"seed", 0, SLUICE_OPTION_COUNT(struct sluice_demo_options, seed), .initial = "1", .min = 1,
	 .help = "of the orders and of the moments of the kills"},
	{"hugepages", 0, SLUICE_OPTION_CHOICE(struct sluice_demo_options, hugepages),
	 .words = "prefer|require|off", .initial = "prefer", .help = "see: sluice help hugepages"},
	{"wait", 'w', SLUICE_OPTION_STRING(struct sluice_demo_options, wait), .value = "STRATEGY",
	 .initial = "adaptive", .help = "of all three programs; see: sluice help wait-strategies"},
};

static const struct sluice_cli_command command = {
	.program = "sluice demo",
	.summary = "a producer, the engine and a consumer, run and then checked",
	.description =
		"Runs the real programs in a temporary directory and removes everything "
		"afterwards. At the end the consumer's reports must be dense, and the log, "
		"executed once more by the demo itself, must give the very state that the engine "
		"had (exit 5 if not).\n\n"
		"With a file of an exchange's orders the fills are compared one by one with the "
		"exchange's own (exit 1 if one differs).",
	.options = table,
	.option_count = sizeof(table) / sizeof(*table),
	.examples = {{"sluice demo", "ten seconds of 50,000 orders each"},
		     {"sluice demo --scenario crash", "the same with five kills of the engine"},
		     {"sluice demo --from day_commands.csv.gz", "a day of an exchange, compared"}},
};

/* The path with `_commands.` replaced, if such a file is there. Static storage per call site. */
static const char *sibling(const char *from, const char *replacement, char *buffer, size_t bytes)
{
	const char *mark = strstr(from, "_commands.");
	int chars;

	if (!mark)
		return NULL;
	chars = snprintf(buffer, bytes, "%.*s%s%s", (int)(mark - from), from, replacement,
			 mark + strlen("_commands."));
	return chars > 0 && (size_t)chars < bytes && !access(buffer, R_OK) ? buffer : NULL;
}

static int resolve(struct sluice_demo_options *values, const struct sluice_options *options,
		   struct sluice_diag *diag)
{
	static char trades[SLUICE_DEMO_PATH_BYTES];
	static char auction[SLUICE_DEMO_PATH_BYTES];

	if (values->from)
		values->scenario = SLUICE_DEMO_FILE;
	if (values->scenario != SLUICE_DEMO_FILE) {
		if (values->expect || values->expect_auction)
			return sluice_diag_set(diag, EINVAL, "--expect needs --from FILE");
		if (!values->rate)
			return sluice_diag_set(
				diag, EINVAL,
				"--rate max makes no number of orders: give one, such as 1M");
		if (values->scenario == SLUICE_DEMO_CRASH && values->durability == 2)
			return sluice_diag_set(
				diag, EINVAL,
				"--scenario crash needs a log: not with --durability off");
		return 0;
	}
	if (!values->from)
		return sluice_diag_set(diag, EINVAL, "--scenario file needs --from FILE");
	if (access(values->from, R_OK))
		return sluice_diag_set(diag, errno, "cannot read %s: %s", values->from,
				       strerror(errno));
	if (sluice_options_origin(options, "rate") == SLUICE_ORIGIN_DEFAULT)
		values->rate = 0;
	if (!values->expect)
		values->expect = sibling(values->from, "_trades.", trades, sizeof(trades));
	if (!values->expect_auction)
		values->expect_auction = sibling(values->from, "_auction_trades.", auction,
						 sizeof(auction));
	return 0;
}

static int set_up(struct sluice_demo *demo, struct sluice_diag *diag)
{
	const bool is_file = demo->options.scenario == SLUICE_DEMO_FILE;
	const uint64_t seconds = is_file ? 10 : demo->options.seconds;
	int err = sluice_demo_dir_make(&demo->dir, FREE_WANTED, diag);

	if (err)
		return err;
	demo->orders_planned = is_file ? 0 : demo->options.rate * demo->options.seconds;
	demo->log_bytes = sluice_demo_log_bytes(
		is_file ? sluice_demo_file_commands(demo->options.from) : demo->orders_planned,
		seconds, demo->dir.free_bytes);
	if (!demo->log_bytes && demo->options.durability != 2) {
		sluice_diag_set(diag, ENOSPC, "%s has %s free, a log needs 48 MiB there",
				demo->dir.path, sluice_text_bytes(demo->dir.free_bytes).s);
		sluice_diag_hint(diag, "TMPDIR=/var/tmp sluice demo\nsluice demo --durability off");
		sluice_demo_dir_remove(&demo->dir);
		return -ENOSPC;
	}
	snprintf(demo->name, sizeof(demo->name), "demo-%d", (int)getpid());
	demo->is_terminal = isatty(STDERR_FILENO);
	sluice_demo_prepare(demo);
	return 0;
}

static void interrupted(const struct sluice_demo *demo)
{
	if (demo->attached && demo->started_ns)
		printf("interrupted after %s: %s orders, %s reports, %s trades so far, not "
		       "checked\n",
		       sluice_text_duration(sluice_clock_ns() - demo->started_ns).s,
		       sluice_text_exact(demo->now.count[SLUICE_TOOL_COMMANDS]).s,
		       sluice_text_exact(demo->now.count[SLUICE_TOOL_REPORTS]).s,
		       sluice_text_exact(demo->now.count[SLUICE_TOOL_TRADES]).s);
}

static int demo_run(struct sluice_demo *demo)
{
	struct sluice_diag diag = {.text = ""};
	int err = set_up(demo, &diag);
	int code;

	if (err)
		return sluice_cli_fail(command.program, err, &diag);
	code = sluice_demo_run(demo);
	if (!code)
		code = sluice_demo_check(demo);
	if (!code)
		code = sluice_demo_summary(demo, code);
	else if (sluice_signals_stop())
		interrupted(demo);
	sluice_demo_clean(demo);
	return sluice_tool_finish(command.program, code);
}

static int run(int argc, char **argv)
{
	static struct sluice_demo demo;
	struct sluice_options options;
	struct sluice_diag diag = {.text = ""};
	int code, err;

	if (!sluice_options_start(&options, &command, argc, argv, &demo.options, &code))
		return code;
	demo.is_json = options.standard.json;
	demo.is_quiet = options.standard.quiet;
	err = resolve(&demo.options, &options, &diag);
	if (err == -EINVAL) {
		sluice_diag_hint(&diag, "sluice demo --help");
		code = sluice_cli_error(command.program, SLUICE_EXIT_USAGE, &diag);
	} else if (err) {
		code = sluice_cli_fail(command.program, err, &diag);
	} else {
		code = demo_run(&demo);
	}
	sluice_options_release(&options);
	return code;
}

const struct sluice_tool sluice_tool_demo = {.name = "demo", .command = &command, .run = run};
