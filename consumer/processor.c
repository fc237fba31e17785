/* SPDX-License-Identifier: MIT */
/*
 * processor.c - see processor.h. A crash repeats at most the batch that was not released.
 */
#include "consumer/processor.h"

#include "consumer/published_internal.h"
#include "shm/clock.h"

#define BATCH_DEFAULT 256u
#define IDLE_NS_DEFAULT 100000000u
#define PAUSE_STEP_NS 1000000u /* between two looks for a halt */

/* processor.state: both bits, "halting", until the run has ended */
#define RUNNING 1u
#define HALTED 2u

/* One call of run or drain. */
struct run {
	struct sluice_processor *processor;
	uint64_t deadline_ns; /* SLUICE_WAIT_FOREVER: none */
	uint64_t until;	      /* a drain's: the first sequence that is not its business */
	uint64_t retry_end;   /* the batch at `next` is delivered again, up to here ... */
	uint32_t deliveries;  /* ... after so many; 0: a new batch */
	bool drains;
};

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
	atomic_init(&processor->state, 0);
}

static bool is_halted(struct sluice_processor *processor)
{
	/* relaxed: a flag alone; it carries no data */
	return atomic_load_explicit(&processor->state, memory_order_relaxed) & HALTED;
}

void sluice_processor_halt(struct sluice_processor *processor)
{
	/* relaxed: as in is_halted */
	atomic_fetch_or_explicit(&processor->state, HALTED, memory_order_relaxed);
	sluice_consumer_interrupt(processor->consumer);
}

static void set_failed(struct sluice_processor *processor, int error)
{
	struct sluice_consumer *consumer = processor->consumer;

	/* relaxed: an errno alone */
	atomic_store_explicit(&consumer->self->failed, (uint64_t)-(int64_t)error,
			      memory_order_relaxed);
	if (error)
		sluice_wake(consumer->ring.segment, &consumer->ring.control->producer_sleepers);
}

int sluice_processor_resume(struct sluice_processor *processor)
{
	uint32_t state = HALTED;

	/* relaxed, all: as in is_halted */
	if (atomic_load_explicit(&processor->state, memory_order_relaxed) & RUNNING)
		return -EBUSY;
	/* first: a halt that comes in between is at worst one of a run that has not begun */
	sluice_consumer_resume(processor->consumer);
	if (!atomic_compare_exchange_strong_explicit(&processor->state, &state, 0,
						     memory_order_relaxed, memory_order_relaxed) &&
	    state)
		return -EBUSY;
	set_failed(processor, 0);
	return 0;
}

int sluice_processor_release(struct sluice_processor *processor, uint64_t sequence)
{
	struct sluice_consumer *consumer = processor->consumer;

	if (consumer->released - sequence <= consumer->ring.slot_count)
		return 0;
	/* on_event runs with `next` behind its event */
	if (sequence - consumer->released > consumer->next - consumer->released)
		return -EINVAL;
	sluice_consumer_release(consumer, sequence);
	return 0;
}

/* ------------------------------------------------------------------------------- one batch */

/* What the policy makes of an error: 0 to go on, else the error. */
static int judge(struct sluice_processor *processor, const struct sluice_error *error)
{
	const struct sluice_error_policy *policy = processor->handler->errors;
	enum sluice_error_action action = SLUICE_ERROR_HALT;

	if (!policy)
		policy = processor->options.errors;
	if (policy)
		action = policy->decide ? policy->decide(policy->arg, error) : policy->action;
	if (action == SLUICE_ERROR_SKIP && error->hook != SLUICE_HOOK_START)
		return 0;
	set_failed(processor, error->error);
	return error->error;
}

static bool is_wanted(const struct sluice_processor *processor, uint64_t sequence)
{
	const struct sluice_handler *handler = processor->handler;

	return !handler->wants ||
	       handler->wants(processor->arg,
			      sluice_consumer_event(processor->consumer, sequence), sequence);
}

/* The last sequence in [next, end) that will be delivered; `end` if none will. */
static uint64_t find_last(const struct sluice_processor *processor, uint64_t end)
{
	const struct sluice_consumer *consumer = processor->consumer;

	for (uint64_t s = end; s != consumer->next; s--)
		if (!sluice_consumer_is_void(consumer, s - 1) && is_wanted(processor, s - 1))
			return s - 1;
	return end;
}

