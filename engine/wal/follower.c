/* SPDX-License-Identifier: MIT */
/*
 * follower.c - a second execution of the log: opens where a good snapshot is, reads ahead, and
 * executes what is witnessed.
 *
 * A block that was read is kept in private memory until a later valid block says that it was
 * durable; only then is it executed, after its header's hash and report number were compared with
 * this execution's. So every state that this core ever has is one that no power loss takes back.
 *
 * One thread, of a process of its own or any other. Invariants: executed <= witnessed <= read;
 * while a snapshot is written nothing is executed. A crash leaves the log as it was, and at most
 * one snapshot file half-written, which is never the one that the log could be started from best.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "engine/wal/follower_internal.h"
#include "engine/wal/wal_files.h"
#include "engine/wal/wal_super.h"

#define LOCK_WAIT_MS_DEFAULT 10000u
#define NS_PER_MS 1000000ull
#define EVERY_DEFAULT 4u /* times a log */

#define SLOTS_BYTES ((size_t)FOLLOWER_SLOTS * SLUICE_WAL_BLOCK_BYTES_MAX)
#define PAGE_BYTES ((size_t)SLUICE_WAL_SUPER_COPIES * SLUICE_WAL_ALIGN)
#define MEMORY_BYTES (SLOTS_BYTES + SLUICE_WAL_SCAN_BYTES + PAGE_BYTES)

static void make_room(struct sluice_sink *sink)
{
	sink->report_limit = sink->report_next + FOLLOWER_REPORTS;
	sink->md_limit = UINT64_MAX;
}

static void *map(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			    0);

	return memory == MAP_FAILED ? NULL : memory;
}

static int take_memory(struct sluice_follower *follower, struct sluice_diag *diag)
{
	follower->memory = map(MEMORY_BYTES);
	if (!follower->memory)
		return sluice_diag_set(diag, ENOMEM, "no memory for a follower's buffers");
	follower->slots = follower->memory;
	follower->window = follower->slots + SLOTS_BYTES;
	follower->page = follower->window + SLUICE_WAL_SCAN_BYTES;
	return 0;
}

static int make_core(struct sluice_follower *follower, struct sluice_core_options *ret_options,
		     struct sluice_diag *diag)
{
	const struct sluice_core_options options = sluice_wal_core_options(&follower->super.limits);

	follower->core_bytes = sluice_core_bytes(&options);
	if (!follower->core_bytes)
		return sluice_diag_set(diag, EPROTO,
				       "the log has limits that this program cannot execute with");
	follower->core_memory = map(follower->core_bytes);
	if (!follower->core_memory)
		return sluice_diag_set(diag, ENOMEM, "no %zu MiB of memory for a second execution",
				       follower->core_bytes >> 20);
	*ret_options = options;
	return 0;
}

/* Everything goes on from `place`, whose state is in the core. */
static void go_on_from(struct sluice_follower *follower, const struct sluice_wal_place *place)
{
	sluice_wal_chain_init(&follower->chain, &follower->super, place);
	sluice_wal_scan_init(&follower->scan, follower->io, &follower->super, place,
			     follower->window);
	follower->witnessed = place->block_seq;
	follower->ahead = place->segment_no;
	follower->hoped = UINT64_MAX;
	follower->last = *place;
	follower->sink = (struct sluice_sink){
		.reports = follower->reports,
		.report_mask = FOLLOWER_REPORTS - 1,
		.report_next = place->report,
		.md_next = place->md,
		.make_room = make_room,
	};
	make_room(&follower->sink);
}

/* The newest snapshot that is good, or the log's start if that is the first command. */
static int choose_base(struct sluice_follower *follower, struct sluice_diag *diag)
{
	const struct sluice_wal_super *super = &follower->super;
	const struct sluice_wal_snapshot *const choice[] = {sluice_snapshot_newest(super),
							    sluice_snapshot_older(super)};
	struct sluice_core_options options;
	struct sluice_diag why = {"", ""};
	int ret = make_core(follower, &options, diag);

	if (ret)
		return ret;
	for (size_t i = 0; i < sizeof(choice) / sizeof(choice[0]); i++) {
		follower->core = sluice_core_init(follower->core_memory, &options);
		sluice_assert(follower->core);
		if (!choice[i])
			continue;
		ret = sluice_snapshot_restore(follower->io, super, choice[i], follower->window,
					      follower->core, &why);
		if (!ret) {
			go_on_from(follower, &choice[i]->place);
			return 0;
		}
		if (ret == -EINTR) /* says nothing of the snapshot */
			return sluice_diag_set(diag, EINTR, "%s", why.text);
	}
	if (super->start.block_seq)
		return sluice_diag_set(diag, EBADMSG,
				       "no snapshot can be started from, and the log begins at "
				       "block %llu: %.800s",
				       (unsigned long long)super->start.block_seq, why.text);
	follower->core = sluice_core_init(follower->core_memory, &options);
	go_on_from(follower, &super->start);
	return 0;
}

