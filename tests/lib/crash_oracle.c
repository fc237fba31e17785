/* SPDX-License-Identifier: MIT */
/*
 * crash_oracle.c - see crash_oracle.h. Every process of the harness, one thread each. Killed
 * between two stores of a note, a reader leaves a note that its successor completes: the claim
 * before the one being changed is intact, and `pending` names the slot that may be noted already.
 */
#include "tests/lib/crash_oracle.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define COMPLAINTS_MAX 10u

void crash_wrong(struct crash_board *board, enum crash_wrong wrong, const char *format, ...)
{
	static const char *const names[CRASH_WRONGS] = {
		"right", "lost", "duplicate", "reordered", "torn", "stuck", "unexpected",
	};
	char text[256];
	va_list args;

	if (atomic_fetch_add(&board->wrong[wrong], 1) >= COMPLAINTS_MAX)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	fprintf(stderr, "%s: %s\n", names[wrong], text);
}

/* ----------------------------------------------------------------------------------- events */

static uint64_t mix(uint64_t z)
{
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

void crash_event_seal(struct crash_event *event)
{
	uint64_t seed = mix(event->life + 1) ^ mix(event->sequence + 0x9e3779b97f4a7c15ull) ^
			mix((uint64_t)event->claim << 32 | (uint64_t)event->n << 16 | event->i);

	event->sum = 0;
	for (uint32_t w = 0; w < 3; w++) {
		seed = mix(seed + w + 1);
		event->body[w] = seed;
		event->sum += seed;
	}
}

bool crash_event_is_whole(const struct crash_event *event, const struct crash_board *board,
			  uint64_t sequence)
{
	struct crash_event expected = *event;

	crash_event_seal(&expected);
	return !memcmp(&expected, event, sizeof(expected)) && event->sequence == sequence &&
	       event->life < atomic_load(&board->lives) && event->claim && event->i < event->n &&
	       event->n <= CRASH_SLOTS_MAX;
}

/* ------------------------------------------------------------------------------------ notes */

static void done_clear(struct crash_claim *claim)
{
	for (uint32_t w = 0; w < CRASH_SLOTS_MAX / 64; w++)
		atomic_store(&claim->done[w], 0);
}

static bool done_has(const struct crash_claim *claim, uint64_t i)
{
	return atomic_load(&claim->done[i / 64]) >> (i % 64) & 1;
}

static void done_add(struct crash_claim *claim, uint64_t i)
{
	atomic_store(&claim->done[i / 64],
		     atomic_load(&claim->done[i / 64]) | 1ull << (i % 64));
}

static uint64_t done_count(const struct crash_claim *claim)
{
	uint64_t count = 0;

	for (uint32_t w = 0; w < CRASH_SLOTS_MAX / 64; w++)
		count += (uint64_t)__builtin_popcountll(atomic_load(&claim->done[w]));
	return count;
}

/* The note of claim `index`; the one of index - 2 goes. */
static struct crash_claim *note_begin(struct crash_life *life, uint64_t index, uint64_t n)
{
	struct crash_claim *claim = &life->claims[index % 2];

	atomic_store(&claim->index, 0); /* changing: who dies over it leaves no claim */
	done_clear(claim);
	atomic_store(&claim->first, 0);
	atomic_store(&claim->n, n);
	atomic_store(&claim->index, index);
	return claim;
}

static struct crash_claim *note_current(struct crash_life *life)
{
	return &life->claims[atomic_load(&life->current) % 2];
}

void crash_note_intent(struct crash_life *life, uint64_t n)
{
	const uint64_t index = atomic_load(&life->current) + 1;

	note_begin(life, index, n);
	atomic_store(&life->current, index);
}

void crash_note_claim(struct crash_life *life, uint64_t first)
{
	atomic_store(&note_current(life)->first, first + 1);
}

void crash_note_published(struct crash_life *life, uint64_t lo, uint64_t hi)
{
	for (uint64_t i = lo; i <= hi; i++)
		done_add(note_current(life), i);
}

/* ------------------------------------------------------------------------------------- sight */

static void see_event(struct crash_board *board, struct crash_reader *reader, uint64_t sequence,
		      const struct crash_event *event)
{
	struct crash_life *seen = &reader->lives[event->life];
	struct crash_claim *claim = &seen->claims[event->claim % 2];
	const struct crash_claim *before = &seen->claims[(event->claim - 1) % 2];
	const unsigned long long life = event->life, at = sequence;
	const bool is_again = atomic_load(&reader->pending) == sequence + 1;

	if (event->claim < atomic_load(&claim->index) || event->claim < atomic_load(&before->index))
		return crash_wrong(board, CRASH_REORDERED, "life %llu: claim %u at %llu after a later one",
				   life, event->claim, at);
	if (atomic_load(&before->index) != event->claim - 1 ||
	    (event->claim > 1 && done_count(before) != atomic_load(&before->n)))
		crash_wrong(board, CRASH_LOST, "life %llu: claim %u begins at %llu, claim %u has %llu of %llu",
			    life, event->claim, at, event->claim - 1,
			    (unsigned long long)done_count(before),
			    (unsigned long long)atomic_load(&before->n));
	if (atomic_load(&claim->index) != event->claim)
		claim = note_begin(seen, event->claim, event->n);
	atomic_store(&reader->pending, sequence + 1);
	if (!atomic_load(&claim->first))
		atomic_store(&claim->first, sequence - event->i + 1);
	if (done_has(claim, event->i) && !is_again)
		crash_wrong(board, CRASH_DUPLICATE, "life %llu: claim %u slot %u again at %llu", life,
			    event->claim, event->i, at);
	if (atomic_load(&claim->first) != sequence - event->i + 1)
		crash_wrong(board, CRASH_REORDERED, "life %llu: claim %u slot %u at %llu, its first at %llu",
			    life, event->claim, event->i, at,
			    (unsigned long long)atomic_load(&claim->first) - 1);
	done_add(claim, event->i);
}

void crash_see(struct crash_board *board, struct crash_reader *reader, uint64_t sequence,
	       const struct crash_event *event)
{
	const uint64_t expected = atomic_load(&reader->sequence);

	if (sequence < expected)
		return; /* a predecessor checked it and died before it was released */
	if (sequence != expected)
		crash_wrong(board, CRASH_LOST, "a reader at %llu expected %llu",
			    (unsigned long long)sequence, (unsigned long long)expected);
	/* by the parity of the sequence, so that it can be written twice */
	atomic_store(&reader->voids[(sequence + 1) % 2],
		     atomic_load(&reader->voids[sequence % 2]) + !event);
	if (event && crash_event_is_whole(event, board, sequence))
		see_event(board, reader, sequence, event);
	else if (event)
		crash_wrong(board, CRASH_TORN, "at %llu: life %llu claim %u slot %u sequence %llu",
			    (unsigned long long)sequence, (unsigned long long)event->life,
			    event->claim, event->i, (unsigned long long)event->sequence);
	atomic_store(&reader->sequence, sequence + 1);
}

uint64_t crash_voids(const struct crash_reader *reader)
{
	return atomic_load(&reader->voids[atomic_load(&reader->sequence) % 2]);
}

/* ------------------------------------------------------------------------------- the account */

struct account {
	struct crash_board *board;
	uint64_t life;
	uint64_t voids_least, voids_most; /* that the dead can have left */
};

static bool covers(const struct crash_claim *seen, const struct crash_claim *done)
{
	for (uint32_t w = 0; w < CRASH_SLOTS_MAX / 64; w++)
		if (atomic_load(&done->done[w]) & ~atomic_load(&seen->done[w]))
			return false;
	return true;
}

/* One claim: what its producer noted, what the reader found of it (NULL: nothing). */
static void account_claim(struct account *account, const struct crash_claim *claim,
			  const struct crash_claim *seen, bool must_be_whole)
{
	static const struct crash_claim nothing;
	const struct crash_claim *found = seen ? seen : &nothing;
	const uint64_t n = atomic_load(&claim->n), count = done_count(found);
	const uint64_t first = atomic_load(&claim->first), index = atomic_load(&claim->index);

	if (!covers(found, claim) || (must_be_whole && count != n))
		crash_wrong(account->board, CRASH_LOST,
			    "life %llu: claim %llu of %llu: %llu published, %llu seen",
			    (unsigned long long)account->life, (unsigned long long)index,
			    (unsigned long long)n, (unsigned long long)done_count(claim),
			    (unsigned long long)count);
	if (seen && (atomic_load(&seen->n) != n || (first && atomic_load(&seen->first) != first)))
		crash_wrong(account->board, CRASH_REORDERED, "life %llu: claim %llu is not as claimed",
			    (unsigned long long)account->life, (unsigned long long)index);
	account->voids_most += n - count;
	account->voids_least += first || count ? n - count : 0;
}

static const struct crash_claim *find(const struct crash_life *seen, uint64_t index)
{
	const struct crash_claim *claim = &seen->claims[index % 2];

	return atomic_load(&claim->index) == index ? claim : NULL;
}

static void account_life(struct account *account, const struct crash_life *life,
			 const struct crash_life *seen)
{
	const uint64_t current = atomic_load(&life->current);
	/* a life that ended by itself may have announced a claim that it did not get */
	const bool is_over = atomic_load(&life->is_over);
	const struct crash_claim *last = &life->claims[current % 2];

	if (atomic_load(&seen->claims[0].index) > current ||
	    atomic_load(&seen->claims[1].index) > current)
		crash_wrong(account->board, CRASH_REORDERED, "life %llu: a claim that was never made",
			    (unsigned long long)account->life);
	if (current > 1 && find(life, current - 1))
		account_claim(account, find(life, current - 1), find(seen, current - 1), true);
	if (current && (!is_over || atomic_load(&last->first)))
		account_claim(account, last, find(seen, current), is_over);
}

void crash_account(struct crash_board *board, struct crash_reader *reader, uint64_t end)
{
	const uint64_t voids = crash_voids(reader);
	struct account account = {.board = board};

	for (; account.life < atomic_load(&board->lives); account.life++)
		account_life(&account, &board->lives_of[account.life],
			     &reader->lives[account.life]);
	if (atomic_load(&reader->sequence) != end)
		crash_wrong(board, CRASH_LOST, "a reader ended at %llu, claimed is %llu",
			    (unsigned long long)atomic_load(&reader->sequence),
			    (unsigned long long)end);
	if (voids < account.voids_least || voids > account.voids_most)
		crash_wrong(board, CRASH_LOST, "%llu tombstones; the dead left %llu to %llu",
			    (unsigned long long)voids, (unsigned long long)account.voids_least,
			    (unsigned long long)account.voids_most);
}
