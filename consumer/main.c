/* SPDX-License-Identifier: MIT */
/*
 * main.c - sluice-consumer: an engine's reports, market data or commands as lines. One thread. See
 * main.h for the parts.
 */
#include "consumer/main.h"

#include <stdio.h>

#include "cli/exit.h"
#include "cli/json.h"
#include "cli/options.h"
#include "cli/report.h"
#include "cli/signals.h"
#include "cli/value.h"
#include "shm/clock.h"
#include "shm/counter.h"
#include "shm/placement.h"
#include "shm/segment_wait.h"

#define REPORTS "reports" /* the consumer that an engine reserves a place for */

static const struct sluice_option table[] = {
	{"name", 'n', SLUICE_OPTION_STRING(struct consumer_options, name), .value = "NAME",
	 .required = true, .help = "the instance"},
	{"ring", 'r', SLUICE_OPTION_CHOICE(struct consumer_options, ring), .words = "rep|md|cmd",
	 .initial = "rep", .help = "reports, market data or commands"},
	{"as", 0, SLUICE_OPTION_STRING(struct consumer_options, as), .value = "NAME",
	 .initial = REPORTS, .help = "name in the ring's table: a critical consumer's position is kept under it"},
	{"policy", 'p', SLUICE_OPTION_CHOICE(struct consumer_options, policy),
	 .words = "auto|critical|evictable|lossy|tap", .initial = "auto",
	 .help = "critical: the engine waits for us, even while we are away; evictable: until we "
		 "die or lag; lossy: never; tap: read-only, unseen; auto: critical for rep, else tap"},
	{"lag-max", 0, SLUICE_OPTION_COUNT(struct consumer_options, lag_max), .initial = "0",
	 .help = "evictable: events behind at which we are evicted; 0: only when dead"},
	{"from", 'f', SLUICE_OPTION_STRING(struct consumer_options, from), .value = "WHERE",
	 .initial = "beginning",
	 .help = "beginning (the oldest in the ring), end, seq:K, or -K (the last K); a critical "
		 "consumer that was here before goes on where it was"},
	{"until-idle", 0, SLUICE_OPTION_DURATION(struct consumer_options, until_idle_ns),
	 .initial = "0", .help = "end when nothing has come for that long; 0: never"},
	{"count", 'c', SLUICE_OPTION_COUNT(struct consumer_options, count), .initial = "0",
	 .help = "end after this many events; 0: all"},
	{"text", 't', SLUICE_OPTION_FLAG(struct consumer_options, text),
	 .help = "lines of key=value instead of JSON"},
	{"output", 'o', SLUICE_OPTION_STRING(struct consumer_options, output), .value = "FILE",
	 .help = "append to FILE; after a crash goes on behind its last line, each number once"},
	{"sync", 0, SLUICE_OPTION_FLAG(struct consumer_options, sync),
	 .help = "with --output: a report is given up only when FILE is on disk; then a power cut "
		 "loses and repeats nothing either"},
	{"wait", 'w', SLUICE_OPTION_CHOICE(struct consumer_options, wait),
	 .words = "adaptive|spin|yield|block|sleep|backoff|umwait", .initial = "adaptive",
	 .help = "how to wait for events"},
	{"cpu", 0, SLUICE_OPTION_STRING(struct consumer_options, cpu), .value = "LIST",
	 .initial = "auto", .help = "CPUs to run on; auto: away from the engine's; none"},
	{"wait-timeout", 0, SLUICE_OPTION_DURATION(struct consumer_options, wait_timeout_ns),
	 .initial = "60s", .help = "give up when there is no engine for that long; 0: never"},
};

