/* SPDX-License-Identifier: MIT */
/*
 * report.h - what a program says on stderr: errors with what to type next, and log lines. Data goes
 * to stdout and not through here. One line is one write, so that lines of several processes on one
 * terminal do not mix. Any thread, after sluice_cli_set_output.
 */
#ifndef SLUICE_CLI_REPORT_H
#define SLUICE_CLI_REPORT_H

#include "shm/diag.h"

/* How this process talks: called once, by the option parser, before other threads exist. */
void sluice_cli_set_output(bool json, bool quiet, bool verbose);

bool sluice_cli_is_json(void);
bool sluice_cli_is_quiet(void);
bool sluice_cli_is_verbose(void);

/*
 *   sluice-engine: <text>
 *     try: <first line of the hint>
 *     or:  <each further line>
 * or, with --json, {"program":...,"code":...,"message":...,"hint":[...]}. Also when quiet. Returns
 * `code`, so that a program can end with `return sluice_cli_error(...)`. The code is one of
 * enum sluice_exit.
 */
int sluice_cli_error(const char *program, int code, const struct sluice_diag *diag);

/* The same for the result of a call: the code is that of the negative errno `error`. */
int sluice_cli_fail(const char *program, int error, const struct sluice_diag *diag);

/*
 * One line `time=2025-01-31T12:00:00.000Z program=NAME <text>`; the text is key=value pairs.
 * Control characters in it become '?'. Nothing when quiet; `_verbose`: only with -v.
 */
void sluice_cli_log(const char *program, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void sluice_cli_log_verbose(const char *program, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
