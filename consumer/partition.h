/* SPDX-License-Identifier: MIT */
/*
 * partition.h - several workers share the events of a ring by a key: all events of one key go to
 * the same worker, in order. Every worker is a consumer of its own, a thread or a process, reads
 * every event's key and hands the events that are its share to the user's handler:
 *
 *	struct sluice_partition part[4];
 *	struct sluice_stage workers[4];
 *
 *	for (uint32_t i = 0; i < 4; i++) {
 *		sluice_partition_init(&part[i], i, 4, account_of, &handler, &books[i]);
 *		workers[i] = (struct sluice_stage){
 *			.name = names[i], .handler = &part[i].handler, .arg = &part[i],
 *		};
 *	}
 *	sluice_graph_handle(&graph, 4, workers);
 *
 * Nothing is handed around between workers, so there is nothing to lose when one dies: a worker
 * that comes back under its name goes on where it was, with the same share. Changing the number of
 * workers moves keys: do it with the ring drained. The slowest worker gates the ring; a hot key
 * stays with one.
 */
#ifndef SLUICE_CONSUMER_PARTITION_H
#define SLUICE_CONSUMER_PARTITION_H

#include "consumer/handler.h"

/*
 * Which of n has this key: 0 to n-1, n >= 1. The same in every process and on every machine, for
 * ever: stored data may depend on it. The key is mixed by MurmurHash3's 64-bit finaliser, a
 * permutation in which every bit of the key moves every bit of the hash with a probability near one
 * half, so that dense ids, pointers and multiples of powers of two spread alike; the place of the
 * hash's upper half among 2^32 then becomes one among n.
 */
static inline uint32_t sluice_partition_of(uint64_t key, uint32_t n)
{
	key ^= key >> 33;
	key *= 0xff51afd7ed558ccdull;
	key ^= key >> 33;
	key *= 0xc4ceb9fe1a85ec53ull;
	key ^= key >> 33;
	return (uint32_t)((key >> 32) * n >> 32);
}

/* The key of an event; must depend on nothing else. */
typedef uint64_t (*sluice_key_of)(const void *event);

/* Used as the `arg` of its own `handler`, which passes everything else on. */
struct sluice_partition {
	struct sluice_handler handler;
	const struct sluice_handler *inner;
	void *arg;
	sluice_key_of key_of;
	uint32_t index;
	uint32_t count;
};

/*
 * Worker `index` of `count`. The partition must not be moved afterwards; `handler` and `arg`
 * outlive it. Its end_of_batch is that of the worker's own events.
 */
SLUICE_API void sluice_partition_init(struct sluice_partition *partition, uint32_t index,
				      uint32_t count, sluice_key_of key_of,
				      const struct sluice_handler *handler, void *arg);

#endif
