/* SPDX-License-Identifier: MIT */
/*
 * test_wal_writer.c - blocks, window, contiguous durability, segment roll, a full log on a
 * real directory.
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

#include "engine/wal/wal_scan.h"
#include "tests/lib/wal_fixture.h"

#define WINDOW 4u
#define PLACES_MAX 256u

static const uint32_t backends[] = {SLUICE_WAL_BACKEND_URING, SLUICE_WAL_BACKEND_BLOCKING};

static void round_trip(struct wal_fixture *fixture, uint32_t backend)
{
	static const uint32_t sizes[] = {1, 33, 34, 200, 2183, 5, 1, 68};
	uint64_t total = 0;
	struct sluice_wal_stats stats;
	struct sluice_wal *wal;

	fixture->options.backend = backend;
	wal = wal_fixture_start(fixture);
	for (uint32_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		assert_int_equal(wal_fixture_block(wal, sizes[i]), 0);
		total += sizes[i];
		assert_int_equal(sluice_wal_next_cmd_seq(wal), total);
		assert_true(sluice_wal_in_flight(wal) <= WINDOW);
	}
	assert_int_equal(wal_fixture_settle(wal), 0);
	assert_int_equal(sluice_wal_durable_cmd_seq(wal), total);
	sluice_wal_stats(wal, &stats);
	assert_int_equal(stats.commands, total);
	assert_int_equal(stats.blocks, 9);
	assert_int_equal(sluice_wal_close(wal, true, NULL), 0);
	assert_int_equal(wal_fixture_count(fixture, NULL), total);
}

static void test_wal_writer__what_is_appended_is_replayed(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 2; i++) {
		struct sluice_wal_position position;
		struct wal_fixture fixture;

		wal_fixture_make(&fixture);
		round_trip(&fixture, backends[i]);
		assert_true(wal_fixture_count(&fixture, &position) > 0);
		assert_int_equal(position.closed, 1);
		assert_int_equal(position.torn, 0);
		assert_int_equal(position.epoch, 1);
		assert_int_equal(position.next_block_seq, 10); /* OPEN, 8 blocks, CLOSE */
		assert_int_equal(position.ring_uuid[0], 7);
		wal_fixture_remove(&fixture);
	}
}

static void test_wal_writer__header_carries_the_callers_values(void **state)
{
	struct wal_fixture *fixture = *state;
	struct wal_fixture_block_place places[8];
	struct sluice_wal *wal = wal_fixture_start(fixture);

	assert_int_equal(wal_fixture_block(wal, 10), 0);
	assert_int_equal(wal_fixture_block(wal, 40), 0);
	assert_int_equal(wal_fixture_settle(wal), 0);
	assert_int_equal(sluice_wal_close(wal, false, NULL), 0);
	assert_int_equal(wal_fixture_list(fixture, places, 8), 3);
	assert_int_equal(places[0].header.flags, SLUICE_WAL_OPEN);
	assert_int_equal(places[0].header.state_hash, 0x5a5a);
	assert_int_equal(places[0].header.durable_seq, 0);
	assert_int_equal(places[1].header.first_cmd_seq, 0);
	assert_int_equal(places[1].header.report_first, 1);
	assert_int_equal(places[1].header.state_hash, 0xabc0);
	assert_int_equal(places[2].header.first_cmd_seq, 10);
	assert_int_equal(places[2].header.state_hash, 0xabca);
	assert_int_equal(places[2].header.report_first, 11);
	assert_int_equal(places[2].offset, 8192);
	assert_int_equal(places[2].bytes, 8192);
	assert_true(places[2].header.input_time_ns > 0);
}

