/* SPDX-License-Identifier: MIT */
/*
 * test_follower_look.c - a follower at the end of a log: what it reads while nothing happens, how
 * it tells a log that is being written from one that is damaged, and what a superblock may look
 * like meanwhile.
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
#include <sys/wait.h>
#include <unistd.h>

#include "engine/wal/wal_super.h"
#include "tests/lib/follow_fixture.h"

#define NEVER (1ull << 50)
#define LONG_MS 700u /* longer than a follower waits before it doubts */

static const struct sluice_follower_options no_snapshots = {.every_bytes = NEVER};

/* What a patched disk does to reads, and what it has seen. */
static struct sluice_wal_io_ops patched;
static const struct sluice_wal_io_ops *real;
static uint64_t pages_read, clock_ns;
static int garble_newest, garble_all;

static int setup(void **state)
{
	struct follow_world *world = malloc(sizeof(*world));

	follow_world_make(world, 0);
	pages_read = clock_ns = 0;
	garble_newest = garble_all = 0;
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	follow_world_remove(*state);
	free(*state);
	return 0;
}

/* Blocks 1 to `blocks` of 40 commands, two pages each, after block 0. */
static void write_blocks(struct follow_world *world, uint32_t blocks)
{
	follow_world_started(world);
	for (uint32_t i = 0; i < blocks; i++)
		assert_int_equal(follow_world_settled_block(world, 40), 0);
}

/* The log is found damaged at that block, once the follower has waited for it. */
static void assert_damaged(struct follow_world *world, uint64_t block_seq)
{
	struct sluice_follower *follower = follow_opened(world, &no_snapshots);
	char text[32];

	snprintf(text, sizeof(text), "block %llu is not valid", (unsigned long long)block_seq);
	assert_int_equal(follow_wait(world, follower, 3 * LONG_MS), -EBADMSG);
	if (!strstr(world->diag.text, text))
		print_message("%s\n", world->diag.text);
	assert_non_null(strstr(world->diag.text, text));
	assert_true(follow_view(follower).block_seq <= block_seq);
	assert_true(follow_view(follower).block_seq + SLUICE_WAL_WINDOW_MAX >= block_seq);
	assert_true(sluice_core_state_hash(sluice_follower_core(follower)) ==
		    follow_world_hash_at(world, follow_view(follower).cmd_seq));
	sluice_follower_close(follower);
}

static void test_follower_look__finds_rot_in_the_middle(void **state)
{
	static const uint64_t at[] = {0, 20, 57, 100, 300, 4999, 8191};
	struct follow_world *world = *state;

	write_blocks(world, 20);
	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		const struct wal_fixture_block_place place = follow_world_place(world, 7);

		wal_fixture_flip(&world->fixture, place.segment_no, place.offset + at[i], 3);
		assert_damaged(world, 7);
		wal_fixture_flip(&world->fixture, place.segment_no, place.offset + at[i], 3);
	}
}

static void zero(struct follow_world *world, uint32_t file, uint64_t offset, size_t bytes)
{
	void *zeros = calloc(1, bytes);

	assert_non_null(zeros);
	wal_fixture_poke(&world->fixture, file, offset, zeros, bytes);
	free(zeros);
}

static void test_follower_look__finds_a_block_that_is_gone(void **state)
{
	struct follow_world *world = *state;
	struct wal_fixture_block_place place;

	write_blocks(world, 20);
	place = follow_world_place(world, 11);
	zero(world, place.segment_no, place.offset, place.bytes);
	assert_damaged(world, 11);
}

static void test_follower_look__finds_segments_that_are_gone(void **state)
{
	struct follow_world *world = *state;
	struct wal_fixture_block_place place;

	follow_world_started(world);
	follow_world_write(world, 9u << 20);
	place = follow_world_place(world, 10);
	while (place.segment_no < 2)
		place = follow_world_place(world, place.header.block_seq + 1);
	assert_int_equal(place.offset, 0);
	for (uint32_t file = 2; file < 7; file++)
		zero(world, file, 0, WAL_FIXTURE_SEGMENT_BYTES);
	assert_damaged(world, place.header.block_seq);
}

