/* SPDX-License-Identifier: MIT */
/* supervise.c - see supervise.h. */
#include "engine/supervise.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/exit.h"
#include "cli/report.h"
#include "cli/signals.h"
#include "engine/engine.h"
#include "shm/clock.h"

#define SECOND_NS 1000000000u
#define BACKOFF_NS_MAX (30ull * SECOND_NS)
#define GOOD_LIFE_NS (60ull * SECOND_NS) /* after one that lived so long the pause is short */
#define STOP_WAIT_NS (2ull * SECOND_NS)
#define STOP_STEP_NS 5000000u
#define SAY_EVERY_NS (60ull * SECOND_NS)
#define ARGUMENTS_MAX 24

void engine_supervise_cpus(struct engine *engine)
{
	char *text = engine->supervisor.cpus;
	size_t used = 0;
	cpu_set_t set;

	text[0] = 0;
	if (sched_getaffinity(0, sizeof(set), &set))
		return; /* more CPUs than the set holds: then it stays where we are */
	for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		const size_t first = cpu;

		if (!CPU_ISSET(cpu, &set))
			continue;
		while (cpu + 1 < CPU_SETSIZE && CPU_ISSET(cpu + 1, &set))
			cpu++;
		used += (size_t)snprintf(text + used, ENGINE_CPUS_BYTES - used,
					 first == cpu ? "%s%zu" : "%s%zu-%zu", used ? "," : "", first,
					 cpu);
		if (used >= ENGINE_CPUS_BYTES) {
			text[0] = 0;
			return;
		}
	}
}

static struct sluice_counter *gauge(struct engine *engine, const char *label)
{
	return sluice_counter_open(&engine->rep, label, SLUICE_COUNTER_GAUGE, engine->out.index);
}

bool engine_supervise_open(struct engine *engine)
{
	struct engine_supervisor *supervisor = &engine->supervisor;

	supervisor->ready = gauge(engine, ENGINE_SNAPSHOT_READY);
	supervisor->follower_cmd_seq = gauge(engine, ENGINE_FOLLOWER_CMD_SEQ);
	supervisor->snapshots = gauge(engine, "snapshots");
	supervisor->live_bytes = gauge(engine, "log_live_bytes");
	supervisor->log_bytes = gauge(engine, "log_bytes");
	supervisor->log_full = gauge(engine, "log_full");
	supervisor->follower_alarm = gauge(engine, "follower_alarm");
	if (!supervisor->ready || !supervisor->follower_cmd_seq || !supervisor->snapshots ||
	    !supervisor->live_bytes || !supervisor->log_bytes || !supervisor->log_full ||
	    !supervisor->follower_alarm)
		return false;
	sluice_counter_set(supervisor->ready, 0);
	sluice_counter_set(supervisor->follower_alarm, 0);
	return true;
}

static bool is_wanted(const struct engine *engine)
{
	return engine->wal && engine->options.follower == ENGINE_FOLLOWER_ON &&
	       !engine->supervisor.given_up;
}

/* The follower is this program, whatever file its name stands for by now. */
static int spawn(struct engine *engine)
{
	const struct engine_options *options = &engine->options;
	char every[24], rate[24], parent[24];
	const char *arguments[ARGUMENTS_MAX] = {
		ENGINE_PROGRAM, "--follow", "--name", options->name, "--wal", options->wal,
		"--snapshot-every", every, "--snapshot-rate", rate, "--parent", parent,
		"--cpu", engine->supervisor.cpus[0] ? engine->supervisor.cpus : "none",
	};
	size_t n = 14;

	snprintf(every, sizeof(every), "%llu", (unsigned long long)options->snapshot_every);
	snprintf(rate, sizeof(rate), "%llu", (unsigned long long)options->snapshot_rate);
	snprintf(parent, sizeof(parent), "%d", (int)getpid());
	if (sluice_cli_is_json())
		arguments[n++] = "--json";
	if (sluice_cli_is_quiet())
		arguments[n++] = "--quiet";
	if (sluice_cli_is_verbose())
		arguments[n++] = "--verbose";
	sluice_assert(n < ARGUMENTS_MAX);
	return posix_spawn(&engine->supervisor.pid, "/proc/self/exe", NULL, NULL,
			   (char *const *)arguments, environ);
}

