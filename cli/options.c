/* SPDX-License-Identifier: MIT */
/*
 * options.c - collects for each option one text by order of precedence, then converts them all.
 * Collecting first means that a wrong line in a config file does not matter when a flag overrules
 * it, and that the caller's struct is written only when everything is right.
 */
#include "cli/options_internal.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "cli/exit.h"
#include "cli/json.h"
#include "cli/report.h"
#include "cli/version.h"

#define FIRST_VALUE 256 /* of long options in getopt_long: beyond every letter */

struct getopt_tables {
	struct option options[SLUICE_OPTIONS_MAX + 1];
	char letters[3 * SLUICE_OPTIONS_MAX + 2];
};

/* ':' first: getopt_long tells a missing argument from an unknown option, and prints nothing. */
static void getopt_tables_fill(const struct sluice_cli_command *command,
			       struct getopt_tables *tables)
{
	char *letter = tables->letters;
	const size_t total = option_total(command);

	sluice_assert(total <= SLUICE_OPTIONS_MAX);
	*letter++ = ':';
	for (size_t i = 0; i < total; i++) {
		const struct sluice_option *option = option_at(command, i);
		const bool is_flag = option->kind == SLUICE_KIND_FLAG;

		tables->options[i] = (struct option){
			.name = option->name,
			.has_arg = option_is_action(option) ? no_argument :
				   is_flag		    ? optional_argument :
							      required_argument,
			.val = FIRST_VALUE + (int)i,
		};
		if (option->letter) {
			*letter++ = option->letter;
			if (!is_flag)
				*letter++ = ':';
		}
	}
	tables->options[total] = (struct option){0};
	*letter = '\0';
}

static size_t index_of_letter(const struct sluice_cli_command *command, int letter)
{
	for (size_t i = 0; i < option_total(command); i++)
		if (option_at(command, i)->letter == letter)
			return i;
	return SIZE_MAX;
}

static size_t count_prefixed(const struct sluice_cli_command *command, const char *name,
			     size_t bytes)
{
	size_t count = 0;

	for (size_t i = 0; i < option_total(command); i++)
		count += strncmp(option_at(command, i)->name, name, bytes) == 0;
	return count;
}

/* getopt_long said '?': which word was it, and what may have been meant? */
static int refuse_unknown(const struct sluice_cli_command *command, const char *word,
			  struct sluice_diag *diag)
{
	const size_t known = optopt >= FIRST_VALUE ? (size_t)(optopt - FIRST_VALUE) : SIZE_MAX;
	char name[64];
	const size_t bytes = strcspn(word + 2, "=");

	if (known != SIZE_MAX)
		return sluice_diag_set(diag, EINVAL, "--%s takes no value",
				       option_at(command, known)->name);
	if (optopt)
		return sluice_diag_set(diag, EINVAL, "unknown option -%c", optopt);
	snprintf(name, sizeof(name), "%.*s", bytes < 63 ? (int)bytes : 63, word + 2);
	if (count_prefixed(command, name, strlen(name)) > 1)
		return sluice_diag_set(diag, EINVAL, "--%s is short for more than one option",
				       name);

	const struct sluice_option *near = option_nearest(command, name);

	if (near)
		return sluice_diag_set(diag, EINVAL, "unknown option --%s; did you mean --%s?",
				       name, near->name);
	return sluice_diag_set(diag, EINVAL, "unknown option --%s", name);
}

static int refuse_missing(const struct sluice_cli_command *command, struct sluice_diag *diag)
{
	const size_t index = optopt >= FIRST_VALUE ? (size_t)(optopt - FIRST_VALUE) :
						     index_of_letter(command, optopt);
	const struct sluice_option *option = option_at(command, index);

	return sluice_diag_set(diag, EINVAL, "--%s needs a value: --%s=%s", option->name,
			       option->name, option_value_name(option));
}

