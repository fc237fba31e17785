/* SPDX-License-Identifier: MIT */
/*
 * follower_look.c - what a follower does where the log ends for now: reads the superblock, sees
 * whether the next block has come, whether the tail that it has read is still there, and whether
 * the log has gone on without the block that it waits for.
 *
 * A look while nothing happens is a handful of pages, however large the log. The judgement over the
 * whole live range, recovery's own, is asked for only when something was found that an end of a log
 * cannot have; and because the log is being written meanwhile, what it says counts only when it
 * says it again and the block has still not come. The follower's thread; reads only.
 */
#include <errno.h>
#include <string.h>

#include "engine/wal/follower_internal.h"
#include "engine/wal/wal_files.h"
#include "engine/wal/wal_super.h"

#define SUPER_TRIES 3
#define JUDGEMENTS 2
#define DOUBT_FIRST_NS 200000000ull
#define DOUBT_MAX_NS 10000000000ull
/* Whatever was in flight with a block lies in this many bytes from it on. */
#define DOUBT_BYTES ((uint64_t)FOLLOWER_SLOTS * SLUICE_WAL_BLOCK_BYTES_MAX)

static int stale(const struct sluice_follower *follower, struct sluice_diag *diag)
{
	return sluice_diag_set(diag, ESTALE,
			       "the log was made anew, or has gone on without this follower, which "
			       "is at block %llu",
			       (unsigned long long)follower->chain.block_seq);
}

int follower_super(struct sluice_follower *follower, struct sluice_diag *diag)
{
	const bool first = !follower->super.magic;
	const struct sluice_wal_snapshot *newest;
	struct sluice_wal_super super;
	int ret = -EBADMSG;

	/* A copy that is being written is torn, but the others are not. */
	for (int i = 0; ret == -EBADMSG && i < SUPER_TRIES; i++)
		ret = sluice_wal_super_load(follower->io, follower->page, &super, diag);
	if (ret)
		return ret;
	if (!first && (memcmp(super.log_uuid, follower->super.log_uuid, sizeof(super.log_uuid)) ||
		       super.segment_bytes != follower->super.segment_bytes))
		return stale(follower, diag);
	/* The newest copy was torn just now: what it said last time still holds. */
	if (!first && super.sequence < follower->super.sequence)
		return 0;
	follower->super = super;
	newest = sluice_snapshot_newest(&follower->super);
	if (newest && newest->sequence > follower->whole)
		follower->whole = newest->sequence;
	if (first)
		return 0;
	sluice_wal_scan_extend(&follower->scan);
	follower->chain.segment_end = follower->scan.chain.segment_end;
	return super.start.block_seq > follower->chain.block_seq ? stale(follower, diag) : 0;
}

static int read_page(struct sluice_follower *follower, uint64_t segment_no, uint64_t offset,
		     struct sluice_diag *diag)
{
	const uint32_t file = (uint32_t)(segment_no % SLUICE_WAL_SEGMENTS);
	char name[SLUICE_WAL_FILE_NAME_BYTES];
	int ret = follower->io->ops->read(follower->io, file, offset, follower->page,
					  SLUICE_WAL_ALIGN);

	if (!ret)
		return 0;
	sluice_wal_file_name(file, name);
	return sluice_diag_set(diag, -ret, "%s: cannot be read at offset %llu: %s", name,
			       (unsigned long long)offset, strerror(-ret));
}

static const struct sluice_wal_block_header *page_header(const struct sluice_follower *follower)
{
	return (const struct sluice_wal_block_header *)(const void *)follower->page;
}

/* A header of this log in the segment that it says. */
static bool in_place(const struct sluice_follower *follower,
		     const struct sluice_wal_block_header *header, uint64_t segment_no,
		     uint64_t room)
{
	struct sluice_wal_fault unused;

	return sluice_wal_header_intact(header, room, &unused) &&
	       !memcmp(header->log_uuid, follower->super.log_uuid, sizeof(header->log_uuid)) &&
	       header->segment_no == segment_no;
}

int follower_see_ahead(struct sluice_follower *follower, struct sluice_diag *diag)
{
	if (follower->ahead < follower->scan.chain.segment_no)
		follower->ahead = follower->scan.chain.segment_no;
	while (follower->ahead + 1 < follower->chain.segment_end) {
		const uint64_t next = follower->ahead + 1;
		int ret = read_page(follower, next, 0, diag);

		if (ret)
			return ret;
		if (!in_place(follower, page_header(follower), next, follower->super.segment_bytes))
			break;
		follower->ahead = next;
	}
	return 0;
}

uint64_t follower_live_bytes(const struct sluice_follower *follower)
{
	const struct sluice_wal_place *start = &follower->super.start;
	const struct sluice_wal_chain *end = &follower->scan.chain;
	const bool beyond = follower->ahead > end->segment_no;

	return ((beyond ? follower->ahead : end->segment_no) - start->segment_no) *
		       follower->super.segment_bytes +
	       (beyond ? 0 : end->offset) - start->offset;
}

/*
 * 1: the blocks that were read and not executed are still what the log holds. 0: its tail was cut
 * and written anew, by an engine that recovered.
 */
static int tail_is_there(struct sluice_follower *follower, struct sluice_diag *diag)
{
	struct sluice_wal_chain at = follower->chain;

	while (at.block_seq < follower->scan.chain.block_seq) {
		const struct sluice_wal_block_header *header = follower_queued(follower,
									       at.block_seq);
		int ret = read_page(follower, at.segment_no, at.offset, diag);

		if (ret)
			return ret;
		if (memcmp(header, follower->page, sizeof(*header)))
			return 0;
		sluice_wal_chain_advance(&at, header);
	}
	return 1;
}

