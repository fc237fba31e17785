/* SPDX-License-Identifier: MIT */
/*
 * test_wal_format.c - the pure checks: one block that is valid, and each condition broken alone
 * with the checksums made right again. The constants of docs/wal-format.md are spelled out here.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "engine/wal/wal_format.h"
#include "shm/crc32c.h"

#define SEGMENT_BYTES (1024u * 1024u)

union block {
	struct sluice_wal_block_header header;
	unsigned char bytes[4096];
};

static void finish(union block *block)
{
	block->header.payload_crc = sluice_crc32c(0, block->bytes + 128, sizeof(*block) - 128);
	block->header.header_crc = sluice_wal_header_checksum(&block->header);
}

static void make(struct sluice_wal_chain *chain, union block *block)
{
	*chain = (struct sluice_wal_chain){
		.log_uuid = {1, 2, 3},
		.segment_bytes = SEGMENT_BYTES,
		.segment_end = 16,
		.segment_no = 2,
		.offset = 8192,
		.block_seq = 100,
		.prev_link = 0x1122334455667788,
		.cmd_seq = 5000,
		.durable_seq = 96,
		.epoch = 3,
		.flags = SLUICE_WAL_DATA,
	};
	memset(block, 0, sizeof(*block));
	block->header = (struct sluice_wal_block_header){
		.magic = 0x4b424c57,
		.version = 2,
		.flags = SLUICE_WAL_DATA,
		.log_uuid = {1, 2, 3},
		.block_seq = 100,
		.epoch = 3,
		.segment_no = 2,
		.prev_link = 0x1122334455667788,
		.durable_seq = 97,
		.first_cmd_seq = 5000,
		.n_cmds = 4,
		.payload_bytes = 480,
	};
	finish(block);
}

static const char *verdict(const struct sluice_wal_chain *chain, const union block *block)
{
	struct sluice_wal_fault fault = {"", 0, 0};

	if (!sluice_wal_header_intact(&block->header, sluice_wal_chain_room(chain), &fault) ||
	    !sluice_wal_chain_follows(chain, &block->header, &fault) ||
	    !sluice_wal_payload_intact(&block->header, &fault))
		return fault.what;
	return "valid";
}

static void test_wal_format__checksums_and_link_are_the_documented_ones(void **state)
{
	struct sluice_wal_chain chain;
	unsigned char joined[124];
	union block block;
	uint64_t x;

	(void)state;
	make(&chain, &block);
	memcpy(joined, block.bytes, 8);
	memcpy(joined + 8, block.bytes + 12, 116);
	assert_int_equal(block.header.header_crc, sluice_crc32c(0, joined, sizeof(joined)));
	x = (uint64_t)block.header.header_crc << 32 | block.header.payload_crc;
	x ^= 3 * 0x9e3779b97f4a7c15ull;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	x ^= x >> 31;
	assert_true(sluice_wal_link(&block.header) == x);

	/* One fixed block, so that the definition cannot drift with the code. */
	block.header = (struct sluice_wal_block_header){
		.header_crc = 0x01234567, .payload_crc = 0x89abcdef, .epoch = 1};
	assert_true(sluice_wal_link(&block.header) == 0x8e3980323f3dce39ull);
	assert_int_equal(sluice_crc32c(0, "123456789", 9), 0xe3069283);
}

static void test_wal_format__sizes(void **state)
{
	(void)state;
	assert_int_equal(sluice_wal_block_bytes(0), 4096);
	assert_int_equal(sluice_wal_block_bytes(33), 4096);
	assert_int_equal(sluice_wal_block_bytes(34), 8192);
	assert_int_equal(sluice_wal_block_bytes(SLUICE_WAL_RECORDS_MAX), 262144);
	assert_int_equal(SLUICE_WAL_RECORDS_MAX, 2183);
}

static void test_wal_format__a_block_that_follows_is_valid_and_moves_the_chain(void **state)
{
	struct sluice_wal_chain chain;
	union block block;

	(void)state;
	make(&chain, &block);
	assert_string_equal(verdict(&chain, &block), "valid");
	sluice_wal_chain_advance(&chain, &block.header);
	assert_int_equal(chain.block_seq, 101);
	assert_int_equal(chain.cmd_seq, 5004);
	assert_int_equal(chain.offset, 12288);
	assert_int_equal(chain.durable_seq, 97);
	assert_true(chain.prev_link == sluice_wal_link(&block.header));
}

static void test_wal_format__the_last_page_of_a_segment_rolls(void **state)
{
	struct sluice_wal_chain chain;
	union block block;

	(void)state;
	make(&chain, &block);
	chain.offset = SEGMENT_BYTES - 4096;
	assert_string_equal(verdict(&chain, &block), "ROLL");
	block.header.flags |= SLUICE_WAL_ROLL;
	finish(&block);
	assert_string_equal(verdict(&chain, &block), "valid");
	sluice_wal_chain_advance(&chain, &block.header);
	assert_int_equal(chain.segment_no, 3);
	assert_int_equal(chain.offset, 0);
	assert_false(sluice_wal_chain_at_end(&chain));
	chain.segment_no = 16;
	assert_true(sluice_wal_chain_at_end(&chain));
}

