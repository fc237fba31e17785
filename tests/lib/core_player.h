/* SPDX-License-Identifier: MIT */
/*
 * core_player.h - a core with a sink of its own that never is full: for targets that give it
 * arbitrary commands and look at what comes. One thread.
 */
#ifndef SLUICE_TESTS_CORE_PLAYER_H
#define SLUICE_TESTS_CORE_PLAYER_H

#include "engine/core/core.h"

#define CORE_PLAYER_RING 512u

struct core_player {
	struct sluice_core *core;
	struct sluice_sink sink;
	struct sluice_report reports[CORE_PLAYER_RING]; /* the last ones */
	struct sluice_md_event md[CORE_PLAYER_RING];
};

/* An empty core, also of one that was used before, of the same limits. Aborts without memory. */
void core_player_init(struct core_player *player, const struct sluice_core_options *limits);
/* The sink's room again, from where it is: after its numbers were set. */
void core_player_room(struct sluice_sink *sink);

#endif
