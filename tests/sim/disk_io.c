/* SPDX-License-Identifier: MIT */
/*
 * disk_io.c - the simulated disk as a process sees it: struct sluice_wal_io over disk.c. A call
 * that waits for the disk is a sleep of the process, and it may be killed in it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/sim/check.h"
#include "tests/sim/disk_internal.h"
#include "tests/sim/trace.h"

#define READ_NS 2000u
#define SYNC_NS 10000u
#define LOCK_NAP_NS 1000000u

static struct sim_io *io_of(struct sluice_wal_io *io)
{
	return (struct sim_io *)io;
}

static int io_open(struct sluice_wal_io *io, enum sluice_wal_io_mode mode, struct sluice_diag *diag)
{
	(void)diag;
	sim_point();
	io_of(io)->mode = mode;
	return 0;
}

static int io_lock(struct sluice_wal_io *io, enum sluice_wal_io_part part, uint64_t wait_ns,
		   struct sluice_diag *diag)
{
	const uint64_t deadline_ns = sim_now() + wait_ns;

	for (;;) {
		sim_point();
		if (!sim_disk_try_lock(part, io_of(io)->pid))
			return 0;
		if (sim_now() >= deadline_ns)
			return sluice_diag_set(diag, EBUSY, "somebody has the lock %d", (int)part);
		sim_sleep(sim_now() + LOCK_NAP_NS, NULL);
	}
}

static int io_size(struct sluice_wal_io *io, uint32_t file, uint64_t *ret_bytes)
{
	(void)io;
	*ret_bytes = sim_images[file].bytes;
	return 0;
}

static int io_read(struct sluice_wal_io *io, uint32_t file, uint64_t offset, void *data,
		   size_t bytes)
{
	(void)io;
	sim_point();
	sim_advance(READ_NS);
	sim_disk_advance();
	if (offset + bytes > sim_images[file].bytes)
		return -ENODATA;
	if (sim_disk_readable(file, offset, bytes))
		return -EIO;
	memcpy(data, sim_images[file].seen + offset, bytes);
	sim_point();
	return 0;
}

/* After this nothing may be written by the same process. */
static void tell_halting(const struct sim_io *io, const struct sim_transfer *t)
{
	if (io->mode == SLUICE_WAL_IO_WRITE && (t->result == -EIO || t->result == -ENOSPC))
		sim_check_halted(t->tag);
}

static int io_write(struct sluice_wal_io *io, uint32_t file, uint64_t offset, const void *data,
		    size_t bytes)
{
	struct sim_transfer *t;
	int64_t result;

	sim_point();
	t = sim_disk_begin(io_of(io), file, offset, data, (uint32_t)bytes, false);
	while (t->stage != SIM_STAGE_DONE)
		sim_sleep(SIM_NEVER, t);
	result = t->result;
	tell_halting(io_of(io), t);
	t->stage = SIM_STAGE_FREE;
	sim_point();
	return result == (int64_t)bytes ? 0 : result < 0 ? (int)result : -EIO;
}

static int io_sync(struct sluice_wal_io *io, uint32_t file)
{
	(void)io;
	sim_point();
	sim_disk_advance();
	if (file != SLUICE_WAL_FILE_DIR)
		sim_disk_flush(file);
	sim_advance(SYNC_NS);
	sim_point();
	return 0;
}

static int io_arm(struct sluice_wal_io *io, void *buffers, uint32_t n, size_t each)
{
	(void)io;
	(void)buffers;
	(void)n;
	(void)each;
	return 0;
}

static int io_submit(struct sluice_wal_io *io, const struct sluice_wal_io_write *write)
{
	struct sim_transfer *t;

	sim_point();
	sim_trace("writes to file %llu at %llu, %llu bytes, tag %llu", write->file, write->offset,
		  write->bytes, write->tag);
	t = sim_disk_begin(io_of(io), write->file, write->offset, write->data, write->bytes, true);
	t->tag = write->tag;
	sim_point();
	return 0;
}

