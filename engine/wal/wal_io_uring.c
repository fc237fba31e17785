/* SPDX-License-Identifier: MIT */
/*
 * wal_io_uring.c - the first-choice backend, and the only file that names liburing.
 *
 * One WRITE_FIXED with RWF_DSYNC per block on a registered file and buffer, no links, no drain, no
 * timeout on the write; user_data is the block's tag. Completions come in any order. With
 * DEFER_TASKRUN nothing completes unless the owner enters the kernel, so that reap does whenever
 * the kernel has flagged work; a flagged or counted overflow of the completion queue is an error,
 * because a lost completion is a block whose fate is unknown.
 *
 * The thread that creates it is the only one that may call anything here (SINGLE_ISSUER). A crash
 * leaves writes in flight: the kernel finishes them, and the files' locks, after the process.
 */
#include <errno.h>
#include <liburing.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/wal/wal_files.h"

#define SQ_ENTRIES 32u
#define CQ_ENTRIES 128u
#define SUBMIT_TRIES 100
#define NS_PER_S 1000000000u

SLUICE_STATIC_ASSERT(SLUICE_WAL_WINDOW_MAX <= SQ_ENTRIES, "every block in flight has its entry");
SLUICE_STATIC_ASSERT(CQ_ENTRIES >= 4 * SLUICE_WAL_WINDOW_MAX, "completions cannot overflow");

struct uring_io {
	struct sluice_wal_files files;
	struct io_uring ring;
	bool fixed_files;
	bool fixed_buffers;
};

static struct uring_io *uring_of(struct sluice_wal_io *io)
{
	return (struct uring_io *)io;
}

static void say(struct uring_io *uring, const char *what, int error)
{
	char *text = uring->files.io.text;
	size_t used = strlen(text);

	snprintf(text + used, sizeof(uring->files.io.text) - used, "; %s (%s)", what,
		 strerror(error));
}

/* Registration saves work per write; without it the same writes are made in the plain form. */
static int uring_arm(struct sluice_wal_io *io, void *buffers, uint32_t n, size_t each)
{
	struct uring_io *uring = uring_of(io);
	struct iovec parts[SLUICE_WAL_WINDOW_MAX];
	int ret;

	sluice_assert(n <= SLUICE_WAL_WINDOW_MAX);
	for (uint32_t i = 0; i < n; i++)
		parts[i] = (struct iovec){(unsigned char *)buffers + i * each, each};
	ret = io_uring_register_files(&uring->ring, uring->files.fd, SLUICE_WAL_FILES);
	uring->fixed_files = !ret;
	if (ret)
		say(uring, "plain files", -ret);
	ret = io_uring_register_buffers(&uring->ring, parts, n);
	uring->fixed_buffers = !ret;
	if (ret)
		say(uring, "plain buffers: RLIMIT_MEMLOCK is too small", -ret);
	return 0;
}

/* Until the kernel has taken the entry. -EAGAIN and -EBUSY clear up when completions are run. */
static int enter(struct uring_io *uring)
{
	int ret = 0;

	for (int tries = 0; tries < SUBMIT_TRIES; tries++) {
		ret = io_uring_submit(&uring->ring);
		if (io_uring_sq_ready(&uring->ring) == 0)
			return 0;
		if (ret < 0 && ret != -EINTR && ret != -EAGAIN && ret != -EBUSY)
			return ret;
		if (ret != -EINTR) {
			io_uring_get_events(&uring->ring);
			sched_yield();
		}
	}
	return ret < 0 ? ret : -EIO;
}

static int uring_submit(struct sluice_wal_io *io, const struct sluice_wal_io_write *write)
{
	struct uring_io *uring = uring_of(io);
	struct io_uring_sqe *sqe = io_uring_get_sqe(&uring->ring);
	int fd = uring->fixed_files ? write->file : uring->files.fd[write->file];

	if (!sqe)
		return -EBUSY;
	if (uring->fixed_buffers)
		io_uring_prep_write_fixed(sqe, fd, write->data, write->bytes, write->offset,
					  write->buffer);
	else
		io_uring_prep_write(sqe, fd, write->data, write->bytes, write->offset);
	sqe->rw_flags = RWF_DSYNC;
	if (uring->fixed_files)
		io_uring_sqe_set_flags(sqe, IOSQE_FIXED_FILE);
	io_uring_sqe_set_data64(sqe, write->tag);
	return enter(uring);
}

static uint32_t collect(struct uring_io *uring, struct sluice_wal_io_done *ret_done, uint32_t max)
{
	struct io_uring_cqe *cqe;
	unsigned int head;
	uint32_t n = 0;

	io_uring_for_each_cqe(&uring->ring, head, cqe)
	{
		if (n == max)
			break;
		ret_done[n++] = (struct sluice_wal_io_done){cqe->user_data, cqe->res};
	}
	io_uring_cq_advance(&uring->ring, n);
	return n;
}

static bool overflowed(struct uring_io *uring)
{
	/* liburing's own relaxed load: a counter that only grows */
	return io_uring_cq_has_overflow(&uring->ring) ||
	       IO_URING_READ_ONCE(*uring->ring.cq.koverflow) != 0;
}

