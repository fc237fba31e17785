/* SPDX-License-Identifier: MIT */
/*
 * join.pml - gating consumers join and leave while producers claim at full speed.
 *
 * Stands for	consumer_place, gating_set, sluice_participant_leave	shm/participant.c
 *		sluice_claim_bound, sluice_gate_claim			shm/ring.c
 *		take, sluice_multi_refresh				producer/multi.c, producer.c
 *
 * Modelled: the gating bits, membership, the entries' states and positions, the claim word, the
 * records and stamps; a producer's cached gate and membership; the store buffer that an announced
 * ATTEMPT may stay in while its owner looks at membership already (x86-TSO: the one place where a
 * load overtakes a store that matters; the compare-and-swap and the joiner's barrier empty it).
 * Consumers join FROM_NEXT or FROM_BEGINNING, read, leave at any moment and come again; at times
 * nobody gates. A wait for space is a guard.
 *
 * Left out: deaths and recovery (claim.pml), marks in the slots, sleeping (wake.pml).
 * Bounds: SLOTS slots, two producers, CONSUMERS entries, JOINS joins of each, sequences below LAST.
 *
 * Properties, asserted: no claim reaches a slot at or after the position of a consumer that gates,
 * nor one whose last owner has not published; the consumer reads what it shall; nobody waits for
 * ever (a deadlock).
 *
 * Mutants (-D): EARLY_POSITION, NO_RECORDS, CLAIM_WORD_FIRST, NO_SECOND_LOOK, CLAIM_WORD_GATE.
 */
#include "witness.pml"
#ifndef SLOTS
#define SLOTS 2
#endif
#ifndef CONSUMERS
#define CONSUMERS 1
#endif
#ifndef JOINS
#define JOINS 2
#endif
#ifndef LAST
#define LAST 4
#endif
#define PRODUCERS 2

#define FREE 0
#define JOINING 1
#define ACTIVE 2

#define NEVER 255
byte claim;
byte stamp[SLOTS];
byte record[PRODUCERS] = NEVER;   /* first sequence of an ATTEMPT; NEVER: another state */
byte buffered[PRODUCERS] = NEVER; /* stored, and not in memory yet */
byte gating;
byte membership;
byte state[CONSUMERS];
byte position[CONSUMERS];
bool table;

bool protected[CONSUMERS]; /* ghost: its position counts */

#define published(s) (stamp[(s) % SLOTS] >= (s) + 1)
#define oldest (claim > SLOTS -> claim - SLOTS : 0)

/* The first unpublished sequence; a scan that is slower finds one that is not greater. */
inline first_unpublished(ret)
{
	ret = oldest;
	do
	:: published(ret) -> ret++
	:: else -> break
	od
}

#define free_of(c) (!(gating >> (c) & 1) || state[c] != JOINING && claim < position[c] + SLOTS)
#if CONSUMERS == 1
#define space (free_of(0) && (gating || claim < SLOTS || published(claim - SLOTS)))
#else
#define space (free_of(0) && free_of(1) && (gating || claim < SLOTS || published(claim - SLOTS)))
#endif

inline refresh()
{
	record[self] = NEVER;
	buffered[self] = NEVER;
	atomic { space || claim >= LAST; seen = membership }
	atomic {
		bits = gating;
		gate = NEVER;
		if
		:: bits == 0 ->
			WITNESS(NOBODY_GATES);
#ifdef CLAIM_WORD_GATE
			gate = claim
#else
			first_unpublished(gate)
#endif
		:: else
		fi
	}
	c = 0;
	do
	:: c < CONSUMERS && (bits >> c & 1) -> atomic {
		if
		:: state[c] == JOINING -> gate = 0; held = true
		:: state[c] != JOINING && position[c] < gate -> gate = position[c]
		:: else
		fi;
		c++
	   }
	:: c < CONSUMERS && !(bits >> c & 1) -> c++
	:: c == CONSUMERS -> c = 0; bits = 0; break
	od;
	t = claim
}

