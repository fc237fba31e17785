/* SPDX-License-Identifier: MIT */
/*
 * graph_internal.h - what drawing (graph.c) leaves to running (graph_run.c).
 */
#ifndef SLUICE_CONSUMER_GRAPH_INTERNAL_H
#define SLUICE_CONSUMER_GRAPH_INTERNAL_H

#include "consumer/graph.h"

/* Every stage takes an entry of the ring's table, wherever it runs. */
#define SLUICE_GRAPH_NODES_MAX SLUICE_PARTICIPANTS_MAX

enum graph_phase { /* under the graph's lock */
	GRAPH_DRAWING = 0,
	GRAPH_JOINING = 1, /* threads that have joined wait */
	GRAPH_RUNNING = 2,
	GRAPH_UNDOING = 3 /* threads end without a run */
};

/* Handles are written by their threads all the time: no two on the same lines. */
struct sluice_graph_node {
	_Alignas(SLUICE_LINE_BYTES) struct sluice_consumer consumer;
	struct sluice_processor processor;
	struct sluice_stage stage;
	struct sluice_graph *graph;
	uint64_t follows; /* indices of nodes, all lower than the own one */
	char name[SLUICE_PARTICIPANT_NAME_BYTES];
	pthread_t thread;
	struct sluice_diag diag; /* of the join */
	int result;
	bool is_elsewhere; /* a name of another process: nothing but `name` is used */
	/* under the graph's lock */
	bool has_thread;
	bool is_joined;
	bool is_settled; /* joined or failed to */
	bool has_ended;
};

#endif
