/* SPDX-License-Identifier: MIT */
/*
 * layout.h - the shared-memory ABI of one ring segment: types, constants, static asserts, no code.
 *
 *   offset          what                                     written by
 *   0               struct sluice_header, one 4 KiB page      creator, before the name exists
 *   4096            struct sluice_control                     see each word
 *   participants    struct sluice_participant[count]          its owner; the recoverer
 *   counters        struct sluice_counter[count]              the counter's owner
 *   histograms      struct sluice_histogram[count]            the histogram's owner
 *   directory       struct sluice_directory_entry[count]      the engine
 *   slots           slot_count * slot_stride bytes            producers
 *
 * Everything is an offset from the segment's base; each process copies geometry once, checked
 * against the real file size, into private memory. Words that different parties write lie
 * SLUICE_LINE_BYTES apart. Sequences are free-running u64, compared only by subtraction. A sequence
 * names a slot by `sequence & (slot_count - 1)`.
 *
 * All words are little-endian. docs/shm-layout.md describes the same in prose.
 */
#ifndef SLUICE_SHM_LAYOUT_H
#define SLUICE_SHM_LAYOUT_H

#include <stdatomic.h>

#include "shm/base.h"

#define SLUICE_MAGIC 0x31454349554c53ffull /* "\xffSLUICE1" read as little-endian */
#define SLUICE_ABI_MAJOR 1		   /* another major: refuse */
#define SLUICE_ABI_MINOR 1		   /* a higher minor: feature masks decide */

/* ext4's rule: an unknown incompat bit refuses, an unknown ro-compat bit allows read-only. */
#define SLUICE_INCOMPAT_STAMPED 0x1u /* slots carry stamps */
#define SLUICE_INCOMPAT_KNOWN 0x1u
#define SLUICE_RO_COMPAT_KNOWN 0x0u
#define SLUICE_COMPAT_DIRECTORY 0x1u
#define SLUICE_COMPAT_KNOWN 0x1u

#define SLUICE_PARTICIPANTS_MAX 64 /* one bit each in the control words */
#define SLUICE_SLOTS_MIN 2
#define SLUICE_SLOTS_MAX (1ull << 30)
#define SLUICE_STRIDE_MAX 4096
#define SLUICE_COUNTERS_MAX 1024
#define SLUICE_HISTOGRAMS_MAX 64
#define SLUICE_DIRECTORY_MAX 65536
#define SLUICE_SEGMENT_NAME_BYTES 64 /* with the final NUL */
#define SLUICE_PARTICIPANT_NAME_BYTES 32

enum sluice_publication {
	SLUICE_PUBLICATION_CURSOR = 1, /* packed slots; one cursor says how far they are */
	SLUICE_PUBLICATION_STAMPED = 2 /* {u64 stamp, payload}; each slot says so itself */
};

enum sluice_producer_mode { SLUICE_PRODUCER_SINGLE = 1, SLUICE_PRODUCER_MULTI = 2 };

enum sluice_event_kind { /* what the slots hold; tools decode by it */
	SLUICE_EVENT_RAW = 0,
	SLUICE_EVENT_COMMAND = 1,
	SLUICE_EVENT_REPORT = 2,
	SLUICE_EVENT_MARKET_DATA = 3
};

enum sluice_backing { /* what the kernel's own accounting said after mapping */
	SLUICE_BACKING_PRIVATE = 0,  /* anonymous, one process */
	SLUICE_BACKING_HUGETLBFS = 1,
	SLUICE_BACKING_SHM_HUGE = 2,	 /* shm_open, mount gives huge pages */
	SLUICE_BACKING_SHM_COLLAPSE = 3, /* shm_open, MADV_COLLAPSE */
	SLUICE_BACKING_SHM_SMALL = 4	 /* shm_open, 4 KiB pages */
};

enum sluice_hugepages {
	SLUICE_HUGEPAGES_PREFER = 0,
	SLUICE_HUGEPAGES_REQUIRE = 1,
	SLUICE_HUGEPAGES_OFF = 2
};

