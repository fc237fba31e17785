/* SPDX-License-Identifier: MIT */
/*
 * test_wal_states.c - every state that a loss of power can leave, one by one. Short scripts of
 * blocks and a superblock's flip run over a disk in memory; whenever something is on its way, every
 * mixture of its sectors (all of them when they are few, else every torn prefix of each write, and
 * some more) becomes an image, and recovery must accept each one: what was acknowledged is there,
 * what is there was submitted, in order, and nothing is damaged. Some images go on: a second life
 * recovers, writes over the tail with other batches, and loses power again at every point.
 *
 * The log is built with blocks of 8 KiB and segments of 16 KiB (tests/unit/rules.mk).
 * STATES=n tries n times as many scripts.
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

#include "tests/lib/mem_tears.h"
#include "tests/lib/wal_fixture.h"
#include "tests/lib/wal_life.h"

#define LINKS 1024u
#define FULL_RECORDS ((SLUICE_WAL_BLOCK_BYTES_MAX - 128u) / SLUICE_WAL_RECORD_BYTES)
#define BLOCKS 6u
#define IMAGES_AT_A_POINT 120u

struct world {
	struct mem_disk disk;
	struct wal_fixture fixture;
	struct wal_life *life; /* the one that is writing */
	uint64_t links[LINKS];
	uint64_t first_links[LINKS];	       /* of the first life, while a second one writes */
	uint64_t first_end;		       /* its blocks were numbered below */
	uint64_t cut_at;		       /* where the second one's OPEN goes */
	uint64_t images, lives, accepted_more; /* statistics */
	uint64_t budget;		       /* images at one point */
	uint64_t seed;
	uint32_t depth; /* 1: a second life */
	uint32_t life_every;
	bool failed;
};

static void say_failure(struct world *world, const char *what, const char *text)
{
	if (!world->failed)
		printf("  image %llu, depth %u, script seed %llu: %s: %s\n",
		       (unsigned long long)world->images, world->depth,
		       (unsigned long long)world->seed, what, text);
	world->failed = true;
}

/* ------------------------------------------------------------------------------- one image */

static struct sluice_wal *open_image(struct world *world)
{
	struct sluice_wal *wal = NULL;
	struct sluice_diag diag = {"", ""};

	if (sluice_wal_open_io(&wal, mem_disk_io(&world->disk), &world->fixture.options, &diag))
		say_failure(world, "not accepted", diag.text);
	return wal;
}

/*
 * Until a second life's OPEN is durable it has shown nothing to anybody, and the parts of OPEN that
 * arrived may even complete the torn block that it cuts: then the first life's tail is the log.
 */
static bool is_first_tail(const struct world *world, const struct sluice_wal *wal)
{
	const uint64_t seq = wal->chain.block_seq;

	return world->depth && world->life->wal->durable_seq <= world->cut_at &&
	       seq <= world->first_end && wal->chain.prev_link == world->first_links[seq % LINKS];
}

/* The oath: nothing acknowledged is missing; what is there was submitted, in its place. */
static const char *judge(struct world *world, const struct sluice_wal *wal)
{
	const struct sluice_wal *live = world->life->wal;
	const uint64_t seq = wal->chain.block_seq;
	const uint64_t named = sluice_wal_snapshot_named(wal);
	const uint64_t super = wal->super.sequence - live->super.sequence;

	if (seq < live->durable_seq)
		return "an acknowledged block is missing";
	if (!is_first_tail(world, wal)) {
		if (seq > live->chain.block_seq)
			return "a block that was never submitted";
		if (wal->chain.prev_link != world->links[seq % LINKS])
			return "another block than was submitted";
	}
	if (super > 2)
		return "another superblock than was written";
	if (named != sluice_wal_snapshot_named(live) &&
	    (super == 0 || named != sluice_wal_snapshot_named(live) + 1))
		return "another snapshot is named";
	if (wal->position.snapshot != named)
		return "the newest snapshot is not good";
	world->accepted_more += seq > live->durable_seq;
	return NULL;
}

