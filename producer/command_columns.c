/* SPDX-License-Identifier: MIT */
#include "producer/command_columns.h"

#define BIT(command) COMMAND_BIT(command)
#define ORDERS COMMANDS_OF_ORDERS
#define SYMBOLS COMMANDS_OF_SYMBOLS
#define EVERY ((1u << SLUICE_CMD_TYPES) - 2)
#define FUNDS (BIT(DEPOSIT) | BIT(WITHDRAW))
#define ACCOUNTS (ORDERS | FUNDS | BIT(MASS_CANCEL) | BIT(QUERY_BALANCE))
#define ASSETS (FUNDS | BIT(ADD_ASSET) | BIT(QUERY_BALANCE))

#define AT(field) offsetof(struct sluice_command, field)
#define STRICT(kind, field, commands)                                                              \
	{                                                                                          \
		KIND_##kind, AT(field), commands, 0, NULL, 0                                       \
	}
#define LOOSE(kind, field, commands)                                                               \
	{                                                                                          \
		KIND_##kind, AT(field), commands, EVERY, NULL, 0                                   \
	}
#define WORD(field, words, fallback)                                                               \
	{                                                                                          \
		KIND_WORD, AT(field), BIT(PLACE), ORDERS, &sluice_##words##_words,                 \
			SLUICE_##fallback                                                          \
	}

const struct column sluice_columns[SLUICE_COLUMNS] = {
	[SLUICE_COLUMN_CMD] = STRICT(COMMAND, head.type, EVERY),
	[SLUICE_COLUMN_SYMBOL] = LOOSE(SYMBOL, symbol, SYMBOLS),
	[SLUICE_COLUMN_ACCOUNT] = LOOSE(U32, account, ACCOUNTS),
	[SLUICE_COLUMN_ORDER_ID] = STRICT(U64, order_id, ORDERS),
	[SLUICE_COLUMN_SIDE] = WORD(side, side, SIDE_NONE),
	[SLUICE_COLUMN_TYPE] = WORD(order_type, order_type, ORDER_LIMIT),
	[SLUICE_COLUMN_TIF] = WORD(tif, tif, TIF_GTC),
	[SLUICE_COLUMN_PRICE] = STRICT(PRICE, price, BIT(PLACE)),
	[SLUICE_COLUMN_QTY] = STRICT(QTY, qty, BIT(PLACE) | BIT(REDUCE)),
	[SLUICE_COLUMN_STOP_PRICE] = STRICT(PRICE, u.order.stop_price, BIT(PLACE)),
	[SLUICE_COLUMN_DISPLAY_QTY] = STRICT(QTY, u.order.display_qty, BIT(PLACE)),
	[SLUICE_COLUMN_MIN_QTY] = STRICT(QTY, u.order.min_qty, BIT(PLACE)),
	[SLUICE_COLUMN_EXPIRE_NS] = STRICT(U64, u.order.expire_ns, BIT(PLACE)),
	[SLUICE_COLUMN_POST_ONLY] = STRICT(FLAG, order_flags, BIT(PLACE)),
	[SLUICE_COLUMN_STP] = WORD(stp, stp, STP_NONE),
	[SLUICE_COLUMN_NEW_PRICE] = STRICT(PRICE, price, BIT(REPLACE)),
	[SLUICE_COLUMN_NEW_QTY] = STRICT(QTY, qty, BIT(REPLACE)),
	[SLUICE_COLUMN_ASSET] = STRICT(ASSET, asset, ASSETS),
	[SLUICE_COLUMN_AMOUNT] = STRICT(AMOUNT, qty, FUNDS),
	[SLUICE_COLUMN_SESSION] = STRICT(U32, session, EVERY),
	[SLUICE_COLUMN_CLIENT_SEQ] = STRICT(U64, client_seq, EVERY),
	[SLUICE_COLUMN_TIME_NS] = STRICT(U64, time_ns, EVERY),
	[SLUICE_COLUMN_PRICE_DECIMALS] = STRICT(DECIMALS, u.define.price_decimals, BIT(ADD_SYMBOL)),
	[SLUICE_COLUMN_QTY_DECIMALS] = STRICT(DECIMALS, u.define.qty_decimals,
					      BIT(ADD_SYMBOL) | BIT(ADD_ASSET)),
	[SLUICE_COLUMN_BASE_ASSET] = STRICT(ASSET, u.define.base_asset, BIT(ADD_SYMBOL)),
	[SLUICE_COLUMN_QUOTE_ASSET] = STRICT(ASSET, u.define.quote_asset, BIT(ADD_SYMBOL)),
};
SLUICE_STATIC_ASSERT(SLUICE_CMD_TYPES <= 32, "a bit for each command");

static const char *const column_names[SLUICE_COLUMNS] = {
	"cmd",	      "symbol",	     "account",	   "order_id",	 "side",	   "type",
	"tif",	      "price",	     "qty",	   "stop_price", "display_qty",	   "min_qty",
	"expire_ns",  "post_only",   "stp",	   "new_price",	 "new_qty",	   "asset",
	"amount",     "session",     "client_seq", "time_ns",	 "price_decimals", "qty_decimals",
	"base_asset", "quote_asset",
};
const struct sluice_words sluice_column_words = {"column", column_names, SLUICE_COLUMNS};
