/* SPDX-License-Identifier: MIT */
/*
 * consume NAME CONSUMER: prints every quote until the ring is closed. Started again under the same
 * name after a crash it goes on where it had released; what it was working on then comes twice.
 */
#include <inttypes.h>
#include <string.h>

#include "quote.h"

static void print(const struct quote *quote)
{
	printf("%" PRIu32 " %" PRIu64 " %" PRId32 "\n", quote->source, quote->number, quote->price);
}

int main(int argc, char *argv[])
{
	struct sluice_consumer_options options = {.from = SLUICE_FROM_BEGINNING};
	struct sluice_consumer consumer;
	struct sluice_segment segment;
	struct sluice_diag diag;
	uint64_t n;
	int rc;

	if (argc != 3) {
		fputs("usage: consume NAME CONSUMER\n", stderr);
		return 2;
	}
	options.name = argv[2];
	attach(&segment, argv[1], SLUICE_ACCESS_WRITE);
	check(sluice_consumer_open(&consumer, &segment, &options, &diag), &diag);
	while (!(rc = sluice_consumer_wait(&consumer, 256, SLUICE_WAIT_FOREVER, &n))) {
		for (uint64_t s = consumer.next; s != consumer.next + n; s++)
			if (!sluice_consumer_is_void(&consumer, s)) /* of a producer that died */
				print(sluice_consumer_event(&consumer, s));
		fflush(stdout);
		/* only now may the slots be written again */
		sluice_consumer_advance(&consumer, n);
		sluice_consumer_release(&consumer, consumer.next);
	}
	sluice_consumer_close(&consumer, false);
	sluice_segment_close(&segment);
	if (rc != -EPIPE && rc != -ESHUTDOWN) /* closed or retired, and everything read */
		fprintf(stderr, "consume: %s\n", strerror(-rc));
	return rc != -EPIPE && rc != -ESHUTDOWN;
}
