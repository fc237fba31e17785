/* SPDX-License-Identifier: MIT */
/* wal_storm.c - see wal_storm.h: programs, their lives, and what they say. */
#include "tests/lib/wal_storm.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "shm/clock.h"
#include "tests/lib/wal_storm_read.h"

#define SAID_BYTES 16384
#define ARGUMENTS_MAX 40
#define OVERLAP 200u /* commands that a source sends again although it knows their reports */
#define STEP_NS 1000000

static const struct sluice_core_options limits = {.symbols_max = 8,
						  .orders_max = 16384,
						  .levels_max = 1024,
						  .sessions_max = 16,
						  .window_ticks = 1024};
static const char *const sizes[] = {"--symbols-max",  "8",   "--orders-max",   "16Ki",
				    "--levels-max",   "1Ki", "--sessions-max", "16",
				    "--window-ticks", "1Ki"};
static const char params[] = "depth=60,aggressors=100";

int wal_storm_wrong(struct wal_storm *storm, int error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(storm->wrong, sizeof(storm->wrong), format, arguments);
	va_end(arguments);
	return -error;
}

uint64_t wal_storm_random(struct wal_storm *storm, uint64_t below)
{
	storm->random = storm->random * 6364136223846793005ull + 1442695040888963407ull;
	return (storm->random >> 33) % below;
}

/* ------------------------------------------------------------------------------- programs */

static void path_of(const struct wal_storm *storm, const char *file, char ret_path[512])
{
	snprintf(ret_path, 512, "%s/%s", storm->options.place, file);
}

/* In the child: ends with the harness, whatever becomes of that. */
static void become(const char *file, const char *const *arguments)
{
	const int out = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(out, STDOUT_FILENO);
	dup2(out, STDERR_FILENO);
	execv(arguments[0], (char *const *)arguments);
	dprintf(STDERR_FILENO, "cannot run %s: %s\n", arguments[0], strerror(errno));
	_exit(127);
}

static int spawn(struct wal_storm *storm, struct wal_storm_process *process,
		 const char *const *arguments)
{
	char path[512];
	struct stat status;

	path_of(storm, process->what, path);
	process->said_from = stat(path, &status) ? 0 : status.st_size;
	process->started_ns = sluice_clock_ns();
	process->ready = false;
	process->pid = fork();
	if (!process->pid)
		become(path, arguments);
	return process->pid > 0 ? 0 : wal_storm_wrong(storm, errno, "fork: %s", strerror(errno));
}

