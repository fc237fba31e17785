/* SPDX-License-Identifier: MIT */
/* demo_child.c - see demo_child.h. */
#include "tools/demo_child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "shm/clock.h"
#include "tools/tool.h"

#define TAIL_BYTES 2048
#define CODE_NOT_RUN 127

void sluice_demo_child_init(struct sluice_demo_child *child, const char *program, const char *dir)
{
	memset(child, 0, sizeof(*child));
	child->program = program;
	snprintf(child->out_path, sizeof(child->out_path), "%s/%s.out", dir, program);
	snprintf(child->error_path, sizeof(child->error_path), "%s/%s.err", dir, program);
	sluice_demo_child_arg(child, program);
}

void sluice_demo_child_arg(struct sluice_demo_child *child, const char *arg)
{
	sluice_assert(child->argc < SLUICE_DEMO_ARGS_MAX);
	child->argv[child->argc++] = arg;
	child->argv[child->argc] = NULL;
}

/* Between fork and exec: system calls only. */
static _Noreturn void become(const struct sluice_demo_child *child, const char *path, pid_t parent)
{
	const int flags = O_WRONLY | O_CREAT | O_APPEND;
	const int in = open("/dev/null", O_RDONLY);
	const int out = open(child->out_path, flags, 0600);
	const int error = open(child->error_path, flags, 0600);
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent || in < 0 || out < 0 || error < 0)
		_exit(CODE_NOT_RUN);
	dup2(in, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	dup2(error, STDERR_FILENO);
	closefrom(STDERR_FILENO + 1);
	execvp(path, (char *const *)(uintptr_t)child->argv);
	dprintf(STDERR_FILENO, "%s: cannot be run: %s\n", path, strerror(errno));
	_exit(CODE_NOT_RUN);
}

int sluice_demo_child_start(struct sluice_demo_child *child, struct sluice_diag *diag)
{
	const pid_t parent = getpid();
	char path[4096];
	pid_t pid;

	if (!sluice_tool_path(child->program, path, sizeof(path)))
		return sluice_diag_set(diag, ENAMETOOLONG, "the path of %s is too long",
				       child->program);
	pid = fork();
	if (pid < 0)
		return sluice_diag_set(diag, errno, "cannot start %s: %s", child->program,
				       strerror(errno));
	if (!pid)
		become(child, path, parent);
	child->pid = pid;
	child->started = true;
	return 0;
}

bool sluice_demo_child_runs(struct sluice_demo_child *child)
{
	int status;

	if (!child->pid)
		return false;
	if (waitpid(child->pid, &status, WNOHANG) != child->pid)
		return true;
	child->pid = 0;
	child->status = status;
	return false;
}

void sluice_demo_child_end(struct sluice_demo_child *child, int signal, uint64_t timeout_ns)
{
	const struct timespec pause = {.tv_nsec = 5000000};
	const uint64_t started_ns = sluice_clock_ns();

	if (!sluice_demo_child_runs(child))
		return;
	kill(child->pid, signal);
	while (sluice_demo_child_runs(child)) {
		if (sluice_clock_ns() - started_ns >= timeout_ns)
			kill(child->pid, SIGKILL);
		nanosleep(&pause, NULL);
	}
}

int sluice_demo_child_code(const struct sluice_demo_child *child)
{
	if (!child->started || child->pid)
		return -1;
	return WIFSIGNALED(child->status) ? 128 + WTERMSIG(child->status) :
					    WEXITSTATUS(child->status);
}

static void tail_of(const char *program, const char *path, FILE *out)
{
	char text[TAIL_BYTES + 1];
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	const off_t size = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
	char *line = text;
	char *next;
	ssize_t bytes;

	if (fd < 0)
		return;
	bytes = pread(fd, text, TAIL_BYTES, size > TAIL_BYTES ? size - TAIL_BYTES : 0);
	close(fd);
	if (bytes <= 0)
		return;
	text[bytes] = '\0';
	if (size > TAIL_BYTES && (next = strchr(text, '\n')))
		line = next + 1; /* the first one is cut */
	while (*line) {
		next = strchrnul(line, '\n');
		fprintf(out, "  %s | %.*s\n", program, (int)(next - line), line);
		line = *next ? next + 1 : next;
	}
}

void sluice_demo_child_tail(const struct sluice_demo_child *child, FILE *out)
{
	if (child->started)
		tail_of(child->program, child->error_path, out);
}
