/* SPDX-License-Identifier: MIT */
/*
 * main_symbols.c - names to ids, by the ring's directory alone.
 *
 * The engine writes the directory before it moves its position past the command that defined the
 * name. So once everything sent has been consumed, a name that is not in the directory is nobody's:
 * an id is never guessed, and a name is never waited for in vain.
 */
#include "producer/main.h"

#include <string.h>

#include "cli/report.h"
#include "shm/clock.h"

#define STEP_NS 200000u
#define SAY_AFTER_NS 1000000000u

/* Entries come from another process: every field is bounded before it is believed. */
static bool entry_is(const struct sluice_directory_entry *shared, uint32_t kind, const char *name,
		     struct sluice_resolved *ret_resolved)
{
	struct sluice_directory_entry entry;

	memcpy(&entry, shared, sizeof(entry));
	if (entry.kind != kind || strncmp(entry.name, name, sizeof(entry.name)) != 0)
		return false;
	if (entry.price_decimals > 18 || entry.qty_decimals > 18)
		return false;
	*ret_resolved = (struct sluice_resolved){
		.id = entry.id,
		.price_decimals = entry.price_decimals,
		.qty_decimals = entry.qty_decimals,
	};
	return true;
}

static int look_up(const struct sluice_segment *segment, uint32_t kind, const char *name,
		   struct sluice_resolved *ret_resolved)
{
	/* sync: names:used <- directory:used; the entries below the count */
	uint64_t used = atomic_load_explicit(&segment->control->directory_used,
					     memory_order_acquire);

	if (used > segment->header.directory_count)
		used = segment->header.directory_count;
	for (uint64_t i = 0; i < used; i++)
		if (entry_is(&segment->directory[i], kind, name, ret_resolved))
			return 0;
	return -ENOENT;
}

static int wait_a_bit(struct producer_run *run, const char *name, uint64_t started_ns, bool *said)
{
	const uint64_t waited_ns = sluice_clock_ns() - started_ns;
	const uint64_t timeout_ns = run->options->wait_timeout_ns;
	const struct timespec step = {.tv_nsec = STEP_NS};

	if (timeout_ns && waited_ns >= timeout_ns) {
		memset(run->waited_for, 0, sizeof(run->waited_for));
		memcpy(run->waited_for, name, strnlen(name, sizeof(run->waited_for) - 1));
		return -ETIMEDOUT;
	}
	if (!*said && waited_ns >= SAY_AFTER_NS) {
		*said = true;
		sluice_cli_log(PRODUCER_PROGRAM, "waiting=\"symbol %s: is the sluice-engine of %s "
			       "running, and are its reports read?\"", name, run->options->name);
	}
	nanosleep(&step, NULL);
	return producer_check(run);
}

int producer_resolve(void *arg, enum sluice_directory_kind kind, const char *name,
		     struct sluice_resolved *ret_resolved)
{
	struct producer_run *run = arg;
	const uint64_t started_ns = sluice_clock_ns();
	bool said = false, drained;
	int rc = look_up(&run->segment, kind, name, ret_resolved);

	if (!rc)
		return 0;
	rc = producer_flush(run);
	while (!rc) {
		/* in this order: what was consumed by then is in the directory */
		drained = sluice_producer_drained(&run->out);
		rc = look_up(&run->segment, kind, name, ret_resolved);
		if (!rc || drained)
			return rc;
		rc = wait_a_bit(run, name, started_ns, &said);
	}
	return rc;
}
