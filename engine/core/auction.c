/* SPDX-License-Identifier: MIT */
/*
 * auction.c - the phases of a symbol, the price of an uncross, and its fills.
 *
 * Only in an auction, and in a halt that interrupts one, may a book be crossed; the way out is
 * always an uncross, which ends with the best bid below the best ask. On the engine's thread.
 */
#include "engine/core/core_internal.h"

/* One side's walk from its best level, by cumulative quantity. */
struct walk {
	const struct sluice_ladder *ladder;
	int64_t price;		/* of the level at hand, 0: past the last */
	unsigned __int128 left; /* of that level */
	int64_t used;		/* price of the last level that gave anything */
};

static unsigned __int128 level_qty(const struct sluice_core *core, const struct walk *walk)
{
	uint32_t ref = sluice_ladder_find(&core->pool, walk->ladder, walk->price);

	return walk->price ? core->pool.levels[ref].qty : 0;
}

static struct walk walk_begin(const struct sluice_core *core, const struct sluice_ladder *ladder)
{
	struct walk walk = {.ladder = ladder, .price = ladder->best_price};

	walk.left = level_qty(core, &walk);
	return walk;
}

static void walk_take(const struct sluice_core *core, struct walk *walk, unsigned __int128 qty)
{
	walk->used = walk->price;
	walk->left -= qty;
	if (walk->left)
		return;
	walk->price = sluice_ladder_worse(&core->pool, walk->ladder, walk->price);
	walk->left = level_qty(core, walk);
}

/* The next worse price after the level at hand; `none` if there is none. */
static int64_t walk_beyond(const struct sluice_core *core, const struct walk *walk, int64_t none)
{
	int64_t price = walk->price ? sluice_ladder_worse(&core->pool, walk->ladder, walk->price) :
				      0;

	return price ? price : none;
}

/*
 * Every price in [asks->used, bids->used] executes the maximum. Above bids->price all buyers that
 * are willing are filled, below asks->price all sellers: prices strictly between have no surplus.
 * Where there are none, the surplus is what is left of the level next to the gap, on the side
 * where it is smaller.
 */
static void surplus_range(const struct sluice_core *core, const struct walk *bids,
			  const struct walk *asks, int64_t *ret_low, int64_t *ret_high)
{
	int64_t ask = asks->price ? asks->price : INT64_MAX;
	int64_t low = bids->price + 1 > asks->used ? bids->price + 1 : asks->used;
	int64_t high = ask - 1 < bids->used ? ask - 1 : bids->used;
	bool buyers = bids->price >= asks->used, sellers = ask <= bids->used;

	if (low > high) {
		bool take_buyers = buyers && (!sellers || bids->left <= asks->left);
		bool take_sellers = sellers && (!buyers || asks->left <= bids->left);
		int64_t below = walk_beyond(core, bids, 0),
			above = walk_beyond(core, asks, INT64_MAX);

		low = below + 1 > asks->used ? below + 1 : asks->used;
		high = above - 1 < bids->used ? above - 1 : bids->used;
		if (!take_sellers)
			high = bids->price;
		if (!take_buyers)
			low = ask;
	}
	*ret_low = low;
	*ret_high = high;
}

/* The quantity an uncross trades and its price. 0: nothing crosses. */
static unsigned __int128 uncross_price(const struct sluice_core *core, struct sluice_book *book,
				       int64_t *ret_price)
{
	struct walk bids = walk_begin(core, sluice_book_ladder(book, SLUICE_SIDE_BUY));
	struct walk asks = walk_begin(core, sluice_book_ladder(book, SLUICE_SIDE_SELL));
	unsigned __int128 volume = 0;
	int64_t low, high, last = book->symbol.last_price;

	while (bids.price && asks.price && bids.price >= asks.price) {
		unsigned __int128 qty = bids.left < asks.left ? bids.left : asks.left;

		walk_take(core, &bids, qty);
		walk_take(core, &asks, qty);
		volume += qty;
	}
	if (!volume)
		return 0;
	surplus_range(core, &bids, &asks, &low, &high);
	sluice_assert(low <= high);
	*ret_price = last < low ? low : last > high ? high : last;
	return volume;
}

