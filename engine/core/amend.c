/* SPDX-License-Identifier: MIT */
/*
 * amend.c - commands on live orders: cancel, reduce, replace, mass cancel. What keeps an order's
 * place in its queue touches only its amounts; what loses it takes the order off its level and
 * brings it back as if it were new, under the same index entry. On the engine's thread.
 */
#include "engine/core/core_internal.h"

static uint32_t find(const struct sluice_step *step)
{
	const struct sluice_command *c = step->command;

	return sluice_orders_find(&step->core->orders, step->hash, c->symbol, c->account,
				  c->order_id);
}

static void remove_order(struct sluice_step *step, struct sluice_book *book, uint32_t order)
{
	struct sluice_core *core = step->core;
	const struct sluice_order *o = &core->orders.slots[order];
	uint32_t side = o->side, level;
	int64_t price = o->price;

	sluice_emit_cancelled(step, o, SLUICE_REASON_USER);
	level = sluice_book_unlink(core, book, order);
	sluice_orders_free(&core->orders, order);
	sluice_book_close(step, book, side, price, level);
	sluice_emit_top(step, book);
}

void sluice_cancel(struct sluice_step *step, struct sluice_book *book)
{
	uint32_t order = find(step);

	if (!order)
		sluice_emit_rejected(step, SLUICE_REASON_UNKNOWN_ORDER);
	else
		remove_order(step, book, order);
}

/* Takes `by` off an order in its place. */
static void shrink(struct sluice_step *step, struct sluice_book *book, struct sluice_order *o,
		   int64_t by)
{
	struct sluice_level_pool *pool = &step->core->pool;
	uint32_t ref = sluice_ladder_find(pool, sluice_book_ladder(book, o->side), o->price);

	sluice_assert(ref != 0);
	o->qty -= by;
	o->leaves -= by;
	pool->levels[ref].qty -= (uint64_t)by;
	sluice_emit_depth(step, book, o->side, o->price, &pool->levels[ref]);
	sluice_emit_top(step, book);
}

void sluice_reduce(struct sluice_step *step, struct sluice_book *book)
{
	const struct sluice_command *c = step->command;
	struct sluice_order *o;
	uint32_t order;

	if (c->qty < 1 || c->qty > SLUICE_AMOUNT_MAX) {
		sluice_emit_rejected(step, SLUICE_REASON_BAD_QTY);
		return;
	}
	order = find(step);
	if (!order) {
		sluice_emit_rejected(step, SLUICE_REASON_UNKNOWN_ORDER);
		return;
	}
	o = &step->core->orders.slots[order];
	if (c->qty >= o->leaves) {
		remove_order(step, book, order);
		return;
	}
	shrink(step, book, o, c->qty);
	sluice_emit_order(step, SLUICE_REP_REDUCED, o, c->qty);
}

/* Same price, more to fill: to the end of its own level, which has one change to tell. */
static void requeue(struct sluice_step *step, struct sluice_book *book, uint32_t order, int64_t qty)
{
	struct sluice_core *core = step->core;
	struct sluice_order *o = &core->orders.slots[order];
	uint32_t level = sluice_book_unlink(core, book, order);

	o->leaves += qty - o->qty;
	o->qty = qty;
	sluice_emit_order(step, SLUICE_REP_REPLACED, o, qty);
	sluice_book_append(core, level, order);
	sluice_book_close(step, book, o->side, o->price, level);
	sluice_emit_top(step, book);
}

static void reprice(struct sluice_step *step, struct sluice_book *book, uint32_t order,
		    int64_t price, int64_t qty)
{
	struct sluice_core *core = step->core;
	struct sluice_order *o = &core->orders.slots[order];
	int64_t old_price = o->price;
	uint32_t level = sluice_book_unlink(core, book, order);
	struct sluice_taker taker = {
		.order_id = o->order_id,
		.limit = price,
		.leaves = o->leaves + (qty - o->qty),
		.account = o->account,
		.side = o->side,
	};

	o->price = price;
	o->qty = qty;
	o->leaves = taker.leaves;
	sluice_emit_order(step, SLUICE_REP_REPLACED, o, qty);
	sluice_book_close(step, book, o->side, old_price, level);
	if (book->symbol.phase == SLUICE_PHASE_CONTINUOUS)
		sluice_match(step, book, &taker);
	o->leaves = taker.leaves;
	if (o->leaves)
		sluice_book_rest(step, book, order);
	else
		sluice_orders_free(&core->orders, order);
	sluice_emit_top(step, book);
}

