/* SPDX-License-Identifier: MIT */
/*
 * generator.h - synthetic order flow: the same commands for the same parameters, on every machine.
 *
 * First one add_symbol per symbol (SYM1, SYM2, ...), then a stream in the proportions of a real
 * exchange: limit orders at power-law distances from a slowly moving fair price, power-law sizes,
 * about nine cancels for ten orders, a few aggressors, replaces and reduces; symbols are drawn by
 * Zipf weights; arrival times are Poisson or a Hawkes process (clustered).
 *
 * The generator keeps a small book of its own, matched by the engine's rules, from which it picks
 * what to cancel; that is how books stay near the wanted depth and cancels mostly hit. It reads no
 * reports: when others trade on the same symbols, some of its cancels find their order gone and are
 * rejected, as on a real exchange.
 *
 * Two generators with different sessions use different order ids. One thread per object. All memory
 * is taken at open; `next` does not block.
 */
#ifndef SLUICE_PRODUCER_GENERATOR_H
#define SLUICE_PRODUCER_GENERATOR_H

#include "shm/diag.h"
#include "shm/events.h"

#define SLUICE_GENERATOR_SYMBOLS_MAX 1024
#define SLUICE_GENERATOR_TEXT_MAX 1024

struct sluice_generator_params {
	uint64_t seed;		 /* 1 */
	uint64_t count;		 /* 0: commands in all, the add_symbols included; 0: without end */
	uint64_t symbols;	 /* 4 */
	uint64_t zipf;		 /* 100: exponent of the symbols' weights, in hundredths */
	uint64_t accounts;	 /* 0: accounts are off, else orders are of accounts 1 to this */
	uint64_t session;	 /* 1: of the commands; client_seq is dense from 1. 0: neither */
	uint64_t rate;		 /* 100000: mean commands per second of time_ns */
	uint64_t start_ns;	 /* 34200000000000: first time_ns, half past nine */
	uint64_t hawkes;	 /* 60: per cent of arrivals that earlier ones cause; 0: Poisson */
	uint64_t depth;		 /* 500: live orders wanted per symbol */
	uint64_t price;		 /* 10000: first fair price, in ticks */
	uint64_t distance_alpha; /* 150: of the distance from the fair price, in hundredths */
	uint64_t lot;		 /* 100: sizes are multiples of it */
	uint64_t size_alpha;	 /* 200: of the size in lots, in hundredths */
	uint64_t cancels;	 /* 90: cancels per 100 orders that rest */
	uint64_t aggressors;	 /* 45: per thousand commands */
	uint64_t market;   /* 20: per cent of the aggressors that are market orders; rest ioc */
	uint64_t replaces; /* 20: per thousand commands */
	uint64_t reduces;  /* 5: per thousand commands */
	uint64_t price_decimals; /* 0: of every symbol */
	uint64_t qty_decimals;	 /* 0 */
};

/* All fields as above. */
void sluice_generator_defaults(struct sluice_generator_params *ret_params);

/*
 * Sets what "key=value,key=value" names, the keys being the field names. -EINVAL: unknown key or a
 * value out of its range; diag says which and what is allowed.
 */
int sluice_generator_set(struct sluice_generator_params *params, const char *text,
			 struct sluice_diag *diag);

/* All parameters as "key=value" with spaces between, on one line, cut to `size`. */
void sluice_generator_describe(const struct sluice_generator_params *params, char *buffer,
			       size_t size);

struct sluice_generator;

/* -EINVAL: a parameter is out of its range. -ENOMEM. */
int sluice_generator_open(struct sluice_generator **ret_generator,
			  const struct sluice_generator_params *params, struct sluice_diag *diag);
void sluice_generator_close(struct sluice_generator *generator);

/*
 * The next command; false after `count`. command.symbol is the dense index of the symbol, which is
 * the engine's id only if nobody else added symbols: source.h translates it.
 */
bool sluice_generator_next(struct sluice_generator *generator, struct sluice_command *ret_command);

/* The name of symbol `index`. */
const char *sluice_generator_symbol(const struct sluice_generator *generator, uint32_t index);

#endif
