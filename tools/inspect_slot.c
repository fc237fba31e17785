/* SPDX-License-Identifier: MIT */
/*
 * inspect_slot.c - `sluice inspect slot`: what one sequence's slot holds now, and whether it is
 * that sequence at all. Bytes that another process may be writing are said to be so. Reads only.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/exit.h"
#include "cli/json.h"
#include "cli/report.h"
#include "cli/value.h"
#include "shm/ring.h"
#include "tools/attach.h"
#include "tools/event.h"
#include "tools/inspect.h"

struct slot_options {
	const char *sequence;
	const char *name;
	bool hex;
};

struct slot {
	struct slot_options options;
	struct sluice_inspect inspect;
	uint64_t sequence;
	uint64_t stamp;	   /* stamped rings */
	const char *state; /* a word: published, writing ... */
	bool is_whole;	   /* the bytes are one event, not a mixture */
	char text[256];	   /* the state in a sentence */
	uint8_t bytes[SLUICE_STRIDE_MAX];
	uint32_t event_bytes;
	uint32_t event_offset;
	bool is_json;
};

static const struct sluice_option table[] = {
	{"name", 'n', SLUICE_OPTION_STRING(struct slot_options, name), .value = "NAME.RING",
	 .required = true, .help = "the ring, such as x.cmd, or a path with a slash"},
	{"hex", 0, SLUICE_OPTION_FLAG(struct slot_options, hex), .help = "the bytes as well"},
};

static const struct sluice_cli_command command = {
	.program = "sluice inspect slot",
	.summary = "decode the slot of one sequence",
	.description = "A slot is used again and again; the output says whether it holds the "
		       "sequence asked for, an older one (not written yet) or a newer one "
		       "(overwritten). Exit 1 if the slot does not hold the event asked for.",
	.options = table,
	.option_count = sizeof(table) / sizeof(*table),
	.positionals = {{.name = "SEQ",
			 .help = "sequence in the ring",
			 .offset = offsetof(struct slot_options, sequence)}},
	.examples = {{"sluice inspect slot 0 -n x.cmd", "the first command"},
		     {"sluice inspect slot 17 -n x.rep --hex", "report 18, with its bytes"}},
};

static void judge(struct slot *slot, const char *state, bool is_whole, const char *sentence)
{
	slot->state = state;
	slot->is_whole = is_whole;
	snprintf(slot->text, sizeof(slot->text), "%s", sentence);
}

/* From the stamp: the slot itself says whose it is. */
static void judge_stamp(struct slot *slot)
{
	const uint64_t holds = slot->stamp & SLUICE_STAMP_SEQ;
	const uint64_t sequence = slot->sequence;

	if (slot->stamp & SLUICE_STAMP_WRITING)
		judge(slot, "writing", false,
		      "being written now, or its writer died: no event yet");
	else if (!slot->stamp)
		judge(slot, "empty", false, "never written");
	else if (holds == sequence + 1 && slot->stamp & SLUICE_STAMP_VOID)
		judge(slot, "tombstone", false, "published as a tombstone: it holds no event");
	else if (holds == sequence + 1)
		judge(slot, "published", true, "published");
	else if (holds < sequence + 1)
		judge(slot, "older", true, "not written yet: the slot still holds an older event");
	else
		judge(slot, "newer", true, "overwritten: the slot holds a newer event");
}

static void judge_cursor(struct slot *slot, uint64_t cursor, uint64_t claim)
{
	const uint64_t count = slot->inspect.header.slot_count;

	if (cursor - 1 - slot->sequence < count && claim - slot->sequence <= count)
		judge(slot, "published", true, "published");
	else if ((int64_t)(cursor - slot->sequence) > 0)
		judge(slot, "newer", false, "overwritten, or being overwritten now");
	else if ((int64_t)(claim - slot->sequence) > 0)
		judge(slot, "writing", false, "claimed and not published: being written now");
	else
		judge(slot, "older", false,
		      "not claimed yet: the slot is empty or holds an older event");
}

