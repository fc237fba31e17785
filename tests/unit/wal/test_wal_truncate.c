/* SPDX-License-Identifier: MIT */
/*
 * test_wal_truncate.c - the end of a damaged log given up, and taken back: what is lost is told
 * exactly, what is kept stays, and nothing is changed that the backup does not bring back.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/wal/truncate.h"
#include "tests/lib/wal_fixture.h"
#include "tests/lib/wal_life.h"

#define BLOCKS 12u /* of commands; block 0 is OPEN */
#define PER_BLOCK 20u
#define DAMAGED_BLOCK 4u

static struct wal_fixture fixture;
static char backup[320];

static void make_log(bool clean)
{
	struct sluice_wal *wal;

	wal_fixture_make(&fixture);
	snprintf(backup, sizeof(backup), "%s.undo", fixture.dir);
	wal = wal_fixture_start(&fixture);
	for (uint32_t i = 0; i < BLOCKS; i++)
		assert_int_equal(wal_fixture_block(wal, PER_BLOCK), 0);
	assert_int_equal(wal_fixture_settle(wal), 0);
	assert_int_equal(sluice_wal_close(wal, clean, &fixture.diag), 0);
}

static void damage(uint32_t block)
{
	wal_fixture_flip(&fixture, 0, block * 4096ull + 200, 3);
}

static int clean_up(void **state)
{
	(void)state;
	unlink(backup);
	wal_fixture_remove(&fixture);
	return 0;
}

struct seen {
	uint64_t blocks;
	uint64_t first;
	uint64_t last;
	uint64_t commands;
};

static void see(const struct sluice_wal_block_header *header, const struct sluice_command *commands,
		uint64_t segment_no, uint64_t offset, void *arg)
{
	struct seen *seen = arg;
	struct sluice_command want;

	assert_int_equal(segment_no, 0);
	assert_int_equal(offset, header->block_seq * 4096);
	for (uint32_t i = 0; i < header->n_cmds; i++) {
		wal_fixture_command(header->first_cmd_seq + i, &want);
		assert_memory_equal(&commands[i], &want, sizeof(want));
	}
	if (!seen->blocks++)
		seen->first = header->block_seq;
	seen->last = header->block_seq;
	seen->commands += header->n_cmds;
}

static void test_wal_truncate__tells_what_goes(void **state)
{
	struct seen seen = {.blocks = 0};
	struct sluice_wal_loss loss;
	uint32_t before;

	(void)state;
	make_log(true);
	damage(DAMAGED_BLOCK);
	before = wal_fixture_digest(&fixture);
	assert_int_equal(sluice_wal_truncate_look(fixture.dir, see, &seen, &loss, &fixture.diag),
			 0);
	assert_int_equal(loss.report.block_seq, DAMAGED_BLOCK);
	assert_int_equal(loss.kept_cmd_seq, (DAMAGED_BLOCK - 1) * PER_BLOCK);
	assert_int_equal(loss.cmd_seq_end, BLOCKS * PER_BLOCK);
	assert_int_equal(loss.blocks, BLOCKS - DAMAGED_BLOCK + 1); /* CLOSE as well */
	assert_int_equal(loss.commands, (BLOCKS - DAMAGED_BLOCK) * PER_BLOCK);
	assert_int_equal(loss.close_block_seq, BLOCKS + 1);
	assert_int_equal(seen.blocks, loss.blocks);
	assert_int_equal(seen.first, DAMAGED_BLOCK + 1);
	assert_int_equal(seen.last, BLOCKS + 1);
	assert_int_equal(seen.commands, loss.commands);
	assert_int_equal(wal_fixture_digest(&fixture), before);
}

static void test_wal_truncate__cuts_and_starts(void **state)
{
	struct sluice_wal_position position;
	struct sluice_wal_loss loss;
	struct sluice_wal *wal;

	(void)state;
	make_log(true);
	damage(DAMAGED_BLOCK);
	assert_int_equal(wal_fixture_count(&fixture, &position), -EBADMSG);
	assert_int_equal(sluice_wal_truncate(fixture.dir, backup, &loss, &fixture.diag), 0);
	assert_int_equal(wal_fixture_count(&fixture, &position), (DAMAGED_BLOCK - 1) * PER_BLOCK);
	assert_false(position.torn);
	assert_false(position.closed);
	assert_int_equal(position.next_block_seq, DAMAGED_BLOCK);
	/* goes on, over the same places, and is whole to its end */
	wal = wal_fixture_start(&fixture);
	for (uint32_t i = 0; i < 2; i++)
		assert_int_equal(wal_fixture_block(wal, PER_BLOCK), 0);
	assert_int_equal(wal_fixture_settle(wal), 0);
	assert_int_equal(sluice_wal_close(wal, false, &fixture.diag), 0);
	assert_int_equal(wal_fixture_count(&fixture, &position), (DAMAGED_BLOCK + 1) * PER_BLOCK);
}