static void test_follower_look__believes_the_mark_of_a_clean_end(void **state)
{
	struct follow_world *world = *state;
	struct wal_fixture_block_place place;

	write_blocks(world, 5);
	follow_world_stop(world, true);
	place = follow_world_place(world, 6);
	assert_int_equal(place.header.flags & SLUICE_WAL_CLOSE, SLUICE_WAL_CLOSE);
	wal_fixture_flip(&world->fixture, place.segment_no, place.offset + 200, 0);
	assert_damaged(world, 6);
}

/* The part of a block that has not arrived yet looks like one that is gone. */
static void test_follower_look__waits_for_a_block_that_is_on_its_way(void **state)
{
	static const uint64_t parts[] = {0, SLUICE_WAL_ALIGN};
	struct follow_world *world = *state;
	struct sluice_follower *follower = follow_opened(world, &no_snapshots);

	write_blocks(world, 5);
	for (size_t i = 0; i < 2; i++) {
		const uint64_t last = 5 + i;
		struct wal_fixture_block_place place = follow_world_place(world, last);
		unsigned char page[SLUICE_WAL_ALIGN];
		uint64_t live_bytes;

		wal_fixture_peek(&world->fixture, place.segment_no, place.offset + parts[i], page,
				 sizeof(page));
		zero(world, place.segment_no, place.offset + parts[i], sizeof(page));
		assert_int_equal(follow_wait(world, follower, LONG_MS), 0);
		live_bytes = follow_view(follower).live_bytes;
		wal_fixture_poke(&world->fixture, place.segment_no, place.offset + parts[i], page,
				 sizeof(page));
		assert_int_equal(follow_drain(world, follower), 0);
		assert_int_equal(follow_view(follower).live_bytes, live_bytes + place.bytes);
		assert_int_equal(follow_view(follower).block_seq, last);
		assert_int_equal(follow_world_settled_block(world, 40), 0);
	}
	sluice_follower_close(follower);
}

static int counting_read(struct sluice_wal_io *io, uint32_t file, uint64_t offset, void *data,
			 size_t bytes)
{
	pages_read += bytes / SLUICE_WAL_ALIGN;
	return real->read(io, file, offset, data, bytes);
}

static uint64_t standing_clock(struct sluice_wal_io *io)
{
	(void)io;
	return clock_ns;
}

static void patch_counting(struct sluice_wal_io *io)
{
	real = io->ops;
	patched = *io->ops;
	patched.read = counting_read;
	patched.monotonic_ns = standing_clock;
	io->ops = &patched;
}

static void test_follower_look__is_cheap_while_nothing_happens(void **state)
{
	struct follow_world *world = *state;
	struct sluice_follower *follower = NULL;

	write_blocks(world, 30);
	assert_int_equal(follow_open(world, &no_snapshots, patch_counting, &follower), 0);
	assert_int_equal(follow_drain(world, follower), 0);
	pages_read = 0;
	for (int i = 0; i < 100; i++)
		assert_int_equal(sluice_follower_step(follower, &world->diag), 0);
	/* the superblock, the one block that nothing witnesses, and the place of the next */
	assert_int_equal(pages_read, 100 * (SLUICE_WAL_SUPER_COPIES + 2));
	/* doubts are rarer the longer it lasts: three windows and a page per segment each */
	for (int i = 0; i < 600; i++) {
		clock_ns += 100000000;
		assert_int_equal(sluice_follower_step(follower, &world->diag), 0);
	}
	assert_true(pages_read < 700 * 6 + 15 * (3 * 256 + SLUICE_WAL_SEGMENTS));
	assert_true(pages_read > 700 * 6 + 7 * 256);
	sluice_follower_close(follower);
}

/* Block 7, which is missing until the disk has been read that many times in large pieces. */
static struct follow_world *late_world;
static struct wal_fixture_block_place late_place;
static unsigned char late_bytes[2 * SLUICE_WAL_ALIGN];
static int late_after;

static int late_read(struct sluice_wal_io *io, uint32_t file, uint64_t offset, void *data,
		     size_t bytes)
{
	if (bytes > SLUICE_WAL_SUPER_COPIES * SLUICE_WAL_ALIGN && late_after > 0 &&
	    --late_after == 0)
		wal_fixture_poke(&late_world->fixture, late_place.segment_no, late_place.offset,
				 late_bytes, late_place.bytes);
	return real->read(io, file, offset, data, bytes);
}

