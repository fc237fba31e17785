/* SPDX-License-Identifier: MIT */
/*
 * event_names.h - the words of the enumerations in events.h, for every text the programs read or
 * write. The words are part of the command line's and the files' contract: docs/formats.md.
 *
 * A name is asked for values that came out of shared memory, so any value is allowed: what has no
 * word is "unknown". Pure functions, any thread.
 */
#ifndef SLUICE_SHM_EVENT_NAMES_H
#define SLUICE_SHM_EVENT_NAMES_H

#include "shm/events.h"

SLUICE_API const char *sluice_command_type_name(uint32_t type);
SLUICE_API const char *sluice_side_name(uint32_t side);
SLUICE_API const char *sluice_order_type_name(uint32_t type);
SLUICE_API const char *sluice_tif_name(uint32_t tif);
SLUICE_API const char *sluice_stp_name(uint32_t stp);
SLUICE_API const char *sluice_report_type_name(uint32_t type);
SLUICE_API const char *sluice_reason_name(uint32_t reason);
SLUICE_API const char *sluice_md_type_name(uint32_t type);
SLUICE_API const char *sluice_phase_name(uint32_t phase);

/* One enumeration for parsers: words[value], NULL where the value has no word that may be typed. */
struct sluice_words {
	const char *what; /* "side" */
	const char *const *words;
	uint32_t count;
};
SLUICE_API extern const struct sluice_words sluice_command_type_words;
SLUICE_API extern const struct sluice_words sluice_side_words;
SLUICE_API extern const struct sluice_words sluice_order_type_words;
SLUICE_API extern const struct sluice_words sluice_tif_words;
SLUICE_API extern const struct sluice_words sluice_stp_words;

/* The value of the word of `bytes` characters, or -1. */
SLUICE_API int sluice_words_find(const struct sluice_words *words, const char *text, size_t bytes);

/* The word nearest to a mistyped one, or NULL when none is near enough to be meant. */
SLUICE_API const char *sluice_words_nearest(const struct sluice_words *words, const char *text,
					    size_t bytes);

/* A symbol's or asset's name: 1 to 23 of A-Z a-z 0-9 . _ / - */
SLUICE_API bool sluice_name_is_valid(const char *text, size_t bytes);

#endif
