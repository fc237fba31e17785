/* SPDX-License-Identifier: MIT */
/*
 * round_stage.h - a log on a real directory, with a real core, that is made to go round. For
 * test_wal_round and test_wal_round_end.
 */
#ifndef SLUICE_TESTS_UNIT_WAL_ROUND_STAGE_H
#define SLUICE_TESTS_UNIT_WAL_ROUND_STAGE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/wal_fixture.h"
#include "tests/lib/wal_life.h"

#define MIB (1024ull * 1024u)

struct stage {
	struct wal_fixture fixture;
	struct sluice_wal_io *io;
	struct wal_life life;
	uint64_t sequence; /* of the next snapshot */
};

/* Opens, executes, compares with one execution from the first command on. */
static inline void recover(struct stage *stage)
{
	struct sluice_wal_position position;
	struct sluice_wal *wal;
	int ret = wal_fixture_open_faulty(&stage->fixture, &wal, &stage->io, NULL);

	if (ret)
		printf("  %s\n", stage->fixture.diag.text);
	assert_int_equal(ret, 0);
	ret = wal_life_recover(&stage->life, wal);
	if (ret)
		printf("  %s %s\n", stage->life.wrong ? stage->life.wrong : "",
		       stage->life.diag.text);
	assert_int_equal(ret, 0);
	sluice_wal_position(wal, &position);
	assert_int_equal(sluice_core_state_hash(stage->life.core),
			 wal_life_expect(&position.core, stage->life.cmd_seq));
}

static inline void start(struct stage *stage)
{
	recover(stage);
	assert_int_equal(wal_life_start(&stage->life), 0);
}

static inline int setup(void **state)
{
	struct stage *stage = calloc(1, sizeof(*stage));

	stage->sequence = 1;
	wal_life_make(&stage->fixture, SLUICE_WAL_SEGMENT_BYTES_MIN);
	start(stage);
	*state = stage;
	return 0;
}

static inline int teardown(void **state)
{
	struct stage *stage = *state;

	fault_io_hold(stage->io, false); /* a test that failed may have left it so */
	wal_life_close(&stage->life, false);
	wal_fixture_remove(&stage->fixture);
	free(stage);
	return 0;
}

/* Blocks of the largest size until `bytes` more are live, or the log is full: -ENOSPC. */
static inline int grow(struct stage *stage, uint64_t bytes)
{
	const uint64_t until = sluice_wal_live_bytes(stage->life.wal) + bytes;
	int ret = 0;

	while (ret >= 0 && sluice_wal_live_bytes(stage->life.wal) < until)
		ret = wal_life_block(&stage->life, SLUICE_WAL_RECORDS_MAX);
	return ret < 0 ? ret : 0;
}

/* A snapshot of here, and a block behind it. */
static inline void save(struct stage *stage)
{
	assert_int_equal(wal_life_settle(&stage->life), 0);
	assert_int_equal(wal_life_save(&stage->life, stage->life.wal->io, stage->sequence), 0);
	assert_true(wal_life_block(&stage->life, 3) > 0);
	assert_int_equal(wal_life_settle(&stage->life), 0);
	wal_life_take_reports(&stage->life);
}

static inline void name(struct stage *stage)
{
	int ret = wal_life_name(&stage->life, stage->sequence);

	if (ret)
		printf("  %s\n", stage->life.diag.text);
	assert_int_equal(ret, 0);
	stage->sequence++;
}

#define with_stage(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

#endif
