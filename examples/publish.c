/* SPDX-License-Identifier: MIT */
/*
 * publish NAME SOURCE COUNT: publishes COUNT quotes. Any number of these may run at once; one that
 * is killed leaves nothing half-written and stops nobody.
 */
#include <string.h>

#include "quote.h"

int main(int argc, char *argv[])
{
	const struct sluice_producer_options options = {.name = "publish"};
	struct sluice_producer producer;
	struct sluice_segment segment;
	struct sluice_diag diag;
	uint64_t sequence;
	int rc = 0;

	if (argc != 4) {
		fputs("usage: publish NAME SOURCE COUNT\n", stderr);
		return 2;
	}
	const uint32_t source = (uint32_t)strtoul(argv[2], NULL, 10);
	const uint64_t count = strtoull(argv[3], NULL, 10);

	attach(&segment, argv[1], SLUICE_ACCESS_WRITE);
	check(sluice_producer_open(&producer, &segment, &options, &diag), &diag);
	for (uint64_t number = 0; number < count; number++) {
		/* waits while the ring is full of what a consumer still needs */
		rc = sluice_producer_claim(&producer, 1, SLUICE_WAIT_FOREVER, &sequence);
		if (rc)
			break;
		struct quote *quote = sluice_producer_slot(&producer, sequence);

		*quote = (struct quote){source, (int32_t)(number % 100), number, sluice_clock_ns()};
		sluice_producer_publish(&producer, sequence);
	}
	sluice_producer_close(&producer);
	sluice_segment_close(&segment);
	if (rc)
		fprintf(stderr, "publish: %s\n", rc == -EPIPE ? "closed" : strerror(-rc));
	return rc != 0;
}
