/* SPDX-License-Identifier: MIT */
/*
 * wal_format.h - the on-disk ABI of the log directory. docs/wal-format.md says the same in prose.
 *
 *   super        4 copies of a 4 KiB superblock; the newest valid one counts
 *   wal-00..15   fixed segments, zero-written at format time, overwritten for ever
 *   snap-0, 1    snapshots in turns: whole states of the core at a block's boundary
 *   probe        scratch space for timing writes; nobody reads it
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
#define SLUICE_WAL_VERSION 2u

#define SLUICE_WAL_ALIGN 4096u
/* The simulator builds the log with smaller ones, to come round sooner. */
#ifndef SLUICE_WAL_BLOCK_BYTES_MAX
#define SLUICE_WAL_BLOCK_BYTES_MAX (256u * 1024u)
#define SLUICE_WAL_SEGMENT_BYTES_MIN (1024u * 1024u)
#endif
#define SLUICE_WAL_SEGMENTS 16u
#define SLUICE_WAL_SNAPSHOTS 2u
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
	uint64_t reports_taken;	/* reports below were let go by everybody they were kept for */
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
SLUICE_ASSERT_OFFSET(sluice_wal_block_header, reports_taken, 96);
SLUICE_ASSERT_OFFSET(sluice_wal_block_header, input_time_ns, 104);
SLUICE_ASSERT_OFFSET(sluice_wal_block_header, state_hash, 112);
SLUICE_ASSERT_OFFSET(sluice_wal_block_header, report_first, 120);
SLUICE_ASSERT_SIZE(sluice_wal_block_header, 128);

#define SLUICE_WAL_RECORD_BYTES 120u
SLUICE_STATIC_ASSERT(sizeof(struct sluice_command) == SLUICE_WAL_RECORD_BYTES, "a record is a command");
#define SLUICE_WAL_RECORDS_MAX                                                                     \
	((SLUICE_WAL_BLOCK_BYTES_MAX - 128u) / SLUICE_WAL_RECORD_BYTES)

/*
 * A point between two blocks: all that is needed to go on from there, and to know what came
 * before.
 */
struct sluice_wal_place {
	uint64_t block_seq; /* of the block that begins here */
	uint64_t segment_no;
	uint64_t offset; /* in its segment */
	uint64_t prev_link;
	uint64_t cmd_seq;	/* number of the next command */
	uint64_t report;	/* number of the next report */
	uint64_t md;		/* number of the next market-data event */
	uint64_t durable_seq;	/* of the block before, as the next four */
	uint64_t reports_taken;
	uint8_t ring_uuid[16];
	uint32_t epoch; /* 0: there is no block before */
	uint16_t flags;
	uint16_t reserved;
};
SLUICE_ASSERT_OFFSET(sluice_wal_place, block_seq, 0);
SLUICE_ASSERT_OFFSET(sluice_wal_place, segment_no, 8);
SLUICE_ASSERT_OFFSET(sluice_wal_place, offset, 16);
SLUICE_ASSERT_OFFSET(sluice_wal_place, prev_link, 24);
SLUICE_ASSERT_OFFSET(sluice_wal_place, cmd_seq, 32);
SLUICE_ASSERT_OFFSET(sluice_wal_place, report, 40);
SLUICE_ASSERT_OFFSET(sluice_wal_place, md, 48);
SLUICE_ASSERT_OFFSET(sluice_wal_place, durable_seq, 56);
SLUICE_ASSERT_OFFSET(sluice_wal_place, reports_taken, 64);
SLUICE_ASSERT_OFFSET(sluice_wal_place, ring_uuid, 72);
SLUICE_ASSERT_OFFSET(sluice_wal_place, epoch, 88);
SLUICE_ASSERT_OFFSET(sluice_wal_place, flags, 92);
SLUICE_ASSERT_SIZE(sluice_wal_place, 96);

/*
 * What the superblock says of a snapshot that may be started from. Number q is in file snap-(q %
 * 2).
 */
struct sluice_wal_snapshot {
	struct sluice_wal_place place;
	uint64_t sequence;   /* of the snapshot, from 1; 0: there is none */
	uint64_t bytes;	     /* of the file that hold it, header page included */
	uint64_t state_hash; /* sluice_core_state_hash */
	uint32_t header_crc; /* of its header, which has the checksum of the rest */
	uint32_t reserved;
};
SLUICE_ASSERT_OFFSET(sluice_wal_snapshot, place, 0);
SLUICE_ASSERT_OFFSET(sluice_wal_snapshot, sequence, 96);
SLUICE_ASSERT_OFFSET(sluice_wal_snapshot, bytes, 104);
SLUICE_ASSERT_OFFSET(sluice_wal_snapshot, state_hash, 112);
SLUICE_ASSERT_OFFSET(sluice_wal_snapshot, header_crc, 120);
SLUICE_ASSERT_SIZE(sluice_wal_snapshot, 128);

