/* SPDX-License-Identifier: MIT */
/*
 * repair.c - see repair.h. Who calls it: `sluice gc --repair`, and sluice_segment_attach when it
 * finds a repair that was killed.
 *
 * All lock bytes are taken at once, which proves that nobody lives, and the attachment byte is
 * kept, so that nobody comes. The participants' bytes are given back at once: recovery asks for
 * them, and must hear that they are dead. What is to be done follows from the shared words alone
 * and every step leaves words that a repair accepts, so a crash costs nothing but a second run;
 * the state says RECOVERING from before the first change until after the last.
 *
 * sync pairs of this file:
 *   state:set -> ring:state		everything that was put in order
 *   entry:active -> view:state		an entry's content before its state
 */
#include "shm/repair.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "shm/lockfile.h"
#include "shm/recovery.h"
#include "shm/repair_internal.h"
#include "shm/segment_internal.h"

#define ALONE_TRIES 200
#define ALONE_NAP_NS 1000000

static const struct sluice_lock_range all_bytes = {F_WRLCK, SLUICE_LOCK_ALL_FIRST,
						   SLUICE_LOCK_ALL_COUNT};

SLUICE_STATIC_ASSERT(SLUICE_LOCK_RECOVERER == SLUICE_PARTICIPANTS_MAX,
		     "the participants' bytes are those below the recoverer's");

static int in_use(const struct sluice_segment *segment, struct sluice_diag *diag)
{
	uint32_t live = 0;

	for (uint32_t i = 0; i < segment->header.participant_count; i++)
		live += sluice_liveness_probe(segment, i) == 1;
	sluice_diag_set(diag, EBUSY,
			"segment \"%s\" is in use (%u participants live): what dead ones left is recovered by the living",
			segment->header.name, live);
	sluice_diag_hint(diag, "sluice ls --name %s", segment->header.name);
	return -EBUSY;
}

/*
 * Everybody else's bytes are free, at one instant, and nobody can attach from then on. Somebody who
 * only tried the name lets go of it by himself.
 */
static int be_alone(const struct sluice_segment *segment, struct sluice_diag *diag)
{
	const struct timespec nap = {.tv_nsec = ALONE_NAP_NS};
	int err = sluice_lockfile_try(segment->lock_fd, all_bytes);

	for (uint32_t i = 0; err == -EAGAIN && i < ALONE_TRIES; i++) {
		nanosleep(&nap, NULL);
		err = sluice_lockfile_try(segment->lock_fd, all_bytes);
	}
	if (err == -EAGAIN)
		return in_use(segment, diag);
	if (!err)
		err = sluice_lockfile_drop(segment->lock_fd, 0, SLUICE_PARTICIPANTS_MAX);
	if (!err)
		err = sluice_lockfile_drop(segment->lock_fd, SLUICE_LOCK_PRODUCER, 1);
	if (err)
		return sluice_diag_set(diag, -err, "cannot lock %s: %s", segment->lock_path,
				       strerror(-err));
	return 0;
}

/* For a dry run: as alone as one can know who takes no lock. */
static int look_alone(const struct sluice_segment *segment, struct sluice_diag *diag)
{
	const int held = segment->probe_fd < 0 ?
				 -EACCES :
				 sluice_lockfile_held(segment->probe_fd, all_bytes);

	if (held < 0)
		return sluice_diag_set(diag, -held, "cannot ask %s who lives: %s",
				       segment->lock_path, strerror(-held));
	return held ? in_use(segment, diag) : 0;
}

/* --------------------------------------------------------------------------------- changes */

static void set_state(struct repair *repair, uint64_t epoch, uint32_t state)
{
	/* sync: state:set -> ring:state; all changes before it */
	atomic_store_explicit(&repair->segment.control->state,
			      epoch << SLUICE_STATE_EPOCH_SHIFT | state, memory_order_release);
	repair->result.state_after = state;
	repair->result.epoch_after = epoch;
}

static void settle_consumers(struct repair *repair)
{
	struct sluice_control *control = repair->segment.control;

	/* relaxed, both: nobody else is there; whoever comes takes the lock bytes after us */
	atomic_store_explicit(&control->gating, repair->gating, memory_order_relaxed);
	atomic_fetch_add_explicit(&control->membership, 1, memory_order_relaxed);
	for (uint32_t i = 0; i < repair->segment.header.participant_count; i++) {
		struct sluice_participant *entry = &repair->segment.participants[i];
		/* relaxed: as above */
		uint64_t state = atomic_load_explicit(&entry->state, memory_order_relaxed);

		if (repair->fate[i] == REPAIR_NOTHING || entry->role == SLUICE_ROLE_PRODUCER)
			continue;
		state = (state & ~SLUICE_PARTICIPANT_STATE_MASK) |
			(repair->fate[i] == REPAIR_AWAY ? SLUICE_PARTICIPANT_DETACHED :
							  SLUICE_PARTICIPANT_FREE);
		/* sync: entry:active -> view:state; its bit before its state */
		atomic_store_explicit(&entry->state, state, memory_order_release);
	}
}

