/* SPDX-License-Identifier: MIT */
/*
 * test_wal_judge.c - torn or damaged: every byte of a middle block's header, its payload, moved and
 * foreign blocks, a missing clean end. Each verdict is asked twice, of recovery and of the reader,
 * and the reader must have left every byte as it was.
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

#include "engine/wal/reader.h"
#include "shm/crc32c.h"
#include "tests/lib/wal_fixture.h"

#define BLOCKS 8u /* OPEN and seven of ten commands */

struct log {
	struct wal_fixture fixture;
	struct wal_fixture_block_place places[64];
};

static int setup_end(void **state, bool seal, bool clean)
{
	struct log *log = malloc(sizeof(*log));
	struct sluice_wal *wal;

	wal_fixture_make(&log->fixture);
	wal = wal_fixture_start(&log->fixture);
	for (uint32_t i = 1; i < BLOCKS; i++) {
		assert_int_equal(wal_fixture_block(wal, 10), 0);
		assert_int_equal(wal_fixture_settle(wal), 0);
	}
	if (seal)
		assert_int_equal(sluice_wal_seal(wal), 0);
	assert_int_equal(sluice_wal_close(wal, clean, NULL), 0);
	assert_int_equal(wal_fixture_list(&log->fixture, log->places, 64),
			 BLOCKS + (seal ? 1 : 0) + (clean ? 1 : 0));
	wal_fixture_save(&log->fixture, 1);
	*state = log;
	return 0;
}

static int setup(void **state)
{
	return setup_end(state, false, false);
}

static int setup_sealed(void **state)
{
	return setup_end(state, true, false);
}

static int setup_closed(void **state)
{
	return setup_end(state, false, true);
}

static int teardown(void **state)
{
	struct log *log = *state;

	wal_fixture_remove(&log->fixture);
	free(log);
	return 0;
}

static void read_verdict(struct wal_fixture *fixture, struct sluice_wal_report *ret_report)
{
	const struct sluice_wal_block_header *header;
	const struct sluice_command *commands;
	struct sluice_wal_reader *reader = NULL;
	uint32_t segment_no;
	uint64_t offset;

	assert_int_equal(sluice_wal_reader_open(&reader, fixture->dir, &fixture->diag), 0);
	while (sluice_wal_reader_next(reader, &header, &commands, &segment_no, &offset) == 1)
		;
	assert_int_equal(sluice_wal_reader_verdict(reader, ret_report), 0);
	sluice_wal_reader_close(reader);
}

/* Refused by both, with file, offset and block of the first block that is not valid. */
static void expect_damaged(struct log *log, uint64_t block_seq, uint64_t witness)
{
	struct wal_fixture *fixture = &log->fixture;
	uint32_t digest = wal_fixture_digest(fixture);
	struct sluice_wal_report report;
	struct sluice_wal *wal = NULL;
	char want[64];

	snprintf(want, sizeof(want), "wal-00 offset %llu: block %llu ",
		 (unsigned long long)log->places[block_seq].offset, (unsigned long long)block_seq);
	assert_int_equal(wal_fixture_open(fixture, &wal), -EBADMSG);
	assert_non_null(strstr(fixture->diag.text, want));
	read_verdict(fixture, &report);
	assert_int_equal(report.verdict, SLUICE_WAL_DAMAGED);
	assert_int_equal(report.block_seq, block_seq);
	assert_int_equal(report.offset, log->places[block_seq].offset);
	assert_string_equal(report.file, "wal-00");
	assert_int_equal(report.blocks, block_seq);
	assert_non_null(strstr(report.text, want));
	if (witness)
		assert_int_equal(report.witness_block_seq, witness);
	assert_int_equal(wal_fixture_digest(fixture), digest);
}

static void expect_torn(struct log *log, uint64_t block_seq)
{
	struct wal_fixture *fixture = &log->fixture;
	uint32_t digest = wal_fixture_digest(fixture);
	struct sluice_wal_position position;
	struct sluice_wal_report report;

	assert_int_equal(wal_fixture_count(fixture, &position), (block_seq - 1) * 10);
	assert_int_equal(position.torn, 1);
	assert_int_equal(position.torn_block_seq, block_seq);
	read_verdict(fixture, &report);
	assert_int_equal(report.verdict, SLUICE_WAL_TORN);
	assert_int_equal(report.block_seq, block_seq);
	assert_int_equal(wal_fixture_digest(fixture), digest);
}

