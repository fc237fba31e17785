/* SPDX-License-Identifier: MIT */
/*
 * main.c - sluice-producer: commands from a file, a pipe or the generator into an engine's command
 * ring. One thread. See main.h for the parts.
 */
#include "producer/main.h"

#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "cli/exit.h"
#include "cli/json.h"
#include "cli/options.h"
#include "cli/report.h"
#include "cli/signals.h"
#include "shm/clock.h"
#include "shm/placement.h"
#include "shm/segment_wait.h"

/* The table would not fit its lines otherwise. */
#define O struct producer_options

static const struct sluice_option table[] = {
	{"name", 'n', SLUICE_OPTION_STRING(O, name), .value = "NAME",
	 .help = "the instance; needed unless --dry-run"},
	{"from", 'f', SLUICE_OPTION_STRING(O, from), .value = "FILE",
	 .help = "read commands from FILE, plain or gzip; - is standard input"},
	{"format", 0, SLUICE_OPTION_CHOICE(O, format), .words = "auto|csv|jsonl|lobster",
	 .initial = "auto", .help = "of the file; auto: by its name, else by its first character"},
	{"generate", 'g', SLUICE_OPTION_FLAG(O, generate), .help = "make up commands instead"},
	{"rate", 'r', SLUICE_OPTION_RATE(O, rate), .initial = "max", .max = SLUICE_RATE_MAX,
	 .help = "commands per second, on a schedule that does not wait for the ring"},
	{"poisson", 0, SLUICE_OPTION_FLAG(O, poisson),
	 .help = "with --rate: random gaps instead of equal ones"},
	{"batch", 'b', SLUICE_OPTION_COUNT(O, batch), .initial = "1", .min = 1,
	 .max = PRODUCER_BATCH_MAX,
	 .help = "commands per claim, visible at once; all are due when the first one is"},
	{"count", 'c', SLUICE_OPTION_COUNT(O, count), .initial = "0",
	 .help = "stop after this many commands of the source; 0: all"},
	{"session", 's', SLUICE_OPTION_COUNT(O, session), .initial = "0", .max = UINT32_MAX,
	 .help = "source number for duplicate detection, for input that has none; 0: off (1 with "
		 "--generate)"},
	{"resume-from", 0, SLUICE_OPTION_COUNT(O, resume_from), .initial = "0",
	 .value = "K", .help = "do not send the first K commands of the source"},
	{"wait", 'w', SLUICE_OPTION_CHOICE(O, wait),
	 .words = "adaptive|spin|yield|block|sleep|backoff|umwait", .initial = "adaptive",
	 .help = "how to wait for space and for the next due time"},
	{"cpu", 0, SLUICE_OPTION_STRING(O, cpu), .value = "LIST", .initial = "auto",
	 .help = "CPUs to run on; auto: near the engine's, if there are enough; none"},
	{"wait-timeout", 0, SLUICE_OPTION_DURATION(O, wait_timeout_ns), .initial = "60s",
	 .help = "give up when there is no engine for that long; 0: never"},
	{"dry-run", 0, SLUICE_OPTION_FLAG(O, dry_run), .help = "print commands as CSV, no ring"},
	{"symbol", 0, SLUICE_OPTION_STRING(O, symbol), .value = "NAME",
	 .help = "lobster: the symbol; default: from the file's name"},
	{"lobster-tick", 0, SLUICE_OPTION_COUNT(O, lobster_tick), .initial = "100", .min = 1,
	 .max = 1000000, .help = "lobster: price of a tick in 1/10000 dollar"},
	{"seed", 0, SLUICE_OPTION_COUNT(O, generator.seed),
	 .help = "of the generator and of --poisson (1)"},
	{"symbols", 0, SLUICE_OPTION_COUNT(O, generator.symbols),
	 .help = "generator: how many (4)"},
	{"accounts", 0, SLUICE_OPTION_COUNT(O, generator.accounts),
	 .help = "generator: orders are of accounts 1 to this; 0: off (0)"},
	{"depth", 0, SLUICE_OPTION_COUNT(O, generator.depth),
	 .help = "generator: live orders wanted per symbol (500)"},
	{"params", 0, SLUICE_OPTION_STRING(O, params), .value = "K=V,...",
	 .help = "generator: any of its parameters, e.g. zipf=120,hawkes=0,aggressors=80"},
};

#undef O

static const struct sluice_cli_command command = {
	.program = PRODUCER_PROGRAM,
	.summary = "send commands to an engine",
	.description =
		"Publishes commands into the ring NAME.cmd, in order. Symbols are resolved through "
		"the ring: a command waits until the engine has defined the symbol it names. A "
		"wrong line or an unknown symbol ends the program; what came before is sent, nothing "
		"after.\n\n"
		"With --session, commands without a number of their own are numbered from 1. "
		"Sending the same source again after a crash is safe then: the engine answers what it has "
		"already seen with rejected duplicate_command.\n\n"
		"While the ring is full the producer waits; after two seconds it says for whom.",
	.options = table,
	.option_count = sizeof(table) / sizeof(table[0]),
	.examples = {{"sluice-producer --name x --from orders.csv.gz --session 7",
		      "a file, safe to repeat"},
		     {"sluice-producer --name x --generate --count 1M --rate 100k",
		      "a million made-up commands in ten seconds"},
		     {"sluice-producer --generate --count 1000 --dry-run", "look at them"}},
};

