/* SPDX-License-Identifier: MIT */
/*
 * wal_undo.c - see wal_undo.h.
 *
 * Any thread, blocking. A crash before the last entry leaves a file without one, which is refused:
 * the log was not touched yet.
 */
#include "engine/wal/wal_undo.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shm/crc32c.h"

#define HEAD_BYTES ((uint32_t)sizeof(struct sluice_wal_undo_head))

static uint32_t head_checksum(const struct sluice_wal_undo_head *head)
{
	return sluice_crc32c(0, head, offsetof(struct sluice_wal_undo_head, head_crc));
}

static int failed(const struct sluice_wal_undo *undo, int error, struct sluice_diag *diag)
{
	return sluice_diag_set(diag, error, "%s: %s", undo->path, strerror(error));
}

static int start(struct sluice_wal_undo *undo, const char *path, const uint8_t log_uuid[16],
		 int flags, struct sluice_diag *diag)
{
	int n;

	*undo = (struct sluice_wal_undo){.fd = -1};
	memcpy(undo->log_uuid, log_uuid, sizeof(undo->log_uuid));
	n = snprintf(undo->path, sizeof(undo->path), "%s", path);
	if ((size_t)n >= sizeof(undo->path))
		return sluice_diag_set(diag, ENAMETOOLONG, "the backup file's name is too long");
	undo->fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
	return undo->fd < 0 ? failed(undo, errno, diag) : 0;
}

int sluice_wal_undo_create(struct sluice_wal_undo *undo, const char *path,
			   const uint8_t log_uuid[16], struct sluice_diag *diag)
{
	int ret = start(undo, path, log_uuid, O_RDWR | O_CREAT | O_EXCL, diag);

	if (ret == -EEXIST)
		sluice_diag_hint(diag, "choose another name: a backup is never written over");
	return ret;
}

static int write_all(struct sluice_wal_undo *undo, const void *data, size_t bytes,
		     struct sluice_diag *diag)
{
	const unsigned char *from = data;

	while (bytes > 0) {
		ssize_t n = pwrite(undo->fd, from, bytes, (off_t)undo->at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return failed(undo, n < 0 ? errno : EIO, diag);
		from += n;
		undo->at += (uint64_t)n;
		bytes -= (size_t)n;
	}
	return 0;
}

int sluice_wal_undo_add(struct sluice_wal_undo *undo, uint32_t file, uint64_t offset,
			const void *data, uint32_t bytes, uint32_t written_crc,
			struct sluice_diag *diag)
{
	struct sluice_wal_undo_head head = {
		.magic = SLUICE_WAL_UNDO_MAGIC,
		.version = SLUICE_WAL_UNDO_VERSION,
		.file = file,
		.offset = offset,
		.index = undo->index++,
		.bytes = bytes,
		.data_crc = sluice_crc32c(0, data, bytes),
		.written_crc = written_crc,
	};
	int ret;

	sluice_assert(bytes <= SLUICE_WAL_BLOCK_BYTES_MAX);
	memcpy(head.log_uuid, undo->log_uuid, sizeof(head.log_uuid));
	head.head_crc = head_checksum(&head);
	ret = write_all(undo, &head, sizeof(head), diag);
	return ret ? ret : write_all(undo, data, bytes, diag);
}

/* The file's name must survive as well as its bytes. */
static int sync_name(struct sluice_wal_undo *undo, struct sluice_diag *diag)
{
	char dir[sizeof(undo->path)];
	char *slash;
	int fd, ret;

	memcpy(dir, undo->path, sizeof(dir));
	slash = strrchr(dir, '/');
	if (!slash)
		memcpy(dir, ".", 2);
	else
		slash[slash == dir] = '\0';
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ret = fd < 0 || fsync(fd) ? failed(undo, errno, diag) : 0;
	if (fd >= 0)
		close(fd);
	return ret;
}

int sluice_wal_undo_finish(struct sluice_wal_undo *undo, uint64_t super_sequence,
			   struct sluice_diag *diag)
{
	int ret = sluice_wal_undo_add(undo, 0, super_sequence, "", 0, 0, diag);

	if (!ret && fsync(undo->fd))
		ret = failed(undo, errno, diag);
	return ret ? ret : sync_name(undo, diag);
}

int sluice_wal_undo_open(struct sluice_wal_undo *undo, const char *path,
			 const uint8_t log_uuid[16], struct sluice_diag *diag)
{
	int ret = start(undo, path, log_uuid, O_RDONLY | O_NONBLOCK, diag);
	struct stat st;

	if (ret)
		return ret;
	if (fstat(undo->fd, &st) || !S_ISREG(st.st_mode)) {
		sluice_wal_undo_close(undo);
		return sluice_diag_set(diag, EINVAL, "%s: not a regular file", path);
	}
	return 0;
}

void sluice_wal_undo_rewind(struct sluice_wal_undo *undo)
{
	undo->index = 0;
	undo->at = 0;
}

static int damaged(const struct sluice_wal_undo *undo, const char *what, struct sluice_diag *diag)
{
	return sluice_diag_set(diag, EBADMSG,
			       "%s offset %llu: not a finished backup of a log's tail (%s)",
			       undo->path, (unsigned long long)undo->at, what);
}

static int read_all(struct sluice_wal_undo *undo, void *data, size_t bytes,
		    struct sluice_diag *diag)
{
	unsigned char *to = data;

	while (bytes > 0) {
		ssize_t n = pread(undo->fd, to, bytes, (off_t)undo->at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return failed(undo, errno, diag);
		if (n == 0)
			return damaged(undo, "it ends here", diag);
		to += n;
		undo->at += (uint64_t)n;
		bytes -= (size_t)n;
	}
	return 0;
}

static const char *head_fault(const struct sluice_wal_undo_head *head, uint64_t index)
{
	if (head->magic != SLUICE_WAL_UNDO_MAGIC)
		return "magic";
	if (head->version != SLUICE_WAL_UNDO_VERSION)
		return "version";
	if (head->head_crc != head_checksum(head))
		return "head_crc";
	if (head->index != index)
		return "index";
	if (head->bytes > SLUICE_WAL_BLOCK_BYTES_MAX || head->bytes % SLUICE_WAL_ALIGN)
		return "bytes";
	if (head->bytes && (head->file > SLUICE_WAL_FILE_SUPER || head->offset % SLUICE_WAL_ALIGN))
		return "place";
	return NULL;
}

int sluice_wal_undo_next(struct sluice_wal_undo *undo, struct sluice_wal_undo_head *ret_head,
			 void *data, struct sluice_diag *diag)
{
	const uint64_t begin = undo->at;
	struct sluice_wal_undo_head head;
	int ret = read_all(undo, &head, HEAD_BYTES, diag);
	const char *fault;

	if (ret)
		return ret;
	fault = head_fault(&head, undo->index);
	if (fault) {
		undo->at = begin;
		return damaged(undo, fault, diag);
	}
	if (memcmp(head.log_uuid, undo->log_uuid, sizeof(head.log_uuid)))
		return sluice_diag_set(diag, ESTALE, "%s is of another log", undo->path);
	ret = read_all(undo, data, head.bytes, diag);
	if (ret)
		return ret;
	if (sluice_crc32c(0, data, head.bytes) != head.data_crc)
		return damaged(undo, "data_crc", diag);
	undo->index++;
	*ret_head = head;
	return head.bytes ? 1 : 0;
}

void sluice_wal_undo_close(struct sluice_wal_undo *undo)
{
	if (undo->fd >= 0)
		close(undo->fd);
	undo->fd = -1;
}
