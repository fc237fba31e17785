/* SPDX-License-Identifier: MIT */
/*
 * test_place.c - new orders: each refusal with its reason and without a trace, the order of the
 * checks, order types, the key of an order, and a full pool.
 */
#include "tests/unit/core/fixture.h"

static void setup(struct fixture *f)
{
	struct sluice_core_options options = fixture_options();

	fixture_init(f, &options);
	expect(f, define("X"), "accepted 0");
	expect(f, define("Y"), "accepted 0");
}

/* Expects a refusal that changes nothing but the record of it. */
static void expect_refusal(struct fixture *f, struct sluice_command c, enum sluice_reason reason)
{
	struct sluice_core_stats before, after;
	uint64_t md = f->sink.md_next;

	sluice_core_stats(f->core, &before);
	fixture_apply(f, c);
	sluice_core_stats(f->core, &after);
	assert_int_equal(f->sink.report_next - f->first, 1);
	assert_int_equal(fixture_report(f, 0)->head.type, SLUICE_REP_REJECTED);
	assert_string_equal(sluice_reason_name(fixture_report(f, 0)->reason),
			    sluice_reason_name(reason));
	assert_int_equal(fixture_report(f, 0)->order_id, c.order_id);
	assert_int_equal(after.orders_live, before.orders_live);
	assert_int_equal(after.trades, before.trades);
	assert_int_equal(f->sink.md_next, md);
	assert_null(sluice_core_check(f->core));
}

