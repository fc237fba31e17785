/* SPDX-License-Identifier: MIT */
/*
 * test_wal_round_end.c - a clean end of a log with a snapshot of its own.
 */
#include "tests/unit/wal/round_stage.h"

static void stop_with_snapshot(struct stage *stage, int expected)
{
	struct wal_life *life = &stage->life;
	int ret;

	assert_int_equal(wal_life_settle(life), 0);
	ret = sluice_wal_snapshot(life->wal, life->core, life->sink.report_next, life->sink.md_next,
				  &life->diag);
	if (ret != expected)
		printf("  %s\n", life->diag.text);
	assert_int_equal(ret, expected);
}

static void test_wal_round_end__a_clean_end_leaves_a_snapshot_and_one_block(void **state)
{
	struct stage *stage = *state;
	struct wal_life *life = &stage->life;

	for (uint64_t i = 1; i <= 4; i++) {
		struct sluice_wal_position position;

		assert_int_equal(grow(stage, 2 * MIB), 0);
		stop_with_snapshot(stage, -EAGAIN); /* nobody took the reports */
		wal_life_take_reports(life);
		stop_with_snapshot(stage, 0);
		assert_int_equal(sluice_wal_snapshot_named(life->wal), i - 1);
		assert_int_equal(wal_life_close(life, true), 0);
		recover(stage);
		sluice_wal_position(life->wal, &position);
		assert_int_equal(position.closed, 1);
		assert_int_equal(position.snapshot, i);
		assert_int_equal(life->blocks, 1); /* CLOSE */
		assert_int_equal(wal_life_start(life), 0);
		stop_with_snapshot(stage, -EALREADY);
	}
	/* two are named: the log begins at the older one */
	assert_int_equal(life->wal->super.start.block_seq,
			 life->wal->super.snapshot[1].place.block_seq);
}

static void test_wal_round_end__a_clean_end_of_a_full_log_frees_it(void **state)
{
	struct stage *stage = *state;
	struct wal_life *life = &stage->life;

	assert_int_equal(grow(stage, 8 * MIB), 0);
	save(stage);
	name(stage);
	assert_int_equal(grow(stage, UINT64_MAX / 2), -ENOSPC);
	wal_life_take_reports(life);
	stop_with_snapshot(stage, 0);
	assert_int_equal(wal_life_close(life, true), 0);
	start(stage);
	assert_false(sluice_wal_full(life->wal));
	assert_int_equal(grow(stage, 4 * MIB), 0);
}

/* Nothing was executed since the only snapshot, and no block fits any more: one more frees it. */
static void test_wal_round_end__a_clean_end_frees_a_log_that_is_used_up(void **state)
{
	struct stage *stage = *state;
	struct wal_life *life = &stage->life;

	assert_int_equal(grow(stage, UINT64_MAX / 2), -ENOSPC);
	assert_int_equal(wal_life_settle(life), 0);
	wal_life_take_reports(life);
	assert_int_equal(wal_life_save(life, life->wal->io, 1), 0);
	name(stage);
	while (sluice_wal_left_bytes(life->wal) > 32 * 1024) {
		stop_with_snapshot(stage, -EALREADY);
		assert_int_equal(wal_life_close(life, true), 0);
		start(stage);
		wal_life_take_reports(life);
	}
	assert_true(sluice_wal_full(life->wal));
	stop_with_snapshot(stage, 0);
	assert_int_equal(wal_life_close(life, true), 0);
	start(stage);
	assert_false(sluice_wal_full(life->wal));
	assert_int_equal(grow(stage, 4 * MIB), 0);
}

/* Whatever happens to it, the log ends cleanly without. */
static void test_wal_round_end__an_error_of_the_last_snapshot_harms_nothing(void **state)
{
	struct stage *stage = *state;
	struct wal_life *life = &stage->life;
	uint64_t at = 1;
	int ret;

	do {
		const struct fault_plan plan = {.at = at, .error = EIO};
		struct sluice_wal_position position;

		assert_int_equal(wal_life_block(life, 50), 50);
		wal_life_take_reports(life);
		assert_int_equal(wal_life_settle(life), 0);
		fault_io_plan(stage->io, &plan);
		ret = sluice_wal_snapshot(life->wal, life->core, life->sink.report_next,
					  life->sink.md_next, &life->diag);
		if (ret)
			assert_int_equal(ret, -EIO);
		assert_int_equal(sluice_wal_error(life->wal), 0);
		fault_io_plan(stage->io, &(struct fault_plan){.at = 0});
		assert_int_equal(wal_life_close(life, true), 0);
		start(stage);
		sluice_wal_position(life->wal, &position);
		assert_int_equal(position.closed, 1);
		assert_int_equal(position.snapshot, ret ? 0 : 1);
		assert_true(at++ < 20);
	} while (ret);
	assert_true(at > 5);
}

static void test_wal_round_end__a_follower_that_is_still_there_is_not_disturbed(void **state)
{
	struct stage *stage = *state;
	struct sluice_wal_io *follower;

	assert_int_equal(sluice_wal_io_create(&follower, stage->fixture.dir,
					      SLUICE_WAL_BACKEND_BLOCKING, NULL),
			 0);
	assert_int_equal(follower->ops->open(follower, SLUICE_WAL_IO_FOLLOW, NULL), 0);
	assert_int_equal(follower->ops->lock(follower, SLUICE_WAL_IO_SNAPSHOTS, 0, NULL), 0);
	assert_int_equal(grow(stage, MIB), 0);
	wal_life_take_reports(&stage->life);
	stop_with_snapshot(stage, -EBUSY);
	follower->ops->close(follower);
	stop_with_snapshot(stage, 0);
	assert_int_equal(wal_life_close(&stage->life, true), 0);
	recover(stage);
	assert_int_equal(stage->life.blocks, 1);
}

/* A newest one that rotted does not take the older one with it. */
static void test_wal_round_end__the_last_snapshot_goes_into_the_bad_ones_file(void **state)
{
	struct stage *stage = *state;
	struct wal_life *life = &stage->life;

	for (int i = 0; i < 2; i++) {
		assert_int_equal(grow(stage, MIB), 0);
		save(stage);
		name(stage);
	}
	wal_fixture_flip(&stage->fixture, SLUICE_WAL_FILE_SNAPSHOT, 6000, 3);
	stop_with_snapshot(stage, 0);
	assert_int_equal(wal_life_close(life, true), 0);
	start(stage);
	assert_int_equal(sluice_wal_snapshot_named(life->wal), 4);
	assert_int_equal(life->wal->super.snapshot[0].sequence, 4);
	assert_int_equal(life->wal->super.snapshot[1].sequence, 1);
	assert_int_equal(life->wal->position.snapshot, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_stage(test_wal_round_end__a_clean_end_leaves_a_snapshot_and_one_block),
		with_stage(test_wal_round_end__a_clean_end_of_a_full_log_frees_it),
		with_stage(test_wal_round_end__a_clean_end_frees_a_log_that_is_used_up),
		with_stage(test_wal_round_end__an_error_of_the_last_snapshot_harms_nothing),
		with_stage(test_wal_round_end__a_follower_that_is_still_there_is_not_disturbed),
		with_stage(test_wal_round_end__the_last_snapshot_goes_into_the_bad_ones_file),
	};

	return cmocka_run_group_tests_name("wal_round_end", tests, NULL, NULL);
}
