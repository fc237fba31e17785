/* SPDX-License-Identifier: MIT */
/*
 * main.c - sluice-bench: measures this machine and Sluice on it, in turns, and says so in a table
 * and a JSON file. One thread; every measured process is a child that dies with it.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "bench/ring.h"
#include "bench/ticks.h"
#include "cli/exit.h"
#include "cli/options.h"
#include "cli/report.h"
#include "cli/signals.h"
#include "shm/placement.h"
#include "shm/wait.h"

struct values {
	const char *what;
	const char *file;
	const char *out;
	const char *dir;
	const char *data;
	uint64_t seconds_ns;
	uint64_t pairs;
	uint64_t rate;
	uint64_t commands;
	uint64_t size, ring, batch;
	uint32_t wait;
	uint32_t topology, where, reader, part;
	const char *spoil;
	bool brief, all, alone;
};

static const struct {
	const char *name;
	const char *title;
	int (*run)(const struct bench_plan *plan, struct bench_scenario *scenario,
		   struct sluice_diag *diag);
} scenarios[] = {
	{"round-trip", "there and back between two processes, beside bare cache lines",
	 bench_round_trip},
	{"one-way", "events per second through one ring", bench_one_way},
	{"report", "publish to report through a real engine, beside the bare durable write",
	 bench_report},
	{"matching", "the matching core alone", bench_matching},
	{"wake-up", "an event for a consumer that sleeps in the kernel", bench_wake_up},
};
#define SCENARIOS (sizeof(scenarios) / sizeof(scenarios[0]))

static const struct sluice_option table[] = {
	{"out", 'o', SLUICE_OPTION_STRING(struct values, out), .value = "FILE",
	 .help = "write the result to FILE, as JSON"},
	{"seconds", 's', SLUICE_OPTION_DURATION(struct values, seconds_ns), .min = 1000000,
	 .max = 600000000000u, .help = "of one run of one arm (500ms; wal: 300ms, with --all 2s)"},
	{"pairs", 'p', SLUICE_OPTION_COUNT(struct values, pairs), .min = 1,
	 .max = BENCH_PAIRS_MAX - 1,
	 .help = "runs of each arm, in turns (5; wal: 4, with --all 8)"},
	{"rate", 'r', SLUICE_OPTION_RATE(struct values, rate), .initial = "2000", .min = 1,
	 .max = 100000, .help = "report, wal: commands per second of the open loop"},
	{"commands", 0, SLUICE_OPTION_COUNT(struct values, commands), .initial = "1000000",
	 .min = 1000, .max = 10000000,
	 .help = "matching, wal: commands of the generated flow; wal --all: a tenth of the log's"},
	{"wait", 'w', SLUICE_OPTION_CHOICE(struct values, wait),
	 .words = "adaptive|spin|yield|block|sleep|backoff|umwait", .initial = "adaptive",
	 .help = "report: how engine and client wait; wal: the engine"},
	{"dir", 0, SLUICE_OPTION_STRING(struct values, dir), .value = "DIR", .initial = "/var/tmp",
	 .help = "report, wal: where the log is written, on a real filesystem"},
	{"part", 0, SLUICE_OPTION_CHOICE(struct values, part),
	 .words = "all|rate|commit|load|start|modes", .initial = "all",
	 .help = "wal: only this part"},
	{"brief", 0, SLUICE_OPTION_FLAG(struct values, brief),
	 .help = "table: latencies and ratios only"},
	{"topology", 't', SLUICE_OPTION_CHOICE(struct values, topology),
	 .words = "all|unicast|multi|sequencer|multicast|pipeline|diamond", .initial = "all",
	 .help = "ring: who sends to whom"},
	{"size", 0, SLUICE_OPTION_COUNT(struct values, size), .initial = "0", .max = 128,
	 .help = "ring: only events of 8, 24, 32, 64 or 128 bytes"},
	{"ring", 0, SLUICE_OPTION_COUNT(struct values, ring), .initial = "0", .max = 65536,
	 .help = "ring: only rings of 8192 or 65536 slots"},
	{"batch", 0, SLUICE_OPTION_COUNT(struct values, batch), .initial = "0", .max = 16,
	 .help = "ring: only batches of 1, 10 or 16"},
	{"where", 0, SLUICE_OPTION_CHOICE(struct values, where), .words = "both|process|thread",
	 .initial = "both", .help = "ring: parties in processes or in threads of one"},
	{"reader", 0, SLUICE_OPTION_CHOICE(struct values, reader), .words = "all|wait|poll|poller",
	 .initial = "all", .help = "ring: how the consumers ask for events"},
	{"all", 'a', SLUICE_OPTION_FLAG(struct values, all),
	 .help = "ring: every combination, some twenty minutes; wal: the long form, as many"},
	{"alone", 0, SLUICE_OPTION_FLAG(struct values, alone),
	 .help = "ring: without other libraries' queues and the bare ring"},
	{"spoil", 0, SLUICE_OPTION_STRING(struct values, spoil), .value = "ARM",
	 .help = "ring: send one wrong event through ARM, e.g. sluice; the run must fail"},
	{"data", 0, SLUICE_OPTION_STRING(struct values, data), .value = "DIR",
	 .help = "matching: directory of the recorded order flow (SLUICE_DATA)"},
};

static const struct sluice_cli_command command = {
	.program = BENCH_PROGRAM,
	.summary = "measure this machine, and Sluice beside it",
	.description =
		"WHAT is quick (all of the next ones, in less than half a minute), one of "
		"round-trip, one-way, report, matching, wake-up; ring, the throughput of five "
		"topologies beside queues of other libraries, in about a minute; wal, what "
		"durability costs beside fio, in less than a minute; or table, "
		"which shows a FILE written with --out again.\n\n"
		"What the machine itself can do is measured in the same run, in turns, and the "
		"ratios "
		"are what to trust. Nothing is a gate: the exit code does not depend on a time.",
	.options = table,
	.option_count = sizeof(table) / sizeof(table[0]),
	.positionals = {{.name = "WHAT",
			 .help = "quick, a scenario, or table",
			 .offset = offsetof(struct values, what)},
			{.name = "FILE",
			 .help = "of table",
			 .offset = offsetof(struct values, file),
			 .optional = true}},
	.examples = {{"sluice-bench quick --out result.json", "everything, briefly"},
		     {"sluice-bench ring --topology unicast --size 64", "one topology"},
		     {"sluice-bench wal --all --out wal.json", "the log, in full"},
		     {"sluice-bench table result.json", "the table of a result"}},
};

/* Those two, then whatever else this process may use. */
static void list_cpus(struct bench_plan *plan)
{
	cpu_set_t usable;

	plan->cpu_list[plan->cpu_count++] = plan->cpus[0];
	if (plan->two_cpus)
		plan->cpu_list[plan->cpu_count++] = plan->cpus[1];
	if (sched_getaffinity(0, sizeof(usable), &usable))
		return;
	for (uint32_t cpu = 0; cpu < CPU_SETSIZE && plan->cpu_count < BENCH_CPUS_MAX; cpu++)
		if (CPU_ISSET(cpu, &usable) && cpu != plan->cpus[0] && cpu != plan->cpus[1])
			plan->cpu_list[plan->cpu_count++] = cpu;
}

