/* SPDX-License-Identifier: MIT */
/*
 * commit.pml - group commit and recovery: what was shown is never lost, what was cut never
 * returns.
 *
 * Stands for	submit, completions, durable, seal		engine/wal/wal_writer.c
 *		engine_publish					engine/publish.c
 *		lock, sync, scan, judge, start			engine/wal/wal_open.c, wal_scan.c,
 *								wal_judge.c, wal_recover.c
 *
 * Modelled: blocks that go to the disk with up to WINDOW between the next and the durable one,
 * each with its epoch, its link to the one before, the witness of what was durable when it was
 * composed, and one command or none; completions in any order; reports and the command ring's
 * gate, moved only for the durable prefix. A kill at any step, after which a write may still
 * arrive, whole, torn or not at all, and may stay in a cache; a power cut at any step, which
 * keeps, tears or forgets each block that is not durable; both also during recovery. Rings survive
 * a kill; after a power cut producers send again, and what was not in the log comes in another
 * order. One block may rot, where something can prove it: a ring that survived, or a block that
 * was composed later.
 *
 * Left out: bytes (a block is whole, torn or older), segments and snapshots (snapshot.pml), report
 * numbers (publish.pml), reports shown again. A completion makes its own block durable and no
 * other.
 * Bounds: PLACES blocks, CRASHES kills and power cuts, WINDOW.
 *
 * Properties, asserted: a start without rot is never refused; a start that is not refused has
 * every command that was ever shown, the same one at the same place; no block that an earlier
 * start cut is ever accepted again; the gate is never beyond the log.
 *
 * Mutants (-D): ACK_EACH (durable up to any completed block), EARLY_PUBLISH and EARLY_GATE (at
 * submission), OUTSTANDING (the window counts writes in flight), NO_WITNESS (the first bad block
 * is always the end), NO_RINGS (their cursors prove nothing), NO_LINK (neither epoch nor link is
 * compared), NO_SYNC (what is read is trusted), LATE_WRITES (the predecessor's writes are not
 * waited for), EARLY_BLOCKS (behind an OPEN that is not durable).
 */
#include "witness.pml"
#ifndef PLACES
#define PLACES 5
#endif
#ifndef WINDOW
#define WINDOW 2
#endif
#ifndef CRASHES
#define CRASHES 2
#endif
#ifndef ROTS
#define ROTS 1
#endif

/* A block, 0: none that is intact. `from` is the ring that its command came from, 0: no command. */
#define make_block(e, f, w, l) ((e) | (f) << 3 | (w) << 6 | (l) << 9)
#define epoch_of(b) ((b) & 7)
#define from_of(b) ((b) >> 3 & 7)
#define durable_of(b) ((b) >> 6 & 7)
#define link_of(b) ((b) >> 9)

mtype = { LOCK, SYNC, READ, BEGIN, OPEN, RUN, END };

/* The disk. */
short disk[PLACES];
short coming[PLACES]; /* written, not durable */
bit busy[PLACES];     /* not arrived yet */
bit cached[PLACES];   /* arrived, and seen by whoever reads */
bit done[PLACES];     /* completed: durable, and the engine is told */
byte super_epoch;

/* The rings: they survive a kill. */
bool rings = true;
byte ring = 1;
byte visible; /* commands below have their reports in it */
byte gate;    /* commands below may be forgotten by the ring */

/* The engine. */
mtype phase = BEGIN;
byte epoch;
byte last_epoch; /* of the block before `next` */
byte next;
byte durable;
byte commands[PLACES + 1]; /* before each block */
byte history[PLACES];	   /* which ring each command came from */
byte prefix_epoch;	   /* of the valid prefix's last block */

/* Ghosts. */
byte shown; /* to consumers, at any time */
byte shown_from[PLACES];
byte cut; /* by the last start that was completed */
byte cut_epoch;
byte crashes;
byte rots;
bool bad; /* a block has rotted */
/* What is asserted, by name; no part of a state. */
hidden byte no_false_refusal, all_that_was_shown, same_content, no_cut_block, gate_in_log;

#define seen(p) (cached[p] -> coming[p] : disk[p])
#define nothing_busy (!(busy[0] || busy[1] || busy[2] || busy[3] || busy[PLACES - 1]))