/* The scan, whose window is empty, goes on from what was executed and forgets the rest. */
static void rewind_scan(struct sluice_follower *follower)
{
	follower->scan.chain = follower->chain;
	follower->witnessed = follower->chain.block_seq;
}

/* 1 if the header of the next block has come. */
static int next_is_there(struct sluice_follower *follower, struct sluice_diag *diag)
{
	const struct sluice_wal_chain *chain = &follower->scan.chain;
	struct sluice_wal_fault unused;
	int ret = read_page(follower, chain->segment_no, chain->offset, diag);

	if (ret)
		return ret;
	return sluice_wal_header_intact(page_header(follower), sluice_wal_chain_room(chain),
					&unused) &&
	       sluice_wal_chain_follows(chain, page_header(follower), &unused);
}

/* What comes only after a block that was durable: 1 if something shows that this one was. */
static int outlived(struct sluice_follower *follower, struct sluice_diag *diag)
{
	struct sluice_wal_scan probe = follower->scan;
	const uint64_t waited = probe.chain.block_seq;
	uint64_t segment_no = probe.chain.segment_no, offset = probe.chain.offset;
	int error = 0;

	sluice_wal_scan_refresh(&probe);
	for (uint64_t seen = 0; seen < DOUBT_BYTES && segment_no < probe.chain.segment_end;
	     seen += SLUICE_WAL_ALIGN) {
		const struct sluice_wal_block_header *header =
			sluice_wal_scan_load(&probe, segment_no, offset, SLUICE_WAL_ALIGN, &error);

		if (!header)
			return sluice_wal_scan_failed(&probe, error, diag);
		if (in_place(follower, header, segment_no, probe.chain.segment_bytes - offset) &&
		    header->durable_seq > waited)
			return 1;
		offset += SLUICE_WAL_ALIGN;
		segment_no += offset == probe.chain.segment_bytes;
		offset %= probe.chain.segment_bytes;
	}
	for (segment_no = probe.chain.segment_no + 1; segment_no < probe.chain.segment_end;
	     segment_no++) {
		int ret = read_page(follower, segment_no, 0, diag);

		if (ret)
			return ret;
		if (in_place(follower, page_header(follower), segment_no,
			     probe.chain.segment_bytes) &&
		    page_header(follower)->durable_seq > waited)
			return 1;
	}
	return 0;
}

/* The superblock knows of blocks that the scan has not come to, or of others. */
static bool super_objects(const struct sluice_follower *follower)
{
	struct sluice_wal_fault unused;
	const struct sluice_wal_snapshot *newest = sluice_snapshot_newest(&follower->super);
	const uint64_t waited = follower->scan.chain.block_seq;

	return !sluice_wal_scan_agrees(&follower->scan, &unused) ||
	       (newest && newest->place.block_seq > waited) ||
	       (follower->super.close_block_seq && follower->super.close_block_seq >= waited);
}

/* 1: the block has come meanwhile; 0: the log ends here; -EBADMSG: it is damaged. */
static int judge(struct sluice_follower *follower, struct sluice_diag *diag)
{
	struct sluice_wal_report report;

	for (int i = 0; i < JUDGEMENTS; i++) {
		const struct sluice_wal_block_header *header;
		struct sluice_wal_scan probe = follower->scan;
		int ret;

		sluice_wal_scan_refresh(&probe);
		ret = sluice_wal_scan_judge(&probe, &report);
		if (!ret && report.verdict != SLUICE_WAL_DAMAGED)
			return 0;
		probe = follower->scan;
		sluice_wal_scan_refresh(&probe);
		if (!ret)
			ret = sluice_wal_scan_next(&probe, &header);
		if (ret)
			return ret < 0 ? sluice_wal_scan_failed(&probe, ret, diag) : 1;
		ret = follower_super(follower, diag);
		if (ret)
			return ret;
	}
	return sluice_diag_set(diag, EBADMSG, "the log is damaged: %s", report.text);
}

/* Is it time to ask whether the log goes on without the block that is waited for? */
static bool doubts(struct sluice_follower *follower)
{
	const uint64_t now_ns = follower->io->ops->monotonic_ns(follower->io);

	if (!follower->doubts_ns) {
		follower->doubts_ns = DOUBT_FIRST_NS;
		follower->doubt_ns = now_ns + DOUBT_FIRST_NS;
	}
	if (now_ns < follower->doubt_ns)
		return false;
	if (follower->doubts_ns < DOUBT_MAX_NS)
		follower->doubts_ns *= 2;
	follower->doubt_ns = now_ns + follower->doubts_ns;
	return true;
}

int follower_look(struct sluice_follower *follower, struct sluice_diag *diag)
{
	const uint64_t waited = follower->scan.chain.block_seq;
	int there = 0, ret = follower_super(follower, diag);

	if (ret)
		return ret;
	sluice_wal_scan_refresh(&follower->scan);
	ret = tail_is_there(follower, diag);
	if (ret == 0)
		rewind_scan(follower);
	if (ret <= 0)
		return ret < 0 ? ret : 1;
	if (!sluice_wal_chain_at_end(&follower->scan.chain))
		there = next_is_there(follower, diag);
	if (there < 0)
		return there;
	/* A header whose payload is still on its way is let through again, but not for ever. */
	if (there && follower->hoped != waited) {
		follower->hoped = waited;
		return 1;
	}
	follower->caught_up = !there;
	ret = super_objects(follower);
	if (!ret && doubts(follower))
		ret = outlived(follower, diag);
	if (ret == 1)
		ret = judge(follower, diag);
	return ret ? ret : there;
}
