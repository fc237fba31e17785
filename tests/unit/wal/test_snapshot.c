/* SPDX-License-Identifier: MIT */
/*
 * test_snapshot.c - a snapshot's file: comes back as the state it was taken of, or is refused with
 * the place that is wrong, whatever happened to its bytes.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/wal/wal_scan.h"
#include "tests/lib/wal_world.h"

#define SNAP(sequence) (SLUICE_WAL_FILE_SNAPSHOT + (sequence) % 2)
#define CHUNK SLUICE_SNAPSHOT_CHUNK_BYTES
#define COMMANDS 6000u

struct test {
	struct wal_world world;
	struct sluice_wal_io *io;
	struct sluice_wal_super super;
	struct sluice_wal_snapshot snapshot; /* number 1 */
	struct sluice_wal_place place;
	unsigned char *window;
	struct sluice_diag diag;
};

static void execute(struct wal_world *world, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct sluice_command command;

		wal_world_command(world, world->cmd_seq, &command);
		sluice_core_apply(world->live.core, &command, world->cmd_seq++, &world->live.sink);
	}
}

/* The place that the state is at, in a log that nobody wrote. */
static void make_place(struct test *test)
{
	test->place = (struct sluice_wal_place){
		.block_seq = 77,
		.segment_no = 1,
		.offset = 8192,
		.prev_link = 0x1234567890ull,
		.cmd_seq = test->world.cmd_seq,
		.report = test->world.live.sink.report_next,
		.md = test->world.live.sink.md_next,
		.durable_seq = 77,
		.reports_taken = 1,
		.epoch = 3,
		.flags = SLUICE_WAL_DATA,
	};
}

static int setup(void **state)
{
	struct test *test = calloc(1, sizeof(*test));

	wal_world_make(&test->world, 1);
	execute(&test->world, COMMANDS);
	make_place(test);
	test->window = aligned_alloc(SLUICE_WAL_ALIGN, SLUICE_WAL_SCAN_BYTES);
	wal_world_write_snapshot(&test->world, 1, &test->place, &test->snapshot);
	wal_world_super(&test->world, &test->super);
	assert_int_equal(sluice_wal_io_blocking_create(&test->io, test->world.fixture.dir, NULL),
			 0);
	assert_int_equal(test->io->ops->open(test->io, SLUICE_WAL_IO_FOLLOW, NULL), 0);
	*state = test;
	return 0;
}

static int teardown(void **state)
{
	struct test *test = *state;

	test->io->ops->close(test->io);
	wal_world_remove(&test->world);
	free(test->window);
	free(test);
	return 0;
}

static int check(struct test *test, const struct sluice_wal_snapshot *snapshot)
{
	return sluice_snapshot_check(test->io, &test->super, snapshot, test->window, &test->diag);
}

static int restore(struct test *test, const struct sluice_wal_snapshot *snapshot,
		   struct wal_world_state *ret_state)
{
	const struct sluice_core_options *options = &test->world.fixture.options.core;
	int ret;

	memset(ret_state, 0, sizeof(*ret_state));
	ret_state->memory = aligned_alloc(64, (sluice_core_bytes(options) + 63) & ~(size_t)63);
	ret_state->core = sluice_core_init(ret_state->memory, options);
	ret = sluice_snapshot_restore(test->io, &test->super, snapshot, test->window,
				      ret_state->core, &test->diag);
	ret_state->sink.report_next = snapshot->place.report;
	ret_state->sink.md_next = snapshot->place.md;
	return ret;
}

static void expect_same(struct test *test, const struct sluice_wal_snapshot *snapshot)
{
	struct wal_world_state back;

	assert_int_equal(check(test, snapshot), 0);
	assert_int_equal(restore(test, snapshot, &back), 0);
	assert_null(sluice_core_check(back.core));
	assert_true(wal_world_same(&back, &test->world.live));
	wal_world_state_release(&back);
}

