/* SPDX-License-Identifier: MIT */
/*
 * multi.c - claiming on a multi-producer ring: shm/claim.h has the protocol, shm/recovery.c why a
 * claim of a dead producer can be told. The owning thread.
 *
 * The claim word is taken by compare-and-swap after the look for space, and not by fetch-and-add
 * before it: a claim that has no space yet could neither be cancelled nor be buried, because its
 * slots are still being read.
 *
 * Lock bytes see the death of processes only. A thread that ends inside a claim, in a process that
 * lives on, gives the claim up in the destructor of a thread-specific key.
 *
 * sync pairs of this file:
 *   claim:record -> record:load	the stamps of the claim before, before the record
 *   claim:word -> gate:claim, recover:claim	the record before the claim that it announces
 *   claim:dekker -> place:claim	the record before the look at `membership`
 */
#include "producer/multi.h"

#include <pthread.h>
#include <stdlib.h>

#include "shm/claim.h"
#include "shm/recovery_internal.h"

static void record_set(const struct sluice_producer *producer, uint64_t record)
{
	/* sync: claim:record -> record:load; what was stamped before, and the claim after */
	atomic_store_explicit(&producer->self->claim_record, record, memory_order_release);
}

/* Somebody joined, left or closed the ring since the handle's last look? Asked after announcing. */
static bool is_stale(const struct sluice_producer *producer)
{
	/* sync: claim:dekker -> place:claim; the barrier is the joiner's, the compiler is ours */
	atomic_signal_fence(memory_order_seq_cst);
	if (sluice_unlikely(producer->fenced))
		/* sync: claim:dekker -> place:claim; only where the barrier is not to be had */
		atomic_thread_fence(memory_order_seq_cst);
	/* relaxed: read-mostly; see above */
	return atomic_load_explicit(&producer->ring.control->membership, memory_order_relaxed) !=
	       producer->membership;
}

/* Announces and takes [*ret_first, + n). On failure nothing is announced. */
static int take(struct sluice_producer *producer, uint64_t n, uint64_t *ret_first)
{
	struct sluice_control *control = producer->ring.control;
	const uint64_t slots = producer->ring.slot_count;
	/*
	 * The end of the own last claim: a guess. Where it is wrong the exchange says what is
	 * right, and has by then got the line for writing, which a load would have got for
	 * reading only.
	 */
	uint64_t claim = producer->next;
	bool announced = false;
	int rc;

	for (;;) {
		/* signed: a guess may be behind the gate */
		bool stale = (int64_t)(claim + n - producer->gate) > (int64_t)slots;

		if (sluice_likely(!stale)) {
			record_set(producer, sluice_claim_pack(SLUICE_CLAIM_ATTEMPT, claim, n));
			announced = true;
			stale = is_stale(producer);
			SLUICE_FAILPOINT(P1);
		}
		if (sluice_unlikely(stale)) {
			if (announced)
				record_set(producer, SLUICE_CLAIM_IDLE);
			announced = false;
			rc = sluice_multi_refresh(producer, n, &claim);
			if (rc)
				return rc;
			continue;
		}
		/* sync: claim:word -> gate:claim, recover:claim; the record before the claim */
		if (atomic_compare_exchange_strong_explicit(&control->claim, &claim, claim + n,
							    memory_order_acq_rel,
							    memory_order_relaxed))
			break;
	}
	*ret_first = claim;
	return 0;
}

void sluice_multi_bury(const struct sluice_ring *ring, uint32_t index)
{
	struct sluice_participant *self = &ring->segment->participants[index];
	/* relaxed, both: own words; the claim word is not behind an own claim */
	const uint64_t record = atomic_load_explicit(&self->claim_record, memory_order_relaxed);
	const uint64_t claim = atomic_load_explicit(&ring->control->claim, memory_order_relaxed);
	const uint64_t first = sluice_claim_first(record, claim);

	if (sluice_claim_state(record) == SLUICE_CLAIM_CLAIMED)
		for (uint64_t s = first; s != first + sluice_claim_count(record); s++)
			/* relaxed: own slot; some of the claim may be published */
			if (!sluice_stamp_published(
				    atomic_load_explicit(sluice_ring_stamp(ring, s),
							 memory_order_relaxed), s))
				sluice_bury_range(ring, s, s + 1);
	/* sync: claim:record -> record:load; the tombstones before the record is gone */
	atomic_store_explicit(&self->claim_record, SLUICE_CLAIM_IDLE, memory_order_release);
}