/* Fills the log to its very end with blocks of every size; each segment is filled exactly. */
static void test_wal_writer__a_full_log_pushes_back_and_loses_nothing(void **state)
{
	struct wal_fixture *fixture = *state;
	static struct wal_fixture_block_place places[1024];
	struct sluice_wal *wal = wal_fixture_start(fixture);
	uint64_t seed = wal_fixture_seed("full_log"), durable;
	struct sluice_wal_position position;
	uint32_t n, rolls = 0, room;

	while (!sluice_wal_full(wal)) {
		int ret = wal_fixture_block(wal, 1 + (uint32_t)(wal_fixture_random(&seed) % 2184));

		assert_true(ret == 0 || ret == -ENOSPC);
	}
	assert_null(sluice_wal_reserve(wal, 0, 0, &room));
	assert_int_equal(sluice_wal_error(wal), 0);
	assert_int_equal(wal_fixture_settle(wal), 0);
	/* One SEAL still goes into the space that is kept, and no second one. */
	for (int i = 0; i < 5; i++) {
		assert_int_equal(sluice_wal_seal(wal), 0);
		assert_int_equal(sluice_wal_in_flight(wal), i == 0);
		assert_int_equal(wal_fixture_settle(wal), 0);
	}
	durable = sluice_wal_durable_cmd_seq(wal);
	assert_int_equal(durable, sluice_wal_next_cmd_seq(wal));
	assert_int_equal(sluice_wal_close(wal, true, NULL), 0);

	n = wal_fixture_list(fixture, places, 1024);
	assert_true(n < 1024);
	for (uint32_t i = 0; i < n; i++) {
		bool fills = places[i].offset + places[i].bytes == WAL_FIXTURE_SEGMENT_BYTES;

		assert_true(places[i].offset + places[i].bytes <= WAL_FIXTURE_SEGMENT_BYTES);
		assert_int_equal(fills, !!(places[i].header.flags & SLUICE_WAL_ROLL));
		assert_int_equal(places[i].segment_no, rolls);
		rolls += fills;
	}
	assert_int_equal(rolls, SLUICE_WAL_SEGMENTS - 1);
	/* DATA up to the space that is kept, then SEAL and CLOSE */
	assert_int_equal(places[n - 2].header.flags, SLUICE_WAL_SEAL);
	assert_int_equal(places[n - 2].offset, WAL_FIXTURE_SEGMENT_BYTES - 65536);
	assert_int_equal(places[n - 1].header.flags, SLUICE_WAL_CLOSE);
	assert_int_equal(wal_fixture_count(fixture, &position), durable);
	assert_int_equal(position.closed, 1);
}

/* The kept space is used up by restarts; then only superblocks are written. */
static void test_wal_writer__a_full_log_can_still_be_started(void **state)
{
	struct wal_fixture *fixture = *state;
	struct sluice_wal *wal = wal_fixture_start(fixture);
	struct sluice_wal_position position;
	uint64_t durable;
	uint32_t room;

	while (!sluice_wal_full(wal))
		wal_fixture_block(wal, SLUICE_WAL_RECORDS_MAX);
	durable = sluice_wal_next_cmd_seq(wal);
	assert_int_equal(sluice_wal_close(wal, true, NULL), 0); /* 15 pages are left */
	for (uint32_t i = 0; i < 10; i++) {
		wal = wal_fixture_start(fixture);
		assert_true(sluice_wal_full(wal));
		assert_null(sluice_wal_reserve(wal, 0, 0, &room));
		assert_int_equal(sluice_wal_seal(wal), 0);
		assert_int_equal(sluice_wal_in_flight(wal), 0);
		assert_int_equal(sluice_wal_size_bytes(wal) - sluice_wal_live_bytes(wal),
				 i < 7 ? (14 - 2 * i) * 4096 : 0);
		assert_int_equal(sluice_wal_close(wal, true, NULL), 0);
		assert_int_equal(wal_fixture_count(fixture, &position), durable);
		assert_int_equal(position.closed, 1);
		assert_int_equal(position.epoch, 2 + i);
	}
}

static void test_wal_writer__a_block_may_fill_a_segment_exactly(void **state)
{
	struct wal_fixture *fixture = *state;
	struct wal_fixture_block_place places[16];
	struct sluice_wal *wal = wal_fixture_start(fixture);

	/* 4 KiB OPEN, 3 x 256 KiB, then 252 KiB and nothing left. */
	for (int i = 0; i < 3; i++)
		assert_int_equal(wal_fixture_block(wal, SLUICE_WAL_RECORDS_MAX), 0);
	assert_int_equal(wal_fixture_block(wal, (252 * 1024 - 128) / 120), 0);
	assert_int_equal(wal_fixture_block(wal, 1), 0);
	assert_int_equal(wal_fixture_settle(wal), 0);
	assert_int_equal(sluice_wal_close(wal, false, NULL), 0);
	assert_int_equal(wal_fixture_list(fixture, places, 16), 6);
	assert_int_equal(places[4].bytes, 252 * 1024);
	assert_int_equal(places[4].header.flags, SLUICE_WAL_DATA | SLUICE_WAL_ROLL);
	assert_int_equal(places[5].segment_no, 1);
	assert_int_equal(places[5].offset, 0);
}

