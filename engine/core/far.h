/* SPDX-License-Identifier: MIT */
/*
 * far.h - price levels outside the windows, in order of price.
 *
 * One slab of nodes serves all ladders; each ladder owns a treap of them. Node k holds the price
 * of level `far_first + k`, so a node and its level live and die together. Node 0 is no node.
 * Priorities come from a counter, so equal commands build equal trees. Nothing recurses.
 */
#ifndef SLUICE_ENGINE_CORE_FAR_H
#define SLUICE_ENGINE_CORE_FAR_H

#include "shm/base.h"

struct sluice_far_node {
	int64_t price;
	uint32_t left; /* lower prices; of a free node: the next free one */
	uint32_t right;
	uint32_t priority; /* no child has a greater one */
	uint32_t reserved;
};

struct sluice_far_slab {
	struct sluice_far_node *nodes;
	uint64_t created; /* nodes taken so far: the source of priorities */
	uint32_t free;
	uint32_t used;
	uint32_t max;
	uint32_t reserved;
};

/* Storage of max + 1 nodes, all zero. */
void sluice_far_init(struct sluice_far_slab *slab, struct sluice_far_node *nodes, uint32_t max);

/* Adds a price that the tree has not. The slab must have a free node. Returns the node. */
uint32_t sluice_far_insert(struct sluice_far_slab *slab, uint32_t *root, int64_t price);

/* Removes a price that the tree has. */
void sluice_far_remove(struct sluice_far_slab *slab, uint32_t *root, int64_t price);

/* The node of a price; the next one above or below it, the price itself left out. 0: none. */
uint32_t sluice_far_find(const struct sluice_far_slab *slab, uint32_t root, int64_t price);
uint32_t sluice_far_above(const struct sluice_far_slab *slab, uint32_t root, int64_t price);
uint32_t sluice_far_below(const struct sluice_far_slab *slab, uint32_t root, int64_t price);

#endif
