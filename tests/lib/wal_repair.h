/* SPDX-License-Identifier: MIT */
/*
 * wal_repair.h - makes the checksums of tampered bytes right again, so that what comes behind the
 * checksums is tested too. Bytes may be anything; nothing outside the given memory is touched.
 */
#ifndef SLUICE_TESTS_LIB_WAL_REPAIR_H
#define SLUICE_TESTS_LIB_WAL_REPAIR_H

#include "engine/wal/wal_format.h"

/* Bytes of the block whose header this is, or 0 if they are more than `room`. */
uint64_t wal_repair_length(const unsigned char *block, uint64_t room);

/* payload_crc, if the length is possible, and header_crc. At least one page. */
void wal_repair_block(unsigned char *block, uint64_t room);

/* super_crc of one copy. */
void wal_repair_super(unsigned char *copy);

/* Of every chunk that the header has and the file can hold, chunks_crc, header_crc. */
void wal_repair_snapshot(unsigned char *file, uint64_t file_bytes);

#endif
