/* SPDX-License-Identifier: MIT */
/*
 * test_shanghai.c - a day of three stocks of the Shanghai exchange: every fill that the exchange
 * made, continuous and auction, must come out in its order, with its maker, price and quantity.
 * The files are in the directory SLUICE_DATA (../shared/data); without them the test is skipped.
 */
#include "tests/unit/core/fixture.h"

#include <errno.h>
#include <unistd.h>
#include <zlib.h>

#define SYMBOLS 3u
#define FILLS_MAX 80000u
#define COMMANDS_MAX 200000u
#define CONTINUOUS_FILLS 78018u
#define AUCTION_FILLS 1468u

struct fill {
	uint64_t taker; /* the buyer in an auction */
	uint64_t maker;
	int64_t price;
	int64_t qty;
};

struct fills {
	struct fill *list;
	uint32_t n;
};

struct day {
	char names[SYMBOLS][SLUICE_NAME_BYTES];
	struct sluice_command *commands;
	uint32_t command_n;
	struct fills want[SYMBOLS][2]; /* continuous, auction */
	uint32_t seen[SYMBOLS][2];
	uint64_t next_n;
};

typedef void (*row_fn)(struct day *day, char **cells);

static void data_path(char *path, size_t bytes, const char *file)
{
	const char *dir = getenv("SLUICE_DATA");

	snprintf(path, bytes, "%s/shanghai_20230711_%s.csv.gz", dir ? dir : "../shared/data", file);
}

/* Calls row for every row but the header; false if the file cannot be opened. */
static bool each_row(struct day *day, const char *file, row_fn row)
{
	char path[512], line[256], *cells[9], *rest, *cell;
	gzFile in;
	int n;

	data_path(path, sizeof(path), file);
	in = gzopen(path, "rb");
	if (!in)
		return false;
	assert_non_null(gzgets(in, line, sizeof(line)));
	while (gzgets(in, line, sizeof(line))) {
		line[strcspn(line, "\r\n")] = '\0';
		for (rest = line, n = 0; n < 9; n++) {
			cell = rest ? strsep(&rest, ",") : NULL;
			cells[n] = cell ? cell : line + strlen(line);
		}
		row(day, cells);
	}
	assert_int_equal(gzclose(in), Z_OK);
	return true;
}

static uint32_t symbol_of(struct day *day, const char *name)
{
	uint32_t i;

	for (i = 0; i < SYMBOLS && day->names[i][0]; i++)
		if (!strcmp(day->names[i], name))
			return i;
	assert_true(i < SYMBOLS);
	snprintf(day->names[i], SLUICE_NAME_BYTES, "%s", name);
	return i;
}

/* cmd,time_ns,symbol,order_id,side,type,tif,price,qty */
static void command_row(struct day *day, char **cells)
{
	static const struct {
		const char *name;
		enum sluice_command_type type;
	} types[] = {
		{"place",	  SLUICE_CMD_PLACE	  },
		       {"cancel",	  SLUICE_CMD_CANCEL	   },
		{"auction",    SLUICE_CMD_AUCTION   },
		       {"uncross",	   SLUICE_CMD_UNCROSS   },
		{"add_symbol", SLUICE_CMD_ADD_SYMBOL},
	};
	struct sluice_command *c = &day->commands[day->command_n++];
	size_t i;

	assert_true(day->command_n <= COMMANDS_MAX);
	for (i = 0; i < sizeof(types) / sizeof(*types) && strcmp(types[i].name, cells[0]); i++)
		;
	assert_true(i < sizeof(types) / sizeof(*types));
	*c = command_of(types[i].type, symbol_of(day, cells[2]), strtoull(cells[3], NULL, 10));
	if (c->head.type == SLUICE_CMD_ADD_SYMBOL)
		memcpy(c->u.define.name, day->names[c->symbol], SLUICE_NAME_BYTES);
	if (c->head.type != SLUICE_CMD_PLACE)
		return;
	c->side = !strcmp(cells[4], "buy") ? BUY : SELL;
	c->order_type = SLUICE_ORDER_LIMIT;
	c->tif = !strcmp(cells[6], "ioc") ? SLUICE_TIF_IOC : SLUICE_TIF_GTC;
	c->price = strtoll(cells[7], NULL, 10);
	c->qty = strtoll(cells[8], NULL, 10);
}

