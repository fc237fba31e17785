/* SPDX-License-Identifier: MIT */
/*
 * table.c - a result for people, as Markdown of at most 100 columns: latencies, rates, ratios with
 * their aims, where the time goes, and the proof of pinning. Control characters of a loaded file
 * are made visible.
 */
#include "bench/bench.h"

#include <inttypes.h>
#include <string.h>

#include "cli/text.h"

#define LABEL_WIDTH 55
#define CELL_BYTES 96

/* A label that cannot break the table or the terminal. */
static const char *clean(const char *text, char *ret_text, size_t bytes)
{
	size_t i;

	for (i = 0; i + 1 < bytes && text[i]; i++)
		ret_text[i] = (unsigned char)text[i] < ' ' || text[i] == '|' || text[i] == 127 ?
				      '?' :
				      text[i];
	ret_text[i] = '\0';
	return ret_text;
}

static void write_label(FILE *out, const char *label)
{
	char text[CELL_BYTES];

	fprintf(out, "| %-*.*s", LABEL_WIDTH, LABEL_WIDTH, clean(label, text, sizeof(text)));
}

static bool has(const struct bench_row *row, const char *key)
{
	return bench_get(row, key) >= 0;
}

/* A duration, or what there is instead of one. */
static void write_ns(FILE *out, const struct bench_row *row, const char *key, const char *otherwise)
{
	const double ns = bench_get(row, key);

	if (ns < 0)
		fprintf(out, " | %7s", otherwise);
	else
		fprintf(out, " | %7s", sluice_text_duration((uint64_t)(ns + 0.5)).s);
}

typedef bool (*row_filter)(const struct bench_row *row);
typedef void (*row_writer)(FILE *out, const struct bench_row *row);

static bool is_latency(const struct bench_row *row)
{
	return has(row, "samples") && !has(row, "million_per_s");
}

static bool is_fio(const struct bench_row *row)
{
	return has(row, "p50_ns") && !has(row, "samples");
}

static bool is_ring(const struct bench_row *row)
{
	return has(row, "ring_slots");
}

static bool is_rate(const struct bench_row *row)
{
	return has(row, "mean_batch_read") && !is_ring(row);
}

static bool is_matching(const struct bench_row *row)
{
	return has(row, "ns_per_command");
}

static bool is_part(const struct bench_row *row)
{
	return has(row, "part_p50_ns");
}

static bool is_durable_rate(const struct bench_row *row)
{
	return has(row, "commands_per_commit");
}

static bool is_share(const struct bench_row *row)
{
	return has(row, "share_ns");
}

static bool is_start(const struct bench_row *row)
{
	return has(row, "start_s");
}

static bool is_any_latency(const struct bench_row *row)
{
	return is_latency(row) || is_fio(row);
}

static void write_latency(FILE *out, const struct bench_row *row)
{
	write_label(out, row->label);
	write_ns(out, row, "p50_ns", "< floor");
	write_ns(out, row, "p99_ns", "-");
	write_ns(out, row, "p99_9_ns", "-");
	fprintf(out, " | %8s |\n",
		has(row, "samples") ? sluice_text_count((uint64_t)bench_get(row, "samples")).s :
				      "-");
}

static void write_rate(FILE *out, const struct bench_row *row)
{
	char range[32];

	write_label(out, row->label);
	snprintf(range, sizeof(range), "%.0f..%.0f", bench_get(row, "million_per_s_min"),
		 bench_get(row, "million_per_s_max"));
	fprintf(out, " | %6.1f | %9s | %5.0f | %5.1f%% |\n", bench_get(row, "million_per_s"), range,
		bench_get(row, "mean_batch_read"), bench_get(row, "empty_polls_percent"));
}

static void write_matching(FILE *out, const struct bench_row *row)
{
	write_label(out, row->label);
	fprintf(out, " | %5.1f | %5.1f | %5.1f | %9s |\n", bench_get(row, "ns_per_command"),
		bench_get(row, "ns_per_command_best"), bench_get(row, "million_per_s"),
		sluice_text_count((uint64_t)bench_get(row, "samples")).s);
}

static void write_part(FILE *out, const struct bench_row *row)
{
	write_label(out, strncmp(row->label, "part: ", 6) ? row->label : row->label + 6);
	write_ns(out, row, "part_p50_ns", "-");
	fprintf(out, " |\n");
}

static void write_durable_rate(FILE *out, const struct bench_row *row)
{
	write_label(out, row->label);
	fprintf(out, " | %5.3f | %5.1f", bench_get(row, "commands_per_s") / 1e6,
		bench_get(row, "commands_per_commit"));
	write_ns(out, row, "cpu_ns_per_commit", "-");
	fprintf(out, " | %4.0f | %3.0f%% |\n", bench_get(row, "log_bytes_per_command"),
		bench_get(row, "engine_busy_percent"));
}

