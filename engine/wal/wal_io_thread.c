/* SPDX-License-Identifier: MIT */
/*
 * wal_io_thread.c - the log's I/O in a thread of its own, for machines with CPUs to spare: the
 * owner never enters the kernel for a write, and what stops a submission stops only that thread.
 * This is the owner's side.
 *
 * Two queues of one producer and one consumer each carry writes there and completions back;
 * everything else is a call: the owner leaves it in one place and sleeps until it is done. The same
 * bytes reach the same places as without the thread. A write that the inner backend does not take
 * comes back as its completion, and every later submit gives that error.
 *
 * The log's owner thread. Fork: a child has no journal thread and must not use the log.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "engine/wal/wal_thread.h"
#include "shm/clock.h"
#include "shm/futex.h"

#define CALL_NS 100000000u /* of sleep at most */

static struct sluice_journal *thread_of(struct sluice_wal_io *io)
{
	return (struct sluice_journal *)io;
}

/* After having added something. */
static void wake_journal(struct sluice_journal *t)
{
	const uint64_t one = 1;

	/* sync: owner:ring <- journal:nod; the tail before this look */
	if (atomic_load_explicit(&t->journal_asleep, memory_order_seq_cst) &&
	    write(t->bell, &one, sizeof(one)) < 0)
		sched_yield(); /* full: it is awake for a long time */
}

static uint32_t done_count(struct sluice_journal *t)
{
	/* sync: owner:take <- journal:give; the entries */
	return atomic_load_explicit(&t->done_tail, memory_order_seq_cst) - t->done_head;
}

static int blindness(struct sluice_journal *t)
{
	/* sync: owner:blind <- journal:blind; with it, all completions before it */
	return atomic_load_explicit(&t->blind, memory_order_seq_cst);
}

static bool is_answered(struct sluice_journal *t, uint32_t number)
{
	/* sync: owner:answered <- journal:answer; the answer */
	return atomic_load_explicit(&t->answered, memory_order_seq_cst) == number;
}

/* Sleeps until the journal thread has something: for a call (its number) or completions (0). */
static void doze(struct sluice_journal *t, uint32_t call, uint64_t timeout_ns)
{
	/* sync: owner:nod <- journal:look; said before the tails are looked at again */
	atomic_exchange_explicit(&t->owner_asleep, 1, memory_order_seq_cst);
	if (call ? !is_answered(t, call) : !done_count(t) && !blindness(t))
		sluice_futex_wait(&t->owner_asleep, 1, timeout_ns);
	/* relaxed: who still sees the old value wakes nobody */
	atomic_store_explicit(&t->owner_asleep, 0, memory_order_relaxed);
}

static int make_call(struct sluice_wal_io *io, const struct sluice_journal_call *call)
{
	struct sluice_journal *t = thread_of(io);
	/* relaxed: own word */
	const uint32_t number = atomic_load_explicit(&t->calls, memory_order_relaxed) + 1;

	t->call = *call;
	/* sync: owner:call -> journal:called; the call */
	atomic_store_explicit(&t->calls, number, memory_order_seq_cst);
	wake_journal(t);
	while (!is_answered(t, number))
		doze(t, number, CALL_NS);
	return t->call.ret;
}

static int thread_open(struct sluice_wal_io *io, enum sluice_wal_io_mode mode,
		       struct sluice_diag *diag)
{
	/* a matter of speed only */
	if (io->thread_cpus)
		(void)pthread_setaffinity_np(thread_of(io)->thread, sizeof(*io->thread_cpus),
					     io->thread_cpus);
	return make_call(io, &(struct sluice_journal_call){
				     .op = SLUICE_JOURNAL_OPEN, .file = mode, .diag = diag});
}

static int thread_lock(struct sluice_wal_io *io, enum sluice_wal_io_part part, uint64_t wait_ns,
		       struct sluice_diag *diag)
{
	return make_call(io, &(struct sluice_journal_call){.op = SLUICE_JOURNAL_LOCK,
							   .file = part,
							   .offset = wait_ns,
							   .diag = diag});
}

static int thread_size(struct sluice_wal_io *io, uint32_t file, uint64_t *ret_bytes)
{
	return make_call(io, &(struct sluice_journal_call){
				     .op = SLUICE_JOURNAL_SIZE, .file = file, .to = ret_bytes});
}

static int thread_read(struct sluice_wal_io *io, uint32_t file, uint64_t offset, void *data,
		       size_t bytes)
{
	return make_call(io, &(struct sluice_journal_call){.op = SLUICE_JOURNAL_READ,
							   .file = file,
							   .offset = offset,
							   .to = data,
							   .bytes = bytes});
}

