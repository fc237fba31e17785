/* SPDX-License-Identifier: MIT */
/*
 * test_wal_judge_round.c - torn or damaged, in a log that has gone round: behind its end lie whole
 * blocks of the use of the segment before, of the same epoch, right where the next ones go. They
 * are no tail; and whatever else lies there is not overlooked because of them.
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

#include "engine/wal/wal_internal.h"
#include "tests/lib/wal_world.h"

#define SEGMENT WAL_FIXTURE_SEGMENT_BYTES
#define EIGHTH (SEGMENT / 8)
#define SECTOR 512u

/* Recovery and reader agree on where the log ends; the state is the live one. */
static void expect_end(struct wal_world *world, const struct wal_world_state *want, bool torn)
{
	struct sluice_wal_position position;
	struct sluice_wal_report report;
	struct wal_world_state back;
	int ret = wal_world_recover(world, &back, &position);

	if (ret)
		print_message("%s\n", world->fixture.diag.text);
	assert_int_equal(ret, 0);
	assert_true(wal_world_same(&back, want));
	assert_int_equal(position.torn, torn);
	wal_world_state_release(&back);
	wal_world_verdict(world, &report);
	assert_int_equal(report.verdict, torn ? SLUICE_WAL_TORN : SLUICE_WAL_INTACT);
	assert_int_equal(report.block_seq, position.next_block_seq);
}

static void expect_damaged(struct wal_world *world, const char *text)
{
	struct sluice_wal_report report;
	struct sluice_wal *wal;

	assert_int_equal(wal_fixture_open(&world->fixture, &wal), -EBADMSG);
	if (!strstr(world->fixture.diag.text, text))
		print_message("%s\n", world->fixture.diag.text);
	assert_non_null(strstr(world->fixture.diag.text, text));
	wal_world_verdict(world, &report);
	assert_int_equal(report.verdict, SLUICE_WAL_DAMAGED);
	assert_non_null(strstr(report.text, text));
}

/* One epoch, round after round; where the next block goes an old one begins. */
static void make_round(struct wal_world *world, uint64_t stream, uint64_t segment_no)
{
	wal_world_make(world, stream);
	wal_world_go_on(world);
	wal_world_fill(world, segment_no, 4);
}

static void test_wal_judge_round__old_blocks_behind_the_end_are_no_tail(void **state)
{
	struct wal_world world;

	(void)state;
	wal_world_make(&world, 21);
	wal_world_go_on(&world);
	for (uint64_t i = 0; i < 3; i++) {
		const uint64_t segment_no = 17 * i + 20;
		struct sluice_wal_block_header old;

		wal_world_fill(&world, segment_no, 4);
		for (uint64_t eighth = 0; eighth < i; eighth++)
			wal_world_eighth(&world);
		wal_world_close(&world, false);
		wal_fixture_peek(&world.fixture, (uint32_t)segment_no % 16, i * EIGHTH, &old,
				 sizeof(old));
		assert_int_equal(old.magic, SLUICE_WAL_BLOCK_MAGIC);
		assert_int_equal(old.segment_no, segment_no - 16);
		assert_int_equal(old.epoch, i + 1);
		expect_end(&world, &world.live, false);
		wal_world_go_on(&world);
	}
	wal_world_block(&world, 7); /* ends amid an old block */
	wal_world_close(&world, true);
	expect_end(&world, &world.live, false);
	wal_world_remove(&world);
}

struct tail { /* block k, and what lay in its place before */
	uint32_t file;
	uint64_t offset;
	unsigned char before[EIGHTH];
	unsigned char after[EIGHTH];
	struct wal_world_state end; /* without k */
};

static void make_tail(struct wal_world *world, struct tail *tail)
{
	tail->file = (uint32_t)(world->wal->chain.segment_no % SLUICE_WAL_SEGMENTS);
	tail->offset = world->wal->chain.offset;
	wal_fixture_peek(&world->fixture, tail->file, tail->offset, tail->before, EIGHTH);
	wal_world_block(world, 90);
	wal_fixture_peek(&world->fixture, tail->file, tail->offset, tail->after, EIGHTH);
	wal_world_close(world, false);
	wal_fixture_poke(&world->fixture, tail->file, tail->offset, tail->before, EIGHTH);
	assert_int_equal(wal_world_recover(world, &tail->end, NULL), 0);
}

