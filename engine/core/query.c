/* SPDX-License-Identifier: MIT */
/*
 * query.c - looking at the state without changing it: orders, depth, symbols, figures, the state's
 * digest and the check of its invariants. On the engine's thread, or on any other while no command
 * is being applied.
 */
#include "engine/core/core_internal.h"

void sluice_query_order(struct sluice_step *step, struct sluice_book *book)
{
	const struct sluice_command *c = step->command;
	const struct sluice_orders *orders = &step->core->orders;
	uint32_t order = sluice_orders_find(orders, step->hash, book->symbol.id, c->account,
					    c->order_id);

	if (order)
		sluice_emit_order(step, SLUICE_REP_ORDER, &orders->slots[order],
				  orders->slots[order].qty);
	else
		sluice_emit_rejected(step, SLUICE_REASON_UNKNOWN_ORDER);
}

void sluice_core_stats(const struct sluice_core *core, struct sluice_core_stats *ret_stats)
{
	*ret_stats = core->stats;
	ret_stats->symbols = core->symbols;
	ret_stats->orders_live = core->orders.live;
	ret_stats->levels_far = core->pool.far.used;
	ret_stats->rebases = core->pool.rebases;
}

const struct sluice_core_symbol *sluice_core_symbol(const struct sluice_core *core, uint32_t id)
{
	return id < core->symbols ? &core->books[id].symbol : NULL;
}

bool sluice_core_depth(const struct sluice_core *core, uint32_t symbol, enum sluice_side side,
		       uint32_t i, struct sluice_core_level *ret_level)
{
	const struct sluice_ladder *ladder;
	const struct sluice_level *level;
	int64_t price;

	if (symbol >= core->symbols || (side != SLUICE_SIDE_BUY && side != SLUICE_SIDE_SELL))
		return false;
	ladder = sluice_book_ladder(&core->books[symbol], side);
	for (price = ladder->best_price; price && i; i--)
		price = sluice_ladder_worse(&core->pool, ladder, price);
	if (!price)
		return false;
	level = &core->pool.levels[sluice_ladder_find(&core->pool, ladder, price)];
	*ret_level = (struct sluice_core_level){
		.price = price,
		.qty = sluice_qty_shown(level->qty),
		.count = level->count,
	};
	return true;
}

bool sluice_core_order(const struct sluice_core *core, uint32_t symbol, uint32_t account,
		       uint64_t order_id, struct sluice_core_order *ret_order)
{
	uint64_t hash = sluice_order_hash(symbol, account, order_id);
	uint32_t order = sluice_orders_find(&core->orders, hash, symbol, account, order_id);
	const struct sluice_order *o = &core->orders.slots[order];

	if (!order)
		return false;
	*ret_order = (struct sluice_core_order){
		.order_id = o->order_id,
		.price = o->price,
		.qty = o->qty,
		.leaves_qty = o->leaves,
		.symbol = o->symbol,
		.account = o->account,
		.side = o->side,
	};
	return true;
}

/* ------------------------------------------------------------------------------ state hash */

uint64_t sluice_core_chain_hash(const struct sluice_core *core)
{
	return core->chain;
}

static uint64_t digest(uint64_t hash, uint64_t a, uint64_t b)
{
	return sluice_mix(hash ^ a ^ UINT64_C(0x2d358dccaa6c78a5),
			  (b + hash) ^ UINT64_C(0x8bb84b93962eacc9)) +
	       a;
}

static uint64_t digest_side(const struct sluice_core *core, const struct sluice_ladder *ladder,
			    uint64_t hash)
{
	const struct sluice_order *slots = core->orders.slots;
	int64_t price;
	uint32_t order;

	for (price = ladder->best_price; price;
	     price = sluice_ladder_worse(&core->pool, ladder, price)) {
		order = core->pool.levels[sluice_ladder_find(&core->pool, ladder, price)].head;
		for (; order; order = slots[order].next) {
			const struct sluice_order *o = &slots[order];

			hash = digest(hash, o->order_id, (uint64_t)o->price);
			hash = digest(hash, (uint64_t)o->qty, (uint64_t)o->leaves);
			hash = digest(hash, o->account, o->side);
		}
	}
	return hash;
}

static uint64_t digest_book(const struct sluice_core *core, const struct sluice_book *book,
			    uint64_t hash)
{
	const struct sluice_core_symbol *symbol = &book->symbol;
	uint32_t i;

	for (i = 0; i < SLUICE_NAME_BYTES; i += 2)
		hash = digest(hash, (uint8_t)symbol->name[i], (uint8_t)symbol->name[i + 1]);
	hash = digest(hash, symbol->id, symbol->price_decimals);
	hash = digest(hash, symbol->qty_decimals, symbol->phase);
	hash = digest(hash, symbol->cmd_seq, (uint64_t)symbol->last_price);
	hash = digest(hash, (uint64_t)book->top.bid_price, (uint64_t)book->top.bid_qty);
	hash = digest(hash, (uint64_t)book->top.ask_price, (uint64_t)book->top.ask_qty);
	hash = digest(hash, book->phase_before, 0);
	hash = digest_side(core, &book->ladders[0], hash);
	return digest_side(core, &book->ladders[1], hash);
}

