/* SPDX-License-Identifier: MIT */
/*
 * ck_ring.c - the ring of Concurrency Kit, entries inline: the producer writes into a reserved
 * slot, the consumer copies one entry at a time, which is all the library has. Called as peer.h
 * says.
 */
#if __has_include(<ck_ring.h>)
#include <ck_ring.h>

#include "bench/peer.h"

#define SLOTS_AT 512u /* the three counters have lines of their own before it */

struct event8 {
	uint64_t word[1];
};
struct event24 {
	uint64_t word[3];
};
struct event32 {
	uint64_t word[4];
};
struct event64 {
	uint64_t word[8];
};
struct event128 {
	uint64_t word[16];
};

CK_RING_PROTOTYPE(event8, event8)
CK_RING_PROTOTYPE(event24, event24)
CK_RING_PROTOTYPE(event32, event32)
CK_RING_PROTOTYPE(event64, event64)
CK_RING_PROTOTYPE(event128, event128)

_Static_assert(sizeof(struct ck_ring) <= SLOTS_AT, "the counters fit before the slots");

static uint64_t bytes_of(const struct bench_peer_run *run)
{
	return SLOTS_AT + run->slots * run->bytes;
}

static int init(const struct bench_peer_run *run)
{
	ck_ring_init(run->memory, (unsigned int)run->slots);
	return 0;
}

#define LOOPS(type)                                                                                \
	static uint64_t produce_##type(struct bench_peer_run *run, bool many)                      \
	{                                                                                          \
		const uint32_t words = sizeof(struct type) / 8;                                    \
		struct ck_ring *ring = run->memory;                                                \
		struct type *slots = (void *)((uint8_t *)run->memory + SLOTS_AT);                  \
		unsigned int ticket = 0;                                                           \
		uint64_t sent = 0;                                                                 \
		for (;; sent++) {                                                                  \
			struct type *slot;                                                         \
			if (sent % BENCH_PEER_CLOCK_EVERY == 0 && !run->more(run))                 \
				return sent;                                                       \
			while (!(slot = many ? ck_ring_enqueue_reserve_mpsc_##type(ring, slots,    \
										   &ticket) :      \
					       ck_ring_enqueue_reserve_spsc_##type(ring, slots)))  \
				run->full(run);                                                    \
			bench_peer_fill(run, slot->word, words, sent);                             \
			if (many)                                                                  \
				ck_ring_enqueue_commit_mpsc(ring, ticket);                         \
			else                                                                       \
				ck_ring_enqueue_commit_spsc(ring);                                 \
		}                                                                                  \
	}                                                                                          \
	static void consume_##type(struct bench_peer_run *run, struct bench_expect *expect,        \
				   bool many)                                                      \
	{                                                                                          \
		const uint32_t words = sizeof(struct type) / 8;                                    \
		struct ck_ring *ring = run->memory;                                                \
		struct type *slots = (void *)((uint8_t *)run->memory + SLOTS_AT);                  \
		struct type event;                                                                 \
		for (;;) {                                                                         \
			if (!CK_RING_DEQUEUE_SPSC(type, ring, slots, &event)) {                    \
				bench_peer_took(run, 0);                                           \
				if (!run->idle(run))                                               \
					return;                                                    \
				continue;                                                          \
			}                                                                          \
			bench_event_check(expect, event.word, words, many);                        \
			bench_peer_took(run, 1);                                                   \
		}                                                                                  \
	}

LOOPS(event8)
LOOPS(event24)
LOOPS(event32)
LOOPS(event64)
LOOPS(event128)

static uint64_t produce(struct bench_peer_run *run)
{
	switch (run->bytes) {
	case 8:
		return run->many ? produce_event8(run, true) : produce_event8(run, false);
	case 24:
		return run->many ? produce_event24(run, true) : produce_event24(run, false);
	case 32:
		return run->many ? produce_event32(run, true) : produce_event32(run, false);
	case 64:
		return run->many ? produce_event64(run, true) : produce_event64(run, false);
	default:
		return run->many ? produce_event128(run, true) : produce_event128(run, false);
	}
}

static void consume(struct bench_peer_run *run, struct bench_expect *expect)
{
	switch (run->bytes) {
	case 8:
		consume_event8(run, expect, run->many);
		break;
	case 24:
		consume_event24(run, expect, run->many);
		break;
	case 32:
		consume_event32(run, expect, run->many);
		break;
	case 64:
		consume_event64(run, expect, run->many);
		break;
	default:
		consume_event128(run, expect, run->many);
	}
}

static const struct bench_peer spsc = {
	.name = "ck_ring",
	.notes = "one event at a time",
	.bytes = bytes_of,
	.init = init,
	.produce = produce,
	.consume = consume,
};

static const struct bench_peer mpsc = {
	.name = "ck_ring mpsc",
	.notes = "one event at a time",
	.many = true,
	.bytes = bytes_of,
	.init = init,
	.produce = produce,
	.consume = consume,
};

const struct bench_peer *const *sluice_bench_peer(void)
{
	static const struct bench_peer *const peers[] = {&spsc, &mpsc, 0};

	return peers;
}
#endif
