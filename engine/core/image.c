/* SPDX-License-Identifier: MIT */
/*
 * image.c - a state handed out as records.
 *
 * In a row is all that a later report, market-data event, number or digest can depend on, and the
 * figures. What follows from the rest is not: totals and bests, bitmaps, the index, the shapes of
 * trees, which order is in which slot. That is why a row is the same wherever its state came from.
 *
 * Called by the follower, by the engine at a clean end, and by tools, on the thread that the core
 * belongs to. Changes nothing.
 */
#include "engine/core/image.h"

#include "engine/core/image_internal.h"

#include <string.h>

#define RECORDS_ONCE 4u	      /* CORE, two of STATS, END */
#define RECORDS_PER_SYMBOL 4u /* SYMBOL, NAME, two of LADDER */

uint64_t sluice_image_records_max(const struct sluice_core_options *options)
{
	struct sluice_core_options full;

	if (!sluice_core_resolve(options, &full))
		return 0;
	return RECORDS_ONCE + RECORDS_PER_SYMBOL * (uint64_t)full.symbols_max + full.orders_max +
	       full.sessions_max;
}

static struct sluice_book *book_at(const struct sluice_image_walk *walk)
{
	return &walk->core->books[walk->symbol];
}

static const struct sluice_ladder *ladder_at(const struct sluice_image_walk *walk)
{
	return sluice_book_ladder(book_at(walk), walk->side);
}

static void give_core(const struct sluice_core *core, struct sluice_image_record *r)
{
	r->type = SLUICE_IMAGE_CORE;
	r->words[CORE_CHAIN] = core->chain;
	r->words[CORE_TIME_NS] = core->time_ns;
	r->words[CORE_SYMBOLS] = core->symbols;
	r->words[CORE_ORDERS] = core->orders.live;
	r->words[CORE_SESSIONS] = core->sessions.used;
	r->words[CORE_FAR_CREATED] = core->pool.far.created;
	r->words[CORE_REBASES] = core->pool.rebases;
}

static void give_stats(const struct sluice_core_stats *stats, struct sluice_image_record *r)
{
	r->type = SLUICE_IMAGE_STATS;
	r->words[STATS_COMMANDS] = stats->commands;
	r->words[STATS_REPORTS] = stats->reports;
	r->words[STATS_MD_EVENTS] = stats->md_events;
	r->words[STATS_ACCEPTED] = stats->accepted;
	r->words[STATS_REJECTED] = stats->rejected;
	r->words[STATS_TRADES] = stats->trades;
	r->words[STATS_TRADED_QTY] = stats->traded_qty;
}

static void give_more_stats(const struct sluice_core_stats *stats, struct sluice_image_record *r)
{
	r->type = SLUICE_IMAGE_STATS;
	r->small[STATS_PART] = 1;
	r->words[STATS_CANCELLED] = stats->cancelled;
	r->words[STATS_DUPLICATES] = stats->duplicates;
}

static void give_symbol(const struct sluice_book *book, struct sluice_image_record *r)
{
	r->type = SLUICE_IMAGE_SYMBOL;
	r->small[SYMBOL_PRICE_DECIMALS] = book->symbol.price_decimals;
	r->small[SYMBOL_QTY_DECIMALS] = book->symbol.qty_decimals;
	r->small[SYMBOL_PHASE] = book->symbol.phase;
	r->small[SYMBOL_PHASE_BEFORE] = book->phase_before;
	r->words[SYMBOL_ID] = book->symbol.id;
	r->words[SYMBOL_CMD_SEQ] = book->symbol.cmd_seq;
	r->words[SYMBOL_LAST_PRICE] = (uint64_t)book->symbol.last_price;
	r->words[SYMBOL_BID_PRICE] = (uint64_t)book->top.bid_price;
	r->words[SYMBOL_BID_QTY] = (uint64_t)book->top.bid_qty;
	r->words[SYMBOL_ASK_PRICE] = (uint64_t)book->top.ask_price;
	r->words[SYMBOL_ASK_QTY] = (uint64_t)book->top.ask_qty;
}

static void give_ladder(const struct sluice_ladder *ladder, struct sluice_image_record *r)
{
	r->type = SLUICE_IMAGE_LADDER;
	r->side = (uint8_t)ladder->side;
	r->words[LADDER_BASE] = (uint64_t)ladder->base;
	r->words[LADDER_FAR_TOUCHES] = ladder->far_touches;
}

