/* SPDX-License-Identifier: MIT */
/*
 * wal_reader.c - a log for those who only look: the same scan and the same judgement as recovery.
 *
 * Any thread of any process, one per reader. Opens read-only, takes no lock, writes no byte, and
 * may run while an engine writes: then the end it sees is the end at that moment, and damage is
 * believed only if it is still there when the block is read again. A crash leaves nothing.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "engine/wal/wal_scan.h"
#include "engine/wal/wal_super.h"

struct sluice_wal_reader {
	struct sluice_wal_io *io;
	struct sluice_wal_super super;
	struct sluice_wal_scan scan;
	unsigned char *window; /* its head also holds the superblock while that is chosen */
};

int sluice_wal_reader_open_io(struct sluice_wal_reader **ret_reader, struct sluice_wal_io *io,
			      struct sluice_diag *diag)
{
	struct sluice_wal_reader *reader = calloc(1, sizeof(*reader));
	int ret;

	if (!reader) {
		io->ops->close(io);
		return sluice_diag_set(diag, ENOMEM, "no memory for a log reader");
	}
	reader->io = io;
	reader->window = mmap(NULL, SLUICE_WAL_SCAN_BYTES, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ret = reader->window == MAP_FAILED ?
		      sluice_diag_set(diag, ENOMEM, "no memory for a log reader") :
		      io->ops->open(io, SLUICE_WAL_IO_READ, diag);
	if (!ret)
		ret = sluice_wal_super_load(io, reader->window, &reader->super, diag);
	if (!ret)
		ret = sluice_wal_super_check_sizes(io, &reader->super, diag);
	if (ret) {
		sluice_wal_reader_close(reader);
		return ret;
	}
	sluice_wal_scan_init(&reader->scan, io, &reader->super, &reader->super.start,
			     reader->window);
	*ret_reader = reader;
	return 0;
}

int sluice_wal_reader_open(struct sluice_wal_reader **ret_reader, const char *dir,
			   struct sluice_diag *diag)
{
	struct sluice_wal_io *io;
	int ret = sluice_wal_io_blocking_create(&io, dir, diag);

	return ret ? ret : sluice_wal_reader_open_io(ret_reader, io, diag);
}

const struct sluice_wal_super *sluice_wal_reader_super(const struct sluice_wal_reader *reader)
{
	return &reader->super;
}

int sluice_wal_reader_next(struct sluice_wal_reader *reader,
			   const struct sluice_wal_block_header **ret_header,
			   const struct sluice_command **ret_commands, uint32_t *ret_segment_no,
			   uint64_t *ret_offset)
{
	uint64_t segment_no = reader->scan.chain.segment_no;
	uint64_t offset = reader->scan.chain.offset;
	const struct sluice_wal_block_header *header;
	int ret = sluice_wal_scan_next(&reader->scan, &header);

	if (ret != 1) {
		sluice_wal_scan_refresh(&reader->scan);
		return ret;
	}
	*ret_header = header;
	*ret_commands = (const struct sluice_command *)(const void *)(header + 1);
	*ret_segment_no = (uint32_t)segment_no;
	*ret_offset = offset;
	return 1;
}

/* A copy of the scan asks the disk once more: has block k come into being meanwhile? */
static int appeared(const struct sluice_wal_reader *reader)
{
	const struct sluice_wal_block_header *header;
	struct sluice_wal_scan probe = reader->scan;

	sluice_wal_scan_refresh(&probe);
	return sluice_wal_scan_next(&probe, &header);
}

int sluice_wal_reader_verdict(struct sluice_wal_reader *reader,
			      struct sluice_wal_report *ret_report)
{
	struct sluice_wal_report report;
	int ret;

	sluice_wal_scan_refresh(&reader->scan);
	ret = sluice_wal_scan_judge(&reader->scan, &report);
	sluice_wal_scan_refresh(&reader->scan);
	if (!ret && report.verdict != SLUICE_WAL_INTACT)
		ret = appeared(reader);
	sluice_wal_scan_refresh(&reader->scan);
	if (ret < 0)
		return ret;
	if (ret == 1) {
		report.verdict = SLUICE_WAL_INTACT;
		report.witness_block_seq = 0;
		snprintf(report.text, sizeof(report.text),
			 "%s offset %llu: the log is being written; block %llu came while it was "
			 "read",
			 report.file, (unsigned long long)report.offset,
			 (unsigned long long)report.block_seq);
	}
	*ret_report = report;
	return 0;
}

void sluice_wal_reader_close(struct sluice_wal_reader *reader)
{
	if (!reader)
		return;
	reader->io->ops->close(reader->io);
	if (reader->window != MAP_FAILED)
		munmap(reader->window, SLUICE_WAL_SCAN_BYTES);
	free(reader);
}
