/* SPDX-License-Identifier: MIT */
/*
 * wal_writer.c - composes blocks, keeps the window, advances durable over the contiguous prefix.
 *
 * The owner thread only; nothing here blocks but wait and drain. Invariants: next - durable <=
 * window; a submitted block's bytes never change; durable moves only past blocks whose every
 * predecessor is durable; no block lies outside the live range of the durable superblock; after the
 * first error nothing moves and nothing is submitted. A crash leaves at most `window` blocks torn
 * or out of order behind the durable ones, and recovery cuts them. A superblock may be in flight
 * among the blocks (wal_flip.c); they wait for nothing of each other.
 *
 * Completions: all bytes - done. Fewer bytes, or an interruption - the whole block again, a bounded
 * number of times: rewriting identical bytes in one place is safe. Anything else - halt: after an
 * error the kernel may have dropped the data and report success to the next sync.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine/wal/snapshot.h"
#include "engine/wal/wal_files.h"
#include "engine/wal/wal_internal.h"
#include "shm/crc32c.h"

#define SHORTS_MAX 3
#define AGAINS_MAX 100
#define DRAIN_STEP_NS 1000000000ull
#define DRAIN_STEPS_AFTER_ERROR 5
#define WHAT_BYTES 80

SLUICE_STATIC_ASSERT((SLUICE_WAL_WINDOW_MAX & (SLUICE_WAL_WINDOW_MAX - 1)) == 0,
		     "a block's buffer is found by masking");

int sluice_wal_halt(struct sluice_wal *wal, int error, const char *format, ...)
{
	va_list args;
	int used;

	sluice_assert(error < 0);
	if (wal->error)
		return wal->error;
	va_start(args, format);
	used = vsnprintf(wal->error_text, sizeof(wal->error_text), format, args);
	va_end(args);
	sluice_assert(used >= 0 && (size_t)used < sizeof(wal->error_text));
	snprintf(wal->error_text + used, sizeof(wal->error_text) - (size_t)used,
		 ": %s; the log is halted", strerror(-error));
	wal->error = error;
	return error;
}

static uint32_t slot_index(uint64_t block_seq)
{
	return (uint32_t)(block_seq % SLUICE_WAL_WINDOW_MAX);
}

struct sluice_wal_block_header *sluice_wal_block_of(const struct sluice_wal *wal,
						    uint64_t block_seq)
{
	unsigned char *block = wal->buffers +
			       (size_t)slot_index(block_seq) * SLUICE_WAL_BLOCK_BYTES_MAX;

	return (struct sluice_wal_block_header *)(void *)block;
}

static struct sluice_command *records_of(struct sluice_wal_block_header *block)
{
	return (struct sluice_command *)(void *)(block + 1);
}

static bool window_open(const struct sluice_wal *wal)
{
	return wal->chain.block_seq - wal->durable_seq < wal->window;
}

/* A later block of the epoch beside a torn OPEN would prove to recovery that OPEN was durable. */
static bool epoch_open(const struct sluice_wal *wal)
{
	return wal->durable_seq > wal->open_seq;
}

/* Header, padding and checksums around the n records that are in the buffer already. */
static uint32_t compose(struct sluice_wal *wal, struct sluice_wal_block_header *block,
			uint16_t type)
{
	const struct sluice_wal_chain *chain = &wal->chain;
	const struct sluice_wal_pending *pending = &wal->pending;
	uint32_t bytes = sluice_wal_block_bytes(pending->n);
	uint32_t used = (uint32_t)sizeof(*block) + pending->n * SLUICE_WAL_RECORD_BYTES;
	bool fills = bytes == sluice_wal_chain_room(chain);

	memset((unsigned char *)block + used, 0, bytes - used);
	*block = (struct sluice_wal_block_header){
		.magic = SLUICE_WAL_BLOCK_MAGIC,
		.version = SLUICE_WAL_VERSION,
		.flags = (uint16_t)(type | (fills ? SLUICE_WAL_ROLL : 0)),
		.block_seq = chain->block_seq,
		.epoch = wal->super.epoch,
		.segment_no = (uint32_t)chain->segment_no,
		.prev_link = chain->prev_link,
		.durable_seq = wal->durable_seq,
		.first_cmd_seq = chain->cmd_seq,
		.n_cmds = pending->n,
		.payload_bytes = pending->n * SLUICE_WAL_RECORD_BYTES,
		.reports_taken = wal->reports_taken,
		.input_time_ns = wal->io->ops->realtime_ns(wal->io),
		.state_hash = pending->state_hash,
		.report_first = pending->report_first,
	};
	/* what was taken since the block was opened may be of its own commands */
	if (type & (SLUICE_WAL_DATA | SLUICE_WAL_OPEN) &&
	    block->reports_taken > block->report_first)
		block->reports_taken = block->report_first;
	memcpy(block->log_uuid, chain->log_uuid, sizeof(block->log_uuid));
	memcpy(block->ring_uuid, wal->ring_uuid, sizeof(block->ring_uuid));
	block->payload_crc = sluice_crc32c(0, block + 1, bytes - sizeof(*block));
	block->header_crc = sluice_wal_header_checksum(block);
	return bytes;
}

