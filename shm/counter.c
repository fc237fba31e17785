/* SPDX-License-Identifier: MIT */
/*
 * counter.c - finds or sets up named entries of the two tables of a segment.
 *
 * One process at a time sets entries up: the segment's owner, before its loops start. Anybody may
 * read at that time; the mark that is stored last tells a reader that the label is complete, and a
 * label never changes while the mark stands. The tables are shared memory: labels are compared and
 * copied within their arrays, whether or not a NUL is in them.
 *
 * A crash during set-up leaves an unmarked entry, which the next set-up takes as free.
 *
 *	owner					reader
 *	A: kind = TOTAL|GAUGE (release)	->	B: kind (acquire)
 */
#include "shm/counter.h"

#include <string.h>

#include "shm/histogram.h"

SLUICE_STATIC_ASSERT(sizeof(((struct sluice_counter *)0)->label) == SLUICE_LABEL_BYTES - 1,
		     "room for every label and its NUL");
SLUICE_STATIC_ASSERT(sizeof(((struct sluice_histogram *)0)->label) == SLUICE_LABEL_BYTES - 1,
		     "room for every label and its NUL");

static bool counter_in_use(const struct sluice_counter *counter)
{
	/* sync: counter_in_use:B <- counter_set_up:A; mark before label */
	return atomic_load_explicit(&counter->kind, memory_order_acquire) != SLUICE_COUNTER_FREE;
}

static bool histogram_in_use(const struct sluice_histogram *histogram)
{
	/* sync: histogram_in_use:B <- histogram_init:A; mark before label and buckets */
	return atomic_load_explicit(&histogram->used, memory_order_acquire) != 0;
}

static void counter_set_up(struct sluice_counter *counter, const char *label,
			   enum sluice_counter_kind kind, uint32_t owner)
{
	memset(counter->label, 0, sizeof(counter->label));
	memcpy(counter->label, label, strlen(label));
	counter->owner = owner;
	/* relaxed: nobody reads it before the mark */
	atomic_store_explicit(&counter->value, 0, memory_order_relaxed);
	/* sync: counter_set_up:A -> counter_in_use:B; label and zero before the mark */
	atomic_store_explicit(&counter->kind, (uint32_t)kind, memory_order_release);
}

struct sluice_counter *sluice_counter_open(struct sluice_segment *segment, const char *label,
					   enum sluice_counter_kind kind, uint32_t owner)
{
	struct sluice_counter *unused = NULL;

	sluice_assert(kind == SLUICE_COUNTER_TOTAL || kind == SLUICE_COUNTER_GAUGE);
	sluice_assert(strlen(label) < sizeof(unused->label));
	for (uint32_t i = 0; i < segment->header.counter_count; i++) {
		struct sluice_counter *counter = &segment->counters[i];

		if (!counter_in_use(counter)) {
			unused = unused ? unused : counter;
		} else if (strncmp(counter->label, label, sizeof(counter->label)) == 0) {
			counter->owner = owner;
			return counter;
		}
	}
	if (unused)
		counter_set_up(unused, label, kind, owner);
	return unused;
}

struct sluice_histogram *sluice_histogram_open(struct sluice_segment *segment, const char *label,
					       uint32_t owner)
{
	struct sluice_histogram *unused = NULL;

	sluice_assert(strlen(label) < sizeof(unused->label));
	for (uint32_t i = 0; i < segment->header.histogram_count; i++) {
		struct sluice_histogram *histogram = &segment->histograms[i];

		if (!histogram_in_use(histogram)) {
			unused = unused ? unused : histogram;
		} else if (strncmp(histogram->label, label, sizeof(histogram->label)) == 0) {
			histogram->owner = owner;
			return histogram;
		}
	}
	if (unused)
		sluice_histogram_init(unused, label, owner);
	return unused;
}

/* Terminals and line formats get no control character from shared memory. */
static void copy_label(const char *label, char ret_label[SLUICE_LABEL_BYTES])
{
	size_t used = 0;

	for (; used < SLUICE_LABEL_BYTES - 1 && label[used]; used++)
		ret_label[used] = label[used] >= ' ' && label[used] <= '~' ? label[used] : '?';
	ret_label[used] = '\0';
}

bool sluice_counter_label(const struct sluice_counter *counter, char ret_label[SLUICE_LABEL_BYTES])
{
	if (!counter_in_use(counter))
		return false;
	copy_label(counter->label, ret_label);
	return true;
}

bool sluice_histogram_label(const struct sluice_histogram *histogram,
			    char ret_label[SLUICE_LABEL_BYTES])
{
	if (!histogram_in_use(histogram))
		return false;
	copy_label(histogram->label, ret_label);
	return true;
}
