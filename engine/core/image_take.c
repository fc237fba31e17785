/* SPDX-License-Identifier: MIT */
/*
 * image_take.c - a core made from records.
 *
 * A row may be any bytes. Each field is bounded before anything is built of it, with the functions
 * that commands use; what only the whole can show (a crossed book, another top than was told, a
 * source that cannot be found) is left to sluice_core_check. Every byte has a meaning or must be
 * zero, so a row that is taken is also the row that the new core hands out.
 *
 * Called by the follower, by the engine at its start, and by tools, on the thread that the core
 * belongs to. A crash leaves nothing.
 */
#include "engine/core/image.h"

#include "engine/core/image_internal.h"

#include <string.h>

static const char out_of_place[] = "a record is not of the type that comes next";

/* How much of a record has a meaning, by type. */
struct shape {
	bool side;
	uint8_t small;
	uint8_t words;
};

static const struct shape shapes[] = {
	[SLUICE_IMAGE_CORE] = {.words = CORE_WORDS},
	[SLUICE_IMAGE_STATS] = {.small = STATS_SMALL, .words = STATS_WORDS},
	[SLUICE_IMAGE_SYMBOL] = {.small = SYMBOL_SMALL, .words = SYMBOL_WORDS},
	[SLUICE_IMAGE_NAME] = {.words = NAME_WORDS},
	[SLUICE_IMAGE_LADDER] = {.side = true, .words = LADDER_WORDS},
	[SLUICE_IMAGE_ORDER] = {.side = true, .words = ORDER_WORDS},
	[SLUICE_IMAGE_SESSION] = {.words = SESSION_WORDS},
	[SLUICE_IMAGE_END] = {.words = END_WORDS},
};

static bool words_are_zero(const struct sluice_image_record *r, uint32_t from)
{
	uint64_t any = 0;

	for (; from < SLUICE_IMAGE_WORDS; from++)
		any |= r->words[from];
	return !any;
}

static bool spare_is_zero(const struct sluice_image_record *r)
{
	const struct shape *shape = &shapes[r->type];
	uint32_t i, any = shape->side ? 0 : r->side;

	for (i = shape->small; i < sizeof(r->small); i++)
		any |= r->small[i];
	return !any && words_are_zero(r, shape->words);
}

static bool is_price(uint64_t word)
{
	return word >= 1 && word <= (uint64_t)SLUICE_AMOUNT_MAX;
}

/* All books of the row are there: what is not a book's may come. */
static bool books_are_whole(const struct sluice_image_builder *b)
{
	return (b->stage == AT_BOOKS || b->stage == AT_ORDERS) &&
	       b->core->symbols == b->head.words[CORE_SYMBOLS];
}

static const char *take_core(struct sluice_image_builder *b, const struct sluice_image_record *r)
{
	struct sluice_core *core = b->core;

	if (b->stage != AT_BEGIN)
		return out_of_place;
	if (r->words[CORE_SYMBOLS] > core->symbols_max)
		return "more symbols than the limits allow";
	if (r->words[CORE_ORDERS] > core->orders.max)
		return "more orders than the limits allow";
	if (r->words[CORE_SESSIONS] > core->sessions.max)
		return "more sources than the limits allow";
	core->chain = r->words[CORE_CHAIN];
	core->time_ns = r->words[CORE_TIME_NS];
	core->pool.rebases = r->words[CORE_REBASES];
	b->head = *r;
	b->stage = AT_CORE;
	return NULL;
}

static const char *take_stats(struct sluice_image_builder *b, const struct sluice_image_record *r)
{
	struct sluice_core_stats *stats = &b->core->stats;

	if (b->stage == AT_CORE && r->small[STATS_PART] == 0) {
		stats->commands = r->words[STATS_COMMANDS];
		stats->reports = r->words[STATS_REPORTS];
		stats->md_events = r->words[STATS_MD_EVENTS];
		stats->accepted = r->words[STATS_ACCEPTED];
		stats->rejected = r->words[STATS_REJECTED];
		stats->trades = r->words[STATS_TRADES];
		stats->traded_qty = r->words[STATS_TRADED_QTY];
		b->stage = AT_STATS;
		return NULL;
	}
	if (b->stage != AT_STATS || r->small[STATS_PART] != 1)
		return out_of_place;
	if (!words_are_zero(r, STATS_MORE_WORDS))
		return "bytes without a meaning are not zero";
	stats->cancelled = r->words[STATS_CANCELLED];
	stats->duplicates = r->words[STATS_DUPLICATES];
	b->stage = AT_BOOKS;
	return NULL;
}

static const char *check_symbol(const struct sluice_core *core, const struct sluice_image_record *r)
{
	if (r->words[SYMBOL_ID] != core->symbols)
		return "a symbol's id is not the next one";
	if (r->small[SYMBOL_PHASE] > SLUICE_PHASE_HALTED ||
	    r->small[SYMBOL_PHASE_BEFORE] > SLUICE_PHASE_AUCTION)
		return "a symbol's phase is impossible";
	if (core->symbols &&
	    r->words[SYMBOL_CMD_SEQ] <= core->books[core->symbols - 1].symbol.cmd_seq)
		return "a symbol is older than the one before";
	if (r->words[SYMBOL_LAST_PRICE] && !is_price(r->words[SYMBOL_LAST_PRICE]))
		return "a symbol's last price is impossible";
	return NULL;
}

