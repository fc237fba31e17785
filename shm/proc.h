/* SPDX-License-Identifier: MIT */
/*
 * proc.h - what the kernel says of processes, of this boot and of our own mappings, read from
 * /proc. Cold paths only; any thread; may block for as long as the kernel walks page tables.
 */
#ifndef SLUICE_SHM_PROC_H
#define SLUICE_SHM_PROC_H

#include <sys/types.h>

#include "shm/base.h"

/* Field 22 of /proc/PID/stat: with the pid, an identity within this boot. -ESRCH: none such. */
SLUICE_API int sluice_proc_start_ticks(pid_t pid, uint64_t *ret_ticks);

enum sluice_process {
	SLUICE_PROCESS_UNKNOWN, /* of another pid or time namespace, or we may not look */
	SLUICE_PROCESS_GONE,	/* there is none, or its pid means another process by now */
	SLUICE_PROCESS_RUNS,
	SLUICE_PROCESS_STOPPED /* by a signal or a debugger */
};

/*
 * What became of the process that had this identity: for alarms and never for decisions, which the
 * lock bytes make (segment.h).
 */
SLUICE_API enum sluice_process sluice_proc_look(pid_t pid, uint64_t start_ticks, uint64_t pidns);

/* Inode of our own pid namespace: pids of another namespace name other processes. */
SLUICE_API int sluice_proc_pid_namespace(uint64_t *ret_inode);

/* The 16 bytes of /proc/sys/kernel/random/boot_id. */
SLUICE_API int sluice_proc_boot_id(uint8_t ret_id[16]);

/* One unsigned number from a file of /proc or /sys. */
int sluice_proc_read_u64(const char *path, uint64_t *ret_value);

struct sluice_range_pages { /* of one range of our address space */
	uint64_t hugetlb_bytes;	   /* mapped by pages of a hugetlb pool */
	uint64_t shmem_pmd_bytes;  /* mapped by transparent huge pages of shared memory */
	uint32_t kernel_page_bytes; /* says 4096 for transparent huge pages, too */
};

/* From /proc/self/smaps. -ENOENT: no mapping lies in the range. */
int sluice_proc_range_pages(const void *base, uint64_t bytes, struct sluice_range_pages *ret_pages);

#endif
