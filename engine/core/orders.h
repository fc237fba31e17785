/* SPDX-License-Identifier: MIT */
/*
 * orders.h - the slab of live orders and the index that finds one by its key.
 *
 * The key is (symbol, account, order_id). The index is open addressing with linear probing, at most
 * half full; an entry keeps the whole hash, so a probe or a removal reads an order's line only when
 * the key is almost certainly there. Removal shifts the rest of the run back: no tombstones.
 * Order 0 is no order.
 */
#ifndef SLUICE_ENGINE_CORE_ORDERS_H
#define SLUICE_ENGINE_CORE_ORDERS_H

#include "shm/base.h"

struct sluice_order {
	uint64_t order_id;
	int64_t price;
	int64_t leaves;
	int64_t qty; /* total, what is filled included */
	uint64_t hash;
	uint32_t next; /* in the level, by time; of a free order: the next free one */
	uint32_t prev;
	uint32_t symbol;
	uint32_t account;
	uint8_t side;
	uint8_t reserved[7];
};
SLUICE_ASSERT_SIZE(sluice_order, 64);

struct sluice_index_entry {
	uint64_t hash;
	uint32_t order; /* 0: the entry is free */
	uint32_t reserved;
};
SLUICE_ASSERT_SIZE(sluice_index_entry, 16);

struct sluice_orders {
	struct sluice_order *slots;
	struct sluice_index_entry *entries;
	uint64_t mask; /* of the entries */
	uint32_t free;
	uint32_t live;
	uint32_t max;
	uint32_t reserved;
};

/* Entries of the index for this many orders. */
uint64_t sluice_index_entries(uint32_t orders_max);

/* Storage of max + 1 slots and sluice_index_entries(max) entries, all zero. */
void sluice_orders_init(struct sluice_orders *orders, struct sluice_order *slots,
			struct sluice_index_entry *entries, uint32_t max);

static inline uint64_t sluice_mix(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t sluice_order_hash(uint32_t symbol, uint32_t account, uint64_t order_id)
{
	uint64_t owner = (uint64_t)symbol << 32 | account;

	return sluice_mix(
		order_id ^ UINT64_C(0xa0761d6478bd642f),
		sluice_mix(owner ^ UINT64_C(0xe7037ed1a0b428db), UINT64_C(0x8ebc6af09c88c6e3)) | 1);
}

/* The live order of this key, 0: none. */
static inline uint32_t sluice_orders_find(const struct sluice_orders *orders, uint64_t hash,
					  uint32_t symbol, uint32_t account, uint64_t order_id)
{
	uint64_t i = hash & orders->mask;

	for (; orders->entries[i].order; i = (i + 1) & orders->mask) {
		const struct sluice_order *order = &orders->slots[orders->entries[i].order];

		if (orders->entries[i].hash == hash && order->order_id == order_id &&
		    order->symbol == symbol && order->account == account)
			return orders->entries[i].order;
	}
	return 0;
}

/* Takes a free order, not yet in the index. There must be one: live < max. */
static inline uint32_t sluice_orders_take(struct sluice_orders *orders)
{
	uint32_t order = orders->free;

	sluice_assert(order != 0);
	orders->free = orders->slots[order].next;
	orders->live++;
	return order;
}

/* Puts an order under the key and hash that its fields hold. The key must not be there. */
static inline void sluice_orders_insert(struct sluice_orders *orders, uint32_t order)
{
	uint64_t hash = orders->slots[order].hash, i = hash & orders->mask;

	while (orders->entries[i].order)
		i = (i + 1) & orders->mask;
	orders->entries[i].hash = hash;
	orders->entries[i].order = order;
}

/* Removes a live order from the index and frees it. It must be in no level any more. */
void sluice_orders_free(struct sluice_orders *orders, uint32_t order);

/* NULL, or how index and slab disagree. */
const char *sluice_orders_check(const struct sluice_orders *orders);

#endif