static void write_share(FILE *out, const struct bench_row *row)
{
	write_label(out, strncmp(row->label, "share: ", 7) ? row->label : row->label + 7);
	write_ns(out, row, "share_ns", "-");
	fprintf(out, " |\n");
}

/* A value with two digits after the point, or a dash. */
static void write_plain(FILE *out, double value)
{
	if (value < 0)
		fprintf(out, " | %6s", "-");
	else
		fprintf(out, " | %6.2f", value);
}

static void write_start(FILE *out, const struct bench_row *row)
{
	const double per_s = bench_get(row, "replayed_per_s");

	write_label(out, row->label);
	write_plain(out, bench_get(row, "start_s"));
	write_plain(out, bench_get(row, "recover_s"));
	write_plain(out, per_s < 0 ? per_s : per_s / 1e6);
	write_plain(out, bench_get(row, "s_per_gib"));
	fprintf(out, " |\n");
}

/* All rows of one kind, of all scenarios; nothing at all if there is none. */
static void write_rows(const struct bench_result *result, FILE *out, row_filter filter,
		       row_writer writer, const char *heading)
{
	bool begun = false;

	for (uint32_t s = 0; s < result->scenario_count; s++)
		for (uint32_t i = 0; i < result->scenarios[s].row_count; i++) {
			const struct bench_row *row = &result->scenarios[s].rows[i];

			if (!filter(row))
				continue;
			if (!begun)
				fputs(heading, out);
			begun = true;
			writer(out, row);
		}
	if (begun)
		fputc('\n', out);
}

static void write_aim(FILE *out, const char *label, double got, const char *range, double aim,
		      bool at_least)
{
	char text[24] = "-";

	if (aim > 0)
		snprintf(text, sizeof(text), "%.4g", aim);
	write_label(out, label);
	fprintf(out, " | %6.4g | %11s | %4s | %-7s |\n", got, range, text,
		aim <= 0			     ? "-" :
		(at_least ? got >= aim : got <= aim) ? "reached" :
						       "missed");
}

/* As many digits as the column takes. */
static void write_range(char *range, size_t bytes, const struct bench_ratio *ratio)
{
	snprintf(range, bytes, "%.*f..%.*f", ratio->min < 100 ? 2 : 0, ratio->min,
		 ratio->max < 100 ? 2 : 0, ratio->max);
}

static void write_ratios(const struct bench_result *result, FILE *out)
{
	char range[112];

	fprintf(out,
		"| %-*s | median | min..max    | aim  |         |\n"
		"|:--|--:|--:|--:|:--|\n",
		LABEL_WIDTH, "ratio of arms run in turns");
	for (uint32_t s = 0; s < result->scenario_count; s++) {
		const struct bench_scenario *scenario = &result->scenarios[s];

		for (uint32_t i = 0; i < scenario->ratio_count; i++) {
			const struct bench_ratio *ratio = &scenario->ratios[i];

			write_range(range, sizeof(range), ratio);
			write_aim(out, ratio->label, ratio->median, range, ratio->aim,
				  ratio->at_least);
		}
		if (scenario->aim_value > 0 && !scenario->reason[0]) {
			snprintf(range, sizeof(range), "%.20s: %.60s", scenario->name,
				 scenario->aim_text);
			write_aim(out, range, scenario->aim_got, "-", scenario->aim_value, false);
		}
	}
	fputc('\n', out);
}

static void write_proof(const struct bench_process *process, FILE *out)
{
	char role[CELL_BYTES], moves[24] = "unknown";

	if (process->migrations >= 0)
		snprintf(moves, sizeof(moves), "%" PRId64, process->migrations);
	fprintf(out,
		"  %-10s cpu%" PRId32 ": %" PRIu32 " runs, %" PRIu32 " elsewhere, %s "
		"migrations, %" PRIu64 " involuntary switches, %" PRIu64 " faults\n",
		clean(process->role, role, sizeof(role)), process->cpu, process->runs,
		process->elsewhere, moves, process->involuntary,
		process->minor_faults + process->major_faults);
}

static void write_scenario(const struct bench_scenario *scenario, FILE *out)
{
	char text[BENCH_TEXT_BYTES];

	fprintf(out, "%s", clean(scenario->name, text, sizeof(text)));
	if (scenario->reason[0])
		fprintf(out, ": not measured: %s", clean(scenario->reason, text, sizeof(text)));
	fputc('\n', out);
	for (uint32_t i = 0; i < scenario->note_count; i++)
		fprintf(out, "  %.98s\n", clean(scenario->notes[i], text, sizeof(text)));
	for (uint32_t i = 0; i < scenario->process_count; i++)
		write_proof(&scenario->processes[i], out);
}

