/* SPDX-License-Identifier: MIT */
/*
 * cmd_ls.c - `sluice ls`: every segment of the namespace, and what is left of dead ones. A broken
 * one is a line with the reason, never the end of the list. Read-only; see attach.h.
 */
#include <errno.h>
#include <string.h>

#include "cli/exit.h"
#include "cli/json.h"
#include "cli/report.h"
#include "cli/text.h"
#include "shm/clock.h"
#include "shm/participant.h"
#include "shm/ring.h"
#include "tools/attach.h"
#include "tools/tool.h"

struct ls_options {
	const char *name;
};

struct ls_row { /* one segment, copied out of the mapping */
	const struct sluice_segment_entry *entry;
	struct sluice_segment *segment; /* NULL: broken or left over */
	const char *trouble;		/* why there is no segment */
	uint64_t huge_bytes;
	uint32_t page_bytes;
	uint32_t live;
	uint32_t known;
	uint64_t age_ns;
	int creator_alive;
};

struct ls {
	struct ls_options options;
	struct sluice_json json;
	uint32_t shown;
	uint32_t broken;
	bool is_json;
};

static const struct sluice_option table[] = {
	{"name", 'n', SLUICE_OPTION_STRING(struct ls_options, name), .value = "PREFIX",
	 .help = "only names that begin with it"},
};

static const struct sluice_cli_command command = {
	.program = "sluice ls",
	.summary = "list every ring of this machine, live, broken and left over",
	.description =
		"Pages are what the kernel's own accounting says of a mapping made now, not what "
		"was asked for. Participants are shown as live/known: a live one holds its lock "
		"byte.\n\n"
		"A ring that cannot be attached is listed with the reason. What is left of dead "
		"creators is shown as a leftover; `sluice gc` removes it.",
	.options = table,
	.option_count = sizeof(table) / sizeof(*table),
	.examples = {{"sluice ls", "all of them"},
		     {"sluice ls --json | jq -r .name", "their names"}},
};

static void participants(const struct sluice_segment *segment, struct ls_row *row)
{
	for (uint32_t i = 0; i < segment->header.participant_count; i++) {
		struct sluice_participant_view view;

		if (!sluice_participant_view(segment, i, &view))
			continue;
		row->known++;
		row->live += view.alive == 1;
	}
}

static void examine(struct ls_row *row, struct sluice_segment *segment)
{
	const uint64_t now_ns = sluice_clock_realtime_ns();

	row->segment = segment;
	participants(segment, row);
	if (sluice_segment_huge_bytes(segment, &row->huge_bytes, &row->page_bytes)) {
		row->huge_bytes = segment->header.huge_bytes;
		row->page_bytes = segment->header.page_bytes;
	}
	if (now_ns > segment->header.created_realtime_ns)
		row->age_ns = now_ns - segment->header.created_realtime_ns;
	row->creator_alive = sluice_tool_creator_alive(&segment->header);
}

static uint32_t state_of(struct sluice_segment *segment)
{
	struct sluice_ring ring;

	sluice_ring_init(&ring, segment);
	return sluice_ring_state(&ring);
}

static void row_text(const struct ls_row *row)
{
	const struct sluice_header *header;
	char slots[32];
	char live[16];

	if (!row->segment) {
		printf("%-20s %-11s %-9s %s\n", row->entry->name, "-",
		       row->entry->is_temporary || row->entry->is_lock_only ? "leftover" : "BROKEN",
		       row->trouble);
		return;
	}
	header = &row->segment->header;
	snprintf(slots, sizeof(slots), "%llux%u", (unsigned long long)header->slot_count,
		 header->slot_stride);
	snprintf(live, sizeof(live), "%u/%u", row->live, row->known);
	printf("%-20s %-11s %-9s %12s %9s %-12s %5s %4d %7u %-5s %5s %6s\n", header->name,
	       sluice_tool_kind_name(header->event_kind),
	       sluice_tool_state_name(state_of(row->segment)), slots,
	       sluice_text_bytes(header->total_bytes).s, sluice_backing_name(header->backing),
	       sluice_text_bytes(row->page_bytes).s, header->numa_node, header->creator_pid,
	       row->creator_alive < 0 ? "?" :
	       row->creator_alive     ? "alive" :
					"gone",
	       live, sluice_text_duration(row->age_ns).s);
}

