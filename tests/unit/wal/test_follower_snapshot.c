/* SPDX-License-Identifier: MIT */
/*
 * test_follower_snapshot.c - a follower's snapshots: into which file, what a crash at any point
 * leaves, and a log that goes round on them. How often and how fast: test_follower_pace.c.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/wal/wal_super.h"
#include "shm/crc32c.h"
#include "tests/lib/follow_fixture.h"

#define NEVER (1ull << 50)
#define CHUNK SLUICE_SNAPSHOT_CHUNK_BYTES
#define MIB (1u << 20)

static const struct sluice_follower_options no_snapshots = {.every_bytes = NEVER};
static const struct sluice_follower_options often = {.every_bytes = 300000};

static int setup(void **state)
{
	struct follow_world *world = malloc(sizeof(*world));

	follow_world_make(world, 0);
	*state = world;
	return 0;
}

/* Many orders at rest: a snapshot is of several chunks. */
static int setup_deep(void **state)
{
	struct follow_world *world = malloc(sizeof(*world));

	follow_world_make(world, 12000);
	world->deep = true;
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	follow_world_remove(*state);
	free(*state);
	return 0;
}

static uint32_t file_of(uint64_t sequence)
{
	return SLUICE_WAL_FILE_SNAPSHOT + (uint32_t)(sequence % SLUICE_WAL_SNAPSHOTS);
}

static uint32_t digest(const struct follow_world *world, uint64_t sequence)
{
	static unsigned char bytes[4 * CHUNK];

	wal_fixture_peek(&world->fixture, file_of(sequence), 0, bytes, SLUICE_WAL_ALIGN + CHUNK);
	return sluice_crc32c(0, bytes, SLUICE_WAL_ALIGN + CHUNK);
}

static void test_follower_snapshot__is_where_followers_and_engines_start(void **state)
{
	struct follow_world *world = *state;
	struct sluice_follower *follower = follow_opened(world, &often);
	uint64_t cmd_seq;

	follow_world_started(world);
	assert_int_equal(follow_next_snapshot(world, follower), 1);
	cmd_seq = follow_view(follower).cmd_seq;
	assert_int_equal(follow_view(follower).snapshot_named, 0);
	assert_int_equal(follow_world_offer(world, 1), 0);
	assert_int_equal(follow_drain(world, follower), 0);
	assert_int_equal(follow_view(follower).snapshot_named, 1);
	sluice_follower_close(follower);
	follower = follow_opened(world, &no_snapshots);
	assert_true(follow_view(follower).block_seq > 3);
	assert_true(follow_view(follower).cmd_seq <= cmd_seq);
	assert_int_equal(follow_view(follower).snapshot_whole, 1);
	assert_true(sluice_core_state_hash(sluice_follower_core(follower)) ==
		    follow_world_hash_at(world, follow_view(follower).cmd_seq));
	assert_true(follow_starts_from(world, 1));
	assert_int_equal(follow_world_settled_block(world, 50), 0);
	follow_world_seal(world);
	assert_int_equal(follow_drain(world, follower), 0);
	assert_true(follow_is_at_end(world, follower));
	sluice_follower_close(follower);
}

static void test_follower_snapshot__is_written_over_the_older_one(void **state)
{
	struct follow_world *world = *state;
	struct sluice_follower *follower = follow_opened(world, &often);

	follow_world_started(world);
	for (uint64_t q = 1; q <= 6; q++) {
		const uint32_t newest = digest(world, q - 1), older = digest(world, q);

		assert_int_equal(follow_next_snapshot(world, follower), q);
		assert_true(digest(world, q - 1) == newest);
		assert_true(digest(world, q) != older);
		assert_int_equal(follow_world_offer(world, q), 0);
		assert_int_equal(follow_drain(world, follower), 0);
	}
	sluice_follower_close(follower);
	assert_true(follow_starts_from(world, 6));
}

