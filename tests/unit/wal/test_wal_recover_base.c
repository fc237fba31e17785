/* SPDX-License-Identifier: MIT */
/*
 * test_wal_recover_base.c - where recovery begins: with the newest snapshot that is whole, else the
 * older one, else at block 0. Whatever it begins with, the state is the one that was there.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/wal_world.h"

#define SNAP(sequence) (SLUICE_WAL_FILE_SNAPSHOT + (sequence) % 2)
#define POINTS_MAX 64u

struct point { /* a boundary between two blocks, and a snapshot of the state there */
	struct sluice_wal_snapshot snapshot;
	unsigned char *file; /* the snapshot's bytes */
};

struct history { /* of one log, from block 0 on */
	struct wal_world world;
	struct point points[POINTS_MAX];
	uint32_t n;
};

/* The numbers alternate, so that any two points next to each other can be named together. */
static void take_point(struct history *history)
{
	struct point *point = &history->points[history->n];
	struct sluice_wal_place place;

	assert_true(history->n < POINTS_MAX);
	wal_world_place(&history->world, &place);
	if (place.block_seq == 0)
		return;
	wal_world_write_snapshot(&history->world, ++history->n, &place, &point->snapshot);
	point->file = malloc(point->snapshot.bytes);
	wal_fixture_peek(&history->world.fixture, SNAP(point->snapshot.sequence), 0, point->file,
			 point->snapshot.bytes);
}

/* Several lives with clean and hard ends, seals and blocks of all sizes, a point at every block. */
static void make_history(struct history *history, uint64_t *seed)
{
	*history = (struct history){.n = 0};
	wal_world_make(&history->world, *seed);
	for (uint32_t life = 0; life < 4; life++) {
		if (life == 2) { /* between CLOSE and OPEN */
			assert_int_equal(
				wal_fixture_open(&history->world.fixture, &history->world.wal), 0);
			take_point(history);
			wal_world_close(&history->world, false);
		}
		wal_world_go_on(&history->world);
		take_point(history);
		for (uint32_t i = 0; i < 5; i++) {
			bool big = wal_fixture_random(seed) % 3 == 0;

			wal_world_block(&history->world, 1 + (uint32_t)(wal_fixture_random(seed) %
									(big ? 1900 : 90)));
			take_point(history);
		}
		if (life % 2) {
			assert_int_equal(sluice_wal_seal(history->world.wal), 0);
			assert_int_equal(wal_fixture_settle(history->world.wal), 0);
			take_point(history);
		}
		wal_world_close(&history->world, life == 1);
	}
}

static void release_history(struct history *history)
{
	for (uint32_t i = 0; i < history->n; i++)
		free(history->points[i].file);
	wal_world_remove(&history->world);
}

static void put_file(struct history *history, uint32_t i)
{
	const struct point *point = &history->points[i];

	wal_fixture_poke(&history->world.fixture, SNAP(point->snapshot.sequence), 0, point->file,
			 point->snapshot.bytes);
}

/* Names point i alone (the log still starts at block 0), or i and the one after it. */
static void name_points(struct history *history, uint32_t i, bool both)
{
	struct sluice_wal_super super;

	wal_world_super(&history->world, &super);
	memset(super.snapshot, 0, sizeof(super.snapshot));
	super.start = (struct sluice_wal_place){.report = 1, .md = 1, .reports_taken = 1};
	for (uint32_t at = i; at <= i + both; at++) {
		const struct sluice_wal_snapshot *snapshot = &history->points[at].snapshot;

		super.snapshot[snapshot->sequence % 2] = *snapshot;
		put_file(history, at);
	}
	if (both)
		super.start = history->points[i].snapshot.place;
	wal_world_put_super(&history->world, &super);
}

static void expect_position(struct wal_world *world, uint64_t snapshot, const char *text,
			    struct sluice_wal_position *ret_position)
{
	struct wal_world_state state;
	int ret = wal_world_recover(world, &state, ret_position);

