/* SPDX-License-Identifier: MIT */
/* test_partition.c - keys spread over workers, and each worker gets its share and no more. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "consumer/partition.h"
#include "tests/unit/consumer/handler_fixture.h"

/* Stored data may depend on it: these never change. */
static void test_partition__of_known_keys(void **state)
{
	static const struct {
		uint64_t key;
		uint32_t n, part;
	} known[] = {
		{0, 7, 0}, {1, 16, 11}, {2, 16, 3}, {42, 1000, 504}, {UINT64_MAX, 16, 6},
		{1ull << 32, 5, 3}, {12345678, 3, 0}, {1, UINT32_MAX, 3025583355u},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		assert_int_equal(sluice_partition_of(known[i].key, known[i].n), known[i].part);
}

/* Dense ids, multiples of powers of two and random keys: no share is 10 % off the fair one. */
static void test_partition__spreads_evenly(void **state)
{
	static const uint32_t counts[] = {1, 2, 3, 8, 17};
	uint64_t random = test_seed();

	(void)state;
	for (int pattern = 0; pattern < 5; pattern++) {
		for (size_t c = 0; c < 5; c++) {
			const uint32_t n = counts[c], keys = 10000 * n;
			uint32_t share[17] = {0};

			for (uint32_t i = 0; i < keys; i++) {
				const uint64_t key = pattern == 4 ? test_random(&random) :
								    (uint64_t)i << (pattern * 12);
				const uint32_t part = sluice_partition_of(key, n);

				assert_true(part < n);
				share[part]++;
			}
			for (uint32_t i = 0; i < n; i++)
				assert_in_range(share[i], 9000, 11000);
		}
	}
}

static uint64_t first_word(const void *event)
{
	uint64_t word;

	memcpy(&word, event, sizeof(word));
	return word;
}

/* Every event goes to exactly one of the workers: the one of its key. */
static void test_partition__gives_each_event_to_one_worker(void **state)
{
	const struct sluice_processor_options options = {.idle_ns = MS, .batch_max = 5};
	struct sluice_partition parts[3];
	struct sluice_consumer consumers[3];
	struct sluice_processor processors[3];
	struct sluice_producer producer;
	struct sluice_segment segment;
	struct log logs[3] = {0};
	uint32_t seen[64] = {0}, total = 0;

	(void)state;
	assert_int_equal(ring_create(&segment, NULL, RING_STAMPED, 64, 0), 0);
	assert_int_equal(sluice_producer_open(&producer, &segment, NULL, NULL), 0);
	for (uint32_t i = 0; i < 3; i++) {
		const char name[] = {(char)('a' + (int)i), '\0'};

		assert_int_equal(ring_consumer(&consumers[i], &segment, name,
					       SLUICE_POLICY_CRITICAL, SLUICE_FROM_NEXT), 0);
		logs[i] = (struct log){.consumer = &consumers[i], .processor = &processors[i],
				       .idle_with = IDLE_END};
		sluice_partition_init(&parts[i], i, 3, first_word, &log_handler, &logs[i]);
		sluice_processor_init(&processors[i], &consumers[i], &parts[i].handler, &parts[i],
				      &options);
	}
	assert_int_equal(ring_publish(&producer, 64), 0);
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(sluice_processor_run(&processors[i]), IDLE_END);
		assert_false(logs[i].wrong);
		assert_true(logs[i].events > 5);
		/* the hooks go through; the end is that of the worker's own events */
		assert_int_equal(logs[i].starts, 1);
		assert_int_equal(logs[i].stops, 1);
		assert_int_equal(logs[i].idles, 1);
		assert_int_equal(logs[i].batches, 13);
		assert_int_equal(logs[i].batch_ends, 13);
		assert_in_range(logs[i].ends, 1, 13);
		for (uint32_t e = 0; e < logs[i].events; e++) {
			uint64_t word;

			event_fill(&word, sizeof(word), logs[i].sequence[e]);
			assert_int_equal(sluice_partition_of(word, 3), i);
			seen[logs[i].sequence[e]]++;
			total++;
			assert_true(!e || logs[i].sequence[e] > logs[i].sequence[e - 1]);
		}
		assert_int_equal(logs[i].end_at[logs[i].ends - 1],
				 logs[i].sequence[logs[i].events - 1]);
		sluice_consumer_close(&consumers[i], false);
	}
	assert_int_equal(total, 64);
	for (int s = 0; s < 64; s++)
		assert_int_equal(seen[s], 1);
	sluice_producer_close(&producer);
	ring_destroy(&segment);
}

static bool wants_even(void *arg, const void *event, uint64_t sequence)
{
	(void)arg;
	(void)event;
	return sequence % 2 == 0;
}

/* What the handler lacks, the wrapper lacks; what it has, it keeps. */
static void test_partition__wraps_what_is_there(void **state)
{
	const struct sluice_processor_options options = {.idle_ns = MS};
	const struct sluice_error_policy errors = {.action = SLUICE_ERROR_SKIP};
	const struct sluice_handler bare = {.on_event = log_event, .errors = &errors};
	struct sluice_handler picky = log_handler;
	struct sluice_partition part;
	struct rig rig;

	(void)state;
	sluice_partition_init(&part, 0, 1, first_word, &bare, NULL);
	assert_null(part.handler.on_batch_start);
	assert_null(part.handler.on_batch_end);
	assert_null(part.handler.on_void);
	assert_null(part.handler.on_idle);
	assert_null(part.handler.on_start);
	assert_null(part.handler.on_stop);
	assert_ptr_equal(part.handler.errors, &errors);

	rig_open(&rig, RIG_MULTI, NULL);
	picky.wants = wants_even;
	sluice_partition_init(&part, 0, 1, first_word, &picky, &rig.log);
	sluice_processor_init(&rig.processor, &rig.consumer, &part.handler, &part, &options);
	assert_int_equal(ring_publish(&rig.producer, 5), 0);
	assert_int_equal(sluice_processor_run(&rig.processor), IDLE_END);
	LOG_IS(&rig.log, 0, 2, 4);
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_partition__of_known_keys),
		cmocka_unit_test(test_partition__spreads_evenly),
		cmocka_unit_test(test_partition__gives_each_event_to_one_worker),
		cmocka_unit_test(test_partition__wraps_what_is_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
