/* SPDX-License-Identifier: MIT */
/*
 * wal_judge.c - torn or damaged: what the bytes after the valid prefix prove about block k, the
 * first that is not valid.
 *
 * A torn tail is what a crash leaves: at most WINDOW_MAX blocks were in flight, none of which was
 * known durable when another of them was composed. Everything else that can be found there means
 * that a block was lost which had been acknowledged, or that bytes were moved:
 *
 *   a block that was composed when k was durable (durable_seq > k)
 *   a block too far beyond k to have been in flight together with it
 *   a block of a newer epoch than the prefix: its OPEN followed a durable k
 *   a block of the prefix's own epoch in a place that is not its own
 *   a segment's file that begins with a block of another log
 *   the superblock's mark of a clean end at or beyond k
 *   a snapshot in the superblock that holds block k, or was taken of another log before it
 *   a snapshot that the scan began at, when neither k nor the block before the snapshot is there
 *   k itself in a segment that the superblock does not know yet: a newer superblock was lost
 *
 * A header is enough to prove it: what it says was true when it was composed, whether the rest has
 * arrived or not. Blocks of older epochs are remains of tails that were cut; they prove nothing
 * about k unless they witness it. A segment that has been used before still holds the end of that
 * use, which filled it: those blocks lie in their order, each behind the one before it, and have
 * numbers below the log's start.
 *
 * Every place from k's on is asked the same, wherever k is. So what is left over when a log is
 * accepted is no reason to refuse it later, when it has grown into it. Bytes that a client wrote
 * may look like anything but a block of this log, whose uuid it does not know: another log's
 * header counts only in the first place of a segment, where never anything but a header lies.
 *
 * Reads only; the caller's thread.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine/wal/wal_files.h"
#include "engine/wal/wal_scan.h"

#define SECTOR_BYTES 512

struct place {
	uint64_t segment_no;
	uint64_t offset;
};

struct judgement {
	struct sluice_wal_scan *scan;
	const struct sluice_wal_chain *chain;
	struct sluice_wal_report *report;
	uint32_t seen; /* bit i: block k + i of the prefix's epoch was found */
	/* of the last block found that is of an earlier use of its segment */
	bool old_any;
	uint64_t old_seq;
	uint64_t old_link;
	struct place old_end;
};

__attribute__((format(printf, 3, 4))) static bool
damaged(struct judgement *j, const struct sluice_wal_block_header *witness, const char *format, ...)
{
	struct sluice_wal_report *report = j->report;
	va_list args;
	int used = snprintf(
		report->text, sizeof(report->text),
		"%s offset %llu: block %llu is not valid (%s: expected 0x%llx, found 0x%llx), ",
		report->file, (unsigned long long)report->offset,
		(unsigned long long)report->block_seq, j->scan->fault.what,
		(unsigned long long)j->scan->fault.expected,
		(unsigned long long)j->scan->fault.found);

	va_start(args, format);
	vsnprintf(report->text + used, sizeof(report->text) - (size_t)used, format, args);
	va_end(args);
	report->verdict = SLUICE_WAL_DAMAGED;
	report->witness_block_seq = witness ? witness->block_seq : 0;
	return true;
}

static void torn(struct judgement *j, const char *why)
{
	struct sluice_wal_report *report = j->report;

	report->verdict = SLUICE_WAL_TORN;
	snprintf(report->text, sizeof(report->text),
		 "%s offset %llu: block %llu is incomplete (%s; %s: expected 0x%llx, found 0x%llx) "
		 "and nothing shows that it was ever acknowledged",
		 report->file, (unsigned long long)report->offset,
		 (unsigned long long)report->block_seq, why, j->scan->fault.what,
		 (unsigned long long)j->scan->fault.expected,
		 (unsigned long long)j->scan->fault.found);
}

static bool ours(const struct judgement *j, const struct sluice_wal_block_header *header)
{
	return !memcmp(header->log_uuid, j->chain->log_uuid, sizeof(header->log_uuid));
}

