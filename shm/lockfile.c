/* SPDX-License-Identifier: MIT */
/*
 * lockfile.c - taking bytes of a file that somebody may unlink at the same time.
 *
 * A lock file is unlinked only by who holds its creator byte, so "locked, and afterwards still
 * named" means that no clean-up can take it away. Any thread. A crash leaves the file, no lock.
 *
 * A child of fork() shares the parent's open files, so it would keep the parent's bytes alive
 * beyond its death. The descriptors are therefore listed, and the child replaces each by one that
 * can do nothing; the number stays taken, so that a close of the parent's handle in the child hits
 * nothing else. Opening, listing and closing exclude fork() by a mutex.
 */
#include "shm/lockfile.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "shm/clock.h"
#include "shm/names.h"

#define RETRY_NS 1000000

/* Every descriptor of this process that may hold bytes. */
static struct {
	pthread_mutex_t mutex;
	int *fds;
	size_t count;
	size_t room;
	int error; /* the fork handlers could not be installed */
} held = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static pthread_once_t held_once = PTHREAD_ONCE_INIT;

static void fork_prepare(void)
{
	pthread_mutex_lock(&held.mutex);
}

static void fork_parent(void)
{
	pthread_mutex_unlock(&held.mutex);
}

/* Only calls that are allowed between fork and exec. */
static void fork_child(void)
{
	const int nothing = open("/", O_PATH | O_CLOEXEC);

	for (size_t i = 0; i < held.count; i++)
		if (nothing < 0 || dup3(nothing, held.fds[i], O_CLOEXEC) < 0)
			close(held.fds[i]);
	if (nothing >= 0)
		close(nothing);
	held.count = 0;
	pthread_mutex_unlock(&held.mutex);
}

static void held_init(void)
{
	held.error = -pthread_atfork(fork_prepare, fork_parent, fork_child);
}

/* Room for one more, so that listing it cannot fail. Under the mutex. */
static int held_grow(void)
{
	const size_t room = held.room ? 2 * held.room : 16;
	int *grown;

	if (held.count < held.room)
		return 0;
	grown = reallocarray(held.fds, room, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	held.fds = grown;
	held.room = room;
	return 0;
}

static int range_control(int fd, int command, struct sluice_lock_range range,
			 struct flock *ret_lock)
{
	struct flock lock = {
		.l_type = range.type,
		.l_whence = SEEK_SET,
		.l_start = range.first,
		.l_len = range.count,
	};
	int err;

	do
		err = fcntl(fd, command, &lock) ? -errno : 0;
	while (err == -EINTR);
	if (!err)
		*ret_lock = lock;
	return err == -EACCES ? -EAGAIN : err;
}

int sluice_lockfile_try(int fd, struct sluice_lock_range range)
{
	struct flock ignored;

	return range_control(fd, F_OFD_SETLK, range, &ignored);
}

int sluice_lockfile_drop(int fd, off_t first, off_t count)
{
	const struct sluice_lock_range range = {F_UNLCK, first, count};
	struct flock ignored;

	return range_control(fd, F_OFD_SETLK, range, &ignored);
}

int sluice_lockfile_held(int fd, struct sluice_lock_range range)
{
	struct flock found;
	int err = range_control(fd, F_OFD_GETLK, range, &found);

	return err ? err : found.l_type != F_UNLCK;
}

bool sluice_lockfile_is_named(const char *path, int fd)
{
	struct stat named;
	struct stat opened;

	return !lstat(path, &named) && !fstat(fd, &opened) && named.st_dev == opened.st_dev &&
	       named.st_ino == opened.st_ino;
}

/* -EAGAIN: it was unlinked between open and fstat; try again. */
static int check_file(int fd, const char *path, mode_t mode, struct sluice_diag *diag)
{
	struct stat st;

	if (fstat(fd, &st))
		return sluice_diag_set(diag, errno, "cannot stat %s: %s", path, strerror(errno));
	if (!st.st_nlink)
		return -EAGAIN;
	if (!S_ISREG(st.st_mode) || st.st_nlink != 1)
		return sluice_diag_set(diag, EPERM,
				       "the lock file %s is not a plain file with one name", path);
	if (!sluice_names_is_trusted(st.st_uid))
		return sluice_diag_set(diag, EPERM,
				       "the lock file %s belongs to uid %u, not to us or root", path,
				       st.st_uid);
	if (mode && st.st_uid == geteuid() && (st.st_mode & 07777) != mode && fchmod(fd, mode))
		return sluice_diag_set(diag, errno, "cannot set the mode of %s: %s", path,
				       strerror(errno));
	return 0;
}

static int open_once(const char *path, struct sluice_lock_range range, mode_t mode,
		     struct sluice_diag *diag)
{
	const int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | (mode ? O_CREAT : 0);
	const int fd = open(path, flags, mode);
	int err;

	if (fd < 0)
		return sluice_diag_set(diag, errno == ELOOP ? EPERM : errno,
				       "cannot open the lock file %s: %s", path, strerror(errno));
	err = check_file(fd, path, mode, diag);
	if (!err)
		err = sluice_lockfile_try(fd, range);
	if (!err && !sluice_lockfile_is_named(path, fd))
		err = -EAGAIN;
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}

static int open_listed(const char *path, struct sluice_lock_range range, mode_t mode,
		       struct sluice_diag *diag)
{
	int fd = -ENOMEM;

	pthread_once(&held_once, held_init);
	pthread_mutex_lock(&held.mutex);
	if (held.error || held_grow())
		sluice_diag_set(diag, ENOMEM, "no memory to guard the lock file %s", path);
	else
		fd = open_once(path, range, mode, diag);
	if (fd >= 0)
		held.fds[held.count++] = fd;
	pthread_mutex_unlock(&held.mutex);
	return fd;
}

void sluice_lockfile_close(int fd)
{
	pthread_mutex_lock(&held.mutex);
	for (size_t i = 0; i < held.count; i++)
		if (held.fds[i] == fd) {
			held.fds[i] = held.fds[--held.count];
			break;
		}
	close(fd);
	pthread_mutex_unlock(&held.mutex);
}

bool sluice_lockfile_is_inherited(int fd)
{
	const int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && (flags & O_PATH);
}

int sluice_lockfile_acquire(const char *path, struct sluice_lock_range range, mode_t mode,
			    uint32_t wait_ms, struct sluice_diag *diag)
{
	const uint64_t started_ns = sluice_clock_ns();
	const struct timespec pause = {.tv_nsec = RETRY_NS};

	for (;;) {
		const int fd = open_listed(path, range, mode, diag);

		if (fd != -EAGAIN)
			return fd;
		if (sluice_clock_ns() - started_ns >= wait_ms * 1000000ull)
			return sluice_diag_set(diag, EBUSY,
					       "%s is locked by a process that creates, removes or uses the segment",
					       path);
		nanosleep(&pause, NULL);
	}
}
