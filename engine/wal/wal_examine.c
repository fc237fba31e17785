/* SPDX-License-Identifier: MIT */
/*
 * wal_examine.c - opens a log for those who look at it or cut it, and walks what lies behind its
 * end.
 *
 * Any thread, blocking; no engine's life depends on it. Writes nothing. A crash leaves nothing.
 */
#include "engine/wal/wal_examine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "engine/wal/wal_files.h"
#include "engine/wal/wal_super.h"

#define LOCK_WAIT_NS 500000000ull
#define SUPER_BYTES ((size_t)SLUICE_WAL_SUPER_COPIES * SLUICE_WAL_ALIGN)
#define MEMORY_BYTES (SLUICE_WAL_SCAN_BYTES + SUPER_BYTES)

static int lock_all(struct sluice_wal_io *io, struct sluice_diag *diag)
{
	int ret = io->ops->lock(io, SLUICE_WAL_IO_LOG, LOCK_WAIT_NS, diag);

	if (!ret)
		ret = io->ops->lock(io, SLUICE_WAL_IO_SNAPSHOTS, LOCK_WAIT_NS, diag);
	for (uint32_t file = 0; !ret && file <= SLUICE_WAL_FILE_DIR; file++) {
		ret = file == SLUICE_WAL_FILE_PROBE ? 0 : io->ops->sync(io, file);
		if (ret)
			sluice_diag_set(diag, -ret, "fsync before reading failed: %s",
					strerror(-ret));
	}
	return ret;
}

int sluice_wal_examine_again(struct sluice_wal *wal, struct sluice_diag *diag)
{
	int ret = sluice_wal_super_load(wal->io, wal->super_memory, &wal->super, diag);

	return ret ? ret : sluice_wal_super_check_sizes(wal->io, &wal->super, diag);
}

int sluice_wal_examine(struct sluice_wal **ret_wal, struct sluice_wal_io *io,
		       enum sluice_wal_io_mode mode, struct sluice_diag *diag)
{
	struct sluice_wal *wal = calloc(1, sizeof(*wal));
	int ret;

	if (!wal) {
		io->ops->close(io);
		return sluice_diag_set(diag, ENOMEM, "no memory to look at a log");
	}
	wal->io = io;
	wal->memory = mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			   -1, 0);
	if (wal->memory == MAP_FAILED) {
		wal->memory = NULL;
		ret = sluice_diag_set(diag, ENOMEM, "no memory to look at a log");
	} else {
		wal->window_memory = wal->memory;
		wal->super_memory = wal->memory + SLUICE_WAL_SCAN_BYTES;
		ret = io->ops->open(io, mode, diag);
	}
	if (!ret && mode == SLUICE_WAL_IO_WRITE)
		ret = lock_all(io, diag);
	if (!ret)
		ret = sluice_wal_examine_again(wal, diag);
	if (ret)
		sluice_wal_examine_end(wal);
	else
		*ret_wal = wal;
	return ret;
}

void sluice_wal_examine_end(struct sluice_wal *wal)
{
	if (!wal)
		return;
	wal->io->ops->close(wal->io);
	if (wal->memory)
		munmap(wal->memory, MEMORY_BYTES);
	free(wal);
}

/*
 * 1 if a header that the judge looks at is at the place. The second load may read the disk again.
 */
static int is_here(struct sluice_wal_scan *scan, struct sluice_wal_stray *at,
		   const struct sluice_wal_block_header **ret_header)
{
	const struct sluice_wal_block_header *header;
	struct sluice_wal_fault unused;
	uint64_t room = scan->chain.segment_bytes - at->offset;
	uint64_t bytes = SLUICE_WAL_ALIGN;
	bool ours = false;
	int error = 0;

	for (int loads = 0; loads < 2; loads++) {
		header = sluice_wal_scan_load(scan, at->segment_no, at->offset, bytes, &error);
		if (!header)
			return error;
		ours = !memcmp(header->log_uuid, scan->chain.log_uuid, sizeof(header->log_uuid));
		if (!sluice_wal_header_intact(header, loads ? bytes : room, &unused) ||
		    (!ours && at->offset > 0))
			return 0;
		bytes = sluice_wal_block_bytes(header->n_cmds);
	}
	at->whole = ours && sluice_wal_payload_intact(header, &unused);
	at->bytes = at->whole ? bytes : SLUICE_WAL_ALIGN;
	*ret_header = header;
	return 1;
}

int sluice_wal_next_stray(struct sluice_wal_scan *scan, struct sluice_wal_stray *at,
			  const struct sluice_wal_block_header **ret_header)
{
	at->offset += at->bytes;
	at->bytes = 0;
	for (;;) {
		int ret;

		if (at->offset == scan->chain.segment_bytes) {
			at->segment_no++;
			at->offset = 0;
		}
		if (at->segment_no >= scan->chain.segment_end)
			return 0;
		ret = is_here(scan, at, ret_header);
		if (ret)
			return ret;
		at->offset += SLUICE_WAL_ALIGN;
	}
}

bool sluice_wal_is_earlier_use(const struct sluice_wal_super *super,
			       const struct sluice_wal_block_header *header,
			       const struct sluice_wal_stray *at)
{
	return header->segment_no < at->segment_no &&
	       header->segment_no % SLUICE_WAL_SEGMENTS == at->segment_no % SLUICE_WAL_SEGMENTS &&
	       header->block_seq < super->start.block_seq;
}
