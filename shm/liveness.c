/* SPDX-License-Identifier: MIT */
/*
 * liveness.c - a participant lives while its byte of NAME.lk is held.
 *
 * The byte belongs to segment->lock_fd's open file. The kernel closes a killed process's files
 * after its memory is gone, so a free byte proves that none of its threads can store any more; a
 * stopped process keeps it, a zombie has lost it. A child that inherited the descriptor would keep
 * it alive beyond its parent: fork handlers take it from the child (lockfile.c), programs that are
 * executed do not get it, and the mapping is not the child's either (MADV_DONTFORK).
 *
 * An open file does not conflict with its own locks. Questions are therefore asked through
 * probe_fd, which is another one, and hold asks before it locks: two handles of one process must
 * not both believe that they own a byte. Any thread; a few hundred nanoseconds; never blocks for
 * another process.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "shm/lockfile.h"
#include "shm/segment.h"

/* hold is "ask, then lock": one at a time within this process, the kernel decides among several */
static pthread_mutex_t hold_mutex = PTHREAD_MUTEX_INITIALIZER;

SLUICE_STATIC_ASSERT(SLUICE_LOCK_RECOVERER >= SLUICE_PARTICIPANTS_MAX, "bytes have one meaning each");

static bool is_private(const struct sluice_segment *segment)
{
	return segment->header.backing == SLUICE_BACKING_PRIVATE;
}

static struct sluice_lock_range byte_of(uint32_t index)
{
	return (struct sluice_lock_range){F_WRLCK, (off_t)index, 1};
}

int sluice_liveness_hold(const struct sluice_segment *segment, uint32_t index)
{
	int err;

	if (is_private(segment))
		return 0;
	if (index >= SLUICE_LOCK_ATTACHED)
		return -EINVAL;
	if (segment->lock_fd < 0)
		return -EBADF;
	pthread_mutex_lock(&hold_mutex);
	err = sluice_lockfile_held(segment->probe_fd, byte_of(index));
	if (err > 0)
		err = -EAGAIN;
	if (!err)
		err = sluice_lockfile_try(segment->lock_fd, byte_of(index));
	pthread_mutex_unlock(&hold_mutex);
	return err;
}

int sluice_liveness_release(const struct sluice_segment *segment, uint32_t index)
{
	if (is_private(segment))
		return 0;
	if (index >= SLUICE_LOCK_ATTACHED)
		return -EINVAL;
	if (segment->lock_fd < 0)
		return -EBADF;
	return sluice_lockfile_drop(segment->lock_fd, (off_t)index, 1);
}

int sluice_liveness_probe(const struct sluice_segment *segment, uint32_t index)
{
	if (is_private(segment))
		return 1;
	if (index > SLUICE_LOCK_ATTACHED)
		return -EINVAL;
	if (segment->probe_fd < 0)
		return -EACCES;
	return sluice_lockfile_held(segment->probe_fd, byte_of(index));
}
