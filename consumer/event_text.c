/* SPDX-License-Identifier: MIT */
#include "consumer/event_text.h"

#include "consumer/text_writer.h"
#include "shm/event_names.h"

/* What a report says about the command that caused it, besides its name. */
#define BIT(command) (1u << SLUICE_CMD_##command)
#define WITH_ORDER (BIT(PLACE) | BIT(CANCEL) | BIT(REDUCE) | BIT(REPLACE) | BIT(QUERY_ORDER))
#define WITH_FUNDS (BIT(DEPOSIT) | BIT(WITHDRAW))
#define WITH_ACCOUNT (WITH_ORDER | WITH_FUNDS | BIT(MASS_CANCEL) | BIT(QUERY_BALANCE))
#define WITH_SYMBOL                                                                                \
	(WITH_ORDER | BIT(ADD_SYMBOL) | BIT(MASS_CANCEL) | BIT(HALT) | BIT(RESUME) |               \
	 BIT(AUCTION) | BIT(UNCROSS))

struct printing {
	struct text_writer w;
	const struct sluice_report *r;
	const struct sluice_name *symbol; /* NULL: unknown */
	uint32_t price_decimals;
	uint32_t qty_decimals;
};

static bool caused_by(const struct printing *p, uint32_t commands)
{
	return p->r->command < SLUICE_CMD_TYPES && (commands >> p->r->command & 1);
}

static void put_price(struct printing *p)
{
	put_decimal(&p->w, "price", p->r->price, p->price_decimals);
}

static void put_qty(struct printing *p)
{
	put_decimal(&p->w, "qty", p->r->qty, p->qty_decimals);
}

static void put_leaves(struct printing *p)
{
	put_decimal(&p->w, "leaves_qty", p->r->leaves_qty, p->qty_decimals);
}

/* symbol, account, order_id, side: which order the report is about. */
static void put_order(struct printing *p)
{
	put_name(&p->w, "symbol", p->symbol, p->r->symbol);
	put_u64(&p->w, "account", p->r->account);
	put_u64(&p->w, "order_id", p->r->order_id);
	put_word(&p->w, "side", sluice_side_name(p->r->side));
}

static bool has_price(const struct sluice_report *r)
{
	return r->order_type != SLUICE_ORDER_MARKET && r->order_type != SLUICE_ORDER_STOP;
}

static void put_accepted(struct printing *p)
{
	if (caused_by(p, BIT(PLACE))) {
		put_order(p);
		if (has_price(p->r))
			put_price(p);
		put_qty(p);
		put_leaves(p);
		return;
	}
	put_word(&p->w, "cmd", sluice_command_type_name(p->r->command));
	/* a mass cancel of all symbols names none */
	if (caused_by(p, WITH_SYMBOL) && p->r->symbol != UINT32_MAX)
		put_name(&p->w, "symbol", p->symbol, p->r->symbol);
	if (caused_by(p, WITH_ACCOUNT))
		put_u64(&p->w, "account", p->r->account);
	if (caused_by(p, WITH_ORDER))
		put_u64(&p->w, "order_id", p->r->order_id);
	if (caused_by(p, WITH_FUNDS))
		put_decimal(&p->w, "amount", p->r->qty, 0);
}

static void put_rejected(struct printing *p)
{
	put_word(&p->w, "cmd", sluice_command_type_name(p->r->command));
	put_word(&p->w, "reason", sluice_reason_name(p->r->reason));
	if (caused_by(p, WITH_SYMBOL) && p->symbol) /* else the id may be no symbol at all */
		put_name(&p->w, "symbol", p->symbol, p->r->symbol);
	if (caused_by(p, WITH_ACCOUNT))
		put_u64(&p->w, "account", p->r->account);
	if (caused_by(p, WITH_ORDER))
		put_u64(&p->w, "order_id", p->r->order_id);
	if (!caused_by(p, BIT(PLACE)))
		return;
	put_word(&p->w, "side", sluice_side_name(p->r->side));
	if (has_price(p->r))
		put_price(p);
	put_qty(p);
}

static void put_fees(struct printing *p)
{
	if (p->w.json) {
		put_key(&p->w, "fees");
		p->w.at = sluice_append_literal(p->w.at, "{\"maker\":");
		p->w.at = sluice_append_i64(p->w.at, p->r->maker_fee);
		p->w.at = sluice_append_literal(p->w.at, ",\"taker\":");
		p->w.at = sluice_append_i64(p->w.at, p->r->taker_fee);
		*p->w.at++ = '}';
	} else if (p->r->maker_fee || p->r->taker_fee) {
		put_decimal(&p->w, "maker_fee", p->r->maker_fee, 0);
		put_decimal(&p->w, "taker_fee", p->r->taker_fee, 0);
	}
}

static void put_trade(struct printing *p)
{
	const struct sluice_report *r = p->r;

	put_name(&p->w, "symbol", p->symbol, r->symbol);
	put_word(&p->w, "side", sluice_side_name(r->side));
	put_u64(&p->w, "maker_order_id", r->maker_order_id);
	put_u64(&p->w, "taker_order_id", r->order_id);
	put_u64(&p->w, "maker_account", r->maker_account);
	put_u64(&p->w, "taker_account", r->account);
	put_price(p);
	put_qty(p);
	put_decimal(&p->w, "maker_leaves_qty", r->maker_leaves_qty, p->qty_decimals);
	put_decimal(&p->w, "taker_leaves_qty", r->leaves_qty, p->qty_decimals);
	put_fees(p);
	if (r->head.flags & SLUICE_REPORT_AUCTION) {
		put_key(&p->w, "auction");
		p->w.at = sluice_append_literal(p->w.at, "true");
	}
}