static void test_follower_snapshot__lets_a_log_go_round(void **state)
{
	const struct sluice_follower_options options = {.every_bytes = 0}; /* a quarter */
	struct follow_world *world = *state;
	struct sluice_follower *follower = follow_opened(world, &options);
	uint64_t seed = wal_fixture_seed(__func__), written = 0, named = 0;

	follow_world_started(world);
	while (written < 70ull * MIB) {
		const uint64_t bytes = 1 + wal_fixture_random(&seed) % (2 * MIB);

		follow_world_write(world, bytes);
		written += bytes;
		assert_false(sluice_wal_full(world->wal));
		assert_int_equal(follow_drain(world, follower), 0);
		assert_true(follow_view(follower).live_bytes <=
			    sluice_wal_live_bytes(world->wal) + WAL_FIXTURE_SEGMENT_BYTES);
		if (follow_view(follower).snapshot_whole > named)
			assert_int_equal(follow_world_offer(world, ++named), 0);
		if (wal_fixture_random(&seed) % 8 == 0) {
			sluice_follower_close(follower);
			follower = follow_opened(world, &options);
		}
		if (wal_fixture_random(&seed) % 8 == 0)
			assert_true(follow_starts_from(world, named));
	}
	assert_true(named >= 12);
	follow_world_seal(world);
	assert_int_equal(follow_drain(world, follower), 0);
	assert_true(follow_is_at_end(world, follower));
	sluice_follower_close(follower);
}

/* A follower that is gone after so many steps of writing; false: it had come to the end. */
static bool abandon_after(struct follow_world *world, uint32_t steps)
{
	struct sluice_follower *follower = follow_opened(world, &often);
	uint32_t written = 0;

	for (int i = 0; i < 10000 && written < steps; i++) {
		assert_true(sluice_follower_step(follower, &world->diag) >= 0);
		written += follow_view(follower).writing;
		if (follow_view(follower).snapshot_whole == 3)
			break;
	}
	steps = follow_view(follower).snapshot_whole == 3;
	sluice_follower_close(follower);
	return !steps;
}

static void test_follower_snapshot__half_of_it_harms_nothing(void **state)
{
	struct follow_world *world = *state;
	const uint32_t end = 200;
	uint32_t steps = 1;
	struct sluice_follower *follower;

	follow_two_snapshots(world, &often);
	while (abandon_after(world, steps)) {
		assert_true(follow_starts_from(world, 2));
		/* the number is not taken for a snapshot's, whatever is in the file */
		assert_int_equal(follow_world_offer(world, 3), -EBADMSG);
		follow_world_seal(world);
		assert_true(++steps < end);
	}
	assert_true(steps > 6); /* it has that many chunks at least */
	assert_int_equal(follow_world_offer(world, 3), 0);
	assert_true(follow_starts_from(world, 3));
	follower = follow_opened(world, &often);
	assert_int_equal(follow_next_snapshot(world, follower), 4);
	assert_int_equal(follow_world_offer(world, 4), 0);
	sluice_follower_close(follower);
	assert_true(follow_starts_from(world, 4));
}

/* The same with a disk that fails at every operation from the beginning of the snapshot on. */
static void test_follower_snapshot__ends_with_its_disk(void **state)
{
	struct follow_world *world = *state;
	uint32_t failures = 0;
	int ret = -ENOSPC;

	follow_two_snapshots(world, &often);
	for (uint32_t at = 1; ret; at++) {
		const struct fault_plan plan = {.at = at, .times = 1000000, .error = ENOSPC};
		const struct fault_plan none = {.at = 0};
		struct sluice_follower *follower = NULL;
		struct sluice_wal_io *disk, *io;

		assert_int_equal(sluice_wal_io_blocking_create(&disk, world->fixture.dir, NULL), 0);
		assert_int_equal(fault_io_create(&io, disk), 0);
		assert_int_equal(sluice_follower_open(&follower, io, &often, &world->diag), 0);
		while (!follow_view(follower).writing) {
			ret = sluice_follower_step(follower, &world->diag);
			assert_true(ret >= 0);
		}
		fault_io_plan(io, &plan);
		for (ret = 1; ret > 0 && follow_view(follower).writing;)
			ret = sluice_follower_step(follower, &world->diag);
		if (ret < 0) {
			failures++;
			assert_int_equal(ret, -ENOSPC);
			assert_true(follow_starts_from(world, 2));
			follow_world_seal(world);
		} else {
			assert_int_equal(follow_view(follower).snapshot_whole, 3);
			ret = 0;
		}
		fault_io_plan(io, &none);
		sluice_follower_close(follower);
		assert_true(at < 200);
	}
	assert_true(failures > 6);
	assert_int_equal(follow_world_offer(world, 3), 0);
	assert_true(follow_starts_from(world, 3));
}

