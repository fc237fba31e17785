/* SPDX-License-Identifier: MIT */
/*
 * snapshot.pml - a log that goes round: snapshots, the superblock that names them, segments that
 * are used again.
 *
 * Stands for	offer, the superblock's write, the live range	engine/wal/wal_flip.c, wal_super.c
 *		what is written where the log is full		engine/wal/wal_writer.c
 *		choice of the base, scan			engine/wal/wal_recover.c
 *		executing, choosing a number, writing		engine/wal/follower.c,
 *								follower_snapshot.c
 *		the mailbox					engine/supervise.c, main_follow.c
 *
 * Modelled: blocks of one segment each, one in flight; a superblock in two copies, one write of it
 * in flight, which is seen before it is durable; two snapshot files of a header and the rest, both
 * seen before they are synced; the word by which the follower speaks to the engine, which survives
 * both. Engine and follower are killed at any step, together or alone, and what they were writing
 * arrives later, torn or never; the follower's picture of superblock and engine may be old. A
 * power cut at any step keeps, tears or forgets each write that is not durable. One snapshot may
 * rot, at any moment at which both named ones are good. The end of the log is kept for OPEN and
 * SEAL.
 *
 * Left out: what the state is (a snapshot is its number and its place), links and epochs
 * (commit.pml), reports (publish.pml), the snapshot of a clean end, several blocks in flight.
 * Bounds: SEGMENTS, LAST blocks, KILLS of the engine, DEATHS of the follower, CUTS, ROTS.
 *
 * Properties, asserted: whatever happened, a start finds a snapshot that is whole, or the log's
 * first block; the log from there on, and from the superblock's start, has every block that was
 * ever durable; it does not end before a snapshot; a follower never executed what a start cuts;
 * what the engine names is whole and durable when it begins to name it. No deadlock: a full log
 * goes on.
 *
 * Mutants (-D): EARLY_READY (said before it is synced), START_NEWER (the start moves to the newer
 * snapshot), EARLY_REUSE (before the superblock is durable), UNWITNESSED (executed as soon as it
 * is seen, and the engine names what it is told), OVER_NEWEST (the file of the newest is written),
 * TRUST_WORD (an engine that starts keeps the word and does not look at the file), NO_HOLD (a
 * snapshot is begun while the word is not empty), NO_CHECK (the follower takes the newest for
 * good), NO_SUPER_SYNC (it gives a file up for a superblock that may not be durable), SAME_COPY
 * (the newest copy is written over), NO_SEAL; RESERVE=0 (commands take the last place). MAY_STICK:
 * logs too small to keep places, in which a deadlock is no error.
 */
#include "witness.pml"
#ifndef SEGMENTS
#define SEGMENTS 7
#endif
#ifndef LAST
#define LAST 11
#endif
#ifndef KILLS
#define KILLS 1
#endif
#ifndef DEATHS
#define DEATHS 1
#endif
#ifndef CUTS
#define CUTS 1
#endif
#ifndef ROTS
#define ROTS 1
#endif
/* Places at the end that commands may not use, and of these those that SEAL may not. */
#ifndef RESERVE
#define RESERVE 5
#endif
#ifndef FOR_OPEN
#define FOR_OPEN 1
#endif

/* A snapshot: its number, its place, and when it was written. 0: none. */
#define make_snapshot(n, p) ((n) | (p) << 4 | era << 8)
#define number_of(x) ((x) & 15)
#define place_of(x) ((x) >> 4 & 15)
#define era (kills + deaths + cuts)
/* A superblock: its number, the log's start, two snapshots. */
#define sequence_of(s) ((s) & 31)
#define start_of(s) ((s) >> 5 & 15)
#define snapshot(s, i) ((s) >> (9 + 10 * (i)) & 1023)
#define with_snapshot(s, i, x) ((s) & ~(1023 << (9 + 10 * (i))) | (x) << (9 + 10 * (i)))
#define with_start(s, p) ((s) & ~(15 << 5) | (p) << 5)
#define which_newer(s) (number_of(snapshot(s, 1)) > number_of(snapshot(s, 0)) -> 1 : 0)
#define newest(s) snapshot(s, which_newer(s))
#define older(s) snapshot(s, 1 - which_newer(s))
#define named(s) number_of(newest(s))

mtype = { LOCK, SYNC, LOAD, JOIN, CLEAR, EPOCH, OPEN, RUN, END };
mtype = { GONE, FOLLOWS, READ_SUPER, CHOOSE, AWAY, WRITE, FLUSH };

