/* SPDX-License-Identifier: MIT */
/*
 * test_amend.c - cancel, reduce, replace, mass cancel: what keeps an order's place, what loses it,
 * and what ends it.
 */
#include "tests/unit/core/fixture.h"

/* Three sells of 10 at 100, ids 1 to 3. */
static void setup(struct fixture *f)
{
	struct sluice_core_options options = fixture_options();

	fixture_init(f, &options);
	expect(f, define("X"), "accepted 0");
	expect(f, define("Y"), "accepted 0");
	expect(f, place(1, SELL, 10, 100), "accepted 1");
	expect(f, place(2, SELL, 10, 100), "accepted 2");
	expect(f, place(3, SELL, 10, 100), "accepted 3");
}

static void test_amend__unknown_orders_and_amounts_are_refused(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	expect(&f, cancel(9), "rejected 9 unknown_order");
	expect(&f, reduce(9, 1), "rejected 9 unknown_order");
	expect(&f, replace(9, 1, 1), "rejected 9 unknown_order");
	expect(&f, on_symbol(cancel(1), 1), "rejected 1 unknown_order");
	expect(&f, on_symbol(cancel(1), 2), "rejected 1 unknown_symbol");
	expect(&f, reduce(1, 0), "rejected 1 bad_qty");
	expect(&f, reduce(1, -1), "rejected 1 bad_qty");
	expect(&f, reduce(1, INT64_MAX), "rejected 1 bad_qty");
	expect(&f, replace(1, -1, 0), "rejected 1 bad_qty");
	expect(&f, replace(1, 0, -1), "rejected 1 bad_price");
	expect(&f, replace(1, INT64_MAX, 0), "rejected 1 bad_qty");
	expect(&f, replace(1, 0, INT64_MAX), "rejected 1 bad_price");
	expect_side(&f, 0, SELL, "100:30/3");
	fixture_release(&f);
}

static void test_amend__reduce_keeps_the_place(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	expect(&f, reduce(1, 4), "reduced 1 4 left 6");
	assert_int_equal(fixture_report(&f, 0)->price, 100);
	assert_int_equal(fixture_report(&f, 0)->side, SELL);
	expect_side(&f, 0, SELL, "100:26/3");
	expect(&f, ioc(9, BUY, 7, 100), "accepted 9; trade 9x1 6@100 1/0; trade 9x2 1@100 0/9");
	expect(&f, reduce(2, 9), "cancelled 2 9 user");
	expect(&f, reduce(3, 1000), "cancelled 3 10 user");
	expect_side(&f, 0, SELL, "");
	fixture_release(&f);
}

static void test_amend__replace_down_keeps_the_place(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	expect(&f, replace(1, 4, 0), "replaced 1 4@100 left 4");
	expect(&f, replace(2, 10, 100), "replaced 2 10@100 left 10");
	expect(&f, replace(3, 0, 0), "replaced 3 10@100 left 10");
	expect(&f, ioc(9, BUY, 15, 100),
	       "accepted 9; trade 9x1 4@100 11/0; trade 9x2 10@100 1/0; trade 9x3 1@100 0/9");
	fixture_release(&f);
}

static void test_amend__replace_up_loses_the_place(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	expect(&f, replace(1, 11, 0), "replaced 1 11@100 left 11");
	assert_int_equal(f.sink.md_next - f.first_md, 2); /* one level, one top */
	expect_side(&f, 0, SELL, "100:31/3");
	expect(&f, ioc(9, BUY, 21, 100),
	       "accepted 9; trade 9x2 10@100 11/0; trade 9x3 10@100 1/0; trade 9x1 1@100 0/10");
	fixture_release(&f);
}

static void test_amend__replace_up_of_the_only_order_of_a_level(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	expect(&f, place(4, BUY, 5, 50), "accepted 4");
	expect(&f, replace(4, 7, 0), "replaced 4 7@50 left 7");
	expect_side(&f, 0, BUY, "50:7/1");
	expect(&f, place(5, BUY, 5, 900000), "accepted 5; trade 5x1 5@100 0/5");
	expect(&f, place(6, BUY, 5, 99), "accepted 6");
	expect(&f, place(7, SELL, 1, 900000), "accepted 7");
	expect(&f, replace(7, 2, 0), "replaced 7 2@900000 left 2");
	expect_side(&f, 0, SELL, "100:25/3 900000:2/1");
	fixture_release(&f);
}

static void test_amend__price_change_loses_the_place(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	expect(&f, replace(1, 0, 101), "replaced 1 10@101 left 10");
	expect_side(&f, 0, SELL, "100:20/2 101:10/1");
	expect(&f, replace(1, 0, 100), "replaced 1 10@100 left 10");
	expect(&f, ioc(9, BUY, 11, 100), "accepted 9; trade 9x2 10@100 1/0; trade 9x3 1@100 0/9");
	expect_side(&f, 0, SELL, "100:19/2");
	fixture_release(&f);
}