/* Rot in the newest: the other one is all there is, and is not written over. */
static void test_follower_snapshot__skips_a_number_to_spare_the_good_one(void **state)
{
	const struct sluice_follower_options soon = {.every_bytes = 50000};
	struct sluice_snapshot_header header;
	struct follow_world *world = *state;
	struct sluice_follower *follower;
	uint32_t good;

	follow_two_snapshots(world, &often);
	good = digest(world, 1);
	wal_fixture_peek(&world->fixture, file_of(2), 0, &header, sizeof(header));
	wal_fixture_flip(&world->fixture, file_of(2), SLUICE_WAL_ALIGN + 5000, 1);
	follower = follow_opened(world, &soon);
	while (!follow_view(follower).writing)
		assert_int_equal(sluice_follower_step(follower, &world->diag), 1);
	/* where the bad one is, or before, nobody could name it */
	assert_true(follow_view(follower).block_seq > header.place.block_seq);
	sluice_follower_close(follower);
	follower = follow_opened(world, &often);
	assert_int_equal(follow_next_snapshot(world, follower), 4);
	assert_true(digest(world, 1) == good);
	assert_true(follow_starts_from(world, 1));
	follow_world_seal(world);
	assert_int_equal(follow_world_offer(world, 4), 0);
	assert_true(follow_starts_from(world, 4));
	follow_world_seal(world);
	assert_int_equal(follow_next_snapshot(world, follower), 5);
	assert_true(digest(world, 1) != good);
	assert_int_equal(follow_world_offer(world, 5), 0);
	sluice_follower_close(follower);
	assert_true(follow_starts_from(world, 5));
}

/* Most of the newest is in the core already when the rot is found: nothing of it may stay there. */
static void test_follower_snapshot__begins_anew_after_rot_at_its_end(void **state)
{
	struct follow_world *world = *state;
	struct sluice_snapshot_header header;
	struct sluice_follower *follower;

	follow_two_snapshots(world, &often);
	wal_fixture_peek(&world->fixture, file_of(2), 0, &header, sizeof(header));
	assert_true(header.bytes > 3 * CHUNK);
	wal_fixture_flip(&world->fixture, file_of(2), header.bytes - CHUNK + 100, 1);
	follower = follow_opened(world, &no_snapshots);
	assert_true(follow_view(follower).cmd_seq < header.place.cmd_seq);
	assert_true(sluice_core_state_hash(sluice_follower_core(follower)) ==
		    follow_world_hash_at(world, follow_view(follower).cmd_seq));
	assert_int_equal(follow_drain(world, follower), 0);
	assert_int_equal(follow_view(follower).cmd_seq, sluice_wal_durable_cmd_seq(world->wal));
	sluice_follower_close(follower);
}

/* The superblock's own word on the newest is another state than the log gives at its place. */
static void test_follower_snapshot__compares_the_one_that_it_passes(void **state)
{
	struct follow_world *world = *state;
	unsigned char *page = aligned_alloc(SLUICE_WAL_ALIGN, 4 * SLUICE_WAL_ALIGN);
	struct sluice_wal_super super, next;
	struct sluice_follower *follower;
	struct sluice_wal_io *io;

	follow_two_snapshots(world, &often);
	follow_world_stop(world, false);
	assert_int_equal(sluice_wal_io_blocking_create(&io, world->fixture.dir, NULL), 0);
	assert_int_equal(io->ops->open(io, SLUICE_WAL_IO_WRITE, NULL), 0);
	assert_int_equal(sluice_wal_super_load(io, page, &super, NULL), 0);
	next = super;
	next.snapshot[0].state_hash ^= 1;
	assert_int_equal(sluice_wal_super_write(io, page, &next, &super), 0);
	io->ops->close(io);
	free(page);
	follower = follow_opened(world, &no_snapshots);
	assert_int_equal(follow_drain(world, follower), -EBADMSG);
	assert_non_null(strstr(world->diag.text, "the state of a snapshot"));
	assert_int_equal(follow_view(follower).block_seq, super.snapshot[0].place.block_seq);
	sluice_follower_close(follower);
}

