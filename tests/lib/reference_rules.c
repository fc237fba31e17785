/* SPDX-License-Identifier: MIT */
/*
 * reference_rules.c - the matching rules of the naive matcher: sides, trading, changes of orders,
 * phases and the price of an auction. Test code, called by reference_book.c alone.
 */
#include "tests/lib/reference_internal.h"

#include <string.h>

#define AMOUNT_MAX (INT64_C(1) << 62)

/* ---------------------------------------------------------------------------------- sides */

static bool before(int side, int64_t a, int64_t b)
{
	return side == SLUICE_SIDE_BUY ? a > b : a < b;
}

static void insert(struct reference_book *book, struct reference_side *side, int which,
		   struct reference_order o)
{
	size_t at = 0;

	side->orders = reference_grown(side->orders, side->n, &side->room, sizeof(o));
	while (at < side->n && !before(which, o.price, side->orders[at].price))
		at++;
	memmove(&side->orders[at + 1], &side->orders[at], (side->n - at) * sizeof(o));
	side->orders[at] = o;
	side->n++;
	book->live++;
}

static void erase(struct reference_book *book, struct reference_side *side, size_t at)
{
	side->n--;
	memmove(&side->orders[at], &side->orders[at + 1],
		(side->n - at) * sizeof(struct reference_order));
	book->live--;
}

/* Finds the command's order. Returns its side, 0: there is none. */
static int find(struct reference_symbol *s, const struct sluice_command *c, size_t *ret_at)
{
	int side;
	size_t i;

	for (side = SLUICE_SIDE_BUY; side <= SLUICE_SIDE_SELL; side++) {
		for (i = 0; i < s->sides[side].n; i++) {
			if (s->sides[side].orders[i].id == c->order_id &&
			    s->sides[side].orders[i].account == c->account) {
				*ret_at = i;
				return side;
			}
		}
	}
	return 0;
}

static int other(int side)
{
	return side == SLUICE_SIDE_BUY ? SLUICE_SIDE_SELL : SLUICE_SIDE_BUY;
}

static bool crosses(const struct reference_symbol *s, int side, int64_t price)
{
	const struct reference_side *o = &s->sides[other(side)];

	return o->n && !before(other(side), price, o->orders[0].price) &&
	       s->phase == SLUICE_PHASE_CONTINUOUS;
}

/* ------------------------------------------------------------------------------- matching */

static void trade(struct reference_book *book, struct reference_symbol *s, int side,
		  struct reference_order *taker, struct reference_order *maker, int64_t price,
		  bool auction)
{
	int64_t want = taker->total - taker->filled, have = maker->total - maker->filled;
	struct sluice_report *r;
	int64_t qty = want < have ? want : have;

	taker->filled += qty;
	maker->filled += qty;
	s->last = price;
	r = reference_report_order(book, SLUICE_REP_TRADE, (uint32_t)(s - book->symbols), side,
				   taker);
	r->maker_order_id = maker->id;
	r->maker_account = maker->account;
	r->maker_leaves_qty = maker->total - maker->filled;
	r->price = price;
	r->qty = qty;
	if (auction)
		r->head.flags |= SLUICE_REPORT_AUCTION;
}

static void sweep(struct reference_book *book, struct reference_symbol *s, int side,
		  struct reference_order *taker, int64_t limit)
{
	struct reference_side *makers = &s->sides[other(side)];

	while (taker->filled < taker->total && crosses(s, side, limit)) {
		struct reference_order *maker = &makers->orders[0];

		trade(book, s, side, taker, maker, maker->price, false);
		if (maker->filled == maker->total)
			erase(book, makers, 0);
	}
}

static int place_fault(const struct sluice_command *c)
{
	const struct sluice_command_order *o = &c->u.order;

	if (c->side == SLUICE_SIDE_NONE)
		return SLUICE_REASON_BAD_SIDE;
	if (c->order_type == SLUICE_ORDER_NONE)
		return SLUICE_REASON_BAD_TYPE;
	if (c->tif == SLUICE_TIF_NONE)
		return SLUICE_REASON_BAD_TIF;
	if (o->reserved != 0 || c->order_flags > SLUICE_ORDER_POST_ONLY)
		return SLUICE_REASON_MALFORMED;
	if (c->order_type == SLUICE_ORDER_STOP || c->order_type == SLUICE_ORDER_STOP_LIMIT ||
	    c->tif == SLUICE_TIF_FOK || c->tif == SLUICE_TIF_GTD || c->order_flags != 0 ||
	    c->stp != 0 || o->display_qty != 0 || o->min_qty != 0)
		return SLUICE_REASON_UNSUPPORTED;
	if (o->stop_price != 0)
		return SLUICE_REASON_BAD_PRICE;
	if (o->expire_ns != 0)
		return SLUICE_REASON_BAD_TIF;
	if (c->order_type == SLUICE_ORDER_MARKET && c->price != 0)
		return SLUICE_REASON_BAD_PRICE;
	if (c->order_type == SLUICE_ORDER_LIMIT && (c->price <= 0 || c->price > AMOUNT_MAX))
		return SLUICE_REASON_BAD_PRICE;
	return c->qty <= 0 || c->qty > AMOUNT_MAX ? SLUICE_REASON_BAD_QTY : 0;
}

