/* SPDX-License-Identifier: MIT */
/*
 * test_wal_super.c - the choice among four copies: any one is enough, contradictions are refused.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/wal/reader.h"
#include "engine/wal/wal_super.h"
#include "tests/lib/wal_fixture.h"

#define SUPER SLUICE_WAL_FILE_SUPER

/* Three lives, so that the copies differ: sequences 4, 5, 6 and 3. */
static int setup(void **state)
{
	struct wal_fixture *fixture = malloc(sizeof(*fixture));

	wal_fixture_make(fixture);
	for (int i = 0; i < 3; i++) {
		struct sluice_wal *wal = wal_fixture_start(fixture);

		assert_int_equal(wal_fixture_block(wal, 5), 0);
		assert_int_equal(sluice_wal_close(wal, false, NULL), 0);
	}
	wal_fixture_save(fixture, 0);
	*state = fixture;
	return 0;
}

static void read_copy(struct wal_fixture *fixture, uint32_t copy,
		      struct sluice_wal_super *ret_super)
{
	wal_fixture_peek(fixture, SUPER, copy * 4096, ret_super, sizeof(*ret_super));
}

static void write_copy(struct wal_fixture *fixture, uint32_t copy, struct sluice_wal_super *super)
{
	super->super_crc = sluice_wal_super_checksum(super);
	wal_fixture_poke(fixture, SUPER, copy * 4096, super, sizeof(*super));
}

static int reader_says(struct wal_fixture *fixture)
{
	struct sluice_wal_reader *reader = NULL;
	int ret = sluice_wal_reader_open(&reader, fixture->dir, NULL);

	sluice_wal_reader_close(reader);
	return ret;
}

static void test_wal_super__sequence_q_is_in_copy_q_mod_4(void **state)
{
	static const uint64_t want[] = {8, 9, 6, 7}; /* each start writes two */
	struct sluice_wal_super copies[4];

	for (uint32_t i = 0; i < 4; i++) {
		read_copy(*state, i, &copies[i]);
		assert_int_equal(copies[i].sequence, want[i]);
	}
	assert_int_equal(copies[0].parent_crc, copies[3].super_crc);
	assert_int_equal(copies[1].parent_crc, copies[0].super_crc);
	assert_int_equal(copies[2].epoch, 2);
	assert_int_equal(copies[3].epoch, 2);
	assert_int_equal(copies[0].epoch, 3);
	assert_int_equal(copies[1].epoch, 3);
}

static void test_wal_super__one_to_three_rotten_copies_cost_nothing(void **state)
{
	struct wal_fixture *fixture = *state;

	for (uint32_t mask = 0; mask < 15; mask++) {
		struct sluice_wal_position position;

		for (uint32_t i = 0; i < 4; i++)
			if (mask & 1u << i)
				wal_fixture_flip(fixture, SUPER, i * 4096 + 48 + i, mask % 8);
		assert_int_equal(wal_fixture_count(fixture, &position), 15);
		/* Even an old copy must not make the next start reuse an epoch of the log. */
		assert_int_equal(position.epoch, 3);
		assert_int_equal(reader_says(fixture), 0);
		wal_fixture_restore(fixture);
	}
}

static void test_wal_super__four_rotten_copies_are_refused(void **state)
{
	struct wal_fixture *fixture = *state;

	for (uint32_t i = 0; i < 4; i++)
		wal_fixture_flip(fixture, SUPER, i * 4096 + 20 * i, 1);
	assert_int_equal(wal_fixture_count(fixture, NULL), -EBADMSG);
	assert_non_null(strstr(fixture->diag.text, "super: none of the 4 copies"));
	assert_int_equal(reader_says(fixture), -EBADMSG);
}

static void test_wal_super__two_copies_of_one_sequence_that_differ_are_refused(void **state)
{
	struct wal_fixture *fixture = *state;
	struct sluice_wal_super super;

	read_copy(fixture, 1, &super);
	super.epoch++;
	write_copy(fixture, 0, &super);
	assert_int_equal(wal_fixture_count(fixture, NULL), -EBADMSG);
	assert_non_null(strstr(fixture->diag.text, "sequence 9 and differ"));
	assert_int_equal(reader_says(fixture), -EBADMSG);
}

