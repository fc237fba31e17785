/* SPDX-License-Identifier: MIT */
/*
 * wal_journal.c - the journal thread: makes the inner backend, is the only one that ever calls it
 * (as io_uring wants), and serves the log's owner until it closes. It yields for as long as a
 * commit usually takes, then sleeps until the owner or the kernel rings; idle it sleeps.
 *
 * After a write that the inner backend did not take it takes none; those that are in flight are
 * still collected. A crash leaves what the inner backend leaves.
 */
#include "engine/wal/wal_thread.h"

#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "shm/clock.h"
#include "shm/futex.h"

#define YIELD_NS 40000u /* for a completion; then sleep */
#define IN_FLIGHT_MS 10 /* of sleep at most */
#define IDLE_MS 100
#define BLIND_NS 100000u /* where the inner backend does not ring */

static void wake_owner(struct sluice_journal *t)
{
	/* sync: journal:look -> owner:nod; the completion or the answer before this look */
	if (atomic_exchange_explicit(&t->owner_asleep, 0, memory_order_seq_cst))
		sluice_futex_wake(&t->owner_asleep);
}

static bool is_blind(struct sluice_journal *t)
{
	/* relaxed: own word */
	return atomic_load_explicit(&t->blind, memory_order_relaxed) != 0;
}

/* The queue has room: no more than fits is ever between submit and reap. */
static void give(struct sluice_journal *t, const struct sluice_wal_io_done *done, uint32_t n)
{
	/* relaxed: own word */
	uint32_t tail = atomic_load_explicit(&t->done_tail, memory_order_relaxed);

	for (uint32_t i = 0; i < n; i++)
		t->done[tail++ & SLUICE_JOURNAL_MASK] = done[i];
	/* sync: journal:give -> owner:take; the entries; the block is the owner's again */
	atomic_store_explicit(&t->done_tail, tail, memory_order_seq_cst);
	wake_owner(t);
}

/* One write to the inner backend. After the first that it does not take, none. */
static void hand_over(struct sluice_journal *t, const struct sluice_wal_io_write *write)
{
	/* relaxed: own word */
	int ret = atomic_load_explicit(&t->refused, memory_order_relaxed);

	if (!ret)
		ret = t->inner->ops->submit(t->inner, write);
	if (!ret) {
		t->in_flight++;
		return;
	}
	/* sync: journal:refuse -> owner:refused; nothing is taken any more */
	atomic_store_explicit(&t->refused, ret, memory_order_seq_cst);
	give(t, &(struct sluice_wal_io_done){write->tag, ret}, 1);
}

static bool take_writes(struct sluice_journal *t)
{
	/* sync: journal:take <- owner:add; the entry, and the block that it points to */
	const uint32_t tail = atomic_load_explicit(&t->writes_tail, memory_order_seq_cst);
	const bool any = t->writes_head != tail;

	for (; t->writes_head != tail; t->writes_head++)
		hand_over(t, &t->writes[t->writes_head & SLUICE_JOURNAL_MASK]);
	return any;
}

/* Gives the owner what is complete. */
static bool give_done(struct sluice_journal *t, uint64_t timeout_ns)
{
	struct sluice_wal_io_done done[SLUICE_WAL_IN_FLIGHT_MAX];
	int n;

	if (!t->in_flight || is_blind(t))
		return false;
	n = t->inner->ops->reap(t->inner, done, SLUICE_WAL_IN_FLIGHT_MAX, timeout_ns);
	if (n < 0) {
		/* sync: journal:refuse -> owner:refused; nor is anything given any more */
		atomic_store_explicit(&t->refused, n, memory_order_seq_cst);
		/* sync: journal:blind -> owner:blind; the completions before the error */
		atomic_store_explicit(&t->blind, n, memory_order_seq_cst);
		wake_owner(t);
	} else if (n > 0) {
		sluice_assert((uint32_t)n <= t->in_flight);
		t->in_flight -= (uint32_t)n;
		give(t, done, (uint32_t)n);
	}
	return n != 0;
}

static int run_call(struct sluice_journal *t, const struct sluice_journal_call *call)
{
	const struct sluice_wal_io_ops *ops = t->inner->ops;

	switch (call->op) {
	case SLUICE_JOURNAL_OPEN:
		t->inner->sync = t->io.sync;
		t->inner->extents = t->io.extents;
		return ops->open(t->inner, (enum sluice_wal_io_mode)call->file, call->diag);
	case SLUICE_JOURNAL_LOCK:
		return ops->lock(t->inner, (enum sluice_wal_io_part)call->file, call->offset,
				 call->diag);
	case SLUICE_JOURNAL_SIZE:
		return ops->size(t->inner, call->file, call->to);
	case SLUICE_JOURNAL_READ:
		return ops->read(t->inner, call->file, call->offset, call->to, call->bytes);
	case SLUICE_JOURNAL_WRITE:
		return ops->write(t->inner, call->file, call->offset, call->from, call->bytes);
	case SLUICE_JOURNAL_SYNC:
		return ops->sync(t->inner, call->file);
	case SLUICE_JOURNAL_ARM:
		return ops->arm(t->inner, call->to, call->file, call->bytes);
	default:
		return 0;
	}
}

