/* SPDX-License-Identifier: MIT */
/*
 * test_wal_round.c - a log that goes round: several times, with a stop when no snapshot comes, over
 * restarts of a full one, and over torn first blocks of segments that were used before.
 */
#include "tests/unit/wal/round_stage.h"

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
	for (int copies = 0; copies < 2; copies++) {
		assert_true(sluice_wal_full(life->wal)); /* until both are durable */
		assert_null(sluice_wal_reserve(life->wal, 0, 0, &room));
		fault_io_release(stage->io, SLUICE_WAL_SUPER_TAG);
		assert_int_equal(sluice_wal_poll(life->wal), 0);
	}
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
	for (int copies = 0; copies < 2; copies++) {
		assert_null(sluice_wal_reserve(life->wal, 0, 0, &room));
		assert_int_equal(sluice_wal_in_flight(life->wal), 0);
		fault_io_release(stage->io, SLUICE_WAL_SUPER_TAG);
		assert_int_equal(sluice_wal_poll(life->wal), 0);
	}
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_stage(test_wal_round__three_times_without_a_stop),
		with_stage(test_wal_round__without_snapshots_it_stops_and_loses_nothing),
		with_stage(test_wal_round__a_completely_full_log_goes_on),
		with_stage(test_wal_round__a_full_log_makes_way_for_a_second_snapshot),
		with_stage(test_wal_round__a_flip_that_gives_no_segment_keeps_it_full),
		with_stage(test_wal_round__a_torn_first_block_of_a_used_segment_is_cut),
	};

	return cmocka_run_group_tests_name("wal_round", tests, NULL, NULL);
}
