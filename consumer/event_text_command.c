/* SPDX-License-Identifier: MIT */
/*
 * event_text_command.c - commands as text, in the keys and the order of the command text, leaving
 * out what is empty. On the thread of whoever prints.
 */
#include "consumer/event_text.h"
#include "consumer/text_writer.h"
#include "shm/event_names.h"

struct printing {
	struct text_writer w;
	const struct sluice_command *c;
	struct sluice_names *names;
	uint32_t price_decimals;
	uint32_t qty_decimals;
};

static void put_price(struct printing *p, const char *key, int64_t value)
{
	if (value)
		put_decimal(&p->w, key, value, p->price_decimals);
}

static void put_qty(struct printing *p, const char *key, int64_t value)
{
	if (value)
		put_decimal(&p->w, key, value, p->qty_decimals);
}

static void put_some(struct printing *p, const char *key, uint64_t value)
{
	if (value)
		put_u64(&p->w, key, value);
}

static void put_symbol(struct printing *p)
{
	const struct sluice_name *name = sluice_names_get(p->names, SLUICE_DIRECTORY_SYMBOL,
							  p->c->symbol);

	if (name) {
		p->price_decimals = name->price_decimals;
		p->qty_decimals = name->qty_decimals;
	}
	put_name(&p->w, "symbol", name, p->c->symbol);
}

static void put_asset(struct printing *p, const char *key, uint32_t id)
{
	put_name(&p->w, key, sluice_names_get(p->names, SLUICE_DIRECTORY_ASSET, id), id);
}

static void put_place(struct printing *p)
{
	const struct sluice_command *c = p->c;

	put_word(&p->w, "side", sluice_side_name(c->side));
	put_word(&p->w, "type", sluice_order_type_name(c->order_type));
	put_word(&p->w, "tif", sluice_tif_name(c->tif));
	put_price(p, "price", c->price);
	put_qty(p, "qty", c->qty);
	put_price(p, "stop_price", c->u.order.stop_price);
	put_qty(p, "display_qty", c->u.order.display_qty);
	put_qty(p, "min_qty", c->u.order.min_qty);
	put_some(p, "expire_ns", c->u.order.expire_ns);
	put_some(p, "post_only", c->order_flags & SLUICE_ORDER_POST_ONLY);
	if (c->stp != SLUICE_STP_NONE)
		put_word(&p->w, "stp", sluice_stp_name(c->stp));
}

static void put_order(struct printing *p)
{
	put_symbol(p);
	put_some(p, "account", p->c->account);
	put_u64(&p->w, "order_id", p->c->order_id);
	if (p->c->head.type == SLUICE_CMD_PLACE)
		put_place(p);
	if (p->c->head.type == SLUICE_CMD_REDUCE)
		put_qty(p, "qty", p->c->qty);
	if (p->c->head.type == SLUICE_CMD_REPLACE) {
		put_price(p, "new_price", p->c->price);
		put_qty(p, "new_qty", p->c->qty);
	}
}

static void put_definition(struct printing *p)
{
	const struct sluice_command_define *define = &p->c->u.define;
	bool symbol = p->c->head.type == SLUICE_CMD_ADD_SYMBOL;
	size_t bytes = strnlen(define->name, sizeof(define->name));
	struct sluice_name name = {0};

	if (!sluice_name_is_valid(define->name, bytes)) { /* a peer wrote it */
		put_word(&p->w, symbol ? "symbol" : "asset", "unknown");
	} else {
		name.bytes = (uint8_t)bytes;
		memcpy(name.name, define->name, bytes);
		put_name(&p->w, symbol ? "symbol" : "asset", &name, 0);
	}
}

static void put_definition_rest(struct printing *p)
{
	const struct sluice_command_define *define = &p->c->u.define;

	put_some(p, "price_decimals", define->price_decimals);
	put_some(p, "qty_decimals", define->qty_decimals);
	if (define->base_asset)
		put_asset(p, "base_asset", define->base_asset);
	if (define->quote_asset)
		put_asset(p, "quote_asset", define->quote_asset);
}

static void put_funds(struct printing *p)
{
	const struct sluice_name *asset = sluice_names_get(p->names, SLUICE_DIRECTORY_ASSET,
							   p->c->asset);

	put_some(p, "account", p->c->account);
	put_asset(p, "asset", p->c->asset);
	if (p->c->head.type != SLUICE_CMD_QUERY_BALANCE)
		put_decimal(&p->w, "amount", p->c->qty, asset ? asset->qty_decimals : 0);
}

static void put_command(struct printing *p)
{
	switch (p->c->head.type) {
	case SLUICE_CMD_PLACE:
	case SLUICE_CMD_CANCEL:
	case SLUICE_CMD_REDUCE:
	case SLUICE_CMD_REPLACE:
	case SLUICE_CMD_QUERY_ORDER:
		put_order(p);
		break;
	case SLUICE_CMD_MASS_CANCEL:
		if (p->c->symbol != UINT32_MAX)
			put_symbol(p);
		put_some(p, "account", p->c->account);
		break;
	case SLUICE_CMD_HALT:
	case SLUICE_CMD_RESUME:
	case SLUICE_CMD_AUCTION:
	case SLUICE_CMD_UNCROSS:
		put_symbol(p);
		break;
	case SLUICE_CMD_ADD_SYMBOL:
	case SLUICE_CMD_ADD_ASSET:
		put_definition(p);
		break;
	case SLUICE_CMD_DEPOSIT:
	case SLUICE_CMD_WITHDRAW:
	case SLUICE_CMD_QUERY_BALANCE:
		put_funds(p);
		break;
	default:
		break;
	}
}

size_t sluice_command_text(char *buffer, size_t size, enum sluice_event_style style,
			   const struct sluice_command *command, struct sluice_names *names)
{
	struct printing p = {.c = command, .names = names};
	uint16_t type = command->head.type;

	writer_begin(&p.w, buffer, size, style);
	put_word(&p.w, "cmd", sluice_command_type_name(type));
	put_command(&p);
	put_some(&p, "session", command->session);
	put_some(&p, "client_seq", command->client_seq);
	put_some(&p, "time_ns", command->time_ns);
	if (type == SLUICE_CMD_ADD_SYMBOL || type == SLUICE_CMD_ADD_ASSET)
		put_definition_rest(&p);
	return writer_end(&p.w);
}
