/* SPDX-License-Identifier: MIT */
/*
 * image_internal.h - what the words and the small bytes of a record mean, by its type. What is not
 * listed is zero. docs/wal-format.md has the same as a table.
 */
#ifndef SLUICE_ENGINE_CORE_IMAGE_INTERNAL_H
#define SLUICE_ENGINE_CORE_IMAGE_INTERNAL_H

#include "engine/core/core_internal.h"

#define SLUICE_IMAGE_WORDS 7u

enum sluice_image_core_words {
	CORE_CHAIN,
	CORE_TIME_NS,
	CORE_SYMBOLS,	  /* how many will come */
	CORE_ORDERS,	  /* likewise */
	CORE_SESSIONS,	  /* likewise */
	CORE_FAR_CREATED, /* levels that were ever made outside the windows */
	CORE_REBASES,
	CORE_WORDS
};

/* Two records: the second one's part is 1, and its words are those of _more_words. */
enum sluice_image_stats_small { STATS_PART, STATS_SMALL };

enum sluice_image_stats_words {
	STATS_COMMANDS,
	STATS_REPORTS,
	STATS_MD_EVENTS,
	STATS_ACCEPTED,
	STATS_REJECTED,
	STATS_TRADES,
	STATS_TRADED_QTY,
	STATS_WORDS
};

enum sluice_image_stats_more_words { STATS_CANCELLED, STATS_DUPLICATES, STATS_MORE_WORDS };

enum sluice_image_symbol_small {
	SYMBOL_PRICE_DECIMALS,
	SYMBOL_QTY_DECIMALS,
	SYMBOL_PHASE,
	SYMBOL_PHASE_BEFORE,
	SYMBOL_SMALL
};

enum sluice_image_symbol_words {
	SYMBOL_ID,
	SYMBOL_CMD_SEQ,
	SYMBOL_LAST_PRICE,
	SYMBOL_BID_PRICE, /* the top as last told: the best levels of the orders that follow */
	SYMBOL_BID_QTY,
	SYMBOL_ASK_PRICE,
	SYMBOL_ASK_QTY,
	SYMBOL_WORDS
};

/* The bytes of the name, in order, then zeros. */
#define NAME_WORDS (SLUICE_NAME_BYTES / 8)
SLUICE_STATIC_ASSERT(SLUICE_NAME_BYTES % 8 == 0, "a name fills whole words");

enum sluice_image_ladder_words { LADDER_BASE, LADDER_FAR_TOUCHES, LADDER_WORDS };

enum sluice_image_order_words {
	ORDER_ID,
	ORDER_PRICE,
	ORDER_LEAVES,
	ORDER_QTY,
	ORDER_SYMBOL,
	ORDER_ACCOUNT,
	ORDER_WORDS
};

enum sluice_image_session_words {
	SESSION_ID,
	SESSION_LAST,
	SESSION_PLACE, /* in the table */
	SESSION_WORDS
};

enum sluice_image_end_words {
	END_RECORDS, /* of the row, this one included */
	END_WORDS
};

/* What has been handed out, or taken, last. */
enum sluice_image_stage {
	AT_BEGIN,
	AT_CORE,
	AT_STATS,
	AT_BOOKS, /* before the first symbol; handing out: also between two and after the last */
	AT_SYMBOL,
	AT_NAME,
	AT_LADDER, /* the buyers' */
	AT_ORDERS, /* both ladders, and any number of orders */
	AT_SESSIONS,
	AT_END
};

#endif
