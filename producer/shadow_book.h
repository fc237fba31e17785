/* SPDX-License-Identifier: MIT */
/*
 * shadow_book.h - the generator's idea of one symbol's book: which of its orders are still live.
 *
 * Price-time priority over a fixed window of prices; one side of a level at a time, since the
 * book never crosses. Orders lie in a pool; `live` lists them densely so that one can be drawn at
 * random. One thread. Memory is the caller's, taken once.
 */
#ifndef SLUICE_PRODUCER_SHADOW_BOOK_H
#define SLUICE_PRODUCER_SHADOW_BOOK_H

#include "shm/events.h"

#define SLUICE_SHADOW_LEVELS 2048 /* prices of the window */
#define SLUICE_SHADOW_NONE UINT32_MAX

struct sluice_shadow_order {
	uint64_t order_id;
	int64_t qty; /* total */
	int64_t leaves_qty;
	uint32_t account;
	uint32_t next; /* of the level, or of the free list */
	uint32_t previous;
	uint32_t live_index;
	uint16_t level;
	uint8_t side;
	uint8_t reserved[5];
};

struct sluice_shadow_level {
	uint32_t head;
	uint32_t tail;
};

struct sluice_shadow_book {
	struct sluice_shadow_order *orders;
	uint32_t *live; /* indices of live orders, in no order */
	uint32_t live_count;
	uint32_t capacity;
	uint32_t free;
	uint32_t reserved;
	/* a bit per level that holds orders of the side: [0] bids, [1] asks */
	uint64_t used[2][SLUICE_SHADOW_LEVELS / 64];
	struct sluice_shadow_level level[SLUICE_SHADOW_LEVELS];
};

/* -ENOMEM. */
int sluice_shadow_init(struct sluice_shadow_book *book, uint32_t capacity);
void sluice_shadow_release(struct sluice_shadow_book *book);

/* Best level of a side, or SLUICE_SHADOW_NONE. */
uint32_t sluice_shadow_best(const struct sluice_shadow_book *book, enum sluice_side side);

/*
 * Takes up to qty from the other side at `level` or better; fully filled orders leave. Returns what
 * is left of qty.
 */
int64_t sluice_shadow_match(struct sluice_shadow_book *book, enum sluice_side side, uint32_t level,
			    int64_t qty);

/* Adds an order at the end of its level; must not cross, must fit. Returns its index. */
uint32_t sluice_shadow_add(struct sluice_shadow_book *book, enum sluice_side side, uint32_t level,
			   uint64_t order_id, uint32_t account, int64_t qty, int64_t leaves_qty);

void sluice_shadow_remove(struct sluice_shadow_book *book, uint32_t index);

#endif
