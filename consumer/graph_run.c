/* SPDX-License-Identifier: MIT */
/*
 * graph_run.c - starting, draining and stopping a graph; see graph.h. The owner's thread and one
 * per stage, which meet at the graph's lock.
 *
 *	owner (start)				thread of stage i
 *	for each stage in drawing order:
 *	  make its thread			pin, join the ring, is_settled
 *	  wait for is_settled			wait for RUNNING (or UNDOING)
 *	RUNNING					run, has_ended
 *
 * Stages join in drawing order, one after the other: a stage's name must be in the ring's table
 * before another can follow it. They leave in the opposite order.
 */
#include "consumer/graph_internal.h"

#include <inttypes.h>

#include "consumer/published_internal.h"
#include "shm/clock.h"
#include "shm/placement.h"

#define LOOK_AGAIN_NS 200000 /* at positions, and for a stage of another process */

static void look_again_later(void)
{
	nanosleep(&(struct timespec){.tv_nsec = LOOK_AGAIN_NS}, NULL);
}

static uint64_t deadline_of(uint64_t timeout_ns)
{
	const uint64_t now_ns = sluice_clock_ns();

	return timeout_ns < SLUICE_WAIT_FOREVER - now_ns ? now_ns + timeout_ns :
							   SLUICE_WAIT_FOREVER;
}

/* ------------------------------------------------------------------------ a stage's thread */

static int join_ring(struct sluice_graph_node *node)
{
	const struct sluice_graph *graph = node->graph;
	const uint64_t deadline_ns = deadline_of(graph->options.join_timeout_ns);
	const char *after[SLUICE_GRAPH_NODES_MAX + 1] = {NULL};
	const struct sluice_consumer_options options = {
		.name = node->name,
		.policy = SLUICE_POLICY_CRITICAL,
		.wait = node->stage.wait,
		.from = node->stage.from,
		.sequence = node->stage.sequence,
		.after = after,
	};
	uint32_t count = 0;
	int rc;

	for (uint64_t left = node->follows; left; left &= left - 1)
		after[count++] = graph->nodes[__builtin_ctzll(left)].name;
	for (;;) {
		rc = sluice_consumer_open(&node->consumer, graph->segment, &options, &node->diag);
		if (rc != -ENOENT || sluice_clock_ns() >= deadline_ns)
			return rc;
		look_again_later();
	}
}

static int prepare(struct sluice_graph_node *node)
{
	int rc = 0;

	if (node->stage.cpus)
		rc = sluice_placement_bind_list(node->stage.cpus, &node->diag);
	if (rc || node->is_joined)
		return rc;
	rc = join_ring(node);
	if (rc)
		return rc;
	if (!node->stage.options.errors)
		node->stage.options.errors = &node->graph->options.errors;
	sluice_processor_init(&node->processor, &node->consumer, node->stage.handler,
			      node->stage.arg, &node->stage.options);
	return 0;
}

static void *stage_thread(void *arg)
{
	struct sluice_graph_node *node = arg;
	struct sluice_graph *graph = node->graph;
	int rc = prepare(node);
	bool go;

	pthread_mutex_lock(&graph->lock);
	node->result = rc ? rc : -EINPROGRESS;
	node->is_joined |= !rc;
	node->is_settled = true;
	pthread_cond_broadcast(&graph->changed);
	while (graph->phase == GRAPH_JOINING)
		pthread_cond_wait(&graph->changed, &graph->lock);
	go = graph->phase == GRAPH_RUNNING;
	pthread_mutex_unlock(&graph->lock);
	if (go)
		rc = sluice_processor_run(&node->processor);
	pthread_mutex_lock(&graph->lock);
	node->result = rc;
	node->has_ended = true;
	pthread_cond_broadcast(&graph->changed);
	pthread_mutex_unlock(&graph->lock);
	return NULL;
}

/* ------------------------------------------------------------------------------- the owner */

static void set_phase(struct sluice_graph *graph, enum graph_phase phase)
{
	pthread_mutex_lock(&graph->lock);
	graph->phase = phase;
	pthread_cond_broadcast(&graph->changed);
	pthread_mutex_unlock(&graph->lock);
}

