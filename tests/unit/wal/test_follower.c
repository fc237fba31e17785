/* SPDX-License-Identifier: MIT */
/*
 * test_follower.c - a second execution of a log that is being written: what it executes and when,
 * where it starts from, how it goes on behind a restarted engine, and what it refuses.
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

#include "engine/wal/wal_super.h"
#include "tests/lib/follow_fixture.h"

#define NEVER (1ull << 50) /* bytes between snapshots */

static const struct sluice_follower_options no_snapshots = {.every_bytes = NEVER};

static int setup(void **state)
{
	struct follow_world *world = malloc(sizeof(*world));

	follow_world_make(world, 0);
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	follow_world_remove(*state);
	free(*state);
	return 0;
}

static void assert_state_is_of_its_commands(struct follow_world *world,
					    const struct sluice_follower *follower)
{
	assert_true(sluice_core_state_hash(sluice_follower_core(follower)) ==
		    follow_world_hash_at(world, follow_view(follower).cmd_seq));
}

static void test_follower__executes_exactly_what_is_witnessed(void **state)
{
	struct follow_world *world = *state;
	struct sluice_follower *follower = follow_opened(world, &no_snapshots);
	uint64_t before_last = 0;

	assert_int_equal(follow_drain(world, follower), 0);
	assert_int_equal(follow_view(follower).block_seq, 0);
	follow_world_started(world);
	assert_int_equal(follow_drain(world, follower), 0);
	assert_int_equal(follow_view(follower).block_seq, 0); /* OPEN, which nothing witnesses */
	for (uint32_t i = 0; i < 40; i++) {		      /* all in the first segment */
		before_last = sluice_wal_next_cmd_seq(world->wal);
		assert_int_equal(follow_world_settled_block(world, 1 + i * 9), 0);
		assert_int_equal(follow_drain(world, follower), 0);
		assert_int_equal(follow_view(follower).cmd_seq, before_last);
		assert_int_equal(follow_view(follower).block_seq, i + 1);
	}
	assert_state_is_of_its_commands(world, follower);
	follow_world_seal(world);
	assert_int_equal(follow_drain(world, follower), 0);
	assert_true(follow_is_at_end(world, follower));
	assert_int_equal(follow_view(follower).snapshot_whole, 0);
	sluice_follower_close(follower);
}

static void test_follower__a_clean_end_witnesses_everything(void **state)
{
	struct follow_world *world = *state;
	struct sluice_follower *follower = follow_opened(world, &no_snapshots);
	uint64_t end;

	follow_world_started(world);
	assert_int_equal(follow_world_block(world, 100), 0);
	end = sluice_wal_next_cmd_seq(world->wal);
	follow_world_stop(world, true);
	assert_int_equal(follow_drain(world, follower), 0);
	assert_int_equal(follow_view(follower).cmd_seq, end);
	assert_state_is_of_its_commands(world, follower);
	assert_int_equal(follow_wait(world, follower, 500), 0);
	sluice_follower_close(follower);
}

/* Tells the engine of some of the blocks that are on the disk by now, in any order. */
static void tell_some(struct follow_world *world, uint64_t *told, uint64_t *seed)
{
	while (sluice_wal_in_flight(world->wal) > 0 && wal_fixture_random(seed) % 3) {
		fault_io_release(world->disk, (*told)++);
		assert_true(sluice_wal_poll(world->wal) >= 0);
	}
}

/* A whole snapshot on the disk holds nothing that the engine does not know to be durable. */
static bool snapshot_is_durable(struct follow_world *world, const struct sluice_follower *follower)
{
	const uint64_t sequence = follow_view(follower).snapshot_whole;
	struct sluice_snapshot_header header;

	if (!sequence)
		return false;
	wal_fixture_peek(&world->fixture,
			 SLUICE_WAL_FILE_SNAPSHOT + (uint32_t)(sequence % SLUICE_WAL_SNAPSHOTS), 0,
			 &header, sizeof(header));
	assert_int_equal(header.sequence, sequence);
	assert_true(header.header_crc == sluice_snapshot_header_checksum(&header));
	assert_true(header.place.cmd_seq <= sluice_wal_durable_cmd_seq(world->wal));
	return true;
}

/*
 * The disk has every block at once, and the engine learns it late: what the follower can read is
 * more than what is durable. No state and no snapshot may have any of the surplus.
 */