static void take_flag(struct sluice_options *options, size_t index, const char *text)
{
	const struct sluice_option *option = option_at(options->command, index);

	if (option_is_action(option)) {
		options->show = strcmp(option->name, "help") == 0	   ? SLUICE_SHOW_HELP :
				strcmp(option->name, "help-man") == 0	   ? SLUICE_SHOW_MAN :
				strcmp(option->name, "help-complete") == 0 ? SLUICE_SHOW_COMPLETE :
									     SLUICE_SHOW_VERSION;
		return;
	}
	options->sources[index] = (struct sluice_option_source){
		.text = text ? text : "yes",
		.origin = SLUICE_ORIGIN_FLAG,
	};
}

static int collect_flags(struct sluice_options *options, int argc, char **argv,
			 struct sluice_diag *diag)
{
	struct getopt_tables tables;

	getopt_tables_fill(options->command, &tables);
	opterr = 0;
	optind = 0; /* glibc: start afresh */
	for (;;) {
		const int at = optind ? optind : 1;
		const int value = getopt_long(argc, argv, tables.letters, tables.options, NULL);

		if (value == -1)
			return 0;
		if (value == ':')
			return refuse_missing(options->command, diag);
		if (value == '?') /* an unknown long option is the word just stepped over */
			return refuse_unknown(options->command, argv[optind > at ? optind - 1 : at],
					      diag);
		take_flag(options,
			  value >= FIRST_VALUE ? (size_t)(value - FIRST_VALUE) :
						 index_of_letter(options->command, value),
			  optarg);
	}
}

static void collect_environment(struct sluice_options *options)
{
	for (size_t i = 0; i < option_total(options->command); i++) {
		const struct sluice_option *option = option_at(options->command, i);
		char name[ENVIRONMENT_NAME_BYTES];

		if (options->sources[i].text || option_is_action(option))
			continue;
		option_environment(option, name);

		const char *text = getenv(name);

		if (text && *text)
			options->sources[i] = (struct sluice_option_source){
				.text = text,
				.origin = SLUICE_ORIGIN_ENVIRONMENT,
			};
	}
}

static int collect_config(struct sluice_options *options, struct sluice_diag *diag)
{
	options->standard.config = options->sources[option_find(options->command, "config")].text;
	return options->standard.config ? config_read(options, diag) : 0;
}

static int require_all(struct sluice_options *options, struct sluice_diag *diag)
{
	for (size_t i = 0; i < option_total(options->command); i++) {
		const struct sluice_option *option = option_at(options->command, i);
		char name[ENVIRONMENT_NAME_BYTES];

		if (!options->sources[i].text)
			options->sources[i].text = option->initial;
		if (options->sources[i].text || !option->required)
			continue;
		option_environment(option, name);
		return sluice_diag_set(diag, EINVAL, "--%s %s is needed (or %s): %s", option->name,
				       option_value_name(option), name, option->help);
	}
	return 0;
}

/* Everything is converted twice: into nowhere first, so that `values` is all or nothing. */
static int store_all(struct sluice_options *options, void *values, struct sluice_diag *diag)
{
	for (int is_real = 0; is_real < 2; is_real++)
		for (size_t i = 0; i < option_total(options->command); i++) {
			const bool standard = option_is_standard(options->command, i);
			void *into = standard ? &options->standard : values;

			if (!options->sources[i].text)
				continue;

			const int error = option_store(options, i, is_real ? into : NULL, diag);

			if (error)
				return error;
		}
	return 0;
}

static int check_positionals(const struct sluice_cli_command *command, int argc, char **argv,
			     struct sluice_diag *diag)
{
	const size_t given = (size_t)(argc - optind);
	const size_t known = positional_count(command);
	const bool repeats = known && command->positionals[known - 1].repeats;

	if (given > known && !repeats)
		return sluice_diag_set(diag, EINVAL, "unexpected argument \"%.200s\"",
				       argv[optind + (int)known]);
	for (size_t i = given; i < known; i++)
		if (!command->positionals[i].optional)
			return sluice_diag_set(diag, EINVAL, "%s is missing: %s",
					       command->positionals[i].name,
					       command->positionals[i].help);
	return 0;
}