proctype producer(byte self)
{
	byte t, gate, seen, bits, c;
	bool held;

	seen = NEVER;
	t = claim;
	do
	:: t >= LAST -> break
	:: t < LAST && (t >= gate + SLOTS || seen == NEVER || held) -> held = false; refresh()
	:: t < LAST && t < gate + SLOTS && seen != NEVER && !held ->
		buffered[self] = t; /* the announcement */
#ifndef NO_SECOND_LOOK
		if
		:: membership != seen -> WITNESS(STALE); refresh(); goto again
		:: membership == seen
		fi;
#endif
		atomic {
			if
			:: claim == t ->
				assert(t < SLOTS || published(t - SLOTS));
				for (c : 0 .. CONSUMERS - 1) {
					assert(!protected[c] || t < position[c] + SLOTS);
					if
					:: state[c] == JOINING -> WITNESS(CLAIM_WHILE_JOINING)
					:: else
					fi
				}
				c = 0;
				claim++;
				record[self] = NEVER;
				buffered[self] = NEVER
			:: else ->
				record[self] = t;
				buffered[self] = NEVER;
				t = claim;
				goto again
			fi
		}
		stamp[t % SLOTS] = t + 1;
		t = claim;
again:
		skip
	od
}

/* The store buffers' way to memory. */
proctype buffers()
{
end:
	do
	:: atomic { buffered[0] != NEVER -> record[0] = buffered[0]; buffered[0] = NEVER }
	:: atomic { buffered[1] != NEVER -> record[1] = buffered[1]; buffered[1] = NEVER }
	od
}

inline barrier()
{
	p = 0;
	do
	:: p < PRODUCERS -> atomic {
		if
		:: buffered[p] != NEVER -> record[p] = buffered[p]; buffered[p] = NEVER
		:: else
		fi;
		p++
	   }
	:: p == PRODUCERS -> p = 0; break
	od
}

inline look_at_records()
{
#ifndef NO_RECORDS
	p = 0;
	do
	:: p < PRODUCERS -> atomic {
		if
		:: record[p] != NEVER && record[p] + 1 > bound ->
			bound = record[p] + 1;
			WITNESS(ATTEMPT_SEEN)
		:: else
		fi;
		p++
	   }
	:: p == PRODUCERS -> p = 0; break
	od
#else
	skip
#endif
}

inline look_at_claim()
{
	atomic {
		if
		:: claim > bound -> bound = claim
		:: else
		fi
	}
}

inline choose_position()
{
	if
	:: atomic { first_unpublished(bound); position[self] = bound; bound = 0 } /* FROM_NEXT */
	:: true -> /* FROM_BEGINNING */
#ifdef CLAIM_WORD_FIRST
		look_at_claim();
		look_at_records();
#else
		look_at_records();
		look_at_claim();
#endif
		atomic {
			if
			:: bound > SLOTS -> position[self] = bound - SLOTS
			:: else -> position[self] = 0
			fi;
			bound = 0
		}
	fi
}

proctype consumer(byte self)
{
	byte p, bound, joins;

	do
	:: joins < JOINS ->
		joins++;
		atomic { !table -> table = true }
		state[self] = JOINING;
#ifdef EARLY_POSITION
		choose_position();
#endif
		gating = gating | 1 << self;
		membership++;
		barrier();
#ifndef EARLY_POSITION
		choose_position();
#endif
		atomic {
			state[self] = ACTIVE;
			table = false;
			protected[self] = true;
			assert(claim <= position[self] + SLOTS);
			assert(position[self] <= claim)
		}
		do
		:: atomic {
			published(position[self]) ->
			assert(stamp[position[self] % SLOTS] == position[self] + 1);
			position[self] = position[self] + 1
		   }
		:: break /* leaves at any time */
		od;
		atomic { gating = gating & ~(1 << self); protected[self] = false }
		membership++;
		state[self] = FREE
	:: joins == JOINS -> break
	od
}

init {
	byte p;

	atomic {
		for (p : 0 .. PRODUCERS - 1) {
			run producer(p)
		}
		for (p : 0 .. CONSUMERS - 1) {
			run consumer(p)
		}
		run buffers()
	}
}
