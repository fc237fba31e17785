/* SPDX-License-Identifier: MIT */
/*
 * Which rings an engine takes up that its log does not know: made by an engine that was killed
 * before it could say so in the log, or whose log was full. The log and the rings are real.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"
#include "tests/lib/ring_fixture.h"
#include "tests/lib/wal_world.h"

#define COMMANDS 10u
#define SLOTS 64u

static struct wal_world world;
static struct engine engine;
static struct sluice_wal_position position;
static struct sluice_diag diag;
static struct sluice_sink replayed; /* what the log gives */

/* Rings of where the log ends; reports from `first` on, of commands of the log, are in them. */
static int make(void **state)
{
	(void)state;
	memset(&engine, 0, sizeof(engine));
	wal_world_make(&world, 1);
	wal_world_start(&world);
	wal_world_block(&world, COMMANDS);
	replayed = world.live.sink;
	wal_world_close(&world, true);
	if (sluice_wal_open(&engine.wal, world.fixture.dir, &world.fixture.options, &diag))
		return -1;
	sluice_wal_position(engine.wal, &position);
	engine.options = (struct engine_options){
		.name = "x",
		.wal = world.fixture.dir,
		.ring_size = SLOTS,
		.hugepages = SLUICE_HUGEPAGES_OFF,
		.reports = ENGINE_REPORTS_DROP,
		.follower = ENGINE_FOLLOWER_OFF,
	};
	return engine_instance_open(&engine, COMMANDS, 0, replayed.md_next - 1, &diag) ||
			       engine_instance_join(&engine, &diag) ?
		       -1 :
		       0;
}

static int drop(void **state)
{
	(void)state;
	engine_instance_retire(&engine);
	engine_instance_close(&engine);
	free(engine.sends);
	sluice_wal_close(engine.wal, false, NULL);
	wal_world_remove(&world);
	return 0;
}

/* Reports with these numbers, all of the command. */
static void publish(uint64_t n, uint64_t cmd_seq)
{
	for (uint64_t i = 0; i < n; i++) {
		uint64_t first;
		struct sluice_report report = {.cmd_seq = cmd_seq};

		report.head.flags = SLUICE_REPORT_DURABLE;
		assert_int_equal(sluice_producer_claim(&engine.out, 1, 0, &first), 0);
		report.n = first + 1;
		memcpy(sluice_producer_slot(&engine.out, first), &report, sizeof(report));
		sluice_producer_publish(&engine.out, first);
	}
}

/* All slots are somebody's now, but no report of theirs was published. */
static void claim_all(void)
{
	uint64_t first;

	assert_int_equal(sluice_producer_claim(&engine.out, SLOTS, 0, &first), 0);
}

static int take_up(void)
{
	const int rc = engine_check_rings(&engine, &position, &diag);

	return rc ? rc : engine_check_numbers(&engine, &position, &replayed, &diag);
}

static uint64_t all(void)
{
	return replayed.report_next - 1;
}

static void test_recover_check__new_rings(void **state)
{
	(void)state;
	assert_int_equal(take_up(), 0); /* its reports come now */
	publish(all(), COMMANDS - 1);
	assert_int_equal(take_up(), 0);
}

static void test_recover_check__the_last_report_is_gone(void **state)
{
	(void)state;
	publish(all(), COMMANDS - 1);
	claim_all();
	assert_int_equal(take_up(), 0);
}

static void test_recover_check__a_report_of_a_command_that_the_log_has_not(void **state)
{
	(void)state;
	publish(all(), COMMANDS - 1);
	publish(1, COMMANDS);
	assert_int_equal(take_up(), -EBADMSG);
	assert_non_null(strstr(diag.text, "another log"));
	claim_all(); /* and when it is not there to say so */
	assert_int_equal(take_up(), -EBADMSG);
	assert_non_null(strstr(diag.text, "another log"));
	assert_non_null(strstr(diag.hint, "sluice gc -n x"));
	/* the log knows them: such reports are executed again */
	memcpy(position.ring_uuid, engine.cmd.header.uuid, sizeof(position.ring_uuid));
	assert_int_equal(take_up(), 0);
}

static void test_recover_check__for_another_place_of_the_log(void **state)
{
	(void)state;
	publish(all(), COMMANDS - 1);
	position.next_cmd_seq++;
	assert_int_equal(take_up(), -EBADMSG);
	assert_non_null(strstr(diag.text, "another log"));
}

static void test_recover_check__a_market_data_event_that_the_log_has_not(void **state)
{
	uint64_t first;

	(void)state;
	publish(all(), COMMANDS - 1);
	assert_int_equal(sluice_producer_claim(&engine.md_out, 1, 0, &first), 0);
	sluice_producer_publish(&engine.md_out, first);
	assert_int_equal(take_up(), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_recover_check__new_rings, make, drop),
		cmocka_unit_test_setup_teardown(test_recover_check__the_last_report_is_gone, make,
						drop),
		cmocka_unit_test_setup_teardown(
			test_recover_check__a_report_of_a_command_that_the_log_has_not, make, drop),
		cmocka_unit_test_setup_teardown(
			test_recover_check__for_another_place_of_the_log, make, drop),
		cmocka_unit_test_setup_teardown(
			test_recover_check__a_market_data_event_that_the_log_has_not, make, drop),
	};
	return ring_directory() ? 1 :
				  cmocka_run_group_tests_name("recover_check", tests, NULL, NULL);
}
