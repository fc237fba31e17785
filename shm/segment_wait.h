/* SPDX-License-Identifier: MIT */
/*
 * segment_wait.h - attach to a ring that may not be there yet: the programs of an instance can be
 * started in any order. Main thread, start-up; sleeps in short steps.
 */
#ifndef SLUICE_SHM_SEGMENT_WAIT_H
#define SLUICE_SHM_SEGMENT_WAIT_H

#include "shm/segment.h"

struct sluice_segment_wait {
	const char *name;
	enum sluice_access access;
	uint32_t event_kind; /* what its slots must hold */
	uint64_t timeout_ns; /* 0: for ever */
	/* Asked at every step; true gives up with -EINTR. */
	bool (*is_stopped)(void);
	/* Called once, when it takes longer than a second; `what` says what is waited for. */
	void (*say)(const char *what);
};

/*
 * Attaches when the ring exists and is open. -ETIMEDOUT, -EINTR, -EPROTO (it holds other events),
 * or what sluice_segment_attach says.
 */
SLUICE_API int sluice_segment_wait(struct sluice_segment *ret_segment,
				   const struct sluice_segment_wait *options,
				   struct sluice_diag *diag);

#endif