/* What the mutants change. */
#ifdef NO_LINK
#define follows(b, e) ((b) != 0)
#else
#define follows(b, e) ((b) != 0 && epoch_of(b) >= (e) && link_of(b) == (e))
#endif
#ifdef NO_WITNESS
#define proves(b, k) false
#else
#define proves(b, k) (durable_of(b) > (k))
#endif
#ifdef NO_RINGS
#define rings_prove(n) false
#else
#define rings_prove(n) (rings && (visible > (n) || gate > (n)))
#endif
#ifdef LATE_WRITES
#define writes_over true
#else
#define writes_over (nothing_busy)
#endif
#ifdef EARLY_BLOCKS
#define opened true
#else
#define opened (durable > 0 && epoch_of(seen(durable - 1)) == epoch)
#endif
#ifdef OUTSTANDING
#define window_open (outstanding < WINDOW)
#else
#define window_open (next - durable < WINDOW)
#endif
#define outstanding (busy[0] + busy[1] + busy[2] + busy[3] + (PLACES > 4 -> busy[PLACES - 1] : 0))
#ifdef ACK_EACH
#define completed(k) (done[k] || (k + 1 < next && done[k + 1]))
#define behind(k) (k + 1 < next && done[k + 1] -> k + 2 : k + 1)
#else
#define completed(k) done[k]
#define behind(k) (k + 1)
#endif

inline submit(from)
{
	d_step {
		coming[next] = make_block(epoch, from, durable, last_epoch);
		busy[next] = 1;
		cached[next] = 0;
		done[next] = 0;
		commands[next + 1] = commands[next];
		if
		:: from != 0 ->
			history[commands[next]] = from;
			commands[next + 1] = commands[next] + 1
		:: else
		fi;
		last_epoch = epoch;
		next++
	}
}

inline publish(end)
{
	d_step {
		i = visible;
		do
		:: i < end ->
			same_content = i >= shown || shown_from[i] == history[i];
			assert(same_content);
			shown_from[i] = history[i];
			i++
		:: else -> break
		od;
		visible = end;
		if
		:: end > shown -> shown = end
		:: else
		fi;
		i = 0
	}
}

/* The valid prefix: next, commands, history. */
inline scan()
{
	next = 0;
	prefix_epoch = 0;
	do
	:: next < PLACES && follows(seen(next), prefix_epoch) ->
		prefix_epoch = epoch_of(seen(next));
		no_cut_block = next < cut || prefix_epoch >= cut_epoch;
		assert(no_cut_block);
		commands[next + 1] = commands[next];
		if
		:: from_of(seen(next)) != 0 ->
			history[commands[next]] = from_of(seen(next));
			commands[next + 1] = commands[next] + 1
		:: else
		fi;
		next++
	:: else -> break
	od;
	last_epoch = prefix_epoch;
	durable = next
}

/* Is block `next` torn, or was it lost? */
inline judge()
{
	refused = false;
	i = next;
	do
	:: i < PLACES ->
		if
		:: seen(i) == 0
		:: seen(i) != 0 && proves(seen(i), next) ->
			WITNESS(PROVED_BY_BLOCK);
			refused = true
		:: seen(i) != 0 && !proves(seen(i), next) && (i - next >= WINDOW ||
		   epoch_of(seen(i)) > prefix_epoch ||
		   (epoch_of(seen(i)) == prefix_epoch && i == next)) ->
			refused = true
		:: else -> WITNESS(STRAY)
		fi;
		i++
	:: else -> break
	od;
	if
	:: rings_prove(commands[next]) -> WITNESS(PROVED_BY_RING); refused = true
	:: else
	fi;
	i = 0
}

inline decide()
{
	no_false_refusal = !refused || bad;
	assert(no_false_refusal);
	if
	:: refused -> phase = END
	:: !refused ->
		all_that_was_shown = commands[next] >= shown;
		assert(all_that_was_shown);
		i = 0;
		do
		:: i < shown ->
			same_content = history[i] == shown_from[i];
			assert(same_content);
			i++
		:: else -> break
		od;
		i = 0;
		if
		:: !rings -> /* made anew; what the log lacks is sent again */
			rings = true;
			ring++;
			visible = 0;
			gate = commands[next]
		:: else
		fi;
		gate_in_log = gate <= commands[next];
		assert(gate_in_log);
		phase = (next < PLACES -> BEGIN : END)
	fi
}

