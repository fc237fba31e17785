/* SPDX-License-Identifier: MIT */
/*
 * wal_files.c - open, lock, size, read, durable write and sync of a log's files.
 *
 * The log's owner thread. Files are opened O_DIRECT|O_DSYNC; where the filesystem refuses O_DIRECT
 * they are buffered, still O_DSYNC, and io.text says so. Only the probe, whose bytes nobody needs,
 * is without O_DSYNC, and segments become so where each write has a sync linked to it. Locks are
 * flock: they stay with the open file as long as a dead predecessor's writes are in flight, which a
 * POSIX lock would not. A crash leaves nothing behind but the files.
 */
#include "engine/wal/wal_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "engine/wal/wal_extents.h"
#include "shm/clock.h"

#define LOCK_RETRY_NS 10000000u
#define INTERRUPTS_MAX 1000

static struct sluice_wal_files *files_of(struct sluice_wal_io *io)
{
	return (struct sluice_wal_files *)io;
}

static bool is_snapshot(uint32_t file)
{
	return file >= SLUICE_WAL_FILE_SNAPSHOT && file < SLUICE_WAL_FILE_PROBE;
}

void sluice_wal_file_name(uint32_t file, char name[SLUICE_WAL_FILE_NAME_BYTES])
{
	if (file == SLUICE_WAL_FILE_SUPER)
		snprintf(name, SLUICE_WAL_FILE_NAME_BYTES, "super");
	else if (file == SLUICE_WAL_FILE_PROBE)
		snprintf(name, SLUICE_WAL_FILE_NAME_BYTES, "probe");
	else if (is_snapshot(file))
		snprintf(name, SLUICE_WAL_FILE_NAME_BYTES, "snap-%u",
			 (file - SLUICE_WAL_FILE_SNAPSHOT) % SLUICE_WAL_SNAPSHOTS);
	else if (file == SLUICE_WAL_FILE_DIR)
		snprintf(name, SLUICE_WAL_FILE_NAME_BYTES, ".");
	else
		snprintf(name, SLUICE_WAL_FILE_NAME_BYTES, "wal-%02u", file % SLUICE_WAL_SEGMENTS);
}

int sluice_wal_files_init(struct sluice_wal_files *files, const char *dir, struct sluice_diag *diag)
{
	const size_t bytes = strlen(dir) + 1;

	files->dir_fd = -1;
	for (uint32_t i = 0; i < SLUICE_WAL_FILES; i++)
		files->fd[i] = -1;
	if (bytes > sizeof(files->dir))
		return sluice_diag_set(diag, ENAMETOOLONG, "the log directory's name is too long");
	memcpy(files->dir, dir, bytes);
	return 0;
}

void sluice_wal_files_release(struct sluice_wal_files *files)
{
	for (uint32_t i = 0; i < SLUICE_WAL_FILES; i++)
		if (files->fd[i] >= 0)
			close(files->fd[i]);
	if (files->dir_fd >= 0)
		close(files->dir_fd);
}

static int open_fd(struct sluice_wal_files *files, const char *name, int flags)
{
	int fd = openat(files->dir_fd, name, flags | O_DIRECT);

	if (fd >= 0 || errno != EINVAL)
		return fd < 0 ? -errno : fd;
	fd = openat(files->dir_fd, name, flags);
	if (fd < 0)
		return -errno;
	if (!strstr(files->io.text, "O_DIRECT"))
		snprintf(files->io.text + strlen(files->io.text),
			 sizeof(files->io.text) - strlen(files->io.text),
			 "; buffered: the filesystem refuses O_DIRECT");
	return fd;
}

static int open_failed(const struct sluice_wal_files *files, uint32_t file, int error,
		       struct sluice_diag *diag)
{
	char name[SLUICE_WAL_FILE_NAME_BYTES];

	sluice_wal_file_name(file, name);
	if (error == ENOENT && file == SLUICE_WAL_FILE_SUPER) {
		sluice_diag_set(diag, ENOENT,
				faccessat(files->dir_fd, "wal-00", F_OK, 0) ?
					"there is no log in %s" :
					"there is no superblock in %s, though there are segments: "
					"a format was cut short, or the file is lost",
				files->dir);
		sluice_diag_hint(diag, "sluice-engine --wal %s --format ...", files->dir);
		return -ENOENT;
	}
	if (error == ENOENT || error == ELOOP)
		return sluice_diag_set(diag, EBADMSG,
				       "%s/%s is missing or not a regular file: the log is damaged",
				       files->dir, name);
	sluice_diag_set(diag, error, "cannot open %s/%s: %s", files->dir, name, strerror(error));
	if (error == EMFILE)
		sluice_diag_hint(diag, "ulimit -n 1024   # a log needs %u descriptors",
				 SLUICE_WAL_FILES + 1);
	return -error;
}

