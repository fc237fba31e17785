/* SPDX-License-Identifier: MIT */
/*
 * test_follower_pace.c - how often and how fast a follower writes snapshots, by a clock that the
 * test moves: slowly beside an engine that needs the disk, with all means when the log is full.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/follow_fixture.h"

#define NEVER (1ull << 50)
#define CHUNK SLUICE_SNAPSHOT_CHUNK_BYTES
#define MIB (1u << 20)
#define NS_PER_S 1000000000ull

static const struct sluice_follower_options often = {.every_bytes = 300000};

/* A patched disk: a clock by hand, and the chunks that were written. */
static struct sluice_wal_io_ops patched;
static const struct sluice_wal_io_ops *real;
static uint64_t clock_ns, snapshot_bytes;
static bool unreadable;

static int setup_world(void **state, uint32_t orders_max)
{
	struct follow_world *world = malloc(sizeof(*world));

	follow_world_make(world, orders_max);
	world->deep = orders_max > 0; /* many orders at rest: a snapshot is of several chunks */
	clock_ns = snapshot_bytes = 0;
	unreadable = false;
	*state = world;
	return 0;
}

static int setup(void **state)
{
	return setup_world(state, 0);
}

static int setup_deep(void **state)
{
	return setup_world(state, 12000);
}

static int teardown(void **state)
{
	follow_world_remove(*state);
	free(*state);
	return 0;
}

static uint64_t clock_by_hand(struct sluice_wal_io *io)
{
	(void)io;
	return clock_ns;
}

static int counting_write(struct sluice_wal_io *io, uint32_t file, uint64_t offset,
			  const void *data, size_t bytes)
{
	if (bytes == CHUNK)
		snapshot_bytes += bytes;
	return real->write(io, file, offset, data, bytes);
}

static int failing_read(struct sluice_wal_io *io, uint32_t file, uint64_t offset, void *data,
			size_t bytes)
{
	return unreadable ? -EIO : real->read(io, file, offset, data, bytes);
}

static void patch_clock(struct sluice_wal_io *io)
{
	real = io->ops;
	patched = *io->ops;
	patched.monotonic_ns = clock_by_hand;
	patched.write = counting_write;
	patched.read = failing_read;
	io->ops = &patched;
}

/* Opens a follower over the patched disk and has it begin a snapshot. */
static struct sluice_follower *begun(struct follow_world *world,
				     const struct sluice_follower_options *options)
{
	struct sluice_follower *follower = NULL;

	follow_two_snapshots(world, &often);
	assert_int_equal(follow_open(world, options, patch_clock, &follower), 0);
	while (!follow_view(follower).writing)
		assert_int_equal(sluice_follower_step(follower, &world->diag), 1);
	snapshot_bytes = 0;
	return follower;
}

static void test_follower_pace__none_is_begun_while_held(void **state)
{
	struct follow_world *world = *state;
	struct sluice_follower *follower = follow_opened(world, &often);

	follow_world_started(world);
	sluice_follower_hold(follower, true);
	follow_world_write(world, 2 * MIB);
	follow_world_seal(world);
	assert_int_equal(follow_drain(world, follower), 0);
	assert_true(follow_is_at_end(world, follower));
	assert_int_equal(follow_view(follower).snapshot_whole, 0);
	sluice_follower_hold(follower, false);
	assert_int_equal(follow_drain(world, follower), 0);
	assert_int_equal(follow_view(follower).snapshot_whole, 1);
	sluice_follower_close(follower);
}

/* W44: the disk's time belongs to the log; a snapshot takes no more than it was given. */
static void test_follower_pace__keeps_to_its_rate(void **state)
{
	const struct sluice_follower_options slow = {.every_bytes = 300000,
						     .rate_bytes = 4 * CHUNK};
	const uint64_t part_ns = 10000000;
	struct follow_world *world = *state;
	struct sluice_follower *follower = begun(world, &slow);
	const uint64_t begun_ns = clock_ns;
	uint64_t parts = 0;

	while (follow_view(follower).writing) {
		int ret, writes = 0;

		while ((ret = sluice_follower_step(follower, &world->diag)) == 1 &&
		       follow_view(follower).writing)
			writes++;
		assert_true(ret >= 0 && writes <= 2);
		assert_true(snapshot_bytes <=
			    CHUNK + (clock_ns - begun_ns) * slow.rate_bytes / NS_PER_S);
		clock_ns += part_ns;
		assert_true(++parts < 1000);
	}
	assert_true(snapshot_bytes >= 6 * CHUNK);
	/* and no less: it has not slept through what it was given */
	assert_true(parts <= 2 + (snapshot_bytes / CHUNK) * NS_PER_S / 4 / part_ns);
	assert_int_equal(follow_view(follower).snapshot_whole, 3);
	sluice_follower_close(follower);
}