static bool is_stopped(void)
{
	return sluice_signals_stop() != 0;
}

static void say_waiting(const char *what)
{
	sluice_cli_log(PRODUCER_PROGRAM, "waiting=\"%s\"", what);
}

static int check_options(struct producer_options *values, const struct sluice_options *options,
			 struct sluice_diag *diag)
{
	if (!values->name && !values->dry_run) {
		sluice_diag_set(diag, EINVAL, "--name is missing: which instance?");
		sluice_diag_hint(diag, "sluice ls");
		return -EINVAL;
	}
	if (!values->from == !values->generate) {
		sluice_diag_set(diag, EINVAL, "one of --from FILE and --generate must say what");
		sluice_diag_hint(diag, "%s --name x --generate --count 1000", PRODUCER_PROGRAM);
		return -EINVAL;
	}
	if (values->poisson && !values->rate)
		return sluice_diag_set(diag, EINVAL, "--poisson needs --rate");
	if (values->count && values->resume_from > values->count)
		return sluice_diag_set(diag, EINVAL, "--resume-from is beyond --count");
	if (values->generate && sluice_options_origin(options, "session") == SLUICE_ORIGIN_DEFAULT)
		values->session = values->generator.session;
	values->generator.session = values->session;
	values->generator.count = values->count;
	return values->params ? sluice_generator_set(&values->generator, values->params, diag) : 0;
}

static int place(const struct producer_options *options, struct sluice_diag *diag)
{
	prctl(PR_SET_TIMERSLACK, 1);
	if (!strcmp(options->cpu, "none") || !strcmp(options->cpu, "auto"))
		return 0;
	return sluice_placement_bind_list(options->cpu, diag);
}

/* --cpu auto: the free core nearest to the engine, once the ring says where the engine runs. */
static void place_beside_engine(const struct producer_run *run)
{
	struct sluice_participant_view view;
	struct sluice_placement plan;

	if (strcmp(run->options->cpu, "auto"))
		return;
	for (uint32_t i = 0; i < run->segment.header.participant_count; i++) {
		if (!sluice_participant_view(&run->segment, i, &view) ||
		    view.policy != SLUICE_POLICY_CRITICAL || view.cpu < 0)
			continue;
		if (sluice_placement_beside((uint32_t)view.cpu, &plan, NULL) ||
		    plan.producer_cpu == plan.engine_cpu ||
		    sluice_placement_bind((uint32_t)plan.producer_cpu, NULL))
			return; /* a matter of speed only */
		sluice_cli_log(PRODUCER_PROGRAM, "cpu=%d reason=\"%s\"", plan.producer_cpu,
			       plan.producer_reason);
		return;
	}
}

static int open_source(struct producer_run *run)
{
	const struct producer_options *options = run->options;
	const struct sluice_source_options source = {
		.path = options->from,
		.format = options->format,
		.session = (uint32_t)options->session,
		.symbol = options->symbol,
		.lobster_tick = (uint32_t)options->lobster_tick,
		.generator = options->generator,
		.resolver = {options->dry_run ? NULL : producer_resolve, run},
	};

	return sluice_source_open(&run->source, &source, &run->diag);
}

/*
 * A ring that was made a moment ago has no consumer yet, and what nobody gates may be overwritten:
 * nothing is sent before the engine has taken its place.
 */
static int wait_for_gate(struct producer_run *run)
{
	const struct timespec step = {.tv_nsec = 2000000};
	const uint64_t started_ns = sluice_clock_ns();
	const uint64_t timeout_ns = run->options->wait_timeout_ns;
	bool said = false;

	/* relaxed: a place, once taken, is kept; the claims look at the position in it */
	while (!atomic_load_explicit(&run->segment.control->gating, memory_order_relaxed)) {
		const uint64_t waited_ns = sluice_clock_ns() - started_ns;

		if (sluice_signals_stop())
			return -EINTR;
		if (timeout_ns && waited_ns >= timeout_ns)
			return sluice_diag_set(&run->diag, ETIMEDOUT, "%s: waited %.1f s for its "
					       "engine to read it", run->segment.header.name,
					       (double)waited_ns / 1e9);
		if (!said && waited_ns > 1000000000u) {
			said = true;
			sluice_cli_log(PRODUCER_PROGRAM, "waiting=\"%s: its engine does not read yet\"",
				       run->segment.header.name);
		}
		nanosleep(&step, NULL);
	}
	return 0;
}

