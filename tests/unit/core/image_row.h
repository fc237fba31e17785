/* SPDX-License-Identifier: MIT */
/*
 * image_row.h - a core's state as a whole row of records, and a core of a row, each in memory of
 * its own.
 */
#ifndef SLUICE_TESTS_UNIT_CORE_IMAGE_ROW_H
#define SLUICE_TESTS_UNIT_CORE_IMAGE_ROW_H

#include "tests/unit/core/fixture.h"
#include "engine/core/image.h"

/* Room for a few records more than a row can have, for tests that put some in. */
#define ROW_SPARE 4u

struct row {
	struct sluice_image_record *records;
	uint64_t n;
};

static inline struct row row_of(const struct sluice_core *core,
				const struct sluice_core_options *options)
{
	uint64_t max = sluice_image_records_max(options);
	struct row row = {.records = calloc(max + ROW_SPARE, sizeof(*row.records))};
	struct sluice_image_walk walk;

	assert_non_null(row.records);
	sluice_image_begin(&walk, core);
	for (; sluice_image_next(&walk, &row.records[row.n]); row.n++)
		assert_true(row.n < max);
	assert_false(sluice_image_next(&walk, &row.records[row.n]));
	return row;
}

static inline struct row row_copy(const struct row *row)
{
	struct row copy = {.records = calloc(row->n + ROW_SPARE, sizeof(*row->records)),
			   .n = row->n};

	assert_non_null(copy.records);
	memcpy(copy.records, row->records, row->n * sizeof(*row->records));
	return copy;
}

static inline void row_free(struct row *row)
{
	free(row->records);
	row->records = NULL;
}

static inline bool row_equal(const struct row *a, const struct row *b)
{
	return a->n == b->n && !memcmp(a->records, b->records, a->n * sizeof(*a->records));
}

/* Builds in `core`, which is empty. NULL, or the first thing that was wrong. */
static inline const char *row_take(const struct row *row, struct sluice_core *core)
{
	struct sluice_image_builder builder;
	const char *wrong = NULL;
	uint64_t i;

	sluice_image_restore(&builder, core);
	for (i = 0; i < row->n && !wrong; i++)
		wrong = sluice_image_take(&builder, &row->records[i]);
	return wrong ? wrong : sluice_image_done(&builder);
}

/* The core of a row that must be a good one. Ends with free(). */
static inline struct sluice_core *row_core(const struct row *row,
					   const struct sluice_core_options *options)
{
	struct sluice_core *core = fixture_core(options);
	const char *wrong = row_take(row, core);

	if (wrong)
		fail_msg("refused: %s", wrong);
	return core;
}

#endif
