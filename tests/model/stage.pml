/* SPDX-License-Identifier: MIT */
/*
 * stage.pml - the gating bit goes from an upstream stage to a follower that joins, and back.
 *
 * Stands for	taking and giving up the bit of a followed stage	shm/participant.c
 *		sluice_gate_claim					shm/ring.c
 *
 * Modelled: an upstream consumer that stays, a follower that reads only up to the upstream's
 * position, joins at that position or at the oldest safe one, leaves or is evicted at any moment
 * (for the bits it is the same: the evictor does what the leaver would) and comes again; one producer
 * with its cached gate, its cached membership and an announcement that may stay in its store buffer
 * while it looks (join.pml has several). Only terminal stages have their bit set.
 *
 * Left out: several upstreams (each bit is moved alike), an upstream that leaves first (its followers
 * end then), the death of somebody in the middle of a hand-over.
 * Bounds: SLOTS slots, JOINS joins, sequences below LAST.
 *
 * Properties, asserted: no claim reaches a slot that upstream or follower has not released; at every
 * moment somebody gates; nobody waits for ever (a deadlock).
 *
 * Mutants (-D): UPSTREAM_FIRST (its bit is cleared before the follower's is set), EARLY_POSITION (the
 * follower's is chosen before its bit), FOLLOWER_NEXT (it starts at the first unpublished sequence),
 * OWN_FIRST (a leaver clears its own bit before it sets the upstream's).
 */
#include "witness.pml"
#ifndef SLOTS
#define SLOTS 2
#endif
#ifndef JOINS
#define JOINS 2
#endif
#ifndef LAST
#define LAST 5
#endif
#define UPSTREAM 0
#define FOLLOWER 1

#define NEVER 255
byte claim;
byte published; /* one producer: a prefix */
byte attempt = NEVER;
byte buffered = NEVER;
byte gating = 1; /* bit 0: upstream, bit 1: follower */
byte membership;
byte position[2];
bool joining;
bool follows; /* ghost: the follower's position counts */

#define gates(c) (gating >> (c) & 1)
#define free_of(c) (!gates(c) || claim < position[c] + SLOTS)
#define space (free_of(UPSTREAM) && free_of(FOLLOWER) && !(gates(FOLLOWER) && joining))

proctype producer()
{
	byte gate, seen, bits;
	bool held;

refresh:
	do
	:: claim == LAST -> break
	:: claim < LAST ->
		atomic {
			attempt = NEVER;
			buffered = NEVER;
			space; /* waits while a look would find none */
			seen = membership;
			held = false
		}
		atomic { bits = gating; gate = NEVER }
		if
		:: bits & 1 -> gate = position[UPSTREAM]
		:: else
		fi;
		if
		:: bits & 2 -> atomic {
			held = joining;
			if
			:: position[FOLLOWER] < gate -> gate = position[FOLLOWER]
			:: else
			fi
		   }
		:: else
		fi;
		if
		:: bits == 0 -> gate = published
		:: else
		fi;
		do
		:: claim < LAST && claim < gate + SLOTS && !held ->
			buffered = claim; /* the announcement */
			if
			:: membership != seen -> WITNESS(STALE); goto refresh
			:: membership == seen
			fi;
			atomic {
				assert(claim < position[UPSTREAM] + SLOTS);
				assert(!follows || claim < position[FOLLOWER] + SLOTS);
				if
				:: joining -> WITNESS(CLAIM_WHILE_JOINING)
				:: else
				fi;
				claim++;
				attempt = NEVER;
				buffered = NEVER
			}
			published++
		:: else -> break
		od
	od
}

proctype buffers()
{
end:
	do
	:: atomic { buffered != NEVER -> attempt = buffered; buffered = NEVER }
	od
}

proctype upstream()
{
	do
	:: position[UPSTREAM] < published ->
		position[UPSTREAM] = position[UPSTREAM] + 1
	:: position[UPSTREAM] == LAST -> break
	od
}

inline choose_position()
{
	if
	:: true -> /* FROM_NEXT */
#ifdef FOLLOWER_NEXT
		position[FOLLOWER] = published
#else
		position[FOLLOWER] = position[UPSTREAM]
#endif
	:: true -> /* FROM_BEGINNING */
		if
		:: attempt != NEVER -> bound = attempt + 1
		:: else
		fi;
		atomic {
			if
			:: claim > bound -> bound = claim
			:: else
			fi;
			if
			:: bound > SLOTS -> bound = bound - SLOTS; WITNESS(FROM_OLDEST)
			:: else -> bound = 0
			fi
		}
		atomic { position[FOLLOWER] = bound; bound = 0 }
	fi
}

proctype follower()
{
	byte bound, joins;

	do
	:: joins < JOINS ->
		joins++;
		joining = true;
#ifdef EARLY_POSITION
		choose_position();
#endif
#ifdef UPSTREAM_FIRST
		gating = gating & ~1;
		membership++;
#endif
		gating = gating | 2;
		membership++;
		/* the barrier */
		atomic {
			if
			:: buffered != NEVER -> attempt = buffered; buffered = NEVER
			:: else
			fi
		}
#ifndef EARLY_POSITION
		choose_position();
#endif
		atomic {
			joining = false;
			follows = true;
			assert(claim <= position[FOLLOWER] + SLOTS)
		}
		gating = gating & ~1;
		membership++;
		do
		:: position[FOLLOWER] < position[UPSTREAM] ->
			position[FOLLOWER] = position[FOLLOWER] + 1
		:: break /* leaves or is evicted at any time */
		od;
		if
		:: position[FOLLOWER] < position[UPSTREAM] -> WITNESS(LEFT_BEHIND)
		:: position[FOLLOWER] >= position[UPSTREAM]
		fi;
		follows = false;
#ifdef OWN_FIRST
		gating = gating & ~2;
		membership++;
		gating = gating | 1;
#else
		gating = gating | 1;
		membership++;
		gating = gating & ~2;
#endif
		membership++;
		position[FOLLOWER] = 0
	:: joins == JOINS -> break
	od
}

init {
	atomic {
		run producer();
		run buffers();
		run upstream();
		run follower()
	}
}
