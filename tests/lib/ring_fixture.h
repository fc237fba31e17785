/* SPDX-License-Identifier: MIT */
/*
 * ring_fixture.h - rings for tests: private ones for threads, named ones for processes, and events
 * whose every word follows from their sequence, so that a torn or wrong one shows.
 */
#ifndef SLUICE_TESTS_LIB_RING_FIXTURE_H
#define SLUICE_TESTS_LIB_RING_FIXTURE_H

#include <sys/types.h>

#include "consumer/consumer.h"
#include "producer/producer.h"

#define RING_CURSOR SLUICE_PUBLICATION_CURSOR
#define RING_STAMPED SLUICE_PUBLICATION_STAMPED
#define RING_MULTI 3u /* stamped, for many producers */

/* Stride 64; `name` NULL: private. Named rings live in a directory of this test's own. */
int ring_create(struct sluice_segment *ret_segment, const char *name, uint32_t publication,
		uint64_t slot_count, uint64_t base_sequence);
/* Closes; a named one is removed. */
void ring_destroy(struct sluice_segment *segment);

/* SLUICE_SHM_DIR for this process and its children; removed at the exit of who called it. */
int ring_directory(void);

void event_fill(void *event, uint32_t bytes, uint64_t sequence);
bool event_is(const void *event, uint32_t bytes, uint64_t sequence);

/* Joins with defaults; asserts nothing, returns the join's result. */
int ring_consumer(struct sluice_consumer *ret_consumer, struct sluice_segment *segment,
		  const char *name, uint32_t policy, uint32_t from);
/* Claims, fills and publishes n events one by one without blocking; 0 or the claim's error. */
int ring_publish(struct sluice_producer *producer, uint64_t n);
/* Reads up to n events and checks them; the number read, or UINT64_MAX if one was wrong. */
uint64_t ring_consume(struct sluice_consumer *consumer, uint64_t n);

/*
 * Runs body(segment, arg) in a child that is attached to `ring` for writing, and returns when body
 * has returned 0: the child's pid; -1 if it failed. The child then runs `then`, which may be NULL,
 * and hangs until it is killed or its parent's thread ends. What body leaves must be static.
 */
pid_t child_ready(const char *ring, int (*body)(struct sluice_segment *segment, void *arg),
		  void (*then)(void *arg), void *arg);
/* One that has joined as a consumer, from the beginning, and has read n events. */
pid_t child_consumer(const char *ring, const char *name, uint32_t policy, uint64_t n);
/* Kills with SIGKILL and reaps. */
void child_kill(pid_t pid);
/* Exit code of a child, or 1000 + signal; it is killed after `seconds`. */
int child_wait(pid_t pid, int seconds);

/* From the environment variable SEED, else from the clock; printed once. */
uint64_t test_seed(void);
uint64_t test_random(uint64_t *state);

#endif