/* The first write of a segment that is used again, torn at every sector. */
static void test_wal_judge_round__a_tail_torn_over_an_old_block_is_cut(void **state)
{
	struct tail *tail = malloc(sizeof(*tail));
	struct wal_world world;

	(void)state;
	for (uint64_t eighth = 0; eighth < 4; eighth += 3) {
		make_round(&world, 22, 18);
		for (uint64_t i = 0; i < eighth; i++)
			wal_world_eighth(&world);
		make_tail(&world, tail);
		expect_end(&world, &tail->end, false);
		for (uint32_t at = SECTOR; at < 128 + 90 * 120; at += (eighth ? 9 : 1) * SECTOR) {
			wal_fixture_poke(&world.fixture, tail->file, tail->offset, tail->before,
					 12288);
			wal_fixture_poke(&world.fixture, tail->file, tail->offset, tail->after, at);
			expect_end(&world, &tail->end, true);
		}
		/* all but the first sector: an old header lies there, and nothing tells of k */
		wal_fixture_poke(&world.fixture, tail->file, tail->offset, tail->after, 12288);
		wal_fixture_poke(&world.fixture, tail->file, tail->offset, tail->before, SECTOR);
		expect_end(&world, &tail->end, false);
		wal_world_start(&world);
		assert_true(wal_world_same(&world.live, &tail->end));
		wal_world_block(&world, 3);
		wal_world_close(&world, true);
		expect_end(&world, &world.live, false);
		wal_world_state_release(&tail->end);
		wal_world_remove(&world);
	}
	free(tail);
}

static void copy(struct wal_world *world, uint32_t from_file, uint64_t from, uint32_t to_file,
		 uint64_t to)
{
	static unsigned char block[EIGHTH];

	wal_fixture_peek(&world->fixture, from_file, from, block, EIGHTH);
	wal_fixture_poke(&world->fixture, to_file, to, block, EIGHTH);
}

/* Ends at the third eighth of segment 34, in file 2; segments 19 to 33 are the old ones behind. */
static void test_wal_judge_round__an_old_block_in_another_place_is_damage(void **state)
{
	static unsigned char first_round[EIGHTH], kept[EIGHTH];
	struct wal_world world;

	(void)state;
	make_round(&world, 23, 5);
	wal_fixture_peek(&world.fixture, 4, 5 * EIGHTH, first_round, EIGHTH);
	wal_world_fill(&world, 34, 4);
	wal_world_eighth(&world);
	wal_world_eighth(&world);
	wal_world_close(&world, false);
	expect_end(&world, &world.live, false);
	/* within its file: twice, and in another order */
	wal_fixture_peek(&world.fixture, 2, 5 * EIGHTH, kept, EIGHTH);
	copy(&world, 2, 4 * EIGHTH, 2, 5 * EIGHTH);
	expect_damaged(&world, "does not belong behind block");
	copy(&world, 2, 6 * EIGHTH, 2, 5 * EIGHTH);
	expect_damaged(&world, "does not belong behind block");
	wal_fixture_flip(&world.fixture, 2, 6 * EIGHTH + 9, 1); /* nothing else would tell */
	expect_damaged(&world, "does not belong behind block");
	wal_fixture_flip(&world.fixture, 2, 6 * EIGHTH + 9, 1);
	wal_fixture_poke(&world.fixture, 2, 5 * EIGHTH, kept, EIGHTH);
	expect_end(&world, &world.live, false);
	wal_fixture_peek(&world.fixture, 2, 7 * EIGHTH, kept, EIGHTH);
	copy(&world, 2, 5 * EIGHTH, 2, 7 * EIGHTH);
	wal_fixture_flip(&world.fixture, 2, 6 * EIGHTH + 9, 1); /* nor here: both neighbours */
	wal_fixture_flip(&world.fixture, 3, 9, 1);
	expect_damaged(&world, "does not belong behind block");
	wal_fixture_flip(&world.fixture, 2, 6 * EIGHTH + 9, 1);
	wal_fixture_flip(&world.fixture, 3, 9, 1);
	wal_fixture_poke(&world.fixture, 2, 7 * EIGHTH, kept, EIGHTH);
	/* in another file, from before and from behind */
	wal_fixture_peek(&world.fixture, 6, 3 * EIGHTH, kept, EIGHTH);
	copy(&world, 7, 3 * EIGHTH, 6, 3 * EIGHTH);
	expect_damaged(&world, "belongs into segment 23");
	copy(&world, 1, 3 * EIGHTH, 6, 3 * EIGHTH);
	expect_damaged(&world, "belongs into segment 33");
	wal_fixture_poke(&world.fixture, 6, 3 * EIGHTH, kept, EIGHTH);
	/* of a round before the last: its place was overwritten since */
	wal_fixture_peek(&world.fixture, 4, 5 * EIGHTH, kept, EIGHTH);
	wal_fixture_poke(&world.fixture, 4, 5 * EIGHTH, first_round, EIGHTH);
	expect_damaged(&world, "is of segment 4, of which nothing can be left there");
	wal_fixture_poke(&world.fixture, 4, 5 * EIGHTH, kept, EIGHTH);
	/* rot among them says nothing */
	wal_fixture_flip(&world.fixture, 6, 3 * EIGHTH + 700, 1);
	wal_fixture_flip(&world.fixture, 2, 5 * EIGHTH + 30, 1);
	expect_end(&world, &world.live, false);
	wal_world_remove(&world);
}