#define refuse(change, what)                                                                       \
	do {                                                                                       \
		make(&chain, &block);                                                              \
		change;                                                                            \
		finish(&block);                                                                    \
		assert_string_equal(verdict(&chain, &block), what);                                \
	} while (0)

static void test_wal_format__each_condition_stands_alone(void **state)
{
	struct sluice_wal_chain chain;
	union block block;
	struct sluice_wal_block_header *h = &block.header;

	(void)state;
	refuse(h->magic++, "magic");
	refuse(h->version = 1, "version");
	refuse(h->flags |= 0x4000, "unknown flags");
	refuse(h->flags = SLUICE_WAL_DATA | SLUICE_WAL_SEAL, "block types");
	refuse(h->flags = 0, "block types");
	refuse((h->n_cmds = 2184, h->payload_bytes = 2184 * 120), "n_cmds");
	refuse((h->n_cmds = UINT32_MAX, h->payload_bytes = h->n_cmds * 120u), "n_cmds");
	refuse((h->n_cmds = 0, h->payload_bytes = 0), "commands in a DATA block");
	refuse(h->flags = SLUICE_WAL_SEAL, "n_cmds");
	refuse(h->payload_bytes++, "payload_bytes");
	refuse((h->n_cmds = 34, h->payload_bytes = 34 * 120, chain.offset = SEGMENT_BYTES - 4096),
	       "block bytes");
	refuse(h->log_uuid[15] = 1, "log_uuid");
	refuse(h->block_seq--, "block_seq");
	refuse(h->segment_no += 16, "segment_no");
	refuse(h->prev_link ^= 1ull << 63, "prev_link");
	refuse(h->epoch = 2, "epoch");
	refuse(h->epoch = 4, "epoch");
	refuse(h->first_cmd_seq++, "first_cmd_seq");
	refuse(chain.reports_taken = h->reports_taken + 1, "reports_taken of the block before");
	refuse(chain.reports_taken = h->reports_taken, "valid");
	refuse(h->reports_taken = h->report_first + 1, "reports_taken");
	refuse(h->durable_seq = 101, "durable_seq");
	refuse(h->durable_seq = 95, "durable_seq of the block before");
	refuse((h->durable_seq = 92, chain.durable_seq = 90), "blocks in flight");
	refuse(h->flags |= SLUICE_WAL_ROLL, "ROLL");
	refuse(chain.flags = SLUICE_WAL_CLOSE, "OPEN missing after CLOSE");
	refuse((h->durable_seq = 93, chain.durable_seq = 90), "valid");
}

static void test_wal_format__checksums_cover_every_byte(void **state)
{
	struct sluice_wal_chain chain;
	union block block;

	(void)state;
	make(&chain, &block);
	for (uint32_t byte = 0; byte < sizeof(block); byte++)
		for (uint32_t bit = 0; bit < 8; bit++) {
			block.bytes[byte] = (unsigned char)(block.bytes[byte] ^ 1u << bit);
			assert_string_not_equal(verdict(&chain, &block), "valid");
			block.bytes[byte] = (unsigned char)(block.bytes[byte] ^ 1u << bit);
		}
	assert_string_equal(verdict(&chain, &block), "valid");
}

static void open_block(struct sluice_wal_block_header *header, uint32_t epoch)
{
	header->flags = SLUICE_WAL_OPEN;
	header->n_cmds = 0;
	header->payload_bytes = 0;
	header->epoch = epoch;
}

static void test_wal_format__an_epoch_begins_with_open(void **state)
{
	struct sluice_wal_chain chain;
	union block block;
	struct sluice_wal_block_header *h = &block.header;

	(void)state;
	refuse(open_block(h, 4), "valid");
	refuse(open_block(h, 9), "valid");
	refuse(open_block(h, 3), "epoch of an OPEN block");
	refuse(open_block(h, 2), "epoch of an OPEN block");
	refuse((open_block(h, 4), chain.flags = SLUICE_WAL_CLOSE), "valid");
	refuse((chain.flags = 0, chain.epoch = 0, chain.block_seq = 0, chain.durable_seq = 0,
		h->block_seq = 0, h->durable_seq = 0, h->epoch = 0),
	       "OPEN as the first block");
}

static struct sluice_wal_super good_super(void)
{
	struct sluice_wal_super super = {
		.magic = SLUICE_WAL_SUPER_MAGIC,
		.version = 2,
		.start = {.report = 1, .md = 1, .reports_taken = 1},
		.segments = 16,
		.segment_bytes = SEGMENT_BYTES,
	};

