/* SPDX-License-Identifier: MIT */
/*
 * json.h - writes one JSON value after the other, without memory of its own: to a FILE or into a
 * caller's buffer. One thread. Strings may come from shared memory or a disk: everything is
 * escaped, and bytes that are no UTF-8 become U+FFFD.
 *
 * Inside an object every call takes a key; inside an array and at the top the key is NULL. Misuse
 * (a key in an array, more than SLUICE_JSON_DEPTH_MAX levels, an end too many) is a broken
 * invariant. An output error is kept and returned by sluice_json_finish.
 */
#ifndef SLUICE_CLI_JSON_H
#define SLUICE_CLI_JSON_H

#include <stdio.h>

#include "shm/base.h"

#define SLUICE_JSON_DEPTH_MAX 32

struct sluice_json {
	FILE *file; /* NULL: into the buffer */
	char *buffer;
	size_t capacity;
	size_t used;
	int error;
	uint32_t depth;
	uint32_t arrays; /* bit d: level d is an array */
	uint32_t filled; /* bit d: level d has an item */
};

void sluice_json_init_file(struct sluice_json *json, FILE *file);
void sluice_json_init_buffer(struct sluice_json *json, char *buffer, size_t capacity);

void sluice_json_object(struct sluice_json *json, const char *key);
void sluice_json_array(struct sluice_json *json, const char *key);
void sluice_json_end(struct sluice_json *json); /* the innermost object or array */

void sluice_json_u64(struct sluice_json *json, const char *key, uint64_t value);
void sluice_json_i64(struct sluice_json *json, const char *key, int64_t value);
/* With that many digits after the point (up to 9); null if it is not finite. */
void sluice_json_decimal(struct sluice_json *json, const char *key, double value, uint32_t digits);
void sluice_json_bool(struct sluice_json *json, const char *key, bool value);
void sluice_json_null(struct sluice_json *json, const char *key);
void sluice_json_string(struct sluice_json *json, const char *key, const char *value);
/* Up to `bytes` bytes or the first NUL: for fixed arrays that need not be terminated. */
void sluice_json_string_bounded(struct sluice_json *json, const char *key, const char *value,
				size_t bytes);

/*
 * Ends the line (a newline to a FILE, a NUL in a buffer) and makes ready for the next one.
 * Everything must be closed. 0, -EIO, or -ENOSPC: the buffer is too small and holds a cut text.
 */
int sluice_json_finish(struct sluice_json *json);

#endif