/* The disk, and what was written and is not durable. */
byte slot[SEGMENTS]; /* block + 1, 0: torn or none */
byte coming;	     /* block + 1 in flight */
bit arrived;	     /* it is seen */
bit done;
int copy[2] = { 1, 0 };
int flip; /* superblock in flight */
bit flip_arrived;
bit flip_done;
short head[2]; /* of snapshot files: what is seen, and what is on the disk */
short rest[2];
short disk_head[2];
short disk_rest[2];

byte ready; /* the mailbox: survives kills */

/* The engine. */
mtype phase = LOAD;
bool serves; /* it has joined the rings */
int super;
byte next;
byte durable;
byte live_end; /* blocks below may be written */
byte offered;
bool owed; /* OPEN found no place */
bool last_data;

/* The follower. */
mtype follower = GONE;
bool attached; /* its picture of the engine */
int known;     /* its picture of the superblock */
byte executed;
byte last_taken;
byte whole;
short writing;

/* Ghosts. */
byte acknowledged; /* blocks below were durable once */
byte kills;
byte deaths;
byte cuts;
byte rots;
/* What is asserted, by name; no part of a state. */
hidden byte startable, log_whole, log_reaches, executed_durable, named_whole, moves_on;

#define visible(k) (slot[(k) % SEGMENTS] == (k) + 1 || (arrived && coming == (k) + 1))
#define flip_copy (sequence_of(flip) % 2)
#define seen_copy(i) (flip != 0 && flip_arrived && flip_copy == (i) -> flip : copy[i])
#define newest_of(a, b) (sequence_of(a) > sequence_of(b) -> (a) : (b))
#define seen_super newest_of(seen_copy(0), seen_copy(1))
#define disk_super newest_of(copy[0], copy[1])
#define good(x) ((x) != 0 && head[(x) % 2] == (x) && rest[(x) % 2] == (x))
#define good_on_disk(x) ((x) != 0 && disk_head[(x) % 2] == (x) && disk_rest[(x) % 2] == (x))
#define both_good(x) (good(x) && good_on_disk(x))
#define left (live_end - next)
#define full (owed || left <= RESERVE)
#define idle (coming == 0)

#include "snapshot_mutants.pml"

inline submit(data)
{
	assert(next < live_end);
	coming = next + 1;
	next++;
	last_data = data
}

inline write_super()
{
	assert(sequence_of(flip) < 30);
	flip = after(flip)
}

/* Where a start begins, and how far the log reaches from there. */
inline load()
{
	super = seen_super;
	if
	:: good(newest(super)) -> next = place_of(newest(super))
	:: else ->
		if
		:: named(super) != 0 -> WITNESS(PASSED_OVER)
		:: else
		fi;
		if
		:: good(older(super)) -> next = place_of(older(super))
		:: else ->
			startable = start_of(super) == 0;
			assert(startable);
			next = 0
		fi
	fi;
	startable = next >= start_of(super);
	assert(startable);
	next = start_of(super);
	do
	:: next < start_of(super) + SEGMENTS && slot[next % SEGMENTS] == next + 1 -> next++
	:: else -> break
	od;
	log_whole = next >= acknowledged;
	assert(log_whole);
	log_reaches = next >= place_of(newest(super)) && next >= place_of(older(super));
	assert(log_reaches);
	executed_durable = follower == GONE || executed <= next;
	assert(executed_durable);
	durable = next;
	acknowledged = next;
	live_end = start_of(super) + SEGMENTS
}