/* Refused by check and by restore, with the file's name. */
static void expect_bad(struct test *test, const struct sluice_wal_snapshot *snapshot,
		       const char *what)
{
	struct wal_world_state back;

	test->diag.text[0] = '\0';
	assert_int_equal(check(test, snapshot), -EBADMSG);
	assert_non_null(strstr(test->diag.text, "snap-"));
	if (what)
		assert_non_null(strstr(test->diag.text, what));
	assert_int_equal(restore(test, snapshot, &back), -EBADMSG);
	wal_world_state_release(&back);
}

static void test_snapshot__comes_back_as_it_was(void **state)
{
	struct test *test = *state;
	struct sluice_core_stats stats;
	struct sluice_snapshot_header header;

	sluice_core_stats(test->world.live.core, &stats);
	assert_true(stats.orders_live > 1100); /* more than a chunk, or this shows little */
	assert_true(stats.trades > 100);
	assert_true(test->snapshot.bytes >= 4096 + 2 * CHUNK);
	assert_int_equal(test->snapshot.sequence, 1);
	assert_memory_equal(&test->snapshot.place, &test->place, sizeof(test->place));
	expect_same(test, &test->snapshot);
	assert_int_equal(sluice_snapshot_header_load(test->io, &test->super, 1, test->window,
						     &header, &test->diag),
			 0);
	assert_int_equal(header.bytes, sluice_snapshot_bytes(header.records));
	assert_true(header.state_hash == sluice_core_state_hash(test->world.live.core));
	/* the other file was not touched */
	assert_int_equal(sluice_snapshot_header_load(test->io, &test->super, 2, test->window,
						     &header, &test->diag),
			 -EBADMSG);
	assert_non_null(strstr(test->diag.text, "snap-0 offset 0: snapshot 2 is damaged (magic"));
}

static uint64_t count_records(const struct sluice_core *core)
{
	struct sluice_image_record record;
	struct sluice_image_walk walk;
	uint64_t n = 0;

	sluice_image_begin(&walk, core);
	while (sluice_image_next(&walk, &record))
		n++;
	return n;
}

static void test_snapshot__a_last_chunk_may_be_full_or_hold_one_record(void **state)
{
	struct wal_world *world = &((struct test *)*state)->world;
	bool seen[2048] = {false};
	struct test *test = *state;
	uint32_t n = 0;

	wal_world_remove(world);
	test->io->ops->close(test->io);
	wal_world_make(world, 2);
	assert_int_equal(sluice_wal_io_blocking_create(&test->io, world->fixture.dir, NULL), 0);
	assert_int_equal(test->io->ops->open(test->io, SLUICE_WAL_IO_FOLLOW, NULL), 0);
	wal_world_super(world, &test->super);
	for (uint32_t i = 0; i < COMMANDS && n < 4; i++) {
		uint64_t records = count_records(world->live.core);

		if (records >= 1022 && records <= 1025 && !seen[records]) {
			seen[records] = true;
			n++;
			make_place(test);
			wal_world_write_snapshot(world, 1, &test->place, &test->snapshot);
			assert_int_equal(test->snapshot.bytes,
					 4096 + (records > 1023 ? 2 : 1) * CHUNK);
			expect_same(test, &test->snapshot);
		}
		execute(world, 1);
	}
	assert_int_equal(n, 4);
}

static void test_snapshot__any_flipped_bit_is_found(void **state)
{
	struct test *test = *state;
	struct wal_fixture *fixture = &test->world.fixture;
	uint64_t seed = wal_fixture_seed("flips");
	uint64_t chunks = (test->snapshot.bytes - 4096) / CHUNK;

	for (uint32_t byte = 0; byte < 208; byte++) {
		wal_fixture_flip(fixture, SNAP(1), byte, byte % 8);
		expect_bad(test, &test->snapshot, "snapshot 1");
		wal_fixture_flip(fixture, SNAP(1), byte, byte % 8);
	}
	wal_fixture_flip(fixture, SNAP(1), 4095, 7);
	expect_bad(test, &test->snapshot, "padding");
	wal_fixture_flip(fixture, SNAP(1), 4095, 7);
	for (uint64_t i = 0; i < chunks * 40; i++) {
		uint64_t at = i % 40 < 20 ? i % 40 * 3 : wal_fixture_random(&seed) % CHUNK;
		uint64_t offset = 4096 + i / 40 * CHUNK + at;

		wal_fixture_flip(fixture, SNAP(1), offset, (unsigned int)(i % 8));
		expect_bad(test, &test->snapshot, "of a chunk");
		wal_fixture_flip(fixture, SNAP(1), offset, (unsigned int)(i % 8));
	}
	/* What lies behind means nothing. */
	wal_fixture_flip(fixture, SNAP(1), test->snapshot.bytes, 0);
	expect_same(test, &test->snapshot);
}

