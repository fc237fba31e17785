/* SPDX-License-Identifier: MIT */
/*
 * command_text.h - the command text: one table of columns from which rows are read and written.
 *
 * A row is a set of texts by column, cut out of a line by csv.h or jsonl.h; this module gives them
 * meaning. It checks syntax (words, numbers, decimals, names, which column a command may have);
 * whether an order is sensible is the engine's business and answered with a `rejected` report.
 * Everything in a row is untrusted input. docs/formats.md is the same for users.
 *
 * One thread. Nothing is allocated. Blocks only if the symbols' resolver does.
 */
#ifndef SLUICE_PRODUCER_COMMAND_TEXT_H
#define SLUICE_PRODUCER_COMMAND_TEXT_H

#include "producer/symbols.h"
#include "shm/diag.h"
#include "shm/event_names.h"

/* In the standard order; what a later column's meaning depends on comes first. */
enum sluice_column {
	SLUICE_COLUMN_CMD,
	SLUICE_COLUMN_SYMBOL,
	SLUICE_COLUMN_ACCOUNT,
	SLUICE_COLUMN_ORDER_ID,
	SLUICE_COLUMN_SIDE,
	SLUICE_COLUMN_TYPE,
	SLUICE_COLUMN_TIF,
	SLUICE_COLUMN_PRICE,
	SLUICE_COLUMN_QTY,
	SLUICE_COLUMN_STOP_PRICE,
	SLUICE_COLUMN_DISPLAY_QTY,
	SLUICE_COLUMN_MIN_QTY,
	SLUICE_COLUMN_EXPIRE_NS,
	SLUICE_COLUMN_POST_ONLY,
	SLUICE_COLUMN_STP,
	SLUICE_COLUMN_NEW_PRICE,
	SLUICE_COLUMN_NEW_QTY,
	SLUICE_COLUMN_ASSET,
	SLUICE_COLUMN_AMOUNT,
	SLUICE_COLUMN_SESSION,
	SLUICE_COLUMN_CLIENT_SEQ,
	SLUICE_COLUMN_TIME_NS,
	SLUICE_COLUMN_PRICE_DECIMALS,
	SLUICE_COLUMN_QTY_DECIMALS,
	SLUICE_COLUMN_BASE_ASSET,
	SLUICE_COLUMN_QUOTE_ASSET,
	SLUICE_COLUMNS
};

extern const struct sluice_words sluice_column_words;

#define SLUICE_COMMAND_LINE_MAX 4096 /* longest line that is read, without its end */
#define SLUICE_COMMAND_TEXT_MAX 1024 /* longest line that is written */

struct sluice_field {
	const char *text;
	uint32_t bytes; /* never 0 in a present field */
};

struct sluice_row {
	uint64_t line;	  /* for messages */
	uint32_t present; /* bit per column; the other fields are not set */
	struct sluice_field field[SLUICE_COLUMNS];
};
SLUICE_STATIC_ASSERT(SLUICE_COLUMNS <= 32, "a bit for each column");

/*
 * Makes a command of a row. ret_symbol gets the name of the symbol that it refers to or defines, ""
 * if none. -EBADMSG: the row is wrong; diag says line, column and why. -ENOENT: a name that
 * nobody has defined. Any other error is the resolver's.
 */
int sluice_command_text_parse(const struct sluice_row *row, struct sluice_symbols *symbols,
			      struct sluice_command *ret_command,
			      char ret_symbol[SLUICE_NAME_BYTES], struct sluice_diag *diag);

/* What ids mean, for writing. NULL names are written as nothing. */
struct sluice_command_names {
	const char *symbol;
	const char *asset;
	const char *base_asset;
	const char *quote_asset;
	uint8_t price_decimals; /* of the symbol */
	uint8_t qty_decimals;
	uint8_t asset_decimals;
};

/*
 * The header row with all standard columns, and one row, each with its newline and without a NUL.
 * `size` must be at least SLUICE_COMMAND_TEXT_MAX. Returns the bytes written. Reading the row back
 * gives the same command; send_ns and the event head's participant are not part of the text.
 */
size_t sluice_command_text_header(char *buffer, size_t size);
size_t sluice_command_text_write(const struct sluice_command *command,
				 const struct sluice_command_names *names, char *buffer,
				 size_t size);

/* ------------------------------------------------------------- for the other text formats */

/* `text` in double quotes, cut short and with unprintable bytes as \xNN: safe on a terminal. */
struct sluice_quoted {
	char text[72];
};
struct sluice_quoted sluice_quote(const char *text, size_t bytes);

/* Decimal digits only. 0, -EINVAL: something else, -ERANGE: above `max`. */
int sluice_parse_u64(const char *text, size_t bytes, uint64_t max, uint64_t *ret_value);

/*
 * Digits, with a point and more digits if decimals > 0, in units of 10^-decimals. 0, -EINVAL: not a
 * number, -EDOM: negative, -ERANGE: above INT64_MAX, -EOVERFLOW: more decimals than there are.
 */
int sluice_parse_decimal(const char *text, size_t bytes, uint32_t decimals, int64_t *ret_value);

/* "line 1, column "foo": unknown; ..." with the nearest column or all of them. Returns -EBADMSG. */
int sluice_column_unknown(uint64_t line, const char *text, size_t bytes, struct sluice_diag *diag);

#endif
