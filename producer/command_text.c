/* SPDX-License-Identifier: MIT */
#include "producer/command_text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "producer/command_columns.h"
#include "shm/append.h"

/* What a row's conversion needs besides the row. */
struct conversion {
	const struct sluice_row *row;
	struct sluice_symbols *symbols;
	struct sluice_command *command;
	char *symbol_name;
	char asset_name[SLUICE_NAME_BYTES];
	struct sluice_resolved symbol;
	struct sluice_resolved asset;
	struct sluice_diag *diag;
};

/* -------------------------------------------------------------------------------- messages */

struct sluice_quoted sluice_quote(const char *text, size_t bytes)
{
	static const char hex[] = "0123456789abcdef";
	struct sluice_quoted quoted;
	char *at = quoted.text;
	const char *limit = quoted.text + sizeof(quoted.text) - sizeof("\\xNN...\"");

	*at++ = '"';
	for (size_t i = 0; i < bytes; i++) {
		unsigned char c = (unsigned char)text[i];

		if (at > limit) {
			at = sluice_append_literal(at, "...");
			break;
		}
		if (c >= 0x20 && c < 0x7f) {
			*at++ = (char)c;
			continue;
		}
		*at++ = '\\';
		*at++ = 'x';
		*at++ = hex[c >> 4];
		*at++ = hex[c & 15];
	}
	*at++ = '"';
	*at = '\0';
	return quoted;
}

static int bad_field(const struct conversion *c, enum sluice_column column, const char *why)
{
	const struct sluice_field *field = &c->row->field[column];

	return sluice_diag_set(c->diag, EBADMSG, "line %llu, column \"%s\": %s %s",
			       (unsigned long long)c->row->line, sluice_column_words.words[column],
			       sluice_quote(field->text, field->bytes).text, why);
}

/* "a, b, c" into `list`. */
static void list_words(const struct sluice_words *words, char *list, size_t size)
{
	size_t used = 0;

	list[0] = '\0';
	for (uint32_t i = 0; i < words->count && used < size; i++) {
		if (!words->words[i])
			continue;
		used += (size_t)snprintf(list + used, size - used, "%s%s", used ? ", " : "",
					 words->words[i]);
	}
}

static int bad_word(const struct conversion *c, enum sluice_column column,
		    const struct sluice_words *words)
{
	const struct sluice_field *field = &c->row->field[column];
	const char *nearest = sluice_words_nearest(words, field->text, field->bytes);
	char why[512], list[400];

	list_words(words, list, sizeof(list));
	if (nearest)
		snprintf(why, sizeof(why), "is no %s; did you mean \"%s\"?", words->what, nearest);
	else
		snprintf(why, sizeof(why), "is no %s; one of %s", words->what, list);
	return bad_field(c, column, why);
}

int sluice_column_unknown(uint64_t line, const char *text, size_t bytes, struct sluice_diag *diag)
{
	const char *nearest = sluice_words_nearest(&sluice_column_words, text, bytes);
	char list[400], meant[64] = "";

	list_words(&sluice_column_words, list, sizeof(list));
	if (nearest)
		snprintf(meant, sizeof(meant), "did you mean \"%s\"? ", nearest);
	return sluice_diag_set(diag, EBADMSG, "line %llu: %s is not a column; %sknown are %s",
			       (unsigned long long)line, sluice_quote(text, bytes).text, meant,
			       list);
}

/* --------------------------------------------------------------------------------- numbers */

int sluice_parse_u64(const char *text, size_t bytes, uint64_t max, uint64_t *ret_value)
{
	uint64_t value = 0;
	bool over = false;

	if (bytes == 0)
		return -EINVAL;
	for (size_t i = 0; i < bytes; i++) {
		unsigned int digit = (unsigned int)(unsigned char)text[i] - '0';

		if (digit > 9)
			return -EINVAL;
		if (value > (UINT64_MAX - digit) / 10)
			over = true;
		value = value * 10 + digit;
	}
	if (over || value > max)
		return -ERANGE;
	*ret_value = value;
	return 0;
}

