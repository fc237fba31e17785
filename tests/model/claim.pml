/* SPDX-License-Identifier: MIT */
/*
 * claim.pml - claim, publish, gate and recovery of a multi-producer ring, with deaths at any step.
 *
 * Stands for	sluice_producer_try_claim, publish and the wait for space	producer/producer.[ch]
 *		sluice_recover			shm/recovery.c
 *		taking an entry			shm/participant.c join_new, entry_is_free
 *		a gating consumer		consumer/consumer.[ch]
 *
 * Modelled: every access of a shared word is a step of its own. A producer may die between
 * any two steps, which frees its byte in the same step (the kernel frees it after the last store). A
 * dead producer's entry is taken by a new incarnation, under the table's lock. One recoverer, which
 * starts a pass at up to PASSES arbitrary moments, dies CRASHES times at any step of a pass and begins
 * again (another process takes over the lock), and runs whenever nothing else can move: a pass that
 * then changes nothing means that the ring hangs for ever.
 *
 * Left out: joins and leaves of consumers (join.pml), sleeping (wake.pml: a wait is a guard here),
 * the payload's bytes (ghost `data`), the 48 bits of a record (sequences are small). Store buffers:
 * the compare-and-swap drains the announcement, all else is stores in order, so a delayed store is
 * a slow producer.
 *
 * Bounds: SLOTS slots, PRODUCERS entries, the first MORTALS of which die, KILLS deaths, sequences
 * below LAST, claims of 1 slot or, by the first PAIRS entries, of 2.
 *
 * Properties, all asserted: one writer of a slot at a time and nobody writes what the consumer still
 * needs; a tombstone never replaces the event of a live producer or a published one; the consumer
 * gets the sequences in order, each whole, as the event that was published or a tombstone of a
 * dead one; no hang.
 *
 * A pass may also search all records for an attempt and then all for a claim (-DATTEMPTS_FIRST): a
 * record turns from the one into the other, never back for the same slot.
 *
 * Mutants (-D):
 *	EQUAL		a slot that was reused meanwhile is taken for unpublished (== for >=)
 *	SAMPLE_FIRST	liveness is sampled before the lock, and so before the claim word: a new owner of
 *			the entry, which joined in between, passes for dead
 *	TIMEOUT		a live producer is declared dead
 *	NO_REREAD	no second look at the stamp before the tombstone
 *	STALE_ATTEMPT	the record is not cleared before a wait for space: a hang
 *	EARLY_IDLE	the record is cleared before the stamps are stored
 *	UNMASKED	WRITING | s counts as published
 *	REFUTE_LATE	an attempt counts as failed when its first slot is published, though the record is
 *			not looked at again: its owner may have gone on and published it
 *	CLAIMED_FIRST	all records are searched for a claim, then all for an attempt: one that turns
 *			from the one into the other in between is missed
 *	STALE_GATE	a position that was read before the line moved on is taken for damage
 */
#ifndef SLOTS
#define SLOTS 2
#endif
#ifndef PRODUCERS
#define PRODUCERS 2
#endif
#ifndef LAST
#define LAST 4
#endif
#ifndef KILLS
#define KILLS 2
#endif
#ifndef MORTALS
#define MORTALS PRODUCERS
#endif
#ifndef PAIRS /* so many producers claim two slots at once */
#define PAIRS PRODUCERS
#endif
#ifndef PASSES
#define PASSES 1
#endif
#ifndef CRASHES
#define CRASHES 1
#endif

#include "witness.pml"
#define WRITING 128
#define VOID 64
#define SEQ 63

#ifdef UNMASKED
#define published(x, s) ((x) >= (s) + 1)
#else
#define published(x, s) (((x) & SEQ) >= (s) + 1)
#endif
#ifdef EQUAL /* the recoverer takes a slot that was reused meanwhile for unpublished */
#define recovered(x, s) (((x) & (SEQ | WRITING)) == (s) + 1)
#else
#define recovered(x, s) published(x, s)
#endif

#define IDLE 0
#define ATTEMPT 1
#define CLAIMED 2
/* a record in one byte: state, count less one, first sequence */
#define pack(state, first, n) ((state) << 6 | ((n) - 1) << 5 | (first))
#define state_of(r) ((r) >> 6)
#define first_of(r) ((r) & 31)
#define covers(r, s) ((s) >= first_of(r) && (s) <= first_of(r) + ((r) >> 5 & 1))

byte claim;
byte position; /* of the consumer */
byte stamp[SLOTS];
byte record[PRODUCERS];
bool held[PRODUCERS]; /* the lock bytes */
bool taken[PRODUCERS]; /* entry is ACTIVE */
bool table;	       /* the table's lock */
byte kills = KILLS;
byte passes = PASSES;
byte crashes = CRASHES;

/* Ghosts: what is true, for the assertions only. */
#define NOBODY 0
#define DEAD 200
byte owner[LAST];      /* of a sequence until it is consumed: producer + 1, or DEAD */
byte writer[SLOTS];    /* who may be storing into the slot now: producer + 1 */
bool event[LAST];      /* published by its owner */
byte want[PRODUCERS];  /* not 0: waits for so many slots */

