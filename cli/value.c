/* SPDX-License-Identifier: MIT */
/*
 * value.c - numbers with units, flags, choices and the distance between words. Everything here is
 * text typed by a person: no assertion, only refusals.
 */
#include "cli/value.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#define FRACTION_DIGITS_MAX 18
#define WORD_BYTES_MAX 64

struct unit {
	const char *suffix;
	uint64_t factor;
};

#define KIBI 1024ull

static const struct unit count_units[] = {
	{"", 1},
	{"k", 1000},
	{"K", 1000},
	{"M", 1000000},
	{"G", 1000000000},
	{"T", 1000000000000},
	{"Ki", KIBI},
	{"Mi", KIBI *KIBI},
	{"Gi", KIBI *KIBI *KIBI},
	{"Ti", KIBI *KIBI *KIBI *KIBI},
	{NULL, 0},
};

static const struct unit size_units[] = {
	{"", 1},
	{"B", 1},
	{"K", KIBI},
	{"KiB", KIBI},
	{"M", KIBI *KIBI},
	{"MiB", KIBI *KIBI},
	{"G", KIBI *KIBI *KIBI},
	{"GiB", KIBI *KIBI *KIBI},
	{"T", KIBI *KIBI *KIBI *KIBI},
	{"TiB", KIBI *KIBI *KIBI *KIBI},
	{"k", KIBI},
	{"m", KIBI *KIBI},
	{"g", KIBI *KIBI *KIBI},
	{"t", KIBI *KIBI *KIBI *KIBI},
	{NULL, 0},
};

#define SECOND_NS 1000000000ull

static const struct unit duration_units[] = {
	{"", SECOND_NS},
	{"ns", 1},
	{"us", 1000},
	{"ms", 1000000},
	{"s", SECOND_NS},
	{"m", 60 * SECOND_NS},
	{"h", 3600 * SECOND_NS},
	{"d", 86400 * SECOND_NS},
	{NULL, 0},
};

static bool is_digit(char letter)
{
	return letter >= '0' && letter <= '9';
}

/* Reads digits with underscores between them; returns what follows, NULL if there is no digit. */
static const char *read_whole(const char *text, uint64_t *ret_value, bool *ret_too_large)
{
	uint64_t value = 0;
	bool too_large = false;

	if (!is_digit(*text))
		return NULL;
	for (;; text++) {
		if (*text == '_' && is_digit(text[1]))
			continue;
		if (!is_digit(*text))
			break;
		too_large |= __builtin_mul_overflow(value, 10, &value);
		too_large |= __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value);
	}
	*ret_value = value;
	*ret_too_large = too_large;
	return text;
}

/* Reads ".25" as 25 of 100; returns what follows, NULL if it is no fraction. */
static const char *read_fraction(const char *text, uint64_t *ret_part, uint64_t *ret_of)
{
	uint64_t part = 0;
	uint64_t of = 1;

	if (*text == '.') {
		const char *first = ++text;

		for (; is_digit(*text); text++) {
			if (text - first >= FRACTION_DIGITS_MAX)
				return NULL;
			part = part * 10 + (uint64_t)(*text - '0');
			of *= 10;
		}
		if (text == first)
			return NULL;
	}
	*ret_part = part;
	*ret_of = of;
	return text;
}

static const struct unit *find_unit(const struct unit *units, const char *suffix, size_t bytes)
{
	for (const struct unit *unit = units; unit->suffix; unit++)
		if (strlen(unit->suffix) == bytes && memcmp(unit->suffix, suffix, bytes) == 0)
			return unit;
	return NULL;
}

