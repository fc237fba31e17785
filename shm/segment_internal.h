/* SPDX-License-Identifier: MIT */
/*
 * segment_internal.h - what segment_create.c, segment_attach.c and segment_gc.c share.
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

#endif
