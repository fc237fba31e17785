/* SPDX-License-Identifier: MIT */
/*
 * repair_check.c - what the words of a segment that nobody uses may be, and what they are.
 *
 * Everything is read once into private memory and judged there; the shared words are believed to be
 * anything. Nothing is written. What the protocol can leave behind at the death of any participant
 * is work for the repair; what it cannot is damage. The kernel's release of the lock bytes ordered
 * every store of the dead before our loads, so all of them are relaxed.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "shm/repair_internal.h"

void repair_note(struct repair *repair, bool damage, const struct repair_place *place,
		 const char *format, ...)
{
	struct sluice_repair_finding finding = {
		.damage = damage,
		.offset = (uint64_t)((const uint8_t *)place->word - repair->segment.base),
		.found = place->found,
		.least = place->least,
		.most = place->most,
	};
	va_list args;

	va_start(args, format);
	vsnprintf(finding.what, sizeof(finding.what), format, args);
	va_end(args);
	repair->result.needed = true;
	if (damage && !repair->result.damages++)
		repair->first = finding;
	if (repair->report && repair->report->finding &&
	    repair->reported++ < SLUICE_REPAIR_FINDINGS_MAX)
		repair->report->finding(&finding, repair->report->arg);
}

static uint64_t load(const _Atomic uint64_t *word)
{
	/* relaxed: its writers are dead, the lock bytes ordered their stores before this */
	return atomic_load_explicit(word, memory_order_relaxed);
}

/* Of what the slots may hold, given the claim word. */
static uint64_t oldest_of(const struct repair *repair)
{
	const uint64_t claimed = repair->claim - repair->base;
	const uint64_t slots = repair->ring.slot_count;

	return claimed > slots ? repair->claim - slots : repair->base;
}

/* Damage unless least <= found <= most, on free-running sequences. */
static bool in_range(struct repair *repair, const _Atomic uint64_t *word, uint64_t least,
		     uint64_t most, const char *what)
{
	const struct repair_place place = {word, load(word), least, most};

	if (place.found - least <= most - least)
		return true;
	repair_note(repair, true, &place, "%s", what);
	return false;
}

/* --------------------------------------------------------------------------------- control */

static void check_state(struct repair *repair)
{
	const _Atomic uint64_t *word = &repair->segment.control->state;
	const uint64_t value = load(word);
	const uint64_t state = value & SLUICE_STATE_MASK;
	const struct repair_place place = {word, state, SLUICE_STATE_READY, SLUICE_STATE_RETIRED};

	repair->result.state = (uint32_t)state;
	repair->result.epoch = value >> SLUICE_STATE_EPOCH_SHIFT;
	if (state < SLUICE_STATE_READY || state > SLUICE_STATE_RETIRED)
		repair_note(repair, true, &place, "the segment's state");
	else if (state == SLUICE_STATE_RECOVERING)
		repair_note(repair, false, &place, "a repair that was cut short");
}

/* Last, so that the damage itself is named first if it can still be seen. */
static void check_poison(struct repair *repair)
{
	const struct repair_place place = {&repair->segment.control->state,
					   SLUICE_STATE_POISONED, SLUICE_STATE_READY,
					   SLUICE_STATE_RECOVERING};

	if (repair->result.state == SLUICE_STATE_POISONED)
		repair_note(repair, true, &place, "poisoned: somebody found damage before");
}

static void check_words(struct repair *repair)
{
	struct sluice_control *control = repair->segment.control;
	const uint64_t slots = repair->ring.slot_count;
	/* beyond it a stamp could not hold the sequence */
	const uint64_t last = SLUICE_STAMP_SEQ - slots;

	repair->claim = load(&control->claim);
	repair->lost = !in_range(repair, &control->claim, repair->base, last, "the claim word");
	repair->published = load(&control->cursor);
	if (!repair->ring.stamped && !repair->lost)
		repair->lost = !in_range(repair, &control->cursor, oldest_of(repair),
					 repair->claim, "the cursor");
	in_range(repair, &control->directory_used, 0, repair->segment.header.directory_count,
		 "complete entries of the directory");
}

/* ----------------------------------------------------------------------------------- slots */

/*
 * The stamp of the slot whose newest claimed sequence is `s`: published, being written, or still
 * what the sequence a lap earlier left, which was published before this one could be claimed.
 */
