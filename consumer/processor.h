/* SPDX-License-Identifier: MIT */
/*
 * processor.h - the batch event processor: runs a handler over a critical consumer's events in
 * batches, with the hooks of the Disruptor family.
 *
 * run() executes on the calling thread until the ring is closed and drained, the handler stops it,
 * or halt() is called (from any thread or a signal handler; before, during or after run).
 */
#ifndef SLUICE_CONSUMER_PROCESSOR_H
#define SLUICE_CONSUMER_PROCESSOR_H

#include "consumer/consumer.h"

struct sluice_processor;

struct sluice_handler {
	/*
	 * One event, in order. Tombstones are not delivered (see on_void). 0 goes on; anything else
	 * ends the run after this event (it counts as handled) and is returned by run().
	 */
	int (*on_event)(void *arg, const void *event, uint64_t sequence, bool end_of_batch);
	/* All below may be NULL. */
	void (*on_batch_start)(void *arg, uint64_t batch, uint64_t queue_depth);
	void (*on_batch_end)(void *arg, uint64_t next_sequence);
	void (*on_void)(void *arg, uint64_t sequence);
	/* Nothing came for idle_ns. 0 goes on waiting; anything else ends the run. */
	int (*on_idle)(void *arg, uint64_t next_sequence);
	void (*on_start)(void *arg);
	void (*on_stop)(void *arg);
};

struct sluice_processor_options {
	uint64_t batch_max; /* events per batch; 0: 256 */
	uint64_t idle_ns;   /* between on_idle calls; 0: 100 ms */
	bool deferred;	    /* the handler releases (sluice_consumer_release), not the processor */
};

struct sluice_processor {
	struct sluice_consumer *consumer;
	const struct sluice_handler *handler;
	void *arg;
	struct sluice_processor_options options;
	_Atomic uint32_t halted;
};

SLUICE_API void sluice_processor_init(struct sluice_processor *processor,
				      struct sluice_consumer *consumer,
				      const struct sluice_handler *handler, void *arg,
				      const struct sluice_processor_options *options);

/*
 * 0: the ring was closed and everything handled. -ECANCELED: halted (call sluice_processor_resume
 * to run again; nothing is lost or repeated). Else what the handler or the ring said.
 */
SLUICE_API int sluice_processor_run(struct sluice_processor *processor);
SLUICE_API void sluice_processor_halt(struct sluice_processor *processor);
SLUICE_API void sluice_processor_resume(struct sluice_processor *processor);

#endif
