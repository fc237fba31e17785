/* SPDX-License-Identifier: MIT */
/*
 * test_wal_recover.c - crashes: torn tails at every sector, out-of-order arrival, many generations
 * of cut tails. The oath each time: what was reported durable is there, and nothing else is.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/wal_fixture.h"

#define SECTOR 512u
#define WINDOW 4u

/* n blocks in flight at once behind `durable` commands, then the end of the process. */
static uint32_t crash_in_flight(struct wal_fixture *fixture, uint32_t durable,
				const uint32_t *sizes, uint32_t n,
				struct wal_fixture_block_place *ret_places)
{
	struct sluice_wal_io *io;
	struct sluice_wal *wal;

	assert_int_equal(wal_fixture_open_faulty(fixture, &wal, &io, NULL), 0);
	assert_int_equal(wal_fixture_start_wal(fixture, wal), 0);
	if (durable)
		assert_int_equal(wal_fixture_block(wal, durable), 0);
	assert_int_equal(wal_fixture_settle(wal), 0);
	fault_io_hold(io, true);
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(wal_fixture_block(wal, sizes[i]), 0);
	assert_int_equal(sluice_wal_in_flight(wal), n);
	fault_io_hold(io, false);
	assert_int_equal(sluice_wal_close(wal, false, NULL), 0);
	return wal_fixture_list(fixture, ret_places, 64);
}

static void zero_from(struct wal_fixture *fixture, const struct wal_fixture_block_place *place,
		      uint32_t from)
{
	static const unsigned char zeros[SLUICE_WAL_BLOCK_BYTES_MAX];

	if (from < place->bytes)
		wal_fixture_poke(fixture, place->segment_no % SLUICE_WAL_SEGMENTS,
				 place->offset + from, zeros, place->bytes - from);
}

/*
 * Block 2 has 64 KiB, blocks 3 to 5 arrived whole. After the cut OPEN (4 KiB) and a block of 64 KiB
 * bring the new tail exactly to old block 4's place with number 4: only epoch and link tell.
 */
static void test_wal_recover__torn_at_every_sector_is_cut_and_stays_cut(void **state)
{
	static const uint32_t sizes[] = {544, 20, 20, 20};
	struct wal_fixture *fixture = *state;
	struct wal_fixture_block_place places[64];
	struct sluice_wal_position position;
	struct sluice_wal *wal;

	assert_int_equal(crash_in_flight(fixture, 10, sizes, 4, places), 6);
	assert_int_equal(places[2].bytes, 65536);
	assert_int_equal(places[5].header.durable_seq, 2);
	wal_fixture_save(fixture, 1);
	assert_int_equal(wal_fixture_count(fixture, NULL), 614);
	for (uint32_t at = 0; at < 128 + 544 * 120; at += SECTOR) {
		wal_fixture_restore(fixture);
		zero_from(fixture, &places[2], at);
		assert_int_equal(wal_fixture_open(fixture, &wal), 0);
		sluice_wal_position(wal, &position);
		assert_int_equal(wal_fixture_replay(wal, NULL), 10);
		assert_int_equal(position.torn, 1);
		assert_int_equal(position.torn_block_seq, 2);
		assert_int_equal(position.torn_offset, 8192);
		assert_int_equal(position.next_block_seq, 2);

		assert_int_equal(wal_fixture_start_wal(fixture, wal), 0);
		assert_int_equal(wal_fixture_block(wal, 544), 0);
		assert_int_equal(wal_fixture_settle(wal), 0);
		assert_int_equal(sluice_wal_close(wal, false, NULL), 0);
		assert_int_equal(wal_fixture_count(fixture, &position), 554);
		assert_int_equal(position.next_block_seq, 4);
		assert_int_equal(position.epoch, 2);
		assert_int_equal(position.torn, 0);
	}
}

static void test_wal_recover__a_tail_that_arrived_backwards_is_cut(void **state)
{
	static const uint32_t sizes[] = {100};
	struct wal_fixture *fixture = *state;
	struct wal_fixture_block_place places[64];
	static const unsigned char zeros[SECTOR];
	struct sluice_wal_position position;

	assert_int_equal(crash_in_flight(fixture, 10, sizes, 1, places), 3);
	wal_fixture_poke(fixture, 0, places[2].offset, zeros, SECTOR);
	assert_int_equal(wal_fixture_count(fixture, &position), 10);
	assert_int_equal(position.torn, 1);
}

