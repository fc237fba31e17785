/* SPDX-License-Identifier: MIT */
/*
 * event.h - what travels in a throughput run: words that all follow from the producer and its own
 * count, so that a lost, repeated, torn or foreign event shows. The same for every arm; C and C++.
 *
 * Word 0 is count * BENCH_PRODUCERS_MAX + producer; word i has i in its upper byte as well.
 */
#ifndef SLUICE_BENCH_EVENT_H
#define SLUICE_BENCH_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#define BENCH_PRODUCERS_MAX 4u
#define BENCH_EVENT_BYTES_MAX 128u
#define BENCH_SPOILED (1ull << 40) /* the bit that is wrong in the event that is to be found */
#define BENCH_UNSPOILED UINT64_MAX
#define BENCH_ALWAYS_INLINE inline __attribute__((always_inline))

/* The event of this count; one of them is spoiled on purpose if the run says so. */
static BENCH_ALWAYS_INLINE void bench_event_fill(uint64_t *event, uint32_t words, uint64_t count,
						 uint32_t producer, uint64_t spoil)
{
	const uint64_t head = count * BENCH_PRODUCERS_MAX + producer;

	for (uint32_t i = 0; i < words; i++)
		event[i] = head + ((uint64_t)i << 56);
	if (__builtin_expect(count == spoil, 0))
		event[words - 1] ^= BENCH_SPOILED;
}

/* What a reader expects next of each producer, and whether it was ever disappointed. */
struct bench_expect {
	uint64_t head[BENCH_PRODUCERS_MAX];
	uint64_t wrong;
};

static inline void bench_expect_init(struct bench_expect *expect)
{
	for (uint32_t p = 0; p < BENCH_PRODUCERS_MAX; p++)
		expect->head[p] = p;
	expect->wrong = 0;
}

static BENCH_ALWAYS_INLINE void bench_event_check(struct bench_expect *expect,
						  const uint64_t *event, uint32_t words, bool many)
{
	const uint32_t producer = many ? (uint32_t)event[0] % BENCH_PRODUCERS_MAX : 0;
	const uint64_t head = expect->head[producer];
	uint64_t wrong = 0;

	for (uint32_t i = 0; i < words; i++)
		wrong |= event[i] ^ (head + ((uint64_t)i << 56));
	expect->wrong |= wrong;
	expect->head[producer] = head + BENCH_PRODUCERS_MAX;
}

#endif
