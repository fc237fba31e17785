/* SPDX-License-Identifier: MIT */
/*
 * wal_format.h - the on-disk ABI of the log directory. docs/wal-format.md says the same in prose.
 *
 *   super        4 copies of a 4 KiB superblock; the newest valid one counts
 *   wal-00..15   fixed segments, zero-written at format time, overwritten for ever
 *
 * A segment holds blocks: 4 KiB-aligned, a multiple of 4 KiB, at most 256 KiB, never across a
 * segment's end, never rewritten. A block is one header, then n_cmds records of 120 bytes
 * (struct sluice_command), then zeros. Everything is little-endian.
 */
#ifndef SLUICE_ENGINE_WAL_WAL_FORMAT_H
#define SLUICE_ENGINE_WAL_WAL_FORMAT_H

#include "shm/events.h"

#define SLUICE_WAL_SUPER_MAGIC 0x5250555357434c53ull /* "SLCWSUPR" */
#define SLUICE_WAL_BLOCK_MAGIC 0x4b424c57u	     /* "WLBK" */
#define SLUICE_WAL_VERSION 1u

#define SLUICE_WAL_ALIGN 4096u
#define SLUICE_WAL_BLOCK_BYTES_MAX (256u * 1024u)
#define SLUICE_WAL_SEGMENTS 16u
#define SLUICE_WAL_SEGMENT_BYTES_MIN (1024u * 1024u)
#define SLUICE_WAL_SEGMENT_BYTES_DEFAULT (64u * 1024u * 1024u)
#define SLUICE_WAL_SUPER_COPIES 4u
#define SLUICE_WAL_WINDOW_MAX 8u /* blocks between next and durable */

enum sluice_wal_block_flags {
	SLUICE_WAL_DATA = 1, /* commands */
	SLUICE_WAL_OPEN = 2, /* first block of an epoch; no commands */
	SLUICE_WAL_SEAL = 4, /* witness of the block before; no commands */
	SLUICE_WAL_ROLL = 8, /* last block of a segment; the next one starts the next segment */
	SLUICE_WAL_CLOSE = 16 /* clean end of an epoch; no commands */
};

/*
 * Valid as block k iff: header_crc, log_uuid, block_seq = k, segment_no is the one that k's place
 * belongs to, prev_link = the predecessor's link, epoch not below the predecessor's, payload_crc
 * over the whole payload and its padding, first_cmd_seq dense. The checks are below, in one place
 * for writer, recovery and reader.
 */
struct sluice_wal_block_header {
	uint32_t magic;
	uint16_t version;
	uint16_t flags;
	uint32_t header_crc;  /* crc32c of bytes [0, 8), continued over bytes [12, 128) */
	uint32_t payload_crc; /* crc32c of bytes [128, block's end) */
	uint8_t log_uuid[16];
	uint64_t block_seq; /* dense, from 0 */
	uint32_t epoch;	    /* the start of the engine that wrote it */
	uint32_t segment_no; /* free-running; lies in file segment_no % 16 */
	uint64_t prev_link;  /* of the block before; 0 for block 0 */
	uint64_t durable_seq; /* every block below was durable when this one was composed */
	uint64_t first_cmd_seq;
	uint32_t n_cmds;
	uint32_t payload_bytes; /* of the records, without padding */
	uint8_t ring_uuid[16];	/* of the command ring they came from */
	uint64_t ring_seq_first; /* of the first record in that ring */
	uint64_t input_time_ns;	 /* CLOCK_REALTIME when composed; matching never reads it */
	uint64_t state_hash;	 /* the core's chain before the first record; SEAL, CLOSE: 0 */
	uint64_t report_first;	 /* of the first report that these records cause; SEAL, CLOSE: 0 */
};
SLUICE_ASSERT_OFFSET(sluice_wal_block_header, magic, 0);
SLUICE_ASSERT_OFFSET(sluice_wal_block_header, version, 4);
SLUICE_ASSERT_OFFSET(sluice_wal_block_header, flags, 6);
SLUICE_ASSERT_OFFSET(sluice_wal_block_header, header_crc, 8);
SLUICE_ASSERT_OFFSET(sluice_wal_block_header, payload_crc, 12);
SLUICE_ASSERT_OFFSET(sluice_wal_block_header, log_uuid, 16);
SLUICE_ASSERT_OFFSET(sluice_wal_block_header, block_seq, 32);
SLUICE_ASSERT_OFFSET(sluice_wal_block_header, epoch, 40);
SLUICE_ASSERT_OFFSET(sluice_wal_block_header, segment_no, 44);
SLUICE_ASSERT_OFFSET(sluice_wal_block_header, prev_link, 48);
SLUICE_ASSERT_OFFSET(sluice_wal_block_header, durable_seq, 56);
SLUICE_ASSERT_OFFSET(sluice_wal_block_header, first_cmd_seq, 64);
SLUICE_ASSERT_OFFSET(sluice_wal_block_header, n_cmds, 72);
SLUICE_ASSERT_OFFSET(sluice_wal_block_header, payload_bytes, 76);
SLUICE_ASSERT_OFFSET(sluice_wal_block_header, ring_uuid, 80);
SLUICE_ASSERT_OFFSET(sluice_wal_block_header, ring_seq_first, 96);
SLUICE_ASSERT_OFFSET(sluice_wal_block_header, input_time_ns, 104);
SLUICE_ASSERT_OFFSET(sluice_wal_block_header, state_hash, 112);
SLUICE_ASSERT_OFFSET(sluice_wal_block_header, report_first, 120);
SLUICE_ASSERT_SIZE(sluice_wal_block_header, 128);