static void test_place__illegal_fields_are_refused_by_name(void **state)
{
	const int64_t limit = INT64_C(1) << 62;
	struct sluice_command good = place(1, BUY, 5, 10), c;
	struct fixture f;

	(void)state;
	setup(&f);
#define REFUSE(field, value, reason)                                                               \
	do {                                                                                       \
		c = good;                                                                          \
		c.field = (value);                                                                 \
		expect_refusal(&f, c, SLUICE_REASON_##reason);                                     \
	} while (0)
	REFUSE(head.length, 119, MALFORMED);
	REFUSE(head.type, SLUICE_CMD_NONE, UNKNOWN_COMMAND);
	REFUSE(head.type, SLUICE_CMD_TYPES, UNKNOWN_COMMAND);
	REFUSE(symbol, 2, UNKNOWN_SYMBOL);
	REFUSE(symbol, UINT32_MAX, UNKNOWN_SYMBOL);
	REFUSE(side, 0, BAD_SIDE);
	REFUSE(side, 3, MALFORMED);
	REFUSE(order_type, 0, BAD_TYPE);
	REFUSE(order_type, SLUICE_ORDER_TYPES, MALFORMED);
	REFUSE(tif, 0, BAD_TIF);
	REFUSE(tif, SLUICE_TIFS, MALFORMED);
	REFUSE(stp, SLUICE_STPS, MALFORMED);
	REFUSE(price, 0, BAD_PRICE);
	REFUSE(price, -1, BAD_PRICE);
	REFUSE(price, limit + 1, BAD_PRICE);
	REFUSE(price, INT64_MIN, BAD_PRICE);
	REFUSE(qty, 0, BAD_QTY);
	REFUSE(qty, -5, BAD_QTY);
	REFUSE(qty, limit + 1, BAD_QTY);
	REFUSE(order_flags, 2, MALFORMED);
	REFUSE(u.order.reserved, 1, MALFORMED);
	REFUSE(u.order.expire_ns, 1, BAD_TIF);
	REFUSE(u.order.stop_price, 9, BAD_PRICE);
	REFUSE(order_type, SLUICE_ORDER_STOP, UNSUPPORTED);
	REFUSE(order_type, SLUICE_ORDER_STOP_LIMIT, UNSUPPORTED);
	REFUSE(tif, SLUICE_TIF_FOK, UNSUPPORTED);
	REFUSE(tif, SLUICE_TIF_GTD, UNSUPPORTED);
	REFUSE(order_flags, SLUICE_ORDER_POST_ONLY, UNSUPPORTED);
	REFUSE(stp, SLUICE_STP_CANCEL_NEWEST, UNSUPPORTED);
	REFUSE(u.order.display_qty, 1, UNSUPPORTED);
	REFUSE(u.order.min_qty, 1, UNSUPPORTED);
	REFUSE(order_type, SLUICE_ORDER_MARKET, BAD_PRICE);
#undef REFUSE
	c = place(1, BUY, limit, limit);
	expect(&f, c, "accepted 1");
	expect_side(&f, 0, BUY, "4611686018427387904:4611686018427387904/1");
	fixture_release(&f);
}

static void test_place__ioc_takes_what_is_there(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	expect(&f, ioc(1, BUY, 5, 10), "accepted 1; cancelled 1 5 ioc");
	expect(&f, place(2, SELL, 3, 10), "accepted 2");
	expect(&f, ioc(3, BUY, 5, 10), "accepted 3; trade 3x2 3@10 2/0; cancelled 3 2 ioc");
	expect(&f, place(4, SELL, 3, 10), "accepted 4");
	expect(&f, ioc(5, BUY, 3, 10), "accepted 5; trade 5x4 3@10 0/0");
	expect_side(&f, 0, BUY, "");
	fixture_release(&f);
}

static void test_place__market_takes_every_price(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	expect(&f, market(1, BUY, 5), "rejected 1 no_liquidity");
	expect(&f, place(2, SELL, 1, 10), "accepted 2");
	expect(&f, market(1, SELL, 5), "rejected 1 no_liquidity");
	expect(&f, place(3, SELL, 1, INT64_C(1) << 62), "accepted 3");
	expect(&f, market(4, BUY, 5),
	       "accepted 4; trade 4x2 1@10 4/0; trade 4x3 1@4611686018427387904 3/0; "
	       "cancelled 4 3 ioc");
	expect(&f, place(5, BUY, 9, 1), "accepted 5");
	expect(&f, market(6, SELL, 2), "accepted 6; trade 6x5 2@1 0/7");
	fixture_release(&f);
}

static void test_place__day_rests_like_gtc(void **state)
{
	struct sluice_command c = place(1, BUY, 5, 10);
	struct fixture f;

	(void)state;
	setup(&f);
	c.tif = SLUICE_TIF_DAY;
	expect(&f, c, "accepted 1");
	expect_side(&f, 0, BUY, "10:5/1");
	assert_int_equal(fixture_report(&f, 0)->tif, SLUICE_TIF_DAY);
	assert_int_equal(fixture_report(&f, 0)->leaves_qty, 5);
	fixture_release(&f);
}

static void test_place__id_lives_once_per_symbol_and_account(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	expect(&f, place(1, SELL, 2, 10), "accepted 1");
	expect(&f, on_symbol(place(1, SELL, 2, 10), 1), "accepted 1");
	expect(&f, by_account(place(1, SELL, 2, 10), 5), "accepted 1");
	expect(&f, place(1, BUY, 2, 10), "rejected 1 duplicate_order");
	expect(&f, ioc(1, BUY, 2, 10), "rejected 1 duplicate_order");
	expect_side(&f, 0, SELL, "10:4/2");
	expect(&f, by_account(cancel(1), 6), "rejected 1 unknown_order");
	expect(&f, by_account(cancel(1), 5), "cancelled 1 2 user");
	expect(&f, ioc(2, BUY, 2, 10), "accepted 2; trade 2x1 2@10 0/0");
	expect(&f, place(1, BUY, 1, 9), "accepted 1");
	expect(&f, cancel(1), "cancelled 1 1 user");
	expect(&f, place(1, BUY, 1, 9), "accepted 1");
	expect_side(&f, 1, SELL, "10:2/1");
	fixture_release(&f);
}

static void test_place__full_pool_refuses_only_what_would_rest(void **state)
{
	struct sluice_core_options options = fixture_options();
	struct fixture f;

	(void)state;
	options.orders_max = 2;
	fixture_init(&f, &options);
	expect(&f, define("X"), "accepted 0");
	expect(&f, place(1, SELL, 5, 10), "accepted 1");
	expect(&f, place(2, SELL, 5, 11), "accepted 2");
	expect(&f, place(3, SELL, 5, 12), "rejected 3 too_many_orders");
	expect(&f, place(4, BUY, 5, 9), "rejected 4 too_many_orders");
	expect(&f, ioc(5, BUY, 1, 9), "accepted 5; cancelled 5 1 ioc");
	expect(&f, place(6, BUY, 1, 10), "accepted 6; trade 6x1 1@10 0/4");
	expect(&f, place(7, BUY, 6, 10), "accepted 7; trade 7x1 4@10 2/0");
	expect_side(&f, 0, BUY, "10:2/1");
	expect(&f, place(8, SELL, 1, 12), "rejected 8 too_many_orders");
	expect(&f, cancel(7), "cancelled 7 2 user");
	expect(&f, place(8, SELL, 1, 12), "accepted 8");
	fixture_release(&f);
}

static void test_place__levels_used_up(void **state)
{
	struct sluice_core_options options = fixture_options();
	struct fixture f;

	(void)state;
	options.levels_max = 1;
	options.window_ticks = 64;
	fixture_init(&f, &options);
	expect(&f, define("X"), "accepted 0");
	expect(&f, place(1, BUY, 1, 10), "accepted 1");
	expect(&f, place(2, BUY, 1, 5000), "accepted 2");
	expect(&f, place(3, BUY, 1, 900000), "rejected 3 too_many_levels");
	expect(&f, replace(1, 0, 900000), "rejected 1 too_many_levels");
	expect_side(&f, 0, BUY, "5000:1/1 10:1/1");
	expect(&f, place(4, SELL, 2, 3), "accepted 4; trade 4x2 1@5000 1/0; trade 4x1 1@10 0/0");
	expect(&f, place(3, BUY, 1, 900000), "accepted 3");
	fixture_release(&f);
}

static void test_place__totals_beyond_63_bits(void **state)
{
	const int64_t most = INT64_C(1) << 62;
	struct fixture f;
	uint64_t id;

	(void)state;
	setup(&f);
	for (id = 1; id <= 9; id++)
		fixture_apply(&f, place(id, SELL, most, 10));
	assert_null(sluice_core_check(f.core));
	expect_side(&f, 0, SELL, "10:9223372036854775807/9");
	for (id = 1; id <= 8; id++)
		fixture_apply(&f, cancel(id));
	expect_side(&f, 0, SELL, "10:4611686018427387904/1");
	fixture_release(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_place__illegal_fields_are_refused_by_name),
		cmocka_unit_test(test_place__ioc_takes_what_is_there),
		cmocka_unit_test(test_place__market_takes_every_price),
		cmocka_unit_test(test_place__day_rests_like_gtc),
		cmocka_unit_test(test_place__id_lives_once_per_symbol_and_account),
		cmocka_unit_test(test_place__full_pool_refuses_only_what_would_rest),
		cmocka_unit_test(test_place__levels_used_up),
		cmocka_unit_test(test_place__totals_beyond_63_bits),
	};

	return cmocka_run_group_tests_name("core/place", tests, NULL, NULL);
}
