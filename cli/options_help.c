/* SPDX-License-Identifier: MIT */
/*
 * options_help.c - the table printed for people: --help in 80 columns, and each value with where it
 * came from.
 */
#include "cli/options_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "cli/exit.h"
#include "cli/json.h"

#define HELP_COLUMN 30
#define HELP_WIDTH 79

static int stream_error(FILE *out)
{
	return ferror(out) ? -EIO : 0;
}

/* Prints the words of `text` from column `at` on, and further lines from HELP_COLUMN on. */
static void print_wrapped(FILE *out, const char *text, int indent)
{
	int column = indent;

	for (;;) {
		text += strspn(text, " ");

		const int bytes = (int)strcspn(text, " ");

		if (!bytes)
			break;
		if (column > indent && column + 1 + bytes > HELP_WIDTH) {
			fprintf(out, "\n%*s", indent, "");
			column = indent;
		} else if (column > indent) {
			fputc(' ', out);
			column++;
		}
		fprintf(out, "%.*s", bytes, text);
		column += bytes;
		text += bytes;
	}
	fputc('\n', out);
}

/* The help with its default and whether it is needed. */
static void print_option_help(FILE *out, const struct sluice_option *option)
{
	char text[1024];

	if (option->required)
		snprintf(text, sizeof(text), "%s (needed)", option->help);
	else if (option->initial)
		snprintf(text, sizeof(text), "%s (default %s)", option->help, option->initial);
	else
		snprintf(text, sizeof(text), "%s", option->help);
	print_wrapped(out, text, HELP_COLUMN);
}

static void print_option(FILE *out, const struct sluice_option *option)
{
	char left[128];
	const char *value = option_value_name(option);
	int used;

	if (option->letter)
		used = snprintf(left, sizeof(left), "  -%c, --%s", option->letter, option->name);
	else
		used = snprintf(left, sizeof(left), "      --%s", option->name);
	sluice_assert((size_t)used < sizeof(left));
	if (value)
		used += snprintf(left + used, sizeof(left) - (size_t)used, " %s", value);
	if (used > HELP_COLUMN - 2)
		fprintf(out, "%s\n%*s", left, HELP_COLUMN, "");
	else
		fprintf(out, "%-*s", HELP_COLUMN, left);
	print_option_help(out, option);
}

static void print_usage(FILE *out, const struct sluice_cli_command *command)
{
	fprintf(out, "Usage: %s [OPTION]...", command->program);
	for (size_t i = 0; i < command->option_count; i++)
		if (command->options[i].required)
			fprintf(out, " --%s %s", command->options[i].name,
				option_value_name(&command->options[i]));
	for (size_t i = 0; i < positional_count(command); i++) {
		const struct sluice_positional *positional = &command->positionals[i];

		fprintf(out, positional->optional ? " [%s]%s" : " %s%s", positional->name,
			positional->repeats ? "..." : "");
	}
	fprintf(out, "\n%s.\n", command->summary);
}

static void print_positionals(FILE *out, const struct sluice_cli_command *command)
{
	if (!positional_count(command))
		return;
	fprintf(out, "\nArguments:\n");
	for (size_t i = 0; i < positional_count(command); i++) {
		fprintf(out, "  %-*s", HELP_COLUMN - 2, command->positionals[i].name);
		print_wrapped(out, command->positionals[i].help, HELP_COLUMN);
	}
}

static void print_exit_codes(FILE *out)
{
	fprintf(out, "\nExit codes:\n");
	for (int code = 0; code <= SLUICE_EXIT_SIGNAL; code++)
		if (sluice_exit_text(code))
			fprintf(out, "  %3d  %s\n", code, sluice_exit_text(code));
}

int sluice_options_help(const struct sluice_cli_command *command, FILE *out)
{
	print_usage(out, command);
	print_positionals(out, command);
	if (command->option_count)
		fprintf(out, "\nOptions:\n");
	for (size_t i = 0; i < option_total(command); i++) {
		if (i == command->option_count)
			fprintf(out, "\nOptions of every command:\n");
		print_option(out, option_at(command, i));
	}
	fputc('\n', out);
	print_wrapped(out,
		      "Each option can also be set by a variable (SLUICE_WAIT_TIMEOUT for "
		      "--wait-timeout) or by a line `option = value` of the --config file. "
		      "A flag beats the variable, the variable beats the file.",
		      0);
	fprintf(out, "\nExamples:\n");
	for (size_t i = 0; i < SLUICE_EXAMPLES_MAX && command->examples[i].command; i++)
		fprintf(out, "  %s\n      %s\n", command->examples[i].command,
			command->examples[i].does);
	print_exit_codes(out);
	return stream_error(out);
}

