/* SPDX-License-Identifier: MIT */
/*
 * tool.h - the commands of the program `sluice`, and the table that finds them. A command is a row:
 * its option table (help, man page and completion come from it) and a function that returns the
 * exit code. A group ("wal", "inspect") has rows of its own. Main thread only.
 */
#ifndef SLUICE_TOOLS_TOOL_H
#define SLUICE_TOOLS_TOOL_H

#include <stdio.h>

#include "cli/options.h"

struct sluice_tool {
	const char *name;
	const char *summary; /* of a group; a command has its own */
	const struct sluice_cli_command *command;
	int (*run)(int argc, char **argv);	/* argv[0] is the command's name */
	const struct sluice_tool *const *group; /* up to NULL; NULL: a command */
};

/* The commands of `sluice`, in the order of its help, up to NULL. */
extern const struct sluice_tool *const sluice_tools[];

/* The rows of the groups and of the program, each defined in the file of its name. */
extern const struct sluice_tool sluice_tool_ls;
extern const struct sluice_tool sluice_tool_stat;
extern const struct sluice_tool sluice_tool_book;
extern const struct sluice_tool sluice_tool_inspect;
extern const struct sluice_tool sluice_tool_wal;
extern const struct sluice_tool sluice_tool_wal_dump;
extern const struct sluice_tool sluice_tool_wal_verify;
extern const struct sluice_tool sluice_tool_wal_stat;
extern const struct sluice_tool sluice_tool_wal_inspect;
extern const struct sluice_tool sluice_tool_wal_truncate;
extern const struct sluice_tool sluice_tool_gc;
extern const struct sluice_tool sluice_tool_evict;
extern const struct sluice_tool sluice_tool_drain;
extern const struct sluice_tool sluice_tool_retire;
extern const struct sluice_tool sluice_tool_demo;
extern const struct sluice_tool sluice_tool_completion;
extern const struct sluice_tool sluice_tool_help;
extern const struct sluice_tool sluice_tool_version;

/* The programs that `sluice NAME` runs as sluice-NAME, up to NULL. */
extern const char *const sluice_tool_programs[];

const char *sluice_tool_summary(const struct sluice_tool *tool);
const struct sluice_tool *sluice_tool_find(const struct sluice_tool *const *table,
					   const char *name);

/* Commands, programs and help topics, a line each. */
void sluice_tool_print_list(FILE *out);

/* The name in the table that was most likely meant, or NULL. */
const char *sluice_tool_nearest(const struct sluice_tool *const *table, const char *name);

/* Runs argv[1] out of a group; does --help and --help-complete of the group itself. */
int sluice_tool_run_group(const struct sluice_tool *group, int argc, char **argv);

/*
 * The path of a program of this project: beside this one, else its bare name for a search in PATH.
 * False: the name is too long for the buffer.
 */
bool sluice_tool_path(const char *program, char *ret_path, size_t capacity);

/* Ends the data on stdout: `code`, or an error when it could not be written. */
int sluice_tool_finish(const char *program, int code);

#endif
