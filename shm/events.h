/* SPDX-License-Identifier: MIT */
/*
 * events.h - what travels in the engine's three rings: commands, reports, market data.
 *
 * Part of the shared-memory ABI and, for commands, of the log format: a change here is a change of
 * SLUICE_ABI_MAJOR (layout.h) and of the log's version. Little-endian, fixed width, no pointers.
 * The types live on the floor because the pure core, the programs and the tools all speak them.
 *
 * Prices are integers in ticks, quantities integers in lots. Sequence numbers are free-running.
 */
#ifndef SLUICE_SHM_EVENTS_H
#define SLUICE_SHM_EVENTS_H

#include "shm/base.h"

#define SLUICE_NAME_BYTES 24 /* of a symbol or asset, with its final NUL */

/* The head of every event in the engine's rings. */
struct sluice_event_head {
	uint16_t type;	      /* enum sluice_command_type, _report_type or _md_type */
	uint16_t length;      /* bytes of the whole event, head included */
	uint16_t participant; /* index of the writer in the ring's participant table */
	uint16_t flags;	      /* SLUICE_COMMAND_*, SLUICE_REPORT_* */
};
SLUICE_ASSERT_SIZE(sluice_event_head, 8);

/* ------------------------------------------------------------------------------- commands */

enum sluice_command_type {
	SLUICE_CMD_NONE = 0, /* never valid: a zeroed slot is no command */
	SLUICE_CMD_ADD_ASSET = 1,
	SLUICE_CMD_ADD_SYMBOL = 2,
	SLUICE_CMD_DEPOSIT = 3,
	SLUICE_CMD_WITHDRAW = 4,
	SLUICE_CMD_PLACE = 5,
	SLUICE_CMD_CANCEL = 6,
	SLUICE_CMD_REDUCE = 7,
	SLUICE_CMD_REPLACE = 8,
	SLUICE_CMD_MASS_CANCEL = 9,
	SLUICE_CMD_HALT = 10,
	SLUICE_CMD_RESUME = 11,
	SLUICE_CMD_AUCTION = 12,
	SLUICE_CMD_UNCROSS = 13,
	SLUICE_CMD_QUERY_BALANCE = 14,
	SLUICE_CMD_QUERY_ORDER = 15,
	SLUICE_CMD_TICK = 16,
	SLUICE_CMD_VOID = 17, /* a tombstone of the ring, journaled so that the log has no gap */
	SLUICE_CMD_TYPES = 18
};

enum sluice_side { SLUICE_SIDE_NONE = 0, SLUICE_SIDE_BUY = 1, SLUICE_SIDE_SELL = 2 };

enum sluice_order_type {
	SLUICE_ORDER_NONE = 0,
	SLUICE_ORDER_LIMIT = 1,
	SLUICE_ORDER_MARKET = 2,
	SLUICE_ORDER_STOP = 3,
	SLUICE_ORDER_STOP_LIMIT = 4,
	SLUICE_ORDER_TYPES = 5
};

enum sluice_tif { /* time in force */
	SLUICE_TIF_NONE = 0,
	SLUICE_TIF_GTC = 1,
	SLUICE_TIF_IOC = 2,
	SLUICE_TIF_FOK = 3,
	SLUICE_TIF_DAY = 4,
	SLUICE_TIF_GTD = 5,
	SLUICE_TIFS = 6
};

enum sluice_stp { /* self-trade prevention */
	SLUICE_STP_NONE = 0,
	SLUICE_STP_CANCEL_NEWEST = 1,
	SLUICE_STP_CANCEL_OLDEST = 2,
	SLUICE_STP_CANCEL_BOTH = 3,
	SLUICE_STP_DECREMENT = 4,
	SLUICE_STPS = 5
};

#define SLUICE_ORDER_POST_ONLY 0x1u /* sluice_command.order_flags */