#define SLUICE_WAL_RECORD_BYTES 120u
SLUICE_STATIC_ASSERT(sizeof(struct sluice_command) == SLUICE_WAL_RECORD_BYTES, "a record is a command");
#define SLUICE_WAL_RECORDS_MAX                                                                     \
	((SLUICE_WAL_BLOCK_BYTES_MAX - 128u) / SLUICE_WAL_RECORD_BYTES)

/* One superblock copy: these bytes, then zeros to 4 KiB. Sequence q is written to copy q % 4. */
struct sluice_wal_super {
	uint64_t magic;
	uint32_t version;
	uint32_t semantics; /* SLUICE_CORE_SEMANTICS of the engine that wrote the log */
	uint8_t log_uuid[16];
	uint64_t sequence;  /* of this superblock */
	uint64_t parent_crc; /* super_crc of sequence - 1 */
	uint32_t epoch;	     /* of the newest start */
	uint32_t segments;
	uint64_t segment_bytes;
	uint64_t created_realtime_ns;
	/* where the log starts to count: block 0 until there are snapshots */
	uint64_t start_block_seq;
	uint64_t start_segment_no;
	uint64_t start_offset; /* of that block in its segment */
	uint64_t start_prev_link;
	uint64_t start_cmd_seq;
	uint64_t start_report; /* number of the first report that replay causes */
	/* snapshots, both 0 until there is one */
	uint64_t snapshot_seq[2]; /* first cmd_seq that the snapshot does not hold */
	uint64_t snapshot_bytes[2];
	uint64_t snapshot_hash[2];
	/* set by a clean end: the block after which nothing was written; 0: none */
	uint64_t close_block_seq;
	/* options of the core: other limits could give other answers */
	uint32_t symbols_max;
	uint32_t orders_max;
	uint32_t levels_max;
	uint32_t sessions_max;
	uint32_t window_ticks;
	uint32_t risk;
	uint64_t reserved[6];
	uint32_t reserved2;
	uint32_t super_crc; /* crc32c of all bytes before it */
};
SLUICE_ASSERT_OFFSET(sluice_wal_super, magic, 0);
SLUICE_ASSERT_OFFSET(sluice_wal_super, version, 8);
SLUICE_ASSERT_OFFSET(sluice_wal_super, semantics, 12);
SLUICE_ASSERT_OFFSET(sluice_wal_super, log_uuid, 16);
SLUICE_ASSERT_OFFSET(sluice_wal_super, sequence, 32);
SLUICE_ASSERT_OFFSET(sluice_wal_super, parent_crc, 40);
SLUICE_ASSERT_OFFSET(sluice_wal_super, epoch, 48);
SLUICE_ASSERT_OFFSET(sluice_wal_super, segments, 52);
SLUICE_ASSERT_OFFSET(sluice_wal_super, segment_bytes, 56);
SLUICE_ASSERT_OFFSET(sluice_wal_super, created_realtime_ns, 64);
SLUICE_ASSERT_OFFSET(sluice_wal_super, start_block_seq, 72);
SLUICE_ASSERT_OFFSET(sluice_wal_super, start_segment_no, 80);
SLUICE_ASSERT_OFFSET(sluice_wal_super, start_offset, 88);
SLUICE_ASSERT_OFFSET(sluice_wal_super, start_prev_link, 96);
SLUICE_ASSERT_OFFSET(sluice_wal_super, start_cmd_seq, 104);
SLUICE_ASSERT_OFFSET(sluice_wal_super, start_report, 112);
SLUICE_ASSERT_OFFSET(sluice_wal_super, snapshot_seq, 120);
SLUICE_ASSERT_OFFSET(sluice_wal_super, snapshot_bytes, 136);
SLUICE_ASSERT_OFFSET(sluice_wal_super, snapshot_hash, 152);
SLUICE_ASSERT_OFFSET(sluice_wal_super, close_block_seq, 168);
SLUICE_ASSERT_OFFSET(sluice_wal_super, symbols_max, 176);
SLUICE_ASSERT_OFFSET(sluice_wal_super, orders_max, 180);
SLUICE_ASSERT_OFFSET(sluice_wal_super, levels_max, 184);
SLUICE_ASSERT_OFFSET(sluice_wal_super, sessions_max, 188);
SLUICE_ASSERT_OFFSET(sluice_wal_super, window_ticks, 192);
SLUICE_ASSERT_OFFSET(sluice_wal_super, risk, 196);
SLUICE_ASSERT_OFFSET(sluice_wal_super, reserved, 200);
SLUICE_ASSERT_OFFSET(sluice_wal_super, reserved2, 248);
SLUICE_ASSERT_OFFSET(sluice_wal_super, super_crc, 252);
SLUICE_ASSERT_SIZE(sluice_wal_super, 256);

