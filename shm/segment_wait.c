/* SPDX-License-Identifier: MIT */
/* segment_wait.c - see segment_wait.h. Leaves nothing behind when it is killed. */
#include "shm/segment_wait.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "shm/clock.h"
#include "shm/ring.h"

#define STEP_NS 5000000u
#define SAY_AFTER_NS 1000000000u

static int check_kind(const struct sluice_segment *segment, uint32_t event_kind,
		      struct sluice_diag *diag)
{
	if (segment->header.event_kind == event_kind)
		return 0;
	return sluice_diag_set(diag, EPROTO, "%s holds events of kind %u, not of kind %u: it is no "
			       "ring of a sluice-engine of that name", segment->header.name,
			       segment->header.event_kind, event_kind);
}

/* 0: attached; -ENOENT: not there yet, or on its way out. */
static int try_attach(struct sluice_segment *ret_segment, const struct sluice_segment_wait *options,
		      struct sluice_diag *diag)
{
	struct sluice_segment segment;
	struct sluice_ring ring;
	int rc = sluice_segment_attach(&segment, options->name, options->access, diag);

	if (rc)
		return rc;
	rc = check_kind(&segment, options->event_kind, diag);
	sluice_ring_init(&ring, &segment);
	if (!rc && sluice_ring_state(&ring) == SLUICE_STATE_RETIRED)
		rc = -ENOENT;
	if (rc)
		sluice_segment_close(&segment);
	else
		*ret_segment = segment;
	return rc;
}

int sluice_segment_wait(struct sluice_segment *ret_segment,
			const struct sluice_segment_wait *options, struct sluice_diag *diag)
{
	const struct timespec step = {.tv_nsec = STEP_NS};
	const uint64_t started_ns = sluice_clock_ns();
	bool said = false;
	char what[128];
	int rc;

	snprintf(what, sizeof(what), "ring %s: is its sluice-engine running?", options->name);
	for (;;) {
		const uint64_t waited_ns = sluice_clock_ns() - started_ns;

		rc = try_attach(ret_segment, options, diag);
		if (rc != -ENOENT)
			return rc;
		if (options->is_stopped && options->is_stopped())
			return -EINTR;
		if (options->timeout_ns && waited_ns >= options->timeout_ns)
			return sluice_diag_set(diag, ETIMEDOUT, "waited %.1f s for %s",
					       (double)waited_ns / 1e9, what);
		if (!said && waited_ns >= SAY_AFTER_NS && options->say) {
			options->say(what);
			said = true;
		}
		nanosleep(&step, NULL);
	}
}
