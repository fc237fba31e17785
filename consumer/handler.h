/* SPDX-License-Identifier: MIT */
/*
 * handler.h - what the user gives to a processor, a poller, a graph or to lanes: hooks, the codes
 * they return, and what shall happen when one of them fails.
 *
 * Every hook runs on the thread that runs the consumer, never two of one consumer at once, and gets
 * the `arg` it was registered with. A crash inside a hook leaves the consumer's position at the
 * start of its batch, or where the hook released up to: the rest is delivered again.
 */
#ifndef SLUICE_CONSUMER_HANDLER_H
#define SLUICE_CONSUMER_HANDLER_H

#include <errno.h>

#include "shm/base.h"

/*
 * What on_event and on_idle return:
 *	0			go on
 *	positive		the run ends after this event, which counts as handled; run()
 *				returns the code. SLUICE_STOP is one that says no more than that.
 *	sluice_rewind(-errno)	deliver the batch again from its start; see sluice_rewind_options.
 *				on_event only
 *	negative errno		failed: the error policy decides
 */
#define SLUICE_STOP 1
#define SLUICE_REWIND 0x10000000
#define SLUICE_REWIND_ERRORS 4096 /* codes from SLUICE_REWIND on mean a rewind */

/* `error` is what the event failed of when there is no rewinding any more; 0: -EAGAIN. */
static inline int sluice_rewind(int error)
{
	return SLUICE_REWIND + (error < 0 && error > -SLUICE_REWIND_ERRORS ? -error : 0);
}

static inline bool sluice_is_rewind(int code)
{
	return code >= SLUICE_REWIND && code < SLUICE_REWIND + SLUICE_REWIND_ERRORS;
}

/* The error that a rewind's code stands for. */
static inline int sluice_rewind_error(int code)
{
	return code == SLUICE_REWIND ? -EAGAIN : SLUICE_REWIND - code;
}

/* ---------------------------------------------------------------------------- error policy */

enum sluice_error_action {
	SLUICE_ERROR_HALT = 0, /* the run ends; the event was not handled: it comes first again */
	SLUICE_ERROR_SKIP = 1  /* go on behind it */
};

enum sluice_error_hook {
	SLUICE_HOOK_EVENT = 0,
	SLUICE_HOOK_IDLE = 1,
	SLUICE_HOOK_START = 2, /* ends the run whatever the answer: nothing is ever delivered */
	SLUICE_HOOK_STOP = 3
};

struct sluice_error {
	int error; /* negative errno */
	enum sluice_error_hook hook;
	uint64_t sequence; /* of the event; else the next one */
	const void *event; /* NULL unless of on_event; valid until decide returns */
};

/* Says what an error does: `decide` if there is one, else `action`. Zeroed: halt. */
struct sluice_error_policy {
	enum sluice_error_action action;
	enum sluice_error_action (*decide)(void *arg, const struct sluice_error *error);
	void *arg; /* of decide */
};

/* ----------------------------------------------------------------------------------- hooks */

struct sluice_handler {
	/*
	 * One event, in order. Tombstones are not delivered (see on_void). end_of_batch: no other
	 * event of this batch follows.
	 */
	int (*on_event)(void *arg, const void *event, uint64_t sequence, bool end_of_batch);
	/* All below may be NULL. */

	/* False: not for us; passed over. Asked at least once per event: must not have effects. */
	bool (*wants)(void *arg, const void *event, uint64_t sequence);
	/*
	 * A batch of so many sequences follows, tombstones and unwanted ones included, never 0;
	 * queue_depth: so many are claimed in the ring from its start on, at least as many.
	 */
	void (*on_batch_start)(void *arg, uint64_t batch, uint64_t queue_depth);
	/* The batch is over, at its end or where an event stopped it. Not before a rewind. */
	void (*on_batch_end)(void *arg, uint64_t next_sequence);
	void (*on_void)(void *arg, uint64_t sequence);
	/* Nothing came for idle_ns. */
	int (*on_idle)(void *arg, uint64_t next_sequence);
	/* First and last of each run, once; on_stop not if on_start failed. 0 or negative errno. */
	int (*on_start)(void *arg);
	int (*on_stop)(void *arg);

	const struct sluice_error_policy *errors; /* NULL: the processor's or graph's */
};

#endif
