/* SPDX-License-Identifier: MIT */
/*
 * backing_internal.h - what the ladder's two files, backing.c and backing_hugetlb.c, share.
 */
#ifndef SLUICE_SHM_BACKING_INTERNAL_H
#define SLUICE_SHM_BACKING_INTERNAL_H

#include "shm/backing.h"

struct sluice_hugetlb_refusal { /* why the first rung broke, in this machine's terms */
	int error;	   /* negative errno */
	uint64_t need;	   /* pages */
	char reason[192];  /* "pool has 0 free of 0" */
	char command[512]; /* that would mend it, or "" */
};

/* Fills the backing or the refusal. Nothing is left behind on failure. */
int sluice_backing_open_hugetlb(struct sluice_backing_memory *backing,
				const struct sluice_backing_request *request,
				struct sluice_hugetlb_refusal *ret_refusal);

uint64_t sluice_backing_round_up(uint64_t bytes, uint64_t unit);

/* A new file of backing->total_bytes under a private temporary name. */
int sluice_backing_create_file(struct sluice_backing_memory *backing, const char *dir,
			       const char *name);

/* Advice, NUMA policy, then every page. -EFAULT, -ENOMEM, -ENOSPC: not enough of them. */
int sluice_backing_fill(struct sluice_backing_memory *backing,
			const struct sluice_backing_request *request);

#endif
