/* SPDX-License-Identifier: MIT */
/*
 * consumer.c - the slow halves of consumer.h. The owning thread. A crash leaves the position where
 * it was last released: a critical consumer's successor reads from there again.
 */
#include "consumer/consumer.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shm/clock.h"

#define STREAM_MISSES 4u /* of one wait: so many happen between the events of a stream */

/* A saved position is shared memory like any other: it must be one that a consumer can have. */
static int check_position(const struct sluice_consumer *consumer, struct sluice_diag *diag)
{
	const struct sluice_ring *ring = &consumer->ring;
	/* relaxed: only compared; positions at or behind the claim word, by at most a ring */
	const uint64_t claim = atomic_load_explicit(&ring->control->claim, memory_order_relaxed);

	if (consumer->policy == SLUICE_POLICY_LOSSY || claim - consumer->next <= ring->slot_count)
		return 0;
	return sluice_diag_set(diag, EBADMSG, "%s: consumer's position %llu is impossible (claimed "
			       "up to %llu): shared memory was damaged", ring->segment->header.name,
			       (unsigned long long)consumer->next, (unsigned long long)claim);
}

int sluice_consumer_open(struct sluice_consumer *ret_consumer, struct sluice_segment *segment,
			 const struct sluice_consumer_options *options, struct sluice_diag *diag)
{
	struct sluice_consumer consumer = {
		.wait = options->wait,
		.policy = options->policy ? options->policy : SLUICE_POLICY_CRITICAL,
	};
	const struct sluice_participant_options join = {
		.name = options->name ? options->name : "consumer",
		.role = SLUICE_ROLE_CONSUMER,
		.policy = consumer.policy,
		.wait = options->wait,
		.from = options->from,
		.sequence = options->sequence,
		.lag_max = options->lag_max,
	};
	int rc = sluice_participant_join(segment, &join, &consumer.index, &consumer.resumed, diag);

	if (rc)
		return rc;
	sluice_ring_init(&consumer.ring, segment);
	consumer.self = &segment->participants[consumer.index];
	/* relaxed: own words, set by the join of this very thread */
	consumer.next = atomic_load_explicit(&consumer.self->position, memory_order_relaxed);
	consumer.released = consumer.next;
	consumer.state = atomic_load_explicit(&consumer.self->state, memory_order_relaxed);
	consumer.fenced = !sluice_barrier_register();
	rc = check_position(&consumer, diag);
	if (rc) {
		sluice_participant_leave(segment, consumer.index, true);
		return rc;
	}
	*ret_consumer = consumer;
	return 0;
}

void sluice_consumer_close(struct sluice_consumer *consumer, bool keep)
{
	struct sluice_segment *segment = consumer->ring.segment;

	if (!segment)
		return;
	/* evicted or not, the entry is ours until its byte is free */
	sluice_participant_leave(segment, consumer->index, keep);
	consumer->ring.segment = NULL;
}

static void count_poll(struct sluice_participant *self, bool empty)
{
	/* relaxed, all: own statistics */
	atomic_store_explicit(&self->polls,
			      atomic_load_explicit(&self->polls, memory_order_relaxed) + 1,
			      memory_order_relaxed);
	if (empty)
		atomic_store_explicit(&self->empty_polls,
				      atomic_load_explicit(&self->empty_polls,
							   memory_order_relaxed) + 1,
				      memory_order_relaxed);
}

static void count_sleep(struct sluice_participant *self)
{
	/* relaxed: own statistic */
	atomic_store_explicit(&self->sleeps,
			      atomic_load_explicit(&self->sleeps, memory_order_relaxed) + 1,
			      memory_order_relaxed);
}

static bool evicted(const struct sluice_consumer *consumer)
{
	/* sync: view:state <- entry:active; seen before the slots are rewritten */
	return consumer->policy == SLUICE_POLICY_EVICTABLE &&
	       atomic_load_explicit(&consumer->self->state, memory_order_acquire) !=
		       consumer->state;
}

/*
 * The ring is closed: may a claim that was made before still be published? Bumping `membership`
 * makes every later claim look at the state; the barrier shows us every earlier one.
 */
static bool claims_are_open(const struct sluice_consumer *consumer)
{
	struct sluice_control *control = consumer->ring.control;

	/* sync: join:membership -> gate:membership; as a joiner does (participant.c) */
	atomic_fetch_add_explicit(&control->membership, 1, memory_order_seq_cst);
	syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0);
	/* relaxed: ordered by the barrier */
	return atomic_load_explicit(&control->claim, memory_order_relaxed) != consumer->next &&
	       sluice_participant_count(consumer->ring.segment, SLUICE_ROLE_PRODUCER) > 0;
}

/* Nothing is readable at `next`: is that for now, or for ever? */
static int why_empty(struct sluice_consumer *consumer, uint64_t *ret_n)
{
	const uint32_t state = sluice_ring_state(&consumer->ring);
	bool open = false;
	uint64_t end;

	if (evicted(consumer))
		return -ESTALE;
	/* relaxed: a switch that is only ever set; late means one bounded sleep */
	if (atomic_load_explicit(&consumer->ring.control->fenced, memory_order_relaxed))
		consumer->fenced = true;
	if (state == SLUICE_STATE_READY || state == SLUICE_STATE_RECOVERING)
		return -EAGAIN;
	if (state == SLUICE_STATE_DRAINING)
		open = claims_are_open(consumer);
	/* what was published before the close, or by who has left, is visible now */
	end = sluice_ring_published(&consumer->ring, consumer->next, 1);
	if (end == consumer->next)
		return open ? -EAGAIN : -EPIPE;
	*ret_n = end - consumer->next;
	return 0;
}

