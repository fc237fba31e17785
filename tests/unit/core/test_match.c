/* SPDX-License-Identifier: MIT */
/*
 * test_match.c - continuous matching: time order on a level, price order across levels, the maker's
 * price, and sweeps longer than any ring.
 */
#include "tests/unit/core/fixture.h"

static void setup(struct fixture *f)
{
	struct sluice_core_options options = fixture_options();

	fixture_init(f, &options);
	expect(f, define("X"), "accepted 0");
}

static void rest(struct fixture *f, uint64_t id, int side, int64_t qty, int64_t price)
{
	char text[64];

	snprintf(text, sizeof(text), "accepted %llu", (unsigned long long)id);
	expect(f, place(id, side, qty, price), text);
}

static void test_match__skips_cancelled_orders_of_a_level(void **state)
{
	struct fixture f;
	uint64_t id;

	(void)state;
	setup(&f);
	for (id = 1; id <= 5; id++)
		rest(&f, id, SELL, 10, 100);
	expect(&f, cancel(1), "cancelled 1 10 user");
	expect(&f, cancel(3), "cancelled 3 10 user");
	expect(&f, cancel(5), "cancelled 5 10 user");
	expect_side(&f, 0, SELL, "100:20/2");
	expect(&f, place(9, BUY, 20, 100),
	       "accepted 9; trade 9x2 10@100 10/0; trade 9x4 10@100 0/0");
	expect_side(&f, 0, SELL, "");
	expect_side(&f, 0, BUY, "");
	fixture_release(&f);
}

static void test_match__new_tail_after_cancelled_tail_is_last(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	rest(&f, 1, BUY, 1, 50);
	rest(&f, 2, BUY, 1, 50);
	expect(&f, cancel(2), "cancelled 2 1 user");
	rest(&f, 3, BUY, 1, 50);
	expect(&f, place(4, SELL, 2, 50), "accepted 4; trade 4x1 1@50 1/0; trade 4x3 1@50 0/0");
	fixture_release(&f);
}

static void test_match__partly_filled_head_stays_first(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	rest(&f, 1, SELL, 10, 100);
	rest(&f, 2, SELL, 10, 100);
	expect(&f, place(3, BUY, 4, 100), "accepted 3; trade 3x1 4@100 0/6");
	expect_side(&f, 0, SELL, "100:16/2");
	expect(&f, place(4, BUY, 7, 100), "accepted 4; trade 4x1 6@100 1/0; trade 4x2 1@100 0/9");
	fixture_release(&f);
}

static void test_match__sweeps_levels_and_rests_the_residual(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	rest(&f, 1, SELL, 1, 100);
	rest(&f, 2, SELL, 1, 101);
	rest(&f, 3, SELL, 1, 103);
	rest(&f, 4, SELL, 1, 105);
	expect(&f, place(5, BUY, 5, 104),
	       "accepted 5; trade 5x1 1@100 4/0; trade 5x2 1@101 3/0; trade 5x3 1@103 2/0");
	expect_side(&f, 0, BUY, "104:2/1");
	expect_side(&f, 0, SELL, "105:1/1");
	expect(&f, ioc(6, SELL, 1, 104), "accepted 6; trade 6x5 1@104 0/1");
	fixture_release(&f);
}

static void test_match__exact_fill_leaves_the_next_maker_alone(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	rest(&f, 1, BUY, 5, 70);
	rest(&f, 2, BUY, 5, 70);
	expect(&f, place(3, SELL, 5, 70), "accepted 3; trade 3x1 5@70 0/0");
	expect_side(&f, 0, BUY, "70:5/1");
	expect(&f, cancel(1), "rejected 1 unknown_order");
	fixture_release(&f);
}

static void test_match__trades_at_the_makers_price_both_ways(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	rest(&f, 1, SELL, 1, 100);
	expect(&f, place(2, BUY, 1, 110), "accepted 2; trade 2x1 1@100 0/0");
	rest(&f, 3, BUY, 1, 100);
	expect(&f, place(4, SELL, 1, 90), "accepted 4; trade 4x3 1@100 0/0");
	rest(&f, 5, SELL, 1, 120);
	rest(&f, 6, BUY, 1, 80);
	expect(&f, replace(6, 0, 130), "replaced 6 1@130 left 1; trade 6x5 1@120 0/0");
	assert_int_equal(sluice_core_symbol(f.core, 0)->last_price, 120);
	fixture_release(&f);
}

static void test_match__next_level_is_best_after_the_best_is_cancelled(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	rest(&f, 1, BUY, 1, 99);
	rest(&f, 2, BUY, 1, 100);
	rest(&f, 3, SELL, 1, 102);
	rest(&f, 4, SELL, 1, 101);
	expect(&f, cancel(2), "cancelled 2 1 user");
	expect(&f, cancel(4), "cancelled 4 1 user");
	expect(&f, ioc(5, SELL, 1, 99), "accepted 5; trade 5x1 1@99 0/0");
	expect(&f, ioc(6, BUY, 1, 102), "accepted 6; trade 6x3 1@102 0/0");
	fixture_release(&f);
}

static void test_match__side_emptied_and_refilled_worse(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	rest(&f, 1, SELL, 2, 100);
	expect(&f, place(2, BUY, 2, 100), "accepted 2; trade 2x1 2@100 0/0");
	rest(&f, 3, SELL, 2, 140);
	expect(&f, ioc(4, BUY, 1, 139), "accepted 4; cancelled 4 1 ioc");
	expect(&f, ioc(5, BUY, 1, 140), "accepted 5; trade 5x3 1@140 0/1");
	fixture_release(&f);
}

static void test_match__a_million_makers_through_a_small_ring(void **state)
{
	struct sluice_core_options options = fixture_options();
	const uint32_t n = 1000000;
	struct fixture f;
	uint32_t i;

	(void)state;
	options.orders_max = n;
	fixture_init(&f, &options);
	fixture_apply(&f, define("X"));
	for (i = 1; i <= n; i++)
		fixture_apply(&f, place(i, SELL, 1, 100 + i % 2));
	f.sink.report_mask = f.sink.md_mask = 7;
	f.sink.report_limit = f.sink.report_next;
	f.sink.md_limit = f.sink.md_next;
	f.rooms = 0;
	fixture_apply(&f, place(UINT64_MAX, BUY, n, 101));
	assert_int_equal(f.sink.report_next - f.first, n + 1);
	assert_true(f.rooms >= n / 8);
	assert_int_equal(f.sink.reports[(f.sink.report_next - 2) & 7].maker_order_id, n - 1);
	assert_int_equal(f.sink.reports[(f.sink.report_next - 2) & 7].leaves_qty, 0);
	assert_null(sluice_core_check(f.core));
	expect_side(&f, 0, SELL, "");
	fixture_release(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_match__skips_cancelled_orders_of_a_level),
		cmocka_unit_test(test_match__new_tail_after_cancelled_tail_is_last),
		cmocka_unit_test(test_match__partly_filled_head_stays_first),
		cmocka_unit_test(test_match__sweeps_levels_and_rests_the_residual),
		cmocka_unit_test(test_match__exact_fill_leaves_the_next_maker_alone),
		cmocka_unit_test(test_match__trades_at_the_makers_price_both_ways),
		cmocka_unit_test(test_match__next_level_is_best_after_the_best_is_cancelled),
		cmocka_unit_test(test_match__side_emptied_and_refilled_worse),
		cmocka_unit_test(test_match__a_million_makers_through_a_small_ring),
	};

	return cmocka_run_group_tests_name("core/match", tests, NULL, NULL);
}
