/* SPDX-License-Identifier: MIT */
/*
 * demo_summary.c - what the demo says at its end, on stdout, and the exit code that follows from
 * it: 5 when the replay of the log is not what the engine did, 1 when an event was lost or repeated
 * or a fill differs.
 */
#include <stdio.h>

#include "cli/exit.h"
#include "cli/text.h"
#include "tools/demo.h"
#include "tools/latency.h"

/* The replay and the live engine agree in everything that both of them say. */
static bool is_same(const struct sluice_demo_found *found)
{
	return found->replay_agrees && found->has_live_hash &&
	       found->replay_hash == found->live_hash && found->replay_commands == found->orders &&
	       found->replay_reports == found->reports && found->replay_trades == found->trades;
}

static int verdict(const struct sluice_demo *demo)
{
	const struct sluice_demo_found *found = &demo->found;

	if (found->has_replay && !is_same(found))
		return SLUICE_EXIT_DAMAGED;
	if (found->lost || found->duplicated)
		return SLUICE_EXIT_FAILED;
	for (int i = 0; i < 2; i++)
		if (found->has_fills[i] && (found->fills[i].equal != found->fills[i].expected ||
					    found->fills[i].equal != found->fills[i].found))
			return SLUICE_EXIT_FAILED;
	return SLUICE_EXIT_OK;
}

static void print_hashes(const struct sluice_demo_found *found)
{
	if (!found->has_replay) {
		printf("state hash %016llx; no log to replay (durability off)\n",
		       (unsigned long long)found->live_hash);
		return;
	}
	printf("state hash %016llx, independent replay of the log %016llx: %s\n",
	       (unsigned long long)found->live_hash, (unsigned long long)found->replay_hash,
	       is_same(found) ? "same" : "DIFFERENT");
	if (is_same(found))
		return;
	printf("  engine  %s commands, consumer %s reports %s trades%s\n",
	       sluice_text_exact(found->orders).s, sluice_text_exact(found->reports).s,
	       sluice_text_exact(found->trades).s,
	       found->has_live_hash ? "" : "; no final hash in the ring");
	printf("  replay  %s commands, %s reports %s trades%s\n",
	       sluice_text_exact(found->replay_commands).s,
	       sluice_text_exact(found->replay_reports).s,
	       sluice_text_exact(found->replay_trades).s,
	       found->replay_agrees ? "" : "; it diverges from a block header");
}

static void print_fills(const struct sluice_demo_found *found)
{
	const struct sluice_demo_match *fills = found->fills;

	if (found->has_fills[0])
		printf("fills equal to the exchange's own: %llu of %llu",
		       (unsigned long long)fills[0].equal, (unsigned long long)fills[0].expected);
	if (found->has_fills[1])
		printf("%s %llu of %llu",
		       found->has_fills[0] ? ", auction" :
					     "fills equal to the exchange's own: auction",
		       (unsigned long long)fills[1].equal, (unsigned long long)fills[1].expected);
	if (found->has_fills[0] || found->has_fills[1])
		putchar('\n');
	for (int i = 0; i < 2; i++) {
		if (found->has_fills[i] && fills[i].found != fills[i].expected)
			printf("  there are %llu fills%s\n", (unsigned long long)fills[i].found,
			       i ? " of auctions" : "");
		if (found->has_fills[i] && fills[i].first_difference[0])
			printf("  first difference: %s\n", fills[i].first_difference);
	}
}

static void print_latencies(const struct sluice_demo *demo)
{
	static const struct {
		enum sluice_tool_latency latency;
		const char *text;
	} lines[] = {{SLUICE_TOOL_TO_REPORT, "publish to report"}, {SLUICE_TOOL_COMMIT, "commit"}};

	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		const struct sluice_histogram_snapshot *snapshot =
			&demo->now.latency[lines[i].latency];

		if (!snapshot->count)
			continue;
		printf("%-18s ", lines[i].text);
		sluice_tool_latency_text(stdout, snapshot);
		putchar('\n');
	}
}

