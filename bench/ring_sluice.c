/* SPDX-License-Identifier: MIT */
/*
 * ring_sluice.c - the parties of a throughput run over a ring of Sluice: see ring.h. A process or
 * thread each; the last producer closes the ring, which ends the consumers.
 */
#include <errno.h>
#include <sched.h>

#include "bench/ring.h"
#include "consumer/poller.h"
#include "producer/producer.h"

static const char *const stage_names[BENCH_FLOW_PARTIES] = {"c1", "c2", "c3", "c4"};

int bench_sluice_create(const struct bench_flow *flow, struct sluice_diag *diag)
{
	const bool many = bench_topology_many(flow->ring.topology);
	const struct sluice_segment_options options = {
		.name = flow->name,
		.slot_count = flow->ring.slots,
		.slot_stride = flow->stride,
		.publication = many ? SLUICE_PUBLICATION_STAMPED : SLUICE_PUBLICATION_CURSOR,
		.producer_mode = many ? SLUICE_PRODUCER_MULTI : SLUICE_PRODUCER_SINGLE,
		.event_kind = SLUICE_EVENT_RAW,
		.numa_node = -1,
	};
	struct sluice_segment segment;
	int rc = sluice_segment_create(&segment, &options, diag);

	if (!rc)
		sluice_segment_close(&segment);
	return rc;
}

static BENCH_ALWAYS_INLINE int send_words(uint32_t words, struct bench_flow *flow, uint32_t party,
					  struct sluice_producer *producer, uint64_t *ret_sent)
{
	const uint32_t id = party - flow->consumers;
	const uint64_t batch = flow->ring.batch;
	uint64_t sent = 0, looked = 0, first = 0;
	int rc;

	for (;;) {
		if (sent - looked >= BENCH_PEER_CLOCK_EVERY) {
			looked = sent;
			if (!bench_flow_more(flow, party))
				break;
		}
		rc = sluice_producer_claim(producer, batch, SLUICE_WAIT_FOREVER, &first);
		if (sluice_unlikely(rc))
			return rc;
		for (uint64_t i = 0; i < batch; i++)
			bench_event_fill(sluice_producer_slot(producer, first + i), words, sent + i,
					 id, flow->spoil);
		sluice_producer_publish_range(producer, first, first + batch - 1);
		sent += batch;
	}
	*ret_sent = sent;
	return 0;
}

static int open_producer(struct bench_flow *flow, uint32_t party, const struct bench_pair *pair,
			 struct sluice_segment *segment, struct sluice_producer *producer)
{
	const struct sluice_producer_options options = {.wait = flow->wait};
	int rc = bench_ring_attach(segment, flow->name);

	rc = rc ? rc : bench_flow_turn(flow, party, pair);
	rc = rc ? rc : sluice_producer_open(producer, segment, &options, NULL);
	if (!rc)
		bench_flow_opened(flow);
	return rc;
}

int bench_sluice_produce(struct bench_pair *pair, uint32_t side, void *arg)
{
	struct bench_flow *flow = arg;
	struct sluice_segment segment;
	struct sluice_producer producer;
	uint64_t sent = 0;
	int rc = open_producer(flow, side, pair, &segment, &producer);

	bench_shared_touch(flow, sizeof(*flow));
	rc = rc ? rc : bench_pair_start(pair, side);
	if (rc)
		return rc;
	bench_flow_floor(flow, side);
	bench_flow_begin(flow, side);
	rc = BENCH_BY_WORDS(flow->ring.bytes, send_words, flow, side, &producer, &sent);
	bench_pair_stop(pair, side);
	if (!rc && bench_flow_end(flow, side, sent))
		sluice_ring_set_state(&segment, SLUICE_STATE_DRAINING);
	sluice_producer_close(&producer);
	return rc;
}

/* One look, by the reader that the case asks for: events, or why there are none. */
static inline int look(struct sluice_consumer *consumer, const struct bench_flow *flow,
		       uint64_t *ret_n)
{
	int rc;

	if (flow->ring.reader == BENCH_READ_WAIT)
		return sluice_consumer_wait(consumer, BENCH_RING_READ_MAX, SLUICE_WAIT_FOREVER,
					    ret_n);
	rc = sluice_consumer_poll(consumer, BENCH_RING_READ_MAX, ret_n);
	if (rc == -EAGAIN)
		bench_flow_step(flow);
	return rc;
}

/* What the poller's handler needs for one event. */
struct handled {
	struct bench_expect expect;
	uint64_t read;
	uint32_t words;
	bool many;
};

