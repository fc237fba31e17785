/* SPDX-License-Identifier: MIT */
/*
 * one_way.c - events per second from one process to another, as fast as both can, through one ring.
 * Each word of an event is derived from its sequence and checked.
 *
 * sync pairs of this file:
 *   flow:end -> flow:count	how many there are, before the reader ends
 */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "bench/pair.h"
#include "bench/ticks.h"
#include "cli/signals.h"
#include "consumer/consumer.h"
#include "producer/producer.h"

#define SLOTS 65536u
#define READ_MAX 4096u
#define CLOCK_EVERY 1024u
#define LOOK_NS 1000000u /* for the end, when nothing comes */
#define CASES 6u
#define UNKNOWN UINT64_MAX

static const struct {
	uint32_t bytes, batch;
} cases[CASES] = {{8, 1}, {8, 16}, {64, 1}, {64, 16}, {128, 1}, {128, 16}};

struct flow {
	_Alignas(128) _Atomic uint64_t count; /* of all events; UNKNOWN until the producer ends */
	_Alignas(128) uint64_t began, ended;  /* ticks */
	uint64_t batches, polls, empty_polls;
	char name[SLUICE_SEGMENT_NAME_BYTES];
	uint64_t run_ns;
	uint32_t words, batch;
};

static int produce(struct bench_pair *pair, uint32_t side, void *arg)
{
	const struct sluice_producer_options options = {.wait = SLUICE_WAIT_SPIN};
	struct flow *flow = arg;
	struct sluice_segment segment;
	struct sluice_producer producer;
	uint64_t first = 0, deadline, looked = 0;
	int rc = bench_ring_attach(&segment, flow->name);

	rc = rc ? rc : sluice_producer_open(&producer, &segment, &options, NULL);
	rc = rc ? rc : bench_pair_start(pair, side);
	if (rc)
		return rc;
	flow->began = bench_ticks_now();
	deadline = flow->began + (uint64_t)((double)flow->run_ns / bench_clock.ns_per_tick);
	for (;;) {
		if (producer.next - looked >= CLOCK_EVERY) {
			looked = producer.next;
			if (bench_ticks_now() >= deadline)
				break;
		}
		rc = sluice_producer_claim(&producer, flow->batch, SLUICE_WAIT_FOREVER, &first);
		if (rc)
			return rc;
		for (uint64_t s = first; s != first + flow->batch; s++) {
			uint64_t *event = sluice_producer_slot(&producer, s);

			for (uint32_t i = 0; i < flow->words; i++)
				event[i] = s * 16 + i;
		}
		sluice_producer_publish_range(&producer, first, first + flow->batch - 1);
	}
	/* sync: flow:end -> flow:count; every event before it */
	atomic_store_explicit(&flow->count, producer.next, memory_order_release);
	bench_pair_stop(pair, side);
	return 0;
}

/* 0 if every word of the n events from `from` on is the right one. */
static inline uint64_t check(const struct sluice_consumer *consumer, uint64_t from, uint64_t n,
			     uint32_t words)
{
	uint64_t wrong = 0;

	for (uint64_t s = from; s != from + n; s++) {
		const uint64_t *event = sluice_consumer_event(consumer, s);

		for (uint32_t i = 0; i < words; i++)
			wrong |= event[i] ^ (s * 16 + i);
	}
	return wrong;
}

static bool is_complete(const struct flow *flow, const struct sluice_consumer *consumer)
{
	/* sync: flow:count <- flow:end; what it says was published */
	return atomic_load_explicit(&flow->count, memory_order_acquire) == consumer->next;
}

