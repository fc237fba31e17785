/* SPDX-License-Identifier: MIT */
/* test_counter.c - finding, creating and naming counters and histograms in a segment's tables. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "shm/counter.h"
#include "shm/histogram.h"

#define COUNTERS 4
#define HISTOGRAMS 2

/* Only the tables and their counts are looked at: a segment's own tests cover the mapping. */
static int setup(void **state)
{
	struct sluice_segment *segment = calloc(1, sizeof(*segment));
	const size_t bytes = (COUNTERS + 1) * sizeof(struct sluice_counter);
	const size_t histogram_bytes = HISTOGRAMS * sizeof(struct sluice_histogram);

	segment->header.counter_count = COUNTERS;
	segment->header.histogram_count = HISTOGRAMS;
	segment->counters = aligned_alloc(SLUICE_LINE_BYTES, bytes);
	segment->histograms = aligned_alloc(SLUICE_LINE_BYTES, histogram_bytes);
	memset(segment->counters, 0, bytes);
	memset(segment->histograms, 0, histogram_bytes);
	*state = segment;
	return 0;
}

static int teardown(void **state)
{
	struct sluice_segment *segment = *state;

	free(segment->counters);
	free(segment->histograms);
	free(segment);
	return 0;
}

static uint64_t value_of(const struct sluice_counter *counter)
{
	return atomic_load_explicit(&counter->value, memory_order_relaxed);
}

static void test_counter__open_creates_then_finds(void **state)
{
	struct sluice_segment *segment = *state;
	struct sluice_counter *trades = sluice_counter_open(segment, "trades", SLUICE_COUNTER_TOTAL,
							    3);
	struct sluice_counter *fill = sluice_counter_open(segment, "ring_fill",
							  SLUICE_COUNTER_GAUGE, 3);

	assert_ptr_equal(trades, &segment->counters[0]);
	assert_ptr_equal(fill, &segment->counters[1]);
	assert_int_equal(trades->kind, SLUICE_COUNTER_TOTAL);
	assert_int_equal(fill->kind, SLUICE_COUNTER_GAUGE);
	assert_string_equal(trades->label, "trades");
	sluice_counter_add(trades, 40);
	sluice_counter_add(trades, 2);
	sluice_counter_set(fill, 9);
	assert_int_equal(value_of(fill), 9);

	/* a restarted owner goes on counting */
	assert_ptr_equal(sluice_counter_open(segment, "trades", SLUICE_COUNTER_TOTAL, 5), trades);
	assert_int_equal(value_of(trades), 42);
	assert_int_equal(trades->owner, 5);
}

static void test_counter__a_prefix_is_another_counter(void **state)
{
	struct sluice_segment *segment = *state;
	struct sluice_counter *bytes = sluice_counter_open(segment, "wal_bytes",
							   SLUICE_COUNTER_TOTAL, 0);

	assert_ptr_not_equal(sluice_counter_open(segment, "wal", SLUICE_COUNTER_TOTAL, 0), bytes);
	assert_ptr_not_equal(sluice_counter_open(segment, "wal_bytes_2", SLUICE_COUNTER_TOTAL, 0),
			     bytes);
}

static void test_counter__a_full_table_gives_null(void **state)
{
	static const char *const labels[COUNTERS] = {"a", "b", "c", "d"};
	struct sluice_segment *segment = *state;

	for (size_t i = 0; i < COUNTERS; i++)
		assert_non_null(sluice_counter_open(segment, labels[i], SLUICE_COUNTER_TOTAL, 0));
	assert_null(sluice_counter_open(segment, "e", SLUICE_COUNTER_TOTAL, 0));
	assert_int_equal(segment->counters[COUNTERS].kind, SLUICE_COUNTER_FREE);
	assert_non_null(sluice_counter_open(segment, "d", SLUICE_COUNTER_TOTAL, 0));
}

static void test_counter__a_cut_set_up_is_free_again(void **state)
{
	struct sluice_segment *segment = *state;

	memcpy(segment->counters[0].label, "half", 4);
	segment->counters[0].value = 99;

	struct sluice_counter *counter = sluice_counter_open(segment, "xy", SLUICE_COUNTER_TOTAL,
							     1);

	assert_ptr_equal(counter, &segment->counters[0]);
	assert_string_equal(counter->label, "xy");
	assert_int_equal(value_of(counter), 0);
}

