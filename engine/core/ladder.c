/* SPDX-License-Identifier: MIT */
/*
 * ladder.c - levels of one side: the window, its bitmap, the best price, and moving the window.
 *
 * The window is looked at when more orders have come to rest outside it than it has levels, and
 * moves when the best price has left its place by an eighth of the width. A level that leaves or
 * returns is thereby paid for by an order that rested outside: the cost per order is constant on
 * average, however the price wanders. Called by the book's functions, on the engine's thread.
 */
#include "engine/core/ladder.h"

#define RANK_NONE UINT32_MAX /* a rank is a price less the window's base */

void sluice_ladder_init(struct sluice_ladder *ladder, const struct sluice_level_pool *pool,
			uint32_t side, uint32_t number)
{
	*ladder = (struct sluice_ladder){
		.side = side,
		.first_ref = 1 + number * pool->window_ticks,
		.words_at = number * sluice_bitmap_words(pool->window_ticks),
	};
}

static struct sluice_bitmap bitmap_of(const struct sluice_level_pool *pool,
				      const struct sluice_ladder *ladder)
{
	return sluice_bitmap_at(pool->words + ladder->words_at, pool->window_ticks);
}

/* The highest rank in use, not above `rank`. The slots of the window start at base's and wrap. */
static uint32_t window_down(const struct sluice_level_pool *pool,
			    const struct sluice_ladder *ladder, uint32_t rank)
{
	struct sluice_bitmap map = bitmap_of(pool, ladder);
	uint32_t mask = pool->window_mask, first = (uint32_t)ladder->base & mask;
	uint32_t slot = (first + rank) & mask;
	uint32_t found = sluice_bitmap_down(map, slot);

	if (slot < first && found == SLUICE_BITMAP_NONE)
		found = sluice_bitmap_down(map, mask);
	if (found == SLUICE_BITMAP_NONE || ((found - first) & mask) > rank)
		return RANK_NONE;
	return (found - first) & mask;
}

/* The lowest rank in use, not below `rank`. */
static uint32_t window_up(const struct sluice_level_pool *pool, const struct sluice_ladder *ladder,
			  uint32_t rank)
{
	struct sluice_bitmap map = bitmap_of(pool, ladder);
	uint32_t mask = pool->window_mask, first = (uint32_t)ladder->base & mask;
	uint32_t slot = (first + rank) & mask;
	uint32_t found = sluice_bitmap_up(map, slot);

	if (slot >= first && found == SLUICE_BITMAP_NONE)
		found = sluice_bitmap_up(map, 0);
	if (found == SLUICE_BITMAP_NONE || ((found - first) & mask) < rank)
		return RANK_NONE;
	return (found - first) & mask;
}

/* The best price of the window that is worse than `price`, 0: none. */
static int64_t window_worse(const struct sluice_level_pool *pool,
			    const struct sluice_ladder *ladder, int64_t price)
{
	int64_t last = ladder->base + pool->window_mask;
	uint32_t rank;

	if (ladder->side == SLUICE_SIDE_BUY) {
		if (price <= ladder->base)
			return 0;
		rank = price > last ? pool->window_mask : (uint32_t)(price - ladder->base) - 1;
		rank = window_down(pool, ladder, rank);
	} else {
		if (price >= last)
			return 0;
		rank = price < ladder->base ? 0 : (uint32_t)(price - ladder->base) + 1;
		rank = window_up(pool, ladder, rank);
	}
	return rank == RANK_NONE ? 0 : ladder->base + rank;
}

static uint32_t far_worse(const struct sluice_level_pool *pool, const struct sluice_ladder *ladder,
			  int64_t price)
{
	if (ladder->side == SLUICE_SIDE_BUY)
		return sluice_far_below(&pool->far, ladder->far_root, price);
	return sluice_far_above(&pool->far, ladder->far_root, price);
}

int64_t sluice_ladder_worse(const struct sluice_level_pool *pool,
			    const struct sluice_ladder *ladder, int64_t price)
{
	int64_t near = ladder->window_levels ? window_worse(pool, ladder, price) : 0;
	uint32_t node = ladder->far_count ? far_worse(pool, ladder, price) : 0;

	if (!node)
		return near;
	if (near && sluice_side_better(ladder->side, near, pool->far.nodes[node].price))
		return near;
	return pool->far.nodes[node].price;
}

