/* SPDX-License-Identifier: MIT */
/*
 * snapshot.c - see snapshot.h.
 *
 * One thread per object, blocking. The header page is written after the chunks and everything is
 * synced once, but no order of arrival is relied upon: each part carries the snapshot's number and
 * a checksum, the header has the checksum of all chunks' checksums, and the superblock the
 * header's. So a mixture of two snapshots in one file is no snapshot, whichever parts a crash left.
 * What is read may be any bytes: it is checked in the caller's window, and used from there.
 */
#include "engine/wal/snapshot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/wal/wal_files.h"
#include "engine/wal/wal_scan.h"
#include "shm/crc32c.h"

#define CHUNK SLUICE_SNAPSHOT_CHUNK_BYTES

SLUICE_STATIC_ASSERT(SLUICE_WAL_SCAN_BYTES % CHUNK == 0, "the window holds whole chunks");
SLUICE_STATIC_ASSERT(sizeof(struct sluice_snapshot_chunk) +
				     SLUICE_SNAPSHOT_RECORDS * sizeof(struct sluice_image_record) ==
			     CHUNK,
		     "a full chunk has no padding");
SLUICE_STATIC_ASSERT(sizeof(struct sluice_snapshot_header) <= SLUICE_WAL_ALIGN,
		     "the header fits its page");

static uint32_t file_of(uint64_t sequence)
{
	return SLUICE_WAL_FILE_SNAPSHOT + (uint32_t)(sequence % SLUICE_WAL_SNAPSHOTS);
}

/* ----------------------------------------------------------------------------------- writing */

int sluice_snapshot_begin(struct sluice_snapshot_writer *writer, struct sluice_wal_io *io,
			  const struct sluice_wal_super *super, uint64_t sequence,
			  const struct sluice_core *core, const struct sluice_wal_place *place)
{
	sluice_assert(sequence > 0);
	*writer = (struct sluice_snapshot_writer){
		.io = io,
		.header =
			{
				.magic = SLUICE_SNAPSHOT_MAGIC,
				.version = SLUICE_WAL_VERSION,
				.semantics = super->semantics,
				.sequence = sequence,
				/* the most that may be written, until it is known */
				.bytes = super->snapshot_file_bytes,
				.state_hash = sluice_core_state_hash(core),
				.chain_hash = sluice_core_chain_hash(core),
				.created_realtime_ns = io->ops->realtime_ns(io),
				.limits = super->limits,
				.place = *place,
			},
		.chunk = aligned_alloc(SLUICE_WAL_ALIGN, CHUNK),
		.cmd_seq = place->cmd_seq,
		.file = file_of(sequence),
	};
	memcpy(writer->header.log_uuid, super->log_uuid, sizeof(writer->header.log_uuid));
	if (!writer->chunk)
		return -ENOMEM;
	sluice_image_begin(&writer->walk, core);
	return 0;
}

/* The next records into the chunk; how many. */
static uint32_t fill_chunk(struct sluice_snapshot_writer *writer)
{
	struct sluice_snapshot_chunk *chunk = (void *)writer->chunk;
	struct sluice_image_record *records = (void *)(chunk + 1);
	uint32_t n = 0;

	memset(chunk, 0, CHUNK);
	while (n < SLUICE_SNAPSHOT_RECORDS && sluice_image_next(&writer->walk, &records[n]))
		n++;
	writer->ended = n < SLUICE_SNAPSHOT_RECORDS;
	return n;
}

static int write_chunk(struct sluice_snapshot_writer *writer)
{
	struct sluice_snapshot_chunk *chunk = (void *)writer->chunk;
	struct sluice_snapshot_header *header = &writer->header;
	uint64_t offset = SLUICE_WAL_ALIGN + writer->chunks * CHUNK;
	uint32_t n = fill_chunk(writer);

	if (n == 0)
		return 0;
	if (offset + CHUNK > header->bytes)
		return -EFBIG;
	chunk->magic = SLUICE_SNAPSHOT_CHUNK_MAGIC;
	memcpy(chunk->log_uuid, header->log_uuid, sizeof(chunk->log_uuid));
	chunk->sequence = header->sequence;
	chunk->index = writer->chunks;
	chunk->cmd_seq = writer->cmd_seq;
	chunk->n_records = n;
	chunk->crc = sluice_snapshot_chunk_checksum(chunk);
	header->chunks_crc = sluice_crc32c(header->chunks_crc, &chunk->crc, sizeof(chunk->crc));
	header->records += n;
	writer->chunks++;
	return writer->io->ops->write(writer->io, writer->file, offset, chunk, CHUNK);
}

