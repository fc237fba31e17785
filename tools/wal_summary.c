/* SPDX-License-Identifier: MIT */
/* wal_summary.c - see wal_summary.h. */
#include "tools/wal_summary.h"

void sluice_tool_wal_summary_add(struct sluice_tool_wal_summary *summary,
				 const struct sluice_wal_super *super,
				 const struct sluice_wal_block_header *header, uint32_t segment_no,
				 uint64_t offset)
{
	const uint32_t bytes = sluice_wal_block_bytes(header->n_cmds);

	if (!summary->blocks)
		summary->first_cmd_seq = header->first_cmd_seq;
	summary->blocks++;
	summary->data_blocks += header->n_cmds != 0;
	summary->commands += header->n_cmds;
	summary->bytes += bytes;
	summary->payload_bytes += header->payload_bytes;
	if (header->n_cmds > summary->per_block_max)
		summary->per_block_max = header->n_cmds;
	if (!summary->first_time_ns)
		summary->first_time_ns = header->input_time_ns;
	summary->last_time_ns = header->input_time_ns;
	summary->end_bytes = sluice_tool_wal_live_bytes(super, segment_no, offset + bytes);
	summary->epochs += (header->flags & SLUICE_WAL_OPEN) != 0;
	summary->closed = (header->flags & SLUICE_WAL_CLOSE) != 0;
}

uint64_t sluice_tool_wal_live_bytes(const struct sluice_wal_super *super, uint64_t segment_no,
				    uint64_t offset)
{
	return (segment_no - super->start.segment_no) * super->segment_bytes + offset -
	       super->start.offset;
}

uint64_t sluice_tool_wal_capacity_bytes(const struct sluice_wal_super *super)
{
	return super->segments * super->segment_bytes;
}

void sluice_tool_wal_snapshots(const struct sluice_wal_super *super,
			       const struct sluice_wal_snapshot *ret_named[SLUICE_WAL_SNAPSHOTS])
{
	const struct sluice_wal_snapshot *entries = super->snapshot;
	const uint32_t newest = entries[1].sequence > entries[0].sequence;

	for (uint32_t i = 0; i < SLUICE_WAL_SNAPSHOTS; i++) {
		const struct sluice_wal_snapshot *entry = &entries[(newest + i) % 2];

		ret_named[i] = entry->sequence ? entry : NULL;
	}
}

void sluice_tool_wal_range_json(struct sluice_json *json, const struct sluice_wal_super *super)
{
	const struct sluice_wal_snapshot *named[SLUICE_WAL_SNAPSHOTS];

	sluice_json_u64(json, "start_block", super->start.block_seq);
	sluice_json_u64(json, "start_cmd_seq", super->start.cmd_seq);
	sluice_json_array(json, "snapshots");
	sluice_tool_wal_snapshots(super, named);
	for (uint32_t i = 0; i < SLUICE_WAL_SNAPSHOTS; i++) {
		if (!named[i])
			continue;
		sluice_json_object(json, NULL);
		sluice_json_u64(json, "number", named[i]->sequence);
		sluice_json_u64(json, "block", named[i]->place.block_seq);
		sluice_json_u64(json, "cmd_seq", named[i]->place.cmd_seq);
		sluice_json_u64(json, "bytes", named[i]->bytes);
		sluice_json_end(json);
	}
	sluice_json_end(json);
}

const char *sluice_tool_wal_verdict_name(enum sluice_wal_verdict verdict)
{
	switch (verdict) {
	case SLUICE_WAL_INTACT:
		return "INTACT";
	case SLUICE_WAL_TORN:
		return "TORN";
	default:
		return "DAMAGED";
	}
}

void sluice_tool_wal_report_json(struct sluice_json *json, const struct sluice_wal_report *report)
{
	sluice_json_string(json, "verdict", sluice_tool_wal_verdict_name(report->verdict));
	if (report->verdict != SLUICE_WAL_INTACT) {
		sluice_json_string_bounded(json, "file", report->file, sizeof(report->file));
		sluice_json_u64(json, "offset_bytes", report->offset);
		sluice_json_u64(json, "block", report->block_seq);
		sluice_json_string_bounded(json, "text", report->text, sizeof(report->text));
		if (report->witness_block_seq)
			sluice_json_u64(json, "witness_block", report->witness_block_seq);
	}
}