static void test_counter__labels_without_an_end_are_bounded(void **state)
{
	struct sluice_segment *segment = *state;
	char label[SLUICE_LABEL_BYTES];
	char full[SLUICE_LABEL_BYTES];

	memset(full, 'x', sizeof(full));
	full[SLUICE_LABEL_BYTES - 1] = '\0';
	memset(segment->counters[0].label, 'x', sizeof(segment->counters[0].label));
	segment->counters[0].kind = 0x78787878; /* more of the same to a reader that runs on */
	assert_true(sluice_counter_label(&segment->counters[0], label));
	assert_string_equal(label, full);
	full[SLUICE_LABEL_BYTES - 2] = '\0'; /* the longest label there may be */
	assert_ptr_equal(sluice_counter_open(segment, full, SLUICE_COUNTER_TOTAL, 0),
			 &segment->counters[1]);

	memset(segment->histograms[0].label, 'y', sizeof(segment->histograms[0].label));
	segment->histograms[0].used = 0x79797979;
	assert_true(sluice_histogram_label(&segment->histograms[0], label));
	assert_int_equal(strlen(label), SLUICE_LABEL_BYTES - 1);
}

static void test_counter__labels_are_printable(void **state)
{
	struct sluice_segment *segment = *state;
	char label[SLUICE_LABEL_BYTES] = "untouched";

	assert_false(sluice_counter_label(&segment->counters[0], label));
	assert_false(sluice_histogram_label(&segment->histograms[0], label));
	assert_string_equal(label, "untouched");
	sluice_counter_open(segment, "a\033[2J\n\xff\177~ z", SLUICE_COUNTER_TOTAL, 0);
	assert_true(sluice_counter_label(&segment->counters[0], label));
	assert_string_equal(label, "a?[2J???~ z");
}

static void test_counter__histogram_open_creates_then_finds(void **state)
{
	struct sluice_segment *segment = *state;
	struct sluice_histogram *write = sluice_histogram_open(segment, "wal_write_ns", 2);
	char label[SLUICE_LABEL_BYTES];

	assert_ptr_equal(write, &segment->histograms[0]);
	sluice_histogram_record(write, 1234);
	assert_ptr_equal(sluice_histogram_open(segment, "wal_write_ns", 4), write);
	assert_int_equal(write->owner, 4);
	assert_int_equal(write->count, 1);
	assert_true(sluice_histogram_label(write, label));
	assert_string_equal(label, "wal_write_ns");
	assert_ptr_equal(sluice_histogram_open(segment, "match_ns", 2), &segment->histograms[1]);
	assert_null(sluice_histogram_open(segment, "third_ns", 2));
}

static void *open_late(void *arg)
{
	return sluice_counter_open(arg, "late_counter_label", SLUICE_COUNTER_TOTAL, 1);
}

static void test_counter__a_reader_never_sees_half_a_label(void **state)
{
	struct sluice_segment *segment = *state;

	for (int round = 0; round < 200; round++) {
		char label[SLUICE_LABEL_BYTES] = "";
		pthread_t thread;

		memset(segment->counters, 0, sizeof(segment->counters[0]));
		assert_int_equal(pthread_create(&thread, NULL, open_late, segment), 0);
		while (!sluice_counter_label(&segment->counters[0], label))
			sched_yield();
		pthread_join(thread, NULL);
		assert_string_equal(label, "late_counter_label");
	}
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_counter__open_creates_then_finds),
		CASE(test_counter__a_prefix_is_another_counter),
		CASE(test_counter__a_full_table_gives_null),
		CASE(test_counter__a_cut_set_up_is_free_again),
		CASE(test_counter__labels_without_an_end_are_bounded),
		CASE(test_counter__labels_are_printable),
		CASE(test_counter__histogram_open_creates_then_finds),
		CASE(test_counter__a_reader_never_sees_half_a_label),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
