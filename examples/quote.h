/* SPDX-License-Identifier: MIT */
/* quote.h - what travels in the ring. The programs here agree on this and on the ring's name. */
#ifndef QUOTE_H
#define QUOTE_H

#include <sluice.h>
#include <stdio.h>
#include <stdlib.h>

struct quote {
	uint32_t source; /* who published it */
	int32_t price;
	uint64_t number; /* counts from 0 within its source */
	uint64_t sent_ns;
};

/* Ends the program with what went wrong and, if the library knows it, what to type next. */
static inline void check(int rc, const struct sluice_diag *diag)
{
	if (!rc)
		return;
	fprintf(stderr, "%s\n%s%s", diag->text, diag->hint, diag->hint[0] ? "\n" : "");
	exit(1);
}

/* A ring of this name may hold something else: its geometry says how large an event is. */
static inline void attach(struct sluice_segment *ret_segment, const char *name,
			  enum sluice_access access)
{
	struct sluice_diag diag;

	check(sluice_segment_attach(ret_segment, name, access, &diag), &diag);
	if (ret_segment->header.payload_bytes == sizeof(struct quote))
		return;
	fprintf(stderr, "%s holds no quotes\n", name);
	exit(1);
}

#endif