/* Up to `end`, or an event that says otherwise: then `next` is the one behind it. */
static int deliver(struct sluice_processor *processor, uint64_t end, uint64_t *ret_voids)
{
	struct sluice_consumer *consumer = processor->consumer;
	const struct sluice_handler *handler = processor->handler;
	const uint64_t last = find_last(processor, end);
	int rc = 0;

	while (consumer->next != end && !rc) {
		const uint64_t sequence = consumer->next;

		sluice_consumer_advance(consumer, 1);
		if (sluice_unlikely(sluice_consumer_is_void(consumer, sequence))) {
			++*ret_voids;
			if (handler->on_void)
				handler->on_void(processor->arg, sequence);
		} else if (sequence == last || is_wanted(processor, sequence)) {
			rc = handler->on_event(processor->arg,
					       sluice_consumer_event(consumer, sequence), sequence,
					       sequence == last);
		}
	}
	return rc;
}

/* An event asked for its batch again: false if it cannot be had, or not any more. */
static bool try_rewind(struct run *run, uint64_t begin, uint64_t end)
{
	const struct sluice_rewind_options *rewind = &run->processor->options.rewind;
	struct sluice_consumer *consumer = run->processor->consumer;

	run->deliveries += run->deliveries < SLUICE_REWIND_FOREVER;
	if (rewind->deliveries_max != SLUICE_REWIND_FOREVER &&
	    run->deliveries >= rewind->deliveries_max)
		return false;
	/* what was released may be overwritten by now, be it the event that asks */
	if (consumer->released == consumer->next)
		return false;
	consumer->next = consumer->released - begin <= end - begin ? consumer->released : begin;
	run->retry_end = end;
	return true;
}

/* The event before `next` failed: 0 if that does not matter, else it is the next one again. */
static int fail_event(struct sluice_processor *processor, int rc)
{
	struct sluice_consumer *consumer = processor->consumer;
	const uint64_t sequence = consumer->next - 1;
	const struct sluice_error error = {
		.error = rc,
		.hook = SLUICE_HOOK_EVENT,
		.sequence = sequence,
		.event = sluice_consumer_event(consumer, sequence),
	};

	rc = judge(processor, &error);
	if (rc && consumer->released != consumer->next)
		consumer->next = sequence;
	return rc;
}

static int run_batch(struct run *run, uint64_t n)
{
	struct sluice_processor *processor = run->processor;
	struct sluice_consumer *consumer = processor->consumer;
	const struct sluice_handler *handler = processor->handler;
	const uint64_t begin = consumer->next;
	uint64_t voids = 0;
	int rc;

	if (handler->on_batch_start) {
		/* relaxed: a hint; claimed is what may follow */
		const uint64_t depth = atomic_load_explicit(&consumer->ring.control->claim,
							    memory_order_relaxed) - begin;

		handler->on_batch_start(processor->arg, n,
					depth < n || depth > consumer->ring.slot_count ? n : depth);
	}
	rc = deliver(processor, begin + n, &voids);
	if (sluice_unlikely(sluice_is_rewind(rc))) {
		if (try_rewind(run, begin, begin + n))
			return 0;
		rc = sluice_rewind_error(rc);
	}
	run->deliveries = 0;
	if (sluice_unlikely(rc < 0))
		rc = fail_event(processor, rc);
	sluice_consumer_count(consumer, consumer->next - begin, voids);
	if (handler->on_batch_end)
		handler->on_batch_end(processor->arg, consumer->next);
	if (!processor->options.deferred)
		sluice_consumer_release(consumer, consumer->next);
	return rc;
}

/* ----------------------------------------------------------------------------------- runs */

static int run_idle(struct sluice_processor *processor)
{
	const struct sluice_handler *handler = processor->handler;
	struct sluice_error error = {
		.hook = SLUICE_HOOK_IDLE,
		.sequence = processor->consumer->next,
	};

	if (!handler->on_idle)
		return 0;
	error.error = handler->on_idle(processor->arg, processor->consumer->next);
	return error.error < 0 ? judge(processor, &error) : error.error;
}

static bool is_late(const struct run *run)
{
	return run->deadline_ns != SLUICE_WAIT_FOREVER && sluice_clock_ns() >= run->deadline_ns;
}

