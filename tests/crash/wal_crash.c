/* SPDX-License-Identifier: MIT */
/*
 * wal_crash.c - engine, follower, producers, consumer on a log that goes round, killed under load
 * at random instants, alone and together, stopped, asked to end, started twice at once, with the
 * rings left or taken away. Every start has to succeed by itself. What the consumer's file holds is
 * checked as it grows (wal_history.h), the log and its state at the end.
 *
 *	wal_crash --bin DIR --place DIR --shm DIR [--kills N] [--seed N]
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "shm/clock.h"
#include "tests/lib/wal_storm.h"

#define MS 1000000ull
#define ROUNDS_PER_LINE 100u

enum victim {
	ENGINE,
	STARTING, /* the engine, again and again before it is ready */
	FOLLOWER,
	PRODUCER,
	CLAIMER, /* a producer that has claimed slots and not published them */
	CONSUMER,
	BOTH, /* engine and follower */
	EVERYBODY,
	REBOOT,	 /* everybody, and the rings */
	STOPPED, /* the engine stands still for a while, and goes on or dies */
	FULL,	 /* the consumer stands still until the engine does, which is killed */
	ASKED,	 /* to end, by SIGTERM */
	TWO,	 /* engines at once */
	VICTIMS
};

static const char *const names[VICTIMS] = {
	"engine",    "starting", "follower", "producer", "claimer", "consumer", "engine+follower",
	"everybody", "reboot",	 "stopped",  "full",	 "asked",   "two"};
static const uint32_t weights[VICTIMS] = {26, 5, 14, 10, 5, 12, 6, 6, 7, 5, 1, 3, 1};

struct crash {
	struct wal_storm storm;
	struct wal_storm_options options;
	uint64_t rounds, rounds_max;
	uint64_t count[VICTIMS];
	uint64_t kills; /* processes */
	uint64_t rivals_refused, rivals_won;
	uint64_t started_ns;
};

/* ------------------------------------------------------------------------------- victims */

static int kill_one(struct crash *crash, struct wal_storm_process *process)
{
	crash->kills += process->pid != 0;
	return wal_storm_kill(&crash->storm, process);
}

static int kill_all(struct crash *crash)
{
	struct wal_storm *storm = &crash->storm;
	struct wal_storm_process *all[] = {&storm->engine, &storm->consumer, &storm->producers[0],
					   &storm->producers[1]};
	const uint64_t first = wal_storm_random(storm, 4);
	int rc = 0;

	for (uint64_t i = 0; !rc && i < 4; i++)
		rc = kill_one(crash, all[(first + i) % 4]);
	return rc;
}

/* It holds one slot, some or nearly all; half of the time the engine dies with it. */
static int kill_claimer(struct crash *crash)
{
	struct wal_storm *storm = &crash->storm;
	const uint64_t most = wal_storm_random(storm, 3) ? 64 : 8000;

	crash->kills++;
	wal_storm_claim(storm, 1 + wal_storm_random(storm, most));
	return wal_storm_random(storm, 2) ? kill_one(crash, &storm->engine) : 0;
}

static int kill_starting(struct crash *crash)
{
	struct wal_storm *storm = &crash->storm;
	const uint64_t times = 2 + wal_storm_random(storm, 19);
	int rc = kill_one(crash, &storm->engine);

	for (uint64_t i = 0; !rc && i < times; i++) {
		rc = wal_storm_engine(storm, &storm->engine);
		if (!rc)
			rc = wal_storm_pass(storm, wal_storm_random(storm, 60 * MS));
		if (!rc)
			rc = kill_one(crash, &storm->engine);
	}
	return rc;
}

static int stop_engine(struct crash *crash)
{
	struct wal_storm *storm = &crash->storm;
	int rc;

	kill(storm->engine.pid, SIGSTOP);
	rc = wal_storm_pass(storm, wal_storm_random(storm, 50 * MS));
	if (!rc && wal_storm_random(storm, 3) == 0)
		return kill_one(crash, &storm->engine);
	kill(storm->engine.pid, SIGCONT);
	return rc;
}

/* Nobody takes reports: their ring fills up, and the engine waits, in the middle of a command. */
static int fill_reports(struct crash *crash)
{
	struct wal_storm *storm = &crash->storm;
	int rc;

	kill(storm->consumer.pid, SIGSTOP);
	rc = wal_storm_pass(storm, 1500 * MS + wal_storm_random(storm, 500 * MS));
	if (!rc)
		rc = kill_one(crash, &storm->engine);
	if (!rc && wal_storm_random(storm, 2))
		rc = kill_one(crash, &storm->consumer);
	if (storm->consumer.pid)
		kill(storm->consumer.pid, SIGCONT);
	return rc;
}

static int ask_engine(struct crash *crash)
{
	struct wal_storm *storm = &crash->storm;
	int rc = wal_storm_ready(storm);

	if (rc)
		return rc;
	kill(storm->engine.pid, SIGTERM);
	return wal_storm_ends(storm, &storm->engine, 0);
}

