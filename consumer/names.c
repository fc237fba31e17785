/* SPDX-License-Identifier: MIT */
#include "consumer/names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shm/append.h"
#include "shm/event_names.h"

int sluice_names_init(struct sluice_names *names, const struct sluice_segment *segment)
{
	memset(names, 0, sizeof(*names));
	names->segment = segment;
	for (uint32_t i = 0; i < 2; i++) {
		names->table[i] = calloc(SLUICE_DIRECTORY_MAX, sizeof(*names->table[i]));
		if (!names->table[i]) {
			sluice_names_release(names);
			return -ENOMEM;
		}
	}
	sluice_names_refresh(names);
	return 0;
}

void sluice_names_release(struct sluice_names *names)
{
	free(names->table[0]);
	free(names->table[1]);
	memset(names, 0, sizeof(*names));
}

static uint32_t table_of(enum sluice_directory_kind kind)
{
	return kind == SLUICE_DIRECTORY_ASSET;
}

int sluice_names_add(struct sluice_names *names, enum sluice_directory_kind kind, uint32_t id,
		     const char *name, uint8_t price_decimals, uint8_t qty_decimals)
{
	struct sluice_name *known;
	size_t bytes = strnlen(name, SLUICE_NAME_BYTES);

	if (kind != SLUICE_DIRECTORY_SYMBOL && kind != SLUICE_DIRECTORY_ASSET)
		return -EINVAL;
	if (id >= SLUICE_DIRECTORY_MAX || !sluice_name_is_valid(name, bytes) ||
	    price_decimals > SLUICE_DECIMALS_MAX || qty_decimals > SLUICE_DECIMALS_MAX)
		return -EINVAL;
	known = &names->table[table_of(kind)][id];
	if (known->bytes)
		return 0;
	memcpy(known->name, name, bytes);
	known->bytes = (uint8_t)bytes;
	known->price_decimals = price_decimals;
	known->qty_decimals = qty_decimals;
	return 0;
}

static uint32_t directory_count(const struct sluice_segment *segment)
{
	/* sync: names:used <- directory:used; the entries below the count */
	uint64_t used = atomic_load_explicit(&segment->control->directory_used,
					     memory_order_acquire);

	if (used > segment->header.directory_count)
		used = segment->header.directory_count;
	return (uint32_t)used;
}

void sluice_names_refresh(struct sluice_names *names)
{
	uint32_t count = names->segment ? directory_count(names->segment) : 0;

	for (; names->seen < count; names->seen++) {
		/* a private copy: what is checked is what is used */
		struct sluice_directory_entry entry = names->segment->directory[names->seen];

		if (sluice_names_add(names, (enum sluice_directory_kind)entry.kind, entry.id,
				     entry.name, entry.price_decimals, entry.qty_decimals))
			names->refused++;
	}
}

const struct sluice_name *sluice_names_get(struct sluice_names *names,
					   enum sluice_directory_kind kind, uint32_t id)
{
	const struct sluice_name *known;

	if (id >= SLUICE_DIRECTORY_MAX)
		return NULL;
	known = &names->table[table_of(kind)][id];
	if (sluice_unlikely(!known->bytes))
		sluice_names_refresh(names);
	return known->bytes ? known : NULL;
}