static bool stamp_is_possible(const struct repair *repair, uint64_t stamp, uint64_t s)
{
	const uint64_t seq = stamp & SLUICE_STAMP_SEQ;

	if (stamp & SLUICE_STAMP_WRITING)
		return stamp == (SLUICE_STAMP_WRITING | s);
	if (s - repair->base < repair->ring.slot_count && !stamp)
		return true;
	return seq == s + 1 || (s - repair->base >= repair->ring.slot_count &&
				seq == s + 1 - repair->ring.slot_count);
}

static void check_claimed(struct repair *repair, uint64_t oldest)
{
	uint64_t holes = 0;

	repair->published = repair->claim;
	for (uint64_t s = oldest; s != repair->claim; s++) {
		const _Atomic uint64_t *word = sluice_ring_stamp(&repair->ring, s);
		const uint64_t stamp = load(word);
		const struct repair_place place = {word, stamp, s + 1, s + 1};

		if (!stamp_is_possible(repair, stamp, s)) {
			repair_note(repair, true, &place, "stamp of the slot of sequence %llu",
				    (unsigned long long)s);
		} else if (!sluice_stamp_published(stamp, s)) {
			if (!holes++)
				repair->published = s;
		}
	}
	repair->result.tombstones = holes;
}

/* Slots that nobody has ever claimed. */
static void check_unclaimed(struct repair *repair)
{
	const uint64_t claimed = repair->claim - repair->base;

	for (uint64_t i = claimed; i < repair->ring.slot_count; i++) {
		const _Atomic uint64_t *word = sluice_ring_stamp(&repair->ring, repair->base + i);
		const struct repair_place place = {word, load(word), 0, 0};

		if (place.found)
			repair_note(repair, true, &place, "stamp of a slot that was never claimed");
	}
}

static void check_slots(struct repair *repair)
{
	struct repair_place place = {&repair->segment.control->claim, repair->claim, repair->claim,
				     repair->claim};

	if (!repair->ring.stamped || repair->lost)
		return;
	check_claimed(repair, oldest_of(repair));
	check_unclaimed(repair);
	if (repair->result.tombstones)
		repair_note(repair, false, &place,
			    "%llu claimed slots from %llu on were never published: tombstones",
			    (unsigned long long)repair->result.tombstones,
			    (unsigned long long)repair->published);
}

/* ---------------------------------------------------------------------------- participants */

