/* SPDX-License-Identifier: MIT */
/*
 * bitmap.h - which slots of a window are in use: three levels of 64-bit words, a bit of an upper
 * word says that the word below it is not zero. Up to 2^18 slots. The next slot in either
 * direction is found in a few word reads, most often one.
 */
#ifndef SLUICE_ENGINE_CORE_BITMAP_H
#define SLUICE_ENGINE_CORE_BITMAP_H

#include "shm/base.h"

#define SLUICE_BITMAP_NONE UINT32_MAX
#define SLUICE_BITMAP_SLOTS_MAX (1u << 18)

struct sluice_bitmap {
	uint64_t *low; /* one bit per slot */
	uint64_t *mid; /* one bit per low word */
	uint64_t *top; /* one word, one bit per mid word */
};

/* Words for this many slots, a power of two from 64 to SLUICE_BITMAP_SLOTS_MAX. */
static inline uint32_t sluice_bitmap_words(uint32_t slots)
{
	return slots / 64 + (slots / 4096 ? slots / 4096 : 1) + 1;
}

static inline struct sluice_bitmap sluice_bitmap_at(uint64_t *words, uint32_t slots)
{
	struct sluice_bitmap map = {.low = words, .mid = words + slots / 64};

	map.top = words + sluice_bitmap_words(slots) - 1;
	return map;
}

static inline uint32_t sluice_bitmap_highest(uint64_t word)
{
	return 63u - (uint32_t)__builtin_clzll(word);
}

static inline uint32_t sluice_bitmap_lowest(uint64_t word)
{
	return (uint32_t)__builtin_ctzll(word);
}

static inline void sluice_bitmap_set(struct sluice_bitmap map, uint32_t slot)
{
	map.low[slot >> 6] |= UINT64_C(1) << (slot & 63);
	map.mid[slot >> 12] |= UINT64_C(1) << ((slot >> 6) & 63);
	map.top[0] |= UINT64_C(1) << (slot >> 12);
}

static inline void sluice_bitmap_clear(struct sluice_bitmap map, uint32_t slot)
{
	map.low[slot >> 6] &= ~(UINT64_C(1) << (slot & 63));
	if (map.low[slot >> 6])
		return;
	map.mid[slot >> 12] &= ~(UINT64_C(1) << ((slot >> 6) & 63));
	if (map.mid[slot >> 12])
		return;
	map.top[0] &= ~(UINT64_C(1) << (slot >> 12));
}

static inline bool sluice_bitmap_test(struct sluice_bitmap map, uint32_t slot)
{
	return map.low[slot >> 6] >> (slot & 63) & 1;
}

/* The highest slot in use that is not above `slot`, or SLUICE_BITMAP_NONE. */
static inline uint32_t sluice_bitmap_down(struct sluice_bitmap map, uint32_t slot)
{
	uint32_t i = slot >> 6, j = slot >> 12;
	uint64_t word = map.low[i] & (~UINT64_C(0) >> (63 - (slot & 63)));

	if (word)
		return i << 6 | sluice_bitmap_highest(word);
	word = map.mid[j] & ((UINT64_C(1) << (i & 63)) - 1);
	if (!word) {
		word = map.top[0] & ((UINT64_C(1) << j) - 1);
		if (!word)
			return SLUICE_BITMAP_NONE;
		j = sluice_bitmap_highest(word);
		word = map.mid[j];
	}
	i = j << 6 | sluice_bitmap_highest(word);
	return i << 6 | sluice_bitmap_highest(map.low[i]);
}

/* The lowest slot in use that is not below `slot`, or SLUICE_BITMAP_NONE. */
static inline uint32_t sluice_bitmap_up(struct sluice_bitmap map, uint32_t slot)
{
	uint32_t i = slot >> 6, j = slot >> 12;
	uint64_t word = map.low[i] & (~UINT64_C(0) << (slot & 63));

	if (word)
		return i << 6 | sluice_bitmap_lowest(word);
	/* ~1: this word's own bit is out as well, it was just seen. */
	word = map.mid[j] & (~UINT64_C(1) << (i & 63));
	if (!word) {
		word = map.top[0] & (~UINT64_C(1) << j);
		if (!word)
			return SLUICE_BITMAP_NONE;
		j = sluice_bitmap_lowest(word);
		word = map.mid[j];
	}
	i = j << 6 | sluice_bitmap_lowest(word);
	return i << 6 | sluice_bitmap_lowest(map.low[i]);
}

#endif
