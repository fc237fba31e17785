/* SPDX-License-Identifier: MIT */
/*
 * wal.h - the engine's log: format, open and recover, append, group commit, close.
 *
 * Owner: one thread, the engine's. Nothing but sluice_wal_format, _open, _start, _wait and _close
 * blocks. After any I/O error the log is halted (D5): every call returns the same -errno, nothing
 * more is submitted, and the caller must stop publishing.
 *
 * Life: format once -> open (locks, chooses a snapshot, scans, decides) -> restore (the snapshot's
 * state) -> replay (visits every block after it) -> start (new epoch, durable OPEN block) ->
 * reserve/append/submit/poll/offer ... -> close.
 */
#ifndef SLUICE_ENGINE_WAL_WAL_H
#define SLUICE_ENGINE_WAL_WAL_H

#include <sched.h>

#include "engine/core/core.h"
#include "engine/wal/wal_format.h"
#include "shm/diag.h"

enum sluice_wal_backend {
	SLUICE_WAL_BACKEND_AUTO = 0,  /* io_uring, or blocking with one line said why */
	SLUICE_WAL_BACKEND_URING = 1, /* or fail with -ENOSYS/-EPERM */
	SLUICE_WAL_BACKEND_BLOCKING = 2,
	SLUICE_WAL_BACKEND_THREAD = 3 /* AUTO's choice, in a thread of its own */
};

enum sluice_wal_sync { /* how io_uring makes a block durable */
	SLUICE_WAL_SYNC_AUTO = 0,  /* both are timed when the log is opened; the lower p99 */
	SLUICE_WAL_SYNC_DSYNC = 1, /* one synchronous write */
	SLUICE_WAL_SYNC_LINK = 2   /* a write, and a linked fdatasync */
};

enum sluice_wal_extents { /* of files with space that was never written: sparse copies */
	SLUICE_WAL_EXTENTS_REPAIR = 0, /* written over with the bytes that they read */
	SLUICE_WAL_EXTENTS_REFUSE = 1  /* -EBADMSG, with the command that mends it */
};

struct sluice_wal_options {
	uint64_t segment_bytes; /* format: of each of the 16 segments; 0: default */
	uint32_t window;	/* blocks between next and durable, 1..8; 0: 4 */
	uint32_t backend;	/* enum sluice_wal_backend */
	uint32_t sync;		/* enum sluice_wal_sync */
	uint32_t extents;	/* enum sluice_wal_extents */
	uint32_t lock_wait_ms;	/* open: for a dead predecessor's I/O; 0: 10 s */
	const cpu_set_t *thread_cpus; /* open: of a journal thread; NULL: as the opener's */
	int (*stopping)(void);	/* non-zero: open, restore and replay give -EINTR; NULL: never */
	struct sluice_core_options core; /* format: recorded in the superblock */
};

struct sluice_wal;

/*
 * Makes `dir` a log: creates it if missing, writes zeros over all segments, superblock last, so a
 * format cut short leaves no superblock and can simply be run again. -EEXIST: there is a log
 * already (untouched). -EBADMSG: no superblock, but data (untouched). -ENOSPC and others with text.
 */
int sluice_wal_format(const char *dir, const struct sluice_wal_options *options,
		      struct sluice_diag *diag);

/*
 * Locks every file (waits up to 10 s for a dead predecessor's I/O to drain), syncs, reads the
 * superblock, scans to the end. Writes nothing. -ENOENT: no log here. -EBUSY: a live engine has it.
 * -EBADMSG: damage that cannot be a torn tail (D4), the text names file, offset and block.
 * -EPROTO: another version or other matching rules. -EIO: bytes that cannot be read are no torn
 * tail. The thread that opens is the owner: with io_uring only it may submit and reap.
 */
int sluice_wal_open(struct sluice_wal **ret_wal, const char *dir,
		    const struct sluice_wal_options *options, struct sluice_diag *diag);