static const char *name_of(const struct sluice_participant *entry,
			   char ret_name[SLUICE_PARTICIPANT_NAME_BYTES])
{
	memcpy(ret_name, entry->name, SLUICE_PARTICIPANT_NAME_BYTES);
	ret_name[SLUICE_PARTICIPANT_NAME_BYTES - 1] = '\0';
	for (char *c = ret_name; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	return ret_name;
}

/* A position that gates, or will again: it may be at most a ring behind, and not ahead. */
static void check_position(struct repair *repair, uint32_t index)
{
	const struct sluice_participant *entry = &repair->segment.participants[index];
	/* several producers never claim more than a ring ahead of anybody; one may die over it */
	const bool multi = repair->segment.header.producer_mode == SLUICE_PRODUCER_MULTI;
	const uint64_t end = multi ? repair->claim : repair->published;
	const uint64_t slots = repair->ring.slot_count;
	char name[SLUICE_PARTICIPANT_NAME_BYTES];
	char what[80];

	snprintf(what, sizeof(what), "position of critical consumer %u \"%s\"", index,
		 name_of(entry, name));
	in_range(repair, &entry->position, end - repair->base > slots ? end - slots : repair->base,
		 repair->published, what);
}

static uint32_t fate_of_consumer(const struct sluice_participant *entry, uint64_t state)
{
	/* relaxed: its owner is dead */
	const uint32_t policy = atomic_load_explicit(&entry->policy, memory_order_relaxed);

	if (policy != SLUICE_POLICY_CRITICAL || state == SLUICE_PARTICIPANT_JOINING ||
	    state == SLUICE_PARTICIPANT_EVICTED)
		return REPAIR_FREE;
	return state == SLUICE_PARTICIPANT_DETACHED ? REPAIR_NOTHING : REPAIR_AWAY;
}

static void note_fate(struct repair *repair, uint32_t index, uint64_t state)
{
	const struct sluice_participant *entry = &repair->segment.participants[index];
	const uint64_t becomes = repair->fate[index] == REPAIR_AWAY ? SLUICE_PARTICIPANT_DETACHED :
								      SLUICE_PARTICIPANT_FREE;
	const struct repair_place place = {&entry->state, state, becomes, becomes};
	char name[SLUICE_PARTICIPANT_NAME_BYTES];

	name_of(entry, name);
	if (repair->fate[index] == REPAIR_AWAY)
		repair_note(repair, false, &place, "critical consumer %u \"%s\" is away, at %llu",
			    index, name, (unsigned long long)load(&entry->position));
	else if (entry->role == SLUICE_ROLE_PRODUCER)
		repair_note(repair, false, &place, "producer %u \"%s\" is gone", index, name);
	else
		repair_note(repair, false, &place, "consumer %u \"%s\" is gone", index, name);
}

static void check_entry(struct repair *repair, uint32_t index)
{
	const struct sluice_participant *entry = &repair->segment.participants[index];
	const uint64_t state = load(&entry->state) & SLUICE_PARTICIPANT_STATE_MASK;
	const uint32_t role = entry->role;
	const struct repair_place state_place = {&entry->state, state, SLUICE_PARTICIPANT_FREE,
						 SLUICE_PARTICIPANT_EVICTED};
	const struct repair_place role_place = {&entry->role, role, SLUICE_ROLE_PRODUCER,
						SLUICE_ROLE_CONSUMER};

	if (state == SLUICE_PARTICIPANT_FREE)
		return;
	if (state > SLUICE_PARTICIPANT_EVICTED) {
		repair_note(repair, true, &state_place, "state of participant %u", index);
		return;
	}
	/* one that died at the first step of joining has the role of whoever was there before */
	if (state != SLUICE_PARTICIPANT_JOINING && role != SLUICE_ROLE_PRODUCER &&
	    role != SLUICE_ROLE_CONSUMER) {
		repair_note(repair, true, &role_place, "role of participant %u", index);
		return;
	}
	repair->fate[index] = role == SLUICE_ROLE_CONSUMER ? fate_of_consumer(entry, state) :
							     REPAIR_FREE;
	repair->result.producers += role == SLUICE_ROLE_PRODUCER;
	if (repair->fate[index] == REPAIR_FREE)
		repair->result.dropped += role != SLUICE_ROLE_PRODUCER;
	else
		repair->result.kept++;
	if (repair->fate[index] != REPAIR_FREE && !repair->lost)
		check_position(repair, index);
	if (repair->fate[index] != REPAIR_NOTHING)
		note_fate(repair, index, state);
}

/* The last stages gate: the critical consumers that are kept, but those that one follows. */
static void decide_gating(struct repair *repair, uint64_t kept)
{
	struct sluice_control *control = repair->segment.control;
	struct repair_place place = {&control->gating, load(&control->gating), 0, 0};
	uint64_t followed = 0;

	for (uint64_t bits = kept; bits; bits &= bits - 1)
		followed |= load(
			&repair->segment.participants[__builtin_ctzll(bits)].follows);
	repair->gating = kept & ~followed;
	place.least = place.most = repair->gating;
	if (place.found != repair->gating)
		repair_note(repair, false, &place, "who gates the producers");
}

static void check_sleepers(struct repair *repair)
{
	struct sluice_control *control = repair->segment.control;
	const _Atomic uint64_t *const words[] = {
		&control->consumer_sleepers, &control->producer_sleepers, &control->stage_sleepers};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		const struct repair_place place = {words[i], load(words[i]), 0, 0};

		if (place.found)
			repair_note(repair, false, &place, "sleepers that are dead");
	}
}

void repair_check(struct repair *repair)
{
	uint64_t kept = 0;

	repair->base = repair->segment.header.base_sequence;
	check_state(repair);
	check_words(repair);
	check_slots(repair);
	for (uint32_t i = 0; i < repair->segment.header.participant_count; i++) {
		const uint64_t state = load(&repair->segment.participants[i].state) &
				       SLUICE_PARTICIPANT_STATE_MASK;

		check_entry(repair, i);
		if (repair->fate[i] == REPAIR_AWAY ||
		    (repair->fate[i] == REPAIR_NOTHING && state == SLUICE_PARTICIPANT_DETACHED))
			kept |= 1ull << i;
	}
	decide_gating(repair, kept);
	check_sleepers(repair);
	check_poison(repair);
}
