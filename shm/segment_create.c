/* SPDX-License-Identifier: MIT */
/*
 * segment_create.c - making a segment that is complete before anybody can see it.
 *
 * Order: creator byte of the lock file; is the name free on every backing; pages under a private
 * temporary name; header and control words; rename without replacing. A crash before the rename
 * leaves a temporary and perhaps a lock file, both without a holder, which gc removes. A crash
 * after it leaves a whole segment. The creator's thread only; takes milliseconds per MiB.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shm/backing.h"
#include "shm/header.h"
#include "shm/lockfile.h"
#include "shm/names.h"
#include "shm/numa.h"
#include "shm/participant.h"
#include "shm/segment_internal.h"

#define DEFAULT_MODE 0640u
#define LOCK_MODE 0600u
#define ABANDONED_WAIT_MS 200

static const struct sluice_lock_range creator_byte = {F_WRLCK, SLUICE_LOCK_CREATOR, 1};
static const struct sluice_lock_range attached_byte = {F_RDLCK, SLUICE_LOCK_ATTACHED, 1};

/* Who may write the data must be able to hold a byte; who may only read must not. */
static mode_t lock_mode(uint32_t mode)
{
	return LOCK_MODE | (mode & 0020 ? 0060 : 0) | (mode & 0002 ? 0006 : 0);
}

static int name_taken(const char *name, const char *path, struct sluice_diag *diag)
{
	sluice_diag_set(diag, EEXIST, "segment \"%s\" exists already: %s", name, path);
	sluice_diag_hint(diag, "sluice gc --yes    (if nobody uses it any more)");
	return -EEXIST;
}