uint32_t sluice_ladder_find_far(const struct sluice_level_pool *pool,
				const struct sluice_ladder *ladder, int64_t price)
{
	uint32_t node = sluice_far_find(&pool->far, ladder->far_root, price);

	return node ? pool->far_first + node : 0;
}

/* Past every price, on the good side of it: the start of a walk from the best. */
static int64_t beyond_best(const struct sluice_ladder *ladder)
{
	return ladder->side == SLUICE_SIDE_BUY ? INT64_MAX : 0;
}

static uint32_t far_add(struct sluice_level_pool *pool, struct sluice_ladder *ladder, int64_t price)
{
	uint32_t node = sluice_far_insert(&pool->far, &ladder->far_root, price);
	uint32_t best = ladder->far_best;

	if (!best || sluice_side_better(ladder->side, price, pool->far.nodes[best].price))
		ladder->far_best = node;
	ladder->far_count++;
	return pool->far_first + node;
}

static void far_drop(struct sluice_level_pool *pool, struct sluice_ladder *ladder, int64_t price)
{
	sluice_far_remove(&pool->far, &ladder->far_root, price);
	ladder->far_count--;
	ladder->far_best = far_worse(pool, ladder, beyond_best(ladder));
}

uint32_t sluice_ladder_add(struct sluice_level_pool *pool, struct sluice_ladder *ladder,
			   int64_t price)
{
	uint32_t ref = sluice_ladder_find(pool, ladder, price);

	if (ref)
		return ref;
	if (sluice_likely(sluice_ladder_in_window(pool, ladder, price))) {
		ref = sluice_ladder_slot(pool, ladder, price);
		sluice_bitmap_set(bitmap_of(pool, ladder), (uint32_t)price & pool->window_mask);
		ladder->window_levels++;
	} else {
		ref = far_add(pool, ladder, price);
	}
	pool->levels[ref] = (struct sluice_level){.qty = 0};
	if (!ladder->best_ref || sluice_side_better(ladder->side, price, ladder->best_price)) {
		ladder->best_price = price;
		ladder->best_ref = ref;
	}
	return ref;
}

void sluice_ladder_drop(struct sluice_level_pool *pool, struct sluice_ladder *ladder, int64_t price)
{
	if (sluice_likely(sluice_ladder_in_window(pool, ladder, price))) {
		sluice_bitmap_clear(bitmap_of(pool, ladder), (uint32_t)price & pool->window_mask);
		ladder->window_levels--;
	} else {
		far_drop(pool, ladder, price);
	}
	if (price != ladder->best_price)
		return;
	ladder->best_price = sluice_ladder_worse(pool, ladder, price);
	ladder->best_ref = ladder->best_price ?
				   sluice_ladder_find(pool, ladder, ladder->best_price) :
				   0;
}

/* Where the window should start for this best price: three quarters of it on the worse side. */
static int64_t base_for(const struct sluice_level_pool *pool, uint32_t side, int64_t best)
{
	int64_t quarter = pool->window_ticks / 4;
	int64_t base = best - (side == SLUICE_SIDE_BUY ? 3 * quarter : quarter);

	return base < 0 ? 0 : base;
}

/* Levels of the window that a window starting at `base` would not hold. */
static uint32_t count_leaving(const struct sluice_level_pool *pool,
			      const struct sluice_ladder *ladder, int64_t base)
{
	struct sluice_ladder moved = {.base = base};
	uint32_t rank, leaving = 0;

	for (rank = window_up(pool, ladder, 0); rank != RANK_NONE;
	     rank = window_up(pool, ladder, rank + 1)) {
		leaving += !sluice_ladder_in_window(pool, &moved, ladder->base + rank);
		if (rank == pool->window_mask)
			break;
	}
	return leaving;
}

static void move_out(struct sluice_level_pool *pool, struct sluice_ladder *ladder, int64_t base)
{
	struct sluice_ladder moved = {.base = base};
	uint32_t rank, next;

	for (rank = window_up(pool, ladder, 0); rank != RANK_NONE; rank = next) {
		int64_t price = ladder->base + rank;
		uint32_t ref = sluice_ladder_slot(pool, ladder, price);

		next = rank == pool->window_mask ? RANK_NONE : window_up(pool, ladder, rank + 1);
		if (sluice_ladder_in_window(pool, &moved, price))
			continue;
		pool->levels[far_add(pool, ladder, price)] = pool->levels[ref];
		pool->levels[ref] = (struct sluice_level){.qty = 0};
		sluice_bitmap_clear(bitmap_of(pool, ladder), (uint32_t)price & pool->window_mask);
		ladder->window_levels--;
	}
}

