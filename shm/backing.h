/* SPDX-License-Identifier: MIT */
/*
 * backing.h - where a segment's bytes come from: the ladder from huge pages to small ones.
 *
 * Every rung is verified from the kernel's own accounting after the pages are there, and what is
 * reported is what was found. All pages are faulted in before the function returns, so a shortage
 * is an error here and never a SIGBUS later. Cold path, creator's thread.
 */
#ifndef SLUICE_SHM_BACKING_H
#define SLUICE_SHM_BACKING_H

#include "shm/names.h"

#define SLUICE_HUGE_BYTES (2ull << 20)

struct sluice_backing_request {
	const char *name;    /* NULL: private, anonymous */
	uint64_t bytes;	     /* needed; what is obtained is rounded up to pages */
	uint64_t more_bytes; /* that the caller will need next: for the hint only */
	uint32_t hugepages;  /* enum sluice_hugepages */
	uint32_t page_bytes; /* of hugetlb pages; not 0 */
	int32_t numa_node;   /* not -1 */
};

struct sluice_backing_memory {
	uint8_t *base;
	uint64_t total_bytes;
	uint64_t huge_bytes;
	uint32_t page_bytes;
	uint32_t backing; /* enum sluice_backing */
	int32_t numa_node;
	int fd;				    /* -1: private */
	char temporary[SLUICE_PATH_BYTES];  /* the file's name until it is renamed */
	char directory[SLUICE_PATH_BYTES];
	char note[256];			    /* see sluice_segment_note */
};

/* -ENOMEM, -ENOSPC, -EACCES: as diag says, nothing is left behind. */
int sluice_backing_open(struct sluice_backing_memory *ret_backing,
			const struct sluice_backing_request *request, struct sluice_diag *diag);

/* Unmaps, gives the pages back and removes the temporary name. */
void sluice_backing_discard(struct sluice_backing_memory *backing);

/* ----------------------------------------------------------------- what attachers need of it */

/*
 * Maps the file from its start at an address that is congruent with huge pages; fd -1: anonymous.
 * A hugetlbfs file is placed by the kernel, which knows its page size. NULL: errno says why.
 */
uint8_t *sluice_backing_map(int fd, uint64_t bytes, int protection);

/*
 * Faults in every page, for writing if asked. -EFAULT: a page cannot be had. -EINVAL: the kernel
 * (before 5.14) cannot do it.
 */
int sluice_backing_populate(uint8_t *base, uint64_t bytes, bool writable);

/* Writes a zero to every page: only for pages that fallocate has secured and nobody else sees. */
void sluice_backing_touch(uint8_t *base, uint64_t bytes);

/* What huge pages map of the range now; page size 4096 and 0 bytes if none do. */
int sluice_backing_measure(const uint8_t *base, uint64_t bytes, uint64_t *ret_huge_bytes,
			   uint32_t *ret_page_bytes);

#endif
