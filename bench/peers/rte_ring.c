/* SPDX-License-Identifier: MIT */
/*
 * rte_ring.c - the ring of DPDK, zero-copy on both sides, without the environment layer: a ring is
 * laid out by rte_ring_init in memory of the bench's own. With several producers it is the HTS
 * mode, the only one of them with a zero-copy enqueue. Called as peer.h says.
 */
#if __has_include(<rte_ring_peek_zc.h>)
#include <rte_ring.h>
#include <rte_ring_elem.h>
#include <rte_ring_peek_zc.h>

#include "bench/peer.h"

static uint64_t bytes_of(const struct bench_peer_run *run)
{
	const ssize_t bytes = rte_ring_get_memsize_elem(run->bytes, (unsigned int)run->slots);

	return bytes > 0 ? (uint64_t)bytes : 0;
}

static int init(const struct bench_peer_run *run)
{
	const unsigned int producers = run->many ? RING_F_MP_HTS_ENQ : RING_F_SP_ENQ;

	return rte_ring_init(run->memory, "bench", (unsigned int)run->slots,
			     producers | RING_F_SC_DEQ);
}

static BENCH_ALWAYS_INLINE void fill(const struct bench_peer_run *run, void *place, uint32_t n,
				     uint32_t words, uint64_t sent)
{
	uint64_t *event = place;

	for (uint32_t i = 0; i < n; i++, event += words)
		bench_peer_fill(run, event, words, sent + i);
}

static BENCH_ALWAYS_INLINE uint64_t produce_words(struct bench_peer_run *run, uint32_t words)
{
	struct rte_ring *ring = run->memory;
	struct rte_ring_zc_data space;
	uint64_t sent = 0, looked = 0;

	if (!run->more(run))
		return 0;
	for (;; sent += run->batch) {
		if (sent - looked >= BENCH_PEER_CLOCK_EVERY) {
			looked = sent;
			if (!run->more(run))
				return sent;
		}
		while (!rte_ring_enqueue_zc_bulk_elem_start(ring, words * 8, run->batch, &space, 0))
			run->full(run);
		fill(run, space.ptr1, space.n1, words, sent);
		if (space.n1 < run->batch)
			fill(run, space.ptr2, run->batch - space.n1, words, sent + space.n1);
		rte_ring_enqueue_zc_elem_finish(ring, run->batch);
	}
}

static BENCH_ALWAYS_INLINE void check(const struct bench_peer_run *run, const void *place,
				      uint32_t n, uint32_t words, struct bench_expect *expect)
{
	const uint64_t *event = place;

	for (uint32_t i = 0; i < n; i++, event += words)
		bench_event_check(expect, event, words, run->many);
}

static BENCH_ALWAYS_INLINE void consume_words(struct bench_peer_run *run, uint32_t words,
					      struct bench_expect *expect)
{
	struct rte_ring *ring = run->memory;
	struct rte_ring_zc_data space = {.n1 = 0};

	for (;;) {
		const unsigned int n = rte_ring_dequeue_zc_burst_elem_start(
			ring, words * 8, BENCH_PEER_READ_MAX, &space, 0);

		bench_peer_took(run, n);
		if (!n) {
			if (!run->idle(run))
				return;
			continue;
		}
		check(run, space.ptr1, space.n1 < n ? space.n1 : n, words, expect);
		if (space.n1 < n)
			check(run, space.ptr2, n - space.n1, words, expect);
		rte_ring_dequeue_zc_elem_finish(ring, n);
	}
}

static uint64_t produce(struct bench_peer_run *run)
{
	switch (run->bytes) {
	case 8:
		return produce_words(run, 1);
	case 24:
		return produce_words(run, 3);
	case 32:
		return produce_words(run, 4);
	case 64:
		return produce_words(run, 8);
	default:
		return produce_words(run, 16);
	}
}

static void consume(struct bench_peer_run *run, struct bench_expect *expect)
{
	switch (run->bytes) {
	case 8:
		consume_words(run, 1, expect);
		break;
	case 24:
		consume_words(run, 3, expect);
		break;
	case 32:
		consume_words(run, 4, expect);
		break;
	case 64:
		consume_words(run, 8, expect);
		break;
	default:
		consume_words(run, 16, expect);
	}
}

static const struct bench_peer single = {
	.name = "rte_ring",
	.notes = "zero-copy",
	.batched = true,
	.bytes = bytes_of,
	.init = init,
	.produce = produce,
	.consume = consume,
};

static const struct bench_peer hts = {
	.name = "rte_ring hts",
	.notes = "zero-copy",
	.batched = true,
	.many = true,
	.bytes = bytes_of,
	.init = init,
	.produce = produce,
	.consume = consume,
};

const struct bench_peer *const *sluice_bench_peer(void)
{
	static const struct bench_peer *const peers[] = {&single, &hts, 0};

	return peers;
}
#endif
