/* SPDX-License-Identifier: MIT */
/*
 * fuzz_wal_block.c - libFuzzer target: the parser of blocks and the scan, against the conditions of
 * docs/wal-format.md written once more. The input makes a row of blocks that continue each other
 * from some place of a log, changes fields and payloads, with the checksums made right again or
 * not; or it is the bytes of the first segment. The scan must accept exactly the blocks that the
 * list below accepts, and have an opinion on what lies behind them.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/wal/wal_scan.h"
#include "shm/crc32c.h"
#include "tests/lib/wal_repair.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SEGMENT_BYTES SLUICE_WAL_SEGMENT_BYTES_MIN
#define PLACE_BYTES 8u
#define BLOCK_BYTES 10u
#define BLOCKS_MAX 24u
#define LOG_BYTES ((size_t)SLUICE_WAL_SEGMENTS * SEGMENT_BYTES)

static unsigned char log_bytes[LOG_BYTES],
	window[SLUICE_WAL_SCAN_BYTES] __attribute__((aligned(4096)));

static void must(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "fuzz_wal_block: %s\n", what);
	abort();
}

static int log_read(struct sluice_wal_io *io, uint32_t file, uint64_t offset, void *data,
		    size_t bytes)
{
	(void)io;
	must(file < SLUICE_WAL_SEGMENTS && offset + bytes <= SEGMENT_BYTES &&
		     bytes <= sizeof(window),
	     "a read inside a segment");
	memcpy(data, log_bytes + (size_t)file * SEGMENT_BYTES + offset, bytes);
	return 0;
}

/* ------------------------------------------------------------------------------- the list */

static bool may_follow(const struct sluice_wal_chain *chain, const unsigned char *bytes)
{
	const uint64_t room = SEGMENT_BYTES - chain->offset;
	struct sluice_wal_block_header h;
	uint64_t length, flags;

	memcpy(&h, bytes, sizeof(h));
	flags = h.flags & ~(uint64_t)SLUICE_WAL_ROLL;
	length = (128 + h.n_cmds * 120ull + 4095) / 4096 * 4096;
	return h.magic == SLUICE_WAL_BLOCK_MAGIC && h.version == 2 &&
	       h.header_crc == sluice_crc32c(sluice_crc32c(0, bytes, 8), bytes + 12, 116) &&
	       (flags == 1 || flags == 2 || flags == 4 || flags == 16) &&
	       (flags == 1) == (h.n_cmds > 0) && h.n_cmds <= SLUICE_WAL_RECORDS_MAX &&
	       h.payload_bytes == h.n_cmds * 120 && length <= room &&
	       h.payload_crc == sluice_crc32c(0, bytes + 128, length - 128) &&
	       !memcmp(h.log_uuid, chain->log_uuid, 16) && h.block_seq == chain->block_seq &&
	       h.segment_no == chain->segment_no && h.prev_link == chain->prev_link &&
	       (chain->flags || flags == 2) &&
	       (flags == 2 ? h.epoch > chain->epoch : h.epoch == chain->epoch) &&
	       (flags == 2 || !(chain->flags & 16)) && h.first_cmd_seq == chain->cmd_seq &&
	       h.reports_taken >= chain->reports_taken &&
	       (flags > 2 || h.reports_taken <= h.report_first) &&
	       h.durable_seq <= chain->block_seq && h.durable_seq >= chain->durable_seq &&
	       chain->block_seq - h.durable_seq < SLUICE_WAL_WINDOW_MAX &&
	       !!(h.flags & SLUICE_WAL_ROLL) == (length == room);
}

/* Where it goes on behind a block, whether that was valid or not. */
static void go_behind(struct sluice_wal_chain *chain, const unsigned char *bytes)
{
	struct sluice_wal_block_header h;
	uint64_t x;

	memcpy(&h, bytes, sizeof(h));
	x = (uint64_t)h.header_crc << 32 | h.payload_crc;
	x ^= h.epoch * 0x9e3779b97f4a7c15ull;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	chain->prev_link = x ^ x >> 31;
	chain->offset += (128 + h.n_cmds * 120ull + 4095) / 4096 * 4096;
	if (chain->offset == SEGMENT_BYTES) {
		chain->segment_no++;
		chain->offset = 0;
	}
	chain->block_seq++;
	chain->cmd_seq += h.n_cmds;
	chain->durable_seq = h.durable_seq;
	chain->reports_taken = h.reports_taken;
	chain->epoch = h.epoch;
	chain->flags = h.flags;
}

