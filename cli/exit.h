/* SPDX-License-Identifier: MIT */
/*
 * exit.h - the exit codes of every program of Sluice. They are part of the interface: scripts
 * branch on them, `--help` and the man pages list them.
 */
#ifndef SLUICE_CLI_EXIT_H
#define SLUICE_CLI_EXIT_H

#include "shm/base.h"

enum sluice_exit {
	SLUICE_EXIT_OK = 0,
	SLUICE_EXIT_FAILED = 1,	     /* done, and the answer is no; or an error of no other class */
	SLUICE_EXIT_USAGE = 2,	     /* the command line, the environment or the config file */
	SLUICE_EXIT_ENVIRONMENT = 3, /* this machine cannot do, or does not allow, what was asked */
	SLUICE_EXIT_NOT_FOUND = 4,   /* no such ring or log, or one of another version or boot */
	SLUICE_EXIT_DAMAGED = 5,
	SLUICE_EXIT_TIMED_OUT = 6,
	SLUICE_EXIT_NEEDS_YES = 7, /* would destroy something */
	SLUICE_EXIT_SIGNAL = 128   /* plus the signal's number */
};

/* The code for 0 or a negative errno. */
int sluice_exit_from_error(int error);

/* What the code means, in a few words; NULL for a code that no program gives. */
const char *sluice_exit_text(int code);

#endif
