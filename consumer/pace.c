/* SPDX-License-Identifier: MIT */
/* pace.c - see pace.h. The consumer's thread; a crash leaves nothing. */
#include "consumer/pace.h"

#include "shm/clock.h"
#include "shm/wait.h"

/* A rest shall cover what a look costs both sides several times over. */
#define REST_NS 1000u
#define REST_NS_MAX 4000u
/* What looking at every event lets through between far cores, per microsecond. */
#define PAYS_PER_US 6u
#define TRY_AT 256u
#define TRY_AT_MAX 8192u
#define LINE 64u
/* Fewer bytes are the newest events, whose lines the producer is still writing. */
#define TAKE_BYTES_MIN (4 * LINE)

void sluice_pace_init(struct sluice_pace *pace)
{
	pace->caught_up = 0;
	pace->try_at = TRY_AT;
	pace->rest_ns = REST_NS;
	pace->pays = false;
}

bool sluice_pace_rest(struct sluice_pace *pace)
{
	uint64_t until_ns;

	if (!pace->pays && ++pace->caught_up < pace->try_at)
		return false;
	until_ns = sluice_clock_ns() + pace->rest_ns;
	do {
		sluice_cpu_relax();
	} while (sluice_clock_ns() < until_ns);
	return true;
}

void sluice_pace_rested(struct sluice_pace *pace, uint64_t events)
{
	pace->caught_up = 0;
	pace->pays = events * 1000 >= (uint64_t)PAYS_PER_US * pace->rest_ns;
	if (pace->pays) {
		pace->try_at = TRY_AT;
		pace->rest_ns = pace->rest_ns < REST_NS_MAX ? pace->rest_ns * 2 : REST_NS_MAX;
	} else {
		pace->try_at = pace->try_at < TRY_AT_MAX ? pace->try_at * 2 : TRY_AT_MAX;
		pace->rest_ns = REST_NS;
	}
}

/*
 * Not for ThreadSanitizer: others may read or write these bytes as the plain memory of events at
 * the same time. The exchange puts back what it found in one step, so nobody can tell.
 */
__attribute__((no_sanitize("thread"))) static void take_lines(uint8_t *from, const uint8_t *end)
{
	for (uint8_t *line = (uint8_t *)((uintptr_t)from & ~(uintptr_t)(LINE - 1));
	     (size_t)(end - line) >= LINE; line += LINE) {
		uint64_t same = 0;

		/* relaxed: orders nothing; it is the line that matters, success or not */
		atomic_compare_exchange_strong_explicit((_Atomic uint64_t *)(void *)line, &same, 0,
							memory_order_relaxed, memory_order_relaxed);
	}
}

void sluice_pace_take(const struct sluice_ring *ring, uint64_t from, uint64_t n)
{
	const uint64_t first = from & ring->mask;
	uint64_t straight;

	/* damaged stamps may say so */
	if (sluice_unlikely(n > ring->slot_count))
		n = ring->slot_count;
	straight = n < ring->slot_count - first ? n : ring->slot_count - first;
	/* the look at its stamps has shared these lines already, and one event pays for each */
	if (n * ring->stride < TAKE_BYTES_MIN || (ring->stamped && ring->stride >= LINE))
		return;
	take_lines(ring->slots + first * ring->stride,
		   ring->slots + (first + straight) * ring->stride);
	take_lines(ring->slots, ring->slots + (n - straight) * ring->stride);
}