static void load_attached(struct slot *slot)
{
	struct sluice_segment *segment = &slot->inspect.segment;
	const struct sluice_control *control = segment->control;
	struct sluice_ring ring;
	int rc;

	sluice_ring_init(&ring, segment);
	slot->event_offset = ring.payload_offset;
	slot->event_bytes = ring.payload_bytes;
	rc = sluice_ring_copy(&ring, slot->sequence, slot->bytes + slot->event_offset);
	if (rc) /* no whole event of that sequence: show what is there */
		memcpy(slot->bytes, sluice_ring_slot(&ring, slot->sequence), ring.stride);
	if (ring.stamped) {
		/* relaxed: printed only; the copy above was judged by itself */
		slot->stamp = atomic_load_explicit(sluice_ring_stamp(&ring, slot->sequence),
						   memory_order_relaxed);
		memcpy(slot->bytes, &slot->stamp, sizeof(slot->stamp));
		judge_stamp(slot);
	} else {
		/* relaxed, both: printed only */
		judge_cursor(slot, atomic_load_explicit(&control->cursor, memory_order_relaxed),
			     atomic_load_explicit(&control->claim, memory_order_relaxed));
	}
	if (!rc)
		judge(slot, "published", true, "published");
	else if (slot->is_whole && !strcmp(slot->state, "published"))
		judge(slot, "newer", false, "overwritten while it was read");
}

/* The header was refused: its geometry is used only as far as the file goes. */
static int load_damaged(struct slot *slot, struct sluice_diag *diag)
{
	const struct sluice_header *header = &slot->inspect.header;
	const uint64_t count = header->slot_count;
	uint64_t offset;

	if (slot->inspect.header_bytes < sizeof(*header) || !count || count & (count - 1) ||
	    count > SLUICE_SLOTS_MAX || header->slot_stride < 8 ||
	    header->slot_stride > SLUICE_STRIDE_MAX ||
	    header->payload_bytes > header->slot_stride ||
	    header->slots_offset > slot->inspect.file_bytes) {
		*diag = slot->inspect.refusal;
		return slot->inspect.attach_error;
	}
	offset = header->slots_offset + (slot->sequence & (count - 1)) * header->slot_stride;
	if (offset + header->slot_stride > slot->inspect.file_bytes ||
	    pread(slot->inspect.fd, slot->bytes, header->slot_stride, (off_t)offset) !=
		    (ssize_t)header->slot_stride)
		return sluice_diag_set(
			diag, EBADMSG, "the slot would be at offset %llu, the file has %llu bytes",
			(unsigned long long)offset, (unsigned long long)slot->inspect.file_bytes);
	slot->event_offset = header->slot_stride - header->payload_bytes;
	slot->event_bytes = header->payload_bytes;
	memcpy(&slot->stamp, slot->bytes, sizeof(slot->stamp));
	if (header->publication == SLUICE_PUBLICATION_STAMPED)
		judge_stamp(slot);
	else
		judge(slot, "unknown", false,
		      "the ring is damaged: nothing says what the slot holds");
	return 0;
}

static void event_text(struct slot *slot, enum sluice_event_style style,
		       char ret_text[SLUICE_EVENT_TEXT_MAX])
{
	struct sluice_names names;
	size_t bytes = 0;

	ret_text[0] = '\0';
	if (sluice_names_init(&names, slot->inspect.attached ? &slot->inspect.segment : NULL))
		return;
	if (slot->is_whole)
		bytes = sluice_tool_event_text(
			ret_text, SLUICE_EVENT_TEXT_MAX, style, slot->inspect.header.event_kind,
			slot->bytes + slot->event_offset, slot->event_bytes, &names);
	if (bytes)
		ret_text[bytes - 1] = '\0';
	sluice_names_release(&names);
}

static bool is_stamped(const struct slot *slot)
{
	return slot->inspect.header.publication == SLUICE_PUBLICATION_STAMPED;
}