static int handle(void *arg, const void *event, uint64_t sequence, bool end_of_batch)
{
	struct handled *handled = arg;

	(void)sequence, (void)end_of_batch;
	bench_event_check(&handled->expect, event, handled->words, handled->many);
	handled->read++;
	return 0;
}

static int read_by_poller(struct bench_flow *flow, struct bench_party *party, bool many,
			  struct sluice_consumer *consumer)
{
	struct handled handled = {.words = flow->ring.bytes / 8, .many = many};
	struct sluice_poller poller;
	int rc;

	bench_expect_init(&handled.expect);
	sluice_poller_init(&poller, consumer, BENCH_RING_READ_MAX);
	for (;;) {
		rc = sluice_poller_poll(&poller, handle, &handled);
		if (rc < 0)
			break;
		if (rc == SLUICE_POLL_PROCESSING)
			party->batches++;
		else
			bench_flow_step(flow);
	}
	party->read = handled.read;
	if (handled.expect.wrong)
		return -EBADMSG;
	return rc == -EPIPE ? 0 : rc;
}

static BENCH_ALWAYS_INLINE int read_words(uint32_t words, struct bench_flow *flow,
					  struct bench_party *party, bool many,
					  struct sluice_consumer *consumer)
{
	struct bench_expect expect;
	uint64_t n = 0;
	int rc;

	bench_expect_init(&expect);
	for (;;) {
		rc = look(consumer, flow, &n);
		if (rc == -EAGAIN)
			continue;
		if (rc)
			break;
		for (uint64_t i = 0; i < n; i++)
			bench_event_check(&expect,
					  sluice_consumer_event(consumer, consumer->next + i),
					  words, many);
		sluice_consumer_advance(consumer, n);
		sluice_consumer_release(consumer, consumer->next);
		party->read += n;
		party->batches++;
	}
	if (expect.wrong)
		return -EBADMSG;
	return rc == -EPIPE ? 0 : rc;
}

/* Whom a consumer follows: it reads only what they have released. */
static void stages_before(enum bench_topology topology, uint32_t party, const char **ret_after)
{
	uint32_t n = 0;

	if (topology == BENCH_PIPELINE && party)
		ret_after[n++] = stage_names[party - 1];
	if (topology == BENCH_DIAMOND && party == 2) {
		ret_after[n++] = stage_names[0];
		ret_after[n++] = stage_names[1];
	}
	ret_after[n] = NULL;
}

static int open_consumer(struct bench_flow *flow, uint32_t party, const struct bench_pair *pair,
			 struct sluice_segment *segment, struct sluice_consumer *consumer)
{
	const char *after[BENCH_FLOW_PARTIES + 1];
	const struct sluice_consumer_options options = {
		.name = stage_names[party], .wait = flow->wait, .after = after};
	int rc = bench_ring_attach(segment, flow->name);

	stages_before(flow->ring.topology, party, after);
	rc = rc ? rc : bench_flow_turn(flow, party, pair);
	rc = rc ? rc : sluice_consumer_open(consumer, segment, &options, NULL);
	if (!rc)
		bench_flow_opened(flow);
	return rc;
}

int bench_sluice_consume(struct bench_pair *pair, uint32_t side, void *arg)
{
	struct bench_flow *flow = arg;
	struct bench_party *party = &flow->parties[side];
	struct sluice_segment segment;
	struct sluice_consumer consumer;
	int rc = open_consumer(flow, side, pair, &segment, &consumer);

	bench_shared_touch(flow, sizeof(*flow));
	rc = rc ? rc : bench_pair_start(pair, side);
	if (rc)
		return rc;
	bench_flow_floor(flow, side);
	if (flow->ring.reader == BENCH_READ_POLLER)
		rc = read_by_poller(flow, party, bench_topology_many(flow->ring.topology),
				    &consumer);
	else if (bench_topology_many(flow->ring.topology))
		rc = BENCH_BY_WORDS(flow->ring.bytes, read_words, flow, party, true, &consumer);
	else
		rc = BENCH_BY_WORDS(flow->ring.bytes, read_words, flow, party, false, &consumer);
	party->ended = bench_ticks_now();
	/* relaxed: own statistics */
	party->polls = atomic_load_explicit(&consumer.self->polls, memory_order_relaxed);
	party->empty_polls = atomic_load_explicit(&consumer.self->empty_polls,
						  memory_order_relaxed);
	bench_pair_stop(pair, side);
	if (!rc && !bench_flow_complete(flow, party->read))
		rc = -EBADMSG;
	sluice_consumer_close(&consumer, false);
	return rc;
}
