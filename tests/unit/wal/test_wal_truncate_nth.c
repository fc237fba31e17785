/* SPDX-License-Identifier: MIT */
/*
 * test_wal_truncate_nth.c - the n-th operation of a cut and of an undo fails, for every n until
 * none fails, on logs with each kind of damage; and a disk that says of its n-th write that it was
 * done. Whatever failed: the caller is told, the backup brings every byte back, and the same call
 * again ends what was begun.
 */
#include "tests/unit/wal/damage_stage.h"

#include "engine/wal/snapshot.h"
#include "tests/lib/fault_io.h"

#define OPERATIONS_MAX 500u

static struct damage_stage stage;

static int clean_up(void **state)
{
	(void)state;
	damage_release(&stage);
	return 0;
}

static struct sluice_wal_io *faulty(uint64_t n, uint64_t *fired)
{
	const struct fault_plan plan = {.at = n, .error = EIO, .fired = fired};
	struct sluice_wal_io *io;

	assert_int_equal(fault_io_create(&io, mem_disk_io(&stage.disk)), 0);
	fault_io_plan(io, &plan);
	return io;
}

static int expected(enum damage damage)
{
	if (damage == DAMAGE_NONE)
		return -EALREADY;
	return damage < DAMAGE_MENDABLE ? 0 : -EBADMSG;
}

static int undo(void)
{
	return sluice_wal_truncate_undo_io(mem_disk_io(&stage.disk), stage.backup, NULL);
}

static bool changed(void)
{
	return damage_digest(&stage.disk) != stage.original;
}

static void nothing_is_lost(enum damage damage, int ret)
{
	const bool written = changed();
	const size_t mark = mem_disk_mark(&stage.disk);
	struct sluice_wal_loss loss;
	int back = undo();

	/* an unfinished backup, or none: then nothing was written */
	if (written || (back != -EBADMSG && back != -ENOENT))
		assert_int_equal(back, 0);
	assert_int_equal(damage_digest(&stage.disk), stage.original);
	mem_disk_rollback(&stage.disk, mark);
	if (!ret)
		return;
	ret = sluice_wal_truncate_io(mem_disk_io(&stage.disk), stage.backup_2, &loss, NULL);
	unlink(stage.backup_2);
	if (written && ret == -EALREADY) /* only the last look at it had failed */
		ret = 0;
	assert_int_equal(ret, expected(damage));
	if (!ret)
		assert_int_equal(damage_judge(&stage), 0);
}

/* How many of the operations failed. */
static uint64_t every_nth_of_a_cut(enum damage damage)
{
	uint64_t fired = 1, n = 0;

	while (fired) {
		const size_t mark = mem_disk_mark(&stage.disk);
		struct sluice_wal_loss loss = {.blocks = 4711};
		struct sluice_diag diag = {.text = ""};
		int ret;

		fired = 0;
		assert_true(++n < OPERATIONS_MAX);
		ret = sluice_wal_truncate_io(faulty(n, &fired), stage.backup, &loss, &diag);
		/* what ends with a snapshot that cannot be read changes nothing */
		if (!fired || (ret != -EIO && (ret != -EBADMSG || changed())))
			assert_int_equal(ret, expected(damage));
		assert_true(!ret == (loss.blocks != 4711));
		assert_true(!ret || diag.text[0]);
		nothing_is_lost(damage, ret);
		unlink(stage.backup);
		mem_disk_rollback(&stage.disk, mark);
		assert_int_equal(damage_digest(&stage.disk), stage.original);
	}
	return n - 1;
}

static void test_wal_truncate_nth__every_operation_of_a_cut(void **state)
{
	(void)state;
	for (enum damage damage = 0; damage <= DAMAGE_NONE; damage++) {
		damage_make(&stage, damage);
		assert_true(every_nth_of_a_cut(damage) > 30);
	}
}

static void test_wal_truncate_nth__every_operation_of_an_undo(void **state)
{
	struct sluice_wal_loss loss;

	(void)state;
	for (enum damage damage = 0; damage < DAMAGE_MENDABLE; damage++) {
		uint64_t fired = 1, n = 0;

		damage_make(&stage, damage);
		assert_int_equal(
			sluice_wal_truncate_io(mem_disk_io(&stage.disk), stage.backup, &loss, NULL),
			0);
		while (fired) {
			const size_t mark = mem_disk_mark(&stage.disk);
			struct sluice_diag diag = {.text = ""};
			int ret;

			fired = 0;
			assert_true(++n < OPERATIONS_MAX);
			ret = sluice_wal_truncate_undo_io(faulty(n, &fired), stage.backup, &diag);
			assert_int_equal(ret, fired ? -EIO : 0);
			assert_true(!ret || diag.text[0]);
			assert_int_equal(undo(), 0);
			assert_int_equal(damage_digest(&stage.disk), stage.original);
			mem_disk_rollback(&stage.disk, mark);
		}
		assert_true(n > 30);
	}
}

/* ------------------------------------------------------------------------------ what is cut */