static void row_json(struct sluice_json *json, const struct ls_row *row)
{
	const struct sluice_header *header;

	sluice_json_object(json, NULL);
	sluice_json_string(json, "schema", "sluice.ls/1");
	sluice_json_string(json, "name", row->entry->name);
	sluice_json_string(json, "path", row->entry->path);
	sluice_json_u64(json, "file_bytes", row->entry->file_bytes);
	if (row->segment) {
		header = &row->segment->header;
		sluice_json_string(json, "state", sluice_tool_state_name(state_of(row->segment)));
		sluice_json_string(json, "kind", sluice_tool_kind_name(header->event_kind));
		sluice_json_u64(json, "slots_count", header->slot_count);
		sluice_json_u64(json, "stride_bytes", header->slot_stride);
		sluice_json_string(json, "backing", sluice_backing_name(header->backing));
		sluice_json_u64(json, "page_bytes", row->page_bytes);
		sluice_json_u64(json, "huge_bytes", row->huge_bytes);
		sluice_json_i64(json, "numa_node", header->numa_node);
		sluice_json_u64(json, "creator_pid", header->creator_pid);
		if (row->creator_alive < 0)
			sluice_json_null(json, "creator_alive");
		else
			sluice_json_bool(json, "creator_alive", row->creator_alive);
		sluice_json_u64(json, "participants_live_count", row->live);
		sluice_json_u64(json, "participants_known_count", row->known);
		sluice_json_u64(json, "age_ns", row->age_ns);
	} else {
		sluice_json_string(json, "state",
				   row->entry->is_temporary || row->entry->is_lock_only ?
					   "leftover" :
					   "broken");
		sluice_json_string(json, "trouble", row->trouble);
	}
	sluice_json_end(json);
	sluice_json_finish(json);
}

static void show(struct ls *ls, const struct ls_row *row)
{
	if (ls->is_json) {
		row_json(&ls->json, row);
	} else {
		if (!ls->shown)
			printf("%-20s %-11s %-9s %12s %9s %-12s %8s %4s %7s %-5s %5s %6s\n", "NAME",
			       "KIND", "STATE", "SLOTS", "SIZE", "BACKING", "PAGES", "NODE",
			       "CREATOR", "", "LIVE", "AGE");
		row_text(row);
	}
	ls->shown++;
}

static int visit(const struct sluice_segment_entry *entry, void *arg)
{
	struct ls *ls = arg;
	struct ls_row row = {.entry = entry};
	struct sluice_segment segment;
	struct sluice_diag diag;
	int err;

	if (ls->options.name && strncmp(entry->name, ls->options.name, strlen(ls->options.name)))
		return 0;
	if (entry->is_temporary || entry->is_lock_only) {
		row.trouble = entry->is_temporary ?
				      "a creation that was cut short, or is under way" :
				      "a lock file without a ring";
		show(ls, &row);
		return 0;
	}
	err = sluice_segment_attach(&segment, entry->name, SLUICE_ACCESS_READ, &diag);
	if (err == -ENOENT)
		return 0; /* gone meanwhile */
	if (err) {
		row.trouble = diag.text;
		ls->broken++;
		show(ls, &row);
		return 0;
	}
	examine(&row, &segment);
	show(ls, &row);
	sluice_segment_close(&segment);
	return 0;
}

static int run(int argc, char **argv)
{
	struct ls ls = {.shown = 0};
	struct sluice_options options;
	struct sluice_diag diag;
	int code, err;

	if (!sluice_options_start(&options, &command, argc, argv, &ls.options, &code))
		return code;
	ls.is_json = options.standard.json;
	sluice_json_init_file(&ls.json, stdout);
	err = sluice_segment_each(visit, &ls, &diag);
	if (err)
		code = sluice_cli_fail(command.program, err, &diag);
	else
		code = sluice_tool_finish(command.program, SLUICE_EXIT_OK);
	if (!err && !ls.shown && !ls.is_json)
		fputs("no rings\n", stderr);
	sluice_options_release(&options);
	return code;
}

const struct sluice_tool sluice_tool_ls = {.name = "ls", .command = &command, .run = run};
