/* SPDX-License-Identifier: MIT */
/*
 * main.c - sluice-engine: command ring -> log -> matching -> report ring, in one process.
 */
#include "engine/engine.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "cli/exit.h"
#include "cli/options.h"
#include "cli/report.h"
#include "cli/signals.h"
#include "shm/placement.h"

#define RING_SIZE_DEFAULT "65536"
#define WAL_SIZE_UNIT (SLUICE_WAL_SEGMENTS * SLUICE_WAL_SEGMENT_BYTES_MIN)

static const struct sluice_option table[] = {
	{"name", 'n', SLUICE_OPTION_STRING(struct engine_options, name), .value = "NAME",
	 .help = "the instance: rings NAME.cmd, NAME.rep and NAME.md; needed unless --follow"},
	{"wal", 0, SLUICE_OPTION_STRING(struct engine_options, wal), .value = "DIR",
	 .help = "directory of the log; needed unless --durability off"},
	{"format", 0, SLUICE_OPTION_FLAG(struct engine_options, format),
	 .help = "make DIR a log if it is none yet; an existing log is used as it is"},
	{"wal-size", 0, SLUICE_OPTION_SIZE(struct engine_options, wal_size), .initial = "1G",
	 .min = SLUICE_WAL_SEGMENTS * SLUICE_WAL_SEGMENT_BYTES_MIN, .max = 1ull << 40,
	 .help = "with --format: bytes of all 16 segments together"},
	{"wal-io", 0, SLUICE_OPTION_CHOICE(struct engine_options, wal_backend),
	 .words = "auto|io_uring|blocking|thread", .initial = "auto",
	 .help = "how the log is written; thread: auto's choice in a thread of its own"},
	{"wal-sync", 0, SLUICE_OPTION_CHOICE(struct engine_options, wal_sync),
	 .words = "auto|dsync|link", .initial = "auto",
	 .help = "io_uring: a synchronous write, or a write and a linked fdatasync; auto: both are "
		 "timed at the start"},
	{"wal-extents", 0, SLUICE_OPTION_CHOICE(struct engine_options, wal_extents),
	 .words = "repair|refuse", .initial = "repair",
	 .help = "space of the log that was never written, as in a sparse copy"},
	{"wal-window", 0, SLUICE_OPTION_COUNT(struct engine_options, window), .initial = "4",
	 .min = 1, .max = SLUICE_WAL_WINDOW_MAX,
	 .help = "most blocks between the next one and the durable one"},
	{"follower", 0, SLUICE_OPTION_CHOICE(struct engine_options, follower), .words = "on|off",
	 .initial = "on",
	 .help = "a second process that replays the log, checks the state and takes snapshots"},
	{"snapshot-every", 0, SLUICE_OPTION_SIZE(struct engine_options, snapshot_every),
	 .initial = "0", .max = 1ull << 40,
	 .help = "bytes of log between two snapshots; 0: a quarter of the log"},
	{"snapshot-rate", 0, SLUICE_OPTION_SIZE(struct engine_options, snapshot_rate),
	 .initial = "32M", .max = 1ull << 40,
	 .help = "bytes a second of a snapshot's writes, while there is room in the log; 0: all"},
	{"follow", 0, SLUICE_OPTION_FLAG(struct engine_options, follow),
	 .help = "be the follower of a log, and of NAME's engine if there is a NAME"},
	{"parent", 0, SLUICE_OPTION_COUNT(struct engine_options, parent), .value = "PID",
	 .initial = "0", .help = "with --follow: end with this process, which is the parent"},
	{"durability", 'd', SLUICE_OPTION_CHOICE(struct engine_options, durability),
	 .words = "batch|async|off", .initial = "batch",
	 .help = "batch: durable before visible; async: journaled, not waited for; off: no log"},
	{"reports", 0, SLUICE_OPTION_CHOICE(struct engine_options, reports), .words = "keep|drop",
	 .initial = "keep",
	 .help = "keep: reports wait for sluice-consumer; drop: nobody holds the engine up"},
	{"wait", 'w', SLUICE_OPTION_CHOICE(struct engine_options, wait),
	 .words = "adaptive|spin|yield|block|sleep|backoff|umwait", .initial = "adaptive",
	 .help = "how an idle engine waits"},
	{"cpu", 0, SLUICE_OPTION_STRING(struct engine_options, cpu), .value = "LIST",
	 .initial = "auto",
	 .help = "CPUs to run on; auto: the one that takes the log device's interrupts, the others "
		 "for --wal-io thread; none"},
	{"hugepages", 0, SLUICE_OPTION_CHOICE(struct engine_options, hugepages),
	 .words = "prefer|require|off", .initial = "prefer", .help = "pages behind the rings"},
	{"ring-size", 0, SLUICE_OPTION_COUNT(struct engine_options, ring_size),
	 .initial = RING_SIZE_DEFAULT, .min = 2048, .max = 1u << 24,
	 .help = "slots of each ring, a power of two"},
	{"once", 0, SLUICE_OPTION_FLAG(struct engine_options, once),
	 .help = "end when every producer has left and the rings are drained"},
	{"symbols-max", 0, SLUICE_OPTION_COUNT(struct engine_options, symbols_max), .initial = "64",
	 .min = 1, .max = 1024, .help = "symbols; fixed when the log is formatted"},
	{"orders-max", 0, SLUICE_OPTION_COUNT(struct engine_options, orders_max), .initial = "1Mi",
	 .min = 16, .max = 1u << 28, .help = "live orders; fixed likewise"},
	{"levels-max", 0, SLUICE_OPTION_COUNT(struct engine_options, levels_max), .initial = "64Ki",
	 .min = 16, .max = 1u << 28, .help = "price levels outside the ladders; fixed likewise"},
	{"sessions-max", 0, SLUICE_OPTION_COUNT(struct engine_options, sessions_max),
	 .initial = "1024", .min = 1, .max = 1u << 24,
	 .help = "sources with duplicate detection; fixed likewise"},
	{"window-ticks", 0, SLUICE_OPTION_COUNT(struct engine_options, window_ticks),
	 .initial = "16Ki", .min = 64, .max = 1u << 22,
	 .help = "ticks of each side's ladder, a power of two; fixed likewise"},
};