static void store_positionals(const struct sluice_cli_command *command, int argc, char **argv,
			      void *values)
{
	const size_t given = (size_t)(argc - optind);
	const size_t known = positional_count(command);

	for (size_t i = 0; i < known; i++) {
		const struct sluice_positional *positional = &command->positionals[i];
		void *field = (char *)values + positional->offset;

		if (positional->repeats)
			*(struct sluice_option_list *)field = (struct sluice_option_list){
				argv + optind + (i < given ? i : given), i < given ? given - i : 0};
		else if (i < given)
			*(const char **)field = argv[optind + (int)i];
	}
}

/* How to report an error that was met before all values were converted. */
static void settle_output(struct sluice_options *options)
{
	static const char *const names[] = {"json", "quiet", "verbose"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const size_t index = option_find(options->command, names[i]);

		if (options->sources[index].text)
			option_store(options, index, &options->standard, NULL);
	}
}

int sluice_options_parse(struct sluice_options *ret_options,
			 const struct sluice_cli_command *command, int argc, char **argv,
			 void *values, struct sluice_diag *diag)
{
	struct sluice_options options = {.command = command};
	int error = collect_flags(&options, argc, argv, diag);

	collect_environment(&options);
	if (options.show) /* help was asked for before something that is not understood */
		error = 0;
	if (!error && !options.show) {
		error = collect_config(&options, diag);
		if (!error)
			error = require_all(&options, diag);
		if (!error)
			error = check_positionals(command, argc, argv, diag);
		if (!error)
			error = store_all(&options, values, diag);
		if (!error)
			store_positionals(command, argc, argv, values);
	}
	if (error || options.show)
		settle_output(&options);
	if (error) {
		if (diag && !diag->hint[0])
			sluice_diag_hint(diag, "%s --help", command->program);
		sluice_options_release(&options);
	}
	*ret_options = options;
	return error;
}

static int show(const struct sluice_options *options)
{
	const struct sluice_cli_command *command = options->command;
	struct sluice_json json;

	if (options->show == SLUICE_SHOW_MAN)
		return sluice_options_man(command, stdout);
	if (options->show == SLUICE_SHOW_COMPLETE)
		return sluice_options_complete(command, stdout);
	if (options->show == SLUICE_SHOW_HELP)
		return options->standard.json ? sluice_options_help_json(command, stdout) :
						sluice_options_help(command, stdout);
	if (!options->standard.json)
		return printf("%s %s\n", command->program, SLUICE_VERSION) < 0 ? -EIO : 0;
	sluice_json_init_file(&json, stdout);
	sluice_json_object(&json, NULL);
	sluice_json_string(&json, "program", command->program);
	sluice_json_string(&json, "version", SLUICE_VERSION);
	sluice_json_end(&json);
	return sluice_json_finish(&json);
}

bool sluice_options_start(struct sluice_options *ret_options,
			  const struct sluice_cli_command *command, int argc, char **argv,
			  void *values, int *ret_exit_code)
{
	struct sluice_diag diag = {.text = ""};
	const int error = sluice_options_parse(ret_options, command, argc, argv, values, &diag);
	const struct sluice_standard *standard = &ret_options->standard;

	sluice_cli_set_output(standard->json, standard->quiet, standard->verbose);
	if (error) {
		*ret_exit_code = sluice_cli_error(command->program,
						  error == -EINVAL ? SLUICE_EXIT_USAGE :
								     sluice_exit_from_error(error),
						  &diag);
		return false;
	}
	if (ret_options->show == SLUICE_SHOW_NOTHING)
		return true;
	*ret_exit_code = show(ret_options) || fflush(stdout) ? SLUICE_EXIT_FAILED : SLUICE_EXIT_OK;
	return false;
}

void sluice_options_release(struct sluice_options *options)
{
	free(options->config_text);
	options->config_text = NULL;
}

enum sluice_origin sluice_options_origin(const struct sluice_options *options, const char *name)
{
	const size_t index = option_find(options->command, name);

	sluice_assert(index != SIZE_MAX);
	return options->sources[index].origin;
}
