/* SPDX-License-Identifier: MIT */
/*
 * test_wal_stop.c - a start that is not wanted any more: open, restore and replay end with -EINTR
 * before the next larger read, wherever that is, and nothing was changed or passed over for it.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>

#include "engine/wal/follower.h"
#include "tests/lib/wal_life.h"

#define LOOKS_MAX 1000u

static uint32_t looks, stop_at; /* 0: never */

static int stopping(void)
{
	return stop_at && ++looks >= stop_at;
}

struct stage {
	struct wal_fixture fixture;
	struct wal_life life;
	uint64_t hash, cmd_seq;
	uint32_t digest;
};

/* A log that starts at a snapshot, with a newer one and commands behind it. */
static int setup(void **state)
{
	struct stage *stage = calloc(1, sizeof(*stage));
	struct sluice_wal *wal = NULL;

	stop_at = 0;
	wal_life_make(&stage->fixture, WAL_FIXTURE_SEGMENT_BYTES);
	assert_int_equal(wal_fixture_open(&stage->fixture, &wal), 0);
	wal_life_snapshots(&stage->life, wal, stage->fixture.dir, 40);
	stage->cmd_seq = stage->life.cmd_seq;
	stage->hash = sluice_core_state_hash(stage->life.core);
	assert_int_equal(wal_life_close(&stage->life, false), 0);
	stage->fixture.options.stopping = stopping;
	stage->digest = wal_fixture_digest(&stage->fixture);
	*state = stage;
	return 0;
}

static int teardown(void **state)
{
	struct stage *stage = *state;

	wal_fixture_remove(&stage->fixture);
	free(stage);
	return 0;
}

/* Open, restore and replay, stopped at the n-th look. */
static int come_up(struct stage *stage, uint32_t n)
{
	struct sluice_wal_position position;
	struct sluice_wal *wal = NULL;
	int ret;

	looks = 0;
	stop_at = n;
	ret = wal_fixture_open(&stage->fixture, &wal);
	if (ret)
		return ret;
	ret = wal_life_recover(&stage->life, wal);
	sluice_wal_position(wal, &position);
	assert_int_equal(position.snapshot, 2);
	assert_string_equal(sluice_wal_snapshot_text(wal), "");
	if (!ret) {
		assert_int_equal(stage->life.cmd_seq, stage->cmd_seq);
		assert_true(sluice_core_state_hash(stage->life.core) == stage->hash);
	}
	assert_int_equal(wal_life_close(&stage->life, false), 0);
	return ret;
}

static void test_wal_stop__a_start_ends_at_the_next_read(void **state)
{
	struct stage *stage = *state;
	uint32_t n = 1;

	for (; n < LOOKS_MAX; n++) {
		const int ret = come_up(stage, n);

		assert_int_equal(wal_fixture_digest(&stage->fixture), stage->digest);
		if (!ret)
			break;
		assert_int_equal(ret, -EINTR);
		assert_int_equal(looks, n); /* nobody asks again */
	}
	/* two reads of the snapshot, one of the log, its tail, the first places of its files */
	assert_in_range(n, 2 + 1 + SLUICE_WAL_SEGMENTS, LOOKS_MAX - 1);
	assert_int_equal(come_up(stage, 0), 0);
}

/* What is asked for after the start is a clean end, with all the checks that it makes. */
static void test_wal_stop__not_after_the_start(void **state)
{
	struct stage *stage = *state;
	struct sluice_wal *wal = NULL;

	stop_at = 0;
	assert_int_equal(wal_fixture_open(&stage->fixture, &wal), 0);
	assert_int_equal(wal_life_recover(&stage->life, wal), 0);
	assert_int_equal(wal_life_start(&stage->life), 0);
	looks = 0;
	stop_at = 1;
	assert_true(wal_life_block(&stage->life, 3) > 0);
	assert_int_equal(wal_life_settle(&stage->life), 0);
	wal_life_take_reports(&stage->life);
	assert_int_equal(sluice_wal_snapshot(wal, stage->life.core, stage->life.sink.report_next,
					     stage->life.sink.md_next, &stage->life.diag),
			 0);
	assert_int_equal(wal->last.sequence, 3); /* over the older one: the newest is good */
	assert_int_equal(wal_life_close(&stage->life, true), 0);
	assert_int_equal(looks, 0);
}

static int follow(struct stage *stage, uint32_t n, struct sluice_follower **ret_follower)
{
	const struct sluice_follower_options options = {.stopping = stopping};
	struct sluice_wal_io *io;

	looks = 0;
	stop_at = n;
	assert_int_equal(sluice_wal_io_blocking_create(&io, stage->fixture.dir, NULL), 0);
	return sluice_follower_open(ret_follower, io, &options, &stage->fixture.diag);
}

static void test_wal_stop__a_follower_only_while_it_opens(void **state)
{
	struct sluice_follower *follower = NULL;
	struct stage *stage = *state;

	assert_int_equal(follow(stage, 1, &follower), -EINTR);
	assert_null(follower);
	assert_int_equal(follow(stage, 0, &follower), 0);
	looks = 0;
	stop_at = 1;
	while (sluice_follower_step(follower, &stage->fixture.diag) == 1)
		;
	assert_int_equal(looks, 0);
	sluice_follower_close(follower);
	assert_int_equal(wal_fixture_digest(&stage->fixture), stage->digest);
}

#define with_stage(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_stage(test_wal_stop__a_start_ends_at_the_next_read),
		with_stage(test_wal_stop__not_after_the_start),
		with_stage(test_wal_stop__a_follower_only_while_it_opens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