struct sluice_command_order { /* place */
	int64_t stop_price;
	int64_t display_qty;
	int64_t min_qty;
	uint64_t expire_ns;
	uint64_t reserved;
};
SLUICE_ASSERT_SIZE(sluice_command_order, 40);

struct sluice_command_define { /* add_symbol, add_asset */
	char name[SLUICE_NAME_BYTES]; /* NUL-terminated, [A-Za-z0-9._/-] */
	uint8_t price_decimals;	      /* 0: prices in text are whole ticks */
	uint8_t qty_decimals;	      /* 0: quantities in text are whole lots */
	uint8_t reserved[6];
	uint32_t base_asset;
	uint32_t quote_asset;
};
SLUICE_ASSERT_SIZE(sluice_command_define, 40);

/*
 * One command. In NAME.cmd it follows the slot's 8-byte stamp (stride 128); in the log it is the
 * record itself. The first 56 bytes, which share a cache line with the stamp, hold all that a
 * plain limit order needs.
 */
struct sluice_command {
	struct sluice_event_head head;
	uint64_t order_id;
	int64_t price;	  /* place: limit price; replace: new price, 0 keeps it */
	int64_t qty;	  /* place: quantity; reduce: by how much; replace: new total,
			   * 0 keeps it; deposit, withdraw: amount */
	uint32_t symbol;  /* id given by the engine at add_symbol */
	uint32_t account; /* 0 when accounts are off */
	uint8_t side;
	uint8_t order_type;
	uint8_t tif;
	uint8_t stp;
	uint32_t order_flags;
	uint64_t client_seq; /* the source's own dense number; 0: no duplicate detection */
	uint32_t session;    /* the source; 0: no duplicate detection */
	uint32_t asset;
	uint64_t time_ns; /* the only clock that matching reads; part of the input */
	uint64_t send_ns; /* CLOCK_MONOTONIC of the intended publish, for latency only; 0: none */
	union {
		struct sluice_command_order order;
		struct sluice_command_define define;
		uint64_t words[5];
	} u;
};
SLUICE_ASSERT_OFFSET(sluice_command, head, 0);
SLUICE_ASSERT_OFFSET(sluice_command, order_id, 8);
SLUICE_ASSERT_OFFSET(sluice_command, price, 16);
SLUICE_ASSERT_OFFSET(sluice_command, qty, 24);
SLUICE_ASSERT_OFFSET(sluice_command, symbol, 32);
SLUICE_ASSERT_OFFSET(sluice_command, account, 36);
SLUICE_ASSERT_OFFSET(sluice_command, side, 40);
SLUICE_ASSERT_OFFSET(sluice_command, order_type, 41);
SLUICE_ASSERT_OFFSET(sluice_command, tif, 42);
SLUICE_ASSERT_OFFSET(sluice_command, stp, 43);
SLUICE_ASSERT_OFFSET(sluice_command, order_flags, 44);
SLUICE_ASSERT_OFFSET(sluice_command, client_seq, 48);
SLUICE_ASSERT_OFFSET(sluice_command, session, 56);
SLUICE_ASSERT_OFFSET(sluice_command, asset, 60);
SLUICE_ASSERT_OFFSET(sluice_command, time_ns, 64);
SLUICE_ASSERT_OFFSET(sluice_command, send_ns, 72);
SLUICE_ASSERT_OFFSET(sluice_command, u, 80);
SLUICE_ASSERT_SIZE(sluice_command, 120);

/* -------------------------------------------------------------------------------- reports */

enum sluice_report_type {
	SLUICE_REP_NONE = 0,
	SLUICE_REP_ACCEPTED = 1,
	SLUICE_REP_REJECTED = 2,
	SLUICE_REP_TRADE = 3,
	SLUICE_REP_CANCELLED = 4,
	SLUICE_REP_REDUCED = 5,
	SLUICE_REP_REPLACED = 6,
	SLUICE_REP_TRIGGERED = 7,
	SLUICE_REP_EXPIRED = 8,
	SLUICE_REP_BALANCE = 9,
	SLUICE_REP_VOID = 10,
	SLUICE_REP_ORDER = 11, /* the answer to query_order */
	SLUICE_REP_TYPES = 12
};

