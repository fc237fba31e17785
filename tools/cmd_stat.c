/* SPDX-License-Identifier: MIT */
/*
 * cmd_stat.c - `sluice stat`: what an instance does now and has done since its start. Attaches
 * read-only, takes no lock and writes no byte; a ring that is removed or replaced is said, and
 * followed when it is back.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/exit.h"
#include "cli/report.h"
#include "cli/signals.h"
#include "tools/alarm.h"
#include "tools/stat_print.h"
#include "tools/tool.h"

#define INSTANCES_MAX 8

struct stat_options {
	const char *name;
	uint64_t interval_ns;
	uint64_t count;
	bool once;
};

struct stat_source { /* one instance and its last two samples */
	char name[SLUICE_SEGMENT_NAME_BYTES];
	struct sluice_tool_instance instance;
	struct sluice_tool_sample sample[2];
	struct sluice_tool_alarms alarms; /* as last printed */
	uint32_t newest;
	bool is_open;
};

struct stat {
	struct stat_options options;
	struct sluice_json json;
	struct stat_source *source;
	uint32_t sources;
	uint32_t lines;
	bool is_json;
};

static const struct sluice_option table[] = {
	{"name", 'n', SLUICE_OPTION_STRING(struct stat_options, name), .value = "NAME",
	 .help = "the instance; without it all of them"},
	{"interval", 'i', SLUICE_OPTION_DURATION(struct stat_options, interval_ns), .initial = "1s",
	 .min = 10000000, .help = "time between two lines"},
	{"count", 'c', SLUICE_OPTION_COUNT(struct stat_options, count), .value = "N",
	 .help = "lines to print; 0: until interrupted", .initial = "0"},
	{"once", 0, SLUICE_OPTION_FLAG(struct stat_options, once),
	 .help = "print everything since the start and end"},
};

static const struct sluice_cli_command command = {
	.program = "sluice stat",
	.summary = "rates, ring fill, participants and latencies of an instance",
	.description =
		"First everything since the start, then one line per interval. Latencies are "
		"from the intended send time of a command to the moment its reports were "
		"visible; only the percentiles that the number of samples justifies are "
		"shown.\n\n"
		"Lines that begin with ALARM tell what needs an operator: a ring that is not ready "
		"(STATE) or has lost its name while it is used (TWIN); a slot that is claimed and "
		"not published, and who holds it (STALLED); a consumer that stopped on an error "
		"(FAILED), is away and holds events back (AWAY) or was evicted (EVICTED); a lock "
		"byte that outlived its process (HELD_BY_INHERITOR). They are printed again when "
		"they change.\n\n"
		"A poll is useful when it found events. Full waits are claims of a producer that "
		"found no space.",
	.options = table,
	.option_count = sizeof(table) / sizeof(*table),
	.examples = {{"sluice stat -n x", "a line per second until Ctrl-C"},
		     {"sluice stat -n x --json -c 3", "three objects, a second apart"}},
};

static int sources_find(struct stat *stat, struct sluice_diag *diag)
{
	struct sluice_tool_names names = {.count = 1};
	int err = 0;

	if (stat->options.name)
		snprintf(names.name[0], sizeof(names.name[0]), "%s", stat->options.name);
	else
		err = sluice_tool_instances(&names, diag);
	if (err)
		return err;
	if (!names.count) {
		sluice_diag_set(diag, ENOENT, "no instance is running here");
		sluice_diag_hint(diag, "sluice demo");
		return -ENOENT;
	}
	stat->sources = names.count < INSTANCES_MAX ? names.count : INSTANCES_MAX;
	stat->source = calloc(stat->sources, sizeof(*stat->source));
	if (!stat->source)
		return sluice_diag_set(diag, ENOMEM, "no memory for %u instances", stat->sources);
	for (uint32_t i = 0; i < stat->sources; i++)
		memcpy(stat->source[i].name, names.name[i], sizeof(names.name[i]));
	return 0;
}

static int source_open(struct stat_source *source, struct sluice_diag *diag)
{
	int err = sluice_tool_instance_open(&source->instance, source->name, diag);

	if (err)
		return err;
	source->is_open = true;
	source->newest = 0;
	sluice_tool_sample_take(&source->sample[0], &source->instance);
	sluice_tool_alarms_find(&source->sample[0], &source->alarms);
	return 0;
}