static void set_filter(struct bench_ring_filter *filter, const struct values *values)
{
	filter->bytes = (uint32_t)values->size;
	filter->slots = (uint32_t)values->ring;
	filter->batch = (uint32_t)values->batch;
	filter->where = values->where;
	filter->reader = values->reader;
	filter->all = values->all;
	filter->alone = values->alone;
	filter->spoil = values->spoil;
}

static uint64_t default_run_ns(bool wal, bool all)
{
	return !wal ? 500000000u : all ? 2000000000u : 300000000u;
}

static uint32_t default_pairs(bool wal, bool all)
{
	return !wal ? 5 : all ? 8 : 4;
}

/* The engine's CPU is where the disk's interrupts come; the other party gets the nearest other. */
static int make_plan(const struct values *values, struct bench_plan *ret_plan,
		     struct sluice_diag *diag)
{
	const bool wal = !strcmp(values->what, "wal");
	struct bench_plan plan = {
		.run_ns = values->seconds_ns ? values->seconds_ns :
					       default_run_ns(wal, values->all),
		.pairs = values->pairs ? (uint32_t)values->pairs : default_pairs(wal, values->all),
		.all = values->all,
		.rate = values->rate,
		.wait = values->wait,
		.dir = values->dir,
		.data = values->data ? values->data : getenv("SLUICE_DATA"),
		.commands = values->commands,
	};
	struct sluice_placement placement;
	int rc = sluice_placement_plan(values->dir, &placement, diag);

