/* SPDX-License-Identifier: MIT */
/*
 * wal_reader.c - a log for those who only look: the same scan and the same judgement as recovery.
 *
 * Any thread of any process, one per reader. Opens read-only, takes no lock, writes no byte, and
 * may run while an engine writes: then the end it sees is the end at that moment, and damage is
 * believed only if it is still there when superblock and block are read again, and the log's start
 * has not moved meanwhile. A copy of the superblock may be torn while it is written; then the
 * others hold what was true a moment ago. A crash leaves nothing.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "engine/wal/snapshot.h"
#include "engine/wal/wal_scan.h"
#include "engine/wal/wal_super.h"

#define SUPER_TRIES 3
#define VERDICT_TRIES 8
#define RESTORE_TRIES 3

struct sluice_wal_reader {
	struct sluice_wal_io *io;
	struct sluice_wal_super super;
	struct sluice_wal_scan scan;
	unsigned char *window; /* its head also holds the superblock while that is chosen */
};

/* What looks like damage in a live superblock is read again before it is believed. */
static int load_super(struct sluice_wal_reader *reader, struct sluice_wal_super *ret_super,
		      struct sluice_diag *diag)
{
	int ret = -EBADMSG;

	sluice_wal_scan_refresh(&reader->scan);
	for (int i = 0; ret == -EBADMSG && i < SUPER_TRIES; i++)
		ret = sluice_wal_super_load(reader->io, reader->window, ret_super, diag);
	return ret;
}

/* Reads the superblock again. -ESTALE: it is another log's, or the start has passed this reader. */
static int renew(struct sluice_wal_reader *reader, struct sluice_diag *diag)
{
	struct sluice_wal_super *super = &reader->super;
	struct sluice_wal_super now;
	int ret = load_super(reader, &now, diag);

	if (ret)
		return ret;
	if (memcmp(now.log_uuid, super->log_uuid, sizeof(now.log_uuid)) ||
	    now.segment_bytes != super->segment_bytes)
		return -ESTALE;
	if (now.sequence > super->sequence) {
		*super = now;
		sluice_wal_scan_extend(&reader->scan);
	}
	return super->start.block_seq > reader->scan.chain.block_seq ? -ESTALE : 0;
}

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
		ret = load_super(reader, &reader->super, diag);
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

	if (ret == 0) {
		const uint64_t sequence = reader->super.sequence;

		ret = renew(reader, NULL);
		if (ret == 0 && reader->super.sequence != sequence)
			ret = sluice_wal_scan_next(&reader->scan, &header);
	}
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

static void being_written(struct sluice_wal_report *report)
{
	report->verdict = SLUICE_WAL_INTACT;
	report->witness_block_seq = 0;
	snprintf(report->text, sizeof(report->text),
		 "%s offset %llu: the log is being written; block %llu came while it was read",
		 report->file, (unsigned long long)report->offset,
		 (unsigned long long)report->block_seq);
}

/* 1: *ret_report is the verdict. 0: the log changed while it was judged, or -errno. */
static int judge_once(struct sluice_wal_reader *reader, struct sluice_wal_report *ret_report)
{
	const uint64_t sequence = reader->super.sequence;
	int ret;

	sluice_wal_scan_refresh(&reader->scan);
	ret = sluice_wal_scan_judge(&reader->scan, ret_report);
	if (ret || ret_report->verdict == SLUICE_WAL_INTACT)
		return ret ? ret : 1;
	ret = renew(reader, NULL);
	if (!ret)
		ret = appeared(reader);
	if (ret == 1)
		being_written(ret_report);
	else if (ret == 0)
		ret = reader->super.sequence == sequence;
	return ret;
}

int sluice_wal_reader_verdict(struct sluice_wal_reader *reader,
			      struct sluice_wal_report *ret_report)
{
	struct sluice_wal_report report;
	int ret = 0;

	for (int i = 0; ret == 0 && i < VERDICT_TRIES; i++)
		ret = judge_once(reader, &report);
	sluice_wal_scan_refresh(&reader->scan);
	if (ret == 1)
		*ret_report = report;
	return ret == 1 ? 0 : ret < 0 ? ret : -EAGAIN;
}

static struct sluice_core *empty_core(const struct sluice_wal_reader *reader, void *memory)
{
	const struct sluice_core_options options = sluice_wal_core_options(&reader->super.limits);

	return sluice_core_init(memory, &options);
}

/* By the superblock at hand. -EBADMSG also when a snapshot is being written over. */
static int restore_once(struct sluice_wal_reader *reader, void *memory,
			struct sluice_core **ret_core, struct sluice_diag *diag)
{
	const struct sluice_wal_super *super = &reader->super;
	const struct sluice_wal_snapshot *const named[] = {sluice_snapshot_older(super),
							   sluice_snapshot_newest(super)};
	const struct sluice_wal_place *place = &super->start;
	struct sluice_core *core = empty_core(reader, memory);
	int ret = place->block_seq > 0 ? -EBADMSG : 0;

	if (!core)
		return sluice_diag_set(diag, EINVAL, "the superblock's limits are out of range");
	if (ret)
		sluice_diag_set(diag, EBADMSG, "the superblock names no snapshot to start from");
	for (uint32_t i = 0; ret && i < SLUICE_WAL_SNAPSHOTS; i++) {
		if (!named[i])
			continue;
		core = empty_core(reader, memory);
		place = &named[i]->place;
		ret = sluice_snapshot_restore(reader->io, super, named[i], reader->window, core,
					      diag);
	}
	if (ret)
		return ret;
	sluice_wal_scan_init(&reader->scan, reader->io, super, place, reader->window);
	*ret_core = core;
	return 0;
}

int sluice_wal_reader_restore(struct sluice_wal_reader *reader, void *memory,
			      struct sluice_core **ret_core, struct sluice_diag *diag)
{
	int ret = -EBADMSG;

	for (int i = 0; i < RESTORE_TRIES; i++) {
		const uint64_t sequence = reader->super.sequence;

		ret = restore_once(reader, memory, ret_core, diag);
		if (ret != -EBADMSG)
			break;
		/* A start that has moved on is no hindrance yet: nothing has been read. */
		if (renew(reader, NULL) == -ESTALE && reader->super.sequence == sequence)
			ret = -ESTALE;
		if (reader->super.sequence == sequence)
			break;
	}
	sluice_wal_scan_refresh(&reader->scan);
	return ret;
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
