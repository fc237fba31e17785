/* SPDX-License-Identifier: MIT */
/*
 * core_internal.h - the state and the functions that one command passes through.
 *
 *	core.c    memory, dispatch, checks that every command shares, prefetch
 *	place.c   new orders              amend.c   cancel, reduce, replace, mass cancel
 *	match.c   continuous matching     auction.c phases, uncross price and fills
 *	book.c    orders on levels        emit.c    reports, market data, chain
 *	define.c  symbols and assets      query.c   views, check, state hash
 *	image.c   the state as records, and back
 *
 * Only ladder.h, orders.h and sessions.h know how their data is laid out.
 */
#ifndef SLUICE_ENGINE_CORE_CORE_INTERNAL_H
#define SLUICE_ENGINE_CORE_CORE_INTERNAL_H

#include "engine/core/core.h"
#include "engine/core/ladder.h"
#include "engine/core/orders.h"
#include "engine/core/sessions.h"

#define SLUICE_AMOUNT_MAX (INT64_C(1) << 62) /* of a price and of a quantity */
#define SLUICE_EVERY_SYMBOL UINT32_MAX	     /* mass_cancel */

struct sluice_book {
	struct sluice_ladder ladders[2]; /* buy, sell */
	struct sluice_md_top top;	 /* as last told */
	struct sluice_core_symbol symbol;
	uint8_t phase_before; /* the halt */
	uint8_t reserved[7];
};

struct sluice_core {
	struct sluice_level_pool pool;
	struct sluice_orders orders;
	struct sluice_sessions sessions;
	struct sluice_book *books;
	uint64_t chain;
	uint64_t time_ns;
	uint32_t symbols;
	uint32_t symbols_max;
	struct sluice_core_stats stats;
	struct sluice_md_event md_scratch; /* where market data goes that nobody wants */
};

/* One command on its way. */
struct sluice_step {
	struct sluice_core *core;
	const struct sluice_command *command;
	struct sluice_sink *sink;
	uint64_t cmd_seq;
	uint64_t hash; /* of the order key (symbol, account, order_id) */
	/* The command's enumerations as reports show them: 0 for what is out of range. */
	uint8_t type;
	uint8_t side;
	uint8_t order_type;
	uint8_t tif;
};

/* The order that is trading: a new one, or one that replace took off its level. */
struct sluice_taker {
	uint64_t order_id;
	int64_t limit;
	int64_t leaves;
	uint32_t account;
	uint8_t side;
};

static inline struct sluice_ladder *sluice_book_ladder(struct sluice_book *book, uint32_t side)
{
	return &book->ladders[side == SLUICE_SIDE_SELL];
}

static inline uint32_t sluice_side_opposite(uint32_t side)
{
	return SLUICE_SIDE_BUY + SLUICE_SIDE_SELL - side;
}

static inline bool sluice_limit_reaches(uint32_t side, int64_t limit, int64_t price)
{
	return side == SLUICE_SIDE_BUY ? price <= limit : price >= limit;
}

/* Totals are exact inside; outside they stop at what the field holds. */
static inline int64_t sluice_qty_shown(unsigned __int128 qty)
{
	return qty > INT64_MAX ? INT64_MAX : (int64_t)qty;
}

static inline bool sluice_name_bytes_ok(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       c == '.' || c == '_' || c == '/' || c == '-';
}

/* Copies a legal name, zeros after it: names are compared as a whole. False: it is not legal. */
bool sluice_name_take(const char name[SLUICE_NAME_BYTES], char ret_name[SLUICE_NAME_BYTES]);

/* The symbol of a name that has zeros after it; core->symbols: there is none. */
uint32_t sluice_symbol_find(const struct sluice_core *core, const char name[SLUICE_NAME_BYTES]);

/* The options with defaults filled in; false: out of range. */
bool sluice_core_resolve(const struct sluice_core_options *options,
			 struct sluice_core_options *ret_full);

/* ------------------------------------------------------------------------------------ emit */

void sluice_emit_accepted(struct sluice_step *step, uint32_t symbol);
void sluice_emit_rejected(struct sluice_step *step, enum sluice_reason reason);
void sluice_emit_rejected_symbol(struct sluice_step *step, enum sluice_reason reason,
				 uint32_t symbol);
void sluice_emit_void(struct sluice_step *step);

/* Both orders' leaves are those after the trade. flags: SLUICE_REPORT_AUCTION or 0. */
void sluice_emit_trade(struct sluice_step *step, const struct sluice_taker *taker,
		       const struct sluice_order *maker, int64_t price, int64_t qty,
		       uint16_t flags);

/* What is left of an order that is not in the book. */
void sluice_emit_cancelled_taker(struct sluice_step *step, const struct sluice_taker *taker,
				 enum sluice_reason reason);
void sluice_emit_cancelled(struct sluice_step *step, const struct sluice_order *order,
			   enum sluice_reason reason);
/* reduced, replaced, order: the order as it now is; qty is the field of that name. */
void sluice_emit_order(struct sluice_step *step, enum sluice_report_type type,
		       const struct sluice_order *order, int64_t qty);

void sluice_emit_depth(struct sluice_step *step, const struct sluice_book *book, uint32_t side,
		       int64_t price, const struct sluice_level *level);
void sluice_emit_state(struct sluice_step *step, const struct sluice_book *book);
/* At the end of a command that may have touched the book; silent if the top is as last told. */
void sluice_emit_top(struct sluice_step *step, struct sluice_book *book);

/* ------------------------------------------------------------------------------------ book */

/* Appends an order to a level in use, which may be empty. */
void sluice_book_append(struct sluice_core *core, uint32_t level, uint32_t order);
/* Puts an order, whose price, side and leaves are set, on its level and tells the depth. */
void sluice_book_rest(struct sluice_step *step, struct sluice_book *book, uint32_t order);
/* Takes an order off its level, which stays in use until sluice_book_close; returns the level. */
uint32_t sluice_book_unlink(struct sluice_core *core, struct sluice_book *book, uint32_t order);
/* Ends a command's work on a level: tells its depth, drops it if it is empty. */
void sluice_book_close(struct sluice_step *step, struct sluice_book *book, uint32_t side,
		       int64_t price, uint32_t level);
/* Takes the level's first order, which is filled, off it and frees it. */
void sluice_book_pop(struct sluice_core *core, struct sluice_level *level);

/* Trades until the taker is filled or the other side is out of its reach. */
void sluice_match(struct sluice_step *step, struct sluice_book *book, struct sluice_taker *taker);

/* -------------------------------------------------------------------------------- commands */

void sluice_define_asset(struct sluice_step *step);
void sluice_define_symbol(struct sluice_step *step);
void sluice_place(struct sluice_step *step, struct sluice_book *book);
void sluice_cancel(struct sluice_step *step, struct sluice_book *book);
void sluice_reduce(struct sluice_step *step, struct sluice_book *book);
void sluice_replace(struct sluice_step *step, struct sluice_book *book);
void sluice_mass_cancel(struct sluice_step *step, struct sluice_book *book);
void sluice_halt(struct sluice_step *step, struct sluice_book *book);
void sluice_resume(struct sluice_step *step, struct sluice_book *book);
void sluice_auction(struct sluice_step *step, struct sluice_book *book);
void sluice_uncross(struct sluice_step *step, struct sluice_book *book);
void sluice_query_order(struct sluice_step *step, struct sluice_book *book);

#endif
