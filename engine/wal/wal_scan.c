/* SPDX-License-Identifier: MIT */
/*
 * wal_scan.c - the walk over a log's valid prefix, and the window it reads through.
 *
 * The window is a private copy of disk bytes in 1 MiB pieces, so that what was validated is what
 * is handed out. An unreadable place is an error, never the end of the log: bytes that the disk
 * refuses to show prove nothing. Any thread, one at a time; a crash leaves nothing.
 */
#include "engine/wal/wal_scan.h"

#include <errno.h>
#include <string.h>

#include "engine/wal/wal_files.h"

SLUICE_STATIC_ASSERT(SLUICE_WAL_SCAN_BYTES >= SLUICE_WAL_BLOCK_BYTES_MAX,
		     "any block fits into the window");

void sluice_wal_scan_init(struct sluice_wal_scan *scan, struct sluice_wal_io *io,
			  const struct sluice_wal_super *super,
			  const struct sluice_wal_place *place, unsigned char *window)
{
	*scan = (struct sluice_wal_scan){
		.io = io, .super = super, .window = window, .cmd_seq_first = place->cmd_seq};
	sluice_wal_chain_init(&scan->chain, super, place);
}

void sluice_wal_scan_refresh(struct sluice_wal_scan *scan)
{
	scan->window_bytes = 0;
}

void sluice_wal_scan_extend(struct sluice_wal_scan *scan)
{
	scan->chain.segment_end = scan->super->start.segment_no + SLUICE_WAL_SEGMENTS;
}

static bool in_window(const struct sluice_wal_scan *scan, uint64_t segment_no, uint64_t offset,
		      uint64_t bytes)
{
	return scan->window_bytes > 0 && segment_no == scan->window_segment_no &&
	       offset >= scan->window_offset &&
	       offset + bytes <= scan->window_offset + scan->window_bytes;
}

const struct sluice_wal_block_header *sluice_wal_scan_load(struct sluice_wal_scan *scan,
							   uint64_t segment_no, uint64_t offset,
							   uint64_t bytes, int *ret_error)
{
	uint64_t left = scan->chain.segment_bytes - offset;
	int ret;

	sluice_assert(bytes <= left && bytes <= SLUICE_WAL_SCAN_BYTES);
	if (!in_window(scan, segment_no, offset, bytes)) {
		uint64_t want = left < SLUICE_WAL_SCAN_BYTES ? left : SLUICE_WAL_SCAN_BYTES;

		scan->window_bytes = 0;
		ret = sluice_wal_io_stopping(scan->io) ?
			      -EINTR :
			      scan->io->ops->read(scan->io,
						  (uint32_t)(segment_no % SLUICE_WAL_SEGMENTS),
						  offset, scan->window, want);
		scan->window_segment_no = segment_no;
		scan->window_offset = offset;
		if (ret) {
			*ret_error = ret;
			return NULL;
		}
		scan->window_bytes = want;
	}
	return (const struct sluice_wal_block_header *)(const void *)(scan->window + offset -
								      scan->window_offset);
}

int sluice_wal_scan_failed(const struct sluice_wal_scan *scan, int error, struct sluice_diag *diag)
{
	char name[SLUICE_WAL_FILE_NAME_BYTES];

	sluice_wal_file_name((uint32_t)(scan->window_segment_no % SLUICE_WAL_SEGMENTS), name);
	return sluice_diag_set(
		diag, -error,
		"%s: cannot be read at or after offset %llu (looking for block %llu): %s", name,
		(unsigned long long)scan->window_offset, (unsigned long long)scan->chain.block_seq,
		strerror(-error));
}

/* 1 and the block if the one at the chain's place continues it, 0 if it does not, or -errno. */
static int check_here(struct sluice_wal_scan *scan,
		      const struct sluice_wal_block_header **ret_header)
{
	const struct sluice_wal_chain *chain = &scan->chain;
	const struct sluice_wal_block_header *header;
	int error = 0;

	header = sluice_wal_scan_load(scan, chain->segment_no, chain->offset, SLUICE_WAL_ALIGN,
				      &error);
	if (!header)
		return error;
	if (!sluice_wal_header_intact(header, sluice_wal_chain_room(chain), &scan->fault) ||
	    !sluice_wal_chain_follows(chain, header, &scan->fault))
		return 0;
	header = sluice_wal_scan_load(scan, chain->segment_no, chain->offset,
				      sluice_wal_block_bytes(header->n_cmds), &error);
	if (!header)
		return error;
	/* The second load may have read the disk again: nothing is carried over. */
	if (!sluice_wal_header_intact(header, sluice_wal_chain_room(chain), &scan->fault) ||
	    !in_window(scan, chain->segment_no, chain->offset,
		       sluice_wal_block_bytes(header->n_cmds)) ||
	    !sluice_wal_chain_follows(chain, header, &scan->fault) ||
	    !sluice_wal_payload_intact(header, &scan->fault))
		return 0;
	*ret_header = header;
	return 1;
}

static bool at_place(const struct sluice_wal_chain *chain, const struct sluice_wal_place *place,
		     struct sluice_wal_fault *ret_fault)
{
	const struct sluice_wal_fault rows[] = {
		{"segment of a snapshot's place", place->segment_no, chain->segment_no},
		{"offset of a snapshot's place", place->offset, chain->offset},
		{"prev_link of a snapshot's place", place->prev_link, chain->prev_link},
		{"cmd_seq of a snapshot's place", place->cmd_seq, chain->cmd_seq},
	};

	for (uint32_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].expected != rows[i].found) {
			*ret_fault = rows[i];
			return false;
		}
	return true;
}

bool sluice_wal_scan_agrees(const struct sluice_wal_scan *scan, struct sluice_wal_fault *ret_fault)
{
	for (uint32_t i = 0; i < SLUICE_WAL_SNAPSHOTS; i++) {
		const struct sluice_wal_snapshot *snapshot = &scan->super->snapshot[i];

		if (snapshot->sequence && snapshot->place.block_seq == scan->chain.block_seq &&
		    !at_place(&scan->chain, &snapshot->place, ret_fault))
			return false;
	}
	return true;
}

int sluice_wal_scan_next(struct sluice_wal_scan *scan,
			 const struct sluice_wal_block_header **ret_header)
{
	int ret;

	if (!sluice_wal_scan_agrees(scan, &scan->fault) || sluice_wal_chain_at_end(&scan->chain))
		return 0;
	ret = check_here(scan, ret_header);
	if (ret == 0 && scan->window_offset != scan->chain.offset) {
		/* The window may be older than the block: a live log grows. */
		sluice_wal_scan_refresh(scan);
		ret = check_here(scan, ret_header);
	}
	if (ret == 1) {
		scan->blocks++;
		sluice_wal_chain_advance(&scan->chain, *ret_header);
	}
	return ret;
}
