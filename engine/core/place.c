/* SPDX-License-Identifier: MIT */
/*
 * place.c - new orders. Everything that can refuse the order is asked before anything changes, so
 * a rejected order leaves no trace and an accepted one cannot fail halfway. On the engine's thread.
 */
#include "engine/core/core_internal.h"

/* The options of later versions: known by name, refused here, never silently ignored. */
static enum sluice_reason check_options(const struct sluice_command *c)
{
	const struct sluice_command_order *o = &c->u.order;

	if (o->reserved || (c->order_flags & ~SLUICE_ORDER_POST_ONLY))
		return SLUICE_REASON_MALFORMED;
	if (c->order_type == SLUICE_ORDER_STOP || c->order_type == SLUICE_ORDER_STOP_LIMIT)
		return SLUICE_REASON_UNSUPPORTED;
	if (c->tif == SLUICE_TIF_FOK || c->tif == SLUICE_TIF_GTD)
		return SLUICE_REASON_UNSUPPORTED;
	if (c->order_flags || c->stp || o->display_qty || o->min_qty)
		return SLUICE_REASON_UNSUPPORTED;
	if (o->stop_price)
		return SLUICE_REASON_BAD_PRICE;
	return o->expire_ns ? SLUICE_REASON_BAD_TIF : SLUICE_REASON_NONE;
}

static enum sluice_reason check_fields(const struct sluice_command *c)
{
	const struct sluice_command_order *o = &c->u.order;
	bool limit = c->order_type == SLUICE_ORDER_LIMIT;
	bool plain = (limit || c->order_type == SLUICE_ORDER_MARKET) &&
		     (c->tif == SLUICE_TIF_GTC || c->tif == SLUICE_TIF_DAY ||
		      c->tif == SLUICE_TIF_IOC) &&
		     !(c->order_flags | c->stp | (uint64_t)o->stop_price |
		       (uint64_t)o->display_qty | (uint64_t)o->min_qty | o->expire_ns |
		       o->reserved);

	if (c->side == SLUICE_SIDE_NONE)
		return SLUICE_REASON_BAD_SIDE;
	if (c->order_type == SLUICE_ORDER_NONE)
		return SLUICE_REASON_BAD_TYPE;
	if (c->tif == SLUICE_TIF_NONE)
		return SLUICE_REASON_BAD_TIF;
	if (sluice_unlikely(!plain))
		return check_options(c);
	if (limit ? c->price < 1 || c->price > SLUICE_AMOUNT_MAX : c->price != 0)
		return SLUICE_REASON_BAD_PRICE;
	if (c->qty < 1 || c->qty > SLUICE_AMOUNT_MAX)
		return SLUICE_REASON_BAD_QTY;
	return SLUICE_REASON_NONE;
}

static bool may_rest(const struct sluice_command *c)
{
	return c->order_type == SLUICE_ORDER_LIMIT && c->tif != SLUICE_TIF_IOC;
}

/* Would the order trade with something at once? */
static bool reaches(struct sluice_book *book, const struct sluice_taker *taker)
{
	const struct sluice_ladder *other = sluice_book_ladder(book,
							       sluice_side_opposite(taker->side));

	return book->symbol.phase == SLUICE_PHASE_CONTINUOUS && other->best_ref &&
	       sluice_limit_reaches(taker->side, taker->limit, other->best_price);
}

static enum sluice_reason check_state(struct sluice_step *step, struct sluice_book *book,
				      const struct sluice_taker *taker)
{
	const struct sluice_command *c = step->command;
	struct sluice_core *core = step->core;

	if (book->symbol.phase == SLUICE_PHASE_HALTED)
		return SLUICE_REASON_WRONG_STATE;
	if (book->symbol.phase == SLUICE_PHASE_AUCTION && !may_rest(c))
		return SLUICE_REASON_WRONG_STATE;
	if (sluice_orders_find(&core->orders, step->hash, c->symbol, c->account, c->order_id))
		return SLUICE_REASON_DUPLICATE_ORDER;
	if (c->order_type == SLUICE_ORDER_MARKET && !reaches(book, taker))
		return SLUICE_REASON_NO_LIQUIDITY;
	if (!may_rest(c))
		return SLUICE_REASON_NONE;
	/* An order that trades either ends filled or has filled another one: it finds a place. */
	if (core->orders.live == core->orders.max && !reaches(book, taker))
		return SLUICE_REASON_TOO_MANY_ORDERS;
	if (!sluice_ladder_reserve(&core->pool, sluice_book_ladder(book, c->side), c->price))
		return SLUICE_REASON_TOO_MANY_LEVELS;
	return SLUICE_REASON_NONE;
}

static void rest(struct sluice_step *step, struct sluice_book *book, int64_t leaves)
{
	const struct sluice_command *c = step->command;
	struct sluice_orders *orders = &step->core->orders;
	uint32_t order = sluice_orders_take(orders);

	orders->slots[order] = (struct sluice_order){
		.order_id = c->order_id,
		.price = c->price,
		.leaves = leaves,
		.qty = c->qty,
		.hash = step->hash,
		.symbol = c->symbol,
		.account = c->account,
		.side = c->side,
	};
	sluice_orders_insert(orders, order);
	sluice_book_rest(step, book, order);
}

void sluice_place(struct sluice_step *step, struct sluice_book *book)
{
	const struct sluice_command *c = step->command;
	enum sluice_reason reason = check_fields(c);
	struct sluice_taker taker = {
		.order_id = c->order_id,
		.limit = c->price,
		.leaves = c->qty,
		.account = c->account,
		.side = c->side,
	};

	if (c->order_type == SLUICE_ORDER_MARKET)
		taker.limit = c->side == SLUICE_SIDE_BUY ? INT64_MAX : 0;
	if (reason == SLUICE_REASON_NONE)
		reason = check_state(step, book, &taker);
	if (sluice_unlikely(reason != SLUICE_REASON_NONE)) {
		sluice_emit_rejected(step, reason);
		return;
	}
	sluice_emit_accepted(step, c->symbol);
	if (book->symbol.phase == SLUICE_PHASE_CONTINUOUS)
		sluice_match(step, book, &taker);
	if (taker.leaves && may_rest(c))
		rest(step, book, taker.leaves);
	else if (taker.leaves)
		sluice_emit_cancelled_taker(step, &taker, SLUICE_REASON_IOC);
	sluice_emit_top(step, book);
}