/* Goes to the first order of a level; price 0: past the last. */
static void go_to_level(struct sluice_image_walk *walk, int64_t price)
{
	const struct sluice_level_pool *pool = &walk->core->pool;

	walk->price = price;
	walk->order = price ? pool->levels[sluice_ladder_find(pool, ladder_at(walk), price)].head :
			      0;
}

static void go_to_side(struct sluice_image_walk *walk, uint32_t side)
{
	walk->side = side;
	go_to_level(walk, ladder_at(walk)->best_price);
}

static bool give_order(struct sluice_image_walk *walk, struct sluice_image_record *r)
{
	const struct sluice_order *o;

	if (!walk->order && walk->side == SLUICE_SIDE_BUY)
		go_to_side(walk, SLUICE_SIDE_SELL);
	if (!walk->order) {
		walk->symbol++;
		walk->stage = AT_BOOKS;
		return false;
	}
	o = &walk->core->orders.slots[walk->order];
	r->type = SLUICE_IMAGE_ORDER;
	r->side = o->side;
	r->words[ORDER_ID] = o->order_id;
	r->words[ORDER_PRICE] = (uint64_t)o->price;
	r->words[ORDER_LEAVES] = (uint64_t)o->leaves;
	r->words[ORDER_QTY] = (uint64_t)o->qty;
	r->words[ORDER_SYMBOL] = o->symbol;
	r->words[ORDER_ACCOUNT] = o->account;
	walk->order = o->next;
	if (!walk->order)
		go_to_level(walk,
			    sluice_ladder_worse(&walk->core->pool, ladder_at(walk), o->price));
	return true;
}

static bool give_session(struct sluice_image_walk *walk, struct sluice_image_record *r)
{
	const struct sluice_sessions *sessions = &walk->core->sessions;
	uint64_t place = walk->session;

	while (place <= sessions->mask && !sessions->entries[place].id)
		place++;
	walk->session = place + 1;
	if (place > sessions->mask)
		return false;
	r->type = SLUICE_IMAGE_SESSION;
	r->words[SESSION_ID] = sessions->entries[place].id;
	r->words[SESSION_LAST] = sessions->entries[place].last;
	r->words[SESSION_PLACE] = place;
	return true;
}

/* One record, and on to the next stage. False: this stage has none, the next one may. */
static bool give(struct sluice_image_walk *walk, struct sluice_image_record *r)
{
	const struct sluice_core *core = walk->core;

	switch (walk->stage) {
	case AT_BEGIN:
		give_core(core, r);
		walk->stage = AT_CORE;
		return true;
	case AT_CORE:
		give_stats(&core->stats, r);
		walk->stage = AT_STATS;
		return true;
	case AT_STATS:
		give_more_stats(&core->stats, r);
		walk->stage = AT_BOOKS;
		return true;
	case AT_BOOKS:
		if (walk->symbol == core->symbols) {
			walk->stage = AT_SESSIONS;
			return false;
		}
		give_symbol(book_at(walk), r);
		walk->stage = AT_SYMBOL;
		return true;
	case AT_SYMBOL:
		r->type = SLUICE_IMAGE_NAME;
		memcpy(r->words, book_at(walk)->symbol.name, SLUICE_NAME_BYTES);
		walk->stage = AT_NAME;
		return true;
	case AT_NAME:
		give_ladder(sluice_book_ladder(book_at(walk), SLUICE_SIDE_BUY), r);
		walk->stage = AT_LADDER;
		return true;
	case AT_LADDER:
		give_ladder(sluice_book_ladder(book_at(walk), SLUICE_SIDE_SELL), r);
		go_to_side(walk, SLUICE_SIDE_BUY);
		walk->stage = AT_ORDERS;
		return true;
	case AT_ORDERS:
		return give_order(walk, r);
	default:
		if (give_session(walk, r))
			return true;
		r->type = SLUICE_IMAGE_END;
		r->words[END_RECORDS] = walk->records + 1;
		walk->stage = AT_END;
		return true;
	}
}

void sluice_image_begin(struct sluice_image_walk *walk, const struct sluice_core *core)
{
	*walk = (struct sluice_image_walk){.core = core, .stage = AT_BEGIN};
}

bool sluice_image_next(struct sluice_image_walk *walk, struct sluice_image_record *ret_record)
{
	struct sluice_image_record record = {.type = SLUICE_IMAGE_NONE};

	if (walk->stage == AT_END)
		return false;
	while (!give(walk, &record))
		;
	walk->records++;
	*ret_record = record;
	return true;
}
