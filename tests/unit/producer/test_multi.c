/* SPDX-License-Identifier: MIT */
/*
 * test_multi.c - rings of many producers: claims, partial and reversed publication, abort, gates,
 * bounds, states. (Threads: test_multi_threads.c; deaths: test_recovery.c.)
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "shm/claim.h"
#include "tests/lib/multi_fixture.h"

static void test_multi__first_claims_are_dense_over_producers(void **state)
{
	struct multi_fixture f = {0};
	uint64_t a, b;

	(void)state;
	multi_open(&f, 8, true);
	assert_int_equal(sluice_producer_try_claim(&f.p[0], 1, &a), 0);
	assert_int_equal(a, 0);
	assert_int_equal(sluice_claim_state(multi_record(&f.p[0])), SLUICE_CLAIM_CLAIMED);
	assert_int_equal(sluice_producer_try_claim(&f.p[0], 1, &b), -EBUSY);
	assert_int_equal(sluice_producer_try_claim(&f.p[1], 4, &b), 0);
	assert_int_equal(b, 1);
	assert_int_equal(sluice_claim_count(multi_record(&f.p[1])), 4);
	assert_int_equal(sluice_claim_first(multi_record(&f.p[1]), 3), 1);
	assert_int_equal(sluice_producer_remaining(&f.p[0]), 3);
	sluice_producer_publish(&f.p[0], 0);
	assert_int_equal(multi_record(&f.p[0]), SLUICE_CLAIM_IDLE);
	sluice_producer_publish_range(&f.p[1], 1, 4);
	assert_int_equal(sluice_ring_published(&f.p[0].ring, 0, 8), 5);
	multi_close(&f);
}

/* Consumers see the contiguous prefix only, in whatever order slots are published. */
static void test_multi__publish_in_any_order(void **state)
{
	uint64_t seed = test_seed();

	(void)state;
	for (int round = 0; round < 50; round++) {
		struct multi_fixture f = {0};
		uint64_t first, second, order[8], seen = 0;
		bool out[16] = {false};

		multi_open(&f, 16, true);
		assert_int_equal(sluice_producer_try_claim(&f.p[0], 8, &first), 0);
		assert_int_equal(sluice_producer_try_claim(&f.p[1], 8, &second), 0);
		multi_fill(&f.p[0], first, 8);
		multi_fill(&f.p[1], second, 8);
		for (uint64_t i = 0; i < 8; i++)
			order[i] = round ? i : 7 - i; /* reversed, then shuffled */
		for (uint64_t i = 7; round && i; i--) {
			const uint64_t j = test_random(&seed) % (i + 1), t = order[i];

			order[i] = order[j];
			order[j] = t;
		}
		for (int i = 0; i < 8; i++) {
			sluice_producer_publish(&f.p[1], second + order[7 - i]);
			sluice_producer_publish(&f.p[0], first + order[i]);
			out[second + order[7 - i]] = out[first + order[i]] = true;
			while (seen < 16 && out[seen])
				seen++;
			assert_int_equal(sluice_ring_published(&f.p[0].ring, 0, 16), seen);
		}
		assert_int_equal(ring_consume(&f.consumer, 16), 16);
		multi_close(&f);
	}
}

/* available: no before, yes after, no again once the slot has been taken for the next lap */
static void test_multi__availability_over_a_wrap(void **state)
{
	struct multi_fixture f = {0};
	uint64_t first;

	(void)state;
	multi_open(&f, 4, true);
	for (uint64_t lap = 0; lap < 5; lap++) {
		for (uint64_t i = 0; i < 4; i++) {
			const uint64_t s = lap * 4 + i;

			assert_int_equal(sluice_ring_published(&f.p[0].ring, s, 1), s);
			assert_int_equal(sluice_producer_try_claim(&f.p[i % 2], 1, &first), 0);
			assert_int_equal(first, s);
			assert_int_equal(sluice_ring_published(&f.p[0].ring, s, 1), s);
			/* being written for s: whatever used the slot before is done */
			if (s >= 4)
				assert_int_equal(sluice_ring_published(&f.p[0].ring, s - 4, 1),
						 s - 3);
			multi_fill(&f.p[i % 2], s, 1);
			sluice_producer_publish(&f.p[i % 2], s);
			assert_int_equal(sluice_ring_published(&f.p[0].ring, s, 1), s + 1);
		}
		assert_int_equal(ring_consume(&f.consumer, 4), 4);
	}
	multi_close(&f);
}

