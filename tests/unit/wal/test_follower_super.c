/* SPDX-License-Identifier: MIT */
/*
 * test_follower_super.c - one page of the superblock goes bad: a follower gives no file up that the
 * other copies need, and a log whose copies are one short goes round all the same.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "engine/wal/wal_internal.h"
#include "tests/lib/fault_io.h"
#include "tests/lib/follow_fixture.h"

#define NS_PER_S 1000000000ull

static const struct sluice_follower_options often = {.every_bytes = 300000};

static struct sluice_wal_io_ops patched;
static uint64_t clock_ns;

static uint64_t clock_by_hand(struct sluice_wal_io *io)
{
	(void)io;
	return clock_ns;
}

static void patch_clock(struct sluice_wal_io *io)
{
	patched = *io->ops;
	patched.monotonic_ns = clock_by_hand;
	io->ops = &patched;
}

static int setup(void **state)
{
	struct follow_world *world = malloc(sizeof(*world));

	follow_world_make(world, 12000);
	world->deep = true; /* snapshots of several chunks: half of one is something */
	clock_ns = NS_PER_S;
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	struct follow_world *world = *state;

	if (world->wal)
		fault_io_hold(world->disk, false);
	follow_world_remove(world);
	free(world);
	return 0;
}

/* The copy that was written so many superblocks ago. */
static void rot(const struct follow_world *world, uint64_t ago)
{
	const uint64_t copy = (world->wal->super.sequence - ago) % SLUICE_WAL_SUPER_COPIES;
	unsigned char page[SLUICE_WAL_ALIGN];

	wal_fixture_peek(&world->fixture, SLUICE_WAL_FILE_SUPER, copy * SLUICE_WAL_ALIGN, page,
			 sizeof(page));
	page[100] ^= 1;
	wal_fixture_poke(&world->fixture, SLUICE_WAL_FILE_SUPER, copy * SLUICE_WAL_ALIGN, page,
			 sizeof(page));
}

/* Snapshot 3 is named, and enough log behind it for number 4. */
static struct sluice_follower *three_named(struct follow_world *world)
{
	struct sluice_follower *follower = NULL;

	follow_two_snapshots(world, &often);
	assert_int_equal(follow_open(world, &often, patch_clock, &follower), 0);
	assert_int_equal(follow_next_snapshot(world, follower), 3);
	assert_int_equal(follow_world_offer(world, 3), 0);
	follow_world_write(world, 700000);
	follow_world_seal(world);
	return follower;
}

static void step_until_writing(struct follow_world *world, struct sluice_follower *follower)
{
	for (int i = 0; !follow_view(follower).writing; i++) {
		assert_true(i < 100000);
		assert_true(sluice_follower_step(follower, &world->diag) >= 0);
	}
	assert_int_equal(sluice_follower_step(follower, &world->diag), 1);
}

/*
 * The older snapshot is being written over; what named it and the one before that must not count.
 */
static void test_follower_super__a_rotten_copy_leaves_a_start(void **state)
{
	struct follow_world *world = *state;

	for (uint64_t ago = 0; ago < SLUICE_WAL_SUPER_COPIES; ago++) {
		struct sluice_follower *follower = three_named(world);

		step_until_writing(world, follower);
		rot(world, ago);
		sluice_follower_close(follower); /* in the middle */
		assert_true(follow_starts_from(world, 3));
		follow_world_remove(world);
		follow_world_make(world, 12000);
		world->deep = true;
	}
}

static void test_follower_super__waits_for_the_second_copy(void **state)
{
	struct follow_world *world = *state;
	struct sluice_follower *follower = NULL;

	follow_two_snapshots(world, &often);
	assert_int_equal(follow_open(world, &often, patch_clock, &follower), 0);
	assert_int_equal(follow_next_snapshot(world, follower), 3);
	follow_world_write(world, 700000);
	follow_world_seal(world);
	sluice_wal_reports_taken(world->wal, world->sink.report_next);
	fault_io_hold(world->disk, true);
	assert_int_equal(sluice_wal_offer(world->wal, 3, &world->diag), 0);
	/* the first is on the disk, and its completion still on its way */
	assert_int_equal(follow_drain(world, follower), 0);
	assert_int_equal(follow_view(follower).snapshot_named, 3);
	assert_int_equal(follow_view(follower).snapshot_whole, 3);
	fault_io_release(world->disk, SLUICE_WAL_SUPER_TAG);
	assert_int_equal(sluice_wal_poll(world->wal), 0);
	fault_io_release(world->disk, SLUICE_WAL_SUPER_TAG);
	fault_io_hold(world->disk, false);
	assert_int_equal(sluice_wal_poll(world->wal), 0);
	assert_int_equal(sluice_wal_snapshot_named(world->wal), 3);
	step_until_writing(world, follower);
	sluice_follower_close(follower);
	assert_true(follow_starts_from(world, 3));
}

/* One copy will never come. Half a minute is more than the engine's write takes. */
static void test_follower_super__a_copy_that_stays_bad_stops_nothing(void **state)
{
	struct follow_world *world = *state;
	struct sluice_follower *follower = three_named(world);

	rot(world, 1);
	assert_int_equal(follow_drain(world, follower), 0);
	assert_true(follow_is_at_end(world, follower));
	clock_ns += 29 * NS_PER_S;
	assert_int_equal(follow_drain(world, follower), 0);
	assert_int_equal(follow_view(follower).snapshot_whole, 3);
	clock_ns += NS_PER_S;
	assert_int_equal(follow_drain(world, follower), 0);
	assert_int_equal(follow_view(follower).snapshot_whole, 4);
	assert_int_equal(follow_world_offer(world, 4), 0);
	sluice_follower_close(follower);
	assert_true(follow_starts_from(world, 4));
}

#define with_world(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_world(test_follower_super__a_rotten_copy_leaves_a_start),
		with_world(test_follower_super__waits_for_the_second_copy),
		with_world(test_follower_super__a_copy_that_stays_bad_stops_nothing),
	};

	return cmocka_run_group_tests_name("follower_super", tests, NULL, NULL);
}