static void test_wal_writer__a_block_is_limited_to_the_room_left(void **state)
{
	struct wal_fixture *fixture = *state;
	struct sluice_wal *wal = wal_fixture_start(fixture);
	uint32_t room = 0;

	for (int i = 0; i < 3; i++)
		assert_int_equal(wal_fixture_block(wal, SLUICE_WAL_RECORDS_MAX), 0);
	assert_int_equal(wal_fixture_block(wal, (248 * 1024 - 128) / 120), 0);
	assert_int_equal(wal_fixture_settle(wal), 0);
	assert_non_null(sluice_wal_reserve(wal, 2, 3, &room));
	assert_int_equal(room, WAL_FIXTURE_RECORDS_PER_PAGE);
	assert_int_equal(sluice_wal_close(wal, false, NULL), 0);
}

static void test_wal_writer__window_limits_next_minus_durable(void **state)
{
	struct wal_fixture *fixture = *state;
	struct sluice_wal_io *io;
	struct sluice_wal *wal;
	uint32_t room;

	assert_int_equal(wal_fixture_open_faulty(fixture, &wal, &io, NULL), 0);
	assert_int_equal(wal_fixture_start_wal(fixture, wal), 0);
	fault_io_hold(io, true);
	for (uint32_t i = 0; i < WINDOW; i++)
		assert_int_equal(wal_fixture_block(wal, 2), 0);
	assert_null(sluice_wal_reserve(wal, 0, 0, &room));
	/* Blocks 2..4 are complete, block 1 is not: one is outstanding, and yet no room. */
	for (uint64_t tag = 4; tag >= 2; tag--)
		fault_io_release(io, tag);
	assert_int_equal(sluice_wal_poll(wal), 0);
	assert_int_equal(sluice_wal_durable_cmd_seq(wal), 0);
	assert_int_equal(sluice_wal_in_flight(wal), WINDOW);
	assert_null(sluice_wal_reserve(wal, 0, 0, &room));
	fault_io_release(io, 1);
	assert_int_equal(sluice_wal_poll(wal), WINDOW);
	assert_int_equal(sluice_wal_durable_cmd_seq(wal), 2 * WINDOW);
	assert_non_null(sluice_wal_reserve(wal, 0, 0, &room));
	assert_int_equal(sluice_wal_close(wal, false, NULL), 0);
}

static void test_wal_writer__durable_moves_over_the_contiguous_prefix_only(void **state)
{
	struct wal_fixture *fixture = *state;
	uint64_t seed = wal_fixture_seed("reorder");
	struct sluice_wal_stats stats;
	struct sluice_wal_io *io;
	struct sluice_wal *wal;
	uint64_t ends[512], n = 0, completed = 0;

	fixture->options.window = SLUICE_WAL_WINDOW_MAX;
	assert_int_equal(wal_fixture_open_faulty(fixture, &wal, &io, NULL), 0);
	assert_int_equal(wal_fixture_start_wal(fixture, wal), 0);
	fault_io_shuffle(io, seed);
	while (n < 512) {
		uint64_t before = sluice_wal_durable_cmd_seq(wal);
		int durable;

		if (wal_fixture_append(wal, 1 + (uint32_t)(wal_fixture_random(&seed) % 5))) {
			ends[n++] = sluice_wal_next_cmd_seq(wal);
			assert_int_equal(sluice_wal_submit(wal), 0);
		}
		durable = sluice_wal_poll(wal);
		assert_true(durable >= 0);
		completed += (uint64_t)durable;
		assert_int_equal(sluice_wal_durable_cmd_seq(wal),
				 completed ? ends[completed - 1] : 0);
		assert_true(sluice_wal_durable_cmd_seq(wal) >= before);
		assert_true(sluice_wal_in_flight(wal) <= SLUICE_WAL_WINDOW_MAX);
	}
	assert_int_equal(wal_fixture_settle(wal), 0);
	sluice_wal_stats(wal, &stats);
	assert_true(stats.reordered > 0);
	assert_int_equal(sluice_wal_close(wal, true, NULL), 0);
	assert_int_equal(wal_fixture_count(fixture, NULL), ends[511]);
}

