/* SPDX-License-Identifier: MIT */
/*
 * lanes.c - merging; see lanes.h. The owner's thread. Trusts nothing that a ring says about itself:
 * what is published is held against the claim word, and an event is looked at in a private copy
 * only.
 */
#include "consumer/lanes_internal.h"

#include <stdlib.h>

#define POLL_DEFAULT 256u
#define TURN_DEFAULT 32u
#define CHECK_EMPTIES 64u /* the claim word's line is the producers': seldom, when idle */
#define READY_MAX 256u /* by key: released when so many were taken, at the latest */

int sluice_lanes_init(struct sluice_lanes *ret_lanes, const struct sluice_lanes_options *options)
{
	struct sluice_lanes lanes = {.count = 0};

	if (options)
		lanes.options = *options;
	if (lanes.options.order > SLUICE_LANES_BY_KEY)
		return -EINVAL;
	if (!lanes.options.turn_max)
		lanes.options.turn_max = lanes.options.order == SLUICE_LANES_BY_KEY ?
						 1 : TURN_DEFAULT;
	lanes.lanes = calloc(SLUICE_LANES_MAX, sizeof(*lanes.lanes));
	if (!lanes.lanes)
		return -ENOMEM;
	*ret_lanes = lanes;
	return 0;
}

void sluice_lanes_release(struct sluice_lanes *lanes)
{
	while (lanes->count)
		sluice_lanes_remove(lanes, lanes->lanes[lanes->count - 1].consumer);
	free(lanes->lanes);
	lanes->lanes = NULL;
}

static int find(const struct sluice_lanes *lanes, const struct sluice_consumer *consumer)
{
	for (uint32_t i = 0; i < lanes->count; i++)
		if (lanes->lanes[i].consumer == consumer)
			return (int)i;
	return -ENOENT;
}

int sluice_lanes_add(struct sluice_lanes *lanes, struct sluice_consumer *consumer)
{
	const uint32_t bytes = consumer->ring.payload_bytes;
	uint8_t *event;

	if (consumer->policy != SLUICE_POLICY_CRITICAL)
		return -EINVAL;
	if (lanes->options.order == SLUICE_LANES_BY_KEY &&
	    (bytes < sizeof(uint64_t) || lanes->options.key_offset > bytes - sizeof(uint64_t)))
		return -EINVAL;
	if (find(lanes, consumer) >= 0)
		return -EEXIST;
	if (lanes->count == SLUICE_LANES_MAX)
		return -ENOSPC;
	/* as aligned as a slot is at best */
	event = aligned_alloc(SLUICE_LINE_BYTES, (bytes + SLUICE_LINE_BYTES - 1) /
							 SLUICE_LINE_BYTES * SLUICE_LINE_BYTES);
	if (!event)
		return -ENOMEM;
	lanes->lanes[lanes->count++] = (struct sluice_lane){.consumer = consumer, .event = event};
	return 0;
}

/* What was taken may be overwritten. */
static void release(struct sluice_lane *lane)
{
	struct sluice_consumer *consumer = lane->consumer;

	if (consumer->released == consumer->next)
		return;
	sluice_consumer_count(consumer, consumer->next - consumer->released, lane->voids);
	sluice_consumer_release(consumer, consumer->next);
	lane->voids = 0;
}

static void forget(struct sluice_lanes *lanes, uint32_t index)
{
	release(&lanes->lanes[index]);
	free(lanes->lanes[index].event);
	lanes->count--;
	memmove(&lanes->lanes[index], &lanes->lanes[index + 1],
		(lanes->count - index) * sizeof(*lanes->lanes));
	if (lanes->at > index)
		lanes->at--;
	if (lanes->at >= lanes->count)
		lanes->at = 0;
}

int sluice_lanes_remove(struct sluice_lanes *lanes, struct sluice_consumer *consumer)
{
	const int index = find(lanes, consumer);

	if (index < 0)
		return index;
	forget(lanes, (uint32_t)index);
	return 0;
}

void sluice_lane_drop(struct sluice_lanes *lanes, uint32_t index, int reason)
{
	struct sluice_consumer *consumer = lanes->lanes[index].consumer;

	forget(lanes, index);
	if (lanes->options.on_drop)
		lanes->options.on_drop(lanes->options.arg, consumer, reason);
}

/* ------------------------------------------------------------------------------- one lane */

int sluice_lane_check(const struct sluice_consumer *consumer, uint64_t n)
{
	/* relaxed: stored before what it covers was published, which was acquired */
	const uint64_t claimed = atomic_load_explicit(&consumer->ring.control->claim,
						      memory_order_relaxed) - consumer->next;

	return claimed >= n && claimed <= consumer->ring.slot_count ? 0 : -EBADMSG;
}