static void test_follower_snapshot__without_any_it_starts_from_the_first_command(void **state)
{
	struct follow_world *world = *state;
	struct sluice_follower *follower = follow_opened(world, &often);

	follow_world_started(world);
	assert_int_equal(follow_next_snapshot(world, follower), 1);
	assert_int_equal(follow_world_offer(world, 1), 0);
	sluice_follower_close(follower);
	wal_fixture_flip(&world->fixture, file_of(1), 100, 1);
	follower = follow_opened(world, &no_snapshots);
	assert_int_equal(follow_view(follower).block_seq, 0);
	assert_int_equal(follow_drain(world, follower), 0);
	assert_true(follow_is_at_end(world, follower));
	sluice_follower_close(follower);
}

static void test_follower_snapshot__without_any_it_cannot_start_in_the_middle(void **state)
{
	struct follow_world *world = *state;
	struct sluice_follower *follower = NULL;

	follow_two_snapshots(world, &often);
	wal_fixture_flip(&world->fixture, file_of(1), SLUICE_WAL_ALIGN + 64, 1);
	wal_fixture_flip(&world->fixture, file_of(2), SLUICE_WAL_ALIGN + 64, 1);
	assert_int_equal(follow_open(world, &often, NULL, &follower), -EBADMSG);
	assert_non_null(strstr(world->diag.text, "no snapshot can be started from"));
	assert_non_null(strstr(world->diag.text, "snap-"));
}

static void test_follower_snapshot__is_written_again_if_nobody_named_it(void **state)
{
	struct follow_world *world = *state;
	struct sluice_follower *follower = follow_opened(world, &often);
	struct sluice_snapshot_header header;
	uint32_t first;

	follow_world_started(world);
	assert_int_equal(follow_next_snapshot(world, follower), 1);
	first = digest(world, 1);
	follow_world_write(world, 200000); /* not yet enough */
	follow_world_seal(world);
	assert_int_equal(follow_drain(world, follower), 0);
	assert_true(digest(world, 1) == first);
	follow_world_write(world, 200000);
	follow_world_seal(world);
	while (!follow_view(follower).writing)
		assert_int_equal(sluice_follower_step(follower, &world->diag), 1);
	/* from here on until it is whole again nobody can take it for a snapshot */
	assert_int_equal(follow_view(follower).snapshot_whole, 0);
	wal_fixture_peek(&world->fixture, file_of(1), 0, &header, sizeof(header));
	assert_int_equal(header.magic, 0);
	assert_int_equal(follow_world_offer(world, 1), -EBADMSG);
	assert_int_equal(follow_drain(world, follower), 0);
	assert_int_equal(follow_view(follower).snapshot_whole, 1);
	assert_true(digest(world, 1) != first);
	assert_int_equal(follow_world_offer(world, 1), 0);
	sluice_follower_close(follower);
	assert_true(follow_starts_from(world, 1));
}

/* Number 3 was named since the follower looked last. */
static void test_follower_snapshot__looks_before_it_chooses_a_file(void **state)
{
	struct follow_world *world = *state;
	struct sluice_follower *follower;
	uint32_t named;

	follow_two_snapshots(world, &often);
	follower = follow_opened(world, &often);
	assert_int_equal(follow_next_snapshot(world, follower), 3);
	named = digest(world, 3);
	follow_world_write(world, 700000);
	follow_world_seal(world);
	for (int i = 0; i < 3; i++) /* it looks, and is busy from then on */
		assert_int_equal(sluice_follower_step(follower, &world->diag), 1);
	assert_int_equal(follow_view(follower).snapshot_named, 2);
	assert_int_equal(follow_world_offer(world, 3), 0);
	while (!follow_view(follower).writing)
		assert_int_equal(sluice_follower_step(follower, &world->diag), 1);
	assert_true(digest(world, 3) == named);
	assert_int_equal(follow_drain(world, follower), 0);
	assert_true(digest(world, 3) == named);
	assert_true(follow_view(follower).snapshot_whole >= 4);
	sluice_follower_close(follower);
	assert_true(follow_starts_from(world, 3));
}

/*
 * The superblock that names snapshot 3 was on its way when a follower began to write 3 again. One
 * of the two that are named is whole at every moment.
 */
