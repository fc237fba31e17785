/* SPDX-License-Identifier: MIT */
/*
 * backing.c - the ladder on POSIX shm, and what all rungs share: mapping, faulting in, measuring.
 * backing_hugetlb.c is the first rung.
 *
 *   1 hugetlbfs file          reserved by the mapping, KernelPageSize says so
 *   2 shm, the mount's huge=  MADV_HUGEPAGE before the first touch, ShmemPmdMapped says so
 *   3 shm, MADV_COLLAPSE      after the first touch, ShmemPmdMapped says so
 *   4 shm, small pages
 *
 * Pages are faulted in by MADV_POPULATE_WRITE and not by fallocate: fallocate sees neither the
 * mapping's NUMA policy nor its advice for huge pages, and on hugetlbfs a failed one keeps pages.
 * A crash leaves the temporary name, which gc removes.
 */
#include "shm/backing.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "shm/backing_internal.h"
#include "shm/hugetlb.h"
#include "shm/numa.h"
#include "shm/proc.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#define COLLAPSE_TRIES 8 /* it fails with EAGAIN while pages are on their way elsewhere */
#define MIB (1ull << 20)

const char *sluice_backing_name(uint32_t backing)
{
	static const char *const names[] = {
		[SLUICE_BACKING_PRIVATE] = "private",
		[SLUICE_BACKING_HUGETLBFS] = "hugetlbfs",
		[SLUICE_BACKING_SHM_HUGE] = "shm-huge",
		[SLUICE_BACKING_SHM_COLLAPSE] = "shm-collapse",
		[SLUICE_BACKING_SHM_SMALL] = "shm-small",
	};

	return backing < sizeof(names) / sizeof(names[0]) ? names[backing] : "unknown";
}

static uint32_t small_page_bytes(void)
{
	return (uint32_t)sysconf(_SC_PAGESIZE);
}

uint64_t sluice_backing_round_up(uint64_t bytes, uint64_t unit)
{
	return (bytes + unit - 1) / unit * unit;
}

/* --------------------------------------------------------------------------------- mapping */

static bool is_hugetlbfs(int fd)
{
	struct statfs fs;

	return fd >= 0 && !fstatfs(fd, &fs) && fs.f_type == HUGETLBFS_MAGIC;
}

uint8_t *sluice_backing_map(int fd, uint64_t bytes, int protection)
{
	const int flags = MAP_SHARED | (fd < 0 ? MAP_ANONYMOUS : 0);
	const uint64_t room = bytes + SLUICE_HUGE_BYTES;
	uint8_t *reserved;
	uint8_t *base;
	uint64_t head;

	if (is_hugetlbfs(fd)) {
		base = mmap(NULL, bytes, protection, flags, fd, 0);
		return base == MAP_FAILED ? NULL : base;
	}
	reserved = mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (reserved == MAP_FAILED)
		return NULL;
	head = -(uint64_t)(uintptr_t)reserved & (SLUICE_HUGE_BYTES - 1);
	base = mmap(reserved + head, bytes, protection, flags | MAP_FIXED, fd, 0);
	if (base == MAP_FAILED) {
		const int error = errno;

		munmap(reserved, room);
		errno = error;
		return NULL;
	}
	if (head)
		munmap(reserved, head);
	bytes = sluice_backing_round_up(bytes, small_page_bytes());
	if (room > head + bytes)
		munmap(base + bytes, room - head - bytes);
	return base;
}

int sluice_backing_populate(uint8_t *base, uint64_t bytes, bool writable)
{
	int err;

	do
		err = madvise(base, bytes, writable ? MADV_POPULATE_WRITE : MADV_POPULATE_READ) ?
			      -errno : 0;
	while (err == -EINTR || err == -EAGAIN);
	return err;
}

void sluice_backing_touch(uint8_t *base, uint64_t bytes)
{
	for (uint64_t offset = 0; offset < bytes; offset += small_page_bytes())
		/* relaxed: nobody else maps it yet */
		atomic_store_explicit((_Atomic uint8_t *)(base + offset), 0, memory_order_relaxed);
}

int sluice_backing_measure(const uint8_t *base, uint64_t bytes, uint64_t *ret_huge_bytes,
			   uint32_t *ret_page_bytes)
{
	const uint32_t small = small_page_bytes();
	struct sluice_range_pages pages;
	int err = sluice_proc_range_pages(base, bytes, &pages);

	if (err)
		return err;
	if (pages.kernel_page_bytes > small) {
		*ret_huge_bytes = pages.hugetlb_bytes;
		*ret_page_bytes = pages.kernel_page_bytes;
	} else {
		*ret_huge_bytes = pages.shmem_pmd_bytes;
		*ret_page_bytes = pages.shmem_pmd_bytes == bytes ? (uint32_t)SLUICE_HUGE_BYTES :
								   small;
	}
	return 0;
}

