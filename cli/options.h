/* SPDX-License-Identifier: MIT */
/*
 * options.h - the command line of every program: one table per command is the parser, the help, the
 * man page and the completion words, so that they cannot differ.
 *
 * A value comes from the flag, else from the environment (SLUICE_WAIT_TIMEOUT for --wait-timeout;
 * an empty variable counts as unset), else from the config file, else from the table's default.
 * Config file (--config FILE or SLUICE_CONFIG): `key = value` lines, # comments; a key is an
 * option's name without dashes. A line [sluice-engine] makes the keys after it belong to that
 * program alone, so that one file serves all; an unknown key is refused.
 *
 * Each command has by itself: -h --help, --help-man, --help-complete, --version, --json, -q
 * --quiet, -v --verbose, --config FILE. A flag may be given as --flag=no, to overrule a config
 * file.
 *
 *	struct engine_options { const char *name; uint64_t wait_timeout_ns; bool once; };
 *	static const struct sluice_option table[] = {
 *		{"name", 'n', SLUICE_OPTION_STRING(struct engine_options, name), .value = "NAME",
 *		 .required = true, .help = "the instance"},
 *		...
 *	if (!sluice_options_start(&options, &command, argc, argv, &values, &exit_code))
 *		return exit_code;
 *
 * Main thread, start-up only.
 */
#ifndef SLUICE_CLI_OPTIONS_H
#define SLUICE_CLI_OPTIONS_H

#include <stdio.h>

#include "shm/diag.h"

#define SLUICE_OPTIONS_MAX 64 /* of one command, the standard ones included */
#define SLUICE_POSITIONALS_MAX 4
#define SLUICE_EXAMPLES_MAX 4
#define SLUICE_CONFIG_BYTES_MAX 65536

enum sluice_option_kind {
	SLUICE_KIND_FLAG,     /* bool */
	SLUICE_KIND_STRING,   /* const char *; lives as long as argv, environ and the options */
	SLUICE_KIND_COUNT,    /* uint64_t; 1_000, 10k, 4Mi */
	SLUICE_KIND_SIZE,     /* uint64_t bytes; 64M is 64 * 1024 * 1024 */
	SLUICE_KIND_DURATION, /* uint64_t ns; 10us, 5s, 2m; without a unit: seconds */
	SLUICE_KIND_RATE,     /* uint64_t per second; 100k; max is 0 */
	SLUICE_KIND_CHOICE    /* uint32_t index into words */
};

