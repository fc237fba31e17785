/* SPDX-License-Identifier: MIT */
/* test_graph_draw.c - mistakes in a drawing, stages of somebody else, starts that fail. */
#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/unit/consumer/graph_fixture.h"

static void test_graph_draw__follows_a_stage_of_somebody_else(void **state)
{
	struct works *w = works_open(RIG_MULTI, 16);
	struct sluice_consumer foreign;

	(void)state;
	assert_int_equal(ring_consumer(&foreign, &w->segment, "foreign", SLUICE_POLICY_CRITICAL,
				       SLUICE_FROM_NEXT), 0);
	sluice_group_then(sluice_group_and(sluice_graph_after(&w->graph, "foreign", NULL),
					   sluice_graph_handle(&w->graph, 1, w->stages)),
			  1, &w->stages[1]);
	w->stations[1].needs = 1;
	assert_int_equal(sluice_graph_start(&w->graph, &w->diag), 0);
	assert_int_equal(gating(w), 1);
	publish(w, 6);
	assert_int_equal(ring_consume(&foreign, 4), 4);
	assert_int_equal(sluice_graph_drain(&w->graph, 30 * MS), -ETIMEDOUT);
	assert_int_equal(w->stations[0].events, 6);
	assert_int_equal(w->stations[1].events, 4);
	assert_int_equal(ring_consume(&foreign, 2), 2);
	assert_int_equal(sluice_graph_drain(&w->graph, PATIENCE), 0);
	assert_int_equal(sluice_graph_stop(&w->graph, PATIENCE), 0);
	check(w, 2, 6);
	sluice_consumer_close(&foreign, false);
	works_close(w);
}

/* The first stage in a process of its own: joins, says so, handles all until the ring is closed. */
static int be_journal(int ready)
{
	struct sluice_segment segment;
	struct sluice_consumer consumer;
	struct sluice_processor processor;
	struct log log = {.consumer = &consumer, .processor = &processor};

	if (sluice_segment_attach(&segment, "works", SLUICE_ACCESS_WRITE, NULL) ||
	    ring_consumer(&consumer, &segment, "journal", SLUICE_POLICY_CRITICAL,
			  SLUICE_FROM_NEXT) ||
	    write(ready, "1", 1) != 1)
		return 1;
	sluice_processor_init(&processor, &consumer, &log_handler, &log, NULL);
	if (sluice_processor_run(&processor) || log.wrong || log.events != 500)
		return 2;
	sluice_consumer_close(&consumer, false);
	return 0;
}

static void test_graph_draw__follows_a_stage_of_another_process(void **state)
{
	struct works *w = calloc(1, sizeof(*w));
	int ready[2];
	char byte;
	pid_t pid;

	(void)state;
	assert_non_null(w);
	works_init(w, "works", RING_MULTI, 16);
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (!pid)
		_exit(be_journal(ready[1]));
	assert_int_equal(read(ready[0], &byte, 1), 1);
	w->stations[1].needs = 1;
	sluice_group_then(sluice_group_then(sluice_graph_after(&w->graph, "journal", NULL), 1,
					    w->stages),
			  1, &w->stages[1]);
	assert_int_equal(sluice_graph_start(&w->graph, &w->diag), 0);
	assert_int_equal(gating(w), 1);
	publish(w, 500);
	sluice_ring_set_state(&w->segment, SLUICE_STATE_DRAINING);
	assert_int_equal(sluice_graph_wait(&w->graph, PATIENCE), 0);
	assert_int_equal(child_wait(pid, 20), 0);
	assert_int_equal(sluice_graph_stop(&w->graph, PATIENCE), 0);
	assert_int_equal(gating(w), 0);
	check(w, 2, 500);
	close(ready[0]);
	close(ready[1]);
	works_close(w);
}

static void *join_late(void *arg)
{
	struct sluice_consumer *foreign = arg;
	struct sluice_segment *segment = foreign->ring.segment;

	usleep(30000);
	return (void *)(intptr_t)ring_consumer(foreign, segment, "late", SLUICE_POLICY_CRITICAL,
					       SLUICE_FROM_NEXT);
}

static void test_graph_draw__waits_for_a_stage_of_somebody_else(void **state)
{
	const struct sluice_graph_options patient = {.join_timeout_ns = PATIENCE};
	struct works *w = works_open(RIG_MULTI, 16);
	struct sluice_consumer foreign = {.ring.segment = &w->segment};
	pthread_t thread;
	void *result;

	(void)state;
	/* nobody there, and no patience: the text names it, and nothing is left in the ring */
	sluice_graph_handle(&w->graph, 1, w->stages);
	sluice_group_then(sluice_graph_after(&w->graph, "late", "a", NULL), 1, &w->stages[1]);
	assert_int_equal(sluice_graph_start(&w->graph, &w->diag), -ENOENT);
	assert_non_null(strstr(w->diag.text, "late"));
	assert_int_equal(gating(w), 0);
	assert_int_equal(w->stations[0].starts, 0);

	sluice_graph_release(&w->graph);
	assert_int_equal(sluice_graph_init(&w->graph, &w->segment, &patient), 0);
	sluice_group_then(sluice_graph_after(&w->graph, "late", NULL), 1, &w->stages[1]);
	pthread_create(&thread, NULL, join_late, &foreign);
	assert_int_equal(sluice_graph_start(&w->graph, &w->diag), 0);
	pthread_join(thread, &result);
	assert_int_equal((intptr_t)result, 0);
	publish(w, 2);
	assert_int_equal(ring_consume(&foreign, 2), 2);
	assert_int_equal(sluice_graph_drain(&w->graph, PATIENCE), 0);
	assert_int_equal(sluice_graph_stop(&w->graph, PATIENCE), 0);
	assert_int_equal(w->stations[1].events, 2);
	sluice_consumer_close(&foreign, false);
	works_close(w);
}

