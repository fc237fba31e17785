/* SPDX-License-Identifier: MIT */
/*
 * crc32c.c - the hardware instruction where the CPU has it, else a table of 8 x 256 words
 * (slicing by eight, after Kounavis and Berry 2005).
 */
#include "shm/crc32c.h"

#include <string.h>

#define POLYNOMIAL_REFLECTED 0x82f63b78u

static uint32_t table[8][256];

static void table_init(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t crc = i;

		for (int bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ (crc & 1 ? POLYNOMIAL_REFLECTED : 0);
		table[0][i] = crc;
	}
	for (uint32_t i = 0; i < 256; i++)
		for (int slice = 1; slice < 8; slice++)
			table[slice][i] = (table[slice - 1][i] >> 8) ^
					  table[0][table[slice - 1][i] & 0xff];
}

static uint32_t crc_table(uint32_t crc, const unsigned char *data, size_t bytes)
{
	while (bytes >= 8) {
		uint64_t word;

		memcpy(&word, data, 8);
		word ^= crc;
		crc = table[7][word & 0xff] ^ table[6][(word >> 8) & 0xff] ^
		      table[5][(word >> 16) & 0xff] ^ table[4][(word >> 24) & 0xff] ^
		      table[3][(word >> 32) & 0xff] ^ table[2][(word >> 40) & 0xff] ^
		      table[1][(word >> 48) & 0xff] ^ table[0][word >> 56];
		data += 8;
		bytes -= 8;
	}
	while (bytes--)
		crc = (crc >> 8) ^ table[0][(crc ^ *data++) & 0xff];
	return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t crc_hardware(uint32_t crc,
							       const unsigned char *data,
							       size_t bytes)
{
	uint64_t wide = crc;

	while (bytes >= 8) {
		uint64_t word;

		memcpy(&word, data, 8);
		wide = __builtin_ia32_crc32di(wide, word);
		data += 8;
		bytes -= 8;
	}
	crc = (uint32_t)wide;
	while (bytes--)
		crc = __builtin_ia32_crc32qi(crc, *data++);
	return crc;
}

static bool hardware;

/* Before main, so that no later reader races with it. */
__attribute__((constructor)) static void crc_select(void)
{
	__builtin_cpu_init();
	hardware = __builtin_cpu_supports("sse4.2");
	table_init();
}

uint32_t sluice_crc32c(uint32_t crc, const void *data, size_t bytes)
{
	return ~(hardware ? crc_hardware(~crc, data, bytes) : crc_table(~crc, data, bytes));
}
#else
__attribute__((constructor)) static void crc_select(void)
{
	table_init();
}

uint32_t sluice_crc32c(uint32_t crc, const void *data, size_t bytes)
{
	return ~crc_table(~crc, data, bytes);
}
#endif
