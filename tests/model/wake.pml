/* SPDX-License-Identifier: MIT */
/*
 * wake.pml - falling asleep and waking, for events and for space, with store buffers.
 *
 * Stands for	sluice_sleep_begin, sluice_sleep_end, sluice_wake	shm/wait.c
 *		sluice_producer_wake, sluice_producer_claim		producer/producer.[ch]
 *		sluice_consumer_release, sluice_consumer_wait		consumer/consumer.[ch]
 *
 * Modelled: PRODUCERS producers, each with a word that says how much it has published, and CONSUMERS
 * consumers with their positions. A store of such a word goes into its process's store buffer and
 * reaches memory at any later time, in order (x86-TSO); an atomic read-modify-write waits until
 * the own buffer is empty; membarrier empties those of all others, one after the other. A futex
 * compares and goes to sleep in one step. Sleeps have no timeout and nobody dies: the real sleep
 * is bounded because of deaths only, and here a lost wake-up is a deadlock, which Spin reports.
 *
 * Left out: the slots, spinning before the sleep, who of several producers gets the space.
 * Bounds: SLOTS of space, ROUNDS events of each producer. The wake word does not wrap.
 *
 * Mutants (-D): NO_BARRIER, LOOK_FIRST, LOAD_FIRST, NO_TICKET, CLEAR_AFTER.
 */
#include "witness.pml"
#ifndef PRODUCERS
#define PRODUCERS 1
#endif
#ifndef CONSUMERS
#define CONSUMERS 1
#endif
#ifndef SLOTS
#define SLOTS 1
#endif
#ifndef ROUNDS
#define ROUNDS 3
#endif
#define ALL (PRODUCERS + CONSUMERS)
#define TOTAL (PRODUCERS * ROUNDS)

/* Participants: producers first. What a process stored last, and what has reached memory. */
byte stored[ALL];
byte memory[ALL];
byte claimed;		  /* by all producers */
byte event_sleepers;	  /* bits */
byte space_sleepers;
byte wake[ALL];
bool asleep[ALL];

#if PRODUCERS == 1
#define events memory[0]
#else
#define events (memory[0] + memory[1])
#endif
#if CONSUMERS == 1
#define room (claimed < memory[PRODUCERS] + SLOTS)
#else
#define room (claimed < memory[PRODUCERS] + SLOTS && claimed < memory[PRODUCERS + 1] + SLOTS)
#endif
#define drained (memory[self] == stored[self])

/* The store buffers' way to memory: one store at a time. */
proctype buffers()
{
end:
	do
	:: atomic { memory[0] < stored[0] -> memory[0]++ }
	:: atomic { memory[1] < stored[1] -> memory[1]++ }
#if PRODUCERS + CONSUMERS > 2
	:: atomic { memory[2] < stored[2] -> memory[2]++ }
#endif
	od
}

inline wake_up(sleepers)
{
	atomic {
		drained;
		bits = sleepers;
#ifndef CLEAR_AFTER
		sleepers = 0
#endif
	}
	i = 0;
	do
	:: i < ALL && (bits >> i & 1) ->
		wake[i]++;
		atomic { asleep[i] = false; i++ }
	:: i < ALL && !(bits >> i & 1) -> i++
	:: i == ALL -> break
	od;
#ifdef CLEAR_AFTER
	atomic { drained; sleepers = sleepers & ~bits }
#endif
	atomic { bits = 0; i = 0 }
}

inline look_for_sleepers(sleepers)
{
	if
	:: sleepers != 0 -> wake_up(sleepers)
	:: sleepers == 0
	fi
}

inline sleep(sleepers, ready)
{
	ticket = wake[self];
#ifdef LOOK_FIRST
	found = ready;
#endif
	atomic { drained; sleepers = sleepers | (1 << self) }
#ifndef NO_BARRIER
	i = 0;
	do
	:: i < ALL -> atomic { memory[i] = stored[i]; i++ }
	:: i == ALL -> i = 0; break
	od;
#endif
#ifndef LOOK_FIRST
	found = ready;
#endif
	if
	:: found
	:: !found ->
		atomic {
#ifndef NO_TICKET
			if
			:: wake[self] == ticket ->
				WITNESS(ASLEEP);
				asleep[self] = true
			:: else -> WITNESS(TICKET_OLD)
			fi
#else
			asleep[self] = true
#endif
		}
		!asleep[self]
	fi;
	atomic { drained; sleepers = sleepers & ~(1 << self); ticket = 0; found = false }
}

proctype producer(byte self)
{
	byte bits, i, ticket;
	bool found;

	do
	:: stored[self] < ROUNDS ->
		do
		:: atomic { room && (drained || PRODUCERS == 1) -> claimed++; break }
		:: !room -> sleep(space_sleepers, room)
		od;
#ifdef LOAD_FIRST
		if
		:: event_sleepers != 0 -> stored[self]++; wake_up(event_sleepers)
		:: event_sleepers == 0 -> stored[self]++
		fi
#else
		stored[self]++;
		look_for_sleepers(event_sleepers)
#endif
	:: stored[self] == ROUNDS -> break
	od
}

proctype consumer(byte self)
{
	byte bits, i, ticket;
	bool found;

	do
	:: stored[self] < TOTAL ->
		do
		:: events > stored[self] -> break
		:: events <= stored[self] -> sleep(event_sleepers, events > stored[self])
		od;
		stored[self]++;
		look_for_sleepers(space_sleepers)
	:: stored[self] == TOTAL -> break
	od
}

init {
	byte p;

	atomic {
		for (p : 0 .. PRODUCERS - 1) {
			run producer(p)
		}
		for (p : PRODUCERS .. ALL - 1) {
			run consumer(p)
		}
		run buffers()
	}
}
