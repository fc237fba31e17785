/* SPDX-License-Identifier: MIT */
/*
 * text.c - rounding happens before the unit is chosen, so that 999,950 is 1.00M and never 1000k.
 */
#include "cli/text.h"

#include <inttypes.h>
#include <stdio.h>

#define SECOND_NS 1000000000ull

struct scale {
	const char *unit;
	double factor;
};

static const struct scale count_scales[] = {{"", 1},	{"k", 1e3},  {"M", 1e6},
					    {"G", 1e9}, {"T", 1e12}, {NULL, 0}};
static const struct scale duration_scales[] = {
	{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {NULL, 0}};
static const struct scale bytes_scales[] = {{" B", 1},
					    {" KiB", 1024.0},
					    {" MiB", 1024.0 * 1024},
					    {" GiB", 1024.0 * 1024 * 1024},
					    {" TiB", 1024.0 * 1024 * 1024 * 1024},
					    {NULL, 0}};
static const struct scale throughput_scales[] = {{" B/s", 1},	 {" kB/s", 1e3},  {" MB/s", 1e6},
						 {" GB/s", 1e9}, {" TB/s", 1e12}, {NULL, 0}};

static struct sluice_text scaled(double value, const struct scale *scale)
{
	struct sluice_text text;

	while (scale[1].unit &&
	       value / scale->factor >= (scale[1].factor / scale->factor > 1000 ? 1023.5 : 999.5))
		scale++;

	const double shown = value / scale->factor;
	int decimals = shown < 9.995 ? 2 : shown < 99.95 ? 1 : 0;

	if (scale->factor <= 1)
		decimals = 0;
	snprintf(text.s, sizeof(text.s), "%.*f%s", decimals, shown, scale->unit);
	return text;
}

struct sluice_text sluice_text_count(uint64_t count)
{
	return scaled((double)count, count_scales);
}

struct sluice_text sluice_text_exact(uint64_t count)
{
	char digits[24];
	struct sluice_text text;
	char *out = text.s;
	const size_t length = (size_t)snprintf(digits, sizeof(digits), "%" PRIu64, count);

	for (size_t i = 0; i < length; i++) {
		if (i && (length - i) % 3 == 0)
			*out++ = ',';
		*out++ = digits[i];
	}
	*out = '\0';
	return text;
}

/* Two neighbouring units; the smaller is cut, not rounded, so that 59m59.9s stays below 1h. */
static struct sluice_text long_duration(uint64_t seconds)
{
	struct sluice_text text;

	if (seconds < 3600)
		snprintf(text.s, sizeof(text.s), "%" PRIu64 "m%02" PRIu64 "s", seconds / 60,
			 seconds % 60);
	else if (seconds < 86400)
		snprintf(text.s, sizeof(text.s), "%" PRIu64 "h%02" PRIu64 "m", seconds / 3600,
			 seconds / 60 % 60);
	else
		snprintf(text.s, sizeof(text.s), "%" PRIu64 "d%02" PRIu64 "h", seconds / 86400,
			 seconds / 3600 % 24);
	return text;
}

struct sluice_text sluice_text_duration(uint64_t ns)
{
	if (ns == UINT64_MAX)
		return (struct sluice_text){"over range"};
	if (ns >= 60 * SECOND_NS)
		return long_duration(ns / SECOND_NS);
	return scaled((double)ns, duration_scales);
}

struct sluice_text sluice_text_bytes(uint64_t bytes)
{
	return scaled((double)bytes, bytes_scales);
}

struct sluice_text sluice_text_throughput(uint64_t bytes, uint64_t elapsed_ns)
{
	return scaled(elapsed_ns ? (double)bytes * 1e9 / (double)elapsed_ns : 0, throughput_scales);
}

struct sluice_text sluice_text_rate(uint64_t events, uint64_t elapsed_ns)
{
	static const struct scale rate_scales[] = {{"/s", 1},	 {"k/s", 1e3},	{"M/s", 1e6},
						   {"G/s", 1e9}, {"T/s", 1e12}, {NULL, 0}};

	return scaled(elapsed_ns ? (double)events * 1e9 / (double)elapsed_ns : 0, rate_scales);
}
