/* SPDX-License-Identifier: MIT */
/*
 * reference_book.c - the naive matcher without its matching: symbols, sources, reports, and which
 * rule a command goes to. Test code: it aborts when memory runs out; one thread calls it.
 */
#include "tests/lib/reference_internal.h"

#include <stdlib.h>
#include <string.h>

void *reference_grown(void *items, size_t n, size_t *room, size_t bytes)
{
	void *more = items;

	if (n == *room) {
		*room = *room ? 2 * *room : 16;
		more = realloc(items, *room * bytes);
		if (!more)
			abort();
	}
	return more;
}

struct reference_book *reference_book_new(const struct reference_limits *limits)
{
	struct reference_book *book = calloc(1, sizeof(*book));

	if (!book)
		return NULL;
	book->limits = *limits;
	book->symbols = calloc(limits->symbols_max, sizeof(*book->symbols));
	book->sources = calloc(limits->sessions_max, sizeof(*book->sources));
	if (!book->symbols || !book->sources) {
		reference_book_free(book);
		return NULL;
	}
	return book;
}

void reference_book_free(struct reference_book *book)
{
	uint32_t i;

	for (i = 0; i < book->symbol_n; i++) {
		free(book->symbols[i].sides[SLUICE_SIDE_BUY].orders);
		free(book->symbols[i].sides[SLUICE_SIDE_SELL].orders);
	}
	free(book->symbols);
	free(book->sources);
	free(book->reports);
	free(book);
}

/* A report as every command begins one. */
static struct sluice_report *report(struct reference_book *book, int type)
{
	const struct sluice_command *c = book->command;
	struct sluice_report *r;

	book->reports = reference_grown(book->reports, book->report_n, &book->report_room,
					sizeof(*r));
	r = &book->reports[book->report_n++];
	memset(r, 0, sizeof(*r));
	r->head.type = (uint16_t)type;
	r->head.length = sizeof(*r);
	r->n = ++book->numbered;
	r->cmd_seq = book->cmd_seq;
	r->order_id = c->order_id;
	r->symbol = c->symbol;
	r->account = c->account;
	r->side = c->side > SLUICE_SIDE_SELL ? 0 : c->side;
	r->order_type = c->order_type >= SLUICE_ORDER_TYPES ? 0 : c->order_type;
	r->tif = c->tif >= SLUICE_TIFS ? 0 : c->tif;
	r->command = c->head.type >= SLUICE_CMD_TYPES ? 0 : (uint8_t)c->head.type;
	r->session = c->session;
	r->client_seq = c->client_seq;
	r->send_ns = c->send_ns;
	return r;
}

void reference_reject(struct reference_book *book, int reason)
{
	struct sluice_report *r = report(book, SLUICE_REP_REJECTED);

	r->reason = (uint8_t)reason;
	r->price = book->command->price;
	r->qty = book->command->qty;
}

void reference_accept(struct reference_book *book)
{
	struct sluice_report *r = report(book, SLUICE_REP_ACCEPTED);

	r->price = book->command->price;
	r->qty = book->command->qty;
	if (book->command->head.type == SLUICE_CMD_PLACE)
		r->leaves_qty = book->command->qty;
}

/* A report about an order of a symbol. */
struct sluice_report *reference_report_order(struct reference_book *book, int type, uint32_t symbol,
					     int side, const struct reference_order *o)
{
	struct sluice_report *r = report(book, type);

	r->symbol = symbol;
	r->account = o->account;
	r->order_id = o->id;
	r->side = (uint8_t)side;
	r->price = o->price;
	r->qty = o->total;
	r->leaves_qty = o->total - o->filled;
	return r;
}

void reference_report_cancelled(struct reference_book *book, uint32_t symbol, int side,
				const struct reference_order *o, int reason)
{
	struct sluice_report *r = reference_report_order(book, SLUICE_REP_CANCELLED, symbol, side,
							 o);

	r->qty = o->total - o->filled;
	r->leaves_qty = 0;
	r->reason = (uint8_t)reason;
}

/* ------------------------------------------------------------------------------- the rest */

