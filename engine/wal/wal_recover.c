/* SPDX-License-Identifier: MIT */
/*
 * wal_recover.c - where to begin, where the log ends, whether that is honest, and its replay and
 * new beginning.
 *
 * Replay begins at the newest snapshot that is whole, else at the older one, else at block 0 if the
 * log still reaches back to it. Both snapshots' places lie in the live range, so replay gives the
 * same state from wherever it begins. A scan from before a snapshot's place must pass through it.
 *
 * The owner thread, blocking. Up to sluice_wal_start nothing is written, and what start writes is
 * safe to repeat: killed before its superblock, between that and the OPEN block, or in either, the
 * next open finds the same prefix. A torn tail is cut by writing OPEN over its first block; what
 * lies behind keeps an older epoch and another link, so that no later scan takes it for its own.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "engine/wal/snapshot.h"
#include "engine/wal/wal_internal.h"
#include "engine/wal/wal_super.h"

/*
 * The last block may know less than the superblock: a snapshot is named only when every report
 * before its place has been taken.
 */
static uint64_t reports_taken(const struct sluice_wal *wal)
{
	const struct sluice_wal_snapshot *newest = sluice_snapshot_newest(&wal->super);
	uint64_t in_blocks = wal->chain.reports_taken;

	return newest && newest->place.report > in_blocks ? newest->place.report : in_blocks;
}

static void take_position(struct sluice_wal *wal)
{
	struct sluice_wal_position *position = &wal->position;
	const struct sluice_wal_super *super = &wal->super;
	const struct sluice_wal_chain *chain = &wal->chain;

	memcpy(position->log_uuid, super->log_uuid, sizeof(position->log_uuid));
	memcpy(position->ring_uuid, chain->ring_uuid, sizeof(position->ring_uuid));
	position->next_block_seq = chain->block_seq;
	position->next_cmd_seq = chain->cmd_seq;
	position->start_cmd_seq = wal->base.cmd_seq;
	position->start_report = wal->base.report;
	position->start_md = wal->base.md;
	position->reports_taken = reports_taken(wal);
	position->epoch = chain->epoch > super->epoch ? chain->epoch : super->epoch;
	position->closed = (chain->flags & SLUICE_WAL_CLOSE) ||
			   (super->close_block_seq != 0 &&
			    super->close_block_seq == chain->block_seq - 1);
	position->torn = wal->report.verdict == SLUICE_WAL_TORN;
	if (position->torn) {
		position->torn_block_seq = wal->report.block_seq;
		position->torn_segment_no = wal->report.segment_no;
		position->torn_offset = wal->report.offset;
	}
	position->core = sluice_wal_core_options(&super->limits);
}

static void pass_over(struct sluice_wal *wal, const struct sluice_wal_snapshot *snapshot,
		      const char *why)
{
	size_t used = strlen(wal->snapshot_text);

	snprintf(wal->snapshot_text + used, sizeof(wal->snapshot_text) - used, "%s%s",
		 used ? "; " : "", why);
	wal->passed_over |= 1u << snapshot->sequence % SLUICE_WAL_SNAPSHOTS;
}

static int choose_base(struct sluice_wal *wal, struct sluice_diag *diag)
{
	const struct sluice_wal_snapshot *const named[] = {sluice_snapshot_newest(&wal->super),
							   sluice_snapshot_older(&wal->super)};

	for (uint32_t i = 0; i < SLUICE_WAL_SNAPSHOTS; i++) {
		struct sluice_diag why;
		int ret;

		if (!named[i] || wal->passed_over & 1u << named[i]->sequence % SLUICE_WAL_SNAPSHOTS)
			continue;
		ret = sluice_snapshot_check(wal->io, &wal->super, named[i], wal->window_memory,
					    &why);
		if (ret == -EINTR) /* says nothing of the snapshot */
			return sluice_diag_set(diag, EINTR, "%s", why.text);
		if (!ret) {
			wal->base = named[i]->place;
			wal->position.snapshot = named[i]->sequence;
			return 0;
		}
		pass_over(wal, named[i], why.text);
	}
	wal->base = wal->super.start;
	wal->position.snapshot = 0;
	if (wal->base.block_seq == 0)
		return 0;
	sluice_diag_set(diag, EBADMSG,
			"no snapshot can be used and the log no longer holds the blocks below "
			"%llu: %s",
			(unsigned long long)wal->base.block_seq,
			wal->snapshot_text[0] ? wal->snapshot_text : "the superblock names none");
	sluice_diag_hint(diag,
			 "keep the directory as it is, and restore a copy of the whole of it");
	return -EBADMSG;
}

static int scan_to_end(struct sluice_wal *wal, struct sluice_diag *diag)
{
	const struct sluice_wal_block_header *header;
	struct sluice_wal_scan scan;
	int ret;

	sluice_wal_scan_init(&scan, wal->io, &wal->super, &wal->base, wal->window_memory);
	while ((ret = sluice_wal_scan_next(&scan, &header)) == 1)
		;
	if (!ret)
		ret = sluice_wal_scan_judge(&scan, &wal->report);
	if (ret)
		return sluice_wal_scan_failed(&scan, ret, diag);
	if (wal->report.verdict == SLUICE_WAL_DAMAGED) {
		sluice_diag_set(diag, EBADMSG, "the log is damaged: %s%s%s", wal->report.text,
				wal->passed_over ? "; read from there because " : "",
				wal->snapshot_text);
		sluice_diag_hint(
			diag,
			"keep the directory as it is; sluice wal verify prints the same verdict");
		return -EBADMSG;
	}
	wal->chain = scan.chain;
	wal->durable_seq = scan.chain.block_seq;
	wal->durable_cmd_seq = scan.chain.cmd_seq;
	wal->reports_taken = reports_taken(wal);
	take_position(wal);
	return 0;
}

