/* SPDX-License-Identifier: MIT */
/*
 * segment.c - see segment.h. Memory is kept from seed to seed and cleared where it was used: of a
 * histogram's buckets only those between its least and its greatest value.
 */
#include "tests/sim/segment.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "shm/header.h"
#include "shm/histogram.h"
#include "shm/participant.h"
#include "shm/segment_internal.h"
#include "tests/sim/trace.h"

#define OBJECTS 12u
#define MEMORY_BYTES (2u << 20)
#define BYTES_OF_LOCKS (SLUICE_LOCK_ATTACHED + 1u)

struct object {
	unsigned char *memory;
	struct sluice_segment segment; /* as its creator had it */
	bool used, named;
	uint32_t attached;		    /* bit i: role i maps it */
	uint8_t held[BYTES_OF_LOCKS];	    /* role + 1 */
};

static struct object objects[OBJECTS];
static uint64_t changes;

static struct object *find(const char *name)
{
	for (uint32_t i = 0; i < OBJECTS; i++)
		if (objects[i].named && !strcmp(objects[i].segment.header.name, name))
			return &objects[i];
	return NULL;
}

static struct object *object_of(const struct sluice_segment *segment)
{
	for (uint32_t i = 0; i < OBJECTS; i++)
		if (objects[i].used && objects[i].memory == segment->base)
			return &objects[i];
	sim_fail("segment", "a handle of a segment that does not exist");
}

static void clear_histogram(struct sluice_histogram *histogram)
{
	/* relaxed, all: one thread */
	const uint64_t low = atomic_load_explicit(&histogram->min, memory_order_relaxed);
	const uint64_t high = atomic_load_explicit(&histogram->max, memory_order_relaxed);
	const uint64_t top = (1ull << SLUICE_HISTOGRAM_RANGE_BITS) - 1;

	if (atomic_load_explicit(&histogram->count, memory_order_relaxed) && low <= top) {
		const uint32_t first = sluice_histogram_index(low);
		const uint32_t last = sluice_histogram_index(high < top ? high : top);

		memset(&histogram->bucket[first], 0, (last - first + 1) * sizeof(uint64_t));
	}
	memset(histogram, 0, offsetof(struct sluice_histogram, bucket));
}

static void clear(struct object *object)
{
	const struct sluice_header *header = &object->segment.header;
	unsigned char *memory = object->memory;

	for (uint32_t i = 0; i < header->histogram_count; i++)
		clear_histogram(&object->segment.histograms[i]);
	memset(memory, 0, header->histograms_offset);
	memset(memory + header->directory_offset, 0,
	       header->total_bytes - header->directory_offset);
	memset(object->held, 0, sizeof(object->held));
	object->used = object->named = false;
	changes++;
	object->attached = 0;
}

static void forget_unused(struct object *object)
{
	if (object->used && !object->named && !object->attached)
		clear(object);
}

void sim_segments_clear(void)
{
	for (uint32_t i = 0; i < OBJECTS; i++) {
		if (objects[i].used)
			clear(&objects[i]);
		if (!objects[i].memory) {
			/* here, where nobody's own memory is allocated from */
			objects[i].memory = mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE,
						 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			sluice_assert(objects[i].memory != MAP_FAILED);
		}
	}
}

void sim_segments_drop(enum sim_role role)
{
	for (uint32_t i = 0; i < OBJECTS; i++) {
		struct object *object = &objects[i];

		if (!object->used)
			continue;
		for (uint32_t byte = 0; byte < BYTES_OF_LOCKS; byte++)
			if (object->held[byte] == (uint8_t)(role + 1))
				object->held[byte] = 0;
		object->attached &= ~(1u << role);
		forget_unused(object);
	}
}

const struct sluice_segment *sim_segment_find(const char *name)
{
	const struct object *object = find(name);

	return object ? &object->segment : NULL;
}

uint64_t sim_segment_changes(void)
{
	return changes;
}

/* ------------------------------------------------------------------------------ shm/segment.h */

static struct object *take_object(void)
{
	struct object *object = objects;

	while (object < objects + OBJECTS && object->used)
		object++;
	if (object == objects + OBJECTS)
		sim_fail("segment", "more than %u segments", OBJECTS);
	return object;
}

void sluice_segment_point(struct sluice_segment *segment)
{
	const struct sluice_header *header = &segment->header;
	uint8_t *base = segment->base;

	segment->control = (void *)(base + header->control_offset);
	segment->participants = (void *)(base + header->participants_offset);
	segment->counters = (void *)(base + header->counters_offset);
	segment->histograms = (void *)(base + header->histograms_offset);
	segment->directory = (void *)(base + header->directory_offset);
	segment->slots = base + header->slots_offset;
}

