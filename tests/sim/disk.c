/* SPDX-License-Identifier: MIT */
/*
 * disk.c - see disk.h. One table of writes under way; every image is an array in memory that lives
 * from seed to seed and is cleared where it was written.
 */
#include "tests/sim/disk_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/core/image.h"
#include "engine/wal/wal_super.h"
#include "tests/sim/check.h"
#include "tests/sim/roles.h"
#include "tests/sim/trace.h"

#define SEGMENT_BYTES ((uint64_t)SLUICE_WAL_SEGMENT_BYTES_MIN)
#define SUPER_BYTES ((uint64_t)SLUICE_WAL_SUPER_COPIES * SLUICE_WAL_ALIGN)
#define PROBE_BYTES (256u * 1024u)

struct sim_image sim_images[SLUICE_WAL_FILES];
struct sim_transfer sim_transfers[SIM_WRITES_MAX];
static unsigned char transfer_data[SIM_WRITES_MAX][SIM_WRITE_BYTES_MAX];
static uint64_t next_ns = SIM_NEVER; /* nothing is due before */
static struct sim_random dice;
static struct sim_disk_knobs knobs;
static uint64_t last_done_ns;
static uint32_t armed[SIM_FAULTS];
static bool fired[SIM_FAULTS];
static uint32_t bad_file;
static uint64_t bad_offset;
static struct sluice_wal_super newest;

/* --------------------------------------------------------------------------------- images */

static uint64_t bytes_of(uint32_t file, const struct sluice_core_options *limits)
{
	if (file < SLUICE_WAL_SEGMENTS)
		return SEGMENT_BYTES;
	if (file == SLUICE_WAL_FILE_SUPER)
		return SUPER_BYTES;
	if (file == SLUICE_WAL_FILE_PROBE)
		return PROBE_BYTES;
	return sluice_snapshot_bytes(sluice_image_records_max(limits));
}

static void clear_image(struct sim_image *image, uint64_t bytes)
{
	sluice_assert(bytes <= SIM_FILE_BYTES_MAX);
	if (!image->seen) {
		image->seen = aligned_alloc(SLUICE_WAL_ALIGN, SIM_FILE_BYTES_MAX);
		image->media = aligned_alloc(SLUICE_WAL_ALIGN, SIM_FILE_BYTES_MAX);
		sluice_assert(image->seen && image->media);
		memset(image->seen, 0, SIM_FILE_BYTES_MAX);
		memset(image->media, 0, SIM_FILE_BYTES_MAX);
	}
	for (uint64_t page = 0; page < bytes / SLUICE_WAL_ALIGN; page++)
		if (image->written[page]) {
			memset(image->seen + page * SLUICE_WAL_ALIGN, 0, SLUICE_WAL_ALIGN);
			memset(image->media + page * SLUICE_WAL_ALIGN, 0, SLUICE_WAL_ALIGN);
			image->written[page] = false;
		}
	memset(image->dirty, 0, sizeof(image->dirty));
	image->bytes = bytes;
}

static void put(uint32_t file, uint64_t offset, const unsigned char *data, uint32_t bytes)
{
	struct sim_image *image = &sim_images[file];

	memcpy(image->seen + offset, data, bytes);
	for (uint64_t at = offset / SIM_SECTOR; at < (offset + bytes) / SIM_SECTOR; at++)
		image->dirty[at] = true;
	for (uint64_t page = offset / SLUICE_WAL_ALIGN;
	     page < (offset + bytes + SLUICE_WAL_ALIGN - 1) / SLUICE_WAL_ALIGN; page++)
		image->written[page] = true;
}

static void settle(uint32_t file, uint64_t offset, uint64_t bytes)
{
	struct sim_image *image = &sim_images[file];

	for (uint64_t at = offset / SIM_SECTOR; at < (offset + bytes) / SIM_SECTOR; at++)
		if (image->dirty[at]) {
			memcpy(image->media + at * SIM_SECTOR, image->seen + at * SIM_SECTOR,
			       SIM_SECTOR);
			image->dirty[at] = false;
		}
}

static void first_super(const struct sluice_core_options *limits, struct sluice_wal_super *ret)
{
	*ret = (struct sluice_wal_super){
		.magic = SLUICE_WAL_SUPER_MAGIC,
		.version = SLUICE_WAL_VERSION,
		.semantics = SLUICE_CORE_SEMANTICS,
		.segments = SLUICE_WAL_SEGMENTS,
		.segment_bytes = SEGMENT_BYTES,
		.snapshot_file_bytes = bytes_of(SLUICE_WAL_FILE_SNAPSHOT, limits),
		.start = {.report = 1, .md = 1, .reports_taken = 1},
		.limits = {limits->symbols_max, limits->orders_max, limits->levels_max,
			   limits->sessions_max, limits->window_ticks, limits->risk},
	};
	for (uint32_t i = 0; i < sizeof(ret->log_uuid); i++)
		ret->log_uuid[i] = (uint8_t)sim_next(&dice);
}

