/* SPDX-License-Identifier: MIT */
/*
 * wal_truncate.c - makes a damaged log end before its first block that is not valid.
 *
 * What proves the damage goes: the intact blocks and headers behind, the superblock's mark of a
 * clean end, and the snapshots it names beyond. All of it is in the backup, synced, before the
 * first write; the writes are made from the backup, so that nothing is changed that is not in it.
 * The superblock is the last. Killed between, the valid prefix is the same, and the log is
 * damaged, torn or intact there: the cut or the undo can be made again.
 *
 * Any thread, blocking, under the locks of the log and of its snapshots.
 */
#include "engine/wal/truncate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/wal/snapshot.h"
#include "engine/wal/wal_examine.h"
#include "engine/wal/wal_super.h"
#include "engine/wal/wal_undo.h"
#include "shm/crc32c.h"

#define SECTOR_BYTES 512u /* what a disk writes whole */

struct cut {
	struct sluice_wal *wal;
	struct sluice_wal_loss loss;
	struct sluice_wal_super next; /* what the superblock will say */
	struct sluice_wal_undo undo;
	unsigned char *block; /* zeros, then data of the backup */
};

static void scan_tail(const struct sluice_wal *wal, struct sluice_wal_scan *scan,
		      struct sluice_wal_stray *at)
{
	sluice_wal_scan_init(scan, wal->io, &wal->super, &wal->super.start, wal->window_memory);
	*at = (struct sluice_wal_stray){
		.segment_no = wal->report.segment_no,
		.offset = wal->report.offset,
	};
}

static bool is_full(const struct sluice_wal *wal, const struct sluice_wal_stray *at)
{
	return at->segment_no == wal->super.start.segment_no + SLUICE_WAL_SEGMENTS;
}

/* The superblock that agrees with a log that ends before block k. */
static void prepare_super(struct cut *cut, uint32_t epoch)
{
	const struct sluice_wal *wal = cut->wal;
	const uint64_t k = wal->report.block_seq;

	cut->next = wal->super;
	if (epoch > cut->next.epoch)
		cut->next.epoch = epoch;
	if (cut->next.close_block_seq >= k) {
		cut->loss.close_block_seq = cut->next.close_block_seq;
		cut->next.close_block_seq = 0;
	}
	for (uint32_t i = 0; i < SLUICE_WAL_SNAPSHOTS; i++) {
		struct sluice_wal_snapshot *snapshot = &cut->next.snapshot[i];
		const bool unusable = wal->passed_over & 1u << i;

		if (!snapshot->sequence || snapshot->place.block_seq + unusable <= k)
			continue;
		cut->loss.snapshot[i] = snapshot->sequence;
		*snapshot = (struct sluice_wal_snapshot){.sequence = 0};
	}
}

static void count(struct sluice_wal_loss *loss, const struct sluice_wal_block_header *header,
		  uint64_t bytes)
{
	const uint64_t end = header->first_cmd_seq + header->n_cmds;

	loss->blocks++;
	loss->commands += header->n_cmds;
	loss->bytes += bytes;
	if (end > loss->cmd_seq_end)
		loss->cmd_seq_end = end;
}

static bool ours(const struct sluice_wal *wal, const struct sluice_wal_block_header *header)
{
	return !memcmp(header->log_uuid, wal->super.log_uuid, sizeof(header->log_uuid));
}

/* Walks what goes. 0 or -errno. */
static int survey(struct cut *cut, sluice_wal_loss_visit visit, void *arg, struct sluice_diag *diag)
{
	struct sluice_wal *wal = cut->wal;
	const struct sluice_wal_block_header *header;
	struct sluice_wal_scan scan;
	struct sluice_wal_stray at;
	uint32_t epoch = 0;
	int ret;

	cut->loss = (struct sluice_wal_loss){
		.report = wal->report,
		.kept_cmd_seq = wal->base.cmd_seq + wal->report.commands,
	};
	cut->loss.cmd_seq_end = cut->loss.kept_cmd_seq;
	scan_tail(wal, &scan, &at);
	while ((ret = sluice_wal_next_stray(&scan, &at, &header)) == 1) {
		if (sluice_wal_is_earlier_use(&wal->super, header, &at))
			continue;
		if (ours(wal, header) && header->epoch > epoch)
			epoch = header->epoch;
		if (!at.whole)
			continue;
		count(&cut->loss, header, at.bytes);
		if (visit)
			visit(header, (const struct sluice_command *)(const void *)(header + 1),
			      at.segment_no, at.offset, arg);
	}
	prepare_super(cut, epoch);
	return ret ? sluice_wal_scan_failed(&scan, ret, diag) : 0;
}