/* The live part is judged as ever: rot, lost writes, the mark of the end. */
static void test_wal_judge_round__the_live_part_is_judged_as_ever(void **state)
{
	static unsigned char old[EIGHTH], kept[EIGHTH];
	struct wal_world world;

	(void)state;
	make_round(&world, 24, 33);
	wal_fixture_peek(&world.fixture, 1, EIGHTH, old, EIGHTH);
	wal_world_eighth(&world);
	wal_world_eighth(&world);
	wal_world_eighth(&world);
	wal_world_close(&world, false);
	expect_end(&world, &world.live, false);
	wal_fixture_peek(&world.fixture, 1, EIGHTH, kept, EIGHTH);
	/* a write that was acknowledged and never done: the block behind it knows */
	wal_fixture_poke(&world.fixture, 1, EIGHTH, old, EIGHTH);
	expect_damaged(&world, "wal-01 offset 131072");
	wal_fixture_poke(&world.fixture, 1, EIGHTH, kept, EIGHTH);
	wal_fixture_flip(&world.fixture, 1, 5000, 1);
	expect_damaged(&world, "wal-01 offset 0: block");
	wal_fixture_flip(&world.fixture, 1, 5000, 1);
	wal_world_go_on(&world);
	wal_fixture_peek(&world.fixture, 1, 3 * EIGHTH, old, 4096);
	wal_world_close(&world, true);
	expect_end(&world, &world.live, false);
	wal_fixture_poke(&world.fixture, 1, 3 * EIGHTH, old + 4096, 4096);
	expect_damaged(&world, "is not valid");
	wal_world_remove(&world);
}

/* Copies of the superblock lost. One: the same end. Up to three: that, or a refusal; never less. */
static void test_wal_judge_round__a_lost_superblock_loses_no_command(void **state)
{
	uint32_t same = 0, refused = 0, beyond = 0;
	struct wal_world world;

	(void)state;
	wal_world_make(&world, 25);
	wal_world_go_on(&world);
	wal_world_fill(&world, 8, 7);
	wal_world_snapshot(&world); /* number 2: the log starts at segment 7 */
	for (uint64_t segment_no = 16; segment_no <= 23; segment_no += segment_no < 20 ? 4 : 3) {
		wal_world_fill(&world, segment_no, 0);
		wal_world_eighth(&world);
		if (segment_no == 20)
			wal_world_snapshot(&world); /* number 3: at segment 8 */
		wal_world_close(&world, false);
		wal_fixture_save(&world.fixture, 0);
		for (uint32_t mask = 0; mask < 15; mask++) {
			struct wal_world_state back;
			int ret;

			for (uint32_t i = 0; i < 4; i++)
				if (mask & 1u << i)
					wal_fixture_flip(&world.fixture, SLUICE_WAL_FILE_SUPER,
							 i * 4096 + 60, 0);
			ret = wal_world_recover(&world, &back, NULL);
			if (!ret) {
				assert_true(wal_world_same(&back, &world.live));
				wal_world_state_release(&back);
				same++;
			} else {
				assert_int_equal(ret, -EBADMSG);
				assert_true(mask & (mask - 1)); /* more than one */
				refused++;
				beyond += strstr(world.fixture.diag.text, "was lost") != NULL;
			}
			wal_fixture_restore(&world.fixture);
		}
		wal_world_go_on(&world);
	}
	assert_true(same > 30 && refused > 1 && beyond > 1);
	wal_world_remove(&world);
}

struct lives {
	struct wal_world world;
	uint64_t seed;
	uint64_t durable;	      /* commands below */
	struct sluice_wal_chain tail; /* behind the last durable block */
	unsigned char *before[2];     /* its segment and the next one, without what was in flight */
};

