/* SPDX-License-Identifier: MIT */
/*
 * pair.h - runs a few functions in processes of their own, or in threads of one, each pinned to its
 * CPU, starting together, and brings back what the kernel counted meanwhile.
 *
 * The parent sleeps until they have ended; a signal, or the end of one with an error, ends the
 * others. The processes die with the parent.
 */
#ifndef SLUICE_BENCH_PAIR_H
#define SLUICE_BENCH_PAIR_H

#include "bench/bench.h"
#include "shm/segment.h"

#define BENCH_SIDES_MAX 8

struct bench_pair;

struct bench_side {
	const char *role;
	uint32_t cpu;
	/*
	 * Attaches, faults every page in, joins; then calls bench_pair_start, works, returns. 0 or
	 * -errno. What it has opened is closed by the end of the process, that of all threads too.
	 */
	int (*run)(struct bench_pair *pair, uint32_t side, void *arg);
};

/* Memory that the processes share, zeroed, all pages there. NULL: none to be had. */
void *bench_shared_alloc(size_t bytes);
/* A side's process, before it starts: a child has the memory, but not yet its page tables. */
void bench_shared_touch(void *memory, size_t bytes);
void bench_shared_free(void *memory, size_t bytes);

/* Runs 1 to BENCH_SIDES_MAX sides to the end, adds their proofs. 0, -EINTR or a side's -errno. */
int bench_pair_run(const struct bench_side *sides, uint32_t count, void *arg,
		   struct bench_scenario *scenario, struct sluice_diag *diag);
/* The same in threads of one process, which is not the caller's. */
int bench_threads_run(const struct bench_side *sides, uint32_t count, void *arg,
		      struct bench_scenario *scenario, struct sluice_diag *diag);

/* The meeting point before the measured part, and its end. -ECANCELED: the other failed. */
int bench_pair_start(struct bench_pair *pair, uint32_t side);
void bench_pair_stop(struct bench_pair *pair, uint32_t side);

/* True after an error of the other side: give up. Cheap. */
bool bench_pair_cancelled(const struct bench_pair *pair);

/* A new raw ring "NAME", cursor-published. */
int bench_ring_create(const char *name, uint64_t slot_count, uint32_t stride,
		      struct sluice_diag *diag);
/* The same with stamped slots: 8 bytes of the stride are the stamp. */
int bench_ring_create_stamped(const char *name, uint64_t slot_count, uint32_t stride,
			      struct sluice_diag *diag);
/* Maps it in a side's process and faults every page in. */
int bench_ring_attach(struct sluice_segment *ret_segment, const char *name);

#endif
