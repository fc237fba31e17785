/* SPDX-License-Identifier: MIT */
/*
 * wal_flip.c - how a log goes round: a snapshot is named by a new superblock, and what lies before
 * the older of the two named ones may be overwritten.
 *
 * The owner thread only. Offer takes nobody's word: the snapshot's header is read, and its place is
 * put through the check that recovery would make of the block there. Invariants: at most one
 * superblock is in flight; the live range grows only when it is durable, so that at every moment
 * the disk holds two snapshots and the log behind both, or the log from its first block. A crash
 * before that leaves the superblock before: the snapshot was written over the one that this
 * superblock calls the older, and the newer is whole.
 */
#include <errno.h>
#include <string.h>

#include "engine/wal/snapshot.h"
#include "engine/wal/wal_files.h"
#include "engine/wal/wal_internal.h"
#include "engine/wal/wal_super.h"

#define LOCK_WAIT_NS 500000000ull
#define CHUNKS_PER_STEP 16u

uint64_t sluice_wal_left_bytes(const struct sluice_wal *wal)
{
	const struct sluice_wal_chain *chain = &wal->chain;

	return (chain->segment_end - chain->segment_no) * chain->segment_bytes - chain->offset;
}

uint64_t sluice_wal_size_bytes(const struct sluice_wal *wal)
{
	return wal->chain.segment_bytes * SLUICE_WAL_SEGMENTS;
}

uint64_t sluice_wal_live_bytes(const struct sluice_wal *wal)
{
	const struct sluice_wal_place *start = &wal->super.start;
	const struct sluice_wal_chain *chain = &wal->chain;

	return (chain->segment_no - start->segment_no) * chain->segment_bytes + chain->offset -
	       start->offset;
}

uint64_t sluice_wal_snapshot_named(const struct sluice_wal *wal)
{
	const struct sluice_wal_snapshot *newest = sluice_snapshot_newest(&wal->super);

	return newest ? newest->sequence : 0;
}

bool sluice_wal_snapshot_newest(const struct sluice_wal *wal,
				struct sluice_wal_snapshot *ret_snapshot)
{
	const struct sluice_wal_snapshot *newest = sluice_snapshot_newest(&wal->super);

	if (newest)
		*ret_snapshot = *newest;
	return newest != NULL;
}

/* ------------------------------------------------------------------------------ the place */

static int refuse_fault(uint64_t sequence, const struct sluice_wal_fault *fault,
			struct sluice_diag *diag)
{
	return sluice_diag_set(diag, EBADMSG,
			       "snapshot %llu does not continue in this log (%s: expected 0x%llx, "
			       "found 0x%llx)",
			       (unsigned long long)sequence, fault->what,
			       (unsigned long long)fault->expected,
			       (unsigned long long)fault->found);
}

/* The end of what was submitted, where there is no block yet. */
static int check_end(const struct sluice_wal *wal, const struct sluice_snapshot_header *header,
		     struct sluice_diag *diag)
{
	const struct sluice_wal_place *place = &header->place;
	const struct sluice_wal_pending *pending = &wal->pending;
	struct sluice_wal_place end;

	sluice_wal_chain_place(&wal->chain, place->report, place->md, &end);
	if (!memcmp(&end, place, sizeof(end)) &&
	    (pending->n == 0 ||
	     (pending->report_first == place->report && pending->state_hash == header->chain_hash)))
		return 0;
	return sluice_diag_set(diag, EBADMSG, "snapshot %llu is not of the log's end, block %llu",
			       (unsigned long long)header->sequence,
			       (unsigned long long)end.block_seq);
}

/* The block at a place, in memory while it may still be on its way, else from the disk. */
static int load_block(struct sluice_wal *wal, const struct sluice_wal_place *place,
		      struct sluice_wal_block_header *ret_block)
{
	void *page = wal->super_memory + SLUICE_WAL_ALIGN;
	int ret;

	if (place->block_seq >= wal->durable_seq) {
		memcpy(ret_block, sluice_wal_block_of(wal, place->block_seq), sizeof(*ret_block));
		return 0;
	}
	ret = wal->io->ops->read(wal->io, (uint32_t)(place->segment_no % SLUICE_WAL_SEGMENTS),
				 place->offset, page, SLUICE_WAL_ALIGN);
	if (!ret)
		memcpy(ret_block, page, sizeof(*ret_block));
	return ret;
}

/*
 * The block at the place continues it, as recovery will want it; and its header has the numbers and
 * the hash of the state that the snapshot holds. SEAL and CLOSE have neither.
 */
static int check_block(struct sluice_wal *wal, const struct sluice_snapshot_header *header,
		       struct sluice_diag *diag)
{
	const struct sluice_wal_place *place = &header->place;
	struct sluice_wal_block_header block;
	struct sluice_wal_chain chain;
	struct sluice_wal_fault fault;
	int ret = load_block(wal, place, &block);