void reference_place(struct reference_book *book, struct reference_symbol *s)
{
	const struct sluice_command *c = book->command;
	bool market = c->order_type == SLUICE_ORDER_MARKET;
	bool rests = !market && c->tif != SLUICE_TIF_IOC;
	int64_t limit = !market ? c->price : c->side == SLUICE_SIDE_BUY ? INT64_MAX : 0;
	struct reference_order taker = {c->order_id, c->account, c->price, c->qty, 0};
	int fault = place_fault(c);
	size_t at;

	if (!fault &&
	    (s->phase == SLUICE_PHASE_HALTED || (s->phase == SLUICE_PHASE_AUCTION && !rests)))
		fault = SLUICE_REASON_WRONG_STATE;
	if (!fault && find(s, c, &at))
		fault = SLUICE_REASON_DUPLICATE_ORDER;
	if (!fault && market && s->sides[other(c->side)].n == 0)
		fault = SLUICE_REASON_NO_LIQUIDITY;
	if (!fault && rests && book->live == book->limits.orders_max && !crosses(s, c->side, limit))
		fault = SLUICE_REASON_TOO_MANY_ORDERS;
	if (fault) {
		reference_reject(book, fault);
		return;
	}
	reference_accept(book);
	sweep(book, s, c->side, &taker, limit);
	if (taker.filled == taker.total)
		return;
	if (rests)
		insert(book, &s->sides[c->side], c->side, taker);
	else
		reference_report_cancelled(book, c->symbol, c->side, &taker, SLUICE_REASON_IOC);
}

static void cancel_at(struct reference_book *book, struct reference_symbol *s, int side, size_t at,
		      int reason)
{
	reference_report_cancelled(book, (uint32_t)(s - book->symbols), side,
				   &s->sides[side].orders[at], reason);
	erase(book, &s->sides[side], at);
}

void reference_reduce(struct reference_book *book, struct reference_symbol *s)
{
	const struct sluice_command *c = book->command;
	struct sluice_report *r;
	struct reference_order *o;
	size_t at;
	int side;

	if (c->qty <= 0 || c->qty > AMOUNT_MAX) {
		reference_reject(book, SLUICE_REASON_BAD_QTY);
		return;
	}
	side = find(s, c, &at);
	if (!side) {
		reference_reject(book, SLUICE_REASON_UNKNOWN_ORDER);
		return;
	}
	o = &s->sides[side].orders[at];
	if (o->total - o->filled <= c->qty) {
		cancel_at(book, s, side, at, SLUICE_REASON_USER);
		return;
	}
	o->total -= c->qty;
	r = reference_report_order(book, SLUICE_REP_REDUCED, c->symbol, side, o);
	r->qty = c->qty;
}

void reference_replace(struct reference_book *book, struct reference_symbol *s)
{
	const struct sluice_command *c = book->command;
	struct reference_order o;
	size_t at = 0;
	int side, fault = 0;
	bool keeps;

	if (c->price < 0 || c->price > AMOUNT_MAX)
		fault = SLUICE_REASON_BAD_PRICE;
	else if (c->qty < 0 || c->qty > AMOUNT_MAX)
		fault = SLUICE_REASON_BAD_QTY;
	else if (s->phase == SLUICE_PHASE_HALTED)
		fault = SLUICE_REASON_WRONG_STATE;
	side = find(s, c, &at);
	if (!fault && !side)
		fault = SLUICE_REASON_UNKNOWN_ORDER;
	if (fault) {
		reference_reject(book, fault);
		return;
	}
	o = s->sides[side].orders[at];
	if (c->qty && c->qty <= o.filled) {
		cancel_at(book, s, side, at, SLUICE_REASON_USER);
		return;
	}
	keeps = (!c->price || c->price == o.price) && c->qty <= o.total;
	o.price = c->price ? c->price : o.price;
	o.total = c->qty ? c->qty : o.total;
	reference_report_order(book, SLUICE_REP_REPLACED, c->symbol, side, &o);
	if (keeps) {
		s->sides[side].orders[at] = o;
		return;
	}
	erase(book, &s->sides[side], at);
	sweep(book, s, side, &o, o.price);
	if (o.filled < o.total)
		insert(book, &s->sides[side], side, o);
}

void reference_mass_cancel(struct reference_book *book, uint32_t first, uint32_t last)
{
	uint32_t symbol;
	int side;
	size_t i;

	reference_accept(book);
	for (symbol = first; symbol < last; symbol++) {
		struct reference_symbol *s = &book->symbols[symbol];

		for (side = SLUICE_SIDE_BUY; side <= SLUICE_SIDE_SELL; side++) {
			for (i = 0; i < s->sides[side].n;) {
				if (s->sides[side].orders[i].account == book->command->account)
					cancel_at(book, s, side, i, SLUICE_REASON_MASS);
				else
					i++;
			}
		}
	}
}

