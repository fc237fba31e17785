/* SPDX-License-Identifier: MIT */
/* ring_cases.c - the topologies, and which of all possible runs are made: see ring.h. */
#include <string.h>

#include "bench/ring.h"

static const struct {
	const char *name, *title;
	uint32_t producers, consumers;
	bool many;
} topologies[BENCH_TOPOLOGIES] = {
	[BENCH_UNICAST] = {"unicast", "1 producer, 1 consumer", 1, 1, false},
	[BENCH_MULTI] = {"multi", "1 producer on the path for several, 1 consumer", 1, 1, true},
	[BENCH_SEQUENCER] = {"sequencer", "3 producers, 1 consumer", 3, 1, true},
	[BENCH_MULTICAST] = {"multicast", "1 producer, 3 consumers", 1, 3, false},
	[BENCH_PIPELINE] = {"pipeline", "1 producer, 3 consumers one after the other", 1, 3, false},
	[BENCH_DIAMOND] = {"diamond", "1 producer, 2 consumers, 1 after both", 1, 3, false},
};

static const uint32_t sizes[] = {8, 24, 32, 64, 128};
static const uint32_t rings[] = {8192, 65536};
static const uint32_t batches[] = {1, 10, 16};
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

const char *bench_topology_name(enum bench_topology topology)
{
	return topologies[topology].name;
}

const char *bench_topology_title(enum bench_topology topology)
{
	return topologies[topology].title;
}

uint32_t bench_topology_producers(enum bench_topology topology)
{
	return topologies[topology].producers;
}

uint32_t bench_topology_consumers(enum bench_topology topology)
{
	return topologies[topology].consumers;
}

bool bench_topology_many(enum bench_topology topology)
{
	return topologies[topology].many;
}

/* Packed, the stamp's 8 bytes included. */
uint32_t bench_case_stride(const struct bench_case *ring)
{
	return ring->bytes + (bench_topology_many(ring->topology) ? 8 : 0);
}

uint32_t bench_case_padded(const struct bench_case *ring)
{
	uint32_t stride = 8;

	while (stride < bench_case_stride(ring))
		stride *= 2;
	return stride;
}

/* What is run if nobody asks for more: the sizes and batches that show what there is to see. */
static bool is_usual(const struct bench_case *ring)
{
	const bool plain = !ring->threads && ring->reader == BENCH_READ_WAIT;

	if (ring->topology == BENCH_UNICAST && plain)
		return ring->bytes != 24 && ring->batch != 10;
	if (ring->topology == BENCH_UNICAST)
		return ring->bytes == 32 && ring->batch != 10 &&
		       !(ring->threads && ring->reader != BENCH_READ_WAIT);
	if (bench_topology_many(ring->topology))
		return plain && (ring->bytes == 24 || ring->bytes == 32) && ring->batch != 10 &&
		       ring->slots == 8192;
	return plain && ring->bytes == 32 && ring->slots == 8192;
}

static bool is_wanted(const struct bench_plan *plan, const struct bench_case *ring)
{
	const struct bench_ring_filter *filter = &plan->ring;

	if (filter->bytes && filter->bytes != ring->bytes)
		return false;
	if (filter->slots && filter->slots != ring->slots)
		return false;
	if (filter->batch && filter->batch != ring->batch)
		return false;
	if (filter->where && (filter->where == 2) != ring->threads)
		return false;
	if (filter->reader && filter->reader - 1 != ring->reader)
		return false;
	return filter->all || is_usual(ring);
}

uint32_t bench_ring_cases(const struct bench_plan *plan, enum bench_topology topology,
			  struct bench_case *ret_cases)
{
	const uint32_t total = COUNT(sizes) * COUNT(rings) * COUNT(batches) * BENCH_READERS * 2;
	uint32_t count = 0;

	for (uint32_t i = 0; i < total; i++) {
		uint32_t n = i;
		struct bench_case ring = {.topology = topology};

		ring.batch = batches[n % COUNT(batches)];
		n /= COUNT(batches);
		ring.slots = rings[n % COUNT(rings)];
		n /= COUNT(rings);
		ring.bytes = sizes[n % COUNT(sizes)];
		n /= COUNT(sizes);
		ring.reader = n % BENCH_READERS;
		ring.threads = n / BENCH_READERS;
		if (is_wanted(plan, &ring))
			ret_cases[count++] = ring;
	}
	sluice_assert(count <= BENCH_CASES_MAX);
	return count;
}
