/* SPDX-License-Identifier: MIT */
/*
 * test_wal_flip_last.c - the snapshot that an engine makes of a large state before a clean end: it
 * takes more than one step to write, and is where the next start begins.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "engine/wal/wal_internal.h"
#include "tests/lib/follow_fixture.h"

#define STEP_BYTES (16u * SLUICE_SNAPSHOT_CHUNK_BYTES) /* what it writes at a time */
#define ORDERS 24000u

static int setup(void **state)
{
	struct follow_world *world = malloc(sizeof(*world));

	follow_world_make(world, ORDERS);
	world->deep = true;
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	follow_world_remove(*state);
	free(*state);
	return 0;
}

static void test_wal_flip_last__takes_as_many_steps_as_it_needs(void **state)
{
	struct follow_world *world = *state;
	struct sluice_wal_position position;
	uint64_t cmd_seq, hash;

	follow_world_started(world);
	follow_world_write(world, 3000000);
	sluice_wal_reports_taken(world->wal, world->sink.report_next);
	assert_int_equal(sluice_wal_snapshot(world->wal, world->core, world->sink.report_next,
					     world->sink.md_next, &world->diag),
			 0);
	assert_true(world->wal->last.bytes > STEP_BYTES + SLUICE_SNAPSHOT_CHUNK_BYTES);
	cmd_seq = sluice_wal_durable_cmd_seq(world->wal);
	hash = sluice_core_state_hash(world->core);
	follow_world_stop(world, true);
	assert_int_equal(follow_world_start(world), 0);
	sluice_wal_position(world->wal, &position);
	assert_int_equal(position.closed, 1);
	assert_int_equal(position.snapshot, 1);
	assert_int_equal(position.start_cmd_seq, cmd_seq);
	assert_true(sluice_core_state_hash(world->core) == hash);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_wal_flip_last__takes_as_many_steps_as_it_needs,
						setup, teardown),
	};

	return cmocka_run_group_tests_name("wal_flip_last", tests, NULL, NULL);
}
