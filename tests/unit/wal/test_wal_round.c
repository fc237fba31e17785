/* SPDX-License-Identifier: MIT */
/*
 * test_wal_round.c - a log that goes round: several times, with a stop when no snapshot comes, over
 * restarts of a full one, over torn first blocks of segments that were used before, and to a clean
 * end with a snapshot of its own. On a real directory.
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
static void recover(struct stage *stage)
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

static void start(struct stage *stage)
{
	recover(stage);
	assert_int_equal(wal_life_start(&stage->life), 0);
}

static int setup(void **state)
{
	struct stage *stage = calloc(1, sizeof(*stage));

	stage->sequence = 1;
	wal_life_make(&stage->fixture, SLUICE_WAL_SEGMENT_BYTES_MIN);
	start(stage);
	*state = stage;
	return 0;
}

static int teardown(void **state)
{
	struct stage *stage = *state;

	fault_io_hold(stage->io, false); /* a test that failed may have left it so */
	wal_life_close(&stage->life, false);
	wal_fixture_remove(&stage->fixture);
	free(stage);
	return 0;
}

/* Blocks of the largest size until `bytes` more are live, or the log is full: -ENOSPC. */
static int grow(struct stage *stage, uint64_t bytes)
{
	const uint64_t until = sluice_wal_live_bytes(stage->life.wal) + bytes;
	int ret = 0;

	while (ret >= 0 && sluice_wal_live_bytes(stage->life.wal) < until)
		ret = wal_life_block(&stage->life, SLUICE_WAL_RECORDS_MAX);
	return ret < 0 ? ret : 0;
}

/* A snapshot of here, and a block behind it. */
static void save(struct stage *stage)
{
	assert_int_equal(wal_life_settle(&stage->life), 0);
	assert_int_equal(wal_life_save(&stage->life, stage->life.wal->io, stage->sequence), 0);
	assert_true(wal_life_block(&stage->life, 3) > 0);
	assert_int_equal(wal_life_settle(&stage->life), 0);
	wal_life_take_reports(&stage->life);
}

static void name(struct stage *stage)
{
	int ret = wal_life_name(&stage->life, stage->sequence);

	if (ret)
		printf("  %s\n", stage->life.diag.text);
	assert_int_equal(ret, 0);
	stage->sequence++;
}

static void test_wal_round__three_times_without_a_stop(void **state)
{
	struct stage *stage = *state;
	const uint64_t size = sluice_wal_size_bytes(stage->life.wal);
	uint64_t seed = wal_fixture_seed("round");

	assert_int_equal(size, 16 * MIB);
	while (stage->life.wal->chain.segment_no < 3 * SLUICE_WAL_SEGMENTS + 3) {
		const uint64_t part = MIB + wal_fixture_random(&seed) % (4 * MIB);

		assert_int_equal(grow(stage, part), 0);
		save(stage);
		name(stage);
		assert_true(sluice_wal_live_bytes(stage->life.wal) < size);
		if (wal_fixture_random(&seed) % 6 == 0) {
			wal_life_close(&stage->life, wal_fixture_random(&seed) % 2);
			start(stage);
			assert_int_equal(sluice_wal_snapshot_named(stage->life.wal),
					 stage->sequence - 1);
		}
	}
	wal_life_close(&stage->life, false);
	recover(stage);
}

static void test_wal_round__without_snapshots_it_stops_and_loses_nothing(void **state)
{
	struct stage *stage = *state;
	struct wal_life *life = &stage->life;
	uint64_t live, cmd_seq;
	uint32_t room;

	assert_int_equal(grow(stage, 5 * MIB), 0);
	save(stage);
	name(stage); /* the first: the log's start stays */
	assert_int_equal(grow(stage, 5 * MIB), 0);
	save(stage);
	assert_int_equal(grow(stage, UINT64_MAX / 2), -ENOSPC);
	assert_int_equal(wal_life_settle(life), 0);
	live = sluice_wal_live_bytes(life->wal);
	cmd_seq = life->cmd_seq;
	assert_int_equal(sluice_wal_left_bytes(life->wal), 65536);
	for (int i = 0; i < 3; i++)
		assert_null(sluice_wal_reserve(life->wal, 0, 0, &room));
	assert_int_equal(sluice_wal_live_bytes(life->wal), live);
	assert_int_equal(sluice_wal_error(life->wal), 0);

	/* also over restarts */
	for (int i = 0; i < 3; i++) {
		wal_life_close(life, i % 2);
		start(stage);
		assert_int_equal(life->cmd_seq, cmd_seq);
		assert_true(sluice_wal_full(life->wal));
		assert_int_equal(wal_life_block(life, 1), -ENOSPC);
	}
	wal_life_take_reports(life);
	fault_io_hold(stage->io, true);
	assert_int_equal(sluice_wal_offer(life->wal, stage->sequence++, &life->diag), 0);
	assert_int_equal(sluice_wal_poll(life->wal), 0);
	assert_true(sluice_wal_full(life->wal)); /* until it is durable */
	assert_null(sluice_wal_reserve(life->wal, 0, 0, &room));
	fault_io_release(stage->io, SLUICE_WAL_SUPER_TAG);
	assert_int_equal(sluice_wal_poll(life->wal), 0);
	fault_io_hold(stage->io, false);
	assert_false(sluice_wal_full(life->wal));
	assert_int_equal(grow(stage, 3 * MIB), 0);
	assert_int_equal(wal_life_settle(life), 0);
	wal_life_close(life, false);
	recover(stage);
	assert_true(life->cmd_seq > cmd_seq);
}

