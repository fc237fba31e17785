/* SPDX-License-Identifier: MIT */
#include "producer/source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "producer/csv.h"
#include "producer/jsonl.h"
#include "producer/lines.h"
#include "producer/lobster.h"

struct sluice_source {
	struct sluice_source_options options;
	uint32_t format; /* never AUTO; 0 for the generator */
	struct sluice_lines lines;
	struct sluice_csv csv;
	struct sluice_lobster lobster;
	struct sluice_generator *generator;
	struct sluice_symbols symbols;
	struct sluice_row row; /* of the line that is being read */
	struct sluice_source_item held;
	bool holding; /* `held` waits to be finished */
	char lobster_symbol[SLUICE_NAME_BYTES];
	uint64_t commands;
	uint64_t client_seq;
	bool no_header; /* the CSV header was wrong: no line of the file can be read */
};

static const char *const format_names[SLUICE_FORMATS] = {"auto", "csv", "jsonl", "lobster"};
const struct sluice_words sluice_format_words = {"format", format_names, SLUICE_FORMATS};

/* ------------------------------------------------------------------------------------ open */

static bool ends_with(const char *text, size_t bytes, const char *end)
{
	size_t end_bytes = strlen(end);

	return bytes >= end_bytes && memcmp(text + bytes - end_bytes, end, end_bytes) == 0;
}

static uint32_t format_of_name(const char *path)
{
	size_t bytes = strlen(path);

	if (ends_with(path, bytes, ".gz"))
		bytes -= strlen(".gz");
	if (ends_with(path, bytes, ".jsonl") || ends_with(path, bytes, ".ndjson") ||
	    ends_with(path, bytes, ".json"))
		return SLUICE_FORMAT_JSONL;
	if (ends_with(path, bytes, ".csv"))
		return strstr(path, "_message_") ? SLUICE_FORMAT_LOBSTER : SLUICE_FORMAT_CSV;
	return SLUICE_FORMAT_AUTO;
}

/* LOBSTER files begin with a time, the header of a CSV file with a name. */
static uint32_t format_of_bytes(struct sluice_source *source, struct sluice_diag *diag)
{
	int first = sluice_lines_peek(&source->lines, diag);

	if (first == '{')
		return SLUICE_FORMAT_JSONL;
	return first >= '0' && first <= '9' ? SLUICE_FORMAT_LOBSTER : SLUICE_FORMAT_CSV;
}

static int open_lobster(struct sluice_source *source, struct sluice_diag *diag)
{
	const char *symbol = source->options.symbol;

	if (!symbol) {
		sluice_lobster_symbol(source->options.path, source->lobster_symbol);
	} else if (sluice_name_is_valid(symbol, strlen(symbol))) {
		memcpy(source->lobster_symbol, symbol, strlen(symbol));
	} else {
		return sluice_diag_set(diag, EINVAL,
				       "symbol %s is not a name: 1 to 23 of A-Z a-z 0-9 . _ / -",
				       sluice_quote(symbol, strlen(symbol)).text);
	}
	return sluice_lobster_init(&source->lobster, source->options.lobster_tick, diag);
}

static int open_file(struct sluice_source *source, struct sluice_diag *diag)
{
	int err = sluice_lines_open(&source->lines, source->options.path, diag);

	if (err)
		return err;
	source->format = source->options.format;
	if (source->format == SLUICE_FORMAT_AUTO)
		source->format = format_of_name(source->options.path);
	if (source->format == SLUICE_FORMAT_AUTO)
		source->format = format_of_bytes(source, diag);
	return source->format == SLUICE_FORMAT_LOBSTER ? open_lobster(source, diag) : 0;
}

