/* SPDX-License-Identifier: MIT */
/*
 * wal_super.c - the superblock: 4 copies, sequence q in copy q % 4, the newest valid one counts.
 *
 * Each copy names the checksum of the one before it, so that two histories in one file contradict
 * each other and are refused. A crash in a write damages only the oldest copy.
 */
#include "engine/wal/wal_super.h"

#include <errno.h>
#include <string.h>

#include "engine/wal/wal_files.h"

#define COPIES SLUICE_WAL_SUPER_COPIES
#define SUPER_FILE_BYTES ((uint64_t)COPIES * SLUICE_WAL_ALIGN)

SLUICE_STATIC_ASSERT(sizeof(struct sluice_wal_super) <= SLUICE_WAL_ALIGN, "a copy fits its page");

void sluice_wal_super_seal(struct sluice_wal_super *super, const struct sluice_wal_super *parent)
{
	super->sequence = parent ? parent->sequence + 1 : 0;
	super->parent_crc = parent ? parent->super_crc : 0;
	super->super_crc = sluice_wal_super_checksum(super);
}

void sluice_wal_super_page(const struct sluice_wal_super *super, void *page)
{
	memset(page, 0, SLUICE_WAL_ALIGN);
	memcpy(page, super, sizeof(*super));
}

static bool same(const struct sluice_wal_super *a, const struct sluice_wal_super *b)
{
	return !memcmp(a, b, sizeof(*a));
}

static int contradict(const struct sluice_wal_super *copies, const bool *valid,
		      struct sluice_diag *diag)
{
	for (uint32_t i = 0; i < COPIES; i++)
		for (uint32_t j = 0; j < COPIES; j++) {
			const struct sluice_wal_super *a = &copies[i], *b = &copies[j];

			if (i == j || !valid[i] || !valid[j])
				continue;
			if (a->sequence == b->sequence && !same(a, b))
				return sluice_diag_set(
					diag, EBADMSG,
					"super: copies %u and %u both have sequence %llu and "
					"differ: these are two logs, or a forgery",
					i, j, (unsigned long long)a->sequence);
			if (memcmp(a->log_uuid, b->log_uuid, sizeof(a->log_uuid)))
				return sluice_diag_set(
					diag, EBADMSG,
					"super: copies %u and %u belong to different logs", i, j);
			if (a->sequence + 1 == b->sequence && b->parent_crc != a->super_crc)
				return sluice_diag_set(
					diag, EBADMSG,
					"super: copy %u (sequence %llu) does not continue copy %u: "
					"parent_crc is 0x%llx, expected 0x%x",
					j, (unsigned long long)b->sequence, i,
					(unsigned long long)b->parent_crc, a->super_crc);
		}
	return 0;
}

static int none_valid(const struct sluice_wal_fault *faults, struct sluice_diag *diag)
{
	for (uint32_t i = 0; i < COPIES; i++)
		if (!strcmp(faults[i].what, "version"))
			return sluice_diag_set(diag, EPROTO,
					       "super: the log's format is version %llu, this "
					       "program knows version %u",
					       (unsigned long long)faults[i].found,
					       SLUICE_WAL_VERSION);
	return sluice_diag_set(diag, EBADMSG,
			       "super: none of the %u copies is valid (copy 0, offset 0: %s is "
			       "0x%llx, expected 0x%llx)",
			       COPIES, faults[0].what, (unsigned long long)faults[0].found,
			       (unsigned long long)faults[0].expected);
}

static int choose(const struct sluice_wal_super *copies, struct sluice_wal_super *ret_super,
		  struct sluice_diag *diag)
{
	struct sluice_wal_fault faults[COPIES];
	const struct sluice_wal_super *best = NULL;
	bool valid[COPIES];
	int ret;

	for (uint32_t i = 0; i < COPIES; i++)
		valid[i] = sluice_wal_super_valid(&copies[i], &faults[i]);
	ret = contradict(copies, valid, diag);
	if (ret)
		return ret;
	for (uint32_t i = 0; i < COPIES; i++)
		if (valid[i] && copies[i].sequence % COPIES == i &&
		    (!best || copies[i].sequence > best->sequence))
			best = &copies[i];
	/* its number would be given a second time */
	for (uint32_t i = 0; i < COPIES; i++)
		if (valid[i] && (!best || copies[i].sequence > best->sequence))
			return sluice_diag_set(
				diag, EBADMSG,
				"super: the newest valid copy is in the wrong place (%u)", i);
	if (!best)
		return none_valid(faults, diag);
	if (best->semantics != SLUICE_CORE_SEMANTICS)
		return sluice_diag_set(diag, EPROTO,
				       "the log was written under matching rules %u, this program "
				       "has %u: the same commands would give other reports",
				       best->semantics, SLUICE_CORE_SEMANTICS);
	*ret_super = *best;
	return 0;
}

