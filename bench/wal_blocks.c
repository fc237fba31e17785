/* SPDX-License-Identifier: MIT */
/*
 * wal_blocks.c - which sizes the blocks of a log have, so that fio can write the same mix. The
 * parent's thread, after the engine has ended.
 */
#include <errno.h>
#include <string.h>

#include "bench/wal.h"
#include "engine/wal/reader.h"

/* Whole per cent, the rest to the most frequent size; what has none is left out. */
static void write_split(const uint64_t *counts, uint64_t total, char *ret_split)
{
	uint32_t percent[BENCH_BLOCK_SIZES + 1], most = 1, sum = 0;
	size_t used = 0;

	for (uint32_t i = 1; i <= BENCH_BLOCK_SIZES; i++) {
		percent[i] = (uint32_t)(counts[i] * 100 / total);
		sum += percent[i];
		if (counts[i] > counts[most])
			most = i;
	}
	percent[most] += 100 - sum;
	for (uint32_t i = 1; i <= BENCH_BLOCK_SIZES && used < BENCH_SPLIT_BYTES; i++)
		if (percent[i])
			used += (size_t)snprintf(ret_split + used, BENCH_SPLIT_BYTES - used,
						 "%s%uk/%u", used ? ":" : "", i * 4, percent[i]);
}

int bench_wal_split(const char *dir, uint64_t first_seq, char ret_split[BENCH_SPLIT_BYTES])
{
	uint64_t counts[BENCH_BLOCK_SIZES + 1] = {0}, total = 0, offset;
	const struct sluice_wal_block_header *header;
	const struct sluice_command *commands;
	struct sluice_wal_reader *reader;
	uint32_t segment_no;
	int rc = sluice_wal_reader_open(&reader, dir, NULL);

	if (rc)
		return rc;
	while ((rc = sluice_wal_reader_next(reader, &header, &commands, &segment_no, &offset)) ==
	       1) {
		const uint32_t size = sluice_wal_block_bytes(header->n_cmds) / SLUICE_WAL_ALIGN;

		if (!header->n_cmds || header->first_cmd_seq < first_seq ||
		    size > BENCH_BLOCK_SIZES)
			continue;
		counts[size]++;
		total++;
	}
	sluice_wal_reader_close(reader);
	if (rc || !total)
		return rc ? rc : -ENODATA;
	write_split(counts, total, ret_split);
	return 0;
}
