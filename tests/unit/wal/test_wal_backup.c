/* SPDX-License-Identifier: MIT */
/*
 * test_wal_backup.c - a cut without room for its backup, backups that do not fit the log that they
 * are of, and a cut whose log turns out another one: nothing is changed, or all is put back. Over a
 * disk in memory (tests/unit/rules.mk).
 */
#include "tests/unit/wal/live_stage.h"

#include <signal.h>
#include <sys/resource.h>

#include "engine/wal/wal_undo.h"

static struct sluice_wal_loss loss;

static int cut(struct sluice_wal_io *io)
{
	return sluice_wal_truncate_io(io, stage.backup, &loss, &diag);
}

static int undo(void)
{
	return sluice_wal_truncate_undo_io(live_io(NULL), stage.backup, &diag);
}

static int cut_in_little_room(rlim_t bytes)
{
	struct rlimit before, little;
	int ret;

	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &before);
	little = (struct rlimit){.rlim_cur = bytes, .rlim_max = before.rlim_max};
	setrlimit(RLIMIT_FSIZE, &little);
	ret = cut(live_io(NULL));
	setrlimit(RLIMIT_FSIZE, &before);
	signal(SIGXFSZ, SIG_DFL);
	return ret;
}

static void test_wal_backup__needs_room_before_anything_is_cut(void **state)
{
	(void)state;
	for (enum damage damage = 0; damage < DAMAGE_MENDABLE; damage++) {
		rlim_t bytes = 0;

		damage_make(&stage, damage);
		while (cut_in_little_room(bytes) == -EFBIG) {
			assert_non_null(strstr(diag.text, stage.backup));
			assert_int_equal(damage_digest(&stage.disk), stage.original);
			assert_int_equal(undo(), -EBADMSG);
			assert_int_equal(damage_digest(&stage.disk), stage.original);
			unlink(stage.backup);
			bytes += 2080; /* half an entry */
		}
		assert_true(bytes > 8000);
		assert_int_equal(damage_judge(&stage), 0);
		assert_int_equal(undo(), 0);
		assert_int_equal(damage_digest(&stage.disk), stage.original);
	}
}

static void test_wal_backup__entries_beyond_the_end_of_a_file(void **state)
{
	static const uint32_t entries[][2] = {
		{7, SLUICE_WAL_SEGMENT_BYTES_MIN},
		{7, SLUICE_WAL_SEGMENT_BYTES_MIN - SLUICE_WAL_ALIGN},
		{SLUICE_WAL_FILE_SUPER, SLUICE_WAL_SUPER_COPIES * SLUICE_WAL_ALIGN},
	};
	static const unsigned char zeros[SLUICE_WAL_BLOCK_BYTES_MAX];
	const struct sluice_wal_super *super;

	(void)state;
	damage_make(&stage, DAMAGE_PAYLOAD);
	super = live_only_super();
	stage.original = damage_digest(&stage.disk);
	for (uint32_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
		struct sluice_wal_undo file;

		assert_int_equal(sluice_wal_undo_create(&file, stage.backup, super->log_uuid, NULL),
				 0);
		assert_int_equal(sluice_wal_undo_add(&file, entries[i][0], entries[i][1], zeros,
						     2 * SLUICE_WAL_ALIGN, 0, NULL),
				 0);
		assert_int_equal(sluice_wal_undo_finish(&file, super->sequence + 1, NULL), 0);
		sluice_wal_undo_close(&file);
		assert_int_equal(undo(), -EBADMSG);
		assert_non_null(strstr(diag.text, "beyond the end of a file"));
		assert_int_equal(damage_digest(&stage.disk), stage.original);
		unlink(stage.backup);
	}
}

/* An engine that started after a cut that was killed would have written the same number. */
static void test_wal_backup__another_superblock_of_the_same_number(void **state)
{
	struct sluice_wal_super *super;
	uint32_t after;

	(void)state;
	damage_make(&stage, DAMAGE_PAYLOAD);
	assert_int_equal(cut(live_io(NULL)), 0);
	super = live_only_super();
	super->epoch++;
	live_seal(super);
	after = damage_digest(&stage.disk);
	assert_int_equal(undo(), -ESTALE);
	assert_true(diag.hint[0]);
	assert_int_equal(damage_digest(&stage.disk), after);
}

/* The block before rots while it is cut: the log is looked at again, and ends too early. */
static void rot_before_it(uint32_t file, uint64_t offset)
{
	(void)offset;
	if (file == SLUICE_WAL_FILE_SUPER && supers_read == 2)
		damage_block(&stage, stage.k - 1)[200] ^= 8;
}

static void test_wal_backup__a_cut_that_ends_elsewhere(void **state)
{
	(void)state;
	damage_make(&stage, DAMAGE_PAYLOAD);
	assert_int_equal(cut(live_io(rot_before_it)), -EBADMSG);
	assert_non_null(strstr(diag.text, "all is as it was"));
	assert_non_null(strstr(diag.text, "the log ends before block"));
	damage_block(&stage, stage.k - 1)[200] ^= 8;
	assert_int_equal(damage_digest(&stage.disk), stage.original);
}

#define live_test(test) cmocka_unit_test_teardown(test, clean_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		live_test(test_wal_backup__needs_room_before_anything_is_cut),
		live_test(test_wal_backup__entries_beyond_the_end_of_a_file),
		live_test(test_wal_backup__another_superblock_of_the_same_number),
		live_test(test_wal_backup__a_cut_that_ends_elsewhere),
	};

	return cmocka_run_group_tests_name("wal_backup", tests, NULL, NULL);
}
