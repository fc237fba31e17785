/* SPDX-License-Identifier: MIT */
/*
 * processor.h - the batch event processor: runs a handler (handler.h) over a critical consumer's
 * events in batches, with the hooks of the Disruptor family.
 *
 * run() executes on the calling thread until the ring is closed and drained, the handler stops it,
 * or halt() is called (from any thread or a signal handler; before, during or after run).
 *
 *		run			halt		resume
 *	idle	-> running		-> halted
 *	running	-EBUSY			-> halting	-EBUSY
 *	halting	-EBUSY					-EBUSY
 *	halted	-ECANCELED		-		-> idle
 *
 * A run leaves running for idle and halting for halted.
 *
 * A run that ends on an error leaves the errno in the consumer's participant entry (`failed`), so
 * that producers who find the ring full because of it are told (-EREMOTEIO) and need not wait. The
 * next run clears it.
 */
#ifndef SLUICE_CONSUMER_PROCESSOR_H
#define SLUICE_CONSUMER_PROCESSOR_H

#include "consumer/consumer.h"
#include "consumer/handler.h"

/*
 * How often a batch may be delivered again because an event of it asked for that. All events of the
 * batch come again, also those that were handled: handlers that use it are idempotent or undo. What
 * was released meanwhile does not: an event that has released itself cannot ask, and fails. The
 * count starts anew with every batch.
 */
struct sluice_rewind_options {
	uint32_t deliveries_max; /* of one batch, the first included; 0: no rewinding, the request
				  * is an ordinary error; SLUICE_REWIND_FOREVER */
	uint64_t pause_ns;	 /* before each */
};
#define SLUICE_REWIND_FOREVER UINT32_MAX

struct sluice_processor_options {
	uint64_t batch_max; /* events per batch; 0: 256 */
	uint64_t idle_ns;   /* between on_idle calls; 0: 100 ms */
	bool deferred;	    /* the handler releases, now or later, not the processor */
	struct sluice_rewind_options rewind;
	const struct sluice_error_policy *errors; /* unless the handler has its own; NULL: halt */
};

struct sluice_processor {
	struct sluice_consumer *consumer;
	const struct sluice_handler *handler;
	void *arg;
	struct sluice_processor_options options;
	_Atomic uint32_t state;
};

/* `consumer` must be critical; it, `handler` and `arg` outlive the processor. */
SLUICE_API void sluice_processor_init(struct sluice_processor *processor,
				      struct sluice_consumer *consumer,
				      const struct sluice_handler *handler, void *arg,
				      const struct sluice_processor_options *options);

/*
 * 0: the ring was closed and everything handled. -ECANCELED: halted (call sluice_processor_resume
 * to run again; nothing is lost or repeated). -EBUSY: it is running already. Else what the handler
 * or the ring said. The next run goes on behind the last event that was handled.
 */
SLUICE_API int sluice_processor_run(struct sluice_processor *processor);

/*
 * A run that ends, with 0, when everything that was published at the call is handled. -ETIMEDOUT:
 * it is not, after timeout_ns; what a handler has begun is not cut short.
 */
SLUICE_API int sluice_processor_drain(struct sluice_processor *processor, uint64_t timeout_ns);

/* The run ends after the batch that it is in; a wait or a rewind's pause ends at once. */
SLUICE_API void sluice_processor_halt(struct sluice_processor *processor);

/* Takes a halt back. -EBUSY: the run has not ended yet. Clears `failed`. */
SLUICE_API int sluice_processor_resume(struct sluice_processor *processor);

/*
 * Early release, from on_event: everything before `sequence` may be overwritten and read by the
 * stages behind this one, while the batch goes on. At most the event in hand, included: sequence +
 * 1. What was released already stays so. -EINVAL: beyond.
 */
SLUICE_API int sluice_processor_release(struct sluice_processor *processor, uint64_t sequence);

#endif
