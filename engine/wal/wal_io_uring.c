/* SPDX-License-Identifier: MIT */
/*
 * wal_io_uring.c - the first-choice backend, and the only file that names liburing.
 *
 * How a block becomes durable (io.sync): dsync, one WRITE_FIXED with RWF_DSYNC; or link, a
 * WRITE_FIXED linked to an FSYNC(DATASYNC), on segments without O_DSYNC. No drain, no timeout on
 * the write. Which of the two is faster depends on the device, the kernel and who else wants its
 * CPU: auto times both when the buffers are armed. Completions come in any order. With
 * DEFER_TASKRUN nothing completes unless the owner enters the kernel, so that reap does whenever
 * the kernel has flagged work; a flagged or counted overflow of the completion queue is an error,
 * because a lost completion is a block whose fate is unknown.
 *
 * A pair of link is done when both completions are in. A write that failed or was short counts for
 * both. A pair that the kernel took in two parts was no pair: its sync covers nothing, and it is
 * reported as cancelled, to be made again.
 *
 * The thread that creates it is the only one that may call anything here (SINGLE_ISSUER). A crash
 * leaves writes in flight: the kernel finishes them, and the files' locks, after the process. A
 * forked child gets neither the ring nor the buffers.
 */
#include <errno.h>
#include <liburing.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "engine/wal/wal_link.h"
#include "engine/wal/wal_probe.h"
#include "shm/clock.h"

#define SQ_ENTRIES 32u
#define CQ_ENTRIES 128u
#define INTERRUPTS_MAX 100000u /* of one submission */
#define REFUSALS_MAX 1000u     /* -EAGAIN or -EBUSY in a row; from PATIENT on with a pause */
#define PATIENT 100u
#define PAUSE_NS 100000
#define NS_PER_S 1000000000u
#define SLOTS SLUICE_WAL_IN_FLIGHT_MAX
#define ALL_FREE ((1u << SLOTS) - 1)
#define ROUNDS 4u /* of timing, so that both modes have the same weather */

SLUICE_STATIC_ASSERT(2 * SLOTS <= SQ_ENTRIES, "every pair in flight has its entries");
SLUICE_STATIC_ASSERT(CQ_ENTRIES >= 4 * SLOTS, "completions cannot overflow");
SLUICE_STATIC_ASSERT(SLUICE_WAL_PROBE_COMMITS % ROUNDS == 0, "rounds are whole");

struct uring_slot { /* of a write in flight */
	uint64_t tag;
	struct sluice_wal_link link;
};

struct uring_io {
	struct sluice_wal_files files;
	struct io_uring ring;
	pthread_t owner;
	uint32_t sync;	   /* enum sluice_wal_sync: of segments and probe, from now on */
	uint32_t free;	   /* slots, a bit each */
	uint32_t refusals; /* of the kernel to collect, in a row */
	bool fixed_files;
	bool fixed_buffers;
	struct uring_slot slots[SLOTS];
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

/* The kernel is short of something: what is complete may give it back. False: too often. */
static bool give_way(struct uring_io *uring, uint32_t *refusals)
{
	if (++*refusals > REFUSALS_MAX)
		return false;
	io_uring_get_events(&uring->ring);
	if (*refusals > PATIENT)
		nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
	else
		sched_yield();
	return true;
}

/* Until the kernel has taken all entries. *ret_split: it took them in parts. */
static int enter(struct uring_io *uring, bool *ret_split)
{
	const uint32_t all = io_uring_sq_ready(&uring->ring);
	uint32_t refusals = 0, interrupts = 0;

	for (;;) {
		int ret = io_uring_submit(&uring->ring);
		uint32_t left = io_uring_sq_ready(&uring->ring);

		if (left == 0)
			return 0;
		if (left != all)
			*ret_split = true;
		if (ret == -EINTR && ++interrupts < INTERRUPTS_MAX)
			continue;
		if (ret < 0 && ret != -EAGAIN && ret != -EBUSY)
			return ret;
		if (!give_way(uring, &refusals))
			return ret < 0 ? ret : -EIO;
	}
}

static bool is_linked(const struct uring_io *uring, uint32_t file)
{
	return uring->sync == SLUICE_WAL_SYNC_LINK &&
	       (file < SLUICE_WAL_SEGMENTS || file == SLUICE_WAL_FILE_PROBE);
}

static int fd_of(const struct uring_io *uring, uint32_t file)
{
	return uring->fixed_files ? (int)file : uring->files.fd[file];
}

static void prepare_write(struct uring_io *uring, const struct sluice_wal_io_write *write,
			  uint32_t slot, bool linked)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&uring->ring);
	int fd = fd_of(uring, write->file);

	if (uring->fixed_buffers)
		io_uring_prep_write_fixed(sqe, fd, write->data, write->bytes, write->offset,
					  write->buffer);
	else
		io_uring_prep_write(sqe, fd, write->data, write->bytes, write->offset);
	if (!linked)
		sqe->rw_flags = RWF_DSYNC;
	sqe->flags = (uint8_t)(sqe->flags | (uring->fixed_files ? IOSQE_FIXED_FILE : 0) |
			       (linked ? IOSQE_IO_LINK : 0));
	io_uring_sqe_set_data64(sqe, 2 * slot);
}