/* The one that runs stays, and the other one is refused. */
static int add_rival(struct crash *crash)
{
	struct wal_storm *storm = &crash->storm;
	int rc = wal_storm_ready(storm);

	if (!rc)
		rc = wal_storm_engine(storm, &storm->rival);
	if (!rc)
		rc = wal_storm_ends(storm, &storm->rival, 3);
	crash->rivals_refused += !rc;
	return rc;
}

/* Of two that start after a kill exactly one runs. */
static int start_two(struct crash *crash)
{
	struct wal_storm *storm = &crash->storm;
	const uint64_t started_ns = sluice_clock_ns();
	int rc = kill_one(crash, &storm->engine);

	if (!rc)
		rc = wal_storm_engine(storm, &storm->engine);
	if (!rc)
		rc = wal_storm_pass(storm, wal_storm_random(storm, 20 * MS));
	if (!rc)
		rc = wal_storm_engine(storm, &storm->rival);
	while (!rc && !wal_storm_said(storm, &storm->engine, " ready ", NULL) &&
	       !wal_storm_said(storm, &storm->rival, " ready ", NULL)) {
		const pid_t engine = storm->engine.pid;

		/* the loser may be the first to end */
		storm->engine.pid = 0;
		rc = wal_storm_pass(storm, MS);
		storm->engine.pid = engine;
		if (!rc && sluice_clock_ns() - started_ns > WAL_STORM_WAIT_NS)
			rc = -ETIMEDOUT;
	}
	if (rc)
		return rc;
	if (wal_storm_said(storm, &storm->rival, " ready ", NULL)) {
		const struct wal_storm_process loser = storm->engine;

		storm->engine = storm->rival;
		storm->rival = loser;
		crash->rivals_won++;
	}
	rc = wal_storm_ready(storm);
	if (!rc)
		rc = wal_storm_ends(storm, &storm->rival, 3);
	crash->rivals_refused += !rc;
	return rc;
}

static int strike(struct crash *crash, enum victim victim)
{
	struct wal_storm *storm = &crash->storm;
	int rc;

	switch (victim) {
	case ENGINE:
		return kill_one(crash, &storm->engine);
	case STARTING:
		return kill_starting(crash);
	case FOLLOWER:
		crash->kills += wal_storm_kill_follower(storm);
		return 0;
	case PRODUCER:
		return kill_one(crash, &storm->producers[wal_storm_random(storm, 2)]);
	case CLAIMER:
		return kill_claimer(crash);
	case CONSUMER:
		return kill_one(crash, &storm->consumer);
	case BOTH:
		crash->kills += wal_storm_kill_follower(storm);
		return kill_one(crash, &storm->engine);
	case EVERYBODY:
		return kill_all(crash);
	case REBOOT:
		rc = kill_all(crash);
		return rc ? rc : wal_storm_reboot(storm);
	case STOPPED:
		return stop_engine(crash);
	case FULL:
		return fill_reports(crash);
	case ASKED:
		return ask_engine(crash);
	default:
		return wal_storm_random(storm, 2) ? start_two(crash) : add_rival(crash);
	}
}

static enum victim choose(struct wal_storm *storm)
{
	uint32_t sum = 0, i;
	uint64_t at;

	for (i = 0; i < VICTIMS; i++)
		sum += weights[i];
	at = wal_storm_random(storm, sum);
	for (i = 0; at >= weights[i]; i++)
		at -= weights[i];
	return (enum victim)i;
}

static int play_round(struct crash *crash)
{
	struct wal_storm *storm = &crash->storm;
	/* the first rounds are one of each, so that a short run has them all */
	const enum victim victim = crash->rounds < VICTIMS ? (enum victim)crash->rounds :
							     choose(storm);
	int rc = wal_storm_start_all(storm);

	/* every other one hits whatever is going on, a start perhaps */
	if (!rc && wal_storm_random(storm, 2))
		rc = wal_storm_ready(storm);
	if (!rc)
		rc = wal_storm_pass(storm, wal_storm_random(storm, 160 * MS));
	if (!rc)
		rc = strike(crash, victim);
	if (!rc)
		rc = wal_storm_look(storm);
	if (rc)
		printf("round %llu: %s\n", (unsigned long long)crash->rounds, names[victim]);
	crash->count[victim]++;
	crash->rounds++;
	return rc;
}

/* -------------------------------------------------------------------------------- the end */