static enum sluice_reason check_replace(struct sluice_step *step, struct sluice_book *book,
					uint32_t *ret_order)
{
	const struct sluice_command *c = step->command;
	struct sluice_core *core = step->core;
	struct sluice_ladder *ladder;
	uint32_t order;

	if (c->price < 0 || c->price > SLUICE_AMOUNT_MAX)
		return SLUICE_REASON_BAD_PRICE;
	if (c->qty < 0 || c->qty > SLUICE_AMOUNT_MAX)
		return SLUICE_REASON_BAD_QTY;
	if (book->symbol.phase == SLUICE_PHASE_HALTED)
		return SLUICE_REASON_WRONG_STATE;
	order = find(step);
	if (!order)
		return SLUICE_REASON_UNKNOWN_ORDER;
	ladder = sluice_book_ladder(book, core->orders.slots[order].side);
	if (c->price && !sluice_ladder_reserve(&core->pool, ladder, c->price))
		return SLUICE_REASON_TOO_MANY_LEVELS;
	*ret_order = order;
	return SLUICE_REASON_NONE;
}

void sluice_replace(struct sluice_step *step, struct sluice_book *book)
{
	const struct sluice_command *c = step->command;
	uint32_t order = 0;
	enum sluice_reason reason = check_replace(step, book, &order);
	struct sluice_order *o = &step->core->orders.slots[order];
	int64_t price = c->price ? c->price : o->price, qty = c->qty ? c->qty : o->qty;

	if (reason != SLUICE_REASON_NONE)
		sluice_emit_rejected(step, reason);
	else if (qty <= o->qty - o->leaves)
		remove_order(step, book, order);
	else if (price != o->price)
		reprice(step, book, order, price, qty);
	else if (qty > o->qty)
		requeue(step, book, order, qty);
	else {
		if (qty < o->qty)
			shrink(step, book, o, o->qty - qty);
		sluice_emit_order(step, SLUICE_REP_REPLACED, o, qty);
	}
}

/* Cancels the account's orders of one level, first in time first. Returns how many. */
static uint32_t cancel_level(struct sluice_step *step, struct sluice_book *book, uint32_t ref)
{
	struct sluice_core *core = step->core;
	struct sluice_order *slots = core->orders.slots;
	uint32_t order, next, cancelled = 0;

	for (order = core->pool.levels[ref].head; order; order = next) {
		next = slots[order].next;
		if (slots[order].account != step->command->account)
			continue;
		sluice_emit_cancelled(step, &slots[order], SLUICE_REASON_MASS);
		sluice_book_unlink(core, book, order);
		sluice_orders_free(&core->orders, order);
		cancelled++;
	}
	return cancelled;
}

static void cancel_book(struct sluice_step *step, struct sluice_book *book)
{
	const struct sluice_level_pool *pool = &step->core->pool;
	uint32_t side;

	for (side = SLUICE_SIDE_BUY; side <= SLUICE_SIDE_SELL; side++) {
		const struct sluice_ladder *ladder = sluice_book_ladder(book, side);
		int64_t next, price;

		for (price = ladder->best_price; price; price = next) {
			uint32_t ref = sluice_ladder_find(pool, ladder, price);

			next = sluice_ladder_worse(pool, ladder, price);
			if (cancel_level(step, book, ref))
				sluice_book_close(step, book, side, price, ref);
		}
	}
	sluice_emit_top(step, book);
}

/* `book` is NULL when the command asks for every symbol. */
void sluice_mass_cancel(struct sluice_step *step, struct sluice_book *book)
{
	uint32_t i;

	sluice_emit_accepted(step, step->command->symbol);
	if (book) {
		cancel_book(step, book);
		return;
	}
	for (i = 0; i < step->core->symbols; i++)
		cancel_book(step, &step->core->books[i]);
}