static const char *kind_name(enum sluice_option_kind kind)
{
	static const char *const names[] = {
		[SLUICE_KIND_FLAG] = "flag",	     [SLUICE_KIND_STRING] = "string",
		[SLUICE_KIND_COUNT] = "count",	     [SLUICE_KIND_SIZE] = "size",
		[SLUICE_KIND_DURATION] = "duration", [SLUICE_KIND_RATE] = "rate",
		[SLUICE_KIND_CHOICE] = "choice",
	};

	return names[kind];
}

static void json_option(struct sluice_json *json, const struct sluice_option *option)
{
	const char letter[2] = {option->letter, '\0'};

	sluice_json_object(json, NULL);
	sluice_json_string(json, "name", option->name);
	if (option->letter)
		sluice_json_string(json, "letter", letter);
	sluice_json_string(json, "kind", kind_name(option->kind));
	if (option_value_name(option))
		sluice_json_string(json, "value", option_value_name(option));
	if (option->initial)
		sluice_json_string(json, "default", option->initial);
	sluice_json_bool(json, "required", option->required);
	sluice_json_string(json, "help", option->help);
	sluice_json_end(json);
}

static void json_exit_codes(struct sluice_json *json)
{
	sluice_json_object(json, "exit_codes");
	for (int code = 0; code <= SLUICE_EXIT_SIGNAL; code++) {
		char key[16];

		snprintf(key, sizeof(key), "%d", code);
		if (sluice_exit_text(code))
			sluice_json_string(json, key, sluice_exit_text(code));
	}
	sluice_json_end(json);
}

int sluice_options_help_json(const struct sluice_cli_command *command, FILE *out)
{
	struct sluice_json json;

	sluice_json_init_file(&json, out);
	sluice_json_object(&json, NULL);
	sluice_json_string(&json, "program", command->program);
	sluice_json_string(&json, "summary", command->summary);
	sluice_json_array(&json, "arguments");
	for (size_t i = 0; i < positional_count(command); i++)
		sluice_json_string(&json, NULL, command->positionals[i].name);
	sluice_json_end(&json);
	sluice_json_array(&json, "options");
	for (size_t i = 0; i < option_total(command); i++)
		json_option(&json, option_at(command, i));
	sluice_json_end(&json);
	json_exit_codes(&json);
	sluice_json_end(&json);
	return sluice_json_finish(&json);
}

static void origin_text(const struct sluice_options *options, size_t index, char *ret_text,
			size_t capacity)
{
	const struct sluice_option_source *source = &options->sources[index];
	char place[320];

	option_place(options, index, place, sizeof(place));
	switch (source->origin) {
	case SLUICE_ORIGIN_DEFAULT:
		snprintf(ret_text, capacity, "default");
		break;
	case SLUICE_ORIGIN_CONFIG:
		snprintf(ret_text, capacity, "%.200s:%" PRIu32, options->standard.config,
			 source->line);
		break;
	case SLUICE_ORIGIN_ENVIRONMENT:
	case SLUICE_ORIGIN_FLAG:
		snprintf(ret_text, capacity, "%s", place);
		break;
	}
}

static void explain_json(struct sluice_json *json, const char *name, const char *value,
			 const char *origin)
{
	sluice_json_object(json, name);
	if (value)
		sluice_json_string(json, "value", value);
	else
		sluice_json_null(json, "value");
	sluice_json_string(json, "origin", origin);
	sluice_json_end(json);
}

int sluice_options_explain(const struct sluice_options *options, FILE *out, bool as_json)
{
	struct sluice_json json;

	sluice_json_init_file(&json, out);
	if (as_json)
		sluice_json_object(&json, NULL);
	for (size_t i = 0; i < option_total(options->command); i++) {
		const struct sluice_option *option = option_at(options->command, i);
		const char *value = options->sources[i].text;
		char origin[320];

		if (option_is_action(option))
			continue;
		if (!value && option->kind == SLUICE_KIND_FLAG)
			value = "no";
		origin_text(options, i, origin, sizeof(origin));
		if (as_json)
			explain_json(&json, option->name, value, origin);
		else if (value && strcmp(option->name, "config") != 0)
			fprintf(out, "%s = %-*s # %s\n", option->name,
				24 - (int)strlen(option->name), value, origin);
		else
			fprintf(out, "# %s: %s\n", option->name, value ? value : "not set");
	}
	if (!as_json)
		return stream_error(out);
	sluice_json_end(&json);
	return sluice_json_finish(&json);
}
