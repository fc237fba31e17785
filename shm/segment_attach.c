/* SPDX-License-Identifier: MIT */
/*
 * segment_attach.c - mapping what another process made, and giving mappings back.
 *
 * Nothing of the file is believed: its type, owner and names are checked on the open descriptor,
 * the header is read with pread into private memory and checked there, and the mapping is not
 * touched before its size is known to hold it. A read-write attachment first takes a shared lock
 * byte, so that gc cannot remove the segment under it. A crash leaves nothing.
 *
 * A child of fork() has a copy of the handle, but no mapping of a read-write attachment, and its
 * lock descriptor stands for nothing (lockfile.h): closing the copy closes descriptors only.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shm/backing.h"
#include "shm/header.h"
#include "shm/lockfile.h"
#include "shm/names.h"
#include "shm/repair.h"
#include "shm/segment_internal.h"

#define REPLACED_TRIES 3

void sluice_segment_point(struct sluice_segment *segment)
{
	const struct sluice_header *header = &segment->header;
	uint8_t *base = segment->base;

	sluice_assert(header->slots_offset + header->slot_count * header->slot_stride <=
		      segment->total_bytes);
	segment->control = (void *)(base + header->control_offset);
	segment->participants = (void *)(base + header->participants_offset);
	segment->counters = (void *)(base + header->counters_offset);
	segment->histograms = (void *)(base + header->histograms_offset);
	segment->directory = (void *)(base + header->directory_offset);
	segment->slots = base + header->slots_offset;
}

int sluice_segment_read_header(int fd, struct sluice_header *ret_header, struct sluice_diag *diag)
{
	struct sluice_header header;
	const ssize_t got = pread(fd, &header, sizeof(header), 0);

	if (got < 0)
		return sluice_diag_set(diag, errno == EISDIR ? EPERM : errno,
				       "cannot read the segment's header: %s", strerror(errno));
	if ((size_t)got < sizeof(header))
		return sluice_diag_set(diag, EBADMSG,
				       "the segment's header is truncated: %zd bytes found, %zu expected",
				       got, sizeof(header));
	*ret_header = header;
	return 0;
}

/* ------------------------------------------------------------------------------------ file */

