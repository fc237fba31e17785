/* SPDX-License-Identifier: MIT */
/*
 * producer.c - the slow halves of producer.h: joining, taking over from a dead producer, waiting
 * for space. The owning thread, but for interrupt. What a crash leaves is described in producer.h.
 *
 * sync pairs of this file:
 *   join:membership -> gate:membership	the set of gating consumers and the state that go with it
 */
#include "producer/producer.h"

#include <pthread.h>

#include "producer/multi.h"
#include "shm/clock.h"
#include "shm/recovery.h"
#include "shm/recovery_internal.h"

/* How often a producer that waits for space looks who keeps it waiting. */
#define LOOK_EVERY_NS SLUICE_RECOVER_EVERY_NS
#define PLACE_NAP_NS 1000000u
#define PLACE_TRIES 20

/* "Is anybody there, then take it" must be one step among the threads of this process. */
static pthread_mutex_t open_mutex = PTHREAD_MUTEX_INITIALIZER;

/*
 * The one producer's place. Private rings have no lock bytes: there the table must do. Whoever
 * cleans up after a dead producer (sluice_producer_recover) holds the place for microseconds: that
 * is waited out.
 */
static int take_place(struct sluice_segment *segment)
{
	const struct timespec nap = {.tv_nsec = PLACE_NAP_NS};
	int rc;

	if (segment->header.backing == SLUICE_BACKING_PRIVATE)
		return sluice_participant_count(segment, SLUICE_ROLE_PRODUCER) ? -EAGAIN : 0;
	rc = sluice_liveness_hold(segment, SLUICE_LOCK_PRODUCER);
	for (int i = 0; rc == -EAGAIN && i < PLACE_TRIES; i++) {
		nanosleep(&nap, NULL);
		rc = sluice_liveness_hold(segment, SLUICE_LOCK_PRODUCER);
	}
	return rc;
}

static int join(struct sluice_producer *producer, const char *name, struct sluice_diag *diag)
{
	struct sluice_segment *segment = producer->ring.segment;
	const struct sluice_participant_options options = {
		.name = name ? name : "producer",
		.role = SLUICE_ROLE_PRODUCER,
		.wait = producer->wait,
	};
	int rc = producer->multi ? 0 : take_place(segment);

	if (rc == -EAGAIN)
		return sluice_diag_set(diag, EBUSY, "%s: takes one producer at a time and one is "
				       "running", segment->header.name);
	if (rc)
		return sluice_diag_set(diag, -rc, "%s: cannot take the producer's place: %s",
				       segment->header.name, strerror(-rc));
	rc = sluice_participant_join(segment, &options, &producer->index, NULL, diag);
	if (rc && !producer->multi)
		sluice_liveness_release(segment, SLUICE_LOCK_PRODUCER);
	return rc;
}

/* Why no claim can be made now: 0 it can. */
static int closed(const struct sluice_ring *ring)
{
	switch (sluice_ring_state(ring)) {
	case SLUICE_STATE_READY:
		return 0;
	case SLUICE_STATE_RECOVERING:
		return -EAGAIN;
	case SLUICE_STATE_POISONED:
		return -ENOTRECOVERABLE;
	case SLUICE_STATE_RETIRED:
		return -ESHUTDOWN;
	default:
		return -EPIPE;
	}
}

static int check_open(const struct sluice_ring *ring, struct sluice_diag *diag)
{
	const char *name = ring->segment->header.name;
	const int rc = closed(ring);

	if (!ring->segment->writable)
		return sluice_diag_set(diag, EACCES, "%s: attached read-only", name);
	switch (rc) {
	case 0:
		return 0;
	case -EAGAIN:
		return sluice_diag_set(diag, EAGAIN, "%s: is being repaired", name);
	case -ENOTRECOVERABLE:
		return sluice_diag_set(diag, ENOTRECOVERABLE, "%s: is poisoned: its words "
				       "contradict each other", name);
	default:
		return sluice_diag_set(diag, -rc, "%s: the ring is closed", name);
	}
}

