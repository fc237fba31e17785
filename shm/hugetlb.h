/* SPDX-License-Identifier: MIT */
/*
 * hugetlb.h - the machine's huge page pools and mounts, and the commands that would mend them.
 * Reads /proc and /sys at each call. Cold paths only; any thread.
 */
#ifndef SLUICE_SHM_HUGETLB_H
#define SLUICE_SHM_HUGETLB_H

#include "shm/names.h"

struct sluice_hugetlb_pool { /* in pages */
	uint64_t total;
	uint64_t free;	    /* unreserved, what a new mapping may have */
	uint64_t growth;    /* more, that the kernel may take from ordinary memory */
};

/* -ENOENT: this kernel has no pages of that size. */
int sluice_hugetlb_pool(uint32_t page_bytes, struct sluice_hugetlb_pool *ret_pool);

/* SLUICE_HUGETLB_DIR or every mounted hugetlbfs; page_bytes 0: of any page size. */
void sluice_hugetlb_dirs(uint32_t page_bytes, struct sluice_dirs *ret_dirs);

/* True if files of that directory are backed by huge pages; then their size. */
bool sluice_hugetlb_is_dir(const char *dir, uint32_t *ret_page_bytes);

/*
 * The shell command that lets `need` pages be had: what is missing of pool and mount, joined by
 * " && "; "" if neither is missing.
 */
void sluice_hugetlb_command(uint32_t page_bytes, uint64_t need, bool mounted, char *ret_command,
			    size_t bytes);

/* "2 MiB", "1 GiB", "4 KiB" */
void sluice_hugetlb_size_text(uint64_t page_bytes, char *ret_text, size_t bytes);

#endif
