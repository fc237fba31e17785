/* SPDX-License-Identifier: MIT */
/*
 * sessions.c - duplicate detection per source. Advanced once per command, on the engine's thread.
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

/* Where a source stands, or the free place where it would. */
static uint32_t find(const struct sluice_sessions *sessions, uint32_t id)
{
	uint32_t i = (uint32_t)(id * UINT64_C(0x9e3779b97f4a7c15) >> 32) & sessions->mask;

	while (sessions->entries[i].id && sessions->entries[i].id != id)
		i = (i + 1) & sessions->mask;
	return i;
}

enum sluice_reason sluice_sessions_advance(struct sluice_sessions *sessions, uint32_t id,
					   uint64_t client_seq)
{
	struct sluice_session *session = &sessions->entries[find(sessions, id)];

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

bool sluice_sessions_put(struct sluice_sessions *sessions, uint64_t place, uint32_t id,
			 uint64_t last)
{
	if (place > sessions->mask || sessions->entries[place].id ||
	    sessions->used == sessions->max)
		return false;
	sessions->entries[place].id = id;
	sessions->entries[place].last = last;
	sessions->used++;
	return true;
}

/* A source that stands twice is not found at one of its places. */
const char *sluice_sessions_check(const struct sluice_sessions *sessions)
{
	uint32_t i, used = 0;

	for (i = 0; i <= sessions->mask; i++) {
		if (!sessions->entries[i].id)
			continue;
		if (find(sessions, sessions->entries[i].id) != i)
			return "a source cannot be found where it stands";
		used++;
	}
	return used == sessions->used ? NULL : "the sources are miscounted";
}
