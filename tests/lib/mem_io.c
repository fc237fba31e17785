/* SPDX-License-Identifier: MIT */
/* mem_io.c - see mem_io.h. */
#include "tests/lib/mem_io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/wal/wal_files.h"

struct mem_io {
	struct sluice_wal_io io;
	struct mem_disk *disk;
};

static void need(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "test set-up failed: %s\n", what);
	abort();
}

static struct mem_disk *disk_of(struct sluice_wal_io *io)
{
	return ((struct mem_io *)io)->disk;
}

static bool is_snapshot(uint32_t file)
{
	return file >= SLUICE_WAL_FILE_SNAPSHOT &&
	       file < SLUICE_WAL_FILE_SNAPSHOT + SLUICE_WAL_SNAPSHOTS;
}

static void changed(struct mem_disk *disk)
{
	if (disk->point)
		disk->point(disk, disk->point_arg);
}

/* ------------------------------------------------------------------------------- the bytes */

size_t mem_disk_mark(struct mem_disk *disk)
{
	disk->marks++;
	return disk->n_undo;
}

void mem_disk_rollback(struct mem_disk *disk, size_t mark)
{
	while (disk->n_undo > mark) {
		const struct mem_undo *undo = &disk->undo[--disk->n_undo];

		memcpy(disk->files[undo->file] + undo->offset, undo->old, MEM_SECTOR);
	}
	disk->marks--;
}

void mem_disk_put(struct mem_disk *disk, uint32_t file, uint64_t offset, const void *data,
		  uint32_t bytes)
{
	const uint64_t sector = offset / MEM_SECTOR * MEM_SECTOR;

	need(offset + bytes <= sector + MEM_SECTOR && offset + bytes <= disk->bytes[file],
	     "a put inside a sector");
	if (disk->marks > 0) {
		if (disk->n_undo == disk->undo_room) {
			disk->undo_room = disk->undo_room ? 2 * disk->undo_room : 1024;
			disk->undo = realloc(disk->undo, disk->undo_room * sizeof(*disk->undo));
			need(disk->undo, "memory");
		}
		disk->undo[disk->n_undo].file = file;
		disk->undo[disk->n_undo].offset = sector;
		memcpy(disk->undo[disk->n_undo++].old, disk->files[file] + sector, MEM_SECTOR);
	}
	memcpy(disk->files[file] + offset, data, bytes);
}

static void put_all(struct mem_disk *disk, const struct mem_write *write)
{
	for (uint32_t at = 0; at < write->bytes; at += MEM_SECTOR)
		mem_disk_put(disk, write->file, write->offset + at, write->data + at, MEM_SECTOR);
}

/* ------------------------------------------------------------------------------ the writes */

static int send(struct mem_disk *disk, const struct mem_write *write, const void *data)
{
	struct mem_write *mine = &disk->writes[disk->n_writes];

	if (write->offset % SLUICE_WAL_ALIGN || write->bytes % SLUICE_WAL_ALIGN ||
	    (uintptr_t)data % SLUICE_WAL_ALIGN ||
	    write->offset + write->bytes > disk->bytes[write->file])
		return -EINVAL;
	need(disk->n_writes < MEM_WRITES_MAX, "room for a write");
	*mine = *write;
	mine->data = malloc(write->bytes);
	need(mine->data, "memory");
	memcpy(mine->data, data, write->bytes);
	disk->n_writes++;
	changed(disk);
	return 0;
}

/* It reaches the disk, or is forgotten. */
static void end(struct mem_disk *disk, uint32_t i, bool arrives)
{
	if (arrives)
		put_all(disk, &disk->writes[i]);
	free(disk->writes[i].data);
	disk->n_writes--;
	memmove(&disk->writes[i], &disk->writes[i + 1],
		(disk->n_writes - i) * sizeof(disk->writes[0]));
}

void mem_disk_lose(struct mem_disk *disk)
{
	while (disk->n_writes > 0)
		end(disk, 0, false);
}

/* ----------------------------------------------------------------------------------- the ops */

static int mem_open(struct sluice_wal_io *io, enum sluice_wal_io_mode mode,
		    struct sluice_diag *diag)
{
	(void)io;
	(void)mode;
	(void)diag;
	return 0;
}

static int mem_lock(struct sluice_wal_io *io, enum sluice_wal_io_part part, uint64_t wait_ns,
		    struct sluice_diag *diag)
{
	(void)io;
	(void)part;
	(void)wait_ns;
	(void)diag;
	return 0;
}

static int mem_size(struct sluice_wal_io *io, uint32_t file, uint64_t *ret_bytes)
{
	*ret_bytes = disk_of(io)->bytes[file];
	return 0;
}

