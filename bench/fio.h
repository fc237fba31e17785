/* SPDX-License-Identifier: MIT */
/*
 * fio.h - the floor under durable writes by a program that is not ours: fio, one write at a time
 * through io_uring, O_DIRECT and O_DSYNC, over a file that was written before. The parent's
 * thread; blocks until fio has ended.
 */
#ifndef SLUICE_BENCH_FIO_H
#define SLUICE_BENCH_FIO_H

#include <stdint.h>

struct bench_fio {
	const char *path;  /* of raw_write.h's file */
	const char *split; /* sizes as "4k/62:8k/38"; NULL: 4 KiB */
	uint32_t cpu;
	uint64_t run_ns;
	uint64_t rate;	       /* writes per second */
	double p50_ns, p99_ns; /* from submission to completion */
	double writes;
};

/* -ENOENT: not installed, or it does not do what is asked; -ENOTSUP: built without jansson. */
int bench_fio_run(struct bench_fio *fio);

#endif