static void start(struct engine *engine, uint64_t now_ns)
{
	struct engine_supervisor *supervisor = &engine->supervisor;
	int error;

	if (supervisor->spawned && now_ns - supervisor->started_ns < supervisor->backoff_ns)
		return;
	error = spawn(engine);
	if (error) {
		supervisor->pid = 0;
		supervisor->backoff_ns = BACKOFF_NS_MAX;
	}
	if (error)
		sluice_cli_log(ENGINE_PROGRAM, "follower=failed reason=\"%s\"", strerror(error));
	else
		sluice_cli_log(ENGINE_PROGRAM, "follower=%s pid=%d",
			       supervisor->spawned ? "restarted" : "started",
			       (int)supervisor->pid);
	supervisor->spawned = true;
	supervisor->started_ns = now_ns;
}

static void ended(struct engine *engine, int status, uint64_t now_ns)
{
	struct engine_supervisor *supervisor = &engine->supervisor;
	const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);

	supervisor->pid = 0;
	if (sluice_signals_stop()) /* the same Ctrl-C ended both */
		return;
	if (code == SLUICE_EXIT_DAMAGED) {
		supervisor->given_up = true;
		sluice_counter_set(supervisor->follower_alarm, 1);
		sluice_cli_log(ENGINE_PROGRAM,
			       "alarm=\"the follower's second execution of the log differs, or the "
			       "log is damaged: no snapshots are taken any more\" "
			       "try=\"sluice wal verify %s\"",
			       engine->options.wal);
		return;
	}
	if (now_ns - supervisor->started_ns > GOOD_LIFE_NS || !supervisor->backoff_ns)
		supervisor->backoff_ns = SECOND_NS;
	else if (supervisor->backoff_ns < BACKOFF_NS_MAX / 2)
		supervisor->backoff_ns *= 2;
	else
		supervisor->backoff_ns = BACKOFF_NS_MAX;
	sluice_cli_log(ENGINE_PROGRAM, "follower=ended %s=%d restart_in_s=%llu",
		       WIFEXITED(status) ? "status" : "signal",
		       WIFEXITED(status) ? code : code - 128,
		       (unsigned long long)(supervisor->backoff_ns / SECOND_NS));
	supervisor->started_ns = now_ns;
}

static void watch_follower(struct engine *engine, uint64_t now_ns)
{
	struct engine_supervisor *supervisor = &engine->supervisor;
	int status = 0;

	if (supervisor->pid && waitpid(supervisor->pid, &status, WNOHANG) == supervisor->pid)
		ended(engine, status, now_ns);
	if (!supervisor->pid && is_wanted(engine) && !sluice_signals_stop())
		start(engine, now_ns);
}

static void say_named(struct engine *engine)
{
	struct engine_supervisor *supervisor = &engine->supervisor;
	struct sluice_wal_snapshot snapshot;

	if (!sluice_wal_snapshot_newest(engine->wal, &snapshot) ||
	    snapshot.sequence == supervisor->named)
		return;
	supervisor->named = snapshot.sequence;
	sluice_cli_log(ENGINE_PROGRAM,
		       "snapshot=named number=%llu blocks=%llu commands=%llu bytes=%llu "
		       "log_live_bytes=%llu",
		       (unsigned long long)snapshot.sequence,
		       (unsigned long long)snapshot.place.block_seq,
		       (unsigned long long)snapshot.place.cmd_seq,
		       (unsigned long long)snapshot.bytes,
		       (unsigned long long)sluice_wal_live_bytes(engine->wal));
}

