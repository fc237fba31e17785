/* SPDX-License-Identifier: MIT */
/* watch.c - see watch.h. */
#include "engine/watch.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/report.h"
#include "engine/engine.h"
#include "shm/interrupt.h"

#define SECOND_NS 1000000000u
#define STALLED_NS (5ull * SECOND_NS)
#define SLOW_FACTOR 10u
#define SLOW_COMMITS_MIN 3u
#define WARN_EVERY_NS (60ull * SECOND_NS)
#define COMM_BYTES 16

/* Of the superblock's file; 0, or the errno. */
static int look_for(const char *dir, struct stat *ret_st)
{
	char path[4096 + 8];

	if (snprintf(path, sizeof(path), "%s/super", dir) >= (int)sizeof(path))
		return ENAMETOOLONG;
	return stat(path, ret_st) ? errno : 0;
}

void engine_log_name_take(struct engine_log_name *name, const char *dir)
{
	struct stat st;

	*name = (struct engine_log_name){0, 0};
	if (!look_for(dir, &st))
		*name = (struct engine_log_name){st.st_dev, st.st_ino};
}

bool engine_log_name_gone(const struct engine_log_name *name, const char *dir)
{
	struct stat st;
	int error;

	if (!name->inode)
		return false;
	error = look_for(dir, &st);
	return error ? error == ENOENT || error == ENOTDIR :
		       st.st_dev != name->device || st.st_ino != name->inode;
}

bool engine_watch_open(struct engine *engine)
{
	struct engine_watch *watch = &engine->watch;
	const uint32_t owner = engine->out.index;

	watch->stalled_counter = sluice_counter_open(&engine->rep, "stalled", SLUICE_COUNTER_GAUGE,
						     owner);
	watch->slow_counter = sluice_counter_open(&engine->rep, "slow_seconds",
						  SLUICE_COUNTER_TOTAL, owner);
	watch->gone_counter = sluice_counter_open(&engine->rep, "log_gone", SLUICE_COUNTER_GAUGE,
						  owner);
	if (!watch->stalled_counter || !watch->slow_counter || !watch->gone_counter)
		return false;
	sluice_counter_set(watch->stalled_counter, 0);
	sluice_counter_set(watch->gone_counter, 0);
	if (engine->wal)
		engine_log_name_take(&watch->name, engine->options.wal);
	return true;
}

void engine_watch_commit(struct engine *engine, uint64_t latency_ns, uint64_t now_ns)
{
	struct engine_watch *watch = &engine->watch;

	watch->moved_ns = now_ns;
	if (!watch->second_commits++ || latency_ns < watch->second_least_ns)
		watch->second_least_ns = latency_ns;
}

static void watch_stall(struct engine *engine, uint64_t now_ns)
{
	struct engine_watch *watch = &engine->watch;
	const bool waits = sluice_wal_in_flight(engine->wal) || engine->supervisor.offered;
	bool stalled;

	if (!waits || !watch->moved_ns)
		watch->moved_ns = now_ns;
	/* a commit may be newer than the round's clock */
	stalled = (int64_t)(now_ns - watch->moved_ns) > (int64_t)STALLED_NS;
	if (stalled == watch->stalled)
		return;
	watch->stalled = stalled;
	sluice_counter_set(watch->stalled_counter, stalled);
	sluice_cli_log(ENGINE_PROGRAM,
		       stalled ? "stalled=1 waiting=\"the disk of %s has not answered for 5 s: "
				 "nothing is published, nothing is given up\"" :
				 "stalled=0 going_on=\"the disk of %s answers again\"",
		       engine->options.wal);
}

struct runner { /* a process that wants a CPU right now */
	int pid; /* 0: none */
	unsigned long long ticks; /* of CPU time so far */
	char comm[COMM_BYTES];
};

/* Is this process runnable on that CPU? Any bytes may be in its name. */
static bool look(int pid, int cpu, struct runner *ret_runner)
{
	char path[32], text[1024];
	unsigned long long user, system;
	const char *open, *close;
	size_t bytes, n;
	int on;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	bytes = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[bytes] = 0;
	open = strchr(text, '(');
	close = strrchr(text, ')');
	if (!open || !close || close < open ||
	    sscanf(close + 1, " R %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d "
		   "%*d %*d %*d %*u %*u %*d %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u "
		   "%*d %d", &user, &system, &on) != 3 || on != cpu)
		return false;
	n = (size_t)(close - open - 1);
	n = n < COMM_BYTES ? n : COMM_BYTES - 1;
	memcpy(ret_runner->comm, open + 1, n);
	ret_runner->comm[n] = 0;
	ret_runner->pid = pid;
	ret_runner->ticks = user + system;
	return true;
}

