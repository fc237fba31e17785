/* SPDX-License-Identifier: MIT */
/*
 * ring.c - runs the arms of a topology in turns and makes its rows and ratios: see ring.h. The main
 * process, one thread. A run that is interrupted leaves nothing.
 */
#include "bench/ring.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/signals.h"
#include "shm/wait.h"

#define HUGE_BYTES (2ull * 1024 * 1024)
#define AIM 1.2
#define SPOIL_AT 100u /* every run sends so many */
#define MOVED 1.5     /* between two bare round trips of the same machine */

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

enum arm { ARM_SLUICE, ARM_PADDED, ARM_RAW, ARM_PEER, ARMS_MAX = ARM_PEER + BENCH_PEERS_MAX };

struct sums { /* of one arm of one case, per run */
	double millions[BENCH_PAIRS_MAX], batch[BENCH_PAIRS_MAX], empty[BENCH_PAIRS_MAX];
	double floor_ns[BENCH_PAIRS_MAX]; /* round trip of a bare line just before */
	double events;
	uint32_t runs;
};

static struct bench_peers peers;

/* Memory for an arm without a ring of ours: in huge pages where ours would be. */
static void *alloc_pages(uint64_t bytes)
{
	const uint64_t rounded = (bytes + HUGE_BYTES - 1) & ~(HUGE_BYTES - 1);
	void *memory = bench_shared_alloc(rounded + HUGE_BYTES);
	uint8_t *aligned = memory;

	if (!memory)
		return NULL;
	aligned += -(uintptr_t)memory & (HUGE_BYTES - 1);
	if (aligned != (uint8_t *)memory)
		munmap(memory, (size_t)(aligned - (uint8_t *)memory));
	munmap(aligned + rounded, (size_t)((uint8_t *)memory + HUGE_BYTES - aligned));
	madvise(aligned, rounded, MADV_COLLAPSE); /* or small pages: it is a courtesy */
	return aligned;
}

static void free_pages(void *memory, uint64_t bytes)
{
	bench_shared_free(memory, (bytes + HUGE_BYTES - 1) & ~(HUGE_BYTES - 1));
}

/* Ours, as packed as it can be, and with slots padded to a power of two. */
static bool is_ours(uint32_t arm)
{
	return arm == ARM_SLUICE || arm == ARM_PADDED;
}

static uint32_t stride_of(const struct bench_case *ring, uint32_t arm)
{
	return arm == ARM_PADDED ? bench_case_padded(ring) :
	       arm == ARM_SLUICE ? bench_case_stride(ring) :
				   ring->bytes;
}

static bool has_arm(const struct bench_plan *plan, const struct bench_case *ring, uint32_t arm)
{
	if (arm == ARM_SLUICE)
		return true;
	if (plan->ring.alone || ring->threads || ring->reader != BENCH_READ_WAIT)
		return false;
	if (arm == ARM_PADDED)
		return ring->topology == BENCH_MULTI &&
		       bench_case_padded(ring) != bench_case_stride(ring);
	if (arm == ARM_RAW)
		return ring->topology == BENCH_UNICAST;
	return arm - ARM_PEER < peers.count &&
	       bench_peer_bytes(peers.peer[arm - ARM_PEER], ring) > 0;
}

static const char *arm_name(uint32_t arm)
{
	return arm == ARM_SLUICE ? "sluice" :
	       arm == ARM_PADDED ? "padded slots" :
	       arm == ARM_RAW	 ? "bare ring" :
				   peers.peer[arm - ARM_PEER]->name;
}

static int run_sides(struct bench_flow *flow, uint32_t arm, const struct bench_plan *plan,
		     struct bench_scenario *scenario, struct sluice_diag *diag)
{
	static const char *const readers[] = {"consumer", "consumer 2", "consumer 3"};
	static const char *const writers[] = {"producer", "producer 2", "producer 3"};
	const uint32_t count = flow->consumers + flow->producers;
	struct bench_side sides[BENCH_FLOW_PARTIES];

	for (uint32_t i = 0; i < count; i++) {
		const bool reads = i < flow->consumers;

		sides[i].role = reads ? readers[i] : writers[i - flow->consumers];
		sides[i].cpu = plan->cpu_list[(i + 1) % plan->cpu_count];
		if (is_ours(arm))
			sides[i].run = reads ? bench_sluice_consume : bench_sluice_produce;
		else if (arm == ARM_RAW)
			sides[i].run = reads ? bench_raw_consume : bench_raw_produce;
		else
			sides[i].run = reads ? bench_peer_consume : bench_peer_produce;
	}
	return flow->ring.threads ? bench_threads_run(sides, count, flow, scenario, diag) :
				    bench_pair_run(sides, count, flow, scenario, diag);
}