/* Where this handle's claims begin. */
static int start(struct sluice_producer *producer)
{
	struct sluice_takeover takeover;
	int rc;

	if (producer->multi) {
		/* relaxed: a start; every claim loads the word again */
		producer->next = atomic_load_explicit(&producer->ring.control->claim,
						      memory_order_relaxed);
		producer->published = producer->next;
		producer->gate = sluice_ring_oldest(&producer->ring);
		return sluice_multi_register(producer);
	}
	rc = sluice_recover_single(&producer->ring, &takeover);
	if (rc)
		return rc;
	producer->claim_floor = takeover.claim_floor;
	producer->next = takeover.next;
	producer->published = takeover.next;
	producer->gate = takeover.next;
	return 0;
}

static void leave(struct sluice_producer *producer)
{
	struct sluice_segment *segment = producer->ring.segment;

	sluice_participant_leave(segment, producer->index, false);
	if (!producer->multi)
		sluice_liveness_release(segment, SLUICE_LOCK_PRODUCER);
}

int sluice_producer_open(struct sluice_producer *ret_producer, struct sluice_segment *segment,
			 const struct sluice_producer_options *options, struct sluice_diag *diag)
{
	struct sluice_producer producer = {.wait = options ? options->wait : SLUICE_WAIT_ADAPTIVE};
	int rc;

	sluice_ring_init(&producer.ring, segment);
	producer.multi = segment->header.producer_mode == SLUICE_PRODUCER_MULTI;
	rc = check_open(&producer.ring, diag);
	if (rc)
		return rc;
	pthread_mutex_lock(&open_mutex);
	rc = join(&producer, options ? options->name : NULL, diag);
	pthread_mutex_unlock(&open_mutex);
	if (rc)
		return rc;
	producer.self = &segment->participants[producer.index];
	producer.barrier = sluice_barrier_register();
	producer.fenced = true; /* until the first refresh knows better */
	rc = start(&producer);
	if (rc) {
		leave(&producer);
		return rc == -EBADMSG ?
			       sluice_diag_set(diag, EBADMSG, "%s: claim, cursor and positions "
					       "contradict each other: shared memory was damaged",
					       segment->header.name) :
			       sluice_diag_set(diag, -rc, "%s: cannot produce: %s",
					       segment->header.name, strerror(-rc));
	}
	producer.membership = UINT64_MAX; /* the first claim looks */
	/* relaxed: statistic */
	atomic_fetch_add_explicit(&segment->control->producers_joined, 1, memory_order_relaxed);
	*ret_producer = producer;
	return 0;
}

void sluice_producer_close(struct sluice_producer *producer)
{
	struct sluice_segment *segment = producer->ring.segment;

	if (!segment)
		return;
	sluice_producer_abort(producer);
	if (producer->multi)
		sluice_multi_unregister(producer);
	leave(producer);
	/* a consumer that waits for "every producer has left" looks again */
	sluice_wake(segment, &segment->control->consumer_sleepers);
	producer->ring.segment = NULL;
}

void sluice_producer_abort(struct sluice_producer *producer)
{
	const struct sluice_ring *ring = &producer->ring;

	if (producer->next == producer->published)
		return;
	if (producer->multi) {
		sluice_multi_bury(ring, producer->index);
		producer->pending = 0;
	} else if (ring->stamped) {
		sluice_bury_range(ring, producer->published, producer->next);
	} else {
		/* a lossy reader has seen the claim word: it must not go back before it */
		producer->claim_floor = producer->next > producer->claim_floor ?
						producer->next : producer->claim_floor;
		producer->next = producer->published;
	}
	producer->published = producer->next;
	sluice_producer_wake(producer);
}

/* What gates the next claim: the consumers, and what this producer has not published itself. */
static uint64_t gate_single(const struct sluice_producer *producer, int *ret_error)
{
	const uint64_t gate = sluice_gate_min(&producer->ring, producer->next, ret_error);
	const uint64_t unpublished = producer->next - producer->published;

	return producer->next - gate > unpublished ? gate : producer->published;
}

/* The set of consumers, and how to look for sleepers, as of now. 0, or why the ring is closed. */
static int refresh_membership(struct sluice_producer *producer)
{
	const struct sluice_ring *ring = &producer->ring;

	/* sync: gate:membership <- join:membership; and fenced:on; the set that goes with it */
	producer->membership = atomic_load_explicit(&ring->control->membership,
						    memory_order_acquire);
	/* sync: gate:membership <- fenced:on; relaxed load, ordered by the acquire above */
	producer->fenced = !producer->barrier ||
			   atomic_load_explicit(&ring->control->fenced, memory_order_relaxed);
	return closed(ring);
}