static int finish(struct sluice_snapshot_writer *writer, struct sluice_wal_snapshot *ret_snapshot)
{
	struct sluice_snapshot_header *header = &writer->header;
	int ret;

	header->bytes = sluice_snapshot_bytes(header->records);
	header->header_crc = sluice_snapshot_header_checksum(header);
	memset(writer->chunk, 0, SLUICE_WAL_ALIGN);
	memcpy(writer->chunk, header, sizeof(*header));
	ret = writer->io->ops->write(writer->io, writer->file, 0, writer->chunk, SLUICE_WAL_ALIGN);
	if (!ret)
		ret = writer->io->ops->sync(writer->io, writer->file);
	if (ret)
		return ret;
	*ret_snapshot = (struct sluice_wal_snapshot){
		.place = header->place,
		.sequence = header->sequence,
		.bytes = header->bytes,
		.state_hash = header->state_hash,
		.header_crc = header->header_crc,
	};
	return 0;
}

int sluice_snapshot_step(struct sluice_snapshot_writer *writer, uint32_t chunks,
			 struct sluice_wal_snapshot *ret_snapshot)
{
	int ret = 0;

	sluice_assert(writer->chunk && !writer->ended);
	for (uint32_t i = 0; !ret && i < chunks && !writer->ended; i++)
		ret = write_chunk(writer);
	if (ret)
		return ret;
	return writer->ended ? finish(writer, ret_snapshot) : 1;
}

void sluice_snapshot_end(struct sluice_snapshot_writer *writer)
{
	free(writer->chunk);
	writer->chunk = NULL;
}

/* ----------------------------------------------------------------------------------- reading */

static int damaged(uint64_t sequence, uint64_t offset, const struct sluice_wal_fault *fault,
		   struct sluice_diag *diag)
{
	char name[SLUICE_WAL_FILE_NAME_BYTES];

	sluice_wal_file_name(file_of(sequence), name);
	return sluice_diag_set(diag, EBADMSG,
			       "%s offset %llu: snapshot %llu is damaged (%s: expected 0x%llx, "
			       "found 0x%llx)",
			       name, (unsigned long long)offset, (unsigned long long)sequence,
			       fault->what, (unsigned long long)fault->expected,
			       (unsigned long long)fault->found);
}

static int unreadable(uint64_t sequence, uint64_t offset, int error, struct sluice_diag *diag)
{
	char name[SLUICE_WAL_FILE_NAME_BYTES];

	sluice_wal_file_name(file_of(sequence), name);
	return sluice_diag_set(
		diag, -error, "%s: snapshot %llu cannot be read at or after offset %llu: %s", name,
		(unsigned long long)sequence, (unsigned long long)offset, strerror(-error));
}

/* The first row whose two values differ, or NULL. */
static const struct sluice_wal_fault *first_of(const struct sluice_wal_fault *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (rows[i].expected != rows[i].found)
			return &rows[i];
	return NULL;
}

#define FIRST_FAULT(rows) first_of(rows, sizeof(rows) / sizeof((rows)[0]))

static uint64_t records_max(const struct sluice_wal_limits *limits)
{
	const struct sluice_core_options options = sluice_wal_core_options(limits);

	return sluice_image_records_max(&options);
}

static int check_header(const struct sluice_snapshot_header *header,
			const struct sluice_wal_super *super, uint64_t sequence,
			struct sluice_diag *diag)
{
	const bool fits = header->records > 0 && header->records <= records_max(&super->limits);
	const struct sluice_wal_fault rows[] = {
		{"magic", SLUICE_SNAPSHOT_MAGIC, header->magic},
		{"version", SLUICE_WAL_VERSION, header->version},
		{"header_crc", sluice_snapshot_header_checksum(header), header->header_crc},
		{"semantics", super->semantics, header->semantics},
		{"another log_uuid", false, memcmp(header->log_uuid, super->log_uuid, 16) != 0},
		{"sequence", sequence, header->sequence},
		{"other limits", false,
		 memcmp(&header->limits, &super->limits, sizeof(header->limits)) != 0},
		{"records within the limits", true, fits},
		{"bytes", sluice_snapshot_bytes(header->records), header->bytes},
		{"bytes within the file", true, header->bytes <= super->snapshot_file_bytes},
	};
	const struct sluice_wal_fault *fault = FIRST_FAULT(rows);