static bool is_here(const struct sluice_wal_chain *chain, struct place at)
{
	return at.segment_no == chain->segment_no && at.offset == chain->offset;
}

static struct place behind(const struct sluice_wal_chain *chain, struct place at, uint32_t bytes)
{
	at.offset += bytes;
	return at.offset == chain->segment_bytes ? (struct place){at.segment_no + 1, 0} : at;
}

/*
 * A block of the use of its segment before. That use was complete before the present one began, so
 * it can only be the one before, and what is left of it must still be the chain that it was.
 */
static bool judge_old(struct judgement *j, const struct sluice_wal_block_header *old,
		      struct place at)
{
	unsigned long long seq = old->block_seq, offset = at.offset;
	unsigned int file = (unsigned int)(at.segment_no % SLUICE_WAL_SEGMENTS);
	bool next = j->old_any && at.segment_no == j->old_end.segment_no &&
		    at.offset == j->old_end.offset;

	if (old->segment_no + (uint64_t)SLUICE_WAL_SEGMENTS != at.segment_no ||
	    old->block_seq >= j->scan->super->start.block_seq)
		return damaged(j, old,
			       "and block %llu at wal-%02u offset %llu is of segment %u, of which "
			       "nothing can be left there",
			       seq, file, offset, old->segment_no);
	if ((j->old_any && old->block_seq <= j->old_seq) ||
	    (next && (old->block_seq != j->old_seq + 1 || old->prev_link != j->old_link)))
		return damaged(
			j, old,
			"and block %llu at wal-%02u offset %llu does not belong behind block "
			"%llu, which lies before it",
			seq, file, offset, (unsigned long long)j->old_seq);
	j->old_any = true;
	j->old_seq = old->block_seq;
	j->old_link = sluice_wal_link(old);
	j->old_end = behind(j->chain, at, sluice_wal_block_bytes(old->n_cmds));
	return false;
}

/*
 * The intact header of a block of this log, which is not block k in its place. True if it proves
 * damage.
 */
static bool judge_stray(struct judgement *j, const struct sluice_wal_block_header *stray,
			struct place at)
{
	const struct sluice_wal_chain *chain = j->chain;
	uint64_t k = chain->block_seq;
	uint64_t ahead = stray->block_seq - k;
	unsigned long long seq = stray->block_seq, offset = at.offset;
	unsigned int file = (unsigned int)(at.segment_no % SLUICE_WAL_SEGMENTS);
	bool beyond = stray->block_seq >= k;

	if (stray->segment_no % SLUICE_WAL_SEGMENTS != file || stray->segment_no > at.segment_no)
		return damaged(j, stray,
			       "and block %llu at wal-%02u offset %llu belongs into segment %u",
			       seq, file, offset, stray->segment_no);
	if (stray->segment_no < at.segment_no)
		return judge_old(j, stray, at);
	if (beyond && stray->durable_seq > k)
		return damaged(
			j, stray,
			"but block %llu at wal-%02u offset %llu was written when it was durable",
			seq, file, offset);
	if (beyond && ahead >= SLUICE_WAL_WINDOW_MAX)
		return damaged(j, stray,
			       "but block %llu at wal-%02u offset %llu is too far ahead to have "
			       "been in flight with it",
			       seq, file, offset);
	if (stray->epoch > chain->epoch)
		return damaged(j, stray,
			       "but block %llu at wal-%02u offset %llu is of epoch %u, later than "
			       "the last valid block's %u",
			       seq, file, offset, stray->epoch, chain->epoch);
	if (stray->epoch < chain->epoch)
		return false;
	if (!beyond || ahead == 0 || is_here(chain, at) || (j->seen & 1u << ahead))
		return damaged(j, stray,
			       "and block %llu of the same epoch is at wal-%02u offset %llu, which "
			       "is not its place",
			       seq, file, offset);
	j->seen |= 1u << ahead;
	return false;
}