/*
 * Stamp of a stamped slot: published(s) <=> (stamp & SEQ) >= s + 1. WRITING | s says that s is
 * claimed and not yet published, so also that every earlier user of the slot is done.
 */
#define SLUICE_STAMP_WRITING (1ull << 63) /* before the payload: a seqlock for lossy readers */
#define SLUICE_STAMP_VOID (1ull << 62)	  /* tombstone: published, holds no event */
#define SLUICE_STAMP_SEQ (SLUICE_STAMP_VOID - 1)

/* ---------------------------------------------------------------------------------- header */

/* Immutable once the name exists. crc32c covers bytes [0, offset of header_crc). */
struct sluice_header {
	uint64_t magic;
	uint16_t abi_major;
	uint16_t abi_minor;
	uint32_t layout_hash; /* of sizes, strides and byte order of this build's layout */
	uint32_t feature_incompat;
	uint32_t feature_ro_compat;
	uint32_t feature_compat;
	uint32_t page_bytes; /* of the pages obtained: 4096, 2 MiB, 1 GiB */
	uint8_t uuid[16];
	uint8_t boot_id[16];
	uint64_t total_bytes; /* the file's size */

	uint64_t slot_count;
	uint32_t slot_stride;
	uint32_t payload_bytes; /* of one event: slot_stride, less the stamp if there is one */
	uint32_t publication;	/* enum sluice_publication */
	uint32_t producer_mode; /* enum sluice_producer_mode */
	uint32_t event_kind;	/* enum sluice_event_kind */
	uint32_t backing;	/* enum sluice_backing */
	uint64_t base_sequence; /* of the first event ever claimed here */

	uint64_t control_offset;
	uint64_t participants_offset;
	uint64_t counters_offset;
	uint64_t histograms_offset;
	uint64_t directory_offset;
	uint64_t slots_offset;
	uint32_t participant_count;
	uint32_t counter_count;
	uint32_t histogram_count;
	uint32_t directory_count;

