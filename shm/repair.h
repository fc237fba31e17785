/* SPDX-License-Identifier: MIT */
/*
 * repair.h - putting a segment in order after all its participants died: what recovery does for a
 * dead producer while others live, and the rest that only matters when nobody is left.
 *
 * No start needs it: the next participants recover what they meet, one by one. A repair does all
 * of it at once, says what it found, and is the only one that looks at every word. Cold path, one
 * thread; keeps attachers out while it works (they wait up to two seconds).
 */
#ifndef SLUICE_SHM_REPAIR_H
#define SLUICE_SHM_REPAIR_H

#include "shm/segment.h"

#define SLUICE_REPAIR_FINDINGS_MAX 64 /* reported one by one; all of them are counted */

struct sluice_repair_finding { /* one word of the segment */
	bool damage;	 /* cannot be repaired: nothing the protocol does leads to it */
	uint64_t offset; /* in the file */
	uint64_t found;
	uint64_t least; /* what it should be, or becomes: from ... */
	uint64_t most;	/* ... to */
	char what[96];
};

struct sluice_repair_report { /* `finding` may be NULL */
	void (*finding)(const struct sluice_repair_finding *finding, void *arg);
	void *arg;
};

struct sluice_repair_result {
	bool needed; /* there was something to do */
	uint32_t state; /* enum sluice_segment_state, as found */
	uint32_t state_after;
	uint64_t epoch;
	uint64_t epoch_after;
	uint64_t tombstones; /* claimed and never published */
	uint32_t producers; /* entries of dead producers that were given back */
	uint32_t kept; /* critical consumers that are away and go on gating at their position */
	uint32_t dropped; /* entries of other dead consumers and of half-done joins */
	uint32_t damages;
};

/*
 * Proves by the lock bytes that no participant lives, checks claim word, cursor, stamps, positions
 * and states against each other, and then: unpublished slots below the claim word become tombstones
 * (a cursor ring has none: its next producer claims them again), producers' entries are free,
 * critical consumers are away at their positions, all other consumers gone, nobody sleeps, and the
 * epoch is one higher. A ring that was closed stays closed. `dry_run` attaches read-only and says
 * what it would do.
 *
 * 0: in order now (result->needed tells whether it was before). -EBUSY: a participant lives, or
 * somebody creates, removes or repairs the segment. -EBADMSG: damaged; the text has the first
 * place, *ret_result is set, and nothing was changed but the state, which is POISONED (and stays
 * so: make the segment anew); a damaged header is left as it is, and so is *ret_result. Else as
 * sluice_segment_attach. Idempotent. Killed anywhere, the next repair goes on, and so does the
 * next read-write attachment.
 */
SLUICE_API int sluice_segment_repair(const char *name, bool dry_run,
				     const struct sluice_repair_report *report,
				     struct sluice_repair_result *ret_result,
				     struct sluice_diag *diag);

#endif
