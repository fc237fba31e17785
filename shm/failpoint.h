/* SPDX-License-Identifier: MIT */
/*
 * failpoint.h - the numbered instants at which the crash harness kills or stops a process.
 * Nothing at all unless built with SLUICE_FAILPOINTS (PROFILE=crash), when the harness defines
 * the function.
 */
#ifndef SLUICE_SHM_FAILPOINT_H
#define SLUICE_SHM_FAILPOINT_H

enum sluice_failpoint {
	SLUICE_FAIL_NONE = 0,
	SLUICE_FAIL_P1, /* claim announced, not made */
	SLUICE_FAIL_P2, /* claim made, record says ATTEMPT */
	SLUICE_FAIL_P3, /* record says CLAIMED, slots untouched */
	SLUICE_FAIL_P4, /* slots marked as being written; the payload is the caller's */
	SLUICE_FAIL_P5, /* payload written, nothing published */
	SLUICE_FAIL_P6, /* some of the claim's slots are published */
	SLUICE_FAIL_P7, /* all published, record not cleared */
	SLUICE_FAIL_P8, /* record cleared, sleepers not woken */
	SLUICE_FAIL_R1, /* recoverer: some tombstones written */
	SLUICE_FAIL_R2, /* recoverer: all written, entries not freed, nobody woken */
	SLUICE_FAIL_J1, /* joiner: entry JOINING, nothing else */
	SLUICE_FAIL_J2, /* joiner: gates, position not chosen */
	SLUICE_FAIL_COUNT
};

#ifdef SLUICE_FAILPOINTS
void sluice_failpoint(enum sluice_failpoint point);
#define SLUICE_FAILPOINT(point) sluice_failpoint(SLUICE_FAIL_##point)
#else
#define SLUICE_FAILPOINT(point) ((void)0)
#endif

#endif