/* The mailbox is emptied only when the snapshot in it is named durably or refused. */
static int look_into_mailbox(struct engine *engine, uint64_t now_ns)
{
	struct engine_supervisor *supervisor = &engine->supervisor;
	struct sluice_diag diag = {.text = ""};
	uint64_t ready;
	int rc;

	if (supervisor->offered) {
		if (sluice_wal_snapshot_named(engine->wal) < supervisor->offered)
			return 0;
		supervisor->offered = 0;
		sluice_counter_set(supervisor->ready, 0);
		say_named(engine);
	}
	/* relaxed: what it speaks of is on disk, and is looked at there */
	ready = atomic_load_explicit(&supervisor->ready->value, memory_order_relaxed);
	if (!ready)
		return 0;
	rc = sluice_wal_offer(engine->wal, ready, &diag);
	if (!rc)
		supervisor->offered = ready;
	else if (sluice_wal_error(engine->wal))
		return sluice_wal_error(engine->wal);
	if (!rc || rc == -EAGAIN)
		return 0;
	sluice_counter_set(supervisor->ready, 0);
	if (rc != -EALREADY &&
	    (!supervisor->said_ns || now_ns - supervisor->said_ns > SAY_EVERY_NS)) {
		supervisor->said_ns = now_ns;
		sluice_cli_log(ENGINE_PROGRAM, "snapshot=refused number=%llu reason=\"%s\"",
			       (unsigned long long)ready, diag.text);
	}
	return 0;
}

static void say_full(struct engine *engine)
{
	struct engine_supervisor *supervisor = &engine->supervisor;
	const bool full = sluice_wal_full(engine->wal);

	if (full == supervisor->full_said)
		return;
	supervisor->full_said = full;
	if (!full)
		sluice_cli_log(ENGINE_PROGRAM,
			       "going_on=\"a snapshot has made room in the log in %s\"",
			       engine->options.wal);
	else if (supervisor->pid)
		sluice_cli_log(ENGINE_PROGRAM,
			       "waiting=\"the log in %s is full: commands stay in %s.cmd until a "
			       "snapshot makes room\" try=\"sluice-consumer --name %s, if reports "
			       "from before it are not read yet\"",
			       engine->options.wal, engine->options.name, engine->options.name);
	else
		sluice_cli_log(ENGINE_PROGRAM,
			       "waiting=\"the log in %s is full: commands stay in %s.cmd, and no "
			       "follower takes snapshots\" try=\"sluice-engine --follow --name %s "
			       "--wal %s\"",
			       engine->options.wal, engine->options.name, engine->options.name,
			       engine->options.wal);
}

int engine_supervise(struct engine *engine, uint64_t now_ns)
{
	int rc;

	if (!engine->wal)
		return 0;
	watch_follower(engine, now_ns);
	rc = look_into_mailbox(engine, now_ns);
	say_full(engine);
	return rc;
}

void engine_supervise_notes(struct engine *engine)
{
	const struct engine_supervisor *supervisor = &engine->supervisor;

	if (!engine->wal)
		return;
	sluice_counter_set(supervisor->snapshots, sluice_wal_snapshot_named(engine->wal));
	sluice_counter_set(supervisor->live_bytes, sluice_wal_live_bytes(engine->wal));
	sluice_counter_set(supervisor->log_bytes, sluice_wal_size_bytes(engine->wal));
	sluice_counter_set(supervisor->log_full, sluice_wal_full(engine->wal));
}

void engine_supervise_stop(struct engine *engine)
{
	struct engine_supervisor *supervisor = &engine->supervisor;
	const uint64_t started_ns = sluice_clock_ns();
	bool killed = false;
	int status;

	if (!supervisor->pid)
		return;
	/* it may be of idle priority: then it would end when nobody else wants the CPU */
	sched_setscheduler(supervisor->pid, SCHED_OTHER, &(struct sched_param){0});
	kill(supervisor->pid, SIGTERM);
	while (waitpid(supervisor->pid, &status, WNOHANG) == 0) {
		const uint64_t waited_ns = sluice_clock_ns() - started_ns;

		if (!killed && waited_ns > STOP_WAIT_NS) {
			killed = true;
			kill(supervisor->pid, SIGKILL);
		}
		if (waited_ns > 2 * STOP_WAIT_NS)
			break; /* in the kernel's hands, e.g. of a disk that does not answer */
		nanosleep(&(struct timespec){.tv_nsec = STOP_STEP_NS}, NULL);
	}
	supervisor->pid = 0;
}
