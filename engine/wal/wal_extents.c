/* SPDX-License-Identifier: MIT */
/*
 * wal_extents.c - finds and mends files with space that was never written: sparse copies of a log,
 * files that were merely allocated. A write there changes the filesystem's metadata, which doubles
 * the time of a commit and now and then stops it for 20 ms, and in a hole it can fail for want of
 * space.
 *
 * The thread that opens the log, blocking, with the files' locks held, before anything is read. The
 * bytes written are those that are read there, so that a crash in between leaves the same content,
 * and the next start goes on.
 */
#include "engine/wal/wal_extents.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define BATCH 64u
#define PIECE_BYTES (1024u * 1024u)
#define NOT_WRITTEN (FIEMAP_EXTENT_UNWRITTEN | FIEMAP_EXTENT_DELALLOC | FIEMAP_EXTENT_UNKNOWN)

union batch {
	struct fiemap map;
	unsigned char room[sizeof(struct fiemap) + BATCH * sizeof(struct fiemap_extent)];
};

struct walk {
	int fd;
	uint64_t end;
	unsigned char *piece; /* NULL: only look */
	struct sluice_wal_extents_found found;
};

static int write_over(const struct walk *walk, uint64_t offset, size_t bytes)
{
	size_t done = 0;

	while (done < bytes) {
		ssize_t n = pread(walk->fd, walk->piece + done, bytes - done,
				  (off_t)(offset + done));

		if (n == 0 || (n < 0 && errno != EINTR))
			return n ? -errno : -ENODATA;
		done += n > 0 ? (size_t)n : 0;
	}
	for (done = 0; done < bytes;) {
		ssize_t n = pwrite(walk->fd, walk->piece + done, bytes - done,
				   (off_t)(offset + done));

		if (n == 0 || (n < 0 && errno != EINTR))
			return n ? -errno : -EIO;
		done += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

/* [from, to) was never written. Filesystems with small blocks may say so of part of a page. */
static int never_written(struct walk *walk, uint64_t from, uint64_t to)
{
	int ret = 0;

	walk->found.unwritten_bytes += to - from;
	if (!walk->piece)
		return 0;
	from -= from % SLUICE_WAL_ALIGN;
	to += (SLUICE_WAL_ALIGN - to % SLUICE_WAL_ALIGN) % SLUICE_WAL_ALIGN;
	while (!ret && from < to) {
		size_t bytes = to - from < PIECE_BYTES ? (size_t)(to - from) : PIECE_BYTES;

		ret = write_over(walk, from, bytes);
		from += bytes;
	}
	return ret;
}

/* The part of an extent that lies behind *at and before the end; *at moves to its end. */
static int take_extent(struct walk *walk, const struct fiemap_extent *extent, uint64_t *at)
{
	const uint64_t from = extent->fe_logical < walk->end ? extent->fe_logical : walk->end;
	const uint64_t most = walk->end - from;
	const uint64_t to = from + (extent->fe_length < most ? extent->fe_length : most);
	int ret = 0;

	if (from > *at) {
		ret = never_written(walk, *at, from);
		*at = from;
	}
	if (ret || to <= *at)
		return ret;
	if (extent->fe_flags & NOT_WRITTEN)
		ret = never_written(walk, *at, to);
	else if (extent->fe_flags & FIEMAP_EXTENT_SHARED)
		walk->found.shared_bytes += to - *at;
	*at = to;
	return ret;
}

static int walk_file(struct walk *walk)
{
	uint64_t at = 0;

	while (at < walk->end) {
		union batch batch = {.room = {0}};
		uint64_t before = at;
		uint32_t n;

		batch.map.fm_start = at;
		batch.map.fm_length = walk->end - at;
		batch.map.fm_flags = FIEMAP_FLAG_SYNC;
		batch.map.fm_extent_count = BATCH;
		if (ioctl(walk->fd, FS_IOC_FIEMAP, &batch))
			return errno == ENOTTY || errno == EBADR ? -EOPNOTSUPP : -errno;
		n = batch.map.fm_mapped_extents;
		if (n == 0)
			return never_written(walk, at, walk->end);
		for (uint32_t i = 0; i < n && i < BATCH; i++) {
			int ret = take_extent(walk, &batch.map.fm_extents[i], &at);

			if (ret)
				return ret;
			if (batch.map.fm_extents[i].fe_flags & FIEMAP_EXTENT_LAST && at < walk->end)
				return never_written(walk, at, walk->end);
		}
		if (at == before)
			return -EIO; /* extents of no length: no map of a file */
	}
	return 0;
}

int sluice_wal_extents_look(int fd, uint64_t bytes, struct sluice_wal_extents_found *ret_found)
{
	struct walk walk = {.fd = fd, .end = bytes - bytes % SLUICE_WAL_ALIGN};
	int ret = walk_file(&walk);

	if (!ret)
		*ret_found = walk.found;
	return ret;
}

int sluice_wal_extents_mend(int fd, uint64_t bytes, uint64_t *ret_left)
{
	struct walk walk = {.fd = fd, .end = bytes - bytes % SLUICE_WAL_ALIGN};
	struct sluice_wal_extents_found left;
	int ret;

	walk.piece = mmap(NULL, PIECE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);
	if (walk.piece == MAP_FAILED)
		return -errno;
	ret = walk_file(&walk);
	if (!ret && fsync(fd))
		ret = -errno;
	munmap(walk.piece, PIECE_BYTES);
	if (!ret)
		ret = sluice_wal_extents_look(fd, bytes, &left);
	if (!ret)
		*ret_left = left.unwritten_bytes;
	return ret;
}

struct sum { /* over all files */
	struct sluice_wal_extents_found found;
	uint64_t left_bytes;
	uint32_t files;
	uint32_t first; /* file */
	bool untold;
};

static int refuse(const struct sluice_wal_files *files, const char *name, uint64_t bytes,
		  struct sluice_diag *diag)
{
	sluice_diag_set(diag, EBADMSG,
			"%s/%s: %llu KiB of it were never written: a sparse copy? Writes there "
			"would be slow, and could find the disk full",
			files->dir, name, (unsigned long long)bytes >> 10);
	sluice_diag_hint(diag, "sluice-engine --wal %s --wal-extents repair ...", files->dir);
	return -EBADMSG;
}

static int check_file(struct sluice_wal_files *files, uint32_t file, struct sum *sum,
		      struct sluice_diag *diag)
{
	struct sluice_wal_extents_found found = {0};
	char name[SLUICE_WAL_FILE_NAME_BYTES];
	uint64_t bytes = 0, left = 0;
	int ret = sluice_wal_files_size(&files->io, file, &bytes);

	if (!ret)
		ret = sluice_wal_extents_look(files->fd[file], bytes, &found);
	if (ret == -EOPNOTSUPP) {
		sum->untold = true;
		return 0;
	}
	sluice_wal_file_name(file, name);
	if (!ret && found.unwritten_bytes && files->io.extents == SLUICE_WAL_EXTENTS_REFUSE)
		return refuse(files, name, found.unwritten_bytes, diag);
	if (!ret && found.unwritten_bytes)
		ret = sluice_wal_extents_mend(files->fd[file], bytes, &left);
	if (ret)
		return sluice_diag_set(
			diag, -ret, "%s/%s: %llu KiB were never written and cannot be now: %s",
			files->dir, name, (unsigned long long)found.unwritten_bytes >> 10,
			strerror(-ret));
	if (found.unwritten_bytes && !sum->files++)
		sum->first = file;
	sum->found.unwritten_bytes += found.unwritten_bytes;
	sum->found.shared_bytes += found.shared_bytes;
	sum->left_bytes += left;
	return 0;
}

static void add(char *text, size_t size, const char *more)
{
	size_t used = strlen(text);

	if (!strstr(text, more))
		snprintf(text + used, size - used, "%s%s", used ? "; " : "", more);
}

static void say(struct sluice_wal_io *io, const struct sum *sum)
{
	char name[SLUICE_WAL_FILE_NAME_BYTES], line[sizeof(io->mended)];

	if (sum->untold)
		add(io->text, sizeof(io->text), "the filesystem does not tell what was written");
	sluice_wal_file_name(sum->first, name);
	if (sum->files) {
		snprintf(line, sizeof(line),
			 "%llu KiB in %u of the files, first %s, were never written and now are",
			 (unsigned long long)sum->found.unwritten_bytes >> 10, sum->files, name);
		add(io->mended, sizeof(io->mended), line);
	}
	if (sum->left_bytes) {
		snprintf(line, sizeof(line), "the filesystem still calls %llu KiB unwritten",
			 (unsigned long long)sum->left_bytes >> 10);
		add(io->mended, sizeof(io->mended), line);
	}
	if (sum->found.shared_bytes) {
		snprintf(line, sizeof(line),
			 "%llu KiB are shared with a copy: their first writes will be slow",
			 (unsigned long long)sum->found.shared_bytes >> 10);
		add(io->mended, sizeof(io->mended), line);
	}
}

static bool is_of(uint32_t file, enum sluice_wal_io_part part)
{
	const bool snapshot = file >= SLUICE_WAL_FILE_SNAPSHOT && file < SLUICE_WAL_FILE_PROBE;

	return snapshot == (part == SLUICE_WAL_IO_SNAPSHOTS);
}

int sluice_wal_extents_check(struct sluice_wal_files *files, enum sluice_wal_io_part part,
			     struct sluice_diag *diag)
{
	struct sum sum = {.files = 0};

	for (uint32_t file = 0; file < SLUICE_WAL_FILES; file++) {
		int ret = is_of(file, part) && files->fd[file] >= 0 ?
				  check_file(files, file, &sum, diag) :
				  0;

		if (ret)
			return ret;
	}
	say(&files->io, &sum);
	return 0;
}