	uint32_t hugepages;    /* the policy asked for, enum sluice_hugepages */
	int32_t numa_node;     /* where every page was found; -1 mixed or unknown */
	uint64_t huge_bytes;   /* of total_bytes, mapped by huge pages in the creator */
	uint64_t created_realtime_ns;
	uint64_t creator_start_ticks; /* field 22 of /proc/PID/stat: with the pid, an identity */
	uint64_t creator_pidns;	      /* inode of the creator's pid namespace */
	uint32_t creator_pid;
	uint32_t creator_uid;
	char creator_version[32];
	char name[SLUICE_SEGMENT_NAME_BYTES];
	uint32_t reserved;
	uint32_t header_crc;
};
SLUICE_ASSERT_OFFSET(sluice_header, magic, 0);
SLUICE_ASSERT_OFFSET(sluice_header, abi_major, 8);
SLUICE_ASSERT_OFFSET(sluice_header, abi_minor, 10);
SLUICE_ASSERT_OFFSET(sluice_header, layout_hash, 12);
SLUICE_ASSERT_OFFSET(sluice_header, feature_incompat, 16);
SLUICE_ASSERT_OFFSET(sluice_header, feature_ro_compat, 20);
SLUICE_ASSERT_OFFSET(sluice_header, feature_compat, 24);
SLUICE_ASSERT_OFFSET(sluice_header, page_bytes, 28);
SLUICE_ASSERT_OFFSET(sluice_header, uuid, 32);
SLUICE_ASSERT_OFFSET(sluice_header, boot_id, 48);
SLUICE_ASSERT_OFFSET(sluice_header, total_bytes, 64);
SLUICE_ASSERT_OFFSET(sluice_header, slot_count, 72);
SLUICE_ASSERT_OFFSET(sluice_header, slot_stride, 80);
SLUICE_ASSERT_OFFSET(sluice_header, payload_bytes, 84);
SLUICE_ASSERT_OFFSET(sluice_header, publication, 88);
SLUICE_ASSERT_OFFSET(sluice_header, producer_mode, 92);
SLUICE_ASSERT_OFFSET(sluice_header, event_kind, 96);
SLUICE_ASSERT_OFFSET(sluice_header, backing, 100);
SLUICE_ASSERT_OFFSET(sluice_header, base_sequence, 104);
SLUICE_ASSERT_OFFSET(sluice_header, control_offset, 112);
SLUICE_ASSERT_OFFSET(sluice_header, participants_offset, 120);
SLUICE_ASSERT_OFFSET(sluice_header, counters_offset, 128);
SLUICE_ASSERT_OFFSET(sluice_header, histograms_offset, 136);
SLUICE_ASSERT_OFFSET(sluice_header, directory_offset, 144);
SLUICE_ASSERT_OFFSET(sluice_header, slots_offset, 152);
SLUICE_ASSERT_OFFSET(sluice_header, participant_count, 160);
SLUICE_ASSERT_OFFSET(sluice_header, counter_count, 164);
SLUICE_ASSERT_OFFSET(sluice_header, histogram_count, 168);
SLUICE_ASSERT_OFFSET(sluice_header, directory_count, 172);
SLUICE_ASSERT_OFFSET(sluice_header, hugepages, 176);
SLUICE_ASSERT_OFFSET(sluice_header, numa_node, 180);
SLUICE_ASSERT_OFFSET(sluice_header, huge_bytes, 184);
SLUICE_ASSERT_OFFSET(sluice_header, created_realtime_ns, 192);
SLUICE_ASSERT_OFFSET(sluice_header, creator_start_ticks, 200);
SLUICE_ASSERT_OFFSET(sluice_header, creator_pidns, 208);
SLUICE_ASSERT_OFFSET(sluice_header, creator_pid, 216);
SLUICE_ASSERT_OFFSET(sluice_header, creator_uid, 220);
SLUICE_ASSERT_OFFSET(sluice_header, creator_version, 224);
SLUICE_ASSERT_OFFSET(sluice_header, name, 256);
SLUICE_ASSERT_OFFSET(sluice_header, reserved, 320);
SLUICE_ASSERT_OFFSET(sluice_header, header_crc, 324);
SLUICE_ASSERT_SIZE(sluice_header, 328);

#define SLUICE_HEADER_AREA_BYTES 4096

/* --------------------------------------------------------------------------------- control */

enum sluice_segment_state {
	SLUICE_STATE_READY = 1,
	SLUICE_STATE_DRAINING = 2, /* closed: no more claims; consumers take what is published */
	SLUICE_STATE_RECOVERING = 3,
	SLUICE_STATE_POISONED = 4, /* an invariant broke: every call fails */
	SLUICE_STATE_RETIRED = 5   /* the name is gone or about to go: detach */
};
/* The state word holds the state in its low 8 bits and an epoch above. */
#define SLUICE_STATE_MASK 0xffull
#define SLUICE_STATE_EPOCH_SHIFT 8

