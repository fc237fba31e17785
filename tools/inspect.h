/* SPDX-License-Identifier: MIT */
/*
 * inspect.h - a ring's file as it is, also when nobody would attach to it: the header is read from
 * the file into private memory and never believed further than its own bytes. Read-only; one
 * thread.
 */
#ifndef SLUICE_TOOLS_INSPECT_H
#define SLUICE_TOOLS_INSPECT_H

#include "shm/names.h"
#include "tools/tool.h"

extern const struct sluice_tool sluice_tool_inspect_header;
extern const struct sluice_tool sluice_tool_inspect_slot;

struct sluice_inspect {
	char path[SLUICE_PATH_BYTES];
	int fd;
	uint64_t file_bytes;
	uint32_t header_bytes;	     /* of the header that the file holds */
	struct sluice_header header; /* as found, zeros where the file ends */
	bool attached;
	struct sluice_segment segment; /* when attached */
	int attach_error;
	struct sluice_diag refusal; /* why it was not attached */
};

/* `what` is a ring's name, or a path if there is a slash in it. -ENOENT, -EACCES ... */
int sluice_inspect_open(struct sluice_inspect *ret_inspect, const char *what,
			struct sluice_diag *diag);
void sluice_inspect_close(struct sluice_inspect *inspect);

#endif
