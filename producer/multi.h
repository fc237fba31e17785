/* SPDX-License-Identifier: MIT */
/* multi.h - what producer.c and multi.c share about multi-producer rings. Not installed. */
#ifndef SLUICE_PRODUCER_MULTI_H
#define SLUICE_PRODUCER_MULTI_H

#include "producer/producer.h"

/*
 * Looks at the consumers again: 0 and the claim word, -EAGAIN no space, or why the ring is
 * closed.
 */
int sluice_multi_refresh(struct sluice_producer *producer, uint64_t n, uint64_t *ret_claim);

/* Tombstones for what participant `index` of this process has claimed and not published. */
void sluice_multi_bury(const struct sluice_ring *ring, uint32_t index);

/*
 * The process's list of open handles: a thread that ends inside a claim gives it up. 0 or
 * -ENOMEM.
 */
int sluice_multi_register(struct sluice_producer *producer);
void sluice_multi_unregister(struct sluice_producer *producer);

#endif
