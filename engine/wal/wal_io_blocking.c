/* SPDX-License-Identifier: MIT */
/*
 * wal_io_blocking.c - the backend for machines that forbid io_uring: pwritev2 with RWF_DSYNC. The
 * write happens in submit, its result is handed out by reap. The same bytes reach the same places
 * as with io_uring.
 *
 * The log's owner thread, which sleeps in submit for as long as the device takes.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "engine/wal/wal_probe.h"

#define PROBE_COMMITS 9u /* nothing is chosen by them */

struct blocking_io {
	struct sluice_wal_files files;
	uint32_t first;
	uint32_t n;
	struct sluice_wal_io_done done[SLUICE_WAL_IN_FLIGHT_MAX];
};

static struct blocking_io *blocking_of(struct sluice_wal_io *io)
{
	return (struct blocking_io *)io;
}

static int blocking_submit(struct sluice_wal_io *io, const struct sluice_wal_io_write *write)
{
	struct blocking_io *blocking = blocking_of(io);
	struct iovec part = {(void *)(uintptr_t)write->data, write->bytes};
	struct sluice_wal_io_done *done;
	ssize_t n;

	if (blocking->n == SLUICE_WAL_IN_FLIGHT_MAX)
		return -EBUSY;
	n = pwritev2(blocking->files.fd[write->file], &part, 1, (off_t)write->offset, RWF_DSYNC);
	done = &blocking->done[(blocking->first + blocking->n++) % SLUICE_WAL_IN_FLIGHT_MAX];
	*done = (struct sluice_wal_io_done){write->tag, n < 0 ? -errno : n};
	return 0;
}

static int blocking_reap(struct sluice_wal_io *io, struct sluice_wal_io_done *ret_done,
			 uint32_t max, uint64_t timeout_ns)
{
	struct blocking_io *blocking = blocking_of(io);
	uint32_t n = 0;

	(void)timeout_ns;
	while (n < max && blocking->n > 0) {
		ret_done[n++] = blocking->done[blocking->first];
		blocking->first = (blocking->first + 1) % SLUICE_WAL_IN_FLIGHT_MAX;
		blocking->n--;
	}
	return (int)n;
}

/* A probe that fails or is not there costs nothing but the knowledge of what a commit takes. */
static int blocking_arm(struct sluice_wal_io *io, void *buffers, uint32_t n, size_t each)
{
	struct sluice_wal_probe probe = {.n = 0};

	sluice_assert(n <= SLUICE_WAL_IN_FLIGHT_MAX && each >= SLUICE_WAL_ALIGN);
	sluice_assert(blocking_of(io)->files.mode == SLUICE_WAL_IO_WRITE);
	if (sluice_wal_probe_unusable(&blocking_of(io)->files))
		return 0;
	if (!sluice_wal_probe_run(io, buffers, PROBE_COMMITS, &probe))
		io->calibrated_p50_ns = sluice_wal_probe_p50(&probe);
	return 0;
}

static void blocking_close(struct sluice_wal_io *io)
{
	sluice_wal_files_release(&blocking_of(io)->files);
	free(io);
}

static const struct sluice_wal_io_ops blocking_ops = {
	.open = sluice_wal_files_open,
	.lock = sluice_wal_files_lock,
	.size = sluice_wal_files_size,
	.read = sluice_wal_files_read,
	.write = sluice_wal_files_write,
	.sync = sluice_wal_files_sync,
	.arm = blocking_arm,
	.submit = blocking_submit,
	.reap = blocking_reap,
	.monotonic_ns = sluice_wal_files_monotonic_ns,
	.realtime_ns = sluice_wal_files_realtime_ns,
	.close = blocking_close,
};

int sluice_wal_io_blocking_create(struct sluice_wal_io **ret_io, const char *dir,
				  struct sluice_diag *diag)
{
	struct blocking_io *blocking = calloc(1, sizeof(*blocking));
	int ret;

	if (!blocking)
		return sluice_diag_set(diag, ENOMEM, "no memory for the log's file table");
	ret = sluice_wal_files_init(&blocking->files, dir, diag);
	if (ret) {
		free(blocking);
		return ret;
	}
	blocking->files.io.ops = &blocking_ops;
	snprintf(blocking->files.io.text, sizeof(blocking->files.io.text), "blocking pwritev2");
	*ret_io = &blocking->files.io;
	return 0;
}