uint64_t sluice_core_state_hash(const struct sluice_core *core)
{
	uint64_t hash = digest(core->chain, core->time_ns, core->symbols), sessions = 0;
	uint32_t i;

	for (i = 0; i < core->symbols; i++)
		hash = digest_book(core, &core->books[i], hash);
	/* A sum: where a session landed in the table is no part of the state. */
	for (i = 0; i <= core->sessions.mask; i++) {
		const struct sluice_session *session = &core->sessions.entries[i];

		if (session->id)
			sessions += digest(0, session->id, session->last);
	}
	return digest(hash, sessions, core->sessions.used);
}

/* ----------------------------------------------------------------------------------- check */

static const char *check_order(const struct sluice_core *core, uint32_t order, uint32_t prev,
			       uint32_t symbol)
{
	const struct sluice_order *o = &core->orders.slots[order];

	if (o->prev != prev)
		return "the orders of a level are not linked both ways";
	if (o->symbol != symbol)
		return "an order is in the book of another symbol";
	if (o->leaves < 1 || o->leaves > o->qty)
		return "an order's quantities are impossible";
	if (o->hash != sluice_order_hash(o->symbol, o->account, o->order_id))
		return "an order's hash is not its key's";
	if (sluice_orders_find(&core->orders, o->hash, o->symbol, o->account, o->order_id) != order)
		return "an order of a book is not in the index";
	return NULL;
}

static const char *check_level(const struct sluice_core *core, const struct sluice_ladder *ladder,
			       int64_t price, uint32_t symbol, uint64_t *total)
{
	const struct sluice_level *level =
		&core->pool.levels[sluice_ladder_find(&core->pool, ladder, price)];
	unsigned __int128 qty = 0;
	uint32_t order, prev = 0, count = 0;

	for (order = level->head; order; order = core->orders.slots[order].next) {
		const char *wrong = check_order(core, order, prev, symbol);
		const struct sluice_order *o = &core->orders.slots[order];

		if (wrong)
			return wrong;
		if (o->price != price || o->side != ladder->side)
			return "an order is on another price's or side's level";
		if (++count > level->count)
			return "a level has more orders than it counts";
		qty += (uint64_t)o->leaves;
		prev = order;
	}
	if (level->tail != prev || level->count != count)
		return "a level does not end or count as its orders do";
	*total += count;
	return qty == level->qty ? NULL : "a level's quantity is not the sum of its orders'";
}

static bool may_not_be_crossed(const struct sluice_book *book)
{
	return book->symbol.phase == SLUICE_PHASE_CONTINUOUS ||
	       (book->symbol.phase == SLUICE_PHASE_HALTED &&
		book->phase_before == SLUICE_PHASE_CONTINUOUS);
}

/* Is this what was told of a side's best level? Between commands it always is. */
static bool told(const struct sluice_core *core, const struct sluice_ladder *ladder, int64_t price,
		 int64_t qty)
{
	return price == ladder->best_price &&
	       qty == sluice_qty_shown(core->pool.levels[ladder->best_ref].qty);
}

static const char *check_book(const struct sluice_core *core, uint32_t symbol, uint64_t *total)
{
	const struct sluice_book *book = &core->books[symbol];
	const struct sluice_ladder *bids = &book->ladders[0], *asks = &book->ladders[1];
	const char *wrong = NULL;
	uint32_t i;
	int64_t price;

	for (i = 0; i < 2 && !wrong; i++) {
		const struct sluice_ladder *ladder = &book->ladders[i];

		wrong = sluice_ladder_check(&core->pool, ladder);
		for (price = ladder->best_price; price && !wrong;
		     price = sluice_ladder_worse(&core->pool, ladder, price))
			wrong = check_level(core, ladder, price, symbol, total);
	}
	if (!wrong && may_not_be_crossed(book) && bids->best_price && asks->best_price &&
	    bids->best_price >= asks->best_price)
		return "a book is crossed in continuous trading";
	if (!wrong && (!told(core, bids, book->top.bid_price, book->top.bid_qty) ||
		       !told(core, asks, book->top.ask_price, book->top.ask_qty)))
		return "the top as last told is not the book's";
	return wrong;
}

const char *sluice_core_check(const struct sluice_core *core)
{
	const char *wrong = sluice_orders_check(&core->orders);
	uint64_t total = 0;
	uint32_t i, far = 0;

	for (i = 0; i < core->symbols && !wrong; i++) {
		wrong = check_book(core, i, &total);
		far += core->books[i].ladders[0].far_count + core->books[i].ladders[1].far_count;
	}
	if (wrong)
		return wrong;
	if (total != core->orders.live)
		return "the books do not hold the live orders";
	if (far != core->pool.far.used)
		return "far levels are lost";
	return sluice_sessions_check(&core->sessions);
}
