/* SPDX-License-Identifier: MIT */
/*
 * ring_peer.c - the parties of a throughput run over another library's queue, whose driver is a
 * shared object beside this program's build: see peer.h.
 */
#include <dlfcn.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "bench/ring.h"

static const struct {
	const char *driver, *package;
} drivers[] = {{"ck_ring", "libck-dev"}, {"rte_ring", "libdpdk-dev"}, {"boost", "libboost-dev"}};

typedef const struct bench_peer *const *(*peer_list)(void);

static void add_driver(struct bench_peers *peers, const char *dir, size_t i)
{
	const size_t used = strlen(peers->missing);
	const struct bench_peer *const *list;
	char path[4200];
	void *object, *symbol = NULL;

	snprintf(path, sizeof(path), "%s/../bench/peers/%s.so", dir, drivers[i].driver);
	object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (object)
		symbol = dlsym(object, BENCH_PEER_SYMBOL);
	if (!symbol) {
		snprintf(peers->missing + used, sizeof(peers->missing) - used, "%s%s (%s)",
			 used ? ", " : "", drivers[i].driver, drivers[i].package);
		return;
	}
	for (list = ((peer_list)symbol)(); *list && peers->count < BENCH_PEERS_MAX; list++)
		peers->peer[peers->count++] = *list;
}

void bench_peers_load(struct bench_peers *ret_peers)
{
	char dir[4096];
	const ssize_t n = readlink("/proc/self/exe", dir, sizeof(dir) - 1);
	char *slash;

	memset(ret_peers, 0, sizeof(*ret_peers));
	dir[n > 0 ? n : 0] = '\0';
	slash = strrchr(dir, '/');
	if (slash)
		*slash = '\0';
	for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++)
		add_driver(ret_peers, dir, i);
}

static void describe(struct bench_peer_run *run, const struct bench_case *ring)
{
	memset(run, 0, sizeof(*run));
	run->slots = ring->slots;
	run->bytes = ring->bytes;
	run->batch = ring->batch;
	run->many = bench_topology_many(ring->topology);
}

uint64_t bench_peer_bytes(const struct bench_peer *peer, const struct bench_case *ring)
{
	struct bench_peer_run run;

	describe(&run, ring);
	if (bench_topology_consumers(ring->topology) > 1 || run.many != peer->many ||
	    (ring->batch > 1 && !peer->batched))
		return 0;
	return peer->bytes(&run);
}

int bench_peer_init(const struct bench_peer *peer, const struct bench_flow *flow)
{
	struct bench_peer_run run;

	describe(&run, &flow->ring);
	run.memory = flow->memory;
	return peer->init(&run) ? -EINVAL : 0;
}

/* What the driver calls back with is the run it was given; the party comes with it. */
struct seat {
	struct bench_peer_run run;
	struct bench_flow *flow;
	uint32_t side;
};

static bool more(struct bench_peer_run *run)
{
	const struct seat *seat = run->host;

	return bench_flow_more(seat->flow, seat->side);
}

static void full(struct bench_peer_run *run)
{
	const struct seat *seat = run->host;

	bench_flow_step(seat->flow);
}

static bool idle(struct bench_peer_run *run)
{
	const struct seat *seat = run->host;

	if (bench_flow_complete(seat->flow, run->read))
		return false;
	bench_flow_step(seat->flow);
	return true;
}

static void sit_down(struct seat *seat, struct bench_flow *flow, uint32_t side)
{
	describe(&seat->run, &flow->ring);
	seat->run.memory = flow->memory;
	seat->run.more = more;
	seat->run.full = full;
	seat->run.idle = idle;
	seat->run.host = seat;
	seat->flow = flow;
	seat->side = side;
	bench_shared_touch(flow, sizeof(*flow));
	bench_shared_touch(flow->memory, bench_peer_bytes(flow->peer, &flow->ring));
}

int bench_peer_produce(struct bench_pair *pair, uint32_t side, void *arg)
{
	struct bench_flow *flow = arg;
	struct seat seat;
	uint64_t sent;
	int rc;

	sit_down(&seat, flow, side);
	seat.run.producer = side - flow->consumers;
	seat.run.spoil = flow->spoil;
	rc = bench_pair_start(pair, side);
	if (rc)
		return rc;
	bench_flow_floor(flow, side);
	bench_flow_begin(flow, side);
	sent = flow->peer->produce(&seat.run);
	bench_pair_stop(pair, side);
	bench_flow_end(flow, side, sent);
	return 0;
}

int bench_peer_consume(struct bench_pair *pair, uint32_t side, void *arg)
{
	struct bench_flow *flow = arg;
	struct bench_party *party = &flow->parties[side];
	struct bench_expect expect;
	struct seat seat;
	int rc;

	sit_down(&seat, flow, side);
	bench_expect_init(&expect);
	rc = bench_pair_start(pair, side);
	if (rc)
		return rc;
	bench_flow_floor(flow, side);
	flow->peer->consume(&seat.run, &expect);
	party->ended = bench_ticks_now();
	party->read = seat.run.read;
	party->batches = seat.run.batches;
	party->polls = seat.run.polls;
	party->empty_polls = seat.run.empty_polls;
	bench_pair_stop(pair, side);
	return expect.wrong ? -EBADMSG : 0;
}
