/* SPDX-License-Identifier: MIT */
/* gc_repair.h - `sluice gc --repair`: shm/repair.h for one ring, or for all that nobody uses. */
#ifndef SLUICE_TOOLS_GC_REPAIR_H
#define SLUICE_TOOLS_GC_REPAIR_H

#include "shm/base.h"

struct sluice_gc_repair {
	const char *program;
	const char *prefix; /* of names; NULL: all */
	const char *ring;   /* only this one; NULL: all with the prefix */
	bool yes;	    /* change what is found; else only say it */
	bool is_json;
};

/* Returns the exit code: 5 if a ring is damaged. */
int sluice_tool_gc_repair(const struct sluice_gc_repair *options);

#endif
