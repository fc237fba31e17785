/* SPDX-License-Identifier: MIT */
/*
 * sessions.h - the last client_seq of every source, for duplicate detection. Open addressing, at
 * most half full; sources are never forgotten. Session 0 is no session.
 */
#ifndef SLUICE_ENGINE_CORE_SESSIONS_H
#define SLUICE_ENGINE_CORE_SESSIONS_H

#include "shm/events.h"

struct sluice_session {
	uint64_t last; /* greatest client_seq seen */
	uint32_t id;
	uint32_t reserved;
};
SLUICE_ASSERT_SIZE(sluice_session, 16);

struct sluice_sessions {
	struct sluice_session *entries;
	uint32_t mask;
	uint32_t used;
	uint32_t max;
	uint32_t reserved;
};

uint32_t sluice_session_entries(uint32_t sessions_max);

/* Storage of sluice_session_entries(max), all zero. */
void sluice_sessions_init(struct sluice_sessions *sessions, struct sluice_session *entries,
			  uint32_t max);

/* Advances the session, or says why the command must be refused; then nothing changes. */
enum sluice_reason sluice_sessions_advance(struct sluice_sessions *sessions, uint32_t id,
					   uint64_t client_seq);

/*
 * Puts a source back into the place that it had in a table of the same size. False: the place is
 * not there or not free, or there are too many sources. Whether it can be found there is a question
 * for the check, when all are back.
 */
bool sluice_sessions_put(struct sluice_sessions *sessions, uint64_t place, uint32_t id,
			 uint64_t last);

/* NULL, or which source cannot be found. */
const char *sluice_sessions_check(const struct sluice_sessions *sessions);

#endif
