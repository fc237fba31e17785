/* SPDX-License-Identifier: MIT */
/*
 * graph.h - consumers that depend on each other, drawn in the order in which an event passes them:
 *
 *	sluice_graph_init(&graph, &segment, NULL);
 *	struct sluice_group both = sluice_graph_handle(&graph, 2,
 *				(const struct sluice_stage[]){journal, replica});
 *	sluice_group_then(both, 1, &match);
 *	rc = sluice_graph_start(&graph, &diag);
 *	...
 *	rc = sluice_graph_drain(&graph, timeout_ns);
 *	rc = sluice_graph_stop(&graph, timeout_ns);
 *	sluice_graph_release(&graph);
 *
 * journal and replica see every event at once, match sees it when both have released it; only match
 * gates the producers. Pipelines, diamonds and any other graph without a cycle are drawn likewise;
 * a cycle cannot be drawn, because a stage follows only what was drawn before it.
 *
 * Each stage runs in a thread that start makes, with a processor of its own. A stage that runs in
 * another process is named with sluice_graph_after and must have joined there. One stage alone
 * needs no graph: sluice_consumer_options.after says the same.
 *
 * Thread role: one owner draws, starts, drains and stops; halt may come from anywhere. Mistakes in
 * the drawing are remembered and reported by start. A crash leaves every stage's position where it
 * was last released, as for any critical consumer.
 */
#ifndef SLUICE_CONSUMER_GRAPH_H
#define SLUICE_CONSUMER_GRAPH_H

#include <pthread.h>

#include "consumer/processor.h"

struct sluice_stage {
	const char *name; /* in the ring's table of participants; once per graph */
	const struct sluice_handler *handler;
	void *arg;
	struct sluice_processor_options options;
	uint32_t wait;	   /* enum sluice_wait_strategy */
	uint32_t from;	   /* enum sluice_from, for a name that is new to the ring */
	uint64_t sequence; /* for SLUICE_FROM_SEQUENCE */
	const char *cpus;  /* to run on, as "1" or "0,2-3"; NULL: any */
	bool keep;	   /* after stop its position gates until somebody joins as `name` */
};

struct sluice_graph_options {
	struct sluice_error_policy errors; /* of stages that have none of their own */
	uint64_t join_timeout_ns;	   /* start waits so long for stages of other processes */
};

struct sluice_graph_node;

struct sluice_graph {
	struct sluice_segment *segment;
	struct sluice_graph_node *nodes;
	uint32_t node_count;
	uint32_t phase;
	int error; /* of the drawing, the first one; `diag` says what */
	struct sluice_graph_options options;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct sluice_diag diag;
};

/* Stages of one graph, as a value. */
struct sluice_group {
	struct sluice_graph *graph;
	uint64_t stages;
};

/* Takes all memory. -ENOMEM. `segment` is attached for writing and outlives the graph. */
SLUICE_API int sluice_graph_init(struct sluice_graph *ret_graph, struct sluice_segment *segment,
				 const struct sluice_graph_options *options);

/* Stopped or never started. */
SLUICE_API void sluice_graph_release(struct sluice_graph *graph);

/* --------------------------------------------------------------------------------- drawing */

/*
 * Stages that read straight from the ring, side by side. Handlers and arguments stay the caller's.
 */
SLUICE_API struct sluice_group sluice_graph_handle(struct sluice_graph *graph, uint32_t n,
						   const struct sluice_stage *stages);

/* Stages, side by side, that get an event when every one of `group` has released it. */
SLUICE_API struct sluice_group sluice_group_then(struct sluice_group group, uint32_t n,
						 const struct sluice_stage *stages);

/* Both; of the same graph. */
SLUICE_API struct sluice_group sluice_group_and(struct sluice_group a, struct sluice_group b);

/* The stages of these names, the last one followed by NULL: drawn before, or elsewhere's. */
SLUICE_API struct sluice_group sluice_graph_after(struct sluice_graph *graph, const char *name, ...)
	__attribute__((sentinel));

/* --------------------------------------------------------------------------------- running */

/*
 * Joins every stage to the ring, then lets them all run: an event that is published after the
 * return reaches every stage, and none runs before all have joined. A failure undoes everything.
 * After a halt whose stages have ended: each goes on where it was. -EBUSY: it is running.
 */
SLUICE_API int sluice_graph_start(struct sluice_graph *graph, struct sluice_diag *diag);

/*
 * Every stage ends after the batch that it is in, and stays joined. Any thread and signal handlers,
 * from the return of start to the call of stop.
 */
SLUICE_API void sluice_graph_halt(struct sluice_graph *graph);

/*
 * Waits until every stage of this graph has released what was published at the call. -ETIMEDOUT:
 * not within timeout_ns. If a stage ends before: its error, or -ECANCELED when it has none.
 */
SLUICE_API int sluice_graph_drain(struct sluice_graph *graph, uint64_t timeout_ns);

/*
 * Waits until every stage has ended by itself, as it does when the ring is closed and drained: the
 * first error of a stage in drawing order, else 0. -ETIMEDOUT.
 */
SLUICE_API int sluice_graph_wait(struct sluice_graph *graph, uint64_t timeout_ns);

/*
 * Halts, waits for the threads and leaves the ring, last stages first. Returns as wait does; a halt
 * is not an error. -ETIMEDOUT: a handler has not returned, nothing was left; call again.
 */
SLUICE_API int sluice_graph_stop(struct sluice_graph *graph, uint64_t timeout_ns);

/* What a stage's run returned; -EINPROGRESS: it has not; -ENOENT: no stage of that name here. */
SLUICE_API int sluice_graph_result(struct sluice_graph *graph, const char *name);

/* First sequence that the stage has not released; as result for the errors. Only while joined. */
SLUICE_API int sluice_graph_position(struct sluice_graph *graph, const char *name,
				     uint64_t *ret_sequence);

#endif