/* Before a batch comes again. */
static void rewind_pause(const struct run *run)
{
	const uint64_t pause_ns = run->processor->options.rewind.pause_ns;
	const uint64_t started_ns = pause_ns ? sluice_clock_ns() : 0;
	uint64_t gone_ns = 0;

	while (gone_ns < pause_ns && !is_halted(run->processor) && !is_late(run)) {
		const uint64_t rest_ns = pause_ns - gone_ns;
		const struct timespec step = {
			.tv_nsec = (long)(rest_ns < PAUSE_STEP_NS ? rest_ns : PAUSE_STEP_NS),
		};

		nanosleep(&step, NULL);
		gone_ns = sluice_clock_ns() - started_ns;
	}
}

static int wait_batch(const struct run *run, uint64_t *ret_n)
{
	struct sluice_consumer *consumer = run->processor->consumer;
	uint64_t max = run->processor->options.batch_max;
	uint64_t timeout_ns = run->processor->options.idle_ns;

	if (run->deadline_ns != SLUICE_WAIT_FOREVER) {
		const uint64_t now_ns = sluice_clock_ns();
		const uint64_t rest_ns = run->deadline_ns > now_ns ? run->deadline_ns - now_ns : 0;

		timeout_ns = rest_ns < timeout_ns ? rest_ns : timeout_ns;
	}
	if (run->drains && run->until - consumer->next < max)
		max = run->until - consumer->next;
	if (run->deliveries)
		max = run->retry_end - consumer->next;
	return sluice_consumer_wait(consumer, max, timeout_ns, ret_n);
}

static int run_loop(struct run *run)
{
	struct sluice_processor *processor = run->processor;
	uint64_t n;
	int rc;

	for (;;) {
		if (run->deliveries)
			rewind_pause(run);
		if (is_halted(processor))
			return -ECANCELED;
		if (run->drains && (int64_t)(processor->consumer->next - run->until) >= 0)
			return 0;
		if (is_late(run))
			return -ETIMEDOUT;
		rc = wait_batch(run, &n);
		/* the ring's; a handler's goes to the caller */
		if (rc == -EPIPE || rc == -ESHUTDOWN)
			return 0;
		if (rc && rc != -ETIMEDOUT) {
			if (rc != -ECANCELED)
				set_failed(processor, rc);
			return rc;
		}
		rc = rc ? is_late(run) ? 0 : run_idle(processor) : run_batch(run, n);
		if (rc)
			return rc;
	}
}

static int run_hook(struct sluice_processor *processor, int (*hook)(void *arg),
		    enum sluice_error_hook which)
{
	struct sluice_error error = {
		.hook = which,
		.sequence = processor->consumer->next,
	};

	error.error = hook ? hook(processor->arg) : 0;
	return error.error < 0 ? judge(processor, &error) : 0;
}

static int run_with(struct run *run)
{
	struct sluice_processor *processor = run->processor;
	/* relaxed, all: handles are passed between threads by other means */
	uint32_t state = atomic_load_explicit(&processor->state, memory_order_relaxed);
	int rc, end;

	do {
		if (state & RUNNING)
			return -EBUSY;
	} while (!atomic_compare_exchange_weak_explicit(&processor->state, &state, state | RUNNING,
							memory_order_relaxed,
							memory_order_relaxed));
	set_failed(processor, 0);
	rc = run_hook(processor, processor->handler->on_start, SLUICE_HOOK_START);
	if (!rc) {
		rc = run_loop(run);
		end = run_hook(processor, processor->handler->on_stop, SLUICE_HOOK_STOP);
		if (rc >= 0 || rc == -ECANCELED)
			rc = end ? end : rc;
	}
	atomic_fetch_and_explicit(&processor->state, ~RUNNING, memory_order_relaxed);
	return rc;
}

int sluice_processor_run(struct sluice_processor *processor)
{
	struct run run = {.processor = processor, .deadline_ns = SLUICE_WAIT_FOREVER};

	return run_with(&run);
}

int sluice_processor_drain(struct sluice_processor *processor, uint64_t timeout_ns)
{
	struct run run = {
		.processor = processor,
		.deadline_ns = SLUICE_WAIT_FOREVER,
		.until = consumer_published_end(&processor->consumer->ring,
						processor->consumer->next),
		.drains = true,
	};

	if (timeout_ns != SLUICE_WAIT_FOREVER)
		run.deadline_ns = sluice_clock_ns() + timeout_ns;
	return run_with(&run);
}
