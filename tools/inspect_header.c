/* SPDX-License-Identifier: MIT */
/*
 * inspect_header.c - `sluice inspect header`: every field of a ring's header, whether it would be
 * attached to or not, and the control words if it would. Reads only.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/exit.h"
#include "cli/json.h"
#include "cli/report.h"
#include "shm/crc32c.h"
#include "tools/attach.h"
#include "tools/event.h"
#include "tools/inspect.h"

struct header_options {
	const char *what;
};

static const struct sluice_cli_command command = {
	.program = "sluice inspect header",
	.summary = "decode a ring's header, damaged or not",
	.description =
		"Exit 0 if the ring can be attached to; else the fields are printed as they are "
		"and the exit code says why not: 5 damaged, 4 of another version or boot.",
	.positionals = {{.name = "NAME",
			 .help = "x.cmd, or a path with a slash; x means all three rings of x",
			 .offset = offsetof(struct header_options, what)}},
	.examples = {{"sluice inspect header x.cmd", "a live ring"},
		     {"sluice inspect header ./copy", "a file that was saved"}},
};

enum field_form { FORM_U64, FORM_I64, FORM_HEX, FORM_BYTES, FORM_TEXT };

struct field {
	const char *name;
	uint16_t offset;
	uint16_t bytes;
	uint32_t form;
};

/* clang-format off */
#define FIELD(member, form)                                                                        \
	{#member, offsetof(struct sluice_header, member),                                          \
	 sizeof(((struct sluice_header *)0)->member), form}
/* clang-format on */

static const struct field fields[] = {
	FIELD(magic, FORM_HEX),
	FIELD(abi_major, FORM_U64),
	FIELD(abi_minor, FORM_U64),
	FIELD(layout_hash, FORM_HEX),
	FIELD(feature_incompat, FORM_HEX),
	FIELD(feature_ro_compat, FORM_HEX),
	FIELD(feature_compat, FORM_HEX),
	FIELD(page_bytes, FORM_U64),
	FIELD(uuid, FORM_BYTES),
	FIELD(boot_id, FORM_BYTES),
	FIELD(total_bytes, FORM_U64),
	FIELD(slot_count, FORM_U64),
	FIELD(slot_stride, FORM_U64),
	FIELD(payload_bytes, FORM_U64),
	FIELD(publication, FORM_U64),
	FIELD(producer_mode, FORM_U64),
	FIELD(event_kind, FORM_U64),
	FIELD(backing, FORM_U64),
	FIELD(base_sequence, FORM_U64),
	FIELD(control_offset, FORM_U64),
	FIELD(participants_offset, FORM_U64),
	FIELD(counters_offset, FORM_U64),
	FIELD(histograms_offset, FORM_U64),
	FIELD(directory_offset, FORM_U64),
	FIELD(slots_offset, FORM_U64),
	FIELD(participant_count, FORM_U64),
	FIELD(counter_count, FORM_U64),
	FIELD(histogram_count, FORM_U64),
	FIELD(directory_count, FORM_U64),
	FIELD(hugepages, FORM_U64),
	FIELD(numa_node, FORM_I64),
	FIELD(huge_bytes, FORM_U64),
	FIELD(created_realtime_ns, FORM_U64),
	FIELD(creator_start_ticks, FORM_U64),
	FIELD(creator_pidns, FORM_U64),
	FIELD(creator_pid, FORM_U64),
	FIELD(creator_uid, FORM_U64),
	FIELD(creator_version, FORM_TEXT),
	FIELD(name, FORM_TEXT),
	FIELD(header_crc, FORM_HEX),
};

static uint64_t integer(const struct sluice_header *header, const struct field *field)
{
	uint64_t value = 0;

	/* little-endian, as the format is */
	memcpy(&value, (const uint8_t *)header + field->offset, field->bytes);
	return value;
}

/* Text of a fixed array, whatever it holds: printable and ended. */
static void printable(const struct sluice_header *header, const struct field *field,
		      char ret_text[160])
{
	const char *from = (const char *)header + field->offset;
	size_t i;

	for (i = 0; i < field->bytes && from[i]; i++)
		ret_text[i] = from[i] >= ' ' && from[i] < 0x7f ? from[i] : '?';
	ret_text[i] = '\0';
}