	return super;
}

static const char *super_verdict(struct sluice_wal_super super)
{
	struct sluice_wal_fault fault = {"valid", 0, 0};

	super.super_crc = sluice_wal_super_checksum(&super);
	sluice_wal_super_valid(&super, &fault);
	return fault.what;
}

#define refuse_super(change, what)                                                                 \
	do {                                                                                       \
		super = good_super();                                                              \
		change;                                                                            \
		assert_string_equal(super_verdict(super), what);                                   \
	} while (0)

static void test_wal_format__superblock_conditions(void **state)
{
	struct sluice_wal_fault fault = {"valid", 0, 0};
	struct sluice_wal_super super;

	(void)state;
	refuse_super((void)0, "valid");
	refuse_super(super.magic ^= 1, "magic");
	refuse_super(super.version = 1, "version");
	refuse_super(super.segments = 15, "segments");
	refuse_super(super.segment_bytes = 0, "least segment_bytes");
	refuse_super(super.segment_bytes += 4096, "segment_bytes beyond whole units");
	refuse_super(super.segment_bytes = 1ull << 41, "segment_bytes");
	refuse_super(super.start.segment_no = UINT32_MAX, "start_segment_no");
	refuse_super(super.start.offset = SEGMENT_BYTES, "start_offset");
	refuse_super(super.start.offset = 512, "start_offset in a 4 KiB page");
	refuse_super(super.start.report = 0, "least report");
	refuse_super(super.start.md = 0, "least market-data event");
	refuse_super(super.start.reports_taken = 2, "reports_taken of a place");
	refuse_super(super.start.durable_seq = 1, "durable_seq of a place");
	refuse_super(super.start.flags = SLUICE_WAL_OPEN, "block before the place");
	refuse_super(super.start.block_seq = 1, "block before the place");
	super = good_super();
	super.super_crc = sluice_wal_super_checksum(&super) ^ 1;
	assert_false(sluice_wal_super_valid(&super, &fault));
	assert_string_equal(fault.what, "super_crc");
}

/* Of a log that starts at block 10 in segment 4, with a snapshot of the blocks below 20. */
static struct sluice_wal_super super_with_snapshot(void)
{
	struct sluice_wal_super super = good_super();

	super.snapshot_file_bytes = 1u << 20;
	super.start.block_seq = 10;
	super.start.segment_no = 4;
	super.start.flags = SLUICE_WAL_DATA;
	super.snapshot[1] = (struct sluice_wal_snapshot){
		.place = super.start,
		.sequence = 7,
		.bytes = 1u << 20,
	};
	super.snapshot[1].place.block_seq = 20;
	super.snapshot[1].place.segment_no = 5;
	return super;
}

#define refuse_snapshot(change, what)                                                              \
	do {                                                                                       \
		super = super_with_snapshot();                                                     \
		change;                                                                            \
		assert_string_equal(super_verdict(super), what);                                   \
	} while (0)

static void test_wal_format__conditions_of_a_named_snapshot(void **state)
{
	struct sluice_wal_super super;
	struct sluice_wal_place *place = &super.snapshot[1].place;

	(void)state;
	refuse_snapshot((void)0, "valid");
	refuse_snapshot(place->offset = 1, "start_offset in a 4 KiB page");
	refuse_snapshot(super.snapshot[1].sequence = 8, "file of a snapshot");
	refuse_snapshot(super.snapshot[1].bytes++, "bytes of a snapshot");
	refuse_snapshot(place->block_seq = 9, "start of the log");
	refuse_snapshot(place->block_seq = 10, "valid");
	refuse_snapshot(place->segment_no = 3, "start's segment");
	refuse_snapshot(place->segment_no = 4, "valid");
	refuse_snapshot(place->segment_no = 20, "valid"); /* where a full log ends */
	refuse_snapshot(place->segment_no = 21, "segment of a snapshot");
	refuse_snapshot(super.snapshot[1].sequence = 0, "valid"); /* names nothing */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wal_format__checksums_and_link_are_the_documented_ones),
		cmocka_unit_test(test_wal_format__sizes),
		cmocka_unit_test(
			test_wal_format__a_block_that_follows_is_valid_and_moves_the_chain),
		cmocka_unit_test(test_wal_format__the_last_page_of_a_segment_rolls),
		cmocka_unit_test(test_wal_format__each_condition_stands_alone),
		cmocka_unit_test(test_wal_format__checksums_cover_every_byte),
		cmocka_unit_test(test_wal_format__an_epoch_begins_with_open),
		cmocka_unit_test(test_wal_format__superblock_conditions),
		cmocka_unit_test(test_wal_format__conditions_of_a_named_snapshot),
	};

	return cmocka_run_group_tests_name("wal_format", tests, NULL, NULL);
}
