/* SPDX-License-Identifier: MIT */
/* demo_run.c - starts the demo's children, watches them to their end, and cleans up; see demo.h. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/exit.h"
#include "cli/report.h"
#include "cli/signals.h"
#include "shm/clock.h"
#include "shm/ring.h"
#include "tools/demo.h"

#define APPEAR_NS 60000000000ull /* a slow disk zeroes a log of 1 GiB in less */
#define STALL_NS 60000000000ull	 /* no progress at all for so long is a failure */
#define END_NS 5000000000ull	 /* between SIGTERM and SIGKILL */

static void arg(struct sluice_demo_child *child, const char *name, const char *value)
{
	sluice_demo_child_arg(child, name);
	if (value)
		sluice_demo_child_arg(child, value);
}

static const char *number(struct sluice_demo *demo, uint32_t place, uint64_t value)
{
	snprintf(demo->text[place], sizeof(demo->text[place]), "%llu", (unsigned long long)value);
	return demo->text[place];
}

static void prepare_engine(struct sluice_demo *demo)
{
	static const char *const durability[] = {"batch", "async", "off"};
	static const char *const hugepages[] = {"prefer", "require", "off"};
	struct sluice_demo_child *child = &demo->engine;

	sluice_demo_child_init(child, "sluice-engine", demo->dir.path);
	arg(child, "--name", demo->name);
	arg(child, "--durability", durability[demo->options.durability]);
	if (demo->options.durability != 2) {
		arg(child, "--wal", demo->log_path);
		arg(child, "--format", NULL);
		arg(child, "--wal-size", number(demo, 0, demo->log_bytes));
	}
	arg(child, "--hugepages", hugepages[demo->options.hugepages]);
	arg(child, "--wait", demo->options.wait);
	arg(child, "--once", NULL);
}

static void prepare_producer(struct sluice_demo *demo)
{
	struct sluice_demo_child *child = &demo->producer;

	sluice_demo_child_init(child, "sluice-producer", demo->dir.path);
	arg(child, "--name", demo->name);
	if (demo->options.scenario == SLUICE_DEMO_FILE) {
		arg(child, "--from", demo->options.from);
	} else {
		arg(child, "--generate", NULL);
		arg(child, "--seed", number(demo, 1, demo->options.seed));
		arg(child, "--count", number(demo, 2, demo->orders_planned));
		arg(child, "--symbols", number(demo, 3, demo->options.symbols));
	}
	if (demo->options.rate)
		arg(child, "--rate", number(demo, 4, demo->options.rate));
	arg(child, "--wait", demo->options.wait);
}

static void prepare_consumer(struct sluice_demo *demo)
{
	struct sluice_demo_child *child = &demo->consumer;

	sluice_demo_child_init(child, "sluice-consumer", demo->dir.path);
	arg(child, "--name", demo->name);
	if (demo->options.scenario == SLUICE_DEMO_FILE) {
		arg(child, "--output", demo->reports_path);
	} else {
		arg(child, "--quiet", NULL);
	}
	arg(child, "--wait", demo->options.wait);
}

/* Moments in the middle of the run, from the seed. */
static void plan_kills(struct sluice_demo *demo)
{
	const uint64_t span_ns = demo->options.seconds * 1000000000u;
	uint64_t random = demo->options.seed * 0x9e3779b97f4a7c15u + 1;

	for (uint32_t i = 0; i < SLUICE_DEMO_KILLS; i++) {
		/* a moment of its own fifth for each, so that they are apart */
		random = random * 6364136223846793005u + 1442695040888963407u;
		demo->kill_ns[i] = span_ns * (10 + 80 * i / SLUICE_DEMO_KILLS) / 100 +
				   (random >> 33) % (span_ns * 16 / 100);
	}
}

