/* SPDX-License-Identifier: MIT */
/* test_graph.c - graphs as drawn: who sees what after whom, who gates, how they start and end. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "tests/unit/consumer/graph_fixture.h"

static void test_graph__parallel(void **state)
{
	(void)state;
	for (int kind = 0; kind < RIG_KINDS; kind++) {
		struct works *w = works_open(kind, 16);

		sluice_graph_handle(&w->graph, 3, w->stages);
		run_closed(w, 3, 3, 1000);
		works_close(w);
	}
}

static void test_graph__pipeline(void **state)
{
	(void)state;
	for (int kind = 0; kind < RIG_KINDS; kind++) {
		struct works *w = works_open(kind, 16);

		w->stations[1].needs = 1;
		w->stations[2].needs = 3;
		sluice_group_then(sluice_group_then(sluice_graph_handle(&w->graph, 1, w->stages),
						    1, &w->stages[1]),
				  1, &w->stages[2]);
		run_closed(w, 3, 1, 1000);
		works_close(w);
	}
}

static void test_graph__diamond(void **state)
{
	(void)state;
	for (int kind = 0; kind < RIG_KINDS; kind++) {
		struct works *w = works_open(kind, 16);
		const struct sluice_group both = sluice_graph_handle(
			&w->graph, 2, (const struct sluice_stage[]){w->stages[0], w->stages[1]});

		w->stations[2].needs = 3;
		sluice_group_then(both, 1, &w->stages[2]);
		run_closed(w, 3, 1, 1000);
		works_close(w);
	}
}

/*
 *	a -> c -> e		c follows a, d follows a and b, e follows c and d, f follows b
 *	  \      /
 *	b -> d -´  b -> f	two terminal stages: e and f
 */
static void test_graph__any_other(void **state)
{
	struct works *w = works_open(RIG_MULTI, 16);
	struct sluice_group a, b, c, d;

	(void)state;
	a = sluice_graph_handle(&w->graph, 1, &w->stages[0]);
	b = sluice_graph_handle(&w->graph, 1, &w->stages[1]);
	c = sluice_group_then(a, 1, &w->stages[2]);
	d = sluice_group_then(sluice_group_and(a, b), 1, &w->stages[3]);
	sluice_group_then(sluice_group_and(c, d), 1, &w->stages[4]);
	sluice_group_then(sluice_graph_after(&w->graph, "b", NULL), 1, &w->stages[5]);
	w->stations[2].needs = 1;
	w->stations[3].needs = 3;
	w->stations[4].needs = 15;
	w->stations[5].needs = 2;
	run_closed(w, 6, 2, 1000);
	works_close(w);
}

/* A middle stage stalls: the last stage stalls, and the producer after a ring of events. */
static void test_graph__back_pressure_comes_through(void **state)
{
	(void)state;
	for (int kind = 0; kind < RIG_KINDS; kind++) {
		struct works *w = works_open(kind, 8);
		uint64_t sequence;

		sluice_group_then(sluice_group_then(sluice_graph_handle(&w->graph, 1, w->stages),
						    1, &w->stages[1]),
				  1, &w->stages[2]);
		w->stations[1].hold = 1;
		assert_int_equal(sluice_graph_start(&w->graph, &w->diag), 0);
		publish(w, 8);
		assert_int_equal(sluice_producer_claim(&w->producer, 1, 30 * MS, &sequence),
				 -ETIMEDOUT);
		assert_int_equal(w->stations[2].events, 0);
		w->stations[1].hold = 0;
		publish(w, 100);
		assert_int_equal(sluice_graph_drain(&w->graph, PATIENCE), 0);
		assert_int_equal(sluice_graph_stop(&w->graph, PATIENCE), 0);
		check(w, 3, 108);
		works_close(w);
	}
}

/* Every event that is published right after the return reaches every stage: nothing is missed. */
static void test_graph__start_misses_nothing(void **state)
{
	(void)state;
	for (int round = 0; round < 50; round++) {
		struct works *w = works_open(round % RIG_KINDS, 16);

		/* before the start: a new consumer begins at the next event */
		publish(w, 3);
		for (int i = 0; i < 3; i++)
			w->stations[i].next = 3;
		w->stations[2].needs = 3;
		sluice_group_then(sluice_graph_handle(&w->graph, 2, w->stages), 1, &w->stages[2]);
		assert_int_equal(sluice_graph_start(&w->graph, &w->diag), 0);
		publish(w, 5);
		assert_int_equal(sluice_graph_drain(&w->graph, PATIENCE), 0);
		assert_int_equal(sluice_graph_stop(&w->graph, PATIENCE), 0);
		check(w, 3, 5);
		works_close(w);
	}
}