static const struct sluice_cli_command command = {
	.program = CONSUMER_PROGRAM,
	.summary = "print an engine's reports, market data or commands",
	.description =
		"Writes one JSON object per event; with --quiet it only counts. Checks that the "
		"events' numbers are dense and ends with 1 if a critical consumer has lost one or "
		"seen one twice.\n\n"
		"An engine keeps its reports until the critical consumer \"reports\", which is this "
		"program unless told otherwise, has taken them. A report is given up only after its "
		"line was written: a kill at any moment loses nothing, and with --output FILE a "
		"restart repeats nothing.",
	.options = table,
	.option_count = sizeof(table) / sizeof(table[0]),
	.examples = {{"sluice-consumer --name x --output reports.jsonl", "keep all reports"},
		     {"sluice-consumer --name x --ring md --from end --text", "watch the market"},
		     {"sluice-consumer --name x --policy tap --from -10 --until-idle 1s",
		      "the last ten reports, without being noticed"}},
};

static const char *const suffixes[] = {"rep", "md", "cmd"};
static const uint32_t kinds[] = {SLUICE_EVENT_REPORT, SLUICE_EVENT_MARKET_DATA,
				 SLUICE_EVENT_COMMAND};
static const uint32_t event_bytes[] = {sizeof(struct sluice_report), sizeof(struct sluice_md_event),
				       sizeof(struct sluice_command)};

static bool is_stopped(void)
{
	return sluice_signals_stop() != 0;
}

static void say_waiting(const char *what)
{
	sluice_cli_log(CONSUMER_PROGRAM, "waiting=\"%s\"", what);
}

enum where_kind { WHERE_BEGINNING, WHERE_END, WHERE_SEQUENCE, WHERE_LAST };

struct where {
	enum where_kind kind;
	uint64_t k;
};

static int parse_from(const char *text, struct where *ret_where, struct sluice_diag *diag)
{
	struct where where = {WHERE_BEGINNING, 0};

	if (!strcmp(text, "end"))
		where.kind = WHERE_END;
	else if (!strncmp(text, "seq:", 4) && !sluice_value_count(text + 4, &where.k))
		where.kind = WHERE_SEQUENCE;
	else if (text[0] == '-' && !sluice_value_count(text + 1, &where.k))
		where.kind = WHERE_LAST;
	else if (strcmp(text, "beginning"))
		return sluice_diag_set(diag, EINVAL, "--from \"%s\" is none of beginning, end, seq:K "
				       "and -K", text);
	*ret_where = where;
	return 0;
}

/* "The last K" are counted from the end, which only the ring knows. */
static void settle_where(struct where *where, const struct sluice_tap *tap)
{
	const uint64_t end = sluice_tap_end(tap), oldest = sluice_ring_oldest(&tap->ring);

	if (where->kind != WHERE_LAST)
		return;
	*where = (struct where){WHERE_SEQUENCE, where->k < end - oldest ? end - where->k : oldest};
}

static int join(struct consumer_run *run, const struct where *where)
{
	static const uint32_t from[] = {[WHERE_BEGINNING] = SLUICE_FROM_BEGINNING,
					[WHERE_END] = SLUICE_FROM_NEXT,
					[WHERE_SEQUENCE] = SLUICE_FROM_SEQUENCE};
	const struct consumer_options *options = run->options;
	const struct sluice_consumer_options join = {
		.name = options->as,
		.policy = options->policy,
		.wait = options->wait,
		.from = from[where->kind],
		.sequence = where->k,
		.lag_max = options->lag_max,
	};

	return sluice_consumer_open(&run->in, &run->segment, &join, &run->diag);
}

