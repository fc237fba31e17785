/* SPDX-License-Identifier: MIT */
/*
 * append.h - appending text to a buffer that is known to be large enough: the formatters' floor.
 *
 * No bounds are checked here. The caller knows the longest text that it can write (all parts are
 * words, checked names and integers), refuses smaller buffers before it begins and asserts the
 * bound after it ends. Nothing is NUL-terminated. Pure functions, any thread.
 */
#ifndef SLUICE_SHM_APPEND_H
#define SLUICE_SHM_APPEND_H

#include <string.h>

#include "shm/base.h"

#define SLUICE_DECIMALS_MAX 18	      /* of a price or quantity in text */
#define SLUICE_APPEND_NUMBER_BYTES 21 /* longest number: sign, 19 or 20 digits, point */

/* Each returns the end of what it wrote. */
SLUICE_API char *sluice_append_u64(char *at, uint64_t value);
SLUICE_API char *sluice_append_i64(char *at, int64_t value);

/* `value` in units of 10^-decimals, with exactly that many digits after the point. */
SLUICE_API char *sluice_append_decimal(char *at, int64_t value, uint32_t decimals);

static inline char *sluice_append_bytes(char *at, const char *text, size_t bytes)
{
	memcpy(at, text, bytes);
	return at + bytes;
}

static inline char *sluice_append_text(char *at, const char *text)
{
	return sluice_append_bytes(at, text, strlen(text));
}

/* For literals: the length is a constant. */
#define sluice_append_literal(at, literal) sluice_append_bytes(at, "" literal, sizeof(literal) - 1)

#endif
