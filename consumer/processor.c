/* SPDX-License-Identifier: MIT */
/*
 * processor.c - see processor.h. A crash repeats at most the batch that was not released.
 */
#include "consumer/processor.h"

#define BATCH_DEFAULT 256u
#define IDLE_NS_DEFAULT 100000000u

void sluice_processor_init(struct sluice_processor *processor, struct sluice_consumer *consumer,
			   const struct sluice_handler *handler, void *arg,
			   const struct sluice_processor_options *options)
{
	sluice_assert(consumer->policy == SLUICE_POLICY_CRITICAL);
	sluice_assert(handler->on_event);
	processor->consumer = consumer;
	processor->handler = handler;
	processor->arg = arg;
	processor->options = options ? *options : (struct sluice_processor_options){0};
	if (!processor->options.batch_max)
		processor->options.batch_max = BATCH_DEFAULT;
	if (!processor->options.idle_ns)
		processor->options.idle_ns = IDLE_NS_DEFAULT;
	atomic_init(&processor->halted, 0);
}

void sluice_processor_halt(struct sluice_processor *processor)
{
	/* relaxed: a flag alone; it carries no data */
	atomic_store_explicit(&processor->halted, 1, memory_order_relaxed);
}

void sluice_processor_resume(struct sluice_processor *processor)
{
	/* relaxed: as in halt */
	atomic_store_explicit(&processor->halted, 0, memory_order_relaxed);
}

static int run_batch(struct sluice_processor *processor, uint64_t n)
{
	struct sluice_consumer *consumer = processor->consumer;
	const struct sluice_handler *handler = processor->handler;
	uint64_t done = 0, voids = 0;
	int rc = 0;

	if (handler->on_batch_start) {
		/* relaxed: a hint; claimed is what may follow */
		const uint64_t claim = atomic_load_explicit(&consumer->ring.control->claim,
							    memory_order_relaxed);

		handler->on_batch_start(processor->arg, n, claim - consumer->next);
	}
	while (done < n && !rc) {
		const uint64_t sequence = consumer->next + done++;

		if (!sluice_consumer_is_void(consumer, sequence)) {
			rc = handler->on_event(processor->arg,
					       sluice_consumer_event(consumer, sequence), sequence,
					       done == n);
			continue;
		}
		voids++;
		if (handler->on_void)
			handler->on_void(processor->arg, sequence);
	}
	sluice_consumer_advance(consumer, done);
	sluice_consumer_count(consumer, done, voids);
	if (handler->on_batch_end)
		handler->on_batch_end(processor->arg, consumer->next);
	if (!processor->options.deferred)
		sluice_consumer_release(consumer, consumer->next);
	return rc;
}

static int run_idle(struct sluice_processor *processor)
{
	const struct sluice_handler *handler = processor->handler;

	return handler->on_idle ? handler->on_idle(processor->arg, processor->consumer->next) : 0;
}

static int run_loop(struct sluice_processor *processor)
{
	const struct sluice_processor_options *options = &processor->options;
	uint64_t n;
	int rc;

	for (;;) {
		/* relaxed: a flag alone */
		if (atomic_load_explicit(&processor->halted, memory_order_relaxed))
			return -ECANCELED;
		rc = sluice_consumer_wait(processor->consumer, options->batch_max,
					  options->idle_ns, &n);
		if (rc == -EPIPE) /* the ring's; a handler's goes to the caller */
			return 0;
		if (rc && rc != -ETIMEDOUT)
			return rc;
		rc = rc ? run_idle(processor) : run_batch(processor, n);
		if (rc)
			return rc;
	}
}

int sluice_processor_run(struct sluice_processor *processor)
{
	int rc;

	if (processor->handler->on_start)
		processor->handler->on_start(processor->arg);
	rc = run_loop(processor);
	if (processor->handler->on_stop)
		processor->handler->on_stop(processor->arg);
	return rc;
}
