/* SPDX-License-Identifier: MIT */
/*
 * peer.h - what a driver of another library's queue offers and gets. A driver is a shared object of
 * its own, built where the library is there, so that nothing of it is linked into sluice-bench.
 *
 * The parent calls bytes() and init(); produce() and consume() run in processes or threads of their
 * own, which have the memory at the same address. C and C++.
 */
#ifndef SLUICE_BENCH_PEER_H
#define SLUICE_BENCH_PEER_H

#include "bench/event.h"

#define BENCH_PEER_SYMBOL "sluice_bench_peer"
#define BENCH_PEER_CLOCK_EVERY 1024u /* events between two calls of more() */
#define BENCH_PEER_READ_MAX 256u     /* events taken at once */

/* One party's run. */
struct bench_peer_run {
	void *memory; /* cleared, 128-byte aligned */
	uint64_t slots;
	uint32_t bytes; /* of an event: 8, 24, 32, 64 or 128 */
	uint32_t batch; /* events of one enqueue, where the library has that */
	uint32_t producer;
	bool many; /* more than one producer, or the path for it */
	/* the consumer's, for the result */
	uint64_t batches, polls, empty_polls, read;
	uint64_t spoil; /* count of the event to spoil, or BENCH_UNSPOILED */
	/* the bench's */
	bool (*more)(struct bench_peer_run *run); /* the producer: is there time left? */
	void (*full)(struct bench_peer_run *run); /* waits one step for space */
	bool (*idle)(struct bench_peer_run *run); /* one step for events; false: all are read */
	void *host;
};

struct bench_peer {
	const char *name;
	const char *notes;
	bool batched; /* has an enqueue of several */
	bool many;    /* several producers */
	/* Memory for such a ring, or 0: the library cannot have it. */
	uint64_t (*bytes)(const struct bench_peer_run *run);
	int (*init)(const struct bench_peer_run *run);
	uint64_t (*produce)(struct bench_peer_run *run); /* events sent */
	void (*consume)(struct bench_peer_run *run, struct bench_expect *expect);
};

#if defined(__cplusplus)
#define BENCH_PEER_EXPORT extern "C" __attribute__((visibility("default")))
#else
#define BENCH_PEER_EXPORT __attribute__((visibility("default")))
#endif
/* NULL-terminated: a library may have several queues. */
BENCH_PEER_EXPORT const struct bench_peer *const *sluice_bench_peer(void);

/* Counts one look of the consumer; n events were taken. */
static inline void bench_peer_took(struct bench_peer_run *run, uint64_t n)
{
	run->polls++;
	run->batches += n > 0;
	run->empty_polls += n == 0;
	run->read += n;
}

static BENCH_ALWAYS_INLINE void bench_peer_fill(const struct bench_peer_run *run, uint64_t *event,
						uint32_t words, uint64_t count)
{
	bench_event_fill(event, words, count, run->producer, run->spoil);
}

#endif
