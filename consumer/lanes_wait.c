/* SPDX-License-Identifier: MIT */
/*
 * lanes_wait.c - waiting on many rings at once; see lanes.h. The owner's thread. A crash while
 * asleep leaves a bit in each ring's sleepers that costs its next publisher one useless wake.
 */
#include "consumer/consumer_internal.h"
#include "consumer/lanes_internal.h"
#include "shm/clock.h"

#define NAMED_EVERY_NS 100000000u /* between two looks whether the rings still have their names */
#define LOOK_MISSES 256u /* of one wait, between two looks at what is not an event */

void sluice_lanes_interrupt(struct sluice_lanes *lanes)
{
	/* relaxed: a flag alone */
	atomic_store_explicit(&lanes->interrupted, 1, memory_order_relaxed);
}

void sluice_lanes_resume(struct sluice_lanes *lanes)
{
	/* relaxed: a flag alone */
	atomic_store_explicit(&lanes->interrupted, 0, memory_order_relaxed);
}

/* Removed, and nobody is there who could still publish. Not asked of nameless rings. */
static bool is_gone(const struct sluice_segment *segment)
{
	return segment->path[0] && !sluice_segment_is_named(segment) &&
	       sluice_participant_count(segment, SLUICE_ROLE_PRODUCER) == 0;
}

static void drop_gone(struct sluice_lanes *lanes)
{
	const uint64_t now_ns = sluice_clock_ns();

	if (now_ns - lanes->named_ns < NAMED_EVERY_NS)
		return;
	lanes->named_ns = now_ns;
	for (uint32_t i = lanes->count; i-- > 0;) {
		uint64_t n;

		/* what was published before comes first */
		if (is_gone(lanes->lanes[i].consumer->ring.segment) &&
		    sluice_consumer_poll(lanes->lanes[i].consumer, 1, &n) == -EAGAIN)
			sluice_lane_drop(lanes, i, -ENOENT);
	}
}

/* 0: a poll would find something, be it that a lane has ended; -EAGAIN; -EPIPE. */
static int look(const struct sluice_lanes *lanes)
{
	int rc = lanes->count ? -EAGAIN : -EPIPE;
	uint64_t n;

	for (uint32_t i = 0; rc == -EAGAIN && i < lanes->count; i++)
		if (lanes->lanes[i].has_event ||
		    sluice_consumer_poll(lanes->lanes[i].consumer, 1, &n) != -EAGAIN)
			rc = 0;
	return rc;
}

/* A ring that says nothing may have been damaged; one with a dead producer's claim needs help. */
static uint64_t look_after(struct sluice_lanes *lanes, uint64_t until_ns)
{
	for (uint32_t i = lanes->count; i-- > 0;) {
		struct sluice_consumer *consumer = lanes->lanes[i].consumer;

		if (sluice_lane_check(consumer, 0)) {
			sluice_lane_drop(lanes, i, -EBADMSG);
			continue;
		}
		sluice_consumer_look(consumer);
		if (sluice_consumer_look_ns(consumer) < until_ns)
			until_ns = sluice_consumer_look_ns(consumer);
	}
	return until_ns;
}

static int sleep_once(struct sluice_lanes *lanes, const struct sluice_waiter *waiter)
{
	const uint64_t until_ns = look_after(lanes, waiter->deadline_ns);
	struct sluice_sleep_place places[SLUICE_LANES_MAX];
	const uint32_t count = lanes->count;
	int rc;

	if (!count)
		return -EPIPE;
	for (uint32_t i = 0; i < count; i++) {
		const struct sluice_consumer *consumer = lanes->lanes[i].consumer;
		struct sluice_control *control = consumer->ring.control;

		places[i] = (struct sluice_sleep_place){
			.segment = consumer->ring.segment,
			.sleepers = consumer->follows ? &control->stage_sleepers :
							&control->consumer_sleepers,
			.index = consumer->index,
		};
	}
	sluice_sleep_many_begin(places, count);
	rc = look(lanes);
	sluice_sleep_many_end(places, count, rc == -EAGAIN && !sluice_waiter_interrupted(waiter),
			      until_ns);
	return rc;
}

int sluice_lanes_wait(struct sluice_lanes *lanes, uint64_t timeout_ns)
{
	struct sluice_waiter waiter;
	enum sluice_wait_step step;
	int rc;

	/* relaxed: a flag alone */
	if (atomic_load_explicit(&lanes->interrupted, memory_order_relaxed))
		return -ECANCELED;
	rc = look(lanes);
	if (rc != -EAGAIN)
		return rc;
	sluice_waiter_init(&waiter, lanes->options.wait, timeout_ns);
	waiter.interrupted = &lanes->interrupted;
	do {
		step = sluice_waiter_step(&waiter);
		if (step == SLUICE_WAIT_INTERRUPTED)
			return -ECANCELED;
		if (step == SLUICE_WAIT_SLEEP || waiter.misses % LOOK_MISSES == 0)
			drop_gone(lanes);
		if (waiter.misses % LOOK_MISSES == 0)
			look_after(lanes, 0);
		rc = step == SLUICE_WAIT_SLEEP ? sleep_once(lanes, &waiter) : -EAGAIN;
		if (rc == -EAGAIN)
			rc = look(lanes);
		if (rc != -EAGAIN)
			return rc;
	} while (step != SLUICE_WAIT_EXPIRED);
	return -ETIMEDOUT;
}