	if (rc)
		return rc;
	if (!plan.data || !plan.data[0])
		plan.data = "../shared/data";
	plan.cpus[0] = (uint32_t)placement.engine_cpu;
	plan.cpus[1] = (uint32_t)placement.producer_cpu;
	plan.two_cpus = placement.usable_cpus >= 2 && plan.cpus[0] != plan.cpus[1];
	list_cpus(&plan);
	set_filter(&plan.ring, values);
	*ret_plan = plan;
	return 0;
}

static int run_scenario(struct bench_result *result, int i, const struct bench_plan *plan,
			struct sluice_diag *diag)
{
	struct bench_scenario *scenario = &result->scenarios[result->scenario_count++];

	snprintf(scenario->name, sizeof(scenario->name), "%s", scenarios[i].name);
	snprintf(scenario->title, sizeof(scenario->title), "%s", scenarios[i].title);
	if (!sluice_cli_is_quiet())
		fprintf(stderr, BENCH_PROGRAM ": %s: %s\n", scenario->name, scenario->title);
	return scenarios[i].run(plan, scenario, diag);
}

static int run_rings(struct bench_result *result, const struct bench_plan *plan, uint32_t topology,
		     struct sluice_diag *diag)
{
	int rc = 0;

	for (uint32_t t = 0; t < BENCH_TOPOLOGIES && !rc; t++) {
		struct bench_scenario *scenario = &result->scenarios[result->scenario_count];

		if (topology && topology != t + 1)
			continue;
		result->scenario_count++;
		snprintf(scenario->name, sizeof(scenario->name), "%s", bench_topology_name(t));
		snprintf(scenario->title, sizeof(scenario->title), "%s", bench_topology_title(t));
		if (!sluice_cli_is_quiet())
			fprintf(stderr, BENCH_PROGRAM ": %s: %s\n", scenario->name,
				scenario->title);
		rc = bench_ring(plan, t, scenario, diag);
	}
	return rc;
}

static int run_wal(struct bench_result *result, const struct bench_plan *plan, uint32_t part,
		   struct sluice_diag *diag)
{
	int rc = bench_wal_begin(plan, diag);

	for (uint32_t p = 0; p < BENCH_WAL_PARTS && !rc; p++) {
		struct bench_scenario *scenario = &result->scenarios[result->scenario_count];

		if (part && part != p + 1)
			continue;
		result->scenario_count++;
		snprintf(scenario->name, sizeof(scenario->name), "%s", bench_wal_name(p));
		snprintf(scenario->title, sizeof(scenario->title), "%s", bench_wal_title(p));
		if (!sluice_cli_is_quiet())
			fprintf(stderr, BENCH_PROGRAM ": %s: %s\n", scenario->name,
				scenario->title);
		rc = bench_wal(p, scenario, diag);
	}
	bench_wal_end();
	return rc;
}

static int measure(struct bench_result *result, const struct values *values,
		   struct sluice_diag *diag)
{
	const bool all = !strcmp(values->what, "quick");
	const uint64_t began_ns = sluice_clock_ns();
	struct bench_plan plan;
	int rc = make_plan(values, &plan, diag);