static void test_snapshot__parts_of_others_are_no_part(void **state)
{
	struct test *test = *state;
	struct wal_fixture *fixture = &test->world.fixture;
	unsigned char *kept = malloc(3 * CHUNK), *other = malloc(CHUNK);
	struct sluice_snapshot_header good, header;
	struct sluice_wal_snapshot third;

	/* the same state as number 3: only the numbers differ */
	wal_fixture_peek(fixture, SNAP(1), 4096, other, CHUNK);
	wal_world_write_snapshot(&test->world, 3, &test->place, &third);
	wal_fixture_peek(fixture, SNAP(3), 4096, kept, 2 * CHUNK);
	wal_fixture_peek(fixture, SNAP(3), 0, &good, sizeof(good));
	expect_same(test, &third);
	expect_bad(test, &test->snapshot, "sequence");
	wal_fixture_poke(fixture, SNAP(3), 4096, other, CHUNK);
	expect_bad(test, &third, "sequence of a chunk: expected 0x3, found 0x1");
	wal_fixture_poke(fixture, SNAP(3), 4096, kept + CHUNK, CHUNK);
	expect_bad(test, &third, "index of a chunk");
	wal_fixture_poke(fixture, SNAP(3), 4096, kept, CHUNK);
	expect_same(test, &third);
	/* of another writing of the same number: the header knows its chunks */
	wal_world_forge(&test->world, 3, 1, 16, &header);
	wal_fixture_poke(fixture, SNAP(3), 0, &good, sizeof(good));
	expect_bad(test, &third, "(chunks_crc:");
	wal_world_forge(&test->world, 3, 1, 16, &header);
	test->super.log_uuid[3] ^= 1;
	expect_bad(test, &third, "log_uuid");
	free(kept);
	free(other);
}

static void test_snapshot__is_what_the_superblock_says(void **state)
{
	struct test *test = *state;
	struct sluice_wal_snapshot other = test->snapshot;

	other.header_crc ^= 1;
	expect_bad(test, &other, "header_crc in the superblock");
	other = test->snapshot;
	other.place.cmd_seq++;
	expect_bad(test, &other, "place");
	other = test->snapshot;
	other.bytes += CHUNK;
	expect_bad(test, &other, "bytes in the superblock");
	other = test->snapshot;
	other.state_hash ^= 4;
	expect_bad(test, &other, "state_hash in the superblock");
	other = test->snapshot;
	other.sequence = 3;
	expect_bad(test, &other, "sequence");
}

/* The superblock's entry, to a header with whatever it says. */
static void name(struct test *test, const struct sluice_snapshot_header *header)
{
	test->snapshot.header_crc = header->header_crc;
	test->snapshot.place = header->place;
	test->snapshot.bytes = header->bytes;
	test->snapshot.state_hash = header->state_hash;
}

static void forge_header(struct test *test, struct sluice_snapshot_header *header)
{
	header->header_crc = sluice_snapshot_header_checksum(header);
	wal_fixture_poke(&test->world.fixture, SNAP(1), 0, header, sizeof(*header));
	name(test, header);
}

static void test_snapshot__an_absurd_header_with_a_right_checksum_is_refused(void **state)
{
	struct test *test = *state;
	struct sluice_snapshot_header good, header;

	wal_fixture_peek(&test->world.fixture, SNAP(1), 0, &good, sizeof(good));
	for (uint32_t i = 0; i < 10; i++) {
		static const char *const what[] = {
			"magic",  "version", "semantics", "log_uuid", "sequence",
			"limits", "records", "records",	  "bytes:",   "bytes within"};

		header = good;
		header.magic += i == 0;
		header.version += i == 1;
		header.semantics += i == 2;
		header.log_uuid[15] = (uint8_t)(header.log_uuid[15] + (i == 3));
		header.sequence += i == 4 ? 2 : 0;
		header.limits.levels_max += i == 5;
		if (i == 6)
			header.records = UINT64_MAX;
		if (i == 7)
			header.records = 0;
		header.bytes += i == 8 ? CHUNK : 0;
		if (i == 9)
			test->super.snapshot_file_bytes = header.bytes - CHUNK;
		forge_header(test, &header);
		expect_bad(test, &test->snapshot, what[i]);
	}
}

