/* SPDX-License-Identifier: MIT */
/*
 * fixture.h - a core with its sink, builders of commands, and expectations written as text. One
 * per test; every expectation also checks the core's invariants.
 *
 * Text of reports, joined by "; ":
 *	accepted 7          rejected 7 bad_qty      trade 7x3 5@100 0/2  (taker x maker, leaves)
 *	cancelled 7 5 user  reduced 7 5 left 3      replaced 7 9@100 left 4
 *	order 7 9@100 left 4                        void
 */
#ifndef SLUICE_TESTS_UNIT_CORE_FIXTURE_H
#define SLUICE_TESTS_UNIT_CORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/core/core.h"
#include "shm/event_names.h"

#define FIXTURE_RING 4096u
#define FIXTURE_TEXT 8192u

#define BUY SLUICE_SIDE_BUY
#define SELL SLUICE_SIDE_SELL

struct fixture {
	struct sluice_core *core;
	struct sluice_sink sink;
	uint64_t next_seq;
	uint64_t first; /* report number of the last command's first report */
	uint64_t first_md;
	uint32_t rooms; /* calls of make_room */
};

static inline void fixture_make_room(struct sluice_sink *sink)
{
	((struct fixture *)sink->context)->rooms++;
	sink->report_limit = sink->report_next + sink->report_mask + 1;
	sink->md_limit = sink->md_next + sink->md_mask + 1;
}

static inline struct sluice_core *fixture_core(const struct sluice_core_options *options)
{
	size_t bytes = sluice_core_bytes(options);
	void *memory = bytes ? aligned_alloc(64, bytes) : NULL;

	assert_non_null(memory);
	memset(memory, 0xa5, bytes);
	return sluice_core_init(memory, options);
}

static inline struct sluice_core_options fixture_options(void)
{
	return (struct sluice_core_options){.symbols_max = 4,
					    .orders_max = 1024,
					    .levels_max = 256,
					    .sessions_max = 4,
					    .window_ticks = 256};
}

static inline void fixture_init(struct fixture *f, const struct sluice_core_options *options)
{
	memset(f, 0, sizeof(*f));
	f->core = fixture_core(options);
	assert_non_null(f->core);
	f->sink = (struct sluice_sink){
		.reports = calloc(FIXTURE_RING, sizeof(struct sluice_report)),
		.report_mask = FIXTURE_RING - 1,
		.report_next = 1,
		.report_limit = FIXTURE_RING + 1,
		.md = calloc(FIXTURE_RING, sizeof(struct sluice_md_event)),
		.md_mask = FIXTURE_RING - 1,
		.md_next = 1,
		.md_limit = FIXTURE_RING + 1,
		.participant = 3,
		.make_room = fixture_make_room,
		.context = f,
	};
	assert_non_null(f->sink.reports);
	assert_non_null(f->sink.md);
}

static inline void fixture_release(struct fixture *f)
{
	free(f->core);
	free(f->sink.reports);
	free(f->sink.md);
}

static inline void fixture_apply(struct fixture *f, struct sluice_command command)
{
	f->first = f->sink.report_next;
	f->first_md = f->sink.md_next;
	sluice_core_apply(f->core, &command, f->next_seq++, &f->sink);
	assert_true(f->sink.report_next > f->first);
}

/* The i-th report of the last command; i below what it produced and the ring still holds. */
static inline const struct sluice_report *fixture_report(const struct fixture *f, uint64_t i)
{
	assert_true(f->first + i < f->sink.report_next);
	return &f->sink.reports[(f->first + i - 1) & f->sink.report_mask];
}

static inline const struct sluice_md_event *fixture_md(const struct fixture *f, uint64_t i)
{
	assert_true(f->first_md + i < f->sink.md_next);
	return &f->sink.md[(f->first_md + i - 1) & f->sink.md_mask];
}

/* ------------------------------------------------------------------------------- commands */

static inline struct sluice_command command_of(enum sluice_command_type type, uint32_t symbol,
					       uint64_t order_id)
{
	return (struct sluice_command){
		.head = {.type = (uint16_t)type, .length = sizeof(struct sluice_command)},
		.symbol = symbol,
		.order_id = order_id,
	};
}

static inline struct sluice_command place(uint64_t order_id, int side, int64_t qty, int64_t price)
{
	struct sluice_command c = command_of(SLUICE_CMD_PLACE, 0, order_id);

	c.side = (uint8_t)side;
	c.order_type = SLUICE_ORDER_LIMIT;
	c.tif = SLUICE_TIF_GTC;
	c.qty = qty;
	c.price = price;
	return c;
}

static inline struct sluice_command ioc(uint64_t order_id, int side, int64_t qty, int64_t price)
{
	struct sluice_command c = place(order_id, side, qty, price);

	c.tif = SLUICE_TIF_IOC;
	return c;
}