static void test_follower__never_has_what_a_power_loss_takes_back(void **state)
{
	const struct sluice_follower_options often = {.every_bytes = 16384};
	struct follow_world *world = *state;
	uint64_t seed = wal_fixture_seed(__func__), told = 1, snapshots = 0;
	struct sluice_follower *follower = follow_opened(world, &often);

	world->fixture.options.window = SLUICE_WAL_WINDOW_MAX;
	follow_world_started(world);
	fault_io_hold(world->disk, true);
	for (uint32_t i = 0; i < 500; i++) {
		if (sluice_wal_in_flight(world->wal) < SLUICE_WAL_WINDOW_MAX)
			assert_int_equal(
				follow_world_block(world,
						   1 + (uint32_t)(wal_fixture_random(&seed) % 60)),
				0);
		for (uint64_t n = wal_fixture_random(&seed) % 12; n > 0; n--) {
			assert_true(sluice_follower_step(follower, &world->diag) >= 0);
			follow_check(world, follower);
		}
		snapshots += snapshot_is_durable(world, follower);
		tell_some(world, &told, &seed);
	}
	assert_true(snapshots > 0);
	fault_io_hold(world->disk, false);
	follow_world_seal(world);
	assert_int_equal(follow_drain(world, follower), 0);
	assert_true(follow_is_at_end(world, follower));
	sluice_follower_close(follower);
}

static void test_follower__finds_another_state_at_its_block(void **state)
{
	struct follow_world *world = *state;
	struct sluice_follower *follower = follow_opened(world, &no_snapshots);

	follow_world_started(world);
	for (uint32_t i = 1; i <= 6; i++) { /* block 0 is OPEN */
		world->hash_lie = i == 4;
		assert_int_equal(follow_world_settled_block(world, 30), 0);
	}
	assert_int_equal(follow_drain(world, follower), -EBADMSG);
	assert_int_equal(follow_view(follower).block_seq, 4);
	assert_non_null(strstr(world->diag.text, "block 4"));
	assert_non_null(strstr(world->diag.text, "the state's hash"));
	assert_non_null(strstr(world->diag.text, "wal-00 offset 16384"));
	sluice_follower_close(follower);
}

static void test_follower__finds_another_report_number_at_its_block(void **state)
{
	struct follow_world *world = *state;
	struct sluice_follower *follower = follow_opened(world, &no_snapshots);

	follow_world_started(world);
	for (uint32_t i = 1; i <= 6; i++) {
		world->report_lie = i == 2;
		assert_int_equal(follow_world_settled_block(world, 30), 0);
	}
	assert_int_equal(follow_drain(world, follower), -EBADMSG);
	assert_int_equal(follow_view(follower).block_seq, 2);
	assert_non_null(strstr(world->diag.text, "block 2"));
	assert_non_null(strstr(world->diag.text, "the next report"));
	sluice_follower_close(follower);
}

static void test_follower__there_is_one_at_a_time(void **state)
{
	const struct sluice_follower_options impatient = {.lock_wait_ms = 30};
	struct follow_world *world = *state;
	struct sluice_follower *follower = follow_opened(world, &impatient), *second = NULL;

	assert_int_equal(follow_open(world, &impatient, NULL, &second), -EBUSY);
	assert_null(second);
	assert_non_null(strstr(world->diag.text, "another follower"));
	follow_world_started(world); /* an engine is another matter */
	sluice_follower_close(follower);
	follower = follow_opened(world, &impatient);
	sluice_follower_close(follower);
}

static void test_follower__needs_a_log(void **state)
{
	struct follow_world *world = *state;
	struct sluice_follower *follower = NULL;
	unsigned char zeros[4 * SLUICE_WAL_ALIGN] = {0};
	char path[320];

	wal_fixture_poke(&world->fixture, SLUICE_WAL_FILE_SUPER, 0, zeros, sizeof(zeros));
	assert_int_equal(follow_open(world, NULL, NULL, &follower), -EBADMSG);
	wal_fixture_path(&world->fixture, SLUICE_WAL_FILE_SUPER, path);
	assert_int_equal(remove(path), 0);
	assert_int_equal(follow_open(world, NULL, NULL, &follower), -ENOENT);
	assert_null(follower);
}

