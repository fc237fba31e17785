/* SPDX-License-Identifier: MIT */
/*
 * test_orders.c - the slab and the index: keys, runs of colliding entries at the end of the table,
 * removal from the middle of a run, and the extremes of the id.
 */
#include "tests/unit/core/fixture.h"
#include "engine/core/orders.h"

#define ORDERS 32u

static void setup(struct sluice_orders *orders)
{
	sluice_orders_init(orders, calloc(ORDERS + 1, sizeof(struct sluice_order)),
			   calloc(sluice_index_entries(ORDERS), sizeof(struct sluice_index_entry)),
			   ORDERS);
	assert_non_null(orders->slots);
	assert_non_null(orders->entries);
}

static void release(struct sluice_orders *orders)
{
	free(orders->slots);
	free(orders->entries);
}

static uint32_t add(struct sluice_orders *orders, uint64_t hash, uint64_t id)
{
	uint32_t order = sluice_orders_take(orders);

	orders->slots[order] = (struct sluice_order){.order_id = id, .hash = hash};
	sluice_orders_insert(orders, order);
	assert_null(sluice_orders_check(orders));
	return order;
}

static void test_orders__removal_keeps_colliding_runs_whole(void **state)
{
	uint64_t random = seed_of_run(3), hashes[ORDERS];
	uint32_t order[ORDERS] = {0}, i, j, k;
	struct sluice_orders orders;

	(void)state;
	setup(&orders);
	for (i = 0; i < 5000; i++) {
		k = random_below(&random, ORDERS);
		if (order[k]) {
			sluice_orders_free(&orders, order[k]);
			order[k] = 0;
			assert_null(sluice_orders_check(&orders));
		} else {
			/* Homes at the very end of the table: runs wrap around to its start. */
			hashes[k] = orders.mask - random_below(&random, 6) +
				    ((orders.mask + 1) << random_below(&random, 3));
			order[k] = add(&orders, hashes[k], k);
		}
		for (j = 0; j < ORDERS; j++)
			if (order[j])
				assert_int_equal(sluice_orders_find(&orders, hashes[j], 0, 0, j),
						 order[j]);
	}
	release(&orders);
}

static void test_orders__equal_hash_is_not_an_equal_key(void **state)
{
	struct sluice_orders orders;
	uint32_t first, second;

	(void)state;
	setup(&orders);
	first = add(&orders, 77, 1);
	second = add(&orders, 77, 2);
	assert_int_equal(sluice_orders_find(&orders, 77, 0, 0, 1), first);
	assert_int_equal(sluice_orders_find(&orders, 77, 0, 0, 2), second);
	assert_int_equal(sluice_orders_find(&orders, 77, 0, 0, 3), 0);
	assert_int_equal(sluice_orders_find(&orders, 77, 1, 0, 1), 0);
	assert_int_equal(sluice_orders_find(&orders, 77, 0, 1, 1), 0);
	release(&orders);
}

static void test_orders__every_order_can_be_taken_and_comes_back(void **state)
{
	struct sluice_orders orders;
	uint32_t order[ORDERS], i, round;

	(void)state;
	setup(&orders);
	for (round = 0; round < 3; round++) {
		for (i = 0; i < ORDERS; i++)
			order[i] = add(&orders, sluice_order_hash(round, 0, i), i);
		assert_int_equal(orders.live, ORDERS);
		assert_int_equal(orders.free, 0);
		for (i = 0; i < ORDERS; i++)
			sluice_orders_free(&orders, order[i]);
		assert_int_equal(orders.live, 0);
	}
	assert_null(sluice_orders_check(&orders));
	release(&orders);
}

static void test_orders__extreme_ids(void **state)
{
	static const uint64_t ids[] = {0, 1, UINT64_C(1) << 32, UINT64_MAX - 1, UINT64_MAX};
	struct sluice_core_options options = fixture_options();
	struct sluice_core_order order;
	struct fixture f;
	size_t i, n = sizeof(ids) / sizeof(*ids);

	(void)state;
	fixture_init(&f, &options);
	fixture_apply(&f, define("X"));
	fixture_apply(&f, define("Y"));
	for (i = 0; i < n; i++) {
		fixture_apply(&f, place(ids[i], BUY, (int64_t)i + 1, 100));
		fixture_apply(&f, on_symbol(place(ids[i], BUY, 50, 7), 1));
		fixture_apply(&f, by_account(place(ids[i], BUY, 60, 8), UINT32_MAX));
	}
	for (i = 0; i < n; i++) {
		assert_true(sluice_core_order(f.core, 0, 0, ids[i], &order));
		assert_int_equal(order.qty, i + 1);
		assert_true(sluice_core_order(f.core, 1, 0, ids[i], &order));
		assert_int_equal(order.price, 7);
		assert_true(sluice_core_order(f.core, 0, UINT32_MAX, ids[i], &order));
		assert_int_equal(order.account, UINT32_MAX);
		assert_false(sluice_core_order(f.core, 1, UINT32_MAX, ids[i], &order));
	}
	assert_null(sluice_core_check(f.core));
	fixture_release(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_orders__removal_keeps_colliding_runs_whole),
		cmocka_unit_test(test_orders__equal_hash_is_not_an_equal_key),
		cmocka_unit_test(test_orders__every_order_can_be_taken_and_comes_back),
		cmocka_unit_test(test_orders__extreme_ids),
	};

	return cmocka_run_group_tests_name("core/orders", tests, NULL, NULL);
}
