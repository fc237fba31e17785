/* SPDX-License-Identifier: MIT */
/*
 * wal_link.h - what the two completions of a linked write and sync mean together. Pure; also the
 * book-keeping of a write that makes its bytes durable by itself.
 */
#ifndef SLUICE_ENGINE_WAL_WAL_LINK_H
#define SLUICE_ENGINE_WAL_WAL_LINK_H

#include <errno.h>

#include "shm/base.h"

struct sluice_wal_link {
	int64_t write;
	int64_t sync;
	uint32_t bytes; /* to be written */
	uint8_t left;	/* completions still to come */
	bool split;	/* submitted in two parts: the sync was not ordered after the write */
};

static inline void sluice_wal_link_begin(struct sluice_wal_link *link, uint32_t bytes, bool linked)
{
	*link = (struct sluice_wal_link){.bytes = bytes, .left = linked ? 2 : 1};
}

/* One completion, in any order. True: that was the last one. */
static inline bool sluice_wal_link_take(struct sluice_wal_link *link, bool is_sync, int64_t result)
{
	if (is_sync)
		link->sync = result;
	else
		link->write = result;
	sluice_assert(link->left > 0);
	return --link->left == 0;
}

/*
 * The write's result if it failed or was short: the sync was cancelled then, or covers part of the
 * block. Else the sync's error. A sync that was not ordered after the write proves nothing, even if
 * it succeeded; an error of it counts.
 */
static inline int64_t sluice_wal_link_result(const struct sluice_wal_link *link)
{
	if (link->write != link->bytes)
		return link->write;
	if (link->sync < 0)
		return link->sync;
	return link->split ? -ECANCELED : link->write;
}

#endif