static void second_life(struct world *world, struct sluice_wal *wal);

static void check_image(struct world *world)
{
	struct sluice_wal *wal = open_image(world);
	const char *wrong;

	world->images++;
	if (!wal)
		return;
	wrong = judge(world, wal);
	if (wrong)
		say_failure(world, wrong, wal->report.text);
	if (!wrong && !world->depth && world->images % world->life_every == 0)
		second_life(world, wal);
	else
		sluice_wal_close(wal, false, NULL);
}

/* ------------------------------------------------------------------------------ all images */

static bool try_image(void *arg)
{
	struct world *world = arg;

	check_image(world);
	return !world->failed;
}

/* What is on its way now is taken away from the disk meanwhile: an image has none of it. */
static void power_fails_here(struct mem_disk *disk, void *arg)
{
	struct world *world = arg;
	struct mem_write writes[MEM_WRITES_MAX];
	const uint32_t n = disk->n_writes;
	const uint64_t random = disk->random;
	const struct mem_tears tears = {
		.writes = writes,
		.n_writes = n,
		.subsets = !world->depth,
		.budget = world->depth ? world->budget / 8 : world->budget,
		.seed = &world->seed,
		.image = try_image,
		.arg = world,
	};

	world->links[world->life->wal->chain.block_seq % LINKS] = world->life->wal->chain.prev_link;
	if (world->failed)
		return;
	memcpy(writes, disk->writes, sizeof(writes));
	disk->n_writes = 0;
	disk->point = NULL;
	mem_tears_try(disk, &tears);
	memcpy(disk->writes, writes, sizeof(writes));
	disk->n_writes = n;
	disk->point = power_fails_here;
	disk->random = random;
}

/*
 * An engine after the loss: executes what is there, begins an epoch, writes blocks over the tail,
 * and loses power once more wherever it is. Its log is another one from the tail on.
 */
static void second_life(struct world *world, struct sluice_wal *wal)
{
	const size_t mark = mem_disk_mark(&world->disk);
	struct wal_life *first = world->life;
	struct wal_life life;
	int ret = wal_life_recover(&life, wal);

	world->lives++;
	if (ret)
		say_failure(world, "a second life", life.wrong ? life.wrong : life.diag.text);
	memcpy(world->first_links, world->links, sizeof(world->links));
	world->first_end = first->wal->chain.block_seq;
	world->cut_at = wal->chain.block_seq;
	world->depth = 1;
	world->life = &life;
	world->disk.point = power_fails_here;
	if (!ret)
		ret = wal_life_start(&life);
	for (uint32_t i = 0; !ret && i < 2; i++)
		if (wal_life_block(&life, 1 + i) < 0)
			ret = sluice_wal_error(wal);
	if (!ret)
		ret = wal_life_settle(&life);
	if (ret)
		say_failure(world, "a second life", sluice_wal_error_text(wal));
	world->disk.point = NULL;
	mem_disk_lose(&world->disk);
	wal_life_close(&life, false);
	memcpy(world->links, world->first_links, sizeof(world->links));
	world->depth = 0;
	world->life = first;
	mem_disk_rollback(&world->disk, mark);
}

/* ---------------------------------------------------------------------------- the scripts */

static void build(struct world *world, struct wal_life *life)
{
	struct sluice_wal *wal;

	wal_life_make(&world->fixture, SLUICE_WAL_SEGMENT_BYTES_MIN);
	mem_disk_load(&world->disk, world->fixture.dir);
	world->disk.point_arg = world;
	wal = open_image(world);
	assert_non_null(wal);
	assert_int_equal(wal_life_recover(life, wal), 0);
	assert_int_equal(wal_life_start(life), 0);
	world->life = life;
}

static void snapshot(struct wal_life *life, uint64_t sequence)
{
	assert_int_equal(wal_life_save(life, life->wal->io, sequence), 0);
	assert_true(wal_life_block(life, 1) > 0);
	assert_int_equal(wal_life_settle(life), 0);
	wal_life_take_reports(life);
}