static bool is_dsync(int fd)
{
	const int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && (flags & O_DSYNC) == O_DSYNC;
}

static int open_one(struct sluice_wal_files *files, uint32_t file, int flags,
		    struct sluice_diag *diag)
{
	char name[SLUICE_WAL_FILE_NAME_BYTES];
	struct stat st;
	int fd;

	sluice_wal_file_name(file, name);
	fd = open_fd(files, name, flags);
	if (fd < 0)
		return open_failed(files, file, -fd, diag);
	files->fd[file] = fd;
	if (fstat(fd, &st))
		return open_failed(files, file, errno, diag);
	if (!S_ISREG(st.st_mode))
		return open_failed(files, file, ELOOP, diag);
	/* What the durability of every write rests on: ask the kernel, do not assume. */
	if ((flags & O_DSYNC) && !is_dsync(fd))
		return open_failed(files, file, EOPNOTSUPP, diag);
	return 0;
}

/*
 * The log is written O_DSYNC, whatever a write asks for; snapshots are synced when they are whole.
 * O_NONBLOCK: a FIFO in a segment's place must not hang a reader. io_uring would obey.
 */
static int flags_of(enum sluice_wal_io_mode mode, uint32_t file)
{
	const int common = O_CLOEXEC | O_NOFOLLOW;

	if ((is_snapshot(file) && mode != SLUICE_WAL_IO_READ) ||
	    (file == SLUICE_WAL_FILE_PROBE && mode == SLUICE_WAL_IO_WRITE))
		return common | O_RDWR;
	return common | (mode == SLUICE_WAL_IO_WRITE ? O_RDWR | O_DSYNC : O_RDONLY | O_NONBLOCK);
}

/* Scratch space: a log from before there was one, or whose copier left it out, is whole. */
static int open_probe(struct sluice_wal_files *files, int flags, struct sluice_diag *diag)
{
	struct stat st;

	if (fstatat(files->dir_fd, "probe", &st, AT_SYMLINK_NOFOLLOW) && errno == ENOENT)
		return 0;
	return open_one(files, SLUICE_WAL_FILE_PROBE, flags, diag);
}

/* A file that is missing may be one that the log's own version does not have: say that instead. */
static int blame_version(struct sluice_wal_files *files, struct sluice_diag *diag)
{
	_Alignas(SLUICE_WAL_ALIGN) unsigned char page[SLUICE_WAL_ALIGN];
	struct sluice_wal_super super;
	uint32_t other = SLUICE_WAL_VERSION;

	for (uint32_t i = 0; i < SLUICE_WAL_SUPER_COPIES; i++) {
		if (pread(files->fd[SLUICE_WAL_FILE_SUPER], page, sizeof(page),
			  (off_t)i * SLUICE_WAL_ALIGN) != sizeof(page))
			continue;
		memcpy(&super, page, sizeof(super));
		if (super.magic != SLUICE_WAL_SUPER_MAGIC)
			continue;
		if (super.version == SLUICE_WAL_VERSION)
			return -EBADMSG;
		other = super.version;
	}
	return other == SLUICE_WAL_VERSION ?
		       -EBADMSG :
		       sluice_diag_set(diag, EPROTO,
				       "super: the log's format is version %u, this program knows "
				       "version %u",
				       other, SLUICE_WAL_VERSION);
}

int sluice_wal_files_open(struct sluice_wal_io *io, enum sluice_wal_io_mode mode,
			  struct sluice_diag *diag)
{
	struct sluice_wal_files *files = files_of(io);
	int ret;

