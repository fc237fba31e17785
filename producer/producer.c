/* SPDX-License-Identifier: MIT */
/*
 * producer.c - the slow halves of producer.h: joining, taking over from a dead producer, waiting
 * for space. The owning thread. What a crash leaves is described in producer.h.
 *
 * sync pairs of this file:
 *   publish:stamp -> ring:stamp		a tombstone like any event
 *   join:membership -> gate:membership	the set of gating consumers and the state that go with it
 */
#include "producer/producer.h"

#include <pthread.h>

#include "shm/clock.h"

/* How often a producer that waits for space looks for consumers to evict. */
#define EVICT_EVERY_NS 1000000u
#define PLACE_NAP_NS 1000000u
#define PLACE_TRIES 20

/* "Is anybody there, then take it" must be one step among the threads of this process. */
static pthread_mutex_t open_mutex = PTHREAD_MUTEX_INITIALIZER;

/* Publishes [from, to) as tombstones. */
static void bury(const struct sluice_ring *ring, uint64_t from, uint64_t to)
{
	if (from == to)
		return;
	for (uint64_t s = from; s != to; s++)
		/* sync: publish:stamp -> ring:stamp; a tombstone: nothing of the event is shown */
		atomic_store_explicit(sluice_ring_stamp(ring, s), SLUICE_STAMP_VOID | (s + 1),
				      memory_order_release);
	/* relaxed: statistic */
	atomic_fetch_add_explicit(&ring->control->tombstones, to - from, memory_order_relaxed);
	sluice_wake(ring->segment, &ring->control->consumer_sleepers);
}

/*
 * Takes over from a predecessor that is dead (its byte is ours now). Cursor ring: what was claimed
 * and not published is simply claimed again. Stamped ring: it becomes tombstones, up to where the
 * slots are free; a predecessor that died between its claim word and its look at a newcomer has
 * claimed more, and has not touched it. -EBADMSG: the words contradict each other.
 */
static int take_over(struct sluice_producer *producer)
{
	const struct sluice_ring *ring = &producer->ring;
	/* relaxed: the predecessor is dead, the lock ordered its stores before ours */
	const uint64_t claim = atomic_load_explicit(&ring->control->claim, memory_order_relaxed);
	const uint64_t cursor = atomic_load_explicit(&ring->control->cursor, memory_order_relaxed);
	uint64_t published = cursor, end, room;
	int rc;

	if (ring->stamped) {
		end = sluice_ring_oldest(ring);
		published = sluice_ring_published(ring, end, claim - end);
	}
	if (claim - published > ring->slot_count)
		return -EBADMSG;
	end = published;
	if (ring->stamped) {
		room = ring->slot_count - (published - sluice_gate_min(ring, published, &rc));
		if (rc)
			return rc;
		end += claim - published < room ? claim - published : room;
		producer->buried = end - published;
		bury(ring, published, end);
		/* relaxed: we are the only producer; beyond it nothing was touched */
		atomic_store_explicit(&ring->control->claim, end, memory_order_relaxed);
	}
	producer->claim_floor = ring->stamped ? end : claim;
	producer->next = end;
	producer->published = end;
	return 0;
}

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
	int rc = take_place(segment);

	if (rc == -EAGAIN)
		return sluice_diag_set(diag, EBUSY, "%s: takes one producer at a time and one is "
				       "running", segment->header.name);
	if (rc)
		return sluice_diag_set(diag, -rc, "%s: cannot take the producer's place: %s",
				       segment->header.name, strerror(-rc));
	rc = sluice_participant_join(segment, &options, &producer->index, NULL, diag);
	if (rc)
		sluice_liveness_release(segment, SLUICE_LOCK_PRODUCER);
	return rc;
}

int sluice_producer_open(struct sluice_producer *ret_producer, struct sluice_segment *segment,
			 const struct sluice_producer_options *options, struct sluice_diag *diag)
{
	struct sluice_producer producer = {.wait = options ? options->wait : SLUICE_WAIT_ADAPTIVE};
	int rc;

	sluice_ring_init(&producer.ring, segment);
	if (!segment->writable)
		return sluice_diag_set(diag, EACCES, "%s: attached read-only",
				       segment->header.name);
	if (sluice_ring_state(&producer.ring) != SLUICE_STATE_READY)
		return sluice_diag_set(diag, EPIPE, "%s: the ring is closed", segment->header.name);
	pthread_mutex_lock(&open_mutex);
	rc = join(&producer, options ? options->name : NULL, diag);
	pthread_mutex_unlock(&open_mutex);
	if (rc)
		return rc;
	producer.self = &segment->participants[producer.index];
	producer.barrier = sluice_barrier_register();
	producer.fenced = true; /* until the first refresh knows better */
	rc = take_over(&producer);
	if (rc) {
		sluice_participant_leave(segment, producer.index, false);
		sluice_liveness_release(segment, SLUICE_LOCK_PRODUCER);
		return sluice_diag_set(diag, -rc, "%s: claim, cursor and positions contradict each "
				       "other: shared memory was damaged", segment->header.name);
	}
	producer.gate = producer.next;
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
	if (producer->ring.stamped)
		bury(&producer->ring, producer->published, producer->next);
	sluice_participant_leave(segment, producer->index, false);
	sluice_liveness_release(segment, SLUICE_LOCK_PRODUCER);
	/* a consumer that waits for "every producer has left" looks again */
	sluice_wake(segment, &segment->control->consumer_sleepers);
	producer->ring.segment = NULL;
}