static int open_ring(struct producer_run *run)
{
	const struct producer_options *options = run->options;
	char name[SLUICE_SEGMENT_NAME_BYTES];
	const struct sluice_segment_wait wait = {
		.name = name,
		.access = SLUICE_ACCESS_WRITE,
		.event_kind = SLUICE_EVENT_COMMAND,
		.timeout_ns = options->wait_timeout_ns,
		.is_stopped = is_stopped,
		.say = say_waiting,
	};
	const struct sluice_producer_options out = {PRODUCER_PROGRAM, options->wait, 0};
	int rc;

	if ((size_t)snprintf(name, sizeof(name), "%s.cmd", options->name) >= sizeof(name))
		return sluice_diag_set(&run->diag, EINVAL, "--name is too long");
	rc = sluice_segment_wait(&run->segment, &wait, &run->diag);
	if (rc)
		return rc;
	if (run->segment.header.payload_bytes < sizeof(struct sluice_command) ||
	    run->segment.header.slot_count < options->batch)
		return sluice_diag_set(&run->diag, EPROTO, "%s: its slots are too small or too few",
				       name);
	rc = wait_for_gate(run);
	if (rc)
		return rc;
	place_beside_engine(run);
	return sluice_producer_open(&run->out, &run->segment, &out, &run->diag);
}

static uint64_t full_waits(const struct producer_run *run)
{
	/* relaxed: own statistic */
	return atomic_load_explicit(&run->out.self->full_waits, memory_order_relaxed);
}

static void summary(const struct producer_run *run)
{
	const uint64_t elapsed_ns = sluice_clock_ns() - run->started_ns;
	const uint64_t rate = elapsed_ns ? (uint64_t)((double)run->sent * 1e9 / (double)elapsed_ns)
					 : 0;
	struct sluice_json json;

	if (sluice_cli_is_json()) {
		sluice_json_init_file(&json, stdout);
		sluice_json_object(&json, NULL);
		sluice_json_string(&json, "program", PRODUCER_PROGRAM);
		sluice_json_u64(&json, "commands", run->sent);
		sluice_json_u64(&json, "elapsed_ns", elapsed_ns);
		sluice_json_u64(&json, "rate_per_s", rate);
		sluice_json_u64(&json, "full_waits", full_waits(run));
		sluice_json_u64(&json, "late_max_ns", run->late_ns_max);
		sluice_json_end(&json);
		sluice_json_finish(&json);
	} else if (!sluice_cli_is_quiet()) {
		fprintf(stderr, "%s: done commands=%llu elapsed_s=%.3f rate_per_s=%llu "
			"full_waits=%llu late_max_us=%llu\n", PRODUCER_PROGRAM,
			(unsigned long long)run->sent, (double)elapsed_ns / 1e9,
			(unsigned long long)rate, (unsigned long long)full_waits(run),
			(unsigned long long)(run->late_ns_max / 1000));
	}
}

/* The text of an error that came through the source's resolver, which knows only its number. */
static void explain(struct producer_run *run, int rc)
{
	if (rc == -EPIPE)
		producer_check(run);
	if (rc != -ETIMEDOUT || !run->waited_for[0])
		return;
	sluice_diag_set(&run->diag, ETIMEDOUT, "waited %.1f s for the engine to define symbol "
			"\"%s\"", (double)run->options->wait_timeout_ns / 1e9, run->waited_for);
	sluice_diag_hint(&run->diag, "sluice stat --name %s   # does it run, are its reports read?",
			 run->options->name);
}

static int run_all(struct producer_run *run)
{
	int rc;

	if (run->options->dry_run) {
		rc = producer_dry_run(run);
		run->source_failed = rc < 0 && rc != -EINTR;
		return rc;
	}
	rc = open_ring(run);
	if (rc)
		return rc;
	rc = producer_send_all(run);
	explain(run, rc);
	summary(run);
	return rc;
}

static int exit_code_of(const struct producer_run *run, int rc)
{
	if (rc == -EINTR && sluice_signals_stop())
		return sluice_signals_exit(SLUICE_EXIT_FAILED);
	return sluice_cli_error(PRODUCER_PROGRAM,
				rc == -EINVAL ? SLUICE_EXIT_USAGE :
				run->source_failed ? SLUICE_EXIT_FAILED :
						     sluice_exit_from_error(rc),
				&run->diag);
}

int main(int argc, char **argv)
{
	static struct producer_run run;
	struct sluice_options options;
	struct producer_options values = {.name = NULL};
	int exit_code, rc;

	sluice_generator_defaults(&values.generator);
	if (!sluice_options_start(&options, &command, argc, argv, &values, &exit_code))
		return exit_code;
	run.options = &values;
	sluice_signals_install();
	rc = check_options(&values, &options, &run.diag);
	if (!rc)
		rc = place(&values, &run.diag);
	if (!rc)
		rc = open_source(&run);
	if (!rc)
		rc = run_all(&run);
	exit_code = rc ? exit_code_of(&run, rc) : SLUICE_EXIT_OK;
	sluice_producer_close(&run.out);
	sluice_segment_close(&run.segment);
	sluice_source_close(run.source);
	sluice_options_release(&options);
	return exit_code;
}
