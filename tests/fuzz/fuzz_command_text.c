/* SPDX-License-Identifier: MIT */
/*
 * fuzz_command_text.c - libFuzzer target: the lines of any file through the CSV or the JSON reader
 * and the columns' table. The first byte chooses the format. What is accepted is written as CSV and
 * read again; it must be the same command.
 */
#include <stdlib.h>
#include <string.h>

#include "producer/csv.h"
#include "producer/jsonl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct sluice_symbols symbols;

static void must(bool holds)
{
	if (!holds)
		abort();
}

static size_t write_row(const struct sluice_command *command, const char *symbol, char *text)
{
	struct sluice_command_names names = {.symbol = symbol[0] ? symbol : NULL};
	struct sluice_resolved resolved = {0};

	if (symbol[0] && command->head.type != SLUICE_CMD_ADD_SYMBOL &&
	    !sluice_symbols_find(&symbols, SLUICE_DIRECTORY_SYMBOL, symbol, &resolved)) {
		names.price_decimals = resolved.price_decimals;
		names.qty_decimals = resolved.qty_decimals;
	}
	names.asset = sluice_symbols_name(&symbols, SLUICE_DIRECTORY_ASSET, command->asset);
	if (names.asset &&
	    !sluice_symbols_find(&symbols, SLUICE_DIRECTORY_ASSET, names.asset, &resolved))
		names.asset_decimals = resolved.qty_decimals;
	if (command->head.type == SLUICE_CMD_ADD_SYMBOL) {
		names.base_asset = sluice_symbols_name(&symbols, SLUICE_DIRECTORY_ASSET,
						       command->u.define.base_asset);
		names.quote_asset = sluice_symbols_name(&symbols, SLUICE_DIRECTORY_ASSET,
							command->u.define.quote_asset);
	}
	return sluice_command_text_write(command, &names, text, SLUICE_COMMAND_TEXT_MAX);
}

static void read_back(const struct sluice_command *command, const char *symbol)
{
	char header[SLUICE_COMMAND_TEXT_MAX], text[SLUICE_COMMAND_TEXT_MAX];
	size_t bytes = sluice_command_text_header(header, sizeof(header));
	char name[SLUICE_NAME_BYTES];
	struct sluice_command again;
	struct sluice_csv csv;
	struct sluice_row row;

	must(!sluice_csv_header(&csv, header, bytes - 1, 1, NULL));
	bytes = write_row(command, symbol, text);
	must(!sluice_csv_row(&csv, text, bytes - 1, 2, &row, NULL));
	must(!sluice_command_text_parse(&row, &symbols, &again, name, NULL));
	must(memcmp(&again, command, sizeof(again)) == 0);
}

static void one_line(struct sluice_csv *csv, bool jsonl, char *text, size_t bytes)
{
	struct sluice_command command;
	char symbol[SLUICE_NAME_BYTES];
	struct sluice_diag diag;
	struct sluice_row row;
	int err;

	if (sluice_line_is_blank(text, bytes))
		return;
	if (!jsonl && csv->count == 0) {
		sluice_csv_header(csv, text, bytes, 1, &diag);
		return;
	}
	err = jsonl ? sluice_jsonl_row(text, bytes, 1, &row, &diag) :
		      sluice_csv_row(csv, text, bytes, 1, &row, &diag);
	if (err || sluice_command_text_parse(&row, &symbols, &command, symbol, &diag))
		return;
	read_back(&command, symbol);
	sluice_symbols_define(&symbols, &command);
}

/* Clears what the table holds: wiping all its places for each input would be most of the work. */
static void forget_symbols(void)
{
	for (uint32_t i = 0; i < symbols.used; i++)
		memset(&symbols.entries[symbols.order[i]], 0, sizeof(*symbols.entries));
	symbols.used = 0;
	memset(symbols.next_id, 0, sizeof(symbols.next_id));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sluice_csv csv = {0};
	char *copy, *at;

	if (size == 0)
		return 0;
	if (!symbols.entries)
		must(!sluice_symbols_init(&symbols, NULL));
	forget_symbols();
	copy = malloc(size); /* of exactly this size: a read beyond it is seen */
	must(copy != NULL);
	memcpy(copy, data, size);
	for (at = copy + 1; at < copy + size;) {
		size_t left = (size_t)(copy + size - at);
		char *end = memchr(at, '\n', left);
		size_t bytes = end ? (size_t)(end - at) : left;

		if (bytes <= SLUICE_COMMAND_LINE_MAX)
			one_line(&csv, data[0] == '{', at, bytes);
		at += bytes + 1;
	}
	free(copy);
	return 0;
}