	if (ret)
		print_message("%s\n", world->fixture.diag.text);
	assert_int_equal(ret, 0);
	assert_int_equal(ret_position->snapshot, snapshot);
	assert_true(wal_world_same(&state, &world->live));
	assert_null(sluice_core_check(state.core));
	wal_world_state_release(&state);
	if (text)
		assert_non_null(strstr(world->passed_over, text));
	else
		assert_string_equal(world->passed_over, "");
}

static void expect_recovered(struct wal_world *world, uint64_t snapshot, const char *text)
{
	struct sluice_wal_position position;

	expect_position(world, snapshot, text, &position);
}

/* With a snapshot at block i replay gives what it gives from block 0, for every i. */
static void test_wal_recover_base__a_snapshot_anywhere_and_the_rest_give_the_whole(void **state)
{
	uint64_t seed = wal_fixture_seed("every_position");
	struct history *history = malloc(sizeof(*history));
	struct sluice_wal_position position;
	uint32_t closes = 0, opens = 0, ends = 0;

	(void)state;
	make_history(history, &seed);
	expect_recovered(&history->world, 0, NULL);
	assert_true(history->n > 20);
	for (uint32_t i = 0; i < history->n; i++) {
		const struct sluice_wal_place *place = &history->points[i].snapshot.place;

		name_points(history, i, false);
		expect_position(&history->world, i + 1, NULL, &position);
		assert_int_equal(position.start_cmd_seq, place->cmd_seq);
		assert_int_equal(position.start_report, place->report);
		assert_int_equal(position.start_md, place->md);
		assert_int_equal(position.next_cmd_seq, history->world.cmd_seq);
		opens += (place->flags & SLUICE_WAL_OPEN) != 0;
		closes += (place->flags & SLUICE_WAL_CLOSE) != 0;
		ends += i + 1 < history->n &&
			history->points[i + 1].snapshot.place.epoch != place->epoch;
		if (i + 1 < history->n && i % 4 == 0) {
			name_points(history, i, true);
			expect_recovered(&history->world, i + 2, NULL);
		}
	}
	assert_true(opens == 4 && closes == 1 && ends == 3);
	release_history(history);
	free(history);
}

/* The newest is bad in all ways that bytes can be: the older one is taken, and says why. */
static void test_wal_recover_base__a_bad_one_is_passed_over_for_the_older(void **state)
{
	uint64_t seed = wal_fixture_seed("passed_over");
	struct history *history = malloc(sizeof(*history));

	(void)state;
	make_history(history, &seed);
	for (uint32_t i = 0; i + 1 < history->n; i += 7) {
		const uint64_t newest = i + 2, older = i + 1;
		struct wal_fixture *fixture = &history->world.fixture;
		struct sluice_wal *wal;

		name_points(history, i, true);
		wal_fixture_flip(fixture, SNAP(newest), 4096 + 200, 1);
		expect_recovered(&history->world, older, "offset 4096: snapshot");
		put_file(history, i + 1);
		wal_fixture_flip(fixture, SNAP(newest), 40, 1);
		expect_recovered(&history->world, older, "offset 0: snapshot");
		/* ... and the older one is of no interest while the newest is good */
		put_file(history, i + 1);
		wal_fixture_flip(fixture, SNAP(older), 4096 + 200, 1);
		expect_recovered(&history->world, newest, NULL);
		/* both: the log no longer has its beginning */
		wal_fixture_flip(fixture, SNAP(newest), 4096 + 200, 1);
		assert_int_equal(wal_fixture_open(fixture, &wal), -EBADMSG);
		assert_non_null(strstr(fixture->diag.text, "snap-0 offset 4096"));
		assert_non_null(strstr(fixture->diag.text, "snap-1 offset 4096"));
		/* the file holds another one */
		if (i >= 1) {
			put_file(history, i);
			put_file(history, i - 1);
			expect_recovered(&history->world, older, "sequence: expected");
		}
		/* ... unless it has */
		name_points(history, i, false);
		wal_fixture_flip(fixture, SNAP(older), 4096 + 200, 1);
		expect_recovered(&history->world, 0, "offset 4096: snapshot");
	}
	release_history(history);
	free(history);
}

