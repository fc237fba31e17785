/* SPDX-License-Identifier: MIT */
/* core_player.c - see core_player.h. */
#include "tests/lib/core_player.h"

#include <stdlib.h>

void core_player_room(struct sluice_sink *sink)
{
	sink->report_limit = sink->report_next + CORE_PLAYER_RING;
	sink->md_limit = sink->md_next + CORE_PLAYER_RING;
}

void core_player_init(struct core_player *player, const struct sluice_core_options *limits)
{
	if (!player->core)
		player->core = aligned_alloc(64, (sluice_core_bytes(limits) + 63) & ~(size_t)63);
	if (!player->core)
		abort();
	sluice_core_init(player->core, limits);
	player->sink = (struct sluice_sink){.reports = player->reports,
					    .report_mask = CORE_PLAYER_RING - 1,
					    .report_next = 1,
					    .md = player->md,
					    .md_mask = CORE_PLAYER_RING - 1,
					    .md_next = 1,
					    .make_room = core_player_room};
	core_player_room(&player->sink);
}