/* "block 7" or "superblock 3": what a write is, for the text of a halt. */
static const char *describe(const struct sluice_wal *wal, const struct sluice_wal_slot *slot,
			    char text[WHAT_BYTES])
{
	const bool is_super = slot->write.tag == SLUICE_WAL_SUPER_TAG;
	char name[SLUICE_WAL_FILE_NAME_BYTES];

	sluice_wal_file_name(slot->write.file, name);
	snprintf(text, WHAT_BYTES, "%s offset %llu: %sblock %llu", name,
		 (unsigned long long)slot->write.offset, is_super ? "super" : "",
		 (unsigned long long)(is_super ? wal->flip.next.sequence : slot->write.tag));
	return text;
}

int sluice_wal_hand_over(struct sluice_wal *wal, const struct sluice_wal_slot *slot)
{
	int ret = wal->io->ops->submit(wal->io, &slot->write);
	char what[WHAT_BYTES];

	if (ret)
		return sluice_wal_halt(wal, ret, "%s cannot be submitted",
				       describe(wal, slot, what));
	wal->outstanding++;
	return 0;
}

static int submit_block(struct sluice_wal *wal, uint16_t type)
{
	struct sluice_wal_chain *chain = &wal->chain;
	struct sluice_wal_block_header *block = sluice_wal_block_of(wal, chain->block_seq);
	struct sluice_wal_slot *slot = &wal->slots[slot_index(chain->block_seq)];
	struct sluice_wal_fault fault;
	uint32_t bytes = compose(wal, block, type);

	sluice_assert(window_open(wal));
	sluice_assert(type == SLUICE_WAL_OPEN || epoch_open(wal));
	sluice_assert(block->durable_seq <= wal->durable_seq);
	sluice_assert(chain->segment_no < wal->super.start.segment_no + SLUICE_WAL_SEGMENTS);
	/* The check that recovery will make: what it would refuse must never be written. */
	sluice_assert(sluice_wal_header_intact(block, sluice_wal_chain_room(chain), &fault));
	sluice_assert(sluice_wal_chain_follows(chain, block, &fault));
	*slot = (struct sluice_wal_slot){
		.write =
			{
				.tag = chain->block_seq,
				.offset = chain->offset,
				.data = block,
				.bytes = bytes,
				.file = (uint16_t)(chain->segment_no % SLUICE_WAL_SEGMENTS),
				.buffer = (uint16_t)slot_index(chain->block_seq),
			},
		.submit_ns = wal->io->ops->monotonic_ns(wal->io),
		.cmd_end = chain->cmd_seq + wal->pending.n,
		.n_cmds = wal->pending.n,
		.crc = block->header_crc,
	};
	wal->stats.blocks++;
	wal->stats.bytes += bytes;
	wal->stats.commands += wal->pending.n;
	wal->pending = (struct sluice_wal_pending){.open = false};
	sluice_wal_chain_advance(chain, block);
	return sluice_wal_hand_over(wal, slot);
}

int sluice_wal_submit_control(struct sluice_wal *wal, uint16_t type, uint64_t state_hash,
			      uint64_t report_first)
{
	sluice_assert(wal->pending.n == 0);
	sluice_assert(!sluice_wal_chain_at_end(&wal->chain));
	sluice_assert(!wal->error);
	wal->pending = (struct sluice_wal_pending){
		.state_hash = state_hash,
		.report_first = report_first,
	};
	return submit_block(wal, type);
}

int sluice_wal_submit_open(struct sluice_wal *wal, uint64_t state_hash, uint64_t report_first)
{
	wal->open_owed = sluice_wal_chain_at_end(&wal->chain);
	wal->open_state_hash = state_hash;
	wal->open_report_first = report_first;
	wal->open_seq = wal->chain.block_seq;
	return wal->open_owed ?
		       0 :
		       sluice_wal_submit_control(wal, SLUICE_WAL_OPEN, state_hash, report_first);
}

int sluice_wal_submit(struct sluice_wal *wal)
{
	if (wal->error)
		return wal->error;
	return wal->pending.n > 0 ? submit_block(wal, SLUICE_WAL_DATA) : 0;
}

/*
 * Full, and the newest snapshot holds all but the last block: the next one, by which the start goes
 * on, needs another block that is witnessed.
 */
