/* SPDX-License-Identifier: MIT */
/*
 * test_ladder.c - one side's levels: the window at both ends of its slots, far prices, moving the
 * window under levels that are in use, and the extremes of the price.
 */
#include "tests/unit/core/fixture.h"
#include "engine/core/ladder.h"

#define WINDOW 64u
#define FAR_MAX 128u
#define PRICE_MAX (INT64_C(1) << 62)

struct ladder_test {
	struct sluice_level_pool pool;
	struct sluice_ladder ladder;
};

static void setup_with(struct ladder_test *t, uint32_t side, uint32_t far_max)
{
	memset(t, 0, sizeof(*t));
	t->pool.window_ticks = WINDOW;
	t->pool.window_mask = WINDOW - 1;
	t->pool.far_first = 1 + WINDOW;
	t->pool.levels = calloc(2 + WINDOW + far_max, sizeof(struct sluice_level));
	t->pool.words = calloc(sluice_bitmap_words(WINDOW), sizeof(uint64_t));
	sluice_far_init(&t->pool.far, calloc(far_max + 1, sizeof(struct sluice_far_node)), far_max);
	assert_non_null(t->pool.levels);
	assert_non_null(t->pool.words);
	assert_non_null(t->pool.far.nodes);
	sluice_ladder_init(&t->ladder, &t->pool, side, 0);
}

static void setup(struct ladder_test *t, uint32_t side)
{
	setup_with(t, side, FAR_MAX);
}

static void release(struct ladder_test *t)
{
	free(t->pool.levels);
	free(t->pool.words);
	free(t->pool.far.nodes);
}

static void check(const struct ladder_test *t)
{
	const char *wrong = sluice_ladder_check(&t->pool, &t->ladder);

	if (wrong)
		fail_msg("%s", wrong);
}

/* One more order at a price: its quantity is the price, to know the level again. */
static bool add(struct ladder_test *t, int64_t price)
{
	struct sluice_level *level;

	if (!sluice_ladder_reserve(&t->pool, &t->ladder, price))
		return false;
	level = &t->pool.levels[sluice_ladder_add(&t->pool, &t->ladder, price)];
	level->count++;
	level->qty = (uint64_t)price;
	check(t);
	return true;
}

static void drop(struct ladder_test *t, int64_t price)
{
	uint32_t ref = sluice_ladder_find(&t->pool, &t->ladder, price);

	assert_int_not_equal(ref, 0);
	assert_int_equal(t->pool.levels[ref].qty, price);
	if (--t->pool.levels[ref].count)
		return;
	t->pool.levels[ref].qty = 0;
	sluice_ladder_drop(&t->pool, &t->ladder, price);
	check(t);
}

/* Walks from the best and compares with prices given in that order. */
static void expect_prices(const struct ladder_test *t, const int64_t *prices, uint32_t n)
{
	int64_t price = t->ladder.best_price;
	uint32_t i;

	for (i = 0; i < n; i++) {
		assert_int_equal(price, prices[i]);
		price = sluice_ladder_worse(&t->pool, &t->ladder, price);
	}
	assert_int_equal(price, 0);
}

static void test_ladder__best_is_the_better_of_window_and_far(void **state)
{
	const int64_t bids[] = {1000, 40, 20, 5}, asks[] = {5, 20, 40, 1000};
	struct ladder_test t;
	uint32_t i;

	(void)state;
	setup(&t, BUY);
	for (i = 0; i < 4; i++)
		assert_true(add(&t, asks[i]));
	assert_int_equal(t.ladder.far_count, 1);
	expect_prices(&t, bids, 4);
	drop(&t, 1000);
	expect_prices(&t, bids + 1, 3);
	release(&t);
	setup(&t, SELL);
	for (i = 0; i < 4; i++)
		assert_true(add(&t, asks[i]));
	expect_prices(&t, asks, 4);
	drop(&t, 5);
	drop(&t, 20);
	drop(&t, 40);
	expect_prices(&t, asks + 3, 1);
	release(&t);
}

static void test_ladder__smallest_and_greatest_price(void **state)
{
	const int64_t bids[] = {PRICE_MAX, PRICE_MAX - 1, 2, 1};
	const int64_t asks[] = {1, 2, PRICE_MAX - 1, PRICE_MAX};
	struct ladder_test t;
	uint32_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		setup(&t, i ? SELL : BUY);
		assert_true(add(&t, 1));
		assert_true(add(&t, PRICE_MAX));
		assert_true(add(&t, 2));
		assert_true(add(&t, PRICE_MAX - 1));
		expect_prices(&t, i ? asks : bids, 4);
		drop(&t, i ? 1 : PRICE_MAX);
		expect_prices(&t, (i ? asks : bids) + 1, 3);
		release(&t);
	}
}

