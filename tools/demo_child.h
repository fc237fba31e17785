/* SPDX-License-Identifier: MIT */
/*
 * demo_child.h - the programs that the demo runs: each in a process group of its own, so that
 * Ctrl-C reaches the demo alone, with its output in files of the demo's directory. A child is told
 * to end by the kernel when the demo dies. Main thread.
 */
#ifndef SLUICE_TOOLS_DEMO_CHILD_H
#define SLUICE_TOOLS_DEMO_CHILD_H

#include <stdio.h>
#include <sys/types.h>

#include "shm/diag.h"

#define SLUICE_DEMO_PATH_BYTES 512
#define SLUICE_DEMO_ARGS_MAX 32

struct sluice_demo_child {
	const char *program; /* "sluice-engine" */
	char out_path[SLUICE_DEMO_PATH_BYTES];
	char error_path[SLUICE_DEMO_PATH_BYTES];
	const char *argv[SLUICE_DEMO_ARGS_MAX + 1];
	uint32_t argc;
	pid_t pid; /* 0: does not run */
	int status;
	bool started;
};

/* Prepares a child whose output goes to `dir`. */
void sluice_demo_child_init(struct sluice_demo_child *child, const char *program, const char *dir);

/* The text must outlive the child. */
void sluice_demo_child_arg(struct sluice_demo_child *child, const char *arg);

/* 0 or -errno; a program that cannot be run ends with status 127 and says why in its file. */
int sluice_demo_child_start(struct sluice_demo_child *child, struct sluice_diag *diag);

/* Looks whether it has ended, without waiting. True while it runs. */
bool sluice_demo_child_runs(struct sluice_demo_child *child);

/* Sends the signal, and waits up to timeout_ns for the end; then SIGKILL and waits. */
void sluice_demo_child_end(struct sluice_demo_child *child, int signal, uint64_t timeout_ns);

/* Exit code of an ended child; 128 + n after signal n; -1: never started or still runs. */
int sluice_demo_child_code(const struct sluice_demo_child *child);

/* The last lines that it said, each behind its name. */
void sluice_demo_child_tail(const struct sluice_demo_child *child, FILE *out);

#endif
