/* SPDX-License-Identifier: MIT */
/*
 * main_dry.c - sluice-producer --dry-run: the commands as CSV on stdout. No ring; names are
 * numbered as an engine does that starts empty.
 */
#include "producer/main.h"

#include <stdio.h>

#include "cli/signals.h"

static int write_row(struct producer_run *run, const struct sluice_source_item *item)
{
	char row[SLUICE_COMMAND_TEXT_MAX];
	struct sluice_command_names names;
	size_t bytes;

	sluice_source_names(run->source, item, &names);
	bytes = sluice_command_text_write(&item->command, &names, row, sizeof(row));
	return fwrite(row, 1, bytes, stdout) == bytes ? 0 : -EIO;
}

int producer_dry_run(struct producer_run *run)
{
	struct sluice_source_item item;
	char row[SLUICE_COMMAND_TEXT_MAX];
	size_t bytes = sluice_command_text_header(row, sizeof(row));
	int rc = fwrite(row, 1, bytes, stdout) == bytes ? 0 : -EIO;

	while (!rc && !sluice_signals_stop()) {
		if (run->options->count && run->taken == run->options->count)
			break;
		rc = sluice_source_next(run->source, &item, &run->diag);
		if (rc == -EINTR) {
			rc = 0;
			continue;
		}
		if (rc <= 0)
			break;
		run->taken++;
		rc = run->taken > run->options->resume_from ? write_row(run, &item) : 0;
	}
	if (!rc && sluice_signals_stop())
		rc = -EINTR;
	if (fflush(stdout) && !rc)
		rc = -EIO;
	if (rc == -EIO)
		sluice_diag_set(&run->diag, EIO, "cannot write to standard output");
	return rc;
}
