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
	uint16_t shorts; /* resubmits after a short write */
	uint16_t agains; /* resubmits after an interruption */
	bool done;
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
	uint64_t durable_seq; /* every block below is durable */
	uint64_t durable_cmd_seq;
	uint64_t reports_taken; /* as last told */
	uint32_t window;
	uint32_t outstanding; /* given to io and not reaped */
	bool started;
	int error;
	char error_text[512];
	uint8_t ring_uuid[16];
	void (*commit)(uint64_t latency_ns, uint32_t n_cmds, void *arg);
	void *commit_arg;
	struct sluice_wal_stats stats;
	/* found by open */
	struct sluice_wal_position position;
	struct sluice_wal_report report;
	/* one mapping, made by open */
	unsigned char *memory;
	unsigned char *buffers;	      /* WINDOW_MAX x BLOCK_BYTES_MAX */
	unsigned char *window_memory; /* of scans */
	unsigned char *super_memory;
};

/* Scans, judges and fills position and report, chain and durable. */
int sluice_wal_recover(struct sluice_wal *wal, struct sluice_diag *diag);

/* Enters the halted state, once; returns the error that halted it. */
int sluice_wal_halt(struct sluice_wal *wal, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Submits a block without commands. The window must have room and the log space. */
int sluice_wal_submit_control(struct sluice_wal *wal, uint16_t type, uint64_t state_hash,
			      uint64_t report_first);

/*
 * Sleeps until nothing is in flight. After an error it gives the device a few seconds, because the
 * block buffers belong to it until then.
 */
int sluice_wal_drain(struct sluice_wal *wal);

#endif