static void test_wal_truncate__epochs_that_go_are_not_used_again(void **state)
{
	struct sluice_wal_super super;
	struct sluice_wal_loss loss;
	struct sluice_wal *wal;

	(void)state;
	make_log(false);
	for (uint32_t i = 0; i < 3; i++) {
		wal = wal_fixture_start(&fixture);
		assert_int_equal(wal_fixture_block(wal, PER_BLOCK), 0);
		assert_int_equal(wal_fixture_settle(wal), 0);
		assert_int_equal(sluice_wal_close(wal, false, &fixture.diag), 0);
	}
	/* the superblocks of the last start are lost as well */
	for (uint32_t i = 0; i < SLUICE_WAL_SUPER_COPIES; i++) {
		wal_fixture_peek(&fixture, SLUICE_WAL_FILE_SUPER, i * 4096ull, &super,
				 sizeof(super));
		if (super.epoch > 3)
			wal_fixture_flip(&fixture, SLUICE_WAL_FILE_SUPER, i * 4096ull + 50, 1);
	}
	damage(DAMAGED_BLOCK);
	assert_int_equal(sluice_wal_truncate(fixture.dir, backup, &loss, &fixture.diag), 0);
	wal = wal_fixture_start(&fixture);
	assert_int_equal(wal_fixture_settle(wal), 0);
	assert_int_equal(sluice_wal_close(wal, false, &fixture.diag), 0);
	wal_fixture_peek(&fixture, 0, DAMAGED_BLOCK * 4096ull + 40, &super.epoch, 4);
	assert_int_equal(super.epoch, 5);
}

static void test_wal_truncate__undo_brings_every_byte_back(void **state)
{
	struct sluice_wal_position position;
	struct sluice_wal_loss loss;
	uint32_t before;

	(void)state;
	make_log(true);
	damage(DAMAGED_BLOCK);
	before = wal_fixture_digest(&fixture);
	assert_int_equal(sluice_wal_truncate(fixture.dir, backup, &loss, &fixture.diag), 0);
	assert_int_not_equal(wal_fixture_digest(&fixture), before);
	for (int i = 0; i < 2; i++) { /* twice is once */
		assert_int_equal(sluice_wal_truncate_undo(fixture.dir, backup, &fixture.diag), 0);
		assert_int_equal(wal_fixture_digest(&fixture), before);
	}
	assert_int_equal(wal_fixture_count(&fixture, &position), -EBADMSG);
}

static void test_wal_truncate__no_undo_after_a_start(void **state)
{
	struct sluice_wal_loss loss;
	struct sluice_wal *wal;
	uint32_t before;

	(void)state;
	make_log(false);
	damage(DAMAGED_BLOCK);
	assert_int_equal(sluice_wal_truncate(fixture.dir, backup, &loss, &fixture.diag), 0);
	wal = wal_fixture_start(&fixture);
	assert_int_equal(sluice_wal_close(wal, false, &fixture.diag), 0);
	before = wal_fixture_digest(&fixture);
	assert_int_equal(sluice_wal_truncate_undo(fixture.dir, backup, &fixture.diag), -ESTALE);
	assert_int_equal(wal_fixture_digest(&fixture), before);
	/* also where only the superblock tells: the start's blocks are gone again */
	wal_fixture_poke(&fixture, 0, DAMAGED_BLOCK * 4096ull, (const char[4096]){0}, 4096);
	assert_int_equal(sluice_wal_truncate_undo(fixture.dir, backup, &fixture.diag), -ESTALE);
}

static void test_wal_truncate__no_undo_over_other_bytes(void **state)
{
	struct sluice_wal_loss loss;
	uint32_t before;

	(void)state;
	make_log(false);
	damage(DAMAGED_BLOCK);
	assert_int_equal(sluice_wal_truncate(fixture.dir, backup, &loss, &fixture.diag), 0);
	wal_fixture_flip(&fixture, 0, BLOCKS * 4096ull + 2000, 0);
	before = wal_fixture_digest(&fixture);
	assert_int_equal(sluice_wal_truncate_undo(fixture.dir, backup, &fixture.diag), -ESTALE);
	assert_int_equal(wal_fixture_digest(&fixture), before);
}