static void patch_late(struct sluice_wal_io *io)
{
	real = io->ops;
	patched = *io->ops;
	patched.read = late_read;
	patched.monotonic_ns = standing_clock;
	io->ops = &patched;
}

/* All that follows block 7 is there, and it comes while the log is being judged without it. */
static void test_follower_look__asks_again_before_it_believes(void **state)
{
	struct follow_world *world = *state;
	struct sluice_follower *follower = NULL;

	write_blocks(world, 20);
	follow_world_seal(world);
	late_world = world;
	late_place = follow_world_place(world, 7);
	assert_true(late_place.bytes <= sizeof(late_bytes));
	wal_fixture_peek(&world->fixture, late_place.segment_no, late_place.offset, late_bytes,
			 late_place.bytes);
	zero(world, late_place.segment_no, late_place.offset, late_place.bytes);
	assert_int_equal(follow_open(world, &no_snapshots, patch_late, &follower), 0);
	assert_int_equal(follow_drain(world, follower), 0);
	assert_true(follow_view(follower).block_seq < 7);
	late_after = 5;
	clock_ns += 1000000000;
	assert_int_equal(follow_drain(world, follower), 0);
	assert_int_equal(late_after, 0);
	assert_true(follow_is_at_end(world, follower));
	sluice_follower_close(follower);
}

static uint64_t copy_sequence(const unsigned char *copy)
{
	return ((const struct sluice_wal_super *)(const void *)copy)->sequence;
}

/* Reads of the superblock see its newest copy half-written, or all of them. */
static int garbling_read(struct sluice_wal_io *io, uint32_t file, uint64_t offset, void *data,
			 size_t bytes)
{
	int ret = real->read(io, file, offset, data, bytes);
	unsigned char *copies = data, *newest = data;

	if (ret || file != SLUICE_WAL_FILE_SUPER)
		return ret;
	for (uint32_t i = 1; i < SLUICE_WAL_SUPER_COPIES; i++)
		if (copy_sequence(copies + i * SLUICE_WAL_ALIGN) > copy_sequence(newest))
			newest = copies + i * SLUICE_WAL_ALIGN;
	if (garble_all > 0)
		memset(copies, 0x77, bytes);
	else if (garble_newest > 0)
		memset(newest + 256, 0x77, 256);
	garble_all -= garble_all > 0;
	garble_newest -= garble_newest > 0;
	return 0;
}

static void patch_garbling(struct sluice_wal_io *io)
{
	real = io->ops;
	patched = *io->ops;
	patched.read = garbling_read;
	io->ops = &patched;
}

static void test_follower_look__bears_a_superblock_that_is_being_written(void **state)
{
	const struct sluice_follower_options often = {.every_bytes = 50000};
	struct follow_world *world = *state;
	struct sluice_follower *follower = NULL;

	write_blocks(world, 10);
	assert_int_equal(follow_open(world, &often, patch_garbling, &follower), 0);
	assert_int_equal(follow_drain(world, follower), 0);
	assert_int_equal(follow_view(follower).snapshot_whole, 1);
	assert_int_equal(follow_world_offer(world, 1), 0);
	garble_newest = 1;
	assert_int_equal(sluice_follower_step(follower, &world->diag), 0);
	assert_int_equal(follow_view(follower).snapshot_named, 1); /* the other copy says it */
	garble_newest = 20;
	assert_int_equal(follow_drain(world, follower), 0);
	assert_int_equal(follow_view(follower).snapshot_named, 1); /* known is known */
	garble_newest = 0;
	garble_all = 2;
	assert_int_equal(follow_drain(world, follower), 0);
	garble_all = 1000;
	assert_int_equal(follow_drain(world, follower), -EBADMSG);
	assert_non_null(strstr(world->diag.text, "super"));
	sluice_follower_close(follower);
}

static void write_in_a_child(struct follow_world *world)
{
	uint64_t seed = 4711;

	world->fixture.options.window = SLUICE_WAL_WINDOW_MAX;
	world->fixture.options.backend = SLUICE_WAL_BACKEND_AUTO;
	if (follow_world_start(world))
		_exit(2);
	for (int i = 0; i < 1500; i++)
		if (follow_world_block(world, 1 + (uint32_t)(wal_fixture_random(&seed) % 80)))
			_exit(3);
	follow_world_seal(world);
	_exit(0); /* without a word: the tail is what it is */
}