/* ---------------------------------------------------------------------------- for all rungs */

int sluice_backing_create_file(struct sluice_backing_memory *backing, const char *dir,
			       const char *name)
{
	int err = sluice_names_temporary(backing->temporary, dir, name);

	if (err)
		return err;
	backing->fd = open(backing->temporary,
			   O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (backing->fd < 0) {
		err = -errno;
		backing->temporary[0] = '\0';
		return err;
	}
	snprintf(backing->directory, sizeof(backing->directory), "%s", dir);
	return ftruncate(backing->fd, (off_t)backing->total_bytes) ? -errno : 0;
}

void sluice_backing_discard(struct sluice_backing_memory *backing)
{
	if (backing->base)
		munmap(backing->base, backing->total_bytes);
	if (backing->fd >= 0) {
		/* pages that a failed attempt got are given back even if the name stays */
		(void)!ftruncate(backing->fd, 0);
		unlink(backing->temporary);
		close(backing->fd);
	}
	backing->base = NULL;
	backing->fd = -1;
	backing->temporary[0] = '\0';
}

int sluice_backing_fill(struct sluice_backing_memory *backing,
			const struct sluice_backing_request *request)
{
	int err;

	madvise(backing->base, backing->total_bytes, MADV_DONTDUMP);
	if (request->name) /* a forked child shares neither claims nor the right to recover */
		madvise(backing->base, backing->total_bytes, MADV_DONTFORK);
	sluice_numa_prefer(backing->base, backing->total_bytes, request->numa_node);
	err = sluice_backing_populate(backing->base, backing->total_bytes, true);
	if (err != -EINVAL || backing->fd < 0)
		return err;
	if (fallocate(backing->fd, 0, 0, (off_t)backing->total_bytes))
		return -errno;
	sluice_backing_touch(backing->base, backing->total_bytes);
	return 0;
}

/* ------------------------------------------------------------------------- rungs 2, 3 and 4 */

static int no_room(const struct sluice_backing_memory *backing, const char *name,
		   const struct statfs *fs, struct sluice_diag *diag)
{
	const uint64_t block = (uint64_t)fs->f_bsize;
	const uint64_t unused = fs->f_bavail * block;
	const uint64_t wanted = (fs->f_blocks - fs->f_bavail) * block + backing->total_bytes;
	const uint64_t size_mib = sluice_backing_round_up(wanted, MIB) / MIB;
	const char *dir = sluice_names_shm_dir();

	sluice_diag_set(diag, ENOSPC,
			"%s has %" PRIu64 " KiB free, segment \"%s\" needs %" PRIu64
			" KiB (ENOSPC; in a container: docker run --shm-size=%" PRIu64 "m)",
			dir, unused / 1024, name, backing->total_bytes / 1024, size_mib);
	if (fs->f_type == TMPFS_MAGIC)
		sluice_diag_hint(diag, "sudo mount -o remount,size=%" PRIu64 "M %s", size_mib, dir);
	return -ENOSPC;
}

/* A limit of 0 blocks means none. Asked first so that a hopeless try does not starve others. */
static int check_room(const struct sluice_backing_memory *backing, const char *name,
		      struct sluice_diag *diag)
{
	struct statfs fs;

	if (statfs(sluice_names_shm_dir(), &fs))
		return sluice_diag_set(diag, errno, "cannot use %s: %s", sluice_names_shm_dir(),
				       strerror(errno));
	if (fs.f_blocks && fs.f_bavail * (uint64_t)fs.f_bsize < backing->total_bytes)
		return no_room(backing, name, &fs, diag);
	return 0;
}

static int shm_failed(const struct sluice_backing_memory *backing, const char *name, int err,
		      struct sluice_diag *diag)
{
	struct statfs fs;

	/* a fault tells neither which limit nor whose */
	if ((err == -EFAULT || err == -ENOSPC) && name && !statfs(sluice_names_shm_dir(), &fs) &&
	    fs.f_blocks)
		return no_room(backing, name, &fs, diag);
	if (err == -EFAULT)
		err = -ENOMEM;
	return sluice_diag_set(diag, -err, "cannot get %" PRIu64 " KiB for segment \"%s\"%s%s: %s",
			       backing->total_bytes / 1024, name ? name : "(private)",
			       name ? " in " : "", name ? sluice_names_shm_dir() : "",
			       strerror(-err));
}

/* Leaves in the backing what the kernel says of it. */
static void measure(struct sluice_backing_memory *backing)
{
	backing->huge_bytes = 0;
	backing->page_bytes = small_page_bytes();
	(void)sluice_backing_measure(backing->base, backing->total_bytes, &backing->huge_bytes,
				     &backing->page_bytes);
}

static bool is_huge(const struct sluice_backing_memory *backing)
{
	return backing->huge_bytes == backing->total_bytes;
}

static void collapse(struct sluice_backing_memory *backing)
{
	for (int i = 0; i < COLLAPSE_TRIES; i++)
		if (!madvise(backing->base, backing->total_bytes, MADV_COLLAPSE) ||
		    errno != EAGAIN)
			break;
	/* the new pages' table entries, too */
	(void)sluice_backing_populate(backing->base, backing->total_bytes, true);
	measure(backing);
}

/* Faulted-in pages are made huge if they can be; `backing` says which rung was reached. */
static void climb(struct sluice_backing_memory *backing, uint32_t policy)
{
	backing->backing = SLUICE_BACKING_SHM_HUGE;
	measure(backing);
	if (!is_huge(backing) && policy != SLUICE_HUGEPAGES_OFF) {
		backing->backing = SLUICE_BACKING_SHM_COLLAPSE;
		collapse(backing);
	}
	if (!is_huge(backing))
		backing->backing = SLUICE_BACKING_SHM_SMALL;
	(void)mlock(backing->base, backing->total_bytes); /* best effort against swapping */
}

static int open_shm(struct sluice_backing_memory *backing,
		    const struct sluice_backing_request *request, struct sluice_diag *diag)
{
	const bool small = request->hugepages == SLUICE_HUGEPAGES_OFF;
	int err;

	backing->total_bytes = sluice_backing_round_up(request->bytes, small ? small_page_bytes() :
									       SLUICE_HUGE_BYTES);
	if (request->name) {
		err = check_room(backing, request->name, diag);
		if (err)
			return err;
		err = sluice_backing_create_file(backing, sluice_names_shm_dir(), request->name);
		if (err)
			goto fail;
	}
	backing->base = sluice_backing_map(backing->fd, backing->total_bytes,
					   PROT_READ | PROT_WRITE);
	if (!backing->base) {
		err = -errno;
		goto fail;
	}
	madvise(backing->base, backing->total_bytes, small ? MADV_NOHUGEPAGE : MADV_HUGEPAGE);
	err = sluice_backing_fill(backing, request);
	if (err)
		goto fail;
	climb(backing, request->hugepages);
	return 0;
fail:
	sluice_backing_discard(backing);
	return shm_failed(backing, request->name, err, diag);
}

/* ---------------------------------------------------------------------------------- ladder */

static void take_note(struct sluice_backing_memory *backing,
		      const struct sluice_backing_request *request,
		      const struct sluice_hugetlb_refusal *refusal)
{
	char size[16];
	int chars;

	if (request->hugepages == SLUICE_HUGEPAGES_OFF || is_huge(backing) || !request->name)
		return;
	sluice_hugetlb_size_text(backing->page_bytes, size, sizeof(size));
	chars = snprintf(backing->note, sizeof(backing->note), "%s: %s pages (hugetlbfs: %s%s%s)",
			 request->name, size, refusal->reason, *refusal->command ? "; try: " : "",
			 refusal->command);
	if (chars >= (int)sizeof(backing->note)) /* a cut command is worse than none */
		snprintf(backing->note, sizeof(backing->note), "%s: %s pages (hugetlbfs: %.128s)",
			 request->name, size, refusal->reason);
}

static int refuse(const struct sluice_backing_request *request,
		  const struct sluice_hugetlb_refusal *refusal, struct sluice_diag *diag)
{
	char size[16];

	sluice_hugetlb_size_text(request->page_bytes, size, sizeof(size));
	sluice_diag_set(diag, -refusal->error,
			"cannot reserve %" PRIu64
			" huge pages of %s for segment \"%s\": %s (%s)",
			refusal->need, size, request->name ? request->name : "(private)",
			refusal->reason, strerrorname_np(-refusal->error));
	if (*refusal->command)
		sluice_diag_hint(diag, "%s", refusal->command);
	return refusal->error;
}

int sluice_backing_open(struct sluice_backing_memory *ret_backing,
			const struct sluice_backing_request *request, struct sluice_diag *diag)
{
	const bool require = request->hugepages == SLUICE_HUGEPAGES_REQUIRE;
	struct sluice_backing_memory backing = {.fd = -1};
	struct sluice_hugetlb_refusal refusal = {0};
	bool done = false;
	int err;

	sluice_assert(request->bytes > 0 && request->page_bytes > 0);
	if (require || (request->hugepages == SLUICE_HUGEPAGES_PREFER && request->name)) {
		done = !sluice_backing_open_hugetlb(&backing, request, &refusal);
		if (!done && require)
			return refuse(request, &refusal, diag);
	}
	if (!done) {
		err = open_shm(&backing, request, diag);
		if (err)
			return err;
		take_note(&backing, request, &refusal);
	}
	if (!request->name)
		backing.backing = SLUICE_BACKING_PRIVATE;
	backing.numa_node = sluice_numa_where(backing.base, backing.total_bytes, SLUICE_HUGE_BYTES);
	*ret_backing = backing;
	return 0;
}
