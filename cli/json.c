/* SPDX-License-Identifier: MIT */
/*
 * json.c - a level is one bit in two words: array or object, empty or not. The FILE is used
 * unlocked: a tool writes its output from one thread.
 */
#include "cli/json.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

SLUICE_STATIC_ASSERT(SLUICE_JSON_DEPTH_MAX <= 32, "one bit per level");

static void put(struct sluice_json *json, const char *text, size_t bytes)
{
	if (json->error)
		return;
	if (json->file) {
		if (fwrite_unlocked(text, 1, bytes, json->file) != bytes)
			json->error = -EIO;
		return;
	}
	if (bytes > json->capacity - json->used) {
		bytes = json->capacity - json->used;
		json->error = -ENOSPC;
	}
	memcpy(json->buffer + json->used, text, bytes);
	json->used += bytes;
}

void sluice_json_init_file(struct sluice_json *json, FILE *file)
{
	*json = (struct sluice_json){.file = file};
}

void sluice_json_init_buffer(struct sluice_json *json, char *buffer, size_t capacity)
{
	sluice_assert(capacity > 0);
	/* one byte is kept for the final NUL */
	*json = (struct sluice_json){.buffer = buffer, .capacity = capacity - 1};
}

/* Bytes of the UTF-8 character at `text`, 0 if there is none within `bytes`. */
static size_t utf8_bytes(const unsigned char *text, size_t bytes)
{
	static const uint32_t lowest[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t need = 1;
	uint32_t point = text[0];

	if (point < 0x80)
		return 1;
	if ((point & 0xe0) == 0xc0)
		need = 2, point &= 0x1f;
	else if ((point & 0xf0) == 0xe0)
		need = 3, point &= 0x0f;
	else if ((point & 0xf8) == 0xf0)
		need = 4, point &= 0x07;
	if (need == 1 || need > bytes)
		return 0;
	for (size_t i = 1; i < need; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		point = point << 6 | (text[i] & 0x3f);
	}
	if (point < lowest[need] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
		return 0;
	return need;
}

static void put_escape(struct sluice_json *json, unsigned char letter)
{
	static const char short_from[] = "\"\\\b\f\n\r\t";
	static const char short_to[] = "\"\\bfnrt";
	const char *found = strchr(short_from, letter);
	char escape[8];

	if (found)
		snprintf(escape, sizeof(escape), "\\%c", short_to[found - short_from]);
	else
		snprintf(escape, sizeof(escape), "\\u%04x", letter);
	put(json, escape, strlen(escape));
}

static void put_quoted(struct sluice_json *json, const char *text, size_t bytes)
{
	size_t plain = 0; /* bytes before `i` that are still to be written */
	size_t i = 0;

	put(json, "\"", 1);
	while (i < bytes) {
		const unsigned char letter = (unsigned char)text[i];
		const size_t length = utf8_bytes((const unsigned char *)text + i, bytes - i);
		const bool special = letter < 0x20 || letter == 0x7f || letter == '"' ||
				     letter == '\\';

		if (length && !special) {
			i += length;
			plain += length;
			continue;
		}
		put(json, text + i - plain, plain);
		plain = 0;
		i++;
		if (length)
			put_escape(json, letter);
		else
			put(json, REPLACEMENT, strlen(REPLACEMENT));
	}
	put(json, text + i - plain, plain);
	put(json, "\"", 1);
}

/* What stands before a value: the comma and the key. */
static void put_lead(struct sluice_json *json, const char *key)
{
	const uint32_t bit = 1u << json->depth;
	const bool in_object = json->depth && !(json->arrays & bit);

	sluice_assert(in_object == (key != NULL));
	sluice_assert(json->depth || !(json->filled & bit));
	if (json->filled & bit)
		put(json, ",", 1);
	json->filled |= bit;
	if (key) {
		put_quoted(json, key, strlen(key));
		put(json, ":", 1);
	}
}

static void open_level(struct sluice_json *json, const char *key, bool is_array)
{
	put_lead(json, key);
	put(json, is_array ? "[" : "{", 1);
	json->depth++;
	sluice_assert(json->depth < SLUICE_JSON_DEPTH_MAX);

	const uint32_t bit = 1u << json->depth;

	json->filled &= ~bit;
	json->arrays = is_array ? json->arrays | bit : json->arrays & ~bit;
}

void sluice_json_object(struct sluice_json *json, const char *key)
{
	open_level(json, key, false);
}

void sluice_json_array(struct sluice_json *json, const char *key)
{
	open_level(json, key, true);
}

void sluice_json_end(struct sluice_json *json)
{
	sluice_assert(json->depth > 0);
	put(json, json->arrays & (1u << json->depth) ? "]" : "}", 1);
	json->depth--;
}

/* Reports are written by the million: no printf for whole numbers. */
static void put_u64(struct sluice_json *json, uint64_t value)
{
	char digits[20];
	size_t first = sizeof(digits);

	do {
		digits[--first] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	put(json, digits + first, sizeof(digits) - first);
}

void sluice_json_u64(struct sluice_json *json, const char *key, uint64_t value)
{
	put_lead(json, key);
	put_u64(json, value);
}

void sluice_json_i64(struct sluice_json *json, const char *key, int64_t value)
{
	put_lead(json, key);
	if (value < 0)
		put(json, "-", 1);
	put_u64(json, value < 0 ? -(uint64_t)value : (uint64_t)value);
}

void sluice_json_decimal(struct sluice_json *json, const char *key, double value, uint32_t digits)
{
	char text[352]; /* the largest double has 309 digits before the point */

	sluice_assert(digits <= 9);
	if (!isfinite(value)) {
		sluice_json_null(json, key);
		return;
	}
	put_lead(json, key);
	snprintf(text, sizeof(text), "%.*f", (int)digits, value);
	put(json, text, strlen(text));
}

void sluice_json_bool(struct sluice_json *json, const char *key, bool value)
{
	put_lead(json, key);
	put(json, value ? "true" : "false", value ? 4 : 5);
}

void sluice_json_null(struct sluice_json *json, const char *key)
{
	put_lead(json, key);
	put(json, "null", 4);
}

void sluice_json_string(struct sluice_json *json, const char *key, const char *value)
{
	put_lead(json, key);
	put_quoted(json, value, strlen(value));
}

void sluice_json_string_bounded(struct sluice_json *json, const char *key, const char *value,
				size_t bytes)
{
	put_lead(json, key);
	put_quoted(json, value, strnlen(value, bytes));
}

int sluice_json_finish(struct sluice_json *json)
{
	const int error = json->error;

	sluice_assert(json->depth == 0);
	if (json->file)
		put(json, "\n", 1);
	else
		json->buffer[json->used] = '\0';
	json->filled = 0;
	json->used = 0;

	const int result = error ? error : json->error;

	json->error = 0;
	return result;
}