/* A snapshot that would go must be bad: one that the disk does not show may be whole. */
static int must_be_bad(struct sluice_wal *wal, const struct sluice_wal_snapshot *snapshot,
		       struct sluice_diag *diag)
{
	const int ret = sluice_snapshot_check(wal->io, &wal->super, snapshot, wal->window_memory,
					      diag);

	if (ret == -EBADMSG)
		return 0;
	if (!ret)
		sluice_diag_set(diag, EIO, "snapshot %llu could not be read, and now it can",
				(unsigned long long)snapshot->sequence);
	sluice_diag_hint(diag, "nothing was changed; mend the disk, or copy what can be read");
	return ret ? ret : -EIO;
}

/* A verdict of damage that a shorter log would mend, or why not. */
static int must_be_damaged(struct sluice_wal *wal, struct sluice_diag *diag)
{
	int ret = sluice_wal_recover(wal, diag);

	if (ret == -EBADMSG && wal->report.verdict == SLUICE_WAL_DAMAGED) {
		ret = 0;
		for (uint32_t i = 0; !ret && i < SLUICE_WAL_SNAPSHOTS; i++)
			if (wal->passed_over & 1u << i &&
			    wal->super.snapshot[i].place.block_seq >= wal->report.block_seq)
				ret = must_be_bad(wal, &wal->super.snapshot[i], diag);
		return ret;
	}
	if (ret)
		return ret;
	return sluice_diag_set(diag, EALREADY,
			       "the log is not damaged, nothing needs to be given up: %s",
			       wal->report.text);
}

int sluice_wal_truncate_look(const char *dir, sluice_wal_loss_visit visit, void *arg,
			     struct sluice_wal_loss *ret_loss, struct sluice_diag *diag)
{
	struct sluice_wal_io *io;
	struct cut cut = {.wal = NULL};
	int ret = sluice_wal_io_blocking_create(&io, dir, diag);

	if (ret)
		return ret;
	ret = sluice_wal_examine(&cut.wal, io, SLUICE_WAL_IO_READ, diag);
	if (!ret)
		ret = must_be_damaged(cut.wal, diag);
	if (!ret)
		ret = survey(&cut, visit, arg, diag);
	sluice_wal_examine_end(cut.wal);
	if (!ret)
		*ret_loss = cut.loss;
	return ret;
}

/* ------------------------------------------------------------------------------------ cutting */

static int keep(struct cut *cut, uint32_t file, uint64_t offset, const void *data, uint32_t bytes,
		struct sluice_diag *diag)
{
	return sluice_wal_undo_add(&cut->undo, file, offset, data, bytes,
				   sluice_crc32c(0, cut->block, bytes), diag);
}

/* The first page of k's place, where it is not one of the blocks that go anyway. */
static int keep_first_page(struct cut *cut, struct sluice_wal_scan *scan,
			   const struct sluice_wal_stray *at, struct sluice_diag *diag)
{
	const struct sluice_wal_block_header *page;
	int error = 0;

	page = sluice_wal_scan_load(scan, at->segment_no, at->offset, SLUICE_WAL_ALIGN, &error);
	if (!page)
		return sluice_wal_scan_failed(scan, error, diag);
	return keep(cut, (uint32_t)(at->segment_no % SLUICE_WAL_SEGMENTS), at->offset, page,
		    SLUICE_WAL_ALIGN, diag);
}

/* Also what is left of earlier uses of the segments: it may prove that bytes were moved. */
static int keep_blocks(struct cut *cut, struct sluice_diag *diag)
{
	const struct sluice_wal_block_header *header;
	struct sluice_wal_scan scan;
	struct sluice_wal_stray first, at;
	int ret;

	scan_tail(cut->wal, &scan, &at);
	first = at;
	while ((ret = sluice_wal_next_stray(&scan, &at, &header)) == 1) {
		const uint32_t file = (uint32_t)(at.segment_no % SLUICE_WAL_SEGMENTS);

		if (at.segment_no == first.segment_no && at.offset == first.offset)
			first.bytes = at.bytes;
		ret = keep(cut, file, at.offset, header, (uint32_t)at.bytes, diag);
		if (ret)
			return ret;
	}
	if (ret)
		return sluice_wal_scan_failed(&scan, ret, diag);
	return first.bytes || is_full(cut->wal, &first) ?
		       0 :
		       keep_first_page(cut, &scan, &first, diag);
}

/*
 * The page that the superblock's new copy will take. What is kept of the new one is its own
 * checksum: that of all its bytes, itself among them, is the same for every superblock.
 */
