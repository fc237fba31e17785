/* SPDX-License-Identifier: MIT */
/*
 * test_wal_reread.c - a block that lies across the end of the window is read twice, and the disk
 * may say something else the second time: nothing of the first is believed. Segments of 128 KiB, a
 * window of 64, blocks of 8 (tests/unit/rules.mk).
 */
#include "tests/unit/wal/live_stage.h"

#include "engine/wal/truncate.h"

#define SEGMENT_BYTES (8u * SLUICE_WAL_SEGMENT_BYTES_MIN)
#define ACROSS (SLUICE_WAL_SCAN_BYTES - SLUICE_WAL_ALIGN) /* its offset */
#define BLOCKS_BEFORE (ACROSS / SLUICE_WAL_ALIGN)
#define BIG 50u /* records: two pages */

static unsigned char was[2 * SLUICE_WAL_ALIGN];
static void (*spoil)(unsigned char *block);
static uint64_t spoils;

static unsigned char *across(void)
{
	return stage.disk.files[0] + ACROSS;
}

/* Blocks of one page, one of two pages across the window's end, and three behind it. */
static int setup(void **state)
{
	struct wal_fixture fixture;
	struct wal_life life = {.wal = NULL};
	struct sluice_wal *wal = NULL;

	(void)state;
	wal_life_make(&fixture, SEGMENT_BYTES);
	damage_release(&stage);
	mem_disk_load(&stage.disk, fixture.dir);
	wal_fixture_remove(&fixture);
	snprintf(stage.backup, sizeof(stage.backup), "/dev/shm/sluice-test-undo-%d", getpid());
	assert_int_equal(sluice_wal_open_io(&wal, mem_disk_io(&stage.disk), NULL, &diag), 0);
	assert_int_equal(wal_life_recover(&life, wal), 0);
	assert_int_equal(wal_life_start(&life), 0);
	for (uint32_t i = 0; i < BLOCKS_BEFORE + 3; i++) {
		assert_true(wal_life_block(&life, i < BLOCKS_BEFORE - 1 ? 20 : BIG) > 0);
		assert_int_equal(wal_life_settle(&life), 0);
	}
	assert_int_equal(wal_life_close(&life, false), 0);
	memcpy(was, across(), sizeof(was));
	return 0;
}

static void change_when_read_again(uint32_t file, uint64_t offset)
{
	if (file == 0 && offset == ACROSS && spoil) {
		spoils++;
		spoil(across());
	}
}

static int opens(void (*how)(unsigned char *block), uint64_t *ret_end)
{
	struct sluice_wal *wal = NULL;
	int ret;

	spoil = how;
	spoils = 0;
	ret = sluice_wal_open_io(&wal, live_io(change_when_read_again), NULL, &diag);
	memcpy(across(), was, sizeof(was));
	if (ret)
		return ret;
	*ret_end = wal->position.next_block_seq;
	return sluice_wal_close(wal, false, NULL);
}

static void lose_the_header(unsigned char *block)
{
	memset(block, 0, 128);
}

static void rot_in_the_payload(unsigned char *block)
{
	memcpy(block, was, sizeof(was));
	block[5000] ^= 1;
}

static struct sluice_wal_block_header *header_of(unsigned char *block)
{
	return (struct sluice_wal_block_header *)(void *)block;
}

/* A later one, which an engine that had gone round would write there. */
static void become_another_block(unsigned char *block)
{
	memcpy(block, was, sizeof(was));
	header_of(block)->block_seq += 5;
	wal_repair_block(block, SLUICE_WAL_BLOCK_BYTES_MAX);
}

static void become_another_logs(unsigned char *block)
{
	memcpy(block, was, sizeof(was));
	header_of(block)->log_uuid[0] ^= 1;
	wal_repair_block(block, SLUICE_WAL_BLOCK_BYTES_MAX);
}

