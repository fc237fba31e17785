/* SPDX-License-Identifier: MIT */
/*
 * reference_book.h - the matching rules once more, as simply as they can be written: sorted arrays,
 * whole-book sums, no index. Slow, and written apart from engine/core/, so that an error there
 * is not repeated here. For differential tests: equal commands must give equal reports.
 *
 * Not modelled: room for price levels (give the core enough) and market data.
 */
#ifndef SLUICE_TESTS_LIB_REFERENCE_BOOK_H
#define SLUICE_TESTS_LIB_REFERENCE_BOOK_H

#include "shm/events.h"

struct reference_book;

struct reference_limits {
	uint32_t symbols_max;
	uint32_t orders_max;
	uint32_t sessions_max;
};

/* NULL: no memory. */
struct reference_book *reference_book_new(const struct reference_limits *limits);
void reference_book_free(struct reference_book *book);

/* Executes a command; returns how many reports it gave. They stay valid until the next call. */
size_t reference_book_apply(struct reference_book *book, const struct sluice_command *command,
			    uint64_t cmd_seq, const struct sluice_report **ret_reports);

#endif