/* After recovery, which still needed to know what they had claimed. */
static void settle_producers(struct repair *repair)
{
	for (uint32_t i = 0; i < repair->segment.header.participant_count; i++) {
		struct sluice_participant *entry = &repair->segment.participants[i];
		/* relaxed: nobody else is there */
		const uint64_t state = atomic_load_explicit(&entry->state, memory_order_relaxed);

		/* relaxed: as above */
		atomic_store_explicit(&entry->claim_record, SLUICE_CLAIM_IDLE,
				      memory_order_relaxed);
		if (repair->fate[i] != REPAIR_FREE || entry->role != SLUICE_ROLE_PRODUCER)
			continue;
		/* sync: entry:active -> view:state; its claims before its entry */
		atomic_store_explicit(&entry->state,
				      (state & ~SLUICE_PARTICIPANT_STATE_MASK) |
					      SLUICE_PARTICIPANT_FREE,
				      memory_order_release);
	}
}

static void wake_nobody(struct repair *repair)
{
	struct sluice_control *control = repair->segment.control;

	/* relaxed, all: the sleepers are dead */
	atomic_store_explicit(&control->consumer_sleepers, 0, memory_order_relaxed);
	atomic_store_explicit(&control->producer_sleepers, 0, memory_order_relaxed);
	atomic_store_explicit(&control->stage_sleepers, 0, memory_order_relaxed);
}

static int apply(struct repair *repair, struct sluice_diag *diag)
{
	const bool is_closed = repair->result.state == SLUICE_STATE_DRAINING ||
			       repair->result.state == SLUICE_STATE_RETIRED;
	int rc;

	if (!is_closed)
		set_state(repair, repair->result.epoch, SLUICE_STATE_RECOVERING);
	settle_consumers(repair);
	rc = sluice_recover_locked(&repair->segment);
	if (rc < 0)
		return sluice_diag_set(diag, -rc, "segment \"%s\": its slots cannot be recovered: %s",
				       repair->segment.header.name, strerror(-rc));
	repair->result.tombstones = (uint64_t)rc;
	settle_producers(repair);
	wake_nobody(repair);
	set_state(repair, repair->result.epoch + 1,
		  is_closed ? repair->result.state : SLUICE_STATE_READY);
	return 0;
}

static int refuse(struct repair *repair, bool dry_run, struct sluice_diag *diag)
{
	const struct sluice_repair_finding *first = &repair->first;
	char expected[64];

	if (first->least == first->most)
		snprintf(expected, sizeof(expected), "%" PRIu64, first->least);
	else
		snprintf(expected, sizeof(expected), "%" PRIu64 " to %" PRIu64, first->least,
			 first->most);
	if (!dry_run)
		set_state(repair, repair->result.epoch, SLUICE_STATE_POISONED);
	sluice_diag_set(diag, EBADMSG,
			"segment \"%s\" is damaged at offset %#" PRIx64 ": %s: %" PRIu64
			" found, %s expected (places in all: %u)",
			repair->segment.header.name, first->offset, first->what, first->found,
			expected, repair->result.damages);
	sluice_diag_hint(diag, "sluice retire %s --yes", repair->segment.header.name);
	return -EBADMSG;
}

int sluice_segment_repair(const char *name, bool dry_run,
			  const struct sluice_repair_report *report,
			  struct sluice_repair_result *ret_result, struct sluice_diag *diag)
{
	struct repair repair = {.report = report};
	int err = sluice_segment_attach_any(&repair.segment, name,
					    dry_run ? SLUICE_ACCESS_READ : SLUICE_ACCESS_WRITE,
					    diag);

	if (err)
		return err;
	sluice_ring_init(&repair.ring, &repair.segment);
	err = dry_run ? look_alone(&repair.segment, diag) : be_alone(&repair.segment, diag);
	if (!err) {
		repair_check(&repair);
		repair.result.state_after = repair.result.state;
		repair.result.epoch_after = repair.result.epoch;
		if (repair.result.damages)
			err = refuse(&repair, dry_run, diag);
		else if (repair.result.needed && !dry_run)
			err = apply(&repair, diag);
		*ret_result = repair.result;
	}
	sluice_segment_close(&repair.segment);
	return err;
}