static void copy_out(const void *area, struct sluice_wal_super *ret_copies)
{
	for (uint32_t i = 0; i < COPIES; i++)
		memcpy(&ret_copies[i], (const unsigned char *)area + i * SLUICE_WAL_ALIGN,
		       sizeof(ret_copies[i]));
}

int sluice_wal_super_load(struct sluice_wal_io *io, void *area, struct sluice_wal_super *ret_super,
			  struct sluice_diag *diag)
{
	struct sluice_wal_super copies[COPIES];
	uint64_t bytes = 0;
	int ret = io->ops->size(io, SLUICE_WAL_FILE_SUPER, &bytes);

	if (!ret && bytes != SUPER_FILE_BYTES)
		return sluice_diag_set(
			diag, EBADMSG, "super: the file has %llu bytes, expected %llu",
			(unsigned long long)bytes, (unsigned long long)SUPER_FILE_BYTES);
	if (!ret)
		ret = io->ops->read(io, SLUICE_WAL_FILE_SUPER, 0, area, SUPER_FILE_BYTES);
	if (ret)
		return sluice_diag_set(diag, -ret, "super: cannot be read: %s", strerror(-ret));
	copy_out(area, copies);
	return choose(copies, ret_super, diag);
}

int sluice_wal_super_check_sizes(struct sluice_wal_io *io, const struct sluice_wal_super *super,
				 struct sluice_diag *diag)
{
	for (uint32_t file = 0; file < SLUICE_WAL_FILE_PROBE; file++) {
		const uint64_t want = file < SLUICE_WAL_SEGMENTS ? super->segment_bytes :
								   super->snapshot_file_bytes;
		char name[SLUICE_WAL_FILE_NAME_BYTES];
		uint64_t bytes = 0;
		int ret;

		if (file == SLUICE_WAL_FILE_SUPER)
			continue;
		ret = io->ops->size(io, file, &bytes);
		sluice_wal_file_name(file, name);
		if (ret)
			return sluice_diag_set(diag, -ret, "%s: %s", name, strerror(-ret));
		if (bytes != want)
			return sluice_diag_set(diag, EBADMSG,
					       "%s: the file has %llu bytes, the superblock says "
					       "%llu: the log is damaged",
					       name, (unsigned long long)bytes,
					       (unsigned long long)want);
	}
	return 0;
}

int sluice_wal_super_write(struct sluice_wal_io *io, void *page, struct sluice_wal_super *next,
			   struct sluice_wal_super *super)
{
	int ret;

	sluice_wal_super_seal(next, super);
	sluice_wal_super_page(next, page);
	ret = io->ops->write(io, SLUICE_WAL_FILE_SUPER, next->sequence % COPIES * SLUICE_WAL_ALIGN,
			     page, SLUICE_WAL_ALIGN);
	if (!ret)
		*super = *next;
	return ret;
}

int sluice_wal_super_write_twice(struct sluice_wal_io *io, void *page,
				 struct sluice_wal_super *next, struct sluice_wal_super *super)
{
	int ret = sluice_wal_super_write(io, page, next, super);

	return ret ? ret : sluice_wal_super_write(io, page, next, super);
}

static uint64_t newest_number(const struct sluice_wal_super *super)
{
	uint64_t newest = 0;

	for (uint32_t i = 0; i < SLUICE_WAL_SNAPSHOTS; i++)
		if (super->snapshot[i].sequence > newest)
			newest = super->snapshot[i].sequence;
	return newest;
}

uint32_t sluice_wal_super_naming(const void *area, const struct sluice_wal_snapshot *newest)
{
	const uint64_t slot = newest->sequence % SLUICE_WAL_SNAPSHOTS;
	struct sluice_wal_super copies[COPIES];
	struct sluice_wal_fault unused;
	uint32_t n = 0;

	copy_out(area, copies);
	for (uint32_t i = 0; i < COPIES; i++)
		n += sluice_wal_super_valid(&copies[i], &unused) &&
		     newest_number(&copies[i]) == newest->sequence &&
		     !memcmp(&copies[i].snapshot[slot], newest, sizeof(*newest));
	return n;
}

void sluice_wal_super_name(struct sluice_wal_super *super,
			   const struct sluice_wal_snapshot *snapshot)
{
	const uint64_t slot = snapshot->sequence % SLUICE_WAL_SNAPSHOTS;
	const struct sluice_wal_snapshot *other = &super->snapshot[1 - slot];

	sluice_assert(snapshot->sequence > newest_number(super));
	super->snapshot[slot] = *snapshot;
	if (other->sequence)
		super->start = other->place;
}
