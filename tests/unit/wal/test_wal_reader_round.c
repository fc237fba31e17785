/* SPDX-License-Identifier: MIT */
/*
 * test_wal_reader_round.c - a reader beside a log that goes round: it reads on while it can, says
 * that it was left behind when it cannot, and never takes what the engine overwrites for damage.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/wal/reader.h"
#include "shm/clock.h"
#include "tests/lib/wal_world.h"

#define PATIENCE_NS 20000000000ull
#define SNAP(sequence) (SLUICE_WAL_FILE_SNAPSHOT + (sequence) % 2)

static int setup(void **state)
{
	struct wal_world *world = malloc(sizeof(*world));

	wal_world_make(world, 31);
	wal_world_go_on(world);
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	wal_world_remove(*state);
	free(*state);
	return 0;
}

static struct sluice_wal_reader *open_reader(struct wal_world *world)
{
	struct sluice_wal_reader *reader = NULL;

	assert_int_equal(sluice_wal_reader_open(&reader, world->fixture.dir, &world->fixture.diag),
			 0);
	return reader;
}

/* Reads up to `max` blocks; the last answer of next, and how many blocks in *ret_n. */
static int read_blocks(struct sluice_wal_reader *reader, uint64_t max, uint64_t *ret_n)
{
	const struct sluice_wal_block_header *header;
	const struct sluice_command *commands;
	uint32_t segment_no;
	uint64_t offset;
	int ret = 1;

	*ret_n = 0;
	while (*ret_n < max && (ret = sluice_wal_reader_next(reader, &header, &commands,
							     &segment_no, &offset)) == 1)
		(*ret_n)++;
	return ret;
}

static void test_wal_reader_round__is_told_that_it_was_left_behind(void **state)
{
	struct sluice_wal_reader *early, *late;
	struct sluice_wal_report report;
	struct wal_world *world = *state;
	uint64_t n;

	wal_world_fill(world, 6, 2);
	early = open_reader(world);
	late = open_reader(world);
	assert_int_equal(read_blocks(early, 9, &n), 1);
	assert_int_equal(read_blocks(late, 1000, &n), 0);
	assert_int_equal(n, 4 * 8);   /* the log starts at segment 2 */
	wal_world_fill(world, 12, 2); /* at 8 now: nothing is overwritten yet */
	assert_int_equal(read_blocks(early, 50, &n), 1);
	assert_int_equal(n, 50);
	assert_int_equal(read_blocks(late, 1000, &n), 0);
	assert_int_equal(n, 6 * 8);
	assert_int_equal(sluice_wal_reader_verdict(late, &report), 0);
	assert_int_equal(report.verdict, SLUICE_WAL_INTACT);
	wal_world_fill(world, 30, 2);
	assert_int_equal(read_blocks(early, 1000, &n), -ESTALE);
	assert_true(n < 8);
	assert_int_equal(read_blocks(late, 1000, &n), -ESTALE);
	assert_int_equal(sluice_wal_reader_verdict(late, &report), -ESTALE);
	sluice_wal_reader_close(early);
	early = open_reader(world);
	assert_int_equal(read_blocks(early, 1000, &n), 0);
	assert_int_equal(sluice_wal_reader_verdict(early, &report), 0);
	assert_int_equal(report.verdict, SLUICE_WAL_INTACT);
	sluice_wal_reader_close(early);
	sluice_wal_reader_close(late);
}

/* The live range as the reader first saw it ends; the superblock has moved it. */
static void test_wal_reader_round__reads_on_past_the_range_that_it_opened_with(void **state)
{
	struct wal_world *world = *state;
	struct sluice_wal_reader *reader;
	struct sluice_wal_report report;
	uint64_t n, blocks = 0;

	wal_world_fill(world, 2, 1);
	wal_world_fill(world, 5, 0);
	reader = open_reader(world);
	for (uint64_t segment_no = 6; segment_no < 40; segment_no += 5) {
		wal_world_fill(world, segment_no, 2);
		assert_int_equal(read_blocks(reader, 1000, &n), 0);
		blocks += n;
		assert_int_equal(sluice_wal_reader_verdict(reader, &report), 0);
		assert_int_equal(report.verdict, SLUICE_WAL_INTACT);
		assert_int_equal(report.segment_no, segment_no);
	}
	assert_true(blocks > 36 * 8);
	sluice_wal_reader_close(reader);
}

static void make_room(struct sluice_sink *sink)
{
	sink->report_limit = sink->report_next + WAL_WORLD_REPORTS;
	sink->md_limit = UINT64_MAX;
}

