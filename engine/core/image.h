/* SPDX-License-Identifier: MIT */
/*
 * image.h - the whole state of a core as a row of 64-byte records, and a core made from them.
 *
 * What a record holds does not depend on where the state lies in memory: two cores that were given
 * the same commands have the same row, byte for byte; a core made from a row has that row again,
 * and answers every later command as the one it was taken from. docs/wal-format.md describes the
 * records.
 *
 *	CORE STATS...   for each symbol: SYMBOL NAME LADDER LADDER and its ORDERs, bids first, best
 *	price first, in time order   SESSIONs in the order of their table, with their place   END
 *
 * Pure, like the rest of the core. Nothing is allocated: both directions go record by record, so
 * that the caller decides in what portions a state is written.
 */
#ifndef SLUICE_ENGINE_CORE_IMAGE_H
#define SLUICE_ENGINE_CORE_IMAGE_H

#include "engine/core/core.h"

enum sluice_image_type {
	SLUICE_IMAGE_NONE = 0,
	SLUICE_IMAGE_CORE = 1,
	SLUICE_IMAGE_STATS = 2,
	SLUICE_IMAGE_SYMBOL = 3,
	SLUICE_IMAGE_NAME = 4,
	SLUICE_IMAGE_LADDER = 5,
	SLUICE_IMAGE_ORDER = 6,
	SLUICE_IMAGE_SESSION = 7,
	SLUICE_IMAGE_END = 8
};

struct sluice_image_record {
	uint16_t type; /* enum sluice_image_type */
	uint8_t side;
	uint8_t small[5];
	uint64_t words[7]; /* meaning by type: image_internal.h */
};
SLUICE_ASSERT_SIZE(sluice_image_record, 64);

/* The most records that any state of these limits can have. 0: options out of range. */
uint64_t sluice_image_records_max(const struct sluice_core_options *options);

/* A walk over a state that does not change meanwhile. Fields are private. */
struct sluice_image_walk {
	const struct sluice_core *core;
	uint64_t records; /* handed out */
	uint64_t session; /* index of the next table entry to look at */
	int64_t price;
	uint32_t stage;
	uint32_t symbol;
	uint32_t order;
	uint32_t side;
};

void sluice_image_begin(struct sluice_image_walk *walk, const struct sluice_core *core);

/* The next record; false when END has been handed out. */
bool sluice_image_next(struct sluice_image_walk *walk, struct sluice_image_record *ret_record);

/* A state on its way back. Fields are private. */
struct sluice_image_builder {
	struct sluice_core *core;
	const char *wrong; /* with an earlier record */
	uint64_t records;  /* taken */
	uint64_t place;	   /* the first that the next session may have */
	int64_t price;	   /* of the order before, 0: none on this side */
	uint32_t side;
	uint32_t stage;
	struct sluice_image_record head; /* CORE: what must come true */
};

/* `core` is empty: fresh from sluice_core_init with the limits of the core the row came from. */
void sluice_image_restore(struct sluice_image_builder *builder, struct sluice_core *core);

/*
 * Takes the next record; any bytes are allowed. NULL, or what is wrong with it (static text): then
 * the core is of no use any more.
 */
const char *sluice_image_take(struct sluice_image_builder *builder,
			      const struct sluice_image_record *record);

/* After the last record: NULL if the state is whole and its invariants hold, or what is wrong. */
const char *sluice_image_done(struct sluice_image_builder *builder);

#endif
