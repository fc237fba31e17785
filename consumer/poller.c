/* SPDX-License-Identifier: MIT */
/*
 * poller.c - see poller.h. The caller's thread; a crash leaves the position at the start of the
 * poll.
 */
#include "consumer/poller.h"

void sluice_poller_init(struct sluice_poller *poller, struct sluice_consumer *consumer,
			uint64_t max)
{
	sluice_assert(consumer->policy == SLUICE_POLICY_CRITICAL);
	poller->consumer = consumer;
	poller->max = max ? max : consumer->ring.slot_count;
}

static enum sluice_poll_result why_nothing(const struct sluice_consumer *consumer)
{
	/* relaxed: a hint */
	const uint64_t claim = atomic_load_explicit(&consumer->ring.control->claim,
						    memory_order_relaxed);

	return claim == consumer->next ? SLUICE_POLL_IDLE : SLUICE_POLL_GATING;
}

/* The last sequence of [next, end) with an event; `end` if there is none. */
static uint64_t find_last(const struct sluice_consumer *consumer, uint64_t end)
{
	for (uint64_t s = end; s != consumer->next; s--)
		if (!sluice_consumer_is_void(consumer, s - 1))
			return s - 1;
	return end;
}

int sluice_poller_poll(struct sluice_poller *poller,
		       int (*on_event)(void *arg, const void *event, uint64_t sequence,
				       bool end_of_batch),
		       void *arg)
{
	struct sluice_consumer *consumer = poller->consumer;
	uint64_t n, events = 0;
	int rc = 0;

	/* again when there were tombstones only */
	while (!rc && !events) {
		uint64_t begin = consumer->next, end, last, voids = 0;

		rc = sluice_consumer_poll(consumer, poller->max, &n);
		if (rc)
			return rc == -EAGAIN ? (int)why_nothing(consumer) : rc;
		end = begin + n;
		last = find_last(consumer, end);
		while (!rc && consumer->next != end) {
			const uint64_t sequence = consumer->next;

			sluice_consumer_advance(consumer, 1);
			if (sluice_consumer_is_void(consumer, sequence)) {
				voids++;
				continue;
			}
			events++;
			rc = on_event(arg, sluice_consumer_event(consumer, sequence), sequence,
				      sequence == last);
		}
		if (sluice_is_rewind(rc))
			rc = sluice_rewind_error(rc);
		/* the handler may have released the event that it then failed */
		if (rc < 0 && consumer->released != consumer->next)
			consumer->next--;
		sluice_consumer_count(consumer, consumer->next - begin, voids);
		sluice_consumer_release(consumer, consumer->next);
	}
	return rc < 0 ? rc : SLUICE_POLL_PROCESSING;
}