/* One fill between the first orders of both levels. Returns its quantity. */
static int64_t cross_heads(struct sluice_step *step, struct sluice_level *bid,
			   struct sluice_level *ask, int64_t price)
{
	struct sluice_order *slots = step->core->orders.slots;
	struct sluice_order *buyer = &slots[bid->head], *seller = &slots[ask->head];
	int64_t qty = buyer->leaves < seller->leaves ? buyer->leaves : seller->leaves;
	struct sluice_taker taker = {
		.order_id = buyer->order_id,
		.leaves = buyer->leaves - qty,
		.account = buyer->account,
		.side = SLUICE_SIDE_BUY,
	};

	buyer->leaves -= qty;
	seller->leaves -= qty;
	bid->qty -= (uint64_t)qty;
	ask->qty -= (uint64_t)qty;
	sluice_emit_trade(step, &taker, seller, price, qty, SLUICE_REPORT_AUCTION);
	if (!buyer->leaves)
		sluice_book_pop(step->core, bid);
	if (!seller->leaves)
		sluice_book_pop(step->core, ask);
	return qty;
}

/* Fills the best levels of both sides until one is used up or the volume is reached. */
static unsigned __int128 cross_levels(struct sluice_step *step, struct sluice_book *book,
				      int64_t price, unsigned __int128 volume)
{
	struct sluice_level *levels = step->core->pool.levels;
	const struct sluice_ladder *bids = sluice_book_ladder(book, SLUICE_SIDE_BUY);
	const struct sluice_ladder *asks = sluice_book_ladder(book, SLUICE_SIDE_SELL);
	struct sluice_level *bid = &levels[bids->best_ref], *ask = &levels[asks->best_ref];

	while (volume && bid->count && ask->count)
		volume -= (uint64_t)cross_heads(step, bid, ask, price);
	if (!bid->count || !volume)
		sluice_book_close(step, book, SLUICE_SIDE_BUY, bids->best_price, bids->best_ref);
	if (!ask->count || !volume)
		sluice_book_close(step, book, SLUICE_SIDE_SELL, asks->best_price, asks->best_ref);
	return volume;
}

static void enter(struct sluice_step *step, struct sluice_book *book, enum sluice_phase phase)
{
	book->symbol.phase = (uint8_t)phase;
	sluice_emit_state(step, book);
	sluice_emit_top(step, book);
}

void sluice_uncross(struct sluice_step *step, struct sluice_book *book)
{
	unsigned __int128 volume;
	int64_t price = 0;

	if (book->symbol.phase != SLUICE_PHASE_AUCTION) {
		sluice_emit_rejected(step, SLUICE_REASON_WRONG_STATE);
		return;
	}
	sluice_emit_accepted(step, step->command->symbol);
	volume = uncross_price(step->core, book, &price);
	while (volume)
		volume = cross_levels(step, book, price, volume);
	enter(step, book, SLUICE_PHASE_CONTINUOUS);
}

void sluice_auction(struct sluice_step *step, struct sluice_book *book)
{
	if (book->symbol.phase == SLUICE_PHASE_AUCTION) {
		sluice_emit_rejected(step, SLUICE_REASON_WRONG_STATE);
		return;
	}
	sluice_emit_accepted(step, step->command->symbol);
	enter(step, book, SLUICE_PHASE_AUCTION);
}

void sluice_halt(struct sluice_step *step, struct sluice_book *book)
{
	if (book->symbol.phase == SLUICE_PHASE_HALTED) {
		sluice_emit_rejected(step, SLUICE_REASON_WRONG_STATE);
		return;
	}
	sluice_emit_accepted(step, step->command->symbol);
	book->phase_before = book->symbol.phase;
	enter(step, book, SLUICE_PHASE_HALTED);
}

/* Back to what was halted: an auction's book may be crossed, and must go on being one. */
void sluice_resume(struct sluice_step *step, struct sluice_book *book)
{
	if (book->symbol.phase != SLUICE_PHASE_HALTED) {
		sluice_emit_rejected(step, SLUICE_REASON_WRONG_STATE);
		return;
	}
	sluice_emit_accepted(step, step->command->symbol);
	enter(step, book, (enum sluice_phase)book->phase_before);
}