static const char *take_symbol(struct sluice_image_builder *b, const struct sluice_image_record *r)
{
	struct sluice_core *core = b->core;
	struct sluice_book *book = &core->books[core->symbols];
	const char *wrong;

	if ((b->stage != AT_BOOKS && b->stage != AT_ORDERS) || books_are_whole(b))
		return out_of_place;
	wrong = check_symbol(core, r);
	if (wrong)
		return wrong;
	book->symbol.id = core->symbols;
	book->symbol.price_decimals = r->small[SYMBOL_PRICE_DECIMALS];
	book->symbol.qty_decimals = r->small[SYMBOL_QTY_DECIMALS];
	book->symbol.phase = r->small[SYMBOL_PHASE];
	book->phase_before = r->small[SYMBOL_PHASE_BEFORE];
	book->symbol.cmd_seq = r->words[SYMBOL_CMD_SEQ];
	book->symbol.last_price = (int64_t)r->words[SYMBOL_LAST_PRICE];
	book->top.bid_price = (int64_t)r->words[SYMBOL_BID_PRICE];
	book->top.bid_qty = (int64_t)r->words[SYMBOL_BID_QTY];
	book->top.ask_price = (int64_t)r->words[SYMBOL_ASK_PRICE];
	book->top.ask_qty = (int64_t)r->words[SYMBOL_ASK_QTY];
	b->stage = AT_SYMBOL;
	return NULL;
}

/* With its name a symbol is one. */
static const char *take_name(struct sluice_image_builder *b, const struct sluice_image_record *r)
{
	struct sluice_core *core = b->core;
	char given[SLUICE_NAME_BYTES], name[SLUICE_NAME_BYTES];

	if (b->stage != AT_SYMBOL)
		return out_of_place;
	memcpy(given, r->words, sizeof(given));
	if (!sluice_name_take(given, name) || memcmp(given, name, sizeof(name)))
		return "a symbol's name is not a name";
	if (sluice_symbol_find(core, name) != core->symbols)
		return "two symbols have one name";
	memcpy(core->books[core->symbols].symbol.name, name, sizeof(name));
	core->symbols++;
	b->side = SLUICE_SIDE_BUY;
	b->price = 0;
	b->stage = AT_NAME;
	return NULL;
}

static const char *take_ladder(struct sluice_image_builder *b, const struct sluice_image_record *r)
{
	struct sluice_core *core = b->core;
	uint32_t side = b->stage == AT_NAME ? SLUICE_SIDE_BUY : SLUICE_SIDE_SELL;

	if ((b->stage != AT_NAME && b->stage != AT_LADDER) || r->side != side)
		return out_of_place;
	if (r->words[LADDER_BASE] > (uint64_t)SLUICE_AMOUNT_MAX ||
	    r->words[LADDER_FAR_TOUCHES] > core->pool.window_ticks)
		return "a price window is impossible";
	sluice_ladder_resume(sluice_book_ladder(&core->books[core->symbols - 1], side),
			     (int64_t)r->words[LADDER_BASE],
			     (uint32_t)r->words[LADDER_FAR_TOUCHES]);
	b->stage = b->stage == AT_NAME ? AT_LADDER : AT_ORDERS;
	return NULL;
}

/* The order by itself, and after the one before. */
static const char *check_order(const struct sluice_image_builder *b,
			       const struct sluice_image_record *r)
{
	if (r->side != SLUICE_SIDE_BUY && r->side != SLUICE_SIDE_SELL)
		return "an order has no side";
	if (r->words[ORDER_SYMBOL] != b->core->symbols - 1)
		return "an order is in the book of another symbol";
	if (r->words[ORDER_ACCOUNT] > UINT32_MAX)
		return "an order's account is impossible";
	if (!is_price(r->words[ORDER_PRICE]))
		return "an order's price is impossible";
	if (r->words[ORDER_QTY] > (uint64_t)SLUICE_AMOUNT_MAX || r->words[ORDER_LEAVES] < 1 ||
	    r->words[ORDER_LEAVES] > r->words[ORDER_QTY])
		return "an order's quantities are impossible";
	if (r->side < b->side)
		return "a buyer comes after a seller";
	if (r->side == b->side && b->price &&
	    sluice_side_better(r->side, (int64_t)r->words[ORDER_PRICE], b->price))
		return "an order comes after one of a worse price";
	return NULL;
}