/* Makes the core's record say something else, with right checksums everywhere. */
static void forge(struct history *history, uint64_t sequence)
{
	struct sluice_snapshot_header header;
	struct sluice_wal_super super;

	wal_world_forge(&history->world, sequence, 0, 8, &header);
	wal_world_super(&history->world, &super);
	super.snapshot[sequence % 2].header_crc = header.header_crc;
	wal_world_put_super(&history->world, &super);
}

static int restore_only(struct wal_world *world, struct sluice_wal_position *ret_before,
			struct sluice_wal_position *ret_after)
{
	const size_t bytes = (sluice_core_bytes(&world->fixture.options.core) + 63) & ~(size_t)63;
	void *memory = aligned_alloc(64, bytes);
	struct sluice_core *core;
	struct sluice_wal *wal;
	int ret;

	assert_int_equal(wal_fixture_open(&world->fixture, &wal), 0);
	assert_string_equal(sluice_wal_snapshot_text(wal), "");
	sluice_wal_position(wal, ret_before);
	ret = sluice_wal_restore(wal, memory, &core, &world->fixture.diag);
	sluice_wal_position(wal, ret_after);
	if (!ret)
		assert_non_null(strstr(sluice_wal_snapshot_text(wal), "state_hash"));
	assert_int_equal(sluice_wal_close(wal, false, NULL), 0);
	free(memory);
	return ret;
}

/* What no checksum tells is told when the state is built: then too the older one is taken. */
static void test_wal_recover_base__a_state_that_does_not_come_out_is_passed_over(void **state)
{
	uint64_t seed = wal_fixture_seed("does_not_come_out");
	struct history *history = malloc(sizeof(*history));
	struct wal_world *world = &history->world;
	struct sluice_wal_position before, after;
	struct wal_world_state back;

	(void)state;
	make_history(history, &seed);
	for (uint32_t i = 1; i + 1 < history->n; i += 7) {
		name_points(history, i, true);
		forge(history, i + 2);
		assert_int_equal(restore_only(world, &before, &after), 0);
		assert_int_equal(before.snapshot, i + 2);
		assert_int_equal(after.snapshot, i + 1);
		assert_int_equal(after.start_cmd_seq, history->points[i].snapshot.place.cmd_seq);
		assert_int_equal(after.next_cmd_seq, before.next_cmd_seq);
		assert_int_equal(wal_world_recover(world, &back, NULL), 0);
		assert_true(wal_world_same(&back, &world->live));
		wal_world_state_release(&back);
		forge(history, i + 1);
		assert_int_equal(restore_only(world, &before, &after), -EBADMSG);
		assert_non_null(strstr(world->fixture.diag.text, "snap-0"));
		assert_non_null(strstr(world->fixture.diag.text, "snap-1"));
		name_points(history, i, false);
		forge(history, i + 1);
		assert_int_equal(restore_only(world, &before, &after), 0);
		assert_int_equal(after.snapshot, 0);
		assert_int_equal(after.start_cmd_seq, 0);
		assert_int_equal(after.start_report, 1);
	}
	release_history(history);
	free(history);
}

static void expect_damaged(struct history *history, uint64_t block_seq, const char *text,
			   bool reader_too)
{
	struct wal_fixture *fixture = &history->world.fixture;
	struct sluice_wal_report report;
	struct sluice_wal *wal;

	assert_int_equal(wal_fixture_open(fixture, &wal), -EBADMSG);
	assert_non_null(strstr(fixture->diag.text, text));
	wal_world_verdict(&history->world, &report);
	if (!reader_too)
		return;
	assert_int_equal(report.verdict, SLUICE_WAL_DAMAGED);
	assert_int_equal(report.block_seq, block_seq);
	assert_non_null(strstr(report.text, text));
}

