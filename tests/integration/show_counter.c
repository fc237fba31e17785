/* SPDX-License-Identifier: MIT */
/*
 * show_counter.c - prints the value of a counter of a ring.
 *
 *	show_counter RING LABEL
 *
 * Exit status 1: there is no such ring, or no such counter in it.
 */
#include <stdio.h>
#include <string.h>

#include "shm/counter.h"

int main(int argc, char **argv)
{
	struct sluice_segment segment = {0};
	struct sluice_diag diag = {.text = ""};
	char label[SLUICE_LABEL_BYTES];
	int status = 1;

	if (argc != 3 || sluice_segment_attach(&segment, argv[1], SLUICE_ACCESS_READ, &diag)) {
		fprintf(stderr, "show_counter: %s\n", argc == 3 ? diag.text : "RING LABEL");
		return 1;
	}
	for (uint32_t i = 0; status && i < segment.header.counter_count; i++) {
		const struct sluice_counter *counter = &segment.counters[i];

		if (!sluice_counter_label(counter, label) || strcmp(label, argv[2]))
			continue;
		/* relaxed: a statistic */
		printf("%llu\n", (unsigned long long)atomic_load_explicit(&counter->value,
									  memory_order_relaxed));
		status = 0;
	}
	sluice_segment_close(&segment);
	return status;
}
