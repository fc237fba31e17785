/* SPDX-License-Identifier: MIT */
/*
 * test_auction.c - phases and what each allows, and the price of an uncross: volume, surplus, the
 * last trade's price, the lower price; then its fills.
 */
#include "tests/unit/core/fixture.h"

static struct sluice_command phase(enum sluice_command_type type)
{
	return command_of(type, 0, 0);
}

static void setup(struct fixture *f)
{
	struct sluice_core_options options = fixture_options();

	fixture_init(f, &options);
	expect(f, define("X"), "accepted 0");
}

static void setup_auction(struct fixture *f)
{
	setup(f);
	expect(f, phase(SLUICE_CMD_AUCTION), "accepted 0");
}

static int phase_of(const struct fixture *f)
{
	return sluice_core_symbol(f->core, 0)->phase;
}

static void test_auction__orders_rest_and_the_book_may_cross(void **state)
{
	struct fixture f;

	(void)state;
	setup_auction(&f);
	expect(&f, place(1, BUY, 5, 110), "accepted 1");
	expect(&f, place(2, SELL, 5, 90), "accepted 2");
	assert_int_equal(fixture_md(&f, 1)->u.top.bid_price, 110);
	assert_int_equal(fixture_md(&f, 1)->u.top.ask_price, 90);
	expect(&f, ioc(3, BUY, 5, 110), "rejected 3 wrong_state");
	expect(&f, market(3, BUY, 5), "rejected 3 wrong_state");
	expect(&f, reduce(1, 1), "reduced 1 1 left 4");
	expect(&f, replace(2, 6, 80), "replaced 2 6@80 left 6");
	expect(&f, cancel(2), "cancelled 2 6 user");
	expect(&f, phase(SLUICE_CMD_AUCTION), "rejected 0 wrong_state");
	expect(&f, phase(SLUICE_CMD_RESUME), "rejected 0 wrong_state");
	expect(&f, phase(SLUICE_CMD_UNCROSS), "accepted 0");
	assert_int_equal(phase_of(&f), SLUICE_PHASE_CONTINUOUS);
	expect(&f, phase(SLUICE_CMD_UNCROSS), "rejected 0 wrong_state");
	expect_side(&f, 0, BUY, "110:4/1");
	fixture_release(&f);
}

static void test_auction__fills_by_price_and_time_at_one_price(void **state)
{
	const struct sluice_report *r;
	struct fixture f;

	(void)state;
	setup_auction(&f);
	expect(&f, by_account(place(1, BUY, 5, 100), 1), "accepted 1");
	expect(&f, by_account(place(2, BUY, 5, 102), 2), "accepted 2");
	expect(&f, by_account(place(3, BUY, 5, 100), 3), "accepted 3");
	expect(&f, by_account(place(4, SELL, 8, 99), 4), "accepted 4");
	expect(&f, by_account(place(5, SELL, 4, 100), 5), "accepted 5");
	expect(&f, place(6, SELL, 4, 103), "accepted 6");
	expect(&f, phase(SLUICE_CMD_UNCROSS),
	       "accepted 0; trade 2x4 5@100 0/3; trade 1x4 3@100 2/0; trade 1x5 2@100 0/2; "
	       "trade 3x5 2@100 3/0");
	r = fixture_report(&f, 2);
	assert_int_equal(r->head.flags, SLUICE_REPORT_AUCTION);
	assert_int_equal(r->side, BUY);
	assert_int_equal(r->account, 1);
	assert_int_equal(r->maker_account, 4);
	assert_int_equal(fixture_md(&f, 0)->side, SLUICE_SIDE_NONE);
	expect_side(&f, 0, BUY, "100:3/1");
	expect_side(&f, 0, SELL, "103:4/1");
	expect(&f, ioc(7, SELL, 1, 100), "accepted 7; trade 7x3 1@100 0/2");
	fixture_release(&f);
}

static void test_auction__nothing_crosses(void **state)
{
	struct fixture f;

	(void)state;
	setup_auction(&f);
	expect(&f, phase(SLUICE_CMD_UNCROSS), "accepted 0");
	expect(&f, phase(SLUICE_CMD_AUCTION), "accepted 0");
	expect(&f, place(1, BUY, 5, 99), "accepted 1");
	expect(&f, place(2, SELL, 5, 100), "accepted 2");
	expect(&f, phase(SLUICE_CMD_UNCROSS), "accepted 0");
	assert_int_equal(sluice_core_symbol(f.core, 0)->last_price, 0);
	fixture_release(&f);
}

