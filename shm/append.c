/* SPDX-License-Identifier: MIT */
#include "shm/append.h"

#define DIGITS_MAX 20 /* of UINT64_MAX */

static const char digit_pairs[] = "0001020304050607080910111213141516171819202122232425262728293031"
				  "323334353637383940414243444"
				  "5464748495051525354555657585960616263646566676869707172737475767"
				  "778798081828384858687888990"
				  "919293949596979899";
SLUICE_STATIC_ASSERT(sizeof(digit_pairs) == 201, "two characters for each of 0 to 99");

/* Writes the digits so that they end at `end`; returns where they begin. */
static char *digits_before(char *end, uint64_t value)
{
	while (value >= 100) {
		uint64_t rest = value / 100;

		end -= 2;
		memcpy(end, &digit_pairs[(value - rest * 100) * 2], 2);
		value = rest;
	}
	if (value >= 10) {
		end -= 2;
		memcpy(end, &digit_pairs[value * 2], 2);
	} else {
		*--end = (char)('0' + value);
	}
	return end;
}

char *sluice_append_u64(char *at, uint64_t value)
{
	char digits[DIGITS_MAX];
	char *begin = digits_before(digits + DIGITS_MAX, value);

	return sluice_append_bytes(at, begin, (size_t)(digits + DIGITS_MAX - begin));
}

static uint64_t magnitude(int64_t value)
{
	return value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
}

char *sluice_append_i64(char *at, int64_t value)
{
	if (value < 0)
		*at++ = '-';
	return sluice_append_u64(at, magnitude(value));
}

char *sluice_append_decimal(char *at, int64_t value, uint32_t decimals)
{
	char digits[DIGITS_MAX];
	char *end = digits + DIGITS_MAX;
	char *begin;

	if (decimals == 0 || decimals > SLUICE_DECIMALS_MAX)
		return sluice_append_i64(at, value);
	begin = digits_before(end, magnitude(value));
	while (end - begin <= (ptrdiff_t)decimals)
		*--begin = '0';
	if (value < 0)
		*at++ = '-';
	at = sluice_append_bytes(at, begin, (size_t)(end - begin) - decimals);
	*at++ = '.';
	return sluice_append_bytes(at, end - decimals, decimals);
}
