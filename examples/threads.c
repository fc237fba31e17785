/* SPDX-License-Identifier: MIT */
/*
 * threads COUNT: the same ring between two threads of one process. A segment without a name is
 * private memory: no file, nothing to remove, the same calls.
 */
#include <inttypes.h>
#include <pthread.h>
#include <string.h>

#include "quote.h"

static int add(void *arg, const void *event, uint64_t sequence, bool end_of_batch)
{
	const struct quote *quote = event;
	uint64_t *sum = arg;

	(void)end_of_batch;
	*sum += quote->number;
	return quote->number == sequence ? 0 : -EBADMSG;
}

static void *consume(void *arg)
{
	const struct sluice_handler handler = {.on_event = add};
	struct sluice_processor processor;
	uint64_t sum = 0;
	int rc;

	sluice_processor_init(&processor, arg, &handler, &sum, NULL);
	rc = sluice_processor_run(&processor);
	printf("sum %" PRIu64 ", %s\n", sum, rc ? strerror(-rc) : "all in order");
	return NULL;
}

int main(int argc, char *argv[])
{
	const struct sluice_segment_options options = {
		.slot_count = 1024,
		.slot_stride = sizeof(struct quote), /* one producer: events packed, no stamps */
		.publication = SLUICE_PUBLICATION_CURSOR,
		.producer_mode = SLUICE_PRODUCER_SINGLE,
		.numa_node = -1,
	};
	const struct sluice_consumer_options from_start = {.from = SLUICE_FROM_BEGINNING};
	const uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
	struct sluice_producer producer;
	struct sluice_consumer consumer;
	struct sluice_segment segment;
	struct sluice_diag diag;
	pthread_t thread;
	uint64_t first;

	check(sluice_segment_create(&segment, &options, &diag), &diag);
	check(sluice_consumer_open(&consumer, &segment, &from_start, &diag), &diag);
	check(sluice_producer_open(&producer, &segment, NULL, &diag), &diag);
	if (pthread_create(&thread, NULL, consume, &consumer))
		return 1;
	for (uint64_t n = 0; n < count; n++) {
		if (sluice_producer_claim(&producer, 1, SLUICE_WAIT_FOREVER, &first))
			break;
		((struct quote *)sluice_producer_slot(&producer, first))->number = n;
		sluice_producer_publish(&producer, first);
	}
	sluice_ring_set_state(&segment, SLUICE_STATE_DRAINING);
	pthread_join(thread, NULL);
	sluice_producer_close(&producer);
	sluice_consumer_close(&consumer, false);
	sluice_segment_close(&segment);
	return 0;
}
