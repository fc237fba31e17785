/* SPDX-License-Identifier: MIT */
/*
 * test_wal_truncate_crash.c - power lost at any write of a cut, and any part of that write on the
 * disk: the log ends at the same block or is still damaged, a second cut ends it, and the backup
 * brings every byte back.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "engine/wal/wal_examine.h"
#include "shm/crc32c.h"
#include "tests/lib/mem_io.h"
#include "tests/lib/wal_fixture.h"

#define BLOCKS 12u /* of commands; block 0 is OPEN */
#define PER_BLOCK 20u
#define DAMAGED_BLOCK 4u

static struct wal_fixture fixture;
static char backup[320];
static char backup_2[320];

static void make_log(void)
{
	struct sluice_wal *wal;

	wal_fixture_make(&fixture);
	snprintf(backup, sizeof(backup), "%s.undo", fixture.dir);
	snprintf(backup_2, sizeof(backup_2), "%s.undo-2", fixture.dir);
	wal = wal_fixture_start(&fixture);
	for (uint32_t i = 0; i < BLOCKS; i++)
		assert_int_equal(wal_fixture_block(wal, PER_BLOCK), 0);
	assert_int_equal(wal_fixture_settle(wal), 0);
	assert_int_equal(sluice_wal_close(wal, true, &fixture.diag), 0);
	wal_fixture_flip(&fixture, 0, DAMAGED_BLOCK * 4096ull + 200, 3);
}

struct crash {
	uint32_t original; /* digest of the damaged log */
	uint64_t seed;
	uint32_t points, undone, again;
};

static uint32_t digest(const struct mem_disk *disk)
{
	uint32_t crc = 0;

	for (uint32_t file = 0; file < SLUICE_WAL_FILES; file++)
		crc = sluice_crc32c(crc, disk->files[file], disk->bytes[file]);
	return crc;
}

/* The write under way arrives in part: sectors by chance, all or none of them. */
static void arrive(struct mem_disk *disk, const struct mem_write *write, struct crash *crash,
		   uint32_t how)
{
	for (uint32_t at = 0; at < write->bytes; at += MEM_SECTOR)
		if (how == 0 || (how == 1 && wal_fixture_random(&crash->seed) % 2))
			mem_disk_put(disk, write->file, write->offset + at, write->data + at,
				     MEM_SECTOR);
}

/* 0: the log would start, before block DAMAGED_BLOCK; or -errno. */
static int judge(struct mem_disk *disk)
{
	struct sluice_wal *wal;
	int ret = sluice_wal_examine(&wal, mem_disk_io(disk), SLUICE_WAL_IO_READ, NULL);

	if (ret)
		return ret;
	ret = sluice_wal_recover(wal, NULL);
	assert_int_equal(wal->report.block_seq, DAMAGED_BLOCK);
	sluice_wal_examine_end(wal);
	return ret;
}

static void after_crash(struct mem_disk *disk, struct crash *crash)
{
	struct sluice_wal_loss loss;
	const int ret = judge(disk);

	assert_true(ret == 0 || ret == -EBADMSG);
	if (ret && wal_fixture_random(&crash->seed) % 2) {
		assert_int_equal(sluice_wal_truncate_io(mem_disk_io(disk), backup_2, &loss, NULL),
				 0);
		assert_int_equal(judge(disk), 0);
		unlink(backup_2);
		crash->again++;
		return;
	}
	assert_int_equal(sluice_wal_truncate_undo_io(mem_disk_io(disk), backup, NULL), 0);
	assert_int_equal(digest(disk), crash->original);
	crash->undone++;
}

static void crash_here(struct mem_disk *disk, void *arg)
{
	struct crash *crash = arg;
	void (*point)(struct mem_disk *disk, void *arg) = disk->point;
	const struct mem_write write = disk->writes[0];

	if (disk->n_writes == 0)
		return;
	crash->points++;
	disk->point = NULL;
	disk->n_writes = 0; /* what comes after the crash does not know of it */
	for (uint32_t how = 0; how < 3; how++) {
		const size_t mark = mem_disk_mark(disk);

		arrive(disk, &write, crash, how);
		after_crash(disk, crash);
		mem_disk_rollback(disk, mark);
	}
	disk->point = point;
	disk->writes[0] = write;
	disk->n_writes = 1;
}

static void test_wal_truncate_crash__any_part_of_any_write(void **state)
{
	struct crash crash = {.seed = wal_fixture_seed("any_part_of_any_write")};
	struct sluice_wal_loss loss;
	struct mem_disk disk = {.point = NULL};
	size_t mark;

	(void)state;
	make_log();
	mem_disk_load(&disk, fixture.dir);
	crash.original = digest(&disk);
	disk.point = crash_here;
	disk.point_arg = &crash;
	mark = mem_disk_mark(&disk);
	assert_int_equal(sluice_wal_truncate_io(mem_disk_io(&disk), backup, &loss, &fixture.diag),
			 0);
	/* the damaged block, those behind it, CLOSE, and the superblock */
	assert_int_equal(crash.points, BLOCKS - DAMAGED_BLOCK + 3);
	assert_true(crash.undone > 0);
	assert_true(crash.again > 0);
	/* and the undo, cut short anywhere, is ended by the undo */
	assert_int_equal(
		sluice_wal_truncate_undo_io(mem_disk_io(&disk), backup, &fixture.diag), 0);
	assert_int_equal(digest(&disk), crash.original);
	mem_disk_rollback(&disk, mark);
	mem_disk_release(&disk);
	unlink(backup);
	wal_fixture_remove(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wal_truncate_crash__any_part_of_any_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
