/* SPDX-License-Identifier: MIT */
/*
 * graph_fixture.h - a ring, a graph on it, and stages whose handlers leave marks on every event, so
 * that one that comes too early, twice or out of order shows.
 */
#ifndef SLUICE_TESTS_UNIT_CONSUMER_GRAPH_FIXTURE_H
#define SLUICE_TESTS_UNIT_CONSUMER_GRAPH_FIXTURE_H

#include <stdlib.h>
#include <unistd.h>

#include "consumer/graph.h"
#include "tests/unit/consumer/handler_fixture.h"

#define STAGES 6
#define PATIENCE (30 * SECOND)

/* Each stage leaves its mark on every event; whoever is behind it checks that it is there. */
struct station {
	_Atomic uint64_t *marks; /* per sequence: bits of the stations that have handled it */
	uint64_t bit, needs;
	_Atomic uint64_t events;
	_Atomic uint32_t starts, stops;
	_Atomic uint32_t missed; /* events that came before what they need, or out of order */
	_Atomic uint32_t hold;	 /* not 0: handlers wait here */
	_Atomic uint64_t held;	 /* handlers that have waited */
	uint64_t next;
	int fail_with;
	uint64_t fail_at;
};

static inline int mark(void *arg, const void *event, uint64_t sequence, bool end_of_batch)
{
	struct station *station = arg;
	const uint64_t started_ns = sluice_clock_ns();
	uint64_t before;

	(void)event;
	(void)end_of_batch;
	if (atomic_load(&station->hold))
		atomic_fetch_add(&station->held, 1);
	while (atomic_load(&station->hold) && sluice_clock_ns() - started_ns < PATIENCE)
		usleep(500);
	if (station->fail_with && sequence == station->fail_at)
		return station->fail_with;
	before = atomic_fetch_or(&station->marks[sequence % 4096], station->bit);
	if ((before & station->needs) != station->needs || (before & station->bit) ||
	    sequence != station->next++)
		atomic_fetch_add(&station->missed, 1);
	atomic_fetch_add(&station->events, 1);
	return 0;
}

static inline int begin(void *arg)
{
	atomic_fetch_add(&((struct station *)arg)->starts, 1);
	return 0;
}

static inline int finish(void *arg)
{
	atomic_fetch_add(&((struct station *)arg)->stops, 1);
	return 0;
}

static const struct sluice_handler marking = {
	.on_event = mark, .on_start = begin, .on_stop = finish,
};

struct works {
	struct sluice_segment segment;
	struct sluice_producer producer;
	struct sluice_graph graph;
	struct station stations[STAGES];
	struct sluice_stage stages[STAGES];
	_Atomic uint64_t marks[4096];
	struct sluice_diag diag;
};

static const char *const letters[STAGES] = {"a", "b", "c", "d", "e", "f"};

/* `name` NULL: private. */
static inline void works_init(struct works *w, const char *name, uint32_t publication,
			      uint64_t slot_count)
{
	assert_int_equal(ring_create(&w->segment, name, publication, slot_count, 0), 0);
	assert_int_equal(sluice_producer_open(&w->producer, &w->segment, NULL, NULL), 0);
	assert_int_equal(sluice_graph_init(&w->graph, &w->segment, NULL), 0);
	for (uint32_t i = 0; i < STAGES; i++) {
		w->stations[i].marks = w->marks;
		w->stations[i].bit = 1ull << i;
		w->stages[i] = (struct sluice_stage){
			.name = letters[i], .handler = &marking, .arg = &w->stations[i],
			.options = {.batch_max = 5},
		};
	}
}

static inline struct works *works_open(int kind, uint64_t slot_count)
{
	struct works *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	works_init(w, NULL, rig_publications[kind], slot_count);
	return w;
}

static inline void works_close(struct works *w)
{
	sluice_graph_release(&w->graph);
	sluice_producer_close(&w->producer);
	ring_destroy(&w->segment);
	free(w);
}

static inline void publish(struct works *w, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		uint64_t sequence;

		assert_int_equal(sluice_producer_claim(&w->producer, 1, PATIENCE, &sequence), 0);
		event_fill(sluice_producer_slot(&w->producer, sequence),
			   w->producer.ring.payload_bytes, sequence);
		sluice_producer_publish(&w->producer, sequence);
	}
}

/* One batch for whoever reads it: the first event is published last. Multi-producer rings. */
static inline void publish_at_once(struct works *w, uint64_t n)
{
	uint64_t first;

	assert_int_equal(sluice_producer_claim(&w->producer, n, PATIENCE, &first), 0);
	for (uint64_t s = first + n; s-- != first;) {
		event_fill(sluice_producer_slot(&w->producer, s), w->producer.ring.payload_bytes,
			   s);
		sluice_producer_publish(&w->producer, s);
	}
}

static inline bool await_count(const _Atomic uint64_t *count, uint64_t n)
{
	const uint64_t started_ns = sluice_clock_ns();

	while (atomic_load(count) < n && sluice_clock_ns() - started_ns < PATIENCE)
		usleep(500);
	return atomic_load(count) >= n;
}

static inline void check(struct works *w, uint32_t stages, uint64_t events)
{
	for (uint32_t i = 0; i < stages; i++) {
		assert_int_equal(w->stations[i].events, events);
		assert_int_equal(w->stations[i].missed, 0);
		assert_int_equal(w->stations[i].starts, w->stations[i].stops);
	}
}

static inline uint32_t gating(const struct works *w)
{
	return (uint32_t)__builtin_popcountll(atomic_load(&w->segment.control->gating));
}

/* Runs what was drawn over `events` events and a close. */
static inline void run_closed(struct works *w, uint32_t stages, uint32_t gates, uint64_t events)
{
	assert_int_equal(sluice_graph_start(&w->graph, &w->diag), 0);
	assert_int_equal(gating(w), gates);
	publish(w, events);
	sluice_ring_set_state(&w->segment, SLUICE_STATE_DRAINING);
	assert_int_equal(sluice_graph_wait(&w->graph, PATIENCE), 0);
	for (uint32_t i = 0; i < stages; i++)
		assert_int_equal(sluice_graph_result(&w->graph, letters[i]), 0);
	assert_int_equal(sluice_graph_stop(&w->graph, PATIENCE), 0);
	assert_int_equal(gating(w), 0);
	check(w, stages, events);
}

#endif
