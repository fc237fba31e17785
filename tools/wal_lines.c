/* SPDX-License-Identifier: MIT */
/* wal_lines.c - see wal_lines.h. Nothing of a record is believed because it is in a log. */
#include "tools/wal_lines.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "shm/event_names.h"
#include "tools/replay.h"

static void add(struct sluice_tool_wal_lines *lines, const char *name, uint8_t price_decimals,
		uint8_t qty_decimals)
{
	if (!sluice_names_add(&lines->names, SLUICE_DIRECTORY_SYMBOL, lines->symbols, name,
			      price_decimals, qty_decimals))
		lines->symbols++;
}

/* What was defined before the log's start is in the snapshot there. */
static int learn_start(struct sluice_tool_wal_lines *lines, struct sluice_wal_reader *reader,
		       struct sluice_diag *diag)
{
	const struct sluice_core_symbol *symbol;
	static struct sluice_tool_replay replay;
	int ret = sluice_tool_replay_init(&replay, reader, diag);

	for (uint32_t id = 0; !ret && (symbol = sluice_core_symbol(replay.core, id)); id++)
		add(lines, symbol->name, symbol->price_decimals, symbol->qty_decimals);
	lines->first_cmd_seq = replay.first_cmd_seq;
	sluice_tool_replay_release(&replay);
	return ret;
}

int sluice_tool_wal_lines_init(struct sluice_tool_wal_lines *lines,
			       struct sluice_wal_reader *reader, struct sluice_diag *diag)
{
	const struct sluice_wal_super *super = sluice_wal_reader_super(reader);

	lines->first_cmd_seq = 0;
	lines->symbols = 0;
	lines->symbols_max = super->limits.symbols_max;
	if (sluice_names_init(&lines->names, NULL))
		return sluice_diag_set(diag, ENOMEM, "no memory for the names");
	return super->start.block_seq ? learn_start(lines, reader, diag) : 0;
}

void sluice_tool_wal_lines_release(struct sluice_tool_wal_lines *lines)
{
	sluice_names_release(&lines->names);
}

/* The engine numbers symbols densely, in order of the first add_symbol of each name. */
void sluice_tool_wal_lines_learn(struct sluice_tool_wal_lines *lines,
				 const struct sluice_command *entry)
{
	const struct sluice_command_define *define = &entry->u.define;
	const size_t bytes = strnlen(define->name, sizeof(define->name));

	if (entry->head.type != SLUICE_CMD_ADD_SYMBOL || lines->symbols == lines->symbols_max ||
	    bytes == sizeof(define->name) || !sluice_name_is_valid(define->name, bytes))
		return;
	for (uint32_t id = 0; id < lines->symbols; id++) {
		const struct sluice_name *known = sluice_names_get(&lines->names,
								   SLUICE_DIRECTORY_SYMBOL, id);

		if (known && !strcmp(known->name, define->name))
			return;
	}
	add(lines, define->name, define->price_decimals, define->qty_decimals);
}

void sluice_tool_wal_lines_show(struct sluice_tool_wal_lines *lines,
				const struct sluice_wal_block_header *header,
				const struct sluice_command *entry, uint64_t cmd_seq)
{
	char text[SLUICE_EVENT_TEXT_MAX];
	char hex[2 * sizeof(*entry) + 1];
	size_t bytes = sluice_command_text(text, sizeof(text),
					   lines->is_json ? SLUICE_EVENT_JSON : SLUICE_EVENT_LINE,
					   entry, &lines->names);

	if (bytes && text[bytes - 1] == '\n')
		text[--bytes] = '\0';
	sluice_tool_hex(hex, entry, sizeof(*entry));
	if (lines->is_json)
		printf("{\"schema\":\"sluice.wal.dump/"
		       "1\",\"cmd_seq\":%llu,\"block\":%llu,\"epoch\":%u,\"command\":%s%s%s%s}\n",
		       (unsigned long long)cmd_seq, (unsigned long long)header->block_seq,
		       header->epoch, text, lines->hex ? ",\"hex\":\"" : "",
		       lines->hex ? hex : "", lines->hex ? "\"" : "");
	else
		printf("%10llu %8llu %3u  %s\n", (unsigned long long)cmd_seq,
		       (unsigned long long)header->block_seq, header->epoch, text);
	if (lines->hex && !lines->is_json)
		sluice_tool_hex_dump(entry, sizeof(*entry));
}
