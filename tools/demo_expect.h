/* SPDX-License-Identifier: MIT */
/*
 * demo_expect.h - fills compared with those that somebody else, an exchange, published for the same
 * orders: per symbol, in order, each number exactly. One thread; cold path.
 */
#ifndef SLUICE_TOOLS_DEMO_EXPECT_H
#define SLUICE_TOOLS_DEMO_EXPECT_H

#include "shm/diag.h"

struct sluice_demo_fills; /* of one kind, continuous or auction */

struct sluice_demo_match {
	uint64_t equal;
	uint64_t expected;
	uint64_t found;
	char first_difference[320]; /* "" if all are equal */
};

/*
 * The expected ones: CSV with a header row, plain or gzip. Columns symbol, price, qty and either
 * maker_order_id and taker_order_id or buy_order_id and sell_order_id.
 */
int sluice_demo_fills_read(struct sluice_demo_fills **ret_fills, const char *path,
			   struct sluice_diag *diag);

/* Those in a file of reports (JSON lines): the continuous ones or those of auctions. */
int sluice_demo_fills_of_reports(struct sluice_demo_fills **ret_fills, const char *path,
				 bool auction, struct sluice_diag *diag);

void sluice_demo_fills_compare(const struct sluice_demo_fills *expected,
			       const struct sluice_demo_fills *found,
			       struct sluice_demo_match *ret_match);

void sluice_demo_fills_free(struct sluice_demo_fills *fills);

#endif
