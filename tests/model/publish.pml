/* SPDX-License-Identifier: MIT */
/*
 * publish.pml - reports have one number and one content for ever, and nobody misses one.
 *
 * Stands for	publishing, what is taken			engine/publish.c
 *		restart, rings made anew, publishing again	engine/recover.c, collect.c,
 *								instance.c
 *		reports_taken in blocks, a snapshot's place	engine/wal/wal_writer.c, wal_flip.c,
 *								wal_recover.c
 *
 * Modelled: commands that cause one report each, report n that of command n; a block per command,
 * which says which reports were taken when it was composed; the report ring with its published end
 * and the position of the one consumer that it is kept for; snapshots, which the engine names when
 * the reports before their place are taken, and of which a start may have to use the older one.
 * The consumer writes a report into a file of its own, durably, and then lets it go; it goes on
 * behind the last one of its file. Engine and consumer are killed at any step; rings survive that,
 * and a block on its way may arrive later. A power cut at any step takes the rings, and the block
 * that is not durable or not; commands that were not in the log come again, others first.
 *
 * Left out: the disk below the level of durable or not (commit.pml), how snapshots get there
 * (snapshot.pml), reports that nobody is waited for with, several blocks in flight, the comparison
 * of what is regenerated with what is still in the ring: here it would always be equal. What open
 * syncs and the new epoch are one step, before which what was read may be lost.
 * Bounds: COMMANDS, SLOTS of the ring, KILLS of the engine, DEATHS of the consumer, CUTS.
 *
 * Properties, asserted: a ring never begins behind the report that the consumer needs next; the
 * consumer sees no gap, and under a number that it has nothing but what it has; a start finds a
 * log that holds every report which is published, and a base from which every other one comes
 * again. No deadlock: in the end it has all of them.
 *
 * Mutants (-D): COUNT_UNPUBLISHED (what was executed counts as taken), NAMED_EARLY (a snapshot
 * whose reports are not taken), RING_AT_END (a new ring begins behind everything), EARLY_REPUBLISH
 * (before the new epoch is durable), EARLY_PUBLISH (before the block is), NOT_RESERVED (a consumer
 * that has not come yet holds nothing back), RELEASE_FIRST (it lets go what is not in its file).
 */
#include "witness.pml"
#ifndef COMMANDS
#define COMMANDS 4
#endif
#ifndef SLOTS
#define SLOTS 2
#endif
#ifndef KILLS
#define KILLS 1
#endif
#ifndef DEATHS
#define DEATHS 1
#endif
#ifndef CUTS
#define CUTS 2
#endif

mtype = { LOCK, READ, RINGS, SETTLE, RUN, END };

/* The log: commands below `logged`; each from which command ring. */
byte logged;
byte log_from[COMMANDS];
byte log_taken; /* by the last block */
byte newest;	/* places of snapshots */
byte older;
byte coming; /* from which ring the command of the block in flight is, 0: none in flight */
byte coming_taken;
bit arrived;

/* The rings. They begin and end together. */
bool rings = true;
byte ring = 1;
byte published;
byte gate; /* the consumer's position */
bool joined;
byte report_from[COMMANDS];

/* The engine. */
mtype phase = READ;
byte executed;
byte durable;
byte base; /* of replay */
byte history[COMMANDS];
byte taken;

/* The consumer. */
byte have; /* in its file: reports below */
byte have_from[COMMANDS];
bool read;

byte kills;
byte deaths;
byte cuts;
/* What is asserted, by name; no part of a state. */
hidden byte reachable, no_gap, same_report, published_in_log, base_reaches;

#define max(a, b) ((a) > (b) -> (a) : (b))
#define min(a, b) ((a) < (b) -> (a) : (b))
#ifdef COUNT_UNPUBLISHED
#define let_go executed
#else
#ifdef NOT_RESERVED
#define let_go (joined -> gate : published)
#else
#define let_go gate
#endif
#endif
#ifdef NAMED_EARLY
#define may_name(p) true
#else
#define may_name(p) ((p) <= taken)
#endif
#ifdef RING_AT_END
#define new_ring_at executed
#else
#define new_ring_at min(executed, max(taken, base))
#endif
#ifdef EARLY_REPUBLISH
#define publishes (rings && (phase == RUN || phase == SETTLE))
#else
#define publishes (phase == RUN)
#endif
#ifdef EARLY_PUBLISH
#define publish_end executed
#else
#define publish_end (phase == RUN -> durable : executed)
#endif

