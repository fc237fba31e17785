/* SPDX-License-Identifier: MIT */
/*
 * fault_io.c - see fault_io.h. The wrapped disk does the real work; a torn or short write really
 * puts only its first bytes there.
 */
#include "tests/lib/fault_io.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUEUE_MAX 64u
#define SECTOR_BYTES 512u
#define RELEASE_STEPS 200
#define RELEASE_STEP_NS 100000000u

struct fault_io {
	struct sluice_wal_io io;
	struct sluice_wal_io *inner;
	struct fault_plan plan;
	uint64_t operations;
	uint64_t submits;
	uint64_t fired;
	uint64_t writes_after;
	uint64_t random;
	bool hold;
	bool shuffle;
	uint32_t n_complete;
	struct sluice_wal_io_done complete[QUEUE_MAX];
	uint32_t n_ready;
	struct sluice_wal_io_done ready[QUEUE_MAX];
};

static struct fault_io *fault_of(struct sluice_wal_io *io)
{
	return (struct fault_io *)io;
}

static bool strikes(struct fault_io *fault, bool is_submit)
{
	uint64_t number;

	fault->operations++;
	fault->submits += is_submit;
	if (fault->plan.submits_only && !is_submit)
		return false;
	number = fault->plan.submits_only ? fault->submits : fault->operations;
	if (!fault->plan.at || number < fault->plan.at ||
	    number - fault->plan.at >= (fault->plan.times ? fault->plan.times : 1))
		return false;
	fault->fired++;
	if (fault->plan.fired)
		(*fault->plan.fired)++;
	return true;
}

static int fault_open(struct sluice_wal_io *io, enum sluice_wal_io_mode mode,
		      struct sluice_diag *diag)
{
	struct fault_io *fault = fault_of(io);

	if (strikes(fault, false))
		return sluice_diag_set(diag, fault->plan.error, "injected in open");
	return fault->inner->ops->open(fault->inner, mode, diag);
}

static int fault_lock(struct sluice_wal_io *io, enum sluice_wal_io_part part, uint64_t wait_ns,
		      struct sluice_diag *diag)
{
	struct fault_io *fault = fault_of(io);

	if (strikes(fault, false))
		return sluice_diag_set(diag, fault->plan.error, "injected in lock");
	return fault->inner->ops->lock(fault->inner, part, wait_ns, diag);
}

static int fault_size(struct sluice_wal_io *io, uint32_t file, uint64_t *ret_bytes)
{
	struct fault_io *fault = fault_of(io);

	if (strikes(fault, false))
		return -fault->plan.error;
	return fault->inner->ops->size(fault->inner, file, ret_bytes);
}

static int fault_read(struct sluice_wal_io *io, uint32_t file, uint64_t offset, void *data,
		      size_t bytes)
{
	struct fault_io *fault = fault_of(io);

	if (strikes(fault, false))
		return -fault->plan.error;
	return fault->inner->ops->read(fault->inner, file, offset, data, bytes);
}

static int fault_write(struct sluice_wal_io *io, uint32_t file, uint64_t offset, const void *data,
		       size_t bytes)
{
	struct fault_io *fault = fault_of(io);

	fault->writes_after += fault->fired > 0;
	if (strikes(fault, false))
		return -fault->plan.error;
	return fault->inner->ops->write(fault->inner, file, offset, data, bytes);
}

static int fault_sync(struct sluice_wal_io *io, uint32_t file)
{
	struct fault_io *fault = fault_of(io);

	if (strikes(fault, false))
		return -fault->plan.error;
	return fault->inner->ops->sync(fault->inner, file);
}

static int fault_arm(struct sluice_wal_io *io, void *buffers, uint32_t n, size_t each)
{
	struct fault_io *fault = fault_of(io);

	if (strikes(fault, false))
		return -fault->plan.error;
	return fault->inner->ops->arm(fault->inner, buffers, n, each);
}

/* Direct I/O writes whole logical sectors from an aligned buffer: 512 bytes may not be one. */
static void write_prefix(struct fault_io *fault, const struct sluice_wal_io_write *write,
			 uint32_t bytes)
{
	void *page = aligned_alloc(SLUICE_WAL_ALIGN, SLUICE_WAL_ALIGN);

	for (uint32_t at = 0; page && at < bytes; at += SLUICE_WAL_ALIGN) {
		uint32_t part = bytes - at < SLUICE_WAL_ALIGN ? bytes - at : SLUICE_WAL_ALIGN;

		if (!fault->inner->ops->read(fault->inner, write->file, write->offset + at, page,
					     SLUICE_WAL_ALIGN)) {
			memcpy(page, (const unsigned char *)write->data + at, part);
			fault->inner->ops->write(fault->inner, write->file, write->offset + at,
						 page, SLUICE_WAL_ALIGN);
		}
	}
	free(page);
}

static int fault_submit(struct sluice_wal_io *io, const struct sluice_wal_io_write *write)
{
	struct fault_io *fault = fault_of(io);
	int64_t result = fault->plan.kind == FAULT_SHORT ? fault->plan.error : -fault->plan.error;

	fault->writes_after += fault->fired > 0;
	if (!strikes(fault, true))
		return fault->inner->ops->submit(fault->inner, write);
	if (fault->plan.kind == FAULT_RETURN)
		return -fault->plan.error;
	if (fault->plan.kind != FAULT_RESULT)
		write_prefix(fault, write,
			     fault->plan.kind == FAULT_SHORT ? (uint32_t)fault->plan.error :
							       SECTOR_BYTES);
	fault->complete[fault->n_complete++] = (struct sluice_wal_io_done){write->tag, result};
	return 0;
}

