/* SPDX-License-Identifier: MIT */
/*
 * test_emit.c - the bytes of reports and market data, which level and top events a command gives,
 * room in the sink, and what the chain does and does not depend on.
 */
#include "tests/unit/core/fixture.h"

static void setup(struct fixture *f)
{
	struct sluice_core_options options = fixture_options();

	fixture_init(f, &options);
	f->next_seq = 500;
	expect(f, define("X"), "accepted 0");
}

static void test_emit__every_field_of_a_trade(void **state)
{
	struct sluice_command taker = by_account(ioc(8, SELL, 9, 95), 22);
	struct sluice_report want = {.head = {SLUICE_REP_TRADE, 128, 3, SLUICE_REPORT_ASYNC},
				     .order_id = 8,
				     .maker_order_id = 7,
				     .price = 100,
				     .qty = 4,
				     .leaves_qty = 5,
				     .account = 22,
				     .maker_account = 11,
				     .side = SELL,
				     .order_type = SLUICE_ORDER_LIMIT,
				     .tif = SLUICE_TIF_IOC,
				     .command = SLUICE_CMD_PLACE,
				     .session = 5,
				     .client_seq = 6,
				     .send_ns = 77};
	struct fixture f;

	(void)state;
	setup(&f);
	f.sink.report_flags = SLUICE_REPORT_ASYNC;
	memset(f.sink.reports, 0xee, FIXTURE_RING * sizeof(struct sluice_report));
	fixture_apply(&f, by_account(place(7, BUY, 4, 100), 11));
	taker.session = 5;
	taker.client_seq = 6;
	taker.send_ns = 77;
	expect(&f, taker, "accepted 8; trade 8x7 4@100 5/0; cancelled 8 5 ioc");
	want.n = f.first + 1;
	want.cmd_seq = 502;
	assert_memory_equal(fixture_report(&f, 1), &want, sizeof(want));
	assert_int_equal(fixture_report(&f, 2)->price, 95);
	fixture_release(&f);
}

static void expect_depth(const struct fixture *f, uint64_t i, int side, int64_t price, int64_t qty,
			 uint32_t count)
{
	struct sluice_md_event want = {.head = {SLUICE_MD_DEPTH, 64, 3, 0},
				       .n = f->first_md + i,
				       .cmd_seq = f->next_seq - 1,
				       .side = (uint8_t)side};

	want.u.depth = (struct sluice_md_depth){.price = price, .qty = qty, .count = count};
	assert_memory_equal(fixture_md(f, i), &want, sizeof(want));
}

static void expect_top(const struct fixture *f, uint64_t i, struct sluice_md_top top)
{
	struct sluice_md_event want = {.head = {SLUICE_MD_TOP, 64, 3, 0},
				       .n = f->first_md + i,
				       .cmd_seq = f->next_seq - 1,
				       .u.top = top};

	assert_memory_equal(fixture_md(f, i), &want, sizeof(want));
	assert_int_equal(f->sink.md_next - f->first_md, i + 1);
}

static void test_emit__one_depth_per_level_and_one_top(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	memset(f.sink.md, 0xee, FIXTURE_RING * sizeof(struct sluice_md_event));
	fixture_apply(&f, place(1, SELL, 1, 100));
	fixture_apply(&f, place(2, SELL, 1, 100));
	expect_depth(&f, 0, SELL, 100, 2, 2);
	fixture_apply(&f, place(3, SELL, 5, 101));
	expect_depth(&f, 0, SELL, 101, 5, 1);
	assert_int_equal(f.sink.md_next - f.first_md, 1); /* the top is as it was */
	fixture_apply(&f, place(4, BUY, 3, 101));
	assert_int_equal(fixture_md(&f, 0)->head.type, SLUICE_MD_TRADE);
	assert_int_equal(fixture_md(&f, 0)->side, BUY);
	assert_int_equal(fixture_md(&f, 1)->head.type, SLUICE_MD_TRADE);
	expect_depth(&f, 2, SELL, 100, 0, 0);
	assert_int_equal(fixture_md(&f, 3)->head.type, SLUICE_MD_TRADE);
	assert_int_equal(fixture_md(&f, 3)->u.depth.price, 101);
	expect_depth(&f, 4, SELL, 101, 4, 1);
	expect_top(&f, 5, (struct sluice_md_top){0, 0, 101, 4});
	fixture_apply(&f, place(5, BUY, 6, 101));
	expect_depth(&f, 1, SELL, 101, 0, 0);
	expect_depth(&f, 2, BUY, 101, 2, 1);
	expect_top(&f, 3, (struct sluice_md_top){101, 2, 0, 0});
	fixture_apply(&f, cancel(77));
	assert_int_equal(f.sink.md_next, f.first_md);
	fixture_release(&f);
}

static void test_emit__replace_tells_the_old_level_first(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	fixture_apply(&f, place(1, BUY, 5, 90));
	fixture_apply(&f, place(2, SELL, 2, 100));
	fixture_apply(&f, replace(1, 0, 100));
	expect_depth(&f, 0, BUY, 90, 0, 0);
	expect_depth(&f, 2, SELL, 100, 0, 0);
	expect_depth(&f, 3, BUY, 100, 3, 1);
	expect_top(&f, 4, (struct sluice_md_top){100, 3, 0, 0});
	fixture_release(&f);
}