static void test_wal_super__a_broken_parent_chain_is_refused(void **state)
{
	struct wal_fixture *fixture = *state;
	struct sluice_wal_super super;

	read_copy(fixture, 0, &super);
	super.epoch = 7;
	write_copy(fixture, 0, &super);
	assert_int_equal(wal_fixture_count(fixture, NULL), -EBADMSG);
	assert_non_null(strstr(fixture->diag.text, "does not continue"));
}

static void test_wal_super__a_copy_of_another_log_is_refused(void **state)
{
	struct wal_fixture *fixture = *state;
	struct sluice_wal_super super;

	read_copy(fixture, 3, &super);
	super.log_uuid[0] ^= 1;
	super.sequence = 3;
	write_copy(fixture, 3, &super);
	assert_int_equal(wal_fixture_count(fixture, NULL), -EBADMSG);
	assert_non_null(strstr(fixture->diag.text, "different logs"));
}

static void test_wal_super__a_lone_copy_in_the_wrong_place_is_refused(void **state)
{
	static unsigned char zeros[4096];
	struct wal_fixture *fixture = *state;
	struct sluice_wal_super super;

	read_copy(fixture, 2, &super);
	for (uint32_t i = 0; i < 4; i++)
		wal_fixture_poke(fixture, SUPER, i * 4096, zeros, sizeof(zeros));
	write_copy(fixture, 1, &super);
	assert_int_equal(wal_fixture_count(fixture, NULL), -EBADMSG);
	assert_non_null(strstr(fixture->diag.text, "wrong place"));
}

/* Ignored, it would have a successor of the same number, and the log two histories. */
static void test_wal_super__a_newer_copy_in_the_wrong_place_is_refused(void **state)
{
	struct wal_fixture *fixture = *state;
	struct sluice_wal_super super, newest;

	read_copy(fixture, 1, &newest);
	super = newest;
	sluice_wal_super_seal(&super, &newest); /* sequence 10 */
	write_copy(fixture, 3, &super);
	assert_int_equal(wal_fixture_count(fixture, NULL), -EBADMSG);
	assert_non_null(strstr(fixture->diag.text, "wrong place (3)"));
	assert_int_equal(reader_says(fixture), -EBADMSG);
	/* an older one says nothing */
	wal_fixture_restore(fixture);
	read_copy(fixture, 2, &super);
	write_copy(fixture, 3, &super);
	assert_int_equal(wal_fixture_count(fixture, NULL), 15);
}

static void every_copy(struct wal_fixture *fixture, bool version)
{
	struct sluice_wal_super super, parent;

	for (uint32_t sequence = 6; sequence <= 9; sequence++) {
		read_copy(fixture, sequence % 4, &super);
		if (version)
			super.version++;
		else
			super.semantics++;
		if (sequence > 6)
			super.parent_crc = parent.super_crc;
		write_copy(fixture, sequence % 4, &super);
		parent = super;
	}
}

static void test_wal_super__another_version_or_other_rules_are_not_damage(void **state)
{
	struct wal_fixture *fixture = *state;

	every_copy(fixture, true);
	assert_int_equal(wal_fixture_count(fixture, NULL), -EPROTO);
	assert_non_null(strstr(fixture->diag.text, "version 2"));
	assert_int_equal(reader_says(fixture), -EPROTO);
	wal_fixture_restore(fixture);
	every_copy(fixture, false);
	assert_int_equal(wal_fixture_count(fixture, NULL), -EPROTO);
	assert_non_null(strstr(fixture->diag.text, "matching rules"));
}

static void test_wal_super__both_newest_copies_rotten_never_bring_an_epoch_back(void **state)
{
	struct wal_fixture *fixture = *state;
	struct sluice_wal_position position;
	struct sluice_wal *wal;

	wal_fixture_flip(fixture, SUPER, 100, 0);
	wal_fixture_flip(fixture, SUPER, 4096 + 100, 0);
	wal = wal_fixture_start(fixture);
	assert_int_equal(wal_fixture_block(wal, 5), 0);
	assert_int_equal(sluice_wal_close(wal, true, NULL), 0);
	assert_int_equal(wal_fixture_count(fixture, &position), 20);
	assert_int_equal(position.epoch, 4);
	assert_int_equal(position.closed, 1);
}

