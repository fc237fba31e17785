/* SPDX-License-Identifier: MIT */
/*
 * names.h - what ids in events mean: names and decimals, for printing.
 *
 * A private table, filled from a copy of a segment's directory, every field of which is checked,
 * and filled again when an id turns up that is not in it; or by hand, for logs and tests. One
 * thread per table. All memory is taken at init; nothing blocks. Works on read-only mappings.
 */
#ifndef SLUICE_CONSUMER_NAMES_H
#define SLUICE_CONSUMER_NAMES_H

#include "shm/events.h"
#include "shm/segment.h"

struct sluice_name {
	char name[SLUICE_NAME_BYTES]; /* "" while unknown */
	uint8_t price_decimals;
	uint8_t qty_decimals;
	uint8_t bytes; /* of the name */
	uint8_t reserved[5];
};

struct sluice_names {
	const struct sluice_segment *segment; /* NULL: filled by hand */
	struct sluice_name *table[2];	      /* symbols, assets; by id */
	uint32_t seen;			      /* entries of the directory that were read */
	uint32_t refused;		      /* of these, ones that no engine writes */
};

/* `segment` may be NULL and must outlive the table. -ENOMEM. */
SLUICE_API int sluice_names_init(struct sluice_names *names, const struct sluice_segment *segment);
SLUICE_API void sluice_names_release(struct sluice_names *names);

/* Reads what the directory has got since. */
SLUICE_API void sluice_names_refresh(struct sluice_names *names);

/* -EINVAL: not a valid kind, id, name or number of decimals. An id that is known keeps its name. */
SLUICE_API int sluice_names_add(struct sluice_names *names, enum sluice_directory_kind kind,
				uint32_t id, const char *name, uint8_t price_decimals,
				uint8_t qty_decimals);

/* NULL when nobody has named the id, also after a refresh. */
SLUICE_API const struct sluice_name *sluice_names_get(struct sluice_names *names,
						      enum sluice_directory_kind kind, uint32_t id);

#endif
