/* SPDX-License-Identifier: MIT */
/*
 * futex.h - the system calls of waiting, by name. Any thread; a call that a filter or an old kernel
 * refuses fails like any other.
 *
 * Words are shared between processes, so never FUTEX_PRIVATE_FLAG.
 */
#ifndef SLUICE_SHM_FUTEX_H
#define SLUICE_SHM_FUTEX_H

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "shm/base.h"

static inline struct timespec sluice_timespec(uint64_t ns)
{
	return (struct timespec){
		.tv_sec = (time_t)(ns / 1000000000u),
		.tv_nsec = (long)(ns % 1000000000u),
	};
}

/* 0 woken; -ETIMEDOUT; -EAGAIN the word had another value; -EINTR. */
static inline int sluice_futex_wait(_Atomic uint32_t *word, uint32_t value, uint64_t timeout_ns)
{
	const struct timespec timeout = sluice_timespec(timeout_ns);

	return syscall(SYS_futex, word, FUTEX_WAIT, value, &timeout, NULL, 0) < 0 ? -errno : 0;
}

/* Wakes everybody: tools that only look on may sleep on the same word. */
static inline void sluice_futex_wake(_Atomic uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* Until one of the words is woken or has another value, or CLOCK_MONOTONIC reaches until_ns. */
static inline int sluice_futex_waitv(struct futex_waitv *words, uint32_t count, uint64_t until_ns)
{
	const struct timespec until = sluice_timespec(until_ns);

	return syscall(SYS_futex_waitv, words, count, 0, &until, CLOCK_MONOTONIC) < 0 ? -errno : 0;
}

/* MEMBARRIER_CMD_...: 0 (QUERY: the mask), or -errno. */
static inline int sluice_membarrier(int command)
{
	const long rc = syscall(SYS_membarrier, command, 0, 0);

	return rc < 0 ? -errno : (int)rc;
}

#endif
