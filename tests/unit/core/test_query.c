/* SPDX-License-Identifier: MIT */
/* test_query.c - looking at the state: orders, depth, figures, and what the state hash covers. */
#include "tests/unit/core/fixture.h"
#include "engine/core/core_internal.h"

static void setup(struct fixture *f)
{
	struct sluice_core_options options = fixture_options();

	fixture_init(f, &options);
	expect(f, define("X"), "accepted 0");
	expect(f, define("Y"), "accepted 0");
}

static void test_query__order_as_it_now_is(void **state)
{
	struct sluice_core_order order;
	struct fixture f;

	(void)state;
	setup(&f);
	expect(&f, place(1, SELL, 10, 100), "accepted 1");
	expect(&f, ioc(2, BUY, 3, 100), "accepted 2; trade 2x1 3@100 0/7");
	expect(&f, command_of(SLUICE_CMD_QUERY_ORDER, 0, 1), "order 1 10@100 left 7");
	assert_int_equal(fixture_report(&f, 0)->side, SELL);
	expect(&f, command_of(SLUICE_CMD_QUERY_ORDER, 0, 2), "rejected 2 unknown_order");
	assert_true(sluice_core_order(f.core, 0, 0, 1, &order));
	assert_int_equal(order.qty, 10);
	assert_int_equal(order.leaves_qty, 7);
	order.qty = 77;
	assert_false(sluice_core_order(f.core, 0, 0, 2, &order));
	assert_int_equal(order.qty, 77);
	fixture_release(&f);
}

static void test_query__depth_is_ordered_and_bounded(void **state)
{
	struct sluice_core_level level = {.price = 77};
	struct fixture f;

	(void)state;
	setup(&f);
	expect(&f, place(1, BUY, 1, 100), "accepted 1");
	expect(&f, place(2, BUY, 2, 90), "accepted 2");
	expect(&f, place(3, BUY, 3, 1000000), "accepted 3");
	expect_side(&f, 0, BUY, "1000000:3/1 100:1/1 90:2/1");
	assert_false(sluice_core_depth(f.core, 0, BUY, 3, &level));
	assert_false(sluice_core_depth(f.core, 0, SELL, 0, &level));
	assert_false(sluice_core_depth(f.core, 0, SLUICE_SIDE_NONE, 0, &level));
	assert_false(sluice_core_depth(f.core, 2, BUY, 0, &level));
	assert_int_equal(level.price, 77);
	fixture_release(&f);
}

static void test_query__figures_count_what_happened(void **state)
{
	struct sluice_core_stats stats;
	struct fixture f;

	(void)state;
	setup(&f);
	expect(&f, place(1, SELL, 10, 100), "accepted 1");
	expect(&f, place(2, SELL, 10, 100000), "accepted 2");
	expect(&f, ioc(3, BUY, 13, 100), "accepted 3; trade 3x1 10@100 3/0; cancelled 3 3 ioc");
	expect(&f, cancel(9), "rejected 9 unknown_order");
	sluice_core_stats(f.core, &stats);
	assert_int_equal(stats.commands, 6);
	assert_int_equal(stats.reports, f.sink.report_next - 1);
	assert_int_equal(stats.md_events, f.sink.md_next - 1);
	assert_int_equal(stats.accepted, 5);
	assert_int_equal(stats.rejected, 1);
	assert_int_equal(stats.trades, 1);
	assert_int_equal(stats.traded_qty, 10);
	assert_int_equal(stats.cancelled, 1);
	assert_int_equal(stats.symbols, 2);
	assert_int_equal(stats.orders_live, 1);
	assert_int_equal(stats.levels_far, 1);
	fixture_release(&f);
}

