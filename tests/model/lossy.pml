/* SPDX-License-Identifier: MIT */
/*
 * lossy.pml - a reader that does not gate, on a single-producer ring with a published cursor.
 *
 * Stands for	sluice_producer_try_claim, publish_range	producer/producer.h
 *		sluice_ring_copy, sluice_consumer_skip		shm/ring.c, consumer/consumer.c
 *
 * Modelled: the claim word that is stored before the first byte of a slot, a slot of two words, the
 * cursor, the copy and the second look at the claim word. Nobody gates. Stores and loads are in order,
 * as the fences in the source ask for; a load never has to overtake a store here.
 *
 * Bounds: SLOTS slots, sequences below LAST.
 * Property, asserted: a copy that was vouched for is the event that was asked for, whole.
 * Mutants (-D): CLAIM_LATE (the word after the slot), NO_SECOND_LOOK, CURSOR_LOOK (at the cursor).
 */
#include "witness.pml"
#ifndef SLOTS
#define SLOTS 2
#endif
#ifndef LAST
#define LAST 6
#endif

byte claim;
byte cursor;
byte head[SLOTS];
byte tail[SLOTS];

proctype producer()
{
	byte s;

	do
	:: s < LAST ->
#ifndef CLAIM_LATE
		claim = s + 1;
#endif
		head[s % SLOTS] = s;
		tail[s % SLOTS] = s;
#ifdef CLAIM_LATE
		claim = s + 1;
#endif
		cursor = s + 1;
		s++
	:: s == LAST -> break
	od
}

proctype reader()
{
	byte next, end, first, second;

	do
	:: next < LAST ->
		end = cursor;
		if
		:: end <= next -> cursor > next; goto again /* waits */
		:: end > next + SLOTS -> goto skip_ahead
		:: end > next && end <= next + SLOTS
		fi;
		first = head[next % SLOTS];
		second = tail[next % SLOTS];
#ifdef CURSOR_LOOK
		end = cursor;
#else
		end = claim;
#endif
#ifndef NO_SECOND_LOOK
		if
		:: end > next + SLOTS -> WITNESS(OVERWRITTEN); goto skip_ahead
		:: end <= next + SLOTS
		fi;
#endif
		assert(first == next && second == next);
		WITNESS(COPIED);
		next++;
		goto again;
skip_ahead:
		end = claim;
		WITNESS(SKIPPED);
		next = (end > next + SLOTS -> end - SLOTS : next + 1);
again:
		skip
	:: next >= LAST -> break
	od
}

init {
	atomic {
		run producer();
		run reader()
	}
}
