/* SPDX-License-Identifier: MIT */
/* wal_repair.c - see wal_repair.h. */
#include "tests/lib/wal_repair.h"

#include <string.h>

#include "shm/crc32c.h"

uint64_t wal_repair_length(const unsigned char *block, uint64_t room)
{
	struct sluice_wal_block_header header;
	uint64_t bytes;

	memcpy(&header, block, sizeof(header));
	bytes = sizeof(header) + (uint64_t)header.n_cmds * SLUICE_WAL_RECORD_BYTES;
	bytes = (bytes + SLUICE_WAL_ALIGN - 1) / SLUICE_WAL_ALIGN * SLUICE_WAL_ALIGN;
	return bytes <= room ? bytes : 0;
}

void wal_repair_block(unsigned char *block, uint64_t room)
{
	struct sluice_wal_block_header header;
	uint64_t bytes = wal_repair_length(block, room);

	memcpy(&header, block, sizeof(header));
	if (bytes)
		header.payload_crc = sluice_crc32c(0, block + sizeof(header),
						   bytes - sizeof(header));
	header.header_crc = sluice_wal_header_checksum(&header);
	memcpy(block, &header, sizeof(header));
}

void wal_repair_super(unsigned char *copy)
{
	struct sluice_wal_super super;

	memcpy(&super, copy, sizeof(super));
	super.super_crc = sluice_wal_super_checksum(&super);
	memcpy(copy, &super, sizeof(super));
}

void wal_repair_snapshot(unsigned char *file, uint64_t file_bytes)
{
	struct sluice_snapshot_header header;
	uint32_t crc = 0;

	memcpy(&header, file, sizeof(header));
	for (uint64_t at = SLUICE_WAL_ALIGN;
	     at + SLUICE_SNAPSHOT_CHUNK_BYTES <= file_bytes && at < header.bytes;
	     at += SLUICE_SNAPSHOT_CHUNK_BYTES) {
		struct sluice_snapshot_chunk *chunk = (void *)(file + at);

		chunk->crc = sluice_snapshot_chunk_checksum(chunk);
		crc = sluice_crc32c(crc, &chunk->crc, sizeof(chunk->crc));
	}
	header.chunks_crc = crc;
	header.header_crc = sluice_snapshot_header_checksum(&header);
	memcpy(file, &header, sizeof(header));
}
