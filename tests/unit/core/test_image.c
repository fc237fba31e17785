/* SPDX-License-Identifier: MIT */
/*
 * test_image.c - what a row says, record by record, and how long it can be. That a core made of a
 * row goes on as the original is test_image_twins.c, what is refused test_image_take.c.
 */
#include "tests/unit/core/image_row.h"

static void expect_record(const struct row *row, uint64_t i, struct sluice_image_record want)
{
	assert_true(i < row->n);
	assert_memory_equal(&row->records[i], &want, sizeof(want));
}

static void test_image__an_empty_core(void **state)
{
	struct sluice_core_options options = fixture_options();
	struct sluice_core *core = fixture_core(&options), *twin;
	struct row row = row_of(core, &options), again;

	(void)state;
	assert_int_equal(row.n, 4);
	expect_record(&row, 0, (struct sluice_image_record){.type = 1});
	expect_record(&row, 1, (struct sluice_image_record){.type = 2});
	expect_record(&row, 2, (struct sluice_image_record){.type = 2, .small = {1}});
	expect_record(&row, 3, (struct sluice_image_record){.type = 8, .words = {4}});
	twin = row_core(&row, &options);
	again = row_of(twin, &options);
	assert_true(row_equal(&row, &again));
	row_free(&row);
	row_free(&again);
	free(core);
	free(twin);
}

/* Two symbols: trades, an order outside the window, a halt amid an auction, two sources. */
static void fill_known(struct fixture *f)
{
	struct sluice_command c = define("EUR/USD");

	c.u.define.price_decimals = 5;
	c.u.define.qty_decimals = 2;
	expect(f, c, "accepted 0");
	expect(f, define("B"), "accepted 0");
	c = place(1, BUY, 10, 1000);
	c.session = 9;
	c.client_seq = 77;
	expect(f, c, "accepted 1");
	expect(f, by_account(place(2, BUY, 20, 1000), 6), "accepted 2");
	expect(f, place(3, BUY, 5, 400), "accepted 3");
	expect(f, place(4, SELL, 4, 1001), "accepted 4");
	expect(f, ioc(5, SELL, 3, 1000), "accepted 5; trade 5x1 3@1000 0/7");
	expect(f, on_symbol(command_of(SLUICE_CMD_AUCTION, 0, 0), 1), "accepted 0");
	c = on_symbol(place(6, SELL, 8, 50), 1);
	c.session = 3;
	c.client_seq = 5;
	expect(f, c, "accepted 6");
	expect(f, c, "rejected 6 duplicate_command");
	expect(f, on_symbol(command_of(SLUICE_CMD_HALT, 0, 0), 1), "accepted 0");
	c = command_of(SLUICE_CMD_TICK, 0, 0);
	c.time_ns = 123456789;
	expect(f, c, "accepted 0");
	expect(f, cancel(9), "rejected 9 unknown_order");
}

static void expect_known_books(const struct row *row)
{
	expect_record(row, 3,
		      (struct sluice_image_record){.type = 3,
						   .small = {5, 2, 0, 0},
						   .words = {0, 0, 1000, 1000, 27, 1001, 4}});
	expect_record(row, 4,
		      (struct sluice_image_record){
			      .type = 4, .words = {UINT64_C(0x4453552f525545)}}); /* "EUR/USD" */
	/* Three quarters of 256 below the first bid, one quarter below the first ask. */
	expect_record(row, 5,
		      (struct sluice_image_record){.type = 5, .side = 1, .words = {1000 - 192, 1}});
	expect_record(row, 6,
		      (struct sluice_image_record){.type = 5, .side = 2, .words = {1001 - 64, 0}});
	expect_record(row, 7,
		      (struct sluice_image_record){
			      .type = 6, .side = 1, .words = {1, 1000, 7, 10, 0, 0}});
	expect_record(row, 8,
		      (struct sluice_image_record){
			      .type = 6, .side = 1, .words = {2, 1000, 20, 20, 0, 6}});
	expect_record(
		row, 9,
		(struct sluice_image_record){.type = 6, .side = 1, .words = {3, 400, 5, 5, 0, 0}});
	expect_record(
		row, 10,
		(struct sluice_image_record){.type = 6, .side = 2, .words = {4, 1001, 4, 4, 0, 0}});
	expect_record(row, 11,
		      (struct sluice_image_record){
			      .type = 3, .small = {0, 0, 2, 1}, .words = {1, 1, 0, 0, 0, 50, 8}});
	expect_record(row, 12, (struct sluice_image_record){.type = 4, .words = {'B'}});
	expect_record(row, 13, (struct sluice_image_record){.type = 5, .side = 1});
	expect_record(row, 14, (struct sluice_image_record){.type = 5, .side = 2});
	expect_record(
		row, 15,
		(struct sluice_image_record){.type = 6, .side = 2, .words = {6, 50, 8, 8, 1, 0}});
}

