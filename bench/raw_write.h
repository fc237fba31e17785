/* SPDX-License-Identifier: MIT */
/*
 * raw_write.h - the floor under a durable command: one 4 KiB write at a time through io_uring,
 * O_DIRECT and RWF_DSYNC, over a file that was written with zeros before, at the rate of the
 * commands. Also as fio does it, which sleeps until the write is done, where fio is installed.
 */
#ifndef SLUICE_BENCH_RAW_WRITE_H
#define SLUICE_BENCH_RAW_WRITE_H

#include "bench/pair.h"
#include "bench/samples.h"

#define BENCH_RAW_BYTES 4096u
#define BENCH_RAW_FILE_BYTES (64u * 1024u * 1024u)
#define BENCH_RAW_WARM_UP 100u

struct bench_raw {
	struct bench_samples samples; /* ns from the intended time to the return */
	struct bench_samples service; /* from the call */
	char path[4096];
	uint64_t run_ns;
	uint64_t rate;
};

/* Creates the file, full of zeros and on the disk. */
int bench_raw_prepare(const char *path, struct sluice_diag *diag);

/* A side for bench_pair_run; arg is a struct bench_raw. */
int bench_raw_run(struct bench_pair *pair, uint32_t side, void *arg);

/*
 * The same loop by fio. -ENOENT: not installed, or it does not do what is asked; -ENOTSUP: built
 * without jansson, so its answer cannot be read.
 */
int bench_raw_fio(const struct bench_raw *raw, uint32_t cpu, double *ret_p50_ns,
		  double *ret_p99_ns);

#endif
