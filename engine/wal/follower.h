/* SPDX-License-Identifier: MIT */
/*
 * follower.h - a second execution of a log: replays what is durable, checks the state's hash at
 * every block, and takes snapshots.
 *
 * Needs nothing but the log's directory. Only blocks that a later one witnesses as durable are
 * executed, so that no snapshot can hold what a power loss takes back. It writes only the snapshot
 * files, under their lock; that a snapshot counts is decided by whoever owns the log
 * (sluice_wal_offer), and learnt from the superblock. One thread; nothing blocks but the disk. A
 * crash at any point leaves at most a half-written snapshot that nobody names.
 */
#ifndef SLUICE_ENGINE_WAL_FOLLOWER_H
#define SLUICE_ENGINE_WAL_FOLLOWER_H

#include "engine/wal/wal_io.h"

struct sluice_follower_options {
	uint64_t every_bytes;  /* of log between two snapshots; 0: a quarter of the log */
	uint64_t rate_bytes;   /* a second, of snapshot writes; 0: as fast as the disk takes them */
	uint32_t lock_wait_ms; /* for another follower to go; 0: 10 s */
	int (*stopping)(void); /* non-zero: open gives -EINTR; NULL: never */
};

struct sluice_follower;

/*
 * Opens the directory behind `io` (owned from here on, also on failure) in SLUICE_WAL_IO_FOLLOW,
 * locks the snapshot files, and starts from the newest good snapshot, or from the log's start.
 * -EBUSY another follower; -EBADMSG, -ENOENT, -EPROTO as sluice_wal_reader_open.
 */
int sluice_follower_open(struct sluice_follower **ret_follower, struct sluice_wal_io *io,
			 const struct sluice_follower_options *options, struct sluice_diag *diag);

/*
 * A bounded piece of work: executes one block, writes one chunk, or looks for what is new. 1: go
 * on, 0: nothing to do now, sleep some milliseconds. -EBADMSG: a block's hash or report number is
 * not what this execution has, or the log is damaged; -ESTALE: the log was made anew or has gone
 * on without this follower's snapshots; others: the disk's. After an error only close.
 */
int sluice_follower_step(struct sluice_follower *follower, struct sluice_diag *diag);

/*
 * Held: no snapshot is begun, because somebody may be naming the one that is whole. One that is
 * being written goes on.
 */
void sluice_follower_hold(struct sluice_follower *follower, bool held);

struct sluice_follower_view {
	uint64_t block_seq;	 /* executed below */
	uint64_t cmd_seq;	 /* executed below */
	uint64_t snapshot_whole; /* number of the newest whole snapshot, 0: none */
	uint64_t snapshot_named; /* the newest that the superblock names, as last read */
	uint64_t live_bytes;	 /* of the log from its start to where it is known to reach */
	uint64_t log_bytes;	 /* of all segments */
	bool writing;
};
void sluice_follower_view(const struct sluice_follower *follower,
			  struct sluice_follower_view *ret_view);

/* What it holds, for checks. */
const struct sluice_core *sluice_follower_core(const struct sluice_follower *follower);

void sluice_follower_close(struct sluice_follower *follower);

#endif