/* ----------------------------------------------------------------------------- the blocks */

static unsigned char *place_of(const struct sluice_wal_chain *chain)
{
	return log_bytes + chain->segment_no % SLUICE_WAL_SEGMENTS * SEGMENT_BYTES + chain->offset;
}

/* One that continues the chain, or as near to it as the room allows. */
static void compose(const struct sluice_wal_chain *chain, const uint8_t *what, unsigned char *block)
{
	static const uint16_t types[] = {SLUICE_WAL_DATA, SLUICE_WAL_OPEN, SLUICE_WAL_SEAL,
					 SLUICE_WAL_CLOSE};
	const uint64_t room = SEGMENT_BYTES - chain->offset;
	const uint16_t type = !chain->flags || chain->flags & SLUICE_WAL_CLOSE ?
				      SLUICE_WAL_OPEN :
				      types[what[1] < 208 ? 0 : what[1] & 3];
	struct sluice_wal_block_header h = {
		.magic = SLUICE_WAL_BLOCK_MAGIC,
		.version = SLUICE_WAL_VERSION,
		.flags = type,
		.block_seq = chain->block_seq,
		.epoch = chain->epoch + (type == SLUICE_WAL_OPEN),
		.segment_no = (uint32_t)chain->segment_no,
		.prev_link = chain->prev_link,
		.first_cmd_seq = chain->cmd_seq,
		.n_cmds = type == SLUICE_WAL_DATA ? 1 + what[0] % SLUICE_WAL_RECORDS_MAX : 0,
		.reports_taken = chain->reports_taken + (what[1] & 1),
		.report_first = chain->reports_taken + (what[1] & 3),
	};

	h.durable_seq = chain->block_seq - what[1] / 4 % 4;
	if (h.durable_seq < chain->durable_seq || h.durable_seq > chain->block_seq)
		h.durable_seq = chain->durable_seq;
	while (h.n_cmds > 1 && 128 + h.n_cmds * 120ull > room)
		h.n_cmds = 1 + h.n_cmds / 2;
	h.payload_bytes = h.n_cmds * 120;
	memcpy(h.log_uuid, chain->log_uuid, 16);
	memcpy(block, &h, sizeof(h));
	if (wal_repair_length(block, room) == room) {
		h.flags |= SLUICE_WAL_ROLL;
		memcpy(block, &h, sizeof(h));
	}
	memset(block + 128, what[9], h.payload_bytes);
	wal_repair_block(block, room);
}

static void change(unsigned char *block, uint64_t room, const uint8_t *what)
{
	const uint64_t in_payload = 128 + what[2] * 16u % (room - 136);
	unsigned char *field = block + (what[2] & 0x80 ? in_payload : what[2] * 4u % 128);
	const uint32_t width = 1u << (what[3] & 3);
	uint64_t value = 0;

	memcpy(&value, field, width);
	switch (what[3] >> 2 & 7) {
	case 0:
		return;
	case 1:
		value += (uint64_t)(int64_t)(int8_t)what[4];
		break;
	case 2:
		value = what[4] | (uint64_t)what[5] << 8;
		break;
	case 3:
		value = UINT64_MAX - what[4];
		break;
	case 4:
		value = UINT32_MAX - what[4];
		break;
	default:
		value ^= 1ull << (what[4] & 63);
	}
	memcpy(field, &value, width);
	if (what[6] & 1)
		wal_repair_block(block, room);
	else if (what[6] & 2)
		memset(block + what[5] % 8 * 512u, 0, 512); /* a sector did not arrive */
}

