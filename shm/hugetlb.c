/* SPDX-License-Identifier: MIT */
/*
 * hugetlb.c - pools from /sys/kernel/mm/hugepages, mounts from /proc/self/mounts. statfs has the
 * last word on what a directory is: mount options are only where to look.
 */
#include "shm/hugetlb.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>

#include "shm/proc.h"

static int pool_word(uint32_t page_bytes, const char *word, uint64_t *ret_value)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/hugepages-%ukB/%s",
		 page_bytes / 1024, word);
	return sluice_proc_read_u64(path, ret_value);
}

int sluice_hugetlb_pool(uint32_t page_bytes, struct sluice_hugetlb_pool *ret_pool)
{
	uint64_t total;
	uint64_t unused;
	uint64_t reserved = 0;
	uint64_t overcommit = 0;
	uint64_t surplus = 0;

	if (pool_word(page_bytes, "nr_hugepages", &total) ||
	    pool_word(page_bytes, "free_hugepages", &unused))
		return -ENOENT;
	/* absent words count as 0: then the mapping itself decides */
	(void)pool_word(page_bytes, "resv_hugepages", &reserved);
	(void)pool_word(page_bytes, "nr_overcommit_hugepages", &overcommit);
	(void)pool_word(page_bytes, "surplus_hugepages", &surplus);
	ret_pool->total = total;
	ret_pool->free = unused > reserved ? unused - reserved : 0;
	ret_pool->growth = overcommit > surplus ? overcommit - surplus : 0;
	return 0;
}

bool sluice_hugetlb_is_dir(const char *dir, uint32_t *ret_page_bytes)
{
	struct statfs fs;

	if (statfs(dir, &fs) || fs.f_type != HUGETLBFS_MAGIC)
		return false;
	*ret_page_bytes = (uint32_t)fs.f_bsize;
	return true;
}

static void add_dir(struct sluice_dirs *dirs, const char *dir, uint32_t page_bytes)
{
	const size_t bytes = strlen(dir) + 1;
	uint32_t found;

	if (dirs->count == SLUICE_DIRS_MAX || bytes > SLUICE_PATH_BYTES)
		return;
	if (!sluice_hugetlb_is_dir(dir, &found) || (page_bytes && found != page_bytes))
		return;
	memcpy(dirs->path[dirs->count++], dir, bytes);
}

void sluice_hugetlb_dirs(uint32_t page_bytes, struct sluice_dirs *ret_dirs)
{
	const char *given = secure_getenv("SLUICE_HUGETLB_DIR");
	struct mntent entry;
	char text[4096];
	FILE *mounts;

	ret_dirs->count = 0;
	if (given) {
		add_dir(ret_dirs, given, page_bytes);
		return;
	}
	mounts = setmntent("/proc/self/mounts", "re");
	if (!mounts)
		return;
	while (getmntent_r(mounts, &entry, text, sizeof(text)))
		if (!strcmp(entry.mnt_type, "hugetlbfs"))
			add_dir(ret_dirs, entry.mnt_dir, page_bytes);
	endmntent(mounts);
}

void sluice_hugetlb_size_text(uint64_t page_bytes, char *ret_text, size_t bytes)
{
	if (page_bytes >= 1u << 30)
		snprintf(ret_text, bytes, "%" PRIu64 " GiB", page_bytes >> 30);
	else if (page_bytes >= 1u << 20)
		snprintf(ret_text, bytes, "%" PRIu64 " MiB", page_bytes >> 20);
	else
		snprintf(ret_text, bytes, "%" PRIu64 " KiB", page_bytes >> 10);
}

/* The size that vm.nr_hugepages speaks of. */
static bool is_default_size(uint32_t page_bytes)
{
	FILE *file = fopen("/proc/meminfo", "re");
	char line[128];
	uint64_t kib = 0;

	if (!file)
		return false;
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "Hugepagesize: %" SCNu64 " kB", &kib) == 1)
			break;
	fclose(file);
	return kib * 1024 == page_bytes;
}

void sluice_hugetlb_command(uint32_t page_bytes, uint64_t need, bool mounted, char *ret_command,
			    size_t bytes)
{
	const bool giant = page_bytes >= 1u << 30;
	const char *dir = giant ? "/dev/hugepages1G" : "/dev/hugepages";
	struct sluice_hugetlb_pool pool;
	char grow[128] = "";
	char mount[128] = "";

	*ret_command = '\0';
	if (sluice_hugetlb_pool(page_bytes, &pool))
		return;
	if (pool.free + pool.growth < need) {
		const uint64_t wanted = pool.total + need - pool.free;

		if (is_default_size(page_bytes))
			snprintf(grow, sizeof(grow), "sudo sysctl -w vm.nr_hugepages=%" PRIu64,
				 wanted);
		else
			snprintf(grow, sizeof(grow),
				 "echo %" PRIu64 " | sudo tee /sys/kernel/mm/hugepages/"
				 "hugepages-%ukB/nr_hugepages",
				 wanted, page_bytes / 1024);
	}
	if (!mounted)
		snprintf(mount, sizeof(mount),
			 "sudo mkdir -p %s && sudo mount -t hugetlbfs -o pagesize=%u%s none %s", dir,
			 giant ? page_bytes >> 30 : page_bytes >> 20, giant ? "G" : "M", dir);
	snprintf(ret_command, bytes, "%s%s%s", grow, *grow && *mount ? " && " : "", mount);
}