/* Restores and replays; the first block delivered, UINT64_MAX if it cannot be restored. */
static uint64_t replay(struct wal_world *world, struct sluice_wal_reader *reader)
{
	const struct sluice_core_options *options = &world->fixture.options.core;
	void *memory = aligned_alloc(64, (sluice_core_bytes(options) + 63) & ~(size_t)63);
	struct sluice_report reports[WAL_WORLD_REPORTS];
	const struct sluice_wal_block_header *header;
	const struct sluice_command *commands;
	uint64_t offset, first = UINT64_MAX;
	struct sluice_core_stats stats;
	struct sluice_core *core;
	uint32_t segment_no;
	int ret = sluice_wal_reader_restore(reader, memory, &core, &world->fixture.diag);

	if (ret) {
		assert_int_equal(ret, -EBADMSG);
		free(memory);
		return UINT64_MAX;
	}
	sluice_core_stats(core, &stats);

	struct sluice_sink sink = {.reports = reports,
				   .report_mask = WAL_WORLD_REPORTS - 1,
				   .report_next = stats.reports + 1,
				   .md_next = stats.md_events + 1,
				   .make_room = make_room};

	make_room(&sink);
	while (sluice_wal_reader_next(reader, &header, &commands, &segment_no, &offset) == 1) {
		first = first == UINT64_MAX ? header->block_seq : first;
		if (header->flags & SLUICE_WAL_DATA) {
			assert_true(header->state_hash == sluice_core_chain_hash(core));
			assert_true(header->report_first == sink.report_next);
		}
		sluice_core_apply_batch(core, commands, header->n_cmds, header->first_cmd_seq,
					&sink);
	}
	assert_true(sluice_core_state_hash(core) == sluice_core_state_hash(world->live.core));
	free(memory);
	return first;
}

static void test_wal_reader_round__restores_the_state_where_next_begins(void **state)
{
	struct wal_world *world = *state;
	struct sluice_wal_reader *reader;
	struct sluice_wal_super super;

	wal_world_eighth(world);
	for (uint32_t named = 0; named < 5; named++) {
		reader = open_reader(world);
		wal_world_super(world, &super);
		assert_int_equal(replay(world, reader), super.start.block_seq);
		assert_true((super.start.block_seq > 0) == (named >= 2));
		sluice_wal_reader_close(reader);
		wal_world_snapshot(world);
		wal_world_block(world, 200);
	}
	/* the older is being written over: from the newest */
	wal_world_super(world, &super);
	wal_fixture_flip(&world->fixture, SNAP(4), 4096 + 999, 0);
	reader = open_reader(world);
	assert_int_equal(replay(world, reader), super.snapshot[1].place.block_seq);
	sluice_wal_reader_close(reader);
	/* none is left */
	wal_fixture_flip(&world->fixture, SNAP(5), 4096 + 999, 0);
	reader = open_reader(world);
	assert_true(replay(world, reader) == UINT64_MAX);
	assert_non_null(strstr(world->fixture.diag.text, "snap-1"));
	/* until there are others: the reader looks for them */
	wal_world_snapshot(world);
	wal_world_block(world, 10);
	wal_world_super(world, &super);
	assert_int_equal(replay(world, reader), super.snapshot[0].place.block_seq);
	sluice_wal_reader_close(reader);
}

/* A disk that lets something happen before its n-th read. */
struct hook_io {
	struct sluice_wal_io io;
	struct sluice_wal_io *inner;
	uint64_t reads;
	uint64_t at;
	void (*happen)(struct wal_world *world);
	struct wal_world *world;
};

static int hook_open(struct sluice_wal_io *io, enum sluice_wal_io_mode mode,
		     struct sluice_diag *diag)
{
	struct hook_io *hook = (struct hook_io *)io;

	return hook->inner->ops->open(hook->inner, mode, diag);
}

static int hook_size(struct sluice_wal_io *io, uint32_t file, uint64_t *ret_bytes)
{
	struct hook_io *hook = (struct hook_io *)io;

	return hook->inner->ops->size(hook->inner, file, ret_bytes);
}

static int hook_read(struct sluice_wal_io *io, uint32_t file, uint64_t offset, void *data,
		     size_t bytes)
{
	struct hook_io *hook = (struct hook_io *)io;

	if (++hook->reads == hook->at)
		hook->happen(hook->world);
	return hook->inner->ops->read(hook->inner, file, offset, data, bytes);
}

static void hook_close(struct sluice_wal_io *io)
{
	struct hook_io *hook = (struct hook_io *)io;

	hook->inner->ops->close(hook->inner);
	free(hook);
}

static const struct sluice_wal_io_ops hook_ops = {
	.open = hook_open, .size = hook_size, .read = hook_read, .close = hook_close};

static struct hook_io *hook_reader(struct wal_world *world, struct sluice_wal_reader **ret_reader)
{
	struct hook_io *hook = calloc(1, sizeof(*hook));

