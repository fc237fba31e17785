/* SPDX-License-Identifier: MIT */
/*
 * emit.c - writes reports and market data straight into the sink's slots and chains their digest.
 *
 * What is digested comes from the values written, never from the slot: the ring is shared memory.
 * send_ns, durability flags and participant stay out of the digest, because a replay of the log may
 * run under other ones. Called by the commands' functions, on the engine's thread.
 */
#include "engine/core/core_internal.h"

#include <string.h>

#define AHEAD 8u /* reports between the one written and the one fetched */

#define KEY_0 UINT64_C(0x2d358dccaa6c78a5)
#define KEY_1 UINT64_C(0x8bb84b93962eacc9)
#define KEY_2 UINT64_C(0x4b33a62ed433d4a3)
#define KEY_3 UINT64_C(0x4d5a2da51de1aa47)

/* What differs between reports; everything else is the command's. */
struct fields {
	uint64_t order_id;
	uint64_t maker_order_id;
	int64_t price;
	int64_t qty;
	int64_t leaves;
	int64_t maker_leaves;
	uint32_t symbol;
	uint32_t account;
	uint32_t maker_account;
	uint8_t type;
	uint8_t side;
	uint8_t reason;
	uint16_t flags;
};

/* Both lines of the slot that is written some reports from now: a ring exceeds the cache. */
static inline void prefetch_slot(const struct sluice_report *report)
{
	__builtin_prefetch(report, 1);
	__builtin_prefetch((const char *)report + 64, 1);
}

static void make_room(struct sluice_sink *sink)
{
	sink->make_room(sink);
	sluice_assert(sink->report_next != sink->report_limit);
	sluice_assert(!sink->md || sink->md_next != sink->md_limit);
}

static inline void chain_report(struct sluice_step *step, const struct fields *f, uint64_t kind)
{
	const struct sluice_command *c = step->command;
	uint64_t ids = sluice_mix(f->order_id ^ KEY_0, f->maker_order_id ^ KEY_1);
	uint64_t amounts = sluice_mix((uint64_t)f->price ^ KEY_2, (uint64_t)f->qty ^ KEY_3);
	uint64_t leaves = sluice_mix((uint64_t)f->leaves ^ KEY_1,
				     (uint64_t)f->maker_leaves ^ KEY_2);
	uint64_t owners = sluice_mix(((uint64_t)f->symbol << 32 | f->account) ^ KEY_3,
				     ((uint64_t)f->maker_account << 32 | c->session) ^ KEY_0);
	uint64_t cause = sluice_mix(kind ^ KEY_2, c->client_seq ^ KEY_0);

	step->core->chain = sluice_mix(step->core->chain ^ ids ^ (amounts + leaves),
				       (owners ^ cause) + (step->cmd_seq ^ KEY_1));
}

/* Every field by itself, in order: the compiler would clear the slot first, which costs more. */
static inline __attribute__((always_inline)) void emit(struct sluice_step *step,
						       const struct fields *f)
{
	const struct sluice_command *c = step->command;
	struct sluice_sink *sink = step->sink;
	struct sluice_report *r;

	if (sluice_unlikely(sink->report_next == sink->report_limit))
		make_room(sink);
	r = &sink->reports[(sink->report_next - 1) & sink->report_mask];
	prefetch_slot(&sink->reports[(sink->report_next + AHEAD) & sink->report_mask]);
	r->head.type = f->type;
	r->head.length = sizeof(*r);
	r->head.participant = sink->participant;
	r->head.flags = (uint16_t)(sink->report_flags | f->flags);
	r->n = sink->report_next;
	r->cmd_seq = step->cmd_seq;
	r->order_id = f->order_id;
	r->maker_order_id = f->maker_order_id;
	r->price = f->price;
	r->qty = f->qty;
	r->leaves_qty = f->leaves;
	r->maker_leaves_qty = f->maker_leaves;
	r->symbol = f->symbol;
	r->account = f->account;
	r->maker_account = f->maker_account;
	r->side = f->side;
	r->order_type = step->order_type;
	r->tif = step->tif;
	r->reason = f->reason;
	r->command = step->type;
	memset(r->reserved, 0, sizeof(r->reserved));
	r->session = c->session;
	r->client_seq = c->client_seq;
	r->send_ns = c->send_ns;
	r->taker_fee = 0;
	r->maker_fee = 0;
	sink->report_next++;
	step->core->stats.reports++;
	chain_report(step, f,
		     f->type | (uint64_t)f->side << 8 | (uint64_t)f->reason << 16 |
			     (uint64_t)step->order_type << 24 | (uint64_t)step->tif << 32 |
			     (uint64_t)step->type << 40 | (uint64_t)f->flags << 48);
}

