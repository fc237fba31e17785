/* SPDX-License-Identifier: MIT */
/*
 * consumer.c - the slow halves of consumer.h: joining, polling, waiting, copying. The owning
 * thread. A crash leaves the position where it was last released: a critical consumer's successor
 * reads from there again.
 */
#include "consumer/consumer_internal.h"

#include "shm/clock.h"

#define STREAM_MISSES 4u /* of one wait: so many happen between the events of a stream */

/* Polls between two looks at what hardly ever changes, and empty ones between two looks around. */
#define RECHECK_POLLS 64u
#define LOOK_POLLS 256u
/* Misses of one wait before the first look around, and between two: a spinner's are short. */
#define LOOK_MISSES 128u
#define LOOK_MISSES_EVERY 16u

/*
 * A saved position is shared memory like any other: it must be one that a consumer can have. The
 * claim word of a single producer is a claim too high while it looks who has joined.
 */
static int check_position(const struct sluice_consumer *consumer, struct sluice_diag *diag)
{
	const struct sluice_ring *ring = &consumer->ring;
	/*
	 * Positions are at or behind the claim word, by at most a ring.
	 * sync: gate:claim <- claim:word; an eviction that let the word go on
	 */
	const uint64_t claim = atomic_load_explicit(&ring->control->claim, memory_order_acquire);

	if (consumer->policy == SLUICE_POLICY_LOSSY ||
	    claim - consumer->next <= 2 * ring->slot_count)
		return 0;
	if (sluice_consumer_is_evicted(consumer))
		return 0; /* since it joined: the first poll says so */
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
		.after = options->after,
	};
	int rc = sluice_participant_join(segment, &join, &consumer.index, &consumer.resumed, diag);

	if (rc)
		return rc;
	sluice_ring_init(&consumer.ring, segment);
	consumer.self = &segment->participants[consumer.index];
	/* relaxed: own words, set by the join of this very thread */
	consumer.next = atomic_load_explicit(&consumer.self->position, memory_order_relaxed);
	consumer.released = consumer.next;
	sluice_pace_init(&consumer.pace);
	/* as it was made ACTIVE: an evictor may have been quicker than this load */
	consumer.state = (atomic_load_explicit(&consumer.self->state, memory_order_relaxed) &
			  ~SLUICE_PARTICIPANT_STATE_MASK) | SLUICE_PARTICIPANT_ACTIVE;
	consumer.follows = atomic_load_explicit(&consumer.self->follows, memory_order_relaxed) &
			   sluice_participant_bits(segment) & ~(1ull << consumer.index);
	/* relaxed: a switch that is only ever set; polls look at it again */
	consumer.fenced = !sluice_barrier_register() ||
			  atomic_load_explicit(&segment->control->fenced, memory_order_relaxed);
	sluice_consumer_watch(&consumer);
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
	sluice_consumer_unstall(consumer);
	/* evicted or not, the entry is ours until its byte is free */
	sluice_participant_leave(segment, consumer->index, keep);
	consumer->ring.segment = NULL;
}

static uint64_t count_poll(struct sluice_participant *self, bool empty)
{
	/* relaxed, all: own statistics */
	const uint64_t polls = atomic_load_explicit(&self->polls, memory_order_relaxed) + 1;

	atomic_store_explicit(&self->polls, polls, memory_order_relaxed);
	if (empty)
		atomic_store_explicit(&self->empty_polls,
				      atomic_load_explicit(&self->empty_polls,
							   memory_order_relaxed) + 1,
				      memory_order_relaxed);
	return polls;
}

