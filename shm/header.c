/* SPDX-License-Identifier: MIT */
/*
 * header.c - how a creator makes the header. header_check.c is the other half: what an attacher
 * demands of it. The two are paired: every value planned here passes there.
 */
#include "shm/header.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "shm/clock.h"
#include "shm/crc32c.h"
#include "shm/events.h"
#include "shm/names.h"
#include "shm/proc.h"

#ifndef SLUICE_VERSION
#define SLUICE_VERSION "0.1.0"
#endif

#define REGION_ALIGN 4096ull
#define STRIDE_MIN_STAMPED 16u
#define STAMP_BYTES 8u

SLUICE_STATIC_ASSERT(REGION_ALIGN % SLUICE_LINE_BYTES == 0, "regions begin on lines of their own");
SLUICE_STATIC_ASSERT(sizeof(struct sluice_header) <= SLUICE_HEADER_AREA_BYTES, "one page");
SLUICE_STATIC_ASSERT(sizeof(SLUICE_VERSION) <= sizeof(((struct sluice_header *)0)->creator_version),
		     "the version fits");
SLUICE_STATIC_ASSERT(SLUICE_NAME_CHARS_MAX < SLUICE_SEGMENT_NAME_BYTES, "the name fits");

uint32_t sluice_header_layout_hash(void)
{
	const uint32_t facts[] = {
		0x01020304u, /* byte order: the bytes are folded, not the value */
		SLUICE_LINE_BYTES,
		SLUICE_HEADER_AREA_BYTES,
		SLUICE_PARTICIPANTS_MAX,
		sizeof(struct sluice_header),
		sizeof(struct sluice_control),
		sizeof(struct sluice_participant),
		sizeof(struct sluice_counter),
		sizeof(struct sluice_histogram),
		sizeof(struct sluice_directory_entry),
		offsetof(struct sluice_control, claim),
		offsetof(struct sluice_control, cursor),
		offsetof(struct sluice_control, gating),
		offsetof(struct sluice_control, note),
		offsetof(struct sluice_participant, position),
		offsetof(struct sluice_participant, claim_record),
		offsetof(struct sluice_participant, wake),
		offsetof(struct sluice_participant, events),
		SLUICE_HISTOGRAM_SUB_BITS,
		SLUICE_HISTOGRAM_RANGE_BITS,
		sizeof(struct sluice_event_head),
		sizeof(struct sluice_command),
		sizeof(struct sluice_report),
	};

	return sluice_crc32c(0, facts, sizeof(facts));
}

/* -------------------------------------------------------------------------------- options */

static bool is_power_of_two(uint64_t value)
{
	return value && !(value & (value - 1));
}

static int check_slots(const struct sluice_segment_options *options, struct sluice_diag *diag)
{
	const uint64_t count = options->slot_count;
	uint64_t below = SLUICE_SLOTS_MIN;

	if (count < SLUICE_SLOTS_MIN || count > SLUICE_SLOTS_MAX)
		return sluice_diag_set(diag, EINVAL,
				       "ring size %" PRIu64
				       " is out of range: a power of two from %d to %llu is allowed",
				       count, SLUICE_SLOTS_MIN, SLUICE_SLOTS_MAX);
	if (is_power_of_two(count))
		return 0;
	while (below * 2 < count)
		below *= 2;
	return sluice_diag_set(diag, EINVAL,
			       "ring size %" PRIu64 " is not a power of two: %" PRIu64
			       " or %" PRIu64 "?",
			       count, below, below * 2);
}