static int start_stage(struct sluice_graph_node *node, struct sluice_diag *diag)
{
	struct sluice_graph *graph = node->graph;
	int rc;

	if (node->is_joined) {
		rc = sluice_processor_resume(&node->processor);
		sluice_assert(!rc);
	}
	node->is_settled = false;
	node->has_ended = false;
	rc = pthread_create(&node->thread, NULL, stage_thread, node);
	if (rc)
		return sluice_diag_set(diag, rc, "stage \"%s\": no thread: %s", node->name,
				       strerror(rc));
	node->has_thread = true;
	pthread_mutex_lock(&graph->lock);
	while (!node->is_settled)
		pthread_cond_wait(&graph->changed, &graph->lock);
	rc = node->result == -EINPROGRESS ? 0 : node->result;
	pthread_mutex_unlock(&graph->lock);
	if (rc && diag)
		*diag = node->diag;
	return rc;
}

/* Under the lock. The threads that have not ended yet. */
static uint32_t count_running(const struct sluice_graph *graph)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < graph->node_count; i++)
		count += graph->nodes[i].has_thread && !graph->nodes[i].has_ended;
	return count;
}

/* 0: all threads have ended and are gone; -ETIMEDOUT. */
static int await_threads(struct sluice_graph *graph, uint64_t timeout_ns)
{
	const uint64_t deadline_ns = deadline_of(timeout_ns);
	const struct timespec until = {
		.tv_sec = (time_t)(deadline_ns / 1000000000u),
		.tv_nsec = (long)(deadline_ns % 1000000000u),
	};
	int rc = 0;

	pthread_mutex_lock(&graph->lock);
	while (!rc && count_running(graph)) {
		if (deadline_ns == SLUICE_WAIT_FOREVER)
			pthread_cond_wait(&graph->changed, &graph->lock);
		else
			rc = pthread_cond_timedwait(&graph->changed, &graph->lock, &until);
	}
	rc = count_running(graph) ? -ETIMEDOUT : 0;
	pthread_mutex_unlock(&graph->lock);
	for (uint32_t i = 0; !rc && i < graph->node_count; i++) {
		if (graph->nodes[i].has_thread)
			pthread_join(graph->nodes[i].thread, NULL);
		graph->nodes[i].has_thread = false;
	}
	return rc;
}

/* Last stages first: who leaves must not be followed by one that stays. */
static void leave_ring(struct sluice_graph *graph)
{
	for (uint32_t i = graph->node_count; i-- > 0;) {
		struct sluice_graph_node *node = &graph->nodes[i];

		if (node->is_joined)
			sluice_consumer_close(&node->consumer, node->stage.keep);
		node->is_joined = false;
	}
	graph->phase = GRAPH_DRAWING;
}

int sluice_graph_start(struct sluice_graph *graph, struct sluice_diag *diag)
{
	int rc = graph->error;

	if (rc) {
		if (diag)
			*diag = graph->diag;
		return rc;
	}
	if (await_threads(graph, 0))
		return sluice_diag_set(diag, EBUSY, "the graph is running");
	set_phase(graph, GRAPH_JOINING);
	for (uint32_t i = 0; !rc && i < graph->node_count; i++)
		if (!graph->nodes[i].is_elsewhere)
			rc = start_stage(&graph->nodes[i], diag);
	set_phase(graph, rc ? GRAPH_UNDOING : GRAPH_RUNNING);
	if (rc) {
		await_threads(graph, SLUICE_WAIT_FOREVER);
		leave_ring(graph);
	}
	return rc;
}

void sluice_graph_halt(struct sluice_graph *graph)
{
	for (uint32_t i = 0; i < graph->node_count; i++)
		if (graph->nodes[i].is_joined)
			sluice_processor_halt(&graph->nodes[i].processor);
}