static void test_wal_recover__a_torn_first_block_of_a_segment_ends_in_the_one_before(void **state)
{
	struct wal_fixture *fixture = *state;
	struct wal_fixture_block_place places[64];
	struct sluice_wal_position position;
	struct sluice_wal *wal = wal_fixture_start(fixture);

	for (int i = 0; i < 3; i++)
		assert_int_equal(wal_fixture_block(wal, SLUICE_WAL_RECORDS_MAX), 0);
	assert_int_equal(wal_fixture_block(wal, 2149), 0); /* fills the segment */
	assert_int_equal(wal_fixture_block(wal, 100), 0);
	assert_int_equal(wal_fixture_settle(wal), 0);
	assert_int_equal(sluice_wal_close(wal, false, NULL), 0);
	assert_int_equal(wal_fixture_list(fixture, places, 64), 6);
	assert_int_equal(places[5].segment_no, 1);
	zero_from(fixture, &places[5], 1024);
	assert_int_equal(wal_fixture_count(fixture, &position), 3 * 2183 + 2149);
	assert_int_equal(position.torn_segment_no, 1);
	assert_int_equal(position.torn_offset, 0);
}

struct crash_model {
	struct wal_fixture fixture;
	uint64_t seed;
	uint64_t durable; /* reported */
};

/* Of one block in flight: all, none, a prefix, or any subset of its sectors reached the disk. */
static void tear(struct crash_model *model, const struct wal_fixture_block_place *place)
{
	const size_t super_bytes = SLUICE_WAL_SUPER_COPIES * SLUICE_WAL_ALIGN;
	const unsigned char *before = model->fixture.image + super_bytes +
				      (size_t)place->segment_no * WAL_FIXTURE_SEGMENT_BYTES +
				      place->offset;
	uint64_t kind = wal_fixture_random(&model->seed) % 4;
	uint32_t prefix = (uint32_t)(wal_fixture_random(&model->seed) % place->bytes);

	for (uint32_t at = 0; kind != 0 && at < place->bytes; at += SECTOR) {
		bool keep = kind == 1 ? false :
			    kind == 2 ? at < prefix :
					wal_fixture_random(&model->seed) % 2;

		if (!keep)
			wal_fixture_poke(&model->fixture, place->segment_no, place->offset + at,
					 before + at, SECTOR);
	}
}

/* One life: recover, check, write, crash with up to a window of blocks in flight. */
static bool one_life(struct crash_model *model)
{
	static struct wal_fixture_block_place places[1024];
	uint64_t durable_blocks, in_flight = wal_fixture_random(&model->seed) % (WINDOW + 1);
	struct sluice_wal_position position;
	struct sluice_wal_io *io;
	struct sluice_wal *wal;
	uint32_t n;

	assert_int_equal(wal_fixture_open_faulty(&model->fixture, &wal, &io, NULL), 0);
	sluice_wal_position(wal, &position);
	assert_true(position.next_cmd_seq >= model->durable);
	assert_int_equal(wal_fixture_replay(wal, NULL), position.next_cmd_seq);
	wal_fixture_save(&model->fixture, 2);
	assert_int_equal(wal_fixture_start_wal(&model->fixture, wal), 0);
	for (uint64_t i = wal_fixture_random(&model->seed) % 4; i > 0; i--)
		assert_int_equal(
			wal_fixture_block(wal,
					  1 + (uint32_t)(wal_fixture_random(&model->seed) % 99)),
			0);
	assert_int_equal(wal_fixture_settle(wal), 0);
	model->durable = sluice_wal_durable_cmd_seq(wal);
	fault_io_hold(io, true);
	/* A block that a segment's end splits takes two places in the window. */
	for (uint64_t i = 0; i < in_flight; i++) {
		uint32_t n_cmds = 1 + (uint32_t)(wal_fixture_random(&model->seed) % 99);

		if (!wal_fixture_append(wal, n_cmds))
			break;
		assert_int_equal(sluice_wal_submit(wal), 0);
	}
	in_flight = sluice_wal_in_flight(wal);
	fault_io_hold(io, false);
	assert_int_equal(sluice_wal_close(wal, false, NULL), 0);
	n = wal_fixture_list(&model->fixture, places, 1024);
	durable_blocks = n - in_flight;
	for (uint64_t i = durable_blocks; i < n; i++)
		tear(model, &places[i]);
	return n > 0 && places[n - 1].segment_no < 1;
}