/* The limits of the core that wrote the log: others could give other answers. */
struct sluice_wal_limits {
	uint32_t symbols_max;
	uint32_t orders_max;
	uint32_t levels_max;
	uint32_t sessions_max;
	uint32_t window_ticks;
	uint32_t risk;
};
SLUICE_ASSERT_SIZE(sluice_wal_limits, 24);

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
	uint64_t snapshot_file_bytes; /* of snap-0 and of snap-1 */
	uint64_t created_realtime_ns;
	/* set by a clean end: the block after which nothing was written; 0: none */
	uint64_t close_block_seq;
	struct sluice_wal_limits limits;
	/*
	 * Where the log starts: everything before may have been overwritten. Block 0, or the place
	 * of the older snapshot.
	 */
	struct sluice_wal_place start;
	struct sluice_wal_snapshot snapshot[SLUICE_WAL_SNAPSHOTS]; /* by number % 2 */
	uint64_t reserved[5];
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
SLUICE_ASSERT_OFFSET(sluice_wal_super, snapshot_file_bytes, 64);
SLUICE_ASSERT_OFFSET(sluice_wal_super, created_realtime_ns, 72);
SLUICE_ASSERT_OFFSET(sluice_wal_super, close_block_seq, 80);
SLUICE_ASSERT_OFFSET(sluice_wal_super, limits, 88);
SLUICE_ASSERT_OFFSET(sluice_wal_super, start, 112);
SLUICE_ASSERT_OFFSET(sluice_wal_super, snapshot, 208);
SLUICE_ASSERT_OFFSET(sluice_wal_super, reserved, 464);
SLUICE_ASSERT_OFFSET(sluice_wal_super, super_crc, 508);
SLUICE_ASSERT_SIZE(sluice_wal_super, 512);

/*
 * A snapshot file: one 4 KiB page with this header, then chunks of 64 KiB, then bytes that mean
 * nothing. The chunks hold the records of the core's image (engine/core/image.h) in order, all
 * full but the last.
 */
#define SLUICE_SNAPSHOT_MAGIC 0x50414e5357434c53ull /* "SLCWSNAP" */
#define SLUICE_SNAPSHOT_CHUNK_MAGIC 0x4b434853u	    /* "SHCK" */
#define SLUICE_SNAPSHOT_CHUNK_BYTES (64u * 1024u)

struct sluice_snapshot_header {
	uint64_t magic;
	uint32_t version; /* SLUICE_WAL_VERSION */
	uint32_t semantics;
	uint8_t log_uuid[16];
	uint64_t sequence;
	uint64_t bytes;	 /* header page and chunks */
	uint64_t records; /* of the image */
	uint64_t state_hash;
	uint64_t chain_hash;
	uint64_t created_realtime_ns;
	struct sluice_wal_limits limits;
	struct sluice_wal_place place;
	uint32_t chunks_crc; /* crc32c over the chunks' crc fields, in order */
	uint32_t header_crc; /* crc32c of all bytes before it */
};
SLUICE_ASSERT_OFFSET(sluice_snapshot_header, sequence, 32);
SLUICE_ASSERT_OFFSET(sluice_snapshot_header, bytes, 40);
SLUICE_ASSERT_OFFSET(sluice_snapshot_header, records, 48);
SLUICE_ASSERT_OFFSET(sluice_snapshot_header, state_hash, 56);
SLUICE_ASSERT_OFFSET(sluice_snapshot_header, chain_hash, 64);
SLUICE_ASSERT_OFFSET(sluice_snapshot_header, created_realtime_ns, 72);
SLUICE_ASSERT_OFFSET(sluice_snapshot_header, limits, 80);
SLUICE_ASSERT_OFFSET(sluice_snapshot_header, place, 104);
SLUICE_ASSERT_OFFSET(sluice_snapshot_header, chunks_crc, 200);
SLUICE_ASSERT_OFFSET(sluice_snapshot_header, header_crc, 204);
SLUICE_ASSERT_SIZE(sluice_snapshot_header, 208);

#define SLUICE_SNAPSHOT_RECORDS 1023u /* in a full chunk */

struct sluice_snapshot_chunk { /* 64 bytes, then records, then zeros to 64 KiB */
	uint32_t magic;
	uint32_t crc; /* crc32c of the chunk's bytes from offset 8 to its end */
	uint8_t log_uuid[16];
	uint64_t sequence; /* the snapshot's */
	uint64_t index;	   /* from 0 */
	uint64_t cmd_seq;  /* the snapshot's */
	uint32_t n_records;
	uint32_t reserved[3];
};
SLUICE_ASSERT_OFFSET(sluice_snapshot_chunk, sequence, 24);
SLUICE_ASSERT_OFFSET(sluice_snapshot_chunk, index, 32);
SLUICE_ASSERT_OFFSET(sluice_snapshot_chunk, cmd_seq, 40);
SLUICE_ASSERT_OFFSET(sluice_snapshot_chunk, n_records, 48);
SLUICE_ASSERT_SIZE(sluice_snapshot_chunk, 64);

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
	uint64_t reports_taken;
	uint8_t ring_uuid[16]; /* of the block before */
	uint32_t epoch;	      /* of the block before, 0 if there is none */
	uint16_t flags;	      /* of the block before, 0 if there is none */
	uint16_t reserved;
};

/* The chain that goes on from `place`, which lies in the live range of `super`. */
void sluice_wal_chain_init(struct sluice_wal_chain *chain, const struct sluice_wal_super *super,
			   const struct sluice_wal_place *place);

/* The other way round: where the chain is, with what only the core knows. */
void sluice_wal_chain_place(const struct sluice_wal_chain *chain, uint64_t report, uint64_t md,
			    struct sluice_wal_place *ret_place);
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

/* Bytes of a snapshot of n records: header page and chunks. */
uint64_t sluice_snapshot_bytes(uint64_t records);
uint32_t sluice_snapshot_header_checksum(const struct sluice_snapshot_header *header);
uint32_t sluice_snapshot_chunk_checksum(const struct sluice_snapshot_chunk *chunk);

/* The limits as a core takes them. */
struct sluice_core_options;
struct sluice_core_options sluice_wal_core_options(const struct sluice_wal_limits *limits);

/* One copy of the superblock: magic, checksum, version, geometry. */
bool sluice_wal_super_valid(const struct sluice_wal_super *super,
			    struct sluice_wal_fault *ret_fault);

#endif