static uint64_t next_random(struct fault_io *fault)
{
	fault->random ^= fault->random << 13;
	fault->random ^= fault->random >> 7;
	fault->random ^= fault->random << 17;
	return fault->random;
}

static struct sluice_wal_io_done take(struct sluice_wal_io_done *queue, uint32_t *n, uint32_t i)
{
	struct sluice_wal_io_done done = queue[i];

	memmove(queue + i, queue + i + 1, (*n - i - 1) * sizeof(*queue));
	(*n)--;
	return done;
}

/* From the inner disk, whatever is held here already. */
static int take_more(struct fault_io *fault, uint64_t timeout_ns)
{
	int n = fault->inner->ops->reap(fault->inner, fault->complete + fault->n_complete,
					QUEUE_MAX - fault->n_complete, timeout_ns);

	if (n > 0)
		fault->n_complete += (uint32_t)n;
	return n;
}

static int collect(struct fault_io *fault, uint64_t timeout_ns)
{
	return take_more(fault, fault->n_complete || fault->n_ready ? 0 : timeout_ns);
}

static int fault_reap(struct sluice_wal_io *io, struct sluice_wal_io_done *ret_done, uint32_t max,
		      uint64_t timeout_ns)
{
	struct fault_io *fault = fault_of(io);
	int n = collect(fault, timeout_ns);
	uint32_t given = 0;

	if (n < 0)
		return n;
	while (given < max && fault->n_ready > 0)
		ret_done[given++] = take(fault->ready, &fault->n_ready, 0);
	while (!fault->hold && given < max && fault->n_complete > 0) {
		uint64_t random = fault->shuffle ? next_random(fault) : 0;

		if (fault->shuffle && random % 3 == 0)
			break;
		ret_done[given++] = take(fault->complete, &fault->n_complete,
					 (uint32_t)(random / 3 % fault->n_complete));
	}
	return (int)given;
}

static uint64_t fault_monotonic_ns(struct sluice_wal_io *io)
{
	return fault_of(io)->inner->ops->monotonic_ns(fault_of(io)->inner);
}

static uint64_t fault_realtime_ns(struct sluice_wal_io *io)
{
	return fault_of(io)->inner->ops->realtime_ns(fault_of(io)->inner);
}

static void fault_close(struct sluice_wal_io *io)
{
	fault_of(io)->inner->ops->close(fault_of(io)->inner);
	free(io);
}

static const struct sluice_wal_io_ops fault_ops = {
	.open = fault_open,
	.lock = fault_lock,
	.size = fault_size,
	.read = fault_read,
	.write = fault_write,
	.sync = fault_sync,
	.arm = fault_arm,
	.submit = fault_submit,
	.reap = fault_reap,
	.monotonic_ns = fault_monotonic_ns,
	.realtime_ns = fault_realtime_ns,
	.close = fault_close,
};

int fault_io_create(struct sluice_wal_io **ret_io, struct sluice_wal_io *inner)
{
	struct fault_io *fault = calloc(1, sizeof(*fault));

	if (!fault)
		return -ENOMEM;
	fault->io.ops = &fault_ops;
	fault->inner = inner;
	snprintf(fault->io.text, sizeof(fault->io.text), "faults over %.200s", inner->text);
	*ret_io = &fault->io;
	return 0;
}

void fault_io_plan(struct sluice_wal_io *io, const struct fault_plan *plan)
{
	struct fault_io *fault = fault_of(io);

	fault->plan = *plan;
	fault->operations = 0;
	fault->submits = 0;
	fault->fired = 0;
	fault->writes_after = 0;
}

uint64_t fault_io_fired(const struct sluice_wal_io *io)
{
	return ((const struct fault_io *)io)->fired;
}

uint64_t fault_io_submits(const struct sluice_wal_io *io)
{
	return ((const struct fault_io *)io)->submits;
}

uint64_t fault_io_writes_after(const struct sluice_wal_io *io)
{
	return ((const struct fault_io *)io)->writes_after;
}

void fault_io_hold(struct sluice_wal_io *io, bool hold)
{
	fault_of(io)->hold = hold;
}

void fault_io_release(struct sluice_wal_io *io, uint64_t tag)
{
	struct fault_io *fault = fault_of(io);

	for (int step = 0; step < RELEASE_STEPS; step++) {
		for (uint32_t i = 0; i < fault->n_complete; i++) {
			if (fault->complete[i].tag != tag)
				continue;
			fault->ready[fault->n_ready++] = take(fault->complete, &fault->n_complete,
							      i);
			return;
		}
		/* the first look takes what is there; a disk of its own speed gets time */
		if (take_more(fault, step ? RELEASE_STEP_NS : 0) < 0)
			break;
	}
	fprintf(stderr, "fault_io: block %llu is not complete\n", (unsigned long long)tag);
	abort();
}

void fault_io_forge(struct sluice_wal_io *io, uint64_t tag, int64_t result)
{
	struct fault_io *fault = fault_of(io);

	fault->ready[fault->n_ready++] = (struct sluice_wal_io_done){tag, result};
}

void fault_io_shuffle(struct sluice_wal_io *io, uint64_t seed)
{
	fault_of(io)->shuffle = true;
	fault_of(io)->random = seed ? seed : 1;
}