static void prepare_sync(struct uring_io *uring, uint32_t file, uint32_t slot)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&uring->ring);

	io_uring_prep_fsync(sqe, fd_of(uring, file), IORING_FSYNC_DATASYNC);
	sqe->flags = (uint8_t)(sqe->flags | (uring->fixed_files ? IOSQE_FIXED_FILE : 0));
	io_uring_sqe_set_data64(sqe, 2 * slot + 1);
}

static int uring_submit(struct sluice_wal_io *io, const struct sluice_wal_io_write *write)
{
	struct uring_io *uring = uring_of(io);
	const bool linked = is_linked(uring, write->file);
	bool split = false;
	uint32_t slot;
	int ret;

	sluice_assert(pthread_equal(uring->owner, pthread_self()));
	if (!uring->free || io_uring_sq_ready(&uring->ring) > 0)
		return -EBUSY;
	slot = (uint32_t)__builtin_ctz(uring->free);
	uring->free &= ~(1u << slot);
	uring->slots[slot].tag = write->tag;
	sluice_wal_link_begin(&uring->slots[slot].link, write->bytes, linked);
	prepare_write(uring, write, slot, linked);
	if (linked)
		prepare_sync(uring, write->file, slot);
	ret = enter(uring, &split);
	uring->slots[slot].link.split = linked && split;
	return ret;
}

static uint32_t collect(struct uring_io *uring, struct sluice_wal_io_done *ret_done, uint32_t max)
{
	struct io_uring_cqe *cqe;
	unsigned int head;
	uint32_t n = 0, seen = 0;

	io_uring_for_each_cqe(&uring->ring, head, cqe)
	{
		const uint64_t number = cqe->user_data / 2;
		struct uring_slot *slot = &uring->slots[number % SLOTS];

		if (n == max)
			break;
		sluice_assert(number < SLOTS && !(uring->free & 1u << number));
		seen++;
		if (!sluice_wal_link_take(&slot->link, cqe->user_data % 2, cqe->res))
			continue;
		ret_done[n++] = (struct sluice_wal_io_done){slot->tag,
							    sluice_wal_link_result(&slot->link)};
		uring->free |= 1u << number;
	}
	io_uring_cq_advance(&uring->ring, seen);
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

	/* cqe is not looked at: whether there is one, collect sees */
	return io_uring_wait_cqes(&uring->ring, &cqe, 1, &ts, NULL);
}

/* Sleeps until something is done; half a pair is no reason to come back. */
static int sleep_for_done(struct uring_io *uring, struct sluice_wal_io_done *ret_done, uint32_t max,
			  uint64_t timeout_ns, uint32_t *ret_n)
{
	const uint64_t start_ns = sluice_clock_ns();
	uint64_t spent_ns = 0;
	int ret = 0;

	while (!ret && !*ret_n && spent_ns < timeout_ns) {
		ret = sleep_for_one(uring, timeout_ns - spent_ns);
		*ret_n = collect(uring, ret_done, max);
		spent_ns = sluice_clock_ns() - start_ns;
	}
	return ret;
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
	if (n == 0 && ret >= 0 && timeout_ns > 0)
		ret = sleep_for_done(uring, ret_done, max, timeout_ns, &n);
	if (overflowed(uring))
		return -EOVERFLOW;
	if (n > 0 || ret >= 0 || ret == -ETIME || ret == -EINTR) {
		uring->refusals = 0;
		return (int)n;
	}
	if ((ret == -EAGAIN || ret == -EBUSY) && give_way(uring, &uring->refusals))
		return 0;
	return ret;
}

