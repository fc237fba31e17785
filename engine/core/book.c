/* SPDX-License-Identifier: MIT */
/*
 * book.c - orders on their levels: time order, the level's totals, removal.
 *
 * A level's qty and count are at any moment the sums over its orders. Between the last change of a
 * level and sluice_book_close it may be empty and still in use. Called by the commands' functions,
 * on the engine's thread.
 */
#include "engine/core/core_internal.h"

void sluice_book_append(struct sluice_core *core, uint32_t ref, uint32_t order)
{
	struct sluice_order *slots = core->orders.slots, *o = &slots[order];
	struct sluice_level *level = &core->pool.levels[ref];

	o->next = 0;
	o->prev = level->tail;
	if (level->tail)
		slots[level->tail].next = order;
	else
		level->head = order;
	level->tail = order;
	level->count++;
	level->qty += (uint64_t)o->leaves;
}

void sluice_book_rest(struct sluice_step *step, struct sluice_book *book, uint32_t order)
{
	struct sluice_core *core = step->core;
	const struct sluice_order *o = &core->orders.slots[order];
	struct sluice_ladder *ladder = sluice_book_ladder(book, o->side);
	uint32_t ref = sluice_ladder_add(&core->pool, ladder, o->price);

	sluice_book_append(core, ref, order);
	sluice_emit_depth(step, book, o->side, o->price, &core->pool.levels[ref]);
}

uint32_t sluice_book_unlink(struct sluice_core *core, struct sluice_book *book, uint32_t order)
{
	struct sluice_order *slots = core->orders.slots, *o = &slots[order];
	const struct sluice_ladder *ladder = sluice_book_ladder(book, o->side);
	uint32_t ref = sluice_ladder_find(&core->pool, ladder, o->price);
	struct sluice_level *level = &core->pool.levels[ref];

	sluice_assert(ref != 0);
	if (o->prev)
		slots[o->prev].next = o->next;
	else
		level->head = o->next;
	if (o->next)
		slots[o->next].prev = o->prev;
	else
		level->tail = o->prev;
	level->count--;
	level->qty -= (uint64_t)o->leaves;
	return ref;
}

void sluice_book_close(struct sluice_step *step, struct sluice_book *book, uint32_t side,
		       int64_t price, uint32_t level)
{
	struct sluice_level_pool *pool = &step->core->pool;

	sluice_emit_depth(step, book, side, price, &pool->levels[level]);
	if (!pool->levels[level].count)
		sluice_ladder_drop(pool, sluice_book_ladder(book, side), price);
}

void sluice_book_pop(struct sluice_core *core, struct sluice_level *level)
{
	struct sluice_order *slots = core->orders.slots;
	uint32_t order = level->head;

	level->count--;
	level->head = slots[order].next;
	if (level->head)
		slots[level->head].prev = 0;
	else
		level->tail = 0;
	sluice_orders_free(&core->orders, order);
}