static bool lapped(const struct sluice_consumer *consumer)
{
	uint64_t oldest;

	/* who gates must not look at the claim word: its line is the producer's */
	if (consumer->policy != SLUICE_POLICY_LOSSY)
		return false;
	oldest = sluice_ring_oldest(&consumer->ring);
	return oldest != consumer->next && oldest - consumer->next < UINT64_MAX / 2;
}

int sluice_consumer_poll(struct sluice_consumer *consumer, uint64_t max, uint64_t *ret_n)
{
	const uint64_t end = sluice_ring_published(&consumer->ring, consumer->next, max);

	if (sluice_unlikely(lapped(consumer))) {
		*ret_n = 1; /* the copy says -EOVERFLOW, then the caller skips */
		return 0;
	}
	if (sluice_unlikely(end == consumer->next)) {
		count_poll(consumer->self, true);
		return why_empty(consumer, ret_n);
	}
	if (sluice_unlikely(evicted(consumer)))
		return -ESTALE;
	count_poll(consumer->self, false);
	*ret_n = end - consumer->next;
	return 0;
}

int sluice_consumer_wait(struct sluice_consumer *consumer, uint64_t max, uint64_t timeout_ns,
			 uint64_t *ret_n)
{
	struct sluice_control *control = consumer->ring.control;
	struct sluice_waiter waiter;
	int rc = sluice_consumer_poll(consumer, max, ret_n);

	if (rc != -EAGAIN)
		return rc;
	sluice_waiter_init(&waiter, consumer->wait, timeout_ns);
	for (;;) {
		const enum sluice_wait_step step = sluice_waiter_step(&waiter);

		if (step == SLUICE_WAIT_SLEEP) {
			const uint32_t ticket = sluice_sleep_begin(consumer->ring.segment,
								   &control->consumer_sleepers,
								   consumer->index);

			rc = sluice_consumer_poll(consumer, max, ret_n);
			if (rc == -EAGAIN)
				count_sleep(consumer->self);
			sluice_sleep_end(consumer->ring.segment, &control->consumer_sleepers,
					 consumer->index, ticket, rc == -EAGAIN,
					 waiter.deadline_ns);
			if (rc != -EAGAIN)
				return rc;
		}
		/*
		 * The event's line shall travel together with the cursor's, not after it; but while
		 * events stream in, the producer keeps its lines.
		 */
		if (waiter.misses > STREAM_MISSES)
			__builtin_prefetch(sluice_ring_slot(&consumer->ring, consumer->next));
		rc = sluice_consumer_poll(consumer, max, ret_n);
		if (rc != -EAGAIN)
			return rc;
		if (step == SLUICE_WAIT_EXPIRED)
			return -ETIMEDOUT;
	}
}

int sluice_consumer_copy(struct sluice_consumer *consumer, uint64_t sequence, void *ret_event)
{
	const int rc = sluice_ring_copy(&consumer->ring, sequence, ret_event);

	return evicted(consumer) ? -ESTALE : rc;
}

uint64_t sluice_consumer_skip(struct sluice_consumer *consumer)
{
	uint64_t lost = sluice_ring_oldest(&consumer->ring) - consumer->next;

	/* the copy knew better than the claim word: the writer is in this very slot */
	if (!lost || lost >> 63)
		lost = 1;
	consumer->next += lost;
	consumer->released = consumer->next;
	/* relaxed: own statistic; a lossy position gates nobody */
	atomic_store_explicit(&consumer->self->position, consumer->next, memory_order_relaxed);
	atomic_store_explicit(&consumer->self->gaps,
			      atomic_load_explicit(&consumer->self->gaps, memory_order_relaxed) +
				      lost,
			      memory_order_relaxed);
	return lost;
}

void sluice_consumer_count(struct sluice_consumer *consumer, uint64_t events, uint64_t voids)
{
	struct sluice_participant *self = consumer->self;
	/* relaxed, all: own statistics */
	const uint64_t lag = atomic_load_explicit(&consumer->ring.control->claim,
						  memory_order_relaxed) - consumer->released;

	atomic_store_explicit(&self->events,
			      atomic_load_explicit(&self->events, memory_order_relaxed) + events,
			      memory_order_relaxed);
	atomic_store_explicit(&self->voids,
			      atomic_load_explicit(&self->voids, memory_order_relaxed) + voids,
			      memory_order_relaxed);
	atomic_store_explicit(&self->batches,
			      atomic_load_explicit(&self->batches, memory_order_relaxed) + 1,
			      memory_order_relaxed);
	if (lag <= consumer->ring.slot_count &&
	    lag > atomic_load_explicit(&self->lag_high, memory_order_relaxed))
		atomic_store_explicit(&self->lag_high, lag, memory_order_relaxed);
	atomic_store_explicit(&self->progress_ns, sluice_clock_ns(), memory_order_relaxed);
}