static void test_follower_snapshot__gives_up_one_that_was_named_meanwhile(void **state)
{
	struct follow_world *world = *state;
	struct sluice_follower *follower;
	unsigned char old[SLUICE_WAL_ALIGN], taken[SLUICE_WAL_ALIGN];
	uint32_t good;

	follow_two_snapshots(world, &often);
	follower = follow_opened(world, &often);
	assert_int_equal(follow_next_snapshot(world, follower), 3);
	good = digest(world, 2);
	follow_world_write(world, 400000);
	follow_world_seal(world);
	wal_fixture_peek(&world->fixture, file_of(3), 0, old, sizeof(old));
	while (!follow_view(follower).writing)
		assert_int_equal(sluice_follower_step(follower, &world->diag), 1);
	assert_int_equal(sluice_follower_step(follower, &world->diag), 1);
	/* as an engine sees it that read the header just before it was taken away */
	wal_fixture_peek(&world->fixture, file_of(3), 0, taken, sizeof(taken));
	wal_fixture_poke(&world->fixture, file_of(3), 0, old, sizeof(old));
	assert_int_equal(follow_world_offer(world, 3), 0);
	wal_fixture_poke(&world->fixture, file_of(3), 0, taken, sizeof(taken));
	while (follow_view(follower).writing)
		assert_int_equal(sluice_follower_step(follower, &world->diag), 1);
	/* it counts for nothing: the next one is begun at once */
	assert_int_equal(sluice_follower_step(follower, &world->diag), 1);
	assert_true(follow_view(follower).writing);
	assert_int_equal(follow_drain(world, follower), 0);
	assert_true(digest(world, 2) == good);
	assert_int_equal(follow_view(follower).snapshot_named, 3);
	/* number 3 is named and bad, and the next one is in its file */
	assert_int_equal(follow_view(follower).snapshot_whole, 5);
	assert_true(follow_starts_from(world, 2));
	assert_int_equal(follow_world_offer(world, 5), 0);
	sluice_follower_close(follower);
	assert_true(follow_starts_from(world, 5));
}

static void test_follower_snapshot__goes_on_after_the_engines_own(void **state)
{
	struct follow_world *world = *state;
	struct sluice_follower *follower = follow_opened(world, &often);
	uint64_t end;

	follow_world_started(world);
	assert_int_equal(follow_next_snapshot(world, follower), 1);
	assert_int_equal(follow_world_offer(world, 1), 0);
	assert_int_equal(sluice_wal_snapshot(world->wal, world->core, world->sink.report_next,
					     world->sink.md_next, &world->diag),
			 -EBUSY);
	sluice_follower_close(follower);
	follow_world_write(world, 100000);
	sluice_wal_reports_taken(world->wal, world->sink.report_next);
	assert_int_equal(sluice_wal_snapshot(world->wal, world->core, world->sink.report_next,
					     world->sink.md_next, &world->diag),
			 0);
	end = sluice_wal_durable_cmd_seq(world->wal);
	follow_world_stop(world, true);
	follower = follow_opened(world, &often);
	assert_int_equal(follow_view(follower).snapshot_whole, 2);
	assert_int_equal(follow_view(follower).cmd_seq, end);
	follow_world_started(world);
	assert_int_equal(follow_next_snapshot(world, follower), 3);
	assert_int_equal(follow_world_offer(world, 3), 0);
	sluice_follower_close(follower);
	assert_true(follow_starts_from(world, 3));
}

#define with_world(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
#define with_deep_world(test) cmocka_unit_test_setup_teardown(test, setup_deep, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_world(test_follower_snapshot__is_where_followers_and_engines_start),
		with_world(test_follower_snapshot__is_written_over_the_older_one),
		with_world(test_follower_snapshot__lets_a_log_go_round),
		with_deep_world(test_follower_snapshot__half_of_it_harms_nothing),
		with_deep_world(test_follower_snapshot__ends_with_its_disk),
		with_world(test_follower_snapshot__skips_a_number_to_spare_the_good_one),
		with_deep_world(test_follower_snapshot__begins_anew_after_rot_at_its_end),
		with_world(test_follower_snapshot__compares_the_one_that_it_passes),
		with_world(test_follower_snapshot__without_any_it_starts_from_the_first_command),
		with_world(test_follower_snapshot__without_any_it_cannot_start_in_the_middle),
		with_world(test_follower_snapshot__is_written_again_if_nobody_named_it),
		with_world(test_follower_snapshot__looks_before_it_chooses_a_file),
		with_deep_world(test_follower_snapshot__gives_up_one_that_was_named_meanwhile),
		with_world(test_follower_snapshot__goes_on_after_the_engines_own),
	};

	return cmocka_run_group_tests_name("follower_snapshot", tests, NULL, NULL);
}
