/* SPDX-License-Identifier: MIT */
/*
 * aggregate.c - see aggregate.h. The stage's thread; holds no state that a crash could lose.
 */
#include "consumer/aggregate.h"

static bool part_wants(const struct sluice_aggregate_part *part, const void *event,
		       uint64_t sequence)
{
	return !part->handler->wants || part->handler->wants(part->arg, event, sequence);
}

static bool wants(void *arg, const void *event, uint64_t sequence)
{
	const struct sluice_aggregate *a = arg;

	for (uint32_t i = 0; i < a->count; i++)
		if (part_wants(&a->parts[i], event, sequence))
			return true;
	return false;
}

static int on_event(void *arg, const void *event, uint64_t sequence, bool end_of_batch)
{
	const struct sluice_aggregate *a = arg;
	int rc = 0;

	for (uint32_t i = 0; !rc && i < a->count; i++)
		if (part_wants(&a->parts[i], event, sequence))
			rc = a->parts[i].handler->on_event(a->parts[i].arg, event, sequence,
							   end_of_batch);
	return rc;
}

static void on_batch_start(void *arg, uint64_t batch, uint64_t queue_depth)
{
	const struct sluice_aggregate *a = arg;

	for (uint32_t i = 0; i < a->count; i++)
		if (a->parts[i].handler->on_batch_start)
			a->parts[i].handler->on_batch_start(a->parts[i].arg, batch, queue_depth);
}

static void on_batch_end(void *arg, uint64_t next_sequence)
{
	const struct sluice_aggregate *a = arg;

	for (uint32_t i = 0; i < a->count; i++)
		if (a->parts[i].handler->on_batch_end)
			a->parts[i].handler->on_batch_end(a->parts[i].arg, next_sequence);
}

static void on_void(void *arg, uint64_t sequence)
{
	const struct sluice_aggregate *a = arg;

	for (uint32_t i = 0; i < a->count; i++)
		if (a->parts[i].handler->on_void)
			a->parts[i].handler->on_void(a->parts[i].arg, sequence);
}

static int on_idle(void *arg, uint64_t next_sequence)
{
	const struct sluice_aggregate *a = arg;
	int first = 0;

	for (uint32_t i = 0; i < a->count; i++) {
		const struct sluice_aggregate_part *part = &a->parts[i];
		const int rc = part->handler->on_idle ?
				       part->handler->on_idle(part->arg, next_sequence) : 0;

		first = first ? first : rc;
	}
	return first;
}

/* The first `count` parts, last first. */
static int stop_parts(const struct sluice_aggregate *a, uint32_t count)
{
	int first = 0;

	while (count--) {
		const struct sluice_aggregate_part *part = &a->parts[count];
		const int rc = part->handler->on_stop ? part->handler->on_stop(part->arg) : 0;

		first = first ? first : rc;
	}
	return first;
}

static int on_start(void *arg)
{
	const struct sluice_aggregate *a = arg;

	for (uint32_t i = 0; i < a->count; i++) {
		const struct sluice_aggregate_part *part = &a->parts[i];
		const int rc = part->handler->on_start ? part->handler->on_start(part->arg) : 0;

		if (rc < 0) {
			stop_parts(a, i);
			return rc;
		}
	}
	return 0;
}

static int on_stop(void *arg)
{
	const struct sluice_aggregate *a = arg;

	return stop_parts(a, a->count);
}

void sluice_aggregate_init(struct sluice_aggregate *aggregate,
			   const struct sluice_aggregate_part *parts, uint32_t count)
{
	bool has_wants = count > 0;

	/* it passes all events on as soon as one of them wants all */
	for (uint32_t i = 0; i < count; i++) {
		sluice_assert(parts[i].handler->on_event);
		has_wants &= parts[i].handler->wants != NULL;
	}
	*aggregate = (struct sluice_aggregate){
		.handler = {
			.on_event = on_event,
			.wants = has_wants ? wants : NULL,
			.on_batch_start = on_batch_start,
			.on_batch_end = on_batch_end,
			.on_void = on_void,
			.on_idle = on_idle,
			.on_start = on_start,
			.on_stop = on_stop,
		},
		.parts = parts,
		.count = count,
	};
}