static const char *rest(struct sluice_core *core, const struct sluice_order *order)
{
	struct sluice_orders *orders = &core->orders;
	struct sluice_ladder *ladder = sluice_book_ladder(&core->books[order->symbol], order->side);
	uint32_t slot;

	if (sluice_orders_find(orders, order->hash, order->symbol, order->account, order->order_id))
		return "two orders have one key";
	if (!sluice_ladder_has_room(&core->pool, ladder, order->price))
		return "more levels outside the windows than the limits allow";
	slot = sluice_orders_take(orders);
	orders->slots[slot] = *order;
	sluice_orders_insert(orders, slot);
	sluice_book_append(core, sluice_ladder_add(&core->pool, ladder, order->price), slot);
	return NULL;
}

static const char *take_order(struct sluice_image_builder *b, const struct sluice_image_record *r)
{
	struct sluice_order order = {
		.order_id = r->words[ORDER_ID],
		.price = (int64_t)r->words[ORDER_PRICE],
		.leaves = (int64_t)r->words[ORDER_LEAVES],
		.qty = (int64_t)r->words[ORDER_QTY],
		.symbol = (uint32_t)r->words[ORDER_SYMBOL],
		.account = (uint32_t)r->words[ORDER_ACCOUNT],
		.side = r->side,
	};
	const char *wrong;

	if (b->stage != AT_ORDERS)
		return out_of_place;
	if (b->core->orders.live == b->head.words[CORE_ORDERS])
		return "more orders than the first record says";
	wrong = check_order(b, r);
	if (wrong)
		return wrong;
	order.hash = sluice_order_hash(order.symbol, order.account, order.order_id);
	b->side = r->side;
	b->price = order.price;
	return rest(b->core, &order);
}

static const char *take_session(struct sluice_image_builder *b, const struct sluice_image_record *r)
{
	if (b->stage != AT_SESSIONS && !books_are_whole(b))
		return out_of_place;
	if (b->core->sessions.used == b->head.words[CORE_SESSIONS])
		return "more sources than the first record says";
	if (r->words[SESSION_ID] < 1 || r->words[SESSION_ID] > UINT32_MAX ||
	    !r->words[SESSION_LAST])
		return "a source is impossible";
	if (r->words[SESSION_PLACE] < b->place)
		return "a source comes after one of a later place";
	if (!sluice_sessions_put(&b->core->sessions, r->words[SESSION_PLACE],
				 (uint32_t)r->words[SESSION_ID], r->words[SESSION_LAST]))
		return "a source's place is not in the table";
	b->place = r->words[SESSION_PLACE] + 1;
	b->stage = AT_SESSIONS;
	return NULL;
}

static const char *take_end(struct sluice_image_builder *b, const struct sluice_image_record *r)
{
	struct sluice_core *core = b->core;

	if (b->stage != AT_SESSIONS && !books_are_whole(b))
		return out_of_place;
	if (core->orders.live != b->head.words[CORE_ORDERS])
		return "fewer orders than the first record says";
	if (core->sessions.used != b->head.words[CORE_SESSIONS])
		return "fewer sources than the first record says";
	if (r->words[END_RECORDS] != b->records + 1)
		return "the last record counts other records than came";
	/* Those of this row were made again just now; the others are gone, and only counted. */
	if (b->head.words[CORE_FAR_CREATED] < core->pool.far.created)
		return "more levels outside the windows than were ever made";
	core->pool.far.created = b->head.words[CORE_FAR_CREATED];
	b->stage = AT_END;
	return NULL;
}

static const char *take(struct sluice_image_builder *b, const struct sluice_image_record *r)
{
	if (r->type == SLUICE_IMAGE_NONE || r->type > SLUICE_IMAGE_END)
		return "a record is of no known type";
	if (!spare_is_zero(r))
		return "bytes without a meaning are not zero";
	switch (r->type) {
	case SLUICE_IMAGE_CORE:
		return take_core(b, r);
	case SLUICE_IMAGE_STATS:
		return take_stats(b, r);
	case SLUICE_IMAGE_SYMBOL:
		return take_symbol(b, r);
	case SLUICE_IMAGE_NAME:
		return take_name(b, r);
	case SLUICE_IMAGE_LADDER:
		return take_ladder(b, r);
	case SLUICE_IMAGE_ORDER:
		return take_order(b, r);
	case SLUICE_IMAGE_SESSION:
		return take_session(b, r);
	default:
		return take_end(b, r);
	}
}

void sluice_image_restore(struct sluice_image_builder *builder, struct sluice_core *core)
{
	sluice_assert(!core->symbols && !core->sessions.used && !core->stats.commands);
	*builder = (struct sluice_image_builder){.core = core, .stage = AT_BEGIN};
}

const char *sluice_image_take(struct sluice_image_builder *builder,
			      const struct sluice_image_record *record)
{
	if (!builder->wrong)
		builder->wrong = take(builder, record);
	if (!builder->wrong)
		builder->records++;
	return builder->wrong;
}

const char *sluice_image_done(struct sluice_image_builder *builder)
{
	if (builder->wrong)
		return builder->wrong;
	if (builder->stage != AT_END)
		return "the row ends before its last record";
	return sluice_core_check(builder->core);
}