static void test_wal_writer__a_block_without_room_is_submitted_by_reserve(void **state)
{
	struct wal_fixture *fixture = *state;
	struct sluice_wal *wal = wal_fixture_start(fixture);
	uint32_t room = 0;

	assert_true(wal_fixture_append(wal, SLUICE_WAL_RECORDS_MAX));
	assert_int_equal(sluice_wal_in_flight(wal), 0);
	assert_int_equal(sluice_wal_pending_bytes(wal), SLUICE_WAL_RECORDS_MAX * 120);
	assert_non_null(sluice_wal_reserve(wal, 2, 3, &room));
	assert_int_equal(room, SLUICE_WAL_RECORDS_MAX);
	assert_int_equal(sluice_wal_in_flight(wal), 1);
	assert_int_equal(sluice_wal_pending_bytes(wal), 0);
	assert_int_equal(sluice_wal_submit(wal), 0);
	assert_int_equal(sluice_wal_in_flight(wal), 1);
	assert_int_equal(sluice_wal_close(wal, true, NULL), 0);
	assert_int_equal(wal_fixture_count(fixture, NULL), SLUICE_WAL_RECORDS_MAX);
}

static void test_wal_writer__seal_witnesses_the_last_commands_once(void **state)
{
	struct wal_fixture *fixture = *state;
	struct wal_fixture_block_place places[8];
	struct sluice_wal *wal = wal_fixture_start(fixture);

	assert_int_equal(sluice_wal_seal(wal), 0); /* the last block is OPEN */
	assert_int_equal(sluice_wal_in_flight(wal), 0);
	assert_true(wal_fixture_append(wal, 1));
	assert_int_equal(sluice_wal_seal(wal), 0); /* something is pending */
	assert_int_equal(sluice_wal_in_flight(wal), 0);
	assert_int_equal(sluice_wal_submit(wal), 0);
	assert_int_equal(sluice_wal_seal(wal), 0); /* something is in flight */
	assert_int_equal(sluice_wal_in_flight(wal), 1);
	assert_int_equal(wal_fixture_settle(wal), 0);
	assert_int_equal(sluice_wal_seal(wal), 0);
	assert_int_equal(sluice_wal_in_flight(wal), 1);
	assert_int_equal(wal_fixture_settle(wal), 0);
	assert_int_equal(sluice_wal_seal(wal), 0); /* sealed already */
	assert_int_equal(sluice_wal_in_flight(wal), 0);
	assert_int_equal(sluice_wal_close(wal, false, NULL), 0);
	assert_int_equal(wal_fixture_list(fixture, places, 8), 3);
	assert_int_equal(places[2].header.flags, SLUICE_WAL_SEAL);
	assert_int_equal(places[2].header.durable_seq, 2);
	assert_int_equal(places[2].bytes, 4096);
}

static void test_wal_writer__padding_is_zeros_also_in_a_used_buffer(void **state)
{
	static const unsigned char zeros[4096];
	struct wal_fixture *fixture = *state;
	struct wal_fixture_block_place places[32];
	struct sluice_wal *wal = wal_fixture_start(fixture);
	unsigned char block[4096];

	for (uint32_t i = 0; i < 2 * SLUICE_WAL_WINDOW_MAX; i++)
		assert_int_equal(wal_fixture_block(wal, i < SLUICE_WAL_WINDOW_MAX ? 33 : 2), 0);
	assert_int_equal(sluice_wal_close(wal, true, NULL), 0);
	assert_int_equal(wal_fixture_list(fixture, places, 32), 18);
	for (uint32_t i = 9; i < 17; i++) {
		wal_fixture_peek(fixture, 0, places[i].offset, block, sizeof(block));
		assert_memory_equal(block + 128 + 2 * 120, zeros, 4096 - 128 - 2 * 120);
	}
}