void sluice_demo_prepare(struct sluice_demo *demo)
{
	snprintf(demo->log_path, sizeof(demo->log_path), "%s/wal", demo->dir.path);
	snprintf(demo->reports_path, sizeof(demo->reports_path), "%s/reports.jsonl",
		 demo->dir.path);
	prepare_engine(demo);
	prepare_producer(demo);
	prepare_consumer(demo);
	plan_kills(demo);
}

/* A child has ended badly, or something else went wrong: says which and shows what they said. */
static int broken(struct sluice_demo *demo, int code, const struct sluice_diag *diag)
{
	sluice_demo_live_end(demo);
	sluice_cli_error("sluice demo", code, diag);
	sluice_demo_child_tail(&demo->engine, stderr);
	sluice_demo_child_tail(&demo->producer, stderr);
	sluice_demo_child_tail(&demo->consumer, stderr);
	return code;
}

static int child_failed(struct sluice_demo *demo, const struct sluice_demo_child *child)
{
	const int code = sluice_demo_child_code(child);
	struct sluice_diag diag;

	if (code > 128)
		sluice_diag_set(&diag, EIO, "%s was ended by signal %d (%s)", child->program,
				code - 128, strsignal(code - 128));
	else
		sluice_diag_set(&diag, EIO, "%s ended with exit code %d%s%s", child->program, code,
				sluice_exit_text(code) ? ": " : "",
				sluice_exit_text(code) ? sluice_exit_text(code) : "");
	sluice_diag_hint(&diag, "sluice demo --keep");
	return broken(demo,
		      code >= SLUICE_EXIT_ENVIRONMENT && code <= SLUICE_EXIT_TIMED_OUT ?
			      code :
			      SLUICE_EXIT_FAILED,
		      &diag);
}

static void nap(uint64_t ns)
{
	const struct timespec pause = {.tv_nsec = (long)ns};

	nanosleep(&pause, NULL);
}

/* Waits until the engine's rings are there and keeps them mapped. */
static int appear(struct sluice_demo *demo)
{
	const uint64_t started_ns = sluice_clock_ns();
	struct sluice_diag diag;

	while (!sluice_signals_stop()) {
		if (!sluice_tool_instance_open(&demo->instance, demo->name, &diag)) {
			/* the command ring is made last */
			if (demo->instance.has[SLUICE_TOOL_CMD] &&
			    demo->instance.has[SLUICE_TOOL_REP]) {
				demo->attached = true;
				return SLUICE_EXIT_OK;
			}
			sluice_tool_instance_close(&demo->instance);
		}
		if (!sluice_demo_child_runs(&demo->engine))
			return child_failed(demo, &demo->engine);
		if (sluice_clock_ns() - started_ns > APPEAR_NS) {
			sluice_diag_set(&diag, ETIMEDOUT, "the engine has made no rings in %llu s",
					APPEAR_NS / 1000000000u);
			sluice_diag_hint(&diag, "sluice demo --durability off");
			return broken(demo, SLUICE_EXIT_TIMED_OUT, &diag);
		}
		nap(10000000);
	}
	return sluice_signals_exit(SLUICE_EXIT_FAILED);
}

static int start(struct sluice_demo *demo, struct sluice_demo_child *child)
{
	struct sluice_diag diag;
	const int err = sluice_demo_child_start(child, &diag);

	return err ? broken(demo, sluice_exit_from_error(err), &diag) : SLUICE_EXIT_OK;
}

/* Scenario crash: kills the engine when its time has come and starts it again at once. */
static int kill_engine(struct sluice_demo *demo)
{
	if (demo->options.scenario != SLUICE_DEMO_CRASH || demo->kills == SLUICE_DEMO_KILLS ||
	    !demo->producer.pid || !demo->engine.pid ||
	    sluice_clock_ns() - demo->started_ns < demo->kill_ns[demo->kills])
		return SLUICE_EXIT_OK;
	sluice_demo_child_end(&demo->engine, SIGKILL, END_NS);
	if (sluice_demo_child_code(&demo->engine) != 128 + SIGKILL)
		return child_failed(demo, &demo->engine);
	demo->kills++;
	return start(demo, &demo->engine);
}

