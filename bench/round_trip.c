/* SPDX-License-Identifier: MIT */
/*
 * round_trip.c - there and back between two processes: a bare cache line in each direction, which
 * is what the machine can do, and two rings with slots of 32 bytes, packed ones and stamped ones,
 * in turns.
 *
 * sync pairs of this file:
 *   raw:ping -> raw:pong, raw:pong -> raw:ping	the number itself is all that travels
 */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "bench/pair.h"
#include "bench/samples.h"
#include "bench/ticks.h"
#include "cli/signals.h"
#include "consumer/consumer.h"
#include "producer/producer.h"

#define STRIDE 32u
#define HEAD_STEP 4u /* between the first words of two events: more than their other words add */
#define SLOTS 1024u
#define WARM_UP 2000u
#define STOP (1ull << 63)
#define AIM 1.15
#define MOVED 1.25

enum arm { RAW, RAW_PAUSE, RING, STAMPED, ARMS };

struct lines {
	_Alignas(128) _Atomic uint64_t there;
	_Alignas(128) _Atomic uint64_t back;
	_Alignas(128) uint8_t guard[128];
};

struct trip {
	struct lines lines;
	struct bench_samples samples;
	char names[2][SLUICE_SEGMENT_NAME_BYTES];
	uint64_t run_ns;
	enum arm arm;
};

static uint64_t deadline_of(const struct trip *trip)
{
	return bench_ticks_now() + (uint64_t)((double)trip->run_ns / bench_clock.ns_per_tick);
}

/* Counts one round trip; false when it was the last. */
static bool record(struct trip *trip, uint64_t n, uint64_t *before, uint64_t deadline)
{
	const uint64_t now = bench_ticks_now();

	if (n >= WARM_UP)
		bench_sample(&trip->samples, now - *before);
	*before = now;
	return now < deadline && trip->samples.count < BENCH_SAMPLES_MAX;
}

static inline uint64_t await(const _Atomic uint64_t *word, uint64_t old, bool pause)
{
	uint64_t value;

	for (;;) {
		/* sync: raw:pong <- raw:ping, raw:ping <- raw:pong; the number */
		value = atomic_load_explicit(word, memory_order_acquire);
		if (value != old)
			return value;
		if (pause)
			sluice_cpu_relax();
	}
}

static int raw_ping(struct bench_pair *pair, uint32_t side, void *arg)
{
	struct trip *trip = arg;
	const bool pause = trip->arm == RAW_PAUSE;
	uint64_t before, deadline, n = 0;
	bool more = true;
	int rc;

	bench_shared_touch(trip, sizeof(*trip));
	rc = bench_pair_start(pair, side);
	if (rc)
		return rc;
	deadline = deadline_of(trip);
	before = bench_ticks_now();
	while (more) {
		/* sync: raw:ping -> raw:pong; the number */
		atomic_store_explicit(&trip->lines.there, n + 1, memory_order_release);
		if (await(&trip->lines.back, n, pause) != n + 1)
			return -EBADMSG;
		more = record(trip, n++, &before, deadline);
	}
	bench_pair_stop(pair, side);
	/* sync: raw:ping -> raw:pong; the end */
	atomic_store_explicit(&trip->lines.there, STOP, memory_order_release);
	return 0;
}

static int raw_pong(struct bench_pair *pair, uint32_t side, void *arg)
{
	struct trip *trip = arg;
	const bool pause = trip->arm == RAW_PAUSE;
	uint64_t n = 0, got;
	int rc = bench_pair_start(pair, side);

	if (rc)
		return rc;
	for (;; n++) {
		got = await(&trip->lines.there, n, pause);
		if (got == STOP)
			break;
		if (got != n + 1)
			return -EBADMSG;
		/* sync: raw:pong -> raw:ping; the number */
		atomic_store_explicit(&trip->lines.back, got, memory_order_release);
	}
	bench_pair_stop(pair, side);
	return 0;
}

/* One process's ends of the two rings. */
struct ends {
	struct sluice_segment in, out;
	struct sluice_consumer consumer;
	struct sluice_producer producer;
};