void sim_disk_format(uint64_t seed, const struct sim_disk_knobs *chosen,
		     const struct sluice_core_options *limits)
{
	_Alignas(SLUICE_WAL_ALIGN) static unsigned char page[SLUICE_WAL_ALIGN];
	struct sluice_wal_super super, parent;

	dice.state = seed;
	knobs = *chosen;
	last_done_ns = 0;
	next_ns = SIM_NEVER;
	bad_file = SLUICE_WAL_FILES;
	sim_locks_reset();
	memset(armed, 0, sizeof(armed));
	memset(fired, 0, sizeof(fired));
	for (uint32_t i = 0; i < SIM_WRITES_MAX; i++)
		sim_transfers[i].stage = SIM_STAGE_FREE;
	for (uint32_t file = 0; file < SLUICE_WAL_FILES; file++)
		clear_image(&sim_images[file], bytes_of(file, limits));
	first_super(limits, &super);
	for (uint32_t i = 0; i < SLUICE_WAL_SUPER_COPIES; i++) {
		sluice_wal_super_seal(&super, i > 0 ? &parent : NULL);
		sluice_wal_super_page(&super, page);
		put(SLUICE_WAL_FILE_SUPER, i * SLUICE_WAL_ALIGN, page, sizeof(page));
		parent = super;
	}
	settle(SLUICE_WAL_FILE_SUPER, 0, SUPER_BYTES);
	newest = super;
}

/* ------------------------------------------------------------------------------ transfers */

static bool is_segment(uint32_t file)
{
	return file < SLUICE_WAL_SEGMENTS;
}

static bool is_snapshot(uint32_t file)
{
	return file >= SLUICE_WAL_FILE_SNAPSHOT && file < SLUICE_WAL_FILE_PROBE;
}

static bool strikes(enum sim_fault fault)
{
	if (!armed[fault])
		return false;
	armed[fault]--;
	fired[fault] = true;
	sim_trace_text("the disk", sim_fault_rule(fault)->name);
	return true;
}

static enum sim_fault fault_of(uint32_t file, bool is_block)
{
	if (is_snapshot(file))
		return SIM_FAULT_NONE;
	if (is_block && strikes(SIM_WRITE_SHORT))
		return SIM_WRITE_SHORT;
	if (is_block && strikes(SIM_WRITE_AGAIN))
		return SIM_WRITE_AGAIN;
	if (strikes(SIM_WRITE_EIO))
		return SIM_WRITE_EIO;
	if (strikes(SIM_WRITE_ENOSPC))
		return SIM_WRITE_ENOSPC;
	if (is_segment(file) && strikes(SIM_WRITE_LOST))
		return SIM_WRITE_LOST;
	if (is_segment(file) && strikes(SIM_WRITE_ASTRAY))
		return SIM_WRITE_ASTRAY;
	return SIM_FAULT_NONE;
}

/* What the fault makes of the transfer. */
static void spoil(struct sim_transfer *t)
{
	static const int interruptions[] = {-EINTR, -EAGAIN, -ECANCELED};

	switch (t->fault) {
	case SIM_WRITE_SHORT:
		t->landing = (uint32_t)sim_between(&dice, 1, t->bytes / SIM_SECTOR - 1) *
			     SIM_SECTOR;
		t->result = t->landing;
		break;
	case SIM_WRITE_AGAIN:
		t->landing = (uint32_t)sim_below(&dice, t->bytes / SIM_SECTOR) * SIM_SECTOR;
		t->result = interruptions[sim_below(&dice, 3)];
		t->lasts = false;
		break;
	case SIM_WRITE_EIO:
		t->landing = (uint32_t)sim_below(&dice, t->bytes / SIM_SECTOR + 1) * SIM_SECTOR;
		t->result = -EIO;
		t->lasts = false;
		break;
	case SIM_WRITE_ENOSPC:
		t->landing = 0;
		t->result = -ENOSPC;
		break;
	case SIM_WRITE_LOST:
		t->landing = 0;
		break;
	case SIM_WRITE_ASTRAY:
		t->to_file = (uint32_t)sim_below(&dice, SLUICE_WAL_SEGMENTS);
		t->to_offset = sim_below(&dice, (SEGMENT_BYTES - t->bytes) / SLUICE_WAL_ALIGN + 1) *
			       SLUICE_WAL_ALIGN;
		break;
	default:
		break;
	}
}

static void tell_submitted(const struct sim_transfer *t)
{
	sim_points_off();
	if (t->file == SLUICE_WAL_FILE_SUPER)
		sim_tempt(120);
	if (is_segment(t->file))
		sim_check_submit(t->file, t->offset, t->data);
	sim_points_on();
}

