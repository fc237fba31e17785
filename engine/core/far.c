/* SPDX-License-Identifier: MIT */
/*
 * far.c - the treap of prices outside a window. Insertion splits the subtree below the new node,
 * removal merges the two below the old one; both walk down once with a pointer to the link that
 * is to be written next. Called by the ladder, on the engine's thread.
 */
#include "engine/core/far.h"

void sluice_far_init(struct sluice_far_slab *slab, struct sluice_far_node *nodes, uint32_t max)
{
	uint32_t i;

	slab->nodes = nodes;
	slab->created = 0;
	slab->free = max ? 1 : 0;
	slab->used = 0;
	slab->max = max;
	for (i = 1; i < max; i++)
		nodes[i].left = i + 1;
}

static uint32_t next_priority(struct sluice_far_slab *slab)
{
	uint64_t x = ++slab->created * UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ (x >> 32)) * UINT64_C(0xd6e8feb86659fd93);
	return (uint32_t)(x >> 32);
}

uint32_t sluice_far_insert(struct sluice_far_slab *slab, uint32_t *root, int64_t price)
{
	struct sluice_far_node *nodes = slab->nodes;
	uint32_t node = slab->free, rest, *left, *right, *link = root;

	sluice_assert(node != 0);
	slab->free = nodes[node].left;
	slab->used++;
	nodes[node].price = price;
	nodes[node].priority = next_priority(slab);
	while (*link && nodes[*link].priority >= nodes[node].priority)
		link = price < nodes[*link].price ? &nodes[*link].left : &nodes[*link].right;

	rest = *link;
	*link = node;
	left = &nodes[node].left;
	right = &nodes[node].right;
	while (rest) {
		if (nodes[rest].price < price) {
			*left = rest;
			left = &nodes[rest].right;
			rest = *left;
		} else {
			*right = rest;
			right = &nodes[rest].left;
			rest = *right;
		}
	}
	*left = 0;
	*right = 0;
	return node;
}

void sluice_far_remove(struct sluice_far_slab *slab, uint32_t *root, int64_t price)
{
	struct sluice_far_node *nodes = slab->nodes;
	uint32_t node, left, right, *link = root;

	while (*link && nodes[*link].price != price)
		link = price < nodes[*link].price ? &nodes[*link].left : &nodes[*link].right;
	node = *link;
	sluice_assert(node != 0);

	left = nodes[node].left;
	right = nodes[node].right;
	while (left && right) {
		if (nodes[left].priority >= nodes[right].priority) {
			*link = left;
			link = &nodes[left].right;
			left = *link;
		} else {
			*link = right;
			link = &nodes[right].left;
			right = *link;
		}
	}
	*link = left ? left : right;
	nodes[node].left = slab->free;
	slab->free = node;
	slab->used--;
}

uint32_t sluice_far_find(const struct sluice_far_slab *slab, uint32_t root, int64_t price)
{
	const struct sluice_far_node *nodes = slab->nodes;

	while (root && nodes[root].price != price)
		root = price < nodes[root].price ? nodes[root].left : nodes[root].right;
	return root;
}

uint32_t sluice_far_above(const struct sluice_far_slab *slab, uint32_t root, int64_t price)
{
	const struct sluice_far_node *nodes = slab->nodes;
	uint32_t found = 0;

	while (root) {
		if (nodes[root].price > price) {
			found = root;
			root = nodes[root].left;
		} else {
			root = nodes[root].right;
		}
	}
	return found;
}

uint32_t sluice_far_below(const struct sluice_far_slab *slab, uint32_t root, int64_t price)
{
	const struct sluice_far_node *nodes = slab->nodes;
	uint32_t found = 0;

	while (root) {
		if (nodes[root].price < price) {
			found = root;
			root = nodes[root].right;
		} else {
			root = nodes[root].left;
		}
	}
	return found;
}