static int fits(struct sluice_producer *producer, uint64_t used, uint64_t n)
{
	const uint64_t slots = producer->ring.slot_count;

	if (n <= slots - used)
		return 0;
	producer->missing = n - (slots - used);
	return -EAGAIN;
}

int sluice_producer_refresh(struct sluice_producer *producer, uint64_t n)
{
	int rc = refresh_membership(producer);

	if (rc)
		return rc;
	producer->gate = gate_single(producer, &rc);
	return rc ? rc : fits(producer, producer->next - producer->gate, n);
}

int sluice_multi_refresh(struct sluice_producer *producer, uint64_t n, uint64_t *ret_claim)
{
	uint64_t claim;
	int rc = refresh_membership(producer);

	if (rc)
		return rc;
	producer->gate = sluice_gate_claim(&producer->ring, producer->gate, &claim, &rc);
	if (!rc)
		rc = fits(producer, claim - producer->gate, n);
	if (!rc)
		*ret_claim = claim;
	return rc;
}

int sluice_producer_recheck(struct sluice_producer *producer, uint64_t n)
{
	const int rc = sluice_producer_refresh(producer, n);

	if (rc)
		/* relaxed: nothing was written on its account; it may look too high meanwhile */
		atomic_store_explicit(&producer->ring.control->claim,
				      producer->next > producer->claim_floor ?
					      producer->next : producer->claim_floor,
				      memory_order_relaxed);
	return rc;
}

static bool is_interrupted(const struct sluice_producer *producer)
{
	/* relaxed: a flag alone */
	return atomic_load_explicit(&producer->interrupted, memory_order_relaxed);
}

static bool space_or_end(struct sluice_producer *producer, uint64_t n)
{
	uint64_t claim;

	return is_interrupted(producer) ||
	       (producer->multi ? sluice_multi_refresh(producer, n, &claim) :
				  sluice_producer_refresh(producer, n)) != -EAGAIN;
}

/* A consumer whose handler failed stands so far behind that the claim cannot be had. */
static bool is_held_by_failed(const struct sluice_producer *producer, uint64_t n)
{
	const struct sluice_segment *segment = producer->ring.segment;
	const uint64_t slots = producer->ring.slot_count;
	/* relaxed, all: a verdict on a state that lasts; the next look may differ */
	const uint64_t claim = atomic_load_explicit(&segment->control->claim,
						    memory_order_relaxed);

	for (uint32_t i = 0; i < segment->header.participant_count; i++) {
		const struct sluice_participant *entry = &segment->participants[i];
		const uint64_t state = atomic_load_explicit(&entry->state, memory_order_relaxed) &
				       SLUICE_PARTICIPANT_STATE_MASK;
		const uint64_t lag = claim - atomic_load_explicit(&entry->position,
								  memory_order_relaxed);

		if ((state == SLUICE_PARTICIPANT_ACTIVE || state == SLUICE_PARTICIPANT_DETACHED) &&
		    atomic_load_explicit(&entry->policy, memory_order_relaxed) &&
		    atomic_load_explicit(&entry->failed, memory_order_relaxed) && lag <= slots &&
		    lag + n > slots)
			return true;
	}
	return false;
}

/* Who keeps us waiting? 0, or why there is no point in waiting on. */
static int look(struct sluice_producer *producer, uint64_t n)
{
	/* relaxed: multi: only to measure lags by */
	const uint64_t next = producer->multi ?
				      atomic_load_explicit(&producer->ring.control->claim,
							   memory_order_relaxed) :
				      producer->next;

	sluice_gate_evict(&producer->ring, next);
	if (producer->multi)
		sluice_recover(producer->ring.segment);
	return is_held_by_failed(producer, n) ? -EREMOTEIO : 0;
}

static void sleep_for_space(struct sluice_producer *producer, uint64_t n, uint64_t deadline_ns)
{
	struct sluice_segment *segment = producer->ring.segment;
	_Atomic uint64_t *sleepers = &segment->control->producer_sleepers;
	const uint32_t ticket = sluice_sleep_begin(segment, sleepers, producer->index);
	const bool sleep = !space_or_end(producer, n);

	sluice_sleep_end(segment, sleepers, producer->index, ticket, sleep, deadline_ns);
}

