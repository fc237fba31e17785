/* SPDX-License-Identifier: MIT */
/*
 * fuzz_command.c - libFuzzer target: bytes of a command ring into the core. The input is a row of
 * commands, short ones that mostly mean something and whole ones of 120 arbitrary bytes. After each
 * command: at least one report, dense numbers, the command's own number, the same reports from the
 * reference book, a core whose invariants hold; and a second core, given the same commands in one
 * batch, ends with the same hashes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/core_player.h"
#include "tests/lib/reference_book.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define COMMANDS_MAX 96u
#define SHORT_BYTES 8u

/* Room for every price that the orders can have: the reference does not model levels. */
static const struct sluice_core_options limits = {.symbols_max = 2,
						  .orders_max = 12,
						  .levels_max = 32,
						  .sessions_max = 3,
						  .window_ticks = 64};

static struct core_player one, batch;
static struct sluice_command commands[COMMANDS_MAX];

static void must(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "fuzz_command: %s\n", what);
	abort();
}

/* So few ids, prices and sources that they meet. */
static struct sluice_command short_command(const uint8_t *bytes)
{
	static const int64_t far[] = {0,	 -1,	    1000000, INT64_C(1) << 62,
				      INT64_MAX, INT64_MIN, 64,	     1};
	struct sluice_command c = {
		.head = {.type = bytes[0] % (SLUICE_CMD_TYPES + 1), .length = sizeof(c)}};

	if (bytes[0] >= 96)
		c.head.type = SLUICE_CMD_PLACE;
	c.order_id = bytes[1] % 32;
	c.account = bytes[1] / 128;
	c.symbol = bytes[2] & 1;
	c.side = bytes[2] & 2 ? SLUICE_SIDE_SELL : SLUICE_SIDE_BUY;
	c.order_type = bytes[2] & 4 && bytes[2] & 8 ? SLUICE_ORDER_MARKET : SLUICE_ORDER_LIMIT;
	c.tif = (bytes[2] >> 4 & 7) < 4 ? SLUICE_TIF_GTC : bytes[2] >> 4 & 3;
	c.qty = bytes[3] < 248 ? bytes[3] : far[bytes[3] - 248];
	c.price = bytes[4] < 248 ? bytes[4] : far[bytes[4] - 248];
	c.session = bytes[5] % 5;
	c.client_seq = bytes[6] & 31;
	c.stp = bytes[6] >> 5;
	c.order_flags = bytes[2] >> 7 ? bytes[7] : 0;
	c.time_ns = bytes[6];
	if (c.head.type == SLUICE_CMD_ADD_SYMBOL) {
		c.order_id = 0;
		memset(&c.side, 0, 4);
		c.qty = 0;
		c.price = 0;
		c.order_flags = 0;
		c.symbol = 0;
		c.account = 0;
		c.u.define.name[0] = (char)bytes[7];
	}
	return c;
}

/* A whole slot of a ring, its type and length mostly made possible. */
static struct sluice_command whole_command(const uint8_t *bytes)
{
	struct sluice_command c;

	memcpy(&c, bytes, sizeof(c));
	if (bytes[0] & 1)
		c.head.length = sizeof(c);
	if (bytes[0] & 2)
		c.head.type = bytes[0] >> 2 & 15;
	if (bytes[1] & 1)
		c.symbol &= 1;
	if (bytes[1] & 2)
		c.side = 1 + (c.side & 1);
	return c;
}

static uint32_t read_commands(const uint8_t *data, size_t size)
{
	uint32_t n = 0;

	while (n < COMMANDS_MAX && size > SHORT_BYTES) {
		const bool whole = data[0] == 0xff && size > sizeof(commands[0]);
		const size_t bytes = 1 + (whole ? sizeof(commands[0]) : SHORT_BYTES);

		commands[n++] = whole ? whole_command(data + 1) : short_command(data + 1);
		data += bytes;
		size -= bytes;
	}
	return n;
}

static void compare(const struct core_player *player, uint64_t first, uint64_t cmd_seq,
		    const struct sluice_report *want, size_t n)
{
	must(player->sink.report_next - first == n && n > 0, "as many reports as the reference");
	must(n <= CORE_PLAYER_RING, "room for the reports of a command");
	for (size_t i = 0; i < n; i++) {
		const struct sluice_report *have =
			&player->reports[(first + i - 1) & player->sink.report_mask];

		must(have->n == first + i, "dense numbers");
		must(have->cmd_seq == cmd_seq, "the command's number");
		must(!memcmp(have, &want[i], sizeof(*have)), "the reference's reports");
	}
}

static void same_end(uint32_t n)
{
	core_player_init(&batch, &limits);
	sluice_core_apply_batch(batch.core, commands, n, 0, &batch.sink);
	must(one.sink.report_next == batch.sink.report_next, "reports of a batch");
	must(one.sink.md_next == batch.sink.md_next, "market data of a batch");
	must(sluice_core_chain_hash(one.core) == sluice_core_chain_hash(batch.core),
	     "chain of a batch");
	must(sluice_core_state_hash(one.core) == sluice_core_state_hash(batch.core),
	     "state of a batch");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct reference_limits reference_limits = {limits.symbols_max, limits.orders_max,
							  limits.sessions_max};
	struct reference_book *reference = reference_book_new(&reference_limits);
	const uint32_t n = read_commands(data, size);
	const struct sluice_report *want;

	must(reference != NULL, "memory");
	core_player_init(&one, &limits);
	for (uint32_t i = 0; i < n; i++) {
		const uint64_t first = one.sink.report_next;
		size_t n_want;

		sluice_core_apply(one.core, &commands[i], i, &one.sink);
		n_want = reference_book_apply(reference, &commands[i], i, &want);
		compare(&one, first, i, want, n_want);
		must(!sluice_core_check(one.core), "the core's invariants");
	}
	same_end(n);
	reference_book_free(reference);
	return 0;
}
