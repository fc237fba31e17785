/* SPDX-License-Identifier: MIT */
#include "producer/shadow_book.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NONE SLUICE_SHADOW_NONE
#define WORDS (SLUICE_SHADOW_LEVELS / 64)

int sluice_shadow_init(struct sluice_shadow_book *book, uint32_t capacity)
{
	memset(book, 0, sizeof(*book));
	book->orders = calloc(capacity, sizeof(*book->orders));
	book->live = calloc(capacity, sizeof(*book->live));
	if (!book->orders || !book->live) {
		sluice_shadow_release(book);
		return -ENOMEM;
	}
	book->capacity = capacity;
	for (uint32_t i = 0; i < capacity; i++)
		book->orders[i].next = i + 1 < capacity ? i + 1 : NONE;
	for (uint32_t i = 0; i < SLUICE_SHADOW_LEVELS; i++)
		book->level[i].head = book->level[i].tail = NONE;
	return 0;
}

void sluice_shadow_release(struct sluice_shadow_book *book)
{
	free(book->orders);
	free(book->live);
	book->orders = NULL;
	book->live = NULL;
}

static uint64_t *words_of(struct sluice_shadow_book *book, enum sluice_side side)
{
	return book->used[side == SLUICE_SIDE_SELL];
}

uint32_t sluice_shadow_best(const struct sluice_shadow_book *book, enum sluice_side side)
{
	const uint64_t *words = book->used[side == SLUICE_SIDE_SELL];

	for (uint32_t i = 0; i < WORDS; i++) {
		uint32_t word = side == SLUICE_SIDE_SELL ? i : WORDS - 1 - i;

		if (!words[word])
			continue;
		if (side == SLUICE_SIDE_SELL)
			return word * 64 + (uint32_t)__builtin_ctzll(words[word]);
		return word * 64 + 63 - (uint32_t)__builtin_clzll(words[word]);
	}
	return NONE;
}

int64_t sluice_shadow_match(struct sluice_shadow_book *book, enum sluice_side side, uint32_t level,
			    int64_t qty)
{
	enum sluice_side other = side == SLUICE_SIDE_BUY ? SLUICE_SIDE_SELL : SLUICE_SIDE_BUY;

	while (qty > 0) {
		uint32_t best = sluice_shadow_best(book, other);
		struct sluice_shadow_order *order;
		int64_t fill;

		if (best == NONE || (side == SLUICE_SIDE_BUY ? best > level : best < level))
			break;
		order = &book->orders[book->level[best].head];
		fill = qty < order->leaves_qty ? qty : order->leaves_qty;
		qty -= fill;
		order->leaves_qty -= fill;
		if (order->leaves_qty == 0)
			sluice_shadow_remove(book, book->level[best].head);
	}
	return qty;
}

uint32_t sluice_shadow_add(struct sluice_shadow_book *book, enum sluice_side side, uint32_t level,
			   uint64_t order_id, uint32_t account, int64_t qty, int64_t leaves_qty)
{
	struct sluice_shadow_level *at = &book->level[level];
	uint32_t index = book->free;
	struct sluice_shadow_order *order;

	sluice_assert(index != NONE);
	sluice_assert(level < SLUICE_SHADOW_LEVELS);
	order = &book->orders[index];
	book->free = order->next;
	*order = (struct sluice_shadow_order){
		.order_id = order_id,
		.qty = qty,
		.leaves_qty = leaves_qty,
		.account = account,
		.next = NONE,
		.previous = at->tail,
		.live_index = book->live_count,
		.level = (uint16_t)level,
		.side = (uint8_t)side,
	};
	book->live[book->live_count++] = index;
	if (at->tail == NONE)
		at->head = index;
	else
		book->orders[at->tail].next = index;
	at->tail = index;
	words_of(book, side)[level / 64] |= 1ull << level % 64;
	return index;
}

void sluice_shadow_remove(struct sluice_shadow_book *book, uint32_t index)
{
	struct sluice_shadow_order *order = &book->orders[index];
	struct sluice_shadow_level *level = &book->level[order->level];
	uint32_t moved = book->live[book->live_count - 1];

	if (order->previous == NONE)
		level->head = order->next;
	else
		book->orders[order->previous].next = order->next;
	if (order->next == NONE)
		level->tail = order->previous;
	else
		book->orders[order->next].previous = order->previous;
	if (level->head == NONE)
		words_of(book, (enum sluice_side)order->side)[order->level / 64] &=
			~(1ull << order->level % 64);
	book->live[order->live_index] = moved;
	book->orders[moved].live_index = order->live_index;
	book->live_count--;
	order->next = book->free;
	book->free = index;
}