static int consume(struct bench_pair *pair, uint32_t side, void *arg)
{
	const struct sluice_consumer_options options = {.wait = SLUICE_WAIT_SPIN};
	struct flow *flow = arg;
	struct sluice_segment segment;
	struct sluice_consumer consumer;
	uint64_t n, wrong = 0;
	int rc = bench_ring_attach(&segment, flow->name);

	rc = rc ? rc : sluice_consumer_open(&consumer, &segment, &options, NULL);
	rc = rc ? rc : bench_pair_start(pair, side);
	if (rc)
		return rc;
	while (!is_complete(flow, &consumer)) {
		rc = sluice_consumer_wait(&consumer, READ_MAX, LOOK_NS, &n);
		if (rc == -ETIMEDOUT)
			continue;
		if (rc)
			return rc;
		wrong |= check(&consumer, consumer.next, n, flow->words);
		sluice_consumer_advance(&consumer, n);
		sluice_consumer_release(&consumer, consumer.next);
		flow->batches++;
	}
	flow->ended = bench_ticks_now();
	/* relaxed: own statistics */
	flow->polls = atomic_load_explicit(&consumer.self->polls, memory_order_relaxed);
	flow->empty_polls = atomic_load_explicit(&consumer.self->empty_polls, memory_order_relaxed);
	bench_pair_stop(pair, side);
	return wrong ? -EBADMSG : 0;
}

struct sums { /* of one case, per run */
	double millions[BENCH_PAIRS_MAX], batch[BENCH_PAIRS_MAX], empty[BENCH_PAIRS_MAX];
	double events;
	uint32_t runs;
};

static void add_run(struct sums *sums, const struct flow *flow)
{
	/* relaxed: both processes have ended */
	const double events = (double)atomic_load_explicit(&flow->count, memory_order_relaxed);
	const double ns = (double)(flow->ended - flow->began) * bench_clock.ns_per_tick;

	sums->millions[sums->runs] = events / ns * 1e3;
	sums->batch[sums->runs] = events / (double)flow->batches;
	sums->empty[sums->runs] = 100 * (double)flow->empty_polls / (double)flow->polls;
	sums->events += events;
	sums->runs++;
}

static int run_case(struct sums *sums, uint32_t c, const struct bench_plan *plan,
		    struct bench_scenario *scenario, struct sluice_diag *diag)
{
	const struct bench_side sides[2] = {{"producer", plan->cpus[0], produce},
					    {"consumer", plan->cpus[1], consume}};
	struct flow *flow = bench_shared_alloc(sizeof(*flow));
	int rc;

	if (!flow)
		return sluice_diag_set(diag, ENOMEM, "no memory for the counters");
	snprintf(flow->name, sizeof(flow->name), "bench.%d.flow", (int)getpid());
	flow->run_ns = plan->run_ns / 4; /* millions of events all the same */
	flow->words = cases[c].bytes / 8;
	flow->batch = cases[c].batch;
	/* relaxed: before the fork */
	atomic_store_explicit(&flow->count, UNKNOWN, memory_order_relaxed);
	rc = bench_ring_create(flow->name, SLOTS, cases[c].bytes, diag);
	if (!rc) {
		rc = bench_pair_run(sides, 2, flow, scenario, diag);
		sluice_segment_unlink(flow->name, NULL);
	}
	if (!rc)
		add_run(sums, flow);
	bench_shared_free(flow, sizeof(*flow));
	return rc ? rc : sluice_signals_stop() ? -EINTR : 0;
}

static void add_row(struct bench_scenario *scenario, const struct sums *sums, uint32_t c)
{
	struct bench_row *row = bench_row(scenario, "%u-byte events, batches of %u", cases[c].bytes,
					  cases[c].batch);

	bench_set_range(row, "million_per_s", sums->millions, sums->runs);
	bench_set(row, "mean_batch_read", bench_median(sums->batch, sums->runs));
	bench_set(row, "empty_polls_percent", bench_median(sums->empty, sums->runs));
	bench_set(row, "samples", sums->events);
	bench_set(row, "runs", sums->runs);
}

int bench_one_way(const struct bench_plan *plan, struct bench_scenario *scenario,
		  struct sluice_diag *diag)
{
	static struct sums sums[CASES];
	int rc = 0;

	memset(sums, 0, sizeof(sums));
	if (!plan->two_cpus) {
		bench_not_measured(scenario, "needs 2 CPUs");
		return 0;
	}
	for (uint32_t i = 0; i < plan->pairs * CASES && !rc; i++)
		rc = run_case(&sums[i % CASES], i % CASES, plan, scenario, diag);
	if (rc)
		return rc;
	for (uint32_t c = 0; c < CASES; c++)
		add_row(scenario, &sums[c], c);
	bench_note(scenario,
		   "ring %u slots, one producer, one critical consumer that releases what it "
		   "has read, wait spin",
		   SLOTS);
	return 0;
}
