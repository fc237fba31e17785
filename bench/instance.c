/* SPDX-License-Identifier: MIT */
/* instance.c - the engine's process: see instance.h. The parent's thread. */
#include "bench/instance.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/signals.h"
#include "shm/clock.h"
#include "shm/wait.h"

#define READY_NS 30000000000u
#define REPLAY_NS 600000000000u /* with a long log */
#define LEAVE_NS 10000000000u
#define LOOK_NS 2000000
#define FIXED_ARGUMENTS 16

static const char *const suffixes[] = {"cmd", "rep", "md"};

/* The engine beside this program. */
static void engine_path(char *ret_path, size_t bytes)
{
	char self[4096];
	const ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	const char *slash;

	self[n > 0 ? n : 0] = '\0';
	slash = strrchr(self, '/');
	snprintf(ret_path, bytes, "%.*ssluice-engine", slash ? (int)(slash - self) + 1 : 0, self);
}

/* Returns only if it cannot be started. */
static void exec_engine(const char *path, const struct bench_instance *instance, bool durable)
{
	const char *arguments[FIXED_ARGUMENTS + BENCH_ARGUMENTS_MAX + 1] = {NULL};
	char cpu[16], bytes[24], log[4200];
	uint32_t n = 0;

	snprintf(cpu, sizeof(cpu), "%" PRIu32, instance->cpu);
	snprintf(bytes, sizeof(bytes), "%" PRIu64, instance->wal_bytes);
	snprintf(log, sizeof(log), "%s/log", instance->dir);
	const char *const fixed[FIXED_ARGUMENTS] = {
		"sluice-engine",
		"--name",
		instance->name,
		"--cpu",
		cpu,
		"--wait",
		sluice_wait_name(instance->wait),
		"--durability",
		durable ? "batch" : "off",
	};
	const char *const more[] = {"--format", "--wal", log, "--wal-size", bytes};

	for (uint32_t i = 0; i < FIXED_ARGUMENTS && fixed[i]; i++)
		arguments[n++] = fixed[i];
	if (!instance->stays)
		arguments[n++] = "--once";
	for (uint32_t i = 0; durable && i < sizeof(more) / sizeof(more[0]); i++)
		arguments[n++] = more[i];
	for (uint32_t i = 0; i < BENCH_ARGUMENTS_MAX && instance->arguments[i]; i++)
		arguments[n++] = instance->arguments[i];
	execv(path, (char *const *)arguments);
}

static _Noreturn void become(const struct bench_instance *instance, bool durable, pid_t parent)
{
	const int error = open(instance->error_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	char path[4096];

	engine_path(path, sizeof(path));
	setpgid(0, 0);
	signal(SIGPIPE, SIG_DFL);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent || error < 0)
		_exit(127);
	dup2(error, STDERR_FILENO);
	exec_engine(path, instance, durable);
	dprintf(STDERR_FILENO, "%s: %s\n", path, strerror(errno));
	_exit(127);
}

/* The first thing the engine said, as the reason of its end. */
static int failed(const struct bench_instance *instance, int error, struct sluice_diag *diag)
{
	char text[400] = "";
	FILE *file = fopen(instance->error_path, "re");
	size_t n = file ? fread(text, 1, sizeof(text) - 1, file) : 0;

	if (file)
		fclose(file);
	while (n && (text[n - 1] == '\n' || text[n - 1] == ' '))
		text[--n] = '\0';
	return sluice_diag_set(diag, error, "sluice-engine failed: %s",
			       n ? text : "without a word");
}

static bool is_ready(const struct bench_instance *instance)
{
	struct sluice_segment segment;
	char name[SLUICE_SEGMENT_NAME_BYTES];

	for (int i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "%s.%s", instance->name, suffixes[i]);
		if (sluice_segment_attach(&segment, name, SLUICE_ACCESS_READ, NULL))
			return false;
		sluice_segment_close(&segment);
	}
	return true;
}

static void unlink_rings(const struct bench_instance *instance)
{
	char name[SLUICE_SEGMENT_NAME_BYTES];

	for (int i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "%s.%s", instance->name, suffixes[i]);
		sluice_segment_unlink(name, NULL);
	}
}

int bench_instance_start(struct bench_instance *instance, bool durable, struct sluice_diag *diag)
{
	const struct timespec look = {.tv_nsec = LOOK_NS};
	const uint64_t began_ns = sluice_clock_ns();
	const pid_t parent = getpid();
	int status;

	snprintf(instance->error_path, sizeof(instance->error_path), "%s/engine.err",
		 instance->dir);
	fflush(NULL);
	instance->pid = fork();
	if (!instance->pid)
		become(instance, durable, parent);
	if (instance->pid < 0)
		return sluice_diag_set(diag, errno, "cannot start sluice-engine: %s",
				       strerror(errno));
	while (!is_ready(instance)) {
		if (waitpid(instance->pid, &status, WNOHANG) == instance->pid) {
			instance->pid = 0;
			unlink_rings(instance);
			return failed(instance, ECHILD, diag);
		}
		if (sluice_signals_stop())
			return -EINTR;
		if (sluice_clock_ns() - began_ns > (instance->stays ? REPLAY_NS : READY_NS))
			return failed(instance, ETIMEDOUT, diag);
		nanosleep(&look, NULL);
	}
	return 0;
}

int bench_instance_stop(struct bench_instance *instance, struct sluice_diag *diag)
{
	const struct timespec look = {.tv_nsec = LOOK_NS};
	const uint64_t began_ns = sluice_clock_ns();
	int status = 0;

	if (instance->pid <= 0)
		return 0;
	while (waitpid(instance->pid, &status, WNOHANG) != instance->pid) {
		if (sluice_signals_stop() || sluice_clock_ns() - began_ns > LEAVE_NS)
			kill(instance->pid, SIGKILL);
		nanosleep(&look, NULL);
	}
	instance->pid = 0;
	unlink_rings(instance);
	return status ? failed(instance, ECHILD, diag) : 0;
}

int bench_instance_terminate(struct bench_instance *instance, struct sluice_diag *diag)
{
	if (instance->pid > 0)
		kill(instance->pid, SIGTERM);
	return bench_instance_stop(instance, diag);
}

void bench_instance_kill(struct bench_instance *instance)
{
	if (instance->pid <= 0)
		return;
	kill(instance->pid, SIGKILL);
	while (waitpid(instance->pid, NULL, 0) < 0 && errno == EINTR)
		;
	instance->pid = 0;
	unlink_rings(instance);
}

void bench_remove_dir(const char *path)
{
	DIR *dir = opendir(path);
	const struct dirent *entry;

	if (!dir)
		return;
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			unlinkat(dirfd(dir), entry->d_name, 0);
	closedir(dir);
	rmdir(path);
}

void bench_remove_log(const char *dir)
{
	char path[4096 + 8];

	snprintf(path, sizeof(path), "%s/log", dir);
	bench_remove_dir(path);
}
