/* SPDX-License-Identifier: MIT */
/*
 * main_follow.c - sluice-engine --follow: a process around a follower (engine/wal/follower.h).
 *
 * It looks at NAME.rep read-only while an engine serves it, and is attached for writing only for
 * the moment of a store, so that it keeps no dead instance alive. There it stores how far it is,
 * and puts the number of a snapshot into the mailbox of engine/supervise.h; while a number is in
 * it, no snapshot is begun. Ring and engine may come, go and come again; without a name there is
 * neither, and the snapshots are for whoever starts next.
 *
 * It works when nobody else wants the CPU, unless the log fills up: then everybody waits for it. A
 * thread that has given its priority up gets it back only by a privilege. So the work is done in
 * spells of a second thread, which ends with the spell, while the first one waits for it; and by
 * the first one itself when the log fills up. What others wait for is the first one's: it sleeps,
 * stores and speaks. Never do both run.
 *
 * A crash leaves a number in the mailbox at most, which the engine deals with by itself.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "cli/report.h"
#include "cli/signals.h"
#include "engine/engine.h"
#include "engine/wal/follower.h"
#include "shm/clock.h"

#define NS_PER_MS 1000000ull
#define SLEEP_MIN_NS (5 * NS_PER_MS)
#define SLEEP_MAX_NS (100 * NS_PER_MS)
#define ROUND_NS (250 * NS_PER_MS)     /* between looks at the ring and at the log's fill */
#define ANNOUNCE_NS (1000 * NS_PER_MS) /* before a number that was refused is put in again */
#define LOCK_STEP_MS 500u
#define LOCK_TRIES 20

struct following {
	const struct engine_options *options;
	struct engine_log_name name; /* taken of one that is followed by hand only */
	struct sluice_follower *follower;
	struct sluice_follower_view view;
	struct sluice_segment rep; /* read-only; base NULL: not attached */
	const struct sluice_counter *ready, *cmd_seq, *live_bytes;
	uint64_t announced; /* number put into the mailbox last */
	uint64_t announced_ns;
	uint64_t said; /* snapshots up to it were said to be whole */
	uint64_t round_ns, stored_ns;
	bool hurried; /* works at normal priority */
	bool more;    /* the last spell left something to do */
	int rc;	      /* of the last spell: 0 or -errno */
	struct sluice_diag *diag;
	bool said_alone;
};

/* The counter with this label; an engine that serves the ring has opened it. */
static struct sluice_counter *find_counter(const struct sluice_segment *segment, const char *label)
{
	char found[SLUICE_LABEL_BYTES];

	for (uint32_t i = 0; i < segment->header.counter_count; i++)
		if (sluice_counter_label(&segment->counters[i], found) && !strcmp(found, label))
			return &segment->counters[i];
	return NULL;
}

static uint64_t value(const struct sluice_counter *counter)
{
	/* relaxed: a lone number; what it speaks of is on disk, and looked at there */
	return atomic_load_explicit(&counter->value, memory_order_relaxed);
}

static bool is_served(const struct following *following)
{
	return sluice_segment_is_named(&following->rep) &&
	       sluice_participant_count(&following->rep, SLUICE_ROLE_PRODUCER) > 0;
}

static void detach(struct following *following)
{
	sluice_segment_close(&following->rep);
	memset(&following->rep, 0, sizeof(following->rep));
	following->ready = following->cmd_seq = following->live_bytes = NULL;
	following->announced = 0;
}

/* Not an error if it cannot be had: there may be an engine later. */
static void attach(struct following *following)
{
	char name[SLUICE_SEGMENT_NAME_BYTES];

	snprintf(name, sizeof(name), "%s.rep", following->options->name);
	if (sluice_segment_attach(&following->rep, name, SLUICE_ACCESS_READ, NULL))
		return;
	following->ready = find_counter(&following->rep, ENGINE_SNAPSHOT_READY);
	following->cmd_seq = find_counter(&following->rep, ENGINE_FOLLOWER_CMD_SEQ);
	following->live_bytes = find_counter(&following->rep, "log_live_bytes");
	if (!following->ready || !following->cmd_seq || !following->live_bytes ||
	    !is_served(following))
		detach(following);
}

