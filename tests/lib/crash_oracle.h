/* SPDX-License-Identifier: MIT */
/*
 * crash_oracle.h - what must be true of a ring whose participants are killed.
 *
 * Each life of a producer numbers its claims from 1 and notes, outside of the ring, what it
 * announces, what it got, and which slots' publication has returned. A consumer that sees all of
 * them notes the same of what it finds. Then:
 *
 *	torn		an event's bytes do not belong together, or to this sequence
 *	duplicate	a slot of a claim is seen twice
 *	reordered	a claim, or a slot of one, comes after a later one of the same life
 *	lost		a slot is missing of a claim that its producer completed, or it is one whose
 *			publication returned; or there are more tombstones than the dead had claimed
 *
 * so a missing number is a tombstone in the last claim of a life that was cut short, or an error.
 * The notes survive the reader's own death at any instant: its successor goes on checking.
 */
#ifndef SLUICE_TESTS_LIB_CRASH_ORACLE_H
#define SLUICE_TESTS_LIB_CRASH_ORACLE_H

#include "tests/lib/crash_board.h"

struct crash_event { /* as large as a slot of stride 64 takes */
	uint64_t life;
	uint32_t claim;
	uint16_t n;
	uint16_t i; /* of the claim's n */
	uint64_t sequence;
	uint64_t body[3];
	uint64_t sum;
};
SLUICE_STATIC_ASSERT(sizeof(struct crash_event) == 56, "stride 64 less the stamp");

/* Sets body and sum; the rest is the caller's. */
void crash_event_seal(struct crash_event *event);
/* Whole, and of this sequence? The bytes may be anything. */
bool crash_event_is_whole(const struct crash_event *event, const struct crash_board *board,
			  uint64_t sequence);

/* The producer's notes: before the claim, after it, after lo..hi (of 0..n-1) were published. */
void crash_note_intent(struct crash_life *life, uint64_t n);
void crash_note_claim(struct crash_life *life, uint64_t first);
void crash_note_published(struct crash_life *life, uint64_t lo, uint64_t hi);

/* A consumer that sees everything, each sequence in order; event NULL: a tombstone. */
void crash_see(struct crash_board *board, struct crash_reader *reader, uint64_t sequence,
	       const struct crash_event *event);

/* Tombstones among what it has seen. */
uint64_t crash_voids(const struct crash_reader *reader);

void crash_wrong(struct crash_board *board, enum crash_wrong wrong, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* After the end: compares all notes of all lives. Prints what is wrong. */
void crash_account(struct crash_board *board, struct crash_reader *reader, uint64_t end);

#endif