/* A log that goes past a snapshot's place without going through it is another log. */
static void test_wal_recover_base__the_way_from_the_older_leads_through_the_newest(void **state)
{
	uint64_t seed = wal_fixture_seed("through");
	struct history *history = malloc(sizeof(*history));

	(void)state;
	make_history(history, &seed);
	for (uint32_t i = 2; i + 1 < history->n; i += 7) {
		for (uint32_t change = 0; change < 3; change++) {
			struct sluice_wal_snapshot *snapshot = &history->points[i + 1].snapshot;
			const struct sluice_wal_snapshot good = *snapshot;

			snapshot->place.prev_link ^= change == 0;
			snapshot->place.cmd_seq += change == 1;
			snapshot->place.offset ^= change == 2 ? 8192 : 0;
			name_points(history, i, true); /* its file does not say the same: bad */
			*snapshot = good;
			expect_damaged(history, good.place.block_seq, "of a snapshot's place",
				       true);
		}
	}
	release_history(history);
	free(history);
}

static void test_wal_recover_base__files_older_than_the_superblock_are_refused(void **state)
{
	static unsigned char zeros[SLUICE_WAL_BLOCK_BYTES_MAX];
	uint64_t seed = wal_fixture_seed("older_files");
	struct history *history = malloc(sizeof(*history));
	struct wal_fixture *fixture = &history->world.fixture;
	const struct sluice_wal_place *place;
	uint32_t last;

	(void)state;
	make_history(history, &seed);
	last = history->n - 1; /* right at the log's end */
	place = &history->points[last].snapshot.place;
	name_points(history, last - 1, true);
	expect_recovered(&history->world, last + 1, NULL);
	/* all that the newest snapshot stands for is there but the block right before its place */
	wal_fixture_poke(fixture, (uint32_t)place->segment_no, place->offset - 4096, zeros, 4096);
	expect_damaged(history, place->block_seq - 1, "is not before it", false);
	/* alone, from block 0: the reader comes to the same */
	name_points(history, last, false);
	expect_damaged(history, place->block_seq - 1, "older than the superblock", false);
	wal_fixture_flip(fixture, SNAP(last + 1), 4096, 0);
	expect_damaged(history, place->block_seq - 1, "names a snapshot of the blocks below", true);
	release_history(history);
	free(history);
}

/* The block at the base, torn at every sector, or damaged: judged as anywhere else. */
static void test_wal_recover_base__a_torn_tail_right_at_the_base_is_cut(void **state)
{
	static unsigned char block[SLUICE_WAL_BLOCK_BYTES_MAX];
	static const unsigned char zeros[SLUICE_WAL_BLOCK_BYTES_MAX];
	struct wal_world world;
	struct sluice_wal_position position;
	struct sluice_wal_snapshot snapshot;
	struct sluice_wal_place place, end;
	struct sluice_wal_super super;
	struct wal_world_state at_base, back;
	const uint32_t bytes = 12288;

	(void)state;
	wal_world_make(&world, 5);
	wal_world_go_on(&world);
	wal_world_block(&world, 3000);
	wal_world_place(&world, &place);
	wal_world_write_snapshot(&world, 1, &place, &snapshot);
	wal_world_super(&world, &super);
	wal_world_block(&world, 90);
	wal_world_place(&world, &end);
	assert_int_equal(end.offset - place.offset, bytes);
	wal_world_close(&world, false);
	super.snapshot[1] = snapshot;
	wal_world_put_super(&world, &super);
	wal_fixture_peek(&world.fixture, 0, place.offset, block, bytes);
	wal_fixture_poke(&world.fixture, 0, place.offset, zeros, bytes);
	assert_int_equal(wal_world_recover(&world, &at_base, &position), 0);
	assert_int_equal(position.torn, 0);
	assert_int_equal(position.next_cmd_seq, 3000);
	for (uint32_t at = 512; at < 128 + 90 * 120; at += 512) {
		wal_fixture_poke(&world.fixture, 0, place.offset, block, at);
		assert_int_equal(wal_world_recover(&world, &back, &position), 0);
		assert_int_equal(position.torn, 1);
		assert_int_equal(position.torn_block_seq, place.block_seq);
		assert_int_equal(position.snapshot, 1);
		assert_true(wal_world_same(&back, &at_base));
		wal_world_state_release(&back);
	}
	/* and goes on from there: OPEN of a new epoch right at the base */
	wal_world_start(&world);
	assert_true(wal_world_same(&world.live, &at_base));
	wal_world_block(&world, 10);
	wal_world_close(&world, true);
	assert_int_equal(wal_world_recover(&world, &back, &position), 0);
	assert_int_equal(position.closed, 1);
	assert_int_equal(position.epoch, 2);
	assert_true(wal_world_same(&back, &world.live));
	wal_world_state_release(&back);
	wal_world_state_release(&at_base);
	wal_world_remove(&world);
}

