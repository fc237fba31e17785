/* SPDX-License-Identifier: MIT */
/*
 * test_wal_flip.c - offers of snapshots: which are refused, what the superblock says of the others,
 * and where the log begins then.
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

#include "shm/crc32c.h"
#include "tests/lib/mem_io.h"
#include "tests/unit/wal/flip_stage.h"

static void test_wal_flip__the_older_snapshot_becomes_the_start(void **state)
{
	struct flip_stage *stage = *state;
	struct sluice_wal *wal = stage->life.wal;
	const struct sluice_wal_super before = wal->super;
	const uint64_t live = sluice_wal_live_bytes(wal);

	assert_int_equal(sluice_wal_snapshot_named(wal), 1);
	assert_int_equal(before.start.block_seq, 0); /* with one named it stays */
	assert_memory_equal(&before.snapshot[1].place, &stage->places[1], sizeof(before.start));
	assert_int_equal(wal_life_name(&stage->life, 2), 0);
	assert_int_equal(sluice_wal_snapshot_named(wal), 2);
	assert_memory_equal(&wal->super.start, &stage->places[1], sizeof(before.start));
	assert_memory_equal(&wal->super.snapshot[0].place, &stage->places[2], sizeof(before.start));
	assert_memory_equal(&wal->super.snapshot[1], &before.snapshot[1],
			    sizeof(before.snapshot[1]));
	assert_int_equal(wal->super.sequence, before.sequence + 2); /* written twice */
	assert_int_equal(sluice_wal_live_bytes(wal), live - stage->places[1].offset);
	assert_int_equal(sluice_wal_offer(wal, 2, NULL), -EALREADY);
	flip_write_blocks(&stage->life, 1);
	flip_recovers(stage, 2, stage->life.cmd_seq);
}

static uint32_t snapshot_file(uint64_t sequence)
{
	return SLUICE_WAL_FILE_SNAPSHOT + (uint32_t)(sequence % SLUICE_WAL_SNAPSHOTS);
}

static void load_header(struct flip_stage *stage, uint64_t sequence,
			struct sluice_snapshot_header *ret_header)
{
	wal_fixture_peek(&stage->fixture, snapshot_file(sequence), 0, ret_header,
			 sizeof(*ret_header));
}

static void store_header(struct flip_stage *stage, uint64_t sequence,
			 struct sluice_snapshot_header *header)
{
	header->header_crc = sluice_snapshot_header_checksum(header);
	wal_fixture_poke(&stage->fixture, snapshot_file(sequence), 0, header, sizeof(*header));
}

static uint32_t super_digest(struct flip_stage *stage)
{
	static unsigned char bytes[SLUICE_WAL_SUPER_COPIES * SLUICE_WAL_ALIGN];

	wal_fixture_peek(&stage->fixture, SLUICE_WAL_FILE_SUPER, 0, bytes, sizeof(bytes));
	return sluice_crc32c(0, bytes, sizeof(bytes));
}

/* The offer is refused, and nothing in memory or in the superblock's file is another. */
static void refused(struct flip_stage *stage, uint64_t sequence, int error, const char *text)
{
	const uint32_t digest = super_digest(stage);
	const struct sluice_wal_super before = stage->life.wal->super;
	const struct fault_plan none = {.at = 0};
	struct sluice_diag diag = {"", ""};
	int ret;

	fault_io_plan(stage->io, &none);
	ret = sluice_wal_offer(stage->life.wal, sequence, &diag);
	if (ret != error || !strstr(diag.text, text))
		printf("  offer of %llu: %d, \"%s\"; wanted %d, \"%s\"\n",
		       (unsigned long long)sequence, ret, diag.text, error, text);
	assert_int_equal(ret, error);
	assert_non_null(strstr(diag.text, text));
	assert_int_equal(sluice_wal_error(stage->life.wal), 0);
	assert_int_equal(fault_io_submits(stage->io), 0);
	assert_memory_equal(&stage->life.wal->super, &before, sizeof(before));
	assert_int_equal(stage->life.wal->chain.segment_end,
			 before.start.segment_no + SLUICE_WAL_SEGMENTS);
	assert_int_equal(super_digest(stage), digest);
}

static void test_wal_flip__older_and_missing_numbers_are_refused(void **state)
{
	struct flip_stage *stage = *state;

	refused(stage, 0, -EALREADY, "");
	refused(stage, 1, -EALREADY, "");
	refused(stage, 3, -EBADMSG, "sequence"); /* its file holds number 1 */
	refused(stage, 4, -EBADMSG, "sequence"); /* and this one's number 2 */
	refused(stage, UINT64_MAX, -EBADMSG, "sequence");
}

#define ROW(field, delta, text)                                                                    \
	{                                                                                          \
		offsetof(struct sluice_snapshot_header, field),                                    \
			sizeof(((struct sluice_snapshot_header *)0)->field), delta, text           \
	}