static bool needs_witness(const struct sluice_wal *wal)
{
	const struct sluice_wal_snapshot *newest = sluice_snapshot_newest(&wal->super);

	return newest && sluice_wal_full(wal) &&
	       newest->place.block_seq + 1 >= wal->chain.block_seq;
}

int sluice_wal_seal(struct sluice_wal *wal)
{
	if (wal->error)
		return wal->error;
	sluice_assert(wal->started);
	if (wal->pending.n > 0 || wal->durable_seq != wal->chain.block_seq ||
	    (!(wal->chain.flags & SLUICE_WAL_DATA) && !needs_witness(wal)))
		return 0;
	/* Once into a full log: commands come again only when it is not full. */
	if (sluice_wal_left_bytes(wal) <= SLUICE_WAL_RESERVE_BYTES / 2)
		return 0;
	return sluice_wal_submit_control(wal, SLUICE_WAL_SEAL, 0, 0);
}

void sluice_wal_reports_taken(struct sluice_wal *wal, uint64_t report)
{
	if (report > wal->reports_taken)
		wal->reports_taken = report;
}

/* Records in the largest block that may be written now: not over the segment, not the reserve. */
static uint32_t capacity(const struct sluice_wal *wal)
{
	uint64_t room = sluice_wal_chain_room(&wal->chain);
	const uint64_t left = sluice_wal_left_bytes(wal) - SLUICE_WAL_RESERVE_BYTES;

	if (room > SLUICE_WAL_BLOCK_BYTES_MAX)
		room = SLUICE_WAL_BLOCK_BYTES_MAX;
	if (room > left)
		room = left;
	return (uint32_t)((room - sizeof(struct sluice_wal_block_header)) /
			  SLUICE_WAL_RECORD_BYTES);
}

struct sluice_command *sluice_wal_reserve(struct sluice_wal *wal, uint64_t state_hash,
					  uint64_t report_first, uint32_t *ret_n)
{
	struct sluice_wal_pending *pending = &wal->pending;

	if (wal->error)
		return NULL;
	sluice_assert(wal->started);
	if (pending->open && pending->n == pending->capacity && sluice_wal_submit(wal))
		return NULL;
	if (pending->n == 0) {
		if (sluice_wal_full(wal) || !window_open(wal) || !epoch_open(wal))
			return NULL;
		*pending = (struct sluice_wal_pending){
			.open = true,
			.capacity = capacity(wal),
			.state_hash = state_hash,
			.report_first = report_first,
		};
	}
	*ret_n = pending->capacity - pending->n;
	return records_of(sluice_wal_block_of(wal, wal->chain.block_seq)) + pending->n;
}

void sluice_wal_append(struct sluice_wal *wal, uint32_t n)
{
	struct sluice_wal_pending *pending = &wal->pending;

	sluice_assert(pending->open && n <= pending->capacity - pending->n);
	pending->n += n;
}

/* A block or a superblock says what it said: only then is writing it again safe. */
static void must_be_unchanged(const struct sluice_wal_slot *slot)
{
	const struct sluice_wal_block_header *block = slot->write.data;
	const struct sluice_wal_super *super = slot->write.data;
	struct sluice_wal_fault fault;

	if (slot->write.tag == SLUICE_WAL_SUPER_TAG) {
		sluice_assert(sluice_wal_super_valid(super, &fault));
		sluice_assert(super->super_crc == slot->crc);
		return;
	}
	sluice_assert(block->block_seq == slot->write.tag);
	sluice_assert(block->header_crc == slot->crc);
	sluice_assert(sluice_wal_header_intact(block, slot->write.bytes, &fault));
	sluice_assert(sluice_wal_payload_intact(block, &fault));
}

/* The whole write again, a bounded number of times for each cause. */
static int again(struct sluice_wal *wal, struct sluice_wal_slot *slot, int64_t result)
{
	bool is_short = result > 0 && result < slot->write.bytes;
	bool interrupted = result == -EINTR || result == -EAGAIN || result == -ECANCELED;
	char what[WHAT_BYTES];

	if ((is_short && slot->shorts++ < SHORTS_MAX) ||
	    (interrupted && slot->agains++ < AGAINS_MAX)) {
		must_be_unchanged(slot);
		wal->stats.resubmits++;
		return sluice_wal_hand_over(wal, slot);
	}
	return sluice_wal_halt(wal, result < 0 ? (int)result : -EIO,
			       "%s (%u bytes): its write gave %lld", describe(wal, slot, what),
			       slot->write.bytes, (long long)result);
}

static int complete_super(struct sluice_wal *wal, int64_t result)
{
	struct sluice_wal_slot *slot = &wal->flip.slot;

	if (!wal->flip.busy)
		return sluice_wal_halt(wal, -EIO,
				       "a completion of a superblock, and none is in flight");
	if (result != slot->write.bytes)
		return again(wal, slot, result);
	return sluice_wal_flip_done(wal);
}

