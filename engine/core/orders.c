/* SPDX-License-Identifier: MIT */
/*
 * orders.c - building the slab and the index, and taking orders out of both. Called by the
 * commands' functions, on the engine's thread.
 */
#include "engine/core/orders.h"

uint64_t sluice_index_entries(uint32_t orders_max)
{
	uint64_t entries = 16;

	while (entries < 2 * (uint64_t)orders_max)
		entries *= 2;
	return entries;
}

void sluice_orders_init(struct sluice_orders *orders, struct sluice_order *slots,
			struct sluice_index_entry *entries, uint32_t max)
{
	uint32_t i;

	*orders = (struct sluice_orders){
		.slots = slots,
		.entries = entries,
		.mask = sluice_index_entries(max) - 1,
		.free = max ? 1 : 0,
		.max = max,
	};
	for (i = 1; i < max; i++)
		slots[i].next = i + 1;
}

/* Closes the hole at i with later entries of the run, each as near to its home as it can get. */
static void close_hole(struct sluice_orders *orders, uint64_t i)
{
	struct sluice_index_entry *entries = orders->entries;
	uint64_t mask = orders->mask, j = i;

	for (;;) {
		j = (j + 1) & mask;
		if (!entries[j].order)
			break;
		if (((j - entries[j].hash) & mask) < ((j - i) & mask))
			continue;
		entries[i] = entries[j];
		i = j;
	}
	entries[i].order = 0;
}

void sluice_orders_free(struct sluice_orders *orders, uint32_t order)
{
	uint64_t i = orders->slots[order].hash & orders->mask;

	while (orders->entries[i].order != order) {
		sluice_assert(orders->entries[i].order != 0);
		i = (i + 1) & orders->mask;
	}
	close_hole(orders, i);
	orders->slots[order].next = orders->free;
	orders->free = order;
	orders->live--;
}

/* Walks the run from an entry's home to the entry: a free one between would hide it. */
static bool entry_found(const struct sluice_orders *orders, uint64_t at)
{
	uint64_t i = orders->entries[at].hash & orders->mask;

	while (i != at && orders->entries[i].order)
		i = (i + 1) & orders->mask;
	return i == at;
}

const char *sluice_orders_check(const struct sluice_orders *orders)
{
	uint32_t free, frees = 0;
	uint64_t i, used = 0;

	for (i = 0; i <= orders->mask; i++) {
		if (!orders->entries[i].order)
			continue;
		used++;
		if (orders->entries[i].order > orders->max)
			return "the index names no order";
		if (orders->slots[orders->entries[i].order].hash != orders->entries[i].hash)
			return "the index has another hash than the order";
		if (!entry_found(orders, i))
			return "an entry of the index cannot be found";
	}
	if (used != orders->live)
		return "the index does not hold the live orders";
	for (free = orders->free; free && frees <= orders->max; free = orders->slots[free].next)
		frees++;
	return frees + used == orders->max ? NULL : "orders are lost or free twice";
}