static void test_query__state_hash_sees_what_the_chain_does_not(void **state)
{
	struct sluice_command tick = command_of(SLUICE_CMD_TICK, 0, 0);
	struct fixture a, b;

	(void)state;
	setup(&a);
	setup(&b);
	assert_int_equal(sluice_core_state_hash(a.core), sluice_core_state_hash(b.core));
	tick.time_ns = 10;
	fixture_apply(&a, tick);
	tick.time_ns = 11;
	fixture_apply(&b, tick);
	assert_int_equal(sluice_core_chain_hash(a.core), sluice_core_chain_hash(b.core));
	assert_int_not_equal(sluice_core_state_hash(a.core), sluice_core_state_hash(b.core));
	tick.time_ns = 12;
	fixture_apply(&a, tick);
	fixture_apply(&b, tick);
	assert_int_equal(sluice_core_state_hash(a.core), sluice_core_state_hash(b.core));
	tick.time_ns = 3; /* time never goes back */
	fixture_apply(&a, tick);
	tick.time_ns = 4;
	fixture_apply(&b, tick);
	assert_int_equal(sluice_core_state_hash(a.core), sluice_core_state_hash(b.core));
	fixture_release(&a);
	fixture_release(&b);
}

/* Changes the state behind the chain's back, as a broken memory would. */
static void test_query__state_hash_covers_orders_symbols_and_sessions(void **state)
{
	struct sluice_command c = place(1, SELL, 10, 100);
	struct sluice_session *session;
	struct sluice_order *order;
	struct sluice_book *book;
	struct fixture f;
	uint64_t hash;

	(void)state;
	setup(&f);
	c.session = 5;
	c.client_seq = 1;
	fixture_apply(&f, c);
	hash = sluice_core_state_hash(f.core);
	order = &f.core->orders
			 .slots[f.core->pool.levels[f.core->books[0].ladders[1].best_ref].head];
	book = &f.core->books[1];
	for (session = f.core->sessions.entries; session->id != 5; session++)
		;
#define SEES(field)                                                                                \
	do {                                                                                       \
		(field)++;                                                                         \
		assert_int_not_equal(hash, sluice_core_state_hash(f.core));                        \
		(field)--;                                                                         \
		assert_int_equal(hash, sluice_core_state_hash(f.core));                            \
	} while (0)
	SEES(order->order_id);
	SEES(order->account);
	SEES(order->price);
	SEES(order->qty);
	SEES(order->leaves);
	SEES(order->side);
	SEES(session->last);
	SEES(book->symbol.name[0]);
	SEES(book->symbol.name[22]);
	SEES(book->symbol.phase);
	SEES(book->symbol.last_price);
	SEES(book->symbol.price_decimals);
	SEES(book->symbol.qty_decimals);
	SEES(book->phase_before);
	SEES(book->top.ask_qty);
	SEES(f.core->chain);
#undef SEES
	fixture_release(&f);
}

static void test_query__state_hash_does_not_depend_on_where_the_window_is(void **state)
{
	struct sluice_core_options narrow = fixture_options(), wide = fixture_options();
	struct fixture a, b;
	int64_t i;

	(void)state;
	narrow.window_ticks = 64;
	wide.window_ticks = 4096;
	fixture_init(&a, &narrow);
	fixture_init(&b, &wide);
	fixture_apply(&a, define("X"));
	fixture_apply(&b, define("X"));
	for (i = 1; i < 200; i++) {
		fixture_apply(&a, place((uint64_t)i, BUY, i, i * 13));
		fixture_apply(&b, place((uint64_t)i, BUY, i, i * 13));
	}
	assert_int_equal(sluice_core_chain_hash(a.core), sluice_core_chain_hash(b.core));
	assert_int_equal(sluice_core_state_hash(a.core), sluice_core_state_hash(b.core));
	fixture_release(&a);
	fixture_release(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_query__order_as_it_now_is),
		cmocka_unit_test(test_query__depth_is_ordered_and_bounded),
		cmocka_unit_test(test_query__figures_count_what_happened),
		cmocka_unit_test(test_query__state_hash_sees_what_the_chain_does_not),
		cmocka_unit_test(test_query__state_hash_covers_orders_symbols_and_sessions),
		cmocka_unit_test(test_query__state_hash_does_not_depend_on_where_the_window_is),
	};

	return cmocka_run_group_tests_name("core/query", tests, NULL, NULL);
}