/* Each word on its own pair of lines; the guard keeps the last one from its neighbour. */
struct sluice_control {
	_Atomic uint64_t state; /* owner, operator */
	uint8_t pad0[SLUICE_LINE_BYTES - 8];
	_Atomic uint64_t claim; /* next sequence to be claimed; producers */
	uint8_t pad1[SLUICE_LINE_BYTES - 8];
	_Atomic uint64_t cursor; /* cursor-published: next sequence to be published; the producer */
	uint8_t pad2[SLUICE_LINE_BYTES - 8];
	_Atomic uint64_t consumer_sleepers; /* bit i: participant i sleeps for events */
	uint8_t pad3[SLUICE_LINE_BYTES - 8];
	_Atomic uint64_t producer_sleepers; /* bit i: participant i sleeps for space */
	_Atomic uint64_t stage_sleepers; /* bit i: participant i sleeps for a stage before it */
	uint8_t pad4[SLUICE_LINE_BYTES - 16];
	_Atomic uint64_t gating; /* bit i: participant i's position gates producers */
	uint8_t pad5[SLUICE_LINE_BYTES - 8];
	_Atomic uint64_t membership; /* grows at every change of `gating`: caches are stale */
	uint8_t pad6[SLUICE_LINE_BYTES - 8];
	_Atomic uint64_t directory_used; /* entries of the directory that are complete */
	uint8_t pad7[SLUICE_LINE_BYTES - 8];
	_Atomic uint64_t fenced; /* not 0: publishers fence before they look for sleepers */
	uint8_t pad8[SLUICE_LINE_BYTES - 8];
	_Atomic uint64_t producers_joined; /* producers that ever joined; statistic and --once */
	uint8_t pad9[SLUICE_LINE_BYTES - 8];
	_Atomic uint64_t recoverer; /* pid of the last process that wrote tombstones; statistic */
	_Atomic uint64_t tombstones; /* ever written here, aborted claims included */
	_Atomic uint64_t recoveries; /* passes that wrote some */
	uint8_t pad10[SLUICE_LINE_BYTES - 24];
	_Atomic uint64_t note[SLUICE_LINE_BYTES / 8]; /* engine's status: see SLUICE_NOTE_ */
	uint8_t guard[4 * SLUICE_LINE_BYTES];
};
SLUICE_ASSERT_OFFSET(sluice_control, state, 0);
SLUICE_ASSERT_OFFSET(sluice_control, claim, 128);
SLUICE_ASSERT_OFFSET(sluice_control, cursor, 256);
SLUICE_ASSERT_OFFSET(sluice_control, consumer_sleepers, 384);
SLUICE_ASSERT_OFFSET(sluice_control, producer_sleepers, 512);
SLUICE_ASSERT_OFFSET(sluice_control, stage_sleepers, 520);
SLUICE_ASSERT_OFFSET(sluice_control, gating, 640);
SLUICE_ASSERT_OFFSET(sluice_control, membership, 768);
SLUICE_ASSERT_OFFSET(sluice_control, directory_used, 896);
SLUICE_ASSERT_OFFSET(sluice_control, fenced, 1024);
SLUICE_ASSERT_OFFSET(sluice_control, producers_joined, 1152);
SLUICE_ASSERT_OFFSET(sluice_control, recoverer, 1280);
SLUICE_ASSERT_OFFSET(sluice_control, tombstones, 1288);
SLUICE_ASSERT_OFFSET(sluice_control, recoveries, 1296);
SLUICE_ASSERT_OFFSET(sluice_control, note, 1408);
SLUICE_ASSERT_SIZE(sluice_control, 2048);

/* control.note[]: what the owner says of itself, for tools. Relaxed, statistics only. */
enum sluice_note {
	SLUICE_NOTE_DURABILITY = 0, /* SLUICE_REPORT_DURABLE, ... plus 1; 0: unknown */
	SLUICE_NOTE_DURABLE = 1,    /* sequence up to which everything is durable */
	SLUICE_NOTE_HALTED = 2,	    /* errno of the log error that stopped the engine */
	SLUICE_NOTE_STATE_HASH = 3, /* of the core at a clean end, HASH_SEQ commands executed */
	SLUICE_NOTE_HASH_SEQ = 4,
	SLUICE_NOTE_WAL_BYTES = 5, /* written since start */
	SLUICE_NOTE_WAL_BLOCKS = 6,
	SLUICE_NOTE_TRADES = 7
};

/* ---------------------------------------------------------------------------- participants */

enum sluice_role { SLUICE_ROLE_NONE = 0, SLUICE_ROLE_PRODUCER = 1, SLUICE_ROLE_CONSUMER = 2 };

enum sluice_policy {
	SLUICE_POLICY_NONE = 0,
	SLUICE_POLICY_CRITICAL = 1,  /* gates, dead or not */
	SLUICE_POLICY_EVICTABLE = 2, /* gates until dead or beyond its lag limit */
	SLUICE_POLICY_LOSSY = 3	     /* never gates */
};

