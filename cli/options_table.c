/* SPDX-License-Identifier: MIT */
/*
 * options_table.c - looks into the table: the command's options followed by the standard ones,
 * names, places, and the conversion of one text into its field.
 */
#include "cli/options_internal.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "cli/value.h"

static const struct sluice_option standard[] = {
	{"help", 'h', SLUICE_OPTION_FLAG(struct sluice_standard, help),
	 .help = "print this help; with --json as one object"},
	{"help-man", 0, SLUICE_OPTION_FLAG(struct sluice_standard, help_man),
	 .help = "print the source of the man page"},
	{"help-complete", 0, SLUICE_OPTION_FLAG(struct sluice_standard, help_complete),
	 .help = "print the words for shell completion"},
	{"version", 0, SLUICE_OPTION_FLAG(struct sluice_standard, version),
	 .help = "print the version"},
	{"json", 0, SLUICE_OPTION_FLAG(struct sluice_standard, json),
	 .help = "print JSON, one object per line"},
	{"quiet", 'q', SLUICE_OPTION_FLAG(struct sluice_standard, quiet),
	 .help = "print errors only on stderr"},
	{"verbose", 'v', SLUICE_OPTION_FLAG(struct sluice_standard, verbose),
	 .help = "print more on stderr"},
	{"config", 0, SLUICE_OPTION_STRING(struct sluice_standard, config), .value = "FILE",
	 .help = "read `option = value` lines from this file"},
};

#define STANDARD_COUNT (sizeof(standard) / sizeof(standard[0]))
#define ACTION_COUNT 4 /* the first ones act at once */

size_t option_total(const struct sluice_cli_command *command)
{
	return command->option_count + STANDARD_COUNT;
}

bool option_is_standard(const struct sluice_cli_command *command, size_t index)
{
	return index >= command->option_count;
}

const struct sluice_option *option_at(const struct sluice_cli_command *command, size_t index)
{
	sluice_assert(index < option_total(command));
	return option_is_standard(command, index) ? &standard[index - command->option_count] :
						    &command->options[index];
}

bool option_is_action(const struct sluice_option *option)
{
	for (size_t i = 0; i < ACTION_COUNT; i++)
		if (option == &standard[i])
			return true;
	return false;
}

static bool same_name(const char *name, const char *typed)
{
	for (; *name && *typed; name++, typed++)
		if (*name != (*typed == '_' ? '-' : *typed))
			return false;
	return *name == *typed;
}

size_t option_find(const struct sluice_cli_command *command, const char *name)
{
	for (size_t i = 0; i < option_total(command); i++)
		if (same_name(option_at(command, i)->name, name))
			return i;
	return SIZE_MAX;
}

const struct sluice_option *option_nearest(const struct sluice_cli_command *command,
					   const char *name)
{
	const struct sluice_option *nearest = NULL;
	uint32_t distance = UINT32_MAX;

	for (size_t i = 0; i < option_total(command); i++) {
		const struct sluice_option *option = option_at(command, i);
		const uint32_t away = sluice_value_distance(name, strlen(name), option->name,
							    strlen(option->name));

		if (away < distance) {
			distance = away;
			nearest = option;
		}
	}
	return sluice_value_is_near(name, distance) ? nearest : NULL;
}

void option_environment(const struct sluice_option *option, char ret_name[ENVIRONMENT_NAME_BYTES])
{
	snprintf(ret_name, ENVIRONMENT_NAME_BYTES, "SLUICE_%s", option->name);
	for (char *letter = ret_name; *letter; letter++)
		*letter = *letter == '-' ? '_' : (char)toupper((unsigned char)*letter);
}

const char *option_value_name(const struct sluice_option *option)
{
	static const char *const by_kind[] = {
		[SLUICE_KIND_FLAG] = NULL,	 [SLUICE_KIND_STRING] = "TEXT",
		[SLUICE_KIND_COUNT] = "N",	 [SLUICE_KIND_SIZE] = "SIZE",
		[SLUICE_KIND_DURATION] = "TIME", [SLUICE_KIND_RATE] = "RATE",
		[SLUICE_KIND_CHOICE] = NULL,
	};

	if (option->value)
		return option->value;
	return option->kind == SLUICE_KIND_CHOICE ? option->words : by_kind[option->kind];
}

size_t positional_count(const struct sluice_cli_command *command)
{
	size_t count = 0;

	while (count < SLUICE_POSITIONALS_MAX && command->positionals[count].name)
		count++;
	return count;
}

void option_place(const struct sluice_options *options, size_t index, char *ret_text,
		  size_t capacity)
{
	const struct sluice_option *option = option_at(options->command, index);
	const struct sluice_option_source *source = &options->sources[index];
	char name[ENVIRONMENT_NAME_BYTES];

	option_environment(option, name);
	if (source->origin == SLUICE_ORIGIN_ENVIRONMENT)
		snprintf(ret_text, capacity, "%s", name);
	else if (source->origin == SLUICE_ORIGIN_CONFIG)
		snprintf(ret_text, capacity, "%.200s:%" PRIu32 ": %s", options->standard.config,
			 source->line, option->name);
	else
		snprintf(ret_text, capacity, "--%s", option->name);
}

