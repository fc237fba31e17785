/* SPDX-License-Identifier: MIT */
/*
 * header.h - the immutable first page of a segment: planned from options, sealed with a CRC, and
 * checked by everyone who attaches. All functions are given private copies, never shared memory.
 * Cold paths only; any thread.
 */
#ifndef SLUICE_SHM_HEADER_H
#define SLUICE_SHM_HEADER_H

#include "shm/segment.h"

/* Folds sizes, offsets of hot words and byte order of this build's layout.h and events.h. */
uint32_t sluice_header_layout_hash(void);

/*
 * Checks the options and fills geometry and features; total_bytes is what the regions need, not
 * yet rounded to pages. -EINVAL with what is allowed.
 */
int sluice_header_plan(struct sluice_header *ret_header,
		       const struct sluice_segment_options *options, struct sluice_diag *diag);

/* Fills magic, versions, uuid, boot and creator. -errno if the kernel does not tell. */
int sluice_header_identify(struct sluice_header *header, struct sluice_diag *diag);

/* Computes header_crc. The last step before the header is copied into the segment. */
void sluice_header_seal(struct sluice_header *header);

struct sluice_header_expectation {
	const char *name;     /* the file's, or NULL: any */
	uint64_t file_bytes;  /* its real size */
	uint32_t access;      /* enum sluice_access */
};

/* The attach rules, in the order of docs/shm-layout.md. -EBADMSG, -EPROTO, -ESTALE. */
int sluice_header_check(const struct sluice_header *header,
			const struct sluice_header_expectation *expected, struct sluice_diag *diag);

/* True if magic, version and CRC hold and the boot id is not the running one's. */
bool sluice_header_is_of_earlier_boot(const struct sluice_header *header);

#endif