/* What open found. Sequences are "next": everything below is in the log. */
struct sluice_wal_position {
	uint8_t log_uuid[16];
	uint64_t next_block_seq;
	uint64_t next_cmd_seq;
	uint64_t start_cmd_seq;	   /* first that replay delivers */
	uint64_t start_report;	   /* number of the first report that replay causes */
	uint64_t start_md;	   /* and of the first market-data event */
	uint64_t reports_taken;	   /* reports below were taken by everybody they were kept for */
	uint64_t snapshot;	   /* number of the snapshot that replay starts from; 0: none */
	uint8_t ring_uuid[16];	   /* of the newest epoch's command ring; zeros: none yet */
	uint32_t epoch;		   /* newest in the log */
	uint32_t torn;		   /* a torn tail was found and will be cut */
	uint64_t torn_block_seq;   /* the block it would have been */
	uint32_t torn_segment_no;
	uint32_t closed;	   /* the log ended cleanly */
	uint64_t torn_offset;
	struct sluice_core_options core; /* from the superblock */
};
void sluice_wal_position(const struct sluice_wal *wal, struct sluice_wal_position *ret_position);

/* What the scan said of a torn tail in one sentence, "" if there is none. */
const char *sluice_wal_tail_text(const struct sluice_wal *wal);

/* Why a newer snapshot than position.snapshot could not be used, "" if there is none. */
const char *sluice_wal_snapshot_text(const struct sluice_wal *wal);

/*
 * Builds in `memory` (as for sluice_core_init, with position.core) the state that replay starts
 * from: the snapshot's, or an empty one. A snapshot whose content does not come out as its header
 * says is passed over for the older one, and the position changes. -EBADMSG: none is left, and the
 * log does not reach back to its first command.
 */
int sluice_wal_restore(struct sluice_wal *wal, void *memory, struct sluice_core **ret_core,
		       struct sluice_diag *diag);

/*
 * Delivers every valid block in order. `commands` is aligned and valid during the call; n may be 0
 * (OPEN, SEAL, CLOSE). A visitor's non-zero return ends the walk and is returned.
 */
typedef int (*sluice_wal_visit)(const struct sluice_wal_block_header *header,
				const struct sluice_command *commands, uint32_t n, void *arg);
int sluice_wal_replay(struct sluice_wal *wal, sluice_wal_visit visit, void *arg,
		      struct sluice_diag *diag);

/*
 * External witness: some ring proves that commands below `cmd_seq` were durable. More than the log
 * holds: -EBADMSG, refuse to start (D4). Call after open, before start.
 */
int sluice_wal_witness(struct sluice_wal *wal, uint64_t cmd_seq, const char *who,
		       struct sluice_diag *diag);

/*
 * Begins a new epoch: epoch + 1 durable in the superblock, then a durable OPEN block at the tail.
 * Only after it returns 0 may anything be published. state_hash and report_first are the core's
 * after replay. The last 64 KiB of a log are kept for OPEN, SEAL and CLOSE. If even they are used
 * up there is no torn tail either: then only the superblock is written, start returns 0,
 * sluice_wal_full is true, and OPEN follows as the first block when the log's start moves on.
 */
int sluice_wal_start(struct sluice_wal *wal, const uint8_t ring_uuid[16], uint64_t state_hash,
		     uint64_t report_first, struct sluice_diag *diag);

/*
 * Room for records in the block under composition: *ret_n (at least 1) consecutive records may be
 * written at the returned pointer. NULL: no block buffer or no space in the window now (poll), or
 * the log is full (sluice_wal_full) or halted (sluice_wal_error). The first reserve of a block
 * opens it with these values of the core before its first record. A block that has no room left is
 * submitted here.
 */
struct sluice_command *sluice_wal_reserve(struct sluice_wal *wal, uint64_t state_hash,
					  uint64_t report_first, uint32_t *ret_n);

/*
 * Reports below `report` have been let go by everybody they are kept for. Recorded in the blocks
 * composed from now on: after a loss of the rings, only later reports are published again. Never
 * falls; the log's own value is where it starts.
 */
void sluice_wal_reports_taken(struct sluice_wal *wal, uint64_t report);

/* Adds the n records just written to the block. Their cmd_seq follow the previous one densely. */
void sluice_wal_append(struct sluice_wal *wal, uint32_t n);

/* Bytes of records in the block under composition, 0 if there is none. */
uint32_t sluice_wal_pending_bytes(const struct sluice_wal *wal);

/* Blocks submitted and not yet durable. */
uint32_t sluice_wal_in_flight(const struct sluice_wal *wal);

/*
 * Hands the block under composition to the kernel. 0, or -errno (halted). No-op when nothing is
 * pending.
 */
int sluice_wal_submit(struct sluice_wal *wal);

/*
 * When nothing is pending or in flight and the last block holds commands: hands one empty block to
 * the kernel that witnesses it, so that rot of the last commands can be told from a torn tail.
 * Likewise, whatever the last block holds, when the log is full and its newest snapshot is of the
 * block before the end: the next snapshot, which makes room, needs another block.
 * Call it when idle. 0 (also when there was nothing to do), or -errno (halted).
 */
