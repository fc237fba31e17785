/* SPDX-License-Identifier: MIT */
/* options_internal.h - what the parts of the option parser share. Not for use outside cli/. */
#ifndef SLUICE_CLI_OPTIONS_INTERNAL_H
#define SLUICE_CLI_OPTIONS_INTERNAL_H

#include "cli/options.h"

#define ENVIRONMENT_NAME_BYTES 80

/* The command's own options and, behind them, the standard ones (of struct sluice_standard). */
size_t option_total(const struct sluice_cli_command *command);
const struct sluice_option *option_at(const struct sluice_cli_command *command, size_t index);
bool option_is_standard(const struct sluice_cli_command *command, size_t index);

/* -h --help and its like: on the command line only. */
bool option_is_action(const struct sluice_option *option);

/* Index of the option, SIZE_MAX if there is none. '_' in the name is taken for '-'. */
size_t option_find(const struct sluice_cli_command *command, const char *name);

/* The option whose name was most likely meant, or NULL. */
const struct sluice_option *option_nearest(const struct sluice_cli_command *command,
					   const char *name);

/* "SLUICE_WAIT_TIMEOUT" */
void option_environment(const struct sluice_option *option, char ret_name[ENVIRONMENT_NAME_BYTES]);

/* What stands for the value in the help: NAME, SIZE, one|two|three; NULL for a flag. */
const char *option_value_name(const struct sluice_option *option);

/* How many positionals the command has. */
size_t positional_count(const struct sluice_cli_command *command);

/*
 * Reads options->standard.config and fills the sources that have no other origin yet; the text
 * stays in options->config_text. -EINVAL: a line that is not understood; else what open or read
 * said.
 */
int config_read(struct sluice_options *options, struct sluice_diag *diag);

/* "--rate", "SLUICE_RATE" or "FILE:12: rate": how to name the place of a value. */
void option_place(const struct sluice_options *options, size_t index, char *ret_text,
		  size_t capacity);

/* Parses source->text into the field. -EINVAL: one line that says what is accepted. */
int option_store(const struct sluice_options *options, size_t index, void *values,
		 struct sluice_diag *diag);

#endif
