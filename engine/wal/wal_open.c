/* SPDX-License-Identifier: MIT */
/*
 * wal_open.c - memory, files, locks, superblock: everything before the scan. Also what a caller may
 * ask of an open log.
 *
 * The owner thread, blocking. Writes nothing. All memory of a log's life is taken and touched here.
 * Everything is synced before the first byte is read, so that recovery never builds on bytes that
 * only a cache holds. A crash leaves the directory as it was.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "engine/wal/wal_files.h"
#include "engine/wal/wal_internal.h"
#include "engine/wal/wal_super.h"

#define WINDOW_DEFAULT 4u
#define LOCK_WAIT_MS_DEFAULT 10000u
#define NS_PER_MS 1000000ull

#define BUFFERS_BYTES ((size_t)SLUICE_WAL_IN_FLIGHT_MAX * SLUICE_WAL_BLOCK_BYTES_MAX)
#define SUPER_BYTES ((size_t)SLUICE_WAL_SUPER_COPIES * SLUICE_WAL_ALIGN)
#define MEMORY_BYTES (BUFFERS_BYTES + SLUICE_WAL_SCAN_BYTES + SUPER_BYTES)

static int take_memory(struct sluice_wal *wal, struct sluice_diag *diag)
{
	void *memory = mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (memory == MAP_FAILED)
		return sluice_diag_set(diag, errno,
				       "no memory for the log's %zu bytes of buffers: %s",
				       MEMORY_BYTES, strerror(errno));
	/* Best effort: without the right to lock, the pages are merely likely to stay. */
	(void)mlock(memory, MEMORY_BYTES);
	wal->memory = memory;
	wal->buffers = wal->memory;
	wal->window_memory = wal->buffers + BUFFERS_BYTES;
	wal->super_memory = wal->window_memory + SLUICE_WAL_SCAN_BYTES;
	return 0;
}

static void release(struct sluice_wal *wal)
{
	wal->io->ops->close(wal->io);
	if (wal->memory)
		munmap(wal->memory, MEMORY_BYTES);
	free(wal);
}

static int sync_all(struct sluice_wal_io *io, struct sluice_diag *diag)
{
	for (uint32_t file = 0; file <= SLUICE_WAL_FILE_DIR; file++) {
		int ret = io->ops->sync(io, file);
		char name[SLUICE_WAL_FILE_NAME_BYTES];

		if (!ret)
			continue;
		sluice_wal_file_name(file, name);
		return sluice_diag_set(diag, -ret, "%s: fsync before reading failed: %s", name,
				       strerror(-ret));
	}
	return 0;
}

static int take_options(struct sluice_wal *wal, const struct sluice_wal_options *options,
			struct sluice_diag *diag)
{
	wal->window = options && options->window ? options->window : WINDOW_DEFAULT;
	if (wal->window > SLUICE_WAL_WINDOW_MAX)
		return sluice_diag_set(diag, EINVAL,
				       "the log's window of %u blocks is not in 1..%u", wal->window,
				       SLUICE_WAL_WINDOW_MAX);
	return 0;
}

static int prepare(struct sluice_wal *wal, uint64_t lock_wait_ns, struct sluice_diag *diag)
{
	struct sluice_wal_io *io = wal->io;
	int ret = take_memory(wal, diag);

	if (!ret)
		ret = io->ops->open(io, SLUICE_WAL_IO_WRITE, diag);
	if (!ret)
		ret = io->ops->lock(io, SLUICE_WAL_IO_LOG, lock_wait_ns, diag);
	if (!ret)
		ret = sync_all(io, diag);
	if (!ret)
		ret = sluice_wal_super_load(io, wal->super_memory, &wal->super, diag);
	if (!ret)
		ret = sluice_wal_super_check_sizes(io, &wal->super, diag);
	if (ret)
		return ret;
	ret = io->ops->arm(io, wal->buffers, SLUICE_WAL_IN_FLIGHT_MAX, SLUICE_WAL_BLOCK_BYTES_MAX);
	return ret ? sluice_diag_set(diag, -ret, "the log's buffers cannot be armed: %s",
				     strerror(-ret)) :
		     0;
}

int sluice_wal_open_io(struct sluice_wal **ret_wal, struct sluice_wal_io *io,
		       const struct sluice_wal_options *options, struct sluice_diag *diag)
{
	struct sluice_wal *wal = calloc(1, sizeof(*wal));
	uint32_t wait_ms = options && options->lock_wait_ms ? options->lock_wait_ms :
							      LOCK_WAIT_MS_DEFAULT;
	int ret;

	if (!wal) {
		io->ops->close(io);
		return sluice_diag_set(diag, ENOMEM, "no memory for the log");
	}
	wal->io = io;
	io->stopping = options ? options->stopping : NULL;
	ret = take_options(wal, options, diag);
	if (!ret)
		ret = prepare(wal, wait_ms * NS_PER_MS, diag);
	if (!ret)
		ret = sluice_wal_recover(wal, diag);
	if (ret) {
		release(wal);
		return ret;
	}
	*ret_wal = wal;
	return 0;
}

int sluice_wal_open(struct sluice_wal **ret_wal, const char *dir,
		    const struct sluice_wal_options *options, struct sluice_diag *diag)
{
	uint32_t backend = options ? options->backend : SLUICE_WAL_BACKEND_AUTO;
	struct sluice_wal_io *io;
	int ret = sluice_wal_io_create(&io, dir, backend, diag);

	if (ret)
		return ret;
	io->sync = options ? options->sync : SLUICE_WAL_SYNC_AUTO;
	io->extents = options ? options->extents : SLUICE_WAL_EXTENTS_REPAIR;
	io->thread_cpus = options ? options->thread_cpus : NULL;
	return sluice_wal_open_io(ret_wal, io, options, diag);
}

/* Everything a clean end adds: the pending block, CLOSE, the mark and the last snapshot. */
static int end_cleanly(struct sluice_wal *wal)
{
	struct sluice_wal_super next;
	int ret = sluice_wal_submit(wal);

	if (!ret)
		ret = sluice_wal_drain(wal);
	if (!ret && !sluice_wal_chain_at_end(&wal->chain))
		ret = sluice_wal_submit_control(wal, SLUICE_WAL_CLOSE, 0, 0);
	if (!ret)
		ret = sluice_wal_drain(wal);
	if (ret)
		return ret;
	next = wal->super;
	next.close_block_seq = wal->chain.block_seq - 1;
	sluice_wal_flip_last(wal, &next);
	ret = sluice_wal_super_write_twice(wal->io, wal->super_memory, &next, &wal->super);
	return ret ? sluice_wal_halt(wal, ret, "super: the mark of a clean end cannot be written") :
		     0;
}

int sluice_wal_close(struct sluice_wal *wal, bool clean, struct sluice_diag *diag)
{
	int ret;

	if (!wal)
		return 0;
	if (wal->started && clean && !wal->error)
		end_cleanly(wal);
	sluice_wal_drain(wal);
	ret = wal->error;
	if (ret)
		sluice_diag_set(diag, -ret, "%s", wal->error_text);
	release(wal);
	return ret;
}

void sluice_wal_position(const struct sluice_wal *wal, struct sluice_wal_position *ret_position)
{
	*ret_position = wal->position;
}

const char *sluice_wal_tail_text(const struct sluice_wal *wal)
{
	return wal->position.torn ? wal->report.text : "";
}

const char *sluice_wal_snapshot_text(const struct sluice_wal *wal)
{
	return wal->snapshot_text;
}

const char *sluice_wal_backend_text(const struct sluice_wal *wal)
{
	return wal->io->text;
}