static int io_reap(struct sluice_wal_io *io, struct sluice_wal_io_done *ret_done, uint32_t max,
		   uint64_t timeout_ns)
{
	const uint64_t deadline_ns = sim_now() + timeout_ns;
	uint32_t n = 0;

	sim_point();
	for (;;) {
		sim_disk_advance();
		for (uint32_t i = 0; i < SIM_WRITES_MAX && n < max; i++) {
			struct sim_transfer *t = &sim_transfers[i];

			if (t->stage != SIM_STAGE_DONE || t->pid != io_of(io)->pid || !t->is_block)
				continue;
			ret_done[n++] = (struct sluice_wal_io_done){t->tag, t->result};
			tell_halting(io_of(io), t);
			t->stage = SIM_STAGE_FREE;
		}
		if (n > 0 || !timeout_ns || sim_now() >= deadline_ns)
			break;
		sim_sleep(deadline_ns, &sim_transfers);
	}
	sim_point();
	return (int)n;
}

static uint64_t io_monotonic_ns(struct sluice_wal_io *io)
{
	(void)io;
	return sim_now();
}

static uint64_t io_realtime_ns(struct sluice_wal_io *io)
{
	struct timespec now;

	(void)io;
	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void io_close(struct sluice_wal_io *io)
{
	sim_disk_closed(io_of(io)->pid);
	free(io);
}

static const struct sluice_wal_io_ops ops = {
	.open = io_open,
	.lock = io_lock,
	.size = io_size,
	.read = io_read,
	.write = io_write,
	.sync = io_sync,
	.arm = io_arm,
	.submit = io_submit,
	.reap = io_reap,
	.monotonic_ns = io_monotonic_ns,
	.realtime_ns = io_realtime_ns,
	.close = io_close,
};

int sim_disk_open(struct sluice_wal_io **ret_io)
{
	struct sim_io *io = calloc(1, sizeof(*io));

	if (!io)
		return -ENOMEM;
	io->io.ops = &ops;
	io->pid = sim_pid();
	snprintf(io->io.text, sizeof(io->io.text), "simulated");
	*ret_io = &io->io;
	return 0;
}

/* ------------------------------------------------------------------------ the checker's look */

static int media_read(struct sluice_wal_io *io, uint32_t file, uint64_t offset, void *data,
		      size_t bytes)
{
	(void)io;
	if (offset + bytes > sim_images[file].bytes)
		return -ENODATA;
	memcpy(data, sim_images[file].media + offset, bytes);
	return 0;
}

struct sluice_wal_io *sim_disk_media(void)
{
	static struct sim_io media;
	static const struct sluice_wal_io_ops media_ops = {.read = media_read, .size = io_size};

	media.io.ops = &media_ops;
	return &media.io;
}

const struct sluice_wal_super *sim_disk_super_before(const struct sluice_wal_super *super)
{
	const uint64_t copy = (super->sequence - 1) % SLUICE_WAL_SUPER_COPIES;
	const struct sluice_wal_super *before =
		(const void *)(sim_images[SLUICE_WAL_FILE_SUPER].media + copy * SLUICE_WAL_ALIGN);
	struct sluice_wal_fault unused;

	return sluice_wal_super_valid(before, &unused) && before->sequence == super->sequence - 1 ?
		       before : NULL;
}

const struct sluice_wal_super *sim_disk_super(void)
{
	const struct sluice_wal_super *best = NULL;
	struct sluice_wal_fault unused;
	const unsigned char *media = sim_images[SLUICE_WAL_FILE_SUPER].media;

	for (uint32_t i = 0; media && i < SLUICE_WAL_SUPER_COPIES; i++) {
		const struct sluice_wal_super *super =
			(const void *)(media + i * SLUICE_WAL_ALIGN);

		if (sluice_wal_super_valid(super, &unused) &&
		    (!best || super->sequence > best->sequence))
			best = super;
	}
	return best;
}

bool sim_disk_is_whole_on_media(const struct sluice_wal_block_header *header, uint64_t offset)
{
	const struct sim_image *image = &sim_images[header->segment_no % SLUICE_WAL_SEGMENTS];
	const struct sluice_wal_block_header *there = (const void *)(image->media + offset);
	struct sluice_wal_fault unused;

	return !memcmp(header, there, sizeof(*header)) &&
	       sluice_wal_payload_intact(there, &unused);
}
