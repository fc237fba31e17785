/* SPDX-License-Identifier: MIT */
/*
 * main.c - `sluice`, the command people learn: finds the command in the table and runs it; what is
 * not in the table is run as the program sluice-NAME. Everything it looks at is opened read-only;
 * only `gc`, `evict`, `drain`, `retire` and `wal truncate-tail` with --yes, and `demo`, change or
 * remove something, each its own kind. One thread.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/exit.h"
#include "cli/report.h"
#include "cli/signals.h"
#include "tools/tool.h"

#define DESCRIPTION_BYTES 4096

struct main_options {
	struct sluice_option_list rest;
};

static char description[DESCRIPTION_BYTES];

static const struct sluice_cli_command main_command = {
	.program = "sluice",
	.summary = "look at, check and try out Sluice instances",
	.description = description,
	.positionals = {{.name = "COMMAND",
			 .help = "one of the commands above, and its arguments",
			 .offset = offsetof(struct main_options, rest),
			 .optional = true,
			 .repeats = true}},
	.examples = {{"sluice demo",
		      "a producer, the engine and a consumer for 10 seconds, checked"},
		     {"sluice ls", "every ring of this machine"},
		     {"sluice help durability", "what is promised, and when"}},
};

/* The list of commands cannot differ from the tables: it is made of them. */
static void describe(void)
{
	size_t used = (size_t)snprintf(description, sizeof(description), "The commands:\n\n");

	for (const struct sluice_tool *const *row = sluice_tools; *row; row++)
		used += (size_t)snprintf(description + used, sizeof(description) - used,
					 "%s: %s\n\n", (*row)->name, sluice_tool_summary(*row));
	for (size_t i = 0; sluice_tool_programs[i]; i++)
		used += (size_t)snprintf(description + used, sizeof(description) - used,
					 "%s: runs the program sluice-%s\n\n",
					 sluice_tool_programs[i], sluice_tool_programs[i]);
	snprintf(description + used, sizeof(description) - used,
		 "More on one of them: sluice COMMAND --help");
	sluice_assert(used + 64 < sizeof(description));
}

static int unknown(const char *name)
{
	const char *nearest = sluice_tool_nearest(sluice_tools, name);
	struct sluice_diag diag;

	if (nearest)
		sluice_diag_set(&diag, EINVAL, "unknown command \"%.64s\": did you mean \"%s\"?",
				name, nearest);
	else
		sluice_diag_set(&diag, EINVAL, "unknown command \"%.64s\"", name);
	sluice_diag_hint(&diag, "sluice --help");
	return sluice_cli_error("sluice", SLUICE_EXIT_USAGE, &diag);
}

/* Becomes the program sluice-NAME; comes back only if there is none. */
static int run_program(char **argv)
{
	char program[128];
	char path[4096];
	struct sluice_diag diag;

	if (strchr(argv[0], '/') || strlen(argv[0]) > 64)
		return unknown(argv[0]);
	snprintf(program, sizeof(program), "sluice-%s", argv[0]);
	if (!sluice_tool_path(program, path, sizeof(path)))
		return unknown(argv[0]);
	argv[0] = program;
	execvp(path, argv);
	if (errno == ENOENT) {
		for (size_t i = 0; sluice_tool_programs[i]; i++)
			if (!strcmp(program + strlen("sluice-"), sluice_tool_programs[i])) {
				sluice_diag_set(
					&diag, ENOENT,
					"the program %s is neither beside this one nor in PATH",
					program);
				sluice_diag_hint(&diag, "make");
				return sluice_cli_error("sluice", SLUICE_EXIT_ENVIRONMENT, &diag);
			}
		return unknown(program + strlen("sluice-"));
	}
	sluice_diag_set(&diag, errno, "cannot run %s: %s", path, strerror(errno));
	sluice_diag_hint(&diag, "ls -l %s", path);
	return sluice_cli_error("sluice", SLUICE_EXIT_ENVIRONMENT, &diag);
}

static int run_alone(int argc, char **argv)
{
	struct main_options values = {0};
	struct sluice_options options;
	int code = SLUICE_EXIT_USAGE;

	describe();
	if (!sluice_options_start(&options, &main_command, argc, argv, &values, &code))
		return code;
	sluice_options_release(&options);
	if (values.rest.count) /* options in front of the command */
		return unknown(values.rest.items[0]);
	sluice_tool_print_list(stderr);
	return SLUICE_EXIT_USAGE;
}

int main(int argc, char **argv)
{
	const struct sluice_tool *tool;

	if (argc == 2 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
		sluice_tool_print_list(stdout);
		return sluice_tool_finish("sluice", SLUICE_EXIT_OK);
	}
	if (argc < 2 || argv[1][0] == '-')
		return run_alone(argc, argv);
	tool = sluice_tool_find(sluice_tools, argv[1]);
	if (!tool)
		return run_program(argv + 1);
	if (sluice_signals_install())
		return SLUICE_EXIT_ENVIRONMENT;
	return tool->run(argc - 1, argv + 1);
}
