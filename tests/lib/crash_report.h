/* SPDX-License-Identifier: MIT */
/* crash_report.h - what the crash harness prints. The driver, when all other processes are gone. */
#ifndef SLUICE_TESTS_LIB_CRASH_REPORT_H
#define SLUICE_TESTS_LIB_CRASH_REPORT_H

#include "shm/segment.h"
#include "tests/lib/crash_board.h"

struct crash_tally {
	uint64_t deaths[2][SLUICE_FAIL_COUNT]; /* [0] of consumers, [1] of producers */
	uint64_t stops;
	uint64_t massacres; /* everybody killed at once */
	uint64_t run_ns;
	uint64_t still_ns; /* longest time without progress while nobody was stopped */
};

/* key=value lines on stdout. True: nothing was wrong. */
bool crash_report(struct crash_board *board, const struct crash_config *config,
		  const struct sluice_segment *segment, const struct crash_tally *tally);

/* Control words, participants and the slots around them, on stderr: why does it stand still? */
void crash_dump(struct sluice_segment *segment);

#endif