/* An exit code that is not 0 once a child has failed. */
static int look_at(struct sluice_demo *demo, struct sluice_demo_child *child)
{
	if (sluice_demo_child_runs(child) || !sluice_demo_child_code(child))
		return SLUICE_EXIT_OK;
	return child_failed(demo, child);
}

static int stalled(struct sluice_demo *demo)
{
	const uint64_t progress = demo->now.count[SLUICE_TOOL_COMMANDS] +
				  demo->now.ring[SLUICE_TOOL_REP].used + demo->kills;
	struct sluice_diag diag;

	if (progress != demo->progress || !demo->progress_ns) {
		demo->progress = progress;
		demo->progress_ns = demo->now.time_ns;
	}
	if (demo->now.time_ns - demo->progress_ns < STALL_NS)
		return SLUICE_EXIT_OK;
	sluice_diag_set(&diag, ETIMEDOUT,
			"nothing has moved for %llu s (a full log holds everything up)",
			STALL_NS / 1000000000u);
	sluice_diag_hint(&diag, "sluice demo --keep --seconds 2");
	return broken(demo, SLUICE_EXIT_TIMED_OUT, &diag);
}

static int tick(struct sluice_demo *demo)
{
	sluice_tool_sample_take(&demo->now, &demo->instance);
	sluice_demo_live(demo);
	return stalled(demo);
}

static int watch(struct sluice_demo *demo)
{
	uint64_t due_ns = demo->started_ns + SLUICE_DEMO_TICK_NS;
	int code = SLUICE_EXIT_OK;

	while (!code && (demo->engine.pid || demo->producer.pid || demo->consumer.pid)) {
		if (sluice_signals_stop())
			return sluice_signals_exit(SLUICE_EXIT_FAILED);
		code = kill_engine(demo);
		if (!code)
			code = look_at(demo, &demo->engine);
		if (!code)
			code = look_at(demo, &demo->producer);
		if (!code)
			code = look_at(demo, &demo->consumer);
		if (!code && sluice_clock_ns() >= due_ns) {
			due_ns += SLUICE_DEMO_TICK_NS;
			code = tick(demo);
		}
		nap(5000000);
	}
	return code;
}

int sluice_demo_run(struct sluice_demo *demo)
{
	int code = start(demo, &demo->engine);

	if (!code)
		code = appear(demo);
	if (code)
		return code;
	sluice_demo_notes(demo);
	code = start(demo, &demo->consumer);
	demo->started_ns = demo->tick_ns = sluice_clock_ns();
	if (!code)
		code = start(demo, &demo->producer);
	if (!code)
		code = watch(demo);
	demo->ended_ns = sluice_clock_ns();
	sluice_tool_sample_take(&demo->now, &demo->instance);
	if (code != SLUICE_EXIT_OK && code < SLUICE_EXIT_SIGNAL)
		return code; /* broken() has ended the line */
	sluice_demo_live(demo);
	sluice_demo_live_end(demo);
	return code;
}

static void ignore(const struct sluice_segment_entry *entry, const char *verdict, void *unused)
{
	(void)entry;
	(void)verdict;
	(void)unused;
}

void sluice_demo_clean(struct sluice_demo *demo)
{
	struct sluice_gc_result result;
	char prefix[sizeof(demo->name) + 1];

	sluice_demo_child_end(&demo->producer, SIGTERM, END_NS);
	sluice_demo_child_end(&demo->consumer, SIGTERM, END_NS);
	sluice_demo_child_end(&demo->engine, SIGTERM, END_NS);
	if (demo->attached)
		sluice_tool_instance_close(&demo->instance);
	demo->attached = false;
	snprintf(prefix, sizeof(prefix), "%s.", demo->name);
	sluice_segment_gc(prefix, false, ignore, NULL, &result, NULL);
	if (!demo->options.keep)
		sluice_demo_dir_remove(&demo->dir);
	else
		fprintf(stderr, "kept: %s\n", demo->dir.path);
}
