/* SPDX-License-Identifier: MIT */
#include "shm/event_names.h"

#include <string.h>

#define WORD_BYTES_MAX 24 /* longer texts are not compared for nearness */

static const char *const command_types[] = {
	[SLUICE_CMD_ADD_ASSET] = "add_asset",
	[SLUICE_CMD_ADD_SYMBOL] = "add_symbol",
	[SLUICE_CMD_DEPOSIT] = "deposit",
	[SLUICE_CMD_WITHDRAW] = "withdraw",
	[SLUICE_CMD_PLACE] = "place",
	[SLUICE_CMD_CANCEL] = "cancel",
	[SLUICE_CMD_REDUCE] = "reduce",
	[SLUICE_CMD_REPLACE] = "replace",
	[SLUICE_CMD_MASS_CANCEL] = "mass_cancel",
	[SLUICE_CMD_HALT] = "halt",
	[SLUICE_CMD_RESUME] = "resume",
	[SLUICE_CMD_AUCTION] = "auction",
	[SLUICE_CMD_UNCROSS] = "uncross",
	[SLUICE_CMD_QUERY_BALANCE] = "query_balance",
	[SLUICE_CMD_QUERY_ORDER] = "query_order",
	[SLUICE_CMD_TICK] = "tick",
	[SLUICE_CMD_VOID] = "void",
};
static const char *const sides[] = {
	[SLUICE_SIDE_NONE] = "none",
	[SLUICE_SIDE_BUY] = "buy",
	[SLUICE_SIDE_SELL] = "sell",
};
static const char *const order_types[] = {
	[SLUICE_ORDER_NONE] = "none",
	[SLUICE_ORDER_LIMIT] = "limit",
	[SLUICE_ORDER_MARKET] = "market",
	[SLUICE_ORDER_STOP] = "stop",
	[SLUICE_ORDER_STOP_LIMIT] = "stop_limit",
};
static const char *const tifs[] = {
	[SLUICE_TIF_NONE] = "none", [SLUICE_TIF_GTC] = "gtc", [SLUICE_TIF_IOC] = "ioc",
	[SLUICE_TIF_FOK] = "fok",   [SLUICE_TIF_DAY] = "day", [SLUICE_TIF_GTD] = "gtd",
};
static const char *const stps[] = {
	[SLUICE_STP_NONE] = "none",
	[SLUICE_STP_CANCEL_NEWEST] = "cancel_newest",
	[SLUICE_STP_CANCEL_OLDEST] = "cancel_oldest",
	[SLUICE_STP_CANCEL_BOTH] = "cancel_both",
	[SLUICE_STP_DECREMENT] = "decrement",
};
static const char *const report_types[] = {
	[SLUICE_REP_ACCEPTED] = "accepted",   [SLUICE_REP_REJECTED] = "rejected",
	[SLUICE_REP_TRADE] = "trade",	      [SLUICE_REP_CANCELLED] = "cancelled",
	[SLUICE_REP_REDUCED] = "reduced",     [SLUICE_REP_REPLACED] = "replaced",
	[SLUICE_REP_TRIGGERED] = "triggered", [SLUICE_REP_EXPIRED] = "expired",
	[SLUICE_REP_BALANCE] = "balance",     [SLUICE_REP_VOID] = "void",
	[SLUICE_REP_ORDER] = "order",
};
static const char *const reasons[] = {
	[SLUICE_REASON_NONE] = "none",
	[SLUICE_REASON_UNKNOWN_COMMAND] = "unknown_command",
	[SLUICE_REASON_UNKNOWN_SYMBOL] = "unknown_symbol",
	[SLUICE_REASON_UNKNOWN_ORDER] = "unknown_order",
	[SLUICE_REASON_DUPLICATE_ORDER] = "duplicate_order",
	[SLUICE_REASON_DUPLICATE_COMMAND] = "duplicate_command",
	[SLUICE_REASON_BAD_SIDE] = "bad_side",
	[SLUICE_REASON_BAD_TYPE] = "bad_type",
	[SLUICE_REASON_BAD_TIF] = "bad_tif",
	[SLUICE_REASON_BAD_PRICE] = "bad_price",
	[SLUICE_REASON_BAD_QTY] = "bad_qty",
	[SLUICE_REASON_BAD_NAME] = "bad_name",
	[SLUICE_REASON_SYMBOL_EXISTS] = "symbol_exists",
	[SLUICE_REASON_TOO_MANY_SYMBOLS] = "too_many_symbols",
	[SLUICE_REASON_TOO_MANY_ORDERS] = "too_many_orders",
	[SLUICE_REASON_TOO_MANY_SESSIONS] = "too_many_sessions",
	[SLUICE_REASON_WRONG_STATE] = "wrong_state",
	[SLUICE_REASON_UNSUPPORTED] = "unsupported",
	[SLUICE_REASON_NO_LIQUIDITY] = "no_liquidity",
	[SLUICE_REASON_MALFORMED] = "malformed",
	[SLUICE_REASON_TOO_MANY_LEVELS] = "too_many_levels",
	[SLUICE_REASON_USER] = "user",
	[SLUICE_REASON_IOC] = "ioc",
	[SLUICE_REASON_FOK] = "fok",
	[SLUICE_REASON_POST_ONLY] = "post_only",
	[SLUICE_REASON_STP] = "stp",
	[SLUICE_REASON_MASS] = "mass",
	[SLUICE_REASON_EXPIRED] = "expired",
	[SLUICE_REASON_HALTED] = "halted",
};
static const char *const md_types[] = {
	[SLUICE_MD_TRADE] = "trade",
	[SLUICE_MD_DEPTH] = "depth",
	[SLUICE_MD_TOP] = "top",
	[SLUICE_MD_STATE] = "state",
};
static const char *const phases[] = {
	[SLUICE_PHASE_CONTINUOUS] = "continuous",
	[SLUICE_PHASE_AUCTION] = "auction",
	[SLUICE_PHASE_HALTED] = "halted",
};