static void print_pages(const struct sluice_demo *demo)
{
	printf("pages             ");
	for (uint32_t i = 0; i < SLUICE_TOOL_RINGS; i++) {
		const struct sluice_header *header = &demo->instance.ring[i].header;

		if (demo->instance.has[i])
			printf(" %s %s (%s)", sluice_tool_ring_suffix[i],
			       sluice_text_bytes(header->page_bytes).s,
			       sluice_backing_name(header->backing));
	}
	putchar('\n');
}

static void print_text(const struct sluice_demo *demo, int code)
{
	const struct sluice_demo_found *found = &demo->found;
	const uint64_t elapsed_ns = demo->ended_ns - demo->started_ns;

	printf("%s: %s orders, %s reports, %s trades, lost %llu, duplicated %llu in %s\n",
	       code ? "FAILED" : "done", sluice_text_exact(found->orders).s,
	       sluice_text_exact(found->reports).s, sluice_text_exact(found->trades).s,
	       (unsigned long long)found->lost, (unsigned long long)found->duplicated,
	       sluice_text_duration(elapsed_ns).s);
	print_hashes(found);
	print_fills(found);
	print_latencies(demo);
	print_pages(demo);
	if (demo->options.scenario == SLUICE_DEMO_CRASH)
		printf("kills              the engine was killed with SIGKILL %u times and started "
		       "again\n",
		       demo->kills);
	printf("durability         %s\n", demo->now.durability);
}

static void json_hash(struct sluice_json *json, const char *key, uint64_t hash)
{
	char text[17];

	snprintf(text, sizeof(text), "%016llx", (unsigned long long)hash);
	sluice_json_string(json, key, text);
}

static void json_fills(struct sluice_json *json, const char *key,
		       const struct sluice_demo_match *match)
{
	sluice_json_object(json, key);
	sluice_json_u64(json, "equal_count", match->equal);
	sluice_json_u64(json, "expected_count", match->expected);
	sluice_json_u64(json, "found_count", match->found);
	if (match->first_difference[0])
		sluice_json_string(json, "first_difference", match->first_difference);
	sluice_json_end(json);
}

static void print_json(const struct sluice_demo *demo, int code)
{
	const struct sluice_demo_found *found = &demo->found;
	struct sluice_json json;

	sluice_json_init_file(&json, stdout);
	sluice_json_object(&json, NULL);
	sluice_json_string(&json, "schema", "sluice.demo/1");
	sluice_json_i64(&json, "exit_code", code);
	sluice_json_u64(&json, "elapsed_ns", demo->ended_ns - demo->started_ns);
	sluice_json_u64(&json, "orders_count", found->orders);
	sluice_json_u64(&json, "reports_count", found->reports);
	sluice_json_u64(&json, "trades_count", found->trades);
	sluice_json_u64(&json, "lost_count", found->lost);
	sluice_json_u64(&json, "duplicated_count", found->duplicated);
	sluice_json_u64(&json, "kills_count", demo->kills);
	sluice_json_string(&json, "durability", demo->now.durability);
	json_hash(&json, "state_hash", found->live_hash);
	if (found->has_replay) {
		json_hash(&json, "replay_state_hash", found->replay_hash);
		sluice_json_bool(&json, "replay_same", is_same(found));
	}
	if (found->has_fills[0])
		json_fills(&json, "fills", &found->fills[0]);
	if (found->has_fills[1])
		json_fills(&json, "auction_fills", &found->fills[1]);
	sluice_tool_latency_json(&json, "publish_to_report_ns",
				 &demo->now.latency[SLUICE_TOOL_TO_REPORT]);
	sluice_tool_latency_json(&json, "commit_ns", &demo->now.latency[SLUICE_TOOL_COMMIT]);
	sluice_json_u64(&json, "page_bytes",
			demo->instance.ring[SLUICE_TOOL_CMD].header.page_bytes);
	sluice_json_string(
		&json, "backing",
		sluice_backing_name(demo->instance.ring[SLUICE_TOOL_CMD].header.backing));
	sluice_json_end(&json);
	sluice_json_finish(&json);
}

int sluice_demo_summary(const struct sluice_demo *demo, int code)
{
	if (!code)
		code = verdict(demo);
	if (demo->is_json)
		print_json(demo, code);
	else
		print_text(demo, code);
	return code;
}
