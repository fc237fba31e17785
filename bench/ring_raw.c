/* SPDX-License-Identifier: MIT */
/*
 * ring_raw.c - the floor of a throughput run: a bare ring for two, packed slots, two counters on
 * lines of their own, each side with a copy of the other's. No names, no wake-ups, no third party.
 *
 * sync pairs of this file:
 *   bare_send:head -> bare_read:head	the events before the counter
 *   bare_read:tail -> bare_send:tail	our reads before the slots are written again
 */
#include <errno.h>

#include "bench/ring.h"

struct bare {
	_Alignas(128) _Atomic uint64_t head; /* of the next event to be sent */
	_Alignas(128) _Atomic uint64_t tail; /* of the next event to be read */
	_Alignas(128) uint8_t slots[];
};

uint64_t bench_raw_bytes(const struct bench_case *ring)
{
	return sizeof(struct bare) + (uint64_t)ring->slots * ring->bytes;
}

static BENCH_ALWAYS_INLINE uint64_t send_words(uint32_t words, struct bench_flow *flow,
					       uint32_t party)
{
	struct bare *bare = flow->memory;
	const uint64_t slots = flow->ring.slots, mask = slots - 1, batch = flow->ring.batch;
	uint64_t *events = (uint64_t *)(void *)bare->slots;
	uint64_t sent = 0, looked = 0, tail = 0;

	for (;; sent += batch) {
		if (sent - looked >= BENCH_PEER_CLOCK_EVERY) {
			looked = sent;
			if (!bench_flow_more(flow, party))
				return sent;
		}
		while (sent + batch - tail > slots) {
			/* sync: bare_send:tail <- bare_read:tail; slots that were read */
			tail = atomic_load_explicit(&bare->tail, memory_order_acquire);
			if (sent + batch - tail > slots)
				bench_flow_step(flow);
		}
		for (uint64_t i = 0; i < batch; i++)
			bench_event_fill(events + ((sent + i) & mask) * words, words, sent + i, 0,
					 flow->spoil);
		/* sync: bare_send:head -> bare_read:head; events first */
		atomic_store_explicit(&bare->head, sent + batch, memory_order_release);
	}
}

static BENCH_ALWAYS_INLINE uint64_t read_words(uint32_t words, struct bench_flow *flow,
					       struct bench_party *party)
{
	struct bare *bare = flow->memory;
	const uint64_t mask = flow->ring.slots - 1;
	const uint64_t *events = (const uint64_t *)(const void *)bare->slots;
	struct bench_expect expect;
	uint64_t next = 0;

	bench_expect_init(&expect);
	for (;;) {
		/* sync: bare_read:head <- bare_send:head; the events before it */
		const uint64_t head = atomic_load_explicit(&bare->head, memory_order_acquire);

		party->polls++;
		if (head == next) {
			party->empty_polls++;
			if (bench_flow_complete(flow, next))
				break;
			bench_flow_step(flow);
			continue;
		}
		for (; next != head; next++)
			bench_event_check(&expect, events + (next & mask) * words, words, false);
		/* sync: bare_read:tail -> bare_send:tail; read */
		atomic_store_explicit(&bare->tail, next, memory_order_release);
		party->batches++;
	}
	party->read = next;
	return expect.wrong;
}

int bench_raw_produce(struct bench_pair *pair, uint32_t side, void *arg)
{
	struct bench_flow *flow = arg;
	uint64_t sent;
	int rc;

	bench_shared_touch(flow, sizeof(*flow));
	bench_shared_touch(flow->memory, bench_raw_bytes(&flow->ring));
	rc = bench_pair_start(pair, side);
	if (rc)
		return rc;
	bench_flow_floor(flow, side);
	bench_flow_begin(flow, side);
	sent = BENCH_BY_WORDS(flow->ring.bytes, send_words, flow, side);
	bench_pair_stop(pair, side);
	bench_flow_end(flow, side, sent);
	return 0;
}

int bench_raw_consume(struct bench_pair *pair, uint32_t side, void *arg)
{
	struct bench_flow *flow = arg;
	struct bench_party *party = &flow->parties[side];
	uint64_t wrong;
	int rc;

	bench_shared_touch(flow, sizeof(*flow));
	bench_shared_touch(flow->memory, bench_raw_bytes(&flow->ring));
	rc = bench_pair_start(pair, side);
	if (rc)
		return rc;
	bench_flow_floor(flow, side);
	wrong = BENCH_BY_WORDS(flow->ring.bytes, read_words, flow, party);
	party->ended = bench_ticks_now();
	bench_pair_stop(pair, side);
	return wrong ? -EBADMSG : 0;
}
