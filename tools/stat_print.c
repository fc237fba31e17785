/* SPDX-License-Identifier: MIT */
/* stat_print.c - see stat_print.h. Private copies only. */
#include "tools/stat_print.h"

#include <string.h>

#include "cli/text.h"
#include "shm/wait.h"
#include "tools/alarm.h"
#include "tools/latency.h"

static const char *role_name(uint32_t role)
{
	return role == SLUICE_ROLE_PRODUCER ? "producer" :
	       role == SLUICE_ROLE_CONSUMER ? "consumer" :
					      "unknown";
}

static const char *policy_name(uint32_t policy)
{
	static const char *const names[] = {"-", "critical", "evictable", "lossy"};

	return policy < sizeof(names) / sizeof(*names) ? names[policy] : "unknown";
}

static const char *member_state(const struct sluice_participant_view *view)
{
	if (view->state == SLUICE_PARTICIPANT_EVICTED)
		return "evicted";
	if (view->state == SLUICE_PARTICIPANT_DETACHED)
		return "away";
	if (view->state == SLUICE_PARTICIPANT_JOINING)
		return "joining";
	return view->alive < 0 ? "unknown" : view->alive ? "alive" : "dead";
}

static uint64_t percent(uint64_t part, uint64_t whole)
{
	return whole ? part * 100 / whole : 0;
}

static void member_text(const struct sluice_tool_member *member)
{
	const struct sluice_participant_view *view = &member->view;

	printf("    %-9s %-14.31s %-9s pid %-7u %-7s %-8s", role_name(view->role), view->name,
	       policy_name(view->policy), view->pid, member_state(view),
	       sluice_wait_name(view->wait));
	if (view->role == SLUICE_ROLE_CONSUMER)
		printf(" at %llu lag %llu (most %llu) events %s useful polls %llu%% sleeps %s gaps "
		       "%llu\n",
		       (unsigned long long)view->position, (unsigned long long)member->lag,
		       (unsigned long long)view->lag_high, sluice_text_count(view->events).s,
		       (unsigned long long)percent(
			       sluice_tool_delta(view->polls, view->empty_polls), view->polls),
		       sluice_text_count(view->sleeps).s, (unsigned long long)view->gaps);
	else
		printf(" events %s batches %s full waits %s sleeps %s\n",
		       sluice_text_count(view->events).s, sluice_text_count(view->batches).s,
		       sluice_text_count(view->full_waits).s, sluice_text_count(view->sleeps).s);
}

static void ring_text(const char *name, const char *suffix,
		      const struct sluice_tool_ring_sample *ring)
{
	char stages[1024];

	printf("  %s.%-4s %-9s %llu slots, sequence %llu, %llu%% full (most %llu%%)", name, suffix,
	       sluice_tool_state_name(ring->state), (unsigned long long)ring->slot_count,
	       (unsigned long long)ring->end,
	       (unsigned long long)percent(ring->used, ring->slot_count),
	       (unsigned long long)percent(ring->used_high, ring->slot_count));
	if (ring->tombstones)
		printf(", %llu tombstones", (unsigned long long)ring->tombstones);
	if (ring->epoch)
		printf(", epoch %llu", (unsigned long long)ring->epoch);
	putchar('\n');
	for (uint32_t i = 0; i < ring->members; i++)
		member_text(&ring->member[i]);
	sluice_tool_stages(ring, stages, sizeof(stages));
	if (*stages)
		printf("    stages    %s\n", stages);
}

void sluice_tool_stat_block(const char *name, const struct sluice_tool_sample *sample)
{
	struct sluice_tool_alarms alarms;

	printf("%s  durability %s, durable below %llu", name, sample->durability,
	       (unsigned long long)sample->durable_seq);
	if (sample->halted)
		printf(", HALTED: %s", strerror((int)(sample->halted & 0xfff)));
	putchar('\n');
	for (uint32_t i = 0; i < SLUICE_TOOL_RINGS; i++)
		if (sample->ring[i].has)
			ring_text(name, sluice_tool_ring_suffix[i], &sample->ring[i]);
	sluice_tool_alarms_find(sample, &alarms);
	sluice_tool_alarms_text(stdout, name, &alarms);
	printf("  since start:");
	for (uint32_t i = 0; i < SLUICE_TOOL_COUNTS; i++)
		printf(" %s %s", sluice_tool_count_label[i], sluice_text_exact(sample->count[i]).s);
	putchar('\n');
	for (uint32_t i = 0; i < SLUICE_TOOL_LATENCIES; i++) {
		if (!sample->has_latency[i])
			continue;
		printf("  %-22s ", sluice_tool_latency_label[i]);
		sluice_tool_latency_text(stdout, &sample->latency[i]);
		putchar('\n');
	}
}

void sluice_tool_stat_heading(void)
{
	printf("%-12s %8s %8s %8s %10s %5s %5s %8s %8s %8s\n", "instance", "cmd/s", "rep/s",
	       "trade/s", "wal", "cmd%", "rep%", "p50", "p99", "max");
}

/* The reports' latency in the interval, or "-" for what the samples do not justify. */
static void interval_latency(const struct sluice_tool_sample *sample,
			     const struct sluice_tool_sample *earlier)
{
	static struct sluice_histogram_snapshot interval;
	static const uint32_t wanted[] = {500000, 990000};

	interval = sample->latency[SLUICE_TOOL_TO_REPORT];
	if (earlier)
		sluice_histogram_subtract(&interval, &earlier->latency[SLUICE_TOOL_TO_REPORT]);
	for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++)
		printf(" %8s", interval.count && sluice_histogram_justifies(&interval, wanted[i]) ?
				       sluice_text_duration(
					       sluice_histogram_percentile(&interval, wanted[i]))
					       .s :
				       "-");
	printf(" %8s\n", interval.count ? sluice_text_duration(interval.max).s : "-");
}

void sluice_tool_stat_line(const char *name, const struct sluice_tool_sample *sample,
			   const struct sluice_tool_sample *earlier)
{
	static const enum sluice_tool_count rates[] = {SLUICE_TOOL_COMMANDS, SLUICE_TOOL_REPORTS,
						       SLUICE_TOOL_TRADES};
	const uint64_t elapsed_ns = sample->time_ns - earlier->time_ns;

	printf("%-12s", name);
	for (size_t i = 0; i < sizeof(rates) / sizeof(*rates); i++)
		printf(" %8s",
		       sluice_text_count(
			       sluice_tool_per_second(sluice_tool_delta(sample->count[rates[i]],
									earlier->count[rates[i]]),
						      elapsed_ns))
			       .s);
	printf(" %10s",
	       sluice_text_throughput(sluice_tool_delta(sample->count[SLUICE_TOOL_WAL_BYTES],
							earlier->count[SLUICE_TOOL_WAL_BYTES]),
				      elapsed_ns)
		       .s);
	for (uint32_t i = 0; i <= SLUICE_TOOL_REP; i++)
		printf(" %4llu%%", (unsigned long long)percent(sample->ring[i].used,
							       sample->ring[i].slot_count));
	interval_latency(sample, earlier);
}
