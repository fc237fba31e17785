/* SPDX-License-Identifier: MIT */
/*
 * symbols.h - from the names in a command text to the ids and decimals that the engine gave them.
 *
 * Two ways of working. With a resolver, every name is asked for once, when it is first used, and
 * kept: ids never change while an engine's log lives. Without one the table numbers the names
 * itself, densely in order of definition, as an engine does that starts empty: dry runs, tests.
 *
 * One thread. All memory is taken at init. `find` blocks only if the resolver does.
 */
#ifndef SLUICE_PRODUCER_SYMBOLS_H
#define SLUICE_PRODUCER_SYMBOLS_H

#include "shm/events.h"
#include "shm/layout.h"

struct sluice_resolved {
	uint32_t id;
	uint8_t price_decimals;
	uint8_t qty_decimals;
	uint8_t reserved[2];
};

/*
 * Supplied by the producer: looks `name` up in the ring's directory and waits while its definition
 * is still on the way. The definition may be a command that the caller has taken from the source
 * but not published yet: publish it before waiting. 0, -ENOENT: no such name, or another -errno
 * (-ETIMEDOUT, -EINTR), which the parser hands back unchanged.
 */
struct sluice_resolver {
	int (*resolve)(void *arg, enum sluice_directory_kind kind, const char *name,
		       struct sluice_resolved *ret_resolved);
	void *arg;
};

struct sluice_symbols_entry {
	char name[SLUICE_NAME_BYTES]; /* zero-padded */
	uint32_t kind;		      /* enum sluice_directory_kind; 0: a free place */
	struct sluice_resolved resolved;
};

struct sluice_symbols {
	struct sluice_resolver resolver; /* .resolve NULL: numbers itself */
	struct sluice_symbols_entry *entries;
	uint32_t *order;			 /* places in order of entry, `used` of them */
	const struct sluice_symbols_entry *last; /* the one found last */
	uint32_t mask;
	uint32_t used;
	uint32_t next_id[SLUICE_DIRECTORY_ASSET + 1];
};

/* `resolver` may be NULL. 0 or -ENOMEM. */
int sluice_symbols_init(struct sluice_symbols *symbols, const struct sluice_resolver *resolver);
void sluice_symbols_release(struct sluice_symbols *symbols);

/* `name` is a valid name (sluice_name_is_valid). -ENOENT, or what the resolver says. */
int sluice_symbols_find(struct sluice_symbols *symbols, enum sluice_directory_kind kind,
			const char *name, struct sluice_resolved *ret_resolved);

/*
 * Takes note of an add_symbol or add_asset when the table numbers itself; any other command, and
 * any command with a resolver, is no business of this table. A name that is already there keeps its
 * id. 0, or -ENOSPC beyond SLUICE_DIRECTORY_MAX names.
 */
int sluice_symbols_define(struct sluice_symbols *symbols, const struct sluice_command *command);

/* The name that has the id, as far as it went through this table; else NULL. Slow: O(names). */
const char *sluice_symbols_name(const struct sluice_symbols *symbols,
				enum sluice_directory_kind kind, uint32_t id);

#endif