#define room(t, n, gate) ((t) + (n) <= (gate) + SLOTS)

inline mark(s)
{
	stamp[(s) % SLOTS] = WRITING | (s);
	assert(writer[(s) % SLOTS] == NOBODY);
	assert(owner[s] == self + 1);
	assert((s) < position + SLOTS);
	writer[(s) % SLOTS] = self + 1
}

inline publish(s)
{
	atomic {
		stamp[(s) % SLOTS] = (s) + 1;
		assert(writer[(s) % SLOTS] == self + 1);
		writer[(s) % SLOTS] = NOBODY;
		event[s] = true
	}
}

proctype producer(byte self)
{
	byte t, n, gate;

join:
	if
	:: atomic {
		claim < LAST && !table && (!taken[self] || record[self] == IDLE) ->
		held[self] = true;
		taken[self] = true;
		record[self] = IDLE
	   }
	:: atomic { claim >= LAST -> goto gone }
	fi;
	{
		n = 0;
next:
		atomic {
			t = claim;
			if
			:: t + 1 < LAST && self < PAIRS -> n = 2
			:: t < LAST -> n = 1
			:: t >= LAST -> goto leave
			fi
		}
again:
		if
		:: t + n > LAST -> /* the last ones were taken by somebody else */
			record[self] = IDLE;
			goto next
		:: t + n <= LAST && !room(t, n, position) ->
			atomic {
#ifndef STALE_ATTEMPT
				record[self] = IDLE;
#endif
				want[self] = n
			}
			atomic { /* waits while a look would find no space */
				room(claim, n, position) || claim + n > LAST;
				want[self] = 0;
				gate = position
			}
			atomic {
				t = claim;
				if
				:: t > gate + SLOTS ->
					WITNESS(MOVED_ON);
#ifdef STALE_GATE
					assert(false); /* taken for damage */
#endif
					assert(t <= position + SLOTS)
				:: else
				fi;
				gate = 0;
				goto again
			}
		:: t + n <= LAST && room(t, n, position)
			/* a gate cached from before can only be lower */
		fi;
		record[self] = pack(ATTEMPT, t, n);
		atomic {
			if
			:: claim == t ->
				claim = t + n;
				owner[t] = self + 1;
				owner[t + n - 1] = self + 1
			:: else ->
				t = claim;
				goto again
			fi
		}
		atomic {
#ifdef EARLY_IDLE
			record[self] = IDLE;
#else
			record[self] = pack(CLAIMED, t, n);
#endif
			/* the mark in the same step: it looks like the stamp before it to all others */
			mark(t);
			if
			:: n == 2 -> mark(t + 1)
			:: n == 1 -> goto one
			fi
		}
		if
		:: publish(t + 1); n = 1
		:: publish(t); t++; n = 1
		fi;
one:
		publish(t);
		record[self] = IDLE;
		goto next;
leave:
		atomic {
			taken[self] = false;
			held[self] = false;
			goto gone
		}
	} unless {
		atomic { !held[self] -> t = 0; n = 0; gate = 0; goto join }
	};
gone:
	skip
}

/*
 * Any process may be gone between any two of its steps. It does not store again; then its byte is
 * free. `unless` sends it away before its next step.
 */
proctype death()
{
	byte i, k;

end:
	do
	:: atomic {
		kills > 0 && (held[0] || MORTALS > 1 && held[1]) ->
		if
		:: held[0]
		:: MORTALS > 1 && held[1] -> i = 1
		fi;
		kills--;
		held[i] = false;
		want[i] = 0;
		for (k : 0 .. LAST - 1) {
			if
			:: owner[k] == i + 1 && !event[k] -> owner[k] = DEAD
			:: else
			fi
		}
		for (k : 0 .. SLOTS - 1) {
			if
			:: writer[k] == i + 1 -> writer[k] = NOBODY
			:: else
			fi
		}
		k = 0;
		i = 0
	   }
	:: atomic { crashes > 0 && table -> crashes--; table = false }
	od
}

/* Reading and releasing are one step: mark() sees to it that no slot is taken from under a reader. */
proctype consumer()
{
	byte x;

	do
	:: atomic {
		position < LAST && published(stamp[position % SLOTS], position) ->
		x = stamp[position % SLOTS];
		assert(!(x & WRITING) && x == (position + 1 | x & VOID));
		assert(writer[position % SLOTS] == NOBODY);
		if
		:: x & VOID ->
			WITNESS(TOMBSTONE);
			assert(!event[position] && owner[position] == DEAD)
		:: else -> assert(event[position])
		fi;
		owner[position] = NOBODY;
		event[position] = false;
		x = 0;
		position++
	   }
	:: position == LAST -> break
	od
}

#define unfinished (position < claim && !published(stamp[position % SLOTS], position))
/* A producer that will not move unless somebody else does. */
#define still(i) \
	(want[i] && !room(claim, want[i], position) && claim + want[i] <= LAST || \
	 !held[i] && (claim >= LAST || taken[i] && record[i] != IDLE))
