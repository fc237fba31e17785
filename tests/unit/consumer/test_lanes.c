/* SPDX-License-Identifier: MIT */
/* test_lanes.c - many rings as one stream: in which order, and what handlers can do to it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "tests/unit/consumer/lanes_fixture.h"

/* ----------------------------------------------------------------------------------- order */

static void test_lanes__take_turns(void **state)
{
	struct shore *shore = shore_open(3, NULL, (struct sluice_lanes_options){.turn_max = 2});

	(void)state;
	assert_int_equal(poll_all(shore, 0), SLUICE_POLL_IDLE);
	for (int i = 0; i < 5; i++)
		put(shore, 0, 0);
	for (int i = 0; i < 3; i++)
		put(shore, 1, 0);
	put(shore, 2, 0);
	assert_int_equal(poll_all(shore, 0), SLUICE_POLL_PROCESSING);
	lanes_are(shore, "001120010");
	for (int i = 0; i < 3; i++)
		assert_int_equal(atomic_load(&shore->consumers[i].self->position),
				 shore->published[i]);
	assert_int_equal(poll_all(shore, 0), SLUICE_POLL_IDLE);
	shore_close(shore);
}

/* The limit of one poll does not favour the first lanes. */
static void test_lanes__turns_go_on_over_polls(void **state)
{
	struct shore *shore = shore_open(3, NULL, (struct sluice_lanes_options){.turn_max = 2});

	(void)state;
	for (uint32_t lane = 0; lane < 3; lane++)
		for (int i = 0; i < 6; i++)
			put(shore, lane, 0);
	for (int i = 0; i < 6; i++)
		assert_int_equal(poll_all(shore, 3), SLUICE_POLL_PROCESSING);
	assert_int_equal(poll_all(shore, 3), SLUICE_POLL_IDLE);
	lanes_are(shore, "001220112001220112");
	shore_close(shore);
}

static void test_lanes__flooding_lane_starves_nobody(void **state)
{
	struct shore *shore = shore_open(4, NULL, (struct sluice_lanes_options){.turn_max = 4});
	uint32_t others = 0;

	(void)state;
	for (int round = 0; round < 200; round++) {
		while (sluice_producer_has_capacity(&shore->producers[0], 1))
			put(shore, 0, 0);
		put(shore, 1 + (uint32_t)round % 3, 0);
		shore->events = 0;
		others = 0;
		/* a full turn of all: at most 4 of the flood come before any other's one */
		assert_int_equal(poll_all(shore, 5), SLUICE_POLL_PROCESSING);
		for (uint32_t i = 0; i < shore->events; i++)
			others += shore->items[i].lane != 0;
		assert_int_equal(others, 1);
	}
	shore_close(shore);
}

static void test_lanes__oldest_key_comes_first(void **state)
{
	const struct sluice_lanes_options options = {.order = SLUICE_LANES_BY_KEY};
	uint64_t random = test_seed();

	(void)state;
	for (int round = 0; round < 30; round++) {
		struct shore *shore = shore_open(LANES, NULL, options);
		uint32_t total = 0;

		for (uint32_t lane = 0; lane < LANES; lane++) {
			uint64_t key = test_random(&random) % 10;

			for (uint64_t n = test_random(&random) % 17; n; n--, total++) {
				put(shore, lane, key);
				key += test_random(&random) % 10;
			}
		}
		while (poll_all(shore, 1 + test_random(&random) % 20) == SLUICE_POLL_PROCESSING)
			;
		assert_int_equal(shore->events, total);
		for (uint32_t i = 1; i < total; i++) {
			const struct item *a = &shore->items[i - 1], *b = &shore->items[i];

			/* equal keys: the lane that was added first */
			assert_true(a->key < b->key || (a->key == b->key && a->lane <= b->lane));
		}
		for (uint32_t lane = 0; lane < LANES; lane++)
			assert_int_equal(atomic_load(&shore->consumers[lane].self->position),
					 shore->published[lane]);
		shore_close(shore);
	}
}

/* A lane that had nothing is looked at again after turn_max events, not before. */
static int put_then_take(void *arg, struct sluice_consumer *lane, const void *event,
			 uint64_t sequence)
{
	struct shore *shore = arg;

	if (shore->events == 0)
		put(shore, 1, 1);
	return take(arg, lane, event, sequence);
}