static void copy_texts(struct sluice_journal *t)
{
	snprintf(t->io.text, sizeof(t->io.text), "thread, %.240s", t->inner->text);
	memcpy(t->io.mended, t->inner->mended, sizeof(t->io.mended));
	t->io.calibrated_p50_ns = t->inner->calibrated_p50_ns;
}

/* False: the call was the last one. */
static bool answer_call(struct sluice_journal *t, bool *ret_any)
{
	/* relaxed: own word */
	const uint32_t answered = atomic_load_explicit(&t->answered, memory_order_relaxed);
	bool last;

	/* sync: journal:called <- owner:call; the call */
	*ret_any = atomic_load_explicit(&t->calls, memory_order_seq_cst) != answered;
	if (!*ret_any)
		return true;
	last = t->call.op == SLUICE_JOURNAL_CLOSE;
	t->call.ret = run_call(t, &t->call);
	if (last)
		t->inner->ops->close(t->inner);
	else
		copy_texts(t);
	/* sync: journal:answer -> owner:answered; the answer */
	atomic_store_explicit(&t->answered, answered + 1, memory_order_seq_cst);
	wake_owner(t);
	return !last;
}

/* Nothing came since: after having said that this thread will sleep, it looks once more. */
static bool nothing_new(struct sluice_journal *t)
{
	/* sync: journal:nod -> owner:ring; said before the tails are looked at again */
	atomic_store_explicit(&t->journal_asleep, 1, memory_order_seq_cst);
	/* sync: journal:take <- owner:add; seen, or the owner sees that this thread sleeps */
	return atomic_load_explicit(&t->writes_tail, memory_order_seq_cst) == t->writes_head &&
	       /* sync: journal:called <- owner:call; likewise */
	       atomic_load_explicit(&t->calls, memory_order_seq_cst) ==
		       /* relaxed: own word */
		       atomic_load_explicit(&t->answered, memory_order_relaxed);
}

static void rest(struct sluice_journal *t)
{
	const bool flying = t->in_flight > 0 && !is_blind(t);
	struct pollfd bell = {t->bell, POLLIN, 0};
	uint64_t rings;

	if (flying && !t->rings) {
		give_done(t, BLIND_NS);
		return;
	}
	if (nothing_new(t))
		poll(&bell, 1, flying ? IN_FLIGHT_MS : IDLE_MS);
	/* relaxed: an owner that still sees the old value rings once too often */
	atomic_store_explicit(&t->journal_asleep, 0, memory_order_relaxed);
	if (bell.revents && read(t->bell, &rings, sizeof(rings)) < 0)
		sched_yield(); /* nothing to take: the queues say what there is */
}

static void journal(struct sluice_journal *t)
{
	uint64_t idle_ns = 0;

	for (;;) {
		bool called, progress;

		if (!answer_call(t, &called))
			return;
		progress = take_writes(t);
		progress |= give_done(t, 0);
		if (called || progress) {
			idle_ns = 0;
			continue;
		}
		if (!idle_ns)
			idle_ns = sluice_clock_ns();
		if (t->in_flight > 0 && sluice_clock_ns() - idle_ns < YIELD_NS)
			sched_yield();
		else
			rest(t);
	}
}

static int make_inner(struct sluice_journal *t, struct sluice_diag *diag)
{
	struct sluice_diag why = {"", ""};
	int ret = sluice_wal_io_uring_create(&t->inner, t->dir, &why);

	if (!ret)
		t->rings = !sluice_wal_io_uring_bell(t->inner, t->bell);
	if (!ret)
		return 0;
	ret = sluice_wal_io_blocking_create(&t->inner, t->dir, diag);
	if (!ret)
		snprintf(t->inner->text, sizeof(t->inner->text), "blocking pwritev2 (%.180s)",
			 why.text);
	return ret;
}

/* The first call is answered by whether the inner backend could be made. */
void *sluice_journal_main(void *arg)
{
	struct sluice_journal *t = arg;
	const int ret = make_inner(t, t->call.diag);

	if (!ret)
		copy_texts(t);
	t->call.ret = ret;
	/* sync: journal:answer -> owner:answered; the inner backend, or why there is none */
	atomic_store_explicit(&t->answered, 1, memory_order_seq_cst);
	wake_owner(t);
	if (!ret)
		journal(t);
	return NULL;
}
