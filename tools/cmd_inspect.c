/* SPDX-License-Identifier: MIT */
/* cmd_inspect.c - `sluice inspect`: the group of commands that decode one ring. All only read. */
#include "tools/tool.h"
#include "tools/inspect.h"

static const struct sluice_tool *const group[] = {
	&sluice_tool_inspect_header,
	&sluice_tool_inspect_slot,
	NULL,
};

static int run(int argc, char **argv)
{
	return sluice_tool_run_group(&sluice_tool_inspect, argc, argv);
}

const struct sluice_tool sluice_tool_inspect = {
	.name = "inspect",
	.summary = "decode a ring's header or one of its slots",
	.run = run,
	.group = group,
};