proctype engine()
{
	byte i;
	bool refused;

end:
	do
	:: atomic { phase == LOCK && writes_over -> phase = SYNC }
	:: d_step { phase == SYNC ->
		i = 0;
		do
		:: i < PLACES ->
#ifndef NO_SYNC
			if
			:: cached[i] -> disk[i] = coming[i]; coming[i] = 0; cached[i] = 0
			:: else
			fi;
#endif
			done[i] = 0;
			i++
		:: else -> break
		od;
		i = 0;
		phase = READ }
	:: atomic { phase == READ ->
		if
		:: true
		:: rots < ROTS -> /* of what something proves */
			do
			:: i < PLACES - 1 -> i++
			:: break
			od;
			if
			:: disk[i] != 0 && !cached[i] && !busy[i] &&
			   (rings || (i + 1 < PLACES && durable_of(seen(i + 1)) > i) ||
			    (i + 2 < PLACES && durable_of(seen(i + 2)) > i)) ->
				disk[i] = 0;
				rots++;
				bad = true
			:: else
			fi;
			i = 0
		fi;
		d_step {
			scan();
			judge();
			if
			:: super_epoch > prefix_epoch -> WITNESS(CUT_SHORT)
			:: else
			fi;
			decide()
		} }
	:: d_step { phase == BEGIN ->
		super_epoch = (super_epoch > prefix_epoch -> super_epoch : prefix_epoch) + 1;
		epoch = super_epoch;
		phase = OPEN }
	:: atomic { phase == OPEN -> submit(0); phase = RUN }
	/* OPEN is durable: only now anything new is composed or shown. */
	:: atomic { phase == RUN && next < PLACES && opened && window_open ->
		submit(ring);
#ifdef EARLY_GATE
		gate = commands[next];
#endif
#ifdef EARLY_PUBLISH
		publish(commands[next]);
#endif
		skip }
	:: atomic { phase == RUN && next < PLACES && opened && next == durable &&
		    durable_of(seen(next - 1)) < next && commands[next] > commands[next - 1] ->
		WITNESS(SEAL);
		submit(0) }
	:: d_step { phase == RUN && durable < next && completed(durable) ->
		durable = behind(durable) }
	:: atomic { phase == RUN && visible < commands[durable] && cut_epoch == epoch ->
		publish(commands[durable]) }
	:: d_step { phase == RUN && cut_epoch != epoch && durable > 0 &&
		    epoch_of(seen(durable - 1)) == epoch ->
		cut_epoch = epoch; /* the start is complete */
		cut = durable - 1 }
	:: d_step { phase == RUN && gate < commands[durable] && visible >= commands[durable] ->
		gate = commands[durable] }
	od
}

proctype device()
{
	byte p;

end:
	do
	:: atomic { !nothing_busy ->
		if
		:: busy[0] -> p = 0
		:: busy[1] -> p = 1
		:: busy[2] -> p = 2
		:: busy[3] -> p = 3
		:: busy[PLACES - 1] -> p = PLACES - 1
		fi;
		busy[p] = 0;
		if
		:: phase == RUN -> /* somebody waits for it */
			if
			:: p > 0 && busy[p - 1] -> WITNESS(OUT_OF_ORDER)
			:: else
			fi;
			disk[p] = coming[p];
			coming[p] = 0;
			done[p] = 1
		:: phase != RUN -> cached[p] = 1; WITNESS(LATE)
		:: phase != RUN -> cached[p] = 1; coming[p] = 0 /* torn */
		:: phase != RUN -> coming[p] = 0 /* never written */
		fi;
		p = 0 }
	od
}

proctype calamity()
{
	byte p;

end:
	do
	:: atomic { crashes < CRASHES && phase != END && phase != LOCK ->
		crashes++; /* a kill */
		phase = LOCK;
		epoch = 0;
		next = 0;
		durable = 0 }
	:: atomic { crashes < CRASHES && phase != END ->
		crashes++; /* a power cut */
		do
		:: p < PLACES ->
			if
			:: busy[p] || cached[p] -> disk[p] = coming[p]
			:: busy[p] || cached[p] -> disk[p] = 0
			:: true /* as it was */
			fi;
			coming[p] = 0;
			busy[p] = 0;
			cached[p] = 0;
			p++
		:: else -> break
		od;
		p = 0;
		rings = false;
		phase = LOCK;
		epoch = 0;
		next = 0;
		durable = 0 }
	od
}

init {
	atomic {
		run engine();
		run device();
		run calamity()
	}
}
