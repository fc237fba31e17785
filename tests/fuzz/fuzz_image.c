/* SPDX-License-Identifier: MIT */
/*
 * fuzz_image.c - libFuzzer target: rows of records. By the first byte either the rest is the row,
 * or it is commands, whose core is made again of its row and must answer the remaining ones as the
 * original does, or it is commands and damage to the row. A row that is taken must make a whole
 * core that hands out the same row.
 */
#include <stdlib.h>
#include <string.h>

#include "engine/core/image.h"
#include "tests/lib/core_player.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ROW_MAX 256u
#define COMMAND_BYTES 8u
#define DAMAGE_BYTES 4u

struct row {
	struct sluice_image_record records[ROW_MAX];
	uint32_t n;
};

static const struct sluice_core_options limits = {
	.symbols_max = 2, .orders_max = 12, .levels_max = 3, .sessions_max = 3, .window_ticks = 64};

static struct core_player original, twin;
static struct row row, again;

static void must(bool holds)
{
	if (!holds)
		abort();
}

/* Mostly legal, and so few ids, prices and sources that they meet. */
static struct sluice_command command_of(const uint8_t *bytes)
{
	static const int64_t far[] = {1, 5000, 1000000, INT64_C(1) << 62};
	struct sluice_command c = {
		.head = {.type = bytes[0] % (SLUICE_CMD_TYPES + 1), .length = sizeof(c)}};

	if (bytes[0] >= 128)
		c.head.type = SLUICE_CMD_PLACE;
	c.order_id = bytes[1] % 32;
	c.account = bytes[1] / 128;
	c.symbol = bytes[2] & 1;
	c.side = bytes[2] & 2 ? SLUICE_SIDE_SELL : SLUICE_SIDE_BUY;
	c.order_type = bytes[2] & 4 && bytes[2] & 8 ? SLUICE_ORDER_MARKET : SLUICE_ORDER_LIMIT;
	c.tif = bytes[2] & 16 && bytes[2] & 32 ? SLUICE_TIF_IOC : SLUICE_TIF_GTC;
	c.qty = bytes[3];
	c.price = bytes[4] < 252 ? bytes[4] : far[bytes[4] - 252];
	if (c.order_type == SLUICE_ORDER_MARKET)
		c.price = 0;
	c.session = bytes[5] % 6;
	c.client_seq = bytes[6];
	c.time_ns = bytes[6];
	if (c.head.type == SLUICE_CMD_ADD_SYMBOL) {
		c.u.define.name[0] = (char)bytes[7];
		c.u.define.price_decimals = bytes[3];
	}
	return c;
}

static void row_of(const struct sluice_core *core, struct row *ret_row)
{
	struct sluice_image_walk walk;

	must(sluice_image_records_max(&limits) < ROW_MAX);
	memset(ret_row, 0, sizeof(*ret_row));
	sluice_image_begin(&walk, core);
	while (sluice_image_next(&walk, &ret_row->records[ret_row->n]))
		must(++ret_row->n <= sluice_image_records_max(&limits));
}

/* The row becomes the twin's core, or is refused. */
static bool take(void)
{
	struct sluice_image_builder builder;
	uint32_t i;

	core_player_init(&twin, &limits);
	sluice_image_restore(&builder, twin.core);
	for (i = 0; i < row.n; i++)
		sluice_image_take(&builder, &row.records[i]);
	if (sluice_image_done(&builder))
		return false;
	must(!sluice_core_check(twin.core));
	row_of(twin.core, &again);
	must(row.n == again.n && !memcmp(row.records, again.records, sizeof(row.records)));
	return true;
}

static void apply(struct core_player *player, const uint8_t *bytes, uint64_t seq)
{
	struct sluice_command c = command_of(bytes);

	sluice_core_apply(player->core, &c, seq, &player->sink);
}

static void same_answers(void)
{
	must(original.sink.report_next == twin.sink.report_next);
	must(original.sink.md_next == twin.sink.md_next);
	must(sluice_core_chain_hash(original.core) == sluice_core_chain_hash(twin.core));
}