/* The format, number by number: docs/wal-format.md says the same. */
static void test_image__what_a_row_says(void **state)
{
	struct sluice_core_options options = fixture_options();
	uint64_t chain;
	struct fixture f;
	struct row row;

	(void)state;
	fixture_init(&f, &options);
	fill_known(&f);
	row = row_of(f.core, &options);
	chain = sluice_core_chain_hash(f.core);
	assert_int_equal(row.n, 19);
	expect_record(&row, 0,
		      (struct sluice_image_record){.type = 1,
						   .words = {chain, 123456789, 2, 5, 2, 1, 0}});
	expect_record(&row, 1,
		      (struct sluice_image_record){.type = 2,
						   .words = {13, f.sink.report_next - 1,
							     f.sink.md_next - 1, 11, 2, 1, 3}});
	expect_record(&row, 2,
		      (struct sluice_image_record){.type = 2, .small = {1}, .words = {0, 1}});
	expect_known_books(&row);
	/* The place is (id * 0x9e3779b97f4a7c15 mod 2^64 >> 32) mod 16, if it was free. */
	expect_record(&row, 16, (struct sluice_image_record){.type = 7, .words = {9, 77, 5}});
	expect_record(&row, 17, (struct sluice_image_record){.type = 7, .words = {3, 5, 12}});
	expect_record(&row, 18, (struct sluice_image_record){.type = 8, .words = {19}});
	row_free(&row);
	fixture_release(&f);
}

/* A state is looked at, not touched: not a byte of its memory changes. */
static void test_image__the_walk_changes_nothing(void **state)
{
	struct sluice_core_options options = fixture_options();
	size_t bytes = sluice_core_bytes(&options);
	void *before = malloc(bytes);
	struct fixture f;
	struct row row;

	(void)state;
	assert_non_null(before);
	fixture_init(&f, &options);
	fill_known(&f);
	memcpy(before, f.core, bytes);
	row = row_of(f.core, &options);
	assert_memory_equal(before, f.core, bytes);
	row_free(&row);
	fixture_release(&f);
	free(before);
}

static void test_image__a_batch_leaves_the_row_of_single_commands(void **state)
{
	struct sluice_core_options options = fixture_options();
	struct sluice_command commands[400];
	struct fixture one, many;
	struct row a, b;
	uint32_t i;

	(void)state;
	fixture_init(&one, &options);
	fixture_init(&many, &options);
	commands[0] = define("X");
	for (i = 1; i < 400; i++)
		commands[i] = i % 5 == 4 ?
				      cancel(i - 2) :
				      place(i, i % 2 ? BUY : SELL, 1 + i % 7, 1 + i * 31 % 700);
	for (i = 0; i < 400; i++)
		fixture_apply(&one, commands[i]);
	sluice_core_apply_batch(many.core, commands, 400, 0, &many.sink);
	a = row_of(one.core, &options);
	b = row_of(many.core, &options);
	assert_true(row_equal(&a, &b));
	row_free(&a);
	row_free(&b);
	fixture_release(&one);
	fixture_release(&many);
}

