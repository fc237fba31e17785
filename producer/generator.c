/* SPDX-License-Identifier: MIT */
#include "producer/generator.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "producer/generator_internal.h"

#define MIDDLE (SLUICE_SHADOW_LEVELS / 2)
#define FAIR_BITS 16
#define FAIR_RANGE 500	    /* ticks that the fair price may move either way */
#define FAIR_STEP (1 << 11) /* largest move per command of the symbol: 1/32 tick */
#define FAIR_PULL 12	    /* each move undoes 2^-12 of the way from the first price */
#define DISTANCE_MAX 400
#define SLIP_MAX 8 /* ticks that an aggressor's limit lies beyond the best price */
#define LOTS_MAX 1000
#define SESSION_ID_BITS 40 /* order ids of a session are dense above (session - 1) << this */
SLUICE_STATIC_ASSERT(FAIR_RANGE + DISTANCE_MAX + 2 < MIDDLE, "every price lies in the window");

struct symbol {
	char name[SLUICE_NAME_BYTES];
	int64_t fair;	 /* ticks above the window's lowest, FAIR_BITS of fraction */
	uint32_t weight; /* of this and all symbols before it, of 2^32 */
	struct sluice_shadow_book book;
};

struct sluice_generator {
	struct sluice_generator_params params;
	struct sluice_random random;
	struct sluice_arrivals arrivals;
	uint64_t made;
	uint64_t next_order_id;
	uint32_t aggressors_end; /* of a thousand: below it an aggressor, and so on */
	uint32_t replaces_end;
	uint32_t reduces_end;
	uint32_t cancel_share; /* of 2^16, while the book is near its depth */
	struct symbol *symbols;
};

/* ------------------------------------------------------------------------------ open, close */

static void set_weights(struct sluice_generator *generator)
{
	uint32_t count = (uint32_t)generator->params.symbols;
	uint64_t total = 0, sum = 0;

	for (uint32_t pass = 0; pass < 2; pass++) {
		for (uint32_t i = 0; i < count; i++) {
			uint64_t log = sluice_log2_q32(&generator->random, i + 1);
			uint64_t weight = sluice_exp2_minus_q32(&generator->random,
								log * generator->params.zipf / 100);

			weight = (weight >> 11) + 1; /* 1024 of them stay far below 2^32 */
			if (pass == 0) {
				total += weight;
				continue;
			}
			sum += weight;
			generator->symbols[i].weight = (uint32_t)((sum << 32) / total - 1);
		}
	}
}

static int init_symbols(struct sluice_generator *generator)
{
	const struct sluice_generator_params *params = &generator->params;

	for (uint32_t i = 0; i < params->symbols; i++) {
		struct symbol *symbol = &generator->symbols[i];

		snprintf(symbol->name, sizeof(symbol->name), "SYM%u", i + 1);
		symbol->fair = (int64_t)MIDDLE << FAIR_BITS;
		if (sluice_shadow_init(&symbol->book, 2 * (uint32_t)params->depth))
			return -ENOMEM;
	}
	set_weights(generator);
	return 0;
}

int sluice_generator_open(struct sluice_generator **ret_generator,
			  const struct sluice_generator_params *params, struct sluice_diag *diag)
{
	struct sluice_generator *generator;
	int err = sluice_generator_check(params, diag);

	if (err)
		return err;
	generator = calloc(1, sizeof(*generator));
	if (!generator)
		return sluice_diag_set(diag, ENOMEM, "generator: no memory");
	generator->params = *params;
	generator->symbols = calloc(params->symbols, sizeof(*generator->symbols));
	sluice_random_init(&generator->random, params->seed);
	if (!generator->symbols || init_symbols(generator)) {
		sluice_generator_close(generator);
		return sluice_diag_set(diag, ENOMEM, "generator: no memory for %llu symbols",
				       (unsigned long long)params->symbols);
	}
	sluice_arrivals_init(&generator->arrivals, params->start_ns, params->rate,
			     (uint32_t)params->hawkes);
	generator->next_order_id = 1;
	if (params->session > 1)
		generator->next_order_id += (params->session - 1) << SESSION_ID_BITS;
	generator->aggressors_end = (uint32_t)params->aggressors;
	generator->replaces_end = generator->aggressors_end + (uint32_t)params->replaces;
	generator->reduces_end = generator->replaces_end + (uint32_t)params->reduces;
	generator->cancel_share = (uint32_t)(65536 * params->cancels / (100 + params->cancels));
	*ret_generator = generator;
	return 0;
}

void sluice_generator_close(struct sluice_generator *generator)
{
	if (!generator)
		return;
	if (generator->symbols)
		for (uint32_t i = 0; i < generator->params.symbols; i++)
			sluice_shadow_release(&generator->symbols[i].book);
	free(generator->symbols);
	free(generator);
}