/* Blocks until the log has gone round, all of their sectors in use. */
static void go_round(struct wal_life *life, uint32_t blocks, uint64_t *sequence)
{
	for (uint32_t i = 0; i < blocks; i++) {
		assert_true(wal_life_block(life, FULL_RECORDS) > 0);
		assert_int_equal(wal_life_settle(life), 0);
		if (i % 5 != 4)
			continue;
		snapshot(life, *sequence);
		assert_int_equal(wal_life_name(life, *sequence), 0);
		(*sequence)++;
	}
}

static uint32_t block_size(struct world *world)
{
	static const uint32_t sizes[] = {1, 2, 3, 4, 20, 33, 34, 60};

	return sizes[wal_fixture_random(&world->seed) % 8];
}

/* Six blocks and a flip in an order that follows from the seed. */
static void script(struct world *world, uint64_t sequence, uint32_t window)
{
	struct wal_life *life = world->life;
	uint32_t blocks = 0;
	bool offered = false;

	life->wal->window = window;
	world->disk.point = power_fails_here;
	world->disk.random = world->seed;
	power_fails_here(&world->disk, world);
	snapshot(life, sequence);
	while (!world->failed && (blocks < BLOCKS || !offered || life->wal->outstanding > 0)) {
		const uint64_t dice = wal_fixture_random(&world->seed) % 4;

		if (dice < 2 && blocks < BLOCKS && sluice_wal_in_flight(life->wal) < window) {
			assert_true(wal_life_block(life, block_size(world)) > 0);
			blocks++;
		} else if (dice == 2 && !offered) {
			assert_int_equal(sluice_wal_offer(life->wal, sequence, &life->diag), 0);
			offered = true;
		} else if (dice == 3) {
			assert_true(sluice_wal_poll(life->wal) >= 0);
			power_fails_here(&world->disk, world);
		}
	}
	world->disk.point = NULL;
	if (!world->failed)
		assert_int_equal(sluice_wal_snapshot_named(life->wal), sequence);
}

/*
 * To the very last page: commands, then what restarts take. The snapshot that would help is whole;
 * nobody has offered it yet.
 */
static void fill_up(struct world *world, uint64_t *sequence)
{
	struct wal_life *life = world->life;

	/* more than what is kept for restarts lies between the two that are named */
	for (uint32_t i = 0; i < 2; i++) {
		for (uint32_t n = 0; n < 12 * i; n++)
			assert_true(wal_life_block(life, FULL_RECORDS) > 0);
		snapshot(life, *sequence);
		assert_int_equal(wal_life_name(life, (*sequence)++), 0);
	}
	snapshot(life, *sequence);
	while (!sluice_wal_full(life->wal))
		assert_true(wal_life_block(life, FULL_RECORDS) > 0);
	assert_int_equal(wal_life_settle(life), 0);
	while (sluice_wal_left_bytes(life->wal) > 0) {
		struct sluice_wal *wal;

		assert_int_equal(wal_life_close(life, true), 0);
		wal = open_image(world);
		assert_non_null(wal);
		assert_int_equal(wal_life_recover(life, wal), 0);
		assert_int_equal(wal_life_start(life), 0);
		assert_true(sluice_wal_full(wal));
	}
}