int sluice_parse_decimal(const char *text, size_t bytes, uint32_t decimals, int64_t *ret_value)
{
	size_t i = bytes > 0 && text[0] == '-';
	size_t first = i, point = bytes;
	uint32_t after = 0; /* digits after the point that count */
	bool over = false, fine = false;
	uint64_t value = 0;

	for (; i < bytes; i++) {
		unsigned int digit = (unsigned int)(unsigned char)text[i] - '0';

		if (text[i] == '.' && point == bytes && i > first && i + 1 < bytes) {
			point = i;
			continue;
		}
		if (digit > 9)
			return -EINVAL;
		if (point < bytes && after == decimals) { /* zeros beyond change nothing */
			fine |= digit != 0;
			continue;
		}
		after += point < bytes;
		over |= value > ((uint64_t)INT64_MAX - digit) / 10;
		value = value * 10 + digit;
	}
	if (first == bytes)
		return -EINVAL;
	if (first)
		return -EDOM;
	if (fine || (decimals == 0 && point < bytes))
		return -EOVERFLOW;
	for (; after < decimals; after++) {
		over |= value > (uint64_t)INT64_MAX / 10;
		value *= 10;
	}
	if (over)
		return -ERANGE;
	*ret_value = (int64_t)value;
	return 0;
}

static int read_u64(const struct conversion *c, enum sluice_column column, uint64_t max,
		    uint64_t *ret_value)
{
	const struct sluice_field *field = &c->row->field[column];
	int err = sluice_parse_u64(field->text, field->bytes, max, ret_value);
	int64_t ignored;
	char why[64];

	if (sluice_likely(!err))
		return 0;
	if (err == -ERANGE) {
		snprintf(why, sizeof(why), "is too large; at most %llu", (unsigned long long)max);
		return bad_field(c, column, why);
	}
	if (sluice_parse_decimal(field->text, field->bytes, 0, &ignored) == -EDOM)
		return bad_field(c, column, "is negative");
	return bad_field(c, column, "is not an integer");
}

static int read_decimal(const struct conversion *c, enum sluice_column column, uint32_t decimals,
			const char *owner)
{
	const struct sluice_field *field = &c->row->field[column];
	int64_t value = 0;
	char why[128];

	switch (sluice_parse_decimal(field->text, field->bytes, decimals, &value)) {
	case 0:
		memcpy((char *)c->command + sluice_columns[column].offset, &value, sizeof(value));
		return 0;
	case -EDOM:
		return bad_field(c, column, "is negative");
	case -ERANGE:
		return bad_field(c, column, "is too large");
	case -EOVERFLOW:
		if (decimals == 0)
			snprintf(why, sizeof(why),
				 "is not an integer, and %s is defined without decimals", owner);
		else
			snprintf(why, sizeof(why), "has more than %u decimals for %s", decimals,
				 owner);
		return bad_field(c, column, why);
	default:
		return bad_field(c, column,
				 decimals ? "is not a decimal number" : "is not an integer");
	}
}

/* ----------------------------------------------------------------------------------- names */

static int read_name(const struct conversion *c, enum sluice_column column,
		     char ret_name[SLUICE_NAME_BYTES])
{
	const struct sluice_field *field = &c->row->field[column];

	if (!sluice_name_is_valid(field->text, field->bytes))
		return bad_field(c, column, "is not a name: 1 to 23 of A-Z a-z 0-9 . _ / -");
	memset(ret_name, 0, SLUICE_NAME_BYTES);
	memcpy(ret_name, field->text, field->bytes);
	return 0;
}

static int resolve(const struct conversion *c, enum sluice_column column,
		   enum sluice_directory_kind kind, const char *name,
		   struct sluice_resolved *ret_resolved)
{
	int err = sluice_symbols_find(c->symbols, kind, name, ret_resolved);
	bool symbol = kind == SLUICE_DIRECTORY_SYMBOL;