static void count_commit(uint64_t latency_ns, uint32_t n_cmds, void *arg)
{
	uint64_t *sums = arg;

	sums[0]++;
	sums[1] += n_cmds;
	sums[2] += latency_ns > 0;
}

static void test_wal_writer__every_commit_is_reported_once(void **state)
{
	struct wal_fixture *fixture = *state;
	struct sluice_wal *wal = wal_fixture_start(fixture);
	uint64_t sums[3] = {0};

	sluice_wal_on_commit(wal, count_commit, sums);
	for (uint32_t i = 1; i <= 10; i++)
		assert_int_equal(wal_fixture_block(wal, i), 0);
	assert_int_equal(wal_fixture_settle(wal), 0);
	assert_int_equal(sums[0], 10);
	assert_int_equal(sums[1], 55);
	assert_int_equal(sums[2], 10);
	assert_int_equal(sluice_wal_close(wal, false, NULL), 0);
}

/* The same calls on both backends, time and identity masked. */
static void write_the_same(struct wal_fixture *fixture, uint32_t backend,
			   struct wal_fixture_block_place *ret_places)
{
	struct sluice_wal *wal;

	wal_fixture_make(fixture);
	fixture->options.backend = backend;
	wal = wal_fixture_start(fixture);
	for (uint32_t i = 0; i < 20; i++) {
		assert_int_equal(wal_fixture_block(wal, 1 + i * 40), 0);
		assert_int_equal(wal_fixture_settle(wal), 0);
	}
	assert_int_equal(sluice_wal_seal(wal), 0);
	assert_int_equal(wal_fixture_settle(wal), 0);
	assert_int_equal(sluice_wal_close(wal, true, NULL), 0);
	assert_int_equal(wal_fixture_list(fixture, ret_places, 64), 23);
}

static void mask(struct sluice_wal_block_header *header)
{
	memset(header->log_uuid, 0, sizeof(header->log_uuid));
	header->input_time_ns = 0;
	header->header_crc = 0;
	header->prev_link = 0;
}

static void test_wal_writer__both_backends_write_the_same_bytes(void **state)
{
	static struct wal_fixture_block_place places[2][64];
	static unsigned char payload[2][SLUICE_WAL_BLOCK_BYTES_MAX];
	struct wal_fixture fixtures[2];

	(void)state;
	for (uint32_t i = 0; i < 2; i++)
		write_the_same(&fixtures[i], backends[i], places[i]);
	for (uint32_t block = 0; block < 23; block++) {
		for (uint32_t i = 0; i < 2; i++) {
			struct wal_fixture_block_place *place = &places[i][block];

			mask(&place->header);
			wal_fixture_peek(&fixtures[i], place->segment_no, place->offset + 128,
					 payload[i], place->bytes - 128);
		}
		assert_memory_equal(&places[0][block], &places[1][block], sizeof(places[0][0]));
		assert_memory_equal(payload[0], payload[1], places[0][block].bytes - 128);
	}
	wal_fixture_remove(&fixtures[0]);
	wal_fixture_remove(&fixtures[1]);
}

#define with_log(test)                                                                             \
	cmocka_unit_test_setup_teardown(test, wal_fixture_setup, wal_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wal_writer__what_is_appended_is_replayed),
		with_log(test_wal_writer__header_carries_the_callers_values),
		with_log(test_wal_writer__a_full_log_pushes_back_and_loses_nothing),
		with_log(test_wal_writer__a_full_log_can_still_be_started),
		with_log(test_wal_writer__a_block_may_fill_a_segment_exactly),
		with_log(test_wal_writer__a_block_is_limited_to_the_room_left),
		with_log(test_wal_writer__window_limits_next_minus_durable),
		with_log(test_wal_writer__durable_moves_over_the_contiguous_prefix_only),
		with_log(test_wal_writer__a_block_without_room_is_submitted_by_reserve),
		with_log(test_wal_writer__seal_witnesses_the_last_commands_once),
		with_log(test_wal_writer__padding_is_zeros_also_in_a_used_buffer),
		with_log(test_wal_writer__every_commit_is_reported_once),
		cmocka_unit_test(test_wal_writer__both_backends_write_the_same_bytes),
	};

	return cmocka_run_group_tests_name("wal_writer", tests, NULL, NULL);
}