static int parse_scaled(const char *text, size_t bytes, const struct unit *units,
			uint64_t *ret_value)
{
	const char *end = text + bytes;
	uint64_t whole;
	uint64_t part;
	uint64_t of;
	bool too_large;

	text = read_whole(text, &whole, &too_large);
	if (!text)
		return -EINVAL;
	text = read_fraction(text, &part, &of);
	if (!text || text > end)
		return -EINVAL;

	const struct unit *unit = find_unit(units, text, (size_t)(end - text));

	if (!unit)
		return -EINVAL;

	const unsigned __int128 fraction = (unsigned __int128)part * unit->factor;

	if (fraction % of)
		return -EINVAL;
	too_large |= __builtin_mul_overflow(whole, unit->factor, &whole);
	too_large |= __builtin_add_overflow(whole, (uint64_t)(fraction / of), &whole);
	if (too_large)
		return -ERANGE;
	*ret_value = whole;
	return 0;
}

int sluice_value_count(const char *text, uint64_t *ret_count)
{
	return parse_scaled(text, strlen(text), count_units, ret_count);
}

int sluice_value_size(const char *text, uint64_t *ret_bytes)
{
	return parse_scaled(text, strlen(text), size_units, ret_bytes);
}

int sluice_value_duration(const char *text, uint64_t *ret_ns)
{
	return parse_scaled(text, strlen(text), duration_units, ret_ns);
}

int sluice_value_rate(const char *text, uint64_t *ret_per_second)
{
	size_t bytes = strlen(text);

	if (strcmp(text, "max") == 0) {
		*ret_per_second = 0;
		return 0;
	}
	if (bytes > 2 && strcmp(text + bytes - 2, "/s") == 0)
		bytes -= 2;
	return parse_scaled(text, bytes, count_units, ret_per_second);
}

int sluice_value_flag(const char *text, bool *ret_flag)
{
	static const char *const no_yes[][2] = {
		{"no", "yes"}, {"false", "true"}, {"off", "on"}, {"0", "1"}};

	for (size_t i = 0; i < sizeof(no_yes) / sizeof(no_yes[0]); i++)
		for (int flag = 0; flag < 2; flag++)
			if (strcasecmp(text, no_yes[i][flag]) == 0) {
				*ret_flag = flag;
				return 0;
			}
	return -EINVAL;
}

int sluice_value_choice(const char *text, const char *words, uint32_t *ret_index)
{
	const size_t bytes = strlen(text);

	for (uint32_t index = 0; *words; index++) {
		const size_t word_bytes = strcspn(words, "|");

		if (bytes == word_bytes && memcmp(text, words, bytes) == 0) {
			*ret_index = index;
			return 0;
		}
		words += word_bytes;
		words += *words == '|';
	}
	return -EINVAL;
}

static uint32_t min_u32(uint32_t left, uint32_t right)
{
	return left < right ? left : right;
}

/* Optimal string alignment, three rows. */
uint32_t sluice_value_distance(const char *left, size_t left_bytes, const char *right,
			       size_t right_bytes)
{
	uint32_t rows[3][WORD_BYTES_MAX + 1] = {{0}};
	uint32_t *before = rows[0];
	uint32_t *above = rows[1];
	uint32_t *row = rows[2];

	if (left_bytes > WORD_BYTES_MAX || right_bytes > WORD_BYTES_MAX)
		return UINT32_MAX;
	for (uint32_t j = 0; j <= right_bytes; j++)
		row[j] = j;
	for (uint32_t i = 1; i <= left_bytes; i++) {
		uint32_t *const reuse = before;

		before = above;
		above = row;
		row = reuse;
		row[0] = i;
		for (uint32_t j = 1; j <= right_bytes; j++) {
			const uint32_t differs = left[i - 1] != right[j - 1];

			row[j] = min_u32(above[j - 1] + differs, min_u32(above[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && left[i - 1] == right[j - 2] &&
			    left[i - 2] == right[j - 1])
				row[j] = min_u32(row[j], before[j - 2] + 1);
		}
	}
	return row[right_bytes];
}

bool sluice_value_is_near(const char *typed, uint32_t distance)
{
	const size_t bytes = strlen(typed);

	return distance <= (bytes <= 3 ? 1u : bytes <= 7 ? 2u : 3u) && distance < bytes;
}