static int prepare(struct sluice_follower *follower, struct sluice_diag *diag)
{
	struct sluice_follower_options *options = &follower->options;
	struct sluice_wal_io *io = follower->io;
	int ret = take_memory(follower, diag);

	if (!ret)
		ret = io->ops->open(io, SLUICE_WAL_IO_FOLLOW, diag);
	if (!ret)
		ret = io->ops->lock(io, SLUICE_WAL_IO_SNAPSHOTS, options->lock_wait_ms * NS_PER_MS,
				    diag);
	/* after the lock: until then somebody else's snapshots were named */
	if (!ret)
		ret = follower_super(follower, diag);
	if (!ret)
		ret = sluice_wal_super_check_sizes(io, &follower->super, diag);
	if (!ret)
		ret = choose_base(follower, diag);
	if (ret)
		return ret;
	if (!options->every_bytes)
		options->every_bytes = follower->super.segment_bytes * SLUICE_WAL_SEGMENTS /
				       EVERY_DEFAULT;
	/* once more: the log may have gone on while a snapshot was read */
	ret = follower_super(follower, diag);
	return ret ? ret : follower_see_ahead(follower, diag);
}

int sluice_follower_open(struct sluice_follower **ret_follower, struct sluice_wal_io *io,
			 const struct sluice_follower_options *options, struct sluice_diag *diag)
{
	struct sluice_follower *follower = calloc(1, sizeof(*follower));
	int ret;

	if (!follower) {
		io->ops->close(io);
		return sluice_diag_set(diag, ENOMEM, "no memory for a follower");
	}
	follower->io = io;
	if (options)
		follower->options = *options;
	io->stopping = follower->options.stopping;
	if (!follower->options.lock_wait_ms)
		follower->options.lock_wait_ms = LOCK_WAIT_MS_DEFAULT;
	ret = prepare(follower, diag);
	io->stopping = NULL;
	if (ret) {
		sluice_follower_close(follower);
		return ret;
	}
	*ret_follower = follower;
	return 0;
}

static int diverged(const struct sluice_follower *follower, const char *what, uint64_t log,
		    uint64_t here, struct sluice_diag *diag)
{
	const struct sluice_wal_chain *chain = &follower->chain;
	char file[SLUICE_WAL_FILE_NAME_BYTES];

	sluice_wal_file_name((uint32_t)(chain->segment_no % SLUICE_WAL_SEGMENTS), file);
	return sluice_diag_set(diag, EBADMSG,
			       "%s offset %llu: before block %llu %s is 0x%llx by the log and "
			       "0x%llx by a second execution of it",
			       file, (unsigned long long)chain->offset,
			       (unsigned long long)chain->block_seq, what, (unsigned long long)log,
			       (unsigned long long)here);
}

/* A snapshot that is named, and was not started from, holds the state that we have at its place. */
static int compare_snapshot(const struct sluice_follower *follower, struct sluice_diag *diag)
{
	struct sluice_wal_place place;

	for (uint32_t i = 0; i < SLUICE_WAL_SNAPSHOTS; i++) {
		const struct sluice_wal_snapshot *snapshot = &follower->super.snapshot[i];
		uint64_t hash;

		if (!snapshot->sequence || snapshot->place.block_seq != follower->chain.block_seq)
			continue;
		sluice_wal_chain_place(&follower->chain, follower->sink.report_next,
				       follower->sink.md_next, &place);
		if (memcmp(&place, &snapshot->place, sizeof(place)))
			return diverged(follower, "the place of a snapshot",
					snapshot->place.cmd_seq, place.cmd_seq, diag);
		hash = sluice_core_state_hash(follower->core);
		if (hash != snapshot->state_hash)
			return diverged(follower, "the state of a snapshot", snapshot->state_hash,
					hash, diag);
	}
	return 0;
}