enum sluice_participant_state {
	SLUICE_PARTICIPANT_FREE = 0,
	SLUICE_PARTICIPANT_JOINING = 1,
	SLUICE_PARTICIPANT_ACTIVE = 2,
	SLUICE_PARTICIPANT_DETACHED = 3, /* a critical consumer that is away; its position gates */
	SLUICE_PARTICIPANT_EVICTED = 4
};
/* The state word holds the state in its low 8 bits and the incarnation above. */
#define SLUICE_PARTICIPANT_STATE_MASK 0xffull
#define SLUICE_PARTICIPANT_GENERATION_SHIFT 8

/*
 * Claim record of a multi-producer ring's producer: {2-bit state | 14 bits, number of slots less
 * one | 48-bit first sequence, modulo 2^48}. shm/claim.h has the arithmetic.
 */
#define SLUICE_CLAIM_IDLE 0ull
#define SLUICE_CLAIM_ATTEMPT (1ull << 62)
#define SLUICE_CLAIM_CLAIMED (2ull << 62)
#define SLUICE_CLAIM_STATE (3ull << 62)
#define SLUICE_CLAIM_COUNT_SHIFT 48
#define SLUICE_CLAIM_COUNT_MASK 0x3fffull
#define SLUICE_CLAIM_FIRST_MASK ((1ull << 48) - 1)
#define SLUICE_CLAIM_MAX (SLUICE_CLAIM_COUNT_MASK + 1) /* slots of one claim */

struct sluice_participant {
	/* identity: written while JOINING, under the participant's own lock byte */
	_Atomic uint64_t state;
	uint32_t role;		 /* enum sluice_role */
	_Atomic uint32_t policy; /* enum sluice_policy; relaxed, an evictor may look at any time */
	uint32_t pid;
	uint32_t uid;
	uint64_t start_ticks;
	uint64_t pidns;
	uint64_t incarnation; /* random */
	uint64_t joined_realtime_ns;
	_Atomic uint64_t lag_max; /* evictable: evicted beyond it; 0 no limit; relaxed likewise */
	uint32_t wait;	  /* enum sluice_wait_strategy */
	int32_t cpu;	  /* pinned to, -1 none */
	char name[SLUICE_PARTICIPANT_NAME_BYTES];
	_Atomic uint64_t follows; /* consumer: bit i, it reads only what participant i released */
	uint64_t reserved[18];

	/* consumer: next sequence that it still needs; everything before may be overwritten */
	_Atomic uint64_t position;
	uint8_t pad1[SLUICE_LINE_BYTES - 8];

	/* producer: its one outstanding claim */
	_Atomic uint64_t claim_record;
	uint8_t pad2[SLUICE_LINE_BYTES - 8];

	/* sleeps here; others add 1 and wake */
	_Atomic uint32_t wake;
	uint8_t pad3[SLUICE_LINE_BYTES - 4];

	/* statistics, written by the owner only, relaxed */
	_Atomic uint64_t events;      /* published or consumed */
	_Atomic uint64_t batches;
	_Atomic uint64_t polls;
	_Atomic uint64_t empty_polls;
	_Atomic uint64_t sleeps;
	_Atomic uint64_t full_waits;  /* producer: claims that found no space */
	_Atomic uint64_t progress_ns; /* CLOCK_MONOTONIC of the last batch; for alarms only */
	_Atomic uint64_t lag_high;    /* consumer: most events ever behind */
	_Atomic uint64_t gaps;	      /* lossy: events overwritten before they were read */
	_Atomic uint64_t voids;
	_Atomic uint64_t stalled_ns; /* consumer: CLOCK_MONOTONIC since when the slot at `next` is
				      * claimed and not published; 0: it is not */
	_Atomic uint64_t failed; /* consumer: errno that stopped its handler; 0: none */
	_Atomic uint64_t statistics_reserved[4];