int sluice_wal_recover(struct sluice_wal *wal, struct sluice_diag *diag)
{
	int ret = choose_base(wal, diag);

	return ret ? ret : scan_to_end(wal, diag);
}

int sluice_wal_restore(struct sluice_wal *wal, void *memory, struct sluice_core **ret_core,
		       struct sluice_diag *diag)
{
	sluice_assert(!wal->started);
	for (;;) {
		struct sluice_core *core = sluice_core_init(memory, &wal->position.core);
		const uint64_t sequence = wal->position.snapshot;
		const struct sluice_wal_snapshot *snapshot =
			&wal->super.snapshot[sequence % SLUICE_WAL_SNAPSHOTS];
		struct sluice_diag why;
		int ret = 0;

		if (!core)
			return sluice_diag_set(diag, EINVAL,
					       "the superblock's limits are out of range");
		if (sequence)
			ret = sluice_snapshot_restore(wal->io, &wal->super, snapshot,
						      wal->window_memory, core, &why);
		if (!ret) {
			*ret_core = core;
			return 0;
		}
		if (ret == -EINTR)
			return sluice_diag_set(diag, EINTR, "%s", why.text);
		pass_over(wal, snapshot, why.text);
		ret = sluice_wal_recover(wal, diag);
		if (ret)
			return ret;
	}
}

int sluice_wal_replay(struct sluice_wal *wal, sluice_wal_visit visit, void *arg,
		      struct sluice_diag *diag)
{
	const struct sluice_wal_block_header *header;
	struct sluice_wal_scan scan;

	sluice_assert(!wal->started);
	sluice_wal_scan_init(&scan, wal->io, &wal->super, &wal->base, wal->window_memory);
	while (scan.chain.block_seq < wal->position.next_block_seq) {
		int ret = sluice_wal_scan_next(&scan, &header);

		if (ret < 0)
			return sluice_wal_scan_failed(&scan, ret, diag);
		if (ret == 0)
			return sluice_diag_set(
				diag, EBADMSG,
				"wal-%02u offset %llu: block %llu was valid when the log was "
				"opened and is no more (%s)",
				(unsigned int)(scan.chain.segment_no % SLUICE_WAL_SEGMENTS),
				(unsigned long long)scan.chain.offset,
				(unsigned long long)scan.chain.block_seq, scan.fault.what);
		ret = visit(header, (const struct sluice_command *)(const void *)(header + 1),
			    header->n_cmds, arg);
		if (ret)
			return ret;
	}
	return 0;
}

int sluice_wal_witness(struct sluice_wal *wal, uint64_t cmd_seq, const char *who,
		       struct sluice_diag *diag)
{
	const struct sluice_wal_report *report = &wal->report;

	sluice_assert(!wal->started);
	if (cmd_seq <= wal->position.next_cmd_seq)
		return 0;
	sluice_diag_set(diag, EBADMSG,
			"the log is damaged: %s proves that the commands below %llu were durable, "
			"the log holds those below %llu. %s",
			who, (unsigned long long)cmd_seq,
			(unsigned long long)wal->position.next_cmd_seq, report->text);
	sluice_diag_hint(diag, "if the log was restored from an older copy, the newer one is "
			       "needed; sluice wal verify shows where this one ends");
	return -EBADMSG;
}

int sluice_wal_start(struct sluice_wal *wal, const uint8_t ring_uuid[16], uint64_t state_hash,
		     uint64_t report_first, struct sluice_diag *diag)
{
	uint32_t epoch = wal->position.epoch;
	struct sluice_wal_super next = wal->super;
	int ret;

	sluice_assert(!wal->started && !wal->error);
	wal->io->stopping = NULL; /* an end that is asked for from here on is a clean one */
	if (epoch == UINT32_MAX)
		return sluice_diag_set(diag, EOVERFLOW, "the log has used up its epochs");
	/* a SEAL or CLOSE may say anything of reports: nothing in it is compared by a replay */
	if (report_first < wal->chain.reports_taken)
		return sluice_diag_set(diag, EBADMSG,
				       "the log is damaged: its last block says that the reports "
				       "below %llu were taken, replay has those below %llu",
				       (unsigned long long)wal->chain.reports_taken,
				       (unsigned long long)report_first);
	memcpy(wal->ring_uuid, ring_uuid, sizeof(wal->ring_uuid));
	next.epoch = epoch + 1;
	next.close_block_seq = 0;
	ret = sluice_wal_super_write_twice(wal->io, wal->super_memory, &next, &wal->super);
	if (ret)
		ret = sluice_wal_halt(wal, ret, "super: the new epoch cannot be written");
	if (!ret)
		ret = sluice_wal_submit_open(wal, state_hash, report_first);
	if (!ret)
		ret = sluice_wal_drain(wal);
	if (ret)
		return sluice_diag_set(diag, -ret, "%s", wal->error_text);
	wal->started = true;
	return 0;
}
