/* SPDX-License-Identifier: MIT */
/*
 * cmd_wal.c - `sluice wal`: the group of commands on a log directory. All of them only read, but
 * truncate-tail with --yes or --undo.
 */
#include "tools/tool.h"

static const struct sluice_tool *const group[] = {
	&sluice_tool_wal_dump,
	&sluice_tool_wal_verify,
	&sluice_tool_wal_stat,
	&sluice_tool_wal_inspect,
	&sluice_tool_wal_truncate,
	NULL,
};

static int run(int argc, char **argv)
{
	return sluice_tool_run_group(&sluice_tool_wal, argc, argv);
}

const struct sluice_tool sluice_tool_wal = {
	.name = "wal",
	.summary = "look at and check a log",
	.run = run,
	.group = group,
};
