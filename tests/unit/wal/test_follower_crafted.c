/* SPDX-License-Identifier: MIT */
/*
 * test_follower_crafted.c - a follower of a log whose bytes are right one by one and do not belong
 * together: superblocks of another log or of yesterday, a snapshot that was named for another
 * state, and headers that look like witnesses and are none. Over a disk in memory, whose clock runs
 * as it is told (tests/unit/rules.mk).
 */
#include "tests/unit/wal/live_stage.h"

#include "engine/wal/follower.h"

#define DOUBT_NS 11000000000ull /* longer than a follower ever waits before it doubts */

static struct sluice_follower *follower;

static int teardown(void **state)
{
	(void)state;
	sluice_follower_close(follower);
	sluice_follower_close(NULL);
	follower = NULL;
	return clean_up(NULL);
}

static void open_follower(void)
{
	const struct sluice_follower_options options = {.every_bytes = 1ull << 50};

	assert_int_equal(sluice_follower_open(&follower, live_io(NULL), &options, &diag), 0);
	sluice_follower_hold(follower, true); /* it only looks */
}

/* Until it has doubted several times and found nothing: 0, or its error. */
static int follow(void)
{
	int ret = 0;

	for (uint64_t quiet = 0; ret >= 0 && quiet < 5;) {
		ret = sluice_follower_step(follower, &diag);
		quiet = ret ? 0 : quiet + 1;
		stage.disk.now_ns += DOUBT_NS;
	}
	return ret;
}

static uint64_t executed(void)
{
	struct sluice_follower_view view;

	sluice_follower_view(follower, &view);
	return view.block_seq;
}

static void test_follower_crafted__a_log_made_anew(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct sluice_wal_super *super;

		damage_make(&stage, DAMAGE_NONE);
		open_follower();
		assert_int_equal(follow(), 0);
		super = live_only_super();
		if (i == 0)
			super->log_uuid[9] ^= 1;
		else
			super->segment_bytes *= 2;
		live_seal(super);
		assert_int_equal(sluice_follower_step(follower, &diag), -ESTALE);
		assert_non_null(strstr(diag.text, "made anew"));
		sluice_follower_close(follower);
		follower = NULL;
	}
}

/* The newest copies are being written, and what the older ones say is known to be over. */
static void test_follower_crafted__yesterdays_superblock(void **state)
{
	struct sluice_follower_view before, after;
	struct sluice_wal_super *newest, next;

	(void)state;
	damage_make(&stage, DAMAGE_NONE);
	newest = live_only_super();
	next = *newest;
	next.sequence += 2;
	memcpy(live_copy(next.sequence), &next, sizeof(next));
	live_seal(live_copy(next.sequence));
	newest->snapshot[0].sequence = newest->snapshot[1].sequence = 0;
	live_seal(newest);
	open_follower();
	assert_int_equal(follow(), 0);
	sluice_follower_view(follower, &before);
	assert_int_equal(before.snapshot_named, 2);
	live_copy(next.sequence)->magic++;
	assert_int_equal(follow(), 0);
	sluice_follower_view(follower, &after);
	assert_int_equal(after.snapshot_named, 2);
	assert_int_equal(after.block_seq, before.block_seq);
}

static void test_follower_crafted__a_snapshot_of_another_state(void **state)
{
	struct sluice_wal_snapshot *newest;
	struct sluice_wal_super *super;
	uint64_t place;

	(void)state;
	damage_make(&stage, DAMAGE_NONE);
	damage_block(&stage, stage.k)[200] ^= 8; /* mended */
	super = live_only_super();
	newest = &super->snapshot[super->snapshot[1].sequence > super->snapshot[0].sequence];
	place = newest->place.block_seq;
	newest->place.md++; /* its file says otherwise: it is passed over */
	live_seal(super);
	open_follower();
	assert_true(executed() < place);
	assert_int_equal(follow(), -EBADMSG);
	assert_non_null(strstr(diag.text, "the place of a snapshot"));
	assert_int_equal(executed(), place);
}

static struct sluice_wal_block_header *header_of(uint64_t block_seq)
{
	return (struct sluice_wal_block_header *)(void *)damage_block(&stage, block_seq);
}

static void seal(struct sluice_wal_block_header *header)
{
	wal_repair_block((unsigned char *)header, SLUICE_WAL_BLOCK_BYTES_MAX);
}

/*
 * Block k is missing; what is behind it was in flight with it, or is another log's in the middle of
 * a segment. It waits on; one that knew k durable ends that.
 */
