/* SPDX-License-Identifier: MIT */
/* test_histogram.c - histograms against sorted arrays, at the edges, and while they are written. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shm/histogram.h"

#define RANGE (1ull << SLUICE_HISTOGRAM_RANGE_BITS)
#define SAMPLES 20000

static uint64_t seed;

static uint64_t next_random(void)
{
	seed += 0x9e3779b97f4a7c15ull;

	uint64_t mixed = seed;

	mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9ull;
	mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebull;
	return mixed ^ (mixed >> 31);
}

struct fixture {
	struct sluice_histogram histogram;
	struct sluice_histogram_snapshot snapshot;
	struct sluice_histogram_snapshot earlier;
	uint64_t values[SAMPLES];
};

static int setup(void **state)
{
	struct fixture *fixture = aligned_alloc(SLUICE_LINE_BYTES,
						(sizeof(*fixture) + 127) & ~(size_t)127);

	if (!fixture)
		return -1;
	memset(fixture, 0xa5, sizeof(*fixture));
	sluice_histogram_init(&fixture->histogram, "test_ns", 7);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

static int compare(const void *left, const void *right)
{
	const uint64_t a = *(const uint64_t *)left;
	const uint64_t b = *(const uint64_t *)right;

	return a < b ? -1 : a > b;
}

/* The definition, by counting: the sample of which at least that share is not above. */
static uint64_t exact(const uint64_t *sorted, uint64_t count, uint32_t per_million)
{
	uint64_t rank = 1;

	while (rank * 1000000 < count * per_million)
		rank++;
	return sorted[rank - 1];
}

static void test_histogram__buckets_tile_the_range(void **state)
{
	uint64_t expected = 0;

	(void)state;
	for (uint32_t i = 0; i < SLUICE_HISTOGRAM_BUCKETS; i++) {
		const uint64_t lowest = sluice_histogram_lowest(i);
		const uint64_t highest = sluice_histogram_highest(i);

		assert_int_equal(lowest, expected);
		assert_true(highest >= lowest);
		assert_true((highest - lowest) * 1024 <= lowest);
		assert_int_equal(sluice_histogram_index(lowest), i);
		assert_int_equal(sluice_histogram_index(highest), i);
		expected = highest + 1;
	}
	assert_int_equal(expected, RANGE);
}

static void test_histogram__init_is_empty(void **state)
{
	struct fixture *f = *state;

	assert_string_equal(f->histogram.label, "test_ns");
	assert_int_equal(f->histogram.owner, 7);
	sluice_histogram_snapshot(&f->histogram, &f->snapshot);
	assert_int_equal(f->snapshot.count, 0);
	assert_int_equal(f->snapshot.sum, 0);
	assert_int_equal(f->snapshot.max, 0);
	assert_true(f->snapshot.min == UINT64_MAX);
	assert_int_equal(sluice_histogram_percentile(&f->snapshot, 999000), 0);
	assert_false(sluice_histogram_justifies(&f->snapshot, 500000));
	assert_false(sluice_histogram_justifies(&f->snapshot, 1000000));
}

static void check_against_sorted(struct fixture *f)
{
	static const uint32_t shares[] = {0,	  1,	  10000,  250000, 500000,
					  900000, 990000, 999000, 999900, 1000000};

	qsort(f->values, SAMPLES, sizeof(f->values[0]), compare);
	sluice_histogram_snapshot(&f->histogram, &f->snapshot);
	assert_int_equal(f->snapshot.count, SAMPLES);
	assert_int_equal(f->snapshot.min, f->values[0]);
	assert_int_equal(f->snapshot.max, f->values[SAMPLES - 1]);
	for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
		const uint64_t want = exact(f->values, SAMPLES, shares[i]);
		const uint64_t got = sluice_histogram_percentile(&f->snapshot, shares[i]);

		assert_true(got >= want);
		assert_true((got - want) * 1024 <= want);
		assert_int_equal(sluice_histogram_index(got), sluice_histogram_index(want));
	}
	assert_int_equal(sluice_histogram_percentile(&f->snapshot, 1000000),
			 f->values[SAMPLES - 1]);
}

static void test_histogram__percentiles_match_a_sorted_array(void **state)
{
	struct fixture *f = *state;

	for (int round = 0; round < 12; round++) {
		uint64_t sum = 0;

		sluice_histogram_init(&f->histogram, "test_ns", 7);
		for (size_t i = 0; i < SAMPLES; i++) {
			/* every magnitude, or one of them, or few values */
			const uint64_t bits = round % 3 == 0 ? next_random() % 36 :
							       3 + 3u * (uint32_t)round % 33;

			f->values[i] = next_random() % (2ull << bits) % RANGE;
			sum += f->values[i];
			sluice_histogram_record(&f->histogram, f->values[i]);
		}
		check_against_sorted(f);
		assert_int_equal(f->snapshot.sum, sum);
	}
}