static void field_text(const struct sluice_header *header, const struct field *field,
		       char ret_text[160])
{
	const unsigned long long value = field->bytes <= 8 ?
						 (unsigned long long)integer(header, field) :
						 0;

	if (field->form == FORM_BYTES)
		sluice_tool_hex(ret_text, (const uint8_t *)header + field->offset, field->bytes);
	else if (field->form == FORM_TEXT)
		printable(header, field, ret_text);
	else if (field->form == FORM_HEX)
		snprintf(ret_text, 160, "0x%0*llx", 2 * field->bytes, value);
	else if (field->form == FORM_I64)
		snprintf(ret_text, 160, "%d", (int32_t)value);
	else
		snprintf(ret_text, 160, "%llu", value);
}

/* What a number stands for, "" if it is just a number. */
static const char *meaning(const struct sluice_header *header, const struct field *field)
{
	switch (field->offset) {
	case offsetof(struct sluice_header, magic):
		return header->magic == SLUICE_MAGIC ? "right" : "WRONG";
	case offsetof(struct sluice_header, publication):
		return header->publication == SLUICE_PUBLICATION_CURSOR	 ? "cursor" :
		       header->publication == SLUICE_PUBLICATION_STAMPED ? "stamped" :
									   "unknown";
	case offsetof(struct sluice_header, producer_mode):
		return header->producer_mode == SLUICE_PRODUCER_SINGLE ? "single" :
		       header->producer_mode == SLUICE_PRODUCER_MULTI  ? "multi" :
									 "unknown";
	case offsetof(struct sluice_header, event_kind):
		return sluice_tool_kind_name(header->event_kind);
	case offsetof(struct sluice_header, backing):
		return sluice_backing_name(header->backing);
	case offsetof(struct sluice_header, header_crc):
		return header->header_crc ==
				       sluice_crc32c(0, header,
						     offsetof(struct sluice_header, header_crc)) ?
			       "right" :
			       "WRONG";
	default:
		return "";
	}
}

struct control_word {
	const char *name;
	uint16_t offset;
};

static const struct control_word words[] = {
	{"state", offsetof(struct sluice_control, state)},
	{"claim", offsetof(struct sluice_control, claim)},
	{"cursor", offsetof(struct sluice_control, cursor)},
	{"consumer_sleepers", offsetof(struct sluice_control, consumer_sleepers)},
	{"producer_sleepers", offsetof(struct sluice_control, producer_sleepers)},
	{"gating", offsetof(struct sluice_control, gating)},
	{"membership", offsetof(struct sluice_control, membership)},
	{"directory_used", offsetof(struct sluice_control, directory_used)},
	{"fenced", offsetof(struct sluice_control, fenced)},
	{"producers_joined", offsetof(struct sluice_control, producers_joined)},
	{"recoverer", offsetof(struct sluice_control, recoverer)},
	{"tombstones", offsetof(struct sluice_control, tombstones)},
};

static uint64_t control_word(const struct sluice_segment *segment, const struct control_word *word)
{
	const uint8_t *at = (const uint8_t *)segment->control + word->offset;

	/* relaxed: printed only */
	return atomic_load_explicit((const _Atomic uint64_t *)(const void *)at,
				    memory_order_relaxed);
}

static void print_text(const struct sluice_inspect *inspect)
{
	char text[160];

	printf("file       %s, %llu bytes\n", inspect->path,
	       (unsigned long long)inspect->file_bytes);
	printf("attach     %s\n", inspect->attached ? "yes" : inspect->refusal.text);
	if (inspect->header_bytes < sizeof(inspect->header))
		printf("header     only %u of %zu bytes are there\n", inspect->header_bytes,
		       sizeof(inspect->header));
	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
		if (fields[i].offset + fields[i].bytes > inspect->header_bytes)
			continue;
		field_text(&inspect->header, &fields[i], text);
		printf("  %4u  %-22s %s %s\n", fields[i].offset, fields[i].name, text,
		       meaning(&inspect->header, &fields[i]));
	}
	if (!inspect->attached)
		return;
	puts("control words, read one by one while others write them");
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		printf("  %4u  %-22s %llu\n", words[i].offset, words[i].name,
		       (unsigned long long)control_word(&inspect->segment, &words[i]));
}

