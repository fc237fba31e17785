/* SPDX-License-Identifier: MIT */
/*
 * wal_copy.c - copies of a log directory that is being written: engine, follower and producers run
 * and are killed now and then, the log goes round, snapshots are under way, and cp takes one file
 * after the other. A copy is a log whose every command is the live log's, and ends where the live
 * log was between the beginning and the end of the copying, or it is refused with a reason.
 *
 *	wal_copy --bin DIR --place DIR --shm DIR [--copies N] [--seed N]
 *
 * Of a copy that is taken for whole the state is compared with that of the commands up to its end,
 * as they were seen in the command ring: the digest covers books, sources and all reports.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shm/clock.h"
#include "tests/lib/wal_storm.h"

#define MS 1000000ull
#define COPIES_PER_LINE 100u
#define START_EVERY 10u
#define EXIT_DAMAGED 5

struct copies {
	struct wal_storm storm;
	struct wal_storm_options options;
	char copy[512], sluice[512];
	uint64_t copies, copies_max;
	uint64_t whole, torn, refused, started, start_refused;
	uint64_t newest_only;	/* whole from their newer snapshot on, not from the older one */
	uint64_t before, after; /* commands that the copy must and may hold */
	uint64_t started_ns;
};

static int wrong(struct copies *copies, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static int wrong(struct copies *copies, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(copies->storm.wrong, sizeof(copies->storm.wrong), format, arguments);
	va_end(arguments);
	return -EBADMSG;
}

/* cp -r takes the files as the directory has them; else in any order, with pauses or without. */
static int take_copy(struct copies *copies)
{
	struct wal_storm *storm = &copies->storm;
	char pause[32];
	const char *const plain[] = {
		"/bin/sh",  "-c",	  "rm -rf \"$1\" && cp -r \"$0\" \"$1\"",
		storm->log, copies->copy, NULL};
	const char *const mixed[] = {"/bin/sh",
				     "-c",
				     "rm -rf \"$1\" && mkdir \"$1\" && "
				     "for f in $(ls \"$0\" | shuf); do "
				     "cp \"$0/$f\" \"$1\" || exit 1; sleep \"$2\"; done",
				     storm->log,
				     copies->copy,
				     pause,
				     NULL};
	int rc;

	snprintf(pause, sizeof(pause), "0.%03u",
		 wal_storm_random(storm, 3) ? 0u : (uint32_t)wal_storm_random(storm, 12));
	copies->before = storm->history.next;
	rc = wal_storm_run(storm, "copying", wal_storm_random(storm, 2) ? plain : mixed);
	if (!rc)
		rc = wal_storm_note(storm);
	copies->after = storm->history.noted;
	return rc > 0 ? wrong(copies, "the copying ended with %d", rc) : rc;
}

/* A refusal has to say what it is about. */
static int refused(struct copies *copies, const char *file)
{
	const struct wal_storm_process said = {.what = file};

	if (!wal_storm_said(&copies->storm, &said, "sluice-engine: ", NULL) &&
	    (!wal_storm_said(&copies->storm, &said, "\"text\":\"", NULL) ||
	     wal_storm_said(&copies->storm, &said, "\"text\":\"\"", NULL)))
		return wrong(copies, "copy %llu is refused without a reason",
			     (unsigned long long)copies->copies);
	return 0;
}

/*
 * The state of the copy, as `sluice wal verify` finds it, is that of the commands below `next`.
 * EXIT_DAMAGED: verify, which reads on from the older snapshot, misses blocks before the newer one.
 */
static int compare(struct copies *copies, uint64_t next, bool is_fresh)
{
	struct wal_storm *storm = &copies->storm;
	const struct wal_storm_process said = {.what = "verify"};
	const char *const when = is_fresh ? "" : " after a start";
	const char *const verify[] = {copies->sluice, "wal",	    "verify",
				      "--json",	      copies->copy, NULL};
	char expected[64];
	int status = wal_storm_run(storm, "verify", verify);

	if (status == EXIT_DAMAGED && is_fresh)
		return EXIT_DAMAGED;
	if (status)
		return wrong(copies, "copy %llu%s: inspect takes it, verify says %d",
			     (unsigned long long)copies->copies, when, status);
	snprintf(expected, sizeof(expected), "\"state_hash\":\"%016llx\"",
		 (unsigned long long)sluice_core_state_hash(storm->history.core));
	if (!wal_storm_said(storm, &said, expected, NULL))
		return wrong(copies, "copy %llu%s: at command %llu its state is not %s",
			     (unsigned long long)copies->copies, when, (unsigned long long)next,
			     expected);
	return 0;
}

/* A start on the copy, on rings of its own, agrees with what inspect said. */
static int start_on_copy(struct copies *copies, bool is_whole, uint64_t next)
{
	struct wal_storm *storm = &copies->storm;
	struct wal_storm_process engine = {.what = "started"};
	char path[600], file[600];
	const char *const start[] = {
		"/bin/sh",
		"-c",
		"timeout 30 \"$0\" --name copy --wal \"$1\" --reports drop --follower off "
		"--hugepages off --ring-size 2048 --cpu none & "
		"until grep -q -e ' ready ' -e '^sluice-engine: ' \"$2\"; do sleep 0.02; done; "
		"kill $! 2>/dev/null; wait $!",
		path,
		copies->copy,
		file,
		NULL};
	const char *const forget[] = {"/bin/sh", "-c", "rm -f \"$0\"/sluice.copy.*",
				      storm->options.shm, NULL};
	uint64_t replayed = 0, snapshot = 0;
	int status, rc = 0;

	snprintf(file, sizeof(file), "%s/%s", copies->options.place, engine.what);
	snprintf(path, sizeof(path), "%s/sluice-engine", copies->options.bin);
	status = wal_storm_run(storm, engine.what, start);
	wal_storm_said(storm, &engine, "recovered_commands=", &replayed);
	wal_storm_said(storm, &engine, "snapshot_commands=", &snapshot);
	if (wal_storm_run(storm, "forget", forget))
		return wrong(copies, "the copy's rings are not removed");
	if (!is_whole) {
		copies->start_refused++;
		return status == EXIT_DAMAGED ? refused(copies, engine.what) :
						wrong(copies,
						      "copy %llu: inspect refuses, a start "
						      "gives %d",
						      (unsigned long long)copies->copies, status);
	}
	copies->started++;
	if (!wal_storm_said(storm, &engine, " ready ", NULL) || replayed + snapshot != next)
		rc = wrong(copies, "copy %llu: a start gives %d at command %llu instead of %llu",
			   (unsigned long long)copies->copies, status,
			   (unsigned long long)(replayed + snapshot), (unsigned long long)next);
	return rc ? rc : compare(copies, next, false);
}

static int judge(struct copies *copies)
{
	struct wal_storm *storm = &copies->storm;
	const struct wal_storm_process said = {.what = "inspect"};
	const char *const inspect[] = {copies->sluice, "wal",	     "inspect",
				       "--json",       copies->copy, NULL};
	const int status = wal_storm_run(storm, "inspect", inspect);
	uint64_t next = 0;
	int rc = 0;

	if (status == EXIT_DAMAGED) {
		copies->refused++;
		return refused(copies, "inspect");
	}
	if (status || !wal_storm_said(storm, &said, "\"next_cmd_seq\":", &next))
		return wrong(copies, "copy %llu: inspect says %d",
			     (unsigned long long)copies->copies, status);
	copies->whole++;
	copies->torn += wal_storm_said(storm, &said, "\"TORN\"", NULL) ||
			wal_storm_said(storm, &said, "\"torn\"", NULL);
	if (next < copies->before || next > copies->after)
		return wrong(copies,
			     "copy %llu ends before command %llu: at its beginning %llu were "
			     "durable, and there were %llu at its end",
			     (unsigned long long)copies->copies, (unsigned long long)next,
			     (unsigned long long)copies->before, (unsigned long long)copies->after);
	rc = wal_history_execute(&storm->history, next);
	if (rc)
		return wrong(copies, "%s", storm->history.wrong);
	rc = compare(copies, next, true);
	if (rc != EXIT_DAMAGED)
		return rc;
	copies->newest_only++;
	rc = refused(copies, "verify");
	return rc ? rc : start_on_copy(copies, true, next);
}

/* The engine, or everybody and the rings with them: copies are also taken of what is left then. */
static int strike(struct copies *copies)
{
	struct wal_storm *storm = &copies->storm;
	const uint64_t what = wal_storm_random(storm, 24);
	int rc = 0;

	if (what > 2)
		return 0;
	if (what == 2) {
		wal_storm_kill_follower(storm);
		return 0;
	}
	rc = wal_storm_kill(storm, &storm->engine);
	if (rc || what == 1)
		return rc;
	for (uint32_t i = 0; !rc && i < WAL_STORM_SOURCES; i++)
		rc = wal_storm_kill(storm, &storm->producers[i]);
	if (!rc)
		rc = wal_storm_kill(storm, &storm->consumer);
	return rc ? rc : wal_storm_reboot(storm);
}

static int one_copy(struct copies *copies)
{
	struct wal_storm *storm = &copies->storm;
	const uint64_t refused_before = copies->refused;
	int rc = wal_storm_start_all(storm);

	if (!rc && wal_storm_random(storm, 4))
		rc = wal_storm_ready(storm);
	if (!rc)
		rc = wal_storm_pass(storm, wal_storm_random(storm, 40 * MS));
	if (!rc)
		rc = take_copy(copies);
	if (!rc)
		rc = judge(copies);
	copies->copies++;
	if (!rc && copies->copies % START_EVERY == 0)
		rc = start_on_copy(copies, copies->refused == refused_before, storm->history.next);
	return rc ? rc : strike(copies);
}

static void show(const struct copies *copies)
{
	uint64_t log_rounds, snapshot;

	wal_storm_log(&copies->storm, &log_rounds, &snapshot);
	printf("copies=%llu whole=%llu newest_only=%llu torn=%llu refused=%llu started=%llu "
	       "start_refused=%llu "
	       "commands=%llu engine_starts=%llu log_rounds=%llu snapshots=%llu seconds=%llu\n",
	       (unsigned long long)copies->copies, (unsigned long long)copies->whole,
	       (unsigned long long)copies->newest_only, (unsigned long long)copies->torn,
	       (unsigned long long)copies->refused, (unsigned long long)copies->started,
	       (unsigned long long)copies->start_refused,
	       (unsigned long long)copies->storm.history.next,
	       (unsigned long long)copies->storm.starts, (unsigned long long)log_rounds,
	       (unsigned long long)snapshot,
	       (unsigned long long)((sluice_clock_ns() - copies->started_ns) / 1000 / MS));
	fflush(stdout);
}

static int run(struct copies *copies)
{
	int rc = wal_storm_open(&copies->storm, &copies->options);

	copies->started_ns = sluice_clock_ns();
	snprintf(copies->copy, sizeof(copies->copy), "%s/copy", copies->options.place);
	snprintf(copies->sluice, sizeof(copies->sluice), "%s/sluice", copies->options.bin);
	while (!rc && copies->copies < copies->copies_max) {
		rc = one_copy(copies);
		if (!rc && copies->copies % COPIES_PER_LINE == 0)
			show(copies);
	}
	if (!rc)
		rc = wal_storm_finish(&copies->storm);
	show(copies);
	if (rc) {
		printf("wrong: %s\n", copies->storm.wrong);
		wal_storm_show(&copies->storm);
	} else {
		printf("silently_wrong=0\n");
	}
	wal_storm_close(&copies->storm);
	return rc;
}

int main(int argc, char **argv)
{
	static const struct option table[] = {{"bin", 1, NULL, 'b'},	{"place", 1, NULL, 'p'},
					      {"copies", 1, NULL, 'c'}, {"shm", 1, NULL, 'm'},
					      {"seed", 1, NULL, 's'},	{NULL, 0, NULL, 0}};
	static struct copies copies = {.options = {.rate = 4000, .wal_size = "16M", .seed = 1},
				       .copies_max = 20};
	int option;

	while ((option = getopt_long(argc, argv, "", table, NULL)) != -1) {
		switch (option) {
		case 'b':
			copies.options.bin = optarg;
			break;
		case 'p':
			copies.options.place = optarg;
			break;
		case 'm':
			copies.options.shm = optarg;
			break;
		case 'c':
			copies.copies_max = strtoull(optarg, NULL, 10);
			break;
		case 's':
			copies.options.seed = strtoull(optarg, NULL, 10);
			break;
		default:
			return 2;
		}
	}
	if (!copies.options.bin || !copies.options.place || !copies.options.shm)
		return 2;
	return run(&copies) ? 1 : 0;
}