static void test_histogram__overflow_is_counted_and_shown(void **state)
{
	struct fixture *f = *state;

	sluice_histogram_record(&f->histogram, RANGE - 1);
	sluice_histogram_record(&f->histogram, RANGE);
	sluice_histogram_record(&f->histogram, RANGE * 5);
	sluice_histogram_snapshot(&f->histogram, &f->snapshot);
	assert_int_equal(f->snapshot.count, 3);
	assert_int_equal(f->snapshot.overflow, 2);
	assert_int_equal(f->snapshot.min, RANGE - 1);
	assert_int_equal(f->snapshot.max, RANGE * 5);
	assert_int_equal(sluice_histogram_percentile(&f->snapshot, 333333), RANGE - 1);
	assert_true(sluice_histogram_percentile(&f->snapshot, 333334) == UINT64_MAX);
}

static void test_histogram__only_overflow(void **state)
{
	struct fixture *f = *state;

	sluice_histogram_record(&f->histogram, RANGE + 3);
	sluice_histogram_snapshot(&f->histogram, &f->snapshot);
	assert_int_equal(f->snapshot.min, RANGE + 3);
	assert_int_equal(f->snapshot.max, RANGE + 3);
	assert_true(sluice_histogram_percentile(&f->snapshot, 0) == UINT64_MAX);
}

static void test_histogram__justifies_as_many_nines_as_samples(void **state)
{
	static const struct {
		uint32_t per_million;
		uint64_t needed;
	} rules[] = {{500000, 20},     {900000, 100},	  {990000, 1000},     {999000, 10000},
		     {999900, 100000}, {999990, 1000000}, {999999, 10000000}, {1000000, 1},
		     {0, 1},	       {10000, 1000}};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		f->snapshot.count = rules[i].needed;
		assert_true(sluice_histogram_justifies(&f->snapshot, rules[i].per_million));
		f->snapshot.count = rules[i].needed - 1;
		assert_false(sluice_histogram_justifies(&f->snapshot, rules[i].per_million));
	}
}

static void test_histogram__subtract_leaves_what_came_since(void **state)
{
	struct fixture *f = *state;

	for (uint64_t value = 1; value <= 100; value++)
		sluice_histogram_record(&f->histogram, value * 100000);
	sluice_histogram_record(&f->histogram, 1);
	sluice_histogram_record(&f->histogram, RANGE);
	sluice_histogram_snapshot(&f->histogram, &f->earlier);
	sluice_histogram_record(&f->histogram, 500);
	sluice_histogram_record(&f->histogram, 700);
	sluice_histogram_snapshot(&f->histogram, &f->snapshot);
	sluice_histogram_subtract(&f->snapshot, &f->earlier);
	assert_int_equal(f->snapshot.count, 2);
	assert_int_equal(f->snapshot.sum, 1200);
	assert_int_equal(f->snapshot.min, 500);
	assert_int_equal(f->snapshot.max, 700);
	assert_int_equal(f->snapshot.overflow, 0);
	assert_int_equal(sluice_histogram_percentile(&f->snapshot, 500000), 500);
	/* nothing since */
	sluice_histogram_snapshot(&f->histogram, &f->earlier);
	sluice_histogram_snapshot(&f->histogram, &f->snapshot);
	sluice_histogram_subtract(&f->snapshot, &f->earlier);
	assert_int_equal(f->snapshot.count, 0);
	assert_int_equal(f->snapshot.sum, 0);
	assert_true(f->snapshot.min == UINT64_MAX);
}

static void test_histogram__subtract_of_a_restarted_writer_stays_at_zero(void **state)
{
	struct fixture *f = *state;

	sluice_histogram_record(&f->histogram, 9);
	sluice_histogram_record(&f->histogram, 9);
	sluice_histogram_record(&f->histogram, 11);
	sluice_histogram_snapshot(&f->histogram, &f->earlier);
	sluice_histogram_init(&f->histogram, "test_ns", 7);
	sluice_histogram_record(&f->histogram, 9);
	sluice_histogram_record(&f->histogram, 12);
	sluice_histogram_snapshot(&f->histogram, &f->snapshot);
	sluice_histogram_subtract(&f->snapshot, &f->earlier);
	assert_int_equal(f->snapshot.count, 1);
	assert_int_equal(f->snapshot.min, 12);
	assert_int_equal(f->snapshot.max, 12);
}