	if (rc)
		return rc;
	bench_ticks_init();
	result->clock_cost_ns = bench_clock.cost_ns;
	result->clock_floor_ns = bench_clock.floor_ns;
	result->started_realtime_ns = sluice_clock_realtime_ns();
	bench_environment(result, &plan);
	for (int i = 0; i < (int)SCENARIOS && !rc; i++)
		if (all || !strcmp(values->what, scenarios[i].name))
			rc = run_scenario(result, i, &plan, diag);
	if (!rc && !strcmp(values->what, "ring"))
		rc = run_rings(result, &plan, values->topology, diag);
	if (!rc && !strcmp(values->what, "wal"))
		rc = run_wal(result, &plan, values->part, diag);
	bench_environment_end(result, &plan);
	result->elapsed_ns = sluice_clock_ns() - began_ns;
	return rc;
}

static int save(const struct bench_result *result, const char *path, struct sluice_diag *diag)
{
	FILE *file = fopen(path, "we");
	int rc;

	if (!file)
		return sluice_diag_set(diag, errno, "%s: %s", path, strerror(errno));
	rc = bench_write_json(result, file);
	if (fclose(file) || rc)
		return sluice_diag_set(diag, EIO, "%s: cannot be written", path);
	return 0;
}

static bool is_known(const char *what)
{
	bool known = !strcmp(what, "quick") || !strcmp(what, "ring") || !strcmp(what, "wal") ||
		     !strcmp(what, "table");

	for (int i = 0; i < (int)SCENARIOS; i++)
		known |= !strcmp(what, scenarios[i].name);
	return known;
}

static int check(const struct values *values, struct sluice_diag *diag)
{
	const bool is_table = !strcmp(values->what, "table");
	int rc;

	if (is_known(values->what) && is_table == !!values->file)
		return 0;
	if (is_table)
		rc = sluice_diag_set(diag, EINVAL, "table needs the FILE of a result");
	else if (values->file)
		rc = sluice_diag_set(diag, EINVAL, "%s takes no FILE", values->what);
	else
		rc = sluice_diag_set(diag, EINVAL, "unknown scenario \"%.64s\"", values->what);
	sluice_diag_hint(diag, BENCH_PROGRAM " --help");
	return rc;
}

/* How to do it again; where the result went does not belong to it. */
static void note_command(struct bench_result *result, int argc, char **argv)
{
	size_t used = (size_t)snprintf(result->command, sizeof(result->command), BENCH_PROGRAM);

	for (int i = 1; i < argc && used < sizeof(result->command); i++) {
		if (!strncmp(argv[i], "--out=", 6))
			continue;
		if (!strcmp(argv[i], "--out") || !strcmp(argv[i], "-o"))
			i++;
		else
			used += (size_t)snprintf(result->command + used,
						 sizeof(result->command) - used, " %s", argv[i]);
	}
}

static int run(struct bench_result *result, const struct values *values, struct sluice_diag *diag)
{
	int rc;

	if (!strcmp(values->what, "table"))
		rc = bench_load_json(result, values->file, diag);
	else
		rc = measure(result, values, diag);
	if (!rc && values->out)
		rc = save(result, values->out, diag);
	if (rc)
		return rc;
	if (sluice_cli_is_json())
		bench_write_json(result, stdout);
	else if (values->brief)
		bench_write_brief(result, stdout);
	else
		bench_write_table(result, stdout);
	return fflush(stdout) ? sluice_diag_set(diag, EIO, "stdout: cannot be written") : 0;
}

int main(int argc, char **argv)
{
	static struct bench_result result;
	static struct values values;
	struct sluice_options options;
	struct sluice_diag diag = {.text = ""};
	int exit_code, rc;

	note_command(&result, argc, argv);
	if (!sluice_options_start(&options, &command, argc, argv, &values, &exit_code))
		return exit_code;
	sluice_signals_install();
	rc = check(&values, &diag);
	if (rc) {
		exit_code = sluice_cli_error(BENCH_PROGRAM, SLUICE_EXIT_USAGE, &diag);
		sluice_options_release(&options);
		return exit_code;
	}
	rc = run(&result, &values, &diag);
	exit_code = sluice_exit_from_error(rc);
	if (sluice_signals_stop())
		exit_code = sluice_signals_exit(exit_code);
	else if (rc)
		sluice_cli_error(BENCH_PROGRAM, exit_code, &diag);
	sluice_options_release(&options);
	return exit_code;
}