static void put_cancelled(struct printing *p)
{
	put_order(p);
	put_word(&p->w, "reason", sluice_reason_name(p->r->reason));
	put_qty(p);
}

static void put_balance(struct printing *p, struct sluice_names *names)
{
	const struct sluice_name *asset = sluice_names_get(names, SLUICE_DIRECTORY_ASSET,
							   p->r->symbol);
	uint32_t decimals = asset ? asset->qty_decimals : 0;

	put_u64(&p->w, "account", p->r->account);
	put_name(&p->w, "asset", asset, p->r->symbol);
	put_decimal(&p->w, "free", p->r->price, decimals);
	put_decimal(&p->w, "held", p->r->qty, decimals);
}

static void put_report(struct printing *p, struct sluice_names *names)
{
	switch (p->r->head.type) {
	case SLUICE_REP_ACCEPTED:
		put_accepted(p);
		break;
	case SLUICE_REP_REJECTED:
		put_rejected(p);
		break;
	case SLUICE_REP_TRADE:
		put_trade(p);
		break;
	case SLUICE_REP_CANCELLED:
	case SLUICE_REP_EXPIRED:
		put_cancelled(p);
		break;
	case SLUICE_REP_REDUCED:
	case SLUICE_REP_REPLACED:
	case SLUICE_REP_TRIGGERED:
	case SLUICE_REP_ORDER:
		put_order(p);
		put_price(p);
		put_qty(p);
		put_leaves(p);
		break;
	case SLUICE_REP_BALANCE:
		put_balance(p, names);
		break;
	default: /* void, or a type of a later version: the head says all we know */
		break;
	}
}

/* Durable before visible is the rule and needs no word; anything less is said in every report. */
static void put_durability(struct printing *p)
{
	switch (p->r->head.flags & SLUICE_REPORT_DURABILITY_MASK) {
	case SLUICE_REPORT_ASYNC:
		put_word(&p->w, "durability", "async");
		break;
	case SLUICE_REPORT_NO_LOG:
		put_word(&p->w, "durability", "off");
		break;
	default:
		break;
	}
}

size_t sluice_report_text(char *buffer, size_t size, enum sluice_event_style style,
			  const struct sluice_report *report, struct sluice_names *names)
{
	struct printing p = {.r = report};

	if (report->head.type != SLUICE_REP_BALANCE)
		p.symbol = sluice_names_get(names, SLUICE_DIRECTORY_SYMBOL, report->symbol);
	if (p.symbol) {
		p.price_decimals = p.symbol->price_decimals;
		p.qty_decimals = p.symbol->qty_decimals;
	}
	writer_begin(&p.w, buffer, size, style);
	put_u64(&p.w, "n", report->n);
	put_u64(&p.w, "cmd_seq", report->cmd_seq);
	put_word(&p.w, "type", sluice_report_type_name(report->head.type));
	put_report(&p, names);
	put_durability(&p);
	return writer_end(&p.w);
}

/* ----------------------------------------------------------------------------- market data */

static void put_top(struct text_writer *w, const struct sluice_md_top *top,
		    const struct sluice_name *symbol)
{
	uint32_t price_decimals = symbol ? symbol->price_decimals : 0;
	uint32_t qty_decimals = symbol ? symbol->qty_decimals : 0;

	if (top->bid_price) { /* 0: that side is empty */
		put_decimal(w, "bid_price", top->bid_price, price_decimals);
		put_decimal(w, "bid_qty", top->bid_qty, qty_decimals);
	}
	if (top->ask_price) {
		put_decimal(w, "ask_price", top->ask_price, price_decimals);
		put_decimal(w, "ask_qty", top->ask_qty, qty_decimals);
	}
}

static void put_level(struct text_writer *w, const struct sluice_md_event *event,
		      const struct sluice_name *symbol)
{
	const struct sluice_md_depth *depth = &event->u.depth;

	if (event->side != SLUICE_SIDE_NONE) /* a trade in an auction has no aggressor */
		put_word(w, "side", sluice_side_name(event->side));
	put_decimal(w, "price", depth->price, symbol ? symbol->price_decimals : 0);
	put_decimal(w, "qty", depth->qty, symbol ? symbol->qty_decimals : 0);
	if (event->head.type == SLUICE_MD_DEPTH)
		put_u64(w, "orders", depth->count);
}

size_t sluice_md_text(char *buffer, size_t size, enum sluice_event_style style,
		      const struct sluice_md_event *event, struct sluice_names *names)
{
	const struct sluice_name *symbol = sluice_names_get(names, SLUICE_DIRECTORY_SYMBOL,
							    event->symbol);
	uint64_t phase = (uint64_t)event->u.depth.qty;
	struct text_writer w;

	writer_begin(&w, buffer, size, style);
	put_u64(&w, "n", event->n);
	put_u64(&w, "cmd_seq", event->cmd_seq);
	put_word(&w, "type", sluice_md_type_name(event->head.type));
	put_name(&w, "symbol", symbol, event->symbol);
	if (event->head.type == SLUICE_MD_TRADE || event->head.type == SLUICE_MD_DEPTH)
		put_level(&w, event, symbol);
	else if (event->head.type == SLUICE_MD_TOP)
		put_top(&w, &event->u.top, symbol);
	else if (event->head.type == SLUICE_MD_STATE)
		put_word(&w, "state",
			 sluice_phase_name(phase > UINT32_MAX ? UINT32_MAX : (uint32_t)phase));
	return writer_end(&w);
}