void sluice_emit_accepted(struct sluice_step *step, uint32_t symbol)
{
	const struct sluice_command *c = step->command;
	struct fields f = {.type = SLUICE_REP_ACCEPTED, .order_id = c->order_id};

	f.price = c->price;
	f.qty = c->qty;
	f.leaves = c->head.type == SLUICE_CMD_PLACE ? c->qty : 0;
	f.symbol = symbol;
	f.account = c->account;
	f.side = step->side;
	step->core->stats.accepted++;
	emit(step, &f);
}

void sluice_emit_rejected_symbol(struct sluice_step *step, enum sluice_reason reason,
				 uint32_t symbol)
{
	const struct sluice_command *c = step->command;
	struct fields f = {.type = SLUICE_REP_REJECTED, .order_id = c->order_id};

	f.price = c->price;
	f.qty = c->qty;
	f.symbol = symbol;
	f.account = c->account;
	f.side = step->side;
	f.reason = (uint8_t)reason;
	step->core->stats.rejected++;
	step->core->stats.duplicates += reason == SLUICE_REASON_DUPLICATE_COMMAND;
	emit(step, &f);
}

void sluice_emit_rejected(struct sluice_step *step, enum sluice_reason reason)
{
	sluice_emit_rejected_symbol(step, reason, step->command->symbol);
}

void sluice_emit_void(struct sluice_step *step)
{
	const struct sluice_command *c = step->command;
	struct fields f = {.type = SLUICE_REP_VOID, .order_id = c->order_id};

	f.symbol = c->symbol;
	f.account = c->account;
	f.side = step->side;
	emit(step, &f);
}

void sluice_emit_cancelled_taker(struct sluice_step *step, const struct sluice_taker *taker,
				 enum sluice_reason reason)
{
	struct fields f = {.type = SLUICE_REP_CANCELLED, .order_id = taker->order_id};

	f.price = step->command->price;
	f.qty = taker->leaves;
	f.symbol = step->command->symbol;
	f.account = taker->account;
	f.side = taker->side;
	f.reason = (uint8_t)reason;
	step->core->stats.cancelled++;
	emit(step, &f);
}

void sluice_emit_cancelled(struct sluice_step *step, const struct sluice_order *order,
			   enum sluice_reason reason)
{
	struct fields f = {.type = SLUICE_REP_CANCELLED, .order_id = order->order_id};

	f.price = order->price;
	f.qty = order->leaves;
	f.symbol = order->symbol;
	f.account = order->account;
	f.side = order->side;
	f.reason = (uint8_t)reason;
	step->core->stats.cancelled++;
	emit(step, &f);
}

void sluice_emit_order(struct sluice_step *step, enum sluice_report_type type,
		       const struct sluice_order *order, int64_t qty)
{
	struct fields f = {.type = (uint8_t)type, .order_id = order->order_id};

	f.price = order->price;
	f.qty = qty;
	f.leaves = order->leaves;
	f.symbol = order->symbol;
	f.account = order->account;
	f.side = order->side;
	emit(step, &f);
}

/* -------------------------------------------------------------------------------- market data */

static inline struct sluice_md_event *md_slot(struct sluice_step *step)
{
	struct sluice_sink *sink = step->sink;

	if (!sink->md)
		return &step->core->md_scratch;
	if (sluice_unlikely(sink->md_next == sink->md_limit))
		make_room(sink);
	return &sink->md[(sink->md_next - 1) & sink->md_mask];
}

static inline void chain_md(struct sluice_step *step, uint64_t kind, uint64_t a, uint64_t b,
			    uint64_t c)
{
	uint64_t amounts = sluice_mix(a ^ KEY_1, b ^ KEY_3);
	uint64_t cause = sluice_mix(kind ^ KEY_0, c ^ KEY_2);

	step->core->chain = sluice_mix(step->core->chain ^ amounts,
				       cause + (step->cmd_seq ^ KEY_3));
	step->sink->md_next++;
	step->core->stats.md_events++;
}

