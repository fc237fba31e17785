/* SPDX-License-Identifier: MIT */
/*
 * reference_internal.h - what the two halves of the naive matcher share. Each side of a symbol is
 * one array of orders, best first and oldest first at a price; whatever is asked is found by
 * walking it.
 */
#ifndef SLUICE_TESTS_LIB_REFERENCE_INTERNAL_H
#define SLUICE_TESTS_LIB_REFERENCE_INTERNAL_H

#include "tests/lib/reference_book.h"

struct reference_order {
	uint64_t id;
	uint32_t account;
	int64_t price;
	int64_t total;
	int64_t filled;
};

struct reference_side {
	struct reference_order *orders;
	size_t n;
	size_t room;
};

struct reference_symbol {
	char name[SLUICE_NAME_BYTES];
	struct reference_side sides[3]; /* by enum sluice_side */
	int phase;
	int phase_before_halt;
	int64_t last;
};

struct reference_source {
	uint32_t id;
	uint64_t last;
};

struct reference_book {
	struct reference_limits limits;
	struct reference_symbol *symbols;
	uint32_t symbol_n;
	struct reference_source *sources;
	uint32_t source_n;
	size_t live;
	struct sluice_report *reports;
	size_t report_n;
	size_t report_room;
	uint64_t numbered; /* reports of all commands */
	const struct sluice_command *command;
	uint64_t cmd_seq;
};

/* reference_book.c */
void *reference_grown(void *items, size_t n, size_t *room, size_t bytes);
void reference_reject(struct reference_book *book, int reason);
void reference_accept(struct reference_book *book);
struct sluice_report *reference_report_order(struct reference_book *book, int type, uint32_t symbol,
					     int side, const struct reference_order *o);
void reference_report_cancelled(struct reference_book *book, uint32_t symbol, int side,
				const struct reference_order *o, int reason);

/* reference_rules.c */
void reference_place(struct reference_book *book, struct reference_symbol *s);
void reference_cancel(struct reference_book *book, struct reference_symbol *s);
void reference_reduce(struct reference_book *book, struct reference_symbol *s);
void reference_replace(struct reference_book *book, struct reference_symbol *s);
void reference_mass_cancel(struct reference_book *book, uint32_t first, uint32_t last);
void reference_query(struct reference_book *book, struct reference_symbol *s);
void reference_change_phase(struct reference_book *book, struct reference_symbol *s);

#endif