/* The disk refuses the newest snapshot, for a moment or for ever: the older one will do. */
static void test_wal_recover_base__an_unreadable_snapshot_is_passed_over(void **state)
{
	uint64_t seed = wal_fixture_seed("unreadable");
	struct history *history = malloc(sizeof(*history));
	struct wal_fixture *fixture = &history->world.fixture;
	struct sluice_wal_position position;
	struct fault_plan plan = {.at = 1, .error = EIO};
	uint32_t passed = 0, refused = 0;
	struct sluice_wal_io *io;
	struct sluice_wal *wal;
	int ret;

	(void)state;
	make_history(history, &seed);
	name_points(history, history->n - 6, true);
	do {
		ret = wal_fixture_open_faulty(fixture, &wal, &io, &plan);
		plan.at++;
		if (ret) {
			assert_int_equal(ret, -EIO);
			refused++;
			continue;
		}
		sluice_wal_position(wal, &position);
		assert_int_equal(position.next_cmd_seq, history->world.cmd_seq);
		if (fault_io_fired(io)) {
			assert_int_equal(position.snapshot, history->n - 5);
			assert_non_null(strstr(sluice_wal_snapshot_text(wal), "cannot be read"));
			passed++;
		} else {
			assert_int_equal(position.snapshot, history->n - 4);
		}
		ret = fault_io_fired(io) > 0;
		assert_int_equal(sluice_wal_close(wal, false, NULL), 0);
	} while (ret);
	assert_true(passed >= 2 && refused > 40);
	release_history(history);
	free(history);
}

/* What replay delivers begins at the base, also a second time, and changes are noticed. */
static void test_wal_recover_base__reports_taken_never_fall_behind_a_snapshot(void **state)
{
	struct wal_world world;
	struct sluice_wal_position position;
	struct wal_world_state back;
	uint64_t named;

	(void)state;
	wal_world_make(&world, 6);
	wal_world_go_on(&world);
	wal_world_block(&world, 500);
	/* the superblock is the only one to say that everything was taken */
	wal_world_snapshot(&world);
	named = world.live.sink.report_next;
	wal_world_close(&world, false);
	assert_int_equal(wal_world_recover(&world, &back, &position), 0);
	wal_world_state_release(&back);
	assert_int_equal(position.reports_taken, named);
	assert_int_equal(position.start_report, named);
	assert_true(named > 500);
	wal_world_start(&world);
	wal_world_block(&world, 10);
	wal_world_close(&world, true);
	assert_int_equal(wal_world_recover(&world, &back, &position), 0);
	wal_world_state_release(&back);
	assert_int_equal(position.reports_taken, named);
	wal_world_remove(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_wal_recover_base__a_snapshot_anywhere_and_the_rest_give_the_whole),
		cmocka_unit_test(test_wal_recover_base__a_bad_one_is_passed_over_for_the_older),
		cmocka_unit_test(
			test_wal_recover_base__a_state_that_does_not_come_out_is_passed_over),
		cmocka_unit_test(
			test_wal_recover_base__the_way_from_the_older_leads_through_the_newest),
		cmocka_unit_test(
			test_wal_recover_base__files_older_than_the_superblock_are_refused),
		cmocka_unit_test(test_wal_recover_base__a_torn_tail_right_at_the_base_is_cut),
		cmocka_unit_test(test_wal_recover_base__an_unreadable_snapshot_is_passed_over),
		cmocka_unit_test(test_wal_recover_base__reports_taken_never_fall_behind_a_snapshot),
	};

	return cmocka_run_group_tests_name("wal_recover_base", tests, NULL, NULL);
}
