/* SPDX-License-Identifier: MIT */
/* rings.h - which rings an operator means by a name: an instance's, or one ring. One thread. */
#ifndef SLUICE_TOOLS_RINGS_H
#define SLUICE_TOOLS_RINGS_H

#include "tools/attach.h"

struct sluice_tool_rings {
	uint32_t count;
	char name[SLUICE_TOOL_RINGS][SLUICE_SEGMENT_NAME_BYTES];
};

/*
 * "x.cmd" is that ring; "x" is all rings of the instance x that there are, or with a suffix ("cmd",
 * "rep", "md"; NULL: none) that one. -ENOENT: none; -EINVAL: no such name can be.
 */
int sluice_tool_rings_find(const char *name, const char *suffix,
			   struct sluice_tool_rings *ret_rings, struct sluice_diag *diag);

#endif
