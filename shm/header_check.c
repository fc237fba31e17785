/* SPDX-License-Identifier: MIT */
/*
 * header_check.c - what a process demands of a header before it believes a byte of the segment.
 *
 * The header is somebody else's data: nothing here asserts. Identity first (so that another
 * version's header is called that and not damage), then the CRC, then what the versions agree on,
 * then geometry: after success every region lies inside the file, in order and aligned.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "shm/crc32c.h"
#include "shm/header.h"
#include "shm/names.h"
#include "shm/proc.h"

static uint32_t crc_of(const struct sluice_header *header)
{
	return sluice_crc32c(0, header, offsetof(struct sluice_header, header_crc));
}

static int check_identity(const struct sluice_header *header, struct sluice_diag *diag)
{
	if (header->magic == __builtin_bswap64(SLUICE_MAGIC))
		return sluice_diag_set(diag, EPROTO,
				       "the segment was made with the other byte order");
	if (header->magic != SLUICE_MAGIC)
		return sluice_diag_set(diag, EBADMSG,
				       "this is not a Sluice segment: magic %#" PRIx64
				       " found, %#llx expected",
				       header->magic, SLUICE_MAGIC);
	if (header->abi_major != SLUICE_ABI_MAJOR)
		return sluice_diag_set(diag, EPROTO,
				       "the segment has ABI version %u.%u, this program speaks %u: use the release that made it",
				       header->abi_major, header->abi_minor, SLUICE_ABI_MAJOR);
	if (header->header_crc != crc_of(header))
		return sluice_diag_set(diag, EBADMSG,
				       "the segment's header is damaged: CRC %#010x found at offset %zu, %#010x computed",
				       header->header_crc,
				       offsetof(struct sluice_header, header_crc), crc_of(header));
	return 0;
}

static int check_features(const struct sluice_header *header, uint32_t access,
			  struct sluice_diag *diag)
{
	const uint32_t incompat = header->feature_incompat & ~SLUICE_INCOMPAT_KNOWN;
	const uint32_t ro_compat = header->feature_ro_compat & ~SLUICE_RO_COMPAT_KNOWN;

	if (incompat)
		return sluice_diag_set(diag, EPROTO,
				       "the segment needs features %#x that this program does not know (made by version %.31s)",
				       incompat, header->creator_version);
	if (ro_compat && access != SLUICE_ACCESS_READ)
		return sluice_diag_set(diag, EPROTO,
				       "the segment may only be read by this program: features %#x are unknown to it (made by version %.31s)",
				       ro_compat, header->creator_version);
	if (header->layout_hash != sluice_header_layout_hash())
		return sluice_diag_set(diag, EPROTO,
				       "the segment's layout is another build's: hash %#010x found, %#010x expected (made by version %.31s)",
				       header->layout_hash, sluice_header_layout_hash(),
				       header->creator_version);
	return 0;
}

static int check_origin(const struct sluice_header *header, const char *name,
			struct sluice_diag *diag)
{
	uint8_t boot_id[16];
	int err;

	if (!memchr(header->name, 0, sizeof(header->name)) ||
	    !memchr(header->creator_version, 0, sizeof(header->creator_version)) ||
	    sluice_names_check(header->name, NULL))
		return sluice_diag_set(diag, EBADMSG, "the segment's header holds no proper name");
	if (name && strcmp(header->name, name))
		return sluice_diag_set(diag, EBADMSG,
				       "the file of segment \"%s\" holds segment \"%s\": it was copied or renamed",
				       name, header->name);
	err = sluice_proc_boot_id(boot_id);
	if (err)
		return sluice_diag_set(diag, -err, "cannot read the boot id: %s", strerror(-err));
	if (memcmp(boot_id, header->boot_id, sizeof(boot_id))) {
		sluice_diag_set(diag, ESTALE,
				"segment \"%s\" was left by an earlier boot: none of its processes lives",
				header->name);
		sluice_diag_hint(diag, "sluice gc --yes");
		return -ESTALE;
	}
	return 0;
}

static int bad_field(const char *field, uint64_t found, struct sluice_diag *diag)
{
	return sluice_diag_set(diag, EBADMSG,
			       "the segment's header is impossible: %s is %" PRIu64, field, found);
}

static bool is_power_of_two(uint64_t value)
{
	return value && !(value & (value - 1));
}

static int check_ring(const struct sluice_header *header, struct sluice_diag *diag)
{
	const bool stamped = header->publication == SLUICE_PUBLICATION_STAMPED;
	const uint32_t stride = header->slot_stride;

	if (!stamped && header->publication != SLUICE_PUBLICATION_CURSOR)
		return bad_field("publication", header->publication, diag);
	if (stamped != !!(header->feature_incompat & SLUICE_INCOMPAT_STAMPED))
		return bad_field("feature_incompat", header->feature_incompat, diag);
	if (header->slot_count < SLUICE_SLOTS_MIN || header->slot_count > SLUICE_SLOTS_MAX ||
	    !is_power_of_two(header->slot_count))
		return bad_field("slot_count", header->slot_count, diag);
	if (stride < 8 || stride > SLUICE_STRIDE_MAX || stride % 8 ||
	    (stamped && stride < 16))
		return bad_field("slot_stride", stride, diag);
	if (header->payload_bytes != stride - (stamped ? 8 : 0))
		return bad_field("payload_bytes", header->payload_bytes, diag);
	if (header->producer_mode != SLUICE_PRODUCER_SINGLE &&
	    (header->producer_mode != SLUICE_PRODUCER_MULTI || !stamped))
		return bad_field("producer_mode", header->producer_mode, diag);
	if (header->event_kind > SLUICE_EVENT_MARKET_DATA)
		return bad_field("event_kind", header->event_kind, diag);
	if (header->base_sequence > SLUICE_STAMP_SEQ / 2)
		return bad_field("base_sequence", header->base_sequence, diag);
	return 0;
}

static int check_tables(const struct sluice_header *header, struct sluice_diag *diag)
{
	if (!header->participant_count || header->participant_count > SLUICE_PARTICIPANTS_MAX)
		return bad_field("participant_count", header->participant_count, diag);
	if (header->counter_count > SLUICE_COUNTERS_MAX)
		return bad_field("counter_count", header->counter_count, diag);
	if (header->histogram_count > SLUICE_HISTOGRAMS_MAX)
		return bad_field("histogram_count", header->histogram_count, diag);
	if (header->directory_count > SLUICE_DIRECTORY_MAX)
		return bad_field("directory_count", header->directory_count, diag);
	if (header->backing < SLUICE_BACKING_HUGETLBFS ||
	    header->backing > SLUICE_BACKING_SHM_SMALL)
		return bad_field("backing", header->backing, diag);
	if (header->page_bytes < 4096 || !is_power_of_two(header->page_bytes))
		return bad_field("page_bytes", header->page_bytes, diag);
	if (header->hugepages > SLUICE_HUGEPAGES_OFF)
		return bad_field("hugepages", header->hugepages, diag);
	if (header->huge_bytes > header->total_bytes)
		return bad_field("huge_bytes", header->huge_bytes, diag);
	return 0;
}

/* Counts are bounded by now, so no product overflows: 2^30 slots of 4096 bytes are 2^42. */
static int check_regions(const struct sluice_header *header, struct sluice_diag *diag)
{
	const struct {
		const char *field;
		uint64_t offset;
		uint64_t bytes;
	} regions[] = {
		{"control_offset", header->control_offset, sizeof(struct sluice_control)},
		{"participants_offset", header->participants_offset,
		 header->participant_count * sizeof(struct sluice_participant)},
		{"counters_offset", header->counters_offset,
		 header->counter_count * sizeof(struct sluice_counter)},
		{"histograms_offset", header->histograms_offset,
		 header->histogram_count * sizeof(struct sluice_histogram)},
		{"directory_offset", header->directory_offset,
		 header->directory_count * sizeof(struct sluice_directory_entry)},
		{"slots_offset", header->slots_offset, header->slot_count * header->slot_stride},
	};
	uint64_t end = SLUICE_HEADER_AREA_BYTES;

	for (size_t i = 0; i < sizeof(regions) / sizeof(regions[0]); i++) {
		const uint64_t offset = regions[i].offset;

		if (offset < end || offset % SLUICE_LINE_BYTES || offset > header->total_bytes ||
		    regions[i].bytes > header->total_bytes - offset)
			return bad_field(regions[i].field, offset, diag);
		end = offset + regions[i].bytes;
	}
	return 0;
}