/* An option's kind and place; does not compile if the field has another type. */
#define SLUICE_OPTION_INTO(option_kind, field_type, type, field)                                   \
	.kind = option_kind,                                                                       \
	.offset =                                                                                  \
		offsetof(type, field) +                                                            \
		0 * sizeof(struct {                                                                \
			_Static_assert(_Generic(((type *)0)->field, field_type : 1, default : 0),  \
				       #field " has not the type of its option");                  \
			int unused;                                                                \
		})
#define SLUICE_OPTION_FLAG(type, field) SLUICE_OPTION_INTO(SLUICE_KIND_FLAG, bool, type, field)
#define SLUICE_OPTION_STRING(type, field)                                                          \
	SLUICE_OPTION_INTO(SLUICE_KIND_STRING, const char *, type, field)
#define SLUICE_OPTION_COUNT(type, field)                                                           \
	SLUICE_OPTION_INTO(SLUICE_KIND_COUNT, uint64_t, type, field)
#define SLUICE_OPTION_SIZE(type, field) SLUICE_OPTION_INTO(SLUICE_KIND_SIZE, uint64_t, type, field)
#define SLUICE_OPTION_DURATION(type, field)                                                        \
	SLUICE_OPTION_INTO(SLUICE_KIND_DURATION, uint64_t, type, field)
#define SLUICE_OPTION_RATE(type, field) SLUICE_OPTION_INTO(SLUICE_KIND_RATE, uint64_t, type, field)
#define SLUICE_OPTION_CHOICE(type, field)                                                          \
	SLUICE_OPTION_INTO(SLUICE_KIND_CHOICE, uint32_t, type, field)

struct sluice_option {
	const char *name; /* without the dashes, lower case and '-' */
	char letter;	  /* 0: none */
	enum sluice_option_kind kind;
	size_t offset;	     /* into the caller's struct */
	const char *value;   /* what stands for the value in the help, e.g. "NAME"; NULL: by kind */
	const char *words;   /* CHOICE: "one|two|three" */
	const char *initial; /* the default, as typed; NULL: the field keeps its own */
	uint64_t min;	     /* of numbers */
	uint64_t max;	     /* 0: no limit */
	bool required;
	const char *help; /* a phrase without a full stop */
};

struct sluice_option_list { /* of a positional that repeats */
	char **items;
	size_t count;
};

struct sluice_positional {
	const char *name; /* upper case */
	const char *help;
	size_t offset; /* of a const char *, or of a struct sluice_option_list if it repeats */
	bool optional; /* the field stays as it was */
	bool repeats;  /* takes all that are left; the last one only */
};

struct sluice_example {
	const char *command;
	const char *does;
};

/* Not "sluice_command": that is what travels in the ring (shm/events.h). */
struct sluice_cli_command {
	const char *program;	 /* "sluice-engine", "sluice ls" */
	const char *summary;	 /* a phrase without a full stop */
	const char *description; /* paragraphs, separated by an empty line; may be NULL */
	const struct sluice_option *options;
	size_t option_count;
	struct sluice_positional positionals[SLUICE_POSITIONALS_MAX]; /* up to the first nameless */
	struct sluice_example examples[SLUICE_EXAMPLES_MAX];	      /* two at least */
};

enum sluice_origin {
	SLUICE_ORIGIN_DEFAULT,
	SLUICE_ORIGIN_CONFIG,
	SLUICE_ORIGIN_ENVIRONMENT,
	SLUICE_ORIGIN_FLAG
};

enum sluice_show { /* what the command line asked for instead of running */
		   SLUICE_SHOW_NOTHING,
		   SLUICE_SHOW_HELP,
		   SLUICE_SHOW_MAN,
		   SLUICE_SHOW_COMPLETE,
		   SLUICE_SHOW_VERSION
};

struct sluice_option_source { /* where one value came from */
	const char *text;     /* as typed; NULL: none, not even a default */
	enum sluice_origin origin;
	uint32_t line; /* of the config file */
};

struct sluice_standard { /* the options that every command has */
	bool help, help_man, help_complete, version;
	bool json, quiet, verbose;
	const char *config;
};

struct sluice_options {
	const struct sluice_cli_command *command;
	struct sluice_standard standard;
	enum sluice_show show;
	char *config_text; /* values of kind STRING may point into it */
	struct sluice_option_source sources[SLUICE_OPTIONS_MAX];
};

/*
 * Fills `values` and *ret_options. 0; -EINVAL: wrong use (exit code 2), diag says what and what is
 * accepted; another negative errno if the config file cannot be read. argv is permuted. When
 * ret_options->show is set, required things may be missing and `values` is unchanged. Also after a
 * failure ret_options->standard.json tells how to report it.
 */
int sluice_options_parse(struct sluice_options *ret_options,
			 const struct sluice_cli_command *command, int argc, char **argv,
			 void *values, struct sluice_diag *diag);

/*
 * Parses, sets up report.h, and does what --help, --version and their like ask. True: go on. False:
 * leave with *ret_exit_code; everything has been said.
 */
bool sluice_options_start(struct sluice_options *ret_options,
			  const struct sluice_cli_command *command, int argc, char **argv,
			  void *values, int *ret_exit_code);

/* Frees the config file's text. */
void sluice_options_release(struct sluice_options *options);

/* Where the value of --name came from; the name must be in the table. */
enum sluice_origin sluice_options_origin(const struct sluice_options *options, const char *name);

/*
 * Every option with its value and origin, as lines of a config file:
 *	durability = batch                      # default
 * or, if `json`, as one object. -EIO: the stream is broken.
 */
int sluice_options_explain(const struct sluice_options *options, FILE *out, bool json);

/* What --help, --help-man (source of man(7)) and --help-complete print; 0 or -EIO. */
int sluice_options_help(const struct sluice_cli_command *command, FILE *out);
int sluice_options_help_json(const struct sluice_cli_command *command, FILE *out);
int sluice_options_man(const struct sluice_cli_command *command, FILE *out);
/* One line per option: `--name <NAME>`, `--durability batch async off`, `--once`. */
int sluice_options_complete(const struct sluice_cli_command *command, FILE *out);

#endif