static int sleep_for_one(struct uring_io *uring, uint64_t timeout_ns)
{
	struct __kernel_timespec ts = {
		.tv_sec = (long long)(timeout_ns / NS_PER_S),
		.tv_nsec = (long long)(timeout_ns % NS_PER_S),
	};
	struct io_uring_cqe *cqe;
	int ret = io_uring_wait_cqes(&uring->ring, &cqe, 1, &ts, NULL);

	return ret == -ETIME || ret == -EINTR || ret == -EAGAIN ? 0 : ret;
}

static int uring_reap(struct sluice_wal_io *io, struct sluice_wal_io_done *ret_done, uint32_t max,
		      uint64_t timeout_ns)
{
	struct uring_io *uring = uring_of(io);
	uint32_t n = collect(uring, ret_done, max);
	int ret = 0;

	if (overflowed(uring))
		return -EOVERFLOW;
	if (n > 0)
		return (int)n;
	/* a hint from the kernel to this thread; a stale value costs one more round */
	if (IO_URING_READ_ONCE(*uring->ring.sq.kflags) & IORING_SQ_TASKRUN) {
		ret = io_uring_get_events(&uring->ring);
		n = collect(uring, ret_done, max);
	}
	if (n == 0 && ret >= 0 && timeout_ns > 0) {
		ret = sleep_for_one(uring, timeout_ns);
		n = collect(uring, ret_done, max);
	}
	if (ret < 0 && ret != -EINTR && ret != -EAGAIN && ret != -EBUSY)
		return ret;
	return overflowed(uring) ? -EOVERFLOW : (int)n;
}

static void uring_close(struct sluice_wal_io *io)
{
	struct uring_io *uring = uring_of(io);

	/* Drops the ring's references to the files now: their locks end with the last one. */
	if (uring->fixed_files)
		io_uring_unregister_files(&uring->ring);
	io_uring_queue_exit(&uring->ring);
	sluice_wal_files_release(&uring->files);
	free(uring);
}

static const struct sluice_wal_io_ops uring_ops = {
	.open = sluice_wal_files_open,
	.lock = sluice_wal_files_lock,
	.size = sluice_wal_files_size,
	.read = sluice_wal_files_read,
	.write = sluice_wal_files_write,
	.sync = sluice_wal_files_sync,
	.arm = uring_arm,
	.submit = uring_submit,
	.reap = uring_reap,
	.monotonic_ns = sluice_wal_files_monotonic_ns,
	.realtime_ns = sluice_wal_files_realtime_ns,
	.close = uring_close,
};

/* Newest form first; a kernel that does not know a flag answers -EINVAL. */
static int setup(struct io_uring *ring, unsigned int *ret_features)
{
	static const unsigned int ladder[] = {
		IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
			IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL,
		IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL,
		0,
	};
	int ret = -EINVAL;

	for (size_t i = 0; ret == -EINVAL && i < sizeof(ladder) / sizeof(ladder[0]); i++) {
		struct io_uring_params params = {
			.flags = ladder[i] | IORING_SETUP_CQSIZE,
			.cq_entries = CQ_ENTRIES,
		};

		ret = io_uring_queue_init_params(SQ_ENTRIES, ring, &params);
		*ret_features = params.features;
	}
	return ret;
}

static bool capable(struct io_uring *ring, unsigned int features)
{
	unsigned int need = IORING_FEAT_NODROP | IORING_FEAT_EXT_ARG;
	struct io_uring_probe *probe = io_uring_get_probe_ring(ring);
	bool ok;

	if (!probe)
		return false;
	ok = (features & need) == need && io_uring_opcode_supported(probe, IORING_OP_WRITE_FIXED) &&
	     io_uring_opcode_supported(probe, IORING_OP_WRITE);
	io_uring_free_probe(probe);
	return ok;
}

static int ring_open(struct uring_io *uring, struct sluice_diag *diag)
{
	unsigned int features = 0;
	int ret = setup(&uring->ring, &features);

	if (ret) {
		sluice_diag_set(diag, -ret, "io_uring is not available: %s%s", strerror(-ret),
				ret == -ENOMEM ? ", RLIMIT_MEMLOCK is too small" : "");
		if (ret == -EPERM)
			sluice_diag_hint(diag, "sysctl kernel.io_uring_disabled=0, or allow "
					       "io_uring_setup in the container's seccomp profile");
		else if (ret == -ENOMEM)
			sluice_diag_hint(diag, "ulimit -l 8192");
		return ret;
	}
	if (!capable(&uring->ring, features)) {
		io_uring_queue_exit(&uring->ring);
		return sluice_diag_set(
			diag, ENOSYS, "this kernel's io_uring is too old (6.1 or newer is needed)");
	}
	io_uring_register_ring_fd(
		&uring->ring); /* saves a file look-up per entry, or does nothing */
	return 0;
}

int sluice_wal_io_uring_create(struct sluice_wal_io **ret_io, const char *dir,
			       struct sluice_diag *diag)
{
	struct uring_io *uring = calloc(1, sizeof(*uring));
	int ret;

	if (!uring)
		return sluice_diag_set(diag, ENOMEM, "no memory for the log's file table");
	ret = sluice_wal_files_init(&uring->files, dir, diag);
	if (!ret)
		ret = ring_open(uring, diag);
	if (ret) {
		free(uring);
		return ret;
	}
	uring->files.io.ops = &uring_ops;
	snprintf(uring->files.io.text, sizeof(uring->files.io.text), "io_uring");
	*ret_io = &uring->files.io;
	return 0;
}
