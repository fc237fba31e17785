/* SPDX-License-Identifier: MIT */
/*
 * match.c - continuous matching: best price first, oldest order first, at the maker's price.
 *
 * Loops, never recursion: one order may sweep a million. The sink may call its make_room between
 * any two reports; nothing here depends on how far the ring's readers are. On the engine's thread.
 */
#include "engine/core/core_internal.h"

static void sweep_level(struct sluice_step *step, struct sluice_taker *taker,
			struct sluice_level *level, int64_t price)
{
	struct sluice_core *core = step->core;

	while (taker->leaves && level->count) {
		struct sluice_order *maker = &core->orders.slots[level->head];
		int64_t qty = maker->leaves < taker->leaves ? maker->leaves : taker->leaves;

		__builtin_prefetch(&core->orders.slots[maker->next]);
		taker->leaves -= qty;
		maker->leaves -= qty;
		level->qty -= (uint64_t)qty;
		sluice_emit_trade(step, taker, maker, price, qty, 0);
		if (!maker->leaves)
			sluice_book_pop(core, level);
	}
}

void sluice_match(struct sluice_step *step, struct sluice_book *book, struct sluice_taker *taker)
{
	uint32_t side = sluice_side_opposite(taker->side);
	struct sluice_ladder *ladder = sluice_book_ladder(book, side);

	while (taker->leaves && ladder->best_ref &&
	       sluice_limit_reaches(taker->side, taker->limit, ladder->best_price)) {
		int64_t price = ladder->best_price;
		uint32_t ref = ladder->best_ref;

		sweep_level(step, taker, &step->core->pool.levels[ref], price);
		sluice_book_close(step, book, side, price, ref);
	}
}
