/* SPDX-License-Identifier: MIT */
/*
 * wal_life.h - a log with a real core before it, as the engine has: every block's header says what
 * the core was, commands follow from their number, snapshots are of the core's state, and whoever
 * opens the log again executes all of it and compares.
 *
 * Functions abort the test program when its own set-up fails; what is under test is returned.
 */
#ifndef SLUICE_TESTS_LIB_WAL_LIFE_H
#define SLUICE_TESTS_LIB_WAL_LIFE_H

#include "engine/wal/snapshot.h"
#include "engine/wal/wal_internal.h"
#include "tests/lib/wal_fixture.h"

#define WAL_LIFE_REPORTS 64u

struct wal_life {
	struct sluice_wal *wal;
	struct sluice_core *core;
	void *memory;
	struct sluice_sink sink;
	struct sluice_report reports[WAL_LIFE_REPORTS];
	uint64_t cmd_seq;  /* executed below */
	uint64_t blocks;   /* visited by the last recovery */
	const char *wrong; /* what recovery found different in a block, or NULL */
	struct sluice_diag diag;
};

/* The command with this number: a symbol first, then orders that meet each other. */
void wal_life_command(uint64_t cmd_seq, struct sluice_command *ret_command);

/* A new directory, formatted for a core so small that making one takes no time. */
void wal_life_make(struct wal_fixture *fixture, uint64_t segment_bytes);

/*
 * Restores and replays an open log, which is the life's from here on. 0; -EILSEQ: a block's header
 * is not what executing the ones before gives, see `wrong`; or the log's own errors.
 */
int wal_life_recover(struct wal_life *life, struct sluice_wal *wal);

/* Begins an epoch. 0 or the log's error. */
int wal_life_start(struct wal_life *life);

/* One block of n commands, submitted, or fewer if the segment ends: how many; -ENOSPC, -errno. */
int wal_life_block(struct wal_life *life, uint32_t n);
int wal_life_settle(struct wal_life *life);

/* Every report so far is let go. */
void wal_life_take_reports(struct wal_life *life);

/* Writes snapshot `sequence` of the present state through `io`, as a follower: 0 or -errno. */
int wal_life_save(struct wal_life *life, struct sluice_wal_io *io, uint64_t sequence);

/* Offers it and waits until it is named. 0 or what the offer returned. */
int wal_life_name(struct wal_life *life, uint64_t sequence);

/*
 * Recovers and starts an open log in `dir`, then: a block of n commands, snapshot 1, a block,
 * snapshot 2, a block. So the log no longer begins at its first command.
 */
void wal_life_snapshots(struct wal_life *life, struct sluice_wal *wal, const char *dir, uint32_t n);

/* Closes the log and frees the core. The log's result. */
int wal_life_close(struct wal_life *life, bool clean);

/* The digest of the state after the commands below cmd_seq, executed in one go elsewhere. */
uint64_t wal_life_expect(const struct sluice_core_options *limits, uint64_t cmd_seq);

#endif