proctype engine()
{
	byte i;

	do
	:: atomic { phase == LOCK && (coming == 0 || arrived) -> phase = READ }
	:: atomic { phase == READ ->
		executed = 0;
		do
		:: executed < logged -> history[executed] = log_from[executed]; executed++
		:: else -> break
		od;
		taken = max(log_taken, newest);
		if
		:: coming != 0 ->
			WITNESS(LATE);
			history[executed] = coming;
			executed++;
			taken = max(taken, coming_taken)
		:: else
		fi;
		if
		:: base = newest
		:: older < newest -> base = older /* the newest is no good */
		fi;
		base_reaches = base <= executed && (!rings || base <= published);
		assert(base_reaches);
		published_in_log = !rings || published <= executed;
		assert(published_in_log);
		phase = RINGS }
	:: d_step { phase == RINGS ->
		if
		:: !rings ->
			published = new_ring_at;
			if
			:: published < executed -> WITNESS(AGAIN)
			:: else
			fi;
			reachable = published <= have;
			assert(reachable);
			gate = published;
			rings = true;
			ring++
		:: else
		fi;
		phase = SETTLE }
	:: d_step { phase == SETTLE ->
		if
		:: coming != 0 -> log_from[logged] = coming; logged++
		:: else
		fi;
		coming = 0;
		coming_taken = 0;
		arrived = 0;
		log_taken = min(taken, executed); /* by OPEN */
		durable = executed;
		phase = RUN }
	:: d_step { phase == RUN && executed < COMMANDS && coming == 0 && executed < gate + SLOTS ->
		taken = max(taken, let_go);
		history[executed] = ring;
		coming = ring;
		coming_taken = min(taken, executed);
		executed++ }
	:: d_step { phase == RUN && durable < executed && coming == 0 -> durable = executed }
	:: d_step { publishes && published < publish_end && published < gate + SLOTS ->
		report_from[published] = history[published];
		published++ }
	/* A round: what is let go; a follower's snapshot, of some durable place. */
	:: d_step { phase == RUN && taken < let_go -> taken = let_go }
	:: atomic { phase == RUN && newest < durable ->
		i = newest + 1;
		do
		:: i < durable -> i++
		:: break
		od;
		if
		:: may_name(i) ->
			older = newest;
			newest = i
		:: else -> WITNESS(NOT_TAKEN)
		fi;
		i = 0 }
	:: atomic { phase == RUN && published == COMMANDS && have == COMMANDS ->
		phase = END;
		break }
	od
}

proctype device()
{
end:
	do
	:: d_step { coming != 0 && !arrived && phase == RUN ->
		log_from[logged] = coming;
		logged++;
		log_taken = coming_taken;
		coming = 0;
		coming_taken = 0 }
	:: atomic { coming != 0 && !arrived && phase == LOCK ->
		if
		:: arrived = 1
		:: coming = 0; coming_taken = 0
		fi }
	od
}

inline keep()
{
	same_report = gate >= have || have_from[gate] == report_from[gate];
	assert(same_report);
	no_gap = gate <= have;
	assert(no_gap);
	if
	:: gate == have -> have_from[have] = report_from[gate]; have++
	:: else -> WITNESS(SKIPPED)
	fi
}

proctype consumer()
{
	byte at;

	do
	:: d_step { rings && !joined -> joined = true }
#ifdef RELEASE_FIRST
	:: d_step { rings && joined && !read && gate < published -> at = gate; gate++; read = true }
	:: d_step { read ->
		read = false;
		if
		:: at == have -> have_from[have] = report_from[at]; have++
		:: else
		fi }
#else
	:: d_step { rings && joined && !read && gate < published -> keep(); read = true }
	:: d_step { read -> gate++; read = false }
#endif
	:: atomic { phase == END -> break }
	od
}

inline engine_dies()
{
	phase = LOCK;
	executed = 0;
	durable = 0;
	base = 0;
	taken = 0
}

proctype calamity()
{
end:
	do
	:: d_step { kills < KILLS && phase != END && phase != LOCK -> kills++; engine_dies() }
	:: d_step { deaths < DEATHS && phase != END && joined ->
		deaths++;
		if
		:: read -> WITNESS(READ_AGAIN)
		:: else
		fi;
		joined = false;
		read = false }
	:: atomic { cuts < CUTS && phase != END ->
		cuts++;
		if
		:: coming == 0
		:: coming != 0 -> log_from[logged] = coming; logged++; log_taken = coming_taken
		:: coming != 0
		fi;
		coming = 0;
		coming_taken = 0;
		arrived = 0;
		rings = false;
		published = 0;
		gate = 0;
		joined = false;
		read = false;
		engine_dies() }
	od
}

init {
	atomic {
		run engine();
		run device();
		run consumer();
		run calamity()
	}
}
