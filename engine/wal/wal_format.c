/* SPDX-License-Identifier: MIT */
/*
 * wal_format.c - checksums, the link between blocks, and the one decision what a valid block is.
 *
 * Pure. The writer composes a header from the same chain state that recovery and the reader check
 * it against, and all three advance the chain with the same function: what one writes the others
 * accept, and nothing else. Every input of a check is a private copy of bytes from a disk and may
 * be anything; a failed check names itself, the expected and the found value.
 */
#include "engine/wal/wal_format.h"

#include <string.h>

#include "engine/core/core.h"
#include "shm/crc32c.h"

#define BLOCK_TYPES (SLUICE_WAL_DATA | SLUICE_WAL_OPEN | SLUICE_WAL_SEAL | SLUICE_WAL_CLOSE)

#define CRC_HOLE_START offsetof(struct sluice_wal_block_header, header_crc)
#define CRC_HOLE_END offsetof(struct sluice_wal_block_header, payload_crc)

SLUICE_STATIC_ASSERT(CRC_HOLE_START == 8 && CRC_HOLE_END == 12,
		     "docs/wal-format.md gives these bytes");
SLUICE_STATIC_ASSERT(SLUICE_WAL_RECORDS_MAX *SLUICE_WAL_RECORD_BYTES +
				     sizeof(struct sluice_wal_block_header) <=
			     SLUICE_WAL_BLOCK_BYTES_MAX,
		     "the largest block holds RECORDS_MAX records");
SLUICE_STATIC_ASSERT(SLUICE_WAL_SEGMENT_BYTES_MIN >= SLUICE_WAL_BLOCK_BYTES_MAX,
		     "a segment holds at least one block");

uint32_t sluice_wal_header_checksum(const struct sluice_wal_block_header *header)
{
	const unsigned char *bytes = (const unsigned char *)header;
	uint32_t crc = sluice_crc32c(0, bytes, CRC_HOLE_START);

	return sluice_crc32c(crc, bytes + CRC_HOLE_END, sizeof(*header) - CRC_HOLE_END);
}

uint32_t sluice_wal_super_checksum(const struct sluice_wal_super *super)
{
	return sluice_crc32c(0, super, offsetof(struct sluice_wal_super, super_crc));
}

uint64_t sluice_snapshot_bytes(uint64_t records)
{
	const uint64_t chunks = (records + SLUICE_SNAPSHOT_RECORDS - 1) / SLUICE_SNAPSHOT_RECORDS;

	return SLUICE_WAL_ALIGN + chunks * SLUICE_SNAPSHOT_CHUNK_BYTES;
}

uint32_t sluice_snapshot_header_checksum(const struct sluice_snapshot_header *header)
{
	return sluice_crc32c(0, header, offsetof(struct sluice_snapshot_header, header_crc));
}

uint32_t sluice_snapshot_chunk_checksum(const struct sluice_snapshot_chunk *chunk)
{
	return sluice_crc32c(0, (const unsigned char *)chunk + 8, SLUICE_SNAPSHOT_CHUNK_BYTES - 8);
}

/*
 * Both checksums and the epoch through a 64-bit finalizer. header_crc covers prev_link, so that the
 * link depends on every block before; the mix keeps it apart from any CRC of the same bytes.
 */
