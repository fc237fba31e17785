/* SPDX-License-Identifier: MIT */
/*
 * backing_hugetlb.c - the ladder's first rung: a file on hugetlbfs, or for a private segment an
 * anonymous hugetlb mapping.
 *
 * The pool is asked first, so that the usual refusal costs nothing and takes no page from others.
 * mmap then reserves, and fails cleanly when another process was faster; faulting in can still
 * fail (a cgroup's limit, a cpuset's node), which MADV_POPULATE_WRITE turns into an error.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "shm/backing_internal.h"
#include "shm/hugetlb.h"

/* For the command that helps: with what the caller will ask for next, so that it helps at once. */
static uint64_t wanted_pages(const struct sluice_backing_request *request,
			     const struct sluice_hugetlb_refusal *refusal)
{
	return refusal->need +
	       (request->more_bytes + request->page_bytes - 1) / request->page_bytes;
}

static void refuse_for_pool(const struct sluice_backing_request *request, bool mounted,
			    struct sluice_hugetlb_refusal *refusal)
{
	struct sluice_hugetlb_pool pool = {0};

	(void)sluice_hugetlb_pool(request->page_bytes, &pool);
	refusal->error = -ENOMEM;
	snprintf(refusal->reason, sizeof(refusal->reason),
		 "pool has %" PRIu64 " free of %" PRIu64, pool.free, pool.total);
	sluice_hugetlb_command(request->page_bytes, wanted_pages(request, refusal), mounted,
			       refusal->command, sizeof(refusal->command));
}

/* The pool and the mounts, before anything is made. */
static int check_pool(const struct sluice_backing_request *request, const struct sluice_dirs *dirs,
		      struct sluice_hugetlb_refusal *refusal)
{
	const bool mounted = dirs->count > 0 || !request->name;
	struct sluice_hugetlb_pool pool;
	char size[16];

	sluice_hugetlb_size_text(request->page_bytes, size, sizeof(size));
	if (sluice_hugetlb_pool(request->page_bytes, &pool)) {
		refusal->error = -ENOMEM;
		snprintf(refusal->reason, sizeof(refusal->reason),
			 "this kernel has no huge pages of %s", size);
		return refusal->error;
	}
	if (pool.free + pool.growth < refusal->need) {
		refuse_for_pool(request, mounted, refusal);
		return refusal->error;
	}
	if (mounted)
		return 0;
	refusal->error = -ENOMEM;
	snprintf(refusal->reason, sizeof(refusal->reason),
		 "no hugetlbfs with pages of %s is mounted", size);
	sluice_hugetlb_command(request->page_bytes, wanted_pages(request, refusal), false,
			       refusal->command, sizeof(refusal->command));
	return refusal->error;
}

/* In the first directory that lets us: others may be another user's. */
static int create_file(struct sluice_backing_memory *backing,
		       const struct sluice_backing_request *request,
		       const struct sluice_dirs *dirs, struct sluice_hugetlb_refusal *refusal)
{
	int err = -EACCES;

	for (uint32_t i = 0; i < dirs->count; i++) {
		err = sluice_backing_create_file(backing, dirs->path[i], request->name);
		if (!err)
			return 0;
		sluice_backing_discard(backing);
	}
	refusal->error = err;
	snprintf(refusal->reason, sizeof(refusal->reason), "cannot make a file in %.100s: %s",
		 dirs->path[0], strerror(-err));
	/* a cut command is worse than none */
	if (err != -EACCES || strlen(dirs->path[0]) > 100)
		return err;
	snprintf(refusal->command, sizeof(refusal->command),
		 "sudo mkdir -p %.100s/sluice && sudo chown %u:%u %.100s/sluice && "
		 "export SLUICE_HUGETLB_DIR=%.100s/sluice",
		 dirs->path[0], geteuid(), getegid(), dirs->path[0], dirs->path[0]);
	return err;
}

static uint8_t *map_pages(const struct sluice_backing_memory *backing, uint32_t page_bytes)
{
	const int size_flag = __builtin_ctz(page_bytes) << MAP_HUGE_SHIFT;
	uint8_t *base;

	if (backing->fd >= 0)
		return sluice_backing_map(backing->fd, backing->total_bytes,
					  PROT_READ | PROT_WRITE);
	base = mmap(NULL, backing->total_bytes, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS | MAP_HUGETLB | size_flag, -1, 0);
	return base == MAP_FAILED ? NULL : base;
}

/* A mount with a size of its own is short while the pool is not. */
static bool is_mount_full(const struct sluice_backing_memory *backing, uint64_t need)
{
	struct statfs fs;

	return backing->fd >= 0 && !fstatfs(backing->fd, &fs) && (int64_t)fs.f_blocks > 0 &&
	       fs.f_bavail < need;
}

static void refuse_for_mapping(const struct sluice_backing_memory *backing, int err,
			       const struct sluice_backing_request *request,
			       struct sluice_hugetlb_refusal *refusal)
{
	struct sluice_hugetlb_pool pool = {0};

	if (is_mount_full(backing, refusal->need)) {
		refusal->error = -ENOMEM;
		snprintf(refusal->reason, sizeof(refusal->reason),
			 "the mount at %.100s is limited by its size= option", backing->directory);
		snprintf(refusal->command, sizeof(refusal->command),
			 "sudo mount -o remount,size=%" PRIu64 "M %.100s",
			 backing->total_bytes >> 20, backing->directory);
		return;
	}
	(void)sluice_hugetlb_pool(request->page_bytes, &pool);
	if (err == -ENOMEM && pool.free + pool.growth < refusal->need) {
		refuse_for_pool(request, true, refusal);
		return;
	}
	refusal->error = -ENOMEM;
	snprintf(refusal->reason, sizeof(refusal->reason),
		 "the pool has %" PRIu64
		 " free, but the kernel refused: a cgroup's hugetlb limit or a cpuset?",
		 pool.free);
}

int sluice_backing_open_hugetlb(struct sluice_backing_memory *backing,
				const struct sluice_backing_request *request,
				struct sluice_hugetlb_refusal *ret_refusal)
{
	struct sluice_dirs dirs = {0};
	int err;

	backing->total_bytes = sluice_backing_round_up(request->bytes, request->page_bytes);
	ret_refusal->need = backing->total_bytes / request->page_bytes;
	if (request->name)
		sluice_hugetlb_dirs(request->page_bytes, &dirs);
	err = check_pool(request, &dirs, ret_refusal);
	if (!err && request->name)
		err = create_file(backing, request, &dirs, ret_refusal);
	if (err)
		return err;
	backing->base = map_pages(backing, request->page_bytes);
	err = backing->base ? sluice_backing_fill(backing, request) : -errno;
	if (!err)
		err = sluice_backing_measure(backing->base, backing->total_bytes,
					     &backing->huge_bytes, &backing->page_bytes);
	if (!err && backing->huge_bytes == backing->total_bytes &&
	    backing->page_bytes == request->page_bytes) {
		backing->backing = SLUICE_BACKING_HUGETLBFS;
		return 0;
	}
	refuse_for_mapping(backing, err, request, ret_refusal);
	sluice_backing_discard(backing);
	return ret_refusal->error;
}