static int wait_for_space(struct sluice_producer *producer, uint64_t n, uint64_t timeout_ns,
			  uint64_t *ret_first)
{
	struct sluice_waiter waiter;
	uint64_t look_ns = 0;

	sluice_waiter_init(&waiter, producer->wait, timeout_ns);
	for (;;) {
		const enum sluice_wait_step step = sluice_waiter_step(&waiter);
		int rc;

		if (step == SLUICE_WAIT_SLEEP)
			sleep_for_space(producer, n, waiter.deadline_ns);
		rc = sluice_producer_try_claim(producer, n, ret_first);
		if (rc != -EAGAIN)
			return rc;
		if (is_interrupted(producer))
			return -ECANCELED;
		if (step == SLUICE_WAIT_EXPIRED)
			return -ETIMEDOUT;
		if (waiter.misses % 256 == 0 || step == SLUICE_WAIT_SLEEP) {
			const uint64_t now_ns = sluice_clock_ns();

			if (now_ns - look_ns < LOOK_EVERY_NS)
				continue;
			look_ns = now_ns;
			rc = look(producer, n);
			if (rc)
				return rc;
		}
	}
}

int sluice_producer_claim(struct sluice_producer *producer, uint64_t n, uint64_t timeout_ns,
			  uint64_t *ret_first)
{
	const int rc = sluice_producer_try_claim(producer, n, ret_first);

	if (sluice_likely(rc != -EAGAIN))
		return rc;
	/* relaxed: own statistic */
	atomic_store_explicit(&producer->self->full_waits,
			      atomic_load_explicit(&producer->self->full_waits,
						   memory_order_relaxed) + 1,
			      memory_order_relaxed);
	return wait_for_space(producer, n, timeout_ns, ret_first);
}

void sluice_producer_interrupt(struct sluice_producer *producer)
{
	/* relaxed: the wake-up after it orders it before a sleeper's last look */
	atomic_store_explicit(&producer->interrupted, 1, memory_order_relaxed);
	sluice_wake_participant(producer->ring.segment, producer->index);
}

void sluice_producer_resume(struct sluice_producer *producer)
{
	/* relaxed: a flag alone */
	atomic_store_explicit(&producer->interrupted, 0, memory_order_relaxed);
}

uint64_t sluice_producer_remaining(struct sluice_producer *producer)
{
	uint64_t claim = producer->next, gate;
	int rc;

	gate = producer->multi ? sluice_gate_claim(&producer->ring, producer->gate, &claim, &rc) :
				 gate_single(producer, &rc);
	return rc || claim - gate > producer->ring.slot_count ?
		       0 :
		       producer->ring.slot_count - (claim - gate);
}

bool sluice_producer_drained(struct sluice_producer *producer)
{
	uint64_t claim, gate;
	int rc;

	if (producer->multi) {
		gate = sluice_gate_claim(&producer->ring, producer->gate, &claim, &rc);
		return !rc && (int64_t)(gate - producer->published) >= 0;
	}
	return sluice_gate_min(&producer->ring, producer->published, &rc) == producer->published &&
	       !rc;
}

void sluice_producer_count(struct sluice_producer *producer, uint64_t events)
{
	struct sluice_participant *self = producer->self;

	/* relaxed, all: own statistics */
	atomic_store_explicit(&self->events,
			      atomic_load_explicit(&self->events, memory_order_relaxed) + events,
			      memory_order_relaxed);
	atomic_store_explicit(&self->batches,
			      atomic_load_explicit(&self->batches, memory_order_relaxed) + 1,
			      memory_order_relaxed);
	atomic_store_explicit(&self->progress_ns, sluice_clock_ns(), memory_order_relaxed);
}

void sluice_producer_await_drain(struct sluice_producer *producer, uint64_t timeout_ns)
{
	struct sluice_segment *segment = producer->ring.segment;
	_Atomic uint64_t *sleepers = &segment->control->producer_sleepers;
	const uint32_t ticket = sluice_sleep_begin(segment, sleepers, producer->index);

	sluice_sleep_end(segment, sleepers, producer->index, ticket,
			 !sluice_producer_drained(producer), sluice_clock_ns() + timeout_ns);
}