static int open_ends(struct ends *ends, const char *in, const char *out)
{
	const struct sluice_consumer_options consumer = {.wait = SLUICE_WAIT_SPIN};
	const struct sluice_producer_options producer = {.wait = SLUICE_WAIT_SPIN};
	int rc = bench_ring_attach(&ends->in, in);

	if (!rc)
		rc = bench_ring_attach(&ends->out, out);
	if (!rc)
		rc = sluice_consumer_open(&ends->consumer, &ends->in, &consumer, NULL);
	if (!rc)
		rc = sluice_producer_open(&ends->producer, &ends->out, &producer, NULL);
	return rc;
}

static inline int send(struct ends *ends, uint64_t head)
{
	const uint32_t words = ends->producer.ring.payload_bytes / 8;
	uint64_t first, *event;
	int rc = sluice_producer_claim(&ends->producer, 1, SLUICE_WAIT_FOREVER, &first);

	if (rc)
		return rc;
	event = sluice_producer_slot(&ends->producer, first);
	for (uint32_t i = 0; i < words; i++)
		event[i] = head + i;
	sluice_producer_publish(&ends->producer, first);
	return 0;
}

/* The event's first word; every other one is checked against it. */
static inline int receive(struct ends *ends, uint64_t *ret_head)
{
	const uint32_t words = ends->consumer.ring.payload_bytes / 8;
	const uint64_t *event;
	uint64_t n, wrong = 0;
	int rc = sluice_consumer_wait(&ends->consumer, 1, SLUICE_WAIT_FOREVER, &n);

	if (rc)
		return rc;
	event = sluice_consumer_event(&ends->consumer, ends->consumer.next);
	for (uint32_t i = 1; i < words; i++)
		wrong |= event[i] ^ (event[0] + i);
	*ret_head = event[0];
	sluice_consumer_advance(&ends->consumer, 1);
	sluice_consumer_release(&ends->consumer, ends->consumer.next);
	return wrong ? -EBADMSG : 0;
}

static int ring_ping(struct bench_pair *pair, uint32_t side, void *arg)
{
	struct trip *trip = arg;
	uint64_t before, deadline, got, n = 0;
	struct ends ends;
	bool more = true;
	int rc = open_ends(&ends, trip->names[1], trip->names[0]);

	bench_shared_touch(trip, sizeof(*trip));
	rc = rc ? rc : bench_pair_start(pair, side);
	if (rc)
		return rc;
	deadline = deadline_of(trip);
	before = bench_ticks_now();
	while (more) {
		rc = send(&ends, n * HEAD_STEP);
		if (!rc)
			rc = receive(&ends, &got);
		if (rc || got != n * HEAD_STEP)
			return rc ? rc : -EBADMSG;
		more = record(trip, n++, &before, deadline);
	}
	bench_pair_stop(pair, side);
	return send(&ends, STOP);
}

static int ring_pong(struct bench_pair *pair, uint32_t side, void *arg)
{
	struct trip *trip = arg;
	uint64_t n = 0, got;
	struct ends ends;
	int rc = open_ends(&ends, trip->names[0], trip->names[1]);

	rc = rc ? rc : bench_pair_start(pair, side);
	while (!rc) {
		rc = receive(&ends, &got);
		if (rc || got == STOP)
			break;
		if (got != n++ * HEAD_STEP)
			return -EBADMSG;
		rc = send(&ends, got);
	}
	bench_pair_stop(pair, side);
	return rc;
}

static int run_arm(struct trip *trip, enum arm arm, const struct bench_plan *plan,
		   struct bench_scenario *scenario, struct sluice_diag *diag)
{
	const bool ring = arm == RING || arm == STAMPED;
	const struct bench_side sides[2] = {
		{"ping", plan->cpus[0], ring ? ring_ping : raw_ping},
		{"pong", plan->cpus[1], ring ? ring_pong : raw_pong},
	};
	int rc = 0;