/* Check sees bytes, restore sees the state as well. */
static void test_snapshot__a_state_that_is_another_is_not_restored(void **state)
{
	struct test *test = *state;
	struct sluice_snapshot_header good, header;
	struct wal_world_state back;

	wal_fixture_peek(&test->world.fixture, SNAP(1), 0, &good, sizeof(good));
	for (uint64_t record = 0; record < good.records; record += 97)
		/* the last word of the first record is a mere figure */
		for (uint32_t byte = 0; byte < (record ? 64 : 56); byte += 7) {
			wal_world_forge(&test->world, 1, record, byte, &header);
			name(test, &header);
			assert_int_equal(check(test, &test->snapshot), 0);
			assert_int_equal(restore(test, &test->snapshot, &back), -EBADMSG);
			assert_non_null(strstr(test->diag.text, "snap-1"));
			wal_world_state_release(&back);
			wal_world_forge(&test->world, 1, record, byte, &header);
		}
	name(test, &header);
	expect_same(test, &test->snapshot);
	for (uint32_t i = 0; i < 5; i++) {
		header = good;
		header.state_hash += i == 0;
		header.chain_hash += i == 1;
		header.place.cmd_seq -= i == 2;
		header.place.report += i == 3;
		header.place.md += i == 4;
		forge_header(test, &header);
		assert_int_equal(restore(test, &test->snapshot, &back), -EBADMSG);
		wal_world_state_release(&back);
	}
}

static void test_snapshot__is_written_in_portions_and_never_beyond_its_file(void **state)
{
	struct sluice_snapshot_writer long_one;
	struct test *test = *state;
	uint64_t chunks = (test->snapshot.bytes - 4096) / CHUNK;

	for (uint32_t portion = 1; portion <= chunks + 1; portion++) {
		struct sluice_snapshot_writer writer;
		struct sluice_wal_snapshot snapshot = {.sequence = 0};
		uint64_t steps = 1;

		assert_int_equal(sluice_snapshot_begin(&writer, test->io, &test->super, 2,
						       test->world.live.core, &test->place),
				 0);
		while (sluice_snapshot_step(&writer, portion, &snapshot) == 1) {
			assert_int_equal(snapshot.sequence, 0);
			steps++;
		}
		assert_int_equal(steps, (chunks + portion - 1) / portion);
		sluice_snapshot_end(&writer);
		expect_same(test, &snapshot);
	}
	test->super.snapshot_file_bytes = test->snapshot.bytes - CHUNK;
	assert_int_equal(sluice_snapshot_begin(&long_one, test->io, &test->super, 2,
					       test->world.live.core, &test->place),
			 0);
	assert_int_equal(sluice_snapshot_step(&long_one, 1000, &test->snapshot), -EFBIG);
	sluice_snapshot_end(&long_one);
}

/* Number 3 over number 1, given up after each chunk: 1 is gone, 2 stays, 3 is not there. */
static void test_snapshot__a_half_written_one_costs_only_the_one_before_the_last(void **state)
{
	struct test *test = *state;
	uint64_t chunks = (test->snapshot.bytes - 4096) / CHUNK;
	struct sluice_wal_snapshot second, third;

	wal_world_write_snapshot(&test->world, 2, &test->place, &second);
	for (uint32_t n = 0; n < chunks; n++) {
		struct sluice_snapshot_writer writer;
		struct sluice_snapshot_header header;

		assert_int_equal(sluice_snapshot_begin(&writer, test->io, &test->super, 3,
						       test->world.live.core, &test->place),
				 0);
		if (n > 0)
			assert_int_equal(sluice_snapshot_step(&writer, n, &third), 1);
		sluice_snapshot_end(&writer);
		if (n > 0)
			expect_bad(test, &test->snapshot, "of a chunk");
		else
			expect_same(test, &test->snapshot);
		expect_same(test, &second);
		assert_int_equal(sluice_snapshot_header_load(test->io, &test->super, 3,
							     test->window, &header, &test->diag),
				 -EBADMSG);
	}
}