static void move_in(struct sluice_level_pool *pool, struct sluice_ladder *ladder)
{
	uint32_t node;

	while ((node = sluice_far_above(&pool->far, ladder->far_root, ladder->base - 1))) {
		int64_t price = pool->far.nodes[node].price;

		if (!sluice_ladder_in_window(pool, ladder, price))
			break;
		pool->levels[sluice_ladder_slot(pool, ladder, price)] =
			pool->levels[pool->far_first + node];
		sluice_bitmap_set(bitmap_of(pool, ladder), (uint32_t)price & pool->window_mask);
		ladder->window_levels++;
		far_drop(pool, ladder, price);
	}
}

/* Levels leave before others enter: a slot may serve a price of the old and one of the new. */
static void look_at_window(struct sluice_level_pool *pool, struct sluice_ladder *ladder,
			   int64_t price)
{
	int64_t best = sluice_side_better(ladder->side, price, ladder->best_price) ?
			       price :
			       ladder->best_price;
	int64_t base = base_for(pool, ladder->side, best);
	int64_t shift = base > ladder->base ? base - ladder->base : ladder->base - base;

	ladder->far_touches = 0;
	if (shift < pool->window_ticks / 8)
		return;
	if (count_leaving(pool, ladder, base) > pool->far.max - pool->far.used)
		return;
	move_out(pool, ladder, base);
	ladder->base = base;
	move_in(pool, ladder);
	ladder->best_ref = sluice_ladder_find(pool, ladder, ladder->best_price);
	pool->rebases++;
}

bool sluice_ladder_reserve_far(struct sluice_level_pool *pool, struct sluice_ladder *ladder,
			       int64_t price)
{
	if (!ladder->best_ref)
		ladder->base = base_for(pool, ladder->side, price);
	else if (++ladder->far_touches > ladder->window_levels)
		look_at_window(pool, ladder, price);
	return sluice_ladder_has_room(pool, ladder, price);
}

bool sluice_ladder_has_room(const struct sluice_level_pool *pool,
			    const struct sluice_ladder *ladder, int64_t price)
{
	return sluice_ladder_in_window(pool, ladder, price) || pool->far.used < pool->far.max ||
	       sluice_ladder_find_far(pool, ladder, price);
}

void sluice_ladder_resume(struct sluice_ladder *ladder, int64_t base, uint32_t far_touches)
{
	sluice_assert(!ladder->best_ref);
	ladder->base = base;
	ladder->far_touches = far_touches;
}

static const char *check_window(const struct sluice_level_pool *pool,
				const struct sluice_ladder *ladder)
{
	struct sluice_bitmap map = bitmap_of(pool, ladder);
	uint32_t slot, used = 0;

	for (slot = 0; slot < pool->window_ticks; slot++) {
		bool in_use = pool->levels[ladder->first_ref + slot].count > 0;

		if (in_use != sluice_bitmap_test(map, slot))
			return "a level of the window and its bit disagree";
		if (sluice_bitmap_test(map, slot) &&
		    (!(map.mid[slot >> 12] >> ((slot >> 6) & 63) & 1) ||
		     !(map.top[0] >> (slot >> 12) & 1)))
			return "an upper word of the bitmap lacks a bit";
		used += in_use;
	}
	return used == ladder->window_levels ? NULL : "the window's levels are miscounted";
}

const char *sluice_ladder_check(const struct sluice_level_pool *pool,
				const struct sluice_ladder *ladder)
{
	const char *wrong = check_window(pool, ladder);
	int64_t price = sluice_ladder_worse(pool, ladder, beyond_best(ladder));
	uint32_t node, far = 0;

	if (wrong)
		return wrong;
	if (price != ladder->best_price)
		return "the best price is not the best level's";
	if (ladder->best_ref != (price ? sluice_ladder_find(pool, ladder, price) : 0))
		return "the best level is another one's";
	node = far_worse(pool, ladder, beyond_best(ladder));
	if (node != ladder->far_best)
		return "the best far level is another one";
	for (; node; node = far_worse(pool, ladder, pool->far.nodes[node].price)) {
		if (sluice_ladder_in_window(pool, ladder, pool->far.nodes[node].price))
			return "a far level lies in the window";
		if (!pool->levels[pool->far_first + node].count)
			return "a far level is empty";
		far++;
	}
	return far == ladder->far_count ? NULL : "the far levels are miscounted";
}