static inline struct sluice_command market(uint64_t order_id, int side, int64_t qty)
{
	struct sluice_command c = place(order_id, side, qty, 0);

	c.order_type = SLUICE_ORDER_MARKET;
	return c;
}

static inline struct sluice_command cancel(uint64_t order_id)
{
	return command_of(SLUICE_CMD_CANCEL, 0, order_id);
}

static inline struct sluice_command reduce(uint64_t order_id, int64_t by)
{
	struct sluice_command c = command_of(SLUICE_CMD_REDUCE, 0, order_id);

	c.qty = by;
	return c;
}

static inline struct sluice_command replace(uint64_t order_id, int64_t qty, int64_t price)
{
	struct sluice_command c = command_of(SLUICE_CMD_REPLACE, 0, order_id);

	c.qty = qty;
	c.price = price;
	return c;
}

static inline struct sluice_command define(const char *name)
{
	struct sluice_command c = command_of(SLUICE_CMD_ADD_SYMBOL, 0, 0);
	size_t bytes = strlen(name);

	memcpy(c.u.define.name, name, bytes < SLUICE_NAME_BYTES ? bytes : SLUICE_NAME_BYTES);
	return c;
}

static inline struct sluice_command on_symbol(struct sluice_command c, uint32_t symbol)
{
	c.symbol = symbol;
	return c;
}

static inline struct sluice_command by_account(struct sluice_command c, uint32_t account)
{
	c.account = account;
	return c;
}

/* ----------------------------------------------------------------------------------- text */

static inline int report_text(const struct sluice_report *r, char *text, size_t bytes)
{
	unsigned long long id = r->order_id, maker = r->maker_order_id;
	long long qty = r->qty, price = r->price, leaves = r->leaves_qty;
	long long maker_leaves = r->maker_leaves_qty;

	switch (r->head.type) {
	case SLUICE_REP_ACCEPTED:
		return snprintf(text, bytes, "accepted %llu", id);
	case SLUICE_REP_REJECTED:
		return snprintf(text, bytes, "rejected %llu %s", id, sluice_reason_name(r->reason));
	case SLUICE_REP_TRADE:
		return snprintf(text, bytes, "trade %llux%llu %lld@%lld %lld/%lld", id, maker, qty,
				price, leaves, maker_leaves);
	case SLUICE_REP_CANCELLED:
		return snprintf(text, bytes, "cancelled %llu %lld %s", id, qty,
				sluice_reason_name(r->reason));
	case SLUICE_REP_REDUCED:
		return snprintf(text, bytes, "reduced %llu %lld left %lld", id, qty, leaves);
	case SLUICE_REP_REPLACED:
	case SLUICE_REP_ORDER:
		return snprintf(text, bytes, "%s %llu %lld@%lld left %lld",
				r->head.type == SLUICE_REP_ORDER ? "order" : "replaced", id, qty,
				price, leaves);
	case SLUICE_REP_VOID:
		return snprintf(text, bytes, "void");
	default:
		return snprintf(text, bytes, "type %u", r->head.type);
	}
}

static inline void expect(struct fixture *f, struct sluice_command command, const char *reports)
{
	char text[FIXTURE_TEXT];
	const char *wrong;
	size_t at = 0;
	uint64_t i;

	fixture_apply(f, command);
	for (i = 0; f->first + i < f->sink.report_next; i++) {
		if (i)
			at += (size_t)snprintf(text + at, sizeof(text) - at, "; ");
		at += (size_t)report_text(fixture_report(f, i), text + at, sizeof(text) - at);
		assert_true(at < sizeof(text));
	}
	assert_string_equal(text, reports);
	wrong = sluice_core_check(f->core);
	if (wrong)
		fail_msg("%s", wrong);
}

/* One side as text, best first: "100:5/2 99:1/1" is price:quantity/orders. */
static inline void expect_side(const struct fixture *f, uint32_t symbol, enum sluice_side side,
			       const char *levels)
{
	char text[FIXTURE_TEXT] = "";
	struct sluice_core_level level;
	size_t at = 0;
	uint32_t i;

	for (i = 0; sluice_core_depth(f->core, symbol, side, i, &level); i++) {
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%lld:%lld/%u", i ? " " : "",
				       (long long)level.price, (long long)level.qty, level.count);
		assert_true(at < sizeof(text));
	}
	assert_string_equal(text, levels);
}

/* --------------------------------------------------------------------------------- random */

static inline uint64_t seed_of_run(uint64_t otherwise)
{
	const char *text = getenv("SEED");
	uint64_t seed = text ? strtoull(text, NULL, 0) : otherwise;

	print_message("SEED=%llu\n", (unsigned long long)seed);
	return seed;
}

static inline uint64_t random_next(uint64_t *state)
{
	uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

static inline uint32_t random_below(uint64_t *state, uint32_t n)
{
	return (uint32_t)(random_next(state) % n);
}

#endif