static void define(struct reference_book *book)
{
	static const char legal[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._/-";
	const struct sluice_command_define *d = &book->command->u.define;
	static const uint8_t zero[sizeof(d->reserved)];
	size_t length = strnlen(d->name, SLUICE_NAME_BYTES);
	char name[SLUICE_NAME_BYTES + 1] = "";
	uint32_t i;

	memcpy(name, d->name, length);
	if (memcmp(d->reserved, zero, sizeof(zero))) {
		reference_reject(book, SLUICE_REASON_MALFORMED);
		return;
	}
	if (length == 0 || length == SLUICE_NAME_BYTES || strspn(name, legal) != length) {
		reference_reject(book, SLUICE_REASON_BAD_NAME);
		return;
	}
	if (book->command->head.type == SLUICE_CMD_ADD_ASSET) {
		reference_accept(book);
		return;
	}
	for (i = 0; i < book->symbol_n && strcmp(book->symbols[i].name, name); i++)
		;
	if (i < book->symbol_n) {
		reference_reject(book, SLUICE_REASON_SYMBOL_EXISTS);
	} else if (i == book->limits.symbols_max) {
		reference_reject(book, SLUICE_REASON_TOO_MANY_SYMBOLS);
		return;
	} else {
		memcpy(book->symbols[i].name, name, SLUICE_NAME_BYTES);
		book->symbol_n++;
		reference_accept(book);
	}
	book->reports[book->report_n - 1].symbol = i;
}

static void on_symbol(struct reference_book *book, uint32_t id)
{
	struct reference_symbol *s = &book->symbols[id];

	switch (book->command->head.type) {
	case SLUICE_CMD_PLACE:
		reference_place(book, s);
		break;
	case SLUICE_CMD_CANCEL:
		reference_cancel(book, s);
		break;
	case SLUICE_CMD_REDUCE:
		reference_reduce(book, s);
		break;
	case SLUICE_CMD_REPLACE:
		reference_replace(book, s);
		break;
	case SLUICE_CMD_MASS_CANCEL:
		reference_mass_cancel(book, id, id + 1);
		break;
	case SLUICE_CMD_QUERY_ORDER:
		reference_query(book, s);
		break;
	default:
		reference_change_phase(book, s);
	}
}

static int form_fault(const struct sluice_command *c)
{
	if (c->head.length != sizeof(*c))
		return SLUICE_REASON_MALFORMED;
	if (c->head.type == 0 || c->head.type >= SLUICE_CMD_TYPES)
		return SLUICE_REASON_UNKNOWN_COMMAND;
	if (c->head.type != SLUICE_CMD_VOID &&
	    (c->side > SLUICE_SIDE_SELL || c->order_type >= SLUICE_ORDER_TYPES ||
	     c->tif >= SLUICE_TIFS || c->stp >= SLUICE_STPS))
		return SLUICE_REASON_MALFORMED;
	return 0;
}

static int source_fault(struct reference_book *book, const struct sluice_command *c)
{
	uint32_t i;

	if (!c->session || !c->client_seq || c->head.type == SLUICE_CMD_VOID)
		return 0;
	for (i = 0; i < book->source_n && book->sources[i].id != c->session; i++)
		;
	if (i == book->source_n) {
		if (i == book->limits.sessions_max)
			return SLUICE_REASON_TOO_MANY_SESSIONS;
		book->sources[book->source_n++].id = c->session;
	}
	if (book->sources[i].last >= c->client_seq)
		return SLUICE_REASON_DUPLICATE_COMMAND;
	book->sources[i].last = c->client_seq;
	return 0;
}

static void execute(struct reference_book *book)
{
	const struct sluice_command *c = book->command;

	switch (c->head.type) {
	case SLUICE_CMD_ADD_ASSET:
	case SLUICE_CMD_ADD_SYMBOL:
		define(book);
		return;
	case SLUICE_CMD_TICK:
		reference_accept(book);
		return;
	case SLUICE_CMD_VOID:
		report(book, SLUICE_REP_VOID);
		return;
	case SLUICE_CMD_DEPOSIT:
	case SLUICE_CMD_WITHDRAW:
	case SLUICE_CMD_QUERY_BALANCE:
		reference_reject(book, SLUICE_REASON_UNSUPPORTED);
		return;
	default:
		break;
	}
	if (c->head.type == SLUICE_CMD_MASS_CANCEL && c->symbol == UINT32_MAX)
		reference_mass_cancel(book, 0, book->symbol_n);
	else if (c->symbol >= book->symbol_n)
		reference_reject(book, SLUICE_REASON_UNKNOWN_SYMBOL);
	else
		on_symbol(book, c->symbol);
}

size_t reference_book_apply(struct reference_book *book, const struct sluice_command *command,
			    uint64_t cmd_seq, const struct sluice_report **ret_reports)
{
	int fault = form_fault(command);

	book->command = command;
	book->cmd_seq = cmd_seq;
	book->report_n = 0;
	if (!fault)
		fault = source_fault(book, command);
	if (fault)
		reference_reject(book, fault);
	else
		execute(book);
	*ret_reports = book->reports;
	return book->report_n;
}
