/* SPDX-License-Identifier: MIT */
/*
 * wake_up.c - how long a consumer that sleeps in the kernel needs to see an event: from the
 * publisher's clock reading before the publish to the reader's after it, once a millisecond.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "bench/pair.h"
#include "bench/samples.h"
#include "bench/ticks.h"
#include "cli/signals.h"
#include "consumer/consumer.h"
#include "producer/producer.h"

#define SLOTS 1024u
#define IDLE_NS 1000000
#define WARM_UP 20u
#define RUNS_MAX 3u
#define STOP UINT64_MAX

struct wake {
	struct bench_samples samples;
	char name[SLUICE_SEGMENT_NAME_BYTES];
	uint64_t run_ns;
	uint64_t sleeps;
};

static int publish(struct sluice_producer *producer, uint64_t word)
{
	uint64_t first;
	int rc = sluice_producer_claim(producer, 1, SLUICE_WAIT_FOREVER, &first);

	if (rc)
		return rc;
	memcpy(sluice_producer_slot(producer, first), &word, sizeof(word));
	sluice_producer_publish(producer, first);
	return 0;
}

static int produce(struct bench_pair *pair, uint32_t side, void *arg)
{
	const struct timespec idle = {.tv_nsec = IDLE_NS};
	struct wake *wake = arg;
	struct sluice_segment segment;
	struct sluice_producer producer;
	uint64_t began_ns;
	int rc = bench_ring_attach(&segment, wake->name);

	rc = rc ? rc : sluice_producer_open(&producer, &segment, NULL, NULL);
	rc = rc ? rc : bench_pair_start(pair, side);
	began_ns = sluice_clock_ns();
	while (!rc && sluice_clock_ns() - began_ns < wake->run_ns) {
		clock_nanosleep(CLOCK_MONOTONIC, 0, &idle, NULL);
		rc = publish(&producer, sluice_clock_ns());
	}
	bench_pair_stop(pair, side);
	return rc ? rc : publish(&producer, STOP);
}

static int consume(struct bench_pair *pair, uint32_t side, void *arg)
{
	const struct sluice_consumer_options options = {.wait = SLUICE_WAIT_BLOCK};
	struct wake *wake = arg;
	struct sluice_segment segment;
	struct sluice_consumer consumer;
	uint64_t sent_ns, now_ns, n, seen = 0;
	int rc = bench_ring_attach(&segment, wake->name);

	bench_shared_touch(wake, sizeof(*wake));
	rc = rc ? rc : sluice_consumer_open(&consumer, &segment, &options, NULL);
	rc = rc ? rc : bench_pair_start(pair, side);
	while (!rc) {
		rc = sluice_consumer_wait(&consumer, 1, SLUICE_WAIT_FOREVER, &n);
		if (rc)
			break;
		now_ns = sluice_clock_ns();
		memcpy(&sent_ns, sluice_consumer_event(&consumer, consumer.next), sizeof(sent_ns));
		sluice_consumer_advance(&consumer, 1);
		sluice_consumer_release(&consumer, consumer.next);
		if (sent_ns == STOP)
			break;
		if (sent_ns > now_ns)
			return -EBADMSG;
		if (seen++ >= WARM_UP)
			bench_sample(&wake->samples, now_ns - sent_ns);
	}
	/* relaxed: own statistic */
	wake->sleeps = atomic_load_explicit(&consumer.self->sleeps, memory_order_relaxed);
	bench_pair_stop(pair, side);
	return rc;
}

static int run_once(struct bench_arm *arm, uint64_t *sleeps, const struct bench_plan *plan,
		    struct bench_scenario *scenario, struct sluice_diag *diag)
{
	const struct bench_side sides[2] = {{"producer", plan->cpus[0], produce},
					    {"consumer", plan->cpus[1], consume}};
	struct wake *wake = bench_shared_alloc(sizeof(*wake));
	int rc;

	if (!wake)
		return sluice_diag_set(diag, ENOMEM, "no memory for the samples");
	snprintf(wake->name, sizeof(wake->name), "bench.%d.wake", (int)getpid());
	wake->run_ns = plan->run_ns * 5 / 2; /* a thousand samples justify p99 */
	rc = bench_ring_create(wake->name, SLOTS, 32, diag);
	if (!rc) {
		rc = bench_pair_run(sides, 2, wake, scenario, diag);
		sluice_segment_unlink(wake->name, NULL);
	}
	if (!rc && !wake->samples.count)
		rc = sluice_diag_set(diag, EAGAIN, "no samples: --seconds is too short");
	if (!rc)
		bench_arm_add(arm, &wake->samples, 1);
	*sleeps += wake->sleeps;
	bench_shared_free(wake, sizeof(*wake));
	return rc ? rc : sluice_signals_stop() ? -EINTR : 0;
}

int bench_wake_up(const struct bench_plan *plan, struct bench_scenario *scenario,
		  struct sluice_diag *diag)
{
	static struct bench_arm arm;
	uint64_t sleeps = 0;
	int rc = 0;

	memset(&arm, 0, sizeof(arm));
	if (!plan->two_cpus) {
		bench_not_measured(scenario, "needs 2 CPUs");
		return 0;
	}
	for (uint32_t i = 0; i < plan->pairs && i < RUNS_MAX && !rc; i++)
		rc = run_once(&arm, &sleeps, plan, scenario, diag);
	if (rc)
		return rc;
	bench_arm_row(scenario, &arm, bench_clock.floor_ns, "publish to a consumer that sleeps");
	bench_note(scenario, "wait block, 1 ms idle before each event; it slept %llu times",
		   (unsigned long long)sleeps);
	return 0;
}
