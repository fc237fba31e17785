/* SPDX-License-Identifier: MIT */
/*
 * diag.h - the text that goes with an operating error of a cold path: what failed, why in this
 * machine's terms, and what to type next. Functions that take a `struct sluice_diag *` accept NULL.
 * The text is set only on failure and untouched on success. Not thread-safe: the caller's storage.
 */
#ifndef SLUICE_SHM_DIAG_H
#define SLUICE_SHM_DIAG_H

#include "shm/base.h"

struct sluice_diag {
	char text[1024]; /* one sentence: what failed and why */
	char hint[1024]; /* the exact command that would help, or empty */
};

/* Formats diag->text (and clears the hint). Returns -error, so that it can be returned itself. */
SLUICE_API int sluice_diag_set(struct sluice_diag *diag, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Formats diag->hint. */
SLUICE_API void sluice_diag_hint(struct sluice_diag *diag, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
