/* SPDX-License-Identifier: MIT */
/*
 * core.h - the matching engine as a deterministic state machine.
 *
 * Pure: apply(state, command, sink). No system call, clock, allocation, atomic, float or stdio.
 * All memory is one block given at init; time and ids arrive in commands. The same commands give
 * the same reports, market data, hashes and images on every build and compiler (D7).
 *
 * One thread. Nothing blocks but the sink's make_room, which is the caller's.
 */
#ifndef SLUICE_ENGINE_CORE_CORE_H
#define SLUICE_ENGINE_CORE_CORE_H

#include "shm/events.h"

/* Changes whenever the same commands could give other reports; a log of other rules is refused. */
#define SLUICE_CORE_SEMANTICS 1u

struct sluice_core_options {
	uint32_t symbols_max;  /* 0: 64 */
	uint32_t orders_max;   /* live orders over all symbols; 0: 1 Mi */
	uint32_t levels_max;   /* price levels outside the windows, over all symbols; 0: 64 Ki */
	uint32_t sessions_max; /* sources with duplicate detection; 0: 1024 */
	uint32_t window_ticks; /* of each side's price ladder, a power of 64 times 2^k; 0: 16384 */
	uint32_t risk;	       /* accounts on: not in this version, must be 0 */
};

/*
 * Where reports go: a window of the report ring (or any power-of-two array). The core writes
 * slots[(n - 1) & mask] for report number n and advances `next`. When next == limit it calls
 * make_room, which returns only after raising `limit`; a sweep may produce more reports than any
 * ring holds. Market data likewise; md.slots may be NULL: then none is produced, but numbers are
 * counted all the same, so hashes and numbering do not depend on it.
 */
struct sluice_sink {
	struct sluice_report *reports;
	uint64_t report_mask;
	uint64_t report_next;  /* number of the next report, from 1 */
	uint64_t report_limit; /* first number that may not be written yet */
	struct sluice_md_event *md;
	uint64_t md_mask;
	uint64_t md_next;
	uint64_t md_limit;
	uint16_t report_flags; /* ORed into every report's head.flags: the durability mode */
	uint16_t participant;  /* head.participant of everything written */
	uint32_t reserved;
	void (*make_room)(struct sluice_sink *sink);
	void *context;
};

struct sluice_core;

/* Bytes that init needs for these options (0 fields: the defaults). 0: options out of range. */
size_t sluice_core_bytes(const struct sluice_core_options *options);

/*
 * Builds an empty state in `memory` (64-byte aligned, sluice_core_bytes() long, need not be zeroed;
 * every page is touched). Returns it, or NULL if the options are out of range.
 */
struct sluice_core *sluice_core_init(void *memory, const struct sluice_core_options *options);

/*
 * Executes one command. `command` is the caller's private copy; any bytes are allowed: what is
 * malformed is answered with a `rejected` report and changes nothing else. At least one report per
 * command. cmd_seq is dense.
 */
void sluice_core_apply(struct sluice_core *core, const struct sluice_command *command,
		       uint64_t cmd_seq, struct sluice_sink *sink);

/* The same for n commands numbered from first_seq, with prefetch across the batch. */
void sluice_core_apply_batch(struct sluice_core *core, const struct sluice_command *commands,
			     uint32_t n, uint64_t first_seq, struct sluice_sink *sink);

/*
 * chain: digest of every report and market-data event so far (send_ns, flags and participant left
 * out), O(1). state: digest of the whole state (books in price-time order, symbols, sessions,
 * chain), O(state). Equal commands give equal digests.
 */
uint64_t sluice_core_chain_hash(const struct sluice_core *core);
uint64_t sluice_core_state_hash(const struct sluice_core *core);

struct sluice_core_stats {
	uint64_t commands;
	uint64_t reports;
	uint64_t md_events;
	uint64_t accepted;
	uint64_t rejected;
	uint64_t trades;
	uint64_t traded_qty;
	uint64_t cancelled;
	uint32_t symbols;
	uint32_t orders_live;
	uint32_t levels_far;
	uint32_t reserved;
	uint64_t rebases;    /* of a price window */
	uint64_t duplicates; /* of the rejected: commands that a source had sent before */
};
void sluice_core_stats(const struct sluice_core *core, struct sluice_core_stats *ret_stats);

/* Symbols, dense ids from 0. NULL past the end. */
struct sluice_core_symbol {
	char name[SLUICE_NAME_BYTES];
	uint32_t id;
	uint8_t price_decimals;
	uint8_t qty_decimals;
	uint8_t phase; /* enum sluice_phase */
	uint8_t reserved;
	uint64_t cmd_seq; /* of its add_symbol */
	int64_t last_price; /* of the last trade, 0: none */
};
const struct sluice_core_symbol *sluice_core_symbol(const struct sluice_core *core, uint32_t id);

/* The i-th best level of a side, 0 is the best; false when there are not so many. */
struct sluice_core_level {
	int64_t price;
	int64_t qty;
	uint32_t count;
	uint32_t reserved;
};
bool sluice_core_depth(const struct sluice_core *core, uint32_t symbol, enum sluice_side side,
		       uint32_t i, struct sluice_core_level *ret_level);

/* A live order, by its key. For queries and tests. */
struct sluice_core_order {
	uint64_t order_id;
	int64_t price;
	int64_t qty;	/* total */
	int64_t leaves_qty;
	uint32_t symbol;
	uint32_t account;
	uint8_t side;
	uint8_t reserved[7];
};
bool sluice_core_order(const struct sluice_core *core, uint32_t symbol, uint32_t account,
		       uint64_t order_id, struct sluice_core_order *ret_order);

/*
 * Walks every book and index and checks the invariants (levels = sum of orders, FIFO, best, index
 * <-> list, no crossed book in continuous trading, the top as told, sources where they are looked
 * for). NULL, or what is wrong. Between commands; for tests and after a restore; O(state).
 */
const char *sluice_core_check(const struct sluice_core *core);

#endif
