/* SPDX-License-Identifier: MIT */
/*
 * test_replay.c - a log executed again: agrees with a log that was written honestly, and names the
 * block of one whose headers say something else than its commands give.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "tests/lib/wal_fixture.h"
#include "tests/lib/wal_life.h"
#include "tools/replay.h"

#define BLOCKS 5
#define PER_BLOCK 40

/* What the engine would do: executes and logs, with `lie` added in block `liar`'s header. */
struct writer {
	struct sluice_tool_replay engine; /* a core to execute with */
	struct sluice_wal *wal;
	uint64_t next;
	uint64_t liar;
	uint64_t hash_lie;
	uint64_t report_lie;
};

static void make_command(uint64_t seq, struct sluice_command *ret_command)
{
	struct sluice_command made = {
		.head = {.type = SLUICE_CMD_PLACE, .length = sizeof(made)},
		.order_id = seq,
		.price = 100 + (int64_t)(seq % 7),
		.qty = 1 + (int64_t)(seq % 3),
		.side = seq % 2 ? SLUICE_SIDE_BUY : SLUICE_SIDE_SELL,
		.order_type = SLUICE_ORDER_LIMIT,
		.tif = SLUICE_TIF_GTC,
	};

	if (!seq) {
		memset(&made, 0, sizeof(made));
		made.head.type = SLUICE_CMD_ADD_SYMBOL;
		made.head.length = sizeof(made);
		memcpy(made.u.define.name, "TEST", 5);
	}
	*ret_command = made;
}

static void write_block(struct writer *writer, uint64_t block)
{
	struct sluice_tool_replay *engine = &writer->engine;
	const bool lies = block == writer->liar;

	for (uint32_t i = 0; i < PER_BLOCK; i++) {
		struct sluice_command *record;
		uint32_t room;

		record = sluice_wal_reserve(
			writer->wal,
			sluice_core_chain_hash(engine->core) + (lies ? writer->hash_lie : 0),
			engine->sink.report_next + (lies ? writer->report_lie : 0), &room);
		assert_non_null(record);
		make_command(writer->next, record);
		sluice_core_apply(engine->core, record, writer->next++, &engine->sink);
		sluice_wal_append(writer->wal, 1);
	}
	assert_int_equal(sluice_wal_submit(writer->wal), 0);
	assert_int_equal(wal_fixture_settle(writer->wal), 0);
}

/* Writes a log with the lies of `writer`, and replays it. */
static void round_trip(struct writer *writer, struct sluice_tool_replay *replay)
{
	const uint8_t ring_uuid[16] = {1};
	struct sluice_wal_reader *reader;
	struct wal_fixture fixture;

	wal_fixture_make(&fixture);
	assert_int_equal(sluice_wal_reader_open(&reader, fixture.dir, NULL), 0);
	assert_int_equal(sluice_tool_replay_init(&writer->engine, reader, NULL), 0);
	assert_int_equal(wal_fixture_open(&fixture, &writer->wal), 0);
	assert_int_equal(sluice_wal_start(writer->wal, ring_uuid,
					  sluice_core_chain_hash(writer->engine.core),
					  writer->engine.sink.report_next, NULL),
			 0);
	for (uint64_t block = 1; block <= BLOCKS; block++)
		write_block(writer, block);
	assert_int_equal(sluice_wal_close(writer->wal, true, NULL), 0);
	sluice_wal_reader_close(reader);
	assert_int_equal(sluice_wal_reader_open(&reader, fixture.dir, NULL), 0);
	assert_int_equal(sluice_tool_replay_init(replay, reader, NULL), 0);
	assert_int_equal(sluice_tool_replay_log(replay, reader, UINT64_MAX), 0);
	sluice_wal_reader_close(reader);
	wal_fixture_remove(&fixture);
}

