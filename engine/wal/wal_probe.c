/* SPDX-License-Identifier: MIT */
/*
 * wal_probe.c - see wal_probe.h. The thread that opens the log, or its journal thread, with the
 * log's locks held. Nobody reads what is written, so a crash leaves nothing to be said.
 */
#include "engine/wal/wal_probe.h"

#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shm/clock.h"

#define PROBE_BYTES (SLUICE_WAL_PROBE_COMMITS * SLUICE_WAL_ALIGN)
#define SPENT_MAX_NS 1000000000u
#define YIELD_NS 40000u /* as the engine does, then sleep in the kernel */
#define SLEEP_NS 200000u
#define NS_PER_US 1000u

const char *sluice_wal_probe_unusable(const struct sluice_wal_files *files)
{
	uint64_t bytes = 0;

	if (files->fd[SLUICE_WAL_FILE_PROBE] < 0)
		return "there is no probe file";
	if (sluice_wal_files_size((struct sluice_wal_io *)(uintptr_t)&files->io,
				  SLUICE_WAL_FILE_PROBE, &bytes) ||
	    bytes < PROBE_BYTES)
		return "the probe file is too small";
	return NULL;
}

static int commit(struct sluice_wal_io *io, const struct sluice_wal_io_write *write,
		  uint64_t *ret_ns)
{
	struct sluice_wal_io_done done = {.result = 0};
	const uint64_t start_ns = sluice_clock_ns();
	int ret = io->ops->submit(io, write);
	int n = 0;

	/* a device that hangs has neither failed nor succeeded: keep waiting */
	while (!ret && n == 0) {
		n = io->ops->reap(io, &done, 1, 0);
		if (n != 0)
			break;
		if (sluice_clock_ns() - start_ns < YIELD_NS)
			sched_yield();
		else
			n = io->ops->reap(io, &done, 1, SLEEP_NS);
	}
	if (ret || n < 0)
		return ret ? ret : n;
	if (done.result != write->bytes)
		return done.result < 0 ? (int)done.result : -EIO;
	*ret_ns = sluice_clock_ns() - start_ns;
	return 0;
}

int sluice_wal_probe_run(struct sluice_wal_io *io, const void *page, uint32_t n,
			 struct sluice_wal_probe *probe)
{
	for (; n > 0 && probe->n < SLUICE_WAL_PROBE_COMMITS; n--) {
		const struct sluice_wal_io_write write = {
			.tag = probe->n,
			.offset = (uint64_t)probe->n * SLUICE_WAL_ALIGN,
			.data = page,
			.bytes = SLUICE_WAL_ALIGN,
			.file = SLUICE_WAL_FILE_PROBE,
			.buffer = 0,
		};
		uint64_t ns = 0;
		int ret;

		if (probe->spent_ns >= SPENT_MAX_NS)
			return 0;
		ret = commit(io, &write, &ns);
		if (ret)
			return ret;
		probe->spent_ns += ns;
		probe->ns[probe->n++] = ns;
	}
	return 0;
}

static int ascending(const void *a, const void *b)
{
	const uint64_t *left = a, *right = b;

	return (*left > *right) - (*left < *right);
}

static uint64_t rank(struct sluice_wal_probe *probe, uint32_t percent)
{
	sluice_assert(probe->n > 0);
	qsort(probe->ns, probe->n, sizeof(probe->ns[0]), ascending);
	return probe->ns[(probe->n - 1) * percent / 100];
}

uint64_t sluice_wal_probe_p50(struct sluice_wal_probe *probe)
{
	return rank(probe, 50);
}

uint64_t sluice_wal_probe_p99(struct sluice_wal_probe *probe)
{
	return rank(probe, 99);
}

static void __attribute__((format(printf, 2, 3)))
add(struct sluice_wal_io *io, const char *format, ...)
{
	size_t used = strlen(io->text);
	va_list args;

	va_start(args, format);
	vsnprintf(io->text + used, sizeof(io->text) - used, format, args);
	va_end(args);
}

uint32_t sluice_wal_probe_choose(struct sluice_wal_io *io, struct sluice_wal_probe *probes,
				 const char *untimed)
{
	static const char *const names[SLUICE_WAL_PROBES] = {"auto", "dsync", "link"};
	uint32_t sync = io->sync == SLUICE_WAL_SYNC_LINK ? SLUICE_WAL_SYNC_LINK :
							   SLUICE_WAL_SYNC_DSYNC;
	const uint32_t d = SLUICE_WAL_SYNC_DSYNC, l = SLUICE_WAL_SYNC_LINK;
	uint64_t p99_ns[SLUICE_WAL_PROBES] = {0};

	if (untimed)
		add(io, ", sync=%s (not timed: %s)", names[sync], untimed);
	for (uint32_t i = 0; i < SLUICE_WAL_PROBES; i++)
		if (probes[i].n)
			p99_ns[i] = sluice_wal_probe_p99(&probes[i]);
	if (untimed || (!probes[d].n && !probes[l].n))
		return sync;
	if (probes[d].n && probes[l].n)
		sync = p99_ns[l] < p99_ns[d] ? l : d;
	add(io, ", sync=%s (p99 %llu us", names[sync],
	    (unsigned long long)p99_ns[sync] / NS_PER_US);
	if (probes[d].n && probes[l].n)
		add(io, "; %s %llu us", names[d + l - sync],
		    (unsigned long long)p99_ns[d + l - sync] / NS_PER_US);
	add(io, ")");
	io->calibrated_p50_ns = sluice_wal_probe_p50(&probes[sync]);
	return sync;
}
