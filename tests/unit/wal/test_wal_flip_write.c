/* SPDX-License-Identifier: MIT */
/*
 * test_wal_flip_write.c - a superblock on its way among blocks: every result that its write may
 * have, and that nothing counts before it is durable.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/wal/flip_stage.h"

static void test_wal_flip_write__short_and_interrupted_writes_are_made_again(void **state)
{
	static const struct fault_plan plans[] = {
		{.at = 1, .times = 3, .kind = FAULT_SHORT, .error = 512, .submits_only = true},
		{.at = 1, .times = 1, .kind = FAULT_SHORT, .error = 3584, .submits_only = true},
		{.at = 1, .times = 100, .kind = FAULT_RESULT, .error = EINTR, .submits_only = true},
		{.at = 1, .times = 60, .kind = FAULT_TORN, .error = EAGAIN, .submits_only = true},
		{.at = 2, .times = 3, .kind = FAULT_SHORT, .error = 512, .submits_only = true},
		{.at = 2, .times = 100, .kind = FAULT_RESULT, .error = EINTR, .submits_only = true},
	};

	struct flip_stage *stage = *state;

	for (size_t i = 0; i < LENGTH(plans); i++) {
		struct sluice_wal_stats before, after;

		sluice_wal_stats(stage->life.wal, &before);
		fault_io_plan(stage->io, &plans[i]);
		assert_int_equal(wal_life_name(&stage->life, stage->whole), 0);
		assert_int_equal(fault_io_fired(stage->io), plans[i].times);
		sluice_wal_stats(stage->life.wal, &after);
		assert_int_equal(after.resubmits - before.resubmits, plans[i].times);
		assert_int_equal(after.blocks, before.blocks);
		assert_int_equal(sluice_wal_snapshot_named(stage->life.wal), stage->whole);
		flip_go_on(stage);
	}
	flip_recovers(stage, stage->whole - 1, stage->life.cmd_seq);
}

static void test_wal_flip_write__any_other_result_halts_for_good(void **state)
{
	static const struct {
		struct fault_plan plan;
		int error;
		bool named; /* by a copy: one is whole with its first sector */
	} rows[] = {
		{{.at = 1, .times = 4, .kind = FAULT_SHORT, .error = 512}, -EIO, true},
		{{.at = 1, .times = 101, .kind = FAULT_RESULT, .error = EINTR}, -EINTR, false},
		{{.at = 1, .kind = FAULT_SHORT, .error = 0}, -EIO, false},
		{{.at = 1, .kind = FAULT_RESULT, .error = EIO}, -EIO, false},
		{{.at = 1, .kind = FAULT_TORN, .error = ENOSPC}, -ENOSPC, true},
		{{.at = 1, .kind = FAULT_RETURN, .error = ENODEV}, -ENODEV, false},
		{{.at = 2, .kind = FAULT_RESULT, .error = EIO}, -EIO, true},
		{{.at = 2, .times = 4, .kind = FAULT_SHORT, .error = 512}, -EIO, true},
		{{.at = 2, .kind = FAULT_RETURN, .error = ENODEV}, -ENODEV, true},
	};

	struct flip_stage *stage = *state;

	for (size_t i = 0; i < LENGTH(rows); i++) {
		struct sluice_wal *wal = stage->life.wal;
		const struct sluice_wal_super before = wal->super;
		const uint64_t offered = stage->whole;
		struct fault_plan plan = rows[i].plan;
		uint64_t writes;
		uint32_t room;

		plan.submits_only = true;
		fault_io_plan(stage->io, &plan);
		assert_int_equal(wal_life_name(&stage->life, offered), rows[i].error);
		assert_non_null(strstr(sluice_wal_error_text(wal), "super offset"));
		assert_memory_equal(&wal->super, &before, sizeof(before));
		assert_int_equal(sluice_wal_snapshot_named(wal), offered - 1);
		writes = fault_io_writes_after(stage->io);
		assert_null(sluice_wal_reserve(wal, 0, 0, &room));
		assert_int_equal(sluice_wal_offer(wal, offered, NULL), rows[i].error);
		assert_int_equal(sluice_wal_seal(wal), rows[i].error);
		assert_int_equal(sluice_wal_poll(wal), rows[i].error);
		assert_int_equal(fault_io_writes_after(stage->io), writes);
		flip_recovers(stage, offered - !rows[i].named, stage->life.cmd_seq);
		assert_int_equal(wal_life_start(&stage->life), 0);
		wal_life_take_reports(&stage->life);
		assert_int_equal(wal_life_name(&stage->life, offered),
				 rows[i].named ? -EALREADY : 0);
		flip_go_on(stage);
	}
}