/* Both modes in turns, or the one asked for. 0, or the -errno of a commit that failed. */
static int time_modes(struct uring_io *uring, const void *page, struct sluice_wal_probe *probes)
{
	const uint32_t asked = uring->files.io.sync;
	int ret = 0;

	for (uint32_t i = 0; !ret && i < 2 * ROUNDS; i++) {
		uring->sync = i % 2 ? SLUICE_WAL_SYNC_LINK : SLUICE_WAL_SYNC_DSYNC;
		if (asked == SLUICE_WAL_SYNC_AUTO || asked == uring->sync)
			ret = sluice_wal_probe_run(&uring->files.io, page,
						   SLUICE_WAL_PROBE_COMMITS / ROUNDS,
						   &probes[uring->sync]);
	}
	return ret;
}

/* Sets uring->sync for good. An error: the ring itself does not work. */
static int choose(struct uring_io *uring, const void *page)
{
	struct sluice_wal_probe probes[SLUICE_WAL_PROBES] = {{.n = 0}};
	const char *untimed = sluice_wal_probe_unusable(&uring->files);
	int ret = 0;

	sluice_assert(uring->files.mode == SLUICE_WAL_IO_WRITE);
	if (!untimed) {
		ret = time_modes(uring, page, probes);
		if (ret && uring->free != ALL_FREE)
			return ret;
		untimed = ret ? strerror(-ret) : NULL;
	}
	uring->sync = sluice_wal_probe_choose(&uring->files.io, probes, untimed);
	return 0;
}

/* Registration saves work per write; without it the same writes are made in the plain form. */
static int uring_arm(struct sluice_wal_io *io, void *buffers, uint32_t n, size_t each)
{
	struct uring_io *uring = uring_of(io);
	struct iovec parts[SLOTS];
	int ret, error;

	sluice_assert(n <= SLOTS && each >= SLUICE_WAL_ALIGN);
	for (uint32_t i = 0; i < n; i++)
		parts[i] = (struct iovec){(unsigned char *)buffers + i * each, each};
	/* a fork would copy every pinned page at once; best effort */
	(void)madvise(buffers, n * each, MADV_DONTFORK);
	(void)io_uring_ring_dontfork(&uring->ring);
	error = io_uring_register_buffers(&uring->ring, parts, n);
	uring->fixed_buffers = !error;
	ret = choose(uring, buffers);
	for (uint32_t i = 0; !ret && uring->sync == SLUICE_WAL_SYNC_LINK && i < SLUICE_WAL_SEGMENTS;
	     i++)
		ret = sluice_wal_files_relax(&uring->files, i);
	if (ret)
		return ret;
	if (error)
		say(uring, "plain buffers: RLIMIT_MEMLOCK is too small", -error);
	error = io_uring_register_files(&uring->ring, uring->files.fd, SLUICE_WAL_FILES);
	uring->fixed_files = !error;
	if (error)
		say(uring, "plain files", -error);
	return 0;
}

int sluice_wal_io_uring_bell(struct sluice_wal_io *io, int eventfd)
{
	sluice_assert(io->ops->submit == uring_submit);
	return io_uring_register_eventfd(&uring_of(io)->ring, eventfd);
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
	     io_uring_opcode_supported(probe, IORING_OP_WRITE) &&
	     io_uring_opcode_supported(probe, IORING_OP_FSYNC);
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
		else if (ret == -EMFILE)
			sluice_diag_hint(diag, "ulimit -n 1024");
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
	uring->owner = pthread_self();
	uring->sync = SLUICE_WAL_SYNC_DSYNC;
	uring->free = ALL_FREE;
	uring->files.io.ops = &uring_ops;
	snprintf(uring->files.io.text, sizeof(uring->files.io.text), "io_uring");
	*ret_io = &uring->files.io;
	return 0;
}