#if PRODUCERS == 2
#define all_still (still(0) && still(1))
#else
#define all_still (still(0) && still(1) && still(2))
#endif

inline sample()
{
	atomic {
		for (i : 0 .. PRODUCERS - 1) {
			live[i] = held[i]
		}
		i = 0
	}
}

#define is_claim(i) (state_of(record[i]) == CLAIMED && covers(record[i], s))
#define is_attempt(i) (state_of(record[i]) == ATTEMPT && covers(record[i], s))

/* All records in turn, each looked at once, for what is asked for. */
inline scan(claims, attempts)
{
	do
	:: i < PRODUCERS && !live[i] -> i++
	:: i < PRODUCERS && live[i] ->
		atomic {
			if
			:: claims && is_claim(i) -> owned = true
			:: attempts && is_attempt(i) -> r = record[i]
			:: else
			fi
		}
		if
		:: r != IDLE -> refute()
		:: else
		fi;
		atomic { r = IDLE; i++ }
	:: i == PRODUCERS -> i = 0; break
	od
}

/* Whose is s? owned, undetermined or neither. */
inline look_up()
{
#if defined(CLAIMED_FIRST)
	scan(true, false);
	scan(false, true)
#elif defined(ATTEMPTS_FIRST)
	scan(false, true);
	scan(true, false)
#else
	scan(true, true)
#endif
}

/*
 * An attempt is out of the game when its first slot is published, which was not by itself because
 * it is still an attempt after that, or claimed by somebody else.
 */
inline refute()
{
#ifdef REFUTE_LATE
	undetermined = undetermined || !published(stamp[first_of(r) % SLOTS], first_of(r));
#else
	x = stamp[first_of(r) % SLOTS];
	atomic {
		if
		:: published(x, first_of(r)) && record[i] == r ->
			WITNESS(REFUTED_STAMP)
		:: else -> x = 0
		fi
	}
	j = 0;
	do
	:: x == 0 && j < PRODUCERS -> atomic {
		if
		:: j != i && state_of(record[j]) == CLAIMED && covers(record[j], first_of(r)) ->
			x = 1;
			WITNESS(REFUTED_CLAIM)
		:: else
		fi;
		j++
	   }
	:: else ->
		undetermined = undetermined || x == 0;
		x = 0;
		j = 0;
		break
	od
#endif
}

inline bury(s)
{
	atomic {
		assert(!published(stamp[s % SLOTS], s));
		assert(owner[s] == DEAD);
		stamp[s % SLOTS] = VOID | (s + 1);
		changed = true
	}
}

proctype recoverer()
{
	byte end, s, i, j, r, x;
	bool live[PRODUCERS];
	bool owned, undetermined, quiet, changed, open, locked;

start:
	if
	:: atomic { unfinished && passes > 0 -> passes--; quiet = false }
	:: atomic { all_still && (position == claim || unfinished) && position < LAST ->
		quiet = true
	   }
	:: atomic { position == LAST -> goto over }
	fi;
	{
#ifdef SAMPLE_FIRST
		sample();
		atomic { !table -> table = true; locked = true; end = claim }
#else
		atomic { !table -> table = true; locked = true; end = claim }
		sample();
#endif
#ifdef TIMEOUT
		if
		:: live[0] = false
		:: true
		fi;
#endif
		s = position;
		do
		:: s < end ->
			if
			:: recovered(stamp[s % SLOTS], s)
			:: !recovered(stamp[s % SLOTS], s) ->
				look_up();
				if
				:: owned || undetermined
#ifdef NO_REREAD
				:: else -> bury(s)
#else
				:: !owned && !undetermined && recovered(stamp[s % SLOTS], s) ->
					WITNESS(REREAD)
				:: !owned && !undetermined && !recovered(stamp[s % SLOTS], s) ->
					bury(s)
#endif
				fi;
				open = open || undetermined
			fi;
			atomic { owned = false; undetermined = false; s++ }
		:: s >= end -> break
		od;
		i = 0;
		do
		:: i < PRODUCERS && !open -> atomic {
			if
			:: !live[i] && taken[i] -> taken[i] = false; changed = true
			:: else
			fi;
			i++
		   }
		:: else -> break
		od;
		atomic { locked = false; table = false }
		assert(!quiet || changed) /* nothing else can move, and nor could this: a hang */
	} unless {
		atomic { locked && !table -> skip }
	};
	atomic {
		end = 0; s = 0; i = 0; j = 0; r = 0; x = 0;
		owned = false; undetermined = false; quiet = false; changed = false; open = false; locked = false;
		for (i : 0 .. PRODUCERS - 1) {
			live[i] = false
		}
		i = 0;
		goto start
	}
over:
	skip
}

init {
	byte p;

	atomic {
		for (p : 0 .. PRODUCERS - 1) {
			run producer(p)
		}
		run death();
		run consumer();
		run recoverer()
	}
}