/* Half of the commands, then a twin, and the other half for both. */
static void round_trip(const uint8_t *data, size_t n)
{
	size_t i;

	for (i = 0; i < n / 2; i++)
		apply(&original, data + i * COMMAND_BYTES, i);
	row_of(original.core, &row);
	must(take());
	twin.sink.report_next = original.sink.report_next;
	twin.sink.md_next = original.sink.md_next;
	core_player_room(&twin.sink);
	for (; i < n; i++) {
		apply(&original, data + i * COMMAND_BYTES, i);
		apply(&twin, data + i * COMMAND_BYTES, i);
		same_answers();
	}
	row_of(original.core, &row);
	row_of(twin.core, &again);
	must(row.n == again.n && !memcmp(row.records, again.records, sizeof(row.records)));
}

static void damage(const uint8_t *bytes)
{
	struct sluice_image_record *r = &row.records[bytes[0] % row.n];
	uint32_t rest = row.n - bytes[0] % row.n - 1;

	switch (bytes[3] & 7) {
	case 0:
		((uint8_t *)r)[bytes[1] % sizeof(*r)] = bytes[2];
		break;
	case 1:
		((uint8_t *)r)[bytes[1] % sizeof(*r)] ^= bytes[2];
		break;
	case 2:
		again.records[0] = *r;
		*r = row.records[bytes[1] % row.n];
		row.records[bytes[1] % row.n] = again.records[0];
		break;
	case 3:
		memmove(r, r + 1, rest * sizeof(*r));
		row.n -= row.n > 1;
		break;
	case 4:
		if (row.n < ROW_MAX - 1) {
			memmove(r + 1, r, (rest + 1) * sizeof(*r));
			row.n++;
		}
		break;
	default:
		r->words[bytes[1] % 7] += (uint64_t)bytes[2] - 128;
	}
}

/* Makes the counts what came, so that more than the first check is reached. */
static void recount(void)
{
	uint32_t i, n[SLUICE_IMAGE_END + 1] = {0};

	for (i = 0; i < row.n; i++)
		if (row.records[i].type <= SLUICE_IMAGE_END)
			n[row.records[i].type]++;
	row.records[0].words[2] = n[SLUICE_IMAGE_SYMBOL];
	row.records[0].words[3] = n[SLUICE_IMAGE_ORDER];
	row.records[0].words[4] = n[SLUICE_IMAGE_SESSION];
	if (row.records[row.n - 1].type == SLUICE_IMAGE_END)
		row.records[row.n - 1].words[0] = row.n;
}

static void damaged(const uint8_t *data, size_t size, bool counted)
{
	size_t commands = size * 3 / 4 / COMMAND_BYTES, at = commands * COMMAND_BYTES, i;

	for (i = 0; i < commands; i++)
		apply(&original, data + i * COMMAND_BYTES, i);
	row_of(original.core, &row);
	for (; at + DAMAGE_BYTES <= size; at += DAMAGE_BYTES)
		damage(data + at);
	if (counted)
		recount();
	/* What is behind the row is compared as well. */
	memset(&row.records[row.n], 0, (ROW_MAX - row.n) * sizeof(*row.records));
	if (!take())
		return;
	for (i = 0; i < commands; i++)
		apply(&twin, data + i * COMMAND_BYTES, i);
	must(!sluice_core_check(twin.core));
}

static void raw(const uint8_t *data, size_t size)
{
	memset(&row, 0, sizeof(row));
	row.n = (uint32_t)(size / sizeof(*row.records));
	if (row.n > ROW_MAX - 1)
		row.n = ROW_MAX - 1;
	memcpy(row.records, data, row.n * sizeof(*row.records));
	take();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	core_player_init(&original, &limits);
	switch (data[0] & 3) {
	case 0:
		raw(data + 1, size - 1);
		break;
	case 1:
		round_trip(data + 1, (size - 1) / COMMAND_BYTES);
		break;
	default:
		damaged(data + 1, size - 1, data[0] & 1);
	}
	return 0;
}
