/* SPDX-License-Identifier: MIT */
#include "producer/generator.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "producer/command_text.h"
#include "producer/generator_internal.h"

#define FIELD(field, fallback, min, max)                                                           \
	{                                                                                          \
#field, offsetof(struct sluice_generator_params, field), fallback, min, max        \
	}

static const struct param {
	const char *name;
	size_t offset;
	uint64_t fallback;
	uint64_t min;
	uint64_t max;
} params_table[] = {
	FIELD(seed, 1, 0, UINT64_MAX),
	FIELD(count, 0, 0, UINT64_MAX),
	FIELD(symbols, 4, 1, SLUICE_GENERATOR_SYMBOLS_MAX),
	FIELD(zipf, 100, 0, 400),
	FIELD(accounts, 0, 0, UINT32_MAX),
	FIELD(session, 1, 0, UINT32_MAX >> 8), /* order ids of a session: 40 bits below it */
	FIELD(rate, 100000, 1, 1000000000),
	FIELD(start_ns, 34200000000000, 0, UINT64_MAX >> 1),
	FIELD(hawkes, 60, 0, 90),
	FIELD(depth, 500, 4, 100000),
	FIELD(price, 10000, SLUICE_SHADOW_LEVELS, 1ull << 40),
	FIELD(distance_alpha, 150, 50, 1000),
	FIELD(lot, 100, 1, 1000000000),
	FIELD(size_alpha, 200, 50, 1000),
	FIELD(cancels, 90, 0, 100),
	FIELD(aggressors, 45, 0, 500),
	FIELD(market, 20, 0, 100),
	FIELD(replaces, 20, 0, 200),
	FIELD(reduces, 5, 0, 200),
	FIELD(price_decimals, 0, 0, 9),
	FIELD(qty_decimals, 0, 0, 9),
};
#define PARAMS (sizeof(params_table) / sizeof(params_table[0]))
SLUICE_STATIC_ASSERT(PARAMS * sizeof(uint64_t) == sizeof(struct sluice_generator_params),
		     "every parameter has its line");

static uint64_t *value_of(struct sluice_generator_params *params, const struct param *param)
{
	return (uint64_t *)(void *)((char *)params + param->offset);
}

static uint64_t read_value(const struct sluice_generator_params *params, const struct param *param)
{
	uint64_t value;

	memcpy(&value, (const char *)params + param->offset, sizeof(value));
	return value;
}

void sluice_generator_defaults(struct sluice_generator_params *ret_params)
{
	for (size_t i = 0; i < PARAMS; i++)
		*value_of(ret_params, &params_table[i]) = params_table[i].fallback;
}

static int out_of_range(const struct param *param, const char *text, size_t bytes,
			struct sluice_diag *diag)
{
	return sluice_diag_set(diag, EINVAL, "generator: %s=%s: a number from %llu to %llu",
			       param->name, sluice_quote(text, bytes).text,
			       (unsigned long long)param->min, (unsigned long long)param->max);
}

static int unknown_key(const char *text, size_t bytes, struct sluice_diag *diag)
{
	const char *names[PARAMS];
	const struct sluice_words words = {"parameter", names, PARAMS};
	char list[400] = "";
	const char *nearest;

	for (size_t i = 0; i < PARAMS; i++) {
		size_t used = strlen(list);

		names[i] = params_table[i].name;
		snprintf(list + used, sizeof(list) - used, "%s%s", i ? ", " : "", names[i]);
	}
	nearest = sluice_words_nearest(&words, text, bytes);
	if (nearest)
		return sluice_diag_set(diag, EINVAL,
				       "generator: no parameter %s; did you mean \"%s\"?",
				       sluice_quote(text, bytes).text, nearest);
	return sluice_diag_set(diag, EINVAL, "generator: no parameter %s; known are %s",
			       sluice_quote(text, bytes).text, list);
}

static const struct param *find_param(const char *text, size_t bytes)
{
	for (size_t i = 0; i < PARAMS; i++)
		if (strlen(params_table[i].name) == bytes &&
		    memcmp(params_table[i].name, text, bytes) == 0)
			return &params_table[i];
	return NULL;
}

int sluice_generator_set(struct sluice_generator_params *params, const char *text,
			 struct sluice_diag *diag)
{
	struct sluice_generator_params changed = *params;

	while (*text) {
		size_t bytes = strcspn(text, ",");
		const char *equals = memchr(text, '=', bytes);
		size_t key_bytes = equals ? (size_t)(equals - text) : bytes;
		const struct param *param = find_param(text, key_bytes);
		const char *value = equals ? equals + 1 : text + bytes;
		size_t value_bytes = (size_t)(text + bytes - value);
		uint64_t number;

		if (!param)
			return unknown_key(text, key_bytes, diag);
		if (sluice_parse_u64(value, value_bytes, param->max, &number) ||
		    number < param->min)
			return out_of_range(param, value, value_bytes, diag);
		*value_of(&changed, param) = number;
		text += bytes + (text[bytes] == ',');
	}
	*params = changed;
	return 0;
}

int sluice_generator_check(const struct sluice_generator_params *params, struct sluice_diag *diag)
{
	for (size_t i = 0; i < PARAMS; i++) {
		uint64_t value = read_value(params, &params_table[i]);
		char text[24];

		if (value >= params_table[i].min && value <= params_table[i].max)
			continue;
		snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
		return out_of_range(&params_table[i], text, strlen(text), diag);
	}
	return 0;
}

void sluice_generator_describe(const struct sluice_generator_params *params, char *buffer,
			       size_t size)
{
	size_t used = 0;

	for (size_t i = 0; i < PARAMS && used < size; i++)
		used += (size_t)snprintf(buffer + used, size - used, "%s%s=%llu", i ? " " : "",
					 params_table[i].name,
					 (unsigned long long)read_value(params, &params_table[i]));
}