static void test_snapshot__every_error_of_the_disk_is_an_error(void **state)
{
	struct test *test = *state;
	struct fault_plan plan = {.at = 1, .error = EIO};
	struct sluice_wal_io *disk, *faulty;
	int ret;

	assert_int_equal(sluice_wal_io_blocking_create(&disk, test->world.fixture.dir, NULL), 0);
	assert_int_equal(fault_io_create(&faulty, disk), 0);
	assert_int_equal(faulty->ops->open(faulty, SLUICE_WAL_IO_FOLLOW, NULL), 0);
	do {
		struct sluice_snapshot_writer writer;
		struct sluice_wal_snapshot snapshot = {.sequence = 0};

		fault_io_plan(faulty, &plan);
		assert_int_equal(sluice_snapshot_begin(&writer, faulty, &test->super, 2,
						       test->world.live.core, &test->place),
				 0);
		while ((ret = sluice_snapshot_step(&writer, 1, &snapshot)) == 1)
			;
		sluice_snapshot_end(&writer);
		assert_int_equal(ret, fault_io_fired(faulty) ? -EIO : 0);
		assert_int_equal(snapshot.sequence, ret ? 0 : 2);
		plan.at++;
	} while (ret);
	/* chunks, header, sync */
	assert_int_equal(plan.at - 2, (test->snapshot.bytes - 4096) / CHUNK + 2);
	plan.at = 1;
	do {
		fault_io_plan(faulty, &plan);
		ret = sluice_snapshot_check(faulty, &test->super, &test->snapshot, test->window,
					    &test->diag);
		assert_int_equal(ret, fault_io_fired(faulty) ? -EIO : 0);
		if (ret)
			assert_non_null(strstr(test->diag.text, "snap-1"));
		plan.at++;
	} while (ret);
	assert_int_equal(plan.at, 4);
	faulty->ops->close(faulty);
}

static void test_snapshot__newest_and_older_go_by_number(void **state)
{
	struct sluice_wal_super super = {.magic = 0};

	(void)state;
	assert_null(sluice_snapshot_newest(&super));
	assert_null(sluice_snapshot_older(&super));
	super.snapshot[1].sequence = 1;
	assert_ptr_equal(sluice_snapshot_newest(&super), &super.snapshot[1]);
	assert_null(sluice_snapshot_older(&super));
	super.snapshot[0].sequence = 2;
	assert_ptr_equal(sluice_snapshot_newest(&super), &super.snapshot[0]);
	assert_ptr_equal(sluice_snapshot_older(&super), &super.snapshot[1]);
	super.snapshot[1].sequence = 3;
	assert_ptr_equal(sluice_snapshot_newest(&super), &super.snapshot[1]);
	assert_ptr_equal(sluice_snapshot_older(&super), &super.snapshot[0]);
}

#define with_snapshot(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_snapshot(test_snapshot__comes_back_as_it_was),
		with_snapshot(test_snapshot__a_last_chunk_may_be_full_or_hold_one_record),
		with_snapshot(test_snapshot__any_flipped_bit_is_found),
		with_snapshot(test_snapshot__parts_of_others_are_no_part),
		with_snapshot(test_snapshot__is_what_the_superblock_says),
		with_snapshot(test_snapshot__an_absurd_header_with_a_right_checksum_is_refused),
		with_snapshot(test_snapshot__a_state_that_is_another_is_not_restored),
		with_snapshot(test_snapshot__is_written_in_portions_and_never_beyond_its_file),
		with_snapshot(test_snapshot__a_half_written_one_costs_only_the_one_before_the_last),
		with_snapshot(test_snapshot__every_error_of_the_disk_is_an_error),
		cmocka_unit_test(test_snapshot__newest_and_older_go_by_number),
	};

	return cmocka_run_group_tests_name("snapshot", tests, NULL, NULL);
}
