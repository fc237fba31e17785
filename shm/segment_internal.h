/* SPDX-License-Identifier: MIT */
/*
 * segment_internal.h - what segment_create.c, segment_attach.c, segment_gc.c and repair.c share.
 */
#ifndef SLUICE_SHM_SEGMENT_INTERNAL_H
#define SLUICE_SHM_SEGMENT_INTERNAL_H

#include "shm/segment.h"

/* Sets the pointers into the mapping from the checked private header. */
void sluice_segment_point(struct sluice_segment *segment);

/*
 * The first bytes of an open file as a header, by pread: a file that shrinks meanwhile is a short
 * read and no signal. -EBADMSG: it is shorter than a header.
 */
int sluice_segment_read_header(int fd, struct sluice_header *ret_header, struct sluice_diag *diag);

/* sluice_segment_attach, whatever state the segment is in. */
int sluice_segment_attach_any(struct sluice_segment *ret_segment, const char *name,
			      enum sluice_access access, struct sluice_diag *diag);

#endif