int sluice_source_open(struct sluice_source **ret_source,
		       const struct sluice_source_options *options, struct sluice_diag *diag)
{
	struct sluice_source *source;
	int err;

	if (options->format >= SLUICE_FORMATS)
		return sluice_diag_set(diag, EINVAL, "format %u is unknown", options->format);
	source = calloc(1, sizeof(*source));
	if (!source)
		return sluice_diag_set(diag, ENOMEM, "no memory to read commands");
	source->options = *options;
	source->lines.fd = -1;
	err = sluice_symbols_init(&source->symbols,
				  options->resolver.resolve ? &options->resolver : NULL);
	if (err)
		sluice_diag_set(diag, ENOMEM, "no memory for the table of symbols");
	else if (options->path)
		err = open_file(source, diag);
	else
		err = sluice_generator_open(&source->generator, &options->generator, diag);
	if (err)
		sluice_source_close(source);
	else
		*ret_source = source;
	return err;
}

void sluice_source_close(struct sluice_source *source)
{
	if (!source)
		return;
	sluice_generator_close(source->generator);
	sluice_lines_close(&source->lines);
	sluice_symbols_release(&source->symbols);
	free(source);
}

/* ------------------------------------------------------------------------------------ next */

/*
 * An item is made in two steps: `fetch` takes it from the generator or a line, `finish` gives its
 * names ids. Only the second may wait for others; if that fails the item is held and finished by
 * the next call, so that nothing is lost.
 */
static int fetch_generated(struct sluice_source *source, struct sluice_source_item *item)
{
	const char *name;

	if (!sluice_generator_next(source->generator, &item->command))
		return 0;
	name = item->command.u.define.name;
	if (item->command.head.type != SLUICE_CMD_ADD_SYMBOL)
		name = sluice_generator_symbol(source->generator, item->command.symbol);
	memcpy(item->symbol, name, sizeof(item->symbol));
	return 1;
}

static int read_header(struct sluice_source *source, char *text, size_t bytes, uint64_t line,
		       struct sluice_diag *diag)
{
	int err = sluice_csv_header(&source->csv, text, bytes, line, diag);

	source->no_header = err != 0;
	return err;
}

/* 1: a command, 0: a line without one, or -errno. */
static int fetch_from_line(struct sluice_source *source, char *text, size_t bytes,
			   struct sluice_source_item *item, struct sluice_diag *diag)
{
	static const char mark[] = "\xef\xbb\xbf"; /* some editors' first bytes */

	if (item->line == 1 && bytes >= 3 && memcmp(text, mark, 3) == 0) {
		text += 3;
		bytes -= 3;
	}
	if (sluice_line_is_blank(text, bytes))
		return 0;
	if (source->format == SLUICE_FORMAT_LOBSTER) {
		memcpy(item->symbol, source->lobster_symbol, sizeof(item->symbol));
		return sluice_lobster_command(&source->lobster, text, bytes, item->line,
					      &item->command, diag);
	}
	if (source->format == SLUICE_FORMAT_JSONL)
		return sluice_jsonl_row(text, bytes, item->line, &source->row, diag) ?: 1;
	if (source->csv.count == 0)
		return read_header(source, text, bytes, item->line, diag);
	return sluice_csv_row(&source->csv, text, bytes, item->line, &source->row, diag) ?: 1;
}

static int fetch(struct sluice_source *source, struct sluice_source_item *item,
		 struct sluice_diag *diag)
{
	char *text;
	size_t bytes;
	int ret;

	item->line = 0;
	if (source->generator)
		return fetch_generated(source, item);
	if (source->format == SLUICE_FORMAT_LOBSTER && source->commands == 0) {
		sluice_lobster_define(&source->lobster, source->lobster_symbol, &item->command);
		memcpy(item->symbol, source->lobster_symbol, sizeof(item->symbol));
		return 1;
	}
	if (source->no_header)
		return 0;
	do {
		ret = sluice_lines_next(&source->lines, &text, &bytes, diag);
		if (ret <= 0)
			return ret;
		item->line = source->lines.line;
		ret = fetch_from_line(source, text, bytes, item, diag);
	} while (ret == 0);
	return ret;
}

static int resolve(struct sluice_source *source, struct sluice_source_item *item,
		   struct sluice_diag *diag)
{
	struct sluice_resolved resolved;
	int err;