int sluice_wal_seal(struct sluice_wal *wal);

/*
 * Collects completions without blocking and advances durable over the contiguous prefix only.
 * Returns the number of blocks that became durable, or -errno (halted).
 */
int sluice_wal_poll(struct sluice_wal *wal);

/*
 * The same, but sleeps in the kernel up to timeout_ns for a completion. Returns at once if nothing
 * is in flight.
 */
int sluice_wal_wait(struct sluice_wal *wal, uint64_t timeout_ns);

/*
 * Snapshot number `sequence` is said to be on disk: reads its header (blocks for one read), and if
 * it holds what the log holds at its place, starts the writes of two copies of the superblock that
 * name it, one after the other; poll and wait finish them. Then everything before the older of the
 * two snapshots may be overwritten. 0: they are under way. -EAGAIN: they are already, or reports
 * from before it are still to be taken; offer again later. -EALREADY: it, or a newer one, is named.
 * -EBADMSG: it cannot be used, text in diag; the log goes on without it. Others: halted.
 * It must be of a later block than the one before; where not even a SEAL fits into the log, one of
 * the same block is taken, because nothing else could move the start on.
 */
int sluice_wal_offer(struct sluice_wal *wal, uint64_t sequence, struct sluice_diag *diag);

/* The newest snapshot that two durable copies of the superblock name; 0: none. */
uint64_t sluice_wal_snapshot_named(const struct sluice_wal *wal);
bool sluice_wal_snapshot_newest(const struct sluice_wal *wal,
				struct sluice_wal_snapshot *ret_snapshot);

/*
 * At a clean end, before close: everything is durable, nothing pending or in flight, and `core` is
 * the state. Takes the snapshots' lock, writes a snapshot of the whole log as fast as the disk
 * allows, and has close name it with its mark. Reports that are not taken yet forbid it: -EAGAIN.
 * -EBUSY: a follower holds the lock. -EALREADY: nothing was executed since the newest one. None of
 * these, nor an error of the snapshot's file, harms the log.
 */
int sluice_wal_snapshot(struct sluice_wal *wal, const struct sluice_core *core,
			uint64_t report_next, uint64_t md_next, struct sluice_diag *diag);

/* Bytes between the log's start and its end, and of all segments. */
uint64_t sluice_wal_live_bytes(const struct sluice_wal *wal);
uint64_t sluice_wal_size_bytes(const struct sluice_wal *wal);

uint64_t sluice_wal_next_cmd_seq(const struct sluice_wal *wal);	   /* appended below */
uint64_t sluice_wal_durable_cmd_seq(const struct sluice_wal *wal); /* durable below */
/* No space for another block of commands until the start moves on: see sluice_wal_offer. */
bool sluice_wal_full(const struct sluice_wal *wal);
int sluice_wal_error(const struct sluice_wal *wal); /* 0, or the -errno that halted it */
const char *sluice_wal_error_text(const struct sluice_wal *wal);

/* "io_uring, sync=dsync (p99 81 us; link 140 us)", and why if it is not the first choice. */
const char *sluice_wal_backend_text(const struct sluice_wal *wal);

/* What open mended in the files, "" if nothing. */
const char *sluice_wal_mended_text(const struct sluice_wal *wal);

/* Median time of a 4 KiB commit, measured when the log was opened; 0: it could not be. */
uint64_t sluice_wal_calibrated_ns(const struct sluice_wal *wal);

struct sluice_wal_stats {
	uint64_t blocks;
	uint64_t bytes;
	uint64_t commands;
	uint64_t resubmits; /* short writes and EINTR: whole block again */
	uint64_t reordered; /* completions that came before an earlier block's */
};
void sluice_wal_stats(const struct sluice_wal *wal, struct sluice_wal_stats *ret_stats);

/*
 * Called for every commit with its submit-to-completion time, from poll and wait. For histograms.
 */
void sluice_wal_on_commit(struct sluice_wal *wal,
			  void (*commit)(uint64_t latency_ns, uint32_t n_cmds, void *arg),
			  void *arg);

/*
 * Waits for what is in flight. clean: writes CLOSE and the superblock's mark as well. Frees the
 * log in any case; 0, or the -errno of the first error.
 */
int sluice_wal_close(struct sluice_wal *wal, bool clean, struct sluice_diag *diag);

#endif
