/* SPDX-License-Identifier: MIT */
/*
 * wal_files.h - the files of a log directory through POSIX calls: the part that both backends
 * share. A backend embeds struct sluice_wal_files as its first member and points its ops here for
 * everything but arm, submit, reap and close.
 */
#ifndef SLUICE_ENGINE_WAL_WAL_FILES_H
#define SLUICE_ENGINE_WAL_WAL_FILES_H

#include "engine/wal/wal_io.h"

#define SLUICE_WAL_PATH_BYTES 4096
#define SLUICE_WAL_FILE_NAME_BYTES 16

struct sluice_wal_files {
	struct sluice_wal_io io; /* first: ops get this pointer */
	enum sluice_wal_io_mode mode;
	int dir_fd;
	int fd[SLUICE_WAL_FILES]; /* -1: not open; of an open log only the probe may be */
	char dir[SLUICE_WAL_PATH_BYTES];
};

/* "wal-03", "super". */
void sluice_wal_file_name(uint32_t file, char name[SLUICE_WAL_FILE_NAME_BYTES]);

int sluice_wal_files_init(struct sluice_wal_files *files, const char *dir,
			  struct sluice_diag *diag);
void sluice_wal_files_release(struct sluice_wal_files *files);

/*
 * Opens a segment again without O_DSYNC, for writes that are followed by a sync of their own. With
 * the log's locks held and nothing in flight; the new descriptor is locked like the old one.
 */
int sluice_wal_files_relax(struct sluice_wal_files *files, uint32_t file);

int sluice_wal_files_open(struct sluice_wal_io *io, enum sluice_wal_io_mode mode,
			  struct sluice_diag *diag);
int sluice_wal_files_lock(struct sluice_wal_io *io, enum sluice_wal_io_part part, uint64_t wait_ns,
			  struct sluice_diag *diag);
int sluice_wal_files_size(struct sluice_wal_io *io, uint32_t file, uint64_t *ret_bytes);
int sluice_wal_files_read(struct sluice_wal_io *io, uint32_t file, uint64_t offset, void *data,
			  size_t bytes);
int sluice_wal_files_write(struct sluice_wal_io *io, uint32_t file, uint64_t offset,
			   const void *data, size_t bytes);
int sluice_wal_files_sync(struct sluice_wal_io *io, uint32_t file);
/* Of an io_uring: the kernel adds one to this eventfd when reap has something. */
int sluice_wal_io_uring_bell(struct sluice_wal_io *io, int eventfd);

uint64_t sluice_wal_files_monotonic_ns(struct sluice_wal_io *io);
uint64_t sluice_wal_files_realtime_ns(struct sluice_wal_io *io);

#endif