/* The mark of a clean end is in the copies before the two that a later start wrote. */
static void test_wal_super__a_mark_of_an_earlier_end_is_no_clean_end(void **state)
{
	struct wal_fixture *fixture = *state;
	struct sluice_wal_position position;
	struct sluice_wal *wal = wal_fixture_start(fixture);
	struct sluice_wal_super super;
	uint64_t newest = 0;

	assert_int_equal(sluice_wal_close(wal, true, NULL), 0);
	wal = wal_fixture_start(fixture);
	assert_int_equal(wal_fixture_block(wal, 5), 0);
	assert_int_equal(sluice_wal_close(wal, false, NULL), 0);
	for (uint32_t i = 0; i < 4; i++) {
		read_copy(fixture, i, &super);
		if (super.sequence > newest)
			newest = super.sequence;
	}
	wal_fixture_flip(fixture, SUPER, newest % 4 * 4096 + 100, 0);
	wal_fixture_flip(fixture, SUPER, (newest - 1) % 4 * 4096 + 100, 0);
	read_copy(fixture, (newest - 2) % 4, &super);
	assert_true(super.close_block_seq > 0);
	assert_int_equal(wal_fixture_count(fixture, &position), 20);
	assert_int_equal(position.closed, 0);
	assert_true(position.next_block_seq > super.close_block_seq + 1);
}

/* Those that say of a number what the caller was told, and name no later one. */
static void test_wal_super__counts_the_copies_that_name_a_snapshot(void **state)
{
	static unsigned char area[4 * 4096];
	struct sluice_wal_snapshot newest = {.sequence = 2, .bytes = 4096, .state_hash = 77};
	struct sluice_wal_super super, other;

	read_copy(*state, 1, &super);
	newest.place = super.start;
	super.snapshot[0] = newest;
	for (uint32_t i = 0; i < 4; i++) {
		super.super_crc = sluice_wal_super_checksum(&super);
		sluice_wal_super_page(&super, area + i * 4096);
	}
	assert_int_equal(sluice_wal_super_naming(area, &newest), 4);
	other = super;
	other.snapshot[0].state_hash++; /* the same number, another snapshot */
	other.super_crc = sluice_wal_super_checksum(&other);
	sluice_wal_super_page(&other, area);
	assert_int_equal(sluice_wal_super_naming(area, &newest), 3);
	assert_int_equal(sluice_wal_super_naming(area, &other.snapshot[0]), 1);
	other = super;
	other.snapshot[1] = newest;
	other.snapshot[1].sequence = 3;
	other.super_crc = sluice_wal_super_checksum(&other);
	sluice_wal_super_page(&other, area + 4096);
	assert_int_equal(sluice_wal_super_naming(area, &newest), 2);
	area[2 * 4096 + 100] ^= 1;
	assert_int_equal(sluice_wal_super_naming(area, &newest), 1);
}

#define with_log(test) cmocka_unit_test_setup_teardown(test, setup, wal_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_log(test_wal_super__sequence_q_is_in_copy_q_mod_4),
		with_log(test_wal_super__one_to_three_rotten_copies_cost_nothing),
		with_log(test_wal_super__four_rotten_copies_are_refused),
		with_log(test_wal_super__two_copies_of_one_sequence_that_differ_are_refused),
		with_log(test_wal_super__a_broken_parent_chain_is_refused),
		with_log(test_wal_super__a_copy_of_another_log_is_refused),
		with_log(test_wal_super__a_lone_copy_in_the_wrong_place_is_refused),
		with_log(test_wal_super__a_newer_copy_in_the_wrong_place_is_refused),
		with_log(test_wal_super__another_version_or_other_rules_are_not_damage),
		with_log(test_wal_super__both_newest_copies_rotten_never_bring_an_epoch_back),
		with_log(test_wal_super__a_mark_of_an_earlier_end_is_no_clean_end),
		with_log(test_wal_super__counts_the_copies_that_name_a_snapshot),
	};

	return cmocka_run_group_tests_name("wal_super", tests, NULL, NULL);
}