static void test_wal_flip__a_place_that_the_log_does_not_have_is_refused(void **state)
{
	static const struct {
		size_t offset, bytes;
		uint64_t delta;
		const char *text;
	} rows[] = {
		ROW(log_uuid[3], 1, "log_uuid"),
		ROW(version, 1, "version"),
		ROW(semantics, 1, "semantics"),
		ROW(limits.orders_max, 1, "limits"),
		ROW(bytes, 4096, "bytes"),
		ROW(chain_hash, 1, "state"),
		ROW(place.block_seq, 1, "block_seq"),
		ROW(place.block_seq, UINT64_MAX, "block_seq"),
		ROW(place.block_seq, 1000, "durable"),
		ROW(place.block_seq, 1ull << 63, "durable"),
		ROW(place.segment_no, 1, "magic"),
		ROW(place.segment_no, SLUICE_WAL_SEGMENTS, "segment_no"),
		ROW(place.segment_no, SLUICE_WAL_SEGMENTS + 1, "segment of a snapshot"),
		ROW(place.segment_no, UINT64_MAX, "start_segment_no"),
		ROW(place.offset, 4096, "magic"),
		ROW(place.offset, UINT64_MAX - 8191, "block_seq"),
		ROW(place.offset, 512, "start_offset"),
		ROW(place.offset, 1ull << 40, "start_offset"),
		ROW(place.prev_link, 1, "prev_link"),
		ROW(place.cmd_seq, 1, "first_cmd_seq"),
		ROW(place.cmd_seq, UINT64_MAX, "first_cmd_seq"),
		ROW(place.report, 1, "first report"),
		ROW(place.report, UINT64_MAX, "first report"),
		ROW(place.durable_seq, 5, "durable_seq"),
		ROW(place.reports_taken, 1ull << 40, "reports_taken"),
		ROW(place.epoch, 1, "epoch"),
		ROW(place.epoch, UINT64_MAX, "epoch"),
		ROW(place.md, 1ull << 63, ""),
	};
	struct flip_stage *stage = *state;
	struct sluice_snapshot_header good;

	load_header(stage, 2, &good);
	for (size_t i = 0; i + 1 < LENGTH(rows); i++) {
		struct sluice_snapshot_header bad = good;
		uint64_t value = 0;

		memcpy(&value, (unsigned char *)&bad + rows[i].offset, rows[i].bytes);
		value += rows[i].delta;
		memcpy((unsigned char *)&bad + rows[i].offset, &value, rows[i].bytes);
		store_header(stage, 2, &bad);
		refused(stage, 2, -EBADMSG, rows[i].text);
	}
	store_header(stage, 2, &good);
}

static void test_wal_flip__a_place_that_is_named_already_is_refused(void **state)
{
	struct flip_stage *stage = *state;
	struct sluice_snapshot_header good, bad;

	load_header(stage, 2, &good);
	bad = good;
	bad.place = stage->places[1];
	store_header(stage, 2, &bad);
	refused(stage, 2, -EBADMSG, "not after block");
	store_header(stage, 2, &good);
}

/* Number 4 in number 2's file leaves the log's start at number 1: the superblock would be valid. */
static void test_wal_flip__a_place_before_the_newest_ones_is_refused(void **state)
{
	struct flip_stage *stage = *state;
	struct sluice_snapshot_header header;

	assert_int_equal(wal_life_name(&stage->life, 2), 0);
	load_header(stage, 2, &header);
	header.sequence = 4;
	header.place = stage->places[1];
	store_header(stage, 4, &header);
	refused(stage, 4, -EBADMSG, "not after block");
}

/* The log begins there anyhow. */
static void test_wal_flip__the_first_blocks_place_is_refused(void **state)
{
	struct flip_stage *stage = *state;
	struct sluice_wal_snapshot newest, before;
	struct sluice_wal *wal;

	wal_life_close(&stage->life, false);
	wal_fixture_remove(&stage->fixture);
	wal_life_make(&stage->fixture, SLUICE_WAL_SEGMENT_BYTES_MIN);
	assert_int_equal(wal_fixture_open_faulty(&stage->fixture, &wal, &stage->io, NULL), 0);
	assert_int_equal(wal_life_recover(&stage->life, wal), 0);
	flip_save(stage, 1);
	assert_int_equal(stage->places[1].block_seq, 0);
	assert_int_equal(wal_life_start(&stage->life), 0);
	flip_write_blocks(&stage->life, 3);
	wal_life_take_reports(&stage->life);
	refused(stage, 1, -EBADMSG, "not after block 0");
	memset(&newest, 0xa5, sizeof(newest));
	before = newest;
	assert_false(sluice_wal_snapshot_newest(wal, &newest));
	assert_memory_equal(&newest, &before, sizeof(newest));
	flip_save(stage, 1);
	assert_int_equal(wal_life_name(&stage->life, 1), 0);
	assert_true(sluice_wal_snapshot_newest(wal, &newest));
	assert_int_equal(newest.sequence, 1);
	assert_memory_equal(&newest.place, &stage->places[1], sizeof(newest.place));
}