static void test_wal_judge__an_untouched_log_is_intact(void **state)
{
	struct log *log = *state;
	struct sluice_wal_report report;

	read_verdict(&log->fixture, &report);
	assert_int_equal(report.verdict, SLUICE_WAL_INTACT);
	assert_int_equal(report.blocks, BLOCKS);
	assert_int_equal(report.commands, 70);
	assert_int_equal(wal_fixture_count(&log->fixture, NULL), 70);
}

static void test_wal_judge__any_flipped_header_byte_in_the_middle_is_damage(void **state)
{
	struct log *log = *state;

	for (uint32_t byte = 0; byte < sizeof(struct sluice_wal_block_header); byte++) {
		uint64_t offset = log->places[3].offset + byte;

		wal_fixture_flip(&log->fixture, 0, offset, (byte * 5 + 1) % 8);
		expect_damaged(log, 3, 4);
		wal_fixture_restore(&log->fixture);
	}
}

static void test_wal_judge__any_flipped_flag_is_damage(void **state)
{
	struct log *log = *state;

	for (uint32_t bit = 0; bit < 16; bit++) {
		wal_fixture_flip(&log->fixture, 0, log->places[3].offset + 6 + bit / 8, bit % 8);
		expect_damaged(log, 3, 4);
		wal_fixture_restore(&log->fixture);
	}
}

static void test_wal_judge__a_flipped_payload_or_padding_bit_is_damage(void **state)
{
	static const uint32_t at[] = {128, 129, 500, 128 + 10 * 120 - 1, 128 + 10 * 120, 4095};
	struct log *log = *state;

	for (uint32_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		wal_fixture_flip(&log->fixture, 0, log->places[3].offset + at[i], i % 8);
		expect_damaged(log, 3, 4);
		wal_fixture_restore(&log->fixture);
	}
}

static void test_wal_judge__rot_of_the_first_block_is_damage(void **state)
{
	struct log *log = *state;

	wal_fixture_flip(&log->fixture, 0, 40, 0);
	expect_damaged(log, 0, 1);
}

static void test_wal_judge__rot_of_the_last_block_needs_an_outside_witness(void **state)
{
	struct log *log = *state;
	struct sluice_wal *wal;

	for (uint32_t byte = 0; byte < 128; byte += 9) {
		wal_fixture_flip(&log->fixture, 0, log->places[7].offset + byte, byte % 8);
		expect_torn(log, 7);
		assert_int_equal(wal_fixture_open(&log->fixture, &wal), 0);
		assert_string_not_equal(sluice_wal_tail_text(wal), "");
		assert_int_equal(sluice_wal_witness(wal, 60, "t.cmd", &log->fixture.diag), 0);
		assert_int_equal(sluice_wal_witness(wal, 61, "t.cmd", &log->fixture.diag),
				 -EBADMSG);
		assert_non_null(strstr(log->fixture.diag.text, "t.cmd"));
		assert_non_null(strstr(log->fixture.diag.text, "wal-00 offset"));
		assert_int_equal(sluice_wal_close(wal, true, NULL), 0);
		wal_fixture_restore(&log->fixture);
	}
}

static void test_wal_judge__a_seal_witnesses_the_last_commands(void **state)
{
	struct log *log = *state;

	wal_fixture_flip(&log->fixture, 0, log->places[7].offset + 600, 2);
	expect_damaged(log, 7, 8);
}

static void test_wal_judge__a_lost_clean_end_is_damage(void **state)
{
	static const unsigned char zeros[4096];
	struct log *log = *state;

	wal_fixture_poke(&log->fixture, 0, log->places[8].offset, zeros, sizeof(zeros));
	expect_damaged(log, 8, 0);
	wal_fixture_poke(&log->fixture, 0, log->places[7].offset, zeros, sizeof(zeros));
	expect_damaged(log, 7, 0);
}

static void copy_block(struct log *log, uint32_t from, uint32_t to)
{
	static unsigned char block[SLUICE_WAL_BLOCK_BYTES_MAX];

	wal_fixture_peek(&log->fixture, 0, log->places[from].offset, block,
			 log->places[from].bytes);
	wal_fixture_poke(&log->fixture, 0, log->places[to].offset, block, log->places[from].bytes);
}

static void test_wal_judge__swapped_blocks_are_damage(void **state)
{
	unsigned char kept[4096];
	struct log *log = *state;

	for (uint32_t i = 1; i + 1 < BLOCKS; i++) {
		wal_fixture_peek(&log->fixture, 0, log->places[i].offset, kept, sizeof(kept));
		copy_block(log, i + 1, i);
		wal_fixture_poke(&log->fixture, 0, log->places[i + 1].offset, kept, sizeof(kept));
		expect_damaged(log, i, 0);
		wal_fixture_restore(&log->fixture);
	}
}

