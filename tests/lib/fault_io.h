/* SPDX-License-Identifier: MIT */
/*
 * fault_io.h - a disk that fails on request: wraps another struct sluice_wal_io and lets everything
 * through but the operations it was told to fail, shorten, hold back or reorder.
 *
 * Counted operations: open, lock, size, read, write, sync, arm, submit; not reap. One thread.
 */
#ifndef SLUICE_TESTS_LIB_FAULT_IO_H
#define SLUICE_TESTS_LIB_FAULT_IO_H

#include "engine/wal/wal_io.h"

enum fault_kind {
	FAULT_RETURN = 0, /* the operation returns the error and does nothing */
	FAULT_RESULT =
		1,	/* a submitted write completes with it and wrote nothing; else as RETURN */
	FAULT_TORN = 2, /* the same, but its first 512 bytes were written */
	FAULT_SHORT = 3 /* a submitted write completes with `error` bytes, and wrote them */
};

struct fault_plan {
	uint64_t at;	/* number of the first operation to fail, from 1; 0: none */
	uint64_t times; /* how many in a row; 0: 1 */
	enum fault_kind kind;
	int error;	   /* positive */
	bool submits_only; /* count submits, nothing else */
	uint64_t *fired;   /* NULL, or where failures are counted too: it outlives the disk */
};

/* Owns inner. */
int fault_io_create(struct sluice_wal_io **ret_io, struct sluice_wal_io *inner);

/* Replaces the plan and counts from zero again. */
void fault_io_plan(struct sluice_wal_io *io, const struct fault_plan *plan);

uint64_t fault_io_fired(const struct sluice_wal_io *io);   /* failures injected */
uint64_t fault_io_submits(const struct sluice_wal_io *io); /* since the plan was set */
uint64_t
fault_io_writes_after(const struct sluice_wal_io *io); /* submits and writes after the first */

/* Held: reap hands out only what was released, in the order of release. */
void fault_io_hold(struct sluice_wal_io *io, bool hold);
void fault_io_release(struct sluice_wal_io *io, uint64_t tag);

/* A completion that nobody asked for. */
void fault_io_forge(struct sluice_wal_io *io, uint64_t tag, int64_t result);

/* From now on reap hands out a random part of what is complete, in random order. */
void fault_io_shuffle(struct sluice_wal_io *io, uint64_t seed);

#endif