static void print_text(struct slot *slot)
{
	char text[SLUICE_EVENT_TEXT_MAX];

	printf("sequence   %llu in slot %llu: %s\n", (unsigned long long)slot->sequence,
	       (unsigned long long)(slot->sequence & (slot->inspect.header.slot_count - 1)),
	       slot->text);
	if (!slot->inspect.attached)
		printf("ring       not attachable: %s\n", slot->inspect.refusal.text);
	if (is_stamped(slot) && slot->stamp)
		printf("stamp      %016llx: sequence %llu%s%s\n", (unsigned long long)slot->stamp,
		       (unsigned long long)((slot->stamp & SLUICE_STAMP_SEQ) -
					    !(slot->stamp & SLUICE_STAMP_WRITING)),
		       slot->stamp & SLUICE_STAMP_WRITING ? ", writing" : "",
		       slot->stamp & SLUICE_STAMP_VOID ? ", tombstone" : "");
	event_text(slot, SLUICE_EVENT_LINE, text);
	if (text[0])
		printf("event      %s\n", text);
	if (slot->options.hex)
		sluice_tool_hex_dump(slot->bytes, slot->inspect.header.slot_stride);
}

static void print_json(struct slot *slot)
{
	static char hex[2 * SLUICE_STRIDE_MAX + 1];
	char text[SLUICE_EVENT_TEXT_MAX];

	event_text(slot, SLUICE_EVENT_JSON, text);
	printf("{\"schema\":\"sluice.inspect.slot/"
	       "1\",\"sequence\":%llu,\"slot\":%llu,\"state\":\"%s\"",
	       (unsigned long long)slot->sequence,
	       (unsigned long long)(slot->sequence & (slot->inspect.header.slot_count - 1)),
	       slot->state);
	printf(",\"attachable\":%s", slot->inspect.attached ? "true" : "false");
	if (is_stamped(slot))
		printf(",\"stamp\":%llu", (unsigned long long)slot->stamp);
	if (text[0])
		printf(",\"event\":%s", text);
	if (slot->options.hex) {
		sluice_tool_hex(hex, slot->bytes, slot->inspect.header.slot_stride);
		printf(",\"hex\":\"%s\"", hex);
	}
	puts("}");
}

static int slot_run(struct slot *slot)
{
	struct sluice_diag diag = {.text = ""};
	int err = 0;

	if (sluice_value_count(slot->options.sequence, &slot->sequence)) {
		sluice_diag_set(&diag, EINVAL, "\"%.40s\" is no sequence: a number from 0 on",
				slot->options.sequence);
		sluice_diag_hint(&diag, "sluice inspect slot 0 -n %s", slot->options.name);
		return sluice_cli_error(command.program, SLUICE_EXIT_USAGE, &diag);
	}
	err = sluice_inspect_open(&slot->inspect, slot->options.name, &diag);
	if (err == -EINVAL)
		return sluice_cli_error(command.program, SLUICE_EXIT_USAGE, &diag);
	if (err)
		return sluice_cli_fail(command.program, err, &diag);
	if (slot->inspect.attached)
		load_attached(slot);
	else
		err = load_damaged(slot, &diag);
	if (err) {
		sluice_inspect_close(&slot->inspect);
		return sluice_cli_fail(command.program, err, &diag);
	}
	if (slot->is_json)
		print_json(slot);
	else
		print_text(slot);
	sluice_inspect_close(&slot->inspect);
	return sluice_tool_finish(command.program, !strcmp(slot->state, "published") ?
							   SLUICE_EXIT_OK :
							   SLUICE_EXIT_FAILED);
}

static int run(int argc, char **argv)
{
	static struct slot slot;
	struct sluice_options options;
	int code;

	if (!sluice_options_start(&options, &command, argc, argv, &slot.options, &code))
		return code;
	slot.is_json = options.standard.json;
	code = slot_run(&slot);
	sluice_options_release(&options);
	return code;
}

const struct sluice_tool sluice_tool_inspect_slot = {
	.name = "slot", .command = &command, .run = run};