static int thread_write(struct sluice_wal_io *io, uint32_t file, uint64_t offset, const void *data,
			size_t bytes)
{
	return make_call(io, &(struct sluice_journal_call){.op = SLUICE_JOURNAL_WRITE,
							   .file = file,
							   .offset = offset,
							   .from = data,
							   .bytes = bytes});
}

static int thread_sync(struct sluice_wal_io *io, uint32_t file)
{
	return make_call(io,
			 &(struct sluice_journal_call){.op = SLUICE_JOURNAL_SYNC, .file = file});
}

static int thread_arm(struct sluice_wal_io *io, void *buffers, uint32_t n, size_t each)
{
	return make_call(
		io, &(struct sluice_journal_call){
			    .op = SLUICE_JOURNAL_ARM, .file = n, .to = buffers, .bytes = each});
}

static int thread_submit(struct sluice_wal_io *io, const struct sluice_wal_io_write *write)
{
	struct sluice_journal *t = thread_of(io);
	/* relaxed: own word */
	const uint32_t tail = atomic_load_explicit(&t->writes_tail, memory_order_relaxed);
	/* sync: owner:refused <- journal:refuse; its error */
	const int error = atomic_load_explicit(&t->refused, memory_order_seq_cst);

	if (error)
		return error;
	/* an entry is free again when its write's completion has been taken, at the latest */
	if (tail - t->done_head >= SLUICE_WAL_IN_FLIGHT_MAX)
		return -EBUSY;
	t->writes[tail & SLUICE_JOURNAL_MASK] = *write;
	/* sync: owner:add -> journal:take; the entry and the block before the tail */
	atomic_store_explicit(&t->writes_tail, tail + 1, memory_order_seq_cst);
	wake_journal(t);
	return 0;
}

static int thread_reap(struct sluice_wal_io *io, struct sluice_wal_io_done *ret_done, uint32_t max,
		       uint64_t timeout_ns)
{
	struct sluice_journal *t = thread_of(io);
	const uint64_t start_ns = sluice_clock_ns();
	uint64_t spent_ns = 0;
	int error = blindness(t);
	uint32_t n = done_count(t);

	while (n == 0 && !error && spent_ns < timeout_ns) {
		doze(t, 0, timeout_ns - spent_ns);
		spent_ns = sluice_clock_ns() - start_ns;
		error = blindness(t);
		n = done_count(t);
	}
	if (n == 0)
		return error;
	n = n < max ? n : max;
	for (uint32_t i = 0; i < n; i++)
		ret_done[i] = t->done[t->done_head++ & SLUICE_JOURNAL_MASK];
	return (int)n;
}

static void release(struct sluice_journal *t)
{
	pthread_join(t->thread, NULL);
	close(t->bell);
	free(t);
}

static void thread_close(struct sluice_wal_io *io)
{
	make_call(io, &(struct sluice_journal_call){.op = SLUICE_JOURNAL_CLOSE});
	release(thread_of(io));
}

static const struct sluice_wal_io_ops thread_ops = {
	.open = thread_open,
	.lock = thread_lock,
	.size = thread_size,
	.read = thread_read,
	.write = thread_write,
	.sync = thread_sync,
	.arm = thread_arm,
	.submit = thread_submit,
	.reap = thread_reap,
	.monotonic_ns = sluice_wal_files_monotonic_ns,
	.realtime_ns = sluice_wal_files_realtime_ns,
	.close = thread_close,
};

/* Signals are the business of the threads that were there before. */
static int start(struct sluice_journal *t)
{
	sigset_t all, before;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&t->thread, NULL, sluice_journal_main, t);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!error)
		pthread_setname_np(t->thread, "sluice-journal");
	return error;
}

int sluice_wal_io_thread_create(struct sluice_wal_io **ret_io, const char *dir,
				struct sluice_diag *diag)
{
	struct sluice_journal *t = aligned_alloc(128, (sizeof(*t) + 127) / 128 * 128);
	int error;

	if (!t)
		return sluice_diag_set(diag, ENOMEM, "no memory for the journal thread");
	memset(t, 0, sizeof(*t));
	t->io.ops = &thread_ops;
	t->dir = dir;
	t->call.diag = diag;
	/* relaxed: there is no other thread yet */
	atomic_store_explicit(&t->calls, 1, memory_order_relaxed);
	t->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	error = t->bell < 0 ? errno : start(t);
	if (error) {
		if (t->bell >= 0)
			close(t->bell);
		free(t);
		return sluice_diag_set(diag, error, "the journal thread cannot be started: %s",
				       strerror(error));
	}
	while (!is_answered(t, 1))
		doze(t, 1, CALL_NS);
	error = t->call.ret;
	if (error) {
		release(t);
		return error;
	}
	*ret_io = &t->io;
	return 0;
}