/* Every operation of the disk fails once while the follower opens; nothing is left behind. */
static void test_follower__open_fails_with_the_disk(void **state)
{
	struct follow_world *world = *state;
	struct sluice_follower *follower = NULL;
	const struct fault_plan none = {.at = 0};
	struct sluice_wal_io *disk, *io = NULL;
	uint64_t failures = 0;
	int ret = -EIO;

	follow_world_started(world);
	follow_world_write(world, 300000);
	for (uint64_t at = 1; ret; at++) {
		const struct fault_plan plan = {.at = at, .error = EIO};

		assert_int_equal(sluice_wal_io_blocking_create(&disk, world->fixture.dir, NULL), 0);
		assert_int_equal(fault_io_create(&io, disk), 0);
		fault_io_plan(io, &plan);
		ret = sluice_follower_open(&follower, io, &no_snapshots, &world->diag);
		if (ret)
			assert_int_equal(ret, -EIO);
		failures += ret != 0;
		assert_true(at < 100);
	}
	assert_true(failures > 5);
	fault_io_plan(io, &none);
	assert_int_equal(follow_drain(world, follower), 0);
	sluice_follower_close(follower);
}

static void test_follower__a_read_error_is_no_end(void **state)
{
	const struct fault_plan plan = {.at = 1, .times = 1000000, .error = EIO};
	struct follow_world *world = *state;
	struct sluice_follower *follower = NULL;
	struct sluice_wal_io *disk, *io;

	follow_world_started(world);
	follow_world_write(world, 3000000);
	assert_int_equal(sluice_wal_io_blocking_create(&disk, world->fixture.dir, NULL), 0);
	assert_int_equal(fault_io_create(&io, disk), 0);
	assert_int_equal(sluice_follower_open(&follower, io, &no_snapshots, &world->diag), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(sluice_follower_step(follower, NULL), 1);
	fault_io_plan(io, &plan);
	assert_int_equal(follow_drain(world, follower), -EIO);
	assert_non_null(strstr(world->diag.text, "cannot be read"));
	sluice_follower_close(follower);
}

/* An engine that dies and comes back many times, cleanly or not. */
static void test_follower__goes_on_behind_restarts(void **state)
{
	struct follow_world *world = *state;
	struct sluice_follower *follower = follow_opened(world, &no_snapshots);
	uint64_t seed = wal_fixture_seed(__func__);

	for (uint32_t i = 0; i < 25; i++) {
		follow_world_started(world);
		for (uint64_t n = wal_fixture_random(&seed) % 4; n > 0; n--)
			assert_int_equal(follow_world_settled_block(world, 50), 0);
		if (wal_fixture_random(&seed) % 2)
			assert_int_equal(follow_drain(world, follower), 0);
		follow_world_stop(world, wal_fixture_random(&seed) % 2);
	}
	follow_world_started(world);
	follow_world_seal(world);
	follow_world_settled_block(world, 1);
	follow_world_seal(world);
	assert_int_equal(follow_drain(world, follower), 0);
	assert_true(follow_is_at_end(world, follower));
	sluice_follower_close(follower);
}

/*
 * The engine dies with four blocks in flight, of which the follower has read all; the second of
 * them is lost, and the next engine writes its own there.
 */
static void lose_a_tail(struct follow_world *world, uint32_t lost)
{
	struct sluice_follower *follower = follow_opened(world, &no_snapshots);
	struct wal_fixture_block_place place;
	unsigned char page[SLUICE_WAL_ALIGN];
	uint64_t executed, cut;

	follow_world_started(world);
	assert_int_equal(follow_world_settled_block(world, 40), 0);
	follow_world_seal(world);
	fault_io_hold(world->disk, true);
	for (int i = 0; i < 4; i++)
		assert_int_equal(follow_world_block(world, 100), 0); /* blocks 3..6 */
	assert_int_equal(follow_drain(world, follower), 0);
	executed = follow_view(follower).block_seq;
	assert_int_equal(executed, 3); /* nothing witnesses block 3 */
	place = follow_world_place(world, 3 + lost);
	fault_io_hold(world->disk, false);
	follow_world_stop(world, false);
	memset(page, 0xa5, sizeof(page)); /* its second page never came */
	wal_fixture_poke(&world->fixture, place.segment_no, place.offset + SLUICE_WAL_ALIGN, page,
			 sizeof(page));
	follow_world_started(world);
	cut = sluice_wal_next_cmd_seq(world->wal);
	assert_int_equal(cut, 40 + 100 * lost);
	assert_int_equal(follow_world_settled_block(world, 70), 0);
	assert_int_equal(follow_drain(world, follower), 0);
	assert_int_equal(follow_view(follower).cmd_seq, cut);
	assert_int_equal(follow_world_settled_block(world, 70), 0);
	follow_world_seal(world);
	assert_int_equal(follow_drain(world, follower), 0);
	assert_true(follow_is_at_end(world, follower));
	sluice_follower_close(follower);
}

static void test_follower__forgets_a_tail_that_was_cut(void **state)
{
	lose_a_tail(*state, 1);
}

static void test_follower__forgets_a_tail_that_was_cut_at_its_first(void **state)
{
	lose_a_tail(*state, 0);
}

static void test_follower__forgets_a_tail_that_was_cut_at_its_last(void **state)
{
	lose_a_tail(*state, 3);
}

static void test_follower__stops_where_the_log_went_on_without_it(void **state)
{
	struct follow_world *world = *state;
	struct sluice_follower *late = NULL, *follower = follow_opened(world, NULL);
	unsigned char *page = aligned_alloc(SLUICE_WAL_ALIGN, 4 * SLUICE_WAL_ALIGN);
	struct sluice_wal_super super, next;
	struct sluice_wal_io *io;

	follow_world_started(world);
	assert_int_equal(follow_world_settled_block(world, 40), 0);
	follow_world_seal(world);
	assert_int_equal(follow_drain(world, follower), 0);
	follow_world_stop(world, false);
	assert_int_equal(sluice_wal_io_blocking_create(&io, world->fixture.dir, NULL), 0);
	assert_int_equal(io->ops->open(io, SLUICE_WAL_IO_WRITE, NULL), 0);
	assert_int_equal(sluice_wal_super_load(io, page, &super, NULL), 0);
	next = super;
	next.start.block_seq = follow_view(follower).block_seq + 1;
	next.start.flags = SLUICE_WAL_DATA;
	assert_int_equal(sluice_wal_super_write(io, page, &next, &super), 0);
	assert_int_equal(follow_drain(world, follower), -ESTALE);
	assert_non_null(strstr(world->diag.text, "gone on without this follower"));
	sluice_follower_close(follower);
	/* and nobody can begin in its middle without a snapshot */
	assert_int_equal(follow_open(world, NULL, NULL, &late), -EBADMSG);
	assert_non_null(strstr(world->diag.text, "no snapshot"));
	io->ops->close(io);
	free(page);
}

static void test_follower__stops_when_the_log_is_another(void **state)
{
	struct follow_world *world = *state;
	struct sluice_follower *follower = follow_opened(world, NULL);
	unsigned char super[4 * SLUICE_WAL_ALIGN];
	struct follow_world other;

	follow_world_started(world);
	follow_world_stop(world, true);
	assert_int_equal(follow_drain(world, follower), 0);
	follow_world_make(&other, 0);
	wal_fixture_peek(&other.fixture, SLUICE_WAL_FILE_SUPER, 0, super, sizeof(super));
	wal_fixture_poke(&world->fixture, SLUICE_WAL_FILE_SUPER, 0, super, sizeof(super));
	assert_int_equal(follow_drain(world, follower), -ESTALE);
	sluice_follower_close(follower);
	follow_world_remove(&other);
}

#define with_world(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_world(test_follower__executes_exactly_what_is_witnessed),
		with_world(test_follower__a_clean_end_witnesses_everything),
		with_world(test_follower__never_has_what_a_power_loss_takes_back),
		with_world(test_follower__finds_another_state_at_its_block),
		with_world(test_follower__finds_another_report_number_at_its_block),
		with_world(test_follower__there_is_one_at_a_time),
		with_world(test_follower__needs_a_log),
		with_world(test_follower__open_fails_with_the_disk),
		with_world(test_follower__a_read_error_is_no_end),
		with_world(test_follower__goes_on_behind_restarts),
		with_world(test_follower__forgets_a_tail_that_was_cut),
		with_world(test_follower__forgets_a_tail_that_was_cut_at_its_first),
		with_world(test_follower__forgets_a_tail_that_was_cut_at_its_last),
		with_world(test_follower__stops_where_the_log_went_on_without_it),
		with_world(test_follower__stops_when_the_log_is_another),
	};

	return cmocka_run_group_tests_name("follower", tests, NULL, NULL);
}