/* 0: its next event is in lane->event. -EAGAIN: it has none now. Else it has ended. */
static int load(struct sluice_lanes *lanes, struct sluice_lane *lane, uint64_t max)
{
	struct sluice_consumer *consumer = lane->consumer;
	int rc;

	while (!lane->has_event) {
		if (!lane->ready) {
			release(lane);
			rc = sluice_consumer_poll(consumer, max, &lane->ready);
			if (!rc || (rc == -EAGAIN && consumer->empties % CHECK_EMPTIES == 0))
				rc = sluice_lane_check(consumer, rc ? 0 : lane->ready) ?
					     -EBADMSG : rc;
			if (rc) {
				lane->ready = 0;
				return rc;
			}
		}
		if (sluice_consumer_is_void(consumer, consumer->next)) {
			sluice_consumer_advance(consumer, 1);
			lane->ready--;
			lane->voids++;
			continue;
		}
		memcpy(lane->event, sluice_consumer_event(consumer, consumer->next),
		       consumer->ring.payload_bytes);
		if (lanes->options.order == SLUICE_LANES_BY_KEY)
			memcpy(&lane->key, lane->event + lanes->options.key_offset,
			       sizeof(lane->key));
		lane->has_event = true;
	}
	return 0;
}

/* One call of poll. */
struct merge {
	struct sluice_lanes *lanes;
	int (*on_event)(void *arg, struct sluice_consumer *lane, const void *event,
			uint64_t sequence);
	void *arg;
	uint64_t max;
	uint64_t events;
	int result; /* of the handler */
};

/* False: the handler wants no more. */
static bool give(struct merge *merge, struct sluice_lane *lane)
{
	struct sluice_consumer *consumer = lane->consumer;

	merge->result = merge->on_event(merge->arg, consumer, lane->event, consumer->next);
	if (sluice_is_rewind(merge->result))
		merge->result = sluice_rewind_error(merge->result);
	if (merge->result >= 0) {
		sluice_consumer_advance(consumer, 1);
		lane->ready--;
		lane->has_event = false;
		merge->events++;
	}
	return !merge->result;
}

/* --------------------------------------------------------------------------------- orders */

/* The lane whose turn it is; false: the handler wants no more. */
static bool take_turn(struct merge *merge)
{
	struct sluice_lanes *lanes = merge->lanes;
	struct sluice_lane *lane = &lanes->lanes[lanes->at];
	uint64_t left = lanes->options.turn_max;
	bool goes_on = true;
	int rc = 0;

	while (goes_on && left && merge->events < merge->max) {
		rc = load(lanes, lane, left);
		if (rc)
			break;
		goes_on = give(merge, lane);
		left--;
	}
	if (rc && rc != -EAGAIN) {
		sluice_lane_drop(lanes, lanes->at, rc);
	} else {
		/* a turn that was cut short is over like any other: nobody waits for this lane */
		release(lane);
		lanes->at = lanes->at + 1 < lanes->count ? lanes->at + 1 : 0;
	}
	return goes_on;
}

static void merge_in_turns(struct merge *merge)
{
	struct sluice_lanes *lanes = merge->lanes;
	bool goes_on = true;
	uint64_t before;

	do {
		before = merge->events;
		for (uint32_t turns = lanes->count; goes_on && turns && lanes->count; turns--)
			goes_on = merge->events < merge->max && take_turn(merge);
	} while (goes_on && merge->events != before);
}

/* Looks at every lane of which no event is known. */
static void look_at_all(struct sluice_lanes *lanes)
{
	for (uint32_t i = lanes->count; i-- > 0;) {
		const int rc = load(lanes, &lanes->lanes[i], READY_MAX);

		if (rc && rc != -EAGAIN)
			sluice_lane_drop(lanes, i, rc);
	}
}

/* NULL: there is nothing. The one that was added first, if there are several. */
static struct sluice_lane *find_least(struct sluice_lanes *lanes)
{
	struct sluice_lane *least = NULL;

	for (uint32_t i = 0; i < lanes->count; i++)
		if (lanes->lanes[i].has_event &&
		    (!least || lanes->lanes[i].key < least->key))
			least = &lanes->lanes[i];
	return least;
}

static void merge_by_key(struct merge *merge)
{
	struct sluice_lanes *lanes = merge->lanes;
	bool goes_on = true;

	while (goes_on && merge->events < merge->max) {
		struct sluice_lane *lane;

		if (merge->events % lanes->options.turn_max == 0)
			look_at_all(lanes);
		lane = find_least(lanes);
		if (!lane)
			break;
		goes_on = give(merge, lane);
		/* its next one takes part at once; why there is none, the next look says */
		if (goes_on)
			load(lanes, lane, READY_MAX);
	}
	for (uint32_t i = 0; i < lanes->count; i++)
		release(&lanes->lanes[i]);
}

int sluice_lanes_poll(struct sluice_lanes *lanes, uint64_t max,
		      int (*on_event)(void *arg, struct sluice_consumer *lane, const void *event,
				      uint64_t sequence),
		      void *arg)
{
	struct merge merge = {
		.lanes = lanes,
		.on_event = on_event,
		.arg = arg,
		.max = max ? max : POLL_DEFAULT,
	};

	if (lanes->options.order == SLUICE_LANES_BY_KEY)
		merge_by_key(&merge);
	else
		merge_in_turns(&merge);
	if (merge.result < 0)
		return merge.result;
	if (merge.events)
		return SLUICE_POLL_PROCESSING;
	return lanes->count ? (int)SLUICE_POLL_IDLE : -EPIPE;
}
