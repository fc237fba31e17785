/* SPDX-License-Identifier: MIT */
/*
 * demo_expect.c - see demo_expect.h. Numbers are compared as the text they are written in: both
 * sides write them in one way only, and a text that differs is a difference worth seeing.
 */
#include "tools/demo_expect.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef SLUICE_WITH_ZLIB
#include <zlib.h>
#endif

#define LINE_BYTES 4096
#define VALUE_BYTES 24

enum fill_value { FILL_SYMBOL, FILL_FIRST, FILL_SECOND, FILL_PRICE, FILL_QTY, FILL_VALUES };

struct fill {
	char value[FILL_VALUES][VALUE_BYTES];
	uint64_t number; /* in the file */
};

struct sluice_demo_fills {
	struct fill *fill;
	size_t count;
	size_t room;
};

struct lines { /* a file, plain or gzip */
#ifdef SLUICE_WITH_ZLIB
	gzFile file;
#else
	FILE *file;
#endif
	char text[LINE_BYTES];
};

static bool lines_open(struct lines *lines, const char *path)
{
#ifdef SLUICE_WITH_ZLIB
	lines->file = gzopen(path, "re");
	if (lines->file)
		gzbuffer(lines->file, 1u << 17);
#else
	lines->file = fopen(path, "re");
#endif
	return lines->file != NULL;
}

/* False at the end. The newline is cut off. */
static bool lines_next(struct lines *lines)
{
#ifdef SLUICE_WITH_ZLIB
	if (!gzgets(lines->file, lines->text, sizeof(lines->text)))
		return false;
#else
	if (!fgets(lines->text, sizeof(lines->text), lines->file))
		return false;
#endif
	lines->text[strcspn(lines->text, "\r\n")] = '\0';
	return true;
}

static void lines_close(struct lines *lines)
{
#ifdef SLUICE_WITH_ZLIB
	gzclose(lines->file);
#else
	fclose(lines->file);
#endif
}

void sluice_demo_fills_free(struct sluice_demo_fills *fills)
{
	if (fills)
		free(fills->fill);
	free(fills);
}

static struct fill *add(struct sluice_demo_fills *fills)
{
	if (fills->count == fills->room) {
		const size_t room = fills->room ? 2 * fills->room : 4096;
		struct fill *grown = reallocarray(fills->fill, room, sizeof(*grown));

		if (!grown)
			return NULL;
		fills->fill = grown;
		fills->room = room;
	}
	memset(&fills->fill[fills->count], 0, sizeof(struct fill));
	fills->fill[fills->count].number = fills->count;
	return &fills->fill[fills->count++];
}

/* The fill_value of a column's name, or -1. */
static int column_of(const char *name, size_t bytes)
{
	static const struct {
		const char *name;
		int value;
	} columns[] = {
		{"symbol", FILL_SYMBOL},
		{"maker_order_id", FILL_FIRST},
		{"taker_order_id", FILL_SECOND},
		{"buy_order_id", FILL_SECOND},
		{"sell_order_id", FILL_FIRST},
		{"price", FILL_PRICE},
		{"qty", FILL_QTY},
	};

	for (size_t i = 0; i < sizeof(columns) / sizeof(*columns); i++)
		if (strlen(columns[i].name) == bytes && !memcmp(columns[i].name, name, bytes))
			return columns[i].value;
	return -1;
}

#define CSV_COLUMNS_MAX 32

struct csv_map {
	int value[CSV_COLUMNS_MAX];
	uint32_t columns;
};

static bool map_header(struct csv_map *map, const char *line)
{
	uint32_t seen = 0;

	map->columns = 0;
	for (;;) {
		const size_t bytes = strcspn(line, ",");
		const int value = column_of(line, bytes);

		if (map->columns == CSV_COLUMNS_MAX)
			return false;
		map->value[map->columns++] = value;
		if (value >= 0)
			seen |= 1u << value;
		if (!line[bytes])
			return seen == (1u << FILL_VALUES) - 1;
		line += bytes + 1;
	}
}

static bool take_row(const struct csv_map *map, const char *line, struct fill *fill)
{
	for (uint32_t i = 0; i < map->columns; i++) {
		const size_t bytes = strcspn(line, ",");
		const int value = map->value[i];

		if (value >= 0) {
			if (!bytes || bytes >= VALUE_BYTES)
				return false;
			memcpy(fill->value[value], line, bytes);
		}
		line += bytes;
		if (*line == ',')
			line++;
		else if (i + 1 != map->columns)
			return false;
	}
	return true;
}

static int read_rows(struct sluice_demo_fills *fills, struct lines *lines, const char *path,
		     struct sluice_diag *diag)
{
	struct csv_map map;

	if (!lines_next(lines) || !map_header(&map, lines->text))
		return sluice_diag_set(diag, EBADMSG,
				       "%s: the first line must name the columns symbol, price, "
				       "qty and the two order ids",
				       path);
	while (lines_next(lines)) {
		struct fill *fill;

		if (!lines->text[0])
			continue;
		fill = add(fills);
		if (!fill)
			return sluice_diag_set(diag, ENOMEM, "no memory for the fills of %s", path);
		if (!take_row(&map, lines->text, fill))
			return sluice_diag_set(diag, EBADMSG,
					       "%s: fill %zu is not understood: %.80s", path,
					       fills->count, lines->text);
	}
	return 0;
}

