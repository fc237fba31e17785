/* SPDX-License-Identifier: MIT */
/*
 * histogram.h - log-linear latency histograms that live in the segment (layout.h says how a bucket
 * is found; the scheme is HdrHistogram's). One writer per histogram; readers copy at any time.
 * Values are nanoseconds. Nothing here blocks or allocates.
 */
#ifndef SLUICE_SHM_HISTOGRAM_H
#define SLUICE_SHM_HISTOGRAM_H

#include "shm/layout.h"

/* Empties it, sets the label, marks it used. The owner, once. */
SLUICE_API void sluice_histogram_init(struct sluice_histogram *histogram, const char *label,
				      uint32_t owner);

/* Bucket of a value below 2^SLUICE_HISTOGRAM_RANGE_BITS. */
static inline uint32_t sluice_histogram_index(uint64_t value)
{
	if (value < (1u << SLUICE_HISTOGRAM_SUB_BITS))
		return (uint32_t)value;
	const uint32_t magnitude = 63u - (uint32_t)__builtin_clzll(value);
	const uint32_t shift = magnitude - (SLUICE_HISTOGRAM_SUB_BITS - 1);
	const uint32_t half = 1u << (SLUICE_HISTOGRAM_SUB_BITS - 1);

	return shift * half + (uint32_t)(value >> shift);
}

/* Lowest and highest value that fall in a bucket. */
SLUICE_API uint64_t sluice_histogram_lowest(uint32_t index);
SLUICE_API uint64_t sluice_histogram_highest(uint32_t index);

/* The writer only: plain loads and stores, no read-modify-write. About 3 ns. */
static inline void sluice_histogram_record(struct sluice_histogram *histogram, uint64_t value)
{
	/* relaxed, all: one writer, own words; readers accept a half-counted value */
	const uint64_t count = atomic_load_explicit(&histogram->count, memory_order_relaxed);

	if (sluice_unlikely(value >> SLUICE_HISTOGRAM_RANGE_BITS)) {
		atomic_store_explicit(&histogram->overflow,
				      atomic_load_explicit(&histogram->overflow,
							   memory_order_relaxed) + 1,
				      memory_order_relaxed);
	} else {
		_Atomic uint64_t *bucket = &histogram->bucket[sluice_histogram_index(value)];

		atomic_store_explicit(bucket,
				      atomic_load_explicit(bucket, memory_order_relaxed) + 1,
				      memory_order_relaxed);
	}
	if (value > atomic_load_explicit(&histogram->max, memory_order_relaxed))
		atomic_store_explicit(&histogram->max, value, memory_order_relaxed);
	if (value < atomic_load_explicit(&histogram->min, memory_order_relaxed))
		atomic_store_explicit(&histogram->min, value, memory_order_relaxed);
	atomic_store_explicit(&histogram->sum,
			      atomic_load_explicit(&histogram->sum, memory_order_relaxed) + value,
			      memory_order_relaxed);
	atomic_store_explicit(&histogram->count, count + 1, memory_order_relaxed);
}

/* A reader's private copy. `count` is what the copied buckets and overflow add up to. */
struct sluice_histogram_snapshot {
	uint64_t count;
	uint64_t sum;
	uint64_t min;
	uint64_t max;
	uint64_t overflow;
	uint64_t bucket[SLUICE_HISTOGRAM_BUCKETS];
};

SLUICE_API void sluice_histogram_snapshot(const struct sluice_histogram *histogram,
					  struct sluice_histogram_snapshot *ret_snapshot);

/* later -= earlier, for "the last second"; min and max become those of the remaining buckets. */
SLUICE_API void sluice_histogram_subtract(struct sluice_histogram_snapshot *later,
					  const struct sluice_histogram_snapshot *earlier);

/* into += from. Percentiles of merged histograms are exact; averaged percentiles are not. */
SLUICE_API void sluice_histogram_merge(struct sluice_histogram_snapshot *into,
				       const struct sluice_histogram_snapshot *from);

/*
 * The highest value of the bucket that holds the given share of the samples, never above `max`.
 * `per_million` is the percentile times 10,000: 500000 is the median, 999000 is p99.9. 0 while
 * empty; UINT64_MAX if it falls in the overflow.
 */
SLUICE_API uint64_t sluice_histogram_percentile(const struct sluice_histogram_snapshot *snapshot,
						uint32_t per_million);

/* True when enough samples justify this percentile: p99.9 needs 10,000, p99.99 100,000, ... */
SLUICE_API bool sluice_histogram_justifies(const struct sluice_histogram_snapshot *snapshot,
					   uint32_t per_million);

#endif