static void print_json(const struct sluice_inspect *inspect)
{
	struct sluice_json json;
	char text[160];

	sluice_json_init_file(&json, stdout);
	sluice_json_object(&json, NULL);
	sluice_json_string(&json, "schema", "sluice.inspect.header/1");
	sluice_json_string(&json, "path", inspect->path);
	sluice_json_u64(&json, "file_bytes", inspect->file_bytes);
	sluice_json_bool(&json, "attachable", inspect->attached);
	if (!inspect->attached)
		sluice_json_string(&json, "refusal", inspect->refusal.text);
	sluice_json_object(&json, "header");
	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
		if (fields[i].offset + fields[i].bytes > inspect->header_bytes)
			continue;
		field_text(&inspect->header, &fields[i], text);
		if (fields[i].form == FORM_U64)
			sluice_json_u64(&json, fields[i].name,
					integer(&inspect->header, &fields[i]));
		else if (fields[i].form == FORM_I64)
			sluice_json_i64(&json, fields[i].name,
					(int32_t)integer(&inspect->header, &fields[i]));
		else
			sluice_json_string(&json, fields[i].name, text);
	}
	sluice_json_end(&json);
	if (inspect->attached) {
		sluice_json_object(&json, "control");
		for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
			sluice_json_u64(&json, words[i].name,
					control_word(&inspect->segment, &words[i]));
		sluice_json_end(&json);
	}
	sluice_json_end(&json);
	sluice_json_finish(&json);
}

static int inspect_one(const char *what, bool is_json, struct sluice_diag *diag)
{
	static struct sluice_inspect inspect;
	int err = sluice_inspect_open(&inspect, what, diag);

	if (err)
		return err;
	if (is_json)
		print_json(&inspect);
	else
		print_text(&inspect);
	err = inspect.attach_error;
	if (err)
		*diag = inspect.refusal;
	sluice_inspect_close(&inspect);
	return err;
}

/* A name without a ring's suffix stands for the instance's rings. */
static int inspect_all(const char *what, bool is_json, struct sluice_diag *diag)
{
	char path[SLUICE_PATH_BYTES];
	char name[SLUICE_SEGMENT_NAME_BYTES + 8];
	int worst = 0;
	uint32_t found = 0;

	if (strchr(what, '/') || strlen(what) > 40 || sluice_names_check(what, NULL) ||
	    !sluice_names_find(what, path))
		return inspect_one(what, is_json, diag);
	for (uint32_t i = 0; i < SLUICE_TOOL_RINGS; i++) {
		int err;

		snprintf(name, sizeof(name), "%s.%s", what, sluice_tool_ring_suffix[i]);
		if (sluice_names_find(name, path))
			continue;
		found++;
		err = inspect_one(name, is_json, diag);
		if (err)
			worst = err;
	}
	return found ? worst : inspect_one(what, is_json, diag);
}

static int run(int argc, char **argv)
{
	struct header_options values = {0};
	struct sluice_options options;
	struct sluice_diag diag = {.text = ""};
	int code, err;

	if (!sluice_options_start(&options, &command, argc, argv, &values, &code))
		return code;
	err = inspect_all(values.what, options.standard.json, &diag);
	if (err == -EINVAL)
		code = sluice_cli_error(command.program, SLUICE_EXIT_USAGE, &diag);
	else if (err)
		code = sluice_cli_fail(command.program, err, &diag);
	else
		code = sluice_tool_finish(command.program, SLUICE_EXIT_OK);
	sluice_options_release(&options);
	return code;
}

const struct sluice_tool sluice_tool_inspect_header = {
	.name = "header",
	.command = &command,
	.run = run,
};