	return fault ? damaged(sequence, 0, fault, diag) : 0;
}

int sluice_snapshot_header_load(struct sluice_wal_io *io, const struct sluice_wal_super *super,
				uint64_t sequence, void *page,
				struct sluice_snapshot_header *ret_header, struct sluice_diag *diag)
{
	struct sluice_snapshot_header header;
	const unsigned char *bytes = page;
	int ret = io->ops->read(io, file_of(sequence), 0, page, SLUICE_WAL_ALIGN);

	if (ret)
		return unreadable(sequence, 0, ret, diag);
	memcpy(&header, page, sizeof(header));
	ret = check_header(&header, super, sequence, diag);
	if (ret)
		return ret;
	for (uint32_t i = sizeof(header); i < SLUICE_WAL_ALIGN; i++)
		if (bytes[i]) {
			const struct sluice_wal_fault fault = {"padding", 0, bytes[i]};

			return damaged(sequence, i, &fault, diag);
		}
	*ret_header = header;
	return 0;
}

struct loader {
	struct sluice_wal_io *io;
	struct sluice_snapshot_header header;
	struct sluice_image_builder *builder; /* NULL: check only */
	unsigned char *window;
	uint64_t records_left;
	uint32_t chunks_crc;
	struct sluice_diag *diag;
};

static int take_records(struct loader *loader, const struct sluice_snapshot_chunk *chunk,
			uint64_t offset)
{
	const struct sluice_image_record *records = (const void *)(chunk + 1);
	char name[SLUICE_WAL_FILE_NAME_BYTES];

	for (uint32_t i = 0; i < chunk->n_records; i++) {
		const char *wrong = sluice_image_take(loader->builder, &records[i]);

		if (!wrong)
			continue;
		sluice_wal_file_name(file_of(loader->header.sequence), name);
		return sluice_diag_set(
			loader->diag, EBADMSG,
			"%s offset %llu: snapshot %llu has right checksums but a record of type %u "
			"that cannot be: %s",
			name,
			(unsigned long long)(offset + sizeof(*chunk) + i * sizeof(records[0])),
			(unsigned long long)loader->header.sequence, records[i].type, wrong);
	}
	return 0;
}

static int take_chunk(struct loader *loader, const struct sluice_snapshot_chunk *chunk,
		      uint64_t index)
{
	const struct sluice_snapshot_header *header = &loader->header;
	const uint64_t offset = SLUICE_WAL_ALIGN + index * CHUNK;
	const uint64_t left = loader->records_left;
	const uint64_t n = left < SLUICE_SNAPSHOT_RECORDS ? left : SLUICE_SNAPSHOT_RECORDS;
	const struct sluice_wal_fault rows[] = {
		{"magic of a chunk", SLUICE_SNAPSHOT_CHUNK_MAGIC, chunk->magic},
		{"another log_uuid of a chunk", false,
		 memcmp(chunk->log_uuid, header->log_uuid, 16) != 0},
		{"sequence of a chunk", header->sequence, chunk->sequence},
		{"index of a chunk", index, chunk->index},
		{"crc of a chunk", sluice_snapshot_chunk_checksum(chunk), chunk->crc},
		{"cmd_seq of a chunk", header->place.cmd_seq, chunk->cmd_seq},
		{"n_records of a chunk", n, chunk->n_records},
	};
	const struct sluice_wal_fault *fault = FIRST_FAULT(rows);

	if (fault)
		return damaged(header->sequence, offset, fault, loader->diag);
	loader->records_left -= n;
	loader->chunks_crc = sluice_crc32c(loader->chunks_crc, &chunk->crc, sizeof(chunk->crc));
	return loader->builder ? take_records(loader, chunk, offset) : 0;
}

static int load_chunks(struct loader *loader)
{
	const struct sluice_snapshot_header *header = &loader->header;
	uint64_t offset = SLUICE_WAL_ALIGN;
	int ret = 0;

	loader->records_left = header->records;
	while (!ret && offset < header->bytes) {
		const uint64_t left = header->bytes - offset;
		const uint64_t bytes = left < SLUICE_WAL_SCAN_BYTES ? left : SLUICE_WAL_SCAN_BYTES;

		ret = sluice_wal_io_stopping(loader->io) ?
			      -EINTR :
			      loader->io->ops->read(loader->io, file_of(header->sequence), offset,
						    loader->window, bytes);
		if (ret)
			return unreadable(header->sequence, offset, ret, loader->diag);
		for (uint64_t at = 0; !ret && at < bytes; at += CHUNK)
			ret = take_chunk(loader, (const void *)(loader->window + at),
					 (offset + at) / CHUNK);
		offset += bytes;
	}
	if (!ret && loader->chunks_crc != header->chunks_crc) {
		const struct sluice_wal_fault fault = {"chunks_crc", loader->chunks_crc,
						       header->chunks_crc};

		ret = damaged(header->sequence, 0, &fault, loader->diag);
	}
	return ret;
}