static void test_lanes__empty_lanes_are_looked_at_in_time(void **state)
{
	static const struct {
		uint32_t turn_max;
		const char *lanes;
	} cases[] = {{0, "01000"}, {1, "01000"}, {3, "00010"}};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct shore *shore = shore_open(2, NULL, (struct sluice_lanes_options){
			.order = SLUICE_LANES_BY_KEY, .turn_max = cases[i].turn_max});

		for (uint64_t key = 0; key < 4; key++)
			put(shore, 0, 10 * key);
		assert_int_equal(sluice_lanes_poll(&shore->lanes, 0, put_then_take, shore),
				 SLUICE_POLL_PROCESSING);
		lanes_are(shore, cases[i].lanes);
		shore_close(shore);
	}
}

static void test_lanes__key_lies_in_the_event(void **state)
{
	struct shore *shore = shore_open(1, NULL, (struct sluice_lanes_options){
		.order = SLUICE_LANES_BY_KEY, .key_offset = 24});
	struct sluice_lanes lanes;
	const struct sluice_lanes_options beyond = {.order = SLUICE_LANES_BY_KEY,
						    .key_offset = 57};
	const struct sluice_lanes_options none = {.order = 2};

	(void)state;
	assert_int_equal(sluice_lanes_init(&lanes, &none), -EINVAL);
	assert_int_equal(sluice_lanes_init(&lanes, &beyond), 0);
	assert_int_equal(sluice_lanes_add(&lanes, &shore->consumers[0]), -EINVAL);
	sluice_lanes_release(&lanes);
	assert_int_equal(sluice_lanes_add(&shore->lanes, &shore->consumers[0]), -EEXIST);
	shore_close(shore);
}

/* -------------------------------------------------------------------------- what handlers say */

static void test_lanes__handler_stops_and_fails(void **state)
{
	(void)state;
	for (uint32_t order = 0; order < 2; order++) {
		struct shore *shore = shore_open(2, NULL, (struct sluice_lanes_options){
			.order = order, .turn_max = 2});

		for (uint64_t i = 0; i < 4; i++) {
			put(shore, 0, 2 * i);
			put(shore, 1, 2 * i + 1);
		}
		shore->say_at = 2;
		shore->say = SLUICE_STOP;
		assert_int_equal(poll_all(shore, 0), SLUICE_POLL_PROCESSING);
		assert_int_equal(shore->events, 2);
		shore->say_at = 4;
		shore->say = -EIO;
		assert_int_equal(poll_all(shore, 0), -EIO);
		assert_int_equal(shore->events, 3);
		assert_int_equal(atomic_load(&shore->consumers[0].self->position) +
					 atomic_load(&shore->consumers[1].self->position), 3);
		shore->say_at = 5;
		shore->say = sluice_rewind(-EDOM);
		assert_int_equal(poll_all(shore, 0), -EDOM);
		assert_int_equal(poll_all(shore, 0), SLUICE_POLL_PROCESSING);
		assert_int_equal(shore->events, 8);
		/* and nothing came twice or was lost: take() has counted */
		assert_int_equal(shore->taken[0] + shore->taken[1], 8);
		shore_close(shore);
	}
}

/* A producer that changes an event after publishing it does not change what is handled. */
static int scribble(void *arg, struct sluice_consumer *lane, const void *event, uint64_t sequence)
{
	memset(sluice_ring_payload(&lane->ring, sequence), 0xff, sizeof(struct item));
	return take(arg, lane, event, sequence);
}

static void test_lanes__events_are_private_copies(void **state)
{
	(void)state;
	for (uint32_t order = 0; order < 2; order++) {
		struct shore *shore = shore_open(3, NULL,
						 (struct sluice_lanes_options){.order = order});

		for (uint32_t lane = 0; lane < 3; lane++)
			for (uint64_t i = 0; i < 3; i++)
				put(shore, lane, i);
		assert_int_equal(sluice_lanes_poll(&shore->lanes, 0, scribble, shore),
				 SLUICE_POLL_PROCESSING);
		assert_int_equal(shore->events, 9);
		shore_close(shore);
	}
}

