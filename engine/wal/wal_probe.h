/* SPDX-License-Identifier: MIT */
/*
 * wal_probe.h - times commits on a log's probe file, through the ops and with the engine's way to
 * wait. Called by a backend's arm: the ring is there, and nothing is in flight.
 */
#ifndef SLUICE_ENGINE_WAL_WAL_PROBE_H
#define SLUICE_ENGINE_WAL_WAL_PROBE_H

#include "engine/wal/wal_files.h"

#define SLUICE_WAL_PROBE_COMMITS 64u

struct sluice_wal_probe {
	uint64_t ns[SLUICE_WAL_PROBE_COMMITS];
	uint64_t spent_ns;
	uint32_t n;
};

/* NULL, or why it cannot be used. */
const char *sluice_wal_probe_unusable(const struct sluice_wal_files *files);

/*
 * Up to n more commits of 4 KiB, fewer when all together have taken a second: a slow disk must not
 * make the start slow. `page` is the first one of armed buffer 0. 0, or -errno of a write that
 * failed.
 */
int sluice_wal_probe_run(struct sluice_wal_io *io, const void *page, uint32_t n,
			 struct sluice_wal_probe *probe);

#define SLUICE_WAL_PROBES 3u /* by enum sluice_wal_sync */

/*
 * The mode to write in: io.sync, or with auto the timed one with the lower p99, dsync if that is
 * even. Adds it to io.text with what was timed, or with why nothing was, and sets the median.
 */
uint32_t sluice_wal_probe_choose(struct sluice_wal_io *io, struct sluice_wal_probe *probes,
				 const char *untimed);

/* Of at least one sample; permutes them. The highest of 64 is let go by p99: it may be anything. */
uint64_t sluice_wal_probe_p50(struct sluice_wal_probe *probe);
uint64_t sluice_wal_probe_p99(struct sluice_wal_probe *probe);

#endif