static void draw_twice(struct works *w)
{
	sluice_group_then(sluice_graph_handle(&w->graph, 1, w->stages), 1, w->stages);
}

static void draw_behind_an_empty_group(struct works *w)
{
	sluice_group_then((struct sluice_group){.graph = &w->graph}, 1, w->stages);
}

static void draw_without_handler(struct works *w)
{
	w->stages[0].handler = NULL;
	sluice_graph_handle(&w->graph, 1, w->stages);
}

static void draw_a_long_name(struct works *w)
{
	w->stages[0].name = "abcdefghijklmnopqrstuvwxyzabcdef";
	sluice_graph_handle(&w->graph, 1, w->stages);
}

static void draw_no_name(struct works *w)
{
	w->stages[0].name = NULL;
	sluice_graph_handle(&w->graph, 1, w->stages);
}

static void draw_a_cycle(struct works *w)
{
	struct sluice_group b = sluice_group_then(sluice_graph_after(&w->graph, "a", NULL), 1,
						  &w->stages[1]);

	sluice_group_then(b, 1, &w->stages[0]);
}

static void draw_nothing(struct works *w)
{
	sluice_graph_handle(&w->graph, 0, w->stages);
}

static void draw_too_much(struct works *w)
{
	for (int i = 0; i < 65; i++) {
		char name[16];

		snprintf(name, sizeof(name), "s%d", i);
		w->stages[0].name = name;
		sluice_graph_handle(&w->graph, 1, w->stages);
	}
}

static void test_graph_draw__mistakes_are_reported_at_the_start(void **state)
{
	static const struct {
		void (*draw)(struct works *w);
		int error;
		const char *text;
	} cases[] = {
		{draw_twice, -EEXIST, "\"a\""},
		{draw_behind_an_empty_group, -EINVAL, "\"a\""},
		{draw_without_handler, -EINVAL, "handler"},
		{draw_a_long_name, -EINVAL, "31"},
		{draw_no_name, -EINVAL, "31"},
		{draw_a_cycle, -EEXIST, "another process"},
		{draw_nothing, -EINVAL, "no stages"},
		{draw_too_much, -ENOSPC, "64"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct works *w = works_open(RIG_CURSOR, 16);

		cases[i].draw(w);
		/* what comes after the first mistake does not cover it up, be it another one */
		sluice_graph_handle(&w->graph, 1, &w->stages[5]);
		sluice_group_then((struct sluice_group){.graph = &w->graph}, 0, NULL);
		assert_int_equal(sluice_graph_start(&w->graph, &w->diag), cases[i].error);
		assert_non_null(strstr(w->diag.text, cases[i].text));
		assert_int_equal(sluice_graph_start(&w->graph, NULL), cases[i].error);
		assert_int_equal(gating(w), 0);
		works_close(w);
	}
}

static void test_graph_draw__groups_of_two_graphs_do_not_mix(void **state)
{
	struct works *w = works_open(RIG_CURSOR, 16), *v = works_open(RIG_CURSOR, 16);

	(void)state;
	sluice_group_and(sluice_graph_handle(&w->graph, 1, w->stages),
			 sluice_graph_handle(&v->graph, 1, v->stages));
	assert_int_equal(sluice_graph_start(&w->graph, &w->diag), -EINVAL);
	assert_int_equal(sluice_graph_start(&v->graph, &v->diag), -EINVAL);
	works_close(v);
	works_close(w);
}

static void test_graph_draw__stage_that_cannot_start_undoes_all(void **state)
{
	struct works *w = works_open(RIG_MULTI, 16);

	(void)state;
	w->stages[2].cpus = "no list";
	sluice_group_then(sluice_graph_handle(&w->graph, 2, w->stages), 1, &w->stages[2]);
	assert_int_equal(sluice_graph_start(&w->graph, &w->diag), -EINVAL);
	assert_true(w->diag.text[0]);
	assert_int_equal(gating(w), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(w->stations[i].starts, 0);
	works_close(w);
}

static void test_graph_draw__runs_on_the_cpu_it_is_told(void **state)
{
	struct works *w = works_open(RIG_CURSOR, 16);

	(void)state;
	w->stages[0].cpus = "0";
	sluice_graph_handle(&w->graph, 1, w->stages);
	assert_int_equal(sluice_graph_start(&w->graph, &w->diag), 0);
	for (uint32_t i = 0; i < w->segment.header.participant_count; i++)
		if (!strcmp(w->segment.participants[i].name, "a"))
			assert_int_equal(w->segment.participants[i].cpu, 0);
	assert_int_equal(sluice_graph_stop(&w->graph, PATIENCE), 0);
	works_close(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_graph_draw__follows_a_stage_of_somebody_else),
		cmocka_unit_test(test_graph_draw__follows_a_stage_of_another_process),
		cmocka_unit_test(test_graph_draw__waits_for_a_stage_of_somebody_else),
		cmocka_unit_test(test_graph_draw__mistakes_are_reported_at_the_start),
		cmocka_unit_test(test_graph_draw__groups_of_two_graphs_do_not_mix),
		cmocka_unit_test(test_graph_draw__stage_that_cannot_start_undoes_all),
		cmocka_unit_test(test_graph_draw__runs_on_the_cpu_it_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