static void test_wal_judge__a_duplicated_block_is_damage(void **state)
{
	struct log *log = *state;

	/* Behind the end, as if it were the next one, and far away. */
	log->places[8] = log->places[7];
	log->places[8].offset += log->places[7].bytes;
	copy_block(log, 5, 8);
	expect_damaged(log, 8, 5);
	wal_fixture_restore(&log->fixture);
	log->places[9] = log->places[7];
	log->places[9].offset = 900 * 1024;
	copy_block(log, 7, 9);
	expect_damaged(log, 8, 7);
}

static void test_wal_judge__a_block_of_another_log_is_damage(void **state)
{
	struct log *log = *state;
	unsigned char block[4096];
	struct sluice_wal *wal;
	struct wal_fixture other;

	wal_fixture_make(&other);
	wal = wal_fixture_start(&other);
	for (uint32_t i = 1; i < BLOCKS + 1; i++) {
		assert_int_equal(wal_fixture_block(wal, 10), 0);
		assert_int_equal(wal_fixture_settle(wal), 0);
	}
	assert_int_equal(sluice_wal_close(wal, false, NULL), 0);
	for (uint32_t i = 2; i < BLOCKS; i += 3) {
		wal_fixture_peek(&other, 0, log->places[i].offset, block, sizeof(block));
		wal_fixture_poke(&log->fixture, 0, log->places[i].offset, block, sizeof(block));
		expect_damaged(log, i, 0);
		wal_fixture_restore(&log->fixture);
	}
	/* Behind the end only in the first place of a file: others may hold what a client wrote. */
	wal_fixture_poke(&log->fixture, 0, log->places[7].offset + 4096, block, sizeof(block));
	assert_int_equal(wal_fixture_count(&log->fixture, NULL), 70);
	wal_fixture_poke(&log->fixture, 0, 0, block, sizeof(block));
	expect_damaged(log, 0, 0);
	wal_fixture_remove(&other);
}

static void test_wal_judge__an_older_copy_of_one_segment_is_damage(void **state)
{
	struct sluice_wal *wal;
	struct log log;

	(void)state;
	wal_fixture_make(&log.fixture);
	wal = wal_fixture_start(&log.fixture);
	assert_int_equal(wal_fixture_block(wal, 10), 0);
	assert_int_equal(wal_fixture_settle(wal), 0);
	wal_fixture_save(&log.fixture, 1);
	for (int i = 0; i < 5; i++)
		assert_int_equal(wal_fixture_block(wal, SLUICE_WAL_RECORDS_MAX), 0);
	assert_int_equal(wal_fixture_settle(wal), 0);
	assert_int_equal(sluice_wal_close(wal, false, NULL), 0);
	assert_int_equal(wal_fixture_list(&log.fixture, log.places, 64), 8);
	wal_fixture_restore(&log.fixture);
	expect_damaged(&log, 2, 0);
	wal_fixture_remove(&log.fixture);
}

/* Writes a block whose checksums are right, whatever it says. */
static void forge(struct log *log, uint32_t block, void (*change)(struct sluice_wal_block_header *))
{
	union {
		struct sluice_wal_block_header header;
		unsigned char bytes[4096];
	} page;

	wal_fixture_peek(&log->fixture, 0, log->places[block].offset, &page, sizeof(page));
	change(&page.header);
	page.header.payload_crc = sluice_crc32c(0, page.bytes + 128, sizeof(page) - 128);
	page.header.header_crc = sluice_wal_header_checksum(&page.header);
	wal_fixture_poke(&log->fixture, 0, log->places[block].offset, &page, sizeof(page));
}

static void huge_count(struct sluice_wal_block_header *header)
{
	header->n_cmds = UINT32_MAX;
	header->payload_bytes = header->n_cmds * SLUICE_WAL_RECORD_BYTES;
}

static void over_the_end(struct sluice_wal_block_header *header)
{
	header->n_cmds = SLUICE_WAL_RECORDS_MAX + 1;
	header->payload_bytes = header->n_cmds * SLUICE_WAL_RECORD_BYTES;
}

static void command_gap(struct sluice_wal_block_header *header)
{
	header->first_cmd_seq++;
}