enum sluice_reason {
	SLUICE_REASON_NONE = 0,
	/* rejected */
	SLUICE_REASON_UNKNOWN_COMMAND = 1,
	SLUICE_REASON_UNKNOWN_SYMBOL = 2,
	SLUICE_REASON_UNKNOWN_ORDER = 3,
	SLUICE_REASON_DUPLICATE_ORDER = 4,
	SLUICE_REASON_DUPLICATE_COMMAND = 5, /* client_seq not above the session's last one */
	SLUICE_REASON_BAD_SIDE = 6,
	SLUICE_REASON_BAD_TYPE = 7,
	SLUICE_REASON_BAD_TIF = 8,
	SLUICE_REASON_BAD_PRICE = 9,
	SLUICE_REASON_BAD_QTY = 10,
	SLUICE_REASON_BAD_NAME = 11,
	SLUICE_REASON_SYMBOL_EXISTS = 12,
	SLUICE_REASON_TOO_MANY_SYMBOLS = 13,
	SLUICE_REASON_TOO_MANY_ORDERS = 14,
	SLUICE_REASON_TOO_MANY_SESSIONS = 15,
	SLUICE_REASON_WRONG_STATE = 16, /* not allowed while halted or in an auction */
	SLUICE_REASON_UNSUPPORTED = 17, /* a known command or option that this build has not */
	SLUICE_REASON_NO_LIQUIDITY = 18,
	SLUICE_REASON_MALFORMED = 19, /* length, padding or an enumeration out of range */
	SLUICE_REASON_TOO_MANY_LEVELS = 20,
	/* cancelled */
	SLUICE_REASON_USER = 64,
	SLUICE_REASON_IOC = 65,
	SLUICE_REASON_FOK = 66,
	SLUICE_REASON_POST_ONLY = 67,
	SLUICE_REASON_STP = 68,
	SLUICE_REASON_MASS = 69,
	SLUICE_REASON_EXPIRED = 70,
	SLUICE_REASON_HALTED = 71
};

/* sluice_event_head.flags of a report */
#define SLUICE_REPORT_DURABILITY_MASK 0x3u
#define SLUICE_REPORT_DURABLE 0x0u /* the command was on stable media before this was visible */
#define SLUICE_REPORT_ASYNC 0x1u   /* journaled, not waited for */
#define SLUICE_REPORT_NO_LOG 0x2u
#define SLUICE_REPORT_AUCTION 0x4u /* trade of an uncross: "taker" buys, "maker" sells */

/*
 * One report, dense number `n` from 1. For a trade `order_id`, `account`, `side` and `leaves_qty`
 * are the taker's. All bytes are decided by the command stream alone (send_ns is copied from the
 * command), so a replay regenerates them identically.
 */