int sluice_producer_recover(struct sluice_segment *segment)
{
	struct sluice_producer dead = {.wait = SLUICE_WAIT_YIELD};
	int rc;

	if (!segment->writable)
		return -EACCES;
	if (segment->header.backing == SLUICE_BACKING_PRIVATE)
		return -EBUSY; /* its producer is in this process, so it lives */
	sluice_ring_init(&dead.ring, segment);
	rc = sluice_liveness_hold(segment, SLUICE_LOCK_PRODUCER);
	if (rc)
		return rc == -EAGAIN ? -EBUSY : rc;
	rc = take_over(&dead);
	sluice_liveness_release(segment, SLUICE_LOCK_PRODUCER);
	return rc ? rc : (int)dead.buried;
}

/* What gates the next claim: the consumers, and what this producer has not published itself. */
static uint64_t gate_of(const struct sluice_producer *producer, int *ret_error)
{
	const uint64_t gate = sluice_gate_min(&producer->ring, producer->next, ret_error);
	const uint64_t unpublished = producer->next - producer->published;

	return producer->next - gate > unpublished ? gate : producer->published;
}

int sluice_producer_refresh(struct sluice_producer *producer, uint64_t n)
{
	const struct sluice_ring *ring = &producer->ring;
	uint64_t used;
	int rc;

	/* sync: gate:membership <- join:membership; and fenced:on; the set that goes with it */
	producer->membership = atomic_load_explicit(&ring->control->membership,
						    memory_order_acquire);
	/* sync: gate:membership <- fenced:on; relaxed load, ordered by the acquire above */
	producer->fenced = !producer->barrier ||
			   atomic_load_explicit(&ring->control->fenced, memory_order_relaxed);
	if (sluice_ring_state(ring) != SLUICE_STATE_READY)
		return -EPIPE;
	producer->gate = gate_of(producer, &rc);
	if (rc)
		return rc;
	used = producer->next - producer->gate;
	return n <= ring->slot_count - used ? 0 : -EAGAIN;
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

static bool space_or_end(struct sluice_producer *producer, uint64_t n)
{
	return sluice_producer_refresh(producer, n) != -EAGAIN;
}

int sluice_producer_claim(struct sluice_producer *producer, uint64_t n, uint64_t timeout_ns,
			  uint64_t *ret_first)
{
	struct sluice_control *control = producer->ring.control;
	struct sluice_waiter waiter;
	uint64_t evict_ns = 0;
	int rc = sluice_producer_try_claim(producer, n, ret_first);

	if (sluice_likely(rc != -EAGAIN))
		return rc;
	/* relaxed: own statistic */
	atomic_store_explicit(&producer->self->full_waits,
			      atomic_load_explicit(&producer->self->full_waits,
						   memory_order_relaxed) + 1,
			      memory_order_relaxed);
	sluice_waiter_init(&waiter, producer->wait, timeout_ns);
	for (;;) {
		const enum sluice_wait_step step = sluice_waiter_step(&waiter);

		if (step == SLUICE_WAIT_SLEEP) {
			const uint32_t ticket = sluice_sleep_begin(producer->ring.segment,
								   &control->producer_sleepers,
								   producer->index);
			const bool sleep = !space_or_end(producer, n);

			sluice_sleep_end(producer->ring.segment, &control->producer_sleepers,
					 producer->index, ticket, sleep, waiter.deadline_ns);
		}
		rc = sluice_producer_try_claim(producer, n, ret_first);
		if (rc != -EAGAIN)
			return rc;
		if (step == SLUICE_WAIT_EXPIRED)
			return -ETIMEDOUT;
		if (waiter.misses % 256 == 0 || step == SLUICE_WAIT_SLEEP) {
			const uint64_t now_ns = sluice_clock_ns();

			if (now_ns - evict_ns >= EVICT_EVERY_NS) {
				evict_ns = now_ns;
				sluice_gate_evict(&producer->ring, producer->next);
			}
		}
	}
}

uint64_t sluice_producer_remaining(struct sluice_producer *producer)
{
	int rc;
	const uint64_t gate = gate_of(producer, &rc);

	return rc ? 0 : producer->ring.slot_count - (producer->next - gate);
}

bool sluice_producer_drained(struct sluice_producer *producer)
{
	int rc;

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
