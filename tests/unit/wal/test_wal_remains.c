/* SPDX-License-Identifier: MIT */
/*
 * test_wal_remains.c - what lies behind the end of a log, and may only be met when the log has come
 * to it: a directory that is accepted, run and closed opens again. So remains that would be refused
 * later are refused at once, and what a client may have written is never taken for a header.
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

#include "engine/wal/truncate.h"
#include "shm/crc32c.h"
#include "tests/lib/wal_fixture.h"
#include "tests/lib/wal_world.h"

#define PAGE 4096u
#define BLOCKS 4u     /* OPEN and three of ten commands, a page each */
#define TWO_PAGES 40u /* commands */

union page {
	struct sluice_wal_block_header header;
	unsigned char bytes[PAGE];
};

static int setup(void **state)
{
	struct wal_fixture *fixture = malloc(sizeof(*fixture));
	struct sluice_wal *wal;

	wal_fixture_make(fixture);
	wal = wal_fixture_start(fixture);
	for (uint32_t i = 1; i < BLOCKS; i++) {
		assert_int_equal(wal_fixture_block(wal, 10), 0);
		assert_int_equal(wal_fixture_settle(wal), 0);
	}
	assert_int_equal(sluice_wal_close(wal, false, NULL), 0);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	wal_fixture_remove(*state);
	free(*state);
	return 0;
}

static void expect_refused(struct wal_fixture *fixture, const char *text)
{
	struct sluice_wal *wal = NULL;

	assert_int_equal(wal_fixture_open(fixture, &wal), -EBADMSG);
	assert_non_null(strstr(fixture->diag.text, text));
}

static void expect_accepted(struct wal_fixture *fixture, uint32_t commands, bool torn)
{
	struct sluice_wal_position position;

	assert_int_equal(wal_fixture_count(fixture, &position), commands);
	assert_int_equal(position.torn, torn);
}

/* An engine is started and killed before it does anything else: one block more each time. */
static void restart(struct wal_fixture *fixture)
{
	assert_int_equal(sluice_wal_close(wal_fixture_start(fixture), false, NULL), 0);
}

static void seal_header(union page *page)
{
	page->header.payload_crc = sluice_crc32c(0, page->bytes + sizeof(page->header),
						 sizeof(*page) - sizeof(page->header));
	page->header.header_crc = sluice_wal_header_checksum(&page->header);
}

/* Block 3 as if it were `ahead` blocks later, at this page. */
static void stray(const struct wal_fixture *fixture, uint32_t ahead, uint64_t at, union page *ret)
{
	wal_fixture_peek(fixture, 0, 3 * PAGE, ret, sizeof(*ret));
	ret->header.block_seq = BLOCKS + ahead;
	seal_header(ret);
	wal_fixture_poke(fixture, 0, at * PAGE, ret, sizeof(*ret));
}

/* -------------------------------------------------------------------- what a client may write */

/* Commands that say at the second page of their block what another log's header says. */
static void hostile_block(struct wal_fixture *fixture)
{
	const uint32_t at = PAGE - sizeof(struct sluice_wal_block_header);
	struct sluice_wal *wal = wal_fixture_start(fixture);
	struct sluice_command *records;
	union page forged;
	uint32_t n;

	wal_fixture_peek(fixture, 0, PAGE, &forged, sizeof(forged));
	memset(forged.header.log_uuid, 0xee, sizeof(forged.header.log_uuid));
	forged.header.header_crc = sluice_wal_header_checksum(&forged.header);
	records = sluice_wal_reserve(wal, 0, 1, &n);
	assert_non_null(records);
	assert_true(n >= TWO_PAGES);
	memset(records, 1, TWO_PAGES * sizeof(*records));
	memcpy((unsigned char *)records + at, &forged.header, sizeof(forged.header));
	sluice_wal_append(wal, TWO_PAGES);
	assert_int_equal(sluice_wal_submit(wal), 0);
	assert_int_equal(wal_fixture_settle(wal), 0);
	assert_int_equal(sluice_wal_close(wal, false, NULL), 0);
}