static void test_wal_flip_write__nothing_counts_before_the_superblock_is_durable(void **state)
{
	struct flip_stage *stage = *state;
	struct wal_life *life = &stage->life;
	const struct sluice_wal_super before = life->wal->super;
	uint64_t first;

	fault_io_hold(stage->io, true);
	assert_int_equal(sluice_wal_offer(life->wal, 2, NULL), 0);
	assert_int_equal(sluice_wal_offer(life->wal, 2, NULL), -EAGAIN);
	assert_int_equal(sluice_wal_offer(life->wal, 3, NULL), -EAGAIN);
	assert_int_equal(sluice_wal_in_flight(life->wal), 0);
	/* a whole window of blocks beside it, in any order, and none of them waits for it */
	first = life->wal->chain.block_seq;
	for (uint64_t i = 0; i < 4; i++)
		assert_int_equal(wal_life_block(life, 7), 7);
	for (uint64_t i = 4; i-- > 0;)
		fault_io_release(stage->io, first + i);
	assert_int_equal(sluice_wal_poll(life->wal), 4);
	assert_int_equal(sluice_wal_durable_cmd_seq(life->wal), life->cmd_seq);
	assert_memory_equal(&life->wal->super, &before, sizeof(before));
	/* nor before it is so twice */
	for (int copies = 0; copies < 2; copies++) {
		assert_int_equal(sluice_wal_snapshot_named(life->wal), 1);
		assert_int_equal(sluice_wal_offer(life->wal, 3, NULL), -EAGAIN);
		assert_memory_equal(&life->wal->super, &before, sizeof(before));
		fault_io_release(stage->io, SLUICE_WAL_SUPER_TAG);
		assert_int_equal(sluice_wal_poll(life->wal), 0);
	}
	assert_int_equal(sluice_wal_snapshot_named(life->wal), 2);
	assert_int_equal(life->wal->super.sequence, before.sequence + 2);
	assert_memory_equal(&life->wal->super.start, &stage->places[1], sizeof(before.start));
	fault_io_hold(stage->io, false);
	flip_recovers(stage, 2, life->cmd_seq);
}

static void test_wal_flip_write__close_waits_for_it(void **state)
{
	struct flip_stage *stage = *state;
	struct sluice_wal_position position;
	struct sluice_wal *wal;
	const uint64_t cmd_seq = stage->life.cmd_seq;

	assert_int_equal(sluice_wal_offer(stage->life.wal, 2, NULL), 0);
	assert_int_equal(wal_life_close(&stage->life, true), 0);
	assert_int_equal(wal_fixture_open_faulty(&stage->fixture, &wal, &stage->io, NULL), 0);
	assert_int_equal(wal_life_recover(&stage->life, wal), 0);
	sluice_wal_position(wal, &position);
	assert_int_equal(position.snapshot, 2);
	assert_int_equal(position.closed, 1);
	assert_int_equal(position.next_cmd_seq, cmd_seq);
}

static void test_wal_flip_write__an_error_of_a_block_freezes_it(void **state)
{
	const struct fault_plan plan = {
		.at = 2, .error = EIO, .kind = FAULT_RESULT, .submits_only = true};
	struct flip_stage *stage = *state;
	struct wal_life *life = &stage->life;
	const uint64_t first = life->wal->chain.block_seq, durable = life->cmd_seq;

	fault_io_hold(stage->io, true);
	fault_io_plan(stage->io, &plan);
	assert_int_equal(sluice_wal_offer(life->wal, 2, NULL), 0);
	assert_int_equal(wal_life_block(life, 7), 7);
	fault_io_release(stage->io, first);
	fault_io_release(stage->io, SLUICE_WAL_SUPER_TAG);
	assert_int_equal(sluice_wal_poll(life->wal), -EIO);
	assert_int_equal(sluice_wal_snapshot_named(life->wal), 1);
	fault_io_hold(stage->io, false);
	flip_recovers(stage, 2, durable); /* it had reached the disk all the same */
}

static void test_wal_flip_write__a_completion_of_no_superblock_halts(void **state)
{
	struct flip_stage *stage = *state;

	fault_io_hold(stage->io, true);
	assert_int_equal(wal_life_block(&stage->life, 3), 3);
	fault_io_forge(stage->io, SLUICE_WAL_SUPER_TAG, SLUICE_WAL_ALIGN);
	assert_int_equal(sluice_wal_poll(stage->life.wal), -EIO);
	fault_io_hold(stage->io, false);
}

#define with_stage(test) cmocka_unit_test_setup_teardown(test, flip_setup, flip_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_stage(test_wal_flip_write__short_and_interrupted_writes_are_made_again),
		with_stage(test_wal_flip_write__any_other_result_halts_for_good),
		with_stage(test_wal_flip_write__nothing_counts_before_the_superblock_is_durable),
		with_stage(test_wal_flip_write__close_waits_for_it),
		with_stage(test_wal_flip_write__an_error_of_a_block_freezes_it),
		with_stage(test_wal_flip_write__a_completion_of_no_superblock_halts),
	};

	return cmocka_run_group_tests_name("wal_flip_write", tests, NULL, NULL);
}