#define COUNT(array) ((uint32_t)(sizeof(array) / sizeof((array)[0])))

SLUICE_STATIC_ASSERT(COUNT(command_types) == SLUICE_CMD_TYPES, "every command has a word");
SLUICE_STATIC_ASSERT(COUNT(order_types) == SLUICE_ORDER_TYPES, "every order type has a word");
SLUICE_STATIC_ASSERT(COUNT(tifs) == SLUICE_TIFS, "every time in force has a word");
SLUICE_STATIC_ASSERT(COUNT(stps) == SLUICE_STPS, "every self-trade prevention has a word");
SLUICE_STATIC_ASSERT(COUNT(report_types) == SLUICE_REP_TYPES, "every report has a word");
SLUICE_STATIC_ASSERT(COUNT(md_types) == SLUICE_MD_TYPES, "every market-data event has a word");

/* A tombstone is the ring's own; nobody types it. */
const struct sluice_words sluice_command_type_words = {"command", command_types, SLUICE_CMD_VOID};
const struct sluice_words sluice_side_words = {"side", sides, COUNT(sides)};
const struct sluice_words sluice_order_type_words = {"order type", order_types, COUNT(order_types)};
const struct sluice_words sluice_tif_words = {"time in force", tifs, COUNT(tifs)};
const struct sluice_words sluice_stp_words = {"self-trade prevention", stps, COUNT(stps)};

static const char *name_of(const char *const *words, uint32_t count, uint32_t value)
{
	if (value >= count || !words[value])
		return "unknown";
	return words[value];
}

const char *sluice_command_type_name(uint32_t type)
{
	return name_of(command_types, COUNT(command_types), type);
}

const char *sluice_side_name(uint32_t side)
{
	return name_of(sides, COUNT(sides), side);
}

const char *sluice_order_type_name(uint32_t type)
{
	return name_of(order_types, COUNT(order_types), type);
}

const char *sluice_tif_name(uint32_t tif)
{
	return name_of(tifs, COUNT(tifs), tif);
}

const char *sluice_stp_name(uint32_t stp)
{
	return name_of(stps, COUNT(stps), stp);
}

const char *sluice_report_type_name(uint32_t type)
{
	return name_of(report_types, COUNT(report_types), type);
}

const char *sluice_reason_name(uint32_t reason)
{
	return name_of(reasons, COUNT(reasons), reason);
}

const char *sluice_md_type_name(uint32_t type)
{
	return name_of(md_types, COUNT(md_types), type);
}

const char *sluice_phase_name(uint32_t phase)
{
	return name_of(phases, COUNT(phases), phase);
}

int sluice_words_find(const struct sluice_words *words, const char *text, size_t bytes)
{
	if (bytes == 0)
		return -1;
	for (uint32_t i = 0; i < words->count; i++) {
		const char *word = words->words[i];

		if (word && word[0] == text[0] && strlen(word) == bytes &&
		    memcmp(word, text, bytes) == 0)
			return (int)i;
	}
	return -1;
}

/* Levenshtein distance with one row; both texts are at most WORD_BYTES_MAX long. */
static uint32_t distance(const char *a, size_t a_bytes, const char *b, size_t b_bytes)
{
	uint32_t row[WORD_BYTES_MAX + 1];

	for (uint32_t j = 0; j <= b_bytes; j++)
		row[j] = j;
	for (uint32_t i = 1; i <= a_bytes; i++) {
		uint32_t diagonal = row[0];

		row[0] = i;
		for (uint32_t j = 1; j <= b_bytes; j++) {
			uint32_t best = diagonal + (a[i - 1] != b[j - 1]);

			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			diagonal = row[j];
			row[j] = best;
		}
	}
	return row[b_bytes];
}

const char *sluice_words_nearest(const struct sluice_words *words, const char *text, size_t bytes)
{
	const char *nearest = NULL;
	uint32_t best = 0;

	if (bytes == 0 || bytes > WORD_BYTES_MAX)
		return NULL;
	for (uint32_t i = 0; i < words->count; i++) {
		const char *word = words->words[i];
		size_t word_bytes = word ? strlen(word) : 0;
		uint32_t found;

		if (!word || word_bytes > WORD_BYTES_MAX)
			continue;
		found = distance(text, bytes, word, word_bytes);
		if (!nearest || found < best) {
			nearest = word;
			best = found;
		}
	}
	/* more than a third of the letters wrong is another word */
	return nearest && best * 3 <= bytes + 2 ? nearest : NULL;
}

bool sluice_name_is_valid(const char *text, size_t bytes)
{
	if (bytes == 0 || bytes >= SLUICE_NAME_BYTES)
		return false;
	for (size_t i = 0; i < bytes; i++) {
		unsigned char c = (unsigned char)text[i];
		unsigned char lower = (unsigned char)(c | 0x20);

		if (lower >= 'a' && lower <= 'z')
			continue;
		if ((c >= '-' && c <= '9') || c == '_') /* - . / and the digits are neighbours */
			continue;
		return false;
	}
	return true;
}
