/* SPDX-License-Identifier: MIT */
/*
 * test_wal_look.c - a log looked at: every copy of the superblock with what is wrong with it, the
 * snapshots, the end, what lies behind it, and recovery's own words; nothing is written, no lock is
 * needed.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/wal/look.h"
#include "tests/lib/wal_fixture.h"
#include "tests/lib/wal_life.h"

#define BLOCKS 10u
#define PER_BLOCK 20u

static struct wal_fixture fixture;
static struct sluice_wal_look look;

static int make(void **state)
{
	(void)state;
	wal_fixture_make(&fixture);
	return 0;
}

static int clean_up(void **state)
{
	(void)state;
	wal_fixture_remove(&fixture);
	return 0;
}

static void write_blocks(uint32_t n, bool clean)
{
	struct sluice_wal *wal = wal_fixture_start(&fixture);

	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(wal_fixture_block(wal, PER_BLOCK), 0);
	assert_int_equal(wal_fixture_settle(wal), 0);
	assert_int_equal(sluice_wal_close(wal, clean, &fixture.diag), 0);
}

static void take_look(void)
{
	const uint32_t before = wal_fixture_digest(&fixture);

	assert_int_equal(sluice_wal_look(fixture.dir, &look, &fixture.diag), 0);
	assert_int_equal(wal_fixture_digest(&fixture), before);
}

/* What sluice_wal_open says of it: 0, or its error and text. */
static int open_says(char text[1024])
{
	struct sluice_wal *wal;
	int ret = wal_fixture_open(&fixture, &wal);

	snprintf(text, 1024, "%s", ret ? fixture.diag.text : "");
	if (!ret)
		sluice_wal_close(wal, false, NULL);
	return ret;
}

static void test_wal_look__whole_log(void **state)
{
	(void)state;
	write_blocks(BLOCKS, true);
	take_look();
	assert_int_equal(look.refusal, 0);
	assert_true(look.has_super && look.has_end);
	assert_int_equal(look.report.verdict, SLUICE_WAL_INTACT);
	assert_int_equal(look.report.block_seq, BLOCKS + 2);
	assert_int_equal(look.next_cmd_seq, BLOCKS * PER_BLOCK);
	assert_int_equal(look.live_bytes, (BLOCKS + 2) * 4096);
	assert_int_equal(look.epoch, 1);
	assert_true(look.closed);
	assert_int_equal(look.base_snapshot, 0);
	assert_int_equal(look.snapshots[0].named.sequence, 0);
	for (uint32_t i = 0; i < SLUICE_WAL_SUPER_COPIES; i++) {
		assert_true(look.copies[i].valid);
		assert_int_equal(look.copies[i].chosen, i == 3); /* sequence 7 */
	}
}

static void test_wal_look__copies_of_the_superblock(void **state)
{
	char text[1024];

	(void)state;
	write_blocks(1, false);
	wal_fixture_flip(&fixture, SLUICE_WAL_FILE_SUPER, 0, 0);
	wal_fixture_flip(&fixture, SLUICE_WAL_FILE_SUPER, 4096 + 300, 0);
	take_look();
	assert_int_equal(look.refusal, 0);
	assert_string_equal(look.copies[0].fault.what, "magic");
	assert_string_equal(look.copies[1].fault.what, "super_crc");
	assert_true(look.copies[3].chosen);
	wal_fixture_flip(&fixture, SLUICE_WAL_FILE_SUPER, 2 * 4096 + 300, 0);
	wal_fixture_flip(&fixture, SLUICE_WAL_FILE_SUPER, 3 * 4096 + 300, 0);
	take_look();
	assert_int_equal(look.refusal, -EBADMSG);
	assert_false(look.has_super || look.has_end);
	assert_int_equal(open_says(text), -EBADMSG);
	assert_string_equal(look.text, text);
}

static void test_wal_look__a_copy_in_the_wrong_place(void **state)
{
	unsigned char page[4096];

	(void)state;
	wal_fixture_peek(&fixture, SLUICE_WAL_FILE_SUPER, 4096, page, sizeof(page));
	wal_fixture_poke(&fixture, SLUICE_WAL_FILE_SUPER, 8192, page, sizeof(page));
	take_look();
	assert_false(look.copies[2].valid);
	assert_int_equal(look.copies[2].fault.expected, 1);
	assert_int_equal(look.copies[2].fault.found, 2);
}

static void test_wal_look__damage_in_recoverys_words(void **state)
{
	char text[1024];

	(void)state;
	write_blocks(BLOCKS, false);
	for (uint32_t block = 1; block < BLOCKS; block += 3) {
		wal_fixture_flip(&fixture, 0, block * 4096ull + 200, 0);
		take_look();
		assert_int_equal(open_says(text), look.refusal);
		assert_int_equal(look.refusal, -EBADMSG);
		assert_string_equal(look.text, text);
		assert_true(look.has_end);
		assert_int_equal(look.report.verdict, SLUICE_WAL_DAMAGED);
		assert_int_equal(look.report.block_seq, block);
		assert_int_equal(look.behind.newer, BLOCKS - block);
		assert_int_equal(look.behind.newer_first_seq, block + 1);
		assert_int_equal(look.behind.newer_last_seq, BLOCKS);
		wal_fixture_flip(&fixture, 0, block * 4096ull + 200, 0);
	}
}