static int check_size(const struct sluice_header *header, uint64_t file_bytes,
		      struct sluice_diag *diag)
{
	if (file_bytes < header->total_bytes)
		return sluice_diag_set(diag, EBADMSG,
				       "the segment is truncated: the file has %" PRIu64
				       " bytes, its header says %" PRIu64,
				       file_bytes, header->total_bytes);
	if (file_bytes > header->total_bytes)
		return sluice_diag_set(diag, EBADMSG,
				       "the segment was lengthened: the file has %" PRIu64
				       " bytes, its header says %" PRIu64,
				       file_bytes, header->total_bytes);
	return 0;
}

int sluice_header_check(const struct sluice_header *header,
			const struct sluice_header_expectation *expected, struct sluice_diag *diag)
{
	int err = check_identity(header, diag);

	if (!err)
		err = check_features(header, expected->access, diag);
	if (!err)
		err = check_origin(header, expected->name, diag);
	if (!err)
		err = check_ring(header, diag);
	if (!err)
		err = check_tables(header, diag);
	if (!err)
		err = check_regions(header, diag);
	if (!err)
		err = check_size(header, expected->file_bytes, diag);
	return err;
}

bool sluice_header_is_of_earlier_boot(const struct sluice_header *header)
{
	uint8_t boot_id[16];

	return header->magic == SLUICE_MAGIC && header->abi_major == SLUICE_ABI_MAJOR &&
	       header->header_crc == crc_of(header) && !sluice_proc_boot_id(boot_id) &&
	       memcmp(boot_id, header->boot_id, sizeof(boot_id));
}