static void test_wal_recover__many_generations_of_torn_tails(void **state)
{
	struct crash_model model = {.seed = wal_fixture_seed("generations")};

	(void)state;
	for (uint32_t log = 0; log < 3; log++) {
		uint32_t lives = 0;

		wal_fixture_make(&model.fixture);
		model.durable = 0;
		while (lives++ < 60 && one_life(&model))
			;
		assert_true(wal_fixture_count(&model.fixture, NULL) >= (int64_t)model.durable);
		wal_fixture_remove(&model.fixture);
	}
}

static void test_wal_recover__unreadable_bytes_are_not_a_torn_tail(void **state)
{
	struct wal_fixture *fixture = *state;
	struct sluice_wal_io *io;
	struct sluice_wal *wal = wal_fixture_start(fixture);
	/* open, lock, 21 syncs, size and read of super, 18 sizes, arm; then it reads the log */
	struct fault_plan plan = {.at = 45, .error = EIO};

	assert_int_equal(wal_fixture_block(wal, 50), 0);
	assert_int_equal(sluice_wal_close(wal, false, NULL), 0);
	assert_int_equal(wal_fixture_open_faulty(fixture, &wal, &io, &plan), -EIO);
	assert_non_null(strstr(fixture->diag.text, "wal-00"));
	assert_int_equal(wal_fixture_count(fixture, NULL), 50);
}

static int stop_at_third(const struct sluice_wal_block_header *header,
			 const struct sluice_command *commands, uint32_t n, void *arg)
{
	(void)commands;
	(void)n;
	(void)arg;
	return header->block_seq == 2 ? 77 : 0;
}

static void test_wal_recover__a_visitor_ends_the_walk(void **state)
{
	struct wal_fixture *fixture = *state;
	struct sluice_wal *wal = wal_fixture_start(fixture);

	for (int i = 0; i < 4; i++)
		assert_int_equal(wal_fixture_block(wal, 3), 0);
	assert_int_equal(sluice_wal_close(wal, true, NULL), 0);
	assert_int_equal(wal_fixture_open(fixture, &wal), 0);
	assert_int_equal(sluice_wal_replay(wal, stop_at_third, NULL, NULL), 77);
	/* Bytes that change between the scan and the replay are caught by the replay. */
	wal_fixture_flip(fixture, 0, 4096 + 200, 3);
	assert_int_equal(wal_fixture_replay(wal, &fixture->diag), -EBADMSG);
	assert_non_null(strstr(fixture->diag.text, "block 1 "));
	assert_int_equal(sluice_wal_close(wal, false, NULL), 0);
}

static void test_wal_recover__each_start_is_an_epoch(void **state)
{
	struct wal_fixture *fixture = *state;
	struct sluice_wal_position position;
	struct sluice_wal *wal;

	assert_int_equal(wal_fixture_count(fixture, &position), 0);
	assert_int_equal(position.epoch, 0);
	assert_int_equal(position.start_report, 1);
	assert_int_equal(position.core.window_ticks, 16384);
	for (uint32_t epoch = 1; epoch <= 6; epoch++) {
		wal = wal_fixture_start(fixture);
		assert_int_equal(wal_fixture_block(wal, 2), 0);
		assert_int_equal(sluice_wal_close(wal, epoch % 2, NULL), 0);
		assert_int_equal(wal_fixture_count(fixture, &position), 2 * epoch);
		assert_int_equal(position.epoch, epoch);
		assert_int_equal(position.closed, epoch % 2);
	}
}

#define with_log(test)                                                                             \
	cmocka_unit_test_setup_teardown(test, wal_fixture_setup, wal_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_log(test_wal_recover__torn_at_every_sector_is_cut_and_stays_cut),
		with_log(test_wal_recover__a_tail_that_arrived_backwards_is_cut),
		with_log(test_wal_recover__a_torn_first_block_of_a_segment_ends_in_the_one_before),
		cmocka_unit_test(test_wal_recover__many_generations_of_torn_tails),
		with_log(test_wal_recover__unreadable_bytes_are_not_a_torn_tail),
		with_log(test_wal_recover__a_visitor_ends_the_walk),
		with_log(test_wal_recover__each_start_is_an_epoch),
	};

	return cmocka_run_group_tests_name("wal_recover", tests, NULL, NULL);
}