/* ------------------------------------------------------- the code that decides what is valid */

#define SLUICE_WAL_SEGMENT_BYTES_MAX (1ull << 40)

uint32_t sluice_wal_header_checksum(const struct sluice_wal_block_header *header);
uint32_t sluice_wal_super_checksum(const struct sluice_wal_super *super);

/* What the next block must carry as prev_link. */
uint64_t sluice_wal_link(const struct sluice_wal_block_header *header);

/* Bytes of a whole block with n records: header, records, padding. */
uint32_t sluice_wal_block_bytes(uint32_t n_cmds);

/* The condition that failed, for a text: "block_seq: expected 7, found 9". */
struct sluice_wal_fault {
	const char *what; /* static text */
	uint64_t expected;
	uint64_t found;
};

/* Where the next block goes and what it must say. The state of a scan, and of the writer. */
struct sluice_wal_chain {
	uint8_t log_uuid[16];
	uint64_t segment_bytes;
	uint64_t segment_end; /* first segment number past the live range */
	uint64_t segment_no;
	uint64_t offset;
	uint64_t block_seq;
	uint64_t prev_link;
	uint64_t cmd_seq;
	uint64_t durable_seq; /* of the block before */
	uint32_t epoch;	      /* of the block before, 0 if there is none */
	uint16_t flags;	      /* of the block before, 0 if there is none */
	uint16_t reserved;
};

void sluice_wal_chain_init(struct sluice_wal_chain *chain, const struct sluice_wal_super *super);
bool sluice_wal_chain_at_end(const struct sluice_wal_chain *chain);

/* Bytes from the chain's place to its segment's end, at least SLUICE_WAL_ALIGN. */
uint64_t sluice_wal_chain_room(const struct sluice_wal_chain *chain);

/*
 * The header alone: is it one, and of a block that fits into `room` bytes? `header` is a private
 * copy of bytes that may be anything. Only after it says yes may n_cmds and the length be used.
 */
bool sluice_wal_header_intact(const struct sluice_wal_block_header *header, uint64_t room,
			      struct sluice_wal_fault *ret_fault);

/* The bytes after an intact header, sluice_wal_block_bytes() in all. */
bool sluice_wal_payload_intact(const struct sluice_wal_block_header *header,
			       struct sluice_wal_fault *ret_fault);

/* Does this intact block continue the chain? */
bool sluice_wal_chain_follows(const struct sluice_wal_chain *chain,
			      const struct sluice_wal_block_header *header,
			      struct sluice_wal_fault *ret_fault);

/* The chain behind a block that follows. */
void sluice_wal_chain_advance(struct sluice_wal_chain *chain,
			      const struct sluice_wal_block_header *header);

/* One copy of the superblock: magic, checksum, version, geometry. */
bool sluice_wal_super_valid(const struct sluice_wal_super *super,
			    struct sluice_wal_fault *ret_fault);

#endif
