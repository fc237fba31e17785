/* SPDX-License-Identifier: MIT */
/*
 * options_config.c - the config file. It is read whole into one buffer, cut into lines in place;
 * the values are pointers into it. Flags and the environment have been collected before, so a line
 * never replaces them; of two lines with one key the later one counts.
 */
#include "cli/options_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct config {
	struct sluice_options *options;
	struct sluice_diag *diag;
	const char *file;
	uint32_t line;
	bool skipping; /* in the section of another program */
};

static int read_whole(FILE *file, const char *path, char **ret_text, struct sluice_diag *diag)
{
	char *text = malloc(SLUICE_CONFIG_BYTES_MAX + 1);
	int error = 0;

	if (!text)
		return sluice_diag_set(diag, ENOMEM, "no memory for the config file");

	const size_t bytes = fread(text, 1, SLUICE_CONFIG_BYTES_MAX + 1, file);

	if (ferror(file))
		error = sluice_diag_set(diag, errno ? errno : EIO,
					"cannot read the config file %.200s: %s", path,
					strerror(errno));
	else if (bytes > SLUICE_CONFIG_BYTES_MAX)
		error = sluice_diag_set(diag, EINVAL, "%.200s: more than %d bytes", path,
					SLUICE_CONFIG_BYTES_MAX);
	else if (memchr(text, '\0', bytes))
		error = sluice_diag_set(diag, EINVAL, "%.200s: is no text file", path);
	if (error) {
		free(text);
		return error;
	}
	text[bytes] = '\0';
	*ret_text = text;
	return 0;
}

static bool is_space(char letter)
{
	return letter == ' ' || letter == '\t' || letter == '\r';
}

static char *trim(char *text)
{
	while (is_space(*text))
		text++;

	char *end = text + strlen(text);

	while (end > text && is_space(end[-1]))
		end--;
	*end = '\0';
	return text;
}

/* A '#' starts a comment at the start of the line or after a blank: a value may have one inside. */
static void cut_comment(char *line)
{
	for (char *letter = line; *letter; letter++)
		if (*letter == '#' && (letter == line || is_space(letter[-1]))) {
			*letter = '\0';
			return;
		}
}

static int take_section(struct config *config, char *line)
{
	const size_t bytes = strlen(line);

	if (line[bytes - 1] != ']')
		return sluice_diag_set(config->diag, EINVAL, "%.200s:%u: \"%.100s\" lacks its ]",
				       config->file, config->line, line);
	line[bytes - 1] = '\0';
	config->skipping = strcmp(trim(line + 1), config->options->command->program) != 0;
	return 0;
}

static int refuse_key(const struct config *config, const char *key)
{
	const struct sluice_option *near = option_nearest(config->options->command, key);

	if (near)
		return sluice_diag_set(config->diag, EINVAL,
				       "%.200s:%u: unknown option \"%.60s\"; did you mean %s?",
				       config->file, config->line, key, near->name);
	return sluice_diag_set(config->diag, EINVAL, "%.200s:%u: unknown option \"%.60s\"",
			       config->file, config->line, key);
}

static int take_setting(struct config *config, char *line)
{
	struct sluice_options *options = config->options;
	char *equals = strchr(line, '=');

	if (!equals)
		return sluice_diag_set(config->diag, EINVAL,
				       "%.200s:%u: \"%.100s\" is no `option = value` line",
				       config->file, config->line, line);
	*equals = '\0';

	const char *key = trim(line);
	const size_t index = option_find(options->command, key);

	if (index == SIZE_MAX)
		return refuse_key(config, key);
	if (option_is_action(option_at(options->command, index)) || strcmp(key, "config") == 0)
		return sluice_diag_set(config->diag, EINVAL,
				       "%.200s:%u: %s is for the command line only", config->file,
				       config->line, key);
	if (!options->sources[index].text || options->sources[index].origin == SLUICE_ORIGIN_CONFIG)
		options->sources[index] = (struct sluice_option_source){
			.text = trim(equals + 1),
			.origin = SLUICE_ORIGIN_CONFIG,
			.line = config->line,
		};
	return 0;
}

static int take_line(struct config *config, char *line)
{
	cut_comment(line);
	line = trim(line);
	if (!*line)
		return 0;
	if (*line == '[')
		return take_section(config, line);
	return config->skipping ? 0 : take_setting(config, line);
}

int config_read(struct sluice_options *options, struct sluice_diag *diag)
{
	const char *path = options->standard.config;
	struct config config = {.options = options, .diag = diag, .file = path};
	FILE *file = fopen(path, "re");

	if (!file)
		return sluice_diag_set(diag, errno, "cannot open the config file %.200s: %s", path,
				       strerror(errno));

	int error = read_whole(file, path, &options->config_text, diag);

	fclose(file);
	for (char *line = options->config_text; !error && line;) {
		char *next = strchr(line, '\n');

		if (next)
			*next++ = '\0';
		config.line++;
		error = take_line(&config, line);
		line = next;
	}
	return error;
}
