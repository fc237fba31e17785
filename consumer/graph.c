/* SPDX-License-Identifier: MIT */
/*
 * graph.c - drawing a graph; see graph.h. The owner's thread. Touches no shared memory.
 */
#include "consumer/graph_internal.h"

#include <stdarg.h>
#include <stdlib.h>

SLUICE_STATIC_ASSERT(SLUICE_GRAPH_NODES_MAX <= 64, "a group is a word of bits");

int sluice_graph_init(struct sluice_graph *ret_graph, struct sluice_segment *segment,
		      const struct sluice_graph_options *options)
{
	struct sluice_graph_node *nodes;
	pthread_condattr_t attributes;

	nodes = aligned_alloc(SLUICE_LINE_BYTES, SLUICE_GRAPH_NODES_MAX * sizeof(*nodes));
	if (!nodes)
		return -ENOMEM;
	memset(nodes, 0, SLUICE_GRAPH_NODES_MAX * sizeof(*nodes));
	*ret_graph = (struct sluice_graph){.segment = segment, .nodes = nodes};
	if (options)
		ret_graph->options = *options;
	pthread_mutex_init(&ret_graph->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&ret_graph->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	return 0;
}

void sluice_graph_release(struct sluice_graph *graph)
{
	if (!graph->nodes)
		return;
	for (uint32_t i = 0; i < graph->node_count; i++)
		sluice_assert(!graph->nodes[i].is_joined);
	pthread_cond_destroy(&graph->changed);
	pthread_mutex_destroy(&graph->lock);
	free(graph->nodes);
	graph->nodes = NULL;
}

/* Remembers the first mistake; what is drawn on top of one has no consequences. */
static struct sluice_group mistake(struct sluice_graph *graph, int error, const char *text,
				   const char *name)
{
	if (!graph->error) {
		graph->error = -error;
		sluice_diag_set(&graph->diag, error, "stage \"%s\": %s", name ? name : "", text);
	}
	return (struct sluice_group){.graph = graph};
}

static struct sluice_graph_node *find(struct sluice_graph *graph, const char *name)
{
	for (uint32_t i = 0; i < graph->node_count; i++)
		if (!strcmp(graph->nodes[i].name, name))
			return &graph->nodes[i];
	return NULL;
}

/* NULL: a mistake. */
static struct sluice_graph_node *add_node(struct sluice_graph *graph, const char *name)
{
	struct sluice_graph_node *node = &graph->nodes[graph->node_count];

	if (graph->phase != GRAPH_DRAWING) {
		mistake(graph, EBUSY, "drawn while the graph runs: stop it first", name);
		return NULL;
	}
	if (!name || !name[0] || strlen(name) >= sizeof(node->name)) {
		mistake(graph, EINVAL, "a name has 1 to 31 characters", name);
		return NULL;
	}
	if (graph->node_count == SLUICE_GRAPH_NODES_MAX) {
		mistake(graph, ENOSPC, "the graph has 64 stages already", name);
		return NULL;
	}
	memcpy(node->name, name, strlen(name));
	node->graph = graph;
	graph->node_count++;
	return node;
}

static struct sluice_group draw(struct sluice_graph *graph, uint64_t follows, uint32_t n,
				const struct sluice_stage *stages)
{
	struct sluice_group group = {.graph = graph};

	if (!n)
		return mistake(graph, EINVAL, "a group of no stages", NULL);
	for (uint32_t i = 0; i < n; i++) {
		struct sluice_graph_node *node = stages[i].name ? find(graph, stages[i].name) :
								  NULL;

		if (node)
			return mistake(graph, EEXIST, node->is_elsewhere ?
				       "drawn here, but followed before as one of another process" :
				       "drawn twice", stages[i].name);
		if (!stages[i].handler || !stages[i].handler->on_event)
			return mistake(graph, EINVAL, "has no handler for events", stages[i].name);
		node = add_node(graph, stages[i].name);
		if (!node)
			return (struct sluice_group){.graph = graph};
		node->stage = stages[i];
		node->follows = follows;
		group.stages |= 1ull << (node - graph->nodes);
	}
	return group;
}

struct sluice_group sluice_graph_handle(struct sluice_graph *graph, uint32_t n,
					const struct sluice_stage *stages)
{
	return draw(graph, 0, n, stages);
}

struct sluice_group sluice_group_then(struct sluice_group group, uint32_t n,
				      const struct sluice_stage *stages)
{
	/* an empty group is a mistake's, or one that nobody filled: never "follows nobody" */
	if (!group.stages)
		return mistake(group.graph, EINVAL, "follows a group of no stages",
			       n ? stages->name : NULL);
	return draw(group.graph, group.stages, n, stages);
}

struct sluice_group sluice_group_and(struct sluice_group a, struct sluice_group b)
{
	if (a.graph != b.graph) {
		mistake(b.graph, EINVAL, "groups of two graphs cannot be joined", NULL);
		return mistake(a.graph, EINVAL, "groups of two graphs cannot be joined", NULL);
	}
	a.stages |= b.stages;
	return a;
}

struct sluice_group sluice_graph_after(struct sluice_graph *graph, const char *name, ...)
{
	struct sluice_group group = {.graph = graph};
	va_list names;

	va_start(names, name);
	for (; name; name = va_arg(names, const char *)) {
		struct sluice_graph_node *node = find(graph, name);

		if (!node) {
			node = add_node(graph, name);
			if (!node)
				break;
			node->is_elsewhere = true;
		}
		group.stages |= 1ull << (node - graph->nodes);
	}
	va_end(names);
	return group;
}