static void source_close(struct stat_source *source)
{
	if (source->is_open)
		sluice_tool_instance_close(&source->instance);
	source->is_open = false;
}

/* Said once per change; the figures begin anew with what has the name then. */
static void source_lost(struct stat_source *source)
{
	struct sluice_diag diag;

	fprintf(stderr, "sluice stat: %s: %s\n", source->name,
		sluice_tool_instance_gone(&source->instance));
	source_close(source);
	if (source_open(source, &diag))
		fprintf(stderr, "sluice stat: %s: waiting until it is back\n", source->name);
}

/* Only when they are others than those that were printed last. */
static void alarms_show(struct stat_source *source, const struct sluice_tool_sample *sample)
{
	struct sluice_tool_alarms alarms;

	sluice_tool_alarms_find(sample, &alarms);
	if (sluice_tool_alarms_equal(&alarms, &source->alarms))
		return;
	source->alarms = alarms;
	if (alarms.count)
		sluice_tool_alarms_text(stdout, source->name, &alarms);
	else
		printf("  %s: no alarms\n", source->name);
}

static void source_show(struct stat *stat, struct stat_source *source)
{
	const struct sluice_tool_sample *earlier = &source->sample[source->newest];
	struct sluice_tool_sample *sample = &source->sample[!source->newest];
	struct sluice_diag diag;

	if (!source->is_open) {
		source_open(source, &diag);
		return;
	}
	if (*sluice_tool_instance_gone(&source->instance)) {
		source_lost(source);
		return;
	}
	sluice_tool_sample_take(sample, &source->instance);
	if (stat->is_json) {
		sluice_tool_stat_json(&stat->json, source->name, sample, earlier);
	} else {
		if (stat->lines++ % 20 == 0)
			sluice_tool_stat_heading();
		sluice_tool_stat_line(source->name, sample, earlier);
		alarms_show(source, sample);
	}
	source->newest = !source->newest;
}

/* Until the next line is due; false when asked to stop. */
static bool wait_until(uint64_t due_ns)
{
	const struct timespec due = {.tv_sec = (time_t)(due_ns / 1000000000u),
				     .tv_nsec = (long)(due_ns % 1000000000u)};

	while (!sluice_signals_stop() &&
	       clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL) == EINTR)
		;
	return !sluice_signals_stop();
}

static void show_start(struct stat *stat)
{
	for (uint32_t i = 0; i < stat->sources; i++) {
		const struct stat_source *source = &stat->source[i];

		if (!stat->is_json)
			sluice_tool_stat_block(source->name, &source->sample[0]);
		else if (stat->options.once)
			sluice_tool_stat_json(&stat->json, source->name, &source->sample[0], NULL);
	}
}

static int stat_run(struct stat *stat)
{
	struct sluice_diag diag = {.text = ""};
	uint64_t due_ns;
	int err = sources_find(stat, &diag);

	for (uint32_t i = 0; !err && i < stat->sources; i++)
		err = source_open(&stat->source[i], &diag);
	if (err)
		return sluice_cli_fail(command.program, err, &diag);
	show_start(stat);
	fflush(stdout);
	if (stat->options.once)
		return sluice_tool_finish(command.program, SLUICE_EXIT_OK);
	due_ns = stat->source[0].sample[0].time_ns;
	for (uint64_t n = 0; !stat->options.count || n < stat->options.count; n++) {
		due_ns += stat->options.interval_ns;
		if (!wait_until(due_ns))
			break;
		for (uint32_t i = 0; i < stat->sources; i++)
			source_show(stat, &stat->source[i]);
		if (fflush(stdout))
			break;
	}
	return sluice_tool_finish(command.program, sluice_signals_exit(SLUICE_EXIT_OK));
}

static int run(int argc, char **argv)
{
	struct stat stat = {.sources = 0};
	struct sluice_options options;
	int code;

	if (!sluice_options_start(&options, &command, argc, argv, &stat.options, &code))
		return code;
	stat.is_json = options.standard.json;
	sluice_json_init_file(&stat.json, stdout);
	code = stat_run(&stat);
	for (uint32_t i = 0; i < stat.sources && stat.source; i++)
		source_close(&stat.source[i]);
	free(stat.source);
	sluice_options_release(&options);
	return code;
}

const struct sluice_tool sluice_tool_stat = {.name = "stat", .command = &command, .run = run};