/* Every 4 KiB place of the live range from k's on. 1: damage proved, 0: none, or -errno. */
static int search(struct judgement *j)
{
	const struct sluice_wal_chain *chain = j->chain;
	struct place at = {chain->segment_no, chain->offset};
	struct sluice_wal_fault unused;
	int error = 0;

	while (at.segment_no < chain->segment_end) {
		const struct sluice_wal_block_header *header = sluice_wal_scan_load(
			j->scan, at.segment_no, at.offset, SLUICE_WAL_ALIGN, &error);

		if (!header)
			return error;
		if (sluice_wal_header_intact(header, chain->segment_bytes - at.offset, &unused) &&
		    ours(j, header) &&
		    !(is_here(chain, at) && sluice_wal_chain_follows(chain, header, &unused)) &&
		    judge_stray(j, header, at))
			return 1;
		at = behind(chain, at, SLUICE_WAL_ALIGN);
	}
	return 0;
}

static bool all_zero(const unsigned char *bytes, size_t n)
{
	return bytes[0] == 0 && !memcmp(bytes, bytes + 1, n - 1);
}

/* What lies in k's own place may be what has arrived of it. 0 or -errno. */
static int judge_place(struct judgement *j)
{
	const struct sluice_wal_chain *chain = j->chain;
	struct sluice_wal_fault unused;
	const struct sluice_wal_block_header *header;
	const unsigned char *bytes;
	int error = 0;

	header = sluice_wal_scan_load(j->scan, chain->segment_no, chain->offset, SLUICE_WAL_ALIGN,
				      &error);
	if (!header)
		return error;
	bytes = (const unsigned char *)header;
	if (sluice_wal_header_intact(header, sluice_wal_chain_room(chain), &unused)) {
		if (sluice_wal_chain_follows(chain, header, &unused))
			torn(j, "its payload did not arrive whole");
	} else if (header->magic == SLUICE_WAL_BLOCK_MAGIC || ours(j, header)) {
		torn(j, "its header is not intact");
	} else if (all_zero(bytes, SECTOR_BYTES) && !all_zero(bytes, SLUICE_WAL_ALIGN)) {
		torn(j, "its first sector did not arrive");
	}
	return 0;
}

/* The first places of all files, in whatever use they are. 1: damage proved, 0: none, or -errno. */
static int judge_files(struct judgement *j)
{
	const uint64_t start = j->scan->super->start.segment_no;
	struct sluice_wal_fault unused;
	int error = 0;

	for (uint64_t segment_no = start; segment_no < start + SLUICE_WAL_SEGMENTS; segment_no++) {
		const struct sluice_wal_block_header *header =
			sluice_wal_scan_load(j->scan, segment_no, 0, SLUICE_WAL_ALIGN, &error);

		if (!header)
			return error;
		if (sluice_wal_header_intact(header, j->chain->segment_bytes, &unused) &&
		    !ours(j, header))
			return damaged(j, NULL, "and wal-%02u is of another log",
				       (unsigned int)(segment_no % SLUICE_WAL_SEGMENTS));
	}
	return 0;
}

/*
 * The live range ends before k. A block of k's segment behind it was written under a superblock
 * that had moved the log's start, and that must have been durable before.
 */
static int judge_beyond(struct judgement *j)
{
	const struct sluice_wal_chain *chain = j->chain;
	const struct sluice_wal_block_header *header;
	struct sluice_wal_fault unused;
	int error = 0;

	j->scan->fault = (struct sluice_wal_fault){"segment", chain->segment_end - 1,
						   chain->segment_no};
	header = sluice_wal_scan_load(j->scan, chain->segment_no, 0, SLUICE_WAL_ALIGN, &error);
	if (!header)
		return error;
	if (sluice_wal_header_intact(header, chain->segment_bytes, &unused) && ours(j, header) &&
	    header->segment_no >= chain->segment_no)
		return damaged(j, header,
			       "and block %llu is in the first place of segment %u: a superblock "
			       "that let it be written was lost",
			       (unsigned long long)header->block_seq, header->segment_no);
	return 0;
}

