/* SPDX-License-Identifier: MIT */
/*
 * partition.c - see partition.h. The worker's thread; holds no state that a crash could lose.
 */
#include "consumer/partition.h"

static bool wants(void *arg, const void *event, uint64_t sequence)
{
	const struct sluice_partition *p = arg;

	return sluice_partition_of(p->key_of(event), p->count) == p->index &&
	       (!p->inner->wants || p->inner->wants(p->arg, event, sequence));
}

static int on_event(void *arg, const void *event, uint64_t sequence, bool end_of_batch)
{
	const struct sluice_partition *p = arg;

	return p->inner->on_event(p->arg, event, sequence, end_of_batch);
}

static void on_batch_start(void *arg, uint64_t batch, uint64_t queue_depth)
{
	const struct sluice_partition *p = arg;

	p->inner->on_batch_start(p->arg, batch, queue_depth);
}

static void on_batch_end(void *arg, uint64_t next_sequence)
{
	const struct sluice_partition *p = arg;

	p->inner->on_batch_end(p->arg, next_sequence);
}

static void on_void(void *arg, uint64_t sequence)
{
	const struct sluice_partition *p = arg;

	p->inner->on_void(p->arg, sequence);
}

static int on_idle(void *arg, uint64_t next_sequence)
{
	const struct sluice_partition *p = arg;

	return p->inner->on_idle(p->arg, next_sequence);
}

static int on_start(void *arg)
{
	const struct sluice_partition *p = arg;

	return p->inner->on_start(p->arg);
}

static int on_stop(void *arg)
{
	const struct sluice_partition *p = arg;

	return p->inner->on_stop(p->arg);
}

void sluice_partition_init(struct sluice_partition *partition, uint32_t index, uint32_t count,
			   sluice_key_of key_of, const struct sluice_handler *handler, void *arg)
{
	sluice_assert(index < count);
	sluice_assert(handler->on_event);
	*partition = (struct sluice_partition){
		.handler = {
			.on_event = on_event,
			.wants = wants,
			.on_batch_start = handler->on_batch_start ? on_batch_start : NULL,
			.on_batch_end = handler->on_batch_end ? on_batch_end : NULL,
			.on_void = handler->on_void ? on_void : NULL,
			.on_idle = handler->on_idle ? on_idle : NULL,
			.on_start = handler->on_start ? on_start : NULL,
			.on_stop = handler->on_stop ? on_stop : NULL,
			.errors = handler->errors,
		},
		.inner = handler,
		.arg = arg,
		.key_of = key_of,
		.index = index,
		.count = count,
	};
}