static void test_emit__uncross_tells_each_level_once(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	fixture_apply(&f, command_of(SLUICE_CMD_AUCTION, 0, 0));
	fixture_apply(&f, place(1, BUY, 5, 100));
	fixture_apply(&f, place(2, SELL, 2, 98));
	fixture_apply(&f, place(3, SELL, 2, 99));
	fixture_apply(&f, command_of(SLUICE_CMD_UNCROSS, 0, 0));
	expect_depth(&f, 1, SELL, 98, 0, 0);
	expect_depth(&f, 3, BUY, 100, 1, 1);
	expect_depth(&f, 4, SELL, 99, 0, 0);
	assert_int_equal(fixture_md(&f, 5)->head.type, SLUICE_MD_STATE);
	expect_top(&f, 6, (struct sluice_md_top){100, 1, 0, 0});
	fixture_release(&f);
}

/* Gives one slot, to whichever of the two is out of them. */
static void give_one_slot(struct sluice_sink *sink)
{
	((struct fixture *)sink->context)->rooms++;
	sink->report_limit += sink->report_limit == sink->report_next;
	sink->md_limit += sink->md_limit == sink->md_next;
}

static void test_emit__asks_for_room_at_every_limit(void **state)
{
	struct fixture f;
	uint64_t id;

	(void)state;
	setup(&f);
	for (id = 1; id <= 20; id++)
		fixture_apply(&f, place(id, SELL, 1, 100));
	f.sink.make_room = give_one_slot;
	f.sink.report_limit = f.sink.report_next;
	f.sink.md_limit = f.sink.md_next + 1;
	fixture_apply(&f, place(99, BUY, 20, 100));
	assert_int_equal(f.sink.report_next - f.first, 21);
	assert_int_equal(f.sink.md_next - f.first_md, 22);
	assert_in_range(f.sink.report_limit - f.sink.report_next, 0, 1);
	assert_in_range(f.sink.md_limit - f.sink.md_next, 0, 1);
	assert_in_range(f.rooms, 22, 42);
	fixture_release(&f);
}

static uint64_t chain_of(struct fixture *f, int64_t qty, uint64_t send_ns)
{
	struct sluice_command c = place(1, BUY, qty, 10);
	uint64_t chain;

	c.send_ns = send_ns;
	setup(f);
	f->sink.participant = (uint16_t)send_ns;
	f->sink.report_flags = (uint16_t)(send_ns & SLUICE_REPORT_DURABILITY_MASK);
	fixture_apply(f, c);
	chain = sluice_core_chain_hash(f->core);
	fixture_release(f);
	return chain;
}

static void test_emit__chain_leaves_out_how_it_was_sent(void **state)
{
	struct fixture f;

	(void)state;
	assert_int_equal(chain_of(&f, 5, 0), chain_of(&f, 5, 2));
	assert_int_not_equal(chain_of(&f, 5, 0), chain_of(&f, 6, 0));
}

static void test_emit__chain_depends_on_every_field(void **state)
{
	struct sluice_command base = place(1, BUY, 5, 10), c;
	uint64_t seen[16];
	size_t n = 0, i;
	struct fixture f;
	int field;

	(void)state;
	for (field = 0; field < 11; field++) {
		c = base;
		setup(&f);
		fixture_apply(&f, define("Y"));
		c.order_id += field == 1;
		c.price += field == 2;
		c.qty += field == 3;
		c.account += field == 4;
		c.symbol += field == 5;
		c.session += field == 6;
		c.client_seq += field == 7;
		c.tif = field == 8 ? SLUICE_TIF_DAY : c.tif;
		c.symbol = field > 8 ? (uint32_t)field : c.symbol; /* refused: no market data */
		fixture_apply(&f, c);
		seen[n++] = sluice_core_chain_hash(f.core);
		fixture_release(&f);
		for (i = 0; i + 1 < n; i++)
			assert_int_not_equal(seen[i], seen[n - 1]);
	}
}

static void test_emit__chain_is_the_same_without_market_data(void **state)
{
	struct fixture with, without;
	uint64_t i;

	(void)state;
	setup(&with);
	setup(&without);
	free(without.sink.md);
	without.sink.md = NULL;
	without.sink.md_limit = 0;
	for (i = 0; i < 200; i++) {
		struct sluice_command c = place(i, i & 1 ? BUY : SELL, 1 + (int64_t)i % 7,
						100 + (int64_t)(i * 7 % 11));

		fixture_apply(&with, c);
		fixture_apply(&without, c);
	}
	assert_int_equal(with.sink.md_next, without.sink.md_next);
	assert_int_equal(sluice_core_chain_hash(with.core), sluice_core_chain_hash(without.core));
	assert_int_equal(sluice_core_state_hash(with.core), sluice_core_state_hash(without.core));
	fixture_release(&with);
	fixture_release(&without);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_emit__every_field_of_a_trade),
		cmocka_unit_test(test_emit__one_depth_per_level_and_one_top),
		cmocka_unit_test(test_emit__replace_tells_the_old_level_first),
		cmocka_unit_test(test_emit__uncross_tells_each_level_once),
		cmocka_unit_test(test_emit__asks_for_room_at_every_limit),
		cmocka_unit_test(test_emit__chain_leaves_out_how_it_was_sent),
		cmocka_unit_test(test_emit__chain_depends_on_every_field),
		cmocka_unit_test(test_emit__chain_is_the_same_without_market_data),
	};

	return cmocka_run_group_tests_name("core/emit", tests, NULL, NULL);
}