/* A restart that finds no space for OPEN; the flip makes some, and the log goes on. */
static void script_full(struct world *world, uint64_t sequence)
{
	struct wal_life *life = world->life;
	struct sluice_wal *wal;
	uint32_t blocks = 0, steps = 0, room;

	assert_int_equal(wal_life_close(life, false), 0);
	wal = open_image(world);
	assert_non_null(wal);
	assert_int_equal(wal_life_recover(life, wal), 0);
	world->disk.point = power_fails_here;
	world->disk.random = world->seed;
	assert_int_equal(wal_life_start(life), 0);
	assert_true(sluice_wal_full(wal));
	wal_life_take_reports(life);
	assert_null(sluice_wal_reserve(wal, 0, 0, &room));
	assert_int_equal(sluice_wal_offer(wal, sequence, &life->diag), 0);
	assert_null(sluice_wal_reserve(wal, 0, 0, &room));
	while (!world->failed && (blocks < 3 || wal->outstanding > 0)) {
		if (blocks < 3 && !sluice_wal_full(wal) &&
		    sluice_wal_reserve(wal, sluice_core_chain_hash(life->core),
				       life->sink.report_next, &room)) {
			assert_true(wal_life_block(life, block_size(world)) > 0);
			blocks++;
			continue;
		}
		assert_true(steps++ < 100);
		assert_true(sluice_wal_poll(wal) >= 0);
		power_fails_here(&world->disk, world);
	}
	world->disk.point = NULL;
	if (!world->failed)
		assert_int_equal(sluice_wal_snapshot_named(wal), sequence);
}

static uint32_t effort(void)
{
	const char *given = getenv("STATES");
	const int n = given ? atoi(given) : 1;

	return n > 0 ? (uint32_t)n : 1;
}

/* How many states a script passes through is the seed's affair: a short one is followed by more. */
static bool enough(const struct world *world)
{
	return world->images > 300 && world->accepted_more > 30 && world->lives > 3;
}

static void run(uint32_t history, uint32_t window, bool full, uint64_t seed)
{
	const uint32_t at_least = full ? 1 : effort();
	struct world *world = calloc(1, sizeof(*world));
	struct wal_life life;
	uint64_t sequence = 1;

	assert_non_null(world);
	world->budget = IMAGES_AT_A_POINT;
	world->life_every = 61;
	build(world, &life);
	go_round(&life, history, &sequence);
	if (sequence == 1) {
		snapshot(&life, sequence);
		assert_int_equal(wal_life_name(&life, sequence++), 0);
	}
	for (uint32_t i = 0;
	     !world->failed && (i < at_least || (!enough(world) && i < at_least + 8)); i++) {
		world->seed = seed + i;
		if (full)
			fill_up(world, &sequence);
		if (full)
			script_full(world, sequence++);
		else
			script(world, sequence++, window);
	}
	printf("  history %u, window %u%s: %llu images (%llu with more than was acknowledged), "
	       "%llu "
	       "second lives\n",
	       history, window, full ? ", full" : "", (unsigned long long)world->images,
	       (unsigned long long)world->accepted_more, (unsigned long long)world->lives);
	assert_false(world->failed);
	assert_true(enough(world));
	world->disk.point = NULL;
	assert_int_equal(wal_life_close(&life, true), 0);
	mem_disk_release(&world->disk);
	wal_fixture_remove(&world->fixture);
	free(world);
}

static void test_wal_states__of_a_fresh_log(void **state)
{
	(void)state;
	run(0, 2, false, wal_fixture_seed("fresh"));
}

static void test_wal_states__of_a_log_that_went_round(void **state)
{
	(void)state;
	run(40, 2, false, wal_fixture_seed("round"));
}

static void test_wal_states__with_a_wide_window(void **state)
{
	(void)state;
	run(43, SLUICE_WAL_WINDOW_MAX, false, wal_fixture_seed("wide"));
}

static void test_wal_states__one_block_at_a_time(void **state)
{
	(void)state;
	run(46, 1, false, wal_fixture_seed("one"));
}

static void test_wal_states__of_a_log_that_was_completely_full(void **state)
{
	const uint64_t seed = wal_fixture_seed("full");

	(void)state;
	for (uint32_t i = 0; i < effort(); i++)
		run(40, 4, true, seed + i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wal_states__of_a_fresh_log),
		cmocka_unit_test(test_wal_states__of_a_log_that_went_round),
		cmocka_unit_test(test_wal_states__with_a_wide_window),
		cmocka_unit_test(test_wal_states__one_block_at_a_time),
		cmocka_unit_test(test_wal_states__of_a_log_that_was_completely_full),
	};

	return cmocka_run_group_tests_name("wal_states", tests, NULL, NULL);
}
