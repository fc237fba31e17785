/* SPDX-License-Identifier: MIT */
/*
 * single_path.c - the hot path of a single producer and of a consumer, each as one function, for
 * test_single_path.sh to look at their instructions. Never run.
 */
#include <string.h>

#include "consumer/consumer.h"
#include "producer/producer.h"

int single_publish(struct sluice_producer *producer, const void *event);
uint64_t single_consume(struct sluice_consumer *consumer, void *ret_event);

int single_publish(struct sluice_producer *producer, const void *event)
{
	uint64_t first;
	const int rc = sluice_producer_try_claim(producer, 1, &first);

	if (rc)
		return rc;
	memcpy(sluice_producer_slot(producer, first), event, 32);
	sluice_producer_publish(producer, first);
	return 0;
}

uint64_t single_consume(struct sluice_consumer *consumer, void *ret_event)
{
	const uint64_t end = sluice_ring_published(&consumer->ring, consumer->next, 1);

	if (end == consumer->next)
		return 0;
	memcpy(ret_event, sluice_consumer_event(consumer, consumer->next), 32);
	sluice_consumer_advance(consumer, 1);
	sluice_consumer_release(consumer, consumer->next);
	return 1;
}

int main(void)
{
	return 0;
}
