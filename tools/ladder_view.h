/* SPDX-License-Identifier: MIT */
/*
 * ladder_view.h - one symbol's price levels as a private table, fed by depth events or by a core.
 * One thread; memory grows with the levels.
 */
#ifndef SLUICE_TOOLS_LADDER_VIEW_H
#define SLUICE_TOOLS_LADDER_VIEW_H

#include "cli/json.h"
#include "engine/core/core.h"

struct sluice_ladder_side {
	struct sluice_core_level *level; /* best first */
	size_t count;
	size_t room;
};

struct sluice_ladder_view {
	struct sluice_ladder_side side[2]; /* bids, asks */
	uint8_t price_decimals;
	uint8_t qty_decimals;
};

/* The level now holds qty in count orders; 0 removes it. -ENOMEM. Other sides are ignored. */
int sluice_ladder_view_set(struct sluice_ladder_view *view, enum sluice_side side,
			   const struct sluice_core_level *level);
void sluice_ladder_view_release(struct sluice_ladder_view *view);

/* At most `depth` levels of each side: asks downwards to the best, then bids. */
void sluice_ladder_view_print(const struct sluice_ladder_view *view, size_t depth);
/* Two arrays of the open object: bids and asks, best first, in ticks and lots. */
void sluice_ladder_view_json(struct sluice_json *json, const struct sluice_ladder_view *view,
			     size_t depth);

#endif
