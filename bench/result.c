/* SPDX-License-Identifier: MIT */
/* result.c - a run as one JSON object: see bench.h; load.c reads it back. */
#include "bench/bench.h"
#include "cli/json.h"

static void write_row(struct sluice_json *json, const struct bench_row *row)
{
	sluice_json_object(json, NULL);
	sluice_json_string(json, "label", row->label);
	sluice_json_object(json, "values");
	for (uint32_t i = 0; i < row->value_count; i++)
		sluice_json_decimal(json, row->values[i].key, row->values[i].value, 9);
	sluice_json_end(json);
	sluice_json_end(json);
}

static void write_ratio(struct sluice_json *json, const struct bench_ratio *ratio)
{
	sluice_json_object(json, NULL);
	sluice_json_string(json, "label", ratio->label);
	sluice_json_decimal(json, "median", ratio->median, 9);
	sluice_json_decimal(json, "min", ratio->min, 9);
	sluice_json_decimal(json, "max", ratio->max, 9);
	sluice_json_u64(json, "pairs", ratio->pairs);
	sluice_json_decimal(json, "aim", ratio->aim, 4);
	sluice_json_bool(json, "at_least", ratio->at_least);
	sluice_json_end(json);
}

static void write_process(struct sluice_json *json, const struct bench_process *process)
{
	sluice_json_object(json, NULL);
	sluice_json_string(json, "role", process->role);
	sluice_json_i64(json, "cpu", process->cpu);
	sluice_json_u64(json, "runs", process->runs);
	sluice_json_u64(json, "elsewhere", process->elsewhere);
	sluice_json_i64(json, "migrations", process->migrations);
	sluice_json_u64(json, "voluntary_switches", process->voluntary);
	sluice_json_u64(json, "involuntary_switches", process->involuntary);
	sluice_json_u64(json, "minor_faults", process->minor_faults);
	sluice_json_u64(json, "major_faults", process->major_faults);
	sluice_json_end(json);
}

static void write_scenario(struct sluice_json *json, const struct bench_scenario *scenario)
{
	sluice_json_object(json, NULL);
	sluice_json_string(json, "name", scenario->name);
	sluice_json_string(json, "title", scenario->title);
	sluice_json_bool(json, "measured", !scenario->reason[0]);
	sluice_json_string(json, "reason", scenario->reason);
	sluice_json_string(json, "aim_text", scenario->aim_text);
	sluice_json_decimal(json, "aim_value", scenario->aim_value, 3);
	sluice_json_decimal(json, "aim_got", scenario->aim_got, 9);
	sluice_json_array(json, "rows");
	for (uint32_t i = 0; i < scenario->row_count; i++)
		write_row(json, &scenario->rows[i]);
	sluice_json_end(json);
	sluice_json_array(json, "ratios");
	for (uint32_t i = 0; i < scenario->ratio_count; i++)
		write_ratio(json, &scenario->ratios[i]);
	sluice_json_end(json);
	sluice_json_array(json, "processes");
	for (uint32_t i = 0; i < scenario->process_count; i++)
		write_process(json, &scenario->processes[i]);
	sluice_json_end(json);
	sluice_json_array(json, "notes");
	for (uint32_t i = 0; i < scenario->note_count; i++)
		sluice_json_string(json, NULL, scenario->notes[i]);
	sluice_json_end(json);
	sluice_json_end(json);
}

int bench_write_json(const struct bench_result *result, FILE *out)
{
	struct sluice_json json;

	sluice_json_init_file(&json, out);
	sluice_json_object(&json, NULL);
	sluice_json_string(&json, "schema", BENCH_SCHEMA);
	sluice_json_string(&json, "command", result->command);
	sluice_json_u64(&json, "started_realtime_ns", result->started_realtime_ns);
	sluice_json_u64(&json, "elapsed_ns", result->elapsed_ns);
	sluice_json_decimal(&json, "clock_cost_ns", result->clock_cost_ns, 3);
	sluice_json_decimal(&json, "clock_floor_ns", result->clock_floor_ns, 3);
	sluice_json_object(&json, "environment");
	for (uint32_t i = 0; i < result->fact_count; i++)
		sluice_json_string(&json, result->facts[i].key, result->facts[i].value);
	sluice_json_end(&json);
	sluice_json_array(&json, "scenarios");
	for (uint32_t i = 0; i < result->scenario_count; i++)
		write_scenario(&json, &result->scenarios[i]);
	sluice_json_end(&json);
	sluice_json_end(&json);
	return sluice_json_finish(&json);
}