static void test_wal_reread__what_came_first_is_forgotten(void **state)
{
	static void (*const hows[])(unsigned char *block) = {
		lose_the_header, rot_in_the_payload, become_another_block, become_another_logs};
	uint64_t end = 0;

	(void)state;
	assert_int_equal(opens(NULL, &end), 0);
	assert_int_equal(end, BLOCKS_BEFORE + 4);
	for (uint32_t i = 0; i < sizeof(hows) / sizeof(hows[0]); i++) {
		char text[64];

		/* the ones behind it prove that it was there */
		assert_int_equal(opens(hows[i], &end), -EBADMSG);
		snprintf(text, sizeof(text), "wal-00 offset %u: block %u is not valid", ACROSS,
			 BLOCKS_BEFORE);
		assert_non_null(strstr(diag.text, text));
		assert_true(spoils > 0);
		assert_int_equal(opens(NULL, &end), 0);
		assert_int_equal(end, BLOCKS_BEFORE + 4);
	}
}

/* The same where a cut looks for what it would give up. */
static void test_wal_reread__behind_the_end(void **state)
{
	static void (*const hows[])(unsigned char *block) = {NULL, lose_the_header,
							     become_another_logs};
	struct sluice_wal_loss loss = {.blocks = 0};

	(void)state;
	stage.disk.files[0][200] ^= 1; /* block 0: the window begins there */
	stage.original = damage_digest(&stage.disk);
	for (uint32_t i = 0; i < sizeof(hows) / sizeof(hows[0]); i++) {
		spoil = hows[i];
		assert_int_equal(sluice_wal_truncate_io(live_io(change_when_read_again),
							stage.backup, &loss, &diag),
				 0);
		assert_int_equal(loss.report.block_seq, 0);
		assert_int_equal(loss.blocks, BLOCKS_BEFORE + 3 - (i > 0));
		spoil = NULL;
		memcpy(across(), was, sizeof(was));
		if (i > 0) /* it was not in the backup, and was not cut either */
			memset(across(), 0, 4096 * 2);
		assert_int_equal(sluice_wal_truncate_undo_io(live_io(NULL), stage.backup, &diag),
				 0);
		memcpy(across(), was, sizeof(was));
		assert_int_equal(damage_digest(&stage.disk), stage.original);
		unlink(stage.backup);
	}
}

static void test_wal_reread__and_cannot_be_read_again(void **state)
{
	uint64_t fired = 1, n = 0;

	(void)state;
	while (fired) {
		const struct fault_plan plan = {.at = ++n, .error = EIO, .fired = &fired};
		struct sluice_wal_io *io;
		struct sluice_wal *wal = NULL;
		int ret;

		fired = 0;
		assert_int_equal(fault_io_create(&io, live_io(NULL)), 0);
		fault_io_plan(io, &plan);
		ret = sluice_wal_open_io(&wal, io, NULL, &diag);
		assert_int_equal(ret, fired ? -EIO : 0);
		assert_true(!ret || diag.text[0]);
		if (!ret)
			sluice_wal_close(wal, false, NULL);
	}
	assert_true(n > 20);
}

/* Back to before what the window holds, as a judge goes who has looked ahead. */
static void test_wal_reread__what_lies_before_the_window(void **state)
{
	static const uint64_t offsets[] = {ACROSS, 0, SLUICE_WAL_ALIGN, ACROSS, ACROSS / 2, 0};
	unsigned char *window = aligned_alloc(SLUICE_WAL_ALIGN, SLUICE_WAL_SCAN_BYTES);
	struct sluice_wal_super super = *live_copy(0);
	struct sluice_wal_io *io = live_io(NULL);
	struct sluice_wal_scan scan;
	int error = 0;

	(void)state;
	assert_non_null(window);
	sluice_wal_scan_init(&scan, io, &super, &super.start, window);
	for (uint32_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
		const void *page = sluice_wal_scan_load(&scan, 0, offsets[i], SLUICE_WAL_ALIGN,
							&error);

		assert_non_null(page);
		assert_memory_equal(page, stage.disk.files[0] + offsets[i], SLUICE_WAL_ALIGN);
	}
	io->ops->close(io);
	free(window);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_wal_reread__what_came_first_is_forgotten,
						setup, clean_up),
		cmocka_unit_test_setup_teardown(test_wal_reread__behind_the_end, setup, clean_up),
		cmocka_unit_test_setup_teardown(test_wal_reread__and_cannot_be_read_again, setup,
						clean_up),
		cmocka_unit_test_setup_teardown(test_wal_reread__what_lies_before_the_window, setup,
						clean_up),
	};

	return cmocka_run_group_tests_name("wal_reread", tests, NULL, NULL);
}