/* The first error of a stage; a halt is none, and neither is a handler's own stop. */
static int first_error(const struct sluice_graph *graph)
{
	for (uint32_t i = 0; i < graph->node_count; i++)
		if (graph->nodes[i].result < 0 && graph->nodes[i].result != -ECANCELED)
			return graph->nodes[i].result;
	return 0;
}

static bool is_behind(const struct sluice_graph_node *node, uint64_t target)
{
	/* sync: gate:position <- release:position; what the handler did before */
	const uint64_t position = atomic_load_explicit(&node->consumer.self->position,
						       memory_order_acquire);

	return (int64_t)(position - target) < 0;
}

/* 0: all have reached the target; -EAGAIN not yet; else what keeps one from it for ever. */
static int look(struct sluice_graph *graph, uint64_t target)
{
	int rc = 0;

	pthread_mutex_lock(&graph->lock);
	for (uint32_t i = 0; i < graph->node_count; i++) {
		const struct sluice_graph_node *node = &graph->nodes[i];
		/* before the position: a stage that has ended moves it no more */
		const bool has_ended = node->has_ended;

		if (!node->is_joined || !is_behind(node, target))
			continue;
		rc = has_ended ? node->result : -EAGAIN;
		if (has_ended) {
			rc = rc < 0 ? rc : -ECANCELED;
			break;
		}
	}
	pthread_mutex_unlock(&graph->lock);
	return rc;
}

static uint64_t target_of(const struct sluice_graph *graph)
{
	struct sluice_ring ring;
	uint64_t target = 0;
	bool is_first = true;

	sluice_ring_init(&ring, graph->segment);
	for (uint32_t i = 0; i < graph->node_count; i++) {
		const struct sluice_graph_node *node = &graph->nodes[i];
		uint64_t end;

		if (!node->is_joined)
			continue;
		/* relaxed: only where to begin to look */
		end = consumer_published_end(&ring,
					     atomic_load_explicit(&node->consumer.self->position,
								  memory_order_relaxed));
		if (is_first || (int64_t)(end - target) > 0)
			target = end;
		is_first = false;
	}
	return target;
}

int sluice_graph_drain(struct sluice_graph *graph, uint64_t timeout_ns)
{
	const uint64_t deadline_ns = deadline_of(timeout_ns);
	const uint64_t target = target_of(graph);

	for (;;) {
		const int rc = look(graph, target);

		if (rc != -EAGAIN)
			return rc;
		if (sluice_clock_ns() >= deadline_ns)
			return -ETIMEDOUT;
		look_again_later();
	}
}

int sluice_graph_wait(struct sluice_graph *graph, uint64_t timeout_ns)
{
	const int rc = await_threads(graph, timeout_ns);

	return rc ? rc : first_error(graph);
}

int sluice_graph_stop(struct sluice_graph *graph, uint64_t timeout_ns)
{
	int rc;

	sluice_graph_halt(graph);
	rc = await_threads(graph, timeout_ns);
	if (rc)
		return rc;
	leave_ring(graph);
	return first_error(graph);
}

static const struct sluice_graph_node *find(const struct sluice_graph *graph, const char *name)
{
	for (uint32_t i = 0; i < graph->node_count; i++)
		if (!graph->nodes[i].is_elsewhere && !strcmp(graph->nodes[i].name, name))
			return &graph->nodes[i];
	return NULL;
}

int sluice_graph_result(struct sluice_graph *graph, const char *name)
{
	const struct sluice_graph_node *node = find(graph, name);
	int rc = -ENOENT;

	if (!node)
		return rc;
	pthread_mutex_lock(&graph->lock);
	rc = node->result;
	pthread_mutex_unlock(&graph->lock);
	return rc;
}

int sluice_graph_position(struct sluice_graph *graph, const char *name, uint64_t *ret_sequence)
{
	const struct sluice_graph_node *node = find(graph, name);

	if (!node || !node->is_joined)
		return -ENOENT;
	/* sync: gate:position <- release:position; what the handler did before */
	*ret_sequence = atomic_load_explicit(&node->consumer.self->position,
					     memory_order_acquire);
	return 0;
}