static const struct sluice_cli_command command = {
	.program = ENGINE_PROGRAM,
	.summary = "match the commands of a ring and publish durable reports",
	.description =
		"Creates the rings NAME.cmd, NAME.rep and NAME.md, or takes up those that a "
		"predecessor left, replays its log, and goes on where the log ends.\n\n"
		"SIGINT and SIGTERM end it cleanly and leave the rings for a restart. After a kill "
		"the same command line goes on: nothing visible is lost, repeated or changed.\n\n"
		"The log goes round: what lies before the older of two snapshots is written over. "
		"They are taken by a follower, which the engine starts and restarts; while the log "
		"is full, commands stay in their ring. After a loss of the rings (a reboot) reports "
		"that were not taken are published again under their numbers.",
	.options = table,
	.option_count = sizeof(table) / sizeof(table[0]),
	.examples = {{"sluice-engine --name x --wal /var/lib/sluice/x --format",
		      "a new instance with a 1 GiB log"},
		     {"sluice-engine --name x --durability off --once",
		      "no log; ends with its producers"},
		     {"sluice-engine --follow --name x --wal /var/lib/sluice/x",
		      "a follower by hand, of an engine with --follower off"}},
};

static int check_follow(const struct engine_options *options, struct sluice_diag *diag)
{
	int rc;

	if (options->durability == ENGINE_OFF)
		return sluice_diag_set(diag, EINVAL,
				       "--durability off keeps no log: there is nothing to follow");
	if (options->wal)
		return 0;
	rc = sluice_diag_set(diag, EINVAL, "--follow needs --wal DIR: which log?");
	sluice_diag_hint(diag, "sluice-engine --follow --name %s --wal DIR",
			 options->name ? options->name : "x");
	return rc;
}

static int check_options(struct engine_options *options, struct sluice_diag *diag)
{
	int rc;

	if (!options->name && !options->follow) {
		rc = sluice_diag_set(diag, EINVAL, "--name is missing: which instance?");
		sluice_diag_hint(diag, "sluice-engine --name x --wal ./x.wal --format");
		return rc;
	}
	if (options->follow)
		return check_follow(options, diag);
	if (options->parent)
		return sluice_diag_set(diag, EINVAL, "--parent is for a follower: add --follow");
	if (options->durability == ENGINE_OFF)
		return options->wal || options->format ?
			       sluice_diag_set(diag, EINVAL,
					       "--durability off keeps no log: leave out "
					       "--wal and --format") :
			       0;
	if (options->format && options->wal_size % WAL_SIZE_UNIT)
		return sluice_diag_set(diag, EINVAL,
				       "--wal-size: the log is %u segments of whole MiB: a "
				       "multiple of %u MiB, and not %llu bytes",
				       SLUICE_WAL_SEGMENTS, WAL_SIZE_UNIT >> 20,
				       (unsigned long long)options->wal_size);
	if (options->wal && options->wal[0])
		return 0;
	rc = sluice_diag_set(diag, EINVAL, "--wal DIR is missing: where is the log?");
	sluice_diag_hint(diag,
			 "sluice-engine --name %s --wal ./%s.wal --format\n"
			 "sluice-engine --name %s --durability off",
			 options->name, options->name, options->name);
	return rc;
}