/* ------------------------------------------------------------------------- ends of threads */

struct sluice_multi_handle {
	struct sluice_multi_handle *next;
	struct sluice_segment *segment;
	uint32_t index;
	uint64_t claimer; /* token of the thread that claims by it; 0: none yet, or it has ended */
};

static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static int key_error;
static pthread_mutex_t handles_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct sluice_multi_handle *handles; /* open ones of this process */
static uint64_t tokens;			    /* given so far */

static __thread uint64_t own_token; /* 0: this thread has never claimed */

static void thread_end(void *arg)
{
	const uint64_t token = (uint64_t)(uintptr_t)arg;

	pthread_mutex_lock(&handles_mutex);
	for (struct sluice_multi_handle *handle = handles; handle; handle = handle->next) {
		struct sluice_ring ring;

		if (handle->claimer != token)
			continue;
		handle->claimer = 0;
		sluice_ring_init(&ring, handle->segment);
		sluice_multi_bury(&ring, handle->index);
		sluice_wake(handle->segment, &ring.control->consumer_sleepers);
	}
	pthread_mutex_unlock(&handles_mutex);
	own_token = 0;
}

static void key_create(void)
{
	key_error = pthread_key_create(&key, thread_end);
}

/* The first claim of this thread, or by this handle. */
static int adopt(struct sluice_producer *producer)
{
	int err;

	pthread_once(&key_once, key_create);
	if (key_error)
		return -key_error;
	pthread_mutex_lock(&handles_mutex);
	if (!own_token)
		own_token = ++tokens;
	err = pthread_setspecific(key, (void *)(uintptr_t)own_token);
	if (!err) {
		producer->registered->claimer = own_token;
		producer->claimer = own_token;
	}
	pthread_mutex_unlock(&handles_mutex);
	return -err;
}

int sluice_multi_register(struct sluice_producer *producer)
{
	struct sluice_multi_handle *handle = malloc(sizeof(*handle));

	if (!handle)
		return -ENOMEM;
	pthread_mutex_lock(&handles_mutex);
	*handle = (struct sluice_multi_handle){
		.next = handles, .segment = producer->ring.segment, .index = producer->index,
	};
	handles = handle;
	pthread_mutex_unlock(&handles_mutex);
	producer->registered = handle;
	return 0;
}

void sluice_multi_unregister(struct sluice_producer *producer)
{
	struct sluice_multi_handle **at = &handles;

	pthread_mutex_lock(&handles_mutex);
	while (*at && *at != producer->registered)
		at = &(*at)->next;
	if (*at)
		*at = producer->registered->next;
	pthread_mutex_unlock(&handles_mutex);
	free(producer->registered);
	producer->registered = NULL;
}

/* ---------------------------------------------------------------------------------- claims */

int sluice_producer_claim_multi(struct sluice_producer *producer, uint64_t n, uint64_t *ret_first)
{
	uint64_t first;
	int rc = 0;

	if (sluice_unlikely(n - 1 >= producer->ring.slot_count || n > SLUICE_CLAIM_MAX))
		return -EINVAL;
	if (sluice_unlikely(producer->pending))
		return -EBUSY;
	if (sluice_unlikely(producer->claimer != own_token || !own_token))
		rc = adopt(producer);
	if (sluice_likely(!rc))
		rc = take(producer, n, &first);
	if (sluice_unlikely(rc))
		return rc;
	SLUICE_FAILPOINT(P2);
	record_set(producer, sluice_claim_pack(SLUICE_CLAIM_CLAIMED, first, n));
	SLUICE_FAILPOINT(P3);
	producer->published = first;
	producer->next = first + n;
	producer->pending = n;
	sluice_producer_mark(&producer->ring, first, n);
	/* sync: claim:word -> copy:stamp; before any write of the slot */
	atomic_thread_fence(memory_order_release);
	SLUICE_FAILPOINT(P4);
	*ret_first = first;
	return 0;
}