static const char *accepted_text(const struct sluice_option *option)
{
	switch (option->kind) {
	case SLUICE_KIND_FLAG:
		return "yes or no";
	case SLUICE_KIND_COUNT:
		return "a whole number, also with k, M, G or Ki, Mi, Gi, such as 10k";
	case SLUICE_KIND_SIZE:
		return "bytes, or a number with K, M, G, T (of 1024), such as 64M";
	case SLUICE_KIND_DURATION:
		return "a number with ns, us, ms, s, m, h or d (without: seconds), such as 10us";
	case SLUICE_KIND_RATE:
		return "a number per second, also with k, M or G, such as 100k; or max";
	case SLUICE_KIND_STRING:
	case SLUICE_KIND_CHOICE:
		break;
	}
	return option->words;
}

/* The word of a choice that was most likely meant: its bytes within `words`, 0 if none is near. */
static int nearest_word(const char *words, const char *typed, const char **ret_word)
{
	uint32_t distance = UINT32_MAX;
	int bytes_best = 0;

	while (*words) {
		const size_t bytes = strcspn(words, "|");
		const uint32_t away = sluice_value_distance(typed, strlen(typed), words, bytes);

		if (away < distance) {
			distance = away;
			bytes_best = (int)bytes;
			*ret_word = words;
		}
		words += bytes;
		words += *words == '|';
	}
	return sluice_value_is_near(typed, distance) ? bytes_best : 0;
}

static int refuse_value(const struct sluice_options *options, size_t index, int error,
			struct sluice_diag *diag)
{
	const struct sluice_option *option = option_at(options->command, index);
	const char *text = options->sources[index].text;
	const char *word = NULL;
	char place[320];

	option_place(options, index, place, sizeof(place));
	if (error == -ERANGE)
		return sluice_diag_set(diag, EINVAL, "%s: \"%.100s\" is too large", place, text);

	const int bytes = option->kind == SLUICE_KIND_CHOICE ?
				  nearest_word(option->words, text, &word) :
				  0;

	if (bytes)
		return sluice_diag_set(
			diag, EINVAL, "%s: \"%.100s\" is not accepted, only %s; did you mean %.*s?",
			place, text, option->words, bytes, word);
	return sluice_diag_set(diag, EINVAL, "%s: \"%.100s\" is not accepted, only %s", place, text,
			       accepted_text(option));
}

static int refuse_range(const struct sluice_options *options, size_t index,
			struct sluice_diag *diag)
{
	const struct sluice_option *option = option_at(options->command, index);
	const char *unit = option->kind == SLUICE_KIND_SIZE	? " bytes" :
			   option->kind == SLUICE_KIND_DURATION ? " ns" :
			   option->kind == SLUICE_KIND_RATE	? " per second" :
								  "";
	char place[320];

	option_place(options, index, place, sizeof(place));
	if (!option->max)
		return sluice_diag_set(diag, EINVAL,
				       "%s: \"%.100s\" is not accepted, only %" PRIu64 "%s or more",
				       place, options->sources[index].text, option->min, unit);
	return sluice_diag_set(diag, EINVAL,
			       "%s: \"%.100s\" is not accepted, only %" PRIu64 " to %" PRIu64 "%s",
			       place, options->sources[index].text, option->min, option->max, unit);
}

static int parse_number(const struct sluice_option *option, const char *text, uint64_t *ret_value)
{
	switch (option->kind) {
	case SLUICE_KIND_SIZE:
		return sluice_value_size(text, ret_value);
	case SLUICE_KIND_DURATION:
		return sluice_value_duration(text, ret_value);
	case SLUICE_KIND_RATE:
		return sluice_value_rate(text, ret_value);
	default:
		return sluice_value_count(text, ret_value);
	}
}

static int store_number(const struct sluice_options *options, size_t index, uint64_t *field,
			struct sluice_diag *diag)
{
	const struct sluice_option *option = option_at(options->command, index);
	uint64_t number;
	const int error = parse_number(option, options->sources[index].text, &number);

	if (error)
		return refuse_value(options, index, error, diag);
	if (number < option->min || (option->max && number > option->max))
		return refuse_range(options, index, diag);
	if (field)
		*field = number;
	return 0;
}

int option_store(const struct sluice_options *options, size_t index, void *values,
		 struct sluice_diag *diag)
{
	const struct sluice_option *option = option_at(options->command, index);
	const char *text = options->sources[index].text;
	void *field = values ? (char *)values + option->offset : NULL;
	uint32_t choice;
	bool flag;
	int error = 0;

	switch (option->kind) {
	case SLUICE_KIND_STRING:
		if (field)
			*(const char **)field = text;
		break;
	case SLUICE_KIND_FLAG:
		error = sluice_value_flag(text, &flag);
		if (!error && field)
			*(bool *)field = flag;
		break;
	case SLUICE_KIND_CHOICE:
		error = sluice_value_choice(text, option->words, &choice);
		if (!error && field)
			*(uint32_t *)field = choice;
		break;
	default:
		return store_number(options, index, field, diag);
	}
	return error ? refuse_value(options, index, error, diag) : 0;
}