/* Type, owner and names of what was opened. `path` NULL: the caller vouches for the name. */
static int check_file(int fd, const char *path, uint64_t *ret_bytes, struct sluice_diag *diag)
{
	const char *what = path ? path : "the descriptor";
	struct stat st;

	if (fstat(fd, &st))
		return sluice_diag_set(diag, errno, "cannot stat %s: %s", what, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return sluice_diag_set(diag, EPERM, "%s is not a regular file (type %#o)", what,
				       st.st_mode & S_IFMT);
	if (!sluice_names_is_trusted(st.st_uid)) {
		sluice_diag_set(diag, EPERM,
				"%s belongs to uid %u, expected is uid %u or root", what,
				st.st_uid, geteuid());
		sluice_diag_hint(diag, "export SLUICE_OWNER_UID=%u", st.st_uid);
		return -EPERM;
	}
	if (path && st.st_nlink > 1)
		return sluice_diag_set(diag, EPERM,
				       "%s has %lu names: a segment has one, this is a hard link",
				       what, (unsigned long)st.st_nlink);
	if (st.st_size < SLUICE_HEADER_AREA_BYTES)
		return sluice_diag_set(diag, EBADMSG,
				       "%s is truncated: it has %lld bytes, a header takes %d", what,
				       (long long)st.st_size, SLUICE_HEADER_AREA_BYTES);
	*ret_bytes = (uint64_t)st.st_size;
	return 0;
}

static int open_refused(const char *name, const char *path, enum sluice_access access, int error,
			struct sluice_diag *diag)
{
	const char *verb = access == SLUICE_ACCESS_WRITE ? "write" : "read";
	struct stat st = {0};

	if (error == ENOENT) {
		sluice_diag_set(diag, ENOENT, "there is no segment named \"%s\"", name);
		sluice_diag_hint(diag, "sluice ls");
		return -ENOENT;
	}
	if (error == ELOOP)
		return sluice_diag_set(diag, EPERM,
				       "%s is a symbolic link: segments are never followed through one",
				       path);
	if (error == EISDIR || error == ENXIO || error == ENODEV)
		return sluice_diag_set(diag, EPERM, "%s is not a regular file: %s", path,
				       strerror(error));
	if (error == EACCES && !lstat(path, &st)) {
		sluice_diag_set(diag, EACCES,
				"no permission to %s segment \"%s\": %s has mode %04o, uid %u, gid %u",
				verb, name, path, st.st_mode & 07777, st.st_uid, st.st_gid);
		if (access == SLUICE_ACCESS_READ)
			sluice_diag_hint(diag, "sudo usermod -aG \"$(stat -c %%G %s)\" \"$USER\"",
					 path);
		return -EACCES;
	}
	return sluice_diag_set(diag, error, "cannot open %s: %s", path, strerror(error));
}

static int open_file(const char *name, const char *path, enum sluice_access access,
		     struct sluice_diag *diag)
{
	const int mode = access == SLUICE_ACCESS_WRITE ? O_RDWR : O_RDONLY;
	const int fd = open(path, mode | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	return fd < 0 ? open_refused(name, path, access, errno, diag) : fd;
}

/* --------------------------------------------------------------------------------- mapping */

static int map(struct sluice_segment *segment, enum sluice_access access, struct sluice_diag *diag)
{
	const bool writable = access == SLUICE_ACCESS_WRITE;
	uint64_t bytes;
	int err;

	segment->base = sluice_backing_map(segment->fd, segment->total_bytes,
					   PROT_READ | (writable ? PROT_WRITE : 0));
	if (!segment->base)
		return sluice_diag_set(diag, errno, "cannot map segment \"%s\" (%" PRIu64
				       " KiB): %s",
				       segment->header.name, segment->total_bytes / 1024,
				       strerror(errno));
	madvise(segment->base, segment->total_bytes, MADV_DONTDUMP);
	if (writable)
		madvise(segment->base, segment->total_bytes, MADV_DONTFORK);
	err = sluice_backing_populate(segment->base, segment->total_bytes, writable);
	if (err && err != -EINVAL)
		return sluice_diag_set(diag, EBADMSG,
				       "segment \"%s\" lost pages while it was mapped: %s",
				       segment->header.name, strerror(-err));
	/* from here on a peer that truncates raises SIGBUS in us: write permission is trust */
	err = check_file(segment->fd, NULL, &bytes, diag);
	if (!err && bytes != segment->total_bytes)
		err = sluice_diag_set(diag, EBADMSG,
				      "segment \"%s\" was truncated while it was mapped: %" PRIu64
				      " of %" PRIu64 " bytes are left",
				      segment->header.name, bytes, segment->total_bytes);
	return err;
}

/* The descriptor becomes the segment's even on failure. */
static int take_file(struct sluice_segment *segment, int fd, const char *path, const char *name,
		     enum sluice_access access, struct sluice_diag *diag)
{
	struct sluice_header_expectation expected = {.name = name, .access = access};
	int err;

	segment->fd = fd;
	err = check_file(fd, path, &expected.file_bytes, diag);
	if (!err)
		err = sluice_segment_read_header(fd, &segment->header, diag);
	if (!err)
		err = sluice_header_check(&segment->header, &expected, diag);
	if (err)
		return err;
	segment->total_bytes = segment->header.total_bytes;
	segment->writable = access == SLUICE_ACCESS_WRITE;
	err = map(segment, access, diag);
	if (!err)
		sluice_segment_point(segment);
	return err;
}

static int take_lock(struct sluice_segment *segment, struct sluice_diag *diag)
{
	const struct sluice_lock_range attached = {F_RDLCK, SLUICE_LOCK_ATTACHED, 1};
	int fd = sluice_lockfile_acquire(segment->lock_path, attached, 0, SLUICE_LOCKFILE_WAIT_MS,
					 diag);

	if (fd == -ENOENT)
		return sluice_diag_set(diag, ENOLCK,
				       "the lock file %s is missing: nobody could prove that a peer is alive; stop all users of the segment and create it anew",
				       segment->lock_path);
	if (fd < 0)
		return fd;
	segment->lock_fd = fd;
	segment->probe_fd = open(segment->lock_path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (segment->probe_fd < 0)
		return sluice_diag_set(diag, errno, "cannot open the lock file %s: %s",
				       segment->lock_path, strerror(errno));
	return 0;
}

/* Monitors ask about bytes if they may; the descriptor cannot take a write lock. */
static void take_probe(struct sluice_segment *segment)
{
	struct stat st;

	segment->probe_fd = open(segment->lock_path,
				 O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (segment->probe_fd >= 0 && (fstat(segment->probe_fd, &st) || !S_ISREG(st.st_mode))) {
		close(segment->probe_fd);
		segment->probe_fd = -1;
	}
}

/* ---------------------------------------------------------------------------------- attach */

/* -EAGAIN: the name was removed or replaced meanwhile. */
static int attach_once(struct sluice_segment *segment, const char *name, enum sluice_access access,
		       struct sluice_diag *diag)
{
	int err = sluice_names_lock_path(segment->lock_path, name);
	int fd;

	if (err || sluice_names_find(name, segment->path))
		return open_refused(name, "", access, ENOENT, diag);
	/* the file's own refusal says more than the lock file's */
	fd = open_file(name, segment->path, access, diag);
	if (fd < 0)
		return fd;
	err = take_file(segment, fd, segment->path, name, access, diag);
	if (err)
		return err;
	if (access == SLUICE_ACCESS_READ) {
		take_probe(segment);
		return sluice_segment_is_named(segment) ? 0 : -EAGAIN;
	}
	err = take_lock(segment, diag);
	if (err)
		return err == -ENOLCK && !sluice_segment_is_named(segment) ? -EAGAIN : err;
	if (!sluice_segment_is_named(segment) ||
	    !sluice_lockfile_is_named(segment->lock_path, segment->lock_fd))
		return -EAGAIN;
	return 0;
}

static void init(struct sluice_segment *segment)
{
	memset(segment, 0, sizeof(*segment));
	segment->fd = -1;
	segment->lock_fd = -1;
	segment->probe_fd = -1;
}

static void release(struct sluice_segment *segment)
{
	/* what lies there in a child is none of ours */
	if (segment->base &&
	    !(segment->lock_fd >= 0 && sluice_lockfile_is_inherited(segment->lock_fd)))
		munmap(segment->base, segment->total_bytes);
	if (segment->fd >= 0)
		close(segment->fd);
	if (segment->probe_fd >= 0)
		close(segment->probe_fd);
	/* last: with it go the lock bytes, which say that this process no longer stores */
	if (segment->lock_fd >= 0)
		sluice_lockfile_close(segment->lock_fd);
	init(segment);
}

int sluice_segment_attach_any(struct sluice_segment *ret_segment, const char *name,
			      enum sluice_access access, struct sluice_diag *diag)
{
	struct sluice_segment segment;
	struct sluice_diag attempt = {0}; /* one that fails may be followed by one that does not */
	int err = sluice_names_check(name, diag);

	if (err)
		return err;
	for (int tries = 0; tries < REPLACED_TRIES; tries++) {
		init(&segment);
		err = attach_once(&segment, name, access, &attempt);
		if (!err) {
			*ret_segment = segment;
			return 0;
		}
		release(&segment);
		if (err != -EAGAIN) {
			if (diag)
				*diag = attempt;
			return err;
		}
	}
	return sluice_diag_set(diag, ENOENT, "segment \"%s\" was removed while we attached", name);
}

/* Repairs keep attachers out, so one that is found under way by an attacher has died over it. */
static bool is_half_repaired(const struct sluice_segment *segment)
{
	/* sync: ring:state <- state:set; what the repair did before it died */
	return (atomic_load_explicit(&segment->control->state, memory_order_acquire) &
		SLUICE_STATE_MASK) == SLUICE_STATE_RECOVERING;
}

int sluice_segment_attach(struct sluice_segment *ret_segment, const char *name,
			  enum sluice_access access, struct sluice_diag *diag)
{
	struct sluice_repair_result ignored;
	struct sluice_segment segment;
	int err = 0;

	for (int tries = 0; tries < REPLACED_TRIES; tries++) {
		err = sluice_segment_attach_any(&segment, name, access, diag);
		if (err)
			return err;
		if (access == SLUICE_ACCESS_READ || !is_half_repaired(&segment)) {
			*ret_segment = segment;
			return 0;
		}
		release(&segment);
		err = sluice_segment_repair(name, false, NULL, &ignored, diag);
		if (err && err != -EBUSY)
			return err;
	}
	return err ? err :
		     sluice_diag_set(diag, EBUSY, "segment \"%s\" is being repaired over and over",
				     name);
}

/* For writing the descriptor must be the named file: its lock bytes are found by the name. */
static int find_lock(struct sluice_segment *segment, struct sluice_diag *diag)
{
	int err = take_lock(segment, diag);

	if (err)
		return err;
	if (!sluice_segment_is_named(segment))
		return sluice_diag_set(diag, ENOENT,
				       "the descriptor's segment \"%s\" has no name any more: it can only be read",
				       segment->header.name);
	return 0;
}

int sluice_segment_attach_fd(struct sluice_segment *ret_segment, int fd, enum sluice_access access,
			     struct sluice_diag *diag)
{
	const int flags = fcntl(fd, F_GETFL);
	struct sluice_segment segment;
	int own;
	int err;

	if (flags < 0)
		return sluice_diag_set(diag, errno, "descriptor %d: %s", fd, strerror(errno));
	if (access == SLUICE_ACCESS_WRITE && (flags & O_ACCMODE) != O_RDWR)
		return sluice_diag_set(diag, EACCES, "descriptor %d is not open for writing", fd);
	own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (own < 0)
		return sluice_diag_set(diag, errno, "cannot keep descriptor %d: %s", fd,
				       strerror(errno));
	init(&segment);
	err = take_file(&segment, own, NULL, NULL, access, diag);
	if (err)
		goto fail;
	if (!sluice_names_find(segment.header.name, segment.path) &&
	    !sluice_lockfile_is_named(segment.path, segment.fd))
		segment.path[0] = '\0'; /* another file has the name */
	err = sluice_names_lock_path(segment.lock_path, segment.header.name);
	if (!err && access == SLUICE_ACCESS_WRITE)
		err = find_lock(&segment, diag);
	else if (!err && *segment.path)
		take_probe(&segment);
	if (err)
		goto fail;
	*ret_segment = segment;
	return 0;
fail:
	release(&segment);
	return err;
}

/* ----------------------------------------------------------------------------- life and end */

void sluice_segment_close(struct sluice_segment *segment)
{
	if (segment->base)
		release(segment);
}

bool sluice_segment_is_named(const struct sluice_segment *segment)
{
	return *segment->path && sluice_lockfile_is_named(segment->path, segment->fd);
}

int sluice_segment_huge_bytes(const struct sluice_segment *segment, uint64_t *ret_bytes,
			      uint32_t *ret_page_bytes)
{
	return sluice_backing_measure(segment->base, segment->total_bytes, ret_bytes,
				      ret_page_bytes);
}

const char *sluice_segment_note(const struct sluice_segment *segment)
{
	return segment->note;
}