	trip->arm = arm;
	trip->run_ns = plan->run_ns / 2;
	for (int i = 0; i < 2 && ring && !rc; i++) {
		snprintf(trip->names[i], sizeof(trip->names[i]), "bench.%d.%d", (int)getpid(), i);
		rc = arm == RING ? bench_ring_create(trip->names[i], SLOTS, STRIDE, diag) :
				   bench_ring_create_stamped(trip->names[i], SLOTS, STRIDE, diag);
	}
	if (!rc)
		rc = bench_pair_run(sides, 2, trip, scenario, diag);
	for (int i = 0; i < 2 && ring; i++)
		sluice_segment_unlink(trip->names[i], NULL);
	return rc;
}

static int run_pairs(const struct bench_plan *plan, struct bench_arm *arms,
		     struct bench_scenario *scenario, struct sluice_diag *diag)
{
	struct trip *trip;
	int rc = 0;

	/* one more raw run closes the last pair */
	for (uint32_t i = 0; i < plan->pairs * ARMS + 1 && !rc; i++) {
		const enum arm arm = i % ARMS;

		/* fresh pages each time: where a line lives may depend on the page */
		trip = bench_shared_alloc(sizeof(*trip));
		if (!trip)
			return sluice_diag_set(diag, ENOMEM, "no memory for the samples");
		rc = run_arm(trip, arm, plan, scenario, diag);
		if (!rc && !trip->samples.count)
			rc = sluice_diag_set(diag, EAGAIN,
					     "no samples: --seconds is too short for "
					     "how busy this machine is");
		if (!rc)
			bench_arm_add(&arms[arm], &trip->samples, bench_clock.ns_per_tick);
		bench_shared_free(trip, sizeof(*trip));
		if (!rc && sluice_signals_stop())
			rc = -EINTR;
	}
	return rc;
}

/*
 * The ratios of the pairs whose raw runs before and after agree: a host may move both CPUs to one
 * core, or apart, at any time, and a pair with both in it compares two machines.
 */
static void add_ratios(struct bench_scenario *scenario, const struct bench_arm *arms,
		       uint32_t pairs)
{
	double over[BENCH_PAIRS_MAX], raw[BENCH_PAIRS_MAX], pause[BENCH_PAIRS_MAX];
	double stamped[BENCH_PAIRS_MAX];
	uint32_t steady = 0;

	for (uint32_t i = 0; i < pairs; i++) {
		const double moved = arms[RAW].p50[i + 1] / arms[RAW].p50[i];

		if (moved > MOVED || moved < 1 / MOVED)
			continue;
		over[steady] = arms[RING].p50[i];
		stamped[steady] = arms[STAMPED].p50[i];
		raw[steady] = arms[RAW].p50[i];
		pause[steady++] = arms[RAW_PAUSE].p50[i];
	}
	bench_note(scenario, "%u of %u pairs had the same raw round trip before and after", steady,
		   pairs);
	if (!steady)
		return;
	bench_ratio(scenario, "p50, rings to raw", over, raw, steady, AIM);
	bench_ratio(scenario, "p50, rings to raw with pause", over, pause, steady, 0);
	bench_ratio(scenario, "p50, stamped rings to raw", stamped, raw, steady, AIM);
}

int bench_round_trip(const struct bench_plan *plan, struct bench_scenario *scenario,
		     struct sluice_diag *diag)
{
	static struct bench_arm arms[ARMS];
	int rc;

	memset(arms, 0, sizeof(arms));
	if (!plan->two_cpus) {
		bench_not_measured(scenario, "needs 2 CPUs");
		return 0;
	}
	rc = run_pairs(plan, arms, scenario, diag);
	if (rc)
		return rc;
	bench_arm_row(scenario, &arms[RAW], bench_clock.floor_ns,
		      "raw: one cache line each way, spinning");
	bench_arm_row(scenario, &arms[RAW_PAUSE], bench_clock.floor_ns,
		      "raw: the same with a pause in the loop, as the rings spin");
	bench_arm_row(scenario, &arms[RING], bench_clock.floor_ns,
		      "two rings, 32-byte events, checked");
	bench_arm_row(scenario, &arms[STAMPED], bench_clock.floor_ns,
		      "two stamped rings, 24-byte events, checked");
	add_ratios(scenario, arms, plan->pairs);
	bench_note(scenario, "ring %u slots, wait spin; a sample has one clock reading in it",
		   SLOTS);
	return 0;
}