static void test_replay__agrees_with_an_honest_log(void **state)
{
	static struct writer writer = {.liar = 0};
	static struct sluice_tool_replay replay;

	(void)state;
	round_trip(&writer, &replay);
	assert_false(replay.diverged);
	assert_int_equal(replay.next_cmd_seq, BLOCKS * PER_BLOCK);
	assert_int_equal(replay.blocks, BLOCKS + 2); /* OPEN and CLOSE */
	assert_true(replay.sink.report_next > BLOCKS * PER_BLOCK);
	assert_int_equal(replay.sink.report_next, writer.engine.sink.report_next);
	assert_true(sluice_core_state_hash(replay.core) ==
		    sluice_core_state_hash(writer.engine.core));
	sluice_tool_replay_release(&writer.engine);
	sluice_tool_replay_release(&replay);
	assert_null(replay.core);
}

static void test_replay__names_the_block_with_another_state(void **state)
{
	static struct writer writer = {.liar = 3, .hash_lie = 1};
	static struct sluice_tool_replay replay;

	(void)state;
	round_trip(&writer, &replay);
	assert_true(replay.diverged);
	assert_int_equal(replay.diverged_block, 3);
	assert_string_equal(replay.diverged_what, "state hash");
	assert_true(replay.expected == replay.found + 1);
	assert_int_equal(replay.next_cmd_seq, 2 * PER_BLOCK);
	sluice_tool_replay_release(&writer.engine);
	sluice_tool_replay_release(&replay);
}

static void test_replay__names_the_block_with_other_reports(void **state)
{
	static struct writer writer = {.liar = 5, .report_lie = 1};
	static struct sluice_tool_replay replay;

	(void)state;
	round_trip(&writer, &replay);
	assert_true(replay.diverged);
	assert_int_equal(replay.diverged_block, 5);
	assert_string_equal(replay.diverged_what, "first report");
	sluice_tool_replay_release(&writer.engine);
	sluice_tool_replay_release(&replay);
}

static void test_replay__goes_on_from_a_snapshot(void **state)
{
	static struct sluice_tool_replay replay;
	struct sluice_wal_reader *reader;
	struct wal_life life = {.wal = NULL};
	struct wal_fixture fixture;
	struct sluice_diag diag;
	struct sluice_wal *wal;

	(void)state;
	wal_fixture_make(&fixture);
	assert_int_equal(wal_fixture_open(&fixture, &wal), 0);
	wal_life_snapshots(&life, wal, fixture.dir, PER_BLOCK);
	for (uint32_t bad = 0; bad <= 2; bad++) { /* none is rotten, the older one, both */
		const uint64_t first = bad ? 2 * PER_BLOCK : PER_BLOCK;

		assert_int_equal(sluice_wal_reader_open(&reader, fixture.dir, NULL), 0);
		assert_int_equal(sluice_tool_replay_init(&replay, reader, &diag),
				 bad == 2 ? -EBADMSG : 0);
		if (bad < 2) {
			assert_int_equal(replay.first_cmd_seq, first);
			assert_int_equal(sluice_tool_replay_log(&replay, reader, UINT64_MAX), 0);
			assert_false(replay.diverged);
			assert_int_equal(replay.next_cmd_seq, 3 * PER_BLOCK);
			assert_int_equal(replay.sink.report_next, life.sink.report_next);
			assert_true(sluice_core_state_hash(replay.core) ==
				    sluice_core_state_hash(life.core));
		}
		sluice_tool_replay_release(&replay);
		sluice_wal_reader_close(reader);
		wal_fixture_flip(&fixture, SLUICE_WAL_FILE_SNAPSHOT + (bad ? 0 : 1), 4500, 2);
	}
	assert_int_equal(wal_life_close(&life, false), 0);
	wal_fixture_remove(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_replay__agrees_with_an_honest_log),
		cmocka_unit_test(test_replay__names_the_block_with_another_state),
		cmocka_unit_test(test_replay__names_the_block_with_other_reports),
		cmocka_unit_test(test_replay__goes_on_from_a_snapshot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