	if (item->command.head.type == SLUICE_CMD_ADD_SYMBOL)
		return 0;
	err = sluice_symbols_find(&source->symbols, SLUICE_DIRECTORY_SYMBOL, item->symbol,
				  &resolved);
	if (err)
		return sluice_diag_set(diag, -err, "line %llu: symbol \"%s\": %s",
				       (unsigned long long)item->line, item->symbol,
				       strerror(-err));
	item->command.symbol = resolved.id;
	return 0;
}

static int finish(struct sluice_source *source, struct sluice_source_item *item,
		  struct sluice_diag *diag)
{
	int err;

	if (source->format == SLUICE_FORMAT_CSV || source->format == SLUICE_FORMAT_JSONL)
		err = sluice_command_text_parse(&source->row, &source->symbols, &item->command,
						item->symbol, diag);
	else
		err = resolve(source, item, diag);
	source->holding = err && err != -EBADMSG && err != -ENOENT && err != -ENOSPC;
	if (source->holding)
		source->held = *item;
	if (err)
		return err;
	if (sluice_symbols_define(&source->symbols, &item->command))
		return sluice_diag_set(diag, ENOSPC, "line %llu: more than %u names",
				       (unsigned long long)item->line, SLUICE_DIRECTORY_MAX);
	return 0;
}

static void number(struct sluice_source *source, struct sluice_command *command)
{
	if (!source->options.session || command->session || command->client_seq)
		return;
	command->session = source->options.session;
	command->client_seq = ++source->client_seq;
}

int sluice_source_next(struct sluice_source *source, struct sluice_source_item *ret_item,
		       struct sluice_diag *diag)
{
	struct sluice_source_item item = source->held;
	int ret = source->holding ? 1 : fetch(source, &item, diag);

	if (ret <= 0)
		return ret;
	ret = finish(source, &item, diag);
	if (ret)
		return ret;
	if (!source->generator)
		number(source, &item.command);
	source->commands++;
	*ret_item = item;
	return 1;
}

bool sluice_source_ready(const struct sluice_source *source)
{
	return source->generator || source->holding || sluice_lines_ready(&source->lines);
}

void sluice_source_stats(const struct sluice_source *source, struct sluice_source_stats *ret_stats)
{
	*ret_stats = (struct sluice_source_stats){
		.lines = source->lines.line,
		.commands = source->commands,
		.hidden = source->lobster.hidden,
		.crosses = source->lobster.crosses,
		.halts_skipped = source->lobster.halts_skipped,
	};
}

void sluice_source_names(struct sluice_source *source, const struct sluice_source_item *item,
			 struct sluice_command_names *ret_names)
{
	const struct sluice_command *command = &item->command;
	struct sluice_command_names names = {0};
	struct sluice_resolved resolved;

	if (item->symbol[0])
		names.symbol = item->symbol;
	if (command->head.type == SLUICE_CMD_ADD_SYMBOL) {
		names.base_asset = sluice_symbols_name(&source->symbols, SLUICE_DIRECTORY_ASSET,
						       command->u.define.base_asset);
		names.quote_asset = sluice_symbols_name(&source->symbols, SLUICE_DIRECTORY_ASSET,
							command->u.define.quote_asset);
	} else if (names.symbol && !sluice_symbols_find(&source->symbols, SLUICE_DIRECTORY_SYMBOL,
							names.symbol, &resolved)) {
		names.price_decimals = resolved.price_decimals;
		names.qty_decimals = resolved.qty_decimals;
	} else {
		names.asset = sluice_symbols_name(&source->symbols, SLUICE_DIRECTORY_ASSET,
						  command->asset);
	}
	if (names.asset &&
	    !sluice_symbols_find(&source->symbols, SLUICE_DIRECTORY_ASSET, names.asset, &resolved))
		names.asset_decimals = resolved.qty_decimals;
	*ret_names = names;
}
