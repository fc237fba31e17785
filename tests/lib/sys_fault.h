/* SPDX-License-Identifier: MIT */
/*
 * sys_fault.h - makes the n-th system call of a kind fail, below libc and liburing: a filter hands
 * the chosen kinds to a thread of this process that is not filtered itself, and that answers in the
 * kernel's place or lets it. There is no way back: for forked children. It filters the thread that
 * begins and all threads that it starts later.
 */
#ifndef SLUICE_TESTS_LIB_SYS_FAULT_H
#define SLUICE_TESTS_LIB_SYS_FAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SYS_FAULT_KINDS_MAX 24u
#define SYS_FAULTS_MAX 2u /* at once */

/* In the place of an errno: pread and pwrite do half of it; any call returns 0 and does nothing. */
#define SYS_FAULT_HALF (-1)
#define SYS_FAULT_NOTHING (-2)
#define SYS_FAULT_ASK (-3) /* what `ask` says */
#define SYS_FAULT_GO_ON INT64_MIN

struct sys_fault {
	long number;  /* of the system call */
	uint32_t nth; /* 1: the first from now on; 0: none */
	int error;
	bool ever; /* and all that follow it */
	/*
	 * On the answering thread, which has the caller's memory and descriptors: the call's result
	 * or -errno, or GO_ON to let the kernel make it.
	 */
	int64_t (*ask)(const uint64_t *args);
};

/* 0, or -errno: no such filters here. */
int sys_fault_begin(const long *numbers, size_t n);
/* Counts begin anew; none: only count. */
void sys_fault_set(const struct sys_fault *faults, size_t n);
/* A sanitizer makes calls of this kind itself, and dies when they fail. */
bool sys_fault_is_sanitizers(long number);
/* How many calls of a kind there were since. */
uint32_t sys_fault_calls(long number);
/* All of them have happened. */
bool sys_fault_happened(void);

struct sys_holdings { /* of this process: what a failure must not leave behind */
	uint32_t descriptors;
	uint32_t threads;
	uint64_t memory_bytes;
};

void sys_holdings_take(struct sys_holdings *ret_holdings);
/* What there is more of since, in words; NULL: nothing. A mapping of half a MiB is seen. */
const char *sys_holdings_grown(const struct sys_holdings *before);

#endif
