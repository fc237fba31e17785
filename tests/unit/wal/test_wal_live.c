/* SPDX-License-Identifier: MIT */
/*
 * test_wal_live.c - a log that changes under those who look at it, and superblocks that are sound
 * and say what cannot be: nobody believes what is only true for a moment, everybody comes to an
 * end, and what is refused is refused by name. Over a disk in memory (tests/unit/rules.mk).
 */
#include "tests/unit/wal/live_stage.h"

#include "engine/core/core.h"
#include "engine/wal/follower.h"
#include "engine/wal/look.h"
#include "engine/wal/truncate.h"

static struct sluice_wal_look look;

/* ------------------------------------------------------------------------------------- looks */

static void damage_another_block(uint32_t file, uint64_t offset)
{
	(void)offset;
	if (file == SLUICE_WAL_FILE_SUPER && supers_read > 1) {
		damage_block(&stage, stage.k)[200] ^= 8; /* mended, and bad again */
		damage_block(&stage, stage.k + 1)[200] ^= 8;
	}
}

static void write_the_superblock(uint32_t file, uint64_t offset)
{
	(void)offset;
	if (file == SLUICE_WAL_FILE_SUPER && supers_read > 1)
		live_next_super();
}

/* Damaged and torn in turns: what is behind comes and goes. */
static void take_the_witnesses(uint32_t file, uint64_t offset)
{
	static unsigned char kept[DAMAGE_BLOCKS_MAX][4096];

	(void)offset;
	if (file != SLUICE_WAL_FILE_SUPER || supers_read < 2)
		return;
	for (uint64_t seq = stage.k + 1; stage.at[seq].segment_no || stage.at[seq].offset; seq++)
		if (supers_read % 2) {
			memcpy(damage_block(&stage, seq), kept[seq], 4096);
		} else {
			memcpy(kept[seq], damage_block(&stage, seq), 4096);
			memset(damage_block(&stage, seq), 0, 4096);
		}
}

static void test_wal_live__a_look_believes_what_stays(void **state)
{
	static void (*const hooks[])(uint32_t file, uint64_t offset) = {
		damage_another_block, write_the_superblock, take_the_witnesses};

	(void)state;
	for (uint32_t i = 0; i < 3; i++) {
		damage_make(&stage, DAMAGE_GONE_ROUND);
		assert_int_equal(sluice_wal_look_io(live_io(NULL), "/", &look, &diag), 0);
		assert_int_equal(look.refusal, -EBADMSG);
		assert_int_equal(supers_read, 3); /* opened, and seen twice */
		assert_int_equal(sluice_wal_look_io(live_io(hooks[i]), "/", &look, &diag), 0);
		assert_true(supers_read >= 6 && supers_read < 16);
		assert_true(look.has_end);
		assert_true(look.report.block_seq - stage.k <= 1);
	}
}

static void test_wal_live__a_look_reads_what_failed_once_more(void **state)
{
	struct sluice_wal_look right;
	uint64_t fired = 1, n = 0;

	(void)state;
	damage_make(&stage, DAMAGE_GONE_ROUND);
	damage_block(&stage, stage.k)[200] ^= 8; /* mended */
	stage.original = damage_digest(&stage.disk);
	assert_int_equal(sluice_wal_look_io(live_io(NULL), "/", &right, &diag), 0);
	assert_int_equal(right.refusal, 0);
	assert_true(right.behind.earlier_uses > 10);
	while (fired) {
		const struct fault_plan plan = {.at = ++n, .error = EIO, .fired = &fired};
		struct sluice_wal_io *io;
		int ret;

		fired = 0;
		assert_int_equal(fault_io_create(&io, live_io(NULL)), 0);
		fault_io_plan(io, &plan);
		ret = sluice_wal_look_io(io, "/", &look, &diag);
		if (ret) {
			assert_int_equal(ret, -EIO); /* it could not be opened */
			assert_true(diag.text[0]);
			continue;
		}
		assert_int_equal(look.refusal, 0);
		assert_int_equal(look.report.block_seq, right.report.block_seq);
		assert_memory_equal(&look.behind, &right.behind, sizeof(right.behind));
	}
	assert_true(n > 40);
	assert_int_equal(damage_digest(&stage.disk), stage.original);
}

static void test_wal_live__a_look_counts_blocks_in_any_order(void **state)
{
	unsigned char page[4096];

	(void)state;
	damage_make(&stage, DAMAGE_PAYLOAD);
	memcpy(page, damage_block(&stage, stage.k + 1), 4096);
	memcpy(damage_block(&stage, stage.k + 1), damage_block(&stage, stage.k + 2), 4096);
	memcpy(damage_block(&stage, stage.k + 2), page, 4096);
	assert_int_equal(sluice_wal_look_io(live_io(NULL), "/", &look, &diag), 0);
	assert_int_equal(look.refusal, -EBADMSG);
	assert_int_equal(look.behind.newer_first_seq, stage.k + 1);
	assert_int_equal(look.behind.newer_last_seq, stage.k + look.behind.newer);
}