const char *sluice_generator_symbol(const struct sluice_generator *generator, uint32_t index)
{
	sluice_assert(index < generator->params.symbols);
	return generator->symbols[index].name;
}

/* ---------------------------------------------------------------------------------- draws */

static uint32_t draw_symbol(struct sluice_generator *generator)
{
	uint32_t point = (uint32_t)sluice_random_next(&generator->random);
	uint32_t low = 0, high = (uint32_t)generator->params.symbols - 1;

	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (generator->symbols[middle].weight < point)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void move_fair(struct sluice_generator *generator, struct symbol *symbol)
{
	const int64_t middle = (int64_t)MIDDLE << FAIR_BITS;
	const int64_t range = (int64_t)FAIR_RANGE << FAIR_BITS;
	int64_t off = symbol->fair - middle;

	off -= off / (1 << FAIR_PULL);
	off += (int64_t)sluice_random_below(&generator->random, 2 * FAIR_STEP + 1) - FAIR_STEP;
	if (off > range)
		off = range;
	if (off < -range)
		off = -range;
	symbol->fair = middle + off;
}

static enum sluice_side draw_side(struct sluice_generator *generator)
{
	return sluice_random_next(&generator->random) >> 63 ? SLUICE_SIDE_SELL : SLUICE_SIDE_BUY;
}

/* A level on the passive side of the fair price. */
static uint32_t draw_level(struct sluice_generator *generator, const struct symbol *symbol,
			   enum sluice_side side)
{
	uint32_t fair = (uint32_t)(symbol->fair >> FAIR_BITS);
	uint32_t away = sluice_random_power(
		&generator->random, (uint32_t)generator->params.distance_alpha, DISTANCE_MAX);

	return side == SLUICE_SIDE_BUY ? fair - away : fair + away;
}

static int64_t draw_qty(struct sluice_generator *generator)
{
	uint32_t lots = sluice_random_power(&generator->random,
					    (uint32_t)generator->params.size_alpha, LOTS_MAX);

	return (int64_t)(lots * generator->params.lot);
}

/* A live order: half of the time one of the youngest, which are what real traders cancel first. */
static uint32_t draw_order(struct sluice_generator *generator,
			   const struct sluice_shadow_book *book)
{
	uint32_t count = book->live_count;

	if (sluice_random_next(&generator->random) >> 63)
		return book->live[sluice_random_below(&generator->random, count)];
	return book->live[count - sluice_random_power(&generator->random, 100, count)];
}

static int64_t price_of(const struct sluice_generator *generator, uint32_t level)
{
	return (int64_t)generator->params.price - MIDDLE + level;
}

/* -------------------------------------------------------------------------------- commands */

static void make_place(struct sluice_generator *generator, struct sluice_command *command,
		       enum sluice_side side)
{
	command->head.type = SLUICE_CMD_PLACE;
	command->order_id = generator->next_order_id++;
	command->side = (uint8_t)side;
	command->order_type = SLUICE_ORDER_LIMIT;
	command->tif = SLUICE_TIF_GTC;
	command->qty = draw_qty(generator);
	if (generator->params.accounts)
		command->account = 1 + sluice_random_below(&generator->random,
							   (uint32_t)generator->params.accounts);
}

static void make_add(struct sluice_generator *generator, struct symbol *symbol,
		     struct sluice_command *command)
{
	enum sluice_side side = draw_side(generator);
	uint32_t level = draw_level(generator, symbol, side);
	int64_t leaves;

	make_place(generator, command, side);
	command->price = price_of(generator, level);
	leaves = sluice_shadow_match(&symbol->book, side, level, command->qty);
	if (leaves > 0)
		sluice_shadow_add(&symbol->book, side, level, command->order_id, command->account,
				  command->qty, leaves);
}

static void make_aggressor(struct sluice_generator *generator, struct symbol *symbol,
			   struct sluice_command *command)
{
	enum sluice_side side = draw_side(generator);
	bool buy = side == SLUICE_SIDE_BUY;
	uint32_t best = sluice_shadow_best(&symbol->book, buy ? SLUICE_SIDE_SELL : SLUICE_SIDE_BUY);
	uint32_t slip, level;

	if (best == SLUICE_SHADOW_NONE) {
		make_add(generator, symbol, command);
		return;
	}
	slip = sluice_random_power(&generator->random, 150, SLIP_MAX) - 1;
	level = buy ? best + slip : best - slip;
	make_place(generator, command, side);
	command->tif = SLUICE_TIF_IOC;
	command->price = price_of(generator, level);
	if (sluice_random_below(&generator->random, 100) < generator->params.market) {
		command->order_type = SLUICE_ORDER_MARKET;
		command->price = 0;
		level = buy ? SLUICE_SHADOW_LEVELS - 1 : 0;
	}
	sluice_shadow_match(&symbol->book, side, level, command->qty);
}

static void refer(const struct sluice_shadow_order *order, struct sluice_command *command)
{
	command->order_id = order->order_id;
	command->account = order->account;
}

static void make_cancel(struct sluice_generator *generator, struct symbol *symbol,
			struct sluice_command *command)
{
	uint32_t index = draw_order(generator, &symbol->book);

	command->head.type = SLUICE_CMD_CANCEL;
	refer(&symbol->book.orders[index], command);
	sluice_shadow_remove(&symbol->book, index);
}

static void make_reduce(struct sluice_generator *generator, struct symbol *symbol,
			struct sluice_command *command)
{
	struct sluice_shadow_order *order =
		&symbol->book.orders[draw_order(generator, &symbol->book)];
	int64_t lot = (int64_t)generator->params.lot;

	if (order->leaves_qty <= lot) {
		make_cancel(generator, symbol, command);
		return;
	}
	command->head.type = SLUICE_CMD_REDUCE;
	refer(order, command);
	command->qty = lot;
	order->qty -= lot;
	order->leaves_qty -= lot;
}

/* Three of four replaces move the price, the others give up a part of a large order. */
static void make_replace(struct sluice_generator *generator, struct symbol *symbol,
			 struct sluice_command *command)
{
	uint32_t index = draw_order(generator, &symbol->book);
	struct sluice_shadow_order *order = &symbol->book.orders[index];
	enum sluice_side side = (enum sluice_side)order->side;
	int64_t lot = (int64_t)generator->params.lot;
	uint32_t level;
	int64_t qty = order->qty, leaves;

	command->head.type = SLUICE_CMD_REPLACE;
	refer(order, command);
	if (order->leaves_qty > lot && sluice_random_below(&generator->random, 4) == 0) {
		order->leaves_qty -= lot;
		order->qty -= lot;
		command->qty = order->qty;
		return;
	}
	level = draw_level(generator, symbol, side);
	if (level == order->level) /* further away, so that it is a move */
		level = side == SLUICE_SIDE_BUY ? level - 1 : level + 1;
	command->price = price_of(generator, level);
	leaves = order->leaves_qty;
	sluice_shadow_remove(&symbol->book, index);
	leaves = sluice_shadow_match(&symbol->book, side, level, leaves);
	if (leaves > 0)
		sluice_shadow_add(&symbol->book, side, level, command->order_id, command->account,
				  qty, leaves);
}

/* Adds or cancels, so that the book comes to its depth and stays near it. */
static void make_passive(struct sluice_generator *generator, struct symbol *symbol,
			 struct sluice_command *command)
{
	uint32_t live = symbol->book.live_count;
	uint64_t depth = generator->params.depth;
	uint32_t share = generator->cancel_share;

	if (live < depth / 2)
		share /= 2;
	else if (live < depth)
		share -= share / 16;
	else if (live < depth + depth / 4)
		share += share / 16;
	else
		share = 65536 * 6 / 10;
	if (live >= 2 * depth - 1 ||
	    (live > 0 && sluice_random_below(&generator->random, 65536) < share))
		make_cancel(generator, symbol, command);
	else
		make_add(generator, symbol, command);
}

static void make_flow(struct sluice_generator *generator, struct sluice_command *command)
{
	uint32_t kind = sluice_random_below(&generator->random, 1000);
	struct symbol *symbol;

	command->symbol = draw_symbol(generator);
	symbol = &generator->symbols[command->symbol];
	move_fair(generator, symbol);
	command->time_ns = sluice_arrivals_next(&generator->arrivals, &generator->random);
	if (symbol->book.live_count < 2 || kind >= generator->reduces_end)
		make_passive(generator, symbol, command);
	else if (kind < generator->aggressors_end)
		make_aggressor(generator, symbol, command);
	else if (kind < generator->replaces_end)
		make_replace(generator, symbol, command);
	else
		make_reduce(generator, symbol, command);
}

static void make_symbol(const struct sluice_generator *generator, struct sluice_command *command)
{
	const struct symbol *symbol = &generator->symbols[generator->made];

	command->head.type = SLUICE_CMD_ADD_SYMBOL;
	command->time_ns = generator->params.start_ns;
	memcpy(command->u.define.name, symbol->name, sizeof(symbol->name));
	command->u.define.price_decimals = (uint8_t)generator->params.price_decimals;
	command->u.define.qty_decimals = (uint8_t)generator->params.qty_decimals;
}

bool sluice_generator_next(struct sluice_generator *generator, struct sluice_command *ret_command)
{
	struct sluice_command command = {0};

	if (generator->params.count && generator->made == generator->params.count)
		return false;
	command.head.length = sizeof(command);
	if (generator->made < generator->params.symbols)
		make_symbol(generator, &command);
	else
		make_flow(generator, &command);
	generator->made++;
	if (generator->params.session) {
		command.session = (uint32_t)generator->params.session;
		command.client_seq = generator->made;
	}
	*ret_command = command;
	return true;
}
