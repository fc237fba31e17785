/* SPDX-License-Identifier: MIT */
/*
 * recovery_internal.h - what the producer's side needs of recovery: taking over a single-producer
 * ring, and burying slots of one's own. Not installed.
 */
#ifndef SLUICE_SHM_RECOVERY_INTERNAL_H
#define SLUICE_SHM_RECOVERY_INTERNAL_H

#include "shm/ring.h"

struct sluice_takeover {
	uint64_t next;	      /* where the successor claims and publishes from */
	uint64_t claim_floor; /* the claim word must not be seen below it */
	uint64_t tombstones;
};

/*
 * Takes over from a single-producer ring's predecessor, which is dead: the caller holds its byte.
 * Cursor ring: what was claimed and not published is simply claimed again. Stamped ring: it becomes
 * tombstones, up to where the slots are free; a predecessor that died between its claim word and
 * its look at a newcomer has claimed more, and has not touched it. -EBADMSG: the words contradict
 * each other. Idempotent.
 */
int sluice_recover_single(const struct sluice_ring *ring, struct sluice_takeover *ret_takeover);

/* Publishes [from, to), which the caller has claimed and not published, as tombstones. No wake. */
void sluice_bury_range(const struct sluice_ring *ring, uint64_t from, uint64_t to);

#endif
