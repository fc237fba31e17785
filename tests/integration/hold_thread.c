/* SPDX-License-Identifier: MIT */
/*
 * hold_thread.c - stops one thread of a process for a while; the others run on. A journal thread
 * that is held is a disk that does not answer.
 *
 *	hold_thread PID NAME MILLISECONDS
 *
 * Exit status 77: this process may not do that here. 1: there is no such thread.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>

static int find(const char *pid, const char *name)
{
	char path[300], comm[32];
	struct dirent *entry;
	int found = 0;
	DIR *tasks;

	snprintf(path, sizeof(path), "/proc/%s/task", pid);
	tasks = opendir(path);
	while (tasks && !found && (entry = readdir(tasks))) {
		FILE *file;

		snprintf(path, sizeof(path), "/proc/%.16s/task/%.200s/comm", pid, entry->d_name);
		file = fopen(path, "re");
		if (!file)
			continue;
		if (fgets(comm, sizeof(comm), file) && !strncmp(comm, name, strlen(name)))
			found = atoi(entry->d_name);
		fclose(file);
	}
	if (tasks)
		closedir(tasks);
	return found;
}

int main(int argc, char **argv)
{
	struct timespec pause = {0};
	int thread, status;
	long ms;

	if (argc != 4)
		return 2;
	ms = atol(argv[3]);
	pause.tv_sec = ms / 1000;
	pause.tv_nsec = ms % 1000 * 1000000;
	thread = find(argv[1], argv[2]);
	if (!thread) {
		fprintf(stderr, "hold_thread: process %s has no thread %s\n", argv[1], argv[2]);
		return 1;
	}
	if (ptrace(PTRACE_SEIZE, thread, NULL, NULL) ||
	    ptrace(PTRACE_INTERRUPT, thread, NULL, NULL)) {
		fprintf(stderr, "hold_thread: %s\n", strerror(errno));
		return 77;
	}
	if (waitpid(thread, &status, __WALL) != thread)
		return 1;
	nanosleep(&pause, NULL);
	return ptrace(PTRACE_DETACH, thread, NULL, NULL) ? 1 : 0;
}
