/* SPDX-License-Identifier: MIT */
/*
 * ring_stress.h - the body of the ring's stress tests, written once: run by threads of one process
 * (test-tsan) and by processes that are killed at random (tests/integration).
 *
 * Every producer numbers its events from 0 under its own incarnation, and has a place, where one is
 * at a time. A consumer demands: sequences in order; within an incarnation the numbers without a
 * gap, a repetition or a swap; incarnations of a place in order, each from 0; every byte of an
 * event right. What it has checked it keeps outside: a successor goes on checking where it was.
 */
#ifndef SLUICE_TESTS_STRESS_RING_STRESS_H
#define SLUICE_TESTS_STRESS_RING_STRESS_H

#include <stdio.h>

#include "shm/clock.h"
#include "tests/lib/ring_fixture.h"

#define STRESS_WAIT_NS 50000000u
#define STRESS_PLACES 4u /* of producers */

static const char *const stress_names[] = {"a", "b", "c"};

struct stress_event {
	uint64_t incarnation;
	uint64_t k;
	uint64_t place;
	uint8_t body[32];
};

struct stress_consumer { /* of one consumer, over all its lives */
	_Atomic uint64_t sequence; /* next one to check */
	_Atomic uint64_t pending;  /* 1 + the one whose check is being recorded */
	_Atomic uint64_t incarnation[STRESS_PLACES], k[STRESS_PLACES];
	_Atomic uint64_t events, voids, again;
	_Atomic uint64_t wrong; /* 1 + the first kind of violation */
};

struct stress {
	_Atomic uint32_t stop;
	_Atomic uint64_t incarnation;
	_Atomic uint64_t published;
	_Atomic uint64_t errors;
	struct stress_consumer consumers[3];
};

static inline void stress_body(struct stress_event *event)
{
	event_fill(event->body, sizeof(event->body), event->incarnation * 1000003 + event->k);
}

/* Until stop or the end of the ring. False: a call failed in a way that it never should. */
static inline bool stress_produce(struct stress *stress, struct sluice_segment *segment,
				  uint64_t place, uint64_t seed)
{
	const struct sluice_producer_options options = {.wait = (uint32_t)(seed % 4)};
	struct stress_event event = {
		.incarnation = atomic_fetch_add(&stress->incarnation, 1) + 1, .place = place,
	};
	struct sluice_producer producer;
	uint64_t first;

	struct sluice_diag diag;

	if (sluice_producer_open(&producer, segment, &options, &diag)) {
		fprintf(stderr, "producer: %s\n", diag.text);
		return false;
	}
	while (!atomic_load(&stress->stop)) {
		const uint64_t n = test_random(&seed) % 16 + 1;
		const int rc = sluice_producer_claim(&producer, n, STRESS_WAIT_NS, &first);

		if (rc == -ETIMEDOUT)
			continue;
		if (rc) {
			fprintf(stderr, "producer: claim at %llu: %d\n",
				(unsigned long long)producer.next, rc);
			return false;
		}
		for (uint64_t s = first; s < first + n; s++, event.k++) {
			stress_body(&event);
			memcpy(sluice_producer_slot(&producer, s), &event, sizeof(event));
		}
		if (n > 4) {
			sluice_producer_publish_range(&producer, first, first + n / 2);
			first += n / 2 + 1;
		}
		sluice_producer_publish_range(&producer, first, producer.next - 1);
		atomic_fetch_add_explicit(&stress->published, n, memory_order_relaxed);
	}
	sluice_producer_close(&producer);
	return true;
}

/* A predecessor was killed after it had recorded the event's check, before it counted the event. */
static inline bool stress_was_checked(const struct stress_consumer *state,
				      const struct stress_event *event, uint64_t sequence)
{
	return atomic_load(&state->pending) == sequence + 1 &&
	       atomic_load(&state->incarnation[event->place]) == event->incarnation &&
	       atomic_load(&state->k[event->place]) == event->k + 1;
}

static inline void stress_check(struct stress_consumer *state, const struct stress_event *event,
				uint64_t sequence)
{
	struct stress_event expected = *event;
	const uint64_t place = event->place;
	uint64_t incarnation;

	if (place >= STRESS_PLACES) {
		atomic_store(&state->wrong, 5);
		return;
	}
	incarnation = atomic_load(&state->incarnation[place]);
	if (stress_was_checked(state, event, sequence))
		return;
	stress_body(&expected);
	if (memcmp(expected.body, event->body, sizeof(expected.body)))
		atomic_store(&state->wrong, 2);
	else if (event->incarnation < incarnation)
		atomic_store(&state->wrong, 3);
	else if (event->k !=
		 (event->incarnation == incarnation ? atomic_load(&state->k[place]) : 0))
		atomic_store(&state->wrong, 4);
	/* in this order: killed in between, the successor's check of k is the stricter one */
	atomic_store(&state->pending, sequence + 1);
	atomic_store(&state->k[place], event->k + 1);
	atomic_store(&state->incarnation[place], event->incarnation);
}

static inline void stress_batch(struct stress_consumer *state, struct sluice_consumer *consumer,
				uint64_t n)
{
	for (uint64_t s = consumer->next; s < consumer->next + n; s++) {
		struct stress_event event;

		if (s < atomic_load(&state->sequence)) {
			atomic_fetch_add(&state->again, 1);
			continue;
		}
		if (s != atomic_load(&state->sequence))
			atomic_store(&state->wrong, 1);
		if (sluice_consumer_is_void(consumer, s)) {
			atomic_fetch_add(&state->voids, 1);
		} else {
			memcpy(&event, sluice_consumer_event(consumer, s), sizeof(event));
			stress_check(state, &event, s);
			atomic_fetch_add(&state->events, 1);
		}
		atomic_store(&state->sequence, s + 1);
	}
	sluice_consumer_advance(consumer, n);
	sluice_consumer_release(consumer, consumer->next);
}

/* Until the ring is closed and read to its end. */
static inline bool stress_consume(struct stress *stress, struct sluice_segment *segment,
				  uint32_t number, uint64_t seed)
{
	const struct sluice_consumer_options options = {
		.name = stress_names[number], .wait = (uint32_t)(seed % 4),
		.from = SLUICE_FROM_BEGINNING,
	};
	struct sluice_consumer consumer;
	struct sluice_diag diag;
	int rc = sluice_consumer_open(&consumer, segment, &options, &diag);

	if (rc) {
		fprintf(stderr, "consumer: %s\n", diag.text);
		return false;
	}
	for (;;) {
		uint64_t n;

		rc = sluice_consumer_wait(&consumer, test_random(&seed) % 32 + 1, STRESS_WAIT_NS,
					  &n);
		if (!rc)
			stress_batch(&stress->consumers[number], &consumer, n);
		else if (rc != -ETIMEDOUT)
			break;
	}
	sluice_consumer_close(&consumer, true);
	return rc == -EPIPE;
}

#endif
