/* SPDX-License-Identifier: MIT */
/*
 * crash_failpoint.h - what happens at the failpoints of PROFILE=crash (shm/failpoint.h): nothing
 * until a process arms them; then it kills or stops itself there, or naps, once in so many visits.
 */
#ifndef SLUICE_TESTS_LIB_CRASH_FAILPOINT_H
#define SLUICE_TESTS_LIB_CRASH_FAILPOINT_H

#include "tests/lib/crash_board.h"

/* For the process that calls it; one thread. `place` is where it leaves word before it dies. */
void crash_arm(const struct crash_config *config, struct crash_board *board,
	       struct crash_place *place, uint64_t seed);

/* Kills at the next visit of `point`, and nowhere else; stops instead if is_stop. */
void crash_arm_once(enum sluice_failpoint point, bool is_stop);

/* The harness's own: SLUICE_FAILPOINT of a build without failpoints is nothing at all. */
void crash_point(enum sluice_failpoint point);

const char *crash_point_name(enum sluice_failpoint point);

#endif
