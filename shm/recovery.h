/* SPDX-License-Identifier: MIT */
/*
 * recovery.h - slots that a producer claimed, did not publish, and never will because it is dead,
 * become tombstones, so that the line goes on.
 *
 * Any thread of any participant with a writable attachment; idempotent; one at a time under the
 * recoverer's lock byte. Waits for nobody. Consumers that find a claimed slot unpublished for long
 * and producers that find the ring full for long call it by themselves (consumer.c, producer.c).
 */
#ifndef SLUICE_SHM_RECOVERY_H
#define SLUICE_SHM_RECOVERY_H

#include "shm/segment.h"

/* A waiter asks for a recovery after so long without progress, and again at this interval. */
#define SLUICE_RECOVER_AFTER_NS 300000u
#define SLUICE_RECOVER_EVERY_NS 1000000u

/*
 * Turns the holes of dead producers into tombstones and frees their entries. Number of tombstones,
 * 0: there was nothing to do, or every unpublished slot belongs to a live producer. -EAGAIN:
 * undecided, because a live producer is between announcing a claim and making it, or another
 * recovery is running: call again later. -EBADMSG: claim word and positions contradict each
 * other. Wakes everybody who sleeps: the dead may have published and not woken.
 */
SLUICE_API int sluice_recover(struct sluice_segment *segment);

/* The same for who holds the table's lock already (shm/table.h). */
int sluice_recover_locked(struct sluice_segment *segment);

#endif