static void test_multi__abort_leaves_tombstones(void **state)
{
	struct multi_fixture f = {0};
	uint64_t first;

	(void)state;
	multi_open(&f, 8, true);
	assert_int_equal(sluice_producer_try_claim(&f.p[0], 5, &first), 0);
	multi_fill(&f.p[0], first, 5);
	sluice_producer_publish_range(&f.p[0], 1, 2);
	sluice_producer_abort(&f.p[0]);
	assert_int_equal(multi_record(&f.p[0]), SLUICE_CLAIM_IDLE);
	for (uint64_t s = 0; s < 5; s++)
		assert_int_equal(sluice_ring_is_void(&f.p[0].ring, s), s != 1 && s != 2);
	assert_int_equal(atomic_load(&f.segment.control->tombstones), 3);
	sluice_producer_abort(&f.p[0]); /* nothing is claimed */
	assert_int_equal(sluice_producer_try_claim(&f.p[0], 1, &first), 0);
	assert_int_equal(first, 5);
	sluice_producer_close(&f.p[0]); /* by closing, too */
	assert_true(sluice_ring_is_void(&f.p[1].ring, 5));
	assert_int_equal(sluice_producer_open(&f.p[0], &f.segment, NULL, NULL), 0);
	multi_close(&f);
}

/*
 * Single-producer rings: the slots are claimed again, or become tombstones where there are
 * stamps.
 */
static void test_multi__abort_on_single_producer_rings(void **state)
{
	struct sluice_segment segment;
	struct sluice_producer producer;
	uint64_t first;

	(void)state;
	for (uint32_t scheme = RING_CURSOR; scheme <= RING_STAMPED; scheme++) {
		assert_int_equal(ring_create(&segment, NULL, scheme, 8, 0), 0);
		assert_int_equal(sluice_producer_open(&producer, &segment, NULL, NULL), 0);
		assert_int_equal(ring_publish(&producer, 2), 0);
		assert_int_equal(sluice_producer_try_claim(&producer, 3, &first), 0);
		sluice_producer_abort(&producer);
		assert_int_equal(sluice_producer_try_claim(&producer, 1, &first), 0);
		assert_int_equal(first, scheme == RING_CURSOR ? 2 : 5);
		assert_true(atomic_load(&segment.control->claim) >= 5);
		sluice_producer_close(&producer);
		ring_destroy(&segment);
	}
}

/* Without a consumer that gates, a slot is not claimed again before its last user has published. */
static void test_multi__unpublished_slots_gate_when_nobody_else_does(void **state)
{
	struct multi_fixture f = {0};
	uint64_t first, other;

	(void)state;
	multi_open(&f, 8, false);
	assert_int_equal(ring_publish(&f.p[1], 20), 0);
	assert_int_equal(sluice_producer_try_claim(&f.p[0], 2, &first), 0);
	assert_int_equal(first, 20);
	assert_int_equal(ring_publish(&f.p[1], 100), -EAGAIN);
	assert_int_equal(atomic_load(&f.segment.control->claim), 28);
	assert_int_equal(sluice_producer_remaining(&f.p[1]), 0);
	multi_fill(&f.p[0], first, 2);
	sluice_producer_publish(&f.p[0], first);
	assert_int_equal(sluice_producer_remaining(&f.p[1]), 1);
	assert_int_equal(sluice_producer_try_claim(&f.p[1], 2, &other), -EAGAIN);
	assert_int_equal(f.p[1].missing, 1);
	sluice_producer_publish(&f.p[0], first + 1);
	assert_int_equal(ring_publish(&f.p[1], 100), 0);
	multi_close(&f);
}

