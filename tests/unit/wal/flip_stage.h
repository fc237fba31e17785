/* SPDX-License-Identifier: MIT */
/*
 * flip_stage.h - for the tests of offers and of superblocks in flight: a log on a real directory,
 * over a disk that fails on request, with snapshot 1 named, number 2 whole in its file, and blocks
 * behind both. Asserts; only for test programs.
 */
#ifndef SLUICE_TESTS_UNIT_WAL_FLIP_STAGE_H
#define SLUICE_TESTS_UNIT_WAL_FLIP_STAGE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/wal_life.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

struct flip_stage {
	struct wal_fixture fixture;
	struct sluice_wal_io *io; /* the faulty one */
	struct wal_life life;
	struct sluice_wal_place places[16]; /* of the snapshots, by number */
	uint64_t whole;			    /* number of the newest, not yet named */
};

static inline void flip_write_blocks(struct wal_life *life, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		assert_true(wal_life_block(life, 40 + i) > 0);
	assert_int_equal(wal_life_settle(life), 0);
}

static inline void flip_save(struct flip_stage *stage, uint64_t sequence)
{
	struct wal_life *life = &stage->life;

	sluice_wal_chain_place(&life->wal->chain, life->sink.report_next, life->sink.md_next,
			       &stage->places[sequence]);
	assert_int_equal(wal_life_save(life, life->wal->io, sequence), 0);
	stage->whole = sequence;
}

/* The next snapshot, with blocks behind it, ready to be offered. */
static inline void flip_go_on(struct flip_stage *stage)
{
	flip_write_blocks(&stage->life, 3);
	flip_save(stage, stage->whole + 1);
	flip_write_blocks(&stage->life, 2);
	wal_life_take_reports(&stage->life);
}

static inline int flip_setup(void **state)
{
	struct flip_stage *stage = calloc(1, sizeof(*stage));
	struct sluice_wal *wal;

	wal_life_make(&stage->fixture, SLUICE_WAL_SEGMENT_BYTES_MIN);
	assert_int_equal(wal_fixture_open_faulty(&stage->fixture, &wal, &stage->io, NULL), 0);
	assert_int_equal(wal_life_recover(&stage->life, wal), 0);
	assert_int_equal(wal_life_start(&stage->life), 0);
	flip_go_on(stage);
	assert_int_equal(wal_life_name(&stage->life, 1), 0);
	flip_go_on(stage);
	*state = stage;
	return 0;
}

static inline int flip_teardown(void **state)
{
	struct flip_stage *stage = *state;

	fault_io_hold(stage->io, false); /* a test that failed may have left it so */
	wal_life_close(&stage->life, false);
	wal_fixture_remove(&stage->fixture);
	free(stage);
	return 0;
}

/* Closes as a crash would, opens again, executes everything. */
static inline void flip_recovers(struct flip_stage *stage, uint64_t snapshot, uint64_t cmd_seq)
{
	struct sluice_wal_position position;
	struct sluice_wal *wal;

	wal_life_close(&stage->life, false);
	assert_int_equal(wal_fixture_open_faulty(&stage->fixture, &wal, &stage->io, NULL), 0);
	assert_int_equal(wal_life_recover(&stage->life, wal), 0);
	sluice_wal_position(wal, &position);
	assert_int_equal(position.snapshot, snapshot);
	assert_int_equal(stage->life.cmd_seq, cmd_seq);
	assert_int_equal(sluice_core_state_hash(stage->life.core),
			 wal_life_expect(&position.core, cmd_seq));
}

#endif
