/* SPDX-License-Identifier: MIT */
/*
 * ring_flow.c - the clock, the end and the waiting of a throughput run, the same for all arms: see
 * ring.h. Any party's thread.
 *
 * sync pairs of this file:
 *   flow_end:producing -> flow_complete:producing	the total, before the last one ends
 *   flow_opened:turn -> flow_turn:turn			what a party has joined, before the next one
 *   floor_there:line -> floor_back:line, floor_back:line -> floor_there:line	the number itself
 */
#include <errno.h>
#include <sched.h>

#include "bench/ring.h"
#include "shm/wait.h"

#define EXCHANGES 500u

static void floor_there(struct bench_flow *flow)
{
	const uint64_t began = bench_ticks_now();

	for (uint64_t n = 1; n <= EXCHANGES; n++) {
		/* sync: floor_there:line -> floor_back:line; the number */
		atomic_store_explicit(&flow->floor.there, n, memory_order_release);
		/* sync: floor_there:line <- floor_back:line; the number */
		while (atomic_load_explicit(&flow->floor.back, memory_order_acquire) != n)
			bench_flow_step(flow);
	}
	flow->floor.round_trip_ns = (double)(bench_ticks_now() - began) * bench_clock.ns_per_tick /
				    EXCHANGES;
}

static void floor_back(struct bench_flow *flow)
{
	for (uint64_t n = 1; n <= EXCHANGES; n++) {
		/* sync: floor_back:line <- floor_there:line; the number */
		while (atomic_load_explicit(&flow->floor.there, memory_order_acquire) != n)
			bench_flow_step(flow);
		/* sync: floor_back:line -> floor_there:line; the number */
		atomic_store_explicit(&flow->floor.back, n, memory_order_release);
	}
}

void bench_flow_floor(struct bench_flow *flow, uint32_t party)
{
	if (party == flow->consumers)
		floor_there(flow);
	else if (!party)
		floor_back(flow);
}

void bench_flow_begin(struct bench_flow *flow, uint32_t party)
{
	flow->parties[party].began = bench_ticks_now();
}

bool bench_flow_more(const struct bench_flow *flow, uint32_t party)
{
	const uint64_t took = bench_ticks_now() - flow->parties[party].began;

	return (double)took * bench_clock.ns_per_tick < (double)flow->run_ns;
}

bool bench_flow_end(struct bench_flow *flow, uint32_t party, uint64_t sent)
{
	flow->parties[party].sent = sent;
	/* relaxed: the count of producers orders it */
	atomic_fetch_add_explicit(&flow->total, sent, memory_order_relaxed);
	/* sync: flow_end:producing -> flow_complete:producing; the total first */
	return atomic_fetch_sub_explicit(&flow->producing, 1, memory_order_acq_rel) == 1;
}

bool bench_flow_complete(const struct bench_flow *flow, uint64_t read)
{
	/* sync: flow_complete:producing <- flow_end:producing; the total is whole */
	return !atomic_load_explicit(&flow->producing, memory_order_acquire) &&
	       /* relaxed: see above */
	       atomic_load_explicit(&flow->total, memory_order_relaxed) == read;
}

int bench_flow_turn(struct bench_flow *flow, uint32_t party, const struct bench_pair *pair)
{
	/* sync: flow_turn:turn <- flow_opened:turn; whom to follow has joined */
	while (atomic_load_explicit(&flow->opened, memory_order_acquire) != party) {
		if (bench_pair_cancelled(pair))
			return -ECANCELED;
		sched_yield();
	}
	return 0;
}

void bench_flow_opened(struct bench_flow *flow)
{
	/* sync: flow_opened:turn -> flow_turn:turn; joined */
	atomic_fetch_add_explicit(&flow->opened, 1, memory_order_release);
}

void bench_flow_step(const struct bench_flow *flow)
{
	if (flow->wait == SLUICE_WAIT_YIELD)
		sched_yield();
	else
		sluice_cpu_relax();
}