/* Somebody who joins behind the newest event, after a claim was checked against nobody. */
static void test_multi__claim_gives_way_to_a_newcomer(void **state)
{
	struct multi_fixture f = {0};
	uint64_t first;

	(void)state;
	multi_open(&f, 4, false);
	assert_int_equal(ring_publish(&f.p[0], 9), 0);
	assert_int_equal(ring_consumer(&f.consumer, &f.segment, "c", SLUICE_POLICY_CRITICAL,
				       SLUICE_FROM_BEGINNING), 0);
	assert_int_equal(f.consumer.next, 5);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(sluice_producer_try_claim(&f.p[i], 1, &first), -EAGAIN);
		assert_int_equal(multi_record(&f.p[i]), SLUICE_CLAIM_IDLE);
	}
	assert_int_equal(atomic_load(&f.segment.control->claim), 9);
	assert_int_equal(ring_consume(&f.consumer, 100), 4);
	assert_int_equal(ring_publish(&f.p[1], 4), 0);
	multi_close(&f);
}

/* The bound that joiners go by counts attempts that may yet succeed, and no others. */
static void test_multi__claim_bound(void **state)
{
	struct multi_fixture f = {0};
	_Atomic uint64_t *words[2];

	(void)state;
	multi_open(&f, 16, false);
	assert_int_equal(ring_publish(&f.p[0], 10), 0);
	words[0] = &f.p[0].self->claim_record;
	words[1] = &f.p[1].self->claim_record;
	assert_int_equal(sluice_claim_bound(&f.p[0].ring), 10);
	atomic_store(words[0], sluice_claim_pack(SLUICE_CLAIM_ATTEMPT, 10, 3));
	assert_int_equal(sluice_claim_bound(&f.p[0].ring), 13);
	atomic_store(words[1], sluice_claim_pack(SLUICE_CLAIM_ATTEMPT, 10, 5));
	assert_int_equal(sluice_claim_bound(&f.p[0].ring), 15);
	atomic_store(words[1], sluice_claim_pack(SLUICE_CLAIM_ATTEMPT, 2, 3)); /* long over */
	assert_int_equal(sluice_claim_bound(&f.p[0].ring), 13);
	atomic_store(words[0], sluice_claim_pack(SLUICE_CLAIM_CLAIMED, 8, 2));
	assert_int_equal(sluice_claim_bound(&f.p[0].ring), 10);
	atomic_store(words[1], SLUICE_CLAIM_ATTEMPT | 0x123456789abcull); /* not one of ours */
	assert_int_equal(sluice_claim_bound(&f.p[0].ring), 10);
	atomic_store(words[0], SLUICE_CLAIM_IDLE);
	atomic_store(words[1], SLUICE_CLAIM_IDLE);
	multi_close(&f);
}

static void test_multi__record_arithmetic(void **state)
{
	static const uint64_t firsts[] = {0, 5, (1ull << 48) - 3, 1ull << 48, (3ull << 48) + 7};

	(void)state;
	for (size_t i = 0; i < sizeof(firsts) / sizeof(firsts[0]); i++) {
		const uint64_t first = firsts[i];
		const uint64_t word = sluice_claim_pack(SLUICE_CLAIM_CLAIMED, first,
							SLUICE_CLAIM_MAX);

		assert_int_equal(sluice_claim_state(word), SLUICE_CLAIM_CLAIMED);
		assert_int_equal(sluice_claim_count(word), SLUICE_CLAIM_MAX);
		assert_int_equal(sluice_claim_first(word, first + 1000), first);
		assert_true(first < 1000 || sluice_claim_first(word, first - 1000) == first);
		assert_true(sluice_claim_covers(word, first));
		assert_true(sluice_claim_covers(word, first + SLUICE_CLAIM_MAX - 1));
		assert_false(sluice_claim_covers(word, first + SLUICE_CLAIM_MAX));
		assert_false(sluice_claim_covers(word, first - 1));
	}
}

