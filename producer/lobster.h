/* SPDX-License-Identifier: MIT */
/*
 * lobster.h - commands from the message files of LOBSTER (lobsterdata.com): the visible order flow
 * of one NASDAQ symbol and day, `time, type, order id, size, price, direction` in each line.
 *
 *   1 new limit order	   -> place, gtc
 *   2 partial cancel	   -> reduce by size
 *   3 delete		   -> cancel
 *   4 visible execution   -> place, ioc, of the other side, at that price and size
 *   5 hidden execution	   -> skipped: nothing visible changed
 *   6 cross trade	   -> skipped
 *   7 halt -1, quoting 0, trading 1 -> halt, resume, resume unless already resumed
 *
 * The direction is the resting order's. A file shows only what happened, so an execution has to be
 * given an aggressor; its order ids begin at SLUICE_LOBSTER_OWN_IDS, above any id of a file. Time
 * is seconds after midnight and becomes time_ns. A file's prices are in 1/10000 dollar.
 *
 * One thread. Nothing is allocated, nothing blocks. Input is untrusted.
 */
#ifndef SLUICE_PRODUCER_LOBSTER_H
#define SLUICE_PRODUCER_LOBSTER_H

#include "producer/command_text.h"

#define SLUICE_LOBSTER_OWN_IDS (1ull << 40)
#define SLUICE_LOBSTER_TICK 100 /* default: a cent */

struct sluice_lobster {
	uint32_t tick; /* in 1/10000 dollar: 100, 10 or 1 */
	bool halted;
	uint64_t executions; /* aggressors made so far */
	uint64_t hidden;     /* lines skipped */
	uint64_t crosses;
	uint64_t halts_skipped;
};

/* -EINVAL: not one of the ticks. 0 is the default. */
int sluice_lobster_init(struct sluice_lobster *ret_lobster, uint32_t tick,
			struct sluice_diag *diag);

/* The symbol of the file's name: what stands before the first underscore, or "LOBSTER". */
void sluice_lobster_symbol(const char *path, char ret_symbol[SLUICE_NAME_BYTES]);

/* The add_symbol that comes first: as many decimals as the tick needs. */
void sluice_lobster_define(const struct sluice_lobster *lobster, const char *symbol,
			   struct sluice_command *ret_command);

/* 1: a command (its symbol id is the caller's to set); 0: the line is skipped; -EBADMSG. */
int sluice_lobster_command(struct sluice_lobster *lobster, const char *text, size_t bytes,
			   uint64_t line, struct sluice_command *ret_command,
			   struct sluice_diag *diag);

#endif
