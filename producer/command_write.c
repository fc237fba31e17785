/* SPDX-License-Identifier: MIT */
/* command_write.c - commands as rows of the command text. On the thread of whoever prints. */
#include "producer/command_columns.h"

#include "shm/append.h"

size_t sluice_command_text_header(char *buffer, size_t size)
{
	char *at = buffer;

	sluice_assert(size >= SLUICE_COMMAND_TEXT_MAX);
	for (uint32_t i = 0; i < SLUICE_COLUMNS; i++) {
		if (i)
			*at++ = ',';
		at = sluice_append_text(at, sluice_column_words.words[i]);
	}
	*at++ = '\n';
	return (size_t)(at - buffer);
}

static char *append_name(char *at, const char *name)
{
	return name ? sluice_append_bytes(at, name, strnlen(name, SLUICE_NAME_BYTES - 1)) : at;
}

static char *append_asset(char *at, const struct sluice_command *command, enum sluice_column column,
			  const struct sluice_command_names *names)
{
	if (column == SLUICE_COLUMN_BASE_ASSET)
		return append_name(at, names->base_asset);
	if (column == SLUICE_COLUMN_QUOTE_ASSET)
		return append_name(at, names->quote_asset);
	return append_name(at, command->head.type == SLUICE_CMD_ADD_ASSET ? command->u.define.name
									  : names->asset);
}

static char *append_column(char *at, const struct sluice_command *command,
			   enum sluice_column column, const struct sluice_command_names *names)
{
	const struct column *rule = &sluice_columns[column];
	const struct sluice_words *words = rule->words;
	const char *from = (const char *)command + rule->offset;
	uint64_t wide;
	uint32_t narrow;
	uint8_t small = *(const uint8_t *)from;

	memcpy(&narrow, from, sizeof(narrow));
	switch ((enum column_kind)rule->kind) {
	case KIND_COMMAND:
		return sluice_append_text(at, sluice_command_type_name(command->head.type));
	case KIND_SYMBOL:
		return append_name(at, command->head.type == SLUICE_CMD_ADD_SYMBOL
					       ? command->u.define.name
					       : names->symbol);
	case KIND_ASSET:
		return append_asset(at, command, column, names);
	case KIND_U32:
		return narrow ? sluice_append_u64(at, narrow) : at;
	case KIND_FLAG:
		return narrow & 1 ? sluice_append_literal(at, "1") : at;
	case KIND_DECIMALS:
		return small ? sluice_append_u64(at, small) : at;
	case KIND_WORD:
		if (small == rule->fallback && column == SLUICE_COLUMN_STP)
			return at;
		return sluice_append_text(at, words->words[small < words->count ? small : 0]);
	default:
		break;
	}
	memcpy(&wide, from, sizeof(wide));
	if (!wide)
		return at;
	if (rule->kind == KIND_PRICE)
		return sluice_append_decimal(at, (int64_t)wide, names->price_decimals);
	if (rule->kind == KIND_QTY)
		return sluice_append_decimal(at, (int64_t)wide, names->qty_decimals);
	if (rule->kind == KIND_AMOUNT)
		return sluice_append_decimal(at, (int64_t)wide, names->asset_decimals);
	return sluice_append_u64(at, wide);
}

size_t sluice_command_text_write(const struct sluice_command *command,
				 const struct sluice_command_names *names, char *buffer,
				 size_t size)
{
	char *at = buffer;

	sluice_assert(size >= SLUICE_COMMAND_TEXT_MAX);
	for (uint32_t i = 0; i < SLUICE_COLUMNS; i++) {
		if (i)
			*at++ = ',';
		if (sluice_column_is_of(i, command->head.type))
			at = append_column(at, command, (enum sluice_column)i, names);
	}
	*at++ = '\n';
	sluice_assert((size_t)(at - buffer) <= SLUICE_COMMAND_TEXT_MAX);
	return (size_t)(at - buffer);
}