static void test_wal_live__copies_of_a_superblock_that_is_cut_short(void **state)
{
	char dir[] = "/tmp/sluice-live-XXXXXX", path[64];
	FILE *super;

	(void)state;
	damage_make(&stage, DAMAGE_PAYLOAD);
	assert_int_equal(sluice_wal_look_io(live_io(NULL), "/no/such/place", &look, &diag), 0);
	for (uint32_t i = 0; i < SLUICE_WAL_SUPER_COPIES; i++)
		assert_string_equal(look.copies[i].fault.what, "bytes that can be read");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/super", dir);
	super = fopen(path, "w");
	assert_non_null(super);
	assert_int_equal(fwrite(live_copy(0), 4096, 2, super), 2);
	fclose(super);
	assert_int_equal(sluice_wal_look_io(live_io(NULL), dir, &look, &diag), 0);
	unlink(path);
	rmdir(dir);
	for (uint32_t i = 0; i < SLUICE_WAL_SUPER_COPIES; i++)
		assert_true(look.copies[i].valid == (i < 2));
}

static void test_wal_live__another_version(void **state)
{
	(void)state;
	damage_make(&stage, DAMAGE_PAYLOAD);
	live_only_super()->version = 3;
	assert_int_equal(sluice_wal_look_io(live_io(NULL), "/", &look, &diag), 0);
	assert_int_equal(look.refusal, -EPROTO);
	assert_non_null(strstr(look.text, "version 3"));
	assert_false(look.has_super);
}

static void test_wal_live__places_without_a_log(void **state)
{
	static char dirs[2][6000] = {"/no/such/place"};
	static const int errors[] = {-ENOENT, -ENAMETOOLONG};
	struct sluice_wal_reader *reader;
	struct sluice_wal_loss loss;

	(void)state;
	memset(dirs[1], 'a', sizeof(dirs[1]) - 1);
	for (uint32_t i = 0; i < 2; i++) {
		assert_int_equal(sluice_wal_look(dirs[i], &look, &diag), errors[i]);
		assert_int_equal(sluice_wal_reader_open(&reader, dirs[i], &diag), errors[i]);
		assert_int_equal(sluice_wal_truncate_look(dirs[i], NULL, NULL, &loss, &diag),
				 errors[i]);
		assert_int_equal(sluice_wal_truncate(dirs[i], "/tmp/none", &loss, &diag),
				 errors[i]);
		assert_int_equal(sluice_wal_truncate_undo(dirs[i], "/tmp/none", &diag), errors[i]);
		assert_true(diag.text[0]);
	}
	assert_int_equal(access("/tmp/none", F_OK), -1);
}

/* ----------------------------------------------------------------------------------- readers */

static struct sluice_wal_reader *opened(void (*hook)(uint32_t file, uint64_t offset))
{
	struct sluice_wal_reader *reader = NULL;

	assert_int_equal(sluice_wal_reader_open_io(&reader, live_io(hook), &diag), 0);
	return reader;
}

static int next(struct sluice_wal_reader *reader)
{
	const struct sluice_wal_block_header *header;
	const struct sluice_command *commands;
	uint32_t segment_no;
	uint64_t offset;

	return sluice_wal_reader_next(reader, &header, &commands, &segment_no, &offset);
}

static void test_wal_live__a_log_made_anew_under_a_reader(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct sluice_wal_reader *reader;
		struct sluice_wal_super *super;

		damage_make(&stage, DAMAGE_PAYLOAD);
		reader = opened(NULL);
		for (uint64_t seq = 0; seq < stage.k; seq++)
			assert_int_equal(next(reader), 1);
		assert_int_equal(next(reader), 0);
		super = live_only_super();
		if (i == 0)
			super->log_uuid[3] ^= 1;
		else
			super->segment_bytes *= 2;
		live_seal(super);
		assert_int_equal(next(reader), -ESTALE);
		sluice_wal_reader_close(reader);
	}
}

static void test_wal_live__a_verdict_that_is_never_the_same(void **state)
{
	struct sluice_wal_report report = {.block_seq = 4711};
	struct sluice_wal_reader *reader;

	(void)state;
	damage_make(&stage, DAMAGE_PAYLOAD);
	reader = opened(NULL);
	while (next(reader) == 1)
		;
	before_read = write_the_superblock;
	assert_int_equal(sluice_wal_reader_verdict(reader, &report), -EAGAIN);
	assert_int_equal(report.block_seq, 4711);
	before_read = NULL;
	assert_int_equal(sluice_wal_reader_verdict(reader, &report), 0);
	assert_int_equal(report.verdict, SLUICE_WAL_DAMAGED);
	assert_int_equal(report.block_seq, stage.k);
	sluice_wal_reader_close(reader);
}

static int restore(void (*hook)(uint32_t file, uint64_t offset))
{
	struct sluice_wal_reader *reader = opened(NULL);
	struct sluice_core *core = NULL;
	void *memory = aligned_alloc(64, 1u << 20);
	int ret;

	assert_non_null(memory);
	before_read = hook;
	ret = sluice_wal_reader_restore(reader, memory, &core, &diag);
	assert_true(!ret == !!core);
	sluice_wal_reader_close(reader);
	free(memory);
	return ret;
}

