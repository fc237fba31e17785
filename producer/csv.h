/* SPDX-License-Identifier: MIT */
/*
 * csv.h - cuts lines of comma-separated values into rows of the command text's columns.
 *
 * The first line names the columns, in any order; from it a map is made once. Fields may be quoted
 * with "", blanks around them do not count, a field of only blanks is empty. A quoted field ends in
 * its line. Lines are changed in place (quotes are taken out) and rows point into them.
 *
 * One thread. Nothing is allocated, nothing blocks. Input is untrusted.
 */
#ifndef SLUICE_PRODUCER_CSV_H
#define SLUICE_PRODUCER_CSV_H

#include "producer/command_text.h"

struct sluice_csv {
	uint32_t count;			/* of columns; 0: no header yet */
	uint8_t column[SLUICE_COLUMNS]; /* i-th field -> enum sluice_column */
};

/* Takes the header. -EBADMSG: an unknown or repeated column, or none called cmd. */
int sluice_csv_header(struct sluice_csv *ret_csv, char *text, size_t bytes, uint64_t line,
		      struct sluice_diag *diag);

/* Cuts a line. -EBADMSG: not as many fields as the header, or wrong quotes. */
int sluice_csv_row(const struct sluice_csv *csv, char *text, size_t bytes, uint64_t line,
		   struct sluice_row *ret_row, struct sluice_diag *diag);

/* Blank lines and lines that begin with # say nothing, in every text format. */
bool sluice_line_is_blank(const char *text, size_t bytes);

#endif
