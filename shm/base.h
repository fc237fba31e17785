/* SPDX-License-Identifier: MIT */
/*
 * base.h - what every file of Sluice may rely on: fixed-width types, the always-on assert,
 * compile-time relations and a few compiler hints. No dependency but libc's headers; this is the
 * one header of shm/ that the pure core includes besides events.h.
 */
#ifndef SLUICE_SHM_BASE_H
#define SLUICE_SHM_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Two lines: the adjacent-line prefetcher of current x86 moves pairs of 64-byte lines. */
#define SLUICE_LINE_BYTES 128

#define SLUICE_API __attribute__((visibility("default")))

#define sluice_likely(cond) __builtin_expect(!!(cond), 1)
#define sluice_unlikely(cond) __builtin_expect(!!(cond), 0)

/* A relation of the ABI or between constants; the text names what would break. */
#define SLUICE_STATIC_ASSERT(cond, text) _Static_assert(cond, text)
#define SLUICE_ASSERT_OFFSET(type, field, offset)                                                  \
	_Static_assert(offsetof(struct type, field) == (offset),                                   \
		       #type "." #field " is part of a shared format and has moved")
#define SLUICE_ASSERT_SIZE(type, bytes)                                                            \
	_Static_assert(sizeof(struct type) == (bytes),                                             \
		       "struct " #type " is part of a shared format and has changed its size")

/* Prints the broken condition on stderr and aborts. Never returns. */
SLUICE_API _Noreturn void sluice_assert_failed(const char *condition, const char *file, int line);

/*
 * A broken invariant of our own code: stays on in release builds, because recovery from the log is
 * safer than going on. Never used for what a peer or a disk wrote.
 */
#define sluice_assert(cond)                                                                        \
	do {                                                                                       \
		if (sluice_unlikely(!(cond)))                                                      \
			sluice_assert_failed(#cond, __FILE__, __LINE__);                           \
	} while (0)

/* For inner loops: checked in every build but release; in a user's program unless it has NDEBUG. */
#if defined(SLUICE_RELEASE) || defined(NDEBUG)
#define sluice_assert_hot(cond) ((void)0)
#else
#define sluice_assert_hot(cond) sluice_assert(cond)
#endif

#endif