	hook->io.ops = &hook_ops;
	hook->world = world;
	assert_int_equal(sluice_wal_io_blocking_create(&hook->inner, world->fixture.dir, NULL), 0);
	assert_int_equal(sluice_wal_reader_open_io(ret_reader, &hook->io, NULL), 0);
	return hook;
}

static void a_block(struct wal_world *world)
{
	wal_world_eighth(world);
}

static uint64_t segment_of(const struct wal_world *world)
{
	struct sluice_wal_place place;

	wal_world_place(world, &place);
	return place.segment_no;
}

static void some_segments(struct wal_world *world)
{
	wal_world_fill(world, segment_of(world) + 4, 2);
}

static void a_round(struct wal_world *world)
{
	wal_world_fill(world, segment_of(world) + 19, 2);
}

/* Whatever happens between any two reads of a verdict, it is not damage. */
static void test_wal_reader_round__nothing_that_happens_meanwhile_is_damage(void **state)
{
	static void (*const events[])(struct wal_world *) = {a_block, some_segments, a_round};
	struct wal_world *world = *state;
	uint32_t stale = 0, written = 0;

	wal_world_fill(world, 20, 2);
	for (uint32_t event = 0; event < 3; event++)
		for (uint64_t at = 1; at < 24; at += at < 4 ? 1 : 4 + 2 * event) {
			struct sluice_wal_reader *reader;
			struct sluice_wal_report report = {.verdict = SLUICE_WAL_DAMAGED};
			struct hook_io *hook = hook_reader(world, &reader);
			uint64_t n;
			int ret;

			assert_int_equal(read_blocks(reader, 10000, &n), 0);
			hook->happen = events[event];
			hook->at = hook->reads + at;
			ret = sluice_wal_reader_verdict(reader, &report);
			if (ret == 0 && report.verdict == SLUICE_WAL_DAMAGED)
				print_message("%s\n", report.text);
			assert_true(ret == -ESTALE ||
				    (ret == 0 && report.verdict != SLUICE_WAL_DAMAGED));
			stale += ret == -ESTALE;
			written += ret == 0 && strstr(report.text, "being written");
			sluice_wal_reader_close(reader);
		}
	assert_true(stale >= 1 && written >= 1);
}

static void go_round_for_ever(struct wal_world *world)
{
	uint64_t seed = 5;

	for (;;) {
		wal_world_fill(world, segment_of(world) + 2, 0);
		wal_world_snapshot(world);
		wal_world_block(world, 1 + (uint32_t)(wal_fixture_random(&seed) % 200));
		wal_world_eighth(world);
	}
}

static void test_wal_reader_round__never_sees_damage_in_a_log_that_goes_round(void **state)
{
	const uint64_t end_ns = sluice_clock_ns() + PATIENCE_NS;
	struct wal_world *world = *state;
	uint32_t looks = 0, stale = 0;
	uint64_t start_segment = 0;
	int status = 0;
	pid_t pid;

	wal_world_close(world, false);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		wal_world_start(world);
		go_round_for_ever(world);
	}
	while ((start_segment < 40 || looks < 30) && sluice_clock_ns() < end_ns) {
		struct sluice_wal_reader *reader = open_reader(world);
		struct sluice_wal_report report = {.verdict = SLUICE_WAL_INTACT};
		uint64_t n;
		int ret;

		start_segment = sluice_wal_reader_super(reader)->start.segment_no;
		ret = read_blocks(reader, 10000, &n);
		if (ret == 0)
			ret = sluice_wal_reader_verdict(reader, &report);
		if (report.verdict == SLUICE_WAL_DAMAGED)
			print_message("%s\n", report.text);
		assert_true(ret == 0 || ret == -ESTALE || ret == -EAGAIN);
		assert_int_not_equal(report.verdict, SLUICE_WAL_DAMAGED);
		stale += ret != 0;
		looks++;
		sluice_wal_reader_close(reader);
	}
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	print_message("looks=%u stale=%u start_segment=%llu\n", looks, stale,
		      (unsigned long long)start_segment);
	assert_true(looks > 5 && start_segment > 16);
	wal_world_start(world);
}

#define with_log(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_log(test_wal_reader_round__is_told_that_it_was_left_behind),
		with_log(test_wal_reader_round__reads_on_past_the_range_that_it_opened_with),
		with_log(test_wal_reader_round__restores_the_state_where_next_begins),
		with_log(test_wal_reader_round__nothing_that_happens_meanwhile_is_damage),
		with_log(test_wal_reader_round__never_sees_damage_in_a_log_that_goes_round),
	};

	return cmocka_run_group_tests_name("wal_reader_round", tests, NULL, NULL);
}