static void show_table(const struct crash *crash, int rc)
{
	const struct wal_storm *storm = &crash->storm;
	const struct wal_history *history = &storm->history;
	uint64_t log_rounds, snapshot;

	wal_storm_log(storm, &log_rounds, &snapshot);
	for (int i = 0; i < VICTIMS; i++)
		printf("%s%s=%llu", i ? " " : "", names[i], (unsigned long long)crash->count[i]);
	printf("\nrounds=%llu kills=%llu starts=%llu start_ms_mean=%llu start_ms_max=%llu "
	       "rivals_refused=%llu rivals_won=%llu seconds=%llu\n",
	       (unsigned long long)crash->rounds, (unsigned long long)crash->kills,
	       (unsigned long long)storm->starts,
	       (unsigned long long)(storm->starts ? storm->start_ns_sum / storm->starts / MS : 0),
	       (unsigned long long)(storm->start_ns_max / MS),
	       (unsigned long long)crash->rivals_refused, (unsigned long long)crash->rivals_won,
	       (unsigned long long)((sluice_clock_ns() - crash->started_ns) / 1000 / MS));
	printf("log_rounds=%llu snapshots=%llu snapshots_passed_over=%llu\n",
	       (unsigned long long)log_rounds, (unsigned long long)snapshot,
	       (unsigned long long)storm->passed_over);
	printf("commands=%llu executed_once=%llu+%llu resent=%llu tombstones=%llu reports=%llu\n",
	       (unsigned long long)history->next, (unsigned long long)history->sources[0].executed,
	       (unsigned long long)history->sources[1].executed,
	       (unsigned long long)history->duplicates, (unsigned long long)history->voids,
	       (unsigned long long)history->line - 1);
	if (!rc)
		printf("lost=0 duplicated=0 changed=0\n");
	else
		printf("wrong: %s\n", storm->wrong);
}

static int verify(struct crash *crash)
{
	struct wal_storm *storm = &crash->storm;
	const struct wal_storm_process said = {.what = "verify"};
	char path[512], expected[64];
	const char *const arguments[] = {path, "wal", "verify", "--json", storm->log, NULL};
	int status;

	snprintf(path, sizeof(path), "%s/sluice", storm->options.bin);
	snprintf(expected, sizeof(expected), "\"state_hash\":\"%016llx\"",
		 (unsigned long long)sluice_core_state_hash(storm->history.core));
	status = wal_storm_run(storm, "verify", arguments);
	if (status)
		snprintf(storm->wrong, sizeof(storm->wrong), "sluice wal verify: %d", status);
	else if (!wal_storm_said(storm, &said, expected, NULL))
		snprintf(storm->wrong, sizeof(storm->wrong), "the log's state is not %s", expected);
	else
		return 0;
	return -EBADMSG;
}

/* A short run goes on until the log begins where it has been before. */
static int go_round(struct crash *crash)
{
	struct wal_storm *storm = &crash->storm;
	const uint64_t started_ns = sluice_clock_ns();
	uint64_t log_rounds = 0, snapshot;
	int rc = wal_storm_start_all(storm);

	while (!rc && !log_rounds && sluice_clock_ns() - started_ns < WAL_STORM_WAIT_NS) {
		rc = wal_storm_pass(storm, 100 * MS);
		wal_storm_log(storm, &log_rounds, &snapshot);
	}
	return rc;
}

static int run(struct crash *crash)
{
	int rc = wal_storm_open(&crash->storm, &crash->options);

	crash->started_ns = sluice_clock_ns();
	while (!rc && crash->rounds < crash->rounds_max) {
		rc = play_round(crash);
		if (!rc && crash->rounds % ROUNDS_PER_LINE == 0) {
			printf("rounds=%llu commands=%llu reports=%llu seconds=%llu\n",
			       (unsigned long long)crash->rounds,
			       (unsigned long long)crash->storm.history.next,
			       (unsigned long long)crash->storm.history.line - 1,
			       (unsigned long long)((sluice_clock_ns() - crash->started_ns) / 1000 /
						    MS));
			fflush(stdout);
		}
	}
	if (!rc)
		rc = go_round(crash);
	if (!rc)
		rc = wal_storm_finish(&crash->storm);
	if (!rc)
		rc = verify(crash);
	show_table(crash, rc);
	if (rc)
		wal_storm_show(&crash->storm);
	wal_storm_close(&crash->storm);
	return rc;
}

int main(int argc, char **argv)
{
	static const struct option table[] = {{"bin", 1, NULL, 'b'},  {"place", 1, NULL, 'p'},
					      {"shm", 1, NULL, 'm'},  {"kills", 1, NULL, 'k'},
					      {"seed", 1, NULL, 's'}, {NULL, 0, NULL, 0}};
	static struct crash crash = {.options = {.rate = 6000, .wal_size = "16M", .seed = 1},
				     .rounds_max = 30};
	int option;

	while ((option = getopt_long(argc, argv, "", table, NULL)) != -1) {
		switch (option) {
		case 'b':
			crash.options.bin = optarg;
			break;
		case 'p':
			crash.options.place = optarg;
			break;
		case 'm':
			crash.options.shm = optarg;
			break;
		case 'k':
			crash.rounds_max = strtoull(optarg, NULL, 10);
			break;
		case 's':
			crash.options.seed = strtoull(optarg, NULL, 10);
			break;
		default:
			return 2;
		}
	}
	if (!crash.options.bin || !crash.options.place || !crash.options.shm)
		return 2;
	return run(&crash) ? 1 : 0;
}