/* Stop right after start: what was published before the drain is handled all the same. */
static void test_graph__drain_waits_for_stages_that_have_not_run_yet(void **state)
{
	(void)state;
	for (int round = 0; round < 30; round++) {
		struct works *w = works_open(round % RIG_KINDS, 16);

		publish(w, 7);
		w->stages[0].from = SLUICE_FROM_BEGINNING;
		w->stages[1].from = SLUICE_FROM_BEGINNING;
		sluice_group_then(sluice_graph_handle(&w->graph, 1, w->stages), 1, &w->stages[1]);
		assert_int_equal(sluice_graph_start(&w->graph, &w->diag), 0);
		assert_int_equal(sluice_graph_drain(&w->graph, PATIENCE), 0);
		assert_int_equal(w->stations[0].events, 7);
		assert_int_equal(sluice_graph_stop(&w->graph, PATIENCE), 0);
		check(w, 2, 7);
		works_close(w);
	}
}

static void test_graph__drain_and_stop_keep_their_deadline(void **state)
{
	struct works *w = works_open(RIG_MULTI, 16);
	uint64_t position;

	(void)state;
	sluice_graph_handle(&w->graph, 2, w->stages);
	w->stations[1].hold = 1;
	assert_int_equal(sluice_graph_start(&w->graph, &w->diag), 0);
	assert_int_equal(sluice_graph_result(&w->graph, "a"), -EINPROGRESS);
	publish_at_once(w, 4);
	assert_true(await_count(&w->stations[0].events, 4));
	assert_true(await_count(&w->stations[1].held, 1));
	assert_int_equal(sluice_graph_drain(&w->graph, 20 * MS), -ETIMEDOUT);
	assert_int_equal(sluice_graph_wait(&w->graph, 20 * MS), -ETIMEDOUT);
	assert_int_equal(sluice_graph_start(&w->graph, &w->diag), -EBUSY);
	assert_int_equal(sluice_graph_stop(&w->graph, 20 * MS), -ETIMEDOUT);
	/* the stuck stage is still in the ring */
	assert_int_equal(gating(w), 2);
	assert_int_equal(sluice_graph_position(&w->graph, "b", &position), 0);
	assert_int_equal(position, 0);
	w->stations[1].hold = 0;
	assert_int_equal(sluice_graph_stop(&w->graph, PATIENCE), 0);
	assert_int_equal(sluice_graph_position(&w->graph, "b", &position), -ENOENT);
	assert_int_equal(sluice_graph_result(&w->graph, "nobody"), -ENOENT);
	check(w, 2, 4);
	works_close(w);
}

/* A stage that fails ends the drain with its error; producers are told; a restart goes on. */
static void test_graph__failed_stage_is_reported_and_can_go_on(void **state)
{
	(void)state;
	for (uint32_t failing = 0; failing < 2; failing++) {
		struct works *w = works_open(RIG_STAMPED, 8);
		struct station *station = &w->stations[failing];
		uint64_t sequence;

		w->stations[1].needs = 1;
		sluice_group_then(sluice_graph_handle(&w->graph, 1, w->stages), 1, &w->stages[1]);
		station->fail_with = -EIO;
		station->fail_at = 2;
		assert_int_equal(sluice_graph_start(&w->graph, &w->diag), 0);
		publish(w, 8);
		assert_int_equal(sluice_graph_drain(&w->graph, PATIENCE), -EIO);
		assert_int_equal(sluice_graph_result(&w->graph, letters[failing]), -EIO);
		publish(w, 2); /* what the two good events have freed */
		assert_int_equal(sluice_producer_claim(&w->producer, 1, PATIENCE, &sequence),
				 -EREMOTEIO);
		sluice_graph_halt(&w->graph);
		assert_int_equal(sluice_graph_wait(&w->graph, PATIENCE), -EIO);
		station->fail_with = 0;
		assert_int_equal(sluice_graph_start(&w->graph, &w->diag), 0);
		publish(w, 50);
		assert_int_equal(sluice_graph_drain(&w->graph, PATIENCE), 0);
		assert_int_equal(sluice_graph_stop(&w->graph, PATIENCE), 0);
		check(w, 2, 60);
		works_close(w);
	}
}