static void count_sleep(struct sluice_participant *self)
{
	/* relaxed: own statistic */
	atomic_store_explicit(&self->sleeps,
			      atomic_load_explicit(&self->sleeps, memory_order_relaxed) + 1,
			      memory_order_relaxed);
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

static int empty(struct sluice_consumer *consumer, uint64_t *ret_n)
{
	count_poll(consumer->self, true);
	if (++consumer->empties % LOOK_POLLS == 0)
		sluice_consumer_look(consumer);
	return sluice_consumer_why_empty(consumer, ret_n);
}

/* For who is never empty: what must be noticed some time, though not at every poll. */
static int recheck(struct sluice_consumer *consumer)
{
	/* relaxed: a switch that is only ever set; late means one bounded sleep of a producer */
	if (atomic_load_explicit(&consumer->ring.control->fenced, memory_order_relaxed))
		consumer->fenced = true;
	if (sluice_consumer_is_evicted(consumer))
		return -ESTALE;
	return sluice_ring_state(&consumer->ring) == SLUICE_STATE_POISONED ? -ENOTRECOVERABLE : 0;
}

static int found(struct sluice_consumer *consumer, uint64_t end, uint64_t *ret_n)
{
	const uint64_t polls = count_poll(consumer->self, false);

	if (sluice_unlikely(polls % RECHECK_POLLS == 0)) {
		const int rc = recheck(consumer);

		if (rc)
			return rc;
	}
	*ret_n = end - consumer->next;
	return 0;
}

/* Of who is not critical, follows others, or was stalled. */
static int poll_watched(struct sluice_consumer *consumer, uint64_t max, uint64_t *ret_n)
{
	uint64_t ahead, end;
	int rc;

	if (consumer->follows) {
		rc = sluice_consumer_ahead(consumer, &ahead);
		if (rc)
			return rc;
		end = consumer->next + (ahead < max ? ahead : max);
	} else {
		end = sluice_ring_published(&consumer->ring, consumer->next, max);
	}
	if (sluice_unlikely(lapped(consumer))) {
		*ret_n = 1; /* the copy says -EOVERFLOW, then the caller skips */
		return 0;
	}
	if (end == consumer->next)
		return empty(consumer, ret_n);
	if (consumer->stall.shown)
		sluice_consumer_unstall(consumer);
	/* a critical one is evicted by an operator only, who knows what that means */
	if (consumer->policy == SLUICE_POLICY_EVICTABLE && sluice_consumer_is_evicted(consumer))
		return -ESTALE;
	return found(consumer, end, ret_n);
}

/*
 * Shall it take the lines of what it is given (pace.h)? Not if others gate as well, who want them
 * too; nor if it is so far behind that they have left the producer's cache.
 */
static bool takes_lines(const struct sluice_consumer *consumer)
{
	const struct sluice_ring *ring = &consumer->ring;

	/* relaxed: a hint, read-mostly */
	if (atomic_load_explicit(&ring->control->gating, memory_order_relaxed) !=
	    1ull << consumer->index)
		return false;
	/* relaxed: a hint; stamped rings do not say how far they are */
	return ring->stamped ||
	       (atomic_load_explicit(&ring->control->cursor, memory_order_relaxed) -
		consumer->next) * ring->stride <= SLUICE_PACE_BEHIND_BYTES_MAX;
}

int sluice_consumer_poll(struct sluice_consumer *consumer, uint64_t max, uint64_t *ret_n)
{
	uint64_t end;
	int rc;

	if (sluice_unlikely(consumer->watched))
		return poll_watched(consumer, max, ret_n);
	end = sluice_ring_published(&consumer->ring, consumer->next, max);
	if (sluice_unlikely(end == consumer->next))
		return empty(consumer, ret_n);
	rc = found(consumer, end, ret_n);
	if (!rc && takes_lines(consumer))
		sluice_pace_take(&consumer->ring, consumer->next, *ret_n);
	return rc;
}

/* ------------------------------------------------------------------------------------ waits */

/* Has caught up: lets some events come first, where that pays (pace.h). */
static int rest(struct sluice_consumer *consumer, uint64_t max, uint64_t *ret_n)
{
	int rc;

	if (!sluice_pace_rest(&consumer->pace))
		return -EAGAIN;
	rc = sluice_consumer_poll(consumer, max, ret_n);
	sluice_pace_rested(&consumer->pace, rc ? 0 : *ret_n);
	return rc;
}

/* The word that is written when there is something to read. */
static const _Atomic uint64_t *watched_word(const struct sluice_consumer *consumer)
{
	const struct sluice_ring *ring = &consumer->ring;

	if (consumer->follows)
		return &ring->segment->participants[__builtin_ctzll(consumer->follows)].position;
	return ring->stamped ? sluice_ring_stamp(ring, consumer->next) : &ring->control->cursor;
}

/* Announces itself, looks once more, sleeps if there is still nothing. */
static int sleep_once(struct sluice_consumer *consumer, const struct sluice_waiter *waiter,
		      uint64_t max, uint64_t *ret_n)
{
	struct sluice_segment *segment = consumer->ring.segment;
	_Atomic uint64_t *sleepers = consumer->follows ? &segment->control->stage_sleepers :
							 &segment->control->consumer_sleepers;
	uint64_t until_ns = waiter->deadline_ns;
	uint32_t ticket;
	bool sleep;
	int rc;

	sluice_consumer_look(consumer);
	if (sluice_consumer_look_ns(consumer) < until_ns)
		until_ns = sluice_consumer_look_ns(consumer);
	ticket = sluice_sleep_begin(segment, sleepers, consumer->index);
	rc = sluice_consumer_poll(consumer, max, ret_n);
	sleep = rc == -EAGAIN && !sluice_waiter_interrupted(waiter);
	if (sleep)
		count_sleep(consumer->self);
	sluice_sleep_end(segment, sleepers, consumer->index, ticket, sleep, until_ns);
	return rc;
}

static bool is_time_to_look(const struct sluice_waiter *waiter)
{
	const uint32_t every = waiter->strategy == SLUICE_WAIT_SPIN ||
			       waiter->strategy == SLUICE_WAIT_UMWAIT ?
				       LOOK_POLLS : LOOK_MISSES_EVERY;

	return waiter->misses >= LOOK_MISSES && waiter->misses % every == 0;
}

int sluice_consumer_wait(struct sluice_consumer *consumer, uint64_t max, uint64_t timeout_ns,
			 uint64_t *ret_n)
{
	struct sluice_waiter waiter;
	enum sluice_wait_step step;
	int rc;

	/* relaxed: a flag alone */
	if (sluice_unlikely(atomic_load_explicit(&consumer->interrupted, memory_order_relaxed)))
		return -ECANCELED;
	rc = sluice_consumer_poll(consumer, max, ret_n);
	if (rc == -EAGAIN)
		rc = rest(consumer, max, ret_n);
	if (rc != -EAGAIN)
		return rc;
	sluice_waiter_init(&waiter, consumer->wait, timeout_ns);
	waiter.interrupted = &consumer->interrupted;
	waiter.watch = watched_word(consumer);
	do {
		step = sluice_waiter_step(&waiter);
		if (step == SLUICE_WAIT_INTERRUPTED)
			return -ECANCELED;
		if (step == SLUICE_WAIT_SLEEP) {
			rc = sleep_once(consumer, &waiter, max, ret_n);
			if (rc != -EAGAIN)
				return rc;
		} else if (is_time_to_look(&waiter)) {
			sluice_consumer_look(consumer);
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
	} while (step != SLUICE_WAIT_EXPIRED);
	return -ETIMEDOUT;
}

void sluice_consumer_interrupt(struct sluice_consumer *consumer)
{
	/* relaxed: the wake-up after it orders it before a sleeper's last look */
	atomic_store_explicit(&consumer->interrupted, 1, memory_order_relaxed);
	sluice_wake_participant(consumer->ring.segment, consumer->index);
}

void sluice_consumer_resume(struct sluice_consumer *consumer)
{
	/* relaxed: a flag alone */
	atomic_store_explicit(&consumer->interrupted, 0, memory_order_relaxed);
}

void sluice_consumer_wake(struct sluice_consumer *consumer)
{
	struct sluice_segment *segment = consumer->ring.segment;
	struct sluice_control *control = segment->control;

	/* relaxed, both: as in release; one that is not asleep is not woken */
	if (atomic_load_explicit(&control->producer_sleepers, memory_order_relaxed))
		sluice_wake(segment, &control->producer_sleepers);
	if (atomic_load_explicit(&control->stage_sleepers, memory_order_relaxed))
		sluice_wake(segment, &control->stage_sleepers);
}

int sluice_consumer_copy(struct sluice_consumer *consumer, uint64_t sequence, void *ret_event)
{
	const struct sluice_ring *ring = &consumer->ring;
	bool is_void;

	/* what it does not hold back may be anything */
	if (consumer->policy == SLUICE_POLICY_LOSSY ||
	    (int64_t)(sequence - consumer->released) < 0) {
		const int rc = sluice_ring_copy(ring, sequence, ret_event);

		return sluice_consumer_is_evicted(consumer) ? -ESTALE : rc;
	}
	if (sluice_ring_published(ring, sequence, 1) == sequence)
		return sluice_consumer_is_evicted(consumer) ? -ESTALE : -EAGAIN;
	is_void = sluice_ring_is_void(ring, sequence);
	memcpy(ret_event, sluice_ring_payload(ring, sequence), ring->payload_bytes);
	/*
	 * Who gates is evicted before its slots are written again, and the claim word may be a
	 * claim too high: not that one decides.
	 * sync: view:state <- entry:active; the copy before the second look
	 */
	atomic_thread_fence(memory_order_acquire);
	if (sluice_consumer_is_evicted(consumer))
		return -ESTALE;
	return is_void ? -ENODATA : 0;
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
