/* SPDX-License-Identifier: MIT */
/*
 * role_follower.c - the follower as a simulated process, and the checker's look at its snapshots.
 * It speaks to the engine through the mailbox in NAME.rep, as engine/supervise.h says.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/engine.h"
#include "engine/wal/follower.h"
#include "engine/wal/snapshot.h"
#include "engine/wal/wal_scan.h"
#include "tests/sim/check.h"
#include "tests/sim/disk.h"
#include "tests/sim/roles.h"
#include "tests/sim/segment.h"
#include "tests/sim/trace.h"

#define NAP_NS 1000000u

static bool in_step; /* of the follower that lives, or died in it */

static struct sluice_counter *mailbox(void)
{
	const struct sluice_segment *rep = sim_segment_find(SIM_INSTANCE ".rep");
	char label[SLUICE_LABEL_BYTES];

	for (uint32_t i = 0; rep && i < rep->header.counter_count; i++)
		if (sluice_counter_label(&rep->counters[i], label) &&
		    !strcmp(label, ENGINE_SNAPSHOT_READY))
			return &rep->counters[i];
	return NULL;
}

static bool engine_lives(void)
{
	struct sim_process_view view;

	sim_view(SIM_ENGINE, &view);
	return view.alive;
}

static bool may_write(void)
{
	struct sluice_counter *box = mailbox();

	if (!box)
		return true;
	if (!engine_lives())
		sluice_counter_set(box, 0);
	/* relaxed: one thread */
	return atomic_load_explicit(&box->value, memory_order_relaxed) == 0;
}

static void announce(const struct sluice_follower_view *view, uint64_t *announced)
{
	struct sluice_counter *box = mailbox();

	if (!box || view->snapshot_whole <= view->snapshot_named ||
	    *announced == view->snapshot_whole || !may_write())
		return;
	*announced = view->snapshot_whole;
	sim_trace("snapshot %llu is announced", *announced, 0, 0, 0);
	sluice_counter_set(box, *announced);
}

static void follow(struct sluice_follower *follower, struct sluice_diag *diag)
{
	struct sluice_follower_view view;
	uint64_t announced = 0, naps = 0;
	int rc;

	do {
		sluice_follower_hold(follower, !may_write());
		in_step = true;
		rc = sluice_follower_step(follower, diag);
		in_step = false;
		sluice_follower_view(follower, &view);
		sim_points_off();
		sim_check_follower(view.block_seq,
				   sluice_core_chain_hash(sluice_follower_core(follower)),
				   view.cmd_seq);
		sim_points_on();
		if (naps % 64 == 63)
			announced = 0; /* one that was refused for now is offered again */
		announce(&view, &announced);
		if (rc == 0) {
			naps++;
			nanosleep(&(struct timespec){.tv_nsec = NAP_NS}, NULL);
		}
	} while (rc >= 0);
	sim_trace("the follower ends with error %llu", (uint64_t)-rc, 0, 0, 0);
	sim_follower_ended(rc, diag->text);
}

void sim_follower(void)
{
	const struct sluice_follower_options options = {
		.every_bytes = sim_world.every_bytes,
		.rate_bytes = 0,
	};
	struct sluice_diag *diag = calloc(1, sizeof(*diag));
	struct sluice_follower *follower;
	struct sluice_wal_io *io;
	int rc = sim_disk_open(&io);

	in_step = false;
	if (!rc)
		rc = sluice_follower_open(&follower, io, &options, diag);
	if (rc) {
		sim_follower_ended(rc, diag->text);
		return;
	}
	follow(follower, diag);
	sluice_follower_close(follower);
}

static bool is_good(const struct sluice_wal_super *super,
		    const struct sluice_wal_snapshot *snapshot, struct sluice_diag *diag)
{
	_Alignas(SLUICE_WAL_ALIGN) static unsigned char window[SLUICE_WAL_SCAN_BYTES];

	return snapshot && !sluice_snapshot_check(sim_disk_media(), super, snapshot, window, diag);
}

/*
 * The follower looks at the newest before it gives up the other one's file: what rots behind its
 * back, or while the write that gives it up is under way, is too late.
 */
static bool gives_up(uint32_t file)
{
	struct sim_process_view view;

	sim_view(SIM_FOLLOWER, &view);
	return (view.alive && in_step) || sim_disk_is_written(file);
}

bool sim_can_lose_snapshot(uint32_t file)
{
	const struct sluice_wal_super *super = sim_disk_super();
	const uint32_t which = 1 - (file - SLUICE_WAL_FILE_SNAPSHOT);
	const struct sluice_wal_snapshot *other;
	struct sluice_diag unused;
	bool can;

	if (!super)
		return false;
	other = &super->snapshot[which];
	sim_points_off();
	can = !super->start.block_seq ||
	      (other->sequence && !gives_up(SLUICE_WAL_FILE_SNAPSHOT + which) &&
	       is_good(super, other, &unused));
	sim_points_on();
	return can;
}

/*
 * What is named by a living engine is whole at that moment. Later the older one's file is written
 * over; and a superblock of an engine that was killed may come when the follower, who knows of its
 * death, has written over what it names. So it may with a start's superblock if the one before has
 * rotted since the engine read it: the follower does not know that it named anything. One way to
 * start must be left in any case.
 */
void sim_check_snapshots(const struct sluice_wal_super *super, bool by_living)
{
	const struct sluice_wal_snapshot *newest = sluice_snapshot_newest(super);
	const struct sluice_wal_super *before = sim_disk_super_before(super);
	struct sluice_diag diag = {.text = ""};
	bool good, is_new;

	if (sluice_snapshot_older(super) &&
	    super->start.block_seq > sluice_snapshot_older(super)->place.block_seq)
		sim_fail("snapshot", "superblock %llu starts the log at block %llu, behind its older "
			 "snapshot", (unsigned long long)super->sequence,
			 (unsigned long long)super->start.block_seq);
	if (!newest || sim_check_is_damaged())
		return;
	sim_trace("it names snapshot %llu, of the blocks below %llu", newest->sequence,
		  newest->place.block_seq, 0, 0);
	is_new = before && (!sluice_snapshot_newest(before) ||
			    sluice_snapshot_newest(before)->sequence != newest->sequence);
	sim_points_off();
	good = is_good(super, newest, &diag);
	if (good)
		sim_check_place(&newest->place);
	else if (by_living && is_new && !sim_world.rotten_snapshot)
		sim_fail("snapshot", "superblock %llu names snapshot %llu: %s",
			 (unsigned long long)super->sequence, (unsigned long long)newest->sequence,
			 diag.text);
	else if (super->start.block_seq && !is_good(super, sluice_snapshot_older(super), &diag))
		sim_fail("snapshot", "superblock %llu names no snapshot that is whole: %s",
			 (unsigned long long)super->sequence, diag.text);
	sim_points_on();
}
