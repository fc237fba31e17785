/* SPDX-License-Identifier: MIT */
/*
 * ring.h - throughput of rings: the Disruptor's five topologies over Sluice, beside queues of other
 * libraries and beside a bare ring of a few lines, which is what the machine can do.
 *
 * ring.c runs the arms in turns and makes the rows; ring_cases.c says which; ring_flow.c has the
 * clock, the end and the numbers of one run, ring_sluice.c, ring_raw.c and ring_peer.c its parties.
 */
#ifndef SLUICE_BENCH_RING_H
#define SLUICE_BENCH_RING_H

#include "bench/event.h"
#include "bench/pair.h"
#include "bench/peer.h"
#include "bench/ticks.h"

#define BENCH_FLOW_PARTIES 4u
#define BENCH_CASES_MAX 1024u
#define BENCH_PEERS_MAX 8u
#define BENCH_RING_READ_MAX 256u

enum bench_topology {
	BENCH_UNICAST,	 /* 1 producer, 1 consumer */
	BENCH_MULTI,	 /* the same on the path for several producers */
	BENCH_SEQUENCER, /* 3 producers, 1 consumer */
	BENCH_MULTICAST, /* 1 producer, 3 consumers */
	BENCH_PIPELINE,	 /* 1 producer, a consumer, one after it, one after that */
	BENCH_DIAMOND,	 /* 1 producer, 2 consumers, one after both */
	BENCH_TOPOLOGIES
};

enum bench_reader {		       /* how a consumer asks for events */
		    BENCH_READ_WAIT,   /* sluice_consumer_wait */
		    BENCH_READ_POLL,   /* sluice_consumer_poll and a pause of its own */
		    BENCH_READ_POLLER, /* sluice_poller_poll with a handler */
		    BENCH_READERS
};

struct bench_case {
	enum bench_topology topology;
	enum bench_reader reader;
	uint32_t bytes;
	uint32_t slots;
	uint32_t batch;
	bool threads;
};

struct bench_party {
	uint64_t began, ended; /* ticks */
	uint64_t sent, read, batches, polls, empty_polls;
	uint8_t pad[128 - 7 * 8];
};

/* A short exchange of bare lines between the first two parties, to know where the host has them. */
struct bench_floor {
	_Alignas(128) _Atomic uint64_t there;
	_Alignas(128) _Atomic uint64_t back;
	_Alignas(128) double round_trip_ns;
};

/* One run of one arm, in memory that its parties share. Consumers come first. */
struct bench_flow {
	_Alignas(128) _Atomic uint64_t total;  /* events of the producers that have ended */
	_Atomic uint32_t producing;	       /* producers that have not */
	_Alignas(128) _Atomic uint32_t opened; /* parties that have joined, in their order */
	_Alignas(128) struct bench_case ring;
	char name[SLUICE_SEGMENT_NAME_BYTES];
	uint64_t run_ns;
	uint64_t spoil;
	uint32_t consumers, producers;
	uint32_t stride; /* of the arm's slots */
	uint32_t wait; /* enum sluice_wait_strategy */
	const struct bench_peer *peer;
	void *memory; /* of a peer, or of the bare ring */
	_Alignas(128) struct bench_party parties[BENCH_FLOW_PARTIES];
	struct bench_floor floor;
};

/* ring_cases.c: names and sizes. */
const char *bench_topology_name(enum bench_topology topology);
const char *bench_topology_title(enum bench_topology topology);
uint32_t bench_topology_producers(enum bench_topology topology);
uint32_t bench_topology_consumers(enum bench_topology topology);
bool bench_topology_many(enum bench_topology topology); /* the path for several producers */
/* From one event to the next in a ring of this topology. */
uint32_t bench_case_stride(const struct bench_case *ring);
/* The same padded to a power of two. */
uint32_t bench_case_padded(const struct bench_case *ring);
uint32_t bench_ring_cases(const struct bench_plan *plan, enum bench_topology topology,
			  struct bench_case *ret_cases);

/* ring_flow.c. More: the producer asks every so often; its first call starts its clock. */
void bench_flow_begin(struct bench_flow *flow, uint32_t party);
bool bench_flow_more(const struct bench_flow *flow, uint32_t party);
/* Both ends of the exchange of bare lines: the first consumer and the first producer call it. */
void bench_flow_floor(struct bench_flow *flow, uint32_t party);
/* The producer has sent so many; true for the last one to say so. */
bool bench_flow_end(struct bench_flow *flow, uint32_t party, uint64_t sent);
/* Everything was sent, and this many events are it. */
bool bench_flow_complete(const struct bench_flow *flow, uint64_t read);
/* A party's turn to open its ends comes after those before it have opened theirs. */
int bench_flow_turn(struct bench_flow *flow, uint32_t party, const struct bench_pair *pair);
void bench_flow_opened(struct bench_flow *flow);
/* Waits one step, by the run's strategy, without an end. */
void bench_flow_step(const struct bench_flow *flow);

/* ring_sluice.c, ring_raw.c, ring_peer.c: a side each, see bench_side. */
int bench_sluice_create(const struct bench_flow *flow, struct sluice_diag *diag);
int bench_sluice_produce(struct bench_pair *pair, uint32_t side, void *arg);
int bench_sluice_consume(struct bench_pair *pair, uint32_t side, void *arg);
uint64_t bench_raw_bytes(const struct bench_case *ring);
int bench_raw_produce(struct bench_pair *pair, uint32_t side, void *arg);
int bench_raw_consume(struct bench_pair *pair, uint32_t side, void *arg);
int bench_peer_produce(struct bench_pair *pair, uint32_t side, void *arg);
int bench_peer_consume(struct bench_pair *pair, uint32_t side, void *arg);
/* Memory for this ring, or 0: the peer has no such ring. */
uint64_t bench_peer_bytes(const struct bench_peer *peer, const struct bench_case *ring);
int bench_peer_init(const struct bench_peer *peer, const struct bench_flow *flow);

/* The drivers that are there, and a list of those that are not. */
struct bench_peers {
	uint32_t count;
	const struct bench_peer *peer[BENCH_PEERS_MAX];
	char missing[BENCH_TEXT_BYTES];
};
void bench_peers_load(struct bench_peers *ret_peers);

/* Calls loop(words, ...) with words a constant, so that all arms copy events equally well. */
#define BENCH_BY_WORDS(bytes, loop, ...)                                                           \
	((bytes) == 8  ? loop(1, __VA_ARGS__) :                                                    \
	 (bytes) == 24 ? loop(3, __VA_ARGS__) :                                                    \
	 (bytes) == 32 ? loop(4, __VA_ARGS__) :                                                    \
	 (bytes) == 64 ? loop(8, __VA_ARGS__) :                                                    \
			 loop(16, __VA_ARGS__))

#endif
