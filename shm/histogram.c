/* SPDX-License-Identifier: MIT */
/*
 * histogram.c - the cold half of the histograms: the owner's set-up, and what readers do with a
 * copy.
 *
 * Recording is in the header. A reader copies while the writer goes on: each word is whole, but the
 * words belong to slightly different moments, and the segment may hold anything at all if its
 * writer is broken. So a snapshot is made consistent with its own buckets: `count` is their sum,
 * and `min` and `max` lie in the first and last bucket that is not empty. Sums that would not fit
 * 64 bits stay at UINT64_MAX.
 *
 * A crash of the writer leaves at most one value half counted: in its bucket but not in `sum`.
 *
 *	owner				reader
 *	A: used = 1 (release)	->	B: used (acquire), in sluice_histogram_label and _open
 */
#include "shm/histogram.h"

#include <string.h>

#define SUB_COUNT (1u << SLUICE_HISTOGRAM_SUB_BITS)
#define HALF_COUNT (SUB_COUNT / 2)
#define PER_MILLION 1000000u
#define SAMPLES_BEYOND 10 /* a percentile is said when so many samples lie on its far side */

SLUICE_STATIC_ASSERT(SLUICE_HISTOGRAM_BUCKETS % HALF_COUNT == 0, "whole powers of two");

void sluice_histogram_init(struct sluice_histogram *histogram, const char *label, uint32_t owner)
{
	sluice_assert(strlen(label) < sizeof(histogram->label));
	/* relaxed: not in use by anybody until `used` is stored below */
	atomic_store_explicit(&histogram->used, 0, memory_order_relaxed);
	memset(histogram->label, 0, sizeof(histogram->label));
	memcpy(histogram->label, label, strlen(label));
	histogram->owner = owner;
	/* relaxed: as above */
	atomic_store_explicit(&histogram->count, 0, memory_order_relaxed);
	atomic_store_explicit(&histogram->sum, 0, memory_order_relaxed);
	atomic_store_explicit(&histogram->min, UINT64_MAX, memory_order_relaxed);
	atomic_store_explicit(&histogram->max, 0, memory_order_relaxed);
	atomic_store_explicit(&histogram->overflow, 0, memory_order_relaxed);
	for (uint32_t i = 0; i < SLUICE_HISTOGRAM_BUCKETS; i++)
		/* relaxed: as above */
		atomic_store_explicit(&histogram->bucket[i], 0, memory_order_relaxed);
	/* sync: histogram_init:A -> histogram_in_use:B; label and zeros before the mark */
	atomic_store_explicit(&histogram->used, 1, memory_order_release);
}

uint64_t sluice_histogram_lowest(uint32_t index)
{
	sluice_assert(index < SLUICE_HISTOGRAM_BUCKETS);
	if (index < SUB_COUNT)
		return index;

	const uint32_t shift = index / HALF_COUNT - 1;

	return (uint64_t)(index - shift * HALF_COUNT) << shift;
}

uint64_t sluice_histogram_highest(uint32_t index)
{
	sluice_assert(index < SLUICE_HISTOGRAM_BUCKETS);
	if (index < SUB_COUNT)
		return index;
	return sluice_histogram_lowest(index) + (1ull << (index / HALF_COUNT - 1)) - 1;
}

static uint64_t add_saturating(uint64_t left, uint64_t right)
{
	uint64_t sum;

	return __builtin_add_overflow(left, right, &sum) ? UINT64_MAX : sum;
}

static uint64_t subtract_to_zero(uint64_t left, uint64_t right)
{
	return left > right ? left - right : 0;
}

static uint64_t clamp(uint64_t value, uint64_t lowest, uint64_t highest)
{
	return value < lowest ? lowest : value > highest ? highest : value;
}