static void test_wal_flip__a_rotten_header_is_refused(void **state)
{
	struct flip_stage *stage = *state;

	for (uint32_t at = 0; at < sizeof(struct sluice_snapshot_header); at += 3) {
		wal_fixture_flip(&stage->fixture, snapshot_file(2), at, at % 8);
		refused(stage, 2, -EBADMSG, "snap-0");
		wal_fixture_flip(&stage->fixture, snapshot_file(2), at, at % 8);
	}
}

static void test_wal_flip__a_file_that_cannot_be_read_harms_nothing(void **state)
{
	struct fault_plan plan = {.at = 1, .error = EIO};
	struct flip_stage *stage = *state;

	for (plan.at = 1; plan.at <= 2; plan.at++) { /* the header, the block at its place */
		fault_io_plan(stage->io, &plan);
		assert_int_equal(sluice_wal_offer(stage->life.wal, 2, NULL), -EBADMSG);
		assert_int_equal(fault_io_fired(stage->io), 1);
		assert_int_equal(sluice_wal_error(stage->life.wal), 0);
	}
}

static void test_wal_flip__reports_must_be_taken_first(void **state)
{
	struct flip_stage *stage = *state;

	flip_write_blocks(&stage->life, 1);
	flip_save(stage, 2); /* of reports that nobody took yet */
	flip_write_blocks(&stage->life, 1);
	refused(stage, 2, -EAGAIN, "still to be taken");
	sluice_wal_reports_taken(stage->life.wal, stage->places[2].report - 1);
	refused(stage, 2, -EAGAIN, "still to be taken");
	sluice_wal_reports_taken(stage->life.wal, stage->places[2].report);
	assert_int_equal(wal_life_name(&stage->life, 2), 0);
	assert_int_equal(sluice_wal_snapshot_named(stage->life.wal), 2);
}

static void test_wal_flip__only_what_is_durable_can_be_named(void **state)
{
	struct flip_stage *stage = *state;
	struct wal_life *life = &stage->life;
	const uint64_t first = life->wal->chain.block_seq;

	fault_io_hold(stage->io, true);
	assert_int_equal(wal_life_block(life, 5), 5);
	assert_int_equal(wal_life_save(life, life->wal->io, 2), 0); /* of the block's end */
	wal_life_take_reports(life);
	refused(stage, 2, -EBADMSG, "only the blocks below");
	assert_int_equal(wal_life_block(life, 5), 5);
	refused(stage, 2, -EBADMSG, "only the blocks below");
	fault_io_release(stage->io, first);
	assert_int_equal(sluice_wal_poll(life->wal), 1);
	/* its end is where a block is in flight: known from memory */
	assert_int_equal(sluice_wal_offer(life->wal, 2, NULL), 0);
	fault_io_hold(stage->io, false);
	assert_int_equal(wal_life_settle(life), 0);
	assert_int_equal(sluice_wal_snapshot_named(life->wal), 2);
	flip_recovers(stage, 2, life->cmd_seq);
}

/* The disk does not have the block yet, where the snapshot goes on. */
static void test_wal_flip__a_block_in_flight_is_known_from_memory(void **state)
{
	struct flip_stage *stage = *state;
	struct mem_disk disk;
	const uint64_t cmd_seq = stage->life.cmd_seq;
	struct sluice_wal *wal;
	struct wal_life life;

	wal_life_close(&stage->life, false);
	mem_disk_load(&disk, stage->fixture.dir);
	assert_int_equal(
		sluice_wal_open_io(&wal, mem_disk_io(&disk), &stage->fixture.options, NULL), 0);
	assert_int_equal(wal_life_recover(&life, wal), 0);
	assert_int_equal(wal_life_start(&life), 0);
	assert_int_equal(wal_life_save(&life, wal->io, 2), 0);
	wal_life_take_reports(&life);
	assert_int_equal(wal_life_block(&life, 5), 5);
	assert_int_equal(sluice_wal_offer(wal, 2, &life.diag), 0);
	assert_int_equal(wal_life_settle(&life), 0);
	assert_int_equal(sluice_wal_snapshot_named(wal), 2);
	assert_int_equal(wal_life_close(&life, false), 0);
	mem_disk_release(&disk);
	flip_recovers(stage, 1, cmd_seq);
}

