/* SPDX-License-Identifier: MIT */
/* test_far.c - the tree of far prices against a sorted array, its order, and its depth. */
#include "tests/unit/core/fixture.h"
#include "engine/core/far.h"

#define NODES 3000u

struct far_test {
	struct sluice_far_slab slab;
	uint32_t root;
	int64_t sorted[NODES];
	uint32_t n;
};

static void setup(struct far_test *t)
{
	memset(t, 0, sizeof(*t));
	sluice_far_init(&t->slab, calloc(NODES + 1, sizeof(struct sluice_far_node)), NODES);
	assert_non_null(t->slab.nodes);
}

static uint32_t position(const struct far_test *t, int64_t price)
{
	uint32_t i = 0;

	while (i < t->n && t->sorted[i] < price)
		i++;
	return i;
}

static void toggle(struct far_test *t, int64_t price)
{
	uint32_t at = position(t, price), node;

	if (at < t->n && t->sorted[at] == price) {
		sluice_far_remove(&t->slab, &t->root, price);
		t->n--;
		memmove(&t->sorted[at], &t->sorted[at + 1], (t->n - at) * sizeof(price));
		return;
	}
	if (t->n == NODES)
		return;
	node = sluice_far_insert(&t->slab, &t->root, price);
	assert_int_equal(t->slab.nodes[node].price, price);
	memmove(&t->sorted[at + 1], &t->sorted[at], (t->n - at) * sizeof(price));
	t->sorted[at] = price;
	t->n++;
}

static int64_t price_of(const struct far_test *t, uint32_t node)
{
	return node ? t->slab.nodes[node].price : 0;
}

static void compare(const struct far_test *t, int64_t price)
{
	uint32_t at = position(t, price);
	bool there = at < t->n && t->sorted[at] == price;
	uint32_t next = at + there;

	assert_int_equal(price_of(t, sluice_far_find(&t->slab, t->root, price)), there ? price : 0);
	assert_int_equal(price_of(t, sluice_far_above(&t->slab, t->root, price)),
			 next < t->n ? t->sorted[next] : 0);
	assert_int_equal(price_of(t, sluice_far_below(&t->slab, t->root, price)),
			 at ? t->sorted[at - 1] : 0);
	assert_int_equal(t->slab.used, t->n);
}

static void test_far__agrees_with_a_sorted_array(void **state)
{
	uint64_t random = seed_of_run(11);
	struct far_test t;
	uint32_t i;

	(void)state;
	setup(&t);
	for (i = 0; i < 40000; i++) {
		toggle(&t, 1 + random_below(&random, i < 20000 ? 6000 : 300));
		compare(&t, random_below(&random, 6002));
	}
	while (t.n) {
		toggle(&t, t.sorted[random_below(&random, t.n)]);
		compare(&t, random_below(&random, 6002));
	}
	assert_int_equal(t.root, 0);
	free(t.slab.nodes);
}

/* Counts nodes on the longest way down, without recursion. */
static uint32_t depth(const struct far_test *t)
{
	uint32_t stack[NODES], at[NODES], n = 1, deepest = 0;

	stack[0] = t->root;
	at[0] = 1;
	while (n) {
		const struct sluice_far_node *node = &t->slab.nodes[stack[--n]];
		uint32_t level = at[n];

		deepest = level > deepest ? level : deepest;
		if (node->left) {
			stack[n] = node->left;
			at[n++] = level + 1;
		}
		if (node->right) {
			stack[n] = node->right;
			at[n++] = level + 1;
		}
	}
	return deepest;
}

static void test_far__stays_shallow_for_ordered_prices(void **state)
{
	struct far_test t;
	uint32_t i;

	(void)state;
	setup(&t);
	for (i = 0; i < NODES; i++)
		sluice_far_insert(&t.slab, &t.root, 10 * (int64_t)i + 1);
	assert_int_equal(t.slab.free, 0);
	assert_true(depth(&t) < 50);
	for (i = 0; i < NODES; i += 2)
		sluice_far_remove(&t.slab, &t.root, 10 * (int64_t)i + 1);
	assert_true(depth(&t) < 50);
	assert_int_equal(t.slab.used, NODES / 2);
	free(t.slab.nodes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_far__agrees_with_a_sorted_array),
		cmocka_unit_test(test_far__stays_shallow_for_ordered_prices),
	};

	return cmocka_run_group_tests_name("core/far", tests, NULL, NULL);
}