proctype engine()
{
	byte q;

#ifdef MAY_STICK
end:
#endif
	do
	/* Nothing of the predecessor is under way any more. */
	:: atomic { phase == LOCK && (coming == 0 || arrived) && (flip == 0 || flip_arrived) ->
		phase = SYNC }
	:: d_step { phase == SYNC ->
		if
		:: coming != 0 -> slot[(coming - 1) % SEGMENTS] = coming; coming = 0; arrived = 0
		:: else
		fi;
		if
		:: flip != 0 -> copy[flip_copy] = flip; flip = 0; flip_arrived = 0
		:: else
		fi;
		done = 0;
		flip_done = 0;
		q = 0;
		do
		:: q < 2 -> disk_head[q] = head[q]; disk_rest[q] = rest[q]; q++
		:: else -> break
		od;
		q = 0;
		phase = LOAD }
	:: d_step { phase == LOAD -> load(); phase = JOIN }
	:: d_step { phase == JOIN -> serves = true; phase = CLEAR }
	:: d_step { phase == CLEAR -> ready = word_at_start;
		flip = super;
		write_super();
		phase = EPOCH }
	:: d_step { phase == EPOCH && flip_done ->
		super = flip;
		flip = 0;
		flip_arrived = 0;
		flip_done = 0;
		phase = OPEN }
	:: d_step { phase == OPEN ->
		if
		:: left > 0 -> submit(false); phase = RUN
		:: else -> WITNESS(OWED); owed = true; phase = RUN
		fi }
	:: d_step { phase == RUN && idle && !full && next < LAST -> submit(true) }
	:: d_step { phase == RUN && idle && !owed && next < LAST && may_seal ->
		if
		:: full -> WITNESS(SEAL_WHEN_FULL)
		:: else
		fi;
		submit(false) }
	:: d_step { phase == RUN && done ->
		durable = next;
		acknowledged = next;
		coming = 0;
		arrived = 0;
		done = 0 }
	:: d_step { phase == RUN && ready != 0 && offered == 0 && ready <= named(super) ->
		ready = 0 }
	:: d_step { phase == RUN && ready > named(super) && offered == 0 && flip == 0 ->
		q = ready;
		if
		:: can_be_named(q, super) ->
			named_whole = good_on_disk(head[q % 2]);
			assert(named_whole);
			offered = q;
			q = q % 2;
			flip = with_snapshot(super, q, head[q]);
			flip = with_start(flip, start_after(flip));
			write_super();
#ifdef EARLY_REUSE
			live_end = start_of(flip) + SEGMENTS
#endif
		:: else -> WITNESS(REFUSED); ready = 0
		fi;
		q = 0 }
	:: d_step { phase == RUN && flip_done ->
		moves_on = start_of(flip) >= start_of(super);
		assert(moves_on);
		super = flip;
		flip = 0;
		flip_arrived = 0;
		flip_done = 0;
		live_end = start_of(super) + SEGMENTS;
		if
		:: owed && left > 0 && idle -> owed = false; submit(false)
		:: else
		fi }
	:: d_step { phase == RUN && offered != 0 && named(super) >= offered ->
		offered = 0;
		ready = 0 }
	:: atomic { phase == RUN && next >= LAST && idle && flip == 0 -> phase = END; break }
	od
}

inline follower_dies()
{
	follower = GONE;
	attached = false;
	known = 0;
	executed = 0;
	last_taken = 0;
	whole = 0;
	writing = 0
}

proctype following()
{
end:
	do
	:: d_step { follower == GONE && phase != END ->
		known = seen_super;
		if
		:: good(newest(known)) -> executed = place_of(newest(known))
		:: else ->
			if
			:: good(older(known)) -> executed = place_of(older(known))
			:: else ->
				startable = start_of(known) == 0;
				assert(startable);
				executed = 0
			fi
		fi;
		last_taken = executed;
		whole = named(known);
		attached = serves;
		follower = FOLLOWS }
	:: d_step { follower == FOLLOWS && attached != serves -> attached = serves }
	:: d_step { follower == FOLLOWS && known != seen_super ->
		known = seen_super;
		if
		:: named(known) > whole -> whole = named(known)
		:: else
		fi;
		if
		:: start_of(known) > executed -> WITNESS(STALE); follower_dies()
		:: else
		fi }
	:: d_step { follower == FOLLOWS && witnessed(executed) -> executed++ }
	:: d_step { follower == FOLLOWS && attached && ready == 0 && whole > named(known) ->
		ready = whole }
	:: d_step { follower == FOLLOWS && !held && executed > place_of(newest(known)) &&
		    executed > last_taken -> follower = READ_SUPER }
	:: d_step { follower == READ_SUPER -> known = seen_super;
		follower = (executed > place_of(newest(known)) -> CHOOSE : FOLLOWS) }
	/* Only now an older file may be given up: what the superblock says must stay true. */
	:: d_step { follower == CHOOSE ->
#ifndef NO_SUPER_SYNC
		if
		:: flip != 0 && flip_arrived -> copy[flip_copy] = flip
		:: else
		fi;
#endif
		writing = number_to_write(known);
		if
		:: writing > named(known) + 1 -> WITNESS(SKIPPED)
		:: else
		fi;
		assert(writing < 16);
		writing = make_snapshot(writing, executed);
		whole = named(known);
		head[writing % 2] = 0;
		follower = AWAY }
	:: d_step { follower == AWAY -> disk_head[writing % 2] = 0; follower = WRITE }
	:: d_step { follower == WRITE -> /* in any order: see the power cut */
		rest[writing % 2] = writing;
		head[writing % 2] = writing;
		follower = FLUSH }
	:: d_step { follower == FLUSH ->
#ifndef EARLY_READY
		disk_rest[writing % 2] = rest[writing % 2];
		disk_head[writing % 2] = head[writing % 2];
#endif
		known = seen_super;
		if
		:: named(known) >= number_of(writing) ->
			WITNESS(NAMED_MEANWHILE);
			whole = named(known)
		:: else -> whole = number_of(writing); last_taken = executed
		fi;
		writing = 0;
		follower = FOLLOWS }
	od
}

