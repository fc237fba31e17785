/* SPDX-License-Identifier: MIT */
/* consumer_internal.h - what consumer.c and consumer_empty.c share. The owning thread. */
#ifndef SLUICE_CONSUMER_CONSUMER_INTERNAL_H
#define SLUICE_CONSUMER_CONSUMER_INTERNAL_H

#include "consumer/consumer.h"

/* Was this consumer evicted? Whatever its policy; its own line, which nobody else writes to. */
static inline bool sluice_consumer_is_evicted(const struct sluice_consumer *consumer)
{
	/* sync: view:state <- entry:active; seen before the slots are rewritten */
	return atomic_load_explicit(&consumer->self->state, memory_order_acquire) !=
	       consumer->state;
}

/* Which polls have to take the longer way. */
static inline void sluice_consumer_watch(struct sluice_consumer *consumer)
{
	consumer->watched = consumer->follows || consumer->stall.shown ||
			    consumer->policy != SLUICE_POLICY_CRITICAL;
}

/*
 * How many events from `next` on all stages before this one have released: 0 none yet; a ring at
 * most. -EBADMSG: a position is not one that they can have.
 */
int sluice_consumer_ahead(const struct sluice_consumer *consumer, uint64_t *ret_ahead);

/*
 * Nothing is readable at `next`: for now (-EAGAIN), for ever (the error), or is there something by
 * now (0 and *ret_n)?
 */
int sluice_consumer_why_empty(struct sluice_consumer *consumer, uint64_t *ret_n);

/*
 * Every few polls that find nothing: is the slot at `next` claimed by a dead producer, is a stage
 * before this one dead for good? Does what can be done about it.
 */
void sluice_consumer_look(struct sluice_consumer *consumer);

/* When a sleeper has to be up to look again; UINT64_MAX: nothing is known to be stuck. */
uint64_t sluice_consumer_look_ns(const struct sluice_consumer *consumer);

/* `next` is published: withdraws the alarm. */
void sluice_consumer_unstall(struct sluice_consumer *consumer);

#endif