static void look_at_ring(struct following *following)
{
	if (!following->options->name)
		return;
	if (!following->rep.base) {
		attach(following);
		if (!following->rep.base && !following->said_alone) {
			following->said_alone = true;
			sluice_cli_log(ENGINE_PROGRAM,
				       "engine=none reason=\"nobody serves %s.rep now: is --name "
				       "right?\"",
				       following->options->name);
		}
	} else if (!is_served(following)) {
		/* nobody names what the mailbox speaks of, and an engine that starts empties it */
		detach(following);
	}
}

/* Attached for writing for a moment. */
static void store(const struct following *following, const char *label, uint64_t number)
{
	struct sluice_segment segment = {0};
	char name[SLUICE_SEGMENT_NAME_BYTES];
	struct sluice_counter *counter;

	snprintf(name, sizeof(name), "%s.rep", following->options->name);
	if (sluice_segment_attach(&segment, name, SLUICE_ACCESS_WRITE, NULL))
		return;
	counter = find_counter(&segment, label);
	if (counter)
		sluice_counter_set(counter, number);
	sluice_segment_close(&segment);
}

static bool progress_due(const struct following *following, uint64_t now_ns)
{
	return following->rep.base && now_ns - following->stored_ns >= ROUND_NS &&
	       value(following->cmd_seq) != following->view.cmd_seq;
}

static bool snapshot_due(const struct following *following, uint64_t now_ns)
{
	const struct sluice_follower_view *view = &following->view;
	const bool again = now_ns - following->announced_ns >= ANNOUNCE_NS;

	return following->rep.base && !value(following->ready) &&
	       view->snapshot_whole > view->snapshot_named &&
	       (view->snapshot_whole != following->announced || again);
}

/* What the engine is told. */
static void tell(struct following *following, uint64_t now_ns)
{
	const struct sluice_follower_view *view = &following->view;

	if (progress_due(following, now_ns)) {
		following->stored_ns = now_ns;
		store(following, ENGINE_FOLLOWER_CMD_SEQ, view->cmd_seq);
	}
	if (snapshot_due(following, now_ns)) {
		following->announced = view->snapshot_whole;
		following->announced_ns = now_ns;
		store(following, ENGINE_SNAPSHOT_READY, view->snapshot_whole);
	}
}

static void say_snapshot(struct following *following)
{
	const struct sluice_follower_view *view = &following->view;

	if (view->snapshot_whole <= following->said)
		return;
	following->said = view->snapshot_whole;
	if (view->snapshot_whole > view->snapshot_named)
		sluice_cli_log(
			ENGINE_PROGRAM, "snapshot=written number=%llu blocks=%llu commands=%llu",
			(unsigned long long)view->snapshot_whole,
			(unsigned long long)view->block_seq, (unsigned long long)view->cmd_seq);
}

/* Out of everybody's way, until the log is half full. */
static void choose_priority(struct following *following)
{
	const struct sluice_follower_view *view = &following->view;
	uint64_t live = view->live_bytes;
	bool hurried;

	if (following->rep.base && value(following->live_bytes) > live)
		live = value(following->live_bytes);
	hurried = live > (following->hurried ? view->log_bytes / 8 * 3 : view->log_bytes / 2);
	if (hurried != following->hurried)
		sluice_cli_log(ENGINE_PROGRAM, "follower_priority=%s log_live_percent=%llu",
			       hurried ? "normal" : "idle",
			       (unsigned long long)(live / (view->log_bytes / 100)));
	following->hurried = hurried;
}

static void pause_ns(uint64_t ns)
{
	nanosleep(&(struct timespec){.tv_nsec = (long)ns}, NULL);
}

/* Is there something that the first thread has to do? */
static bool spell_ends(const struct following *following, uint64_t now_ns)
{
	return sluice_signals_stop() || now_ns - following->round_ns >= ROUND_NS ||
	       progress_due(following, now_ns) || snapshot_due(following, now_ns) ||
	       following->view.snapshot_whole > following->said;
}

/* Steps, at least one, until there is nothing to do now, or something for the first thread. */
static void work(struct following *following)
{
	int rc;

	do {
		/* while a number is in the mailbox the engine may be naming it */
		sluice_follower_hold(following->follower,
				     following->rep.base && value(following->ready) != 0);
		rc = sluice_follower_step(following->follower, following->diag);
		sluice_follower_view(following->follower, &following->view);
	} while (rc > 0 && !spell_ends(following, sluice_clock_ns()));
	following->more = rc > 0;
	following->rc = rc > 0 ? 0 : rc;
}