static void test_follower_pace__a_long_pause_earns_no_more_than_a_burst(void **state)
{
	const struct sluice_follower_options slow = {.every_bytes = 300000,
						     .rate_bytes = 4 * CHUNK};
	struct follow_world *world = *state;
	struct sluice_follower *follower = begun(world, &slow);

	clock_ns += 3600 * NS_PER_S;
	assert_int_equal(sluice_follower_step(follower, &world->diag), 1);
	assert_int_equal(sluice_follower_step(follower, &world->diag), 0);
	assert_int_equal(snapshot_bytes, CHUNK);
	sluice_follower_close(follower);
}

static void test_follower_pace__hurries_when_the_log_is_nearly_full(void **state)
{
	const struct sluice_follower_options slow = {.every_bytes = 300000, .rate_bytes = 1};
	struct follow_world *world = *state;
	struct sluice_follower *follower = begun(world, &slow);

	assert_int_equal(sluice_follower_step(follower, &world->diag), 1); /* the first is free */
	assert_int_equal(sluice_follower_step(follower, &world->diag), 0);
	/* the log fills while it is being written: the follower, which executes nothing, sees it */
	follow_world_write(world, 13 * MIB);
	clock_ns += NS_PER_S;
	assert_int_equal(follow_drain(world, follower), 0);
	assert_true(follow_view(follower).live_bytes > 12ull * MIB);
	assert_int_equal(follow_view(follower).snapshot_whole, 3);
	sluice_follower_close(follower);
}

/* W25: nobody took snapshots, the log is full, the engine stands still; then a follower comes. */
static void test_follower_pace__drains_a_full_log(void **state)
{
	const struct sluice_follower_options lazy = {.every_bytes = NEVER, .rate_bytes = 1000};
	struct follow_world *world = *state;
	struct sluice_follower *follower;
	uint64_t named = 0;

	follow_world_started(world);
	follow_world_write(world, 17 * MIB);
	assert_true(sluice_wal_full(world->wal));
	follower = follow_opened(world, &lazy);
	for (int i = 0; i < 100000 && sluice_wal_full(world->wal); i++) {
		assert_true(sluice_follower_step(follower, &world->diag) >= 0);
		if (follow_view(follower).snapshot_whole > named)
			assert_int_equal(follow_world_offer(world, ++named), 0);
	}
	assert_false(sluice_wal_full(world->wal));
	assert_true(named <= 3);
	follow_world_write(world, MIB / 2);
	follow_world_seal(world);
	assert_int_equal(follow_drain(world, follower), 0);
	assert_true(follow_is_at_end(world, follower));
	sluice_follower_close(follower);
	assert_true(follow_starts_from(world, named));
}

/*
 * Two snapshots from the log's beginning, then nothing until not even a witness goes into it any
 * more. One of its end does not move the start far enough; the same once more does.
 */
static void test_follower_pace__moves_on_a_log_that_is_used_up(void **state)
{
	const struct sluice_follower_options lazy = {.every_bytes = NEVER};
	struct follow_world *world = *state;
	struct sluice_follower *follower;
	uint64_t named = 2, before;

	follow_two_snapshots(world, &often);
	follower = follow_opened(world, &lazy);
	sluice_follower_hold(follower, true);
	follow_world_write(world, 17 * MIB);
	do {
		before = sluice_wal_live_bytes(world->wal);
		follow_world_seal(world);
		follow_world_stop(world, false);
		follow_world_started(world);
		assert_int_equal(follow_drain(world, follower), 0);
	} while (sluice_wal_live_bytes(world->wal) > before);
	assert_true(sluice_wal_full(world->wal));
	sluice_follower_hold(follower, false);
	for (int i = 0; i < 1000 && sluice_wal_full(world->wal); i++) {
		assert_int_equal(follow_drain(world, follower), 0);
		if (follow_view(follower).snapshot_whole > named)
			assert_int_equal(follow_world_offer(world, ++named), 0);
	}
	assert_false(sluice_wal_full(world->wal));
	follow_world_write(world, MIB);
	follow_world_seal(world);
	assert_int_equal(follow_drain(world, follower), 0);
	assert_true(follow_is_at_end(world, follower));
	sluice_follower_close(follower);
}

