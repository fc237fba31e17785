/* SPDX-License-Identifier: MIT */
/* tool.c - looks commands up and runs the groups; see tool.h. Leaves nothing behind. */
#include "tools/tool.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/exit.h"
#include "cli/report.h"
#include "cli/value.h"

const struct sluice_tool *const sluice_tools[] = {
	&sluice_tool_demo,
	&sluice_tool_ls,
	&sluice_tool_stat,
	&sluice_tool_book,
	&sluice_tool_wal,
	&sluice_tool_inspect,
	&sluice_tool_gc,
	&sluice_tool_evict,
	&sluice_tool_drain,
	&sluice_tool_retire,
	&sluice_tool_help,
	&sluice_tool_completion,
	&sluice_tool_version,
	NULL,
};

const char *const sluice_tool_programs[] = {"engine", "producer", "consumer", "bench", NULL};

const char *sluice_tool_summary(const struct sluice_tool *tool)
{
	return tool->command ? tool->command->summary : tool->summary;
}

const struct sluice_tool *sluice_tool_find(const struct sluice_tool *const *table, const char *name)
{
	for (; *table; table++)
		if (!strcmp((*table)->name, name))
			return *table;
	return NULL;
}

static void consider(const char *typed, const char *word, uint32_t *least, const char **ret_best)
{
	const uint32_t distance = sluice_value_distance(typed, strlen(typed), word, strlen(word));

	if (distance < *least && sluice_value_is_near(typed, distance)) {
		*least = distance;
		*ret_best = word;
	}
}

const char *sluice_tool_nearest(const struct sluice_tool *const *table, const char *name)
{
	const bool is_root = table == sluice_tools;
	const char *best = NULL;
	uint32_t least = UINT32_MAX;

	for (; *table; table++)
		consider(name, (*table)->name, &least, &best);
	for (size_t i = 0; is_root && sluice_tool_programs[i]; i++)
		consider(name, sluice_tool_programs[i], &least, &best);
	return best;
}

static int print_group(const struct sluice_tool *group)
{
	printf("sluice %s - %s\n\nusage: sluice %s COMMAND [OPTION...]\n\n", group->name,
	       group->summary, group->name);
	for (const struct sluice_tool *const *row = group->group; *row; row++)
		printf("  %-14s %s\n", (*row)->name, sluice_tool_summary(*row));
	printf("\nMore on one of them: sluice %s COMMAND --help\n", group->name);
	return sluice_tool_finish("sluice", SLUICE_EXIT_OK);
}

static int unknown_in_group(const struct sluice_tool *group, const char *name)
{
	const char *nearest = name ? sluice_tool_nearest(group->group, name) : NULL;
	char program[64];
	struct sluice_diag diag;

	snprintf(program, sizeof(program), "sluice %s", group->name);
	if (!name)
		sluice_diag_set(&diag, EINVAL, "a command is missing");
	else if (nearest)
		sluice_diag_set(&diag, EINVAL, "unknown command \"%.64s\": did you mean \"%s\"?",
				name, nearest);
	else
		sluice_diag_set(&diag, EINVAL, "unknown command \"%.64s\"", name);
	sluice_diag_hint(&diag, "sluice %s --help", group->name);
	return sluice_cli_error(program, SLUICE_EXIT_USAGE, &diag);
}

int sluice_tool_run_group(const struct sluice_tool *group, int argc, char **argv)
{
	const struct sluice_tool *tool;

	if (argc < 2)
		return unknown_in_group(group, NULL);
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
		return print_group(group);
	if (!strcmp(argv[1], "--help-complete")) {
		for (const struct sluice_tool *const *row = group->group; *row; row++)
			puts((*row)->name);
		return sluice_tool_finish("sluice", SLUICE_EXIT_OK);
	}
	tool = sluice_tool_find(group->group, argv[1]);
	return tool ? tool->run(argc - 1, argv + 1) : unknown_in_group(group, argv[1]);
}

bool sluice_tool_path(const char *program, char *ret_path, size_t capacity)
{
	char path[4096];
	const ssize_t bytes = readlink("/proc/self/exe", path, sizeof(path) - 1);
	char *slash;

	if (bytes > 0) {
		path[bytes] = '\0';
		slash = strrchr(path, '/');
		if (slash && (size_t)(slash - path) + strlen(program) + 2 <= sizeof(path)) {
			snprintf(slash + 1, sizeof(path) - (size_t)(slash + 1 - path), "%s",
				 program);
			if (!access(path, X_OK) && strlen(path) < capacity) {
				memcpy(ret_path, path, strlen(path) + 1);
				return true;
			}
		}
	}
	if (strlen(program) >= capacity)
		return false;
	memcpy(ret_path, program, strlen(program) + 1);
	return true;
}

int sluice_tool_finish(const char *program, int code)
{
	struct sluice_diag diag;

	if (!fflush(stdout) && !ferror(stdout))
		return code;
	if (errno == EPIPE) /* the reader has seen enough */
		return code;
	sluice_diag_set(&diag, errno, "cannot write to standard output: %s", strerror(errno));
	sluice_diag_hint(&diag, "look at the free space and the other end of the pipe");
	return sluice_cli_error(program, SLUICE_EXIT_FAILED, &diag);
}
