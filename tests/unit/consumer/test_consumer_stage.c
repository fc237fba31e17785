/* SPDX-License-Identifier: MIT */
/* test_consumer_stage.c - followers: what they read, where they start, who gates. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/unit/consumer/stage_fixture.h"

static void test_consumer_stage__reads_what_the_one_before_released(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		struct line line;
		uint64_t n;

		line_open(&line, NULL, schemes[i], 8);
		assert_int_equal(ring_publish(&line.producer, 5), 0);
		assert_int_equal(ready(&line.b), -EAGAIN);
		assert_int_equal(ready(&line.c), -EAGAIN);
		assert_int_equal(ring_consume(&line.a, 3), 3);
		assert_int_equal(ready(&line.b), 3);
		assert_int_equal(ready(&line.c), -EAGAIN);
		/* read and not released is not for the next */
		assert_int_equal(sluice_consumer_poll(&line.b, 2, &n), 0);
		assert_int_equal(n, 2);
		sluice_consumer_advance(&line.b, 2);
		assert_int_equal(ready(&line.c), -EAGAIN);
		sluice_consumer_release(&line.b, 1);
		assert_int_equal(ready(&line.c), 1);
		sluice_consumer_release(&line.b, 2);
		assert_int_equal(ring_consume(&line.c, 8), 2);
		assert_int_equal(ring_consume(&line.a, 8), 2);
		assert_int_equal(ring_consume(&line.b, 8), 3);
		assert_int_equal(ring_consume(&line.c, 8), 3);
		line_close(&line);
	}
}

/* D12 */
static void test_consumer_stage__joins_wait_for_all_before_them(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		struct sluice_segment segment;
		struct sluice_producer producer;
		struct sluice_consumer in[3], join, last;

		assert_int_equal(ring_create(&segment, NULL, schemes[i], 8, 1000), 0);
		assert_int_equal(sluice_producer_open(&producer, &segment, NULL, NULL), 0);
		assert_int_equal(stage(&in[0], &segment, "x", NULL), 0);
		assert_int_equal(stage(&in[1], &segment, "y", NULL), 0);
		assert_int_equal(stage(&in[2], &segment, "z", NULL), 0);
		assert_int_equal(stage(&join, &segment, "join", AFTER("x", "y", "z")), 0);
		assert_int_equal(stage(&last, &segment, "last", AFTER("join", "x")), 0);
		assert_int_equal(ring_publish(&producer, 8), 0);
		for (int order = 0; order < 6; order++) {
			static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
							 {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};

			for (int k = 0; k < 3; k++) {
				assert_int_equal(ready(&join), -EAGAIN);
				assert_int_equal(ring_consume(&in[orders[order][k]], 1), 1);
			}
			assert_int_equal(ready(&last), -EAGAIN);
			assert_int_equal(ring_consume(&join, 8), 1);
			assert_int_equal(ring_consume(&last, 8), 1);
		}
		/* one branch lags: everybody else stops a ring ahead of it */
		assert_int_equal(ring_publish(&producer, 100), -EAGAIN);
		assert_int_equal(ring_consume(&in[0], 100), 8);
		assert_int_equal(ring_consume(&in[2], 100), 8);
		assert_int_equal(ready(&join), -EAGAIN);
		assert_int_equal(ring_publish(&producer, 1), -EAGAIN);
		assert_int_equal(ring_consume(&in[1], 3), 3);
		assert_int_equal(ring_consume(&join, 100), 3);
		assert_int_equal(ring_publish(&producer, 1), -EAGAIN);
		assert_int_equal(ring_consume(&last, 100), 3);
		assert_int_equal(ring_publish(&producer, 3), 0);
		for (int k = 0; k < 3; k++)
			sluice_consumer_close(&in[k], false);
		sluice_consumer_close(&last, false);
		sluice_consumer_close(&join, false);
		assert_int_equal(gating(&segment), 0);
		sluice_producer_close(&producer);
		ring_destroy(&segment);
	}
}