	if (sluice_likely(!err))
		return 0;
	if (err == -ENOSPC)
		return sluice_diag_set(c->diag, ENOSPC, "line %llu: more than %u names",
				       (unsigned long long)c->row->line, SLUICE_DIRECTORY_MAX);
	if (err != -ENOENT)
		return sluice_diag_set(c->diag, -err, "line %llu, column \"%s\": \"%s\": %s",
				       (unsigned long long)c->row->line,
				       sluice_column_words.words[column], name, strerror(-err));
	bad_field(c, column,
		  symbol ? "is no symbol that anybody added" : "is no asset that anybody added");
	sluice_diag_hint(c->diag, "put a row with cmd %s and %s %s before it",
			 symbol ? "add_symbol" : "add_asset", symbol ? "symbol" : "asset", name);
	return -ENOENT;
}

static int read_symbol(struct conversion *c)
{
	struct sluice_command *command = c->command;
	int err = read_name(c, SLUICE_COLUMN_SYMBOL, c->symbol_name);

	if (err)
		return err;
	if (command->head.type == SLUICE_CMD_ADD_SYMBOL) {
		memcpy(command->u.define.name, c->symbol_name, SLUICE_NAME_BYTES);
		return 0;
	}
	err = resolve(c, SLUICE_COLUMN_SYMBOL, SLUICE_DIRECTORY_SYMBOL, c->symbol_name, &c->symbol);
	if (!err)
		command->symbol = c->symbol.id;
	return err;
}

static int read_asset(struct conversion *c, enum sluice_column column)
{
	struct sluice_command *command = c->command;
	char name[SLUICE_NAME_BYTES];
	int err = read_name(c, column, name);

	if (err)
		return err;
	if (command->head.type == SLUICE_CMD_ADD_ASSET) {
		memcpy(command->u.define.name, name, sizeof(name));
		return 0;
	}
	err = resolve(c, column, SLUICE_DIRECTORY_ASSET, name, &c->asset);
	if (err)
		return err;
	memcpy((char *)command + sluice_columns[column].offset, &c->asset.id, sizeof(c->asset.id));
	memcpy(c->asset_name, name, sizeof(name));
	return 0;
}

/* ---------------------------------------------------------------------------------- a row */

static int read_column(struct conversion *c, enum sluice_column column)
{
	const struct column *rule = &sluice_columns[column];
	const struct sluice_field *field = &c->row->field[column];
	char *out = (char *)c->command + rule->offset;
	uint64_t value = 0;
	uint32_t narrow;
	int err, word;

	switch ((enum column_kind)rule->kind) {
	case KIND_COMMAND: /* read before */
		return 0;
	case KIND_SYMBOL:
		return read_symbol(c);
	case KIND_ASSET:
		return read_asset(c, column);
	case KIND_PRICE:
		return read_decimal(c, column, c->symbol.price_decimals, c->symbol_name);
	case KIND_QTY:
		return read_decimal(c, column, c->symbol.qty_decimals, c->symbol_name);
	case KIND_AMOUNT:
		return read_decimal(c, column, c->asset.qty_decimals, c->asset_name);
	case KIND_WORD:
		word = sluice_words_find(rule->words, field->text, field->bytes);
		if (word < 0)
			return bad_word(c, column, rule->words);
		*(uint8_t *)out = (uint8_t)word;
		return 0;
	case KIND_U64:
		err = read_u64(c, column, UINT64_MAX, &value);
		memcpy(out, &value, sizeof(value));
		return err;
	case KIND_U32:
	case KIND_FLAG: /* its bit is the lowest of the flags */
		err = read_u64(c, column, rule->kind == KIND_FLAG ? 1 : UINT32_MAX, &value);
		narrow = (uint32_t)value;
		memcpy(out, &narrow, sizeof(narrow));
		return err;
	case KIND_DECIMALS:
		err = read_u64(c, column, SLUICE_DECIMALS_MAX, &value);
		*(uint8_t *)out = (uint8_t)value;
		return err;
	}
	return -EINVAL;
}
SLUICE_STATIC_ASSERT(SLUICE_ORDER_POST_ONLY == 1, "post_only is read as the flags' lowest bit");