static int open_lock(struct sluice_segment *segment, uint32_t mode, struct sluice_diag *diag)
{
	int err;

	segment->lock_fd = sluice_lockfile_acquire(segment->lock_path, creator_byte,
						   lock_mode(mode), SLUICE_LOCKFILE_WAIT_MS, diag);
	if (segment->lock_fd < 0)
		return segment->lock_fd;
	segment->probe_fd = open(segment->lock_path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (segment->probe_fd < 0)
		return sluice_diag_set(diag, errno, "cannot open the lock file %s: %s",
				       segment->lock_path, strerror(errno));
	err = sluice_lockfile_try(segment->lock_fd, attached_byte);
	if (err)
		return sluice_diag_set(diag, -err, "cannot lock %s: %s", segment->lock_path,
				       strerror(-err));
	return 0;
}

/* Whoever holds the creator byte may remove the lock file of a name that holds nothing. */
static void drop_lock(struct sluice_segment *segment)
{
	char ignored[SLUICE_PATH_BYTES];

	if (segment->lock_fd >= 0) {
		if (sluice_names_find(segment->header.name, ignored) == -ENOENT)
			unlink(segment->lock_path);
		sluice_lockfile_close(segment->lock_fd);
	}
	if (segment->probe_fd >= 0)
		close(segment->probe_fd);
}

/*
 * Our own bytes do not conflict with the question. A held byte without a file: somebody removed the
 * name under living participants. A second segment would split them from those to come.
 */
static int check_abandoned(const struct sluice_segment *segment, struct sluice_diag *diag)
{
	const struct sluice_lock_range all = {F_WRLCK, SLUICE_LOCK_ALL_FIRST,
					      SLUICE_LOCK_ALL_COUNT};

	/* an attacher that just missed the former life of the name lets go by itself */
	for (int waited_ms = 0; waited_ms < ABANDONED_WAIT_MS; waited_ms++) {
		if (!sluice_lockfile_held(segment->lock_fd, all))
			return 0;
		usleep(1000);
	}
	return sluice_diag_set(diag, EBUSY,
			       "the file of segment \"%s\" was removed, but processes still use it: stop them first",
			       segment->header.name);
}

/* -------------------------------------------------------------------------------- contents */

static int get_pages(struct sluice_segment *segment, const struct sluice_segment_options *options,
		     struct sluice_backing_memory *ret_memory, struct sluice_diag *diag)
{
	struct sluice_backing_request request = {
		.name = options->name,
		.bytes = segment->header.total_bytes,
		.more_bytes = options->more_bytes,
		.hugepages = options->hugepages,
		.page_bytes = options->page_bytes ? options->page_bytes : SLUICE_HUGE_BYTES,
	};
	int err = sluice_numa_choose(options->numa_node, &request.numa_node, diag);

	return err ? err : sluice_backing_open(ret_memory, &request, diag);
}

/*
 * A critical consumer that has never been here: away, gating from the first event on, so that
 * nothing that is published before it comes is lost to it. Found by its name when it joins.
 */
static void reserve(struct sluice_segment *segment, const char *name, uint32_t index)
{
	struct sluice_participant *entry = &segment->participants[index];
	const uint64_t bit = 1ull << index;

	entry->role = SLUICE_ROLE_CONSUMER;
	entry->cpu = -1;
	memcpy(entry->name, name, strlen(name)); /* length checked; the rest is zero */
	/* relaxed, all: nobody else can map it before the rename */
	atomic_store_explicit(&entry->policy, SLUICE_POLICY_CRITICAL, memory_order_relaxed);
	atomic_store_explicit(&entry->position, segment->header.base_sequence,
			      memory_order_relaxed);
	atomic_store_explicit(&entry->state,
			      1ull << SLUICE_PARTICIPANT_GENERATION_SHIFT |
				      SLUICE_PARTICIPANT_DETACHED,
			      memory_order_relaxed);
	atomic_fetch_or_explicit(&segment->control->gating, bit, memory_order_relaxed);
}

static int check_reserved(const struct sluice_segment_options *options, struct sluice_diag *diag)
{
	const uint32_t room = options->participant_count ? options->participant_count :
							   SLUICE_PARTICIPANTS_MAX;
	uint32_t count = 0;

	for (const char *const *name = options->reserve; name && *name; name++) {
		const int err = sluice_participant_check_name(*name, diag);

		if (err)
			return err;
		if (++count > room)
			return sluice_diag_set(diag, EINVAL,
					       "more consumers are to be reserved than the table has entries (%u)",
					       room);
		for (const char *const *other = options->reserve; other != name; other++)
			if (!strcmp(*other, *name))
				return sluice_diag_set(diag, EINVAL,
						       "consumer \"%s\" is to be reserved twice",
						       *name);
	}
	return 0;
}

/* What is not set here is zero, and means free, idle or never published: no stamp of 0 is. */
static int fill(struct sluice_segment *segment, const struct sluice_segment_options *options,
		const struct sluice_backing_memory *memory, struct sluice_diag *diag)
{
	struct sluice_header *header = &segment->header;
	int err = sluice_header_identify(header, diag);

	if (err)
		return err;
	header->total_bytes = memory->total_bytes;
	header->huge_bytes = memory->huge_bytes;
	header->page_bytes = memory->page_bytes;
	header->backing = memory->backing;
	header->numa_node = memory->numa_node;
	sluice_header_seal(header);
	segment->base = memory->base;
	segment->total_bytes = memory->total_bytes;
	segment->fd = memory->fd;
	segment->writable = 1;
	segment->owns_name = memory->fd >= 0;
	memcpy(segment->note, memory->note, sizeof(segment->note));
	sluice_segment_point(segment);
	memcpy(segment->base, header, sizeof(*header));
	/* relaxed: nobody else can map it before the rename */
	atomic_store_explicit(&segment->control->claim, header->base_sequence,
			      memory_order_relaxed);
	/* relaxed: as above */
	atomic_store_explicit(&segment->control->cursor, header->base_sequence,
			      memory_order_relaxed);
	/* relaxed: as above */
	atomic_store_explicit(&segment->control->state, SLUICE_STATE_READY, memory_order_relaxed);
	for (uint32_t i = 0; options->reserve && options->reserve[i]; i++)
		reserve(segment, options->reserve[i], i);
	return 0;
}

/* What we made must pass what we demand of others. */
static int check_own(const struct sluice_segment *segment, struct sluice_diag *diag)
{
	const struct sluice_header_expectation expected = {
		.name = segment->header.name,
		.file_bytes = segment->total_bytes,
		.access = SLUICE_ACCESS_WRITE,
	};

	return sluice_header_check(&segment->header, &expected, diag);
}

static int publish(struct sluice_segment *segment, const struct sluice_backing_memory *memory,
		   uint32_t mode, struct sluice_diag *diag)
{
	const char *name = segment->header.name;
	int err = sluice_names_path(segment->path, memory->directory, name);

	if (err)
		return sluice_diag_set(diag, -err, "the directory %s is too long a path",
				       memory->directory);
	if (fchmod(segment->fd, mode))
		return sluice_diag_set(diag, errno, "cannot set the mode of %s: %s",
				       memory->temporary, strerror(errno));
	if (renameat2(AT_FDCWD, memory->temporary, AT_FDCWD, segment->path, RENAME_NOREPLACE)) {
		if (errno == EEXIST)
			return name_taken(name, segment->path, diag);
		return sluice_diag_set(diag, errno, "cannot name segment \"%s\" %s: %s", name,
				       segment->path, strerror(errno));
	}
	return 0;
}

/* ---------------------------------------------------------------------------------- create */

static int create_private(struct sluice_segment *segment,
			  const struct sluice_segment_options *options, struct sluice_diag *diag)
{
	struct sluice_backing_memory memory;
	int err = get_pages(segment, options, &memory, diag);

	if (err)
		return err;
	err = fill(segment, options, &memory, diag);
	if (err)
		sluice_backing_discard(&memory);
	return err;
}

static int create_named(struct sluice_segment *segment,
			const struct sluice_segment_options *options, struct sluice_diag *diag)
{
	const uint32_t mode = options->mode ? options->mode : DEFAULT_MODE;
	struct sluice_backing_memory memory = {.fd = -1};
	int err = sluice_names_lock_path(segment->lock_path, options->name);

	if (err)
		return sluice_diag_set(diag, -err, "the directory %s is too long a path",
				       sluice_names_shm_dir());
	if (!sluice_names_find(options->name, segment->path))
		return name_taken(options->name, segment->path, diag);
	err = open_lock(segment, mode, diag);
	/* again, now that nobody else can be creating it */
	if (!err && !sluice_names_find(options->name, segment->path))
		err = name_taken(options->name, segment->path, diag);
	if (!err)
		err = check_abandoned(segment, diag);
	if (!err)
		err = get_pages(segment, options, &memory, diag);
	if (!err)
		err = fill(segment, options, &memory, diag);
	if (!err)
		err = check_own(segment, diag);
	if (!err)
		err = publish(segment, &memory, mode, diag);
	if (err) {
		sluice_backing_discard(&memory);
		drop_lock(segment);
		return err;
	}
	sluice_lockfile_drop(segment->lock_fd, SLUICE_LOCK_CREATOR, 1);
	return 0;
}

int sluice_segment_create(struct sluice_segment *ret_segment,
			  const struct sluice_segment_options *options, struct sluice_diag *diag)
{
	struct sluice_segment segment = {.fd = -1, .lock_fd = -1, .probe_fd = -1};
	int err = sluice_header_plan(&segment.header, options, diag);

	if (!err)
		err = check_reserved(options, diag);
	if (!err)
		err = options->name ? create_named(&segment, options, diag) :
				      create_private(&segment, options, diag);
	if (!err)
		*ret_segment = segment;
	return err;
}
