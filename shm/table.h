/* SPDX-License-Identifier: MIT */
/*
 * table.h - the lock of the participant table and of recovery: byte SLUICE_LOCK_RECOVERER of the
 * lock file between processes, a mutex within one. The kernel frees it when its holder dies.
 *
 * Entries are taken and evicted, and holes filled, under it. Nobody holds it for longer than a pass
 * over the table or the ring, unless it is stopped. Internal to shm/.
 */
#ifndef SLUICE_SHM_TABLE_H
#define SLUICE_SHM_TABLE_H

#include "shm/segment.h"

/* 0, or -EAGAIN: another process has it. Threads of this process wait for each other. */
int sluice_table_try_lock(const struct sluice_segment *segment);

/* Waits up to a second. -EBUSY with a text: its holder is stopped. */
int sluice_table_lock(const struct sluice_segment *segment, struct sluice_diag *diag);

void sluice_table_unlock(const struct sluice_segment *segment);

#endif