/* Not a page is left: OPEN is owed until the start moves on, and comes before everything else. */
static void test_wal_round__a_completely_full_log_goes_on(void **state)
{
	struct stage *stage = *state;
	struct wal_life *life = &stage->life;
	struct wal_fixture_block_place places[8];
	uint64_t end;
	uint32_t room, epoch;

	assert_int_equal(grow(stage, 5 * MIB), 0);
	save(stage);
	name(stage);
	assert_int_equal(grow(stage, 5 * MIB), 0);
	save(stage);
	assert_int_equal(grow(stage, UINT64_MAX / 2), -ENOSPC);
	while (!life->wal->open_owed) {
		wal_life_close(life, true);
		start(stage);
	}
	assert_int_equal(sluice_wal_left_bytes(life->wal), 0);
	assert_true(sluice_wal_full(life->wal));
	end = life->wal->chain.block_seq;
	epoch = life->wal->super.epoch;
	wal_life_take_reports(life);
	fault_io_hold(stage->io, true);
	assert_int_equal(sluice_wal_offer(life->wal, stage->sequence, &life->diag), 0);
	assert_null(sluice_wal_reserve(life->wal, 0, 0, &room));
	fault_io_release(stage->io, SLUICE_WAL_SUPER_TAG);
	assert_int_equal(sluice_wal_poll(life->wal), 0);
	assert_int_equal(sluice_wal_in_flight(life->wal), 1); /* OPEN */
	assert_false(sluice_wal_full(life->wal));
	assert_null(sluice_wal_reserve(life->wal, 0, 0, &room)); /* not beside it */
	fault_io_release(stage->io, end);
	assert_int_equal(sluice_wal_poll(life->wal), 1);
	fault_io_hold(stage->io, false);
	assert_int_equal(wal_life_block(life, 7), 7);
	assert_int_equal(wal_life_settle(life), 0);
	assert_true(wal_fixture_list(&stage->fixture, places, 8) > 0);
	wal_life_close(life, false);
	recover(stage);
	assert_int_equal(life->wal->chain.block_seq, end + 2);
	assert_int_equal(life->wal->chain.epoch, epoch);
}

/* The first snapshot is of its very end: two SEALs give the second one a place, and no more. */
static void test_wal_round__a_full_log_makes_way_for_a_second_snapshot(void **state)
{
	struct stage *stage = *state;
	struct wal_life *life = &stage->life;

	assert_int_equal(grow(stage, UINT64_MAX / 2), -ENOSPC);
	assert_int_equal(wal_life_settle(life), 0);
	wal_life_take_reports(life);
	assert_int_equal(wal_life_save(life, life->wal->io, 1), 0);
	name(stage);
	assert_true(sluice_wal_full(life->wal));
	for (uint32_t i = 0; i < 5; i++) {
		assert_int_equal(sluice_wal_seal(life->wal), 0);
		assert_int_equal(sluice_wal_in_flight(life->wal), i < 2);
		assert_int_equal(wal_life_settle(life), 0);
	}
	assert_int_equal(wal_life_save(life, life->wal->io, 2), 0);
	name(stage);
	assert_false(sluice_wal_full(life->wal));
	assert_int_equal(grow(stage, 3 * MIB), 0);
	assert_int_equal(wal_life_settle(life), 0);
	wal_life_close(life, false);
	recover(stage);
}

static void test_wal_round__a_flip_that_gives_no_segment_keeps_it_full(void **state)
{
	struct stage *stage = *state;
	struct wal_life *life = &stage->life;

	assert_int_equal(grow(stage, 200 * 1024), 0);
	save(stage);
	name(stage);
	assert_int_equal(grow(stage, 200 * 1024), 0);
	save(stage);
	assert_int_equal(grow(stage, UINT64_MAX / 2), -ENOSPC);
	assert_int_equal(wal_life_settle(life), 0);
	wal_life_take_reports(life);
	name(stage); /* the start moves within its segment */
	assert_int_equal(life->wal->super.start.segment_no, 0);
	assert_true(life->wal->super.start.block_seq > 0);
	assert_true(sluice_wal_full(life->wal));
	assert_int_equal(wal_life_block(life, 1), -ENOSPC);
	wal_life_close(life, false);
	recover(stage);
}

