/* SPDX-License-Identifier: MIT */
/* disk_internal.h - from a directory to the disks under it, by sysfs. Used by interrupt.c only. */
#ifndef SLUICE_SHM_DISK_INTERNAL_H
#define SLUICE_SHM_DISK_INTERNAL_H

#include <limits.h>

#include "shm/base.h"

#define SLUICE_DISKS_MAX 16 /* of one array */

struct sluice_disks {
	const char *sysroot;
	uint32_t count;
	char path[SLUICE_DISKS_MAX][PATH_MAX]; /* each disk's directory in /sys/devices */
};

/*
 * Fills disks->path for the directory. 0; -ENOENT or -EACCES: it cannot be looked at; -ENODEV: no
 * disk is under it, and ret_filesystem names what is, e.g. "overlay".
 */
int sluice_disks_find(struct sluice_disks *disks, const char *directory, char *ret_filesystem,
		      size_t capacity);

/* The last component of a path. */
const char *sluice_disk_name(const char *path);

#endif
