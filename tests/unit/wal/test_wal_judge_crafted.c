/* SPDX-License-Identifier: MIT */
/*
 * test_wal_judge_crafted.c - blocks with right checksums in places where no engine leaves them:
 * each one proves damage in its own words, or must be told apart from one that proves nothing. Over
 * a disk in memory, with blocks of 8 KiB and segments of 16 KiB (tests/unit/rules.mk).
 */
#include "tests/unit/wal/live_stage.h"

#include "engine/wal/look.h"

static struct sluice_wal_look look;

static struct sluice_wal_block_header *header_of(uint64_t block_seq)
{
	return (struct sluice_wal_block_header *)(void *)damage_block(&stage, block_seq);
}

static void seal(struct sluice_wal_block_header *header)
{
	wal_repair_block((unsigned char *)header, SLUICE_WAL_BLOCK_BYTES_MAX);
}

static void blank(uint64_t first, uint64_t end)
{
	for (uint64_t seq = first; seq < end; seq++)
		memset(damage_block(&stage, seq), 0, 4096);
}

/* 0 and where the log ends, or the refusal; its words are in diag. */
static int opens(uint64_t *ret_end)
{
	struct sluice_wal *wal = NULL;
	int ret = sluice_wal_open_io(&wal, live_io(NULL), NULL, &diag);

	if (ret)
		return ret;
	*ret_end = wal->position.next_block_seq;
	return sluice_wal_close(wal, false, NULL);
}

static void assert_damaged(const char *words)
{
	uint64_t unused;

	assert_int_equal(opens(&unused), -EBADMSG);
	if (!strstr(diag.text, words))
		print_message("expected \"%s\" in: %s\n", words, diag.text);
	assert_non_null(strstr(diag.text, words));
}

/* As many blocks behind k as may have been in flight with it, none of which knew it durable. */
static void in_flight_with_k(uint64_t blocks)
{
	for (uint64_t seq = stage.k + 1; seq <= stage.k + blocks; seq++) {
		header_of(seq)->durable_seq = stage.k;
		seal(header_of(seq));
	}
}

static void test_wal_judge_crafted__the_same_number_twice(void **state)
{
	uint64_t end = 0;

	(void)state;
	damage_make(&stage, DAMAGE_GONE_ROUND);
	in_flight_with_k(4);
	blank(stage.k, stage.k + 1);
	assert_int_equal(opens(&end), 0); /* torn */
	assert_int_equal(end, stage.k);
	memcpy(header_of(stage.k + 3), header_of(stage.k + 2), 4096);
	assert_damaged("which is not its place");
	/* and where k itself belongs */
	blank(stage.k + 3, stage.k + 4);
	assert_int_equal(opens(&end), 0);
	memcpy(header_of(stage.k), header_of(stage.k + 2), 4096);
	header_of(stage.k)->segment_no = (uint32_t)stage.at[stage.k].segment_no;
	seal(header_of(stage.k));
	blank(stage.k + 2, stage.k + 3);
	assert_damaged("which is not its place");
}

/* The first block of an earlier use that is behind the end, in the second segment from there. */
static uint64_t an_earlier_use(void)
{
	uint64_t seq = stage.k;

	while (stage.at[seq].segment_no < stage.at[stage.k].segment_no + 4)
		if (!stage.at[++seq].segment_no) /* not written: 16 segments earlier */
			break;
	for (seq = 0;
	     stage.at[seq].segment_no + SLUICE_WAL_SEGMENTS < stage.at[stage.k].segment_no + 4 ||
	     stage.at[seq].offset;
	     seq++)
		assert_true(seq < stage.k);
	return seq;
}

static void test_wal_judge_crafted__earlier_uses_that_cannot_be(void **state)
{
	uint64_t end = 0, old;
	unsigned char *was;
	char words[64];

	(void)state;
	damage_make(&stage, DAMAGE_GONE_ROUND);
	damage_block(&stage, stage.k)[200] ^= 8; /* mended */
	old = an_earlier_use();
	was = malloc(4096);
	assert_non_null(was);
	memcpy(was, header_of(old + 1), 4096);
	assert_int_equal(opens(&end), 0);
	assert_int_equal(end, stage.k + 5);
	header_of(old + 1)->block_seq++; /* a gap */
	seal(header_of(old + 1));
	snprintf(words, sizeof(words), "offset %llu does not belong behind",
		 (unsigned long long)stage.at[old + 1].offset);
	assert_damaged(words); /* and not only the one behind it */
	memcpy(header_of(old + 1), was, 4096);
	header_of(old + 1)->prev_link++; /* of another chain */
	seal(header_of(old + 1));
	assert_damaged("does not belong behind");
	memcpy(header_of(old + 1), was, 4096);
	header_of(old + 1)->block_seq = stage.k - 1; /* which the log still holds */
	seal(header_of(old + 1));
	assert_damaged("nothing can be left there");
	assert_int_equal(sluice_wal_look_io(live_io(NULL), "/", &look, &diag), 0);
	assert_int_equal(look.behind.newer + look.behind.older_epochs, 1); /* no earlier use */
	memcpy(header_of(old + 1), was, 4096);
	free(was);
	assert_int_equal(opens(&end), 0);
}

/* A snapshot stands for the block before it, and something else is there. */
static void test_wal_judge_crafted__another_block_before_the_snapshot(void **state)
{
	unsigned char *was = malloc(4096);
	uint64_t end = 0, before;

	(void)state;
	assert_non_null(was);
	damage_make(&stage, DAMAGE_NONE);
	before = stage.k + 2; /* three before the newest snapshot's place is damaged */
	memcpy(was, header_of(before), 4096);
	blank(before + 1, DAMAGE_BLOCKS_MAX);
	memcpy(header_of(before), was, 4096);
	assert_int_equal(opens(&end), 0);
	assert_int_equal(end, before + 1);
	header_of(before)->input_time_ns++; /* the number is right, the link is not */
	seal(header_of(before));
	assert_damaged("older than the superblock");
	memcpy(header_of(before), header_of(before - 1), 4096);
	assert_damaged("older than the superblock");
	memcpy(header_of(before), was, 4096);
	assert_int_equal(opens(&end), 0);
	free(was);
}

/* Behind a live range that is used up: what a lost superblock let be written, or anything else. */
static void test_wal_judge_crafted__beyond_the_live_range(void **state)
{
	uint64_t end = 0;

	(void)state;
	damage_make(&stage, DAMAGE_LOST_SUPER);
	assert_damaged("a superblock that let it be written was lost");
	header_of(stage.k)->log_uuid[0] ^= 1;
	seal(header_of(stage.k));
	assert_damaged("another log");
	header_of(stage.k)->magic++;
	assert_int_equal(opens(&end), 0); /* nobody can know */
	assert_int_equal(end, stage.k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_wal_judge_crafted__the_same_number_twice, clean_up),
		cmocka_unit_test_teardown(test_wal_judge_crafted__earlier_uses_that_cannot_be,
					  clean_up),
		cmocka_unit_test_teardown(test_wal_judge_crafted__another_block_before_the_snapshot,
					  clean_up),
		cmocka_unit_test_teardown(test_wal_judge_crafted__beyond_the_live_range, clean_up),
	};

	return cmocka_run_group_tests_name("wal_judge_crafted", tests, NULL, NULL);
}