static void test_histogram__merge_is_recording_in_one(void **state)
{
	struct fixture *f = *state;
	struct sluice_histogram *other = aligned_alloc(SLUICE_LINE_BYTES, sizeof(*other));
	struct sluice_histogram *both = aligned_alloc(SLUICE_LINE_BYTES, sizeof(*both));

	sluice_histogram_init(other, "other", 0);
	sluice_histogram_init(both, "both", 0);
	for (size_t i = 0; i < SAMPLES; i++) {
		const uint64_t value = next_random() >> (next_random() % 40);

		sluice_histogram_record(next_random() & 1 ? &f->histogram : other, value);
		sluice_histogram_record(both, value);
	}
	sluice_histogram_snapshot(&f->histogram, &f->snapshot);
	sluice_histogram_snapshot(other, &f->earlier);
	sluice_histogram_merge(&f->snapshot, &f->earlier);
	sluice_histogram_snapshot(both, &f->earlier);
	f->earlier.sum = f->snapshot.sum; /* wraps in the record, saturates in the merge */
	assert_memory_equal(&f->snapshot, &f->earlier, sizeof(f->snapshot));

	/* into one that was only zeroed, and from an empty one */
	struct sluice_histogram_snapshot *zeroed = calloc(1, sizeof(*zeroed));

	sluice_histogram_merge(zeroed, &f->earlier);
	assert_memory_equal(zeroed, &f->earlier, sizeof(*zeroed));
	sluice_histogram_init(other, "other", 0);
	sluice_histogram_snapshot(other, &f->snapshot);
	sluice_histogram_merge(zeroed, &f->snapshot);
	assert_memory_equal(zeroed, &f->earlier, sizeof(*zeroed));
	free(zeroed);
	free(other);
	free(both);
}

/* What a broken or hostile writer may leave: a reader's picture must still hold together. */
static void test_histogram__snapshot_of_garbage_is_consistent(void **state)
{
	struct fixture *f = *state;

	memset((char *)&f->histogram + 48, 0xff, sizeof(f->histogram) - 48);
	sluice_histogram_snapshot(&f->histogram, &f->snapshot);
	assert_true(f->snapshot.count == UINT64_MAX);
	assert_int_equal(f->snapshot.min, 0);
	assert_int_equal(sluice_histogram_percentile(&f->snapshot, 500000), 0);

	sluice_histogram_init(&f->histogram, "test_ns", 7);
	sluice_histogram_record(&f->histogram, 5000);
	atomic_store_explicit(&f->histogram.min, 9999999, memory_order_relaxed);
	atomic_store_explicit(&f->histogram.max, 3, memory_order_relaxed);
	atomic_store_explicit(&f->histogram.count, 77, memory_order_relaxed);
	sluice_histogram_snapshot(&f->histogram, &f->snapshot);
	assert_int_equal(f->snapshot.count, 1);
	assert_int_equal(sluice_histogram_index(f->snapshot.min), sluice_histogram_index(5000));
	assert_int_equal(sluice_histogram_index(f->snapshot.max), sluice_histogram_index(5000));
	assert_int_equal(sluice_histogram_index(sluice_histogram_percentile(&f->snapshot, 1)),
			 sluice_histogram_index(5000));
}

struct writer {
	struct sluice_histogram *histogram;
	_Atomic int stop;
};

static void *write_values(void *arg)
{
	struct writer *writer = arg;
	uint64_t value = 0;

	while (!atomic_load_explicit(&writer->stop, memory_order_relaxed)) {
		sluice_histogram_record(writer->histogram, 1000 + value % 100000);
		value += 7;
	}
	return (void *)(uintptr_t)(value / 7);
}

static void test_histogram__readers_do_not_disturb_a_writer(void **state)
{
	struct fixture *f = *state;
	struct writer writer = {.histogram = &f->histogram};
	pthread_t thread;
	void *recorded;
	uint64_t last_count = 0;

	assert_int_equal(pthread_create(&thread, NULL, write_values, &writer), 0);
	for (int i = 0; i < 200; i++) {
		sluice_histogram_snapshot(&f->histogram, &f->snapshot);
		assert_true(f->snapshot.count >= last_count);
		last_count = f->snapshot.count;
		if (!last_count)
			continue;
		assert_true(f->snapshot.min >= 1000 && f->snapshot.min <= f->snapshot.max);
		assert_true(f->snapshot.max < 101000);

		const uint64_t median = sluice_histogram_percentile(&f->snapshot, 500000);

		assert_true(median >= f->snapshot.min && median <= f->snapshot.max);
	}
	atomic_store_explicit(&writer.stop, 1, memory_order_relaxed);
	pthread_join(thread, &recorded);
	sluice_histogram_snapshot(&f->histogram, &f->snapshot);
	assert_int_equal(f->snapshot.count, (uintptr_t)recorded);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_histogram__buckets_tile_the_range),
		cmocka_unit_test_setup_teardown(test_histogram__init_is_empty, setup, teardown),
		cmocka_unit_test_setup_teardown(test_histogram__percentiles_match_a_sorted_array,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_histogram__overflow_is_counted_and_shown,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_histogram__only_overflow, setup, teardown),
		cmocka_unit_test_setup_teardown(test_histogram__justifies_as_many_nines_as_samples,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_histogram__subtract_leaves_what_came_since,
						setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_histogram__subtract_of_a_restarted_writer_stays_at_zero, setup,
			teardown),
		cmocka_unit_test_setup_teardown(test_histogram__merge_is_recording_in_one, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_histogram__snapshot_of_garbage_is_consistent,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_histogram__readers_do_not_disturb_a_writer,
						setup, teardown),
	};
	const char *text = getenv("SEED");

	seed = text ? strtoull(text, NULL, 0) : 20251122;
	printf("SEED=%llu\n", (unsigned long long)seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