static void tear_block(struct lives *lives, const struct sluice_wal_block_header *header)
{
	const struct sluice_wal_chain *at = &lives->tail;
	const unsigned char *before = lives->before[at->segment_no % 2] + at->offset;
	const uint32_t bytes = sluice_wal_block_bytes(header->n_cmds);
	const uint64_t kind = wal_fixture_random(&lives->seed) % 4;
	const uint64_t prefix = wal_fixture_random(&lives->seed) % bytes;

	for (uint32_t i = 0; kind != 0 && i < bytes; i += SECTOR) {
		const bool keep = kind == 1 ? false :
				  kind == 2 ? i < prefix :
					      wal_fixture_random(&lives->seed) % 2;

		if (!keep)
			wal_fixture_poke(&lives->world.fixture,
					 (uint32_t)(at->segment_no % SLUICE_WAL_SEGMENTS),
					 at->offset + i, before + i, SECTOR);
	}
}

static void tear(struct lives *lives, uint64_t end_seq)
{
	while (lives->tail.block_seq < end_seq) {
		struct sluice_wal_block_header header;

		wal_fixture_peek(&lives->world.fixture,
				 (uint32_t)(lives->tail.segment_no % SLUICE_WAL_SEGMENTS),
				 lives->tail.offset, &header, sizeof(header));
		assert_int_equal(header.block_seq, lives->tail.block_seq);
		tear_block(lives, &header);
		sluice_wal_chain_advance(&lives->tail, &header);
	}
}

/* One life: recover, write a few segments with snapshots, crash with blocks in flight. */
static void live_once(struct lives *lives)
{
	struct wal_world *world = &lives->world;
	uint64_t end_seq;

	wal_world_start(world);
	assert_true(world->cmd_seq >= lives->durable);
	for (uint64_t i = wal_fixture_random(&lives->seed) % 16; i > 0; i--) {
		if (wal_fixture_random(&lives->seed) % 8 == 0 ||
		    sluice_wal_live_bytes(world->wal) > 12ull * SEGMENT)
			wal_world_snapshot(world);
		wal_world_block(world, 1 + (uint32_t)(wal_fixture_random(&lives->seed) % 2000));
	}
	lives->durable = world->cmd_seq;
	lives->tail = world->wal->chain;
	for (uint64_t i = 0; i < 2; i++) {
		const uint64_t segment_no = lives->tail.segment_no + i;

		wal_fixture_peek(&world->fixture, (uint32_t)(segment_no % SLUICE_WAL_SEGMENTS), 0,
				 lives->before[segment_no % 2], SEGMENT);
	}
	for (uint64_t i = wal_fixture_random(&lives->seed) % 5; i > 0; i--)
		if (!wal_world_submit(world,
				      1 + (uint32_t)(wal_fixture_random(&lives->seed) % 900)))
			break;
	end_seq = world->wal->chain.block_seq;
	wal_world_close(world, false);
	tear(lives, end_seq);
}

static void test_wal_judge_round__lives_and_deaths_for_several_rounds(void **state)
{
	struct lives *lives = malloc(sizeof(*lives));
	uint32_t n = 0;

	(void)state;
	*lives = (struct lives){.seed = wal_fixture_seed("several_rounds")};
	wal_world_make(&lives->world, 26);
	for (uint32_t i = 0; i < 2; i++)
		lives->before[i] = malloc(SEGMENT);
	while (lives->tail.segment_no < 40) {
		live_once(lives);
		assert_true(n++ < 400);
	}
	wal_world_start(&lives->world);
	wal_world_block(&lives->world, 5);
	wal_world_close(&lives->world, true);
	expect_end(&lives->world, &lives->world.live, false);
	wal_world_remove(&lives->world);
	for (uint32_t i = 0; i < 2; i++)
		free(lives->before[i]);
	free(lives);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wal_judge_round__old_blocks_behind_the_end_are_no_tail),
		cmocka_unit_test(test_wal_judge_round__a_tail_torn_over_an_old_block_is_cut),
		cmocka_unit_test(test_wal_judge_round__an_old_block_in_another_place_is_damage),
		cmocka_unit_test(test_wal_judge_round__the_live_part_is_judged_as_ever),
		cmocka_unit_test(test_wal_judge_round__a_lost_superblock_loses_no_command),
		cmocka_unit_test(test_wal_judge_round__lives_and_deaths_for_several_rounds),
	};

	return cmocka_run_group_tests_name("wal_judge_round", tests, NULL, NULL);
}
