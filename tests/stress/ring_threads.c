/* SPDX-License-Identifier: MIT */
/*
 * ring_threads.c - the stress body among threads of one process as a program of its own, which
 * needs nothing that is not in libc: for emulated architectures. SECONDS=n per kind of ring.
 */
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/stress/ring_stress.h"

#define CONSUMERS 3u

struct part {
	struct stress *stress;
	struct sluice_segment *segment;
	uint64_t seed;
	uint32_t number; /* below STRESS_PLACES a producer's place, then the consumers */
	bool ok;
};

static void *run_part(void *arg)
{
	struct part *part = arg;

	part->ok = part->number < STRESS_PLACES ?
			   stress_produce(part->stress, part->segment, part->number, part->seed) :
			   stress_consume(part->stress, part->segment,
					  part->number - STRESS_PLACES, part->seed);
	return NULL;
}

static bool is_right(const struct stress *stress, const char *name)
{
	bool ok = atomic_load(&stress->published) > 100;

	for (uint32_t i = 0; i < CONSUMERS; i++)
		ok = ok && !atomic_load(&stress->consumers[i].wrong) &&
		     atomic_load(&stress->consumers[i].events) == atomic_load(&stress->published);
	printf("%s: %s, %llu events\n", ok ? "pass" : "fail", name,
	       (unsigned long long)atomic_load(&stress->published));
	return ok;
}

static bool run(uint32_t publication, uint32_t producers, const char *name, unsigned seconds)
{
	static struct stress stress;
	struct part parts[STRESS_PLACES + CONSUMERS];
	pthread_t threads[STRESS_PLACES + CONSUMERS];
	struct sluice_segment segment;
	bool ok;

	memset(&stress, 0, sizeof(stress));
	ok = !ring_create(&segment, NULL, publication, 64, 0);
	for (uint32_t i = 0; ok && i < CONSUMERS; i++)
		ok = !sluice_participant_reserve(&segment, stress_names[i], 0, NULL);
	if (!ok)
		return false;
	for (uint32_t i = 0; i < STRESS_PLACES + CONSUMERS; i++) {
		parts[i] = (struct part){&stress, &segment, test_seed() + i, i, true};
		if (i < producers || i >= STRESS_PLACES)
			pthread_create(&threads[i], NULL, run_part, &parts[i]);
	}
	sleep(seconds);
	atomic_store(&stress.stop, 1);
	for (uint32_t i = 0; i < producers; i++)
		pthread_join(threads[i], NULL);
	sluice_ring_set_state(&segment, SLUICE_STATE_DRAINING);
	for (uint32_t i = STRESS_PLACES; i < STRESS_PLACES + CONSUMERS; i++)
		pthread_join(threads[i], NULL);
	for (uint32_t i = 0; i < STRESS_PLACES + CONSUMERS; i++)
		ok = ok && parts[i].ok;
	ok = is_right(&stress, name) && ok;
	ring_destroy(&segment);
	return ok;
}

int main(void)
{
	const char *text = getenv("SECONDS");
	const unsigned seconds = text ? (unsigned)strtoul(text, NULL, 10) : 2;
	bool ok = run(RING_CURSOR, 1, "cursor ring, one producer", seconds);

	ok = run(RING_STAMPED, 1, "stamped ring, one producer", seconds) && ok;
	ok = run(RING_MULTI, STRESS_PLACES, "stamped ring, four producers", seconds) && ok;
	return ok ? 0 : 1;
}