static int check_stride(const struct sluice_segment_options *options, struct sluice_diag *diag)
{
	const uint32_t stride = options->slot_stride;

	if (options->publication == SLUICE_PUBLICATION_CURSOR &&
	    (stride < 8 || stride > SLUICE_STRIDE_MAX || stride % 8))
		return sluice_diag_set(diag, EINVAL,
				       "slot stride %u is not allowed: a cursor-published ring takes multiples of 8 from 8 to %d",
				       stride, SLUICE_STRIDE_MAX);
	if (options->publication == SLUICE_PUBLICATION_STAMPED &&
	    (stride < STRIDE_MIN_STAMPED || stride > SLUICE_STRIDE_MAX || stride % 8))
		return sluice_diag_set(diag, EINVAL,
				       "slot stride %u is not allowed: a stamped ring takes multiples of 8 from %u to %d",
				       stride, STRIDE_MIN_STAMPED, SLUICE_STRIDE_MAX);
	return 0;
}

static int check_modes(const struct sluice_segment_options *options, struct sluice_diag *diag)
{
	if (options->publication != SLUICE_PUBLICATION_CURSOR &&
	    options->publication != SLUICE_PUBLICATION_STAMPED)
		return sluice_diag_set(diag, EINVAL,
				       "publication %u is unknown: 1 is by cursor, 2 by stamps",
				       options->publication);
	if (options->producer_mode != SLUICE_PRODUCER_SINGLE &&
	    options->producer_mode != SLUICE_PRODUCER_MULTI)
		return sluice_diag_set(diag, EINVAL,
				       "producer mode %u is unknown: 1 is single, 2 is multi",
				       options->producer_mode);
	if (options->producer_mode == SLUICE_PRODUCER_MULTI &&
	    options->publication == SLUICE_PUBLICATION_CURSOR)
		return sluice_diag_set(diag, EINVAL,
				       "several producers need a stamped ring: one cursor cannot tell whose slots are published");
	if (options->event_kind > SLUICE_EVENT_MARKET_DATA)
		return sluice_diag_set(diag, EINVAL, "event kind %u is unknown: 0 to %d",
				       options->event_kind, SLUICE_EVENT_MARKET_DATA);
	if (options->hugepages > SLUICE_HUGEPAGES_OFF)
		return sluice_diag_set(diag, EINVAL,
				       "huge page policy %u is unknown: 0 prefer, 1 require, 2 off",
				       options->hugepages);
	if (options->page_bytes && (!is_power_of_two(options->page_bytes) ||
				    options->page_bytes < 64 * 1024))
		return sluice_diag_set(diag, EINVAL,
				       "huge page size %u is not allowed: 2 MiB (2097152) or 1 GiB (1073741824)?",
				       options->page_bytes);
	return 0;
}

static int check_counts(const struct sluice_segment_options *options, struct sluice_diag *diag)
{
	const struct {
		const char *what;
		uint32_t count;
		uint32_t max;
	} limits[] = {
		{"participants", options->participant_count, SLUICE_PARTICIPANTS_MAX},
		{"counters", options->counter_count, SLUICE_COUNTERS_MAX},
		{"histograms", options->histogram_count, SLUICE_HISTOGRAMS_MAX},
		{"directory entries", options->directory_count, SLUICE_DIRECTORY_MAX},
	};

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
		if (limits[i].count > limits[i].max)
			return sluice_diag_set(diag, EINVAL, "%u %s are too many: %u at most",
					       limits[i].count, limits[i].what, limits[i].max);
	if (options->base_sequence > SLUICE_STAMP_SEQ / 2)
		return sluice_diag_set(diag, EINVAL,
				       "base sequence %" PRIu64 " is too high: %llu at most",
				       options->base_sequence, SLUICE_STAMP_SEQ / 2);
	if (options->mode & ~0777u)
		return sluice_diag_set(diag, EINVAL, "mode %#o is not a set of permissions",
				       options->mode);
	return 0;
}

/* ------------------------------------------------------------------------------------ plan */

/* Places a region behind the last one; *at is the end of what is placed. */
static uint64_t place(uint64_t *at, uint64_t count, uint64_t bytes_each)
{
	const uint64_t offset = (*at + REGION_ALIGN - 1) / REGION_ALIGN * REGION_ALIGN;

	*at = offset + count * bytes_each;
	return offset;
}

