/* SPDX-License-Identifier: MIT */
/* ladder_view.c - see ladder_view.h. */
#include "tools/ladder_view.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shm/append.h"

/* Where the price is, or would be. */
static size_t place(const struct sluice_ladder_side *side, bool is_bids, int64_t price)
{
	size_t low = 0;
	size_t high = side->count;

	while (low < high) {
		const size_t middle = low + (high - low) / 2;
		const int64_t other = side->level[middle].price;

		if (is_bids ? other > price : other < price)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int insert(struct sluice_ladder_side *side, size_t at, const struct sluice_core_level *level)
{
	if (side->count == side->room) {
		const size_t room = side->room ? 2 * side->room : 256;
		struct sluice_core_level *grown = reallocarray(side->level, room, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		side->level = grown;
		side->room = room;
	}
	memmove(&side->level[at + 1], &side->level[at], (side->count - at) * sizeof(*side->level));
	side->level[at] = *level;
	side->count++;
	return 0;
}

int sluice_ladder_view_set(struct sluice_ladder_view *view, enum sluice_side side,
			   const struct sluice_core_level *level)
{
	const bool is_bids = side == SLUICE_SIDE_BUY;
	struct sluice_ladder_side *levels = &view->side[!is_bids];
	size_t at;

	if (side != SLUICE_SIDE_BUY && side != SLUICE_SIDE_SELL)
		return 0;
	at = place(levels, is_bids, level->price);
	if (at == levels->count || levels->level[at].price != level->price)
		return level->qty ? insert(levels, at, level) : 0;
	if (level->qty) {
		levels->level[at] = *level;
		return 0;
	}
	levels->count--;
	memmove(&levels->level[at], &levels->level[at + 1],
		(levels->count - at) * sizeof(*levels->level));
	return 0;
}

void sluice_ladder_view_release(struct sluice_ladder_view *view)
{
	free(view->side[0].level);
	free(view->side[1].level);
	memset(view, 0, sizeof(*view));
}

static void print_level(const struct sluice_ladder_view *view, const char *word,
			const struct sluice_core_level *level)
{
	char price[2 * SLUICE_APPEND_NUMBER_BYTES + 1];
	char qty[2 * SLUICE_APPEND_NUMBER_BYTES + 1];

	*sluice_append_decimal(price, level->price, view->price_decimals) = '\0';
	*sluice_append_decimal(qty, level->qty, view->qty_decimals) = '\0';
	printf("  %-4s %16s %16s %8u\n", word, price, qty, level->count);
}

void sluice_ladder_view_print(const struct sluice_ladder_view *view, size_t depth)
{
	const struct sluice_ladder_side *bids = &view->side[0];
	const struct sluice_ladder_side *asks = &view->side[1];

	printf("  %-4s %16s %16s %8s\n", "", "price", "qty", "orders");
	if (asks->count > depth)
		printf("  %-4s %zu more\n", "ask", asks->count - depth);
	for (size_t i = asks->count < depth ? asks->count : depth; i > 0; i--)
		print_level(view, "ask", &asks->level[i - 1]);
	puts("  ----");
	for (size_t i = 0; i < bids->count && i < depth; i++)
		print_level(view, "bid", &bids->level[i]);
	if (bids->count > depth)
		printf("  %-4s %zu more\n", "bid", bids->count - depth);
}

void sluice_ladder_view_json(struct sluice_json *json, const struct sluice_ladder_view *view,
			     size_t depth)
{
	static const char *const keys[2] = {"bids", "asks"};

	for (int i = 0; i < 2; i++) {
		const struct sluice_ladder_side *side = &view->side[i];

		sluice_json_array(json, keys[i]);
		for (size_t k = 0; k < side->count && k < depth; k++) {
			sluice_json_object(json, NULL);
			sluice_json_i64(json, "price_ticks", side->level[k].price);
			sluice_json_i64(json, "qty_lots", side->level[k].qty);
			sluice_json_u64(json, "orders_count", side->level[k].count);
			sluice_json_end(json);
		}
		sluice_json_end(json);
	}
}
