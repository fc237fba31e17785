/* SPDX-License-Identifier: MIT */
/*
 * sessions.c - duplicate detection per source. Called once per command, on the engine's thread.
 */
#include "engine/core/sessions.h"

uint32_t sluice_session_entries(uint32_t sessions_max)
{
	uint32_t entries = 16;

	while (entries < 2 * sessions_max)
		entries *= 2;
	return entries;
}

void sluice_sessions_init(struct sluice_sessions *sessions, struct sluice_session *entries,
			  uint32_t max)
{
	*sessions = (struct sluice_sessions){
		.entries = entries,
		.mask = sluice_session_entries(max) - 1,
		.max = max,
	};
}

enum sluice_reason sluice_sessions_advance(struct sluice_sessions *sessions, uint32_t id,
					   uint64_t client_seq)
{
	uint32_t i = (uint32_t)(id * UINT64_C(0x9e3779b97f4a7c15) >> 32) & sessions->mask;
	struct sluice_session *session;

	while (sessions->entries[i].id && sessions->entries[i].id != id)
		i = (i + 1) & sessions->mask;
	session = &sessions->entries[i];
	if (!session->id && sessions->used == sessions->max)
		return SLUICE_REASON_TOO_MANY_SESSIONS;
	if (client_seq <= session->last)
		return SLUICE_REASON_DUPLICATE_COMMAND;
	if (!session->id)
		sessions->used++;
	session->id = id;
	session->last = client_seq;
	return SLUICE_REASON_NONE;
}