	files->mode = mode;
	files->dir_fd = open(files->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (files->dir_fd < 0)
		return open_failed(files, SLUICE_WAL_FILE_SUPER, errno, diag);
	ret = open_one(files, SLUICE_WAL_FILE_SUPER, flags_of(mode, SLUICE_WAL_FILE_SUPER), diag);
	for (uint32_t i = 0; !ret && i < SLUICE_WAL_FILE_PROBE; i++)
		if (i != SLUICE_WAL_FILE_SUPER)
			ret = open_one(files, i, flags_of(mode, i), diag);
	if (ret == -EBADMSG && files->fd[SLUICE_WAL_FILE_SUPER] >= 0)
		ret = blame_version(files, diag);
	return ret ? ret : open_probe(files, flags_of(mode, SLUICE_WAL_FILE_PROBE), diag);
}

static int lock_one(struct sluice_wal_files *files, uint32_t file, uint64_t deadline_ns)
{
	for (;;) {
		struct timespec pause = {0, LOCK_RETRY_NS};

		if (!flock(files->fd[file], LOCK_EX | LOCK_NB))
			return 0;
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		if (sluice_clock_ns() >= deadline_ns)
			return -EBUSY;
		nanosleep(&pause, NULL);
	}
}

int sluice_wal_files_relax(struct sluice_wal_files *files, uint32_t file)
{
	char name[SLUICE_WAL_FILE_NAME_BYTES];
	struct stat was, is;
	int fd;

	sluice_assert(file < SLUICE_WAL_SEGMENTS && files->mode == SLUICE_WAL_IO_WRITE);
	sluice_wal_file_name(file, name);
	fd = open_fd(files, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return fd;
	if (fstat(files->fd[file], &was) || fstat(fd, &is) || was.st_dev != is.st_dev ||
	    was.st_ino != is.st_ino) {
		close(fd);
		return -ESTALE;
	}
	/* nobody else gets in between: who wants a segment's lock has the superblock's first */
	close(files->fd[file]);
	files->fd[file] = fd;
	return lock_one(files, file, sluice_clock_ns() + LOCK_RETRY_NS);
}

int sluice_wal_files_lock(struct sluice_wal_io *io, enum sluice_wal_io_part part, uint64_t wait_ns,
			  struct sluice_diag *diag)
{
	const bool log = part == SLUICE_WAL_IO_LOG;
	const uint32_t first = log ? 0 : SLUICE_WAL_FILE_SNAPSHOT;
	uint32_t file = log ? SLUICE_WAL_FILE_SNAPSHOT : SLUICE_WAL_FILE_PROBE;
	struct sluice_wal_files *files = files_of(io);
	uint64_t deadline_ns = sluice_clock_ns() + wait_ns;
	int ret = 0;

	while (!ret && file > first)
		ret = lock_one(files, --file, deadline_ns); /* the superblock first */
	if (ret == -EBUSY && !log) {
		sluice_diag_set(diag, EBUSY, "another follower writes the snapshots in %s",
				files->dir);
		sluice_diag_hint(diag, "fuser -v %s/snap-0", files->dir);
	} else if (ret == -EBUSY) {
		sluice_diag_set(diag, EBUSY,
				"another engine has the log in %s (waited %llu ms for its locks)",
				files->dir, (unsigned long long)(wait_ns / 1000000));
		sluice_diag_hint(diag, "fuser -v %s/super", files->dir);
	} else if (ret) {
		sluice_diag_set(diag, -ret, "cannot lock the log in %s: %s", files->dir,
				strerror(-ret));
	}
	if (!ret)
		ret = sluice_wal_extents_check(files, part, diag);
	return ret;
}

int sluice_wal_files_size(struct sluice_wal_io *io, uint32_t file, uint64_t *ret_bytes)
{
	struct stat st;

	if (fstat(files_of(io)->fd[file], &st))
		return -errno;
	*ret_bytes = (uint64_t)st.st_size;
	return 0;
}

int sluice_wal_files_read(struct sluice_wal_io *io, uint32_t file, uint64_t offset, void *data,
			  size_t bytes)
{
	unsigned char *to = data;
	int interrupts = 0;

	while (bytes > 0) {
		ssize_t n = pread(files_of(io)->fd[file], to, bytes, (off_t)offset);

		if (n < 0 && errno == EINTR && interrupts++ < INTERRUPTS_MAX)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -ENODATA;
		to += n;
		offset += (uint64_t)n;
		bytes -= (size_t)n;
	}
	return 0;
}

int sluice_wal_files_write(struct sluice_wal_io *io, uint32_t file, uint64_t offset,
			   const void *data, size_t bytes)
{
	struct iovec part = {(void *)(uintptr_t)data, bytes};
	int interrupts = 0;
	ssize_t n;

	do
		n = pwritev2(files_of(io)->fd[file], &part, 1, (off_t)offset,
			     is_snapshot(file) ? 0 : RWF_DSYNC);
	while (n < 0 && errno == EINTR && interrupts++ < INTERRUPTS_MAX);
	if (n < 0)
		return -errno;
	return (size_t)n == bytes ? 0 : -EIO;
}

int sluice_wal_files_sync(struct sluice_wal_io *io, uint32_t file)
{
	struct sluice_wal_files *files = files_of(io);

	if (file == SLUICE_WAL_FILE_PROBE && files->fd[file] < 0)
		return 0; /* it may be missing */
	return fsync(file == SLUICE_WAL_FILE_DIR ? files->dir_fd : files->fd[file]) ? -errno : 0;
}

uint64_t sluice_wal_files_monotonic_ns(struct sluice_wal_io *io)
{
	(void)io;
	return sluice_clock_ns();
}

uint64_t sluice_wal_files_realtime_ns(struct sluice_wal_io *io)
{
	(void)io;
	return sluice_clock_realtime_ns();
}