/* Writes arrive, are seen, become durable. If the writer was killed, nobody is told. */
proctype device()
{
end:
	do
	:: d_step { coming != 0 && !arrived -> arrived = 1 }
	:: atomic { coming != 0 && !arrived && phase == LOCK ->
		if
		:: slot[(coming - 1) % SEGMENTS] = 0 /* torn over what was there */
		:: skip /* never written */
		fi;
		coming = 0 }
	:: d_step { coming != 0 && arrived && phase == RUN && !done ->
		slot[(coming - 1) % SEGMENTS] = coming;
		done = 1 }
	:: d_step { flip != 0 && !flip_arrived -> flip_arrived = 1 }
	:: atomic { flip != 0 && !flip_arrived && phase == LOCK ->
		if
		:: copy[flip_copy] = 0
		:: skip
		fi;
		flip = 0 }
	:: d_step { flip != 0 && flip_arrived && !flip_done && (phase == RUN || phase == EPOCH) ->
		copy[flip_copy] = flip;
		flip_done = 1 }
	od
}

inline engine_dies()
{
	phase = LOCK;
	serves = false;
	super = 0;
	next = 0;
	durable = 0;
	live_end = 0;
	offered = 0;
	owed = false;
	last_data = false
}

proctype calamity()
{
	byte f;

end:
	do
	:: atomic { kills < KILLS && phase != END && phase != LOCK ->
		kills++;
		engine_dies();
		if
		:: follower_dies() /* its follower dies with it */
		:: skip
		fi }
	:: d_step { deaths < DEATHS && phase != END && follower != GONE ->
		deaths++;
		follower_dies() }
	:: atomic { cuts < CUTS && phase != END ->
		cuts++;
		if
		:: coming == 0
		:: coming != 0 -> slot[(coming - 1) % SEGMENTS] = coming
		:: coming != 0 && !done -> slot[(coming - 1) % SEGMENTS] = 0
		:: coming != 0 && !done
		fi;
		if
		:: flip == 0
		:: flip != 0 -> copy[flip_copy] = flip
		:: flip != 0 && copy[flip_copy] != flip -> copy[flip_copy] = 0
		:: flip != 0 && copy[flip_copy] != flip
		fi;
		coming = 0;
		arrived = 0;
		done = 0;
		flip = 0;
		flip_arrived = 0;
		flip_done = 0;
		do
		:: f < 2 ->
			if
			:: head[f] != disk_head[f] -> disk_head[f] = head[f]
			:: head[f] != disk_head[f] && head[f] != 0 -> disk_head[f] = 0
			:: true
			fi;
			if
			:: rest[f] != disk_rest[f] -> disk_rest[f] = rest[f]
			:: rest[f] != disk_rest[f] -> disk_rest[f] = 0
			:: true
			fi;
			head[f] = disk_head[f];
			rest[f] = disk_rest[f];
			f++
		:: else -> break
		od;
		f = 0;
		ready = 0;
		engine_dies();
		follower_dies() }
	/* Before somebody looks, and while both are good, seen from now and from after a cut. */
	:: atomic { rots < ROTS && (phase == LOAD || follower == CHOOSE) && flip == 0 &&
		    both_good(newest(disk_super)) && both_good(older(disk_super)) ->
		rots++;
		if
		:: f = named(disk_super) % 2
		:: f = number_of(older(disk_super)) % 2
		fi;
		rest[f] = 0; /* its other parts need not rot */
		disk_rest[f] = 0;
		f = 0 }
	od
}

init {
	atomic {
		run engine();
		run following();
		run device();
		run calamity()
	}
}