/* A payload may hold what looks like a block; nothing of one may stay. */
static void test_wal_truncate__leaves_nothing_of_a_block(void **state)
{
	static unsigned char tail[8 * 3 * 4096];
	struct sluice_wal_loss loss;
	struct sluice_wal *wal;

	(void)state;
	make_log(false);
	wal = wal_fixture_start(&fixture);
	for (uint32_t i = 0; i < 6; i++)
		assert_int_equal(wal_fixture_block(wal, 100), 0); /* three pages */
	assert_int_equal(wal_fixture_settle(wal), 0);
	assert_int_equal(sluice_wal_close(wal, false, &fixture.diag), 0);
	damage(DAMAGED_BLOCK);
	assert_int_equal(sluice_wal_truncate(fixture.dir, backup, &loss, &fixture.diag), 0);
	wal_fixture_peek(&fixture, 0, (DAMAGED_BLOCK + 1) * 4096ull, tail, sizeof(tail));
	for (size_t i = 0; i < sizeof(tail); i++)
		assert_int_equal(tail[i], 0);
}

static void make_snapshots(struct wal_life *life)
{
	struct sluice_wal *wal;

	wal_fixture_make(&fixture);
	snprintf(backup, sizeof(backup), "%s.undo", fixture.dir);
	assert_int_equal(wal_fixture_open(&fixture, &wal), 0);
	wal_life_snapshots(life, wal, fixture.dir, PER_BLOCK);
	assert_int_equal(wal_life_close(life, true), 0);
}

/* Blocks 0 OPEN, 1, 2, 3, 4 CLOSE; snapshot 1 before block 2, snapshot 2 before block 3. */
static void test_wal_truncate__a_rotten_snapshot_beyond_goes_as_well(void **state)
{
	struct sluice_wal_position position;
	struct wal_life life = {.wal = NULL};
	struct sluice_wal_loss loss;
	struct sluice_wal *wal;
	uint32_t before;

	(void)state;
	make_snapshots(&life);
	wal_fixture_flip(&fixture, SLUICE_WAL_FILE_SNAPSHOT, 5000, 0); /* number 2 */
	damage(2);
	before = wal_fixture_digest(&fixture);
	assert_int_equal(sluice_wal_truncate(fixture.dir, backup, &loss, &fixture.diag), 0);
	assert_int_equal(loss.report.block_seq, 2);
	assert_int_equal(loss.snapshot[0], 2);
	assert_int_equal(loss.snapshot[1], 0);
	assert_int_equal(wal_fixture_open(&fixture, &wal), 0);
	sluice_wal_position(wal, &position);
	assert_int_equal(position.snapshot, 1);
	assert_int_equal(position.next_block_seq, 2);
	assert_int_equal(position.next_cmd_seq, PER_BLOCK);
	assert_int_equal(sluice_wal_snapshot_named(wal), 1);
	assert_int_equal(wal_life_recover(&life, wal), 0);
	assert_int_equal(life.cmd_seq, PER_BLOCK);
	assert_int_equal(wal_life_close(&life, false), 0);
	assert_int_equal(sluice_wal_truncate_undo(fixture.dir, backup, &fixture.diag), 0);
	assert_int_equal(wal_fixture_digest(&fixture), before);
}

static void test_wal_truncate__puts_back_what_it_cannot_mend(void **state)
{
	static const unsigned char zeros[5 * 4096];
	struct wal_life life = {.wal = NULL};
	struct sluice_wal_loss loss;
	uint32_t before;

	(void)state;
	make_snapshots(&life);
	/* not a byte of the log is there that the newest snapshot was taken of */
	wal_fixture_poke(&fixture, 0, 0, zeros, sizeof(zeros));
	before = wal_fixture_digest(&fixture);
	assert_int_equal(sluice_wal_truncate(fixture.dir, backup, &loss, &fixture.diag), -EBADMSG);
	assert_non_null(strstr(fixture.diag.text, "no shorter log would mend this"));
	assert_int_equal(wal_fixture_digest(&fixture), before);
}

