/* SPDX-License-Identifier: MIT */
/*
 * follow_fixture.h - what the follower's tests share: an engine in small (a log, a core, commands
 * whose bytes follow from their number), and a follower of its log in the same process.
 *
 * As in wal_fixture.h a failing set-up ends the test program; what is under test is returned.
 */
#ifndef SLUICE_TESTS_LIB_FOLLOW_FIXTURE_H
#define SLUICE_TESTS_LIB_FOLLOW_FIXTURE_H

#include "engine/wal/follower.h"
#include "engine/wal/snapshot.h"
#include "tests/lib/wal_fixture.h"

struct follow_world {
	struct wal_fixture fixture;
	struct sluice_diag diag;
	struct sluice_wal *wal;	    /* NULL: no engine runs */
	struct sluice_wal_io *disk; /* the log's own, of fault_io.h; lives as long as wal */
	struct sluice_core *core;
	void *core_memory;
	struct sluice_sink sink;
	struct sluice_report reports[64];
	uint64_t hash_lie;   /* added to the headers of blocks opened from now on */
	uint64_t report_lie; /* likewise */
	bool quiet_consumer; /* reports are not taken: no snapshot may be named */
	bool deep;	     /* orders stay and pile up */
};

/* A formatted log; orders_max 0: as few as the other fixture has. */
void follow_world_make(struct follow_world *world, uint32_t orders_max);
void follow_world_remove(struct follow_world *world);

/* Starts the engine: open, restore, replay, start. 0 or -errno of the log. */
int follow_world_start(struct follow_world *world);
/* The same when there is no doubt that it starts. */
void follow_world_started(struct follow_world *world);
/* Ends it; not clean: what is in flight is waited for, nothing else. */
void follow_world_stop(struct follow_world *world, bool clean);

/* Executes and logs n commands as one block, or two at a segment's end. 0, or -ENOSPC: log full. */
int follow_world_block(struct follow_world *world, uint32_t n);
/* The same, and waits until it is durable. */
int follow_world_settled_block(struct follow_world *world, uint32_t n);
/* Blocks until the log has `bytes` more, or is full. */
void follow_world_write(struct follow_world *world, uint64_t bytes);
void follow_world_settle(struct follow_world *world);
/* A block that witnesses all that was written before. */
void follow_world_seal(struct follow_world *world);

/* Offers snapshot q and waits for the superblock. 0 or -errno of the offer. */
int follow_world_offer(struct follow_world *world, uint64_t sequence);

/* The state's hash after the commands below cmd_seq, from a core that executed just these. */
uint64_t follow_world_hash_at(const struct follow_world *world, uint64_t cmd_seq);

/* The first block of the log with this number or a later one, as a reader sees it. */
struct wal_fixture_block_place follow_world_place(struct follow_world *world, uint64_t block_seq);

/* Opens a follower over the directory's own disk. `patch` may change it before; may be NULL. */
int follow_open(struct follow_world *world, const struct sluice_follower_options *options,
		void (*patch)(struct sluice_wal_io *io), struct sluice_follower **ret_follower);
/* The same when there is no doubt that it opens. */
struct sluice_follower *follow_opened(struct follow_world *world,
				      const struct sluice_follower_options *options);
/* Steps until nothing is to be done several times in a row. 0 or the step's error. */
int follow_drain(struct follow_world *world, struct sluice_follower *follower);
/* The same for at least that long: for what happens only after a while. */
int follow_wait(struct follow_world *world, struct sluice_follower *follower, uint32_t ms);
struct sluice_follower_view follow_view(const struct sluice_follower *follower);

/* Writes and follows until a snapshot is whole that was not before. Its number. */
uint64_t follow_next_snapshot(struct follow_world *world, struct sluice_follower *follower);
/* Two named snapshots, and sealed log enough for a third, with these options. The engine runs. */
void follow_two_snapshots(struct follow_world *world,
			  const struct sluice_follower_options *options);
/* The engine dies and starts again: from that snapshot, to the state it had. False: it does not. */
bool follow_starts_from(struct follow_world *world, uint64_t sequence);

/* It is where the engine is, and has its state. */
bool follow_is_at_end(const struct follow_world *world, const struct sluice_follower *follower);

/* Everything that must hold of a follower between two steps. */
void follow_check(const struct follow_world *world, const struct sluice_follower *follower);

#endif
