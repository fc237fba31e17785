/* SPDX-License-Identifier: MIT */
/*
 * image_rich.h - the row of a state that has something of everything, and ways to change a row.
 */
#ifndef SLUICE_TESTS_UNIT_CORE_IMAGE_RICH_H
#define SLUICE_TESTS_UNIT_CORE_IMAGE_RICH_H

#include "tests/unit/core/image_row.h"

#define WORDS 7u

enum type {
	CORE = SLUICE_IMAGE_CORE,
	STATS = SLUICE_IMAGE_STATS,
	SYMBOL = SLUICE_IMAGE_SYMBOL,
	NAME = SLUICE_IMAGE_NAME,
	LADDER = SLUICE_IMAGE_LADDER,
	ORDER = SLUICE_IMAGE_ORDER,
	SESSION = SLUICE_IMAGE_SESSION,
	END = SLUICE_IMAGE_END
};

static const struct sluice_core_options limits = {
	.symbols_max = 4, .orders_max = 20, .levels_max = 5, .sessions_max = 5, .window_ticks = 64};

/*
 * Symbol 0 trades, with three levels outside its windows; 1 is in an auction and crossed; 2 is
 * halted from trading; sources 5, 32 and 37 want the last place of the table.
 */
static inline void fill(struct fixture *f)
{
	static const struct {
		uint32_t symbol, account;
		int side;
		int64_t qty, price;
	} orders[] = {
		{0, 1, BUY, 10, 100}, {0, 2, BUY, 20, 100},  {0, 1, BUY, 30, 100},
		{0, 1, BUY, 5, 99},   {0, 1, BUY, 6, 60},    {0, 3, BUY, 7, 10},
		{0, 1, SELL, 4, 103}, {0, 1, SELL, 9, 103},  {0, 1, SELL, 8, 110},
		{0, 4, SELL, 1, 900}, {0, 4, SELL, 2, 5000}, {1, 1, BUY, 3, 50},
		{1, 2, BUY, 3, 48},   {1, 1, SELL, 6, 45},   {2, 1, BUY, 11, 7},
		{2, 1, SELL, 11, 8},
	};
	static const uint32_t sources[] = {5, 32, 37};
	struct sluice_command c;
	size_t i;

	fixture_init(f, &limits);
	fixture_apply(f, define("ONE"));
	fixture_apply(f, define("two/2"));
	fixture_apply(f, define("3"));
	fixture_apply(f, on_symbol(command_of(SLUICE_CMD_AUCTION, 0, 0), 1));
	for (i = 0; i < sizeof(orders) / sizeof(*orders); i++) {
		c = place(100 + i, orders[i].side, orders[i].qty, orders[i].price);
		c = by_account(on_symbol(c, orders[i].symbol), orders[i].account);
		c.session = sources[i % 3];
		c.client_seq = i + 1;
		fixture_apply(f, c);
		assert_int_equal(fixture_report(f, 0)->head.type, SLUICE_REP_ACCEPTED);
	}
	expect(f, ioc(200, SELL, 4, 100), "accepted 200; trade 200x100 4@100 0/6");
	expect(f, on_symbol(command_of(SLUICE_CMD_HALT, 0, 0), 2), "accepted 0");
}

static inline struct row rich_row(void)
{
	struct fixture f;
	struct row row;

	fill(&f);
	row = row_of(f.core, &limits);
	fixture_release(&f);
	return row;
}

static inline uint64_t find(const struct row *row, enum type type, uint32_t nth)
{
	uint64_t i;

	for (i = 0; i < row->n; i++)
		if (row->records[i].type == type && nth-- == 0)
			return i;
	fail_msg("the row has no such record");
	return 0;
}

static inline void drop(struct row *row, uint64_t i)
{
	row->n--;
	memmove(&row->records[i], &row->records[i + 1], (row->n - i) * sizeof(*row->records));
}

static inline void insert(struct row *row, uint64_t i, struct sluice_image_record record)
{
	memmove(&row->records[i + 1], &row->records[i], (row->n - i) * sizeof(*row->records));
	row->records[i] = record;
	row->n++;
}

static inline void swap(struct row *row, uint64_t i, uint64_t j)
{
	struct sluice_image_record record = row->records[i];

	row->records[i] = row->records[j];
	row->records[j] = record;
}

/* Makes the counts what came, so that only what is wrong with the records themselves is left. */
static inline void recount(struct row *row)
{
	struct sluice_image_record *core = &row->records[0];
	uint64_t i, n[SLUICE_IMAGE_END + 1] = {0};

	for (i = 0; i < row->n; i++)
		if (row->records[i].type <= SLUICE_IMAGE_END)
			n[row->records[i].type]++;
	for (i = 0; i < row->n; i++)
		if (row->records[i].type == END)
			row->records[i].words[0] = row->n;
	if (core->type != CORE)
		return;
	core->words[2] = n[SYMBOL];
	core->words[3] = n[ORDER];
	core->words[4] = n[SESSION];
}

#endif
