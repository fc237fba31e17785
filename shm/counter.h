/* SPDX-License-Identifier: MIT */
/*
 * counter.h - named counters in the segment: one writer each, read by anybody at any time.
 */
#ifndef SLUICE_SHM_COUNTER_H
#define SLUICE_SHM_COUNTER_H

#include "shm/segment.h"

/*
 * The counter with this label, or a free one given that label; the value of an existing counter is
 * kept, so a restarted owner goes on counting. NULL when the table is full. Owner's set-up only.
 */
SLUICE_API struct sluice_counter *sluice_counter_open(struct sluice_segment *segment,
						      const char *label,
						      enum sluice_counter_kind kind,
						      uint32_t owner);

/* The same for histograms; an existing one goes on. */
SLUICE_API struct sluice_histogram *sluice_histogram_open(struct sluice_segment *segment,
							  const char *label, uint32_t owner);

#define SLUICE_LABEL_BYTES 41 /* of a label's copy, with the final NUL */

/*
 * Copies the label of an entry that is in use, unprintable bytes as '?'; false: the entry is free.
 * For readers: the label in the segment need not be terminated.
 */
SLUICE_API bool sluice_counter_label(const struct sluice_counter *counter,
				     char ret_label[SLUICE_LABEL_BYTES]);
SLUICE_API bool sluice_histogram_label(const struct sluice_histogram *histogram,
				       char ret_label[SLUICE_LABEL_BYTES]);

/* Relaxed, all: a statistic, the owner's word. */
static inline void sluice_counter_add(struct sluice_counter *counter, uint64_t amount)
{
	atomic_store_explicit(&counter->value,
			      atomic_load_explicit(&counter->value, memory_order_relaxed) + amount,
			      memory_order_relaxed);
}

static inline void sluice_counter_set(struct sluice_counter *counter, uint64_t value)
{
	/* relaxed: a statistic, the owner's word */
	atomic_store_explicit(&counter->value, value, memory_order_relaxed);
}

#endif