static void plan_regions(struct sluice_header *header)
{
	uint64_t at = SLUICE_HEADER_AREA_BYTES;

	header->control_offset = place(&at, 1, sizeof(struct sluice_control));
	header->participants_offset = place(&at, header->participant_count,
					    sizeof(struct sluice_participant));
	header->counters_offset = place(&at, header->counter_count, sizeof(struct sluice_counter));
	header->histograms_offset = place(&at, header->histogram_count,
					  sizeof(struct sluice_histogram));
	header->directory_offset = place(&at, header->directory_count,
					 sizeof(struct sluice_directory_entry));
	header->slots_offset = place(&at, header->slot_count, header->slot_stride);
	header->total_bytes = at;
}

int sluice_header_plan(struct sluice_header *ret_header,
		       const struct sluice_segment_options *options, struct sluice_diag *diag)
{
	const bool stamped = options->publication == SLUICE_PUBLICATION_STAMPED;
	struct sluice_header header = {0};
	int err = options->name ? sluice_names_check(options->name, diag) : 0;

	if (!err)
		err = check_slots(options, diag);
	if (!err)
		err = check_modes(options, diag);
	if (!err)
		err = check_stride(options, diag);
	if (!err)
		err = check_counts(options, diag);
	if (err)
		return err;
	header.feature_incompat = stamped ? SLUICE_INCOMPAT_STAMPED : 0;
	header.feature_compat = options->directory_count ? SLUICE_COMPAT_DIRECTORY : 0;
	header.slot_count = options->slot_count;
	header.slot_stride = options->slot_stride;
	header.payload_bytes = options->slot_stride - (stamped ? STAMP_BYTES : 0);
	header.publication = options->publication;
	header.producer_mode = options->producer_mode;
	header.event_kind = options->event_kind;
	header.base_sequence = options->base_sequence;
	header.participant_count = options->participant_count ? options->participant_count :
								SLUICE_PARTICIPANTS_MAX;
	header.counter_count = options->counter_count;
	header.histogram_count = options->histogram_count;
	header.directory_count = options->directory_count;
	header.hugepages = options->hugepages;
	if (options->name)
		memcpy(header.name, options->name, strlen(options->name) + 1); /* checked above */
	plan_regions(&header);
	*ret_header = header;
	return 0;
}

int sluice_header_identify(struct sluice_header *header, struct sluice_diag *diag)
{
	int err = sluice_proc_boot_id(header->boot_id);

	if (!err)
		err = sluice_proc_start_ticks(getpid(), &header->creator_start_ticks);
	if (!err)
		err = sluice_proc_pid_namespace(&header->creator_pidns);
	if (!err && getrandom(header->uuid, sizeof(header->uuid), 0) != sizeof(header->uuid))
		err = -EIO;
	if (err)
		return sluice_diag_set(diag, -err,
				       "cannot learn this process's identity from /proc: %s",
				       strerror(-err));
	header->uuid[6] = (uint8_t)((header->uuid[6] & 0x0f) | 0x40); /* RFC 4122, version 4 */
	header->uuid[8] = (uint8_t)((header->uuid[8] & 0x3f) | 0x80);
	header->magic = SLUICE_MAGIC;
	header->abi_major = SLUICE_ABI_MAJOR;
	header->abi_minor = SLUICE_ABI_MINOR;
	header->layout_hash = sluice_header_layout_hash();
	header->creator_pid = (uint32_t)getpid();
	header->creator_uid = geteuid();
	header->created_realtime_ns = sluice_clock_realtime_ns();
	snprintf(header->creator_version, sizeof(header->creator_version), "%s", SLUICE_VERSION);
	return 0;
}

void sluice_header_seal(struct sluice_header *header)
{
	sluice_assert(header->magic == SLUICE_MAGIC);
	header->header_crc = sluice_crc32c(0, header, offsetof(struct sluice_header, header_crc));
}
