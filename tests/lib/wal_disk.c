/* SPDX-License-Identifier: MIT */
/* wal_disk.c - see wal_disk.h. */
#include "tests/lib/wal_disk.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define EACH ((size_t)SLUICE_WAL_BLOCK_BYTES_MAX)
#define ALL (SLUICE_WAL_IN_FLIGHT_MAX * EACH)
#define STEP_NS 100000000u
#define STEPS 200

int wal_disk_open(struct wal_disk *disk, struct wal_fixture *fixture)
{
	struct sluice_diag *diag = &fixture->diag;
	int ret = sluice_wal_io_create(&disk->io, fixture->dir, fixture->options.backend, diag);

	disk->buffers = NULL;
	if (ret)
		return ret;
	disk->io->sync = fixture->options.sync;
	disk->buffers = mmap(NULL, ALL, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	ret = disk->buffers == MAP_FAILED ? -errno : 0;
	if (!ret)
		ret = disk->io->ops->open(disk->io, SLUICE_WAL_IO_WRITE, diag);
	if (!ret)
		ret = disk->io->ops->lock(disk->io, SLUICE_WAL_IO_LOG, 0, diag);
	if (!ret)
		ret = disk->io->ops->arm(disk->io, disk->buffers, SLUICE_WAL_IN_FLIGHT_MAX, EACH);
	if (ret)
		wal_disk_close(disk);
	return ret;
}

void wal_disk_close(struct wal_disk *disk)
{
	disk->io->ops->close(disk->io);
	if (disk->buffers && disk->buffers != MAP_FAILED)
		munmap(disk->buffers, ALL);
}

int wal_disk_write(struct wal_disk *disk, uint16_t file, uint64_t offset, uint32_t bytes,
		   uint16_t buffer, unsigned char fill)
{
	const struct sluice_wal_io_write write = {
		.tag = buffer,
		.offset = offset,
		.data = disk->buffers + buffer * EACH,
		.bytes = bytes,
		.file = file,
		.buffer = buffer,
	};

	memset(disk->buffers + buffer * EACH, fill, bytes);
	return disk->io->ops->submit(disk->io, &write);
}

int wal_disk_await(struct wal_disk *disk, uint32_t n, int64_t results[SLUICE_WAL_IN_FLIGHT_MAX])
{
	uint32_t seen = 0;

	for (int step = 0; n > 0 && step < STEPS; step++) {
		struct sluice_wal_io_done done;
		int got = disk->io->ops->reap(disk->io, &done, 1, STEP_NS);

		if (got < 0)
			return got;
		if (got == 0)
			continue;
		if (done.tag >= SLUICE_WAL_IN_FLIGHT_MAX || seen & 1u << done.tag)
			return -EBADMSG;
		seen |= 1u << done.tag;
		results[done.tag] = done.result;
		n--;
	}
	return n ? -ETIME : 0;
}

bool wal_disk_uring_allowed(struct wal_fixture *fixture)
{
	struct sluice_wal_io *io;

	if (sluice_wal_io_uring_create(&io, fixture->dir, &fixture->diag))
		return false;
	io->ops->close(io);
	return true;
}

int wal_disk_in_child(int (*body)(struct wal_fixture *fixture), struct wal_fixture *fixture)
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0)
		_exit(body(fixture));
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}