static void test_amend__replace_that_crosses_trades(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	expect(&f, place(4, BUY, 12, 90), "accepted 4");
	expect(&f, replace(4, 0, 100),
	       "replaced 4 12@100 left 12; trade 4x1 10@100 2/0; trade 4x2 2@100 0/8");
	assert_int_equal(fixture_report(&f, 1)->side, BUY);
	expect(&f, cancel(4), "rejected 4 unknown_order");
	expect(&f, place(5, BUY, 3, 90), "accepted 5");
	expect(&f, place(6, BUY, 3, 89), "accepted 6");
	expect(&f, replace(3, 14, 90), "replaced 3 14@90 left 14; trade 3x5 3@90 11/0");
	expect_side(&f, 0, SELL, "90:11/1 100:8/1");
	expect_side(&f, 0, BUY, "89:3/1");
	fixture_release(&f);
}

static void test_amend__replace_to_what_is_filled_ends_the_order(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	expect(&f, ioc(9, BUY, 4, 100), "accepted 9; trade 9x1 4@100 0/6");
	expect(&f, replace(1, 5, 0), "replaced 1 5@100 left 1");
	expect(&f, replace(1, 4, 0), "cancelled 1 1 user");
	expect(&f, replace(2, 3, 0), "replaced 2 3@100 left 3");
	expect(&f, ioc(9, BUY, 2, 100), "accepted 9; trade 9x2 2@100 0/1");
	expect(&f, replace(2, 1, 105), "cancelled 2 1 user");
	expect_side(&f, 0, SELL, "100:10/1");
	fixture_release(&f);
}

static void test_amend__mass_cancel_takes_one_accounts_orders_in_order(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	expect(&f, by_account(place(4, SELL, 1, 100), 7), "accepted 4");
	expect(&f, by_account(place(5, SELL, 1, 99), 7), "accepted 5");
	expect(&f, by_account(place(6, BUY, 1, 50), 7), "accepted 6");
	expect(&f, by_account(place(7, BUY, 2, 60), 7), "accepted 7");
	expect(&f, by_account(place(8, SELL, 3, 100), 7), "accepted 8");
	expect(&f, on_symbol(by_account(place(9, BUY, 1, 50), 7), 1), "accepted 9");
	expect(&f, by_account(command_of(SLUICE_CMD_MASS_CANCEL, 0, 77), 7),
	       "accepted 77; cancelled 7 2 mass; cancelled 6 1 mass; cancelled 5 1 mass; "
	       "cancelled 4 1 mass; cancelled 8 3 mass");
	assert_int_equal(f.sink.md_next - f.first_md, 5); /* four levels, one top */
	expect_side(&f, 0, SELL, "100:30/3");
	expect_side(&f, 0, BUY, "");
	expect(&f, by_account(command_of(SLUICE_CMD_MASS_CANCEL, 0, 77), 8), "accepted 77");
	assert_int_equal(f.sink.md_next, f.first_md);
	expect(&f, by_account(command_of(SLUICE_CMD_MASS_CANCEL, 2, 77), 8),
	       "rejected 77 unknown_symbol");
	fixture_release(&f);
}

static void test_amend__mass_cancel_of_every_symbol(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	expect(&f, on_symbol(place(1, BUY, 4, 20), 1), "accepted 1");
	expect(&f, on_symbol(place(2, BUY, 5, 1000000), 1), "accepted 2");
	expect(&f, command_of(SLUICE_CMD_MASS_CANCEL, UINT32_MAX, 0),
	       "accepted 0; cancelled 1 10 mass; cancelled 2 10 mass; cancelled 3 10 mass; "
	       "cancelled 2 5 mass; cancelled 1 4 mass");
	assert_int_equal(fixture_report(&f, 4)->symbol, 1);
	expect_side(&f, 0, SELL, "");
	expect_side(&f, 1, BUY, "");
	fixture_release(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_amend__unknown_orders_and_amounts_are_refused),
		cmocka_unit_test(test_amend__reduce_keeps_the_place),
		cmocka_unit_test(test_amend__replace_down_keeps_the_place),
		cmocka_unit_test(test_amend__replace_up_loses_the_place),
		cmocka_unit_test(test_amend__replace_up_of_the_only_order_of_a_level),
		cmocka_unit_test(test_amend__price_change_loses_the_place),
		cmocka_unit_test(test_amend__replace_that_crosses_trades),
		cmocka_unit_test(test_amend__replace_to_what_is_filled_ends_the_order),
		cmocka_unit_test(test_amend__mass_cancel_takes_one_accounts_orders_in_order),
		cmocka_unit_test(test_amend__mass_cancel_of_every_symbol),
	};

	return cmocka_run_group_tests_name("core/amend", tests, NULL, NULL);
}
