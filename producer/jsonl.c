/* SPDX-License-Identifier: MIT */
#include "producer/jsonl.h"

#include <errno.h>
#include <string.h>

struct scan {
	char *begin;
	char *at;
	const char *end;
	uint64_t line;
	struct sluice_diag *diag;
};

static int wrong(const struct scan *scan, const char *what)
{
	return sluice_diag_set(scan->diag, EBADMSG, "line %llu, byte %llu: %s",
			       (unsigned long long)scan->line,
			       (unsigned long long)(scan->at - scan->begin) + 1, what);
}

static void skip_blanks(struct scan *scan)
{
	while (scan->at < scan->end && (*scan->at == ' ' || *scan->at == '\t' || *scan->at == '\r'))
		scan->at++;
}

/* Takes the character if it comes next. */
static bool take(struct scan *scan, char c)
{
	if (scan->at == scan->end || *scan->at != c)
		return false;
	scan->at++;
	return true;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The four digits of \uXXXX; -1 if they are none. */
static int32_t hex_unit(struct scan *scan)
{
	int32_t unit = 0;

	if (scan->end - scan->at < 4)
		return -1;
	for (uint32_t i = 0; i < 4; i++) {
		int digit = hex_digit(scan->at[i]);

		if (digit < 0)
			return -1;
		unit = unit << 4 | digit;
	}
	scan->at += 4;
	return unit;
}

/* One escape, behind its backslash, to *to. No column takes what ASCII cannot print. */
static int unescape(struct scan *scan, char **to)
{
	static const char from[] = "\"\\/bfnrt";
	static const char into[] = "\"\\/\b\f\n\r\t";
	const char *found;
	int32_t unit;

	if (take(scan, 'u')) {
		unit = hex_unit(scan);
		if (unit < 0)
			return wrong(scan, "\\u needs four hexadecimal digits");
		if (unit < 0x20 || unit >= 0x7f)
			return wrong(scan, "no column takes a character that ASCII cannot print");
		*(*to)++ = (char)unit;
		return 0;
	}
	found = scan->at < scan->end && *scan->at ? strchr(from, *scan->at) : NULL;
	if (!found)
		return wrong(scan, "unknown escape");
	scan->at++;
	*(*to)++ = into[found - from];
	return 0;
}

static int cut_string(struct scan *scan, struct sluice_field *ret_field)
{
	char *to = scan->at;
	const char *text = to;

	for (;;) {
		int err;

		if (scan->at == scan->end)
			return wrong(scan, "the string is not closed");
		if (take(scan, '"'))
			break;
		if ((unsigned char)*scan->at < 0x20)
			return wrong(scan, "a control character in a string");
		if (!take(scan, '\\')) {
			*to++ = *scan->at++;
			continue;
		}
		err = unescape(scan, &to);
		if (err)
			return err;
	}
	ret_field->text = text;
	ret_field->bytes = (uint32_t)(to - text);
	return 0;
}

static bool skip_digits(struct scan *scan)
{
	char *first = scan->at;

	while (scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9')
		scan->at++;
	return scan->at > first;
}

static int cut_number(struct scan *scan, struct sluice_field *ret_field)
{
	const char *text = scan->at;
	const char *first;

	take(scan, '-');
	first = scan->at;
	if (!skip_digits(scan) || (*first == '0' && scan->at > first + 1))
		return wrong(scan, "not a JSON value");
	if (take(scan, '.') && !skip_digits(scan))
		return wrong(scan, "a digit must follow the point");
	if (take(scan, 'e') || take(scan, 'E')) {
		if (!take(scan, '+'))
			take(scan, '-');
		if (!skip_digits(scan))
			return wrong(scan, "a digit must follow the exponent's sign");
	}
	ret_field->text = text;
	ret_field->bytes = (uint32_t)(scan->at - text);
	return 0;
}

static bool take_word(struct scan *scan, const char *word)
{
	size_t bytes = strlen(word);

	if ((size_t)(scan->end - scan->at) < bytes || memcmp(scan->at, word, bytes) != 0)
		return false;
	scan->at += bytes;
	return true;
}

static int cut_value(struct scan *scan, uint32_t column, struct sluice_field *ret_field)
{
	bool yes = take_word(scan, "true");

	if (yes || take_word(scan, "false")) {
		if (column != SLUICE_COLUMN_POST_ONLY)
			return wrong(scan, "only post_only may be true or false");
		ret_field->text = yes ? "1" : "0";
		ret_field->bytes = 1;
		return 0;
	}
	if (take_word(scan, "null")) {
		ret_field->bytes = 0;
		return 0;
	}
	if (take(scan, '"'))
		return cut_string(scan, ret_field);
	if (scan->at < scan->end && (*scan->at == '{' || *scan->at == '['))
		return wrong(scan, "a value must be a string or a number");
	return cut_number(scan, ret_field);
}

/* "key": value */
static int cut_pair(struct scan *scan, struct sluice_row *row, uint32_t *seen)
{
	struct sluice_field key, value;
	int column, err;

	skip_blanks(scan);
	if (!take(scan, '"'))
		return wrong(scan, "expected a key in double quotes");
	err = cut_string(scan, &key);
	if (err)
		return err;
	column = sluice_words_find(&sluice_column_words, key.text, key.bytes);
	if (column < 0)
		return sluice_column_unknown(scan->line, key.text, key.bytes, scan->diag);
	if (*seen >> column & 1)
		return wrong(scan, "the key came before");
	*seen |= 1u << column;
	skip_blanks(scan);
	if (!take(scan, ':'))
		return wrong(scan, "expected a colon");
	skip_blanks(scan);
	err = cut_value(scan, (uint32_t)column, &value);
	if (err)
		return err;
	if (value.bytes) {
		row->field[column] = value;
		row->present |= 1u << column;
	}
	skip_blanks(scan);
	return 0;
}

int sluice_jsonl_row(char *text, size_t bytes, uint64_t line, struct sluice_row *ret_row,
		     struct sluice_diag *diag)
{
	struct scan scan = {text, text, text + bytes, line, diag};
	uint32_t seen = 0;
	int err;

	ret_row->line = line;
	ret_row->present = 0;
	skip_blanks(&scan);
	if (!take(&scan, '{'))
		return wrong(&scan, "expected { at the beginning of an object");
	skip_blanks(&scan);
	if (!take(&scan, '}')) {
		do {
			err = cut_pair(&scan, ret_row, &seen);
			if (err)
				return err;
		} while (take(&scan, ','));
		if (!take(&scan, '}'))
			return wrong(&scan, "expected a comma or }");
	}
	skip_blanks(&scan);
	if (scan.at != scan.end)
		return wrong(&scan, "something follows the object; one object per line");
	return 0;
}
