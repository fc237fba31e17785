/* SPDX-License-Identifier: MIT */
/*
 * test_wal_read_nth.c - the n-th operation fails of whoever opens, reads or follows a log, for
 * every n until none fails, on logs with each kind of damage and on one that is whole. A place that
 * cannot be read proves nothing: nobody takes a log for shorter or for damaged because of it, the
 * text says which file, and the next try finds what was there.
 */
#include "tests/unit/wal/damage_stage.h"

#include "engine/wal/follower.h"
#include "engine/wal/reader.h"
#include "tests/lib/fault_io.h"

#define OPERATIONS_MAX 1500u
#define CLOCK_STEP_NS 300000000ull /* longer than a follower waits before it doubts */
#define STEPS_MAX 400

static struct damage_stage stage;
static uint64_t fired;

static int clean_up(void **state)
{
	(void)state;
	damage_release(&stage);
	return 0;
}

static struct sluice_wal_io *faulty(uint64_t n)
{
	const struct fault_plan plan = {.at = n, .error = EIO, .fired = &fired};
	struct sluice_wal_io *io;

	fired = 0;
	assert_int_equal(fault_io_create(&io, mem_disk_io(&stage.disk)), 0);
	fault_io_plan(io, &plan);
	return io;
}

/* What somebody finds: the first block that is not there, or why not, and in which words. */
struct finding {
	int64_t end;
	struct sluice_diag diag;
};

static void find_by_opening(struct sluice_wal_io *io, struct finding *finding)
{
	struct wal_life life = {.wal = NULL};
	struct sluice_wal *wal = NULL;

	finding->end = sluice_wal_open_io(&wal, io, NULL, &finding->diag);
	if (finding->end)
		return;
	finding->end = wal_life_recover(&life, wal);
	assert_null(life.wrong);
	finding->diag = life.diag;
	if (!finding->end)
		finding->end = (int64_t)wal->position.next_block_seq;
	wal_life_close(&life, false);
}

static int64_t read_all(struct sluice_wal_reader *reader)
{
	const struct sluice_wal_block_header *header;
	const struct sluice_command *commands;
	struct sluice_wal_report report;
	uint32_t segment_no;
	uint64_t offset;
	int ret;

	while ((ret = sluice_wal_reader_next(reader, &header, &commands, &segment_no, &offset)) ==
	       1)
		;
	if (!ret)
		ret = sluice_wal_reader_verdict(reader, &report);
	if (!ret && report.verdict == SLUICE_WAL_DAMAGED)
		ret = -EBADMSG;
	return ret ? ret : (int64_t)report.block_seq;
}

static void find_by_reading(struct sluice_wal_io *io, struct finding *finding)
{
	struct sluice_wal_reader *reader = NULL;
	struct sluice_core *core;
	void *memory;

	finding->end = sluice_wal_reader_open_io(&reader, io, &finding->diag);
	if (finding->end)
		return;
	memory = aligned_alloc(64, 1u << 20);
	assert_non_null(memory);
	finding->end = sluice_wal_reader_restore(reader, memory, &core, &finding->diag);
	if (!finding->end) {
		finding->end = read_all(reader);
		if (finding->end < 0)
			snprintf(finding->diag.text, sizeof(finding->diag.text), "a reader");
	}
	sluice_wal_reader_close(reader);
	free(memory);
}

/* Time goes by, so that it asks whether the log has gone on without it. */
static void find_by_following(struct sluice_wal_io *io, struct finding *finding)
{
	const struct sluice_follower_options options = {.every_bytes = 1ull << 50};
	struct sluice_follower_view view;
	struct sluice_follower *follower = NULL;
	int ret = sluice_follower_open(&follower, io, &options, &finding->diag);

	if (!ret)
		sluice_follower_hold(follower, true); /* it only looks */
	for (int quiet = 0, i = 0; ret >= 0 && quiet < 4 && i < STEPS_MAX; i++) {
		ret = sluice_follower_step(follower, &finding->diag);
		quiet = ret ? 0 : quiet + 1;
		stage.disk.now_ns += ret ? 0 : CLOCK_STEP_NS;
	}
	finding->end = ret;
	if (ret >= 0) {
		sluice_follower_view(follower, &view);
		finding->end = (int64_t)view.block_seq;
	}
	sluice_follower_close(follower);
}

typedef void find(struct sluice_wal_io *io, struct finding *finding);

/* It began at another one: then there is none, or the bad block before it is met. */
static bool without_a_snapshot(const struct finding *finding)
{
	char block[64];

	snprintf(block, sizeof(block), "block %llu is not valid", (unsigned long long)stage.k);
	return strstr(finding->diag.text, "snap") || strstr(finding->diag.text, block);
}

/* How many operations it takes when none fails. */
static uint64_t every_nth(find *finder)
{
	struct finding right = {.end = 0}, finding;
	uint64_t n = 0;

	finder(faulty(0), &right);
	assert_true(right.end >= 0 || right.diag.text[0]);
	do {
		finding = (struct finding){.end = 0};
		assert_true(++n < OPERATIONS_MAX);
		finder(faulty(n), &finding);
		if (finding.end == -EIO)
			assert_true(finding.diag.text[0]);
		else if (finding.end != right.end)
			assert_true(fired && without_a_snapshot(&finding));
		assert_int_equal(damage_digest(&stage.disk), stage.original);
	} while (fired);
	assert_int_equal(finding.end, right.end);
	return n - 1;
}

static void on_every_log(find *finder)
{
	for (enum damage damage = 0; damage <= DAMAGE_NONE; damage++) {
		damage_make(&stage, damage);
		assert_true(every_nth(finder) > 20);
	}
}

static void test_wal_read_nth__opening(void **state)
{
	(void)state;
	on_every_log(find_by_opening);
}

static void test_wal_read_nth__reading(void **state)
{
	(void)state;
	on_every_log(find_by_reading);
}

static void test_wal_read_nth__following(void **state)
{
	(void)state;
	on_every_log(find_by_following);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_wal_read_nth__opening, clean_up),
		cmocka_unit_test_teardown(test_wal_read_nth__reading, clean_up),
		cmocka_unit_test_teardown(test_wal_read_nth__following, clean_up),
	};

	return cmocka_run_group_tests_name("wal_read_nth", tests, NULL, NULL);
}