static int attach(struct consumer_run *run)
{
	const struct consumer_options *options = run->options;
	char name[SLUICE_SEGMENT_NAME_BYTES];
	const struct sluice_segment_wait wait = {
		.name = name,
		.access = options->policy == CONSUMER_TAP ? SLUICE_ACCESS_READ
							  : SLUICE_ACCESS_WRITE,
		.event_kind = kinds[options->ring],
		.timeout_ns = options->wait_timeout_ns,
		.is_stopped = is_stopped,
		.say = say_waiting,
	};
	int rc;

	if ((size_t)snprintf(name, sizeof(name), "%s.%s", options->name, suffixes[options->ring]) >=
	    sizeof(name))
		return sluice_diag_set(&run->diag, EINVAL, "--name is too long");
	rc = sluice_segment_wait(&run->segment, &wait, &run->diag);
	if (!rc && run->segment.header.payload_bytes != event_bytes[options->ring])
		rc = sluice_diag_set(&run->diag, EPROTO, "%s: its events are of another size", name);
	return rc ? rc : sluice_names_init(&run->names, &run->segment);
}

static bool is_reports(const struct consumer_run *run)
{
	const struct consumer_options *options = run->options;

	return options->ring == CONSUMER_REP && options->policy == CONSUMER_CRITICAL &&
	       !strcmp(options->as, REPORTS);
}

/* The newest report that the engine has had, published (again) or not. 0: it does not say yet. */
static uint64_t recovered(const struct consumer_run *run)
{
	char label[SLUICE_LABEL_BYTES];

	for (uint32_t i = 0; i < run->segment.header.counter_count; i++) {
		const struct sluice_counter *counter = &run->segment.counters[i];

		if (sluice_counter_label(counter, label) && !strcmp(label, "reports_recovered"))
			/* relaxed: a statistic, the engine's word */
			return atomic_load_explicit(&counter->value, memory_order_relaxed);
	}
	return 0;
}

/*
 * The file may be ahead of a ring that was made anew: the engine publishes again what it does not
 * know to be taken, and says how far it will come. Nothing is read before that is known, because
 * what is read is given up.
 */
static uint64_t await_end(const struct consumer_run *run)
{
	const uint64_t started_ns = sluice_clock_ns();
	const uint64_t timeout_ns = run->options->wait_timeout_ns;
	uint64_t end = sluice_tap_end(&run->tap), next;

	while (run->options->ring == CONSUMER_REP && run->written_n > end && !is_stopped()) {
		next = recovered(run);
		if (next)
			return next - 1 > end ? next - 1 : end;
		if (timeout_ns && sluice_clock_ns() - started_ns >= timeout_ns)
			break;
		nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
		end = sluice_tap_end(&run->tap);
	}
	return end;
}

/* What a file that is not empty says we have; what the ring says must follow it. */
static int check_file(struct consumer_run *run)
{
	uint64_t end;

	if (!run->written_n)
		return 0;
	run->expected_n = run->written_n + 1;
	end = await_end(run);
	if (run->written_n <= end)
		return 0;
	if (is_stopped())
		return -EINTR;
	return sluice_diag_set(&run->diag, EINVAL, "%s ends with n=%llu, but %s has only %llu: it is "
			       "another instance's file, or an engine with --durability async "
			       "lost the rest", run->output.path,
			       (unsigned long long)run->written_n, run->segment.header.name,
			       (unsigned long long)end);
}

static int start(struct consumer_run *run)
{
	static const enum sluice_tap_from from[] = {[WHERE_BEGINNING] = SLUICE_TAP_OLDEST,
						    [WHERE_END] = SLUICE_TAP_END,
						    [WHERE_SEQUENCE] = SLUICE_TAP_SEQUENCE};
	struct where where = {WHERE_BEGINNING, 0};
	int rc = parse_from(run->options->from, &where, &run->diag);

	if (!rc)
		rc = attach(run);
	if (rc)
		return rc;
	sluice_tap_open(&run->tap, &run->segment, SLUICE_TAP_OLDEST, 0);
	settle_where(&where, &run->tap);
	if (run->options->policy == CONSUMER_TAP)
		sluice_tap_open(&run->tap, &run->segment, from[where.kind], where.k);
	else
		rc = join(run, &where);
	/* after the join: nobody else writes to the file of a critical consumer */
	if (!rc)
		rc = consumer_output_open(run);
	if (!rc)
		rc = check_file(run);
	if (!rc && is_reports(run))
		run->latency = sluice_histogram_open(&run->segment, "publish_to_consumer_ns",
						     run->in.index);
	return rc;
}