/* Places the row; returns how many from its beginning are valid, and where that ends. */
static uint32_t place_row(struct sluice_wal_chain *valid, const uint8_t *data, size_t size)
{
	struct sluice_wal_chain next = *valid;
	uint32_t n = 0, accepted = 0;

	for (; size >= BLOCK_BYTES && n < BLOCKS_MAX; size -= BLOCK_BYTES, data += BLOCK_BYTES) {
		unsigned char copy[SEGMENT_BYTES];
		const uint64_t room = SEGMENT_BYTES - next.offset;
		unsigned char *block = place_of(&next);

		if (next.segment_no >= next.segment_end)
			break;
		compose(&next, data, block);
		memcpy(copy, block, room);
		change(block, room, data);
		if (n++ == accepted && may_follow(valid, block)) {
			go_behind(valid, block);
			accepted++;
		}
		go_behind(&next, data[6] & 4 ? block : copy);
		if (next.offset >= SEGMENT_BYTES) /* a length that was changed */
			break;
	}
	return accepted;
}

static uint32_t count_valid(struct sluice_wal_chain *valid)
{
	uint32_t n = 0;

	while (valid->segment_no < valid->segment_end && may_follow(valid, place_of(valid))) {
		go_behind(valid, place_of(valid));
		n++;
	}
	return n;
}

/* From here on, numbers may be large. */
static void start_at(struct sluice_wal_super *super, const uint8_t *data)
{
	const uint64_t large = data[1] & 1 ? UINT32_MAX : data[1] & 2 ? UINT64_MAX : 1ull << 33;

	super->segment_bytes = SEGMENT_BYTES;
	memset(super->log_uuid, 5, sizeof(super->log_uuid));
	if (!(data[0] & 2))
		return;
	super->start = (struct sluice_wal_place){
		.block_seq = large - data[2],
		.segment_no = data[3] & 1 ? UINT32_MAX - SLUICE_WAL_SEGMENTS : data[3],
		.offset = data[4] % 4 * SLUICE_WAL_ALIGN,
		.prev_link = data[5],
		.cmd_seq = large - data[6] * 8u,
		.report = 1,
		.md = 1,
		.durable_seq = large - data[2] - data[2] % 4,
		.epoch = data[7] & 1 ? UINT32_MAX - 3 : data[7],
		.flags = SLUICE_WAL_DATA,
	};
}

static void compare(struct sluice_wal_scan *scan, const struct sluice_wal_chain *valid,
		    uint32_t accepted)
{
	const struct sluice_wal_block_header *header;
	struct sluice_wal_report report = {.blocks = UINT64_MAX};
	uint32_t n = 0;

	while (sluice_wal_scan_next(scan, &header) == 1)
		must(++n <= accepted, "no block that is not valid");
	must(n == accepted, "every valid block");
	must(scan->chain.block_seq == valid->block_seq && scan->chain.cmd_seq == valid->cmd_seq &&
		     scan->chain.prev_link == valid->prev_link &&
		     scan->chain.offset == valid->offset &&
		     scan->chain.segment_no == valid->segment_no &&
		     scan->chain.epoch == valid->epoch,
	     "the same end");
	must(!sluice_wal_scan_judge(scan, &report), "a judgement");
	must(report.blocks == accepted && report.text[0] && report.file[0] &&
		     report.verdict <= SLUICE_WAL_DAMAGED,
	     "a report of it");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct sluice_wal_io_ops ops = {.read = log_read};
	struct sluice_wal_io io = {.ops = &ops};
	struct sluice_wal_super super = {.version = SLUICE_WAL_VERSION};
	struct sluice_wal_chain valid;
	struct sluice_wal_scan scan;
	uint32_t accepted;

	if (size < PLACE_BYTES)
		return 0;
	start_at(&super, data);
	memset(log_bytes, 0, sizeof(log_bytes));
	sluice_wal_scan_init(&scan, &io, &super, &super.start, window);
	valid = scan.chain;
	if (data[0] & 1) {
		memcpy(place_of(&valid), data + PLACE_BYTES,
		       size - PLACE_BYTES < SLUICE_WAL_ALIGN ? size - PLACE_BYTES :
							       SLUICE_WAL_ALIGN);
		if (data[0] & 4)
			wal_repair_block(place_of(&valid), SEGMENT_BYTES - valid.offset);
		accepted = count_valid(&valid);
	} else {
		accepted = place_row(&valid, data + PLACE_BYTES, size - PLACE_BYTES);
		accepted += count_valid(&valid);
	}
	compare(&scan, &valid, accepted);
	return 0;
}