struct sluice_report {
	struct sluice_event_head head;
	uint64_t n;
	uint64_t cmd_seq; /* of the command that caused it */
	uint64_t order_id;
	uint64_t maker_order_id;
	int64_t price; /* balance: free amount */
	int64_t qty;   /* balance: held amount */
	int64_t leaves_qty;
	int64_t maker_leaves_qty;
	uint32_t symbol; /* balance: asset */
	uint32_t account;
	uint32_t maker_account;
	uint8_t side;
	uint8_t order_type;
	uint8_t tif;
	uint8_t reason;
	uint8_t command; /* enum sluice_command_type of the cause */
	uint8_t reserved[3];
	uint32_t session;
	uint64_t client_seq;
	uint64_t send_ns;
	int64_t taker_fee;
	int64_t maker_fee;
};
SLUICE_ASSERT_OFFSET(sluice_report, head, 0);
SLUICE_ASSERT_OFFSET(sluice_report, n, 8);
SLUICE_ASSERT_OFFSET(sluice_report, cmd_seq, 16);
SLUICE_ASSERT_OFFSET(sluice_report, order_id, 24);
SLUICE_ASSERT_OFFSET(sluice_report, maker_order_id, 32);
SLUICE_ASSERT_OFFSET(sluice_report, price, 40);
SLUICE_ASSERT_OFFSET(sluice_report, qty, 48);
SLUICE_ASSERT_OFFSET(sluice_report, leaves_qty, 56);
SLUICE_ASSERT_OFFSET(sluice_report, maker_leaves_qty, 64);
SLUICE_ASSERT_OFFSET(sluice_report, symbol, 72);
SLUICE_ASSERT_OFFSET(sluice_report, account, 76);
SLUICE_ASSERT_OFFSET(sluice_report, maker_account, 80);
SLUICE_ASSERT_OFFSET(sluice_report, side, 84);
SLUICE_ASSERT_OFFSET(sluice_report, order_type, 85);
SLUICE_ASSERT_OFFSET(sluice_report, tif, 86);
SLUICE_ASSERT_OFFSET(sluice_report, reason, 87);
SLUICE_ASSERT_OFFSET(sluice_report, command, 88);
SLUICE_ASSERT_OFFSET(sluice_report, session, 92);
SLUICE_ASSERT_OFFSET(sluice_report, client_seq, 96);
SLUICE_ASSERT_OFFSET(sluice_report, send_ns, 104);
SLUICE_ASSERT_OFFSET(sluice_report, taker_fee, 112);
SLUICE_ASSERT_OFFSET(sluice_report, maker_fee, 120);
SLUICE_ASSERT_SIZE(sluice_report, 128);

/* ---------------------------------------------------------------------------- market data */

enum sluice_md_type {
	SLUICE_MD_NONE = 0,
	SLUICE_MD_TRADE = 1, /* price, qty; side is the aggressor's, none in an auction */
	SLUICE_MD_DEPTH = 2, /* level `side` `price` now holds qty in count orders; 0: gone */
	SLUICE_MD_TOP = 3,   /* best bid and ask; price 0: that side is empty */
	SLUICE_MD_STATE = 4, /* qty: enum sluice_phase */
	SLUICE_MD_TYPES = 5
};

enum sluice_phase {
	SLUICE_PHASE_CONTINUOUS = 0,
	SLUICE_PHASE_AUCTION = 1,
	SLUICE_PHASE_HALTED = 2
};

struct sluice_md_depth {
	int64_t price;
	int64_t qty;
	uint32_t count;
	uint32_t reserved;
	uint64_t reserved2;
};
SLUICE_ASSERT_SIZE(sluice_md_depth, 32);

struct sluice_md_top {
	int64_t bid_price;
	int64_t bid_qty;
	int64_t ask_price;
	int64_t ask_qty;
};
SLUICE_ASSERT_SIZE(sluice_md_top, 32);

/* One market-data event, dense number `n` from 1. Depth and top are of the state after cmd_seq. */
struct sluice_md_event {
	struct sluice_event_head head;
	uint64_t n;
	uint64_t cmd_seq;
	uint32_t symbol;
	uint8_t side;
	uint8_t reserved[3];
	union {
		struct sluice_md_depth depth; /* trade, depth, state */
		struct sluice_md_top top;
	} u;
};
SLUICE_ASSERT_OFFSET(sluice_md_event, head, 0);
SLUICE_ASSERT_OFFSET(sluice_md_event, n, 8);
SLUICE_ASSERT_OFFSET(sluice_md_event, cmd_seq, 16);
SLUICE_ASSERT_OFFSET(sluice_md_event, symbol, 24);
SLUICE_ASSERT_OFFSET(sluice_md_event, side, 28);
SLUICE_ASSERT_OFFSET(sluice_md_event, u, 32);
SLUICE_ASSERT_SIZE(sluice_md_event, 64);

#endif