/* The header that the superblock means, and no other, then what it says of the chunks. */
static int load(struct loader *loader, const struct sluice_wal_super *super,
		const struct sluice_wal_snapshot *snapshot)
{
	struct sluice_snapshot_header *header = &loader->header;
	int ret = sluice_snapshot_header_load(loader->io, super, snapshot->sequence, loader->window,
					      header, loader->diag);
	const struct sluice_wal_fault rows[] = {
		{"header_crc in the superblock", snapshot->header_crc, header->header_crc},
		{"another place in the superblock", false,
		 memcmp(&header->place, &snapshot->place, sizeof(header->place)) != 0},
		{"bytes in the superblock", snapshot->bytes, header->bytes},
		{"state_hash in the superblock", snapshot->state_hash, header->state_hash},
	};
	const struct sluice_wal_fault *fault = FIRST_FAULT(rows);

	if (ret)
		return ret;
	return fault ? damaged(snapshot->sequence, 0, fault, loader->diag) : load_chunks(loader);
}

int sluice_snapshot_check(struct sluice_wal_io *io, const struct sluice_wal_super *super,
			  const struct sluice_wal_snapshot *snapshot, unsigned char *window,
			  struct sluice_diag *diag)
{
	struct loader loader = {.io = io, .window = window, .diag = diag};

	return load(&loader, super, snapshot);
}

/* The state against what the header says of it: hashes, and the numbers that come next. */
static int compare(const struct loader *loader, const struct sluice_core *core)
{
	const struct sluice_snapshot_header *header = &loader->header;
	struct sluice_core_stats stats = {.commands = 0};

	sluice_core_stats(core, &stats);

	const struct sluice_wal_fault rows[] = {
		{"state_hash", sluice_core_state_hash(core), header->state_hash},
		{"chain_hash", sluice_core_chain_hash(core), header->chain_hash},
		{"cmd_seq of the place", stats.commands, header->place.cmd_seq},
		{"report of the place", stats.reports + 1, header->place.report},
		{"md of the place", stats.md_events + 1, header->place.md},
	};
	const struct sluice_wal_fault *fault = FIRST_FAULT(rows);

	return fault ? damaged(header->sequence, 0, fault, loader->diag) : 0;
}

int sluice_snapshot_restore(struct sluice_wal_io *io, const struct sluice_wal_super *super,
			    const struct sluice_wal_snapshot *snapshot, unsigned char *window,
			    struct sluice_core *core, struct sluice_diag *diag)
{
	struct sluice_image_builder builder;
	struct loader loader = {.io = io, .window = window, .builder = &builder, .diag = diag};
	char name[SLUICE_WAL_FILE_NAME_BYTES];
	const char *wrong;
	int ret;

	sluice_image_restore(&builder, core);
	ret = load(&loader, super, snapshot);
	if (ret)
		return ret;
	wrong = sluice_image_done(&builder);
	if (!wrong)
		return compare(&loader, core);
	sluice_wal_file_name(file_of(snapshot->sequence), name);
	return sluice_diag_set(diag, EBADMSG,
			       "%s: snapshot %llu has right checksums but a state that cannot be: "
			       "%s",
			       name, (unsigned long long)snapshot->sequence, wrong);
}

/* -------------------------------------------------------------------- what a superblock names */

static const struct sluice_wal_snapshot *named(const struct sluice_wal_super *super, bool newest)
{
	const struct sluice_wal_snapshot *a = &super->snapshot[0], *b = &super->snapshot[1];
	const struct sluice_wal_snapshot *found = (a->sequence > b->sequence) == newest ? a : b;

	return found->sequence ? found : NULL;
}

const struct sluice_wal_snapshot *sluice_snapshot_newest(const struct sluice_wal_super *super)
{
	return named(super, true);
}

const struct sluice_wal_snapshot *sluice_snapshot_older(const struct sluice_wal_super *super)
{
	return named(super, false);
}