/* A trade at `last` if that is not 0, then an auction with these orders; its price, 0: none. */
static int64_t price_of(int64_t last, const int64_t orders[][2], size_t n)
{
	struct fixture f;
	int64_t price = 0;
	size_t i;

	setup(&f);
	if (last) {
		fixture_apply(&f, place(900, BUY, 1, last));
		fixture_apply(&f, ioc(901, SELL, 1, last));
	}
	fixture_apply(&f, phase(SLUICE_CMD_AUCTION));
	for (i = 0; i < n; i++)
		fixture_apply(&f, place(i, orders[i][0] > 0 ? BUY : SELL, llabs(orders[i][0]),
					orders[i][1]));
	fixture_apply(&f, phase(SLUICE_CMD_UNCROSS));
	if (f.sink.report_next - f.first > 1)
		price = fixture_report(&f, 1)->price;
	assert_null(sluice_core_check(f.core));
	fixture_release(&f);
	return price;
}

/* Rows are {quantity, price}; a negative quantity sells. */
#define PRICE_OF(last, ...)                                                                        \
	price_of(last, (const int64_t[][2]){__VA_ARGS__},                                          \
		 sizeof((const int64_t[][2]){__VA_ARGS__}) / sizeof(int64_t[2]))

static void test_auction__price_of_the_greatest_volume(void **state)
{
	(void)state;
	assert_int_equal(PRICE_OF(0, {10, 100}, {10, 105}, {-15, 100}, {-9, 104}), 100);
	assert_int_equal(PRICE_OF(0, {10, 105}, {-5, 95}, {-5, 103}), 103);
	assert_int_equal(PRICE_OF(104, {10, 105}, {-5, 95}, {-5, 103}), 104);
}

static void test_auction__price_of_the_smallest_surplus(void **state)
{
	(void)state;
	/* At 95 to 100 five more want to buy than to sell, above that nobody. */
	assert_int_equal(PRICE_OF(0, {10, 105}, {5, 100}, {-10, 95}), 101);
	assert_int_equal(PRICE_OF(97, {10, 105}, {5, 100}, {-10, 95}), 101);
	assert_int_equal(PRICE_OF(200, {10, 105}, {5, 100}, {-10, 95}), 105);
	/* The mirror image: sellers join at 100. */
	assert_int_equal(PRICE_OF(200, {10, 105}, {-5, 100}, {-10, 95}), 99);
	/* One buyer's level is not used up: up to it, its surplus grows downwards. */
	assert_int_equal(PRICE_OF(0, {10, 105}, {5, 100}, {-8, 95}), 101);
	assert_int_equal(PRICE_OF(150, {10, 105}, {5, 100}, {-8, 95}), 105);
	assert_int_equal(PRICE_OF(0, {8, 105}, {-5, 100}, {-10, 95}), 95);
	assert_int_equal(PRICE_OF(150, {8, 105}, {-5, 100}, {-10, 95}), 99);
}

static void test_auction__surplus_on_both_sides_of_adjacent_prices(void **state)
{
	(void)state;
	/* Up to 100 buyers are left over, from 101 on sellers: the side with fewer decides. */
	assert_int_equal(PRICE_OF(0, {9, 105}, {3, 100}, {-9, 95}, {-2, 101}), 101);
	assert_int_equal(PRICE_OF(0, {9, 105}, {2, 100}, {-9, 95}, {-3, 101}), 95);
	assert_int_equal(PRICE_OF(0, {9, 105}, {2, 100}, {-9, 95}, {-2, 101}), 95);
	assert_int_equal(PRICE_OF(100, {9, 105}, {2, 100}, {-9, 95}, {-2, 101}), 100);
	assert_int_equal(PRICE_OF(101, {9, 105}, {2, 100}, {-9, 95}, {-2, 101}), 101);
	assert_int_equal(PRICE_OF(999, {9, 105}, {2, 100}, {-9, 95}, {-2, 101}), 105);
}

