/* SPDX-License-Identifier: MIT */
/*
 * disk.c - follows st_dev through /sys/dev/block to the disks: a partition to its parent, md and dm
 * to their slaves, a loop device to its file. A filesystem without a device number of its own kind
 * (btrfs) is found by the source of its mount. Every step is bounded: sysfs is the kernel's word,
 * but SLUICE_SYSROOT may be anything.
 */
#include "shm/disk_internal.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define DEPTH_MAX 8 /* partition on dm on md on loop ... */

static void follow_device(struct sluice_disks *disks, dev_t device, int depth);

const char *sluice_disk_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool exists(const char *directory, const char *name)
{
	char path[PATH_MAX];

	return snprintf(path, sizeof(path), "%s/%s", directory, name) < (int)sizeof(path) &&
	       access(path, F_OK) == 0;
}

/* The file that a loop device is made of; false if the device is none. */
static bool loop_device(const char *block, dev_t *ret_device)
{
	char path[PATH_MAX];
	char backing[PATH_MAX] = "";
	struct stat status;

	if (snprintf(path, sizeof(path), "%s/loop/backing_file", block) >= (int)sizeof(path))
		return false;

	FILE *file = fopen(path, "re");

	if (!file)
		return false;

	const bool read = fgets(backing, sizeof(backing), file) != NULL;

	fclose(file);
	backing[strcspn(backing, "\n")] = '\0';
	if (!read || stat(backing, &status))
		return false;
	*ret_device = status.st_dev;
	return true;
}

static void add_disk(struct sluice_disks *disks, const char *block)
{
	for (uint32_t i = 0; i < disks->count; i++)
		if (strcmp(disks->path[i], block) == 0)
			return;
	if (disks->count < SLUICE_DISKS_MAX)
		snprintf(disks->path[disks->count++], PATH_MAX, "%s", block);
}

static void follow_block(struct sluice_disks *disks, const char *link, int depth);

/* True if there were slaves. */
static bool follow_slaves(struct sluice_disks *disks, const char *block, int depth)
{
	char path[PATH_MAX];
	bool any = false;

	if (snprintf(path, sizeof(path), "%s/slaves", block) >= (int)sizeof(path))
		return false;

	DIR *slaves = opendir(path);

	if (!slaves)
		return false;
	for (struct dirent *entry; (entry = readdir(slaves));) {
		char slave[PATH_MAX];

		if (entry->d_name[0] == '.' || snprintf(slave, sizeof(slave), "%s/%s", path,
							entry->d_name) >= (int)sizeof(slave))
			continue;
		any = true;
		follow_block(disks, slave, depth + 1);
	}
	closedir(slaves);
	return any;
}

static void follow_block(struct sluice_disks *disks, const char *link, int depth)
{
	char block[PATH_MAX];
	dev_t below;

	if (depth > DEPTH_MAX || !realpath(link, block))
		return;
	if (exists(block, "partition"))
		*strrchr(block, '/') = '\0';
	if (follow_slaves(disks, block, depth))
		return;
	if (loop_device(block, &below))
		follow_device(disks, below, depth + 1);
	else
		add_disk(disks, block);
}

/* Fields 3, and after " - " the type and the source, of one line of mountinfo. */
static bool read_mount(char *line, dev_t device, char **ret_type, char **ret_source)
{
	unsigned int major_number;
	unsigned int minor_number;
	char *rest = strstr(line, " - ");

	if (!rest || sscanf(line, "%*u %*u %u:%u", &major_number, &minor_number) != 2 ||
	    makedev(major_number, minor_number) != device)
		return false;
	*ret_type = strtok_r(rest + 3, " \n", &rest);
	*ret_source = strtok_r(NULL, " \n", &rest);
	return *ret_type && *ret_source;
}

/* The device's mount: what kind of filesystem, and the block device it names, if it names one. */
static void follow_mount(struct sluice_disks *disks, dev_t device, char *ret_filesystem,
			 size_t capacity)
{
	char path[PATH_MAX];
	char *line = NULL;
	size_t line_bytes = 0;
	char *type;
	char *source;

	snprintf(path, sizeof(path), "%s/proc/self/mountinfo", disks->sysroot);

	FILE *file = fopen(path, "re");

	if (!file)
		return;
	while (getline(&line, &line_bytes, file) > 0) {
		char resolved[PATH_MAX];

		if (!read_mount(line, device, &type, &source))
			continue;
		snprintf(ret_filesystem, capacity, "%s", type);
		if (source[0] != '/')
			break;
		/* /dev/mapper/name is a link to /dev/dm-0 */
		snprintf(path, sizeof(path), "%.1000s/sys/class/block/%.255s", disks->sysroot,
			 sluice_disk_name(realpath(source, resolved) ? resolved : source));
		follow_block(disks, path, 0);
		break;
	}
	free(line);
	fclose(file);
}

static void follow_device(struct sluice_disks *disks, dev_t device, int depth)
{
	char link[PATH_MAX];

	if (snprintf(link, sizeof(link), "%s/sys/dev/block/%u:%u", disks->sysroot, major(device),
		     minor(device)) < (int)sizeof(link))
		follow_block(disks, link, depth);
}

/* A log that is still to be made will lie on its parent's disk. */
static int stat_nearest(const char *directory, struct stat *ret_status)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s", directory) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	while (stat(path, ret_status)) {
		if (errno != ENOENT)
			return -errno;

		char *slash = strrchr(path, '/');

		if (!slash)
			snprintf(path, sizeof(path), ".");
		else if (slash == path)
			path[1] = '\0';
		else
			*slash = '\0';
	}
	return 0;
}

int sluice_disks_find(struct sluice_disks *disks, const char *directory, char *ret_filesystem,
		      size_t capacity)
{
	struct stat status;
	const int error = stat_nearest(directory, &status);

	sluice_assert(capacity > 0);
	disks->count = 0;
	if (error)
		return error;
	follow_device(disks, status.st_dev, 0);
	if (!disks->count) {
		snprintf(ret_filesystem, capacity, "this filesystem");
		follow_mount(disks, status.st_dev, ret_filesystem, capacity);
	}
	return disks->count ? 0 : -ENODEV;
}