/* A full log, and a snapshot of all of it that nobody names: written again, but rarely. */
static void test_follower_pace__insists_when_the_log_is_full(void **state)
{
	const struct sluice_follower_options lazy = {.every_bytes = NEVER};
	struct follow_world *world = *state;
	struct sluice_follower *follower = NULL;
	uint64_t at;

	follow_world_started(world);
	follow_world_write(world, 17 * MIB);
	assert_int_equal(follow_open(world, &lazy, patch_clock, &follower), 0);
	assert_int_equal(follow_drain(world, follower), 0);
	assert_int_equal(follow_view(follower).snapshot_whole, 1);
	at = snapshot_bytes;
	clock_ns += 29 * NS_PER_S;
	assert_int_equal(follow_drain(world, follower), 0);
	assert_true(snapshot_bytes == at);
	clock_ns += 2 * NS_PER_S;
	assert_int_equal(follow_drain(world, follower), 0);
	assert_true(snapshot_bytes > at);
	assert_int_equal(follow_view(follower).snapshot_whole, 1);
	assert_int_equal(follow_world_offer(world, 1), 0);
	sluice_follower_close(follower);
}

/* Its name comes in the moment when it would be written again. */
static void test_follower_pace__writes_none_that_was_named_just_now(void **state)
{
	const struct sluice_follower_options lazy = {.every_bytes = NEVER};
	struct follow_world *world = *state;
	struct sluice_follower *follower = NULL;
	uint64_t at;

	follow_world_started(world);
	follow_world_write(world, 17 * MIB);
	assert_int_equal(follow_open(world, &lazy, patch_clock, &follower), 0);
	assert_int_equal(follow_drain(world, follower), 0);
	assert_int_equal(follow_world_offer(world, 1), 0);
	assert_int_equal(follow_drain(world, follower), 0);
	assert_int_equal(follow_view(follower).snapshot_whole, 2); /* of the log's end */
	at = snapshot_bytes;
	assert_int_equal(follow_world_offer(world, 2), 0);
	clock_ns += 31 * NS_PER_S;
	assert_true(sluice_follower_step(follower, &world->diag) >= 0);
	assert_false(follow_view(follower).writing);
	assert_int_equal(follow_view(follower).snapshot_named, 2);
	assert_int_equal(follow_drain(world, follower), 0);
	assert_true(snapshot_bytes == at);
	sluice_follower_close(follower);
	assert_true(follow_starts_from(world, 2));
}

/* While it writes slowly it looks how full the log is. */
static void test_follower_pace__ends_with_a_log_that_cannot_be_read(void **state)
{
	const struct sluice_follower_options slow = {.every_bytes = 300000, .rate_bytes = 1};
	struct follow_world *world = *state;
	struct sluice_follower *follower = begun(world, &slow);

	assert_int_equal(sluice_follower_step(follower, &world->diag), 1);
	unreadable = true;
	assert_int_equal(sluice_follower_step(follower, &world->diag), 0); /* not yet time */
	clock_ns += NS_PER_S;
	assert_int_equal(sluice_follower_step(follower, &world->diag), -EIO);
	assert_non_null(strstr(world->diag.text, "wal-"));
	sluice_follower_close(follower);
	assert_true(follow_starts_from(world, 2));
}

#define with_world(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
#define with_deep_world(test) cmocka_unit_test_setup_teardown(test, setup_deep, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_world(test_follower_pace__none_is_begun_while_held),
		with_deep_world(test_follower_pace__keeps_to_its_rate),
		with_deep_world(test_follower_pace__a_long_pause_earns_no_more_than_a_burst),
		with_deep_world(test_follower_pace__hurries_when_the_log_is_nearly_full),
		with_world(test_follower_pace__drains_a_full_log),
		with_world(test_follower_pace__moves_on_a_log_that_is_used_up),
		with_world(test_follower_pace__insists_when_the_log_is_full),
		with_world(test_follower_pace__writes_none_that_was_named_just_now),
		with_deep_world(test_follower_pace__ends_with_a_log_that_cannot_be_read),
	};

	return cmocka_run_group_tests_name("follower_pace", tests, NULL, NULL);
}