static int keep_super(struct cut *cut, struct sluice_diag *diag)
{
	struct sluice_wal *wal = cut->wal;
	const uint64_t offset = (wal->super.sequence + 1) % SLUICE_WAL_SUPER_COPIES *
				SLUICE_WAL_ALIGN;
	unsigned char *page = wal->window_memory;
	struct sluice_wal_super sealed = cut->next;
	int ret = wal->io->ops->read(wal->io, SLUICE_WAL_FILE_SUPER, offset, page,
				     SLUICE_WAL_ALIGN);

	if (ret)
		return sluice_diag_set(diag, -ret, "super: cannot be read: %s", strerror(-ret));
	sluice_wal_super_seal(&sealed, &wal->super);
	sluice_wal_super_page(&sealed, wal->super_memory);
	ret = sluice_wal_undo_add(&cut->undo, SLUICE_WAL_FILE_SUPER, offset, page,
				  SLUICE_WAL_ALIGN,
				  sealed.super_crc, diag);
	return ret ? ret : sluice_wal_undo_finish(&cut->undo, sealed.sequence, diag);
}

static int write_failed(uint32_t file, uint64_t offset, int error, struct sluice_diag *diag)
{
	sluice_diag_set(diag, -error, "file %u of the log, offset %llu: cannot be written: %s",
			file, (unsigned long long)offset, strerror(-error));
	sluice_diag_hint(diag, "the backup is complete; mend the disk and use --undo");
	return error;
}

/* Zeros over everything in the backup but the superblock. */
static int overwrite(struct cut *cut, struct sluice_diag *diag)
{
	struct sluice_wal_io *io = cut->wal->io;
	struct sluice_wal_undo_head head;
	int ret;

	sluice_wal_undo_rewind(&cut->undo);
	while ((ret = sluice_wal_undo_next(&cut->undo, &head, cut->block, diag)) == 1) {
		if (head.file == SLUICE_WAL_FILE_SUPER)
			continue;
		memset(cut->block, 0, head.bytes);
		ret = io->ops->write(io, head.file, head.offset, cut->block, head.bytes);
		if (ret)
			return write_failed(head.file, head.offset, ret, diag);
	}
	return ret;
}

/* The log as the next start will find it. */
static int check_result(struct cut *cut, struct sluice_diag *diag)
{
	struct sluice_wal *wal = cut->wal;
	int ret = sluice_wal_examine_again(wal, diag);

	if (!ret) {
		wal->passed_over = 0;
		wal->snapshot_text[0] = '\0';
		ret = sluice_wal_recover(wal, diag);
	}
	if (ret)
		return ret;
	if (wal->position.next_block_seq != cut->loss.report.block_seq || wal->position.torn)
		return sluice_diag_set(diag, EBADMSG,
				       "the log ends before block %llu and not before %llu: %s",
				       (unsigned long long)wal->position.next_block_seq,
				       (unsigned long long)cut->loss.report.block_seq,
				       wal->report.text);
	return 0;
}

static int put_back(struct cut *cut, struct sluice_diag *diag)
{
	struct sluice_wal_io *io = cut->wal->io;
	struct sluice_wal_undo_head head;
	int ret;

	sluice_wal_undo_rewind(&cut->undo);
	while ((ret = sluice_wal_undo_next(&cut->undo, &head, cut->block, diag)) == 1) {
		ret = io->ops->write(io, head.file, head.offset, cut->block, head.bytes);
		if (ret)
			return write_failed(head.file, head.offset, ret, diag);
	}
	return ret;
}

/* Damage that is not in the tail, such as a superblock that was lost, stays damage. */
static int give_back(struct cut *cut, struct sluice_diag *diag)
{
	struct sluice_diag why = {.text = ""};
	int ret;

	if (diag)
		why = *diag;
	ret = put_back(cut, diag);
	if (ret)
		return ret;
	return sluice_diag_set(diag, EBADMSG,
			       "no shorter log would mend this, and all is as it was: %.900s",
			       why.text);
}

static int cut_log(struct cut *cut, const char *backup, struct sluice_diag *diag)
{
	struct sluice_wal *wal = cut->wal;
	int ret = sluice_wal_undo_create(&cut->undo, backup, wal->super.log_uuid, diag);

	if (!ret)
		ret = keep_blocks(cut, diag);
	if (!ret)
		ret = keep_super(cut, diag);
	if (!ret)
		ret = overwrite(cut, diag);
	if (ret)
		return ret;
	ret = sluice_wal_super_write(wal->io, wal->super_memory, &cut->next, &wal->super);
	if (ret)
		return write_failed(SLUICE_WAL_FILE_SUPER, 0, ret, diag);
	ret = check_result(cut, diag);
	return ret == -EBADMSG ? give_back(cut, diag) : ret;
}

