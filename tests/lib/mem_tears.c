/* SPDX-License-Identifier: MIT */
/* mem_tears.c - see mem_tears.h. Only sectors count that differ from what was there before. */
#include "tests/lib/mem_tears.h"

#include <stdlib.h>
#include <string.h>

#include "tests/lib/wal_fixture.h"

#define CHOICES_MAX 520u
#define SECTORS_MAX 128u
#define FEW_SECTORS 9u

/* What one write may have left. */
struct choice {
	uint64_t mask;	 /* of the first 64 sectors */
	uint32_t prefix; /* and the first so many of any number */
	bool half;	 /* the first of them not whole: a device whose sectors tear */
};

struct option {
	uint32_t sectors[SECTORS_MAX]; /* that differ */
	uint32_t n_sectors;
	struct choice choices[CHOICES_MAX];
	uint32_t n_choices;
};

static void add(struct option *option, uint64_t mask, uint32_t prefix, bool half)
{
	sluice_assert(option->n_choices < CHOICES_MAX);
	option->choices[option->n_choices++] = (struct choice){mask, prefix, half};
}

static void find_sectors(const struct mem_disk *disk, const struct mem_write *write,
			 struct option *option)
{
	const unsigned char *there = disk->files[write->file] + write->offset;
	const uint32_t n = write->bytes / MEM_SECTOR;

	option->n_sectors = 0;
	option->n_choices = 0;
	for (uint32_t i = 0; i < n && option->n_sectors < SECTORS_MAX; i++)
		if (memcmp(there + i * MEM_SECTOR, write->data + i * MEM_SECTOR, MEM_SECTOR))
			option->sectors[option->n_sectors++] = i;
}

/* Nothing, every prefix up to all, all but the first, the last alone, half a sector. */
static void add_tears(struct option *option)
{
	const uint32_t n = option->n_sectors;
	const uint32_t step = n > 16 ? n / 4 : 1;

	add(option, 0, 0, false);
	for (uint32_t i = step; i < n; i += step)
		add(option, 0, i, false);
	if (n > 0)
		add(option, 0, n, false);
	if (n > 0)
		add(option, 0, 1, true);
	if (n > 1 && n <= 64) {
		add(option, (n == 64 ? 0 : 1ull << n) - 2, 0, false);
		add(option, 1ull << (n - 1), 0, false);
	}
}

static void add_subsets(struct option *option)
{
	for (uint64_t mask = 0; mask < 1ull << option->n_sectors; mask++)
		add(option, mask, 0, false);
	if (option->n_sectors > 0)
		add(option, 0, 1, true);
}

static void put(struct mem_disk *disk, const struct mem_write *write, const struct option *option,
		const struct choice *choice)
{
	for (uint32_t i = 0; i < option->n_sectors; i++) {
		const uint32_t at = option->sectors[i] * MEM_SECTOR;

		if (i < choice->prefix || (i < 64 && choice->mask >> i & 1))
			mem_disk_put(disk, write->file, write->offset + at, write->data + at,
				     choice->half ? MEM_SECTOR / 2 : MEM_SECTOR);
	}
}

/* Image `number`, its digits being the choices; or any, by chance. */
static bool try_one(struct mem_disk *disk, const struct mem_tears *tears,
		    const struct option *options, uint64_t number, bool by_chance)
{
	const size_t mark = mem_disk_mark(disk);
	bool go_on;

	for (uint32_t i = 0; i < tears->n_writes; i++) {
		const struct option *option = &options[i];

		if (by_chance)
			number = wal_fixture_random(tears->seed);
		put(disk, &tears->writes[i], option, &option->choices[number % option->n_choices]);
		number /= option->n_choices;
	}
	go_on = tears->image(tears->arg);
	mem_disk_rollback(disk, mark);
	return go_on;
}

void mem_tears_try(struct mem_disk *disk, const struct mem_tears *tears)
{
	struct option *options = calloc(tears->n_writes + 1u, sizeof(*options));
	uint64_t combinations = 1, n;
	uint32_t sectors = 0;
	bool go_on = true;

	sluice_assert(options);
	for (uint32_t i = 0; i < tears->n_writes; i++) {
		find_sectors(disk, &tears->writes[i], &options[i]);
		sectors += options[i].n_sectors;
	}
	for (uint32_t i = 0; i < tears->n_writes; i++) {
		if (tears->subsets && sectors <= FEW_SECTORS)
			add_subsets(&options[i]);
		else
			add_tears(&options[i]);
		combinations *= options[i].n_choices;
	}
	n = combinations < tears->budget ? combinations : tears->budget;
	for (uint64_t i = 0; go_on && i < n; i++)
		go_on = try_one(disk, tears, options, i, combinations > n);
	free(options);
}
