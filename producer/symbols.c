/* SPDX-License-Identifier: MIT */
#include "producer/symbols.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PLACES (2u * SLUICE_DIRECTORY_MAX) /* open addressing, never more than half full */
SLUICE_STATIC_ASSERT((PLACES & (PLACES - 1)) == 0, "places are found by a mask");

int sluice_symbols_init(struct sluice_symbols *symbols, const struct sluice_resolver *resolver)
{
	memset(symbols, 0, sizeof(*symbols));
	symbols->entries = calloc(PLACES, sizeof(*symbols->entries));
	symbols->order = calloc(SLUICE_DIRECTORY_MAX, sizeof(*symbols->order));
	if (!symbols->entries || !symbols->order) {
		sluice_symbols_release(symbols);
		return -ENOMEM;
	}
	symbols->mask = PLACES - 1;
	symbols->last = &symbols->entries[0];
	if (resolver)
		symbols->resolver = *resolver;
	return 0;
}

void sluice_symbols_release(struct sluice_symbols *symbols)
{
	free(symbols->entries);
	free(symbols->order);
	memset(symbols, 0, sizeof(*symbols));
}

static bool is_entry(const struct sluice_symbols_entry *entry, uint32_t kind, const char *name)
{
	return entry->kind == kind && strcmp(entry->name, name) == 0;
}

/* The entry of the name, or the free place where it belongs. */
static struct sluice_symbols_entry *place_of(const struct sluice_symbols *symbols, uint32_t kind,
					     const char *name)
{
	uint64_t hash = 0xcbf29ce484222325u + kind; /* FNV-1a */
	uint32_t i;

	for (const char *at = name; *at; at++)
		hash = (hash ^ (unsigned char)*at) * 0x100000001b3u;
	i = (uint32_t)(hash ^ (hash >> 32)) & symbols->mask;
	while (symbols->entries[i].kind && !is_entry(&symbols->entries[i], kind, name))
		i = (i + 1) & symbols->mask;
	return &symbols->entries[i];
}

static int insert(struct sluice_symbols *symbols, struct sluice_symbols_entry *place, uint32_t kind,
		  const char *name, const struct sluice_resolved *resolved)
{
	size_t bytes = strlen(name);

	sluice_assert(bytes < sizeof(place->name));
	if (symbols->used == SLUICE_DIRECTORY_MAX)
		return -ENOSPC;
	memcpy(place->name, name, bytes + 1);
	place->kind = kind;
	place->resolved = *resolved;
	symbols->order[symbols->used++] = (uint32_t)(place - symbols->entries);
	return 0;
}

int sluice_symbols_find(struct sluice_symbols *symbols, enum sluice_directory_kind kind,
			const char *name, struct sluice_resolved *ret_resolved)
{
	struct sluice_symbols_entry *entry;
	struct sluice_resolved resolved;
	int err;

	if (sluice_likely(is_entry(symbols->last, kind, name))) {
		*ret_resolved = symbols->last->resolved;
		return 0;
	}
	entry = place_of(symbols, kind, name);
	if (!entry->kind) {
		if (!symbols->resolver.resolve)
			return -ENOENT;
		memset(&resolved, 0, sizeof(resolved));
		err = symbols->resolver.resolve(symbols->resolver.arg, kind, name, &resolved);
		if (!err)
			err = insert(symbols, entry, kind, name, &resolved);
		if (err)
			return err;
	}
	symbols->last = entry;
	*ret_resolved = entry->resolved;
	return 0;
}

int sluice_symbols_define(struct sluice_symbols *symbols, const struct sluice_command *command)
{
	const struct sluice_command_define *define = &command->u.define;
	struct sluice_symbols_entry *entry;
	struct sluice_resolved resolved;
	uint32_t kind;
	int err;

	if (symbols->resolver.resolve)
		return 0;
	if (command->head.type == SLUICE_CMD_ADD_SYMBOL)
		kind = SLUICE_DIRECTORY_SYMBOL;
	else if (command->head.type == SLUICE_CMD_ADD_ASSET)
		kind = SLUICE_DIRECTORY_ASSET;
	else
		return 0;
	entry = place_of(symbols, kind, define->name);
	if (entry->kind)
		return 0;
	memset(&resolved, 0, sizeof(resolved));
	resolved.id = symbols->next_id[kind];
	resolved.price_decimals = define->price_decimals;
	resolved.qty_decimals = define->qty_decimals;
	err = insert(symbols, entry, kind, define->name, &resolved);
	if (!err)
		symbols->next_id[kind]++;
	return err;
}

const char *sluice_symbols_name(const struct sluice_symbols *symbols,
				enum sluice_directory_kind kind, uint32_t id)
{
	for (uint32_t i = 0; i < symbols->used; i++) {
		const struct sluice_symbols_entry *entry = &symbols->entries[symbols->order[i]];

		if (entry->kind == kind && entry->resolved.id == id)
			return entry->name;
	}
	return NULL;
}