/* D13 */
static void test_consumer_stage__only_the_last_of_a_line_gates(void **state)
{
	struct line line;
	struct sluice_consumer d;

	(void)state;
	line_open(&line, NULL, RING_MULTI, 8);
	assert_int_equal(gating(&line.segment), bit(&line.c));
	assert_int_equal(stage(&d, &line.segment, "d", AFTER("a")), 0);
	assert_int_equal(gating(&line.segment), bit(&line.c) | bit(&d));
	/* the middle stalls: the last does, and then the producer */
	assert_int_equal(ring_publish(&line.producer, 8), 0);
	assert_int_equal(ring_consume(&line.a, 8), 8);
	assert_int_equal(ring_consume(&d, 8), 8);
	assert_int_equal(ready(&line.c), -EAGAIN);
	assert_int_equal(ring_publish(&line.producer, 1), -EAGAIN);
	/* what the leaver kept is kept by whom it followed */
	sluice_consumer_close(&line.c, false);
	assert_int_equal(gating(&line.segment), bit(&line.b) | bit(&d));
	assert_int_equal(ring_publish(&line.producer, 1), -EAGAIN);
	assert_int_equal(ring_consume(&line.b, 2), 2);
	assert_int_equal(ring_publish(&line.producer, 2), 0);
	assert_int_equal(ring_publish(&line.producer, 1), -EAGAIN);
	sluice_consumer_close(&d, false);
	assert_int_equal(gating(&line.segment), bit(&line.b));
	sluice_consumer_close(&line.b, false);
	assert_int_equal(gating(&line.segment), bit(&line.a));
	assert_int_equal(ring_publish(&line.producer, 100), -EAGAIN);
	assert_int_equal(ring_consume(&line.a, 100), 8);
	line_close(&line);
}

static void test_consumer_stage__lossy_follows_and_does_not_gate(void **state)
{
	const struct sluice_consumer_options lossy = {.policy = SLUICE_POLICY_LOSSY};
	struct sluice_consumer spy;
	struct line line;
	uint8_t event[64];
	uint64_t n;

	(void)state;
	line_open(&line, NULL, RING_STAMPED, 8);
	assert_int_equal(stage_as(&spy, &line.segment, "spy", AFTER("a"), &lossy, NULL), 0);
	assert_int_equal(gating(&line.segment), bit(&line.c));
	assert_int_equal(ring_publish(&line.producer, 8), 0);
	assert_int_equal(ready(&spy), -EAGAIN);
	assert_int_equal(ring_consume(&line.a, 8), 8);
	assert_int_equal(ready(&spy), 8);
	assert_int_equal(ring_consume(&line.b, 8), 8);
	assert_int_equal(ring_consume(&line.c, 8), 8);
	assert_int_equal(ring_publish(&line.producer, 8), 0);
	assert_int_equal(sluice_consumer_poll(&spy, 8, &n), 0);
	assert_int_equal(sluice_consumer_copy(&spy, spy.next, event), -EOVERFLOW);
	assert_int_equal(sluice_consumer_skip(&spy), 8);
	assert_int_equal(ready(&spy), -EAGAIN);
	assert_int_equal(ring_consume(&line.a, 1), 1);
	assert_int_equal(ready(&spy), 1);
	assert_int_equal(sluice_consumer_copy(&spy, spy.next, event), 0);
	assert_true(event_is(event, spy.ring.payload_bytes, 8));
	sluice_consumer_close(&spy, false);
	line_close(&line);
}

static void test_consumer_stage__starts_behind_whom_it_follows(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		struct sluice_consumer_options more = {.from = SLUICE_FROM_NEXT};
		struct sluice_diag diag;
		struct sluice_consumer d;
		struct line line;

		line_open(&line, NULL, schemes[i], 8);
		assert_int_equal(ring_publish(&line.producer, 8), 0);
		assert_int_equal(ring_consume(&line.a, 6), 6);
		assert_int_equal(ring_consume(&line.b, 4), 4);
		assert_int_equal(ring_consume(&line.c, 2), 2);
		assert_int_equal(ring_publish(&line.producer, 2), 0);
		assert_int_equal(stage_as(&d, &line.segment, "d", AFTER("a", "b"), &more, NULL), 0);
		assert_int_equal(d.next, 4);
		sluice_consumer_close(&d, false);
		more.from = SLUICE_FROM_BEGINNING;
		assert_int_equal(stage_as(&d, &line.segment, "d", AFTER("a"), &more, NULL), 0);
		assert_int_equal(d.next, 2);
		sluice_consumer_close(&d, false);
		more.from = SLUICE_FROM_SEQUENCE;
		for (more.sequence = 0; more.sequence < 9; more.sequence++) {
			const bool in = more.sequence >= 2 && more.sequence <= 6;

			assert_int_equal(stage_as(&d, &line.segment, "d", AFTER("a"), &more, &diag),
					 in ? 0 : -ERANGE);
			if (!in)
				continue;
			assert_int_equal(d.next, more.sequence);
			sluice_consumer_close(&d, false);
		}
		assert_non_null(strstr(diag.text, "2 up to 6"));
		assert_int_equal(gating(&line.segment), bit(&line.c));
		line_close(&line);
	}
}