/* -------------------------------------------------------------------------------- auction */

static unsigned __int128 willing(const struct reference_symbol *s, int side, int64_t price)
{
	const struct reference_side *orders = &s->sides[side];
	unsigned __int128 sum = 0;
	size_t i;

	for (i = 0; i < orders->n; i++) {
		const struct reference_order *o = &orders->orders[i];

		if (!before(side, price, o->price))
			sum += (uint64_t)(o->total - o->filled);
	}
	return sum;
}

struct candidate {
	int64_t price;
	unsigned __int128 volume, surplus;
	uint64_t distance;
};

static bool preferred(const struct candidate *a, const struct candidate *b)
{
	if (a->volume != b->volume)
		return a->volume > b->volume;
	if (a->surplus != b->surplus)
		return a->surplus < b->surplus;
	if (a->distance != b->distance)
		return a->distance < b->distance;
	return a->price < b->price;
}

static void consider(const struct reference_symbol *s, int64_t price, struct candidate *best)
{
	unsigned __int128 buys = willing(s, SLUICE_SIDE_BUY, price);
	unsigned __int128 sells = willing(s, SLUICE_SIDE_SELL, price);
	struct candidate c = {.price = price};

	c.volume = buys < sells ? buys : sells;
	c.surplus = buys < sells ? sells - buys : buys - sells;
	c.distance = price > s->last ? (uint64_t)(price - s->last) : (uint64_t)(s->last - price);
	if (c.volume && (!best->price || preferred(&c, best)))
		*best = c;
}

/* Volume and surplus change at a limit or one tick beside it; the last price may lie between. */
static struct candidate auction_price(const struct reference_symbol *s)
{
	struct candidate best = {.price = 0};
	int side;
	size_t i;

	if (s->last)
		consider(s, s->last, &best);
	for (side = SLUICE_SIDE_BUY; side <= SLUICE_SIDE_SELL; side++) {
		for (i = 0; i < s->sides[side].n; i++) {
			consider(s, s->sides[side].orders[i].price - 1, &best);
			consider(s, s->sides[side].orders[i].price, &best);
			consider(s, s->sides[side].orders[i].price + 1, &best);
		}
	}
	return best;
}

static void uncross(struct reference_book *book, struct reference_symbol *s)
{
	struct reference_side *buys = &s->sides[SLUICE_SIDE_BUY],
			      *sells = &s->sides[SLUICE_SIDE_SELL];
	struct candidate at = auction_price(s);

	reference_accept(book);
	while (at.volume) {
		struct reference_order *buyer = &buys->orders[0], *seller = &sells->orders[0];
		int64_t filled = buyer->filled;

		trade(book, s, SLUICE_SIDE_BUY, buyer, seller, at.price, true);
		at.volume -= (uint64_t)(buyer->filled - filled);
		if (buyer->filled == buyer->total)
			erase(book, buys, 0);
		if (seller->filled == seller->total)
			erase(book, sells, 0);
	}
	s->phase = SLUICE_PHASE_CONTINUOUS;
}

void reference_change_phase(struct reference_book *book, struct reference_symbol *s)
{
	int command = book->command->head.type, phase = s->phase;
	bool allowed = command == SLUICE_CMD_HALT    ? phase != SLUICE_PHASE_HALTED :
		       command == SLUICE_CMD_RESUME  ? phase == SLUICE_PHASE_HALTED :
		       command == SLUICE_CMD_AUCTION ? phase != SLUICE_PHASE_AUCTION :
						       phase == SLUICE_PHASE_AUCTION;

	if (!allowed) {
		reference_reject(book, SLUICE_REASON_WRONG_STATE);
		return;
	}
	if (command == SLUICE_CMD_UNCROSS) {
		uncross(book, s);
		return;
	}
	reference_accept(book);
	if (command == SLUICE_CMD_HALT) {
		s->phase_before_halt = phase;
		s->phase = SLUICE_PHASE_HALTED;
	} else {
		s->phase = command == SLUICE_CMD_AUCTION ? SLUICE_PHASE_AUCTION :
							   s->phase_before_halt;
	}
}

void reference_query(struct reference_book *book, struct reference_symbol *s)
{
	size_t at;
	int side = find(s, book->command, &at);

	if (side)
		reference_report_order(book, SLUICE_REP_ORDER, book->command->symbol, side,
				       &s->sides[side].orders[at]);
	else
		reference_reject(book, SLUICE_REASON_UNKNOWN_ORDER);
}

void reference_cancel(struct reference_book *book, struct reference_symbol *s)
{
	size_t at;
	int side = find(s, book->command, &at);

	if (side)
		cancel_at(book, s, side, at, SLUICE_REASON_USER);
	else
		reference_reject(book, SLUICE_REASON_UNKNOWN_ORDER);
}
