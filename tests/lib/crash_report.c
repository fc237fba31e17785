/* SPDX-License-Identifier: MIT */
/* crash_report.c - see crash_report.h. A crash leaves a report cut short. */
#include "tests/lib/crash_report.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "shm/claim.h"
#include "tests/lib/crash_failpoint.h"
#include "tests/lib/crash_oracle.h"

static int compare(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* Tasks that could run right now, the one that asks not counted. */
static int load(void)
{
	FILE *file = fopen("/proc/loadavg", "re");
	int running = 0;

	if (file && fscanf(file, "%*s %*s %*s %d", &running) != 1)
		running = 0;
	if (file)
		fclose(file);
	return running ? running - 1 : 0;
}

static void report_stalls(struct crash_board *board)
{
	static uint32_t us[CRASH_STALLS_MAX];
	uint64_t n = atomic_load(&board->stalls);

	printf("death_stalls=%" PRIu64, n);
	n = n < CRASH_STALLS_MAX ? n : CRASH_STALLS_MAX;
	for (uint64_t i = 0; i < n; i++)
		us[i] = atomic_load(&board->stall_us[i]);
	qsort(us, n, sizeof(*us), compare);
	if (n)
		printf(" p50_us=%u p99_us=%u max_us=%u", us[n / 2], us[n * 99 / 100], us[n - 1]);
	printf(" other_running_tasks=%d\n", load());
}

static void report_deaths(const char *who, const uint64_t *deaths)
{
	uint64_t sum = 0;

	for (uint32_t p = 0; p < SLUICE_FAIL_COUNT; p++)
		sum += deaths[p];
	printf("%s_deaths=%" PRIu64, who, sum);
	for (enum sluice_failpoint p = 0; p < SLUICE_FAIL_COUNT; p++)
		if (deaths[p])
			printf(" %s=%" PRIu64, crash_point_name(p), deaths[p]);
	printf("\n");
}

bool crash_report(struct crash_board *board, const struct crash_config *config,
		  const struct sluice_segment *segment, const struct crash_tally *tally)
{
	struct crash_reader *engine = &board->readers[CRASH_ENGINE];
	const uint64_t voids = crash_voids(engine);
	uint64_t wrong = 0;

	for (uint32_t w = CRASH_LOST; w < CRASH_WRONGS; w++)
		wrong += atomic_load(&board->wrong[w]);
	printf("slots=%" PRIu64 " producers=%u lives=%" PRIu64 " seconds=%.1f events=%" PRIu64
	       " tombstones=%" PRIu64 "\n", config->slot_count, config->producers,
	       atomic_load(&board->lives), (double)tally->run_ns / 1e9,
	       atomic_load(&engine->sequence) - config->base_sequence - voids, voids);
	report_deaths("producer", tally->deaths[1]);
	report_deaths("consumer", tally->deaths[0]);
	printf("stops=%" PRIu64 " massacres=%" PRIu64 " recoveries=%" PRIu64 " copies=%" PRIu64
	       " gaps=%" PRIu64 " evictions=%" PRIu64 "\n", tally->stops, tally->massacres,
	       atomic_load(&segment->control->recoveries), atomic_load(&board->copies),
	       atomic_load(&board->gaps), atomic_load(&board->evictions));
	report_stalls(board);
	printf("longest_standstill_ms=%" PRIu64 "\n", tally->still_ns / 1000000);
	printf("lost=%" PRIu64 " duplicated=%" PRIu64 " reordered=%" PRIu64 " torn=%" PRIu64
	       " stuck=%" PRIu64 " unexpected=%" PRIu64 "\n",
	       atomic_load(&board->wrong[CRASH_LOST]), atomic_load(&board->wrong[CRASH_DUPLICATE]),
	       atomic_load(&board->wrong[CRASH_REORDERED]), atomic_load(&board->wrong[CRASH_TORN]),
	       atomic_load(&board->wrong[CRASH_STUCK]),
	       atomic_load(&board->wrong[CRASH_UNEXPECTED]));
	return !wrong;
}

static void dump_participant(const struct sluice_segment *segment, uint32_t i)
{
	const struct sluice_participant *entry = &segment->participants[i];
	const uint64_t record = atomic_load(&entry->claim_record);
	const uint64_t claim = atomic_load(&segment->control->claim);
	static const char *const names[] = {"IDLE", "ATTEMPT", "CLAIMED", "?"};

	if (!atomic_load(&entry->state))
		return;
	fprintf(stderr, "participant %u: state %#" PRIx64 " role %u policy %u pid %u name %.32s "
		"alive %d position %" PRIu64 " follows %#" PRIx64 " record %s %" PRIu64 "+%" PRIu64
		"\n", i, atomic_load(&entry->state), entry->role, atomic_load(&entry->policy),
		entry->pid, entry->name, sluice_liveness_probe(segment, i),
		atomic_load(&entry->position), atomic_load(&entry->follows),
		names[record >> 62], sluice_claim_first(record, claim),
		sluice_claim_count(record));
}

void crash_dump(struct sluice_segment *segment)
{
	const struct sluice_control *control = segment->control;
	struct sluice_ring ring;
	uint64_t claim, from, shown = 0;

	sluice_ring_init(&ring, segment);
	claim = atomic_load(&control->claim);
	from = sluice_ring_oldest(&ring);
	fprintf(stderr, "state %#" PRIx64 " claim %" PRIu64 " gating %#" PRIx64 " membership %" PRIu64
		" sleepers %#" PRIx64 " %#" PRIx64 " %#" PRIx64 " tombstones %" PRIu64
		" table held %d\n", atomic_load(&control->state), claim,
		atomic_load(&control->gating), atomic_load(&control->membership),
		atomic_load(&control->consumer_sleepers), atomic_load(&control->producer_sleepers),
		atomic_load(&control->stage_sleepers), atomic_load(&control->tombstones),
		sluice_liveness_probe(segment, SLUICE_LOCK_RECOVERER));
	for (uint32_t i = 0; i < segment->header.participant_count; i++)
		dump_participant(segment, i);
	for (uint64_t s = from; s != claim && shown < 40; s++) {
		const uint64_t stamp = atomic_load(sluice_ring_stamp(&ring, s));

		if (sluice_stamp_published(stamp, s))
			continue;
		shown++;
		fprintf(stderr, "unpublished %" PRIu64 ": stamp %#" PRIx64 " (%" PRIu64 ")\n", s,
			stamp, (uint64_t)(stamp & SLUICE_STAMP_SEQ));
	}
}