static void epoch_back(struct sluice_wal_block_header *header)
{
	header->epoch--;
}

static void epoch_without_open(struct sluice_wal_block_header *header)
{
	header->epoch++;
}

static void witness_of_itself(struct sluice_wal_block_header *header)
{
	header->durable_seq = header->block_seq + 1;
}

static void unknown_flag(struct sluice_wal_block_header *header)
{
	header->flags |= 0x20;
}

static void rolled_early(struct sluice_wal_block_header *header)
{
	header->flags |= SLUICE_WAL_ROLL;
}

static void newer_version(struct sluice_wal_block_header *header)
{
	header->version++;
}

static void other_segment(struct sluice_wal_block_header *header)
{
	header->segment_no = SLUICE_WAL_SEGMENTS;
}

static void test_wal_judge__absurd_blocks_with_right_checksums_are_damage(void **state)
{
	void (*const changes[])(struct sluice_wal_block_header *) = {
		huge_count,   over_the_end, command_gap,   epoch_back,	  epoch_without_open,
		unknown_flag, rolled_early, newer_version, other_segment, witness_of_itself,
	};
	struct log *log = *state;

	for (uint32_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		forge(log, 3, changes[i]);
		expect_damaged(log, 3, 0);
		wal_fixture_restore(&log->fixture);
	}
}

static void far_ahead(struct sluice_wal_block_header *header)
{
	header->block_seq = 8 + SLUICE_WAL_WINDOW_MAX;
	header->durable_seq = 8;
	header->epoch = 0;
}

static void just_ahead(struct sluice_wal_block_header *header)
{
	header->block_seq = 8 + SLUICE_WAL_WINDOW_MAX - 1;
	header->durable_seq = 8;
	header->epoch = 0;
}

static void witness_from_the_past(struct sluice_wal_block_header *header)
{
	header->block_seq = 9;
	header->durable_seq = 9;
	header->epoch = 0;
}

static void later_epoch(struct sluice_wal_block_header *header)
{
	header->block_seq = 9;
	header->durable_seq = 8;
	header->epoch = 2;
}

/* One stray block behind an intact end, which only its header's numbers tell from old remains. */
static void test_wal_judge__the_limits_of_what_may_be_left_over(void **state)
{
	static const struct {
		void (*change)(struct sluice_wal_block_header *);
		bool damaged;
	} rows[] = {
		{far_ahead, true},
		{just_ahead, false},
		{witness_from_the_past, true},
		{later_epoch, true},
	};
	struct log *log = *state;

	log->places[8] = log->places[7];
	log->places[8].offset += log->places[7].bytes;
	log->places[9] = log->places[8];
	log->places[9].offset += 4096;
	for (uint32_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sluice_wal_report report;

		copy_block(log, 7, 9);
		forge(log, 9, rows[i].change);
		if (rows[i].damaged) {
			expect_damaged(log, 8, 0);
		} else {
			read_verdict(&log->fixture, &report);
			assert_int_equal(report.verdict, SLUICE_WAL_INTACT);
			assert_int_equal(wal_fixture_count(&log->fixture, NULL), 70);
		}
		wal_fixture_restore(&log->fixture);
	}
}

#define with_log(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_log(test_wal_judge__an_untouched_log_is_intact),
		with_log(test_wal_judge__any_flipped_header_byte_in_the_middle_is_damage),
		with_log(test_wal_judge__any_flipped_flag_is_damage),
		with_log(test_wal_judge__a_flipped_payload_or_padding_bit_is_damage),
		with_log(test_wal_judge__rot_of_the_first_block_is_damage),
		with_log(test_wal_judge__rot_of_the_last_block_needs_an_outside_witness),
		cmocka_unit_test_setup_teardown(test_wal_judge__a_seal_witnesses_the_last_commands,
						setup_sealed, teardown),
		cmocka_unit_test_setup_teardown(test_wal_judge__a_lost_clean_end_is_damage,
						setup_closed, teardown),
		with_log(test_wal_judge__swapped_blocks_are_damage),
		with_log(test_wal_judge__a_duplicated_block_is_damage),
		with_log(test_wal_judge__a_block_of_another_log_is_damage),
		cmocka_unit_test(test_wal_judge__an_older_copy_of_one_segment_is_damage),
		with_log(test_wal_judge__absurd_blocks_with_right_checksums_are_damage),
		with_log(test_wal_judge__the_limits_of_what_may_be_left_over),
	};

	return cmocka_run_group_tests_name("wal_judge", tests, NULL, NULL);
}