/* ------------------------------------------------------------------------------------- limits */

static void test_image__records_max_of_options(void **state)
{
	struct sluice_core_options options = {0};

	(void)state;
	assert_int_equal(sluice_image_records_max(&options),
			 4 + 4 * 64 + (UINT64_C(1) << 20) + 1024);
	options.window_ticks = 65;
	assert_int_equal(sluice_image_records_max(&options), 0);
	options = (struct sluice_core_options){.risk = 1};
	assert_int_equal(sluice_image_records_max(&options), 0);
	options = (struct sluice_core_options){.orders_max = 1u << 30, .sessions_max = 1u << 24};
	assert_int_equal(sluice_image_records_max(&options),
			 4 + 4 * 64 + (UINT64_C(1) << 30) + (UINT64_C(1) << 24));
}

/* Every limit used up. The sellers' window holds the first of their levels, no other. */
static void fill_up(struct fixture *f, const struct sluice_core_options *options)
{
	uint32_t i, sellers = options->levels_max + 1;
	struct sluice_command c;
	char name[64];

	for (i = 0; i < options->symbols_max; i++) {
		snprintf(name, sizeof(name), "s-%u/of_many.%u", i, 100000 - i);
		fixture_apply(f, define(name));
		assert_int_equal(fixture_report(f, 0)->head.type, SLUICE_REP_ACCEPTED);
	}
	for (i = 0; i < options->orders_max; i++) {
		if (i < sellers)
			c = place(i + 1, SELL, 1 + i, 1000000 + 64 * (int64_t)i);
		else
			c = on_symbol(place(i + 1, BUY, 1 + i, 1 + i % 32),
				      i % options->symbols_max);
		c.session = 1 + i % options->sessions_max;
		c.client_seq = 1 + i;
		fixture_apply(f, c);
		assert_int_equal(fixture_report(f, 0)->head.type, SLUICE_REP_ACCEPTED);
	}
}

static void test_image__the_fullest_state_has_records_max(void **state)
{
	struct sluice_core_options options = {.symbols_max = 300,
					      .orders_max = 3000,
					      .levels_max = 100,
					      .sessions_max = 700,
					      .window_ticks = 64};
	struct sluice_core *twin;
	struct fixture f;
	struct row row, again;

	(void)state;
	fixture_init(&f, &options);
	fill_up(&f, &options);
	row = row_of(f.core, &options);
	assert_int_equal(row.n, sluice_image_records_max(&options));
	twin = row_core(&row, &options);
	again = row_of(twin, &options);
	assert_true(row_equal(&row, &again));
	assert_int_equal(sluice_core_state_hash(f.core), sluice_core_state_hash(twin));
	free(f.core);
	f.core = twin;
	expect(&f, define("more"), "rejected 0 too_many_symbols");
	expect(&f, place(9999, SELL, 1, 100), "rejected 9999 too_many_orders");
	expect(&f, on_symbol(cancel(3000), 299), "cancelled 3000 3000 user");
	expect(&f, place(9999, SELL, 1, 5000000), "rejected 9999 too_many_levels");
	expect(&f, place(9999, SELL, 1, 1000064), "accepted 9999");
	row_free(&row);
	row_free(&again);
	fixture_release(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_image__an_empty_core),
		cmocka_unit_test(test_image__what_a_row_says),
		cmocka_unit_test(test_image__the_walk_changes_nothing),
		cmocka_unit_test(test_image__a_batch_leaves_the_row_of_single_commands),
		cmocka_unit_test(test_image__records_max_of_options),
		cmocka_unit_test(test_image__the_fullest_state_has_records_max),
	};

	return cmocka_run_group_tests_name("core/image", tests, NULL, NULL);
}