static void test_ladder__wraps_around_the_slots(void **state)
{
	struct ladder_test t;
	int64_t price;

	(void)state;
	setup(&t, BUY);
	assert_true(add(&t, 1000));
	assert_int_equal(t.ladder.base, 1000 - 48);
	for (price = t.ladder.base + WINDOW - 1; price >= t.ladder.base; price -= 3)
		assert_true(price == 1000 || add(&t, price));
	assert_int_equal(t.ladder.far_count, 0);
	for (price = t.ladder.best_price; price; price = t.ladder.best_price)
		drop(&t, price);
	assert_int_equal(t.ladder.window_levels, 0);
	release(&t);
}

static void test_ladder__window_follows_the_price_with_levels_in_use(void **state)
{
	struct ladder_test t;
	int64_t price;
	uint32_t side;

	(void)state;
	for (side = BUY; side <= SELL; side++) {
		setup(&t, side);
		assert_true(add(&t, 10));
		assert_true(add(&t, 50));
		for (price = 100; price < 3000; price += 7) {
			assert_true(add(&t, price));
			if (price > 150)
				drop(&t, price - 49);
		}
		assert_true(t.pool.rebases > 0 || side == SELL);
		assert_int_not_equal(sluice_ladder_find(&t.pool, &t.ladder, 10), 0);
		assert_int_not_equal(sluice_ladder_find(&t.pool, &t.ladder, 50), 0);
		drop(&t, 10);
		drop(&t, 50);
		for (price = t.ladder.best_price; price; price = t.ladder.best_price)
			drop(&t, price);
		assert_int_equal(t.pool.far.used, 0);
		release(&t);
	}
}

static void test_ladder__moving_costs_no_more_than_what_rested_outside(void **state)
{
	struct ladder_test t;
	int64_t price;
	uint32_t i;

	(void)state;
	setup(&t, BUY);
	for (price = 1; price <= 40; price++)
		assert_true(add(&t, price));
	for (i = 0; i < 400; i++) {
		assert_true(add(&t, 5000));
		drop(&t, 5000);
	}
	assert_true(t.pool.rebases <= 400 / 40);
	release(&t);
}

static void test_ladder__stays_where_the_best_price_is(void **state)
{
	struct ladder_test t;
	int64_t i;

	(void)state;
	setup(&t, SELL);
	assert_true(add(&t, 1000));
	for (i = 0; i < 100; i++)
		assert_true(add(&t, 5000 + i));
	drop(&t, 1000);
	assert_true(add(&t, 1003));
	for (i = 0; i < 100; i++)
		assert_true(add(&t, 6000));
	assert_int_equal(t.pool.rebases, 0);
	release(&t);
}

static void test_ladder__refuses_only_what_has_no_level_left(void **state)
{
	struct ladder_test t;

	(void)state;
	setup_with(&t, SELL, 2);
	assert_true(add(&t, 10));
	assert_true(add(&t, 1000));
	assert_true(add(&t, 2000));
	assert_false(add(&t, 3000));
	assert_true(add(&t, 2000));
	assert_true(add(&t, 11));
	drop(&t, 1000);
	assert_true(add(&t, 3000));
	check(&t);
	release(&t);
}

/* Drops about three of four levels; how many they were. */
static uint32_t drop_most(struct ladder_test *t, uint8_t *used, size_t prices, uint64_t *random)
{
	uint32_t dropped = 0;

	for (size_t price = 0; price < prices; price++) {
		if (!used[price] || random_below(random, 4) == 0)
			continue;
		drop(t, (int64_t)price);
		used[price] = 0;
		dropped++;
	}
	return dropped;
}

static void test_ladder__random_against_a_flat_array(void **state)
{
	static uint8_t used[2000];
	uint64_t random = seed_of_run(5);
	struct ladder_test t;
	uint32_t i, n = 0;
	int64_t price, centre = 300, want;

	(void)state;
	setup_with(&t, SELL, 2000);
	memset(used, 0, sizeof(used));
	for (i = 0; i < 20000; i++) {
		if (i % 500 == 0) { /* the market moves, and most of what was there goes */
			centre = 50 + random_below(&random, 1800);
			n -= drop_most(&t, used, sizeof(used), &random);
		}
		price = centre + random_below(&random, 100);
		if (used[price])
			drop(&t, price);
		else if (n < 300)
			assert_true(add(&t, price));
		else
			continue;
		n += used[price] ? -1u : 1u;
		used[price] ^= 1;
		for (want = 0; want < 2000 && !used[want]; want++)
			;
		assert_int_equal(t.ladder.best_price, want < 2000 ? want : 0);
	}
	assert_true(t.pool.rebases > 5);
	release(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ladder__best_is_the_better_of_window_and_far),
		cmocka_unit_test(test_ladder__smallest_and_greatest_price),
		cmocka_unit_test(test_ladder__wraps_around_the_slots),
		cmocka_unit_test(test_ladder__window_follows_the_price_with_levels_in_use),
		cmocka_unit_test(test_ladder__moving_costs_no_more_than_what_rested_outside),
		cmocka_unit_test(test_ladder__stays_where_the_best_price_is),
		cmocka_unit_test(test_ladder__refuses_only_what_has_no_level_left),
		cmocka_unit_test(test_ladder__random_against_a_flat_array),
	};

	return cmocka_run_group_tests_name("core/ladder", tests, NULL, NULL);
}