static void add_fill(struct day *day, const char *symbol, int auction, struct fill fill)
{
	struct fills *fills = &day->want[symbol_of(day, symbol)][auction];

	assert_true(fills->n < FILLS_MAX);
	fills->list[fills->n++] = fill;
}

/* symbol,maker_order_id,taker_order_id,price,qty */
static void trade_row(struct day *day, char **cells)
{
	add_fill(day, cells[0], 0,
		 (struct fill){strtoull(cells[2], NULL, 10), strtoull(cells[1], NULL, 10),
			       strtoll(cells[3], NULL, 10), strtoll(cells[4], NULL, 10)});
}

/* symbol,time,buy_order_id,sell_order_id,price,qty */
static void auction_row(struct day *day, char **cells)
{
	add_fill(day, cells[0], 1,
		 (struct fill){strtoull(cells[2], NULL, 10), strtoull(cells[3], NULL, 10),
			       strtoll(cells[4], NULL, 10), strtoll(cells[5], NULL, 10)});
}

static bool load(struct day *day)
{
	uint32_t i;

	memset(day, 0, sizeof(*day));
	day->commands = calloc(COMMANDS_MAX, sizeof(*day->commands));
	assert_non_null(day->commands);
	for (i = 0; i < 2 * SYMBOLS; i++) {
		day->want[i / 2][i % 2].list = calloc(FILLS_MAX, sizeof(struct fill));
		assert_non_null(day->want[i / 2][i % 2].list);
	}
	return each_row(day, "commands", command_row) && each_row(day, "trades", trade_row) &&
	       each_row(day, "auction_trades", auction_row);
}

static void unload(struct day *day)
{
	uint32_t i;

	for (i = 0; i < 2 * SYMBOLS; i++)
		free(day->want[i / 2][i % 2].list);
	free(day->commands);
}

static void compare(struct fixture *f, struct day *day)
{
	for (; day->next_n < f->sink.report_next; day->next_n++) {
		const struct sluice_report *r =
			&f->sink.reports[(day->next_n - 1) & f->sink.report_mask];
		int auction = (r->head.flags & SLUICE_REPORT_AUCTION) != 0;
		const struct fill *want;

		assert_int_not_equal(r->head.type, SLUICE_REP_REJECTED);
		if (r->head.type != SLUICE_REP_TRADE)
			continue;
		assert_true(r->symbol < SYMBOLS);
		assert_true(day->seen[r->symbol][auction] < day->want[r->symbol][auction].n);
		want = &day->want[r->symbol][auction].list[day->seen[r->symbol][auction]++];
		assert_int_equal(r->order_id, want->taker);
		assert_int_equal(r->maker_order_id, want->maker);
		assert_int_equal(r->price, want->price);
		assert_int_equal(r->qty, want->qty);
	}
}

static void test_shanghai__every_fill_of_the_day(void **state)
{
	struct sluice_core_options options = {.symbols_max = SYMBOLS, .orders_max = 1u << 17};
	uint32_t i, batch, continuous = 0, auction = 0;
	struct fixture f;
	struct day day;

	(void)state;
	if (!load(&day)) {
		unload(&day);
		printf("skip: test_shanghai__every_fill_of_the_day: no order flow in "
		       "SLUICE_DATA\n");
		skip();
	}
	fixture_init(&f, &options);
	day.next_n = 1;
	for (i = 0; i < day.command_n; i += batch) {
		batch = day.command_n - i < 16 ? day.command_n - i : 16;
		sluice_core_apply_batch(f.core, &day.commands[i], batch, i, &f.sink);
		compare(&f, &day);
	}
	assert_null(sluice_core_check(f.core));
	for (i = 0; i < SYMBOLS; i++) {
		assert_int_equal(day.seen[i][0], day.want[i][0].n);
		assert_int_equal(day.seen[i][1], day.want[i][1].n);
		continuous += day.seen[i][0];
		auction += day.seen[i][1];
	}
	assert_int_equal(continuous, CONTINUOUS_FILLS);
	assert_int_equal(auction, AUCTION_FILLS);
	fixture_release(&f);
	unload(&day);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shanghai__every_fill_of_the_day),
	};

	return cmocka_run_group_tests_name("core/shanghai", tests, NULL, NULL);
}
