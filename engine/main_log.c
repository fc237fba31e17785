/* SPDX-License-Identifier: MIT */
/* main_log.c - what somebody who starts the engine may expect of its log, and it is not so. */
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>

#include "cli/report.h"
#include "engine/engine.h"

struct kept {
	char text[256];
	size_t used;
};

static void compare(struct kept *kept, const char *option, uint64_t asked, uint64_t is)
{
	int n;

	if (asked == is || kept->used >= sizeof(kept->text))
		return;
	n = snprintf(kept->text + kept->used, sizeof(kept->text) - kept->used, "%s--%s %llu",
		     kept->used ? " " : "", option, (unsigned long long)is);
	kept->used += n > 0 ? (size_t)n : 0;
}

/* Options that a log takes when it is made, and that another one was made without. */
static void say_kept(const struct engine *engine)
{
	const struct engine_options *options = &engine->options;
	struct sluice_wal_position position;
	struct kept kept = {"", 0};

	sluice_wal_position(engine->wal, &position);
	compare(&kept, "wal-size", options->wal_size, sluice_wal_size_bytes(engine->wal));
	compare(&kept, "symbols-max", options->symbols_max, position.core.symbols_max);
	compare(&kept, "orders-max", options->orders_max, position.core.orders_max);
	compare(&kept, "levels-max", options->levels_max, position.core.levels_max);
	compare(&kept, "sessions-max", options->sessions_max, position.core.sessions_max);
	compare(&kept, "window-ticks", options->window_ticks, position.core.window_ticks);
	if (kept.used)
		sluice_cli_log(ENGINE_PROGRAM, "log_keeps=\"%s\" reason=\"it was made with them\"",
			       kept.text);
}

void engine_say_log(const struct engine *engine)
{
	struct statfs fs;

	if (!engine->wal)
		return;
	if (engine->options.format)
		say_kept(engine);
	if (!statfs(engine->options.wal, &fs) &&
	    (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC))
		sluice_cli_log(ENGINE_PROGRAM, "not_durable=\"the log is in memory: %s ends with "
			       "the machine\"", engine->options.wal);
}
