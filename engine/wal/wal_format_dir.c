/* SPDX-License-Identifier: MIT */
/*
 * wal_format_dir.c - makes a directory a log.
 *
 * Any thread, blocking, before there is an owner. Every segment is zero-written, not merely
 * allocated: a write into an unwritten extent would change the filesystem's metadata, on every
 * block for ever. The superblock appears last, by a rename without replacement, so that a directory
 * holds a whole log or none. A crash leaves segments without a superblock; format runs again over
 * them, but never over data: that would be a log which lost its superblock. An error removes what
 * was made.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "engine/core/image.h"
#include "engine/wal/wal_extents.h"
#include "engine/wal/wal_super.h"
#include "shm/clock.h"

#define CHUNK_BYTES (1024u * 1024u)
#define SUPER_BYTES (SLUICE_WAL_SUPER_COPIES * SLUICE_WAL_ALIGN)
#define PROBE_BYTES (256u * 1024u)
#define SUPER_TMP "super.tmp"

/* The core's defaults, so that a log names its limits even where the options leave them open. */
#define SYMBOLS_DEFAULT 64u
#define ORDERS_DEFAULT (1024u * 1024u)
#define LEVELS_DEFAULT (64u * 1024u)
#define SESSIONS_DEFAULT 1024u
#define WINDOW_TICKS_DEFAULT 16384u

SLUICE_STATIC_ASSERT(CHUNK_BYTES % SLUICE_WAL_SEGMENT_BYTES_MIN == 0,
		     "chunks end where segments may");

struct format {
	const char *dir;
	int dir_fd;
	unsigned char *zeros; /* CHUNK_BYTES, aligned; its head holds the superblock at the end */
	uint64_t segment_bytes;
	uint64_t snapshot_bytes;
	struct sluice_core_options core; /* without defaults left open */
	uint32_t files_made;
	struct sluice_diag *diag;
};

static uint64_t needed_bytes(const struct format *format)
{
	return format->segment_bytes * SLUICE_WAL_SEGMENTS +
	       format->snapshot_bytes * SLUICE_WAL_SNAPSHOTS + PROBE_BYTES + SUPER_BYTES;
}

static int failed(const struct format *format, const char *name, int error)
{
	struct statvfs fs;

	if (!strcmp(name, "."))
		sluice_diag_set(format->diag, error, "cannot make a log of %s: %s", format->dir,
				strerror(error));
	else
		sluice_diag_set(format->diag, error, "cannot format %s/%s: %s", format->dir, name,
				strerror(error));
	if (format->diag && (error == ENOSPC || error == EDQUOT) && !fstatvfs(format->dir_fd, &fs))
		sluice_diag_hint(
			format->diag,
			"the log needs %llu MiB, %llu MiB are free: free space, choose another "
			"--wal directory or smaller segments",
			(unsigned long long)needed_bytes(format) >> 20,
			(unsigned long long)fs.f_bavail * fs.f_frsize >> 20);
	return -error;
}

static int open_file(const struct format *format, const char *name)
{
	int flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW;
	int fd = openat(format->dir_fd, name, flags | O_DIRECT, 0640);

	if (fd < 0 && errno == EINVAL)
		fd = openat(format->dir_fd, name, flags, 0640);
	return fd < 0 ? -errno : fd;
}

