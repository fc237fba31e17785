/* SPDX-License-Identifier: MIT */
/* stat_print.h - a sample as text and JSON; `earlier` NULL: no rates, figures since the start. */
#ifndef SLUICE_TOOLS_STAT_PRINT_H
#define SLUICE_TOOLS_STAT_PRINT_H

#include "cli/json.h"
#include "tools/stat_sample.h"

/* The block of lines that tells everything. */
void sluice_tool_stat_block(const char *name, const struct sluice_tool_sample *sample);

/* The heading of the rolling lines, and one of them. */
void sluice_tool_stat_heading(void);
void sluice_tool_stat_line(const char *name, const struct sluice_tool_sample *sample,
			   const struct sluice_tool_sample *earlier);

void sluice_tool_stat_json(struct sluice_json *json, const char *name,
			   const struct sluice_tool_sample *sample,
			   const struct sluice_tool_sample *earlier);

#endif
