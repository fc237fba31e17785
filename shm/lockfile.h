/* SPDX-License-Identifier: MIT */
/*
 * lockfile.h - NAME.lk and its bytes. A byte is an open-file-description write lock: it belongs to
 * the open file, not to the process or thread, and the kernel drops it after the last descriptor of
 * that open file is gone, which for a killed process is after its memory is gone.
 */
#ifndef SLUICE_SHM_LOCKFILE_H
#define SLUICE_SHM_LOCKFILE_H

#include <sys/types.h>

#include "shm/diag.h"

/*
 * In the child of a fork the descriptors that acquire gave are dead: they stand for nothing, so no
 * byte of the parent lives on in the child, and every question through them is -EBADF. A child made
 * by vfork, posix_spawn or a bare clone() keeps them until it executes a program or ends.
 */

/* All bytes, those of later versions included. */
#define SLUICE_LOCK_ALL_FIRST 0
#define SLUICE_LOCK_ALL_COUNT 0 /* fcntl's "to the end of everything" */

struct sluice_lock_range {
	short type; /* F_WRLCK or F_RDLCK */
	off_t first;
	off_t count;
};

/* Never waits. -EAGAIN: somebody else's open file holds a conflicting byte. */
int sluice_lockfile_try(int fd, struct sluice_lock_range range);
int sluice_lockfile_drop(int fd, off_t first, off_t count);

/* 1: another open file holds a byte of the range in conflict with `range.type`; 0: none; -errno. */
int sluice_lockfile_held(int fd, struct sluice_lock_range range);

/* True while `path` names the very file behind `fd`. */
bool sluice_lockfile_is_named(const char *path, int fd);

/*
 * Opens `path` read-write, created with `mode` if `mode` is not 0, takes the range and makes sure
 * that the path still names what was locked. Returns the descriptor, to be closed with
 * sluice_lockfile_close. Waits up to `wait_ms` for
 * somebody else's creation or clean-up: -EBUSY. -ENOENT, -EACCES, -EPERM as the text says.
 */
int sluice_lockfile_acquire(const char *path, struct sluice_lock_range range, mode_t mode,
			    uint32_t wait_ms, struct sluice_diag *diag);

#define SLUICE_LOCKFILE_WAIT_MS 2000

/* Closes what acquire gave; its bytes go with it. */
void sluice_lockfile_close(int fd);

/* True in a child for a descriptor that acquire gave its parent. */
bool sluice_lockfile_is_inherited(int fd);

#endif