static void add_run(struct sums *sums, const struct bench_flow *flow)
{
	double read = 0, batches = 0, polls = 0, empty = 0, sent = 0;
	uint64_t began = UINT64_MAX, ended = 0;

	for (uint32_t i = 0; i < flow->consumers + flow->producers; i++) {
		const struct bench_party *party = &flow->parties[i];

		if (i >= flow->consumers && party->began < began)
			began = party->began;
		if (i < flow->consumers && party->ended > ended)
			ended = party->ended;
		sent += (double)party->sent;
		read += (double)party->read;
		batches += (double)party->batches;
		polls += (double)party->polls;
		empty += (double)party->empty_polls;
	}
	sums->millions[sums->runs] = sent / ((double)(ended - began) * bench_clock.ns_per_tick) *
				     1e3;
	sums->batch[sums->runs] = batches > 0 ? read / batches : 0;
	sums->empty[sums->runs] = polls > 0 ? 100 * empty / polls : 0;
	sums->floor_ns[sums->runs] = flow->floor.round_trip_ns;
	sums->events += sent;
	sums->runs++;
}

static void set_up(struct bench_flow *flow, const struct bench_case *ring,
		   const struct bench_plan *plan)
{
	flow->ring = *ring;
	flow->run_ns = plan->run_ns / 5; /* millions of events all the same */
	flow->producers = bench_topology_producers(ring->topology);
	flow->consumers = bench_topology_consumers(ring->topology);
	/* who shares a CPU must give it away */
	flow->wait = flow->producers + flow->consumers > plan->cpu_count ? SLUICE_WAIT_YIELD :
									   SLUICE_WAIT_SPIN;
	/* relaxed: before the fork */
	atomic_store_explicit(&flow->producing, flow->producers, memory_order_relaxed);
	snprintf(flow->name, sizeof(flow->name), "bench.%d.ring", (int)getpid());
}

/* The arm's own memory or ring around the run. */
static int run_arm(struct bench_flow *flow, uint32_t arm, const struct bench_plan *plan,
		   struct bench_scenario *scenario, struct sluice_diag *diag)
{
	const char *spoil = plan->ring.spoil;
	uint64_t bytes = 0;
	int rc = 0;

	flow->spoil = spoil && !strcmp(spoil, arm_name(arm)) ? SPOIL_AT : BENCH_UNSPOILED;
	flow->stride = stride_of(&flow->ring, arm);
	if (is_ours(arm)) {
		rc = bench_sluice_create(flow, diag);
	} else {
		flow->peer = arm == ARM_RAW ? NULL : peers.peer[arm - ARM_PEER];
		bytes = arm == ARM_RAW ? bench_raw_bytes(&flow->ring) :
					 bench_peer_bytes(flow->peer, &flow->ring);
		flow->memory = alloc_pages(bytes);
		if (!flow->memory)
			return sluice_diag_set(diag, ENOMEM, "no memory for %s", arm_name(arm));
		if (flow->peer && bench_peer_init(flow->peer, flow))
			rc = sluice_diag_set(diag, EINVAL, "%s refuses its memory", arm_name(arm));
	}
	if (!rc)
		rc = run_sides(flow, arm, plan, scenario, diag);
	if (is_ours(arm))
		sluice_segment_unlink(flow->name, NULL);
	else
		free_pages(flow->memory, bytes);
	if (rc == -EBADMSG)
		sluice_diag_set(diag, EBADMSG,
				"%s, %s: an event was lost, repeated or not what was sent",
				scenario->name, arm_name(arm));
	return rc;
}

static int run_once(struct sums *sums, const struct bench_case *ring, uint32_t arm,
		    const struct bench_plan *plan, struct bench_scenario *scenario,
		    struct sluice_diag *diag)
{
	struct bench_flow *flow = bench_shared_alloc(sizeof(*flow));
	int rc;

	if (!flow)
		return sluice_diag_set(diag, ENOMEM, "no memory for the counters");
	set_up(flow, ring, plan);
	rc = run_arm(flow, arm, plan, scenario, diag);
	if (!rc)
		add_run(sums, flow);
	bench_shared_free(flow, sizeof(*flow));
	return rc ? rc : sluice_signals_stop() ? -EINTR : 0;
}

