/* SPDX-License-Identifier: MIT */
/*
 * test_wal_truncate_crash.c - power lost at any write of a cut, and any part of that write on the
 * disk: the log ends at the same block or is still damaged, a second cut ends it, and the backup
 * brings every byte back.
 */
#include "tests/unit/wal/damage_stage.h"

static struct damage_stage stage;

static int clean_up(void **state)
{
	(void)state;
	damage_release(&stage);
	return 0;
}

struct crash {
	uint64_t seed;
	uint32_t points, undone, again;
};

/* The write under way arrives in part: sectors by chance, all or none of them. */
static void arrive(struct mem_disk *disk, const struct mem_write *write, struct crash *crash,
		   uint32_t how)
{
	for (uint32_t at = 0; at < write->bytes; at += MEM_SECTOR)
		if (how == 0 || (how == 1 && wal_fixture_random(&crash->seed) % 2))
			mem_disk_put(disk, write->file, write->offset + at, write->data + at,
				     MEM_SECTOR);
}

static void after_crash(struct mem_disk *disk, struct crash *crash)
{
	struct sluice_wal_loss loss;
	const int ret = damage_judge(&stage);

	assert_true(ret == 0 || ret == -EBADMSG);
	if (ret && wal_fixture_random(&crash->seed) % 2) {
		assert_int_equal(
			sluice_wal_truncate_io(mem_disk_io(disk), stage.backup_2, &loss, NULL), 0);
		assert_int_equal(damage_judge(&stage), 0);
		unlink(stage.backup_2);
		crash->again++;
		return;
	}
	assert_int_equal(sluice_wal_truncate_undo_io(mem_disk_io(disk), stage.backup, NULL), 0);
	assert_int_equal(damage_digest(disk), stage.original);
	crash->undone++;
}

static void crash_here(struct mem_disk *disk, void *arg)
{
	struct crash *crash = arg;
	void (*point)(struct mem_disk * disk, void *arg) = disk->point;
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

	(void)state;
	for (enum damage damage = 0; damage < DAMAGE_MENDABLE; damage++) {
		struct sluice_wal_loss loss;
		uint32_t cut_points;

		damage_make(&stage, damage);
		crash.points = crash.undone = crash.again = 0;
		stage.disk.point = crash_here;
		stage.disk.point_arg = &crash;
		assert_int_equal(
			sluice_wal_truncate_io(mem_disk_io(&stage.disk), stage.backup, &loss, NULL),
			0);
		/* at least those blocks, the first page of the bad one, and the superblock */
		cut_points = crash.points;
		assert_true(cut_points >= loss.blocks + 1);
		if (damage == DAMAGE_PAYLOAD) /* nothing of an earlier round */
			assert_int_equal(cut_points, loss.blocks + 2);
		/* and the undo, cut short anywhere, is ended by the undo, or the cut made again */
		assert_int_equal(
			sluice_wal_truncate_undo_io(mem_disk_io(&stage.disk), stage.backup, NULL),
			0);
		assert_int_equal(crash.points, 2 * cut_points);
		assert_int_equal(crash.undone + crash.again, 3 * crash.points);
		assert_int_equal(damage_digest(&stage.disk), stage.original);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_wal_truncate_crash__any_part_of_any_write, clean_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