static void test_wal_truncate__refuses_what_is_not_damaged_in_its_tail(void **state)
{
	struct sluice_wal_loss loss;
	uint32_t before;

	(void)state;
	make_log(false);
	assert_int_equal(sluice_wal_truncate_look(fixture.dir, NULL, NULL, &loss, &fixture.diag),
			 -EALREADY);
	assert_int_equal(sluice_wal_truncate(fixture.dir, backup, &loss, &fixture.diag),
			 -EALREADY);
	wal_fixture_flip(&fixture, 0, BLOCKS * 4096ull + 200, 1); /* torn is not damaged */
	assert_int_equal(sluice_wal_truncate(fixture.dir, backup, &loss, &fixture.diag),
			 -EALREADY);
	assert_int_equal(access(backup, F_OK), -1);
	for (uint32_t i = 0; i < SLUICE_WAL_SUPER_COPIES; i++)
		wal_fixture_flip(&fixture, SLUICE_WAL_FILE_SUPER, i * 4096ull + 50, 1);
	before = wal_fixture_digest(&fixture);
	assert_int_equal(sluice_wal_truncate(fixture.dir, backup, &loss, &fixture.diag), -EBADMSG);
	assert_int_equal(wal_fixture_digest(&fixture), before);
	assert_int_equal(access(backup, F_OK), -1);
}

static void test_wal_truncate__refuses_a_log_in_use(void **state)
{
	struct sluice_wal_loss loss;
	struct sluice_wal *wal;

	(void)state;
	make_log(false);
	wal = wal_fixture_start(&fixture);
	damage(DAMAGED_BLOCK);
	assert_int_equal(sluice_wal_truncate(fixture.dir, backup, &loss, &fixture.diag), -EBUSY);
	assert_int_equal(sluice_wal_close(wal, false, &fixture.diag), 0);
	assert_int_equal(sluice_wal_truncate(fixture.dir, backup, &loss, &fixture.diag), 0);
}

static void test_wal_truncate__never_writes_over_a_file(void **state)
{
	struct sluice_wal_loss loss;
	uint32_t before;
	int fd;

	(void)state;
	make_log(false);
	damage(DAMAGED_BLOCK);
	before = wal_fixture_digest(&fixture);
	fd = open(backup, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(sluice_wal_truncate(fixture.dir, backup, &loss, &fixture.diag), -EEXIST);
	assert_int_equal(wal_fixture_digest(&fixture), before);
}

static void test_wal_truncate__a_broken_backup_changes_nothing(void **state)
{
	struct sluice_wal_loss loss;
	struct stat st;
	uint32_t before;
	uint8_t byte;
	int fd;

	(void)state;
	make_log(true);
	damage(DAMAGED_BLOCK);
	assert_int_equal(sluice_wal_truncate(fixture.dir, backup, &loss, &fixture.diag), 0);
	before = wal_fixture_digest(&fixture);
	fd = open(backup, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	for (off_t at = 0; at < st.st_size; at += at < 64 ? 1 : 397) {
		assert_int_equal(pread(fd, &byte, 1, at), 1);
		byte ^= 4;
		assert_int_equal(pwrite(fd, &byte, 1, at), 1);
		assert_int_equal(sluice_wal_truncate_undo(fixture.dir, backup, &fixture.diag),
				 -EBADMSG);
		byte ^= 4;
		assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	}
	assert_int_equal(ftruncate(fd, st.st_size - 64), 0); /* never finished */
	assert_int_equal(sluice_wal_truncate_undo(fixture.dir, backup, &fixture.diag), -EBADMSG);
	close(fd);
	assert_int_equal(wal_fixture_digest(&fixture), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_wal_truncate__tells_what_goes, clean_up),
		cmocka_unit_test_teardown(test_wal_truncate__cuts_and_starts, clean_up),
		cmocka_unit_test_teardown(test_wal_truncate__epochs_that_go_are_not_used_again,
					  clean_up),
		cmocka_unit_test_teardown(test_wal_truncate__undo_brings_every_byte_back,
					  clean_up),
		cmocka_unit_test_teardown(test_wal_truncate__no_undo_after_a_start, clean_up),
		cmocka_unit_test_teardown(test_wal_truncate__no_undo_over_other_bytes, clean_up),
		cmocka_unit_test_teardown(test_wal_truncate__leaves_nothing_of_a_block, clean_up),
		cmocka_unit_test_teardown(
			test_wal_truncate__a_rotten_snapshot_beyond_goes_as_well, clean_up),
		cmocka_unit_test_teardown(test_wal_truncate__puts_back_what_it_cannot_mend,
					  clean_up),
		cmocka_unit_test_teardown(
			test_wal_truncate__refuses_what_is_not_damaged_in_its_tail, clean_up),
		cmocka_unit_test_teardown(test_wal_truncate__refuses_a_log_in_use, clean_up),
		cmocka_unit_test_teardown(test_wal_truncate__never_writes_over_a_file, clean_up),
		cmocka_unit_test_teardown(test_wal_truncate__a_broken_backup_changes_nothing,
					  clean_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