static void add_row(struct bench_scenario *scenario, const struct bench_case *ring, uint32_t arm,
		    const struct sums *sums)
{
	static const char *const readers[] = {"", ", poll", ", poller"};
	struct bench_row *row = bench_row(
		scenario, "%u B, ring %u, batch %u%s%s: %s", ring->bytes, ring->slots, ring->batch,
		ring->threads ? ", threads" : "", readers[ring->reader], arm_name(arm));

	bench_set_range(row, "million_per_s", sums->millions, sums->runs);
	bench_set(row, "mean_batch_read", bench_median(sums->batch, sums->runs));
	bench_set(row, "empty_polls_percent", bench_median(sums->empty, sums->runs));
	bench_set(row, "bare_round_trip_ns", bench_median(sums->floor_ns, sums->runs));
	bench_set(row, "event_bytes", ring->bytes);
	bench_set(row, "stride_bytes", stride_of(ring, arm));
	bench_set(row, "ring_slots", ring->slots);
	bench_set(row, "batch", ring->batch);
	bench_set(row, "samples", sums->events);
	bench_set(row, "runs", sums->runs);
}

/* The arm of another library with the best median, 0: there is none. */
static uint32_t best_peer(const struct sums *sums)
{
	uint32_t best = 0;
	double most = 0;

	for (uint32_t arm = ARM_PEER; arm < ARMS_MAX; arm++)
		if (sums[arm].runs && bench_median(sums[arm].millions, sums[arm].runs) > most) {
			most = bench_median(sums[arm].millions, sums[arm].runs);
			best = arm;
		}
	return best;
}

/*
 * Of the runs with the same bare round trip before both: a host may move the CPUs together or apart
 * at any time, and a pair with both in it compares two machines.
 */
static void add_ratio(struct bench_scenario *scenario, const struct bench_case *ring,
		      const struct sums *sums, uint32_t arm, double aim)
{
	double over[BENCH_PAIRS_MAX], under[BENCH_PAIRS_MAX];
	uint32_t steady = 0;
	char label[80];

	for (uint32_t i = 0; i < sums[ARM_SLUICE].runs && i < sums[arm].runs; i++) {
		const double moved = sums[arm].floor_ns[i] / sums[ARM_SLUICE].floor_ns[i];

		if (moved > MOVED || moved < 1 / MOVED)
			continue;
		over[steady] = sums[ARM_SLUICE].millions[i];
		under[steady++] = sums[arm].millions[i];
	}
	if (!steady)
		return;
	snprintf(label, sizeof(label), "%.12s %u B, %u, batch %u: to %s", scenario->name,
		 ring->bytes, ring->slots, ring->batch, arm_name(arm));
	bench_ratio_at_least(scenario, label, over, under, steady, aim);
}

static void add_ratios(struct bench_scenario *scenario, const struct bench_case *ring,
		       const struct sums *sums)
{
	const uint32_t best = best_peer(sums);

	if (best)
		add_ratio(scenario, ring, sums, best, AIM);
	if (sums[ARM_RAW].runs)
		add_ratio(scenario, ring, sums, ARM_RAW, 0);
	if (sums[ARM_PADDED].runs)
		add_ratio(scenario, ring, sums, ARM_PADDED, 0);
}

static void add_notes(struct bench_scenario *scenario, const struct bench_case *ring,
		      const struct bench_plan *plan)
{
	const uint32_t parties = bench_topology_producers(ring->topology) +
				 bench_topology_consumers(ring->topology);

	bench_note(scenario, "%s; %u parties on %u CPUs, %s", bench_topology_title(ring->topology),
		   parties, plan->cpu_count,
		   parties > plan->cpu_count ? "which they yield while they wait" : "wait spin");
	if (bench_topology_many(ring->topology))
		bench_note(scenario, "stamped slots: 8 bytes more than the event");
	if (peers.missing[0])
		bench_note(scenario, "missing: %.140s", peers.missing);
}

int bench_ring(const struct bench_plan *plan, uint32_t topology, struct bench_scenario *scenario,
	       struct sluice_diag *diag)
{
	static struct bench_case cases[BENCH_CASES_MAX];
	static struct sums sums[BENCH_CASES_MAX][ARMS_MAX];
	const uint32_t count = bench_ring_cases(plan, topology, cases);
	int rc = 0;

	memset(sums, 0, sizeof(sums));
	if (plan->cpu_count < 2 || !count) {
		bench_not_measured(scenario, count ? "needs 2 CPUs" : "no such case");
		return 0;
	}
	bench_peers_load(&peers);
	for (uint32_t i = 0; i < plan->pairs * count && !rc; i++)
		for (uint32_t arm = 0; arm < ARMS_MAX && !rc; arm++)
			if (has_arm(plan, &cases[i % count], arm))
				rc = run_once(&sums[i % count][arm], &cases[i % count], arm, plan,
					      scenario, diag);
	if (rc)
		return rc;
	for (uint32_t c = 0; c < count; c++) {
		for (uint32_t arm = 0; arm < ARMS_MAX; arm++)
			if (sums[c][arm].runs)
				add_row(scenario, &cases[c], arm, &sums[c][arm]);
		add_ratios(scenario, &cases[c], sums[c]);
	}
	add_notes(scenario, cases, plan);
	return 0;
}
