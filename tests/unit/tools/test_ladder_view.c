/* SPDX-License-Identifier: MIT */
/* test_ladder_view.c - price levels against a plain table of all prices, at random and at edges. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/ladder_view.h"

#define PRICES 200
#define ROUNDS 20000

static uint64_t random_state;

static uint32_t random_below(uint32_t bound)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(random_state >> 33) % bound;
}

static void set(struct sluice_ladder_view *view, enum sluice_side side, int64_t price, int64_t qty)
{
	const struct sluice_core_level level = {
		.price = price,
		.qty = qty,
		.count = (uint32_t)qty + 1,
	};

	assert_int_equal(sluice_ladder_view_set(view, side, &level), 0);
}

/* Walks the table from the best price on and expects the view to hold the same. */
static void check(const struct sluice_ladder_side *side, const int64_t qty[PRICES], bool is_bids)
{
	size_t at = 0;

	for (int i = 0; i < PRICES; i++) {
		const int price = is_bids ? PRICES - 1 - i : i;

		if (!qty[price])
			continue;
		assert_true(at < side->count);
		assert_int_equal(side->level[at].price, price);
		assert_int_equal(side->level[at].qty, qty[price]);
		assert_int_equal(side->level[at].count, qty[price] + 1);
		at++;
	}
	assert_int_equal(side->count, at);
}

static void test_ladder_view__is_the_table(void **state)
{
	static int64_t qty[2][PRICES];
	struct sluice_ladder_view view = {.price_decimals = 0};

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		const bool is_ask = random_below(2);
		const uint32_t price = random_below(PRICES);
		const int64_t now = random_below(3) ? random_below(1000) : 0;

		qty[is_ask][price] = now;
		set(&view, is_ask ? SLUICE_SIDE_SELL : SLUICE_SIDE_BUY, price, now);
		if (round % 64)
			continue;
		check(&view.side[0], qty[0], true);
		check(&view.side[1], qty[1], false);
	}
	sluice_ladder_view_release(&view);
	assert_null(view.side[0].level);
}

static void test_ladder_view__ignores_what_is_no_side(void **state)
{
	struct sluice_ladder_view view = {.price_decimals = 0};

	(void)state;
	set(&view, SLUICE_SIDE_NONE, 1, 1);
	set(&view, (enum sluice_side)77, 1, 1);
	set(&view, SLUICE_SIDE_BUY, 5, 0); /* removes what is not there */
	assert_int_equal(view.side[0].count + view.side[1].count, 0);
	sluice_ladder_view_release(&view);
}

static void test_ladder_view__json_is_best_first_and_bounded(void **state)
{
	struct sluice_ladder_view view = {.price_decimals = 2};
	struct sluice_json json;
	char text[512];

	(void)state;
	set(&view, SLUICE_SIDE_BUY, 99, 5);
	set(&view, SLUICE_SIDE_BUY, 100, 6);
	set(&view, SLUICE_SIDE_BUY, -3, 6);
	set(&view, SLUICE_SIDE_SELL, 102, 7);
	set(&view, SLUICE_SIDE_SELL, 101, 8);
	sluice_json_init_buffer(&json, text, sizeof(text));
	sluice_json_object(&json, NULL);
	sluice_ladder_view_json(&json, &view, 2);
	sluice_json_end(&json);
	assert_int_equal(sluice_json_finish(&json), 0);
	assert_string_equal(text,
			    "{\"bids\":[{\"price_ticks\":100,\"qty_lots\":6,\"orders_count\":7},"
			    "{\"price_ticks\":99,\"qty_lots\":5,\"orders_count\":6}],"
			    "\"asks\":[{\"price_ticks\":101,\"qty_lots\":8,\"orders_count\":9},"
			    "{\"price_ticks\":102,\"qty_lots\":7,\"orders_count\":8}]}");
	sluice_ladder_view_release(&view);
}

int main(void)
{
	const char *seed = getenv("SEED");
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ladder_view__is_the_table),
		cmocka_unit_test(test_ladder_view__ignores_what_is_no_side),
		cmocka_unit_test(test_ladder_view__json_is_best_first_and_bounded),
	};

	random_state = seed ? strtoull(seed, NULL, 10) : 1;
	printf("SEED=%llu\n", (unsigned long long)random_state);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
