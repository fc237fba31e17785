/* SPDX-License-Identifier: MIT */
/*
 * ring create NAME [CONSUMER]...	makes a ring and holds its events for these consumers
 * ring close NAME			lets everybody finish: no more events, what is there is read
 * ring remove NAME			takes the name away
 *
 * Made beforehand, a ring lets the programs that use it start in any order.
 */
#include <string.h>

#include "quote.h"

static void create(const char *name, const char *const *consumers)
{
	const struct sluice_segment_options options = {
		.name = name,
		.slot_count = 1024,
		.slot_stride = 8 + sizeof(struct quote), /* a stamp comes before each event */
		.publication = SLUICE_PUBLICATION_STAMPED,
		.producer_mode = SLUICE_PRODUCER_MULTI,
		.numa_node = -1,
		.reserve = consumers,
	};
	struct sluice_segment segment;
	struct sluice_diag diag;

	check(sluice_segment_create(&segment, &options, &diag), &diag);
	printf("%s: %s pages\n", name, sluice_backing_name(segment.header.backing));
	sluice_segment_close(&segment);
}

int main(int argc, char *argv[])
{
	const char *verb = argc > 2 ? argv[1] : "";
	struct sluice_segment segment;
	struct sluice_diag diag;

	if (!strcmp(verb, "create")) {
		create(argv[2], (const char *const *)argv + 3);
	} else if (!strcmp(verb, "close")) {
		attach(&segment, argv[2], SLUICE_ACCESS_WRITE);
		sluice_ring_set_state(&segment, SLUICE_STATE_DRAINING);
		sluice_segment_close(&segment);
	} else if (!strcmp(verb, "remove")) {
		check(sluice_segment_unlink(argv[2], &diag), &diag);
	} else {
		fputs("usage: ring create|close|remove NAME [CONSUMER]...\n", stderr);
		return 2;
	}
	return 0;
}