static int complete(struct sluice_wal *wal, const struct sluice_wal_io_done *done)
{
	struct sluice_wal_slot *slot = &wal->slots[slot_index(done->tag)];
	uint64_t in_flight = wal->chain.block_seq - wal->durable_seq;

	if (done->tag == SLUICE_WAL_SUPER_TAG)
		return complete_super(wal, done->result);
	if (done->tag - wal->durable_seq >= in_flight || slot->done)
		return sluice_wal_halt(wal, -EIO,
				       "a completion of block %llu, which is not in flight",
				       (unsigned long long)done->tag);
	if (done->result != slot->write.bytes)
		return again(wal, slot, done->result);
	slot->done = true;
	slot->latency_ns = wal->io->ops->monotonic_ns(wal->io) - slot->submit_ns;
	if (done->tag != wal->durable_seq)
		wal->stats.reordered++;
	return 0;
}

static int advance_durable(struct sluice_wal *wal)
{
	int n = 0;

	while (wal->durable_seq != wal->chain.block_seq) {
		const struct sluice_wal_slot *slot = &wal->slots[slot_index(wal->durable_seq)];

		if (!slot->done)
			break;
		sluice_assert(slot->cmd_end >= wal->durable_cmd_seq);
		wal->durable_seq++;
		wal->durable_cmd_seq = slot->cmd_end;
		if (wal->commit)
			wal->commit(slot->latency_ns, slot->n_cmds, wal->commit_arg);
		n++;
	}
	return n;
}

int sluice_wal_wait(struct sluice_wal *wal, uint64_t timeout_ns)
{
	struct sluice_wal_io_done done[SLUICE_WAL_IN_FLIGHT_MAX];
	int durable = 0;
	int n;

	if (wal->error)
		return wal->error;
	if (wal->outstanding == 0)
		return 0;
	n = wal->io->ops->reap(wal->io, done, SLUICE_WAL_IN_FLIGHT_MAX, timeout_ns);
	if (n < 0)
		return sluice_wal_halt(wal, n, "completions cannot be collected");
	for (int i = 0; i < n; i++) {
		wal->outstanding -= wal->outstanding > 0;
		if (!wal->error && !complete(wal, &done[i]))
			durable += advance_durable(wal);
	}
	return wal->error ? wal->error : durable;
}

int sluice_wal_poll(struct sluice_wal *wal)
{
	return sluice_wal_wait(wal, 0);
}

int sluice_wal_drain(struct sluice_wal *wal)
{
	struct sluice_wal_io_done done[SLUICE_WAL_IN_FLIGHT_MAX];

	/* A device that hangs has neither failed nor succeeded: keep waiting. */
	while (!wal->error && wal->outstanding > 0)
		sluice_wal_wait(wal, DRAIN_STEP_NS);
	for (int i = 0; i < DRAIN_STEPS_AFTER_ERROR && wal->outstanding > 0; i++) {
		int n = wal->io->ops->reap(wal->io, done, SLUICE_WAL_IN_FLIGHT_MAX, DRAIN_STEP_NS);

		for (; n > 0 && wal->outstanding > 0; n--)
			wal->outstanding--;
	}
	return wal->error;
}

uint32_t sluice_wal_pending_bytes(const struct sluice_wal *wal)
{
	return wal->pending.n * SLUICE_WAL_RECORD_BYTES;
}

uint32_t sluice_wal_in_flight(const struct sluice_wal *wal)
{
	return (uint32_t)(wal->chain.block_seq - wal->durable_seq);
}

uint64_t sluice_wal_next_cmd_seq(const struct sluice_wal *wal)
{
	return wal->chain.cmd_seq + wal->pending.n;
}

uint64_t sluice_wal_durable_cmd_seq(const struct sluice_wal *wal)
{
	return wal->durable_cmd_seq;
}

bool sluice_wal_full(const struct sluice_wal *wal)
{
	return wal->open_owed || sluice_wal_left_bytes(wal) <= SLUICE_WAL_RESERVE_BYTES;
}

int sluice_wal_error(const struct sluice_wal *wal)
{
	return wal->error;
}

const char *sluice_wal_error_text(const struct sluice_wal *wal)
{
	return wal->error_text;
}

void sluice_wal_stats(const struct sluice_wal *wal, struct sluice_wal_stats *ret_stats)
{
	*ret_stats = wal->stats;
}

void sluice_wal_on_commit(struct sluice_wal *wal,
			  void (*commit)(uint64_t latency_ns, uint32_t n_cmds, void *arg),
			  void *arg)
{
	wal->commit = commit;
	wal->commit_arg = arg;
}
