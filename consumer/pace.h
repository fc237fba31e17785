/* SPDX-License-Identifier: MIT */
/*
 * pace.h - what a consumer of a stream does so that it and the producer do not take the same cache
 * lines from each other at every event. Internal to consumer/; the owning thread.
 *
 * take: a line that a reader has shared costs its next writer an invalidation, which is dear
 * between far cores and does not overlap with the next one; a line that the reader owns is handed
 * over as fast as it was read. So who alone gates the producer takes the lines of the events it is
 * given as their owner, by a compare-and-swap that changes nothing: whatever a slot holds, and
 * whoever else reads or writes it, it holds the same afterwards.
 *
 * rest: a reader that looks again as soon as it has caught up makes each event cost a transfer of
 * the word that publishes it, there and back. One that lets some events come first finds many,
 * falls behind, and both stream. It tries that once in many times, and goes on doing it only while
 * it pays: while more events come than looking at each one would let through. Whoever gets an event
 * at a time, as in an exchange of requests and replies, rests once in thousands.
 */
#ifndef SLUICE_CONSUMER_PACE_H
#define SLUICE_CONSUMER_PACE_H

#include "shm/ring.h"

/* Half of a common second-level cache. */
#define SLUICE_PACE_BEHIND_BYTES_MAX (512u * 1024)

struct sluice_pace {
	uint32_t caught_up; /* times since the last rest */
	uint32_t try_at;    /* so many times until the next one */
	uint32_t rest_ns;   /* of the next one */
	bool pays;	    /* the last one did: rest every time */
};

void sluice_pace_init(struct sluice_pace *pace);

/* The reader has caught up. True: it has rested, and sluice_pace_rested wants to know what for. */
bool sluice_pace_rest(struct sluice_pace *pace);
void sluice_pace_rested(struct sluice_pace *pace, uint64_t events);

/* Takes the whole lines of the n published events from `from` on. */
void sluice_pace_take(const struct sluice_ring *ring, uint64_t from, uint64_t n);

#endif
