/* SPDX-License-Identifier: MIT */
/*
 * load.c - reads a result file. It may come from anywhere: every count is bounded, every value has
 * the type it must have or is 0, and strings are cut.
 */
#include "bench/bench.h"

#include <errno.h>
#include <string.h>

#ifdef SLUICE_WITH_JANSSON
#include <jansson.h>

static void get_text(const json_t *object, const char *key, char *ret_text, size_t bytes)
{
	const char *text = json_string_value(json_object_get(object, key));

	snprintf(ret_text, bytes, "%s", text ? text : "");
}

static double get_number(const json_t *object, const char *key)
{
	return json_number_value(json_object_get(object, key));
}

/* A count: never negative, at most 2^53. */
static uint64_t get_count(const json_t *object, const char *key)
{
	const double value = get_number(object, key);

	return value > 0 && value < 9007199254740992.0 ? (uint64_t)value : 0;
}

static int32_t get_small(const json_t *object, const char *key)
{
	const double value = get_number(object, key);

	return value > -2e9 && value < 2e9 ? (int32_t)value : 0;
}

static uint32_t bounded(const json_t *array, uint32_t max)
{
	const size_t n = json_array_size(array);

	return n < max ? (uint32_t)n : max;
}

static void load_row(struct bench_row *row, json_t *from)
{
	const char *key;
	json_t *value;

	get_text(from, "label", row->label, sizeof(row->label));
	json_object_foreach(json_object_get(from, "values"), key,
			    value) if (row->value_count < BENCH_VALUES_MAX)
		bench_set(row, key, json_number_value(value));
}

static void load_ratio(struct bench_ratio *ratio, const json_t *from)
{
	get_text(from, "label", ratio->label, sizeof(ratio->label));
	ratio->median = get_number(from, "median");
	ratio->min = get_number(from, "min");
	ratio->max = get_number(from, "max");
	ratio->aim = get_number(from, "aim");
	ratio->at_least = json_is_true(json_object_get(from, "at_least"));
	ratio->pairs = (uint32_t)get_small(from, "pairs");
}

static void load_process(struct bench_process *process, const json_t *from)
{
	get_text(from, "role", process->role, sizeof(process->role));
	process->cpu = get_small(from, "cpu");
	process->runs = (uint32_t)get_small(from, "runs");
	process->elsewhere = (uint32_t)get_small(from, "elsewhere");
	process->migrations = get_small(from, "migrations");
	process->voluntary = get_count(from, "voluntary_switches");
	process->involuntary = get_count(from, "involuntary_switches");
	process->minor_faults = get_count(from, "minor_faults");
	process->major_faults = get_count(from, "major_faults");
}

static void load_scenario(struct bench_scenario *scenario, const json_t *from)
{
	const json_t *rows = json_object_get(from, "rows");
	const json_t *ratios = json_object_get(from, "ratios");
	const json_t *processes = json_object_get(from, "processes");
	const json_t *notes = json_object_get(from, "notes");

	get_text(from, "name", scenario->name, sizeof(scenario->name));
	get_text(from, "title", scenario->title, sizeof(scenario->title));
	get_text(from, "reason", scenario->reason, sizeof(scenario->reason));
	get_text(from, "aim_text", scenario->aim_text, sizeof(scenario->aim_text));
	scenario->aim_value = get_number(from, "aim_value");
	scenario->aim_got = get_number(from, "aim_got");
	scenario->row_count = bounded(rows, BENCH_ROWS_MAX);
	for (uint32_t i = 0; i < scenario->row_count; i++)
		load_row(&scenario->rows[i], json_array_get(rows, i));
	scenario->ratio_count = bounded(ratios, BENCH_RATIOS_MAX);
	for (uint32_t i = 0; i < scenario->ratio_count; i++)
		load_ratio(&scenario->ratios[i], json_array_get(ratios, i));
	scenario->process_count = bounded(processes, BENCH_PROCESSES_MAX);
	for (uint32_t i = 0; i < scenario->process_count; i++)
		load_process(&scenario->processes[i], json_array_get(processes, i));
	scenario->note_count = bounded(notes, BENCH_NOTES_MAX);
	for (uint32_t i = 0; i < scenario->note_count; i++) {
		const char *text = json_string_value(json_array_get(notes, i));

		snprintf(scenario->notes[i], BENCH_TEXT_BYTES, "%s", text ? text : "");
	}
}

static void load_result(struct bench_result *result, json_t *root)
{
	const json_t *scenarios = json_object_get(root, "scenarios");
	const char *key;
	json_t *value;

	get_text(root, "command", result->command, sizeof(result->command));
	result->started_realtime_ns = get_count(root, "started_realtime_ns");
	result->elapsed_ns = get_count(root, "elapsed_ns");
	result->clock_cost_ns = get_number(root, "clock_cost_ns");
	result->clock_floor_ns = get_number(root, "clock_floor_ns");
	json_object_foreach(json_object_get(root, "environment"), key,
			    value) if (result->fact_count < BENCH_FACTS_MAX &&
				       json_is_string(value))
		bench_fact(result, key, "%s", json_string_value(value));
	result->scenario_count = bounded(scenarios, BENCH_SCENARIOS_MAX);
	for (uint32_t i = 0; i < result->scenario_count; i++)
		load_scenario(&result->scenarios[i], json_array_get(scenarios, i));
}

int bench_load_json(struct bench_result *ret_result, const char *path, struct sluice_diag *diag)
{
	char schema[32];
	json_error_t error;
	json_t *root = json_load_file(path, 0, &error);

	if (!root)
		return sluice_diag_set(diag, EBADMSG, "%s: line %d: %s", path, error.line,
				       error.text);
	get_text(root, "schema", schema, sizeof(schema));
	if (strcmp(schema, BENCH_SCHEMA)) {
		json_decref(root);
		return sluice_diag_set(diag, EBADMSG,
				       "%s: not a result of " BENCH_PROGRAM " (schema "
				       "\"%s\", not \"" BENCH_SCHEMA "\")",
				       path, schema);
	}
	memset(ret_result, 0, sizeof(*ret_result));
	load_result(ret_result, root);
	json_decref(root);
	return 0;
}
#else
int bench_load_json(struct bench_result *ret_result, const char *path, struct sluice_diag *diag)
{
	(void)ret_result;
	return sluice_diag_set(diag, ENOTSUP, "%s: this build cannot read JSON (libjansson)", path);
}
#endif