uint64_t sluice_wal_link(const struct sluice_wal_block_header *header)
{
	uint64_t x = (uint64_t)header->header_crc << 32 | header->payload_crc;

	x ^= header->epoch * 0x9e3779b97f4a7c15ull;
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9ull;
	x ^= x >> 27;
	x *= 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

uint32_t sluice_wal_block_bytes(uint32_t n_cmds)
{
	uint32_t bytes = (uint32_t)sizeof(struct sluice_wal_block_header) +
			 n_cmds * SLUICE_WAL_RECORD_BYTES;

	sluice_assert_hot(n_cmds <= SLUICE_WAL_RECORDS_MAX);
	return (bytes + SLUICE_WAL_ALIGN - 1) & ~(SLUICE_WAL_ALIGN - 1);
}

static bool fault(struct sluice_wal_fault *ret_fault, const char *what, uint64_t expected,
		  uint64_t found)
{
	*ret_fault = (struct sluice_wal_fault){what, expected, found};
	return false;
}

/* For checks that read as a list: each line is one numbered condition of docs/wal-format.md. */
#define check_equal(what, want, have)                                                              \
	do {                                                                                       \
		if ((uint64_t)(want) != (uint64_t)(have))                                          \
			return fault(ret_fault, what, (uint64_t)(want), (uint64_t)(have));         \
	} while (0)
#define check_at_most(what, limit, have)                                                           \
	do {                                                                                       \
		if ((uint64_t)(have) > (uint64_t)(limit))                                          \
			return fault(ret_fault, what, (uint64_t)(limit), (uint64_t)(have));        \
	} while (0)

bool sluice_wal_header_intact(const struct sluice_wal_block_header *header, uint64_t room,
			      struct sluice_wal_fault *ret_fault)
{
	uint32_t type = header->flags & BLOCK_TYPES;

	check_equal("magic", SLUICE_WAL_BLOCK_MAGIC, header->magic);
	check_equal("header_crc", sluice_wal_header_checksum(header), header->header_crc);
	check_equal("version", SLUICE_WAL_VERSION, header->version);
	check_equal("unknown flags", 0, header->flags & ~(BLOCK_TYPES | SLUICE_WAL_ROLL));
	check_equal("block types", 1, __builtin_popcount(type));
	check_at_most("n_cmds", type == SLUICE_WAL_DATA ? SLUICE_WAL_RECORDS_MAX : 0,
		      header->n_cmds);
	check_equal("commands in a DATA block", type == SLUICE_WAL_DATA, header->n_cmds > 0);
	check_equal("payload_bytes", header->n_cmds * SLUICE_WAL_RECORD_BYTES,
		    header->payload_bytes);
	check_at_most("block bytes", room, sluice_wal_block_bytes(header->n_cmds));
	return true;
}

bool sluice_wal_payload_intact(const struct sluice_wal_block_header *header,
			       struct sluice_wal_fault *ret_fault)
{
	uint32_t bytes = sluice_wal_block_bytes(header->n_cmds) - (uint32_t)sizeof(*header);

	check_equal("payload_crc", sluice_crc32c(0, header + 1, bytes), header->payload_crc);
	return true;
}

void sluice_wal_chain_init(struct sluice_wal_chain *chain, const struct sluice_wal_super *super,
			   const struct sluice_wal_place *place)
{
	*chain = (struct sluice_wal_chain){
		.segment_bytes = super->segment_bytes,
		.segment_end = super->start.segment_no + SLUICE_WAL_SEGMENTS,
		.segment_no = place->segment_no,
		.offset = place->offset,
		.block_seq = place->block_seq,
		.prev_link = place->prev_link,
		.cmd_seq = place->cmd_seq,
		.durable_seq = place->durable_seq,
		.reports_taken = place->reports_taken,
		.epoch = place->epoch,
		.flags = place->flags,
	};
	memcpy(chain->log_uuid, super->log_uuid, sizeof(chain->log_uuid));
	memcpy(chain->ring_uuid, place->ring_uuid, sizeof(chain->ring_uuid));
}

void sluice_wal_chain_place(const struct sluice_wal_chain *chain, uint64_t report, uint64_t md,
			    struct sluice_wal_place *ret_place)
{
	*ret_place = (struct sluice_wal_place){
		.block_seq = chain->block_seq,
		.segment_no = chain->segment_no,
		.offset = chain->offset,
		.prev_link = chain->prev_link,
		.cmd_seq = chain->cmd_seq,
		.report = report,
		.md = md,
		.durable_seq = chain->durable_seq,
		.reports_taken = chain->reports_taken,
		.epoch = chain->epoch,
		.flags = chain->flags,
	};
	memcpy(ret_place->ring_uuid, chain->ring_uuid, sizeof(ret_place->ring_uuid));
}

bool sluice_wal_chain_at_end(const struct sluice_wal_chain *chain)
{
	return chain->segment_no == chain->segment_end;
}

uint64_t sluice_wal_chain_room(const struct sluice_wal_chain *chain)
{
	return chain->segment_bytes - chain->offset;
}

/* An epoch begins with OPEN and only with OPEN, and after CLOSE comes nothing else. */
static bool epoch_follows(const struct sluice_wal_chain *chain,
			  const struct sluice_wal_block_header *header,
			  struct sluice_wal_fault *ret_fault)
{
	bool opens = header->flags & SLUICE_WAL_OPEN;

	if (!chain->flags)
		check_equal("OPEN as the first block", true, opens);
	if (opens && header->epoch <= chain->epoch)
		return fault(ret_fault, "epoch of an OPEN block", chain->epoch + 1ull,
			     header->epoch);
	if (!opens)
		check_equal("epoch", chain->epoch, header->epoch);
	if (!opens)
		check_equal("OPEN missing after CLOSE", 0, chain->flags & SLUICE_WAL_CLOSE);
	return true;
}

bool sluice_wal_chain_follows(const struct sluice_wal_chain *chain,
			      const struct sluice_wal_block_header *header,
			      struct sluice_wal_fault *ret_fault)
{
	uint64_t bytes = sluice_wal_block_bytes(header->n_cmds);
	bool fills = bytes == sluice_wal_chain_room(chain);

	check_equal("log_uuid", 0, memcmp(chain->log_uuid, header->log_uuid, 16) != 0);
	check_equal("block_seq", chain->block_seq, header->block_seq);
	check_equal("segment_no", chain->segment_no, header->segment_no);
	check_equal("prev_link", chain->prev_link, header->prev_link);
	if (!epoch_follows(chain, header, ret_fault))
		return false;
	check_equal("first_cmd_seq", chain->cmd_seq, header->first_cmd_seq);
	check_at_most("reports_taken of the block before", header->reports_taken,
		      chain->reports_taken);
	if (header->flags & (SLUICE_WAL_DATA | SLUICE_WAL_OPEN))
		check_at_most("reports_taken", header->report_first, header->reports_taken);
	check_at_most("durable_seq", chain->block_seq, header->durable_seq);
	check_at_most("durable_seq of the block before", header->durable_seq, chain->durable_seq);
	check_at_most("blocks in flight", SLUICE_WAL_WINDOW_MAX - 1,
		      chain->block_seq - header->durable_seq);
	check_equal("ROLL", fills, !!(header->flags & SLUICE_WAL_ROLL));
	return true;
}

void sluice_wal_chain_advance(struct sluice_wal_chain *chain,
			      const struct sluice_wal_block_header *header)
{
	chain->offset += sluice_wal_block_bytes(header->n_cmds);
	sluice_assert(chain->offset <= chain->segment_bytes);
	if (chain->offset == chain->segment_bytes) {
		chain->segment_no++;
		chain->offset = 0;
	}
	chain->block_seq++;
	chain->prev_link = sluice_wal_link(header);
	chain->cmd_seq += header->n_cmds;
	chain->durable_seq = header->durable_seq;
	chain->reports_taken = header->reports_taken;
	memcpy(chain->ring_uuid, header->ring_uuid, sizeof(chain->ring_uuid));
	chain->epoch = header->epoch;
	chain->flags = header->flags;
}

/* In the live range, at a page, and with what a place in a log's middle must have. */
static bool place_valid(const struct sluice_wal_place *place, const struct sluice_wal_super *super,
			struct sluice_wal_fault *ret_fault)
{
	check_at_most("start_segment_no", UINT32_MAX - SLUICE_WAL_SEGMENTS, place->segment_no);
	check_at_most("start_offset", super->segment_bytes - SLUICE_WAL_ALIGN, place->offset);
	check_equal("start_offset in a 4 KiB page", 0, place->offset % SLUICE_WAL_ALIGN);
	check_at_most("least report", place->report, 1);
	check_at_most("least market-data event", place->md, 1);
	check_at_most("reports_taken of a place", place->report, place->reports_taken);
	check_at_most("durable_seq of a place", place->block_seq, place->durable_seq);
	check_equal("block before the place", place->block_seq > 0, place->flags != 0);
	return true;
}

static bool snapshot_valid(const struct sluice_wal_snapshot *snapshot, uint32_t slot,
			   const struct sluice_wal_super *super, struct sluice_wal_fault *ret_fault)
{
	const struct sluice_wal_place *place = &snapshot->place, *start = &super->start;

	if (!place_valid(place, super, ret_fault))
		return false;
	check_equal("file of a snapshot", slot, snapshot->sequence % SLUICE_WAL_SNAPSHOTS);
	check_at_most("bytes of a snapshot", super->snapshot_file_bytes, snapshot->bytes);
	check_at_most("start of the log", place->block_seq, start->block_seq);
	check_at_most("segment of a snapshot", start->segment_no + SLUICE_WAL_SEGMENTS,
		      place->segment_no);
	check_at_most("start's segment", place->segment_no, start->segment_no);
	return true;
}

struct sluice_core_options sluice_wal_core_options(const struct sluice_wal_limits *limits)
{
	return (struct sluice_core_options){
		.symbols_max = limits->symbols_max,
		.orders_max = limits->orders_max,
		.levels_max = limits->levels_max,
		.sessions_max = limits->sessions_max,
		.window_ticks = limits->window_ticks,
		.risk = limits->risk,
	};
}

bool sluice_wal_super_valid(const struct sluice_wal_super *super,
			    struct sluice_wal_fault *ret_fault)
{
	check_equal("magic", SLUICE_WAL_SUPER_MAGIC, super->magic);
	/* before the checksum, whose place another version may have moved */
	check_equal("version", SLUICE_WAL_VERSION, super->version);
	check_equal("super_crc", sluice_wal_super_checksum(super), super->super_crc);
	check_equal("segments", SLUICE_WAL_SEGMENTS, super->segments);
	check_at_most("segment_bytes", SLUICE_WAL_SEGMENT_BYTES_MAX, super->segment_bytes);
	check_at_most("least segment_bytes", super->segment_bytes, SLUICE_WAL_SEGMENT_BYTES_MIN);
	check_equal("segment_bytes beyond whole units", 0,
		    super->segment_bytes % SLUICE_WAL_SEGMENT_BYTES_MIN);
	if (!place_valid(&super->start, super, ret_fault))
		return false;
	for (uint32_t i = 0; i < SLUICE_WAL_SNAPSHOTS; i++)
		if (super->snapshot[i].sequence &&
		    !snapshot_valid(&super->snapshot[i], i, super, ret_fault))
			return false;
	return true;
}
