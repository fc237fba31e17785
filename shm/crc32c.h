/* SPDX-License-Identifier: MIT */
/*
 * crc32c.h - Castagnoli CRC (polynomial 0x1EDC6F41, reflected), as in RFC 3720 and SSE4.2's crc32.
 * Pure; any thread; never blocks. The same result with and without the instruction.
 */
#ifndef SLUICE_SHM_CRC32C_H
#define SLUICE_SHM_CRC32C_H

#include "shm/base.h"

/* CRC of `bytes` continued from `crc` (0 to start). crc32c(0, "123456789") is 0xE3069283. */
SLUICE_API uint32_t sluice_crc32c(uint32_t crc, const void *data, size_t bytes);

#endif