	if (ret)
		return sluice_diag_set(
			diag, EBADMSG,
			"block %llu, where snapshot %llu goes on, cannot be read: %s",
			(unsigned long long)place->block_seq, (unsigned long long)header->sequence,
			strerror(-ret));
	sluice_wal_chain_init(&chain, &wal->super, place);
	if (!sluice_wal_header_intact(&block, sluice_wal_chain_room(&chain), &fault) ||
	    !sluice_wal_chain_follows(&chain, &block, &fault))
		return refuse_fault(header->sequence, &fault, diag);
	if (!(block.flags & (SLUICE_WAL_DATA | SLUICE_WAL_OPEN)))
		return 0;
	fault = (struct sluice_wal_fault){"first report", block.report_first, place->report};
	if (fault.expected != fault.found)
		return refuse_fault(header->sequence, &fault, diag);
	fault = (struct sluice_wal_fault){"state", block.state_hash, header->chain_hash};
	if (fault.expected != fault.found)
		return refuse_fault(header->sequence, &fault, diag);
	return 0;
}

/* Not even a SEAL goes into it. */
static bool is_used_up(const struct sluice_wal *wal)
{
	return sluice_wal_left_bytes(wal) <= SLUICE_WAL_RESERVE_BYTES / 2;
}

static int check_place(struct sluice_wal *wal, const struct sluice_snapshot_header *header,
		       struct sluice_diag *diag)
{
	const struct sluice_wal_snapshot *newest = sluice_snapshot_newest(&wal->super);
	const uint64_t after = newest ? newest->place.block_seq : wal->super.start.block_seq;
	const uint64_t seq = header->place.block_seq;

	/* no block can come into a log that is used up: the same place again moves its start on */
	if (seq < after || (seq == after && !(newest && is_used_up(wal))))
		return sluice_diag_set(
			diag, EBADMSG,
			"snapshot %llu is of block %llu, not after block %llu of the "
			"one before",
			(unsigned long long)header->sequence, (unsigned long long)seq,
			(unsigned long long)after);
	if (seq > wal->durable_seq)
		return sluice_diag_set(diag, EBADMSG,
				       "snapshot %llu is of block %llu, only the blocks below %llu "
				       "are durable",
				       (unsigned long long)header->sequence,
				       (unsigned long long)seq,
				       (unsigned long long)wal->durable_seq);
	return seq == wal->chain.block_seq ? check_end(wal, header, diag) :
					     check_block(wal, header, diag);
}

/* ------------------------------------------------------------------------------- the flip */

static void propose(const struct sluice_wal *wal, const struct sluice_snapshot_header *header,
		    struct sluice_wal_super *ret_next)
{
	const struct sluice_wal_snapshot snapshot = {
		.place = header->place,
		.sequence = header->sequence,
		.bytes = header->bytes,
		.state_hash = header->state_hash,
		.header_crc = header->header_crc,
	};

	*ret_next = wal->super;
	sluice_wal_super_name(ret_next, &snapshot);
	sluice_wal_super_seal(ret_next, &wal->super);
}

static int write_super(struct sluice_wal *wal, const struct sluice_wal_super *next, bool again)
{
	struct sluice_wal_flip *flip = &wal->flip;
	void *page = wal->buffers + (size_t)SLUICE_WAL_WINDOW_MAX * SLUICE_WAL_BLOCK_BYTES_MAX;

	sluice_assert(next->sequence == wal->super.sequence + 1u + again);
	sluice_wal_super_page(next, page);
	*flip = (struct sluice_wal_flip){
		.slot =
			{
				.write =
					{
						.tag = SLUICE_WAL_SUPER_TAG,
						.offset = next->sequence % SLUICE_WAL_SUPER_COPIES *
							  SLUICE_WAL_ALIGN,
						.data = page,
						.bytes = SLUICE_WAL_ALIGN,
						.file = SLUICE_WAL_FILE_SUPER,
						.buffer = SLUICE_WAL_WINDOW_MAX,
					},
				.crc = next->super_crc,
				.submit_ns = wal->io->ops->monotonic_ns(wal->io),
			},
		.next = *next,
		.busy = true,
		.again = again,
	};
	return sluice_wal_hand_over(wal, &flip->slot);
}

int sluice_wal_offer(struct sluice_wal *wal, uint64_t sequence, struct sluice_diag *diag)
{
	struct sluice_snapshot_header header;
	struct sluice_wal_fault fault;
	struct sluice_wal_super next;
	int ret;

	if (wal->error)
		return wal->error;
	sluice_assert(wal->started);
	if (sequence <= sluice_wal_snapshot_named(wal))
		return -EALREADY;
	if (wal->flip.busy)
		return sluice_diag_set(diag, EAGAIN, "a superblock is being written");
	ret = sluice_snapshot_header_load(wal->io, &wal->super, sequence, wal->super_memory,
					  &header, diag);
	if (ret)
		return -EBADMSG; /* nothing of a snapshot's file harms the log */
	propose(wal, &header, &next);
	if (!sluice_wal_super_valid(&next, &fault))
		return refuse_fault(sequence, &fault, diag);
	ret = check_place(wal, &header, diag);
	if (ret)
		return ret;
	if (header.place.report > wal->reports_taken)
		return sluice_diag_set(diag, EAGAIN,
				       "snapshot %llu is of report %llu, those from %llu on are "
				       "still to be taken",
				       (unsigned long long)sequence,
				       (unsigned long long)header.place.report,
				       (unsigned long long)wal->reports_taken);
	ret = write_super(wal, &next, false);
	return ret ? sluice_diag_set(diag, -ret, "%s", wal->error_text) : 0;
}