/* The text of `"key":` in a line of our own JSON: a number or a string without escapes. */
static bool json_value(const char *line, const char *key, char ret_value[VALUE_BYTES])
{
	char wanted[40];
	const char *at;
	size_t bytes;

	snprintf(wanted, sizeof(wanted), "\"%s\":", key);
	at = strstr(line, wanted);
	if (!at)
		return false;
	at += strlen(wanted);
	at += *at == '"';
	bytes = strcspn(at, ",}\"");
	if (!bytes || bytes >= VALUE_BYTES)
		return false;
	memcpy(ret_value, at, bytes);
	ret_value[bytes] = '\0';
	return true;
}

static int read_reports(struct sluice_demo_fills *fills, struct lines *lines, bool auction,
			struct sluice_diag *diag)
{
	static const char *const keys[FILL_VALUES] = {"symbol", "maker_order_id", "taker_order_id",
						      "price", "qty"};

	while (lines_next(lines)) {
		struct fill *fill;

		if (!strstr(lines->text, "\"type\":\"trade\"") ||
		    (strstr(lines->text, "\"auction\":true") != NULL) != auction)
			continue;
		fill = add(fills);
		if (!fill)
			return sluice_diag_set(diag, ENOMEM, "no memory for the fills");
		for (uint32_t i = 0; i < FILL_VALUES; i++)
			if (!json_value(lines->text, keys[i], fill->value[i]))
				return sluice_diag_set(diag, EBADMSG,
						       "a trade of the consumer has no %s: %.120s",
						       keys[i], lines->text);
	}
	return 0;
}

/* By symbol; within one in the order of the file. */
static int by_symbol(const void *left, const void *right)
{
	const struct fill *a = left;
	const struct fill *b = right;
	const int order = strcmp(a->value[FILL_SYMBOL], b->value[FILL_SYMBOL]);

	return order ? order : (a->number > b->number) - (a->number < b->number);
}

static int fills_load(struct sluice_demo_fills **ret_fills, const char *path, bool is_reports,
		      bool auction, struct sluice_diag *diag)
{
	struct sluice_demo_fills *fills = calloc(1, sizeof(*fills));
	struct lines lines;
	int err;

	if (!fills)
		return sluice_diag_set(diag, ENOMEM, "no memory for the fills of %s", path);
	if (!lines_open(&lines, path)) {
		free(fills);
		return sluice_diag_set(diag, errno ? errno : ENOMEM, "cannot open %s: %s", path,
				       strerror(errno));
	}
	err = is_reports ? read_reports(fills, &lines, auction, diag) :
			   read_rows(fills, &lines, path, diag);
	lines_close(&lines);
	if (err) {
		sluice_demo_fills_free(fills);
		return err;
	}
	if (fills->count)
		qsort(fills->fill, fills->count, sizeof(*fills->fill), by_symbol);
	*ret_fills = fills;
	return 0;
}

int sluice_demo_fills_read(struct sluice_demo_fills **ret_fills, const char *path,
			   struct sluice_diag *diag)
{
	return fills_load(ret_fills, path, false, false, diag);
}

int sluice_demo_fills_of_reports(struct sluice_demo_fills **ret_fills, const char *path,
				 bool auction, struct sluice_diag *diag)
{
	return fills_load(ret_fills, path, true, auction, diag);
}

static const char *fill_text(const struct fill *fill, char *buffer, size_t bytes)
{
	if (!fill)
		return "none";
	snprintf(buffer, bytes, "%s/%s at %s x %s", fill->value[FILL_FIRST],
		 fill->value[FILL_SECOND], fill->value[FILL_PRICE], fill->value[FILL_QTY]);
	return buffer;
}

static void note_difference(struct sluice_demo_match *match, const char *symbol, uint64_t number,
			    const struct fill *expected, const struct fill *found)
{
	char left[128];
	char right[128];

	if (match->first_difference[0])
		return;
	snprintf(match->first_difference, sizeof(match->first_difference),
		 "%s fill %llu: expected %.104s, got %.104s", symbol, (unsigned long long)number,
		 fill_text(expected, left, sizeof(left)), fill_text(found, right, sizeof(right)));
}

void sluice_demo_fills_compare(const struct sluice_demo_fills *expected,
			       const struct sluice_demo_fills *found,
			       struct sluice_demo_match *ret_match)
{
	struct sluice_demo_match match = {.expected = expected->count, .found = found->count};
	uint64_t number = 0;
	size_t e = 0, f = 0;

	while (e < expected->count || f < found->count) {
		const struct fill *left = e < expected->count ? &expected->fill[e] : NULL;
		const struct fill *right = f < found->count ? &found->fill[f] : NULL;
		const int order = !left	 ? 1 :
				  !right ? -1 :
					   strcmp(left->value[FILL_SYMBOL],
						  right->value[FILL_SYMBOL]);
		const struct fill *first = order <= 0 ? left : right;

		/* numbered within the symbol, from 1 */
		if (!(first == left ? e : f) ||
		    strcmp(first[-1].value[FILL_SYMBOL], first->value[FILL_SYMBOL]))
			number = 0;
		number++;
		if (!order && !memcmp(left->value, right->value, sizeof(left->value)))
			match.equal++;
		else
			note_difference(&match, first->value[FILL_SYMBOL], number,
					order <= 0 ? left : NULL, order >= 0 ? right : NULL);
		e += order <= 0;
		f += order >= 0;
	}
	*ret_match = match;
}
