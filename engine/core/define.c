/* SPDX-License-Identifier: MIT */
/*
 * define.c - symbols and assets. Ids are dense and never reused, so that a symbol's id is a direct
 * index everywhere. Rare commands: the search by name is a plain walk. On the engine's thread.
 */
#include "engine/core/core_internal.h"

#include <string.h>

bool sluice_name_take(const char name[SLUICE_NAME_BYTES], char ret_name[SLUICE_NAME_BYTES])
{
	uint32_t n = 0;

	while (n < SLUICE_NAME_BYTES && sluice_name_bytes_ok(name[n]))
		n++;
	if (n == 0 || n == SLUICE_NAME_BYTES || name[n] != '\0')
		return false;
	memset(ret_name, 0, SLUICE_NAME_BYTES);
	memcpy(ret_name, name, n);
	return true;
}

uint32_t sluice_symbol_find(const struct sluice_core *core, const char name[SLUICE_NAME_BYTES])
{
	uint32_t i = 0;

	while (i < core->symbols && memcmp(core->books[i].symbol.name, name, SLUICE_NAME_BYTES))
		i++;
	return i;
}

static enum sluice_reason check_define(const struct sluice_command *command,
				       char ret_name[SLUICE_NAME_BYTES])
{
	const struct sluice_command_define *define = &command->u.define;
	uint8_t padding = 0;
	uint32_t i;

	for (i = 0; i < sizeof(define->reserved); i++)
		padding |= define->reserved[i];
	if (padding)
		return SLUICE_REASON_MALFORMED;
	return sluice_name_take(define->name, ret_name) ? SLUICE_REASON_NONE :
							   SLUICE_REASON_BAD_NAME;
}

/* Assets have no meaning before accounts are on; their names are checked all the same. */
void sluice_define_asset(struct sluice_step *step)
{
	char name[SLUICE_NAME_BYTES];
	enum sluice_reason reason = check_define(step->command, name);

	if (reason != SLUICE_REASON_NONE)
		sluice_emit_rejected(step, reason);
	else
		sluice_emit_accepted(step, step->command->symbol);
}

void sluice_define_symbol(struct sluice_step *step)
{
	struct sluice_core *core = step->core;
	struct sluice_book *book;
	char name[SLUICE_NAME_BYTES];
	enum sluice_reason reason = check_define(step->command, name);
	uint32_t same;

	if (reason != SLUICE_REASON_NONE) {
		sluice_emit_rejected(step, reason);
		return;
	}
	same = sluice_symbol_find(core, name);
	if (same < core->symbols) {
		sluice_emit_rejected_symbol(step, SLUICE_REASON_SYMBOL_EXISTS, same);
		return;
	}
	if (core->symbols == core->symbols_max) {
		sluice_emit_rejected(step, SLUICE_REASON_TOO_MANY_SYMBOLS);
		return;
	}
	book = &core->books[core->symbols];
	memcpy(book->symbol.name, name, sizeof(name));
	book->symbol.id = core->symbols++;
	book->symbol.price_decimals = step->command->u.define.price_decimals;
	book->symbol.qty_decimals = step->command->u.define.qty_decimals;
	book->symbol.cmd_seq = step->cmd_seq;
	sluice_emit_accepted(step, book->symbol.id);
}
