/* SPDX-License-Identifier: MIT */
/*
 * wal_internal.h - struct sluice_wal, for the files of this directory.
 *
 * Block k is composed in buffer k % WINDOW_MAX. It may be opened only while k - durable < window,
 * and window <= WINDOW_MAX, so that the buffer's last block is durable by then: the window rule is
 * the buffer's owner at the same time.
 */
#ifndef SLUICE_ENGINE_WAL_WAL_INTERNAL_H
#define SLUICE_ENGINE_WAL_WAL_INTERNAL_H

#include "engine/wal/wal_io.h"
#include "engine/wal/wal_scan.h"

struct sluice_wal_slot { /* of one submitted block */
	struct sluice_wal_io_write write;
	uint64_t submit_ns;
	uint64_t latency_ns;
	uint64_t cmd_end; /* durable when this block and all before are: commands below */
	uint32_t n_cmds;
	uint32_t crc;	 /* of what was handed over first, to be found again when made again */
	uint16_t shorts; /* resubmits after a short write */
	uint16_t agains; /* resubmits after an interruption */
	bool done;
};

/*
 * The end of the live range that commands may not use: an OPEN and a CLOSE for some restarts of a
 * full log, and one SEAL, which leaves them at least half.
 */
#ifndef SLUICE_WAL_RESERVE_BYTES /* the simulator's logs are small */
#define SLUICE_WAL_RESERVE_BYTES (16ull * SLUICE_WAL_ALIGN)
#endif

#define SLUICE_WAL_SUPER_TAG UINT64_MAX /* of the superblock's asynchronous write */

struct sluice_wal_flip { /* a superblock on its way to the disk */
	struct sluice_wal_slot slot;
	struct sluice_wal_super next; /* what it says; true when it is durable twice */
	bool busy;
	bool again; /* the first copy is durable, this is the second */
};

struct sluice_wal_pending { /* the block under composition */
	bool open;
	uint32_t n;
	uint32_t capacity; /* records */
	uint64_t state_hash;
	uint64_t report_first;
};

struct sluice_wal {
	struct sluice_wal_io *io;
	struct sluice_wal_super super;
	struct sluice_wal_chain chain; /* behind the last block submitted */
	struct sluice_wal_pending pending;
	struct sluice_wal_slot slots[SLUICE_WAL_WINDOW_MAX];
	struct sluice_wal_flip flip;
	struct sluice_wal_snapshot last; /* of a clean end, named by close; sequence 0: none */
	uint64_t durable_seq;		 /* every block below is durable */
	uint64_t durable_cmd_seq;
	uint64_t reports_taken; /* as last told */
	uint32_t window;
	uint32_t outstanding; /* given to io and not reaped */
	bool started;
	uint64_t open_seq; /* of the epoch's OPEN: nothing is composed before it is durable */
	bool open_owed;	   /* it found no space; with these values */
	uint64_t open_state_hash;
	uint64_t open_report_first;
	int error;
	char error_text[512];
	uint8_t ring_uuid[16];
	void (*commit)(uint64_t latency_ns, uint32_t n_cmds, void *arg);
	void *commit_arg;
	struct sluice_wal_stats stats;
	/* found by open */
	struct sluice_wal_place base; /* where replay begins */
	uint32_t passed_over;	      /* bit i: snapshot[i] of the superblock cannot be used */
	char snapshot_text[512];      /* why */
	struct sluice_wal_position position;
	struct sluice_wal_report report;
	/* one mapping, made by open */
	unsigned char *memory;
	unsigned char *buffers;	      /* IN_FLIGHT_MAX x BLOCK_BYTES_MAX, the last for flips */
	unsigned char *window_memory; /* of scans */
	unsigned char *super_memory;
};

/*
 * Chooses the best snapshot that was not passed over, scans from it, judges and fills position and
 * report, chain and durable.
 */
int sluice_wal_recover(struct sluice_wal *wal, struct sluice_diag *diag);

/* Enters the halted state, once; returns the error that halted it. */
int sluice_wal_halt(struct sluice_wal *wal, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Where block `block_seq` is composed, and stays until WINDOW_MAX - 1 others were. */
struct sluice_wal_block_header *sluice_wal_block_of(const struct sluice_wal *wal,
						    uint64_t block_seq);

/* Gives a slot's write to the kernel, for the first time or again. Halts if it is not taken. */
int sluice_wal_hand_over(struct sluice_wal *wal, const struct sluice_wal_slot *slot);

/* Begins the epoch's blocks: OPEN, now or as soon as there is space. */
int sluice_wal_submit_open(struct sluice_wal *wal, uint64_t state_hash, uint64_t report_first);

/* The superblock's write is durable: what it says counts. 0, or -errno (halted). */
int sluice_wal_flip_done(struct sluice_wal *wal);

/* Has the superblock of a clean end name the snapshot of sluice_wal_snapshot, if there is one. */
void sluice_wal_flip_last(const struct sluice_wal *wal, struct sluice_wal_super *next);

/* Bytes of the live range behind the last block submitted. */
uint64_t sluice_wal_left_bytes(const struct sluice_wal *wal);

/* Submits a block without commands. The window must have room and the log space. */
int sluice_wal_submit_control(struct sluice_wal *wal, uint16_t type, uint64_t state_hash,
			      uint64_t report_first);

/*
 * Sleeps until nothing is in flight. After an error it gives the device a few seconds, because the
 * block buffers belong to it until then.
 */
int sluice_wal_drain(struct sluice_wal *wal);

#endif