static void write_environment(const struct bench_result *result, FILE *out)
{
	char text[BENCH_TEXT_BYTES], key[32];

	for (uint32_t i = 0; i < result->fact_count; i++)
		fprintf(out, "  %-18.18s %.78s\n", clean(result->facts[i].key, key, sizeof(key)),
			clean(result->facts[i].value, text, sizeof(text)));
	fprintf(out, "  %-18s %.1f ns a reading; nothing below %.1f ns is reported as a number\n",
		"clock cost", result->clock_cost_ns, result->clock_floor_ns);
}

static const char *fact(const struct bench_result *result, const char *key)
{
	for (uint32_t i = 0; i < result->fact_count; i++)
		if (!strcmp(result->facts[i].key, key))
			return result->facts[i].value;
	return "unknown";
}

static void write_latencies(const struct bench_result *result, FILE *out)
{
	char heading[512];

	snprintf(heading, sizeof(heading),
		 "| %-*s |     p50 |     p99 |   p99.9 |  samples |\n"
		 "|:--|--:|--:|--:|--:|\n",
		 LABEL_WIDTH, "latency, medians of the runs");
	write_rows(result, out, is_any_latency, write_latency, heading);
}

void bench_write_brief(const struct bench_result *result, FILE *out)
{
	char cpu[BENCH_TEXT_BYTES], kernel[BENCH_TEXT_BYTES], commit[BENCH_TEXT_BYTES];

	write_latencies(result, out);
	write_ratios(result, out);
	fprintf(out, "%.40s, %.4s CPUs, %.40s, commit %.12s, `make bench-quick`.\n",
		clean(fact(result, "cpu_model"), cpu, sizeof(cpu)), fact(result, "cpus_usable"),
		clean(fact(result, "kernel"), kernel, sizeof(kernel)),
		clean(fact(result, "git_commit"), commit, sizeof(commit)));
}

/* One table per topology. */
static void write_rings(const struct bench_result *result, FILE *out)
{
	char name[48];

	for (uint32_t s = 0; s < result->scenario_count; s++) {
		const struct bench_scenario *scenario = &result->scenarios[s];

		if (!scenario->row_count || !is_ring(&scenario->rows[0]))
			continue;
		snprintf(name, sizeof(name), "%.20s, events per second", scenario->name);
		fprintf(out,
			"| %-*s |    M/s |  min..max | batch |  empty |\n"
			"|:--|--:|--:|--:|--:|\n",
			LABEL_WIDTH, name);
		for (uint32_t i = 0; i < scenario->row_count; i++)
			write_rate(out, &scenario->rows[i]);
		fputc('\n', out);
	}
}

/* Of the durability benchmark. */
static void write_wal(const struct bench_result *result, FILE *out)
{
	char heading[512];

	snprintf(heading, sizeof(heading),
		 "| %-*s |   M/s | n/com | CPU/com | byte | busy |\n"
		 "|:--|--:|--:|--:|--:|--:|\n",
		 LABEL_WIDTH, "durable commands per second, and per commit");
	write_rows(result, out, is_durable_rate, write_durable_rate, heading);
	snprintf(heading, sizeof(heading), "| %-*s |    time |\n|:--|--:|\n", LABEL_WIDTH,
		 "where a command's time goes at the greatest rate");
	write_rows(result, out, is_share, write_share, heading);
	snprintf(heading, sizeof(heading),
		 "| %-*s |  start | recov. |    M/s |  s/GiB |\n"
		 "|:--|--:|--:|--:|--:|\n",
		 LABEL_WIDTH, "start with a log: seconds, and replay");
	write_rows(result, out, is_start, write_start, heading);
}

void bench_write_table(const struct bench_result *result, FILE *out)
{
	char text[BENCH_TEXT_BYTES], heading[512];

	write_latencies(result, out);
	snprintf(heading, sizeof(heading),
		 "| %-*s |    M/s |  min..max | batch |  empty |\n"
		 "|:--|--:|--:|--:|--:|\n",
		 LABEL_WIDTH, "one way, events per second");
	write_rows(result, out, is_rate, write_rate, heading);
	write_rings(result, out);
	snprintf(heading, sizeof(heading),
		 "| %-*s |    ns |  best |   M/s |  commands |\n"
		 "|:--|--:|--:|--:|--:|\n",
		 LABEL_WIDTH, "matching core alone, per command");
	write_rows(result, out, is_matching, write_matching, heading);
	write_wal(result, out);
	write_ratios(result, out);
	snprintf(heading, sizeof(heading), "| %-*s |     p50 |\n|:--|--:|\n", LABEL_WIDTH,
		 "where a durable report's time goes");
	write_rows(result, out, is_part, write_part, heading);
	fputs("```text\n", out);
	for (uint32_t i = 0; i < result->scenario_count; i++)
		write_scenario(&result->scenarios[i], out);
	fputs("environment\n", out);
	write_environment(result, out);
	fprintf(out, "  %-18s %.78s\n```\n", "command", clean(result->command, text, sizeof(text)));
}