/* A ring that began near the end of what a record can hold goes on across it. */
static void test_multi__sequences_beyond_the_record(void **state)
{
	const uint64_t base = (1ull << 48) - 20;
	struct sluice_segment segment;
	struct sluice_consumer consumer;
	struct sluice_producer producer;

	(void)state;
	assert_int_equal(ring_create(&segment, NULL, RING_MULTI, 8, base), 0);
	assert_int_equal(ring_consumer(&consumer, &segment, "c", SLUICE_POLICY_CRITICAL,
				       SLUICE_FROM_BEGINNING), 0);
	assert_int_equal(sluice_producer_open(&producer, &segment, NULL, NULL), 0);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(ring_publish(&producer, 4), 0);
		assert_int_equal(ring_consume(&consumer, 8), 4);
	}
	sluice_producer_close(&producer);
	sluice_consumer_close(&consumer, false);
	ring_destroy(&segment);
}

static void test_multi__claims_are_bounded(void **state)
{
	struct multi_fixture f = {0};
	uint64_t first;

	(void)state;
	multi_open(&f, 32768, true);
	assert_int_equal(sluice_producer_try_claim(&f.p[0], SLUICE_CLAIM_MAX + 1, &first),
			 -EINVAL);
	assert_int_equal(sluice_producer_try_claim(&f.p[0], SLUICE_CLAIM_MAX, &first), 0);
	sluice_producer_abort(&f.p[0]);
	assert_int_equal(sluice_producer_remaining(&f.p[0]), 32768 - SLUICE_CLAIM_MAX);
	multi_close(&f);
}

static void test_multi__states_have_their_own_errors(void **state)
{
	static const struct {
		uint32_t state;
		int error;
	} cases[] = {
		{SLUICE_STATE_DRAINING, -EPIPE},
		{SLUICE_STATE_RECOVERING, -EAGAIN},
		{SLUICE_STATE_POISONED, -ENOTRECOVERABLE},
		{SLUICE_STATE_RETIRED, -ESHUTDOWN},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct multi_fixture f = {0};
		struct sluice_producer late;
		uint64_t first;

		multi_open(&f, 8, true);
		assert_int_equal(ring_publish(&f.p[0], 1), 0);
		sluice_ring_set_state(&f.segment, cases[i].state);
		assert_int_equal(sluice_producer_try_claim(&f.p[0], 1, &first), cases[i].error);
		assert_int_equal(multi_record(&f.p[0]), SLUICE_CLAIM_IDLE);
		assert_int_equal(sluice_producer_open(&late, &f.segment, NULL, NULL),
				 cases[i].error);
		sluice_ring_set_state(&f.segment, SLUICE_STATE_READY);
		assert_int_equal(sluice_producer_try_claim(&f.p[0], 1, &first), 0);
		multi_close(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_multi__first_claims_are_dense_over_producers),
		cmocka_unit_test(test_multi__publish_in_any_order),
		cmocka_unit_test(test_multi__availability_over_a_wrap),
		cmocka_unit_test(test_multi__abort_leaves_tombstones),
		cmocka_unit_test(test_multi__abort_on_single_producer_rings),
		cmocka_unit_test(test_multi__unpublished_slots_gate_when_nobody_else_does),
		cmocka_unit_test(test_multi__claim_gives_way_to_a_newcomer),
		cmocka_unit_test(test_multi__claim_bound),
		cmocka_unit_test(test_multi__record_arithmetic),
		cmocka_unit_test(test_multi__sequences_beyond_the_record),
		cmocka_unit_test(test_multi__claims_are_bounded),
		cmocka_unit_test(test_multi__states_have_their_own_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