static void test_consumer_stage__refuses_what_makes_no_line(void **state)
{
	const struct sluice_consumer_options lossy = {.policy = SLUICE_POLICY_LOSSY};
	struct sluice_consumer d, spy;
	struct sluice_diag diag;
	struct line line;

	(void)state;
	line_open(&line, NULL, RING_CURSOR, 8);
	assert_int_equal(stage_as(&spy, &line.segment, "spy", NULL, &lossy, NULL), 0);
	assert_int_equal(stage_as(&d, &line.segment, "d", AFTER("a", "nobody"), NULL, &diag),
			 -ENOENT);
	assert_non_null(strstr(diag.text, "\"nobody\""));
	assert_int_equal(stage_as(&d, &line.segment, "d", AFTER("spy"), NULL, &diag), -EINVAL);
	assert_non_null(strstr(diag.text, "lossy"));
	assert_int_equal(stage_as(&d, &line.segment, "d", AFTER("d"), NULL, &diag), -EINVAL);
	assert_int_equal(stage_as(&d, &line.segment, "d", AFTER("producer"), NULL, &diag), -ENOENT);
	/* a comes back and wants to follow who waits for it: nobody would ever move */
	sluice_consumer_close(&line.a, true);
	assert_int_equal(stage_as(&d, &line.segment, "a", AFTER("c"), NULL, &diag), -EINVAL);
	assert_non_null(strstr(diag.text, "waits for this one"));
	assert_int_equal(stage(&line.a, &line.segment, "a", NULL), 0);
	/* one that was ahead of another cannot come back behind it */
	assert_int_equal(stage(&d, &line.segment, "d", NULL), 0);
	assert_int_equal(ring_publish(&line.producer, 3), 0);
	assert_int_equal(ring_consume(&d, 2), 2);
	sluice_consumer_close(&d, true);
	assert_int_equal(stage_as(&d, &line.segment, "d", AFTER("b"), NULL, &diag), -ERANGE);
	assert_non_null(strstr(diag.text, "up to 2"));
	assert_int_equal(ring_consume(&line.a, 8), 3);
	assert_int_equal(ring_consume(&line.b, 8), 3);
	assert_int_equal(stage(&d, &line.segment, "d", AFTER("b")), 0);
	assert_int_equal(gating(&line.segment), bit(&line.c) | bit(&d));
	assert_int_equal(ready(&d), 1);
	sluice_consumer_close(&d, false);
	sluice_consumer_close(&spy, false);
	line_close(&line);
}

static void test_consumer_stage__is_seen_by_tools(void **state)
{
	struct sluice_participant_view view;
	struct line line;

	(void)state;
	line_open(&line, NULL, RING_CURSOR, 8);
	assert_true(sluice_participant_view(&line.segment, line.c.index, &view));
	assert_int_equal(view.follows, bit(&line.b));
	assert_int_equal(view.gating, 1);
	assert_true(sluice_participant_view(&line.segment, line.b.index, &view));
	assert_int_equal(view.follows, bit(&line.a));
	assert_int_equal(view.gating, 0);
	line_close(&line);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_consumer_stage__reads_what_the_one_before_released),
		cmocka_unit_test(test_consumer_stage__joins_wait_for_all_before_them),
		cmocka_unit_test(test_consumer_stage__only_the_last_of_a_line_gates),
		cmocka_unit_test(test_consumer_stage__lossy_follows_and_does_not_gate),
		cmocka_unit_test(test_consumer_stage__starts_behind_whom_it_follows),
		cmocka_unit_test(test_consumer_stage__refuses_what_makes_no_line),
		cmocka_unit_test(test_consumer_stage__is_seen_by_tools),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