/* Another process writes as fast as it can, eight blocks in flight. */
static void test_follower_look__never_finds_damage_in_a_log_that_is_being_written(void **state)
{
	const struct sluice_follower_options often = {.every_bytes = 100000};
	struct follow_world *world = *state;
	struct sluice_follower *follower = follow_opened(world, &often);
	int status = 0, ret = 0;
	uint64_t executed;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		write_in_a_child(world);
	while (ret >= 0 && waitpid(pid, &status, WNOHANG) == 0)
		ret = sluice_follower_step(follower, &world->diag);
	if (ret < 0)
		print_message("%s\n", world->diag.text);
	assert_true(ret >= 0);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_int_equal(follow_drain(world, follower), 0);
	executed = follow_view(follower).cmd_seq;
	assert_true(executed > 1500);
	assert_true(sluice_core_state_hash(sluice_follower_core(follower)) ==
		    follow_world_hash_at(world, executed));
	assert_int_equal(follow_view(follower).snapshot_whole, 1);
	sluice_follower_close(follower);
	follow_world_started(world);
	assert_int_equal(sluice_wal_durable_cmd_seq(world->wal), executed);
}

static bool super_durable; /* what was read of it last */
static uint32_t begun, begun_early;

static int noting_read(struct sluice_wal_io *io, uint32_t file, uint64_t offset, void *data,
		       size_t bytes)
{
	super_durable &= file != SLUICE_WAL_FILE_SUPER;
	return real->read(io, file, offset, data, bytes);
}

static int noting_sync(struct sluice_wal_io *io, uint32_t file)
{
	super_durable |= file == SLUICE_WAL_FILE_SUPER;
	return real->sync(io, file);
}

/* A page of zeros takes a snapshot's header away: its file is given up. */
static int noting_write(struct sluice_wal_io *io, uint32_t file, uint64_t offset, const void *data,
			size_t bytes)
{
	static const unsigned char zeros[SLUICE_WAL_ALIGN];

	if (offset == 0 && !memcmp(data, zeros, SLUICE_WAL_ALIGN)) {
		begun++;
		begun_early += !super_durable;
	}
	return real->write(io, file, offset, data, bytes);
}

static void patch_noting(struct sluice_wal_io *io)
{
	real = io->ops;
	patched = *io->ops;
	patched.read = noting_read;
	patched.sync = noting_sync;
	patched.write = noting_write;
	io->ops = &patched;
}

/*
 * A superblock may be read before it is durable. The one before it may come back, and needs the
 * older of the files that this one names.
 */
static void test_follower_look__gives_no_file_up_for_a_superblock_that_may_go(void **state)
{
	const struct sluice_follower_options often = {.every_bytes = 300000};
	struct follow_world *world = *state;
	struct sluice_follower *follower = NULL;

	begun = begun_early = 0;
	assert_int_equal(follow_open(world, &often, patch_noting, &follower), 0);
	follow_world_started(world);
	for (uint64_t q = 1; q <= 3; q++) {
		assert_int_equal(follow_next_snapshot(world, follower), q);
		assert_int_equal(follow_world_offer(world, q), 0);
	}
	sluice_follower_close(follower);
	assert_true(begun >= 3);
	assert_int_equal(begun_early, 0);
}

#define with_world(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_world(test_follower_look__finds_rot_in_the_middle),
		with_world(test_follower_look__finds_a_block_that_is_gone),
		with_world(test_follower_look__finds_segments_that_are_gone),
		with_world(test_follower_look__believes_the_mark_of_a_clean_end),
		with_world(test_follower_look__waits_for_a_block_that_is_on_its_way),
		with_world(test_follower_look__is_cheap_while_nothing_happens),
		with_world(test_follower_look__asks_again_before_it_believes),
		with_world(test_follower_look__bears_a_superblock_that_is_being_written),
		with_world(test_follower_look__never_finds_damage_in_a_log_that_is_being_written),
		with_world(test_follower_look__gives_no_file_up_for_a_superblock_that_may_go),
	};

	return cmocka_run_group_tests_name("follower_look", tests, NULL, NULL);
}