/* Opens for writing, with a buffer of zeros. */
static int begin(struct cut *cut, struct sluice_wal_io *io, struct sluice_diag *diag)
{
	int ret = sluice_wal_examine(&cut->wal, io, SLUICE_WAL_IO_WRITE, diag);

	if (ret)
		return ret;
	cut->block = aligned_alloc(SLUICE_WAL_ALIGN, SLUICE_WAL_BLOCK_BYTES_MAX);
	if (!cut->block)
		return sluice_diag_set(diag, ENOMEM, "no memory for a block");
	memset(cut->block, 0, SLUICE_WAL_BLOCK_BYTES_MAX);
	return 0;
}

static void end(struct cut *cut)
{
	sluice_wal_undo_close(&cut->undo);
	sluice_wal_examine_end(cut->wal);
	free(cut->block);
}

int sluice_wal_truncate_io(struct sluice_wal_io *io, const char *backup,
			   struct sluice_wal_loss *ret_loss, struct sluice_diag *diag)
{
	struct cut cut = {.undo.fd = -1};
	int ret = begin(&cut, io, diag);

	if (!ret)
		ret = must_be_damaged(cut.wal, diag);
	if (!ret)
		ret = survey(&cut, NULL, NULL, diag);
	if (!ret)
		ret = cut_log(&cut, backup, diag);
	end(&cut);
	if (!ret)
		*ret_loss = cut.loss;
	return ret;
}

int sluice_wal_truncate(const char *dir, const char *backup, struct sluice_wal_loss *ret_loss,
			struct sluice_diag *diag)
{
	struct sluice_wal_io *io;
	int ret = sluice_wal_io_blocking_create(&io, dir, diag);

	return ret ? ret : sluice_wal_truncate_io(io, backup, ret_loss, diag);
}

/* --------------------------------------------------------------------------------------- undo */

/* Each sector is as it was or as it was made, since the undo or the cut may have ended between. */
static bool untouched(const struct sluice_wal_undo_head *head, const unsigned char *now,
		      const unsigned char *before)
{
	static const unsigned char zeros[SECTOR_BYTES];

	if (head->file == SLUICE_WAL_FILE_SUPER)
		return true; /* its number tells */
	for (uint32_t at = 0; at < head->bytes; at += SECTOR_BYTES)
		if (memcmp(now + at, before + at, SECTOR_BYTES) &&
		    memcmp(now + at, zeros, SECTOR_BYTES))
			return false;
	return true;
}

static int gone_on(struct sluice_diag *diag)
{
	sluice_diag_set(diag, ESTALE,
			"the log has been written since the backup was made: nothing was changed");
	sluice_diag_hint(diag, "put the commands that were given up in again as new ones");
	return -ESTALE;
}

/* The whole backup is sound, and the log still has what either of the two left. */
static int check_backup(struct cut *cut, struct sluice_diag *diag)
{
	struct sluice_wal *wal = cut->wal;
	const uint64_t sizes[] = {wal->super.segment_bytes,
				  SLUICE_WAL_SUPER_COPIES * SLUICE_WAL_ALIGN};
	struct sluice_wal_undo_head head;
	bool is_cuts = false; /* the newest superblock */
	int ret;

	while ((ret = sluice_wal_undo_next(&cut->undo, &head, cut->block, diag)) == 1) {
		if (head.offset > sizes[head.file == SLUICE_WAL_FILE_SUPER] - head.bytes)
			return sluice_diag_set(diag, EBADMSG,
					       "the backup has an entry beyond the end of a file");
		ret = wal->io->ops->read(wal->io, head.file, head.offset, wal->window_memory,
					 head.bytes);
		if (ret)
			return sluice_diag_set(diag, -ret, "the log cannot be read: %s",
					       strerror(-ret));
		if (!untouched(&head, wal->window_memory, cut->block))
			return gone_on(diag);
		if (head.file == SLUICE_WAL_FILE_SUPER)
			is_cuts = wal->super.super_crc == head.written_crc;
	}
	/* the last entry's offset is the number of the superblock that the cut wrote */
	if (!ret && wal->super.sequence + 1 != head.offset &&
	    (wal->super.sequence != head.offset || !is_cuts))
		return gone_on(diag);
	return ret;
}

int sluice_wal_truncate_undo_io(struct sluice_wal_io *io, const char *backup,
				struct sluice_diag *diag)
{
	struct cut cut = {.undo.fd = -1};
	int ret = begin(&cut, io, diag);

	if (!ret)
		ret = sluice_wal_undo_open(&cut.undo, backup, cut.wal->super.log_uuid, diag);
	if (!ret)
		ret = check_backup(&cut, diag);
	if (!ret)
		ret = put_back(&cut, diag);
	end(&cut);
	return ret;
}

int sluice_wal_truncate_undo(const char *dir, const char *backup, struct sluice_diag *diag)
{
	struct sluice_wal_io *io;
	int ret = sluice_wal_io_blocking_create(&io, dir, diag);

	return ret ? ret : sluice_wal_truncate_undo_io(io, backup, diag);
}
