/* SPDX-License-Identifier: MIT */
/*
 * crash_board.h - what the crash harness keeps outside of the ring, in memory that its processes
 * share: how they shall die, what they did, what they saw. Words only; each is written by one
 * process (the one whose life or place it is) and by the driver when that process is gone.
 */
#ifndef SLUICE_TESTS_LIB_CRASH_BOARD_H
#define SLUICE_TESTS_LIB_CRASH_BOARD_H

#include "shm/failpoint.h"
#include "shm/layout.h"

#define CRASH_PRODUCERS_MAX 8
#define CRASH_CRITICAL 2 /* the engine and the stage behind it: they see and account for all */
#define CRASH_SLOTS_MAX 256 /* a claim's slots are bits of four words */
#define CRASH_LIVES_MAX (1u << 19)
#define CRASH_STALLS_MAX (1u << 20)

enum crash_role { /* places after the producers' */
	CRASH_ENGINE = 0,
	CRASH_STAGE = 1,
	CRASH_EVICTABLE = 2,
	CRASH_LOSSY = 3,
	CRASH_CONSUMERS = 4
};
#define CRASH_PLACES_MAX (CRASH_PRODUCERS_MAX + CRASH_CONSUMERS)

/* Once in so many visits of a failpoint; 0 never. */
struct crash_rates {
	uint32_t kill, stop, nap;
};

struct crash_config {
	uint64_t slot_count;
	uint64_t seed;
	uint64_t base_sequence;
	uint32_t producers;
	uint32_t batch_max;  /* of the usual claim */
	bool is_big;	     /* claims of half and of all slots among them */
	bool is_sparse;	     /* producers pause between claims: stalls show without queueing */
	bool has_crowd;	     /* all consumers; else the engine alone */
	struct crash_rates producer, recoverer, joiner;
};

/* A claim as its producer announced it, or as a consumer has found it. */
struct crash_claim {
	_Atomic uint64_t index; /* of its life, from 1 */
	_Atomic uint64_t n;
	_Atomic uint64_t first; /* sequence + 1; 0 while the producer does not know it yet */
	_Atomic uint64_t done[CRASH_SLOTS_MAX / 64]; /* published, or seen */
};

/* The last claim and the one before it: the one not being changed tells what to expect. */
struct crash_life {
	struct crash_claim claims[2];
	_Atomic uint64_t current; /* index of the last one announced; 0 none */
	_Atomic uint64_t is_over; /* ended by itself, every claim published */
};

struct crash_place {
	_Atomic uint64_t is_stopping; /* set before a stop, cleared after it */
	_Atomic uint64_t died_at;     /* enum sluice_failpoint; 0 elsewhere */
	_Atomic uint64_t has_joined;
	_Atomic uint64_t life;
	uint8_t guard[SLUICE_LINE_BYTES - 32];
};

enum crash_wrong { /* what an oracle can find */
	CRASH_RIGHT = 0,
	CRASH_LOST,
	CRASH_DUPLICATE,
	CRASH_REORDERED,
	CRASH_TORN,
	CRASH_STUCK,
	CRASH_UNEXPECTED, /* a call failed in a way that it never should */
	CRASH_WRONGS
};

struct crash_reader { /* of one critical consumer, over all its lives */
	_Atomic uint64_t sequence; /* next to be checked */
	_Atomic uint64_t pending;  /* 1 + the one whose check is being recorded */
	_Atomic uint64_t voids[2]; /* among those before `sequence`: [sequence % 2] */
	struct crash_life lives[CRASH_LIVES_MAX];
};

struct crash_board {
	_Atomic uint64_t is_stopped;
	_Atomic uint64_t lives; /* given out */
	_Atomic uint64_t wrong[CRASH_WRONGS];
	_Atomic uint64_t visits[SLUICE_FAIL_COUNT];
	_Atomic uint64_t copies, gaps, evictions; /* of the evictable and the lossy consumer */
	_Atomic uint64_t stalls;
	_Atomic uint32_t stall_us[CRASH_STALLS_MAX];
	struct crash_place places[CRASH_PLACES_MAX];
	struct crash_life lives_of[CRASH_LIVES_MAX];
	struct crash_reader readers[CRASH_CRITICAL];
};

#endif