static void test_wal_flip__the_logs_very_end_can_be_named(void **state)
{
	struct flip_stage *stage = *state;
	struct sluice_snapshot_header header;

	flip_save(stage, 2);
	load_header(stage, 2, &header);
	header.place.durable_seq--;
	store_header(stage, 2, &header);
	refused(stage, 2, -EBADMSG, "not of the log's end");
	header.place.durable_seq++;
	store_header(stage, 2, &header);
	assert_int_equal(wal_life_name(&stage->life, 2), 0);
	flip_recovers(stage, 2, stage->life.cmd_seq);
}

/* Nothing of it is on the disk yet: what its header will say is known. */
static void test_wal_flip__a_block_being_filled_must_continue_it(void **state)
{
	struct flip_stage *stage = *state;
	struct wal_life *life = &stage->life;
	struct sluice_snapshot_header header;
	struct sluice_command *record;
	uint32_t room;

	flip_save(stage, 2);
	record = sluice_wal_reserve(life->wal, sluice_core_chain_hash(life->core),
				    life->sink.report_next, &room);
	assert_non_null(record);
	wal_life_command(life->cmd_seq, record);
	sluice_core_apply(life->core, record, life->cmd_seq++, &life->sink);
	sluice_wal_append(life->wal, 1);
	wal_life_take_reports(life);
	load_header(stage, 2, &header);
	header.chain_hash++;
	store_header(stage, 2, &header);
	refused(stage, 2, -EBADMSG, "not of the log's end");
	header.chain_hash--;
	header.place.report++;
	store_header(stage, 2, &header);
	refused(stage, 2, -EBADMSG, "not of the log's end");
	header.place.report--;
	store_header(stage, 2, &header);
	assert_int_equal(wal_life_name(life, 2), 0);
	assert_int_equal(sluice_wal_submit(life->wal), 0);
	assert_int_equal(wal_life_settle(life), 0);
	flip_recovers(stage, 2, life->cmd_seq);
}

/* A newest snapshot that rotted is passed over: the next one goes into its file. */
static void test_wal_flip__a_rotten_newest_one_is_the_one_to_be_replaced(void **state)
{
	struct flip_stage *stage = *state;
	struct sluice_wal_super *super;

	assert_int_equal(wal_life_name(&stage->life, 2), 0);
	wal_fixture_flip(&stage->fixture, snapshot_file(2), 5000, 1);
	flip_recovers(stage, 1, stage->life.cmd_seq);
	assert_int_equal(wal_life_start(&stage->life), 0);
	flip_save(stage, 2); /* into the file of number 4 */
	assert_int_equal(wal_life_save(&stage->life, stage->life.wal->io, 4), 0);
	wal_life_take_reports(&stage->life);
	assert_int_equal(wal_life_name(&stage->life, 4), 0);
	super = &stage->life.wal->super;
	assert_int_equal(super->snapshot[0].sequence, 4);
	assert_int_equal(super->snapshot[1].sequence, 1);
	assert_memory_equal(&super->start, &stage->places[1], sizeof(super->start));
	flip_write_blocks(&stage->life, 1);
	flip_recovers(stage, 4, stage->life.cmd_seq);
}

#define with_stage(test) cmocka_unit_test_setup_teardown(test, flip_setup, flip_teardown)

int main(void)
{
	const struct CMUnitTest refusals[] = {
		cmocka_unit_test(test_wal_flip__older_and_missing_numbers_are_refused),
		cmocka_unit_test(test_wal_flip__a_place_that_the_log_does_not_have_is_refused),
		cmocka_unit_test(test_wal_flip__a_place_that_is_named_already_is_refused),
		cmocka_unit_test(test_wal_flip__a_rotten_header_is_refused),
		cmocka_unit_test(test_wal_flip__a_file_that_cannot_be_read_harms_nothing),
		/* last: after all of these it is as good as before */
		cmocka_unit_test(test_wal_flip__the_older_snapshot_becomes_the_start),
	};
	const struct CMUnitTest others[] = {
		with_stage(test_wal_flip__reports_must_be_taken_first),
		with_stage(test_wal_flip__only_what_is_durable_can_be_named),
		with_stage(test_wal_flip__a_block_in_flight_is_known_from_memory),
		with_stage(test_wal_flip__the_logs_very_end_can_be_named),
		with_stage(test_wal_flip__a_block_being_filled_must_continue_it),
		with_stage(test_wal_flip__a_place_before_the_newest_ones_is_refused),
		with_stage(test_wal_flip__the_first_blocks_place_is_refused),
		with_stage(test_wal_flip__a_rotten_newest_one_is_the_one_to_be_replaced),
	};
	const int failed = cmocka_run_group_tests_name("wal_flip_refusals", refusals, flip_setup,
						       flip_teardown);

	return failed + cmocka_run_group_tests_name("wal_flip", others, NULL, NULL);
}
