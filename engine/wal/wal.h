/* SPDX-License-Identifier: MIT */
/*
 * wal.h - the engine's log: format, open and recover, append, group commit, close.
 *
 * Owner: one thread, the engine's. Nothing but sluice_wal_format, _open, _start, _wait and _close
 * blocks. After any I/O error the log is halted (D5): every call returns the same -errno, nothing
 * more is submitted, and the caller must stop publishing.
 *
 * Life: format once -> open (locks, scans, decides) -> replay (visits every block) -> start (new
 * epoch, durable OPEN block) -> reserve/append/submit/poll ... -> close.
 */
#ifndef SLUICE_ENGINE_WAL_WAL_H
#define SLUICE_ENGINE_WAL_WAL_H

#include "engine/core/core.h"
#include "engine/wal/wal_format.h"
#include "shm/diag.h"

enum sluice_wal_backend {
	SLUICE_WAL_BACKEND_AUTO = 0,  /* io_uring, or blocking with one line said why */
	SLUICE_WAL_BACKEND_URING = 1, /* or fail with -ENOSYS/-EPERM */
	SLUICE_WAL_BACKEND_BLOCKING = 2
};

struct sluice_wal_options {
	uint64_t segment_bytes; /* format: of each of the 16 segments; 0: default */
	uint32_t window;	/* blocks between next and durable, 1..8; 0: 4 */
	uint32_t backend;	/* enum sluice_wal_backend */
	uint32_t lock_wait_ms;	/* open: for a dead predecessor's I/O; 0: 10 s */
	struct sluice_core_options core; /* format: recorded in the superblock */
};

struct sluice_wal;

/*
 * Makes `dir` a log: creates it if missing, writes zeros over all segments, superblock last, so a
 * format cut short leaves no superblock and can simply be run again. -EEXIST: there is a log
 * already (untouched). -ENOSPC and others with text.
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
 * after replay. A log that is full has no room for OPEN, and no torn tail either: then only the
 * superblock is written, start returns 0 and sluice_wal_full is true.
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

uint64_t sluice_wal_next_cmd_seq(const struct sluice_wal *wal);	   /* appended below */
uint64_t sluice_wal_durable_cmd_seq(const struct sluice_wal *wal); /* durable below */
bool sluice_wal_full(const struct sluice_wal *wal); /* no space for another block of any size */
int sluice_wal_error(const struct sluice_wal *wal); /* 0, or the -errno that halted it */
const char *sluice_wal_error_text(const struct sluice_wal *wal);

/* "io_uring" or "blocking pwritev2", and why if it is not the first choice. */
const char *sluice_wal_backend_text(const struct sluice_wal *wal);

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
