/* SPDX-License-Identifier: MIT */
/*
 * monitor NAME: who is on the ring, and how far behind. Maps it read-only: it takes no lock, writes
 * no byte, and nobody notices whether it runs, is stopped or dies.
 */
#include <inttypes.h>

#include "quote.h"

static void show(const struct sluice_participant_view *who, uint64_t end)
{
	const char *const alive = who->alive < 0 ? "unknown" : who->alive ? "alive" : "away";

	printf("%-16s %-8s pid %-8" PRIu32, who->name, alive, who->pid);
	if (who->role == SLUICE_ROLE_CONSUMER)
		printf("next %" PRIu64 ", %" PRIu64 " behind\n", who->position,
		       end - who->position);
	else
		puts("publishes");
}

int main(int argc, char *argv[])
{
	struct sluice_participant_view who;
	struct sluice_segment segment;
	struct sluice_tap tap;

	if (argc != 2) {
		fputs("usage: monitor NAME\n", stderr);
		return 2;
	}
	attach(&segment, argv[1], SLUICE_ACCESS_READ);
	for (uint32_t i = 0; i < segment.header.participant_count; i++) {
		sluice_tap_open(&tap, &segment, SLUICE_TAP_END, 0);
		if (sluice_participant_view(&segment, i, &who))
			show(&who, sluice_tap_end(&tap));
	}
	sluice_segment_close(&segment);
	return 0;
}