static void make(struct sluice_segment *segment, const struct sluice_segment_options *options)
{
	struct sluice_header *header = &segment->header;

	/* in reality it has no name before it is whole, and nobody sees the steps */
	sim_points_off();
	sluice_header_identify(header, NULL);
	header->page_bytes = 4096;
	header->backing = SLUICE_BACKING_SHM_SMALL;
	sluice_header_seal(header);
	segment->total_bytes = header->total_bytes;
	segment->writable = 1;
	sluice_segment_point(segment);
	memcpy(segment->base, header, sizeof(*header));
	/* relaxed, all: one thread */
	atomic_store_explicit(&segment->control->claim, header->base_sequence,
			      memory_order_relaxed);
	atomic_store_explicit(&segment->control->cursor, header->base_sequence,
			      memory_order_relaxed);
	atomic_store_explicit(&segment->control->state, SLUICE_STATE_READY, memory_order_relaxed);
	for (uint32_t i = 0; options->reserve && options->reserve[i]; i++)
		if (sluice_participant_reserve(segment, options->reserve[i],
					       header->base_sequence, NULL))
			sim_fail("segment", "the reserved consumer cannot be entered");
	sim_points_on();
}

int sluice_segment_create(struct sluice_segment *ret_segment,
			  const struct sluice_segment_options *options, struct sluice_diag *diag)
{
	struct sluice_segment segment = {.fd = -1, .lock_fd = 1, .probe_fd = 1};
	struct object *object;
	int err = sluice_header_plan(&segment.header, options, diag);

	if (err)
		return err;
	if (find(options->name))
		return sluice_diag_set(diag, EEXIST, "segment \"%s\" exists already",
				       options->name);
	if (segment.header.total_bytes > MEMORY_BYTES)
		sim_fail("segment", "a segment of %llu bytes",
			 (unsigned long long)segment.header.total_bytes);
	object = take_object();
	segment.base = object->memory;
	memcpy(segment.path, "simulated", sizeof("simulated"));
	object->segment = segment;
	object->used = true;
	make(&segment, options);
	object->segment = segment;
	object->named = true;
	changes++;
	object->attached = 1u << sim_self();
	*ret_segment = segment;
	sim_trace("a ring is made, from %llu", options->base_sequence, 0, 0, 0);
	return 0;
}

int sluice_segment_attach(struct sluice_segment *ret_segment, const char *name,
			  enum sluice_access access, struct sluice_diag *diag)
{
	struct object *object = find(name);

	if (!object)
		return sluice_diag_set(diag, ENOENT, "there is no segment named \"%s\"", name);
	*ret_segment = object->segment;
	ret_segment->writable = access == SLUICE_ACCESS_WRITE;
	object->attached |= 1u << sim_self();
	return 0;
}

void sluice_segment_close(struct sluice_segment *segment)
{
	segment->base = NULL;
}

int __wrap_sluice_segment_unlink(const char *name, struct sluice_diag *diag);
int __wrap_sluice_segment_unlink(const char *name, struct sluice_diag *diag)
{
	struct object *object = find(name);

	if (!object)
		return sluice_diag_set(diag, ENOENT, "there is no segment named \"%s\"", name);
	object->named = false;
	changes++;
	forget_unused(object);
	return 0;
}

bool sluice_segment_is_named(const struct sluice_segment *segment)
{
	return object_of(segment)->named;
}

const char *sluice_segment_note(const struct sluice_segment *segment)
{
	(void)segment;
	return "";
}

const char *sluice_backing_name(uint32_t backing)
{
	(void)backing;
	return "simulated";
}

/* Buckets of a new segment are zero: writing them would be most of a seed's time. */
void __wrap_sluice_histogram_init(struct sluice_histogram *histogram, const char *label,
				  uint32_t owner);
void __wrap_sluice_histogram_init(struct sluice_histogram *histogram, const char *label,
				  uint32_t owner)
{
	snprintf(histogram->label, sizeof(histogram->label), "%s", label);
	histogram->owner = owner;
	/* relaxed, both: one thread */
	atomic_store_explicit(&histogram->min, UINT64_MAX, memory_order_relaxed);
	atomic_store_explicit(&histogram->used, 1, memory_order_relaxed);
}

/* ---------------------------------------------------------------------------------- liveness */

int sluice_liveness_hold(const struct sluice_segment *segment, uint32_t index)
{
	struct object *object = object_of(segment);

	if (index >= SLUICE_LOCK_ATTACHED)
		return -EINVAL;
	if (object->held[index])
		return -EAGAIN;
	object->held[index] = (uint8_t)(sim_self() + 1);
	return 0;
}

int sluice_liveness_release(const struct sluice_segment *segment, uint32_t index)
{
	struct object *object = object_of(segment);

	if (index >= SLUICE_LOCK_ATTACHED)
		return -EINVAL;
	if (object->held[index] == (uint8_t)(sim_self() + 1))
		object->held[index] = 0;
	return 0;
}

int sluice_liveness_probe(const struct sluice_segment *segment, uint32_t index)
{
	return index > SLUICE_LOCK_ATTACHED ? -EINVAL : object_of(segment)->held[index] != 0;
}