static void test_auction__plateau_takes_the_price_nearest_to_the_last(void **state)
{
	(void)state;
	assert_int_equal(PRICE_OF(0, {5, 105}, {-5, 95}), 95);
	assert_int_equal(PRICE_OF(90, {5, 105}, {-5, 95}), 95);
	assert_int_equal(PRICE_OF(101, {5, 105}, {-5, 95}), 101);
	assert_int_equal(PRICE_OF(110, {5, 105}, {-5, 95}), 105);
}

static void test_auction__quantities_beyond_64_bits(void **state)
{
	const int64_t most = INT64_C(1) << 62;

	(void)state;
	assert_int_equal(PRICE_OF(0, {most, 105}, {most, 104}, {most, 103}, {most, 102},
				  {most, 101}, {-most, 90}, {-most, 91}, {-most, 92}, {-most, 93},
				  {-most, 100}),
			 100);
}

static void test_auction__halt_refuses_entry_and_allows_exit(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	expect(&f, place(1, BUY, 5, 100), "accepted 1");
	expect(&f, phase(SLUICE_CMD_RESUME), "rejected 0 wrong_state");
	expect(&f, phase(SLUICE_CMD_HALT), "accepted 0");
	assert_int_equal(fixture_md(&f, 0)->head.type, SLUICE_MD_STATE);
	assert_int_equal(fixture_md(&f, 0)->u.depth.qty, SLUICE_PHASE_HALTED);
	expect(&f, phase(SLUICE_CMD_HALT), "rejected 0 wrong_state");
	expect(&f, phase(SLUICE_CMD_UNCROSS), "rejected 0 wrong_state");
	expect(&f, place(2, BUY, 5, 100), "rejected 2 wrong_state");
	expect(&f, replace(1, 4, 0), "rejected 1 wrong_state");
	expect(&f, reduce(1, 1), "reduced 1 1 left 4");
	expect(&f, command_of(SLUICE_CMD_QUERY_ORDER, 0, 1), "order 1 4@100 left 4");
	expect(&f, cancel(1), "cancelled 1 4 user");
	expect(&f, phase(SLUICE_CMD_RESUME), "accepted 0");
	assert_int_equal(phase_of(&f), SLUICE_PHASE_CONTINUOUS);
	fixture_release(&f);
}

static void test_auction__halt_of_an_auction_resumes_the_auction(void **state)
{
	struct fixture f;

	(void)state;
	setup_auction(&f);
	expect(&f, place(1, BUY, 5, 110), "accepted 1");
	expect(&f, place(2, SELL, 5, 90), "accepted 2");
	expect(&f, phase(SLUICE_CMD_HALT), "accepted 0");
	expect(&f, phase(SLUICE_CMD_RESUME), "accepted 0");
	assert_int_equal(phase_of(&f), SLUICE_PHASE_AUCTION);
	expect(&f, phase(SLUICE_CMD_HALT), "accepted 0");
	expect(&f, phase(SLUICE_CMD_AUCTION), "accepted 0");
	expect(&f, phase(SLUICE_CMD_UNCROSS), "accepted 0; trade 1x2 5@90 0/0");
	expect(&f, phase(SLUICE_CMD_HALT), "accepted 0");
	expect(&f, phase(SLUICE_CMD_AUCTION), "accepted 0");
	expect(&f, phase(SLUICE_CMD_HALT), "accepted 0");
	expect(&f, phase(SLUICE_CMD_RESUME), "accepted 0");
	assert_int_equal(phase_of(&f), SLUICE_PHASE_AUCTION);
	fixture_release(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_auction__orders_rest_and_the_book_may_cross),
		cmocka_unit_test(test_auction__fills_by_price_and_time_at_one_price),
		cmocka_unit_test(test_auction__nothing_crosses),
		cmocka_unit_test(test_auction__price_of_the_greatest_volume),
		cmocka_unit_test(test_auction__price_of_the_smallest_surplus),
		cmocka_unit_test(test_auction__surplus_on_both_sides_of_adjacent_prices),
		cmocka_unit_test(test_auction__plateau_takes_the_price_nearest_to_the_last),
		cmocka_unit_test(test_auction__quantities_beyond_64_bits),
		cmocka_unit_test(test_auction__halt_refuses_entry_and_allows_exit),
		cmocka_unit_test(test_auction__halt_of_an_auction_resumes_the_auction),
	};

	return cmocka_run_group_tests_name("core/auction", tests, NULL, NULL);
}