/* The last block of what is there, which is the first of a segment that was full of older ones. */
struct torn {
	unsigned char *old, *new;
	uint32_t bytes, file;
	uint64_t block_seq, cmd_seq;
};

static void write_into_used_segment(struct stage *stage, uint32_t records, struct torn *ret_torn)
{
	struct sluice_wal_chain *chain = &stage->life.wal->chain;
	struct wal_life *life = &stage->life;
	uint32_t bytes = sluice_wal_block_bytes(records);

	while (chain->segment_no < SLUICE_WAL_SEGMENTS || chain->offset > 0) {
		const uint32_t room = (uint32_t)sluice_wal_chain_room(chain);
		const uint32_t part = room < SLUICE_WAL_BLOCK_BYTES_MAX ?
					      room :
					      SLUICE_WAL_BLOCK_BYTES_MAX;

		assert_true(wal_life_block(life, (part - 128) / SLUICE_WAL_RECORD_BYTES) > 0);
		if (chain->segment_no % 4 == 3 && sluice_wal_chain_room(chain) < MIB / 2 &&
		    stage->sequence <= chain->segment_no / 4 + 1) {
			save(stage);
			name(stage);
		}
	}
	assert_int_equal(wal_life_settle(life), 0);
	*ret_torn = (struct torn){
		.old = malloc(bytes),
		.new = malloc(bytes),
		.bytes = bytes,
		.file = (uint32_t)(chain->segment_no % SLUICE_WAL_SEGMENTS),
		.block_seq = chain->block_seq,
		.cmd_seq = life->cmd_seq,
	};
	wal_fixture_peek(&stage->fixture, ret_torn->file, 0, ret_torn->old, bytes);
	assert_int_equal(wal_life_block(life, records), records);
	assert_int_equal(wal_life_settle(life), 0);
	wal_life_close(life, false);
	wal_fixture_peek(&stage->fixture, ret_torn->file, 0, ret_torn->new, bytes);
}

static void test_wal_round__a_torn_first_block_of_a_used_segment_is_cut(void **state)
{
	static const uint32_t parts[] = {0, 512, 512, 2048, 3584, 3584, 4096};
	struct stage *stage = *state;
	struct torn torn;

	write_into_used_segment(stage, 30, &torn);
	assert_memory_equal(torn.old, "WLBK", 4); /* a whole old generation is there */
	/* some edges, from the front and from the back; test_wal_states has all mixtures */
	for (uint32_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		const bool whole = parts[i] == torn.bytes;
		const uint32_t at = i % 2 ? torn.bytes - parts[i] : 0;

		wal_life_close(&stage->life, false);
		wal_fixture_poke(&stage->fixture, torn.file, 0, torn.old, torn.bytes);
		wal_fixture_poke(&stage->fixture, torn.file, at, torn.new + at, parts[i]);
		recover(stage);
		assert_int_equal(stage->life.wal->chain.block_seq, torn.block_seq + whole);
		assert_int_equal(stage->life.cmd_seq, torn.cmd_seq + (whole ? 30 : 0));
	}
	free(torn.old);
	free(torn.new);
}

/* ---------------------------------------------------------------------------- a clean end */

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

static void test_wal_round__a_clean_end_leaves_a_snapshot_and_one_block(void **state)
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

static void test_wal_round__a_clean_end_of_a_full_log_frees_it(void **state)
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
static void test_wal_round__a_clean_end_frees_a_log_that_is_used_up(void **state)
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
static void test_wal_round__an_error_of_the_last_snapshot_harms_nothing(void **state)
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

static void test_wal_round__a_follower_that_is_still_there_is_not_disturbed(void **state)
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
static void test_wal_round__the_last_snapshot_goes_into_the_bad_ones_file(void **state)
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

#define with_stage(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_stage(test_wal_round__three_times_without_a_stop),
		with_stage(test_wal_round__without_snapshots_it_stops_and_loses_nothing),
		with_stage(test_wal_round__a_completely_full_log_goes_on),
		with_stage(test_wal_round__a_full_log_makes_way_for_a_second_snapshot),
		with_stage(test_wal_round__a_flip_that_gives_no_segment_keeps_it_full),
		with_stage(test_wal_round__a_torn_first_block_of_a_used_segment_is_cut),
		with_stage(test_wal_round__a_clean_end_leaves_a_snapshot_and_one_block),
		with_stage(test_wal_round__a_clean_end_of_a_full_log_frees_it),
		with_stage(test_wal_round__a_clean_end_frees_a_log_that_is_used_up),
		with_stage(test_wal_round__an_error_of_the_last_snapshot_harms_nothing),
		with_stage(test_wal_round__a_follower_that_is_still_there_is_not_disturbed),
		with_stage(test_wal_round__the_last_snapshot_goes_into_the_bad_ones_file),
	};

	return cmocka_run_group_tests_name("wal_round", tests, NULL, NULL);
}