/* A column that the command has not: an error, unless it holds 0 or may be repeated. */
static int check_other(const struct conversion *c, enum sluice_column column)
{
	const struct sluice_field *field = &c->row->field[column];
	uint16_t type = c->command->head.type;
	char why[128];

	if (sluice_columns[column].ignored >> type & 1)
		return 0;
	if (field->bytes == 1 && field->text[0] == '0')
		return 0;
	if (type == SLUICE_CMD_REPLACE &&
	    (column == SLUICE_COLUMN_PRICE || column == SLUICE_COLUMN_QTY))
		snprintf(why, sizeof(why), "has no meaning for replace; use new_%s",
			 sluice_column_words.words[column]);
	else
		snprintf(why, sizeof(why), "has no meaning for %s", sluice_command_type_name(type));
	return bad_field(c, column, why);
}

static int missing(const struct conversion *c, const char *column)
{
	return sluice_diag_set(c->diag, EBADMSG, "line %llu: %s needs column \"%s\"",
			       (unsigned long long)c->row->line,
			       sluice_command_type_name(c->command->head.type), column);
}

static int read_command_type(const struct conversion *c)
{
	const struct sluice_field *field = &c->row->field[SLUICE_COLUMN_CMD];
	int type;

	if (!(c->row->present & 1u << SLUICE_COLUMN_CMD))
		return sluice_diag_set(c->diag, EBADMSG,
				       "line %llu: column \"cmd\" is empty; it names the command, "
				       "such as place or cancel",
				       (unsigned long long)c->row->line);
	type = sluice_words_find(&sluice_command_type_words, field->text, field->bytes);
	if (type < 0)
		return bad_word(c, SLUICE_COLUMN_CMD, &sluice_command_type_words);
	c->command->head.type = (uint16_t)type;
	c->command->head.length = sizeof(*c->command);
	return 0;
}

/* What empty columns mean. */
static int set_defaults(const struct conversion *c)
{
	uint32_t bit = 1u << c->command->head.type;
	uint32_t absent = ~c->row->present;

	if (c->command->head.type == SLUICE_CMD_PLACE) {
		c->command->order_type = sluice_columns[SLUICE_COLUMN_TYPE].fallback;
		c->command->tif = sluice_columns[SLUICE_COLUMN_TIF].fallback;
	}
	if (absent & 1u << SLUICE_COLUMN_SYMBOL && COMMANDS_OF_SYMBOLS & bit) {
		if (c->command->head.type != SLUICE_CMD_MASS_CANCEL)
			return missing(c, "symbol");
		c->command->symbol = UINT32_MAX; /* all of them */
	}
	if (absent & 1u << SLUICE_COLUMN_ASSET &&
	    sluice_columns[SLUICE_COLUMN_ASSET].commands & bit)
		return missing(c, "asset");
	return 0;
}

int sluice_command_text_parse(const struct sluice_row *row, struct sluice_symbols *symbols,
			      struct sluice_command *ret_command,
			      char ret_symbol[SLUICE_NAME_BYTES], struct sluice_diag *diag)
{
	struct sluice_command command = {0};
	char symbol[SLUICE_NAME_BYTES] = {0};
	struct conversion c = {.row = row,
			       .symbols = symbols,
			       .command = &command,
			       .symbol_name = symbol,
			       .diag = diag};
	int err;

	err = read_command_type(&c);
	if (err)
		return err;
	err = set_defaults(&c);
	if (err)
		return err;
	for (uint32_t left = row->present; left; left &= left - 1) {
		enum sluice_column column = (enum sluice_column)__builtin_ctz(left);

		if (sluice_column_is_of(column, command.head.type))
			err = read_column(&c, column);
		else
			err = check_other(&c, column);
		if (err)
			return err;
	}
	*ret_command = command;
	memcpy(ret_symbol, symbol, sizeof(symbol));
	return 0;
}