/* The block before the place that the scan began at, for which only a snapshot stands. */
static int judge_before(struct judgement *j)
{
	const struct sluice_wal_chain *chain = j->chain;
	const uint64_t end = chain->offset ? chain->offset : chain->segment_bytes;
	const uint64_t segment_no = chain->segment_no - (chain->offset ? 0 : 1);
	const uint64_t most = end < SLUICE_WAL_BLOCK_BYTES_MAX ? end : SLUICE_WAL_BLOCK_BYTES_MAX;
	struct sluice_wal_fault unused;
	int error = 0;

	for (uint64_t bytes = most; bytes > 0; bytes -= SLUICE_WAL_ALIGN) {
		const struct sluice_wal_block_header *header =
			sluice_wal_scan_load(j->scan, segment_no, end - bytes, bytes, &error);

		if (!header)
			return error;
		if (sluice_wal_header_intact(header, bytes, &unused) &&
		    sluice_wal_block_bytes(header->n_cmds) == bytes &&
		    header->block_seq == chain->block_seq - 1 &&
		    sluice_wal_link(header) == chain->prev_link)
			return 0;
	}
	return damaged(j, NULL,
		       "and block %llu, which a snapshot holds, is not before it: these files are "
		       "older than the superblock",
		       (unsigned long long)chain->block_seq - 1);
}

/* 1: the bytes prove damage, 0: they do not, or -errno. */
static int judge_bytes(struct judgement *j)
{
	const struct sluice_wal_scan *scan = j->scan;
	int ret;

	if (!sluice_wal_scan_agrees(scan, &j->scan->fault))
		return damaged(j, NULL,
			       "but the superblock names a snapshot of another log before it");
	if (sluice_wal_chain_at_end(j->chain)) {
		ret = judge_beyond(j);
	} else {
		ret = judge_place(j);
		if (ret == 0)
			ret = search(j);
	}
	if (ret == 0)
		ret = judge_files(j);
	if (ret == 0 && scan->blocks == 0 && j->chain->block_seq > scan->super->start.block_seq)
		ret = judge_before(j);
	return ret;
}

static bool judge_super(struct judgement *j)
{
	const struct sluice_wal_super *super = j->scan->super;
	uint64_t k = j->chain->block_seq;

	if (super->close_block_seq != 0 && super->close_block_seq >= k)
		return damaged(j, NULL,
			       "but the superblock says that the log was closed after block %llu",
			       (unsigned long long)super->close_block_seq);
	for (uint32_t i = 0; i < SLUICE_WAL_SNAPSHOTS; i++)
		if (super->snapshot[i].sequence && super->snapshot[i].place.block_seq > k)
			return damaged(
				j, NULL,
				"but the superblock names a snapshot of the blocks below %llu",
				(unsigned long long)super->snapshot[i].place.block_seq);
	return false;
}

static void describe_end(const struct sluice_wal_scan *scan, struct sluice_wal_report *report)
{
	const struct sluice_wal_chain *chain = &scan->chain;

	*report = (struct sluice_wal_report){
		.verdict = SLUICE_WAL_INTACT,
		.segment_no = (uint32_t)chain->segment_no,
		.block_seq = chain->block_seq,
		.offset = chain->offset,
		.blocks = scan->blocks,
		.commands = chain->cmd_seq - scan->cmd_seq_first,
	};
	sluice_wal_file_name((uint32_t)(chain->segment_no % SLUICE_WAL_SEGMENTS), report->file);
	snprintf(report->text, sizeof(report->text),
		 "%s offset %llu: the log ends before block %llu, at a block's boundary",
		 report->file, (unsigned long long)chain->offset,
		 (unsigned long long)chain->block_seq);
}

int sluice_wal_scan_judge(struct sluice_wal_scan *scan, struct sluice_wal_report *ret_report)
{
	struct sluice_wal_report report;
	struct judgement j = {.scan = scan, .chain = &scan->chain, .report = &report};
	int ret;

	describe_end(scan, &report);
	ret = judge_bytes(&j);
	if (ret < 0)
		return ret;
	if (ret == 0 && !judge_super(&j) && j.seen && report.verdict == SLUICE_WAL_INTACT)
		torn(&j, "later ones of the same epoch arrived before it");
	*ret_report = report;
	return 0;
}
