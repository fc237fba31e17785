/* SPDX-License-Identifier: MIT */
/* rings.c - see rings.h. Looks for files only: what is in them is for the caller to find out. */
#include "tools/rings.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "shm/names.h"

static bool exists(const char *name)
{
	char ignored[SLUICE_PATH_BYTES];

	return !sluice_names_find(name, ignored);
}

static void add(struct sluice_tool_rings *rings, const char *name)
{
	if (exists(name))
		snprintf(rings->name[rings->count++], SLUICE_SEGMENT_NAME_BYTES, "%s", name);
}

int sluice_tool_rings_find(const char *name, const char *suffix,
			   struct sluice_tool_rings *ret_rings, struct sluice_diag *diag)
{
	struct sluice_tool_rings rings = {.count = 0};
	char full[SLUICE_SEGMENT_NAME_BYTES];
	int err = sluice_names_check(name, diag);

	if (err)
		return err;
	if (!suffix)
		add(&rings, name);
	for (uint32_t i = 0; i < SLUICE_TOOL_RINGS && (suffix || !exists(name)); i++) {
		if (suffix && strcmp(suffix, sluice_tool_ring_suffix[i]) != 0)
			continue;
		snprintf(full, sizeof(full), "%.48s.%s", name, sluice_tool_ring_suffix[i]);
		add(&rings, full);
	}
	if (!rings.count) {
		sluice_diag_set(diag, ENOENT, "there is no ring \"%s%s%s\"%s", name,
				suffix ? "." : "", suffix ? suffix : "",
				suffix ? "" : ", and no instance of that name");
		sluice_diag_hint(diag, "sluice ls");
		return -ENOENT;
	}
	*ret_rings = rings;
	return 0;
}