static void test_lanes__pass_tombstones(void **state)
{
	(void)state;
	for (uint32_t order = 0; order < 2; order++) {
		struct shore *shore = shore_open(3, NULL,
						 (struct sluice_lanes_options){.order = order});
		uint64_t first;

		assert_int_equal(sluice_producer_try_claim(&shore->producers[2], 3, &first), 0);
		sluice_producer_close(&shore->producers[2]);
		assert_int_equal(sluice_producer_open(&shore->producers[2], &shore->segments[2],
						      NULL, NULL), 0);
		assert_int_equal(poll_all(shore, 0), SLUICE_POLL_IDLE);
		put(shore, 2, 1);
		assert_int_equal(poll_all(shore, 0), SLUICE_POLL_PROCESSING);
		assert_int_equal(shore->events, 1);
		assert_int_equal(atomic_load(&shore->consumers[2].self->position), 4);
		assert_int_equal(atomic_load(&shore->consumers[2].self->voids), 3);
		shore_close(shore);
	}
}

/* Lanes come and go while the others run. */
static void test_lanes__are_added_and_removed(void **state)
{
	(void)state;
	for (uint32_t order = 0; order < 2; order++) {
		struct shore *shore = shore_open(3, NULL,
						 (struct sluice_lanes_options){.order = order});

		put(shore, 0, 5);
		put(shore, 1, 1);
		put(shore, 1, 2);
		put(shore, 2, 3);
		assert_int_equal(poll_all(shore, 1), SLUICE_POLL_PROCESSING);
		assert_int_equal(sluice_lanes_remove(&shore->lanes, &shore->consumers[1]), 0);
		assert_int_equal(atomic_load(&shore->consumers[1].self->position), order);
		assert_int_equal(poll_all(shore, 0), SLUICE_POLL_PROCESSING);
		assert_int_equal(poll_all(shore, 0), SLUICE_POLL_IDLE);
		assert_int_equal(shore->taken[1], order);
		assert_int_equal(sluice_lanes_add(&shore->lanes, &shore->consumers[1]), 0);
		assert_int_equal(poll_all(shore, 0), SLUICE_POLL_PROCESSING);
		assert_int_equal(shore->events, 4);
		shore_close(shore);
	}
}

/* Whose turn it is does not change when one before it goes. */
static void test_lanes__removal_keeps_the_turn(void **state)
{
	struct shore *shore = shore_open(3, NULL, (struct sluice_lanes_options){.turn_max = 1});

	(void)state;
	for (uint32_t lane = 0; lane < 3; lane++)
		for (int i = 0; i < 2; i++)
			put(shore, lane, 0);
	assert_int_equal(poll_all(shore, 1), SLUICE_POLL_PROCESSING);
	assert_int_equal(sluice_lanes_remove(&shore->lanes, &shore->consumers[0]), 0);
	assert_int_equal(poll_all(shore, 0), SLUICE_POLL_PROCESSING);
	lanes_are(shore, "01212");
	/* the last one goes while it is its turn */
	put(shore, 1, 0);
	assert_int_equal(poll_all(shore, 1), SLUICE_POLL_PROCESSING);
	assert_int_equal(sluice_lanes_remove(&shore->lanes, &shore->consumers[2]), 0);
	put(shore, 1, 0);
	assert_int_equal(poll_all(shore, 0), SLUICE_POLL_PROCESSING);
	lanes_are(shore, "0121211");
	shore_close(shore);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lanes__take_turns),
		cmocka_unit_test(test_lanes__turns_go_on_over_polls),
		cmocka_unit_test(test_lanes__flooding_lane_starves_nobody),
		cmocka_unit_test(test_lanes__oldest_key_comes_first),
		cmocka_unit_test(test_lanes__empty_lanes_are_looked_at_in_time),
		cmocka_unit_test(test_lanes__key_lies_in_the_event),
		cmocka_unit_test(test_lanes__handler_stops_and_fails),
		cmocka_unit_test(test_lanes__events_are_private_copies),
		cmocka_unit_test(test_lanes__pass_tombstones),
		cmocka_unit_test(test_lanes__are_added_and_removed),
		cmocka_unit_test(test_lanes__removal_keeps_the_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