static struct sim_transfer *begin(const struct sim_io *io, uint32_t file, uint64_t offset,
				  const void *data, uint32_t bytes)
{
	struct sim_transfer *t = sim_transfers;
	uint64_t latency_ns = knobs.latency_ns / 2 + sim_below(&dice, knobs.latency_ns);

	while (t < sim_transfers + SIM_WRITES_MAX && t->stage != SIM_STAGE_FREE)
		t++;
	sluice_assert(t < sim_transfers + SIM_WRITES_MAX && bytes <= SIM_WRITE_BYTES_MAX);
	sluice_assert(offset + bytes <= sim_images[file].bytes);
	if (sim_chance(&dice, knobs.spike_per_mille))
		latency_ns *= 100;
	t->stage = SIM_STAGE_UNDER_WAY;
	t->fault = SIM_FAULT_NONE;
	t->is_block = false;
	t->lasts = !is_snapshot(file);
	t->pid = io->pid;
	t->file = t->to_file = file;
	t->offset = t->to_offset = offset;
	t->bytes = t->landing = bytes;
	t->tag = 0;
	t->result = bytes;
	t->source = data;
	t->data = transfer_data[t - sim_transfers];
	t->done_ns = sim_now() + latency_ns;
	if (knobs.in_order && t->done_ns <= last_done_ns)
		t->done_ns = last_done_ns + 1;
	last_done_ns = t->done_ns > last_done_ns ? t->done_ns : last_done_ns;
	t->arrive_ns = t->done_ns - latency_ns / 2;
	t->stable_ns = t->done_ns - latency_ns / 8;
	memcpy(t->data, data, bytes);
	next_ns = t->arrive_ns < next_ns ? t->arrive_ns : next_ns;
	return t;
}

static void arrive(struct sim_transfer *t)
{
	put(t->to_file, t->to_offset, t->data, t->landing);
	t->stage = SIM_STAGE_ARRIVED;
}

static void stabilise(struct sim_transfer *t)
{
	t->stage = SIM_STAGE_STABLE;
	if (!t->lasts)
		return;
	settle(t->to_file, t->to_offset, t->landing);
	/* one that is lost or goes astray says that it is there */
	if (t->fault != SIM_FAULT_NONE && t->fault != SIM_WRITE_LOST &&
	    t->fault != SIM_WRITE_ASTRAY)
		return;
	if (is_segment(t->file))
		sim_check_landed(t->data);
	else if (t->file == SLUICE_WAL_FILE_SUPER)
		sim_check_super((const void *)t->data, t->pid != 0);
}

static void finish(struct sim_transfer *t)
{
	t->stage = t->pid ? SIM_STAGE_DONE : SIM_STAGE_FREE;
	if (t->pid && t->is_block && memcmp(t->data, t->source, t->bytes))
		sim_fail("I4", "block %llu's buffer was written to while the disk had it",
			 (unsigned long long)t->tag);
	sim_wake(t);
	sim_wake(&sim_transfers);
}

static uint64_t due_ns(const struct sim_transfer *t)
{
	switch (t->stage) {
	case SIM_STAGE_UNDER_WAY:
		return t->arrive_ns;
	case SIM_STAGE_ARRIVED:
		return t->stable_ns;
	case SIM_STAGE_STABLE:
		return t->done_ns;
	default:
		return SIM_NEVER;
	}
}

uint64_t sim_disk_advance(void)
{
	if (next_ns > sim_now())
		return next_ns;
	sim_points_off();
	do {
		struct sim_transfer *first = NULL;

		for (uint32_t i = 0; i < SIM_WRITES_MAX; i++)
			if (due_ns(&sim_transfers[i]) != SIM_NEVER &&
			    (!first || due_ns(&sim_transfers[i]) < due_ns(first)))
				first = &sim_transfers[i];
		next_ns = first ? due_ns(first) : SIM_NEVER;
		if (next_ns > sim_now() || !first)
			break;
		if (first->stage == SIM_STAGE_UNDER_WAY)
			arrive(first);
		else if (first->stage == SIM_STAGE_ARRIVED)
			stabilise(first);
		else
			finish(first);
	} while (next_ns <= sim_now());
	sim_points_on();
	return next_ns;
}