static int write_all(int fd, const void *data, size_t bytes, uint64_t offset)
{
	const unsigned char *from = data;

	while (bytes > 0) {
		ssize_t n = pwrite(fd, from, bytes, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		from += n;
		offset += (uint64_t)n;
		bytes -= (size_t)n;
	}
	return 0;
}

/* Once more where the filesystem made nothing of it; what it does even then, open will say. */
static int check_extents(int fd, uint64_t bytes)
{
	struct sluice_wal_extents_found found = {0};
	int ret = sluice_wal_extents_look(fd, bytes, &found);

	if (!ret && found.unwritten_bytes)
		ret = sluice_wal_extents_mend(fd, bytes, &found.unwritten_bytes);
	return ret == -EOPNOTSUPP ? 0 : ret;
}

/* All space first, so that a full disk is found before minutes of writing; then real zeros. */
static int write_zeros(const struct format *format, int fd, uint64_t bytes)
{
	int ret = 0;

	if (ftruncate(fd, (off_t)bytes))
		return -errno;
	if (fallocate(fd, 0, 0, (off_t)bytes) && errno != EOPNOTSUPP)
		return -errno;
	for (uint64_t offset = 0; !ret && offset < bytes; offset += CHUNK_BYTES)
		ret = write_all(fd, format->zeros,
				bytes - offset < CHUNK_BYTES ? bytes - offset : CHUNK_BYTES,
				offset);
	if (!ret && fsync(fd))
		ret = -errno;
	return ret ? ret : check_extents(fd, bytes);
}

static uint64_t bytes_of(const struct format *format, uint32_t file)
{
	return file < SLUICE_WAL_SEGMENTS    ? format->segment_bytes :
	       file == SLUICE_WAL_FILE_PROBE ? PROBE_BYTES :
					       format->snapshot_bytes;
}

/* Everything but the superblock. */
static int make_files(struct format *format)
{
	for (uint32_t i = 0; i < SLUICE_WAL_FILES; i++) {
		char name[SLUICE_WAL_FILE_NAME_BYTES];
		int fd, ret;

		if (i == SLUICE_WAL_FILE_SUPER)
			continue;
		sluice_wal_file_name(i, name);
		fd = open_file(format, name);
		if (fd < 0)
			return failed(format, name, -fd);
		format->files_made = i + 1;
		ret = write_zeros(format, fd, bytes_of(format, i));
		if (close(fd) && !ret)
			ret = -errno;
		if (ret)
			return failed(format, name, -ret);
	}
	return fsync(format->dir_fd) ? failed(format, ".", errno) : 0;
}

static uint32_t or_default(uint32_t value, uint32_t fallback)
{
	return value ? value : fallback;
}

static int first_super(const struct format *format, struct sluice_wal_super *ret_super)
{
	const struct sluice_core_options *core = &format->core;

	*ret_super = (struct sluice_wal_super){
		.magic = SLUICE_WAL_SUPER_MAGIC,
		.version = SLUICE_WAL_VERSION,
		.semantics = SLUICE_CORE_SEMANTICS,
		.segments = SLUICE_WAL_SEGMENTS,
		.segment_bytes = format->segment_bytes,
		.created_realtime_ns = sluice_clock_realtime_ns(),
		.snapshot_file_bytes = format->snapshot_bytes,
		.start = {.report = 1, .md = 1, .reports_taken = 1},
		.limits =
			{
				.symbols_max = core->symbols_max,
				.orders_max = core->orders_max,
				.levels_max = core->levels_max,
				.sessions_max = core->sessions_max,
				.window_ticks = core->window_ticks,
				.risk = core->risk,
			},
	};
	if (getrandom(ret_super->log_uuid, sizeof(ret_super->log_uuid), 0) !=
	    (ssize_t)sizeof(ret_super->log_uuid))
		return failed(format, "super", EIO);
	return 0;
}

/* All four copies, sequences 0 to 3, so that one rotten page never costs the log. */
static int write_super(const struct format *format)
{
	struct sluice_wal_super super, parent;
	int ret = first_super(format, &super);
	int fd;

	for (uint32_t i = 0; !ret && i < SLUICE_WAL_SUPER_COPIES; i++) {
		sluice_wal_super_seal(&super, i > 0 ? &parent : NULL);
		sluice_wal_super_page(&super, format->zeros + i * SLUICE_WAL_ALIGN);
		parent = super;
	}
	if (ret)
		return ret;
	fd = open_file(format, SUPER_TMP);
	if (fd < 0)
		return failed(format, SUPER_TMP, -fd);
	ret = ftruncate(fd, SUPER_BYTES) ? -errno : write_all(fd, format->zeros, SUPER_BYTES, 0);
	if (!ret && fsync(fd))
		ret = -errno;
	if (close(fd) && !ret)
		ret = -errno;
	return ret ? failed(format, SUPER_TMP, -ret) : 0;
}

/* A filesystem that cannot refuse to replace: under the directory's lock nobody else makes one. */
static int name_super(const struct format *format)
{
	int fd = format->dir_fd;

	if (renameat2(fd, SUPER_TMP, fd, "super", RENAME_NOREPLACE) &&
	    (errno != EINVAL || renameat(fd, SUPER_TMP, fd, "super")))
		return failed(format, "super", errno);
	return 0;
}

/* The name of a new directory must survive a power loss as well as what is in it. */
static int sync_parent(const struct format *format)
{
	int fd = openat(format->dir_fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int ret = fd < 0 || fsync(fd) ? -errno : 0;

	if (fd >= 0)
		close(fd);
	return ret ? failed(format, "..", -ret) : 0;
}

static bool is_zero(const unsigned char *bytes, size_t n)
{
	return !bytes[0] && !memcmp(bytes, bytes + 1, n - 1);
}

/* A file that a format cut short may have left is zeros to its end, which the buffer stays then. */
static int check_blank(const struct format *format, const char *name)
{
	int fd = openat(format->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	off_t offset = 0;
	ssize_t n;

	if (fd < 0)
		return errno == ENOENT ? 0 : failed(format, name, errno);
	do {
		n = pread(fd, format->zeros, CHUNK_BYTES, offset);
		offset += n > 0 ? n : 0;
	} while (n > 0 ? is_zero(format->zeros, (size_t)n) : n < 0 && errno == EINTR);
	if (n < 0)
		n = -errno;
	close(fd);
	if (n < 0)
		return failed(format, name, (int)-n);
	if (n == 0)
		return 0;
	sluice_diag_set(format->diag, EBADMSG,
			"%s/%s holds data, and there is no superblock: it may be a log that lost "
			"it; nothing was touched",
			format->dir, name);
	sluice_diag_hint(format->diag,
			 "put the file super back, or the whole log from a copy; to give up what is "
			 "there: mv %s %s.lost",
			 format->dir, format->dir);
	return -EBADMSG;
}

static int check_all_blank(const struct format *format)
{
	char name[SLUICE_WAL_FILE_NAME_BYTES];
	int ret = 0;

	for (uint32_t i = 0; !ret && i < SLUICE_WAL_FILE_PROBE; i++) {
		sluice_wal_file_name(i, name);
		if (i != SLUICE_WAL_FILE_SUPER)
			ret = check_blank(format, name);
	}
	return ret;
}

static int open_dir(struct format *format)
{
	struct stat st;
	bool made = !mkdir(format->dir, 0750);

	if (!made && errno != EEXIST)
		return failed(format, ".", errno);
	format->dir_fd = open(format->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (format->dir_fd < 0)
		return failed(format, ".", errno);
	if (flock(format->dir_fd, LOCK_EX | LOCK_NB))
		return errno == EWOULDBLOCK ?
			       sluice_diag_set(format->diag, EBUSY,
					       "another format of %s is running", format->dir) :
			       failed(format, ".", errno);
	if (!fstatat(format->dir_fd, "super", &st, AT_SYMLINK_NOFOLLOW)) {
		sluice_diag_set(format->diag, EEXIST,
				"there is a log in %s already; it was not touched", format->dir);
		sluice_diag_hint(format->diag, "sluice wal stat %s", format->dir);
		return -EEXIST;
	}
	if (errno != ENOENT)
		return failed(format, "super", errno);
	return made ? sync_parent(format) : check_all_blank(format);
}

static void undo(const struct format *format)
{
	for (uint32_t i = 0; i < format->files_made; i++) {
		char name[SLUICE_WAL_FILE_NAME_BYTES];

		if (i == SLUICE_WAL_FILE_SUPER)
			continue;
		sluice_wal_file_name(i, name);
		unlinkat(format->dir_fd, name, 0);
	}
	unlinkat(format->dir_fd, SUPER_TMP, 0);
}

static int check_options(struct format *format, const struct sluice_core_options *core)
{
	format->core = (struct sluice_core_options){
		.symbols_max = or_default(core->symbols_max, SYMBOLS_DEFAULT),
		.orders_max = or_default(core->orders_max, ORDERS_DEFAULT),
		.levels_max = or_default(core->levels_max, LEVELS_DEFAULT),
		.sessions_max = or_default(core->sessions_max, SESSIONS_DEFAULT),
		.window_ticks = or_default(core->window_ticks, WINDOW_TICKS_DEFAULT),
		.risk = core->risk,
	};
	if (format->segment_bytes < SLUICE_WAL_SEGMENT_BYTES_MIN ||
	    format->segment_bytes > SLUICE_WAL_SEGMENT_BYTES_MAX ||
	    format->segment_bytes % SLUICE_WAL_SEGMENT_BYTES_MIN)
		return sluice_diag_set(
			format->diag, EINVAL,
			"a segment of %llu bytes is not possible: whole MiB from 1 MiB to 1 TiB",
			(unsigned long long)format->segment_bytes);
	if (!sluice_image_records_max(&format->core))
		return sluice_diag_set(format->diag, EINVAL,
				       "the limits for symbols, orders, levels, sessions or window "
				       "are out of range");
	format->snapshot_bytes = sluice_snapshot_bytes(sluice_image_records_max(&format->core));
	return 0;
}

static int run(struct format *format, const struct sluice_core_options *core)
{
	int ret = check_options(format, core);

	if (!ret)
		ret = open_dir(format);
	if (ret)
		return ret;
	ret = make_files(format);
	if (!ret)
		ret = write_super(format);
	if (!ret)
		ret = name_super(format);
	if (ret && ret != -EEXIST)
		undo(format);
	if (ret)
		return ret;
	return fsync(format->dir_fd) ? failed(format, "super", errno) : 0;
}

int sluice_wal_format(const char *dir, const struct sluice_wal_options *options,
		      struct sluice_diag *diag)
{
	static const struct sluice_core_options core_defaults;
	struct format format = {
		.dir = dir,
		.dir_fd = -1,
		.segment_bytes = options && options->segment_bytes ?
					 options->segment_bytes :
					 SLUICE_WAL_SEGMENT_BYTES_DEFAULT,
		.diag = diag,
	};
	int ret;

	format.zeros = mmap(NULL, CHUNK_BYTES, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (format.zeros == MAP_FAILED)
		return failed(&format, ".", errno);
	ret = run(&format, options ? &options->core : &core_defaults);
	if (format.dir_fd >= 0)
		close(format.dir_fd);
	munmap(format.zeros, CHUNK_BYTES);
	return ret;
}
