/* SPDX-License-Identifier: MIT */
/*
 * ladder.h - the price levels of one side of one book.
 *
 * Prices in [base, base + window_ticks) have their level in a flat array at slot price mod
 * window_ticks, found by one subtraction; all others are in a tree (far.h). Because the slot does
 * not depend on the base, moving the window moves only the levels that enter or leave it.
 * Orders do not know their level: it follows from the price.
 *
 * Invariants: a level is in use exactly while count > 0 and then has its bit set (window) or its
 * node in the tree (far); best_price and best_ref name the best level in use, or are 0.
 */
#ifndef SLUICE_ENGINE_CORE_LADDER_H
#define SLUICE_ENGINE_CORE_LADDER_H

#include "engine/core/bitmap.h"
#include "engine/core/far.h"
#include "shm/events.h"

/* 2^32 orders of 2^62 lots fit into a total of 128 bits; what is reported is cut to 63. */
struct sluice_level {
	unsigned __int128 qty;
	uint32_t head; /* first order in time, 0: none */
	uint32_t tail;
	uint32_t count;
	uint32_t reserved;
};
SLUICE_ASSERT_SIZE(sluice_level, 32);

/* What all ladders share. Level 0 is no level. */
struct sluice_level_pool {
	struct sluice_level *levels; /* the windows of all ladders, then the far levels */
	uint64_t *words;
	struct sluice_far_slab far;
	uint32_t far_first; /* level of far node 0 */
	uint32_t window_ticks;
	uint32_t window_mask;
	uint32_t reserved;
	uint64_t rebases;
};

struct sluice_ladder {
	int64_t base;
	int64_t best_price;
	uint32_t best_ref;
	uint32_t side; /* enum sluice_side */
	uint32_t first_ref;
	uint32_t words_at;
	uint32_t window_levels; /* in use */
	uint32_t far_touches;	/* orders rested outside since the window was last looked at */
	uint32_t far_root;
	uint32_t far_best;
	uint32_t far_count;
	uint32_t reserved;
};
SLUICE_ASSERT_SIZE(sluice_ladder, 56);

/* Is price a before price b on this side? */
static inline bool sluice_side_better(uint32_t side, int64_t a, int64_t b)
{
	return side == SLUICE_SIDE_BUY ? a > b : a < b;
}

static inline bool sluice_ladder_in_window(const struct sluice_level_pool *pool,
					   const struct sluice_ladder *ladder, int64_t price)
{
	return (uint64_t)price - (uint64_t)ladder->base < pool->window_ticks;
}

/* The window's level of a price that is in the window. */
static inline uint32_t sluice_ladder_slot(const struct sluice_level_pool *pool,
					  const struct sluice_ladder *ladder, int64_t price)
{
	return ladder->first_ref + ((uint32_t)price & pool->window_mask);
}

void sluice_ladder_init(struct sluice_ladder *ladder, const struct sluice_level_pool *pool,
			uint32_t side, uint32_t number);

uint32_t sluice_ladder_find_far(const struct sluice_level_pool *pool,
				const struct sluice_ladder *ladder, int64_t price);

/* The level in use at this price, 0: none. */
static inline uint32_t sluice_ladder_find(const struct sluice_level_pool *pool,
					  const struct sluice_ladder *ladder, int64_t price)
{
	uint32_t ref;

	if (sluice_unlikely(!sluice_ladder_in_window(pool, ladder, price)))
		return sluice_ladder_find_far(pool, ladder, price);
	ref = sluice_ladder_slot(pool, ladder, price);
	return pool->levels[ref].count ? ref : 0;
}

bool sluice_ladder_reserve_far(struct sluice_level_pool *pool, struct sluice_ladder *ladder,
			       int64_t price);

/*
 * Will sluice_ladder_add at this price succeed? Asked before a command changes anything, because
 * only here may the window move. False: the far levels are used up.
 */
static inline bool sluice_ladder_reserve(struct sluice_level_pool *pool,
					 struct sluice_ladder *ladder, int64_t price)
{
	return sluice_likely(sluice_ladder_in_window(pool, ladder, price)) ||
	       sluice_ladder_reserve_far(pool, ladder, price);
}

/* Would sluice_ladder_add at this price succeed with the window where it is? */
bool sluice_ladder_has_room(const struct sluice_level_pool *pool,
			    const struct sluice_ladder *ladder, int64_t price);

/*
 * Makes an empty ladder go on from another one's window and count, so that it will move its window
 * when that one would. base: 0 to the greatest price; far_touches: up to window_ticks.
 */
void sluice_ladder_resume(struct sluice_ladder *ladder, int64_t base, uint32_t far_touches);

/* The level at this price, put in use if it was not. The caller raises its count at once. */
uint32_t sluice_ladder_add(struct sluice_level_pool *pool, struct sluice_ladder *ladder,
			   int64_t price);

/* Takes a level out of use whose count has become 0. */
void sluice_ladder_drop(struct sluice_level_pool *pool, struct sluice_ladder *ladder,
			int64_t price);

/* The price of the next level in use that is worse than `price`, 0: none. */
int64_t sluice_ladder_worse(const struct sluice_level_pool *pool,
			    const struct sluice_ladder *ladder, int64_t price);

/* NULL, or which of the invariants above does not hold. */
const char *sluice_ladder_check(const struct sluice_level_pool *pool,
				const struct sluice_ladder *ladder);

#endif
