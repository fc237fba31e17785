/* SPDX-License-Identifier: MIT */
/*
 * follower_snapshot.c - when a follower takes a snapshot, under which number, and how fast.
 *
 * A snapshot is written over the one before the newest, and only if the newest is still good, byte
 * for byte. If it is not (rot, or a file that was begun again while the engine was naming it), then
 * the older one is what the log can be started from: the next snapshot skips a number, and thereby
 * goes into the bad one's file. A snapshot that is whole and was never named is written again, with
 * its number, when enough log has gone by; its header is taken away first, so that it cannot be
 * named from then on.
 *
 * The follower's thread. The state does not change while it is written. A crash leaves a file
 * without a header, which the superblock may name as the older one.
 */
#include <errno.h>
#include <string.h>

#include "engine/wal/follower_internal.h"
#include "engine/wal/wal_files.h"
#include "engine/wal/wal_internal.h"
#include "engine/wal/wal_super.h"

#define NS_PER_S 1000000000ull
#define US_PER_S 1000000ull
#define FILL_NS 250000000ull	    /* between looks at the log's fill while writing slowly */
#define AGAIN_NS (30ull * NS_PER_S) /* to wait for a name, and for its second copy */
#define BURST 10u		    /* tokens: of so many parts of a second at most */

/* More than three quarters: every means to get the log's start on. */
static bool nearly_full(const struct sluice_follower *follower)
{
	const uint64_t log_bytes = follower->super.segment_bytes * SLUICE_WAL_SEGMENTS;

	return follower_live_bytes(follower) > log_bytes / 4 * 3;
}

/* No block can come any more: the same place again, in the other file, moves the log's start on. */
static bool is_used_up(const struct sluice_follower *follower)
{
	const struct sluice_wal_chain *end = &follower->scan.chain;

	return (end->segment_end - end->segment_no) * end->segment_bytes - end->offset <=
	       SLUICE_WAL_RESERVE_BYTES / 2;
}

static uint64_t bytes_since(const struct sluice_follower *follower)
{
	const struct sluice_wal_chain *chain = &follower->chain;
	const struct sluice_wal_place *last = &follower->last;

	sluice_assert(chain->block_seq >= last->block_seq);
	return (chain->segment_no - last->segment_no) * chain->segment_bytes + chain->offset -
	       last->offset;
}

bool follower_due(const struct sluice_follower *follower)
{
	const struct sluice_wal_snapshot *newest = sluice_snapshot_newest(&follower->super);
	const uint64_t since = bytes_since(follower);

	/* where there is no block before; and where the newest is, unless the log is used up */
	if (follower->held || follower->chain.block_seq < (newest ? newest->place.block_seq : 1))
		return false;
	if (newest && follower->chain.block_seq == newest->place.block_seq &&
	    !(follower->caught_up && is_used_up(follower)))
		return false;
	if (since >= follower->options.every_bytes)
		return true;
	if (!nearly_full(follower))
		return false;
	if (follower->whole > (newest ? newest->sequence : 0))
		return follower->caught_up &&
		       follower->io->ops->monotonic_ns(follower->io) - follower->whole_ns >=
			       AGAIN_NS;
	return since >= follower->super.segment_bytes || follower->caught_up;
}

/*
 * The number to write next: of the file that is not needed. Reads the whole newest snapshot. The
 * superblock's word is not enough to give up the older one.
 */
static uint64_t choose_number(struct sluice_follower *follower)
{
	const struct sluice_wal_snapshot *newest = sluice_snapshot_newest(&follower->super);
	int ret;

	if (!newest)
		return 1;
	ret = sluice_snapshot_check(follower->io, &follower->super, newest, follower->window, NULL);
	sluice_wal_scan_refresh(&follower->scan);
	return newest->sequence + (ret ? 2 : 1);
}

static int failed(const struct sluice_follower *follower, int error, struct sluice_diag *diag)
{
	char name[SLUICE_WAL_FILE_NAME_BYTES];

	sluice_wal_file_name(SLUICE_WAL_FILE_SNAPSHOT +
				     (uint32_t)(follower->writing_sequence % SLUICE_WAL_SNAPSHOTS),
			     name);
	return sluice_diag_set(diag, -error, "snapshot %llu in %s: %s",
			       (unsigned long long)follower->writing_sequence, name,
			       strerror(-error));
}

/* From here on nobody takes the file for a snapshot. */
static int take_header_away(struct sluice_follower *follower)
{
	const uint32_t file = SLUICE_WAL_FILE_SNAPSHOT +
			      (uint32_t)(follower->writing_sequence % SLUICE_WAL_SNAPSHOTS);
	struct sluice_wal_io *io = follower->io;
	int ret;

	memset(follower->page, 0, SLUICE_WAL_ALIGN);
	ret = io->ops->write(io, file, 0, follower->page, SLUICE_WAL_ALIGN);
	return ret ? ret : io->ops->sync(io, file);
}