static int place(const struct consumer_options *options, struct sluice_diag *diag)
{
	struct sluice_placement plan;

	if (!strcmp(options->cpu, "none"))
		return 0;
	if (strcmp(options->cpu, "auto"))
		return sluice_placement_bind_list(options->cpu, diag);
	/* with fewer CPUs than processes of an instance the scheduler knows better */
	if (sluice_placement_usable() > 2 && !sluice_placement_plan(NULL, &plan, NULL))
		sluice_placement_bind((uint32_t)plan.consumer_cpu, NULL);
	return 0;
}

/* On stderr in either form: stdout is for events. */
static void summary(const struct consumer_run *run)
{
	static const char *const what[] = {"reports", "events", "commands"};
	struct sluice_json json;

	if (!sluice_cli_is_json()) {
		fprintf(stderr, "%s: done %s=%llu trades=%llu first_n=%llu last_n=%llu lost=%llu "
			"duplicated=%llu\n", CONSUMER_PROGRAM, what[run->options->ring],
			(unsigned long long)run->events, (unsigned long long)run->trades,
			(unsigned long long)run->first_n, (unsigned long long)run->last_n,
			(unsigned long long)run->lost, (unsigned long long)run->duplicated);
		return;
	}
	sluice_json_init_file(&json, stderr);
	sluice_json_object(&json, NULL);
	sluice_json_string(&json, "program", CONSUMER_PROGRAM);
	sluice_json_u64(&json, what[run->options->ring], run->events);
	sluice_json_u64(&json, "trades", run->trades);
	sluice_json_u64(&json, "first_n", run->first_n);
	sluice_json_u64(&json, "last_n", run->last_n);
	sluice_json_u64(&json, "lost", run->lost);
	sluice_json_u64(&json, "duplicated", run->duplicated);
	sluice_json_end(&json);
	sluice_json_finish(&json);
}

static int run_all(struct consumer_run *run)
{
	int rc = start(run);

	if (rc)
		return rc;
	rc = run->options->policy == CONSUMER_TAP ? consumer_run_tap(run)
						  : consumer_run_participant(run);
	summary(run);
	return rc;
}

static int exit_code_of(const struct consumer_run *run, int rc)
{
	const bool wrong = run->options->policy == CONSUMER_CRITICAL &&
			   (run->lost || run->duplicated);

	if (rc && rc != -EINTR)
		return sluice_cli_error(CONSUMER_PROGRAM,
					rc == -EINVAL ? SLUICE_EXIT_USAGE :
					rc == -EIO || rc == -ESTALE ? SLUICE_EXIT_FAILED :
								      sluice_exit_from_error(rc),
					&run->diag);
	return wrong ? SLUICE_EXIT_FAILED : rc ? sluice_signals_exit(SLUICE_EXIT_FAILED)
					       : SLUICE_EXIT_OK;
}

int main(int argc, char **argv)
{
	static struct consumer_run run = {.output.fd = -1};
	struct consumer_options values = {.name = NULL};
	struct sluice_options options;
	int exit_code, rc;

	if (!sluice_options_start(&options, &command, argc, argv, &values, &exit_code))
		return exit_code;
	if (values.policy == CONSUMER_AUTO)
		values.policy = values.ring == CONSUMER_REP ? CONSUMER_CRITICAL : CONSUMER_TAP;
	run.options = &values;
	sluice_signals_install();
	rc = place(&values, &run.diag);
	if (!rc)
		rc = run_all(&run);
	exit_code = exit_code_of(&run, rc);
	sluice_consumer_close(&run.in, true);
	consumer_output_close(&run);
	sluice_names_release(&run.names);
	sluice_segment_close(&run.segment);
	sluice_options_release(&options);
	return exit_code;
}