	uint8_t guard[2 * SLUICE_LINE_BYTES];
};
SLUICE_ASSERT_OFFSET(sluice_participant, state, 0);
SLUICE_ASSERT_OFFSET(sluice_participant, role, 8);
SLUICE_ASSERT_OFFSET(sluice_participant, policy, 12);
SLUICE_ASSERT_OFFSET(sluice_participant, pid, 16);
SLUICE_ASSERT_OFFSET(sluice_participant, uid, 20);
SLUICE_ASSERT_OFFSET(sluice_participant, start_ticks, 24);
SLUICE_ASSERT_OFFSET(sluice_participant, pidns, 32);
SLUICE_ASSERT_OFFSET(sluice_participant, incarnation, 40);
SLUICE_ASSERT_OFFSET(sluice_participant, joined_realtime_ns, 48);
SLUICE_ASSERT_OFFSET(sluice_participant, lag_max, 56);
SLUICE_ASSERT_OFFSET(sluice_participant, wait, 64);
SLUICE_ASSERT_OFFSET(sluice_participant, cpu, 68);
SLUICE_ASSERT_OFFSET(sluice_participant, name, 72);
SLUICE_ASSERT_OFFSET(sluice_participant, follows, 104);
SLUICE_ASSERT_OFFSET(sluice_participant, reserved, 112);
SLUICE_ASSERT_OFFSET(sluice_participant, position, 256);
SLUICE_ASSERT_OFFSET(sluice_participant, claim_record, 384);
SLUICE_ASSERT_OFFSET(sluice_participant, wake, 512);
SLUICE_ASSERT_OFFSET(sluice_participant, events, 640);
SLUICE_ASSERT_OFFSET(sluice_participant, batches, 648);
SLUICE_ASSERT_OFFSET(sluice_participant, polls, 656);
SLUICE_ASSERT_OFFSET(sluice_participant, empty_polls, 664);
SLUICE_ASSERT_OFFSET(sluice_participant, sleeps, 672);
SLUICE_ASSERT_OFFSET(sluice_participant, full_waits, 680);
SLUICE_ASSERT_OFFSET(sluice_participant, progress_ns, 688);
SLUICE_ASSERT_OFFSET(sluice_participant, lag_high, 696);
SLUICE_ASSERT_OFFSET(sluice_participant, gaps, 704);
SLUICE_ASSERT_OFFSET(sluice_participant, voids, 712);
SLUICE_ASSERT_OFFSET(sluice_participant, stalled_ns, 720);
SLUICE_ASSERT_OFFSET(sluice_participant, failed, 728);
SLUICE_ASSERT_SIZE(sluice_participant, 1024);

/* Bytes of NAME.lk: byte i (< SLUICE_PARTICIPANTS_MAX) is held by participant i while it lives. */
#define SLUICE_LOCK_RECOVERER 64
#define SLUICE_LOCK_CREATOR 65	/* create, repair, gc */
#define SLUICE_LOCK_PRODUCER 66 /* single-producer rings: the one producer */
#define SLUICE_LOCK_ATTACHED 67 /* shared: every read-write attachment, so that gc sees it */

/* -------------------------------------------------------------------------------- counters */

enum sluice_counter_kind {
	SLUICE_COUNTER_FREE = 0,
	SLUICE_COUNTER_TOTAL = 1,
	SLUICE_COUNTER_GAUGE = 2
};

struct sluice_counter {
	char label[40]; /* snake_case with its unit last, e.g. wal_bytes */
	_Atomic uint32_t kind; /* stored last when a counter is set up */
	uint32_t owner;	       /* participant index, or UINT32_MAX */
	_Atomic uint64_t value;
	uint8_t guard[SLUICE_LINE_BYTES - 56];
};
SLUICE_ASSERT_OFFSET(sluice_counter, label, 0);
SLUICE_ASSERT_OFFSET(sluice_counter, kind, 40);
SLUICE_ASSERT_OFFSET(sluice_counter, owner, 44);
SLUICE_ASSERT_OFFSET(sluice_counter, value, 48);
SLUICE_ASSERT_SIZE(sluice_counter, 128);

/* ------------------------------------------------------------------------------ histograms */