static int execute(struct sluice_follower *follower, struct sluice_diag *diag)
{
	const struct sluice_wal_block_header *header = follower_queued(follower,
								       follower->chain.block_seq);
	const uint64_t hash = sluice_core_chain_hash(follower->core);

	sluice_assert(follower->chain.block_seq < follower->scan.chain.block_seq);
	sluice_assert(header->block_seq == follower->chain.block_seq);
	sluice_assert(header->block_seq < follower->witnessed && !follower->writing);
	/* SEAL and CLOSE witness a block and say nothing of the core */
	if (header->flags & (SLUICE_WAL_DATA | SLUICE_WAL_OPEN)) {
		if (header->state_hash != hash)
			return diverged(follower, "the state's hash", header->state_hash, hash,
					diag);
		if (header->report_first != follower->sink.report_next)
			return diverged(follower, "the next report", header->report_first,
					follower->sink.report_next, diag);
	}
	sluice_core_apply_batch(follower->core,
				(const struct sluice_command *)(const void *)(header + 1),
				header->n_cmds, header->first_cmd_seq, &follower->sink);
	sluice_wal_chain_advance(&follower->chain, header);
	return compare_snapshot(follower, diag);
}

static int read_block(struct sluice_follower *follower, struct sluice_diag *diag)
{
	const uint64_t block_seq = follower->scan.chain.block_seq;
	const struct sluice_wal_block_header *header;
	int ret = sluice_wal_scan_next(&follower->scan, &header);

	if (ret < 0)
		return sluice_wal_scan_failed(&follower->scan, ret, diag);
	if (ret == 0) {
		follower->idle = true;
		return 0;
	}
	sluice_assert(block_seq - follower->chain.block_seq < FOLLOWER_SLOTS);
	memcpy(follower->slots + block_seq % FOLLOWER_SLOTS * SLUICE_WAL_BLOCK_BYTES_MAX, header,
	       sluice_wal_block_bytes(header->n_cmds));
	if (header->durable_seq > follower->witnessed)
		follower->witnessed = header->durable_seq;
	follower->caught_up = false;
	follower->doubts_ns = 0;
	return 1;
}

int sluice_follower_step(struct sluice_follower *follower, struct sluice_diag *diag)
{
	int ret;

	if (follower->writing)
		return follower_write(follower, diag);
	if (follower_due(follower)) {
		ret = follower_begin(follower, diag);
		if (ret)
			return ret;
	}
	if (follower->chain.block_seq < follower->witnessed) {
		ret = execute(follower, diag);
		return ret ? ret : 1;
	}
	if (follower->idle) {
		ret = follower_look(follower, diag);
		if (ret != 1)
			return ret;
		follower->idle = false;
	}
	return read_block(follower, diag);
}

void sluice_follower_hold(struct sluice_follower *follower, bool held)
{
	follower->held = held;
}

void sluice_follower_view(const struct sluice_follower *follower,
			  struct sluice_follower_view *ret_view)
{
	const struct sluice_wal_snapshot *newest = sluice_snapshot_newest(&follower->super);

	*ret_view = (struct sluice_follower_view){
		.block_seq = follower->chain.block_seq,
		.cmd_seq = follower->chain.cmd_seq,
		.snapshot_whole = follower->whole,
		.snapshot_named = newest ? newest->sequence : 0,
		.live_bytes = follower_live_bytes(follower),
		.log_bytes = follower->super.segment_bytes * SLUICE_WAL_SEGMENTS,
		.writing = follower->writing,
	};
}

const struct sluice_core *sluice_follower_core(const struct sluice_follower *follower)
{
	return follower->core;
}

void sluice_follower_close(struct sluice_follower *follower)
{
	if (!follower)
		return;
	if (follower->writing)
		sluice_snapshot_end(&follower->writer);
	follower->io->ops->close(follower->io);
	if (follower->core_memory)
		munmap(follower->core_memory, follower->core_bytes);
	if (follower->memory)
		munmap(follower->memory, MEMORY_BYTES);
	free(follower);
}
