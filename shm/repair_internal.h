/* SPDX-License-Identifier: MIT */
/* repair_internal.h - what repair.c and repair_check.c share. Not for use outside of them. */
#ifndef SLUICE_SHM_REPAIR_INTERNAL_H
#define SLUICE_SHM_REPAIR_INTERNAL_H

#include "shm/repair.h"
#include "shm/ring.h"

enum repair_fate { /* what becomes of an entry */
	REPAIR_NOTHING,
	REPAIR_FREE,
	REPAIR_AWAY
};

struct repair {
	struct sluice_segment segment;
	struct sluice_ring ring;
	const struct sluice_repair_report *report; /* may be NULL */
	struct sluice_repair_result result;
	struct sluice_repair_finding first; /* damage */
	uint32_t reported;
	bool lost; /* claim word or cursor are impossible: nothing can be judged by them */
	uint64_t base;
	uint64_t claim;
	uint64_t published; /* first sequence that is not */
	uint64_t gating;    /* the bits there should be */
	uint32_t fate[SLUICE_PARTICIPANTS_MAX];
};

struct repair_place {
	const void *word; /* in the mapping */
	uint64_t found;
	uint64_t least;
	uint64_t most;
};

/* Counts and reports. */
void repair_note(struct repair *repair, bool damage, const struct repair_place *place,
		 const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Reads every word that matters, decides what becomes of each entry; writes nothing. */
void repair_check(struct repair *repair);

#endif