/* As if the log had been made anew while its snapshot was read. */
static void make_it_anew(uint32_t file, uint64_t offset)
{
	struct sluice_wal_super *super;

	(void)offset;
	if (file != SLUICE_WAL_FILE_SUPER)
		return;
	super = live_only_super();
	super->log_uuid[3]++;
	live_seal(super);
}

static void test_wal_live__states_that_cannot_be_restored(void **state)
{
	struct sluice_wal_super *super;

	(void)state;
	damage_make(&stage, DAMAGE_GONE_ROUND);
	assert_int_equal(restore(NULL), 0);
	stage.disk.files[SLUICE_WAL_FILE_SNAPSHOT][5000] ^= 1;
	assert_int_equal(restore(NULL), 0); /* from the other one */
	stage.disk.files[SLUICE_WAL_FILE_SNAPSHOT + 1][5000] ^= 1;
	assert_int_equal(restore(NULL), -EBADMSG);
	assert_int_equal(restore(make_it_anew), -ESTALE);
	supers_read = 0;
	assert_int_equal(restore(write_the_superblock), -EBADMSG); /* and not for ever */
	assert_true(supers_read >= 3 && supers_read < 10);
	super = live_only_super();
	super->snapshot[0].sequence = super->snapshot[1].sequence = 0;
	live_seal(super);
	assert_int_equal(restore(NULL), -EBADMSG);
	assert_non_null(strstr(diag.text, "names no snapshot"));
}

/* ------------------------------------------------------------- superblocks that cannot be used */

static void test_wal_live__a_start_that_nothing_holds(void **state)
{
	struct sluice_wal_super *super;
	struct sluice_wal *wal;

	(void)state;
	damage_make(&stage, DAMAGE_GONE_ROUND);
	super = live_only_super();
	super->snapshot[0].sequence = super->snapshot[1].sequence = 0;
	live_seal(super);
	assert_int_equal(sluice_wal_open_io(&wal, live_io(NULL), NULL, &diag), -EBADMSG);
	assert_non_null(strstr(diag.text, "the superblock names none"));
	assert_true(diag.hint[0]);
}

static void test_wal_live__limits_that_no_core_has(void **state)
{
	struct sluice_follower *follower;
	struct sluice_wal_super *super;
	struct sluice_core *core;
	struct sluice_wal *wal = NULL;

	(void)state;
	damage_make(&stage, DAMAGE_PAYLOAD);
	damage_block(&stage, stage.k)[200] ^= 8; /* mended */
	super = live_only_super();
	super->limits.orders_max = UINT32_MAX;
	live_seal(super);
	assert_int_equal(sluice_wal_open_io(&wal, live_io(NULL), NULL, &diag), 0);
	assert_true(sluice_wal_restore(wal, NULL, &core, &diag) < 0);
	assert_true(diag.text[0]);
	assert_int_equal(sluice_wal_close(wal, false, NULL), 0);
	assert_int_equal(sluice_follower_open(&follower, live_io(NULL), NULL, &diag), -EPROTO);
	assert_non_null(strstr(diag.text, "limits"));
	assert_int_equal(restore(NULL), -EINVAL);
}

static void test_wal_live__epochs_that_are_used_up(void **state)
{
	struct sluice_wal_super *super;
	struct wal_life life = {.wal = NULL};
	struct sluice_wal *wal = NULL;
	uint32_t before;

	(void)state;
	damage_make(&stage, DAMAGE_PAYLOAD);
	damage_block(&stage, stage.k)[200] ^= 8; /* mended */
	super = live_only_super();
	super->epoch = UINT32_MAX;
	live_seal(super);
	before = damage_digest(&stage.disk);
	assert_int_equal(sluice_wal_open_io(&wal, live_io(NULL), NULL, &diag), 0);
	assert_int_equal(wal_life_recover(&life, wal), 0);
	assert_int_equal(wal_life_start(&life), -EOVERFLOW);
	assert_non_null(strstr(life.diag.text, "epochs"));
	assert_int_equal(wal_life_close(&life, true), 0);
	assert_int_equal(damage_digest(&stage.disk), before);
}

#define live_test(test) cmocka_unit_test_teardown(test, clean_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		live_test(test_wal_live__a_look_believes_what_stays),
		live_test(test_wal_live__a_look_reads_what_failed_once_more),
		live_test(test_wal_live__a_look_counts_blocks_in_any_order),
		live_test(test_wal_live__copies_of_a_superblock_that_is_cut_short),
		live_test(test_wal_live__another_version),
		live_test(test_wal_live__places_without_a_log),
		live_test(test_wal_live__a_log_made_anew_under_a_reader),
		live_test(test_wal_live__a_verdict_that_is_never_the_same),
		live_test(test_wal_live__states_that_cannot_be_restored),
		live_test(test_wal_live__a_start_that_nothing_holds),
		live_test(test_wal_live__limits_that_no_core_has),
		live_test(test_wal_live__epochs_that_are_used_up),
	};

	return cmocka_run_group_tests_name("wal_live", tests, NULL, NULL);
}
