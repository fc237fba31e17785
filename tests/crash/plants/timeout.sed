# A recoverer that takes a producer for dead whose claim has not changed for 10 ms.
# file: shm/recovery.c
# run: ring_points
# run: ring_crash --slots 64
/^static int sample(/i\
#include "shm/clock.h"\
static int plant_lives(const struct sluice_segment *segment, uint32_t index)\
{\
	static uint64_t record[SLUICE_PARTICIPANTS_MAX], since_ns[SLUICE_PARTICIPANTS_MAX];\
	const uint64_t now = sluice_claim_load(segment, index);\
\
	if (now != record[index] || !since_ns[index])\
		since_ns[index] = sluice_clock_ns();\
	record[index] = now;\
	return sluice_clock_ns() - since_ns[index] < 10000000u;\
}\

/^static int sample(/,/^}/s/rc = sluice_liveness_probe(segment, i);/rc = plant_lives(segment, i);/