static void test_wal_look__a_torn_tail_and_what_was_cut_before(void **state)
{
	(void)state;
	write_blocks(BLOCKS, false);
	wal_fixture_flip(&fixture, 0, (BLOCKS - 1) * 4096ull + 200, 0);
	wal_fixture_flip(&fixture, 0, BLOCKS * 4096ull + 200, 0);
	take_look();
	assert_int_equal(look.refusal, 0);
	assert_int_equal(look.report.verdict, SLUICE_WAL_TORN);
	assert_int_equal(look.report.block_seq, BLOCKS - 1);
	/* whole again, behind the OPEN of a later epoch: a tail that was cut */
	write_blocks(0, false);
	wal_fixture_flip(&fixture, 0, BLOCKS * 4096ull + 200, 0);
	take_look();
	assert_int_equal(look.refusal, 0);
	assert_int_equal(look.report.verdict, SLUICE_WAL_INTACT);
	assert_int_equal(look.behind.older_epochs, 1);
	assert_int_equal(look.behind.newer, 0);
}

static void test_wal_look__missing_files(void **state)
{
	char path[320], text[1024];

	(void)state;
	write_blocks(1, false);
	wal_fixture_path(&fixture, 7, path);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(sluice_wal_look(fixture.dir, &look, &fixture.diag), 0);
	assert_int_equal(look.refusal, -EBADMSG);
	assert_true(look.copies[3].valid);
	assert_int_equal(open_says(text), -EBADMSG);
	assert_string_equal(look.text, text);
	wal_fixture_path(&fixture, SLUICE_WAL_FILE_SUPER, path);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(sluice_wal_look(fixture.dir, &look, &fixture.diag), -ENOENT);
}

static void test_wal_look__beside_an_owner(void **state)
{
	struct sluice_wal *wal;

	(void)state;
	wal = wal_fixture_start(&fixture);
	for (uint32_t i = 1; i <= BLOCKS; i++) {
		assert_int_equal(wal_fixture_block(wal, PER_BLOCK), 0);
		assert_int_equal(wal_fixture_settle(wal), 0);
		take_look();
		assert_int_equal(look.refusal, 0);
		assert_int_equal(look.report.block_seq, i + 1);
	}
	assert_int_equal(sluice_wal_close(wal, false, &fixture.diag), 0);
}

static void test_wal_look__snapshots(void **state)
{
	struct wal_life life = {.wal = NULL};
	struct sluice_wal *wal;
	char text[1024];

	(void)state;
	assert_int_equal(wal_fixture_open(&fixture, &wal), 0);
	wal_life_snapshots(&life, wal, fixture.dir, PER_BLOCK);
	take_look();
	assert_int_equal(look.refusal, 0);
	assert_int_equal(look.snapshots[0].named.sequence, 2);
	assert_int_equal(look.snapshots[1].named.sequence, 1);
	assert_true(look.snapshots[0].whole && look.snapshots[1].whole);
	assert_int_equal(look.base_snapshot, 2);
	assert_int_equal(look.report.commands, PER_BLOCK);
	wal_fixture_flip(&fixture, SLUICE_WAL_FILE_SNAPSHOT, 5000, 0);
	take_look();
	assert_int_equal(look.base_snapshot, 1);
	assert_false(look.snapshots[0].whole);
	assert_non_null(strstr(look.snapshots[0].text, "snap-0 offset 4096"));
	assert_int_equal(look.report.commands, 2 * PER_BLOCK);
	wal_fixture_flip(&fixture, SLUICE_WAL_FILE_SNAPSHOT + 1, 5000, 0);
	assert_int_equal(wal_life_close(&life, false), 0);
	take_look();
	assert_int_equal(look.refusal, -EBADMSG);
	assert_true(look.has_super);
	assert_false(look.has_end);
	assert_int_equal(open_says(text), -EBADMSG);
	assert_string_equal(look.text, text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_wal_look__whole_log, make, clean_up),
		cmocka_unit_test_setup_teardown(test_wal_look__copies_of_the_superblock, make,
						clean_up),
		cmocka_unit_test_setup_teardown(test_wal_look__a_copy_in_the_wrong_place, make,
						clean_up),
		cmocka_unit_test_setup_teardown(test_wal_look__damage_in_recoverys_words, make,
						clean_up),
		cmocka_unit_test_setup_teardown(
			test_wal_look__a_torn_tail_and_what_was_cut_before, make, clean_up),
		cmocka_unit_test_setup_teardown(test_wal_look__missing_files, make, clean_up),
		cmocka_unit_test_setup_teardown(test_wal_look__beside_an_owner, make, clean_up),
		cmocka_unit_test_setup_teardown(test_wal_look__snapshots, make, clean_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
