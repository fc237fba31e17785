/* SPDX-License-Identifier: MIT */
/* command_columns.h - the table of columns, shared by what reads and what writes command text. */
#ifndef SLUICE_PRODUCER_COMMAND_COLUMNS_H
#define SLUICE_PRODUCER_COMMAND_COLUMNS_H

#include "producer/command_text.h"

enum column_kind { /* how a column's text is read and written */
		   KIND_COMMAND,
		   KIND_SYMBOL,
		   KIND_U32,
		   KIND_U64,
		   KIND_WORD,
		   KIND_PRICE,
		   KIND_QTY,
		   KIND_AMOUNT,
		   KIND_FLAG,
		   KIND_ASSET,
		   KIND_DECIMALS
};

/*
 * `commands` have the column, a bit each; in the others it must be empty or 0. `ignored` may carry
 * it without meaning: exports often repeat an order's side or type in its cancel.
 */
struct column {
	uint8_t kind;
	uint16_t offset; /* in struct sluice_command */
	uint32_t commands;
	uint32_t ignored;
	const struct sluice_words *words; /* KIND_WORD */
	uint8_t fallback;		  /* KIND_WORD: value of an empty text */
};

extern const struct column sluice_columns[SLUICE_COLUMNS];

#define COMMAND_BIT(command) (1u << SLUICE_CMD_##command)
#define COMMANDS_OF_ORDERS                                                                         \
	(COMMAND_BIT(PLACE) | COMMAND_BIT(CANCEL) | COMMAND_BIT(REDUCE) | COMMAND_BIT(REPLACE) |   \
	 COMMAND_BIT(QUERY_ORDER))
#define COMMANDS_OF_SYMBOLS                                                                        \
	(COMMANDS_OF_ORDERS | COMMAND_BIT(MASS_CANCEL) | COMMAND_BIT(HALT) | COMMAND_BIT(RESUME) | \
	 COMMAND_BIT(AUCTION) | COMMAND_BIT(UNCROSS) | COMMAND_BIT(ADD_SYMBOL))

static inline bool sluice_column_is_of(uint32_t column, uint32_t command_type)
{
	return command_type < SLUICE_CMD_TYPES &&
	       sluice_columns[column].commands >> command_type & 1;
}

#endif