/*
 * Log-linear buckets: values below 2^SUB_BITS have a bucket each; every following power of two is
 * split in 2^(SUB_BITS-1) buckets, so a bucket is never wider than 1/1024 of its value: 3
 * significant digits. Values of 2^RANGE_BITS ns (68 s) and more are counted in `overflow`.
 */
#define SLUICE_HISTOGRAM_SUB_BITS 11
#define SLUICE_HISTOGRAM_RANGE_BITS 36
#define SLUICE_HISTOGRAM_BUCKETS                                                                   \
	((1u << SLUICE_HISTOGRAM_SUB_BITS) +                                                       \
	 (SLUICE_HISTOGRAM_RANGE_BITS - SLUICE_HISTOGRAM_SUB_BITS) *                               \
		 (1u << (SLUICE_HISTOGRAM_SUB_BITS - 1)))

struct sluice_histogram { /* one writer, relaxed; any number of readers at any time */
	char label[40];
	_Atomic uint32_t used; /* stored last when a histogram is set up */
	uint32_t owner;
	_Atomic uint64_t count; /* of recorded values, overflow included; stored after the bucket */
	_Atomic uint64_t sum;
	_Atomic uint64_t min; /* UINT64_MAX while empty */
	_Atomic uint64_t max;
	_Atomic uint64_t overflow;
	uint8_t pad[SLUICE_LINE_BYTES - 88];
	_Atomic uint64_t bucket[SLUICE_HISTOGRAM_BUCKETS];
};
SLUICE_STATIC_ASSERT(SLUICE_HISTOGRAM_BUCKETS == 27648, "bucket count is part of the layout");
SLUICE_ASSERT_OFFSET(sluice_histogram, label, 0);
SLUICE_ASSERT_OFFSET(sluice_histogram, used, 40);
SLUICE_ASSERT_OFFSET(sluice_histogram, owner, 44);
SLUICE_ASSERT_OFFSET(sluice_histogram, count, 48);
SLUICE_ASSERT_OFFSET(sluice_histogram, sum, 56);
SLUICE_ASSERT_OFFSET(sluice_histogram, min, 64);
SLUICE_ASSERT_OFFSET(sluice_histogram, max, 72);
SLUICE_ASSERT_OFFSET(sluice_histogram, overflow, 80);
SLUICE_ASSERT_OFFSET(sluice_histogram, bucket, 128);
SLUICE_ASSERT_SIZE(sluice_histogram, 128 + 8 * 27648);

/* ------------------------------------------------------------------------------- directory */

enum sluice_directory_kind { SLUICE_DIRECTORY_SYMBOL = 1, SLUICE_DIRECTORY_ASSET = 2 };

struct sluice_directory_entry { /* names of ids; complete below control.directory_used */
	char name[24];
	uint32_t id;
	uint16_t kind; /* enum sluice_directory_kind */
	uint8_t price_decimals;
	uint8_t qty_decimals;
	uint64_t cmd_seq; /* of the command that defined it */
	uint8_t reserved[24];
};
SLUICE_ASSERT_OFFSET(sluice_directory_entry, name, 0);
SLUICE_ASSERT_OFFSET(sluice_directory_entry, id, 24);
SLUICE_ASSERT_OFFSET(sluice_directory_entry, kind, 28);
SLUICE_ASSERT_OFFSET(sluice_directory_entry, price_decimals, 30);
SLUICE_ASSERT_OFFSET(sluice_directory_entry, qty_decimals, 31);
SLUICE_ASSERT_OFFSET(sluice_directory_entry, cmd_seq, 32);
SLUICE_ASSERT_SIZE(sluice_directory_entry, 64);

SLUICE_STATIC_ASSERT(ATOMIC_LLONG_LOCK_FREE == 2, "shared words need address-free atomics");
SLUICE_STATIC_ASSERT(sizeof(_Atomic uint64_t) == 8, "an atomic word is the word itself");
SLUICE_STATIC_ASSERT(sizeof(_Atomic uint32_t) == 4, "an atomic word is the word itself");
SLUICE_STATIC_ASSERT(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "shared formats are little-endian");

#endif