/*
 * The engine names a snapshot in two copies of the superblock, one after the other. Before the
 * second is there the file that would be written over is needed still: for the superblock before,
 * should the first go bad. If it was the other that went bad, the log must go round all the same.
 */
static bool is_named_twice(struct sluice_follower *follower)
{
	const struct sluice_wal_snapshot *newest = sluice_snapshot_newest(&follower->super);
	const uint64_t now_ns = follower->io->ops->monotonic_ns(follower->io);

	if (!newest || sluice_wal_super_naming(follower->page, newest) > 1) {
		follower->once_ns = 0;
		return true;
	}
	if (!follower->once_ns)
		follower->once_ns = now_ns;
	return now_ns - follower->once_ns >= AGAIN_NS;
}

int follower_begin(struct sluice_follower *follower, struct sluice_diag *diag)
{
	const struct sluice_wal_snapshot *newest;
	int ret = follower_super(follower, diag);

	if (ret || !follower_due(follower) || !is_named_twice(follower))
		return ret;
	/*
	 * A superblock can be read before it is durable: with an engine killed in its write, a loss
	 * of power may bring the one before back, which needs the file that is given up here.
	 */
	ret = follower->io->ops->sync(follower->io, SLUICE_WAL_FILE_SUPER);
	if (ret)
		return sluice_diag_set(diag, -ret, "super: fsync before a snapshot failed: %s",
				       strerror(-ret));
	follower->writing_sequence = choose_number(follower);
	newest = sluice_snapshot_newest(&follower->super);
	follower->whole = newest ? newest->sequence : 0;
	ret = take_header_away(follower);
	if (ret)
		return failed(follower, ret, diag);
	sluice_wal_chain_place(&follower->chain, follower->sink.report_next, follower->sink.md_next,
			       &follower->writing_place);
	ret = sluice_snapshot_begin(&follower->writer, follower->io, &follower->super,
				    follower->writing_sequence, follower->core,
				    &follower->writing_place);
	if (ret)
		return failed(follower, ret, diag);
	follower->writing = true;
	follower->tokens = SLUICE_SNAPSHOT_CHUNK_BYTES;
	follower->tokens_ns = follower->io->ops->monotonic_ns(follower->io);
	follower->fill_ns = follower->tokens_ns;
	return 1;
}

/* True: a chunk may be written now. */
static bool take_tokens(struct sluice_follower *follower, uint64_t now_ns)
{
	const uint64_t rate = follower->options.rate_bytes;
	const uint64_t most = rate / BURST > SLUICE_SNAPSHOT_CHUNK_BYTES ?
				      rate / BURST :
				      SLUICE_SNAPSHOT_CHUNK_BYTES;
	const uint64_t past_us = (now_ns - follower->tokens_ns) / 1000;
	const uint64_t counted_us = past_us < US_PER_S ? past_us : US_PER_S;

	/* the clock moves on by what it gave for: no part of a microsecond is lost */
	follower->tokens_ns += past_us * 1000;
	follower->tokens += rate / US_PER_S * counted_us + rate % US_PER_S * counted_us / US_PER_S;
	if (follower->tokens > most)
		follower->tokens = most;
	if (follower->tokens < SLUICE_SNAPSHOT_CHUNK_BYTES)
		return false;
	follower->tokens -= SLUICE_SNAPSHOT_CHUNK_BYTES;
	return true;
}

/* It is whole and durable. What the engine does with it shows in the superblock. */
static int finish(struct sluice_follower *follower, struct sluice_diag *diag)
{
	const struct sluice_wal_snapshot *newest;
	int ret;

	sluice_snapshot_end(&follower->writer);
	follower->writing = false;
	ret = follower_super(follower, diag);
	if (ret)
		return ret;
	newest = sluice_snapshot_newest(&follower->super);
	/* Named while it was written over: what the superblock says of the file is no more true. */
	if (newest && newest->sequence >= follower->writing_sequence)
		return 1;
	follower->whole = follower->writing_sequence;
	follower->whole_ns = follower->io->ops->monotonic_ns(follower->io);
	follower->last = follower->writing_place;
	return 1;
}

int follower_write(struct sluice_follower *follower, struct sluice_diag *diag)
{
	const uint64_t now_ns = follower->io->ops->monotonic_ns(follower->io);
	struct sluice_wal_snapshot unused;
	int ret;

	if (follower->options.rate_bytes && now_ns >= follower->fill_ns) {
		follower->fill_ns = now_ns + FILL_NS;
		ret = follower_see_ahead(follower, diag);
		if (ret)
			return ret;
	}
	if (follower->options.rate_bytes && !take_tokens(follower, now_ns) &&
	    !nearly_full(follower))
		return 0;
	ret = sluice_snapshot_step(&follower->writer, 1, &unused);
	if (ret < 0)
		return failed(follower, ret, diag);
	return ret ? 1 : finish(follower, diag);
}