void sim_disk_orphan(uint32_t pid)
{
	for (uint32_t i = 0; i < SIM_WRITES_MAX; i++) {
		struct sim_transfer *t = &sim_transfers[i];

		if (t->stage == SIM_STAGE_FREE || t->pid != pid)
			continue;
		t->pid = 0;
		if (t->stage == SIM_STAGE_DONE)
			t->stage = SIM_STAGE_FREE;
		else if (t->stage == SIM_STAGE_UNDER_WAY && sim_chance(&dice, 200))
			t->stage = SIM_STAGE_FREE; /* cancelled in time */
		else if (sim_chance(&dice, 400))
			t->lasts = false; /* the flush is what was cancelled */
		else if (sim_chance(&dice, 300)) { /* slow */
			const uint64_t more_ns = sim_below(&dice, 20000000);

			t->arrive_ns += more_ns;
			t->stable_ns += more_ns;
			t->done_ns += more_ns;
		}
	}
}

void sim_disk_process_died(enum sim_role role)
{
	struct sim_process_view view;

	sim_view(role, &view);
	sim_disk_orphan(view.pid);
}

/* One write at the moment of a power cut: whole, not at all, or in parts. */
static void cut_short(struct sim_transfer *t)
{
	struct sim_image *image = &sim_images[t->to_file];
	const uint64_t first = t->to_offset / SIM_SECTOR;
	const uint64_t end = (t->to_offset + t->landing) / SIM_SECTOR;
	const uint64_t outcome = sim_below(&dice, 3);

	if (t->stage == SIM_STAGE_UNDER_WAY)
		put(t->to_file, t->to_offset, t->data, t->landing);
	if (outcome == 0)
		settle(t->to_file, t->to_offset, t->landing);
	for (uint64_t at = first; outcome == 1 && at < end; at++) {
		memcpy(image->seen + at * SIM_SECTOR, image->media + at * SIM_SECTOR, SIM_SECTOR);
		image->dirty[at] = false;
	}
}

void sim_disk_power_cut(void)
{
	for (uint32_t i = 0; i < SIM_WRITES_MAX; i++) {
		struct sim_transfer *t = &sim_transfers[i];

		if (t->stage == SIM_STAGE_UNDER_WAY || t->stage == SIM_STAGE_ARRIVED)
			cut_short(t);
		t->stage = SIM_STAGE_FREE;
	}
	for (uint32_t file = 0; file < SLUICE_WAL_FILES; file++)
		for (uint64_t at = 0; at < sim_images[file].bytes / SIM_SECTOR; at++) {
			unsigned char *seen = sim_images[file].seen + at * SIM_SECTOR;
			unsigned char *stable = sim_images[file].media + at * SIM_SECTOR;

			if (!sim_images[file].dirty[at])
				continue;
			sim_images[file].dirty[at] = false;
			if (sim_chance(&dice, knobs.keep_per_mille))
				memcpy(stable, seen, SIM_SECTOR);
			else
				memcpy(seen, stable, SIM_SECTOR);
		}
	sim_locks_reset();
	last_done_ns = 0;
}

void sim_disk_arm(enum sim_fault fault, uint32_t n)
{
	armed[fault] = n;
}

bool sim_disk_fired(enum sim_fault fault)
{
	return fired[fault];
}

bool sim_disk_is_written(uint32_t file)
{
	for (uint32_t i = 0; i < SIM_WRITES_MAX; i++)
		if (sim_transfers[i].stage != SIM_STAGE_FREE && sim_transfers[i].to_file == file)
			return true;
	return false;
}

bool sim_disk_rot(uint32_t file, uint64_t offset)
{
	struct sim_image *image = &sim_images[file];
	const uint64_t at = offset + sim_below(&dice, SLUICE_WAL_ALIGN);
	const unsigned char bit = (unsigned char)(1u << sim_below(&dice, 8));

	if (offset >= image->bytes || !image->written[offset / SLUICE_WAL_ALIGN])
		return false;
	image->media[at] ^= bit;
	image->seen[at] ^= bit;
	sim_trace("bit rot in file %llu at %llu", file, at, 0, 0);
	return true;
}

void sim_disk_unreadable(uint32_t file, uint64_t offset)
{
	bad_file = file;
	bad_offset = offset;
	sim_trace("file %llu cannot be read at %llu", file, offset, 0, 0);
}

/* ------------------------------------------------------------------------ for disk_io.c */

struct sim_transfer *sim_disk_begin(struct sim_io *io, uint32_t file, uint64_t offset,
				    const void *data, uint32_t bytes, bool is_block)
{
	struct sim_transfer *t = begin(io, file, offset, data, bytes);

	t->is_block = is_block;
	t->fault = fault_of(file, is_block);
	spoil(t);
	tell_submitted(t);
	return t;
}

int sim_disk_readable(uint32_t file, uint64_t offset, uint64_t bytes)
{
	if (strikes(SIM_READ_EIO))
		return -EIO;
	return file == bad_file && offset <= bad_offset && bad_offset < offset + bytes ? -EIO : 0;
}

void sim_disk_flush(uint32_t file)
{
	settle(file, 0, sim_images[file].bytes);
}