/* Among those that want `cpu` now, the one that has used most of it: not us, not the kernel. */
static struct runner busiest(int cpu)
{
	struct runner best = {0}, runner;
	const struct dirent *entry;
	DIR *proc = opendir("/proc");

	while (proc && (entry = readdir(proc))) {
		const int pid = isdigit((unsigned char)entry->d_name[0]) ?
					(int)strtol(entry->d_name, NULL, 10) : 0;

		if (pid > 0 && pid != getpid() && look(pid, cpu, &runner) &&
		    runner.ticks >= best.ticks)
			best = runner;
	}
	if (proc)
		closedir(proc);
	return best;
}

/* Some milliseconds of a second that is lost anyway, once a minute. */
static void warn(struct engine *engine, uint64_t least_ns, uint64_t floor_ns)
{
	struct sluice_interrupt interrupt;
	struct runner runner = {0};
	char who[96] = "no process stands out";

	sluice_interrupt_find(engine->options.wal, &interrupt);
	if (interrupt.cpu >= 0)
		runner = busiest(interrupt.cpu);
	if (runner.pid)
		snprintf(who, sizeof(who), "\"%.15s\", process %d, wants that CPU all the time",
			 runner.comm, runner.pid);
	for (char *c = who; *c; c++)
		if (*c == '"')
			*c = '\'';
	sluice_cli_log(ENGINE_PROGRAM,
		       "slow_commits=1 least_us=%llu calibrated_us=%llu interrupt_cpu=%d cpu=%d "
		       "cause=\"a write completes on the CPU that takes the disk's interrupts, and "
		       "not while a process spins there: %s\" try=\"its --wait yield or block, or "
		       "another --cpu\"",
		       (unsigned long long)(least_ns / 1000u),
		       (unsigned long long)(floor_ns / 1000u), interrupt.cpu, sched_getcpu(), who);
}

static void watch_speed(struct engine *engine, uint64_t now_ns)
{
	struct engine_watch *watch = &engine->watch;
	const uint64_t floor_ns = sluice_wal_calibrated_ns(engine->wal);
	const uint64_t commits = watch->second_commits, least_ns = watch->second_least_ns;

	if (now_ns - watch->second_ns < SECOND_NS)
		return;
	watch->second_ns = now_ns;
	watch->second_commits = 0;
	if (!floor_ns || commits < SLOW_COMMITS_MIN || least_ns / SLOW_FACTOR < floor_ns)
		return;
	sluice_counter_add(watch->slow_counter, 1);
	if (watch->warned_ns && now_ns - watch->warned_ns < WARN_EVERY_NS)
		return;
	watch->warned_ns = now_ns;
	warn(engine, least_ns, floor_ns);
}

/* Writes go on into files that have no name any more, and everything seems well until the end. */
static void watch_place(struct engine *engine, uint64_t now_ns)
{
	struct engine_watch *watch = &engine->watch;
	bool gone;

	if (now_ns - watch->looked_ns < SECOND_NS)
		return;
	watch->looked_ns = now_ns;
	gone = engine_log_name_gone(&watch->name, engine->options.wal);
	if (gone == watch->gone)
		return;
	watch->gone = gone;
	sluice_counter_set(watch->gone_counter, gone);
	if (gone)
		sluice_cli_log(ENGINE_PROGRAM,
			       "log_gone=1 warning=\"%s/super is not the file that is written any "
			       "more: the log was moved, removed or replaced, and the next start "
			       "will not find it\" try=\"move it back; what was removed is in "
			       "/proc/%d/fd as long as this process lives\"",
			       engine->options.wal, (int)getpid());
	else
		sluice_cli_log(ENGINE_PROGRAM, "log_gone=0 going_on=\"the log is in %s again\"",
			       engine->options.wal);
}

void engine_watch(struct engine *engine, uint64_t now_ns)
{
	if (!engine->wal)
		return;
	watch_stall(engine, now_ns);
	watch_place(engine, now_ns);
	watch_speed(engine, now_ns);
}