/* As the operating system would: what is on its way into a snapshot's file can be read already. */
static int mem_read(struct sluice_wal_io *io, uint32_t file, uint64_t offset, void *data,
		    size_t bytes)
{
	struct mem_disk *disk = disk_of(io);

	if (offset + bytes > disk->bytes[file])
		return -ENODATA;
	memcpy(data, disk->files[file] + offset, bytes);
	for (uint32_t i = 0; i < disk->n_writes; i++) {
		const struct mem_write *write = &disk->writes[i];

		if (write->file == file && is_snapshot(file) && write->offset >= offset &&
		    write->offset + write->bytes <= offset + bytes)
			memcpy((unsigned char *)data + (write->offset - offset), write->data,
			       write->bytes);
	}
	return 0;
}

static int mem_write(struct sluice_wal_io *io, uint32_t file, uint64_t offset, const void *data,
		     size_t bytes)
{
	const struct mem_write write = {.file = file, .offset = offset, .bytes = (uint32_t)bytes};
	struct mem_disk *disk = disk_of(io);
	int ret = send(disk, &write, data);

	if (!ret && !is_snapshot(file))
		end(disk, disk->n_writes - 1, true);
	return ret;
}

static int mem_sync(struct sluice_wal_io *io, uint32_t file)
{
	struct mem_disk *disk = disk_of(io);

	for (uint32_t i = 0; i < disk->n_writes;)
		if (disk->writes[i].file == file && !disk->writes[i].submitted)
			end(disk, i, true);
		else
			i++;
	return 0;
}

static int mem_arm(struct sluice_wal_io *io, void *buffers, uint32_t n, size_t each)
{
	(void)io;
	(void)buffers;
	(void)n;
	(void)each;
	return 0;
}

static int mem_submit(struct sluice_wal_io *io, const struct sluice_wal_io_write *write)
{
	const struct mem_write sent = {
		.tag = write->tag,
		.offset = write->offset,
		.file = write->file,
		.bytes = write->bytes,
		.submitted = true,
	};

	return send(disk_of(io), &sent, write->data);
}

/* One completion at a time, of any write. */
static int mem_reap(struct sluice_wal_io *io, struct sluice_wal_io_done *ret_done, uint32_t max,
		    uint64_t timeout_ns)
{
	struct mem_disk *disk = disk_of(io);
	uint32_t submitted[MEM_WRITES_MAX], n = 0, i;

	(void)timeout_ns;
	for (i = 0; i < disk->n_writes; i++)
		if (disk->writes[i].submitted)
			submitted[n++] = i;
	if (n == 0 || max == 0)
		return 0;
	disk->random = disk->random * 6364136223846793005ull + 1442695040888963407ull;
	i = submitted[(disk->random >> 33) % n];
	*ret_done = (struct sluice_wal_io_done){disk->writes[i].tag, disk->writes[i].bytes};
	end(disk, i, true);
	return 1;
}

static uint64_t mem_now_ns(struct sluice_wal_io *io)
{
	return disk_of(io)->now_ns += 1000;
}

static void mem_close(struct sluice_wal_io *io)
{
	free(io);
}

static const struct sluice_wal_io_ops mem_ops = {
	.open = mem_open,
	.lock = mem_lock,
	.size = mem_size,
	.read = mem_read,
	.write = mem_write,
	.sync = mem_sync,
	.arm = mem_arm,
	.submit = mem_submit,
	.reap = mem_reap,
	.monotonic_ns = mem_now_ns,
	.realtime_ns = mem_now_ns,
	.close = mem_close,
};

struct sluice_wal_io *mem_disk_io(struct mem_disk *disk)
{
	struct mem_io *mem = calloc(1, sizeof(*mem));

	need(mem, "memory");
	mem->io.ops = &mem_ops;
	mem->disk = disk;
	snprintf(mem->io.text, sizeof(mem->io.text), "memory");
	return &mem->io;
}

void mem_disk_load(struct mem_disk *disk, const char *dir)
{
	*disk = (struct mem_disk){.random = 1, .now_ns = 1};
	for (uint32_t file = 0; file < SLUICE_WAL_FILES; file++) {
		char path[512], name[SLUICE_WAL_FILE_NAME_BYTES];
		struct stat st;
		int fd;

		sluice_wal_file_name(file, name);
		snprintf(path, sizeof(path), "%s/%s", dir, name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		need(fd >= 0 && !fstat(fd, &st), path);
		disk->bytes[file] = (uint64_t)st.st_size;
		disk->files[file] = malloc((size_t)st.st_size);
		need(disk->files[file] &&
			     read(fd, disk->files[file], (size_t)st.st_size) == (ssize_t)st.st_size,
		     path);
		close(fd);
	}
}

void mem_disk_release(struct mem_disk *disk)
{
	mem_disk_lose(disk);
	for (uint32_t file = 0; file < SLUICE_WAL_FILES; file++)
		free(disk->files[file]);
	free(disk->undo);
}
