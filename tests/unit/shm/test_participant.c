/* SPDX-License-Identifier: MIT */
/* test_participant.c - joining, leaving, coming back, eviction, and what the dead leave. */
#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "shm/clock.h"
#include "tests/lib/ring_fixture.h"

#define MS 1000000ull

static const uint32_t schemes[] = {RING_CURSOR, RING_STAMPED};

static int join_at(struct sluice_segment *segment, const char *name, uint32_t policy, uint32_t from,
		   uint64_t sequence, uint32_t *ret_index, struct sluice_diag *diag)
{
	const struct sluice_participant_options options = {
		.name = name, .role = SLUICE_ROLE_CONSUMER, .policy = policy, .from = from,
		.sequence = sequence,
	};

	return sluice_participant_join(segment, &options, ret_index, NULL, diag);
}

static uint64_t position_of(const struct sluice_segment *segment, uint32_t index)
{
	return atomic_load(&segment->participants[index].position);
}

static void test_participant__refuses_bad_names(void **state)
{
	static const char *const bad[] = {NULL, "", "a b", "a/b",
					  "a-name-that-is-longer-than-thirty-one-chars", "\xc3\xa4"};
	struct sluice_segment segment;
	struct sluice_diag diag;
	uint32_t index;

	(void)state;
	assert_int_equal(ring_create(&segment, NULL, RING_CURSOR, 8, 0), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(join_at(&segment, bad[i], SLUICE_POLICY_CRITICAL, 0, 0, &index,
					 &diag), -EINVAL);
	assert_int_equal(join_at(&segment, "A.z_9-", SLUICE_POLICY_CRITICAL, 0, 0, &index, NULL), 0);
	ring_destroy(&segment);
}

static void test_participant__read_only_cannot_join(void **state)
{
	struct sluice_segment segment, view;
	struct sluice_diag diag;
	uint32_t index;

	(void)state;
	assert_int_equal(ring_create(&segment, "ro", RING_CURSOR, 8, 0), 0);
	assert_int_equal(sluice_segment_attach(&view, "ro", SLUICE_ACCESS_READ, NULL), 0);
	assert_int_equal(join_at(&view, "c", SLUICE_POLICY_LOSSY, 0, 0, &index, &diag), -EACCES);
	assert_non_null(strstr(diag.text, "read-only"));
	sluice_segment_close(&view);
	ring_destroy(&segment);
}

static void test_participant__table_has_an_end(void **state)
{
	struct sluice_segment segment;
	char name[16];
	uint32_t index;

	(void)state;
	for (int named = 0; named < 2; named++) {
		assert_int_equal(ring_create(&segment, named ? "end" : NULL, RING_CURSOR, 8, 0), 0);
		for (uint32_t i = 0; i < SLUICE_PARTICIPANTS_MAX; i++) {
			snprintf(name, sizeof(name), "c%u", i);
			assert_int_equal(join_at(&segment, name, SLUICE_POLICY_CRITICAL, 0, 0,
						 &index, NULL), 0);
			assert_int_equal(index, i);
		}
		assert_int_equal(join_at(&segment, "more", SLUICE_POLICY_LOSSY, 0, 0, &index, NULL),
				 -EAGAIN);
		assert_int_equal(atomic_load(&segment.control->gating), UINT64_MAX);
		sluice_participant_leave(&segment, 17, false);
		assert_int_equal(join_at(&segment, "more", SLUICE_POLICY_LOSSY, 0, 0, &index, NULL),
				 0);
		assert_int_equal(index, 17);
		assert_int_equal(atomic_load(&segment.control->gating), ~(1ull << 17));
		ring_destroy(&segment);
	}
}

static void test_participant__critical_comes_back_where_it_was(void **state)
{
	struct sluice_segment segment;
	struct sluice_consumer consumer, other;
	struct sluice_producer producer;

	(void)state;
	assert_int_equal(ring_create(&segment, NULL, RING_STAMPED, 8, 0), 0);
	assert_int_equal(sluice_producer_open(&producer, &segment, NULL, NULL), 0);
	assert_int_equal(ring_consumer(&consumer, &segment, "c", SLUICE_POLICY_CRITICAL,
				       SLUICE_FROM_NEXT), 0);
	assert_false(consumer.resumed);
	assert_int_equal(ring_consumer(&other, &segment, "c", SLUICE_POLICY_CRITICAL, 0), -EBUSY);
	assert_int_equal(ring_publish(&producer, 5), 0);
	assert_int_equal(ring_consume(&consumer, 2), 2);
	sluice_consumer_close(&consumer, true);
	/* away, and still held for */
	assert_int_equal(ring_publish(&producer, 9), -EAGAIN);
	assert_int_equal(producer.next, 10);
	assert_int_equal(ring_consumer(&consumer, &segment, "c", SLUICE_POLICY_CRITICAL,
				       SLUICE_FROM_NEXT), 0);
	assert_true(consumer.resumed);
	assert_int_equal(consumer.next, 2);
	assert_int_equal(ring_consume(&consumer, 100), 8);
	sluice_consumer_close(&consumer, false);
	assert_int_equal(ring_publish(&producer, 100), 0);
	sluice_producer_close(&producer);
	ring_destroy(&segment);
}

static void test_participant__reserved_place_is_held(void **state)
{
	struct sluice_segment segment;
	struct sluice_producer producer;
	struct sluice_consumer consumer;

	(void)state;
	for (int named = 0; named < 2; named++) {
		assert_int_equal(ring_create(&segment, named ? "held" : NULL, RING_CURSOR, 8, 40), 0);
		assert_int_equal(sluice_participant_reserve(&segment, "reports", 40, NULL), 0);
		assert_int_equal(sluice_producer_open(&producer, &segment, NULL, NULL), 0);
		assert_int_equal(ring_publish(&producer, 9), -EAGAIN);
		assert_int_equal(ring_consumer(&consumer, &segment, "reports",
					       SLUICE_POLICY_CRITICAL, SLUICE_FROM_NEXT), 0);
		assert_true(consumer.resumed);
		assert_int_equal(ring_consume(&consumer, 100), 8);
		sluice_consumer_close(&consumer, false);
		sluice_producer_close(&producer);
		ring_destroy(&segment);
	}
}

static void test_participant__late_joiners_start_where_they_asked(void **state)
{
	static const uint32_t policies[] = {SLUICE_POLICY_CRITICAL, SLUICE_POLICY_EVICTABLE,
					    SLUICE_POLICY_LOSSY};

	(void)state;
	for (int i = 0; i < 6; i++) {
		struct sluice_segment segment;
		struct sluice_producer producer;
		struct sluice_diag diag;
		const uint32_t policy = policies[i % 3];
		uint64_t first;
		uint32_t index = 99;

		assert_int_equal(ring_create(&segment, NULL, schemes[i / 3], 8, 100), 0);
		assert_int_equal(sluice_producer_open(&producer, &segment, NULL, NULL), 0);
		assert_int_equal(join_at(&segment, "early", policy, SLUICE_FROM_BEGINNING, 0, &index,
					 NULL), 0);
		assert_int_equal(position_of(&segment, index), 100);
		sluice_participant_leave(&segment, index, false);
		assert_int_equal(ring_publish(&producer, 20), 0);
		assert_int_equal(sluice_producer_try_claim(&producer, 2, &first), 0);
		assert_int_equal(join_at(&segment, "next", policy, SLUICE_FROM_NEXT, 0, &index,
					 NULL), 0);
		assert_int_equal(position_of(&segment, index), 120);
		sluice_participant_leave(&segment, index, false);
		assert_int_equal(join_at(&segment, "oldest", policy, SLUICE_FROM_BEGINNING, 0,
					 &index, NULL), 0);
		assert_int_equal(position_of(&segment, index), 114);
		sluice_participant_leave(&segment, index, false);
		for (uint64_t at = 110; at < 125; at++) {
			const int rc = join_at(&segment, "at", policy, SLUICE_FROM_SEQUENCE, at,
					       &index, &diag);

			assert_int_equal(rc, at < 114 || at > 120 ? -ERANGE : 0);
			if (rc) {
				assert_non_null(strstr(diag.text, "114 up to 120"));
				continue;
			}
			assert_int_equal(position_of(&segment, index), at);
			sluice_participant_leave(&segment, index, false);
		}
		assert_int_equal(atomic_load(&segment.control->gating), 0);
		sluice_producer_close(&producer);
		ring_destroy(&segment);
	}
}

static void test_participant__eviction_is_for_consumers_and_noticed(void **state)
{
	struct sluice_segment segment;
	struct sluice_consumer consumer;
	struct sluice_producer producer;
	struct sluice_participant_view view;

	(void)state;
	assert_int_equal(ring_create(&segment, "evict", RING_CURSOR, 8, 0), 0);
	assert_int_equal(sluice_producer_open(&producer, &segment, NULL, NULL), 0);
	assert_int_equal(sluice_participant_evict(&segment, producer.index), -ENOENT);
	assert_int_equal(sluice_participant_evict(&segment, 40), -ENOENT);
	assert_int_equal(sluice_participant_evict(&segment, 4000), -ENOENT);
	assert_int_equal(ring_consumer(&consumer, &segment, "c", SLUICE_POLICY_CRITICAL, 0), 0);
	assert_true(sluice_participant_view(&segment, consumer.index, &view));
	assert_int_equal(view.state, SLUICE_PARTICIPANT_ACTIVE);
	assert_int_equal(view.gating, 1);
	assert_int_equal(view.alive, 1);
	assert_string_equal(view.name, "c");
	assert_int_equal(view.pid, getpid());
	assert_int_equal(sluice_participant_evict_if(&segment, consumer.index, 12345), -ENOENT);
	assert_int_equal(sluice_participant_evict(&segment, consumer.index), 0);
	assert_true(sluice_participant_view(&segment, consumer.index, &view));
	assert_int_equal(view.state, SLUICE_PARTICIPANT_EVICTED);
	assert_int_equal(view.gating, 0);
	/* its owner still holds the byte: nobody else gets the entry */
	assert_int_equal(sluice_liveness_probe(&segment, consumer.index), 1);
	assert_int_equal(ring_publish(&producer, 20), 0);
	sluice_consumer_close(&consumer, true);
	assert_false(sluice_participant_view(&segment, consumer.index, &view));
	assert_int_equal(sluice_participant_count(&segment, SLUICE_ROLE_CONSUMER), 0);
	sluice_producer_close(&producer);
	ring_destroy(&segment);
}

/* ----------------------------------------------------------------------------------- races */

struct racer {
	struct sluice_segment segment;
	uint64_t seed;
	uint64_t joins;
	uint64_t wrong;
	uint64_t end_ns;
};

/* While it is ACTIVE and nobody has evicted it, its bit must be set, whatever others do. */
static void *race(void *arg)
{
	struct racer *racer = arg;
	struct sluice_segment *segment = &racer->segment;
	char name[16];

	snprintf(name, sizeof(name), "r%u", (unsigned)(racer->seed & 0xffff));
	while (sluice_clock_ns() < racer->end_ns) {
		const uint64_t what = test_random(&racer->seed);
		uint32_t index;
		int rc;

		if (what % 4 == 0) {
			sluice_participant_evict(segment, (uint32_t)(what >> 8) % 4);
			continue;
		}
		rc = join_at(segment, name, what % 4 == 1 ? SLUICE_POLICY_CRITICAL
							  : SLUICE_POLICY_EVICTABLE,
			     SLUICE_FROM_NEXT, 0, &index, NULL);
		if (rc)
			continue;
		racer->joins++;
		for (int i = 0; i < 20; i++) {
			const uint64_t bits = atomic_load(&segment->control->gating);

			if ((atomic_load(&segment->participants[index].state) &
			     SLUICE_PARTICIPANT_STATE_MASK) == SLUICE_PARTICIPANT_ACTIVE &&
			    !(bits >> index & 1))
				racer->wrong++;
		}
		sluice_participant_leave(segment, index, what % 8 == 1);
	}
	return NULL;
}

static void test_participant__eviction_never_hits_a_newcomer(void **state)
{
	struct sluice_segment segment;
	static struct racer racers[4];
	pthread_t threads[4];
	uint64_t joins = 0, wrong = 0;

	(void)state;
	assert_int_equal(ring_create(&segment, "race", RING_CURSOR, 8, 0), 0);
	for (int i = 0; i < 4; i++) {
		memset(&racers[i], 0, sizeof(racers[i]));
		assert_int_equal(sluice_segment_attach(&racers[i].segment, "race",
						       SLUICE_ACCESS_WRITE, NULL), 0);
		racers[i].seed = test_seed() + (uint64_t)i;
		racers[i].end_ns = sluice_clock_ns() + 800 * MS;
		pthread_create(&threads[i], NULL, race, &racers[i]);
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		joins += racers[i].joins;
		wrong += racers[i].wrong;
		sluice_segment_close(&racers[i].segment);
	}
	assert_true(joins > 100);
	assert_int_equal(wrong, 0);
	ring_destroy(&segment);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_participant__refuses_bad_names),
		cmocka_unit_test(test_participant__read_only_cannot_join),
		cmocka_unit_test(test_participant__table_has_an_end),
		cmocka_unit_test(test_participant__critical_comes_back_where_it_was),
		cmocka_unit_test(test_participant__reserved_place_is_held),
		cmocka_unit_test(test_participant__late_joiners_start_where_they_asked),
		cmocka_unit_test(test_participant__eviction_is_for_consumers_and_noticed),
		cmocka_unit_test(test_participant__eviction_never_hits_a_newcomer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