/* Power is lost when the block's second page had arrived and its first had not. */
static void test_wal_remains__commands_are_never_taken_for_a_header(void **state)
{
	static const unsigned char zeros[PAGE];
	struct wal_fixture *fixture = *state;
	union page page;

	hostile_block(fixture);
	wal_fixture_peek(fixture, 0, 6 * PAGE, &page, sizeof(page));
	assert_int_equal(page.header.magic, SLUICE_WAL_BLOCK_MAGIC);
	wal_fixture_poke(fixture, 0, 5 * PAGE, zeros, PAGE);
	expect_accepted(fixture, 30, false);
	restart(fixture); /* OPEN over the first page: the end is at the second */
	expect_accepted(fixture, 30, false);
	restart(fixture);
	expect_accepted(fixture, 30, false);
}

/* -------------------------------------------------------------------------- files of other logs */

static void put_foreign_file(struct wal_fixture *fixture, uint32_t file)
{
	struct wal_fixture other;
	union page page;

	wal_fixture_make(&other);
	assert_int_equal(sluice_wal_close(wal_fixture_start(&other), false, NULL), 0);
	wal_fixture_peek(&other, 0, 0, &page, sizeof(page));
	wal_fixture_poke(fixture, file, 0, &page, sizeof(page));
	wal_fixture_remove(&other);
}

static void test_wal_remains__a_file_of_another_log_is_refused_at_once(void **state)
{
	struct wal_fixture *fixture = *state;

	for (uint32_t file = 1; file < SLUICE_WAL_SEGMENTS; file += 7) {
		static const unsigned char zeros[PAGE];
		char text[64];

		put_foreign_file(fixture, file);
		snprintf(text, sizeof(text), "wal-%02u is of another log", file);
		expect_refused(fixture, text);
		wal_fixture_poke(fixture, file, 0, zeros, PAGE);
		expect_accepted(fixture, 30, false);
	}
}

/* Before the snapshot that replay begins at: nobody would read it before the log has gone round. */
static void test_wal_remains__a_file_of_another_log_that_replay_skips(void **state)
{
	struct wal_world_state back;
	struct wal_world world;

	(void)state;
	wal_world_make(&world, 31);
	wal_world_go_on(&world);
	wal_world_fill(&world, 8, 7);
	wal_world_snapshot(&world);
	wal_world_close(&world, false);
	assert_int_equal(wal_world_recover(&world, &back, NULL), 0);
	wal_world_state_release(&back);
	put_foreign_file(&world.fixture, 7);
	assert_int_equal(wal_world_recover(&world, &back, NULL), -EBADMSG);
	assert_non_null(strstr(world.fixture.diag.text, "wal-07 is of another log"));
	wal_world_remove(&world);
}

static void test_wal_remains__a_file_of_another_log_can_be_given_up(void **state)
{
	struct wal_fixture *fixture = *state;
	struct sluice_wal_loss loss;
	char backup[320];

	snprintf(backup, sizeof(backup), "%s/backup", fixture->dir);
	put_foreign_file(fixture, 9);
	assert_int_equal(sluice_wal_truncate(fixture->dir, backup, &loss, &fixture->diag), 0);
	assert_int_equal(loss.blocks, 0);
	expect_accepted(fixture, 30, false);
	assert_int_equal(sluice_wal_truncate_undo(fixture->dir, backup, &fixture->diag), 0);
	expect_refused(fixture, "wal-09 is of another log");
}

/* ------------------------------------------------------------------------------ headers alone */

static void rot(const struct wal_fixture *fixture, uint64_t at)
{
	wal_fixture_flip(fixture, 0, at * PAGE + 500, 3);
}

static void test_wal_remains__a_header_alone_is_a_witness(void **state)
{
	struct wal_fixture *fixture = *state;
	union page page;

	stray(fixture, 1, 6, &page);
	rot(fixture, 6);
	expect_accepted(fixture, 30, true); /* what a crash leaves */
	page.header.durable_seq = BLOCKS + 1;
	seal_header(&page);
	wal_fixture_poke(fixture, 0, 6 * PAGE, &page, sizeof(page));
	rot(fixture, 6);
	expect_refused(fixture, "was written when it was durable");
}