static void test_wal_truncate_nth__nothing_is_left_behind(void **state)
{
	(void)state;
	for (enum damage damage = 0; damage < DAMAGE_MENDABLE; damage++) {
		const struct sluice_wal_block_header *header;
		struct sluice_wal_scan scan;
		struct sluice_wal_stray at;
		struct sluice_wal_loss loss;
		struct sluice_wal *wal;

		damage_make(&stage, damage);
		assert_int_equal(
			sluice_wal_truncate_io(mem_disk_io(&stage.disk), stage.backup, &loss, NULL),
			0);
		assert_int_equal(loss.report.block_seq, stage.k);
		assert_true(loss.blocks >= 3 && loss.blocks <= 12); /* earlier uses do not count */
		assert_int_equal(loss.cmd_seq_end - loss.kept_cmd_seq,
				 (loss.blocks + 1 - (loss.close_block_seq > 0)) * DAMAGE_RECORDS -
					 (damage == DAMAGE_OWN_PLACE ? DAMAGE_RECORDS : 0));
		assert_int_equal(sluice_wal_examine(&wal, mem_disk_io(&stage.disk),
						    SLUICE_WAL_IO_READ, NULL),
				 0);
		sluice_wal_scan_init(&scan, wal->io, &wal->super, &wal->super.start,
				     wal->window_memory);
		at = (struct sluice_wal_stray){.segment_no = stage.at[stage.k].segment_no,
					       .offset = stage.at[stage.k].offset};
		assert_int_equal(sluice_wal_next_stray(&scan, &at, &header), 0);
		sluice_wal_examine_end(wal);
	}
}

/* --------------------------------------------------------------------------- a disk that lies */

static struct sluice_wal_io_ops lying;
static const struct sluice_wal_io_ops *honest;
static uint64_t writes, lie_at;
static int lie; /* what it says of that write */
static uint32_t synced;

static int lying_write(struct sluice_wal_io *io, uint32_t file, uint64_t offset, const void *data,
		       size_t bytes)
{
	return ++writes == lie_at ? lie : honest->write(io, file, offset, data, bytes);
}

static int counted_sync(struct sluice_wal_io *io, uint32_t file)
{
	synced |= 1u << file;
	return honest->sync(io, file);
}

/* What only a cache holds is no ground for a cut. */
static int read_after_sync(struct sluice_wal_io *io, uint32_t file, uint64_t offset, void *data,
			   size_t bytes)
{
	return synced & 1u << file ? honest->read(io, file, offset, data, bytes) : -EBADF;
}

static struct sluice_wal_io *liar(uint64_t n)
{
	struct sluice_wal_io *io = mem_disk_io(&stage.disk);

	honest = io->ops;
	lying = *honest;
	lying.write = lying_write;
	lying.sync = counted_sync;
	lying.read = read_after_sync;
	synced = 0;
	io->ops = &lying;
	writes = 0;
	lie_at = n;
	return io;
}

/* The log is looked at again after the cut: it is as it should be, or it is as it was. */
static void test_wal_truncate_nth__a_write_that_was_not_done(void **state)
{
	struct sluice_wal_loss loss;
	uint32_t put_back = 0;

	(void)state;
	for (enum damage damage = 0; damage < DAMAGE_MENDABLE; damage++) {
		damage_make(&stage, damage);
		for (uint64_t n = 1; n == 1 || writes >= n - 1; n++) {
			const size_t mark = mem_disk_mark(&stage.disk);
			int ret = sluice_wal_truncate_io(liar(n), stage.backup, &loss, NULL);

			if (ret == 0) {
				assert_int_equal(damage_judge(&stage), 0);
				assert_int_equal(undo(), 0);
			} else {
				assert_int_equal(ret, -EBADMSG);
				put_back++;
			}
			assert_int_equal(damage_digest(&stage.disk), stage.original);
			unlink(stage.backup);
			mem_disk_rollback(&stage.disk, mark);
		}
	}
	assert_true(put_back > 8);
}

/* Of all failures those of writes are told without exception. */
static void test_wal_truncate_nth__a_write_that_failed_is_told(void **state)
{
	struct sluice_wal_loss loss;

	(void)state;
	for (enum damage damage = 0; damage < DAMAGE_MENDABLE; damage++) {
		int ret = -EIO;

		damage_make(&stage, damage);
		lie = -EIO;
		for (uint64_t n = 1; ret; n++) {
			const size_t mark = mem_disk_mark(&stage.disk);

			ret = sluice_wal_truncate_io(liar(n), stage.backup, &loss, NULL);
			assert_int_equal(ret, writes >= n ? -EIO : 0);
			assert_int_equal(sluice_wal_truncate_undo_io(liar(1), stage.backup, NULL),
					 -EIO);
			assert_int_equal(undo(), 0);
			assert_false(changed());
			unlink(stage.backup);
			mem_disk_rollback(&stage.disk, mark);
		}
		lie = 0;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_wal_truncate_nth__every_operation_of_a_cut,
					  clean_up),
		cmocka_unit_test_teardown(test_wal_truncate_nth__every_operation_of_an_undo,
					  clean_up),
		cmocka_unit_test_teardown(test_wal_truncate_nth__nothing_is_left_behind, clean_up),
		cmocka_unit_test_teardown(test_wal_truncate_nth__a_write_that_was_not_done,
					  clean_up),
		cmocka_unit_test_teardown(test_wal_truncate_nth__a_write_that_failed_is_told,
					  clean_up),
	};

	return cmocka_run_group_tests_name("wal_truncate_nth", tests, NULL, NULL);
}
