/* SPDX-License-Identifier: MIT */
/*
 * wal_recover.c - where the log ends, whether that is honest, and its replay and new beginning.
 *
 * The owner thread, blocking. Up to sluice_wal_start nothing is written, and what start writes is
 * safe to repeat: killed before its superblock, between that and the OPEN block, or in either, the
 * next open finds the same prefix. A torn tail is cut by writing OPEN over its first block; what
 * lies behind keeps an older epoch and another link, so that no later scan takes it for its own.
 */
#include <errno.h>
#include <string.h>

#include "engine/wal/wal_internal.h"
#include "engine/wal/wal_super.h"

static void core_options(const struct sluice_wal_super *super,
			 struct sluice_core_options *ret_options)
{
	const struct sluice_wal_limits *limits = &super->limits;

	*ret_options = (struct sluice_core_options){
		.symbols_max = limits->symbols_max,
		.orders_max = limits->orders_max,
		.levels_max = limits->levels_max,
		.sessions_max = limits->sessions_max,
		.window_ticks = limits->window_ticks,
		.risk = limits->risk,
	};
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
	position->start_cmd_seq = super->start.cmd_seq;
	position->start_report = super->start.report;
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
	core_options(super, &position->core);
}

int sluice_wal_recover(struct sluice_wal *wal, struct sluice_diag *diag)
{
	const struct sluice_wal_block_header *header;
	struct sluice_wal_scan scan;
	int ret;

	sluice_wal_scan_init(&scan, wal->io, &wal->super, &wal->super.start, wal->window_memory);
	while ((ret = sluice_wal_scan_next(&scan, &header)) == 1)
		;
	if (!ret)
		ret = sluice_wal_scan_judge(&scan, &wal->report);
	if (ret)
		return sluice_wal_scan_failed(&scan, ret, diag);
	if (wal->report.verdict == SLUICE_WAL_DAMAGED) {
		sluice_diag_set(diag, EBADMSG, "the log is damaged: %s", wal->report.text);
		sluice_diag_hint(
			diag,
			"keep the directory as it is; sluice wal verify prints the same verdict");
		return -EBADMSG;
	}
	wal->chain = scan.chain;
	wal->durable_seq = scan.chain.block_seq;
	wal->durable_cmd_seq = scan.chain.cmd_seq;
	wal->reports_taken = scan.chain.reports_taken;
	take_position(wal);
	return 0;
}

int sluice_wal_replay(struct sluice_wal *wal, sluice_wal_visit visit, void *arg,
		      struct sluice_diag *diag)
{
	const struct sluice_wal_block_header *header;
	struct sluice_wal_scan scan;

	sluice_assert(!wal->started);
	sluice_wal_scan_init(&scan, wal->io, &wal->super, &wal->super.start, wal->window_memory);
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
	if (epoch == UINT32_MAX)
		return sluice_diag_set(diag, EOVERFLOW, "the log has used up its epochs");
	memcpy(wal->ring_uuid, ring_uuid, sizeof(wal->ring_uuid));
	next.epoch = epoch + 1;
	next.close_block_seq = 0;
	ret = sluice_wal_super_write(wal->io, wal->super_memory, &next, &wal->super);
	if (ret)
		ret = sluice_wal_halt(wal, ret, "super: the new epoch cannot be written");
	if (!ret && !sluice_wal_chain_at_end(&wal->chain))
		ret = sluice_wal_submit_control(wal, SLUICE_WAL_OPEN, state_hash, report_first);
	if (!ret)
		ret = sluice_wal_drain(wal);
	if (ret)
		return sluice_diag_set(diag, -ret, "%s", wal->error_text);
	wal->started = true;
	return 0;
}