/* The journal thread, if there is one, gets the CPUs that are left: never the engine's own. */
static int place(struct engine *engine, struct sluice_diag *diag)
{
	const struct engine_options *options = &engine->options;
	struct sluice_placement plan;
	int rc;

	if (!strcmp(options->cpu, "none"))
		return 0;
	if (strcmp(options->cpu, "auto"))
		return sluice_placement_bind_list(options->cpu, diag);
	if (sched_getaffinity(0, sizeof(engine->other_cpus), &engine->other_cpus))
		CPU_ZERO(&engine->other_cpus);
	rc = sluice_placement_plan(options->wal, &plan, NULL);
	if (rc || sluice_placement_bind((uint32_t)plan.engine_cpu, NULL))
		return 0; /* a matter of speed only */
	CPU_CLR((size_t)plan.engine_cpu, &engine->other_cpus);
	sluice_cli_log(ENGINE_PROGRAM, "cpu=%d reason=\"%s\"", plan.engine_cpu, plan.engine_reason);
	return 0;
}

static void release(struct engine *engine)
{
	if (engine->wal)
		sluice_wal_close(engine->wal, false, NULL);
	engine_instance_close(engine);
	free(engine->sends);
	free(engine->scratch);
}

static int follow(const struct engine_options *options, struct sluice_diag *diag)
{
	int rc = 0;

	if (strcmp(options->cpu, "none") && strcmp(options->cpu, "auto"))
		rc = sluice_placement_bind_list(options->cpu, diag);
	return rc ? rc : engine_follow(options, diag);
}

static int start(struct engine *engine, struct sluice_diag *diag)
{
	int rc;

	engine_supervise_cpus(engine);
	rc = place(engine, diag);
	if (rc)
		return rc;
	engine->scratch = calloc(256, sizeof(*engine->scratch));
	if (!engine->scratch)
		return sluice_diag_set(diag, ENOMEM, "not enough memory to start");
	rc = engine_recover(engine, diag);
	if (rc)
		return rc;
	engine_sink_init(engine);
	engine_notes(engine);
	engine_say_log(engine);
	sluice_cli_log(ENGINE_PROGRAM,
		       "ready name=%s durability=%s log=\"%s\" pages=\"%s %u KiB\" "
		       "wait=%s",
		       engine->options.name,
		       engine->options.durability == ENGINE_BATCH ? "batch" :
		       engine->options.durability == ENGINE_ASYNC ? "async" :
								    "off",
		       engine->wal ? sluice_wal_backend_text(engine->wal) : "none",
		       sluice_backing_name(engine->cmd.header.backing),
		       engine->cmd.header.page_bytes / 1024,
		       sluice_wait_name(sluice_wait_effective(engine->options.wait)));
	return 0;
}

int main(int argc, char **argv)
{
	static struct engine engine;
	struct sluice_options options;
	struct sluice_diag diag = {.text = ""};
	int exit_code, rc;

	if (!sluice_options_start(&options, &command, argc, argv, &engine.options, &exit_code))
		return exit_code;
	sluice_signals_install();
	/* a file size limit is an error of the write, which says more than a killed process */
	signal(SIGXFSZ, SIG_IGN);
	rc = check_options(&engine.options, &diag);
	if (!rc)
		rc = engine.options.follow ? follow(&engine.options, &diag) :
					     start(&engine, &diag);
	exit_code = rc == -EINVAL ? SLUICE_EXIT_USAGE : sluice_exit_from_error(rc);
	if (rc == -EINTR) /* asked to stop while starting */
		rc = exit_code = 0;
	else if (!rc && !engine.options.follow && (rc = engine_run(&engine, &diag)))
		exit_code = SLUICE_EXIT_FAILED;
	if (rc)
		sluice_cli_error(ENGINE_PROGRAM, exit_code, &diag);
	release(&engine);
	sluice_options_release(&options);
	return exit_code;
}
