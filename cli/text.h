/* SPDX-License-Identifier: MIT */
/*
 * text.h - numbers for people: three significant digits and a unit. Pure; any thread. The result is
 * returned by value, so `printf("%s", sluice_text_count(n).s)` is all that is needed.
 */
#ifndef SLUICE_CLI_TEXT_H
#define SLUICE_CLI_TEXT_H

#include "shm/base.h"

struct sluice_text {
	char s[40];
};

/* 999, 1.02k, 1.02M, 240M: powers of 1000. */
struct sluice_text sluice_text_count(uint64_t count);

/* 1,234,567 */
struct sluice_text sluice_text_exact(uint64_t count);

/* 131ns, 1.25us, 4.00ms, 12.0s; from a minute on 2m05s, 1h03m, 3d04h. UINT64_MAX: "over range". */
struct sluice_text sluice_text_duration(uint64_t ns);

/* 512 B, 1.50 KiB, 64.0 MiB: powers of 1024. */
struct sluice_text sluice_text_bytes(uint64_t bytes);

/* 92.0 MB/s: powers of 1000, as disks and networks are sold. 0 ns gives 0 B/s. */
struct sluice_text sluice_text_throughput(uint64_t bytes, uint64_t elapsed_ns);

/* 1.02M/s */
struct sluice_text sluice_text_rate(uint64_t events, uint64_t elapsed_ns);

#endif