static void test_follower_crafted__witnesses_and_others(void **state)
{
	uint64_t last = 0;

	(void)state;
	damage_make(&stage, DAMAGE_NONE);
	damage_block(&stage, stage.k)[200] ^= 8; /* mended */
	for (uint64_t seq = stage.k; stage.at[seq + 2].segment_no; seq++)
		if (stage.at[seq].offset == SLUICE_WAL_SEGMENT_BYTES_MIN - SLUICE_WAL_ALIGN)
			last = seq;
	assert_true(last > 0);
	/* k is the last page of a segment: the first one of the next is looked at by itself */
	stage.k = last;
	memset(damage_block(&stage, stage.k), 0, 4096);
	for (uint64_t seq = stage.k + 1; stage.at[seq].segment_no; seq++) {
		header_of(seq)->durable_seq = stage.k;
		seal(header_of(seq));
		if (seq == stage.k + 2) {
			header_of(seq)->log_uuid[0] ^= 1;
			header_of(seq)->durable_seq = stage.k + 1;
			seal(header_of(seq));
		}
	}
	open_follower();
	assert_int_equal(follow(), 0);
	assert_true(executed() <= stage.k);
	header_of(stage.k + 1)->durable_seq = stage.k + 1;
	seal(header_of(stage.k + 1));
	assert_int_equal(follow(), -EBADMSG);
	assert_non_null(strstr(diag.text, "the log is damaged"));
}

static void test_follower_crafted__a_snapshot_that_ends_too_early(void **state)
{
	struct sluice_snapshot_header *header;
	struct sluice_snapshot_chunk *chunk;
	struct sluice_wal_snapshot *newest;
	struct sluice_wal_super *super;
	struct wal_life life = {.wal = NULL};
	struct sluice_wal *wal = NULL;
	unsigned char *file;

	(void)state;
	damage_make(&stage, DAMAGE_NONE);
	damage_block(&stage, stage.k)[200] ^= 8; /* mended */
	super = live_only_super();
	newest = &super->snapshot[super->snapshot[1].sequence > super->snapshot[0].sequence];
	file = stage.disk.files[SLUICE_WAL_FILE_SNAPSHOT + newest->sequence % 2];
	header = (struct sluice_snapshot_header *)(void *)file;
	chunk = (struct sluice_snapshot_chunk *)(void *)(file + SLUICE_WAL_ALIGN);
	assert_int_equal(chunk->n_records, header->records);
	header->records--; /* without END */
	chunk->n_records--;
	wal_repair_snapshot(file, stage.disk.bytes[SLUICE_WAL_FILE_SNAPSHOT]);
	newest->header_crc = header->header_crc;
	live_seal(super);
	/* the checksums agree: only who executes it finds out, and takes the other one */
	assert_int_equal(sluice_wal_open_io(&wal, live_io(NULL), NULL, &diag), 0);
	assert_int_equal(wal->position.snapshot, newest->sequence);
	assert_int_equal(wal_life_recover(&life, wal), 0);
	assert_int_equal(wal->position.snapshot, newest->sequence - 1);
	assert_non_null(strstr(sluice_wal_snapshot_text(wal), "a state that cannot be"));
	assert_int_equal(wal_life_close(&life, false), 0);
	open_follower();
	assert_true(executed() < newest->place.block_seq);
	assert_int_equal(follow(), 0);
}

/* It has read up to there, and then a superblock says that the log is another one at that place. */
static void test_follower_crafted__a_snapshot_of_another_end(void **state)
{
	struct sluice_wal_snapshot *newest;
	struct sluice_wal_super *super;
	struct sluice_wal_place end;
	struct sluice_wal *wal = NULL;

	(void)state;
	damage_make(&stage, DAMAGE_NONE);
	assert_int_equal(sluice_wal_open_io(&wal, live_io(NULL), NULL, &diag), 0);
	super = live_only_super();
	newest = &super->snapshot[super->snapshot[1].sequence > super->snapshot[0].sequence];
	sluice_wal_chain_place(&wal->chain, newest->place.report + wal->chain.reports_taken,
			       newest->place.md, &end);
	assert_int_equal(sluice_wal_close(wal, false, NULL), 0);
	open_follower();
	assert_int_equal(follow(), 0);
	newest->place = end;
	live_seal(super);
	assert_int_equal(follow(), 0);
	newest->place.cmd_seq++;
	live_seal(super);
	assert_int_equal(follow(), -EBADMSG);
	assert_non_null(strstr(diag.text, "the log is damaged"));
	assert_non_null(strstr(diag.text, "cmd_seq of a snapshot's place"));
}

#define crafted(test) cmocka_unit_test_teardown(test, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		crafted(test_follower_crafted__a_log_made_anew),
		crafted(test_follower_crafted__yesterdays_superblock),
		crafted(test_follower_crafted__a_snapshot_of_another_state),
		crafted(test_follower_crafted__witnesses_and_others),
		crafted(test_follower_crafted__a_snapshot_that_ends_too_early),
		crafted(test_follower_crafted__a_snapshot_of_another_end),
	};

	return cmocka_run_group_tests_name("follower_crafted", tests, NULL, NULL);
}