int wal_storm_run(const struct wal_storm *storm, const char *file, const char *const *arguments)
{
	const uint64_t started_ns = sluice_clock_ns();
	char path[512];
	int status;
	pid_t pid;

	path_of(storm, file, path);
	unlink(path);
	pid = fork();
	if (!pid)
		become(path, arguments);
	if (pid < 0)
		return -errno;
	while (waitpid(pid, &status, WNOHANG) == 0) {
		if (sluice_clock_ns() - started_ns > WAL_STORM_WAIT_NS) {
			kill(pid, SIGKILL);
			waitpid(pid, &status, 0);
			return -ETIMEDOUT;
		}
		nanosleep(&(struct timespec){.tv_nsec = STEP_NS}, NULL);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void program(const struct wal_storm *storm, const char *what, char ret_path[512])
{
	snprintf(ret_path, 512, "%s/%s", storm->options.bin, what);
}

int wal_storm_engine(struct wal_storm *storm, struct wal_storm_process *process)
{
	static const char *const windows[] = {"1", "4", "8"};
	const char *arguments[ARGUMENTS_MAX] = {
		NULL, "--name", storm->name, "--wal", storm->log, "--format", "--wal-size",
		storm->options.wal_size, "--ring-size", "8192", "--snapshot-every", "1M",
		"--hugepages", "off", "--cpu", "none", "--wal-window",
		windows[wal_storm_random(storm, 3)], "--snapshot-rate",
		/* slow ones are caught half-way more often */
		storm->slow_engine ? "512K" : "0"};
	char path[512];
	size_t n = 20;

	program(storm, "sluice-engine", path);
	arguments[0] = path;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		arguments[n++] = sizes[i];
	storm->slow_engine = wal_storm_random(storm, 3) == 0;
	return spawn(storm, process, arguments);
}

int wal_storm_consumer(struct wal_storm *storm)
{
	char path[512];
	const char *arguments[ARGUMENTS_MAX] = {path,	  "--name",   storm->name,
						"--json", "--output", storm->reports,
						"--cpu",  "none",     NULL};

	program(storm, "sluice-consumer", path);
	if (wal_storm_random(storm, 4) == 0)
		arguments[8] = "--sync";
	return spawn(storm, &storm->consumer, arguments);
}

int wal_storm_producer(struct wal_storm *storm, uint32_t source, uint64_t count)
{
	const uint64_t executed = storm->history.sources[source].executed;
	const uint64_t back = wal_storm_random(storm, OVERLAP);
	char path[512], seed[24], session[24], from[24], rate[24], batch[24], end[24], symbols[24];
	const char *arguments[ARGUMENTS_MAX] = {path,	      "--name",	   storm->name,
						"--generate", "--seed",	   seed,
						"--session",  session,	   "--resume-from",
						from,	      "--symbols", symbols,
						"--params",   params,	   "--batch",
						batch,	      "--cpu",	   "none",
						"--rate",     rate,	   count ? "--count" : NULL,
						end};

	program(storm, "sluice-producer", path);
	snprintf(seed, sizeof(seed), "%llu",
		 (unsigned long long)wal_history_seed(storm->options.seed, source));
	snprintf(session, sizeof(session), "%u", source + 1);
	snprintf(from, sizeof(from), "%llu",
		 (unsigned long long)(executed > back ? executed - back : 0));
	snprintf(symbols, sizeof(symbols), "%u", WAL_HISTORY_SYMBOLS);
	snprintf(batch, sizeof(batch), "%llu",
		 (unsigned long long)(1 + wal_storm_random(storm, 8)));
	snprintf(rate, sizeof(rate), "%llu", (unsigned long long)storm->options.rate);
	snprintf(end, sizeof(end), "%llu", (unsigned long long)count);
	return spawn(storm, &storm->producers[source], arguments);
}

int wal_storm_start_all(struct wal_storm *storm)
{
	int rc = 0;

	if (!storm->engine.pid)
		rc = wal_storm_engine(storm, &storm->engine);
	if (!rc && !storm->consumer.pid)
		rc = wal_storm_consumer(storm);
	/* a ring that is new has to be joined before anything is sent */
	if (!rc && !storm->attached)
		rc = wal_storm_ready(storm);
	for (uint32_t i = 0; !rc && i < WAL_STORM_SOURCES; i++)
		if (!storm->producers[i].pid)
			rc = wal_storm_producer(storm, i, 0);
	return rc;
}

/* ------------------------------------------------------------------------- what they say */

static ssize_t words(const struct wal_storm *storm, const char *file, off_t from, char *ret_text)
{
	char path[512];
	ssize_t bytes;
	int fd;

	path_of(storm, file, path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	bytes = fd < 0 ? -1 : pread(fd, ret_text, SAID_BYTES - 1, from);
	if (fd >= 0)
		close(fd);
	ret_text[bytes < 0 ? 0 : bytes] = 0;
	return bytes;
}

bool wal_storm_said(const struct wal_storm *storm, const struct wal_storm_process *process,
		    const char *text, uint64_t *ret_value)
{
	char said[SAID_BYTES];
	const char *at = NULL;

	words(storm, process->what, process->said_from, said);
	for (const char *next = strstr(said, text); next; next = strstr(next + 1, text))
		at = next + strlen(text);
	if (at && ret_value)
		*ret_value = strtoull(at, NULL, 10);
	return at;
}

void wal_storm_show(const struct wal_storm *storm)
{
	const char *const files[] = {"engine",	  "rival",     "consumer",
				     "producer1", "producer2", "verify"};
	char path[512], said[SAID_BYTES];
	struct stat status;

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		path_of(storm, files[i], path);
		if (stat(path, &status) || !status.st_size)
			continue;
		words(storm, files[i], status.st_size > 2500 ? status.st_size - 2500 : 0, said);
		printf("--- %s\n%s\n", files[i], said);
	}
}

/* --------------------------------------------------------------------------------- lives */

int wal_storm_kill(struct wal_storm *storm, struct wal_storm_process *process)
{
	int status;

	if (!process->pid)
		return 0;
	kill(process->pid, SIGKILL);
	while (waitpid(process->pid, &status, 0) < 0 && errno == EINTR)
		;
	process->pid = 0;
	if (!WIFSIGNALED(status))
		return wal_storm_wrong(storm, ECHILD, "%s had ended by itself, with %d",
				       process->what, WEXITSTATUS(status));
	return 0;
}

/* Ids are given again: only a child of the engine is its follower. */
static bool is_child(pid_t pid, pid_t parent)
{
	char path[64], text[512];
	const char *at;
	ssize_t bytes;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	bytes = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	text[bytes < 0 ? 0 : bytes] = 0;
	at = strrchr(text, ')');
	return at && strlen(at) > 4 && strtol(at + 4, NULL, 10) == parent;
}

bool wal_storm_kill_follower(struct wal_storm *storm)
{
	uint64_t pid = 0;

	if (!storm->engine.pid || !wal_storm_said(storm, &storm->engine, "ed pid=", &pid) || !pid ||
	    !is_child((pid_t)pid, storm->engine.pid))
		return false;
	return !kill((pid_t)pid, SIGKILL);
}

int wal_storm_ends(struct wal_storm *storm, struct wal_storm_process *process, int status)
{
	const uint64_t started_ns = sluice_clock_ns();
	const pid_t pid = process->pid;
	int found, rc;

	process->pid = 0; /* not to be taken for one that ended by itself */
	while (waitpid(pid, &found, WNOHANG) == 0) {
		rc = wal_storm_look(storm);
		if (!rc && sluice_clock_ns() - started_ns > WAL_STORM_WAIT_NS)
			rc = wal_storm_wrong(storm, ETIMEDOUT, "%s does not end", process->what);
		if (rc) {
			kill(pid, SIGKILL);
			waitpid(pid, &found, 0);
			return rc;
		}
		nanosleep(&(struct timespec){.tv_nsec = STEP_NS}, NULL);
	}
	found = WIFEXITED(found) ? WEXITSTATUS(found) : 128 + WTERMSIG(found);
	return found == status ? 0 :
				 wal_storm_wrong(storm, ECHILD, "%s ended with %d instead of %d",
						 process->what, found, status);
}

static void started(struct wal_storm *storm)
{
	const uint64_t took_ns = sluice_clock_ns() - storm->engine.started_ns;

	storm->starts++;
	storm->start_ns_sum += took_ns;
	if (took_ns > storm->start_ns_max)
		storm->start_ns_max = took_ns;
	storm->passed_over += wal_storm_said(storm, &storm->engine, "snapshot_passed_over", NULL);
}

int wal_storm_ready(struct wal_storm *storm)
{
	const uint64_t started_ns = sluice_clock_ns();
	int rc = 0;

	while (!rc && !wal_storm_said(storm, &storm->engine, " ready ", NULL)) {
		rc = wal_storm_pass(storm, STEP_NS);
		if (!rc && sluice_clock_ns() - started_ns > WAL_STORM_WAIT_NS)
			rc = wal_storm_wrong(storm, ETIMEDOUT, "the engine does not get ready");
	}
	if (rc)
		return rc;
	if (!storm->engine.ready)
		started(storm);
	storm->engine.ready = true;
	return storm->attached ? 0 : wal_storm_join(storm);
}

int wal_storm_pass(struct wal_storm *storm, uint64_t ns)
{
	const uint64_t started_ns = sluice_clock_ns();
	uint64_t passed_ns;
	int rc;

	do {
		rc = wal_storm_look(storm);
		passed_ns = sluice_clock_ns() - started_ns;
		if (rc || passed_ns >= ns)
			return rc;
		nanosleep(&(struct timespec){.tv_nsec = ns - passed_ns < STEP_NS ?
								(long)(ns - passed_ns) :
								STEP_NS},
			  NULL);
	} while (1);
}

/* ---------------------------------------------------------------------------- begin, end */

int wal_storm_open(struct wal_storm *storm, const struct wal_storm_options *options)
{
	int rc;

	memset(storm, 0, sizeof(*storm));
	storm->options = *options;
	storm->random = options->seed;
	storm->reports_fd = -1;
	storm->engine.what = "engine";
	storm->rival.what = "rival";
	storm->consumer.what = "consumer";
	storm->producers[0].what = "producer1";
	storm->producers[1].what = "producer2";
	snprintf(storm->name, sizeof(storm->name), "storm%d", (int)getpid());
	snprintf(storm->log, sizeof(storm->log), "%s/log", options->place);
	snprintf(storm->reports, sizeof(storm->reports), "%s/reports.jsonl", options->place);
	storm->chunk = malloc(WAL_STORM_CHUNK);
	if (!storm->chunk || setenv("SLUICE_SHM_DIR", options->shm, 1))
		return wal_storm_wrong(storm, ENOMEM, "no memory");
	rc = wal_history_init(&storm->history, &limits, options->seed, params);
	return rc ? wal_storm_wrong(storm, -rc, "%s", storm->history.wrong) : 0;
}

void wal_storm_close(struct wal_storm *storm)
{
	struct wal_storm_process *const all[] = {&storm->engine, &storm->rival, &storm->consumer,
						 &storm->producers[0], &storm->producers[1]};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		wal_storm_kill(storm, all[i]);
	wal_storm_leave(storm);
	if (storm->reports_fd >= 0)
		close(storm->reports_fd);
	wal_history_release(&storm->history);
	free(storm->chunk);
}

/* Everybody but the consumer has to end with 0 when asked to. */
static int end_all(struct wal_storm *storm)
{
	int rc;

	kill(storm->engine.pid, SIGTERM);
	rc = wal_storm_ends(storm, &storm->engine, 0);
	if (!rc)
		rc = wal_storm_look(storm);
	return rc ? rc : wal_storm_kill(storm, &storm->consumer);
}

int wal_storm_finish(struct wal_storm *storm)
{
	uint64_t count = 0;
	int rc = 0;

	for (uint32_t i = 0; !rc && i < WAL_STORM_SOURCES; i++) {
		rc = wal_storm_kill(storm, &storm->producers[i]);
		if (storm->history.sources[i].made > count)
			count = storm->history.sources[i].made;
	}
	if (!rc)
		rc = wal_storm_start_all(storm);
	if (!rc)
		rc = wal_storm_ready(storm);
	for (uint32_t i = 0; !rc && i < WAL_STORM_SOURCES; i++) {
		rc = wal_storm_kill(storm, &storm->producers[i]);
		if (!rc)
			rc = wal_storm_look(storm);
		if (storm->history.sources[i].made > count)
			count = storm->history.sources[i].made;
	}
	storm->finishing = true;
	for (uint32_t i = 0; !rc && i < WAL_STORM_SOURCES; i++)
		rc = wal_storm_producer(storm, i, count + 500);
	for (uint32_t i = 0; !rc && i < WAL_STORM_SOURCES; i++)
		rc = wal_storm_ends(storm, &storm->producers[i], 0);
	if (!rc)
		rc = wal_storm_look(storm);
	if (!rc)
		rc = wal_storm_reach(storm, storm->history.noted);
	/* more, where a producer that was killed had put more than 500 into the ring unseen */
	for (uint32_t i = 0; !rc && i < WAL_STORM_SOURCES; i++)
		if (storm->history.sources[i].executed < count + 500)
			rc = wal_storm_wrong(storm, EBADMSG,
					     "lost: %llu of %llu commands of source %u executed",
					     (unsigned long long)storm->history.sources[i].executed,
					     (unsigned long long)count + 500, i + 1);
	return rc ? rc : end_all(storm);
}