/* Makes count, min and max those of the buckets; min and max keep what precision they had. */
static void settle(struct sluice_histogram_snapshot *snapshot)
{
	uint32_t first = SLUICE_HISTOGRAM_BUCKETS;
	uint32_t last = 0;

	snapshot->count = snapshot->overflow;
	for (uint32_t i = 0; i < SLUICE_HISTOGRAM_BUCKETS; i++) {
		if (!snapshot->bucket[i])
			continue;
		snapshot->count = add_saturating(snapshot->count, snapshot->bucket[i]);
		if (first == SLUICE_HISTOGRAM_BUCKETS)
			first = i;
		last = i;
	}
	if (!snapshot->count) {
		snapshot->sum = 0;
		snapshot->min = UINT64_MAX;
		snapshot->max = 0;
		return;
	}

	const uint64_t range = 1ull << SLUICE_HISTOGRAM_RANGE_BITS;
	const bool any = first < SLUICE_HISTOGRAM_BUCKETS;

	snapshot->min = any ? clamp(snapshot->min, sluice_histogram_lowest(first),
				    sluice_histogram_highest(first)) :
			      clamp(snapshot->min, range, UINT64_MAX);
	snapshot->max = snapshot->overflow ? clamp(snapshot->max, range, UINT64_MAX) :
					     clamp(snapshot->max, sluice_histogram_lowest(last),
						   sluice_histogram_highest(last));
}

void sluice_histogram_snapshot(const struct sluice_histogram *histogram,
			       struct sluice_histogram_snapshot *ret_snapshot)
{
	/* relaxed: statistics; settle() makes one picture of words of different moments */
	ret_snapshot->sum = atomic_load_explicit(&histogram->sum, memory_order_relaxed);
	ret_snapshot->overflow = atomic_load_explicit(&histogram->overflow, memory_order_relaxed);
	for (uint32_t i = 0; i < SLUICE_HISTOGRAM_BUCKETS; i++)
		/* relaxed: as above */
		ret_snapshot->bucket[i] = atomic_load_explicit(&histogram->bucket[i],
							       memory_order_relaxed);
	/* relaxed: as above */
	ret_snapshot->min = atomic_load_explicit(&histogram->min, memory_order_relaxed);
	ret_snapshot->max = atomic_load_explicit(&histogram->max, memory_order_relaxed);
	settle(ret_snapshot);
}

void sluice_histogram_subtract(struct sluice_histogram_snapshot *later,
			       const struct sluice_histogram_snapshot *earlier)
{
	for (uint32_t i = 0; i < SLUICE_HISTOGRAM_BUCKETS; i++)
		later->bucket[i] = subtract_to_zero(later->bucket[i], earlier->bucket[i]);
	later->overflow = subtract_to_zero(later->overflow, earlier->overflow);
	later->sum = subtract_to_zero(later->sum, earlier->sum);
	settle(later);
}

void sluice_histogram_merge(struct sluice_histogram_snapshot *into,
			    const struct sluice_histogram_snapshot *from)
{
	if (!from->count)
		return;
	for (uint32_t i = 0; i < SLUICE_HISTOGRAM_BUCKETS; i++)
		into->bucket[i] = add_saturating(into->bucket[i], from->bucket[i]);
	into->overflow = add_saturating(into->overflow, from->overflow);
	into->sum = add_saturating(into->sum, from->sum);
	/* an empty snapshot's min is UINT64_MAX, or 0 in one that was only zeroed */
	if (!into->count || from->min < into->min)
		into->min = from->min;
	if (from->max > into->max)
		into->max = from->max;
	settle(into);
}

uint64_t sluice_histogram_percentile(const struct sluice_histogram_snapshot *snapshot,
				     uint32_t per_million)
{
	const uint32_t share = per_million < PER_MILLION ? per_million : PER_MILLION;
	const unsigned __int128 product = (unsigned __int128)snapshot->count * share;
	uint64_t rank = (uint64_t)((product + PER_MILLION - 1) / PER_MILLION);
	uint64_t seen = 0;

	if (!snapshot->count)
		return 0;
	if (rank == 0)
		rank = 1; /* the smallest sample */
	for (uint32_t i = 0; i < SLUICE_HISTOGRAM_BUCKETS; i++) {
		seen = add_saturating(seen, snapshot->bucket[i]);
		if (seen >= rank)
			return clamp(sluice_histogram_highest(i), 0, snapshot->max);
	}
	return UINT64_MAX;
}

bool sluice_histogram_justifies(const struct sluice_histogram_snapshot *snapshot,
				uint32_t per_million)
{
	const uint32_t above = per_million < PER_MILLION ? PER_MILLION - per_million : 0;
	const uint32_t beyond = above < per_million ? above : per_million;

	if (!beyond) /* the minimum or the maximum is a sample itself */
		return snapshot->count > 0;
	return (unsigned __int128)snapshot->count * beyond >=
	       (unsigned __int128)SAMPLES_BEYOND * PER_MILLION;
}