static inline uint64_t md_kind(enum sluice_md_type type, uint32_t symbol, uint32_t side)
{
	return (uint64_t)symbol << 32 | (uint64_t)side << 8 | type;
}

static inline struct sluice_md_event *md_begin(struct sluice_step *step, enum sluice_md_type type,
					       const struct sluice_book *book, uint32_t side)
{
	struct sluice_md_event *e = md_slot(step);

	e->head.type = (uint16_t)type;
	e->head.length = sizeof(*e);
	e->head.participant = step->sink->participant;
	e->head.flags = 0;
	e->n = step->sink->md_next;
	e->cmd_seq = step->cmd_seq;
	e->symbol = book->symbol.id;
	e->side = (uint8_t)side;
	memset(e->reserved, 0, sizeof(e->reserved));
	return e;
}

static inline __attribute__((always_inline)) void
emit_md(struct sluice_step *step, enum sluice_md_type type, const struct sluice_book *book,
	uint32_t side, struct sluice_md_depth depth)
{
	struct sluice_md_event *e = md_begin(step, type, book, side);

	e->u.depth.price = depth.price;
	e->u.depth.qty = depth.qty;
	e->u.depth.count = depth.count;
	e->u.depth.reserved = 0;
	e->u.depth.reserved2 = 0;
	chain_md(step, md_kind(type, book->symbol.id, side), (uint64_t)depth.price,
		 (uint64_t)depth.qty, depth.count);
}

void sluice_emit_trade(struct sluice_step *step, const struct sluice_taker *taker,
		       const struct sluice_order *maker, int64_t price, int64_t qty, uint16_t flags)
{
	struct sluice_core *core = step->core;
	struct sluice_book *book = &core->books[maker->symbol];
	struct fields f = {.type = SLUICE_REP_TRADE, .order_id = taker->order_id};

	f.maker_order_id = maker->order_id;
	f.price = price;
	f.qty = qty;
	f.leaves = taker->leaves;
	f.maker_leaves = maker->leaves;
	f.symbol = maker->symbol;
	f.account = taker->account;
	f.maker_account = maker->account;
	f.side = taker->side;
	f.flags = flags;
	book->symbol.last_price = price;
	core->stats.trades++;
	core->stats.traded_qty += (uint64_t)qty;
	emit(step, &f);
	emit_md(step, SLUICE_MD_TRADE, book, flags ? SLUICE_SIDE_NONE : taker->side,
		(struct sluice_md_depth){.price = price, .qty = qty});
}

void sluice_emit_depth(struct sluice_step *step, const struct sluice_book *book, uint32_t side,
		       int64_t price, const struct sluice_level *level)
{
	emit_md(step, SLUICE_MD_DEPTH, book, side,
		(struct sluice_md_depth){.price = price,
					 .qty = sluice_qty_shown(level->qty),
					 .count = level->count});
}

void sluice_emit_state(struct sluice_step *step, const struct sluice_book *book)
{
	emit_md(step, SLUICE_MD_STATE, book, SLUICE_SIDE_NONE,
		(struct sluice_md_depth){.qty = book->symbol.phase});
}

void sluice_emit_top(struct sluice_step *step, struct sluice_book *book)
{
	const struct sluice_level *levels = step->core->pool.levels;
	const struct sluice_ladder *bids = &book->ladders[0], *asks = &book->ladders[1];
	struct sluice_md_top top = {
		.bid_price = bids->best_price,
		.bid_qty = sluice_qty_shown(levels[bids->best_ref].qty),
		.ask_price = asks->best_price,
		.ask_qty = sluice_qty_shown(levels[asks->best_ref].qty),
	};

	if (top.bid_price == book->top.bid_price && top.bid_qty == book->top.bid_qty &&
	    top.ask_price == book->top.ask_price && top.ask_qty == book->top.ask_qty)
		return;
	book->top = top;
	md_begin(step, SLUICE_MD_TOP, book, SLUICE_SIDE_NONE)->u.top = top;
	chain_md(step, md_kind(SLUICE_MD_TOP, book->symbol.id, 0),
		 sluice_mix((uint64_t)top.bid_price ^ KEY_0, (uint64_t)top.bid_qty ^ KEY_1),
		 sluice_mix((uint64_t)top.ask_price ^ KEY_2, (uint64_t)top.ask_qty ^ KEY_3), 0);
}
