/* SPDX-License-Identifier: MIT */
#include "producer/csv.h"

#include <errno.h>
#include <string.h>

bool sluice_line_is_blank(const char *text, size_t bytes)
{
	size_t i = 0;

	while (i < bytes && (text[i] == ' ' || text[i] == '\t'))
		i++;
	return i == bytes || text[i] == '#';
}

/*
 * Reads the quoted field that begins at *at, taking its quotes out, and moves *at to the comma or
 * the end behind it. False: not closed, or something else than a comma follows.
 */
static bool cut_quoted(char **at, const char *end, struct sluice_field *ret_field)
{
	char *from = *at + 1, *to = from;
	const char *begin = from;

	for (;; from++) {
		if (from == end)
			return false;
		if (*from == '"') {
			if (from + 1 == end || from[1] != '"')
				break;
			from++;
		}
		*to++ = *from;
	}
	for (from++; from < end && (*from == ' ' || *from == '\t'); from++)
		;
	if (from < end && *from != ',')
		return false;
	ret_field->text = begin;
	ret_field->bytes = (uint32_t)(to - begin);
	*at = from;
	return true;
}

/* Cuts the field at *at and moves *at to the comma or the end behind it. */
static bool cut_field(char **at, const char *end, struct sluice_field *ret_field)
{
	char *begin = *at;
	const char *last;
	char *scan;

	while (begin < end && (*begin == ' ' || *begin == '\t'))
		begin++;
	if (begin < end && *begin == '"') {
		*at = begin;
		return cut_quoted(at, end, ret_field);
	}
	for (scan = begin; scan < end && *scan != ','; scan++)
		;
	for (last = scan; last > begin && (last[-1] == ' ' || last[-1] == '\t'); last--)
		;
	ret_field->text = begin;
	ret_field->bytes = (uint32_t)(last - begin);
	*at = scan;
	return true;
}

static int wrong_quotes(uint64_t line, uint32_t field, struct sluice_diag *diag)
{
	return sluice_diag_set(diag, EBADMSG,
			       "line %llu, field %u: a quoted field must end with \" before the "
			       "next comma or the line's end",
			       (unsigned long long)line, field);
}

static int wrong_count(const struct sluice_csv *csv, const char *text, const char *end,
		       uint64_t line, uint32_t found, struct sluice_diag *diag)
{
	for (; text < end; text++)
		found += *text == ',';
	return sluice_diag_set(diag, EBADMSG, "line %llu: %u fields, but the header names %u",
			       (unsigned long long)line, found, csv->count);
}

int sluice_csv_header(struct sluice_csv *ret_csv, char *text, size_t bytes, uint64_t line,
		      struct sluice_diag *diag)
{
	struct sluice_csv csv = {0};
	const char *end = text + bytes;
	struct sluice_field field;
	uint32_t seen = 0;

	for (char *at = text;; at++) {
		int column;

		if (!cut_field(&at, end, &field))
			return wrong_quotes(line, csv.count + 1, diag);
		column = sluice_words_find(&sluice_column_words, field.text, field.bytes);
		if (column < 0)
			return sluice_column_unknown(line, field.text, field.bytes, diag);
		if (seen >> column & 1)
			return sluice_diag_set(diag, EBADMSG, "line %llu: column %s comes twice",
					       (unsigned long long)line,
					       sluice_quote(field.text, field.bytes).text);
		seen |= 1u << column;
		csv.column[csv.count++] = (uint8_t)column;
		if (at == end)
			break;
	}
	if (!(seen & 1u << SLUICE_COLUMN_CMD))
		return sluice_diag_set(diag, EBADMSG, "line %llu: the header has no column \"cmd\"",
				       (unsigned long long)line);
	*ret_csv = csv;
	return 0;
}

int sluice_csv_row(const struct sluice_csv *csv, char *text, size_t bytes, uint64_t line,
		   struct sluice_row *ret_row, struct sluice_diag *diag)
{
	const char *end = text + bytes;
	char *at = text;
	uint32_t i = 0;

	sluice_assert(csv->count > 0);
	ret_row->line = line;
	ret_row->present = 0;
	for (;; at++) {
		uint32_t column = csv->column[i];
		struct sluice_field *field = &ret_row->field[column];

		if (sluice_unlikely(!cut_field(&at, end, field)))
			return wrong_quotes(line, i + 1, diag);
		ret_row->present |= (uint32_t)(field->bytes != 0) << column;
		i++;
		if (at == end)
			break;
		if (i == csv->count)
			return wrong_count(csv, at, end, line, i, diag);
	}
	if (i < csv->count)
		return wrong_count(csv, at, end, line, i, diag);
	return 0;
}
