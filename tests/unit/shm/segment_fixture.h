/* SPDX-License-Identifier: MIT */
/*
 * segment_fixture.h - for the tests of segments: a directory of their own, options that make small
 * segments, and children whose exit code is the verdict (a cmocka assert in a child would go on
 * with the rest of the suite there).
 */
#ifndef SLUICE_TESTS_UNIT_SHM_SEGMENT_FIXTURE_H
#define SLUICE_TESTS_UNIT_SHM_SEGMENT_FIXTURE_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/segment.h"

#define FIXTURE_SKIP 77
#define FIXTURE_OTHER_UID 12345

/* In a child only: says where and ends it. */
#define check(cond)                                                                                \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			fprintf(stderr, "%s:%d: child: %s\n", __FILE__, __LINE__, #cond);          \
			_exit(1);                                                                  \
		}                                                                                  \
	} while (0)

static char fixture_dir[64];

static inline int fixture_setup(void **state)
{
	(void)state;
	snprintf(fixture_dir, sizeof(fixture_dir), "/dev/shm/sluice-test.%d", (int)getpid());
	if (mkdir(fixture_dir, 0755) || setenv("SLUICE_SHM_DIR", fixture_dir, 1) ||
	    setenv("SLUICE_HUGETLB_DIR", "/nonexistent", 1))
		return -1;
	return 0;
}

/* Files left in the directory; they are removed if asked. */
static inline uint32_t fixture_files(bool clean)
{
	DIR *stream = opendir(fixture_dir);
	const struct dirent *found;
	uint32_t count = 0;

	while (stream && (found = readdir(stream))) {
		if (!strcmp(found->d_name, ".") || !strcmp(found->d_name, ".."))
			continue;
		count++;
		if (clean && unlinkat(dirfd(stream), found->d_name, 0))
			unlinkat(dirfd(stream), found->d_name, AT_REMOVEDIR);
	}
	if (stream)
		closedir(stream);
	return count;
}

static inline int fixture_clean(void **state)
{
	(void)state;
	fixture_files(true);
	return 0;
}

static inline int fixture_teardown(void **state)
{
	fixture_clean(state);
	return rmdir(fixture_dir);
}

static inline struct sluice_segment_options fixture_options(const char *name)
{
	return (struct sluice_segment_options){
		.name = name,
		.slot_count = 64,
		.slot_stride = 64,
		.publication = SLUICE_PUBLICATION_STAMPED,
		.producer_mode = SLUICE_PRODUCER_MULTI,
		.event_kind = SLUICE_EVENT_RAW,
		.participant_count = 4,
		.counter_count = 8,
		.histogram_count = 1,
		.directory_count = 16,
		.hugepages = SLUICE_HUGEPAGES_OFF,
		.numa_node = -1,
	};
}

static inline void fixture_path(char path[256], const char *name)
{
	snprintf(path, 256, "%s/sluice.%s", fixture_dir, name);
}

/* cmocka's handlers would go on with the suite in the child; a killed suite leaves no child. */
static inline void fixture_default_signals(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() == 1)
		_exit(1); /* it died before */
	signal(SIGSEGV, SIG_DFL);
	signal(SIGBUS, SIG_DFL);
	signal(SIGABRT, SIG_DFL);
}

/* Runs body in a child; its exit code, or 256 and the signal that ended it. */
static inline int fixture_run(void (*body)(void *arg), void *arg)
{
	pid_t pid;
	int status;

	fflush(NULL);
	pid = fork();
	if (pid < 0)
		return -1;
	if (!pid) {
		fixture_default_signals();
		body(arg);
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFSIGNALED(status) ? 256 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* A child that runs body and then waits to be killed; returns when body is done. */
static inline pid_t fixture_start(void (*body)(void *arg), void *arg)
{
	int ready[2];
	char byte;
	pid_t pid;

	fflush(NULL);
	if (pipe2(ready, O_CLOEXEC))
		return -1;
	pid = fork();
	if (!pid) {
		fixture_default_signals();
		body(arg);
		if (write(ready[1], "r", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	if (pid > 0 && read(ready[0], &byte, 1) != 1)
		pid = -1;
	close(ready[0]);
	return pid;
}

static inline void fixture_kill(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* In a child: mounts of its own, or the child ends as skipped. */
static inline void fixture_private_mounts(const char *test)
{
	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL)) {
		printf("skip: %s: no private mount namespace: %s\n", test, strerror(errno));
		fflush(stdout);
		_exit(FIXTURE_SKIP);
	}
}

#endif
