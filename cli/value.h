/* SPDX-License-Identifier: MIT */
/*
 * value.h - one option's text turned into a value. Pure; any thread. All return 0, -EINVAL (not of
 * this kind) or -ERANGE (of this kind, but does not fit 64 bits), and leave *ret_x alone on
 * failure.
 *
 * Numbers may have underscores between digits (1_000) and, before a unit, a decimal fraction that
 * comes out whole (1.5k is 1500; 0.5 is refused).
 */
#ifndef SLUICE_CLI_VALUE_H
#define SLUICE_CLI_VALUE_H

#include "shm/base.h"

/* A count: plain, k or K, M, G, T (powers of 1000), Ki, Mi, Gi, Ti (powers of 1024). */
int sluice_value_count(const char *text, uint64_t *ret_count);

/* Bytes: plain or B; K, M, G, T in either case, also as KiB ... (powers of 1024). */
int sluice_value_size(const char *text, uint64_t *ret_bytes);

/* Nanoseconds from ns, us, ms, s, m, h, d; a plain number is seconds. */
int sluice_value_duration(const char *text, uint64_t *ret_ns);

/* Events per second: a count, with "/s" after it if one likes; "max" is 0: not limited. */
int sluice_value_rate(const char *text, uint64_t *ret_per_second);

/* yes, no, true, false, on, off, 1, 0. */
int sluice_value_flag(const char *text, bool *ret_flag);

/* Index of `text` in the words of "one|two|three". */
int sluice_value_choice(const char *text, const char *words, uint32_t *ret_index);

/*
 * How many letters to insert, drop, change or swap; texts longer than 64 bytes are UINT32_MAX away.
 */
uint32_t sluice_value_distance(const char *left, size_t left_bytes, const char *right,
			       size_t right_bytes);

/* True when somebody who typed `typed` with that many differences may have meant the word. */
bool sluice_value_is_near(const char *typed, uint32_t distance);

#endif