static void *idle_spell(void *arg)
{
	const struct sched_param none = {0};

	sched_setscheduler(0, SCHED_IDLE, &none);
	work(arg);
	return NULL;
}

static void work_idle(struct following *following)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, idle_spell, following))
		work(following); /* in somebody's way rather than not at all */
	else
		pthread_join(thread, NULL);
}

/* By hand: nobody would notice that it follows files which no engine writes any more. */
static int look_for_log(const struct following *following)
{
	int rc;

	if (!engine_log_name_gone(&following->name, following->options->wal))
		return 0;
	rc = sluice_diag_set(following->diag, ENOENT,
			     "%s/super is not the file that is followed any more: the log was moved, "
			     "removed or replaced",
			     following->options->wal);
	sluice_diag_hint(following->diag, "start it again on the log that the engine writes");
	return rc;
}

static int run(struct following *following)
{
	uint64_t sleep_ns = SLEEP_MIN_NS;

	while (!sluice_signals_stop()) {
		const uint64_t now_ns = sluice_clock_ns();

		sluice_follower_view(following->follower, &following->view);
		if (now_ns - following->round_ns >= ROUND_NS) {
			following->round_ns = now_ns;
			look_at_ring(following);
			choose_priority(following);
			following->rc = look_for_log(following);
			if (following->rc)
				return following->rc;
		}
		tell(following, now_ns);
		say_snapshot(following);
		if (following->hurried)
			work(following);
		else
			work_idle(following);
		if (following->rc)
			return following->rc;
		if (!following->more)
			pause_ns(sleep_ns);
		sleep_ns *= 2;
		if (following->more || following->view.writing)
			sleep_ns = SLEEP_MIN_NS;
		else if (sleep_ns > SLEEP_MAX_NS)
			sleep_ns = SLEEP_MAX_NS;
	}
	return 0;
}

/* In steps, so that a signal ends the wait for a predecessor. */
static int open_follower(struct following *following, struct sluice_diag *diag)
{
	const struct engine_options *options = following->options;
	const struct sluice_follower_options follow = {
		.every_bytes = options->snapshot_every,
		.rate_bytes = options->snapshot_rate,
		.lock_wait_ms = LOCK_STEP_MS,
		.stopping = sluice_signals_stop,
	};
	int rc = -EBUSY;

	for (int i = 0; rc == -EBUSY && i < LOCK_TRIES && !sluice_signals_stop(); i++) {
		struct sluice_wal_io *io;

		rc = sluice_wal_io_blocking_create(&io, options->wal, diag);
		if (!rc)
			rc = sluice_follower_open(&following->follower, io, &follow, diag);
		if (rc == -EBUSY && i == 0)
			sluice_cli_log(ENGINE_PROGRAM,
				       "waiting=\"somebody else writes the snapshots in %s\"",
				       options->wal);
	}
	return rc == -EBUSY && sluice_signals_stop() ? -EINTR : rc;
}

/* False: the parent is gone already. */
static bool tie_to_parent(uint64_t parent)
{
	if (!parent)
		return true;
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	/* it may have died before that */
	return (uint64_t)getppid() == parent;
}

int engine_follow(const struct engine_options *options, struct sluice_diag *diag)
{
	struct following following = {.options = options, .diag = diag};
	int rc;

	if (!tie_to_parent(options->parent))
		return 0;
	if (!options->parent)
		engine_log_name_take(&following.name, options->wal);
	rc = open_follower(&following, diag);
	if (rc) {
		engine_log_hint(options, rc, diag);
		return rc;
	}
	sluice_follower_view(following.follower, &following.view);
	following.said = following.view.snapshot_named;
	sluice_cli_log(ENGINE_PROGRAM, "following=\"%s\" snapshot=%llu block=%llu command=%llu",
		       options->wal, (unsigned long long)following.view.snapshot_named,
		       (unsigned long long)following.view.block_seq,
		       (unsigned long long)following.view.cmd_seq);
	rc = run(&following);
	if (following.rep.base)
		detach(&following);
	sluice_follower_close(following.follower);
	return rc;
}
