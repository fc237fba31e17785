/* SPDX-License-Identifier: MIT */
/*
 * tap.h - read a ring without being seen: a read-only mapping, no lock, no entry in the table, no
 * byte written (R5). Never gates; what is overwritten before it was read is counted and skipped.
 *
 * One thread per tap. Nothing blocks but sluice_tap_wait, which sleeps in steps of at most 1 ms
 * (nobody wakes a tap, because it has nowhere to leave its name).
 */
#ifndef SLUICE_CONSUMER_TAP_H
#define SLUICE_CONSUMER_TAP_H

#include "shm/ring.h"

struct sluice_tap {
	struct sluice_ring ring;
	uint64_t next;
	uint64_t gaps;	/* events lost to overwriting, in total */
	uint64_t voids; /* tombstones passed */
};

enum sluice_tap_from { SLUICE_TAP_OLDEST = 0, SLUICE_TAP_END = 1, SLUICE_TAP_SEQUENCE = 2 };

SLUICE_API void sluice_tap_open(struct sluice_tap *ret_tap, struct sluice_segment *segment,
				enum sluice_tap_from from, uint64_t sequence);

/*
 * The next whole event, copied to ret_event (ring.payload_bytes long) with its sequence: 0;
 * -EAGAIN nothing new; -EPIPE closed and all read. tap->gaps grows when events were lost before it.
 */
SLUICE_API int sluice_tap_next(struct sluice_tap *tap, void *ret_event, uint64_t *ret_sequence);

/* The same; sleeps up to timeout_ns for one; -ETIMEDOUT. */
SLUICE_API int sluice_tap_wait(struct sluice_tap *tap, uint64_t timeout_ns, void *ret_event,
			       uint64_t *ret_sequence);

/* First sequence that is not published yet. */
SLUICE_API uint64_t sluice_tap_end(const struct sluice_tap *tap);

#endif