/*
 * The same once more, in the next copy: what the superblock before it names may be overwritten from
 * then on, so that one page that goes bad later must not bring that one back.
 */
static int write_again(struct sluice_wal *wal)
{
	struct sluice_wal_super next = wal->flip.next;

	sluice_wal_super_seal(&next, &wal->flip.next);
	return write_super(wal, &next, true);
}

int sluice_wal_flip_done(struct sluice_wal *wal)
{
	struct sluice_wal_flip *flip = &wal->flip;
	const uint64_t end = flip->next.start.segment_no + SLUICE_WAL_SEGMENTS;

	sluice_assert(flip->busy);
	sluice_assert(end >= wal->chain.segment_end);
	if (!flip->again)
		return write_again(wal);
	wal->super = flip->next;
	wal->chain.segment_end = end;
	flip->busy = false;
	if (!wal->open_owed || sluice_wal_chain_at_end(&wal->chain))
		return 0;
	return sluice_wal_submit_open(wal, wal->open_state_hash, wal->open_report_first);
}

/* ---------------------------------------------------------------------------- a clean end */

/*
 * Into the file that is not needed: the older one's, or the newest one's if that is no good. Its
 * header goes first, so that nobody can name what a crash leaves.
 */
static int write_last(struct sluice_wal *wal, const struct sluice_core *core,
		      const struct sluice_wal_place *place, uint64_t sequence,
		      struct sluice_wal_snapshot *ret_last)
{
	const uint32_t file = SLUICE_WAL_FILE_SNAPSHOT +
			      (uint32_t)(sequence % SLUICE_WAL_SNAPSHOTS);
	struct sluice_wal_io *io = wal->io;
	struct sluice_snapshot_writer writer;
	int ret;

	memset(wal->super_memory, 0, SLUICE_WAL_ALIGN);
	ret = io->ops->write(io, file, 0, wal->super_memory, SLUICE_WAL_ALIGN);
	if (!ret)
		ret = io->ops->sync(io, file);
	if (!ret)
		ret = sluice_snapshot_begin(&writer, io, &wal->super, sequence, core, place);
	if (ret)
		return ret;
	do {
		ret = sluice_snapshot_step(&writer, CHUNKS_PER_STEP, ret_last);
	} while (ret == 1);
	sluice_snapshot_end(&writer);
	return ret;
}

int sluice_wal_snapshot(struct sluice_wal *wal, const struct sluice_core *core,
			uint64_t report_next, uint64_t md_next, struct sluice_diag *diag)
{
	const struct sluice_wal_snapshot *newest = sluice_snapshot_newest(&wal->super);
	struct sluice_wal_snapshot last;
	struct sluice_wal_place place;
	bool good;
	int ret;

	if (wal->error)
		return wal->error;
	sluice_assert(wal->started && wal->pending.n == 0 && wal->outstanding == 0);
	sluice_assert(wal->durable_seq == wal->chain.block_seq);
	if (report_next > wal->reports_taken)
		return sluice_diag_set(diag, EAGAIN,
				       "reports %llu to %llu are still to be taken: no snapshot",
				       (unsigned long long)wal->reports_taken,
				       (unsigned long long)(report_next - 1));
	ret = wal->io->ops->lock(wal->io, SLUICE_WAL_IO_SNAPSHOTS, LOCK_WAIT_NS, diag);
	if (ret)
		return ret;
	good = newest &&
	       !sluice_snapshot_check(wal->io, &wal->super, newest, wal->window_memory, NULL);
	/* a second one of the same state is what frees a log that is used up */
	if (good && newest->place.cmd_seq == wal->chain.cmd_seq && !is_used_up(wal))
		return -EALREADY;
	sluice_wal_chain_place(&wal->chain, report_next, md_next, &place);
	ret = write_last(wal, core, &place,
			 !newest ? 1 : newest->sequence + (good ? 1 : SLUICE_WAL_SNAPSHOTS), &last);
	if (ret)
		return sluice_diag_set(diag, -ret, "the last snapshot cannot be written: %s",
				       strerror(-ret));
	wal->last = last;
	return 0;
}

void sluice_wal_flip_last(const struct sluice_wal *wal, struct sluice_wal_super *next)
{
	sluice_assert(!wal->flip.busy);
	if (wal->last.sequence)
		sluice_wal_super_name(next, &wal->last);
}