static void test_graph__default_policy_and_its_override(void **state)
{
	static const struct sluice_error_policy halt = {.action = SLUICE_ERROR_HALT};
	const struct sluice_graph_options options = {.errors.action = SLUICE_ERROR_SKIP};

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct works *w = works_open(RIG_CURSOR, 16);
		struct sluice_handler own = marking;

		sluice_graph_release(&w->graph);
		assert_int_equal(sluice_graph_init(&w->graph, &w->segment, &options), 0);
		w->stations[0].fail_with = -EIO;
		w->stations[0].fail_at = 1;
		if (i == 1)
			own.errors = &halt;
		if (i == 2)
			w->stages[0].options.errors = &halt;
		w->stages[0].handler = &own;
		sluice_graph_handle(&w->graph, 1, w->stages);
		assert_int_equal(sluice_graph_start(&w->graph, &w->diag), 0);
		publish(w, 4);
		assert_int_equal(sluice_graph_drain(&w->graph, PATIENCE), i ? -EIO : 0);
		assert_int_equal(w->stations[0].events, i ? 1 : 3);
		assert_int_equal(sluice_graph_stop(&w->graph, PATIENCE), i ? -EIO : 0);
		works_close(w);
	}
}

/* 100 starts and halts of three stages: every run ends, every event comes once. */
static void test_graph__starts_and_halts(void **state)
{
	uint64_t random = test_seed();
	struct works *w = works_open(RIG_MULTI, 16);
	uint64_t events = 0;

	(void)state;
	w->stations[1].needs = 1;
	w->stations[2].needs = 3;
	sluice_group_then(sluice_group_then(sluice_graph_handle(&w->graph, 1, w->stages), 1,
					    &w->stages[1]),
			  1, &w->stages[2]);
	for (int round = 0; round < 100; round++) {
		const uint64_t n = test_random(&random) % 9;

		assert_int_equal(sluice_graph_start(&w->graph, &w->diag), 0);
		publish(w, n);
		events += n;
		if (test_random(&random) & 1)
			assert_int_equal(sluice_graph_drain(&w->graph, PATIENCE), 0);
		sluice_graph_halt(&w->graph);
		assert_int_equal(sluice_graph_wait(&w->graph, PATIENCE), 0);
		assert_int_equal(sluice_graph_result(&w->graph, "b"), -ECANCELED);
		/* halted stages still gate: a ring full of events waits for the next start */
		if (w->producer.next - atomic_load(&w->segment.participants[0].position) > 6) {
			assert_int_equal(sluice_graph_start(&w->graph, &w->diag), 0);
			assert_int_equal(sluice_graph_drain(&w->graph, PATIENCE), 0);
			sluice_graph_halt(&w->graph);
		}
		assert_int_equal(sluice_graph_wait(&w->graph, PATIENCE), 0);
	}
	assert_int_equal(sluice_graph_start(&w->graph, &w->diag), 0);
	assert_int_equal(sluice_graph_drain(&w->graph, PATIENCE), 0);
	assert_int_equal(sluice_graph_stop(&w->graph, PATIENCE), 0);
	check(w, 3, events);
	for (int i = 0; i < 3; i++)
		assert_true(w->stations[i].starts >= 101);
	works_close(w);
}

/* After a stop the position is kept if that was asked for: the next start goes on there. */
static void test_graph__keeps_its_place(void **state)
{
	(void)state;
	for (int keep = 0; keep < 2; keep++) {
		struct works *w = works_open(RIG_STAMPED, 16);

		for (int i = 0; i < 2; i++)
			w->stages[i].keep = keep;
		sluice_group_then(sluice_graph_handle(&w->graph, 1, w->stages), 1, &w->stages[1]);
		for (int round = 0; round < 3; round++) {
			assert_int_equal(sluice_graph_start(&w->graph, &w->diag), 0);
			publish(w, 2);
			assert_int_equal(sluice_graph_drain(&w->graph, PATIENCE), 0);
			assert_int_equal(sluice_graph_stop(&w->graph, PATIENCE), 0);
			assert_int_equal(gating(w), keep);
			publish(w, 3);
			for (int i = 0; i < 2 && !keep; i++)
				w->stations[i].next += 3;
		}
		assert_int_equal(w->stations[1].events, keep ? 12 : 6);
		assert_int_equal(w->stations[1].missed, 0);
		works_close(w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_graph__parallel),
		cmocka_unit_test(test_graph__pipeline),
		cmocka_unit_test(test_graph__diamond),
		cmocka_unit_test(test_graph__any_other),
		cmocka_unit_test(test_graph__back_pressure_comes_through),
		cmocka_unit_test(test_graph__start_misses_nothing),
		cmocka_unit_test(test_graph__drain_waits_for_stages_that_have_not_run_yet),
		cmocka_unit_test(test_graph__drain_and_stop_keep_their_deadline),
		cmocka_unit_test(test_graph__failed_stage_is_reported_and_can_go_on),
		cmocka_unit_test(test_graph__default_policy_and_its_override),
		cmocka_unit_test(test_graph__starts_and_halts),
		cmocka_unit_test(test_graph__keeps_its_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