static void test_wal_remains__a_header_alone_of_a_later_epoch_is_refused_at_once(void **state)
{
	struct wal_fixture *fixture = *state;
	union page page;

	stray(fixture, 1, 6, &page);
	page.header.epoch = 2; /* the next start's */
	seal_header(&page);
	wal_fixture_poke(fixture, 0, 6 * PAGE, &page, sizeof(page));
	rot(fixture, 6);
	expect_refused(fixture, "is of epoch 2, later than");
}

/* The block that the end has come to: only what it holds did not arrive. */
static void test_wal_remains__a_header_alone_in_its_own_place_is_a_torn_tail(void **state)
{
	struct wal_fixture *fixture = *state;

	rot(fixture, 3);
	expect_accepted(fixture, 20, true);
	restart(fixture);
	expect_accepted(fixture, 20, false);
}

static void test_wal_remains__a_header_alone_can_be_given_up(void **state)
{
	struct wal_fixture *fixture = *state;
	struct sluice_wal_loss loss;
	char backup[320];
	union page page;

	snprintf(backup, sizeof(backup), "%s/backup", fixture->dir);
	stray(fixture, 1, 6, &page);
	page.header.epoch = 7;
	seal_header(&page);
	wal_fixture_poke(fixture, 0, 6 * PAGE, &page, sizeof(page));
	rot(fixture, 6);
	expect_refused(fixture, "is of epoch 7, later than");
	assert_int_equal(sluice_wal_truncate(fixture->dir, backup, &loss, &fixture->diag), 0);
	expect_accepted(fixture, 30, false);
	restart(fixture);
	wal_fixture_peek(fixture, 0, 4 * PAGE, &page, sizeof(page));
	assert_int_equal(page.header.epoch, 8); /* no number of an epoch is used twice */
}

/*
 * ------------------------------------------------------------------------------ blocks in blocks
 */

/* A whole block that may be left over, with a header of this log inside that may not be. */
static void test_wal_remains__the_inside_of_a_block_is_looked_at(void **state)
{
	static unsigned char block[2 * PAGE];
	struct wal_fixture *fixture = *state;
	struct sluice_wal_block_header *header = (void *)block;
	union page inner;

	stray(fixture, 2, 8, &inner);
	inner.header.epoch = 5;
	seal_header(&inner);
	wal_fixture_peek(fixture, 0, 3 * PAGE, block, PAGE);
	header->block_seq = BLOCKS + 1;
	header->n_cmds = TWO_PAGES;
	header->payload_bytes = TWO_PAGES * SLUICE_WAL_RECORD_BYTES;
	memcpy(block + PAGE, &inner, PAGE);
	header->payload_crc = sluice_crc32c(0, block + sizeof(*header),
					    sizeof(block) - sizeof(*header));
	header->header_crc = sluice_wal_header_checksum(header);
	wal_fixture_poke(fixture, 0, 7 * PAGE, block, sizeof(block));
	expect_refused(fixture, "is of epoch 5, later than");
}

#define with_log(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_log(test_wal_remains__commands_are_never_taken_for_a_header),
		with_log(test_wal_remains__a_file_of_another_log_is_refused_at_once),
		cmocka_unit_test(test_wal_remains__a_file_of_another_log_that_replay_skips),
		with_log(test_wal_remains__a_file_of_another_log_can_be_given_up),
		with_log(test_wal_remains__a_header_alone_is_a_witness),
		with_log(test_wal_remains__a_header_alone_of_a_later_epoch_is_refused_at_once),
		with_log(test_wal_remains__a_header_alone_in_its_own_place_is_a_torn_tail),
		with_log(test_wal_remains__a_header_alone_can_be_given_up),
		with_log(test_wal_remains__the_inside_of_a_block_is_looked_at),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
